//! Folders in Dropbox that lie above what is sent.

use std::collections::HashSet;

use crate::core::decide::Direction;
use crate::core::path::{Key, split};
use crate::engine::context::Context;
use crate::engine::item::Item;
use crate::error::Result;
use crate::report::Trouble;

/// Folders kept in mind; of others the index is asked again.
const NOTED_MAX: usize = 4000;

/// Folders that exist because something was sent into them, as far as they are kept in mind.
#[derive(Default)]
pub(crate) struct FoldersAbove(HashSet<String>);

impl FoldersAbove {
    /// Whether all are forgotten when the next one is noted.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= NOTED_MAX
    }

    /// Notes the folders above a key; returns those that are not in mind, the deepest first.
    pub(crate) fn note(&mut self, key: &Key) -> Vec<Key> {
        if self.is_full() {
            self.0.clear();
        }
        let mut fresh = Vec::new();
        let mut above = key.parent();
        while let Some(key) = above.filter(|key| self.0.insert(key.path())) {
            above = key.parent();
            fresh.push(key);
        }
        fresh
    }

    /// Whether the folder of this key is in mind.
    pub(crate) fn contains(&self, key: &Key) -> bool {
        self.0.contains(&key.path())
    }
}

/// Folders to make, the deepest first, so that one call makes all above it.
pub(crate) fn deepest_first(mut folders: Vec<Item>) -> Vec<Item> {
    folders.sort_by_key(|item| std::cmp::Reverse(item.row.key.depth()));
    folders
}

/// Dropbox has a file where a folder above this item would have to be: that is told once, of the
/// folder, whatever it holds.
///
/// # Errors
/// What the index says.
pub(super) fn tell_blocked(cx: &mut Context<'_>, item: &Item) -> Result<()> {
    cx.needs_second_round = true;
    cx.upload_left |= cx.is_second_round;
    match blocked_by(cx, item)? {
        Some((_, folder)) if cx.is_last_chance(Direction::Up) => tell_blocked_by(cx, folder),
        _ => {}
    }
    Ok(())
}

/// The folder above an item that is a file in Dropbox, and what people know it by.
///
/// # Errors
/// What the index says.
pub(crate) fn blocked_by<'i>(cx: &Context<'_>, item: &'i Item) -> Result<Option<(Key, &'i str)>> {
    let (mut key, mut display_path) = (item.row.key.parent(), split(&item.display_path).0);
    while let Some(folder) = key {
        let row = cx.env.index.row(&folder)?;
        if row.is_some_and(|row| row.remote_file().is_some()) {
            return Ok(Some((folder, display_path)));
        }
        (key, display_path) = (folder.parent(), split(display_path).0);
    }
    Ok(None)
}

/// Says that nothing in this folder goes up.
pub(crate) fn tell_blocked_by(cx: &Context<'_>, folder: &str) {
    let text = "Dropbox has a file of this name, here is a folder: what is in it does not go up; \
                rename one";
    cx.env
        .report
        .problem(folder, Trouble::FileMeetsFolder, text);
}
