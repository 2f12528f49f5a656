//! What the walks count: the guards ask about it.

use std::collections::BTreeSet;

use crate::core::filter::{LeftOut, ListName};
use crate::core::guard::Tally;
use crate::core::path::Key;
use crate::io::stat::{Kind, SpecialKind};
use crate::report::Skipped;

/// LIMIT: how many paths that could not be looked at a halt takes along.
const UNSEEN_MAX: usize = 100;

/// Files by where they are.
#[derive(Default)]
pub struct Survey {
    /// Files that may travel.
    pub(crate) tally: Tally,
    /// Files only Dropbox has, where nothing may come down.
    pub(crate) only_in_dropbox: u64,
    /// What is left out.
    pub(crate) skipped: Skipped,
    /// Files of other instances, which hold their sign-in and their index.
    pub(crate) state_files: u64,
    /// Temporary files of other instances that have lain in the content dir for long.
    pub(crate) left_by_others: u64,
    /// What was in step and could not be looked at.
    pub(crate) unseen: Unseen,
}

/// Paths that were in step, or hold something that was, and could not be looked at: what is to be
/// deleted there does not show.
#[derive(Default)]
pub struct Unseen {
    keys: BTreeSet<String>,
    are_more: bool,
}

impl Unseen {
    /// Notes one.
    pub(crate) fn note(&mut self, key: &Key) {
        let key = key.path();
        if self.keys.len() < UNSEEN_MAX || self.keys.contains(&key) {
            self.keys.insert(key);
        } else {
            self.are_more = true;
        }
    }

    /// What a halt takes along of it, of what it has taken along `before`: nothing of what it has
    /// ever named lies there.
    pub(crate) fn taken_along(&self, before: Option<&str>) -> String {
        let keys: BTreeSet<_> = match before {
            Some(before) => &self.keys & &taken(before),
            None => self.keys.clone(),
        };
        serde_json::to_string(&keys).unwrap_or_default()
    }

    /// Whether all of it is in what was taken along.
    pub(crate) fn was_all_in(&self, before: &str) -> bool {
        !self.are_more && self.keys.is_subset(&taken(before))
    }
}

fn taken(before: &str) -> BTreeSet<String> {
    serde_json::from_str(before).unwrap_or_default()
}

impl Survey {
    /// Counts what `part` has counted, too.
    pub(crate) fn add(&mut self, part: &Survey) {
        self.tally.base_files += part.tally.base_files;
        self.tally.local_files += part.tally.local_files;
        self.tally.remote_files += part.tally.remote_files;
        self.only_in_dropbox += part.only_in_dropbox;
        self.skipped.too_large += part.skipped.too_large;
        self.skipped.kept += part.skipped.kept;
    }

    /// Counts a file that both sides hold as the base says.
    pub(crate) fn count_in_step(&mut self) {
        self.tally.base_files += 1;
        self.tally.local_files += 1;
        self.tally.remote_files += 1;
    }

    /// Counts something here that is left out.
    pub(crate) fn note_left_out(&mut self, why: LeftOut) {
        let skipped = &mut self.skipped;
        *match why {
            LeftOut::Own => return,
            LeftOut::Hidden => &mut skipped.hidden,
            LeftOut::Pattern(ListName::Ignore, _) => &mut skipped.ignored,
            LeftOut::Pattern(..) => &mut skipped.excluded,
            LeftOut::NotListed => &mut skipped.unlisted,
        } += 1;
    }

    /// Counts something here that is neither a file nor a folder.
    pub(crate) fn note_kind(&mut self, kind: Kind) {
        match kind {
            Kind::File | Kind::Folder => {}
            Kind::Link => self.skipped.links += 1,
            Kind::Special(kind) => note_special(&mut self.skipped, kind),
        }
    }

    /// Counts a file only Dropbox has, where nothing may come down.
    pub(crate) fn count_only_in_dropbox(&mut self) {
        self.tally.remote_files += 1;
        self.only_in_dropbox += 1;
    }
}

/// Counts a pipe, a socket or a device.
pub(crate) fn note_special(skipped: &mut Skipped, kind: SpecialKind) {
    skipped.special += 1;
    *match kind {
        SpecialKind::Pipe => &mut skipped.pipes,
        SpecialKind::Socket => &mut skipped.sockets,
        SpecialKind::Device => &mut skipped.devices,
    } += 1;
}
