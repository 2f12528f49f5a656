//! What comes back or is replaced may be read by whom it might before, and by nobody else, whatever
//! others have put there; and what an earlier run has left is taken up only if it is ours.

use std::collections::BTreeSet;

use dropbox_standin::{Effect, Fault, When};
use ferrybox::error::ExitCode;

use crate::world::{Outcome, World};

/// Another user of the gateway, who may write to the content dir.
const NEIGHBOUR: u32 = 4711;
const MIB: usize = 1 << 20;

fn one_way() -> World {
    World::in_memory("DROPBOX_TO_LOCAL")
}

/// A file of Dropbox that its owner made private.
fn private(mode: u32) -> World {
    let world = one_way();
    world.dropbox.put("/d/secret", b"v1");
    world.sync_ok();
    world.disk().set_mode("d/secret", mode);
    world.clock.advance(10);
    world.sync_ok();
    world
}

fn secret(world: &World) -> (u32, (u32, u32)) {
    let hands = world.hands();
    (hands.mode("d/secret"), hands.owner("d/secret"))
}

#[test]
fn s4_a_private_file_that_was_deleted_comes_back_private() {
    for mode in [0o600, 0o640, 0o755] {
        let world = private(mode);
        world.remove("d/secret");
        world.sync_ok();
        assert_eq!(world.read("d/secret").as_deref(), Some("v1"));
        assert_eq!(secret(&world), (mode, (0, 0)));
        world.check_settled();
    }
}

#[test]
fn s4_it_comes_back_private_with_all_that_comes_in_archives_too() {
    let world = one_way();
    for at in 0..40 {
        world.dropbox.put(&format!("/d/{at}"), b"small");
    }
    world.sync_ok();
    for at in 0..40 {
        world.disk().set_mode(&format!("d/{at}"), 0o600);
    }
    world.sync_ok();
    for at in 0..40 {
        world.remove(&format!("d/{at}"));
    }
    let outcome = world.sync_ok();
    assert_eq!(outcome.counts.downloaded, 40, "{outcome:?}");
    for at in 0..40 {
        assert_eq!(world.hands().mode(&format!("d/{at}")), 0o600, "{at}");
    }
}

#[test]
fn s4_it_is_private_before_it_is_in_place() {
    let world = private(0o600);
    world.remove("d/secret");
    world.sync_but_before_sync(|disk| {
        let all: Vec<_> = disk.tree().list("d").unwrap();
        let temp = all.iter().find(|(name, _)| name.ends_with(".tmp"));
        assert_eq!(temp.map(|(_, status)| status.mode), Some(0o600));
    });
    assert_eq!(secret(&world), (0o600, (0, 0)));
}

#[test]
fn s4_what_somebody_else_has_put_there_opens_no_file() {
    // His own, and one more name of a file that everybody may read.
    for is_link in [false, true] {
        let world = private(0o600);
        world.remove("d/secret");
        if is_link {
            world.put("elsewhere", "public");
            world.hands().hard_link("elsewhere", "d/secret");
        } else {
            world.put("d/secret", "his");
            world.disk().set_mode("d/secret", 0o666);
            world.disk().set_owner("d/secret", (NEIGHBOUR, NEIGHBOUR));
        }
        for text in ["v2", "v3"] {
            world.dropbox.put("/d/secret", text.as_bytes());
            world.sync_ok();
            assert_eq!(world.read("d/secret").as_deref(), Some(text));
            assert_eq!(secret(&world), (0o600, (0, 0)), "{is_link} {text}");
        }
    }
}

#[test]
fn s4_nor_does_a_copy_that_went_up_from_there() {
    let world = World::in_memory("BIDIRECTIONAL");
    world.dropbox.put("/d/secret", b"v1");
    world.sync_ok();
    world.disk().set_mode("d/secret", 0o600);
    world.sync_ok();
    for content in ["v1", "another"] {
        world.remove("d/secret");
        world.put("d/secret", content);
        world.disk().set_mode("d/secret", 0o666);
        world.disk().set_owner("d/secret", (NEIGHBOUR, NEIGHBOUR));
        world.sync_ok();
        world.dropbox.put("/d/secret", b"v2");
        world.sync_ok();
        assert_eq!(world.read("d/secret").as_deref(), Some("v2"));
        assert_eq!(secret(&world), (0o600, (0, 0)), "{content}");
        world.dropbox.put("/d/secret", b"v1");
        world.sync_ok();
    }
}

