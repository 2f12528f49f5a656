//! The clocks of filesystems, which say whether a stamp can be trusted: it can where a later change
//! could not bear the same one. Ours is another clock than that of a disk in the network.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::io::stat::Stamp;

/// How far a clock with fractions of a second may lie behind ours, in nanoseconds: a tick of the
/// slowest kernel and the steps of exfat, 10 ms each.
const TICK_NS: i128 = 20_000_000;
/// A tick of the slowest kernel.
const TICK: Duration = Duration::from_millis(10);
/// The steps of a clock without fractions, in nanoseconds: those of vfat.
const STEP_NS: i128 = 2_000_000_000;
/// LIMIT: the largest lag that is believed, in nanoseconds: a clock of ours that was wrong by years
/// must not have files read again and again for as long.
const LAG_MAX_NS: i128 = 3600 * 1_000_000_000;

/// What is known of the clocks of the content dir's filesystems.
#[derive(Clone, Debug, Default)]
pub struct FileClock {
    /// The largest lag of a clock without fractions behind ours, in nanoseconds.
    lag_ns: i128,
    /// By device: when it was, by its own clock, and by ours after that.
    written: BTreeMap<u64, (i128, i128)>,
}

impl FileClock {
    /// With the lag that earlier passes have seen, in seconds.
    pub fn with_lag_s(lag_s: i64) -> FileClock {
        FileClock {
            lag_ns: (i128::from(lag_s) * 1_000_000_000).clamp(0, LAG_MAX_NS),
            written: BTreeMap::new(),
        }
    }

    /// The largest lag that was seen, in whole seconds, rounded up.
    pub fn lag_s(&self) -> i64 {
        i64::try_from((self.lag_ns + 999_999_999) / 1_000_000_000).unwrap_or(0)
    }

    /// Something of ours has got this stamp on a device just before `now_ns` on our clock.
    pub fn note_written(&mut self, device: u64, stamp: &Stamp, now_ns: i128) {
        let changed = changed_ns(stamp);
        // Where there is no change time, the other one may be of any age.
        if stamp.ctime_ns != 0 {
            self.written.insert(device, (changed, now_ns));
        }
        if FileClock::is_coarse(stamp) {
            let lag = (now_ns - changed).clamp(0, LAG_MAX_NS);
            self.lag_ns = self.lag_ns.max(lag);
        }
    }

    /// Whether the clock of a device has moved past this stamp when that of the kernel shows
    /// `file_clock_ns`: it is that of the kernel, as what was written there shows. A file that
    /// still has this stamp then will have another one after the next change.
    pub fn has_passed(&self, device: u64, stamp: &Stamp, file_clock_ns: Option<i128>) -> bool {
        let (Some(now), Some((there, here))) = (file_clock_ns, self.written.get(&device)) else {
            return false;
        };
        let is_of_kernel = (here - there).abs() <= TICK_NS;
        let changed = i128::from(stamp.ctime_ns);
        is_of_kernel && changed != 0 && !is_whole(changed) && now > changed
    }

    /// How long it takes until the kernel's clock, which shows `file_clock_ns`, has moved past a
    /// stamp that it has just made; nothing if it has, or did not make it.
    pub fn time_to_pass(stamp: &Stamp, file_clock_ns: Option<i128>) -> Option<Duration> {
        let ahead = i128::from(stamp.ctime_ns) - file_clock_ns?;
        (0..TICK_NS).contains(&ahead).then_some(TICK)
    }

    /// How long it takes, when our clock shows `now_ns`, until what is read under this stamp can be
    /// trusted; nothing if it can, or cannot be waited for.
    pub fn time_to_trust(stamp: &Stamp, now_ns: i128) -> Option<Duration> {
        let age = now_ns - changed_ns(stamp);
        let is_fresh = !FileClock::is_coarse(stamp) && (0..TICK_NS).contains(&age);
        let left = u64::try_from(TICK_NS - age).ok().filter(|_| is_fresh);
        left.map(Duration::from_nanos)
    }

    /// Whether a clock without fractions of a second may have made this stamp.
    pub fn is_coarse(stamp: &Stamp) -> bool {
        is_whole(changed_ns(stamp))
    }

    /// Whether a file with this stamp may have changed once more without getting another one, after
    /// its content was read; it was read from `read_at_ns` on, on our clock. The device tells what
    /// else was written there.
    pub fn is_racy(&self, device: Option<u64>, stamp: &Stamp, read_at_ns: i128) -> bool {
        let changed = changed_ns(stamp);
        let written = device.and_then(|device| self.written.get(&device));
        if let Some((there, here)) = written
            && *here <= read_at_ns
            && *there > changed
        {
            return false;
        }
        let behind = if is_whole(changed) {
            STEP_NS + self.lag_ns
        } else {
            TICK_NS
        };
        changed > read_at_ns - behind
    }
}

/// When a file was changed, by the clock of its filesystem.
fn changed_ns(stamp: &Stamp) -> i128 {
    i128::from(match stamp.ctime_ns {
        0 => stamp.mtime_ns,
        ctime_ns => ctime_ns,
    })
}

