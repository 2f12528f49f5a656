//! A file on one side, a folder on the other: what is there now decides, whatever the history.
//! Dropbox takes the name where changes come down, and no content is lost.

use ferrybox::error::ExitCode;

use crate::world::{Outcome, World, world};

const BOTH_WAYS: [&str; 2] = ["BIDIRECTIONAL", "DROPBOX_TO_LOCAL"];

/// A folder in step with a file in it, and one beside it that keeps the guards quiet.
fn in_step(mode: &'static str) -> World {
    let world = world();
    world.put("x/old", "in step");
    world.put("keep", "k");
    world.sync_ok();
    world.set_mode(mode);
    world
}

/// Where `x` has gone, by what is there beside it.
#[track_caller]
fn copy_of_x(world: &World) -> String {
    let tree = world.local_tree();
    let mut names: Vec<_> = tree
        .keys()
        .filter_map(|path| path.split('/').next())
        .filter(|name| name.starts_with("x (conflicted copy pi "))
        .collect();
    names.dedup();
    assert_eq!(names.len(), 1, "{tree:?}");
    names[0].to_owned()
}

fn fetches(outcome: &Outcome) -> bool {
    outcome.calls.iter().any(|call| call.contains("download"))
}

#[track_caller]
fn check_one_problem(outcome: &Outcome, path: &str) {
    assert_eq!(outcome.exit, ExitCode::SomeFiles, "{outcome:?}");
    let paths: Vec<_> = outcome.problems.keys().collect();
    assert_eq!(paths, [path], "{outcome:?}");
}

/// Here a file took the place of the folder, there something new is in it.
#[test]
fn a22_a_file_here_makes_way_for_a_folder_that_is_not_empty_in_dropbox() {
    for (mode, new) in [
        ("BIDIRECTIONAL", "/x/new"),
        ("BIDIRECTIONAL", "/x/a/b/c/new"),
        ("BIDIRECTIONAL", "/x/old"),
        ("DROPBOX_TO_LOCAL", "/x/new"),
    ] {
        let world = in_step(mode);
        world.remove("x");
        world.put("x", "a file by now");
        world.dropbox.put(new, b"new there");
        let outcome = world.sync_ok();
        assert_eq!(outcome.counts.conflicts, 1, "{mode} {new}: {outcome:?}");
        let here = world.local_tree();
        assert_eq!(here[&copy_of_x(&world)], "a file by now", "{mode} {new}");
        assert_eq!(here[&new[1..]], "new there", "{mode} {new}");
        if mode == "BIDIRECTIONAL" {
            assert_eq!(world.remote_tree(), here, "{mode} {new}");
        }
        world.check_settled();
    }
}

/// There a file took the place of the folder, here something new or edited is in it.
#[test]
fn a22_a_folder_here_makes_way_for_a_file_in_dropbox() {
    for mode in BOTH_WAYS {
        for path in ["x/new", "x/a/b/new", "x/old"] {
            let world = in_step(mode);
            world.put(path, "unsettled");
            world.dropbox.remove("/x");
            world.dropbox.put("/x", b"a file by now");
            let outcome = world.sync_ok();
            assert_eq!(outcome.counts.conflicts, 1, "{mode} {path}: {outcome:?}");
            let here = world.local_tree();
            let kept = path.replacen('x', &copy_of_x(&world), 1);
            assert_eq!(here[&kept], "unsettled", "{mode} {path}");
            assert_eq!(here["x"], "a file by now", "{mode} {path}");
            if mode == "BIDIRECTIONAL" {
                assert_eq!(world.remote_tree(), here, "{path}");
            }
            world.sync_ok();
            world.check_settled();
        }
    }
}

