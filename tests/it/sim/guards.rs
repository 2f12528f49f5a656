//! What a pass deletes, counted apart from the agent: more than its guards allow without a
//! person's word is a violation.
//!
//! What was in step is read from the index as it was before the pass; all else is seen in the
//! trees and the calls.

use std::collections::BTreeSet;
use std::path::Path;

use dropbox_standin::Standin;
use ferrybox::config::Config;
use ferrybox::core::path::fold;
use ferrybox::error::Result;
use ferrybox::index::{Index, Meta};
use ferrybox::report::Report;

use super::disk::SimDisk;
use super::files::{Files, files_of, files_on, is_own};
use super::machine::Gateway;
use super::seam::{Call, Op};

/// Files in step from which on an emptied side is suspicious.
const EMPTIED_MIN: usize = 3;

/// The two sides of a gateway.
const HERE: usize = 0;
const THERE: usize = 1;

/// What was in step before a pass.
#[derive(Default)]
struct InStep {
    /// Keys of files that were when the guards were last asked.
    settled: Vec<String>,
    /// Files that passes have brought since.
    brought: u64,
    /// Those of them that had been in step before: they came back.
    back: u64,
    /// Deletes on this side wait for a person.
    held: [bool; 2],
}

/// A pass that nobody has approved anything for.
pub struct Watch {
    disk: SimDisk,
    dropbox: Standin,
    before: InStep,
    /// Of what was settled, the files that were left on either side.
    left: usize,
    /// Of what was settled, the files each side held; nothing if the other one held no file.
    emptied_beside: [usize; 2],
    /// Files the pass was about to delete, by path.
    deleted: [Files; 2],
    /// A person did something meanwhile.
    pub is_meddled: bool,
}

impl Watch {
    /// Right before the pass; nothing where the index cannot be read to its end. What is longer
    /// than the configuration lets travel is left out, on whichever side it is.
    pub fn begin(gateway: &Gateway, dropbox: &Standin, config: &Config) -> Option<Watch> {
        let (disk, index) = (&gateway.content, gateway.index_file());
        let largest = config.sync.max_file_size;
        let mut before = match Index::open(&index) {
            Ok(Some(open)) => in_step(&open, dirs_of(&index)?).ok()?,
            // Without an index nothing was in step.
            Ok(None) | Err(_) => InStep::default(),
        };
        let sides = [files_on(disk), files_of(dropbox)];
        let is_too_large = |bytes: &[u8]| largest.is_some_and(|most| bytes.len() as u64 > most);
        let files = sides.iter().flatten();
        for (path, _) in files.filter(|(_, bytes)| is_too_large(bytes)) {
            let too_large = fold(path);
            before.settled.retain(|key| *key != too_large);
        }
        let is_whole = disk.tree().files_away().is_empty();
        let is_empty = |files: &Files| is_whole && files.keys().all(|path| path.ends_with('/'));
        let keys = sides.each_ref().map(keys_of);
        let settled = || before.settled.iter();
        let held = |side: usize| settled().filter(|key| keys[side].contains(*key)).count();
        let is_left = |key: &&String| keys.iter().any(|keys| keys.contains(*key));
        let left = settled().filter(is_left).count();
        let beside = |side: usize| {
            if is_empty(&sides[1 - side]) {
                held(side)
            } else {
                0
            }
        };
        let emptied_beside = [beside(HERE), beside(THERE)];
        Some(Watch {
            disk: disk.clone(),
            dropbox: dropbox.clone(),
            before,
            left,
            emptied_beside,
            deleted: Default::default(),
            is_meddled: false,
        })
    }

    /// Before each call.
    pub fn note(&mut self, call: &Call) {
        if call.on == "content" && call.op == Op::RemoveFile && !is_own(&call.path) {
            let found = files_on(&self.disk).remove_entry(&call.path);
            self.deleted[HERE].extend(found);
        }
        for delete in call.deletes().iter().filter(|_| call.op == Op::Request) {
            let path = delete["path"].as_str().unwrap_or_default();
            let rev = delete["parent_rev"].as_str();
            if rev.is_some()
                && self.dropbox.rev(path).as_deref() == rev
                && let Some(bytes) = self.dropbox.read(path)
            {
                self.deleted[THERE].insert(path.to_owned(), bytes.into());
            }
        }
    }

    /// Right after the pass, whichever way it ended: what it should have asked for.
    pub fn objection(&self, config: &Config, report: &Report) -> Option<String> {
        // A person may have moved away again what came under another name.
        if self.is_meddled {
            return None;
        }
        let (counts, before) = (report.counts(), &self.before);
        let mut base = before.settled.len() as u64 + before.back;
        if self.left < EMPTIED_MIN {
            base +=
                before.brought - before.back + counts.uploaded + counts.downloaded + counts.adopted;
        }
        let now = [files_on(&self.disk), files_of(&self.dropbox)];
        for (side, name) in [(HERE, "here"), (THERE, "in Dropbox")] {
            // What is there under another name was moved.
            let is_left = |bytes: &&_| now[side].values().any(|left| &left == bytes);
            let lost = self.deleted[side].values().filter(|bytes| !is_left(bytes));
            let lost = lost.count() as u64;
            let share = config.guard.max_delete_share * base as f64;
            let is_many = lost > config.guard.max_delete_count && lost as f64 > share;
            // A problem may be a folder of which nothing is known.
            let is_emptied = lost > 0
                && self.emptied_beside[side] >= EMPTIED_MIN
                && report.problems().is_empty();
            let is_held = before.held[side] && lost > 0;
            if is_many || is_emptied || is_held {
                return Some(format!(
                    "unasked, {lost} files were deleted {name} of {base} in step: too many \
                     {is_many}, the other side emptied {is_emptied}, halted before {is_held}: {:?}",
                    self.deleted[side].keys()
                ));
            }
        }
        None
    }
}

fn keys_of(files: &Files) -> BTreeSet<String> {
    files.keys().map(|path| fold(path)).collect()
}

/// The directories that hold rows; those between need not have one.
fn dirs_of(index: &Path) -> Option<Vec<String>> {
    let db = rusqlite::Connection::open(index).ok()?;
    let mut select = db.prepare("SELECT DISTINCT dir FROM entry").ok()?;
    let dirs = select.query_map([], |row| row.get(0)).ok()?;
    dirs.collect::<rusqlite::Result<_>>().ok()
}

fn in_step(index: &Index, dirs: Vec<String>) -> Result<InStep> {
    let last_guarded_pass = index.meta(Meta::LastGuardedPass)?;
    let last_guarded_pass = last_guarded_pass
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let mut found = InStep {
        held: [
            index.meta(Meta::HeldDown)?.is_some(),
            index.meta(Meta::HeldUp)?.is_some(),
        ],
        ..InStep::default()
    };
    for dir in dirs {
        let mut rows = index.rows_in_dir(&dir);
        while let Some(row) = rows.next()? {
            match row.base_file() {
                Some(base) if base.arrived_in_pass > last_guarded_pass => {
                    found.brought += 1;
                    found.back += u64::from(base.reappeared);
                }
                Some(_) => found.settled.push(row.key.path()),
                None => {}
            }
        }
    }
    Ok(found)
}
