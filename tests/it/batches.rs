//! Many things in few calls: uploads, deletes, folders and renames, and what becomes of single
//! entries when a call for many of them fails.

use std::sync::{Arc, Mutex};

use dropbox_standin::{Effect, Fault, Launch, When};
use ferrybox::error::ExitCode;

use crate::sim::seam::Op;
use crate::world::{Outcome, World, world};

/// A world with so many new files of a few hundred bytes in two folders.
fn many(count: usize) -> World {
    let world = world();
    for i in 0..count {
        let dir = ["a", "b/c"][i % 2];
        world.put(&format!("{dir}/{i:04}"), &content(i));
    }
    world
}

fn content(i: usize) -> String {
    format!("content {i} ").repeat(1 + i % 40)
}

fn times(outcome: &Outcome, route: &str) -> usize {
    outcome.calls.iter().filter(|call| *call == route).count()
}

#[track_caller]
fn check_all_up(world: &World, count: usize) {
    assert_eq!(world.remote_tree(), world.local_tree());
    let outcome = world.sync_ok();
    assert_eq!(outcome.counts.uploaded, 0, "{outcome:?}");
    assert!(world.local_tree().len() >= count);
    world.check_settled();
}

#[test]
fn a_thousand_small_files_go_up_in_at_most_thirty_calls() {
    let world = many(1000);
    let outcome = world.sync_ok();
    assert_eq!(outcome.counts.uploaded, 1000);
    assert!(outcome.calls.len() <= 30, "{:?}", outcome.calls);
    // Four hundred at a time.
    assert_eq!(times(&outcome, "upload_session/finish_batch_v2"), 3);
    check_all_up(&world, 1000);
}

/// R2: what was committed although no answer came is not committed again, and counts.
#[test]
fn r2_a_commit_that_gets_no_answer_is_tried_with_fewer_files() {
    for (effect, wanted) in [
        (Effect::CutBefore, vec![300, 75, 60, 60, 60, 60, 60]),
        (
            Effect::Status(504, String::new()),
            vec![300, 75, 60, 60, 60, 60, 60],
        ),
        (Effect::CutAfter, vec![300, 75, 60]),
    ] {
        let world = many(300);
        let sizes = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&sizes);
        world.on_request(move |request| {
            if request.target.contains("finish_batch_v2") {
                let body = String::from_utf8_lossy(&request.body);
                seen.lock()
                    .unwrap()
                    .push(body.matches("session_id").count());
            }
        });
        let fault = Fault::new("finish_batch_v2", When::First(2), effect.clone());
        world.dropbox.inject(fault);
        let outcome = world.sync_ok();
        world.on_request_nothing();
        let sizes = sizes.lock().unwrap();
        assert_eq!(sizes[..wanted.len()], wanted, "{effect:?}: {sizes:?}");
        assert_eq!(
            outcome.counts.uploaded + outcome.counts.adopted,
            300,
            "{effect:?}"
        );
        assert!(world.dropbox.replaced().is_empty(), "{effect:?}");
        assert_eq!(times(&outcome, "upload"), 0, "{effect:?}: {outcome:?}");
        check_all_up(&world, 300);
    }
}

#[test]
fn a_batch_holds_at_most_32_mib() {
    let world = world();
    for i in 0..20 {
        world.put_bytes(&format!("{i:02}"), &vec![i; 2 << 20]);
    }
    world.on_request(|request| {
        let is_append = request.target.contains("append_batch");
        assert!(!is_append || request.body.len() <= 32 << 20);
    });
    let outcome = world.sync_ok();
    assert_eq!(times(&outcome, "upload_session/finish_batch_v2"), 2);
    check_all_up(&world, 20);
}

#[test]
fn a_single_small_file_takes_a_single_call() {
    let world = world();
    world.put("keep", "k");
    world.sync_ok();
    world.put("f", "f");
    let outcome = world.sync_ok();
    assert_eq!(outcome.calls, ["list_folder/continue", "upload"]);
}

