//! Is the content dir the one we know? An unmounted stick or an empty mount point looks like a
//! person who deleted everything.
//!
//! A marker file with a random id says so. Where none can be written, what its filesystem says of
//! it does ([`TreeIdentity`]): that outlives a restart, which the number of a device does not.

use std::io;

use crate::core::guard::Approvals;
use crate::core::invocation::quoted;
use crate::core::own_names::MARKER;
use crate::core::path::RelPath;
use crate::engine::file_clock::FileClock;
use crate::error::{Error, Result, state_error};
use crate::index::{Index, Meta, Question, approval_id, note_answer};
use crate::io::disk::{Disk, ReadDisk, TreeIdentity};
use crate::io::host::Host;
use crate::io::stat::{Kind, Status};

/// The content dir as it is now, beside what is known of it.
pub struct FoundRoot {
    /// The path it is reached by, without links.
    path: String,
    marker: Option<String>,
    identity: TreeIdentity,
    is_known: bool,
    is_new: bool,
    /// It was known by another path, or by none.
    has_moved: bool,
    /// It was known by another path.
    is_elsewhere: bool,
    /// What is known of it is to be written anew.
    is_stale: bool,
}

impl FoundRoot {
    /// Whether it is not the directory that was synced before, as far as its path tells: a copy of
    /// that has the same marker.
    pub fn is_another(&self) -> bool {
        self.is_elsewhere || (self.has_moved && !self.is_known)
    }
}

/// Looks at the content dir at `path`, which is written without links. Where `is_root`, it counts
/// whose the marker is.
///
/// # Errors
/// What the disk or the index says.
pub fn look(disk: &dyn ReadDisk, index: &Index, path: String, is_root: bool) -> Result<FoundRoot> {
    let unusable = |error| unusable_marker(disk, &path, &error);
    let marker = disk.read(&marker_path()?).map_err(unusable)?;
    let marker = marker.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
    let marker = marker.filter(|_| !is_root || is_trusted(disk));
    let identity = disk
        .identity()
        .map_err(|error| state_error("look at the content dir", &error))?;
    let known_marker = index.meta(Meta::RootMarker)?;
    let known_identity = index.meta(Meta::RootIdentity)?;
    let is_known = match (&known_marker, &known_identity) {
        (Some(known), _) => marker.as_ref() == Some(known),
        (None, Some(known)) => identity.is_of(known),
        (None, None) => true,
    };
    let known_path = index.meta(Meta::ContentDir)?;
    let is_elsewhere = known_path.as_ref().is_some_and(|at| *at != path);
    let is_stale = known_marker.is_none() && known_identity != Some(identity.to_string());
    Ok(FoundRoot {
        path,
        marker,
        identity,
        is_known,
        is_new: known_marker.is_none() && known_identity.is_none(),
        has_moved: is_elsewhere || known_path.is_none(),
        is_elsewhere,
        is_stale,
    })
}

/// Whether the marker was put there by the one under whose ids the content dir is worked in, or by
/// root: anybody else who may write there can have brought a copy of it.
fn is_trusted(disk: &dyn ReadDisk) -> bool {
    let status = marker_path().map(|path| disk.status(&path));
    match status {
        Ok(Ok(Some(status))) => status.uid == disk.user() || status.uid == 0,
        _ => false,
    }
}