#[test]
fn s4_a_file_of_somebody_else_at_a_new_name_gives_nothing_to_its_owner() {
    let world = World::in_memory("BIDIRECTIONAL");
    world.put("new", "his");
    world.disk().set_mode("new", 0o666);
    world.disk().set_owner("new", (NEIGHBOUR, NEIGHBOUR));
    world.dropbox.put("/new", b"from Dropbox");
    world.sync_ok();
    assert_eq!(world.read("new").as_deref(), Some("from Dropbox"));
    assert_eq!(world.hands().owner("new"), (0, 0));
    assert_eq!(world.hands().mode("new") & 0o022, 0);
}

#[test]
fn s4_its_owner_goes_on_deciding() {
    for (before, then) in [(0o644, 0o600), (0o600, 0o644), (0o600, 0o400)] {
        let world = private(before);
        world.disk().set_mode("d/secret", then);
        world.sync_ok();
        world.remove("d/secret");
        world.sync_ok();
        assert_eq!(secret(&world).0, then, "{before:o}");
        // Right before a new version comes it counts at once.
        world.disk().set_mode("d/secret", before);
        world.dropbox.put("/d/secret", b"v2");
        world.sync_ok();
        assert_eq!(secret(&world).0, before, "{then:o}");
    }
}

#[test]
fn s4_a_folder_in_its_place_changes_nothing() {
    let world = private(0o600);
    world.remove("d/secret");
    world.put("d/secret/f", "in the way");
    world.dropbox.put("/d/secret", b"v2");
    world.sync();
    world.sync();
    assert_eq!(world.read("d/secret").as_deref(), Some("v2"));
    assert_eq!(secret(&world).0 & 0o077, 0);
}

/// A folder that its owner made private, with a file that everybody might read.
fn private_folder(mode: &'static str) -> World {
    let world = World::in_memory(mode);
    world.dropbox.put("/d/sub/f", b"f");
    world.sync_ok();
    world.disk().set_mode("d/sub", 0o700);
    world.clock.advance(10);
    world.sync_ok();
    let written = world.written();
    world.sync_ok();
    assert_eq!(world.written(), written, "an idle pass writes nothing");
    world
}

#[test]
fn s4_a_private_folder_comes_back_private() {
    for gone in ["d/sub", "d"] {
        let world = private_folder("DROPBOX_TO_LOCAL");
        world.remove(gone);
        world.sync_ok();
        assert_eq!(world.read("d/sub/f").as_deref(), Some("f"));
        assert_eq!(world.hands().mode("d/sub"), 0o700);
        assert_eq!(world.hands().mode("d"), 0o755);
        world.check_settled();
        let written = world.written();
        world.sync_ok();
        assert_eq!(world.written(), written, "an idle pass writes nothing");
    }
}

#[test]
fn s4_a_folder_of_somebody_else_in_its_place_is_not_what_is_remembered() {
    let world = private_folder("DROPBOX_TO_LOCAL");
    world.remove("d/sub");
    world.mkdir("d/sub");
    world.disk().set_mode("d/sub", 0o777);
    world.disk().set_owner("d/sub", (NEIGHBOUR, NEIGHBOUR));
    assert_eq!(world.sync().exit, ExitCode::SomeFiles);
    world.remove("d/sub");
    world.sync_ok();
    assert_eq!(world.hands().mode("d/sub"), 0o700);
    assert_eq!(world.hands().owner("d/sub"), (0, 0));
}

