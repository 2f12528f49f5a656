//! Which paths travel, and which way.
//!
//! A filter is a list of regular expressions, each matched against the whole `/relative/path` in
//! its real case, as the predecessor did with Java's `String.matches`. `exclude` wins over both
//! lists and covers everything below a folder it names; `ignore` does so with globs as gitignore(5)
//! has them. Three kinds of names never travel: our own, those of the predecessor's own files, and
//! (with `hidden = false`) those that start with a dot.
//!
//! Patterns are read as Java would read them. What regex-lite cannot express, or would silently
//! read in another way, is refused. One difference is meant: `.` also matches line breaks, so
//! that `/.*` is every path and an `exclude` has no hole for a file with an odd name.

use regex_lite::{Regex, RegexBuilder};
use ring::digest::{Context, SHA256};

use crate::core::globs::Globs;
use crate::core::java_pattern::{PatternRefusal, translate};
use crate::core::own_names::is_own_name;
use crate::core::path::nfc;

/// The file of globs at the top of the content dir, beside `[sync] ignore`. It never travels.
pub const IGNORE_FILE: &str = ".ferryboxignore";

/// The predecessor's own files: its token, its cursor and its list.
const PREDECESSORS: [&str; 3] = ["authfile.dbx", "deltacursor.dbx", "dropbox-entries.dbx"];

/// The compiled `[sync] upload_filter`, `download_filter`, `exclude`, `ignore` and `hidden`, and
/// the globs of [`IGNORE_FILE`].
#[derive(Clone, Debug)]
pub struct Filter {
    upload: PatternList,
    download: PatternList,
    exclude: PatternList,
    ignore: IgnoreList,
    hidden: bool,
}

/// The ways in which a path may travel; neither means that it is unmanaged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FilterAllows {
    /// Changes made locally may go to Dropbox (`upload_filter`).
    pub up: bool,
    /// Changes made in Dropbox may come down (`download_filter`).
    pub down: bool,
}

/// A list of patterns.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ListName {
    /// `sync.upload_filter`.
    Upload,
    /// `sync.download_filter`.
    Download,
    /// `sync.exclude`.
    Exclude,
    /// `sync.ignore`, and [`IGNORE_FILE`].
    Ignore,
}

impl ListName {
    /// Its key in the configuration, without the section.
    pub fn key(self) -> &'static str {
        match self {
            ListName::Upload => "upload_filter",
            ListName::Download => "download_filter",
            ListName::Exclude => "exclude",
            ListName::Ignore => "ignore",
        }
    }
}

/// What leaves a path out, or a folder it lies in, whichever way it would go.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum LeftOut {
    /// It is a file of ours, or was one of the predecessor's.
    Own,
    /// Its name starts with a dot, and `hidden` is false.
    Hidden,
    /// A pattern, by its list and its place in it.
    Pattern(ListName, usize),
    /// No pattern of the two filters lets it through.
    NotListed,
}

/// A pattern as it was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Written<'f> {
    /// The list.
    pub list: ListName,
    /// Its place there, from 0.
    pub at: usize,
    /// The pattern.
    pub text: &'f str,
    /// The line of [`IGNORE_FILE`] it stands in, if it is from there.
    pub ignore_file_line: Option<usize>,
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

/// A list of regular expressions.
#[derive(Clone, Debug, Default)]
struct PatternList {
    matchers: Vec<Matcher>,
    texts: Vec<String>,
}

/// A list of globs.
#[derive(Clone, Debug, Default)]
struct IgnoreList {
    globs: Globs,
    texts: Vec<(String, Option<usize>)>,
}

impl Filter {
    /// Compiles the lists. An empty list lets nothing pass (or, for `exclude`, excludes nothing).
    pub fn new(
        upload: &[String],
        download: &[String],
        exclude: &[String],
        hidden: bool,
    ) -> Result<Filter, PatternError> {
        Ok(Filter {
            upload: compile("upload_filter", upload)?,
            download: compile("download_filter", download)?,
            exclude: compile("exclude", exclude)?,
            ignore: IgnoreList::default(),
            hidden,
        })
    }

