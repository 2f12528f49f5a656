//! Files that were only renamed here are renamed in Dropbox: no byte travels, no room is needed,
//! and the file keeps its id, its shared links and its history.
//!
//! A new file is paired with one that is gone here and that Dropbox still holds as the base says,
//! if their contents are equal. What Dropbox does not move it copies; what it does not copy goes up
//! like any other file, and the old name waits for it ([`super::halves`]).

use super::pairs::{LookFor, Origin, Renamed, is_new};
use super::renames::Renames;
use crate::core::remote::RemotePath;
use crate::dropbox::batch::{Outcome, Relocation};
use crate::dropbox::retry::{CallError, LAG_TIME};
use crate::dropbox::wire::{ApiError, FileMetadata, Metadata, WriteMode};
use crate::engine::context::Context;
use crate::engine::item::{Item, is_same_file};
use crate::engine::upload::Uploads;
use crate::engine::upload::queue::PendingUpload;
use crate::engine::upload::sent::Sent;
use crate::engine::upload::settled::stored_row;
use crate::error::Result;
use crate::index::{Base, Remote, RemoteFile};
use crate::report::{Change, Details, in_brackets, printable};

/// Renames that are looked for and asked for together: each is two names, and two items.
const RENAMED_AT_ONCE: usize = 200;
impl<'a> Renames<'a> {
    /// Renames in Dropbox what waits in the queue and was only renamed here; the rest stays there.
    ///
    /// # Errors
    /// Whatever ends the pass.
    pub(crate) fn rename_there(
        &mut self,
        cx: &mut Context<'a>,
        uploads: &mut Uploads<'a>,
        gone: LookFor<'_>,
    ) -> Result<()> {
        if !cx.had_base || !uploads.queue.files.iter().any(is_new) {
            return Ok(());
        }
        cx.flush_settles()?;
        let mut files = std::mem::take(&mut uploads.queue.files);
        self.gone_here.look_for(cx, &mut files, gone)?;
        let mut files = files.into_iter();
        loop {
            let some: Vec<_> = files.by_ref().take(RENAMED_AT_ONCE).collect();
            if some.is_empty() {
                return Ok(());
            }
            self.rename_some(cx, uploads, some)?;
        }
    }

    fn rename_some(
        &mut self,
        cx: &mut Context<'a>,
        uploads: &mut Uploads<'a>,
        files: Vec<PendingUpload>,
    ) -> Result<()> {
        let (renamed, left) = self.gone_here.pairs(cx, files)?;
        uploads.queue.files.extend(left);
        // Copies first: they need the name that a move gives up.
        let (copies, moves): (Vec<_>, Vec<_>) =
            renamed.into_iter().partition(|renamed| !renamed.is_move());
        let refused = self.relocate(cx, uploads, vec![copies, moves])?;
        // What is not moved may be copied; the old name goes at the end of the pass.
        let again = refused.into_iter().filter_map(|mut renamed| {
            if renamed.is_move() {
                renamed.origin.relocation = Relocation::Copy;
                return Some(renamed);
            }
            uploads.queue.files.push(renamed.file);
            None
        });
        let again: Vec<Renamed> = again.collect();
        for renamed in self.relocate(cx, uploads, vec![again])? {
            cx.tables()?.take_gone_here(renamed.origin.id, false)?;
            uploads.queue.files.push(renamed.file);
        }
        cx.flush_settles()
    }

    /// Moves and copies, list by list; what Dropbox refused comes back.
    fn relocate(
        &mut self,
        cx: &mut Context<'a>,
        uploads: &mut Uploads<'a>,
        lists: Vec<Vec<Renamed>>,
    ) -> Result<Vec<Renamed>> {
        let mut refused = Vec::new();
        for list in lists.into_iter().filter(|list| !list.is_empty()) {
            let outcomes = self.relocate_all(cx, &list)?;
            for (renamed, outcome) in list.into_iter().zip(outcomes) {
                match outcome {
                    Ok(file) => self.relocated(cx, uploads, renamed, file)?,
                    Err(error) => {
                        let path = printable(&renamed.file.item.display_path);
                        log::debug!(
                            "{path}: not {}: {}",
                            renamed.origin.relocation.done(),
                            error.text()
                        );
                        refused.push(renamed);
                    }
                }
            }
        }
        Ok(refused)
    }

    fn relocate_all(
        &self,
        cx: &Context<'a>,
        list: &[Renamed],
    ) -> Result<Vec<Outcome<FileMetadata>>> {
        let Some(relocation) = list.first().map(|renamed| renamed.origin.relocation) else {
            return Ok(Vec::new());
        };
        let pairs: Vec<_> = list.iter().map(|renamed| renamed.paths(cx)).collect();
        let mut outcomes = Vec::with_capacity(pairs.len());
        if pairs.len() > 1 {
            match self.api.relocate_files(relocation, &pairs) {
                Ok(all) => outcomes = all,
                Err(CallError::End(error)) => return Err(error),
                Err(error) => log::debug!("{} one by one: {error:?}", relocation.done()),
            }
        }
        let mut fails = false;
        for (at, (from, to)) in pairs.iter().enumerate() {
            match outcomes.get(at) {
                // One batch makes only one copy of a file.
                Some(Err(error)) if error.is("relocation_error/duplicated_or_nested_paths") => {}
                Some(_) => continue,
                None => {}
            }
            // They go up like any other file, and so do all that follow one it cannot answer for.
            let mut outcome = Err(ApiError::default());
            if !fails {
                match self.api.relocate_file(relocation, from, to) {
                    Ok(answer) => outcome = answer,
                    Err(CallError::End(error)) => return Err(error),
                    Err(error) => fails = matches!(error, CallError::ServerError(_)),
                }
            }
            match outcomes.get_mut(at) {
                Some(refused) => *refused = outcome,
                None => outcomes.push(outcome),
            }
        }
        self.look_for_old_names(cx, list, &pairs, &mut outcomes)?;
        for ((renamed, (from, to)), outcome) in list.iter().zip(&pairs).zip(&mut outcomes) {
            // It was done by a call whose answer was lost.
            if let Err(error) = outcome
                && (error.has("from_lookup") || error.has("conflict"))
                && renamed.is_move()
                && let Ok(None) = self.api.metadata(from)
                && let Ok(Some(Metadata::File(file))) = self.api.metadata(to)
                && file.hash() == Some(renamed.origin.hash)
            {
                *outcome = Ok(file);
            }
        }
        Ok(outcomes)
    }

