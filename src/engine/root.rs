//! Is the content dir the one we know? An unmounted stick or an empty mount point looks like a
//! person who deleted everything.
//!
//! A marker file with a random id says so. Where none can be written, device and inode do.

use crate::core::guard::ApprovalId;
use crate::core::own_names::MARKER;
use crate::core::path::RelPath;
use crate::error::{Error, Result, state_error};
use crate::index::{Index, Meta};
use crate::io::disk::{Disk, ReadDisk};
use crate::io::host::Host;

/// Compares the content dir with the one the base belongs to and marks a new one, if there is
/// something to write with.
///
/// # Errors
/// [`Error::Halt`] if it is another one and nobody approved it.
pub fn check(
    disk: &dyn ReadDisk,
    index: &Index,
    host: &dyn Host,
    approved: &[String],
    writer: Option<&dyn Disk>,
) -> Result<()> {
    let path = RelPath::parse(MARKER).map_err(|error| Error::Failed(error.to_string()))?;
    let wrap = |error| state_error("read the content dir's marker", &error);
    let marker = disk.read(&path).map_err(wrap)?;
    let marker = marker.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
    let root = disk
        .root()
        .map_err(|error| state_error("look at the content dir", &error))?;
    let identity = format!("{}:{}", root.device, root.stamp.inode);
    let known_marker = index.meta(Meta::RootMarker)?;
    let known_identity = index.meta(Meta::RootIdentity)?;
    let is_known = match (&known_marker, &known_identity) {
        (Some(known), _) => marker.as_ref() == Some(known),
        (None, Some(known)) => *known == identity,
        (None, None) => true,
    };
    let is_new = known_marker.is_none() && known_identity.is_none();
    if is_known && !is_new {
        return Ok(());
    }
    if !is_known && index.has_base()? {
        let mut id = ApprovalId::new("content dir");
        id.field(marker.as_deref().unwrap_or(&identity));
        let id = id.finish();
        if !approved.contains(&id) {
            return Err(Error::Halt(format!(
                "sync.content_dir is not the directory that was synced before (its marker \
                 {MARKER} is missing or another): is a disk not mounted? Nothing was changed. If \
                 this directory is meant, start over with it by: ferrybox sync --approve {id}"
            )));
        }
        log::info!("starting over with this content dir; nothing is deleted on either side");
    }
    let marker = match (marker, writer) {
        (Some(marker), _) if !marker.is_empty() => Some(marker),
        (_, None) => None,
        (_, Some(disk)) => write_marker(disk, &path, &host.random_hex(16)),
    };
    index.transaction(|| {
        if !is_known {
            index.clear()?;
        }
        index.clear_meta(Meta::RootMarker)?;
        index.clear_meta(Meta::RootIdentity)?;
        match &marker {
            Some(marker) => index.set_meta(Meta::RootMarker, marker),
            None => index.set_meta(Meta::RootIdentity, &identity),
        }
    })
}

/// The fresh marker; nothing where none can be written.
fn write_marker(disk: &dyn Disk, path: &RelPath, fresh: &str) -> Option<String> {
    match disk.write(path, format!("{fresh}\n").as_bytes()) {
        Ok(()) => Some(fresh.to_owned()),
        Err(error) => {
            log::debug!("no marker: {error}");
            // Nothing else would remove what could not be put in place.
            if let Ok(unfinished) = RelPath::parse(&format!("{MARKER}.new")) {
                let _ = disk.remove_file(&unfinished);
            }
            None
        }
    }
}
