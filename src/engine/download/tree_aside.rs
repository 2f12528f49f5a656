//! Local folders that make way for a file of Dropbox: they are kept whole, as conflict copies. One
//! that holds something that is not synced makes none.

use std::io;

use super::copy_name::report_conflict;
use super::downloads::Downloads;
use super::staged::StagedFile;
use crate::core::decide::{Direction, Directions};
use crate::core::own_names::{Owner, is_own_name};
use crate::core::path::{DisplayPath, Key, RelPath};
use crate::engine::context::Context;
use crate::engine::item::{Item, Local, spelling};
use crate::error::Result;
use crate::index::{Base, Row, Trees};
use crate::io::stat::{Kind, Status};
use crate::report::{Trouble, printable};

impl<'a> Downloads<'a> {
    /// Whether a folder can make way for the file that Dropbox has. Deletes come first, which may
    /// leave nothing to be kept. What is in it is new from now on, wherever it goes.
    ///
    /// # Errors
    /// What the index says.
    pub(super) fn can_set_tree_aside(&self, cx: &mut Context<'a>, item: &Item) -> Result<bool> {
        cx.needs_second_round = true;
        if !cx.is_last_chance(Direction::Down) || !may_set_tree_aside(cx, item) {
            return Ok(false);
        }
        cx.flush_settles()?;
        let index = cx.env.index;
        Trees(index).each_below(&item.row.key, &mut |row| forget_base(cx, row))?;
        cx.flush_settles()?;
        Ok(true)
    }

    /// Moves the local folder aside, then the downloaded file into its place.
    pub(super) fn keep_tree(
        &mut self,
        cx: &Context<'a>,
        staged: &mut StagedFile,
        target: &RelPath,
    ) -> io::Result<()> {
        let item = &staged.item;
        // The download may have taken a while.
        if let Some(why) = unmanaged_in(cx, item)? {
            return Err(io::Error::other(said_of_unmanaged(&why)));
        }
        let Some(status) = self.disk.status(target)? else {
            return Err(io::ErrorKind::AlreadyExists.into());
        };
        let kept = self.tree_copy_name(cx, item, status.stamp.mtime_ns)?;
        self.give_rights(cx, staged, target)?;
        let (item, temp) = (&staged.item, &staged.temp);
        // RACE: what is put into it from here on, and is not synced, moves along.
        self.disk.rename_new(target, &kept)?;
        self.disk.rename_new(temp, target).map(|()| {
            let text = format!("Dropbox has a file; local folder kept as {}", kept.name());
            report_conflict(cx, item, &text);
        })
    }
}

fn forget_base(cx: &mut Context<'_>, mut row: Row) -> Result<()> {
    if !row.intact || row.base == Base::None {
        return Ok(());
    }
    row.set_base(Base::None);
    cx.settle(row)
}

/// Whether a folder may make way for a file; says why not.
pub(crate) fn may_set_tree_aside(cx: &Context<'_>, item: &Item) -> bool {
    let text = match unmanaged_in(cx, item) {
        Ok(None) => return true,
        Ok(Some(why)) => said_of_unmanaged(&why),
        Err(error) => format!("Dropbox has a file of this name, and a folder is here: {error}"),
    };
    cx.env
        .report
        .problem(&item.display_path, Trouble::FileMeetsFolder, &text);
    false
}

fn said_of_unmanaged(why: &str) -> String {
    format!("Dropbox has a file of this name, and {why}; both are left alone: rename one")
}

/// Why a local folder makes no way: something in it is not synced under its name, and might be
/// under another one.
fn unmanaged_in(cx: &Context<'_>, item: &Item) -> io::Result<Option<String>> {
    let Local::Folder { mount, device, .. } = item.local else {
        return Ok(None);
    };
    if mount {
        return Ok(Some("a disk is mounted on the folder here".to_owned()));
    }
    let top = item.path().map_err(io::Error::other)?;
    let mut dirs = vec![(top, item.display_path.clone(), item.row.key.path())];
    while let Some((path, display_path, key)) = dirs.pop() {
        let not_synced = |name: &str| {
            let path = printable(&spelling(&path, name));
            format!("the folder here holds {path}, which is not synced")
        };
        let listing = cx.env.disk.list(&path)?;
        cx.check_device(&path, device)?;
        if let Some(odd) = listing.not_utf8.first() {
            return Ok(Some(not_synced(&odd.shown)));
        }
        for name in listing.names.iter() {
            let Some(status) = listing.handle.status(name)? else {
                continue;
            };
            if status.device != device {
                let path = printable(&spelling(&path, name));
                return Ok(Some(format!("a disk is mounted on {path} here")));
            }
            let display_path = display_path.join(name);
            let key = Key::in_dir(&key, name);
            let local_path = spelling(&path, name);
            if !is_managed(cx, name, &display_path, &local_path, &key, &status) {
                return Ok(Some(not_synced(name)));
            }
            if status.kind == Kind::Folder {
                let path = path.join(name).map_err(io::Error::other)?;
                dirs.push((path, display_path, key.path()));
            }
        }
    }
    Ok(None)
}

fn is_managed(
    cx: &Context<'_>,
    name: &str,
    display_path: &DisplayPath,
    local_path: &str,
    key: &Key,
    status: &Status,
) -> bool {
    if is_own_name(name) {
        // What a pass of ours has left is as good as gone.
        let left = cx.env.instance.leftover(name);
        return left.is_some_and(|left| matches!(left.owner, Owner::Us));
    }
    let is_folder = status.kind == Kind::Folder;
    if cx.prunes((display_path, local_path), key, is_folder) {
        return false;
    }
    let allows = || {
        let filter = &cx.env.config.sync.filter;
        filter.allows_both(display_path, local_path)
    };
    match status.kind {
        Kind::Folder => true,
        Kind::File if cx.is_too_large(status.stamp.size) => false,
        Kind::File => Directions::of(cx.options.mode, allows()) != Directions::Neither,
        Kind::Link | Kind::Special(_) => false,
    }
}
