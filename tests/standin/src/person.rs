//! Direct edits and views of the account, as a person or another device would make them.
//!
//! Edits go through the same tree as the routes, so they get revs and journal entries; they
//! ignore quota and read-only folders. An edit that cannot be made is a mistake in the test, and
//! panics.

use std::collections::HashMap;

use crate::account::Account;
use crate::clock::{is_timestamp, timestamp};
use crate::commit::{Commit, Content, Mode, Naming, commit};
use crate::names;
use crate::standin::{Node, Snapshot, Standin};
use crate::tree::{Actor, Entry, Marks, Version};

impl Standin {
    /// Stores a file, replacing what is there, and returns its rev.
    ///
    /// # Panics
    /// If the path cannot be written.
    pub fn put(&self, path: &str, bytes: &[u8]) -> String {
        self.store(path, Content::new(bytes.to_vec()), None)
    }

    /// Stores a file whose bytes look random and are made from a seed whenever they are asked
    /// for: its size costs time once, for the hash, and no memory.
    ///
    /// # Panics
    /// If the path cannot be written.
    pub fn put_seeded(&self, path: &str, size: u64, seed: u64) -> String {
        self.store(path, Content::seeded(seed, size), None)
    }

    /// Stores a file with a modification time like `2024-05-06T07:08:09Z`.
    ///
    /// # Panics
    /// If the path cannot be written, or the time has another form.
    pub fn put_at(&self, path: &str, bytes: &[u8], client_modified: &str) -> String {
        assert!(
            is_timestamp(client_modified),
            "not a timestamp: {client_modified}"
        );
        let content = Content::new(bytes.to_vec());
        self.store(path, content, Some(client_modified.to_owned()))
    }

    fn store(&self, path: &str, content: Content, client_modified: Option<String>) -> String {
        let wish = Commit {
            path: path.to_owned(),
            mode: Mode::Overwrite,
            naming: Naming::Exact,
            client_modified,
            strict_conflict: false,
        };
        self.edit(|account| {
            let now = account.clock.now();
            match commit(&mut account.tree, &wish, &content, now, Actor::Person) {
                Ok(revision) => revision.rev.clone(),
                Err(error) => panic!("cannot put {path}: {error:?}"),
            }
        })
    }

    /// Stores a file under any path at all, even one the API would refuse, as a hostile or
    /// broken server might. Only the leading slash is needed.
    ///
    /// # Panics
    /// If the path does not start with a slash, or a file is above or a folder at it.
    pub fn put_odd(&self, path: &str, bytes: &[u8]) -> String {
        assert!(path.starts_with('/'), "not a path: {path}");
        let key = names::folded(path);
        let content = Content::new(bytes.to_vec());
        self.edit(|account| {
            let free = account.tree.check_ancestors(&key).is_ok() && !account.tree.is_folder(&key);
            assert!(free, "cannot put {path}: something is in the way");
            let now = account.clock.now();
            let version = Version {
                id: None,
                content: content.blob,
                content_hash: content.hash,
                client_modified: timestamp(now),
                server_modified: now,
            };
            account.tree.store_file(path, version).rev.clone()
        })
    }

    /// Contents that newer ones replaced, with the path each was at.
    #[must_use]
    pub fn replaced(&self) -> Vec<(String, Vec<u8>)> {
        self.account().tree.replaced()
    }

    /// Makes a folder, unless there is one.
    ///
    /// # Panics
    /// If the path cannot be a folder.
    pub fn mkdir(&self, path: &str) {
        let path = names::composed(path);
        let key = names::folded(&path);
        self.edit(|account| {
            if let Err(error) = names::check(&path).and(account.tree.check_ancestors(&key)) {
                panic!("cannot make {path}: {error:?}");
            }
            assert!(
                account.tree.file(&key).is_none(),
                "cannot make {path}: a file is there"
            );
            if !account.tree.is_folder(&key) {
                account.tree.create_folder(&path);
            }
        });
    }

    /// Deletes a file, or a folder with everything in it; false if nothing is there.
    pub fn remove(&self, path: &str) -> bool {
        let key = names::folded(path);
        self.edit(|account| {
            let now = account.clock.now();
            account.tree.remove(&key, now).is_ok()
        })
    }

