//! Deletes: last of all, under guard ([`mod@guard`]), each naming the version it destroys.
//!
//! A file goes only if it still equals its base: in Dropbox by `parent_rev`, locally by a fresh
//! look. A folder goes only if it is empty now, deepest first. Before a delete in Dropbox the local
//! path is looked at once more (`fresh_look`).

mod deletes;
mod fresh_look;
pub mod guard;
mod trees;

use std::time::Duration;

pub(crate) use deletes::Deletes;
use deletes::Lag;
use fresh_look::{FreshLook, as_seen};
use guard::{Ruled, guard};

use crate::core::content_hash::ContentHash;
use crate::core::decide::Direction;
use crate::core::path::RelPath;
use crate::core::remote::{RemotePath, Rev};
use crate::dropbox::batch::Outcome;
use crate::dropbox::retry::CallError;
use crate::dropbox::wire::Metadata;
use crate::engine::batches::{Batches, Next};
use crate::engine::context::Context;
use crate::engine::item::{Delete, Item, Local};
use crate::engine::remembered::reason_of;
use crate::engine::stable_read;
use crate::engine::survey::Survey;
use crate::error::{Error, Result};
use crate::index::Base;
use crate::io::stat::Kind;
use crate::io::systemd::read_only_advice;
use crate::report::Change;

