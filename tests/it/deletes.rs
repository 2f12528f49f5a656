//! Deletes: only with evidence, only what was agreed on, and never too many without a person.

use ferrybox::error::ExitCode;

use crate::world::{World, world};

fn many(count: usize) -> World {
    let world = world();
    for i in 0..count {
        world.put(&format!("d/{i}"), &format!("content {i}"));
    }
    world.put("keep", "k");
    world.sync_ok();
    world
}

#[test]
fn deletes_travel_both_ways() {
    let world = many(5);
    world.remove("d/0");
    world.dropbox.remove("/d/1");
    let outcome = world.sync_ok();
    assert_eq!(
        (
            outcome.counts.deleted_locally,
            outcome.counts.deleted_in_dropbox
        ),
        (1, 1)
    );
    assert_eq!(world.local_tree(), world.remote_tree());
    assert_eq!(world.local_tree().len(), 5);
    world.check_settled();
}

#[test]
fn a_deleted_folder_goes_with_its_files_on_either_side() {
    let world = many(5);
    *world.guard_keys.borrow_mut() = "max_delete_count = 20".to_owned();
    world.put("e/sub/x", "x");
    world.sync_ok();
    world.remove("e");
    world.sync_ok();
    assert_eq!(world.dropbox.tree().get("/e"), None);
    world.dropbox.remove("/d");
    world.sync_ok();
    world.check_both(&[("keep", "k")]);
    world.check_settled();
}

#[test]
fn too_many_deletes_halt_and_are_allowed_exactly_once() {
    let world = many(25);
    world.remove("d");
    let halted = world.sync();
    assert_eq!(halted.exit, ExitCode::Halted, "{halted:?}");
    assert!(halted.error.contains("25 of 26 files"), "{}", halted.error);
    assert_eq!(world.remote_tree().len(), 27, "nothing was deleted");
    assert_eq!(
        world.sync().error,
        halted.error,
        "the id stays while the list does"
    );
    // One more delete is another list.
    world.remove("keep");
    let other = world.approve(&halted.error);
    assert_eq!(other.exit, ExitCode::Usage);
    assert_ne!(other.error, halted.error);
    assert_eq!(world.remote_tree().len(), 27);
    let approved = world.approve(&other.error);
    assert_eq!(approved.exit, ExitCode::Ok, "{approved:?}");
    world.check_both(&[]);
}

#[test]
fn too_many_deletes_from_dropbox_halt_as_well() {
    let world = many(25);
    world.dropbox.remove("/d");
    world.put("new", "still goes up");
    let halted = world.sync();
    assert_eq!(halted.exit, ExitCode::Halted);
    assert_eq!(world.local_tree().len(), 28, "nothing was deleted");
    assert!(
        world.dropbox.read("/new").is_some(),
        "the rest of the pass was done"
    );
    assert_eq!(world.approve(&halted.error).exit, ExitCode::Ok);
    world.check_both(&[("keep", "k"), ("new", "still goes up")]);
}

/// A17: the count that never asks is no share of a small tree.
#[test]
fn a17_more_than_half_of_a_small_tree_halts_in_either_direction() {
    for is_here in [true, false] {
        let world = many(16);
        for i in 0..9 {
            match is_here {
                true => world.remove(&format!("d/{i}")),
                false => drop(world.dropbox.remove(&format!("/d/{i}"))),
            }
        }
        let halted = world.sync();
        assert_eq!(halted.exit, ExitCode::Halted, "{halted:?}");
        assert!(halted.error.contains("9 of 17 files"), "{}", halted.error);
        assert_eq!(world.approve(&halted.error).exit, ExitCode::Ok);
        assert_eq!(world.local_tree(), world.remote_tree());
    }
}

#[test]
fn a17_two_files_or_half_of_them_never_ask() {
    let world = many(2);
    world.remove("d");
    world.sync_ok();
    world.check_both(&[("keep", "k")]);
    let world = many(15);
    for i in 0..8 {
        world.remove(&format!("d/{i}"));
    }
    world.sync_ok();
    assert_eq!(world.local_tree(), world.remote_tree());
}

