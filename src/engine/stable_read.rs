//! Reading a local file so that what is read is one version of it.
//!
//! `fstat` before and after: a file that moved meanwhile is read again. A file that only grew, as
//! logs do, counts as the prefix of the size first seen, if a second reading finds that prefix
//! unchanged.

use std::io;

use crate::core::content_hash::{ContentHash, ContentHasher};
use crate::core::path::RelPath;
use crate::engine::file_clock::FileClock;
use crate::error::Error;
use crate::io::deadline::Deadline;
use crate::io::disk::{ReadDisk, ReadFile};
use crate::io::host::Host;
use crate::io::stat::Stamp;

/// Bytes read at a time.
pub const BUFFER_BYTES: usize = 64 * 1024;
/// Tries before a file counts as one that keeps changing.
const TRIES_MAX: u32 = 3;

/// Why a file could not be read as one version.
#[derive(Debug)]
pub enum Unread {
    /// It is no longer there, or no longer a file.
    Vanished,
    /// It changed during every try.
    KeepsChanging,
    /// The disk says no.
    Failed(io::Error),
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Unread {
        if error.kind() == io::ErrorKind::NotFound {
            Unread::Vanished
        } else {
            Unread::Failed(error)
        }
    }
}

/// When the content of a file with this stamp begins to be read, on our clock: not in the tick of
/// the clock in which it was changed, which is at most 20 ms.
pub fn begin(host: &dyn Host, deadline: &Deadline<'_>, stamp: &Stamp) -> i128 {
    let now_ns = host.now_ns();
    match FileClock::time_to_trust(stamp, now_ns) {
        Some(time) => {
            deadline.pause(time);
            host.now_ns()
        }
        None => now_ns,
    }
}

/// The hash of a file's content, with the stamp that content has.
///
/// # Errors
/// [`Unread`].
pub fn hash(
    disk: &dyn ReadDisk,
    path: &RelPath,
    deadline: &Deadline<'_>,
) -> Result<(ContentHash, Stamp), Unread> {
    for _ in 0..TRIES_MAX {
        let mut file = disk.open(path)?;
        let before = file.status()?.stamp;
        let mut read = 0;
        let mut goes_on = || {
            if let Some(live) = deadline.live() {
                live.hashed(path.as_str(), read, before.size);
            }
            read = (read + BUFFER_BYTES as u64).min(before.size);
            still_in_time(deadline)
        };
        let Some(hash) = hash_prefix(&mut *file, before.size, &mut goes_on)? else {
            continue;
        };
        let after = file.status()?.stamp;
        if after == before
            || (only_grew(&before, &after) && holds(&mut *file, &before, hash, &mut goes_on)?)
        {
            return Ok((hash, before));
        }
    }
    Err(Unread::KeepsChanging)
}

/// A sign of life; an error once the time of the pass is over: a file may be larger than any pass
/// is long.
fn still_in_time(deadline: &Deadline<'_>) -> io::Result<()> {
    let over = |error: Error| io::Error::new(io::ErrorKind::TimedOut, error.to_string());
    deadline.check().map_err(over)
}

/// The hash of the next `size` bytes; nothing if there are not that many. `goes_on` is asked
/// before each piece.
///
/// # Errors
/// What the disk says, or `goes_on`.
pub fn hash_prefix(
    file: &mut dyn ReadFile,
    size: u64,
    goes_on: &mut dyn FnMut() -> io::Result<()>,
) -> io::Result<Option<ContentHash>> {
    let mut hasher = ContentHasher::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut left = size;
    while left > 0 {
        goes_on()?;
        let want = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        match file.read(&mut buffer[..want]) {
            Ok(0) => return Ok(None),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                left -= count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(hasher.finish()))
}

/// Whether `now` can be the same file as `before` with bytes appended.
pub fn only_grew(before: &Stamp, now: &Stamp) -> bool {
    now.size > before.size && now.inode == before.inode
}

/// Whether a second reading of the file's first bytes finds the same content.
///
/// # Errors
/// What the disk says.
pub fn holds(
    file: &mut dyn ReadFile,
    before: &Stamp,
    hash: ContentHash,
    goes_on: &mut dyn FnMut() -> io::Result<()>,
) -> io::Result<bool> {
    file.seek(0)?;
    Ok(hash_prefix(file, before.size, goes_on)? == Some(hash))
}
