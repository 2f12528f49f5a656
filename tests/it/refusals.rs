//! What cannot be done is one path's problem: the others go on, it comes last the next time, what
//! Dropbox refused is not offered in every pass, and what is put off twice in a row is told.

use dropbox_standin::{Effect, Fault, When};
use ferrybox::error::ExitCode;
use ferrybox::index::{Index, Reason, Refusal};
use ferrybox::report::Counts;

use crate::world::{Outcome, World, world};

fn always(world: &World, route: &str, about: &str, effect: Effect) {
    world
        .dropbox
        .inject(Fault::new(route, When::Always, effect).about(about));
}

/// What the index keeps of what could not be done.
fn kept(world: &World) -> Vec<Refusal> {
    let index = Index::open(&world.state().join("index.db")).unwrap();
    index.unwrap().refusals().all().unwrap()
}

fn times(outcome: &Outcome, route: &str) -> usize {
    let is_it = |call: &&String| call.contains(route);
    outcome.calls.iter().filter(is_it).count()
}

/// A pass that ends at once, with nothing written, though there still is a problem.
#[track_caller]
fn check_quiet(world: &World, calls: &[&str]) -> Outcome {
    let written = || {
        let mut written = world.written();
        // A download that does not come has its temporary file for a moment.
        written.remove(&world.content_dir());
        written
    };
    let before = written();
    let outcome = world.sync();
    assert_eq!(outcome.calls, calls, "{outcome:?}");
    assert_eq!(written(), before, "like the pass before: {outcome:?}");
    outcome
}

/// A5: files that Dropbox cannot answer for, or whose connection always breaks.
#[test]
fn a5_files_that_always_fail_keep_nobody_behind_them_from_travelling() {
    let effects = [
        Effect::Status(500, String::new()),
        Effect::CutBefore,
        Effect::Html,
    ];
    for effect in effects {
        for count in [1, 4] {
            let world = world();
            for i in 0..count {
                // Too large for a batch, and first in every order.
                let content = format!("bad {i} ").repeat(700_000);
                world.put(&format!("a{i}"), &content);
                world
                    .dropbox
                    .put(&format!("/b{i}"), format!("bad down {i}").as_bytes());
                let rev = world.dropbox.rev(&format!("/b{i}")).unwrap();
                always(&world, "files/download", &rev, effect.clone());
                always(&world, "upload", &format!("/a{i}"), effect.clone());
                // A session holds no path before its end.
                always(&world, "upload", &format!("bad {i} "), effect.clone());
            }
            world.put("z", "fine");
            world.dropbox.put("/y", b"fine, too");
            let outcome = world.sync();
            assert_eq!(outcome.exit, ExitCode::SomeFiles, "{effect:?}: {outcome:?}");
            assert_eq!(outcome.problems.len(), 2 * count, "{outcome:?}");
            assert_eq!(world.dropbox.read("/z").unwrap(), b"fine");
            assert_eq!(world.read("y").as_deref(), Some("fine, too"));
            assert_eq!(kept(&world).len(), 2 * count);
            // Later ones go first, and nothing is written about what is known.
            world.put("zz", "later");
            let outcome = world.sync();
            assert_eq!(outcome.exit, ExitCode::SomeFiles);
            let mine = outcome
                .calls
                .iter()
                .position(|call| call.contains("upload"));
            assert!(mine.is_some(), "{outcome:?}");
            assert_eq!(world.dropbox.read("/zz").unwrap(), b"later");
            world.dropbox.clear_faults();
            world.sync_ok();
            assert_eq!(world.local_tree(), world.remote_tree());
            assert_eq!(kept(&world), []);
            world.check_settled();
        }
    }
}