    /// An old name that Dropbox does not find may be one that it does not know everywhere yet: what
    /// is there after a while is asked for once more.
    fn look_for_old_names(
        &self,
        cx: &Context<'a>,
        list: &[Renamed],
        pairs: &[(RemotePath, RemotePath)],
        outcomes: &mut [Outcome<FileMetadata>],
    ) -> Result<()> {
        let mut has_waited = false;
        for ((renamed, (from, to)), outcome) in list.iter().zip(pairs).zip(outcomes) {
            let is_missed = |error: &ApiError| error.has("from_lookup") && error.has("not_found");
            let Some(base) = renamed.origin.old.row.base_file() else {
                continue;
            };
            if !outcome.as_ref().is_err_and(is_missed) {
                continue;
            }
            if !has_waited {
                cx.env.deadline.sleep(LAG_TIME)?;
                has_waited = true;
            }
            match self.api.metadata(from) {
                Ok(Some(Metadata::File(file))) if file.rev == base.rev => {}
                Err(CallError::End(error)) => return Err(error),
                _ => continue,
            }
            match self.api.relocate_file(renamed.origin.relocation, from, to) {
                Ok(again) => *outcome = again,
                Err(CallError::End(error)) => return Err(error),
                Err(error) => log::debug!("{from:?}: {error:?}"),
            }
        }
        Ok(())
    }

    /// What was moved or copied is settled under its new name.
    fn relocated(
        &mut self,
        cx: &mut Context<'a>,
        uploads: &mut Uploads<'a>,
        renamed: Renamed,
        metadata: FileMetadata,
    ) -> Result<()> {
        if renamed.is_move() {
            return moved(cx, uploads, renamed, metadata);
        }
        let Renamed { mut file, origin } = renamed;
        let Origin {
            old,
            hash,
            stamp,
            read_at_ns,
            ..
        } = origin;
        if metadata.hash() == Some(hash) {
            let sent = Sent {
                metadata,
                hash,
                stamp,
            };
            let more = format!("{}, copied in Dropbox from {}", file.more, old.display_path);
            return uploads.uploaded(cx, file.item, sent, read_at_ns, &more);
        }
        // Another version was there by then, and is now under this name, too.
        cx.committed += 1;
        file.mode = WriteMode::Update(metadata.rev);
        uploads.queue.files.push(file);
        Ok(())
    }
}

/// It has its new name in Dropbox, and nothing is left under the old one.
fn moved<'a>(
    cx: &mut Context<'a>,
    uploads: &mut Uploads<'a>,
    renamed: Renamed,
    metadata: FileMetadata,
) -> Result<()> {
    let Renamed { file, origin } = renamed;
    let item = file.item;
    let Origin {
        old,
        hash,
        stamp,
        read_at_ns,
        ..
    } = origin;
    cx.committed += 1;
    cx.server_errors = 0;
    let Some(mut row) = stored_row(cx, &item, &metadata) else {
        return forget(cx, old);
    };
    let more = format!("{}, from {}", in_brackets(stamp.size), old.display_path);
    let report = cx.env.report;
    let details = Details {
        size: Some(stamp.size),
        from: Some(&old.display_path),
        more: &more,
        ..Details::default()
    };
    report.changed(Change::MoveRemote, &item.display_path, details);
    uploads.note_folders_above(cx, &row.key, &item.display_path)?;
    let edit = metadata.hash().filter(|seen| *seen != hash);
    let rev = metadata.rev;
    let mut base = cx.file_base(&item, rev.clone(), hash, stamp, read_at_ns);
    if let (Base::File(new), Some(before)) = (&mut base, old.row.base_file()) {
        // It is the same file, and counts as it did under its old name.
        new.arrived_in_pass = before.arrived_in_pass;
        new.reappeared = before.reappeared;
        if is_same_file(&before.stamp, &stamp)
            && let Ok(path) = item.path()
        {
            new.stamp = cx.with_rights(&path, Some(before), stamp);
        }
        if edit.is_some() {
            new.rev = before.rev.clone();
        }
    }
    row.settle(base, &item.name);
    if edit.is_some() {
        // RACE: what was edited in Dropbox between the listing and the move has moved along; the
        // next pass brings it down.
        row.set_remote(Remote::File(RemoteFile {
            rev,
            hash: edit,
            size: metadata.size,
            modified: None,
        }));
    }
    cx.settle(row)?;
    cx.note_done(&item.row.key);
    forget(cx, old)
}

/// Nothing is left under the old name.
fn forget(cx: &mut Context<'_>, old: Item) -> Result<()> {
    let mut row = old.row;
    row.settle(Base::None, &old.name);
    cx.settle(row)
}
