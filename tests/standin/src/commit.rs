//! Committing contents to a path: write modes, conflicts and automatic renaming.
//!
//! The rules are those of `files.WriteMode` and `files.CommitInfo`.

use std::sync::Arc;

use crate::blob::{Blob, Seeded};
use crate::clock::timestamp;
use crate::errors::{Conflict, WriteError};
use crate::names;
use crate::tree::{Actor, Entry, Revision, Tree, Version};

/// What to do about a file that is already there (`files.WriteMode`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Add,
    Overwrite,
    Update(String),
}

/// Whether the server may choose another name on conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    Exact,
    Auto,
}

/// Where and how to save a file (`files.CommitInfo`).
#[derive(Clone, Debug)]
pub(crate) struct Commit {
    pub(crate) path: String,
    pub(crate) mode: Mode,
    pub(crate) naming: Naming,
    pub(crate) client_modified: Option<String>,
    pub(crate) strict_conflict: bool,
}

/// Contents with their content hash.
#[derive(Clone)]
pub(crate) struct Content {
    pub(crate) blob: Blob,
    pub(crate) hash: String,
}

impl Content {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        let hash = crate::content_hash(&bytes);
        let blob = Blob::Kept(Arc::new(bytes));
        Self { blob, hash }
    }

    pub(crate) fn seeded(seed: u64, size: u64) -> Self {
        let seeded = Seeded { seed, size };
        Self {
            hash: seeded.hash(),
            blob: Blob::Seeded(seeded),
        }
    }
}

enum Verdict {
    Write,
    Same(Arc<Revision>),
    Conflict(Conflict),
}

/// Saves a file, or says why not.
pub(crate) fn commit(
    tree: &mut Tree,
    commit: &Commit,
    content: &Content,
    now: i64,
    actor: Actor,
) -> Result<Arc<Revision>, WriteError> {
    let mut path = names::composed(&commit.path);
    names::check(&path)?;
    let key = names::folded(&path);
    let is_known = actor == Actor::Person || tree.knows_folder_of(&key);
    if !is_known || !tree.is_writable(&key, actor) {
        return Err(WriteError::NoWritePermission);
    }
    tree.check_ancestors(&key)?;
    match judge(tree, &key, commit, content) {
        Verdict::Same(revision) => return Ok(revision),
        Verdict::Write => {}
        Verdict::Conflict(conflict) => match commit.naming {
            Naming::Exact => return Err(WriteError::Conflict(conflict)),
            Naming::Auto => path = free_name(tree, &path, &commit.mode),
        },
    }
    let replaced = tree
        .file(&names::folded(&path))
        .map_or(0, |file| file.size());
    let size = content.blob.size();
    if actor == Actor::App && tree.used - replaced + size > tree.quota {
        return Err(WriteError::InsufficientSpace);
    }
    if actor == Actor::App {
        tree.note_new_folder(names::parent_of(&key));
    }
    let client_modified = commit.client_modified.clone();
    let version = Version {
        id: None,
        content: content.blob.clone(),
        content_hash: content.hash.clone(),
        client_modified: client_modified.unwrap_or_else(|| timestamp(now)),
        server_modified: now,
    };
    Ok(tree.store_file(&path, version))
}

fn judge(tree: &Tree, key: &str, commit: &Commit, content: &Content) -> Verdict {
    match tree.nodes.get(key).map(|node| &node.entry) {
        Some(Entry::Folder { .. }) => Verdict::Conflict(Conflict::Folder),
        Some(Entry::File(current)) => {
            if current.content_hash == content.hash && current.size() == content.blob.size() {
                if commit.strict_conflict {
                    return Verdict::Conflict(Conflict::File);
                }
                return Verdict::Same(Arc::clone(current));
            }
            match &commit.mode {
                Mode::Overwrite => Verdict::Write,
                Mode::Update(rev) if *rev == current.rev => Verdict::Write,
                Mode::Add | Mode::Update(_) => Verdict::Conflict(Conflict::File),
            }
        }
        // Which conflict a strict update of an absent file is, the spec does not say.
        Some(Entry::Deleted) | None => match commit.mode {
            Mode::Update(_) if commit.strict_conflict => Verdict::Conflict(Conflict::File),
            Mode::Add | Mode::Overwrite | Mode::Update(_) => Verdict::Write,
        },
    }
}

fn free_name(tree: &Tree, path: &str, mode: &Mode) -> String {
    let suffix = |number: u32| match mode {
        Mode::Add | Mode::Overwrite => (number + 1).to_string(),
        Mode::Update(_) if number == 1 => "conflicted copy".to_owned(),
        Mode::Update(_) => format!("conflicted copy {number}"),
    };
    first_free(tree, path, suffix)
}

/// The first of `name (2)`, `name (3)` and so on that is free.
pub(crate) fn numbered_name(tree: &Tree, path: &str) -> String {
    first_free(tree, path, |number| (number + 1).to_string())
}

fn first_free(tree: &Tree, path: &str, suffix: impl Fn(u32) -> String) -> String {
    (1..)
        .map(|number| names::with_suffix(path, &suffix(number)))
        .find(|candidate| tree.live(&names::folded(candidate)).is_none())
        .unwrap_or_else(|| path.to_owned())
}
