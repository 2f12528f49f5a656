//! Folders to delete: after all that is in them, the deepest first, and only if they are empty now.

use super::deletes::{Deletes, Lag};
use super::fresh_look::FreshLook;
use super::guard::is_due;
use super::not_found::stays;
use crate::core::decide::Direction;
use crate::core::path::Key;
use crate::core::remote::RemotePath;
use crate::dropbox::retry::{CallError, LAG_TIME};
use crate::engine::context::Context;
use crate::engine::item::{Delete, Item};
use crate::engine::remembered::{reason_of, trouble_of};
use crate::engine::revisit::Revisit;
use crate::error::Result;
use crate::index::Base;
use crate::report::{Change, Trouble};

/// What became of a folder that was to go from Dropbox.
#[derive(Clone, Copy)]
enum Emptied {
    /// It was empty, and is gone.
    Gone,
    /// Something is in it.
    Holds,
    /// Dropbox tells of something in it that may be what this pass has just deleted.
    MayHold,
}

impl<'a> Deletes<'a> {
    /// A folder goes once what is in it is gone.
    pub(super) fn add_folder(&mut self, cx: &mut Context<'a>, folder: Delete) -> Result<()> {
        self.folders.push(folder);
        if self.folders.len() < cx.env.batch_max() {
            return Ok(());
        }
        self.doom_kept(cx)
    }

    /// What there is no memory for is known by its key, and looked at again.
    fn doom_kept(&mut self, cx: &mut Context<'a>) -> Result<()> {
        self.are_doomed = true;
        let tables = cx.tables()?;
        std::mem::take(&mut self.folders)
            .iter()
            .try_for_each(|folder| tables.doom(folder.direction, &folder.item.row.key))
    }

    /// The folders above a key go, too, if they are to be deleted and hold nothing any more.
    ///
    /// # Errors
    /// What SQLite says.
    pub(crate) fn doom_above(
        &mut self,
        cx: &Context<'a>,
        direction: Direction,
        key: &Key,
    ) -> Result<()> {
        self.are_doomed = true;
        let mut above = key.parent();
        while let Some(key) = above {
            cx.tables()?.doom(direction, &key)?;
            above = key.parent();
        }
        Ok(())
    }

    /// Deletes the folders that were added, as far as they are empty, the deepest first.
    ///
    /// # Errors
    /// Whatever ends the pass.
    pub(crate) fn delete_folders(&mut self, cx: &mut Context<'a>) -> Result<()> {
        if !self.are_doomed {
            let mut folders = std::mem::take(&mut self.folders);
            folders.sort_by_cached_key(|folder| {
                let key = &folder.item.row.key;
                (std::cmp::Reverse(key.depth()), key.path())
            });
            return self.delete_these(cx, folders);
        }
        self.doom_kept(cx)?;
        self.are_doomed = false;
        for direction in [Direction::Up, Direction::Down] {
            loop {
                let keys = cx.tables()?.take_doomed(direction, cx.env.batch_max())?;
                if keys.is_empty() {
                    break;
                }
                // What is in them is gone.
                cx.flush_settles()?;
                let mut revisit = Revisit::default();
                let mut folders = Vec::new();
                for key in &keys {
                    let folder = revisit.delete(cx, direction, key)?;
                    let folder = folder.filter(|folder| {
                        folder.item.row.base == Base::Folder && !cx.is_halted(direction)
                    });
                    if let Some(folder) = folder
                        && !cx.is_refused(&folder.item)
                        && is_due(cx, &folder)?
                    {
                        folders.push(folder);
                    }
                }
                self.delete_these(cx, folders)?;
            }
        }
        Ok(())
    }

    fn delete_these(&mut self, cx: &mut Context<'a>, folders: Vec<Delete>) -> Result<()> {
        let (remote, local): (Vec<_>, Vec<_>) = folders
            .into_iter()
            .partition(|delete| delete.direction == Direction::Up);
        for delete in self.delete_empty_trees(cx, remote)? {
            self.delete_remote_folder(cx, delete)?;
        }
        for delete in local {
            self.delete_local_folder(cx, delete)?;
        }
        self.settle_removed(cx)?;
        cx.flush_settles()
    }

