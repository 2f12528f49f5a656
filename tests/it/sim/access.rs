//! Who may read and write what is here: a pass lets nobody in who was not, and leaves the temporary
//! files of others where they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::disk::SimDisk;
use super::files::is_own;

/// Temporary files of another instance, whose content dir might lie within this one.
pub const OF_ANOTHER: [&str; 2] = [
    ".ferrybox-0badf00d-1234.tmp",
    ".ferrybox-0badf00d-015f.part",
];

/// They are gone, wherever they were.
pub fn remove_neighbours(disk: &SimDisk) {
    let files = disk.tree().files();
    for path in files.keys().filter(|path| is_of_another(path)) {
        disk.remove(path);
    }
}

fn is_of_another(path: &str) -> bool {
    OF_ANOTHER.contains(&path.rsplit('/').next().unwrap_or(path))
}

/// Permissions, access list, owner and group.
type Rights = (u32, Option<Vec<u8>>, (u32, u32));

/// A content dir right before a pass.
pub struct Access {
    files: BTreeMap<String, (Rights, Arc<Vec<u8>>)>,
}

impl Access {
    pub fn before(disk: &SimDisk) -> Access {
        let tree = disk.tree();
        let entry = |(path, bytes): (String, Arc<Vec<u8>>)| {
            let found = tree.find(&path).ok()?;
            let status = tree.status(found);
            let owner = (status.uid, status.gid);
            let rights = (status.mode & 0o777, tree.list_of(found), owner);
            Some((path, (rights, bytes)))
        };
        let files = tree.files().into_iter();
        let files = files.filter(|(path, _)| !path.ends_with('/'));
        Access {
            files: files.filter_map(entry).collect(),
        }
    }

    /// What the pass has done to it that it must not.
    pub fn objection(self, disk: &SimDisk) -> Option<String> {
        let after = Access::before(disk).files;
        for (path, (rights, bytes)) in &self.files {
            let now = after.get(path);
            if is_of_another(path) && now.is_none_or(|(_, now)| now != bytes) {
                return Some(format!("{path} belongs to another instance, and is gone"));
            }
            let Some((new_rights, new_bytes)) = now.filter(|_| !is_own(path)) else {
                continue;
            };
            // What was only renamed keeps its own.
            let has_come = |(rights, bytes): &(Rights, Arc<Vec<u8>>)| {
                rights == new_rights && bytes == new_bytes
            };
            // Whoever put a file of his there lets nobody in, himself included.
            let is_narrower = new_rights.0 & 0o022 == 0 && new_rights.0 & !rights.0 == 0;
            if rights.2 != (0, 0) && new_bytes != bytes && !is_narrower {
                return Some(format!(
                    "{path}, once of {:?}, has {new_rights:?}",
                    rights.2
                ));
            }
            let may_change = rights.2 != (0, 0) && is_narrower;
            if rights != new_rights && !may_change && !self.files.values().any(has_come) {
                return Some(format!("{path} had {rights:?}, and has {new_rights:?} now"));
            }
        }
        None
    }
}
