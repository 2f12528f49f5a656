//! A dry run: the actions of a pass said, not done. It holds nothing to write with.

use crate::core::content_hash::ContentHash;
use crate::core::decide::{Action, Direction};
use crate::core::path::{DisplayPath, Key, RelPath};
use crate::core::remote::Rev;
use crate::dropbox::wire::WriteMode;
use crate::engine::actions::Actions;
use crate::engine::collected::Collected;
use crate::engine::context::Context;
use crate::engine::delete::guard::{
    Counted, Ruled, Ruling, collect, each_counted, frees_a_name, guard,
};
use crate::engine::download::archive_plan::How;
use crate::engine::download::copy_name::report_conflict;
use crate::engine::download::existing;
use crate::engine::download::staged::Existing;
use crate::engine::download::tree_aside::may_set_tree_aside;
use crate::engine::item::{Delete, Item, Local, Observed, Walk};
use crate::engine::moves::folders_there::plan_folders_there;
use crate::engine::moves::gone::GoneRemotely;
use crate::engine::moves::halves::{hold_back, let_go};
use crate::engine::moves::pairs::{GoneLocally, LookFor, is_new};
use crate::engine::moves::renamed_folders::RenamedFolders;
use crate::engine::revisit::Revisit;
use crate::engine::stable_read;
use crate::engine::survey::Survey;
use crate::engine::upload::folders_above::{blocked_by, tell_blocked_by};
use crate::engine::upload::queue::{Blocked, FindsAgain, PendingUpload};
use crate::engine::upload::undecided::decide;
use crate::error::{Error, Result};
use crate::index::{HeldState, Row};
use crate::report::{Change, Details, in_brackets};

/// What a plan has come to so far.
pub struct Planner<'a> {
    survey: Survey,
    gone: GoneRemotely<'a>,
    gone_here: GoneLocally<'a>,
    /// New here, and perhaps only renamed.
    new_files: Vec<PendingUpload>,
    new_folders: Collected<'a, Item>,
    /// Dropbox has a file where a folder above them would have to be.
    blocked: Collected<'a, Blocked>,
    undecided: Collected<'a, (Item, Observed)>,
    collected: Collected<'a, Delete>,
    /// Folders that were only renamed here.
    pub(crate) renamed_folders: RenamedFolders,
}

