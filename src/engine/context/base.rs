//! What a base remembers of what both sides hold: its stamp, who may do what with it, and when it
//! arrived.

use super::Context;
use crate::core::content_hash::ContentHash;
use crate::core::decide::Side;
use crate::core::path::RelPath;
use crate::core::remote::Rev;
use crate::engine::item::{Item, Local};
use crate::index::{Base, BaseFile};
use crate::io::stat::{FolderRights, Rights, Stamp};

impl<'a> Context<'a> {
    /// A stamp with the rights that are remembered beside it: what is found now, unless somebody
    /// may have put it there.
    pub(crate) fn with_rights(
        &self,
        path: &RelPath,
        before: Option<&BaseFile>,
        stamp: Stamp,
    ) -> Stamp {
        let known = before.and_then(|base| Some((base.stamp.rights?, base.stamp)));
        let rights = match (known, stamp.rights) {
            (Some((known, before)), Some(now)) => Some(self.rights_now(path, known, &before, now)),
            (known, now) => now.or(known.map(|(known, _)| known)),
        };
        Stamp { rights, ..stamp }
    }

    /// The rights that are remembered of the file at `path` that had `known` at the stamp `before`,
    /// and is found with `now`.
    fn rights_now(&self, path: &RelPath, known: Rights, before: &Stamp, now: Rights) -> Rights {
        let disk = self.env.disk;
        let counts = known.or_narrower(now, disk.user(), false);
        if !counts.is_held() {
            return counts;
        }
        // It is looked at closely only where that matters.
        match disk.access(path) {
            Ok(found) if found.rights.mode == now.mode => {
                known.or_narrower(now, disk.user(), found.is_of(before))
            }
            _ => counts,
        }
    }

    /// The rights that are remembered of the folder at `path` that had `known`, and is found with
    /// `now`. The one that was known stays known until another lets in nobody else.
    pub(crate) fn folder_rights_now(
        &self,
        path: &RelPath,
        known: Option<FolderRights>,
        now: Option<FolderRights>,
    ) -> Option<FolderRights> {
        match (known, now) {
            (Some(known), Some(now)) => Some(self.counts(path, known, now).unwrap_or({
                let rights = known.rights.narrowed_to(now.rights.mode);
                FolderRights { rights, ..known }
            })),
            (None, Some(now)) => Some(self.with_birth(path, now)),
            (known, None) => known,
        }
    }

    /// What is remembered of the folder that is here.
    pub(crate) fn folder_rights_of(&self, item: &Item) -> Option<FolderRights> {
        let (known, now) = (item.row.folder_rights, item.local.folder_rights());
        match item.path() {
            Ok(path) => self.folder_rights_now(&path, known, now),
            Err(_) => known,
        }
    }

    /// What is found of a folder, unless it is another one, which lets others in.
    pub(crate) fn counts(
        &self,
        path: &RelPath,
        known: FolderRights,
        now: FolderRights,
    ) -> Option<FolderRights> {
        let rights = known
            .rights
            .or_narrower(now.rights, self.env.disk.user(), false);
        let has_number = now.inode != 0 && now.inode == known.inode;
        match (rights.is_held(), has_number) {
            (false, true) => Some(FolderRights { rights, ..known }),
            (false, false) if now.inode == 0 => Some(FolderRights { rights, ..known }),
            (false, false) => Some(self.with_birth(path, now)),
            (true, false) => None,
            // The number may be that of one that is gone. Only root gives a folder away.
            (true, true) => {
                let found = self.with_birth(path, now);
                let is_owned = now.rights.uid == known.rights.uid || found.born_ns.is_some();
                Some(found).filter(|found| found.born_ns == known.born_ns && is_owned)
            }
        }
    }

    /// A folder that was found, with the time it was made.
    pub(crate) fn with_birth(&self, path: &RelPath, now: FolderRights) -> FolderRights {
        let found = self.env.disk.access(path).ok();
        let found = found.filter(|found| found.stamp.inode == now.inode);
        let born_ns = found.and_then(|found| found.born_ns);
        FolderRights { born_ns, ..now }
    }

    /// A base of what both sides hold now; the content was read from `read_at_ns` on.
    pub(crate) fn file_base(
        &mut self,
        before: &Item,
        rev: Rev,
        hash: ContentHash,
        stamp: Stamp,
        read_at_ns: i128,
    ) -> Base {
        let was_on_both = matches!(
            (before.local, before.row.remote_side()),
            (Local::File(_), Side::File(_))
        );
        let stamp = match before.path() {
            Ok(path) => self.with_rights(&path, before.row.base_file(), stamp),
            Err(_) => stamp,
        };
        let now = self.last_guarded_pass + 1;
        let (arrived_in_pass, reappeared) = match before.row.base_file() {
            Some(base) if was_on_both => (base.arrived_in_pass, base.reappeared),
            Some(_) if self.is_kept_there(before) => (now, false),
            Some(base) => (now, base.reappeared || base.arrived_in_pass < now),
            None => (now, false),
        };
        self.has_arrivals |= arrived_in_pass > self.last_guarded_pass;
        Base::File(BaseFile {
            rev,
            hash,
            stamp,
            racy: self
                .file_clock
                .is_racy(Some(before.device), &stamp, read_at_ns),
            arrived_in_pass,
            reappeared,
        })
    }
}
