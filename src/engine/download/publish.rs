//! Downloads on their way into place, and the local versions that make way for them.
//!
//! Nothing replaces a local file but one that equals its base, looked at again right before the
//! rename, or one that has become a conflict copy. The medium is forced once per batch: a batch's
//! files are renamed after the sync that made their bytes durable, and settled after the next one,
//! which made the renames durable.

use std::io;

use super::copy_name::{CopyName, report_conflict};
use super::downloads::Downloads;
use super::staged::{Existing, StagedFile};
use crate::core::decide::Direction;
use crate::core::path::RelPath;
use crate::engine::context::Context;
use crate::engine::file_clock::FileClock;
use crate::engine::item::{Item, Observed};
use crate::engine::stable_read;
use crate::error::Result;
use crate::index::Base;
use crate::io::systemd::read_only_advice;
use crate::report::{Change, Details, Trouble, in_brackets};

/// Files that share one sync of the medium.
const BATCH_FILES: usize = 64;

impl<'a> Downloads<'a> {
    /// Takes over a verified temporary file.
    pub(crate) fn stage(&mut self, cx: &mut Context<'a>, staged: StagedFile) -> Result<()> {
        self.durable
            .write_in(&staged.temp.parent(), staged.item.device);
        self.publish_queue.staged.push(staged);
        self.publish_if_full(cx)
    }

    pub(super) fn publish_if_full(&mut self, cx: &mut Context<'a>) -> Result<()> {
        let publish_queue = &self.publish_queue;
        let is_full = publish_queue.staged.len() >= BATCH_FILES
            || publish_queue.renamed.len() >= 2 * BATCH_FILES;
        if is_full {
            self.publish_batch(cx)
        } else {
            Ok(())
        }
    }

    /// Forces the batch to the medium, renames it into place, and settles the batch before it.
    fn publish_batch(&mut self, cx: &mut Context<'a>) -> Result<()> {
        if self.publish_queue.staged.is_empty() && self.publish_queue.renamed.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.force(cx) {
            // After a failed sync nothing is known to be durable: all of it is fetched again.
            for staged in std::mem::take(&mut self.publish_queue.staged) {
                self.discard(&staged.temp);
            }
            self.publish_queue.renamed.clear();
            return Err(error);
        }
        let renamed = std::mem::take(&mut self.publish_queue.renamed);
        wait_for_clock(cx, &renamed)?;
        for (mut item, mut base) in renamed {
            if let Base::File(base) = &mut base {
                // It was hashed as it arrived, and whoever changed it since gave it another time.
                let now_ns = cx.env.host.file_clock_ns();
                base.racy &= !cx.file_clock.has_passed(item.device, &base.stamp, now_ns);
            }
            item.row.settle(base, &item.name);
            cx.settle(item.row)?;
        }
        for staged in std::mem::take(&mut self.publish_queue.staged) {
            let (temp, display_path) = (staged.temp.clone(), staged.item.display_path.clone());
            if let Err(error) = self.put_in_place(cx, staged) {
                self.discard(&temp);
                not_stored(cx, &display_path, &error);
            }
        }
        Ok(())
    }

    /// Forces what is under way to the medium: a file alone by itself.
    fn force(&mut self, cx: &Context<'a>) -> Result<()> {
        let is_done = match self.publish_queue.staged.as_mut_slice() {
            [alone] => self.durable.sync_alone(&mut *alone.file)?,
            _ => false,
        };
        match is_done {
            true => Ok(()),
            false => self.durable.sync(cx),
        }
    }

    /// Publishes what is under way.
    pub(crate) fn finish_publishing(&mut self, cx: &mut Context<'a>) -> Result<()> {
        self.publish_batch(cx)?;
        self.publish_batch(cx)
    }

