//! Folders that come down, those on the way to a file too: who may do what with them.

use std::io;

use super::downloads::Downloads;
use super::publish::{local_path, not_stored};
use crate::core::path::{Key, RelPath};
use crate::engine::context::Context;
use crate::engine::item::Item;
use crate::error::Result;
use crate::index::{Base, Row};
use crate::io::stat::{FileAccess, FolderRights, Kind, Rights};
use crate::report::{Change, printable};

/// The folders that keep some out of a directory.
pub(crate) struct KeepingOut {
    dir: Key,
    /// Those it lies in, and it itself, as they were known.
    folders: Vec<(RelPath, FolderRights)>,
}

impl<'a> Downloads<'a> {
    /// Makes a folder Dropbox has.
    pub(crate) fn make_local_folder(&mut self, cx: &mut Context<'a>, mut item: Item) -> Result<()> {
        let Some(path) = local_path(cx, &item) else {
            return Ok(());
        };
        if !self.ensure_dir(cx, &item) {
            return Ok(());
        }
        let rights = self.rights_for(cx, &item.row, &item.dir)?;
        let made = cx
            .check_device(&item.dir, item.device)
            .and_then(|()| self.disk.make_dir(&path, rights.as_ref()));
        match made {
            Ok(()) => cx
                .env
                .report
                .changed(Change::MakeLocalFolder, &item.display_path, ""),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                not_stored(cx, &item.display_path, &error);
                return Ok(());
            }
        }
        self.durable.touch(&item.dir, item.device);
        let known = item.row.folder_rights;
        let known = known.or(rights.map(|rights| FolderRights { rights, inode: 0 }));
        let now = self.disk.status(&path).ok().flatten();
        let now = now.map(|status| status.folder_rights());
        item.row.folder_rights = cx.folder_rights_now(known, now);
        self.note_made(&item.row.key, item.row.folder_rights);
        // Settled once it is durable: a lost folder must not look like a removed one.
        self.publish_queue.renamed.push((item, Base::Folder));
        self.publish_if_full(cx)
    }

    /// Makes the directories a download needs.
    pub(crate) fn ensure_dir(&mut self, cx: &mut Context<'a>, item: &Item) -> bool {
        if let Ok(Some(status)) = self.disk.status(&item.dir)
            && status.kind == Kind::Folder
        {
            return true;
        }
        let mut dir = RelPath::root();
        for component in item.dir.components() {
            let Ok(next) = dir.join(component) else {
                return false;
            };
            let made = self.make_on_the_way(cx, &dir, &next);
            match made {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    not_stored(cx, &item.display_path, &error);
                    return false;
                }
            }
            dir = next;
        }
        true
    }

    fn make_on_the_way(
        &mut self,
        cx: &mut Context<'a>,
        parent: &RelPath,
        path: &RelPath,
    ) -> io::Result<()> {
        let key = Key::of(path.as_str());
        let row = cx.env.index.row(&key).ok().flatten();
        let row = row.unwrap_or_else(|| Row::new(key.clone(), path.name()));
        let rights = self
            .rights_for(cx, &row, parent)
            .map_err(io::Error::other)?;
        self.disk.make_dir(path, rights.as_ref())?;
        if row.folder_rights.is_none() {
            let known = rights.map(|rights| FolderRights { rights, inode: 0 });
            let now = self.disk.status(path)?.map(|status| status.folder_rights());
            self.note_made(&key, cx.folder_rights_now(known, now));
        }
        Ok(())
    }

    /// What a folder gets that is made: what it had, or what those had from which its files come.
    fn rights_for(
        &mut self,
        cx: &mut Context<'a>,
        row: &Row,
        parent: &RelPath,
    ) -> Result<Option<Rights>> {
        match (&row.base, row.folder_rights) {
            (Base::Folder, Some(known)) => Ok(Some(known.rights)),
            // Nobody knows whom it let in.
            (Base::Folder, None) => {
                let parent = self.disk.status(parent).map_err(|error| error.to_string());
                Ok(parent.ok().flatten().map(|parent| Rights {
                    mode: 0o700,
                    ..parent.rights()
                }))
            }
            _ => self.origins.of_folder(cx, &row.key),
        }
    }

    /// A folder was made in this pass: the index does not tell yet whom it lets in.
    fn note_made(&mut self, key: &Key, rights: Option<FolderRights>) {
        self.keeping_out = None;
        if let Some(rights) = rights.filter(|known| known.rights.keeps_out()) {
            self.made_private.insert(key.clone(), rights);
        }
    }

    /// Whether some are to be kept out of the directory of an item.
    pub(crate) fn is_kept_out(&mut self, cx: &Context<'_>, item: &Item) -> Result<bool> {
        Ok(!self.keeping_out(cx, item)?.is_empty())
    }

    fn keeping_out(&mut self, cx: &Context<'_>, item: &Item) -> Result<&[(RelPath, FolderRights)]> {
        let parent = item.row.key.parent().unwrap_or_default();
        if self
            .keeping_out
            .as_ref()
            .is_none_or(|last| last.dir != parent)
        {
            let mut folders = Vec::new();
            let (mut above, mut dir) = (item.row.key.parent(), item.dir.clone());
            while let Some(key) = above.filter(|_| !dir.is_root()) {
                let known = match self.made_private.get(&key) {
                    Some(made) => Some(*made),
                    None => cx.env.index.row(&key)?.and_then(|row| row.folder_rights),
                };
                if let Some(known) = known.filter(|known| known.rights.keeps_out()) {
                    folders.push((dir.clone(), known));
                }
                (above, dir) = (key.parent(), dir.parent());
            }
            self.keeping_out = Some(KeepingOut {
                dir: parent,
                folders,
            });
        }
        Ok(self
            .keeping_out
            .as_ref()
            .map_or(&[], |found| &found.folders))
    }

    /// The folders an item lies in, as they were known, that are other ones now and let others in.
    pub(crate) fn opened_folders(
        &mut self,
        cx: &Context<'_>,
        item: &Item,
    ) -> Result<Vec<(RelPath, Rights)>> {
        let disk = self.disk;
        let mut opened = Vec::new();
        for (dir, known) in self.keeping_out(cx, item)? {
            let status = disk.status(dir).ok().flatten();
            let now = status.filter(|status| status.kind == Kind::Folder);
            let is_opened = |now: FolderRights| known.is_opened_by(now, disk.user());
            if now.is_none_or(|now| is_opened(now.folder_rights())) {
                opened.push((dir.clone(), known.rights));
            }
        }
        Ok(opened)
    }

    /// What a file gets in a directory that others have opened: it lets in nobody whom the folders
    /// kept out that were there.
    pub(super) fn behind_folders(
        &mut self,
        cx: &Context<'_>,
        item: &Item,
        access: FileAccess,
    ) -> io::Result<FileAccess> {
        let opened = self.opened_folders(cx, item).map_err(io::Error::other)?;
        let mut rights = access.rights;
        for (dir, known) in &opened {
            rights = rights.behind(*known);
            if self.told_opened.insert(dir.clone()) {
                let text = format!(
                    "the folder {} is not the one that was here, and lets others in: what comes \
                     into it is kept from them. If it is yours and is to stay, give it the \
                     permissions that one had: chmod {:o}",
                    printable(dir.as_str()),
                    known.mode & 0o777,
                );
                let report = cx.env.report;
                report.remark(log::Level::Warn, &item.display_path, &text);
            }
        }
        match opened.is_empty() {
            true => Ok(access),
            false => Ok(FileAccess {
                rights,
                list: crate::io::stat::AccessList::Nothing,
                ..access
            }),
        }
    }
}
