//! What Dropbox tells, written down: changes as they come, full listings by way of a staging table.
//!
//! The rules for file, folder and deleted entries are those documented for
//! `files/list_folder` in files.stone, applied in the order of the entries. A full listing may
//! take many requests and must cause nothing before it is complete, so its entries wait in
//! `staged`, appended in order of arrival (random inserts into `entry` would write 20 MiB a page
//! at 500,000 rows), and are merged in key order in one transaction at the end.

use rusqlite::{Row as SqlRow, params};

use super::row::{checksum, from_sql, remote_columns, to_sql};
use super::{Base, DirPath, Index, Meta, Remote, RemoteFile, Row, Trees};
use crate::core::content_hash::ContentHash;
use crate::core::filter::Filter;
use crate::core::path::{Key, fold, join, split};
use crate::core::remote::Rev;
use crate::error::{Error, Result};

/// One entry of a listing, relative to the remote root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteEntry {
    /// The key.
    pub key: Key,
    /// Real-case name.
    pub display_name: String,
    /// The server's folded path, where it differs from the key.
    pub lower: Option<String>,
    /// The real-case path of its directory as `path_display` has it, which is only good as long as
    /// nothing better is known.
    pub display_dir: Option<String>,
    /// What is there now: never [`Remote::AsBase`].
    pub remote: Remote,
}

/// A staged entry with its order of arrival.
pub(super) struct Staged {
    pub(super) seq: i64,
    pub(super) entry: RemoteEntry,
}

