//! The index: one row per key with the base, the local stamp and what Dropbox was seen to hold.
//!
//! A SQLite file in the state directory. It is a cache: losing it costs a listing and hashing. It
//! holds what was *seen* and what was *settled*, never what is intended.
//!
//! | table | what it holds |
//! |---|---|
//! | `entry` | one row per key; `rkind` 0 means that Dropbox holds what the base holds |
//! | `staged` | entries of an unfinished full listing, in order of arrival |
//! | `refusal` | what could not be done, and why; empty nearly always |
//! | `sending` | when files that have a pace, or might need one, were last sent; made when needed |
//! | `meta` | what all of this belongs to, and what is still due |
//!
//! Every row carries a checksum. A row that fails it counts as no base and as an unknown remote,
//! and makes the next pass list again: a flipped bit can only make us claim less. The named values
//! and the staged entries carry one, too; a listing of which anything is lost is thrown away. Rows
//! that are lost or misplaced show in the totals, and the index is made anew.
//!
//! Opening, reading and closing write nothing (rollback journal, no pragma that writes).

mod carry_over;
mod database;
mod folder_walk;
mod held_page;
mod listing;
mod merge;
mod meta;
mod pass_tables;
mod refusals;
mod row;
mod rows;
mod schema;
mod search;
mod sendings;
mod summary;
mod totals;
mod transaction;
mod trees;

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

pub use carry_over::carry_over;
pub use database::Index;
use database::RowTotals;
pub use folder_walk::{FolderWalk, PageMark, StagedFolders};
pub use held_page::{HELD_MAX, HeldPage};
pub use listing::RemoteEntry;
pub use meta::{Meta, Question, SyncIdentity, UNKEPT, approval_id, is_unkept, note_answer};
pub use pass_tables::{Arriving, ArrivingContent, HeldState, PassTables, RenamedFolder};
pub use refusals::{Reason, Refusal, Refusals};
pub use row::{Base, BaseFile, Remote, RemoteFile, Row};
pub use rows::{DirPath, HeldBy};
pub use search::{SubtreeTotals, due_totals, in_step_after, mounts};
pub use sendings::SentFiles;
pub use summary::RowSummary;
pub use transaction::keep_reading;
pub use trees::Trees;

use crate::config::exposure;
use crate::core::invocation::quoted;
use crate::error::{Error, Result, state_error};

impl Index {
    /// Opens the index in `file`; nothing if there is none. One of an older format may be read, and
    /// is [carried over](carry_over()) before anything else.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the file is no index of a known format.
    pub fn open(file: &Path) -> Result<Option<Index>> {
        if !is_ours_alone(file)? {
            return Ok(None);
        }
        // What is played back from it is in the index from then on.
        is_ours_alone(&journal_of(file))?;
        check_header(file)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let index = Index::over(Connection::open_with_flags(file, flags)?, file.parent());
        index.journal.set(Some(journal_of(file)));
        index.tune()?;
        index.check_format()?;
        Ok(Some(index))
    }

    /// Makes a new index in `file`, private from its first byte, and so is the journal beside it.
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
        let index = Index::over(Connection::open_with_flags(file, flags)?, file.parent());
        index.journal.set(Some(journal_of(file)));
        index.set_up(id)?;
        Ok(index)
    }

    /// Removes the index in `file`. A journal left beside it goes last: without its index it is
    /// played back into nothing.
    ///
    /// # Errors
    /// What the system says.
    pub fn remove_file(file: &Path) -> Result<()> {
        for file in [file, &journal_of(file)] {
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

    /// A new index for as long as it is open, for a dry run and for tests: in memory as far as the
    /// cache goes, and beyond that in a file without a name in `dir`, if that is there.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn temporary(id: &str, dir: Option<&Path>) -> Result<Index> {
        let index = Index::over(Connection::open("")?, dir);
        index.set_up(id)?;
        Ok(index)
    }

    /// A copy for as long as it is open: what a dry run works on. It is in memory as far as the
    /// cache goes, and beyond that in a file beside the index that has no name: memory is what a
    /// gateway has least of, and `/tmp` and the runtime directory are memory.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn working_copy(&self) -> Result<Index> {
        let mut copy = Index::over(Connection::open("")?, self.dir.as_deref());
        copy.tune()?;
        let backup = Backup::new(&self.db, &mut copy.db)?;
        let copied = backup.step(-1)?;
        drop(backup);
        match copied {
            StepResult::Done => Ok(copy),
            // A plan made from half of it would be of no use.
            _ => Err(Error::Failed(
                "index: another program has locked it".to_owned(),
            )),
        }
    }

    fn set_up(&self, id: &str) -> Result<()> {
        self.is_counted.set(true);
        self.db.execute_batch("PRAGMA page_size = 1024;")?;
        self.tune()?;
        self.transaction(|| {
            self.db.execute_batch(schema::CREATE)?;
            self.db.execute_batch(schema::CREATE_REFUSALS)?;
            self.set_meta(Meta::Format, schema::FORMAT)?;
            self.set_meta(Meta::Id, id)?;
            self.set_meta(Meta::ResetDue, "1")
        })
    }

    fn check_format(&self) -> Result<()> {
        match self.meta(Meta::Format) {
            // Without its id no cursor would ever count beside it.
            Ok(Some(format))
                if [schema::FORMAT, schema::FORMAT_5, schema::FORMAT_4].contains(&&*format) =>
            {
                match self.meta(Meta::Id)? {
                    Some(_) => Ok(()),
                    None => Err(Error::Damaged("index: its id is lost".to_owned())),
                }
            }
            Ok(found) => Err(Error::Damaged(format!(
                "index: format {} is not known here",
                found.unwrap_or_else(|| "(none)".to_owned())
            ))),
            Err(error) => Err(error),
        }
    }

    /// Drops the base and everything seen; what was due stays due, and no cursor counts before
    /// Dropbox has been listed again.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn clear(&self) -> Result<()> {
        self.db
            .execute_batch("DELETE FROM entry; DELETE FROM refusal")?;
        self.totals.set(Some(RowTotals::default()));
        self.unstage()?;
        self.clear_meta(Meta::HeldDown)?;
        self.clear_meta(Meta::HeldUp)?;
        self.clear_meta(Meta::Keeps)?;
        self.set_meta(Meta::RelistDue, "1")?;
        self.set_meta(Meta::ResetDue, "1")
    }
}

/// Where SQLite keeps what was before the transaction that is open.
fn journal_of(file: &Path) -> PathBuf {
    file.with_extension("db-journal")
}

/// Whether there is such a file; it is refused if others could have written it, or if it may be
/// another one by another name. A fifo would be waited for, and what a link points to is not ours.
fn is_ours_alone(file: &Path) -> Result<bool> {
    let metadata = match fs_err::symlink_metadata(file) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(Error::Failed(error.to_string())),
    };
    match exposure::of_own_file(&metadata) {
        None => Ok(true),
        Some(what) => Err(Error::Failed(format!(
            "{} {what}, so it is not used; remove it, the index is only a cache: rm -r {}",
            file.display(),
            quoted(&file.to_string_lossy())
        ))),
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