impl<'a> Planner<'a> {
    /// A plan of nothing yet.
    pub(crate) fn new(again: FindsAgain<'a>) -> Planner<'a> {
        Planner {
            survey: Survey::default(),
            gone: GoneRemotely::default(),
            gone_here: GoneLocally::default(),
            new_files: Vec::new(),
            new_folders: Collected::new(again.new_folders, again.kept_max),
            blocked: Collected::new(again.blocked, again.kept_max),
            undecided: Collected::new(again.undecided, again.kept_max),
            collected: Collected::new(again.deletes, again.kept_max),
            renamed_folders: RenamedFolders::default(),
        }
    }

    /// Plans the renames of folders that were found in a round of the walk.
    ///
    /// # Errors
    /// What the index says.
    pub(crate) fn plan_folders(&mut self, cx: &mut Context<'a>, round: u32) -> Result<()> {
        plan_folders_there(cx, &mut self.survey, round)
    }

    /// Plans what comes after the walks; returns what would halt the pass, if something would.
    ///
    /// # Errors
    /// What the index says.
    pub(crate) fn conclude(&mut self, cx: &mut Context<'a>) -> Result<Option<Error>> {
        let undecided = self.undecided.take();
        decide(cx, &undecided, &mut |cx, (item, observed)| {
            let rev = item.row.remote_file().map(|file| file.rev);
            let mode = rev.clone().map_or(WriteMode::Add, WriteMode::Update);
            self.upload(cx, item, &observed, mode, rev)
        })?;
        self.plan_new_folders(cx)?;
        let collected = self.collected.take();
        let gone = LookFor::at_this_point(cx, true, collected.kept());
        self.plan_new_files(cx, gone)?;
        hold_back(cx, &collected)?;
        let mut counted = Counted::of(cx, &collected)?;
        let ruled = guard(cx, &self.survey, &collected, &mut counted)?;
        self.plan_blocked(cx, &ruled)?;
        each_counted(cx, &collected, &counted, &ruled, &mut |cx, batch| {
            for delete in &batch {
                match (ruled.of(delete), delete.direction) {
                    (Ruling::Halt(_), _) => {}
                    (Ruling::Keep, _) => plan_kept(cx, delete),
                    (Ruling::Go, Direction::Down) => {
                        say(cx, Change::DeleteLocal, &delete.item, "");
                    }
                    (Ruling::Go, Direction::Up) => {
                        say(cx, Change::DeleteRemote, &delete.item, "");
                    }
                }
            }
            Ok(())
        })?;
        if cx.has_held() {
            let_go(cx)?;
        }
        Ok(ruled.halt)
    }

    /// Names the new folders that neither an upload nor another new folder makes on its way.
    fn plan_new_folders(&mut self, cx: &mut Context<'a>) -> Result<()> {
        let new_folders = self.new_folders.take();
        new_folders.each(cx, &mut |cx, item| note_made(cx, &item.row.key))?;
        new_folders.each(cx, &mut |cx, item| {
            if !cx.tables()?.is_made(&item.row.key)? {
                say(cx, Change::MakeRemoteFolder, &item, "");
            }
            Ok(())
        })
    }

    /// Tells what was only renamed here from what goes up. The old names are not among the deletes
    /// then, whose approval the id stands for.
    fn plan_new_files(&mut self, cx: &mut Context<'a>, gone: LookFor<'_>) -> Result<()> {
        let mut files = std::mem::take(&mut self.new_files);
        if files.is_empty() {
            return Ok(());
        }
        self.gone_here.look_for(cx, &mut files, gone)?;
        let (renamed, files) = self.gone_here.pairs(cx, files)?;
        for renamed in renamed {
            let (file, old) = (renamed.file(), renamed.old());
            if renamed.is_move() {
                let more = format!("{}, from {}", file.more, old.display_path);
                let details = Details {
                    size: Some(file.observed.stamp.size),
                    from: Some(&old.display_path),
                    more: &more,
                    ..Details::default()
                };
                say(cx, Change::MoveRemote, &file.item, details);
                cx.hold(Direction::Up, &old.row.key, HeldState::WasMoved)?;
            } else {
                self.plan_upload(cx, file);
            }
        }
        files.iter().for_each(|file| self.plan_upload(cx, file));
        Ok(())
    }

    /// What a delete in Dropbox lets go up, once it has freed the name. Where a local folder is set
    /// aside for Dropbox's file instead, what is in it goes along.
    fn plan_blocked(&mut self, cx: &mut Context<'a>, ruled: &Ruled) -> Result<()> {
        let blocked = self.blocked.take();
        let mut revisit = Revisit::default();
        blocked.each(cx, &mut |cx, blocked| {
            let item = match &blocked {
                Blocked::File(file) => &file.item,
                Blocked::Folder(item) => item,
            };
            if let Some((key, folder)) = blocked_by(cx, item)? {
                let delete = revisit.delete(cx, Direction::Up, &key)?;
                let is_freed = match &delete {
                    Some(delete) => {
                        matches!(ruled.of(delete), Ruling::Go) && !cx.is_held_back(delete)?
                    }
                    None => false,
                };
                if !is_freed {
                    if !cx.brings_down() && !cx.is_halted(Direction::Up) {
                        tell_blocked_by(cx, folder);
                    }
                    return Ok(());
                }
            }
            match &blocked {
                Blocked::File(file) => self.plan_upload(cx, file),
                Blocked::Folder(item) => say(cx, Change::MakeRemoteFolder, item, ""),
            }
            Ok(())
        })
    }

    fn plan_upload(&self, cx: &mut Context<'a>, file: &PendingUpload) {
        let details = Details {
            size: Some(file.observed.stamp.size),
            more: &file.more,
            ..Details::default()
        };
        say(cx, Change::Upload, &file.item, details);
        cx.env.report.travelled(file.observed.stamp.size, 0);
        if let Some(hash) = planned_hash(cx, &file.item, &file.observed) {
            cx.note_arrival(Direction::Up, hash);
        }
    }
}

/// The folders above something that goes up are made on its way.
fn note_made(cx: &Context<'_>, key: &Key) -> Result<()> {
    let mut above = key.parent();
    while let Some(key) = above {
        if !cx.tables()?.make(&key)? {
            return Ok(());
        }
        above = key.parent();
    }
    Ok(())
}

impl<'a> Actions<'a> for Planner<'a> {
    fn survey(&mut self) -> &mut Survey {
        &mut self.survey
    }

