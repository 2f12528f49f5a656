//! The namespace: files, folders and what used to be there, by key (`path_lower`).
//!
//! Every change goes through here, whoever makes it, and so gets its revision, its history and
//! its place in the journal. Removed paths stay as `Entry::Deleted`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::blob::Blob;
use crate::encoding::{base64url, hex};
use crate::errors::{Conflict, LookupError, WriteError};
use crate::journal::Journal;
use crate::names;

/// One stored version of a file.
#[derive(Debug)]
pub(crate) struct Revision {
    pub(crate) rev: String,
    pub(crate) id: String,
    pub(crate) display: Arc<str>,
    pub(crate) content: Blob,
    pub(crate) content_hash: String,
    pub(crate) client_modified: String,
    pub(crate) server_modified: i64,
}

impl Revision {
    pub(crate) fn size(&self) -> u64 {
        self.content.size()
    }
}

/// What stands at a path.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    File(Arc<Revision>),
    Folder { id: String },
    Deleted,
}

/// A path that exists or used to.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// The path in the case in which it was created.
    pub(crate) display: Arc<str>,
    pub(crate) entry: Entry,
}

/// One line of the history of a path.
#[derive(Clone)]
pub(crate) enum Past {
    Stored(Arc<Revision>),
    Gone(i64),
}

/// Peculiarities of one file, kept across its revisions.
#[derive(Clone, Default)]
pub(crate) struct Marks {
    pub(crate) not_downloadable: bool,
    pub(crate) restricted: bool,
    pub(crate) without_content_hash: bool,
    pub(crate) symlink_target: Option<String>,
}

/// Who makes a change. Read-only folders are read-only for the app, not for their owner.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Actor {
    App,
    Person,
}

/// The tree of one account.
#[derive(Clone)]
pub(crate) struct Tree {
    pub(crate) nodes: BTreeMap<Arc<str>, Node>,
    pub(crate) journal: Journal,
    pub(crate) marks: HashMap<String, Marks>,
    pub(crate) read_only: BTreeSet<String>,
    /// `path_display` has the case of the last component only.
    pub(crate) shows_parents_folded: bool,
    /// What an app puts into a folder that it has just made is refused once.
    pub(crate) refuses_in_new_folders: bool,
    /// Folders into which nothing has been put since.
    new_folders: BTreeSet<String>,
    pub(crate) quota: u64,
    pub(crate) used: u64,
    ids: HashMap<String, Arc<str>>,
    revisions: HashMap<String, Arc<Revision>>,
    history: HashMap<Arc<str>, Vec<Past>>,
    versions: HashMap<String, Vec<Arc<Revision>>>,
    seed: u64,
    minted: u64,
}

