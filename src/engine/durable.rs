//! What a phase has written to the content dir, and when it is durable.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::core::path::RelPath;
use crate::engine::context::Context;
use crate::error::{Result, state_error};
use crate::io::disk::{Disk, WriteFile};

/// Directories that are synced one by one. A filesystem that is synced writes all of its metadata
/// to its place, not only to its journal: for a file or two that is most of what a card sees.
const DIRS_MAX: usize = 2;

/// The filesystems that a phase has written to.
pub(crate) struct Durable<'a> {
    disk: &'a dyn Disk,
    /// One directory on each of them, by device.
    filesystems: BTreeMap<u64, RelPath>,
    /// What has changed since the last sync, beside the bytes of files.
    changed: Unsynced,
    /// Files that were written since then.
    files: usize,
}

/// What a sync has to force to the medium.
enum Unsynced {
    /// Names in these directories, each with its device.
    Names(BTreeSet<(u64, RelPath)>),
    /// More than that.
    Anything,
}

impl Default for Unsynced {
    fn default() -> Unsynced {
        Unsynced::Names(BTreeSet::new())
    }
}

impl<'a> Durable<'a> {
    /// Nothing was written yet.
    pub(crate) fn new(disk: &'a dyn Disk) -> Durable<'a> {
        Durable {
            disk,
            filesystems: BTreeMap::new(),
            changed: Unsynced::default(),
            files: 0,
        }
    }

    /// A file in this directory, which is on this device, was written.
    pub(crate) fn write_in(&mut self, dir: &RelPath, device: u64) {
        self.know(dir, device);
        self.files += 1;
    }

    /// A name in this directory, which is on this device, has come, changed or gone.
    pub(crate) fn rename_in(&mut self, dir: &RelPath, device: u64) {
        self.know(dir, device);
        if let Unsynced::Names(dirs) = &mut self.changed {
            dirs.insert((device, dir.clone()));
            if dirs.len() > DIRS_MAX {
                self.changed = Unsynced::Anything;
            }
        }
    }

    /// Something in this directory, which is on this device, was written and has to become durable.
    pub(crate) fn touch(&mut self, dir: &RelPath, device: u64) {
        self.know(dir, device);
        self.changed = Unsynced::Anything;
    }

    fn know(&mut self, dir: &RelPath, device: u64) {
        // The root stays; any other directory may be gone by the time of the sync.
        let is_roots = || self.disk.root().is_ok_and(|root| root.device == device);
        self.filesystems
            .entry(device)
            .or_insert_with(|| match is_roots() {
                true => RelPath::root(),
                false => dir.clone(),
            });
    }

    /// Forces the bytes of a file to the medium, if nothing else has changed since the last sync;
    /// says whether it was so.
    ///
    /// # Errors
    /// What the disk says.
    pub(crate) fn sync_alone(&mut self, file: &mut dyn WriteFile) -> Result<bool> {
        let is_alone =
            self.files == 1 && matches!(&self.changed, Unsynced::Names(dirs) if dirs.is_empty());
        if !is_alone {
            return Ok(false);
        }
        match file.sync() {
            Err(error) if cannot_be_synced(&error) => return Ok(false),
            synced => synced.map_err(|error| state_error("write to the content dir", &error))?,
        }
        self.files = 0;
        Ok(true)
    }

    /// Forces what has changed since the last sync to the medium.
    ///
    /// # Errors
    /// What the disk says, or that it is another one by now.
    pub(crate) fn sync(&mut self, cx: &Context<'_>) -> Result<()> {
        if !self.sync_names(cx)? {
            self.sync_filesystems(cx)?;
        }
        (self.changed, self.files) = (Unsynced::default(), 0);
        Ok(())
    }

    /// Says whether names are all that has changed, in directories that are still there.
    fn sync_names(&self, cx: &Context<'_>) -> Result<bool> {
        let Unsynced::Names(dirs) = &self.changed else {
            return Ok(false);
        };
        if self.files > 0 {
            return Ok(false);
        }
        for (device, dir) in dirs {
            match self.disk.sync_dir(dir) {
                Err(error) if is_gone(&error) || cannot_be_synced(&error) => return Ok(false),
                synced => synced
                    .and_then(|()| cx.check_device(dir, *device))
                    .map_err(|error| state_error("write to the content dir", &error))?,
            }
        }
        Ok(true)
    }

    fn sync_filesystems(&self, cx: &Context<'_>) -> Result<()> {
        for (device, dir) in &self.filesystems {
            let mut dir = dir.clone();
            loop {
                match self.disk.sync_filesystem(&dir) {
                    // Gone since; its parent is on the same filesystem.
                    Err(error) if is_gone(&error) && !dir.is_root() => dir = dir.parent(),
                    synced => {
                        synced
                            .and_then(|()| cx.check_device(&dir, *device))
                            .map_err(|error| state_error("write to the content dir", &error))?;
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Some filesystems sync as a whole only.
fn cannot_be_synced(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
    )
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}
