//! A file in calls of its own: read whole where it is small, else sent as it is read.

use std::io::{self, Read};

use super::queue::{PendingUpload, chunk_bytes};
use super::sent::{Sent, UploadError, verified};
use super::source::{Bytes, Chunk, is_one_version};
use super::uploads::Uploads;
use crate::core::content_hash::ContentHash;
use crate::core::path::RelPath;
use crate::dropbox::retry::CallError;
use crate::dropbox::wire::{ApiError, CommitInfo, WriteMode};
use crate::engine::context::Context;
use crate::engine::item::{Item, Observed};
use crate::engine::stable_read;
use crate::error::Result;
use crate::io::disk::ReadFile;
use crate::io::stat::Stamp;
use crate::report::printable;
use crate::timestamp::timestamp_of;

/// Largest file held in memory, so that its hash is known before it is sent, in bytes.
const IN_MEMORY_MAX_BYTES: u64 = 64 << 10;
/// Tries for a file that moves while it is read, or arrives damaged.
const TRIES_MAX: u32 = 3;

/// Whether the session that a file was being sent in is of no use any more: Dropbox has forgotten
/// it, or has something else in it than what was sent.
fn is_session_lost(error: &ApiError) -> bool {
    ["not_found", "closed", "incorrect_offset"]
        .iter()
        .any(|tag| error.is(tag) || error.is(&format!("lookup_failed/{tag}")))
}

impl<'a> Uploads<'a> {
    /// Sends one file in calls of its own.
    pub(super) fn send_alone(&mut self, cx: &mut Context<'a>, file: PendingUpload) -> Result<()> {
        if cx.ends_step(&file.item) {
            return Ok(());
        }
        if self.has_no_room(cx, &file) {
            return Ok(());
        }
        let PendingUpload {
            item,
            observed,
            mode,
            more,
        } = file;
        if let Some(live) = cx.env.report.live() {
            live.begin(&item.display_path);
        }
        let mut answer = self.send(cx, &item, mode.clone(), &observed);
        if let Err(UploadError::Call(CallError::Refused(error))) = &answer
            && self
                .just_made
                .waited(&item.row.key, error, cx.env.deadline)?
        {
            answer = self.send(cx, &item, mode, &observed);
        }
        match answer {
            Ok((sent, read_at_ns)) => {
                cx.note_sending(&item, sent.stamp.size)?;
                self.uploaded(cx, item, sent, read_at_ns, &more)
            }
            Err(failed) => self.not_uploaded(cx, item, &observed, failed),
        }
    }

    fn send(
        &self,
        cx: &Context<'a>,
        item: &Item,
        mut mode: WriteMode,
        observed: &Observed,
    ) -> std::result::Result<(Sent, i128), UploadError> {
        let local = &item.path().map_err(io::Error::other)?;
        let remote = &cx.env.remote_root.at(&item.display_path);
        let mut failed = UploadError::KeepsChanging;
        let mut may_take_up = true;
        for _ in 0..TRIES_MAX {
            let file = cx.env.disk.open(local)?;
            let stamp = file.status()?.stamp;
            let read_at_ns = stable_read::begin(cx.env.host, cx.env.deadline, &stamp);
            let time = timestamp_of(stamp.mtime_ns);
            let commit = CommitInfo {
                path: remote,
                mode: mode.clone(),
                client_modified: &time,
                mute: true,
            };
            let known = observed.hash.filter(|_| stamp == observed.stamp);
            let answer = if stamp.size <= IN_MEMORY_MAX_BYTES {
                self.send_small(cx, local, file, stamp, &commit)
            } else if stamp.size <= chunk_bytes(cx, self.api) {
                self.send_single(cx, local, file, stamp, &commit, known)
            } else {
                let from = (local, file);
                self.send_session(cx, item, from, stamp, &commit, may_take_up)
            };
            match answer {
                Err(UploadError::KeepsChanging) => failed = UploadError::KeepsChanging,
                Err(UploadError::Call(CallError::Refused(error)))
                    if error.is("content_hash_mismatch") =>
                {
                    failed = UploadError::KeepsChanging;
                }
                // The next try begins a session anew, once where it is one from before.
                Err(UploadError::OldSession(error)) => {
                    may_take_up = false;
                    // The new one takes its place.
                    let _ = self.forget_session(cx, &item.row.key);
                    log::debug!("{}: {}", printable(&item.display_path), error.text());
                    failed = UploadError::Call(CallError::Refused(error));
                }
                Err(UploadError::Call(CallError::Refused(error))) if is_session_lost(&error) => {
                    // Where that fails, it is asked about once more.
                    let _ = self.forget_session(cx, &item.row.key);
                    log::debug!("{}: {}", printable(&item.display_path), error.text());
                    failed = UploadError::Call(CallError::Refused(error));
                }
                // Our own damaged upload is the version to replace now.
                Err(UploadError::Damaged(rev)) => {
                    mode = WriteMode::Update(rev.clone());
                    failed = UploadError::Damaged(rev);
                }
                Ok(sent) => return Ok((sent, read_at_ns)),
                Err(failed) => return Err(failed),
            }
        }
        Err(failed)
    }

    /// A file that fits in memory: read whole, hashed, then sent.
    fn send_small(
        &self,
        cx: &Context<'a>,
        local: &RelPath,
        mut file: Box<dyn ReadFile>,
        stamp: Stamp,
        commit: &CommitInfo<'_>,
    ) -> std::result::Result<Sent, UploadError> {
        let mut bytes = Vec::new();
        file.by_ref().take(stamp.size).read_to_end(&mut bytes)?;
        let hash = ContentHash::of(&bytes);
        let is_whole = bytes.len() as u64 == stamp.size;
        if !is_whole || !is_one_version(cx.env.disk, local, &*file, &stamp, hash)? {
            return Err(UploadError::KeepsChanging);
        }
        let mut source = Bytes::new(&bytes);
        let metadata = self.api.upload(commit, Some(hash), &mut source)?;
        verified(Sent {
            metadata,
            hash,
            stamp,
        })
    }

    fn send_single(
        &self,
        cx: &Context<'a>,
        local: &RelPath,
        file: Box<dyn ReadFile>,
        stamp: Stamp,
        commit: &CommitInfo<'_>,
        known: Option<ContentHash>,
    ) -> std::result::Result<Sent, UploadError> {
        let mut source = Chunk::new(cx.env.disk, local, file, stamp, stamp.size);
        let metadata = self.api.upload(commit, known, &mut source)?;
        let hash = source.hash();
        verified(Sent {
            metadata,
            hash,
            stamp,
        })
    }
}
