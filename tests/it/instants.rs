//! What happens between two calls of the agent: edits at the very moment they would be lost, disks
//! that go away or fill up under way. All of it on a machine in memory.

use std::io::ErrorKind;

use dropbox_standin::{Effect, Fault, When};
use ferrybox::commands::sync::SyncArgs;
use ferrybox::error::ExitCode;

use crate::sim::disk::SimDisk;
use crate::sim::seam::{Call, Op};
use crate::world::{World, approval_in};

const COPY: &str = "f (conflicted copy pi 2026-01-01)";
const MTIME: u64 = 1_767_225_600;
const MIB: u64 = 1 << 20;

fn world() -> World {
    World::in_memory("BIDIRECTIONAL")
}

/// A file that is about to lose its name, and a copy of it from an earlier try.
fn losing(content: &str) -> World {
    let world = world();
    for name in ["f", COPY] {
        world.put(name, content);
        world.set_mtime(name, MTIME);
    }
    world
}

fn edit(disk: &SimDisk) {
    disk.put("f", b"edited just now");
}

#[track_caller]
fn check_kept(world: &World, content: &str) {
    let local = world.local_tree();
    assert!(local.values().any(|held| held == content), "{local:?}");
}

#[test]
fn an_edit_while_a_folder_takes_the_name_is_kept() {
    let world = losing("old");
    world.dropbox.mkdir("/f");
    // The copy is compared, so the file itself would just be removed.
    let outcome = world.sync_but_before(Op::Open, COPY, edit);
    assert_eq!(outcome.counts.deferred, 1, "{outcome:?}");
    check_kept(&world, "edited just now");
    world.sync_ok();
    check_kept(&world, "edited just now");
    assert!(world.local_tree().contains_key("f/"));
}

#[test]
fn an_edit_while_the_name_of_its_copy_is_chosen_is_kept() {
    let world = losing("old");
    world.dropbox.put("/f", b"remote");
    let outcome = world.sync_but_before(Op::Open, COPY, edit);
    assert_eq!(outcome.counts.deferred, 1, "{outcome:?}");
    world.sync_ok();
    check_kept(&world, "edited just now");
    check_kept(&world, "remote");
}

#[test]
fn a_copy_that_appears_at_the_last_moment_is_not_overwritten() {
    let world = world();
    world.put("f", "local");
    world.set_mtime("f", MTIME);
    world.dropbox.put("/f", b"remote");
    world.sync_but_before(Op::RenameNew, COPY, |disk| disk.put(COPY, b"somebody's"));
    world.sync();
    check_kept(&world, "somebody's");
    check_kept(&world, "local");
}

#[test]
fn a_copy_set_aside_overwrites_nothing_that_appears_at_the_last_moment() {
    let world = world();
    world.put("f", "local");
    world.set_mtime("f", MTIME);
    world.dropbox.mkdir("/f");
    world.sync_but_before(Op::RenameNew, COPY, |disk| disk.put(COPY, b"somebody's"));
    world.sync();
    check_kept(&world, "somebody's");
    check_kept(&world, "local");
}

#[test]
fn a_file_that_takes_the_freed_name_is_not_overwritten() {
    let world = world();
    world.put("f", "local");
    world.set_mtime("f", MTIME);
    world.dropbox.put("/f", b"remote");
    world.sync_but_before(Op::RenameNew, "f", edit);
    world.sync();
    for content in ["local", "remote", "edited just now"] {
        check_kept(&world, content);
    }
}

#[test]
fn an_edit_right_before_a_download_is_put_in_place_is_kept() {
    let world = world();
    world.put("f", "base");
    world.sync_ok();
    world.dropbox.put("/f", b"remote");
    let outcome = world.sync_but_before_sync(edit);
    assert_eq!(outcome.counts.deferred, 1, "{outcome:?}");
    world.sync_ok();
    check_kept(&world, "edited just now");
    check_kept(&world, "remote");
}

#[test]
fn a_file_that_appears_right_before_a_download_is_put_in_place_is_kept() {
    let world = world();
    world.dropbox.put("/f", b"remote");
    world.sync_but_before(Op::RenameNew, "f", edit);
    world.sync_ok();
    check_kept(&world, "edited just now");
    check_kept(&world, "remote");
}

