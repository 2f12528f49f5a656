//! The first step of a pass: what Dropbox tells, written into the index, then the cursor file.
//!
//! The cursor never runs ahead of the index: a page is committed first. A full listing is staged,
//! resumes where it was interrupted, and causes nothing before its last page has arrived.

mod by_folder;
mod pages;

use std::cell::Cell;

use by_folder::{FolderLister, WalkEnd};
use log::Level;
pub use pages::PAGES_MAX;
use pages::Pages;

use crate::core::filter::Filter;
use crate::core::remote::Cursor;
use crate::dropbox::api::{Api, Call, Depth, PageSink};
use crate::dropbox::page::PageEnd;
use crate::dropbox::retry::CallError;
use crate::dropbox::tokens::Credential;
use crate::dropbox::wire::Metadata;
use crate::engine::cursor::CursorFile;
use crate::engine::remote_root::{Location, RemoteRoot, RootState};
use crate::error::{Error, Result};
use crate::index::{
    FolderWalk, HELD_MAX, HeldPage, Index, Meta, RemoteEntry, StagedFolders, SyncIdentity,
};
use crate::report::{Live, Report};

/// Reads what Dropbox tells.
pub struct Puller<'a> {
    /// The API.
    pub api: &'a Api<'a>,
    /// Where it is written down.
    pub index: &'a Index,
    /// Where the cursor is kept.
    pub cursors: &'a CursorFile<'a>,
    /// What may become a row.
    pub filter: &'a Filter,
    /// The Dropbox folder.
    pub remote_root: &'a RemoteRoot,
    /// What cursors belong to.
    pub identity: &'a SyncIdentity,
    /// Hash of the personal access token, if one is used: it does not say which app it is of.
    pub personal_token: Option<&'a str>,
    /// What people are told.
    pub report: &'a Report,
    /// The last page, if it waits for what is done about it.
    pub last_page: Cell<Option<LastPage>>,
}

/// A page that is not yet in the index for good.
pub struct LastPage {
    page: HeldPage,
    /// The cursor behind it, and how many entries it has.
    cursor: Cursor,
    entries: u64,
}

/// How listening ended.
enum Listened {
    UpToDate,
    /// Dropbox asks to start over.
    Reset,
    /// The cursor is for another app or account, or none at all.
    NoCursor,
    /// What was told does not fit what is known: how a folder is spelt, or a row that is damaged.
    Incomplete,
    /// The remote root is not there as a folder.
    NoRoot(RootState),
    /// Dropbox does not tell what has changed, for this reason.
    Mute(String),
}

/// Passes in a row without changes told after which everything is listed again; twice as many the
/// next time, up to a bound.
const MUTE_PASSES: u32 = 3;
const MUTE_PASSES_MAX: u32 = 192;

