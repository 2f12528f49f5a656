//! The first walk: everything Dropbox changed, by the pending rows.

use crate::engine::actions::Actions;
use crate::engine::context::Context;
use crate::engine::download::archive_plan::{ArchiveCandidates, How};
use crate::engine::item::Walk;
use crate::engine::local_dir::{OpenDir, Opened, display_path_of, item_at, open_dir};
use crate::engine::reconcile::visit;
use crate::error::Result;

/// Visits the pending rows. With `candidates` no file comes down yet: what an archive may bring is
/// counted.
///
/// # Errors
/// Whatever ends the pass.
pub(crate) fn walk_pending<'a>(
    cx: &mut Context<'a>,
    actions: &mut dyn Actions<'a>,
    mut candidates: Option<&mut ArchiveCandidates>,
) -> Result<()> {
    let mut last: Option<String> = None;
    while let Some(dir) = cx.env.index.next_pending_dir(last.as_deref())? {
        pending_in(cx, actions, &dir, candidates.as_deref_mut())?;
        last = Some(dir);
    }
    actions.finish_walk(cx)
}

fn pending_in<'a>(
    cx: &mut Context<'a>,
    actions: &mut dyn Actions<'a>,
    dir: &str,
    mut candidates: Option<&mut ArchiveCandidates>,
) -> Result<()> {
    let Some(display_path) = display_path_of(cx, dir)? else {
        return Ok(());
    };
    let mut rows = cx.env.index.pending_rows_in_dir(dir);
    let (mut opened, mut cannot_open) = (None, false);
    while let Some(row) = rows.next()? {
        cx.env.deadline.check()?;
        // A folder that is pruned is pending for ever, and no reason to look.
        let row_path = display_path.join(&row.display_name);
        if cx.prunes(&row_path, &row_path, &row.key) {
            continue;
        }
        if opened.is_none() && !cannot_open {
            opened = open(cx, actions, dir)?;
        }
        let Some(opened) = &opened else {
            cx.note_remote_file(&row, &row_path);
            cannot_open = true;
            continue;
        };
        if let Some(item) = item_at(cx, opened, row) {
            let how = match &mut candidates {
                Some(candidates) => How::Count(candidates),
                None => How::Fetch,
            };
            visit(cx, actions, Walk::Pending, item, how)?;
        }
    }
    Ok(())
}

/// Opens a directory to bring something down into it; nothing if that cannot be.
pub(super) fn open<'a>(
    cx: &mut Context<'a>,
    actions: &mut dyn Actions<'a>,
    dir: &str,
) -> Result<Option<OpenDir<'a>>> {
    match open_dir(cx, dir)? {
        Opened::Dir(opened) => {
            let (path, own_names) = opened.own_names();
            if !own_names.is_empty() {
                actions.clean(cx, path, own_names);
            }
            Ok(Some(opened))
        }
        Opened::Blocked(path) if actions.meet_blocked_folder(cx, &path) => {
            Ok(Some(OpenDir::planned(path)))
        }
        Opened::Blocked(_) | Opened::Unknown => Ok(None),
    }
}
