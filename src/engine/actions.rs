//! What decisions lead to, whoever acts: `Phases` does it, the `Planner` of a dry run says it.

use crate::core::decide::{Action, Direction};
use crate::core::path::{DisplayPath, Key, RelPath};
use crate::core::remote::Rev;
use crate::dropbox::wire::WriteMode;
use crate::engine::context::Context;
use crate::engine::download::archive_plan::How;
use crate::engine::item::{Item, Observed, Walk};
use crate::engine::survey::Survey;
use crate::error::Result;
use crate::index::Row;

/// What decisions lead to. `Phases` does it, the `Planner` of a dry run says it.
pub trait Actions<'a> {
    /// What the walks count.
    fn survey(&mut self) -> &mut Survey;

    /// Whether an item is looked at at all, and something is done about it.
    fn looks_at(&self, _item: &Item) -> bool {
        true
    }

    /// Takes note of what a row has become.
    fn settle(&mut self, cx: &mut Context<'a>, row: Row) -> Result<()>;

    /// Both sides were found to hold the same.
    fn adopt(
        &mut self,
        cx: &mut Context<'a>,
        walk: Walk,
        path: &DisplayPath,
        row: Row,
    ) -> Result<()>;

    /// Brings a file down ([`Action::Download`] or [`Action::Conflict`]).
    fn download(
        &mut self,
        cx: &mut Context<'a>,
        item: Item,
        observed: Observed,
        action: Action,
        how: How<'_, '_>,
    ) -> Result<()>;

    /// Keeps a local file as a conflict copy and makes the folder Dropbox has in its place.
    fn set_aside(&mut self, cx: &mut Context<'a>, item: Item, observed: Observed) -> Result<()>;

    /// Makes a folder Dropbox has.
    fn make_local_folder(&mut self, cx: &mut Context<'a>, item: Item) -> Result<()>;

    /// Something stands where a folder of Dropbox would have to be. Whether to go on as if it had
    /// made room.
    fn meet_blocked_folder(&mut self, cx: &mut Context<'a>, path: &DisplayPath) -> bool;

    /// Something is here of which nothing is known. Whether it is a folder that is left for after
    /// the walk, since it is another one's new name.
    ///
    /// # Errors
    /// What the index says.
    fn meet_new_folder(&mut self, _cx: &Context<'a>, _item: &Item) -> Result<bool> {
        Ok(false)
    }

    /// Whether the file of this key has another name by now, which may not be durable yet.
    ///
    /// # Errors
    /// What the index says.
    fn is_being_renamed(&self, cx: &Context<'a>, key: &Key) -> Result<bool>;

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
    fn make_remote_folder(&mut self, cx: &mut Context<'a>, item: Item) -> Result<()>;

    /// Both sides differ, there is no base, and nothing may come down: a person decides.
    fn ask_person(&mut self, cx: &mut Context<'a>, item: Item, observed: Observed) -> Result<()>;

    /// Deletes after the walks, under guard.
    fn delete(&mut self, cx: &mut Context<'a>, direction: Direction, item: Item) -> Result<()>;

    /// A walk is over.
    fn finish_walk(&mut self, cx: &mut Context<'a>) -> Result<()>;
}
