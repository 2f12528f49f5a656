//! Halts that must not be talked out of: by what the agent itself moved, by equal contents, or by
//! a pass that could not look.

use dropbox_standin::{Effect, Fault, When};
use ferrybox::commands::sync::SyncArgs;
use ferrybox::error::ExitCode;

use crate::world::{World, world};

/// Five files in step, which then vanish from Dropbox.
fn emptied() -> World {
    let world = world();
    for i in 0..5 {
        world.put(&format!("d/{i}"), &format!("content {i}"));
    }
    world.sync_ok();
    world.dropbox.remove("/d");
    world
}

#[track_caller]
fn check_halts(world: &World) {
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::Halted, "{outcome:?}");
    assert_eq!(outcome.counts.deleted_locally, 0);
    for i in 0..5 {
        assert!(world.read(&format!("d/{i}")).is_some(), "d/{i}");
    }
}

#[test]
fn an_upload_of_a_pass_that_broke_off_does_not_hide_an_emptied_side() {
    let world = emptied();
    for i in 0..3 {
        world.put(&format!("new {i}"), "n");
    }
    world.refuse_batches();
    let dropbox = world.dropbox.clone();
    let mut uploads = 0;
    world.on_request(move |request| {
        uploads += u32::from(request.target.ends_with("files/upload"));
        if uploads == 2 {
            dropbox.inject(Fault::new("", When::Always, Effect::CutBefore));
        }
    });
    assert_eq!(world.sync().exit, ExitCode::TryLater);
    world.on_request_nothing();
    world.dropbox.clear_faults();
    assert!(world.dropbox.read("/new 0").is_some());
    check_halts(&world);
}

#[test]
fn an_upload_that_was_not_settled_does_not_hide_an_emptied_side() {
    let world = emptied();
    world.put("new", "n");
    world.dropbox.put("/new", b"n");
    check_halts(&world);
}

#[test]
fn one_copy_does_not_stand_for_many_equal_files() {
    let world = world();
    for i in 0..25 {
        world.put(&format!("d/{i}"), "equal");
    }
    world.put("keep", "k");
    world.sync_ok();
    world.remove("d");
    world.put("moved", "equal");
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::Halted, "{outcome:?}");
    assert!(outcome.error.contains("24 of 26"), "{}", outcome.error);
}

#[test]
fn a_pass_that_could_not_look_does_not_let_go_of_a_halt() {
    let world = World::in_memory("BIDIRECTIONAL");
    for i in 0..5 {
        world.put(&format!("d/{i}"), "x");
    }
    world.sync_ok();
    for i in 0..5 {
        world.remove(&format!("d/{i}"));
    }
    assert_eq!(world.sync().exit, ExitCode::Halted);
    world.put("log", "a sign of life");
    world.hands().set_mode("d", 0);
    assert_eq!(world.sync().exit, ExitCode::SomeFiles);
    world.hands().set_mode("d", 0o755);
    assert_eq!(world.sync().exit, ExitCode::Halted);
    assert!(world.dropbox.read("/d/4").is_some());
}

#[test]
fn a_download_that_was_not_settled_does_not_hide_an_emptied_side() {
    let world = world();
    for i in 0..5 {
        world.put(&format!("d/{i}"), &format!("content {i}"));
    }
    world.sync_ok();
    world.remove("d");
    world.put("new", "n");
    world.dropbox.put("/new", b"n");
    let outcome = world.upload_only();
    assert_eq!(outcome.exit, ExitCode::Halted, "{outcome:?}");
    assert!(world.dropbox.read("/d/4").is_some());
}

#[test]
fn a_file_that_is_fetched_again_does_not_hide_an_emptied_content_dir() {
    let world = world();
    for name in ["a", "b", "c"] {
        world.put(name, name);
    }
    world.sync_ok();
    for name in ["a", "b", "c"] {
        world.remove(name);
    }
    world.dropbox.put("/a", b"edited");
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::Halted, "{outcome:?}");
    assert!(outcome.error.contains("3 were in step"), "{outcome:?}");
    world.check_local(&[("a", "edited")]);
    world.check_remote(&[("a", "edited"), ("b", "b"), ("c", "c")]);
}

