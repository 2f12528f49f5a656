//! What lies in an excluded folder stays where it is, whatever is known of the folder: nothing in
//! it is asked alone, and no spelling is guessed.

use dropbox_standin::{Effect, Fault, When};
use ferrybox::error::ExitCode;
use ferrybox::report::Counts;

use crate::world::World;

const MODES: [&str; 3] = ["BIDIRECTIONAL", "LOCAL_TO_DROPBOX", "DROPBOX_TO_LOCAL"];

/// Names as people choose them, with a pattern that leaves their folder out: at the top, deep
/// down, with letters outside ASCII, by what they begin with.
const FOLDERS: [(&str, &str); 5] = [
    ("Private", "exclude = ['/Private']"),
    ("Docs/My Private", "exclude = ['/Docs/My Private']"),
    ("\u{c4}rger/X", "exclude = ['/\u{c4}rger']"),
    ("a/Cache", "exclude = ['.*/Cache']"),
    ("P/Q/R", "exclude = ['/P/[A-Z]']"),
];

/// A pattern, the folder it prunes, and files on both sides of it and beside it.
fn each(check: impl Fn(World, &str, &'static str)) {
    for mode in MODES {
        for (folder, keys) in FOLDERS {
            for parents_folded in [false, true] {
                let world = World::in_mode(mode);
                world.dropbox.set_shows_parents_folded(parents_folded);
                check(world, folder, keys);
            }
        }
    }
}

fn shut(world: &World, keys: &str) {
    *world.sync_keys.borrow_mut() = keys.to_owned();
}

fn at(folder: &str, name: &str) -> String {
    format!("{folder}/{name}")
}

/// Both sides below the folder are as they were, and passes with nothing to do do nothing.
#[track_caller]
fn check_stays(world: &World, folder: &str, here: &[(&str, &str)], there: &[(&str, &str)]) {
    for _ in 0..2 {
        let outcome = world.sync();
        assert_eq!(outcome.exit, ExitCode::Ok, "{folder}: {outcome:?}");
    }
    let below = |tree: std::collections::BTreeMap<String, String>| {
        let inside = tree.into_iter().filter_map(|(path, content)| {
            let rest = path.strip_prefix(folder)?.strip_prefix('/')?.to_owned();
            (!rest.is_empty()).then_some((rest, content))
        });
        inside.collect::<Vec<_>>()
    };
    let expected = |files: &[(&str, &str)]| {
        let owned = |(name, content): &(&str, &str)| ((*name).to_owned(), (*content).to_owned());
        files.iter().map(owned).collect::<Vec<_>>()
    };
    assert_eq!(below(world.local_tree()), expected(here), "{folder}, here");
    assert_eq!(
        below(world.remote_tree()),
        expected(there),
        "{folder}, in Dropbox"
    );
    let idle = world.sync();
    assert_eq!(idle.counts, Counts::default(), "{folder}: {idle:?}");
    assert_eq!(idle.calls, ["list_folder/continue"], "{folder}");
}

#[test]
fn a_first_pass_neither_sends_nor_fetches_it() {
    each(|world, folder, keys| {
        shut(&world, keys);
        world.put(&at(folder, "pw"), "ours");
        world.put("beside", "b");
        world.dropbox.put(&format!("/{folder}/old"), b"theirs");
        world
            .dropbox
            .put(&format!("/{folder}/sub/Deep"), b"theirs, too");
        world.sync_ok();
        check_stays(
            &world,
            folder,
            &[("pw", "ours")],
            &[("old", "theirs"), ("sub/", ""), ("sub/Deep", "theirs, too")],
        );
    });
}

#[test]
fn one_that_only_dropbox_has_does_not_come_down() {
    each(|world, folder, keys| {
        shut(&world, keys);
        world.dropbox.put(&format!("/{folder}/old"), b"theirs");
        world.dropbox.put("/beside", b"b");
        world.sync_ok();
        check_stays(&world, folder, &[], &[("old", "theirs")]);
        let tree = world.local_tree();
        let top = folder.split('/').next().unwrap().to_lowercase();
        let leaked = tree
            .keys()
            .any(|path| path.starts_with(&top) && path.contains("old"));
        assert!(!leaked, "{folder}: {tree:?}");
    });
}

/// In step, then excluded: edits, new files and deletes of either side stay where they were made.
#[test]
fn what_was_in_step_before_the_exclude_stays_as_each_side_has_it() {
    each(|world, folder, keys| {
        for name in ["pw", "gone here", "gone there"] {
            world.put(&at(folder, name), "1");
            world.dropbox.put(&format!("/{folder}/{name}"), b"1");
        }
        world.sync_ok();
        shut(&world, keys);
        world.sync_ok();
        world.put(&at(folder, "pw"), "edited here");
        world.put(&at(folder, "new"), "new here");
        world.remove(&at(folder, "gone here"));
        world.dropbox.remove(&format!("/{folder}/gone there"));
        world.dropbox.put(&format!("/{folder}/New"), b"new there");
        world.sync_ok();
        check_stays(
            &world,
            folder,
            &[
                ("gone there", "1"),
                ("new", "new here"),
                ("pw", "edited here"),
            ],
            &[("New", "new there"), ("gone here", "1"), ("pw", "1")],
        );
    });
}

#[test]
fn removing_an_excluded_folder_on_one_side_leaves_it_on_the_other() {
    each(|world, folder, keys| {
        for name in ["a", "b", "c", "d"] {
            world.put(&at(folder, name), name);
            world
                .dropbox
                .put(&format!("/{folder}/{name}"), name.as_bytes());
        }
        world.sync_ok();
        shut(&world, keys);
        world.sync_ok();
        world.remove(folder);
        let there = [("a", "a"), ("b", "b"), ("c", "c"), ("d", "d")];
        check_stays(&world, folder, &[], &there);
    });
}

#[test]
fn a_reset_and_a_lost_index_change_nothing_about_it() {
    each(|world, folder, keys| {
        shut(&world, keys);
        world.put(&at(folder, "pw"), "ours");
        world.dropbox.put(&format!("/{folder}/old"), b"theirs");
        world.sync_ok();
        world.dropbox.reset_cursors();
        world.dropbox.put(&format!("/{folder}/older"), b"theirs");
        world.put(&at(folder, "pw2"), "ours");
        world.sync_ok();
        world.lose_state();
        world.sync_ok();
        check_stays(
            &world,
            folder,
            &[("pw", "ours"), ("pw2", "ours")],
            &[("old", "theirs"), ("older", "theirs")],
        );
    });
}

/// Told by the cursor, not by a listing: a folder, and later what is in it.
#[test]
fn what_comes_to_an_excluded_folder_in_dropbox_later_stays_there() {
    each(|world, folder, keys| {
        shut(&world, keys);
        world.put("beside", "b");
        world.dropbox.put("/beside", b"b");
        world.sync_ok();
        world.dropbox.put(&format!("/{folder}/old"), b"1");
        world.sync_ok();
        world.dropbox.put(&format!("/{folder}/old"), b"2");
        world.dropbox.put(&format!("/{folder}/sub/more"), b"3");
        world.put(&at(folder, "pw"), "ours");
        let outcome = world.sync_ok();
        // All that is below is known to be left out: nothing has to be listed anew.
        let lists = outcome.calls.contains(&"list_folder".to_owned());
        assert!(!lists, "{folder}: {outcome:?}");
        let there = [("old", "2"), ("sub/", ""), ("sub/more", "3")];
        check_stays(&world, folder, &[("pw", "ours")], &there);
    });
}

/// One that is not excluded is synced as ever, however Dropbox spells the folders above it.
#[test]
fn a_folder_beside_it_is_synced() {
    for (folder, keys) in FOLDERS {
        for parents_folded in [false, true] {
            let world = World::in_mode("BIDIRECTIONAL");
            world.dropbox.set_shows_parents_folded(parents_folded);
            shut(&world, keys);
            world.dropbox.put(&format!("/{folder}/no"), b"no");
            world.dropbox.put("/Docs/Open/Here", b"yes");
            world.sync_ok();
            world.dropbox.put("/Docs/Open/There", b"yes");
            world.put("Docs/Open/Mine", "yes");
            world.sync_ok();
            let open = |tree: std::collections::BTreeMap<String, String>| {
                let names = tree
                    .into_keys()
                    .filter(|path| path.starts_with("Docs/Open/"));
                names.collect::<Vec<_>>()
            };
            let all = ["", "Here", "Mine", "There"].map(|name| format!("Docs/Open/{name}"));
            assert_eq!(open(world.local_tree()), all, "{folder}");
            assert_eq!(open(world.remote_tree()), all, "{folder}");
        }
    }
}

/// Made anew in another case it is another folder to the pattern, which names it by its letters.
#[test]
fn a_folder_that_comes_back_in_another_case_is_asked_about_by_its_new_name() {
    let world = World::in_mode("BIDIRECTIONAL");
    shut(&world, "exclude = ['/Private']");
    world.dropbox.put("/Private/old", b"theirs");
    world.sync_ok();
    assert_eq!(world.local_tree().len(), 0);
    world.dropbox.remove("/Private");
    world.dropbox.put("/private/old", b"theirs");
    world.sync_ok();
    world.check_both(&[("private/", ""), ("private/old", "theirs")]);
    world.dropbox.remove("/private");
    world.dropbox.put("/Private/old", b"edited there");
    world.sync_ok();
    assert_eq!(world.read("private/old").as_deref(), Some("theirs"));
    world.check_settled();
}

/// A page that tells of a file before its folder: how that is spelt is asked for, not guessed.
#[test]
fn a_file_told_of_before_its_folder_waits_for_the_name_of_the_folder() {
    for seed in 0..6 {
        let world = World::in_mode("BIDIRECTIONAL");
        world.dropbox.set_shows_parents_folded(true);
        shut(&world, "exclude = ['/Private']");
        world.sync_ok();
        world.dropbox.put("/Private/a", b"theirs");
        world.dropbox.put("/Private/b", b"theirs");
        world.dropbox.put("/Open/c", b"c");
        world.dropbox.inject(Fault::new(
            "files/list_folder/continue",
            When::First(1),
            Effect::ReorderPage(seed),
        ));
        world.sync_ok();
        world.check_local(&[("Open/", ""), ("Open/c", "c")]);
        world.check_settled();
    }
}

/// The row that knew how the folder above is spelt is damaged: nothing below it is asked about.
#[test]
fn a_damaged_row_above_it_gives_no_spelling() {
    for mode in MODES {
        let world = World::in_mode(mode);
        shut(&world, "exclude = ['/Docs/Private']");
        for side in ["/Docs/Private/old", "/Docs/open"] {
            world.dropbox.put(side, b"theirs");
        }
        world.put("Docs/open", "theirs");
        world.sync_ok();
        let db = rusqlite::Connection::open(world.state().join("index.db")).unwrap();
        let damaged = db.execute("UPDATE entry SET sum = sum + 1 WHERE name = 'docs'", []);
        assert_eq!(damaged.unwrap(), 1);
        drop(db);
        world.sync();
        world.sync_ok();
        world.check_local(&[("Docs/", ""), ("Docs/open", "theirs")]);
    }
}

#[test]
fn archives_leave_it_where_it_is() {
    for mode in ["BIDIRECTIONAL", "DROPBOX_TO_LOCAL"] {
        let world = World::in_mode(mode);
        *world.dropbox_keys.borrow_mut() += "\nremote_root = \"/Top\"";
        shut(&world, "exclude = ['/Conf/Private']");
        for i in 0..12 {
            world.dropbox.put(&format!("/Top/Conf/{i}"), b"conf");
            world
                .dropbox
                .put(&format!("/Top/Conf/Private/{i}"), b"private");
        }
        world.sync_ok();
        let tree = world.local_tree();
        assert_eq!(tree.len(), 13, "{tree:?}");
        assert!(
            tree.values().all(|content| content != "private"),
            "{tree:?}"
        );
        world.check_settled();
    }
}
