//! The remote root: which paths of Dropbox lie below it, and how requests name them.

use crate::core::path::{BadName, DisplayPath, Key, check_name, fold, nfc, split};
use crate::core::remote::RemotePath;
use crate::dropbox::wire::Metadata;
use crate::index::{Remote, RemoteEntry, RemoteFile, Row};
use crate::report::printable;
use crate::timestamp::seconds_of;

/// LIMIT: longest path in bytes (`PATH_MAX` on Linux): each of its folders takes a row that holds
/// the whole path above it.
const PATH_BYTES_MAX: usize = 4096;

/// The Dropbox folder that the content dir mirrors.
#[derive(Clone, Debug)]
pub struct RemoteRoot {
    path: RemotePath,
    /// Its key with a trailing slash; empty for the top of all the app may see.
    key: String,
}

/// How the remote root was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootState {
    /// It is there, and the index holds what is in it.
    Listed,
    /// Nothing is there; the index was left as it is.
    Missing,
    /// A file is there.
    IsFile,
}

/// Where an entry of a listing belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// Below the remote root.
    Entry(Box<RemoteEntry>),
    /// It is the remote root itself, and this became of it.
    Root(RootState),
    /// It is not mounted, of an unknown kind, outside the remote root, or too long.
    Elsewhere,
    /// It is no possible path.
    Impossible {
        /// How it begins, from the root of the account on.
        start: String,
        /// What is wrong with it.
        why: BadName,
    },
}

/// What an entry of a listing says.
struct Said {
    name: String,
    /// Without the leading slash.
    path_lower: String,
    path_display: Option<String>,
    remote: Remote,
}

impl RemoteRoot {
    /// The folder of the configuration: `/name/...`, or empty.
    pub fn new(path: &str) -> RemoteRoot {
        let key = match fold(path.trim_matches('/')) {
            key if key.is_empty() => key,
            key => format!("{key}/"),
        };
        RemoteRoot {
            path: RemotePath::from(path.to_owned()),
            key,
        }
    }

    /// The folder itself.
    pub fn path(&self) -> &RemotePath {
        &self.path
    }

    /// Whether it is the top of all the app may see.
    pub fn is_top(&self) -> bool {
        self.key.is_empty()
    }

    /// The path of what people know as `display_path`.
    pub fn at(&self, display_path: &DisplayPath) -> RemotePath {
        RemotePath::from(format!("{}{}", self.path, nfc(display_path.as_str())))
    }

    /// The path of a row: the server's own `path_lower`.
    pub fn of_row(&self, row: &Row) -> RemotePath {
        RemotePath::from(format!("{}/{}", self.path, row.request_path()))
    }

    /// The path of an entry that was listed.
    pub fn of_entry(&self, entry: &RemoteEntry) -> RemotePath {
        let key = entry.key.path();
        let below = entry.lower.as_deref().unwrap_or(&key);
        RemotePath::from(format!("{}/{below}", self.path))
    }

    /// The path of the directory of a key, whose row is `row`, if it has one; the root's is the
    /// root.
    pub fn of_dir(&self, dir: &str, row: Option<&Row>) -> RemotePath {
        match (dir, row) {
            ("", _) => self.path.clone(),
            (_, Some(row)) => self.of_row(row),
            (dir, None) => RemotePath::from(format!("{}/{dir}", self.path)),
        }
    }

    /// Whether the server's `path_lower` means this row; if so the row keeps it for requests.
    pub fn is_stored_as(&self, row: &mut Row, path_lower: &str) -> bool {
        let lower = path_lower.trim_start_matches('/');
        let key = row.key.path();
        let Some(below) = self.below(lower).filter(|below| fold(below) == key) else {
            return false;
        };
        row.lower = (below != key).then(|| below.to_owned());
        true
    }

