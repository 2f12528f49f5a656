//! A dry run prints the very plan, reads only, and leaves every byte as it was.

use dropbox_standin::Snapshot;
use ferrybox::commands::sync::SyncArgs;
use ferrybox::error::ExitCode;

use crate::world::{World, world};

/// Runs dry, and finds everything as before.
#[track_caller]
fn check(world: &World) -> Vec<String> {
    let (files, local) = (world.written(), world.local_tree());
    let remote: Snapshot = world.dropbox.tree();
    let outcome = world.dry_run();
    assert_eq!(outcome.exit, ExitCode::Ok, "{outcome:?}");
    assert_eq!(world.written(), files, "content and state");
    assert_eq!(world.local_tree(), local);
    assert_eq!(world.dropbox.tree(), remote, "Dropbox");
    let reads = |call: &String| {
        [
            "list_folder",
            "list_folder/continue",
            "get_metadata",
            "users/get_current_account",
        ]
        .contains(&call.as_str())
    };
    assert!(outcome.calls.iter().all(reads), "{:?}", outcome.calls);
    let mut plan = outcome.plan;
    plan.sort();
    plan
}

#[test]
fn a_dry_run_before_anything_else_makes_not_even_a_directory() {
    let world = world();
    world.put("a", "a");
    world.dropbox.put("/b", b"b");
    let plan = check(&world);
    assert_eq!(
        plan,
        ["would download /b (1 byte)", "would upload /a (1 byte)"]
    );
    assert!(!world.state().exists());
}

#[test]
fn the_plan_names_every_kind_of_action() {
    let world = world();
    for name in ["edited", "gone here", "gone there", "both.txt"] {
        world.put(name, "base");
    }
    world.sync_ok();
    world.put("edited", "edited");
    world.put("new", "new");
    world.mkdir("empty");
    world.remove("gone here");
    world.dropbox.remove("/gone there");
    world.dropbox.put("/remote", b"r");
    world.dropbox.mkdir("/remote empty");
    world.put("both.txt", "one");
    world.dropbox.put("/both.txt", b"other");
    let plan = check(&world);
    assert_eq!(
        plan,
        [
            "would delete in Dropbox /gone here",
            "would delete locally /gone there",
            "would download /both.txt (5 bytes)",
            "would download /remote (1 byte)",
            "would keep the local version as a conflict copy: /both.txt",
            "would make folder /remote empty",
            "would make folder in Dropbox /empty",
            "would upload /edited (6 bytes)",
            "would upload /new (3 bytes)",
        ]
    );
    // What was planned is what is done.
    let done = world.sync_ok().counts;
    assert_eq!(
        (done.uploaded, done.downloaded, done.conflicts),
        (3, 2, 1),
        "and the copy"
    );
}

#[test]
fn fake_mode_is_the_same() {
    let world = world();
    *world.sync_keys.borrow_mut() = "fake_mode = true".to_owned();
    world.put("a", "a");
    world.dropbox.put("/b", b"b");
    let outcome = world.sync();
    assert_eq!(outcome.plan.len(), 2);
    world.check_local(&[("a", "a")]);
    world.check_remote(&[("b", "b")]);
}

#[test]
fn a_dry_run_ends_with_5_where_the_pass_would_halt() {
    let world = world();
    for i in 0..30 {
        world.put(&format!("d/{i}"), "x");
    }
    world.put("keep", "k");
    world.sync_ok();
    world.remove("d");
    let before = world.written();
    let args = SyncArgs {
        dry_run: true,
        ..SyncArgs::default()
    };
    let outcome = world.sync_with(&args);
    assert_eq!(outcome.exit, ExitCode::Halted);
    assert_eq!(world.written(), before);
    assert_eq!(world.remote_tree().len(), 32);
}

#[test]
fn a_dry_run_of_a_missing_remote_root_only_says_so() {
    let world = world();
    world
        .dropbox_keys
        .borrow_mut()
        .push_str("\nremote_root = \"/gateway\"");
    world.put("a", "a");
    let plan = check(&world);
    assert_eq!(
        plan,
        [
            "would make folder in Dropbox /gateway",
            "would upload /a (1 byte)"
        ]
    );
}

