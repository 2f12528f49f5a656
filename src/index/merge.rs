//! A complete listing merged into the rows, both in key order.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::params;

use super::database::CACHE_KIB;
use super::listing::{Staged, read_staged, rename};
use super::rows::{ROWS_AT_ONCE, check_order};
use super::{Base, DirPath, Index, Meta, Remote, Row, row, schema};
use crate::core::filter::Filter;
use crate::core::path::{Key, join, split};
use crate::error::Result;

/// Cache while a listing is sorted, in KiB: the larger, the fewer times it is written.
const SORT_CACHE_KIB: u32 = 512;

/// The merge of a complete listing.
struct StagedMerge<'a> {
    index: &'a Index,
    filter: &'a Filter,
    tell_homeless: &'a dyn Fn(&str),
    dir: Option<MergeDir>,
    /// When keys that were listed as folders, too, last became something else.
    ends: HashMap<String, i64>,
    /// The staged entries can be found by key.
    has_key_index: bool,
    /// Something that Dropbox holds has no row.
    has_unmanaged: bool,
}

/// What the merge knows about the directory it is in.
struct MergeDir {
    key: String,
    path: DirPath,
    /// Dropbox has listed it as a folder; the root always counts.
    is_listed: bool,
    /// Entries that arrived up to here were deleted with an ancestor later on.
    dead_up_to: Option<i64>,
    has_folder: bool,
}

impl Index {
    /// Makes the complete staged listing what Dropbox is seen to hold, inside the open
    /// transaction: keys it does not name are gone, keys the filters no longer let through are
    /// forgotten.
    ///
    /// `tell_homeless` gets the path of each entry that was listed without its folder, so that the
    /// filters cannot be asked about it: it is left alone.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn merge_staged(&self, filter: &Filter, tell_homeless: &dyn Fn(&str)) -> Result<()> {
        self.check_staged()?;
        self.sort_in_files(true)?;
        let merged = StagedMerge {
            index: self,
            filter,
            tell_homeless,
            dir: None,
            ends: HashMap::new(),
            has_key_index: false,
            has_unmanaged: self.meta(Meta::HasUnmanaged)?.is_some(),
        }
        .run();
        self.sort_in_files(false)?;
        let has_unmanaged = merged?;
        self.unstage()?;
        let has_unmanaged = if has_unmanaged { "1" } else { "0" };
        self.set_meta(Meta::HasUnmanaged, has_unmanaged)?;
        self.clear_meta(Meta::RevsDue)?;
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
            ("MEMORY", CACHE_KIB)
        };
        let dir = dir.display().to_string().replace('\'', "''");
        Ok(self.db.execute_batch(&format!(
            "PRAGMA temp_store_directory = '{dir}'; PRAGMA temp_store = {store}; \
             PRAGMA cache_size = -{cache};"
        ))?)
    }

    fn rows_after(&self, key: &Key) -> Result<Vec<Row>> {
        let mut select = self.db.prepare_cached(schema::SELECT_AFTER)?;
        let rows = select.query_map(params![key.dir, key.name, ROWS_AT_ONCE], row::read)?;
        let rows = rows.collect::<std::result::Result<Vec<Row>, _>>()?;
        check_order(key, rows.iter().map(|row| &row.key))?;
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
    /// Merges row by row in key order; says whether Dropbox holds something that has no row. What
    /// the merge itself writes lies at or before the key at hand, so neither side is read again
    /// once it has come to its end.
    fn run(mut self) -> Result<bool> {
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
        Ok(self.has_unmanaged)
    }

    fn next(&self, order: &mut rusqlite::Rows<'_>) -> Result<Option<Staged>> {
        match order.next()? {
            Some(row) => Ok(Some(self.index.staged(row.get(0)?)?)),
            None => Ok(None),
        }
    }

    fn merge(&mut self, key: Key, before: Option<Row>, staged: Option<Staged>) -> Result<()> {
        let index = self.index;
        let takes_everything = self.filter.takes_everything();
        let dir = self.enter(&key.dir)?;
        // One that was not listed itself may be spelt otherwise by now.
        let is_spelt = dir.is_listed || takes_everything;
        let dir = match &dir.path {
            DirPath::Open(dir) => Some(dir.clone()),
            DirPath::Unknown => None,
            DirPath::Pruned => {
                self.has_unmanaged |= staged.is_some();
                return self.forget(&key, before.as_ref());
            }
        };
        let dead_up_to = match &staged {
            Some(_) => self.dead_up_to(&key.dir)?,
            None => 0,
        };
        let entry = staged.filter(|s| s.seq > dead_up_to).map(|s| s.entry);
        let remote = entry
            .as_ref()
            .map_or(Remote::Gone, |entry| entry.remote.clone());
        let Some(dir) = dir.filter(|_| is_spelt || remote == Remote::Gone) else {
            if remote != Remote::Gone {
                self.has_unmanaged = true;
                (self.tell_homeless)(&format!("/{}", key.path()));
            }
            // What was in step stays so until more is known.
            return Ok(());
        };
        let mut row = match before.clone() {
            // A row without a merged ancestor may have been made by it meanwhile.
            None => index
                .row(&key)?
                .unwrap_or_else(|| Row::new(key.clone(), &key.name)),
            Some(row) if row.intact => row,
            Some(_) => Row::new(key.clone(), &key.name),
        };
        if let Some(entry) = &entry {
            rename(&mut row, entry);
        }
        let path = format!("/{}", join(&dir, &row.display_name));
        let allows = self.filter.allows_as(&path, remote == Remote::Folder);
        let managed = allows.up || allows.down;
        // A folder that is pruned by its letters has a row, so that it is known how it is spelt.
        let has_row = match remote {
            Remote::Folder => !self.filter.hides_name(&row.display_name),
            _ => managed,
        };
        if !has_row {
            self.has_unmanaged |= remote != Remote::Gone;
            return self.forget(&key, before.as_ref());
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
        row.set_remote(remote);
        if before.as_ref() == Some(&row) {
            Ok(())
        } else {
            index.put(&row)
        }
    }

    fn forget(&self, key: &Key, before: Option<&Row>) -> Result<()> {
        match before {
            Some(_) => self.index.remove(key),
            None => Ok(()),
        }
    }

    /// The directory of the key at hand. Its own row comes before those in it, so it is merged.
    fn enter(&mut self, dir: &str) -> Result<&mut MergeDir> {
        if self.dir.as_ref().is_none_or(|known| known.key != dir) {
            let row = self.index.row(&Key::of(dir))?;
            self.dir = Some(MergeDir {
                key: dir.to_owned(),
                path: self.index.dir_path(dir, self.filter)?,
                is_listed: dir.is_empty() || row.is_some_and(|row| row.remote_is_folder()),
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
            let is_folder = row.is_some_and(|row| row.intact && row.remote_is_folder());
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
