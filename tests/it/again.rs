//! What a pass leaves for after the walk and has no memory for is found once more: the same, in the
//! same order, and nothing else.

use ferrybox::error::ExitCode;

use crate::world::{World, world};

/// A world in step that keeps two things of a kind in memory, and deals with eight at a time.
fn forgetful(files: usize) -> World {
    let world = world();
    world.kept_max.set(2);
    for nth in 0..files {
        world.put(&format!("d{}/{nth:02}", nth % 3), &format!("content {nth}"));
    }
    world.put("stays", "s");
    world.sync_ok();
    world
}

#[test]
fn a_halt_over_more_than_memory_holds_is_answered_by_the_same_id() {
    let world = forgetful(20);
    for nth in 0..20 {
        world.remove(&format!("d{}/{nth:02}", nth % 3));
    }
    let halted = world.sync();
    assert_eq!(halted.exit, ExitCode::Halted, "{halted:?}");
    world.kept_max.set(1000);
    assert_eq!(world.sync().error, halted.error);
    world.kept_max.set(1);
    let planned = world.dry_approve(&halted.error);
    assert_eq!(planned.exit, ExitCode::Ok, "{planned:?}");
    assert_eq!(planned.counts.deleted_in_dropbox, 20, "{planned:?}");
    let approved = world.approve(&halted.error);
    assert_eq!(approved.exit, ExitCode::Ok, "{approved:?}");
    assert_eq!(approved.counts.deleted_in_dropbox, 20, "{approved:?}");
    world.check_settled();
}

#[test]
fn a_pass_that_is_halted_again_writes_nothing() {
    let world = forgetful(20);
    for nth in 0..20 {
        world.remove(&format!("d{}/{nth:02}", nth % 3));
    }
    assert_eq!(world.sync().exit, ExitCode::Halted);
    let before = world.written();
    assert_eq!(world.sync().exit, ExitCode::Halted);
    assert_eq!(world.written(), before);
}

#[test]
fn what_goes_between_counting_and_deleting_is_left_to_the_next_pass() {
    let world = forgetful(30);
    *world.guard_keys.borrow_mut() = "max_delete_count = 1000".to_owned();
    for nth in 0..20 {
        world.remove(&format!("d{}/{nth:02}", nth % 3));
    }
    // In the last directory, while the first eight go.
    let hands = world.hands();
    let mut has_gone = false;
    world.on_request(move |request| {
        if request.target.ends_with("delete_batch") && !has_gone {
            has_gone = true;
            hands.remove("d2/26");
        }
    });
    let outcome = world.sync_ok();
    assert!(world.dropbox.read("/d2/26").is_some(), "{outcome:?}");
    assert_eq!(outcome.counts.deferred, 1, "{outcome:?}");
    world.on_request_nothing();
    world.sync_ok();
    assert!(world.dropbox.read("/d2/26").is_none());
    world.check_settled();
}

#[test]
fn what_comes_back_between_counting_and_deleting_stays() {
    let world = forgetful(30);
    *world.guard_keys.borrow_mut() = "max_delete_count = 1000".to_owned();
    for nth in 0..20 {
        world.remove(&format!("d{}/{nth:02}", nth % 3));
    }
    let hands = world.hands();
    let mut has_come = false;
    world.on_request(move |request| {
        if request.target.ends_with("delete_batch") && !has_come {
            has_come = true;
            hands.put("d2/17", b"content 17");
        }
    });
    world.sync_ok();
    assert_eq!(world.dropbox.read("/d2/17").unwrap(), b"content 17");
    world.on_request_nothing();
    world.sync_ok();
    world.sync_ok();
    world.check_settled();
    assert_eq!(world.read("d2/17").as_deref(), Some("content 17"));
}

#[test]
fn what_is_passed_once_more_is_told_and_counted_once() {
    let world = World::in_mode("LOCAL_TO_DROPBOX");
    world.kept_max.set(2);
    *world.sync_keys.borrow_mut() = "[[sync.pace]]\nmatch = 'log'\nevery = '6h'".to_owned();
    world.put("log", "one line");
    world.put("keep", "k");
    world.sync_ok();
    for nth in 0..10 {
        world.put(&format!("{nth}"), &format!("here {nth}"));
        let path = format!("/{nth}");
        world.dropbox.put(&path, format!("there {nth}").as_bytes());
        world.mkdir(&format!("new/{nth}"));
    }
    world.put("log", "one line, and another");
    let outcome = world.sync();
    assert_eq!(outcome.counts.deferred, 1, "{outcome:?}");
    assert_eq!(outcome.problems.len(), 10, "{outcome:?}");
}

#[test]
fn new_folders_beyond_memory_are_all_made_and_settled() {
    let world = forgetful(3);
    for nth in 0..15 {
        world.mkdir(&format!("new/{nth}/in"));
    }
    for nth in 0..5 {
        world.put(&format!("new/{nth}/file"), &format!("file {nth}"));
    }
    let planned = world.dry_run();
    let made = |plan: &[String]| plan.iter().filter(|line| line.contains("folder")).count();
    assert_eq!(made(&planned.plan), 15, "{planned:?}");
    world.sync_ok();
    world.check_settled();
    let there = world.remote_tree();
    assert!(
        (0..15).all(|nth| there.contains_key(&format!("new/{nth}/in/"))),
        "{there:?}"
    );
}

#[test]
fn renames_beyond_memory_are_renames_both_ways() {
    let world = forgetful(20);
    ["e0", "e1"].iter().for_each(|dir| world.mkdir(dir));
    for nth in 0..20 {
        world.rename(
            &format!("d{}/{nth:02}", nth % 3),
            &format!("e{}/{nth:02}", nth % 2),
        );
    }
    let planned = world.dry_run();
    assert_eq!(planned.counts.moved, 20, "{planned:?}");
    let outcome = world.sync_ok();
    assert_eq!(
        (outcome.counts.moved, outcome.counts.uploaded),
        (20, 0),
        "{outcome:?}"
    );
    world.check_settled();
    for nth in 0..20 {
        let (from, to) = (format!("/e{}/{nth:02}", nth % 2), format!("/f/{nth:02}"));
        world.dropbox.rename(&from, &to);
    }
    let outcome = world.sync_ok();
    assert_eq!(
        (outcome.counts.moved, outcome.counts.downloaded),
        (20, 0),
        "{outcome:?}"
    );
    world.check_settled();
}

#[test]
fn what_a_person_decides_beyond_memory_goes_up_together() {
    let world = World::in_mode("LOCAL_TO_DROPBOX");
    world.kept_max.set(2);
    for nth in 0..10 {
        world.put(&format!("{nth}"), &format!("here {nth}"));
        world
            .dropbox
            .put(&format!("/{nth}"), format!("there {nth}").as_bytes());
    }
    let asked = world.sync();
    assert_eq!(asked.exit, ExitCode::SomeFiles, "{asked:?}");
    assert_eq!(asked.problems.len(), 10, "{asked:?}");
    let text = asked.problems.values().next().unwrap().clone();
    let approved = world.approve(&text);
    assert_eq!(approved.exit, ExitCode::Ok, "{approved:?}");
    assert_eq!(approved.counts.uploaded, 10, "{approved:?}");
}