#[test]
fn a17_a_configured_count_holds_as_written() {
    let world = many(16);
    *world.guard_keys.borrow_mut() = "max_delete_count = 20".to_owned();
    world.remove("d");
    world.sync_ok();
    world.check_both(&[("keep", "k")]);
}

#[test]
fn both_limits_are_configurable() {
    let world = many(5);
    *world.guard_keys.borrow_mut() = "max_delete_count = 1\nmax_delete_share = 0.2".to_owned();
    world.remove("d/1");
    world.sync_ok();
    world.remove("d/2");
    world.remove("d/3");
    assert_eq!(world.sync().exit, ExitCode::Halted);
}

#[test]
fn moved_files_are_not_counted_as_deleted() {
    let world = many(25);
    world.rename("d", "moved");
    world.sync_ok();
    assert_eq!(world.local_tree(), world.remote_tree());
    world.dropbox.rename("/moved", "/again");
    world.sync_ok();
    assert_eq!(world.local_tree(), world.remote_tree());
    assert!(world.read("again/7").is_some());
    world.check_settled();
}

#[test]
fn an_emptied_side_halts_from_three_files_on() {
    let world = many(2);
    world.remove("d");
    world.remove("keep");
    let halted = world.sync();
    assert_eq!(halted.exit, ExitCode::Halted);
    assert!(
        halted.error.contains("holds no file any more"),
        "{}",
        halted.error
    );
    let world = many(2);
    world.dropbox.remove("/d");
    world.dropbox.remove("/keep");
    assert_eq!(world.sync().exit, ExitCode::Halted);
    assert_eq!(world.local_tree().len(), 4);
}

#[test]
fn a_download_of_the_same_pass_does_not_hide_an_emptied_side() {
    let world = many(4);
    world.remove("d");
    world.remove("keep");
    assert_eq!(world.sync().exit, ExitCode::Halted);
    world.dropbox.put("/d/0", b"edited elsewhere");
    let halted = world.sync();
    assert_eq!(halted.exit, ExitCode::Halted, "{halted:?}");
    assert_eq!(world.remote_tree().len(), 6);
    assert_eq!(world.read("d/0").as_deref(), Some("edited elsewhere"));
}

#[test]
fn a_halt_stands_until_it_is_approved_or_there_is_nothing_left_to_delete() {
    let world = many(4);
    world.dropbox.remove("/d");
    world.dropbox.remove("/keep");
    world.put("new", "goes up in the very pass that halts");
    assert_eq!(world.sync().exit, ExitCode::Halted);
    assert!(world.dropbox.read("/new").is_some());
    // Dropbox holds a file again, our own: that makes nothing harmless.
    let halted = world.sync();
    assert_eq!(halted.exit, ExitCode::Halted, "{halted:?}");
    assert_eq!(world.local_tree().len(), 7);
    // Restored in Dropbox, there is nothing to decide.
    for i in 0..4 {
        world
            .dropbox
            .put(&format!("/d/{i}"), format!("content {i}").as_bytes());
    }
    world.dropbox.put("/keep", b"k");
    world.sync_ok();
    world.dropbox.remove("/keep");
    world.sync_ok();
    assert_eq!(world.read("keep"), None);
}

#[test]
fn another_directory_in_place_of_the_content_dir_halts() {
    let world = many(3);
    // The disk is not mounted: an empty mount point is in its place.
    world.take_content_away();
    world.make_content_dir();
    let halted = world.sync();
    assert_eq!(halted.exit, ExitCode::Halted, "{halted:?}");
    assert!(
        halted.calls.is_empty(),
        "not even a question was asked: {:?}",
        halted.calls
    );
    world.put("stray", "s");
    assert_eq!(world.sync().exit, ExitCode::Halted);
    assert_eq!(world.dropbox.read("/stray"), None);
    // Mounted again, the marker is back.
    world.remove_content_dir();
    world.bring_content_back();
    world.sync_ok();
}

