//! Folders that were only renamed here are renamed in Dropbox as one: nothing in them is read,
//! and no byte travels.
//!
//! The walk leaves such a folder for after it ([`super::renamed_folders`]). It is the one that is
//! gone by its inode number and the time it was made, and by the stamps of what is in it; it moves
//! as one where all that Dropbox has in it is in step. Its files get new revs there, which nobody
//! knows before Dropbox tells them, and only then it is walked: what was edited in it goes up, and
//! what is missing is deleted, under guard. All other folders are moved file by file
//! ([`super::there`]).

use super::folder_look::{MovableFolder, whole};
use super::folders::are_as_listed;
use super::renames::Renames;
use crate::core::decide::DeletePolicy;
use crate::core::path::{DisplayPath, Key, below, join, split};
use crate::core::remote::{RemotePath, Rev};
use crate::dropbox::batch::{ENTRIES_MAX, Relocation};
use crate::dropbox::retry::{CallError, LAG_TIME};
use crate::dropbox::wire::{ApiError, FileMetadata, Metadata};
use crate::engine::context::Context;
use crate::engine::survey::Survey;
use crate::engine::upload::Uploads;
use crate::error::Result;
use crate::index::{Base, BaseFile, Meta, Remote, RemoteFile, RenamedFolder, Row, Trees};
use crate::report::{Change, Trouble, printable};

/// Most files and folders that one call moves, those included that it names (`files.stone`,
/// `too_many_files`).
const MOVED_MAX: u64 = 10_000;

/// A file or folder that is moved by itself.
struct Move {
    from: Key,
    to: Key,
    /// Its old and its new path in Dropbox.
    paths: (RemotePath, RemotePath),
    /// What people know it by: before, and now.
    old_path: DisplayPath,
    display_path: DisplayPath,
    /// Its name here.
    local_name: String,
    is_folder: bool,
    /// What is in it, and itself.
    entries: u64,
}

/// Moves that go in one call.
#[derive(Default)]
struct Moves {
    list: Vec<Move>,
    entries: u64,
}

/// What the moves of folders work with.
struct Mover<'m, 'a> {
    renames: &'m Renames<'a>,
    uploads: &'m mut Uploads<'a>,
    survey: &'m mut Survey,
    moves: Moves,
    has_moved: bool,
}

impl<'a> Renames<'a> {
    /// Renames in Dropbox the folders that were found in a round of the walk, where they can move
    /// as one; says whether any did.
    ///
    /// # Errors
    /// Whatever ends the pass.
    pub(crate) fn rename_folders_there(
        &mut self,
        cx: &mut Context<'a>,
        uploads: &mut Uploads<'a>,
        survey: &mut Survey,
        round: u32,
    ) -> Result<bool> {
        cx.flush_settles()?;
        let mut mover = Mover {
            renames: self,
            uploads,
            survey,
            moves: Moves::default(),
            has_moved: false,
        };
        let mut last: Option<RenamedFolder> = None;
        while let Some(folder) = cx.tables()?.next_renamed_folder(round, last.as_ref())? {
            // What lies in another one goes before it.
            if last.is_some_and(|last| last.from.depth() != folder.from.depth()) {
                mover.carry_out(cx)?;
            }
            if let Some(whole) = whole(cx, Some(self.api), &folder)? {
                let one = move_of(cx, &folder, whole);
                mover.add(cx, one)?;
            }
            last = Some(folder);
        }
        mover.carry_out(cx)?;
        Ok(mover.has_moved)
    }
}

