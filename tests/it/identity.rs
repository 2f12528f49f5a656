//! What the base and the cursor belong to: another account, app, namespace, folder, filter, index
//! or content dir starts over or halts, and deletes nothing.

use std::path::Path;

use dropbox_standin::{Effect, Fault, When};
use ferrybox::commands::sync::SyncArgs;
use ferrybox::core::guard::Approvals;
use ferrybox::core::path::Key;
use ferrybox::engine::cursor::CursorFile;
use ferrybox::engine::root;
use ferrybox::error::{Error, ExitCode};
use ferrybox::index::{Base, Index, Meta, Remote, Row, SyncIdentity};
use ferrybox::report::Counts;

use crate::world::{Outcome, World, world};

fn identity() -> SyncIdentity {
    SyncIdentity {
        account_id: "dbid:A".to_owned(),
        app_key: "app".to_owned(),
        root_namespace: "7".to_owned(),
        remote_root: "/r".to_owned(),
        filters: "f".to_owned(),
    }
}

fn noted(index: &Index) {
    index
        .transaction(|| index.set_meta(Meta::LastGuardedPass, "1"))
        .unwrap();
}

#[test]
fn a_cursor_counts_for_all_it_was_stored_with_and_nothing_else() {
    let (index, now) = (Index::temporary("one", None).unwrap(), identity());
    let world = World::in_memory("BIDIRECTIONAL");
    let disk = world.disk();
    let cursors = CursorFile::new(Some(&disk), Some(&disk), None, Path::new("state")).unwrap();
    cursors.store(&"c".into(), &index, &now).unwrap();
    let load = |index: &Index, now: &SyncIdentity| cursors.load(index, now).unwrap();
    assert_eq!(load(&index, &now), Some("c".into()));
    let other = || "other".to_owned();
    let others: [fn(&mut SyncIdentity, String); 5] = [
        |now, other| now.account_id = other,
        |now, other| now.app_key = other,
        |now, other| now.root_namespace = other,
        |now, other| now.remote_root = other,
        |now, other| now.filters = other,
    ];
    for (at, change) in others.iter().enumerate() {
        let mut now = now.clone();
        change(&mut now, other());
        assert_eq!(load(&index, &now), None, "field {at}");
    }
    let another = Index::temporary("two", None).unwrap();
    noted(&another);
    noted(&another);
    assert_eq!(load(&another, &now), None, "another index");
    noted(&index);
    assert_eq!(load(&index, &now), Some("c".into()), "a newer index");
    cursors.store(&"d".into(), &index, &now).unwrap();
    let older = Index::temporary("one", None).unwrap();
    assert_eq!(load(&older, &now), None, "an older copy of the index");
}

#[test]
fn the_cursor_of_another_folder_is_not_followed_after_a_crash() {
    let world = world();
    for dir in ["one", "two"] {
        world.dropbox.put(&format!("/{dir}/{dir}"), b"x");
    }
    let keys = world.dropbox_keys.borrow().clone();
    let root = |dir| {
        world
            .dropbox_keys
            .replace(format!("{keys}\nremote_root = \"/{dir}\""))
    };
    root("one");
    world.sync_ok();
    let of_one = world.state_file("cursor.json").unwrap();
    root("two");
    world.sync_ok();
    // The index knew of the other folder already when the power failed.
    world.put_state_file("cursor.json", &of_one);
    world.dropbox.put("/two/new", b"new");
    world.sync_ok();
    assert_eq!(world.read("new").as_deref(), Some("new"));
}

/// What the index says it belongs to becomes another; meanwhile files vanish from Dropbox.
fn changed(meta: Meta) -> World {
    let world = world();
    for name in ["a", "b", "c", "d"] {
        world.put(name, name);
    }
    world.sync_ok();
    for name in ["a", "b"] {
        world.dropbox.remove(&format!("/{name}"));
    }
    let index = Index::open(&world.state().join("index.db")).unwrap();
    let index = index.unwrap();
    index
        .transaction(|| index.set_meta(meta, "another"))
        .unwrap();
    world
}

