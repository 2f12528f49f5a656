//! Who may read and who may change a file that comes down: whoever may what is in its place, and
//! nobody who might not before. Anybody who may write to the directory can have put something
//! there, so the base remembers owner, group and permission bits.

use std::io;

use super::downloads::{Downloads, fresh_temp};
use super::staged::{Existing, StagedFile};
use crate::core::path::RelPath;
use crate::engine::context::Context;
use crate::engine::item::Item;
use crate::io::disk::Access;
use crate::io::stat::{AccessList, FileAccess, Rights};

/// The bits that let a program run as its owner or group.
const SET_ID_BITS: u32 = 0o6000;

impl<'a> Downloads<'a> {
    /// Gives a verified file what it is to have in its place, right before it is put there. One
    /// that is to take the place of a file that is gone by now was changed meanwhile.
    pub(super) fn give_rights(
        &self,
        cx: &Context<'_>,
        staged: &mut StagedFile,
        target: &RelPath,
    ) -> io::Result<()> {
        match staged.replaces {
            Existing::File(_) | Existing::Kept(_) => {
                let wanted = self.rights_there(cx, &staged.item, target)?;
                staged.file.set_access(&wanted)
            }
            Existing::Nothing | Existing::Tree => self.give_own_rights(cx, staged),
        }
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
            None if there.rights.uid != user => self.new_access(cx, &item.dir)?.rights,
            None => there.rights,
        };
        Ok(narrowed(there, known, user))
    }

    /// The rights of a file where none is: those it had when it was last in step, else those of
    /// any new file.
    fn give_own_rights(&self, cx: &Context<'_>, staged: &mut StagedFile) -> io::Result<()> {
        if let Some(rights) = known_rights(&staged.item) {
            return staged.file.set_access(&FileAccess {
                rights,
                list: AccessList::AsMade,
                is_alone: true,
            });
        }
        match staged.access {
            Access::Private => {
                let new = self.new_access(cx, &staged.item.dir)?;
                staged.file.set_access(&new)
            }
            Access::Shared if cx.env.host.is_root() => match self.disk.status(&staged.item.dir)? {
                Some(dir) => staged.file.set_owner(&Rights {
                    mode: 0,
                    uid: dir.uid,
                    gid: dir.gid,
                }),
                None => Ok(()),
            },
            Access::Shared => Ok(()),
        }
    }

    /// What a new file gets in a directory: umask and directory say so. As root it belongs to whom
    /// its directory belongs to.
    fn new_access(&self, cx: &Context<'_>, dir: &RelPath) -> io::Result<FileAccess> {
        let probe = fresh_temp(cx, dir)?;
        drop(self.disk.create(&probe, Access::Shared)?);
        let found = self.disk.access(&probe);
        self.discard(&probe);
        let mut access = found?;
        if cx.env.host.is_root()
            && let Some(dir) = self.disk.status(dir)?
        {
            access.rights.uid = dir.uid;
            access.rights.gid = dir.gid;
        }
        Ok(access)
    }
}

/// Who may read a file that comes down before it has its rights.
pub(super) fn access_at_first(item: &Item, replaces: Existing) -> Access {
    match replaces {
        Existing::File(_) | Existing::Kept(_) => Access::Private,
        Existing::Nothing | Existing::Tree if known_rights(item).is_some() => Access::Private,
        Existing::Nothing | Existing::Tree => Access::Shared,
    }
}

fn known_rights(item: &Item) -> Option<Rights> {
    item.row.base_file().and_then(|base| base.stamp.rights)
}

/// What stands there counts if nobody but the owner that was known, or we, can have put it there.
fn narrowed(there: FileAccess, known: Rights, user: u32) -> FileAccess {
    let rights = match there.is_alone {
        true => known.or_narrower(there.rights, user),
        // A link to something else.
        false => known.narrowed_to(there.rights.mode),
    };
    match rights == there.rights {
        true => there,
        false => FileAccess {
            rights,
            list: AccessList::AsMade,
            is_alone: true,
        },
    }
}
