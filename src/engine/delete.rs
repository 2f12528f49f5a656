//! Deletes: last of all, under guard, each naming the version it destroys.
//!
//! A file goes only if it still equals its base: in Dropbox by `parent_rev`, locally by a fresh
//! look. A folder goes only if it is empty now, deepest first.

mod trees;

use crate::core::arrived_content::ArrivedContent;
use crate::core::content_hash::ContentHash;
use crate::core::decide::Direction;
use crate::core::guard::{ApprovalId, Limits, Tally, objection, standing_objection};
use crate::core::path::RelPath;
use crate::core::remote::{RemotePath, Rev};
use crate::dropbox::batch::ENTRIES_MAX;
use crate::dropbox::retry::CallError;
use crate::dropbox::wire::{Metadata, WriteMode};
use crate::engine::context::Pass;
use crate::engine::item::{Delete, Item, Local};
use crate::error::{Error, Result};
use crate::index::{Base, Meta};
use crate::io::stat::Kind;
use crate::io::systemd::read_only_advice;
use crate::report::{Change, printable};

/// Paths named when a pass halts.
const NAMED_MAX: usize = 10;

impl Pass<'_> {
    /// Carries out the collected deletes, if the guards allow.
    ///
    /// Returns what halts the pass instead, if something does.
    pub(crate) fn delete_all(&mut self) -> Result<Option<Error>> {
        let mut deletes = std::mem::take(&mut self.deletes);
        // Files first, then folders from the deepest up; the order is part of the approval id.
        deletes.sort_by_cached_key(|delete| {
            let row = &delete.item.row;
            let is_folder = row.base_file().is_none();
            let depth = if is_folder {
                usize::MAX - row.key.depth()
            } else {
                0
            };
            (
                is_folder,
                depth,
                delete.direction == Direction::Up,
                row.key.path(),
            )
        });
        if let Some(halt) = self.guard(&deletes)? {
            return Ok(Some(halt));
        }
        if self.dry() {
            deletes.iter().for_each(|delete| self.plan(delete));
            return Ok(None);
        }
        let is_file = |delete: &Delete| delete.item.row.base_file().is_some();
        let (remote, local): (Vec<_>, Vec<_>) = deletes
            .into_iter()
            .partition(|delete| delete.direction == Direction::Up);
        let (files, folders): (Vec<_>, Vec<_>) = remote.into_iter().partition(is_file);
        self.delete_remote_files(files)?;
        for delete in self.delete_empty_trees(folders)? {
            self.delete_remote_folder(delete)?;
        }
        for delete in local {
            if is_file(&delete) {
                self.delete_local_file(delete);
            } else {
                self.delete_local_folder(delete);
            }
        }
        self.settle_removed()?;
        self.flush_settles()?;
        Ok(None)
    }

    /// Settles local deletes once they are durable: a file that came back with a power cut must not
    /// look like a new one.
    fn settle_removed(&mut self) -> Result<()> {
        if self.removed.is_empty() {
            return Ok(());
        }
        self.sync()?;
        for mut row in std::mem::take(&mut self.removed) {
            row.set_base(Base::None);
            self.settle(row)?;
        }
        Ok(())
    }

    /// Lands and settles what a pass that broke off had finished.
    pub(crate) fn keep_what_is_done(&mut self) -> Result<()> {
        self.finish_publishing()?;
        self.settle_removed()?;
        self.flush_settles()
    }

    /// From here on what arrived until now counts like everything else.
    pub(crate) fn mark_guards_passed(&mut self) -> Result<()> {
        if self.dry() || !self.has_arrivals {
            return Ok(());
        }
        self.last_guarded_pass += 1;
        self.has_arrivals = false;
        let (index, done) = (self.env.index, self.last_guarded_pass.to_string());
        index.transaction(|| index.set_meta(Meta::LastGuardedPass, &done))
    }

    fn guard(&mut self, deletes: &[Delete]) -> Result<Option<Error>> {
        if !deletes.is_empty() {
            self.env.index.check_totals_once()?;
        }
        let mut tally = self.tally;
        tally.delete_local = lost(deletes, Direction::Down, &self.arrived_down);
        tally.delete_remote = lost(deletes, Direction::Up, &self.arrived_up);
        let guard = &self.env.config.guard;
        let limits = Limits {
            max_delete_count: guard.max_delete_count,
            max_delete_share: guard.max_delete_share,
        };
        let objection = match objection(limits, tally) {
            Some((direction, text)) => {
                self.hold(direction)?;
                Some(text)
            }
            None => self.standing_objection(tally)?,
        };
        let Some(objection) = objection else {
            return Ok(None);
        };
        let mut id = ApprovalId::new("deletes");
        for delete in deletes {
            let row = &delete.item.row;
            let rev = row.base_file().map_or("", |base| base.rev.as_str());
            id.delete(delete.direction, &row.key.path(), rev);
        }
        let id = id.finish();
        if self.options.approved.contains(&id) {
            log::info!("approved: {objection}");
            self.release(Direction::Down)?;
            self.release(Direction::Up)?;
            return Ok(None);
        }
        for delete in deletes.iter().take(NAMED_MAX) {
            self.plan_line(delete);
        }
        if deletes.len() > NAMED_MAX {
            log::warn!("... and {} more", deletes.len() - NAMED_MAX);
        }
        Ok(Some(Error::Halt(format!(
            "{objection}; nothing was deleted. To keep the files, remove index.db from the state \
             directory: the next run joins both sides anew. If the deletes are meant, allow \
             exactly these by: ferrybox sync --approve {id}"
        ))))
    }

    /// Objects to deletes of a direction that is held since an earlier pass; lets go of one that
    /// has nothing left to delete.
    fn standing_objection(&self, tally: Tally) -> Result<Option<String>> {
        for direction in [Direction::Up, Direction::Down] {
            if self.env.index.meta(held(direction))?.is_none() {
                continue;
            }
            match standing_objection(tally, direction) {
                Some(text) => return Ok(Some(text)),
                None if self.has_seen_all(direction) => self.release(direction)?,
                None => {}
            }
        }
        Ok(None)
    }

    /// Whether this pass would have found every delete of a direction.
    fn has_seen_all(&self, direction: Direction) -> bool {
        let opened = match direction {
            Direction::Up => self.options.up,
            Direction::Down => self.options.down,
        };
        opened && !self.view_is_incomplete && self.options.mode == self.env.config.sync.mode
    }

    fn hold(&self, direction: Direction) -> Result<()> {
        let index = self.env.index;
        index.transaction(|| match index.meta(held(direction))? {
            Some(_) => Ok(()),
            None => index.set_meta(held(direction), "1"),
        })
    }

    fn release(&self, direction: Direction) -> Result<()> {
        let index = self.env.index;
        index.transaction(|| match index.meta(held(direction))? {
            Some(_) => index.clear_meta(held(direction)),
            None => Ok(()),
        })
    }

    fn plan_line(&self, delete: &Delete) {
        let place = match delete.direction {
            Direction::Down => "locally",
            Direction::Up => "in Dropbox",
        };
        log::warn!(
            "would delete {place} {}",
            printable(&delete.item.display_path)
        );
    }

    fn plan(&self, delete: &Delete) {
        let change = match delete.direction {
            Direction::Down => Change::DeleteLocal,
            Direction::Up => Change::DeleteRemote,
        };
        self.env
            .report
            .changed(change, &delete.item.display_path, "");
    }

    /// Deletes files in Dropbox, many in one call; what fails there is asked for alone.
    fn delete_remote_files(&mut self, mut files: Vec<Delete>) -> Result<()> {
        while files.len() > 1 {
            let later = files.split_off(files.len().min(ENTRIES_MAX));
            let named = |delete: &Delete| {
                let row = &delete.item.row;
                let rev = row.base_file().map(|base| base.rev.clone());
                (self.env.remote_root.of_row(row), rev)
            };
            let named: Vec<(RemotePath, Option<Rev>)> = files.iter().map(named).collect();
            let outcomes = match self.env.api.delete_batch(&named) {
                Ok(outcomes) => outcomes,
                Err(CallError::End(error)) => return Err(error),
                Err(error) => {
                    log::debug!("deleting one by one: {error:?}");
                    files.extend(later);
                    break;
                }
            };
            for (delete, outcome) in files.into_iter().zip(outcomes) {
                match outcome {
                    Ok(()) => self.deleted_in_dropbox(delete.item, "")?,
                    Err(_) => self.delete_remote_file(delete)?,
                }
            }
            files = later;
        }
        files
            .into_iter()
            .try_for_each(|delete| self.delete_remote_file(delete))
    }

    pub(crate) fn deleted_in_dropbox(&mut self, item: Item, more: &str) -> Result<()> {
        self.committed += 1;
        self.server_errors = 0;
        let report = self.env.report;
        report.changed(Change::DeleteRemote, &item.display_path, more);
        let mut row = item.row;
        row.settle(Base::None, &item.name);
        self.settle(row)
    }

    fn delete_remote_file(&mut self, delete: Delete) -> Result<()> {
        let item = delete.item;
        let Some(base) = item.row.base_file() else {
            return Ok(());
        };
        let path = self.env.remote_root.of_row(&item.row);
        match self.env.api.delete_file(&path, &base.rev) {
            Ok(()) => return self.deleted_in_dropbox(item, ""),
            Err(CallError::Refused(error)) if error.is("path_lookup/not_found") => {}
            Err(CallError::ServerError(text)) => {
                return self.note_server_error(
                    &item.display_path,
                    &format!("not deleted in Dropbox: {text}"),
                );
            }
            // The tag of a rev that does not match any more is not documented: the rev tells.
            Err(CallError::Refused(error)) => {
                let report = self.env.report;
                let text = format!("not deleted in Dropbox: {}", error.text());
                match self.env.api.metadata(&path) {
                    Ok(Some(Metadata::File(file))) if file.rev == base.rev => {
                        report.problem(&item.display_path, &text);
                    }
                    Ok(_) => report.deferred(&item.display_path, "it changed in Dropbox meanwhile"),
                    Err(CallError::ServerError(_)) => {
                        return self.note_server_error(&item.display_path, &text);
                    }
                    Err(error) => return Err(error.into_error("look at a file")),
                }
                return Ok(());
            }
            Err(error) => return Err(error.into_error("delete a file")),
        }
        let mut row = item.row;
        row.settle(Base::None, &item.name);
        self.settle(row)
    }

    fn delete_remote_folder(&mut self, delete: Delete) -> Result<()> {
        let item = delete.item;
        let path = self.env.remote_root.of_row(&item.row);
        match self.env.api.delete_empty_folder(&path) {
            Ok(true) => return self.deleted_in_dropbox(item, "(empty folder)"),
            Ok(false) => {
                // Something unmanaged or new is in it, so it stays, and with it the folder here.
                let shown = printable(&item.display_path);
                log::info!("{shown}: not empty in Dropbox: it stays there");
                if matches!(item.local, Local::File(_)) {
                    self.env.report.problem(
                        &item.display_path,
                        "here is a file, in Dropbox a folder of this name that is not empty; \
                         both are left alone: rename one",
                    );
                    return Ok(());
                }
                let mut row = item.row;
                row.set_base(Base::None);
                return self.settle(row);
            }
            Err(CallError::Refused(error)) if error.has("not_found") => {}
            Err(CallError::ServerError(text)) => {
                let text = format!("folder not deleted in Dropbox: {text}");
                return self.note_server_error(&item.display_path, &text);
            }
            Err(CallError::Refused(error)) => {
                let text = format!("folder not deleted in Dropbox: {}", error.text());
                self.env.report.problem(&item.display_path, &text);
                return Ok(());
            }
            Err(error) => return Err(error.into_error("delete a folder")),
        }
        let mut row = item.row;
        row.settle(Base::None, &item.name);
        self.settle(row)
    }

    fn delete_local_file(&mut self, delete: Delete) {
        let item = delete.item;
        let (Some(base), Ok(path)) = (item.row.base_file(), item.path()) else {
            return;
        };
        match self.equals_base(&path, base.hash, item.local) {
            Ok(true) => {}
            Ok(false) => {
                self.env
                    .report
                    .deferred(&item.display_path, "it changed here meanwhile");
                return;
            }
            Err(error) => {
                let advice = read_only_advice(&error);
                let text = format!("not deleted: {error}{advice}");
                self.env.report.problem(&item.display_path, &text);
                return;
            }
        }
        // RACE: an edit between this look and the next line is lost.
        match self.env.disk.remove_file(&path) {
            Ok(()) => self
                .env
                .report
                .changed(Change::DeleteLocal, &item.display_path, ""),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                let advice = read_only_advice(&error);
                let text = format!("not deleted: {error}{advice}");
                self.env.report.problem(&item.display_path, &text);
                return;
            }
        }
        self.touch(&item.dir);
        self.removed.push(item.row);
    }

    /// Whether the file at `path` still has the content of its base.
    fn equals_base(&self, path: &RelPath, hash: ContentHash, seen: Local) -> std::io::Result<bool> {
        let Some(status) = self.env.disk.status(path)? else {
            return Ok(true);
        };
        match (status.kind, seen) {
            (Kind::File, Local::File(before)) if before.stamp == status.stamp => Ok(true),
            (Kind::File, _) => Ok(crate::engine::stable_read::hash(self.env.disk, path)
                .is_ok_and(|(now, _)| now == hash)),
            (Kind::Folder | Kind::Special, _) => Ok(false),
        }
    }

    fn delete_local_folder(&mut self, delete: Delete) {
        let item = delete.item;
        let Ok(path) = item.path() else { return };
        let is_empty = match self.env.disk.list(&path) {
            Ok(listed) => listed.names.is_empty() && listed.not_utf8.is_empty(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
            Err(error) => return self.folder_stays(&item.display_path, &error),
        };
        if !is_empty {
            if item.row.remote_file().is_some() {
                self.env.report.problem(
                    &item.display_path,
                    "in Dropbox is a file, here a folder of this name that is not empty; both \
                     are left alone: rename one",
                );
            }
            return;
        }
        match self.env.disk.remove_dir(&path) {
            Ok(()) => {
                self.env
                    .report
                    .changed(Change::DeleteLocal, &item.display_path, "(empty folder)")
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            // Something has come since the look.
            Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => return,
            Err(error) => return self.folder_stays(&item.display_path, &error),
        }
        self.touch(&item.dir);
        self.removed.push(item.row);
    }

    fn folder_stays(&self, display_path: &str, error: &std::io::Error) {
        let text = format!("folder not deleted: {error}");
        self.env.report.problem(display_path, &text);
    }

    /// Files that differ on both sides, have no base, and may only go up: a person says whether
    /// ours replace those in Dropbox.
    pub(crate) fn decide_undecided(&mut self) -> Result<()> {
        let undecided = std::mem::take(&mut self.undecided);
        if undecided.is_empty() || self.is_second_round {
            return Ok(());
        }
        let mut id = ApprovalId::new("uploads");
        for (item, _) in &undecided {
            let rev = item
                .row
                .remote_file()
                .map(|file| file.rev)
                .unwrap_or_default();
            id.delete(Direction::Up, &item.row.key.path(), rev.as_str());
        }
        let id = id.finish();
        let approved = self.options.approved.contains(&id);
        for (item, observed) in undecided {
            let Some(remote) = item.row.remote_file() else {
                continue;
            };
            if approved {
                let mode = WriteMode::Update(remote.rev.clone());
                self.upload(item, &observed, mode, Some(remote.rev))?;
            } else {
                self.env.report.problem(
                    &item.display_path,
                    &format!(
                        "differs from the file Dropbox has, and it is not known which is newer; \
                         both are left alone. To upload ours: ferrybox sync --approve {id}"
                    ),
                );
            }
        }
        self.flush_settles()
    }
}

fn held(direction: Direction) -> Meta {
    match direction {
        Direction::Down => Meta::HeldDown,
        Direction::Up => Meta::HeldUp,
    }
}

/// Files deletes would lose: those whose content did not arrive on that side in this pass.
fn lost(deletes: &[Delete], direction: Direction, arrived: &ArrivedContent) -> u64 {
    let mut arrived = arrived.clone();
    let mut lost = 0;
    for delete in deletes
        .iter()
        .filter(|delete| delete.direction == direction)
    {
        let Some(base) = delete.item.row.base_file() else {
            continue;
        };
        lost += u64::from(!arrived.take(base.hash));
    }
    lost
}