#[test]
fn an_approved_new_content_dir_starts_over_and_deletes_nothing() {
    let world = many(3);
    world.take_content_away();
    world.make_content_dir();
    let halted = world.sync();
    let approved = world.approve(&halted.error);
    assert_eq!(approved.exit, ExitCode::Ok, "{approved:?}");
    assert_eq!(approved.counts.downloaded, 4);
    assert_eq!(world.local_tree(), world.remote_tree());
}

#[test]
fn a_missing_content_dir_is_bad_configuration_first_and_a_halt_later() {
    let world = world();
    world.remove_content_dir();
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::Config);
    assert!(
        outcome.error.contains("sync.content_dir"),
        "{}",
        outcome.error
    );
    let world = many(3);
    world.take_content_away();
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::Halted, "{outcome:?}");
}

#[test]
fn a_remote_root_that_is_gone_halts() {
    let world = world();
    world
        .dropbox_keys
        .borrow_mut()
        .push_str("\nremote_root = \"/gateway\"");
    world.put("a", "a");
    world.sync_ok();
    assert_eq!(world.dropbox.read("/gateway/a").unwrap(), b"a");
    world.dropbox.remove("/gateway");
    let halted = world.sync();
    assert_eq!(halted.exit, ExitCode::Halted, "{halted:?}");
    assert_eq!(world.read("a").as_deref(), Some("a"));
    world.approve(&halted.error);
    assert_eq!(world.dropbox.read("/gateway/a").unwrap(), b"a");
}

#[test]
fn an_unreadable_directory_is_not_an_empty_one() {
    // Root may read everything; the guard is then shown by a directory turned into a link.
    let world = many(3);
    *world.sync_keys.borrow_mut() = "hidden = false".to_owned();
    if world.permissions_count() {
        world.hands().set_mode("d", 0o0);
        assert_eq!(world.sync().exit, ExitCode::SomeFiles);
        world.hands().set_mode("d", 0o755);
    } else {
        world.rename("d", ".hidden");
        world.hands().link(".hidden", "d");
        world.sync();
    }
    assert_eq!(world.dropbox.tree().len(), 5, "nothing was deleted");
}

#[test]
fn a_file_edited_in_dropbox_after_the_listing_is_not_deleted() {
    let world = many(3);
    world.remove("d/1");
    let dropbox = world.dropbox.clone();
    let mut edited = false;
    world.on_request(move |request| {
        if request.target.contains("delete_v2") && !edited {
            edited = true;
            dropbox.put("/d/1", b"edited just now");
        }
    });
    let outcome = world.sync_ok();
    assert_eq!(outcome.counts.deferred, 1);
    assert_eq!(world.dropbox.read("/d/1").unwrap(), b"edited just now");
    world.sync_ok();
    assert_eq!(world.read("d/1").as_deref(), Some("edited just now"));
}

#[test]
fn a_folder_that_holds_something_new_is_not_deleted() {
    let world = many(3);
    *world.guard_keys.borrow_mut() = "max_delete_count = 20".to_owned();
    world.remove("d");
    let dropbox = world.dropbox.clone();
    let mut added = false;
    world.on_request(move |request| {
        if request.target.contains("delete_batch") && !added {
            added = true;
            dropbox.put("/d/new", b"new");
        }
    });
    world.sync();
    assert_eq!(world.dropbox.read("/d/new").unwrap(), b"new");
    world.sync_ok();
    world.check_both(&[("d/", ""), ("d/new", "new"), ("keep", "k")]);
}