    /// The default of the configuration: every path travels both ways.
    pub fn everything() -> Filter {
        let all = || PatternList {
            matchers: vec![Matcher::Start("/".to_owned())],
            texts: vec!["/.*".to_owned()],
        };
        Filter {
            upload: all(),
            download: all(),
            exclude: PatternList::default(),
            ignore: IgnoreList::default(),
            hidden: true,
        }
    }

    /// Adds a glob to those that leave paths out; `line` is that of [`IGNORE_FILE`], if it is from
    /// there.
    ///
    /// # Errors
    /// `what is wrong; what to write`.
    pub fn ignore(&mut self, glob: &str, line: Option<usize>) -> Result<(), String> {
        self.ignore.globs.add(glob)?;
        self.ignore.texts.push((glob.to_owned(), line));
        Ok(())
    }

    /// Whether names that start with a dot travel.
    pub fn set_hidden(&mut self, hidden: bool) {
        self.hidden = hidden;
    }

    /// How many patterns there are.
    pub fn pattern_count(&self) -> usize {
        self.patterns().count()
    }

    /// All patterns as they were written.
    pub fn patterns(&self) -> impl Iterator<Item = Written<'_>> {
        let lists = [
            (ListName::Upload, &self.upload),
            (ListName::Download, &self.download),
            (ListName::Exclude, &self.exclude),
        ];
        let listed = lists.into_iter().flat_map(|(list, patterns)| {
            let numbered = patterns.texts.iter().enumerate();
            numbered.map(move |(at, text)| Written {
                list,
                at,
                text,
                ignore_file_line: None,
            })
        });
        let numbered = self.ignore.texts.iter().enumerate();
        let ignored = numbered.map(|(at, (text, line))| Written {
            list: ListName::Ignore,
            at,
            text,
            ignore_file_line: *line,
        });
        listed.chain(ignored)
    }

    /// Which way changes of `path` (`/relative/path`, real case) may travel. A glob may be for
    /// folders alone: see [`Filter::allows_as`].
    pub fn allows(&self, path: &str) -> FilterAllows {
        self.allows_as(path, false)
    }

    /// The same of a path that is a folder's, or not.
    pub fn allows_as(&self, path: &str, is_folder: bool) -> FilterAllows {
        if self.prunes_as(path, is_folder) {
            return FilterAllows {
                up: false,
                down: false,
            };
        }
        FilterAllows {
            up: any(&self.upload.matchers, path),
            down: any(&self.download.matchers, path),
        }
    }

    /// The same for a path that is spelt in two ways, in Dropbox and here: it travels as far as
    /// either spelling lets it.
    pub fn allows_both(&self, path: &str, other: &str) -> FilterAllows {
        self.allows_both_as(path, other, false)
    }

    /// The same of a path that is a folder's, or not.
    pub fn allows_both_as(&self, path: &str, other: &str, is_folder: bool) -> FilterAllows {
        let one = self.allows_as(path, is_folder);
        if path == other {
            return one;
        }
        let other = self.allows_as(other, is_folder);
        FilterAllows {
            up: one.up && other.up,
            down: one.down && other.down,
        }
    }

    /// Whether anything at all may come down.
    pub fn lets_something_down(&self) -> bool {
        !self.download.matchers.is_empty()
    }

    /// Whether nothing at or below `path` is ever looked at. A glob may be for folders alone: see
    /// [`Filter::prunes_folder`].
    pub fn prunes(&self, path: &str) -> bool {
        self.prunes_as(path, false)
    }

    /// The same of a path that is a folder's.
    pub fn prunes_folder(&self, path: &str) -> bool {
        self.prunes_as(path, true)
    }

    /// One or the other.
    pub fn prunes_as(&self, path: &str, is_folder: bool) -> bool {
        debug_assert!(
            path.starts_with('/'),
            "a filter sees /relative/paths, not {path:?}"
        );
        path.split('/').any(|name| self.hides_name(name))
            || self.excluding(path).is_some()
            || self.ignore.globs.deciding(path, is_folder).is_some()
    }

    /// What leaves a path out; nothing if it may travel one way or the other.
    pub fn leaves_out(&self, path: &str, is_folder: bool) -> Option<LeftOut> {
        if path.split('/').any(is_reserved) {
            return Some(LeftOut::Own);
        }
        if path.split('/').any(|name| self.hides_name(name)) {
            return Some(LeftOut::Hidden);
        }
        if let Some(at) = self.excluding(path) {
            return Some(LeftOut::Pattern(ListName::Exclude, at));
        }
        if let Some(at) = self.ignore.globs.deciding(path, is_folder) {
            return Some(LeftOut::Pattern(ListName::Ignore, at));
        }
        let allows = self.allows_as(path, is_folder);
        (!allows.up && !allows.down).then_some(LeftOut::NotListed)
    }

    /// Every pattern that matches a path, or leaves out a folder it lies in, whatever others say.
    pub fn each_matching(
        &self,
        path: &str,
        is_folder: bool,
        note: &mut dyn FnMut(ListName, usize),
    ) {
        for (list, patterns) in [
            (ListName::Upload, &self.upload),
            (ListName::Download, &self.download),
        ] {
            let matching = |(_, matcher): &(usize, &Matcher)| matcher.matches(path);
            let numbered = patterns.matchers.iter().enumerate();
            numbered.filter(matching).for_each(|(at, _)| note(list, at));
        }
        for (at, matcher) in self.exclude.matchers.iter().enumerate() {
            if with_folders(path).any(|path| matcher.matches(path)) {
                note(ListName::Exclude, at);
            }
        }
        let ignored = self.ignore.globs.all_matching(path, is_folder);
        ignored.for_each(|at| note(ListName::Ignore, at));
    }

    /// Identifies the lists and `hidden` across runs: 32 hex digits.
    pub fn fingerprint(&self) -> String {
        let mut context = Context::new(&SHA256);
        // The number changes when the same patterns come to mean something else.
        context.update(match self.hidden {
            true => b"filter 3 hidden\n",
            false => b"filter 3\n",
        });
        for (name, patterns) in [
            ("upload_filter", &self.upload.texts),
            ("download_filter", &self.download.texts),
            ("exclude", &self.exclude.texts),
        ] {
            context.update(format!("{name} {}\n", patterns.len()).as_bytes());
            for pattern in patterns {
                context.update(format!("{} {pattern}\n", pattern.len()).as_bytes());
            }
        }
        for (glob, _) in &self.ignore.texts {
            context.update(format!("ignore {} {glob}\n", glob.len()).as_bytes());
        }
        context.finish().as_ref()[..16]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Whether every path travels both ways whose names are not [hidden](Filter::hides_name).
    pub fn takes_everything(&self) -> bool {
        let all =
            |list: &PatternList| matches!(&*list.matchers, [Matcher::Start(start)] if start == "/");
        self.exclude.matchers.is_empty()
            && self.ignore.texts.is_empty()
            && all(&self.upload)
            && all(&self.download)
    }

    /// Whether nothing of this name is looked at, wherever it is.
    pub fn hides_name(&self, name: &str) -> bool {
        (!self.hidden && name.starts_with('.')) || is_reserved(name)
    }

    /// The place of the pattern of `exclude` that matches a path or a folder it lies in.
    fn excluding(&self, path: &str) -> Option<usize> {
        let matchers = &self.exclude.matchers;
        if matchers.is_empty() {
            return None;
        }
        with_folders(path)
            .find_map(|path| matchers.iter().position(|matcher| matcher.matches(path)))
    }
}

