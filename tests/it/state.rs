//! Index and cursor are caches: losing, damaging or exchanging them deletes and overwrites nothing.

use std::fs;

use dropbox_standin::{Effect, Fault, When};
use ferrybox::error::ExitCode;
use ferrybox::report::Counts;

use crate::world::{World, world};

fn populated() -> World {
    let world = world();
    for i in 0..12 {
        world.put(&format!("d{}/{i}", i % 3), &format!("content {i}"));
    }
    world.sync_ok();
    world
}

/// After whatever was done to the state: nothing is lost, nothing is transferred, all is in step.
#[track_caller]
fn check_recovers(world: &World) {
    let before = world.local_tree();
    let outcome = world.sync_ok();
    assert_eq!(
        outcome.counts.uploaded + outcome.counts.downloaded,
        0,
        "{outcome:?}"
    );
    assert_eq!(
        outcome.counts.deleted_locally + outcome.counts.deleted_in_dropbox,
        0
    );
    assert_eq!(world.local_tree(), before);
    assert_eq!(world.remote_tree(), before);
    world.check_settled();
}

/// What Dropbox says of a cursor of another app.
const FOREIGN_CURSOR: &str = "Error in call to API function \"files/list_folder/continue\": \
                              Invalid \"cursor\" parameter: this cursor is for a different app.";

#[test]
fn deleting_the_cursor_file_lists_again_and_transfers_nothing() {
    let world = populated();
    world.remove_state_file("cursor.json");
    check_recovers(&world);
}

#[test]
fn losing_all_state_adopts_by_hash() {
    let world = populated();
    world.lose_state();
    check_recovers(&world);
}

#[test]
fn an_older_index_beside_a_newer_cursor_is_listed_again() {
    let world = populated();
    let file = world.state().join("index.db");
    let old = fs::read(&file).unwrap();
    world.put("later", "l");
    world.dropbox.put("/remote later", b"r");
    world.sync_ok();
    world.sync_ok();
    fs::write(&file, old).unwrap();
    check_recovers(&world);
}

#[test]
fn a_reset_lists_again_and_compares_with_the_base() {
    let world = populated();
    world.dropbox.reset_cursors();
    check_recovers(&world);
    world.dropbox.reset_cursors();
    world.dropbox.remove("/d1/1");
    world.remove("d2/2");
    world.put("new", "n");
    let outcome = world.sync_ok();
    assert_eq!(
        (
            outcome.counts.deleted_locally,
            outcome.counts.deleted_in_dropbox
        ),
        (1, 1)
    );
    assert_eq!(world.local_tree(), world.remote_tree());
}

#[test]
fn a_reset_uploads_what_dropbox_lacks_once_even_in_dropbox_to_local() {
    let world = World::in_mode("DROPBOX_TO_LOCAL");
    world.put("a", "a");
    world.sync_ok();
    world.put("b", "b");
    world.sync_ok();
    world.check_remote(&[("a", "a")]);
    world.dropbox.reset_cursors();
    world.sync_ok();
    world.check_remote(&[("a", "a"), ("b", "b")]);
    world.put("c", "c");
    world.sync_ok();
    world.check_remote(&[("a", "a"), ("b", "b")]);
}

#[test]
fn a_listing_of_many_pages_is_merged_when_it_is_complete() {
    let world = world();
    world.dropbox.set_page_limit(7);
    for i in 0..50 {
        world
            .dropbox
            .put(&format!("/f{}/{i}", i % 4), format!("c{i}").as_bytes());
    }
    world.sync_ok();
    assert_eq!(world.local_tree(), world.remote_tree());
    world.check_settled();
}

#[test]
fn an_interrupted_listing_resumes_and_deletes_nothing_meanwhile() {
    let world = world();
    for i in 0..50 {
        world.put(&format!("f{}/{i}", i % 4), &format!("c{i}"));
    }
    world.sync_ok();
    world.remove_state_file("cursor.json");
    world.dropbox.set_page_limit(7);
    // From the fourth page on the line is dead.
    let dropbox = world.dropbox.clone();
    let mut pages = 0;
    world.on_request(move |request| {
        pages += u32::from(request.target.contains("list_folder"));
        if pages == 4 {
            dropbox.inject(Fault::new("", When::Always, Effect::CutBefore));
        }
    });
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::TryLater, "{outcome:?}");
    world.on_request_nothing();
    world.dropbox.clear_faults();
    let resumed = world.sync_ok();
    assert!(
        resumed.calls.iter().all(|call| call != "list_folder"),
        "{resumed:?}"
    );
    assert_eq!(world.local_tree(), world.remote_tree());
    assert_eq!(world.local_tree().len(), 54);
    world.check_settled();
}

