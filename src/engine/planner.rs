//! A dry run: the actions of a pass said, not done. It holds nothing to write with.

use std::collections::{BTreeSet, HashSet};

use crate::core::content_hash::ContentHash;
use crate::core::decide::{Action, Direction};
use crate::core::path::{DisplayPath, Key, RelPath};
use crate::core::remote::Rev;
use crate::dropbox::wire::WriteMode;
use crate::engine::actions::Actions;
use crate::engine::context::Context;
use crate::engine::delete::guard::{CollectedDeletes, Ruled, frees_a_name, guard};
use crate::engine::download::archive_plan::How;
use crate::engine::download::copy_name::report_conflict;
use crate::engine::download::existing;
use crate::engine::download::staged::Existing;
use crate::engine::download::tree_aside::may_set_tree_aside;
use crate::engine::item::{Delete, Item, Local, Observed, Walk};
use crate::engine::moves::gone::GoneRemotely;
use crate::engine::moves::halves::Halves;
use crate::engine::moves::pairs::{GoneLocally, is_new};
use crate::engine::stable_read;
use crate::engine::survey::Survey;
use crate::engine::upload::folders_above::{
    FoldersAbove, blocked_by, deepest_first, tell_blocked_by,
};
use crate::engine::upload::queue::{PendingUpload, said_of};
use crate::engine::upload::undecided::approved;
use crate::error::{Error, Result};
use crate::index::Row;
use crate::report::{Change, in_brackets};

/// What goes up only if a delete frees the name of a folder above it.
enum Blocked {
    File(PendingUpload),
    Folder(Item),
}

/// What a plan has come to so far.
#[derive(Default)]
pub struct Planner<'a> {
    survey: Survey,
    gone: GoneRemotely<'a>,
    gone_here: GoneLocally<'a>,
    halves: Halves,
    /// New here, and perhaps only renamed.
    new_files: Vec<PendingUpload>,
    made: FoldersAbove,
    new_folders: Vec<Item>,
    /// Dropbox has a file where a folder above them would have to be.
    blocked: Vec<Blocked>,
    undecided: Vec<(Item, Observed)>,
    collected: CollectedDeletes,
}

impl<'a> Planner<'a> {
    /// Plans what comes after the walks; returns what would halt the pass, if something would.
    ///
    /// # Errors
    /// What the index says.
    pub(crate) fn conclude(&mut self, cx: &mut Context<'a>) -> Result<Option<Error>> {
        let undecided = std::mem::take(&mut self.undecided);
        for (item, observed) in approved(cx, undecided)? {
            let rev = item.row.remote_file().map(|file| file.rev);
            let mode = rev.clone().map_or(WriteMode::Add, WriteMode::Update);
            self.upload(cx, item, &observed, mode, rev)?;
        }
        for item in deepest_first(std::mem::take(&mut self.new_folders)) {
            if !self.made.contains(&item.row.key) {
                say(cx, Change::MakeRemoteFolder, &item, "");
                self.made.note(&item.row.key);
            }
        }
        self.plan_new_files(cx)?;
        self.halves.hold_back(cx, &mut self.collected)?;
        let deletes = self.collected.take();
        let Ruled { go, kept, halt } = guard(cx, &self.survey, deletes)?;
        self.plan_blocked(cx, &go)?;
        kept.iter().for_each(|delete| plan_kept(cx, delete));
        for delete in &go {
            let change = match delete.direction {
                Direction::Down => Change::DeleteLocal,
                Direction::Up => Change::DeleteRemote,
            };
            say(cx, change, &delete.item, "");
        }
        self.halves.let_go(cx).map(drop)?;
        Ok(halt)
    }

