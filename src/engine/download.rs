//! Bringing files down: fetched by revision, or taken from the archive of a folder, to a hidden
//! temporary file beside the target, and verified by length and content hash. [`crate::engine::download::publish`]
//! puts them in place.

mod moved;
mod partial;
pub mod publish;
pub mod zip;

use std::io::{self, Read};

pub(crate) use moved::GoneRemotely;
use partial::{PartialFile, arrived, partial_name_of, take_up};

use crate::config::ConflictPolicy;
use crate::core::content_hash::ContentHash;
use crate::core::decide::{Action, Direction};
use crate::core::own_names::temp_name;
use crate::core::path::RelPath;
use crate::core::remote::Rev;
use crate::dropbox::api::Download;
use crate::dropbox::retry::CallError;
use crate::engine::context::Pass;
use crate::engine::download::publish::{Existing, StagedFile};
use crate::engine::item::{Item, Local, Observed};
use crate::engine::stable_read::BUFFER_BYTES;
use crate::error::Result;
use crate::index::RemoteFile;
use crate::io::disk::{Access, WriteFile};
use crate::io::stat::{Kind, Status};
use crate::io::systemd::read_only_advice;
use crate::report::{Change, in_brackets, size_text};
use crate::timestamp::seconds_of;

/// Bytes of a download between two lines of progress.
const PROGRESS_BYTES: u64 = 4 << 20;
/// Tries for one file whose bytes do not arrive as announced.
const TRIES_MAX: u32 = 3;
/// Free space a download leaves, in bytes, where that is more than [`RESERVE_SHARE`].
const RESERVE_BYTES: u64 = 64 << 20;
/// Free space a download leaves: one part in this many of the filesystem.
const RESERVE_SHARE: u64 = 50;

/// Why a download did not complete.
pub(crate) enum DownloadError {
    Call(CallError),
    /// The local side.
    Disk(io::Error),
    /// What arrived is not what was announced.
    Differs(String),
}