#[test]
fn changes_during_a_listing_are_applied_in_order() {
    let world = world();
    for i in 0..30 {
        world.dropbox.put(&format!("/d/{i:02}"), b"x");
    }
    world.dropbox.set_page_limit(5);
    let dropbox = world.dropbox.clone();
    let mut pages = 0;
    world.on_request(move |request| {
        if request.target.contains("list_folder/continue") {
            pages += 1;
            match pages {
                2 => drop(dropbox.remove("/d")),
                3 => {
                    dropbox.put("/d/late", b"late");
                    dropbox.put("/e", b"e");
                }
                _ => {}
            }
        }
    });
    world.sync();
    world.on_request_nothing();
    world.sync_ok();
    world.check_both(&[("d/", ""), ("d/late", "late"), ("e", "e")]);
    world.check_settled();
}

#[test]
fn another_remote_root_starts_over_and_deletes_nothing() {
    let world = populated();
    let before = world.local_tree();
    world
        .dropbox_keys
        .borrow_mut()
        .push_str("\nremote_root = \"/elsewhere\"");
    world.sync_ok();
    assert_eq!(world.local_tree(), before);
    assert_eq!(
        world.dropbox.read("/d0/0").unwrap(),
        b"content 0",
        "the old folder stays"
    );
    assert_eq!(world.dropbox.read("/elsewhere/d0/0").unwrap(), b"content 0");
}

#[test]
fn a_missing_remote_root_is_made_unless_nothing_may_go_up() {
    let world = World::in_mode("DROPBOX_TO_LOCAL");
    world
        .dropbox_keys
        .borrow_mut()
        .push_str("\nremote_root = \"/none\"");
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::Config);
    assert!(
        outcome.error.contains("dropbox.remote_root"),
        "{}",
        outcome.error
    );
    world.set_mode("LOCAL_TO_DROPBOX");
    world.sync_ok();
    world.check_remote(&[("none/", "")]);
    // A file in its place.
    world.dropbox.put("/file", b"f");
    let other = world.beside();
    let keys = other.dropbox_keys.take().replace("/none", "/file");
    other.dropbox_keys.replace(keys);
    assert_eq!(other.sync().exit, ExitCode::Config);
}

#[test]
fn a_second_run_at_the_same_time_is_turned_away() {
    let world = populated();
    let dir = fs::File::open(world.state()).unwrap();
    dir.lock().unwrap();
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::Locked);
    assert!(outcome.calls.is_empty());
    drop(dir);
    let content = fs::File::open(world.content()).unwrap();
    content.lock().unwrap();
    assert_eq!(
        world.sync().exit,
        ExitCode::Locked,
        "another agent on the same directory"
    );
    drop(content);
    assert_eq!(world.sync_ok().counts, Counts::default());
}

#[test]
fn state_is_private_from_the_start() {
    use std::os::unix::fs::PermissionsExt;
    let world = populated();
    let mode = |path: std::path::PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(world.state()), 0o700);
    for entry in fs::read_dir(world.state()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(path.clone()), 0o600, "{}", path.display());
    }
}

#[test]
fn a_bulk_upload_reads_its_own_echo() {
    let world = world();
    for i in 0..510 {
        world.put(&format!("f{i}"), "x");
    }
    let outcome = world.sync_ok();
    assert_eq!(outcome.counts.uploaded, 510);
    assert_eq!(outcome.calls.last().unwrap(), "list_folder/continue");
    world.check_settled();
}

#[test]
fn half_a_listing_of_another_folder_is_thrown_away() {
    let world = world();
    for i in 0..6 {
        world.dropbox.put(&format!("/wrong/w{i}"), b"w");
        world.dropbox.put(&format!("/right/r{i}"), b"r");
    }
    world.dropbox.set_page_limit(2);
    let keys = world.dropbox_keys.borrow().clone();
    world
        .dropbox_keys
        .replace(format!("{keys}\nremote_root = \"/wrong\""));
    let cut = Fault::new("list_folder/continue", When::Always, Effect::CutBefore);
    world.dropbox.inject(cut);
    assert_eq!(world.sync().exit, ExitCode::TryLater);
    world.dropbox.clear_faults();
    world
        .dropbox_keys
        .replace(format!("{keys}\nremote_root = \"/right\""));
    world.sync_ok();
    let names: Vec<_> = world.local_tree().into_keys().collect();
    assert_eq!(names, ["r0", "r1", "r2", "r3", "r4", "r5"]);
    world.dropbox.put("/right/later", b"l");
    world.sync_ok();
    assert!(world.read("later").is_some());
}

