//! How fast the contents of files travel, and how much of them has.
//!
//! Bytes are paid for in time, as they pass: there is no credit for a quiet while, so that a thin
//! line is never filled at once. What a limit is at the moment the clock of the gateway says, so
//! that it may become another one while a file is under way. Only what goes through here counts:
//! contents, and no calls, answers or listings.

use std::cell::Cell;
use std::io::{self, Read};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::config::Network;
use crate::core::amounts::Rates;
use crate::core::decide::Direction;
use crate::io::deadline::Deadline;
use crate::io::host::Host;
use crate::io::time_zone::time_zone;

/// Time that bytes may be ahead of: a wait is not worth less.
const AHEAD: Duration = Duration::from_millis(100);
/// Parts of a second whose bytes are moved at a time, so that none has to wait for long.
const PARTS: u64 = 8;
/// Fewest bytes that are moved at a time, and most.
const MOVED: (usize, usize) = (1 << 10, 16 << 10);
/// Seconds that one call takes in a pass that has an end.
const CALL_S: u64 = 8;

/// The limits of one pass, and what has travelled in it.
pub struct Throttle<'a> {
    host: &'a dyn Host,
    up: Way,
    down: Way,
    /// Where the gateway is, if a limit goes by the time of day.
    zone: Option<TimeZone>,
}

/// One direction.
#[derive(Default)]
struct Way {
    rates: Rates,
    /// When what has travelled so far will have been paid for, on the host's clock that never goes
    /// back.
    paid: Cell<Duration>,
    bytes: Cell<u64>,
}

impl Way {
    fn at(rates: &Rates) -> Way {
        Way {
            rates: rates.clone(),
            ..Way::default()
        }
    }
}

impl<'a> Throttle<'a> {
    /// No limits.
    pub fn none(host: &'a dyn Host) -> Throttle<'a> {
        Throttle {
            host,
            up: Way::default(),
            down: Way::default(),
            zone: None,
        }
    }

    /// The limits of a configuration.
    pub fn of(network: &Network, host: &'a dyn Host) -> Throttle<'a> {
        let limits = [&network.upload_limit, &network.download_limit];
        let has_hours = limits.iter().any(|rates| rates.has_hours());
        Throttle {
            up: Way::at(&network.upload_limit),
            down: Way::at(&network.download_limit),
            zone: has_hours.then(time_zone),
            ..Throttle::none(host)
        }
    }

    fn way(&self, direction: Direction) -> &Way {
        match direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        }
    }

    /// Bytes of contents that have travelled so far, those in vain included.
    pub fn bytes(&self, direction: Direction) -> u64 {
        self.way(direction).bytes.get()
    }

    /// Bytes that may travel in a second now, if that is limited.
    pub fn limit(&self, direction: Direction) -> Option<u64> {
        let rates = &self.way(direction).rates;
        if rates.is_unlimited() {
            return None;
        }
        rates.at(self.minute().unwrap_or_default())
    }

    /// The bytes that one call had better carry at most where the pass has an end, so that what was
    /// begun in time is not long in coming to its own.
    pub fn call_bytes(&self, direction: Direction) -> Option<u64> {
        self.limit(direction)
            .map(|limit| limit.saturating_mul(CALL_S))
    }

    /// The minute of the day here.
    fn minute(&self) -> Option<u16> {
        let now = Timestamp::from_second(self.host.now_s()).ok()?;
        let now = self.zone.as_ref()?.to_datetime(now);
        u16::try_from(i32::from(now.hour()) * 60 + i32::from(now.minute())).ok()
    }

    /// How many of so many bytes are moved at a time.
    pub(super) fn share(&self, direction: Direction, wanted: usize) -> usize {
        let Some(limit) = self.limit(direction) else {
            return wanted;
        };
        let (least, most) = MOVED;
        let share = usize::try_from(limit / PARTS).unwrap_or(most);
        wanted.min(share.clamp(least, most))
    }

    /// Notes bytes that have travelled; returns how long others have to wait.
    pub(super) fn note(&self, direction: Direction, count: usize) -> Duration {
        let way = self.way(direction);
        let count = count as u64;
        way.bytes.set(way.bytes.get().saturating_add(count));
        let Some(limit) = self.limit(direction) else {
            return Duration::ZERO;
        };
        let now = self.host.elapsed();
        let takes = Duration::from_nanos(count.saturating_mul(1_000_000_000) / limit.max(1));
        let paid = way.paid.get().max(now).saturating_add(takes);
        way.paid.set(paid);
        let wait = paid.saturating_sub(now);
        if wait < AHEAD { Duration::ZERO } else { wait }
    }
}

/// Bytes on their way up, not faster than they may go. A call that was begun is brought to its end,
/// at the same rate.
pub struct ThrottledBytes<'t> {
    pub(crate) throttle: Option<&'t Throttle<'t>>,
    pub(crate) bytes: &'t mut dyn Read,
    pub(crate) deadline: &'t Deadline<'t>,
    /// How many have left.
    pub(crate) sent: u64,
}