/// Whether a clock without fractions may have said so.
fn is_whole(ns: i128) -> bool {
    ns % 1_000_000_000 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    #[test]
    fn a_file_written_just_now_is_waited_for_and_can_be_trusted_then() {
        let clock = FileClock::with_lag_s(0);
        let stamp = changed(100 * S + 500_000_000);
        for age in [0, 1, 19_999_999] {
            let now = i128::from(stamp.ctime_ns) + age;
            let wait = FileClock::time_to_trust(&stamp, now).unwrap();
            assert!(wait <= Duration::from_millis(20));
            let then = now + i128::try_from(wait.as_nanos()).unwrap();
            assert!(clock.is_racy(Some(1), &stamp, then - 1));
            assert!(!clock.is_racy(Some(1), &stamp, then), "{age}");
        }
        let at = i128::from(stamp.ctime_ns);
        for now in [at - 1, at + TICK_NS, at + 3600 * i128::from(S)] {
            assert_eq!(FileClock::time_to_trust(&stamp, now), None);
        }
        // Two seconds, or more, are not waited.
        let coarse = changed(100 * S);
        assert_eq!(FileClock::time_to_trust(&coarse, (100 * S).into()), None);
    }

    fn changed(ctime_ns: i64) -> Stamp {
        Stamp {
            size: 1,
            mtime_ns: 5,
            ctime_ns,
            inode: 1,
            rights: None,
        }
    }

    fn racy(clock: &FileClock, ctime_ns: i64, read_at_ns: i64) -> bool {
        clock.is_racy(Some(1), &changed(ctime_ns), read_at_ns.into())
    }

    #[test]
    fn a_stamp_of_the_kernels_clock_is_passed_a_tick_later() {
        const MS: i128 = 1_000_000;
        let now = 100 * S as i128 + 5 * MS;
        let stamp = |ns: i128| changed(i64::try_from(ns).unwrap());
        let mut clock = FileClock::default();
        let made = stamp(now);
        assert!(
            !clock.has_passed(1, &made, Some(now + 10 * MS)),
            "nothing was written there"
        );
        clock.note_written(1, &made, now + MS);
        assert!(!clock.has_passed(1, &made, Some(now)), "the same tick");
        assert!(clock.has_passed(1, &made, Some(now + 4 * MS)));
        assert!(!clock.has_passed(1, &made, None), "no clock is known");
        assert!(
            !clock.has_passed(2, &made, Some(now + 4 * MS)),
            "another filesystem"
        );
        // The clock of a server, a second behind ours.
        clock.note_written(2, &stamp(now - 1000 * MS), now);
        assert!(!clock.has_passed(2, &stamp(now - 1000 * MS), Some(now)));
        // One without fractions, and none at all.
        let whole = stamp(100 * S as i128);
        clock.note_written(3, &whole, 100 * S as i128);
        assert!(!clock.has_passed(3, &whole, Some(now)));
        clock.note_written(4, &made, now);
        assert!(!clock.has_passed(4, &stamp(0), Some(now)));
        let wait = |ahead| FileClock::time_to_pass(&made, Some(now - ahead));
        assert_eq!(
            [wait(0), wait(MS), wait(-1)],
            [Some(TICK), Some(TICK), None]
        );
        assert_eq!(wait(1000 * MS), None, "another clock made it");
    }

    #[test]
    fn a_clock_with_fractions_is_ours_but_for_a_tick() {
        let clock = FileClock::default();
        let at = 100 * S + 5;
        assert!(racy(&clock, at, at + 10_000_000));
        assert!(!racy(&clock, at, at + 30_000_000));
        assert!(racy(&clock, at, at - 90 * S), "a clock ahead of ours");
    }

    #[test]
    fn a_clock_without_fractions_is_waited_for_as_long_as_it_lags() {
        let mut clock = FileClock::default();
        assert!(racy(&clock, 100 * S, 101 * S));
        assert!(!racy(&clock, 100 * S, 103 * S));
        clock.note_written(2, &changed(100 * S), i128::from(110 * S));
        assert_eq!(clock.lag_s(), 10);
        assert!(racy(&clock, 100 * S, 111 * S));
        assert!(!racy(&clock, 100 * S, 113 * S));
        let later = FileClock::with_lag_s(clock.lag_s());
        assert!(racy(&later, 100 * S, 111 * S));
        assert_eq!(FileClock::with_lag_s(i64::MAX).lag_s(), 3600);
        assert_eq!(FileClock::with_lag_s(-5).lag_s(), 0);
    }

    #[test]
    fn what_was_written_there_before_the_look_tells_the_time() {
        let mut clock = FileClock::default();
        clock.note_written(1, &changed(101 * S), i128::from(101 * S));
        assert!(!racy(&clock, 100 * S, 101 * S));
        assert!(racy(&clock, 101 * S, 101 * S), "the clock stands at it");
        assert!(racy(&clock, 100 * S, 101 * S - 1), "after the look");
        let elsewhere = clock.is_racy(Some(2), &changed(100 * S), i128::from(101 * S));
        assert!(elsewhere, "on another device");
    }

    #[test]
    fn without_a_change_time_the_other_one_counts_and_tells_no_time() {
        let mut clock = FileClock::default();
        let stamp = Stamp {
            mtime_ns: 100 * S,
            ctime_ns: 0,
            ..changed(0)
        };
        assert!(clock.is_racy(Some(1), &stamp, i128::from(101 * S)));
        assert!(!clock.is_racy(Some(1), &stamp, i128::from(103 * S)));
        clock.note_written(1, &changed(0), i128::from(101 * S));
        assert!(clock.written.is_empty());
    }
}
