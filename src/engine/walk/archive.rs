//! Many small files at once: whole folders as archives (`files/download_zip`), read while they
//! arrive. One request per file and a round trip for each is what makes a restore long.
//!
//! An archive promises nothing: every file in it is checked against the listing like any other
//! download, and whatever is missing, different, or behind the point where the archive broke off
//! is fetched alone.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::rc::Rc;

use super::pending::{open, walk_pending};
use crate::core::path::{Key, fold, join};
use crate::dropbox::retry::CallError;
use crate::engine::actions::Actions;
use crate::engine::context::Context;
use crate::engine::download::archive_plan::{ArchiveBody, ArchiveCandidates, FILE_BYTES_MAX, How};
use crate::engine::download::zip::{Archive, Head};
use crate::engine::item::Walk;
use crate::engine::local_dir::{OpenDir, item_at};
use crate::engine::phases::Phases;
use crate::engine::reconcile::visit;
use crate::error::Result;
use crate::index::{Remote, Row};
use crate::report::printable;

/// Fewer files are fetched one by one.
const FILES_MIN: u64 = 8;
/// Files and folders of one archive stay below this (`files.stone`).
const ENTRIES_MAX: u64 = 10_000;
/// Bytes of one archive stay below this: 20 GB (`files.stone`).
const BYTES_MAX: u64 = 20_000_000_000;
/// Archives of one pass that break off and are asked for again, as far as it goes.
const BREAKS_MAX: u32 = 4;
/// Archives of one pass that are left for what is not due in them, and followed by parts of them.
const WASTES_MAX: u32 = 16;
/// Bytes nobody asked for that are worth a round trip.
const WASTE_PER_PART: u64 = 64 << 10;

/// First finds out what is to come down at all, then brings down as archives the folders that
/// are worth it. Says whether anything is left to the walk that follows.
pub(crate) fn fetch_archives<'a>(cx: &mut Context<'a>, phases: &mut Phases<'a>) -> Result<bool> {
    if !cx.env.index.has_due(FILE_BYTES_MAX, FILES_MIN)? {
        return Ok(true);
    }
    let mut candidates = ArchiveCandidates::default();
    walk_pending(cx, phases, Some(&mut candidates))?;
    if !candidates.has_pending {
        return Ok(false);
    }
    // The root of everything the app may see cannot be had as an archive.
    let mut dirs = if cx.env.remote_root.is_top() {
        folders_to_pop(&candidates, "")
    } else {
        vec![String::new()]
    };
    let (mut breaks, mut wastes) = (0, 0);
    while let Some(dir) = dirs.pop() {
        let (files, bytes) = candidates.below(&dir);
        if files < FILES_MIN {
            continue;
        }
        let parts = candidates.directly_in(&dir) + candidates.folders_in(&dir).len() as u64;
        let is_done = is_worth_it(cx, &dir, parts, bytes)?
            && match fetch_archive(cx, phases, &dir, files)? {
                ArchiveAnswer::Taken => true,
                ArchiveAnswer::TooLarge => false,
                // What is left of it is worth another one, or its folders are.
                ArchiveAnswer::BrokenOff if breaks < BREAKS_MAX => {
                    breaks += 1;
                    candidates = ArchiveCandidates::default();
                    walk_pending(cx, phases, Some(&mut candidates))?;
                    dirs.push(dir);
                    continue;
                }
                ArchiveAnswer::Wasteful if wastes < WASTES_MAX => {
                    wastes += 1;
                    candidates = ArchiveCandidates::default();
                    walk_pending(cx, phases, Some(&mut candidates))?;
                    false
                }
                ArchiveAnswer::BrokenOff | ArchiveAnswer::Wasteful => true,
                // It would be no better with another folder.
                ArchiveAnswer::Refused => return Ok(true),
            };
        if !is_done {
            dirs.extend(folders_to_pop(&candidates, &dir));
        }
    }
    Ok(true)
}

/// The folders in one, the last first: what is taken from the end comes in order.
fn folders_to_pop(candidates: &ArchiveCandidates, dir: &str) -> Vec<String> {
    let mut folders = candidates.folders_in(dir);
    folders.reverse();
    folders
}

