//! Lines as openHAB's add-on had them: `dropbox:key=value`, values without quotes or in
//! typographic ones, keys that meant nothing for years. They are no TOML, so each of them is told,
//! with the line to write; and they are read as if they had been put right, so that whatever else
//! is wrong in the file is told at once.

use std::path::Path;

use super::ConfigError;
use super::document::{is_value, short};
use super::keys::{self, dead_key};

/// Quotation marks as word processors and web pages put them.
const TYPOGRAPHIC: &str =
    "\u{201c}\u{201d}\u{201e}\u{201f}\u{2018}\u{2019}\u{201a}\u{201b}\u{ab}\u{bb}";

/// A text with its lines put right, and what was wrong with them.
pub(super) struct Mended {
    /// As many lines as before.
    pub text: String,
    /// In the order of the lines.
    pub faults: Vec<ConfigError>,
}

/// Puts the lines right that are openHAB's and no TOML.
pub(super) fn mend(file: &Path, text: &str) -> Mended {
    let mut faults = Vec::new();
    let mut lines = Vec::new();
    for (at, line) in text.split('\n').enumerate() {
        match mended(line) {
            Some(found) if found.what.is_empty() => lines.push(found.line),
            Some(found) => {
                faults.push(ConfigError {
                    file: file.to_owned(),
                    line: Some(at + 1),
                    key: Some(short(found.name)),
                    what: found.what.to_owned(),
                    remedy: found.remedy,
                    next: None,
                });
                lines.push(found.line);
            }
            None => lines.push(line.to_owned()),
        }
    }
    Mended {
        text: lines.join("\n"),
        faults,
    }
}

/// Of the faults of a file, the first `mended` of which are of lines that were put right: where
/// more is wrong with such a line, it is not to be written with that.
pub(super) fn without_contradictions(
    mut faults: Vec<ConfigError>,
    mended: usize,
) -> Vec<ConfigError> {
    let (lines, values) = faults.split_at_mut(mended);
    for fault in lines {
        let is_of_it = |value: &ConfigError| value.key.is_some() && value.line == fault.line;
        if values.iter().any(is_of_it) {
            fault.remedy = "what is right here stands in the next line".into();
        }
    }
    faults
}

struct MendedLine<'a> {
    name: &'a str,
    /// Empty where the value itself is told of.
    what: &'static str,
    remedy: String,
    line: String,
}

/// What one line should be, if it is an assignment that is no TOML.
fn mended(line: &str) -> Option<MendedLine<'_>> {
    let (written, value) = line.split_once('=')?;
    let (written, value) = (written.trim(), value.trim());
    let is_key = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
    if written.is_empty() || !written.chars().all(is_key) {
        return None;
    }
    let (prefix, name) = match written.rsplit_once(':') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, written),
    };
    let value = without_comment(value);
    let is_toml = is_value(value);
    if prefix.is_none() && (is_toml || goes_on(value)) {
        return None;
    }
    if prefix.is_some_and(|prefix| prefix != "dropbox") {
        return Some(MendedLine {
            name: written,
            what: "is a line of openHAB's for another add-on",
            remedy: "remove it".to_owned(),
            line: String::new(),
        });
    }
    if let Some(remedy) = dead_key(name) {
        return Some(MendedLine {
            name: written,
            what: "is a key that openHAB's add-on has not had for years",
            remedy: remedy.to_owned(),
            line: String::new(),
        });
    }
    if value.is_empty() {
        let is_filter = name.ends_with("filter");
        return Some(MendedLine {
            name: written,
            // What it means for a filter is told with its value.
            what: if is_filter { "" } else { "has no value" },
            remedy: format!("write {name} = \"...\", or remove the line"),
            line: format!("{name} = \"\""),
        });
    }
    let is_quoted = value.starts_with(|c| TYPOGRAPHIC.contains(c));
    let is_flag = ["true", "false"].contains(&&*value.to_ascii_lowercase());
    let value = match (is_toml, is_flag) {
        (true, _) => value.to_owned(),
        (false, true) => value.to_ascii_lowercase(),
        (false, false) => unmarked(value),
    };
    let what = match (prefix, is_toml, is_quoted) {
        (Some(_), ..) => "has openHAB's prefix \"dropbox:\", which is not used here",
        (None, _, true) => "is in typographic quotation marks",
        (None, ..) if is_flag => "true and false are written in small letters here",
        (None, ..) => "text needs quotation marks here",
    };
    let shown = if may_show(name, &value) {
        &value
    } else {
        "\"...\""
    };
    Some(MendedLine {
        name: written,
        what,
        remedy: format!("write {name} = {shown}"),
        line: format!("{name} = {value}"),
    })
}

