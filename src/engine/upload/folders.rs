//! Folders in Dropbox: those that uploads make on their way, and those that must be asked for.

use std::collections::HashSet;

use super::folders_above::{deepest_first, tell_blocked};
use super::uploads::Uploads;
use crate::core::path::{Key, split};
use crate::core::remote::RemotePath;
use crate::dropbox::retry::CallError;
use crate::engine::batches::{Batches, Next};
use crate::engine::context::Context;
use crate::engine::item::Item;
use crate::engine::remembered::{reason_of, trouble_of};
use crate::error::Result;
use crate::index::{Base, Remote, Row};
use crate::report::Change;

impl<'a> Uploads<'a> {
    /// What was uploaded lies in folders, so they exist: their rows must, or a listing that names
    /// one of them as deleted would not reach what is in it.
    pub(crate) fn note_folders_above(
        &mut self,
        cx: &mut Context<'a>,
        key: &Key,
        display_path: &str,
    ) -> Result<()> {
        if self.made.is_full() {
            // The index is asked again about those that go out of mind.
            cx.flush_settles()?;
        }
        let mut above_path = split(display_path).0;
        for key in self.made.note(key) {
            let row = cx.env.index.row(&key)?;
            let is_known = row
                .as_ref()
                .is_some_and(|r| r.remote_is_folder() || !r.intact);
            if !is_known {
                self.just_made.note(&key);
                let mut row = row.unwrap_or_else(|| Row::new(key.clone(), split(above_path).1));
                row.set_remote(Remote::Folder);
                cx.settle(row)?;
            }
            above_path = split(above_path).0;
        }
        Ok(())
    }

    /// Makes the folders Dropbox lacks. Those that uploads lie in exist already.
    ///
    /// # Errors
    /// Whatever ends the pass.
    pub(crate) fn make_remote_folders(&mut self, cx: &mut Context<'a>) -> Result<()> {
        let new_folders = self.new_folders.take();
        let mut folders = Vec::new();
        new_folders.each(cx, &mut |cx, item| {
            if item.blocked_up {
                return tell_blocked(cx, &item);
            }
            folders.push(item);
            match folders.len() < cx.env.batch_max() {
                true => Ok(()),
                false => self.make_these(cx, std::mem::take(&mut folders)),
            }
        })?;
        self.make_these(cx, folders)
    }

    fn make_these(&mut self, cx: &mut Context<'a>, folders: Vec<Item>) -> Result<()> {
        // What uploads have made on their way is in the index.
        cx.flush_settles()?;
        let folders = deepest_first(folders);
        let made = self.make_leaves(cx, &folders)?;
        for item in folders {
            if made.contains(&item.row.key.path())
                || self.is_there(cx, &item.row.key)?
                || self.make_remote_folder(cx, &item)?
            {
                settle_folder(cx, item)?;
            }
        }
        cx.flush_settles()
    }

    /// Makes those folders that no other one makes on its way, many in one call; says which are
    /// there now. The others are asked for alone.
    fn make_leaves(&mut self, cx: &mut Context<'a>, folders: &[Item]) -> Result<HashSet<String>> {
        let mut leaves: Vec<&Item> = Vec::new();
        let mut made_on_the_way = HashSet::new();
        for item in folders {
            let key = &item.row.key;
            let is_made = self.is_there(cx, key)? || made_on_the_way.contains(&key.path());
            if !is_made {
                leaves.push(item);
            }
            let mut above = key.parent();
            while let Some(key) = above.filter(|key| made_on_the_way.insert(key.path())) {
                above = key.parent();
            }
        }
        let mut made = HashSet::new();
        if leaves.len() < 2 {
            return Ok(made);
        }
        let mut batches = Batches::of(leaves);
        while let Some(next) = batches.next() {
            let Next::Together(leaves) = next else {
                continue;
            };
            let paths: Vec<RemotePath> = leaves
                .iter()
                .map(|item| cx.env.remote_root.at(&item.display_path))
                .collect();
            match self.api.create_folder_batch(&paths) {
                Ok(outcomes) => {
                    batches.went();
                    for (item, outcome) in leaves.iter().zip(outcomes) {
                        if outcome.is_ok() {
                            self.made_remote_folder(cx, item)?;
                            made.insert(item.row.key.path());
                        }
                    }
                }
                Err(error) => batches.broke(self.api, leaves, error)?,
            }
        }
        Ok(made)
    }

    /// Whether Dropbox has this folder by now, as far as is known.
    fn is_there(&self, cx: &Context<'_>, key: &Key) -> Result<bool> {
        if self.made.contains(key) {
            return Ok(true);
        }
        let row = cx.env.index.row(key)?;
        Ok(row.is_some_and(|row| row.intact && row.remote_is_folder()))
    }

    fn made_remote_folder(&mut self, cx: &mut Context<'a>, item: &Item) -> Result<()> {
        cx.committed += 1;
        cx.server_errors = 0;
        let report = cx.env.report;
        report.changed(Change::MakeRemoteFolder, &item.display_path, "");
        self.just_made.note(&item.row.key);
        self.note_folders_above(cx, &item.row.key, &item.display_path)
    }

    /// Asks for one folder; says whether it is there.
    fn make_remote_folder(&mut self, cx: &mut Context<'a>, item: &Item) -> Result<bool> {
        if cx.ends_step(item) {
            return Ok(false);
        }
        let path = cx.env.remote_root.at(&item.display_path);
        let mut answer = self.api.create_folder(&path);
        if let Err(CallError::Refused(error)) = &answer
            && self
                .just_made
                .waited(&item.row.key, error, cx.env.deadline)?
        {
            answer = self.api.create_folder(&path);
        }
        match answer {
            Ok(()) => self.made_remote_folder(cx, item)?,
            Err(CallError::Refused(error)) if error.is("path/conflict/folder") => {
                self.note_folders_above(cx, &item.row.key, &item.display_path)?;
            }
            Err(CallError::ServerError(text)) => {
                let text = format!("folder not made in Dropbox: {text}");
                cx.note_server_error(self.api, item, &text)?;
                return Ok(false);
            }
            Err(CallError::Refused(error)) => {
                let text = format!("folder not made in Dropbox: {}", error.text());
                cx.env
                    .report
                    .problem(&item.display_path, trouble_of(&error), &text);
                cx.remember(item, reason_of(&error), &text);
                return Ok(false);
            }
            Err(error) => return Err(error.into_error("make a folder")),
        }
        Ok(true)
    }
}

fn settle_folder(cx: &mut Context<'_>, item: Item) -> Result<()> {
    let folder_rights = cx.folder_rights_of(&item);
    let mut row: Row = item.row;
    row.folder_rights = folder_rights;
    row.settle(Base::Folder, &item.name);
    cx.settle(row)
}