impl Index {
    /// Applies one change inside the open transaction. Says whether anything is different now.
    ///
    /// A folder that the filters prune by its letters has a row, so that it is known how it is
    /// spelt; what is below it has none. Where a spelling is not known, the next listing is to tell
    /// it.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn apply(&self, entry: &RemoteEntry, filter: &Filter) -> Result<bool> {
        let key = &entry.key;
        let before = self.row(key)?;
        if before.as_ref().is_some_and(|row| !row.intact) {
            // It may look as if it were in step, and so nobody would hear of this change again.
            self.set_meta(Meta::RelistDue, "1")?;
            return Ok(true);
        }
        let is_gone = matches!(entry.remote, Remote::Gone | Remote::AsBase);
        let dir = match self.listed_dir(entry, filter)? {
            _ if is_gone => String::new(),
            DirPath::Open(dir) => dir,
            DirPath::Pruned => {
                self.note_unmanaged()?;
                self.remove(key)?;
                return Ok(before.is_some());
            }
            DirPath::Unknown => {
                self.note_unmanaged()?;
                self.set_meta(Meta::RelistDue, "1")?;
                return Ok(false);
            }
        };
        let display_path = format!("/{}", join(&dir, &entry.display_name));
        let is_folder = matches!(entry.remote, Remote::Folder);
        let allows = filter.allows_as(&display_path, is_folder);
        let may_travel = allows.up || allows.down;
        let mut changed = false;
        if !is_folder {
            changed |= self.see_gone_below(key)?;
        }
        let has_row = may_travel || (is_folder && !filter.hides_name(&entry.display_name));
        if !has_row && !is_gone {
            self.note_unmanaged()?;
        }
        let remote = if has_row {
            entry.remote.clone()
        } else {
            Remote::Gone
        };
        let mut row = match (before.clone(), &remote) {
            (Some(row), _) => row,
            (None, Remote::Gone | Remote::AsBase) => return Ok(changed),
            (None, _) => Row::new(key.clone(), &entry.display_name),
        };
        if !matches!(remote, Remote::Gone) {
            changed |= self.see_folders_above(key, entry.display_dir.as_deref())?;
            if is_folder && row.display_name != entry.display_name && !filter.takes_everything() {
                // What is in it may be pruned or open from now on.
                self.set_meta(Meta::RelistDue, "1")?;
            }
            rename(&mut row, entry);
            if !may_travel {
                row.set_base(Base::None);
            }
        }
        row.set_remote(remote);
        if before.as_ref() != Some(&row) {
            self.put(&row)?;
            changed = true;
        }
        Ok(changed)
    }

    /// Inside the open transaction: Dropbox holds something that has no row.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn note_unmanaged(&self) -> Result<()> {
        match self.meta(Meta::HasUnmanaged)?.as_deref() {
            Some("1") => Ok(()),
            _ => self.set_meta(Meta::HasUnmanaged, "1"),
        }
    }

    /// The directory of an entry. A folder that Dropbox has deleted, or not listed yet, may be
    /// spelt otherwise when it comes back.
    fn listed_dir(&self, entry: &RemoteEntry, filter: &Filter) -> Result<DirPath> {
        let dir = &entry.key.dir;
        let found = self.dir_path_or(dir, entry.display_dir.as_deref(), filter)?;
        if dir.is_empty() || filter.takes_everything() || found == DirPath::Pruned {
            return Ok(found);
        }
        match self.row(&Key::of(dir))? {
            Some(row) if row.remote_is_folder() => Ok(found),
            _ => Ok(DirPath::Unknown),
        }
    }

    /// Everything below a folder went with it.
    fn see_gone_below(&self, key: &Key) -> Result<bool> {
        let mut changed = false;
        Trees(self).each_below(key, &mut |mut row| {
            if !row.intact {
                self.set_meta(Meta::RelistDue, "1")?;
                changed = true;
            } else if row.remote_now() != Remote::Gone {
                row.set_remote(Remote::Gone);
                self.put(&row)?;
                changed = true;
            }
            Ok(())
        })?;
        Ok(changed)
    }

    /// Whatever has something in it is a folder ("create missing parents").
    pub(super) fn see_folders_above(&self, key: &Key, display_dir: Option<&str>) -> Result<bool> {
        let mut changed = false;
        let mut path = display_dir.unwrap_or(&key.dir);
        let mut above = key.parent();
        while let Some(key) = above {
            let mut row = match self.row(&key)? {
                Some(row) if row.remote_is_folder() || !row.intact => return Ok(changed),
                Some(row) => row,
                None if fold(split(path).1) == key.name => Row::new(key.clone(), split(path).1),
                None => Row::new(key.clone(), &key.name),
            };
            row.set_remote(Remote::Folder);
            self.put(&row)?;
            changed = true;
            path = split(path).0;
            above = key.parent();
        }
        Ok(changed)
    }

    /// Appends an entry of a full listing inside the open transaction.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn stage(&self, entry: &RemoteEntry) -> Result<()> {
        let (rkind, file) = remote_columns(&entry.remote);
        let mut insert = self.db.prepare_cached(
            "INSERT INTO staged (seq, dir, name, shown, lower, rkind, rrev, rhash, rsize, rtime, \
             sum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        let (count, total) = self.staged_so_far()?;
        let seq = count + 1;
        let sum = staged_checksum(seq, entry);
        insert.execute(params![
            seq,
            entry.key.dir,
            entry.key.name,
            (entry.display_name != entry.key.name).then_some(&entry.display_name),
            entry.lower,
            rkind,
            file.map(|file| file.rev.as_str()),
            file.and_then(|file| file.hash).map(|hash| hash.0),
            file.map(|file| to_sql(file.size)),
            file.and_then(|file| file.modified),
            sum,
        ])?;
        self.staged.set(Some((count + 1, total.wrapping_add(sum))));
        Ok(())
    }

    pub(super) fn staged_so_far(&self) -> Result<(i64, i64)> {
        if let Some(known) = self.staged.get() {
            return Ok(known);
        }
        let noted = self.meta(Meta::StagingSum)?;
        let noted = noted.as_deref().and_then(|text| text.split_once(' '));
        let noted = noted.map(|(count, total)| (count.parse(), total.parse()));
        Ok(match noted {
            Some((Ok(count), Ok(total))) => (count, total),
            _ => (0, 0),
        })
    }

    /// Notes inside the open transaction where the unfinished listing of `of` goes on.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn note_staging(&self, cursor: &str, of: &str) -> Result<()> {
        let (count, total) = self.staged_so_far()?;
        self.set_meta(Meta::StagingSum, &format!("{count} {total}"))?;
        self.set_meta(Meta::StagingCursor, cursor)?;
        self.set_meta(Meta::StagingOf, of)
    }

    /// Whether all that was staged is there as it was staged: a lost entry would look deleted.
    pub(super) fn check_staged(&self) -> Result<()> {
        let mut select = self.db.prepare(
            "SELECT seq, dir, name, shown, lower, rkind, rrev, rhash, rsize, rtime, sum \
             FROM staged",
        )?;
        let mut rows = select.query([])?;
        let mut found = (0_i64, 0_i64);
        while let Some(row) = rows.next()? {
            let (staged, sum) = (read_staged(row)?, row.get(10)?);
            // They were numbered from 1 on: a later one would undo an earlier one.
            let is_next = staged.seq == found.0 + 1;
            if !is_next || staged_checksum(staged.seq, &staged.entry) != sum {
                return Err(Error::Damaged(
                    "index: a listed entry is damaged".to_owned(),
                ));
            }
            found = (found.0 + 1, found.1.wrapping_add(sum));
        }
        if found == self.staged_so_far()? {
            Ok(())
        } else {
            Err(Error::Damaged("index: listed entries are lost".to_owned()))
        }
    }

    /// Throws an unfinished listing away.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn unstage(&self) -> Result<()> {
        self.db
            .execute_batch("DROP INDEX IF EXISTS staged_folder; DELETE FROM staged")?;
        self.clear_meta(Meta::FolderWalk)?;
        self.clear_meta(Meta::HasUnmanaged)?;
        self.staged.set(Some((0, 0)));
        self.clear_meta(Meta::StagingSum)?;
        self.clear_meta(Meta::StagingOf)?;
        self.clear_meta(Meta::StagingCursor)
    }
}

