//! Sending files up: small ones many at a time, larger ones in one call, large ones in a session.
//!
//! Files gather in the queue and leave it together: those that were only moved are copied
//! within Dropbox, the others are sent. Every write names what it may replace (`add`, or `update`
//! with a rev), autorename is off, and nothing is settled before Dropbox's content hash equals that
//! of the bytes sent. A file is only committed as one version of itself: in a single call the last
//! block is read, and the file looked at again, before that block is sent; in a session before the
//! finishing call.

mod batch;
mod concat;
pub mod folders;
mod moved;
mod session;
mod source;

use std::io::{self, Read};

use batch::PendingUpload;
pub(crate) use batch::UploadQueue;
use source::{Bytes, Chunk, is_moved, is_one_version};

use crate::core::content_hash::ContentHash;
use crate::core::decide::Direction;
use crate::core::path::{RelPath, fold, join};
use crate::core::remote::Rev;
use crate::dropbox::retry::CallError;
use crate::dropbox::wire::{CommitInfo, FileMetadata, Metadata, WriteMode};
use crate::engine::context::Pass;
use crate::engine::item::{Item, Local, Observed};
use crate::engine::remote_root::Location;
use crate::engine::stable_read;
use crate::error::Result;
use crate::index::DirPath;
use crate::io::disk::ReadFile;
use crate::io::stat::Stamp;
use crate::report::{Change, in_brackets};
use crate::timestamp::timestamp_of;

/// What is sent in one step, in bytes, where the pass has an end (`--max-time`): a step that was
/// begun is finished. A chunk is a multiple of 4 MiB (`files.stone`).
const STEP_BYTES: u64 = 4 << 20;
/// The same in files.
const STEP_FILES: usize = 100;

/// Largest file held in memory, so that its hash is known before it is sent, in bytes.
const IN_MEMORY_MAX_BYTES: u64 = 64 << 10;
/// Tries for a file that moves while it is read, or arrives damaged.
const TRIES_MAX: u32 = 3;

/// A committed upload.
struct Sent {
    metadata: FileMetadata,
    hash: ContentHash,
    stamp: Stamp,
}

/// Why an upload did not happen.
enum UploadError {
    Call(CallError),
    Disk(io::Error),
    /// The file moved during every try.
    KeepsChanging,
    /// It arrived, but damaged; the version in Dropbox has this rev.
    Damaged(Rev),
}

impl From<io::Error> for UploadError {
    fn from(error: io::Error) -> UploadError {
        if is_moved(&error) {
            UploadError::KeepsChanging
        } else {
            UploadError::Disk(error)
        }
    }
}

impl From<CallError> for UploadError {
    fn from(error: CallError) -> UploadError {
        match error {
            CallError::Local(error) => UploadError::from(error),
            error => UploadError::Call(error),
        }
    }
}

