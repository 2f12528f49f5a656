//! Folders that were only renamed here: renamed in Dropbox after the walk, and then walked.

use super::queue::DirQueue;
use super::{queue_children, walk_dir};
use crate::core::path::{DisplayPath, RelPath, split};
use crate::dropbox::retry::LAG_TIME;
use crate::engine::actions::Actions;
use crate::engine::context::Context;
use crate::engine::download::archive_plan::How;
use crate::engine::item::{Item, Walk, local_of};
use crate::engine::phases::Phases;
use crate::engine::planner::Planner;
use crate::engine::pull::Puller;
use crate::engine::reconcile::visit;
use crate::error::Result;
use crate::index::{RenamedFolder, Row, Trees};

/// Renames in Dropbox the folders that the walk has found to be renamed here, as far as they can
/// move as one, and walks all of them. What lies in them may have been renamed, too.
///
/// # Errors
/// Whatever ends the pass.
pub(crate) fn walk_renamed<'a>(
    cx: &mut Context<'a>,
    phases: &mut Phases<'a>,
    puller: &Puller<'_>,
) -> Result<()> {
    let mut are_any = false;
    while let Some(round) = phases.renames.folders.take_round() {
        are_any = true;
        cx.begin_step();
        if phases.rename_folders(cx, round)? {
            learn_revs(cx, puller)?;
        }
        walk_round(cx, phases, round)?;
    }
    match are_any {
        true => phases.finish_walk(cx),
        false => Ok(()),
    }
}

/// The same as a plan.
///
/// # Errors
/// What the index says.
pub(crate) fn plan_renamed<'a>(cx: &mut Context<'a>, planner: &mut Planner<'a>) -> Result<()> {
    while let Some(round) = planner.renamed_folders.take_round() {
        planner.plan_folders(cx, round)?;
        walk_round(cx, planner, round)?;
    }
    Ok(())
}

/// Walks the folders that were found in a round, whether they were moved or not.
fn walk_round<'a>(cx: &mut Context<'a>, actions: &mut dyn Actions<'a>, round: u32) -> Result<()> {
    let mut last: Option<RenamedFolder> = None;
    while let Some(folder) = cx.tables()?.next_renamed_folder(round, last.as_ref())? {
        if let Some(item) = item_of(cx, &folder)? {
            walk_from(cx, actions, item)?;
        }
        last = Some(folder);
    }
    Ok(())
}

/// A move gives all files in a folder new revs: Dropbox tells them.
fn learn_revs(cx: &Context<'_>, puller: &Puller<'_>) -> Result<()> {
    puller.drain()?;
    if Trees(cx.env.index).are_revs_due()? {
        cx.env.deadline.sleep(LAG_TIME)?;
        puller.drain()?;
        Trees(cx.env.index).are_revs_due()?;
    }
    Ok(())
}

/// A folder that was left for after the walk, as it is now; nothing if it is gone.
fn item_of(cx: &Context<'_>, folder: &RenamedFolder) -> Result<Option<Item>> {
    let Ok(path) = RelPath::parse(&folder.path) else {
        return Ok(None);
    };
    let disk = cx.env.disk;
    let (Ok(Some(parent)), Ok(Some(status))) = (disk.status(&path.parent()), disk.status(&path))
    else {
        return Ok(None);
    };
    let name = split(&folder.display_path).1;
    let row = cx.env.index.row(&folder.key)?;
    Ok(Some(Item {
        row: row.unwrap_or_else(|| Row::new(folder.key.clone(), name)),
        local: local_of(&status, parent.device),
        dir: path.parent(),
        device: parent.device,
        name: path.name().to_owned(),
        display_path: DisplayPath::from(folder.display_path.clone()),
        blocked_up: false,
    }))
}

/// Walks a folder and all below it.
fn walk_from<'a>(cx: &mut Context<'a>, actions: &mut dyn Actions<'a>, item: Item) -> Result<()> {
    let mut dirs = DirQueue::default();
    let mark = dirs.mark();
    queue_children(&item, &mut dirs)?;
    dirs.close(mark);
    visit(cx, actions, Walk::All, item, How::Fetch)?;
    while let Some(dir) = dirs.pop() {
        let mark = dirs.mark();
        walk_dir(cx, actions, dir, &mut dirs)?;
        dirs.close(mark);
    }
    Ok(())
}
