//! The body of an answer, which has to get on: whoever is on the way can let any answer trickle,
//! and would hold a pass for as long as they like.
//!
//! Only time spent waiting for bytes counts, not what is done with them. It never reads ahead and
//! keeps no bytes.

use std::io::{self, Read};
use std::time::Duration;

use crate::core::decide::Direction;
use crate::io::deadline::Deadline;
use crate::io::host::Host;
use crate::io::throttle::Throttle;

/// Time over which the rate is measured.
const WINDOW: Duration = Duration::from_secs(60);
/// LIMIT: fewest bytes that arrive in a second, or the answer is given up. A modem does more.
const RATE: u64 = 1 << 10;

/// Whether so many bytes in so much time are progress, at the least rate.
pub fn gets_on(bytes: u64, time: Duration) -> bool {
    bytes > 0 && u128::from(bytes) * 1000 >= u128::from(RATE) * time.as_millis()
}

/// What a body has to keep to.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// How long all of it may be waited for.
    whole: Option<Duration>,
    /// Whether its bytes come at a rate, and not when something happens.
    has_rate: bool,
}

impl BodyLimits {
    /// LIMIT: an answer in JSON, a page of a listing at most, comes within 300 seconds.
    pub const JSON: BodyLimits = BodyLimits {
        whole: Some(Duration::from_secs(300)),
        has_rate: true,
    };
    /// The content of a file or a folder, of any size.
    pub const CONTENT: BodyLimits = BodyLimits {
        whole: None,
        has_rate: true,
    };
    /// LIMIT: 480 seconds that are asked for, and 90 that Dropbox adds (`files.stone`).
    pub const LONGPOLL: BodyLimits = BodyLimits {
        whole: Some(Duration::from_secs(570)),
        has_rate: false,
    };
}

/// A body that is given up where it does not get on, and when the pass is over. Then a read is
/// an error of the kind [`io::ErrorKind::TimedOut`].
pub struct LimitedBody<'a> {
    body: Box<dyn Read>,
    limits: BodyLimits,
    host: &'a dyn Host,
    /// When the pass is over, if it is one that reads.
    deadline: Option<&'a Deadline<'a>>,
    /// What its bytes may not come faster than.
    throttle: Option<&'a Throttle<'a>>,
    waited: Duration,
    waited_in_window: Duration,
    bytes_in_window: u64,
}

impl<'a> LimitedBody<'a> {
    /// This body, waited for by the clock of `host`.
    pub fn new(
        body: Box<dyn Read>,
        limits: BodyLimits,
        host: &'a dyn Host,
        deadline: Option<&'a Deadline<'a>>,
    ) -> LimitedBody<'a> {
        LimitedBody {
            body,
            limits,
            host,
            deadline,
            throttle: None,
            waited: Duration::ZERO,
            waited_in_window: Duration::ZERO,
            bytes_in_window: 0,
        }
    }

    /// The same for the contents of files, which come as fast as `throttle` lets them.
    #[must_use]
    pub fn throttled(self, throttle: &'a Throttle<'a>) -> LimitedBody<'a> {
        LimitedBody {
            throttle: Some(throttle),
            ..self
        }
    }

    fn check(&self) -> io::Result<()> {
        if self.deadline.is_some_and(Deadline::is_over) {
            // The end of the pass tells which it is.
            return Err(given_up(
                "the time given with --max-time is over, or the pass was stopped",
            ));
        }
        if self.limits.whole.is_some_and(|whole| self.waited >= whole) {
            let whole = self.limits.whole.unwrap_or_default().as_secs();
            return Err(given_up(&format!("it was not whole after {whole} seconds")));
        }
        if self.limits.has_rate && self.waited_in_window >= WINDOW {
            return Err(given_up("less than 1 KiB/s arrived for a minute"));
        }
        Ok(())
    }
}

impl Read for LimitedBody<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let throttle = self.throttle.zip(self.deadline);
        let share = throttle.map_or(buffer.len(), |(throttle, _)| {
            throttle.share(Direction::Down, buffer.len())
        });
        let start = self.host.elapsed();
        let count = self.body.read(&mut buffer[..share]);
        let took = self.host.elapsed().saturating_sub(start);
        let count = count?;
        if count == 0 {
            return Ok(0);
        }
        self.waited += took;
        self.waited_in_window += took;
        self.bytes_in_window += count as u64;
        if gets_on(self.bytes_in_window, WINDOW) {
            // It gets on: no other sign of life is given for a body.
            self.host.beat();
            (self.waited_in_window, self.bytes_in_window) = (Duration::ZERO, 0);
        }
        if let Some((throttle, deadline)) = throttle {
            // Our own waits are none of its slowness.
            deadline.pause(throttle.note(Direction::Down, count));
        }
        self.check().map(|()| count)
    }
}