    /// Moves a file or folder. Unlike the API this can change only the case of a name, as a
    /// desktop client can; that is not reported by `list_folder/continue`.
    ///
    /// # Panics
    /// If there is nothing to move, or something is in the way.
    pub fn rename(&self, from: &str, to: &str) {
        let to = names::composed(to);
        let (from_key, to_key) = (names::folded(from), names::folded(&to));
        self.edit(|account| {
            let tree = &mut account.tree;
            assert!(
                tree.live(&from_key).is_some(),
                "cannot rename {from}: nothing is there"
            );
            if from_key == to_key {
                tree.recase(&to_key, names::name_of(&to));
                return;
            }
            if let Err(error) = names::check(&to).and(tree.check_ancestors(&to_key)) {
                panic!("cannot rename to {to}: {error:?}");
            }
            assert!(
                tree.live(&to_key).is_none(),
                "cannot rename to {to}: it exists"
            );
            assert!(
                !names::is_within(&to_key, &from_key),
                "cannot rename {from} into itself"
            );
            let now = account.clock.now();
            account.tree.relocate(&from_key, &to, now);
        });
    }

    /// The contents of a file.
    #[must_use]
    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        let account = self.account();
        let file = account.tree.file(&names::folded(path))?;
        Some(file.content.to_vec())
    }

    /// The rev of a file.
    #[must_use]
    pub fn rev(&self, path: &str) -> Option<String> {
        let account = self.account();
        let file = account.tree.file(&names::folded(path))?;
        Some(file.rev.clone())
    }

    /// The modification time the client of a file gave.
    #[must_use]
    pub fn client_modified(&self, path: &str) -> Option<String> {
        let account = self.account();
        let file = account.tree.file(&names::folded(path))?;
        Some(file.client_modified.clone())
    }

    /// Everything, by display path; each component in the case of its own entry.
    #[must_use]
    pub fn tree(&self) -> Snapshot {
        let account = self.account();
        let mut snapshot = Snapshot::new();
        let mut display_of: HashMap<&str, String> = HashMap::new();
        for (key, node) in &account.tree.nodes {
            let shown = match &node.entry {
                Entry::Deleted => continue,
                Entry::Folder { .. } => Node::Folder,
                Entry::File(file) => Node::File {
                    size: file.size(),
                    content_hash: file.content_hash.clone(),
                    id: file.id.clone(),
                    rev: file.rev.clone(),
                    client_modified: file.client_modified.clone(),
                },
            };
            let parent = display_of
                .get(names::parent_of(key))
                .map_or("", String::as_str);
            let display = format!("{parent}/{}", names::name_of(&node.display));
            display_of.insert(key, display.clone());
            snapshot.insert(display, shown);
        }
        snapshot
    }

    /// Makes a folder (created if missing) a shared folder the app may only read.
    ///
    /// # Panics
    /// If the path cannot be a folder.
    pub fn set_read_only(&self, path: &str) {
        self.mkdir(path);
        let key = names::folded(&names::composed(path));
        self.edit(|account| {
            account.tree.read_only.insert(key.clone());
            account.tree.journal.stored(&key.as_str().into());
        });
    }

    /// Makes a file one that has to be exported, like a document of Google's.
    ///
    /// # Panics
    /// If there is no such file.
    pub fn set_not_downloadable(&self, path: &str) {
        self.mark(path, |marks| marks.not_downloadable = true);
    }

    /// Makes a file one that may not be downloaded for legal reasons.
    ///
    /// # Panics
    /// If there is no such file.
    pub fn set_restricted(&self, path: &str) {
        self.mark(path, |marks| marks.restricted = true);
    }

    /// Leaves `content_hash` out of the metadata of a file.
    ///
    /// # Panics
    /// If there is no such file.
    pub fn set_without_content_hash(&self, path: &str) {
        self.mark(path, |marks| marks.without_content_hash = true);
    }

    /// Stores a symbolic link, as a desktop client makes them; its contents are the target.
    ///
    /// # Panics
    /// If the path cannot be written.
    pub fn set_symlink(&self, path: &str, target: &str) {
        self.put(path, target.as_bytes());
        self.mark(path, |marks| marks.symlink_target = Some(target.to_owned()));
    }

    fn mark(&self, path: &str, change: impl FnOnce(&mut Marks)) {
        let key = names::folded(&names::composed(path));
        self.edit(|account: &mut Account| {
            let Some(id) = account.tree.file(&key).map(|file| file.id.clone()) else {
                panic!("no file at {path}");
            };
            change(account.tree.marks.entry(id).or_default());
            account.tree.journal.stored(&key.as_str().into());
        });
    }
}
