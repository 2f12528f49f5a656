//! Folders in Dropbox: those that uploads make on their way, and those that must be asked for.

use std::collections::HashSet;

use crate::core::path::{Key, split};
use crate::core::remote::RemotePath;
use crate::dropbox::batch::ENTRIES_MAX;
use crate::dropbox::retry::CallError;
use crate::engine::context::Pass;
use crate::engine::item::{Item, Local};
use crate::error::Result;
use crate::index::{Base, Remote, Row};
use crate::report::Change;

impl Pass<'_> {
    /// What was uploaded lies in folders, so they exist: their rows must, or a listing that names
    /// one of them as deleted would not reach what is in it.
    pub(crate) fn note_folders_above(&mut self, key: &Key, display_path: &str) -> Result<()> {
        let mut above_path = split(display_path).0;
        let mut above = key.parent();
        while let Some(key) = above {
            if !self.made_by_upload.insert(key.path()) {
                break;
            }
            let row = self.env.index.row(&key)?;
            let is_known = row
                .as_ref()
                .is_some_and(|r| r.remote_is_folder() || !r.intact);
            if !is_known {
                let mut row = row.unwrap_or_else(|| Row::new(key.clone(), split(above_path).1));
                row.set_remote(Remote::Folder);
                self.settle(row)?;
            }
            above_path = split(above_path).0;
            above = key.parent();
        }
        Ok(())
    }

    /// Makes the folders Dropbox lacks, deepest first, so that one entry makes all above it. Those
    /// that uploads lie in exist already.
    pub(crate) fn make_remote_folders(&mut self) -> Result<()> {
        let mut folders = std::mem::take(&mut self.new_folders);
        folders.sort_by_key(|item| std::cmp::Reverse(item.row.key.depth()));
        if self.dry() {
            return self.plan_remote_folders(&folders);
        }
        let (blocked, folders): (Vec<_>, Vec<_>) =
            folders.into_iter().partition(|item| item.blocked_up);
        blocked.iter().for_each(|item| self.blocked_upload(item));
        let made = self.make_leaves(&folders)?;
        for item in folders {
            if made.contains(&item.row.key.path())
                || self.made_by_upload.contains(&item.row.key.path())
                || self.make_remote_folder(&item)?
            {
                self.settle_folder(item)?;
            }
        }
        self.flush_settles()
    }

    fn plan_remote_folders(&mut self, folders: &[Item]) -> Result<()> {
        for item in folders {
            if !self.made_by_upload.contains(&item.row.key.path()) {
                let report = self.env.report;
                report.changed(Change::MakeRemoteFolder, &item.display_path, "");
                self.note_folders_above(&item.row.key, &item.display_path)?;
            }
        }
        Ok(())
    }

    /// Makes those folders that no other one makes on its way, in one call; says which are there
    /// now. The others are asked for alone.
    fn make_leaves(&mut self, folders: &[Item]) -> Result<HashSet<String>> {
        let mut leaves: Vec<&Item> = Vec::new();
        let mut made_on_the_way = HashSet::new();
        for item in folders {
            let key = &item.row.key;
            let is_made =
                self.made_by_upload.contains(&key.path()) || made_on_the_way.contains(&key.path());
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
        for leaves in leaves.chunks(ENTRIES_MAX) {
            let paths: Vec<RemotePath> = leaves
                .iter()
                .map(|item| self.env.remote_root.at(&item.display_path))
                .collect();
            let outcomes = match self.env.api.create_folder_batch(&paths) {
                Ok(outcomes) => outcomes,
                Err(CallError::End(error)) => return Err(error),
                Err(error) => {
                    log::debug!("making folders one by one: {error:?}");
                    break;
                }
            };
            for (item, outcome) in leaves.iter().zip(outcomes) {
                if outcome.is_ok() {
                    self.made_remote_folder(item)?;
                    made.insert(item.row.key.path());
                }
            }
        }
        Ok(made)
    }

    fn made_remote_folder(&mut self, item: &Item) -> Result<()> {
        self.committed += 1;
        self.server_errors = 0;
        let report = self.env.report;
        report.changed(Change::MakeRemoteFolder, &item.display_path, "");
        self.note_folders_above(&item.row.key, &item.display_path)
    }

    /// Asks for one folder; says whether it is there.
    fn make_remote_folder(&mut self, item: &Item) -> Result<bool> {
        let path = self.env.remote_root.at(&item.display_path);
        match self.env.api.create_folder(&path) {
            Ok(()) => self.made_remote_folder(item)?,
            Err(CallError::Refused(error)) if error.is("path/conflict/folder") => {
                self.note_folders_above(&item.row.key, &item.display_path)?;
            }
            Err(CallError::ServerError(text)) => {
                let text = format!("folder not made in Dropbox: {text}");
                self.note_server_error(&item.display_path, &text)?;
                return Ok(false);
            }
            Err(CallError::Refused(error)) => {
                let text = format!("folder not made in Dropbox: {}", error.text());
                self.env.report.problem(&item.display_path, &text);
                return Ok(false);
            }
            Err(error) => return Err(error.into_error("make a folder")),
        }
        Ok(true)
    }

    fn settle_folder(&mut self, item: Item) -> Result<()> {
        let mount = matches!(item.local, Local::Folder { mount: true, .. });
        let mut row: Row = item.row;
        row.settle(Base::Folder { mount }, &item.name);
        self.settle(row)
    }
}
