//! Told once: a problem, an outage, a lost sign-in; and what `status`, `history` and `why` say.

use std::fs;
use std::os::unix::net::UnixListener;

use dropbox_standin::{Effect, Fault, When};

use crate::console::{Console, Said};
use crate::json::Schema;
use crate::terminal::Terminal;

fn ready() -> Console {
    let console = Console::new();
    console.authenticate();
    console
}

/// As cron runs it, `days` later by what passes have left.
fn age_record(console: &Console, seconds: i64) {
    for entry in fs::read_dir(console.runtime()).unwrap() {
        let path = entry.unwrap().path();
        if !path
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("pass-")
        {
            continue;
        }
        let mut record: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let age = |value: &mut serde_json::Value| {
            if let Some(at) = value.as_i64() {
                *value = (at - seconds).into();
            }
        };
        age(&mut record["problems_told"]);
        age(&mut record["last_success"]);
        for field in ["since", "told"] {
            if record["failing"].is_object() {
                age(&mut record["failing"][field]);
            }
        }
        for told in record["advice"].as_object_mut().unwrap().values_mut() {
            age(told);
        }
        fs::write(&path, record.to_string()).unwrap();
    }
}

const DAY: i64 = 24 * 3600 + 60;

#[track_caller]
fn check(said: &Said, code: i32, texts: &[&str]) {
    assert_eq!(said.code, code, "{}", said.err);
    for text in texts {
        assert!(said.err.contains(text), "{text}\n{}", said.err);
    }
    if texts.is_empty() {
        assert_eq!(said.err, "");
    }
}

#[test]
fn a_problem_is_told_once_daily_while_it_lasts_and_when_it_is_over() {
    let console = ready();
    console.put("ok", "o");
    console.put("back\\slash", "x");
    check(
        &console.run(&["sync"]),
        3,
        &["/back\\\\slash: ", "1 with a problem"],
    );
    for _ in 0..3 {
        check(&console.run(&["sync"]), 3, &[]);
    }
    // Who asks is told.
    check(&console.run(&["sync", "-v"]), 3, &["/back\\\\slash: "]);
    let seen = Terminal::run(console.command(&["sync"]), 100).end();
    assert!(seen.got.contains("/back\\\\slash: "), "{}", seen.got);
    console.put("del\u{7f}", "x");
    let said = console.run(&["sync"]);
    check(&said, 3, &["/del\\u{7f}: "]);
    assert!(!said.err.contains("slash"), "{}", said.err);
    age_record(&console, DAY);
    check(
        &console.run(&["sync"]),
        3,
        &["/back\\\\slash: ", "/del\\u{7f}: "],
    );
    check(&console.run(&["sync"]), 3, &[]);
    fs::remove_file(console.content().join("back\\slash")).unwrap();
    check(
        &console.run(&["sync"]),
        3,
        &["/back\\\\slash: no longer a problem"],
    );
    fs::remove_file(console.content().join("del\u{7f}")).unwrap();
    check(
        &console.run(&["sync"]),
        0,
        &["/del\\u{7f}: no longer a problem"],
    );
    check(&console.run(&["sync"]), 0, &[]);
}

/// What somebody sees by hand is news to who reads what cron mails.
#[test]
fn what_ends_before_somebodys_eyes_is_told_to_who_was_told() {
    let console = ready();
    console.put("a", "a");
    fs::rename(console.state(), console.path("aside")).unwrap();
    check(&console.run(&["sync"]), 4, &["nobody is signed in"]);
    fs::remove_dir_all(console.state()).unwrap();
    fs::rename(console.path("aside"), console.state()).unwrap();
    let seen = Terminal::run(console.command(&["sync"]), 100).end();
    assert!(!seen.got.contains("in step again"), "{}", seen.got);
    check(&console.run(&["sync"]), 0, &["in step again, after 1 run"]);
    check(&console.run(&["sync"]), 0, &[]);
}

/// More than are kept by their paths.
#[test]
fn of_very_many_problems_those_that_stay_are_not_told_again() {
    let console = ready();
    for number in 0..600 {
        console.put(&format!("back\\slash{number}"), "x");
    }
    let first = console.run(&["sync"]);
    check(
        &first,
        3,
        &["... and 580 more like this", "600 with problems"],
    );
    check(&console.run(&["sync"]), 3, &[]);
    console.put("del\u{7f}", "x");
    let said = console.run(&["sync"]);
    check(&said, 3, &["/del\\u{7f}: ", "601 with problems"]);
    assert!(!said.err.contains("slash"), "{}", said.err);
}