/// A5: one small file that breaks every batch it is in.
#[test]
fn a5_a_file_that_breaks_its_batch_is_found_and_named() {
    for effect in [Effect::CutBefore, Effect::Status(502, String::new())] {
        let world = world();
        for i in 0..400 {
            world.put(&format!("{i:03}"), &format!("content {i}"));
        }
        world.put("200 bad", "poison");
        always(&world, "upload", "poison", effect.clone());
        let outcome = world.sync();
        assert_eq!(outcome.exit, ExitCode::SomeFiles, "{outcome:?}");
        assert_eq!(outcome.problems.keys().collect::<Vec<_>>(), ["/200 bad"]);
        assert_eq!(outcome.counts.uploaded, 400);
        // Halved nine times, each time with what that takes.
        assert!(outcome.calls.len() < 130, "{}", outcome.calls.len());
        world.put("later", "fine");
        let outcome = world.sync();
        assert_eq!(outcome.counts.uploaded, 1, "{outcome:?}");
        world.dropbox.clear_faults();
        world.sync_ok();
        world.check_settled();
    }
}

/// A5: the same of a delete, and of a folder to make.
#[test]
fn a5_what_breaks_a_batch_of_deletes_or_folders_is_found_and_named() {
    for effect in [Effect::CutBefore, Effect::Status(502, String::new())] {
        let world = world();
        for i in 0..200 {
            world.put(&format!("gone/{i:03}"), &format!("content {i}"));
            world.put(&format!("kept/{i:03}"), &format!("kept {i}"));
        }
        world.put("kept/more", "more");
        world.sync_ok();
        world.clock.advance(10);
        world.sync_ok();
        for i in 0..200 {
            world.remove(&format!("gone/{i:03}"));
            world.mkdir(&format!("new/{i:03}"));
        }
        always(&world, "delete", "gone/100", effect.clone());
        always(&world, "create_folder", "new/100", effect.clone());
        let outcome = world.sync();
        assert_eq!(outcome.exit, ExitCode::SomeFiles, "{outcome:?}");
        let named: Vec<_> = outcome.problems.keys().collect();
        assert_eq!(named, ["/gone/100", "/new/100"]);
        assert_eq!(outcome.counts.deleted_in_dropbox, 199, "{outcome:?}");
        // Each halved eight times, with three tries and one plain call a time.
        assert!(outcome.calls.len() < 140, "{}", outcome.calls.len());
        world.dropbox.clear_faults();
        world.sync_ok();
        world.check_settled();
        assert_eq!(world.local_tree(), world.remote_tree());
    }
}

/// A5: what may end the pass comes last, in either direction.
#[test]
fn a5_what_failed_last_time_is_tried_last() {
    let world = world();
    world.put("a", &"poison ".repeat(800_000));
    world.dropbox.put("/b", b"never given");
    let failed = Effect::Status(500, String::new());
    let rev = world.dropbox.rev("/b").unwrap();
    always(&world, "files/download", &rev, failed.clone());
    always(&world, "upload", "poison ", failed.clone());
    assert_eq!(world.sync().problems.len(), 2);
    world.dropbox.put("/y", b"fine");
    world.put("z", &"fine ".repeat(1_000_000));
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::SomeFiles, "{outcome:?}");
    assert_eq!(world.read("y").as_deref(), Some("fine"));
    assert_eq!(world.dropbox.read("/z").unwrap().len(), 5_000_000);
    // The last one of each kind, with one try.
    let calls: Vec<_> = outcome.calls.iter().map(String::as_str).collect();
    let of = |route: &str| {
        let found = calls
            .iter()
            .enumerate()
            .filter(|(_, call)| call.contains(route));
        found.map(|(at, _)| at).collect::<Vec<_>>()
    };
    assert_eq!(of("download").len(), 2, "{calls:?}");
    assert_eq!(of("upload").len(), 2, "{calls:?}");
}

