//! The index: one row per key with the base, the local stamp and what Dropbox was seen to hold.
//!
//! A SQLite file in the state directory. It is a cache: losing it costs a listing and hashing. It
//! holds what was *seen* and what was *settled*, never what is intended.
//!
//! | table | what it holds |
//! |---|---|
//! | `entry` | one row per key; `rkind` 0 means that Dropbox holds what the base holds |
//! | `staged` | entries of an unfinished full listing, in order of arrival |
//! | `meta` | what all of this belongs to, and what is still due |
//!
//! Every row carries a checksum. A row that fails it counts as no base and as an unknown remote,
//! and makes the next pass list again: a flipped bit can only make us claim less. The named values
//! and the staged entries carry one, too; a listing of which anything is lost is thrown away. Rows
//! that are lost or misplaced show in the totals, and the index is made anew.
//!
//! Opening, reading and closing write nothing (rollback journal, no pragma that writes).

mod listing;
mod merge;
mod meta;
mod row;
mod schema;
mod search;
mod summary;
mod totals;

use std::cell::Cell;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

pub use listing::RemoteEntry;
pub use meta::{Meta, SyncIdentity};
pub use row::{Base, BaseFile, Remote, RemoteFile, Row};
pub use search::SubtreeTotals;
pub use summary::RowSummary;
use totals::RowTotals;

use crate::core::filter::Filter;
use crate::core::path::{Key, fold, join};
use crate::error::{Error, Result, state_error};

/// Cache, in KiB.
const CACHE_KIB: u32 = 256;
/// Rows read at a time when a directory is walked.
const ROWS_AT_ONCE: i64 = 256;

/// The open index.
pub struct Index {
    db: Connection,
    /// Rows this connection had changed when the open transaction began.
    changes_before: Cell<u64>,
    /// How many entries are staged and the sum of their checksums, once anything was staged.
    staged: Cell<Option<(i64, i64)>>,
    /// The totals as the open transaction has changed it, if it has.
    totals: Cell<Option<RowTotals>>,
    /// The rows were found to be all there, by this connection.
    is_counted: Cell<bool>,
}

