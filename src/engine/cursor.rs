//! The cursor file: how far Dropbox has been listened to, and what that belongs to.
//!
//! `cursor.json` is replaced atomically, after the index holds everything the cursor stands for,
//! and only when entries arrived or a pass ended amid pages without any. It is used only if all it
//! names still holds and the index is at least as new; otherwise the remote is listed again.
//! Deleting it is always safe.
//!
//! A new file, synced and renamed, costs an SD card ten blocks and more. So as long as few entries
//! came since it was written, the cursor behind them is kept in the runtime directory, which is
//! memory: after a restart they are told again, and change nothing.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::core::own_names::{is_short_lived_name, short_lived_name};
use crate::core::path::RelPath;
use crate::core::remote::Cursor;
use crate::dropbox::tokens::hash_hex;
use crate::error::{Error, Result, state_error};
use crate::index::{Index, Meta, SyncIdentity};
use crate::io::dirs::without_links;
use crate::io::disk::{Disk, ReadDisk};

const FILE: &str = "cursor.json";
/// What the name of the file in the runtime directory begins with.
const LATER_PREFIX: &str = "cursor-";

/// LIMIT: entries that are told again after a restart.
const TOLD_AGAIN_MAX: u64 = 1000;

#[derive(Serialize, Deserialize)]
struct CursorRecord {
    cursor: Cursor,
    account_id: String,
    app_key: String,
    root_namespace: String,
    remote_root: String,
    filters: String,
    index_id: String,
    index_counter: u64,
    /// [`Meta::HiddenTravels`] of the index: 0.1 did not write it.
    #[serde(default)]
    hidden_travels: bool,
}

impl CursorRecord {
    fn new(cursor: &Cursor, index: &Index, now: &SyncIdentity) -> Result<CursorRecord> {
        Ok(CursorRecord {
            cursor: cursor.clone(),
            account_id: now.account_id.clone(),
            app_key: now.app_key.clone(),
            root_namespace: now.root_namespace.clone(),
            remote_root: now.remote_root.clone(),
            filters: now.filters.clone(),
            index_id: index.meta(Meta::Id)?.unwrap_or_default(),
            index_counter: index.counter()?,
            hidden_travels: index.meta(Meta::HiddenTravels)?.is_some(),
        })
    }

    fn belongs_to(&self, index: &Index, now: &SyncIdentity) -> Result<bool> {
        Ok(self.account_id == now.account_id
            && self.app_key == now.app_key
            && self.root_namespace == now.root_namespace
            && self.remote_root == now.remote_root
            && self.filters == now.filters
            && Some(&self.index_id) == index.meta(Meta::Id)?.as_ref())
    }
}

/// A cursor behind the one in the state directory.
#[derive(Serialize, Deserialize)]
struct LaterCursor {
    record: CursorRecord,
    /// Hash of the cursor it is behind.
    after: String,
    /// How many entries were told in between.
    entries: u64,
}

/// Where [`LaterCursor`]s are.
struct LaterFile<'a> {
    disk: &'a dyn Disk,
    path: RelPath,
}

impl LaterFile<'_> {
    /// What is kept behind this cursor.
    fn read(&self, stored: &Cursor) -> Option<LaterCursor> {
        let bytes = self.disk.read(&self.path).ok()??;
        let later: LaterCursor = serde_json::from_slice(&bytes).ok()?;
        (later.after == hash_hex(stored.as_str())).then_some(later)
    }
}

/// Whether a state directory was begun when names that start with a dot did not travel unless the
/// configuration said so: also where its index is lost.
pub(crate) fn leaves_out_hidden(index: Option<&Index>, state: Option<&dyn Disk>) -> Result<bool> {
    if let Some(index) = index {
        return Ok(index.meta(Meta::HiddenTravels)?.is_none());
    }
    let path = own_path(FILE)?;
    let bytes = state.and_then(|disk| disk.read(&path).ok().flatten());
    let stored = bytes.and_then(|bytes| serde_json::from_slice::<CursorRecord>(&bytes).ok());
    Ok(stored.is_some_and(|stored| !stored.hidden_travels))
}

