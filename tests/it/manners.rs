//! A thin line, large files, files that change all the time, and archives.

use std::time::Duration;

use ferrybox::commands::sync::SyncArgs;
use ferrybox::error::ExitCode;
use ferrybox::io::host::Host;
use ferrybox::io::time_zone::time_zone;
use jiff::{SignedDuration, Timestamp};

use crate::world::{Outcome, World, world};

/// A world with lines of `[network]`.
fn on_a_line(keys: &str) -> World {
    let world = world();
    *world.network_keys.borrow_mut() = keys.to_owned();
    world
}

/// A content of so many bytes, unlike those of others.
fn content(bytes: usize, letter: u8) -> Vec<u8> {
    vec![letter; bytes]
}

/// The seconds a pass waits.
fn seconds(world: &World, pass: impl FnOnce() -> Outcome) -> (f64, Outcome) {
    let before = world.clock.waited();
    let outcome = pass();
    assert_eq!(outcome.exit, ExitCode::Ok, "{outcome:?}");
    ((world.clock.waited() - before).as_secs_f64(), outcome)
}

#[track_caller]
fn check_near(taken: f64, expected: f64) {
    let ratio = taken / expected;
    assert!(
        (0.95..1.05).contains(&ratio),
        "{taken} s instead of {expected}"
    );
}

#[test]
fn an_upload_limit_holds_for_large_files_and_for_many_small_ones() {
    let world = on_a_line("upload_limit = '100 KiB/s'");
    world.put_bytes("large", &content(10 << 20, b'l'));
    for number in 0..100 {
        world.put_bytes(&format!("small/{number}"), &content(10 << 10, number));
    }
    let (taken, outcome) = seconds(&world, || world.sync());
    let sent = (10 << 20) + 100 * (10 << 10);
    check_near(taken, f64::from(sent) / 102_400.0);
    assert_eq!((outcome.bytes.up, outcome.bytes.down), (sent as u64, 0));
    assert!(outcome.summary.ends_with(", 11.0 MiB sent"), "{outcome:?}");
    world.check_settled();
}

#[test]
fn a_download_limit_holds_for_large_files_and_for_archives() {
    let world = on_a_line("download_limit = '100 KiB/s'\nupload_limit = '4 KiB/s'");
    world.dropbox.put("/large", &content(10 << 20, b'l'));
    let mut received = 10 << 20;
    for number in 0..50_u32 {
        let mut bytes = Vec::new();
        while bytes.len() < 20 << 10 {
            bytes.extend(ferrybox::core::content_hash::ContentHash::of(&bytes).0);
            bytes.push(number as u8);
        }
        received += bytes.len();
        world.dropbox.put(&format!("/small/{number}"), &bytes);
    }
    let (taken, outcome) = seconds(&world, || world.sync());
    assert!(
        outcome.calls.contains(&"download_zip".to_owned()),
        "{outcome:?}"
    );
    let down = outcome.bytes.down as f64;
    check_near(taken, down / 102_400.0);
    check_near(down, received as f64);
    assert!(outcome.summary.ends_with(" received"), "{outcome:?}");
    world.check_settled();
}

/// The timetable of `[network]` as it is `minutes` from now.
fn until(world: &World, minutes: i64) -> String {
    let now = Timestamp::from_second(world.clock.now_s()).unwrap();
    let at = |minutes| {
        let then = time_zone().to_datetime(now + SignedDuration::from_mins(minutes));
        format!("{:02}:{:02}", then.hour(), then.minute())
    };
    format!("{}-{}", at(-1), at(minutes))
}

#[test]
fn a_limit_that_changes_counts_within_a_file_that_is_under_way() {
    let world = on_a_line("");
    world.clock.let_waits_take_time();
    let hours = until(&world, 2);
    let keys = format!("upload_limit = ['{hours} 10 KiB/s', '1 MiB/s']");
    *world.network_keys.borrow_mut() = keys;
    world.put_bytes("large", &content(7 << 20, b'l'));
    let (taken, _) = seconds(&world, || world.sync());
    // A minute or two at a rate at which all would take twelve minutes.
    assert!((60.0..140.0).contains(&taken), "{taken}");
    // Where no line holds there is no limit.
    *world.network_keys.borrow_mut() = format!("upload_limit = '{hours} 10 KiB/s'");
    world.put_bytes("large", &content(9 << 20, b'm'));
    let (taken, _) = seconds(&world, || world.sync());
    assert!(taken < 1.0, "{taken}");
}

