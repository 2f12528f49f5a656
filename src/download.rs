//! Bringing files down: fetched by revision to a hidden temporary file beside the target, and
//! verified by length and content hash. [`crate::landing`] puts them in place.

use std::io::{self, Read};

use crate::config::ConflictPolicy;
use crate::core::content_hash::{ContentHash, ContentHasher};
use crate::core::decide::Action;
use crate::core::path::RelPath;
use crate::dropbox::api::Download;
use crate::dropbox::retry::CallError;
use crate::error::Result;
use crate::index::RemoteFile;
use crate::io::disk::{Access, Kind, Status, WriteFile};
use crate::landing::{Fetched, Replaces};
use crate::pass::{Local, Observed, Pass, Spot};
use crate::read::BUFFER_BYTES;
use crate::report::{Deed, in_brackets, size_text};
use crate::scan::{TEMP_PREFIX, TEMP_SUFFIX};
use crate::time::seconds_of;

/// Bytes of a download between two lines of progress.
const PROGRESS_BYTES: u64 = 4 << 20;
/// Tries for one file whose bytes do not arrive as announced.
const TRIES_MAX: u32 = 3;
/// Free space a download leaves, in bytes, where that is more than [`RESERVE_SHARE`].
const RESERVE_BYTES: u64 = 64 << 20;
/// Free space a download leaves: one part in this many of the filesystem.
const RESERVE_SHARE: u64 = 50;

