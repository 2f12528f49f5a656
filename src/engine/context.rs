//! What the phases of one pass share, and the words they speak to each other in.
//!
//! What a phase learns is settled in the index in batches; whatever is not settled when the power
//! fails is simply seen again.

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::time::Duration;

use crate::config::Config;
use crate::core::arrived_content::ArrivedContent;
use crate::core::content_hash::ContentHash;
use crate::core::decide::{Direction, Mode, Side};
use crate::core::guard::Tally;
use crate::core::path::{Key, RelPath};
use crate::core::remote::Rev;
use crate::dropbox::api::Api;
use crate::engine::download::GoneRemotely;
use crate::engine::download::publish::PublishQueue;
use crate::engine::item::{Delete, Item, Local, Observed, is_racy};
use crate::engine::remote_root::RemoteRoot;
use crate::engine::upload::UploadQueue;
use crate::engine::walk::archive::{ArchiveBody, ArchiveCandidates};
use crate::error::{Error, Result};
use crate::index::{Base, BaseFile, Index, Row};
use crate::io::deadline::Deadline;
use crate::io::disk::Disk;
use crate::io::host::Host;
use crate::io::stat::Stamp;
use crate::report::Report;

/// Rows settled in one transaction.
const SETTLES_AT_ONCE: usize = 256;
/// Paths in a row that Dropbox may stumble over before the pass ends.
const SERVER_ERRORS_MAX: u32 = 3;
/// What one pass is to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// The mode of this pass.
    pub mode: Mode,
    /// Local changes may be made.
    pub down: bool,
    /// Changes in Dropbox may be made.
    pub up: bool,
    /// Nothing may be made: the plan is printed.
    pub dry_run: bool,
    /// Ids a person approved.
    pub approved: Vec<String>,
    /// How much time the pass may take.
    pub max_time: Option<Duration>,
}

/// What a pass works with.
pub struct Env<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// Clock and randomness.
    pub host: &'a dyn Host,
    /// The content dir.
    pub disk: &'a dyn Disk,
    /// Dropbox.
    pub api: &'a Api<'a>,
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
    /// The name in conflict copies.
    pub device: String,
}

/// What the phases of one pass share.
pub struct Pass<'a> {
    pub(crate) env: &'a Env<'a>,
    pub(crate) options: &'a Options,
    pub(crate) reset_due: bool,
    /// The index is an older copy: what differs from its base need not be an edit.
    pub(crate) is_older: bool,
    pub(crate) settles: Vec<Row>,
    pub(crate) tally: Tally,
    /// LIMIT: about 750 bytes for each delete of one pass.
    pub(crate) deletes: Vec<Delete>,
    /// Removed locally, not yet durable.
    pub(crate) removed: Vec<Row>,
    /// Different on both sides, no base, uploads only: a person decides.
    pub(crate) undecided: Vec<(Item, Observed)>,
    pub(crate) publish_queue: PublishQueue,
    /// The content of the file at hand, where it need not be asked for.
    pub(crate) archive_body: Option<ArchiveBody>,
    /// While it is found out which folders are to come down as archives: what would.
    pub(crate) candidates: Option<ArchiveCandidates>,
    /// Files to go up together.
    pub(crate) upload_queue: UploadQueue,
    /// Folders to make in Dropbox once it is clear which of them uploads made anyway.
    pub(crate) new_folders: Vec<Item>,
    /// Keys of folders that uploads of this pass lie in.
    pub(crate) made_by_upload: HashSet<String>,
    /// How often each content arrived on a side in this pass: such a file was moved, not lost.
    pub(crate) arrived_up: ArrivedContent,
    pub(crate) arrived_down: ArrivedContent,
    /// Files gone in Dropbox, once one that may have been moved was looked for.
    pub(crate) gone_remotely: Option<GoneRemotely<'a>>,
    /// Something waits for a name that a delete of this pass frees.
    pub(crate) needs_second_round: bool,
    /// The second round, after the deletes: what still has no name is a problem.
    pub(crate) is_second_round: bool,
    pub(crate) damaged: BTreeSet<Key>,
    /// Dropbox had no room for a file of this size, and what it said.
    pub(crate) quota_full: Option<(u64, String)>,
    pub(crate) disk_full: Option<String>,
    /// Something did not go up that may in a later pass.
    pub(crate) upload_left: bool,
    /// Paths in a row for which Dropbox had a server error.
    pub(crate) server_errors: u32,
    pub(crate) committed: u64,
    /// Number of the last pass that came past its guards. What arrived on a side since then is
    /// our own doing: it does not speak for that side.
    pub(crate) last_guarded_pass: u64,
    /// Something arrived since then.
    pub(crate) has_arrivals: bool,
    /// Something could not be looked at, so nothing follows from what was not seen.
    pub(crate) view_is_incomplete: bool,
    /// The index had a base when the pass began.
    pub(crate) had_base: bool,
    /// Files only Dropbox has, where nothing may come down.
    pub(crate) only_in_dropbox: u64,
}