#[test]
fn a_limited_pass_ends_with_its_time_and_the_next_ones_go_on() {
    let world = on_a_line("upload_limit = '20 KiB/s'\ndownload_limit = '20 KiB/s'");
    world.put_bytes("up", &content(1 << 20, b'u'));
    world.dropbox.put("/down", &content(6 << 20, b'd'));
    let args = SyncArgs {
        max_time: Some(Duration::from_secs(60)),
        ..SyncArgs::default()
    };
    let mut passes = 0;
    loop {
        let before = world.clock.waited();
        let outcome = world.sync_with(&args);
        let taken = world.clock.waited() - before;
        assert!(taken <= Duration::from_secs(75), "{taken:?}");
        passes += 1;
        if outcome.exit == ExitCode::Ok {
            break;
        }
        assert_eq!(outcome.exit, ExitCode::TryLater, "{outcome:?}");
        assert!(passes < 12, "{outcome:?}");
    }
    // 7 MiB at 20 KiB/s are six minutes.
    assert!(passes >= 6, "{passes}");
    assert_eq!(world.local_tree(), world.remote_tree());
    world.check_settled();
}

/// The call that begins a session is short: whoever has no answer to it begins anew.
#[test]
fn a_pass_too_short_for_the_first_piece_of_a_large_file_gets_on_all_the_same() {
    let world = on_a_line("upload_limit = '1 MiB/s'");
    world.clock.let_waits_take_time();
    world.put_bytes("up", &content(12_000_000, b'u'));
    let args = SyncArgs {
        max_time: Some(Duration::from_secs(3)),
        ..SyncArgs::default()
    };
    let (mut passes, mut sent) = (0, 0);
    loop {
        let outcome = world.sync_with(&args);
        passes += 1;
        sent += outcome.bytes.up;
        if outcome.exit == ExitCode::Ok {
            break;
        }
        assert_eq!(outcome.exit, ExitCode::TryLater, "{outcome:?}");
        assert!(passes < 8, "{outcome:?}");
    }
    assert!(sent < 18_000_000, "{sent}");
    world.check_settled();
}

/// What is sent and not committed is sent again by the next run: on a thin line that is not much.
#[test]
fn a_batch_on_a_thin_line_is_short() {
    let world = on_a_line("upload_limit = '200 KiB/s'");
    for number in 0..300 {
        world.put_bytes(&format!("small/{number}"), &content(20 << 10, number as u8));
    }
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::Ok, "{outcome:?}");
    let is_commit = |call: &&String| call.contains("finish_batch");
    let commits = outcome.calls.iter().filter(is_commit).count();
    // 6 MB are half a minute; a step is at most 8 s.
    assert!((4..=6).contains(&commits), "{commits}");
    world.check_settled();
}

#[test]
fn a_dry_run_says_how_many_bytes_would_travel() {
    let world = world();
    world.put_bytes("up", &content(3 << 10, b'u'));
    world.dropbox.put("/down", &content(5 << 10, b'd'));
    let planned = world.dry_run();
    let done = world.sync_ok();
    assert_eq!(planned.bytes, done.bytes);
    assert_eq!((planned.bytes.up, planned.bytes.down), (3 << 10, 5 << 10));
}

// Files that are too large.

/// A world in which files of more than a KiB are left out.
fn with_a_largest_size(mode: &'static str) -> World {
    let world = World::in_mode(mode);
    set_largest(&world, "1 KiB");
    world
}

fn set_largest(world: &World, size: &str) {
    *world.sync_keys.borrow_mut() = format!("max_file_size = \"{size}\"");
}

/// More than a KiB.
fn large(letter: &str) -> String {
    letter.repeat(1025)
}

/// A pass that transfers nothing, with so many files left out; a dry run says the same.
#[track_caller]
fn check_left_out(world: &World, files: u64) {
    let planned = world.dry_run();
    let before = (world.local_tree(), world.remote_tree());
    let outcome = world.sync_ok();
    assert_eq!(outcome.counts.changes(), 0, "{outcome:?}");
    assert_eq!(outcome.skipped.too_large, files, "{outcome:?}");
    assert_eq!(planned.skipped, outcome.skipped);
    assert_eq!((world.local_tree(), world.remote_tree()), before);
}

