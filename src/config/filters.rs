//! The filter keys: a list, the predecessor's comma-separated string, or the preset `"openhab"`.

use super::ConfigError;
use super::document::{Document, Setting};
use crate::core::filter::Filter;

/// The predecessor's documented defaults, for `"openhab"`.
const OPENHAB_UPLOAD: &str = "^([^/]*/){1}[^/]*$,/configurations.*,/logs/.*,/etc/.*";
const OPENHAB_DOWNLOAD: &str = "^([^/]*/){1}[^/]*$,/configurations.*";

/// For a pattern with a comma in it.
const LIST_REMEDY: &str = "a string is split at every comma; write a list instead, as in \
                           ['/a{1,2}', '/b']";

/// A pattern and its line; none for a default.
type Pattern = (String, Option<usize>);

/// Reads and compiles `[sync] upload_filter`, `download_filter`, `exclude` and `hidden`.
pub(super) fn read(doc: &Document, warnings: &mut Vec<ConfigError>) -> Result<Filter, ConfigError> {
    let upload_item = doc.required("sync.upload_filter")?;
    let download_item = doc.required("sync.download_filter")?;
    let exclude_item = doc.required("sync.exclude")?;
    let upload = patterns(&upload_item, OPENHAB_UPLOAD)?;
    let download = patterns(&download_item, OPENHAB_DOWNLOAD)?;
    let exclude = exclude_item.list()?;
    let hidden = doc.required("sync.hidden")?.flag()?;
    let texts = |patterns: &[Pattern]| -> Vec<String> {
        patterns.iter().map(|(text, _)| text.clone()).collect()
    };
    let lists = [
        (&upload_item, &upload),
        (&download_item, &download),
        (&exclude_item, &exclude),
    ];
    let filter = Filter::new(&texts(&upload), &texts(&download), &texts(&exclude), hidden);
    let filter = filter.map_err(|error| {
        let (setting, patterns) = match error.list {
            "upload_filter" => lists[0],
            "download_filter" => lists[1],
            _ => lists[2],
        };
        let what = format!("pattern '{}': {}", error.pattern, error.what);
        let remedy = if setting.is_text() && is_torn(&error.pattern) {
            LIST_REMEDY
        } else {
            &error.remedy
        };
        let line = patterns.get(error.index).and_then(|(_, line)| *line);
        ConfigError {
            line,
            ..setting.error(&what, remedy)
        }
    })?;
    for (setting, patterns) in lists {
        for (pattern, line) in patterns {
            if let Some((why, remedy)) = matches_nothing(pattern) {
                let what = format!("pattern '{pattern}' matches no path: {why}");
                warnings.push(ConfigError {
                    line: *line,
                    ..setting.error(&what, remedy)
                });
            }
        }
    }
    Ok(filter)
}

fn patterns(setting: &Setting, preset: &str) -> Result<Vec<Pattern>, ConfigError> {
    if !setting.is_text() {
        return setting.list();
    }
    let text = match setting.text()? {
        "openhab" => preset,
        text => text,
    };
    Ok(split(text)
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
