//! Folders that have another name here than in Dropbox.

use rusqlite::{OptionalExtension, params};

use super::super::row;
use super::{PassTables, key_of};
use crate::core::path::Key;
use crate::error::Result;
use crate::io::stat::FolderRights;

/// Made when the table is filled.
const INDEX_GONE: &str = "
CREATE INDEX gone_folder_inode ON gone_folder (inode);
CREATE INDEX gone_folder_dir ON gone_folder (dir);
";

/// A folder here that Dropbox has under another name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenamedFolder {
    /// Its key here.
    pub key: Key,
    /// `/real/case/path` here.
    pub display_path: String,
    /// Where it is locally.
    pub path: String,
    /// Its key in Dropbox.
    pub from: Key,
}

impl PassTables {
    /// A folder in step is gone here under the name it has in Dropbox.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn add_gone_folder(&self, key: &Key, folder: &FolderRights) -> Result<()> {
        let mut insert = self.db.prepare_cached(
            "INSERT INTO gone_folder (dir, name, inode, born) VALUES (?, ?, ?, ?)",
        )?;
        let inode = row::to_sql(folder.inode);
        insert.execute(params![key.dir, key.name, inode, folder.born_ns])?;
        Ok(())
    }

    /// All that are gone were added.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn finish_gone_folders(&self) -> Result<()> {
        Ok(self.db.execute_batch(INDEX_GONE)?)
    }

    /// The gone folder that `now` is, by its inode number and the time it was made.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn gone_folder(&self, now: &FolderRights) -> Result<Option<Key>> {
        let mut select = self.db.prepare_cached(
            "SELECT dir, name FROM gone_folder INDEXED BY gone_folder_inode \
             WHERE inode = ? AND born IS ? LIMIT 1",
        )?;
        let found = select.query_row(params![row::to_sql(now.inode), now.born_ns], key_of);
        Ok(found.optional()?)
    }

    /// Whether a folder with this inode number is gone.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn has_gone_folder(&self, inode: u64) -> Result<bool> {
        let mut select = self.db.prepare_cached(
            "SELECT 1 FROM gone_folder INDEXED BY gone_folder_inode WHERE inode = ? LIMIT 1",
        )?;
        Ok(select.exists([row::to_sql(inode)])?)
    }

    /// A folder was moved in Dropbox: those that are gone below it have other keys now.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn rekey_gone_folders(&self, from: &Key, to: &Key) -> Result<()> {
        let mut update = self.db.prepare_cached(
            "UPDATE gone_folder SET dir = ?1 || substr(dir, length(?2) + 1) \
             WHERE dir = ?2 OR (dir >= ?3 AND dir < ?4)",
        )?;
        let from = from.path();
        let (start, end) = (format!("{from}/"), format!("{from}0"));
        update.execute(params![to.path(), from, start, end])?;
        Ok(())
    }

    /// A folder here has another name in Dropbox; it was found in this round of the walk.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn note_renamed_folder(&self, round: u32, folder: &RenamedFolder) -> Result<()> {
        let mut insert = self.db.prepare_cached(
            "INSERT OR REPLACE INTO renamed_folder VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        insert.execute(params![
            round,
            height(folder),
            folder.key.dir,
            folder.key.name,
            folder.display_path,
            folder.path,
            folder.from.dir,
            folder.from.name
        ])?;
        Ok(())
    }

    /// The next one of a round: those that lay deepest in Dropbox come first.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn next_renamed_folder(
        &self,
        round: u32,
        last: Option<&RenamedFolder>,
    ) -> Result<Option<RenamedFolder>> {
        let mut select = self.db.prepare_cached(
            "SELECT dir, name, shown, path, from_dir, from_name FROM renamed_folder \
             WHERE round = ?1 AND (height, dir, name) > (?2, ?3, ?4) \
             ORDER BY height, dir, name LIMIT 1",
        )?;
        let (height, dir, name) = match last {
            Some(last) => (height(last), &*last.key.dir, &*last.key.name),
            None => (i64::MIN, "", ""),
        };
        let found = select.query_row(params![round, height, dir, name], |row| {
            Ok(RenamedFolder {
                key: key_of(row)?,
                display_path: row.get(2)?,
                path: row.get(3)?,
                from: Key {
                    dir: row.get(4)?,
                    name: row.get(5)?,
                },
            })
        });
        Ok(found.optional()?)
    }
}

fn height(folder: &RenamedFolder) -> i64 {
    -i64::try_from(folder.from.depth()).unwrap_or(i64::MAX)
}
