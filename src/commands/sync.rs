//! `sync`: what the command line asks of one pass, and the machine it runs on.

use std::time::Duration;

use jiff::Timestamp;

use crate::config::Config;
use crate::core::decide::Mode;
use crate::core::guard::Approvals;
use crate::engine::collected::KEPT_MAX;
use crate::engine::context::Options;
use crate::engine::{Seams, run_on};
use crate::error::{Error, ExitCode, Result};
use crate::io::RealHttp;
use crate::io::dirs::RealDisks;
use crate::io::host::RealHost;
use crate::io::interrupt;
use crate::logging::WATCHER;
use crate::report::{ErrorFields, Report, Summary, counted};

/// What the command line asks of a pass.
#[derive(Clone, Debug, Default)]
pub struct SyncArgs {
    /// Only bring changes down.
    pub download_only: bool,
    /// Only send changes up.
    pub upload_only: bool,
    /// Print the plan only.
    pub dry_run: bool,
    /// Approved ids.
    pub approved: Vec<String>,
    /// Ids of halts whose files are kept.
    pub kept: Vec<String>,
    /// How much time the pass may take.
    pub max_time: Option<Duration>,
}

impl SyncArgs {
    /// Whether they make sense together.
    ///
    /// # Errors
    /// [`Error::Usage`] for an id that is answered in two ways.
    pub fn check(&self) -> Result<()> {
        let both = self.kept.iter().find(|id| self.approved.contains(id));
        both.map_or(Ok(()), |id| {
            Err(Error::Usage(format!(
                "{id} is both approved and kept: give it to one of --approve and --keep"
            )))
        })
    }

    /// The options of the pass. One direction of a two-way pass is half of it: what the other half
    /// would do stays due. In a one-way mode the direction asked for replaces the mode.
    pub fn options(&self, config: &Config) -> Options {
        let (mode, down, up) = match (config.sync.mode, self.download_only, self.upload_only) {
            (Mode::Bidirectional, true, _) => (Mode::Bidirectional, true, false),
            (Mode::Bidirectional, _, true) => (Mode::Bidirectional, false, true),
            (_, true, _) => (Mode::DropboxToLocal, true, false),
            (_, _, true) => (Mode::LocalToDropbox, false, true),
            (mode, false, false) => (mode, true, true),
        };
        let dry_run = self.dry_run || config.sync.fake_mode;
        Options {
            mode,
            down,
            up,
            dry_run,
            approved: Approvals::new(self.approved.clone()),
            kept: Approvals::new(self.kept.clone()),
            max_time: self.max_time,
        }
    }
}

/// Runs one pass on this machine; `begun` is called when it has its locks.
///
/// # Errors
/// Whatever ended it, or kept it from beginning.
pub fn run(
    config: &Config,
    options: &Options,
    report: &Report,
    begun: &dyn Fn(),
) -> Result<ExitCode> {
    let seams = Seams {
        host: &RealHost::new(),
        disks: &RealDisks,
        http: &RealHttp::new(config)?,
        kept_max: KEPT_MAX,
        begun,
    };
    interrupt::set_in_pass(true);
    let result = run_on(&seams, config, options, report);
    interrupt::set_in_pass(false);
    result
}

/// Says to who watches what is kept in step.
pub fn tell_sides(config: &Config, mode: Mode) {
    log::info!(
        target: WATCHER,
        "{} <-> Dropbox {}/ ({})",
        config.sync.content_dir.display(),
        config.dropbox.remote_root,
        mode.name()
    );
}

/// Prints the last line of a pass that gives JSON.
pub fn print_summary(report: &Report, result: &Result<ExitCode>, began: Timestamp) {
    let error = match result {
        Err(error) => Some(failure(error)),
        Ok(ExitCode::SomeFiles) => Some(ErrorFields {
            code: "some_files",
            text: counted(
                report.problem_count(),
                "path has a problem",
                "paths have problems",
            ),
        }),
        Ok(_) => None,
    };
    let exit = result.as_ref().map_or_else(Error::exit_code, |exit| *exit);
    let bytes = report.bytes();
    let summary = Summary {
        ok: exit == ExitCode::Ok,
        exit_code: exit as u8,
        error,
        counts: report.counts(),
        skipped: report.skipped(),
        bytes_up: bytes.up,
        bytes_down: bytes.down,
        seconds: Timestamp::now().duration_since(began).as_secs_f64(),
        started: began.to_string(),
        version: env!("CARGO_PKG_VERSION"),
    };
    summary.print();
}

/// What an error says first, for who is told of it elsewhere: without the commands that follow.
pub fn first_sentence(error: &Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default().trim();
    let first = line.split(". One of these goes on").next();
    first.unwrap_or_default().to_owned()
}

/// An error for a program, on one line.
pub fn failure(error: &Error) -> ErrorFields {
    let text = error.to_string();
    let lines = text.lines().map(str::trim);
    ErrorFields {
        code: error.code(),
        text: match error {
            // A banner may follow; it is talk, not data.
            Error::Authentication(_) => lines.take(1).collect(),
            _ => lines.collect::<Vec<_>>().join(" "),
        },
    }
}
