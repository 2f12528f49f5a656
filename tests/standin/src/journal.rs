//! The journal: which paths changed, in the order of their last change.
//!
//! Each path occurs once, with its last change, except that the deletion of a folder is kept
//! even if something is created there later: whoever applies the entries in order must drop the
//! old contents first. Entries below a deleted folder are taken out; its own entry stands for
//! them. Looking up what follows a position never walks what precedes it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// One position of the journal.
#[derive(Clone)]
pub(crate) struct Change {
    pub(crate) key: Arc<str>,
    /// The path was removed at this position, whatever is there now.
    pub(crate) removed: bool,
}

/// The changes of one account.
#[derive(Clone, Default)]
pub(crate) struct Journal {
    changes: BTreeMap<u64, Change>,
    last: HashMap<Arc<str>, u64>,
    folder_removals: HashMap<Arc<str>, u64>,
    sequence: u64,
}

impl Journal {
    /// The newest position.
    pub(crate) fn position(&self) -> u64 {
        self.sequence
    }

    /// Something now stands at this path, or what stands there changed.
    pub(crate) fn stored(&mut self, key: &Arc<str>) {
        self.forget(key);
        self.append(key, false);
    }

    /// A file is gone.
    pub(crate) fn file_removed(&mut self, key: &Arc<str>) {
        self.forget(key);
        self.append(key, true);
    }

    /// A folder is gone. Its contents must have been forgotten.
    pub(crate) fn folder_removed(&mut self, key: &Arc<str>) {
        self.forget(key);
        if let Some(earlier) = self.folder_removals.get(key) {
            self.changes.remove(earlier);
        }
        self.append(key, true);
        self.last.remove(key);
        self.folder_removals.insert(Arc::clone(key), self.sequence);
    }

    /// The last change of a path no longer matters.
    pub(crate) fn forget(&mut self, key: &str) {
        if let Some(earlier) = self.last.remove(key) {
            self.changes.remove(&earlier);
        }
    }

    /// The changes after a position, oldest first.
    pub(crate) fn after(&self, position: u64) -> impl Iterator<Item = (u64, &Change)> {
        self.changes
            .range(position.saturating_add(1)..)
            .map(|(position, change)| (*position, change))
    }

    /// Whether a folder was removed at this path after a position.
    pub(crate) fn folder_removed_after(&self, key: &str, position: u64) -> bool {
        self.folder_removals
            .get(key)
            .is_some_and(|&removal| removal > position)
    }

    fn append(&mut self, key: &Arc<str>, removed: bool) {
        self.sequence += 1;
        self.last.insert(Arc::clone(key), self.sequence);
        let key = Arc::clone(key);
        self.changes.insert(self.sequence, Change { key, removed });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(journal: &Journal) -> Vec<(String, bool)> {
        let tell = |(_, change): (u64, &Change)| (change.key.to_string(), change.removed);
        journal.after(0).map(tell).collect()
    }

    #[test]
    fn a_path_is_told_once_in_the_order_of_its_last_change() {
        let mut journal = Journal::default();
        let (a, b): (Arc<str>, Arc<str>) = ("/a".into(), "/b".into());
        journal.stored(&a);
        journal.stored(&b);
        journal.stored(&a);
        assert_eq!(told(&journal), [("/b".into(), false), ("/a".into(), false)]);
    }

    #[test]
    fn a_folder_made_again_is_told_as_removed_first() {
        let mut journal = Journal::default();
        let folder: Arc<str> = "/a".into();
        journal.stored(&folder);
        journal.folder_removed(&folder);
        journal.stored(&folder);
        assert_eq!(told(&journal), [("/a".into(), true), ("/a".into(), false)]);
        journal.folder_removed(&folder);
        assert_eq!(told(&journal), [("/a".into(), true)]);
    }
}