/// Without any history, and where the file in Dropbox was in step with one here.
#[test]
fn a22_a_folder_here_makes_way_whatever_the_history() {
    for mode in BOTH_WAYS {
        let world = World::in_mode(mode);
        world.put("x/in", "never in step");
        world.dropbox.put("/x", b"a file there");
        world.sync_ok();
        let kept = format!("{}/in", copy_of_x(&world));
        assert_eq!(world.read(&kept).as_deref(), Some("never in step"));
        assert_eq!(world.read("x").as_deref(), Some("a file there"));

        let world = World::in_mode(mode);
        world.put("x", "file");
        world.put("keep", "k");
        world.sync_ok();
        world.remove("x");
        world.put("x/in", "a folder by now");
        world.dropbox.put("/x", b"edited there");
        world.sync_ok();
        let kept = format!("{}/in", copy_of_x(&world));
        assert_eq!(world.read(&kept).as_deref(), Some("a folder by now"));
        assert_eq!(world.read("x").as_deref(), Some("edited there"));
        world.sync_ok();
        world.check_settled();
    }
    // Nothing in Dropbox was edited, and nothing goes there: the folder is what is in the way.
    let world = World::in_mode("DROPBOX_TO_LOCAL");
    world.put("x", "file");
    world.put("keep", "k");
    world.sync_ok();
    world.remove("x");
    world.put("x/in", "a folder by now");
    world.sync_ok();
    world.dropbox.put("/poke", b"p");
    world.sync_ok();
    assert_eq!(world.read("x").as_deref(), Some("file"));
    let kept = format!("{}/in", copy_of_x(&world));
    assert_eq!(world.read(&kept).as_deref(), Some("a folder by now"));
}

/// A clash in a clash: two levels change their types at once.
#[test]
fn a22_clashes_within_one_another_are_all_decided() {
    let world = world();
    world.put("x/y/z", "in step");
    world.put("keep", "k");
    world.sync_ok();
    world.put("x/y/z", "edited here");
    world.put("x/w", "new here");
    world.dropbox.remove("/x/y");
    world.dropbox.put("/x/y", b"y there");
    world.dropbox.put("/x/w/in", b"w there");
    let outcome = world.sync_ok();
    assert_eq!(outcome.counts.conflicts, 2, "{outcome:?}");
    let here = world.local_tree();
    assert_eq!(here["x/y"], "y there");
    assert_eq!(here["x/w/in"], "w there");
    for content in ["edited here", "new here"] {
        assert!(here.values().any(|found| found == content), "{here:?}");
    }
    assert_eq!(world.remote_tree(), here);
    world.check_settled();
}

/// Uploads touch nothing here: one line, however much is below, in every run.
#[test]
fn a22_where_nothing_comes_down_a_clash_is_one_problem() {
    let world = in_step("LOCAL_TO_DROPBOX");
    for name in ["a", "b", "c/d/e"] {
        world.put(&format!("x/{name}"), "new here");
    }
    world.dropbox.remove("/x");
    world.dropbox.put("/x", b"a file by now");
    for _ in 0..2 {
        check_one_problem(&world.sync(), "/x");
    }
    let world = in_step("LOCAL_TO_DROPBOX");
    world.remove("x");
    world.put("x", "a file by now");
    world.dropbox.put("/x/new", b"new there");
    for _ in 0..2 {
        check_one_problem(&world.sync(), "/x");
    }
    assert_eq!(world.read("x").as_deref(), Some("a file by now"));
    assert_eq!(world.dropbox.read("/x/new").unwrap(), b"new there");
    // Whichever makes way, the other one goes on.
    world.dropbox.remove("/x");
    world.sync_ok();
    world.check_both(&[("keep", "k"), ("x", "a file by now")]);
}

/// Rules that leave out some of what is in a folder.
const HIDING: &str = "exclude = ['/x/.*secret']\nhidden = false";

/// The name of the folder may be what keeps something from going up.
#[test]
fn a22_a_folder_that_holds_what_is_not_synced_makes_no_way() {
    let unmanaged = |world: &World, what: &str| match what {
        "excluded" => world.put("x/secret", "not for Dropbox"),
        "hidden" => world.put("x/.git/config", "hidden"),
        "deep" => world.put("x/a/b/secret", "not for Dropbox"),
        "link" => world.hands().link("/etc/hostname", "x/link"),
        _ => world.put("x/.ferrybox-root", "another content dir"),
    };
    for mode in BOTH_WAYS {
        for what in ["excluded", "hidden", "deep", "link", "nested"] {
            let world = in_step(mode);
            *world.sync_keys.borrow_mut() = HIDING.to_owned();
            unmanaged(&world, what);
            world.put("x/new", "new here");
            world.dropbox.remove("/x");
            world.dropbox.put("/x", b"a file by now");
            for _ in 0..2 {
                let outcome = world.sync();
                check_one_problem(&outcome, "/x");
                assert!(
                    outcome.problems["/x"].contains("not synced"),
                    "{what}: {outcome:?}"
                );
                assert!(!fetches(&outcome), "{what}: {outcome:?}");
            }
            assert_eq!(world.read("x/new").as_deref(), Some("new here"));
            let there = world.remote_tree();
            assert_eq!(there["x"], "a file by now");
            assert!(!there.values().any(|content| content.contains("not for")));
        }
    }
}

