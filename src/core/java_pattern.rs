//! Java regular expressions, as the predecessor's users wrote them, for regex-lite.
//!
//! The two syntaxes mostly agree. Where regex-lite would read a Java pattern in another way
//! without a word (possessive repetition, `[[:alpha:]]`, `\v`, `\<`), or lacks the construct, the
//! pattern is rewritten or refused with what to write instead. What both reject is left to
//! regex-lite.

/// What is wrong, and what to write instead.
pub(crate) type PatternRefusal = (String, String);

fn refuse<T>(what: &str, remedy: &str) -> Result<T, PatternRefusal> {
    Err((what.to_owned(), remedy.to_owned()))
}

/// Rewrites a Java pattern as one that regex-lite reads in the same way.
pub(crate) fn translate(pattern: &str) -> Result<String, PatternRefusal> {
    let mut scan = Scan {
        rest: pattern,
        out: String::new(),
        seen: Seen::Other,
    };
    while let Some(c) = scan.rest.chars().next() {
        scan.seen = match c {
            '*' | '+' | '?' => scan.repetition(1)?,
            '{' => scan.repetition(scan.rest.find('}').map_or(1, |end| end + 1))?,
            '\\' => scan.escape()?,
            '[' => scan.class()?,
            '(' => scan.group()?,
            _ => scan.copy(c.len_utf8()),
        };
    }
    Ok(scan.out)
}

/// A pattern being translated, from left to right.
struct Scan<'p> {
    rest: &'p str,
    out: String,
    seen: Seen,
}

/// What ends right before the rest: it decides what `+` and `?` mean there.
#[derive(Clone, Copy)]
enum Seen {
    Other,
    Repetition,
    /// A repetition with its `?`, after which nothing may repeat.
    LazyRepetition,
}