#[test]
fn s4_a_folder_its_owner_could_not_use_comes_back_so_that_files_can_come() {
    let world = private_folder("DROPBOX_TO_LOCAL");
    world.disk().set_mode("d/sub", 0o555);
    world.sync_ok();
    world.disk().set_mode("d/sub", 0o755);
    world.remove("d");
    world.sync_ok();
    assert_eq!(world.read("d/sub/f").as_deref(), Some("f"));
    assert_eq!(world.hands().mode("d/sub"), 0o755);
}

/// A world in which a download of 20 MiB broke off after 15, and the name of what has come.
fn broken_off() -> (World, String) {
    let world = one_way();
    world.dropbox.put("/d/big", &vec![7; 20 * MIB]);
    let cut = Fault::new("download", When::Nth(1), Effect::Truncate(15 * MIB));
    world.dropbox.inject(cut);
    let dead = Fault::new("download", When::Always, Effect::CutBefore);
    let dropbox = world.dropbox.clone();
    let mut asked = 0;
    world.on_request(move |request| {
        asked += u64::from(request.target.contains("files/download"));
        if asked == 2 {
            dropbox.inject(dead.clone());
        }
    });
    assert_ne!(world.sync().exit, ExitCode::Ok);
    world.on_request_nothing();
    world.dropbox.clear_faults();
    let part = parts(&world).pop_first().expect("its beginning is kept");
    (world, part)
}

fn parts(world: &World) -> BTreeSet<String> {
    let is_ours = |path: &String| path.contains("/.ferrybox-");
    world.hands().tree().into_keys().filter(is_ours).collect()
}

fn downloads(outcome: &Outcome) -> usize {
    let is_download = |call: &&String| call.starts_with("download");
    outcome.calls.iter().filter(is_download).count()
}

#[track_caller]
fn comes_whole(world: &World) {
    let outcome = world.sync_ok();
    assert_eq!(downloads(&outcome), 1);
    assert!(world.hands().read("d/big").unwrap() == vec![7; 20 * MIB]);
    assert_eq!(world.hands().owner("d/big"), (0, 0));
    assert_eq!(world.hands().mode("d/big"), 0o644);
    world.check_settled();
}

#[test]
fn s2_the_beginning_of_a_file_is_private_and_has_a_name_nobody_can_guess() {
    let (world, part) = broken_off();
    assert_eq!(world.hands().mode(&part), 0o600);
    let seal = part.rsplit_once('-').unwrap().1;
    assert_eq!(seal.len(), "0123456789abcdef.part".len());
    comes_whole(&world);
    assert_eq!(parts(&world), BTreeSet::new());
}

/// Puts something of his where the beginning of a file is.
type Plant<'p> = &'p dyn Fn(&World, &str);

#[test]
fn s2_a_planted_beginning_is_neither_written_to_nor_taken_over() {
    let plant: [Plant<'_>; 5] = [
        &|world, part| world.disk().set_owner(part, (NEIGHBOUR, NEIGHBOUR)),
        &|world, part| world.disk().set_mode(part, 0o666),
        &|world, part| world.hands().hard_link("d/victim", part),
        &|world, part| world.hands().link("victim", part),
        &|world, part| world.hands().make_socket(part),
    ];
    for (at, plant) in plant.iter().enumerate() {
        let (world, part) = broken_off();
        world.put("d/victim", "of somebody else");
        world.disk().set_mode("d/victim", 0o600);
        if at > 1 {
            world.remove(&part);
        }
        plant(&world, &part);
        comes_whole(&world);
        assert_eq!(world.read("d/victim").as_deref(), Some("of somebody else"));
        assert_eq!(world.hands().mode("d/victim"), 0o600, "{at}");
    }
}

#[test]
fn w8_a_folder_that_has_the_name_of_a_beginning_is_in_nobodys_way() {
    let (world, part) = broken_off();
    world.remove(&part);
    world.put(&format!("{part}/f"), "kept");
    comes_whole(&world);
    assert!(world.read(&format!("{part}/f")).is_some());
}

