//! What a pass does as JSON, one object a line, as it happens: nothing of it is kept.
//!
//! docs/json.md is the schema.

use std::io::{self, Write};
use std::sync::OnceLock;

use serde::Serialize;

use super::changes::Details;
use super::counts::{Counts, Skipped};
use super::trouble::Trouble;
use crate::words::visible_json;

/// Version of the lines, in each of them.
const SCHEMA_VERSION: u32 = 2;

#[derive(Serialize)]
struct Line<'l, T> {
    schema_version: u32,
    #[serde(rename = "type")]
    kind: &'l str,
    #[serde(flatten)]
    fields: T,
}

/// Why stdout does not take what is printed, once it does not.
static UNPRINTED: OnceLock<String> = OnceLock::new();

/// Prints one line of data on stdout. A closed one is the reader's choice; that it cannot be
/// written to is said at the end.
pub fn print_text(text: &str) {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let _ = UNPRINTED.set(error.to_string());
        }
        _ => {}
    }
}

/// Why not all that was printed has got to stdout, if so.
pub fn unprinted() -> Option<&'static str> {
    UNPRINTED.get().map(String::as_str)
}

/// Prints one line of this type.
pub fn print_line(kind: &str, fields: impl Serialize) {
    print_text(&json_line(kind, fields));
}

/// A line of this type, for who writes many at once.
pub fn json_line(kind: &str, fields: impl Serialize) -> String {
    let line = Line {
        schema_version: SCHEMA_VERSION,
        kind,
        fields,
    };
    let json = serde_json::to_string(&line);
    json.map_or_else(|_| String::new(), |json| visible_json(&json))
}

/// How a command failed: what `error` is in a summary, or the line of a command without one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorFields {
    /// A stable word: [`crate::error::Error::code`], or `some_files`.
    pub code: &'static str,
    /// For people, on one line.
    pub text: String,
}

/// The last line of a pass.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// Everything is in step.
    pub ok: bool,
    /// What the process ends with, or would if it ran one pass.
    pub exit_code: u8,
    /// Why not.
    pub error: Option<ErrorFields>,
    /// What was done, or would be.
    pub counts: Counts,
    /// What was left out.
    pub skipped: Skipped,
    /// Bytes of contents sent.
    pub bytes_up: u64,
    /// Bytes of contents received.
    pub bytes_down: u64,
    /// How long it took.
    pub seconds: f64,
    /// When it began, RFC 3339 in UTC.
    pub started: String,
    /// Of the program.
    pub version: &'static str,
}

impl Summary {
    /// Prints it.
    pub fn print(&self) {
        print_line("summary", self);
    }
}

/// The lines of a pass.
pub(super) struct JsonLines {
    /// They say what would be done.
    pub(super) is_plan: bool,
}

impl JsonLines {
    pub(super) fn change(&self, action: &str, path: &str, details: &Details<'_>) {
        #[derive(Serialize)]
        struct Fields<'f> {
            action: &'f str,
            path: &'f str,
            #[serde(skip_serializing_if = "Option::is_none")]
            from: Option<&'f str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            size: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            files: Option<u64>,
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            planned: bool,
        }
        let fields = Fields {
            action,
            path,
            from: details.from,
            size: details.size,
            files: details.files,
            planned: self.is_plan,
        };
        print_line("change", fields);
    }

    pub(super) fn problem(&self, path: &str, code: Trouble, text: &str) {
        #[derive(Serialize)]
        struct Fields<'f> {
            path: &'f str,
            code: &'f str,
            text: &'f str,
        }
        let code = code.code();
        print_line("problem", Fields { path, code, text });
    }

    pub(super) fn pending_delete(&self, direction: &str, path: &str) {
        #[derive(Serialize)]
        struct Fields<'f> {
            direction: &'f str,
            path: &'f str,
        }
        print_line("pending_delete", Fields { direction, path });
    }

    pub(super) fn halt(&self, halt: &Halt<'_>) {
        print_line("halt", halt);
    }
}

/// Deletes of one direction that wait for a person's word.
#[derive(Debug, Serialize)]
pub struct Halt<'h> {
    /// `up` for those in Dropbox, `down` for those here.
    pub direction: &'h str,
    /// How many files and folders.
    pub count: u64,
    /// Files that were in step.
    pub of: u64,
    /// What `--approve` and `--keep` take.
    pub approve_id: &'h str,
    /// For people, on one line.
    pub text: &'h str,
}
