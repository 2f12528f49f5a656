//! What an answer to an upload means for its file: settled, a problem, or another version.

use std::io;

use super::queue::SESSION_LEAST;
use super::sent::{Sent, UploadError};
use super::uploads::Uploads;
use crate::core::decide::Direction;
use crate::core::path::join;
use crate::dropbox::retry::CallError;
use crate::dropbox::wire::{FileMetadata, Metadata};
use crate::engine::context::Context;
use crate::engine::item::{Item, Local, Observed};
use crate::engine::remembered::{reason_of, trouble_of};
use crate::engine::remote_root::Location;
use crate::engine::stable_read;
use crate::error::Result;
use crate::index::{DirPath, Reason, Row};
use crate::report::{Change, Details, Trouble, in_brackets, printable};
use crate::timestamp::is_sendable;

/// A file that did not go up, and may in the next pass.
fn tell_left(cx: &mut Context<'_>, item: &Item, trouble: Trouble, text: &str) {
    cx.upload_left = true;
    cx.env.report.problem(&item.display_path, trouble, text);
}

impl<'a> Uploads<'a> {
    /// A file has arrived: it is settled.
    ///
    /// # Errors
    /// What the index says.
    pub(crate) fn uploaded(
        &mut self,
        cx: &mut Context<'a>,
        item: Item,
        sent: Sent,
        read_at_ns: i128,
        more: &str,
    ) -> Result<()> {
        cx.committed += 1;
        cx.server_errors = 0;
        let Some(mut row) = stored_row(cx, &item, &sent.metadata) else {
            return Ok(());
        };
        let details = Details {
            size: Some(sent.stamp.size),
            more,
            ..Details::default()
        };
        cx.env
            .report
            .changed(Change::Upload, &item.display_path, details);
        cx.note_done(&row.key);
        if !is_sendable(sent.stamp.mtime_ns) {
            let text = "it was last modified before 1970 or after 2099";
            let report = cx.env.report;
            report.remark(log::Level::Info, &item.display_path, text);
            self.odd_times += 1;
        }
        if let Some(Some(free)) = &mut cx.room.free {
            *free = free.saturating_sub(sent.stamp.size);
        }
        cx.note_arrival(Direction::Up, sent.hash);
        self.note_folders_above(cx, &row.key, &item.display_path)?;
        if sent.stamp.size > SESSION_LEAST {
            self.forget_session(cx, &row.key)?;
        }
        let rev = sent.metadata.rev;
        let base = cx.file_base(&item, rev, sent.hash, sent.stamp, read_at_ns);
        row.settle(base, &item.name);
        cx.settle(row)
    }

    pub(super) fn not_uploaded(
        &mut self,
        cx: &mut Context<'a>,
        item: Item,
        observed: &Observed,
        failed: UploadError,
    ) -> Result<()> {
        let report = cx.env.report;
        let display_path = &item.display_path;
        match failed {
            UploadError::Call(CallError::End(error)) => return Err(error),
            UploadError::Call(CallError::ServerError(text)) => {
                let text = format!("not uploaded: {text}");
                return cx.note_server_error(self.api, &item, &text);
            }
            UploadError::Call(CallError::Refused(error)) if error.has("insufficient_space") => {
                cx.upload_left = true;
                let text = format!("the Dropbox is full ({})", error.text());
                report.problem(
                    display_path,
                    Trouble::NoRoom,
                    &format!("not uploaded: {text}"),
                );
                cx.remember(&item, Reason::NoRoom, &text);
                cx.room.full = Some((observed.stamp.size, text));
            }
            UploadError::Call(CallError::Refused(error)) if error.is("path/conflict/file") => {
                return self.met_another(cx, item, observed, &error.text());
            }
            UploadError::Call(CallError::Refused(error)) if error.is("path/conflict") => {
                // What has its name may be gone by the second round of this pass.
                cx.needs_second_round = true;
                if cx.is_last_chance(Direction::Up) {
                    report.problem(
                        display_path,
                        Trouble::FileMeetsFolder,
                        &format!("not uploaded: {}", error.text()),
                    );
                }
            }
            UploadError::Call(CallError::Refused(error)) | UploadError::OldSession(error) => {
                let text = format!("not uploaded: {}", error.text());
                report.problem(display_path, trouble_of(&error), &text);
                cx.remember(&item, reason_of(&error), &text);
            }
            UploadError::Call(CallError::Local(error)) | UploadError::Disk(error)
                if error.kind() == io::ErrorKind::NotFound =>
            {
                let why = "it was removed meanwhile";
                cx.defer(&item, why, "it is listed here, but cannot be opened");
            }
            UploadError::Call(CallError::Local(error)) | UploadError::Disk(error) => {
                let text = format!("not uploaded: {error}");
                tell_left(cx, &item, Trouble::of_disk(&error), &text);
            }
            UploadError::KeepsChanging => {
                let text = "not uploaded: the file changes all the time; it is tried again in the \
                            next run";
                tell_left(cx, &item, Trouble::Changing, text);
            }
            UploadError::Damaged(_) => {
                let text = "Dropbox received other bytes than were sent, three times; it is tried \
                            again in the next run";
                tell_left(cx, &item, Trouble::Server, text);
            }
        }
        Ok(())
    }

