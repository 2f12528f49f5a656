//! Files that Dropbox has no more under the name they have here: perhaps only moved.

use std::collections::HashSet;

use crate::core::decide::{Action, Direction};
use crate::core::path::Key;
use crate::engine::context::Context;
use crate::engine::item::{Item, Local};
use crate::engine::observe::plan_for;
use crate::engine::revisit::Revisit;
use crate::error::Result;
use crate::index::{Remote, RemoteFile};
use crate::io::stat::Stamp;

/// More files that were moved than may not be settled yet: those of two batches, and their rows
/// that wait to be settled.
const UNSETTLED_MAX: usize = 1000;

/// Files that Dropbox has no more under the name they have here.
#[derive(Default)]
pub(crate) struct GoneRemotely<'d> {
    /// Old names of files that were moved and may not be settled yet, and those before them.
    being_renamed: [HashSet<Key>; 2],
    revisit: Revisit<'d>,
}

impl<'d> GoneRemotely<'d> {
    /// Whether the file of this key has another name by now.
    pub(crate) fn is_being_renamed(&self, key: &Key) -> bool {
        self.being_renamed.iter().any(|keys| keys.contains(key))
    }

    /// The file of this key has got another name.
    pub(crate) fn note_renamed(&mut self, key: Key) {
        let [last, before] = &mut self.being_renamed;
        if last.len() == UNSETTLED_MAX {
            *before = std::mem::take(last);
        }
        last.insert(key);
    }

    /// A file with the content of `remote`, which has the key `new` there, that is to go here
    /// because it is gone in Dropbox, with the stamp it had when it was found unchanged.
    ///
    /// # Errors
    /// What the index says.
    pub(crate) fn origin(
        &mut self,
        cx: &mut Context<'d>,
        new: &Key,
        remote: &RemoteFile,
    ) -> Result<Option<(Item, Stamp)>> {
        let (Some(hash), true) = (remote.hash, cx.had_base && remote.size > 0) else {
            return Ok(None);
        };
        if !cx.may(Direction::Down) || !cx.has_gone_there()? {
            return Ok(None);
        }
        while let Some(key) = cx.tables()?.take_gone_there(hash, &new.name)? {
            let row = cx.env.index.row(&key)?;
            let Some(row) = row.filter(|row| row.intact && row.remote == Remote::Gone) else {
                continue;
            };
            let Some(item) = self.revisit.item(cx, row)? else {
                continue;
            };
            if let (Local::File(_), Some((Action::DeleteLocal, observed))) =
                (item.local, plan_for(cx, &item))
            {
                return Ok(Some((item, observed.stamp)));
            }
        }
        Ok(None)
    }
}
