//! The decision tables, end to end: every cell with two real sides.

use ferrybox::io::host::Host;

use crate::world::{World, world};

/// A world in which `f` was in step with the content "base" and `other` keeps the guards quiet.
fn settled(mode: &'static str) -> World {
    let world = world();
    world.put("f", "base");
    world.put("other", "other");
    world.sync_ok();
    world.set_mode(mode);
    world
}

/// Applies one change to each side, syncs, and compares `f` on both.
#[track_caller]
fn check(mode: &'static str, local: &str, remote: &str, expected: (Option<&str>, Option<&str>)) {
    let world = settled(mode);
    match local {
        "S" => {}
        "E" => world.put("f", "local edit"),
        "both" => world.put("f", "same edit"),
        _ => world.remove("f"),
    }
    match remote {
        "S" => {}
        "E" => drop(world.dropbox.put("/f", b"remote edit!")),
        "both" => drop(world.dropbox.put("/f", b"same edit")),
        _ => assert!(world.dropbox.remove("/f")),
    }
    world.sync_ok();
    let found = (world.read("f"), world.dropbox.read("/f"));
    let remote_text = found.1.map(|bytes| String::from_utf8(bytes).unwrap());
    let found = (found.0.as_deref(), remote_text.as_deref());
    assert_eq!(found, expected, "{mode} local {local} remote {remote}");
    assert_eq!(world.read("other").as_deref(), Some("other"));
    world.check_settled();
}

#[test]
fn bidirectional_follows_the_table() {
    let (base, local, remote) = (Some("base"), Some("local edit"), Some("remote edit!"));
    for (l, r, expected) in [
        ("S", "S", (base, base)),
        ("S", "E", (remote, remote)),
        ("S", "G", (None, None)),
        ("E", "S", (local, local)),
        ("E", "E", (remote, remote)),
        ("both", "both", (Some("same edit"), Some("same edit"))),
        ("E", "G", (local, local)),
        ("G", "S", (None, None)),
        ("G", "E", (remote, remote)),
        ("G", "G", (None, None)),
    ] {
        check("BIDIRECTIONAL", l, r, expected);
    }
}

#[test]
fn local_to_dropbox_follows_the_table() {
    let (base, local, remote) = (Some("base"), Some("local edit"), Some("remote edit!"));
    for (l, r, expected) in [
        ("S", "S", (base, base)),
        ("S", "E", (base, remote)),
        ("S", "G", (base, base)),
        ("E", "S", (local, local)),
        ("E", "E", (local, local)),
        ("both", "both", (Some("same edit"), Some("same edit"))),
        ("E", "G", (local, local)),
        ("G", "S", (None, None)),
        ("G", "E", (None, remote)),
        ("G", "G", (None, None)),
    ] {
        check("LOCAL_TO_DROPBOX", l, r, expected);
    }
}

#[test]
fn dropbox_to_local_follows_the_table() {
    let (base, local, remote) = (Some("base"), Some("local edit"), Some("remote edit!"));
    for (l, r, expected) in [
        ("S", "S", (base, base)),
        ("S", "E", (remote, remote)),
        ("S", "G", (None, None)),
        ("E", "S", (local, base)),
        ("E", "E", (remote, remote)),
        ("both", "both", (Some("same edit"), Some("same edit"))),
        ("E", "G", (local, None)),
        ("G", "S", (base, base)),
        ("G", "E", (remote, remote)),
        ("G", "G", (None, None)),
    ] {
        check("DROPBOX_TO_LOCAL", l, r, expected);
    }
}

