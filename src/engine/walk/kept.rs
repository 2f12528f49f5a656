//! What was deleted here while `sync.deletes` kept it in Dropbox, once that key is taken out again:
//! it is forgotten, never deleted.

use crate::core::decide::{DeletePolicy, Direction, Mode};
use crate::engine::context::Context;
use crate::engine::item::{Item, Local};
use crate::engine::local_dir::{Opened, item_at, open_dir};
use crate::error::Result;
use crate::index::{Base, Meta, Row, in_step_after};
use crate::report::counted;

/// Notes that files which are gone here may be kept in Dropbox from now on.
///
/// # Errors
/// What the index says.
pub(crate) fn note_keeping(cx: &mut Context<'_>) -> Result<()> {
    let is_set = cx.env.config.sync.deletes == DeletePolicy::Keep;
    if !is_set || cx.kept_before() || cx.options.mode != Mode::LocalToDropbox {
        return Ok(());
    }
    let index = cx.env.index;
    index.transaction(|| index.set_meta(Meta::Keeps, "1"))
}

/// The first pass that could delete what was kept has kept it once more. From here on it counts as
/// only in Dropbox, and deletes travel. Where something could not be looked at, the next pass does
/// the same.
///
/// # Errors
/// What the index says.
pub(crate) fn let_go_of_kept(cx: &mut Context<'_>) -> Result<()> {
    let is_set = cx.env.config.sync.deletes == DeletePolicy::Keep;
    let can_delete = cx.may(Direction::Up) && cx.options.mode != Mode::DropboxToLocal;
    if is_set || !cx.kept_before() || !can_delete {
        return Ok(());
    }
    let (files, has_seen_all) = forget_what_is_gone(cx)?;
    if files > 0 {
        let (count, stay) = match cx.options.dry_run {
            true => (counted(files, "file", "files"), "would stay in Dropbox"),
            false => (counted(files, "file", "files"), "stay in Dropbox"),
        };
        log::warn!(
            "deletes are kept no longer (sync.deletes): {count} deleted here until now {stay}; \
             what is deleted here from now on is deleted there"
        );
    }
    let index = cx.env.index;
    match has_seen_all {
        true => index.transaction(|| index.clear_meta(Meta::Keeps)),
        false => Ok(()),
    }
}

/// How many files that was, and whether all could be looked at.
fn forget_what_is_gone(cx: &mut Context<'_>) -> Result<(u64, bool)> {
    cx.flush_settles()?;
    let (mut files, mut has_seen_all) = (0, true);
    let mut opened: Option<(String, Opened<'_>)> = None;
    let mut last = None;
    loop {
        let rows = in_step_after(cx.env.index, last.as_ref())?;
        let Some(row) = rows.last() else {
            cx.flush_settles()?;
            return Ok((files, has_seen_all));
        };
        last = Some(row.key.clone());
        for row in rows.into_iter().filter(|row| row.intact) {
            cx.env.deadline.check()?;
            let dir = &row.key.dir;
            if opened.as_ref().is_none_or(|(opened, _)| opened != dir) {
                opened = Some((dir.clone(), open_dir(cx, dir)?));
            }
            let is_gone = match opened.as_ref().map(|(_, opened)| opened) {
                Some(Opened::Dir(dir)) => match item_at(cx, dir, row.clone()) {
                    Some(item) => is_gone(&item),
                    None => Some(false),
                },
                Some(Opened::BelowFile(_)) => Some(true),
                Some(Opened::Blocked(_) | Opened::Unknown) | None => None,
            };
            match is_gone {
                Some(true) => {
                    files += u64::from(row.base_file().is_some());
                    forget(cx, row)?;
                }
                Some(false) => {}
                None => has_seen_all = false,
            }
        }
    }
}

/// Whether what was in step is here no more, even if something else has its name; nothing if that
/// cannot be told.
fn is_gone(item: &Item) -> Option<bool> {
    match item.local {
        Local::Unknown => None,
        Local::Gone => Some(true),
        Local::File(_) => Some(item.row.base == Base::Folder),
        Local::Folder { .. } => Some(item.row.base_file().is_some()),
    }
}

fn forget(cx: &mut Context<'_>, mut row: Row) -> Result<()> {
    row.set_base(Base::None);
    cx.settle(row)
}