#[test]
fn a_file_that_is_sent_again_does_not_hide_an_emptied_dropbox() {
    let world = world();
    for name in ["a", "b", "c"] {
        world.put(name, name);
    }
    world.sync_ok();
    for name in ["a", "b", "c"] {
        world.dropbox.remove(&format!("/{name}"));
    }
    world.put("a", "edited");
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::Halted, "{outcome:?}");
    world.check_local(&[("a", "edited"), ("b", "b"), ("c", "c")]);
    world.check_remote(&[("a", "edited")]);
}

/// A world whose first pass of ten files, all on one side, was broken off near its end.
fn broken_off_first(puts: impl Fn(&World, usize), count: usize, uploads_until: u32) -> World {
    let world = world();
    (0..count).for_each(|i| puts(&world, i));
    world.refuse_batches();
    let dropbox = world.dropbox.clone();
    let mut uploads = 0;
    world.on_request(move |request| {
        uploads += u32::from(request.target.ends_with("files/upload"));
        if uploads == uploads_until {
            dropbox.inject(Fault::new("", When::Always, Effect::CutBefore));
        }
    });
    world.sync();
    world.on_request_nothing();
    world.dropbox.clear_faults();
    world
}

#[test]
fn a_side_emptied_after_a_first_pass_that_broke_off_halts() {
    let world = broken_off_first(
        |world, i| world.put(&format!("d{i}"), &format!("{i}")),
        10,
        9,
    );
    (0..10).for_each(|i| world.remove(&format!("d{i}")));
    assert_eq!(world.sync().exit, ExitCode::Halted);
    assert_eq!(world.remote_tree().len(), 8);
    let world = broken_off_first(
        |world, i| {
            world
                .dropbox
                .put(&format!("/d{i}"), format!("{i}").as_bytes());
            world.put("zz", "goes up, and breaks");
        },
        10,
        1,
    );
    for i in 0..10 {
        world.dropbox.remove(&format!("/d{i}"));
    }
    world.remove("zz");
    assert_eq!(world.sync().exit, ExitCode::Halted);
    assert_eq!(world.local_tree().len(), 10);
}

#[test]
fn a_share_of_deletes_is_one_of_all_files_after_a_first_pass_that_broke_off() {
    let put = |world: &World, i| world.put(&format!("d{i:02}"), &format!("{i}"));
    let world = broken_off_first(put, 60, 59);
    (0..21).for_each(|i| world.remove(&format!("d{i:02}")));
    assert_eq!(world.sync_ok().counts.deleted_in_dropbox, 21);
}

/// B3: what was gone in Dropbox goes up again; the files that are not named stay in step.
#[test]
fn b3_what_is_kept_counts_as_new_and_goes_up_again() {
    let world = emptied();
    let halted = world.sync();
    assert_eq!(halted.exit, ExitCode::Halted, "{halted:?}");
    let planned = world.dry_keep(&halted.error).plan;
    assert_eq!(planned.len(), 5, "{planned:?}");
    assert!(planned.iter().all(|line| line.starts_with("would upload ")));
    let kept = world.keep(&halted.error);
    assert_eq!(kept.exit, ExitCode::Ok, "{kept:?}");
    assert_eq!(kept.counts.uploaded, 5, "{kept:?}");
    assert_eq!(kept.counts.deleted_locally, 0, "{kept:?}");
    assert_eq!(world.remote_tree().len(), 6);
    world.check_settled();
}

