//! Bringing files down: fetched to a hidden temporary file beside the target and verified
//! (`fetch`), then put in place ([`publish`]).

pub mod archive_plan;
pub(crate) mod copy_name;
mod downloads;
mod fetch;
pub(crate) mod folders;
mod origins;
mod partial;
pub(crate) mod private_folders;
pub mod publish;
mod rights;
pub mod staged;
pub(crate) mod tree_aside;
pub(crate) mod zip;

use archive_plan::How;
pub(crate) use downloads::Downloads;
use downloads::fresh_temp;
use fetch::{DownloadError, Fetched};
use partial::{bytes_here, is_kept, partial_name};
use publish::{local_path, not_stored};
use staged::{Existing, StagedFile};

use crate::config::ConflictPolicy;
use crate::core::decide::Action;
use crate::core::own_names::{Leftover, MARKER, Owner};
use crate::core::path::{RelPath, fold};
use crate::dropbox::retry::CallError;
use crate::engine::context::Context;
use crate::engine::item::{Item, Local, Observed};
use crate::engine::remembered::{reason_of, trouble_of};
use crate::error::Result;
use crate::index::{Reason, RemoteFile};
use crate::io::disk::Access;
use crate::report::{Trouble, printable, size_text};

/// Free space a download leaves, in bytes, where that is more than [`RESERVE_SHARE`].
const RESERVE_BYTES: u64 = 64 << 20;
/// Free space a download leaves: one part in this many of the filesystem.
const RESERVE_SHARE: u64 = 50;

/// Bytes that downloads leave free of so many in all: the larger of 64 MiB and 2 %.
pub fn reserve(total: u64) -> u64 {
    RESERVE_BYTES.max(total / RESERVE_SHARE)
}

impl<'a> Downloads<'a> {
    /// Brings a file down ([`Action::Download`] or [`Action::Conflict`]).
    ///
    /// # Errors
    /// Whatever ends the pass.
    pub(crate) fn download(
        &mut self,
        cx: &mut Context<'a>,
        item: Item,
        observed: Observed,
        action: Action,
        how: How<'_, '_>,
    ) -> Result<()> {
        let Some(remote) = item.row.remote_file() else {
            return Ok(());
        };
        let replaces = existing(cx, &item, observed, action);
        if matches!(replaces, Existing::Tree) && !self.can_set_tree_aside(cx, &item)? {
            return Ok(());
        }
        let is_new = matches!(replaces, Existing::Nothing);
        let Some(path) = local_path(cx, &item) else {
            return Ok(());
        };
        // A rev should mean one content, but two listings may name the same one.
        let Some((mut temp, is_part)) = self.temp_for(cx, &path.parent(), &remote)? else {
            return Ok(());
        };
        if !self.ensure_dir(cx, &item) || !self.has_space(cx, &item, &temp, remote.size) {
            return Ok(());
        }
        if let How::Count(candidates) = how {
            candidates.has_pending = true;
            if is_new {
                let can_write = || self.can_write(&temp);
                candidates.note(&item.row.key.dir, &remote, can_write);
            }
            return Ok(());
        }
        if cx.ends_step(&item) {
            return Ok(());
        }
        let access = match is_part {
            true => Access::Private,
            false => self.access_at_first(cx, &item, replaces)?,
        };
        match self.fetch(cx, &item, &remote, &mut temp, access, how) {
            Ok(Fetched { hash, file }) => {
                cx.server_errors = 0;
                let staged = StagedFile {
                    item,
                    temp,
                    file,
                    access,
                    rev: remote.rev,
                    hash,
                    replaces,
                };
                self.stage(cx, staged)
            }
            Err(failed) => {
                // What broke off is taken up by the next run.
                if !is_part || !matches!(failed, DownloadError::Call(_)) {
                    self.discard(&temp);
                }
                self.not_fetched(cx, &item, failed)
            }
        }
    }

    /// Where a file is fetched to, and whether its beginning is kept there.
    fn temp_for(
        &self,
        cx: &Context<'_>,
        dir: &RelPath,
        remote: &RemoteFile,
    ) -> Result<Option<(RelPath, bool)>> {
        if is_kept(remote) {
            let name = partial_name(cx, dir, remote.rev.as_str())?;
            // A rev should mean one content, but two listings may name the same one.
            if !self.publish_queue.holds(dir, &name) {
                return Ok(dir.join(&name).ok().map(|path| (path, true)));
            }
        }
        Ok(fresh_temp(cx, dir).ok().map(|path| (path, false)))
    }

    /// Brings down what failed in the pass before, after everything else and with one try each.
    ///
    /// # Errors
    /// Whatever ends the pass.
    pub(crate) fn fetch_last(&mut self, cx: &mut Context<'a>) -> Result<()> {
        let last = std::mem::take(&mut self.last);
        self.api.try_once(true);
        let mut last = last.into_iter();
        let done = last.try_for_each(|(item, observed, action)| {
            self.download(cx, item, observed, action, How::Fetch)
        });
        self.api.try_once(false);
        done
    }

