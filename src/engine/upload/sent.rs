//! What came of sending a file: what Dropbox has now, or why it has not.

use std::io;

use super::source::is_moved;
use crate::core::content_hash::ContentHash;
use crate::core::remote::Rev;
use crate::dropbox::retry::CallError;
use crate::dropbox::wire::{ApiError, FileMetadata};
use crate::io::stat::Stamp;

/// A committed upload.
pub(crate) struct Sent {
    pub(crate) metadata: FileMetadata,
    pub(crate) hash: ContentHash,
    pub(crate) stamp: Stamp,
}

/// Why an upload did not happen.
pub(super) enum UploadError {
    Call(CallError),
    Disk(io::Error),
    /// The file moved during every try.
    KeepsChanging,
    /// Dropbox does not go on with a session that an earlier run has begun.
    OldSession(ApiError),
    /// It arrived, but damaged; the version in Dropbox has this rev.
    Damaged(Rev),
}

impl From<io::Error> for UploadError {
    fn from(error: io::Error) -> UploadError {
        if is_moved(&error) {
            UploadError::KeepsChanging
        } else {
            UploadError::Disk(error)
        }
    }
}

impl From<CallError> for UploadError {
    fn from(error: CallError) -> UploadError {
        match error {
            CallError::Local(error) => UploadError::from(error),
            error => UploadError::Call(error),
        }
    }
}

/// Checks that what was committed is what was sent.
pub(super) fn verified(sent: Sent) -> Result<Sent, UploadError> {
    match sent.metadata.hash() {
        Some(hash) if hash != sent.hash => Err(UploadError::Damaged(sent.metadata.rev)),
        None if sent.metadata.size != sent.stamp.size => {
            Err(UploadError::Damaged(sent.metadata.rev))
        }
        _ => Ok(sent),
    }
}
