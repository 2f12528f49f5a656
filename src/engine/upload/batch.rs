//! Many small files in a handful of calls: `start_batch`, `append_batch` with the bytes of many
//! files, `finish_batch_v2`, which commits them all and answers for each.
//!
//! What does not arrive this way goes in a call of its own, which knows how to fail. Where Dropbox
//! refuses a batch for itself, the rest of the run does without.

use std::collections::HashSet;

use super::concat::{BatchFile, ConcatReader, State};
use super::{STEP_BYTES, STEP_FILES};
use super::{Sent, UploadError, verified};
use crate::core::content_hash::ContentHash;
use crate::core::path::Key;
use crate::core::remote::RemotePath;
use crate::dropbox::batch::{Append, ENTRIES_MAX, Finish, Outcome};
use crate::dropbox::retry::CallError;
use crate::dropbox::wire::{
    ApiError, CommitInfo, FileMetadata, SessionCursor, WriteMode, header_json,
};
use crate::engine::context::Pass;
use crate::engine::item::{Item, Observed};
use crate::error::Result;
use crate::io::stat::Kind;
use crate::timestamp::timestamp_of;

/// Bytes of one batch.
const BATCH_BYTES_MAX: u64 = 32 << 20;
/// Largest file of a batch, in bytes: above, the round trip saved hardly counts.
const BATCHED_FILE_MAX: u64 = 4 << 20;
/// Length of the argument of `append_batch`, in bytes: it travels in a header, and how long one
/// may be is not published.
const ARGUMENT_BYTES: usize = 7 << 10;
/// Below this `append_batch` is given up.
const ARGUMENT_BYTES_MIN: usize = 700;

/// A file on its way up.
pub(crate) struct PendingUpload {
    pub(super) item: Item,
    pub(super) observed: Observed,
    pub(super) mode: WriteMode,
    /// What is said behind its name.
    pub(super) more: String,
}

/// Files waiting to go up together.
pub(crate) struct UploadQueue {
    files: Vec<PendingUpload>,
    bytes: u64,
    method: BatchMethod,
    argument_bytes: usize,
    /// Dropbox could not answer for the batch at hand; single calls tell what is wrong.
    had_server_error: bool,
    /// Searches for moved files that found none.
    pub(super) found_nothing: u32,
    /// Old names of files that were copied: they need not be found again.
    pub(super) copied: HashSet<Key>,
}

/// The best way to send many files that Dropbox has not refused in this run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum BatchMethod {
    /// The bytes of many files in one call.
    Batches,
    /// A session per file, one call to commit them all.
    Sessions,
    /// A call per file.
    Alone,
}

impl Default for UploadQueue {
    fn default() -> UploadQueue {
        UploadQueue {
            files: Vec::new(),
            bytes: 0,
            method: BatchMethod::Batches,
            argument_bytes: ARGUMENT_BYTES,
            had_server_error: false,
            found_nothing: 0,
            copied: HashSet::new(),
        }
    }
}

/// A file of a batch.
struct BatchEntry {
    file: PendingUpload,
    piece: BatchFile,
    read_at_ns: i128,
    session: String,
    /// All its bytes are in the session.
    has_arrived: bool,
}

impl BatchEntry {
    fn finish<'a>(&'a self, path: &'a RemotePath, client_modified: &'a str) -> Finish<'a> {
        Finish {
            cursor: SessionCursor {
                session_id: &self.session,
                offset: self.piece.stamp.size,
            },
            commit: CommitInfo {
                path,
                mode: self.file.mode.clone(),
                client_modified,
                mute: true,
            },
        }
    }

    /// The content its session holds, if it can be committed.
    fn content(&self) -> Option<ContentHash> {
        match self.piece.state {
            State::Read(hash) if self.has_arrived => Some(hash),
            _ => None,
        }
    }
}

