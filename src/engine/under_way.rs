//! What is to get to a side and is not there yet: as long as it is not, nothing of the same content
//! is deleted there under another name.

use std::collections::BTreeMap;

use crate::core::content_hash::ContentHash;
use crate::core::decide::Direction;
use crate::core::path::{DisplayPath, Key, RelPath};
use crate::index::RemoteFile;
use crate::io::stat::{Stamp, Status};

/// What is under way. LIMIT: what is so at one time, and what failed.
#[derive(Default)]
pub(crate) struct UnderWay {
    /// By the side they are to get to, and by key.
    pub(crate) files: BTreeMap<(Direction, Key), FileUnderWay>,
    /// Local folders nothing of which can go up.
    pub(crate) folders: Vec<RelPath>,
    /// Something here that cannot be looked at, and may be anything.
    pub(crate) unseen: Option<String>,
}

/// A file that is to get to a side.
#[derive(Clone, Debug)]
pub(crate) struct FileUnderWay {
    /// Its key.
    pub(crate) key: Key,
    /// What people know it by.
    pub(crate) display_path: DisplayPath,
    /// Where it is here, if it comes from here.
    pub(crate) path: Option<RelPath>,
    /// Its length in bytes.
    pub(crate) size: u64,
    /// Its content, where that is known.
    pub(crate) hash: Option<ContentHash>,
    /// Its stamp, if it is here.
    pub(crate) stamp: Option<Stamp>,
}

impl UnderWay {
    /// Whether nothing is.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.folders.is_empty() && self.unseen.is_none()
    }

    /// A file that is here under `key`, at `path` if it can be opened, is to get to Dropbox.
    pub(crate) fn note_here(
        &mut self,
        key: Key,
        display_path: &DisplayPath,
        path: Option<RelPath>,
        status: &Status,
    ) {
        let file = FileUnderWay {
            key: key.clone(),
            display_path: display_path.clone(),
            path,
            size: status.stamp.size,
            hash: None,
            stamp: Some(status.stamp),
        };
        self.files.insert((Direction::Up, key), file);
    }

    /// A file that Dropbox holds is to get here.
    pub(crate) fn note_there(
        &mut self,
        key: &Key,
        display_path: &DisplayPath,
        remote: &RemoteFile,
    ) {
        let file = FileUnderWay {
            key: key.clone(),
            display_path: display_path.clone(),
            path: None,
            size: remote.size,
            hash: remote.hash,
            stamp: None,
        };
        self.files.insert((Direction::Down, key.clone()), file);
    }

    /// It is where it was to get.
    pub(crate) fn note_done(&mut self, key: &Key) {
        for direction in [Direction::Down, Direction::Up] {
            self.files.remove(&(direction, key.clone()));
        }
    }
}
