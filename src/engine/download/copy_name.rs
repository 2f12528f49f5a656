//! Which name a local version gets that loses its own: one whose key is free on both sides, because
//! Dropbox would take it for the same name as another of that key.

use std::io;

use super::downloads::Downloads;
use crate::core::conflict_name::conflict_name;
use crate::core::content_hash::ContentHash;
use crate::core::path::{Key, RelPath};
use crate::engine::context::Context;
use crate::engine::item::{Item, Observed};
use crate::engine::stable_read;
use crate::index::Remote;
use crate::report::Change;
use crate::timestamp::date_of;

/// The hash of what is to be kept, read when it is asked for.
type HashOf<'h> = dyn FnMut() -> io::Result<ContentHash> + 'h;

/// Where a conflict copy goes.
pub(crate) enum CopyName {
    /// A free name.
    Free(RelPath),
    /// The same content is there already.
    Kept(RelPath),
}

impl<'a> Downloads<'a> {
    /// The name the local version gets, in the order: plain, with 8 digits of its hash.
    pub(super) fn copy_name(
        &self,
        cx: &Context<'a>,
        item: &Item,
        target: &RelPath,
        observed: &Observed,
    ) -> io::Result<CopyName> {
        let mut known = observed.hash;
        // Read only where it tells something: it may be a very large file.
        let mut hash = || match known {
            Some(hash) => Ok(hash),
            None => {
                let read = stable_read::hash(self.disk, target, cx.env.deadline);
                let (hash, _) = read.map_err(|_| io::ErrorKind::AlreadyExists)?;
                known = Some(hash);
                io::Result::Ok(hash)
            }
        };
        let date = date_of(observed.stamp.mtime_ns);
        for is_plain in [true, false] {
            let digits = if is_plain { None } else { Some(hash()?) };
            let name = conflict_name(&item.name, &cx.env.device, &date, digits);
            let key = Key::in_dir(&item.row.key.dir, &name);
            if key == item.row.key {
                continue;
            }
            let here = self.names_here(item, &key)?;
            for other in &here {
                let copy = item.dir.join(other).map_err(io::Error::other)?;
                if self.holds(cx, &copy, observed.stamp.size, &mut hash)? {
                    return Ok(CopyName::Kept(copy));
                }
            }
            if here.is_empty() && is_free_there(cx, &key, Some(&mut hash))? {
                let copy = item.dir.join(&name).map_err(io::Error::other)?;
                return Ok(CopyName::Free(copy));
            }
        }
        Err(both_taken())
    }

    /// The name a local folder gets, in the order: plain, with 8 digits that stand for its
    /// modification time.
    pub(super) fn tree_copy_name(
        &self,
        cx: &Context<'a>,
        item: &Item,
        mtime_ns: i64,
    ) -> io::Result<RelPath> {
        let date = date_of(mtime_ns);
        let digits = ContentHash::of(&mtime_ns.to_le_bytes());
        for digits in [None, Some(digits)] {
            let name = conflict_name(&item.name, &cx.env.device, &date, digits);
            let key = Key::in_dir(&item.row.key.dir, &name);
            if self.names_here(item, &key)?.is_empty() && is_free_there(cx, &key, None)? {
                return item.dir.join(&name).map_err(io::Error::other);
            }
        }
        Err(both_taken())
    }

    /// The local names of a key, in the directory of `item`.
    fn names_here(&self, item: &Item, key: &Key) -> io::Result<Vec<String>> {
        let mut names = self.disk.list(&item.dir)?.names;
        names.sort();
        let of_key = names.with_key(&key.name);
        Ok(of_key
            .filter_map(|at| names.get(at).map(str::to_owned))
            .collect())
    }

    fn holds(
        &self,
        cx: &Context<'a>,
        path: &RelPath,
        size: u64,
        hash: &mut HashOf<'_>,
    ) -> io::Result<bool> {
        let status = self.disk.status(path)?;
        if status.is_none_or(|status| status.stamp.size != size) {
            return Ok(false);
        }
        let other = stable_read::hash(self.disk, path, cx.env.deadline);
        let wanted = hash()?;
        Ok(other.is_ok_and(|(other, _)| other == wanted))
    }
}

/// Says that a local version was kept as a conflict copy.
pub(crate) fn report_conflict(cx: &Context<'_>, item: &Item, more: &str) {
    let path = &item.display_path;
    cx.env.report.changed(Change::Conflict, path, more);
}

fn both_taken() -> io::Error {
    io::Error::other("both names for its conflict copy are taken: rename one of them")
}

/// Whether Dropbox has nothing of this key but a file of this hash, as far as it has told.
fn is_free_there(cx: &Context<'_>, key: &Key, hash: Option<&mut HashOf<'_>>) -> io::Result<bool> {
    let row = cx.env.index.row(key).map_err(io::Error::other)?;
    Ok(match row {
        None => true,
        Some(row) => match row.remote_now() {
            Remote::Gone => true,
            Remote::File(file) => match hash {
                Some(hash) => file.hash == Some(hash()?),
                None => false,
            },
            Remote::AsBase | Remote::Folder | Remote::NotDownloadable => false,
        },
    })
}
