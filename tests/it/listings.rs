//! Listings as Dropbox gives them at its worst: whole ones that never come, so that folders are
//! listed one by one, and pages with an entry each or none.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use dropbox_standin::{Effect, Fault, When};
use ferrybox::error::ExitCode;
use ferrybox::index::{Index, Trees};

use crate::world::{World, world};

/// What Dropbox's own edge says after 90 seconds.
fn too_slow() -> Effect {
    Effect::Status(504, "upstream request timeout".to_owned())
}

/// No listing of everything comes, whatever its pages hold.
fn give_no_whole_listing(world: &World) {
    let fault = Fault::exactly("files/list_folder", When::Always, too_slow());
    world.dropbox.inject(fault.about("\"recursive\":true"));
}

/// The bodies of all requests of a route from now on.
fn asked(world: &World, route: &'static str) -> Arc<Mutex<Vec<String>>> {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&bodies);
    world.on_request(move |request| {
        if request.target.ends_with(route) {
            let body = String::from_utf8_lossy(&request.body).into_owned();
            seen.lock().unwrap().push(body);
        }
    });
    bodies
}

fn count(bodies: &Mutex<Vec<String>>, part: &str) -> usize {
    let bodies = bodies.lock().unwrap();
    bodies.iter().filter(|body| body.contains(part)).count()
}

/// Three folders with folders in them.
fn populate(world: &World) {
    for at in 0..27 {
        let path = format!("/D{}/e{}/{at}", at % 3, at % 9);
        world.dropbox.put(&path, format!("content {at}").as_bytes());
    }
    world.dropbox.mkdir("/D0/empty");
}

#[test]
fn r3_a_listing_that_never_comes_whole_comes_folder_by_folder() {
    let world = world();
    populate(&world);
    give_no_whole_listing(&world);
    let bodies = asked(&world, "files/list_folder");
    let outcome = world.sync_ok();
    for (limit, times) in [(2000, 2), (500, 1), (100, 1)] {
        let part = format!("\"limit\":{limit},\"path\":\"\",\"recursive\":true");
        assert_eq!(count(&bodies, &part), times, "{bodies:?}");
    }
    // The top, three folders, and what lies in them.
    assert_eq!(count(&bodies, "\"recursive\":false"), 1 + 3 + 9 + 1);
    let cursors = outcome.calls.iter();
    let cursors = cursors.filter(|call| call.ends_with("get_latest_cursor"));
    assert_eq!(cursors.count(), 1, "{outcome:?}");
    world.on_request_nothing();
    assert_eq!(world.local_tree(), world.remote_tree());
    world.dropbox.put("/D1/later", b"l");
    world.sync_ok();
    assert_eq!(world.read("D1/later").as_deref(), Some("l"));
    world.check_settled();
}

#[test]
fn r3_smaller_pages_are_tried_first() {
    for limit in [500, 100] {
        let world = world();
        populate(&world);
        for larger in [2000, 500, 100].into_iter().filter(|it| *it > limit) {
            let about = format!("\"limit\":{larger},");
            let fault = Fault::exactly("files/list_folder", When::Always, too_slow());
            world.dropbox.inject(fault.about(&about));
        }
        let outcome = world.sync_ok();
        let is_walk = |call: &String| call.ends_with("get_latest_cursor");
        assert!(!outcome.calls.iter().any(is_walk), "{outcome:?}");
        assert_eq!(world.local_tree(), world.remote_tree());
        world.check_settled();
    }
}

#[test]
fn r3_a_listing_that_breaks_in_its_middle_comes_folder_by_folder() {
    let world = world();
    populate(&world);
    world.dropbox.set_page_limit(7);
    let fault = Fault::exactly("files/list_folder/continue", When::First(3), too_slow());
    world.dropbox.inject(fault);
    let outcome = world.sync_ok();
    let is_walk = |call: &String| call.ends_with("get_latest_cursor");
    assert!(outcome.calls.iter().any(is_walk), "{outcome:?}");
    assert_eq!(world.local_tree(), world.remote_tree());
    world.check_settled();
}