    fn settle(&mut self, _cx: &mut Context<'a>, _row: Row) -> Result<()> {
        Ok(())
    }

    fn adopt(
        &mut self,
        cx: &mut Context<'a>,
        walk: Walk,
        path: &DisplayPath,
        row: Row,
    ) -> Result<()> {
        // Nothing was settled in the first walk, so the second one meets it again.
        let is_first = walk == Walk::Pending || !cx.brings_down();
        if let Some(base) = row.base_file().filter(|_| is_first) {
            cx.env.report.adopted(path, base.stamp.size);
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
            && let Some((old, _)) = self.gone.origin(cx, &item.row.key, &remote)?
        {
            // It is not among the deletes then, whose approval the id stands for.
            let more = format!("{size}, from {}", old.display_path);
            let details = Details {
                size: Some(remote.size),
                from: Some(&old.display_path),
                more: &more,
                ..Details::default()
            };
            say(cx, Change::MoveLocal, &item, details);
            cx.hold(Direction::Down, &old.row.key, HeldState::WasMoved)?;
            return Ok(());
        }
        let details = Details {
            size: Some(remote.size),
            more: &size,
            ..Details::default()
        };
        say(cx, Change::Download, &item, details);
        cx.env.report.travelled(0, remote.size);
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

    fn meet_new_folder(&mut self, cx: &Context<'a>, item: &Item) -> Result<bool> {
        let is_met = self.renamed_folders.meets(cx, item)?;
        if is_met {
            note_made(cx, &item.row.key)?;
        }
        Ok(is_met)
    }

    fn is_being_renamed(&self, cx: &Context<'a>, key: &Key) -> Result<bool> {
        cx.is_moved(Direction::Down, key)
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
        let file = PendingUpload::new(item, *observed, mode, replaced.as_ref());
        if is_blocked {
            self.blocked.add(Blocked::File(file));
            return Ok(());
        }
        note_made(cx, &file.item.row.key)?;
        if !cx.had_base || !is_new(&file) {
            self.plan_upload(cx, &file);
            return Ok(());
        }
        self.new_files.push(file);
        match self.new_files.len() < cx.env.kept_max {
            true => Ok(()),
            false => self.plan_new_files(cx, LookFor::All),
        }
    }

    fn make_remote_folder(&mut self, _cx: &mut Context<'a>, item: Item) -> Result<()> {
        match item.blocked_up {
            true => self.blocked.add(Blocked::Folder(item)),
            false => self.new_folders.add(item),
        }
        Ok(())
    }

    fn ask_person(&mut self, _cx: &mut Context<'a>, item: Item, observed: Observed) -> Result<()> {
        self.undecided.add((item, observed));
        Ok(())
    }

    fn delete(&mut self, cx: &mut Context<'a>, direction: Direction, item: Item) -> Result<()> {
        if self.is_being_renamed(cx, &item.row.key)? {
            return Ok(());
        }
        if frees_a_name(direction, &item) {
            // There is no second round in which it would be met.
            say(cx, swapped_in(direction, &item), &item, "");
        }
        collect(cx, &mut self.collected, Delete { direction, item });
        Ok(())
    }

    fn finish_walk(&mut self, _cx: &mut Context<'a>) -> Result<()> {
        Ok(())
    }
}

fn say<'d>(cx: &Context<'_>, change: Change, item: &Item, details: impl Into<Details<'d>>) {
    cx.env.report.changed(change, &item.display_path, details);
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
