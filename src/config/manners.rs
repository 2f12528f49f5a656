//! The keys that make a pass gentle: how fast bytes travel, how large a file may be, how often one
//! is sent.

use super::ConfigError;
use super::document::{Document, Setting, short};
use crate::core::amounts::{self, Rates};
use crate::core::decide::{DeletePolicy, Mode};
use crate::core::globs::Globs;
use crate::core::pace::Paces;

/// LIMIT: globs of one `[[sync.pace]]`, and how many of these there may be: each is asked about
/// every file that has changed.
const PACES_MAX: usize = 100;

/// A fault told by `what; remedy`.
fn fault(setting: &Setting, told: &str, shown: &str) -> ConfigError {
    let (what, remedy) = told.split_once("; ").unwrap_or((told, "correct it"));
    setting.error(&format!("'{}' {what}", short(shown)), remedy)
}

/// A size in bytes.
pub(super) fn size(setting: &Setting) -> Result<u64, ConfigError> {
    let text = setting.text()?;
    amounts::size(text).map_err(|told| fault(setting, &told, text))
}

/// A rate, or a list of rates by the time of day.
pub(super) fn rates(setting: &Setting) -> Result<Rates, ConfigError> {
    let lines = texts(setting)?;
    let mut rates = Rates::default();
    for (text, line) in &lines {
        rates.add(text).map_err(|told| ConfigError {
            line: *line,
            ..fault(setting, &told, text)
        })?;
    }
    Ok(rates)
}

/// A text, or a list of texts, each with its line.
pub(super) fn texts(setting: &Setting) -> Result<Vec<(String, Option<usize>)>, ConfigError> {
    if setting.is_text() {
        return Ok(vec![(setting.text()?.to_owned(), setting.line())]);
    }
    setting.list()
}

/// What becomes in Dropbox of what was deleted here: only where nothing comes down it may stay.
pub(super) fn deletes(setting: &Setting, mode: Mode) -> Result<DeletePolicy, ConfigError> {
    match (setting.text()?, mode) {
        ("propagate", _) => Ok(DeletePolicy::Propagate),
        ("keep", Mode::LocalToDropbox) => Ok(DeletePolicy::Keep),
        ("keep", _) => Err(setting.error(
            &format!(
                "\"keep\" is for LOCAL_TO_DROPBOX, and the mode is {}",
                mode.name()
            ),
            "write sync.mode = \"LOCAL_TO_DROPBOX\", or leave this line out",
        )),
        (other, _) => Err(setting.error(
            &format!("unknown word '{}'", short(other)),
            "write \"propagate\" (the default) or \"keep\"",
        )),
    }
}

/// `[[sync.pace]]`, and what is wrong with them.
pub(super) fn paces(doc: &Document) -> (Paces, Vec<ConfigError>) {
    let (mut paces, mut faults) = (Paces::default(), Vec::new());
    let all = doc.each("sync.pace", ["sync.pace.match", "sync.pace.every"]);
    for (at, one) in all.into_iter().enumerate() {
        let [globs, every] = match one {
            Ok([globs, _]) if at >= PACES_MAX => {
                let what = format!("there are more than {PACES_MAX} of these sections");
                faults.push(globs.error(&what, "let one glob stand for many, as in \"*.log\""));
                continue;
            }
            Ok(settings) => settings,
            Err(fault) => {
                faults.push(fault);
                continue;
            }
        };
        match (read_globs(&globs), read_every(&every)) {
            (Ok(globs), Ok(every_s)) => paces.add(globs, every_s),
            (globs, every) => faults.extend(globs.err().into_iter().chain(every.err())),
        }
    }
    (paces, faults)
}

fn read_globs(setting: &Setting) -> Result<Globs, ConfigError> {
    let list = texts(setting)?;
    if list.is_empty() || list.len() > PACES_MAX {
        let what = format!("holds {} globs", list.len());
        let remedy = format!("write one or more, and {PACES_MAX} at most, as in \"/logs/*.log\"");
        return Err(setting.error(&what, &remedy));
    }
    let mut globs = Globs::default();
    for (text, line) in &list {
        globs.add(text).map_err(|told| ConfigError {
            line: *line,
            ..fault(setting, &told, text)
        })?;
    }
    Ok(globs)
}