    /// Removes what a download left behind when it was killed: we hold the lock, so it is nobody's
    /// any more. What another instance has left, whose content dir lies within ours, is its own.
    pub(crate) fn clean(&self, cx: &Context<'_>, dir: &RelPath, own_names: &[String]) {
        for name in own_names {
            let Some(Leftover { owner, rev }) = cx.env.instance.leftover(name) else {
                continue;
            };
            let is_left = match (owner, rev) {
                (Owner::Another, _) => false,
                // The beginning of a large file waits for the rest as long as that is to come.
                (Owner::Us, Some(rev)) => {
                    let is_due = cx.env.index.is_due(&fold(dir.as_str()), rev);
                    // Nobody but us can have given it that name.
                    let sealed = partial_name(cx, dir, rev);
                    matches!((is_due, sealed), (Ok(is_due), Ok(sealed))
                        if !is_due || sealed != *name)
                }
                (Owner::Us, None) => true,
                // 0.1 did not say whose it is. Its beginnings are not taken up.
                (Owner::Unsaid, _) => !self.lies_in_another_content_dir(dir),
            };
            if !is_left || self.publish_queue.holds(dir, name) {
                continue;
            }
            if let Ok(path) = dir.join(name) {
                match self.disk.remove_file(&path) {
                    Ok(()) => {
                        let path = printable(path.as_str());
                        log::debug!("removed a leftover of an earlier run: {path}");
                    }
                    Err(error) => log::debug!("{error}"),
                }
            }
        }
    }

    /// Whether this directory, or one above it within ours, has the marker of a content dir.
    fn lies_in_another_content_dir(&self, dir: &RelPath) -> bool {
        let mut at = dir.clone();
        while !at.is_root() {
            let marker = at.join(MARKER).map(|marker| self.disk.status(&marker));
            if !matches!(marker, Ok(Ok(None))) {
                return true;
            }
            at = at.parent();
        }
        false
    }

    fn can_write(&self, temp: &RelPath) -> bool {
        let made = self.disk.create(temp, Access::Shared);
        made.and_then(|_| self.disk.remove_file(temp)).is_ok()
    }

    fn has_space(&mut self, cx: &mut Context<'a>, item: &Item, temp: &RelPath, size: u64) -> bool {
        let Ok(space) = self.disk.space(&item.dir) else {
            return true;
        };
        let size = size.saturating_sub(bytes_here(self.disk, temp));
        let reserve = reserve(space.total);
        if size.saturating_add(reserve) <= space.free {
            return true;
        }
        let text = format!(
            "the disk is full: {} needed beside a reserve of {}, {} free",
            size_text(size),
            size_text(reserve),
            size_text(space.free)
        );
        let report = cx.env.report;
        report.problem(
            &item.display_path,
            Trouble::NoRoom,
            &format!("not downloaded: {text}"),
        );
        cx.room.disk_full = Some(text);
        false
    }

    fn not_fetched(&self, cx: &mut Context<'a>, item: &Item, failed: DownloadError) -> Result<()> {
        let report = cx.env.report;
        match failed {
            DownloadError::Call(CallError::End(error)) => return Err(error),
            DownloadError::Call(CallError::ServerError(text)) => {
                let text = format!("not downloaded: {text}");
                return cx.note_server_error(self.api, item, &text);
            }
            DownloadError::Call(CallError::Refused(error)) if error.has("not_found") => {
                let cause = format!("Dropbox lists it, but does not give it ({})", error.text());
                cx.defer(item, "it changed in Dropbox meanwhile", &cause);
            }
            DownloadError::Call(CallError::Refused(error)) => {
                let text = format!("not downloaded: {}", error.text());
                report.problem(&item.display_path, trouble_of(&error), &text);
                cx.remember(item, reason_of(&error), &text);
            }
            DownloadError::Call(CallError::Local(error)) | DownloadError::Disk(error) => {
                not_stored(cx, &item.display_path, &error);
            }
            DownloadError::Differs(text) => {
                let text = format!("not downloaded: {text}");
                report.problem(&item.display_path, Trouble::Server, &text);
                cx.remember(item, Reason::Failed, &text);
            }
        }
        Ok(())
    }
}

/// What a download takes the place of.
pub(crate) fn existing(
    cx: &Context<'_>,
    item: &Item,
    observed: Observed,
    action: Action,
) -> Existing {
    let keeps_both = cx.env.config.sync.conflict == ConflictPolicy::KeepBoth;
    match (item.local, action) {
        (Local::Folder { .. }, _) => Existing::Tree,
        (Local::Gone, _) => Existing::Nothing,
        (_, Action::Conflict) if keeps_both => Existing::Kept(observed),
        _ => Existing::File(observed),
    }
}
