//! The filter keys: a list, the predecessor's comma-separated string, or the preset `"openhab"`.

use super::ConfigError;
use super::document::{Document, Setting, short};
use super::manners::texts;
use crate::core::filter::Filter;
use crate::words::grouped;

/// The predecessor's documented defaults, for `"openhab"`.
const OPENHAB_UPLOAD: &str = "^([^/]*/){1}[^/]*$,/configurations.*,/logs/.*,/etc/.*";
const OPENHAB_DOWNLOAD: &str = "^([^/]*/){1}[^/]*$,/configurations.*";

/// For a pattern with a comma in it.
const LIST_REMEDY: &str = "a string is split at every comma; write a list instead, as in \
                           ['/a{1,2}', '/b']";

/// LIMIT: patterns of a configuration, or of it and [`crate::core::filter::IGNORE_FILE`]. Each is
/// compiled, and asked about every path: 20,000 of them took 2.4 s and 61 MB.
pub const PATTERNS_MAX: usize = 1000;

/// A pattern and its line; none for a default.
type Pattern = (String, Option<usize>);

/// What the configuration says of which paths travel.
pub(super) struct ReadFilter {
    /// With a fault it means nothing.
    pub(super) filter: Filter,
    /// Names that start with a dot travel because nothing is said of them.
    pub(super) is_hidden_unsaid: bool,
}

/// Reads and compiles `[sync] upload_filter`, `download_filter`, `exclude`, `ignore` and `hidden`.
pub(super) fn read(
    doc: &Document,
    warnings: &mut Vec<ConfigError>,
) -> (ReadFilter, Vec<ConfigError>) {
    let (lists, mut faults) = read_lists(doc, warnings);
    let is_openhabs = ["sync.upload_filter", "sync.download_filter"]
        .iter()
        .any(|path| {
            let setting = doc.setting(path);
            setting.is_some_and(|setting| matches!(setting.text(), Ok("openhab")))
        });
    let given = doc.setting("sync.hidden").map(|setting| setting.flag());
    let given = given.transpose().unwrap_or_else(|fault| {
        faults.push(fault);
        None
    });
    let [upload, download, exclude] = lists;
    // The predecessor never took them.
    let hidden = given.unwrap_or(!is_openhabs);
    let filter = Filter::new(&upload, &download, &exclude, hidden);
    let mut filter = filter.unwrap_or_else(|_| Filter::everything());
    faults.extend(add_ignored(doc, &mut filter));
    let read = ReadFilter {
        filter,
        is_hidden_unsaid: given.is_none() && !is_openhabs,
    };
    (read, faults)
}

/// Adds the globs of `ignore`; returns what is wrong with them.
fn add_ignored(doc: &Document, filter: &mut Filter) -> Vec<ConfigError> {
    let setting = match doc.required("sync.ignore") {
        Ok(setting) => setting,
        Err(fault) => return vec![fault],
    };
    let globs = match texts(&setting) {
        Ok(globs) => globs,
        Err(fault) => return vec![fault],
    };
    if filter.pattern_count() + globs.len() > PATTERNS_MAX {
        return vec![too_many(&setting, filter.pattern_count() + globs.len())];
    }
    let mut faults = Vec::new();
    for (glob, line) in globs {
        if let Err(told) = filter.ignore(&glob, None) {
            let (what, remedy) = told.split_once("; ").unwrap_or((&told, "correct it"));
            faults.push(ConfigError {
                line,
                ..setting.error(&format!("'{}' {what}", short(&glob)), remedy)
            });
        }
    }
    faults
}

fn too_many(setting: &Setting, count: usize) -> ConfigError {
    let (count, most) = (grouped(count as u64), grouped(PATTERNS_MAX as u64));
    let what = format!("there are {count} patterns in all, and {most} are allowed");
    setting.error(&what, "let one pattern stand for many, as in '/logs/.*'")
}