#[test]
fn s2_a_name_that_is_not_sealed_by_us_is_cleared_away() {
    let (world, part) = broken_off();
    let planted = format!("{}-0123456789abcdef.part", part.rsplit_once('-').unwrap().0);
    world.put(&planted, "planted");
    comes_whole(&world);
    assert_eq!(parts(&world), BTreeSet::new());
}

/// W10: what the program makes of the umask it is started with; `tests/system` has the files.
#[test]
fn w10_nothing_is_made_that_every_user_may_change() {
    for (umask, is) in [(0, 0o002), (0o022, 0o022), (0o077, 0o077), (0o055, 0o057)] {
        assert_eq!(ferrybox::cli::narrowed(umask), is, "{umask:03o}");
    }
}

/// A public file of ours is put where a private one is.
fn replace_by_public(world: &World) {
    world.hands().rename("d/public", "d/secret");
}

#[test]
fn s4_a_public_file_of_ours_in_its_place_opens_no_file() {
    for mode in ["DROPBOX_TO_LOCAL", "BIDIRECTIONAL"] {
        // At once, and once a pass has met it, and has met it again since its stamp changed.
        for passes in 0..3 {
            for is_gone in [false, true] {
                let world = World::in_memory(mode);
                world.dropbox.put("/d/secret", b"v1");
                world.dropbox.put("/d/public", b"public");
                world.sync_ok();
                world.disk().set_mode("d/secret", 0o600);
                world.clock.advance(10);
                world.sync_ok();
                replace_by_public(&world);
                // What is in step comes back at once where nothing goes up.
                for _ in 0..passes {
                    world.clock.advance(10);
                    world.sync_ok();
                    world.hands().rename("d/secret", "d/x");
                    world.hands().rename("d/x", "d/secret");
                }
                if is_gone {
                    world.remove("d/secret");
                }
                world.dropbox.put("/d/secret", b"v2");
                world.sync_ok();
                assert_eq!(world.read("d/secret").as_deref(), Some("v2"));
                let about = format!("{mode} {passes} {is_gone}");
                assert_eq!(secret(&world).0, 0o600, "{about}");
            }
        }
    }
}

#[test]
fn s4_an_editor_that_replaces_a_file_changes_nothing() {
    for (mode, then) in [
        (0o644, 0o644),
        (0o640, 0o640),
        (0o644, 0o600),
        (0o600, 0o600),
    ] {
        let world = World::in_memory("BIDIRECTIONAL");
        world.dropbox.put("/d/secret", b"v1");
        world.sync_ok();
        world.disk().set_mode("d/secret", mode);
        world.clock.advance(10);
        world.sync_ok();
        world.put("d/new", "edited");
        world.disk().set_mode("d/new", then);
        world.hands().rename("d/new", "d/secret");
        world.sync_ok();
        assert_eq!(world.hands().mode("d/secret"), then);
        // Its owner may go on deciding about the new one.
        world.disk().set_mode("d/secret", 0o664);
        world.clock.advance(10);
        world.sync_ok();
        world.dropbox.put("/d/secret", b"v2");
        world.sync_ok();
        assert_eq!(world.read("d/secret").as_deref(), Some("v2"));
        assert_eq!(secret(&world).0, 0o664, "{mode:o} {then:o}");
    }
}

/// A private folder with a file that everybody might read, and a public one beside it.
fn with_private_folder(mode: &'static str) -> World {
    let world = World::in_memory(mode);
    world.dropbox.put("/priv/k", b"k1");
    world.dropbox.put("/priv/sub/k2", b"k2");
    world.dropbox.put("/public/p", b"p");
    world.sync_ok();
    world.disk().set_mode("priv", 0o700);
    world.clock.advance(10);
    world.sync_ok();
    world
}

