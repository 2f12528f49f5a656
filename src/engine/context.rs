//! What every phase of one pass reads and notes. What a single phase holds, that phase owns.
//!
//! What a phase learns is settled in the index in batches; whatever is not settled when the power
//! fails is simply seen again.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use crate::config::Config;
use crate::core::amounts::as_written;
use crate::core::arrived_content::ArrivedContent;
use crate::core::content_hash::ContentHash;
use crate::core::decide::{DeletePolicy, Direction, Mode, Side};
use crate::core::filter::FilterAllows;
use crate::core::guard::Approvals;
use crate::core::invocation::Invocation;
use crate::core::own_names::Instance;
use crate::core::pace::{DAY_S, Sendings, lines_for};
use crate::core::path::{DisplayPath, Key, RelPath, below};
use crate::core::remote::Rev;
use crate::dropbox::api::Api;
use crate::dropbox::batch::ENTRIES_MAX;
use crate::engine::file_clock::FileClock;
use crate::engine::item::{Delete, Item, Local};
use crate::engine::remembered::Remembered;
use crate::engine::remote_root::RemoteRoot;
use crate::engine::under_way::UnderWay;
use crate::error::{Error, Result};
use crate::index::{Base, BaseFile, HeldState, Index, Meta, PassTables, Reason, Row, SentFiles};
use crate::io::deadline::Deadline;
use crate::io::disk::ReadDisk;
use crate::io::host::Host;
use crate::io::stat::{FolderRights, Kind, Rights, Stamp, Status};
use crate::report::{Report, counted, grouped, printable, size_text};

/// Bytes of a file below which its sendings are not written down unless it has a pace: to come to
/// 100 MB in a day it would have to be sent every four minutes.
const SENDING_LEAST: u64 = 256 << 10;
/// Rows settled in one transaction.
const SETTLES_AT_ONCE: usize = 256;
/// Paths in a row for which Dropbox may have a server error before the step of the pass ends.
const SERVER_ERRORS_MAX: u32 = 10;

/// LIMIT: damaged rows that a pass keeps in mind; the next ones find the others.
const DAMAGED_MAX: usize = 1000;

/// What one pass is to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// The mode of this pass.
    pub mode: Mode,
    /// Changes may be made here.
    pub down: bool,
    /// Changes in Dropbox may be made.
    pub up: bool,
    /// Nothing may be changed: the plan is printed.
    pub dry_run: bool,
    /// Ids a person approved.
    pub approved: Approvals,
    /// Ids whose deletes a person does not want: each path counts as new.
    pub kept: Approvals,
    /// How much time the pass may take.
    pub max_time: Option<Duration>,
}

impl Options {
    /// The whole command that repeats this pass with `words`, such as `--approve ID`. One that went
    /// only one way goes only that way again: another pass would not come to the same halt.
    pub(crate) fn again(&self, invocation: &Invocation, words: &str) -> String {
        let one_way = match (self.down, self.up) {
            (true, false) => " --download-only",
            (false, true) => " --upload-only",
            (true, true) | (false, false) => "",
        };
        invocation.command(&format!("sync{one_way} {words}"))
    }
}

/// What a pass works with. There is nothing in it to change either side with: that is what the
/// phases hold.
pub struct Env<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// Clock and randomness.
    pub host: &'a dyn Host,
    /// The content dir.
    pub disk: &'a dyn ReadDisk,
    /// When the pass is over.
    pub deadline: &'a Deadline<'a>,
    /// What is known.
    pub index: &'a Index,
    /// What people are told.
    pub report: &'a Report,
    /// The Dropbox folder.
    pub remote_root: RemoteRoot,
    /// Keys below the content dir that hold our own configuration and state.
    pub own_keys: Vec<String>,
    /// Whose temporary files we make.
    pub instance: Instance,
    /// The name in conflict copies.
    pub device: String,
    /// So many things of a kind are kept in memory: [`crate::engine::collected::KEPT_MAX`].
    pub kept_max: usize,
}

impl Env<'_> {
    /// So many things are dealt with at a time, once it is their turn.
    pub(crate) fn batch_max(&self) -> usize {
        self.kept_max.saturating_mul(4).min(ENTRIES_MAX)
    }
}

