//! Globs as gitignore(5) has them: `*`, `?` and `[...]` stop at a slash, `**` does not; a slash at
//! the start or in the middle binds a glob to the top; one at the end means folders; `!` takes back
//! what an earlier one said, and the last that matches counts. Case counts.
//!
//! What git takes for a glob that never matches is refused. No pattern takes more than steps in
//! proportion to its length times that of the path, for each `*` once more.

use crate::core::path::nfc;

/// A list of globs.
#[derive(Clone, Debug, Default)]
pub struct Globs(Vec<Glob>);

#[derive(Clone, Debug)]
struct Glob {
    /// What it matches is taken back.
    negated: bool,
    only_folders: bool,
    parts: Vec<Part>,
}

/// What stands between two slashes.
#[derive(Clone, Debug)]
enum Part {
    /// `**`: any number of folders.
    Folders,
    Name(Vec<Token>),
}

#[derive(Clone, Debug)]
enum Token {
    /// `*`.
    Some,
    /// `?`.
    One,
    Letter(char),
    /// `[...]`: ranges and classes, and whether it means all others.
    Set(Vec<Letters>, bool),
}

#[derive(Clone, Debug)]
enum Letters {
    Range(char, char),
    Class(fn(&char) -> bool),
}

impl Globs {
    /// Adds a glob, which counts more than those before it.
    ///
    /// # Errors
    /// `what is wrong; what to write`.
    pub fn add(&mut self, text: &str) -> Result<(), String> {
        self.0.push(Glob::parse(&nfc(text))?);
        Ok(())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a file is matched: itself, or by a folder it lies in, below which nothing is taken
    /// back. `path` is `/relative/path` in its real case.
    pub fn match_file(&self, path: &str) -> bool {
        self.deciding(path, false).is_some()
    }

    /// The place of the glob that matches a path, or the topmost folder it lies in that is matched.
    pub fn deciding(&self, path: &str, is_folder: bool) -> Option<usize> {
        if self.0.is_empty() {
            return None;
        }
        steps(path, is_folder).find_map(|(path, is_folder)| self.match_alone(path, is_folder))
    }

    /// The places of all globs that match a path or a folder it lies in, taken back or not.
    pub fn all_matching<'g>(
        &'g self,
        path: &'g str,
        is_folder: bool,
    ) -> impl Iterator<Item = usize> + 'g {
        let matches = move |glob: &Glob| {
            steps(path, is_folder).any(|(path, is_folder)| {
                let parts: Vec<&str> = path.split('/').collect();
                glob.matches(&parts, is_folder)
            })
        };
        let numbered = self.0.iter().enumerate();
        numbered
            .filter(move |(_, glob)| matches(glob))
            .map(|(at, _)| at)
    }

    /// The place of the last glob that matches this very path, unless it takes it back.
    fn match_alone(&self, path: &str, is_folder: bool) -> Option<usize> {
        let parts: Vec<&str> = path.split('/').collect();
        let mut last_first = self.0.iter().enumerate().rev();
        let (at, last) = last_first.find(|(_, glob)| glob.matches(&parts, is_folder))?;
        (!last.negated).then_some(at)
    }
}

/// A path from the top down: each folder it lies in, and itself, and whether it is a folder.
fn steps(path: &str, is_folder: bool) -> impl Iterator<Item = (&str, bool)> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let folders = path.match_indices('/').map(|(end, _)| (&path[..end], true));
    folders.chain([(path, is_folder)])
}

impl Glob {
    fn matches(&self, parts: &[&str], is_folder: bool) -> bool {
        (is_folder || !self.only_folders) && matches_parts(&self.parts, parts)
    }

