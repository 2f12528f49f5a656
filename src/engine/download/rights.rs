//! Who may read and who may change a file that comes down: whoever may what is in its place, and
//! nobody who might not before. Anybody who may write to the directory can have put something
//! there, so the base remembers owner, group and permission bits.

use std::io;

use super::downloads::{Downloads, fresh_temp};
use super::staged::{Existing, StagedFile};
use crate::core::path::RelPath;
use crate::engine::context::Context;
use crate::engine::item::Item;
use crate::error::Result;
use crate::io::disk::Access;
use crate::io::stat::{AccessList, FileAccess, FolderRights, Rights, Stamp};

/// The bits that let a program run as its owner or group.
const SET_ID_BITS: u32 = 0o6000;

impl<'a> Downloads<'a> {
    /// Gives a verified file what it is to have in its place, right before it is put there. One
    /// that is to take the place of a file that is gone by now was changed meanwhile.
    pub(super) fn give_rights(
        &mut self,
        cx: &Context<'_>,
        staged: &mut StagedFile,
        target: &RelPath,
    ) -> io::Result<()> {
        let wanted = match staged.replaces {
            Existing::File(_) | Existing::Kept(_) => self.rights_there(cx, &staged.item, target)?,
            Existing::Nothing | Existing::Tree => match self.own_rights(cx, staged)? {
                Some(wanted) => wanted,
                None => return self.give_owner_of_dir(cx, staged),
            },
        };
        let is_new = matches!(staged.replaces, Existing::Nothing | Existing::Tree)
            && self
                .remembered(cx, &staged.item)
                .map_err(io::Error::other)?
                .is_none();
        // RACE: a folder that is exchanged right now is not noticed.
        let wanted = self
            .private_folders
            .behind(cx, &staged.item, wanted, is_new)?;
        staged.file.set_access(&wanted)?;
        if cx.env.host.is_root() && self.disk.user() != wanted.rights.uid {
            self.tell_other_owner(cx, staged, &wanted)?;
        }
        Ok(())
    }

    /// Root gives no file to anybody but the owner of the content dir.
    fn tell_other_owner(
        &self,
        cx: &Context<'_>,
        staged: &StagedFile,
        wanted: &FileAccess,
    ) -> io::Result<()> {
        let now = staged.file.status()?;
        if now.uid != wanted.rights.uid {
            let text = format!(
                "it belonged to user {}, and belongs to user {} now, as the content dir does: what \
                 root is given by its owner it gives to nobody else",
                wanted.rights.uid, now.uid
            );
            let report = cx.env.report;
            report.remark(log::Level::Info, &staged.item.display_path, &text);
        }
        Ok(())
    }

    /// What a file may have that takes the place of the one at `target`.
    fn rights_there(
        &self,
        cx: &Context<'_>,
        item: &Item,
        target: &RelPath,
    ) -> io::Result<FileAccess> {
        let gone = || io::Error::from(io::ErrorKind::AlreadyExists);
        let status = self.disk.status(target)?.ok_or_else(gone)?;
        if status.mode & SET_ID_BITS != 0 {
            cx.env.report.remark(
                log::Level::Warn,
                &item.display_path,
                "its set-user-id or set-group-id bit is not given to the version from Dropbox",
            );
        }
        let there = match self.disk.access(target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(gone()),
            there => there?,
        };
        let user = self.disk.user();
        let known = match known_rights(item) {
            Some(known) => known,
            // The file of somebody else at a name that was never in step.
            None if there.rights.uid != user => self.new_access(cx, item)?.rights,
            None => there.rights,
        };
        let before = item.row.base_file().map(|base| base.stamp);
        Ok(narrowed(there, known, before, user))
    }

