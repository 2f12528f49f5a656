//! `docs/threats.md`: each promise in it names a test, and the tests it names are there.

use super::source::{sources, text_of, top};

/// The part of the page in which each item is a promise.
fn promises() -> Vec<String> {
    let page = text_of("docs/threats.md");
    let start = page.find("## What is promised").unwrap();
    let end = page.find("## What is not promised").unwrap();
    let items = page[start..end].split("\n- ").skip(1);
    items
        .map(|item| item.split("\n#").next().unwrap().to_owned())
        .collect()
}

/// What stands between backticks.
fn named(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).map(str::trim).collect()
}

/// Whether a name is that of a test or of a script; nothing if it is none of these by its looks.
fn is_there(name: &str, tests: &[(String, String)]) -> Option<bool> {
    if name.starts_with("tests/") {
        return Some(top().join(name).exists());
    }
    let (module, test) = name.rsplit_once("::")?;
    let is_it = |(of, name): &(String, String)| of == module && name == test;
    Some(tests.iter().any(is_it))
}

/// All tests: the module each is in, without the binary, and its name.
fn tests() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for source in sources(&["tests/it", "tests/system"]) {
        let module = source
            .path
            .trim_start_matches("tests/")
            .trim_end_matches(".rs");
        let (_, module) = module.split_once('/').unwrap();
        let after_mark = source.text.split("#[test]\n").skip(1);
        for text in after_mark {
            let name = text.split_once("fn ").unwrap().1.split('(').next().unwrap();
            found.push((module.replace('/', "::"), name.to_owned()));
        }
    }
    found
}

#[test]
fn every_promise_names_a_test_that_is_there() {
    let tests = tests();
    let promises = promises();
    assert!(promises.len() > 20, "{}", promises.len());
    for promise in promises {
        let found: Vec<_> = named(&promise)
            .into_iter()
            .filter_map(|name| Some((name, is_there(name, &tests)?)))
            .collect();
        assert!(!found.is_empty(), "no test holds: {promise}");
        for (name, is_there) in found {
            assert!(is_there, "docs/threats.md names {name}");
        }
    }
}