    /// Tells what was only renamed here from what goes up. The old names are not among the deletes
    /// then, whose approval the id stands for.
    fn plan_new_files(&mut self, cx: &mut Context<'a>) -> Result<()> {
        let files = std::mem::take(&mut self.new_files);
        let (renamed, files) = self.gone_here.pairs(cx, files)?;
        let mut moved = BTreeSet::new();
        for renamed in renamed {
            let (file, old) = (renamed.file(), renamed.old());
            if renamed.is_move() {
                let more = format!("{}, from {}", file.more, old.display_path);
                say(cx, Change::MoveRemote, &file.item, &more);
                moved.insert(old.row.key.clone());
            } else {
                self.plan_upload(cx, file);
            }
        }
        files.iter().for_each(|file| self.plan_upload(cx, file));
        self.collected.retain(&mut |delete| {
            let is_moved =
                delete.direction == Direction::Up && moved.contains(&delete.item.row.key);
            Ok((!is_moved).then_some(delete))
        })
    }

    /// What a delete in Dropbox lets go up, once it has freed the name. Where a local folder is set
    /// aside for Dropbox's file instead, what is in it goes along.
    fn plan_blocked(&mut self, cx: &mut Context<'a>, deletes: &[Delete]) -> Result<()> {
        let in_dropbox = |delete: &&Delete| delete.direction == Direction::Up;
        let freed = deletes.iter().filter(in_dropbox);
        let freed: HashSet<&Key> = freed.map(|delete| &delete.item.row.key).collect();
        for blocked in std::mem::take(&mut self.blocked) {
            let item = match &blocked {
                Blocked::File(file) => &file.item,
                Blocked::Folder(item) => item,
            };
            match (blocked_by(cx, item)?, &blocked) {
                (Some((key, folder)), _) if !freed.contains(&key) => {
                    if !cx.brings_down() && !cx.is_halted(Direction::Up) {
                        tell_blocked_by(cx, folder);
                    }
                }
                (_, Blocked::File(file)) => self.plan_upload(cx, file),
                (_, Blocked::Folder(item)) => say(cx, Change::MakeRemoteFolder, item, ""),
            }
        }
        Ok(())
    }

    fn plan_upload(&self, cx: &mut Context<'a>, file: &PendingUpload) {
        say(cx, Change::Upload, &file.item, &file.more);
        if let Some(hash) = planned_hash(cx, &file.item, &file.observed) {
            cx.note_arrival(Direction::Up, hash);
        }
    }
}

