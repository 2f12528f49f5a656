//! `ferrybox run` in process: what it does in days and weeks that take no time.

use ferrybox::core::schedule;
use ferrybox::core::schedule::scheduler::{Due, Schedules};
use ferrybox::daemon::{Driver, Ended, Wake};
use ferrybox::error::ExitCode;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::world::{World, world};

/// A week in which the clock only moves by waiting.
struct Week<'a> {
    world: &'a World,
    now: Timestamp,
    end: Timestamp,
    calls: Vec<(Timestamp, Due, Vec<String>)>,
    /// When Dropbox cannot be reached.
    outage: Option<(Timestamp, Timestamp)>,
    /// How long each pass takes.
    takes: SignedDuration,
    /// When SIGHUP comes, in the middle of a pass.
    hangs_up_at: Option<Timestamp>,
    is_reload_asked: bool,
    reloads: Vec<Timestamp>,
    /// No pass takes any time after so many, so that it ends.
    quits_after: usize,
}

impl<'a> Week<'a> {
    fn new(world: &'a World) -> Week<'a> {
        let now: Timestamp = "2026-11-21T12:01:00Z".parse().unwrap();
        Week {
            world,
            now,
            end: now + SignedDuration::from_hours(7 * 24),
            calls: Vec::new(),
            outage: None,
            takes: SignedDuration::ZERO,
            hangs_up_at: None,
            is_reload_asked: false,
            reloads: Vec::new(),
            quits_after: usize::MAX,
        }
    }
}

impl Driver for Week<'_> {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn schedules(&self) -> Schedules {
        Schedules {
            up: Some(schedule::parse("0 0 2 * * ?").unwrap()),
            down: Some(schedule::parse("0 0/5 * * * ?").unwrap()),
            zone: TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap(),
        }
    }

    fn pass(&mut self, due: Due, _: bool) -> Ended {
        if self
            .outage
            .is_some_and(|(from, to)| (from..to).contains(&self.now))
        {
            let nobody = vec!["nobody there".to_owned()];
            self.calls.push((self.now, due, nobody));
            return Ended::Left { progress: false };
        }
        let outcome = match due {
            Due::UP => self.world.upload_only(),
            Due::DOWN => self.world.download_only(),
            _ => self.world.sync(),
        };
        assert_eq!(outcome.exit, ExitCode::Ok, "{outcome:?}");
        self.calls.push((self.now, due, outcome.calls));
        if self.calls.len() < self.quits_after {
            self.now += self.takes;
        }
        if self.hangs_up_at.is_some_and(|at| at <= self.now) {
            (self.hangs_up_at, self.is_reload_asked) = (None, true);
        }
        Ended::Done
    }

    fn wait(&mut self, next: Option<Timestamp>) -> Wake {
        self.now = self.now.max(next.unwrap());
        if self.now >= self.end {
            return Wake::End;
        }
        Wake::Time
    }

    fn is_reload_asked(&mut self) -> bool {
        std::mem::take(&mut self.is_reload_asked)
    }

    fn reload(&mut self) {
        self.reloads.push(self.now);
    }
}

#[test]
fn an_idle_week_writes_nothing_and_makes_only_the_scheduled_requests() {
    let world = world();
    world.put("items/a.items", "a");
    world.dropbox.put("/b", b"b");
    world.sync_ok();
    world.check_settled();
    let before = world.written();
    let mut week = Week::new(&world);
    assert_eq!(ferrybox::daemon::run(&mut week), ExitCode::Ok);
    assert_eq!(world.written(), before, "0 bytes in a week");
    // One pass at the start, then one every five minutes; at 2 o'clock it goes both ways.
    assert_eq!(week.calls.len(), 1 + 7 * 24 * 12);
    for (_, _, calls) in &week.calls {
        assert_eq!(calls, &["list_folder/continue"]);
    }
    let nightly: Vec<String> = week
        .calls
        .iter()
        .skip(1)
        .filter(|(_, due, _)| *due != Due::DOWN)
        .map(|(at, due, _)| format!("{at} {due:?}"))
        .collect();
    assert_eq!(nightly.len(), 7, "{nightly:?}");
    assert!(nightly[0].starts_with("2026-11-22T01:00:00Z Due { up: true, down: true }"));
}

#[test]
fn what_failed_while_dropbox_was_away_is_made_up_for() {
    let world = world();
    world.put("a", "a");
    let mut week = Week::new(&world);
    // The night of the first day, and the morning.
    week.outage = Some((
        "2026-11-22T00:59:00Z".parse().unwrap(),
        "2026-11-22T09:00:30Z".parse().unwrap(),
    ));
    week.end = "2026-11-22T12:00:00Z".parse().unwrap();
    ferrybox::daemon::run(&mut week);
    let after = week
        .calls
        .iter()
        .find(|(_, due, calls)| due.up && calls[0] != "nobody there" && !calls.is_empty());
    assert!(after.is_some());
    let made_up = week
        .calls
        .iter()
        .find(|(at, due, calls)| due.up && *at > week.outage.unwrap().1 && !calls.is_empty());
    let (at, ..) = made_up.expect("the nightly upload is made up for");
    assert_eq!(at.to_string(), "2026-11-22T09:05:00Z");
}

/// B5: passes that take longer than the interval leave no time to wait.
#[test]
fn b5_sighup_is_looked_at_between_two_passes() {
    let world = world();
    let mut week = Week::new(&world);
    week.takes = SignedDuration::from_mins(6);
    week.end = week.now + SignedDuration::from_hours(2);
    let hangs_up_at = week.now + SignedDuration::from_mins(20);
    week.hangs_up_at = Some(hangs_up_at);
    week.quits_after = 15;
    ferrybox::daemon::run(&mut week);
    assert_eq!(week.reloads.len(), 1);
    assert!(week.reloads[0] < hangs_up_at + week.takes);
    let after = week.calls.iter().find(|(at, ..)| *at >= week.reloads[0]);
    assert_eq!(
        after.unwrap().1,
        Due::BOTH,
        "what was due goes on by what it says now"
    );
}
