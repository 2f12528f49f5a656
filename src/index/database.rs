//! The open database, and what is kept in mind of it between two statements.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::row::checksum_of_key;
use crate::core::path::Key;
use crate::error::Result;

/// Cache, in KiB.
pub(super) const CACHE_KIB: u32 = 256;

/// What is left of the journal behind a large transaction, in bytes.
const JOURNAL_BYTES: u32 = 64 << 10;

/// What was begun last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum TransactionState {
    /// Nothing, or it has ended.
    #[default]
    None,
    /// One that only reads, until the next that writes.
    Reading,
    /// One that writes.
    Open,
    /// One that has written, and goes on with the [next](super::HeldPage).
    Held,
}

/// The open index.
pub struct Index {
    pub(super) db: Connection,
    /// Where files are made that have no name; nowhere in particular for an index in memory.
    pub(super) dir: Option<PathBuf>,
    /// The journal beside it, before the first transaction.
    pub(super) journal: Cell<Option<PathBuf>>,
    /// Rows this connection had changed when the open transaction began.
    pub(super) changes_before: Cell<u64>,
    /// The transaction, as far as we know: SQLite undoes by itself what it cannot write.
    pub(super) state: Cell<TransactionState>,
    /// What is read between two transactions is read in one.
    pub(super) keeps_reading: Cell<bool>,
    /// How often a transaction was undone that had changed something.
    pub(super) undone: Cell<u64>,
    /// How many entries are staged and the sum of their checksums, once anything was staged.
    pub(super) staged: Cell<Option<(i64, i64)>>,
    /// The totals as the open transaction has changed it, if it has.
    pub(super) totals: Cell<Option<RowTotals>>,
    /// The rows were found to be all there, by this connection.
    pub(super) is_counted: Cell<bool>,
}

impl Index {
    /// Over this connection, before anything was asked of it.
    pub(super) fn over(db: Connection, dir: Option<&Path>) -> Index {
        Index {
            db,
            dir: dir.map(Path::to_owned),
            journal: Cell::default(),
            changes_before: Cell::new(0),
            state: Cell::default(),
            keeps_reading: Cell::new(false),
            undone: Cell::new(0),
            staged: Cell::new(None),
            totals: Cell::new(None),
            is_counted: Cell::new(false),
        }
    }

    /// Settings of the connection; none of them writes. What SQLite sorts goes into a file once it
    /// is more than its cache. The journal stays, marked as void, and is written in place.
    pub(super) fn tune(&self) -> Result<()> {
        self.db.execute_batch(&format!(
            "PRAGMA synchronous = FULL; PRAGMA journal_mode = PERSIST; \
                 PRAGMA journal_size_limit = {JOURNAL_BYTES}; \
                 PRAGMA cache_size = -{CACHE_KIB}; PRAGMA temp_store = FILE; \
                 PRAGMA trusted_schema = OFF;"
        ))?;
        make_files_in(self.dir.as_deref(), &self.db);
        self.db.set_prepared_statement_cache_capacity(32);
        Ok(())
    }
}

/// Files without a name that a connection needs for a while are made beside the index: `/tmp` may
/// be memory. Where that cannot be, SQLite looks for another place.
pub(super) fn make_files_in(dir: Option<&Path>, db: &Connection) {
    if let Some(dir) = dir.and_then(Path::to_str)
        && let Err(error) = db.pragma_update(None, "temp_store_directory", dir)
    {
        log::debug!("temporary files are not made in {dir}: {error}");
    }
}

/// How many rows there are, and the sum over their keys and checksums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowTotals {
    pub(super) rows: u64,
    pub(super) sum: i64,
}

impl RowTotals {
    /// With one row more.
    pub(super) fn with(self, dir: &[u8], name: &[u8], checksum: i64) -> RowTotals {
        RowTotals {
            rows: self.rows.wrapping_add(1),
            sum: self.sum.wrapping_add(checksum_of_key(dir, name, checksum)),
        }
    }

    /// With one row less.
    pub(super) fn without(self, key: &Key, checksum: i64) -> RowTotals {
        let sum = checksum_of_key(key.dir.as_bytes(), key.name.as_bytes(), checksum);
        RowTotals {
            rows: self.rows.wrapping_sub(1),
            sum: self.sum.wrapping_sub(sum),
        }
    }
}
