//! `ferrybox run`: passes at their times, and waiting in between.
//!
//! Nothing about the schedule is kept on disk: one pass at the start makes up for whatever was
//! missed. Being killed is an ordinary way to stop, here as in a pass.

pub mod bell;
pub mod watcher;

use std::time::Duration;

use jiff::Timestamp;

use crate::core::agenda::{Agenda, Due, Times};
use crate::error::{Error, ExitCode, Result};

/// Longest sleep: then the clock is looked at again, since it may have been set.
const NAP: Duration = Duration::from_secs(60);

/// Why waiting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The time is over.
    Time,
    /// Something changed in the content dir.
    Local,
    /// Dropbox tells of changes.
    Remote,
    /// The configuration is to be read again (SIGHUP).
    Reload,
    /// It is over.
    End,
}

/// What the loop runs on.
pub trait Station {
    /// The clock on the wall.
    fn now(&self) -> Timestamp;

    /// When what fires.
    fn times(&self) -> Times;

    /// Runs one pass, or half of it, and tells how it went.
    ///
    /// # Errors
    /// Whatever ended it.
    fn pass(&mut self, due: Due) -> Result<ExitCode>;

    /// Waits, at most so long.
    fn wait(&mut self, at_most: Duration) -> Wake;

    /// Reads the configuration again. One that cannot be used is told about and left alone.
    fn reload(&mut self);

    /// Says when the next pass is, to whoever asks.
    fn waits_for(&mut self, next: Option<Timestamp>);
}

/// Runs passes until something only a person can mend, or the end.
///
/// # Errors
/// [`Error::Authentication`], [`Error::Halt`] and [`Error::Config`]; everything else is tried
/// again.
pub fn run(station: &mut dyn Station) -> Result<ExitCode> {
    let mut agenda = Agenda::new(station.times(), station.now());
    let mut due = Due::BOTH;
    loop {
        if due.is_any() {
            match station.pass(due) {
                Ok(_) => agenda.succeeded(),
                Err(error @ (Error::Authentication(_) | Error::Halt(_) | Error::Config(_))) => {
                    return Err(error);
                }
                Err(_) => agenda.failed(due, station.now()),
            }
        }
        let now = station.now();
        due = agenda.look(now);
        if due.is_any() {
            continue;
        }
        let next = agenda.next();
        station.waits_for(next);
        let left = next.and_then(|at| Duration::try_from(at.duration_since(now)).ok());
        let wake = station.wait(left.unwrap_or(NAP).min(NAP));
        due = agenda.look(station.now());
        match wake {
            Wake::Time => {}
            Wake::Local => due.up = true,
            Wake::Remote => due.down = true,
            Wake::Reload => {
                station.reload();
                agenda = Agenda::new(station.times(), station.now());
            }
            Wake::End => return Ok(ExitCode::Ok),
        }
    }
}
