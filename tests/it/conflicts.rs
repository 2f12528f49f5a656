//! Both sides changed the same file: Dropbox takes the name, nothing is lost, copies do not breed.

use std::collections::BTreeMap;

use ferrybox::core::path::fold;

use crate::world::{World, world};

fn conflict(world: &World, local: &str, remote: &str) {
    world.put("f.txt", local);
    world.set_mtime("f.txt", 1_767_225_600);
    world.dropbox.put("/f.txt", remote.as_bytes());
}

const COPY: &str = "f (conflicted copy pi 2026-01-01).txt";

#[test]
fn dropbox_takes_the_name_and_the_local_version_is_kept_beside_it() {
    let world = world();
    conflict(&world, "local", "remote version");
    let outcome = world.sync_ok();
    assert_eq!(outcome.counts.conflicts, 1);
    assert!(outcome.conflicts[0].contains(COPY), "{outcome:?}");
    world.check_both(&[(COPY, "local"), ("f.txt", "remote version")]);
    world.check_settled();
}

#[test]
fn a_conflict_of_two_edits_is_found_by_revision_and_hash() {
    let world = world();
    world.put("f.txt", "base");
    world.sync_ok();
    conflict(&world, "edit one", "edit two");
    world.sync_ok();
    world.check_both(&[(COPY, "edit one"), ("f.txt", "edit two")]);
}

#[test]
fn in_dropbox_to_local_the_copy_stays_local() {
    let world = World::in_mode("DROPBOX_TO_LOCAL");
    world.put("f.txt", "base");
    world.sync_ok();
    conflict(&world, "edit one", "edit two");
    world.sync_ok();
    world.check_local(&[(COPY, "edit one"), ("f.txt", "edit two")]);
    world.check_remote(&[("f.txt", "edit two")]);
}

#[test]
fn dropbox_wins_keeps_no_copy_where_that_is_configured() {
    let world = world();
    *world.sync_keys.borrow_mut() = "conflict = \"dropbox-wins\"".to_owned();
    conflict(&world, "local", "remote version");
    world.sync_ok();
    world.check_both(&[("f.txt", "remote version")]);
}

#[test]
fn a_copy_that_conflicts_again_gets_no_second_suffix() {
    let world = world();
    conflict(&world, "local", "remote version");
    world.sync_ok();
    world.put(COPY, "edited copy");
    world.set_mtime(COPY, 1_767_225_600);
    world
        .dropbox
        .put(&format!("/{COPY}"), b"copy edited elsewhere");
    world.sync_ok();
    let tree = world.local_tree();
    assert_eq!(tree.len(), 3, "{tree:?}");
    assert!(
        tree.keys()
            .all(|name| name.matches("conflicted").count() <= 1),
        "{tree:?}"
    );
    assert_eq!(tree[COPY], "copy edited elsewhere");
    assert!(tree.values().any(|content| content == "edited copy"));
    world.check_settled();
}

#[test]
fn a_taken_name_gets_the_hash_and_an_equal_copy_is_adopted() {
    let world = world();
    conflict(&world, "one", "remote one");
    world.sync_ok();
    conflict(&world, "two", "remote two!");
    world.sync_ok();
    let tree = world.local_tree();
    assert_eq!(tree.len(), 3, "{tree:?}");
    assert_eq!(tree[COPY], "one");
    assert!(
        tree.iter()
            .any(|(name, content)| name != COPY && content == "two"),
        "{tree:?}"
    );
    // The very same loser again: nothing new is made.
    conflict(&world, "one", "remote three!!");
    world.sync_ok();
    assert_eq!(world.local_tree().len(), 3);
    world.check_settled();
}

#[test]
fn a_pass_killed_between_the_two_renames_of_a_conflict_loses_nothing() {
    let world = world();
    world.put("f.txt", "base");
    world.sync_ok();
    conflict(&world, "edit one", "edit two");
    // What such a kill leaves: the local version aside, the name free, a temporary file.
    world.rename("f.txt", COPY);
    world.put(".ferrybox-0123456789abcdef.tmp", "edit two");
    world.sync_ok();
    world.check_both(&[(COPY, "edit one"), ("f.txt", "edit two")]);
    assert!(world.read(".ferrybox-0123456789abcdef.tmp").is_none());
    world.check_settled();
}