impl<'a> Mover<'_, 'a> {
    /// Adds one to the next call, which is made where it is full. One that is too large by itself
    /// is moved by what is in it.
    fn add(&mut self, cx: &mut Context<'a>, one: Move) -> Result<()> {
        if one.entries > MOVED_MAX {
            return self.split(cx, &one);
        }
        let most = cx.env.batch_max().min(ENTRIES_MAX);
        if self.moves.list.len() >= most || self.moves.entries + one.entries > MOVED_MAX {
            self.carry_out(cx)?;
        }
        self.moves.entries += one.entries;
        self.moves.list.push(one);
        Ok(())
    }

    /// Moves what is in a folder, file by file and folder by folder.
    fn split(&mut self, cx: &mut Context<'a>, one: &Move) -> Result<()> {
        let index = cx.env.index;
        let mut rows = index.rows_in_dir(&one.from.path());
        while let Some(row) = rows.next()? {
            let root = &cx.env.remote_root;
            let display_path = one.display_path.join(&row.display_name);
            let is_folder = row.base == Base::Folder;
            let entries = match is_folder {
                true => index.subtree_totals(&row.key.path())?.entries + 1,
                false => 1,
            };
            let inner = Move {
                to: Key {
                    dir: one.to.path(),
                    name: row.key.name.clone(),
                },
                paths: (root.of_row(&row), root.at(&display_path)),
                old_path: one.old_path.join(&row.display_name),
                display_path,
                local_name: row.local_name().to_owned(),
                from: row.key,
                is_folder,
                entries,
            };
            self.add(cx, inner)?;
        }
        Ok(())
    }

    /// Makes the call.
    fn carry_out(&mut self, cx: &mut Context<'a>) -> Result<()> {
        let Moves { list, .. } = std::mem::take(&mut self.moves);
        let api = self.renames.api;
        let mut outcomes = Vec::new();
        if list.len() > 1 {
            let paths: Vec<_> = list.iter().map(|one| one.paths.clone()).collect();
            match api.relocate_batch(Relocation::Move, &paths) {
                Ok(all) => outcomes = all,
                Err(CallError::End(error)) => return Err(error),
                Err(error) => log::debug!("moved one by one: {error:?}"),
            }
        }
        let mut outcomes = outcomes.into_iter();
        for one in list {
            let moved = match outcomes.next() {
                Some(Ok(moved)) => Some(moved),
                Some(Err(_)) | None => match self.move_one(cx, &one)? {
                    Moved::Done(moved) => Some(*moved),
                    Moved::TooLarge => {
                        self.split(cx, &one)?;
                        None
                    }
                    Moved::Refused => None,
                },
            };
            if let Some(moved) = moved {
                self.moved(cx, &one, moved)?;
            }
        }
        match self.moves.list.is_empty() {
            true => Ok(()),
            false => self.carry_out(cx),
        }
    }

    /// Moves one, or finds that it was moved by a call whose answer was lost.
    fn move_one(&self, cx: &Context<'a>, one: &Move) -> Result<Moved> {
        let api = self.renames.api;
        let (from, to) = &one.paths;
        let mut has_waited = false;
        loop {
            let error = match api.relocate(Relocation::Move, from, to) {
                Ok(Ok(moved)) => return Ok(Moved::Done(Box::new(moved))),
                Ok(Err(error)) => error,
                Err(CallError::End(error)) => return Err(error),
                Err(error) => {
                    log::debug!("{from:?}: {error:?}");
                    ApiError::default()
                }
            };
            if error.has("too_many_files") && one.is_folder && one.entries > 1 {
                return Ok(Moved::TooLarge);
            }
            let path = printable(&one.display_path);
            log::debug!("{path}: not moved as one: {}", error.text());
            match (api.metadata(from), api.metadata(to)) {
                (Err(CallError::End(error)), _) | (_, Err(CallError::End(error))) => {
                    return Err(error);
                }
                (Ok(None), Ok(Some(there))) if self.is_it(cx, one, &there)? => {
                    return Ok(Moved::Done(Box::new(there)));
                }
                // Not all parts of Dropbox may know yet what was written just now.
                (Ok(Some(_)), _) if error.has("from_lookup") && !has_waited => {
                    has_waited = true;
                    cx.env.deadline.sleep(LAG_TIME)?;
                }
                _ => return Ok(Moved::Refused),
            }
        }
    }

    /// Whether what Dropbox has under the new name is what it had under the old one.
    fn is_it(&self, cx: &Context<'a>, one: &Move, there: &Metadata) -> Result<bool> {
        match (there, one.is_folder) {
            (Metadata::Folder(_), true) => {
                let (api, listed) = (self.renames.api, &one.paths.1);
                let (to, from) = (&one.to, &one.from);
                are_as_listed(cx, api, listed, to, from, one.entries - 1)
            }
            (Metadata::File(file), false) => {
                let row = cx.env.index.row(&one.from)?;
                let base = row.as_ref().and_then(Row::base_file);
                Ok(base.is_some_and(|base| file.hash() == Some(base.hash)))
            }
            _ => Ok(false),
        }
    }

    /// It has its new name in Dropbox: so it has in the index.
    fn moved(&mut self, cx: &mut Context<'a>, one: &Move, moved: Metadata) -> Result<()> {
        cx.committed += 1;
        cx.server_errors = 0;
        self.has_moved = true;
        let (path_lower, file) = match moved {
            Metadata::Folder(folder) if one.is_folder => (folder.path_lower, None),
            Metadata::File(file) if !one.is_folder => (file.path_lower.clone(), Some(file)),
            // What it is the next pass is told.
            _ => return Ok(()),
        };
        let index = cx.env.index;
        let Some(old) = index.row(&one.from)? else {
            return Ok(());
        };
        let mut top = Row::new(one.to.clone(), split(&one.display_path).1);
        let stored = path_lower.as_deref();
        if stored.is_some_and(|stored| !cx.env.remote_root.is_stored_as(&mut top, stored)) {
            let why = "Dropbox has it under another name than was asked for";
            cx.env.report.problem(&one.display_path, Trouble::Name, why);
            return Ok(());
        }
        let files = index.transaction(|| {
            let files = rekey(cx, self.survey, one, &old, &top, Revs::Unknown)?;
            match file {
                None => index.set_meta(Meta::RevsDue, "1")?,
                Some(file) => note_version(cx, &one.to, &old, file)?,
            }
            Ok(files)
        })?;
        tell(cx, one, files)?;
        self.uploads
            .note_folders_above(cx, &one.to, &one.display_path)?;
        cx.flush_settles()
    }
}