/// A5: it is Dropbox that cannot be reached where a plain call fails, too.
#[test]
fn a5_where_a_plain_call_fails_too_the_pass_ends() {
    let world = world();
    world.put("fine", "fine");
    world.sync_ok();
    for i in 0..3 {
        world.put(&format!("{i}"), &"large ".repeat(800_000));
    }
    always(&world, "upload", "", Effect::Status(503, String::new()));
    let plain = Fault::new("list_folder", When::Always, Effect::CutBefore);
    world.dropbox.inject(plain.about("\"limit\":1}"));
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::TryLater, "{outcome:?}");
    assert_eq!(times(&outcome, "upload"), 3, "{outcome:?}");
    world.dropbox.clear_faults();
    world.sync_ok();
    world.check_settled();
}

/// A5: where very many fail, the rest of the step is left for the next pass, and the other steps go
/// on; what failed comes last then.
#[test]
fn a5_many_files_that_fail_end_their_step_and_keep_nobody_else_from_travelling() {
    for route in ["files/download", "upload"] {
        let world = world();
        world.put("old", "o");
        for i in 0..20 {
            world.put(&format!("keep/{i}"), "k");
        }
        world.sync_ok();
        for i in 0..40 {
            // Too large for a batch, and first in every order.
            let content = format!("poison {i} ");
            match route {
                "upload" => world.put(&format!("a{i:02}"), &content.repeat(500_000)),
                _ => drop(world.dropbox.put(&format!("/a{i:02}"), content.as_bytes())),
            }
        }
        let failed = Effect::Status(500, String::new());
        match route {
            "upload" => always(&world, route, "poison", failed),
            _ => {
                for i in 0..40 {
                    let rev = world.dropbox.rev(&format!("/a{i:02}")).unwrap();
                    always(&world, route, &rev, failed.clone());
                }
            }
        }
        world.remove("old");
        world.put("z up", "fine");
        world.dropbox.put("/z down", b"fine");
        let mut outcome = world.sync();
        assert_eq!(outcome.exit, ExitCode::SomeFiles, "{outcome:?}");
        assert_eq!(outcome.problems.len(), 10, "{outcome:?}");
        assert_eq!(world.dropbox.read("/old"), None);
        for _ in 0..5 {
            outcome = world.sync();
        }
        assert_eq!(outcome.exit, ExitCode::SomeFiles, "{outcome:?}");
        assert_eq!(world.dropbox.read("/z up").unwrap(), b"fine");
        assert_eq!(world.read("z down").as_deref(), Some("fine"));
        // One try each, and not all of them.
        assert_eq!(outcome.problems.len(), 40, "{outcome:?}");
        assert!(outcome.calls.len() < 14, "{outcome:?}");
        world.dropbox.clear_faults();
        world.sync_ok();
        assert_eq!(world.local_tree(), world.remote_tree());
    }
}

/// A6: listed, but never given.
#[test]
fn a6_what_is_listed_and_never_given_is_a_problem_the_second_time() {
    let world = world();
    world.dropbox.put("/ghost", b"never given");
    world.dropbox.put("/fine", b"fine");
    let rev = world.dropbox.rev("/ghost").unwrap();
    always(
        &world,
        "files/download",
        &rev,
        Effect::refused("path/not_found"),
    );
    let first = world.sync_ok();
    assert_eq!(first.counts.deferred, 1, "{first:?}");
    let second = world.sync();
    assert_eq!(second.exit, ExitCode::SomeFiles, "{second:?}");
    assert!(
        second.problems["/ghost"].contains("not_found"),
        "{second:?}"
    );
    assert_eq!(times(&second, "list_folder"), 1, "no listing: {second:?}");
    let third = check_quiet(&world, &["list_folder/continue", "download"]);
    assert_eq!(third.exit, ExitCode::SomeFiles);
    // Another version is another case.
    world.dropbox.put("/ghost", b"given");
    world.sync_ok();
    world.check_both(&[("fine", "fine"), ("ghost", "given")]);
    assert_eq!(kept(&world), []);
    world.check_settled();
}