#[test]
fn larger_files_are_left_out_both_ways_and_counted() {
    let world = with_a_largest_size("BIDIRECTIONAL");
    world.put("here", &large("h"));
    world.put("fits", &"f".repeat(1024));
    world.dropbox.put("/there", large("t").as_bytes());
    world.dropbox.put("/both", large("b").as_bytes());
    world.put("both", &large("b"));
    let planned = world.dry_run();
    let outcome = world.sync_ok();
    assert_eq!(planned.counts, outcome.counts);
    assert_eq!(
        (planned.skipped.too_large, outcome.skipped.too_large),
        (3, 3)
    );
    assert_eq!((outcome.counts.uploaded, outcome.counts.changes()), (1, 1));
    assert_eq!(world.dropbox.read("/here"), None);
    assert_eq!(world.read("there"), None);
    world.check_settled();
    // In a world without a limit they travel, and what is equal is found so.
    set_largest(&world, "2 KiB");
    let outcome = world.sync_ok();
    let counts = outcome.counts;
    assert_eq!(
        (counts.uploaded, counts.downloaded, counts.adopted),
        (1, 1, 1)
    );
    assert_eq!(world.local_tree(), world.remote_tree());
}

#[test]
fn a_file_that_outgrows_the_limit_here_keeps_its_old_version_there_and_travels_when_it_shrinks() {
    for mode in ["BIDIRECTIONAL", "LOCAL_TO_DROPBOX"] {
        let world = with_a_largest_size(mode);
        world.put("log", "small");
        world.sync_ok();
        world.put("log", &large("x"));
        check_left_out(&world, 1);
        world.check_remote(&[("log", "small")]);
        world.check_settled();
        world.put("log", "small again");
        let outcome = world.sync_ok();
        assert_eq!(
            (outcome.counts.uploaded, outcome.counts.conflicts),
            (1, 0),
            "{mode}"
        );
        world.check_both(&[("log", "small again")]);
        world.check_settled();
    }
}

#[test]
fn a_file_that_outgrows_the_limit_in_dropbox_stays_here_as_it_was() {
    for mode in ["BIDIRECTIONAL", "DROPBOX_TO_LOCAL"] {
        let world = with_a_largest_size(mode);
        world.dropbox.put("/doc", b"small");
        world.sync_ok();
        world.dropbox.put("/doc", large("x").as_bytes());
        check_left_out(&world, 1);
        world.check_local(&[("doc", "small")]);
        world.check_settled();
        world.dropbox.put("/doc", b"small again");
        world.sync_ok();
        world.check_both(&[("doc", "small again")]);
        world.check_settled();
    }
}

#[test]
fn a_delete_on_the_other_side_does_not_reach_a_file_that_is_too_large() {
    let world = with_a_largest_size("BIDIRECTIONAL");
    for name in ["grows here", "grows there"] {
        world.put(name, "small");
    }
    world.sync_ok();
    world.put("grows here", &large("h"));
    world.dropbox.put("/grows there", large("t").as_bytes());
    check_left_out(&world, 2);
    world.dropbox.remove("/grows here");
    world.remove("grows there");
    check_left_out(&world, 2);
    world.check_local(&[("grows here", &large("h"))]);
    world.check_remote(&[("grows there", &large("t"))]);
    world.check_settled();
    // Smaller again, the edits beat the deletes.
    world.put("grows here", "h");
    world.dropbox.put("/grows there", b"t");
    world.sync_ok();
    world.check_both(&[("grows here", "h"), ("grows there", "t")]);
    world.check_settled();
}

#[test]
fn what_was_in_step_before_there_was_a_limit_is_deleted_and_renamed_nowhere() {
    for mode in ["BIDIRECTIONAL", "LOCAL_TO_DROPBOX"] {
        let world = World::in_mode(mode);
        for name in ["gone here", "old here", "gone there", "old there"] {
            world.put(name, &large(name));
        }
        world.sync_ok();
        set_largest(&world, "1 KiB");
        check_left_out(&world, 4);
        world.remove("gone here");
        world.rename("old here", "new here");
        world.dropbox.remove("/gone there");
        world.dropbox.rename("/old there", "/new there");
        let before = (world.local_tree(), world.remote_tree());
        let outcome = world.sync_ok();
        assert_eq!(outcome.counts.changes(), 0, "{outcome:?}");
        assert_eq!((world.local_tree(), world.remote_tree()), before);
        world.check_settled();
    }
}