impl Pass<'_> {
    /// Uploads the local file of a item; `replaced` is a rev to name that is not the base's.
    pub(crate) fn upload(
        &mut self,
        item: Item,
        observed: &Observed,
        mode: WriteMode,
        replaced: Option<Rev>,
    ) -> Result<()> {
        if item.blocked_up && !self.dry() {
            self.blocked_upload(&item);
            return Ok(());
        }
        let size = observed.stamp.size;
        let mut more = in_brackets(size);
        if let Some(rev) = &replaced {
            more = format!("{more}, replacing rev {rev}, which stays in Dropbox's history");
        }
        if self.dry() {
            self.env
                .report
                .changed(Change::Upload, &item.display_path, &more);
            self.note_folders_above(&item.row.key, &item.display_path)?;
            if let Some(hash) = self.planned_hash(&item, observed) {
                self.note_arrival(Direction::Up, hash);
            }
            return Ok(());
        }
        self.enqueue(PendingUpload {
            item,
            observed: *observed,
            mode,
            more,
        })
    }

    /// Dropbox had no room for a file no larger than this one.
    fn has_no_room(&mut self, file: &PendingUpload) -> bool {
        let size = file.observed.stamp.size;
        let is_full = matches!(&self.quota_full, Some((full, _)) if size >= *full);
        if is_full {
            self.upload_left = true;
            let report = self.env.report;
            report.problem(&file.item.display_path, "not uploaded: the Dropbox is full");
        }
        is_full
    }

    /// Sends one file in calls of its own.
    fn send_alone(&mut self, file: PendingUpload) -> Result<()> {
        if self.has_no_room(&file) {
            return Ok(());
        }
        let PendingUpload {
            item,
            observed,
            mode,
            more,
        } = file;
        match self.send(&item, mode, &observed) {
            Ok((sent, read_at_ns)) => self.uploaded(item, sent, read_at_ns, &more),
            Err(failed) => self.not_uploaded(item, &observed, failed),
        }
    }

    /// Bytes sent in one call: of a session a multiple of 4 MiB, as Dropbox recommends.
    fn chunk_bytes(&self) -> u64 {
        match self.env.deadline.is_set() {
            true => STEP_BYTES,
            false => self.env.config.network.upload_chunk_mib << 20,
        }
    }

    /// The content a dry run would send, so that it tells renames from deletes as the pass does.
    fn planned_hash(&self, item: &Item, observed: &Observed) -> Option<ContentHash> {
        if observed.hash.is_some() || !self.had_base {
            return observed.hash;
        }
        let path = item.path().ok()?;
        stable_read::hash(self.env.disk, &path)
            .ok()
            .map(|(hash, _)| hash)
    }

    pub(crate) fn blocked_upload(&mut self, item: &Item) {
        self.needs_second_round = true;
        if self.is_second_round {
            self.env.report.problem(
                &item.display_path,
                "Dropbox has a file where this one's folder would have to be: rename one of them",
            );
        }
    }

    fn send(
        &self,
        item: &Item,
        mut mode: WriteMode,
        observed: &Observed,
    ) -> std::result::Result<(Sent, i128), UploadError> {
        let local = &item.path().map_err(io::Error::other)?;
        let remote = &self.env.remote_root.at(&item.display_path);
        let mut failed = UploadError::KeepsChanging;
        for _ in 0..TRIES_MAX {
            let read_at_ns = self.env.host.now_ns();
            let file = self.env.disk.open(local)?;
            let stamp = file.status()?.stamp;
            let time = timestamp_of(stamp.mtime_ns);
            let commit = CommitInfo {
                path: remote,
                mode: mode.clone(),
                client_modified: &time,
                mute: true,
            };
            let known = observed.hash.filter(|_| stamp == observed.stamp);
            let answer = if stamp.size <= IN_MEMORY_MAX_BYTES {
                self.send_small(local, file, stamp, &commit)
            } else if stamp.size <= self.chunk_bytes() {
                self.send_single(local, file, stamp, &commit, known)
            } else {
                self.send_session(&item.row.key, local, file, stamp, &commit)
            };
            match answer {
                Err(UploadError::KeepsChanging) => failed = UploadError::KeepsChanging,
                Err(UploadError::Call(CallError::Refused(error)))
                    if error.is("content_hash_mismatch") =>
                {
                    failed = UploadError::KeepsChanging;
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
        local: &RelPath,
        mut file: Box<dyn ReadFile>,
        stamp: Stamp,
        commit: &CommitInfo<'_>,
    ) -> std::result::Result<Sent, UploadError> {
        let mut bytes = Vec::new();
        file.by_ref().take(stamp.size).read_to_end(&mut bytes)?;
        let hash = ContentHash::of(&bytes);
        let is_whole = bytes.len() as u64 == stamp.size;
        if !is_whole || !is_one_version(self.env.disk, local, &*file, &stamp, hash)? {
            return Err(UploadError::KeepsChanging);
        }
        let mut source = Bytes::new(&bytes);
        let metadata = self.env.api.upload(commit, Some(hash), &mut source)?;
        verified(Sent {
            metadata,
            hash,
            stamp,
        })
    }

    fn send_single(
        &self,
        local: &RelPath,
        file: Box<dyn ReadFile>,
        stamp: Stamp,
        commit: &CommitInfo<'_>,
        known: Option<ContentHash>,
    ) -> std::result::Result<Sent, UploadError> {
        let mut source = Chunk::new(self.env.disk, local, file, stamp, stamp.size);
        let metadata = self.env.api.upload(commit, known, &mut source)?;
        let hash = source.hash();
        verified(Sent {
            metadata,
            hash,
            stamp,
        })
    }

    fn uploaded(&mut self, item: Item, sent: Sent, read_at_ns: i128, more: &str) -> Result<()> {
        self.committed += 1;
        self.server_errors = 0;
        let mut row = item.row.clone();
        if let Some(lower) = &sent.metadata.path_lower
            && !self.env.remote_root.is_stored_as(&mut row, lower)
        {
            self.env.report.problem(
                &item.display_path,
                &format!("Dropbox stored it under another name ({lower}): rename it"),
            );
            return Ok(());
        }
        self.env
            .report
            .changed(Change::Upload, &item.display_path, more);
        self.note_arrival(Direction::Up, sent.hash);
        self.note_folders_above(&row.key, &item.display_path)?;
        if sent.stamp.size > self.chunk_bytes() {
            self.forget_session(&row.key)?;
        }
        row.display_name.clone_from(&sent.metadata.name);
        let rev = sent.metadata.rev;
        let base = self.file_base(&item, rev, sent.hash, sent.stamp, read_at_ns);
        row.settle(base, &item.name);
        self.settle(row)
    }

    fn not_uploaded(&mut self, item: Item, observed: &Observed, failed: UploadError) -> Result<()> {
        let report = self.env.report;
        let display_path = &item.display_path;
        match failed {
            UploadError::Call(CallError::End(error)) => return Err(error),
            UploadError::Call(CallError::ServerError(text)) => {
                return self.note_server_error(display_path, &format!("not uploaded: {text}"));
            }
            UploadError::Call(CallError::Refused(error)) if error.has("insufficient_space") => {
                self.upload_left = true;
                let text = format!("the Dropbox is full ({})", error.text());
                report.problem(display_path, &format!("not uploaded: {text}"));
                self.quota_full = Some((observed.stamp.size, text));
            }
            UploadError::Call(CallError::Refused(error)) if error.is("path/conflict/file") => {
                return self.met_another(item, observed);
            }
            UploadError::Call(CallError::Refused(error)) if error.is("path/conflict") => {
                // What has its name may be gone by the second round of this pass.
                self.needs_second_round = true;
                if self.is_second_round {
                    report.problem(display_path, &format!("not uploaded: {}", error.text()));
                }
            }
            UploadError::Call(CallError::Refused(error)) => {
                report.problem(display_path, &format!("not uploaded: {}", error.text()));
            }
            UploadError::Call(CallError::Local(error)) | UploadError::Disk(error) => {
                if error.kind() == io::ErrorKind::NotFound {
                    report.deferred(display_path, "it was removed meanwhile");
                } else {
                    self.upload_left = true;
                    report.problem(display_path, &format!("not uploaded: {error}"));
                }
            }
            UploadError::KeepsChanging => {
                self.upload_left = true;
                report.problem(
                    display_path,
                    "not uploaded: the file changes all the time; it is tried again in the next \
                     run",
                );
            }
            UploadError::Damaged(_) => {
                self.upload_left = true;
                report.problem(
                    display_path,
                    "Dropbox received other bytes than were sent, three times; it is tried again \
                     in the next run",
                );
            }
        }
        Ok(())
    }

    /// No listing will ever tell of this file in Dropbox at this item's key. The filters are asked
    /// about the path Dropbox shows: a folder here may differ from it in case.
    fn is_out_of_sight(&self, item: &Item, file: &FileMetadata) -> Result<bool> {
        let file_entry = Metadata::File(file.clone());
        let Location::Entry(entry) = self.env.remote_root.locate(file_entry) else {
            return Ok(true);
        };
        let filter = &self.env.config.sync.filter;
        let dir = match self.env.index.dir_path(&entry.key.dir, filter)? {
            DirPath::Open(dir) => dir,
            DirPath::Pruned => return Ok(true),
            DirPath::Unknown => return Ok(false),
        };
        let reach = filter.allows(&format!("/{}", join(&dir, &file.name)));
        Ok(fold(&file.name) != item.row.key.name || !(reach.up || reach.down))
    }

    /// Dropbox has another version than the cursor told of. If it is our own, from an upload whose
    /// answer was lost, it is adopted; else the next pass decides.
    fn met_another(&mut self, item: Item, observed: &Observed) -> Result<()> {
        let path = self.env.remote_root.at(&item.display_path);
        let found = match self.env.api.metadata(&path) {
            Err(CallError::ServerError(text)) => {
                return self
                    .note_server_error(&item.display_path, &format!("not uploaded: {text}"));
            }
            found => found.map_err(|error| error.into_error("look at a file"))?,
        };
        let read_at_ns = self.env.host.now_ns();
        let ours = match (&item.local, item.path()) {
            (Local::File(_), Ok(local)) => stable_read::hash(self.env.disk, &local).ok(),
            _ => None,
        };
        if let Some(Metadata::File(file)) = &found
            && item.row.is_empty()
            && self.is_out_of_sight(&item, file)?
        {
            let text = format!(
                "Dropbox has {} here, which the filters leave out or which folds differently: \
                 rename or exclude one of them",
                file.name
            );
            self.env.report.problem(&item.display_path, &text);
            return Ok(());
        }
        if let (Some(Metadata::File(metadata)), Some((hash, stamp))) = (found, ours)
            && metadata.hash() == Some(hash)
            && metadata.size == stamp.size
        {
            let more = in_brackets(observed.stamp.size);
            let sent = Sent {
                metadata,
                hash,
                stamp,
            };
            return self.uploaded(item, sent, read_at_ns, &more);
        }
        if item.row.is_empty() {
            // It is new there, or the index has lost its row: only a listing tells.
            self.damaged.insert(item.row.key.clone());
        }
        self.env
            .report
            .deferred(&item.display_path, "it changed in Dropbox meanwhile");
        Ok(())
    }
}

/// What was committed is what was sent.
fn verified(sent: Sent) -> std::result::Result<Sent, UploadError> {
    match sent.metadata.hash() {
        Some(hash) if hash != sent.hash => Err(UploadError::Damaged(sent.metadata.rev)),
        None if sent.metadata.size != sent.stamp.size => {
            Err(UploadError::Damaged(sent.metadata.rev))
        }
        _ => Ok(sent),
    }
}
