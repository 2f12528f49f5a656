//! Folders, and files and folders taking each other's place.

use ferrybox::error::ExitCode;

use crate::world::{World, world};

#[test]
fn empty_folders_travel_both_ways() {
    let world = world();
    world.mkdir("here/deep");
    world.dropbox.mkdir("/there/deep");
    world.sync_ok();
    world.check_both(&[
        ("here/", ""),
        ("here/deep/", ""),
        ("there/", ""),
        ("there/deep/", ""),
    ]);
    world.check_settled();
    world.remove("here");
    world.dropbox.remove("/there");
    world.sync_ok();
    world.check_both(&[]);
}

#[test]
fn a_folder_with_files_costs_no_request_of_its_own() {
    let world = world();
    world.put("a/b/c", "c");
    let outcome = world.sync_ok();
    assert_eq!(
        outcome.calls,
        ["users/get_current_account", "list_folder", "upload"]
    );
    world.check_both(&[("a/", ""), ("a/b/", ""), ("a/b/c", "c")]);
    world.check_settled();
}

#[test]
fn a_deleted_folder_that_holds_an_edit_is_made_again() {
    let world = world();
    world.put("d/a", "a");
    world.put("d/b", "b");
    world.put("keep", "k");
    world.sync_ok();
    world.dropbox.remove("/d");
    world.put("d/a", "edited");
    world.sync_ok();
    world.check_both(&[("d/", ""), ("d/a", "edited"), ("keep", "k")]);
    world.check_settled();
}

#[test]
fn a_local_folder_that_holds_something_unmanaged_stays_silently() {
    let world = world();
    *world.sync_keys.borrow_mut() = "hidden = false".to_owned();
    world.put("d/a", "a");
    world.put("d/.secret", "s");
    world.put("keep", "k");
    world.sync_ok();
    world.dropbox.remove("/d");
    world.sync_ok();
    world.check_local(&[("d/", ""), ("d/.secret", "s"), ("keep", "k")]);
    world.check_remote(&[("keep", "k")]);
    let before = world.written();
    let idle = world.sync_ok();
    assert_eq!(idle.calls.len(), 1);
    assert_eq!(world.written(), before);
}

#[test]
fn a_file_replaced_by_a_folder_here_changes_in_one_pass() {
    let world = world();
    world.put("x", "file");
    world.put("keep", "k");
    world.sync_ok();
    world.remove("x");
    world.put("x/inside", "i");
    world.sync_ok();
    world.check_both(&[("keep", "k"), ("x/", ""), ("x/inside", "i")]);
    world.check_settled();
}

#[test]
fn a_folder_replaced_by_a_file_here_changes_in_one_pass() {
    let world = world();
    world.put("x/inside", "i");
    world.put("keep", "k");
    world.sync_ok();
    world.remove("x");
    world.put("x", "file");
    world.sync_ok();
    world.check_both(&[("keep", "k"), ("x", "file")]);
    world.check_settled();
}

#[test]
fn a_file_replaced_by_a_folder_in_dropbox_changes_in_one_pass() {
    let world = world();
    world.put("x", "file");
    world.put("keep", "k");
    world.sync_ok();
    world.dropbox.remove("/x");
    world.dropbox.put("/x/inside", b"i");
    world.sync_ok();
    world.check_both(&[("keep", "k"), ("x/", ""), ("x/inside", "i")]);
    world.check_settled();
}

#[test]
fn a_folder_replaced_by_a_file_in_dropbox_changes_in_one_pass() {
    let world = world();
    world.put("x/inside", "i");
    world.put("keep", "k");
    world.sync_ok();
    world.dropbox.remove("/x");
    world.dropbox.put("/x", b"file");
    world.sync_ok();
    world.check_both(&[("keep", "k"), ("x", "file")]);
    world.check_settled();
}

#[test]
fn an_edited_file_is_kept_aside_when_dropbox_makes_a_folder_of_its_name() {
    let world = world();
    world.put("x.txt", "file");
    world.put("keep", "k");
    world.sync_ok();
    world.put("x.txt", "edited");
    world.set_mtime("x.txt", 1_767_225_600);
    world.dropbox.remove("/x.txt");
    world.dropbox.put("/x.txt/inside", b"i");
    world.sync_ok();
    world.check_both(&[
        ("keep", "k"),
        ("x (conflicted copy pi 2026-01-01).txt", "edited"),
        ("x.txt/", ""),
        ("x.txt/inside", "i"),
    ]);
    world.check_settled();
}

#[test]
fn one_way_modes_leave_a_swap_on_the_other_side_alone() {
    let world = World::in_mode("LOCAL_TO_DROPBOX");
    world.put("x", "file");
    world.put("keep", "k");
    world.sync_ok();
    world.dropbox.remove("/x");
    world.dropbox.put("/x/inside", b"i");
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::SomeFiles);
    assert_eq!(world.read("x").as_deref(), Some("file"));
    assert_eq!(world.dropbox.read("/x/inside").unwrap(), b"i");
}

#[test]
fn a_deep_tree_needs_no_stack() {
    let world = world();
    let path = vec!["d"; 120].join("/");
    world.put(&format!("{path}/f"), "deep");
    world.sync_ok();
    assert_eq!(world.dropbox.read(&format!("/{path}/f")).unwrap(), b"deep");
    let other = world.beside();
    other.download_only();
    assert_eq!(other.read(&format!("{path}/f")).as_deref(), Some("deep"));
}

#[test]
fn a_folder_deleted_before_its_echo_takes_its_files_along() {
    // The folder itself is not matched by the filter, so it has no row of its own.
    let world = world();
    *world.sync_keys.borrow_mut() = "upload_filter = [\"/b/.*\", \"/keep\"]".to_owned();
    world.put("b/b/a", "a");
    world.put("keep", "k");
    world.sync_ok();
    world.dropbox.remove("/b");
    world.sync_ok();
    world.sync_ok();
    assert_eq!(
        world.read("b/b/a"),
        None,
        "the delete reaches what lay in it"
    );
    // A pass that died before the folder was settled.
    let world = World::in_mode("LOCAL_TO_DROPBOX");
    world.put("b/a", "a");
    world.mkdir("empty");
    let cut = dropbox_standin::Effect::CutBefore;
    let always = dropbox_standin::When::Always;
    let fault = dropbox_standin::Fault::new("create_folder", always, cut);
    world.dropbox.inject(fault);
    assert_eq!(world.sync().exit, ExitCode::SomeFiles);
    world.dropbox.clear_faults();
    world.dropbox.remove("/b");
    world.sync_ok();
    world.sync_ok();
    assert_eq!(
        world.dropbox.read("/b/a").as_deref(),
        Some(&b"a"[..]),
        "it is backed up again"
    );
}

#[test]
fn a_file_whose_copy_exists_already_makes_way_without_a_second_one() {
    let world = world();
    // The copy of the edit exists already: setting aside would only remove the file.
    let copy = "x (conflicted copy pi 2026-01-01).txt";
    world.put("x.txt", "file");
    world.put("keep", "k");
    world.sync_ok();
    for name in ["x.txt", copy] {
        world.put(name, "edited");
        world.set_mtime(name, 1_767_225_600);
    }
    world.dropbox.remove("/x.txt");
    world.dropbox.put("/x.txt/inside", b"i");
    world.sync_ok();
    world.sync_ok();
    let tree = world.local_tree();
    assert_eq!(tree[copy], "edited");
    assert_eq!(tree["x.txt/inside"], "i");
    assert_eq!(world.remote_tree(), tree);
}