#[test]
fn edited_files_go_up_together_each_over_the_version_it_is_based_on() {
    let world = many(20);
    world.sync_ok();
    for i in 0..20 {
        let dir = ["a", "b/c"][i % 2];
        world.put(&format!("{dir}/{i:04}"), &format!("edited {i}"));
    }
    // Dropbox has moved on for one of them, and no listing has told yet.
    let dropbox = world.dropbox.clone();
    let mut once = true;
    world.on_request(move |request| {
        if request.target.contains("start_batch") && std::mem::take(&mut once) {
            dropbox.put("/a/0004", b"edited there");
        }
    });
    let outcome = world.sync_ok();
    assert_eq!((outcome.counts.uploaded, outcome.counts.deferred), (19, 1));
    assert_eq!(world.dropbox.read("/a/0004").unwrap(), b"edited there");
    let outcome = world.sync_ok();
    assert_eq!(outcome.counts.conflicts, 1);
    world.sync_ok();
    check_all_up(&world, 21);
}

#[test]
fn empty_files_and_large_ones_travel_beside_a_batch() {
    let world = many(10);
    world.put("empty", "");
    world.put("also empty", "");
    world.put_bytes("large", &vec![7; 5 << 20]);
    let outcome = world.sync_ok();
    assert_eq!(outcome.counts.uploaded, 13);
    assert_eq!(times(&outcome, "upload"), 1, "{:?}", outcome.calls);
    check_all_up(&world, 13);
    let world = crate::world::world();
    (0..10).for_each(|i| world.put(&format!("{i}"), ""));
    let outcome = world.sync_ok();
    assert_eq!(times(&outcome, "upload"), 0, "{:?}", outcome.calls);
    check_all_up(&world, 10);
}

#[test]
fn a_file_dropbox_refuses_fails_alone() {
    let world = many(10);
    world.dropbox.put("/ro/x", b"x");
    world.sync_ok();
    world.dropbox.set_read_only("/ro");
    world.put("ro/no", "refused");
    world.put("a/yes", "taken");
    world.put("a/yes too", "taken too");
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::SomeFiles, "{outcome:?}");
    assert_eq!(outcome.counts.uploaded, 2);
    assert!(outcome.problems.contains_key("/ro/no"), "{outcome:?}");
    assert_eq!(world.dropbox.read("/a/yes").unwrap(), b"taken");
}

#[test]
fn a_file_that_moves_while_it_is_read_is_left_out_of_the_commit() {
    for (size, after) in [(300, 500), (300, 100), (200_000, 200_000), (200_000, 10)] {
        let world = World::in_memory("LOCAL_TO_DROPBOX");
        world.put("a", "a");
        world.put_bytes("f", &vec![b'x'; size]);
        world.put("z", "z");
        let is_read = |call: &crate::sim::seam::Call| {
            call.on == "content" && call.path == "f" && call.op == Op::Read
        };
        let change = move |disk: &crate::sim::disk::SimDisk| disk.put("f", &vec![b'y'; after]);
        let (outcome, happened) = world.sync_but_when(is_read, change);
        assert!(happened);
        assert_eq!(outcome.counts.uploaded, 3, "{outcome:?}");
        // What only grew may go up as the prefix it was when it was looked at.
        let bytes = world.dropbox.read("/f").unwrap();
        let whole = [after, after.min(size)];
        let is_one = bytes.iter().all(|byte| *byte == b'y') && whole.contains(&bytes.len());
        assert!(is_one, "{} bytes", bytes.len());
        assert!(world.dropbox.replaced().is_empty(), "nothing half arrived");
        world.sync_ok();
    }
}

#[test]
fn a_file_that_vanishes_or_cannot_be_read_holds_nobody_up() {
    let world = World::in_memory("LOCAL_TO_DROPBOX");
    for name in ["a", "f", "z"] {
        world.put(name, name);
    }
    let outcome = world.sync_but_before(Op::Open, "f", |disk| disk.remove("f"));
    assert_eq!((outcome.counts.uploaded, outcome.counts.deferred), (2, 1));
    world.check_remote(&[("a", "a"), ("z", "z")]);
}

/// Whatever is refused, everything goes up some other way, and the run remembers it.
#[test]
fn what_dropbox_refuses_is_done_another_way() {
    for (route, effect, other) in [
        (
            "append_batch",
            Effect::refused("other"),
            "upload_session/start",
        ),
        (
            "start_batch",
            Effect::refused("other"),
            "upload_session/start",
        ),
        (
            "start_batch",
            Effect::Status(404, String::new()),
            "upload_session/start",
        ),
        ("finish_batch_v2", Effect::refused("other"), "upload"),
        (
            "upload_session/",
            Effect::Status(400, "no".to_owned()),
            "upload",
        ),
    ] {
        let world = many(12);
        world
            .dropbox
            .inject(Fault::new(route, When::Always, effect));
        let outcome = world.sync_ok();
        assert_eq!(outcome.counts.uploaded, 12, "{route}");
        assert_eq!(times(&outcome, other), 12, "{route}: {:?}", outcome.calls);
        check_all_up(&world, 12);
    }
}