/// A10: permissions are those of the last moment, not of the first look.
#[test]
fn a10_permissions_changed_while_a_file_is_fetched_are_those_of_the_new_version() {
    for (before, then) in [(0o644, 0o600), (0o600, 0o644), (0o640, 0o400)] {
        for in_conflict in [false, true] {
            let world = world();
            world.put("f", "base");
            world.disk().set_mode("f", before);
            world.sync_ok();
            if in_conflict {
                world.put("f", "edit");
            }
            world.dropbox.put("/f", b"remote");
            world.sync_but_before_sync(move |disk| {
                disk.set_mode("f", then);
            });
            assert_eq!(world.read("f").as_deref(), Some("remote"));
            assert_eq!(world.mode_bits("f"), then, "{in_conflict}");
            world.sync_ok();
            assert_eq!(world.mode_bits("f"), then, "{in_conflict}");
        }
    }
}

#[test]
fn a10_a_new_version_is_its_owners_alone_until_it_is_in_place() {
    let world = world();
    world.put("f", "base");
    world.disk().set_mode("f", 0o644);
    world.sync_ok();
    world.dropbox.put("/f", b"remote");
    world.sync_but_before_sync(|disk| {
        let all: Vec<_> = disk.tree().list("").unwrap();
        let temp = all.iter().find(|(name, _)| name.ends_with(".tmp"));
        assert_eq!(temp.map(|(_, status)| status.mode), Some(0o600));
    });
    assert_eq!(world.mode_bits("f"), 0o644);
}

#[test]
fn an_edit_right_before_a_local_delete_is_kept() {
    let world = world();
    for name in ["e", "f", "g"] {
        world.put(name, name);
    }
    world.sync_ok();
    world.dropbox.remove("/e");
    world.dropbox.remove("/f");
    // One delete is under way, the other was decided.
    let outcome = world.sync_but_before(Op::RemoveFile, "e", |disk| disk.put("f", b"F"));
    assert_eq!(outcome.counts.deferred, 1, "{outcome:?}");
    world.sync_ok();
    world.check_both(&[("f", "F"), ("g", "g")]);
}

#[test]
fn a_file_removed_while_its_equal_came_down_is_not_removed_in_dropbox() {
    let world = world();
    world.put("f", "base");
    world.put("g", "g");
    world.sync_ok();
    world.put("f", "same");
    world.dropbox.put("/f", b"same");
    world.dropbox.set_without_content_hash("/f");
    world.sync_but_before_sync(|disk| disk.remove("f"));
    world.sync_ok();
    world.check_both(&[("f", "same"), ("g", "g")]);
}

/// A file in step that then got larger in Dropbox.
fn with_an_edit_to_fetch() -> World {
    let world = world();
    world.put("f", "base");
    world.sync_ok();
    world.dropbox.put("/f", &[b'x'; 5000]);
    world
}

/// It is untouched, and comes down once there is room.
#[track_caller]
fn check_fetched_with_room(world: &World) {
    world.check_local(&[("f", "base")]);
    world.disk().tree().capacity = 1 << 34;
    let outcome = world.sync_ok();
    assert_eq!(outcome.calls, ["list_folder/continue", "download"]);
    assert_eq!(world.local_tree(), world.remote_tree());
}

#[test]
fn a_disk_without_room_keeps_the_old_file_and_the_cursor() {
    let world = with_an_edit_to_fetch();
    world.disk().tree().capacity = 64 * MIB + 4000;
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::Full, "{outcome:?}");
    assert_eq!(
        outcome.calls,
        ["list_folder/continue"],
        "it is not asked for"
    );
    check_fetched_with_room(&world);
}

#[test]
fn a_disk_that_fills_up_under_a_download_keeps_the_old_file_and_the_cursor() {
    let world = with_an_edit_to_fetch();
    let writes = |call: &Call| call.on == "content" && call.op == Op::Write;
    let (outcome, _) = world.sync_but_when(writes, |disk| disk.tree().capacity = 1000);
    assert_eq!(outcome.exit, ExitCode::Full, "{outcome:?}");
    check_fetched_with_room(&world);
}

#[test]
fn a_full_dropbox_keeps_the_old_version_and_the_cursor() {
    let world = world();
    world.put("f", "base");
    world.sync_ok();
    let rev = world.dropbox.rev("/f");
    world.put("f", &"x".repeat(5000));
    world.dropbox.set_quota(1000);
    assert_eq!(world.sync().exit, ExitCode::Full);
    assert_eq!(world.dropbox.rev("/f"), rev);
    world.dropbox.set_quota(u64::MAX);
    let outcome = world.sync_ok();
    let asked = ["list_folder/continue", "users/get_space_usage", "upload"];
    assert_eq!(outcome.calls, asked);
    assert_eq!(world.local_tree(), world.remote_tree());
}