#[test]
fn a22_the_copy_of_a_folder_takes_no_name_that_is_taken() {
    for taken_there in [false, true] {
        let world = world();
        world.put("x/in", "here");
        world.set_mtime("x", 1_767_225_600);
        let plain = "X (Conflicted Copy pi 2026-01-01)";
        if taken_there {
            world.dropbox.put(&format!("/{plain}"), b"taken");
        } else {
            world.put(plain, "taken");
        }
        world.dropbox.put("/x", b"there");
        world.sync_ok();
        let tree = world.local_tree();
        assert_eq!(tree[plain], "taken");
        assert_eq!(tree["x"], "there");
        let digits = tree
            .keys()
            .find_map(|path| path.strip_prefix("x (conflicted copy pi 2026-01-01 "));
        assert_eq!(digits.map(str::len), Some("01234567)/".len()), "{tree:?}");
        assert_eq!(world.remote_tree(), tree);
    }
}

#[test]
fn a22_a_download_that_fails_leaves_the_folder_in_its_place() {
    let world = in_step("BIDIRECTIONAL");
    world.put("x/new", "new here");
    world.dropbox.remove("/x");
    world.dropbox.put("/x", b"a file by now");
    let refused = dropbox_standin::Effect::refused("path/restricted_content");
    let refused =
        dropbox_standin::Fault::new("files/download", dropbox_standin::When::Always, refused);
    world.dropbox.inject(refused);
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::SomeFiles, "{outcome:?}");
    assert_eq!(world.read("x/new").as_deref(), Some("new here"));
    world.dropbox.clear_faults();
    world.clock.advance(90_000);
    world.sync_ok();
    assert_eq!(world.read("x").as_deref(), Some("a file by now"));
    assert_eq!(world.remote_tree(), world.local_tree());
}

#[test]
fn a22_a_dry_run_says_what_makes_way() {
    let world = in_step("BIDIRECTIONAL");
    world.remove("x");
    world.sync_ok();
    world.put("x/new", "new here");
    world.dropbox.put("/x", b"a file by now");
    let planned = world.dry_run();
    assert_eq!(planned.counts.conflicts, 1, "{planned:?}");
    assert_eq!(planned.counts.downloaded, 1, "{planned:?}");
    assert_eq!(world.read("x/new").as_deref(), Some("new here"));
    world.sync_ok();
    assert_eq!(world.read("x").as_deref(), Some("a file by now"));
}

/// What lay in a folder that both sides have done away with is forgotten, whatever has its name.
#[test]
fn a22_nothing_is_left_of_a_folder_that_gave_way_to_a_file_on_both_sides() {
    let world = world();
    world.put("keep", "k");
    world.put("f/x", "here");
    world.put("F", "a file");
    world.dropbox.put("/f/y", b"there");
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::SomeFiles, "two names of one key");
    assert_eq!(world.read("f/y").as_deref(), Some("there"));
    world.remove("f");
    world.put("F", "a file by now");
    world.dropbox.remove("/f");
    world.sync_ok();
    world.check_both(&[("F", "a file by now"), ("keep", "k")]);
    world.check_settled();
    // What is put there again is new, whatever it holds.
    world.remove("F");
    world.sync_ok();
    world.put("f/y", "there");
    world.sync_ok();
    world.check_both(&[("f/", ""), ("f/y", "there"), ("keep", "k")]);
}

/// While the file of Dropbox comes down, something is put into the folder that is not synced.
#[test]
fn a22_a_folder_is_looked_into_once_more_before_it_makes_way() {
    let world = in_step("BIDIRECTIONAL");
    *world.sync_keys.borrow_mut() = "hidden = false".to_owned();
    world.put("x/new", "new here");
    world.dropbox.remove("/x");
    world.dropbox.put("/x", b"a file by now");
    let hands = world.hands();
    world.on_request(move |request| {
        if request.target.contains("files/download") {
            hands.put("x/.hidden", b"not for Dropbox");
        }
    });
    let outcome = world.sync();
    check_one_problem(&outcome, "/x");
    assert!(outcome.problems["/x"].contains("/x/.hidden"), "{outcome:?}");
    assert_eq!(world.read("x/new").as_deref(), Some("new here"));
    assert_eq!(world.read("x/.hidden").as_deref(), Some("not for Dropbox"));
}
