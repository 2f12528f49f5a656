//! Everything that ends a wait before its time: SIGHUP, a sign-in, and what the watcher sees.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::daemon::Wake;
use crate::daemon::sign_in::SignIn;
use crate::daemon::watcher::Watcher;

/// Longest sleep: then the clock is looked at again, since it may have been set.
const NAP: Duration = Duration::from_secs(60);
/// What the two clocks may differ by; more, and one was set, or the machine slept.
const DRIFT_MAX: Duration = Duration::from_secs(5);

/// A wait that began.
struct Wait {
    begun: (Instant, Timestamp),
    until: Option<Timestamp>,
}

impl Wait {
    fn until(until: Option<Timestamp>) -> Wait {
        Wait {
            begun: (Instant::now(), Timestamp::now()),
            until,
        }
    }

    /// How long to sleep; not at all if it is over, or the clock was set.
    fn left(&self, instant: Instant, wall: Timestamp) -> Duration {
        let ticked = instant.saturating_duration_since(self.begun.0);
        let went = wall.duration_since(self.begun.1);
        let drift = SignedDuration::try_from(ticked).map_or(went, |ticked| went - ticked);
        if drift.unsigned_abs() > DRIFT_MAX {
            return Duration::ZERO;
        }
        let left = self.until.map(|until| until.duration_since(wall));
        // What lies in the past is over.
        left.map_or(NAP, |left| {
            Duration::try_from(left).unwrap_or_default().min(NAP)
        })
    }
}

/// What may end a wait, and the wait itself.
pub struct Wakeup {
    /// A byte arrives with each SIGHUP.
    signals: UnixStream,
    watcher: Mutex<Option<Watcher>>,
    sign_in: Mutex<Option<SignIn>>,
    wait: Mutex<Wait>,
    /// Found by who only asked whether there is one, and kept for who waits.
    pending: Mutex<Option<Wake>>,
    /// An answer is not waited for beyond this.
    give_up_at: Mutex<Option<Instant>>,
}

impl Wakeup {
    /// One that SIGHUP makes ready from now on.
    ///
    /// # Errors
    /// What the system says.
    pub fn new() -> io::Result<Wakeup> {
        let (signals, end) = UnixStream::pair()?;
        signals.set_nonblocking(true)?;
        signal_hook::low_level::pipe::register(signal_hook::consts::SIGHUP, end)?;
        Ok(Wakeup {
            signals,
            watcher: Mutex::new(None),
            sign_in: Mutex::new(None),
            wait: Mutex::new(Wait::until(None)),
            pending: Mutex::new(None),
            give_up_at: Mutex::new(None),
        })
    }