/// Compares the content dir with the one the base belongs to and marks a new one, if there is
/// something to write with. `again` says by which command the pass is repeated.
///
/// # Errors
/// [`Error::Halt`] if it is another one and nobody approved it.
pub fn check(
    found: FoundRoot,
    index: &Index,
    host: &dyn Host,
    approved: &Approvals,
    again: &dyn Fn(&str) -> String,
    writer: Option<&dyn Disk>,
) -> Result<()> {
    if found.is_known && !found.is_new {
        keep(&found, index)?;
        return match (&found.marker, writer) {
            (Some(marker), Some(disk)) => learn_lag(disk, index, host, marker),
            _ => Ok(()),
        };
    }
    let identity = found.identity.to_string();
    if !found.is_known && index.has_base()? {
        let mut id = approval_id(index, Question::ContentDir)?;
        id.field(found.marker.as_deref().unwrap_or(&identity));
        let id = id.finish();
        if !approved.contains(&id) {
            return Err(Error::Halt(format!(
                "sync.content_dir is not the directory that was synced before (its marker \
                 {MARKER} is missing or another): is a disk not mounted? Nothing was changed. If \
                 this directory is meant, start over with it by: {}",
                again(&format!("--approve {id}"))
            )));
        }
        log::info!("starting over with this content dir; nothing is deleted on either side");
    }
    let marker = match (found.marker, writer) {
        (Some(marker), _) if !marker.is_empty() => Some(marker),
        (_, None) => None,
        (_, Some(disk)) => write_marker(disk, &marker_path()?, &host.random_hex(16)),
    };
    index.transaction(|| {
        if !found.is_known {
            index.clear()?;
            note_answer(index, Question::ContentDir)?;
        }
        index.clear_meta(Meta::RootMarker)?;
        index.clear_meta(Meta::RootIdentity)?;
        index.set_meta(Meta::ContentDir, &found.path)?;
        match &marker {
            Some(marker) => index.set_meta(Meta::RootMarker, marker),
            None => index.set_meta(Meta::RootIdentity, &identity),
        }?;
        match writer {
            Some(disk) => note_lag(disk, index, host),
            None => Ok(()),
        }
    })
}

/// Learns once how far the clock of a content dir lags behind ours, if it tells no fractions of a
/// second: for that the marker of an older version is written anew.
fn learn_lag(disk: &dyn Disk, index: &Index, host: &dyn Host, marker: &str) -> Result<()> {
    if index.meta(Meta::ClockLag)?.is_some() {
        return Ok(());
    }
    let path = marker_path()?;
    let is_coarse = |status: Status| FileClock::is_coarse(&status.stamp);
    if !disk.status(&path).ok().flatten().is_some_and(is_coarse) {
        return Ok(());
    }
    if write_marker(disk, &path, marker).is_some() {
        index.transaction(|| note_lag(disk, index, host))?;
    }
    Ok(())
}

/// Keeps the lag that shows in a marker which was just written.
fn note_lag(disk: &dyn Disk, index: &Index, host: &dyn Host) -> Result<()> {
    let Ok(Some(status)) = disk.status(&marker_path()?) else {
        return Ok(());
    };
    if !FileClock::is_coarse(&status.stamp) {
        return Ok(());
    }
    let mut clock = FileClock::default();
    clock.note_written(status.device, &status.stamp, host.now_ns());
    index.set_meta(Meta::ClockLag, &clock.lag_s().to_string())
}

/// Writes down what is newly known of the directory that is synced.
fn keep(found: &FoundRoot, index: &Index) -> Result<()> {
    if !found.has_moved && !found.is_stale {
        return Ok(());
    }
    index.transaction(|| {
        index.set_meta(Meta::ContentDir, &found.path)?;
        match found.is_stale {
            true => index.set_meta(Meta::RootIdentity, &found.identity.to_string()),
            false => Ok(()),
        }
    })
}

/// What to do about a marker that cannot be read: anybody who may write to the content dir can have
/// put it there.
fn unusable_marker(disk: &dyn ReadDisk, dir: &str, error: &io::Error) -> Error {
    let status = marker_path().map(|path| disk.status(&path));
    let what = match status {
        Ok(Ok(Some(status))) => match status.kind {
            Kind::Folder => "a folder",
            Kind::Link => "a link",
            Kind::Special(_) => "a pipe, a socket or a device",
            Kind::File if error.kind() == io::ErrorKind::PermissionDenied => {
                "a file that may not be read"
            }
            Kind::File => return state_error("read the content dir's marker", error),
        },
        _ => return state_error("read the content dir's marker", error),
    };
    Error::Halt(format!(
        "{MARKER} in sync.content_dir is {what}, and not the file by which that directory is \
         known; nothing was changed. Remove it by: rm -r {}",
        quoted(&format!("{dir}/{MARKER}"))
    ))
}

fn marker_path() -> Result<RelPath> {
    RelPath::parse(MARKER).map_err(|error| Error::Failed(error.to_string()))
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
