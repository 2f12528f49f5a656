//! The corpus of the target `index_file`, which has to be of the format at hand: an index of an
//! older one is refused before anything in it is read. After a change of the format:
//!
//! ```text
//! cargo test --test it hostile::seeds -- --ignored
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use ferrybox::core::content_hash::ContentHash;
use ferrybox::core::path::Key;
use ferrybox::index::{Base, BaseFile, Index, Meta, Remote, RemoteEntry, RemoteFile, Row};
use ferrybox::io::stat::{FolderRights, Rights, Stamp};

use crate::world::TempDir;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/index_file")
}

/// Every kind of base and of remote, in two directories.
fn rows() -> Vec<Row> {
    let row = |path: &str, base: Base, remote: Remote| {
        let mut row = Row::new(Key::of(path), path.rsplit('/').next().unwrap());
        (row.base, row.remote) = (base, remote);
        row
    };
    let file = Base::File(BaseFile {
        rev: "1".into(),
        hash: ContentHash([7; 32]),
        stamp: Stamp {
            rights: Some(Rights {
                mode: 0o640,
                uid: 1000,
                gid: 33,
            }),
            ..Stamp::default()
        },
        racy: true,
        arrived_in_pass: 1,
        reappeared: true,
    });
    let seen = Remote::File(RemoteFile {
        modified: Some(1_700_000_000),
        rev: "2".into(),
        hash: Some(ContentHash([8; 32])),
        size: 5,
    });
    let mut rows = vec![
        row("a", file.clone(), Remote::AsBase),
        row("b", file.clone(), seen.clone()),
        row("c", Base::None, seen),
        row("d", Base::Folder, Remote::AsBase),
        row("d/e", file, Remote::Gone),
        row("d/f", Base::None, Remote::Folder),
        row("g", Base::None, Remote::NotDownloadable),
        row("h", Base::Folder, Remote::Gone),
        row("i", Base::None, Remote::AsBase),
    ];
    rows[3].folder_rights = rows[0].rights().map(|rights| FolderRights {
        rights,
        inode: 12,
        born_ns: Some(13),
    });
    rows[0].display_name = "A".to_owned();
    rows[0].local = Some("a".to_owned());
    rows[1].lower = Some("B".to_owned());
    for row in rows
        .iter_mut()
        .filter(|row| matches!(&*row.key.name, "h" | "i"))
    {
        row.mount = true;
    }
    rows
}

fn make(file: &Path, is_staged: bool, counter: Option<u64>, statements: &str) -> Vec<u8> {
    let _ = fs::remove_file(file);
    let index = Index::create(file, "fuzz").unwrap();
    let write = || {
        rows().iter().try_for_each(|row| index.put(row))?;
        for row in rows().into_iter().filter(|_| is_staged) {
            index.stage(&RemoteEntry {
                display_name: row.display_name.clone(),
                lower: row.lower.clone(),
                display_dir: None,
                remote: row.remote_now(),
                key: row.key,
            })?;
        }
        if is_staged {
            index.note_staging("cursor", "of")?;
        }
        match counter {
            Some(counter) => index.set_meta(Meta::Counter, &counter.to_string()),
            None => Ok(()),
        }
    };
    index.transaction(write).unwrap();
    index.check_totals().unwrap();
    drop(index);
    let db = rusqlite::Connection::open(file).unwrap();
    db.execute_batch(statements).unwrap();
    drop(db);
    fs::read(file).unwrap()
}

#[test]
#[ignore = "it writes into the source tree"]
fn write_the_corpus_of_index_files() {
    let temp = TempDir::new();
    let file = temp.path().join("index.db");
    let make = |is_staged, counter, statements| make(&file, is_staged, counter, statements);
    let small = make(false, None, "");
    let absurd = "UPDATE entry SET rkind = 9 WHERE name = 'a'; \
                  UPDATE entry SET kind = 1, size = -1 WHERE name = 'b'; \
                  UPDATE entry SET dir = '..' WHERE name = 'e'; \
                  UPDATE entry SET local = '../../x' WHERE name = 'c'";
    let types = "UPDATE entry SET sum = 'x' WHERE name = 'a'; \
                 UPDATE entry SET hash = x'00', rev = 7 WHERE name = 'b'; \
                 UPDATE entry SET mode = 'x', uid = -1 WHERE name = 'e'; \
                 UPDATE entry SET name = x'ff' WHERE name = 'c'";
    let seeds = [
        ("header", small[..24].to_vec()),
        ("small", small),
        ("staged", make(true, None, "")),
        ("counter_max", make(false, Some(u64::MAX), "")),
        ("absurd", make(false, None, absurd)),
        ("types", make(false, None, types)),
        (
            "lost",
            make(false, None, "DELETE FROM entry WHERE name = 'e'"),
        ),
        ("no_entry", make(false, None, "DROP TABLE entry")),
        (
            "future",
            make(
                false,
                None,
                "UPDATE meta SET value = '9' WHERE name = 'format'",
            ),
        ),
        (
            "foreign",
            make(false, None, "DROP TABLE meta; DROP TABLE staged; VACUUM"),
        ),
    ];
    for (name, bytes) in seeds {
        fs::write(corpus().join(name), bytes).unwrap();
    }
}

#[test]
fn the_corpus_of_index_files_is_of_this_format() {
    let temp = TempDir::new();
    let file = temp.path().join("index.db");
    for name in ["small", "staged", "counter_max"] {
        fs::copy(corpus().join(name), &file).unwrap();
        let index = Index::open(&file).unwrap().unwrap();
        index.check_totals().unwrap();
        let mut count = 0;
        for dir in ["", "d"] {
            let mut found = index.rows_in_dir(dir);
            while let Some(row) = found.next().unwrap() {
                assert!(row.intact, "{name}: {row:?}");
                count += 1;
            }
        }
        assert_eq!(count, rows().len(), "{name}");
    }
}
