//! The bytes of several small files, one after the other, as one call sends them.
//!
//! The call announces the length of every file. One that is not what was announced when its turn
//! comes is filled up with zeros, marked, and left out of the commit: the others are not held up.

use std::io::{self, Read};
use std::ops::Range;

use super::source::is_one_version;
use crate::core::content_hash::{ContentHash, ContentHasher};
use crate::core::path::RelPath;
use crate::dropbox::api::Upload;
use crate::engine::stable_read::BUFFER_BYTES;
use crate::io::disk::{ReadDisk, ReadFile};
use crate::io::stat::Stamp;
use crate::report::Live;

/// One of the files.
pub struct BatchFile {
    /// Where it is.
    pub path: RelPath,
    /// As it was when its length was announced.
    pub stamp: Stamp,
    /// What was read of it.
    pub state: State,
}

/// How far a file has come.
#[derive(Debug)]
pub enum State {
    /// Its turn has not come.
    Unread,
    /// All of it was read, as one version with this hash.
    Read(ContentHash),
    /// It is no longer what was announced, or cannot be read; zeros were sent.
    Moved,
}

/// The file at hand.
struct Open {
    file: Box<dyn ReadFile>,
    hasher: ContentHasher,
}

/// Several files as one stream.
pub struct ConcatReader<'a> {
    disk: &'a dyn ReadDisk,
    /// Who watches sees which one is under way.
    live: Option<&'a Live>,
    files: Vec<&'a mut BatchFile>,
    at: usize,
    open: Option<Open>,
    /// Bytes of the file at hand that were handed on.
    position: u64,
    buffer: Vec<u8>,
    ready: Range<usize>,
}

impl<'a> ConcatReader<'a> {
    /// The stream of these files.
    pub fn new(
        disk: &'a dyn ReadDisk,
        live: Option<&'a Live>,
        files: Vec<&'a mut BatchFile>,
    ) -> ConcatReader<'a> {
        ConcatReader {
            disk,
            live,
            files,
            at: 0,
            open: None,
            position: 0,
            buffer: Vec::new(),
            ready: 0..0,
        }
    }

    /// Looks at the empty files at the end, for which nobody has asked.
    pub fn end(&mut self) {
        if self.ready.is_empty() {
            self.fill();
        }
    }

    /// Makes the next bytes ready; none are left when the files are through.
    fn fill(&mut self) {
        self.ready = 0..0;
        while self.ready.is_empty() && self.at < self.files.len() {
            let size = self.files[self.at].stamp.size;
            let left = usize::try_from(size - self.position).unwrap_or(usize::MAX);
            self.buffer.resize(left.min(BUFFER_BYTES), 0);
            if matches!(self.files[self.at].state, State::Unread)
                && let Err(state) = self.read_on()
            {
                self.files[self.at].state = state;
                self.open = None;
            }
            if matches!(self.files[self.at].state, State::Moved) {
                self.buffer.fill(0);
            }
            self.position += self.buffer.len() as u64;
            self.ready = 0..self.buffer.len();
            if self.position == size {
                self.at += 1;
                self.position = 0;
                self.open = None;
            }
        }
    }

    /// Fills the buffer from the file at hand; looks at it when it is opened and after its
    /// last byte.
    fn read_on(&mut self) -> Result<(), State> {
        let batch_file = &mut self.files[self.at];
        let mut open = match self.open.take() {
            Some(open) => open,
            None => {
                if let Some(live) = self.live {
                    live.begin(batch_file.path.as_str());
                }
                let file = self.disk.open(&batch_file.path)?;
                if file.status()?.stamp != batch_file.stamp {
                    return Err(State::Moved);
                }
                let hasher = ContentHasher::new();
                Open { file, hasher }
            }
        };
        match open.file.read_exact(&mut self.buffer) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(State::Moved),
            Err(error) => return Err(error.into()),
        }
        open.hasher.update(&self.buffer);
        if self.position + self.buffer.len() as u64 == batch_file.stamp.size {
            let hash = open.hasher.clone().finish();
            if !is_one_version(
                self.disk,
                &batch_file.path,
                &*open.file,
                &batch_file.stamp,
                hash,
            )? {
                return Err(State::Moved);
            }
            batch_file.state = State::Read(hash);
        }
        self.open = Some(open);
        Ok(())
    }
}

impl From<io::Error> for State {
    fn from(error: io::Error) -> State {
        log::debug!("{error}");
        State::Moved
    }
}

impl Read for ConcatReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.ready.is_empty() {
            self.fill();
        }
        let count = out.len().min(self.ready.len());
        let from = self.ready.start;
        out[..count].copy_from_slice(&self.buffer[from..from + count]);
        self.ready.start += count;
        Ok(count)
    }
}

impl Upload for ConcatReader<'_> {
    fn len(&self) -> u64 {
        self.files
            .iter()
            .map(|batch_file| batch_file.stamp.size)
            .sum()
    }

    fn rewind(&mut self) -> io::Result<&mut dyn Read> {
        for batch_file in &mut self.files {
            batch_file.state = State::Unread;
        }
        self.at = 0;
        self.open = None;
        self.position = 0;
        self.ready = 0..0;
        Ok(self)
    }

    fn failure(&mut self) -> Option<io::Error> {
        None
    }
}