/// Time in which Dropbox comes to tell of what was deleted.
const LAG_TIME: Duration = Duration::from_secs(2);

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
    /// Carries out those of the collected deletes that the guards allow.
    ///
    /// Returns what halts the others, if something does.
    ///
    /// # Errors
    /// Whatever ends the pass.
    pub(crate) fn delete_all(
        &mut self,
        cx: &mut Context<'a>,
        survey: &Survey,
    ) -> Result<Option<Error>> {
        let deletes = self.collected.take();
        let Ruled { go, kept, halt } = guard(cx, survey, deletes)?;
        keep(cx, kept)?;
        self.carry_out(cx, go)?;
        Ok(halt)
    }

    /// Carries deletes out that no guard objects to.
    ///
    /// # Errors
    /// Whatever ends the pass.
    pub(crate) fn carry_out(&mut self, cx: &mut Context<'a>, deletes: Vec<Delete>) -> Result<()> {
        let is_file = |delete: &Delete| delete.item.row.base_file().is_some();
        let (remote, local): (Vec<_>, Vec<_>) = deletes
            .into_iter()
            .partition(|delete| delete.direction == Direction::Up);
        let (files, folders): (Vec<_>, Vec<_>) = remote.into_iter().partition(is_file);
        self.delete_remote_files(cx, files)?;
        for delete in self.delete_empty_trees(cx, folders)? {
            self.delete_remote_folder(cx, delete)?;
        }
        for delete in local {
            if is_file(&delete) {
                self.delete_local_file(cx, delete);
            } else {
                self.delete_local_folder(cx, delete)?;
            }
        }
        self.settle_removed(cx)?;
        cx.flush_settles()
    }

    /// Settles local deletes once they are durable: a file that came back with a power cut must not
    /// look like a new one.
    pub(crate) fn settle_removed(&mut self, cx: &mut Context<'a>) -> Result<()> {
        if self.removed.is_empty() {
            return Ok(());
        }
        self.durable.sync(cx)?;
        for mut row in std::mem::take(&mut self.removed) {
            row.set_base(Base::None);
            cx.settle(row)?;
        }
        Ok(())
    }

    /// Deletes files in Dropbox, many in one call. A call that breaks is halved; what fails in one
    /// is asked for alone.
    fn delete_remote_files(&mut self, cx: &mut Context<'a>, files: Vec<Delete>) -> Result<()> {
        let mut batches = Batches::of(files);
        while let Some(next) = batches.next() {
            let list = match next {
                Next::Together(list) => list,
                Next::Alone(list) => {
                    list.into_iter()
                        .try_for_each(|delete| self.delete_remote_file(cx, delete))?;
                    continue;
                }
            };
            // RACE: what comes back between this look and Dropbox's answer is deleted there.
            let list = as_seen(cx, list)?;
            match self.delete_together(cx, &list) {
                Ok(outcomes) => {
                    batches.went();
                    for (delete, outcome) in list.into_iter().zip(outcomes) {
                        match outcome {
                            Ok(()) => self.deleted_in_dropbox(cx, delete.item, "")?,
                            Err(_) => self.delete_remote_file(cx, delete)?,
                        }
                    }
                }
                Err(error) => batches.broke(self.api, list, error)?,
            }
        }
        Ok(())
    }

    fn delete_together(
        &self,
        cx: &Context<'a>,
        files: &[Delete],
    ) -> std::result::Result<Vec<Outcome<()>>, CallError> {
        if files.is_empty() {
            return Ok(Vec::new());
        }
        let named = |delete: &Delete| {
            let row = &delete.item.row;
            let rev = row.base_file().map(|base| base.rev.clone());
            (cx.env.remote_root.of_row(row), rev)
        };
        let named: Vec<(RemotePath, Option<Rev>)> = files.iter().map(named).collect();
        self.api.delete_batch(&named)
    }

    fn delete_remote_file(&mut self, cx: &mut Context<'a>, delete: Delete) -> Result<()> {
        let item = delete.item;
        let Some(base) = item.row.base_file() else {
            return Ok(());
        };
        if cx.ends_step(&item) {
            return Ok(());
        }
        // RACE: what comes back between this look and Dropbox's answer is deleted there.
        if !FreshLook::default().at(cx, &item)?.lets_go(cx, &item) {
            return Ok(());
        }
        let path = cx.env.remote_root.of_row(&item.row);
        match self.api.delete_file(&path, &base.rev) {
            Ok(()) => return self.deleted_in_dropbox(cx, item, ""),
            Err(CallError::Refused(error)) if error.is("path_lookup/not_found") => {}
            Err(CallError::ServerError(text)) => {
                let text = format!("not deleted in Dropbox: {text}");
                return cx.note_server_error(self.api, &item, &text);
            }
            // The tag of a rev that does not match any more is not documented: the rev tells.
            Err(CallError::Refused(error)) => {
                let report = cx.env.report;
                let text = format!("not deleted in Dropbox: {}", error.text());
                match self.api.metadata(&path) {
                    Ok(Some(Metadata::File(file))) if file.rev == base.rev => {
                        report.problem(&item.display_path, &text);
                        cx.remember(&item, reason_of(&error), &text);
                    }
                    Ok(_) => {
                        cx.defer(&item, "it changed in Dropbox meanwhile", &text);
                    }
                    Err(CallError::ServerError(_)) => {
                        return cx.note_server_error(self.api, &item, &text);
                    }
                    Err(error) => return Err(error.into_error("look at a file")),
                }
                return Ok(());
            }
            Err(error) => return Err(error.into_error("delete a file")),
        }
        let mut row = item.row;
        row.settle(Base::None, &item.name);
        cx.settle(row)
    }

    fn delete_remote_folder(&mut self, cx: &mut Context<'a>, delete: Delete) -> Result<()> {
        let item = delete.item;
        if cx.ends_step(&item) {
            return Ok(());
        }
        if !FreshLook::default().at(cx, &item)?.lets_go(cx, &item) {
            return Ok(());
        }
        let path = cx.env.remote_root.of_row(&item.row);
        match self.empty_folder_deleted(cx, &item, &path)? {
            Ok(Emptied::MayHold) => {
                // The next pass knows what is new in it, if it is that.
                let text = "not empty in Dropbox yet: it is looked at again in the next run";
                let report = cx.env.report;
                report.remark(log::Level::Info, &item.display_path, text);
                return Ok(());
            }
            Ok(Emptied::Gone) => return self.deleted_in_dropbox(cx, item, "(empty folder)"),
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
                return cx.settle(row);
            }
            Err(CallError::Refused(error)) if error.has("not_found") => {}
            Err(CallError::ServerError(text)) => {
                let text = format!("folder not deleted in Dropbox: {text}");
                return cx.note_server_error(self.api, &item, &text);
            }
            Err(CallError::Refused(error)) => {
                let text = format!("folder not deleted in Dropbox: {}", error.text());
                cx.env.report.problem(&item.display_path, &text);
                cx.remember(&item, reason_of(&error), &text);
                return Ok(());
            }
            Err(error) => return Err(error.into_error("delete a folder")),
        }
        let mut row = item.row;
        row.settle(Base::None, &item.name);
        cx.settle(row)
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

    fn delete_local_file(&mut self, cx: &mut Context<'a>, delete: Delete) {
        let item = delete.item;
        let (Some(base), Ok(path)) = (item.row.base_file(), item.path()) else {
            return;
        };
        match self.equals_base(cx, &path, base.hash, item.local) {
            Ok(true) => {}
            Ok(false) => {
                let why = "it changed here meanwhile";
                cx.defer(&item, why, why);
                return;
            }
            Err(error) => {
                let advice = read_only_advice(&error);
                let text = format!("not deleted: {error}{advice}");
                cx.env.report.problem(&item.display_path, &text);
                return;
            }
        }
        // RACE: an edit between this look and the next line is lost.
        match self.disk.remove_file(&path) {
            Ok(()) => cx
                .env
                .report
                .changed(Change::DeleteLocal, &item.display_path, ""),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                let advice = read_only_advice(&error);
                let text = format!("not deleted: {error}{advice}");
                cx.env.report.problem(&item.display_path, &text);
                return;
            }
        }
        self.durable.touch(&item.dir, item.device);
        self.removed.push(item.row);
    }

    /// Whether the file at `path` still has the content of its base; one that is gone counts so.
    fn equals_base(
        &self,
        cx: &Context<'a>,
        path: &RelPath,
        hash: ContentHash,
        seen: Local,
    ) -> std::io::Result<bool> {
        let Some(status) = self.disk.status(path)? else {
            return Ok(true);
        };
        match (status.kind, seen) {
            (Kind::File, Local::File(before)) if before.stamp == status.stamp => Ok(true),
            (Kind::File, _) => {
                let now = stable_read::hash(self.disk, path, cx.env.deadline);
                Ok(now.is_ok_and(|(now, _)| now == hash))
            }
            (Kind::Folder | Kind::Link | Kind::Special, _) => Ok(false),
        }
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
        self.durable.touch(&item.dir, item.device);
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

/// Forgets that these were ever in step: each is met anew, in the second round.
fn keep(cx: &mut Context<'_>, deletes: Vec<Delete>) -> Result<()> {
    cx.needs_second_round |= !deletes.is_empty();
    for delete in deletes {
        let mut row = delete.item.row;
        row.set_base(Base::None);
        cx.settle(row)?;
    }
    cx.flush_settles()
}

fn folder_stays(cx: &Context<'_>, display_path: &str, error: &std::io::Error) {
    let text = match error.kind() {
        std::io::ErrorKind::ResourceBusy => {
            "folder not deleted: a disk is mounted on it".to_owned()
        }
        _ => format!("folder not deleted: {error}"),
    };
    cx.env.report.problem(display_path, &text);
}
