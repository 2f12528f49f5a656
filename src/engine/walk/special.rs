//! Links, pipes, sockets and devices: skipped without a word, unless something was in step under
//! their name or is to come down to it.

use crate::core::decide::{Directions, Side};
use crate::engine::context::Context;
use crate::engine::item::Item;
use crate::engine::local_dir::LocalEntry;
use crate::error::Result;
use crate::index::{Base, HeldBy, Row};
use crate::io::stat::Kind;
use crate::report::Trouble;

/// Says what such a thing keeps from travelling, if anything.
///
/// # Errors
/// What the index says.
pub(super) fn tell_special(cx: &mut Context<'_>, item: &Item, found: &[LocalEntry]) -> Result<()> {
    let [entry] = found else { return Ok(()) };
    let what = match entry.status.as_ref().map(|status| status.kind) {
        Ok(Kind::Link) => "a link",
        Ok(Kind::Special(_)) => "a pipe, a socket or a device",
        Ok(Kind::File | Kind::Folder) | Err(_) => return Ok(()),
    };
    let directions = Directions::of(cx.options.mode, cx.allows(item));
    let (row, display_path) = (&item.row, &item.display_path);
    let was = match &row.base {
        Base::File(_) => (directions != Directions::Neither).then_some("a file"),
        Base::Folder => Some("a folder"),
        // It may not travel itself and yet hold files that do.
        Base::None if !row.is_empty() && holds_files(cx, row)? => Some("a folder"),
        Base::None => None,
    };
    let report = cx.env.report;
    if let Some(was) = was {
        // What it hides is not gone.
        cx.view_is_incomplete = true;
        let text = format!(
            "here is {what}, where {was} was in step: it is not backed up any more, and nothing \
             is deleted in Dropbox; put it back in its place, or exclude it"
        );
        report.problem(display_path, Trouble::Link, &text);
        return Ok(());
    }
    let comes = match row.remote_side() {
        Side::File(_) => "a file",
        Side::Folder => "a folder",
        Side::Gone | Side::Unknown => return Ok(()),
    };
    if matches!(directions, Directions::Both | Directions::Down) {
        let text = format!(
            "Dropbox has {comes} of this name, here is {what}; both are left alone: rename one, \
             or exclude it"
        );
        report.problem(display_path, Trouble::Link, &text);
    }
    Ok(())
}

fn holds_files(cx: &Context<'_>, row: &Row) -> Result<bool> {
    cx.env.index.has_files_below(&row.key, HeldBy::Base)
}
