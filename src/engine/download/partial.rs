//! The beginning of a large file, kept from a run that broke off: what has arrived is read for its
//! hash, and the rest is asked for. Whether it was worth anything the content hash of the whole
//! file tells.

use std::io::{self, Read};

use crate::core::content_hash::ContentHasher;
use crate::core::path::{RelPath, fold};
use crate::engine::context::Context;
use crate::engine::stable_read::BUFFER_BYTES;
use crate::error::Result;
use crate::index::{Meta, RemoteFile};
use crate::io::disk::{Disk, ReadFile, WriteFile};
use crate::io::stat::Kind;

/// The beginning of a file larger than this is kept, in bytes.
const SMALL_MAX: u64 = 4 << 20;
/// Longest revision that makes a file name, in bytes; Dropbox's own have about 30.
const REV_BYTES_MAX: usize = 64;

/// A download under way: the file, and what it holds so far.
pub(super) struct PartialFile {
    pub(super) file: Box<dyn WriteFile>,
    pub(super) hasher: ContentHasher,
    pub(super) offset: u64,
}

impl PartialFile {
    /// With an empty file.
    pub(super) fn empty(file: Box<dyn WriteFile>) -> PartialFile {
        PartialFile {
            file,
            hasher: ContentHasher::new(),
            offset: 0,
        }
    }
}

/// Whether the beginning of this file is kept when its download breaks off.
pub(super) fn is_kept(remote: &RemoteFile) -> bool {
    let rev = remote.rev.as_str();
    let is_name = rev.len() <= REV_BYTES_MAX && rev.bytes().all(|b| b.is_ascii_alphanumeric());
    remote.size > SMALL_MAX && is_name && remote.hash.is_some()
}

/// The name under which the beginning of a revision waits in a directory for the rest.
///
/// # Errors
/// What the index says.
pub(super) fn partial_name(cx: &Context<'_>, dir: &RelPath, rev: &str) -> Result<String> {
    // Nobody else may read it.
    let secret = cx.env.index.meta(Meta::Id)?.unwrap_or_default();
    Ok(cx
        .env
        .instance
        .partial_name(&secret, &fold(dir.as_str()), rev))
}

/// How much has arrived, if anything has.
pub(super) fn bytes_here(disk: &dyn Disk, temp: &RelPath) -> u64 {
    match disk.status(temp) {
        Ok(Some(status)) if status.kind == Kind::File => status.stamp.size,
        _ => 0,
    }
}

/// Takes up what is there; nothing if there is nothing of use. It is opened once, and only what we
/// have left there ourselves is written to.
///
/// # Errors
/// What the disk says.
pub(super) fn take_up(
    disk: &dyn Disk,
    temp: &RelPath,
    size: u64,
) -> io::Result<Option<PartialFile>> {
    let Some(mut file) = disk.take_up(temp)? else {
        return Ok(None);
    };
    let there = ReadFile::status(&*file)?.stamp.size;
    if there == 0 || there > size {
        return Ok(None);
    }
    let mut hasher = ContentHasher::new();
    let mut offset = 0;
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut reader = file.by_ref().take(there);
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                hasher.update(&buffer[..count]);
                offset += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let is_same = ReadFile::status(&*file)?.stamp.size == offset;
    log::debug!("{temp}: {offset} bytes are here already");
    Ok(is_same.then_some(PartialFile {
        file,
        hasher,
        offset,
    }))
}
