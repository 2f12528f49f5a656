//! `--json`: one object a line, as docs/json.md says, streamed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::console::Console;

/// The schema, as docs/json.md has it: the fields of each type of line, with what they hold.
pub struct Schema(BTreeMap<String, BTreeMap<String, String>>);

impl Schema {
    pub fn read() -> Schema {
        let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/json.md"));
        let mut types = BTreeMap::<String, BTreeMap<String, String>>::new();
        let mut at = None;
        for line in text.unwrap().lines() {
            if let Some(name) = line.strip_prefix("### `") {
                at = Some(name.trim_end_matches('`').to_owned());
            }
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            if let (Some(name), [_, field, holds, ..]) = (&at, cells.as_slice())
                && let Some(field) = field.strip_prefix('`')
            {
                let fields = types.entry(name.clone()).or_default();
                fields.insert(field.trim_end_matches('`').to_owned(), (*holds).to_owned());
            }
        }
        assert!(types.len() > 6, "{:?}", types.keys());
        Schema(types)
    }

    /// Every line is of a type that is known, and has its fields and no others.
    #[track_caller]
    pub fn check(&self, out: &str) -> Vec<Value> {
        let lines: Vec<Value> = out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        for line in &lines {
            let object = line.as_object().unwrap();
            assert_eq!(line["schema_version"], 2, "{line}");
            let name = line["type"].as_str().unwrap();
            let mut fields = object.clone();
            fields.remove("schema_version");
            fields.remove("type");
            self.check_object(name, &fields.into());
        }
        lines
    }

    fn check_object(&self, name: &str, object: &Value) {
        let wanted = self.0.get(name).unwrap_or_else(|| panic!("{name}"));
        for (field, value) in object.as_object().unwrap() {
            let holds = wanted.get(field);
            let holds = holds.unwrap_or_else(|| panic!("{name} has an unknown {field}"));
            let kind = holds.trim_end_matches('?');
            match kind.trim_end_matches(" or null") {
                _ if value.is_null() => assert!(kind.contains("or null"), "{name}.{field}"),
                "text" | "time" => assert!(value.is_string(), "{name}.{field}: {value}"),
                "number" => assert!(value.is_number(), "{name}.{field}: {value}"),
                "list of text" => {
                    let values = value.as_array().unwrap();
                    assert!(
                        values.iter().all(Value::is_string),
                        "{name}.{field}: {value}"
                    );
                }
                "yes or no" => assert!(value.is_boolean(), "{name}.{field}: {value}"),
                list if list.starts_with("list of ") => {
                    let of = list.trim_start_matches("list of ").trim_matches('`');
                    let values = value.as_array().unwrap();
                    values.iter().for_each(|value| self.check_object(of, value));
                }
                other => self.check_object(other.trim_matches('`'), value),
            }
        }
        for (field, holds) in wanted {
            let is_there = object.get(field).is_some() || holds.ends_with('?');
            assert!(is_there, "{name} has no {field}: {object}");
        }
    }
}

/// The lines of one type.
pub fn of_type(out: &str, name: &str) -> Vec<Value> {
    let lines = out.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.filter(|line: &Value| line["type"] == name).collect()
}

fn ready() -> Console {
    let console = Console::new();
    console.authenticate();
    console
}

#[track_caller]
fn last_of(lines: &[Value]) -> &Value {
    let last = lines.last().unwrap();
    assert_eq!(last["type"], "summary", "{last}");
    last
}