/// B3: what was gone here comes back.
#[test]
fn b3_what_is_kept_counts_as_new_and_comes_back() {
    for (mode, comes_back) in [("BIDIRECTIONAL", true), ("LOCAL_TO_DROPBOX", false)] {
        let world = World::in_mode(mode);
        for i in 0..5 {
            world.put(&format!("d/{i}"), &format!("content {i}"));
        }
        world.sync_ok();
        world.remove("d");
        let halted = world.sync();
        assert_eq!(halted.exit, ExitCode::Halted, "{halted:?}");
        let planned = world.dry_keep(&halted.error).plan;
        let downloads = planned
            .iter()
            .filter(|it| it.starts_with("would download "));
        assert_eq!(downloads.count(), if comes_back { 5 } else { 0 }, "{mode}");
        let kept = world.keep(&halted.error);
        assert_eq!(kept.exit, ExitCode::Ok, "{kept:?}");
        assert_eq!(kept.counts.deleted_in_dropbox, 0, "{kept:?}");
        assert_eq!(world.remote_tree().len(), 6, "{mode}");
        assert_eq!(world.read("d/0").is_some(), comes_back, "{mode}");
        world.check_settled();
        assert_eq!(world.remote_tree().len(), 6, "{mode}");
    }
}

/// B3: it is exactly what was named: another list is asked about anew.
#[test]
fn b3_keep_is_for_exactly_what_was_named_and_for_once() {
    let world = emptied();
    world.put("other", "o");
    world.sync();
    let halted = world.sync();
    world.dropbox.remove("/other");
    let kept = world.keep(&halted.error);
    assert_eq!(kept.exit, ExitCode::Usage, "{kept:?}");
    assert!(
        kept.error.contains("is not what this pass would do"),
        "{kept:?}"
    );
    assert!(
        kept.error.contains("sync --keep "),
        "and what it would do: {kept:?}"
    );
    check_halts(&world);
}

/// What has come back counts like everything else from the next pass on.
#[test]
fn b3_what_was_kept_is_in_step_when_deletes_are_asked_about_again() {
    let world = world();
    for i in 0..10 {
        world.put(&format!("{i}"), &format!("content {i}"));
    }
    world.sync_ok();
    let remove = || {
        for i in 0..6 {
            world.dropbox.remove(&format!("/{i}"));
        }
        let halted = world.sync();
        assert_eq!(halted.exit, ExitCode::Halted, "{halted:?}");
        assert!(halted.error.contains("6 of 10 files"), "{halted:?}");
        halted
    };
    let halted = remove();
    assert_eq!(world.keep(&halted.error).counts.uploaded, 6);
    remove();
}

/// B3: a pass that comes to no decision cannot tell whether an id is of it.
#[test]
fn b3_an_id_is_judged_only_by_a_pass_that_came_so_far() {
    let world = emptied();
    let halted = world.sync();
    world
        .dropbox
        .inject(Fault::new("", When::Always, Effect::CutBefore));
    assert_eq!(world.keep(&halted.error).exit, ExitCode::TryLater);
    world.dropbox.clear_faults();
    assert_eq!(world.keep(&halted.error).exit, ExitCode::Ok);
    assert_eq!(world.keep(&halted.error).exit, ExitCode::Usage, "once");
}

/// The same deletes of another day are asked about anew, and so they are as long as nobody answers.
#[test]
fn an_id_is_good_for_one_answer() {
    let world = World::in_mode("BIDIRECTIONAL");
    for i in 0..5 {
        world.put(&format!("d/{i}"), &format!("content {i}"));
    }
    world.sync_ok();
    let halt = || {
        world.remove("d");
        let halted = world.sync();
        assert_eq!(halted.exit, ExitCode::Halted, "{halted:?}");
        let written = world.written();
        assert_eq!(world.sync().error, halted.error);
        assert_eq!(world.dry_run().error, halted.error);
        assert_eq!(world.written(), written);
        halted.error
    };
    let first = halt();
    assert_eq!(world.dry_keep(&first).exit, ExitCode::Ok);
    assert_eq!(world.dry_run().error, first, "a plan is no answer");
    assert_eq!(world.keep(&first).counts.downloaded, 5);
    world.check_settled();
    let second = halt();
    assert_ne!(first, second);
    assert_eq!(world.approve(&first).exit, ExitCode::Usage);
    assert_eq!(world.approve(&second).exit, ExitCode::Ok);
    world.check_both(&[]);
}

