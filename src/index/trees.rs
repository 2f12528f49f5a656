//! Whole folders: those that are in step, and all rows of one under another key.

use rusqlite::params;

use super::rows::{ROWS_AT_ONCE, check_order};
use super::search::each_of;
use super::{Index, Meta, Row, row, schema};
use crate::core::path::{Key, below, join};
use crate::error::Result;

/// The index by whole folders.
#[derive(Clone, Copy)]
pub struct Trees<'a>(pub &'a Index);

impl Trees<'_> {
    /// Hands the folders that both sides have to `visit`.
    ///
    /// # Errors
    /// What SQLite or `visit` says.
    pub fn each_folder_in_step(&self, visit: &mut dyn FnMut(Row) -> Result<()>) -> Result<()> {
        each_of(self.0, schema::SELECT_FOLDERS_IN_STEP, visit)
    }

    /// Hands the folders with a base that Dropbox holds no more to `visit`.
    ///
    /// # Errors
    /// What SQLite or `visit` says.
    pub fn each_gone_folder(&self, visit: &mut dyn FnMut(Row) -> Result<()>) -> Result<()> {
        each_of(self.0, schema::SELECT_GONE_FOLDERS, visit)
    }

    /// Hands the folders without a base that Dropbox holds to `visit`.
    ///
    /// # Errors
    /// What SQLite or `visit` says.
    pub fn each_new_folder(&self, visit: &mut dyn FnMut(Row) -> Result<()>) -> Result<()> {
        each_of(self.0, schema::SELECT_NEW_FOLDERS, visit)
    }

    /// How many rows a directory has.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn count_in_dir(&self, dir: &str) -> Result<u64> {
        let mut select = self.0.db.prepare_cached(schema::COUNT_IN_DIR)?;
        Ok(row::from_sql(select.query_row([dir], |row| row.get(0))?))
    }

    /// Whether anything is known of what is below a key.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn has_rows_below(&self, key: &Key) -> Result<bool> {
        let mut select = self.0.db.prepare_cached(schema::HAS_BELOW)?;
        let dir = key.path();
        Ok(select.exists(params![dir, format!("{dir}/"), format!("{dir}0")])?)
    }

    /// Hands all rows below a key to `visit`, the key itself left out. They are found by their
    /// keys, not through the rows of the folders between, which may be missing.
    ///
    /// # Errors
    /// What SQLite or `visit` says.
    pub fn each_below(&self, key: &Key, visit: &mut dyn FnMut(Row) -> Result<()>) -> Result<()> {
        self.each_below_until(key, &mut |row| visit(row).map(|()| true))
    }

    /// [`Trees::each_below`], until `visit` says that it does not go on.
    ///
    /// # Errors
    /// What SQLite or `visit` says.
    pub fn each_below_until(
        &self,
        key: &Key,
        visit: &mut dyn FnMut(Row) -> Result<bool>,
    ) -> Result<()> {
        let mut rows = self.0.rows_in_dir(&key.path());
        while let Some(row) = rows.next()? {
            if !visit(row)? {
                return Ok(());
            }
        }
        // Deeper directories lie between "key/" and "key0", the character after the slash.
        let end = format!("{}0", key.path());
        let mut last = Key {
            dir: format!("{}/", key.path()),
            name: String::new(),
        };
        loop {
            let mut select = self.0.db.prepare_cached(schema::SELECT_BETWEEN)?;
            let range = params![last.dir, last.name, end, ROWS_AT_ONCE];
            let rows = select.query_map(range, row::read)?;
            let rows = rows.collect::<std::result::Result<Vec<Row>, _>>()?;
            drop(select);
            check_order(&last, rows.iter().map(|row| &row.key))?;
            let Some(row) = rows.last() else {
                return Ok(());
            };
            last = row.key.clone();
            for row in rows {
                if !visit(row)? {
                    return Ok(());
                }
            }
        }
    }

    /// Gives all rows at and below `from` keys at and below `to`, inside the open transaction.
    /// Neither may lie below the other. `change` gets each under its new key, with the row that is
    /// there already, and says what becomes of the two.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn rekey(
        &self,
        from: &Key,
        to: &Key,
        change: &mut dyn FnMut(Row, Option<Row>) -> Row,
    ) -> Result<()> {
        let (from_path, to_path) = (from.path(), to.path());
        let mut rekey = |mut row: Row| {
            let old = row.key.clone();
            row.key = match below(&old.dir, &from_path) {
                Some("") => Key {
                    dir: to_path.clone(),
                    name: old.name.clone(),
                },
                Some(rest) => Key {
                    dir: join(&to_path, rest),
                    name: old.name.clone(),
                },
                None => to.clone(),
            };
            let there = self.0.row(&row.key)?;
            self.0.remove(&old)?;
            self.0.put(&change(row, there))
        };
        if let Some(row) = self.0.row(from)? {
            rekey(row)?;
        }
        self.each_below(from, &mut rekey)
    }

    /// Whether files that were moved in Dropbox still have no rev. Once there are none, no whole
    /// listing is due for that.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn are_revs_due(&self) -> Result<bool> {
        if self.0.meta(Meta::RevsDue)?.is_none() {
            return Ok(false);
        }
        if self.0.db.prepare(schema::HAS_UNKNOWN_REV)?.exists([])? {
            return Ok(true);
        }
        self.0.transaction(|| self.0.clear_meta(Meta::RevsDue))?;
        Ok(false)
    }
}
