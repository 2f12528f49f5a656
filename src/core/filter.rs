//! Which paths travel, and which way.
//!
//! A filter is a list of regular expressions, each matched against the whole `/relative/path` in
//! its real case, as the predecessor did with Java's `String.matches`. `exclude` wins over both
//! lists and covers everything below a folder it names. Three kinds of names never travel: our
//! own, the predecessor's `*.dbx` and (unless `hidden = true`) those that start with a dot.
//!
//! Patterns are read as Java would read them. What regex-lite cannot express, or would silently
//! read in another way, is refused. One difference is meant: `.` also matches line breaks, so
//! that `/.*` is every path and an `exclude` has no hole for a file with an odd name.

use regex_lite::{Regex, RegexBuilder};
use ring::digest::{Context, SHA256};

use crate::core::java_pattern::{PatternRefusal, translate};
use crate::core::own_names::is_own_name;
use crate::core::path::nfc;

/// The compiled `[sync] upload_filter`, `download_filter`, `exclude` and `hidden`.
#[derive(Clone, Debug)]
pub struct Filter {
    upload: Vec<Matcher>,
    download: Vec<Matcher>,
    exclude: Vec<Matcher>,
    hidden: bool,
    fingerprint: String,
}

/// The ways in which a path may travel; neither means that it is unmanaged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FilterAllows {
    /// Changes made locally may go to Dropbox (`upload_filter`).
    pub up: bool,
    /// Changes made in Dropbox may come down (`download_filter`).
    pub down: bool,
}

/// A pattern that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    /// The list it stands in: `upload_filter`, `download_filter` or `exclude`.
    pub list: &'static str,
    /// Its place in that list, from 0.
    pub index: usize,
    /// The pattern as written.
    pub pattern: String,
    /// What is wrong with it.
    pub what: String,
    /// What to write instead.
    pub remedy: String,
}

impl Filter {
    /// Compiles the lists. An empty list lets nothing pass (or, for `exclude`, excludes nothing).
    pub fn new(
        upload: &[String],
        download: &[String],
        exclude: &[String],
        hidden: bool,
    ) -> Result<Filter, PatternError> {
        let lists = [
            ("upload_filter", upload),
            ("download_filter", download),
            ("exclude", exclude),
        ];
        Ok(Filter {
            upload: compile("upload_filter", upload)?,
            download: compile("download_filter", download)?,
            exclude: compile("exclude", exclude)?,
            hidden,
            fingerprint: fingerprint(&lists, hidden),
        })
    }

    /// The default of the configuration: every path travels both ways, hidden names excepted.
    pub fn everything() -> Filter {
        let all = ["/.*".to_owned()];
        let start = || vec![Matcher::Start("/".to_owned())];
        Filter {
            upload: start(),
            download: start(),
            exclude: Vec::new(),
            hidden: false,
            fingerprint: fingerprint(
                &[
                    ("upload_filter", &all),
                    ("download_filter", &all),
                    ("exclude", &[]),
                ],
                false,
            ),
        }
    }

    /// Which way changes of `path` (`/relative/path`, real case) may travel.
    pub fn allows(&self, path: &str) -> FilterAllows {
        if self.prunes(path) {
            return FilterAllows {
                up: false,
                down: false,
            };
        }
        FilterAllows {
            up: any(&self.upload, path),
            down: any(&self.download, path),
        }
    }

    /// The same for a path that is spelt in two ways, in Dropbox and here: it travels as far as
    /// either spelling lets it.
    pub fn allows_both(&self, path: &str, other: &str) -> FilterAllows {
        let one = self.allows(path);
        if path == other {
            return one;
        }
        let other = self.allows(other);
        FilterAllows {
            up: one.up && other.up,
            down: one.down && other.down,
        }
    }

    /// Whether anything at all may come down.
    pub fn lets_something_down(&self) -> bool {
        !self.download.is_empty()
    }

    /// Whether nothing at or below `path` is ever looked at.
    pub fn prunes(&self, path: &str) -> bool {
        debug_assert!(
            path.starts_with('/'),
            "a filter sees /relative/paths, not {path:?}"
        );
        path.split('/').any(|name| self.hides_name(name)) || self.excludes(path)
    }

    /// Identifies the lists and `hidden` across runs: 32 hex digits.
    pub fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }

    /// Whether every path travels both ways whose names are not [hidden](Filter::hides_name).
    pub fn takes_everything(&self) -> bool {
        let all = |list: &[Matcher]| matches!(list, [Matcher::Start(start)] if start == "/");
        self.exclude.is_empty() && all(&self.upload) && all(&self.download)
    }

    /// Whether nothing of this name is looked at, wherever it is.
    pub fn hides_name(&self, name: &str) -> bool {
        (!self.hidden && name.starts_with('.')) || is_own_name(name) || is_dbx_name(name)
    }

    fn excludes(&self, path: &str) -> bool {
        if self.exclude.is_empty() {
            return false;
        }
        let folders = path
            .match_indices('/')
            .map(|(end, _)| end)
            .filter(|&end| end > 0);
        folders
            .chain([path.len()])
            .any(|end| any(&self.exclude, &path[..end]))
    }
}

