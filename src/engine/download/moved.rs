//! Files that were only moved in Dropbox: the local file is given its new name.
//!
//! It is the delete and the download of one content at once, and so it is done only where both
//! are allowed, and the file still equals its base.

use std::collections::{HashMap, HashSet};
use std::io;

use crate::core::content_hash::ContentHash;
use crate::core::decide::{Action, Direction};
use crate::core::path::{Key, RelPath};
use crate::engine::context::Pass;
use crate::engine::item::{Item, Local};
use crate::engine::local_dir::OpenDir;
use crate::error::Result;
use crate::index::{Base, Remote, RemoteFile};
use crate::io::stat::Stamp;
use crate::report::{Change, in_brackets};

/// LIMIT: files gone in Dropbox that a pass keeps in mind; those that moved beyond it are fetched.
const GONE_MAX: usize = 10_000;

/// Files that Dropbox has no more under the name they have here.
#[derive(Default)]
pub(crate) struct GoneRemotely<'d> {
    by_content: HashMap<ContentHash, Vec<Key>>,
    /// Old names of files that were moved and are not settled yet.
    being_renamed: HashSet<Key>,
    /// The directory the last one lies in.
    opened: Option<(String, Option<OpenDir<'d>>)>,
}

impl<'a> Pass<'a> {
    /// Gives the local file of the same content its new name; says whether there was one.
    pub(crate) fn move_here(&mut self, item: &Item, remote: &RemoteFile) -> Result<bool> {
        let (Some(hash), true) = (remote.hash, self.had_base && remote.size > 0) else {
            return Ok(false);
        };
        let Some((old, stamp)) = self.origin_here(hash)? else {
            return Ok(false);
        };
        let (Ok(from), Some(to)) = (old.path(), self.local_path(item)) else {
            return Ok(false);
        };
        if !self.ensure_dir(item)? {
            return Ok(false);
        }
        match self.rename_here(&old, item, &from, &to, &stamp) {
            Ok(Some(now)) => {
                self.touch(&old.dir);
                self.touch(&item.dir);
                let more = format!("{}, moved from {}", in_brackets(now.size), old.display_path);
                let report = self.env.report;
                report.changed(Change::Download, &item.display_path, &more);
                let read_at_ns = self.env.host.now_ns();
                let mut base = self.file_base(item, remote.rev.clone(), hash, now, read_at_ns);
                // It is the same file, and counts as it did under its old name.
                if let (Base::File(new), Some(before)) = (&mut base, old.row.base_file()) {
                    new.arrived_in_pass = before.arrived_in_pass;
                    new.reappeared = before.reappeared;
                }
                if let Some(gone) = &mut self.gone_remotely {
                    gone.being_renamed.insert(old.row.key.clone());
                }
                self.publish_moved(old, item.clone(), base)?;
                Ok(true)
            }
            // It was edited in that very moment: the edit has the new name, and the next pass
            // finds two versions there.
            Ok(None) => {
                let report = self.env.report;
                report.deferred(&item.display_path, "it changed here meanwhile");
                Ok(true)
            }
            Err(error) => {
                log::debug!("{}: not moved: {error}", item.display_path);
                Ok(false)
            }
        }
    }

    /// What a dry run has instead: whether a local file would be given the new name. It is not
    /// among the deletes then, whose approval the id stands for.
    pub(crate) fn would_move_here(&mut self, remote: &RemoteFile) -> Result<bool> {
        let (Some(hash), true) = (remote.hash, self.had_base && remote.size > 0) else {
            return Ok(false);
        };
        let Some((old, _)) = self.origin_here(hash)? else {
            return Ok(false);
        };
        if let Some(gone) = &mut self.gone_remotely {
            gone.being_renamed.insert(old.row.key);
        }
        Ok(true)
    }

    /// The file of this key has another name by now, which may not be durable yet.
    pub(crate) fn is_being_renamed(&self, key: &Key) -> bool {
        let gone = self.gone_remotely.as_ref();
        gone.is_some_and(|gone| gone.being_renamed.contains(key))
    }

    /// The new stamp; nothing if the file is another one by now.
    fn rename_here(
        &self,
        old: &Item,
        new: &Item,
        from: &RelPath,
        to: &RelPath,
        stamp: &Stamp,
    ) -> io::Result<Option<Stamp>> {
        let disk = self.env.disk;
        self.check_device(&old.dir, old.device)?;
        self.check_device(&new.dir, new.device)?;
        if disk.status(from)?.map(|status| status.stamp) != Some(*stamp) {
            return Err(io::ErrorKind::NotFound.into());
        }
        disk.rename_new(from, to)?;
        let now = disk.status(to)?.map(|status| status.stamp);
        let is_same = |now: &Stamp| {
            let of = |stamp: &Stamp| (stamp.size, stamp.mtime_ns, stamp.inode);
            of(now) == of(stamp)
        };
        Ok(now.filter(is_same))
    }

    /// A file with this content that is to go here because it is gone in Dropbox, with the stamp
    /// it had when it was found unchanged.
    fn origin_here(&mut self, hash: ContentHash) -> Result<Option<(Item, Stamp)>> {
        let mut gone = match self.gone_remotely.take() {
            Some(gone) => gone,
            None => GoneRemotely {
                by_content: self.env.index.gone_remotely(GONE_MAX)?,
                ..GoneRemotely::default()
            },
        };
        let found = self.look_for(&mut gone, hash);
        self.gone_remotely = Some(gone);
        found
    }

    fn look_for(
        &mut self,
        gone: &mut GoneRemotely<'a>,
        hash: ContentHash,
    ) -> Result<Option<(Item, Stamp)>> {
        while let Some(key) = gone.by_content.get_mut(&hash).and_then(Vec::pop) {
            let Some(row) = self.env.index.row(&key)? else {
                continue;
            };
            if gone.opened.as_ref().is_none_or(|(dir, _)| *dir != key.dir) {
                gone.opened = Some((key.dir.clone(), self.open_dir(&key.dir)?));
            }
            let opened = gone.opened.as_ref().and_then(|(_, opened)| opened.as_ref());
            let is_gone = row.intact && row.remote == Remote::Gone;
            let item = opened
                .filter(|_| is_gone)
                .and_then(|opened| self.item_at(opened, row));
            let Some(item) = item else {
                continue;
            };
            if let (Local::File(_), Some((Action::DeleteLocal, observed))) =
                (item.local, self.plan_for(&item))
                && self.may(Direction::Down)
            {
                return Ok(Some((item, observed.stamp)));
            }
        }
        Ok(None)
    }
}
