//! `ferrybox run`: passes at their times, and waiting in between.
//!
//! Nothing about the schedule is kept on disk: one pass at the start makes up for whatever was
//! missed. Being killed is an ordinary way to stop, here as in a pass.

pub mod gateway;
pub mod listening;
pub mod sign_in;
pub mod timetable;
pub mod wakeup;
pub mod watcher;

use jiff::Timestamp;

use crate::core::schedule::scheduler::{Due, Scheduler, Schedules};
use crate::error::ExitCode;

/// Why waiting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The time has come, or the clock was set.
    Time,
    /// Something changed in the content dir.
    Local,
    /// Dropbox tells of changes.
    Remote,
    /// Somebody has signed in.
    SignedIn,
    /// The configuration is to be read again (SIGHUP).
    Reload,
    /// It is over.
    End,
}

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything that could be done is done.
    Done,
    /// Something is left for another pass, soon.
    Left {
        /// Other things were done.
        progress: bool,
    },
    /// Somebody at the terminal has stopped it.
    Stopped,
}

/// What the loop drives passes with: a clock, schedules, and a way to run a pass and to wait.
pub trait Driver {
    /// The clock on the wall.
    fn now(&self) -> Timestamp;

    /// When each half of a pass fires.
    fn schedules(&self) -> Schedules;

    /// Runs one pass, or half of it, and tells how it went. A pass that is `prompt` answers to
    /// something that has just happened.
    ///
    /// Whatever keeps it from its work is told and waited out: a person may mend it meanwhile.
    fn pass(&mut self, due: Due, prompt: bool) -> Ended;

    /// Waits until then, as the clock on the wall has it.
    fn wait(&mut self, next: Option<Timestamp>) -> Wake;

    /// Whether the configuration is to be read again; asked between any two passes.
    fn is_reload_asked(&mut self) -> bool;

    /// Reads the configuration again. One that cannot be used is told about and left alone.
    fn reload(&mut self);
}

/// Runs passes until the end.
pub fn run(driver: &mut dyn Driver) -> ExitCode {
    let mut scheduler = Scheduler::new(driver.schedules(), driver.now());
    let mut due = Due::BOTH;
    let mut prompt = false;
    loop {
        if due.is_any() {
            match driver.pass(due, prompt) {
                Ended::Done => scheduler.succeeded(),
                Ended::Stopped => return ExitCode::Stopped,
                Ended::Left { progress } => {
                    if progress {
                        scheduler.succeeded();
                    }
                    scheduler.failed(due, driver.now());
                }
            }
        }
        due = scheduler.due_now(driver.now());
        prompt = false;
        let wake = match (driver.is_reload_asked(), due.is_any()) {
            (true, _) => Wake::Reload,
            (false, true) => continue,
            (false, false) => driver.wait(scheduler.next()),
        };
        due = due.and(scheduler.due_now(driver.now()));
        match wake {
            Wake::Time => {}
            Wake::Local => (due.up, prompt) = (true, true),
            Wake::Remote => (due.down, prompt) = (true, true),
            Wake::SignedIn => (due, prompt) = (Due::BOTH, true),
            Wake::Reload => {
                driver.reload();
                scheduler = Scheduler::new(driver.schedules(), driver.now());
                // What was due, or would be by what it says now.
                due = Due::BOTH;
            }
            Wake::End => return ExitCode::Ok,
        }
    }
}
