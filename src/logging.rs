//! Where lines go: stderr, and a file if the configuration names one.
//!
//! Data never comes this way. Only our own lines do: at trace level the HTTP layer would print
//! headers.

mod apart;
pub mod file;

use std::io::Write;
use std::sync::{Mutex, OnceLock, PoisonError};

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::config::{Config, ConfigError};
use crate::io::env;
use crate::io::terminal;
use crate::io::time_zone::time_zone;
use crate::report::{ACTION, CLEAR_LINE, visible};
use file::LogFile;
pub use file::old_generation;

/// The target of lines for whoever watches: an idle run has nothing else to say, and leaves the
/// file alone.
pub const WATCHER: &str = "ferrybox::watcher";

/// The target of lines that are told once and warn of nothing.
pub const NOTICE: &str = "ferrybox::notice";

/// Both places.
struct Both {
    stderr: OnceLock<env_logger::Logger>,
    file: Mutex<Option<LogFile>>,
}

static BOTH: Both = Both {
    stderr: OnceLock::new(),
    file: Mutex::new(None),
};

impl Log for Both {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if let Some(stderr) = self.stderr.get()
            && stderr.matches(record)
        {
            stderr.log(record);
        }
        let target = record.target();
        let is_ours = target.starts_with("ferrybox") && target != WATCHER;
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &mut *file
            && is_ours
            && record.level() <= log::max_level()
        {
            file.add(record.level(), &shown(&record.args().to_string()));
        }
    }

    fn flush(&self) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &mut *file {
            file.write();
        }
    }
}

/// How much is said on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loudness {
    /// Problems, and what needs a person.
    Quiet,
    /// The same, and to who watches also what is worth a line.
    Usual,
    /// Single actions.
    Verbose,
    /// Requests.
    Debug,
}

/// Warnings only, unless somebody watches or asks for more.
pub fn start(loudness: Loudness) {
    let watched = terminal::is_watched();
    let level = match loudness {
        Loudness::Usual if watched => LevelFilter::Info,
        Loudness::Quiet | Loudness::Usual => LevelFilter::Warn,
        Loudness::Verbose => LevelFilter::Info,
        Loudness::Debug => LevelFilter::Debug,
    };
    // Who watches sees actions move.
    let actions = match loudness {
        Loudness::Quiet | Loudness::Usual => LevelFilter::Warn,
        Loudness::Verbose | Loudness::Debug => level,
    };
    let clear = if terminal::can_draw() { CLEAR_LINE } else { "" };
    let (bold, plain) = match terminal::has_bold() {
        true => ("\x1b[1m", "\x1b[0m"),
        false => ("", ""),
    };
    let journal = env::env("JOURNAL_STREAM").is_some() && !watched;
    let stderr = env_logger::Builder::new()
        .filter_module("ferrybox", level)
        .filter_module(ACTION, actions)
        .format(move |out, record| {
            let priority = match record.level() {
                Level::Error => "<3>",
                Level::Warn => "<4>",
                Level::Info => "<6>",
                Level::Debug | Level::Trace => "<7>",
            };
            let text = shown(&record.args().to_string());
            let word = match record.level() {
                _ if journal => return writeln!(out, "{priority}{text}"),
                Level::Error => "ferrybox:",
                Level::Warn if record.target() != NOTICE => "warning:",
                Level::Warn | Level::Info | Level::Debug | Level::Trace => {
                    return writeln!(out, "{clear}{text}");
                }
            };
            writeln!(out, "{clear}{bold}{word}{plain} {text}")
        })
        .build();
    if BOTH.stderr.set(stderr).is_ok() && log::set_logger(&BOTH).is_ok() {
        log::set_max_level(level);
    }
}

/// A text of one line or several, with nothing in them that steers a terminal, whoever wrote it.
pub fn shown(text: &str) -> String {
    text.split('\n').map(visible).collect::<Vec<_>>().join("\n")
}

/// From now on lines go into the file of the configuration as well, what is done included.
///
/// # Errors
/// Why the file cannot be where it is to be.
pub fn to_file(config: &Config) -> Result<(), ConfigError> {
    let file = match &config.log.file {
        Some(path) => file::opened(path, config, time_zone())?,
        None => None,
    };
    if file.is_some() {
        log::set_max_level(log::max_level().max(LevelFilter::Info));
    }
    flush();
    *BOTH.file.lock().unwrap_or_else(PoisonError::into_inner) = file;
    Ok(())
}

/// Writes what the file lacks: once for each pass, so that a card sees one write at most.
pub fn flush() {
    BOTH.flush();
}
