//! What passes have left, and `history`: what they did.

use std::path::Path;

use jiff::Timestamp;
use serde_json::json;

use crate::config::Config;
use crate::engine::index_at_hand;
use crate::engine::pass_record::{PassEnd, PassRecord, load};
use crate::error::Result;
use crate::index::{History, Index, Meta};
use crate::io::dirs;
use crate::io::time_zone::time_zone;
use crate::report::{Counts, counted, print_line, printable, size_text};
use crate::timestamp::full_text;

/// Passes that are shown without being asked for a number.
pub const SHOWN: usize = 20;

/// What passes have left, wherever the last one left it.
///
/// # Errors
/// What the index says.
pub fn record(index: Option<&Index>, state_dir: &Path) -> Result<Option<PassRecord>> {
    let noted = match index {
        Some(index) => index.meta(Meta::RuntimeDir)?,
        None => None,
    };
    let noted = noted.filter(|dir| !dir.is_empty());
    let of_noted = noted.and_then(|dir| dirs::open_runtime_at(Path::new(&dir)));
    let found = of_noted.and_then(|disk| load(&disk, state_dir));
    Ok(found.or_else(|| load(&dirs::open_runtime()?, state_dir)))
}

/// What a pass did, in a few words; one that `failed` may not have come to look.
pub fn done_text(counts: &Counts, failed: bool) -> String {
    let done = counts.words().into_iter();
    let done: Vec<_> = done
        .filter(|(count, ..)| *count > 0)
        .map(|(count, one, many)| counted(count, one, many))
        .collect();
    match done.is_empty() {
        true if failed => "nothing done".to_owned(),
        true => "nothing to do".to_owned(),
        false => done.join(", "),
    }
}

/// `history`: what the last passes did that did something, the newest last.
///
/// # Errors
/// What the index says.
pub fn history(config: &Config, last: usize, is_json: bool) -> Result<String> {
    let state_dir = dirs::state_dir(config)?;
    let Some(index) = index_at_hand(&state_dir)? else {
        return Ok("no run has been made yet".to_owned()).map(|text| match is_json {
            true => String::new(),
            false => text,
        });
    };
    let newest = record(Some(&index), &state_dir)?.and_then(|record| record.last_change);
    let mut lines = Vec::new();
    for (seq, started, line) in History(&index).last(last)? {
        let kept = PassEnd::of_line(&line);
        let ended = newest.clone().filter(|end| end.history == Some(seq));
        let Some(end) = ended.or(kept) else {
            continue;
        };
        let at = Timestamp::from_second(started).unwrap_or_default();
        match is_json {
            true => print_pass(at, &end),
            false => lines.push(line_of(at, &end)),
        }
    }
    if lines.is_empty() && !is_json {
        lines.push("no run has changed anything yet".to_owned());
    }
    Ok(lines.join("\n"))
}

fn print_pass(at: Timestamp, end: &PassEnd) {
    let error = end.error.as_ref();
    let error = error.map(|(code, text)| json!({ "code": code, "text": text }));
    print_line(
        "pass",
        json!({ "started": at.to_string(), "seconds": end.seconds, "exit_code": end.exit_code,
                "error": error, "counts": end.counts, "bytes_up": end.bytes_up,
                "bytes_down": end.bytes_down }),
    );
}

fn line_of(at: Timestamp, end: &PassEnd) -> String {
    let mut text = format!(
        "{}  {}",
        full_text(at, &time_zone()),
        done_text(&end.counts, end.error.is_some())
    );
    for (bytes, done) in [(end.bytes_up, "sent"), (end.bytes_down, "received")] {
        if bytes > 0 {
            text.push_str(&format!(", {} {done}", size_text(bytes)));
        }
    }
    match (&end.error, end.exit_code, end.seconds) {
        (Some((_, error)), Some(code), _) => {
            text.push_str(&format!("; exit code {code}: {}", printable(error)));
        }
        (None, Some(0), Some(seconds)) => text.push_str(&format!("; {seconds:.1} s")),
        (None, Some(code), _) => text.push_str(&format!("; exit code {code}")),
        (_, None, _) => text.push_str("; how it ended is not known"),
    }
    text
}
