//! What each phase holds while the pass lasts, and the actions it is asked for by.

use crate::core::decide::{Action, Direction};
use crate::core::path::{DisplayPath, Key, RelPath};
use crate::core::remote::Rev;
use crate::dropbox::api::Api;
use crate::dropbox::wire::WriteMode;
use crate::engine::context::Context;
use crate::engine::delete::Deletes;
use crate::engine::download::Downloads;
use crate::engine::download::archive_plan::How;
use crate::engine::item::{Item, Observed, Phase};
use crate::engine::survey::Survey;
use crate::engine::upload::Uploads;
use crate::error::Result;
use crate::index::Row;
use crate::io::disk::Disk;

/// What decisions lead to. [`Phases`] does it; a dry run's
/// [`Planner`](crate::engine::planner::Planner) says it.
pub trait Actions<'a> {
    /// What the walks count.
    fn survey(&mut self) -> &mut Survey;

    /// Takes note of what a row has become.
    fn settle(&mut self, cx: &mut Context<'a>, row: Row) -> Result<()>;

    /// Both sides were found to hold the same.
    fn adopt(&mut self, cx: &mut Context<'a>, phase: Phase, row: Row) -> Result<()>;

    /// Brings a file down ([`Action::Download`] or [`Action::Conflict`]).
    fn download(
        &mut self,
        cx: &mut Context<'a>,
        item: Item,
        observed: Observed,
        action: Action,
        how: How<'_>,
    ) -> Result<()>;

    /// Keeps a local file as a conflict copy and makes the folder Dropbox has in its place.
    fn set_aside(&mut self, cx: &mut Context<'a>, item: Item, observed: Observed) -> Result<()>;

    /// Makes a folder Dropbox has.
    fn make_local_folder(&mut self, cx: &mut Context<'a>, item: Item) -> Result<()>;

    /// Something stands where a folder of Dropbox would have to be. Whether to go on as if it had
    /// made room.
    fn meet_blocked_folder(&mut self, cx: &mut Context<'a>, path: &DisplayPath) -> bool;

    /// Whether the file of this key has another name by now, which may not be durable yet.
    fn is_being_renamed(&self, key: &Key) -> bool;

    /// Files of our own were met in a directory: what an earlier run has left goes.
    fn clean(&mut self, cx: &mut Context<'a>, dir: &RelPath, own_names: &[String]);

    /// Sends a file; `replaced` is a rev to name that is not the base's.
    fn upload(
        &mut self,
        cx: &mut Context<'a>,
        item: Item,
        observed: &Observed,
        mode: WriteMode,
        replaced: Option<Rev>,
    ) -> Result<()>;

    /// Makes a folder in Dropbox, at the latest after the walk.
    fn make_remote_folder(&mut self, cx: &mut Context<'a>, item: Item);

    /// Both sides differ, there is no base, and nothing may come down: a person decides.
    fn ask_person(&mut self, cx: &mut Context<'a>, item: Item, observed: Observed);

    /// Deletes after the walks, under guard.
    fn delete(&mut self, cx: &mut Context<'a>, direction: Direction, item: Item);

    /// A walk is over.
    fn finish_walk(&mut self, cx: &mut Context<'a>) -> Result<()>;
}

/// The phases that change something. They do not know each other.
pub struct Phases<'a> {
    pub(crate) downloads: Downloads<'a>,
    pub(crate) uploads: Uploads<'a>,
    pub(crate) deletes: Deletes<'a>,
    pub(crate) survey: Survey,
}

impl<'a> Phases<'a> {
    /// Phases that change this content dir and this Dropbox.
    pub fn new(disk: &'a dyn Disk, api: &'a Api<'a>) -> Phases<'a> {
        Phases {
            downloads: Downloads::new(disk, api),
            uploads: Uploads::new(api),
            deletes: Deletes::new(disk, api),
            survey: Survey::default(),
        }
    }
}

impl<'a> Actions<'a> for Phases<'a> {
    fn survey(&mut self) -> &mut Survey {
        &mut self.survey
    }

    fn settle(&mut self, cx: &mut Context<'a>, row: Row) -> Result<()> {
        cx.settle(row)
    }

    fn adopt(&mut self, cx: &mut Context<'a>, _phase: Phase, row: Row) -> Result<()> {
        if row.base_file().is_some() {
            cx.env.report.adopted();
        }
        cx.settle(row)
    }

    fn download(
        &mut self,
        cx: &mut Context<'a>,
        item: Item,
        observed: Observed,
        action: Action,
        how: How<'_>,
    ) -> Result<()> {
        self.downloads.download(cx, item, observed, action, how)
    }

    fn set_aside(&mut self, cx: &mut Context<'a>, item: Item, observed: Observed) -> Result<()> {
        self.downloads.set_aside(cx, item, observed)
    }

    fn make_local_folder(&mut self, cx: &mut Context<'a>, item: Item) -> Result<()> {
        self.downloads.make_local_folder(cx, item)
    }

    fn meet_blocked_folder(&mut self, cx: &mut Context<'a>, path: &DisplayPath) -> bool {
        if cx.is_second_round {
            cx.env.report.problem(
                path,
                "something else is in the way of this folder; what Dropbox holds in it is left \
                 alone: move it away",
            );
        }
        cx.needs_second_round = true;
        false
    }

    fn is_being_renamed(&self, key: &Key) -> bool {
        self.downloads.is_being_renamed(key)
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
        self.uploads.upload(cx, item, observed, mode, replaced)
    }

    fn make_remote_folder(&mut self, _cx: &mut Context<'a>, item: Item) {
        self.uploads.new_folders.push(item);
    }

    fn ask_person(&mut self, _cx: &mut Context<'a>, item: Item, observed: Observed) {
        self.uploads.undecided.push((item, observed));
    }

    fn delete(&mut self, cx: &mut Context<'a>, direction: Direction, item: Item) {
        self.deletes.collected.add(cx, direction, item);
    }

    fn finish_walk(&mut self, cx: &mut Context<'a>) -> Result<()> {
        self.downloads.finish_publishing(cx)?;
        cx.flush_settles()
    }
}