#[test]
fn s4_a_folder_in_the_place_of_a_private_one_shows_nothing_to_others() {
    for mode in ["DROPBOX_TO_LOCAL", "BIDIRECTIONAL"] {
        for is_his in [false, true] {
            let world = with_private_folder(mode);
            world.hands().rename("priv", ".x");
            if is_his {
                world.mkdir("priv");
                world.disk().set_mode("priv", 0o777);
                world.disk().set_owner("priv", (NEIGHBOUR, NEIGHBOUR));
            } else {
                world.hands().rename("public", "priv");
            }
            for text in ["v2", "v3"] {
                world.dropbox.put("/priv/k", text.as_bytes());
                world.dropbox.put("/priv/sub/k2", text.as_bytes());
                world.dropbox.put(&format!("/priv/new-{text}"), b"new");
                let outcome = world.sync();
                for name in ["k", "sub/k2", &format!("new-{text}")] {
                    let path = format!("priv/{name}");
                    assert!(world.read(&path).is_some(), "{mode} {path} {outcome:?}");
                    let found = world.hands().mode(&path);
                    assert_eq!(found, 0o600, "{mode} {is_his} {path}");
                }
                let is_told = |problem: &String| problem.contains("chmod 700");
                assert!(outcome.problems.values().any(is_told), "{outcome:?}");
            }
            // The one that was here comes back, and all is as it was.
            if is_his {
                world.remove("priv");
            } else {
                world.hands().rename("priv", "aside");
            }
            world.hands().rename(".x", "priv");
            world.dropbox.put("/priv/later", b"later");
            world.sync();
            assert_eq!(world.hands().mode("priv/later"), 0o644, "{mode} {is_his}");
        }
    }
}

#[test]
fn s4_the_owner_of_a_folder_goes_on_deciding() {
    let world = with_private_folder("DROPBOX_TO_LOCAL");
    world.disk().set_mode("priv", 0o755);
    world.dropbox.put("/priv/new", b"new");
    world.sync_ok();
    assert_eq!(world.hands().mode("priv/new"), 0o644);
    world.sync_ok();
    world.remove("priv");
    world.sync_ok();
    assert_eq!(world.hands().mode("priv"), 0o755);
    // One that was made anew counts once it was as narrow as the one that was known.
    world.disk().set_mode("priv", 0o700);
    world.sync_ok();
    world.remove("priv");
    world.mkdir("priv");
    world.disk().set_mode("priv", 0o755);
    assert_eq!(world.sync().exit, ExitCode::SomeFiles);
    world.disk().set_mode("priv", 0o700);
    world.sync_ok();
    world.disk().set_mode("priv", 0o755);
    world.dropbox.put("/priv/newer", b"newer");
    world.sync_ok();
    assert_eq!(world.hands().mode("priv/newer"), 0o644);
}

#[test]
fn s4_a_file_that_moves_into_an_opened_folder_is_kept_from_others() {
    let world = with_private_folder("BIDIRECTIONAL");
    world.dropbox.put("/own/big", b"moved");
    world.sync_ok();
    world.disk().set_mode("own", 0o700);
    world.clock.advance(10);
    world.sync_ok();
    world.hands().rename("priv", ".x");
    world.hands().rename("public", "priv");
    world.dropbox.rename("/own/big", "/priv/big");
    world.sync();
    assert_eq!(world.read("priv/big").as_deref(), Some("moved"));
    assert_eq!(world.hands().mode("priv/big"), 0o600);
}

#[test]
fn s4_a_folder_renamed_in_dropbox_stays_private() {
    let world = with_private_folder("BIDIRECTIONAL");
    world.disk().set_mode("priv/k", 0o640);
    world.sync_ok();
    world.dropbox.rename("/priv", "/priv2");
    world.sync_ok();
    assert_eq!(world.read("priv2/sub/k2").as_deref(), Some("k2"));
    assert_eq!(world.hands().mode("priv2"), 0o700);
    assert_eq!(world.hands().mode("priv2/sub"), 0o755);
    assert_eq!(world.hands().mode("priv2/k"), 0o640);
    // A folder of it alone: what kept others out was above it.
    world.dropbox.rename("/priv2/sub", "/out");
    world.sync_ok();
    assert_eq!(world.read("out/k2").as_deref(), Some("k2"));
    assert_eq!(world.hands().mode("out"), 0o700);
    world.dropbox.rename("/public", "/public2");
    world.sync_ok();
    assert_eq!(world.hands().mode("public2"), 0o755);
}