/// A person who removes the file has seen all of it, and a new name that is left out is no other
/// half of a rename.
#[test]
fn what_grew_and_is_deleted_or_renamed_here_leaves_no_old_version_behind() {
    let world = with_a_largest_size("BIDIRECTIONAL");
    world.put("deleted", "small");
    world.put("renamed", "smaller");
    world.put("stays", "s");
    world.sync_ok();
    world.put("deleted", &large("d"));
    world.put("renamed", &large("r"));
    check_left_out(&world, 2);
    world.remove("deleted");
    world.rename("renamed", "new");
    let outcome = world.sync_ok();
    assert_eq!(outcome.counts.deleted_in_dropbox, 2);
    world.check_local(&[("new", &large("r")), ("stays", "s")]);
    world.check_remote(&[("stays", "s")]);
    world.check_settled();
}

#[test]
fn a_folder_is_not_deleted_with_what_is_left_out_of_it() {
    let world = with_a_largest_size("BIDIRECTIONAL");
    world.put("here/large", &large("h"));
    world.put("here/small", "s");
    world.put("there/small", "t");
    world.put("other", "o");
    world.sync_ok();
    world.dropbox.put("/there/large", large("t").as_bytes());
    world.sync_ok();
    world.dropbox.remove("/here");
    world.remove("there");
    world.sync_ok();
    world.sync_ok();
    assert_eq!(world.read("here/large"), Some(large("h")));
    assert_eq!(world.read("here/small"), None);
    let remote = world.remote_tree();
    assert_eq!(remote["there/large"], large("t"));
    assert!(!remote.contains_key("there/small"), "{remote:?}");
    world.check_settled();
}

#[test]
fn two_versions_one_of_them_too_large_are_no_conflict_yet() {
    let world = with_a_largest_size("BIDIRECTIONAL");
    for name in ["a", "b"] {
        world.put(name, "base");
    }
    world.sync_ok();
    world.put("a", &large("here"));
    world.dropbox.put("/a", b"edited");
    world.put("b", "edited");
    world.dropbox.put("/b", large("there").as_bytes());
    world.dropbox.put("/c", large("there").as_bytes());
    world.put("c", "new");
    check_left_out(&world, 3);
    world.check_settled();
    world.put("a", "small");
    let outcome = world.sync_ok();
    assert_eq!(outcome.counts.conflicts, 1, "{outcome:?}");
    assert!(world.local_tree().values().any(|text| text == "small"));
    assert_eq!(world.read("a").as_deref(), Some("edited"));
}

#[test]
fn a_file_and_a_folder_of_one_name_are_left_where_the_file_is_too_large() {
    let world = with_a_largest_size("BIDIRECTIONAL");
    world.dropbox.put("/d", large("there").as_bytes());
    world.mkdir("d");
    check_left_out(&world, 1);
    assert!(world.local_tree().contains_key("d/"));
}

#[test]
fn what_is_left_out_for_its_size_is_no_problem_for_its_name() {
    let world = with_a_largest_size("LOCAL_TO_DROPBOX");
    world.put("odd\\name", &large("o"));
    check_left_out(&world, 1);
    world.put("odd\\name", "small");
    assert_eq!(world.sync().exit, ExitCode::SomeFiles);
}

#[test]
fn a_folder_that_holds_what_is_too_large_makes_no_way_for_a_file() {
    let world = with_a_largest_size("BIDIRECTIONAL");
    world.put("d/small", "s");
    world.sync_ok();
    world.put("d/large", &large("l"));
    world.dropbox.remove("/d");
    world.dropbox.put("/d", b"a file");
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::SomeFiles, "{outcome:?}");
    assert!(
        outcome.problems["/d"].contains("/d/large, which is not synced"),
        "{outcome:?}"
    );
    assert_eq!(world.read("d/large"), Some(large("l")));
    assert_eq!(world.dropbox.read("/d").unwrap(), b"a file");
}

