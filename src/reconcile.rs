//! One path of a pass: observe it, ask [`decide`], and see that the answer is carried out.
//!
//! [`Pass`] holds what the phases share. What a phase learns is settled in the index in batches;
//! whatever is not settled when the power fails is simply seen again.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::config::Config;
use crate::core::content_hash::ContentHash;
use crate::core::decide::decide;
use crate::core::decide::{Action, Content, Direction, Facts, Flow, Mode, Note, Replaces, Side};
use crate::core::guard::Tally;
use crate::core::path::{Key, RelPath};
use crate::download::Landing;
use crate::dropbox::api::Api;
use crate::dropbox::wire::WriteMode;
use crate::error::Result;
use crate::index::{Base, BaseFile, Index, Remote, Row};
use crate::io::disk::{Disk, Kind, Stamp, Status};
use crate::io::host::Host;
use crate::read::{self, Unread};
use crate::report::Report;

/// Rows settled in one transaction.
const SETTLES_AT_ONCE: usize = 64;
/// A stamp younger than this may hide a later change in the same tick, in nanoseconds.
const FRESH_NS: i128 = 2_000_000_000;

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
}

/// What a pass works with.
pub struct Tools<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// Clock and randomness.
    pub host: &'a dyn Host,
    /// The content dir.
    pub disk: &'a dyn Disk,
    /// Dropbox.
    pub api: &'a Api<'a>,
    /// What is known.
    pub index: &'a Index,
    /// What people are told.
    pub report: &'a Report,
    /// Keys below the content dir that hold our own configuration and state.
    pub own_keys: Vec<String>,
    /// The name in conflict copies.
    pub device: String,
}

/// When a path is visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Remote changes come down; deletes wait.
    Down,
    /// Everything is looked at; local changes go up; deletes are collected.
    Scan,
}

/// What is at the local path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Local {
    /// It could not be told.
    Unknown,
    /// Nothing.
    Gone,
    /// A folder.
    Folder {
        /// Whether it lies on another device than its parent.
        mount: bool,
        /// That device.
        device: u64,
    },
    /// A file.
    File(Status),
}

/// One key with everything known about it.
#[derive(Clone, Debug)]
pub struct Spot {
    /// Its row, new if the index had none.
    pub row: Row,
    /// What is there locally.
    pub local: Local,
    /// The local directory it is in, or would be made in.
    pub dir: RelPath,
    /// Its local name, or the name it would get.
    pub name: String,
    /// `/real/case/path` as in Dropbox if it is known there, else as it is locally.
    pub subject: String,
    /// Dropbox has a file where a folder above this path would have to be.
    pub blocked_up: bool,
}

impl Spot {
    /// The local path.
    ///
    /// # Errors
    /// Why the name cannot be one.
    pub fn path(&self) -> std::result::Result<RelPath, crate::core::path::BadName> {
        self.dir.join(&self.name)
    }
}

/// A delete that waits for the end of the pass.
#[derive(Clone, Debug)]
pub struct Delete {
    /// The side.
    pub direction: Direction,
    /// The spot, as it was seen.
    pub spot: Spot,
}

/// The local file as it was observed.
#[derive(Clone, Copy, Debug)]
pub struct Observed {
    /// What the decision sees.
    pub side: Side,
    /// Its content, where it had to be read.
    pub hash: Option<ContentHash>,
    /// Its stamp, if it is a file.
    pub stamp: Stamp,
}

/// What the phases of one pass share.
pub struct Pass<'a> {
    pub(crate) tools: &'a Tools<'a>,
    pub(crate) options: &'a Options,
    pub(crate) reset_due: bool,
    pub(crate) settles: Vec<Row>,
    pub(crate) tally: Tally,
    pub(crate) deletes: Vec<Delete>,
    /// Different on both sides, no base, uploads only: a person decides.
    pub(crate) undecided: Vec<(Spot, Observed)>,
    pub(crate) landing: Landing,
    /// Folders to make in Dropbox once it is clear which of them uploads made anyway.
    pub(crate) new_folders: Vec<Spot>,
    /// Keys of folders that uploads of this pass lie in.
    pub(crate) made_by_upload: HashSet<String>,
    /// How often each content arrived on a side in this pass: such a file was moved, not lost.
    pub(crate) arrived_up: HashMap<ContentHash, u64>,
    pub(crate) arrived_down: HashMap<ContentHash, u64>,
    /// Something waits for a name that a delete of this pass frees.
    pub(crate) waiting: bool,
    /// The second round, after the deletes: what still has no name is a problem.
    pub(crate) last_round: bool,
    pub(crate) unsound: BTreeSet<Key>,
    pub(crate) quota_full: Option<String>,
    pub(crate) disk_full: Option<String>,
    /// Not everything that should go up did.
    pub(crate) incomplete: bool,
    pub(crate) committed: u64,
    /// Files only Dropbox has, where nothing may come down.
    pub(crate) only_in_dropbox: u64,
}

