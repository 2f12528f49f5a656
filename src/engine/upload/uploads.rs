//! What the uploads of a pass hold while it lasts.

use super::folders_above::FoldersAbove;
use super::just_made::JustMade;
use super::queue::{FindsAgain, PendingUpload, UploadQueue};
use crate::dropbox::api::Api;
use crate::engine::collected::Collected;
use crate::engine::item::{Item, Observed};

/// What is sent up in this pass.
pub(crate) struct Uploads<'a> {
    pub(super) api: &'a Api<'a>,
    /// Files to go up together.
    pub(in crate::engine) queue: UploadQueue,
    /// Files that failed in an earlier pass: they go after all others.
    pub(super) last: Vec<PendingUpload>,
    /// Folders that uploads of this pass lie in.
    pub(super) made: FoldersAbove,
    /// Those that it has just made.
    pub(super) just_made: JustMade,
    /// Folders to make once it is clear which of them uploads made anyway.
    pub(in crate::engine) new_folders: Collected<'a, Item>,
    /// Different on both sides, no base, uploads only: a person decides.
    pub(in crate::engine) undecided: Collected<'a, (Item, Observed)>,
    /// Files sent whose modification time Dropbox does not take as it is.
    pub(in crate::engine) odd_times: u64,
}

impl<'a> Uploads<'a> {
    /// Uploads to this Dropbox.
    pub(crate) fn new(api: &'a Api<'a>, again: FindsAgain<'a>) -> Uploads<'a> {
        Uploads {
            api,
            queue: UploadQueue::default(),
            last: Vec::new(),
            made: FoldersAbove::default(),
            just_made: JustMade::default(),
            new_folders: Collected::new(again.new_folders, again.kept_max),
            undecided: Collected::new(again.undecided, again.kept_max),
            odd_times: 0,
        }
    }
}
