//! Folders in Dropbox: those that uploads make on their way, and those that must be asked for.

use crate::core::path::{Key, split};
use crate::dropbox::retry::CallError;
use crate::error::Result;
use crate::index::{Base, Remote, Row};
use crate::pass::{Local, Pass, Spot};
use crate::report::Deed;

impl Pass<'_> {
    /// What was uploaded lies in folders, so they exist: their rows must, or a listing that names
    /// one of them as deleted would not reach what is in it.
    pub(crate) fn note_folders_above(&mut self, key: &Key, subject: &str) -> Result<()> {
        let mut shown = split(subject).0;
        let mut above = key.parent();
        while let Some(key) = above {
            if !self.made_by_upload.insert(key.path()) {
                break;
            }
            let row = self.tools.index.row(&key)?;
            let is_known = row
                .as_ref()
                .is_some_and(|r| r.remote_is_folder() || !r.sound);
            if !is_known {
                let mut row = row.unwrap_or_else(|| Row::new(key.clone(), split(shown).1));
                row.see(Remote::Folder);
                self.settle(row)?;
            }
            shown = split(shown).0;
            above = key.parent();
        }
        Ok(())
    }

    /// Makes the folders Dropbox lacks, deepest first, so that one call makes all above it. Those
    /// that uploads lie in exist already.
    pub(crate) fn make_remote_folders(&mut self) -> Result<()> {
        let mut folders = std::mem::take(&mut self.new_folders);
        folders.sort_by_key(|spot| std::cmp::Reverse(spot.row.key.depth()));
        for spot in folders {
            if spot.blocked_up && !self.dry() {
                self.blocked_upload(&spot);
                continue;
            }
            let key = spot.row.key.clone();
            if self.dry() {
                if !self.made_by_upload.contains(&key.path()) {
                    let report = self.tools.report;
                    report.did(Deed::MakeRemoteFolder, &spot.subject, "");
                    self.note_folders_above(&key, &spot.subject)?;
                }
                continue;
            }
            if !self.made_by_upload.contains(&key.path()) {
                match self
                    .tools
                    .api
                    .create_folder(&self.remote_path(&spot.subject))
                {
                    Ok(()) => {
                        self.committed += 1;
                        self.stumbles = 0;
                        self.tools
                            .report
                            .did(Deed::MakeRemoteFolder, &spot.subject, "");
                    }
                    Err(CallError::Refused(error)) if error.is("path/conflict/folder") => {}
                    Err(CallError::Stumbled(text)) => {
                        let text = format!("folder not made in Dropbox: {text}");
                        self.stumbled(&spot.subject, &text)?;
                        continue;
                    }
                    Err(CallError::Refused(error)) => {
                        let text = format!("folder not made in Dropbox: {}", error.text());
                        self.tools.report.problem(&spot.subject, &text);
                        continue;
                    }
                    Err(error) => return Err(error.into_error("make a folder")),
                }
                self.note_folders_above(&key, &spot.subject)?;
            }
            self.settle_folder(spot)?;
        }
        self.flush_settles()
    }

    fn settle_folder(&mut self, spot: Spot) -> Result<()> {
        let mount = matches!(spot.local, Local::Folder { mount: true, .. });
        let mut row: Row = spot.row;
        row.settle(Base::Folder { mount }, &spot.name);
        self.settle(row)
    }
}
