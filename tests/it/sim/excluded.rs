//! What the filters leave out stays as it is on both sides, as Dropbox spells it: a folder that is
//! left out there is left out with all below, whatever is known of it here.

use std::collections::BTreeMap;

use dropbox_standin::Standin;
use ferrybox::config::Config;
use ferrybox::core::path::fold;

use super::disk::SimDisk;
use super::files::{Files, files_of, files_on};

/// Both sides right before a pass.
pub struct Excluded {
    here: Files,
    there: Files,
}

impl Excluded {
    pub fn before(disk: &SimDisk, dropbox: &Standin) -> Excluded {
        Excluded {
            here: files_on(disk),
            there: files_of(dropbox),
        }
    }

    /// What the pass has changed although the filters leave it out.
    pub fn objection(self, config: &Config, disk: &SimDisk, dropbox: &Standin) -> Option<String> {
        let filter = &config.sync.filter;
        let (here, there) = (files_on(disk), files_of(dropbox));
        let spelt: BTreeMap<String, &String> = self
            .there
            .keys()
            .chain(there.keys())
            .map(|path| (fold(path), path))
            .collect();
        let is_shut = |path: &str| filter.prunes(&format!("/{}", path.trim_end_matches('/')));
        // Shut by every spelling it has here.
        let is_shut_here = |path: &str| {
            // A file that took the name of a folder speaks for it.
            let key_of = |path: &str| fold(path.trim_end_matches('/'));
            let key = key_of(path);
            let mut here = self.here.keys().chain(here.keys());
            let of_key = here.by_ref().filter(|path| key_of(path) == key);
            let shut: Vec<bool> = of_key.map(|path| is_shut(path)).collect();
            !shut.is_empty() && shut.iter().all(|shut| *shut)
        };
        for path in changed(&self.there, &there) {
            if is_shut(path) || is_shut_here(path) {
                return Some(format!("{path} is excluded, and was changed in Dropbox"));
            }
        }
        for path in changed(&self.here, &here) {
            if is_shut(path) {
                return Some(format!("{path} is excluded, and was changed here"));
            }
        }
        // What Dropbox never had, or has no more, is judged by rows that are not looked into here.
        for path in changed(&self.here, &here).filter_map(|path| spelt.get(&fold(path))) {
            if is_shut(path) {
                return Some(format!("{path} is excluded, and was changed here"));
            }
        }
        None
    }
}

fn changed<'a>(before: &'a Files, after: &'a Files) -> impl Iterator<Item = &'a str> {
    let of = |files: &'a Files, other: &'a Files| {
        let differs = move |(path, bytes): &(&String, _)| other.get(*path) != Some(*bytes);
        files.iter().filter(differs).map(|(path, _)| path.as_str())
    };
    of(before, after).chain(of(after, before))
}