/// A6: an edit that is refused for a conflict, while our version still stands there.
#[test]
fn a6_an_edit_refused_for_a_conflict_that_is_none_is_a_problem_the_second_time() {
    for is_new in [false, true] {
        let world = world();
        world.put("a", "base");
        world.put("keep", "k");
        world.sync_ok();
        let path = if is_new { "b" } else { "a" };
        world.put(path, "edited");
        let conflict = Effect::refused("path/conflict/file");
        always(&world, "files/upload", "", conflict);
        let first = world.sync_ok();
        assert_eq!(first.counts.deferred, 1, "{first:?}");
        let second = world.sync();
        assert_eq!(second.exit, ExitCode::SomeFiles, "{second:?}");
        let told = second.problems.values().next().unwrap();
        assert!(told.contains("conflict"), "{told}");
        let third = world.sync();
        assert_eq!(third.exit, ExitCode::SomeFiles);
        assert_eq!(times(&third, "list_folder"), 1, "{third:?}");
        world.dropbox.clear_faults();
        world.sync_ok();
        assert_eq!(world.local_tree(), world.remote_tree());
        world.check_settled();
    }
}

/// A20: what does not fit is sent once, and again as soon as there is room.
#[test]
fn a20_what_dropbox_has_no_room_for_is_not_sent_in_every_pass() {
    let world = World::in_mode("LOCAL_TO_DROPBOX");
    world.put("small", "s");
    world.sync_ok();
    world.dropbox.set_quota(1 << 20);
    world.put_bytes("big", &vec![1; 5 << 20]);
    let first = world.sync();
    assert_eq!(first.exit, ExitCode::Full, "{first:?}");
    assert_eq!(kept(&world)[0].reason, Reason::NoRoom);
    let asked = ["list_folder/continue", "users/get_space_usage"];
    let second = check_quiet(&world, &asked);
    assert_eq!(second.exit, ExitCode::Full, "{second:?}");
    assert!(second.problems["/big"].contains("full"), "{second:?}");
    // A larger one is not sent either, a smaller one is.
    world.put_bytes("bigger", &vec![2; 6 << 20]);
    world.put("tiny", "t");
    let third = world.sync();
    assert_eq!(third.exit, ExitCode::Full);
    assert_eq!(times(&third, "upload"), 1, "{third:?}");
    assert_eq!(world.dropbox.read("/tiny").unwrap(), b"t");
    // Once a day it is tried, whatever Dropbox says of its room.
    world.clock.advance(25 * 3600);
    let daily = world.sync();
    assert!(times(&daily, "upload") >= 1, "{daily:?}");
    check_quiet(&world, &asked);
    // As soon as there is room it goes up.
    world.dropbox.set_quota(1 << 30);
    world.sync_ok();
    assert_eq!(world.local_tree(), world.remote_tree());
    assert_eq!(kept(&world), []);
    world.check_settled();
}

/// A20: a file that grows is not sent in every pass either, and a clock that was ahead when it was
/// refused makes no difference.
#[test]
fn a20_a_file_that_grows_and_a_clock_that_was_ahead_send_nothing_in_vain() {
    let world = World::in_mode("LOCAL_TO_DROPBOX");
    world.put("small", "s");
    world.sync_ok();
    world.dropbox.set_quota(1 << 20);
    world.clock.advance(3 * 365 * 86_400);
    world.put_bytes("log", &vec![1; 5 << 20]);
    assert_eq!(world.sync().exit, ExitCode::Full);
    world.clock.advance(-3 * 365 * 86_400);
    // It is too early or too late, as one likes: it is sent once more.
    world.sync();
    for size in [5 << 20, 5 << 20, 6 << 20, 7 << 20] {
        world.put_bytes("log", &vec![1; size]);
        let outcome = world.sync();
        assert_eq!(outcome.exit, ExitCode::Full, "{outcome:?}");
        assert_eq!(times(&outcome, "upload"), 0, "{outcome:?}");
        let sessions = outcome.calls.iter().filter(|call| call.contains("session"));
        assert_eq!(sessions.count(), 0, "{outcome:?}");
    }
    // An untouched one as well.
    world.sync();
    let outcome = world.sync();
    let sent = outcome.calls.iter().filter(|call| call.contains("upload"));
    assert_eq!(sent.count(), 0, "{outcome:?}");
    world.dropbox.set_quota(1 << 30);
    world.sync_ok();
    assert_eq!(world.local_tree(), world.remote_tree());
}

