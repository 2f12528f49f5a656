//! What the renames of a pass hold while it lasts.

use super::gone::GoneRemotely;
use super::pairs::GoneLocally;
use super::renamed_folders::RenamedFolders;
use crate::core::path::Key;
use crate::dropbox::api::Api;
use crate::io::disk::Disk;

/// What is given another name in this pass, on either side.
pub(crate) struct Renames<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) api: &'a Api<'a>,
    /// What Dropbox has no more under the name it has here.
    pub(super) gone: GoneRemotely<'a>,
    /// What is gone here under the name it has in Dropbox.
    pub(super) gone_here: GoneLocally<'a>,
    /// The same of whole folders.
    pub(crate) folders: RenamedFolders,
}

impl<'a> Renames<'a> {
    /// Renames between this content dir and this Dropbox.
    pub(crate) fn new(disk: &'a dyn Disk, api: &'a Api<'a>) -> Renames<'a> {
        Renames {
            disk,
            api,
            gone: GoneRemotely::default(),
            gone_here: GoneLocally::default(),
            folders: RenamedFolders::default(),
        }
    }

    /// Whether the file of this key has another name by now, which may not be durable yet.
    pub(crate) fn is_being_renamed(&self, key: &Key) -> bool {
        self.gone.is_being_renamed(key)
    }
}