#[track_caller]
fn check_started_over(world: &World, outcome: &Outcome) {
    assert_eq!(outcome.exit, ExitCode::Ok, "{outcome:?}");
    let counts = outcome.counts;
    let expected = Counts {
        uploaded: 2,
        adopted: 2,
        ..Counts::default()
    };
    assert_eq!(counts, expected);
    assert_eq!(world.local_tree(), world.remote_tree());
}

#[test]
fn another_app_namespace_or_folder_starts_over_and_deletes_nothing() {
    for meta in [Meta::AppKey, Meta::RootNamespace, Meta::RemoteRoot] {
        let world = changed(meta);
        check_started_over(&world, &world.sync());
    }
}

#[test]
fn another_account_that_is_approved_starts_over_and_deletes_nothing() {
    let world = changed(Meta::AccountId);
    let halted = world.sync();
    assert_eq!(halted.exit, ExitCode::Halted, "{halted:?}");
    check_started_over(&world, &world.approve(&halted.error));
}

/// B3: nothing would be deleted there, so nothing is kept; the halt stands, and is told again.
#[test]
fn b3_another_account_has_nothing_to_keep() {
    let world = changed(Meta::AccountId);
    let halted = world.sync();
    let kept = world.keep_id(&halted.error);
    assert_eq!(kept.exit, ExitCode::Usage, "{kept:?}");
    assert!(
        kept.error.contains("none would be: approve it, or leave"),
        "{kept:?}"
    );
    assert!(kept.error.ends_with(&halted.error), "{kept:?}");
    check_started_over(&world, &world.approve(&kept.error));
}

/// A content dir in which no marker can be made, and an index with a base.
fn unmarked() -> (World, Index) {
    let world = World::in_memory("LOCAL_TO_DROPBOX");
    world.disk().set_mode("", 0o555);
    let index = Index::temporary("one", None).unwrap();
    check_root(&world, &index).unwrap();
    let marker = index.meta(Meta::RootMarker).unwrap();
    assert_eq!(marker, None, "none can be made");
    let mut row = Row::new(Key::of("a"), "a");
    row.settle(Base::Folder, "a");
    row.set_remote(Remote::Folder);
    index.transaction(|| index.put(&row)).unwrap();
    (world, index)
}

fn check_root(world: &World, index: &Index) -> Result<(), Error> {
    let disk = world.disk();
    let found = root::look(&disk, index, "/content".to_owned(), false)?;
    let (none, again) = (Approvals::default(), str::to_owned);
    root::check(found, index, &world.clock, &none, &again, Some(&disk))
}

/// A9: the number of its device is not what a content dir is known by.
#[test]
fn a9_without_a_marker_what_outlives_a_restart_tells_content_dirs_apart() {
    let (world, index) = unmarked();
    check_root(&world, &index).unwrap();
    let counter = index.meta(Meta::Counter).unwrap();
    world.disk().tree().renumber(4711);
    check_root(&world, &index).unwrap();
    let now = index.meta(Meta::Counter).unwrap();
    assert_eq!(now, counter, "nothing is written");
    world.disk().tree().filesystem = 99;
    assert!(matches!(check_root(&world, &index), Err(Error::Halt(_))));
    assert!(index.has_base().unwrap(), "the base is kept");
}

#[test]
fn a9_an_identity_of_0_1_is_carried_over_without_a_halt() {
    let (world, index) = unmarked();
    let store = |text: &str| {
        let store = || index.set_meta(Meta::RootIdentity, text);
        index.transaction(store).unwrap();
    };
    store("4711:2");
    check_root(&world, &index).unwrap();
    assert!(index.has_base().unwrap(), "the base is kept");
    let stored = index.meta(Meta::RootIdentity).unwrap();
    assert_eq!(stored.as_deref(), Some("1:1::2"));
    world.disk().tree().filesystem = 99;
    assert!(
        matches!(check_root(&world, &index), Err(Error::Halt(_))),
        "once only"
    );
    store("1:9");
    assert!(matches!(check_root(&world, &index), Err(Error::Halt(_))));
    assert!(index.has_base().unwrap(), "the base is kept");
}

/// Two gateways whose configurations name one state directory.
fn with_one_state() -> (World, World, impl Fn(&World, &World, &str) -> Outcome) {
    let (first, second) = (world(), world());
    let keys = first.dropbox_keys.borrow().clone();
    let sync = move |state: &World, content: &World, root: &str| {
        let keys = format!("{keys}\nremote_root = \"{root}\"");
        state.dropbox_keys.replace(keys);
        let mut config = state.config();
        config.sync.content_dir = content.content();
        state.sync_config(&config, &SyncArgs::default())
    };
    (first, second, sync)
}

