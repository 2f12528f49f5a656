//! Files that were only moved in Dropbox: the local file is given its new name.
//!
//! It is the delete and the download of one content at once, and so it is done only where both
//! are allowed, and the file still equals its base.

use std::collections::{HashMap, HashSet};
use std::io;

use super::Downloads;
use super::publish::local_path;
use crate::core::content_hash::ContentHash;
use crate::core::decide::{Action, Direction};
use crate::core::path::{Key, RelPath};
use crate::engine::context::Context;
use crate::engine::item::{Item, Local};
use crate::engine::local_dir::{OpenDir, item_at, open_dir};
use crate::engine::observe::plan_for;
use crate::error::Result;
use crate::index::{Base, Remote, RemoteFile};
use crate::io::stat::Stamp;
use crate::report::{Change, in_brackets};

/// LIMIT: files gone in Dropbox that a pass keeps in mind; those that moved beyond it are fetched.
const GONE_MAX: usize = 10_000;

/// Files that Dropbox has no more under the name they have here.
#[derive(Default)]
pub(crate) struct GoneRemotely<'d> {
    /// Read from the index once one that may have been moved is looked for.
    by_content: Option<HashMap<ContentHash, Vec<Key>>>,
    /// Old names of files that were moved and are not settled yet.
    being_renamed: HashSet<Key>,
    /// The directory the last one lies in.
    opened: Option<(String, Option<OpenDir<'d>>)>,
}

impl<'d> GoneRemotely<'d> {
    /// Whether the file of this key has another name by now.
    pub(crate) fn is_being_renamed(&self, key: &Key) -> bool {
        self.being_renamed.contains(key)
    }

    /// The file of this key has got another name.
    pub(crate) fn note_renamed(&mut self, key: Key) {
        self.being_renamed.insert(key);
    }

    /// A file with the content of `remote` that is to go here because it is gone in Dropbox, with
    /// the stamp it had when it was found unchanged.
    ///
    /// # Errors
    /// What the index says.
    pub(crate) fn origin(
        &mut self,
        cx: &mut Context<'d>,
        remote: &RemoteFile,
    ) -> Result<Option<(Item, Stamp)>> {
        let (Some(hash), true) = (remote.hash, cx.had_base && remote.size > 0) else {
            return Ok(None);
        };
        let by_content = match &mut self.by_content {
            Some(by_content) => by_content,
            none => none.insert(cx.env.index.gone_remotely(GONE_MAX)?),
        };
        while let Some(key) = by_content.get_mut(&hash).and_then(Vec::pop) {
            let row = cx.env.index.row(&key)?;
            let Some(row) = row.filter(|row| row.intact && row.remote == Remote::Gone) else {
                continue;
            };
            if self.opened.as_ref().is_none_or(|(dir, _)| *dir != key.dir) {
                self.opened = Some((key.dir.clone(), open_dir(cx, &key.dir)?.dir()));
            }
            let opened = self.opened.as_ref().and_then(|(_, dir)| dir.as_ref());
            let Some(item) = opened.and_then(|dir| item_at(cx, dir, row)) else {
                continue;
            };
            if let (Local::File(_), Some((Action::DeleteLocal, observed))) =
                (item.local, plan_for(cx, &item))
                && cx.may(Direction::Down)
            {
                return Ok(Some((item, observed.stamp)));
            }
        }
        Ok(None)
    }
}

impl<'a> Downloads<'a> {
    /// Gives the local file of the same content its new name; says whether there was one.
    pub(super) fn move_here(
        &mut self,
        cx: &mut Context<'a>,
        item: &Item,
        remote: &RemoteFile,
    ) -> Result<bool> {
        let Some((old, stamp)) = self.gone.origin(cx, remote)? else {
            return Ok(false);
        };
        let (Ok(from), Some(to)) = (old.path(), local_path(cx, item)) else {
            return Ok(false);
        };
        if !self.ensure_dir(cx, item) {
            return Ok(false);
        }
        match self.rename_here(cx, &old, item, &from, &to, &stamp) {
            Ok(Some(now)) => {
                self.durable.touch(&old.dir);
                self.durable.touch(&item.dir);
                self.moved_here(cx, old, item, remote, now)?;
                Ok(true)
            }
            // It was edited in that very moment: the edit has the new name, and the next pass
            // finds two versions there.
            Ok(None) => {
                let report = cx.env.report;
                report.deferred(&item.display_path, "it changed here meanwhile");
                Ok(true)
            }
            Err(error) => {
                log::debug!("{}: not moved: {error}", item.display_path);
                Ok(false)
            }
        }
    }

    fn moved_here(
        &mut self,
        cx: &mut Context<'a>,
        old: Item,
        item: &Item,
        remote: &RemoteFile,
        now: Stamp,
    ) -> Result<()> {
        let Some(hash) = remote.hash else {
            return Ok(());
        };
        let more = format!("{}, moved from {}", in_brackets(now.size), old.display_path);
        let report = cx.env.report;
        report.changed(Change::Download, &item.display_path, &more);
        let read_at_ns = cx.env.host.now_ns();
        let mut base = cx.file_base(item, remote.rev.clone(), hash, now, read_at_ns);
        // It is the same file, and counts as it did under its old name.
        if let (Base::File(new), Some(before)) = (&mut base, old.row.base_file()) {
            new.arrived_in_pass = before.arrived_in_pass;
            new.reappeared = before.reappeared;
        }
        self.gone.note_renamed(old.row.key.clone());
        self.publish_moved(cx, old, item.clone(), base)
    }

    /// The new stamp; nothing if the file is another one by now.
    fn rename_here(
        &self,
        cx: &Context<'a>,
        old: &Item,
        new: &Item,
        from: &RelPath,
        to: &RelPath,
        stamp: &Stamp,
    ) -> io::Result<Option<Stamp>> {
        let disk = self.disk;
        cx.check_device(&old.dir, old.device)?;
        cx.check_device(&new.dir, new.device)?;
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
}