#[test]
fn a_reset_uploads_nothing_that_is_too_large() {
    let world = with_a_largest_size("DROPBOX_TO_LOCAL");
    world.put("large", &large("l"));
    world.put("small", "s");
    world.dropbox.put("/there", b"t");
    world.sync_ok();
    world.check_remote(&[("small", "s"), ("there", "t")]);
    world.check_settled();
}

// Files that change all the time.

/// A world in which logs go up every six hours.
fn paced() -> World {
    let world = world();
    let keys = "[[sync.pace]]\nmatch = '/logs/*.log'\nevery = '6h'";
    *world.sync_keys.borrow_mut() = keys.to_owned();
    world
}

const HOUR: i128 = 3600;

/// A pass in which so many files wait for their pace; a dry run says the same, and neither writes.
#[track_caller]
fn check_waits(world: &World, files: u64) {
    let planned = world.dry_run();
    let before = (world.remote_tree(), world.written());
    let outcome = world.sync_ok();
    assert_eq!(
        (outcome.counts.deferred, outcome.counts.changes()),
        (files, 0)
    );
    assert_eq!(planned.counts, outcome.counts);
    assert_eq!((world.remote_tree(), world.written()), before);
    let words = match files {
        1 => "1 waits for its pace".to_owned(),
        files => format!("{files} wait for their pace"),
    };
    assert_eq!(outcome.summary, words);
}

#[test]
fn a_changed_file_is_sent_no_more_often_than_its_pace() {
    let world = paced();
    world.put("logs/a.log", "one");
    world.put("logs/a.txt", "text");
    world.sync_ok();
    world.clock.advance(10);
    world.sync_ok();
    world.put("logs/a.log", "one two");
    check_waits(&world, 1);
    world.clock.advance(5 * HOUR);
    world.put("logs/a.log", "one two three");
    check_waits(&world, 1);
    // All others go at once.
    world.put("logs/a.txt", "other text");
    let outcome = world.sync_ok();
    assert_eq!((outcome.counts.uploaded, outcome.counts.deferred), (1, 1));
    world.sync_ok();
    world.clock.advance(HOUR);
    let outcome = world.sync_ok();
    assert_eq!((outcome.counts.uploaded, outcome.counts.deferred), (1, 0));
    world.check_both(&[
        ("logs/", ""),
        ("logs/a.log", "one two three"),
        ("logs/a.txt", "other text"),
    ]);
    world.check_settled();
    // From this sending on it waits again.
    world.put("logs/a.log", "and so on");
    check_waits(&world, 1);
    world.clock.advance(6 * HOUR);
    assert_eq!(world.sync_ok().counts.uploaded, 1);
}

#[test]
fn a_clock_before_the_last_sending_makes_a_file_due() {
    let world = paced();
    world.clock.advance(1000 * HOUR);
    world.put("logs/a.log", "one");
    world.sync_ok();
    world.clock.advance(-500 * HOUR);
    world.put("logs/a.log", "one two");
    assert_eq!(world.sync_ok().counts.uploaded, 1);
    // It goes by that clock from then on.
    world.put("logs/a.log", "one two three");
    assert_eq!(world.sync_ok().counts.deferred, 1);
    world.clock.advance(7 * HOUR);
    assert_eq!(world.sync_ok().counts.uploaded, 1);
}

#[test]
fn first_uploads_deletes_and_renames_have_no_pace() {
    let world = paced();
    for name in ["a", "b", "c"] {
        world.put(&format!("logs/{name}.log"), &format!("log {name}"));
    }
    world.sync_ok();
    world.put("logs/new.log", "new log");
    world.remove("logs/a.log");
    world.rename("logs/b.log", "logs/b.log.1");
    world.rename("logs/c.log", "logs/moved.log");
    let outcome = world.sync_ok();
    let counts = outcome.counts;
    assert_eq!(
        (counts.uploaded, counts.deleted_in_dropbox),
        (1, 1),
        "{outcome:?}"
    );
    assert_eq!((counts.moved, counts.deferred), (2, 0), "{outcome:?}");
    // Deleted in Dropbox, a change here is all there is.
    world.dropbox.remove("/logs/new.log");
    world.put("logs/new.log", "newer log");
    assert_eq!(world.sync_ok().counts.uploaded, 1);
    assert_eq!(world.local_tree(), world.remote_tree());
    world.check_settled();
}