impl Puller<'_> {
    /// Brings the index up to date, from the stored cursor if it still counts.
    ///
    /// # Errors
    /// Whatever ends the pass. The index holds complete pages only.
    pub fn run(&self) -> Result<RootState> {
        self.report.live().into_iter().for_each(Live::asks);
        // Changes that were read in a pass that broke off tell the revs no more.
        let relist = self.index.meta(Meta::RelistDue)?.is_some()
            || self.index.meta(Meta::RevsDue)?.is_some();
        let cursor = self
            .cursors
            .load(self.index, self.identity)?
            .filter(|_| !relist);
        match cursor.map(|cursor| self.listen(cursor)).transpose()? {
            Some(Listened::UpToDate) => {
                self.note_told()?;
                // Dropbox takes the old cursor: the token is of the same app.
                self.note_token()?;
                return Ok(RootState::Listed);
            }
            Some(Listened::NoRoot(root)) => return Ok(root),
            Some(Listened::Reset) => {
                self.check_account()?;
                log::info!("Dropbox asks to start over: listing everything again");
                self.index
                    .transaction(|| self.index.set_meta(Meta::ResetDue, "1"))?;
            }
            Some(Listened::NoCursor) => {
                self.check_account()?;
                log::info!("Dropbox does not accept the cursor: listing everything again");
            }
            Some(Listened::Mute(text)) => {
                if !self.is_mute_for_good()? {
                    return Err(Error::TryLater(format!(
                        "{text}; nothing is done until Dropbox tells what has changed"
                    )));
                }
                log::warn!("Dropbox does not tell what has changed: listing everything again");
            }
            Some(Listened::Incomplete) => {
                log::info!("the changes do not fit what is known: listing everything again");
            }
            None => {}
        }
        if self.token_is_new()? && self.index.has_base()? {
            // It may be of another app, which sees another folder: what that lacks is not deleted.
            log::info!("another personal access token: starting over, nothing is deleted");
            let was_due = self.index.meta(Meta::ResetDue)?.is_some();
            self.index.transaction(|| {
                self.index.clear()?;
                self.index.set_identity(self.identity)?;
                // This is no reset of Dropbox's.
                if was_due {
                    Ok(())
                } else {
                    self.index.clear_meta(Meta::ResetDue)
                }
            })?;
        }
        let root = self.list_all()?;
        self.note_token()?;
        Ok(root)
    }

    /// One more pass in which Dropbox does not tell what has changed. Where it answers nothing else
    /// either, it is an outage, and a listing would not come.
    fn is_mute_for_good(&self) -> Result<bool> {
        if !self.api.is_reachable() {
            return Ok(false);
        }
        let known = self.index.meta(Meta::ChangesFailed)?;
        let known = known.as_deref().and_then(|text| text.split_once(" of "));
        let known = known.and_then(|(n, max)| Some((n.parse().ok()?, max.parse().ok()?)));
        let (passes, max): (u32, u32) = known.unwrap_or((0, MUTE_PASSES));
        let is_over = passes.saturating_add(1) >= max;
        let next = match is_over {
            true => (0, max.saturating_mul(2).clamp(MUTE_PASSES, MUTE_PASSES_MAX)),
            false => (passes + 1, max),
        };
        let text = format!("{} of {}", next.0, next.1);
        self.index
            .transaction(|| self.index.set_meta(Meta::ChangesFailed, &text))?;
        Ok(is_over)
    }

    /// Dropbox has told what has changed.
    fn note_told(&self) -> Result<()> {
        match self.index.meta(Meta::ChangesFailed)? {
            None => Ok(()),
            Some(_) => self
                .index
                .transaction(|| self.index.clear_meta(Meta::ChangesFailed)),
        }
    }

    /// Asks whose account the token opens: a cursor of our own is of our account, and nothing else
    /// says that a whole listing is of the same files. Only what has a base can be deleted by one.
    ///
    /// # Errors
    /// [`Error::Halt`] if it is another account; what Dropbox says.
    fn check_account(&self) -> Result<()> {
        if !self.index.has_base()? {
            return Ok(());
        }
        let opened = self.api.current_account();
        let opened = opened.map_err(|error| error.into_error("show the account"))?;
        if opened.account_id == self.identity.account_id {
            return Ok(());
        }
        let access = self.api.access();
        access.forget();
        let remedy = match access.credential() {
            Credential::Personal(_) => {
                "remove personal-account.json from the state directory, so that the next run asks \
                 whose it is"
                    .to_owned()
            }
            Credential::Refresh { .. } => format!(
                "it is dropped, and the next run gets a new one; if this comes again, run: {}",
                access.invocation().command("startAuthentication")
            ),
        };
        Err(Error::Halt(format!(
            "Dropbox does not know how far this account was read, and the access token opens \
             another one than it is kept for; nothing was changed: {remedy}"
        )))
    }

    fn merge_staged(&self) -> Result<()> {
        let tell_homeless = |path: &str| {
            let text = "Dropbox lists it without its folder, so that it is not known whether the \
                        filters let it through: it is left alone";
            self.report.remark(Level::Warn, path, text);
        };
        self.index.merge_staged(self.filter, &tell_homeless)
    }

    fn token_is_new(&self) -> Result<bool> {
        let known = self.index.meta(Meta::PersonalToken)?;
        Ok(self.personal_token.is_some() && known.as_deref() != self.personal_token)
    }

    fn note_token(&self) -> Result<()> {
        match self.personal_token {
            Some(token) if self.token_is_new()? => self
                .index
                .transaction(|| self.index.set_meta(Meta::PersonalToken, token)),
            _ => Ok(()),
        }
    }

    /// Follows the stored cursor once more, to read the echo of our own changes.
    ///
    /// # Errors
    /// Whatever ends the pass.
    pub fn drain(&self) -> Result<()> {
        self.settle()?;
        if let Some(cursor) = self.cursors.load(self.index, self.identity)?
            && let Listened::Mute(text) = self.listen(cursor)?
        {
            return Err(Error::TryLater(text));
        }
        Ok(())
    }

    /// Makes sure that the last page is in the index, then stores the cursor behind it.
    ///
    /// # Errors
    /// What the disk or the index says; that the page was undone with something that could be done
    /// without, so that the pass has not seen all of it.
    pub fn settle(&self) -> Result<()> {
        let Some(LastPage {
            page,
            cursor,
            entries,
        }) = self.last_page.take()
        else {
            return Ok(());
        };
        if !page.settle(self.index)? {
            return Err(Error::Failed(
                "index: what Dropbox told could not be kept; the next run is told again".to_owned(),
            ));
        }
        self.cursors
            .advance(&cursor, entries, self.index, self.identity)
    }

    fn listen(&self, mut cursor: Cursor) -> Result<Listened> {
        let mut pages = Pages::default();
        // Of what is stored.
        let mut is_ahead = false;
        loop {
            let mut sink = IndexSink::new(self, Purpose::Apply);
            let end = match self.api.list_folder_continue(&cursor, &mut sink) {
                Ok(end) => end,
                Err(CallError::ServerError(text)) => {
                    self.index.roll_back();
                    return Ok(Listened::Mute(text));
                }
                Err(error) => {
                    self.index.roll_back();
                    return refused(error, Asked::WithCursor);
                }
            };
            if sink.root_was_gone && sink.root_is.is_none() {
                // The folder is another one of the same name: what was known of it is void.
                self.index.roll_back();
                return Ok(Listened::NoCursor);
            }
            let is_last = sink.root_is.is_none() && !end.has_more;
            let may_wait = is_last && (1..=HELD_MAX).contains(&sink.entries);
            let is_incomplete = sink.entries > 0 && self.index.meta(Meta::RelistDue)?.is_some();
            if may_wait
                && !is_incomplete
                && let Some(page) = HeldPage::of(self.index)?
            {
                self.last_page.set(Some(LastPage {
                    page,
                    cursor: end.cursor,
                    entries: sink.entries,
                }));
                return Ok(Listened::UpToDate);
            }
            self.index.commit()?;
            if let Some(root) = sink.root_is {
                return Ok(Listened::NoRoot(root));
            }
            if is_incomplete {
                return Ok(Listened::Incomplete);
            }
            let moved = end.cursor != cursor;
            // Many pages without entries are not read again by the next pass.
            is_ahead |= moved && end.has_more;
            cursor = end.cursor;
            if sink.entries > 0 || (is_ahead && !end.has_more) {
                self.cursors
                    .advance(&cursor, sink.entries, self.index, self.identity)?;
                is_ahead = false;
            }
            if !end.has_more {
                return Ok(Listened::UpToDate);
            }
            if let Err(error) = pages.count(sink.entries, moved) {
                // What is promised lies behind these pages: the next pass goes on from here.
                self.cursors.store(&cursor, self.index, self.identity)?;
                return Err(error);
            }
        }
    }

    fn list_all(&self) -> Result<RootState> {
        // Until the listing is complete no cursor counts, whatever the commit counter comes to.
        if self.index.meta(Meta::RelistDue)?.is_none() {
            self.index
                .transaction(|| self.index.set_meta(Meta::RelistDue, "1"))?;
        }
        // Half a listing of another folder, account or filter is of no use.
        let of = self.index.meta(Meta::StagingOf)?;
        let is_ours = of.as_deref() == Some(self.identity.text().as_str());
        let walk = StagedFolders(self.index).walk()?;
        let mut walk = if is_ours { walk } else { None };
        // Where a folder is not listed either, the whole may be by now, and is asked for first.
        if let Some(walk) = walk.take_if(|walk| !walk.has_failed) {
            return self.list_by_folder(walk);
        }
        let cursor = self.index.meta(Meta::StagingCursor)?.filter(|_| is_ours);
        let mut cursor = cursor.map(Cursor::from);
        let (mut pages, mut resets) = (Pages::default(), 0);
        loop {
            let mut sink = IndexSink::new(self, Purpose::Stage);
            let end = match self.stage_page(cursor.as_ref(), &mut sink) {
                Ok(end) => end,
                Err(CallError::ServerError(text)) => {
                    self.index.roll_back();
                    return self.list_by_folder(match walk {
                        Some(walk) => walk,
                        None => self.by_folder().begin(&text, &self.identity.text())?,
                    });
                }
                Err(error) => {
                    self.index.roll_back();
                    let asked = match cursor {
                        Some(_) => Asked::WithCursor,
                        None => Asked::FromTheStart,
                    };
                    match refused(error, asked)? {
                        Listened::Reset | Listened::NoCursor if resets < 3 && cursor.is_some() => {
                            self.check_account()?;
                            resets += 1;
                            cursor = None;
                            continue;
                        }
                        Listened::NoRoot(root) => return Ok(root),
                        Listened::Reset
                        | Listened::NoCursor
                        | Listened::Incomplete
                        | Listened::Mute(_)
                        | Listened::UpToDate => return Err(again_and_again()),
                    }
                }
            };
            if let Some(root) = sink.root_is {
                self.index.roll_back();
                return Ok(root);
            }
            if end.has_more {
                self.index
                    .note_staging(end.cursor.as_str(), &self.identity.text())?;
                self.index.commit()?;
                pages.count(sink.entries, cursor.as_ref() != Some(&end.cursor))?;
                // What was listed folder by folder is void.
                (cursor, walk) = (Some(end.cursor), None);
            } else {
                self.take_over(&end.cursor)?;
                return Ok(RootState::Listed);
            }
        }
    }

    /// The next page of a full listing.
    fn stage_page(&self, cursor: Option<&Cursor>, sink: &mut IndexSink<'_>) -> Call<PageEnd> {
        match cursor {
            Some(cursor) => self.api.list_folder_continue(cursor, sink),
            None => {
                sink.starts_over = true;
                let path = self.remote_root.path();
                self.api.list_folder(path, Depth::Everything, sink)
            }
        }
    }

    /// The listing is complete: it counts, inside the open transaction, and the cursor after it.
    fn take_over(&self, cursor: &Cursor) -> Result<()> {
        if let Err(error) = self.check_account() {
            self.index.roll_back();
            return Err(error);
        }
        self.merge_staged()?;
        self.index.set_identity(self.identity)?;
        self.index.commit()?;
        self.cursors.store(cursor, self.index, self.identity)
    }

    fn by_folder(&self) -> FolderLister<'_> {
        FolderLister {
            api: self.api,
            index: self.index,
            filter: self.filter,
            remote_root: self.remote_root,
            report: self.report,
        }
    }

    /// Lists folder by folder to the end, and takes in what has changed since it began: before
    /// that, what was moved meanwhile would look deleted.
    fn list_by_folder(&self, walk: FolderWalk) -> Result<RootState> {
        let since = match self.by_folder().run(walk)? {
            WalkEnd::Whole(since) => since,
            WalkEnd::NoRoot(root) => return Ok(root),
        };
        self.index.begin()?;
        self.take_over(&since)?;
        match self.listen(since)? {
            Listened::UpToDate => Ok(RootState::Listed),
            Listened::NoRoot(root) => Ok(root),
            // The next pass asks behind the same cursor.
            Listened::Mute(text) => Err(Error::TryLater(format!(
                "{text}; all folders are listed, and nothing is done about them until Dropbox \
                 tells what has changed meanwhile"
            ))),
            ended @ (Listened::Reset | Listened::NoCursor | Listened::Incomplete) => {
                let is_reset = matches!(ended, Listened::Reset);
                self.index.transaction(|| {
                    if is_reset {
                        self.index.set_meta(Meta::ResetDue, "1")?;
                    }
                    self.index.set_meta(Meta::RelistDue, "1")
                })?;
                Err(again_and_again())
            }
        }
    }
}