#[test]
fn a_pass_is_one_object_a_line_and_a_summary_comes_last() {
    let (schema, console) = (Schema::read(), ready());
    console.put("here", "h");
    console.put("back\\slash", "x");
    console.dropbox.put("/there", b"there");
    let said = console.run(&["sync", "--json"]);
    assert_eq!(said.code, 3, "{}", said.err);
    let lines = schema.check(&said.out);
    let changes = of_type(&said.out, "change");
    let actions: Vec<_> = changes.iter().map(|line| &line["action"]).collect();
    assert!(actions.contains(&&"upload".into()), "{actions:?}");
    let upload = changes.iter().find(|line| line["action"] == "upload");
    let upload = upload.unwrap();
    assert_eq!(
        (&upload["path"], &upload["size"]),
        (&"/here".into(), &1.into())
    );
    assert_eq!(upload.get("planned"), None);
    let problem = &of_type(&said.out, "problem")[0];
    assert_eq!(problem["path"], "/back\\slash");
    assert_eq!(problem["code"], "name");
    let last = last_of(&lines);
    assert_eq!(
        (&last["ok"], &last["exit_code"]),
        (&false.into(), &3.into())
    );
    assert_eq!(last["error"]["code"], "some_files");
    assert_eq!(last["counts"]["uploaded"], 1);
    assert_eq!(last["bytes_up"], 1);
    assert_eq!(last["version"], env!("CARGO_PKG_VERSION"));
    let started = last["started"].as_str().unwrap();
    assert!(started.ends_with('Z'), "{started}");
}

#[test]
fn a_dry_run_says_what_is_planned() {
    let (schema, console) = (Schema::read(), ready());
    console.put("here", "h");
    let said = console.run(&["sync", "--dry-run", "--json"]);
    let lines = schema.check(&said.out);
    assert_eq!(said.code, 0, "{}", said.err);
    let change = &of_type(&said.out, "change")[0];
    assert_eq!(
        (&change["action"], &change["planned"]),
        (&"upload".into(), &true.into())
    );
    last_of(&lines);
    assert_eq!(console.dropbox.read("/here"), None);
}

#[test]
fn every_kind_of_change_has_its_action() {
    let (schema, console) = (Schema::read(), ready());
    fs::create_dir(console.content().join("f")).unwrap();
    for number in 0..9 {
        console.put(&format!("kept{number}"), "x");
        console.put(&format!("f/{number}"), &format!("content {number}"));
    }
    console.put("moved here", "a");
    console.put("moved there", "b");
    console.put("gone here", "c");
    console.put("gone there", "d");
    console.put("both.txt", "e");
    console.run(&["sync"]);
    console.run(&["sync"]);
    let at = |name: &str| console.content().join(name);
    fs::rename(at("moved here"), at("was moved")).unwrap();
    fs::rename(at("f"), at("F2")).unwrap();
    fs::remove_file(at("gone here")).unwrap();
    fs::create_dir(at("empty here")).unwrap();
    console.put("both.txt", "edited here");
    console.put("equal", "equal");
    console.dropbox.put("/equal", b"equal");
    console.dropbox.put("/both.txt", b"edited there");
    console.dropbox.put("/new there", b"new");
    console.dropbox.rename("/moved there", "/was moved there");
    console.dropbox.remove("/gone there");
    console.dropbox.mkdir("/empty there");
    let said = console.run(&["sync", "--json"]);
    assert_eq!(said.code, 0, "{}", said.err);
    schema.check(&said.out);
    let changes = of_type(&said.out, "change");
    let with = |action: &str| {
        let mut all = changes.iter().filter(|line| line["action"] == action);
        all.next()
            .unwrap_or_else(|| panic!("{action}: {}", said.out))
    };
    for action in [
        "download",
        "delete_local",
        "delete_remote",
        "make_local_folder",
        "make_remote_folder",
        "adopt",
        "conflict_copy",
    ] {
        with(action);
    }
    assert_eq!(with("move_local")["from"], "/moved there");
    let moved: Vec<_> = changes
        .iter()
        .filter(|line| line["action"] == "move_remote")
        .collect();
    let has = |from: &str| moved.iter().find(|line| line["from"] == from);
    assert!(has("/moved here").is_some(), "{moved:?}");
    assert_eq!(has("/f").unwrap()["files"], 9);
}

