//! Files that Dropbox has no more under the name they have here: perhaps only moved.

use std::collections::{HashMap, HashSet};

use crate::core::content_hash::ContentHash;
use crate::core::decide::{Action, Direction};
use crate::core::path::Key;
use crate::engine::context::Context;
use crate::engine::item::{Item, Local};
use crate::engine::local_dir::{OpenDir, item_at, open_dir};
use crate::engine::observe::plan_for;
use crate::error::Result;
use crate::index::{Remote, RemoteFile};
use crate::io::stat::Stamp;

/// LIMIT: files gone in Dropbox that a pass keeps in mind; those that moved beyond it are fetched.
const GONE_MAX: usize = 10_000;

/// Files that Dropbox has no more under the name they have here.
#[derive(Default)]
pub(crate) struct GoneRemotely<'d> {
    /// Read from the index once one that may have been moved is looked for.
    by_content: Option<HashMap<ContentHash, Vec<Key>>>,
    /// Old names of files that were moved and are not settled yet.
    being_renamed: HashSet<Key>,
    /// The directory the last one lies in.
    opened: Option<(String, Option<OpenDir<'d>>)>,
}

impl<'d> GoneRemotely<'d> {
    /// Whether the file of this key has another name by now.
    pub(crate) fn is_being_renamed(&self, key: &Key) -> bool {
        self.being_renamed.contains(key)
    }

    /// The file of this key has got another name.
    pub(crate) fn note_renamed(&mut self, key: Key) {
        self.being_renamed.insert(key);
    }

    /// A file with the content of `remote` that is to go here because it is gone in Dropbox, with
    /// the stamp it had when it was found unchanged.
    ///
    /// # Errors
    /// What the index says.
    pub(crate) fn origin(
        &mut self,
        cx: &mut Context<'d>,
        remote: &RemoteFile,
    ) -> Result<Option<(Item, Stamp)>> {
        let (Some(hash), true) = (remote.hash, cx.had_base && remote.size > 0) else {
            return Ok(None);
        };
        let by_content = match &mut self.by_content {
            Some(by_content) => by_content,
            none => none.insert(cx.env.index.gone_remotely(GONE_MAX)?),
        };
        while let Some(key) = by_content.get_mut(&hash).and_then(Vec::pop) {
            let row = cx.env.index.row(&key)?;
            let Some(row) = row.filter(|row| row.intact && row.remote == Remote::Gone) else {
                continue;
            };
            if self.opened.as_ref().is_none_or(|(dir, _)| *dir != key.dir) {
                self.opened = Some((key.dir.clone(), open_dir(cx, &key.dir)?.dir()));
            }
            let opened = self.opened.as_ref().and_then(|(_, dir)| dir.as_ref());
            let Some(item) = opened.and_then(|dir| item_at(cx, dir, row)) else {
                continue;
            };
            if let (Local::File(_), Some((Action::DeleteLocal, observed))) =
                (item.local, plan_for(cx, &item))
                && cx.may(Direction::Down)
            {
                return Ok(Some((item, observed.stamp)));
            }
        }
        Ok(None)
    }
}
