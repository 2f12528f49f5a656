//! Asking Dropbox to tell of changes, and what takes its place where that does not work.

use std::time::{Duration, Instant};

use ferrybox::core::remote::Cursor;
use ferrybox::daemon::listening::{Heard, Listening, PollEnd, Told};
use ferrybox::dropbox::longpoll::News;

const NOTHING: News = News {
    changes: false,
    is_reset: false,
    backoff: Duration::ZERO,
};
const CHANGES: News = News {
    changes: true,
    ..NOTHING
};
const RESET: News = News {
    is_reset: true,
    ..CHANGES
};

fn failed() -> PollEnd {
    PollEnd::Failed("no such host".to_owned())
}

fn late(news: News) -> PollEnd {
    PollEnd::Answered(news, Duration::from_secs(60))
}

fn at_once(news: News) -> PollEnd {
    PollEnd::Answered(news, Duration::ZERO)
}

/// What follows from one answer after the other, each asked for as soon as it may be.
fn play(listening: &mut Listening, answers: Vec<PollEnd>) -> Vec<Heard> {
    let mut now = Instant::now();
    let mut heard = Vec::new();
    for (at, asked) in answers.into_iter().enumerate() {
        now += listening.is_put_off(now).unwrap_or_default();
        heard.push(listening.heard(Cursor::from(format!("c{at}")), asked, now));
    }
    heard
}

#[test]
fn r4_what_does_not_work_is_told_once_and_passes_take_its_place() {
    for failure in [failed(), at_once(RESET), at_once(NOTHING)] {
        let mut listening = Listening::default();
        let heard = play(&mut listening, vec![failure.clone(); 12]);
        let told: Vec<usize> = (0..12).filter(|at| heard[*at].told.is_some()).collect();
        assert_eq!(told, [2], "{failure:?}");
        assert!(matches!(heard[2].told, Some(Told::Deaf(_))));
        assert!(heard[2..].iter().all(|heard| heard.pass), "{failure:?}");
        // A pass each time, at least every five minutes.
        let now = Instant::now();
        listening.heard(Cursor::from("c".to_owned()), failure, now);
        assert_eq!(listening.is_put_off(now), Some(Duration::from_secs(300)));
        let good = play(&mut listening, vec![late(NOTHING), late(CHANGES)]);
        assert_eq!(good[0].told, Some(Told::Hears));
        assert!(!good[0].pass);
        assert_eq!(good[1].told, None);
    }
}

#[test]
fn r4_two_failures_are_nothing_to_speak_of() {
    let mut listening = Listening::default();
    let answers = vec![failed(), failed(), late(NOTHING), failed(), failed()];
    let heard = play(&mut listening, answers);
    assert!(heard.iter().all(|heard| heard.told.is_none()), "{heard:?}");
    assert!(heard.iter().all(|heard| !heard.pass), "{heard:?}");
}

#[test]
fn r4_a_lost_connection_makes_the_next_questions_short() {
    let mut listening = Listening::default();
    assert_eq!(listening.timeout_s(), 480);
    play(&mut listening, vec![failed()]);
    let mut asked = Vec::new();
    for _ in 0..5 {
        asked.push(listening.timeout_s());
        play(&mut listening, vec![late(NOTHING)]);
    }
    assert_eq!(asked, [60, 120, 240, 480, 480]);
    play(&mut listening, vec![failed()]);
    assert_eq!(listening.patience(), Duration::from_secs(160));
}

#[test]
fn changes_that_are_none_are_asked_for_ever_more_seldom() {
    let mut listening = Listening::default();
    let (now, cursor) = (Instant::now(), || Cursor::from("c".to_owned()));
    for wait_s in [5, 10, 20, 40, 80, 160, 300, 300] {
        let heard = listening.heard(cursor(), at_once(CHANGES), now);
        assert!(heard.pass);
        let wait = listening.is_put_off(now).unwrap_or_default();
        assert_eq!(wait, Duration::from_secs(wait_s));
    }
    let asks = News {
        backoff: Duration::from_secs(u64::MAX),
        ..NOTHING
    };
    listening.heard(cursor(), late(asks), now);
    assert_eq!(listening.is_put_off(now), Some(Duration::from_secs(3600)));
}
