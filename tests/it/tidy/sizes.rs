//! How large things may become: what is larger is two things.

use std::collections::BTreeMap;

use super::layers::impls;
use super::source::{block, line_of, sources, word, words};

/// Lines of a function, from its name to its last brace.
const FUNCTION_LINES_MAX: usize = 70;
/// Fields of a struct that others may touch.
const OPEN_FIELDS_MAX: usize = 20;
/// Methods of a type, wherever they are.
const METHODS_MAX: usize = 60;

/// Packages that have types of their own.
const PACKAGES: [&str; 2] = ["src", "tests/standin/src"];

#[test]
fn no_function_has_more_than_70_lines() {
    let mut functions = 0;
    for source in sources(&["src", "tests", "examples", "benches"]) {
        for (at, _) in words(&source.code).filter(|(_, word)| *word == "fn") {
            let Some(body) = block(&source.code, at) else {
                continue;
            };
            let name = word(source.code[at + 2..].trim_start());
            let lines = source.code[at..body.end].lines().count();
            let line = line_of(&source.code, at);
            let what = format!("{}:{line}: {name}: {lines} lines", source.path);
            assert!(lines <= FUNCTION_LINES_MAX, "{what}");
            functions += 1;
        }
    }
    assert!(functions > 2000, "only {functions} functions were found");
}

#[test]
fn no_struct_has_more_than_20_open_fields() {
    let mut structs = 0;
    for source in sources(&PACKAGES) {
        for (at, _) in words(&source.code).filter(|(_, word)| *word == "struct") {
            let Some(body) = block(&source.code, at) else {
                continue;
            };
            let name = word(source.code[at + 6..].trim_start());
            let fields = source.code[body].lines();
            let open = fields.filter(|line| word(line.trim_start()) == "pub");
            let open = open.count();
            let what = format!("{}: {name}: {open} open fields", source.path);
            assert!(open <= OPEN_FIELDS_MAX, "{what}");
            structs += 1;
        }
    }
    assert!(structs > 100, "only {structs} structs were found");
}

#[test]
fn no_type_has_more_than_60_methods() {
    for package in PACKAGES {
        let mut methods: BTreeMap<String, usize> = BTreeMap::new();
        for source in sources(&[package]) {
            for (of, body) in impls(&source.code) {
                let count = words(body).filter(|(_, word)| *word == "fn").count();
                *methods.entry(of).or_default() += count;
            }
        }
        assert!(methods.values().max() > Some(&20));
        for (name, count) in methods {
            assert!(count <= METHODS_MAX, "{name}: {count} methods");
        }
    }
}
