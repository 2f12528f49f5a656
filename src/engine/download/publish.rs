//! Downloads on their way into place, and the local versions that make way for them.
//!
//! Nothing replaces a local file but one that equals its base, looked at again right before the
//! rename, or one that has become a conflict copy. The medium is forced once per batch: a batch's
//! files are renamed after the sync that made their bytes durable, and settled after the next one,
//! which made the renames durable.

use std::collections::BTreeMap;
use std::io;

use crate::core::conflict_name::conflict_name;
use crate::core::content_hash::ContentHash;
use crate::core::decide::Direction;
use crate::core::path::RelPath;
use crate::core::remote::Rev;
use crate::engine::context::Pass;
use crate::engine::download::DownloadError;
use crate::engine::item::{Item, Local, Observed};
use crate::error::{Result, state_error};
use crate::index::Base;
use crate::io::disk::Access;
use crate::report::{Change, in_brackets};
use crate::timestamp::date_of;

/// Files that share one sync of the medium.
const BATCH_FILES: usize = 64;

/// Files on their way into place.
#[derive(Default)]
pub struct PublishQueue {
    /// Complete and verified, not yet forced to the medium.
    fetched: Vec<StagedFile>,
    /// One directory on each filesystem written to in this pass, by device.
    filesystems: BTreeMap<u64, RelPath>,
    /// Renamed, not yet settled.
    renamed: Vec<(Item, Base)>,
}

impl PublishQueue {
    /// Whether a temporary file of this run has this name.
    pub fn holds(&self, dir: &RelPath, name: &str) -> bool {
        self.fetched
            .iter()
            .any(|file| file.temp.parent() == *dir && file.temp.name() == name)
    }
}

/// A verified temporary file.
pub(crate) struct StagedFile {
    pub(crate) item: Item,
    pub(crate) temp: RelPath,
    pub(crate) rev: Rev,
    pub(crate) hash: ContentHash,
    /// What the target held when it was decided to replace it.
    pub(crate) replaces: Existing,
}

/// What stands at the target.
#[derive(Clone, Copy)]
pub(crate) enum Existing {
    Nothing,
    /// A file that equals its base, or that is to be dropped.
    File(Observed),
    /// A file that is kept as a conflict copy.
    Kept(Observed),
}

impl Existing {
    /// Who may read the new file before it takes over the permissions of the old one.
    pub(crate) fn access(self) -> Access {
        match self {
            Existing::Nothing => Access::Shared,
            Existing::File(_) | Existing::Kept(_) => Access::Private,
        }
    }
}

