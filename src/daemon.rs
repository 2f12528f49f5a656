//! `ferrybox run`: passes at their times, and waiting in between.
//!
//! Nothing about the schedule is kept on disk: one pass at the start makes up for whatever was
//! missed. Being killed is an ordinary way to stop, here as in a pass.

pub mod gateway;
pub mod timetable;
pub mod wakeup;
pub mod watcher;

use jiff::Timestamp;

use crate::core::schedule::scheduler::{Due, Scheduler, Schedules};
use crate::error::{ExitCode, Result};

/// Why waiting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The time has come, or the clock was set.
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

/// How a pass ended that is no reason to end altogether.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything that could be done is done.
    Done,
    /// Something is left for another pass, soon.
    Left {
        /// Other things were done.
        progress: bool,
    },
}

/// What the loop runs on.
pub trait Station {
    /// The clock on the wall.
    fn now(&self) -> Timestamp;

    /// When each half of a pass fires.
    fn schedules(&self) -> Schedules;

    /// Runs one pass, or half of it, and tells how it went. A pass that is `prompt` answers to
    /// something that has just happened.
    ///
    /// # Errors
    /// What only a person can mend.
    fn pass(&mut self, due: Due, prompt: bool) -> Result<Ended>;

    /// Waits until then, as the clock on the wall has it.
    fn wait(&mut self, next: Option<Timestamp>) -> Wake;

    /// Reads the configuration again. One that cannot be used is told about and left alone.
    fn reload(&mut self);
}

/// Runs passes until something only a person can mend, or the end.
///
/// # Errors
/// As [`Station::pass`].
pub fn run(station: &mut dyn Station) -> Result<ExitCode> {
    let mut scheduler = Scheduler::new(station.schedules(), station.now());
    let mut due = Due::BOTH;
    let mut prompt = false;
    loop {
        if due.is_any() {
            match station.pass(due, prompt)? {
                Ended::Done => scheduler.succeeded(),
                Ended::Left { progress } => {
                    if progress {
                        scheduler.succeeded();
                    }
                    scheduler.failed(due, station.now());
                }
            }
        }
        due = scheduler.due_now(station.now());
        prompt = false;
        if due.is_any() {
            continue;
        }
        let wake = station.wait(scheduler.next());
        due = scheduler.due_now(station.now());
        match wake {
            Wake::Time => {}
            Wake::Local => (due.up, prompt) = (true, true),
            Wake::Remote => (due.down, prompt) = (true, true),
            Wake::Reload => {
                station.reload();
                scheduler = Scheduler::new(station.schedules(), station.now());
                // What was due, or would be by what it says now.
                due = Due::BOTH;
            }
            Wake::End => return Ok(ExitCode::Ok),
        }
    }
}