#[test]
fn nothing_that_waits_is_lost_in_a_conflict() {
    let world = paced();
    world.put("logs/a.log", "base");
    world.sync_ok();
    world.sync_ok();
    world.put("logs/a.log", "edited here");
    check_waits(&world, 1);
    world.dropbox.put("/logs/a.log", b"edited there");
    let outcome = world.sync_ok();
    assert_eq!(outcome.counts.conflicts, 1);
    world.sync_ok();
    let tree = world.remote_tree();
    assert!(tree.values().any(|text| text == "edited here"), "{tree:?}");
    assert_eq!(tree["logs/a.log"], "edited there");
    assert_eq!(world.local_tree(), tree);
}

/// What took the name of a file that waits has no other place in Dropbox than its old name.
#[test]
fn what_was_renamed_onto_a_file_that_waits_stays_under_its_old_name_until_then() {
    let world = paced();
    world.put("logs/a.log", "the log");
    world.put("other", "the other one");
    world.put("third", "3");
    world.sync_ok();
    world.rename("other", "logs/a.log");
    let outcome = world.sync_ok();
    assert_eq!((outcome.counts.deferred, outcome.counts.changes()), (2, 0));
    assert_eq!(world.remote_tree()["other"], "the other one");
    world.clock.advance(6 * HOUR);
    world.sync_ok();
    world.sync_ok();
    world.check_both(&[
        ("logs/", ""),
        ("logs/a.log", "the other one"),
        ("third", "3"),
    ]);
    world.check_settled();
}

#[test]
fn a_file_that_is_sent_again_and_again_is_told_of_once_a_day_with_the_lines_to_write() {
    let world = World::in_mode("LOCAL_TO_DROPBOX");
    let send = |letter| {
        world.put_bytes(
            "logs/big.log",
            &content(51_000_000 + usize::from(letter), letter),
        );
        world.sync_ok().advice
    };
    // All in one day.
    let now_s = i128::from(world.clock.now_s());
    world.clock.advance(86_400 - now_s.rem_euclid(86_400));
    assert_eq!(send(b'a'), [""; 0]);
    let told = send(b'b').remove(0);
    assert!(
        told.starts_with("/logs/big.log: 97.3 MiB of it were sent today, in 2 goes"),
        "{told}"
    );
    assert_eq!(send(b'c'), [""; 0], "told once");
    world.clock.advance(86_400);
    assert_eq!(send(b'd'), [""; 0]);
    assert_eq!(send(b'e').len(), 1, "told again, since it goes on");
    // The lines are right as they stand.
    let (_, lines) = told.split_once(":\n").unwrap();
    *world.sync_keys.borrow_mut() = lines.to_owned();
    world.put("logs/big.log", "small");
    assert_eq!(world.sync_ok().counts.deferred, 1);
}

// Archives.

/// A world whose deletes here are kept in Dropbox, with three files in step.
fn archive() -> World {
    let world = World::in_mode("LOCAL_TO_DROPBOX");
    *world.sync_keys.borrow_mut() = "deletes = \"keep\"".to_owned();
    for name in ["a", "b", "d/c"] {
        world.put(name, &format!("content of {name}"));
    }
    world.sync_ok();
    world
}

/// What the agent replaced in Dropbox.
fn replaced(world: &World) -> Vec<(String, Vec<u8>)> {
    world.dropbox.replaced()
}

const ARCHIVED: [(&str, &str); 4] = [
    ("a", "content of a"),
    ("b", "content of b"),
    ("d/", ""),
    ("d/c", "content of d/c"),
];

#[test]
fn what_is_deleted_here_is_kept_and_a_name_that_returns_is_an_edit() {
    let world = archive();
    world.remove("a");
    world.remove("d");
    let planned = world.dry_run();
    let outcome = world.sync_ok();
    assert_eq!((planned.plan, planned.counts), (Vec::new(), outcome.counts));
    assert_eq!(outcome.counts.changes(), 0);
    world.check_remote(&ARCHIVED);
    world.check_settled();
    world.put("a", "another a");
    let outcome = world.sync_ok();
    assert_eq!(outcome.counts.uploaded, 1);
    assert_eq!(world.dropbox.read("/a").unwrap(), b"another a");
    assert_eq!(
        replaced(&world),
        [("/a".to_owned(), b"content of a".to_vec())]
    );
    world.check_settled();
}

