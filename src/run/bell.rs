//! Everything that ends a wait before its time: SIGHUP, and what the watcher sees.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::run::Wake;
use crate::run::watcher::Watcher;

/// Wakes the one who waits.
pub struct Bell {
    /// A byte arrives with each SIGHUP.
    signals: UnixStream,
    watcher: Mutex<Option<Watcher>>,
    /// When a wait is over.
    until: Mutex<Option<Instant>>,
    /// It rang while somebody only asked whether it does.
    rung: Mutex<Option<Wake>>,
}

impl Bell {
    /// A bell that SIGHUP rings from now on.
    ///
    /// # Errors
    /// What the system says.
    pub fn new() -> io::Result<Bell> {
        let (signals, end) = UnixStream::pair()?;
        signals.set_nonblocking(true)?;
        signal_hook::low_level::pipe::register(signal_hook::consts::SIGHUP, end)?;
        Ok(Bell {
            signals,
            watcher: Mutex::new(None),
            until: Mutex::new(None),
            rung: Mutex::new(None),
        })
    }

    /// What watches the content dir.
    pub fn watcher(&self) -> MutexGuard<'_, Option<Watcher>> {
        lock(&self.watcher)
    }

    /// The wait that begins now is over after so long.
    pub fn set(&self, at_most: Duration) {
        *lock(&self.until) = Instant::now().checked_add(at_most);
    }

    /// Whether it rings. It goes on ringing until somebody listens.
    pub fn rings(&self) -> bool {
        let mut rung = lock(&self.rung);
        if rung.is_none() {
            *rung = self.look().ok();
        }
        rung.is_some()
    }

    /// Why it rings, or how long it may take until it does.
    ///
    /// # Errors
    /// That time.
    pub fn listen(&self) -> Result<Wake, Duration> {
        match lock(&self.rung).take() {
            Some(wake) => Ok(wake),
            None => self.look(),
        }
    }

    fn look(&self) -> Result<Wake, Duration> {
        let mut bytes = [0; 16];
        if matches!((&self.signals).read(&mut bytes), Ok(count) if count > 0) {
            return Ok(Wake::Reload);
        }
        let settles = self.watcher().as_mut().and_then(Watcher::look);
        if settles.is_some_and(|left| left.is_zero()) {
            return Ok(Wake::Local);
        }
        let left = lock(&self.until).map_or(Duration::MAX, |until| {
            until.saturating_duration_since(Instant::now())
        });
        if left.is_zero() {
            return Ok(Wake::Time);
        }
        Err(settles.unwrap_or(left).min(left))
    }

    /// Waits until it rings.
    pub fn wait(&self) -> Wake {
        loop {
            if let Some(wake) = self.wait_up_to(None) {
                return wake;
            }
        }
    }

    /// Waits until it rings, or so much time is over.
    pub fn wait_up_to(&self, at_most: Option<Duration>) -> Option<Wake> {
        let end = at_most.and_then(|time| Instant::now().checked_add(time));
        loop {
            let mut left = match self.listen() {
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
            let watcher = self.watcher();
            let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
            fds.extend(watcher.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
            let timeout = Timespec::try_from(left).ok();
            // Whatever ends it is looked at above.
            let _ = poll(&mut fds, timeout.as_ref());
        }
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
