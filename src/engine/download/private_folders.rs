//! Folders that keep some out of all that is in them. One that was exchanged for another, which
//! lets them in, must not show them what comes into it.

use std::io;

use crate::core::path::{Key, RelPath};
use crate::engine::context::Context;
use crate::engine::item::Item;
use crate::error::Result;
use crate::io::stat::{AccessList, FileAccess, FolderRights, Kind, Rights};
use crate::report::Trouble;

/// Folders that keep some out, as they were known.
#[derive(Default)]
pub(crate) struct PrivateFolders {
    /// Some were made in this pass: the tables of the pass have them.
    has_made: bool,
    /// Of the directory asked about last.
    last: Option<KeepingOut>,
}

/// The folders that keep some out of a directory: it itself, and those it lies in.
struct KeepingOut {
    dir: Option<Key>,
    folders: Vec<(RelPath, FolderRights)>,
}

impl PrivateFolders {
    /// A folder was made in this pass: the index does not tell yet whom it lets in.
    pub(super) fn note_made(
        &mut self,
        cx: &Context<'_>,
        key: &Key,
        rights: Option<FolderRights>,
    ) -> Result<()> {
        self.last = None;
        match rights.filter(|known| known.rights.keeps_out()) {
            Some(rights) => {
                self.has_made = true;
                cx.tables()?.add_private(key, &rights)
            }
            None => Ok(()),
        }
    }

    /// Whether some are to be kept out of the directory of an item.
    pub(crate) fn has(&mut self, cx: &Context<'_>, item: &Item) -> Result<bool> {
        Ok(!self.keeping_out(cx, item)?.is_empty())
    }

    fn keeping_out(&mut self, cx: &Context<'_>, item: &Item) -> Result<&[(RelPath, FolderRights)]> {
        let parent = item.row.key.parent();
        if self.last.as_ref().is_none_or(|last| last.dir != parent) {
            let mut folders = Vec::new();
            let (mut above, mut dir) = (item.row.key.parent(), item.dir.clone());
            while let Some(key) = above.filter(|_| !dir.is_root()) {
                let made = match self.has_made {
                    true => cx.tables()?.private(&key)?,
                    false => None,
                };
                let known = match made {
                    Some(made) => Some(made),
                    None => cx.env.index.row(&key)?.and_then(|row| row.folder_rights),
                };
                if let Some(known) = known.filter(|known| known.rights.keeps_out()) {
                    folders.push((dir.clone(), known));
                }
                (above, dir) = (key.parent(), dir.parent());
            }
            self.last = Some(KeepingOut {
                dir: parent,
                folders,
            });
        }
        Ok(self.last.as_ref().map_or(&[], |found| &found.folders))
    }

    /// The folders an item lies in, as they were known, that are other ones now and let others in.
    pub(crate) fn opened(
        &mut self,
        cx: &Context<'_>,
        item: &Item,
    ) -> Result<Vec<(RelPath, Rights)>> {
        let disk = cx.env.disk;
        let mut opened = Vec::new();
        for (dir, known) in self.keeping_out(cx, item)? {
            let status = disk.status(dir).ok().flatten();
            let now = status.filter(|status| status.kind == Kind::Folder);
            let counts = |now: FolderRights| cx.counts(dir, *known, now).is_some();
            if !now.is_some_and(|now| counts(now.folder_rights())) {
                opened.push((dir.clone(), known.rights));
            }
        }
        Ok(opened)
    }

    /// What a file gets in a directory that others have opened: it lets in nobody whom the folders
    /// kept out that were there.
    pub(super) fn behind(
        &mut self,
        cx: &Context<'_>,
        item: &Item,
        access: FileAccess,
        is_new: bool,
    ) -> io::Result<FileAccess> {
        let opened = self.opened(cx, item).map_err(io::Error::other)?;
        let mut rights = access.rights;
        if let (true, Some((_, known))) = (is_new, opened.first()) {
            (rights.uid, rights.gid) = (known.uid, known.gid);
        }
        for (dir, known) in &opened {
            rights = rights.behind(*known);
            let text = format!(
                "it is not the folder that was here, and lets others in: files that come into it \
                 are kept from them. If it is to stay, give it the permissions that one had: \
                 chmod {:o}",
                known.mode & 0o777,
            );
            cx.env.report.problem(&dir.slashed(), Trouble::Other, &text);
        }
        match opened.is_empty() {
            true => Ok(access),
            false => Ok(FileAccess {
                rights,
                list: AccessList::Nothing,
                ..access
            }),
        }
    }
}