/// What becomes of the revs of files in a folder that is moved.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Revs {
    /// They are others, and Dropbox has to tell them.
    Unknown,
    /// It is a plan.
    Kept,
}

/// Inside the open transaction: gives the rows of what was moved their new keys; says how many
/// files they are.
fn rekey(
    cx: &Context<'_>,
    survey: &mut Survey,
    one: &Move,
    old: &Row,
    top: &Row,
    revs: Revs,
) -> Result<u64> {
    let mut files = 0;
    let mut change = |mut row: Row, _| {
        if row.key == one.to {
            row.display_name.clone_from(&top.display_name);
            row.lower.clone_from(&top.lower);
            let is_other = one.local_name != row.display_name;
            row.local = is_other.then(|| one.local_name.clone());
        } else {
            row.lower = lower_below(&row, (&one.from, old), (&one.to, top));
        }
        if let Base::File(base) = &mut row.base {
            files += 1;
            uncount(cx, survey, base);
            if revs == Revs::Unknown {
                base.rev = Rev::default();
            }
        }
        row
    };
    Trees(cx.env.index).rekey(&one.from, &one.to, &mut change)?;
    Ok(files)
}

fn tell(cx: &Context<'_>, one: &Move, files: u64) -> Result<()> {
    cx.tables()?.rekey_gone_folders(&one.from, &one.to)?;
    let (from, path) = (&one.old_path, &one.display_path);
    let report = cx.env.report;
    report.moved(Change::MoveRemote, path, from, one.is_folder, files);
    Ok(())
}

/// Plans what [`Renames::rename_folders_there`] does, in an index of the plan's own.
///
/// # Errors
/// What the index says.
pub(crate) fn plan_folders_there(cx: &Context<'_>, survey: &mut Survey, round: u32) -> Result<()> {
    let index = cx.env.index;
    let mut last: Option<RenamedFolder> = None;
    while let Some(folder) = cx.tables()?.next_renamed_folder(round, last.as_ref())? {
        if let Some(whole) = whole(cx, None, &folder)? {
            let row = whole.row.clone();
            let one = move_of(cx, &folder, whole);
            let top = Row::new(one.to.clone(), split(&one.display_path).1);
            let keep = || rekey(cx, survey, &one, &row, &top, Revs::Kept);
            let files = index.transaction(keep)?;
            tell(cx, &one, files)?;
        }
        last = Some(folder);
    }
    Ok(())
}

fn move_of(cx: &Context<'_>, folder: &RenamedFolder, whole: MovableFolder) -> Move {
    let root = &cx.env.remote_root;
    let display_path = DisplayPath::from(folder.display_path.clone());
    Move {
        from: folder.from.clone(),
        to: folder.key.clone(),
        paths: (root.of_row(&whole.row), root.at(&display_path)),
        old_path: whole.display_path,
        display_path,
        local_name: split(&folder.path).1.to_owned(),
        is_folder: true,
        entries: whole.entries,
    }
}

/// What came of a move.
enum Moved {
    Done(Box<Metadata>),
    /// There is too much in it for one call.
    TooLarge,
    Refused,
}

/// The version that a file has under its new name: another one than was moved, if it was edited
/// there in that moment.
fn note_version(cx: &Context<'_>, key: &Key, old: &Row, file: FileMetadata) -> Result<()> {
    let index = cx.env.index;
    let (Some(mut row), Some(before)) = (index.row(key)?, old.base_file()) else {
        return Ok(());
    };
    if let Base::File(base) = &mut row.base {
        base.rev.clone_from(&before.rev);
    }
    row.set_remote(Remote::File(RemoteFile {
        hash: file.hash(),
        rev: file.rev,
        size: file.size,
        modified: None,
    }));
    index.put(&row)
}

/// The server's own folded path of a row that went along with a folder, where it is not the key.
fn lower_below(row: &Row, from: (&Key, &Row), to: (&Key, &Row)) -> Option<String> {
    let key = row.key.path();
    let rest = below(&key, &to.0.path()).unwrap_or_default();
    let old = row
        .lower
        .clone()
        .unwrap_or_else(|| join(&from.0.path(), rest));
    let rest = below(&old, &from.1.request_path()).unwrap_or(rest);
    let new = join(&to.1.request_path(), rest);
    (new != key).then_some(new)
}

/// Takes back what the walk has counted of a file that it met under its old name, where it is not.
fn uncount(cx: &Context<'_>, survey: &mut Survey, base: &BaseFile) {
    fn less(count: &mut u64) {
        *count = count.saturating_sub(1);
    }
    if cx.keeps_deletes() {
        if cx.deletes() == DeletePolicy::Keep {
            less(&mut survey.skipped.kept);
        }
        return;
    }
    let tally = &mut survey.tally;
    if base.arrived_in_pass <= cx.last_guarded_pass {
        less(&mut tally.base_files);
        less(&mut tally.remote_files);
    } else if base.reappeared {
        less(&mut tally.base_files);
    } else {
        less(&mut tally.arrived.base);
        less(&mut tally.arrived.remote);
    }
}
