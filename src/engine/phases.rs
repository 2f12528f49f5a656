//! The phases that change something: what each holds while the pass lasts.

use crate::core::decide::{Action, Direction};
use crate::core::path::{DisplayPath, Key, RelPath};
use crate::core::remote::Rev;
use crate::dropbox::api::Api;
use crate::dropbox::wire::WriteMode;
use crate::engine::actions::Actions;
use crate::engine::collected::Collected;
use crate::engine::context::Context;
use crate::engine::delete::Deletes;
use crate::engine::delete::guard::collect;
use crate::engine::download::Downloads;
use crate::engine::download::archive_plan::How;
use crate::engine::item::{Delete, Item, Local, Observed, Walk};
use crate::engine::moves::Renames;
use crate::engine::moves::halves::{hold_back, let_go, take_free};
use crate::engine::moves::pairs::LookFor;
use crate::engine::survey::Survey;
use crate::engine::upload::Uploads;
use crate::engine::upload::queue::FindsAgain;
use crate::engine::upload::undecided::decide;
use crate::error::{Error, Result};
use crate::index::Row;
use crate::io::disk::Disk;
use crate::report::Trouble;

/// The phases that change something. They do not know each other; renames know them.
pub struct Phases<'a> {
    pub(crate) renames: Renames<'a>,
    pub(crate) downloads: Downloads<'a>,
    pub(crate) uploads: Uploads<'a>,
    pub(crate) deletes: Deletes<'a>,
    pub(crate) survey: Survey,
    /// The walk has seen everything: what is gone here is among the deletes.
    is_walk_over: bool,
}

impl<'a> Phases<'a> {
    /// Phases that change this content dir and this Dropbox.
    pub(crate) fn new(disk: &'a dyn Disk, api: &'a Api<'a>, again: FindsAgain<'a>) -> Phases<'a> {
        Phases {
            renames: Renames::new(disk, api),
            downloads: Downloads::new(disk, api),
            uploads: Uploads::new(api, again),
            deletes: Deletes::new(disk, api, Collected::new(again.deletes, again.kept_max)),
            is_walk_over: false,
            survey: Survey::default(),
        }
    }

    /// The walk has seen everything.
    pub(crate) fn note_walk_over(&mut self) {
        self.is_walk_over = true;
    }

    /// Sends what waits in the queue; what was only renamed here is renamed in Dropbox first.
    ///
    /// # Errors
    /// Whatever ends the pass.
    pub(crate) fn send_queue(&mut self, cx: &mut Context<'a>) -> Result<()> {
        let deletes = self.deletes.collected.kept();
        let gone = LookFor::at_this_point(cx, self.is_walk_over, deletes);
        self.renames.rename_there(cx, &mut self.uploads, gone)?;
        self.uploads.send_queue(cx)
    }

    /// Renames in Dropbox the folders that were found to be renamed here in a round of the walk;
    /// says whether any were.
    ///
    /// # Errors
    /// Whatever ends the pass.
    pub(crate) fn rename_folders(&mut self, cx: &mut Context<'a>, round: u32) -> Result<bool> {
        let (uploads, survey) = (&mut self.uploads, &mut self.survey);
        self.renames
            .rename_folders_there(cx, uploads, survey, round)
    }

    /// Uploads what a person has approved of what was undecided.
    ///
    /// # Errors
    /// Whatever ends the pass.
    pub(crate) fn decide_undecided(&mut self, cx: &mut Context<'a>) -> Result<()> {
        let undecided = self.uploads.undecided.take();
        decide(cx, &undecided, &mut |cx, (item, observed)| {
            let Some(remote) = item.row.remote_file() else {
                return Ok(());
            };
            let mode = WriteMode::Update(remote.rev.clone());
            self.upload(cx, item, &observed, mode, Some(remote.rev))
        })?;
        cx.flush_settles()
    }

    /// Carries out the collected deletes but for those that wait for their other halves; returns
    /// what halts the others, if something does.
    ///
    /// # Errors
    /// Whatever ends the pass.
    pub(crate) fn delete_all(&mut self, cx: &mut Context<'a>) -> Result<Option<Error>> {
        hold_back(cx, &self.deletes.collected)?;
        self.deletes.delete_all(cx, &self.survey)
    }

    /// Carries out the deletes that have waited, where their other halves are there by now.
    ///
    /// # Errors
    /// Whatever ends the pass.
    pub(crate) fn delete_other_halves(&mut self, cx: &mut Context<'a>) -> Result<()> {
        if !cx.has_held() {
            return Ok(());
        }
        let_go(cx)?;
        while let Some(deletes) = take_free(cx)? {
            // What they lie in waited for them.
            for Delete { direction, item } in &deletes {
                self.deletes.doom_above(cx, *direction, &item.row.key)?;
            }
            self.deletes.carry_out(cx, deletes)?;
        }
        self.deletes.delete_folders(cx)
    }
}

