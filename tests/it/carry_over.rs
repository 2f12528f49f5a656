//! An index of an older format is carried over: what both sides agreed on stays known.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ferrybox::core::path::Key;
use ferrybox::index::{Base, BaseFile, Index, Meta, Remote, RemoteFile, Row, carry_over};
use ferrybox::io::stat::{Rights, Stamp};
use ferrybox::report::Counts;
use rusqlite::Connection;

use crate::world::{TempDir, World, world};

/// Made by the binary of 0.1 (d2c8d0c) beside a stand-in: four files and three folders in step, one
/// of them edited here since, one file gone in Dropbox and one new there.
const OF_0_1: &[u8] = include_bytes!("../../fuzz/corpus/index_file/of_0_1");

/// Of the format before the present one: every kind of base and remote, and a listing under way.
const OF_5: &[u8] = include_bytes!("../../fuzz/corpus/index_file/of_5");

/// All columns of all rows, as text, by path.
fn columns(file: &Path) -> BTreeMap<String, Vec<String>> {
    let db = Connection::open(file).unwrap();
    let mut select = db
        .prepare(
            "SELECT dir || '/' || name, shown, local, lower, kind, mount, rev, hex(hash), size, \
             mtime, ctime, inode, racy, arrived, rkind, rrev, hex(rhash), rsize, rtime FROM entry",
        )
        .unwrap();
    let rows = select.query_map([], |row| {
        let columns = (1..19).map(|at| Ok(format!("{:?}", row.get_ref(at)?)));
        Ok((
            row.get(0)?,
            columns.collect::<Result<_, rusqlite::Error>>()?,
        ))
    });
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

fn index_of_0_1() -> (TempDir, Index) {
    let temp = TempDir::new();
    let file = temp.path().join("index.db");
    fs::write(&file, OF_0_1).unwrap();
    let index = Index::open(&file).unwrap().unwrap();
    (temp, index)
}

#[test]
fn an_index_of_0_1_keeps_its_base_and_stamps() {
    let (temp, index) = index_of_0_1();
    let file = temp.path().join("index.db");
    let mut before = columns(&file);
    assert_eq!(before.len(), 10);
    carry_over(&index).unwrap();
    index.check_totals().unwrap();
    assert_eq!(index.meta(Meta::Format).unwrap().as_deref(), Some("6"));
    assert_eq!(
        index.meta(Meta::LastGuardedPass).unwrap().as_deref(),
        Some("1")
    );
    let mut after = columns(&file);
    // Only this one is spelt with a letter whose small one is younger than Dropbox's rules.
    let young = "/\u{a64b}\u{3c3}.txt";
    assert!(before.remove(young).is_some());
    let row = index.row(&Key::of(&young[1..])).unwrap();
    assert!(row.is_none_or(|row| row.base == Base::None));
    after.remove(young);
    assert_eq!(after, before);
    for path in before.keys() {
        let row = index.row(&Key::of(path.trim_start_matches('/'))).unwrap();
        assert!(row.unwrap().intact, "{path}");
    }
    assert!(index.meta(Meta::RelistDue).unwrap().is_some());
    let counter = index.counter().unwrap();
    carry_over(&index).unwrap();
    assert_eq!(index.counter().unwrap(), counter, "once is enough");
}

#[test]
fn an_index_of_format_5_keeps_its_base_and_the_listing_under_way() {
    let temp = TempDir::new();
    let file = temp.path().join("index.db");
    fs::write(&file, OF_5).unwrap();
    let index = Index::open(&file).unwrap().unwrap();
    let before = columns(&file);
    assert_eq!(before.len(), 9);
    let staged = || {
        let db = Connection::open(&file).unwrap();
        let count = "SELECT count(*) FROM staged";
        db.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(staged(), 9);
    carry_over(&index).unwrap();
    index.check_totals().unwrap();
    assert_eq!(index.meta(Meta::Format).unwrap().as_deref(), Some("6"));
    assert_eq!(columns(&file), before);
    assert_eq!(staged(), 9);
    for path in before.keys() {
        let row = index.row(&Key::of(path.trim_start_matches('/'))).unwrap();
        assert!(row.unwrap().intact, "{path}");
    }
    assert!(index.meta(Meta::RelistDue).unwrap().is_none());
}

#[test]
fn a_row_gets_the_key_of_the_path_dropbox_told() {
    let (temp, index) = index_of_0_1();
    let path = temp.path().join("index.db");
    carry_over(&index).unwrap();
    let base = Base::File(BaseFile {
        rev: "1".into(),
        hash: ferrybox::core::content_hash::ContentHash::of(b"x"),
        stamp: Stamp {
            size: 1,
            mtime_ns: 2,
            ctime_ns: 3,
            inode: 4,
            rights: None,
        },
        racy: false,
        arrived_in_pass: 1,
        reappeared: false,
    });
    let mut folder = Row::new(Key::of("\u{a64b}"), "\u{a64a}");
    folder.base = Base::Folder;
    folder.lower = Some("\u{a64a}".to_owned());
    let mut file = Row::new(Key::of("\u{a64b}/a"), "A");
    file.base = base.clone();
    file.lower = Some("\u{a64a}/a".to_owned());
    let mut decomposed = Row::new(Key::of("caf\u{e9}"), "Caf\u{e9}");
    decomposed.remote = Remote::File(RemoteFile {
        rev: "2".into(),
        hash: None,
        size: 9,
        modified: None,
    });
    decomposed.lower = Some("cafe\u{301}".to_owned());
    let put = || {
        index.put(&folder)?;
        index.put(&file)?;
        index.put(&decomposed)?;
        index.remove(&Key::of("\u{a64b}\u{3c3}.txt"))?;
        index.set_meta(Meta::Format, "4")?;
        index.clear_meta(Meta::RelistDue)
    };
    index.transaction(put).unwrap();
    drop(index);
    drop_rights(&path);
    let db = Connection::open(&path).unwrap();
    db.execute_batch("DROP TABLE refusal").unwrap();
    drop(db);
    let index = Index::open(&path).unwrap().unwrap();
    carry_over(&index).unwrap();
    index.check_totals().unwrap();
    for (path, lower, expected) in [
        ("\u{a64a}", None, Base::Folder),
        ("\u{a64a}/a", None, base),
        ("caf\u{e9}", Some("cafe\u{301}"), Base::None),
    ] {
        let row = index.row(&Key::of(path)).unwrap().unwrap();
        assert_eq!(row.base, expected, "{path}");
        assert_eq!(row.lower.as_deref(), lower, "{path}");
    }
    assert_eq!(index.row(&Key::of("\u{a64b}")).unwrap(), None);
    assert_eq!(index.meta(Meta::RelistDue).unwrap(), None);
}

/// Makes the index of a world one of 0.1.
fn age(world: &World) {
    age_to(world, "4");
    let db = Connection::open(world.state().join("index.db")).unwrap();
    db.execute_batch("DROP TABLE refusal").unwrap();
}

/// Makes it one of a format in which no base has rights.
fn age_to(world: &World, format: &str) {
    let file = world.state().join("index.db");
    let index = Index::open(&file).unwrap().unwrap();
    let mut rows = Vec::new();
    let mut dirs = vec![String::new()];
    while let Some(dir) = dirs.pop() {
        let mut in_dir = index.rows_in_dir(&dir);
        while let Some(mut row) = in_dir.next().unwrap() {
            if let Base::File(file) = &mut row.base {
                file.stamp.rights = None;
            }
            row.folder_rights = None;
            dirs.push(row.key.path());
            rows.push(row);
        }
    }
    let put = || {
        rows.iter().try_for_each(|row| index.put(row))?;
        index.set_meta(Meta::Format, format)
    };
    index.transaction(put).unwrap();
    drop(index);
    drop_rights(&file);
}

fn drop_rights(file: &Path) {
    let db = Connection::open(file).unwrap();
    for column in ["mode", "uid", "gid"] {
        let drop = format!("ALTER TABLE entry DROP COLUMN {column}");
        db.execute_batch(&drop).unwrap();
    }
}

/// The rights that the base of a file remembers.
fn rights(world: &World, path: &str) -> Option<Rights> {
    let index = Index::open(&world.state().join("index.db")).unwrap();
    let row = index.unwrap().row(&Key::of(path)).unwrap().unwrap();
    assert!(row.intact, "{path}");
    row.rights()
}

#[test]
fn s4_an_index_without_rights_learns_them_in_one_pass_and_writes_no_more() {
    for format in ["4", "5"] {
        let world = World::in_mode("DROPBOX_TO_LOCAL");
        world.dropbox.put("/d/secret", b"secret");
        world.sync_ok();
        world.hands().set_mode("d/secret", 0o600);
        world.clock.advance(10);
        world.sync_ok();
        match format {
            "4" => age(&world),
            _ => age_to(&world, format),
        }
        let outcome = world.sync_ok();
        assert_eq!(outcome.counts, Counts::default());
        assert_eq!(rights(&world, "d/secret").unwrap().mode, 0o600);
        assert!(rights(&world, "d").is_some());
        let written = world.written();
        world.sync_ok();
        assert_eq!(world.written(), written, "an idle pass writes nothing");
        world.remove("d/secret");
        world.sync_ok();
        assert_eq!(world.hands().mode("d/secret"), 0o600);
    }
}

#[test]
fn s4_what_is_missing_comes_back_private_where_nobody_knows_whom_it_let_in() {
    for format in ["4", "5"] {
        let world = World::in_mode("DROPBOX_TO_LOCAL");
        world.dropbox.put("/d/secret", b"secret");
        world.dropbox.put("/gone/other", b"other");
        world.dropbox.put("/d/here", b"here");
        world.sync_ok();
        world.hands().set_mode("d/here", 0o640);
        world.clock.advance(10);
        world.sync_ok();
        match format {
            "4" => age(&world),
            _ => age_to(&world, format),
        }
        world.remove("d/secret");
        world.remove("gone");
        world.dropbox.put("/d/here", b"edited");
        world.dropbox.put("/d/new", b"new");
        world.sync_ok();
        for (path, mode) in [
            ("d/secret", 0o600),
            ("gone", 0o700),
            ("gone/other", 0o600),
            // What is here tells, and of what is new nothing has to be kept.
            ("d", 0o755),
            ("d/here", 0o640),
            ("d/new", 0o644),
        ] {
            assert_eq!(world.hands().mode(path), mode, "{format} {path}");
        }
    }
}

#[test]
fn a_pass_over_an_index_of_0_1_goes_on_where_the_last_one_ended() {
    let world = world();
    for name in ["a", "b", "d/c"] {
        world.put(name, name);
    }
    world.sync_ok();
    world.clock.advance(10);
    world.sync_ok();
    age(&world);
    let idle = world.sync_ok();
    assert_eq!(idle.calls, ["list_folder/continue"]);
    assert_eq!(idle.counts, Counts::default());
    age(&world);
    // With its base an edit is an edit, and a delete is one.
    world.put("a", "edited");
    world.remove("b");
    world.dropbox.put("/d/c", b"edited there");
    let outcome = world.sync_ok();
    assert_eq!(outcome.conflicts, Vec::<String>::new());
    world.check_both(&[("a", "edited"), ("d/", ""), ("d/c", "edited there")]);
    world.check_settled();
}

#[test]
fn a_dry_run_carries_no_index_over() {
    let world = world();
    world.put("a", "a");
    world.sync_ok();
    world.clock.advance(10);
    world.sync_ok();
    age(&world);
    let file = world.state().join("index.db");
    let before = fs::read(&file).unwrap();
    world.put("b", "b");
    let planned = world.dry_run();
    assert_eq!(planned.plan.len(), 1, "{planned:?}");
    assert_eq!(fs::read(&file).unwrap(), before);
}
