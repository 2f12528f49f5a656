//! Files that were only moved in Dropbox: the local file is given its new name.
//!
//! It is the delete and the download of one content at once, and so it is done only where both
//! are allowed, and the file still equals its base.

use std::io;

use super::renames::Renames;
use crate::core::path::RelPath;
use crate::engine::context::Context;
use crate::engine::download::Downloads;
use crate::engine::download::publish::local_path;
use crate::engine::item::Item;
use crate::error::Result;
use crate::index::{Base, RemoteFile};
use crate::io::stat::Stamp;
use crate::report::{Change, Details, in_brackets, printable};

impl<'a> Renames<'a> {
    /// Gives the local file of the same content its new name; says whether there was one.
    ///
    /// # Errors
    /// Whatever ends the pass.
    pub(crate) fn rename_here(
        &mut self,
        cx: &mut Context<'a>,
        downloads: &mut Downloads<'a>,
        item: &Item,
    ) -> Result<bool> {
        let Some(remote) = &item.row.remote_file() else {
            return Ok(false);
        };
        let Some((old, stamp)) = self.gone.origin(cx, &item.row.key, remote)? else {
            return Ok(false);
        };
        let (Ok(from), Some(to)) = (old.path(), local_path(cx, item)) else {
            return Ok(false);
        };
        if !downloads.ensure_dir(cx, item) {
            return Ok(false);
        }
        // What may be read there comes as a download, which is kept from others.
        if !downloads.private_folders.opened(cx, item)?.is_empty() {
            return Ok(false);
        }
        match self.rename(cx, &old, item, &from, &to, &stamp) {
            Ok(Some(now)) => {
                downloads.durable.rename_in(&old.dir, old.device);
                downloads.durable.rename_in(&item.dir, item.device);
                self.renamed_here(cx, downloads, old, item, remote, now)?;
                Ok(true)
            }
            // It was edited in that very moment: the edit has the new name, and the next pass
            // finds two versions there.
            Ok(None) => {
                let why = "it changed here meanwhile";
                cx.defer(item, why, why);
                Ok(true)
            }
            Err(error) => {
                log::debug!("{}: not moved: {error}", printable(&item.display_path));
                Ok(false)
            }
        }
    }

    fn renamed_here(
        &mut self,
        cx: &mut Context<'a>,
        downloads: &mut Downloads<'a>,
        old: Item,
        item: &Item,
        remote: &RemoteFile,
        now: Stamp,
    ) -> Result<()> {
        let Some(hash) = remote.hash else {
            return Ok(());
        };
        let more = format!("{}, from {}", in_brackets(now.size), old.display_path);
        let report = cx.env.report;
        let details = Details {
            size: Some(now.size),
            from: Some(&old.display_path),
            more: &more,
            ..Details::default()
        };
        report.changed(Change::MoveLocal, &item.display_path, details);
        let read_at_ns = cx.env.host.now_ns();
        let mut base = cx.file_base(item, remote.rev.clone(), hash, now, read_at_ns);
        // It is the same file, and counts as it did under its old name.
        if let (Base::File(new), Some(before)) = (&mut base, old.row.base_file()) {
            new.arrived_in_pass = before.arrived_in_pass;
            new.reappeared = before.reappeared;
            if let Ok(path) = item.path() {
                new.stamp = cx.with_rights(&path, Some(before), now);
            }
        }
        self.gone.note_renamed(old.row.key.clone());
        downloads.publish_moved(cx, old, item.clone(), base)
    }

    /// The new stamp; nothing if the file is another one by now.
    fn rename(
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