    fn put_in_place(&mut self, cx: &mut Context<'a>, mut staged: StagedFile) -> io::Result<()> {
        let target = staged.item.path().map_err(io::Error::other)?;
        cx.check_device(&staged.item.dir, staged.item.device)?;
        if let Some(base) = self.base_if_equal(cx, &staged, &target) {
            self.discard(&staged.temp);
            cx.env.report.adopted(&staged.item.display_path, 0);
            cx.note_done(&staged.item.row.key);
            self.publish_queue.renamed.push((staged.item, base));
            return Ok(());
        }
        self.durable.rename_in(&staged.item.dir, staged.item.device);
        let placed = self.place(cx, &mut staged, &target);
        let StagedFile {
            item,
            temp,
            file,
            rev,
            hash,
            ..
        } = staged;
        match placed {
            Ok(()) => {
                let stamp = file.status()?.stamp;
                let now_ns = cx.env.host.now_ns();
                cx.file_clock.note_written(item.device, &stamp, now_ns);
                let details = Details {
                    size: Some(stamp.size),
                    more: &in_brackets(stamp.size),
                    ..Details::default()
                };
                let report = cx.env.report;
                report.changed(Change::Download, &item.display_path, details);
                cx.note_done(&item.row.key);
                cx.note_arrival(Direction::Down, hash);
                let mut base = cx.file_base(&item, rev, hash, stamp, cx.env.host.now_ns());
                if let Base::File(base) = &mut base {
                    // We have given it these.
                    base.stamp.rights = stamp.rights;
                }
                self.publish_queue.renamed.push((item, base));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.discard(&temp);
                let why = "it changed here meanwhile";
                cx.defer(
                    &item,
                    why,
                    "something is in its way here that cannot be seen",
                );
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn place(
        &mut self,
        cx: &mut Context<'a>,
        staged: &mut StagedFile,
        target: &RelPath,
    ) -> io::Result<()> {
        match staged.replaces {
            Existing::Nothing => {
                self.give_rights(cx, staged, target)?;
                self.disk.rename_new(&staged.temp, target)
            }
            Existing::File(observed) => {
                if !self.still_is(cx, target, &observed)? {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                // RACE: an edit between the look at it and the rename is lost.
                self.give_rights(cx, staged, target)?;
                self.disk.replace(&staged.temp, target)
            }
            Existing::Kept(observed) => self.keep_copy(cx, staged, target, &observed),
            Existing::Tree => self.keep_tree(cx, staged, target),
        }
    }

    /// Where Dropbox stated no hash, only now it can be known that both sides hold the same.
    fn base_if_equal(
        &self,
        cx: &mut Context<'a>,
        staged: &StagedFile,
        target: &RelPath,
    ) -> Option<Base> {
        let (Existing::Kept(observed), Some(file)) =
            (&staged.replaces, staged.item.row.remote_file())
        else {
            return None;
        };
        if file.hash.is_some() || file.size != observed.stamp.size {
            return None;
        }
        let read_at_ns = cx.env.host.now_ns();
        let (found, stamp) = stable_read::hash(self.disk, target, cx.env.deadline).ok()?;
        let rev = staged.rev.clone();
        (found == staged.hash).then(|| cx.file_base(&staged.item, rev, found, stamp, read_at_ns))
    }

    /// The target still holds what was decided about.
    pub(super) fn still_is(
        &self,
        cx: &Context<'a>,
        target: &RelPath,
        observed: &Observed,
    ) -> io::Result<bool> {
        let Some(status) = self.disk.status(target)? else {
            return Ok(false);
        };
        if status.stamp == observed.stamp {
            return Ok(true);
        }
        // What is equal is as long; and it is not read where nothing is known to compare it with.
        if observed.hash.is_none() || status.stamp.size != observed.stamp.size {
            return Ok(false);
        }
        let now = stable_read::hash(self.disk, target, cx.env.deadline).ok();
        Ok(now.is_some_and(|(hash, _)| Some(hash) == observed.hash))
    }

    /// Moves the local version aside, then the downloaded one into its place.
    fn keep_copy(
        &mut self,
        cx: &mut Context<'a>,
        staged: &mut StagedFile,
        target: &RelPath,
        observed: &Observed,
    ) -> io::Result<()> {
        let disk = self.disk;
        let copy = self.copy_name(cx, &staged.item, target, observed)?;
        // Choosing a name may have taken a while.
        if !self.still_is(cx, target, observed)? {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.give_rights(cx, staged, target)?;
        let (item, temp) = (&staged.item, &staged.temp);
        match copy {
            CopyName::Free(copy) => {
                disk.rename_new(target, &copy)?;
                disk.rename_new(temp, target)?;
                report_conflict(cx, item, &format!("local version kept as {}", copy.name()));
            }
            // The very same content was kept before: a pass was interrupted right here.
            CopyName::Kept(copy) => {
                disk.replace(temp, target)?;
                report_conflict(
                    cx,
                    item,
                    &format!("local version already is {}", copy.name()),
                );
            }
        }
        Ok(())
    }

    /// Takes over a file that has its new name already.
    pub(crate) fn publish_moved(
        &mut self,
        cx: &mut Context<'a>,
        old: Item,
        new: Item,
        base: Base,
    ) -> Result<()> {
        cx.note_done(&new.row.key);
        self.publish_queue.renamed.push((new, base));
        self.publish_queue.renamed.push((old, Base::None));
        self.publish_if_full(cx)
    }
}

/// Waits until the clock of the filesystems has moved past what was put in place last.
fn wait_for_clock(cx: &Context<'_>, renamed: &[(Item, Base)]) -> Result<()> {
    let stamps = renamed.iter().filter_map(|(_, base)| match base {
        Base::File(base) if base.racy => Some(&base.stamp),
        Base::File(_) | Base::Folder | Base::None => None,
    });
    let Some(last) = stamps.max_by_key(|stamp| stamp.ctime_ns) else {
        return Ok(());
    };
    match FileClock::time_to_pass(last, cx.env.host.file_clock_ns()) {
        Some(time) => cx.env.deadline.sleep(time),
        None => Ok(()),
    }
}

/// Where an item is locally; a name this filesystem cannot have is a problem.
pub(crate) fn local_path(cx: &Context<'_>, item: &Item) -> Option<RelPath> {
    let report = cx.env.report;
    item.path()
        .map_err(|e| {
            report.problem(
                &item.display_path,
                Trouble::Name,
                &format!("{e}: it stays in Dropbox"),
            );
        })
        .ok()
}

/// The disk would not take a file; a full disk has an exit code of its own.
pub(super) fn not_stored(cx: &mut Context<'_>, display_path: &str, error: &io::Error) {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    if matches!(error.kind(), StorageFull | QuotaExceeded) {
        cx.room.disk_full = Some(error.to_string());
    }
    let advice = read_only_advice(error);
    let text = format!("not downloaded: {error}{advice}");
    cx.env
        .report
        .problem(display_path, Trouble::of_disk(error), &text);
}