/// A value that is no TOML without the comment behind it. A `#` within a word is part of it, as in
/// `6#3`.
fn without_comment(value: &str) -> &str {
    if is_value(value) {
        return value;
    }
    let is_comment = |at: usize| value[..at].ends_with(char::is_whitespace) || at == 0;
    let at = value
        .match_indices('#')
        .map(|(at, _)| at)
        .find(|at| is_comment(*at));
    value[..at.unwrap_or(value.len())].trim_end()
}

/// Whether the value goes on in the lines to come.
fn goes_on(value: &str) -> bool {
    value.starts_with(['[', '{']) || value.starts_with("\"\"\"") || value.starts_with("'''")
}

/// As TOML text, without the marks around it.
fn unmarked(value: &str) -> String {
    let is_mark = |c: char| TYPOGRAPHIC.contains(c) || "\"'".contains(c);
    quoted(value.trim_matches(is_mark).trim())
}

/// As TOML text; a backslash stays one.
fn quoted(text: &str) -> String {
    if !text.contains('\'') && (text.contains('\\') || text.contains('"')) {
        return format!("'{text}'");
    }
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
}

/// Whether a value may be repeated in a message: what could be a secret in the wrong place may not.
fn may_show(name: &str, value: &str) -> bool {
    let is_ours = keys::named(name).is_some_and(|key| {
        [
            "sync.content_dir",
            "sync.mode",
            "sync.upload_filter",
            "sync.download_filter",
        ]
        .contains(&key.path)
            || key.section() == "schedule"
    });
    let is_word = |c: char| c.is_ascii_uppercase() || "_\"".contains(c);
    let is_telling = value.contains(['/', '*', '?']) || value.chars().all(is_word);
    let word = value.trim_matches('"').to_ascii_lowercase();
    is_ours && is_telling || ["true", "false", "on", "off", "yes", "no"].contains(&&*word)
}

#[cfg(test)]
mod tests {
    use crate::config::tests::parse;

    /// What is said of a file, line by line.
    fn told(text: &str) -> Vec<String> {
        let error = parse(text).map(|config| config.path).unwrap_err();
        error.to_string().lines().map(str::to_owned).collect()
    }

    /// C: everything that is wrong in a real file, in one run, with the lines to write.
    #[test]
    fn c_a_whole_file_of_the_predecessors_is_told_at_once() {
        let text = "# Dropbox\n\
                    dropbox:appkey=abc\n\
                    dropbox:appsecret=hush\n\
                    dropbox:syncmode=BIDIRECTIONAL\n\
                    syncmode=LOCAL_TO_DROPBOX\n\
                    dropbox:uploadInterval=\u{2018}0 0 3 1/1 * ? *\u{2019}\n\
                    uploadfilter=\n\
                    contentdir=./Backup/OpenHAB/\n\
                    dropbox:downloadfilter=/configurations/.*, /logs/.*\n\
                    initialize=true\n\
                    dropbox:activate=true\n\
                    filter=/a\n\
                    refresh=60000\n\
                    folder:items=10,items\n\
                    fakemode=true\n";
        let lines = told(text);
        let all = lines.join("\n");
        for expected in [
            "f.toml:2: dropbox:appkey: has openHAB's prefix \"dropbox:\", which is not used here; \
             write appkey = \"...\"",
            "f.toml:3: dropbox:appsecret: has openHAB's prefix",
            "f.toml:4: dropbox:syncmode: has openHAB's prefix \"dropbox:\", which is not used \
             here; write syncmode = \"BIDIRECTIONAL\"",
            "f.toml:5: syncmode: text needs quotation marks here; write syncmode = \
             \"LOCAL_TO_DROPBOX\"",
            "f.toml:6: dropbox:uploadInterval: has openHAB's prefix \"dropbox:\", which is not \
             used here; write uploadInterval = \"0 0 3 1/1 * ? *\"",
            "f.toml:7: uploadfilter: is empty, which meant openHAB's default",
            "f.toml:8: contentdir: text needs quotation marks here; what is right here stands in \
             the next line",
            "f.toml:8: contentdir: must be an absolute path",
            "f.toml:9: downloadfilter: has a blank before a pattern, which then matches no path; \
             write '/configurations/.*,/logs/.*'",
            "f.toml:10: initialize: is a key that openHAB's add-on has not had for years; remove",
            "f.toml:11: dropbox:activate: is a key that openHAB's add-on has not had for years",
            "f.toml:12: filter: is a key that openHAB's add-on has not had for years; remove the \
             line: what may travel is said by uploadfilter and downloadfilter",
            "f.toml:13: refresh: is a key",
            "f.toml:14: folder:items: is a line of openHAB's for another add-on; remove it",
        ] {
            assert!(all.contains(expected), "{expected}\nis not in\n{all}");
        }
        assert!(!all.contains("hush"), "{all}");
        assert!(!all.contains("f.toml:15"), "it is fine as it is: {all}");
        assert!(
            lines.iter().all(|line| line.starts_with("/etc/f.toml:")),
            "{all}"
        );
    }