#[test]
fn a_refused_batch_is_not_tried_again_in_the_same_run() {
    let world = many(1200);
    world.refuse_batches();
    let outcome = world.sync_ok();
    assert_eq!(times(&outcome, "upload_session/start_batch"), 1);
    assert_eq!(times(&outcome, "upload"), 1200);
}

#[test]
fn an_argument_too_long_for_a_header_is_made_shorter() {
    for status in [400, 413, 431] {
        let world = many(200);
        let dropbox = world.dropbox.clone();
        world.on_request(move |request| {
            dropbox.clear_faults();
            let argument = request.header("dropbox-api-arg").map_or(0, str::len);
            if argument > 3000 {
                let refused = Effect::Status(status, "header too long".to_owned());
                dropbox.inject(Fault::new("append_batch", When::Always, refused));
            }
        });
        let outcome = world.sync_ok();
        assert_eq!(outcome.counts.uploaded, 200);
        assert_eq!(times(&outcome, "upload_session/start"), 0);
        assert!(times(&outcome, "upload_session/append_batch") < 20);
    }
}

#[test]
fn the_argument_stays_under_8_kib_whatever_the_names() {
    let world = many(300);
    world.on_request(|request| {
        let argument = request.header("dropbox-api-arg").map_or(0, str::len);
        assert!(argument < 8192, "{argument} bytes");
    });
    world.sync_ok();
}

#[test]
fn lost_answers_and_damage_on_the_way_cost_nothing_but_calls() {
    for route in ["start_batch", "append_batch", "finish_batch_v2"] {
        for effect in [
            Effect::CutBefore,
            Effect::CutAfter,
            Effect::Status(503, String::new()),
            Effect::TooManyWriteOperations,
            Effect::TooManyRequests {
                retry_after: Some(3),
                as_text: false,
            },
            Effect::Truncate(10),
            Effect::CorruptUpload,
        ] {
            if route != "append_batch" && effect == Effect::CorruptUpload {
                continue;
            }
            let world = many(30);
            let fault = Fault::new(route, When::Nth(1), effect.clone());
            world.dropbox.inject(fault);
            let outcome = world.sync_ok();
            let seen = format!("{route} {effect:?}: {outcome:?}");
            assert_eq!(outcome.counts.uploaded, 30, "{seen}");
            check_all_up(&world, 30);
        }
    }
}

#[test]
fn a_thousand_deletes_take_at_most_ten_calls() {
    let world = many(1010);
    *world.guard_keys.borrow_mut() = "max_delete_count = 5000".to_owned();
    world.put("keep", "k");
    world.sync_ok();
    world.remove("a");
    world.remove("b");
    let outcome = world.sync_ok();
    assert_eq!(outcome.counts.deleted_in_dropbox, 1013);
    assert!(outcome.calls.len() <= 10, "{:?}", outcome.calls);
    world.check_both(&[("keep", "k")]);
}

#[test]
fn deletes_that_empty_many_folders_take_as_few_calls() {
    let world = world();
    for i in 0..1000 {
        world.put(&format!("d{:02}/{i:03}", i % 50), &content(i));
        world.put(&format!("kept/{:02}/{i:03}", i % 50), &content(i + 1));
    }
    world.sync_ok();
    (0..50).for_each(|i| world.remove(&format!("d{i:02}")));
    let outcome = world.sync_ok();
    assert_eq!(outcome.counts.deleted_in_dropbox, 1050);
    assert!(outcome.calls.len() <= 10, "{:?}", outcome.calls);
    assert_eq!(world.remote_tree(), world.local_tree());
}