#[test]
fn a_delete_whose_answer_is_lost_is_done() {
    let world = world();
    world.put("f", "f");
    world.put("g", "g");
    world.mkdir("empty");
    world.sync_ok();
    for path in ["f", "empty"] {
        world.remove(path);
        let lost = Fault::new("delete_v2", When::Nth(1), Effect::CutAfter);
        world.dropbox.inject(lost);
        let outcome = world.sync_ok();
        assert_eq!(outcome.counts.deferred, 0, "{outcome:?}");
        assert_eq!(world.dropbox.tree().get(&format!("/{path}")), None);
        world.dropbox.clear_faults();
        world.check_settled();
    }
}

#[test]
fn a_finish_whose_answer_is_lost_does_not_claim_what_another_put_there() {
    let world = world();
    let ours = vec![b'o'; 9 << 20];
    world.disk().put("f", &ours);
    let lost = Fault::new("upload_session/finish", When::Nth(1), Effect::CutAfter);
    world.dropbox.inject(lost);
    let dropbox = world.dropbox.clone();
    let mut finishes = 0;
    world.on_request(move |request| {
        finishes += u32::from(request.target.contains("upload_session/finish"));
        if finishes == 2 {
            finishes += 1;
            dropbox.put("/f", b"another's");
        }
    });
    world.sync();
    world.on_request_nothing();
    world.sync_ok();
    check_kept(&world, "another's");
    check_kept(&world, &String::from_utf8(ours).unwrap());
}

/// Files on a mounted disk and beside it, in step.
fn with_stick() -> World {
    let world = world();
    world.mkdir("stick");
    world.mount("stick");
    for name in ["a", "b", "c"] {
        world.put(&format!("stick/{name}"), name);
        world.put(name, name);
    }
    world.sync_ok();
    world.sync_ok();
    world
}

#[test]
fn a_folder_whose_disk_is_not_mounted_is_not_emptied_and_gets_nothing() {
    let world = with_stick();
    world.disk().tree().unmount_all();
    world.dropbox.put("/stick/new", b"new");
    world.dropbox.put("/stick/a", b"edited");
    world.dropbox.put("/new", b"new");
    let before = world.remote_tree();
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::SomeFiles, "{outcome:?}");
    assert!(outcome.problems.contains_key("/stick"), "{outcome:?}");
    assert_eq!(world.remote_tree(), before);
    assert_eq!(world.disk().tree().list("stick").unwrap().len(), 0);
    world.disk().tree().mount_again();
    world.sync_ok();
    assert_eq!(world.local_tree(), before);
    assert_eq!(world.remote_tree(), before);
}

/// A12: the stick died, and its files were copied into the plain folder.
#[test]
fn a12_a_lost_disk_can_be_given_up_and_nothing_is_deleted() {
    for dry in [false, true] {
        let world = with_stick();
        world.put("stick/deep/d", "d");
        world.sync_ok();
        world.disk().tree().unmount_all();
        world.put("stick/a", "a");
        world.put("stick/b", "edited");
        world.put("stick/new", "new");
        world.dropbox.put("/stick/there", b"there");
        let told = world.sync();
        assert_eq!(told.exit, ExitCode::SomeFiles, "{told:?}");
        let problem = told.problems["/stick"].clone();
        let wrong = problem.replace("--approve ", "--approve 0123");
        let unmet = world.approve(&wrong[..wrong.len() - 4]);
        assert_eq!(unmet.exit, ExitCode::Usage);
        assert!(unmet.problems.contains_key("/stick"), "{unmet:?}");
        if dry {
            let planned = world.dry_approve(&problem);
            assert_eq!(planned.exit, ExitCode::Ok, "{planned:?}");
            assert!(planned.plan.iter().all(|line| !line.contains("delete")));
            assert!(planned.plan.iter().any(|line| line.contains("/stick/new")));
            assert_eq!(world.sync().exit, ExitCode::SomeFiles, "nothing was kept");
        }
        let outcome = world.approve(&problem);
        assert_eq!(outcome.exit, ExitCode::Ok, "{outcome:?}");
        assert_eq!(outcome.counts.deleted_in_dropbox, 0, "{outcome:?}");
        assert_eq!(outcome.counts.deleted_locally, 0, "{outcome:?}");
        world.sync_ok();
        let local = world.local_tree();
        assert_eq!(local, world.remote_tree());
        for (path, content) in [
            ("stick/a", "a"),
            ("stick/c", "c"),
            ("stick/deep/d", "d"),
            ("stick/new", "new"),
            ("stick/there", "there"),
        ] {
            assert_eq!(local.get(path).map(String::as_str), Some(content), "{path}");
        }
        assert!(local.values().any(|content| content == "edited"));
        assert!(local.values().any(|content| content == "b"));
        // From here on it is a folder like any other.
        world.remove("stick/c");
        world.sync_ok();
        assert_eq!(world.remote_tree().get("stick/c"), None);
        world.check_settled();
    }
}

