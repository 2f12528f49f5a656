//! Questions to the index that are not about one key: what is worth an archive, what was moved.

use rusqlite::params;

use super::rows::ROWS_AT_ONCE;
use super::{Index, Row, row, schema};
use crate::core::path::Key;
use crate::error::Result;

/// What Dropbox holds in and below a directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubtreeTotals {
    /// Files and folders.
    pub entries: u64,
    /// Bytes of all files together.
    pub bytes: u64,
}

impl Index {
    /// What Dropbox holds in and below a directory, as the rows tell.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn subtree_totals(&self, dir: &str) -> Result<SubtreeTotals> {
        let mut select = self.db.prepare_cached(schema::SELECT_SUBTREE_TOTALS)?;
        // Everything below "dir" lies between "dir/" and "dir0", the character after the slash.
        let (start, end) = match dir {
            "" => (String::new(), "\u{10ffff}".to_owned()),
            dir => (format!("{dir}/"), format!("{dir}0")),
        };
        Ok(select.query_row(params![dir, start, end], |row| {
            Ok(SubtreeTotals {
                entries: row::from_sql(row.get(0)?),
                bytes: row::from_sql(row.get(1)?),
            })
        })?)
    }

    /// Whether so many files of at most `small` bytes are to come down.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn has_due(&self, small: u64, count: u64) -> Result<bool> {
        let mut select = self.db.prepare_cached(schema::COUNT_DUE)?;
        let asked = params![row::to_sql(small), row::to_sql(count)];
        let found: i64 = select.query_row(asked, |row| row.get(0))?;
        Ok(row::from_sql(found) >= count)
    }

    /// Hands the files that Dropbox holds as the base says to `visit`, directory by directory.
    ///
    /// # Errors
    /// What SQLite or `visit` says.
    pub fn each_in_step(&self, visit: &mut dyn FnMut(Row) -> Result<()>) -> Result<()> {
        each_of(self, schema::SELECT_IN_STEP, visit)
    }

    /// Hands the files with a base that Dropbox has no more to `visit`.
    ///
    /// # Errors
    /// What SQLite or `visit` says.
    pub fn each_gone_remotely(&self, visit: &mut dyn FnMut(Row) -> Result<()>) -> Result<()> {
        each_of(self, schema::SELECT_GONE, visit)
    }

    /// Whether a file of this revision is to come down into a directory.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn is_due(&self, dir: &str, rev: &str) -> Result<bool> {
        let mut select = self.db.prepare_cached(schema::SELECT_DUE_REV)?;
        Ok(select.exists([dir, rev])?)
    }
}

pub(super) fn each_of(
    index: &Index,
    statement: &str,
    visit: &mut dyn FnMut(Row) -> Result<()>,
) -> Result<()> {
    let mut select = index.db.prepare_cached(statement)?;
    let mut rows = select.query([])?;
    while let Some(sql) = rows.next()? {
        let row = row::read(sql)?;
        if row.intact {
            visit(row)?;
        }
    }
    Ok(())
}

/// The next files and folders that Dropbox holds as the base says, in order of keys. Rows may be
/// changed meanwhile.
///
/// # Errors
/// What SQLite says.
pub fn in_step_after(index: &Index, last: Option<&Key>) -> Result<Vec<Row>> {
    let mut select = index.db.prepare_cached(schema::SELECT_IN_STEP_AFTER)?;
    let (dir, name) = last.map_or(("", ""), |key| (&key.dir, &key.name));
    let found = select.query_map(params![dir, name, ROWS_AT_ONCE], row::read)?;
    Ok(found.collect::<std::result::Result<_, _>>()?)
}

/// The folders on which a disk is or was mounted, the upper ones first.
///
/// # Errors
/// What SQLite says.
pub fn mounts(index: &Index) -> Result<Vec<Key>> {
    let mut select = index.db.prepare_cached(schema::SELECT_MOUNTS)?;
    let key = |row: &rusqlite::Row<'_>| {
        Ok(Key {
            dir: row.get(0)?,
            name: row.get(1)?,
        })
    };
    let keys = select.query_map([], key)?;
    Ok(keys.collect::<std::result::Result<_, _>>()?)
}

/// The files that are to come down, as far as the rows tell.
///
/// # Errors
/// What SQLite says.
pub fn due_totals(index: &Index) -> Result<SubtreeTotals> {
    let mut select = index.db.prepare(schema::SELECT_DUE_TOTALS)?;
    Ok(select.query_row([], |row| {
        Ok(SubtreeTotals {
            entries: row::from_sql(row.get(0)?),
            bytes: row::from_sql(row.get(1)?),
        })
    })?)
}