impl Tree {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            nodes: BTreeMap::new(),
            journal: Journal::default(),
            marks: HashMap::new(),
            read_only: BTreeSet::new(),
            shows_parents_folded: false,
            refuses_in_new_folders: false,
            new_folders: BTreeSet::new(),
            quota: 2 * 1024 * 1024 * 1024,
            used: 0,
            ids: HashMap::new(),
            revisions: HashMap::new(),
            history: HashMap::new(),
            versions: HashMap::new(),
            seed,
            minted: 0,
        }
    }

    /// What lives at a key now; deleted paths do not.
    pub(crate) fn live(&self, key: &str) -> Option<&Node> {
        self.nodes
            .get(key)
            .filter(|node| !matches!(node.entry, Entry::Deleted))
    }

    /// The file that lives at a key now.
    pub(crate) fn file(&self, key: &str) -> Option<&Arc<Revision>> {
        match self.live(key).map(|node| &node.entry) {
            Some(Entry::File(revision)) => Some(revision),
            _ => None,
        }
    }

    /// Whether a folder lives at a key; the root always does.
    pub(crate) fn is_folder(&self, key: &str) -> bool {
        key.is_empty()
            || self
                .live(key)
                .is_some_and(|node| matches!(node.entry, Entry::Folder { .. }))
    }

    /// The key of a live id.
    pub(crate) fn key_of_id(&self, id: &str) -> Option<&Arc<str>> {
        self.ids.get(id)
    }

    pub(crate) fn revision(&self, rev: &str) -> Option<&Arc<Revision>> {
        self.revisions.get(rev)
    }

    /// What was at a path, oldest first.
    pub(crate) fn history(&self, key: &str) -> &[Past] {
        self.history.get(key).map_or(&[], Vec::as_slice)
    }

    /// Contents that newer ones replaced, with the path each was at.
    pub(crate) fn replaced(&self) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        for past in self.history.values() {
            for pair in past.windows(2) {
                if let [Past::Stored(old), Past::Stored(_)] = pair {
                    found.push((old.display.to_string(), old.content.to_vec()));
                }
            }
        }
        found
    }

    /// The revisions of an id, oldest first.
    pub(crate) fn versions(&self, id: &str) -> &[Arc<Revision>] {
        self.versions.get(id).map_or(&[], Vec::as_slice)
    }

    /// The keys that live strictly below a folder, in order.
    pub(crate) fn below(&self, key: &str) -> Vec<Arc<str>> {
        let (from, to) = (format!("{key}/"), format!("{key}0"));
        self.nodes
            .range::<str, _>((Bound::Included(from.as_str()), Bound::Excluded(to.as_str())))
            .filter(|(_, node)| !matches!(node.entry, Entry::Deleted))
            .map(|(key, _)| Arc::clone(key))
            .collect()
    }

    /// The bytes of all live files at or below a key.
    pub(crate) fn weight(&self, key: &str) -> u64 {
        let below: u64 = self
            .below(key)
            .iter()
            .filter_map(|key| self.file(key))
            .map(|f| f.size())
            .sum();
        below + self.file(key).map_or(0, |file| file.size())
    }

    /// Whether an actor may change what is at a key.
    pub(crate) fn is_writable(&self, key: &str, actor: Actor) -> bool {
        actor == Actor::Person || self.read_only_root(key).is_none()
    }

    /// Whether an app may put something there now, as far as its folder is known already.
    pub(crate) fn knows_folder_of(&mut self, key: &str) -> bool {
        !self.refuses_in_new_folders || !self.new_folders.remove(names::parent_of(key))
    }

    /// An app makes this folder, and those above it that are missing.
    pub(crate) fn note_new_folder(&mut self, key: &str) {
        if !self.refuses_in_new_folders || key.is_empty() {
            return;
        }
        let folders: Vec<&str> = names::ancestors(key).chain([key]).collect();
        for folder in folders {
            if !folder.is_empty() && !self.is_folder(folder) {
                self.new_folders.insert(folder.to_owned());
            }
        }
    }

    /// The read-only shared folder a key is in, or is.
    pub(crate) fn read_only_root(&self, key: &str) -> Option<&str> {
        if self.read_only.is_empty() {
            return None;
        }
        names::ancestors(key)
            .chain([key])
            .find_map(|candidate| self.read_only.get(candidate).map(String::as_str))
    }

    /// Checks that nothing but folders stands above a path.
    pub(crate) fn check_ancestors(&self, key: &str) -> Result<(), WriteError> {
        if names::ancestors(key).any(|ancestor| self.file(ancestor).is_some()) {
            return Err(WriteError::Conflict(Conflict::FileAncestor));
        }
        Ok(())
    }

    /// The path with its parent in the case in which that already exists.
    fn display_for(&self, path: &str) -> String {
        match self.live(&names::folded(names::parent_of(path))) {
            Some(parent) => format!("{}/{}", parent.display, names::name_of(path)),
            None => path.to_owned(),
        }
    }

    /// Makes the folders above a path that do not exist yet.
    fn create_ancestors(&mut self, path: &str) {
        let missing: Vec<String> = names::ancestors(path)
            .filter(|ancestor| !self.is_folder(&names::folded(ancestor)))
            .map(str::to_owned)
            .collect();
        for ancestor in missing {
            self.store_folder(&ancestor, None);
        }
    }

    /// Makes a folder and what is missing above it. The path is known to be free.
    pub(crate) fn create_folder(&mut self, path: &str) -> Arc<str> {
        self.create_ancestors(path);
        self.store_folder(path, None)
    }

    fn store_folder(&mut self, path: &str, id: Option<String>) -> Arc<str> {
        let key: Arc<str> = names::folded(path).into();
        let display: Arc<str> = self.display_for(path).into();
        let id = id.unwrap_or_else(|| self.mint_id());
        self.ids.insert(id.clone(), Arc::clone(&key));
        let entry = Entry::Folder { id };
        self.nodes.insert(Arc::clone(&key), Node { display, entry });
        self.journal.stored(&key);
        key
    }

    /// Stores new contents at a path. Folders above are made; a file there keeps its id and the
    /// case of its name. A path that was deleted gets a new id.
    pub(crate) fn store_file(&mut self, path: &str, version: Version) -> Arc<Revision> {
        self.create_ancestors(path);
        let key: Arc<str> = names::folded(path).into();
        let (display, id) = match self.nodes.get(&key) {
            Some(Node {
                display,
                entry: Entry::File(current),
            }) => {
                self.used -= current.size();
                (Arc::clone(display), current.id.clone())
            }
            _ => {
                let display = self.display_for(path).into();
                (display, version.id.unwrap_or_else(|| self.mint_id()))
            }
        };
        let revision = Arc::new(Revision {
            rev: self.mint_rev(),
            id,
            display: Arc::clone(&display),
            content: version.content,
            content_hash: version.content_hash,
            client_modified: version.client_modified,
            server_modified: version.server_modified,
        });
        self.used += revision.size();
        self.ids.insert(revision.id.clone(), Arc::clone(&key));
        self.revisions
            .insert(revision.rev.clone(), Arc::clone(&revision));
        let versions = self.versions.entry(revision.id.clone()).or_default();
        versions.push(Arc::clone(&revision));
        let past = self.history.entry(Arc::clone(&key)).or_default();
        past.push(Past::Stored(Arc::clone(&revision)));
        let entry = Entry::File(Arc::clone(&revision));
        self.nodes.insert(Arc::clone(&key), Node { display, entry });
        self.journal.stored(&key);
        revision
    }

    /// Removes a file, or a folder and everything in it, and says what stood there.
    pub(crate) fn remove(&mut self, key: &str, now: i64) -> Result<Node, LookupError> {
        let node = self.live(key).cloned().ok_or(LookupError::NotFound)?;
        let (own_key, _) = self.nodes.get_key_value(key).ok_or(LookupError::NotFound)?;
        let own_key = Arc::clone(own_key);
        for below in self.below(key) {
            self.journal.forget(&below);
            self.bury(&below, now);
        }
        self.bury(&own_key, now);
        match node.entry {
            Entry::File(_) => self.journal.file_removed(&own_key),
            Entry::Folder { .. } | Entry::Deleted => self.journal.folder_removed(&own_key),
        }
        Ok(node)
    }

    fn bury(&mut self, key: &Arc<str>, now: i64) {
        self.read_only.remove(&**key);
        let Some(node) = self.nodes.get_mut(key) else {
            return;
        };
        match std::mem::replace(&mut node.entry, Entry::Deleted) {
            Entry::File(revision) => {
                self.used -= revision.size();
                self.ids.remove(&revision.id);
                let past = self.history.entry(Arc::clone(key)).or_default();
                past.push(Past::Gone(now));
            }
            Entry::Folder { id } => {
                self.ids.remove(&id);
            }
            Entry::Deleted => {}
        }
    }

    /// Copies a file or a whole folder to a free path.
    pub(crate) fn copy(&mut self, from: &str, to: &str, now: i64) -> Arc<str> {
        self.transplant(from, to, now, false)
    }

    /// Moves a file or a whole folder to a free path. Ids and `client_modified` go along; the
    /// rev and `server_modified` are new.
    pub(crate) fn relocate(&mut self, from: &str, to: &str, now: i64) -> Arc<str> {
        self.transplant(from, to, now, true)
    }

    fn transplant(&mut self, from: &str, to: &str, now: i64, with_ids: bool) -> Arc<str> {
        let mut sources = self.below(from);
        sources.insert(0, from.into());
        let nodes: Vec<(String, Node)> = sources
            .iter()
            .filter_map(|key| Some((key[from.len()..].to_owned(), self.live(key)?.clone())))
            .collect();
        if with_ids {
            // The source exists: the callers looked it up.
            let _ = self.remove(from, now);
        }
        self.create_ancestors(to);
        let mut display_of: HashMap<String, String> = HashMap::new();
        for (rest, node) in nodes {
            let path = match rest.as_str() {
                "" => to.to_owned(),
                rest => {
                    let parent = display_of.get(names::parent_of(rest));
                    let parent = parent.map_or(to, String::as_str);
                    format!("{parent}/{}", names::name_of(&node.display))
                }
            };
            display_of.insert(rest, path.clone());
            match node.entry {
                Entry::Folder { id } => {
                    self.store_folder(&path, with_ids.then_some(id));
                }
                Entry::File(revision) => {
                    let version = Version {
                        id: with_ids.then(|| revision.id.clone()),
                        content: revision.content.clone(),
                        content_hash: revision.content_hash.clone(),
                        client_modified: revision.client_modified.clone(),
                        server_modified: now,
                    };
                    self.store_file(&path, version);
                }
                Entry::Deleted => {}
            }
        }
        names::folded(to).into()
    }

    /// Changes only the case of the last component, as a desktop client can. Not journalled:
    /// `list_folder/continue` does not report changes of case.
    pub(crate) fn recase(&mut self, key: &str, name: &str) {
        if let Some(node) = self.nodes.get_mut(key) {
            let parent = names::parent_of(&node.display).to_owned();
            node.display = format!("{parent}/{name}").into();
        }
    }

    fn mint_rev(&mut self) -> String {
        hex(&self.mint("rev")[..10])
    }

    fn mint_id(&mut self) -> String {
        format!("id:{}", base64url(&self.mint("id")[..16]))
    }

    fn mint(&mut self, kind: &str) -> [u8; 32] {
        self.minted += 1;
        Sha256::digest(format!("{kind} {} {}", self.seed, self.minted)).into()
    }
}

/// Contents on their way into the tree.
pub(crate) struct Version {
    /// The id to keep; a new one otherwise.
    pub(crate) id: Option<String>,
    pub(crate) content: Blob,
    pub(crate) content_hash: String,
    pub(crate) client_modified: String,
    pub(crate) server_modified: i64,
}