/// Where Dropbox answers nothing at all, what is staged stays.
#[test]
fn r3_half_a_listing_is_kept_while_dropbox_answers_nothing() {
    let world = world();
    populate(&world);
    world.dropbox.set_page_limit(7);
    let fault = Fault::new("list_folder/", When::Always, too_slow());
    world.dropbox.inject(fault);
    assert_eq!(world.sync().exit, ExitCode::TryLater);
    world.dropbox.clear_faults();
    let outcome = world.sync_ok();
    assert_eq!(outcome.calls[0], "list_folder/continue", "{outcome:?}");
    assert_eq!(world.local_tree(), world.remote_tree());
}

/// In step, and from now on Dropbox does not tell what changes.
fn mute() -> World {
    let world = world();
    populate(&world);
    world.sync_ok();
    world.sync_ok();
    world.dropbox.put("/D0/new", b"new");
    world.dropbox.remove("/D1/e1");
    world.remove("D2/e2/2");
    *world.guard_keys.borrow_mut() = "max_delete_count = 100".to_owned();
    let route = "files/list_folder/continue";
    world
        .dropbox
        .inject(Fault::exactly(route, When::Always, too_slow()));
    world
}

fn lists_all(calls: &[String]) -> bool {
    // The plain question is one, and the listing another.
    calls.iter().filter(|call| *call == "list_folder").count() > 1
}

#[test]
fn r3_changes_that_are_not_told_are_found_by_listing_again() {
    let world = mute();
    for _ in 0..2 {
        let outcome = world.sync();
        assert_eq!(outcome.exit, ExitCode::TryLater, "{outcome:?}");
        assert!(!lists_all(&outcome.calls), "{outcome:?}");
    }
    let outcome = world.sync();
    assert!(lists_all(&outcome.calls), "{outcome:?}");
    assert_eq!(world.read("D0/new").as_deref(), Some("new"));
    assert_eq!(world.read("D1/e1/1"), None);
    assert_eq!(world.local_tree(), world.remote_tree());
    // The same again, ever more seldom.
    let mut listed = Vec::new();
    for nth in 0..20 {
        world.dropbox.put(&format!("/D0/{nth} more"), b"more");
        if lists_all(&world.sync().calls) {
            listed.push(nth);
        }
    }
    assert_eq!(listed, [5, 17]);
    world.dropbox.clear_faults();
    world.sync_ok();
    assert_eq!(world.local_tree(), world.remote_tree());
    world.check_settled();
}

#[test]
fn r3_changes_are_found_folder_by_folder_where_no_listing_comes_either() {
    let world = mute();
    world.dropbox.set_page_limit(1000);
    give_no_whole_listing(&world);
    for _ in 0..3 {
        world.sync();
    }
    world.dropbox.clear_faults();
    world.sync_ok();
    assert_eq!(world.read("D0/new").as_deref(), Some("new"));
    assert_eq!(world.local_tree(), world.remote_tree());
    world.check_settled();
}

#[test]
fn r3_nothing_is_listed_again_while_dropbox_answers_nothing() {
    let world = mute();
    world
        .dropbox
        .inject(Fault::new("", When::Always, Effect::CutBefore));
    for _ in 0..12 {
        let outcome = world.sync();
        assert_eq!(outcome.exit, ExitCode::TryLater, "{outcome:?}");
        assert!(!lists_all(&outcome.calls), "{outcome:?}");
    }
    world.dropbox.clear_faults();
    let outcome = world.sync_ok();
    assert!(!lists_all(&outcome.calls), "{outcome:?}");
    assert_eq!(world.local_tree(), world.remote_tree());
}

