//! What was only moved in Dropbox is moved here: no bytes travel.

use crate::sim::seam::Op;
use crate::world::{Outcome, World, world};

fn downloads(outcome: &Outcome) -> usize {
    let is_download = |call: &&String| call.starts_with("download");
    outcome.calls.iter().filter(is_download).count()
}

/// A world in step, with files in a folder and one beside it.
fn in_step(count: usize) -> World {
    let world = world();
    for i in 0..count {
        world.put(&format!("old/{i:03}"), &format!("content {i}"));
    }
    world.put("keep", "k");
    world.sync_ok();
    world
}

#[test]
fn a_file_moved_in_dropbox_is_moved_here() {
    let world = in_step(3);
    world.dropbox.rename("/old/001", "/new/name");
    let outcome = world.sync_ok();
    assert_eq!(downloads(&outcome), 0, "{outcome:?}");
    assert_eq!(outcome.counts.moved, 1);
    assert_eq!(world.read("new/name").unwrap(), "content 1");
    assert!(world.read("old/001").is_none());
    assert_eq!(world.local_tree(), world.remote_tree());
    world.check_settled();
}

#[test]
fn a_directory_moved_in_dropbox_is_moved_here() {
    let world = in_step(60);
    world.dropbox.rename("/old", "/else/where");
    let outcome = world.sync_ok();
    assert_eq!(downloads(&outcome), 0);
    assert_eq!(outcome.counts.moved, 60);
    assert_eq!(world.local_tree(), world.remote_tree());
    world.check_settled();
}

#[test]
fn a_file_edited_here_and_moved_there_keeps_its_edit() {
    let world = in_step(3);
    world.dropbox.rename("/old/001", "/new");
    world.put("old/001", "edited");
    world.sync_ok();
    world.sync_ok();
    assert_eq!(world.read("new").unwrap(), "content 1");
    assert_eq!(world.read("old/001").unwrap(), "edited");
    assert_eq!(world.local_tree(), world.remote_tree());
}

/// Unclear: the folder has its new name, and the edit stays where it was made.
#[test]
fn an_edit_in_a_folder_that_is_renamed_in_dropbox_stays_under_the_old_name() {
    let world = in_step(3);
    world.put("old/000", "edited here");
    world.dropbox.rename("/old", "/new");
    world.sync_ok();
    let tree = world.local_tree();
    assert_eq!(tree["old/000"], "edited here");
    assert_eq!(
        tree.keys().filter(|path| path.starts_with("old/")).count(),
        2
    );
    assert_eq!(
        tree.keys().filter(|path| path.starts_with("new/")).count(),
        4
    );
    assert_eq!(world.remote_tree(), tree);
    world.check_settled();
}

#[test]
fn a_moved_file_is_not_moved_over_another_one() {
    let world = in_step(3);
    world.dropbox.rename("/old/001", "/new");
    world.put("new", "mine");
    let outcome = world.sync_ok();
    assert_eq!(outcome.counts.conflicts, 1);
    world.sync_ok();
    assert_eq!(world.read("new").unwrap(), "content 1");
    assert_eq!(world.local_tree(), world.remote_tree());
    assert!(world.local_tree().values().any(|text| text == "mine"));
}

#[test]
fn an_edit_in_the_moment_of_the_move_is_kept() {
    for op in [Op::Status, Op::RenameNew] {
        let world = World::in_memory("BIDIRECTIONAL");
        world.put("old", "content");
        world.put("keep", "k");
        world.sync_ok();
        world.dropbox.rename("/old", "/new");
        let path = if op == Op::Status { "old" } else { "new" };
        let is_it = move |call: &crate::sim::seam::Call| {
            call.on == "content" && call.op == op && call.path == path
        };
        world.sync_but_when(is_it, |disk| disk.put("old", b"edited just now"));
        world.sync_ok();
        world.sync_ok();
        assert_eq!(world.local_tree(), world.remote_tree());
        let kept = world.local_tree();
        assert!(
            kept.values().any(|text| text == "edited just now"),
            "{kept:?}"
        );
        assert!(kept.values().any(|text| text == "content"), "{kept:?}");
    }
}

/// A file is forgotten under its old name once the new one is on the medium. Files that are gone on
/// both sides fill the batch that is settled before that.
#[test]
fn a_power_cut_amid_moves_brings_no_old_name_back() {
    for seed in 0..5 {
        let world = World::in_memory("BIDIRECTIONAL");
        world.put("keep", "k");
        for i in 0..10 {
            world.put(&format!("old/{i}"), &format!("content {i}"));
        }
        for i in 0..300 {
            world.put(&format!("removed/{i}"), &format!("removed {i}"));
        }
        world.sync_ok();
        world.dropbox.rename("/old", "/new");
        world.remove("removed");
        world.dropbox.remove("/removed");
        let is_sync = |call: &crate::sim::seam::Call| {
            call.on == "content" && matches!(call.op, Op::SyncDir | Op::SyncFilesystem)
        };
        world.cut_off_before(is_sync, seed);
        world.sync_ok();
        world.sync_ok();
        assert_eq!(world.local_tree(), world.remote_tree());
        let tree = world.local_tree();
        assert!(
            !tree.keys().any(|path| path.starts_with("old/")),
            "{tree:?}"
        );
        assert_eq!(tree["new/9"], "content 9");
    }
}

#[test]
fn where_only_downloads_are_filtered_nothing_is_moved_out_of_reach() {
    let world = in_step(3);
    *world.sync_keys.borrow_mut() = "download_filter = [\"/new.*\"]".to_owned();
    world.sync_ok();
    world.dropbox.rename("/old/001", "/new");
    world.sync();
    assert_eq!(world.read("new").unwrap(), "content 1");
    assert!(
        world.read("old/001").is_some(),
        "it may not be changed from afar"
    );
}

#[test]
fn equal_files_of_which_one_moved_each_keep_a_place() {
    let world = world();
    for name in ["a", "b", "keep"] {
        world.put(name, "equal");
    }
    world.sync_ok();
    world.dropbox.rename("/a", "/c");
    world.dropbox.put("/d", b"equal");
    world.sync_ok();
    world.check_both(&[
        ("b", "equal"),
        ("c", "equal"),
        ("d", "equal"),
        ("keep", "equal"),
    ]);
    world.check_settled();
}
