//! What a pass has to look up and has no memory for: tables of its own, which are gone when it
//! ends.
//!
//! They are a database without a name, which SQLite keeps in its cache. What does not fit there
//! goes into a file of the state directory that has no name either and is never synced: nothing is
//! to outlive the pass. It is made once something is written to it, so that a pass that moves or
//! deletes a few hundred files writes nothing for this.

mod folders;
mod gone;
mod held;
mod refused;
mod renamed_folders;
mod under_way;

use rusqlite::{Connection, Row as SqlRow};

use super::Index;
use super::database::make_files_in;
use crate::core::decide::Direction;
use crate::core::path::Key;
use crate::error::Result;

pub use held::HeldState;
pub use renamed_folders::RenamedFolder;
pub use under_way::{Arriving, ArrivingContent};

/// Cache, in KiB.
const CACHE_KIB: u32 = 128;
/// Keys read at a time.
const KEYS_AT_ONCE: i64 = 256;

/// What each table holds:
/// - `held`: deletes that wait (0), stay (1), may go by now (2), or are none because the file was
///   moved (3).
/// - `doomed`: folders to delete, the deepest first.
/// - `gone_here`, `gone_there`: files that are gone on one side, as candidates for a move.
/// - `under_way`: files that are to get to a side; what is in them is `read` once that is asked
///   for.
/// - `refusal`: as in the index; one without a reason was dealt with.
/// - `private`: folders that were made here and keep some out.
/// - `origin`: folders that were made here, which one they come from, and what they got of it.
/// - `made`: folders that a plan makes.
/// - `gone_folder`: folders that are gone here under the name they have in Dropbox.
/// - `renamed_folder`: what they are called here, by the round of the walk that found it.
const CREATE: &str = "
CREATE TABLE held (
    up INTEGER NOT NULL, dir TEXT NOT NULL, name TEXT NOT NULL, state INTEGER NOT NULL,
    PRIMARY KEY (up, dir, name)
) WITHOUT ROWID;
CREATE TABLE doomed (
    up INTEGER NOT NULL, height INTEGER NOT NULL, dir TEXT NOT NULL, name TEXT NOT NULL,
    PRIMARY KEY (up, height, dir, name)
) WITHOUT ROWID;
CREATE TABLE origin (
    dir TEXT NOT NULL, name TEXT NOT NULL, from_dir TEXT NOT NULL, from_name TEXT NOT NULL,
    mode INTEGER, uid INTEGER, gid INTEGER,
    PRIMARY KEY (dir, name)
) WITHOUT ROWID;
CREATE TABLE under_way (
    id INTEGER PRIMARY KEY, up INTEGER NOT NULL, dir TEXT NOT NULL, name TEXT NOT NULL,
    shown TEXT NOT NULL, path TEXT, size INTEGER NOT NULL, mtime INTEGER, inode INTEGER,
    hash BLOB, read INTEGER NOT NULL,
    UNIQUE (up, dir, name)
);
CREATE INDEX under_way_unread ON under_way (up, size) WHERE read = 0;
CREATE INDEX under_way_content ON under_way (up, size, hash) WHERE read = 1;
CREATE INDEX under_way_inode ON under_way (inode) WHERE inode IS NOT NULL;
CREATE TABLE refusal (
    dir TEXT NOT NULL, name TEXT NOT NULL,
    reason INTEGER, seen TEXT, text TEXT, since INTEGER, next INTEGER, sum INTEGER,
    PRIMARY KEY (dir, name)
) WITHOUT ROWID;
CREATE TABLE private (
    dir TEXT NOT NULL, name TEXT NOT NULL,
    mode INTEGER NOT NULL, uid INTEGER NOT NULL, gid INTEGER NOT NULL, inode INTEGER NOT NULL,
    born INTEGER,
    PRIMARY KEY (dir, name)
) WITHOUT ROWID;
CREATE TABLE made (path TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE gone_folder (
    id INTEGER PRIMARY KEY, dir TEXT NOT NULL, name TEXT NOT NULL, inode INTEGER NOT NULL,
    born INTEGER
);
CREATE TABLE renamed_folder (
    round INTEGER NOT NULL, height INTEGER NOT NULL, dir TEXT NOT NULL, name TEXT NOT NULL,
    shown TEXT NOT NULL, path TEXT NOT NULL, from_dir TEXT NOT NULL, from_name TEXT NOT NULL,
    PRIMARY KEY (round, height, dir, name)
) WITHOUT ROWID;
CREATE TABLE gone_here (
    id INTEGER PRIMARY KEY, dir TEXT NOT NULL, name TEXT NOT NULL,
    hash BLOB NOT NULL, size INTEGER NOT NULL, mtime INTEGER NOT NULL, inode INTEGER NOT NULL,
    taken INTEGER NOT NULL
);
CREATE TABLE gone_there (
    id INTEGER PRIMARY KEY, dir TEXT NOT NULL, name TEXT NOT NULL, hash BLOB NOT NULL,
    taken INTEGER NOT NULL
);
";

/// What a pass has to look up and has no memory for.
pub struct PassTables {
    db: Connection,
}

impl PassTables {
    /// Empty tables; their file, if they need one, lies beside the index.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn beside(index: &Index) -> Result<PassTables> {
        let db = Connection::open("")?;
        make_files_in(index.dir.as_deref(), &db);
        db.execute_batch(&format!(
            "PRAGMA page_size = 4096; PRAGMA cache_size = -{CACHE_KIB}; \
             PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE;"
        ))?;
        db.execute_batch(CREATE)?;
        Ok(PassTables { db })
    }
}

fn is_up(direction: Direction) -> bool {
    direction == Direction::Up
}

fn key_of(row: &SqlRow<'_>) -> rusqlite::Result<Key> {
    Ok(Key {
        dir: row.get(0)?,
        name: row.get(1)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files of a directory that this process has open, and that have no name any more.
    fn without_a_name(dir: &std::path::Path) -> usize {
        let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        let targets = open.filter_map(|fd| std::fs::read_link(fd.path()).ok());
        let is_it = |target: &std::path::PathBuf| {
            target.starts_with(dir) && target.to_string_lossy().ends_with("(deleted)")
        };
        targets.filter(is_it).count()
    }

    #[test]
    fn what_the_cache_does_not_hold_lies_without_a_name_beside_the_index() {
        let dir = std::env::temp_dir().join(format!("ferrybox-tables-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let dir = dir.canonicalize().unwrap();
        let index = Index::create(&dir.join("index.db"), "id").unwrap();
        let names = || {
            let entries = std::fs::read_dir(&dir).unwrap().flatten();
            let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
            names.sort();
            names
        };
        let tables = PassTables::beside(&index).unwrap();
        let key = |number: u32| Key::of(&format!("a/directory/with/{number}"));
        let few = 0..100;
        few.for_each(|number| tables.doom(Direction::Up, &key(number)).unwrap());
        assert_eq!(without_a_name(&dir), 0, "few need no file");
        let many = 100..20_000;
        many.for_each(|number| tables.doom(Direction::Up, &key(number)).unwrap());
        assert_eq!(without_a_name(&dir), 1);
        assert_eq!(names(), ["index.db", "index.db-journal"]);
        let mut taken = 0;
        loop {
            let some = tables.take_doomed(Direction::Up, 1000).unwrap();
            taken += some.len();
            if some.is_empty() {
                break;
            }
        }
        assert_eq!(taken, 20_000);
        drop(tables);
        assert_eq!(without_a_name(&dir), 0);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