impl Index {
    /// Opens the index in `file`; nothing if there is none.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the file is no index of this format.
    pub fn open(file: &Path) -> Result<Option<Index>> {
        match fs_err::symlink_metadata(file) {
            Ok(metadata) if metadata.is_file() => check_header(file)?,
            // A fifo would be waited for, and what a link points to is not ours.
            Ok(_) => {
                let file = file.display();
                return Err(Error::Failed(format!(
                    "{file} is not a regular file; remove it: the index is only a cache"
                )));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::Failed(error.to_string())),
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let index = Index::over(Connection::open_with_flags(file, flags)?);
        index.tune()?;
        index.check_format()?;
        Ok(Some(index))
    }

    /// Makes a new index in `file`, private from its first byte, and so is the journal SQLite
    /// makes beside it.
    ///
    /// # Errors
    /// What the system or SQLite says.
    pub fn create(file: &Path, id: &str) -> Result<Index> {
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(file)
            .map_err(|error| state_error(&format!("make {}", file.display()), &error))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let index = Index::over(Connection::open_with_flags(file, flags)?);
        index.set_up(id)?;
        Ok(index)
    }

    /// Removes the index in `file`. A journal left beside it goes last: without its index it is
    /// played back into nothing.
    ///
    /// # Errors
    /// What the system says.
    pub fn remove_file(file: &Path) -> Result<()> {
        let journal = file.with_extension("db-journal");
        for file in [file, &journal] {
            match std::fs::remove_file(file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    let doing = format!("remove {}", file.display());
                    return Err(state_error(&doing, &error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A new index in memory, for a dry run and for tests.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn in_memory(id: &str) -> Result<Index> {
        let index = Index::over(Connection::open_in_memory()?);
        index.set_up(id)?;
        Ok(index)
    }

    /// A copy in memory: what a dry run works on.
    ///
    /// LIMIT: a dry run needs memory for the whole index, about 150 bytes per entry.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn copy_in_memory(&self) -> Result<Index> {
        let mut db = Connection::open_in_memory()?;
        let backup = Backup::new(&self.db, &mut db)?;
        let copied = backup.step(-1)?;
        drop(backup);
        match copied {
            StepResult::Done => Ok(Index::over(db)),
            // A plan made from half of it would be of no use.
            _ => Err(Error::Failed(
                "index: another program has locked it".to_owned(),
            )),
        }
    }

    fn over(db: Connection) -> Index {
        Index {
            db,
            changes_before: Cell::new(0),
            staged: Cell::new(None),
            totals: Cell::new(None),
            is_counted: Cell::new(false),
        }
    }

    fn set_up(&self, id: &str) -> Result<()> {
        self.is_counted.set(true);
        self.db.execute_batch("PRAGMA page_size = 1024;")?;
        self.tune()?;
        self.transaction(|| {
            self.db.execute_batch(schema::CREATE)?;
            self.set_meta(Meta::Format, schema::FORMAT)?;
            self.set_meta(Meta::Id, id)?;
            self.set_meta(Meta::ResetDue, "1")
        })
    }

    fn tune(&self) -> Result<()> {
        self.db.execute_batch(&format!(
            "PRAGMA synchronous = FULL; PRAGMA cache_size = -{CACHE_KIB}; \
                 PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;"
        ))?;
        self.db.set_prepared_statement_cache_capacity(32);
        Ok(())
    }

    fn check_format(&self) -> Result<()> {
        match self.meta(Meta::Format) {
            // Without its id no cursor would ever count beside it.
            Ok(Some(format)) if format == schema::FORMAT => match self.meta(Meta::Id)? {
                Some(_) => Ok(()),
                None => Err(Error::Damaged("index: its id is lost".to_owned())),
            },
            Ok(found) => Err(Error::Damaged(format!(
                "index: format {} is not known here",
                found.unwrap_or_else(|| "(none)".to_owned())
            ))),
            Err(error) => Err(error),
        }
    }

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

    /// The row of a key.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn row(&self, key: &Key) -> Result<Option<Row>> {
        let mut select = self.db.prepare_cached(schema::SELECT_ONE)?;
        Ok(select
            .query_row(params![key.dir, key.name], row::read)
            .optional()?)
    }

    /// Writes a row; one without base and without anything in Dropbox is removed instead.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn put(&self, row: &Row) -> Result<()> {
        if row.is_empty() {
            self.remove(&row.key)
        } else {
            self.count_out(&row.key)?;
            self.count_in(&row.key, row::write(&self.db, row)?)
        }
    }

    /// Removes the row of a key.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn remove(&self, key: &Key) -> Result<()> {
        self.count_out(key)?;
        let mut delete = self
            .db
            .prepare_cached("DELETE FROM entry WHERE dir = ? AND name = ?")?;
        delete.execute(params![key.dir, key.name])?;
        Ok(())
    }

    /// The rows of one directory, in order of names. Rows may be changed meanwhile.
    pub fn rows_in_dir(&self, dir: &str) -> RowsInDir<'_> {
        RowsInDir {
            index: self,
            dir: dir.to_owned(),
            last: String::new(),
            batch: Vec::new().into_iter(),
        }
    }

    /// The directories that hold rows whose remote differs from their base, in order.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn next_pending_dir(&self, after: Option<&str>) -> Result<Option<String>> {
        let mut select = self.db.prepare_cached(schema::NEXT_PENDING_DIR)?;
        let first = after.is_none();
        let row = select.query_row(params![first, after.unwrap_or_default()], |row| row.get(0));
        Ok(row.optional()?)
    }

    /// Hands all rows below a key to `visit`, the key itself left out. They are found by their
    /// keys, not through the rows of the folders between, which may be missing.
    ///
    /// # Errors
    /// What SQLite or `visit` says.
    pub fn each_below(&self, key: &Key, visit: &mut dyn FnMut(Row) -> Result<()>) -> Result<()> {
        let mut rows = self.rows_in_dir(&key.path());
        while let Some(row) = rows.next()? {
            visit(row)?;
        }
        // Deeper directories lie between "key/" and "key0", the character after the slash.
        let end = format!("{}0", key.path());
        let mut last = Key {
            dir: format!("{}/", key.path()),
            name: String::new(),
        };
        loop {
            let mut select = self.db.prepare_cached(schema::SELECT_BETWEEN)?;
            let range = params![last.dir, last.name, end, ROWS_AT_ONCE];
            let rows = select.query_map(range, row::read)?;
            let rows = rows.collect::<std::result::Result<Vec<Row>, _>>()?;
            drop(select);
            check_order(&last, rows.iter().map(|row| &row.key))?;
            let Some(row) = rows.last() else {
                return Ok(());
            };
            last = row.key.clone();
            rows.into_iter().try_for_each(&mut *visit)?;
        }
    }