    fn delete_remote_folder(&mut self, cx: &mut Context<'a>, delete: Delete) -> Result<()> {
        let mut item = delete.item;
        if cx.ends_step(&item) {
            return Ok(());
        }
        if !FreshLook::default().at(cx, &item)?.lets_go(cx, &item) {
            return Ok(());
        }
        let path = cx.env.remote_root.of_row(&item.row);
        let mut answer = self.empty_folder_deleted(cx, &item, &path)?;
        if matches!(&answer, Err(CallError::Refused(error)) if error.has("not_found")) {
            item = match self.still_there(cx, item, &path)? {
                Some(item) => item,
                None => return Ok(()),
            };
            answer = self.empty_folder_deleted(cx, &item, &path)?;
        }
        match answer {
            Ok(Emptied::MayHold) => {
                // The next pass knows what is new in it, if it is that.
                let text = "not empty in Dropbox yet: it is looked at again in the next run";
                let report = cx.env.report;
                report.remark(log::Level::Info, &item.display_path, text);
                Ok(())
            }
            Ok(Emptied::Gone) => self.deleted_in_dropbox(cx, item, "(empty folder)"),
            Ok(Emptied::Holds) => {
                // Something unmanaged or new is in it, so it stays, and with it the folder here. A
                // file here clashes with it from now on.
                let (report, path) = (cx.env.report, &item.display_path);
                report.remark(
                    log::Level::Info,
                    path,
                    "not empty in Dropbox: it stays there",
                );
                let mut row = item.row;
                row.set_base(Base::None);
                cx.settle(row)
            }
            Err(CallError::Refused(error)) if error.has("not_found") => {
                stays(cx, &item);
                Ok(())
            }
            Err(CallError::ServerError(text)) => {
                let text = format!("folder not deleted in Dropbox: {text}");
                cx.note_server_error(self.api, &item, &text)
            }
            Err(CallError::Refused(error)) => {
                let text = format!("folder not deleted in Dropbox: {}", error.text());
                cx.env
                    .report
                    .problem(&item.display_path, trouble_of(&error), &text);
                cx.remember(&item, reason_of(&error), &text);
                Ok(())
            }
            Err(error) => Err(error.into_error("delete a folder")),
        }
    }

    /// Deletes a folder in Dropbox if it is empty there.
    fn empty_folder_deleted(
        &mut self,
        cx: &mut Context<'a>,
        item: &Item,
        path: &RemotePath,
    ) -> Result<std::result::Result<Emptied, CallError>> {
        let or = |otherwise| move |is_gone| if is_gone { Emptied::Gone } else { otherwise };
        match self.api.delete_empty_folder(path) {
            Ok(false) if self.lag != Lag::None => {}
            answer => return Ok(answer.map(or(Emptied::Holds))),
        }
        if self.lag == Lag::WaitedFor {
            return Ok(Ok(Emptied::MayHold));
        }
        cx.flush_settles()?;
        let known = cx.env.index.subtree_totals(&item.row.key.path())?;
        if known.entries > 0 {
            return Ok(Ok(Emptied::Holds));
        }
        self.lag = Lag::WaitedFor;
        cx.env.deadline.sleep(LAG_TIME)?;
        Ok(self.api.delete_empty_folder(path).map(or(Emptied::MayHold)))
    }

    fn delete_local_folder(&mut self, cx: &mut Context<'a>, delete: Delete) -> Result<()> {
        let item = delete.item;
        let Ok(path) = item.path() else {
            return Ok(());
        };
        let is_empty = match self.disk.list(&path) {
            Ok(listed) => listed.names.is_empty() && listed.not_utf8.is_empty(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
            Err(error) => {
                folder_stays(cx, &item.display_path, &error);
                return Ok(());
            }
        };
        if !is_empty {
            return not_empty(cx, item);
        }
        match self.disk.remove_dir(&path) {
            Ok(()) => {
                cx.env
                    .report
                    .changed(Change::DeleteLocal, &item.display_path, "(empty folder)");
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            // Something has come since the look.
            Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => {
                return not_empty(cx, item);
            }
            Err(error) => {
                folder_stays(cx, &item.display_path, &error);
                return Ok(());
            }
        }
        self.durable.rename_in(&item.dir, item.device);
        self.removed.push(item.row);
        Ok(())
    }
}

/// A folder that holds something stays here. A file in Dropbox clashes with it from now on.
fn not_empty(cx: &mut Context<'_>, item: Item) -> Result<()> {
    if item.row.remote_file().is_none() {
        return Ok(());
    }
    let mut row = item.row;
    row.set_base(Base::None);
    cx.settle(row)
}

fn folder_stays(cx: &Context<'_>, display_path: &str, error: &std::io::Error) {
    let text = match error.kind() {
        std::io::ErrorKind::ResourceBusy => {
            "folder not deleted: a disk is mounted on it".to_owned()
        }
        _ => format!("folder not deleted: {error}"),
    };
    cx.env
        .report
        .problem(display_path, Trouble::of_disk(error), &text);
}