impl<'a> Actions<'a> for Phases<'a> {
    fn survey(&mut self) -> &mut Survey {
        &mut self.survey
    }

    fn settle(&mut self, cx: &mut Context<'a>, row: Row) -> Result<()> {
        cx.settle(row)
    }

    fn adopt(
        &mut self,
        cx: &mut Context<'a>,
        _walk: Walk,
        path: &DisplayPath,
        row: Row,
    ) -> Result<()> {
        if let Some(base) = row.base_file() {
            cx.env.report.adopted(path, base.stamp.size);
        }
        cx.settle(row)
    }

    fn download(
        &mut self,
        cx: &mut Context<'a>,
        item: Item,
        observed: Observed,
        action: Action,
        how: How<'_, '_>,
    ) -> Result<()> {
        // What is only counted is met again.
        if !matches!(how, How::Count(_)) {
            cx.note_under_way(Direction::Down, &item);
        }
        if cx.is_refused(&item) {
            return Ok(());
        }
        if cx.remembered.has_failed(cx.env.index, &item.row.key) {
            match how {
                How::Count(candidates) => candidates.has_pending = true,
                How::Fetch => self.downloads.last.push((item, observed, action)),
                How::From(_) => return self.downloads.download(cx, item, observed, action, how),
            }
            if self.downloads.last.len() >= cx.env.batch_max() {
                self.downloads.fetch_last(cx)?;
                cx.begin_step();
            }
            return Ok(());
        }
        if item.local == Local::Gone && self.renames.rename_here(cx, &mut self.downloads, &item)? {
            return Ok(());
        }
        self.downloads.download(cx, item, observed, action, how)
    }

    fn set_aside(&mut self, cx: &mut Context<'a>, item: Item, observed: Observed) -> Result<()> {
        self.downloads.set_aside(cx, item, observed)
    }

    fn make_local_folder(&mut self, cx: &mut Context<'a>, item: Item) -> Result<()> {
        let downloads = &mut self.downloads;
        if self.renames.rename_folder_here(cx, downloads, &item)? {
            return Ok(());
        }
        self.downloads.make_local_folder(cx, item)
    }

    fn meet_blocked_folder(&mut self, cx: &mut Context<'a>, path: &DisplayPath) -> bool {
        if cx.is_last_chance(Direction::Down) {
            cx.env.report.problem(
                path,
                Trouble::FileMeetsFolder,
                "something else is in the way of this folder; what Dropbox holds in it is left \
                 alone: move it away",
            );
        }
        cx.needs_second_round = true;
        false
    }

    fn meet_new_folder(&mut self, cx: &Context<'a>, item: &Item) -> Result<bool> {
        self.renames.folders.meets(cx, item)
    }

    fn is_being_renamed(&self, _cx: &Context<'a>, key: &Key) -> Result<bool> {
        Ok(self.renames.is_being_renamed(key))
    }

    fn clean(&mut self, cx: &mut Context<'a>, dir: &RelPath, own_names: &[String]) {
        self.downloads.clean(cx, dir, own_names);
    }

    fn upload(
        &mut self,
        cx: &mut Context<'a>,
        item: Item,
        observed: &Observed,
        mode: WriteMode,
        replaced: Option<Rev>,
    ) -> Result<()> {
        cx.note_under_way(Direction::Up, &item);
        if cx.is_refused(&item) {
            return Ok(());
        }
        if self.uploads.upload(cx, item, observed, mode, replaced)? {
            self.send_queue(cx)
        } else {
            Ok(())
        }
    }

    fn make_remote_folder(&mut self, cx: &mut Context<'a>, item: Item) -> Result<()> {
        if !cx.is_refused(&item) {
            self.uploads.new_folders.add(item);
        }
        Ok(())
    }

    fn ask_person(&mut self, _cx: &mut Context<'a>, item: Item, observed: Observed) -> Result<()> {
        self.uploads.undecided.add((item, observed));
        Ok(())
    }

    fn delete(&mut self, cx: &mut Context<'a>, direction: Direction, item: Item) -> Result<()> {
        if !cx.is_refused(&item) {
            let delete = Delete { direction, item };
            collect(cx, &mut self.deletes.collected, delete);
        }
        Ok(())
    }

    fn finish_walk(&mut self, cx: &mut Context<'a>) -> Result<()> {
        self.downloads.fetch_last(cx)?;
        self.downloads.finish_publishing(cx)?;
        cx.flush_settles()
    }
}