#[test]
fn a_job_that_takes_a_while_is_asked_after_ever_less_often() {
    let world = many(20);
    world.put("keep", "k");
    world.sync_ok();
    world.dropbox.set_jobs(Launch::Job, 6);
    world.rename("a", "moved");
    world.remove("b/c/0001");
    world.remove("b/c/0003");
    world.mkdir("new/1");
    world.mkdir("new/2");
    let before = world.clock.waited();
    let outcome = world.sync_ok();
    // A quarter of a second first, twice as long each time: three jobs of at least five looks.
    let waited = world.clock.waited() - before;
    assert!(
        waited.as_millis() >= 3 * 250 * 31,
        "{waited:?}: {outcome:?}"
    );
    assert!(outcome.calls.len() <= 35, "{:?}", outcome.calls);
    check_all_up(&world, 20);
}

#[test]
fn a_delete_of_a_version_that_was_replaced_fails_alone() {
    let world = many(20);
    world.put("keep", "k");
    world.sync_ok();
    world.remove("a");
    let dropbox = world.dropbox.clone();
    let mut once = true;
    world.on_request(move |request| {
        if request.target.contains("delete_batch") && std::mem::take(&mut once) {
            dropbox.put("/a/0006", b"edited there");
        }
    });
    world.sync_ok();
    assert_eq!(world.dropbox.read("/a/0006").unwrap(), b"edited there");
    world.sync_ok();
    assert_eq!(world.read("a/0006").as_deref(), Some("edited there"));
    check_all_up(&world, 12);
}

#[test]
fn deletes_and_folders_survive_lost_answers_and_a_server_that_knows_no_batches() {
    for effect in [
        Effect::CutBefore,
        Effect::CutAfter,
        Effect::TooManyWriteOperations,
        Effect::Status(404, String::new()),
    ] {
        let world = many(20);
        world.sync_ok();
        world.remove("a");
        for i in 0..5 {
            world.mkdir(&format!("new/{i}/deep"));
        }
        for route in ["delete_batch", "create_folder_batch"] {
            let when = match effect {
                Effect::Status(..) => When::Always,
                _ => When::Nth(1),
            };
            world
                .dropbox
                .inject(Fault::new(route, when, effect.clone()));
        }
        let outcome = world.sync_ok();
        assert_eq!(outcome.problems.len(), 0, "{effect:?}: {outcome:?}");
        check_all_up(&world, 10);
    }
}

#[test]
fn many_empty_folders_are_made_in_one_call() {
    let world = world();
    for i in 0..50 {
        world.mkdir(&format!("d/{i}/x"));
    }
    let outcome = world.sync_ok();
    assert_eq!(times(&outcome, "create_folder_batch"), 1);
    assert_eq!(times(&outcome, "create_folder_v2"), 0);
    check_all_up(&world, 101);
}

#[test]
fn a_tree_of_folders_is_only_deleted_where_nothing_else_is_in_it() {
    let world = many(4);
    world.put("t/1/2/3/f", "f");
    world.put("t/1/x/f", "g");
    world.sync_ok();
    world.remove("t");
    let dropbox = world.dropbox.clone();
    // When the files go, before the folders are looked into.
    let mut has_come = false;
    world.on_request(move |request| {
        if request.target.contains("delete_batch") && !has_come {
            has_come = true;
            dropbox.put("/t/1/x/new", b"new");
        }
    });
    world.sync_ok();
    assert_eq!(world.dropbox.read("/t/1/x/new").unwrap(), b"new");
    world.on_request_nothing();
    world.sync_ok();
    assert_eq!(world.read("t/1/x/new").as_deref(), Some("new"));
    assert_eq!(world.read("t/1/2"), None);
    check_all_up(&world, 5);
}

/// A path that cannot be here is in none of our folders, and yet something is in one of them.
#[test]
fn a_tree_of_folders_that_holds_what_cannot_be_here_is_not_deleted() {
    let world = many(4);
    world.put("t/1/2/3/f", "f");
    world.put("t/1/x/f", "g");
    world.sync_ok();
    world.dropbox.put_odd("/t/1/x/..", b"odd");
    world.remove("t");
    world.sync();
    world.sync();
    assert_eq!(world.dropbox.read("/t/1/x/..").unwrap(), b"odd");
}

#[test]
fn equal_files_of_which_one_is_gone_are_told_apart_by_their_content() {
    let world = world();
    world.put("one", "same size 1");
    world.put("keep", "k");
    world.sync_ok();
    world.remove("one");
    world.put("two", "same size 2");
    let outcome = world.sync_ok();
    assert_eq!(times(&outcome, "upload"), 1);
    world.check_both(&[("keep", "k"), ("two", "same size 2")]);
}