impl<'a> Pass<'a> {
    /// A pass that has not begun.
    pub fn new(tools: &'a Tools<'a>, options: &'a Options, reset_due: bool) -> Pass<'a> {
        Pass {
            tools,
            options,
            reset_due,
            settles: Vec::new(),
            tally: Tally::default(),
            deletes: Vec::new(),
            undecided: Vec::new(),
            landing: Landing::default(),
            new_folders: Vec::new(),
            made_by_upload: HashSet::new(),
            arrived_up: HashMap::new(),
            arrived_down: HashMap::new(),
            waiting: false,
            last_round: false,
            unsound: BTreeSet::new(),
            quota_full: None,
            disk_full: None,
            incomplete: false,
            committed: 0,
            only_in_dropbox: 0,
        }
    }

    pub(crate) fn dry(&self) -> bool {
        self.options.dry_run
    }

    /// Nothing at or below this path is looked at.
    pub(crate) fn shuts(&self, subject: &str, key: &Key) -> bool {
        let own = &self.tools.own_keys;
        (!own.is_empty() && own.contains(&key.path()))
            || self.tools.config.sync.filter.shuts(subject)
    }

    /// Looks at one path and does what is to be done.
    pub(crate) fn visit(&mut self, phase: Phase, spot: Spot) -> Result<()> {
        if !spot.row.sound {
            self.unsound.insert(spot.row.key.clone());
            self.incomplete = true;
            return Ok(());
        }
        let remote = spot.row.remote_side();
        if phase == Phase::Scan {
            self.count(&spot, remote);
        }
        if let (Local::File(status), Some(base), Remote::AsBase) =
            (&spot.local, spot.row.base_file(), &spot.row.remote)
        {
            if !base.racy && base.stamp == status.stamp {
                return Ok(());
            }
        }
        let reach = self.tools.config.sync.filter.reach(&spot.subject);
        let flow = Flow::of(self.options.mode, reach);
        if flow == Flow::Neither && !(self.reset_due && reach.up) {
            return Ok(());
        }
        let observed = match self.observe(&spot) {
            Ok(observed) => observed,
            Err(unread) => {
                self.unread(&spot, &unread);
                return Ok(());
            }
        };
        let facts = Facts {
            flow,
            base: spot.row.base_kind(),
            local: observed.side,
            remote,
            equal: self.equal(&spot, &observed),
            reset_upload: self.reset_due
                && self.options.up
                && reach.up
                && self.tools.config.sync.upload_on_reset,
        };
        if let (Flow::Up, Side::Gone, Side::File(_)) = (flow, facts.local, remote) {
            self.only_in_dropbox += u64::from(phase == Phase::Scan);
        }
        let action = decide(facts);
        self.act(phase, action, spot, observed)
    }

    /// Counts what the guards ask about.
    fn count(&mut self, spot: &Spot, remote: Side) {
        if spot.row.base_file().is_some() {
            self.tally.base_files += 1;
        }
        if matches!(spot.local, Local::File(_)) {
            self.tally.local_files += 1;
        }
        if matches!(remote, Side::File(_)) {
            self.tally.remote_files += 1;
        }
    }

    /// Tells a file from its base, reading it only where the stamp does not hold or where only
    /// its content can say whether both sides are equal.
    fn observe(&self, spot: &Spot) -> std::result::Result<Observed, Unread> {
        let side = |side| {
            Ok(Observed {
                side,
                hash: None,
                stamp: Stamp::default(),
            })
        };
        let status = match spot.local {
            Local::Unknown => return side(Side::Unknown),
            Local::Gone => return side(Side::Gone),
            Local::Folder { .. } => return side(Side::Folder),
            Local::File(status) => status,
        };
        let remote = match &spot.row.remote {
            Remote::File(remote) => Some(remote),
            Remote::AsBase | Remote::Gone | Remote::Folder => None,
        };
        let Some(base) = spot.row.base_file() else {
            let could_be_equal =
                remote.is_some_and(|r| r.hash.is_some() && r.size == status.stamp.size);
            if !could_be_equal {
                let side = Side::File(Content::Edited);
                return Ok(Observed {
                    side,
                    hash: None,
                    stamp: status.stamp,
                });
            }
            let (hash, stamp) = self.hash(spot)?;
            return Ok(Observed {
                side: Side::File(Content::Edited),
                hash: Some(hash),
                stamp,
            });
        };
        if base.stamp == status.stamp && !base.racy {
            let side = Side::File(Content::Same);
            return Ok(Observed {
                side,
                hash: Some(base.hash),
                stamp: status.stamp,
            });
        }
        let could_be_equal = remote.is_some_and(|r| r.size == status.stamp.size);
        if base.stamp.size != status.stamp.size && !could_be_equal {
            let side = Side::File(Content::Edited);
            return Ok(Observed {
                side,
                hash: None,
                stamp: status.stamp,
            });
        }
        let (hash, stamp) = self.hash(spot)?;
        let content = if hash == base.hash {
            Content::Same
        } else {
            Content::Edited
        };
        Ok(Observed {
            side: Side::File(content),
            hash: Some(hash),
            stamp,
        })
    }

    fn hash(&self, spot: &Spot) -> std::result::Result<(ContentHash, Stamp), Unread> {
        let path = spot
            .path()
            .map_err(|error| Unread::Failed(std::io::Error::other(error)))?;
        read::hash(self.tools.disk, &path)
    }

    fn equal(&self, spot: &Spot, observed: &Observed) -> bool {
        let remote = spot.row.remote_file().and_then(|file| file.hash);
        remote.is_some() && remote == observed.hash
    }

    fn unread(&mut self, spot: &Spot, unread: &Unread) {
        self.incomplete = true;
        match unread {
            // Gone or replaced since it was listed: the next pass sees what is there then.
            Unread::Vanished => self
                .tools
                .report
                .deferred(&spot.subject, "it was just replaced"),
            Unread::Restless => self.tools.report.problem(
                &spot.subject,
                "the file changes all the time; it is tried again in the next run",
            ),
            Unread::Failed(error) => self.tools.report.problem(&spot.subject, &error.to_string()),
        }
    }

    fn act(&mut self, phase: Phase, action: Action, spot: Spot, observed: Observed) -> Result<()> {
        let allowed = match action.direction() {
            Some(Direction::Down) => self.options.down,
            Some(Direction::Up) => self.options.up,
            None => true,
        };
        if !allowed {
            return Ok(());
        }
        // What came from Dropbox was dealt with in the first phase, unless Dropbox did not change.
        let tried = phase == Phase::Scan && spot.row.remote != Remote::AsBase;
        match action {
            Action::Nothing => self.refresh_stamp(spot, &observed),
            Action::Adopt if tried && self.dry() => Ok(()),
            Action::Adopt => self.adopt(spot, &observed),
            Action::Forget => self.forget(spot),
            Action::Download | Action::Conflict if !tried => self.download(spot, observed, action),
            Action::SetAside if !tried => self.set_aside(spot, observed),
            Action::MakeLocalFolder if !tried => self.make_local_folder(spot),
            Action::Download | Action::Conflict | Action::SetAside | Action::MakeLocalFolder => {
                Ok(())
            }
            Action::DeleteLocal | Action::DeleteRemote if phase == Phase::Scan => {
                self.collect(action, spot);
                Ok(())
            }
            Action::UploadNew if phase == Phase::Scan => {
                self.upload(spot, &observed, WriteMode::Add, None)
            }
            Action::UploadOver(replaces) if phase == Phase::Scan => {
                self.upload_over(spot, &observed, replaces)
            }
            Action::MakeRemoteFolder if phase == Phase::Scan => {
                self.new_folders.push(spot);
                Ok(())
            }
            Action::Report(note) if phase == Phase::Scan => {
                self.note(note, spot, observed);
                Ok(())
            }
            Action::DeleteLocal
            | Action::DeleteRemote
            | Action::UploadNew
            | Action::UploadOver(_)
            | Action::MakeRemoteFolder
            | Action::Report(_) => Ok(()),
        }
    }

    fn upload_over(&mut self, spot: Spot, observed: &Observed, replaces: Replaces) -> Result<()> {
        let base = spot.row.base_file().map(|base| base.rev.clone());
        let seen = spot.row.remote_file().map(|file| file.rev);
        let (rev, more) = match replaces {
            Replaces::Base => (base, None),
            Replaces::Seen => (seen.clone(), seen),
        };
        let mode = rev.map_or(WriteMode::Add, WriteMode::Update);
        self.upload(spot, observed, mode, more)
    }

    fn note(&mut self, note: Note, spot: Spot, observed: Observed) {
        match note {
            Note::EditedInDropbox => log::info!(
                "{}: deleted here, edited in Dropbox; nothing comes down in this mode",
                spot.subject
            ),
            Note::Undecided => self.undecided.push((spot, observed)),
            Note::FileMeetsFolder => {
                self.incomplete = true;
                self.tools.report.problem(
                    &spot.subject,
                    "a file on one side and a folder on the other; both are left alone: rename one",
                );
            }
        }
    }

    /// Keeps the stamp of an unchanged file so that it is not read again.
    fn refresh_stamp(&mut self, spot: Spot, observed: &Observed) -> Result<()> {
        let mut row = spot.row;
        match (&mut row.base, spot.local) {
            (Base::File(base), Local::File(_)) if observed.side == Side::File(Content::Same) => {
                let racy = self.is_racy(&observed.stamp);
                if base.stamp == observed.stamp && base.racy == racy {
                    return Ok(());
                }
                base.stamp = observed.stamp;
                base.racy = racy;
            }
            (Base::Folder { mount: known }, Local::Folder { mount, .. }) if *known != mount => {
                *known = mount;
            }
            _ => return Ok(()),
        }
        self.settle(row)
    }

    fn adopt(&mut self, spot: Spot, observed: &Observed) -> Result<()> {
        let mut row = spot.row;
        let base = match (spot.local, row.remote_file(), observed.hash) {
            (Local::Folder { mount, .. }, _, _) => Base::Folder { mount },
            (Local::File(_), Some(remote), Some(hash)) => {
                self.tools.report.adopted();
                self.file_base(remote.rev, hash, observed.stamp)
            }
            _ => return Ok(()),
        };
        row.settle(base, &spot.name);
        self.settle(row)
    }

    fn forget(&mut self, spot: Spot) -> Result<()> {
        let mut row = spot.row;
        row.rebase(Base::None);
        self.settle(row)
    }

    /// A base of what both sides hold now.
    pub(crate) fn file_base(&self, rev: String, hash: ContentHash, stamp: Stamp) -> Base {
        Base::File(BaseFile {
            rev,
            hash,
            stamp,
            racy: self.is_racy(&stamp),
        })
    }

    fn is_racy(&self, stamp: &Stamp) -> bool {
        let changed = if stamp.ctime_ns == 0 {
            stamp.mtime_ns
        } else {
            stamp.ctime_ns
        };
        i128::from(changed) > self.tools.host.now_ns() - FRESH_NS
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
        let index = self.tools.index;
        let rows = std::mem::take(&mut self.settles);
        index.transaction(|| rows.iter().try_for_each(|row| index.put(row)))
    }

    fn collect(&mut self, action: Action, spot: Spot) {
        let direction = if action == Action::DeleteLocal {
            Direction::Down
        } else {
            Direction::Up
        };
        // What takes the name afterwards is made in a second round.
        let swaps = match direction {
            Direction::Down => spot.row.remote_is_folder() || spot.row.remote_file().is_some(),
            Direction::Up => !matches!(spot.local, Local::Gone),
        };
        self.waiting |= swaps;
        if !self.last_round {
            self.deletes.push(Delete { direction, spot });
        }
    }
}

/// What `stat` said, as a spot sees it.
pub(crate) fn local_of(status: &Status, parent_device: u64) -> Local {
    match status.kind {
        Kind::File => Local::File(*status),
        Kind::Folder => Local::Folder {
            mount: status.device != parent_device,
            device: status.device,
        },
        Kind::Special => Local::Unknown,
    }
}
