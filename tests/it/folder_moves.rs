//! A directory that was only renamed moves as one, on the side where it was not: no file is read,
//! no byte travels, and what else has happened to it is done afterwards.

use dropbox_standin::{Effect, Fault, When};
use ferrybox::error::ExitCode;
use ferrybox::report::Counts;

use crate::world::{Outcome, World, world};

fn times(outcome: &Outcome, route: &str) -> usize {
    outcome.calls.iter().filter(|call| *call == route).count()
}

/// A tree of 40 files in folders that are in step, with one beside them.
fn in_step_in(world: World) -> World {
    for i in 0..20 {
        world.put(&format!("Old/{i:03}"), &format!("content {i}"));
        world.put(&format!("Old/Deep/er/{i:03}"), &format!("deep {i}"));
    }
    world.mkdir("Old/empty");
    world.put("keep", "k");
    world.sync_ok();
    world.clock.advance(10);
    world.sync_ok();
    world
}

fn in_step() -> World {
    in_step_in(world())
}

#[track_caller]
fn check_equal(world: &World) {
    assert_eq!(world.local_tree(), world.remote_tree());
    world.check_settled();
}

/// One call moved it, and nothing was sent.
#[track_caller]
fn check_moved_as_one(outcome: &Outcome) {
    assert_eq!(times(outcome, "move_v2"), 1, "{:?}", outcome.calls);
    assert_eq!(outcome.counts.moved, 40, "{outcome:?}");
    check_nothing_sent(outcome);
    // The changes, the move, and its echo.
    assert!(outcome.calls.len() <= 8, "{:?}", outcome.calls);
}

#[track_caller]
fn check_nothing_sent(outcome: &Outcome) {
    let sent = |call: &&String| call.contains("upload") || call.contains("batch");
    let sent: Vec<_> = outcome.calls.iter().filter(sent).collect();
    assert!(sent.is_empty(), "{sent:?}");
    assert_eq!(outcome.counts.uploaded, 0);
}

#[test]
fn a_directory_renamed_here_is_one_move_in_dropbox_and_no_file_is_read() {
    for mode in ["BIDIRECTIONAL", "LOCAL_TO_DROPBOX"] {
        let world = in_step_in(World::in_memory(mode));
        world.rename("Old", "New Name");
        let (outcome, reads) = world.sync_and_count_reads();
        assert_eq!(
            (outcome.exit, reads),
            (ExitCode::Ok, 0),
            "{mode}: {outcome:?}"
        );
        check_equal(&world);
        // The names are as they are here.
        assert!(world.remote_tree().contains_key("New Name/Deep/er/007"));
        // What is edited or deleted afterwards names the revs that the move has made.
        world.put("New Name/003", "edited");
        world.remove("New Name/004");
        let outcome = world.sync_ok();
        assert_eq!(outcome.counts.uploaded, 1, "{outcome:?}");
        assert_eq!(outcome.counts.deleted_in_dropbox, 1, "{outcome:?}");
        check_equal(&world);
    }
}

#[test]
fn a_directory_renamed_here_takes_few_calls() {
    let world = in_step();
    world.mkdir("deep/in");
    world.rename("Old", "deep/in/new");
    let outcome = world.sync_ok();
    check_moved_as_one(&outcome);
    assert_eq!(outcome.counts.deleted_in_dropbox, 0);
    check_equal(&world);
}

#[test]
fn what_was_edited_added_and_deleted_in_it_is_done_after_it_has_moved() {
    let world = in_step();
    world.rename("Old", "New");
    world.put("New/001", "edited after all");
    world.put("New/added", "added");
    world.remove("New/002");
    world.remove("New/Deep/er/005");
    let outcome = world.sync_ok();
    assert_eq!(times(&outcome, "move_v2"), 1, "{:?}", outcome.calls);
    let expected = Counts {
        moved: 40,
        uploaded: 2,
        deleted_in_dropbox: 2,
        ..Counts::default()
    };
    assert_eq!(outcome.counts, expected);
    check_equal(&world);
}

