//! When `ferrybox run` starts which half of a pass. The clock may be wrong at first, and jump.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::core::schedule::fires::Schedule;

/// First wait after a pass that failed; it doubles.
const RETRY_FIRST: SignedDuration = SignedDuration::from_secs(60);
/// Longest time in which nobody looks at the clock while nothing is due. Times of so long ago may
/// not have been seen when it was put back.
const UNSEEN: SignedDuration = SignedDuration::from_secs(60);
/// Longest such wait.
const RETRY_MAX: SignedDuration = SignedDuration::from_secs(3600);

/// The halves of a pass that are to run; both are one ordered pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Local changes go up.
    pub up: bool,
    /// Changes in Dropbox come down.
    pub down: bool,
}

impl Due {
    /// The whole pass.
    pub const BOTH: Due = Due {
        up: true,
        down: true,
    };
    /// The half that goes up.
    pub const UP: Due = Due {
        up: true,
        down: false,
    };
    /// The half that comes down.
    pub const DOWN: Due = Due {
        up: false,
        down: true,
    };

    /// Whether anything is to run.
    pub fn is_any(self) -> bool {
        self.up || self.down
    }

    /// What either of them holds.
    #[must_use]
    pub fn and(self, other: Due) -> Due {
        Due {
            up: self.up || other.up,
            down: self.down || other.down,
        }
    }
}

/// When each half fires.
#[derive(Clone, Debug)]
pub struct Schedules {
    /// Local changes go up; never, if nothing does in this mode.
    pub up: Option<Schedule>,
    /// Changes in Dropbox come down; never, if nothing does, or if Dropbox tells.
    pub down: Option<Schedule>,
    /// Whose clocks they mean.
    pub zone: TimeZone,
}

impl Schedules {
    /// The next time after `after`, and what fires then.
    pub fn next_after(&self, after: Timestamp) -> Option<(Timestamp, Due)> {
        let next = |schedule: &Option<Schedule>| schedule.as_ref()?.next_after(after, &self.zone);
        let (up, down) = (next(&self.up), next(&self.down));
        let at = [up, down].into_iter().flatten().min()?;
        let due = Due {
            up: up == Some(at),
            down: down == Some(at),
        };
        Some((at, due))
    }
}

/// What is due when.
pub struct Scheduler {
    schedules: Schedules,
    next_up: Option<Timestamp>,
    next_down: Option<Timestamp>,
    /// What a pass left undone, and when it is tried again.
    retry: Option<(Timestamp, Due)>,
    failures: u32,
    seen: Timestamp,
    /// What fired last of each half.
    fired_up: Option<Timestamp>,
    fired_down: Option<Timestamp>,
}

impl Scheduler {
    /// From now on. What was missed before is made up for by the pass at the start.
    pub fn new(schedules: Schedules, now: Timestamp) -> Scheduler {
        let mut scheduler = Scheduler {
            schedules,
            next_up: None,
            next_down: None,
            retry: None,
            failures: 0,
            seen: now,
            fired_up: None,
            fired_down: None,
        };
        scheduler.set(now);
        scheduler
    }

    fn set(&mut self, now: Timestamp) {
        let next =
            |schedule: &Option<Schedule>| schedule.as_ref()?.next_after(now, &self.schedules.zone);
        (self.next_up, self.next_down) = (next(&self.schedules.up), next(&self.schedules.down));
    }

    /// The clock was put back, and that is seen now: what fired since, unseen, is due as well,
    /// unless it is what fired last.
    fn set_back(&mut self, now: Timestamp) {
        self.set(now.checked_sub(UNSEEN).unwrap_or(now));
        let zone = &self.schedules.zone;
        for (next, fired, schedule) in [
            (&mut self.next_up, self.fired_up, &self.schedules.up),
            (&mut self.next_down, self.fired_down, &self.schedules.down),
        ] {
            if next.is_some() && *next == fired {
                *next = schedule
                    .as_ref()
                    .and_then(|schedule| schedule.next_after(now, zone));
            }
        }
    }