/// B3: a dry run deletes nothing of it either, and changes nothing.
#[test]
fn b3_a_dry_run_with_an_id_plans_without_these_deletes() {
    let world = emptied();
    let halted = world.sync();
    let id = crate::world::approval_in(&halted.error).unwrap();
    let args = SyncArgs {
        dry_run: true,
        kept: vec![id],
        ..SyncArgs::default()
    };
    let before = world.written();
    let plan = world.sync_with(&args);
    assert_eq!(plan.exit, ExitCode::Ok, "{plan:?}");
    assert!(!plan.plan.concat().contains("would delete"), "{plan:?}");
    assert_eq!(world.written(), before);
    check_halts(&world);
}

/// B3: another pass than the one that halted would not come to the same halt, and would do what
/// nobody asked for: the printed command goes the same way.
#[test]
fn b3_a_halt_of_a_pass_one_way_is_answered_by_a_pass_that_way() {
    for (mode, way) in [
        ("LOCAL_TO_DROPBOX", "--download-only"),
        ("BIDIRECTIONAL", "--download-only"),
        ("BIDIRECTIONAL", "--upload-only"),
        ("DROPBOX_TO_LOCAL", "--upload-only"),
    ] {
        for answer in [World::approve, World::keep] {
            let world = World::in_mode(mode);
            for i in 0..8 {
                world.put(&format!("{i}"), &format!("content {i}"));
            }
            world.dropbox.put("/other", b"there");
            world.sync();
            for i in 0..6 {
                match way {
                    "--upload-only" => world.remove(&format!("{i}")),
                    _ => assert!(world.dropbox.remove(&format!("/{i}"))),
                }
            }
            let halted = match way {
                "--upload-only" => world.upload_only(),
                _ => world.download_only(),
            };
            assert_eq!(halted.exit, ExitCode::Halted, "{mode} {way}: {halted:?}");
            let printed = format!("sync {way} --approve ");
            assert!(halted.error.contains(&printed), "{halted:?}");
            let (here, there) = (world.local_tree().len(), world.remote_tree().len());
            let answered = answer(&world, &halted.error);
            assert_eq!(answered.exit, ExitCode::Ok, "{mode} {way}: {answered:?}");
            match way {
                "--upload-only" => assert_eq!(world.local_tree().len(), here, "{answered:?}"),
                _ => assert_eq!(world.remote_tree().len(), there, "{answered:?}"),
            }
        }
    }
}

/// B3: so does the command for what is undecided, for another account, for a folder that is gone.
#[test]
fn b3_every_answer_goes_the_way_of_the_pass() {
    let world = World::in_mode("DROPBOX_TO_LOCAL");
    world.put("a", "here");
    world.dropbox.put("/a", b"there");
    world.dropbox.put("/b", b"only there");
    let undecided = world.upload_only();
    let text = undecided.problems.values().next().unwrap();
    assert!(text.contains("sync --upload-only --approve "), "{text}");
    assert_eq!(world.approve(text).exit, ExitCode::Ok);
    world.check_remote(&[("a", "here"), ("b", "only there")]);
    world.check_local(&[("a", "here")]);

    let world = World::in_mode("LOCAL_TO_DROPBOX");
    world.put("a", "here");
    world.sync_ok();
    world.take_content_away();
    world.make_content_dir();
    let halted = world.download_only();
    assert!(
        halted.error.contains("sync --download-only --approve "),
        "{halted:?}"
    );
    assert_eq!(world.approve(&halted.error).exit, ExitCode::Ok);
}

/// Ten files in step, of which `here` are removed here and `there` in Dropbox, from either end.
fn thinned_out(here: usize, there: usize) -> World {
    let world = world();
    for i in 0..10 {
        world.put(&format!("d/{i}"), &format!("content {i}"));
    }
    world.put("old", "old");
    world.sync_ok();
    (0..here).for_each(|i| world.remove(&format!("d/{i}")));
    for i in 10 - there..10 {
        world.dropbox.remove(&format!("/d/{i}"));
    }
    world
}

