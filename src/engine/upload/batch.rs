//! Many small files in a handful of calls: `start_batch`, `append_batch` with the bytes of many
//! files, `finish_batch_v2`, which commits them all and answers for each.
//!
//! What does not arrive this way goes in a call of its own, which knows how to fail. Where Dropbox
//! refuses a batch for itself, the rest of the run does without.

use super::concat::{BatchFile, ConcatReader, State};
use super::queue::{BatchMethod, PendingUpload, batched_max};
use super::sent::{Sent, UploadError, verified};
use super::uploads::Uploads;
use crate::core::content_hash::ContentHash;
use crate::core::remote::RemotePath;
use crate::dropbox::batch::{Append, Finish, Outcome};
use crate::dropbox::retry::CallError;
use crate::dropbox::wire::{
    ApiError, CommitInfo, FileMetadata, SessionCursor, WriteMode, header_json,
};
use crate::engine::context::Context;
use crate::engine::stable_read;
use crate::error::Result;
use crate::io::stat::Kind;
use crate::report::printable;
use crate::timestamp::timestamp_of;

/// Below this `append_batch` is given up.
const ARGUMENT_BYTES_MIN: usize = 700;

/// Commits in a row that are refused as a whole before all that is left goes alone: enough to find
/// one file among a thousand.
const REFUSED_MAX: u32 = 16;

/// A file of a batch.
struct BatchEntry {
    upload: PendingUpload,
    file: BatchFile,
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
                offset: self.file.stamp.size,
            },
            commit: CommitInfo {
                path,
                mode: self.upload.mode.clone(),
                client_modified,
                mute: true,
            },
        }
    }

    /// The content its session holds, if it can be committed.
    fn content(&self) -> Option<ContentHash> {
        match self.file.state {
            State::Read(hash) if self.has_arrived => Some(hash),
            _ => None,
        }
    }
}

impl<'a> Uploads<'a> {
    /// Sends small files together; those that have to be sent otherwise come back.
    pub(super) fn send_together(
        &mut self,
        cx: &mut Context<'a>,
        files: Vec<PendingUpload>,
    ) -> Result<Vec<PendingUpload>> {
        // Without its last call none of it counts.
        let _held = cx.env.deadline.hold()?;
        let mut left = Vec::new();
        let mut entries = Vec::with_capacity(files.len());
        for upload in files {
            match prepare(cx, &upload) {
                Some((file, read_at_ns)) => entries.push(BatchEntry {
                    upload,
                    file,
                    read_at_ns,
                    session: String::new(),
                    has_arrived: false,
                }),
                None => left.push(upload),
            }
        }
        match self.fill_sessions(cx, &mut entries) {
            Ok(()) => {}
            Err(CallError::Refused(error)) => self.send_alone_from_now_on(&error),
            Err(CallError::ServerError(text)) => {
                log::debug!("{text}");
                self.queue.had_server_error = true;
            }
            Err(CallError::Local(error)) => log::debug!("{error}"),
            Err(CallError::End(error)) => return Err(error),
        }
        self.commit(cx, entries, &mut left)?;
        Ok(left)
    }

    /// Brings the bytes into sessions, one for each file, and closes them.
    fn fill_sessions(
        &mut self,
        cx: &mut Context<'a>,
        entries: &mut [BatchEntry],
    ) -> std::result::Result<(), CallError> {
        if self.queue.method == BatchMethod::Batches {
            match self.api.start_batch(entries.len()) {
                Ok(ids) => {
                    for (entry, id) in entries.iter_mut().zip(ids) {
                        entry.session = id;
                    }
                    self.append_all(cx, entries)?;
                }
                Err(CallError::Refused(error)) => self.use_sessions(&error),
                Err(error) => return Err(error),
            }
        }
        if self.queue.method == BatchMethod::Sessions {
            for entry in entries.iter_mut().filter(|entry| !entry.has_arrived) {
                self.fill_session(cx, entry)?;
            }
        }
        Ok(())
    }