/// The predecessor's state files, and whatever else it left out by this ending.
fn is_dbx_name(name: &str) -> bool {
    let start = name.len().saturating_sub(4);
    name.get(start..)
        .is_some_and(|end| end.eq_ignore_ascii_case(".dbx"))
}

/// One compiled pattern. Most are plain text with at most one `.*` at an end; without an
/// automaton those are 30 times faster, which a million paths on a Pi can tell.
#[derive(Clone, Debug)]
enum Matcher {
    Exact(String),
    Start(String),
    End(String),
    Regex(Regex),
}

fn any(matchers: &[Matcher], path: &str) -> bool {
    matchers.iter().any(|matcher| match matcher {
        Matcher::Exact(text) => path == text,
        Matcher::Start(text) => path.starts_with(text),
        Matcher::End(text) => path.ends_with(text),
        Matcher::Regex(regex) => regex.is_match(path),
    })
}

fn compile(list: &'static str, patterns: &[String]) -> Result<Vec<Matcher>, PatternError> {
    let compile_one = |(index, pattern): (usize, &String)| {
        matcher(pattern).map_err(|(what, remedy)| {
            let pattern = pattern.clone();
            PatternError {
                list,
                index,
                pattern,
                what,
                remedy,
            }
        })
    };
    patterns.iter().enumerate().map(compile_one).collect()
}

fn matcher(pattern: &str) -> Result<Matcher, PatternRefusal> {
    // Names are matched in this form, and a pattern may come from a Mac.
    let pattern = &nfc(pattern);
    if let Some(simple) = simple(pattern) {
        return Ok(simple);
    }
    let translated = translate(pattern)?;
    // Alone first: inside the wrapping `a)|(b` would pass as two groups.
    build(&translated)
        .and_then(|_| build(&format!("^(?:{translated})$")))
        .map(Matcher::Regex)
        .map_err(|error| {
            let remedy = if pattern.starts_with(['*', '?']) {
                "this is a regular expression, not a shell pattern: write '.*' for any \
                 characters and '\\.' for a dot, as in '/.*\\.tmp'"
            } else {
                "correct the regular expression, or put '\\' before a character meant literally"
            };
            (error.to_string(), remedy.to_owned())
        })
}

fn simple(pattern: &str) -> Option<Matcher> {
    let start = || Some(Matcher::Start(literal(pattern.strip_suffix(".*")?)?));
    let end = || Some(Matcher::End(literal(pattern.strip_prefix(".*")?)?));
    literal(pattern)
        .map(Matcher::Exact)
        .or_else(start)
        .or_else(end)
}

/// The text that a pattern without any operator stands for.
fn literal(pattern: &str) -> Option<String> {
    let mut text = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        text.push(match c {
            '\\' => chars.next().filter(char::is_ascii_punctuation)?,
            _ if "^$.|?*+()[]{}".contains(c) => return None,
            _ => c,
        });
    }
    Some(text)
}

/// LIMIT: a compiled pattern takes at most 256 KiB; all that an agent of 8 MiB can spare.
fn build(regex: &str) -> Result<Regex, regex_lite::Error> {
    RegexBuilder::new(regex)
        .dot_matches_new_line(true)
        .size_limit(256 << 10)
        .build()
}

