//! What was only renamed here is renamed in Dropbox, as one act; and a delete that is half of a
//! rename waits for the other half, on either side (A4).

use dropbox_standin::{Effect, Fault, Node, When};
use ferrybox::error::ExitCode;
use ferrybox::report::Counts;

use crate::world::{Outcome, World, world};

fn times(outcome: &Outcome, route: &str) -> usize {
    outcome.calls.iter().filter(|call| *call == route).count()
}

fn id_of(world: &World, path: &str) -> String {
    match world.dropbox.tree().remove(path) {
        Some(Node::File { id, .. }) => id,
        other => panic!("{path} is no file: {other:?}"),
    }
}

#[track_caller]
fn check_nothing_sent(outcome: &Outcome) {
    let sent = outcome.calls.iter().filter(|call| call.contains("upload"));
    assert_eq!(sent.count(), 0, "{:?}", outcome.calls);
}

/// A world in step that holds one file to rename.
fn in_step(mode: &'static str) -> World {
    let world = World::in_mode(mode);
    world.put("old", "content");
    world.put("keep", "k");
    world.sync_ok();
    world.clock.advance(10);
    world.sync_ok();
    world
}

#[track_caller]
fn check_equal(world: &World) {
    assert_eq!(world.local_tree(), world.remote_tree());
}

#[test]
fn a4_a_renamed_file_is_moved_in_dropbox_and_keeps_what_belongs_to_it() {
    for mode in ["BIDIRECTIONAL", "LOCAL_TO_DROPBOX"] {
        let world = World::in_mode(mode);
        world.put_bytes("old/big", &vec![9; 3 << 20]);
        world.put("keep", "k");
        world.sync_ok();
        let id = id_of(&world, "/old/big");
        world.mkdir("new");
        world.rename("old/big", "new/Name");
        let outcome = world.sync_ok();
        assert_eq!(times(&outcome, "move_v2"), 1, "{:?}", outcome.calls);
        check_nothing_sent(&outcome);
        let expected = Counts {
            moved: 1,
            ..Counts::default()
        };
        let counts = Counts {
            deleted_in_dropbox: 0,
            folders_made: 0,
            ..outcome.counts
        };
        assert_eq!(counts, expected, "{outcome:?}");
        assert_eq!(id_of(&world, "/new/Name"), id);
        check_equal(&world);
        world.check_settled();
        // What is edited afterwards names the rev that the move has given it.
        world.put("new/Name", "edited");
        assert_eq!(world.sync_ok().counts.uploaded, 1);
        check_equal(&world);
    }
}

#[test]
fn a4_a_renamed_directory_moves_no_bytes() {
    let world = world();
    for i in 0..60 {
        world.put(&format!("a/{i}"), &format!("content {i}"));
    }
    world.put("keep", "k");
    world.sync_ok();
    world.rename("a", "moved");
    let outcome = world.sync_ok();
    assert!(outcome.calls.len() <= 12, "{:?}", outcome.calls);
    check_nothing_sent(&outcome);
    assert_eq!(outcome.counts.moved, 60);
    check_equal(&world);
    world.check_settled();
}

#[test]
fn a4_a_rename_needs_no_room_in_dropbox() {
    let world = World::in_mode("LOCAL_TO_DROPBOX");
    world.put_bytes("big.bin", &vec![7; 5 << 20]);
    world.put("keep", "k");
    world.sync_ok();
    world.dropbox.set_quota((5 << 20) + 1000);
    world.rename("big.bin", "other.bin");
    let outcome = world.sync_ok();
    check_nothing_sent(&outcome);
    check_equal(&world);
    world.check_settled();
}

#[test]
fn a4_of_several_new_files_one_is_the_old_one_and_the_others_are_copies() {
    let world = in_step("BIDIRECTIONAL");
    world.put("a", "content");
    world.put("b", "content");
    world.rename("old", "c");
    let id = id_of(&world, "/old");
    let outcome = world.sync_ok();
    check_nothing_sent(&outcome);
    assert_eq!((outcome.counts.moved, outcome.counts.uploaded), (1, 2));
    assert_eq!(id_of(&world, "/c"), id, "the very file");
    check_equal(&world);
    world.check_settled();
}