fn read_every(setting: &Setting) -> Result<u64, ConfigError> {
    let text = setting.text()?;
    amounts::seconds(text).map_err(|told| fault(setting, &told, text))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{parse, with};
    use super::*;

    fn refusal(lines: &str) -> String {
        with(lines).expect_err(lines).to_string()
    }

    #[test]
    fn limits_are_a_rate_or_a_list_by_the_time_of_day() {
        let config = with(
            "[network]\nupload_limit = '500 KiB/s'\n\
             download_limit = ['08:00-18:00 100 KiB/s',\n'1 MB/s']",
        );
        let network = config.unwrap().network;
        assert_eq!(network.upload_limit.at(0), Some(500 << 10));
        assert_eq!(network.download_limit.at(9 * 60), Some(100 << 10));
        assert_eq!(network.download_limit.at(19 * 60), Some(1_000_000));
        let none = with("[network]\nupload_limit = ''\ndownload_limit = []")
            .unwrap()
            .network;
        assert!(none.upload_limit.is_unlimited() && none.download_limit.is_unlimited());
        for (value, expected) in [
            (
                "'fast'",
                ":6: network.upload_limit: 'fast' is no rate; write a whole number",
            ),
            (
                "'1 KiB/s'",
                ":6: network.upload_limit: '1 KiB/s' is too little to get on with; write",
            ),
            (
                "['1 MB/s',\n'2 MB/s']",
                ":7: network.upload_limit: '2 MB/s' never counts",
            ),
            (
                "['8-18 1 MB/s']",
                ":6: network.upload_limit: '8-18 1 MB/s' begins with '8-18', which is no part",
            ),
            (
                "5",
                ":6: network.upload_limit: expected a list of strings, found a whole number",
            ),
        ] {
            let told = refusal(&format!("[network]\nupload_limit = {value}"));
            assert!(told.contains(expected), "{told}");
        }
    }

    #[test]
    fn a_largest_size_has_a_unit_and_is_not_none() {
        let of = |value: &str| with(&format!("max_file_size = {value}"));
        assert_eq!(of("'10 MiB'").unwrap().sync.max_file_size, Some(10 << 20));
        assert_eq!(of("''").unwrap().sync.max_file_size, None);
        assert_eq!(with("").unwrap().sync.max_file_size, None);
        let told = refusal("max_file_size = '10 MB/s'");
        assert!(
            told.contains(":5: sync.max_file_size: '10 MB/s' is no size; write"),
            "{told}"
        );
        let told = refusal("max_file_size = '0 B'");
        assert!(
            told.contains("'0 B' would leave out every file; leave the key out"),
            "{told}"
        );
    }

    #[test]
    fn deletes_are_kept_only_where_nothing_comes_down() {
        let of = |lines: &str| with(lines).unwrap().sync.deletes;
        assert_eq!(of(""), DeletePolicy::Propagate);
        assert_eq!(of("deletes = 'keep'"), DeletePolicy::Keep);
        assert_eq!(
            of("mode = 'BIDIRECTIONAL'\ndeletes = 'propagate'"),
            DeletePolicy::Propagate
        );
        for mode in ["BIDIRECTIONAL", "DROPBOX_TO_LOCAL"] {
            let told = refusal(&format!("deletes = 'keep'\nmode = '{mode}'"));
            let expected = format!(
                ":5: sync.deletes: \"keep\" is for LOCAL_TO_DROPBOX, and the mode is {mode}; write"
            );
            assert!(told.contains(&expected), "{told}");
        }
        assert!(refusal("deletes = 'never'").contains("unknown word 'never'; write"));
    }

    #[test]
    fn each_pace_has_its_globs_and_its_time() {
        let config = with(
            "[[sync.pace]]\nmatch = '/logs/*.log'\nevery = '6h'\n\
             [[sync.pace]]\nevery = '10m'\nmatch = ['*.db', '!/keep.db']\n[sync.guard]\n",
        );
        let paces = config.unwrap().sync.paces;
        assert_eq!(paces.of("/logs/a.log", "/logs/a.log"), Some(6 * 3600));
        assert_eq!(paces.of("/x/a.db", "/x/a.db"), Some(600));
        assert_eq!(paces.of("/keep.db", "/keep.db"), None);
        for (lines, expected) in [
            (
                "[[sync.pace]]\nmatch = '*'",
                ":5: sync.pace.every: is required and not given; add",
            ),
            (
                "[[sync.pace]]\nevery = '1h'",
                ":5: sync.pace.match: is required and not given; add",
            ),
            (
                "[[sync.pace]]\nevery = '1h'\nmatch = '*'\n[[sync.pace]]\n",
                ":8: sync.pace.match: is required",
            ),
            (
                "[[sync.pace]]\nevery = '1h'\nmatch = ['*',\n'[a']",
                ":8: sync.pace.match: '[a' has a [ without its ]; write \\[",
            ),
            (
                "[[sync.pace]]\nevery = '6 hours'\nmatch = '*'",
                ":6: sync.pace.every: '6 hours' is no time from a minute to a year; write",
            ),
            (
                "[[sync.pace]]\nevery = '1h'\nmatch = []",
                "sync.pace.match: holds 0 globs; write",
            ),
            (
                "[[sync.pace]]\nmach = '*'",
                ":6: sync.pace.mach: unknown key; did you mean match?",
            ),
            (
                "[sync.pace]\nmatch = '*'",
                ":5: sync.pace: is a section that may be there several",
            ),
            (
                "pace = 3",
                ":5: sync.pace: is a section that may be there several times; write a",
            ),
            (
                "pace = [3]",
                ":5: sync.pace: is a section, not a list; write a line [[sync.pace]]",
            ),
            (
                "every = '6h'",
                "sync.every: unknown key; every belongs to the section [[sync.pace]]",
            ),
        ] {
            let told = refusal(lines);
            assert!(told.contains(expected), "{lines}\n{told}");
        }
        let both = refusal("[[sync.pace]]\nmatch = '[a'\nevery = 'x'");
        assert!(both.contains(":6: sync.pace.match: ") && both.contains(":7: sync.pace.every: "));
        assert!(
            parse("[[sync.pase]]\n")
                .unwrap_err()
                .to_string()
                .contains("sync.pace")
        );
    }
}
