//! What the docs say of files: that there are such files, and that none is left out.

use super::source::{is_word, sources, text_of, top};

/// Pages for people.
const PAGES: [&str; 7] = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "docs/threats.md",
    "cross/README.md",
    "benches/RESULTS.md",
];

/// What a path of the repository begins with.
const DIRS: [&str; 10] = [
    ".cargo/",
    ".ci/",
    "benches/",
    "config/",
    "cross/",
    "docs/",
    "examples/",
    "fuzz/",
    "src/",
    "tests/",
];

/// Letters of the shortest text that says what a file is.
const SAYING_MIN: usize = 40;

/// The docs a file begins with.
fn module_docs(text: &str) -> String {
    let docs = text.lines().map_while(|line| line.strip_prefix("//!"));
    docs.map(str::trim).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_file_of_the_library_is_named_in_its_docs() {
    let docs = module_docs(&text_of("src/lib.rs"));
    for source in sources(&["src"]) {
        let name = source.path.trim_start_matches("src/");
        let module = name.trim_end_matches(".rs").replace('/', "::");
        let name = if module == "main" { name } else { &module };
        let is_named = name == "lib" || docs.contains(&format!("`{name}`"));
        assert!(is_named, "src/lib.rs does not name {name}");
    }
}

#[test]
fn every_file_says_first_what_it_is() {
    for source in sources(&["src", "tests", "examples", "benches"]) {
        let docs = module_docs(&source.text);
        let first = docs.split("\n\n").next().unwrap();
        let says_it = docs.chars().count() >= SAYING_MIN && first.ends_with(['.', ':', '?']);
        let what = format!("{}: it does not say what it is: {first:?}", source.path);
        assert!(says_it, "{what}");
    }
}

/// Docs stand right above what they are about: not above a blank line, a comment or an end.
#[test]
fn no_docs_stand_above_nothing() {
    for source in sources(&["src", "tests", "examples", "benches"]) {
        let lines: Vec<&str> = source.text.lines().map(str::trim).collect();
        for (number, pair) in lines.windows(2).enumerate() {
            let is_doc = |line: &str| line.starts_with("///") && !line.starts_with("////");
            let is_item = |line: &str| !(line.is_empty() || line.starts_with(['}', ')', ']']));
            let is_comment = pair[1].starts_with("//") && !is_doc(pair[1]);
            assert!(
                !is_doc(pair[0]) || (is_item(pair[1]) && !is_comment),
                "{}:{}: {}",
                source.path,
                number + 1,
                pair[0]
            );
        }
    }
}

/// Paths of the repository that a text names.
fn paths(text: &str) -> Vec<&str> {
    let is_part = |c: char| is_word(c) || "./-*@".contains(c);
    let mut found = Vec::new();
    for dir in DIRS {
        for (at, _) in text.match_indices(dir) {
            if text[..at].ends_with(is_part) || text[..at].ends_with(['~', '$', '{', '}']) {
                continue;
            }
            let end = text[at..].find(|c| !is_part(c));
            let path = end.map_or(&text[at..], |end| &text[at..at + end]);
            found.push(path.trim_end_matches('.'));
        }
    }
    found
}

#[test]
fn every_path_that_is_named_is_there() {
    let pages = PAGES.map(|page| (page.to_owned(), text_of(page)));
    let docs = sources(&["src", "tests", "examples", "benches", "fuzz/fuzz_targets"]);
    let docs = docs.into_iter().map(|source| {
        let comments = source.text.lines().map(str::trim_start);
        let comments: Vec<_> = comments.filter(|line| line.starts_with("//")).collect();
        (source.path, comments.join("\n"))
    });
    let mut count = 0;
    for (page, text) in pages.into_iter().chain(docs) {
        for path in paths(&text) {
            let is_there = match path.split_once('*') {
                // All of a kind: the directory has some.
                Some((start, end)) => {
                    let (dir, _) = start.rsplit_once('/').unwrap();
                    let names = std::fs::read_dir(top().join(dir)).into_iter().flatten();
                    let mut names = names.map(|name| name.unwrap().file_name());
                    names.any(|name| name.to_string_lossy().ends_with(end))
                }
                None => top().join(path).exists(),
            };
            assert!(is_there, "{page} names {path}");
            count += 1;
        }
    }
    assert!(count > 60, "only {count} paths were found");
}

/// In its own docs a file calls its neighbours by their names alone.
#[test]
fn every_neighbour_that_is_named_is_there() {
    for source in sources(&["src", "tests"]) {
        let docs = module_docs(&source.text);
        let named = docs.split('`').skip(1).step_by(2);
        let named = named.filter(|name| name.ends_with(".rs") && !name.contains('/'));
        for name in named {
            let path = top().join(&source.path);
            let is_there = [path.parent().unwrap(), &path.with_extension("")]
                .iter()
                .any(|dir| dir.join(name).exists());
            assert!(is_there, "{} names {name}", source.path);
        }
    }
}
