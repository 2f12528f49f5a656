//! Many small files at once: whole folders as archives (`files/download_zip`), read while they
//! arrive. One request per file and a round trip for each is what makes a restore long.
//!
//! An archive promises nothing: every file in it is checked against the listing like any other
//! download, and whatever is missing, different, or behind the point where the archive broke off
//! is fetched alone.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::rc::Rc;

use crate::core::path::{Key, RelPath, fold, join};
use crate::dropbox::retry::CallError;
use crate::engine::context::Pass;
use crate::engine::download::zip::{Archive, Head};
use crate::engine::item::Phase;
use crate::engine::local_dir::OpenDir;
use crate::error::Result;
use crate::index::{Remote, RemoteFile, Row};
use crate::io::disk::Access;

/// Largest file taken from an archive, in bytes: a larger one resumes better on its own.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Fewer files are fetched one by one.
const FILES_MIN: u64 = 8;
/// Files and folders of one archive stay below this (`files.stone`).
const ENTRIES_MAX: u64 = 10_000;
/// Bytes of one archive stay below this: 20 GB (`files.stone`).
const BYTES_MAX: u64 = 20_000_000_000;
/// Bytes nobody asked for that are worth a round trip, per file that is due.
const WASTE_PER_FILE: u64 = 64 << 10;
/// LIMIT: directories whose files are counted; those in further ones are fetched one by one.
const DIRS_MAX: usize = 20_000;

/// What is to come down in small files, by directory.
#[derive(Default)]
pub(crate) struct ArchiveCandidates {
    /// Files and bytes in each directory.
    dirs: BTreeMap<String, (u64, u64)>,
    /// Something is to come down, one way or the other.
    pub(crate) has_pending: bool,
}

impl ArchiveCandidates {
    fn note(&mut self, dir: &str, bytes: u64) {
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
    fn below(&self, dir: &str) -> (u64, u64) {
        self.in_and_below(dir)
            .fold((0, 0), |(files, bytes), (_, (f, b))| (files + f, bytes + b))
    }

    /// The folders directly in a directory that have something in or below them.
    fn folders_in(&self, dir: &str) -> Vec<String> {
        let names: BTreeSet<&str> = self
            .in_and_below(dir)
            .map(|(path, _)| path)
            .filter_map(|path| below(path, dir)?.split('/').find(|name| !name.is_empty()))
            .collect();
        names.into_iter().map(|name| join(dir, name)).collect()
    }
}

/// What of a path lies below a directory; empty for the directory itself.
fn below<'a>(path: &'a str, dir: &str) -> Option<&'a str> {
    match path.strip_prefix(dir)? {
        rest if dir.is_empty() || rest.is_empty() => Some(rest),
        rest => rest.strip_prefix('/'),
    }
}

/// The content of one file, taken from an archive.
pub(crate) struct ArchiveBody {
    key: Key,
    body: EntryReader,
}

/// The entry an archive is at.
struct EntryReader(Rc<RefCell<Archive>>);

impl Read for EntryReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(out)
    }
}

impl<'a> Pass<'a> {
    /// The content of this key, if it is at hand.
    pub(crate) fn take_archive_body(&mut self, key: &Key) -> Option<Box<dyn Read>> {
        let archive_body = self
            .archive_body
            .take_if(|archive_body| archive_body.key == *key)?;
        Some(Box::new(archive_body.body))
    }

    /// Notes a file that an archive may bring. Where nothing can be written no archive helps, and
    /// none is asked for in pass after pass.
    pub(crate) fn note_candidate(&mut self, row: &Row, file: &RemoteFile, temp: &RelPath) {
        let disk = self.env.disk;
        let dir = &row.key.dir;
        let can_write = || {
            let made = disk.create(temp, Access::Shared);
            made.and_then(|_| disk.remove_file(temp)).is_ok()
        };
        if let Some(candidates) = &mut self.candidates
            && file.hash.is_some()
            && file.size <= FILE_BYTES_MAX
            && (candidates.dirs.contains_key(dir) || can_write())
        {
            candidates.note(dir, file.size);
        }
    }

    /// First finds out what is to come down at all, then brings down as archives the folders that
    /// are worth it. Says whether anything is left to the walk that follows.
    pub(crate) fn fetch_archives(&mut self) -> Result<bool> {
        if self.dry() || !self.env.index.has_due(FILE_BYTES_MAX, FILES_MIN)? {
            return Ok(true);
        }
        self.candidates = Some(ArchiveCandidates::default());
        let walked = self.walk_pending_dirs();
        let candidates = self.candidates.take().unwrap_or_default();
        walked?;
        if !candidates.has_pending {
            return Ok(false);
        }
        // The root of everything the app may see cannot be had as an archive.
        let mut dirs = if self.env.remote_root.is_top() {
            candidates.folders_in("")
        } else {
            vec![String::new()]
        };
        while let Some(dir) = dirs.pop() {
            let (files, bytes) = candidates.below(&dir);
            if files < FILES_MIN {
                continue;
            }
            let is_done = self.is_worth_it(&dir, files, bytes)?
                && match self.fetch_archive(&dir, files)? {
                    ArchiveAnswer::Taken => true,
                    ArchiveAnswer::TooLarge => false,
                    // It would be no better with another folder.
                    ArchiveAnswer::Refused => return Ok(true),
                };
            if !is_done {
                dirs.extend(candidates.folders_in(&dir));
            }
        }
        Ok(true)
    }