/// The folders a path lies in, from the top, and itself.
fn with_folders(path: &str) -> impl Iterator<Item = &str> {
    let folders = path.match_indices('/').map(|(end, _)| end);
    let folders = folders.filter(|&end| end > 0).chain([path.len()]);
    folders.map(|end| &path[..end])
}

/// Whether a name is one of ours, or one that the predecessor had for its own files.
fn is_reserved(name: &str) -> bool {
    let is = |reserved: &&str| name.eq_ignore_ascii_case(reserved);
    is_own_name(name) || is(&IGNORE_FILE) || PREDECESSORS.iter().any(is)
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

impl Matcher {
    fn matches(&self, path: &str) -> bool {
        match self {
            Matcher::Exact(text) => path == text,
            Matcher::Start(text) => path.starts_with(text),
            Matcher::End(text) => path.ends_with(text),
            Matcher::Regex(regex) => regex.is_match(path),
        }
    }
}

fn any(matchers: &[Matcher], path: &str) -> bool {
    matchers.iter().any(|matcher| matcher.matches(path))
}

fn compile(list: &'static str, patterns: &[String]) -> Result<PatternList, PatternError> {
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
    let matchers: Result<_, _> = patterns.iter().enumerate().map(compile_one).collect();
    Ok(PatternList {
        matchers: matchers?,
        texts: patterns.to_vec(),
    })
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
    fn hidden_own_and_the_predecessors_names_shut_everything_below_them() {
        let open = Filter::new(&[], &["/.*".to_owned()], &[], true).unwrap();
        let mut shut = Filter::everything();
        shut.set_hidden(false);
        for (path, with_hidden) in [
            ("/.git/config", false),
            ("/a/.b/c", false),
            ("/a/.ferrybox-root", true),
            ("/.Ferrybox-tmp1/x", true),
            ("/deltacursor.dbx", true),
            ("/a/AuthFile.DBX/b", true),
            ("/a/dropbox-entries.dbx", true),
            ("/.ferryboxignore", true),
        ] {
            assert!(shut.prunes(path), "{path}");
            assert_eq!(open.prunes(path), with_hidden, "{path}");
            assert_eq!(open.allows(path).down, !with_hidden, "{path}");
        }
        for path in [
            "/a.b",
            "/dbx",
            "/a.dbx",
            "/x/a.DBX/b",
            "/ferrybox-root",
            "/.é/ä".trim_start_matches("/.é"),
        ] {
            assert!(!shut.prunes(path), "{path}");
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
    fn ignore_takes_globs_and_says_which_one_it_is() {
        let mut filter = filter(&["/[a-z/.]*"], &["/cache"]);
        filter.ignore("*.tmp", None).unwrap();
        filter.ignore("build/", Some(3)).unwrap();
        filter.ignore("!keep.tmp", Some(4)).unwrap();
        let pattern = |list, at| Some(LeftOut::Pattern(list, at));
        for (path, expected) in [
            ("/a.tmp", pattern(ListName::Ignore, 0)),
            ("/x/keep.tmp", None),
            ("/build", None),
            ("/x/build/", pattern(ListName::Ignore, 1)),
            ("/build/keep.tmp", pattern(ListName::Ignore, 1)),
            ("/cache/a.tmp", pattern(ListName::Exclude, 0)),
            ("/x/A", Some(LeftOut::NotListed)),
            ("/x/.a", Some(LeftOut::Hidden)),
            ("/x/.ferrybox-root", Some(LeftOut::Own)),
        ] {
            // The download filter lets everything through.
            let mut filter = filter.clone();
            filter.download = PatternList::default();
            let (path, is_folder) = match path.strip_suffix('/') {
                Some(path) => (path, true),
                None => (path, false),
            };
            assert_eq!(filter.leaves_out(path, is_folder), expected, "{path}");
            let is_pruned = !matches!(expected, None | Some(LeftOut::NotListed));
            assert_eq!(filter.prunes_as(path, is_folder), is_pruned, "{path}");
        }
        let mut met = Vec::new();
        filter.each_matching("/cache/build/keep.tmp", false, &mut |list, at| {
            met.push((list, at));
        });
        let ignored = [0, 1, 2].map(|at| (ListName::Ignore, at));
        let others = [
            (ListName::Upload, 0),
            (ListName::Download, 0),
            (ListName::Exclude, 0),
        ];
        assert_eq!(met, [&others[..], &ignored[..]].concat());
        let written: Vec<_> = filter.patterns().skip(3).collect();
        assert_eq!(
            (written[1].text, written[1].ignore_file_line),
            ("build/", Some(3))
        );
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
        assert_eq!(Filter::everything().fingerprint(), new(&all, &all, true));
        let ignoring = |glob: &str| {
            let mut filter = Filter::everything();
            filter.ignore(glob, None).unwrap();
            filter.fingerprint()
        };
        let prints = [
            new(&all, &[], false),
            new(&[], &all, false),
            new(&all, &all, true),
            new(&all, &all, false),
            new(&[], &[], false),
            ignoring("*.tmp"),
            ignoring("*.log"),
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
