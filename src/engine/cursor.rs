//! The cursor file: how far Dropbox has been listened to, and what that belongs to.
//!
//! `cursor.json` is replaced atomically, after the index holds everything the cursor stands for,
//! and only when entries arrived or a pass ended amid pages without any. It is used only if all it
//! names still holds and the index is at least as new; otherwise the remote is listed again.
//! Deleting it is always safe.

use serde::{Deserialize, Serialize};

use crate::core::path::RelPath;
use crate::core::remote::Cursor;
use crate::error::{Error, Result, state_error};
use crate::index::{Index, Meta, SyncIdentity};
use crate::io::disk::{Disk, ReadDisk};

const FILE: &str = "cursor.json";

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
}

/// Whether a file holds a cursor of ours.
pub fn holds_cursor(bytes: &[u8]) -> bool {
    serde_json::from_slice::<CursorRecord>(bytes).is_ok()
}

/// The cursor file in the state directory.
pub struct CursorFile<'a> {
    reader: Option<&'a dyn ReadDisk>,
    writer: Option<&'a dyn Disk>,
    path: RelPath,
}

impl<'a> CursorFile<'a> {
    /// The file in the state directory, if there is one. Nothing is ever stored without a `writer`.
    ///
    /// # Errors
    /// None in practice: the name is ours.
    pub fn new(
        reader: Option<&'a dyn ReadDisk>,
        writer: Option<&'a dyn Disk>,
    ) -> Result<CursorFile<'a>> {
        let path = RelPath::parse(FILE).map_err(|e| Error::Failed(e.to_string()))?;
        Ok(CursorFile {
            reader,
            writer,
            path,
        })
    }

    /// The cursor as it is, to ask Dropbox whether there is something new.
    pub fn peek(&self) -> Option<Cursor> {
        let bytes = self.reader?.read(&self.path).ok()??;
        let stored: CursorRecord = serde_json::from_slice(&bytes).ok()?;
        Some(stored.cursor)
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
        let belongs = stored.account_id == now.account_id
            && stored.app_key == now.app_key
            && stored.root_namespace == now.root_namespace
            && stored.remote_root == now.remote_root
            && stored.filters == now.filters
            && Some(stored.index_id) == index.meta(Meta::Id)?;
        if belongs && stored.index_counter > index.counter()? {
            log::info!("the index is older than {FILE}: listing Dropbox again");
            index.transaction(|| index.set_meta(Meta::Older, "1"))?;
            return Ok(None);
        }
        Ok(belongs.then_some(stored.cursor))
    }

    /// Stores a cursor the index has caught up with.
    ///
    /// # Errors
    /// What the disk or the index says.
    pub fn store(&self, cursor: &Cursor, index: &Index, now: &SyncIdentity) -> Result<()> {
        let Some(disk) = self.writer else {
            return Ok(());
        };
        let stored = CursorRecord {
            cursor: cursor.clone(),
            account_id: now.account_id.clone(),
            app_key: now.app_key.clone(),
            root_namespace: now.root_namespace.clone(),
            remote_root: now.remote_root.clone(),
            filters: now.filters.clone(),
            index_id: index.meta(Meta::Id)?.unwrap_or_default(),
            index_counter: index.counter()?,
        };
        let json = serde_json::to_vec(&stored).map_err(|e| Error::Failed(e.to_string()))?;
        disk.write(&self.path, &json)
            .map_err(|e| state_error("write the cursor", &e))
    }
}