/// When Dropbox is asked again to take what it had no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// Where it says that there is room by now.
    IfItFits,
    /// Now: it was refused a day ago.
    Again,
}

/// What is known of the room that both sides have.
#[derive(Default)]
pub(crate) struct Room {
    /// The disk of the content dir is full, and what it said.
    pub(crate) disk_full: Option<String>,
    /// Dropbox had none for a file of this size, and what it said.
    pub(crate) full: Option<(u64, String)>,
    /// Bytes that are free, once they had to be asked for; nothing if that cannot be told.
    pub(crate) free: Option<Option<u64>>,
}

/// What every phase of one pass reads and notes.
pub struct Context<'a> {
    /// What the pass works with.
    pub env: &'a Env<'a>,
    /// What it is to do.
    pub options: &'a Options,
    /// The index had a base when the pass began.
    pub had_base: bool,
    /// Local files without base are to be uploaded once.
    pub reset_due: bool,
    /// The index is an older copy: what differs from its base need not be an edit.
    pub is_older: bool,
    /// Files that are gone here may be kept in Dropbox since a pass before.
    kept_before: bool,
    /// Number of the last pass that came past its guards. What arrived on a side since then is our
    /// own doing: it does not speak for that side.
    pub last_guarded_pass: u64,
    /// Something arrived since then.
    pub has_arrivals: bool,
    /// How often each content arrived in Dropbox in this pass: such a file was moved, not lost.
    pub arrived_up: ArrivedContent,
    /// The same here.
    pub arrived_down: ArrivedContent,
    /// What is to get to a side in this pass and is not there yet.
    pub(crate) under_way: UnderWay,
    /// Deletes wait for something, as the tables of the pass tell.
    has_held: bool,
    /// What there is no memory for.
    tables: OnceCell<PassTables>,
    /// Whether files with a base were gone in Dropbox when one was first asked for.
    has_gone: OnceCell<bool>,
    /// Something waits for a name that a delete of this pass frees.
    pub needs_second_round: bool,
    /// The second round, after the deletes: what still has no name is a problem.
    pub is_second_round: bool,
    /// Keys of rows that failed their checksum.
    pub damaged: BTreeSet<Key>,
    /// Something could not be looked at, so nothing follows from what was not seen.
    pub view_is_incomplete: bool,
    /// Something did not go up that may in a later pass.
    pub upload_left: bool,
    /// Paths in a row that Dropbox could not answer for.
    pub server_errors: u32,
    /// What room both sides have.
    pub(crate) room: Room,
    /// What could not be done, before and now.
    pub(crate) remembered: Remembered,
    /// Whether stamps can be trusted.
    pub file_clock: FileClock,
    /// Changes made in Dropbox.
    pub committed: u64,
    /// Rows that wait to be settled together.
    settles: Vec<Row>,
    /// What was sent, to be written down with what it settles.
    sendings: Vec<(Key, Sendings)>,
    /// Sendings that nobody asks for any more are forgotten by now.
    has_forgotten_sendings: bool,
    /// Deletes of these directions wait for a person's word.
    halted: BTreeSet<Direction>,
}

