//! Verified downloads on their way into place, and what stands where they go.

use crate::core::content_hash::ContentHash;
use crate::core::path::RelPath;
use crate::core::remote::Rev;
use crate::engine::item::{Item, Observed};
use crate::index::Base;
use crate::io::disk::{Access, WriteFile};

/// Files on their way into place.
#[derive(Default)]
pub struct PublishQueue {
    /// Complete and verified, not yet forced to the medium.
    pub(super) staged: Vec<StagedFile>,
    /// Done in the content dir, not yet settled: it may not be durable.
    pub(super) renamed: Vec<(Item, Base)>,
}

impl PublishQueue {
    /// Whether a temporary file of this run has this name.
    pub fn holds(&self, dir: &RelPath, name: &str) -> bool {
        self.staged
            .iter()
            .any(|file| file.temp.parent() == *dir && file.temp.name() == name)
    }
}

/// A verified temporary file.
pub(crate) struct StagedFile {
    pub(crate) item: Item,
    pub(crate) temp: RelPath,
    /// It is held open: what becomes of it is not asked of its name again.
    pub(crate) file: Box<dyn WriteFile>,
    /// Who may read it until it is put in place.
    pub(crate) access: Access,
    pub(crate) rev: Rev,
    pub(crate) hash: ContentHash,
    /// What the target held when it was decided to replace it.
    pub(crate) replaces: Existing,
}

/// What stands at the target.
#[derive(Clone, Copy)]
pub(crate) enum Existing {
    Nothing,
    /// A file that equals its base, or that is to be dropped.
    File(Observed),
    /// A file that is kept as a conflict copy.
    Kept(Observed),
    /// A folder that is kept as a conflict copy, with all in it.
    Tree,
}