#[test]
fn equal_edits_on_both_sides_are_no_conflict() {
    let world = world();
    world.put("f", "base");
    world.sync_ok();
    world.put("f", "same");
    world.dropbox.put("/f", b"same");
    let outcome = world.sync_ok();
    assert_eq!(
        (outcome.counts.conflicts, outcome.counts.downloaded),
        (0, 0)
    );
    world.check_both(&[("f", "same")]);
}

#[test]
fn a_file_without_a_stated_hash_is_never_called_equal_by_size() {
    let world = world();
    world.put("f.txt", "aaaa");
    world.set_mtime("f.txt", 1_767_225_600);
    world.dropbox.put("/f.txt", b"bbbb");
    world.dropbox.set_without_content_hash("/f.txt");
    world.sync_ok();
    world.check_local(&[(COPY, "aaaa"), ("f.txt", "bbbb")]);
}

/// Every name differs from the others by more than case, and every content is on both sides.
#[track_caller]
fn check_no_clash(world: &World, contents: &[&str]) {
    let tree = world.local_tree();
    let by_key = |tree: &BTreeMap<String, String>| -> BTreeMap<String, String> {
        let entry = |(name, held): (&String, &String)| (fold(name), held.clone());
        tree.iter().map(entry).collect()
    };
    assert_eq!(by_key(&tree), by_key(&world.remote_tree()));
    assert_eq!(by_key(&tree).len(), tree.len(), "{tree:?}");
    for content in contents {
        assert!(
            tree.values().any(|held| held == content),
            "{content}: {tree:?}"
        );
    }
}

/// A15: two gateways of one name, whose file of one key is spelt in two ways.
#[test]
fn a15_copies_of_two_gateways_of_one_name_never_clash() {
    let one = world();
    one.put("Notes.txt", "base");
    one.sync_ok();
    let two = one.beside();
    two.sync_ok();
    two.rename("Notes.txt", "notes.txt");
    two.sync_ok();
    for (world, name, content) in [
        (&one, "Notes.txt", "of one"),
        (&two, "notes.txt", "of two!"),
    ] {
        world.put(name, content);
        world.set_mtime(name, 1_767_225_600);
    }
    one.dropbox.put("/Notes.txt", b"from elsewhere");
    for world in [&one, &two, &one, &two] {
        world.sync_ok();
    }
    for world in [&one, &two] {
        check_no_clash(world, &["of one", "of two!", "from elsewhere"]);
    }
}

#[test]
fn a15_a_copy_takes_no_name_that_differs_by_case_from_one_here() {
    for takes_folder in [false, true] {
        let world = world();
        let taken = "F (conflicted copy PI 2026-01-01).txt";
        world.put(taken, "another");
        world.sync_ok();
        if takes_folder {
            world.put("f.txt", "local");
            world.set_mtime("f.txt", 1_767_225_600);
            world.dropbox.mkdir("/f.txt");
        } else {
            conflict(&world, "local", "remote version");
        }
        world.sync_ok();
        check_no_clash(&world, &["another", "local"]);
        assert_eq!(world.read(taken).as_deref(), Some("another"));
        world.check_settled();
    }
}

#[test]
fn a15_a_copy_takes_no_name_that_dropbox_has() {
    for filter in ["", "download_filter = ['/f[.]txt']"] {
        let world = world();
        *world.sync_keys.borrow_mut() = filter.to_owned();
        conflict(&world, "local", "remote version");
        world
            .dropbox
            .put("/F (conflicted copy PI 2026-01-01).TXT", b"another");
        world.sync_ok();
        world.sync_ok();
        let there = world.remote_tree();
        assert_eq!(there.len(), 3, "{filter}: {there:?}");
        let is_there = |content: &str| there.values().any(|held| held == content);
        assert!(
            is_there("local") && is_there("another"),
            "{filter}: {there:?}"
        );
        assert_eq!(world.read("f.txt").as_deref(), Some("remote version"));
        world.check_settled();
    }
}