/// B3: a disk that is gone deletes nothing, so nothing is kept by it, and that is said.
#[test]
fn b3_keep_is_refused_where_nothing_would_be_deleted() {
    let world = with_stick();
    world.disk().tree().unmount_all();
    let told = world.sync();
    let before = world.remote_tree();
    let kept = world.keep_id(&told.problems["/stick"]);
    assert_eq!(kept.exit, ExitCode::Usage, "{kept:?}");
    assert!(kept.error.contains("by "), "{kept:?}");
    assert!(
        kept.error
            .contains("none would be: approve it, or leave it"),
        "{kept:?}"
    );
    assert!(kept.problems.contains_key("/stick"), "{kept:?}");
    assert_eq!(world.remote_tree(), before);
    assert_eq!(world.disk().tree().list("stick").unwrap().len(), 0);
    // With both words for one halt it is the one that destroys nothing.
    let world = with_stick();
    for name in ["stick/a", "stick/b", "stick/c", "a"] {
        world.remove(name);
    }
    let halted = world.sync();
    assert_eq!(halted.exit, ExitCode::Halted, "{halted:?}");
    let id = approval_in(&halted.error).unwrap();
    let both = world.sync_with(&SyncArgs {
        approved: vec![id.clone()],
        kept: vec![id],
        ..SyncArgs::default()
    });
    assert_eq!(both.exit, ExitCode::Ok, "{both:?}");
    assert_eq!(both.counts.deleted_in_dropbox, 0, "{both:?}");
}

#[test]
fn a12_an_approval_is_for_one_disk_that_is_gone() {
    let world = with_stick();
    world.mkdir("other");
    world.mount("other");
    world.put("other/x", "x");
    world.sync_ok();
    world.sync_ok();
    world.disk().tree().unmount_all();
    let told = world.sync();
    assert_eq!(told.problems.len(), 2, "{told:?}");
    let (stick, other) = (&told.problems["/stick"], &told.problems["/other"]);
    assert_ne!(stick, other);
    let outcome = world.approve(stick);
    assert!(outcome.problems.contains_key("/other"), "{outcome:?}");
    assert!(!outcome.problems.contains_key("/stick"), "{outcome:?}");
    assert_eq!(world.read("stick/a").as_deref(), Some("a"), "it comes down");
    // It is mounted again: nothing is to be given up.
    world.disk().tree().mount_again();
    assert_eq!(world.approve(other).exit, ExitCode::Usage);
    assert_eq!(world.dropbox.tree().len(), 9);
    world.disk().tree().unmount_all();
    assert!(world.sync().problems.contains_key("/other"));
}

/// Only what is in two folders travels, not the folders themselves.
fn with_stick_in_filters() -> World {
    let world = world();
    *world.sync_keys.borrow_mut() = "upload_filter = ['/stick/.*', '/conf/.*']\n\
         download_filter = ['/stick/.*', '/conf/.*']"
        .to_owned();
    world.mkdir("stick");
    world.mount("stick");
    for name in ["a", "b", "c"] {
        world.put(&format!("stick/{name}"), name);
        world.put(&format!("conf/{name}"), name);
    }
    world
}

#[test]
fn a_disk_on_a_folder_that_does_not_travel_itself_may_come_off_after_any_pass() {
    for passes in 1..4 {
        let world = with_stick_in_filters();
        for _ in 0..passes {
            world.sync_ok();
        }
        let before = world.remote_tree();
        world.disk().tree().unmount_all();
        if passes == 3 {
            world.dropbox.put("/stick/new", b"new");
        }
        for _ in 0..2 {
            let outcome = world.sync();
            assert_eq!(outcome.exit, ExitCode::SomeFiles, "{passes}: {outcome:?}");
            assert!(outcome.problems.contains_key("/stick"), "{outcome:?}");
            assert_eq!(world.disk().tree().list("stick").unwrap().len(), 0);
        }
        world.disk().tree().mount_again();
        world.sync_ok();
        assert_eq!(world.local_tree(), world.remote_tree());
        for (path, content) in &before {
            assert_eq!(world.remote_tree().get(path), Some(content), "{path}");
        }
    }
}

