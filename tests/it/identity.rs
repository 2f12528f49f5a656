//! What the base and the cursor belong to: another account, app, namespace, folder, filter, index
//! or content dir starts over or halts, and deletes nothing.

use dropbox_standin::{Effect, Fault, When};
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
    let (index, now) = (Index::in_memory("one").unwrap(), identity());
    let world = World::in_memory("BIDIRECTIONAL");
    let disk = world.disk();
    let cursors = CursorFile::new(Some(&disk), Some(&disk)).unwrap();
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
    let another = Index::in_memory("two").unwrap();
    noted(&another);
    noted(&another);
    assert_eq!(load(&another, &now), None, "another index");
    noted(&index);
    assert_eq!(load(&index, &now), Some("c".into()), "a newer index");
    cursors.store(&"d".into(), &index, &now).unwrap();
    let older = Index::in_memory("one").unwrap();
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

#[test]
fn without_a_marker_device_and_inode_tell_content_dirs_apart() {
    let world = World::in_memory("LOCAL_TO_DROPBOX");
    let disk = world.disk();
    disk.set_mode("", 0o555);
    let index = Index::in_memory("one").unwrap();
    let check = || root::check(&disk, &index, &world.clock, &[], Some(&disk));
    check().unwrap();
    assert_eq!(
        index.meta(Meta::RootMarker).unwrap(),
        None,
        "none can be made"
    );
    let mut row = Row::new(Key::of("a"), "a");
    row.settle(Base::Folder, "a");
    row.set_remote(Remote::Folder);
    index.transaction(|| index.put(&row)).unwrap();
    check().unwrap();
    let other = || index.set_meta(Meta::RootIdentity, "9:9");
    index.transaction(other).unwrap();
    assert!(matches!(check(), Err(Error::Halt(_))));
    assert!(index.row(&row.key).unwrap().is_some(), "the base is kept");
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
    world.sync_ok();
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