/// Whether one request for everything below a folder beats one for each of its parts: the folders
/// and files directly in it that are due.
fn is_worth_it(cx: &Context<'_>, dir: &str, parts: u64, bytes: u64) -> Result<bool> {
    let totals = cx.env.index.subtree_totals(dir)?;
    Ok(totals.entries + 1 < ENTRIES_MAX
        && totals.bytes < BYTES_MAX
        && totals.bytes.saturating_sub(bytes) <= parts.saturating_mul(WASTE_PER_PART))
}

fn fetch_archive<'a>(
    cx: &mut Context<'a>,
    phases: &mut Phases<'a>,
    dir: &str,
    files: u64,
) -> Result<ArchiveAnswer> {
    let row = cx.env.index.row(&Key::of(dir))?;
    let path = cx.env.remote_root.of_dir(dir, row.as_ref());
    let body = match phases.downloads.api.download_zip(&path) {
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
            log::debug!("no archive of {}: {error:?}", printable(path.as_str()));
            return Ok(ArchiveAnswer::Refused);
        }
    };
    let mut reading = Reading {
        archive: Rc::new(RefCell::new(Archive::new(Box::new(body)))),
        dir,
        top: fold(path.as_str().rsplit('/').next().unwrap_or_default()),
        opened: None,
        entries: 0,
        taken: BTreeSet::new(),
        waste: 0,
        waste_max: files.saturating_mul(WASTE_PER_PART) + (1 << 20),
    };
    let read = loop {
        cx.env.deadline.check()?;
        match take_entry(cx, phases, &mut reading)? {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    phases.finish_walk(cx)?;
    let Err(error) = read else {
        return Ok(ArchiveAnswer::Taken);
    };
    log::debug!(
        "the archive of {} is left: {error}",
        printable(path.as_str())
    );
    // One that cannot be read does not get better, nor does one that hardly gets on.
    Ok(match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::TimedOut => ArchiveAnswer::Taken,
        io::ErrorKind::FileTooLarge => ArchiveAnswer::Wasteful,
        _ => ArchiveAnswer::BrokenOff,
    })
}

/// Takes the next entry of an archive; false after the last one. The inner error is one of the
/// archive, which ends it.
fn take_entry<'a>(
    cx: &mut Context<'a>,
    phases: &mut Phases<'a>,
    reading: &mut Reading<'_, 'a>,
) -> Result<io::Result<bool>> {
    let head = match reading.archive.borrow_mut().next() {
        Ok(Some(head)) => head,
        Ok(None) => return Ok(Ok(false)),
        Err(error) => return Ok(Err(error)),
    };
    reading.entries += 1;
    if reading.entries > ENTRIES_MAX {
        return Ok(Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it has more entries than there can be",
        )));
    }
    // What was taken once may still wait to be settled.
    let due = due_row(cx, reading, &head)?;
    if let Some(row) = due.filter(|row| reading.taken.insert(short(&row.key))) {
        let size = row.remote_file().map_or(0, |file| file.size);
        reading.archive.borrow_mut().set_expected_size(size);
        if reading
            .opened
            .as_ref()
            .is_none_or(|(dir, _)| *dir != row.key.dir)
        {
            let opened = open(cx, phases, &row.key.dir)?;
            reading.opened = Some((row.key.dir.clone(), opened));
        }
        let key = row.key.clone();
        let opened = reading
            .opened
            .as_ref()
            .and_then(|(_, opened)| opened.as_ref());
        if let Some(item) = opened.and_then(|opened| item_at(cx, opened, row)) {
            let mut body = Some(ArchiveBody::new(key, reading.archive.clone()));
            visit(cx, phases, Walk::Pending, item, How::From(&mut body))?;
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
fn due_row(cx: &Context<'_>, reading: &Reading<'_, '_>, head: &Head) -> Result<Option<Row>> {
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
        let row = cx.env.index.row(&Key::of(&join(reading.dir, name)))?;
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
    /// It was read until the connection broke.
    BrokenOff,
    /// Parts of the folder may be had.
    TooLarge,
    /// It was read until too much came that is not due: in parts of the folder it is less.
    Wasteful,
    /// Dropbox gives no archives now.
    Refused,
}

/// An archive being read.
struct Reading<'a, 'd> {
    archive: Rc<RefCell<Archive<'d>>>,
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