/// B2: what one side asks about keeps nothing on the other side from being done.
#[test]
fn b2_a_halt_of_one_direction_stops_nothing_in_the_other() {
    let world = thinned_out(7, 1);
    world.put("x/in", "inner");
    world.dropbox.put("/x", b"file there");
    let halted = world.sync();
    assert_eq!(halted.exit, ExitCode::Halted, "{halted:?}");
    assert!(
        halted.error.contains("nothing was deleted in Dropbox"),
        "{halted:?}"
    );
    assert_eq!(halted.counts.deleted_in_dropbox, 0, "{halted:?}");
    assert_eq!(halted.counts.deleted_locally, 1, "{halted:?}");
    assert_eq!(world.read("d/9"), None);
    let x = world.read("x");
    assert_eq!(x.as_deref(), Some("file there"), "clashes are solved");
    let again = world.sync();
    assert_eq!(again.exit, ExitCode::Halted, "{again:?}");
    let approved = world.approve(&halted.error);
    assert_eq!(approved.exit, ExitCode::Ok, "{approved:?}");
    assert_eq!(approved.counts.deleted_in_dropbox, 7, "{approved:?}");
    world.check_settled();
}

/// B2: the same with the sides exchanged, and with what is only planned.
#[test]
fn b2_a_halt_here_stops_no_delete_in_dropbox() {
    let world = thinned_out(1, 7);
    let planned = world.dry_run();
    assert_eq!(planned.exit, ExitCode::Halted, "{planned:?}");
    assert_eq!(planned.counts.deleted_in_dropbox, 1, "{planned:?}");
    assert_eq!(planned.counts.deleted_locally, 0, "{planned:?}");
    let halted = world.sync();
    assert_eq!(halted.error, planned.error);
    assert_eq!(halted.counts.deleted_in_dropbox, 1, "{halted:?}");
    assert_eq!(halted.counts.deleted_locally, 0, "{halted:?}");
    let kept = world.keep(&halted.error);
    assert_eq!(kept.exit, ExitCode::Ok, "{kept:?}");
    assert_eq!(kept.counts.uploaded, 7, "{kept:?}");
    world.check_settled();
}

/// B2: each direction that halts has an id of its own.
#[test]
fn b2_each_direction_is_answered_for_itself() {
    let world = thinned_out(4, 4);
    let mut config = world.config();
    config.guard.max_delete_share = 0.2;
    let sync = |args: &SyncArgs| world.sync_config(&config, args);
    let halted = sync(&SyncArgs::default());
    let asked: Vec<_> = halted
        .error
        .lines()
        .filter(|l| !l.starts_with(' '))
        .collect();
    assert_eq!(asked.len(), 2, "{halted:?}");
    assert_eq!(halted.counts.changes(), 0, "{halted:?}");
    let id_of = |what: &str| {
        let part = &halted.error[halted.error.find(what).unwrap()..];
        let (part, _) = part.split_once("deletes them").unwrap();
        crate::world::approval_in(part).unwrap()
    };
    let half = sync(&SyncArgs {
        kept: vec![id_of("deleted in Dropbox")],
        ..SyncArgs::default()
    });
    assert_eq!(half.exit, ExitCode::Halted, "{half:?}");
    assert!(half.error.contains("deleted locally"), "{half:?}");
    assert_eq!(half.counts.downloaded, 4, "{half:?}");
    let whole = sync(&SyncArgs {
        approved: vec![id_of("deleted locally")],
        ..SyncArgs::default()
    });
    assert_eq!(whole.exit, ExitCode::Ok, "{whole:?}");
    assert_eq!(whole.counts.deleted_locally, 4, "{whole:?}");
    world.check_settled();
}