    /// Drops the base and everything seen; what was due stays due, and no cursor counts before
    /// Dropbox has been listed again.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn clear(&self) -> Result<()> {
        self.db.execute_batch("DELETE FROM entry")?;
        self.totals.set(Some(RowTotals::default()));
        self.unstage()?;
        self.clear_meta(Meta::HeldDown)?;
        self.clear_meta(Meta::HeldUp)?;
        self.set_meta(Meta::RelistDue, "1")?;
        self.set_meta(Meta::ResetDue, "1")
    }

    /// Whether any row has a base.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn has_base(&self) -> Result<bool> {
        let mut select = self
            .db
            .prepare_cached("SELECT 1 FROM entry WHERE kind <> 0 LIMIT 1")?;
        Ok(select.exists([])?)
    }

    /// The real-case path in Dropbox of a directory key, as the rows of the folders on the way
    /// spell it, unless the filters prune it: then so they do with all below, however spelt.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn dir_path(&self, dir: &str, filter: &Filter) -> Result<DirPath> {
        self.dir_path_or(dir, None, filter)
    }

    /// The same; where no rule depends on letters, a folder without a row is spelt as in `hint`, if
    /// that has the same key.
    fn dir_path_or(&self, dir: &str, hint: Option<&str>, filter: &Filter) -> Result<DirPath> {
        let mut hints = hint.unwrap_or(dir).split('/').filter(|c| !c.is_empty());
        let mut path = String::new();
        let mut key = String::new();
        for component in dir.split('/').filter(|c| !c.is_empty()) {
            let at = Key {
                dir: key,
                name: component.to_owned(),
            };
            let hint = hints.next().filter(|hint| fold(hint) == component);
            let name = match self.row(&at)?.filter(|row| row.intact) {
                Some(row) => row.display_name,
                None if filter.takes_everything() => hint.unwrap_or(component).to_owned(),
                None => return Ok(DirPath::Unknown),
            };
            path = join(&path, &name);
            if filter.prunes(&format!("/{path}")) {
                return Ok(DirPath::Pruned);
            }
            key = at.path();
        }
        Ok(DirPath::Open(path))
    }
}

/// How a directory is spelt in Dropbox, and what the filters say to that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirPath {
    /// Its real-case path below the remote root, without a leading slash.
    Open(String),
    /// The filters prune it or a folder above it: nothing in it is looked at.
    Pruned,
    /// There is no telling: Dropbox has not shown a folder on the way to it, or the row that knew
    /// is damaged. Its key is no spelling, so the filters cannot be asked about what is in it.
    Unknown,
}

/// The rows of one directory, read some at a time.
pub struct RowsInDir<'a> {
    index: &'a Index,
    dir: String,
    last: String,
    batch: std::vec::IntoIter<Row>,
}

impl RowsInDir<'_> {
    /// The next row.
    ///
    /// # Errors
    /// What SQLite says.
    #[expect(clippy::should_implement_trait, reason = "it can fail")]
    pub fn next(&mut self) -> Result<Option<Row>> {
        if self.batch.as_slice().is_empty() {
            let mut select = self.index.db.prepare_cached(schema::SELECT_IN_DIR)?;
            let rows = select.query_map(params![self.dir, self.last, ROWS_AT_ONCE], row::read)?;
            let rows = rows.collect::<std::result::Result<Vec<Row>, _>>()?;
            let last = Key {
                dir: self.dir.clone(),
                name: self.last.clone(),
            };
            check_order(&last, rows.iter().map(|row| &row.key))?;
            if let Some(last) = rows.last() {
                self.last.clone_from(&last.key.name);
            }
            self.batch = rows.into_iter();
        }
        Ok(self.batch.next())
    }
}

/// Bytes 18 and 19 say who may write and read the file: 1 for a rollback journal. With any other
/// value SQLite would open it read-only, or with a write-ahead log.
fn check_header(file: &Path) -> Result<()> {
    use std::io::Read;
    let mut start = Vec::new();
    let opened = fs_err::File::open(file);
    opened
        .and_then(|file| file.take(20).read_to_end(&mut start))
        .map_err(|error| Error::Failed(error.to_string()))?;
    match start.get(18..20) {
        Some([1, 1]) => Ok(()),
        _ => Err(Error::Damaged(
            "index: the file is cut short or is no index".to_owned(),
        )),
    }
}

/// Rows out of order mean a damaged file: in a merge they would look like rows nobody names.
fn check_order<'a>(before: &Key, keys: impl Iterator<Item = &'a Key>) -> Result<()> {
    let mut last = before;
    for key in keys {
        if key <= last {
            return Err(Error::Damaged(
                "index: its rows are out of order".to_owned(),
            ));
        }
        last = key;
    }
    Ok(())
}
