//! What was typed, as the program takes it: which command, and what it is told.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::completions::Shell;
use super::definition::PROGRAM;
use super::files::FilesCommand;
use super::man;
use super::matches::{Matches, UsageError};
use super::parse::{Parsed, parse};
use super::usage;
use crate::commands::past::SHOWN;
use crate::io::terminal::{self, Terminal};
use crate::logging::Loudness;
use crate::report::{Report, ReportKind};

/// The version of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What is asked of the program.
#[derive(Debug)]
pub enum Requested {
    /// A text that it has in it.
    Text(String),
    /// A command.
    Run(Cli),
}

/// What these words ask for.
///
/// # Errors
/// Why they make no sense.
pub fn requested(words: Vec<OsString>) -> Result<Requested, UsageError> {
    let matches = match parse(words)? {
        Parsed::Help(path) => return Ok(Requested::Text(usage::help(&path))),
        Parsed::Version => return Ok(Requested::Text(format!("ferrybox {VERSION}\n"))),
        Parsed::Command(matches) => matches,
    };
    match matches.names()[..] {
        ["completions"] => {
            let shells = matches.argument_texts()?;
            let scripts = shells
                .iter()
                .map(|shell| Shell::named(shell).script(&PROGRAM));
            Ok(Requested::Text(scripts.collect()))
        }
        ["man"] => Ok(Requested::Text(man::page(&PROGRAM, VERSION))),
        _ => Ok(Requested::Run(Cli::read(&matches)?)),
    }
}

/// A command, and what holds for every one of them.
#[derive(Debug)]
pub struct Cli {
    /// The configuration that was named.
    pub config: Option<PathBuf>,
    /// How much more is said.
    pub verbose: usize,
    /// Whether only what is wrong is said.
    pub quiet: bool,
    /// Whether programs are to understand it.
    pub json: bool,
    /// The command.
    pub command: Command,
}

/// A command with what it is told.
#[derive(Debug)]
pub enum Command {
    /// One pass.
    Sync(SyncFlags),
    /// Passes by the times of the configuration.
    Run(TimeFlags),
    /// When they are.
    Schedule,
    /// How things stand.
    Status {
        /// Whether Dropbox is asked as well.
        online: bool,
        /// Older than this the last success is too old.
        max_age: Option<Duration>,
        /// The file that becomes a page for browsers.
        html: Option<PathBuf>,
    },
    /// What decides about a path.
    Why {
        /// The path.
        path: String,
    },
    /// What the last runs did.
    History {
        /// So many of them.
        last: usize,
    },
    /// What patterns match.
    CheckFilters {
        /// Paths to be decided; none for all.
        paths: Vec<String>,
    },
    /// What may be wrong.
    Doctor,
    /// Something about files in Dropbox.
    Files(FilesCommand),
    /// The link for signing in.
    StartAuthentication,
    /// The code that came of it.
    FinishAuthentication {
        /// The code; read from stdin without it.
        code: Option<String>,
    },
    /// The end of that.
    Logout,
}

/// What one pass is told.
#[derive(Debug)]
pub struct SyncFlags {
    /// Only changes from here travel.
    pub upload_only: bool,
    /// Only changes from there travel.
    pub download_only: bool,
    /// Nothing is changed.
    pub dry_run: bool,
    /// Halts that may go on.
    pub approve: Vec<String>,
    /// Halts whose files are kept.
    pub keep: Vec<String>,
    /// What it keeps to.
    pub limits: TimeFlags,
}

/// What a pass keeps to.
#[derive(Debug)]
pub struct TimeFlags {
    /// It ends after this time.
    pub max_time: Option<Duration>,
    /// It waits a random part of this time first.
    pub jitter: Option<Duration>,
}

impl Cli {
    /// What was typed.
    pub fn read(matches: &Matches) -> Result<Cli, UsageError> {
        Ok(Cli {
            config: matches.value("config").map(PathBuf::from),
            verbose: matches.count("verbose"),
            quiet: matches.has("quiet"),
            json: matches.has("json"),
            command: Command::read(matches)?,
        })
    }