#[test]
fn without_a_base_each_mode_copies_its_own_way() {
    let seed = |mode| {
        let world = World::in_mode(mode);
        world.put("local", "l");
        world.put("same", "s");
        world.dropbox.put("/remote", b"r");
        world.dropbox.put("/same", b"s");
        world
    };
    let world = seed("BIDIRECTIONAL");
    assert_eq!(world.sync_ok().counts.adopted, 1);
    world.check_both(&[("local", "l"), ("remote", "r"), ("same", "s")]);
    let world = seed("LOCAL_TO_DROPBOX");
    world.sync_ok();
    world.check_local(&[("local", "l"), ("same", "s")]);
    world.check_remote(&[("local", "l"), ("remote", "r"), ("same", "s")]);
    // The first run uploads once, even in this mode.
    let world = seed("DROPBOX_TO_LOCAL");
    world.sync_ok();
    world.check_both(&[("local", "l"), ("remote", "r"), ("same", "s")]);
    world.put("later", "not uploaded");
    world.sync_ok();
    assert_eq!(world.dropbox.read("/later"), None);
}

#[test]
fn upload_on_reset_can_be_turned_off() {
    let world = World::in_mode("DROPBOX_TO_LOCAL");
    *world.sync_keys.borrow_mut() = "upload_on_reset = false".to_owned();
    world.put("local", "l");
    world.sync_ok();
    world.check_remote(&[]);
}

#[test]
fn upload_only_leaves_undecided_files_alone_until_a_person_approves() {
    let world = World::in_mode("LOCAL_TO_DROPBOX");
    world.put("f", "ours");
    let rev = world.dropbox.put("/f", b"theirs, other");
    let outcome = world.sync();
    assert_eq!(outcome.exit, ferrybox::error::ExitCode::SomeFiles);
    world.check_remote(&[("f", "theirs, other")]);
    let text = &outcome.problems["/f"];
    let approved = world.approve(text);
    assert_eq!(approved.exit, ferrybox::error::ExitCode::Ok, "{approved:?}");
    world.check_both(&[("f", "ours")]);
    assert_ne!(world.dropbox.rev("/f").unwrap(), rev);
}

/// W9: the id of a halt belongs to the index, which a first dry run does not keep.
#[test]
fn w9_a_first_dry_run_gives_no_id_that_a_sync_would_not_take() {
    let world = World::in_mode("LOCAL_TO_DROPBOX");
    world.put("f", "ours");
    world.dropbox.put("/f", b"theirs, other");
    let planned = world.dry_run();
    let text = &planned.problems["/f"];
    assert!(text.contains("A sync says by which command"), "{text}");
    assert!(!text.contains("--approve"), "{text}");
    let told = world.sync().problems["/f"].clone();
    assert_eq!(world.dry_run().problems["/f"], told, "an index is there");
    assert_eq!(world.approve(&told).exit, ferrybox::error::ExitCode::Ok);
}

