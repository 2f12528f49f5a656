//! The style of the source, where a test can hold it.

use std::fs;
use std::path::{Path, PathBuf};

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut dirs: Vec<_> = ["src", "tests", "examples", "benches"]
        .map(|dir| root.join(dir))
        .into();
    let mut files = Vec::new();
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                files.push((path, text));
            }
        }
    }
    files
}

#[test]
fn lines_have_at_most_100_columns() {
    for (path, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            let columns = line.chars().count();
            assert!(
                columns <= 100,
                "{}:{}: {columns}",
                path.display(),
                number + 1
            );
        }
    }
}

#[test]
fn no_unfinished_work_lands() {
    let words = ["TODO", "FIXME", "todo!(", "unimplemented!(", "dbg!("];
    for (path, text) in sources()
        .into_iter()
        .filter(|(path, _)| !path.ends_with("tidy.rs"))
    {
        for word in words {
            assert!(!text.contains(word), "{}: {word}", path.display());
        }
    }
}

#[test]
fn every_file_says_first_what_it_is() {
    for (path, text) in sources() {
        assert!(text.starts_with("//!"), "{}", path.display());
    }
}

#[test]
fn the_core_does_no_io() {
    for (path, text) in sources() {
        if path.to_string_lossy().contains("/src/core") {
            for word in [
                "std::fs",
                "fs_err",
                "std::io",
                "std::time",
                "log::",
                "crate::io",
                "std::env",
            ] {
                assert!(!text.contains(word), "{}: {word}", path.display());
            }
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

#[test]
fn every_guard_of_the_list_is_found_once() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let src: Vec<String> = sources()
        .into_iter()
        .filter(|(path, _)| path.starts_with(root.join("src")))
        .map(|(_, text)| unspaced(&text))
        .collect();
    let list = fs::read_to_string(root.join("tests/guards.list")).unwrap();
    let mut lost = Vec::new();
    for entry in list.split("\n\n") {
        let code: Vec<&str> = entry.lines().filter_map(|l| l.strip_prefix("- ")).collect();
        let code = unspaced(&code.join("\n"));
        let hits: usize = src.iter().map(|text| text.matches(&code).count()).sum();
        let lines = entry
            .lines()
            .filter(|line| !line.starts_with(['#', '-', '+', '&']));
        for (name, _) in lines.filter_map(|line| line.split_once(": ")) {
            if hits != 1 {
                lost.push(format!("{name}: found {hits} times: {code}"));
            }
        }
    }
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}
