//! Dropbox does not find what is to be deleted there. Not all parts of it may know yet what was
//! written just now: nothing counts as gone that a look after a while still shows.

use super::deletes::Deletes;
use super::fresh_look::FreshLook;
use crate::core::remote::RemotePath;
use crate::dropbox::retry::{CallError, LAG_TIME};
use crate::dropbox::wire::Metadata;
use crate::engine::context::Context;
use crate::engine::item::Item;
use crate::engine::remembered::trouble_of;
use crate::error::Result;
use crate::index::Base;

/// What is said of something that is neither there nor gone.
const SHOWN_AND_NOT_FOUND: &str =
    "not deleted in Dropbox, which shows it and does not find it to be deleted";

impl<'a> Deletes<'a> {
    /// A file that was not found to be deleted: asked for once more if it is there.
    pub(super) fn file_not_found(
        &mut self,
        cx: &mut Context<'a>,
        item: Item,
        path: &RemotePath,
    ) -> Result<()> {
        let Some(item) = self.still_there(cx, item, path)? else {
            return Ok(());
        };
        let Some(base) = item.row.base_file() else {
            return Ok(());
        };
        match self.api.delete_file(path, &base.rev) {
            Ok(()) => self.deleted_in_dropbox(cx, item, ""),
            Err(CallError::ServerError(text)) => {
                let text = format!("not deleted in Dropbox: {text}");
                cx.note_server_error(self.api, &item, &text)
            }
            Err(CallError::Refused(error)) => {
                log::debug!("{}", error.text());
                stays(cx, &item);
                Ok(())
            }
            Err(error) => Err(error.into_error("delete a file")),
        }
    }

    /// Looks for what was not found; it comes back if it is there as its base says, and here as it
    /// was. What is gone is settled, and so is what makes room for something else: the cursor
    /// tells of that.
    pub(super) fn still_there(
        &mut self,
        cx: &mut Context<'a>,
        item: Item,
        path: &RemotePath,
    ) -> Result<Option<Item>> {
        if !self.has_waited_for_writes {
            self.has_waited_for_writes = true;
            cx.env.deadline.sleep(LAG_TIME)?;
        }
        let shown = match self.api.metadata(path) {
            Ok(shown) => shown,
            Err(CallError::ServerError(text)) => {
                let text = format!("not deleted in Dropbox: {text}");
                cx.note_server_error(self.api, &item, &text)?;
                return Ok(None);
            }
            Err(CallError::Refused(error)) => {
                let text = format!("not deleted in Dropbox: {}", error.text());
                cx.env
                    .report
                    .problem(&item.display_path, trouble_of(&error), &text);
                return Ok(None);
            }
            Err(error) => return Err(error.into_error("look for what is to be deleted")),
        };
        let is_there = match (&shown, &item.row.base) {
            (Some(Metadata::File(file)), Base::File(base)) => file.rev == base.rev,
            (Some(Metadata::Folder(_)), Base::Folder) => true,
            _ => false,
        };
        if !is_there {
            let mut row = item.row;
            row.settle(Base::None, &item.name);
            cx.settle(row)?;
            return Ok(None);
        }
        // RACE: what comes back between this look and Dropbox's answer is deleted there.
        let may_go = FreshLook::default().at(cx, &item)?.lets_go(cx, &item);
        Ok(may_go.then_some(item))
    }
}

/// The next pass tries again.
pub(super) fn stays(cx: &mut Context<'_>, item: &Item) {
    cx.defer(item, "Dropbox does not find it yet", SHOWN_AND_NOT_FOUND);
}