    /// What has become due. However many times have gone by, it is due once; a clock that was put
    /// back repeats nothing, and does not put off what comes next.
    pub fn due_now(&mut self, now: Timestamp) -> Due {
        if now < self.seen {
            self.set_back(now);
            if let Some((at, _)) = &mut self.retry {
                *at = now;
            }
        }
        self.seen = now;
        let is_past = |next: Option<Timestamp>| next.is_some_and(|at| at <= now);
        let mut due = Due {
            up: is_past(self.next_up),
            down: is_past(self.next_down),
        };
        if due.is_any() {
            if due.up {
                self.fired_up = self.next_up;
            }
            if due.down {
                self.fired_down = self.next_down;
            }
            self.set(now);
        }
        if let Some((at, left)) = self.retry
            && (at <= now || due.is_any())
        {
            due = due.and(left);
            self.retry = None;
        }
        due
    }

    /// When something becomes due, if the clock goes on as it does.
    pub fn next(&self) -> Option<Timestamp> {
        let retry = self.retry.map(|(at, _)| at);
        [self.next_up, self.next_down, retry]
            .into_iter()
            .flatten()
            .min()
    }

    /// A pass has ended well, or with what another try would not mend.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// A pass has failed, and is tried again: after a minute, then ever later.
    pub fn failed(&mut self, due: Due, now: Timestamp) {
        let wait = RETRY_FIRST * (1 << self.failures.min(6));
        self.failures = self.failures.saturating_add(1);
        let left = self.retry.map_or(due, |(_, left)| left.and(due));
        let at = now.checked_add(wait.min(RETRY_MAX)).unwrap_or(now);
        self.retry = Some((at, left));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::schedule::parse;

    fn at(text: &str) -> Timestamp {
        format!("2026-11-{text}Z").parse().unwrap()
    }

    fn scheduler(up: Option<&str>, down: Option<&str>, now: &str) -> Scheduler {
        let schedule = |text: &str| parse(text).unwrap();
        let schedules = Schedules {
            up: up.map(schedule),
            down: down.map(schedule),
            zone: TimeZone::UTC,
        };
        Scheduler::new(schedules, at(now))
    }

    const NIGHTLY: Option<&str> = Some("0 0 2 * * ?");
    const OFTEN: Option<&str> = Some("0 0/5 * * * ?");
    const NOTHING: Due = Due {
        up: false,
        down: false,
    };

    #[test]
    fn what_is_due_together_is_one_pass() {
        let mut scheduler = scheduler(NIGHTLY, OFTEN, "21T01:52:00");
        assert_eq!(scheduler.due_now(at("21T01:54:59")), NOTHING);
        assert_eq!(scheduler.due_now(at("21T01:55:00")), Due::DOWN);
        assert_eq!(scheduler.next(), Some(at("21T02:00:00")));
        assert_eq!(scheduler.due_now(at("21T02:00:00")), Due::BOTH);
        assert_eq!(scheduler.due_now(at("21T02:00:01")), NOTHING);
    }

    #[test]
    fn times_that_went_by_unnoticed_are_due_once() {
        let mut scheduler = scheduler(NIGHTLY, OFTEN, "21T01:52:00");
        // A clock that was set at last, or a pass that took two days.
        assert_eq!(scheduler.due_now(at("23T12:01:00")), Due::BOTH);
        assert_eq!(scheduler.due_now(at("23T12:04:59")), NOTHING);
        assert_eq!(scheduler.due_now(at("23T12:05:00")), Due::DOWN);
    }

    #[test]
    fn a_clock_put_back_neither_repeats_nor_puts_off() {
        let mut scheduler = scheduler(None, OFTEN, "21T12:00:00");
        assert_eq!(scheduler.due_now(at("21T12:05:00")), Due::DOWN);
        assert_eq!(scheduler.due_now(at("20T08:01:00")), NOTHING);
        assert_eq!(scheduler.next(), Some(at("20T08:05:00")));
        assert_eq!(scheduler.due_now(at("20T08:05:00")), Due::DOWN);
    }

    /// B11: nobody looks at the clock for up to a minute.
    #[test]
    fn b11_what_fell_due_unseen_after_the_clock_was_put_back_runs_once() {
        let mut scheduler = scheduler(NIGHTLY, OFTEN, "21T12:00:00");
        // Put back to 08:04:30, and looked at 50 seconds later.
        assert_eq!(scheduler.due_now(at("21T08:05:20")), Due::DOWN);
        assert_eq!(scheduler.due_now(at("21T08:05:30")), NOTHING);
        assert_eq!(scheduler.next(), Some(at("21T08:10:00")));
        // What has just run is not repeated: put back by 90 seconds, looked at a minute later.
        assert_eq!(scheduler.due_now(at("21T08:10:00")), Due::DOWN);
        assert_eq!(scheduler.due_now(at("21T08:11:00")), NOTHING);
        assert_eq!(scheduler.due_now(at("21T08:10:30")), NOTHING);
        assert_eq!(scheduler.next(), Some(at("21T08:15:00")));
        // Both halves.
        assert_eq!(scheduler.due_now(at("20T02:00:59")), Due::BOTH);
        assert_eq!(scheduler.due_now(at("20T02:01:00")), NOTHING);
    }

    #[test]
    fn a_failed_pass_is_tried_again_ever_later_until_one_succeeds() {
        let mut scheduler = scheduler(NIGHTLY, None, "21T02:00:00");
        let mut now = at("21T03:00:00");
        assert_eq!(scheduler.due_now(now), NOTHING);
        for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
            scheduler.failed(Due::UP, now);
            assert_eq!(scheduler.due_now(now), NOTHING);
            let next = now + SignedDuration::from_secs(minutes * 60);
            assert_eq!(scheduler.next(), Some(next));
            now = next;
            assert_eq!(scheduler.due_now(now), Due::UP);
        }
        scheduler.succeeded();
        scheduler.failed(Due::UP, now);
        assert_eq!(scheduler.next(), Some(now + RETRY_FIRST));
    }