/// Why a download did not complete.
pub(crate) enum Failed {
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
        spot: Spot,
        observed: Observed,
        action: Action,
    ) -> Result<()> {
        let Some(remote) = spot.row.remote_file() else {
            return Ok(());
        };
        if let Local::Folder { .. } = spot.local {
            self.in_the_way(&spot);
            return Ok(());
        }
        let replaces = match (spot.local, action) {
            (Local::Gone, _) => Replaces::Nothing,
            (_, Action::Conflict) if self.keeps_both() => Replaces::Kept(observed),
            _ => Replaces::File(observed),
        };
        if let (Replaces::Kept(_), true) = (replaces, self.dry()) {
            self.report_conflict(&spot, "");
        }
        if self.dry() {
            self.tools
                .report
                .did(Deed::Download, &spot.subject, &in_brackets(remote.size));
            self.note_arrival(&remote);
            return Ok(());
        }
        let Some(path) = self.local_path(&spot) else {
            return Ok(());
        };
        if !self.ensure_dir(&spot)? || !self.has_space(&spot, remote.size) {
            return Ok(());
        }
        let temp = format!(
            "{TEMP_PREFIX}{}{TEMP_SUFFIX}",
            self.tools.host.random_hex(8)
        );
        let Ok(temp) = path.parent().join(&temp) else {
            return Ok(());
        };
        match self.fetch(&spot, &remote, &temp, replaces) {
            Ok((rev, hash)) => {
                self.stumbles = 0;
                self.take_fetched(Fetched {
                    spot,
                    temp,
                    rev,
                    hash,
                    replaces,
                })
            }
            Err(failed) => {
                self.discard(&temp);
                self.not_fetched(&spot, failed)
            }
        }
    }

    /// Where a spot is locally; a name this filesystem cannot have is a problem.
    pub(crate) fn local_path(&self, spot: &Spot) -> Option<RelPath> {
        let report = self.tools.report;
        spot.path()
            .map_err(|e| report.problem(&spot.subject, &format!("{e}: it stays in Dropbox")))
            .ok()
    }

    fn keeps_both(&self) -> bool {
        self.tools.config.sync.conflict == ConflictPolicy::KeepBoth
    }

    fn in_the_way(&mut self, spot: &Spot) {
        self.waiting = true;
        if self.last_round || self.dry() {
            self.tools.report.problem(
                &spot.subject,
                "Dropbox has a file of this name, here is a folder that is not empty; both are \
                 left alone: rename one",
            );
        }
    }

    /// The free-space reserve is the larger of 64 MiB and 2 %.
    fn has_space(&mut self, spot: &Spot, size: u64) -> bool {
        let Ok(space) = self.tools.disk.space(&spot.dir) else {
            return true;
        };
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
        let report = self.tools.report;
        report.problem(&spot.subject, &format!("not downloaded: {text}"));
        self.disk_full = Some(text);
        false
    }

    /// Makes the directories a download needs.
    pub(crate) fn ensure_dir(&mut self, spot: &Spot) -> Result<bool> {
        if let Ok(Some(status)) = self.tools.disk.status(&spot.dir)
            && status.kind == Kind::Folder
        {
            return Ok(true);
        }
        let mut dir = RelPath::root();
        for component in spot.dir.components() {
            let Ok(next) = dir.join(component) else {
                return Ok(false);
            };
            match self.tools.disk.make_dir(&next) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    self.not_fetched(spot, Failed::Disk(error))?;
                    return Ok(false);
                }
            }
            dir = next;
        }
        Ok(true)
    }

    /// Streams the file into `temp`, continuing where a broken connection left off.
    fn fetch(
        &self,
        spot: &Spot,
        remote: &RemoteFile,
        temp: &RelPath,
        replaces: Replaces,
    ) -> std::result::Result<(String, ContentHash), Failed> {
        let mut why = String::new();
        for _ in 0..TRIES_MAX {
            let access = match replaces {
                Replaces::Nothing => Access::Shared,
                Replaces::File(_) | Replaces::Kept(_) => Access::Private,
            };
            let mut file = self.tools.disk.create(temp, access).map_err(Failed::Disk)?;
            match self.fetch_once(spot, remote, &mut *file) {
                Ok((hash, client_modified)) => {
                    self.finish_file(spot, &mut *file, &client_modified)
                        .map_err(Failed::Disk)?;
                    return Ok((remote.rev.clone(), hash));
                }
                Err(Failed::Differs(text)) => {
                    log::debug!("{}: {text}", spot.subject);
                    why = text;
                }
                Err(failed) => return Err(failed),
            }
            drop(file);
            self.tools.disk.remove_file(temp).map_err(Failed::Disk)?;
        }
        Err(Failed::Differs(why))
    }

    fn fetch_once(
        &self,
        spot: &Spot,
        remote: &RemoteFile,
        file: &mut dyn WriteFile,
    ) -> std::result::Result<(ContentHash, String), Failed> {
        let mut hasher = ContentHasher::new();
        let mut offset = 0;
        let mut stalls = 0;
        loop {
            let Download {
                metadata,
                resumed,
                mut body,
            } = self
                .tools
                .api
                .download(&remote.rev, offset)
                .map_err(Failed::Call)?;
            if offset > 0 && !resumed {
                return Err(Failed::Differs(
                    "the download could not be continued".to_owned(),
                ));
            }
            let before = offset;
            let report = self.tools.report;
            let mut progress = |done| report.progress(&spot.subject, done, remote.size);
            let whole = copy(
                &mut *body,
                file,
                &mut hasher,
                &mut offset,
                remote.size,
                &mut progress,
            )?;
            if !whole {
                stalls = if offset > before { 0 } else { stalls + 1 };
                if stalls >= TRIES_MAX {
                    let text = format!("the connection broke at byte {offset} again and again");
                    return Err(Failed::Call(CallError::Stumbled(text)));
                }
                continue;
            }
            let hash = hasher.finish();
            let announced = remote.hash.or_else(|| metadata.hash());
            if metadata.size != remote.size || announced.is_some_and(|expected| expected != hash) {
                return Err(Failed::Differs(
                    "what arrived has another content hash".to_owned(),
                ));
            }
            return Ok((hash, metadata.client_modified));
        }
    }

    /// Owner, permissions and time of the finished file: those of what it replaces, else the
    /// defaults; as root it belongs to whom its directory belongs to.
    fn finish_file(
        &self,
        spot: &Spot,
        file: &mut dyn WriteFile,
        client_modified: &str,
    ) -> io::Result<()> {
        let is_root_user = rustix::process::geteuid().is_root();
        let owner = |status: &Status| is_root_user.then_some((status.uid, status.gid));
        match spot.local {
            Local::File(replaced) => file.set_owner(replaced.mode, owner(&replaced))?,
            Local::Gone | Local::Folder { .. } | Local::Unknown => {
                if is_root_user {
                    let mode = file.status()?.mode;
                    let parent = self.tools.disk.status(&spot.dir)?;
                    file.set_owner(mode, parent.as_ref().and_then(owner))?;
                }
            }
        }
        if let Some(seconds) = seconds_of(client_modified) {
            file.set_mtime(seconds)?;
        }
        Ok(())
    }

    pub(crate) fn discard(&self, temp: &RelPath) {
        match self.tools.disk.remove_file(temp) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => log::debug!("{error}"),
            _ => {}
        }
    }

    pub(crate) fn not_fetched(&mut self, spot: &Spot, failed: Failed) -> Result<()> {
        let report = self.tools.report;
        match failed {
            Failed::Call(CallError::End(error)) => return Err(error),
            Failed::Call(CallError::Stumbled(text)) => {
                return self.stumbled(&spot.subject, &format!("not downloaded: {text}"));
            }
            Failed::Call(CallError::Refused(error)) if error.has("not_found") => {
                report.deferred(&spot.subject, "it changed in Dropbox meanwhile");
            }
            Failed::Call(CallError::Refused(error)) => {
                report.problem(&spot.subject, &format!("not downloaded: {}", error.text()));
            }
            Failed::Call(CallError::Local(error)) | Failed::Disk(error) => {
                self.not_stored(&spot.subject, &error);
            }
            Failed::Differs(text) => {
                report.problem(&spot.subject, &format!("not downloaded: {text}"));
            }
        }
        Ok(())
    }

    /// The disk would not take a file; a full disk has an exit code of its own.
    pub(crate) fn not_stored(&mut self, subject: &str, error: &io::Error) {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        if matches!(error.kind(), StorageFull | QuotaExceeded) {
            self.disk_full = Some(error.to_string());
        }
        let text = format!("not downloaded: {error}");
        self.tools.report.problem(subject, &text);
    }
}

/// Copies the body behind `offset`; false if it ended early.
fn copy(
    body: &mut dyn Read,
    file: &mut dyn WriteFile,
    hasher: &mut ContentHasher,
    offset: &mut u64,
    size: u64,
    progress: &mut dyn FnMut(u64),
) -> std::result::Result<bool, Failed> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                log::debug!("a download broke: {error}");
                break;
            }
        };
        let step = *offset / PROGRESS_BYTES;
        *offset += count as u64;
        if *offset / PROGRESS_BYTES > step {
            progress(*offset);
        }
        if *offset > size {
            return Err(Failed::Differs(
                "more bytes arrived than were announced".to_owned(),
            ));
        }
        hasher.update(&buffer[..count]);
        file.write_all(&buffer[..count]).map_err(Failed::Disk)?;
    }
    Ok(*offset == size)
}
