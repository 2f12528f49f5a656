//! One key with all that is known of it, as a pass sees it.

use crate::core::content_hash::ContentHash;
use crate::core::decide::{Direction, Side};
use crate::core::path::{BadName, DisplayPath, RelPath, join, nfc};
use crate::index::Row;
use crate::io::stat::{FolderRights, Kind, Stamp, Status};

/// The walk in which an item is visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walk {
    /// That over the pending rows: remote changes come down; deletes wait.
    Pending,
    /// That over everything: local changes go up; deletes are collected.
    All,
}

/// What is at the local path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Local {
    /// It could not be told.
    Unknown,
    /// Nothing.
    Gone,
    /// A folder.
    Folder {
        /// Whether it lies on another device than its parent.
        mount: bool,
        /// That device.
        device: u64,
        /// Who may do what with it.
        rights: FolderRights,
    },
    /// A file.
    File(Status),
}

impl Local {
    /// Who may do what with the folder that is here.
    pub(crate) fn folder_rights(&self) -> Option<FolderRights> {
        match self {
            Local::Folder { rights, .. } => Some(*rights),
            Local::Unknown | Local::Gone | Local::File(_) => None,
        }
    }
}

/// One key with everything known about it.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its row, new if the index had none.
    pub row: Row,
    /// What is there locally.
    pub local: Local,
    /// The local directory it is in, or would be made in.
    pub dir: RelPath,
    /// The device that directory is on, or would be made on.
    pub device: u64,
    /// Its local name, or the name it would get.
    pub name: String,
    /// `/real/case/path` as in Dropbox if it is known there, else as it is locally.
    pub display_path: DisplayPath,
    /// Dropbox has a file where a folder above this path would have to be.
    pub blocked_up: bool,
}

impl Item {
    /// The local path.
    ///
    /// # Errors
    /// Why the name cannot be one.
    pub fn path(&self) -> Result<RelPath, BadName> {
        self.dir.join(&self.name)
    }

    /// `/real/case/path` as it is here, or would be: what the filters are asked about beside the
    /// display path.
    pub fn local_spelling(&self) -> String {
        spelling(&self.dir, &self.name)
    }
}

/// `/real/case/path` of a name in a local directory, in the normal form that filters match.
pub fn spelling(dir: &RelPath, name: &str) -> String {
    nfc(&format!("/{}", join(dir.as_str(), name)))
}

/// A delete that waits for the end of the pass.
#[derive(Clone, Debug)]
pub struct Delete {
    /// The side.
    pub direction: Direction,
    /// The item, as it was seen.
    pub item: Item,
}

/// What was found at the local path.
#[derive(Clone, Copy, Debug)]
pub struct Observed {
    /// What the decision sees.
    pub side: Side,
    /// Its content, where it had to be read.
    pub hash: Option<ContentHash>,
    /// Its stamp, if it is a file.
    pub stamp: Stamp,
    /// When the look at it began.
    pub read_at_ns: i128,
}

/// What `stat` said, as an item sees it.
pub fn local_of(status: &Status, parent_device: u64) -> Local {
    match status.kind {
        Kind::File => Local::File(*status),
        Kind::Folder => Local::Folder {
            mount: status.device != parent_device,
            device: status.device,
            rights: status.folder_rights(),
        },
        Kind::Link | Kind::Special(_) => Local::Unknown,
    }
}

/// Whether either side has a folder at a key.
pub(crate) fn is_a_folder(row: &Row, local: &Local) -> bool {
    matches!(local, Local::Folder { .. }) || row.remote_is_folder()
}

/// Whether a file is the same one under another name, as far as its stamp tells: a rename changes
/// its ctime only.
pub fn is_same_file(one: &Stamp, other: &Stamp) -> bool {
    let of = |stamp: &Stamp| (stamp.size, stamp.mtime_ns, stamp.inode);
    one.inode != 0 && of(one) == of(other)
}
