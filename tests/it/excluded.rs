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
                world
                    .dropbox
                    .change_habits(|it| it.shows_parents_folded = parents_folded);
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
            world
                .dropbox
                .change_habits(|it| it.shows_parents_folded = parents_folded);
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
        world
            .dropbox
            .change_habits(|it| it.shows_parents_folded = true);
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

/// Keys, a file here, a folder and a file of the same keys in Dropbox, spelt otherwise there.
const SPELT_OTHERWISE: [(&str, &str, &str, &str); 5] = [
    (
        "exclude = ['/secrets']",
        "secrets/pw.txt",
        "/Secrets",
        "/Secrets/PW.txt",
    ),
    (
        "exclude = ['/a/secrets']",
        "a/secrets/deep/pw",
        "/A/Secrets",
        "/A/SECRETS/deep/PW",
    ),
    (
        "exclude = ['.*\\.key']",
        "server.key",
        "/Other",
        "/server.KEY",
    ),
    (
        "upload_filter = ['/docs/.*', '/docs']\ndownload_filter = ['/docs/.*']",
        "Docs/pw",
        "/docs",
        "/docs/pw",
    ),
    (
        "exclude = ['/\u{e4}/.*']",
        "\u{e4}/pw",
        "/\u{c4}",
        "/\u{c4}/pw",
    ),
];

/// A1: Dropbox spells the folder or file otherwise than the content dir; the exclude has the
/// spelling here.
#[test]
fn a1_what_is_excluded_as_it_is_spelt_here_does_not_travel_either() {
    for mode in MODES {
        for (keys, here, folder, file) in SPELT_OTHERWISE {
            for is_first in [true, false] {
                let world = World::in_mode(mode);
                shut(&world, keys);
                world.put(here, "ours");
                world.put("beside", "b");
                if is_first {
                    world.dropbox.mkdir(folder);
                }
                world.sync_ok();
                // Somebody makes it there, empty; then a file of that name.
                if !is_first {
                    world.dropbox.mkdir(folder);
                    world.sync_ok();
                }
                world.put(here, "ours, edited");
                world.sync_ok();
                let went_up = |content: &String| content.starts_with("ours");
                let there = world.remote_tree();
                assert!(!there.values().any(went_up), "{mode} {keys}: {there:?}");
                world.dropbox.put(file, b"theirs");
                world.sync_ok();
                world.sync_ok();
                let tree = world.local_tree();
                assert_eq!(tree[here], "ours, edited", "{mode} {keys}");
                assert!(
                    !tree.values().any(|content| content == "theirs"),
                    "{tree:?}"
                );
                assert_eq!(world.dropbox.read(file).unwrap(), b"theirs", "{mode}");
                world.remove(here.split('/').next().unwrap());
                let idle = world.sync_ok();
                assert_eq!(idle.counts.deleted_in_dropbox, 0, "{mode} {keys}");
            }
        }
    }
}

/// A2: each of several names with one key is asked alone.
#[test]
fn a2_an_excluded_name_does_not_take_another_of_its_key_along() {
    for (keys, shut_name, open_name) in [
        ("exclude = ['/Logs']", "Logs", "logs"),
        ("exclude = ['/logs']", "logs", "Logs"),
        (
            "upload_filter = ['/logs(/.*)?']\ndownload_filter = []",
            "LOGS",
            "logs",
        ),
    ] {
        let world = World::in_mode("BIDIRECTIONAL");
        shut(&world, keys);
        world.put(&at(shut_name, "a"), "shut");
        world.put(&at(open_name, "a"), "open");
        world.put("logs.txt", "x");
        let outcome = world.sync();
        if shut_name == "LOGS" {
            // What is in a folder may travel where the folder itself does not: a clash stays one.
            assert_eq!(outcome.exit, ExitCode::SomeFiles, "{outcome:?}");
            continue;
        }
        assert_eq!(outcome.exit, ExitCode::Ok, "{outcome:?}");
        let there = world.remote_tree();
        assert_eq!(there[&at(open_name, "a")], "open", "{keys}");
        assert_eq!(
            there.values().filter(|content| *content == "shut").count(),
            0
        );
        world.put(&at(open_name, "b"), "later");
        world.put(&at(shut_name, "b"), "later, shut");
        world.dropbox.put(&format!("/{open_name}/c"), b"from there");
        world.sync_ok();
        assert_eq!(
            world.read(&at(open_name, "c")).as_deref(),
            Some("from there")
        );
        assert_eq!(world.read(&at(shut_name, "c")), None);
        assert_eq!(world.remote_tree()[&at(open_name, "b")], "later");
        // Gone here, gone there; the shut one is not asked.
        world.remove(&at(open_name, "b"));
        world.sync_ok();
        assert!(!world.remote_tree().contains_key(&at(open_name, "b")));
        world.check_settled();
    }
}