    /// What watches the content dir.
    pub fn watcher(&self) -> MutexGuard<'_, Option<Watcher>> {
        lock(&self.watcher)
    }

    /// What watches for a sign-in, while nobody is signed in.
    pub fn sign_in(&self) -> MutexGuard<'_, Option<SignIn>> {
        lock(&self.sign_in)
    }

    /// Whether SIGHUP has come since it was last asked for; anything else is left as it is.
    pub fn take_reload(&self) -> bool {
        let mut pending = lock(&self.pending);
        let was_pending = *pending == Some(Wake::Reload);
        if was_pending {
            *pending = None;
        }
        self.take_signal() || was_pending
    }

    fn take_signal(&self) -> bool {
        let mut bytes = [0; 16];
        matches!((&self.signals).read(&mut bytes), Ok(count) if count > 0)
    }

    /// A wait begins that is over then, as the clock on the wall has it.
    pub fn arm(&self, until: Option<Timestamp>) {
        *lock(&self.wait) = Wait::until(until);
    }

    /// An answer is waited for no longer than this from now on.
    pub fn give_up_after(&self, patience: Option<Duration>) {
        *lock(&self.give_up_at) = patience.and_then(|time| Instant::now().checked_add(time));
    }

    /// Whether an answer is to be waited for no longer: the wait is over, or it was too long.
    pub fn ends_an_answer(&self) -> bool {
        let is_late = lock(&self.give_up_at).is_some_and(|at| at <= Instant::now());
        self.is_ready() || is_late
    }

    /// Whether the wait is over. It stays so until it is polled.
    pub fn is_ready(&self) -> bool {
        let mut pending = lock(&self.pending);
        if pending.is_none() {
            *pending = self.check().ok();
        }
        pending.is_some()
    }

    /// Why the wait is over, or how long it may take until it is.
    ///
    /// # Errors
    /// That time.
    pub fn poll(&self) -> Result<Wake, Duration> {
        match lock(&self.pending).take() {
            Some(wake) => Ok(wake),
            None => self.check(),
        }
    }

    fn check(&self) -> Result<Wake, Duration> {
        if self.take_signal() {
            return Ok(Wake::Reload);
        }
        if self.sign_in().as_mut().is_some_and(SignIn::look) {
            return Ok(Wake::SignedIn);
        }
        let settles = self.watcher().as_mut().and_then(Watcher::look);
        if settles.is_some_and(|left| left.is_zero()) {
            return Ok(Wake::Local);
        }
        let left = lock(&self.wait).left(Instant::now(), Timestamp::now());
        if left.is_zero() {
            return Ok(Wake::Time);
        }
        Err(settles.unwrap_or(left).min(left))
    }

    /// Waits until there is a reason to end it.
    pub fn wait(&self) -> Wake {
        loop {
            if let Some(wake) = self.wait_up_to(None) {
                return wake;
            }
        }
    }

    /// The same, or until so much time is over.
    pub fn wait_up_to(&self, at_most: Option<Duration>) -> Option<Wake> {
        let end = at_most.and_then(|time| Instant::now().checked_add(time));
        loop {
            let mut left = match self.poll() {
                Ok(wake) => return Some(wake),
                Err(left) => left,
            };
            if let Some(end) = end {
                let rest = end.saturating_duration_since(Instant::now());
                if rest.is_zero() {
                    return None;
                }
                left = left.min(rest);
            }
            let (watcher, sign_in) = (self.watcher(), self.sign_in());
            let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
            fds.extend(watcher.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
            fds.extend(sign_in.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
            let timeout = Timespec::try_from(left).ok();
            // Whatever ends it is looked at above.
            let _ = poll(&mut fds, timeout.as_ref());
        }
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R4: a connection that a router has forgotten says nothing more.
    #[test]
    fn r4_an_answer_is_waited_for_no_longer_than_there_is_patience() {
        let wakeup = Wakeup::new().unwrap();
        wakeup.give_up_after(Some(Duration::from_secs(600)));
        assert!(!wakeup.ends_an_answer());
        wakeup.give_up_after(Some(Duration::ZERO));
        assert!(wakeup.ends_an_answer());
        assert!(!wakeup.is_ready(), "nothing has happened for it");
        wakeup.give_up_after(None);
        assert!(!wakeup.ends_an_answer());
    }

    #[test]
    fn a_wait_is_over_at_its_time_or_when_the_clock_was_set() {
        let begun: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let instant = Instant::now();
        let seconds = SignedDuration::from_secs;
        let mut wait = Wait {
            begun: (instant, begun),
            until: Some(begun + seconds(600)),
        };
        let left = |wait: &Wait, ticked: u64, went: i64| {
            wait.left(instant + Duration::from_secs(ticked), begun + seconds(went))
        };
        assert_eq!(left(&wait, 0, 0), NAP);
        assert_eq!(left(&wait, 300, 300), NAP);
        assert_eq!(left(&wait, 590, 590), Duration::from_secs(10));
        assert_eq!(
            left(&wait, 590, 593),
            Duration::from_secs(7),
            "clocks run unevenly"
        );
        assert_eq!(left(&wait, 600, 600), Duration::ZERO);
        for went in [-86_400, -10, 100, 86_400] {
            assert_eq!(left(&wait, 30, went), Duration::ZERO, "{went}");
        }
        wait.until = None;
        assert_eq!(left(&wait, 90_000, 90_000), NAP);
        assert_eq!(left(&wait, 0, 86_400), Duration::ZERO);
    }
}
