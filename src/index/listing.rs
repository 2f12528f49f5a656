//! What Dropbox tells, written down: changes as they come, full listings by way of a staging table.
//!
//! The rules for file, folder and deleted entries are those documented for
//! `files/list_folder` in files.stone, applied in the order of the entries. A full listing may
//! take many requests and must cause nothing before it is complete, so its entries wait in
//! `staged`, appended in order of arrival (random inserts into `entry` would write 20 MiB a page
//! at 500,000 rows), and are merged in key order in one transaction at the end.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Row as SqlRow, params};

use super::row::{checksum, from_sql, remote_columns, to_sql};
use super::{Base, Index, Meta, Remote, RemoteFile, Row, schema};
use crate::core::content_hash::ContentHash;
use crate::core::filter::Filter;
use crate::core::path::{Key, fold, join, split};
use crate::error::{Error, Result};

/// Rows read at a time during a merge.
const ROWS_AT_ONCE: i64 = 256;
/// Cache while a listing is sorted, in KiB: the larger, the fewer times it is written.
const SORT_CACHE_KIB: u32 = 1536;

/// One entry of a listing, relative to the remote root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteEntry {
    /// The key.
    pub key: Key,
    /// Real-case name.
    pub shown: String,
    /// The server's folded path, where it differs from the key.
    pub lower: Option<String>,
    /// The real-case path of its directory as `path_display` has it, which is only good as long as
    /// nothing better is known.
    pub shown_dir: Option<String>,
    /// What is there now: never [`Remote::AsBase`].
    pub remote: Remote,
}

/// The merge of a complete listing.
struct StagedMerge<'a> {
    index: &'a Index,
    filter: &'a Filter,
    dir: Option<Dir>,
    /// When keys that were listed as folders, too, last became something else.
    ends: HashMap<String, i64>,
    /// The staged entries can be found by key.
    has_key_index: bool,
}

/// What the merge knows about the directory it is in.
struct Dir {
    key: String,
    shown: String,
    /// Entries that arrived up to here were deleted with an ancestor later on.
    dead_up_to: Option<i64>,
    has_folder: bool,
}

/// A staged entry with its order of arrival.
struct Staged {
    seq: i64,
    entry: RemoteEntry,
}