fn again_and_again() -> Error {
    Error::TryLater("Dropbox keeps asking to list again from the start; try later".to_owned())
}

/// What a listing was asked with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    WithCursor,
    FromTheStart,
}

fn refused(error: CallError, asked: Asked) -> Result<Listened> {
    match error {
        CallError::Refused(error) if error.is("reset") => Ok(Listened::Reset),
        // 400: the cursor is for another app or account, or is no cursor at all.
        CallError::Refused(error) if error.is("http_400") && asked == Asked::WithCursor => {
            log::debug!("{}", error.text());
            Ok(Listened::NoCursor)
        }
        CallError::Refused(error) if error.is("path/not_found") => {
            Ok(Listened::NoRoot(RootState::Missing))
        }
        CallError::Refused(error) if error.is("path/not_folder") => {
            Ok(Listened::NoRoot(RootState::IsFile))
        }
        error => Err(error.into_error("list the Dropbox folder")),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Apply,
    Stage,
}

/// Writes the entries of one page into the open transaction.
struct IndexSink<'a> {
    index: &'a Index,
    filter: &'a Filter,
    remote_root: &'a RemoteRoot,
    report: &'a Report,
    purpose: Purpose,
    /// What an unfinished listing left is thrown away.
    starts_over: bool,
    entries: u64,
    /// The remote root was gone for a moment.
    root_was_gone: bool,
    /// What became of the remote root, if it is no folder any more.
    root_is: Option<RootState>,
}