impl Scan<'_> {
    fn copy(&mut self, bytes: usize) -> Seen {
        let (taken, rest) = self.rest.split_at(bytes);
        self.out.push_str(taken);
        self.rest = rest;
        Seen::Other
    }

    /// regex-lite reads the possessive `a*+` as `(?:a*)+`, without a word.
    fn repetition(&mut self, bytes: usize) -> Result<Seen, PatternRefusal> {
        let lazy = self.rest.starts_with('?');
        let seen = match self.seen {
            Seen::Other => Seen::Repetition,
            Seen::Repetition if lazy => Seen::LazyRepetition,
            Seen::Repetition if self.rest.starts_with('+') => {
                return refuse(
                    "possessive repetition ('*+', '++', '?+', '}+') is not supported",
                    "leave out the last '+'; the match is the same unless it was meant to fail",
                );
            }
            Seen::Repetition | Seen::LazyRepetition => {
                return refuse(
                    "two repetitions in a row",
                    "keep one, or group: '(?:a*){2}'",
                );
            }
        };
        self.copy(bytes);
        Ok(seen)
    }

    fn escape(&mut self) -> Result<Seen, PatternRefusal> {
        let Some(c) = self.rest[1..].chars().next() else {
            return refuse("ends in a single '\\'", "write '\\\\' for a backslash");
        };
        let braced = self.rest[1 + c.len_utf8()..].starts_with('{');
        let remedy = match c {
            'Q' => return Ok(self.quotation()),
            // A word boundary to regex-lite, a plain character to Java.
            '<' | '>' => {
                self.rest = &self.rest[1..];
                return Ok(self.copy(1));
            }
            'x' if braced => return Ok(self.copy(self.rest.find('}').map_or(3, |end| end + 1))),
            'b' if braced => "leave it out; folders are told apart by '/'",
            _ if "dDsSwWafntrxubBAz".contains(c) => return Ok(self.copy(2)),
            '1'..='9' | 'k' => "write the repeated part out, or list the paths one by one",
            'p' | 'P' => "list the characters, as in '[A-Za-z]'",
            'h' | 'H' => "write '[ \\t]' for a blank, '[^ \\t]' for anything else",
            'R' | 'v' | 'V' | 'N' => "name the characters, as in '[\\r\\n]' or '[^\\r\\n]'",
            'Z' | 'G' => "leave it out; a pattern always matches the whole path",
            'X' => "write '.'",
            '0' | 'c' | 'e' => "write the character as '\\x1b', two hex digits",
            'E' => "leave it out; it ends a '\\Q' and there is none",
            _ if c.is_ascii_alphanumeric() => "leave out the '\\' before a plain letter",
            _ if c.is_ascii() => return Ok(self.copy(2)),
            _ => {
                self.rest = &self.rest[1..];
                return Ok(self.copy(c.len_utf8()));
            }
        };
        let what = match c {
            '1'..='9' | 'k' => format!("back-references ('\\{c}') are not supported"),
            _ => format!(
                "'\\{c}' is not supported{}",
                if braced { " with '{'" } else { "" }
            ),
        };
        refuse(&what, remedy)
    }

    /// `\Q...\E`: everything in between is literal.
    fn quotation(&mut self) -> Seen {
        let quoted = &self.rest[2..];
        let (literal, rest) = quoted.split_once("\\E").unwrap_or((quoted, ""));
        self.out.push_str(&regex_lite::escape(literal));
        self.rest = rest;
        Seen::Other
    }

    fn class(&mut self) -> Result<Seen, PatternRefusal> {
        let named = self.rest.strip_prefix("[:");
        let past = named.map(|name| name.trim_start_matches(|c: char| c.is_ascii_alphabetic()));
        if past.is_some_and(|rest| rest.starts_with(":]")) {
            let remedy = "list the characters, as in '[A-Za-z]'";
            return refuse("'[:name:]' is no class in Java", remedy);
        }
        self.copy(if self.rest.starts_with("[^") { 2 } else { 1 });
        let mut first = true;
        while let Some(c) = self.rest.chars().next() {
            match c {
                ']' if !first => return Ok(self.copy(1)),
                '[' if self.rest.starts_with("[:") => {
                    let remedy = "list the characters: '[A-Za-z]' for '[[:alpha:]]'";
                    return refuse("POSIX classes mean something else in Java", remedy);
                }
                '[' => {
                    let remedy = "write one class, as in '[ab]', or '\\[' for a bracket";
                    return refuse("classes within classes are not supported", remedy);
                }
                '&' if self.rest.starts_with("&&") => {
                    let remedy = "list the characters; to leave paths out use 'exclude'";
                    return refuse("'&&' in a class is not supported", remedy);
                }
                '\\' => drop(self.escape()?),
                // Plain in Java, a set operation to regex-lite where it is doubled.
                '~' => {
                    self.out.push('\\');
                    self.copy(1);
                }
                _ => drop(self.copy(c.len_utf8())),
            }
            first = false;
        }
        refuse(
            "a '[' is not closed",
            "add the ']', or write '\\[' for a bracket",
        )
    }

    fn group(&mut self) -> Result<Seen, PatternRefusal> {
        let Some(kind) = self.rest.strip_prefix("(?") else {
            return Ok(self.copy(1));
        };
        if ["=", "!", "<=", "<!"]
            .iter()
            .any(|look| kind.starts_with(look))
        {
            let remedy = "list what is to be left out under 'exclude'";
            return refuse("look-around ('(?!', '(?=', '(?<') is not supported", remedy);
        }
        if kind.starts_with('>') {
            return refuse("atomic groups ('(?>') are not supported", "write '(?:'");
        }
        let name = kind.strip_prefix('P').unwrap_or(kind).starts_with('<');
        let end = kind.find(if name { ['>', '>'] } else { [':', ')'] });
        let Some(end) = end else {
            return refuse("a '(?' is not closed", "add the ')'");
        };
        if !name && kind[..end].contains(|c| !"ims-".contains(c)) {
            let remedy = "only (?i), (?m) and (?s) are; write the pattern without";
            return refuse(&format!("'(?{}' is not supported", &kind[..end]), remedy);
        }
        Ok(self.copy(2 + end + 1))
    }
}

#[cfg(test)]
mod tests {
    use crate::core::filter::{Filter, PatternError};

    fn matches(pattern: &str, path: &str) -> bool {
        Filter::new(&[pattern.to_owned()], &[], &[], false)
            .unwrap()
            .allows(path)
            .up
    }

    fn refusal(pattern: &str) -> PatternError {
        let list = ["/ok".to_owned(), pattern.to_owned()];
        Filter::new(&[], &list, &[], false).expect_err(pattern)
    }

