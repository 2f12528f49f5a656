//! What a phase has written to the content dir, and when it is durable.

use std::collections::BTreeMap;
use std::io;

use crate::core::path::RelPath;
use crate::engine::context::Context;
use crate::error::{Result, state_error};
use crate::io::disk::Disk;

/// The filesystems that a phase has written to.
pub(crate) struct Durable<'a> {
    disk: &'a dyn Disk,
    /// One directory on each of them, by device.
    filesystems: BTreeMap<u64, RelPath>,
}

impl<'a> Durable<'a> {
    /// Nothing was written yet.
    pub(crate) fn new(disk: &'a dyn Disk) -> Durable<'a> {
        Durable {
            disk,
            filesystems: BTreeMap::new(),
        }
    }

    /// Something in this directory, which is on this device, was written and has to become durable.
    pub(crate) fn touch(&mut self, dir: &RelPath, device: u64) {
        // The root stays; any other directory may be gone by the time of the sync.
        let is_roots = || self.disk.root().is_ok_and(|root| root.device == device);
        self.filesystems
            .entry(device)
            .or_insert_with(|| match is_roots() {
                true => RelPath::root(),
                false => dir.clone(),
            });
    }

    /// Forces what was written to the medium, on every filesystem that was touched.
    ///
    /// # Errors
    /// What the disk says, or that it is another one by now.
    pub(crate) fn sync(&self, cx: &Context<'_>) -> Result<()> {
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

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}