/// A2, with files: the one that may travel does, whichever comes first.
#[test]
fn a2_files_that_differ_in_case_are_asked_one_by_one() {
    let world = World::in_mode("BIDIRECTIONAL");
    shut(&world, "exclude = ['/d/A\\.txt', '/d/b\\.txt']");
    for name in ["A.txt", "a.txt", "B.txt", "b.txt"] {
        world.put(&at("d", name), name);
    }
    world.sync_ok();
    world.check_remote(&[("d/", ""), ("d/B.txt", "B.txt"), ("d/a.txt", "a.txt")]);
    world.check_settled();
    // Both are shut now: nothing follows from what nobody looks at.
    shut(&world, "exclude = ['/d/[aA]\\.txt', '/d/b\\.txt']");
    world.sync_ok();
    world.remove("d/a.txt");
    world.sync_ok();
    assert!(world.remote_tree().contains_key("d/a.txt"));
}

/// A2: what Dropbox has belongs to the name that was in step, also once that is left out: another
/// of its key neither takes it over nor counts as what is left of it.
#[test]
fn a2_what_an_excluded_name_had_in_step_is_no_other_names() {
    for mode in MODES {
        for (put, content) in [("d/y", "new"), ("d", "a file"), ("f", "other")] {
            let world = World::in_mode(mode);
            world.dropbox.put("/d/x", b"in the folder");
            world.dropbox.put("/f", b"a file");
            world.put("D/x", "in the folder");
            world.put("F", "a file");
            world.put("beside", "b");
            world.sync();
            world.sync_ok();
            shut(&world, "exclude = ['/D', '/F']");
            world.sync_ok();
            let before = (world.local_tree(), world.remote_tree());
            world.put(put, content);
            for _ in 0..3 {
                let outcome = world.sync();
                assert_eq!(
                    outcome.exit,
                    ExitCode::SomeFiles,
                    "{mode} {put}: {outcome:?}"
                );
                assert_eq!(
                    outcome.counts,
                    Counts::default(),
                    "{mode} {put}: {outcome:?}"
                );
            }
            assert_eq!(world.remote_tree(), before.1, "{mode} {put}");
            world.remove(put.split('/').next().unwrap());
            world.sync_ok();
            assert_eq!((world.local_tree(), world.remote_tree()), before);
        }
    }
}

/// A3: nothing is said of what may not travel.
#[test]
fn a3_clashes_and_odd_names_that_may_not_travel_are_no_problem() {
    use std::os::unix::ffi::OsStrExt;
    let odd = |dir: std::path::PathBuf| {
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join(std::ffi::OsStr::from_bytes(b"caf\xe9")), "odd").unwrap();
    };
    for keys in [
        "upload_filter = ['/items/.*']\ndownload_filter = ['/items/.*']",
        "exclude = ['/icons']",
        "exclude = ['/icons/.*']",
        "exclude = ['.*\\.png', '/icons/caf.*']",
    ] {
        for mode in MODES {
            let world = World::in_mode(mode);
            shut(&world, keys);
            world.put("icons/Tim.png", "1");
            world.put("icons/tim.png", "2");
            odd(world.content().join("icons"));
            world.put("items/a", "a");
            for _ in 0..2 {
                let outcome = world.sync();
                assert_eq!(outcome.exit, ExitCode::Ok, "{mode} {keys}: {outcome:?}");
            }
            assert!(world.remote_tree().values().all(|content| content != "1"));
        }
    }
    // What may travel is said.
    let world = World::in_mode("BIDIRECTIONAL");
    shut(&world, "exclude = ['/icons/[a-z]*\\.png']");
    world.put("icons/Tim.png", "1");
    world.put("icons/tim.PNG", "2");
    odd(world.content().join("icons"));
    let outcome = world.sync();
    assert_eq!(outcome.problems.len(), 3, "{outcome:?}");
}
