//! The configuration as it holds for a pass: with the globs of the content dir's own file, and with
//! what an index of an older version takes for granted.

use std::io;

use crate::config::{Config, ConfigError, PATTERNS_MAX};
use crate::core::filter::{Filter, IGNORE_FILE};
use crate::core::own_names::Instance;
use crate::core::path::RelPath;
use crate::error::{Error, Result};
use crate::index::Index;
use crate::io::disk::Disk;
use crate::io::stat::Kind;
use crate::words::grouped;

/// LIMIT: bytes of the file.
const BYTES_MAX: usize = 64 << 10;

/// What is known without a pass: see [`crate::engine::prepared`].
pub struct Prepared {
    /// The configuration as it holds.
    pub config: Config,
    /// The content dir.
    pub disk: Box<dyn Disk>,
    /// What passes have left, if there was one.
    pub index: Option<Index>,
    /// Keys below the content dir that hold files of ours.
    pub own_keys: Vec<String>,
    /// Whose temporary files a run makes.
    pub instance: Instance,
}

/// The configuration of a pass; `leaves_out_hidden` if names that start with a dot did not travel
/// when the state was begun.
///
/// # Errors
/// [`Error::Config`] for a file whose globs cannot be told: what it leaves out would travel.
pub fn in_force(config: &Config, disk: &dyn Disk, leaves_out_hidden: bool) -> Result<Config> {
    let mut held = config.clone();
    if config.sync.is_hidden_unsaid && leaves_out_hidden {
        held.sync.filter.set_hidden(false);
    }
    if let Some(text) = read(config, disk)? {
        add_globs(config, &mut held.sync.filter, &text)?;
    }
    Ok(held)
}

fn fault(config: &Config, line: Option<usize>, what: &str, remedy: &str) -> Error {
    Error::Config(ConfigError {
        file: config.sync.content_dir.join(IGNORE_FILE),
        line,
        key: None,
        what: what.to_owned(),
        remedy: remedy.to_owned(),
        next: None,
    })
}

/// The text of the file, if there is one.
fn read(config: &Config, disk: &dyn Disk) -> Result<Option<String>> {
    let path = RelPath::root().join(IGNORE_FILE);
    let path = path.map_err(|error| Error::Failed(error.to_string()))?;
    let unread = |error: io::Error| {
        let what = format!("cannot be read, so nothing was done: {error}");
        let remedy = "let this user read it: what it leaves out would travel otherwise";
        match error.kind() {
            io::ErrorKind::PermissionDenied => fault(config, None, &what, remedy),
            _ => Error::Failed(format!("{IGNORE_FILE}: {what}")),
        }
    };
    match disk.status(&path).map_err(unread)? {
        None => return Ok(None),
        Some(status) if status.kind == Kind::File && status.stamp.size > BYTES_MAX as u64 => {
            let what = format!("is larger than {} KiB", BYTES_MAX >> 10);
            return Err(fault(config, None, &what, "let one glob stand for many"));
        }
        Some(status) if status.kind == Kind::File => {}
        Some(_) => {
            let what = "is no regular file, so nothing was done";
            return Err(fault(
                config,
                None,
                what,
                "put the file itself in its place",
            ));
        }
    }
    let Some(bytes) = disk.read(&path).map_err(unread)? else {
        return Ok(None);
    };
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(error) => {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            Err(fault(
                config,
                Some(line),
                "is not UTF-8",
                "save it as UTF-8",
            ))
        }
    }
}

/// Adds the globs of the file, a line each; blank lines and comments are none.
fn add_globs(config: &Config, filter: &mut Filter, text: &str) -> Result<()> {
    for (at, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line_number = at + 1;
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if filter.pattern_count() >= PATTERNS_MAX {
            let most = grouped(PATTERNS_MAX as u64);
            let what =
                format!("there are more than {most} patterns, with those of the configuration");
            let remedy = "let one glob stand for many, as in logs/*.log";
            return Err(fault(config, Some(line_number), &what, remedy));
        }
        filter.ignore(line, Some(line_number)).map_err(|told| {
            let (what, remedy) = told.split_once("; ").unwrap_or((&told, "correct it"));
            fault(
                config,
                Some(line_number),
                &format!("'{line}' {what}"),
                remedy,
            )
        })?;
    }
    Ok(())
}