/// Whether a file of this name in a runtime directory holds a cursor of ours.
pub fn is_cursor_file(name: &str) -> bool {
    is_short_lived_name(LATER_PREFIX, name)
}

/// Whether a file holds a cursor of ours.
pub fn holds_cursor(bytes: &[u8]) -> bool {
    serde_json::from_slice::<CursorRecord>(bytes).is_ok()
        || serde_json::from_slice::<LaterCursor>(bytes).is_ok()
}

/// The cursor file in the state directory, and the one in memory.
pub struct CursorFile<'a> {
    reader: Option<&'a dyn ReadDisk>,
    writer: Option<&'a dyn Disk>,
    path: RelPath,
    later: Option<LaterFile<'a>>,
}

impl<'a> CursorFile<'a> {
    /// The file in the state directory, if there is one, and what is kept for it in the runtime
    /// directory, if the machine has one. Nothing is ever stored without a `writer`.
    ///
    /// # Errors
    /// None in practice: the names are ours.
    pub fn new(
        reader: Option<&'a dyn ReadDisk>,
        writer: Option<&'a dyn Disk>,
        runtime: Option<&'a dyn Disk>,
        state_dir: &Path,
    ) -> Result<CursorFile<'a>> {
        let id = hash_hex(&without_links(state_dir).to_string_lossy());
        let path = own_path(&short_lived_name(LATER_PREFIX, &id))?;
        Ok(CursorFile {
            reader,
            writer,
            path: own_path(FILE)?,
            later: runtime.map(|disk| LaterFile { disk, path }),
        })
    }

    /// Forgets what is kept in memory if the index is older than it, before anything is written to
    /// the index: it would seem to have caught up. And it forgets what lies in another runtime
    /// directory than that of the pass before, which may have done so.
    ///
    /// # Errors
    /// What the index says.
    pub fn forget_if_ahead_of(&self, index: &Index, runtime_dir: Option<&Path>) -> Result<()> {
        if self.writer.is_none() {
            return Ok(());
        }
        let now = runtime_dir.map_or_else(String::new, |dir| dir.to_string_lossy().into_owned());
        let is_same = index.meta(Meta::RuntimeDir)?.as_ref() == Some(&now);
        if !is_same {
            let is_older = self.is_ahead_of(index)?;
            index.transaction(|| {
                if is_older {
                    index.set_meta(Meta::Older, "1")?;
                }
                index.set_meta(Meta::RuntimeDir, &now)
            })?;
            // It would seem to have caught up by this very commit.
            if let (true, Some(state)) = (is_older, self.writer) {
                state
                    .remove_file(&self.path)
                    .map_err(|error| state_error("remove the cursor", &error))?;
            }
        }
        let Some(later) = &self.later else {
            return Ok(());
        };
        if !is_same {
            let _ = later.disk.remove_file(&later.path);
        }
        let Ok(Some(bytes)) = later.disk.read(&later.path) else {
            return Ok(());
        };
        let found: Option<LaterCursor> = serde_json::from_slice(&bytes).ok();
        let counter = index.counter()?;
        if found.is_none_or(|found| found.record.index_counter > counter) {
            let _ = later.disk.remove_file(&later.path);
        }
        Ok(())
    }

    /// Whether the stored cursor is of this index, as it was later.
    fn is_ahead_of(&self, index: &Index) -> Result<bool> {
        let bytes = self
            .reader
            .and_then(|disk| disk.read(&self.path).ok().flatten());
        let stored = bytes.and_then(|bytes| serde_json::from_slice::<CursorRecord>(&bytes).ok());
        let (id, counter) = (index.meta(Meta::Id)?, index.counter()?);
        Ok(stored.is_some_and(|stored| {
            Some(&stored.index_id) == id.as_ref() && stored.index_counter > counter
        }))
    }

    /// The cursor as it is, to ask Dropbox whether there is something new.
    pub fn peek(&self) -> Option<Cursor> {
        let bytes = self.reader?.read(&self.path).ok()??;
        let stored: CursorRecord = serde_json::from_slice(&bytes).ok()?;
        let later = self.later.as_ref();
        let later = later.and_then(|later| later.read(&stored.cursor));
        Some(later.map_or(stored.cursor, |later| later.record.cursor))
    }

    /// The cursor, if it may be used with this index for what `now` says.
    ///
    /// # Errors
    /// What the disk or the index says; a damaged file is no error but no cursor.
    pub fn load(&self, index: &Index, now: &SyncIdentity) -> Result<Option<Cursor>> {
        let Some(disk) = self.reader else {
            return Ok(None);
        };
        let bytes = disk
            .read(&self.path)
            .map_err(|e| state_error("read the cursor (remove it: it is only a cache)", &e))?;
        let Some(bytes) = bytes else { return Ok(None) };
        let Ok(stored) = serde_json::from_slice::<CursorRecord>(&bytes) else {
            log::info!("{FILE} is damaged: listing Dropbox again");
            return Ok(None);
        };
        let belongs = stored.belongs_to(index, now)?;
        if belongs && stored.index_counter > index.counter()? {
            log::info!("the index is older than {FILE}: listing Dropbox again");
            index.transaction(|| index.set_meta(Meta::Older, "1"))?;
            return Ok(None);
        }
        if !belongs {
            return Ok(None);
        }
        let later = self.later_than(&stored.cursor, index, now)?;
        Ok(Some(
            later.map_or(stored.cursor, |later| later.record.cursor),
        ))
    }

    /// The cursor behind the stored one, if it may be used.
    fn later_than(
        &self,
        stored: &Cursor,
        index: &Index,
        now: &SyncIdentity,
    ) -> Result<Option<LaterCursor>> {
        let Some(later) = self.later.as_ref().and_then(|later| later.read(stored)) else {
            return Ok(None);
        };
        let record = &later.record;
        let counts = record.belongs_to(index, now)? && record.index_counter <= index.counter()?;
        Ok(counts.then_some(later))
    }

    /// Stores a cursor the index has caught up with, for good.
    ///
    /// # Errors
    /// What the disk or the index says.
    pub fn store(&self, cursor: &Cursor, index: &Index, now: &SyncIdentity) -> Result<()> {
        let Some(disk) = self.writer else {
            return Ok(());
        };
        let json = json(&CursorRecord::new(cursor, index, now)?)?;
        disk.write(&self.path, &json)
            .map_err(|e| state_error("write the cursor", &e))
    }

    /// Stores a cursor the index has caught up with, behind `entries` more than the one before it:
    /// in memory while these are few.
    ///
    /// # Errors
    /// What the disk or the index says.
    pub fn advance(
        &self,
        cursor: &Cursor,
        entries: u64,
        index: &Index,
        now: &SyncIdentity,
    ) -> Result<()> {
        match self.advance_in_memory(cursor, entries, index, now)? {
            true => Ok(()),
            false => self.store(cursor, index, now),
        }
    }

    fn advance_in_memory(
        &self,
        cursor: &Cursor,
        entries: u64,
        index: &Index,
        now: &SyncIdentity,
    ) -> Result<bool> {
        let (Some(file), Some(state)) = (&self.later, self.writer) else {
            return Ok(false);
        };
        let Ok(Some(bytes)) = state.read(&self.path) else {
            return Ok(false);
        };
        let Ok(stored) = serde_json::from_slice::<CursorRecord>(&bytes) else {
            return Ok(false);
        };
        if !stored.belongs_to(index, now)? {
            return Ok(false);
        }
        let before = self.later_than(&stored.cursor, index, now)?;
        let later = LaterCursor {
            record: CursorRecord::new(cursor, index, now)?,
            after: hash_hex(stored.cursor.as_str()),
            entries: before.map_or(0, |before| before.entries) + entries,
        };
        // Where it cannot be written, the card takes it.
        Ok(later.entries <= TOLD_AGAIN_MAX && file.disk.write(&file.path, &json(&later)?).is_ok())
    }
}

fn own_path(name: &str) -> Result<RelPath> {
    RelPath::parse(name).map_err(|e| Error::Failed(e.to_string()))
}

fn json(record: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(record).map_err(|e| Error::Failed(e.to_string()))
}