impl Pass<'_> {
    /// Puts a file into the queue, which is emptied when it is full.
    pub(super) fn enqueue(&mut self, file: PendingUpload) -> Result<()> {
        let size = file.observed.stamp.size;
        let upload_queue = &mut self.upload_queue;
        upload_queue.bytes += if size <= BATCHED_FILE_MAX { size } else { 0 };
        upload_queue.files.push(file);
        let (files_max, bytes_max) = match self.env.deadline.is_set() {
            true => (STEP_FILES, STEP_BYTES),
            false => (ENTRIES_MAX, BATCH_BYTES_MAX),
        };
        if upload_queue.files.len() >= files_max || upload_queue.bytes >= bytes_max {
            self.send_queue()
        } else {
            Ok(())
        }
    }

    /// Sends what waits in the queue.
    pub(crate) fn send_queue(&mut self) -> Result<()> {
        let mut files = std::mem::take(&mut self.upload_queue.files);
        files.retain(|file| !self.has_no_room(file));
        self.upload_queue.bytes = 0;
        self.upload_queue.had_server_error = false;
        let files = self.copy_moved(files)?;
        let is_small = |file: &PendingUpload| file.observed.stamp.size <= BATCHED_FILE_MAX;
        let (mut small, large): (Vec<_>, Vec<_>) = files.into_iter().partition(is_small);
        // What was moved while it was read, or lost with an answer, gets a second chance.
        for _ in 0..2 {
            let may_go_together = self.upload_queue.method != BatchMethod::Alone
                && !self.upload_queue.had_server_error;
            if small.len() > 1 && may_go_together {
                small = self.send_together(small)?;
            }
        }
        for file in small.into_iter().chain(large) {
            self.send_alone(file)?;
        }
        self.flush_settles()
    }

    /// Sends small files together; those that have to be sent otherwise come back.
    fn send_together(&mut self, files: Vec<PendingUpload>) -> Result<Vec<PendingUpload>> {
        // Without its last call none of it counts.
        let _held = self.env.deadline.hold()?;
        let mut left = Vec::new();
        let mut entries = Vec::with_capacity(files.len());
        for file in files {
            match self.prepare(&file) {
                Some((piece, read_at_ns)) => entries.push(BatchEntry {
                    file,
                    piece,
                    read_at_ns,
                    session: String::new(),
                    has_arrived: false,
                }),
                None => left.push(file),
            }
        }
        match self.fill_sessions(&mut entries) {
            Ok(()) => {}
            Err(CallError::Refused(error)) => self.send_alone_from_now_on(&error),
            Err(CallError::ServerError(text)) => {
                log::debug!("{text}");
                self.upload_queue.had_server_error = true;
            }
            Err(CallError::Local(error)) => log::debug!("{error}"),
            Err(CallError::End(error)) => return Err(error),
        }
        self.commit(entries, &mut left)?;
        Ok(left)
    }

    /// The file as it is right now, if it still is a small one.
    fn prepare(&self, file: &PendingUpload) -> Option<(BatchFile, i128)> {
        let read_at_ns = self.env.host.now_ns();
        let path = file.item.path().ok()?;
        let status = self.env.disk.status(&path).ok()??;
        let is_small = status.kind == Kind::File && status.stamp.size <= BATCHED_FILE_MAX;
        let piece = BatchFile {
            path,
            stamp: status.stamp,
            state: State::Unread,
        };
        is_small.then_some((piece, read_at_ns))
    }

    /// Brings the bytes into sessions, one for each file, and closes them.
    fn fill_sessions(&mut self, entries: &mut [BatchEntry]) -> std::result::Result<(), CallError> {
        if self.upload_queue.method == BatchMethod::Batches {
            match self.env.api.start_batch(entries.len()) {
                Ok(ids) => {
                    for (entry, id) in entries.iter_mut().zip(ids) {
                        entry.session = id;
                    }
                    self.append_all(entries)?;
                }
                Err(CallError::Refused(error)) => self.use_sessions(&error),
                Err(error) => return Err(error),
            }
        }
        if self.upload_queue.method == BatchMethod::Sessions {
            for entry in entries.iter_mut().filter(|entry| !entry.has_arrived) {
                self.fill_session(entry)?;
            }
        }
        Ok(())
    }

    fn send_alone_from_now_on(&mut self, error: &ApiError) {
        log::debug!("sessions are refused ({}): one call per file", error.text());
        self.upload_queue.method = BatchMethod::Alone;
    }

    fn use_sessions(&mut self, error: &ApiError) {
        log::debug!(
            "batches are refused ({}): one session per file",
            error.text()
        );
        self.upload_queue.method = BatchMethod::Sessions;
    }

    /// Appends the bytes of all entries, as many at a time as one argument has room for.
    fn append_all(&mut self, entries: &mut [BatchEntry]) -> std::result::Result<(), CallError> {
        let total: u64 = entries.iter().map(|entry| entry.piece.stamp.size).sum();
        let what = format!("{} files", entries.len());
        let mut from = 0;
        let mut done = 0;
        while from < entries.len() {
            let rest = &mut entries[from..];
            let (argument, count) = argument_of(rest, self.upload_queue.argument_bytes);
            let (now, _) = rest.split_at_mut(count);
            match self.append(&argument, now) {
                Ok(()) => {
                    from += count;
                    done += now.iter().map(|entry| entry.piece.stamp.size).sum::<u64>();
                    self.env.report.progress(&what, done, total);
                }
                Err(CallError::Refused(error)) if is_too_long(&error) && self.shorten() => {}
                Err(CallError::Refused(error)) => {
                    self.use_sessions(&error);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Halves the argument of `append_batch`, as far as that makes sense.
    fn shorten(&mut self) -> bool {
        self.upload_queue.argument_bytes /= 2;
        self.upload_queue.argument_bytes >= ARGUMENT_BYTES_MIN
    }

    fn append(
        &self,
        argument: &str,
        entries: &mut [BatchEntry],
    ) -> std::result::Result<(), CallError> {
        let count = entries.len();
        let files = entries.iter_mut().map(|entry| &mut entry.piece).collect();
        let mut bytes = ConcatReader::new(self.env.disk, files);
        let outcomes = self.env.api.append_batch(argument, count, &mut bytes)?;
        bytes.end();
        for (entry, outcome) in entries.iter_mut().zip(outcomes) {
            entry.has_arrived = match outcome {
                Ok(()) => true,
                // An earlier try whose answer was lost has brought them.
                Err(error) => {
                    error.is("closed")
                        || error.number("correct_offset") == Some(entry.piece.stamp.size)
                }
            };
        }
        Ok(())
    }

    /// Starts a session with all bytes of a file and closes it.
    fn fill_session(&self, entry: &mut BatchEntry) -> std::result::Result<(), CallError> {
        let mut bytes = ConcatReader::new(self.env.disk, vec![&mut entry.piece]);
        let started = self.env.api.session_start(true, &mut bytes)?;
        bytes.end();
        entry.session = started.session_id;
        entry.has_arrived = true;
        Ok(())
    }

    /// Commits what has arrived as one version of its file; the rest is left.
    fn commit(&mut self, entries: Vec<BatchEntry>, left: &mut Vec<PendingUpload>) -> Result<()> {
        let (ready, rest): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .partition(|entry| entry.content().is_some());
        left.extend(rest.into_iter().map(|entry| entry.file));
        if ready.is_empty() {
            return Ok(());
        }
        match self.finish_all(&ready) {
            Ok(outcomes) => {
                for (entry, outcome) in ready.into_iter().zip(outcomes) {
                    left.extend(self.committed(entry, outcome)?);
                }
            }
            Err(CallError::End(error)) => return Err(error),
            Err(error) => {
                match error {
                    CallError::Refused(error) => self.send_alone_from_now_on(&error),
                    _ => self.upload_queue.had_server_error = true,
                }
                left.extend(ready.into_iter().map(|entry| entry.file));
            }
        }
        Ok(())
    }

    fn finish_all(
        &self,
        entries: &[BatchEntry],
    ) -> std::result::Result<Vec<Outcome<FileMetadata>>, CallError> {
        let commit = |entry: &BatchEntry| {
            let path = self.env.remote_root.at(&entry.file.item.display_path);
            (path, timestamp_of(entry.piece.stamp.mtime_ns))
        };
        let names: Vec<(RemotePath, String)> = entries.iter().map(commit).collect();
        let entries: Vec<Finish<'_>> = entries
            .iter()
            .zip(&names)
            .map(|(entry, (path, time))| entry.finish(path, time))
            .collect();
        self.env.api.finish_batch(&entries)
    }

    /// What became of one file of a committed batch; it comes back if it has to go again.
    fn committed(
        &mut self,
        entry: BatchEntry,
        outcome: Outcome<FileMetadata>,
    ) -> Result<Option<PendingUpload>> {
        let Some(hash) = entry.content() else {
            return Ok(Some(entry.file));
        };
        let BatchEntry {
            mut file,
            piece,
            read_at_ns,
            ..
        } = entry;
        let sent = outcome.map(|metadata| Sent {
            metadata,
            hash,
            stamp: piece.stamp,
        });
        match sent.map(verified) {
            Ok(Ok(sent)) => self.uploaded(file.item, sent, read_at_ns, &file.more)?,
            // Our own damaged upload is the version to replace now.
            Ok(Err(UploadError::Damaged(rev))) => {
                file.mode = WriteMode::Update(rev);
                return Ok(Some(file));
            }
            Ok(Err(failed)) => self.not_uploaded(file.item, &file.observed, failed)?,
            Err(error) if error.is("path") => {
                let failed = UploadError::Call(CallError::Refused(error));
                self.not_uploaded(file.item, &file.observed, failed)?;
            }
            // The session is lost, or used up by a commit whose answer was lost.
            Err(error) => {
                log::debug!("{}: {}", file.item.display_path, error.text());
                return Ok(Some(file));
            }
        }
        Ok(None)
    }
}

/// The argument of `append_batch` for as many entries as it has room for, and how many that are.
fn argument_of(entries: &[BatchEntry], bytes_max: usize) -> (String, usize) {
    let mut argument = String::from("{\"entries\":[");
    let mut count = 0;
    for entry in entries {
        let entry = header_json(&Append {
            cursor: SessionCursor {
                session_id: &entry.session,
                offset: 0,
            },
            length: entry.piece.stamp.size,
            close: true,
        });
        if count > 0 && argument.len() + entry.len() + 3 > bytes_max {
            break;
        }
        if count > 0 {
            argument.push(',');
        }
        argument.push_str(&entry);
        count += 1;
    }
    argument.push_str("]}");
    (argument, count)
}

fn is_too_long(error: &ApiError) -> bool {
    ["http_400", "http_413", "http_431", "payload_too_large"]
        .iter()
        .any(|tag| error.is(tag))
}
