//! Files that are to get to a side, as deletes ask for them.

use rusqlite::{OptionalExtension, Row as SqlRow, params};

use super::super::row;
use super::{KEYS_AT_ONCE, PassTables, is_up, key_of};
use crate::core::content_hash::ContentHash;
use crate::core::decide::Direction;
use crate::core::path::Key;
use crate::error::Result;
use crate::io::stat::Stamp;

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

impl PassTables {
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
}

fn arriving(row: &SqlRow<'_>) -> rusqlite::Result<Arriving> {
    Ok(Arriving {
        key: key_of(row)?,
        display_path: row.get(2)?,
    })
}
