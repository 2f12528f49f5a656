//! What passes leave for whoever asks later: how the last one went, what has been wrong and since
//! when, and what people were told. It is in the runtime directory, which is memory: a pass that
//! finds nothing to do writes it and no card.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::core::own_names::{is_short_lived_name, short_lived_name};
use crate::core::path::RelPath;
use crate::dropbox::tokens::hash_hex;
use crate::io::dirs::without_links;
use crate::io::disk::{Access, Disk, ReadDisk};
use crate::report::{Counts, HaltNote, Skipped, Traffic};

/// What the name of the file begins with.
const PREFIX: &str = "pass-";

/// LIMIT: problems that are kept by their paths.
pub const PROBLEMS_MAX: usize = 500;

/// Seconds in a day: what lasts is told again after so long.
pub const DAY_S: i64 = 24 * 3600;

/// What passes leave.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PassRecord {
    /// When all ways that the mode has had come to their end, paths with problems or not, in
    /// seconds since 1970.
    pub last_success: Option<i64>,
    /// When the last pass came to its end that went up.
    pub ok_up: Option<i64>,
    /// When the last pass came to its end that brought down.
    pub ok_down: Option<i64>,
    /// The last pass.
    pub last_pass: Option<PassEnd>,
    /// The last one that did something: the history has it until the next one writes there.
    pub last_change: Option<PassEnd>,
    /// Paths that could not be handled by the last pass that came to its end.
    pub problems: BTreeMap<String, ProblemNote>,
    /// How many there were.
    pub problem_count: u64,
    /// Deletes that wait for a person's word.
    pub halts: Vec<HaltNote>,
    /// What has ended every pass since the last that came to its end.
    pub failing: Option<Failing>,
    /// What did so before, where it was not told yet that it is over.
    pub over: Option<Failing>,
    /// What those of `[notify]` were told last, if it was no good news.
    pub alarm: Option<Alarm>,
    /// They were told how it is since this record began: after a restart nobody knows what they
    /// were told before.
    pub has_told_state: bool,
    /// Advice, by its text, and when it was told.
    pub advice: BTreeMap<String, i64>,
    /// When the problems were told all together.
    pub problems_told: Option<i64>,
}

/// How a pass ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PassEnd {
    /// When it began, RFC 3339 in UTC.
    pub started: String,
    /// How long it took; nothing if its end is not known.
    pub seconds: Option<f64>,
    /// What the process ended with, or would have if it ran one pass; nothing if that is not known.
    pub exit_code: Option<u8>,
    /// Why not 0: a word for programs, and a line for people.
    pub error: Option<(String, String)>,
    /// What was done.
    pub counts: Counts,
    /// What was left out.
    pub skipped: Skipped,
    /// Bytes of contents sent.
    pub bytes_up: u64,
    /// Bytes of contents received.
    pub bytes_down: u64,
    /// Its number in the history of the index, if it did something.
    #[serde(default)]
    pub history: Option<i64>,
}

impl PassEnd {
    /// A pass that has not ended, as far as it has come.
    pub fn so_far(counts: Counts, bytes: Traffic) -> PassEnd {
        PassEnd {
            started: String::new(),
            seconds: None,
            exit_code: None,
            error: None,
            counts,
            skipped: Skipped::default(),
            bytes_up: bytes.up,
            bytes_down: bytes.down,
            history: None,
        }
    }

    /// As the history keeps it.
    pub fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What the history has kept.
    pub fn of_line(line: &str) -> Option<PassEnd> {
        serde_json::from_str(line).ok()
    }
}

/// A path that could not be handled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemNote {
    /// A word for programs.
    pub code: String,
    /// What is wrong and what to do.
    pub text: String,
    /// When it was first so, in seconds since 1970.
    pub since: i64,
}

/// What ends pass after pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    /// A word for programs: [`crate::error::Error::code`].
    pub code: String,
    /// For people; numbers in it may differ from pass to pass.
    pub text: String,
    /// When it was first so, in seconds since 1970.
    pub since: i64,
    /// Which ways the pass went: another one that goes both of them and ends well ends this.
    #[serde(default)]
    pub up: bool,
    /// See `up`.
    #[serde(default)]
    pub down: bool,
    /// How many passes ended so.
    pub passes: u64,
    /// When it was last told, if it was.
    pub told: Option<i64>,
    /// Something of it was told since passes have been failing.
    #[serde(default)]
    pub was_told: bool,
    /// And that where nobody watched: in a mail of cron's, or a journal.
    #[serde(default)]
    pub was_told_unwatched: bool,
}

/// What is wrong, as somebody else was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// A word for programs: [`crate::error::Error::code`], or `some_files`.
    pub code: String,
    /// When it was first told, in seconds since 1970.
    pub since: i64,
}

/// The name of the file of a state directory.
fn file_name(state_dir: &Path) -> String {
    let id = hash_hex(&without_links(state_dir).to_string_lossy());
    short_lived_name(PREFIX, &id)
}

/// Whether a file of this name in a runtime directory is such a record.
pub fn is_pass_record(name: &str) -> bool {
    is_short_lived_name(PREFIX, name)
}

/// What was left; nothing since a restart, or where it cannot be read.
pub fn load(runtime: &dyn ReadDisk, state_dir: &Path) -> Option<PassRecord> {
    let path = RelPath::parse(&file_name(state_dir)).ok()?;
    let bytes = runtime.read(&path).ok()??;
    serde_json::from_slice(&bytes).ok()
}

/// Leaves it. Nothing depends on it, so that a failure is told to who looks closely.
pub fn store(runtime: &dyn Disk, state_dir: &Path, record: &PassRecord) {
    let Ok(path) = RelPath::parse(&file_name(state_dir)) else {
        return;
    };
    let stored = serde_json::to_vec(record)
        .map_err(io::Error::other)
        .and_then(|bytes| replace(runtime, &path, &bytes));
    if let Err(error) = stored {
        log::debug!("what the pass leaves for \"status\" could not be written: {error}");
    }
}

/// Replaces a file in memory: there is no medium to force it to.
fn replace(runtime: &dyn Disk, path: &RelPath, bytes: &[u8]) -> io::Result<()> {
    let temp = RelPath::parse(&format!("{path}.new")).map_err(io::Error::other)?;
    match runtime.remove_file(&temp) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = runtime.create(&temp, Access::Private)?;
    file.write_all(bytes)?;
    drop(file);
    runtime.replace(&temp, path)
}

/// Whether something told at `told` is due to be told again. A clock that was put back makes it so.
pub fn is_due_again(told: Option<i64>, now: i64) -> bool {
    told.is_none_or(|told| now < told || now - told >= DAY_S)
}