    /// C: each line alone, and that what is to be written works.
    #[test]
    fn c_what_is_to_be_written_works() {
        let rest = "appkey = 'k'\ncontentdir = '/s'\n";
        for (wrong, right) in [
            (
                "dropbox:syncmode=BIDIRECTIONAL",
                "syncmode = \"BIDIRECTIONAL\"",
            ),
            (
                "syncmode=LOCAL_TO_DROPBOX",
                "syncmode = \"LOCAL_TO_DROPBOX\"",
            ),
            (
                "dropbox:uploadInterval=\u{2018}0 0 3 1/1 * ? *\u{2019}",
                "uploadInterval = \"0 0 3 1/1 * ? *\"",
            ),
            (
                "uploadInterval=\u{201c}0 0 3 * * ?\u{201d}",
                "uploadInterval = \"0 0 3 * * ?\"",
            ),
            (
                "uploadfilter=/configurations/.*,/logs/.*\\.log",
                "uploadfilter = '/configurations/.*,/logs/.*\\.log'",
            ),
            ("dropbox:fakemode=true", "fakemode = true"),
            ("fakemode=TRUE", "fakemode = true"),
            ("fakemode=False # for now", "fakemode = false"),
            ("fakemode=on", "fakemode = \"on\""),
            (
                "syncmode=BIDIRECTIONAL  # both ways",
                "syncmode = \"BIDIRECTIONAL\"",
            ),
            (
                "uploadInterval=\u{2018}0 0 3 ? * 6#3\u{2019} # the third Friday",
                "uploadInterval = \"0 0 3 ? * 6#3\"",
            ),
        ] {
            let lines = told(&format!("{rest}{wrong}\n"));
            assert_eq!(lines.len(), 1, "{lines:?}");
            let written = format!("write {right}");
            assert!(lines[0].contains(&written), "{lines:?}");
            assert!(parse(&format!("{rest}{right}\n")).is_ok(), "{right}");
        }
        for dead in ["initialize", "activate", "filter", "refresh"] {
            for line in [
                format!("{dead} = 1"),
                format!("{dead}=x"),
                format!("dropbox:{dead}=x"),
            ] {
                let lines = told(&format!("{rest}{line}\n"));
                assert!(
                    lines.len() == 1 && lines[0].contains("remove the line"),
                    "{lines:?}"
                );
            }
        }
    }

    /// C: what is TOML already is left alone, whatever it looks like.
    #[test]
    fn c_toml_is_left_alone() {
        let text = "appkey = 'k' # a=b\ncontentdir = '/s'\nuploadfilter = [\n  '/a=b', # x = y\n  \
                    \"/c\",\n]\nsync.exclude = ['/x'\n,]\nguard.max_delete_count = 1\n";
        let text = text.replace("guard.", "sync.guard.");
        let config = parse(&text).unwrap();
        assert!(config.sync.filter.allows("/a=b").up);
    }

    /// C: who writes no filters took openHAB's for granted.
    #[test]
    fn c_a_file_by_the_predecessors_names_without_filters_is_known() {
        let without = |more: &str| {
            let config = parse(&format!("appkey = 'k'\ncontentdir = '/s'\n{more}\n"));
            config.unwrap().takes_openhabs_filters_for_granted
        };
        assert!(without(""));
        assert!(!without("uploadfilter = 'openhab'"));
        assert!(!without("sync.download_filter = ['/.*']"));
        let ours = "[dropbox]\napp_key = 'k'\n[sync]\ncontent_dir = '/s'\n";
        assert!(!parse(ours).unwrap().takes_openhabs_filters_for_granted);
    }
}