    fn send_alone_from_now_on(&mut self, error: &ApiError) {
        log::debug!("sessions are refused ({}): one call per file", error.text());
        self.queue.method = BatchMethod::Alone;
    }

    fn use_sessions(&mut self, error: &ApiError) {
        log::debug!(
            "batches are refused ({}): one session per file",
            error.text()
        );
        self.queue.method = BatchMethod::Sessions;
    }

    /// Appends the bytes of all entries, as many at a time as one argument has room for.
    fn append_all(
        &mut self,
        cx: &mut Context<'a>,
        entries: &mut [BatchEntry],
    ) -> std::result::Result<(), CallError> {
        let mut from = 0;
        while from < entries.len() {
            let rest = &mut entries[from..];
            let (argument, count) = argument_of(rest, self.queue.argument_bytes);
            let (now, _) = rest.split_at_mut(count);
            match self.append(cx, &argument, now) {
                Ok(()) => from += count,
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
        self.queue.argument_bytes /= 2;
        self.queue.argument_bytes >= ARGUMENT_BYTES_MIN
    }

    fn append(
        &self,
        cx: &Context<'a>,
        argument: &str,
        entries: &mut [BatchEntry],
    ) -> std::result::Result<(), CallError> {
        let count = entries.len();
        let files = entries.iter_mut().map(|entry| &mut entry.file).collect();
        let mut bytes = ConcatReader::new(cx.env.disk, cx.env.report.live(), files);
        let outcomes = self.api.append_batch(argument, count, &mut bytes)?;
        bytes.end();
        for (entry, outcome) in entries.iter_mut().zip(outcomes) {
            entry.has_arrived = match outcome {
                Ok(()) => true,
                // An earlier try whose answer was lost has brought them.
                Err(error) => {
                    error.is("closed")
                        || error.number("correct_offset") == Some(entry.file.stamp.size)
                }
            };
        }
        Ok(())
    }

    /// Starts a session with all bytes of a file and closes it.
    fn fill_session(
        &self,
        cx: &Context<'a>,
        entry: &mut BatchEntry,
    ) -> std::result::Result<(), CallError> {
        let live = cx.env.report.live();
        let mut bytes = ConcatReader::new(cx.env.disk, live, vec![&mut entry.file]);
        let started = self.api.session_start(true, &mut bytes)?;
        bytes.end();
        entry.session = started.session_id;
        entry.has_arrived = true;
        Ok(())
    }

    /// Commits what has arrived as one version of its file; the rest is left.
    fn commit(
        &mut self,
        cx: &mut Context<'a>,
        mut ready: Vec<BatchEntry>,
        left: &mut Vec<PendingUpload>,
    ) -> Result<()> {
        let rest = ready.extract_if(.., |entry| entry.content().is_none());
        left.extend(rest.map(|entry| entry.upload));
        if ready.is_empty() {
            return Ok(());
        }
        let mut refused = 0;
        let mut lists = vec![ready];
        while let Some(mut ready) = lists.pop() {
            let rest = ready.split_off(ready.len().min(self.queue.commit_max));
            if !rest.is_empty() {
                lists.push(rest);
            }
            let asked = ready.len();
            match self.finish_all(cx, &ready) {
                Ok(outcomes) => {
                    refused = 0;
                    for (entry, outcome) in ready.into_iter().zip(outcomes) {
                        left.extend(self.committed(cx, entry, outcome)?);
                    }
                }
                Err(CallError::End(error)) => return Err(error),
                // The sessions are as good for a smaller commit.
                Err(CallError::ServerError(text)) if self.queue.commits_less(asked) => {
                    log::debug!("{asked} files at a time: {text}");
                    ready.extend(lists.pop().unwrap_or_default());
                    lists.push(ready);
                }
                Err(CallError::Refused(error))
                    if refused < REFUSED_MAX && !error.is_unknown_function() =>
                {
                    refused += 1;
                    log::debug!("{asked} files at a time: {}", error.text());
                    let other = ready.split_off(asked / 2);
                    if ready.is_empty() {
                        self.refused_alone(cx, other, error, left)?;
                    } else {
                        lists.extend([other, ready]);
                    }
                }
                Err(error) => {
                    match error {
                        CallError::Refused(error) => self.send_alone_from_now_on(&error),
                        _ => self.queue.had_server_error = true,
                    }
                    let unsent = lists.into_iter().flatten().chain(ready);
                    left.extend(unsent.map(|entry| entry.upload));
                    break;
                }
            }
        }
        Ok(())
    }

    /// The file for which a commit is refused as a whole. If that is for its name, no other call
    /// would do better.
    fn refused_alone(
        &mut self,
        cx: &mut Context<'a>,
        one: Vec<BatchEntry>,
        error: ApiError,
        left: &mut Vec<PendingUpload>,
    ) -> Result<()> {
        for BatchEntry { upload, .. } in one {
            if !error.is_about_a_path() {
                left.push(upload);
                continue;
            }
            let failed = UploadError::Call(CallError::Refused(error.clone()));
            self.not_uploaded(cx, upload.item, &upload.observed, failed)?;
        }
        Ok(())
    }

    fn finish_all(
        &self,
        cx: &Context<'a>,
        entries: &[BatchEntry],
    ) -> std::result::Result<Vec<Outcome<FileMetadata>>, CallError> {
        let commit = |entry: &BatchEntry| {
            let path = cx.env.remote_root.at(&entry.upload.item.display_path);
            (path, timestamp_of(entry.file.stamp.mtime_ns))
        };
        let names: Vec<(RemotePath, String)> = entries.iter().map(commit).collect();
        let entries: Vec<Finish<'_>> = entries
            .iter()
            .zip(&names)
            .map(|(entry, (path, time))| entry.finish(path, time))
            .collect();
        self.api.finish_batch(&entries)
    }

    /// What became of one file of a committed batch; it comes back if it has to go again.
    fn committed(
        &mut self,
        cx: &mut Context<'a>,
        entry: BatchEntry,
        outcome: Outcome<FileMetadata>,
    ) -> Result<Option<PendingUpload>> {
        let Some(hash) = entry.content() else {
            return Ok(Some(entry.upload));
        };
        let BatchEntry {
            mut upload,
            file,
            read_at_ns,
            ..
        } = entry;
        let sent = outcome.map(|metadata| Sent {
            metadata,
            hash,
            stamp: file.stamp,
        });
        match sent.map(verified) {
            Ok(Ok(sent)) => {
                cx.note_sending(&upload.item, sent.stamp.size)?;
                self.uploaded(cx, upload.item, sent, read_at_ns, &upload.more)?;
            }
            // Our own damaged upload is the version to replace now.
            Ok(Err(UploadError::Damaged(rev))) => {
                upload.mode = WriteMode::Update(rev);
                return Ok(Some(upload));
            }
            Ok(Err(failed)) => self.not_uploaded(cx, upload.item, &upload.observed, failed)?,
            Err(error)
                if self
                    .just_made
                    .waited(&upload.item.row.key, &error, cx.env.deadline)? =>
            {
                return Ok(Some(upload));
            }
            Err(error) if error.is("path") => {
                let failed = UploadError::Call(CallError::Refused(error));
                self.not_uploaded(cx, upload.item, &upload.observed, failed)?;
            }
            // The session is lost, or used up by a commit whose answer was lost.
            Err(error) => {
                log::debug!("{}: {}", printable(&upload.item.display_path), error.text());
                return Ok(Some(upload));
            }
        }
        Ok(None)
    }
}

/// The file as it is right now, if it still is a small one.
fn prepare(cx: &Context<'_>, upload: &PendingUpload) -> Option<(BatchFile, i128)> {
    let path = upload.item.path().ok()?;
    let status = cx.env.disk.status(&path).ok()??;
    let read_at_ns = stable_read::begin(cx.env.host, cx.env.deadline, &status.stamp);
    let is_small = status.kind == Kind::File && status.stamp.size <= batched_max(None);
    let file = BatchFile {
        path,
        stamp: status.stamp,
        state: State::Unread,
    };
    is_small.then_some((file, read_at_ns))
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
            length: entry.file.stamp.size,
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