    /// Whether one request for everything below a folder beats one for each file that is due.
    fn is_worth_it(&self, dir: &str, files: u64, bytes: u64) -> Result<bool> {
        let subtree_totals = self.env.index.subtree_totals(dir)?;
        Ok(subtree_totals.entries + 1 < ENTRIES_MAX
            && subtree_totals.bytes < BYTES_MAX
            && subtree_totals.bytes.saturating_sub(bytes) <= files.saturating_mul(WASTE_PER_FILE))
    }

    fn fetch_archive(&mut self, dir: &str, files: u64) -> Result<ArchiveAnswer> {
        let row = self.env.index.row(&Key::of(dir))?;
        let path = self.env.remote_root.of_dir(dir, row.as_ref());
        let body = match self.env.api.download_zip(&path) {
            Ok(Some(body)) => body,
            Ok(None) => return Ok(ArchiveAnswer::Refused),
            Err(CallError::End(error)) => return Err(error),
            Err(CallError::Refused(error)) if error.is("too_large") => {
                return Ok(ArchiveAnswer::TooLarge);
            }
            Err(CallError::Refused(error)) if error.is("too_many_files") => {
                return Ok(ArchiveAnswer::TooLarge);
            }
            Err(error) => {
                log::debug!("no archive of {path}: {error:?}");
                return Ok(ArchiveAnswer::Refused);
            }
        };
        let mut reading = Reading {
            archive: Rc::new(RefCell::new(Archive::new(body))),
            dir,
            top: fold(path.as_str().rsplit('/').next().unwrap_or_default()),
            opened: None,
            entries: 0,
            taken: BTreeSet::new(),
            waste: 0,
            waste_max: files.saturating_mul(WASTE_PER_FILE) + (1 << 20),
        };
        let read = loop {
            self.env.deadline.check()?;
            match self.take_entry(&mut reading)? {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.finish_publishing()?;
        self.flush_settles()?;
        if let Err(error) = read {
            log::debug!("the archive of {path} is left: {error}");
        }
        Ok(ArchiveAnswer::Taken)
    }

    /// Takes the next entry of an archive; false after the last one. The inner error is one of the
    /// archive, which ends it.
    fn take_entry(&mut self, reading: &mut Reading<'_, 'a>) -> Result<io::Result<bool>> {
        let head = match reading.archive.borrow_mut().next() {
            Ok(Some(head)) => head,
            Ok(None) => return Ok(Ok(false)),
            Err(error) => return Ok(Err(error)),
        };
        reading.entries += 1;
        if reading.entries > ENTRIES_MAX {
            return Ok(Err(io::Error::other(
                "it has more entries than there can be",
            )));
        }
        // What was taken once may still wait to be settled.
        let due = self.due_row(reading, &head)?;
        if let Some(row) = due.filter(|row| reading.taken.insert(short(&row.key))) {
            let size = row.remote_file().map_or(0, |file| file.size);
            reading.archive.borrow_mut().set_expected_size(size);
            if reading
                .opened
                .as_ref()
                .is_none_or(|(dir, _)| *dir != row.key.dir)
            {
                let opened = self.open_dir(&row.key.dir)?;
                reading.opened = Some((row.key.dir.clone(), opened));
            }
            let key = row.key.clone();
            let opened = reading
                .opened
                .as_ref()
                .and_then(|(_, opened)| opened.as_ref());
            if let Some(item) = opened.and_then(|opened| self.item_at(opened, row)) {
                self.archive_body = Some(ArchiveBody {
                    key,
                    body: EntryReader(reading.archive.clone()),
                });
                let visited = self.visit(Phase::Down, item);
                self.archive_body = None;
                visited?;
            }
        }
        let left = reading.waste_max.saturating_sub(reading.waste);
        let skipped = reading.archive.borrow_mut().skip(left);
        Ok(skipped.map(|skipped| {
            reading.waste += skipped;
            true
        }))
    }

    /// The row of an entry, if it is a file that is to come down and whose content can be checked.
    fn due_row(&self, reading: &Reading<'_, '_>, head: &Head) -> Result<Option<Row>> {
        let name = head.name.trim_start_matches('/');
        if name.is_empty() || name.ends_with('/') {
            return Ok(None);
        }
        let name = fold(name);
        // All names begin with that of the folder itself; some archives leave it out.
        let below = name
            .strip_prefix(&*reading.top)
            .and_then(|rest| rest.strip_prefix('/'));
        for name in below.into_iter().chain([name.as_str()]) {
            let row = self.env.index.row(&Key::of(&join(reading.dir, name)))?;
            let is_due = |row: &Row| match &row.remote {
                Remote::File(file) => {
                    let has_size = head.size.is_none_or(|size| size == file.size);
                    row.intact && file.hash.is_some() && file.size <= FILE_BYTES_MAX && has_size
                }
                _ => false,
            };
            if let Some(row) = row.filter(is_due) {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }
}

/// Tells keys apart; one taken for another is fetched alone.
fn short(key: &Key) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// What came of asking for an archive.
enum ArchiveAnswer {
    /// It was read, as far as it went.
    Taken,
    /// Parts of the folder may be had.
    TooLarge,
    /// Dropbox gives no archives now.
    Refused,
}

/// An archive being read.
struct Reading<'a, 'd> {
    archive: Rc<RefCell<Archive>>,
    /// The key of the folder.
    dir: &'a str,
    /// Its folded name.
    top: String,
    /// Entries so far.
    entries: u64,
    /// What was taken.
    taken: BTreeSet<u64>,
    /// The directory of the entry before.
    opened: Option<(String, Option<OpenDir<'d>>)>,
    /// Bytes that were read for nothing.
    waste: u64,
    waste_max: u64,
}
