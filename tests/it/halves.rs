//! A delete that is half of a rename waits for the other half, wherever that is and whatever keeps
//! it from arriving (A4): else the only copy on that side goes with the old name.

use std::os::unix::ffi::OsStrExt;

use dropbox_standin::{Effect, Fault, When};
use ferrybox::error::ExitCode;

use crate::world::World;

const UP: [&str; 2] = ["LOCAL_TO_DROPBOX", "BIDIRECTIONAL"];

/// A file `one`, a folder `d` with two files, and enough beside them that no guard asks.
fn filled(world: &World) {
    for i in 0..12 {
        world.put(&format!("keep/{i}"), &format!("keep {i}"));
    }
    world.put("one", "a file alone");
    world.put("d/f", "file in d");
    world.put("d/g", "other file in d");
    world.sync_ok();
    world.clock.advance(10);
    world.sync_ok();
}

fn in_step(mode: &'static str) -> World {
    let world = World::in_mode(mode);
    filled(&world);
    world
}

fn in_memory(mode: &'static str) -> World {
    let world = World::in_memory(mode);
    filled(&world);
    world
}

/// Whatever the passes do, Dropbox has all contents, and what waits is told.
#[track_caller]
fn check_kept_there(world: &World, why: &str) {
    for _ in 0..2 {
        let outcome = world.sync();
        assert_eq!(outcome.exit, ExitCode::SomeFiles, "{why}: {outcome:?}");
        let there = world.remote_tree();
        for content in ["a file alone", "file in d", "other file in d"] {
            let is_there = there.values().any(|held| held == content);
            assert!(is_there, "{why}: {content}: {outcome:?}");
        }
    }
}

#[test]
fn a4_a_folder_whose_new_name_dropbox_never_takes_stays_there_under_its_old_one() {
    for mode in UP {
        for name in ["d ", "d\\e"] {
            let world = in_step(mode);
            world.rename("d", name);
            check_kept_there(&world, name);
            world.rename(name, "fine");
            world.sync_ok();
            assert_eq!(world.local_tree(), world.remote_tree());
        }
    }
}

/// What our rules leave out is no other half: it is not to be in Dropbox.
#[test]
fn a4_what_is_renamed_to_what_never_travels_is_deleted_there() {
    for (from, to) in [("d", "~d.tmp"), ("one", "Thumbs.db"), ("one", ".hidden")] {
        let world = in_step("BIDIRECTIONAL");
        world.rename(from, to);
        world.sync_ok();
        assert!(world.dropbox.read("/d/f").is_none() || from != "d");
        assert!(world.dropbox.read("/one").is_none() || from != "one");
        world.check_settled();
    }
}

#[test]
fn a4_what_is_renamed_into_a_clash_of_names_stays_there() {
    for mode in UP {
        let world = in_step(mode);
        world.put("E/x", "x in E");
        world.rename("d", "e");
        check_kept_there(&world, "the folder itself");
        let world = in_step(mode);
        world.put("E/x", "x in E");
        world.put("e/y", "y in e");
        world.sync();
        world.rename("one", "e/one");
        check_kept_there(&world, "into one of two");
    }
}

#[test]
fn a4_what_is_renamed_to_a_name_that_is_not_utf8_stays_there() {
    for name in ["one", "d"] {
        let world = in_step("LOCAL_TO_DROPBOX");
        let odd = std::ffi::OsStr::from_bytes(b"odd\xff");
        let content = world.content();
        std::fs::rename(content.join(name), content.join(odd)).unwrap();
        check_kept_there(&world, name);
    }
}

#[test]
fn a4_what_is_in_a_new_folder_that_cannot_be_read_stays_there() {
    let world = in_memory("LOCAL_TO_DROPBOX");
    world.rename("d", "locked");
    world.rename("one", "two");
    world.hands().set_mode("locked", 0);
    world.hands().set_mode("two", 0);
    check_kept_there(&world, "unreadable");
    world.hands().set_mode("locked", 0o755);
    world.hands().set_mode("two", 0o644);
    world.sync_ok();
    assert_eq!(world.local_tree(), world.remote_tree());
}

#[test]
fn a4_what_is_moved_into_the_folder_of_a_lost_disk_stays_there() {
    for mode in UP {
        let world = in_memory(mode);
        world.mkdir("stick");
        world.mount("stick");
        world.put("stick/a", "on the stick");
        world.sync_ok();
        world.sync_ok();
        world.disk().tree().unmount_all();
        world.rename("one", "stick/one");
        check_kept_there(&world, mode);
    }
}

#[test]
fn a4_what_is_renamed_onto_a_web_document_stays_there() {
    let world = in_step("BIDIRECTIONAL");
    for name in ["/doc", "/doc2"] {
        world.dropbox.put(name, b"paper");
        world.dropbox.set_not_downloadable(name);
    }
    world.sync();
    world.rename("one", "doc");
    world.rename("d", "doc2");
    check_kept_there(&world, "web documents");
}

#[test]
fn a4_what_is_renamed_onto_a_file_that_nobody_has_decided_about_stays_there() {
    let world = in_step("LOCAL_TO_DROPBOX");
    world.dropbox.put("/two", b"somebody else's");
    world.sync_ok();
    world.rename("one", "two");
    check_kept_there(&world, "undecided");
}