#[test]
fn an_emptied_content_dir_deletes_nothing_where_deletes_are_kept() {
    let world = archive();
    for name in ["a", "b", "d"] {
        world.remove(name);
    }
    let outcome = world.sync_ok();
    assert_eq!(outcome.counts.changes(), 0);
    world.check_remote(&ARCHIVED);
    world.check_settled();
    // A restore brings all of it back.
    let restored = world.download_only();
    assert_eq!(restored.exit, ExitCode::Ok, "{restored:?}");
    world.check_both(&ARCHIVED);
}

#[test]
fn a_halt_is_over_when_deletes_are_kept_from_then_on() {
    let world = archive();
    stop_keeping(&world);
    world.sync_ok();
    for name in ["a", "b", "d"] {
        world.remove(name);
    }
    assert_eq!(world.sync().exit, ExitCode::Halted);
    *world.sync_keys.borrow_mut() = "deletes = \"keep\"".to_owned();
    world.sync_ok();
    world.check_remote(&ARCHIVED);
    world.check_settled();
}

#[test]
fn renames_are_renames_where_deletes_are_kept() {
    let world = archive();
    world.rename("a", "a.1");
    world.rename("d", "e");
    let planned = world.dry_run();
    let outcome = world.sync_ok();
    assert_eq!(
        (outcome.counts.moved, outcome.counts.uploaded),
        (2, 0),
        "{outcome:?}"
    );
    assert_eq!(planned.counts.moved, 2, "{planned:?}");
    world.put("a", "a new one");
    world.sync_ok();
    let remote = world.remote_tree();
    assert_eq!(remote["a"], "a new one");
    assert_eq!(remote["a.1"], "content of a");
    assert_eq!(remote["e/c"], "content of d/c");
    assert!(!remote.contains_key("d/c"));
    world.check_settled();
}

#[test]
fn what_is_gone_on_both_sides_is_forgotten() {
    let world = archive();
    world.remove("a");
    world.sync_ok();
    world.dropbox.remove("/a");
    world.sync_ok();
    world.put("a", "new here");
    world.dropbox.put("/a", b"new in Dropbox");
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::SomeFiles);
    assert!(
        outcome.problems["/a"].contains("not known which is newer"),
        "{outcome:?}"
    );
}

#[test]
fn an_edit_there_of_what_is_kept_stays_and_is_replaced_under_its_own_rev() {
    let world = archive();
    world.remove("a");
    world.sync_ok();
    world.dropbox.put("/a", b"edited in Dropbox");
    world.sync_ok();
    world.check_settled();
    world.put("a", "back again");
    let outcome = world.sync_ok();
    assert_eq!(outcome.counts.uploaded, 1);
    assert_eq!(world.dropbox.read("/a").unwrap(), b"back again");
    assert_eq!(
        replaced(&world),
        [
            ("/a".to_owned(), b"content of a".to_vec()),
            ("/a".to_owned(), b"edited in Dropbox".to_vec()),
        ]
    );
}

#[test]
fn a_file_in_place_of_a_kept_folder_is_told_and_neither_makes_way() {
    let world = archive();
    world.remove("d");
    world.put("d", "a file");
    world.remove("b");
    world.put("b/inside", "a folder");
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::SomeFiles);
    for path in ["/d", "/b"] {
        let text = &outcome.problems[path];
        assert!(
            text.contains("a file on one side and a folder on the other"),
            "{text}"
        );
    }
    world.check_remote(&ARCHIVED);
}

#[test]
fn what_is_kept_there_does_not_make_deletes_here_look_few() {
    let world = archive();
    for number in 0..10 {
        world.put(&format!("kept/{number}"), &format!("kept {number}"));
    }
    world.sync_ok();
    world.remove("kept");
    world.sync_ok();
    world.put("e", "one more");
    world.sync_ok();
    for path in ["/a", "/b", "/d"] {
        world.dropbox.remove(path);
    }
    let halted = world.download_only();
    assert_eq!(halted.exit, ExitCode::Halted, "{halted:?}");
}

