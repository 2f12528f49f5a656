//! What must hold of a pass that is to leave large files alone, or to keep what is deleted.

use dropbox_standin::Standin;
use ferrybox::config::Config;
use ferrybox::core::decide::DeletePolicy;

use super::disk::SimDisk;
use super::files::{Files, files_of, files_on};

/// Both sides right before a pass.
pub struct Manners {
    here: Files,
    there: Files,
}

impl Manners {
    pub fn before(disk: &SimDisk, dropbox: &Standin) -> Manners {
        Manners {
            here: files_on(disk),
            there: files_of(dropbox),
        }
    }

    /// What the pass has done against the configuration.
    pub fn objection(self, config: &Config, disk: &SimDisk, dropbox: &Standin) -> Option<String> {
        let (here, there) = (files_on(disk), files_of(dropbox));
        if let Some(most) = config.sync.max_file_size {
            for (place, before, after) in [
                ("here", &self.here, &here),
                ("in Dropbox", &self.there, &there),
            ] {
                let size =
                    |files: &Files, path: &str| files.get(path).map_or(0, |b| b.len() as u64);
                let is_moved = |path: &&String| {
                    let is_large = size(before, path).max(size(after, path)) > most;
                    is_large && before.get(*path) != after.get(*path)
                };
                if let Some(path) = before.keys().chain(after.keys()).find(is_moved) {
                    return Some(format!("{path} is too large, and was changed {place}"));
                }
            }
        }
        if config.sync.deletes == DeletePolicy::Keep {
            let is_lost = |(path, bytes): &(&String, _)| {
                !there.contains_key(*path) && !there.values().any(|left| left == *bytes)
            };
            if let Some((path, _)) = self.there.iter().find(is_lost) {
                return Some(format!("{path} is to be kept, and was deleted in Dropbox"));
            }
        }
        None
    }
}
