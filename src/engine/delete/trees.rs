//! Folders that went with everything in them: looked into together, deleted together.

use std::collections::{BTreeMap, BTreeSet};

use super::deletes::Deletes;
use super::fresh_look::{FreshLook, Here};
use crate::core::path::{Key, below, split};
use crate::core::remote::RemotePath;
use crate::dropbox::api::PageSink;
use crate::dropbox::batch::Choice;
use crate::dropbox::retry::CallError;
use crate::dropbox::wire::Metadata;
use crate::engine::context::Context;
use crate::engine::item::Delete;
use crate::engine::remote_root::{Location, RemoteRoot};
use crate::error::{Error, Result};
use crate::index::Remote;

/// Entries of one page, as Dropbox fills them.
const PAGE_ENTRIES: u64 = 2000;

/// Tells which folders are empty but for each other.
struct Emptiness<'a, 'd> {
    cx: &'a Context<'d>,
    remote_root: &'a RemoteRoot,
    /// The deletes they came from.
    deletes: &'a [Delete],
    /// The folders to delete, with the paths requests name.
    folders: &'a BTreeMap<Key, RemotePath>,
    /// Those among them that hold something else.
    blocked: BTreeSet<Key>,
    /// Something lies where nobody can tell.
    view_is_incomplete: bool,
}

impl Emptiness<'_, '_> {
    fn may_go(&self, key: &Key) -> bool {
        self.folders.contains_key(key) && !self.blocked.contains(key)
    }

    /// The folder of this key stays, and so does what it lies in.
    fn block(&mut self, mut at: Option<Key>) {
        while let Some(key) = at {
            at = key.parent();
            if self.folders.contains_key(&key) {
                self.blocked.insert(key);
            }
        }
    }
}

impl PageSink for Emptiness<'_, '_> {
    fn restart(&mut self) -> std::result::Result<(), Error> {
        Ok(())
    }

    fn entry(&mut self, entry: Metadata) -> std::result::Result<(), Error> {
        let entry = match self.remote_root.locate(entry) {
            Location::Entry(entry) => entry,
            Location::Root(_) => return Ok(()),
            Location::Elsewhere | Location::Impossible { .. } => {
                self.view_is_incomplete = true;
                return Ok(());
            }
        };
        match entry.remote {
            Remote::Gone => return Ok(()),
            Remote::Folder if self.folders.contains_key(&entry.key) => return Ok(()),
            _ => {}
        }
        self.block(entry.key.parent());
        Ok(())
    }
}

impl Choice for Emptiness<'_, '_> {
    /// Each takes all that is below it along.
    fn chosen(&mut self) -> Vec<RemotePath> {
        if self.view_is_incomplete {
            return Vec::new();
        }
        // The listing may have taken a while. What is here again is told when it is asked alone.
        let mut look = FreshLook::default();
        for delete in self.deletes {
            if !matches!(look.at(self.cx, &delete.item), Ok(Here::AsSeen)) {
                self.block(Some(delete.item.row.key.clone()));
            }
        }
        let is_top = |key: &Key| !key.parent().is_some_and(|above| self.may_go(&above));
        self.folders
            .iter()
            .filter(|(key, _)| self.may_go(key) && is_top(key))
            .map(|(_, path)| path.clone())
            .collect()
    }
}

impl<'a> Deletes<'a> {
    /// Deletes folders in Dropbox that hold nothing but each other, where one look at all of them
    /// is less than a look at each; the others come back as they came.
    pub(super) fn delete_empty_trees(
        &mut self,
        cx: &mut Context<'a>,
        folders: Vec<Delete>,
    ) -> Result<Vec<Delete>> {
        if folders.len() < 2 {
            return Ok(folders);
        }
        // What was deleted in them does not count any more.
        cx.flush_settles()?;
        let named: BTreeMap<Key, RemotePath> = folders
            .iter()
            .map(|delete| {
                let row = &delete.item.row;
                (row.key.clone(), cx.env.remote_root.of_row(row))
            })
            .collect();
        let dir = common_dir(named.keys());
        let pages = cx.env.index.subtree_totals(&dir)?.entries / PAGE_ENTRIES + 1;
        if pages >= folders.len() as u64 {
            return Ok(folders);
        }
        let row = cx.env.index.row(&Key::of(&dir))?;
        let path = cx.env.remote_root.of_dir(&dir, row.as_ref());
        let mut emptiness = Emptiness {
            cx,
            remote_root: &cx.env.remote_root,
            deletes: &folders,
            folders: &named,
            blocked: BTreeSet::new(),
            view_is_incomplete: false,
        };
        let outcomes = match self.api.delete_empty_folders(&path, &mut emptiness) {
            Ok(outcomes) => outcomes,
            Err(CallError::End(error)) => return Err(error),
            Err(error) => {
                log::debug!("looking into folders one by one: {error:?}");
                return Ok(folders);
            }
        };
        let gone: BTreeSet<&RemotePath> = outcomes
            .iter()
            .filter_map(|(path, outcome)| outcome.is_ok().then_some(path))
            .collect();
        let went = |key: &Key| {
            let mut at = Some(key.clone());
            std::iter::from_fn(|| {
                let key = at.take()?;
                at = key.parent();
                Some(key)
            })
            .any(|key| named.get(&key).is_some_and(|path| gone.contains(path)))
        };
        let mut left = Vec::new();
        for delete in folders {
            if went(&delete.item.row.key) {
                self.deleted_in_dropbox(cx, delete.item, "(empty folder)")?;
            } else {
                left.push(delete);
            }
        }
        Ok(left)
    }
}

/// The deepest directory that is all of these keys or lies above them.
fn common_dir<'a>(mut keys: impl Iterator<Item = &'a Key>) -> String {
    let mut dir = keys.next().map(Key::path).unwrap_or_default();
    for key in keys {
        let path = key.path();
        while below(&path, &dir).is_none() {
            dir = split(&dir).0.to_owned();
        }
    }
    dir
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_directory_is_one_of_whole_names() {
        let common = |paths: &[&str]| {
            let keys: Vec<Key> = paths.iter().map(|path| Key::of(path)).collect();
            common_dir(keys.iter())
        };
        assert_eq!(common(&[]), "");
        assert_eq!(common(&["a/b/c"]), "a/b/c");
        assert_eq!(common(&["a/b/c", "a/b"]), "a/b");
        assert_eq!(common(&["a/b/c", "a/b/d"]), "a/b");
        assert_eq!(common(&["a/bc/d", "a/b/d"]), "a");
        assert_eq!(common(&["a/b", "ab/c"]), "");
    }
}