impl Pass<'_> {
    /// Takes over a verified temporary file.
    pub(crate) fn stage(&mut self, fetched: StagedFile) -> Result<()> {
        self.touch(&fetched.temp.parent());
        self.publish_queue.fetched.push(fetched);
        self.publish_if_full()
    }

    /// Something in this directory was written and has to become durable.
    pub(crate) fn touch(&mut self, dir: &RelPath) {
        let disk = self.env.disk;
        if let (Ok(Some(status)), Ok(root)) = (disk.status(dir), disk.root()) {
            // The root stays; any other directory may be gone by the time of the sync.
            let is_roots = status.device == root.device;
            let dir = if is_roots {
                RelPath::root()
            } else {
                dir.clone()
            };
            self.publish_queue
                .filesystems
                .entry(status.device)
                .or_insert(dir);
        }
    }

    /// Forces what was written to the medium, on every filesystem that was touched.
    pub(crate) fn sync(&self) -> Result<()> {
        for (device, dir) in &self.publish_queue.filesystems {
            let mut dir = dir.clone();
            loop {
                match self.env.disk.sync_filesystem(&dir) {
                    // Gone since; its parent is on the same filesystem.
                    Err(error) if is_gone(&error) && !dir.is_root() => dir = dir.parent(),
                    synced => {
                        synced
                            .and_then(|()| self.check_device(&dir, *device))
                            .map_err(|error| state_error("write to the content dir", &error))?;
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    fn publish_if_full(&mut self) -> Result<()> {
        let publish_queue = &self.publish_queue;
        let is_full = publish_queue.fetched.len() >= BATCH_FILES
            || publish_queue.renamed.len() >= 2 * BATCH_FILES;
        if is_full {
            self.publish_batch()
        } else {
            Ok(())
        }
    }

    /// Forces the batch to the medium, renames it into place, and settles the batch before it.
    fn publish_batch(&mut self) -> Result<()> {
        if self.publish_queue.fetched.is_empty() && self.publish_queue.renamed.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.sync() {
            // After a failed sync nothing is known to be durable: all of it is fetched again.
            for fetched in std::mem::take(&mut self.publish_queue.fetched) {
                self.discard(&fetched.temp);
            }
            self.publish_queue.renamed.clear();
            return Err(error);
        }
        for (mut item, base) in std::mem::take(&mut self.publish_queue.renamed) {
            item.row.settle(base, &item.name);
            self.settle(item.row)?;
        }
        for fetched in std::mem::take(&mut self.publish_queue.fetched) {
            let (temp, display_path) = (fetched.temp.clone(), fetched.item.display_path.clone());
            if let Err(error) = self.put_in_place(fetched) {
                self.discard(&temp);
                self.not_stored(&display_path, &error);
            }
        }
        Ok(())
    }

    /// Lands what is under way.
    pub(crate) fn finish_publishing(&mut self) -> Result<()> {
        self.publish_batch()?;
        self.publish_batch()
    }

    fn put_in_place(&mut self, fetched: StagedFile) -> io::Result<()> {
        let StagedFile {
            item,
            temp,
            rev,
            hash,
            replaces,
        } = fetched;
        let disk = self.env.disk;
        let target = item.path().map_err(io::Error::other)?;
        self.check_device(&item.dir, item.device)?;
        // Dropbox stated no hash; only now can it be known that both sides hold the same.
        if let Existing::Kept(observed) = replaces
            && item
                .row
                .remote_file()
                .is_some_and(|file| file.hash.is_none() && file.size == observed.stamp.size)
        {
            let read_at_ns = self.env.host.now_ns();
            if let Ok((found, stamp)) = crate::engine::stable_read::hash(disk, &target)
                && found == hash
            {
                self.discard(&temp);
                self.env.report.adopted();
                let base = self.file_base(&item, rev, hash, stamp, read_at_ns);
                self.publish_queue.renamed.push((item, base));
                return Ok(());
            }
        }
        let placed = match replaces {
            Existing::Nothing => disk.rename_new(&temp, &target),
            Existing::File(observed) => {
                if self.still_is(&target, &observed)? {
                    // RACE: an edit between this look and the rename is lost to the next line.
                    disk.replace(&temp, &target)
                } else {
                    Err(io::ErrorKind::AlreadyExists.into())
                }
            }
            Existing::Kept(observed) => self.keep_copy(&item, &target, &observed, &temp),
        };
        match placed {
            Ok(()) => {
                let stamp = disk
                    .status(&target)?
                    .map(|status| status.stamp)
                    .unwrap_or_default();
                let size = in_brackets(stamp.size);
                self.env
                    .report
                    .changed(Change::Download, &item.display_path, &size);
                self.note_arrival(Direction::Down, hash);
                let base = self.file_base(&item, rev, hash, stamp, self.env.host.now_ns());
                self.publish_queue.renamed.push((item, base));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.discard(&temp);
                self.env
                    .report
                    .deferred(&item.display_path, "it changed here meanwhile");
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The target still holds what was decided about.
    fn still_is(&self, target: &RelPath, observed: &Observed) -> io::Result<bool> {
        let Some(status) = self.env.disk.status(target)? else {
            return Ok(false);
        };
        if status.stamp == observed.stamp {
            return Ok(true);
        }
        let now = crate::engine::stable_read::hash(self.env.disk, target).ok();
        Ok(now.is_some_and(|(hash, _)| Some(hash) == observed.hash))
    }

    /// Moves the local version aside, then the downloaded one into its place.
    fn keep_copy(
        &mut self,
        item: &Item,
        target: &RelPath,
        observed: &Observed,
        temp: &RelPath,
    ) -> io::Result<()> {
        let disk = self.env.disk;
        let copy = self.copy_name(item, target, observed)?;
        // Choosing a name may have taken a while.
        if !self.still_is(target, observed)? {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        match copy {
            CopyName::Free(copy) => {
                disk.rename_new(target, &copy)?;
                disk.rename_new(temp, target)?;
                self.report_conflict(item, &format!("local version kept as {}", copy.name()));
            }
            // The very same content was kept before: a pass was interrupted right here.
            CopyName::Kept(copy) => {
                disk.replace(temp, target)?;
                self.report_conflict(item, &format!("local version already is {}", copy.name()));
            }
        }
        Ok(())
    }

    pub(crate) fn report_conflict(&self, item: &Item, more: &str) {
        self.env
            .report
            .changed(Change::Conflict, &item.display_path, more);
    }

    /// The name the local version gets, in the order: plain, with 8 digits of its hash.
    pub(crate) fn copy_name(
        &self,
        item: &Item,
        target: &RelPath,
        observed: &Observed,
    ) -> io::Result<CopyName> {
        let disk = self.env.disk;
        let hash = match observed.hash {
            Some(hash) => hash,
            None => match crate::engine::stable_read::hash(disk, target) {
                Ok((hash, _)) => hash,
                Err(_) => return Err(io::ErrorKind::AlreadyExists.into()),
            },
        };
        let date = date_of(observed.stamp.mtime_ns);
        for digits in [None, Some(hash)] {
            let name = conflict_name(&item.name, &self.env.device, &date, digits);
            let copy = item.dir.join(&name).map_err(io::Error::other)?;
            if copy == *target {
                continue;
            }
            match disk.status(&copy)? {
                None => return Ok(CopyName::Free(copy)),
                Some(status) if status.stamp.size == observed.stamp.size => {
                    let taken = crate::engine::stable_read::hash(disk, &copy).ok();
                    if taken.is_some_and(|(other, _)| other == hash) {
                        return Ok(CopyName::Kept(copy));
                    }
                }
                Some(_) => {}
            }
        }
        Err(io::Error::other(
            "both names for its conflict copy are taken: rename one of them",
        ))
    }

    /// Keeps the local file as a conflict copy and makes the folder Dropbox has in its place.
    pub(crate) fn set_aside(&mut self, item: Item, observed: Observed) -> Result<()> {
        if self.dry() {
            self.report_conflict(&item, "(Dropbox has a folder)");
            return Ok(());
        }
        let moved = item.path().map_err(io::Error::other).and_then(|target| {
            let copy = self.copy_name(&item, &target, &observed)?;
            if !self.still_is(&target, &observed)? {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            match copy {
                CopyName::Free(copy) => self.env.disk.rename_new(&target, &copy).map(|()| copy),
                CopyName::Kept(copy) => self.env.disk.remove_file(&target).map(|()| copy),
            }
        });
        match moved {
            Ok(copy) => {
                let text = format!("Dropbox has a folder; local file kept as {}", copy.name());
                self.report_conflict(&item, &text);
                self.make_local_folder(Item {
                    local: Local::Gone,
                    ..item
                })
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let report = self.env.report;
                report.deferred(&item.display_path, "it changed here meanwhile");
                Ok(())
            }
            Err(error) => {
                self.env
                    .report
                    .problem(&item.display_path, &error.to_string());
                Ok(())
            }
        }
    }

    /// Makes a folder Dropbox has.
    pub(crate) fn make_local_folder(&mut self, item: Item) -> Result<()> {
        if self.dry() {
            self.env
                .report
                .changed(Change::MakeLocalFolder, &item.display_path, "");
            return Ok(());
        }
        let Some(path) = self.local_path(&item) else {
            return Ok(());
        };
        if !self.ensure_dir(&item)? {
            return Ok(());
        }
        let made = self
            .check_device(&item.dir, item.device)
            .and_then(|()| self.env.disk.make_dir(&path));
        match made {
            Ok(()) => self
                .env
                .report
                .changed(Change::MakeLocalFolder, &item.display_path, ""),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return self.not_fetched(&item, DownloadError::Disk(error)),
        }
        self.touch(&item.dir);
        // Settled once it is durable: a lost folder must not look like a removed one.
        self.publish_queue
            .renamed
            .push((item, Base::Folder { mount: false }));
        self.publish_if_full()
    }

    /// Takes over a file that has its new name already.
    pub(crate) fn publish_moved(&mut self, old: Item, new: Item, base: Base) -> Result<()> {
        self.publish_queue.renamed.push((new, base));
        self.publish_queue.renamed.push((old, Base::None));
        self.publish_if_full()
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Where a conflict copy goes.
pub(crate) enum CopyName {
    /// A free name.
    Free(RelPath),
    /// The same content is there already.
    Kept(RelPath),
}
