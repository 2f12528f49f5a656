//! `check-filters`: what each pattern matches, what is left out, and which pattern decides about a
//! path.

use std::path::Path;

use serde_json::json;

use crate::config::Config;
use crate::core::filter::{Filter, IGNORE_FILE, LeftOut, ListName, Written};
use crate::core::names::{is_litter, refused_by_dropbox};
use crate::core::path::{RelPath, below, fold, nfc};
use crate::engine::walk::coverage::{Coverage, Surveyed};
use crate::engine::{Prepared, prepared};
use crate::error::{Error, Result};
use crate::io::dirs::RealDisks;
use crate::io::stat::{Kind, Status};
use crate::report::{counted, grouped, print_line, printable};

/// The text for people; with `is_json` lines were printed instead.
///
/// # Errors
/// If the content dir, or its own list of globs, cannot be read.
pub fn check_filters(config: &Config, paths: &[String], is_json: bool) -> Result<String> {
    let prepared = prepared(&RealDisks, config)?;
    match paths.is_empty() {
        true => counts(&prepared, is_json),
        false => {
            let texts = paths
                .iter()
                .map(|path| about_path(&prepared, path, is_json));
            let texts: Result<Vec<_>> = texts.collect();
            Ok(texts?.join("\n"))
        }
    }
}

fn counts(prepared: &Prepared, is_json: bool) -> Result<String> {
    let surveyed = Surveyed {
        disk: &*prepared.disk,
        config: &prepared.config,
        own_keys: &prepared.own_keys,
    };
    let coverage = surveyed.count()?;
    let near = surveyed.near_misses(&coverage)?;
    let filter = &prepared.config.sync.filter;
    if is_json {
        for written in filter.patterns() {
            let advice = near.get(&(written.list, written.at));
            print_pattern(&written, &coverage, advice);
        }
        print_coverage(&coverage);
        return Ok(String::new());
    }
    let of_pattern = |written: Written<'_>| {
        let advice = near.get(&(written.list, written.at));
        pattern_line(&written, &coverage, advice)
    };
    let mut lines: Vec<_> = filter.patterns().map(of_pattern).collect();
    if !lines.is_empty() {
        lines.insert(0, format!("{:>9}  {:<21} pattern", "files", "list"));
        lines.push(String::new());
    }
    lines.push(format!(
        "synced: {}",
        counted(coverage.synced, "file", "files")
    ));
    let patterns = coverage.patterns_that_leave_out();
    let left_out = coverage.skipped.text(patterns);
    let left_out = left_out.unwrap_or_else(|| "nothing".to_owned());
    lines.push(format!("not synced: {left_out}"));
    for (count, one, many, why) in [
        (
            coverage.skipped.too_large,
            "file",
            "files",
            "larger than sync.max_file_size",
        ),
        (
            coverage.not_utf8,
            "name",
            "names",
            "not UTF-8, which Dropbox cannot hold",
        ),
        (
            coverage.unread,
            "folder",
            "folders",
            "that this user may not read",
        ),
    ] {
        if count > 0 {
            lines.push(format!("also not: {} {why}", counted(count, one, many)));
        }
    }
    Ok(lines.join("\n"))
}

/// What a pattern that matches nothing was probably meant to be, and a path it would match then.
type Advice = (String, String);

fn print_pattern(written: &Written<'_>, coverage: &Coverage, advice: Option<&Advice>) {
    let advice = advice.map(|(advice, path)| json!({ "text": advice, "path": path }));
    print_line(
        "pattern",
        json!({ "list": written.list.key(), "pattern": written.text,
                "ignore_file_line": written.ignore_file_line,
                "files": coverage.files_of(written.list, written.at), "advice": advice }),
    );
}

fn pattern_line(written: &Written<'_>, coverage: &Coverage, advice: Option<&Advice>) -> String {
    let files = coverage.files_of(written.list, written.at);
    let note = match (files, advice) {
        (0, Some((advice, path))) => format!("  {advice} (see {})", printable(path)),
        (0, None) => "  matches no file here".to_owned(),
        _ => String::new(),
    };
    let (place, text) = (place(written), printable(written.text));
    format!("{:>9}  {place:<21} {text}{note}", grouped(files))
}

fn print_coverage(coverage: &Coverage) {
    print_line(
        "coverage",
        json!({ "synced": coverage.synced, "skipped": coverage.skipped,
                "not_utf8": coverage.not_utf8, "unread_folders": coverage.unread }),
    );
}

fn place(written: &Written<'_>) -> String {
    match written.ignore_file_line {
        Some(line) => format!("{IGNORE_FILE}:{line}"),
        None => format!("sync.{}", written.list.key()),
    }
}

/// A path as it was typed, as filters see it: below the content dir, or as Dropbox shows it.
pub fn typed_path(content_dir: &Path, typed: &str) -> Result<String> {
    let path = Path::new(typed);
    let relative = match path.strip_prefix(content_dir) {
        Ok(relative) => relative.to_string_lossy().into_owned(),
        Err(_) => typed.trim_start_matches('/').to_owned(),
    };
    let relative = nfc(relative.trim_end_matches('/'));
    let is_whole = relative
        .split('/')
        .all(|name| !matches!(name, "" | "." | ".."));
    match is_whole || relative.is_empty() {
        true => Ok(format!("/{relative}")),
        false => Err(Error::Usage(format!(
            "{}: name it from the content dir on, as in /logs/openhab.log",
            printable(typed)
        ))),
    }
}

