//! Large files: one sequential upload session, chunk by chunk, taken up again by a later run.
//!
//! Which session a file is being sent in is written down once, when it has begun; how far it has
//! come only Dropbox knows, and is asked. Sessions live for 7 days (`files.stone`).

use serde::{Deserialize, Serialize};

use super::queue::{FIRST_BYTES, chunk_bytes};
use super::sent::{Sent, UploadError, verified};
use super::source::{Bytes, Chunk};
use super::uploads::Uploads;
use crate::core::path::{Key, RelPath};
use crate::dropbox::retry::CallError;
use crate::dropbox::wire::{CommitInfo, Metadata, SessionCursor};
use crate::engine::context::Context;
use crate::engine::item::Item;
use crate::error::Result;
use crate::index::Meta;
use crate::io::disk::ReadFile;
use crate::io::stat::Stamp;
use crate::report::Live;

/// How often Dropbox may move the offset of one file's session, in one run.
const STEPS_BACK_MAX: u32 = 16;

/// The upload session that was under way when a run ended.
#[derive(Serialize, Deserialize)]
struct SavedSession {
    key: String,
    session_id: String,
    size: u64,
    mtime_ns: i64,
    ctime_ns: i64,
    inode: u64,
}

impl SavedSession {
    fn is_of(&self, key: &Key, stamp: &Stamp) -> bool {
        let Stamp {
            size,
            mtime_ns,
            ctime_ns,
            inode,
            rights: _,
        } = *stamp;
        self.key == key.path()
            && (self.size, self.mtime_ns) == (size, mtime_ns)
            && (self.ctime_ns, self.inode) == (ctime_ns, inode)
    }
}

impl<'a> Uploads<'a> {
    /// Sends a large file, in the session of an earlier run if that `may_take_up` one and Dropbox
    /// goes on with it.
    pub(super) fn send_session(
        &self,
        cx: &Context<'a>,
        item: &Item,
        (local, file): (&RelPath, Box<dyn ReadFile>),
        stamp: Stamp,
        commit: &CommitInfo<'_>,
        may_take_up: bool,
    ) -> std::result::Result<Sent, UploadError> {
        let chunk_bytes = chunk_bytes(cx, self.api);
        let mut source = Chunk::new(cx.env.disk, local, file, stamp, chunk_bytes);
        let old = match may_take_up {
            true => self.take_up(cx, item, &mut source)?,
            false => None,
        };
        let Some(old) = old else {
            let session = self.begin(cx, &item.row.key, &mut source)?;
            return self.fill(cx, item, &session, source, commit);
        };
        self.fill(cx, item, &old, source, commit)
            .map_err(|failed| match failed {
                // What is about the path would be said of another session as well.
                UploadError::Call(CallError::Refused(error)) if !error.is("path") => {
                    UploadError::OldSession(error)
                }
                failed => failed,
            })
    }

    /// Sends what is missing in a session. `incorrect_offset` tells how much of a call whose answer
    /// was lost has arrived.
    fn fill(
        &self,
        cx: &Context<'a>,
        item: &Item,
        session: &str,
        mut source: Chunk<'_>,
        commit: &CommitInfo<'_>,
    ) -> std::result::Result<Sent, UploadError> {
        let (stamp, chunk_bytes) = (*source.stamp(), source.chunk_bytes());
        // Only a session that was written down is of use to the next run.
        let is_saved = self.saved_session(cx);
        let is_saved = is_saved.is_some_and(|saved| saved.is_of(&item.row.key, &stamp));
        let live = cx.env.report.live().filter(|_| is_saved);
        let keeps = |bytes| {
            live.inspect(|live| live.keeps(&item.display_path, bytes, stamp.size));
        };
        keeps(source.offset());
        let mut steps_back = 0;
        loop {
            while stamp.size - source.offset() > chunk_bytes {
                let cursor = SessionCursor {
                    session_id: session,
                    offset: source.offset(),
                };
                match self.api.session_append(&cursor, &mut source) {
                    Ok(()) => source.advance_to(source.offset() + chunk_bytes),
                    Err(error) => go_on(&mut source, error, &mut steps_back)?,
                }
                keeps(source.offset());
            }
            // More than the last chunk may be missing there.
            if let Some(sent) = self.finish(session, &mut source, commit, &mut steps_back)? {
                live.into_iter().for_each(Live::keeps_nothing);
                return verified(sent);
            }
        }
    }