    #[test]
    fn what_failed_goes_with_the_next_pass_that_is_due() {
        let mut scheduler = scheduler(NIGHTLY, OFTEN, "21T02:01:00");
        for _ in 0..8 {
            scheduler.failed(Due::UP, at("21T02:01:00"));
        }
        assert_eq!(scheduler.due_now(at("21T02:05:00")), Due::BOTH);
        assert_eq!(scheduler.due_now(at("21T02:06:00")), NOTHING);
    }

    #[test]
    fn the_next_time_tells_what_fires_then() {
        let schedule = |text: &str| parse(text).ok();
        let mut schedules = Schedules {
            up: NIGHTLY.and_then(schedule),
            down: OFTEN.and_then(schedule),
            zone: TimeZone::UTC,
        };
        let next = |schedules: &Schedules, after| schedules.next_after(at(after));
        assert_eq!(
            next(&schedules, "21T01:52:00"),
            Some((at("21T01:55:00"), Due::DOWN))
        );
        assert_eq!(
            next(&schedules, "21T01:55:00"),
            Some((at("21T02:00:00"), Due::BOTH))
        );
        schedules.down = None;
        assert_eq!(
            next(&schedules, "21T01:52:00"),
            Some((at("21T02:00:00"), Due::UP))
        );
        schedules.up = None;
        assert_eq!(next(&schedules, "21T01:52:00"), None);
        assert!(Due::UP.is_any() && Due::DOWN.is_any() && !NOTHING.is_any());
    }

    #[test]
    fn what_never_fires_is_never_due() {
        let mut scheduler = scheduler(None, Some("0 0 2 * * ? 2020"), "21T02:01:00");
        assert_eq!(scheduler.next(), None);
        assert_eq!(scheduler.due_now(at("30T02:01:00")), NOTHING);
    }
}