#[test]
fn a4_a_file_that_is_here_under_another_case_is_not_moved_away() {
    let world = in_step("BIDIRECTIONAL");
    world.rename("old", "OLD");
    world.put("new", "content");
    world.sync_ok();
    world.check_local(&[("OLD", "content"), ("keep", "k"), ("new", "content")]);
    world.check_remote(&[("keep", "k"), ("new", "content"), ("old", "content")]);
    world.check_settled();
}

#[test]
fn a4_what_may_not_change_in_dropbox_is_not_moved_there() {
    for mode in ["BIDIRECTIONAL", "LOCAL_TO_DROPBOX"] {
        let world = in_step(mode);
        *world.sync_keys.borrow_mut() = "upload_filter = ['/new.*']".to_owned();
        world.sync_ok();
        world.rename("old", "new");
        world.sync_ok();
        assert_eq!(world.dropbox.read("/old").unwrap(), b"content", "{mode}");
        assert_eq!(world.dropbox.read("/new").unwrap(), b"content", "{mode}");
    }
}

/// Somebody puts a file into Dropbox right before the first call of this name.
fn put_before(world: &World, route: &'static str, path: &'static str, bytes: &'static [u8]) {
    let dropbox = world.dropbox.clone();
    let mut once = true;
    world.on_request(move |request| {
        if request.target.contains(route) && std::mem::take(&mut once) {
            dropbox.put(path, bytes);
        }
    });
}

/// A rename here, while somebody puts a file into Dropbox right before the move.
fn renamed_while(path: &'static str, bytes: &'static [u8]) -> World {
    let world = in_step("BIDIRECTIONAL");
    world.rename("old", "new");
    put_before(&world, "move", path, bytes);
    world
}

#[test]
fn a4_a_copy_of_what_was_just_edited_in_dropbox_is_not_taken_for_the_file() {
    let world = in_step("BIDIRECTIONAL");
    world.put("copy", "content");
    world.rename("old", "new");
    put_before(&world, "copy", "/old", b"edited there");
    world.sync_ok();
    world.sync_ok();
    let tree = world.local_tree();
    assert!(tree.values().any(|text| text == "content"), "{tree:?}");
    assert!(tree.values().any(|text| text == "edited there"), "{tree:?}");
    check_equal(&world);
    world.check_settled();
}

#[test]
fn a4_the_same_content_under_the_new_name_is_not_taken_for_a_move_that_was_made() {
    let world = renamed_while("/new", b"content");
    world.sync();
    world.sync_ok();
    world.sync_ok();
    world.check_both(&[("keep", "k"), ("new", "content")]);
    world.check_settled();
}

#[test]
fn a4_an_edit_made_in_dropbox_right_before_the_move_moves_along_and_comes_down() {
    let world = renamed_while("/old", b"edited there");
    world.sync_ok();
    world.sync_ok();
    world.check_both(&[("keep", "k"), ("new", "edited there")]);
    world.check_settled();
}

#[test]
fn a4_a_name_taken_in_dropbox_right_before_the_move_is_not_moved_over() {
    let world = renamed_while("/new", b"somebody else's");
    world.sync();
    assert_eq!(world.dropbox.read("/new").unwrap(), b"somebody else's");
    assert!(world.read("new").is_some());
    assert_eq!(world.dropbox.read("/old").unwrap(), b"content", "it waits");
    world.sync();
    world.sync_ok();
    check_equal(&world);
    let tree = world.local_tree();
    assert!(tree.values().any(|text| text == "content"), "{tree:?}");
    assert_eq!(tree.get("old"), None);
}