    fn parse(text: &str) -> Result<Glob, String> {
        let mut text = trimmed(text);
        let negated = text.starts_with('!');
        text = text.strip_prefix('!').unwrap_or(text);
        if text.starts_with('#') {
            return Err("is a comment; write \\# for a name that begins so".to_owned());
        }
        let only_folders = text.ends_with('/');
        text = text.strip_suffix('/').unwrap_or(text);
        let is_bound = text.contains('/');
        text = text.strip_prefix('/').unwrap_or(text);
        if text.is_empty() || text.split('/').any(str::is_empty) {
            return Err("names nothing; write it as in \"/logs/*.log\"".to_owned());
        }
        let mut parts = Vec::new();
        if !is_bound {
            parts.push(Part::Folders);
        }
        for part in text.split('/') {
            parts.push(match part {
                "**" if is_bound => Part::Folders,
                part => Part::Name(tokens(part)?),
            });
        }
        // It means all that lies in the folder, not the folder itself.
        if is_bound && matches!(parts.last(), Some(Part::Folders)) {
            parts.push(Part::Name(vec![Token::Some]));
        }
        Ok(Glob {
            negated,
            only_folders,
            parts,
        })
    }
}

/// Without the blanks at its end, unless the first of them is escaped.
fn trimmed(text: &str) -> &str {
    let kept = text.trim_end_matches(' ');
    let escapes = kept.len() - kept.trim_end_matches('\\').len();
    let is_escaped = escapes % 2 == 1 && kept.len() < text.len();
    &text[..kept.len() + usize::from(is_escaped)]
}

fn tokens(part: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = part.chars();
    while let Some(c) = rest.next() {
        tokens.push(match c {
            '*' if matches!(tokens.last(), Some(Token::Some)) => continue,
            '*' => Token::Some,
            '?' => Token::One,
            '[' => set(&mut rest)
                .ok_or_else(|| "has a [ without its ]; write \\[ for the letter".to_owned())?,
            '\\' => Token::Letter(rest.next().ok_or_else(|| {
                "ends a name with a backslash; write \\\\ for the letter".to_owned()
            })?),
            c => Token::Letter(c),
        });
    }
    Ok(tokens)
}

/// The rest of a `[...]`, behind its bracket.
fn set(rest: &mut std::str::Chars<'_>) -> Option<Token> {
    let negated = rest.as_str().starts_with(['!', '^']);
    if negated {
        rest.next();
    }
    let mut letters = Vec::new();
    let mut c = rest.next()?;
    loop {
        if c == '[' && rest.as_str().starts_with(':') {
            let (name, after) = rest.as_str()[1..].split_once(":]")?;
            letters.push(Letters::Class(class(name)?));
            *rest = after.chars();
        } else {
            let from = if c == '\\' { rest.next()? } else { c };
            let mut to = from;
            // A minus at the end is the letter.
            if rest.as_str().starts_with('-') && !rest.as_str().starts_with("-]") {
                rest.next();
                to = rest.next()?;
                if to == '\\' {
                    to = rest.next()?;
                }
            }
            letters.push(Letters::Range(from, to));
        }
        c = rest.next()?;
        if c == ']' {
            return Some(Token::Set(letters, negated));
        }
    }
}

fn class(name: &str) -> Option<fn(&char) -> bool> {
    Some(match name {
        "alnum" => char::is_ascii_alphanumeric,
        "alpha" => char::is_ascii_alphabetic,
        "blank" => |c| matches!(c, ' ' | '\t'),
        "cntrl" => char::is_ascii_control,
        "digit" => char::is_ascii_digit,
        "graph" => char::is_ascii_graphic,
        "lower" => char::is_ascii_lowercase,
        "print" => |c| c.is_ascii_graphic() || *c == ' ',
        "punct" => char::is_ascii_punctuation,
        "space" => |c| c.is_ascii_whitespace() || *c == '\u{b}',
        "upper" => char::is_ascii_uppercase,
        "xdigit" => char::is_ascii_hexdigit,
        _ => return None,
    })
}

