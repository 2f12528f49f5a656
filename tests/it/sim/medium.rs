//! What of a [`Tree`] has reached the medium, and what a power cut leaves of the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::random::Random;
use super::tree::{Change, Content, Ino, Node, ROOT, Tree};

/// Bytes that reach the medium together.
const SECTOR: usize = 512;

impl Tree {
    /// A file's data and attributes.
    pub fn sync_file(&mut self, ino: Ino) {
        if self.forgotten.contains(&ino) {
            return;
        }
        if let Some(node) = self.nodes.get(&ino)
            && let Content::File(_) = node.content
        {
            self.durable.insert(ino, node.clone());
        }
    }

    /// A sync that failed: what it should have written is dropped and never written again.
    pub fn forget(&mut self) {
        for (ino, node) in &self.nodes {
            if matches!(node.content, Content::File(_)) && self.durable.get(ino) != Some(node) {
                self.forgotten.insert(*ino);
            }
        }
    }

    /// The names in a directory, and in others only what has to come with them.
    pub fn sync_dir(&mut self, dir: Ino) {
        let mut needed = BTreeSet::from([dir]);
        let mut selected = vec![false; self.changes.len()];
        for (at, change) in self.changes.iter().enumerate().rev() {
            let dirs = change.dirs();
            if dirs.iter().any(|dir| needed.contains(dir)) {
                selected[at] = true;
                needed.extend(dirs);
            }
        }
        let changes = std::mem::take(&mut self.changes);
        for (change, selected) in changes.into_iter().zip(selected) {
            if selected {
                self.make_durable(&change);
            } else {
                self.changes.push(change);
            }
        }
        self.sweep();
    }

    /// Everything on the filesystem of a directory.
    pub fn sync_filesystem(&mut self, dir: Ino) {
        let device = self.node(dir).device;
        let on_device = |node: Option<&Node>| node.is_some_and(|node| node.device == device);
        let changes = std::mem::take(&mut self.changes);
        for change in changes {
            let at = change.dirs()[0];
            if on_device(self.nodes.get(&at)) || on_device(self.durable.get(&at)) {
                self.make_durable(&change);
            } else {
                self.changes.push(change);
            }
        }
        let files: Vec<Ino> = self
            .nodes
            .iter()
            .filter(|(_, node)| node.device == device && !matches!(node.content, Content::Dir(_)))
            .map(|(ino, _)| *ino)
            .collect();
        for ino in files {
            if !self.forgotten.contains(&ino) {
                self.durable.insert(ino, self.nodes[&ino].clone());
            }
        }
        self.sweep();
    }

    /// A path somebody else made and cares about: with all directories above it.
    pub fn sync_path(&mut self, path: &str) {
        let mut dir = path;
        while let Some((above, _)) = dir.rsplit_once('/') {
            dir = above;
            if let Ok(ino) = self.find(dir) {
                self.sync_dir(ino);
            }
        }
        self.sync_dir(ROOT);
        if let Ok(ino) = self.find(path) {
            self.sync_file(ino);
            let mode = self.node(ino).mode;
            if let Some(durable) = self.durable.get_mut(&ino) {
                durable.mode = mode;
            }
        }
    }

    fn make_durable(&mut self, change: &Change) {
        let (nodes, durable) = (&self.nodes, &mut self.durable);
        let mut link = |dir: Ino, name: &str, ino: Ino| {
            // Inodes reach the medium with a name: without their data, if that was not synced.
            for ino in [dir, ino] {
                if let Some(node) = nodes.get(&ino) {
                    durable.entry(ino).or_insert_with(|| Node {
                        content: match &node.content {
                            Content::File(_) => Content::File(Arc::default()),
                            Content::Dir(_) => Content::Dir(BTreeMap::new()),
                            Content::Link => Content::Link,
                            Content::Special => Content::Special,
                        },
                        ..node.clone()
                    });
                }
            }
            if durable.contains_key(&ino)
                && let Some(Content::Dir(entries)) = durable.get_mut(&dir).map(|n| &mut n.content)
            {
                entries.insert(name.to_owned(), ino);
            }
        };
        match change {
            Change::Link(dir, name, ino) => link(*dir, name, *ino),
            Change::Move { to, node, .. } => link(to.0, &to.1, *node),
            Change::Unlink(..) => {}
        }
        if let Change::Unlink(dir, name)
        | Change::Move {
            from: (dir, name), ..
        } = change
            && let Some(Content::Dir(entries)) = durable.get_mut(dir).map(|n| &mut n.content)
        {
            entries.remove(name);
        }
    }

    /// Inodes without a name leave the medium, once no change can name them any more.
    fn sweep(&mut self) {
        if !self.changes.is_empty() {
            return;
        }
        let mut named = BTreeSet::from([ROOT]);
        named.extend(self.mounts.values());
        named.extend(self.unmounted.values());
        for node in self.durable.values() {
            if let Content::Dir(entries) = &node.content {
                named.extend(entries.values());
            }
        }
        self.durable.retain(|ino, _| named.contains(ino));
    }

