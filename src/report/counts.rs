//! How much a pass did, and how much it left out.

use serde::Serialize;

/// How often something was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Files uploaded.
    pub uploaded: u64,
    /// Files downloaded.
    pub downloaded: u64,
    /// Files renamed on either side.
    pub moved: u64,
    /// Files and folders removed locally.
    pub deleted_locally: u64,
    /// Files and folders removed in Dropbox.
    pub deleted_in_dropbox: u64,
    /// Folders made on either side.
    pub folders_made: u64,
    /// Conflict copies kept.
    pub conflicts: u64,
    /// Files found equal on both sides without a transfer.
    pub adopted: u64,
    /// Paths left for the next pass because they changed meanwhile, and files that wait for their
    /// pace.
    pub deferred: u64,
}

impl Counts {
    /// What was changed on either side.
    pub fn changes(&self) -> u64 {
        self.uploaded
            + self.downloaded
            + self.moved
            + self.deleted_locally
            + self.deleted_in_dropbox
            + self.folders_made
            + self.conflicts
    }
}

/// Traffic of the contents of files that travelled, those in vain included; in a dry run those that
/// would.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// To Dropbox.
    pub up: u64,
    /// From Dropbox.
    pub down: u64,
}

/// How many files are left out by a rule of ours, whatever becomes of them on either side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Larger than `sync.max_file_size`.
    pub too_large: u64,
    /// Gone here, and kept in Dropbox by `sync.deletes`.
    pub kept: u64,
}
