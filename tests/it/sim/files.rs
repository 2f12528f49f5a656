//! What the sides hold: their trees as plain maps, to be compared.

use std::collections::BTreeMap;
use std::sync::Arc;

use dropbox_standin::{Node, Standin};

use super::disk::SimDisk;

/// Contents by path; folders end with a slash and hold nothing.
pub type Files = BTreeMap<String, Arc<Vec<u8>>>;

/// All of Dropbox.
pub fn files_of(dropbox: &Standin) -> Files {
    let entry = |(path, node): (String, Node)| {
        let name = path.trim_start_matches('/').to_owned();
        match node {
            Node::Folder => (format!("{name}/"), Arc::default()),
            Node::File { .. } => (name, Arc::new(dropbox.read(&path).unwrap_or_default())),
        }
    };
    dropbox.tree().into_iter().map(entry).collect()
}

/// All of a content dir but the agent's own files.
pub fn files_on(disk: &SimDisk) -> Files {
    let mut files = disk.tree().files();
    files.retain(|path, _| !is_own(path));
    files
}

/// Whether it is one of the agent's own files.
pub fn is_own(path: &str) -> bool {
    path.rsplit('/')
        .next()
        .unwrap_or(path)
        .starts_with(".ferrybox-")
}