#[test]
fn an_empty_folder_is_looked_into_again_before_its_delete_is_repeated() {
    let world = many(3);
    *world.guard_keys.borrow_mut() = "max_delete_count = 20".to_owned();
    world.remove("d");
    // The first attempt breaks; meanwhile somebody puts a file there.
    let dropbox = world.dropbox.clone();
    let mut attempts = 0;
    world.on_request(move |request| {
        let is_folder = String::from_utf8_lossy(&request.body) == r#"{"path":"/d"}"#;
        if request.target.contains("delete_v2") && is_folder {
            attempts += 1;
            if attempts == 1 {
                let cut = dropbox_standin::Effect::CutBefore;
                let once = dropbox_standin::When::Nth(1);
                dropbox.inject(dropbox_standin::Fault::new("delete_v2", once, cut));
            }
        }
        if request.target.contains("list_folder") && attempts == 1 {
            attempts = 2;
            dropbox.put("/d/new", b"new");
        }
    });
    world.sync();
    assert_eq!(world.dropbox.read("/d/new").unwrap(), b"new");
}

#[test]
fn another_account_halts_until_a_person_approves() {
    let world = many(3);
    world
        .dropbox
        .set_account_id("dbid:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAANEW");
    let token = world.dropbox.personal_access_token();
    *world.dropbox_keys.borrow_mut() = format!("personal_access_token = \"{token}\"");
    let halted = world.sync();
    assert_eq!(halted.exit, ExitCode::Halted, "{halted:?}");
    let approved = world.approve(&halted.error);
    assert_eq!(approved.exit, ExitCode::Ok, "{approved:?}");
    assert_eq!(world.local_tree(), world.remote_tree());
}

#[test]
fn exit_codes_keep_their_order() {
    // 4 before 5: nobody is authenticated, and the content dir is gone.
    let world = many(3);
    world.take_content_away();
    world
        .dropbox_keys
        .replace("app_key = \"standin-key\"".to_owned());
    assert_eq!(world.sync().exit, ExitCode::Authentication);
    // 8 before 7: the Dropbox is full, then the line breaks.
    let world = World::in_mode("LOCAL_TO_DROPBOX");
    world.put("a", &"x".repeat(500));
    world.put("b", "b");
    world.dropbox.set_quota(100);
    world.refuse_batches();
    let dropbox = world.dropbox.clone();
    let mut uploads = 0;
    world.on_request(move |request| {
        uploads += u32::from(request.target.ends_with("files/upload"));
        if uploads == 2 {
            let cut = dropbox_standin::Effect::CutBefore;
            let always = dropbox_standin::When::Always;
            dropbox.inject(dropbox_standin::Fault::new("", always, cut));
        }
    });
    assert_eq!(world.sync().exit, ExitCode::Full);
}

#[test]
fn half_a_pass_does_not_let_go_of_a_halt() {
    let world = many(4);
    world.remove("d");
    world.remove("keep");
    assert_eq!(world.sync().exit, ExitCode::Halted);
    world.put("log", "a sign of life");
    assert_eq!(world.sync().exit, ExitCode::Halted);
    assert_eq!(world.download_only().exit, ExitCode::Ok);
    assert_eq!(world.sync().exit, ExitCode::Halted);
    assert!(world.dropbox.read("/d/1").is_some());
    // The other way round.
    let world = many(4);
    world.dropbox.remove("/d");
    world.dropbox.remove("/keep");
    assert_eq!(world.sync().exit, ExitCode::Halted);
    world.put("new", "n");
    assert_eq!(world.upload_only().exit, ExitCode::Ok);
    assert_eq!(world.sync().exit, ExitCode::Halted);
    assert!(world.read("d/1").is_some());
}

#[test]
fn files_that_come_down_again_do_not_look_like_an_emptied_side() {
    let world = world();
    *world.sync_keys.borrow_mut() = "upload_filter = [\"/up/.*\"]".to_owned();
    for i in 0..4 {
        world.put(&format!("up/{i}"), "u");
    }
    for i in 0..3 {
        world.dropbox.put(&format!("/down/{i}"), b"d");
    }
    world.sync_ok();
    world.remove("down");
    world.remove("up/0");
    let outcome = world.sync_ok();
    assert_eq!(
        (outcome.counts.downloaded, outcome.counts.deleted_in_dropbox),
        (3, 1)
    );
}