impl Index {
    /// Applies one change inside the open transaction. Says whether anything is different now.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn apply(&self, entry: &RemoteEntry, filter: &Filter) -> Result<bool> {
        let key = &entry.key;
        let before = self.row(key)?;
        if before.as_ref().is_some_and(|row| !row.sound) {
            return Ok(false);
        }
        let shown_dir = entry.shown_dir.as_deref();
        let dir_shown = self.shown_path(&key.dir, shown_dir)?;
        let subject = format!("/{}", join(&dir_shown, &entry.shown));
        let reach = filter.reach(&subject);
        let managed = match entry.remote {
            Remote::File(_) | Remote::Opaque => reach.up || reach.down,
            Remote::Folder => !filter.shuts(&subject),
            Remote::Gone | Remote::AsBase => true,
        };
        let mut changed = false;
        if !matches!(entry.remote, Remote::Folder) {
            changed |= self.see_gone_below(key)?;
        }
        let remote = if managed {
            entry.remote.clone()
        } else {
            Remote::Gone
        };
        let mut row = match (before.clone(), &remote) {
            (Some(row), _) => row,
            (None, Remote::Gone | Remote::AsBase) => return Ok(changed),
            (None, _) => Row::new(key.clone(), &entry.shown),
        };
        if !matches!(remote, Remote::Gone) {
            changed |= self.see_folders_above(key, shown_dir)?;
            rename(&mut row, entry);
        }
        row.see(remote);
        if before.as_ref() != Some(&row) {
            self.put(&row)?;
            changed = true;
        }
        Ok(changed)
    }

    /// Everything below a folder went with it.
    fn see_gone_below(&self, key: &Key) -> Result<bool> {
        let mut changed = false;
        self.each_below(key, &mut |mut row| {
            if row.sound && row.seen() != Remote::Gone {
                row.see(Remote::Gone);
                self.put(&row)?;
                changed = true;
            }
            Ok(())
        })?;
        Ok(changed)
    }

    /// Whatever has something in it is a folder ("create missing parents").
    fn see_folders_above(&self, key: &Key, shown_dir: Option<&str>) -> Result<bool> {
        let mut changed = false;
        let mut shown = shown_dir.unwrap_or(&key.dir);
        let mut above = key.parent();
        while let Some(key) = above {
            let mut row = match self.row(&key)? {
                Some(row) if row.remote_is_folder() || !row.sound => return Ok(changed),
                Some(row) => row,
                None if fold(split(shown).1) == key.name => Row::new(key.clone(), split(shown).1),
                None => Row::new(key.clone(), &key.name),
            };
            row.see(Remote::Folder);
            self.put(&row)?;
            changed = true;
            shown = split(shown).0;
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
            (entry.shown != entry.key.name).then_some(&entry.shown),
            entry.lower,
            rkind,
            file.map(|file| &file.rev),
            file.and_then(|file| file.hash).map(|hash| hash.0),
            file.map(|file| to_sql(file.size)),
            file.and_then(|file| file.modified),
            sum,
        ])?;
        self.staged.set(Some((count + 1, total.wrapping_add(sum))));
        Ok(())
    }

    fn staged_so_far(&self) -> Result<(i64, i64)> {
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
    fn check_staged(&self) -> Result<()> {
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
        self.db.execute_batch("DELETE FROM staged")?;
        self.staged.set(Some((0, 0)));
        self.clear_meta(Meta::StagingSum)?;
        self.clear_meta(Meta::StagingOf)?;
        self.clear_meta(Meta::StagingCursor)
    }

    /// Makes the complete staged listing what Dropbox is seen to hold, inside the open
    /// transaction: keys it does not name are gone, keys the filters no longer let through are
    /// forgotten.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn merge_staged(&self, filter: &Filter) -> Result<()> {
        self.check_staged()?;
        self.sort_in_files(true)?;
        let merged = StagedMerge {
            index: self,
            filter,
            dir: None,
            ends: HashMap::new(),
            has_key_index: false,
        }
        .run();
        self.sort_in_files(false)?;
        merged?;
        self.unstage()?;
        self.clear_meta(Meta::RelistDue)
    }

    /// Whether what does not fit into the cache is sorted in files, beside the index itself, or in
    /// memory. SQLite removes such a file as soon as it has opened it.
    fn sort_in_files(&self, in_files: bool) -> Result<()> {
        let path = self.db.path().filter(|path| !path.is_empty());
        let Some(dir) = path.and_then(|path| Path::new(path).parent()) else {
            return Ok(());
        };
        let (store, cache) = if in_files {
            ("FILE", SORT_CACHE_KIB)
        } else {
            ("MEMORY", super::CACHE_KIB)
        };
        let dir = dir.display().to_string().replace('\'', "''");
        Ok(self.db.execute_batch(&format!(
            "PRAGMA temp_store_directory = '{dir}'; PRAGMA temp_store = {store}; \
             PRAGMA cache_size = -{cache};"
        ))?)
    }

    fn rows_after(&self, key: &Key) -> Result<Vec<Row>> {
        let mut select = self.db.prepare_cached(schema::SELECT_AFTER)?;
        let rows = select.query_map(params![key.dir, key.name, ROWS_AT_ONCE], super::row::read)?;
        let rows = rows.collect::<std::result::Result<Vec<Row>, _>>()?;
        super::check_order(key, rows.iter().map(|row| &row.key))?;
        Ok(rows)
    }

    fn staged(&self, seq: i64) -> Result<Staged> {
        let mut select = self.db.prepare_cached(
            "SELECT seq, dir, name, shown, lower, rkind, rrev, rhash, rsize, rtime FROM staged \
             WHERE seq = ?",
        )?;
        Ok(select.query_row([seq], read_staged)?)
    }

    /// When the key last became a file or nothing, which takes what was below it along.
    fn last_end_of_children(&self, key: &Key) -> Result<i64> {
        let mut select = self.db.prepare_cached(
            "SELECT coalesce(max(seq), 0) FROM staged WHERE dir = ? AND name = ? AND rkind <> 2",
        )?;
        Ok(select.query_row(params![key.dir, key.name], |row| row.get(0))?)
    }
}

