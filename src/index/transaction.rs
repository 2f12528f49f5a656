//! Transactions, counted: the cursor file is only trusted if the index is at least as new.

use super::{Index, Meta};
use crate::error::Result;

impl Index {
    /// Runs `work` as one transaction, which also counts up the commit counter: the cursor file
    /// is only trusted if the index is at least as new.
    ///
    /// # Errors
    /// Those of `work`, after everything it did is undone.
    pub fn transaction<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.begin()?;
        match work() {
            Ok(value) => {
                self.commit()?;
                Ok(value)
            }
            Err(error) => {
                self.roll_back();
                Err(error)
            }
        }
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn begin(&self) -> Result<()> {
        self.db.execute_batch("BEGIN IMMEDIATE")?;
        self.changes_before.set(self.db.total_changes());
        Ok(())
    }

    /// Commits it, counted, if it changed anything; writes nothing otherwise.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn commit(&self) -> Result<()> {
        if self.db.total_changes() == self.changes_before.get() {
            self.roll_back();
            return Ok(());
        }
        let counter = self.counter()?.saturating_add(1);
        let commit = self
            .check_totals_once()
            .and_then(|()| self.note_totals())
            .and_then(|()| self.set_meta(Meta::Counter, &counter.to_string()))
            .and_then(|()| Ok(self.db.execute_batch("COMMIT")?));
        if commit.is_err() {
            self.roll_back();
        }
        commit
    }

    /// Undoes the open transaction, if there is one.
    pub fn roll_back(&self) {
        self.staged.set(None);
        self.totals.set(None);
        if !self.db.is_autocommit() {
            // A failed rollback leaves a journal that the next opening plays back.
            let _ = self.db.execute_batch("ROLLBACK");
        }
    }

    /// How many transactions were ever committed.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn counter(&self) -> Result<u64> {
        Ok(self
            .meta(Meta::Counter)?
            .and_then(|text| text.parse().ok())
            .unwrap_or(0))
    }
}