#[test]
fn a_halt_is_said_even_if_the_line_breaks_afterwards() {
    let world = many(4);
    world.dropbox.remove("/d");
    world.dropbox.remove("/keep");
    for i in 0..501 {
        world.put(&format!("new/{i}"), "n");
    }
    let dropbox = world.dropbox.clone();
    let mut uploads = 0;
    world.on_request(move |request| {
        uploads += u32::from(request.target.contains("files/upload"));
        if uploads == 501 && request.target.contains("list_folder") {
            let cut = dropbox_standin::Effect::CutBefore;
            let always = dropbox_standin::When::Always;
            dropbox.inject(dropbox_standin::Fault::new("list_folder", always, cut));
        }
    });
    assert_eq!(world.sync().exit, ExitCode::Halted);
}

#[test]
fn a_server_fault_over_one_folder_or_delete_does_not_stop_the_others() {
    use dropbox_standin::{Effect, Fault, When};
    let world = many(9);
    world.mkdir("empty");
    for i in [0, 2, 4, 6] {
        world.remove(&format!("d/{i}"));
    }
    let broken = || Effect::Status(500, String::new());
    world
        .dropbox
        .inject(Fault::new("create_folder", When::Always, broken()));
    // Three tries with all four, with two of them, and with the first.
    world
        .dropbox
        .inject(Fault::new("files/delete", When::First(9), broken()));
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::SomeFiles, "{outcome:?}");
    assert_eq!(outcome.counts.deleted_in_dropbox, 3);
}

#[test]
fn only_files_that_may_travel_count_as_in_step() {
    let world = World::in_mode("DROPBOX_TO_LOCAL");
    *world.sync_keys.borrow_mut() = "download_filter = [\"/down/.*\"]".to_owned();
    for i in 0..30 {
        world.put(&format!("up/{i}"), "u");
    }
    for i in 0..25 {
        world
            .dropbox
            .put(&format!("/down/{i}"), format!("d{i}").as_bytes());
    }
    world.sync_ok();
    world.dropbox.remove("/down");
    assert_eq!(world.sync().exit, ExitCode::Halted);
}

#[test]
fn removing_the_index_brings_the_files_of_a_halt_back() {
    let world = many(4);
    world.remove("d");
    world.remove("keep");
    assert_eq!(world.sync().exit, ExitCode::Halted);
    world.remove_state_file("index.db");
    assert_eq!(world.sync_ok().counts.downloaded, 5);
    assert_eq!(world.local_tree(), world.remote_tree());
}

/// A8: a folder missing at the walk, back while a file goes up.
#[test]
fn a8_a_folder_restored_under_way_is_not_deleted_in_dropbox() {
    for only_one in [false, true] {
        let world = many(4);
        *world.guard_keys.borrow_mut() = "max_delete_count = 20".to_owned();
        let last = if only_one { 1 } else { 4 };
        for i in 0..last {
            world.remove(&format!("d/{i}"));
        }
        world.put("new", "goes up first");
        let hands = world.hands();
        world.on_request(move |request| {
            if request.target.contains("upload") && hands.read("d/0").is_none() {
                for i in 0..last {
                    hands.put(&format!("d/{i}"), format!("content {i}").as_bytes());
                }
            }
        });
        let outcome = world.sync_ok();
        world.on_request_nothing();
        assert_eq!(outcome.counts.deleted_in_dropbox, 0, "{outcome:?}");
        assert_eq!(outcome.counts.deferred, last as u64, "{outcome:?}");
        assert_eq!(world.local_tree(), world.remote_tree());
        assert_eq!(world.remote_tree().len(), 7);
        world.check_settled();
    }
}