    /// Places an entry of a listing.
    pub fn locate(&self, entry: Metadata) -> Location {
        let Some(said) = said(entry) else {
            return Location::Elsewhere;
        };
        let below = match self.below(&said.path_lower) {
            Some("") if !self.is_top() => {
                return Location::Root(match said.remote {
                    Remote::Gone => RootState::Missing,
                    Remote::File(_) | Remote::NotDownloadable => RootState::IsFile,
                    Remote::Folder | Remote::AsBase => RootState::Listed,
                });
            }
            Some(below) => below.to_owned(),
            None => {
                log::debug!(
                    "/{} lies outside the remote root: ignored",
                    printable(&said.path_lower)
                );
                return Location::Elsewhere;
            }
        };
        if split(&below).0.len() > PATH_BYTES_MAX {
            // The topmost folder that is too long has a row, and is told of wherever it would come
            // down; what lies in it goes without saying.
            log::debug!("too long a path: {} bytes", below.len());
            return Location::Elsewhere;
        }
        if let Err(why) = possible(&below) {
            let start = said.path_lower.chars().take(80).collect();
            return Location::Impossible { start, why };
        }
        Location::Entry(Box::new(self.entry(&below, said)))
    }

    /// The entry whose `path_lower` ends with `lower` below the remote root.
    fn entry(&self, lower: &str, said: Said) -> RemoteEntry {
        let key = Key::of(lower);
        let lower = (lower != key.path()).then(|| lower.to_owned());
        let display_dir = said.path_display.and_then(|path| {
            let below = self.below(path.trim_start_matches('/'))?;
            Some(split(below).0.to_owned())
        });
        // The path says what an entry is. A name that we fold otherwise is still how it is spelt;
        // what can be no name is not.
        let display_name = match check_name(&said.name) {
            Ok(()) | Err(BadName::TooLong) => said.name,
            Err(_) => key.name.clone(),
        };
        RemoteEntry {
            key,
            display_name,
            lower,
            display_dir,
            remote: said.remote,
        }
    }

    /// What of a path without a leading slash, in any spelling, lies below the remote root; nothing
    /// for what lies elsewhere.
    fn below<'p>(&self, path: &'p str) -> Option<&'p str> {
        if self.is_top() {
            return Some(path);
        }
        let mut rest = path;
        for component in self.key.split_terminator('/') {
            let (name, after) = rest.split_once('/').unwrap_or((rest, ""));
            if fold(name) != component {
                return None;
            }
            rest = after;
        }
        Some(rest)
    }
}

/// Nothing for what is not mounted, or has no name.
fn said(entry: Metadata) -> Option<Said> {
    let (name, path_lower, path_display, remote) = match entry {
        Metadata::File(file) => {
            let remote = if !file.is_downloadable || file.symlink_info.is_some() {
                Remote::NotDownloadable
            } else {
                Remote::File(RemoteFile {
                    hash: file.hash(),
                    rev: file.rev,
                    size: file.size,
                    modified: seconds_of(&file.client_modified),
                })
            };
            (file.name, file.path_lower, file.path_display, remote)
        }
        Metadata::Folder(folder) => {
            let display = folder.path_display;
            (folder.name, folder.path_lower, display, Remote::Folder)
        }
        Metadata::Deleted(gone) => (gone.name, gone.path_lower, None, Remote::Gone),
        // Whatever it is, it is there, and no file that could be fetched.
        Metadata::Other(other) => {
            let display = other.path_display;
            (
                other.name?,
                other.path_lower,
                display,
                Remote::NotDownloadable,
            )
        }
    };
    // Without a path it is not mounted.
    let path_lower = path_lower?.strip_prefix('/')?.to_owned();
    Some(Said {
        name,
        path_lower,
        path_display,
        remote,
    })
}

/// Whether this can be the path of anything. A name that is merely too long for a local disk can
/// be, and is told to people where it would come down.
fn possible(path: &str) -> Result<(), BadName> {
    path.split('/').try_for_each(|name| match check_name(name) {
        Err(BadName::TooLong) => Ok(()),
        checked => checked,
    })
}
