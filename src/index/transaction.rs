//! Transactions, counted: the cursor file is only trusted if the index is at least as new.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::database::TransactionState;
use super::{Index, Meta};
use crate::error::{Result, state_error};

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

    /// Begins a transaction, or goes on with one that [waits](super::HeldPage).
    ///
    /// # Errors
    /// What SQLite says.
    pub fn begin(&self) -> Result<()> {
        if self.state.get() == TransactionState::Held {
            if !self.db.is_autocommit() {
                self.state.set(TransactionState::Open);
                return Ok(());
            }
            self.roll_back();
        }
        if self.state.get() == TransactionState::Reading {
            self.state.set(TransactionState::None);
            if !self.db.is_autocommit() {
                self.db.execute_batch("COMMIT")?;
            }
        }
        if let Some(journal) = self.journal.take() {
            make_journal(&journal)?;
        }
        self.db.execute_batch("BEGIN IMMEDIATE")?;
        self.state.set(TransactionState::Open);
        self.changes_before.set(self.db.total_changes());
        Ok(())
    }

    /// Commits it, counted, if it changed anything; writes nothing otherwise.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn commit(&self) -> Result<()> {
        if !has_changes(self) {
            self.roll_back();
            return Ok(());
        }
        let counter = self.counter()?.saturating_add(1);
        let commit = self
            .check_totals_once()
            .and_then(|()| self.note_totals())
            .and_then(|()| self.set_meta(Meta::Counter, &counter.to_string()))
            .and_then(|()| Ok(self.db.execute_batch("COMMIT")?));
        match commit {
            Ok(()) => {
                self.state.set(TransactionState::None);
                read_on(self);
            }
            Err(_) => self.roll_back(),
        }
        commit
    }

    /// Undoes the open transaction, if there is one.
    pub fn roll_back(&self) {
        self.staged.set(None);
        self.totals.set(None);
        if self.state.get() == TransactionState::Reading {
            return;
        }
        if self.state.replace(TransactionState::None) != TransactionState::None && has_changes(self)
        {
            self.undone.set(self.undone.get() + 1);
        }
        if !self.db.is_autocommit() {
            // A failed rollback leaves a journal that the next opening plays back.
            let _ = self.db.execute_batch("ROLLBACK");
        }
        read_on(self);
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

/// From here on all that is read between two transactions is read in one: nobody else writes as
/// long as it lasts, so that neither the lock nor the journal need be looked at for each statement.
/// Others can read meanwhile.
pub fn keep_reading(index: &Index) {
    index.keeps_reading.set(true);
    if index.db.is_autocommit() {
        read_on(index);
    }
}

fn read_on(index: &Index) {
    // Without it each statement is by itself, which is only slower.
    if index.keeps_reading.get() && index.db.execute_batch("BEGIN").is_ok() {
        index.state.set(TransactionState::Reading);
    }
}

/// Whether the open transaction has changed anything.
pub(super) fn has_changes(index: &Index) -> bool {
    index.db.total_changes() != index.changes_before.get()
}

/// Makes sure that there is a journal, which stays: a name that comes and goes with each commit
/// would have to be made durable each time, and that writes more than all else.
fn make_journal(file: &Path) -> Result<()> {
    if std::fs::symlink_metadata(file).is_ok() {
        return Ok(());
    }
    let mut options = OpenOptions::new();
    let made = options.write(true).create_new(true).mode(0o600).open(file);
    let durable = made.and_then(|_| match file.parent() {
        Some(dir) => std::fs::File::open(dir)?.sync_all(),
        None => Ok(()),
    });
    durable.map_err(|error| state_error(&format!("make {}", file.display()), &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn what_is_read_between_transactions_is_read_in_one() {
        let index = Index::temporary("id", None).unwrap();
        let write = |text: &str| index.transaction(|| index.set_meta(Meta::HeldUp, text));
        keep_reading(&index);
        assert!(!index.db.is_autocommit());
        write("one").unwrap();
        assert!(!index.db.is_autocommit(), "it goes on behind a commit");
        let failed = index.transaction(|| Err::<(), _>(Error::Failed("no".to_owned())));
        assert!(failed.is_err());
        assert!(!index.db.is_autocommit(), "and behind what was undone");
        // What SQLite has ended by itself keeps nobody from writing.
        index.db.execute_batch("ROLLBACK").unwrap();
        write("two").unwrap();
        assert_eq!(index.meta(Meta::HeldUp).unwrap().as_deref(), Some("two"));
        // A page that waits is no reading.
        index.begin().unwrap();
        index.set_meta(Meta::HeldUp, "page").unwrap();
        let page = crate::index::HeldPage::of(&index).unwrap().unwrap();
        write("three").unwrap();
        assert!(page.settle(&index).unwrap());
        assert_eq!(index.meta(Meta::HeldUp).unwrap().as_deref(), Some("three"));
    }
}
