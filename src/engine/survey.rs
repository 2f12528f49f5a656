//! What the walks count: the guards ask about it.

use crate::core::guard::Tally;

/// Files by where they are.
#[derive(Default)]
pub struct Survey {
    /// Files that may travel.
    pub(crate) tally: Tally,
    /// Files only Dropbox has, where nothing may come down.
    pub(crate) only_in_dropbox: u64,
    /// Files and folders left out for a name Dropbox never takes.
    pub(crate) litter: u64,
    /// Files of other instances, which hold their sign-in and their index.
    pub(crate) state_files: u64,
    /// Temporary files of other instances that have lain in the content dir for long.
    pub(crate) left_by_others: u64,
}

impl Survey {
    /// Counts what `part` has counted, too.
    pub(crate) fn add(&mut self, part: &Survey) {
        self.tally.base_files += part.tally.base_files;
        self.tally.local_files += part.tally.local_files;
        self.tally.remote_files += part.tally.remote_files;
        self.only_in_dropbox += part.only_in_dropbox;
    }

    /// Counts a file that both sides hold as the base says.
    pub(crate) fn count_in_step(&mut self) {
        self.tally.base_files += 1;
        self.tally.local_files += 1;
        self.tally.remote_files += 1;
    }

    /// Counts a file only Dropbox has, where nothing may come down.
    pub(crate) fn count_only_in_dropbox(&mut self) {
        self.tally.remote_files += 1;
        self.only_in_dropbox += 1;
    }
}