impl<'a> IndexSink<'a> {
    fn new(puller: &Puller<'a>, purpose: Purpose) -> IndexSink<'a> {
        IndexSink {
            index: puller.index,
            filter: puller.filter,
            remote_root: puller.remote_root,
            report: puller.report,
            purpose,
            starts_over: false,
            entries: 0,
            root_was_gone: false,
            root_is: None,
        }
    }

    /// The entry, if it lies below the remote root and can be synced at all.
    fn relative(&mut self, entry: Metadata) -> Result<Option<RemoteEntry>> {
        Ok(match self.remote_root.locate(entry) {
            Location::Entry(entry) => Some(*entry),
            Location::Root(is) => {
                self.root_was_gone |= is != RootState::Listed;
                self.root_is = Some(is).filter(|is| *is != RootState::Listed);
                None
            }
            Location::Impossible { start, why } => {
                let text = format!("Dropbox lists it, and it is left alone: {why}");
                self.report.remark(Level::Warn, &format!("/{start}"), &text);
                self.index.note_unmanaged()?;
                None
            }
            Location::Elsewhere => None,
        })
    }
}

impl PageSink for IndexSink<'_> {
    fn restart(&mut self) -> Result<()> {
        self.index.roll_back();
        self.entries = 0;
        self.root_is = None;
        self.root_was_gone = false;
        self.index.begin()?;
        if self.starts_over {
            self.index.unstage()
        } else {
            Ok(())
        }
    }

    fn entry(&mut self, entry: Metadata) -> Result<()> {
        self.entries += 1;
        self.report.live().into_iter().for_each(Live::listed);
        let Some(entry) = self.relative(entry)? else {
            return Ok(());
        };
        match self.purpose {
            Purpose::Apply => self.index.apply(&entry, self.filter).map(drop),
            Purpose::Stage => self.index.stage(&entry),
        }
    }
}
