//! The bytes of an upload: read in pieces, hashed on the way, and given up when the file moves.

use std::io::{self, Read};
use std::ops::Range;

use crate::core::content_hash::{ContentHash, ContentHasher};
use crate::core::path::RelPath;
use crate::dropbox::api::Upload;
use crate::engine::stable_read::{self, BUFFER_BYTES};
use crate::io::disk::{ReadDisk, ReadFile};
use crate::io::stat::Stamp;

const MOVED: &str = "the file changed while it was read";

/// Whether reading gave up because the file moved.
pub fn is_moved(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|inner| inner.to_string() == MOVED)
}

/// Bytes in memory.
pub struct Bytes<'a> {
    bytes: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Bytes<'a> {
    /// All of `bytes`, as one call sends them.
    pub fn new(bytes: &'a [u8]) -> Bytes<'a> {
        Bytes { bytes, rest: &[] }
    }
}

impl Upload for Bytes<'_> {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn rewind(&mut self) -> io::Result<&mut dyn Read> {
        self.rest = self.bytes;
        Ok(&mut self.rest)
    }

    fn failure(&mut self) -> Option<io::Error> {
        None
    }
}

/// One chunk of a file at a time, hashed as it is read for the first time.
pub struct Chunk<'a> {
    disk: &'a dyn ReadDisk,
    path: &'a RelPath,
    file: Box<dyn ReadFile>,
    stamp: Stamp,
    /// Where the chunk begins.
    offset: u64,
    chunk_bytes: u64,
    /// Where the next read begins.
    position: u64,
    hasher: ContentHasher,
    hashed_to: u64,
    failure: Option<io::Error>,
    buffer: Vec<u8>,
    /// The part of `buffer` not handed on yet.
    ready: Range<usize>,
}

impl<'a> Chunk<'a> {
    /// The first chunk of a file that has been opened and looked at.
    pub fn new(
        disk: &'a dyn ReadDisk,
        path: &'a RelPath,
        file: Box<dyn ReadFile>,
        stamp: Stamp,
        chunk_bytes: u64,
    ) -> Chunk<'a> {
        Chunk {
            disk,
            path,
            file,
            stamp,
            offset: 0,
            chunk_bytes,
            position: 0,
            hasher: ContentHasher::new(),
            hashed_to: 0,
            failure: None,
            buffer: Vec::new(),
            ready: 0..0,
        }
    }

    /// The next chunk begins here.
    pub fn advance_to(&mut self, offset: u64) {
        self.offset = offset;
    }

    /// The file as it was when it was opened.
    pub fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    /// Bytes of one chunk.
    pub fn chunk_bytes(&self) -> u64 {
        self.chunk_bytes
    }

    /// The next chunk has so many.
    pub fn set_chunk_bytes(&mut self, bytes: u64) {
        self.chunk_bytes = bytes;
    }

    /// Reads the file from its start up to here without sending it, for its hash.
    ///
    /// # Errors
    /// What the disk says.
    pub fn hash_to(&mut self, offset: u64) -> io::Result<()> {
        self.offset = 0;
        let chunk_bytes = std::mem::replace(&mut self.chunk_bytes, offset);
        let read = self
            .rewind()
            .and_then(|reader| io::copy(reader, &mut io::sink()));
        self.chunk_bytes = chunk_bytes;
        read.map(drop)
    }

    /// Where the chunk at hand begins.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes that have been read, and so may have arrived.
    pub fn read_to(&self) -> u64 {
        self.hashed_to
    }

    /// The hash of everything read so far.
    pub fn hash(&self) -> ContentHash {
        self.hasher.clone().finish()
    }

    fn end(&self) -> u64 {
        self.offset
            .saturating_add(self.chunk_bytes)
            .min(self.stamp.size)
    }

    /// Reads the next block. Before the last block of the file is handed on, the file must still
    /// be the one that was opened.
    fn fill(&mut self) -> io::Result<()> {
        let left = self.end() - self.position;
        let want = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(BUFFER_BYTES);
        self.buffer.resize(want, 0);
        let mut filled = 0;
        while filled < want {
            match self.file.read(&mut self.buffer[filled..]) {
                Ok(0) => return Err(io::Error::other(MOVED)),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let end = self.position + filled as u64;
        if end > self.hashed_to {
            let fresh = usize::try_from(end - self.hashed_to)
                .unwrap_or(filled)
                .min(filled);
            self.hasher.update(&self.buffer[filled - fresh..filled]);
            self.hashed_to = end;
        }
        self.position = end;
        if end == self.stamp.size && !self.is_one_version()? {
            return Err(io::Error::other(MOVED));
        }
        self.ready = 0..filled;
        Ok(())
    }

    fn is_one_version(&self) -> io::Result<bool> {
        let hash = self.hash();
        is_one_version(self.disk, self.path, &*self.file, &self.stamp, hash)
    }
}

/// Whether what was read of a file, to the end it had at first, is one version of it: the file did
/// not move, or it only grew and its prefix still reads the same.
pub fn is_one_version(
    disk: &dyn ReadDisk,
    path: &RelPath,
    file: &dyn ReadFile,
    before: &Stamp,
    hash: ContentHash,
) -> io::Result<bool> {
    let now = file.status()?.stamp;
    if now == *before {
        return Ok(true);
    }
    if !stable_read::only_grew(before, &now) {
        return Ok(false);
    }
    let mut again = disk.open(path)?;
    let same_file = again.status()?.stamp.inode == before.inode;
    Ok(same_file
        && stable_read::hash_prefix(&mut *again, before.size, &mut || Ok(()))? == Some(hash))
}

impl Read for Chunk<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.ready.is_empty()
            && self.position < self.end()
            && let Err(error) = self.fill()
        {
            let kind = error.kind();
            let text = error.to_string();
            self.failure = Some(error);
            return Err(io::Error::new(kind, text));
        }
        let count = out.len().min(self.ready.len());
        let from = self.ready.start;
        out[..count].copy_from_slice(&self.buffer[from..from + count]);
        self.ready.start += count;
        Ok(count)
    }
}

impl Upload for Chunk<'_> {
    fn len(&self) -> u64 {
        self.end() - self.offset
    }

    fn rewind(&mut self) -> io::Result<&mut dyn Read> {
        self.file.seek(self.offset)?;
        self.position = self.offset;
        self.ready = 0..0;
        self.failure = None;
        Ok(self)
    }

    fn failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }
}