impl<'a> Actions<'a> for Planner<'a> {
    fn survey(&mut self) -> &mut Survey {
        &mut self.survey
    }

    fn settle(&mut self, _cx: &mut Context<'a>, _row: Row) -> Result<()> {
        Ok(())
    }

    fn adopt(&mut self, cx: &mut Context<'a>, walk: Walk, row: Row) -> Result<()> {
        // Nothing was settled in the first walk, so the second one meets it again.
        let is_first = walk == Walk::Pending || !cx.brings_down();
        if is_first && row.base_file().is_some() {
            cx.env.report.adopted();
        }
        Ok(())
    }

    fn download(
        &mut self,
        cx: &mut Context<'a>,
        item: Item,
        observed: Observed,
        action: Action,
        _how: How<'_, '_>,
    ) -> Result<()> {
        if cx.is_refused(&item) {
            return Ok(());
        }
        let Some(remote) = item.row.remote_file() else {
            return Ok(());
        };
        let replaces = existing(cx, &item, observed, action);
        match replaces {
            Existing::Tree if !may_set_tree_aside(cx, &item) => return Ok(()),
            Existing::Tree => report_conflict(cx, &item, "(a folder here)"),
            Existing::Kept(_) => report_conflict(cx, &item, ""),
            Existing::Nothing | Existing::File(_) => {}
        }
        let size = in_brackets(remote.size);
        if let Existing::Nothing = replaces
            && let Some((old, _)) = self.gone.origin(cx, &remote)?
        {
            // It is not among the deletes then, whose approval the id stands for.
            let more = format!("{size}, from {}", old.display_path);
            say(cx, Change::MoveLocal, &item, &more);
            self.gone.note_renamed(old.row.key);
            return Ok(());
        }
        say(cx, Change::Download, &item, &size);
        if let Some(hash) = remote.hash {
            cx.note_arrival(Direction::Down, hash);
        }
        Ok(())
    }

    fn set_aside(&mut self, cx: &mut Context<'a>, item: Item, _observed: Observed) -> Result<()> {
        report_conflict(cx, &item, "(Dropbox has a folder)");
        Ok(())
    }

    fn make_local_folder(&mut self, cx: &mut Context<'a>, item: Item) -> Result<()> {
        say(cx, Change::MakeLocalFolder, &item, "");
        Ok(())
    }

    /// What is in the way may make room: the plan goes on as if it had.
    fn meet_blocked_folder(&mut self, _cx: &mut Context<'a>, _path: &DisplayPath) -> bool {
        true
    }

    fn is_being_renamed(&self, key: &Key) -> bool {
        self.gone.is_being_renamed(key)
    }

    fn clean(&mut self, _cx: &mut Context<'a>, _dir: &RelPath, _own_names: &[String]) {}

    fn upload(
        &mut self,
        cx: &mut Context<'a>,
        item: Item,
        observed: &Observed,
        mode: WriteMode,
        replaced: Option<Rev>,
    ) -> Result<()> {
        if cx.is_refused(&item) {
            return Ok(());
        }
        let is_blocked = item.blocked_up;
        let file = PendingUpload {
            more: said_of(observed, replaced.as_ref()),
            item,
            observed: *observed,
            mode,
        };
        if is_blocked {
            self.blocked.push(Blocked::File(file));
            return Ok(());
        }
        self.made.note(&file.item.row.key);
        if cx.had_base && is_new(&file) {
            self.new_files.push(file);
        } else {
            self.plan_upload(cx, &file);
        }
        Ok(())
    }

    fn make_remote_folder(&mut self, _cx: &mut Context<'a>, item: Item) {
        match item.blocked_up {
            true => self.blocked.push(Blocked::Folder(item)),
            false => self.new_folders.push(item),
        }
    }

    fn ask_person(&mut self, _cx: &mut Context<'a>, item: Item, observed: Observed) {
        self.undecided.push((item, observed));
    }

    fn delete(&mut self, cx: &mut Context<'a>, direction: Direction, item: Item) {
        if self.is_being_renamed(&item.row.key) {
            return;
        }
        if frees_a_name(direction, &item) {
            // There is no second round in which it would be met.
            say(cx, swapped_in(direction, &item), &item, "");
        }
        self.collected.add(cx, direction, item);
    }

    fn finish_walk(&mut self, _cx: &mut Context<'a>) -> Result<()> {
        Ok(())
    }
}

fn say(cx: &Context<'_>, change: Change, item: &Item, more: &str) {
    cx.env.report.changed(change, &item.display_path, more);
}

/// What comes of a file that a person keeps: it counts as new.
fn plan_kept(cx: &Context<'_>, delete: &Delete) {
    let item = &delete.item;
    let size = item
        .row
        .base_file()
        .map(|base| in_brackets(base.stamp.size));
    let Some(size) = size else {
        return;
    };
    match delete.direction {
        Direction::Up if cx.brings_down() => say(cx, Change::Download, item, &size),
        Direction::Down if cx.may_go_up(&item.display_path, &item.local_spelling()) => {
            say(cx, Change::Upload, item, &size);
        }
        Direction::Up | Direction::Down => {
            let report = cx.env.report;
            report.remark(log::Level::Info, &item.display_path, "kept as it is");
        }
    }
}

/// What takes the name once the delete has freed it.
fn swapped_in(direction: Direction, item: &Item) -> Change {
    match (direction, item.local) {
        (Direction::Down, _) if item.row.remote_is_folder() => Change::MakeLocalFolder,
        (Direction::Down, _) => Change::Download,
        (Direction::Up, Local::Folder { .. }) => Change::MakeRemoteFolder,
        (Direction::Up, _) => Change::Upload,
    }
}

/// The content that would be sent, so that renames are told from deletes as the pass does.
fn planned_hash(cx: &Context<'_>, item: &Item, observed: &Observed) -> Option<ContentHash> {
    if observed.hash.is_some() || !cx.had_base {
        return observed.hash;
    }
    let read = stable_read::hash(cx.env.disk, &item.path().ok()?, cx.env.deadline);
    read.ok().map(|(hash, _)| hash)
}