/// W9: who knows the files alone cannot look for two lists of one id.
#[test]
fn w9_two_gateways_with_the_same_files_ask_for_different_ids() {
    let ids = [1, 2].map(|randomness| {
        let world = World::in_mode("LOCAL_TO_DROPBOX");
        for _ in 0..randomness {
            world.clock.random(&mut [0; 16]);
        }
        world.put("f", "ours");
        world.dropbox.put("/f", b"theirs, other");
        let id = crate::world::approval_in(&world.sync().problems["/f"]);
        id.expect("16 digits")
    });
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn one_direction_of_a_two_way_pass_leaves_the_other_due() {
    let world = settled("BIDIRECTIONAL");
    world.put("mine", "m");
    world.dropbox.put("/theirs", b"t");
    world.upload_only();
    world.check_local(&[("f", "base"), ("mine", "m"), ("other", "other")]);
    assert!(world.dropbox.read("/mine").is_some());
    world.put("mine2", "m2");
    world.download_only();
    assert_eq!(world.read("theirs").as_deref(), Some("t"));
    assert_eq!(world.dropbox.read("/mine2"), None);
    world.sync_ok();
    assert!(world.dropbox.read("/mine2").is_some());
}

#[test]
fn upload_only_in_the_two_way_mode_overrules_nobody() {
    let world = settled("BIDIRECTIONAL");
    world.put("f", "local edit");
    world.dropbox.put("/f", b"remote edit!");
    world.upload_only();
    assert_eq!(world.dropbox.read("/f").unwrap(), b"remote edit!");
    assert_eq!(world.read("f").as_deref(), Some("local edit"));
}

#[test]
fn a_fresh_card_is_restored_in_any_mode() {
    for mode in ["LOCAL_TO_DROPBOX", "DROPBOX_TO_LOCAL", "BIDIRECTIONAL"] {
        let old = World::in_mode(mode);
        old.put("conf/a.cfg", "a");
        old.put("b", "b");
        old.sync_ok();
        let fresh = old.beside();
        let outcome = fresh.download_only();
        assert_eq!(outcome.counts.downloaded, 2, "{mode}");
        fresh.check_both(&[("b", "b"), ("conf/", ""), ("conf/a.cfg", "a")]);
        fresh.sync_ok();
        fresh.check_settled();
    }
}

#[test]
fn modification_times_travel_both_ways_and_decide_nothing() {
    let world = world();
    world.put("up", "u");
    world.set_mtime("up", 1_000_000_000);
    world.dropbox.put_at("/down", b"d", "2020-02-02T02:02:02Z");
    world.sync_ok();
    assert_eq!(
        world.dropbox.client_modified("/up").unwrap(),
        "2001-09-09T01:46:40Z"
    );
    assert_eq!(world.mtime("down"), 1_580_608_922);
    // Another time is no other content.
    let rev = world.dropbox.rev("/up");
    world.set_mtime("up", 1_200_000_000);
    let touched = world.sync_ok();
    assert_eq!(touched.counts.uploaded, 0);
    assert_eq!(world.dropbox.rev("/up"), rev);
    // An edit that keeps size and time is still an edit.
    world.put("up", "v");
    world.set_mtime("up", 1_200_000_000);
    assert_eq!(world.sync_ok().counts.uploaded, 1);
}

#[test]
fn two_gateways_share_one_dropbox() {
    let one = world();
    let two = one.beside();
    one.put("a", "1");
    one.sync_ok();
    two.sync_ok();
    two.put("a", "22");
    two.sync_ok();
    one.sync_ok();
    one.check_both(&[("a", "22")]);
    two.check_local(&[("a", "22")]);
    one.check_settled();
    two.check_settled();
}

/// A7: the content of the base under another rev is no edit.
#[test]
fn a7_an_edit_undone_in_dropbox_is_none() {
    for moves_away in [false, true] {
        for mode in ["BIDIRECTIONAL", "LOCAL_TO_DROPBOX", "DROPBOX_TO_LOCAL"] {
            let undo = |world: &World, name: &str| {
                if moves_away {
                    world.dropbox.rename(&format!("/{name}"), "/elsewhere");
                    world.dropbox.rename("/elsewhere", &format!("/{name}"));
                } else {
                    world.dropbox.put(&format!("/{name}"), b"edited there");
                    world.dropbox.put(&format!("/{name}"), b"base");
                }
            };
            let world = world();
            for name in ["same", "edited", "removed"] {
                world.put(name, "base");
                world.sync_ok();
            }
            world.set_mode(mode);
            for name in ["same", "edited", "removed"] {
                undo(&world, name);
            }
            world.put("edited", "edited here");
            world.remove("removed");
            let outcome = world.sync_ok();
            assert_eq!(outcome.conflicts, Vec::<String>::new(), "{mode}");
            match mode {
                "DROPBOX_TO_LOCAL" => {
                    assert_eq!(
                        outcome.counts.downloaded, 1,
                        "what was removed: {outcome:?}"
                    );
                    assert_eq!(world.read("edited").as_deref(), Some("edited here"));
                }
                _ => {
                    assert_eq!(outcome.counts.downloaded, 0, "{mode}: {outcome:?}");
                    assert_eq!(outcome.counts.uploaded, 1, "{mode}: {outcome:?}");
                    world.check_both(&[("edited", "edited here"), ("same", "base")]);
                    world.check_settled();
                }
            }
            // The rev named afterwards is the new one.
            world.set_mode("BIDIRECTIONAL");
            world.sync();
            world.put("same", "edited later");
            let outcome = world.sync_ok();
            assert_eq!(outcome.conflicts, Vec::<String>::new());
            assert_eq!(world.remote_tree()["same"], "edited later");
        }
    }
}
