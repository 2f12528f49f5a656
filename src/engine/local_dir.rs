//! Where the directory of a key is locally, and what is in it at other keys.

mod entries;
mod state_files;

use crate::core::path::{DisplayPath, Key, RelPath, fold};
use crate::engine::context::Context;
use crate::engine::item::{Item, Local, is_a_folder, local_of, spelling};
use crate::error::Result;
use crate::index::{DirPath, Row};
pub(crate) use entries::{
    LocalEntries, LocalEntry, entries, is_lost_and_found, one_of, that_may_travel,
};

/// Where the directory of a key is locally.
pub(crate) enum LocalDir {
    /// It is there, on this device.
    Present(RelPath, u64),
    /// It is not there; this is where it would be, and on which device.
    Absent(RelPath, u64),
    /// A file is in the way, and so nothing is there.
    BelowFile,
    /// A link or a clash is in the way.
    Blocked,
    /// It cannot be told; the second walk says why.
    Unknown,
}

/// What came of opening the directory of a key.
pub(crate) enum Opened<'d> {
    /// It is open, or is not there yet.
    Dir(OpenDir<'d>),
    /// A file is in the way of the folder people know by this path, and so nothing is in it.
    BelowFile(DisplayPath),
    /// A link or a clash is in the way of it.
    Blocked(DisplayPath),
    /// It is not looked at, or cannot be; the second walk says why.
    Unknown,
}

impl<'d> Opened<'d> {
    /// The directory, if it is open.
    pub(crate) fn dir(self) -> Option<OpenDir<'d>> {
        match self {
            Opened::Dir(dir) => Some(dir),
            Opened::BelowFile(_) | Opened::Blocked(_) | Opened::Unknown => None,
        }
    }
}

/// A directory something is to come down into, as it was when it was opened.
pub(crate) struct OpenDir<'d> {
    display_path: DisplayPath,
    path: RelPath,
    device: u64,
    entries: LocalEntries<'d>,
}

impl OpenDir<'_> {
    /// One that is not there, because something else is in the way.
    pub(crate) fn absent(display_path: DisplayPath) -> Self {
        OpenDir {
            path: RelPath::parse(display_path.trim_start_matches('/')).unwrap_or_default(),
            display_path,
            device: 0,
            entries: LocalEntries::none(),
        }
    }

    /// The files of our own in it, which may be leftovers.
    pub(crate) fn own_names(&self) -> (&RelPath, &[String]) {
        (&self.path, &self.entries.own_names)
    }
}

/// `/real/case/path` of a directory in Dropbox, as filters see it; nothing if it is pruned, or
/// its spelling is not known, so that the filters cannot be asked.
pub(crate) fn display_path_of(cx: &Context<'_>, dir: &str) -> Result<Option<DisplayPath>> {
    let filter = &cx.env.config.sync.filter;
    Ok(match cx.env.index.dir_path(dir, filter)? {
        DirPath::Open(path) => Some(DisplayPath::of(&path)),
        DirPath::Pruned | DirPath::Unknown => None,
    })
}

/// Opens the directory of a key, to bring something down into it.
///
/// # Errors
/// What the index says.
pub(crate) fn open_dir<'a>(cx: &mut Context<'a>, dir: &str) -> Result<Opened<'a>> {
    let Some(display_path) = display_path_of(cx, dir)? else {
        return Ok(Opened::Unknown);
    };
    let (path, device, entries) = match find_local_dir(cx, dir)? {
        LocalDir::Present(path, device) => match entries(cx, &path, device) {
            Some(entries) => (path, device, entries),
            None => return Ok(Opened::Unknown),
        },
        LocalDir::Absent(path, device) => (path, device, LocalEntries::none()),
        LocalDir::BelowFile => return Ok(Opened::BelowFile(display_path)),
        LocalDir::Blocked => return Ok(Opened::Blocked(display_path)),
        LocalDir::Unknown => return Ok(Opened::Unknown),
    };
    Ok(Opened::Dir(OpenDir {
        display_path,
        path,
        device,
        entries,
    }))
}

/// A row with what is local at its key; nothing if it is not looked at.
pub(crate) fn item_at(cx: &Context<'_>, dir: &OpenDir<'_>, row: Row) -> Option<Item> {
    let display_path = dir.display_path.join(&row.display_name);
    let places = dir.entries.names.with_key(&row.key.name);
    let found = dir
        .entries
        .to_look_at(cx, &dir.path, (&row.key.dir, &row.key.name), places)?;
    let (local, name) = one_of(&found, &row, dir.device);
    let is_folder = is_a_folder(&row, &local);
    let local_path = spelling(&dir.path, &name);
    if cx.prunes((&display_path, &local_path), &row.key, is_folder) {
        return None;
    }
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
pub(crate) fn find_local_dir(cx: &Context<'_>, dir: &str) -> Result<LocalDir> {
    let disk = cx.env.disk;
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
        let row = cx.env.index.row(&at)?;
        let name = row.as_ref().map_or(component, Row::local_name);
        found = match found {
            LocalDir::BelowFile | LocalDir::Blocked | LocalDir::Unknown => return Ok(found),
            LocalDir::Absent(path, device) => match path.join(name) {
                Ok(path) => LocalDir::Absent(path, device),
                Err(_) => return Ok(LocalDir::Unknown),
            },
            LocalDir::Present(path, device) => {
                let was_mount = row.as_ref().is_some_and(|row| row.mount);
                match step(cx, &path, name, component, device) {
                    // Nothing is put where a disk is no longer mounted.
                    LocalDir::Present(_, here) if was_mount && here == device => LocalDir::Unknown,
                    found => found,
                }
            }
        };
    }
    Ok(found)
}

fn step(cx: &Context<'_>, dir: &RelPath, name: &str, folded: &str, device: u64) -> LocalDir {
    let disk = cx.env.disk;
    // No such folder can be made here, which is said of itself.
    let Ok(exact) = dir.join(name) else {
        return LocalDir::Unknown;
    };
    match disk.status(&exact) {
        Ok(Some(status)) => match local_of(&status, device) {
            Local::Folder { .. } => return LocalDir::Present(exact, status.device),
            Local::File(_) => return LocalDir::BelowFile,
            Local::Unknown | Local::Gone => return LocalDir::Blocked,
        },
        Ok(None) => {}
        Err(_) => return LocalDir::Unknown,
    }
    let Ok(listed) = disk.list(dir) else {
        return LocalDir::Unknown;
    };
    let filter = &cx.env.config.sync.filter;
    let same = || listed.names.iter().filter(|name| fold(name) == folded);
    let mut open = same().filter(|name| !filter.prunes_folder(&spelling(dir, name)));
    match (open.next(), open.next()) {
        (None, _) if same().next().is_none() => LocalDir::Absent(exact, device),
        // Its spelling here is left out, and so is all in it.
        (None, _) => LocalDir::Unknown,
        (Some(name), None) => match (listed.handle.status(name), dir.join(name)) {
            (Ok(Some(status)), Ok(path)) => match local_of(&status, device) {
                Local::Folder { .. } => LocalDir::Present(path, status.device),
                Local::File(_) => LocalDir::BelowFile,
                Local::Unknown | Local::Gone => LocalDir::Blocked,
            },
            _ => LocalDir::Blocked,
        },
        (Some(_), Some(_)) => LocalDir::Blocked,
    }
}
