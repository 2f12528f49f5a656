//! The first walk: everything Dropbox changed, by the pending rows.

use crate::core::decide::Side;
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
    let (mut opened, mut has_met) = (None, false);
    while let Some(row) = rows.next()? {
        cx.env.deadline.check()?;
        // A folder that is pruned is pending for ever, and no reason to look.
        let row_path = display_path.join(&row.display_name);
        if cx.prunes((&row_path, &row_path), &row.key, row.remote_is_folder()) {
            continue;
        }
        let is_gone = row.remote_side() == Side::Gone;
        let place = match &mut opened {
            Some(place) => place,
            none => none.insert(look(cx, actions, dir)?),
        };
        if let (Opened::BelowFile(path) | Opened::Blocked(path), false, false) =
            (&*place, is_gone, has_met)
        {
            has_met = true;
            if actions.meet_blocked_folder(cx, path) {
                *place = Opened::Dir(OpenDir::absent(path.clone()));
            }
        }
        let absent;
        let place = match &*place {
            Opened::Dir(place) => place,
            // Nothing is to come down, and nothing is here.
            Opened::BelowFile(path) if is_gone => {
                absent = OpenDir::absent(path.clone());
                &absent
            }
            Opened::BelowFile(_) | Opened::Blocked(_) | Opened::Unknown => {
                cx.note_remote_file(&row, &row_path);
                continue;
            }
        };
        if let Some(item) = item_at(cx, place, row) {
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
    Ok(match look(cx, actions, dir)? {
        Opened::Dir(opened) => Some(opened),
        Opened::BelowFile(path) | Opened::Blocked(path) => actions
            .meet_blocked_folder(cx, &path)
            .then(|| OpenDir::absent(path)),
        Opened::Unknown => None,
    })
}

fn look<'a>(cx: &mut Context<'a>, actions: &mut dyn Actions<'a>, dir: &str) -> Result<Opened<'a>> {
    let opened = open_dir(cx, dir)?;
    if let Opened::Dir(opened) = &opened {
        let (path, own_names) = opened.own_names();
        if !own_names.is_empty() {
            actions.clean(cx, path, own_names);
        }
    }
    Ok(opened)
}
