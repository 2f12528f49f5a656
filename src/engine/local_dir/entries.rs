//! The local names of one directory: which of them count, and what they stand for.

use std::io;
use std::ops::Range;

use crate::core::own_names::is_own_name;
use crate::core::path::{DisplayPath, Key, RelPath, join};
use crate::engine::context::Context;
use crate::engine::item::{Local, local_of, spelling};
use crate::engine::local_dir::state_files::{is_state_file, state_files};
use crate::index::{Base, HeldBy, Row};
use crate::io::listing::{DirHandle, Listing, Names};
use crate::io::stat::{Kind, Status};
use crate::report::{Trouble, printable};

/// What ext filesystems keep for repairs, in their topmost directory, which has this inode number.
const LOST_AND_FOUND: (&str, u64) = ("lost+found", 2);

/// A local name and what it stands for.
pub(crate) struct LocalEntry {
    pub(crate) name: String,
    pub(crate) status: io::Result<Status>,
}

/// The local names of a directory, sorted by key.
pub(crate) struct LocalEntries<'d> {
    pub(crate) names: Names,
    /// The files of our own that were left out.
    pub(crate) own_names: Vec<String>,
    /// How many of the names are state of another instance.
    pub(crate) state_files: u64,
    handle: Option<Box<dyn DirHandle + 'd>>,
}

impl LocalEntries<'_> {
    /// Those of a directory that is not there.
    pub(crate) fn none() -> Self {
        LocalEntries {
            names: Names::default(),
            own_names: Vec::new(),
            state_files: 0,
            handle: None,
        }
    }

    /// What is at a key, its directory's and its name's, whose names are at these places. Nothing
    /// if that is state of another instance, or the filters leave it out, so that the key is not
    /// looked at.
    pub(crate) fn to_look_at(
        &self,
        cx: &Context<'_>,
        dir: &RelPath,
        (dir_key, name): (&str, &str),
        places: Range<usize>,
    ) -> Option<Vec<LocalEntry>> {
        if self.state_files > 0 && is_state_file(name) {
            return None;
        }
        that_may_travel(cx, dir, (dir_key, name), self.stat_range(places))
    }

    /// What the names at these places stand for, right now.
    fn stat_range(&self, places: Range<usize>) -> Vec<LocalEntry> {
        let entry = |at| {
            let name = self.names.get(at)?;
            let status = match self.handle.as_ref()?.status(name) {
                Ok(Some(status)) => Ok(status),
                // Removed since it was listed: perhaps renamed, and then listed under no name.
                Ok(None) => Err(io::ErrorKind::NotFound.into()),
                Err(error) => Err(error),
            };
            Some(LocalEntry {
                name: name.to_owned(),
                status,
            })
        };
        places.filter_map(entry).collect()
    }
}

fn tell_unread(cx: &Context<'_>, path: &RelPath, error: &io::Error) {
    let (trouble, text) = (Trouble::of_disk(error), error.to_string());
    cx.env.report.problem(&path.slashed(), trouble, &text);
}

/// The entries of a directory, sorted by key; nothing if it cannot be read.
pub(crate) fn entries<'a>(
    cx: &mut Context<'a>,
    path: &RelPath,
    device: u64,
) -> Option<LocalEntries<'a>> {
    let listed = cx.env.disk.list(path);
    // An unmounted disk leaves an empty directory: look after listing.
    let listed = listed.and_then(|listed| cx.check_device(path, device).map(|()| listed));
    let listed = match listed {
        Ok(listed) => listed,
        Err(error) => {
            cx.note_incomplete_view();
            let report = cx.env.report;
            match error.kind() {
                io::ErrorKind::NotFound => {
                    report.deferred(&path.slashed(), "it was just removed");
                }
                _ => tell_unread(cx, path, &error),
            }
            return None;
        }
    };
    let Listing {
        names,
        not_utf8,
        handle,
    } = listed;
    for odd in &not_utf8 {
        // Filters see what can be read of it.
        let shown = spelling(path, &odd.shown);
        if !cx.may_go_up(&shown, &shown) {
            continue;
        }
        let text = "the name is not UTF-8, Dropbox cannot hold it: rename it";
        cx.env.report.problem(&shown, Trouble::NotUtf8, text);
        match &odd.status {
            Some(status) if status.kind == Kind::File => {
                let key = Key {
                    dir: path.as_str().to_owned(),
                    name: odd.shown.clone(),
                };
                cx.note_local_file(key, &DisplayPath::from(shown), None, status);
            }
            Some(status) if status.kind != Kind::Folder => {}
            Some(_) | None => cx.note_unseen(&shown),
        }
    }
    let own: Vec<usize> = (0..names.len())
        .filter(|at| names.get(*at).is_some_and(is_own_name))
        .collect();
    let own_names: Vec<String> = own
        .iter()
        .filter_map(|at| names.get(*at).map(str::to_owned))
        .collect();
    let mut names = if own.is_empty() {
        names
    } else {
        names.without(&own)
    };
    names.sort();
    Some(LocalEntries {
        state_files: state_files(cx.env.disk, path, &names),
        names,
        handle: Some(handle),
        own_names,
    })
}