#[test]
fn a_renamed_directory_whose_files_are_mostly_gone_still_asks_before_it_deletes() {
    let world = in_step();
    world.rename("Old", "New");
    for i in 0..20 {
        world.remove(&format!("New/{i:03}"));
    }
    world.remove("New/Deep/er/005");
    let before = world.remote_tree().len();
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::Halted, "{outcome:?}");
    assert_eq!(
        world.remote_tree().len(),
        before,
        "{:?} {outcome:?}",
        world.remote_tree().keys()
    );
    let approved = world.approve(&outcome.error);
    assert_eq!(approved.exit, ExitCode::Ok, "{approved:?}");
    check_equal(&world);
}

#[test]
fn where_nothing_goes_up_nothing_is_moved_in_dropbox() {
    let world = in_step_in(World::in_mode("DROPBOX_TO_LOCAL"));
    let before = world.remote_tree();
    world.rename("Old/empty", "emptier");
    world.rename("Old/Deep", "deep elsewhere");
    let outcome = world.sync();
    assert_eq!(times(&outcome, "move_v2"), 0, "{:?}", outcome.calls);
    assert_eq!(world.remote_tree(), before);
}

#[test]
fn nested_renames_move_one_by_one_from_the_deepest_on() {
    let world = in_step();
    world.rename("Old/Deep/er", "out");
    world.rename("Old", "New");
    let outcome = world.sync_ok();
    assert_eq!(times(&outcome, "move_v2"), 2, "{:?}", outcome.calls);
    assert_eq!(outcome.counts.moved, 40);
    check_nothing_sent(&outcome);
    check_equal(&world);
    // And one that was renamed within one that was.
    world.rename("New/Deep", "New/Deeper");
    world.rename("New", "Last");
    let outcome = world.sync_ok();
    assert_eq!(times(&outcome, "move_v2"), 2, "{:?}", outcome.calls);
    check_nothing_sent(&outcome);
    check_equal(&world);
}

#[test]
fn many_renamed_directories_go_in_one_call() {
    let world = world();
    for i in 0..30 {
        world.put(&format!("{i}/file"), &format!("content {i}"));
    }
    world.sync_ok();
    world.clock.advance(10);
    world.sync_ok();
    for i in 0..30 {
        world.rename(&format!("{i}"), &format!("new {i}"));
    }
    let outcome = world.sync_ok();
    assert_eq!(times(&outcome, "move_batch_v2"), 1, "{:?}", outcome.calls);
    assert_eq!(outcome.counts.moved, 30);
    check_equal(&world);
}

#[test]
fn directories_that_change_places_or_move_up_lose_nothing() {
    let world = in_step();
    world.put("Other/file", "other");
    world.put("Other/003", "another");
    world.sync_ok();
    // They change places.
    world.rename("Old", "between");
    world.rename("Other", "Old");
    world.rename("between", "Other");
    world.sync_ok();
    world.sync_ok();
    check_equal(&world);
    // Each gets the name of the one before.
    world.rename("Old", "Older");
    world.rename("Other", "Old");
    world.sync_ok();
    world.sync_ok();
    check_equal(&world);
}

#[test]
fn what_changed_in_dropbox_meanwhile_is_not_moved_along() {
    let world = in_step();
    world.rename("Old", "New");
    world.dropbox.put("/Old/001", b"edited in Dropbox");
    world.dropbox.put("/Old/fresh", b"fresh in Dropbox");
    world.sync_ok();
    world.sync_ok();
    let tree = world.local_tree();
    let has = |text: &str| tree.values().any(|content| content == text);
    assert!(has("edited in Dropbox") && has("fresh in Dropbox") && has("content 1"));
    check_equal(&world);
}

