//! A path looked at once more by its key: what there is no memory for is known by its key alone.

use crate::core::decide::{Action, Direction};
use crate::core::path::Key;
use crate::engine::context::Context;
use crate::engine::item::{Delete, Item, Local};
use crate::engine::local_dir::{OpenDir, item_at, open_dir};
use crate::engine::observe::{decision, observe, plan_for};
use crate::error::Result;
use crate::index::Row;

/// Looks at paths by their keys. The directory looked into last stays open.
#[derive(Default)]
pub(crate) struct Revisit<'d> {
    opened: Option<(String, Option<OpenDir<'d>>)>,
}

impl<'d> Revisit<'d> {
    /// The item of a row as it is now; nothing if it is not looked at.
    ///
    /// # Errors
    /// What the index says.
    pub(crate) fn item(&mut self, cx: &mut Context<'d>, row: Row) -> Result<Option<Item>> {
        let dir = &row.key.dir;
        if self.opened.as_ref().is_none_or(|(opened, _)| opened != dir) {
            self.opened = Some((dir.clone(), open_dir(cx, dir)?.dir()));
        }
        let opened = self.opened.as_ref().and_then(|(_, dir)| dir.as_ref());
        Ok(opened.and_then(|opened| item_at(cx, opened, row)))
    }

    /// The delete of a key, if it is still to be deleted on this side.
    ///
    /// # Errors
    /// What the index says.
    pub(crate) fn delete(
        &mut self,
        cx: &mut Context<'d>,
        direction: Direction,
        key: &Key,
    ) -> Result<Option<Delete>> {
        let Some(item) = self.known(cx, key)? else {
            return Ok(None);
        };
        let action = observe(cx, &item).ok();
        let action = action.map(|observed| decision(cx, &item, &observed));
        Ok(match (action, direction) {
            (Some(Action::DeleteRemote), Direction::Up)
            | (Some(Action::DeleteLocal), Direction::Down)
                if cx.may(direction) =>
            {
                Some(Delete { direction, item })
            }
            _ => None,
        })
    }

    /// The item of a key that is gone here, if it goes in Dropbox where it has another name here.
    ///
    /// # Errors
    /// What the index says.
    pub(crate) fn gone_here(&mut self, cx: &mut Context<'d>, key: &Key) -> Result<Option<Item>> {
        let Some(item) = self.known(cx, key)? else {
            return Ok(None);
        };
        let goes = matches!(plan_for(cx, &item), Some((Action::DeleteRemote, _)));
        Ok((goes && item.local == Local::Gone && cx.may(Direction::Up)).then_some(item))
    }

    fn known(&mut self, cx: &mut Context<'d>, key: &Key) -> Result<Option<Item>> {
        match cx.env.index.row(key)?.filter(|row| row.intact) {
            Some(row) => self.item(cx, row),
            None => Ok(None),
        }
    }
}
