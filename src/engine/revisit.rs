//! A path looked at once more by its key: what there is no memory for is known by its key alone.

use crate::core::decide::{Action, Direction};
use crate::core::path::Key;
use crate::engine::context::Context;
use crate::engine::item::{Delete, Item, Observed};
use crate::engine::local_dir::{OpenDir, item_at, open_dir};
use crate::engine::observe::plan_for;
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

    /// The same with what is to be done about it, if that can be told.
    ///
    /// # Errors
    /// What the index says.
    pub(crate) fn plan(
        &mut self,
        cx: &mut Context<'d>,
        row: Row,
    ) -> Result<Option<(Item, Action, Observed)>> {
        let item = self.item(cx, row)?;
        Ok(item.and_then(|item| {
            let (action, observed) = plan_for(cx, &item)?;
            Some((item, action, observed))
        }))
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
        let row = cx.env.index.row(key)?.filter(|row| row.intact);
        let Some(row) = row else {
            return Ok(None);
        };
        Ok(match (self.plan(cx, row)?, direction) {
            (Some((item, Action::DeleteRemote, _)), Direction::Up)
            | (Some((item, Action::DeleteLocal, _)), Direction::Down)
                if cx.may(direction) =>
            {
                Some(Delete { direction, item })
            }
            _ => None,
        })
    }
}