/// Between the listing and the move: it goes along, and comes down.
#[test]
fn what_comes_into_it_in_the_very_moment_goes_along() {
    let world = in_step();
    world.rename("Old", "New");
    let dropbox = world.dropbox.clone();
    world.on_request(move |request| {
        if request.target.ends_with("/move_v2") {
            dropbox.put("/Old/001", b"edited in Dropbox");
            dropbox.put("/Old/fresh", b"fresh in Dropbox");
            dropbox.remove("/Old/002");
        }
    });
    world.sync();
    world.on_request_nothing();
    world.sync_ok();
    world.sync_ok();
    assert_eq!(world.read("New/001").unwrap(), "edited in Dropbox");
    assert_eq!(world.read("New/fresh").unwrap(), "fresh in Dropbox");
    assert_eq!(world.read("New/002"), None);
    check_equal(&world);
}

#[test]
fn a_lost_answer_is_found_out_by_looking() {
    let world = in_step();
    world.rename("Old", "New");
    let lost = Fault::new("files/move_v2", When::First(1), Effect::CutAfter);
    world.dropbox.inject(lost);
    let outcome = world.sync_ok();
    assert_eq!(outcome.counts.moved, 40, "{outcome:?}");
    check_nothing_sent(&outcome);
    check_equal(&world);
}

#[test]
fn a_move_that_dropbox_refuses_is_done_file_by_file() {
    for tags in [
        "cant_move_shared_folder",
        "internal_error",
        "from_write/team_folder",
    ] {
        let world = in_step();
        world.rename("Old", "New");
        world.dropbox.inject(Fault::new(
            "files/move_v2",
            When::First(1),
            Effect::refused(tags),
        ));
        world.sync_ok();
        world.sync_ok();
        check_equal(&world);
    }
}

/// A pass that broke off right behind the move.
#[test]
fn a_pass_that_hears_nothing_more_leaves_it_to_the_next_one() {
    let world = in_step();
    world.rename("Old", "New");
    world.put("New/001", "edited");
    world.remove("New/002");
    // The changes of the pass, and then nothing.
    let silent = Effect::Status(500, String::new());
    for n in 2..30 {
        let fault = Fault::new("files/list_folder/continue", When::Nth(n), silent.clone());
        world.dropbox.inject(fault);
    }
    assert_eq!(world.sync().exit, ExitCode::TryLater);
    world.dropbox.clear_faults();
    world.sync_ok();
    world.sync_ok();
    assert_eq!(world.read("New/001").unwrap(), "edited");
    assert_eq!(world.read("New/002"), None);
    check_equal(&world);
}

#[test]
fn filters_that_cut_through_it_leave_what_they_leave() {
    for filters in [
        "upload_filter = [\"/.*\"]\ndownload_filter = [\"/.*\"]\nexclude = [\".*\\\\.tmp\"]",
        "max_file_size = \"1 KiB\"",
    ] {
        let world = World::in_mode("BIDIRECTIONAL");
        *world.sync_keys.borrow_mut() = filters.to_owned();
        let world = in_step_in(world);
        world.rename("Old", "New");
        let outcome = world.sync_ok();
        check_moved_as_one(&outcome);
        check_equal(&world);
        // Something in Dropbox that nobody manages here stays where it is.
        world.dropbox.put("/New/x.tmp", &[1; 2000]);
        world.sync_ok();
        world.rename("New", "Newer");
        let outcome = world.sync_ok();
        assert_eq!(times(&outcome, "move_v2"), 0, "{:?}", outcome.calls);
        world.sync_ok();
        assert!(world.dropbox.tree().contains_key("/New/x.tmp"));
        assert_eq!(world.read("Newer/001").unwrap(), "content 1");
        assert!(world.dropbox.tree().contains_key("/Newer/001"));
    }
}

#[test]
fn a_new_directory_with_the_number_of_a_gone_one_is_not_taken_for_it() {
    let world = in_step();
    let inode = |path: &str| {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(world.content().join(path))
            .map(|status| status.ino())
            .unwrap()
    };
    let before = inode("Old");
    world.remove("Old");
    for n in 0..50 {
        world.mkdir(&format!("new {n}"));
        if inode(&format!("new {n}")) == before {
            break;
        }
    }
    world.put("new 0/other", "other");
    let outcome = world.sync();
    assert_eq!(times(&outcome, "move_v2"), 0, "{:?}", outcome.calls);
    assert_eq!(outcome.exit, ExitCode::Halted);
}