#[test]
fn an_outage_is_told_after_its_time_once_and_when_it_is_over() {
    let console = ready();
    console.put("a", "a");
    check(&console.run(&["sync"]), 0, &[]);
    let down = Effect::Status(503, "{}".to_owned());
    console
        .dropbox
        .inject(Fault::new("list_folder", When::Always, down.clone()));
    console
        .dropbox
        .inject(Fault::new("list_folder/continue", When::Always, down));
    let outage = || console.run(&["sync", "--max-time", "1s"]);
    for _ in 0..2 {
        check(&outage(), 7, &[]);
    }
    age_record(&console, 7 * 3600);
    check(&outage(), 7, &["ferrybox: "]);
    check(&outage(), 7, &[]);
    let status = console.run(&["status"]);
    assert!(
        status.out.starts_with("not in step since "),
        "{}",
        status.out
    );
    console.dropbox.clear_faults();
    check(
        &console.run(&["sync"]),
        0,
        &["in step again, after 4 runs that failed since "],
    );
    check(&console.run(&["sync"]), 0, &[]);
}

#[test]
fn a_lost_sign_in_is_told_once_a_day() {
    let console = Console::new();
    check(&console.run(&["sync"]), 4, &["nobody is signed in"]);
    check(&console.run(&["sync"]), 4, &[]);
    age_record(&console, DAY);
    check(&console.run(&["sync"]), 4, &["nobody is signed in"]);
    console.authenticate();
    check(&console.run(&["sync"]), 0, &["in step again"]);
}

#[test]
fn a_halt_is_told_once_and_its_answer_is_answered() {
    let console = ready();
    for file in 0..8 {
        console.put(&format!("f{file}"), &format!("content {file}"));
    }
    check(&console.run(&["sync"]), 0, &[]);
    for file in 0..8 {
        fs::remove_file(console.content().join(format!("f{file}"))).unwrap();
    }
    check(
        &console.run(&["sync"]),
        5,
        &["--keep ", "would delete in Dropbox /f0"],
    );
    check(&console.run(&["sync"]), 5, &[]);
    // All of it can be seen.
    let dry = console.run(&["sync", "-n"]);
    assert_eq!(
        dry.out.matches("would delete in Dropbox /f").count(),
        8,
        "{}",
        dry.out
    );
    let status = console.run(&["status"]);
    assert_eq!(status.code, 5, "{}", status.out);
    assert!(
        status
            .out
            .contains("8 files and folders would be deleted in Dropbox")
    );
    let at = status.out.find("--keep ").unwrap() + 7;
    let id = status.out[at..].split_whitespace().next().unwrap();
    check(
        &console.run(&["sync", "--approve", "123"]),
        2,
        &["123 is not what"],
    );
    assert_eq!(console.run(&["sync", "--keep", id]).code, 0);
    assert_eq!(console.run(&["status"]).code, 0);
}

#[test]
fn status_says_whether_the_backup_is_alive() {
    let console = ready();
    let said = console.run(&["status"]);
    assert_eq!(said.code, 7, "{}", said.out);
    assert!(
        said.out.starts_with("unknown: no run has been made yet"),
        "{}",
        said.out
    );
    console.put("a", "a");
    console.put("back\\slash", "x");
    console.run(&["sync"]);
    let said = console.run(&["status", "--max-age", "26h"]);
    assert_eq!(said.code, 3, "{}", said.out);
    for text in [
        "in step, but for 1 path with a problem\n",
        "pair         config (",
        "(BIDIRECTIONAL)",
        "account      Gate Keeper <gate@example.org>",
        "last success ",
        " s, exit code 3\n",
        "1 uploaded",
        "\n  /back\\\\slash: ",
    ] {
        assert!(said.out.contains(text), "{text}\n{}", said.out);
    }
    fs::remove_file(console.content().join("back\\slash")).unwrap();
    console.run(&["sync"]);
    let schema = Schema::read();
    let said = console.run(&["status", "--online", "--json"]);
    assert_eq!(said.code, 0, "{}", said.out);
    let status = &schema.check(&said.out)[0];
    assert_eq!(
        status["online"]["account"],
        "Gate Keeper <gate@example.org>"
    );
    let scopes = &status["online"]["scopes"];
    assert_eq!(scopes["granted"].as_array().unwrap().len(), 4, "{scopes}");
    assert_eq!(scopes["missing"].as_array().unwrap().len(), 0, "{scopes}");
    assert_eq!(status["last_pass"]["exit_code"], 0);
    age_record(&console, 2 * DAY);
    assert_eq!(console.run(&["status"]).code, 0);
    assert_eq!(console.run(&["status", "--max-age", "2d"]).code, 7);
    assert_eq!(console.run(&["status", "--max-age", "3d"]).code, 0);
    // As after a restart.
    fs::remove_dir_all(console.path("run/ferrybox")).unwrap();
    let said = console.run(&["status"]);
    assert_eq!(said.code, 7, "{}", said.out);
    assert!(
        said.out
            .starts_with("unknown: no run since this machine was started")
    );
}

/// A person's own runtime directory is another one than the service's.
#[test]
fn status_finds_what_a_service_left_in_its_runtime_directory() {
    let console = ready();
    console.put("a", "a");
    console.run(&["sync"]);
    let mut asked = console.command(&["status"]);
    asked.env(
        "RUNTIME_DIRECTORY",
        crate::console::made(console.path("run/other")),
    );
    let said = crate::console::said(asked.output().unwrap());
    assert_eq!(said.code, 0, "{}", said.out);
    assert!(said.out.starts_with("in step\n"), "{}", said.out);
}

