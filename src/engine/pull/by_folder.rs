//! The listing that comes folder by folder, where Dropbox does not give the whole: into the same
//! staging table, from pass to pass until every folder has been listed.
//!
//! It is no view of one moment, and never acted upon alone: a cursor that was taken before it tells
//! what has changed meanwhile.

use log::Level;

use super::pages::Pages;
use crate::core::filter::Filter;
use crate::core::path::join;
use crate::core::remote::{Cursor, RemotePath};
use crate::dropbox::api::{Api, Call, Depth, PageSink};
use crate::dropbox::page::PageEnd;
use crate::dropbox::retry::CallError;
use crate::dropbox::wire::{ApiError, Metadata};
use crate::engine::remote_root::{Location, RemoteRoot, RootState};
use crate::error::{Error, Result};
use crate::index::{FolderWalk, Index, PageMark, Remote, RemoteEntry, StagedFolders};
use crate::report::{Report, counted, printable};

/// LIMIT: folders of one pass, a day of requests; the next one goes on.
const FOLDERS_MAX: u64 = 100_000;
/// Folders after which what is staged is committed, and entries: what a crash costs at most.
const FOLDERS_AT_ONCE: u64 = 100;
const ENTRIES_AT_ONCE: u64 = 2000;
/// How often the listing of a folder may begin anew.
const RESTARTS_MAX: u32 = 3;

/// Lists folder by folder.
pub(super) struct FolderLister<'a> {
    pub(super) api: &'a Api<'a>,
    pub(super) index: &'a Index,
    pub(super) filter: &'a Filter,
    pub(super) remote_root: &'a RemoteRoot,
    pub(super) report: &'a Report,
}

/// How it ended.
pub(super) enum WalkEnd {
    /// All is staged, and what has changed since comes behind this.
    Whole(Cursor),
    /// The remote root is not there as a folder.
    NoRoot(RootState),
}

/// What became of one folder.
enum FolderEnd {
    Listed,
    NoRoot(RootState),
}

/// The folder that is listed.
struct ListedFolder {
    path: RemotePath,
    /// Its key, as one text; empty for the remote root.
    key: String,
    /// As it was staged; nothing for the remote root.
    entry: Option<RemoteEntry>,
}

/// What is staged and not committed yet.
#[derive(Default)]
struct Uncommitted {
    folders: u64,
    entries: u64,
}

