//! List cursors: opaque, self-contained, and bound to app, account and arguments.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::encoding::{base64_decoded, base64url};

const CHECK: usize = 9;

/// Where a listing stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    pub(crate) epoch: u64,
    pub(crate) app: String,
    pub(crate) account: String,
    pub(crate) scope: Scope,
    /// The last key of the first listing that was told; `None` once that is complete.
    pub(crate) listed_to: Option<String>,
    /// The position of the journal up to which everything was told.
    pub(crate) position: u64,
    /// How many pages without entries have just been told.
    #[serde(default)]
    pub(crate) empty_pages: u32,
}

/// What a listing covers, fixed by the arguments of `list_folder`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "they are the fields of ListFolderArg"
)]
pub(crate) struct Scope {
    pub(crate) root: String,
    pub(crate) recursive: bool,
    pub(crate) deleted: bool,
    pub(crate) mounted: bool,
    pub(crate) non_downloadable: bool,
    pub(crate) explicit_members: bool,
    pub(crate) restorable: bool,
    pub(crate) limit: usize,
}

impl Cursor {
    /// The text given to the client.
    pub(crate) fn sealed(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        let mut bytes = Sha256::digest(&json)[..CHECK].to_vec();
        bytes.extend(json);
        base64url(&bytes)
    }

    /// Reads a text the client sent back.
    pub(crate) fn opened(text: &str) -> Option<Self> {
        let bytes = base64_decoded(text)?;
        let (check, json) = bytes.split_at_checked(CHECK)?;
        if Sha256::digest(json)[..CHECK] != *check {
            return None;
        }
        serde_json::from_slice(json).ok()
    }
}