impl<'a> Pass<'a> {
    /// A pass that has not begun.
    pub fn new(
        env: &'a Env<'a>,
        options: &'a Options,
        reset_due: bool,
        had_base: bool,
        last_guarded_pass: u64,
    ) -> Pass<'a> {
        Pass {
            env,
            options,
            reset_due,
            is_older: false,
            settles: Vec::new(),
            tally: Tally::default(),
            deletes: Vec::new(),
            removed: Vec::new(),
            undecided: Vec::new(),
            publish_queue: PublishQueue::default(),
            archive_body: None,
            candidates: None,
            upload_queue: UploadQueue::default(),
            new_folders: Vec::new(),
            made_by_upload: HashSet::new(),
            arrived_up: ArrivedContent::default(),
            arrived_down: ArrivedContent::default(),
            gone_remotely: None,
            needs_second_round: false,
            is_second_round: false,
            damaged: BTreeSet::new(),
            quota_full: None,
            disk_full: None,
            upload_left: false,
            server_errors: 0,
            committed: 0,
            last_guarded_pass,
            has_arrivals: false,
            view_is_incomplete: false,
            had_base,
            only_in_dropbox: 0,
        }
    }

    pub(crate) fn dry(&self) -> bool {
        self.options.dry_run
    }

    /// Nothing at or below this path is looked at.
    pub(crate) fn prunes(&self, display_path: &str, key: &Key) -> bool {
        let own = &self.env.own_keys;
        (!own.is_empty() && own.iter().any(|own| is_at_or_below(&key.path(), own)))
            || self.env.config.sync.filter.prunes(display_path)
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

    /// Something could not be looked at: what it hides is neither gone nor done.
    pub(crate) fn note_incomplete_view(&mut self) {
        self.view_is_incomplete = true;
        self.upload_left = true;
    }

    /// A row failed its checksum: the next pass lists again.
    pub(crate) fn note_damaged(&mut self, key: &Key) {
        self.damaged.insert(key.clone());
        self.note_incomplete_view();
    }

    /// Which side is full, if one is.
    pub(crate) fn full(&self) -> Option<String> {
        let quota = self.quota_full.as_ref().map(|(_, text)| text.clone());
        quota.or_else(|| self.disk_full.clone())
    }

    /// Dropbox could not answer for this path. The others go on, unless it is not the path.
    pub(crate) fn note_server_error(&mut self, display_path: &str, text: &str) -> Result<()> {
        self.upload_left = true;
        self.server_errors += 1;
        self.env.report.problem(display_path, text);
        if self.server_errors >= SERVER_ERRORS_MAX {
            return Err(Error::TryLater(text.to_owned()));
        }
        Ok(())
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
        let now = self.last_guarded_pass + 1;
        let (arrived_in_pass, reappeared) = match before.row.base_file() {
            Some(base) if was_on_both => (base.arrived_in_pass, base.reappeared),
            Some(base) => (now, base.reappeared || base.arrived_in_pass < now),
            None => (now, false),
        };
        self.has_arrivals |= arrived_in_pass > self.last_guarded_pass;
        Base::File(BaseFile {
            rev,
            hash,
            stamp,
            racy: is_racy(&stamp, read_at_ns),
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

    /// Records in the index what a row has become, with others in one transaction.
    pub(crate) fn settle(&mut self, row: Row) -> Result<()> {
        if self.dry() {
            return Ok(());
        }
        self.settles.push(row);
        if self.settles.len() >= SETTLES_AT_ONCE {
            self.flush_settles()
        } else {
            Ok(())
        }
    }

    pub(crate) fn flush_settles(&mut self) -> Result<()> {
        if self.settles.is_empty() {
            return Ok(());
        }
        let index = self.env.index;
        let rows = std::mem::take(&mut self.settles);
        index.transaction(|| rows.iter().try_for_each(|row| index.put(row)))
    }
}

fn is_at_or_below(path: &str, dir: &str) -> bool {
    path.strip_prefix(dir)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