/// Whether a list of things matches: after a mismatch the last thing that stands for any number of
/// others takes one more.
fn matches_list<P, T>(
    pattern: &[P],
    list: &[T],
    is_any: impl Fn(&P) -> bool,
    is_it: impl Fn(&P, &T) -> bool,
) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut last_any: Option<(usize, usize)> = None;
    while t < list.len() {
        match pattern.get(p) {
            Some(any) if is_any(any) => {
                last_any = Some((p, t));
                p += 1;
            }
            Some(one) if is_it(one, &list[t]) => (p, t) = (p + 1, t + 1),
            _ => match &mut last_any {
                Some((any, from)) => {
                    *from += 1;
                    (p, t) = (*any + 1, *from);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(is_any)
}

fn matches_parts(pattern: &[Part], path: &[&str]) -> bool {
    let is_any = |part: &Part| matches!(part, Part::Folders);
    matches_list(pattern, path, is_any, |part, name| match part {
        Part::Folders => false,
        Part::Name(tokens) => matches_name(tokens, name),
    })
}

fn matches_name(pattern: &[Token], name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    let is_any = |token: &Token| matches!(token, Token::Some);
    matches_list(pattern, &name, is_any, |token, c| match token {
        Token::Some => false,
        Token::One => true,
        Token::Letter(letter) => letter == c,
        Token::Set(letters, negated) => {
            let is_in = |letters: &Letters| match letters {
                Letters::Range(from, to) => (from..=to).contains(&c),
                Letters::Class(class) => class(c),
            };
            letters.iter().any(is_in) != *negated
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(list: &[&str]) -> Globs {
        let mut globs = Globs::default();
        list.iter().for_each(|glob| globs.add(glob).unwrap());
        globs
    }

    #[track_caller]
    fn check(list: &[&str], matched: &[&str], others: &[&str]) {
        let globs = globs(list);
        for path in matched {
            assert!(globs.match_file(path), "{list:?} {path}");
        }
        for path in others {
            assert!(!globs.match_file(path), "{list:?} {path}");
        }
    }

    /// gitignore(5), "PATTERN FORMAT", sentence by sentence.
    #[test]
    fn a_slash_at_the_start_or_in_the_middle_binds_to_the_top() {
        check(
            &["hello.*"],
            &["/hello.txt", "/a/hello.java"],
            &["/a/hello", "/xhello.c"],
        );
        check(
            &["/hello.*"],
            &["/hello.txt", "/hello.c"],
            &["/a/hello.java"],
        );
        check(
            &["doc/frotz"],
            &["/doc/frotz", "/doc/frotz/x"],
            &["/a/doc/frotz"],
        );
        check(
            &["/logs/*.log"],
            &["/logs/a.log"],
            &["/logs/a.txt", "/x/logs/a.log", "/a.log"],
        );
        check(
            &["foo/*"],
            &["/foo/test.json", "/foo/bar/hello.c"],
            &["/foo", "/a/foo/b"],
        );
    }

    #[test]
    fn a_slash_at_the_end_means_folders_and_all_below_them() {
        check(&["foo/"], &["/foo/x", "/a/foo/b/c"], &["/foo", "/a/foo"]);
        check(
            &["doc/frotz/"],
            &["/doc/frotz/x"],
            &["/doc/frotz", "/a/doc/frotz/x"],
        );
        check(
            &["frotz"],
            &["/frotz", "/frotz/x", "/a/frotz/x/y"],
            &["/frotzen"],
        );
        check(&["/**/"], &["/a/b"], &["/a"]);
    }

    #[test]
    fn two_asterisks_stand_for_any_number_of_folders() {
        check(&["**/foo"], &["/foo", "/a/foo", "/a/b/foo/c"], &["/xfoo"]);
        check(
            &["**/foo/bar"],
            &["/foo/bar", "/a/b/foo/bar"],
            &["/foo/x/bar"],
        );
        check(&["abc/**"], &["/abc/x", "/abc/x/y"], &["/abc", "/x/abc/y"]);
        check(
            &["a/**/b"],
            &["/a/b", "/a/x/b", "/a/x/y/b"],
            &["/ab", "/x/a/b", "/a/x"],
        );
        check(
            &["a/**/b/**/c"],
            &["/a/b/c", "/a/b/b/x/c", "/a/x/b/c"],
            &["/a/c", "/a/x/c"],
        );
        check(&["**", "!/a"], &["/b", "/b/c"], &["/a"]);
        // Others are one asterisk.
        check(&["/a**b"], &["/ab", "/axxb"], &["/a/b", "/a/x/b"]);
        check(&["**.log"], &["/x.log", "/a/x.log"], &["/x.logs"]);
    }

    #[test]
    fn asterisk_question_mark_and_brackets_stop_at_a_slash() {
        check(&["/a*c"], &["/ac", "/abc", "/abbc"], &["/a/c", "/ab"]);
        check(&["/a?c"], &["/abc", "/a\u{e4}c"], &["/ac", "/a/c", "/abbc"]);
        check(&["/[a-c]x"], &["/ax", "/cx"], &["/dx", "/Ax", "/x", "/-x"]);
        check(&["/[!a-c]x"], &["/dx"], &["/ax", "/x"]);
        check(&["/[^a-c]x"], &["/dx"], &["/ax"]);
        check(&["/[]-]x"], &["/]x", "/-x"], &["/ax"]);
        check(
            &["/[a-]x", "/[\\]b]y"],
            &["/-x", "/ax", "/]y", "/by"],
            &["/bx", "/\\y"],
        );
        check(
            &["/x[[:digit:][:upper:]_]"],
            &["/x7", "/xQ", "/x_"],
            &["/xq", "/x", "/x:"],
        );
        check(
            &["*a*a*a*a*a*a*a*a*b"],
            &["/aaaaaaaab"],
            &["/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"],
        );
    }

    #[test]
    fn the_last_that_matches_counts_and_nothing_below_a_folder_comes_back() {
        check(
            &["*.log", "!keep.log"],
            &["/a.log", "/d/b.log"],
            &["/keep.log", "/d/keep.log"],
        );
        check(&["!keep.log", "*.log"], &["/keep.log"], &[]);
        check(&["/logs/", "!/logs/keep"], &["/logs/keep"], &[]);
        check(&["/logs/*", "!/logs/keep"], &["/logs/a"], &["/logs/keep"]);
        // All but one folder, as the manual has it.
        check(
            &["/*", "!/foo", "/foo/*", "!/foo/bar"],
            &["/x", "/foo/y"],
            &["/foo/bar/z"],
        );
    }

    #[test]
    fn backslashes_and_blanks_mean_what_git_takes_them_for() {
        check(
            &["\\#a", "\\!b", "c\\*", "d\\ "],
            &["/#a", "/!b", "/c*", "/d "],
            &["/cx", "/d"],
        );
        check(&["a  ", "b\\  "], &["/a", "/b "], &["/a  ", "/b  "]);
        check(&["A", "\u{e4}"], &["/A", "/\u{e4}"], &["/a"]);
        // From a Mac.
        check(&["a\u{308}"], &["/\u{e4}"], &[]);
        assert!(!Globs::default().match_file("/a") && Globs::default().is_empty());
    }

    #[test]
    fn what_could_never_match_is_refused_with_what_to_write() {
        for (glob, expected) in [
            ("", "names nothing"),
            ("  ", "names nothing"),
            ("/", "names nothing"),
            ("!", "names nothing"),
            ("a//b", "names nothing"),
            ("#a", "is a comment"),
            ("[a", "has a [ without its ]"),
            ("[]", "has a [ without its ]"),
            ("[[:nonsense:]]", "has a [ without its ]"),
            ("a[b/c]", "has a [ without its ]"),
            ("a\\", "ends a name with a backslash"),
        ] {
            let told = Globs::default().add(glob).unwrap_err();
            assert!(
                told.contains(expected) && told.contains("; write"),
                "{glob}: {told}"
            );
        }
    }
}
