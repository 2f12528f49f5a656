//! What a pass has to look up and has no memory for: tables of its own, which are gone when it
//! ends.
//!
//! They are a database without a name, which SQLite keeps in its cache. What does not fit there
//! goes into a file of the state directory that has no name either and is never synced: nothing is
//! to outlive the pass. It is made once something is written to it, so that a pass that moves or
//! deletes a few hundred files writes nothing for this.

use rusqlite::{CachedStatement, Connection, OptionalExtension, Row as SqlRow, params};

use super::database::make_files_in;
use super::{Index, Refusal, refusals, row};
use crate::core::content_hash::ContentHash;
use crate::core::decide::Direction;
use crate::core::path::Key;
use crate::error::Result;
use crate::io::stat::{FolderRights, Rights, Stamp};

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

/// Made when the table is filled: rows that come in no order would be written again and again.
const INDEX_GONE_HERE: &str = "
CREATE INDEX gone_here_content ON gone_here (hash, taken, name);
CREATE INDEX gone_here_inode ON gone_here (inode);
CREATE INDEX gone_here_size ON gone_here (size);
";
const INDEX_GONE_THERE: &str = "
CREATE INDEX gone_there_content ON gone_there (hash, taken, name);
CREATE INDEX gone_there_name ON gone_there (name);
";

/// What a pass has to look up and has no memory for.
pub struct PassTables {
    db: Connection,
}

/// What a delete waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i64)]
pub enum HeldState {
    /// Its content is on its way to the side on which it would be deleted.
    Waits = 0,
    /// It is not carried out in this pass.
    Stays = 1,
    /// What it waited for is there.
    IsFree = 2,
    /// The file has another name by now, and is not deleted.
    WasMoved = 3,
}

/// A file that is to get to a side, as far as deletes ask about it.
#[derive(Clone, Debug)]
pub struct Arriving {
    /// Its key.
    pub key: Key,
    /// What people know it by.
    pub display_path: String,
}

/// What is known of a file that is to get to a side.
#[derive(Clone, Copy, Debug)]
pub struct ArrivingContent<'f> {
    /// Where it is here, if it comes from here.
    pub path: Option<&'f str>,
    /// Its length in bytes.
    pub size: u64,
    /// Its stamp, if it is here.
    pub stamp: Option<&'f Stamp>,
    /// Its content, where that is known.
    pub hash: Option<ContentHash>,
}

/// A file that is gone here under the name it has in Dropbox.
#[derive(Clone, Debug)]
pub struct GoneFile {
    /// What it is asked for again by.
    pub id: i64,
    /// Its key.
    pub key: Key,
    /// A new file has taken its place in Dropbox; others can be copied from it.
    pub is_taken: bool,
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