/// The patterns of the three lists of regular expressions, and what is wrong with them.
fn read_lists(
    doc: &Document,
    warnings: &mut Vec<ConfigError>,
) -> ([Vec<String>; 3], Vec<ConfigError>) {
    let mut faults = Vec::new();
    let mut note = |fault| faults.push(fault);
    let mut lists = Vec::new();
    for (path, preset) in [
        ("sync.upload_filter", Some(OPENHAB_UPLOAD)),
        ("sync.download_filter", Some(OPENHAB_DOWNLOAD)),
        ("sync.exclude", None),
    ] {
        let setting = match doc.required(path) {
            Ok(setting) => setting,
            Err(fault) => {
                note(fault);
                continue;
            }
        };
        match preset.map_or_else(|| setting.list(), |preset| patterns(&setting, preset)) {
            Ok(patterns) => lists.push((setting, patterns)),
            Err(fault) => note(fault),
        }
    }
    let count: usize = lists.iter().map(|(_, patterns)| patterns.len()).sum();
    let longest = lists.iter().max_by_key(|(_, patterns)| patterns.len());
    if let Some((setting, _)) = longest.filter(|_| count > PATTERNS_MAX) {
        note(too_many(setting, count));
        lists.clear();
    }
    for (setting, patterns) in &lists {
        for (pattern, line) in patterns {
            let at = |fault: ConfigError| ConfigError {
                line: *line,
                ..fault
            };
            // Each alone, so that all that are wrong are told.
            if let Err(error) = Filter::new(std::slice::from_ref(pattern), &[], &[], false) {
                let what = format!("pattern '{}': {}", shown(&error.pattern), error.what);
                let is_torn = setting.is_text() && is_torn(&error.pattern);
                let remedy = if is_torn { LIST_REMEDY } else { &error.remedy };
                note(at(setting.error(&what, remedy)));
            } else if let Some((why, remedy)) = matches_nothing(pattern) {
                let what = format!("pattern '{}' matches no path: {why}", shown(pattern));
                warnings.push(at(setting.error(&what, remedy)));
            }
        }
    }
    let texts = |at: usize| -> Vec<String> {
        let patterns = lists.get(at).map(|(_, patterns)| patterns.iter());
        let texts = patterns.into_iter().flatten();
        texts.map(|(text, _)| text.clone()).collect()
    };
    ([texts(0), texts(1), texts(2)], faults)
}

fn patterns(setting: &Setting, preset: &str) -> Result<Vec<Pattern>, ConfigError> {
    if !setting.is_text() {
        return setting.list();
    }
    let text = match setting.text()? {
        "openhab" => preset,
        text => text,
    };
    if text.trim().is_empty() {
        return Err(setting.error(
            "is empty, which meant openHAB's default there and would let nothing through here",
            "write \"openhab\" for that default, ['/.*'] for every path, [] for none",
        ));
    }
    let parts = split(text);
    let begins_with_a_blank = |part: &String| part.starts_with(char::is_whitespace);
    if parts.iter().any(begins_with_a_blank) {
        let trimmed: Vec<_> = parts.iter().map(|part| part.trim()).collect();
        return Err(setting.error(
            "has a blank before a pattern, which then matches no path",
            &format!("write '{}'", trimmed.join(",")),
        ));
    }
    Ok(parts
        .into_iter()
        .map(|part| (part, setting.line()))
        .collect())
}

/// Java's `String.split(",")`: nothing is trimmed, empty parts at the end are dropped. So `""` is
/// one empty pattern and `","` is none; either lets nothing pass.
fn split(text: &str) -> Vec<String> {
    let kept = text.trim_end_matches(',');
    match (text, kept) {
        ("", _) => vec![String::new()],
        (_, "") => Vec::new(),
        (_, kept) => kept.split(',').map(str::to_owned).collect(),
    }
}

/// Whether a split left one half of a `{1,2}`, `[a,b]` or `(a,b)`.
fn is_torn(pattern: &str) -> bool {
    ["{}", "[]", "()"].iter().any(|pair| {
        let count = |bracket: &str| pattern.matches(bracket).count();
        count(&pair[..1]) != count(&pair[1..])
    })
}

/// Why a pattern can match nothing and what was probably meant. Only what is certain: a filter
/// that silently does nothing costs a backup, but a false alarm costs trust.
/// Letters of a pattern that are shown; nobody finds a mistake in more.
const PATTERN_CHARS_MAX: usize = 120;

/// A pattern in a message.
fn shown(pattern: &str) -> String {
    if pattern.chars().count() <= PATTERN_CHARS_MAX {
        return pattern.to_owned();
    }
    let start: String = pattern.chars().take(PATTERN_CHARS_MAX).collect();
    format!("{start}...")
}

fn matches_nothing(pattern: &str) -> Option<(&'static str, &'static str)> {
    let mut chars = pattern.strip_prefix('^').unwrap_or(pattern).chars();
    let first = chars.next();
    let optional = chars.next().is_some_and(|second| "*?{".contains(second));
    match first {
        _ if pattern.contains(['|', '\\']) => None,
        None => Some(("it is empty", "write '/.*' for every path, [] for none")),
        Some(_) if pattern == "openhab" => Some((
            "in a list it is no preset",
            "write \"openhab\" alone, without a list",
        )),
        Some(' ') if !optional => Some((
            "it starts with a blank",
            "leave out the blank, or use a list",
        )),
        Some(c) if !optional && !"/.([$".contains(c) => Some((
            "every path starts with '/'",
            "put '/' before it for the top folder, '.*/' for any folder",
        )),
        Some(_) if pattern.ends_with('/') => Some((
            "no path ends with '/'",
            "leave out the last '/', or write '/.*' there",
        )),
        Some(_) => None,
    }
}
