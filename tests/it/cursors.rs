//! Where the cursor is kept: on the card after many entries, and in memory behind few.

use std::fs;

use dropbox_standin::{Effect, Fault, When};
use ferrybox::error::ExitCode;

use crate::world::World;

/// In step, with a cursor on the card.
fn in_step() -> World {
    let world = World::in_memory("BIDIRECTIONAL");
    for number in 0..4 {
        world.put(&format!("d/{number}"), &format!("content {number}"));
    }
    world.sync_ok();
    world.sync_ok();
    world
}

fn stored(world: &World) -> Vec<u8> {
    world.state_file("cursor.json").unwrap()
}

/// How many pages of one entry each a pass is told; one without any where there is nothing to tell.
fn told(world: &World) -> usize {
    world.dropbox.set_page_limit(1);
    let outcome = world.sync_ok();
    world.dropbox.set_page_limit(2000);
    let is_page = |call: &&String| call.starts_with("list_folder");
    outcome.calls.iter().filter(is_page).count()
}

#[test]
fn a_few_entries_move_the_cursor_in_memory_only() {
    let world = in_step();
    let before = stored(&world);
    for number in 0..20 {
        world.dropbox.put(&format!("/new {number}"), b"n");
        assert_eq!(world.sync_ok().counts.downloaded, 1);
        world.put(&format!("mine {number}"), "m");
        assert_eq!(world.sync_ok().counts.uploaded, 1);
    }
    world.sync_ok();
    assert_eq!(stored(&world), before);
    assert_eq!(told(&world), 1);
    world.check_settled();
}

#[test]
fn a_restart_has_them_told_again_and_changes_nothing() {
    let world = in_step();
    world.dropbox.put("/new", b"n");
    world.dropbox.remove("/d/1");
    world.put("d/2", "edited");
    world.sync_ok();
    world.sync_ok();
    assert_eq!(told(&world), 1);
    let before = world.local_tree();
    world.lose_power(1);
    assert!(told(&world) >= 3);
    assert_eq!(world.local_tree(), before);
    assert_eq!(world.remote_tree(), before);
    assert_eq!(told(&world), 1);
    world.check_settled();
}

#[test]
fn after_a_thousand_entries_the_card_has_the_cursor() {
    let world = in_step();
    let before = stored(&world);
    for number in 0..1000 {
        world.dropbox.put(&format!("/many/{number}"), b"m");
    }
    // With their folder one more than is told again.
    world.sync_ok();
    assert_ne!(stored(&world), before);
    world.lose_power(1);
    assert_eq!(told(&world), 1);
}

#[test]
fn a_cursor_that_is_taken_away_or_put_back_rules_what_is_in_memory() {
    for is_removed in [true, false] {
        let world = in_step();
        let before = stored(&world);
        // More than stays in memory, then a few.
        for number in 0..1000 {
            world.dropbox.put(&format!("/many/{number}"), b"m");
        }
        world.sync_ok();
        world.dropbox.put("/few", b"f");
        world.sync_ok();
        match is_removed {
            true => world.remove_state_file("cursor.json"),
            false => world.put_state_file("cursor.json", &before),
        }
        assert!(told(&world) > 1000, "{is_removed}");
        assert_eq!(world.local_tree(), world.remote_tree());
        world.check_settled();
    }
}

#[test]
fn an_older_index_is_told_again_what_it_missed_whatever_it_counts_up_to() {
    let world = in_step();
    let file = world.index_file();
    let old = fs::read(&file).unwrap();
    world.dropbox.put("/new", b"n");
    world.sync_ok();
    fs::write(&file, old).unwrap();
    // A file that this index has never heard of.
    world.remove("new");
    // A pass that gets nowhere writes this to the index, and counts it up.
    world.dropbox.inject(Fault::new(
        "list_folder/continue",
        When::Always,
        Effect::Status(500, "{}".into()),
    ));
    assert_eq!(world.sync().exit, ExitCode::TryLater);
    world.dropbox.clear_faults();
    world.sync_ok();
    world.sync_ok();
    assert_eq!(world.read("new").as_deref(), Some("n"));
    assert_eq!(world.local_tree(), world.remote_tree());
    world.check_settled();
}

#[test]
fn a_page_that_is_lost_with_the_pass_is_told_again() {
    // Killed at any call: the page may be in the index or not, and no cursor is ahead of it.
    let world = World::crashing("BIDIRECTIONAL");
    for number in 0..4 {
        world.put(&format!("d/{number}"), &format!("content {number}"));
    }
    world.sync_ok();
    for round in 0..3 {
        world
            .dropbox
            .put("/d/1", format!("edit {round}").as_bytes());
        world.dropbox.remove(&format!("/d/{}", [0, 2, 3][round]));
        world.put("mine", &format!("mine {round}"));
        world.sync_ok();
        world.sync_ok();
        let edit = format!("edit {round}");
        assert_eq!(world.read("d/1"), Some(edit));
        assert_eq!(world.local_tree(), world.remote_tree());
    }
}

#[test]
fn a_page_that_is_undone_with_a_failing_pass_is_told_again() {
    let mut number = 0;
    loop {
        let world = in_step();
        world.dropbox.put("/d/1", b"edited there");
        world.dropbox.remove("/d/2");
        if world.sync_failing_at(number).is_none() {
            break;
        }
        world.lose_power(u64::from(number));
        world.sync_ok();
        world.sync_ok();
        assert_eq!(world.read("d/1").as_deref(), Some("edited there"));
        assert_eq!(world.read("d/2"), None, "{number}");
        assert_eq!(world.local_tree(), world.remote_tree());
        number += 1;
    }
    assert!(number > 10, "{number}");
}

/// Passes that fail count an index out of a backup up, until it seems to have caught up.
#[test]
fn an_older_index_voids_what_is_in_memory_before_it_seems_to_have_caught_up() {
    let world = in_step();
    world.dropbox.put("/first", b"f");
    world.sync_ok();
    let backup = fs::read(world.index_file()).unwrap();
    world.dropbox.put("/new", b"n");
    world.upload_only();
    fs::write(world.index_file(), &backup).unwrap();
    let failing = Effect::Status(500, "{}".to_owned());
    let fault = Fault::new("list_folder/continue", When::Always, failing);
    world.dropbox.inject(fault);
    for _ in 0..2 {
        assert_eq!(world.sync().exit, ExitCode::TryLater);
    }
    world.dropbox.clear_faults();
    world.sync_ok();
    assert_eq!(world.read("new").as_deref(), Some("n"));
    world.check_settled();
}

/// A service and its owner, each with a runtime directory of their own, and an index out of a
/// backup that only the owner's passes could have known to be one.
#[test]
fn a_cursor_in_one_runtime_directory_is_void_once_another_was_used() {
    let world = in_step();
    world.dropbox.put("/first", b"f");
    world.sync_ok();
    let backup = fs::read(world.index_file()).unwrap();
    world.dropbox.put("/new", b"n");
    world.upload_only();
    fs::write(world.index_file(), &backup).unwrap();
    world.elsewhere(|| {
        let failing = Effect::Status(500, "{}".to_owned());
        let fault = Fault::new("list_folder/continue", When::Always, failing);
        world.dropbox.inject(fault);
        for _ in 0..2 {
            assert_eq!(world.sync().exit, ExitCode::TryLater);
        }
        world.dropbox.clear_faults();
    });
    world.sync_ok();
    assert_eq!(world.read("new").as_deref(), Some("n"));
    world.check_settled();
}