/// B2: what arrived beside a halt speaks for no side, also once the halt is over.
#[test]
fn b2_what_arrives_beside_a_halt_does_not_count_as_in_step() {
    let world = emptied();
    for i in 0..10 {
        world.put(&format!("new {i}"), &format!("new content {i}"));
    }
    let halted = world.sync();
    assert_eq!(halted.exit, ExitCode::Halted, "{halted:?}");
    assert_eq!(halted.counts.uploaded, 10, "{halted:?}");
    let index = ferrybox::index::Index::open(&world.state().join("index.db"));
    let index = index.unwrap().unwrap();
    let held = ferrybox::index::Meta::HeldDown;
    index.transaction(|| index.clear_meta(held)).unwrap();
    drop(index);
    check_halts(&world);
}

/// B2: a folder whose files are asked about makes no way for anything, also where it was to make
/// way before and could not.
#[test]
fn b2_a_folder_with_halted_deletes_stays_where_it_is() {
    let world = World::in_memory("BIDIRECTIONAL");
    for i in 0..5 {
        world.put(&format!("d/{i}"), &format!("content {i}"));
    }
    (0..3).for_each(|i| world.put(&format!("e/{i}"), &format!("other content {i}")));
    *world.sync_keys.borrow_mut() = "hidden = false".to_owned();
    world.sync_ok();
    world.put("d/.hidden", "never synced");
    world.dropbox.remove("/d");
    world.dropbox.put("/d", b"a file now");
    let halted = world.sync();
    assert_eq!(halted.problems.len(), 0, "{halted:?}");
    world.hands().set_mode("d", 0o555);
    let in_vain = world.approve(&halted.error);
    assert_eq!(in_vain.exit, ExitCode::SomeFiles, "{in_vain:?}");
    world.hands().set_mode("d", 0o755);
    world.remove("d/.hidden");
    check_halts(&world);
    let halted = world.sync();
    let approved = world.approve(&halted.error);
    assert_eq!(approved.exit, ExitCode::Ok, "{approved:?}");
    assert_eq!(world.read("d").as_deref(), Some("a file now"));
}

/// B2: nor does the folder go in which a halted delete is left, because a rename out of it is done
/// in the second round.
#[test]
fn b2_a_folder_goes_with_the_last_of_what_was_asked_about() {
    let world = world();
    for i in 0..8 {
        world.put(&format!("d/{i}"), &format!("content {i}"));
    }
    world.put("d/renamed", "content of the one that was renamed");
    world.sync_ok();
    let refused = Effect::refused("to/no_write_permission");
    for route in ["move", "copy"] {
        world
            .dropbox
            .inject(Fault::new(route, When::Always, refused.clone()));
    }
    world.rename("d/renamed", "renamed");
    world.remove("d");
    world.put("x/in", "inner");
    world.dropbox.put("/x", b"file there");
    let dropbox = world.dropbox.clone();
    let failing = Fault::new("upload", When::Always, Effect::Status(500, String::new()));
    world.dropbox.inject(failing.about("renamed"));
    world.on_request(move |request| {
        if request.target.ends_with("files/download") {
            dropbox.clear_faults();
        }
    });
    let halted = world.sync();
    assert_eq!(halted.exit, ExitCode::Halted, "{halted:?}");
    assert_eq!(halted.counts.moved, 1, "{halted:?}");
    // Now the folder is among what is asked about.
    let again = world.sync();
    let approved = world.approve(&again.error);
    assert_eq!(approved.exit, ExitCode::Ok, "{approved:?}");
    let there = world.remote_tree();
    assert!(there.contains_key("renamed"), "{there:?}");
    assert!(!there.contains_key("d/"), "{there:?}");
}

/// Four of six files are gone here, which halts.
fn halted_over_four(world: &World) {
    for i in 0..6 {
        world.put(&format!("{i}"), &format!("content {i}"));
    }
    world.sync();
    (0..4).for_each(|i| world.remove(&format!("{i}")));
    assert_eq!(world.sync().exit, ExitCode::Halted);
}

