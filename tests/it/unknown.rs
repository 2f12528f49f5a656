//! Unknown is not absent, and not done either: what could not be looked at is neither deleted nor
//! forgotten. Some of it on a machine in memory, where permissions count for everybody.

use dropbox_standin::{Effect, Fault, When};
use ferrybox::error::ExitCode;

use crate::world::World;

#[test]
fn a_directory_that_cannot_be_read_or_searched_loses_nothing() {
    for mode in [0o000, 0o300, 0o400] {
        let world = World::in_memory("BIDIRECTIONAL");
        for name in ["a", "d/b", "d/c"] {
            world.put(name, name);
        }
        world.sync_ok();
        let before = world.remote_tree();
        world.hands().set_mode("d", mode);
        let outcome = world.sync();
        assert_eq!(outcome.exit, ExitCode::SomeFiles, "{mode:o}: {outcome:?}");
        assert_eq!(world.remote_tree(), before, "{mode:o}");
        world.hands().set_mode("d", 0o755);
        world.sync_ok();
        assert_eq!(world.remote_tree(), before, "{mode:o}");
        assert_eq!(world.local_tree(), before, "{mode:o}");
    }
}

/// A first pass in the mode that uploads what Dropbox lacks once only.
fn first() -> World {
    let world = World::in_memory("DROPBOX_TO_LOCAL");
    world.put("a", "a");
    world.put("d/b", "b");
    world
}

#[track_caller]
fn check_all_went_up(world: &World) {
    world.sync_ok();
    assert_eq!(world.remote_tree(), world.local_tree());
}

#[test]
fn the_one_upload_stays_due_for_a_file_that_did_not_go_up() {
    let world = first();
    let broken = Effect::Status(500, String::new());
    world.refuse_batches();
    world
        .dropbox
        .inject(Fault::new("files/upload", When::First(5), broken));
    assert_eq!(world.sync().exit, ExitCode::SomeFiles);
    check_all_went_up(&world);
}

#[test]
fn the_one_upload_stays_due_after_a_pass_that_only_downloads() {
    let world = first();
    assert_eq!(world.download_only().exit, ExitCode::Ok);
    check_all_went_up(&world);
}

#[test]
fn the_one_upload_stays_due_for_what_could_not_be_read() {
    let world = first();
    world.hands().set_mode("d", 0);
    assert_eq!(world.sync().exit, ExitCode::SomeFiles);
    world.hands().set_mode("d", 0o755);
    check_all_went_up(&world);
}

#[test]
fn the_one_upload_stays_due_for_names_that_clash() {
    let world = first();
    world.put("A", "A");
    assert_eq!(world.sync().exit, ExitCode::SomeFiles);
    world.rename("A", "c");
    check_all_went_up(&world);
}

/// In memory everything is root's, and the content dir is at the top of its filesystem.
#[test]
fn the_filesystems_lost_and_found_is_left_alone_and_hides_nothing() {
    let world = first();
    world.mkdir("lost+found");
    world.hands().set_mode("lost+found", 0);
    world.put("d/lost+found/e", "e");
    world.sync_ok();
    world.check_remote(&[
        ("a", "a"),
        ("d/", ""),
        ("d/b", "b"),
        ("d/lost+found/", ""),
        ("d/lost+found/e", "e"),
    ]);
    // That the one upload is done shows in what comes later.
    world.put("later", "later");
    world.sync();
    assert!(!world.remote_tree().contains_key("later"));
}

#[test]
fn a_lost_and_found_that_is_in_step_is_a_folder_like_any_other() {
    let world = World::in_memory("BIDIRECTIONAL");
    world.mkdir("lost+found");
    for name in ["a", "lost+found/b", "lost+found/c"] {
        world.dropbox.put(&format!("/{name}"), name.as_bytes());
    }
    world.sync_ok();
    let before = world.remote_tree();
    assert_eq!(world.local_tree(), before);
    world.hands().set_mode("lost+found", 0);
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::SomeFiles, "{outcome:?}");
    assert_eq!(world.remote_tree(), before);
    world.hands().set_mode("lost+found", 0o700);
    world.remove("lost+found/b");
    world.sync_ok();
    assert_eq!(world.local_tree(), world.remote_tree());
    assert_eq!(world.local_tree().len(), 3);
}

#[test]
fn what_a_power_cut_takes_back_was_not_settled() {
    let world = World::crashing("BIDIRECTIONAL");
    for name in ["a", "b", "c"] {
        world.dropbox.put(&format!("/{name}"), name.as_bytes());
    }
    world.sync_ok();
    world.dropbox.remove("/b");
    world.dropbox.put("/c", b"edited");
    world.sync_ok();
    world.check_both(&[("a", "a"), ("c", "edited")]);
}

/// Whichever look or act fails once, nothing counts as written that a power cut can take.
#[test]
fn what_failed_once_leaves_nothing_half_written_behind() {
    for number in 0.. {
        let mut there_are_more = false;
        for seed in 0..6 {
            let world = World::in_memory("BIDIRECTIONAL");
            world.dropbox.put("/a", b"a file of some length");
            world.dropbox.put("/d/b", b"another");
            world.put("gone", "here alone");
            world.sync_ok();
            let all = world.remote_tree();
            world.dropbox.put("/a", b"edited in Dropbox");
            world.dropbox.put("/d/e/new", b"new in Dropbox");
            world.dropbox.rename("/d/b", "/d/e/b");
            world.dropbox.remove("/gone");
            let mut wanted = world.remote_tree();
            there_are_more |= world.sync_failing_at(number).is_some();
            world.lose_power(seed);
            world.sync();
            world.sync();
            world.sync_ok();
            // What a failed look hid from a delete comes back.
            let after = world.remote_tree();
            if after.contains_key("gone") {
                wanted.insert("gone".to_owned(), all["gone"].clone());
            }
            if after.contains_key("d/b") {
                wanted.insert("d/b".to_owned(), all["d/b"].clone());
            }
            assert_eq!(after, wanted, "call {number}, seed {seed}");
            assert_eq!(world.local_tree(), wanted, "call {number}, seed {seed}");
        }
        if !there_are_more {
            assert!(number > 40, "only {number} calls");
            return;
        }
    }
}

#[test]
fn a_local_delete_is_on_the_medium_before_it_is_settled() {
    for seed in 0..20 {
        let world = World::in_memory("BIDIRECTIONAL");
        for name in ["a", "b", "c"] {
            world.put(name, name);
        }
        world.sync_ok();
        world.dropbox.remove("/b");
        world.sync_ok();
        world.lose_power(seed);
        world.sync_ok();
        world.check_both(&[("a", "a"), ("c", "c")]);
    }
}

#[test]
fn a_base_that_is_forgotten_does_not_hide_an_emptied_dropbox() {
    for (mode, edited) in [("DROPBOX_TO_LOCAL", true), ("BIDIRECTIONAL", false)] {
        let world = World::in_memory(mode);
        for name in ["a", "b", "c"] {
            world.dropbox.put(&format!("/{name}"), name.as_bytes());
        }
        world.sync_ok();
        for name in ["a", "b", "c"] {
            world.dropbox.remove(&format!("/{name}"));
        }
        if edited {
            world.put("a", "edited");
        } else {
            world.remove("a");
        }
        let outcome = world.sync();
        assert_eq!(outcome.exit, ExitCode::Halted, "{mode}: {outcome:?}");
        assert!(outcome.error.contains("3 were in step"), "{outcome:?}");
        assert!(world.read("b").is_some() && world.read("c").is_some());
    }
}
