//! Folders in Dropbox that lie above what is sent.

use std::collections::HashSet;

use crate::core::path::Key;
use crate::engine::context::Context;
use crate::engine::item::Item;

/// Folders that exist because something was sent into them.
#[derive(Default)]
pub(crate) struct FoldersAbove(HashSet<String>);

impl FoldersAbove {
    /// Notes the folders above a key; returns those that were not noted before, the deepest first.
    pub(crate) fn note(&mut self, key: &Key) -> Vec<Key> {
        let mut fresh = Vec::new();
        let mut above = key.parent();
        while let Some(key) = above.filter(|key| self.0.insert(key.path())) {
            above = key.parent();
            fresh.push(key);
        }
        fresh
    }

    /// Whether the folder of this key was noted.
    pub(crate) fn contains(&self, key: &Key) -> bool {
        self.0.contains(&key.path())
    }
}

/// Folders to make, the deepest first, so that one call makes all above it.
pub(crate) fn deepest_first(mut folders: Vec<Item>) -> Vec<Item> {
    folders.sort_by_key(|item| std::cmp::Reverse(item.row.key.depth()));
    folders
}

/// Dropbox has a file where a folder above this item would have to be.
pub(super) fn tell_blocked(cx: &mut Context<'_>, item: &Item) {
    cx.needs_second_round = true;
    if cx.is_second_round {
        cx.env.report.problem(
            &item.display_path,
            "Dropbox has a file where this one's folder would have to be: rename one of them",
        );
    }
}
