//! Disks that were mounted within the content dir and are not any more: nothing at or below such a
//! folder is touched, until the disk is back or a person says that the folder is meant as it is.

use crate::core::path::Key;
use crate::engine::context::Context;
use crate::engine::item::{Item, Local};
use crate::engine::local_dir::{item_at, open_dir};
use crate::error::Result;
use crate::index::{Base, HeldBy, Question, Row, Trees, approval_id, mounts};
use crate::report::{Trouble, printable};

/// A folder that was a mount point and now lies on its parent's device. One that does not travel
/// itself matters by the files in it that do.
///
/// # Errors
/// What the index says.
pub(super) fn has_lost_mount(cx: &Context<'_>, row: &Row, local: &Local) -> Result<bool> {
    if !row.mount || !matches!(local, Local::Folder { mount: false, .. }) {
        return Ok(false);
    }
    let index = cx.env.index;
    Ok(row.base == Base::Folder || index.has_files_below(&row.key, HeldBy::BaseOrDropbox)?)
}

/// Says what is not mounted, and how to go on without it.
///
/// # Errors
/// What the index says.
pub(super) fn tell_lost_mount(cx: &mut Context<'_>, item: &Item) -> Result<()> {
    cx.note_incomplete_view();
    let id = mount_approval_id(cx, &item.row.key)?;
    let command = cx.again(&format!("--approve {id}"));
    let text = format!(
        "a disk was mounted here and is not any more; nothing below is touched: mount it, or \
         remove the folder if it is meant to be empty, or go on with what is in it now, which \
         deletes nothing, by: {command}"
    );
    cx.env
        .report
        .problem(&item.display_path, Trouble::MissingThere, &text);
    Ok(())
}

/// Makes ordinary folders of those whose disk a person has given up: without a base nothing below
/// is deleted, what is equal is adopted, and all else is new.
///
/// # Errors
/// What the index says.
pub(crate) fn give_up_mounts(cx: &mut Context<'_>) -> Result<()> {
    if cx.options.approved.is_empty() && cx.options.kept.is_empty() {
        return Ok(());
    }
    let index = cx.env.index;
    for key in mounts(index)? {
        let Some(mut row) = find_lost(cx, &key)? else {
            continue;
        };
        if !cx.options.approved.contains(&mount_approval_id(cx, &key)?) {
            continue;
        }
        log::info!(
            "starting over with /{}; nothing is deleted on either side",
            printable(&key.path())
        );
        row.mount = false;
        cx.settle(row)?;
        Trees(index).each_below(&key, &mut |mut row| {
            if !row.intact {
                return Ok(());
            }
            row.set_base(Base::None);
            row.mount = false;
            cx.settle(row)
        })?;
        cx.flush_settles()?;
    }
    Ok(())
}

/// The row of a mount point, if its disk is not there.
fn find_lost(cx: &mut Context<'_>, key: &Key) -> Result<Option<Row>> {
    let Some(row) = cx.env.index.row(key)?.filter(|row| row.intact) else {
        return Ok(None);
    };
    let Some(dir) = open_dir(cx, &key.dir)?.dir() else {
        return Ok(None);
    };
    let Some(item) = item_at(cx, &dir, row) else {
        return Ok(None);
    };
    let is_lost = has_lost_mount(cx, &item.row, &item.local)?;
    Ok(is_lost.then_some(item.row))
}

fn mount_approval_id(cx: &Context<'_>, key: &Key) -> Result<String> {
    let mut id = approval_id(cx.env.index, Question::Mount)?;
    id.field(&key.path());
    Ok(id.finish())
}
