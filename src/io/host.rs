//! The clock, waiting and randomness.
//!
//! Clocks decide nothing: the wall clock is for people, for token expiry (where a wrong guess costs
//! one request) and for telling that a stamp is too fresh to trust.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ring::rand::{SecureRandom, SystemRandom};
use rustix::time::{ClockId, clock_gettime};

use crate::io::interrupt;
use crate::io::systemd::Systemd;

/// What the agent asks of the machine it runs on.
pub trait Host {
    /// Wall clock, nanoseconds since 1970 (negative before).
    fn now_ns(&self) -> i128;

    /// The clock that a local filesystem with fractions of a second takes its change times from, in
    /// nanoseconds since 1970: that of the kernel, which moves on with each of its ticks. Nothing
    /// where that cannot be told.
    fn file_clock_ns(&self) -> Option<i128> {
        None
    }

    /// A clock that never goes back, from an arbitrary start.
    fn elapsed(&self) -> Duration;

    /// Waits.
    fn sleep(&self, time: Duration);

    /// Fills `bytes` with randomness fit for secrets.
    fn random(&self, bytes: &mut [u8]);

    /// A sign of life for whoever watches over the process; cheap.
    fn beat(&self) {}

    /// Whether somebody at the terminal wants the pass to end.
    fn is_stopped(&self) -> bool {
        false
    }

    /// Whether the process may give its files to any owner.
    fn is_root(&self) -> bool;

    /// Wall clock in whole seconds since 1970.
    fn now_s(&self) -> i64 {
        i64::try_from(self.now_ns().div_euclid(1_000_000_000)).unwrap_or(i64::MAX)
    }

    /// `N` random bytes as hexadecimal digits.
    fn random_hex(&self, bytes: usize) -> String {
        let mut buffer = vec![0; bytes];
        self.random(&mut buffer);
        buffer.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Longest sleep without a sign of life.
const SLICE: Duration = Duration::from_secs(30);
/// The same where somebody may end it.
const STOPPABLE_SLICE: Duration = Duration::from_millis(200);

/// The machine itself.
pub struct RealHost {
    start: Instant,
    random: SystemRandom,
    systemd: Systemd,
}

impl RealHost {
    /// The machine, its monotonic clock starting now.
    pub fn new() -> RealHost {
        RealHost {
            start: Instant::now(),
            random: SystemRandom::new(),
            systemd: Systemd::new(),
        }
    }

    /// Who watches over the process.
    pub fn systemd(&self) -> &Systemd {
        &self.systemd
    }
}

impl Default for RealHost {
    fn default() -> Self {
        RealHost::new()
    }
}

impl Host for RealHost {
    fn now_ns(&self) -> i128 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i128::try_from(since.as_nanos()).unwrap_or(i128::MAX),
            Err(before) => -i128::try_from(before.duration().as_nanos()).unwrap_or(i128::MAX),
        }
    }

    fn file_clock_ns(&self) -> Option<i128> {
        let now = clock_gettime(ClockId::RealtimeCoarse);
        Some(i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec))
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, time: Duration) {
        let start = Instant::now();
        let slice = match interrupt::is_listened_to() {
            true => STOPPABLE_SLICE,
            false => SLICE,
        };
        loop {
            self.beat();
            let left = time.saturating_sub(start.elapsed());
            if left.is_zero() || self.is_stopped() {
                return;
            }
            std::thread::sleep(left.min(slice));
        }
    }

    fn is_stopped(&self) -> bool {
        interrupt::is_asked()
    }

    fn beat(&self) {
        self.systemd.beat();
    }

    fn is_root(&self) -> bool {
        rustix::process::geteuid().is_root()
    }

    fn random(&self, bytes: &mut [u8]) {
        // The kernel's generator cannot fail once booted; without it no secret may be made.
        self.random
            .fill(bytes)
            .expect("the kernel gives random bytes");
    }
}