    /// How much is said.
    pub fn loudness(&self) -> Loudness {
        match self.verbose {
            _ if self.quiet => Loudness::Quiet,
            0 => Loudness::Usual,
            1 => Loudness::Verbose,
            _ => Loudness::Debug,
        }
    }

    /// Whether somebody is shown what moves.
    pub fn is_watched(&self) -> bool {
        terminal::is_watched() && !self.json && !self.quiet
    }

    /// What is told of a pass, and how.
    pub fn report(&self, kind: ReportKind) -> Report {
        let mut report = Report::new(kind);
        if self.is_watched() {
            report = report.watched(Box::new(Terminal::new()));
        }
        if self.json {
            report = report.as_json();
        }
        if self.verbose > 0 {
            report = report.verbose();
        }
        report
    }
}

impl Command {
    fn read(matches: &Matches) -> Result<Command, UsageError> {
        let mut arguments = matches.argument_texts()?.into_iter();
        Ok(match matches.names()[..] {
            ["sync"] => Command::Sync(SyncFlags::read(matches)?),
            ["run"] => Command::Run(TimeFlags::read(matches)?),
            ["schedule"] => Command::Schedule,
            ["status"] => Command::Status {
                online: matches.has("online"),
                max_age: matches.read("max-age", age)?,
                html: matches.value("html").map(PathBuf::from),
            },
            ["why"] => Command::Why {
                path: arguments.next().unwrap_or_default(),
            },
            ["history"] => Command::History {
                last: matches.read("last", number)?.unwrap_or(SHOWN),
            },
            ["check-filters"] => Command::CheckFilters {
                paths: arguments.collect(),
            },
            ["doctor"] => Command::Doctor,
            ["startAuthentication"] => Command::StartAuthentication,
            ["finishAuthentication"] => Command::FinishAuthentication {
                code: arguments.next(),
            },
            ["logout"] => Command::Logout,
            // A test goes through all that are defined.
            _ => match FilesCommand::read(matches)? {
                Some(files) => Command::Files(files),
                None => return Err(matches.error("this command is not there yet")),
            },
        })
    }
}

impl SyncFlags {
    fn read(matches: &Matches) -> Result<SyncFlags, UsageError> {
        Ok(SyncFlags {
            upload_only: matches.has("upload-only"),
            download_only: matches.has("download-only"),
            dry_run: matches.has("dry-run"),
            approve: matches.texts("approve")?,
            keep: matches.texts("keep")?,
            limits: TimeFlags::read(matches)?,
        })
    }
}

impl TimeFlags {
    fn read(matches: &Matches) -> Result<TimeFlags, UsageError> {
        Ok(TimeFlags {
            max_time: matches.read("max-time", time)?,
            jitter: matches.read("jitter", time)?,
        })
    }
}

/// A number of the command line.
fn number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "write a number".to_owned())
}

/// A time of the command line.
fn time(text: &str) -> Result<Duration, String> {
    let (digits, unit) = match text.strip_suffix(['s', 'm', 'h', 'd']) {
        Some(digits) => (digits, &text[digits.len()..]),
        None => (text, "s"),
    };
    let scale = match unit {
        "d" => 24 * 3600,
        "h" => 3600,
        "m" => 60,
        _ => 1,
    };
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = digits.parse::<u64>().ok().filter(|seconds| *seconds > 0);
    seconds
        .filter(|_| is_number)
        .and_then(|seconds| seconds.checked_mul(scale))
        .filter(|seconds| *seconds <= 7 * 24 * 3600)
        .map(Duration::from_secs)
        .ok_or_else(|| {
            "write seconds, or a number with s, m, h or d: more than none, and up to a week"
                .to_owned()
        })
}

/// An age, which may be longer than a pass may take.
fn age(text: &str) -> Result<Duration, String> {
    let (digits, scale) = match text.strip_suffix('d') {
        Some(digits) => (digits, 24 * 3600),
        None => return time(text),
    };
    let days = digits
        .parse::<u64>()
        .ok()
        .filter(|days| (1..=3650).contains(days));
    days.map(|days| Duration::from_secs(days * scale))
        .ok_or_else(|| "write a number with s, m, h or d, as in 26h".to_owned())
}