#[test]
fn r3_it_goes_on_where_a_pass_ended() {
    let world = world();
    populate(&world);
    give_no_whole_listing(&world);
    let fault = Fault::exactly("files/list_folder", When::Always, too_slow());
    world.dropbox.inject(fault.about("\"path\":\"/d1/e4\""));
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::TryLater, "{outcome:?}");
    assert!(world.local_tree().is_empty(), "half a listing counts");
    world.dropbox.clear_faults();
    give_no_whole_listing(&world);
    let bodies = asked(&world, "files/list_folder");
    world.sync_ok();
    world.on_request_nothing();
    // The whole is asked for first, in pages of any size.
    assert_eq!(count(&bodies, "\"recursive\":true"), 4, "{bodies:?}");
    assert!(bodies.lock().unwrap()[4].contains("/d1/e4"), "{bodies:?}");
    assert_eq!(count(&bodies, "\"path\":\"/d0\""), 0, "{bodies:?}");
    assert_eq!(world.local_tree(), world.remote_tree());
    world.check_settled();
}

#[test]
fn r3_it_goes_on_within_a_folder_of_many_pages() {
    let world = world();
    for at in 0..40 {
        world.dropbox.put(&format!("/d/{at:02}"), b"x");
    }
    world
        .dropbox
        .change_habits(|habits| habits.page_limit = Some(5));
    give_no_whole_listing(&world);
    let dropbox = world.dropbox.clone();
    let mut pages = 0;
    world.on_request(move |request| {
        pages += u32::from(request.target.ends_with("list_folder/continue"));
        if pages == 4 {
            dropbox.inject(Fault::exactly(
                "files/list_folder/continue",
                When::Always,
                too_slow(),
            ));
        }
    });
    assert_eq!(world.sync().exit, ExitCode::TryLater);
    world.on_request_nothing();
    world.dropbox.clear_faults();
    give_no_whole_listing(&world);
    let outcome = world.sync_ok();
    let listings = outcome.calls.iter();
    let listings = listings.filter(|call| call.starts_with("list_folder"));
    // The whole in vain, four pages of the folder, and what came since.
    assert_eq!(listings.count(), 9, "{outcome:?}");
    assert_eq!(world.local_tree(), world.remote_tree());
    world.check_settled();
}

#[test]
fn r3_half_a_walk_of_another_folder_is_thrown_away() {
    let world = world();
    populate(&world);
    give_no_whole_listing(&world);
    let fault = Fault::exactly("files/list_folder", When::Always, too_slow());
    world.dropbox.inject(fault.about("\"path\":\"/d1/e4\""));
    assert_eq!(world.sync().exit, ExitCode::TryLater);
    world.dropbox.clear_faults();
    give_no_whole_listing(&world);
    world
        .dropbox_keys
        .borrow_mut()
        .push_str("\nremote_root = \"/D0\"");
    world.sync_ok();
    assert_eq!(world.read("e0/0").as_deref(), Some("content 0"));
    assert_eq!(world.local_tree().len(), 3 + 9 + 1);
    world.check_settled();
}

/// Moved from a folder that is still to come into one that was listed already: the walk sees it
/// nowhere.
#[test]
fn r3_what_is_moved_while_folders_are_listed_is_not_lost() {
    let world = world();
    for at in 0..6 {
        world.put(&format!("a/{at}"), &format!("a{at}"));
        world.put(&format!("b/c/{at}"), &format!("bc{at}"));
    }
    world.sync_ok();
    world.remove_state_file("cursor.json");
    give_no_whole_listing(&world);
    let dropbox = world.dropbox.clone();
    world.on_request(move |request| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        if body.contains("\"path\":\"/b\"") && dropbox.read("/b/c/1").is_some() {
            dropbox.rename("/b/c", "/a/c");
        }
    });
    let outcome = world.sync_ok();
    world.on_request_nothing();
    assert_eq!(outcome.counts.deleted_in_dropbox, 0, "{outcome:?}");
    assert_eq!(outcome.counts.downloaded, 0, "{outcome:?}");
    assert_eq!(world.local_tree(), world.remote_tree());
    assert_eq!(world.read("a/c/1").as_deref(), Some("bc1"));
    world.check_settled();
}