impl FolderLister<'_> {
    fn staged(&self) -> StagedFolders<'_> {
        StagedFolders(self.index)
    }

    /// Begins with the remote root, if Dropbox says where changes go on from now on.
    pub(super) fn begin(&self, why: &str, of: &str) -> Result<FolderWalk> {
        let since = match self.api.latest_cursor(self.remote_root.path()) {
            Ok(since) => since,
            Err(CallError::End(error)) => return Err(error),
            Err(error) => {
                // It is no better off with this one.
                log::debug!("no cursor to list folder by folder: {error:?}");
                return Err(Error::TryLater(why.to_owned()));
            }
        };
        let walk = FolderWalk {
            since,
            at: 0,
            next: None,
            has_failed: false,
        };
        self.index.transaction(|| self.staged().begin(&walk, of))?;
        log::warn!(
            "Dropbox does not give the whole listing ({why}): folders are listed one by one, a \
             request for each; a smaller folder in dropbox.remote_root would need less"
        );
        Ok(walk)
    }

    /// Lists what is not listed yet.
    pub(super) fn run(&self, mut walk: FolderWalk) -> Result<WalkEnd> {
        log::info!("listing folder by folder, {} entries so far", walk.at);
        self.index.begin()?;
        let ended = self.list_all(&mut walk);
        match &ended {
            // It goes on from here.
            Ok(WalkEnd::Whole(_)) | Err(Error::TryLater(_) | Error::Authentication(_)) => {
                self.keep(&walk)?;
            }
            Ok(WalkEnd::NoRoot(_)) | Err(_) => self.index.roll_back(),
        }
        ended
    }

    fn keep(&self, walk: &FolderWalk) -> Result<()> {
        self.staged().note(walk)?;
        self.index.commit()
    }

    fn list_all(&self, walk: &mut FolderWalk) -> Result<WalkEnd> {
        let mut listed = 0;
        let mut open = Uncommitted::default();
        loop {
            if let FolderEnd::NoRoot(root) = self.list_one(walk, &mut open)? {
                return Ok(WalkEnd::NoRoot(root));
            }
            listed += 1;
            if !self.go_to_next(walk)? {
                let folders = counted(listed, "folder", "folders");
                log::info!("{folders} listed one by one");
                return Ok(WalkEnd::Whole(walk.since.clone()));
            }
            open.folders += 1;
            self.commit_at_times(walk, &mut open)?;
            if listed >= FOLDERS_MAX {
                return Err(Error::TryLater(
                    "Dropbox has more folders than are listed in one run; the next one goes on \
                     from here"
                        .to_owned(),
                ));
            }
        }
    }

    fn commit_at_times(&self, walk: &FolderWalk, open: &mut Uncommitted) -> Result<()> {
        if open.folders < FOLDERS_AT_ONCE && open.entries < ENTRIES_AT_ONCE {
            return Ok(());
        }
        *open = Uncommitted::default();
        self.keep(walk)?;
        self.index.begin()
    }

    /// Goes on to the next folder that the filters do not prune, if there is one.
    fn go_to_next(&self, walk: &mut FolderWalk) -> Result<bool> {
        let mut place = walk.at;
        while let Some((next, folder)) = self.staged().next(place)? {
            place = next;
            let dir = self.staged().dir_path(&folder.key.dir)?;
            let path = format!("/{}", join(&dir, &folder.display_name));
            // What is told twice is listed once.
            if !self.filter.prunes_folder(&path)
                && !self.staged().is_told_again(&folder.key, next)?
            {
                (walk.at, walk.next) = (next, None);
                walk.has_failed = false;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn folder_of(&self, walk: &FolderWalk) -> Result<ListedFolder> {
        if walk.at == 0 {
            return Ok(ListedFolder {
                path: self.remote_root.path().clone(),
                key: String::new(),
                entry: None,
            });
        }
        let entry = self.staged().at(walk.at)?;
        Ok(ListedFolder {
            path: self.remote_root.of_entry(&entry),
            key: entry.key.path(),
            entry: Some(entry),
        })
    }

    /// Lists what lies in the folder at hand.
    fn list_one(&self, walk: &mut FolderWalk, open: &mut Uncommitted) -> Result<FolderEnd> {
        let folder = self.folder_of(walk)?;
        let (mut pages, mut restarts) = (Pages::default(), 0);
        loop {
            let (entries, answer) = self.page(&folder, walk.next.as_ref())?;
            match answer {
                Ok(end) if !end.has_more => {
                    open.entries += entries;
                    return Ok(FolderEnd::Listed);
                }
                Ok(end) => {
                    let moved = walk.next.as_ref() != Some(&end.cursor);
                    walk.next = Some(end.cursor);
                    open.entries += entries;
                    pages.count(entries, moved)?;
                    self.commit_at_times(walk, open)?;
                }
                Err(CallError::Refused(error))
                    if error.is("path/not_found") || error.is("path/not_folder") =>
                {
                    if let Some(ended) = self.not_there(&folder, &error)? {
                        return Ok(ended);
                    }
                    restarts += 1;
                    walk.next = None;
                }
                Err(CallError::Refused(error)) if walk.next.is_some() => {
                    log::debug!("{}: {}", folder.key, error.text());
                    restarts += 1;
                    walk.next = None;
                }
                Err(CallError::Refused(error)) => {
                    walk.has_failed = true;
                    let (path, text) = (printable(&folder.key), error.text());
                    return Err(Error::TryLater(format!(
                        "Dropbox refused to list the folder /{path}: {text}"
                    )));
                }
                Err(CallError::ServerError(text)) => {
                    walk.has_failed = true;
                    let path = printable(&folder.key);
                    return Err(Error::TryLater(format!(
                        "Dropbox cannot list the folder /{path}: {text}"
                    )));
                }
                Err(error) => return Err(error.into_error("list a Dropbox folder")),
            }
            if restarts > RESTARTS_MAX {
                let path = printable(&folder.key);
                return Err(Error::TryLater(format!(
                    "Dropbox does not come to an end with the folder /{path}; try later"
                )));
            }
        }
    }

    /// One page of the folder, staged if it is whole.
    fn page(&self, folder: &ListedFolder, next: Option<&Cursor>) -> Result<(u64, Call<PageEnd>)> {
        let mut sink = FolderSink {
            lister: self,
            dir: &folder.key,
            mark: None,
            entries: 0,
        };
        let answer = match next {
            Some(cursor) => self.api.list_folder_continue(cursor, &mut sink),
            None => self
                .api
                .list_folder(&folder.path, Depth::OneFolder, &mut sink),
        };
        match (&answer, sink.mark.take()) {
            (Ok(_), Some(_)) => self.staged().keep_page()?,
            (Err(failed), Some(mark)) => match (self.staged().undo_page(mark), failed) {
                // A full disk undoes the whole, and has the better reason.
                (Ok(()), _) | (Err(_), CallError::End(_)) => {}
                (Err(error), _) => return Err(error),
            },
            (_, None) => {}
        }
        Ok((sink.entries, answer))
    }

    /// A folder that was told of cannot be listed. What took it away comes behind the cursor; it is
    /// asked for by itself, so that no folder counts as empty that is only not shown.
    fn not_there(&self, folder: &ListedFolder, error: &ApiError) -> Result<Option<FolderEnd>> {
        let Some(entry) = &folder.entry else {
            let is_file = error.is("path/not_folder");
            return Ok(Some(FolderEnd::NoRoot(match is_file {
                true => RootState::IsFile,
                false => RootState::Missing,
            })));
        };
        let found = self.api.metadata(&folder.path);
        let remote = match found.map_err(|error| error.into_error("look at a Dropbox folder"))? {
            None => Remote::Gone,
            Some(Metadata::Folder(_)) => return Ok(None),
            Some(found) => match self.remote_root.locate(found) {
                Location::Entry(now) if now.key == entry.key => now.remote,
                _ => return Ok(None),
            },
        };
        self.index.stage(&RemoteEntry {
            remote,
            ..entry.clone()
        })?;
        Ok(Some(FolderEnd::Listed))
    }
}

/// Writes the entries of one page into the open transaction.
struct FolderSink<'a> {
    lister: &'a FolderLister<'a>,
    dir: &'a str,
    mark: Option<PageMark>,
    entries: u64,
}

impl PageSink for FolderSink<'_> {
    fn restart(&mut self) -> Result<()> {
        let staged = self.lister.staged();
        if let Some(mark) = self.mark.take() {
            staged.undo_page(mark)?;
        }
        self.entries = 0;
        self.mark = Some(staged.mark_page()?);
        Ok(())
    }

    fn entry(&mut self, entry: Metadata) -> Result<()> {
        self.entries += 1;
        match self.lister.remote_root.locate(entry) {
            // Only what lies in the folder itself: nothing else would ever come to an end.
            Location::Entry(entry) if entry.key.dir == self.dir => self.lister.index.stage(&entry),
            Location::Impossible { start, why } => {
                let text = format!("Dropbox lists it, and it is left alone: {why}");
                let report = self.lister.report;
                report.remark(Level::Warn, &format!("/{start}"), &text);
                self.lister.index.note_unmanaged()
            }
            Location::Entry(_) | Location::Root(_) | Location::Elsewhere => Ok(()),
        }
    }
}
