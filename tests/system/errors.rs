//! Errors injected into the binary's system calls: it says what failed, harms nothing, and heals.
//!
//! Each point is a history begun anew, in which one call on a file fails, or it and all later ones
//! of its name. Not every error is one of the pass's: a temporary file that cannot be removed is
//! removed next time. But a pass that ends with 0 has done everything.

use std::time::Instant;

use crate::gateway::{Ended, Gateway, fails, say};
use crate::histories::{DELETES, FIRST, History, TWO_WAY};
use crate::needs;
use crate::strace::{Call, Sample, failed_at, record};

/// The errors, with what the system says about them.
const ERRORS: [(&str, &str); 6] = [
    ("ENOSPC", "No space left on device"),
    ("EIO", "Input/output error"),
    ("EROFS", "Read-only file system"),
    ("EACCES", "Permission denied"),
    ("EDQUOT", "quota exceeded"),
    ("EMFILE", "Too many open files"),
];

/// What SQLite says about any of them.
const SQLITE_TEXTS: [&str; 4] = [
    "disk I/O error",
    "database or disk is full",
    "unable to open database file",
    "attempt to write a readonly database",
];

#[test]
fn a_first_sync_with_a_failing_call_harms_nothing() {
    fail(&FIRST);
}

#[test]
fn a_two_way_sync_with_a_failing_call_harms_nothing() {
    fail(&TWO_WAY);
}

#[test]
fn a_delete_pass_with_a_failing_call_harms_nothing() {
    fail(&DELETES);
}

fn fail(history: &History) {
    let name = history.name;
    if !needs::has(&format!("errors, {name}"), needs::strace()) {
        return;
    }
    let started = Instant::now();
    let wanted = history.undisturbed();
    let mut calls = record(&history.begin());
    calls.retain(Call::is_on_files);
    let sample = Sample::chosen();
    let points = sample.of(&calls);
    let mut runs = [0; ERRORS.len()];
    let mut failures = 0;
    let mut codes = std::collections::BTreeMap::new();
    for (turn, (number, call)) in points.iter().enumerate() {
        for (kind, (errno, text)) in ERRORS.iter().enumerate() {
            // A sample takes the errors in turn; the whole takes all, each once or from then on.
            if !sample.is_all() && kind != turn % ERRORS.len() {
                continue;
            }
            let from_here_on = (turn / ERRORS.len() + turn + kind) % 2 == 1;
            let more = if from_here_on { " from then on" } else { "" };
            let when = format!("{name}, {errno} at call {number}{more}, {}", call.text);
            failures += usize::from(fails(|| {
                let gateway = history.begin();
                let ended = failed_at(&gateway, call, errno, from_here_on);
                *codes.entry((*errno, ended.code)).or_insert(0) += 1;
                wanted.check_whole(&gateway.trees(), &format!("{when}: {ended:?}"));
                check_said(&ended, call, errno, text, &when);
                if ended.code == Some(0) {
                    wanted.check_after(&gateway.trees(), &format!("{when}: {ended:?}"));
                }
                wanted.check_heals(&gateway, &when);
            }));
            runs[kind] += 1;
        }
    }
    let kinds = ERRORS.iter().zip(runs);
    let kinds: Vec<String> = kinds
        .map(|((errno, _), n)| format!("{n} {errno}"))
        .collect();
    say(&format!(
        "errors, {name}: {} calls recorded, {} run: {}; codes {codes:?}, {:.1} s",
        calls.len(),
        points.len(),
        kinds.join(", "),
        started.elapsed().as_secs_f32()
    ));
    assert_eq!(failures, 0);
}

/// The exit code is one that is documented for this, and a line says what failed, and where.
#[track_caller]
fn check_said(ended: &Ended, call: &Call, errno: &str, text: &str, when: &str) {
    assert!(!ended.err.contains("panicked"), "{when}: {ended:?}");
    let code = ended.code.unwrap_or(-1);
    let is_write = call.name.contains("write");
    let fits = match (errno, code) {
        (_, 0) | ("ENOSPC" | "EDQUOT", 8) => true,
        // What cannot be removed is a problem, whatever the system says.
        // So is a directory that cannot be opened, which the same number of a call may be in a
        // pass that makes a few calls more or less than the one that was recorded.
        ("ENOSPC" | "EDQUOT", 3) => {
            call.name.contains("unlink") || ended.err.contains("cannot read directory")
        }
        // SQLite tells a full disk only from a write, and a quota from no call at all.
        ("ENOSPC", 1) => !is_write && ended.err.contains("index: "),
        ("EDQUOT", 1) => ended.err.contains("index: "),
        ("ENOSPC" | "EDQUOT", _) => false,
        (_, code) => matches!(code, 1 | 3),
    };
    assert!(fits, "{when}: {ended:?}");
    let says_it = |line: &str| {
        let names_error = line.contains(text) || SQLITE_TEXTS.iter().any(|t| line.contains(t));
        names_error && (line.contains('/') || line.contains("index"))
    };
    // Where every write fails, nothing can be said any more either.
    let is_mute = when.contains("from then on") && call.name == "write";
    let is_said = is_mute || ended.err.lines().any(says_it);
    assert!(code == 0 || is_said, "{when}: {ended:?}");
}

/// Fails the first call of a first sync whose text contains `part`.
fn failed_first_sync(part: &str, errno: &str) -> (Gateway, Ended) {
    let calls = record(&FIRST.begin());
    let call = calls.iter().find(|call| call.text.contains(part)).unwrap();
    let gateway = FIRST.begin();
    let ended = failed_at(&gateway, call, errno, false);
    (gateway, ended)
}

#[test]
fn a_download_that_finds_no_room_for_its_name_means_a_full_disk() {
    if !needs::has("a rename without room", needs::strace()) {
        return;
    }
    let (_gateway, ended) = failed_first_sync(".tmp\", ", "ENOSPC");
    assert_eq!(ended.code, Some(8), "{ended:?}");
}

#[test]
fn a_marker_that_cannot_be_put_in_place_leaves_nothing_behind() {
    if !needs::has("a marker that fails", needs::strace()) {
        return;
    }
    let (gateway, ended) = failed_first_sync(".ferrybox-root.new\", ", "EIO");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let own_files = gateway.own_files();
    assert!(
        !own_files.iter().any(|name| name.contains("root")),
        "{own_files:?}"
    );
}
