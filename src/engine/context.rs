//! What every phase of one pass reads and notes. What a single phase holds, that phase owns.
//!
//! What a phase learns is settled in the index in batches; whatever is not settled when the power
//! fails is simply seen again.

mod arrivals;
mod base;
mod rules;
mod trouble;

pub(crate) use trouble::Offer;

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use crate::config::Config;
use crate::core::arrived_content::ArrivedContent;
use crate::core::decide::{Direction, Mode};
use crate::core::guard::Approvals;
use crate::core::invocation::Invocation;
use crate::core::own_names::Instance;
use crate::core::pace::{DAY_S, Sendings};
use crate::core::path::{Key, RelPath};
use crate::dropbox::batch::ENTRIES_MAX;
use crate::engine::file_clock::FileClock;
use crate::engine::pass_record::PassEnd;
use crate::engine::remembered::Remembered;
use crate::engine::remote_root::RemoteRoot;
use crate::engine::under_way::UnderWay;
use crate::error::Result;
use crate::index::{History, Index, Meta, PassTables, Row, SentFiles};
use crate::io::deadline::Deadline;
use crate::io::disk::ReadDisk;
use crate::io::host::Host;
use crate::report::Report;

/// Rows settled in one transaction.
const SETTLES_AT_ONCE: usize = 256;

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
    /// How the last pass ended that did something, as far as that is known.
    pub last_change: Option<PassEnd>,
}

impl Env<'_> {
    /// So many things are dealt with at a time, once it is their turn.
    pub(crate) fn batch_max(&self) -> usize {
        self.kept_max.saturating_mul(4).min(ENTRIES_MAX)
    }
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
    /// When it began, in seconds since 1970.
    began_s: i64,
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
            began_s: i64::try_from(env.host.now_ns() / 1_000_000_000).unwrap_or_default(),
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

    fn now_s(&self) -> i64 {
        i64::try_from(self.env.host.now_ns() / 1_000_000_000).unwrap_or_default()
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
                .try_for_each(|(key, sendings)| sent_files.set(key, sendings))?;
            note_in_history(self.env, self.began_s)
        })
    }
}

/// What the pass has done so far goes into the history, and how the one before it ended.
fn note_in_history(env: &Env<'_>, began_s: i64) -> Result<()> {
    let (report, history) = (env.report, History(env.index));
    if report.counts().changes() == 0 {
        return Ok(());
    }
    let seq = report.history();
    if let (None, Some(end)) = (seq, &env.last_change)
        && let Some(seq) = end.history
        && let Some((started, _)) = history.line(seq)?
    {
        history.set(Some(seq), started, &end.line())?;
    }
    let line = PassEnd::so_far(report.counts(), report.bytes()).line();
    report.set_history(history.set(seq, began_s, &line)?);
    Ok(())
}