impl StagedMerge<'_> {
    /// Merges row by row in key order. What the merge itself writes lies at or before the key at
    /// hand, so neither side is read again once it has come to its end.
    fn run(mut self) -> Result<()> {
        let mut select = self
            .index
            .db
            .prepare("SELECT seq FROM staged ORDER BY dir, name, seq")?;
        let mut order = select.query([])?;
        let mut staged = self.next(&mut order)?;
        let mut rows = Vec::new().into_iter().peekable();
        let mut more_rows = true;
        let mut last = Key::default();
        loop {
            if more_rows && rows.peek().is_none() {
                rows = self.index.rows_after(&last)?.into_iter().peekable();
                more_rows = rows.peek().is_some();
            }
            let key = match (rows.peek(), &staged) {
                (None, None) => break,
                (Some(row), None) => row.key.clone(),
                (None, Some(staged)) => staged.entry.key.clone(),
                (Some(row), Some(staged)) => (&row.key).min(&staged.entry.key).clone(),
            };
            let row = rows.next_if(|row| row.key == key);
            let mut entry = None;
            let (mut was_folder, mut end) = (false, None);
            while let Some(found) = staged.take_if(|staged| staged.entry.key == key) {
                match found.entry.remote {
                    Remote::Folder => was_folder = true,
                    _ => end = Some(found.seq),
                }
                entry = Some(found);
                staged = self.next(&mut order)?;
            }
            if let (true, Some(end)) = (was_folder, end) {
                self.ends.insert(key.path(), end);
            }
            last.clone_from(&key);
            self.merge(key, row, entry)?;
        }
        drop(order);
        drop(select);
        if self.has_key_index {
            self.index.db.execute_batch("DROP INDEX staged_key")?;
        }
        Ok(())
    }

    fn next(&self, order: &mut rusqlite::Rows<'_>) -> Result<Option<Staged>> {
        match order.next()? {
            Some(row) => Ok(Some(self.index.staged(row.get(0)?)?)),
            None => Ok(None),
        }
    }

    fn merge(&mut self, key: Key, before: Option<Row>, staged: Option<Staged>) -> Result<()> {
        let index = self.index;
        let named = staged.as_ref().map_or(&*key.name, |s| &s.entry.shown);
        let shown = format!("/{}", join(&self.enter(&key.dir)?.shown, named));
        if self.filter.shuts(&shown) {
            return if before.is_some() {
                index.remove(&key)
            } else {
                Ok(())
            };
        }
        let dead_up_to = match &staged {
            Some(_) => self.dead_up_to(&key.dir)?,
            None => 0,
        };
        let entry = staged.filter(|s| s.seq > dead_up_to).map(|s| s.entry);
        let remote = entry
            .as_ref()
            .map_or(Remote::Gone, |entry| entry.remote.clone());
        let mut row = match before.clone() {
            // A row without a merged ancestor may have been made by it meanwhile.
            None => index
                .row(&key)?
                .unwrap_or_else(|| Row::new(key.clone(), &key.name)),
            Some(row) if row.sound => row,
            Some(_) => Row::new(key.clone(), &key.name),
        };
        if let Some(entry) = &entry {
            rename(&mut row, entry);
        }
        let subject = format!("/{}", join(&self.enter(&key.dir)?.shown, &row.shown));
        let reach = self.filter.reach(&subject);
        let shut = self.filter.shuts(&subject);
        let managed = reach.up || reach.down;
        if shut || (!managed && !matches!(remote, Remote::Folder)) {
            return if before.is_some() {
                index.remove(&key)
            } else {
                Ok(())
            };
        }
        if !managed {
            row.base = Base::None;
        }
        if !matches!(remote, Remote::Gone) && !self.enter(&key.dir)?.has_folder {
            index.see_folders_above(&key, None)?;
            if let Some(dir) = &mut self.dir {
                dir.has_folder = true;
            }
        }
        row.see(remote);
        if before.as_ref() == Some(&row) {
            Ok(())
        } else {
            index.put(&row)
        }
    }

    /// The directory of the key at hand. Its own row comes before those in it, so it is merged.
    fn enter(&mut self, dir: &str) -> Result<&mut Dir> {
        if self.dir.as_ref().is_none_or(|known| known.key != dir) {
            self.dir = Some(Dir {
                key: dir.to_owned(),
                shown: self.index.shown_path(dir, None)?,
                dead_up_to: None,
                has_folder: dir.is_empty(),
            });
        }
        // It was filled in above.
        Ok(self.dir.as_mut().expect("a directory has been entered"))
    }

    /// Up to where what arrived for a directory went with one of the folders above it.
    fn dead_up_to(&mut self, dir: &str) -> Result<i64> {
        if let Some(known) = self.enter(dir)?.dead_up_to {
            return Ok(known);
        }
        let mut dead_up_to = 0;
        let mut above = dir;
        while !above.is_empty() {
            let (parent, name) = split(above);
            let key = Key {
                dir: parent.to_owned(),
                name: name.to_owned(),
            };
            let row = self.index.row(&key)?;
            let is_folder = row.is_some_and(|row| row.sound && row.remote_is_folder());
            let end = match self.ends.get(above) {
                Some(end) => *end,
                // It was only ever listed as a folder, or as something below it was.
                None if is_folder => 0,
                None => self.end_of(&key)?,
            };
            dead_up_to = dead_up_to.max(end);
            above = parent;
        }
        self.enter(dir)?.dead_up_to = Some(dead_up_to);
        Ok(dead_up_to)
    }

    /// Dropbox listed something below what it did not list as a folder: rare enough to be looked
    /// for.
    fn end_of(&mut self, key: &Key) -> Result<i64> {
        if !self.has_key_index {
            self.index
                .db
                .execute_batch("CREATE INDEX staged_key ON staged (dir, name, seq)")?;
            self.has_key_index = true;
        }
        self.index.last_end_of_children(key)
    }
}