#[test]
fn a_dry_run_knows_renames_from_deletes() {
    let world = world();
    for i in 0..30 {
        world.put(&format!("d/{i}"), &format!("content {i}"));
    }
    world.sync_ok();
    world.rename("d", "moved");
    let plan = check(&world);
    assert_eq!(
        plan,
        ["would rename in Dropbox to /moved (30 files), from /d"]
    );
    // The same file by file, where there is no folder to be known again.
    world.mkdir("copied");
    for i in 0..30 {
        world.rename(&format!("moved/{i}"), &format!("copied/{i}"));
    }
    world.remove("moved");
    let plan = check(&world);
    let is_rename = |line: &&String| line.starts_with("would rename in Dropbox to /copied/");
    assert_eq!(plan.iter().filter(is_rename).count(), 30, "{plan:?}");
    world.sync_ok();
    assert_eq!(world.local_tree(), world.remote_tree());
}

#[test]
fn a_dry_run_with_a_damaged_index_plans_without_it() {
    let world = world();
    world.put("a", "a");
    world.sync_ok();
    world.put_state_file("index.db", b"");
    let plan = check(&world);
    assert!(plan.is_empty(), "{plan:?}");
}

#[test]
fn the_plan_has_what_waits_for_a_name() {
    let world = world();
    world.put("x", "file");
    world.put("y/inside", "i");
    world.put("keep", "k");
    world.sync_ok();
    world.remove("x");
    world.put("x/new", "n");
    world.dropbox.remove("/y");
    world.dropbox.put("/y", b"file");
    let plan = check(&world);
    assert_eq!(
        plan,
        [
            "would delete in Dropbox /x",
            "would delete locally /y",
            "would delete locally /y/inside",
            "would download /y",
            "would make folder in Dropbox /x",
            "would upload /x/new (1 byte)",
        ]
    );
    world.sync_ok();
    assert_eq!(world.local_tree(), world.remote_tree());
}

#[test]
fn a_dry_run_with_an_index_damaged_in_the_middle_plans_without_it() {
    let world = world();
    for i in 0..300 {
        world.put(&format!("d/{i:03}"), &format!("content {i}"));
    }
    world.sync_ok();
    let file = world.state().join("index.db");
    let mut bytes = std::fs::read(&file).unwrap();
    for page in (4096..bytes.len() - 1024).step_by(4096) {
        bytes[page..page + 64].fill(0x5a);
    }
    std::fs::write(&file, bytes).unwrap();
    let plan = check(&world);
    assert!(plan.is_empty(), "{plan:?}");
    world.sync_ok();
    assert_eq!(world.local_tree(), world.remote_tree());
}

#[test]
fn what_would_only_be_moved_here_is_not_among_the_deletes() {
    let world = world();
    *world.guard_keys.borrow_mut() = "max_delete_count = 2\nmax_delete_share = 0.1".to_owned();
    for i in 0..10 {
        world.put(&format!("d/{i}"), &format!("content {i}"));
    }
    world.sync_ok();
    world.dropbox.rename("/d/0", "/d/moved");
    for i in 1..6 {
        world.dropbox.remove(&format!("/d/{i}"));
    }
    let planned = world.dry_run();
    let real = world.sync();
    assert_eq!(real.exit, ExitCode::Halted);
    assert_eq!(planned.error, real.error, "the same id");
}

/// A22: what is below a file of Dropbox does not go up, and is not said to.
#[test]
fn a22_a_dry_run_says_what_is_below_a_file_as_the_pass_does() {
    for mode in ["LOCAL_TO_DROPBOX", "BIDIRECTIONAL", "DROPBOX_TO_LOCAL"] {
        let world = World::in_mode(mode);
        for i in 0..4 {
            world.put(&format!("d/sub/{i}"), &format!("content {i}"));
            world.put(&format!("stays/{i}"), &format!("other content {i}"));
            world.put(&format!("too/{i}"), &format!("more content {i}"));
        }
        world.sync_ok();
        world.dropbox.remove("/d");
        world.dropbox.put("/d", b"a file there");
        world.mkdir("d/new folder");
        world.put("d/new", "new");
        let planned = world.dry_run();
        let real = world.sync();
        let goes_up = |line: &&String| {
            line.starts_with("would upload /d/") || line.starts_with("would make folder in Dropbox")
        };
        let up = planned.plan.iter().filter(goes_up).count();
        assert_eq!(up, 0, "{mode}: {planned:?}");
        assert_eq!(planned.problems, real.problems, "{mode}");
        assert_eq!(planned.exit, real.exit, "{mode}");
    }
}