#[test]
fn r3_a_folder_that_goes_meanwhile_is_gone() {
    let world = world();
    populate(&world);
    give_no_whole_listing(&world);
    let dropbox = world.dropbox.clone();
    world.on_request(move |request| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        if body.contains("\"path\":\"/d2\"") {
            dropbox.remove("/D2");
        }
    });
    world.sync_ok();
    world.on_request_nothing();
    assert_eq!(world.local_tree(), world.remote_tree());
    assert_eq!(world.read("D2/e2/2"), None);
    world.check_settled();
}

/// Unknown is not absent: a folder that is there and is not listed counts as no empty one.
#[test]
fn r3_a_folder_that_is_there_and_cannot_be_listed_ends_the_pass() {
    let world = world();
    populate(&world);
    world.sync_ok();
    world.remove_state_file("cursor.json");
    give_no_whole_listing(&world);
    let fault = Fault::new(
        "files/list_folder",
        When::Always,
        Effect::refused("path/not_found"),
    );
    world.dropbox.inject(fault.about("\"path\":\"/d1\""));
    let before = world.local_tree();
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::TryLater, "{outcome:?}");
    assert!(outcome.error.contains("/d1"), "{outcome:?}");
    assert_eq!(world.local_tree(), before);
    world.dropbox.clear_faults();
    world.sync_ok();
    assert_eq!(world.local_tree(), before);
    world.check_settled();
}

/// What the index holds of each name, of both sides.
fn rows(world: &World) -> Vec<String> {
    let file = world.state().join("index.db");
    let index = Index::open(&file).unwrap().unwrap();
    let rows = Rc::new(RefCell::new(Vec::new()));
    Trees(&index)
        .each_below(&ferrybox::core::path::Key::default(), &mut |row| {
            let lower = row.lower.clone().unwrap_or_default();
            let name = &row.display_name;
            let line = format!("{} {name} {lower} {:?}", row.key.path(), row.remote_now());
            rows.borrow_mut().push(line);
            Ok(())
        })
        .unwrap();
    rows.take()
}

/// A folder that a filter prunes is not listed, and its letters are known all the same (A21).
#[test]
fn r3_folder_by_folder_and_whole_come_to_the_same() {
    for keys in ["", "exclude = ['/Cache', '.*\\.TMP']", "hidden = false"] {
        let first = world();
        populate(&first);
        for path in [
            "/Cache/deep/x",
            "/cold/Cache/y",
            "/cold/f.TMP",
            "/.git/z",
            "/.x",
        ] {
            first.dropbox.put(path, path.as_bytes());
        }
        first.dropbox.put("/Ünï/ẞ/ǅ", b"u");
        first.sync_keys.borrow_mut().push_str(keys);
        let other = first.beside();
        first.sync_ok();
        give_no_whole_listing(&other);
        let bodies = asked(&other, "files/list_folder");
        other.sync_ok();
        other.on_request_nothing();
        assert_eq!(rows(&other), rows(&first), "{keys}");
        assert_eq!(other.local_tree(), first.local_tree());
        let is_pruned = keys.contains("Cache");
        assert_eq!(count(&bodies, "\"/cache") == 0, is_pruned, "{bodies:?}");
        assert_eq!(count(&bodies, "\"/cold\""), 1, "{bodies:?}");
        let hides = keys.contains("hidden");
        assert_eq!(count(&bodies, "\"/.git\"") == 0, hides, "{bodies:?}");
        other.check_settled();
    }
}

/// Else each level would double what is to be listed.
#[test]
fn r3_what_is_told_twice_is_listed_once() {
    let world = world();
    world.dropbox.put("/a/b/c/d/e/f/g/h", b"h");
    give_no_whole_listing(&world);
    world.dropbox.inject(Fault::new(
        "list_folder",
        When::Always,
        Effect::DuplicatePage,
    ));
    let bodies = asked(&world, "files/list_folder");
    world.sync_ok();
    world.on_request_nothing();
    assert_eq!(count(&bodies, "\"recursive\":false"), 8, "{bodies:?}");
    assert_eq!(world.local_tree(), world.remote_tree());
}

