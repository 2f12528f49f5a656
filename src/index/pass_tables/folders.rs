//! Folders that a pass deletes, and those that it makes.

use rusqlite::{OptionalExtension, params};

use super::super::row;
use super::{PassTables, is_up, key_of};
use crate::core::decide::Direction;
use crate::core::path::Key;
use crate::error::Result;
use crate::io::stat::{FolderRights, Rights};

impl PassTables {
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