#[test]
fn a_dry_run_says_what_the_pass_does() {
    let world = in_step();
    world.rename("Old", "New");
    for i in 0..18 {
        world.put(&format!("New/{i:03}"), "edited");
    }
    let plan = world.dry_run();
    assert_eq!(plan.exit, ExitCode::Ok, "{plan:?}");
    assert!(
        plan.plan
            .contains(&"would rename in Dropbox to /New (40 files), from /Old".to_owned()),
        "{:?}",
        plan.plan
    );
    let outcome = world.sync_ok();
    assert_eq!(plan.counts, outcome.counts);
    assert_eq!((outcome.counts.moved, outcome.counts.uploaded), (40, 18));
    assert_eq!(outcome.counts.deleted_in_dropbox, 0);
    check_equal(&world);
}

/// The other way.
#[test]
fn a_directory_moved_in_dropbox_is_one_rename_here() {
    let world = in_step_in(World::in_memory("BIDIRECTIONAL"));
    world.dropbox.rename("/Old", "/else/New");
    let (outcome, reads) = world.sync_and_count_reads();
    assert_eq!((outcome.exit, reads), (ExitCode::Ok, 0), "{outcome:?}");
    check_equal(&world);
    world.put("else/New/001", "edited");
    assert_eq!(world.sync_ok().counts.uploaded, 1);
    check_equal(&world);
}

#[test]
fn a_directory_moved_in_dropbox_takes_nothing_but_the_listing() {
    let world = in_step();
    world.dropbox.rename("/Old", "/New");
    let outcome = world.sync_ok();
    assert_eq!(outcome.counts.moved, 40, "{outcome:?}");
    assert_eq!(outcome.calls, ["list_folder/continue"]);
    check_equal(&world);
}

#[test]
fn what_was_done_in_it_in_dropbox_is_done_here_after_it_has_moved() {
    let world = in_step();
    world.dropbox.rename("/Old", "/New");
    world.dropbox.put("/New/001", b"edited");
    world.dropbox.put("/New/added", b"added");
    world.dropbox.remove("/New/002");
    let outcome = world.sync_ok();
    let expected = Counts {
        moved: 40,
        downloaded: 2,
        deleted_locally: 1,
        ..Counts::default()
    };
    assert_eq!(outcome.counts, expected, "{outcome:?}");
    check_equal(&world);
}

#[test]
fn what_is_not_managed_or_edited_here_does_not_go_along() {
    for (name, content) in [("Old/.hidden", "mine"), ("Old/001", "edited here")] {
        let world = World::in_mode("BIDIRECTIONAL");
        *world.sync_keys.borrow_mut() = "hidden = false".to_owned();
        let world = in_step_in(world);
        world.put(name, content);
        world.dropbox.rename("/Old", "/New");
        world.sync_ok();
        world.sync_ok();
        assert_eq!(world.read(name).unwrap(), content, "{name}");
        assert_eq!(world.read("New/003").unwrap(), "content 3");
        assert_eq!(world.read("Old/003"), None);
    }
}

#[test]
fn directories_moved_and_swapped_in_dropbox_are_so_here() {
    let world = in_step();
    world.put("Other/003", "another");
    world.sync_ok();
    world.dropbox.rename("/Old/Deep", "/Deep");
    world.dropbox.rename("/Old", "/x");
    world.dropbox.rename("/Other", "/Old");
    world.dropbox.rename("/x", "/Other");
    world.sync_ok();
    world.sync_ok();
    check_equal(&world);
    assert_eq!(world.read("Old/003").unwrap(), "another");
    assert_eq!(world.read("Other/003").unwrap(), "content 3");
}