/// A20: a version that was refused says nothing about the next one.
#[test]
fn a20_a_file_that_has_changed_is_offered_again() {
    let world = World::in_mode("LOCAL_TO_DROPBOX");
    world.put("small", "s");
    world.sync_ok();
    world.dropbox.set_quota(1 << 20);
    world.put_bytes("big", &vec![1; 5 << 20]);
    world.sync();
    world.put("big", "smaller by now");
    world.sync_ok();
    world.check_both(&[("big", "smaller by now"), ("small", "s")]);
    assert_eq!(kept(&world), []);
    world.check_settled();
    world.put_bytes("big", &vec![3; 5 << 20]);
    world.sync();
    world.remove("big");
    world.sync_ok();
    assert_eq!(kept(&world), []);
    world.check_settled();
}

/// A20: names and rights.
#[test]
fn a20_what_is_refused_for_its_name_or_for_want_of_rights_is_asked_once_a_day() {
    for tag in [
        "path/disallowed_name",
        "path/no_write_permission",
        "path/malformed_path",
    ] {
        let world = World::in_mode("LOCAL_TO_DROPBOX");
        world.put("odd", "odd");
        world.put("fine", "fine");
        always(&world, "upload", "/odd", Effect::refused(tag));
        always(
            &world,
            "finish_batch",
            "/odd",
            Effect::Status(400, "no".to_owned()),
        );
        let first = world.sync();
        assert_eq!(first.exit, ExitCode::SomeFiles, "{tag}: {first:?}");
        assert_eq!(first.counts.uploaded, 1);
        assert_eq!(kept(&world)[0].reason, Reason::NotAllowed, "{tag}");
        world.sync();
        let again = check_quiet(&world, &["list_folder/continue"]);
        assert_eq!(again.exit, ExitCode::SomeFiles);
        assert_eq!(again.problems.len(), 1, "{again:?}");
        assert_eq!(world.dry_run().exit, ExitCode::SomeFiles);
        world.clock.advance(25 * 3600);
        let daily = world.sync();
        assert_eq!(times(&daily, "upload"), 1, "{daily:?}");
        world.dropbox.clear_faults();
        world.put("odd", "changed");
        world.sync_ok();
        assert_eq!(kept(&world), []);
        world.check_settled();
    }
}

/// A20: the same of folders, and of deletes.
#[test]
fn a20_a_folder_or_a_delete_that_is_refused_is_asked_once_a_day() {
    for route in ["create_folder_v2", "delete"] {
        let world = world();
        world.put("a", "a");
        world.put("b", "b");
        world.put("c", "c");
        world.sync_ok();
        if route == "delete" {
            world.remove("a");
        } else {
            world.mkdir("empty");
        }
        let tag = if route == "delete" {
            "path_write/no_write_permission"
        } else {
            "path/no_write_permission"
        };
        always(&world, route, "", Effect::refused(tag));
        let first = world.sync();
        assert_eq!(first.exit, ExitCode::SomeFiles, "{first:?}");
        world.sync();
        let again = check_quiet(&world, &["list_folder/continue"]);
        assert_eq!(again.exit, ExitCode::SomeFiles);
        world.dropbox.clear_faults();
        world.clock.advance(25 * 3600);
        world.sync_ok();
        assert_eq!(world.local_tree(), world.remote_tree());
        assert_eq!(kept(&world), []);
        world.check_settled();
    }
}

/// Nothing is remembered of an idle pass, and nothing asked.
#[test]
fn an_idle_pass_costs_nothing_more() {
    let world = world();
    world.put("a", "a");
    world.sync_ok();
    world.check_settled();
    let idle = world.sync_ok();
    assert_eq!(idle.counts, Counts::default());
    assert_eq!(kept(&world), []);
}