    /// No listing will ever tell of this file in Dropbox at this item's key. The filters are asked
    /// about the path Dropbox shows: a folder here may differ from it in case.
    fn is_out_of_sight(&self, cx: &Context<'a>, item: &Item, file: &FileMetadata) -> Result<bool> {
        let file_entry = Metadata::File(file.clone());
        let Location::Entry(entry) = cx.env.remote_root.locate(file_entry) else {
            return Ok(true);
        };
        let filter = &cx.env.config.sync.filter;
        let dir = match cx.env.index.dir_path(&entry.key.dir, filter)? {
            DirPath::Open(dir) => dir,
            DirPath::Pruned => return Ok(true),
            DirPath::Unknown => return Ok(false),
        };
        let allows = filter.allows(&format!("/{}", join(&dir, &file.name)));
        Ok(entry.key != item.row.key || !(allows.up || allows.down))
    }

    /// Dropbox has another version than the cursor told of. If it is our own, from an upload whose
    /// answer was lost, it is adopted; else the next pass decides.
    fn met_another(
        &mut self,
        cx: &mut Context<'a>,
        item: Item,
        observed: &Observed,
        cause: &str,
    ) -> Result<()> {
        let path = cx.env.remote_root.at(&item.display_path);
        let found = match self.api.metadata(&path) {
            Err(CallError::ServerError(text)) => {
                let text = format!("not uploaded: {text}");
                return cx.note_server_error(self.api, &item, &text);
            }
            Err(CallError::Refused(error)) => {
                let text = format!("not uploaded: {cause}; {}", error.text());
                cx.env
                    .report
                    .problem(&item.display_path, trouble_of(&error), &text);
                return Ok(());
            }
            found => found.map_err(|error| error.into_error("look at a file"))?,
        };
        let read_at_ns = cx.env.host.now_ns();
        let ours = match (&item.local, item.path()) {
            (Local::File(_), Ok(local)) => {
                stable_read::hash(cx.env.disk, &local, cx.env.deadline).ok()
            }
            _ => None,
        };
        if let Some(Metadata::File(file)) = &found
            && item.row.is_empty()
            && self.is_out_of_sight(cx, &item, file)?
        {
            let text = format!(
                "Dropbox has {} under this name, which the filters leave out or which is spelt so \
                 that it is not taken for the same: rename or exclude one of them",
                printable(&file.name)
            );
            cx.env
                .report
                .problem(&item.display_path, Trouble::Clash, &text);
            return Ok(());
        }
        if let (Some(Metadata::File(metadata)), Some((hash, stamp))) = (found, ours)
            && metadata.hash() == Some(hash)
            && metadata.size == stamp.size
        {
            let more = in_brackets(observed.stamp.size);
            let sent = Sent {
                metadata,
                hash,
                stamp,
            };
            return self.uploaded(cx, item, sent, read_at_ns, &more);
        }
        let cause = format!("Dropbox does not take it ({cause}), and shows no other version");
        let again = cx.defer(&item, "it changed in Dropbox meanwhile", &cause);
        if item.row.is_empty() && !again {
            // It is new there, or the index has lost its row: only a listing tells.
            cx.damaged.insert(item.row.key.clone());
        }
        Ok(())
    }
}

/// The row of an item as Dropbox has stored it; nothing if it is another key's by now.
pub(crate) fn stored_row(cx: &Context<'_>, item: &Item, metadata: &FileMetadata) -> Option<Row> {
    let mut row = item.row.clone();
    if let Some(lower) = &metadata.path_lower
        && !cx.env.remote_root.is_stored_as(&mut row, lower)
    {
        let text = format!("Dropbox stored it under another name ({lower}): rename it");
        cx.env
            .report
            .problem(&item.display_path, Trouble::Name, &text);
        return None;
    }
    row.display_name.clone_from(&metadata.name);
    Some(row)
}