    /// The machine loses power and starts again: what was not synced is there in part.
    pub fn lose_power(&mut self, random: &mut Random) {
        // Each directory stops at some change; a change of two directories needs both.
        let mut stopped = BTreeSet::new();
        let all = random.chance(10);
        for change in std::mem::take(&mut self.changes) {
            let dirs = change.dirs();
            let is_late = dirs.iter().any(|dir| stopped.contains(dir));
            if is_late || (!all && random.chance(30)) {
                stopped.extend(dirs);
            } else {
                self.make_durable(&change);
            }
        }
        let unsynced: Vec<(Ino, Node)> = self
            .durable
            .iter()
            .filter_map(|(ino, old)| Some((*ino, old, self.nodes.get(ino)?)))
            .filter(|(_, old, new)| old != new)
            .map(|(ino, _, new)| (ino, new.clone()))
            .collect();
        for (ino, new) in unsynced {
            let Content::File(whole) = &new.content else {
                continue;
            };
            let old = self.durable.get_mut(&ino).unwrap();
            if old.content == new.content {
                if random.chance(50) {
                    *old = new;
                }
                continue;
            }
            let sectors = whole.len().div_ceil(SECTOR);
            let cut = (random.below(sectors as u64 + 1) as usize * SECTOR).min(whole.len());
            match random.below(5) {
                0 => {}
                1 => old.content = Content::File(Arc::new(whole[..cut].to_vec())),
                2 => {
                    let mut torn = whole.to_vec();
                    torn[cut..].fill(0);
                    old.content = Content::File(Arc::new(torn));
                }
                3 => {
                    let mut holes = whole.to_vec();
                    for sector in holes.chunks_mut(SECTOR) {
                        if random.chance(50) {
                            sector.fill(0);
                        }
                    }
                    old.content = Content::File(Arc::new(holes));
                }
                _ => *old = new,
            }
        }
        self.sweep();
        self.nodes = self.durable.clone();
        self.forgotten.clear();
        self.open.clear();
        self.writes += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(tree: &mut Tree, path: &str, bytes: &[u8]) -> Ino {
        let ino = tree
            .make(path, Content::File(Arc::default()), 0o644)
            .unwrap();
        tree.append(ino, bytes);
        ino
    }

    /// What a path may hold after a power cut, over many cuts.
    fn after_cuts(tree: &Tree, path: &str) -> BTreeSet<Option<Vec<u8>>> {
        let cut = |seed| {
            let mut tree = tree.clone();
            tree.lose_power(&mut Random::new(seed));
            tree.files().remove(path).map(|bytes| bytes.to_vec())
        };
        (0..300).map(cut).collect()
    }

    #[test]
    fn what_was_synced_stays_and_what_was_not_may_be_torn() {
        let mut tree = Tree::new(0);
        let ino = file(&mut tree, "f", &[1; 1024]);
        let unsynced = after_cuts(&tree, "f");
        assert!(unsynced.contains(&None));
        assert!(unsynced.contains(&Some(Vec::new())));
        assert!(unsynced.contains(&Some(vec![1; 512])));
        assert!(unsynced.contains(&Some(vec![1; 1024])));
        tree.sync_file(ino);
        let whole = Some(vec![1; 1024]);
        assert_eq!(after_cuts(&tree, "f"), [None, whole.clone()].into());
        tree.sync_dir(ROOT);
        assert_eq!(after_cuts(&tree, "f"), [whole].into());
    }

    #[test]
    fn a_rename_is_old_or_new_until_the_filesystem_is_synced() {
        let mut tree = Tree::new(0);
        file(&mut tree, "f", b"old");
        tree.sync_filesystem(ROOT);
        file(&mut tree, "temp", b"new");
        tree.sync_filesystem(ROOT);
        tree.rename("temp", "f", true).unwrap();
        let (old, new) = (Some(b"old".to_vec()), Some(b"new".to_vec()));
        assert_eq!(after_cuts(&tree, "f"), [old, new.clone()].into());
        tree.sync_filesystem(ROOT);
        assert_eq!(after_cuts(&tree, "f"), [new].into());
    }

    #[test]
    fn a_failed_sync_is_not_made_good_by_the_next() {
        let mut tree = Tree::new(0);
        file(&mut tree, "f", &[1; 512]);
        tree.forget();
        tree.sync_filesystem(ROOT);
        assert!(after_cuts(&tree, "f").contains(&Some(Vec::new())));
    }

    #[test]
    fn an_open_file_outlives_its_name_and_gives_its_number_back() {
        let mut tree = Tree::new(0);
        let ino = file(&mut tree, "f", b"x");
        tree.opened(ino);
        tree.unlink("f").unwrap();
        assert_eq!(tree.read(ino, 0, &mut [0; 8]).unwrap(), 1);
        tree.closed(ino);
        tree.sync_filesystem(ROOT);
        assert_eq!(file(&mut tree, "g", b"y"), ino);
    }
}
