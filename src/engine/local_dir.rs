//! Where the directory of a key is locally, and what is in it at other keys.

mod entries;

use crate::core::path::{DisplayPath, Key, RelPath, fold};
use crate::engine::context::Pass;
use crate::engine::item::{Item, Local, local_of};
use crate::error::Result;
use crate::index::{Base, DirPath, Row};
pub(crate) use entries::{LocalEntries, LocalEntry, one_of};

/// Where the directory of a key is locally.
pub(crate) enum LocalDir {
    /// It is there, on this device.
    Present(RelPath, u64),
    /// It is not there; this is where it would be, and on which device.
    Absent(RelPath, u64),
    /// A file, a link or a clash is in the way.
    Blocked,
    /// It cannot be told; the second walk says why.
    Unknown,
}

/// A directory something is to come down into, as it was when it was looked into.
pub(crate) struct OpenDir<'d> {
    /// `/real/case/path`, as filters see it; empty for the root.
    display_path: DisplayPath,
    path: RelPath,
    device: u64,
    entries: LocalEntries<'d>,
}

impl<'a> Pass<'a> {
    /// `/real/case/path` of a directory in Dropbox, as filters see it; nothing if it is shut, or
    /// its spelling is not known, so that the filters cannot be asked.
    pub(crate) fn display_path_of(&self, dir: &str) -> Result<Option<DisplayPath>> {
        let filter = &self.env.config.sync.filter;
        Ok(match self.env.index.dir_path(dir, filter)? {
            DirPath::Open(path) => Some(DisplayPath::of(&path)),
            DirPath::Pruned | DirPath::Unknown => None,
        })
    }

    /// Looks into the directory of a key, to bring something down into it; nothing if it cannot.
    pub(crate) fn open_dir(&mut self, dir: &str) -> Result<Option<OpenDir<'a>>> {
        let Some(display_path) = self.display_path_of(dir)? else {
            return Ok(None);
        };
        let (path, device, entries) = match self.find_local_dir(dir)? {
            LocalDir::Present(path, device) => match self.entries(&path, device) {
                Some(entries) => (path, device, entries),
                None => return Ok(None),
            },
            LocalDir::Absent(path, device) => (path, device, LocalEntries::none()),
            // What is in the way may make room: plan as if it had.
            LocalDir::Blocked if self.dry() => (RelPath::root(), 0, LocalEntries::none()),
            LocalDir::Blocked => {
                self.blocked_down(&display_path);
                return Ok(None);
            }
            LocalDir::Unknown => return Ok(None),
        };
        Ok(Some(OpenDir {
            display_path,
            path,
            device,
            entries,
        }))
    }

    /// Something stands where a folder of Dropbox would have to be.
    fn blocked_down(&mut self, display_path: &str) {
        if self.is_second_round {
            self.env.report.problem(
                display_path,
                "something else is in the way of this folder; what Dropbox holds in it is left \
                 alone: move it away",
            );
        }
        self.needs_second_round = true;
    }

    /// A row with what is local at its key; nothing if it is not looked at.
    pub(crate) fn item_at(&self, dir: &OpenDir<'_>, row: Row) -> Option<Item> {
        let display_path = dir.display_path.join(&row.display_name);
        if self.prunes(&display_path, &row.key) {
            return None;
        }
        let places = dir.entries.names.with_key(&row.key.name);
        let found = dir.entries.stat_range(places);
        let (local, name) = one_of(&found, &row, dir.device);
        Some(Item {
            row,
            local,
            dir: dir.path.clone(),
            device: dir.device,
            name,
            display_path,
            blocked_up: false,
        })
    }

    /// Finds the local directory of a key, following names from the root: the exact local name
    /// first, then any name with the same key.
    pub(crate) fn find_local_dir(&self, dir: &str) -> Result<LocalDir> {
        let disk = self.env.disk;
        let mut key = String::new();
        let Ok(root) = disk.root() else {
            return Ok(LocalDir::Unknown);
        };
        let mut found = LocalDir::Present(RelPath::root(), root.device);
        for component in dir.split('/').filter(|c| !c.is_empty()) {
            let at = Key {
                dir: key,
                name: component.to_owned(),
            };
            key = at.path();
            let row = self.env.index.row(&at)?;
            let name = row.as_ref().map_or(component, Row::local_name);
            found = match found {
                LocalDir::Blocked | LocalDir::Unknown => return Ok(found),
                LocalDir::Absent(path, device) => match path.join(name) {
                    Ok(path) => LocalDir::Absent(path, device),
                    Err(_) => return Ok(LocalDir::Blocked),
                },
                LocalDir::Present(path, device) => {
                    let mounted = Base::Folder { mount: true };
                    let was_mount = row.as_ref().is_some_and(|row| row.base == mounted);
                    match self.step(&path, name, component, device) {
                        // Nothing is put where a disk is no longer mounted.
                        LocalDir::Present(_, here) if was_mount && here == device => {
                            LocalDir::Unknown
                        }
                        found => found,
                    }
                }
            };
        }
        Ok(found)
    }

    fn step(&self, dir: &RelPath, name: &str, folded: &str, device: u64) -> LocalDir {
        let disk = self.env.disk;
        let Ok(exact) = dir.join(name) else {
            return LocalDir::Blocked;
        };
        match disk.status(&exact) {
            Ok(Some(status)) => match local_of(&status, device) {
                Local::Folder { .. } => return LocalDir::Present(exact, status.device),
                Local::File(_) | Local::Unknown | Local::Gone => return LocalDir::Blocked,
            },
            Ok(None) => {}
            Err(_) => return LocalDir::Unknown,
        }
        let Ok(listed) = disk.list(dir) else {
            return LocalDir::Unknown;
        };
        let mut same = listed.names.iter().filter(|name| fold(name) == folded);
        match (same.next(), same.next()) {
            (None, _) => LocalDir::Absent(exact, device),
            (Some(name), None) => match (listed.handle.status(name), dir.join(name)) {
                (Ok(Some(status)), Ok(path))
                    if matches!(local_of(&status, device), Local::Folder { .. }) =>
                {
                    LocalDir::Present(path, status.device)
                }
                _ => LocalDir::Blocked,
            },
            (Some(_), Some(_)) => LocalDir::Blocked,
        }
    }
}