impl Pass<'_> {
    /// Fetches a file ([`Action::Download`] or [`Action::Conflict`]).
    pub(crate) fn download(
        &mut self,
        item: Item,
        observed: Observed,
        action: Action,
    ) -> Result<()> {
        let Some(remote) = item.row.remote_file() else {
            return Ok(());
        };
        if let Local::Folder { .. } = item.local {
            self.in_the_way(&item);
            return Ok(());
        }
        let replaces = match (item.local, action) {
            (Local::Gone, _) => Existing::Nothing,
            (_, Action::Conflict) if self.keeps_both() => Existing::Kept(observed),
            _ => Existing::File(observed),
        };
        if let (Existing::Kept(_), true) = (replaces, self.dry()) {
            self.report_conflict(&item, "");
        }
        let is_new = matches!(replaces, Existing::Nothing);
        if self.dry() {
            self.env.report.changed(
                Change::Download,
                &item.display_path,
                &in_brackets(remote.size),
            );
            if let Some(hash) = remote.hash
                && !(is_new && self.would_move_here(&remote)?)
            {
                self.note_arrival(Direction::Down, hash);
            }
            return Ok(());
        }
        if is_new && self.move_here(&item, &remote)? {
            return Ok(());
        }
        let Some(path) = self.local_path(&item) else {
            return Ok(());
        };
        // A revision is one content, but nobody keeps a Dropbox from saying otherwise.
        let part = partial_name_of(&remote, replaces.access())
            .filter(|part| !self.publish_queue.holds(&path.parent(), part));
        let random = || self.env.host.random_hex(8);
        let temp = part.clone().unwrap_or_else(|| temp_name(&random()));
        let Ok(temp) = path.parent().join(&temp) else {
            return Ok(());
        };
        if !self.ensure_dir(&item)? || !self.has_space(&item, &temp, remote.size) {
            return Ok(());
        }
        if let Some(candidates) = &mut self.candidates {
            candidates.has_pending = true;
            if is_new {
                self.note_candidate(&item.row, &remote, &temp);
            }
            return Ok(());
        }
        match self.fetch(&item, &remote, &temp, replaces) {
            Ok((rev, hash)) => {
                self.server_errors = 0;
                self.stage(StagedFile {
                    item,
                    temp,
                    rev,
                    hash,
                    replaces,
                })
            }
            Err(failed) => {
                // What broke off is taken up by the next run.
                if part.is_none() || !matches!(failed, DownloadError::Call(_)) {
                    self.discard(&temp);
                }
                self.not_fetched(&item, failed)
            }
        }
    }

    /// Where a item is locally; a name this filesystem cannot have is a problem.
    pub(crate) fn local_path(&self, item: &Item) -> Option<RelPath> {
        let report = self.env.report;
        item.path()
            .map_err(|e| report.problem(&item.display_path, &format!("{e}: it stays in Dropbox")))
            .ok()
    }

    fn keeps_both(&self) -> bool {
        self.env.config.sync.conflict == ConflictPolicy::KeepBoth
    }

    fn in_the_way(&mut self, item: &Item) {
        self.needs_second_round = true;
        if self.is_second_round || self.dry() {
            self.env.report.problem(
                &item.display_path,
                "Dropbox has a file of this name, here is a folder that is not empty; both are \
                 left alone: rename one",
            );
        }
    }

    /// The free-space reserve is the larger of 64 MiB and 2 %.
    fn has_space(&mut self, item: &Item, temp: &RelPath, size: u64) -> bool {
        let Ok(space) = self.env.disk.space(&item.dir) else {
            return true;
        };
        let size = size.saturating_sub(arrived(self.env.disk, temp));
        let reserve = RESERVE_BYTES.max(space.total / RESERVE_SHARE);
        if size.saturating_add(reserve) <= space.free {
            return true;
        }
        let text = format!(
            "the disk is full: {} needed beside a reserve of {}, {} free",
            size_text(size),
            size_text(reserve),
            size_text(space.free)
        );
        let report = self.env.report;
        report.problem(&item.display_path, &format!("not downloaded: {text}"));
        self.disk_full = Some(text);
        false
    }

    /// Makes the directories a download needs.
    pub(crate) fn ensure_dir(&mut self, item: &Item) -> Result<bool> {
        if let Ok(Some(status)) = self.env.disk.status(&item.dir)
            && status.kind == Kind::Folder
        {
            return Ok(true);
        }
        let mut dir = RelPath::root();
        for component in item.dir.components() {
            let Ok(next) = dir.join(component) else {
                return Ok(false);
            };
            match self.env.disk.make_dir(&next) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    self.not_fetched(item, DownloadError::Disk(error))?;
                    return Ok(false);
                }
            }
            dir = next;
        }
        Ok(true)
    }

    /// Streams the file into `temp`, continuing where a broken connection left off.
    fn fetch(
        &mut self,
        item: &Item,
        remote: &RemoteFile,
        temp: &RelPath,
        replaces: Existing,
    ) -> std::result::Result<(Rev, ContentHash), DownloadError> {
        let access = replaces.access();
        let mut why = String::new();
        for _ in 0..TRIES_MAX {
            let mut partial = self
                .open_temp(temp, remote, access)
                .map_err(DownloadError::Disk)?;
            let fetched = match self.take_archive_body(&item.row.key) {
                Some(body) => take(body, remote, &mut partial),
                None => self.fetch_once(item, remote, &mut partial),
            };
            match fetched {
                Ok((hash, modified)) => {
                    self.finish_file(item, &mut *partial.file, modified)
                        .map_err(DownloadError::Disk)?;
                    return Ok((remote.rev.clone(), hash));
                }
                Err(DownloadError::Differs(text)) => {
                    log::debug!("{}: {text}", item.display_path);
                    why = text;
                }
                Err(failed) => return Err(failed),
            }
            drop(partial);
            self.env
                .disk
                .remove_file(temp)
                .map_err(DownloadError::Disk)?;
        }
        Err(DownloadError::Differs(why))
    }

    /// The file a download goes to: what an earlier run has kept of it, or an empty one.
    fn open_temp(
        &self,
        temp: &RelPath,
        remote: &RemoteFile,
        access: Access,
    ) -> io::Result<PartialFile> {
        let disk = self.env.disk;
        if partial_name_of(remote, access).is_some() {
            match take_up(disk, temp, remote.size) {
                Ok(Some(partial)) => return Ok(partial),
                Ok(None) => {}
                Err(error) => log::debug!("{error}"),
            }
            self.discard(temp);
        }
        disk.create(temp, access).map(PartialFile::empty)
    }

    fn fetch_once(
        &self,
        item: &Item,
        remote: &RemoteFile,
        partial: &mut PartialFile,
    ) -> std::result::Result<(ContentHash, Option<i64>), DownloadError> {
        let mut stalls = 0;
        let mut modified = remote.modified;
        let mut announced = remote.hash;
        while partial.offset < remote.size || remote.size == 0 {
            let offset = partial.offset;
            let Download {
                metadata,
                resumed,
                mut body,
            } = self
                .env
                .api
                .download(&remote.rev, offset)
                .map_err(DownloadError::Call)?;
            if offset > 0 && !resumed {
                return Err(DownloadError::Differs(
                    "the download could not be continued".to_owned(),
                ));
            }
            if metadata.size != remote.size {
                return Err(DownloadError::Differs("its size is another one".to_owned()));
            }
            let (report, deadline) = (self.env.report, self.env.deadline);
            let mut progress = |done| {
                report.progress(&item.display_path, done, remote.size);
                deadline.check().is_ok()
            };
            let whole = copy(&mut *body, partial, remote.size, &mut progress)?;
            modified = seconds_of(&metadata.client_modified).or(modified);
            announced = announced.or_else(|| metadata.hash());
            if whole {
                break;
            }
            stalls = if partial.offset > offset {
                0
            } else {
                stalls + 1
            };
            if stalls >= TRIES_MAX {
                let text = format!("the connection broke at byte {offset} again and again");
                return Err(DownloadError::Call(CallError::ServerError(text)));
            }
        }
        let hash = partial.hasher.clone().finish();
        if announced.is_some_and(|expected| expected != hash) {
            return Err(DownloadError::Differs(
                "what arrived has another content hash".to_owned(),
            ));
        }
        Ok((hash, modified))
    }

    /// Owner, permissions and time of the finished file: those of what it replaces, else the
    /// defaults; as root it belongs to whom its directory belongs to.
    fn finish_file(
        &self,
        item: &Item,
        file: &mut dyn WriteFile,
        modified: Option<i64>,
    ) -> io::Result<()> {
        let is_root_user = self.env.host.is_root();
        let owner = |status: &Status| is_root_user.then_some((status.uid, status.gid));
        match item.local {
            Local::File(replaced) => file.set_owner(replaced.mode, owner(&replaced))?,
            Local::Gone | Local::Folder { .. } | Local::Unknown => {
                if is_root_user {
                    let mode = file.status()?.mode;
                    let parent = self.env.disk.status(&item.dir)?;
                    file.set_owner(mode, parent.as_ref().and_then(owner))?;
                }
            }
        }
        if let Some(seconds) = modified {
            file.set_mtime(seconds)?;
        }
        Ok(())
    }

    pub(crate) fn discard(&self, temp: &RelPath) {
        match self.env.disk.remove_file(temp) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => log::debug!("{error}"),
            _ => {}
        }
    }

    pub(crate) fn not_fetched(&mut self, item: &Item, failed: DownloadError) -> Result<()> {
        let report = self.env.report;
        match failed {
            DownloadError::Call(CallError::End(error)) => return Err(error),
            DownloadError::Call(CallError::ServerError(text)) => {
                return self
                    .note_server_error(&item.display_path, &format!("not downloaded: {text}"));
            }
            DownloadError::Call(CallError::Refused(error)) if error.has("not_found") => {
                report.deferred(&item.display_path, "it changed in Dropbox meanwhile");
            }
            DownloadError::Call(CallError::Refused(error)) => {
                report.problem(
                    &item.display_path,
                    &format!("not downloaded: {}", error.text()),
                );
            }
            DownloadError::Call(CallError::Local(error)) | DownloadError::Disk(error) => {
                self.not_stored(&item.display_path, &error);
            }
            DownloadError::Differs(text) => {
                report.problem(&item.display_path, &format!("not downloaded: {text}"));
            }
        }
        Ok(())
    }

    /// The disk would not take a file; a full disk has an exit code of its own.
    pub(crate) fn not_stored(&mut self, display_path: &str, error: &io::Error) {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        if matches!(error.kind(), StorageFull | QuotaExceeded) {
            self.disk_full = Some(error.to_string());
        }
        let advice = read_only_advice(error);
        let text = format!("not downloaded: {error}{advice}");
        self.env.report.problem(display_path, &text);
    }
}