/// Takes over the name Dropbox shows, and keeps the local one.
fn rename(row: &mut Row, entry: &RemoteEntry) {
    if row.shown != entry.shown {
        let local = row.local_name().to_owned();
        let is_new = row.base == Base::None;
        row.shown.clone_from(&entry.shown);
        row.local = (!is_new && local != row.shown).then_some(local);
    }
    row.lower.clone_from(&entry.lower);
}

/// As of the row it would become, with its place: an entry stored out of order is not found again
/// by its key.
fn staged_checksum(seq: i64, entry: &RemoteEntry) -> i64 {
    let mut row = Row::new(entry.key.clone(), &entry.shown);
    row.lower.clone_from(&entry.lower);
    row.remote = entry.remote.clone();
    checksum(&row) ^ seq.wrapping_mul(0x9e37_79b9)
}

fn read_staged(sql: &SqlRow<'_>) -> rusqlite::Result<Staged> {
    let key = Key {
        dir: sql.get(1)?,
        name: sql.get(2)?,
    };
    let remote = match sql.get::<_, i64>(5)? {
        2 => Remote::Folder,
        4 => Remote::Opaque,
        3 => Remote::File(RemoteFile {
            rev: sql.get(6)?,
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
            shown,
            lower: sql.get(4)?,
            shown_dir: None,
            remote,
        },
    })
}
