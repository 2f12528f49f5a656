//! Files that are gone on one side: what is new there may be one of them under another name.

use rusqlite::{CachedStatement, OptionalExtension, Row as SqlRow, params};

use super::super::row;
use super::{PassTables, key_of};
use crate::core::content_hash::ContentHash;
use crate::core::path::Key;
use crate::error::Result;
use crate::io::stat::Stamp;

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

/// A file that is gone here under the name it has in Dropbox.
#[derive(Clone, Debug)]
pub struct GoneFile {
    /// What it is asked for again by.
    pub id: i64,
    /// Its key.
    pub key: Key,
    /// A new file has taken its place in Dropbox; others can be copied from it.
    pub is_taken: bool,
    /// It is the very file that was asked about, by its stamp and its content.
    pub is_the_same: bool,
}

impl PassTables {
    /// The file of this content and name that Dropbox has no more, if there is one.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn gone_there_like(&self, hash: ContentHash, name: &str) -> Result<Option<Key>> {
        let mut select = self.db.prepare_cached(
            "SELECT dir, name FROM gone_there INDEXED BY gone_there_content \
             WHERE hash = ? AND taken = 0 AND name = ? LIMIT 1",
        )?;
        Ok(select.query_row(params![hash.0, name], key_of).optional()?)
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
            if let Some(gone) = found {
                return Ok(Some(GoneFile {
                    is_the_same: true,
                    ..gone
                }));
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
}

fn gone_of(row: &SqlRow<'_>) -> rusqlite::Result<GoneFile> {
    Ok(GoneFile {
        key: key_of(row)?,
        id: row.get(2)?,
        is_taken: row.get(3)?,
        is_the_same: false,
    })
}
