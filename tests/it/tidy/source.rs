//! The source as text: files, and of Rust what is code in them.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A file of the repository.
pub struct Source {
    /// From the top directory on, as in `src/engine/pass.rs`.
    pub path: String,
    pub text: String,
    /// The text without comments, without what is in quotes, and without modules of tests. Every
    /// line keeps its number.
    pub code: String,
}

/// The top directory.
pub fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below these directories, in order.
pub fn sources(dirs: &[&str]) -> Vec<Source> {
    let mut files = Vec::new();
    for dir in dirs {
        walk(&top().join(dir), &mut files);
    }
    assert!(!files.is_empty());
    files.sort();
    let source = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(top()).unwrap();
        Source {
            path: path.to_str().unwrap().to_owned(),
            code: code_of(&text),
            text,
        }
    };
    files.into_iter().map(source).collect()
}

fn walk(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The text of a file of the repository.
pub fn text_of(path: &str) -> String {
    fs::read_to_string(top().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What the agent itself is made of: the files of `src` that are not compiled for tests alone.
pub fn agent() -> Vec<Source> {
    let all = sources(&["src"]);
    let mut tests = Vec::new();
    for source in &all {
        for (at, _) in source.text.match_indices("#[cfg(test)]\nmod ") {
            let name = word(&source.text[at + "#[cfg(test)]\nmod ".len()..]);
            tests.push(format!("{}/{name}.rs", source.path.trim_end_matches(".rs")));
        }
    }
    all.into_iter()
        .filter(|source| !tests.contains(&source.path))
        .collect()
}

/// The word a text begins with.
pub fn word(text: &str) -> &str {
    let end = text.find(|c: char| !is_word(c)).unwrap_or(text.len());
    &text[..end]
}

/// Whether it can be part of a word.
pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The words of a code, each with the place where it begins.
pub fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        at += code[at..].find(is_word)?;
        let found = (at, word(&code[at..]));
        at += found.1.len();
        Some(found)
    })
}

/// The number of the line a place is in, from 1.
pub fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// From the first opening brace at or after `from` to behind the one that closes it; nothing if a
/// semicolon comes first. What stands in round or square brackets does not count.
pub fn block(code: &str, from: usize) -> Option<Range<usize>> {
    let (mut depth, mut open) = (0, None);
    for (at, c) in code[from..].char_indices() {
        match (c, open) {
            ('(' | '[', None) => depth += 1,
            (')' | ']', None) => depth -= 1,
            (';', None) if depth == 0 => return None,
            ('{', None) if depth == 0 => (depth, open) = (1, Some(from + at)),
            ('{', Some(_)) => depth += 1,
            ('}', Some(start)) if depth == 1 => return Some(start..from + at + 1),
            ('}', Some(_)) => depth -= 1,
            _ => {}
        }
    }
    None
}

fn code_of(text: &str) -> String {
    let mut code = without_quotes(text);
    while let Some(at) = code.find("#[cfg(test)]") {
        let end = match block(&code, at + "#[cfg(test)]".len()) {
            Some(block) => block.end,
            None => at + code[at..].find(';').map_or(0, |end| end + 1),
        };
        blank(&mut code, at..end.max(at + "#[cfg(test)]".len()));
    }
    code
}

/// Puts blanks in place of a range, but for its line breaks.
fn blank(code: &mut String, range: Range<usize>) {
    let blanks: String = code[range.clone()].chars().map(blank_of).collect();
    code.replace_range(range, &blanks);
}

fn blank_of(c: char) -> char {
    if c == '\n' { '\n' } else { ' ' }
}

/// Blanks in place of comments and of what is in quotes.
fn without_quotes(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after_word = code.ends_with(is_word);
        let skipped = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => quoted(rest),
            'r' | 'b' if !after_word => raw(rest),
            '\'' => letter(rest),
            _ => 0,
        };
        if skipped == 0 {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            code.extend(rest[..skipped].chars().map(blank_of));
            rest = &rest[skipped..];
        }
    }
    code
}

/// The length of a string in quotes.
fn quoted(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a raw string or one of bytes; none if this is another word.
fn raw(text: &str) -> usize {
    let start = text.trim_start_matches('b').trim_start_matches('r');
    let letters = text.len() - start.len();
    let is_raw = text[..letters].contains('r');
    let quote = start.trim_start_matches('#');
    let hashes = start.len() - quote.len();
    match quote.chars().next() {
        Some('"') if is_raw && letters <= 2 => {
            let end = format!("\"{}", "#".repeat(hashes));
            let body = letters + hashes + 1;
            let length = text[body..].find(&end).map_or(0, |at| at + end.len());
            body + length
        }
        Some('"') if letters == 1 && hashes == 0 => 1 + quoted(start),
        Some('\'') if letters == 1 && hashes == 0 && !is_raw => 1 + letter(start),
        _ => 0,
    }
}

/// The length of a letter in quotes; none if this is a lifetime.
fn letter(text: &str) -> usize {
    let mut letters = text.char_indices().skip(1);
    match (letters.next(), letters.next()) {
        (Some((_, '\\')), Some(_)) => text[3..].find('\'').map_or(0, |end| end + 4),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 0,
    }
}

#[test]
fn code_has_neither_comments_nor_quotes_nor_tests() {
    let text = "fn a<'a>() { // {\n  b(\"}\\\"}\", '{', b'\\'', r#\"}\"}\"#); /* { */ rows\n}\n";
    assert_eq!(words(&code_of(text)).count(), 5);
    assert_eq!(block(&code_of(text), 0).unwrap().end, text.len() - 1);
    let text = "use a;\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n";
    let code = code_of(text);
    let left: Vec<_> = words(&code).map(|(_, word)| word).collect();
    assert_eq!(left, ["use", "a", "fn", "c"]);
    assert_eq!(line_of(&code, code.find("fn c").unwrap()), 6);
}
