//! A full listing that comes folder by folder: how far it has come, and which folder is next.
//!
//! Its queue is the staging table itself: a folder that was told of waits there to be listed, in
//! order of arrival, so that the place of the one at hand says all. Nothing grows in memory.

use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::listing::{Staged, read_staged};
use super::{Index, Meta, RemoteEntry};
use crate::core::path::{Key, join};
use crate::core::remote::Cursor;
use crate::error::{Error, Result};

/// How far such a listing has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderWalk {
    /// What has changed since it began comes behind this.
    pub since: Cursor,
    /// Place of the folder at hand among what is staged; 0 for the remote root.
    pub at: i64,
    /// Where the listing of that folder goes on, if it has begun.
    pub next: Option<Cursor>,
    /// Dropbox did not list that folder in the pass before.
    #[serde(default)]
    pub has_failed: bool,
}

/// What was staged before a page.
#[derive(Clone, Copy)]
pub struct PageMark(Option<(i64, i64)>);

/// The unfinished listing as a queue of folders.
#[derive(Clone, Copy)]
pub struct StagedFolders<'a>(pub &'a Index);

impl StagedFolders<'_> {
    /// How far the unfinished listing has come, if it comes folder by folder.
    ///
    /// # Errors
    /// What SQLite says; [`Error::Damaged`] for what makes no sense.
    pub fn walk(&self) -> Result<Option<FolderWalk>> {
        let Some(text) = self.0.meta(Meta::FolderWalk)? else {
            return Ok(None);
        };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|_| Error::Damaged("index: the listing under way is damaged".to_owned()))
    }

    /// Begins such a listing of `of` inside the open transaction: what was staged is void.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn begin(&self, walk: &FolderWalk, of: &str) -> Result<()> {
        self.0.unstage()?;
        self.0.db.execute_batch(
            "CREATE INDEX IF NOT EXISTS staged_folder ON staged (dir, name) WHERE rkind = 2",
        )?;
        self.0.set_meta(Meta::StagingOf, of)?;
        self.note(walk)
    }

    /// Notes inside the open transaction how far it has come.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn note(&self, walk: &FolderWalk) -> Result<()> {
        let text = serde_json::to_string(walk).map_err(|e| Error::Failed(e.to_string()))?;
        let (count, total) = self.0.staged_so_far()?;
        let sum = format!("{count} {total}");
        self.0.set_meta(Meta::StagingSum, &sum)?;
        self.0.set_meta(Meta::FolderWalk, &text)
    }

    /// The first folder staged behind this place, and its own place.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn next(&self, after: i64) -> Result<Option<(i64, RemoteEntry)>> {
        self.one("seq > ?", after)
    }

    /// The folder staged at this place.
    ///
    /// # Errors
    /// What SQLite says; [`Error::Damaged`] if there is none.
    pub fn at(&self, place: i64) -> Result<RemoteEntry> {
        let lost = || Error::Damaged("index: the folder that is listed is lost".to_owned());
        let found = self.one("seq = ?", place)?;
        found.map(|(_, entry)| entry).ok_or_else(lost)
    }

    fn one(&self, place: &str, value: i64) -> Result<Option<(i64, RemoteEntry)>> {
        // In order of arrival, not by way of the index of the names.
        let mut select = self.0.db.prepare_cached(&format!(
            "SELECT seq, dir, name, shown, lower, rkind, rrev, rhash, rsize, rtime \
             FROM staged NOT INDEXED WHERE {place} AND rkind = 2 ORDER BY seq LIMIT 1"
        ))?;
        let found = select.query_row([value], read_staged).optional()?;
        Ok(found.map(|Staged { seq, entry }| (seq, entry)))
    }

    /// Whether a folder of this key was staged before this place, too.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn is_told_again(&self, key: &Key, place: i64) -> Result<bool> {
        let mut select = self.0.db.prepare_cached(
            "SELECT 1 FROM staged WHERE rkind = 2 AND dir = ? AND name = ? AND seq < ? LIMIT 1",
        )?;
        Ok(select.exists(params![key.dir, key.name, place])?)
    }

    /// The real-case path of the directory of a staged folder, as the folders on the way are
    /// staged.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn dir_path(&self, dir: &str) -> Result<String> {
        let mut select = self.0.db.prepare_cached(
            "SELECT coalesce(shown, name) FROM staged WHERE rkind = 2 AND dir = ? AND name = ? \
             ORDER BY seq DESC LIMIT 1",
        )?;
        let (mut path, mut key) = (String::new(), String::new());
        for name in dir.split('/').filter(|name| !name.is_empty()) {
            let shown: Option<String> = select
                .query_row(params![key, name], |row| row.get(0))
                .optional()?;
            path = join(&path, shown.as_deref().unwrap_or(name));
            key = join(&key, name);
        }
        Ok(path)
    }

    /// A page begins inside the open transaction.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn mark_page(&self) -> Result<PageMark> {
        self.0.db.execute_batch("SAVEPOINT page")?;
        Ok(PageMark(Some(self.0.staged_so_far()?)))
    }

    /// The page that began there is void.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn undo_page(&self, mark: PageMark) -> Result<()> {
        self.0.staged.set(mark.0);
        Ok(self.0.db.execute_batch("ROLLBACK TO page; RELEASE page")?)
    }

    /// The page counts.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn keep_page(&self) -> Result<()> {
        Ok(self.0.db.execute_batch("RELEASE page")?)
    }
}