#[test]
fn history_says_what_the_last_passes_did() {
    let console = ready();
    assert!(
        console
            .run(&["history"])
            .out
            .contains("no run has been made yet")
    );
    for number in 0..3 {
        console.put(&format!("f{number}"), "content");
        console.run(&["sync"]);
        console.run(&["sync"]);
    }
    console.dropbox.put("/there", b"t");
    console.put("back\\slash", "x");
    console.run(&["sync"]);
    let said = console.run(&["history"]);
    let lines: Vec<_> = said.out.lines().collect();
    assert_eq!(lines.len(), 4, "{}", said.out);
    assert!(
        lines[0].contains("  1 uploaded, 7 bytes sent; "),
        "{}",
        said.out
    );
    assert!(!lines[0].contains("not known"), "{}", said.out);
    assert!(
        lines[3].contains("  1 downloaded, 1 byte received; exit code 3"),
        "{}",
        said.out
    );
    assert_eq!(
        console.run(&["history", "--last", "2"]).out.lines().count(),
        2
    );
    let passes = Schema::read().check(&console.run(&["history", "--json"]).out);
    assert_eq!(passes.len(), 4);
    assert_eq!(passes[3]["counts"]["downloaded"], 1);
    assert_eq!(passes[3]["exit_code"], 3);
}

#[test]
fn why_says_what_decides_about_a_path() {
    let console = ready();
    for name in ["same", "edited", "deleted", "back\\slash"] {
        console.put(name, name);
    }
    console.put("gone there", "g");
    console.run(&["sync"]);
    console.put("edited", "edited again");
    fs::remove_file(console.content().join("deleted")).unwrap();
    console.put("new", "n");
    console.put(".ferryboxignore", "*.tmp\n");
    console.put("x.tmp", "t");
    UnixListener::bind(console.content().join("socket")).unwrap();
    for (path, texts) in [
        (
            "/same",
            &["next run    nothing: both sides are as they last agreed"][..],
        ),
        (
            "edited",
            &[
                "next run    upload: it has changed here",
                "here        a file of 12 bytes",
            ],
        ),
        (
            "/deleted",
            &["here        nothing\n", "next run    delete remote: "],
        ),
        (
            "/new",
            &[
                "agreed on   nothing",
                "next run    upload: it is here and not in Dropbox",
            ],
        ),
        (
            "/x.tmp",
            &["next run    nothing: not synced: .ferryboxignore:1 '*.tmp' matches"],
        ),
        ("/socket", &["here        a pipe, a socket or a device\n"]),
    ] {
        let said = console.run(&["why", path]);
        assert_eq!(said.code, 0, "{path}: {}", said.err);
        for text in texts {
            assert!(said.out.contains(text), "{text}\n{}", said.out);
        }
        let lines = Schema::read().check(&console.run(&["why", path, "--json"]).out);
        assert_eq!(lines[0]["type"], "why");
    }
    let said = console.run(&["why", "/nowhere"]);
    assert_eq!(said.code, 1);
    assert!(
        said.err.contains("neither here nor known in Dropbox"),
        "{}",
        said.err
    );
}

/// A pass that goes one way knows nothing of what waits on the other.
#[test]
fn half_a_pass_ends_no_halt_and_is_no_success() {
    let console = ready();
    for file in 0..8 {
        console.put(&format!("f{file}"), &format!("content {file}"));
    }
    check(&console.run(&["sync"]), 0, &[]);
    for file in 0..8 {
        fs::remove_file(console.content().join(format!("f{file}"))).unwrap();
    }
    check(&console.run(&["sync"]), 5, &["--keep "]);
    check(&console.run(&["sync", "--download-only"]), 0, &[]);
    let status = console.run(&["status"]);
    assert!(
        status.out.starts_with("not in step since "),
        "{}",
        status.out
    );
    assert!(status.out.contains("waits for you"), "{}", status.out);
    check(&console.run(&["sync"]), 5, &[]);
}

#[test]
fn an_outage_in_between_changes_nothing_of_what_was_told() {
    let console = ready();
    console.put("a", "a");
    check(&console.run(&["sync"]), 0, &[]);
    let token = console.state().join("token.json");
    let kept = fs::read(&token).unwrap();
    fs::remove_file(&token).unwrap();
    check(&console.run(&["sync"]), 4, &["nobody is signed in"]);
    let status = console.run(&["status"]);
    assert_eq!(status.code, 4, "{}", status.out);
    assert!(
        status.out.starts_with("not signed in; run: "),
        "{}",
        status.out
    );
    fs::write(&token, &kept).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&token, private).unwrap();
    let down = Effect::Status(503, "{}".to_owned());
    let fault = Fault::new("list_folder/continue", When::Always, down);
    console.dropbox.inject(fault);
    check(&console.run(&["sync", "--max-time", "1s"]), 7, &[]);
    console.dropbox.clear_faults();
    check(
        &console.run(&["sync"]),
        0,
        &["in step again, after 2 runs that failed"],
    );
}