/// What Dropbox holds has a row, and so nothing needs to be listed before the move.
#[test]
fn nothing_is_listed_before_a_move_unless_a_rule_left_something_out() {
    let hiding = || {
        let world = in_step();
        *world.sync_keys.borrow_mut() = "hidden = false".to_owned();
        world.sync_ok();
        world
    };
    let world = hiding();
    world.rename("Old", "New");
    let outcome = world.sync_ok();
    let wanted = ["list_folder/continue", "move_v2", "list_folder/continue"];
    assert_eq!(outcome.calls, wanted);
    // A hidden file is one that has none: it stays where it is.
    world.dropbox.put("/New/.hidden", b"not ours");
    world.sync_ok();
    world.rename("New", "Newer");
    let outcome = world.sync_ok();
    assert_eq!(times(&outcome, "move_v2"), 0, "{:?}", outcome.calls);
    assert!(world.dropbox.tree().contains_key("/New/.hidden"));
    assert!(world.dropbox.tree().contains_key("/Newer/001"));
    // The same after a whole listing, and where it lies elsewhere.
    for name in ["cursor.json", "index.db"] {
        let world = hiding();
        world.dropbox.put("/.hidden", b"not ours");
        world.remove_state_file(name);
        world.sync_ok();
        world.sync_ok();
        world.rename("Old", "New");
        let outcome = world.sync_ok();
        assert_eq!(
            times(&outcome, "list_folder"),
            1,
            "{name}: {:?}",
            outcome.calls
        );
        assert_eq!(times(&outcome, "move_v2"), 1, "{name}: {:?}", outcome.calls);
    }
}

/// Changes are read in the middle of the pass: what they say of other files counts.
#[test]
fn what_comes_back_in_dropbox_during_the_move_is_not_deleted_here() {
    let world = in_step();
    world.mkdir("folder");
    world.sync_ok();
    world.rename("Old", "New");
    world.dropbox.remove("/keep");
    world.dropbox.remove("/folder");
    let dropbox = world.dropbox.clone();
    world.on_request(move |request| {
        if request.target.ends_with("/move_v2") {
            dropbox.put("/keep", b"back again");
            dropbox.mkdir("/folder");
        }
    });
    world.sync_ok();
    world.on_request_nothing();
    world.sync_ok();
    assert_eq!(world.read("keep").as_deref(), Some("back again"));
    check_equal(&world);
}

/// Dropbox has moved it, and nothing tells so before the pass ends.
#[test]
fn a_pass_that_is_cut_off_behind_the_move_forgets_no_edit_and_no_delete() {
    for mode in ["BIDIRECTIONAL", "LOCAL_TO_DROPBOX"] {
        let world = in_step_in(World::in_mode(mode));
        world.rename("Old", "New");
        world.put("New/001", "edited");
        world.remove("New/002");
        let dropbox = world.dropbox.clone();
        world.on_request(move |request| {
            if request.target.ends_with("/move_v2") {
                let done = Fault::new("files/move_v2", When::First(1), Effect::CutAfter);
                dropbox.inject(done);
                dropbox.inject(Fault::new("", When::Always, Effect::CutBefore));
            }
        });
        world.sync();
        world.on_request_nothing();
        world.dropbox.clear_faults();
        let outcome = world.sync_ok();
        assert_eq!(outcome.counts.uploaded, 1, "{mode}: {outcome:?}");
        assert_eq!(outcome.counts.deleted_in_dropbox, 1, "{mode}: {outcome:?}");
        assert_eq!(world.read("New/001").as_deref(), Some("edited"), "{mode}");
        check_equal(&world);
    }
}

#[test]
fn a_directory_renamed_alike_on_both_sides_keeps_what_was_agreed_on() {
    let world = in_step();
    world.rename("Old", "New");
    world.dropbox.rename("/Old", "/New");
    world.put("New/001", "edited here");
    world.remove("New/002");
    world.dropbox.put("/New/003", b"edited there");
    let outcome = world.sync_ok();
    let expected = Counts {
        uploaded: 1,
        downloaded: 1,
        deleted_in_dropbox: 1,
        ..Counts::default()
    };
    assert_eq!(outcome.counts, expected, "{outcome:?}");
    check_equal(&world);
}
