//! Who may import whom. An import is a `use`, a path within the code, or a method that one file
//! calls on itself and another one has: `impl` blocks need no import, so no list shows these.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Source, agent, block, is_word, text_of, word, words};

/// The floors of the house, the uppermost first, each with its rooms: files and folders of `src`. A
/// file imports from lower floors and from its own room. A file that has rooms on floors below
/// stands for itself alone.
const FLOORS: [&[&str]; 24] = [
    &["main"],
    &["cli"],
    &["daemon"],
    &["commands"],
    &["engine"],
    &["engine/pass", "engine/why"],
    &["engine/walk"],
    &["engine/reconcile"],
    &["engine/phases", "engine/planner"],
    &["engine/actions"],
    &["engine/moves"],
    &["engine/download", "engine/upload", "engine/delete"],
    &["engine/revisit"],
    &[
        "engine/observe",
        "engine/collected",
        "engine/local_dir",
        "engine/durable",
        "engine/identity",
    ],
    &["engine/context"],
    &["engine/pull", "engine/remembered"],
    &[
        "engine/item",
        "engine/survey",
        "engine/remote_root",
        "engine/root",
        "engine/cursor",
        "engine/credential",
        "engine/in_force",
        "engine/stable_read",
        "engine/batches",
    ],
    &[
        "engine/file_clock",
        "engine/under_way",
        "engine/pass_record",
    ],
    &["dropbox", "index", "logging"],
    &["io"],
    &["error"],
    &["config"],
    &["core", "report", "timestamp"],
    &["words"],
];

/// What few may name, and who they are.
const KNOWN_BY_FEW: [(&str, &[&str]); 15] = [
    ("rusqlite", &["index", "error"]),
    (
        "rustix",
        &[
            "io",
            "daemon",
            "logging/file",
            "config/exposure",
            "config/regular_file",
            "cli",
        ],
    ),
    (
        "ureq",
        &[
            "io/real_http",
            "io/interruptible",
            "io/addresses",
            "io/proxy",
        ],
    ),
    ("rustls", &["io/real_http"]),
    ("lexopt", &["cli/parse"]),
    ("env_logger", &["logging"]),
    ("toml", &["config/document"]),
    ("regex_lite", &["core/filter", "core/java_pattern"]),
    ("unicode_normalization", &["core/path"]),
    ("miniz_oxide", &["engine/download/zip"]),
    ("signal_hook", &["daemon/wakeup", "io/interrupt"]),
    ("base64", &["dropbox/auth"]),
    ("percent_encoding", &["dropbox/auth"]),
    ("thread::sleep", &["io/host"]),
    // `cli` and the gateway wait before a pass, so that many of them do not start together.
    ("host.sleep", &["io/deadline", "cli", "daemon/gateway"]),
];

/// What the core does without: I/O, clocks, the log, threads, randomness.
const NOT_IN_CORE: [&str; 14] = [
    "std::fs",
    "fs_err",
    "std::io",
    "std::env",
    "std::net",
    "std::process",
    "std::thread",
    "std::time",
    "Timestamp::now",
    "Zoned::now",
    "ring::rand",
    "log",
    "println",
    "HashSet",
];

/// Modules by name, and which of them need which, with the reason.
struct House {
    /// `engine/pass`, empty for the library itself: its code.
    modules: BTreeMap<String, String>,
    /// What a front hands on from its rooms: names, and where they are from.
    handed_on: BTreeMap<String, BTreeMap<String, String>>,
    needs: BTreeMap<String, BTreeMap<String, String>>,
}

/// The name of a file of `src` as a module.
fn module_of(source: &Source) -> String {
    let name = source.path.strip_prefix("src/").unwrap();
    let name = name.strip_suffix(".rs").unwrap();
    (if name == "lib" { "" } else { name }).to_owned()
}

fn is_at_or_below(module: &str, room: &str) -> bool {
    let rest = module.strip_prefix(room);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The room of a module, and its floor.
fn room_of(module: &str) -> (&'static str, usize) {
    let rooms = || FLOORS.iter().flat_map(|rooms| rooms.iter().copied());
    let has_rooms = |room: &str| rooms().any(|other| other != room && is_at_or_below(other, room));
    let is_it = |room: &str| match has_rooms(room) {
        true => module == room,
        false => is_at_or_below(module, room),
    };
    let found = FLOORS.iter().enumerate().find_map(|(floor, rooms)| {
        let room = rooms.iter().copied().find(|room| is_it(room))?;
        Some((room, floor))
    });
    found.unwrap_or_else(|| panic!("src/{module}.rs is in no room of the table"))
}

/// The paths that a `use` stands for: those of its tree, one by one.
fn expand(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        return vec![tree.split(" as ").next().unwrap().trim().to_owned()];
    };
    let (prefix, rest) = tree.split_at(open);
    let body = &rest[1..rest.rfind('}').unwrap()];
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for c in body.chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if c == ',' && depth == 0 {
            parts.push(String::new());
        } else {
            parts.last_mut().unwrap().push(c);
        }
    }
    let parts = parts.iter().filter(|part| !part.trim().is_empty());
    parts
        .flat_map(|part| expand(part))
        .map(|part| format!("{prefix}{part}"))
        .collect()
}

