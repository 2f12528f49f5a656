//! `files/download_zip`.
//!
//! The spec does not say what becomes of files that cannot be downloaded as they are; here they
//! are left out, as are files withheld for legal reasons.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::transfer::forgotten;
use super::{Answer, Call};
use crate::account::Account;
use crate::args::{Args, PathForm};
use crate::blob::Blob;
use crate::clock::timestamp;
use crate::errors::{Failure, LookupError, tag};
use crate::metadata::{Frame, of_folder};
use crate::names;
use crate::tree::{Entry, Tree};
use crate::zip::{Folders, Item, archive};

pub(super) fn download_zip(call: &mut Call) -> Result<Answer, Failure> {
    let args = Args::of(&call.arg, &["path"])?;
    let path = args.path("path", PathForm::Read)?;
    let account = &*call.account;
    let key = folder_key(account, path).map_err(Failure::path)?;
    check_limits(account, &key).map_err(Failure::Route)?;
    let below = account.tree.below(&key);
    let mut files = below.iter().filter_map(|key| account.tree.file(key));
    if files.any(|file| matches!(file.content, Blob::Forgotten(_))) {
        return Err(forgotten());
    }
    let (tree, style) = (&account.tree, account.habits.zip_style);
    let metadata = tree
        .live(&key)
        .map(|node| of_folder(tree, &key, node, Frame::Plain));
    let mut headers = vec![("Content-Type", "application/zip".to_owned())];
    if style.chunked {
        headers.push(("Transfer-Encoding", "chunked".to_owned()));
    }
    Ok(Answer::Content {
        status: 200,
        result: json!({ "metadata": metadata }),
        body: archive(&style, items(account, &key)).into(),
        headers,
    })
}

/// The key of the folder that is meant. The root cannot be: `""` is no `ReadPath`, and a bare
/// `ns:1`, about which the spec says nothing, is malformed here.
fn folder_key(account: &Account, path: &str) -> Result<String, LookupError> {
    if path.starts_with("rev:") {
        account.revision_at(path)?;
        return Err(LookupError::NotFolder);
    }
    let key = account.lookup_key(path)?;
    match account.tree.live(&key).map(|node| &node.entry) {
        Some(Entry::Folder { .. }) => Ok(key),
        Some(_) => Err(LookupError::NotFolder),
        None if key.is_empty() => Err(LookupError::MalformedPath),
        None => Err(LookupError::NotFound),
    }
}

fn check_limits(account: &Account, key: &str) -> Result<(), Value> {
    let (tree, limits) = (&account.tree, account.habits.zip_limits);
    let below = tree.below(key);
    if below.len() + 1 >= limits.entries {
        return Err(tag("too_many_files"));
    }
    let sizes = || below.iter().filter_map(|key| tree.file(key));
    let biggest = sizes().map(|file| file.size()).max().unwrap_or(0);
    if biggest >= limits.file_bytes || tree.weight(key) >= limits.folder_bytes {
        return Err(tag("too_large"));
    }
    Ok(())
}

/// The entries of the archive: parents before what is in them, every component in its own case.
fn items<'a>(account: &'a Account, root: &str) -> Vec<Item<'a>> {
    let (tree, style) = (&account.tree, account.habits.zip_style);
    let now = timestamp(account.clock.now());
    let folder = |name: String| Item {
        name,
        bytes: Cow::Borrowed(&[]),
        modified: now.clone(),
    };
    let mut items = Vec::new();
    if style.root_entry {
        items.push(folder("/".into()));
    }
    let above = names::parent_of(root).len();
    let mut keys = tree.below(root);
    keys.insert(0, root.into());
    for key in &keys {
        let Some(node) = tree.live(key) else {
            continue;
        };
        let name = match shown(tree, key, if style.top_folder { above } else { root.len() }) {
            name if name.is_empty() => continue,
            name => name,
        };
        match &node.entry {
            Entry::Folder { .. } if style.folders != Folders::Absent => {
                items.push(folder(format!("{name}/")));
                if style.folders == Folders::Twice {
                    items.push(folder(format!("{}/", names::folded(&name))));
                }
            }
            Entry::File(file) => {
                let marks = tree.marks.get(&file.id);
                if marks.is_none_or(|marks| !marks.not_downloadable && !marks.restricted) {
                    items.push(Item {
                        name,
                        bytes: Cow::Owned(file.content.to_vec()),
                        modified: file.client_modified.clone(),
                    });
                }
            }
            Entry::Folder { .. } | Entry::Deleted => {}
        }
    }
    items
}

/// The name of an entry: what comes after the first `skip` bytes of its key, in real case.
fn shown(tree: &Tree, key: &str, skip: usize) -> String {
    let mut components = Vec::new();
    for path in names::ancestors(key)
        .chain([key])
        .filter(|path| path.len() > skip)
    {
        let display = tree.live(path).map_or(path, |node| &*node.display);
        components.push(names::name_of(display));
    }
    components.join("/")
}