#[test]
fn a8_a_whole_folder_restored_in_another_case_is_not_deleted_in_dropbox() {
    let world = many(4);
    *world.guard_keys.borrow_mut() = "max_delete_count = 20".to_owned();
    world.put("d/sub/x", "x");
    world.mkdir("hollow");
    world.sync_ok();
    world.remove("d");
    world.remove("hollow");
    world.put("new", "goes up first");
    let hands = world.hands();
    world.on_request(move |request| {
        if request.target.contains("upload") && hands.read("D/0").is_none() {
            for i in 0..4 {
                hands.put(&format!("D/{i}"), format!("content {i}").as_bytes());
            }
            hands.put("D/sub/x", b"x");
            hands.mkdir("Hollow");
        }
    });
    let outcome = world.sync_ok();
    world.on_request_nothing();
    assert_eq!(outcome.counts.deleted_in_dropbox, 0, "{outcome:?}");
    assert_eq!(outcome.counts.deferred, 8, "{outcome:?}");
    assert_eq!(world.remote_tree().len(), 10);
    world.check_settled();
}

#[test]
fn a8_what_comes_back_between_two_batches_is_not_deleted_in_dropbox() {
    let world = many(1003);
    *world.guard_keys.borrow_mut() = "max_delete_count = 5000".to_owned();
    world.remove("d");
    let hands = world.hands();
    world.on_request(move |request| {
        // The second batch is the last in order of paths.
        if request.target.contains("delete_batch") && hands.read("d/999").is_none() {
            hands.put("d/999", b"content 999");
        }
    });
    let outcome = world.sync_ok();
    world.on_request_nothing();
    assert_eq!(outcome.counts.deleted_in_dropbox, 1002, "{outcome:?}");
    assert!(world.dropbox.read("/d/999").is_some());
    world.sync_ok();
    world.check_both(&[("d/", ""), ("d/999", "content 999"), ("keep", "k")]);
}

#[test]
fn a8_folders_restored_while_dropbox_is_looked_into_are_not_deleted_there() {
    let world = world();
    for i in 0..6 {
        world.mkdir(&format!("t/{i}/below"));
    }
    world.put("keep", "k");
    world.sync_ok();
    world.remove("t");
    let hands = world.hands();
    let mut looks = 0;
    world.on_request(move |request| {
        // The listing of the pass is the first, that of the folders to delete the next.
        looks += u32::from(request.target.ends_with("files/list_folder"));
        if looks == 1 {
            hands.mkdir("t/3/below");
        }
    });
    let outcome = world.sync_ok();
    world.on_request_nothing();
    let left = world.dropbox.tree();
    for path in ["/t", "/t/3", "/t/3/below"] {
        assert!(left.contains_key(path), "{path}: {outcome:?}");
    }
    assert!(!left.contains_key("/t/4"), "{outcome:?}");
    assert_eq!(outcome.counts.deferred, 3, "{outcome:?}");
    world.sync_ok();
    assert_eq!(world.local_tree(), world.remote_tree());
    world.check_settled();
}

#[test]
fn a8_what_cannot_be_looked_at_again_is_not_deleted_in_dropbox() {
    let world = many(4);
    *world.guard_keys.borrow_mut() = "max_delete_count = 20".to_owned();
    world.remove("d/0");
    world.remove("d/1");
    world.put("new", "goes up first");
    let hands = world.hands();
    world.on_request(move |request| {
        if request.target.contains("upload") && hands.read("away/2").is_none() {
            hands.rename("d", "away");
            hands.link("away", "d");
        }
    });
    let outcome = world.sync();
    world.on_request_nothing();
    assert_eq!(outcome.exit, ExitCode::SomeFiles, "{outcome:?}");
    assert!(outcome.problems["/d/0"].contains("not deleted in Dropbox"));
    assert_eq!(outcome.counts.deleted_in_dropbox, 0, "{outcome:?}");
    assert!(world.dropbox.read("/d/0").is_some());
}
