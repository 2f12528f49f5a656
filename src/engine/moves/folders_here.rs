//! Folders that were only moved in Dropbox are moved here as one: nothing in them is read, and
//! nothing is fetched.
//!
//! The folder that Dropbox has no more is known by the files that are in the new one, by their
//! names and contents. It is moved only where all that lies in it here is in step: what is not
//! managed, or was edited, stays where it is, and all else is moved file by file ([`super::here`]).

use super::folders::{LocalPaths, key_below};
use super::renames::Renames;
use crate::core::decide::Direction;
use crate::core::path::{Key, RelPath, below};
use crate::engine::context::Context;
use crate::engine::download::Downloads;
use crate::engine::download::publish::local_path;
use crate::engine::item::{Item, Local};
use crate::engine::local_dir::{LocalDir, display_path_of, find_local_dir};
use crate::error::Result;
use crate::index::{Base, Remote, Row, Trees};
use crate::io::stat::Kind;
use crate::report::{Change, printable};

/// LIMIT: files of a new folder by which the one that is gone is looked for.
const ASKED_ABOUT_MAX: usize = 16;

/// A folder here that Dropbox has under another name.
struct Tree {
    key: Key,
    row: Row,
    path: RelPath,
    /// The device it is on.
    device: u64,
    files: u64,
}

impl<'a> Renames<'a> {
    /// Gives the local folder that `item`, which is new in Dropbox, was before its new name; says
    /// whether there was one.
    ///
    /// # Errors
    /// Whatever ends the pass.
    pub(crate) fn rename_folder_here(
        &mut self,
        cx: &mut Context<'a>,
        downloads: &mut Downloads<'a>,
        item: &Item,
    ) -> Result<bool> {
        let is_new = item.local == Local::Gone && item.row.base == Base::None;
        if !is_new || !cx.had_base || !cx.may(Direction::Down) || !cx.has_gone_there()? {
            return Ok(false);
        }
        cx.flush_settles()?;
        let Some(tree) = find(cx, &item.row.key)? else {
            return Ok(false);
        };
        let Some(to) = local_path(cx, item) else {
            return Ok(false);
        };
        // What came down before has to be settled first: it may lie in the folder.
        downloads.finish_publishing(cx)?;
        cx.flush_settles()?;
        if !downloads.ensure_dir(cx, item)
            || !downloads.private_folders.opened(cx, item)?.is_empty()
        {
            return Ok(false);
        }
        let renamed = cx
            .check_device(&tree.path.parent(), tree.device)
            .and_then(|()| cx.check_device(&item.dir, tree.device))
            .and_then(|()| self.disk.rename_new(&tree.path, &to));
        if let Err(error) = renamed {
            let path = printable(&item.display_path);
            log::debug!("{path}: not moved as one: {error}");
            return Ok(false);
        }
        // RACE: what is edited in it between the look and this goes along, and is seen as an edit.
        downloads
            .durable
            .rename_in(&tree.path.parent(), tree.device);
        downloads.durable.rename_in(&item.dir, tree.device);
        downloads.durable.sync(cx)?;
        settle(cx, &tree, item)?;
        let from = display_path_of(cx, &tree.key.dir)?.unwrap_or_default();
        let from = from.join(&tree.row.display_name);
        let report = cx.env.report;
        report.moved(
            Change::MoveLocal,
            &item.display_path,
            &from,
            true,
            tree.files,
        );
        Ok(true)
    }
}

/// The rows get their new keys: what is in the folder is the base that both sides agreed on, and
/// Dropbox holds what it was seen to hold under the new name.
fn settle(cx: &Context<'_>, tree: &Tree, item: &Item) -> Result<()> {
    let index = cx.env.index;
    let mut change = |old: Row, there: Option<Row>| {
        let local_name = match old.key == item.row.key {
            true => item.name.clone(),
            false => old.local_name().to_owned(),
        };
        let mut row = there.unwrap_or_else(|| Row::new(old.key.clone(), &old.display_name));
        let seen = row.remote_now();
        row.base = old.base;
        row.folder_rights = old.folder_rights;
        row.local = (local_name != row.display_name).then_some(local_name);
        row.set_remote(seen);
        row
    };
    index.transaction(|| Trees(index).rekey(&tree.key, &item.row.key, &mut change))
}

/// The folder that is gone in Dropbox and is all here as it was, of which most files are in the new
/// one by their names and contents.
fn find(cx: &Context<'_>, new: &Key) -> Result<Option<Tree>> {
    let Some(key) = candidate(cx, new)? else {
        return Ok(None);
    };
    let is_gone = |row: &Row| {
        row.intact && row.base == Base::Folder && row.remote == Remote::Gone && !row.mount
    };
    let Some(row) = cx.env.index.row(&key)?.filter(is_gone) else {
        return Ok(None);
    };
    let LocalDir::Present(path, device) = find_local_dir(cx, &key.path())? else {
        return Ok(None);
    };
    if is_kept_from_some(cx, &key)? {
        return Ok(None);
    }
    let (old, own_keys) = (key.path(), &cx.env.own_keys);
    if own_keys.iter().any(|own| below(own, &old).is_some()) {
        return Ok(None);
    }
    let mut look = LocalLook {
        cx,
        new: new.path(),
        old: key.path(),
        paths: LocalPaths::new(&key, path.clone()),
        device,
        files: 0,
        alike: 0,
        is_whole: true,
    };
    look.count_names(&key.path())?;
    Trees(cx.env.index).each_below(&key, &mut |row| look.row(&row))?;
    let LocalLook {
        files,
        alike,
        is_whole,
        ..
    } = look;
    let is_it = is_whole && files > 0 && alike * 2 >= files;
    Ok(is_it.then_some(Tree {
        key,
        row,
        path,
        device,
        files,
    }))
}