/// The uses of a code, whether each hands on, and the code without them.
fn uses(code: &str) -> (Vec<(bool, String)>, String) {
    let (mut found, mut rest) = (Vec::new(), code.to_owned());
    for (at, _) in words(code).filter(|(_, word)| *word == "use") {
        let end = at + code[at..].find(';').unwrap();
        let line = code[..at].rfind('\n').map_or(0, |end| end + 1);
        let is_public = code[line..at].trim_start().starts_with("pub");
        let trees = expand(&code[at + 3..end]);
        found.extend(trees.into_iter().map(|tree| (is_public, tree)));
        rest.replace_range(line..end, &" ".repeat(end - line));
    }
    (found, rest)
}

/// The paths of a code that has no `use`, such as `crate::report::printable`.
fn paths(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut last_end = 0;
    for (at, first) in words(code) {
        let before = code[..at].trim_end();
        // The middle of a path; or who may see something, which is no import.
        if at < last_end || before.ends_with("::") || before.ends_with("in") {
            continue;
        }
        let mut end = at + first.len();
        while code[end..].starts_with("::") && code[end + 2..].starts_with(is_word) {
            end += 2 + word(&code[end + 2..]).len();
        }
        if end > at + first.len() {
            found.push(code[at..end].to_owned());
        }
        last_end = end;
    }
    found
}

impl House {
    fn read() -> House {
        let modules = agent()
            .iter()
            .map(|source| (module_of(source), source.code.clone()))
            .collect();
        let mut house = House {
            modules,
            handed_on: BTreeMap::new(),
            needs: BTreeMap::new(),
        };
        let mut imports = Vec::new();
        for (module, code) in &house.modules {
            let (uses, rest) = uses(code);
            let mut handed_on = BTreeMap::new();
            for (is_public, path) in uses {
                let Some((target, name)) = house.found(module, &path) else {
                    continue;
                };
                if is_public {
                    handed_on.insert(name.clone(), target.clone());
                }
                // What is only handed on is no import.
                if !is_public || names(&rest, &name) {
                    imports.push((module.clone(), (target, name)));
                }
            }
            let inline = paths(&rest).into_iter();
            let inline = inline.filter_map(|path| house.found(module, &path));
            imports.extend(inline.map(|import| (module.clone(), import)));
            house.handed_on.insert(module.clone(), handed_on);
        }
        for (module, (target, name)) in imports {
            let from = house.handed_on[&target].get(&name);
            let target = from.unwrap_or(&target).clone();
            house.note(&module, &target, &name);
        }
        house.note_methods();
        house
    }

    /// The module a path leads to, and the name in it.
    fn found(&self, module: &str, path: &str) -> Option<(String, String)> {
        let mut names: Vec<&str> = path.split("::").map(str::trim).collect();
        let mut base: Vec<&str> = match module {
            "" | "main" => Vec::new(),
            module => module.split('/').collect(),
        };
        let is_room = |name: &str| {
            let room = [&base[..], &[name]].concat().join("/");
            !base.is_empty() && self.modules.contains_key(&room)
        };
        match names[0] {
            "crate" | "ferrybox" => base.clear(),
            "super" => {}
            "self" => {}
            name if is_room(name) => names.insert(0, "self"),
            _ => return None,
        }
        while names.first() == Some(&"super") {
            base.pop();
            names.remove(0);
        }
        if matches!(names.first(), Some(&"crate" | &"ferrybox" | &"self")) {
            names.remove(0);
        }
        let all = [base, names].concat();
        (1..=all.len()).rev().find_map(|end| {
            let target = all[..end].join("/");
            let name = all.get(end).copied().unwrap_or_default().to_owned();
            self.modules.contains_key(&target).then_some((target, name))
        })
    }

    fn note(&mut self, module: &str, target: &str, why: &str) {
        if module != target {
            let needs = self.needs.entry(module.to_owned()).or_default();
            needs.insert(target.to_owned(), why.to_owned());
        }
    }

    /// Methods that a file calls on itself and that other files have.
    fn note_methods(&mut self) {
        let mut has: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
        let mut calls = Vec::new();
        for (module, code) in &self.modules {
            for (of, body) in impls(code) {
                let mut last = "";
                for (at, name) in words(body) {
                    let called = body[..at].ends_with("self.") || body[..at].ends_with("Self::");
                    if last == "fn" {
                        let method = (of.clone(), name.to_owned());
                        has.entry(method).or_default().insert(module.clone());
                    } else if called && body[at + name.len()..].starts_with('(') {
                        calls.push((module.clone(), of.clone(), name.to_owned()));
                    }
                    last = name;
                }
            }
        }
        for (module, of, name) in calls {
            let Some(where_it_is) = has.get(&(of.clone(), name.clone())) else {
                continue;
            };
            if !where_it_is.contains(&module) {
                for target in where_it_is {
                    self.note(&module, target, &format!("{of}::{name}"));
                }
            }
        }
    }