/// A19: two configurations without a state directory of their own.
#[test]
fn a19_another_pair_in_the_same_state_directory_is_refused() {
    let (first, second, sync) = with_one_state();
    first.put("a", "a");
    second.put("b", "b");
    assert_eq!(sync(&first, &first, "/one").exit, ExitCode::Ok);
    let before = first.remote_tree();
    for _ in 0..2 {
        let refused = sync(&first, &second, "/two");
        assert_eq!(refused.exit, ExitCode::Config, "{refused:?}");
        let line = format!("state.dir = \"{}-content\"", first.state().display());
        assert!(refused.error.contains(&line), "{}", refused.error);
        assert!(refused.error.contains("/one") && refused.error.contains("/two"));
        assert_eq!(refused.calls, [""; 0], "{refused:?}");
    }
    assert_eq!(first.remote_tree(), before);
    // The first one has its base as before.
    first.remove("a");
    first.put("c", "c");
    let outcome = sync(&first, &first, "/one");
    assert_eq!(outcome.counts.deleted_in_dropbox, 1, "{outcome:?}");
}

#[test]
fn a19_another_content_dir_alone_halts() {
    let (first, second, sync) = with_one_state();
    first.put("a", "a");
    second.put("b", "b");
    assert_eq!(sync(&first, &first, "/one").exit, ExitCode::Ok);
    let halted = sync(&first, &second, "/one");
    assert_eq!(halted.exit, ExitCode::Halted, "{halted:?}");
    first.check_remote(&[("one/", ""), ("one/a", "a")]);
}

#[test]
fn a19_another_content_dir_halts_whatever_else_is_another() {
    let (first, second, sync) = with_one_state();
    first.put("a", "a");
    assert_eq!(sync(&first, &first, "/one").exit, ExitCode::Ok);
    let index = Index::open(&first.state().join("index.db")).unwrap();
    let index = index.unwrap();
    let another = || index.set_meta(Meta::AppKey, "another");
    index.transaction(another).unwrap();
    drop(index);
    let halted = sync(&first, &second, "/one");
    assert_eq!(halted.exit, ExitCode::Halted, "{halted:?}");
    assert_eq!(second.read("a"), None, "nothing comes down either");
}

#[test]
fn a19_another_remote_root_alone_starts_over_and_deletes_nothing() {
    let (first, _, sync) = with_one_state();
    first.put("a", "a");
    first.put("b", "b");
    first.dropbox.put("/two/a", b"a");
    first.dropbox.put("/two/c", b"c");
    assert_eq!(sync(&first, &first, "/one").exit, ExitCode::Ok);
    let outcome = sync(&first, &first, "/two");
    assert_eq!(outcome.exit, ExitCode::Ok, "{outcome:?}");
    let expected = Counts {
        uploaded: 1,
        downloaded: 1,
        adopted: 1,
        ..Counts::default()
    };
    assert_eq!(outcome.counts, expected);
    first.check_local(&[("a", "a"), ("b", "b"), ("c", "c")]);
}

#[test]
fn a19_a_content_dir_that_was_moved_is_the_same_one() {
    let (first, second, sync) = with_one_state();
    first.put("a", "a");
    first.put("b", "b");
    assert_eq!(sync(&first, &first, "/one").exit, ExitCode::Ok);
    std::fs::remove_dir(second.content()).unwrap();
    std::fs::rename(first.content(), second.content()).unwrap();
    second.remove("a");
    let outcome = sync(&first, &second, "/one");
    assert_eq!(outcome.counts.deleted_in_dropbox, 1, "{outcome:?}");
    let other_folder = sync(&first, &second, "/two");
    assert_eq!(other_folder.exit, ExitCode::Ok, "{other_folder:?}");
}