/// The four are back, and one of the others goes: whether the halt is over.
fn is_over(world: &World) -> bool {
    for i in 0..4 {
        world.put(&format!("{i}"), &format!("content {i}"));
    }
    world.sync();
    world.remove("5");
    let outcome = world.sync();
    assert_ne!(outcome.exit, ExitCode::Ok, "something stays: {outcome:?}");
    outcome.exit != ExitCode::Halted
}

/// B2: what was never in step, or was hidden already when the halt began, hides nothing of it.
#[test]
fn b2_a_halt_ends_though_something_else_cannot_be_looked_at() {
    let world = world();
    world.put("A.txt", "A");
    world.put("a.txt", "a");
    halted_over_four(&world);
    assert!(is_over(&world), "never in step");

    let world = crate::world::world();
    world.put("a.txt", "a");
    world.put("dir/in", "in");
    world.sync_ok();
    world.put("A.txt", "A");
    world.put("Dir/other", "other");
    halted_over_four(&world);
    assert!(is_over(&world), "hidden before");
}

/// B2: what is hidden since then may be what the halt is about.
#[test]
fn b2_a_halt_does_not_end_while_what_it_names_may_be_hidden() {
    let world = world();
    world.put("dir/in", "in");
    world.sync_ok();
    halted_over_four(&world);
    world.put("Dir/other", "other");
    assert!(!is_over(&world), "hidden since");

    let world = crate::world::world();
    world.put("dir/in", "in");
    world.sync_ok();
    world.put("Dir/other", "other");
    halted_over_four(&world);
    // Seen for once, and named with the others.
    world.remove("Dir");
    world.remove("dir/in");
    assert_eq!(world.sync().exit, ExitCode::Halted);
    world.put("Dir/other", "other");
    assert!(!is_over(&world), "named meanwhile");
}

/// B2: a halt of `--download-only` ends in such a pass, whatever the mode.
#[test]
fn b2_a_halt_of_a_pass_one_way_ends_once_the_files_are_back() {
    let world = World::in_mode("LOCAL_TO_DROPBOX");
    for i in 0..8 {
        world.put(&format!("{i}"), &format!("content {i}"));
    }
    world.sync_ok();
    for i in 0..6 {
        world.dropbox.remove(&format!("/{i}"));
    }
    assert_eq!(world.download_only().exit, ExitCode::Halted);
    world.sync_ok();
    assert_eq!(world.remote_tree().len(), 8, "they are back");
    assert_eq!(world.download_only().exit, ExitCode::Ok);
    world.dropbox.remove("/7");
    let outcome = world.download_only();
    assert_eq!(outcome.exit, ExitCode::Ok, "{outcome:?}");
    assert_eq!(outcome.counts.deleted_locally, 1, "{outcome:?}");
}

/// B2: a pass that goes the other way does not see what is waiting, and ends no halt.
#[test]
fn b2_a_halt_is_not_ended_by_a_pass_the_other_way() {
    let world = world();
    halted_over_four(&world);
    for i in 0..2 {
        world.put(&format!("{i}"), &format!("content {i}"));
    }
    let other_way = world.download_only();
    assert_eq!(other_way.exit, ExitCode::Ok, "{other_way:?}");
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::Halted, "{outcome:?}");
    assert!(outcome.error.starts_with("2 files would"), "{outcome:?}");
}

#[test]
fn one_id_is_approved_or_kept_not_both() {
    let (one, other) = ("0123456789ab".to_owned(), "ba9876543210".to_owned());
    let args = |approved: &[&String], kept: &[&String]| SyncArgs {
        approved: approved.iter().copied().cloned().collect(),
        kept: kept.iter().copied().cloned().collect(),
        ..SyncArgs::default()
    };
    assert!(args(&[&one], &[&other]).check().is_ok());
    let both = args(&[&one, &other], &[&other]).check().unwrap_err();
    assert_eq!(both.exit_code(), ExitCode::Usage);
    assert!(both.to_string().contains(&other), "{both}");
}