#[test]
fn a4_a_move_whose_answer_is_lost_was_made() {
    for count in [1, 5] {
        for route in ["move", "check_v2"] {
            let world = world();
            for i in 0..count {
                world.put(&format!("old/{i}"), &format!("content {i}"));
            }
            world.put("keep", "k");
            world.sync_ok();
            world.rename("old", "new");
            let lost = Fault::new(route, When::First(1), Effect::CutAfter);
            world.dropbox.inject(lost);
            let outcome = world.sync_ok();
            check_nothing_sent(&outcome);
            check_equal(&world);
            world.check_settled();
        }
    }
}

/// Dropbox refuses to move; then to copy as well; then anything.
#[test]
fn a4_what_is_not_moved_is_copied_and_what_is_not_copied_goes_up() {
    let refused = |route: &str, status| {
        let text = r#"{"error_summary":"internal_error/..","error":{".tag":"internal_error"}}"#;
        Fault::new(route, When::Always, Effect::Status(status, text.to_owned()))
    };
    for status in [409, 500, 400] {
        for count in [1, 4] {
            let world = world();
            for i in 0..count {
                world.put(&format!("old/{i}"), &format!("content {i}"));
            }
            world.put("keep", "k");
            world.sync_ok();
            world.dropbox.inject(refused("files/move", status));
            world.rename("old", "new");
            check_nothing_sent(&world.sync_ok());
            check_equal(&world);
            world.dropbox.inject(refused("files/copy", status));
            world.rename("new", "newer");
            world.sync_ok();
            check_equal(&world);
            world.check_settled();
            // Nothing at all arrives: the old names stay.
            world.dropbox.inject(refused("files/upload", status));
            let before = world.remote_tree();
            world.rename("newer", "newest");
            for _ in 0..2 {
                let outcome = world.sync();
                assert_ne!(outcome.exit, ExitCode::Ok, "{status}: {outcome:?}");
                let there = world.remote_tree();
                for path in before.keys().filter(|path| !path.ends_with('/')) {
                    assert!(there.contains_key(path), "{status}: {path} is lost");
                }
            }
            world.dropbox.clear_faults();
            world.sync_ok();
            check_equal(&world);
            world.check_settled();
        }
    }
}

#[test]
fn a4_a_file_renamed_to_what_dropbox_refuses_stays_there_under_its_old_name() {
    for name in ["new\\name", "new ", "new\u{7f}"] {
        for mode in ["BIDIRECTIONAL", "LOCAL_TO_DROPBOX"] {
            let world = in_step(mode);
            world.rename("old", name);
            for _ in 0..2 {
                world.sync();
                assert_eq!(world.dropbox.read("/old").unwrap(), b"content", "{name}");
            }
            world.rename(name, "fine");
            let outcome = world.sync_ok();
            check_nothing_sent(&outcome);
            world.check_both(&[("fine", "content"), ("keep", "k")]);
        }
    }
}

#[test]
fn a4_a_file_renamed_into_a_clash_of_names_stays_there_until_it_is_solved() {
    let world = in_step("BIDIRECTIONAL");
    world.rename("old", "twin");
    world.put("TWIN", "another one");
    for _ in 0..2 {
        let outcome = world.sync();
        assert_eq!(outcome.exit, ExitCode::SomeFiles);
        assert!(outcome.problems.contains_key("/old"), "{outcome:?}");
        assert_eq!(world.dropbox.read("/old").unwrap(), b"content");
    }
    world.remove("TWIN");
    check_nothing_sent(&world.sync_ok());
    check_equal(&world);
}

#[test]
fn a4_a_file_that_cannot_be_read_under_its_new_name_stays_there_under_the_old_one() {
    let world = in_step("BIDIRECTIONAL");
    if !world.permissions_count() {
        return;
    }
    world.rename("old", "new");
    world.hands().set_mode("new", 0);
    world.sync();
    assert_eq!(world.dropbox.read("/old").unwrap(), b"content");
}