/// What decides about one path.
fn about_path(prepared: &Prepared, typed: &str, is_json: bool) -> Result<String> {
    let config = &prepared.config;
    let path = typed_path(&config.sync.content_dir, typed)?;
    let relative = RelPath::parse(path.trim_start_matches('/'));
    let status = relative
        .ok()
        .and_then(|path| prepared.disk.status(&path).ok());
    let status = status.flatten();
    let is_folder = status.is_some_and(|status| status.kind == Kind::Folder);
    let decided = Decided::of(prepared, &path, is_folder || typed.ends_with('/'), status);
    if is_json {
        print_line(
            "path",
            json!({ "path": path, "up": decided.up, "down": decided.down,
                    "list": decided.list, "pattern": decided.pattern, "reason": decided.reason }),
        );
        return Ok(String::new());
    }
    Ok(format!("{}: {}", printable(&path), decided.reason))
}

/// What rules say of a path.
pub struct Decided {
    /// Whether it may go up.
    pub up: bool,
    /// Whether it may come down.
    pub down: bool,
    /// The list of the pattern that decides.
    pub list: Option<&'static str>,
    /// That pattern, as it was written.
    pub pattern: Option<String>,
    /// In a sentence.
    pub reason: String,
}

impl Decided {
    /// What the rules say of a path; `status` is what is here, if something is.
    pub fn of(prepared: &Prepared, path: &str, is_folder: bool, status: Option<Status>) -> Decided {
        let filter = &prepared.config.sync.filter;
        let key = fold(path.trim_start_matches('/'));
        let is_ours = prepared
            .own_keys
            .iter()
            .any(|own| below(&key, own).is_some());
        let left_out = match is_ours {
            true => Some(LeftOut::Own),
            false => filter.leaves_out(path, is_folder),
        };
        let shut = |reason: String| Decided {
            up: false,
            down: false,
            list: None,
            pattern: None,
            reason,
        };
        let name = path.rsplit('/').next().unwrap_or_default();
        let most = prepared.config.sync.max_file_size;
        let is_too_large = |status: &Status| {
            status.kind == Kind::File && most.is_some_and(|most| status.stamp.size > most)
        };
        match (left_out, status.map(|status| status.kind)) {
            (Some(LeftOut::Own), _) => {
                shut("not synced: it is a file of ferrybox or of its predecessor".to_owned())
            }
            (Some(LeftOut::Hidden), _) => {
                shut("not synced: a name in it starts with a dot (sync.hidden)".to_owned())
            }
            (Some(LeftOut::Pattern(list, at)), _) => by_pattern(filter, list, at, shut),
            (Some(LeftOut::NotListed), _) => shut(
                "not synced: no pattern of sync.upload_filter or sync.download_filter matches it"
                    .to_owned(),
            ),
            (None, Some(Kind::Link)) => shut("not synced: it is a symbolic link".to_owned()),
            (None, Some(Kind::Special(_))) => {
                shut("not synced: it is a pipe, a socket or a device".to_owned())
            }
            (None, Some(Kind::File | Kind::Folder) | None) if is_litter(name) => {
                shut("not synced: Dropbox never takes a file of that name".to_owned())
            }
            (None, Some(Kind::File | Kind::Folder) | None)
                if status.as_ref().is_some_and(is_too_large) =>
            {
                shut("not synced: it is larger than sync.max_file_size".to_owned())
            }
            (None, Some(Kind::File | Kind::Folder) | None) => match refused_by_dropbox(name) {
                Some(why) => shut(format!("not synced: {why}")),
                None => open(filter, path, is_folder),
            },
        }
    }
}

fn by_pattern(
    filter: &Filter,
    list: ListName,
    at: usize,
    shut: impl Fn(String) -> Decided,
) -> Decided {
    let mut patterns = filter.patterns();
    let written = patterns.find(|written| (written.list, written.at) == (list, at));
    let Some(written) = written else {
        return shut("not synced".to_owned());
    };
    let reason = format!(
        "not synced: {} '{}' matches it or a folder it lies in",
        place(&written),
        printable(written.text)
    );
    Decided {
        list: Some(list.key()),
        pattern: Some(written.text.to_owned()),
        ..shut(reason)
    }
}

/// Nothing leaves it out: which filters let it through.
fn open(filter: &Filter, path: &str, is_folder: bool) -> Decided {
    let allows = filter.allows_as(path, is_folder);
    let mut first: Option<Written<'_>> = None;
    filter.each_matching(path, is_folder, &mut |list, at| {
        let mut patterns = filter.patterns();
        let written = patterns.find(|written| (written.list, written.at) == (list, at));
        first = first.or(written);
    });
    let by = first.map_or(String::new(), |written| {
        format!(" ({} '{}')", place(&written), printable(written.text))
    });
    let ways = match (allows.up, allows.down) {
        (true, true) => "synced both ways as far as the mode goes",
        (true, false) => "goes up only: no pattern of sync.download_filter matches it",
        (false, true) => "comes down only: no pattern of sync.upload_filter matches it",
        (false, false) => "not synced",
    };
    Decided {
        up: allows.up,
        down: allows.down,
        list: first.map(|written| written.list.key()),
        pattern: first.map(|written| written.text.to_owned()),
        reason: format!("{ways}{by}"),
    }
}