#[test]
fn r3_below_a_remote_root_too() {
    let world = world();
    world
        .dropbox_keys
        .borrow_mut()
        .push_str("\nremote_root = \"/Kitchen\"");
    world.dropbox.put("/kitchen/Pots/a", b"a");
    world.dropbox.put("/other/b", b"b");
    give_no_whole_listing(&world);
    let bodies = asked(&world, "files/list_folder");
    world.sync_ok();
    world.on_request_nothing();
    assert_eq!(world.read("Pots/a").as_deref(), Some("a"));
    assert_eq!(count(&bodies, "/other"), 0, "{bodies:?}");
    world.check_settled();
    // It is another one now: nothing follows from what was known of it.
    world.dropbox.remove("/kitchen");
    assert_eq!(world.sync().exit, ExitCode::Halted);
    assert_eq!(world.read("Pots/a").as_deref(), Some("a"));
}

#[test]
fn r12_pages_of_one_entry_come_through() {
    for is_whole in [true, false] {
        let world = world();
        populate(&world);
        world
            .dropbox
            .change_habits(|habits| habits.page_limit = Some(1));
        if !is_whole {
            give_no_whole_listing(&world);
        }
        world.sync_ok();
        assert_eq!(world.local_tree(), world.remote_tree());
        world.check_settled();
    }
}

#[test]
fn r12_many_pages_without_entries_come_through() {
    for is_whole in [true, false] {
        let world = world();
        world.dropbox.put("/d/a", b"a");
        world
            .dropbox
            .change_habits(|habits| habits.empty_pages = 150);
        if !is_whole {
            give_no_whole_listing(&world);
        }
        world.sync_ok();
        assert_eq!(world.local_tree(), world.remote_tree());
        world.dropbox.put("/d/b", b"b");
        world.sync_ok();
        assert_eq!(world.local_tree(), world.remote_tree());
        world.check_settled();
    }
}

/// H4: a walk in which a folder fails says which, and gives way to a whole listing that comes.
#[test]
fn h4_a_whole_listing_that_comes_again_takes_the_place_of_a_walk_that_fails() {
    let world = world();
    populate(&world);
    for nth in 0..3 {
        world.dropbox.put(&format!("/shut/{nth}"), b"shut");
    }
    give_no_whole_listing(&world);
    let fault = Fault::exactly("files/list_folder", When::Always, too_slow());
    let shut = "\"path\":\"/shut\",\"recursive\":false";
    world.dropbox.inject(fault.about(shut));
    for _ in 0..2 {
        let outcome = world.sync();
        assert_eq!(outcome.exit, ExitCode::TryLater, "{outcome:?}");
        assert!(outcome.error.contains("the folder /shut"), "{outcome:?}");
        assert!(world.local_tree().is_empty());
    }
    // The one folder still fails.
    world.dropbox.clear_faults();
    let fault = Fault::exactly("files/list_folder", When::Always, too_slow());
    world.dropbox.inject(fault.about(shut));
    world.dropbox.set_page_limit(3);
    world.sync_ok();
    assert_eq!(world.local_tree(), world.remote_tree());
    world.check_settled();
}

/// M1: what is listed folder by folder waits for what has changed meanwhile, and that is said.
#[test]
fn m1_a_walk_whose_changes_do_not_come_says_what_it_waits_for() {
    let world = world();
    populate(&world);
    give_no_whole_listing(&world);
    let fault = Fault::exactly("files/list_folder/continue", When::Always, too_slow());
    world.dropbox.inject(fault);
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::TryLater, "{outcome:?}");
    let words = "nothing is done about them until Dropbox tells what has changed";
    assert!(outcome.error.contains(words), "{outcome:?}");
    let outcome = world.sync();
    let words = "nothing is done until Dropbox tells what has changed";
    assert!(outcome.error.contains(words), "{outcome:?}");
}