#[test]
fn a4_a_directory_renamed_to_what_is_a_file_there_stays_there_under_its_old_name() {
    for mode in ["BIDIRECTIONAL", "LOCAL_TO_DROPBOX"] {
        let world = World::in_mode(mode);
        world.put("d/a", "content of a");
        world.put("d/b", "content of b");
        world.put("keep", "k");
        world.sync_ok();
        world.rename("d", "e");
        world.dropbox.put("/e", b"a file by now");
        for _ in 0..2 {
            world.sync();
            let there = world.remote_tree();
            let has = |text: &str| there.values().any(|content| content == text);
            assert!(
                has("content of a") && has("content of b"),
                "{mode}: {there:?}"
            );
            assert!(has("a file by now"), "{mode}: {there:?}");
        }
        let here = world.local_tree();
        let has = |text: &str| here.values().any(|content| content == text);
        assert!(
            has("content of a") && has("content of b"),
            "{mode}: {here:?}"
        );
    }
}

#[test]
fn a4_a_file_renamed_over_another_one_that_does_not_go_up_stays_there() {
    let world = in_step("LOCAL_TO_DROPBOX");
    world.rename("old", "keep");
    let refused = Effect::refused("path/disallowed_name");
    let refused = Fault::new("files/upload", When::Always, refused);
    world.dropbox.inject(refused);
    for _ in 0..2 {
        world.sync();
        assert_eq!(world.dropbox.read("/old").unwrap(), b"content");
    }
    world.dropbox.clear_faults();
    world.clock.advance(90_000);
    world.sync_ok();
    world.check_both(&[("keep", "content")]);
}

#[test]
fn a4_files_and_folders_that_swap_places_are_moved_in_the_second_round() {
    let world = world();
    world.put("a", "content of a");
    world.put("b/in", "in b");
    world.put("keep", "k");
    world.sync_ok();
    world.rename("a", "x");
    world.rename("b", "a");
    world.rename("x", "b");
    world.sync();
    world.sync_ok();
    check_equal(&world);
    assert_eq!(world.read("b").as_deref(), Some("content of a"));
    world.check_settled();
}

#[test]
fn a4_a_file_renamed_there_to_a_name_that_cannot_be_here_stays_here() {
    // 200 letters for Dropbox, 400 bytes here.
    let long = "\u{e9}".repeat(200);
    let world = in_step("BIDIRECTIONAL");
    world.dropbox.rename("/old", &format!("/{long}"));
    for _ in 0..2 {
        let outcome = world.sync();
        assert_eq!(outcome.exit, ExitCode::SomeFiles);
        assert!(outcome.problems.contains_key("/old"), "{outcome:?}");
        assert_eq!(world.read("old").as_deref(), Some("content"));
    }
    world.dropbox.rename(&format!("/{long}"), "/short");
    world.sync_ok();
    world.check_both(&[("keep", "k"), ("short", "content")]);
    world.check_settled();
}

#[test]
fn a4_a_file_renamed_there_to_what_is_a_folder_here_stays_here() {
    for mode in ["BIDIRECTIONAL", "DROPBOX_TO_LOCAL"] {
        let world = world();
        world.put("f3", "content");
        world.put("keep", "k");
        world.sync_ok();
        world.set_mode(mode);
        world.dropbox.rename("/f3", "/g3");
        world.put("g3/in", "made here");
        for _ in 0..3 {
            world.sync();
            let here = world.local_tree();
            let has = |text: &str| here.values().any(|content| content == text);
            assert!(has("content") && has("made here"), "{mode}: {here:?}");
        }
    }
}

#[test]
fn a4_a_file_renamed_there_whose_download_fails_stays_here() {
    // A local edit keeps it from being renamed here, so that it would be fetched.
    let world = world();
    world.put("old", "content");
    world.put("twin", "content");
    world.put("keep", "k");
    world.sync_ok();
    world.dropbox.rename("/old", "/sub/new");
    world.put("sub", "a file in the way of the folder");
    for _ in 0..2 {
        world.sync();
        let here = world.local_tree();
        let count = here.values().filter(|text| *text == "content").count();
        assert!(count >= 2, "{here:?}");
    }
}