    /// The rights of a file where none is: those it had when it was last in step, else those of
    /// any new file, which it has already unless it was kept private.
    fn own_rights(
        &mut self,
        cx: &Context<'_>,
        staged: &StagedFile,
    ) -> io::Result<Option<FileAccess>> {
        let item = &staged.item;
        if let Some(rights) = self.remembered(cx, item).map_err(io::Error::other)? {
            return Ok(Some(FileAccess::only(rights)));
        }
        if staged.access == Access::Shared {
            return Ok(None);
        }
        let mut new = self.new_access(cx, item)?;
        if is_unknown(item) {
            new.rights = new.rights.narrowed_to(0o700);
            new.list = AccessList::Nothing;
        }
        Ok(Some(new))
    }

    /// As root a new file belongs to whom its directory belongs to.
    fn give_owner_of_dir(&self, cx: &Context<'_>, staged: &mut StagedFile) -> io::Result<()> {
        match self.owner_in(cx, &staged.item)? {
            Some(owner) if cx.env.host.is_root() => staged.file.set_owner(&owner),
            _ => Ok(()),
        }
    }

    /// To whom a new file belongs in its directory: to its owner, unless somebody has put another
    /// directory there.
    fn owner_in(&self, cx: &Context<'_>, item: &Item) -> io::Result<Option<Rights>> {
        let Some(dir) = self.disk.status(&item.dir)? else {
            return Ok(None);
        };
        let row = match item.row.key.parent() {
            Some(key) => cx.env.index.row(&key).map_err(io::Error::other)?,
            None => None,
        };
        let known = row.and_then(|row| row.folder_rights);
        let is_known =
            |known: &FolderRights| known.rights.uid == dir.uid || known.inode == dir.stamp.inode;
        Ok(Some(match known.filter(|known| !is_known(known)) {
            Some(known) => known.rights,
            None => dir.rights(),
        }))
    }

    /// What is remembered of a file that is not here.
    fn remembered(&mut self, cx: &Context<'_>, item: &Item) -> Result<Option<Rights>> {
        match known_rights(item) {
            Some(known) => Ok(Some(known)),
            None => self.origins.of_file(cx, &item.row),
        }
    }

    /// Who may read a file that comes down before it has its rights.
    pub(super) fn access_at_first(
        &mut self,
        cx: &Context<'_>,
        item: &Item,
        replaces: Existing,
    ) -> Result<Access> {
        Ok(match replaces {
            Existing::File(_) | Existing::Kept(_) => Access::Private,
            Existing::Nothing | Existing::Tree if self.private_folders.has(cx, item)? => {
                Access::Private
            }
            Existing::Nothing | Existing::Tree if is_unknown(item) => Access::Private,
            Existing::Nothing | Existing::Tree => match self.remembered(cx, item)? {
                Some(_) => Access::Private,
                None => Access::Shared,
            },
        })
    }

    /// What a new file gets in a directory: umask and directory say so. As root it belongs to whom
    /// its directory belongs to.
    fn new_access(&self, cx: &Context<'_>, item: &Item) -> io::Result<FileAccess> {
        let probe = fresh_temp(cx, &item.dir)?;
        drop(self.disk.create(&probe, Access::Shared)?);
        let found = self.disk.access(&probe);
        self.discard(&probe);
        let mut access = found?;
        if cx.env.host.is_root()
            && let Some(owner) = self.owner_in(cx, item)?
        {
            access.rights = Rights {
                mode: access.rights.mode,
                ..owner
            };
        }
        Ok(access)
    }
}

/// It was in step when nobody kept in mind whom it let in.
fn is_unknown(item: &Item) -> bool {
    item.row.base_file().is_some() && known_rights(item).is_none()
}

fn known_rights(item: &Item) -> Option<Rights> {
    item.row.base_file().and_then(|base| base.stamp.rights)
}

/// What stands there counts if nobody but the owner that was known, or we, can have put it there.
fn narrowed(there: FileAccess, known: Rights, before: Option<Stamp>, user: u32) -> FileAccess {
    let is_same = before.is_some_and(|before| there.is_of(&before));
    let rights = known.or_narrower(there.rights, user, is_same);
    match rights == there.rights && (is_same || before.is_none()) {
        true => there,
        false => FileAccess {
            rights,
            list: AccessList::Nothing,
            ..there
        },
    }
}