#[test]
fn s4_so_it_does_when_its_files_were_edited_too() {
    for all in [false, true] {
        let world = with_private_folder("BIDIRECTIONAL");
        world.disk().set_mode("priv/k", 0o640);
        world.sync_ok();
        world.dropbox.rename("/priv", "/priv2");
        world.dropbox.put("/priv2/k", b"edited");
        if all {
            world.dropbox.put("/priv2/sub/k2", b"edited");
        }
        world.sync_ok();
        assert_eq!(world.read("priv2/k").as_deref(), Some("edited"));
        assert_eq!(world.hands().mode("priv2"), 0o700, "{all}");
        assert_eq!(world.hands().mode("priv2/k"), 0o640, "{all}");
    }
}

#[test]
fn s4_a_file_that_moves_in_dropbox_and_is_fetched_keeps_its_rights() {
    let world = one_way();
    world.dropbox.put("/secret", b"v1");
    world.sync_ok();
    world.disk().set_mode("secret", 0o600);
    world.clock.advance(10);
    world.sync_ok();
    // The file itself is gone here: what comes is a download.
    world.dropbox.rename("/secret", "/renamed");
    world.remove("secret");
    world.sync_ok();
    assert_eq!(world.read("renamed").as_deref(), Some("v1"));
    assert_eq!(world.hands().mode("renamed"), 0o600);
}

#[test]
fn s4_the_number_of_an_inode_that_is_used_again_opens_no_file() {
    let world = private(0o600);
    world.dropbox.put("/d/public", b"public");
    world.sync_ok();
    world.clock.advance(10);
    let number = |path: &str| {
        let disk = world.disk();
        let tree = disk.tree();
        tree.status(tree.find(path).unwrap()).stamp.inode
    };
    let was = number("d/secret");
    world.remove("d/secret");
    // A new one of ours gets its number, and is put in its place.
    while {
        world.put("d/new", "public");
        number("d/new") != was
    } {
        world
            .hands()
            .rename("d/new", &format!("d/{}", number("d/new")));
    }
    world.hands().rename("d/new", "d/secret");
    world.dropbox.put("/d/secret", b"v2");
    world.sync_ok();
    assert_eq!(world.read("d/secret").as_deref(), Some("v2"));
    assert_eq!(secret(&world), (0o600, (0, 0)));
}

#[test]
fn s4_what_comes_into_a_private_folder_is_private_until_it_is_in_place() {
    let world = with_private_folder("DROPBOX_TO_LOCAL");
    world.dropbox.put("/priv/new", b"new");
    world.sync_but_before_sync(|disk| {
        let all: Vec<_> = disk.tree().list("priv").unwrap();
        let temp = all.iter().find(|(name, _)| name.ends_with(".tmp"));
        assert_eq!(temp.map(|(_, status)| status.mode), Some(0o600));
    });
    assert_eq!(world.hands().mode("priv/new"), 0o644);
}

#[test]
fn s4_a_folder_that_has_the_number_of_a_private_one_is_another() {
    let world = World::in_memory("DROPBOX_TO_LOCAL");
    world.dropbox.mkdir("/priv");
    world.sync_ok();
    world.disk().set_mode("priv", 0o700);
    world.clock.advance(10);
    world.sync_ok();
    let number = || {
        let disk = world.disk();
        let tree = disk.tree();
        tree.status(tree.find("priv").unwrap()).stamp.inode
    };
    let was = number();
    world.remove("priv");
    world.clock.advance(10);
    world.mkdir("priv");
    assert_eq!(number(), was, "the lowest that is free");
    world.dropbox.put("/priv/new", b"new");
    assert_eq!(world.sync().exit, ExitCode::SomeFiles);
    assert_eq!(world.hands().mode("priv/new"), 0o600);
}