/// Takes a file from the archive it is in; what is wrong with that is no reason to do without it.
fn take(
    mut body: Box<dyn Read>,
    remote: &RemoteFile,
    partial: &mut PartialFile,
) -> std::result::Result<(ContentHash, Option<i64>), DownloadError> {
    let whole = copy(&mut *body, partial, remote.size, &mut |_| true)?;
    let hash = partial.hasher.clone().finish();
    if whole && remote.hash == Some(hash) {
        Ok((hash, remote.modified))
    } else {
        Err(DownloadError::Differs(
            "the archive has other bytes".to_owned(),
        ))
    }
}

/// Copies the body behind what is there; false if it ended early, or `progress` says so.
fn copy(
    body: &mut dyn Read,
    partial: &mut PartialFile,
    size: u64,
    progress: &mut dyn FnMut(u64) -> bool,
) -> std::result::Result<bool, DownloadError> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut goes_on = true;
    while goes_on {
        let count = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                log::debug!("a download broke: {error}");
                break;
            }
        };
        let step = partial.offset / PROGRESS_BYTES;
        partial.offset += count as u64;
        if partial.offset / PROGRESS_BYTES > step {
            goes_on = progress(partial.offset);
        }
        if partial.offset > size {
            return Err(DownloadError::Differs(
                "more bytes arrived than were announced".to_owned(),
            ));
        }
        partial.hasher.update(&buffer[..count]);
        partial
            .file
            .write_all(&buffer[..count])
            .map_err(DownloadError::Disk)?;
    }
    Ok(partial.offset == size)
}
