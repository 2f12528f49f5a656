//! Where the bytes of a download come from, and which folders are worth an archive.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::rc::Rc;

use super::zip::Archive;
use crate::core::path::{Key, below, join};
use crate::index::RemoteFile;

/// Largest file taken from an archive, in bytes: a larger one resumes better on its own.
pub(crate) const FILE_BYTES_MAX: u64 = 4 << 20;
/// LIMIT: directories whose files are counted; those in further ones are fetched one by one.
const DIRS_MAX: usize = 20_000;

/// How a file comes down.
pub enum How<'h, 'a> {
    /// It is asked for.
    Fetch,
    /// Not now: it is counted, to find out which folders are to come as archives.
    Count(&'h mut ArchiveCandidates),
    /// Its bytes are here, if they have not been taken yet.
    From(&'h mut Option<ArchiveBody<'a>>),
}

/// What is to come down in small files, by directory.
#[derive(Default)]
pub struct ArchiveCandidates {
    /// Files and bytes in each directory.
    dirs: BTreeMap<String, (u64, u64)>,
    /// Something is to come down, one way or the other.
    pub(crate) has_pending: bool,
}

impl ArchiveCandidates {
    /// Notes a file that an archive may bring. Where nothing can be written no archive helps, and
    /// none is asked for in pass after pass: `can_write` says so of a new directory.
    pub(super) fn note(&mut self, dir: &str, file: &RemoteFile, can_write: impl FnOnce() -> bool) {
        if file.hash.is_some()
            && file.size <= FILE_BYTES_MAX
            && (self.dirs.contains_key(dir) || can_write())
        {
            self.count(dir, file.size);
        }
    }

    fn count(&mut self, dir: &str, bytes: u64) {
        if self.dirs.len() < DIRS_MAX && !self.dirs.contains_key(dir) {
            self.dirs.insert(dir.to_owned(), (0, 0));
        }
        if let Some((files, sum)) = self.dirs.get_mut(dir) {
            *files += 1;
            *sum = sum.saturating_add(bytes);
        }
    }

    fn in_and_below(&self, dir: &str) -> impl Iterator<Item = (&String, &(u64, u64))> {
        // Everything below "dir" lies between "dir/" and "dir0", the character after the slash.
        let (start, end) = match dir {
            "" => (String::new(), "\u{10ffff}".to_owned()),
            dir => (format!("{dir}/"), format!("{dir}0")),
        };
        let itself = self.dirs.get_key_value(dir).filter(|_| !dir.is_empty());
        itself.into_iter().chain(self.dirs.range(start..end))
    }

    /// Files and bytes in a directory and below it.
    pub(crate) fn below(&self, dir: &str) -> (u64, u64) {
        self.in_and_below(dir)
            .fold((0, 0), |(files, bytes), (_, (f, b))| (files + f, bytes + b))
    }

    /// Files directly in a directory.
    pub(crate) fn directly_in(&self, dir: &str) -> u64 {
        self.dirs.get(dir).map_or(0, |(files, _)| *files)
    }

    /// The folders directly in a directory that have something in or below them.
    pub(crate) fn folders_in(&self, dir: &str) -> Vec<String> {
        let names: BTreeSet<&str> = self
            .in_and_below(dir)
            .map(|(path, _)| path)
            .filter_map(|path| below(path, dir)?.split('/').find(|name| !name.is_empty()))
            .collect();
        names.into_iter().map(|name| join(dir, name)).collect()
    }
}

/// The content of one file, taken from an archive.
pub struct ArchiveBody<'a> {
    key: Key,
    /// It is at the entry of this file.
    archive: Rc<RefCell<Archive<'a>>>,
}

impl<'a> ArchiveBody<'a> {
    /// The entry that `archive` is at.
    pub(crate) fn new(key: Key, archive: Rc<RefCell<Archive<'a>>>) -> ArchiveBody<'a> {
        ArchiveBody { key, archive }
    }

    /// Whether it is the content of this key.
    pub(super) fn is_of(&self, key: &Key) -> bool {
        self.key == *key
    }
}

impl Read for ArchiveBody<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.archive.borrow_mut().read(out)
    }
}