#[test]
fn a_halt_names_what_waits_and_then_itself() {
    let (schema, console) = (Schema::read(), ready());
    for number in 0..30 {
        console.put(&format!("f{number}"), &number.to_string());
    }
    console.run(&["sync"]);
    for number in 0..25 {
        fs::remove_file(console.content().join(format!("f{number}"))).unwrap();
    }
    let said = console.run(&["sync", "--json"]);
    assert_eq!(said.code, 5, "{}", said.err);
    let lines = schema.check(&said.out);
    let types: Vec<_> = lines
        .iter()
        .map(|line| line["type"].as_str().unwrap())
        .collect();
    let pending = vec!["pending_delete"; 25];
    assert_eq!(types, [pending, vec!["halt", "summary"]].concat());
    let halt = &lines[25];
    assert_eq!(
        (&halt["direction"], &halt["count"], &halt["of"]),
        (&"up".into(), &25.into(), &30.into())
    );
    let id = halt["approve_id"].as_str().unwrap();
    assert_eq!(last_of(&lines)["error"]["code"], "halted");
    let said = console.run(&["sync", "--json", "--approve", id]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(of_type(&said.out, "change").len(), 25);
}

#[test]
fn a_pass_that_cannot_begin_has_a_summary_and_other_commands_an_error() {
    let schema = Schema::read();
    let console = Console::new();
    let said = console.run(&["--json", "sync"]);
    let lines = schema.check(&said.out);
    assert_eq!(last_of(&lines)["error"]["code"], "authentication");
    assert_eq!((said.code, lines.len()), (4, 1));
    let said = console.run(&["--json", "finishAuthentication", "nonsense"]);
    let lines = schema.check(&said.out);
    assert_eq!(lines[0]["type"], "error", "{}", said.out);
    assert_eq!(lines[0]["exit_code"], said.code);
    let console = ready();
    let said = console.run(&["sync", "--json", "--approve", "0123456789abcdef"]);
    let lines = schema.check(&said.out);
    assert_eq!(last_of(&lines)["error"]["code"], "usage");
    assert_eq!(said.code, 2);
    let console = ready();
    console.write_config("nonsense");
    for (command, kind) in [("sync", "summary"), ("schedule", "error")] {
        let said = console.run(&["--json", command]);
        let lines = schema.check(&said.out);
        assert_eq!((said.code, lines.len()), (78, 1), "{}", said.out);
        assert_eq!(lines[0]["type"], kind);
    }
}

#[test]
fn a_schedule_and_a_sign_in_have_their_own_lines() {
    let (schema, console) = (Schema::read(), Console::new());
    let said = console.run(&["schedule", "--json"]);
    let lines = schema.check(&said.out);
    assert_eq!(lines[0]["type"], "schedule", "{}", said.out);
    assert!(lines[0]["next"].as_array().unwrap().len() >= 10);
    let said = console.run(&["login", "--json"]);
    let lines = schema.check(&said.out);
    let url = lines[0]["url"].as_str().unwrap();
    assert!(url.starts_with("http") && url.contains("oauth2"), "{url}");
}

/// A gateway that keeps running tells each of its passes so.
#[test]
fn each_pass_of_a_running_gateway_ends_with_its_summary() {
    let (schema, console) = (Schema::read(), ready());
    console.put("here", "h");
    let mut command = console.command(&["run", "--json"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = String::new();
    for line in lines.map_while(Result::ok) {
        said.push_str(&line);
        said.push('\n');
        if line.contains("\"type\":\"summary\"") {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let lines = schema.check(&said);
    assert_eq!(of_type(&said, "change")[0]["action"], "upload");
    assert_eq!(last_of(&lines)["ok"], true);
}

/// Whatever is wrong with many files, a pass keeps little of it in mind.
#[test]
fn problems_are_told_once_each_however_many_they_are() {
    let console = ready();
    for number in 0..1300 {
        console.put(&format!("back\\slash{number}"), "x");
    }
    let said = console.run(&["--json", "sync"]);
    assert_eq!(of_type(&said.out, "problem").len(), 1300);
    let text = &of_type(&said.out, "summary")[0]["error"]["text"];
    assert_eq!(text, "1,300 paths have problems");
}
