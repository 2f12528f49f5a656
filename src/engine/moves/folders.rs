//! What renames look for on both sides: where what is in a folder is here, or that it is gone, and
//! what Dropbox lists of it.

use crate::core::path::{Key, RelPath, below};
use crate::core::remote::RemotePath;
use crate::dropbox::api::{Api, Depth, PageSink};
use crate::dropbox::retry::CallError;
use crate::dropbox::wire::Metadata;
use crate::engine::context::Context;
use crate::engine::local_dir::{LocalDir, find_local_dir};
use crate::engine::remote_root::Location;
use crate::error::{Error, Result};
use crate::index::{Base, Remote, Row};

/// Where the files of a folder are here, as its rows spell them.
pub(super) struct LocalPaths {
    folder: Key,
    path: RelPath,
    /// The directory asked about last.
    last: Option<(String, Option<RelPath>)>,
}

impl LocalPaths {
    /// Of the folder with the key `folder`, which is at `path`.
    pub(super) fn new(folder: &Key, path: RelPath) -> LocalPaths {
        LocalPaths {
            folder: folder.clone(),
            path,
            last: None,
        }
    }

    /// Where the file or folder of a row below it is; nothing where no such path can be.
    pub(super) fn of(&mut self, cx: &Context<'_>, row: &Row) -> Result<Option<RelPath>> {
        let dir = self.dir(cx, &row.key.dir)?;
        Ok(dir.and_then(|dir| dir.join(row.local_name()).ok()))
    }

    /// Where a directory at or below it is.
    pub(super) fn dir(&mut self, cx: &Context<'_>, dir: &str) -> Result<Option<&RelPath>> {
        if self.last.as_ref().is_none_or(|(last, _)| last != dir) {
            let found = self.find(cx, dir)?;
            self.last = Some((dir.to_owned(), found));
        }
        Ok(self.last.as_ref().and_then(|(_, path)| path.as_ref()))
    }

    fn find(&self, cx: &Context<'_>, dir: &str) -> Result<Option<RelPath>> {
        let mut key = self.folder.path();
        let Some(rest) = below(dir, &key) else {
            return Ok(None);
        };
        let mut path = self.path.clone();
        for name in rest.split('/').filter(|name| !name.is_empty()) {
            let at = Key {
                dir: key,
                name: name.to_owned(),
            };
            key = at.path();
            let row = cx.env.index.row(&at)?;
            match path.join(row.as_ref().map_or(name, Row::local_name)) {
                Ok(next) => path = next,
                Err(_) => return Ok(None),
            }
        }
        Ok(Some(path))
    }
}

/// Tells what is gone here of what is in step. The directory looked for last is kept in mind.
#[derive(Default)]
pub(super) struct GoneHere(Option<(String, LocalDir)>);

impl GoneHere {
    /// Whether the file or folder of a row is gone here.
    pub(super) fn is_gone(&mut self, cx: &Context<'_>, row: &Row) -> Result<bool> {
        let dir = &row.key.dir;
        if self.0.as_ref().is_none_or(|(last, _)| last != dir) {
            self.0 = Some((dir.clone(), find_local_dir(cx, dir)?));
        }
        Ok(match self.0.as_ref().map(|(_, local_dir)| local_dir) {
            Some(LocalDir::Absent(..)) => true,
            Some(LocalDir::Present(dir, _)) => {
                let path = dir.join(row.local_name());
                path.is_ok_and(|path| matches!(cx.env.disk.status(&path), Ok(None)))
            }
            _ => false,
        })
    }
}

/// Whether Dropbox lists, at and below `path`, exactly what the rows below `rows` say: as many
/// `entries`, each of the same content. `listed` is the key of that path.
///
/// # Errors
/// Whatever ends the pass.
pub(super) fn are_as_listed(
    cx: &Context<'_>,
    api: &Api<'_>,
    path: &RemotePath,
    listed: &Key,
    rows: &Key,
    entries: u64,
) -> Result<bool> {
    let mut contents = Contents {
        cx,
        listed: listed.path(),
        rows: rows.path(),
        known: 0,
        known_in_page: 0,
        is_other: false,
    };
    let mut next = None;
    loop {
        let page = match &next {
            None => api.list_folder(path, Depth::Everything, &mut contents),
            Some(cursor) => api.list_folder_continue(cursor, &mut contents),
        };
        let end = match page {
            Ok(end) => end,
            Err(CallError::End(error)) => return Err(error),
            Err(error) => {
                log::debug!("{path:?}: {error:?}");
                return Ok(false);
            }
        };
        contents.known += std::mem::take(&mut contents.known_in_page);
        if contents.is_other || !end.has_more {
            return Ok(!contents.is_other && contents.known == entries);
        }
        next = Some(end.cursor);
    }
}

/// Holds what Dropbox lists of a folder against the rows.
struct Contents<'c, 'd> {
    cx: &'c Context<'d>,
    listed: String,
    rows: String,
    known: u64,
    known_in_page: u64,
    is_other: bool,
}

impl Contents<'_, '_> {
    fn is_known(&self, key: &Key, remote: &Remote) -> Result<bool> {
        let path = key.path();
        let Some(rest) = below(&path, &self.listed) else {
            return Ok(false);
        };
        let row = self.cx.env.index.row(&key_below(&self.rows, rest))?;
        let Some(row) = row.filter(|row| row.intact && row.remote == Remote::AsBase) else {
            return Ok(false);
        };
        Ok(match (remote, &row.base) {
            (Remote::Folder, Base::Folder) => true,
            (Remote::File(file), Base::File(base)) => file.hash == Some(base.hash),
            _ => false,
        })
    }
}

/// The key of what lies `rest` below a directory.
pub(super) fn key_below(dir: &str, rest: &str) -> Key {
    let (between, name) = rest.rsplit_once('/').unwrap_or(("", rest));
    Key {
        dir: match between {
            "" => dir.to_owned(),
            between => format!("{dir}/{between}"),
        },
        name: name.to_owned(),
    }
}

impl PageSink for Contents<'_, '_> {
    fn restart(&mut self) -> std::result::Result<(), Error> {
        self.known_in_page = 0;
        Ok(())
    }

    fn entry(&mut self, entry: Metadata) -> std::result::Result<(), Error> {
        match self.cx.env.remote_root.locate(entry) {
            Location::Entry(entry) => match &entry.remote {
                Remote::Gone => {}
                Remote::Folder if entry.key.path() == self.listed => {}
                remote => match self.is_known(&entry.key, remote)? {
                    true => self.known_in_page += 1,
                    false => self.is_other = true,
                },
            },
            Location::Root(_) => {}
            Location::Elsewhere | Location::Impossible { .. } => self.is_other = true,
        }
        Ok(())
    }
}
