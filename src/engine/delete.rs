//! Deletes: last of all, under guard ([`mod@guard`]), each naming the version it destroys.
//!
//! A file goes only if it still equals its base: in Dropbox by `parent_rev`, locally by a fresh
//! look. A folder goes only if it is empty now, deepest first. Before a delete in Dropbox the local
//! path is looked at once more (`fresh_look`).

mod deletes;
mod folders;
mod fresh_look;
pub mod guard;
mod not_found;
mod trees;

pub(crate) use deletes::Deletes;
use fresh_look::{FreshLook, as_seen};
use guard::{Counted, Ruling, each_counted, guard, note_answers};

use crate::core::content_hash::ContentHash;
use crate::core::decide::Direction;
use crate::core::path::RelPath;
use crate::core::remote::{RemotePath, Rev};
use crate::dropbox::batch::Outcome;
use crate::dropbox::retry::CallError;
use crate::dropbox::wire::Metadata;
use crate::engine::batches::{Batches, Next};
use crate::engine::context::Context;
use crate::engine::item::{Delete, Local};
use crate::engine::remembered::{reason_of, trouble_of};
use crate::engine::stable_read;
use crate::engine::survey::Survey;
use crate::error::{Error, Result};
use crate::index::Base;
use crate::io::stat::Kind;
use crate::io::systemd::read_only_advice;
use crate::report::{Change, Trouble};

impl<'a> Deletes<'a> {
    /// Carries out those of the collected deletes that the guards allow.
    ///
    /// They are gone through twice: to count them, which is what the guards and the approval id
    /// go by, and to carry out exactly those. There may be more of them than memory holds.
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
        let collected = self.collected.take();
        let mut counted = Counted::of(cx, &collected)?;
        let ruled = guard(cx, survey, &collected, &mut counted)?;
        each_counted(cx, &collected, &counted, &ruled, &mut |cx, batch| {
            let mut go = batch;
            let kept = go.extract_if(.., |delete| matches!(ruled.of(delete), Ruling::Keep));
            keep(cx, kept.collect())?;
            go.retain(|delete| matches!(ruled.of(delete), Ruling::Go));
            self.carry_out(cx, go)
        })?;
        self.delete_folders(cx)?;
        note_answers(cx, &ruled)?;
        Ok(ruled.halt)
    }

    /// Carries deletes out that no guard objects to. Folders go at the end, by
    /// [`Deletes::delete_folders`].
    ///
    /// # Errors
    /// Whatever ends the pass.
    pub(crate) fn carry_out(
        &mut self,
        cx: &mut Context<'a>,
        mut deletes: Vec<Delete>,
    ) -> Result<()> {
        let is_folder = |delete: &mut Delete| delete.item.row.base_file().is_none();
        for folder in deletes.extract_if(.., is_folder) {
            self.add_folder(cx, folder)?;
        }
        let is_local = |delete: &mut Delete| delete.direction == Direction::Down;
        for delete in deletes.extract_if(.., is_local) {
            self.delete_local_file(cx, delete);
        }
        self.settle_removed(cx)?;
        self.delete_remote_files(cx, deletes)?;
        cx.flush_settles()
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
            Ok(()) => self.deleted_in_dropbox(cx, item, ""),
            Err(CallError::Refused(error)) if error.is("path_lookup/not_found") => {
                self.file_not_found(cx, item, &path)
            }
            Err(CallError::ServerError(text)) => {
                let text = format!("not deleted in Dropbox: {text}");
                cx.note_server_error(self.api, &item, &text)
            }
            // The tag of a rev that does not match any more is not documented: the rev tells.
            Err(CallError::Refused(error)) => {
                let report = cx.env.report;
                let text = format!("not deleted in Dropbox: {}", error.text());
                match self.api.metadata(&path) {
                    Ok(Some(Metadata::File(file))) if file.rev == base.rev => {
                        report.problem(&item.display_path, trouble_of(&error), &text);
                        cx.remember(&item, reason_of(&error), &text);
                    }
                    Ok(_) => {
                        cx.defer(&item, "it changed in Dropbox meanwhile", &text);
                    }
                    Err(CallError::ServerError(_)) => {
                        return cx.note_server_error(self.api, &item, &text);
                    }
                    Err(CallError::Refused(_)) => {
                        report.problem(&item.display_path, trouble_of(&error), &text);
                    }
                    Err(error) => return Err(error.into_error("look at a file")),
                }
                Ok(())
            }
            Err(error) => Err(error.into_error("delete a file")),
        }
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
                cx.env
                    .report
                    .problem(&item.display_path, Trouble::of_disk(&error), &text);
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
                cx.env
                    .report
                    .problem(&item.display_path, Trouble::of_disk(&error), &text);
                return;
            }
        }
        self.durable.rename_in(&item.dir, item.device);
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
            (Kind::Folder | Kind::Link | Kind::Special(_), _) => Ok(false),
        }
    }
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