#[test]
fn a_cursor_dropbox_does_not_know_is_no_reset() {
    let world = World::in_mode("DROPBOX_TO_LOCAL");
    world.put("a", "a");
    world.sync_ok();
    world.put("private", "p");
    let refused = Effect::Status(400, FOREIGN_CURSOR.to_owned());
    let once = Fault::new("list_folder/continue", When::Nth(1), refused);
    world.dropbox.inject(once);
    world.sync_ok();
    world.check_remote(&[("a", "a")]);
}

#[test]
fn a_400_without_a_cursor_says_what_dropbox_says() {
    let world = world();
    let text = "Error in call to API function \"files/list_folder\": Your app (ID: 1) is not \
                permitted to access this endpoint because it does not have the required scope \
                'files.metadata.read'.";
    let refused = Effect::Status(400, text.to_owned());
    world
        .dropbox
        .inject(Fault::new("list_folder", When::Always, refused));
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::Authentication, "{outcome:?}");
    assert!(
        outcome.error.contains("\"files.metadata.read\""),
        "{}",
        outcome.error
    );
    world.dropbox.clear_faults();
    let refused = Effect::Status(
        400,
        "Error in call to API function \"files/list_folder\": something new".to_owned(),
    );
    world
        .dropbox
        .inject(Fault::new("list_folder", When::Always, refused));
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::Failed);
    assert!(outcome.error.contains("something new"), "{}", outcome.error);
}

#[test]
fn a_problem_that_stays_does_not_keep_the_reset_due() {
    use std::os::unix::ffi::OsStrExt;
    let world = World::in_mode("DROPBOX_TO_LOCAL");
    world.put("a", "a");
    let odd = std::ffi::OsStr::from_bytes(b"bad\xff");
    fs::write(world.content().join(odd), "x").unwrap();
    world.put("desktop.ini", "x");
    world.sync();
    world.put("later", "l");
    world.sync();
    world.check_remote(&[("a", "a")]);
}

#[test]
fn an_older_index_does_not_catch_up_with_a_newer_cursor_by_listing() {
    // Each page of a listing counts as a commit: one of these makes it as many as the cursor's.
    for broken in 2..=8 {
        let world = populated();
        let file = world.state().join("index.db");
        let old = fs::read(&file).unwrap();
        world.dropbox.put("/n", b"n");
        world.dropbox.put("/d0/0", b"edited");
        world.dropbox.remove("/d1/1");
        // The cursor stands for these, and nothing here shows them yet.
        world.upload_only();
        fs::write(&file, old).unwrap();
        world.dropbox.set_page_limit(2);
        let dropbox = world.dropbox.clone();
        let mut pages = 0;
        world.on_request(move |request| {
            pages += u32::from(request.target.contains("list_folder"));
            if pages == broken {
                dropbox.inject(Fault::new("", When::Always, Effect::CutBefore));
            }
        });
        assert_eq!(world.sync().exit, ExitCode::TryLater, "page {broken}");
        world.on_request_nothing();
        world.dropbox.clear_faults();
        world.sync_ok();
        assert_eq!(world.local_tree(), world.remote_tree(), "page {broken}");
    }
}

#[test]
fn a_personal_token_of_another_app_deletes_nothing() {
    const ACCOUNT: &str = "dbid:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let mut world = world();
    world.dropbox.set_account_id(ACCOUNT);
    world.dropbox.set_root_namespace("77");
    for i in 0..5 {
        world.put(&format!("f{i}"), &format!("content {i}"));
    }
    world.sync_ok();
    // The other app sees another folder of the same account, and refuses the cursor.
    world.dropbox = dropbox_standin::Standin::with_seed(7);
    world.dropbox.set_account_id(ACCOUNT);
    world.dropbox.set_root_namespace("77");
    world.dropbox.put("/foreign", b"f");
    let token = world.dropbox.personal_access_token();
    let keys = format!("personal_access_token = \"{token}\"");
    world.dropbox_keys.replace(keys);
    let refused = Effect::Status(400, FOREIGN_CURSOR.to_owned());
    let once = Fault::new("list_folder/continue", When::Nth(1), refused);
    world.dropbox.inject(once);
    let outcome = world.sync_ok();
    assert_eq!(outcome.counts.deleted_locally, 0, "{outcome:?}");
    assert_eq!(world.local_tree().len(), 6);
    // The same app's next token goes on where the last one ended.
    world.remove("f0");
    world.sync_ok();
    assert_eq!(world.dropbox.read("/f0"), None);
}