fn fingerprint(lists: &[(&str, &[String])], hidden: bool) -> String {
    let mut context = Context::new(&SHA256);
    // The number changes when the same patterns come to mean something else.
    context.update(if hidden {
        b"filter 2 hidden\n"
    } else {
        b"filter 2\n"
    });
    for (name, patterns) in lists {
        context.update(format!("{name} {}\n", patterns.len()).as_bytes());
        for pattern in *patterns {
            context.update(format!("{} {pattern}\n", pattern.len()).as_bytes());
        }
    }
    context.finish().as_ref()[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(upload: &[&str], exclude: &[&str]) -> Filter {
        let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        Filter::new(&owned(upload), &owned(&["/.*"]), &owned(exclude), false).unwrap()
    }

    fn matches(pattern: &str, path: &str) -> bool {
        filter(&[pattern], &[]).allows(path).up
    }

    #[test]
    fn a_pattern_matches_the_whole_path_in_its_real_case() {
        for (pattern, path, expected) in [
            ("/logs/.*", "/logs/a.log", true),
            ("/logs/.*", "/Logs/a.log", false),
            ("(?i)/logs/.*", "/Logs/a.log", true),
            ("/logs", "/logs/a.log", false),
            ("logs/.*", "/logs/a.log", false),
            ("/a|/b", "/b", true),
            ("/a|/b", "/ab", false),
            ("^/a$", "/a", true),
            ("", "/a", false),
            ("^([^/]*/){1}[^/]*$", "/etc", true),
            ("^([^/]*/){1}[^/]*$", "/etc/x", false),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn a_line_break_in_a_name_neither_slips_past_the_end_nor_escapes_a_dot() {
        assert!(!matches("/a", "/a\n") && !matches("(?m)/a$", "/a\nb") && !matches("/a$", "/a\n"));
        assert!(matches("/.*", "/a\nb") && matches("/a.b", "/a\u{2028}b"));
        assert!(filter(&["/.*"], &["/private/.*"]).prunes("/private/a\nb"));
    }

    #[test]
    fn hidden_own_and_dbx_names_shut_everything_below_them() {
        let open = Filter::new(&[], &["/.*".to_owned()], &[], true).unwrap();
        for (path, with_hidden) in [
            ("/.git/config", false),
            ("/a/.b/c", false),
            ("/a/.ferrybox-root", true),
            ("/.Ferrybox-tmp1/x", true),
            ("/deltacursor.dbx", true),
            ("/a/x.DBX/b", true),
        ] {
            assert!(Filter::everything().prunes(path), "{path}");
            assert_eq!(open.prunes(path), with_hidden, "{path}");
            assert_eq!(open.allows(path).down, !with_hidden, "{path}");
        }
        for path in [
            "/a.b",
            "/dbx",
            "/a.dbx.txt",
            "/ferrybox-root",
            "/.é/ä".trim_start_matches("/.é"),
        ] {
            assert!(!Filter::everything().prunes(path), "{path}");
        }
    }

    #[test]
    fn exclude_wins_and_covers_what_lies_below() {
        let filter = filter(&["/.*"], &["/cache", ".*/tmp", "/x/.*\\.bak"]);
        for path in ["/cache", "/cache/a/b", "/a/tmp", "/a/tmp/b", "/x/y/z.bak"] {
            assert!(filter.prunes(path), "{path}");
            assert_eq!(
                filter.allows(path),
                FilterAllows {
                    up: false,
                    down: false
                }
            );
        }
        for path in ["/cached", "/tmpx", "/a/tmp2", "/x/y", "/"] {
            assert!(!filter.prunes(path), "{path}");
        }
        // The content dir itself is no folder a pattern could name.
        assert!(!self::filter(&["/.*"], &["", "(/x)?"]).prunes("/a"));
    }

    #[test]
    fn each_direction_has_its_own_list_and_an_empty_list_lets_nothing_pass() {
        let filter = Filter::new(&["/a.*".to_owned()], &[], &[], false).unwrap();
        assert_eq!(
            filter.allows("/a/b"),
            FilterAllows {
                up: true,
                down: false
            }
        );
        assert_eq!(
            filter.allows("/b"),
            FilterAllows {
                up: false,
                down: false
            }
        );
    }

    #[test]
    fn the_fingerprint_tells_lists_apart_and_stays_the_same() {
        let all = ["/.*".to_owned()];
        let new = |up: &[String], down: &[String], hidden| {
            Filter::new(up, down, &[], hidden).unwrap().fingerprint()
        };
        assert_eq!(Filter::everything().fingerprint(), new(&all, &all, false));
        let prints = [
            new(&all, &[], false),
            new(&[], &all, false),
            new(&all, &all, true),
            new(&[], &[], false),
        ];
        for (at, print) in prints.iter().enumerate() {
            assert_eq!(print.len(), 32);
            assert!(!prints[..at].contains(print));
        }
    }

    #[test]
    fn plain_patterns_match_as_their_regular_expressions_do() {
        let patterns = [
            "/.*", ".*", "/a.*", "/a", "/a\\.b", ".*\\.b", ".*/a", "", "/\\<.*", "/a\\.*", ".*?b",
        ];
        for pattern in patterns {
            let translated = translate(pattern).unwrap();
            let regex = build(&format!("^(?:{translated})$")).unwrap();
            for path in [
                "/", "/a", "/ab", "/a.b", "/x/a", "/<\n", "/a...", "/a\\.b", "/b/a/b",
            ] {
                assert_eq!(
                    matches(pattern, path),
                    regex.is_match(path),
                    "{pattern} {path}"
                );
            }
        }
        assert!(simple("/a\\.*").is_none() && simple(".*+").is_none());
    }

    #[test]
    fn plain_patterns_need_no_automaton() {
        let text = |pattern| match simple(pattern) {
            Some(Matcher::Exact(text)) => format!("={text}"),
            Some(Matcher::Start(text)) => format!("^{text}"),
            Some(Matcher::End(text)) => format!("{text}$"),
            Some(Matcher::Regex(_)) | None => String::new(),
        };
        for (pattern, kind) in [
            ("/a b/c", "=/a b/c"),
            ("/logs/.*", "^/logs/"),
            (".*\\.tmp", ".tmp$"),
            ("/a|/b", ""),
            ("/a\\d", ""),
        ] {
            assert_eq!(text(pattern), kind, "{pattern}");
        }
    }
}