#[test]
fn a_disk_is_known_by_its_folder_whatever_the_filters_were_and_become() {
    let narrow = with_stick_in_filters();
    let narrowed = narrow.sync_keys.borrow().clone();
    for (first, then) in [("", &*narrowed), (&*narrowed, "")] {
        let world = with_stick_in_filters();
        *world.sync_keys.borrow_mut() = first.to_owned();
        world.sync_ok();
        world.sync_ok();
        let before = world.remote_tree();
        world.disk().tree().unmount_all();
        *world.sync_keys.borrow_mut() = then.to_owned();
        let outcome = world.sync();
        assert!(outcome.problems.contains_key("/stick"), "{outcome:?}");
        assert_eq!(world.remote_tree(), before);
        world.disk().tree().mount_again();
        world.sync_ok();
        assert_eq!(world.remote_tree(), before);
    }
}

#[test]
fn a_disk_none_of_whose_files_travels_comes_and_goes_unnoticed() {
    let world = with_stick_in_filters();
    *world.sync_keys.borrow_mut() =
        "upload_filter = ['/conf/.*']\ndownload_filter = ['/conf/.*']".to_owned();
    world.sync_ok();
    world.sync_ok();
    let written = world.written();
    world.sync_ok();
    assert_eq!(world.written(), written);
    world.disk().tree().unmount_all();
    world.sync_ok();
    world.disk().tree().mount_again();
    world.sync_ok();
    assert!(
        world
            .remote_tree()
            .keys()
            .all(|path| path.starts_with("conf/"))
    );
}

#[test]
fn a_folder_made_anew_where_a_disk_was_mounted_is_an_ordinary_one() {
    let world = with_stick_in_filters();
    world.sync_ok();
    world.sync_ok();
    world.disk().tree().unmount_all();
    world.remove("stick");
    world.sync_ok();
    world.put("stick/d", "d");
    world.sync_ok();
    world.sync_ok();
    assert_eq!(
        world.local_tree().get("stick/d").map(String::as_str),
        Some("d")
    );
    assert_eq!(
        world.remote_tree().get("stick/d").map(String::as_str),
        Some("d")
    );
}

#[test]
fn a_disk_taken_away_at_any_call_loses_nothing() {
    for nth in 1.. {
        let world = with_stick();
        world.dropbox.put("/stick/new", b"new");
        world.dropbox.put("/stick/a", b"edited");
        world.put("stick/b", "edited here");
        let (_, happened) = world.sync_but_when(
            move |call| call.number == nth,
            |disk| disk.tree().unmount_all(),
        );
        if !happened {
            break;
        }
        let bare = world.disk().tree().list("stick").unwrap();
        assert!(bare.is_empty(), "call {nth} of the pass: {bare:?}");
        world.disk().tree().mount_again();
        world.sync();
        world.sync_ok();
        let local = world.local_tree();
        assert_eq!(local, world.remote_tree(), "call {nth} of the pass");
        for (path, content) in [
            ("stick/a", "edited"),
            ("stick/b", "edited here"),
            ("stick/c", "c"),
            ("stick/new", "new"),
        ] {
            let found = local.get(path).map(String::as_str);
            assert_eq!(found, Some(content), "{path}, call {nth} of the pass");
        }
    }
}

/// Some filesystems force nothing but all of what is on them.
#[test]
fn a_filesystem_that_syncs_no_file_and_no_directory_is_synced_whole() {
    let world = world();
    world.put("d/gone", "g");
    world.put("d/kept", "k");
    world.sync_ok();
    world.dropbox.put("/d/new", b"n");
    world.dropbox.remove("/d/gone");
    let is_of_one = |op| matches!(op, Op::SyncFile | Op::SyncDir);
    let outcome = world.sync_without(is_of_one, ErrorKind::InvalidInput);
    assert_eq!(outcome.exit, ExitCode::Ok, "{outcome:?}");
    world.check_both(&[("d/", ""), ("d/kept", "k"), ("d/new", "n")]);
    // What the disk itself says is no such thing.
    world.dropbox.put("/d/more", b"m");
    let outcome = world.sync_without(is_of_one, ErrorKind::Other);
    assert_eq!(outcome.exit, ExitCode::Failed, "{outcome:?}");
    assert_eq!(world.read("d/more"), None);
}