#[test]
fn a4_an_upload_alone_does_not_delete_what_only_the_other_half_brings_up() {
    for there in ["/two", "/two/in"] {
        let world = in_step("BIDIRECTIONAL");
        world.rename("one", "two");
        world.dropbox.put(there, b"somebody else's");
        world.upload_only();
        assert_eq!(world.dropbox.read("/one").unwrap(), b"a file alone");
        world.sync_ok();
        world.sync_ok();
        assert_eq!(world.dropbox.read("/one"), None, "{there}");
        assert_eq!(world.local_tree(), world.remote_tree());
        assert!(
            world
                .remote_tree()
                .values()
                .any(|held| held == "a file alone")
        );
    }
}

/// The old version is in Dropbox alone, and the new one nowhere there.
#[test]
fn a4_what_is_renamed_and_edited_stays_there_until_it_has_arrived() {
    for at_once in [true, false] {
        let world = in_step("LOCAL_TO_DROPBOX");
        world.rename("one", "one ");
        if !at_once {
            check_kept_there(&world, "renamed");
        }
        world.hands().append("one ", b", and more");
        check_kept_there(&world, "edited");
        world.rename("one ", "fine");
        world.sync_ok();
        assert_eq!(
            world.dropbox.read("/fine").unwrap(),
            b"a file alone, and more"
        );
        world.sync_ok();
        assert_eq!(world.dropbox.read("/one"), None);
    }
}

/// The same downwards.
#[test]
fn a4_what_is_renamed_there_to_what_cannot_come_here_stays_here() {
    for mode in ["BIDIRECTIONAL", "DROPBOX_TO_LOCAL"] {
        for clash in [false, true] {
            let world = in_step(mode);
            if clash {
                world.put("New", "1");
                world.put("new", "2");
            } else {
                world.hands().link("/etc/hostname", "new");
            }
            world.sync();
            world.dropbox.rename("/one", "/new");
            for _ in 0..2 {
                let outcome = world.sync();
                assert_eq!(outcome.exit, ExitCode::SomeFiles, "{outcome:?}");
                let here = world.read("one");
                assert_eq!(here.as_deref(), Some("a file alone"), "{mode} {clash}");
            }
        }
    }
}

/// Nothing is in its own way: a file gives its name to the folder it is moved into, and a folder
/// its name to the file that was in it.
#[test]
fn a4_what_frees_the_name_of_its_other_half_does_not_wait_for_it() {
    for mode in UP {
        let world = in_step(mode);
        world.rename("one", "aside");
        world.put("one/deep/x", "x");
        world.rename("aside", "one/deep/in");
        world.rename("d/f", "aside");
        world.remove("d");
        world.rename("aside", "d");
        world.sync_ok();
        world.sync_ok();
        world.check_settled();
        assert_eq!(world.local_tree(), world.remote_tree());
        assert_eq!(world.dropbox.read("/one/deep/in").unwrap(), b"a file alone");
        assert_eq!(world.dropbox.read("/d").unwrap(), b"file in d");
    }
    for mode in ["BIDIRECTIONAL", "DROPBOX_TO_LOCAL"] {
        let world = in_step(mode);
        world.dropbox.rename("/one", "/aside");
        world.dropbox.rename("/aside", "/one/deep/in");
        world.dropbox.rename("/d/f", "/aside");
        world.dropbox.remove("/d");
        world.dropbox.rename("/aside", "/d");
        world.sync_ok();
        world.sync_ok();
        world.check_settled();
        assert_eq!(world.local_tree(), world.remote_tree());
        assert_eq!(world.read("d").as_deref(), Some("file in d"));
    }
}

/// Two that wait for each other: each is moved into a folder that takes the name of the other.
#[test]
fn a4_what_swaps_names_by_way_of_folders_does_not_wait_for_ever() {
    for mode in UP {
        let world = in_step(mode);
        world.put("two", "another file alone");
        world.sync_ok();
        world.clock.advance(10);
        world.sync_ok();
        world.rename("one", "aside1");
        world.rename("two", "aside2");
        world.mkdir("one");
        world.mkdir("two");
        world.rename("aside1", "two/x");
        world.rename("aside2", "one/y");
        world.sync_ok();
        world.sync_ok();
        world.check_settled();
        assert_eq!(world.local_tree(), world.remote_tree());
        assert_eq!(world.dropbox.read("/two/x").unwrap(), b"a file alone");
    }
}

/// Many files of one size: each is read once, however many deletes ask for it.
#[test]
fn a4_what_may_be_the_other_half_is_read_once() {
    let world = World::in_memory("LOCAL_TO_DROPBOX");
    for i in 0..60 {
        world.put(&format!("old/{i:02}"), &format!("old {i:02}"));
    }
    world.put("keep", "k");
    world.sync_ok();
    world.clock.advance(10);
    world.sync_ok();
    let refused = Effect::refused("path/insufficient_space");
    let refused = Fault::new("upload", When::Always, refused);
    world.dropbox.inject(refused);
    world.remove("old");
    for i in 0..60 {
        world.put(&format!("new/{i:02}"), &format!("new {i:02}"));
    }
    world.put("f", "new 60");
    // They are too many to be deleted unasked.
    assert_eq!(world.sync().exit, ExitCode::Halted);
    let reads = world.reads_of_a_pass();
    assert!((1..6).contains(&reads), "{reads}");
}
