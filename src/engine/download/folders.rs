//! Folders that come down, those on the way to a file too: who may do what with them.

use std::io;

use super::copy_name::{CopyName, report_conflict};
use super::downloads::Downloads;
use super::publish::{local_path, not_stored};
use crate::core::path::{Key, RelPath};
use crate::engine::context::Context;
use crate::engine::item::{Item, Local, Observed};
use crate::error::Result;
use crate::index::{Base, Row};
use crate::io::stat::{FolderRights, Kind, Rights};
use crate::report::{Change, Trouble};

impl<'a> Downloads<'a> {
    /// Keeps the local file as a conflict copy and makes the folder Dropbox has in its place.
    pub(crate) fn set_aside(
        &mut self,
        cx: &mut Context<'a>,
        item: Item,
        observed: Observed,
    ) -> Result<()> {
        let moved = item.path().map_err(io::Error::other).and_then(|target| {
            let copy = self.copy_name(cx, &item, &target, &observed)?;
            if !self.still_is(cx, &target, &observed)? {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            match copy {
                CopyName::Free(copy) => self.disk.rename_new(&target, &copy).map(|()| copy),
                CopyName::Kept(copy) => self.disk.remove_file(&target).map(|()| copy),
            }
        });
        match moved {
            Ok(copy) => {
                let text = format!("Dropbox has a folder; local file kept as {}", copy.name());
                report_conflict(cx, &item, &text);
                self.make_local_folder(
                    cx,
                    Item {
                        local: Local::Gone,
                        ..item
                    },
                )
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let why = "it changed here meanwhile";
                cx.defer(&item, why, why);
                Ok(())
            }
            Err(error) => {
                cx.env.report.problem(
                    &item.display_path,
                    Trouble::of_disk(&error),
                    &error.to_string(),
                );
                Ok(())
            }
        }
    }

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
        let known = known.or(rights.map(unseen));
        let now = self.disk.status(&path).ok().flatten();
        let now = now.map(|status| status.folder_rights());
        item.row.folder_rights = cx.folder_rights_now(&path, known, now);
        self.private_folders
            .note_made(cx, &item.row.key, item.row.folder_rights)?;
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
                Ok(()) => self.durable.touch(&dir, item.device),
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
            let known = rights.map(unseen);
            let now = self.disk.status(path)?.map(|status| status.folder_rights());
            let rights = cx.folder_rights_now(path, known, now);
            let noted = self.private_folders.note_made(cx, &key, rights);
            noted.map_err(io::Error::other)?;
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
}

/// What a folder is to have that was not seen yet.
fn unseen(rights: Rights) -> FolderRights {
    FolderRights {
        rights,
        inode: 0,
        born_ns: None,
    }
}