/// What was deleted and is written again under another name is new: the archive keeps its name.
#[test]
fn equal_content_takes_no_name_from_what_is_kept() {
    let world = archive();
    world.remove("a");
    world.sync_ok();
    world.put("copy", "content of a");
    let planned = world.dry_run();
    assert_eq!(planned.plan, ["would upload /copy (12 bytes)"]);
    let outcome = world.sync_ok();
    assert_eq!(
        (outcome.counts.uploaded, outcome.counts.moved),
        (1, 0),
        "{outcome:?}"
    );
    let remote = world.remote_tree();
    assert_eq!(remote["a"], "content of a");
    assert_eq!(remote["copy"], "content of a");
    world.check_settled();
    // In one pass, and beside a rename.
    world.remove("b");
    world.rename("d/c", "d/renamed");
    world.put("d/copy", "content of d/c");
    world.put("another", "content of b");
    let planned = world.dry_run();
    let outcome = world.sync_ok();
    assert_eq!((outcome.counts.uploaded, outcome.counts.moved), (2, 1));
    assert_eq!(planned.counts, outcome.counts);
    let remote = world.remote_tree();
    assert_eq!(remote["b"], "content of b");
    assert_eq!(remote["another"], "content of b");
    assert_eq!(remote["d/copy"], "content of d/c");
    assert!(remote.contains_key("d/renamed") && !remote.contains_key("d/c"));
    world.check_settled();
}

/// The key is taken out again.
fn stop_keeping(world: &World) {
    *world.sync_keys.borrow_mut() = String::new();
}

#[test]
fn what_was_kept_is_not_deleted_when_deletes_are_kept_no_longer() {
    for mode in ["LOCAL_TO_DROPBOX", "BIDIRECTIONAL"] {
        let world = archive();
        for number in 0..10 {
            world.put(&format!("e/{number}"), &"e".repeat(number + 1));
        }
        world.sync_ok();
        world.remove("a");
        world.remove("d");
        assert_eq!(world.sync_ok().skipped.kept, 2);
        let kept = world.dry_run();
        assert_eq!((kept.skipped.kept, kept.plan), (2, Vec::new()));
        world.check_settled();
        stop_keeping(&world);
        world.set_mode(mode);
        assert_eq!(world.dry_run().plan, [""; 0]);
        let outcome = world.sync_ok();
        assert_eq!(outcome.counts.changes(), 0, "{outcome:?}");
        let there = world.remote_tree();
        assert!(there.contains_key("a") && there.contains_key("d/c"));
        // From then on it is only in Dropbox, and deletes travel.
        let brought = world.sync_ok().counts.downloaded;
        assert_eq!(brought, if mode == "BIDIRECTIONAL" { 2 } else { 0 });
        world.check_settled();
        world.remove("b");
        assert_eq!(world.sync_ok().counts.deleted_in_dropbox, 1);
        let there = world.remote_tree();
        assert!(there.contains_key("a") && there.contains_key("d/c") && !there.contains_key("b"));
        world.check_settled();
    }
}

#[test]
fn what_is_in_the_way_of_what_was_kept_deletes_nothing_later() {
    let world = archive();
    world.put("e", "one more");
    world.sync_ok();
    world.remove("d");
    world.put("d", "a file");
    assert_eq!(world.sync().exit, ExitCode::SomeFiles);
    stop_keeping(&world);
    world.sync();
    world.rename("d", "f");
    world.sync_ok();
    world.sync_ok();
    let there = world.remote_tree();
    assert_eq!((&*there["d/c"], &*there["f"]), ("content of d/c", "a file"));
    world.check_settled();
}

#[test]
fn what_could_not_be_looked_at_is_kept_until_it_can() {
    let world = archive();
    if !world.permissions_count() {
        return;
    }
    world.put("e/f", "deeper");
    world.sync_ok();
    world.remove("d/c");
    world.remove("a");
    world.sync_ok();
    stop_keeping(&world);
    let dir = world.content().join("d");
    let set = |mode| {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(&dir, permissions).unwrap();
    };
    set(0o000);
    world.sync();
    set(0o755);
    world.sync_ok();
    let there = world.remote_tree();
    assert!(there.contains_key("d/c") && there.contains_key("a"));
    world.remove("b");
    assert_eq!(world.sync_ok().counts.deleted_in_dropbox, 1);
}
