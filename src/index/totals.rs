//! The totals: how many rows there are and a sum over their keys and checksums.
//!
//! A row's checksum tells what it says from what it was made to say, but a row that is gone says
//! nothing, and one under another key is not found. Each transaction that changes rows writes the
//! totals along with them, and a pass counts again once, when it first commits a change or is about
//! to delete: an idle one does not.

use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, Statement, params};

use super::database::RowTotals;
use super::{Index, Meta};
use crate::core::path::Key;
use crate::error::{Error, Result};

impl Index {
    /// Inside the open transaction: a row is about to be removed or replaced.
    pub(super) fn count_out(&self, key: &Key) -> Result<()> {
        let mut select = self
            .db
            .prepare_cached("SELECT sum FROM entry WHERE dir = ? AND name = ?")?;
        let checksum: Option<i64> = select
            .query_row(params![key.dir, key.name], |row| row.get(0))
            .optional()?;
        if let Some(checksum) = checksum {
            self.totals.set(Some(self.totals()?.without(key, checksum)));
        }
        Ok(())
    }

    /// Inside the open transaction: a row was written, with this checksum.
    pub(super) fn count_in(&self, key: &Key, checksum: i64) -> Result<()> {
        let (dir, name) = (key.dir.as_bytes(), key.name.as_bytes());
        let totals = self.totals()?.with(dir, name, checksum);
        self.totals.set(Some(totals));
        Ok(())
    }

    /// Writes down what the open transaction has counted.
    pub(super) fn note_totals(&self) -> Result<()> {
        match self.totals.take() {
            Some(totals) => self.set_meta(Meta::Totals, &format!("{} {}", totals.rows, totals.sum)),
            None => Ok(()),
        }
    }

    fn totals(&self) -> Result<RowTotals> {
        if let Some(counted) = self.totals.get() {
            return Ok(counted);
        }
        let noted = self.meta(Meta::Totals)?;
        let noted = noted.as_deref().and_then(|text| text.split_once(' '));
        Ok(match noted.map(|(rows, sum)| (rows.parse(), sum.parse())) {
            Some((Ok(rows), Ok(sum))) => RowTotals { rows, sum },
            _ => RowTotals::default(),
        })
    }

    /// Counts, unless this connection has done so: before its first commit, inside it, and before
    /// anything is deleted.
    ///
    /// # Errors
    /// [`Error::Damaged`] if a row that should be there is not found: in its place, under its key,
    /// and among the pending ones if it is one.
    pub fn check_totals_once(&self) -> Result<()> {
        if !self.is_counted.get() {
            self.check_totals()?;
            self.is_counted.set(true);
        }
        Ok(())
    }

    /// Counts now.
    ///
    /// # Errors
    /// As for [`Index::check_totals_once`].
    pub fn check_totals(&self) -> Result<()> {
        let mut all = self
            .db
            .prepare("SELECT dir, name, sum, rkind IS NOT 0 FROM entry ORDER BY dir, name")?;
        let (all, pending) = counted(&mut all)?;
        let mut listed = self.db.prepare(
            "SELECT dir, name, 0, 1 FROM entry INDEXED BY entry_pending WHERE rkind <> 0 \
             ORDER BY dir, name",
        )?;
        if all == self.totals()? && pending == counted(&mut listed)?.0 {
            Ok(())
        } else {
            Err(Error::Damaged("index: rows are lost".to_owned()))
        }
    }
}

/// Counts rows of directory, name, checksum and whether they are pending; and of them the pending
/// ones, without their checksums.
fn counted(select: &mut Statement<'_>) -> Result<(RowTotals, RowTotals)> {
    let (mut all, mut pending) = (RowTotals::default(), RowTotals::default());
    let (mut last_dir, mut last_name) = (Vec::new(), Vec::new());
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (ValueRef::Text(dir), ValueRef::Text(name)) = (row.get_ref(0)?, row.get_ref(1)?) else {
            return Err(Error::Damaged("index: a key is no text".to_owned()));
        };
        if all.rows > 0 && (dir, name) <= (&last_dir[..], &last_name[..]) {
            return Err(Error::Damaged(
                "index: its rows are out of order".to_owned(),
            ));
        }
        all = all.with(dir, name, row.get(2)?);
        if row.get(3)? {
            pending = pending.with(dir, name, 0);
        }
        if last_dir != dir {
            last_dir.clear();
            last_dir.extend_from_slice(dir);
        }
        last_name.clear();
        last_name.extend_from_slice(name);
    }
    Ok((all, pending))
}
