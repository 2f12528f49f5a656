//! Upload sessions: bytes on their way to becoming a file.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::blob::{Blob, Payload};
use crate::commit::Content;
use crate::content_hash::{BLOCK, BlockHasher};
use crate::encoding::base64url;
use crate::errors::tag;

/// How long a session lives, in seconds.
const LIFE: i64 = 7 * 86_400;

/// The largest file a session can hold.
const FILE_MAX: u64 = (1 << 41) - (1 << 22);

/// Sequential or concurrent (`files.UploadSessionType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Sequential,
    Concurrent,
}

/// What is wrong with a session or with what is appended to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionError {
    NotFound,
    IncorrectOffset(u64),
    Closed,
    NotClosed,
    TooLarge,
    InvalidOffset,
    InvalidDataSize,
}

impl From<SessionError> for Value {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::NotFound => tag("not_found"),
            SessionError::IncorrectOffset(offset) => {
                json!({".tag": "incorrect_offset", "correct_offset": offset})
            }
            SessionError::Closed => tag("closed"),
            SessionError::NotClosed => tag("not_closed"),
            SessionError::TooLarge => tag("too_large"),
            SessionError::InvalidOffset => tag("concurrent_session_invalid_offset"),
            SessionError::InvalidDataSize => tag("concurrent_session_invalid_data_size"),
        }
    }
}

/// One session. Sequential ones hash what they get as it comes.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) order: Order,
    pub(crate) closed: bool,
    app: String,
    born: i64,
    /// What came in order; empty if it is not kept.
    bytes: Vec<u8>,
    size: u64,
    hasher: BlockHasher,
    keep: bool,
    pieces: BTreeMap<u64, Vec<u8>>,
}

impl Session {
    /// How much has been collected without a gap.
    pub(crate) fn offset(&self) -> u64 {
        let mut end = self.size;
        for (&start, piece) in &self.pieces {
            if start > end {
                break;
            }
            end = end.max(start + piece.len() as u64);
        }
        end
    }

    /// Whether a concurrent session has a hole.
    pub(crate) fn has_gap(&self) -> bool {
        let end = self
            .pieces
            .iter()
            .map(|(start, piece)| start + piece.len() as u64)
            .max();
        end.is_some_and(|end| end > self.offset())
    }

    /// What was collected.
    pub(crate) fn content(&self) -> Content {
        if self.order == Order::Sequential {
            let blob = if self.keep {
                Blob::Kept(Arc::new(self.bytes.clone()))
            } else {
                Blob::Forgotten(self.size)
            };
            let hash = self.hasher.finish();
            return Content { blob, hash };
        }
        let mut bytes = Vec::new();
        for (&start, piece) in &self.pieces {
            let start = usize::try_from(start).unwrap_or(usize::MAX);
            let overlap = bytes.len().saturating_sub(start).min(piece.len());
            bytes.extend_from_slice(&piece[overlap..]);
        }
        Content::new(bytes)
    }
}

/// All sessions of the account.
#[derive(Clone)]
pub(crate) struct Sessions {
    /// Whether contents are kept.
    pub(crate) keep: bool,
    open: HashMap<String, Session>,
    seed: u64,
    minted: u64,
}

impl Sessions {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            keep: true,
            open: HashMap::new(),
            seed,
            minted: 0,
        }
    }

    /// Starts a session and names it.
    pub(crate) fn start(&mut self, app: &str, order: Order, now: i64) -> String {
        self.minted += 1;
        let digest = Sha256::digest(format!("session {} {}", self.seed, self.minted));
        let id = format!("pid_upload_session:{}", base64url(&digest));
        let session = Session {
            order,
            closed: false,
            app: app.to_owned(),
            born: now,
            bytes: Vec::new(),
            size: 0,
            hasher: BlockHasher::default(),
            keep: self.keep,
            pieces: BTreeMap::new(),
        };
        self.open.insert(id.clone(), session);
        id
    }

    /// Puts contents into a session that was just started.
    pub(crate) fn fill(&mut self, id: &str, blob: Blob, hasher: BlockHasher) {
        if let Some(session) = self.open.get_mut(id) {
            session.size = blob.size();
            session.keep = matches!(blob, Blob::Kept(_));
            session.hasher = hasher;
            if let Blob::Kept(bytes) = blob {
                session.bytes = Arc::unwrap_or_clone(bytes);
            }
        }
    }

    /// The session of this app, unless it has expired.
    pub(crate) fn find(
        &mut self,
        id: &str,
        app: &str,
        now: i64,
    ) -> Result<&mut Session, SessionError> {
        let session = self.open.get_mut(id).filter(|session| session.app == app);
        session
            .filter(|session| now - session.born <= LIFE)
            .ok_or(SessionError::NotFound)
    }

    /// A committed session is over. The spec does not say what a second commit is told; here
    /// the session is `not_found`.
    pub(crate) fn end(&mut self, id: &str) {
        self.open.remove(id);
    }
}

impl Session {
    /// Adds bytes at an offset.
    pub(crate) fn append(
        &mut self,
        offset: u64,
        payload: Payload,
        close: bool,
    ) -> Result<(), SessionError> {
        let Payload { bytes, hasher } = payload;
        if self.closed {
            return Err(SessionError::Closed);
        }
        let correct = self.size;
        if self.order == Order::Sequential && offset != correct {
            return Err(SessionError::IncorrectOffset(correct));
        }
        if offset.saturating_add(bytes.len() as u64) > FILE_MAX {
            return Err(SessionError::TooLarge);
        }
        match self.order {
            Order::Sequential => {
                self.size += bytes.len() as u64;
                self.hasher.append(&bytes, hasher);
                if self.keep && self.bytes.is_empty() {
                    self.bytes = bytes;
                } else if self.keep {
                    self.bytes.extend_from_slice(&bytes);
                }
            }
            Order::Concurrent => {
                if !offset.is_multiple_of(BLOCK as u64) {
                    return Err(SessionError::InvalidOffset);
                }
                if !close && !bytes.len().is_multiple_of(BLOCK) {
                    return Err(SessionError::InvalidDataSize);
                }
                if !bytes.is_empty() {
                    self.pieces.insert(offset, bytes);
                }
            }
        }
        self.closed = close;
        Ok(())
    }
}