/// Takes over the name Dropbox shows, and keeps the local one.
pub(super) fn rename(row: &mut Row, entry: &RemoteEntry) {
    if row.display_name != entry.display_name {
        let local = row.local_name().to_owned();
        let is_new = row.base == Base::None;
        row.display_name.clone_from(&entry.display_name);
        row.local = (!is_new && local != row.display_name).then_some(local);
    }
    if row.local.is_none() && fold(&row.display_name) != row.key.name {
        // Dropbox folds this name otherwise than we do: here it has one that has its key.
        row.local = Some(row.key.name.clone());
    }
    row.lower.clone_from(&entry.lower);
}

/// As of the row it would become, with its place: an entry stored out of order is not found again
/// by its key.
fn staged_checksum(seq: i64, entry: &RemoteEntry) -> i64 {
    let mut row = Row::new(entry.key.clone(), &entry.display_name);
    row.lower.clone_from(&entry.lower);
    row.remote = entry.remote.clone();
    checksum(&row) ^ seq.wrapping_mul(0x9e37_79b9)
}

pub(super) fn read_staged(sql: &SqlRow<'_>) -> rusqlite::Result<Staged> {
    let key = Key {
        dir: sql.get(1)?,
        name: sql.get(2)?,
    };
    let remote = match sql.get::<_, i64>(5)? {
        2 => Remote::Folder,
        4 => Remote::NotDownloadable,
        3 => Remote::File(RemoteFile {
            rev: Rev::from(sql.get::<_, String>(6)?),
            hash: sql.get::<_, Option<[u8; 32]>>(7)?.map(ContentHash),
            size: from_sql(sql.get(8)?),
            modified: sql.get(9)?,
        }),
        _ => Remote::Gone,
    };
    let shown: Option<String> = sql.get(3)?;
    let shown = shown.unwrap_or_else(|| key.name.clone());
    Ok(Staged {
        seq: sql.get(0)?,
        entry: RemoteEntry {
            key,
            display_name: shown,
            lower: sql.get(4)?,
            display_dir: None,
            remote,
        },
    })
}