    /// Goes on with the session an earlier run has begun for this very file. The part that is in
    /// Dropbox already is read for its hash, not sent.
    fn take_up(
        &self,
        cx: &Context<'a>,
        item: &Item,
        source: &mut Chunk<'_>,
    ) -> std::result::Result<Option<String>, UploadError> {
        let key = &item.row.key;
        let Some(saved_session) = self
            .saved_session(cx)
            .filter(|saved_session| saved_session.is_of(key, source.stamp()))
        else {
            return Ok(None);
        };
        let cursor = SessionCursor {
            session_id: &saved_session.session_id,
            offset: 0,
        };
        let arrived = match self.api.session_append(&cursor, &mut Bytes::new(&[])) {
            Ok(()) => 0,
            Err(CallError::Refused(error)) => match error.number("correct_offset") {
                Some(arrived) if arrived <= source.stamp().size => arrived,
                // It is used up, too old, or of another account.
                _ => return Ok(None),
            },
            // Where nothing else is answered either, it is an outage, and the session waits.
            Err(CallError::ServerError(text)) if self.api.is_reachable() => {
                log::debug!("{text}: a session of its own");
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        source.hash_to(arrived)?;
        source.advance_to(arrived);
        if arrived > 0 {
            let report = cx.env.report;
            report.goes_on(&item.display_path, arrived, source.stamp().size);
            report.live().inspect(|live| live.spare_up(arrived));
        }
        Ok(Some(saved_session.session_id))
    }

    fn begin(
        &self,
        cx: &Context<'a>,
        key: &Key,
        source: &mut Chunk<'_>,
    ) -> std::result::Result<String, UploadError> {
        let opened_at_ns = cx.env.host.now_ns();
        let whole = source.chunk_bytes();
        if cx.env.deadline.is_set() {
            source.set_chunk_bytes(whole.min(FIRST_BYTES));
        }
        let session = self.api.session_start(false, source)?.session_id;
        source.advance_to(source.chunk_bytes());
        source.set_chunk_bytes(whole);
        let stamp = source.stamp();
        // A file written to just now may come to be another one under the same stamp.
        if cx.file_clock.is_racy(None, stamp, opened_at_ns) {
            // Nor is one from before of use any more.
            let _ = self.forget_session(cx, key);
            return Ok(session);
        }
        let saved_session = SavedSession {
            key: key.path(),
            session_id: session.clone(),
            size: stamp.size,
            mtime_ns: stamp.mtime_ns,
            ctime_ns: stamp.ctime_ns,
            inode: stamp.inode,
        };
        let index = cx.env.index;
        let text = serde_json::to_string(&saved_session).unwrap_or_default();
        // Without it the next run begins anew: no reason to end this one.
        if let Err(error) = index.transaction(|| index.set_meta(Meta::UploadSession, &text)) {
            log::debug!("{error}");
        }
        Ok(session)
    }

    /// Sends the last chunk and commits the file; nothing if the session is somewhere else.
    fn finish(
        &self,
        session: &str,
        source: &mut Chunk<'_>,
        commit: &CommitInfo<'_>,
        steps_back: &mut u32,
    ) -> std::result::Result<Option<Sent>, UploadError> {
        let api = self.api;
        let stamp = *source.stamp();
        let cursor = SessionCursor {
            session_id: session,
            offset: source.offset(),
        };
        match api.session_finish(&cursor, commit, source) {
            Ok(metadata) => Ok(Some(Sent {
                metadata,
                hash: source.hash(),
                stamp,
            })),
            Err(CallError::Refused(error)) if error.is("lookup_failed/incorrect_offset") => {
                go_on(source, CallError::Refused(error), steps_back)?;
                Ok(None)
            }
            // The finish whose answer was lost has used the session up.
            Err(CallError::Refused(error)) if error.is("lookup_failed") => {
                let found = api.metadata(commit.path)?;
                let hash = source.hash();
                match found {
                    Some(Metadata::File(metadata)) if metadata.hash() == Some(hash) => {
                        Ok(Some(Sent {
                            metadata,
                            hash,
                            stamp,
                        }))
                    }
                    _ => Err(UploadError::Call(CallError::Refused(error))),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    fn saved_session(&self, cx: &Context<'a>) -> Option<SavedSession> {
        let text = cx.env.index.meta(Meta::UploadSession).ok()??;
        serde_json::from_str(&text).ok()
    }

    /// Forgets the session of a file that has arrived, or of one that is another file by now.
    pub(super) fn forget_session(&self, cx: &Context<'a>, key: &Key) -> Result<()> {
        match self.saved_session(cx) {
            Some(saved_session) if saved_session.key == key.path() => {
                let index = cx.env.index;
                index.transaction(|| index.clear_meta(Meta::UploadSession))
            }
            _ => Ok(()),
        }
    }
}

/// Goes on where Dropbox says the session is; not for ever, if that changes its mind.
fn go_on(
    source: &mut Chunk<'_>,
    error: CallError,
    steps_back: &mut u32,
) -> std::result::Result<(), UploadError> {
    *steps_back += 1;
    match error {
        CallError::Refused(error)
            if error.has("incorrect_offset") && *steps_back <= STEPS_BACK_MAX =>
        {
            let correct = error.number("correct_offset");
            match correct.filter(|c| *c != source.offset() && *c <= source.stamp().size) {
                Some(correct) => {
                    // An earlier run has sent what this one has not read yet.
                    if correct > source.read_to() {
                        source.hash_to(correct)?;
                    }
                    source.advance_to(correct);
                    Ok(())
                }
                None => Err(UploadError::Call(CallError::Refused(error))),
            }
        }
        error => Err(error.into()),
    }
}