impl Read for ThrottledBytes<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // What was begun is brought to its end, but for whoever does not want it.
        self.deadline.check_stop().map_err(io::Error::other)?;
        let len = buffer.len();
        let share = self
            .throttle
            .map_or(len, |throttle| throttle.share(Direction::Up, len));
        let count = self.bytes.read(&mut buffer[..share])?;
        self.sent += count as u64;
        if let Some(live) = self.deadline.live() {
            live.sent(count as u64);
        }
        if let Some(throttle) = self.throttle {
            self.deadline.stay(throttle.note(Direction::Up, count));
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::limited_body::{BodyLimits, LimitedBody};

    /// A host whose time passes only by sleeping, from a time of day on.
    struct Asleep {
        begun_s: i128,
        slept: Cell<Duration>,
        longest: Cell<Duration>,
    }

    impl Asleep {
        fn at(hour: i128, minute: i128) -> Asleep {
            Asleep {
                begun_s: 20_000 * 86_400 + hour * 3600 + minute * 60,
                slept: Cell::default(),
                longest: Cell::default(),
            }
        }
    }

    impl Host for Asleep {
        fn now_ns(&self) -> i128 {
            self.begun_s * 1_000_000_000 + self.slept.get().as_nanos() as i128
        }
        fn elapsed(&self) -> Duration {
            self.slept.get()
        }
        fn sleep(&self, time: Duration) {
            self.slept.set(self.slept.get() + time);
            self.longest.set(self.longest.get().max(time));
        }
        fn random(&self, _: &mut [u8]) {}
        fn is_root(&self) -> bool {
            false
        }
    }

    fn limited<'h>(host: &'h Asleep, lines: &[&str]) -> Throttle<'h> {
        let mut rates = Rates::default();
        lines.iter().for_each(|line| rates.add(line).unwrap());
        Throttle {
            up: Way::at(&rates),
            down: Way::at(&rates),
            zone: Some(TimeZone::UTC),
            ..Throttle::none(host)
        }
    }

    /// Sends so many bytes and brings as many; the seconds that either took.
    fn seconds(host: &Asleep, throttle: &Throttle<'_>, bytes: u64) -> [f64; 2] {
        let deadline = Deadline::none(host);
        let mut taken = [0.0; 2];
        let start = host.elapsed();
        let mut sending = ThrottledBytes {
            throttle: Some(throttle),
            bytes: &mut io::repeat(0).take(bytes),
            deadline: &deadline,
            sent: 0,
        };
        assert_eq!(io::copy(&mut sending, &mut io::sink()).unwrap(), bytes);
        taken[0] = (host.elapsed() - start).as_secs_f64();
        let start = host.elapsed();
        let body = Box::new(io::repeat(0).take(bytes));
        let body = LimitedBody::new(body, BodyLimits::CONTENT, host, Some(&deadline));
        let mut body = body.throttled(throttle);
        assert_eq!(io::copy(&mut body, &mut io::sink()).unwrap(), bytes);
        taken[1] = (host.elapsed() - start).as_secs_f64();
        taken
    }

    #[test]
    fn a_rate_holds_both_ways_and_no_wait_is_long() {
        for (rate, bytes_per_s) in [
            ("4 KiB/s", 4096.0),
            ("100 KiB/s", 102_400.0),
            ("9 MB/s", 9e6),
        ] {
            let host = Asleep::at(0, 0);
            let throttle = limited(&host, &[rate]);
            let bytes = bytes_per_s as u64 * 100;
            for taken in seconds(&host, &throttle, bytes) {
                assert!((99.0..101.0).contains(&taken), "{rate}: {taken}");
            }
            assert!(host.longest.get() < Duration::from_millis(400), "{rate}");
            for direction in [Direction::Up, Direction::Down] {
                assert_eq!(throttle.bytes(direction), bytes);
            }
        }
    }

    /// The least rate of a body asks what is waited for, and not what we wait.
    #[test]
    fn our_own_slowness_is_no_reason_to_give_up() {
        let host = Asleep::at(0, 0);
        let throttle = limited(&host, &["4 KiB/s"]);
        let [_, taken] = seconds(&host, &throttle, 4096 * 3600);
        assert!((3590.0..3610.0).contains(&taken), "{taken}");
    }

    #[test]
    fn a_limit_may_change_while_bytes_are_under_way() {
        let host = Asleep::at(17, 59);
        let throttle = limited(&host, &["08:00-18:00 100 KiB/s", "1 MiB/s"]);
        // A minute of one and ten seconds of the other.
        let [taken, _] = seconds(&host, &throttle, 60 * 102_400 + 10 * 1_048_576);
        assert!((69.0..71.0).contains(&taken), "{taken}");
        let host = Asleep::at(7, 59);
        let by_day = limited(&host, &["08:00-18:00 100 KiB/s"]);
        let [taken, _] = seconds(&host, &by_day, 500 << 20);
        assert!(taken.abs() < 0.001, "there is no limit before: {taken}");
    }

    #[test]
    fn a_quiet_while_is_no_credit_and_without_a_limit_nothing_waits() {
        let host = Asleep::at(0, 0);
        let throttle = limited(&host, &["100 KiB/s"]);
        host.sleep(Duration::from_secs(3600));
        let [taken, _] = seconds(&host, &throttle, 1_024_000);
        assert!((9.8..10.2).contains(&taken), "{taken}");
        let none = Throttle::none(&host);
        assert_eq!(seconds(&host, &none, 1 << 20), [0.0, 0.0]);
        assert_eq!(
            (none.bytes(Direction::Up), none.limit(Direction::Up)),
            (1 << 20, None)
        );
    }

    #[test]
    fn an_answer_is_not_waited_for_beyond_the_end_of_the_pass() {
        let host = Asleep::at(0, 0);
        let throttle = limited(&host, &["4 KiB/s"]);
        let deadline = Deadline::within(&host, Some(Duration::from_secs(10)));
        let body = LimitedBody::new(
            Box::new(io::repeat(0)),
            BodyLimits::CONTENT,
            &host,
            Some(&deadline),
        );
        let ended = io::copy(&mut body.throttled(&throttle), &mut io::sink());
        assert!(ended.unwrap_err().to_string().contains("--max-time"));
        assert_eq!(host.elapsed(), Duration::from_secs(10));
    }
}
