//! The style of the source, where a test can hold it: who may import whom ([`layers`]), how large
//! things may become ([`sizes`]), what they are called ([`names`]), and that what the docs say of
//! files is true ([`docs`]) and of tests ([`threats`]).

mod docs;
mod layers;
mod names;
mod sizes;
pub mod source;
mod threats;

use source::{sources, text_of};

/// Where Rust is written.
const RUST: [&str; 4] = ["src", "tests", "examples", "benches"];

#[test]
fn lines_have_at_most_100_columns() {
    for source in sources(&RUST) {
        for (number, line) in source.text.lines().enumerate() {
            let columns = line.chars().count();
            assert!(columns <= 100, "{}:{}: {columns}", source.path, number + 1);
        }
    }
}

#[test]
fn no_unfinished_work_is_left() {
    let words = ["TODO", "FIXME", "todo!(", "unimplemented!(", "dbg!("];
    for source in sources(&RUST) {
        for word in words {
            let is_left = source.text.contains(word) && !source.path.ends_with("tidy.rs");
            assert!(!is_left, "{}: {word}", source.path);
        }
    }
}

/// A text in which blanks count only between two words, as `tests/guards.sh` reads it.
fn unspaced(text: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if out.ends_with(is_word) && word.starts_with(is_word) {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// After those before it have got their switches, as `guards.sh` does it.
#[test]
fn every_guard_of_the_list_is_found_once() {
    let src = sources(&["src"]);
    let mut src: Vec<String> = src.iter().map(|source| unspaced(&source.text)).collect();
    let list = text_of("tests/guards.list");
    let mut lost = Vec::new();
    for entry in list.split("\n\n") {
        let part = |mark: &str| {
            let lines = entry.lines().filter_map(|line| line.strip_prefix(mark));
            unspaced(&lines.collect::<Vec<_>>().join("\n"))
        };
        let (code, switched) = (part("- "), part("+ "));
        let lines = entry
            .lines()
            .filter(|line| !line.starts_with(['#', '-', '+', '&']));
        let mut names = lines.filter_map(|line| line.split_once(": "));
        let Some((name, _)) = names.next() else {
            continue;
        };
        let hits: usize = src.iter().map(|text| text.matches(&code).count()).sum();
        if hits != 1 {
            lost.push(format!("{name}: found {hits} times: {code}"));
        }
        for text in &mut src {
            *text = text.replacen(&code, &switched, 1);
        }
    }
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}