/// A19: a copy of the directory has its marker, too.
#[test]
fn a19_a_copied_marker_does_not_make_two_pairs_one() {
    let (first, second, sync) = with_one_state();
    first.put("a", "a");
    assert_eq!(sync(&first, &first, "/one").exit, ExitCode::Ok);
    for name in ["a", ".ferrybox-root"] {
        std::fs::copy(first.content().join(name), second.content().join(name)).unwrap();
    }
    let refused = sync(&first, &second, "/two");
    assert_eq!(refused.exit, ExitCode::Config, "{refused:?}");
    assert!(refused.error.contains("state.dir = "), "{}", refused.error);
    assert_eq!(refused.calls, [""; 0], "{refused:?}");
    first.remove("a");
    let outcome = sync(&first, &first, "/one");
    assert_eq!(outcome.counts.deleted_in_dropbox, 1, "{outcome:?}");
}

/// An index of 0.1 does not say where its content dir is.
#[test]
fn a19_where_the_content_dir_is_is_written_once() {
    let (first, second, sync) = with_one_state();
    first.put("a", "a");
    assert_eq!(sync(&first, &first, "/one").exit, ExitCode::Ok);
    let index = Index::open(&first.state().join("index.db")).unwrap();
    let index = index.unwrap();
    index
        .transaction(|| index.clear_meta(Meta::ContentDir))
        .unwrap();
    drop(index);
    let refused = sync(&first, &second, "/two");
    assert_eq!(refused.exit, ExitCode::Config, "{refused:?}");
    assert_eq!(sync(&first, &first, "/one").exit, ExitCode::Ok);
    let written = first.written();
    assert_eq!(sync(&first, &first, "/one").exit, ExitCode::Ok);
    assert_eq!(first.written(), written);
}

#[test]
fn a_remote_root_that_was_made_anew_is_listed_anew() {
    let world = world();
    world
        .dropbox_keys
        .borrow_mut()
        .push_str("\nremote_root = \"/gateway\"");
    for name in ["a", "b", "c", "d"] {
        world.put(name, name);
    }
    assert_eq!(world.sync_ok().counts.folders_made, 1, "which is said");
    // What is told is that the folder went and another one came, not what it lacks.
    world.dropbox.remove("/gateway/d");
    let told = r#"{"entries":[
        {".tag":"deleted","name":"gateway","path_lower":"/gateway","path_display":"/gateway"},
        {".tag":"folder","name":"gateway","path_lower":"/gateway","path_display":"/gateway",
         "id":"id:new"}],"cursor":"new","has_more":false}"#;
    let answer = Effect::Status(200, told.to_owned());
    let once = Fault::new("list_folder/continue", When::Nth(1), answer);
    world.dropbox.inject(once);
    world.sync_ok();
    assert_eq!(world.read("d"), None, "it went with the old folder");
    assert_eq!(world.read("a").as_deref(), Some("a"));
}

/// Puts something in the place of the marker.
type Plant<'p> = &'p dyn Fn(&World);

/// Whoever may write to the content dir can put anything in the place of its marker.
#[test]
fn w8_a_marker_that_is_no_file_halts_and_says_what_to_remove() {
    let plant: [(&str, Plant<'_>); 3] = [
        ("a folder", &|world| world.mkdir(".ferrybox-root/d")),
        ("a link", &|world| {
            world.hands().link("elsewhere", ".ferrybox-root");
        }),
        ("a pipe, a socket or a device", &|world| {
            world.hands().make_socket(".ferrybox-root");
        }),
    ];
    for is_known in [false, true] {
        for (what, plant) in &plant {
            let world = world();
            if is_known {
                world.put("a", "a");
                world.sync_ok();
                world.remove(".ferrybox-root");
            }
            plant(&world);
            let before = (world.hands().tree(), world.remote_tree());
            for _ in 0..2 {
                let outcome = world.sync();
                assert_eq!(outcome.exit, ExitCode::Halted, "{what}: {outcome:?}");
                let told = [what, "Remove it by: rm -r /", "/content/.ferrybox-root"];
                for words in told {
                    assert!(outcome.error.contains(words), "{outcome:?}");
                }
            }
            assert_eq!((world.hands().tree(), world.remote_tree()), before);
            world.remove(".ferrybox-root");
            let outcome = world.sync();
            let expected = if is_known {
                ExitCode::Halted
            } else {
                ExitCode::Ok
            };
            assert_eq!(outcome.exit, expected, "{what}: {outcome:?}");
        }
    }
}