    /// Modules that need each other, by way of others or not.
    fn circles(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (module, needs) in &self.needs {
            for (target, why) in needs {
                if self.reaches(target, module) {
                    found.push(format!("{module} -> {target} ({why})"));
                }
            }
        }
        found
    }

    fn reaches(&self, from: &str, to: &str) -> bool {
        let (mut left, mut seen) = (vec![from], BTreeSet::new());
        while let Some(module) = left.pop() {
            if module == to {
                return true;
            }
            if seen.insert(module) {
                left.extend(self.needs.get(module).into_iter().flatten().map(|n| &**n.0));
            }
        }
        false
    }
}

/// The `impl` blocks of a code: of which type each is, and what is in it.
pub fn impls(code: &str) -> Vec<(String, &str)> {
    let mut found = Vec::new();
    for (at, _) in words(code).filter(|(_, word)| *word == "impl") {
        let is_item = matches!(code[..at].chars().next_back(), None | Some('\n'));
        let Some(body) = block(code, at).filter(|_| is_item) else {
            continue;
        };
        let mut head = code[at + 4..body.start].trim_start();
        if head.starts_with('<') {
            let mut depth = 0;
            let end = head.find(|c| {
                depth += i32::from(c == '<') - i32::from(c == '>');
                depth == 0
            });
            head = &head[end.unwrap() + 1..];
        }
        let head = head.split(" for ").last().unwrap().trim();
        let path = head.split(['<', ' ', '\n']).next().unwrap();
        let name = path.rsplit("::").next().unwrap();
        found.push((name.to_owned(), &code[body]));
    }
    found
}

#[test]
fn no_import_runs_upwards_or_into_a_room_beside() {
    let mut wrong = Vec::new();
    let house = House::read();
    for (module, needs) in &house.needs {
        if module.is_empty() {
            continue;
        }
        let (room, floor) = room_of(module);
        for (target, why) in needs {
            let (other, below) = room_of(target);
            if other != room && below <= floor {
                wrong.push(format!("{module} -> {target} ({why})"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let needs: usize = house.needs.values().map(BTreeMap::len).sum();
    assert!(needs > 500, "only {needs} imports were found");
}

#[test]
fn no_two_files_need_each_other() {
    let circles = House::read().circles();
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

#[test]
fn every_room_of_the_table_is_there() {
    let house = House::read();
    for room in FLOORS.iter().flat_map(|rooms| rooms.iter()) {
        assert!(house.modules.contains_key(*room), "{room}");
    }
}

/// The docs of the library draw the same floors.
#[test]
fn the_floors_are_those_the_docs_show() {
    let docs = text_of("src/lib.rs").replace("//! ", "").replace("//!", "");
    for (prefix, above) in [("", "# Floors"), ("engine/", "floors:")] {
        let docs = docs.replace('\n', " \n");
        let start = docs.find(above).unwrap_or_else(|| panic!("no {above}"));
        let drawing = docs[start..].split("```").nth(1).unwrap();
        let drawn: Vec<Vec<&str>> = drawing
            .lines()
            .skip(1)
            .map(|line| line.split_whitespace().collect())
            .filter(|rooms: &Vec<&str>| !rooms.is_empty())
            .collect();
        let floors: Vec<Vec<&str>> = FLOORS
            .iter()
            .map(|rooms| {
                let rooms = rooms.iter().filter_map(|room| room.strip_prefix(prefix));
                rooms.filter(|room| !room.contains('/')).collect()
            })
            .filter(|rooms: &Vec<&str>| !rooms.is_empty())
            .collect();
        assert_eq!(drawn, floors);
    }
}

/// Whether a code has this name, and not only as a part of others.
fn names(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let is_start = !code[..at].ends_with(is_word);
        is_start && !code[at + name.len()..].starts_with(is_word)
    })
}

#[test]
fn what_few_may_name_nobody_else_names() {
    for source in agent() {
        let module = module_of(&source);
        for (name, who) in KNOWN_BY_FEW {
            let is_named = names(&source.code, name);
            let may = who.iter().any(|room| is_at_or_below(&module, room));
            assert!(may || !is_named, "{}: {name}", source.path);
        }
    }
}

#[test]
fn the_core_does_no_io() {
    for source in agent() {
        if !is_at_or_below(&module_of(&source), "core") {
            continue;
        }
        for name in NOT_IN_CORE {
            assert!(!names(&source.code, name), "{}: {name}", source.path);
        }
        // It has a seed from the system: only where its order is never asked.
        let is_known = source.path.ends_with("arrived_content.rs");
        let has_map = names(&source.code, "HashMap");
        assert_eq!(has_map, is_known, "{}: HashMap", source.path);
    }
}