fn given_up(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    /// A clock that only a body moves.
    #[derive(Clone, Default)]
    struct Hands {
        now: Rc<Cell<Duration>>,
        beats: Rc<Cell<u32>>,
    }

    impl Host for Hands {
        fn now_ns(&self) -> i128 {
            0
        }
        fn elapsed(&self) -> Duration {
            self.now.get()
        }
        fn sleep(&self, _: Duration) {}
        fn random(&self, _: &mut [u8]) {}
        fn is_root(&self) -> bool {
            false
        }
        fn beat(&self) {
            self.beats.set(self.beats.get() + 1);
        }
    }

    /// Some bytes at a time, each time after a while.
    struct Steps {
        hands: Hands,
        step: Duration,
        bytes: usize,
        left: usize,
    }

    impl Read for Steps {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.bytes.min(self.left).min(buffer.len());
            self.hands.now.set(self.hands.now.get() + self.step);
            buffer[..count].fill(b'x');
            self.left -= count;
            Ok(count)
        }
    }

    /// How a body that comes so many bytes a step ends, after how long, and with how many beats.
    fn read(
        limits: BodyLimits,
        (bytes, step_s): (usize, u64),
        all: usize,
        max_time_s: Option<u64>,
    ) -> (Result<usize, String>, Duration, u32) {
        let hands = Hands::default();
        let body = Box::new(Steps {
            hands: hands.clone(),
            step: Duration::from_secs(step_s),
            bytes,
            left: all,
        });
        let deadline = Deadline::within(&hands, max_time_s.map(Duration::from_secs));
        let mut body = LimitedBody::new(body, limits, &hands, Some(&deadline));
        let mut read = Vec::new();
        let ended = body.read_to_end(&mut read).map_err(|error| {
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            error.to_string()
        });
        (ended, hands.elapsed(), hands.beats.get())
    }

    const MINUTE: Duration = Duration::from_secs(60);

    /// S5: 1 byte every 2 seconds, as it was seen.
    #[test]
    fn s5_a_body_that_trickles_is_given_up_after_a_minute_without_a_sign_of_life() {
        for limits in [BodyLimits::JSON, BodyLimits::CONTENT] {
            let (ended, took, beats) = read(limits, (1, 2), 1 << 20, None);
            assert!(ended.unwrap_err().contains("less than 1 KiB/s"));
            assert_eq!((took, beats), (MINUTE, 0));
        }
    }

    /// S5.
    #[test]
    fn s5_a_slow_body_that_gets_on_is_read_to_its_end() {
        // 2 KiB/s for an hour and a half.
        let (ended, took, beats) = read(BodyLimits::CONTENT, (4096, 2), 10 << 20, None);
        assert_eq!(ended, Ok(10 << 20));
        assert!(took > 80 * MINUTE && beats > 100, "{took:?} {beats}");
        // What is small may take its time, too.
        assert_eq!(read(BodyLimits::JSON, (1, 2), 20, None).0, Ok(20));
    }

    /// S5.
    #[test]
    fn s5_json_is_whole_within_five_minutes() {
        let (ended, took, _) = read(BodyLimits::JSON, (4096, 2), 10 << 20, None);
        assert!(ended.unwrap_err().contains("after 300 seconds"));
        assert_eq!(took, 5 * MINUTE);
    }

    /// S5: it comes when something happens, so that no rate can be asked for.
    #[test]
    fn s5_what_is_waited_for_is_whole_within_570_seconds() {
        assert_eq!(read(BodyLimits::LONGPOLL, (30, 480), 30, None).0, Ok(30));
        let (ended, took, _) = read(BodyLimits::LONGPOLL, (1, 30), 100, None);
        assert!(ended.unwrap_err().contains("after 570 seconds"));
        assert_eq!(took.as_secs(), 570);
    }

    /// S5.
    #[test]
    fn s5_a_body_ends_with_the_pass() {
        let (ended, took, _) = read(BodyLimits::CONTENT, (1 << 20, 1), 1 << 30, Some(10));
        assert!(ended.unwrap_err().contains("--max-time"));
        assert_eq!(took.as_secs(), 10);
    }
}