    /// Notes what a delete waits for.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn hold(&self, direction: Direction, key: &Key, state: HeldState) -> Result<()> {
        let mut insert = self
            .db
            .prepare_cached("INSERT OR REPLACE INTO held VALUES (?, ?, ?, ?)")?;
        insert.execute(params![is_up(direction), key.dir, key.name, state as i64])?;
        Ok(())
    }

    /// The delete waits for nothing.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn release(&self, direction: Direction, key: &Key) -> Result<()> {
        let mut delete = self
            .db
            .prepare_cached("DELETE FROM held WHERE up = ? AND dir = ? AND name = ?")?;
        delete.execute(params![is_up(direction), key.dir, key.name])?;
        Ok(())
    }

    /// What a delete waits for, if it does.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn held(&self, direction: Direction, key: &Key) -> Result<Option<HeldState>> {
        let mut select = self
            .db
            .prepare_cached("SELECT state FROM held WHERE up = ? AND dir = ? AND name = ?")?;
        let of = params![is_up(direction), key.dir, key.name];
        let state: Option<i64> = select.query_row(of, |row| row.get(0)).optional()?;
        Ok(state.map(|state| match state {
            0 => HeldState::Waits,
            1 => HeldState::Stays,
            2 => HeldState::IsFree,
            _ => HeldState::WasMoved,
        }))
    }

    /// Whether a delete of something below this key waits or stays.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn holds_below(&self, direction: Direction, key: &Key) -> Result<bool> {
        let dir = key.path();
        let mut within = self
            .db
            .prepare_cached("SELECT 1 FROM held WHERE up = ? AND dir = ? AND state < 2 LIMIT 1")?;
        if within.exists(params![is_up(direction), dir])? {
            return Ok(true);
        }
        let mut below = self.db.prepare_cached(
            "SELECT 1 FROM held WHERE up = ? AND dir > ? AND dir < ? AND state < 2 LIMIT 1",
        )?;
        // Everything below "dir" lies between "dir/" and "dir0", the character after the slash.
        let range = params![is_up(direction), format!("{dir}/"), format!("{dir}0")];
        Ok(below.exists(range)?)
    }

    /// The next deletes in this state, in order of directions and keys.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn next_held(
        &self,
        state: HeldState,
        after: Option<&(Direction, Key)>,
    ) -> Result<Vec<(Direction, Key)>> {
        let mut select = self.db.prepare_cached(
            "SELECT dir, name, up FROM held WHERE state = ? AND (up, dir, name) > (?, ?, ?) \
             ORDER BY up, dir, name LIMIT ?",
        )?;
        let first = (Direction::Down, Key::of(""));
        let (up, key) = match after {
            Some((direction, key)) => (i64::from(is_up(*direction)), key),
            None => (-1, &first.1),
        };
        let of = params![state as i64, up, key.dir, key.name, KEYS_AT_ONCE];
        let found = select.query_map(of, |row| {
            let direction = match row.get(2)? {
                true => Direction::Up,
                false => Direction::Down,
            };
            Ok((direction, key_of(row)?))
        })?;
        Ok(found.collect::<std::result::Result<_, _>>()?)
    }

    /// A folder is to be deleted.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn doom(&self, direction: Direction, key: &Key) -> Result<()> {
        let mut insert = self
            .db
            .prepare_cached("INSERT OR IGNORE INTO doomed VALUES (?, ?, ?, ?)")?;
        let height = -i64::try_from(key.depth()).unwrap_or(i64::MAX);
        insert.execute(params![is_up(direction), height, key.dir, key.name])?;
        Ok(())
    }

    /// Takes up to `max` folders to be deleted, the deepest first.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn take_doomed(&self, direction: Direction, max: usize) -> Result<Vec<Key>> {
        let mut select = self.db.prepare_cached(
            "SELECT dir, name FROM doomed WHERE up = ? ORDER BY up, height, dir, name LIMIT ?",
        )?;
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        let found = select.query_map(params![is_up(direction), max], key_of)?;
        let found = found.collect::<std::result::Result<Vec<Key>, _>>()?;
        let mut delete = self.db.prepare_cached(
            "DELETE FROM doomed WHERE up = ? AND height = ? AND dir = ? AND name = ?",
        )?;
        for key in &found {
            let height = -i64::try_from(key.depth()).unwrap_or(i64::MAX);
            delete.execute(params![is_up(direction), height, key.dir, key.name])?;
        }
        Ok(found)
    }

    /// A plan makes this folder on its way to something in it; whether it did not before.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn make(&self, key: &Key) -> Result<bool> {
        let mut insert = self
            .db
            .prepare_cached("INSERT OR IGNORE INTO made VALUES (?)")?;
        Ok(insert.execute([key.path()])? > 0)
    }

    /// Whether a plan makes this folder on its way to something in it.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn is_made(&self, key: &Key) -> Result<bool> {
        let mut select = self
            .db
            .prepare_cached("SELECT 1 FROM made WHERE path = ?")?;
        Ok(select.exists([key.path()])?)
    }

    /// A file in step is gone here.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn add_gone_here(&self, key: &Key, hash: ContentHash, stamp: &Stamp) -> Result<()> {
        let mut insert = self.db.prepare_cached(
            "INSERT INTO gone_here (dir, name, hash, size, mtime, inode, taken) \
             VALUES (?, ?, ?, ?, ?, ?, 0)",
        )?;
        insert.execute(params![
            key.dir,
            key.name,
            hash.0,
            row::to_sql(stamp.size),
            stamp.mtime_ns,
            row::to_sql(stamp.inode)
        ])?;
        Ok(())
    }

    /// All that is gone here was added.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn finish_gone_here(&self) -> Result<()> {
        Ok(self.db.execute_batch(INDEX_GONE_HERE)?)
    }

    /// Whether a file of this size is gone here.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn has_gone_here(&self, size: u64) -> Result<bool> {
        let mut select = self.db.prepare_cached(
            "SELECT 1 FROM gone_here INDEXED BY gone_here_size WHERE size = ? LIMIT 1",
        )?;
        Ok(select.exists([row::to_sql(size)])?)
    }

    /// Whether a file with this stamp is one that is gone here, under another name.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn is_gone_here(&self, stamp: &Stamp) -> Result<bool> {
        let mut select = self.db.prepare_cached(
            "SELECT 1 FROM gone_here INDEXED BY gone_here_inode \
             WHERE inode = ? AND size = ? AND mtime = ? LIMIT 1",
        )?;
        let (inode, size) = (row::to_sql(stamp.inode), row::to_sql(stamp.size));
        Ok(stamp.inode != 0 && select.exists(params![inode, size, stamp.mtime_ns])?)
    }

    /// The file that is gone here and fits a new one best: the very file, then one of the same
    /// name and content, then one of the same content; one that is taken last.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn best_gone_here(
        &self,
        hash: ContentHash,
        stamp: &Stamp,
        name: &str,
    ) -> Result<Option<GoneFile>> {
        let (inode, size) = (row::to_sql(stamp.inode), row::to_sql(stamp.size));
        if stamp.inode != 0 {
            let mut the_same = self.db.prepare_cached(
                "SELECT dir, name, id, taken FROM gone_here INDEXED BY gone_here_inode \
                 WHERE inode = ? AND size = ? AND mtime = ? AND hash = ? AND taken = 0 LIMIT 1",
            )?;
            let of = params![inode, size, stamp.mtime_ns, hash.0];
            let found = the_same.query_row(of, gone_of).optional()?;
            if found.is_some() {
                return Ok(found);
            }
        }
        for taken in [false, true] {
            let mut of_name = self.db.prepare_cached(
                "SELECT dir, name, id, taken FROM gone_here INDEXED BY gone_here_content \
                 WHERE hash = ? AND taken = ? AND name = ? LIMIT 1",
            )?;
            let of = params![hash.0, taken, name];
            let found = of_name.query_row(of, gone_of).optional()?;
            if found.is_some() {
                return Ok(found);
            }
            let mut any = self.db.prepare_cached(
                "SELECT dir, name, id, taken FROM gone_here INDEXED BY gone_here_content \
                 WHERE hash = ? AND taken = ? LIMIT 1",
            )?;
            let found = any.query_row(params![hash.0, taken], gone_of).optional()?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The file is to get a new name in Dropbox, or has not got it.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn take_gone_here(&self, id: i64, is_taken: bool) -> Result<()> {
        let mut update = self
            .db
            .prepare_cached("UPDATE gone_here SET taken = ? WHERE id = ?")?;
        update.execute(params![is_taken, id])?;
        Ok(())
    }

    /// The file is not to go: it is no candidate.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn drop_gone_here(&self, id: i64) -> Result<()> {
        let mut delete = self
            .db
            .prepare_cached("DELETE FROM gone_here WHERE id = ?")?;
        delete.execute([id])?;
        Ok(())
    }

    /// A file with a base is gone in Dropbox.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn add_gone_there(&self, key: &Key, hash: ContentHash) -> Result<()> {
        let mut insert = self.db.prepare_cached(
            "INSERT INTO gone_there (dir, name, hash, taken) VALUES (?, ?, ?, 0)",
        )?;
        insert.execute(params![key.dir, key.name, hash.0])?;
        Ok(())
    }

    /// All that is gone in Dropbox was added.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn finish_gone_there(&self) -> Result<()> {
        Ok(self.db.execute_batch(INDEX_GONE_THERE)?)
    }

    /// Takes a file with this content that is gone in Dropbox, rather one of this name.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn take_gone_there(&self, hash: ContentHash, name: &str) -> Result<Option<Key>> {
        let mut of_name = self.db.prepare_cached(
            "SELECT dir, name, id FROM gone_there \
             WHERE hash = ? AND taken = 0 AND name = ? LIMIT 1",
        )?;
        let mut any = self.db.prepare_cached(
            "SELECT dir, name, id FROM gone_there WHERE hash = ? AND taken = 0 LIMIT 1",
        )?;
        let with_id = |row: &SqlRow<'_>| Ok((key_of(row)?, row.get::<_, i64>(2)?));
        let found = of_name
            .query_row(params![hash.0, name], with_id)
            .optional()?;
        let found = match found {
            Some(found) => Some(found),
            None => any.query_row(params![hash.0], with_id).optional()?,
        };
        let Some((key, id)) = found else {
            return Ok(None);
        };
        let mut update = self
            .db
            .prepare_cached("UPDATE gone_there SET taken = 1 WHERE id = ?")?;
        update.execute([id])?;
        Ok(Some(key))
    }

    /// Whether a file with this content, and of this name if one is asked for, was gone in Dropbox.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn was_there(&self, hash: ContentHash, name: Option<&str>) -> Result<bool> {
        let mut rows = self.gone_with(name)?;
        Ok(match name {
            Some(name) => rows.exists(params![hash.0, name])?,
            None => rows.exists([hash.0])?,
        })
    }

    /// Those with a content, and with a name if one is asked for.
    fn gone_with(&self, name: Option<&str>) -> Result<CachedStatement<'_>> {
        Ok(self.db.prepare_cached(match name {
            Some(_) => {
                "SELECT dir, name FROM gone_there INDEXED BY gone_there_content \
                 WHERE hash = ? AND taken IN (0, 1) AND name = ?"
            }
            None => {
                "SELECT dir, name FROM gone_there INDEXED BY gone_there_content \
                 WHERE hash = ? AND taken IN (0, 1)"
            }
        })?)
    }

    /// Hands the keys of those to `visit`.
    ///
    /// # Errors
    /// What SQLite or `visit` says.
    pub fn each_gone_there(
        &self,
        hash: ContentHash,
        name: Option<&str>,
        visit: &mut dyn FnMut(Key) -> Result<()>,
    ) -> Result<()> {
        let mut select = self.gone_with(name)?;
        let mut rows = match name {
            Some(name) => select.query(params![hash.0, name])?,
            None => select.query([hash.0])?,
        };
        while let Some(row) = rows.next()? {
            visit(key_of(row)?)?;
        }
        Ok(())
    }

    /// Hands the keys of the files of this name that were gone in Dropbox to `visit`.
    ///
    /// # Errors
    /// What SQLite or `visit` says.
    pub fn each_gone_there_named(
        &self,
        name: &str,
        visit: &mut dyn FnMut(Key) -> Result<()>,
    ) -> Result<()> {
        let mut select = self
            .db
            .prepare_cached("SELECT dir, name FROM gone_there WHERE name = ?")?;
        let mut rows = select.query([name])?;
        while let Some(row) = rows.next()? {
            visit(key_of(row)?)?;
        }
        Ok(())
    }

    /// A new folder comes from another one, and gets `rights` of it.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn note_origin(&self, folder: &Key, from: &Key, rights: Option<Rights>) -> Result<()> {
        let mut insert = self
            .db
            .prepare_cached("INSERT OR REPLACE INTO origin VALUES (?, ?, ?, ?, ?, ?, ?)")?;
        insert.execute(params![
            folder.dir,
            folder.name,
            from.dir,
            from.name,
            rights.map(|rights| rights.mode),
            rights.map(|rights| rights.uid),
            rights.map(|rights| rights.gid)
        ])?;
        Ok(())
    }

    /// Where a new folder comes from, and what it got of that.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn origin(&self, folder: &Key) -> Result<Option<(Key, Option<Rights>)>> {
        let mut select = self.db.prepare_cached(
            "SELECT from_dir, from_name, mode, uid, gid FROM origin WHERE dir = ? AND name = ?",
        )?;
        let found = select.query_row(params![folder.dir, folder.name], |row| {
            let rights = match (row.get(2)?, row.get(3)?, row.get(4)?) {
                (Some(mode), Some(uid), Some(gid)) => Some(Rights { mode, uid, gid }),
                _ => None,
            };
            Ok((key_of(row)?, rights))
        });
        Ok(found.optional()?)
    }

    /// A file is to get to a side.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn add_under_way(
        &self,
        direction: Direction,
        file: &Arriving,
        content: &ArrivingContent<'_>,
    ) -> Result<()> {
        let mut insert = self.db.prepare_cached(
            "INSERT OR REPLACE INTO under_way \
             (up, dir, name, shown, path, size, mtime, inode, hash, read) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        let stamp = content.stamp.filter(|stamp| stamp.inode != 0);
        insert.execute(params![
            is_up(direction),
            file.key.dir,
            file.key.name,
            file.display_path,
            content.path,
            row::to_sql(content.size),
            stamp.map(|stamp| stamp.mtime_ns),
            stamp.map(|stamp| row::to_sql(stamp.inode)),
            content.hash.map(|hash| hash.0),
            content.hash.is_some(),
        ])?;
        Ok(())
    }

    /// It is where it was to get.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn drop_under_way(&self, key: &Key) -> Result<()> {
        let mut delete = self
            .db
            .prepare_cached("DELETE FROM under_way WHERE up IN (0, 1) AND dir = ? AND name = ?")?;
        delete.execute(params![key.dir, key.name])?;
        Ok(())
    }

    /// The file with this inode that is to get to Dropbox, and whether it has this size and time.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn under_way_of(&self, stamp: &Stamp) -> Result<Option<(Arriving, bool)>> {
        let mut select = self.db.prepare_cached(
            "SELECT dir, name, shown, size = ? AND mtime = ? FROM under_way \
             INDEXED BY under_way_inode WHERE inode = ? AND inode IS NOT NULL LIMIT 1",
        )?;
        let (size, inode) = (row::to_sql(stamp.size), row::to_sql(stamp.inode));
        let found = select.query_row(params![size, stamp.mtime_ns, inode], |row| {
            Ok((arriving(row)?, row.get(3)?))
        });
        Ok(found.optional()?.filter(|_| stamp.inode != 0))
    }

    /// Some files of this size that are to get to a side, and what is in which is not known: what
    /// they are asked for again by, and their paths.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn unread_under_way(
        &self,
        direction: Direction,
        size: u64,
    ) -> Result<Vec<(i64, Option<String>)>> {
        let mut select = self.db.prepare_cached(
            "SELECT id, path FROM under_way INDEXED BY under_way_unread \
             WHERE up = ? AND size = ? AND read = 0 LIMIT ?",
        )?;
        let of = params![is_up(direction), row::to_sql(size), KEYS_AT_ONCE];
        let found = select.query_map(of, |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(found.collect::<std::result::Result<_, _>>()?)
    }

    /// What is in such a file, if that can be told.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn set_under_way(&self, id: i64, hash: Option<ContentHash>) -> Result<()> {
        let mut update = self
            .db
            .prepare_cached("UPDATE under_way SET hash = ?, read = 1 WHERE id = ?")?;
        update.execute(params![hash.map(|hash| hash.0), id])?;
        Ok(())
    }

    /// Hands the files that are to get to a side and have this content, or may have it, to
    /// `visit`, until it says that it has found one.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn each_under_way(
        &self,
        direction: Direction,
        size: u64,
        hash: ContentHash,
        visit: &mut dyn FnMut(Arriving) -> bool,
    ) -> Result<()> {
        let mut select = self.db.prepare_cached(
            "SELECT dir, name, shown FROM under_way INDEXED BY under_way_content \
             WHERE up = ? AND size = ? AND read = 1 AND hash IS ?",
        )?;
        for hash in [Some(hash.0), None] {
            let mut rows = select.query(params![is_up(direction), row::to_sql(size), hash])?;
            while let Some(row) = rows.next()? {
                if visit(arriving(row)?) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// A path could not be dealt with in this pass; nothing for one that was before, and is done,
    /// unless it could not be dealt with, either.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn put_refusal(&self, key: &Key, refusal: Option<&Refusal>) -> Result<()> {
        let Some(refusal) = refusal else {
            let mut insert = self
                .db
                .prepare_cached("INSERT OR IGNORE INTO refusal (dir, name) VALUES (?, ?)")?;
            insert.execute(params![key.dir, key.name])?;
            return Ok(());
        };
        let mut insert = self
            .db
            .prepare_cached("INSERT OR REPLACE INTO refusal VALUES (?, ?, ?, ?, ?, ?, ?, ?)")?;
        insert.execute(params![
            key.dir,
            key.name,
            refusal.reason.number(),
            refusal.seen,
            refusal.text,
            refusal.since,
            refusal.next,
            refusal.checksum(),
        ])?;
        Ok(())
    }

    /// The next of them, in order of keys.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn refusals_after(
        &self,
        last: Option<&Key>,
        max: usize,
    ) -> Result<Vec<(Key, Option<Refusal>)>> {
        let mut select = self.db.prepare_cached(
            "SELECT dir, name, reason, seen, text, since, next, sum FROM refusal \
             WHERE ?1 OR (dir, name) > (?2, ?3) ORDER BY dir, name LIMIT ?4",
        )?;
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        let (dir, name) = last.map_or(("", ""), |key| (&key.dir, &key.name));
        let found = select.query_map(params![last.is_none(), dir, name, max], |row| {
            let refusal = match row.get::<_, Option<i64>>(2)? {
                Some(_) => refusals::read(row)?,
                None => None,
            };
            Ok((key_of(row)?, refusal))
        })?;
        Ok(found.collect::<std::result::Result<_, _>>()?)
    }

    /// A folder was made that keeps some out.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn add_private(&self, key: &Key, known: &FolderRights) -> Result<()> {
        let mut insert = self
            .db
            .prepare_cached("INSERT OR REPLACE INTO private VALUES (?, ?, ?, ?, ?, ?, ?)")?;
        let Rights { mode, uid, gid } = known.rights;
        let inode = row::to_sql(known.inode);
        insert.execute(params![
            key.dir,
            key.name,
            mode,
            uid,
            gid,
            inode,
            known.born_ns
        ])?;
        Ok(())
    }

    /// Who may do what with such a folder.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn private(&self, key: &Key) -> Result<Option<FolderRights>> {
        let mut select = self.db.prepare_cached(
            "SELECT mode, uid, gid, inode, born FROM private WHERE dir = ? AND name = ?",
        )?;
        let found = select.query_row(params![key.dir, key.name], |row| {
            let (mode, uid, gid) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(FolderRights {
                rights: Rights { mode, uid, gid },
                inode: row::from_sql(row.get(3)?),
                born_ns: row.get(4)?,
            })
        });
        Ok(found.optional()?)
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

fn arriving(row: &SqlRow<'_>) -> rusqlite::Result<Arriving> {
    Ok(Arriving {
        key: key_of(row)?,
        display_path: row.get(2)?,
    })
}

fn gone_of(row: &SqlRow<'_>) -> rusqlite::Result<GoneFile> {
    Ok(GoneFile {
        key: key_of(row)?,
        id: row.get(2)?,
        is_taken: row.get(3)?,
    })
}