/// The filesystem's own directory for repairs: nobody put it there, and only root can read it.
/// One that Dropbox holds or that was in step is a folder like any other.
pub(crate) fn is_lost_and_found(
    cx: &Context<'_>,
    dir: &RelPath,
    device: u64,
    found: &[LocalEntry],
) -> bool {
    let (name, top) = LOST_AND_FOUND;
    let is_it = |entry: &LocalEntry| {
        entry.name == name
            && entry.status.as_ref().is_ok_and(|status| {
                status.kind == Kind::Folder && status.uid == 0 && status.device == device
            })
    };
    let at_top = || match cx.env.disk.status(dir) {
        Ok(Some(dir)) => dir.stamp.inode == top,
        Ok(None) | Err(_) => false,
    };
    matches!(found, [entry] if is_it(entry)) && at_top()
}

/// Of several local names with one key those that may travel: each is asked alone. Nothing if the
/// filters leave out all of them, so that the key is not looked at. All of them, a clash, if one
/// that is left out was in step: what Dropbox has is its, and no other may take that over.
pub(crate) fn that_may_travel(
    cx: &Context<'_>,
    dir: &RelPath,
    (dir_key, name): (&str, &str),
    found: Vec<LocalEntry>,
) -> Option<Vec<LocalEntry>> {
    if found.len() < 2 {
        return Some(found);
    }
    let filter = &cx.env.config.sync.filter;
    let may_travel = |entry: &LocalEntry| {
        let path = spelling(dir, &entry.name);
        let allows = filter.allows(&path);
        let kind = entry.status.as_ref().map(|status| status.kind);
        // What is in a folder may travel where it does not itself.
        match kind {
            Ok(Kind::File) => allows.up || allows.down,
            Ok(Kind::Folder) => !filter.prunes_folder(&path),
            Ok(Kind::Link | Kind::Special(_)) | Err(_) => !filter.prunes(&path),
        }
    };
    let (open, shut): (Vec<_>, Vec<_>) = found.into_iter().partition(may_travel);
    if open.is_empty() {
        return None;
    }
    let key = Key::in_dir(dir_key, name);
    if !shut.is_empty() && was_in_step(cx, &key, &shut) {
        return Some(open.into_iter().chain(shut).collect());
    }
    Some(open)
}

/// Whether one of these local names of a key was in step, or what is below it. What the index
/// cannot tell counts so.
fn was_in_step(cx: &Context<'_>, key: &Key, names: &[LocalEntry]) -> bool {
    let index = cx.env.index;
    match index.row(key) {
        Ok(Some(row)) if names.iter().any(|entry| entry.name == row.local_name()) => {
            row.base != Base::None || index.has_files_below(key, HeldBy::Base).unwrap_or(true)
        }
        Ok(_) => false,
        Err(_) => true,
    }
}

/// What is local at a key, and under which name.
pub(crate) fn one_of(found: &[LocalEntry], row: &Row, device: u64) -> (Local, String) {
    match found {
        [] => (Local::Gone, row.local_name().to_owned()),
        [entry] => {
            let local = match &entry.status {
                Ok(status) => local_of(status, device),
                Err(_) => Local::Unknown,
            };
            if local == Local::Unknown {
                log::debug!(
                    "{}: not a file or folder: skipped",
                    printable(&join(&row.key.dir, &entry.name))
                );
            }
            (local, entry.name.clone())
        }
        [entry, ..] => (Local::Unknown, entry.name.clone()),
    }
}
