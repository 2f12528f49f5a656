//! What is to get to a side and is not there yet: as long as it is not, nothing of the same content
//! is deleted there under another name.

use std::collections::BTreeMap;

use crate::core::content_hash::ContentHash;
use crate::core::decide::Direction;
use crate::core::path::{DisplayPath, Key, RelPath};
use crate::error::Result;
use crate::index::{Arriving, ArrivingContent, PassTables, RemoteFile};
use crate::io::stat::{Stamp, Status};

/// Local folders nothing of which can go up that are kept in mind.
const FOLDERS_MAX: usize = 1000;

/// What is under way.
#[derive(Default)]
pub(crate) struct UnderWay {
    /// By the side they are to get to, and by key.
    files: BTreeMap<(Direction, Key), FileUnderWay>,
    /// There are more of them in the tables of the pass.
    are_more: bool,
    /// Local folders nothing of which can go up.
    pub(crate) folders: Vec<RelPath>,
    /// Something here that cannot be looked at, and may be anything.
    pub(crate) unseen: Option<String>,
}

/// A file that is to get to a side.
#[derive(Clone, Debug)]
pub(crate) struct FileUnderWay {
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

impl FileUnderWay {
    /// Notes it in the tables of the pass.
    ///
    /// # Errors
    /// What SQLite says.
    pub(crate) fn put(&self, tables: &PassTables, direction: Direction, key: &Key) -> Result<()> {
        let file = Arriving {
            key: key.clone(),
            display_path: self.display_path.to_string(),
        };
        let content = ArrivingContent {
            path: self.path.as_ref().map(RelPath::as_str),
            size: self.size,
            stamp: self.stamp.as_ref(),
            hash: self.hash,
        };
        tables.add_under_way(direction, &file, &content)
    }
}

impl UnderWay {
    /// Whether nothing is.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty() && !self.are_more && self.folders.is_empty() && self.unseen.is_none()
    }

    /// How many files are kept in memory.
    pub(crate) fn kept(&self) -> usize {
        self.files.len()
    }

    /// Whether some are in the tables of the pass.
    pub(crate) fn are_more(&self) -> bool {
        self.are_more
    }

    /// Moves all files into the tables of the pass.
    ///
    /// # Errors
    /// What SQLite says: then they stay.
    pub(crate) fn move_into(&mut self, tables: &PassTables) -> Result<()> {
        self.are_more |= !self.files.is_empty();
        self.files
            .iter()
            .try_for_each(|((direction, key), file)| file.put(tables, *direction, key))?;
        self.files.clear();
        Ok(())
    }

    /// A local folder nothing of which can go up. Where there are too many of them, each may hold
    /// anything.
    pub(crate) fn note_folder(&mut self, path: RelPath) {
        if self.folders.len() < FOLDERS_MAX {
            self.folders.push(path);
        } else if self.unseen.is_none() {
            self.unseen = Some(path.slashed());
        }
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