    #[test]
    fn java_only_constructs_are_refused_by_name() {
        for (pattern, named) in [
            ("/a*+b", "possessive"),
            ("/a++", "possessive"),
            ("/a?+", "possessive"),
            ("/a{2}+", "possessive"),
            ("/a{2,3}+", "possessive"),
            ("/[*]*+", "possessive"),
            ("/\\*++", "possessive"),
            ("/\\x{41}*+", "possessive"),
            ("/a**", "in a row"),
            ("/a{2}{3}", "in a row"),
            ("/a*?+", "in a row"),
            ("(?!/a).*", "look-around"),
            ("(?=/a).*", "look-around"),
            (".*(?<!a)", "look-around"),
            (".*(?<=a)", "look-around"),
            ("(?>/a)", "atomic"),
            ("(?x)/a # b", "(?x"),
            ("(?U)/\\w", "(?U"),
            ("(/a)\\1", "back-reference"),
            ("(?<n>/a)\\k<n>", "back-reference"),
            ("/\\p{Lu}", "\\p"),
            ("/\\h", "\\h"),
            ("/\\R", "\\R"),
            ("/\\v", "\\v"),
            ("/a\\Z", "\\Z"),
            ("\\G/a", "\\G"),
            ("/\\b{g}", "\\b"),
            ("/\\y", "\\y"),
            ("/[a-z&&[^b]]", "&&"),
            ("/[a[b]]", "classes within"),
            ("/[[:alpha:]]", "POSIX"),
            ("/[:alpha:]", "no class"),
            ("/[a", "not closed"),
            ("/a\\", "single"),
            ("/(a", "group"),
            ("/a)(b", "without matching"),
            ("*.tmp", "repetition operator"),
            ("/.{1000}{1000}", "in a row"),
            ("/(?:.{1000}){1000}", "size"),
        ] {
            let error = refusal(pattern);
            assert!(error.what.contains(named), "{pattern}: {}", error.what);
            assert!(!error.remedy.is_empty(), "{pattern}");
            assert_eq!((error.list, error.index), ("download_filter", 1));
        }
        assert!(refusal("*.tmp").remedy.contains("shell pattern"));
    }

    #[test]
    fn a_refusal_says_what_to_write_instead() {
        for (patterns, remedy) in [
            (&["(/a)\\1", "(?<n>/a)\\k<n>"][..], "repeated part out"),
            (&["/\\p{Lu}", "/\\PL"], "list the characters"),
            (&["/\\h", "/\\H"], "'[ \\t]'"),
            (&["/\\R", "/\\v", "/\\V", "/\\N"], "name the characters"),
            (&["/a\\Z", "\\G/a"], "matches the whole path"),
            (&["/\\X"], "write '.'"),
            (&["/\\07", "/\\cA", "/\\e"], "two hex digits"),
            (&["/a\\E"], "there is none"),
            (&["/\\b{g}"], "told apart by '/'"),
            (&["/\\y"], "plain letter"),
            (&["/[a\\]&&b]"], "use 'exclude'"),
        ] {
            for pattern in patterns {
                let error = refusal(pattern);
                assert!(error.remedy.contains(remedy), "{pattern}: {}", error.remedy);
            }
        }
    }

    #[test]
    fn what_only_looks_java_only_is_accepted_and_means_the_same() {
        for (pattern, path) in [
            ("/\\*+", "/***"),
            ("/[*+]", "/+"),
            ("/[]*]+", "/]*"),
            ("/[^]a]+", "/bc"),
            ("/\\\\*", "/\\\\"),
            ("/\\++", "/+++"),
            ("/a+?b??", "/aab"),
            ("/a{1,2}?", "/aa"),
            ("/\\x{41}+", "/AA"),
            ("/\\Qa*+(\\E+", "/a*+(("),
            ("/\\Q[x", "/[x"),
            ("/\\<a\\>", "/<a>"),
            ("/[a~~b]", "/~"),
            ("/a&b", "/a&b"),
            ("/\\é\\-[\\]\\-]", "/é--"),
            ("/(?<n>a)(?:b)", "/ab"),
            ("/(?<name>\\<)", "/<"),
            ("/\\x41\\Q}\\E", "/A}"),
            ("/a\\b.*", "/a.b"),
            ("/\\d+", "/42"),
            ("/[\\<]", "/<"),
            ("/[]**]+", "/]*"),
            ("/[a&b]", "/&"),
            ("/(?i:A)b", "/ab"),
        ] {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
    }
}