impl<'a> Context<'a> {
    /// The context of a pass that has not begun.
    ///
    /// # Errors
    /// What the index says.
    pub fn new(env: &'a Env<'a>, options: &'a Options) -> Result<Context<'a>> {
        let index = env.index;
        let last_guarded_pass = index.meta(Meta::LastGuardedPass)?;
        let lag_s = index.meta(Meta::ClockLag)?;
        Ok(Context {
            env,
            options,
            had_base: index.has_base()?,
            reset_due: index.meta(Meta::ResetDue)?.is_some(),
            is_older: index.meta(Meta::Older)?.is_some(),
            kept_before: index.meta(Meta::Keeps)?.is_some(),
            last_guarded_pass: last_guarded_pass.and_then(|n| n.parse().ok()).unwrap_or(0),
            has_arrivals: false,
            arrived_up: ArrivedContent::default(),
            arrived_down: ArrivedContent::default(),
            under_way: UnderWay::default(),
            has_held: false,
            tables: OnceCell::new(),
            has_gone: OnceCell::new(),
            needs_second_round: false,
            is_second_round: false,
            damaged: BTreeSet::new(),
            view_is_incomplete: false,
            upload_left: false,
            server_errors: 0,
            room: Room::default(),
            remembered: Remembered::load(index)?,
            file_clock: FileClock::with_lag_s(
                lag_s.and_then(|seconds| seconds.parse().ok()).unwrap_or(0),
            ),
            committed: 0,
            settles: Vec::new(),
            sendings: Vec::new(),
            has_forgotten_sendings: false,
            halted: BTreeSet::new(),
        })
    }

    /// The whole command that repeats this pass with `words`.
    pub(crate) fn again(&self, words: &str) -> String {
        self.options.again(&self.env.config.invocation, words)
    }

    /// Changes of this direction may be made in this pass.
    pub(crate) fn may(&self, direction: Direction) -> bool {
        match direction {
            Direction::Down => self.options.down,
            Direction::Up => self.options.up,
        }
    }

    /// What there is no memory for: tables that are gone when the pass ends.
    ///
    /// # Errors
    /// What SQLite says.
    pub(crate) fn tables(&self) -> Result<&PassTables> {
        if let Some(tables) = self.tables.get() {
            return Ok(tables);
        }
        let tables = PassTables::beside(self.env.index)?;
        Ok(self.tables.get_or_init(|| tables))
    }

    /// Whether files with a base were gone in Dropbox when this was first asked: the tables of the
    /// pass have them then.
    ///
    /// # Errors
    /// What SQLite says.
    pub(crate) fn has_gone_there(&self) -> Result<bool> {
        if let Some(has) = self.has_gone.get() {
            return Ok(*has);
        }
        let mut has = false;
        if self.had_base {
            self.env.index.each_gone_remotely(&mut |row| {
                has = true;
                match row.base_file() {
                    Some(base) => self.tables()?.add_gone_there(&row.key, base.hash),
                    None => Ok(()),
                }
            })?;
        }
        if has {
            self.tables()?.finish_gone_there()?;
        }
        Ok(*self.has_gone.get_or_init(|| has))
    }

    /// A delete is not carried out, or not yet.
    ///
    /// # Errors
    /// What SQLite says.
    pub(crate) fn hold(&mut self, direction: Direction, key: &Key, state: HeldState) -> Result<()> {
        self.has_held = true;
        self.tables()?.hold(direction, key, state)
    }

    /// Whether a plan moves the file of this key, which is not deleted then.
    ///
    /// # Errors
    /// What SQLite says.
    pub(crate) fn is_moved(&self, direction: Direction, key: &Key) -> Result<bool> {
        let was_moved = Some(HeldState::WasMoved);
        Ok(self.has_held && self.tables()?.held(direction, key)? == was_moved)
    }

    /// Whether deletes wait for anything.
    pub(crate) fn has_held(&self) -> bool {
        self.has_held
    }

    /// Whether a delete waits for something, or what is in a folder does, which is not empty then.
    ///
    /// # Errors
    /// What SQLite says.
    pub(crate) fn is_held_back(&self, delete: &Delete) -> Result<bool> {
        let Delete { direction, item } = delete;
        let key = &item.row.key;
        Ok(self.has_held
            && (self.tables()?.held(*direction, key)?.is_some()
                || (item.row.base_file().is_none()
                    && self.tables()?.holds_below(*direction, key)?)))
    }

    /// Deletes of this direction wait for a person's word.
    pub(crate) fn halt(&mut self, direction: Direction) {
        self.halted.insert(direction);
    }

    /// Whether they do.
    pub(crate) fn is_halted(&self, direction: Direction) -> bool {
        self.halted.contains(&direction)
    }

    /// Whether what has no name on the side of this direction gets none any more in this pass. The
    /// deletes that would free it may have been halted: then nothing is said of it.
    pub(crate) fn is_last_chance(&self, direction: Direction) -> bool {
        self.is_second_round && !self.is_halted(direction)
    }

    /// Whether this pass brings down what Dropbox has changed.
    pub(crate) fn brings_down(&self) -> bool {
        self.options.down && self.options.mode != Mode::LocalToDropbox
    }

    /// What becomes in Dropbox of what was deleted here. A pass that only brings down deletes
    /// nothing there, and brings it back.
    pub(crate) fn deletes(&self) -> DeletePolicy {
        match self.options.mode {
            Mode::LocalToDropbox | Mode::Bidirectional if self.keeps_deletes() => {
                DeletePolicy::Keep
            }
            Mode::LocalToDropbox | Mode::Bidirectional | Mode::DropboxToLocal => {
                DeletePolicy::Propagate
            }
        }
    }

    /// Whether files that are gone here may be kept in Dropbox since a pass before.
    pub(crate) fn kept_before(&self) -> bool {
        self.kept_before
    }

    /// Whether what was deleted here is kept in Dropbox: the configuration says so, or did so until
    /// now.
    pub(crate) fn keeps_deletes(&self) -> bool {
        self.kept_before || self.env.config.sync.deletes == DeletePolicy::Keep
    }

    /// Whether a file is gone here that Dropbox keeps: it speaks for no side, and makes no share of
    /// deletes look small, however many of them there come to be. Neither does one that this pass
    /// brings back.
    pub(crate) fn is_kept_there(&self, item: &Item) -> bool {
        let keeps = self.keeps_deletes();
        keeps && item.local == Local::Gone && item.row.base_file().is_some()
    }

    /// Nothing at or below this path is looked at, in either of its spellings: in Dropbox and here.
    pub(crate) fn prunes(&self, display_path: &str, local_path: &str, key: &Key) -> bool {
        let own = &self.env.own_keys;
        let filter = &self.env.config.sync.filter;
        (!own.is_empty() && own.iter().any(|own| below(&key.path(), own).is_some()))
            || filter.prunes(display_path)
            || (display_path != local_path && filter.prunes(local_path))
    }

    /// Which way an item may travel as far as the filters are concerned.
    pub(crate) fn filters_allow(&self, item: &Item) -> FilterAllows {
        let filter = &self.env.config.sync.filter;
        filter.allows_both(&item.display_path, &item.local_spelling())
    }

    /// The same as far as all our rules are: where either side has a file that is too large, the
    /// path is left alone on both.
    pub(crate) fn allows(&self, item: &Item) -> FilterAllows {
        match self.has_too_large(item) {
            true => FilterAllows {
                up: false,
                down: false,
            },
            false => self.filters_allow(item),
        }
    }

    /// Whether files of this size, in bytes, are left out.
    pub(crate) fn is_too_large(&self, size: u64) -> bool {
        let most = self.env.config.sync.max_file_size;
        most.is_some_and(|most| size > most)
    }

    /// The largest size of a file that travels, for people.
    pub(crate) fn largest_size(&self) -> String {
        let most = self.env.config.sync.max_file_size;
        most.map_or_else(String::new, as_written)
    }

    /// A file that was in step is left out for its size; says whether it was not in the passes
    /// before.
    pub(crate) fn note_outgrown(&mut self, item: &Item) -> bool {
        let (index, now_s) = (self.env.index, self.now_s());
        let is_new = self.remembered.note_too_large(index, &item.row.key, now_s);
        self.bound_remembered();
        is_new
    }

    /// Whether either side has a file that is left out for its size.
    pub(crate) fn has_too_large(&self, item: &Item) -> bool {
        self.env.config.sync.max_file_size.is_some()
            && (matches!(item.local, Local::File(status) if self.is_too_large(status.stamp.size))
                || item
                    .row
                    .remote_file()
                    .is_some_and(|file| self.is_too_large(file.size)))
    }

    /// How long a changed file is not sent again, if it has a pace that says so.
    ///
    /// # Errors
    /// What the index says.
    pub(crate) fn waits_for_pace(
        &self,
        key: &Key,
        display_path: &str,
        local_path: &str,
    ) -> Result<Option<String>> {
        let paces = &self.env.config.sync.paces;
        let Some(every_s) = paces.of(display_path, local_path) else {
            return Ok(None);
        };
        let sendings = SentFiles(self.env.index).of(key)?;
        let left_s = sendings.and_then(|sendings| sendings.left_s(self.now_s(), every_s));
        Ok(left_s.map(|left_s| {
            let minutes = left_s.div_ceil(60);
            let time = match minutes {
                ..=120 => counted(minutes, "minute", "minutes"),
                minutes => counted(minutes.div_ceil(60), "hour", "hours"),
            };
            format!("sent in {time} at the earliest")
        }))
    }

    /// A file was sent, with so many bytes. Written down is what a pace asks for, and what is so
    /// large that its owner may want one.
    ///
    /// # Errors
    /// What the index says.
    pub(crate) fn note_sending(&mut self, item: &Item, bytes: u64) -> Result<()> {
        let sync = &self.env.config.sync;
        let (path, key) = (&item.display_path, &item.row.key);
        let is_paced = sync.paces.of(path, &item.local_spelling()).is_some();
        if !is_paced && bytes < SENDING_LEAST {
            return Ok(());
        }
        let now_s = self.now_s();
        let before = SentFiles(self.env.index)
            .of(key)?
            .unwrap_or_default()
            .of_day(now_s);
        let sendings = before.with(now_s, bytes);
        if sendings.is_often() && !before.is_often() && !is_paced {
            let what = format!(
                "{}: {} of it were sent today, in {} goes; to send it less often, write these \
                 lines into {}",
                printable(path),
                size_text(sendings.bytes),
                grouped(sendings.times),
                self.env.config.path.display()
            );
            self.env.report.advise(&what, &lines_for(path));
        }
        self.sendings.push((key.clone(), sendings));
        Ok(())
    }

    /// Whether something that is only here may go up.
    pub(crate) fn may_go_up(&self, display_path: &str, local_path: &str) -> bool {
        let sync = &self.env.config.sync;
        let once = self.reset_due && sync.upload_on_reset;
        self.options.up
            && sync.filter.allows_both(display_path, local_path).up
            && (once || self.options.mode != Mode::DropboxToLocal)
    }

    /// A directory is still on the device it was seen on; a nested mount may come off under way.
    pub(crate) fn check_device(&self, dir: &RelPath, device: u64) -> io::Result<()> {
        match self.env.disk.status(dir)? {
            Some(status) if status.device != device => Err(io::Error::other(
                "the disk mounted here was taken away or another one put over it: nothing is \
                 done here until the next run",
            )),
            _ => Ok(()),
        }
    }

    /// A file is to get to a side: what has its content there under another name stays until then.
    pub(crate) fn note_under_way(&mut self, direction: Direction, item: &Item) {
        match (direction, item.local) {
            (Direction::Up, Local::File(status)) => {
                let key = item.row.key.clone();
                let path = item.path().ok();
                self.note_local_file(key, &item.display_path, path, &status);
            }
            (Direction::Down, _) => self.note_remote_file(&item.row, &item.display_path),
            _ => {}
        }
    }

    /// The same of a file that is here under `key`, at `path` if it can be opened.
    pub(crate) fn note_local_file(
        &mut self,
        key: Key,
        display_path: &DisplayPath,
        path: Option<RelPath>,
        status: &Status,
    ) {
        if self.had_base && status.kind == Kind::File {
            self.under_way.note_here(key, display_path, path, status);
            self.bound_under_way();
        }
    }

    /// The same of a file that Dropbox holds.
    pub(crate) fn note_remote_file(&mut self, row: &Row, display_path: &DisplayPath) {
        if let Some(remote) = row.remote_file().filter(|_| self.had_base) {
            self.under_way.note_there(&row.key, display_path, &remote);
            self.bound_under_way();
        }
    }

    /// Where more is under way at a time than two batches, it is what fails.
    fn bound_under_way(&mut self) {
        if self.under_way.kept() < self.env.batch_max() {
            return;
        }
        let mut under_way = std::mem::take(&mut self.under_way);
        let moved = self.tables().and_then(|tables| under_way.move_into(tables));
        self.under_way = under_way;
        if let Err(error) = moved {
            log::debug!("{error}");
        }
    }

    /// The same of what is remembered.
    fn bound_remembered(&mut self) {
        if self.remembered.kept() < self.env.batch_max() {
            return;
        }
        let mut remembered = std::mem::take(&mut self.remembered);
        let moved = self
            .tables()
            .and_then(|tables| remembered.move_into(tables));
        self.remembered = remembered;
        if let Err(error) = moved {
            log::debug!("{error}");
        }
    }

    /// Writes down what is remembered for the passes to come; the pass has looked at everything,
    /// or not.
    ///
    /// # Errors
    /// What the index says.
    pub(crate) fn store_remembered(&mut self, has_seen_all: bool) -> Result<()> {
        let mut remembered = std::mem::take(&mut self.remembered);
        remembered.store(self.env.index, self.tables.get(), has_seen_all)
    }

    /// What is here cannot go up, though it may as far as the filters are concerned, and neither
    /// can all that is in it.
    pub(crate) fn note_blocked(&mut self, item: &Item) {
        match (item.local, item.path()) {
            (Local::Folder { .. }, Ok(path)) => self.note_blocked_folder(path),
            (Local::Folder { .. }, Err(_)) => self.note_unseen(&item.display_path),
            _ if self.may_go_up(&item.display_path, &item.local_spelling()) => {
                self.note_under_way(Direction::Up, item);
            }
            _ => {}
        }
    }

    /// All that is in this local folder is to go up, and does not.
    pub(crate) fn note_blocked_folder(&mut self, path: RelPath) {
        if self.had_base {
            self.under_way.note_folder(path);
        }
    }

    /// What is here at this path cannot be looked at: anything may be there.
    pub(crate) fn note_unseen(&mut self, shown: &str) {
        if self.had_base && self.under_way.unseen.is_none() {
            self.under_way.unseen = Some(shown.to_owned());
        }
    }

    /// It is there.
    pub(crate) fn note_done(&mut self, key: &Key) {
        self.under_way.note_done(key);
        if self.under_way.are_more()
            && let Err(error) = self.tables().and_then(|tables| tables.drop_under_way(key))
        {
            // A delete waits in vain for it.
            log::debug!("{error}");
        }
        let index = self.env.index;
        self.remembered.drop_done(index, key);
    }

    /// Something could not be looked at: what it hides is neither gone nor done.
    pub(crate) fn note_incomplete_view(&mut self) {
        self.view_is_incomplete = true;
        self.upload_left = true;
    }

    /// A row failed its checksum: the next pass lists again.
    pub(crate) fn note_damaged(&mut self, key: &Key) {
        if self.damaged.len() < DAMAGED_MAX {
            self.damaged.insert(key.clone());
        }
        self.note_incomplete_view();
    }

    /// What the full side said, if one is full.
    pub(crate) fn full(&self) -> Option<String> {
        let quota = self.room.full.as_ref().map(|(_, text)| text.clone());
        quota.or_else(|| self.room.disk_full.clone())
    }

    /// Dropbox could not answer for this item, or its connection broke again and again: that is
    /// the item's problem, and the others go on, unless a plain call fails as well. For an item
    /// that failed in the pass before none is made.
    pub(crate) fn note_server_error(
        &mut self,
        api: &Api<'_>,
        item: &Item,
        text: &str,
    ) -> Result<()> {
        let is_known = self.remembered.has_failed(self.env.index, &item.row.key);
        self.upload_left = true;
        self.server_errors += 1;
        self.env.report.problem(&item.display_path, text);
        self.remember(item, Reason::Failed, text);
        if !is_known && !api.is_reachable() {
            return Err(Error::TryLater(text.to_owned()));
        }
        Ok(())
    }

    /// A step of the pass begins, which may fare better than the one before.
    pub(crate) fn begin_step(&mut self) {
        self.server_errors = 0;
    }

    /// Whether Dropbox could not answer for so many items in a row that the rest of this step is
    /// left for the next pass, this item as well.
    pub(crate) fn ends_step(&mut self, item: &Item) -> bool {
        if self.server_errors < SERVER_ERRORS_MAX {
            return false;
        }
        self.upload_left = true;
        let report = self.env.report;
        let index = self.env.index;
        if let Some(text) = self.remembered.keep(index, &item.row.key) {
            report.problem(&item.display_path, &text);
        } else {
            let why = "Dropbox could not answer for many others in a row";
            report.deferred(&item.display_path, why);
        }
        true
    }

    /// An item could not be dealt with: the next pass is to know.
    pub(crate) fn remember(&mut self, item: &Item, reason: Reason, text: &str) {
        let now_s = self.now_s();
        let index = self.env.index;
        self.remembered.note(index, item, reason, text, now_s);
        self.bound_remembered();
    }

    /// An item is left for the next pass, because of `why`. Twice in a row that is no accident, and
    /// `cause` is what is told.
    ///
    /// Returns whether it is so twice in a row.
    pub(crate) fn defer(&mut self, item: &Item, why: &str, cause: &str) -> bool {
        let before = self.remembered.of(self.env.index, item);
        let again = before.is_some_and(|known| known.reason == Reason::Deferred);
        if again {
            let text = format!("not done in two runs in a row: {cause}");
            self.env.report.problem(&item.display_path, &text);
        } else {
            self.env.report.deferred(&item.display_path, why);
        }
        self.remember(item, Reason::Deferred, cause);
        again
    }

    /// Whether Dropbox refused this very item in an earlier pass, for its name or for want of
    /// rights, and it is too early to offer it again. That is told again.
    pub(crate) fn is_refused(&mut self, item: &Item) -> bool {
        let index = self.env.index;
        let Some(known) = self.remembered.of(index, item) else {
            return false;
        };
        let is_early = (known.since..known.next).contains(&self.now_s());
        if known.reason != Reason::NotAllowed || !is_early {
            return false;
        }
        self.env.report.problem(&item.display_path, &known.text);
        self.remembered.keep(index, &item.row.key);
        self.bound_remembered();
        true
    }

    /// Whether there was no room for this item in an earlier pass, and whether it is to be asked
    /// first if there is now. One that has changed is always asked about.
    pub(crate) fn refused_for_room(&self, item: &Item) -> Option<Offer> {
        let index = self.env.index;
        let known = self.remembered.had_no_room(index, &item.row.key)?;
        let is_early = (known.since..known.next).contains(&self.now_s());
        let has_changed = self.remembered.of(index, item).is_none();
        let offer = if is_early || has_changed {
            Offer::IfItFits
        } else {
            Offer::Again
        };
        Some(offer)
    }

    fn now_s(&self) -> i64 {
        i64::try_from(self.env.host.now_ns() / 1_000_000_000).unwrap_or_default()
    }

    /// A stamp with the rights that are remembered beside it: what is found now, unless somebody
    /// may have put it there.
    pub(crate) fn with_rights(
        &self,
        path: &RelPath,
        before: Option<&BaseFile>,
        stamp: Stamp,
    ) -> Stamp {
        let known = before.and_then(|base| Some((base.stamp.rights?, base.stamp)));
        let rights = match (known, stamp.rights) {
            (Some((known, before)), Some(now)) => Some(self.rights_now(path, known, &before, now)),
            (known, now) => now.or(known.map(|(known, _)| known)),
        };
        Stamp { rights, ..stamp }
    }

    /// The rights that are remembered of the file at `path` that had `known` at the stamp `before`,
    /// and is found with `now`.
    fn rights_now(&self, path: &RelPath, known: Rights, before: &Stamp, now: Rights) -> Rights {
        let disk = self.env.disk;
        let counts = known.or_narrower(now, disk.user(), false);
        if !counts.is_held() {
            return counts;
        }
        // It is looked at closely only where that matters.
        match disk.access(path) {
            Ok(found) if found.rights.mode == now.mode => {
                known.or_narrower(now, disk.user(), found.is_of(before))
            }
            _ => counts,
        }
    }

    /// The rights that are remembered of the folder at `path` that had `known`, and is found with
    /// `now`. The one that was known stays known until another lets in nobody else.
    pub(crate) fn folder_rights_now(
        &self,
        path: &RelPath,
        known: Option<FolderRights>,
        now: Option<FolderRights>,
    ) -> Option<FolderRights> {
        match (known, now) {
            (Some(known), Some(now)) => Some(self.counts(path, known, now).unwrap_or({
                let rights = known.rights.narrowed_to(now.rights.mode);
                FolderRights { rights, ..known }
            })),
            (None, Some(now)) => Some(self.with_birth(path, now)),
            (known, None) => known,
        }
    }

    /// What is remembered of the folder that is here.
    pub(crate) fn folder_rights_of(&self, item: &Item) -> Option<FolderRights> {
        let (known, now) = (item.row.folder_rights, item.local.folder_rights());
        match item.path() {
            Ok(path) => self.folder_rights_now(&path, known, now),
            Err(_) => known,
        }
    }

    /// What is found of a folder, unless it is another one, which lets others in.
    pub(crate) fn counts(
        &self,
        path: &RelPath,
        known: FolderRights,
        now: FolderRights,
    ) -> Option<FolderRights> {
        let rights = known
            .rights
            .or_narrower(now.rights, self.env.disk.user(), false);
        let has_number = now.inode != 0 && now.inode == known.inode;
        match (rights.is_held(), has_number) {
            (false, true) => Some(FolderRights { rights, ..known }),
            (false, false) if now.inode == 0 => Some(FolderRights { rights, ..known }),
            (false, false) => Some(self.with_birth(path, now)),
            (true, false) => None,
            // The number may be that of one that is gone. Only root gives a folder away.
            (true, true) => {
                let found = self.with_birth(path, now);
                let is_owned = now.rights.uid == known.rights.uid || found.born_ns.is_some();
                Some(found).filter(|found| found.born_ns == known.born_ns && is_owned)
            }
        }
    }

    /// A folder that was found, with the time it was made.
    fn with_birth(&self, path: &RelPath, now: FolderRights) -> FolderRights {
        let found = self.env.disk.access(path).ok();
        let found = found.filter(|found| found.stamp.inode == now.inode);
        let born_ns = found.and_then(|found| found.born_ns);
        FolderRights { born_ns, ..now }
    }

    /// A base of what both sides hold now; the content was read from `read_at_ns` on.
    pub(crate) fn file_base(
        &mut self,
        before: &Item,
        rev: Rev,
        hash: ContentHash,
        stamp: Stamp,
        read_at_ns: i128,
    ) -> Base {
        let was_on_both = matches!(
            (before.local, before.row.remote_side()),
            (Local::File(_), Side::File(_))
        );
        let stamp = match before.path() {
            Ok(path) => self.with_rights(&path, before.row.base_file(), stamp),
            Err(_) => stamp,
        };
        let now = self.last_guarded_pass + 1;
        let (arrived_in_pass, reappeared) = match before.row.base_file() {
            Some(base) if was_on_both => (base.arrived_in_pass, base.reappeared),
            Some(_) if self.is_kept_there(before) => (now, false),
            Some(base) => (now, base.reappeared || base.arrived_in_pass < now),
            None => (now, false),
        };
        self.has_arrivals |= arrived_in_pass > self.last_guarded_pass;
        Base::File(BaseFile {
            rev,
            hash,
            stamp,
            racy: self
                .file_clock
                .is_racy(Some(before.device), &stamp, read_at_ns),
            arrived_in_pass,
            reappeared,
        })
    }

    /// A file with this content arrived on a side.
    pub(crate) fn note_arrival(&mut self, direction: Direction, hash: ContentHash) {
        // Without a base nothing can be deleted, and so nothing be moved.
        match direction {
            _ if !self.had_base => {}
            Direction::Up => self.arrived_up.note(hash),
            Direction::Down => self.arrived_down.note(hash),
        }
    }

    /// Content that a pass that broke off has brought, the other name of a file that was moved.
    pub(crate) fn note_earlier_arrival(&mut self, hash: ContentHash) {
        if self.had_base {
            self.arrived_up.note_once(hash);
            self.arrived_down.note_once(hash);
        }
    }

    /// Records in the index what a row has become, with others in one transaction.
    pub(crate) fn settle(&mut self, row: Row) -> Result<()> {
        self.settles.push(row);
        if self.settles.len() >= SETTLES_AT_ONCE {
            self.flush_settles()
        } else {
            Ok(())
        }
    }

    pub(crate) fn flush_settles(&mut self) -> Result<()> {
        if self.settles.is_empty() && self.sendings.is_empty() {
            return Ok(());
        }
        let index = self.env.index;
        let rows = std::mem::take(&mut self.settles);
        let sendings = std::mem::take(&mut self.sendings);
        let sent_files = SentFiles(index);
        let forgets = !sendings.is_empty() && !self.has_forgotten_sendings;
        self.has_forgotten_sendings |= forgets;
        index.transaction(|| {
            rows.iter().try_for_each(|row| index.put(row))?;
            if forgets {
                let longest = self
                    .env
                    .config
                    .sync
                    .paces
                    .longest()
                    .max(DAY_S.unsigned_abs());
                sent_files.forget(self.now_s(), Duration::from_secs(longest))?;
            }
            sendings
                .iter()
                .try_for_each(|(key, sendings)| sent_files.set(key, sendings))
        })
    }
}