/// The folder that one of the new files lay in, as far as its name and content tell.
fn candidate(cx: &Context<'_>, new: &Key) -> Result<Option<Key>> {
    let (new, mut found, mut asked) = (new.path(), None, 0);
    let key = Key::of(&new);
    Trees(cx.env.index).each_below_until(&key, &mut |row| {
        let Some(hash) = row.remote_file().and_then(|file| file.hash) else {
            return Ok(true);
        };
        asked += 1;
        let path = row.key.path();
        let rest = below(&path, &new).unwrap_or_default();
        if let Some(gone) = cx.tables()?.gone_there_like(hash, &row.key.name)?
            && let Some(folder) = gone.path().strip_suffix(rest)
            && let Some(folder) = folder.strip_suffix('/')
        {
            let is_apart = below(folder, &new).is_none() && below(&new, folder).is_none();
            found = is_apart.then(|| Key::of(folder));
        }
        Ok(found.is_none() && asked < ASKED_ABOUT_MAX)
    })?;
    Ok(found)
}

/// Whether a folder that this one lies in keeps some out of it: elsewhere they would be let in.
fn is_kept_from_some(cx: &Context<'_>, key: &Key) -> Result<bool> {
    let mut above = key.parent();
    while let Some(key) = above {
        let known = cx.env.index.row(&key)?.and_then(|row| row.folder_rights);
        if known.is_some_and(|known| known.rights.keeps_out()) {
            return Ok(true);
        }
        above = key.parent();
    }
    Ok(false)
}

/// What lies here in a folder that is gone in Dropbox.
struct LocalLook<'l, 'a> {
    cx: &'l Context<'a>,
    /// The keys of the new folder and of the old one.
    new: String,
    old: String,
    paths: LocalPaths,
    device: u64,
    files: u64,
    /// Files that the new folder has, too.
    alike: u64,
    is_whole: bool,
}

impl LocalLook<'_, '_> {
    /// One row below the folder.
    fn row(&mut self, row: &Row) -> Result<()> {
        if !self.is_whole {
            return Ok(());
        }
        let cx = self.cx;
        cx.env.deadline.check()?;
        let is_gone = row.intact && row.remote == Remote::Gone && !row.mount;
        let path = self.paths.of(cx, row)?;
        let status = path.and_then(|path| cx.env.disk.status(&path).ok().flatten());
        let status = status.filter(|status| status.device == self.device);
        let is_in_step = match (&row.base, status) {
            (Base::Folder, Some(status)) => status.kind == Kind::Folder,
            (Base::File(base), Some(status)) => {
                status.kind == Kind::File && status.stamp == base.stamp && !base.racy
            }
            (Base::None, _) | (_, None) => false,
        };
        self.is_whole = is_gone && is_in_step;
        if !self.is_whole {
            return Ok(());
        }
        let key = row.key.path();
        let rest = below(&key, &self.old).unwrap_or_default().to_owned();
        let there = cx.env.index.row(&key_below(&self.new, &rest))?;
        let there = there.filter(|there| there.intact);
        self.is_whole = match &there {
            // Something else that is there is not ours to move onto.
            Some(there) => there.base == Base::None && !there.mount,
            None => true,
        };
        let filter = &cx.env.config.sync.filter;
        if !filter.takes_everything() || cx.env.config.sync.max_file_size.is_some() {
            let shown = match &there {
                Some(there) => {
                    display_path_of(cx, &there.key.dir)?.map(|dir| dir.join(&there.display_name))
                }
                None => None,
            };
            let size = row.base_file().map_or(0, |base| base.stamp.size);
            let is_folder = row.base == Base::Folder;
            self.is_whole &= shown.is_some_and(|shown| filter.allows_as(&shown, is_folder).down);
            self.is_whole &= !cx.is_too_large(size);
        }
        match &row.base {
            Base::File(base) => {
                self.files += 1;
                let hash = there.and_then(|there| there.remote_file()?.hash);
                self.alike += u64::from(hash == Some(base.hash));
                Ok(())
            }
            Base::Folder => self.count_names(&key),
            Base::None => Ok(()),
        }
    }

    /// Whether a directory holds as much as its rows say: what is in it that has none is not
    /// managed.
    fn count_names(&mut self, dir: &str) -> Result<()> {
        let rows = Trees(self.cx.env.index).count_in_dir(dir)?;
        let Some(path) = self.paths.dir(self.cx, dir)? else {
            self.is_whole = false;
            return Ok(());
        };
        let listed = self.cx.env.disk.list(path);
        let names = listed.map(|listed| listed.names.iter().count() as u64);
        self.is_whole &= names.is_ok_and(|names| names == rows);
        Ok(())
    }
}
