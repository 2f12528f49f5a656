//! When a pass is over (`--max-time`, or somebody stops it), and the signs of life it gives until
//! then.

use std::cell::Cell;
use std::time::Duration;

use crate::error::Error;
use crate::io::host::Host;
use crate::report::{Live, STOPPED};

/// How often a wait says how long it still takes.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// The end of a pass, if it has one, as the host's clock that never goes back counts.
pub struct Deadline<'a> {
    host: &'a dyn Host,
    /// How long the pass may take, and when that is over.
    end: Option<(Duration, Duration)>,
    /// What was begun in time is brought to its end.
    is_held: Cell<bool>,
    /// What moves for somebody who watches.
    live: Option<&'a Live>,
}

/// While it lives, what was begun may go on although the time is over.
pub struct Held<'d>(&'d Cell<bool>);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl<'a> Deadline<'a> {
    /// No end.
    pub fn none(host: &'a dyn Host) -> Deadline<'a> {
        Deadline::within(host, None)
    }

    /// The end after so much time from now, waiting included.
    pub fn within(host: &'a dyn Host, time: Option<Duration>) -> Deadline<'a> {
        let end = |time: Duration| Some((time, host.elapsed().checked_add(time)?));
        Deadline {
            host,
            end: time.and_then(end),
            is_held: Cell::new(false),
            live: None,
        }
    }

    /// The same, for somebody who watches.
    #[must_use]
    pub fn watched(self, live: Option<&'a Live>) -> Deadline<'a> {
        Deadline { live, ..self }
    }

    /// What moves for somebody who watches.
    pub fn live(&self) -> Option<&'a Live> {
        self.live
    }

    /// How long the pass may take in all.
    pub fn time(&self) -> Option<Duration> {
        self.end.map(|(time, _)| time)
    }

    /// Whether there is one: then the pass had better go by small steps.
    pub fn is_set(&self) -> bool {
        self.end.is_some()
    }

    /// Gives a sign of life, and ends a pass whose time is over, or that somebody stops.
    ///
    /// # Errors
    /// [`Error::TryLater`], [`Error::Stopped`].
    pub fn check(&self) -> Result<(), Error> {
        self.host.beat();
        self.check_stop()?;
        if self.is_held.get() {
            return Ok(());
        }
        self.check_after(Duration::ZERO)
    }

    /// Ends what somebody at the terminal does not want to go on.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub fn check_stop(&self) -> Result<(), Error> {
        match self.host.is_stopped() {
            true => Err(Error::Stopped(STOPPED.to_owned())),
            false => Ok(()),
        }
    }

    /// Whether the time is over for what is under way, too.
    pub fn is_over(&self) -> bool {
        self.host.is_stopped() || !self.is_held.get() && self.check_after(Duration::ZERO).is_err()
    }

    /// How long an answer may be waited for, if the pass has an end that counts now.
    pub fn left(&self) -> Option<Duration> {
        let (_, end) = self.end.filter(|_| !self.is_held.get())?;
        Some(end.saturating_sub(self.host.elapsed()))
    }

    /// Whether the pass would still go on after a wait.
    ///
    /// # Errors
    /// [`Error::TryLater`] if not.
    pub fn check_after(&self, wait: Duration) -> Result<(), Error> {
        match self.end {
            Some((_, end)) if self.host.elapsed().saturating_add(wait) >= end => {
                Err(Error::TryLater(
                    "the time given with --max-time is over; the next run goes on from here"
                        .to_owned(),
                ))
            }
            _ => Ok(()),
        }
    }

    /// Waits, if the pass still goes on afterwards.
    ///
    /// # Errors
    /// [`Error::TryLater`] if not, [`Error::Stopped`] if somebody has stopped it.
    pub fn sleep(&self, wait: Duration) -> Result<(), Error> {
        self.check_after(wait)?;
        self.host.sleep(wait);
        self.check_stop()
    }

    /// The same; `why` is said to who watches, with the seconds that are left.
    ///
    /// # Errors
    /// As [`Deadline::sleep`].
    pub fn sleep_saying(&self, wait: Duration, why: &str) -> Result<(), Error> {
        let Some(live) = self.live else {
            return self.sleep(wait);
        };
        self.check_after(wait)?;
        let end = self.host.elapsed().saturating_add(wait);
        loop {
            let left = end.saturating_sub(self.host.elapsed());
            if left.is_zero() {
                return Ok(());
            }
            live.waits(why, left);
            self.host.sleep(left.min(TOLD_EVERY));
            self.check_stop()?;
        }
    }

    /// Waits, at most until the pass is over.
    pub fn pause(&self, wait: Duration) {
        self.stay(self.left().map_or(wait, |left| wait.min(left)));
    }

    /// Waits within what was begun in time and is brought to its end.
    pub fn stay(&self, wait: Duration) {
        if !wait.is_zero() {
            self.host.sleep(wait);
        }
    }

    /// Begins what is of use only as a whole, if there is time; it may go on while this lives.
    ///
    /// # Errors
    /// [`Error::TryLater`].
    pub fn hold(&self) -> Result<Held<'_>, Error> {
        self.check()?;
        self.is_held.set(true);
        Ok(Held(&self.is_held))
    }
}
