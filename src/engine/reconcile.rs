//! One path of a pass: observe it, ask [`decide`], and see that the answer is carried out.

use crate::core::content_hash::ContentHash;
use crate::core::decide::{Action, Content, Direction, Facts, Flow, Note, Replaces, Side, decide};
use crate::dropbox::wire::WriteMode;
use crate::engine::context::Pass;
use crate::engine::item::{Delete, Item, Local, Observed, Phase, is_racy};
use crate::engine::stable_read::{self, Unread};
use crate::error::Result;
use crate::index::{Base, BaseFile, Remote};
use crate::io::stat::Stamp;
use crate::report::{Change, printable};

impl Pass<'_> {
    /// Looks at one path and does what is to be done.
    pub(crate) fn visit(&mut self, phase: Phase, item: Item) -> Result<()> {
        if !item.row.intact {
            self.note_damaged(&item.row.key);
            return Ok(());
        }
        let remote = item.row.remote_side();
        let reach = self.env.config.sync.filter.allows(&item.display_path);
        let flow = Flow::of(self.options.mode, reach);
        if phase == Phase::Scan && flow != Flow::Neither {
            self.count(&item, remote);
        }
        if let (Local::File(status), Some(base), Remote::AsBase) =
            (&item.local, item.row.base_file(), &item.row.remote)
            && !base.racy
            && base.stamp == status.stamp
        {
            return Ok(());
        }
        if flow == Flow::Neither && !(self.reset_due && reach.up) {
            return Ok(());
        }
        if item.row.remote == Remote::NotDownloadable {
            self.not_downloadable(phase, &item);
            return Ok(());
        }
        let observed = match self.observe(&item) {
            Ok(observed) => observed,
            Err(unread) => {
                self.unread(&item, &unread);
                return Ok(());
            }
        };
        if let (Flow::Up, Side::Gone, Side::File(_)) = (flow, observed.side, remote) {
            self.only_in_dropbox += u64::from(phase == Phase::Scan);
        }
        let action = self.decision(&item, &observed);
        self.act(phase, action, item, observed)
    }

    fn decision(&self, item: &Item, observed: &Observed) -> Action {
        let sync = &self.env.config.sync;
        let reach = sync.filter.allows(&item.display_path);
        decide(Facts {
            flow: Flow::of(self.options.mode, reach),
            base: item.row.base_kind(),
            local: observed.side,
            remote: item.row.remote_side(),
            equal: self.equal(item, observed),
            reset_upload: self.reset_due && self.options.up && reach.up && sync.upload_on_reset,
        })
    }

    /// What is to be done about a path, if it can be told.
    pub(crate) fn plan_for(&self, item: &Item) -> Option<(Action, Observed)> {
        let observed = self.observe(item).ok()?;
        Some((self.decision(item, &observed), observed))
    }

    /// Changes of this direction may be made in this pass.
    pub(crate) fn may(&self, direction: Direction) -> bool {
        match direction {
            Direction::Down => self.options.down,
            Direction::Up => self.options.up,
        }
    }

    /// Dropbox has something of this name that cannot be downloaded.
    fn not_downloadable(&mut self, phase: Phase, item: &Item) {
        match (phase, item.local) {
            (Phase::Scan, Local::File(_) | Local::Folder { .. }) => self.env.report.problem(
                &item.display_path,
                "Dropbox has a web document or a link of this name, which cannot be downloaded; \
                 both are left alone: rename one",
            ),
            (Phase::Scan, _) => log::debug!("{}: cannot be downloaded", item.display_path),
            (Phase::Down, _) => {}
        }
    }

    /// Counts what the guards ask about: files that may travel only, and of them those that were
    /// where they are before the agent began to move files around, in this pass or in one that
    /// broke off before its guards were asked. A file that it has brought back was in step, but
    /// speaks for no side.
    fn count(&mut self, item: &Item, remote: Side) {
        let base = item.row.base_file();
        if base.is_some() {
            self.view_is_incomplete |= item.local == Local::Unknown || remote == Side::Unknown;
        }
        if let Some(base) = base.filter(|base| base.arrived_in_pass > self.last_guarded_pass) {
            self.has_arrivals = true;
            if base.reappeared {
                self.tally.base_files += 1;
            } else {
                let arrived = &mut self.tally.arrived;
                arrived.base += 1;
                arrived.local += u64::from(matches!(item.local, Local::File(_)));
                arrived.remote += u64::from(matches!(remote, Side::File(_)));
            }
            if let (Local::File(_), Side::File(Content::Same)) = (item.local, remote) {
                self.note_earlier_arrival(base.hash);
            }
            return;
        }
        self.tally.base_files += u64::from(base.is_some());
        let is_edited = match (item.local, base) {
            (Local::File(status), Some(base)) => status.stamp != base.stamp,
            (Local::File(_), None) => true,
            (Local::Unknown | Local::Gone | Local::Folder { .. }, _) => false,
        };
        // New on both sides: it may be the unsettled work of a pass that broke off.
        if is_edited && matches!(remote, Side::File(Content::Edited)) {
            return;
        }
        self.tally.local_files += u64::from(matches!(item.local, Local::File(_)));
        self.tally.remote_files += u64::from(matches!(remote, Side::File(_)));
    }

    /// Content that a pass that broke off has brought, the other name of a file that was moved.
    fn note_earlier_arrival(&mut self, hash: ContentHash) {
        if self.had_base {
            self.arrived_up.note_once(hash);
            self.arrived_down.note_once(hash);
        }
    }

    /// Tells a file from its base, reading it only where the stamp does not hold or where only
    /// its content can say whether both sides are equal.
    fn observe(&self, item: &Item) -> std::result::Result<Observed, Unread> {
        let read_at_ns = self.env.host.now_ns();
        let seen = |side, hash, stamp| {
            Ok(Observed {
                side,
                hash,
                stamp,
                read_at_ns,
            })
        };
        let status = match item.local {
            Local::Unknown => return seen(Side::Unknown, None, Stamp::default()),
            Local::Gone => return seen(Side::Gone, None, Stamp::default()),
            Local::Folder { .. } => return seen(Side::Folder, None, Stamp::default()),
            Local::File(status) => status,
        };
        let (same, edited) = (Side::File(Content::Same), Side::File(Content::Edited));
        let remote = match &item.row.remote {
            Remote::File(remote) => Some(remote),
            Remote::AsBase | Remote::Gone | Remote::Folder | Remote::NotDownloadable => None,
        };
        let could_be_equal =
            remote.is_some_and(|r| r.hash.is_some() && r.size == status.stamp.size);
        let Some(base) = item.row.base_file() else {
            if !could_be_equal {
                return seen(edited, None, status.stamp);
            }
            let (hash, stamp) = self.hash(item)?;
            return seen(edited, Some(hash), stamp);
        };
        if base.stamp == status.stamp && !base.racy {
            return seen(same, Some(base.hash), status.stamp);
        }
        if base.stamp.size != status.stamp.size && !could_be_equal {
            return seen(edited, None, status.stamp);
        }
        let (hash, stamp) = self.hash(item)?;
        seen(
            if hash == base.hash { same } else { edited },
            Some(hash),
            stamp,
        )
    }

    fn hash(&self, item: &Item) -> std::result::Result<(ContentHash, Stamp), Unread> {
        let path = item
            .path()
            .map_err(|error| Unread::Failed(std::io::Error::other(error)))?;
        stable_read::hash(self.env.disk, &path)
    }

    fn equal(&self, item: &Item, observed: &Observed) -> bool {
        let remote = item.row.remote_file().and_then(|file| file.hash);
        remote.is_some() && remote == observed.hash
    }

    fn unread(&mut self, item: &Item, unread: &Unread) {
        self.note_incomplete_view();
        match unread {
            // Gone or replaced since it was listed: the next pass sees what is there then.
            Unread::Vanished => self
                .env
                .report
                .deferred(&item.display_path, "it was just replaced"),
            Unread::KeepsChanging => self.env.report.problem(
                &item.display_path,
                "the file changes all the time; it is tried again in the next run",
            ),
            Unread::Failed(error) => self
                .env
                .report
                .problem(&item.display_path, &error.to_string()),
        }
    }

    fn act(&mut self, phase: Phase, action: Action, item: Item, observed: Observed) -> Result<()> {
        if action
            .direction()
            .is_some_and(|direction| !self.may(direction))
        {
            if phase == Phase::Scan {
                let report = self.env.report;
                report.deferred(
                    &item.display_path,
                    "it waits for a pass in the other direction",
                );
            }
            return Ok(());
        }
        // What came from Dropbox was dealt with in the first phase, unless Dropbox did not change.
        let tried = phase == Phase::Scan && item.row.remote != Remote::AsBase;
        match action {
            Action::Nothing => self.refresh_stamp(item, &observed),
            Action::Adopt if tried && self.dry() => Ok(()),
            Action::Adopt => self.adopt(item, &observed),
            // A file that was moved is forgotten under its old name once the new one is durable.
            Action::Forget if phase == Phase::Down && self.is_being_renamed(&item.row.key) => {
                Ok(())
            }
            Action::Forget => self.forget(phase, item),
            Action::Download | Action::Conflict if !tried => self.download(item, observed, action),
            Action::SetAside if !tried => self.set_aside(item, observed),
            Action::MakeLocalFolder if !tried => self.make_local_folder(item),
            Action::Download | Action::Conflict | Action::SetAside | Action::MakeLocalFolder => {
                Ok(())
            }
            Action::DeleteLocal | Action::DeleteRemote if phase == Phase::Scan => {
                self.collect(action, item);
                Ok(())
            }
            Action::UploadNew if phase == Phase::Scan => {
                self.upload(item, &observed, WriteMode::Add, None)
            }
            Action::UploadOver(Replaces::Seen) if phase == Phase::Scan && self.is_older => {
                self.ask_person(item, observed)
            }
            Action::UploadOver(replaces) if phase == Phase::Scan => {
                self.upload_over(item, &observed, replaces)
            }
            Action::MakeRemoteFolder if phase == Phase::Scan => {
                self.new_folders.push(item);
                Ok(())
            }
            Action::Report(note) if phase == Phase::Scan => {
                self.report_note(note, item, observed);
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

    fn upload_over(&mut self, item: Item, observed: &Observed, replaces: Replaces) -> Result<()> {
        let base = item.row.base_file().map(|base| base.rev.clone());
        let seen = item.row.remote_file().map(|file| file.rev);
        let (rev, more) = match replaces {
            Replaces::Base => (base, None),
            Replaces::Seen => (seen.clone(), seen),
        };
        let mode = rev.map_or(WriteMode::Add, WriteMode::Update);
        self.upload(item, observed, mode, more)
    }

    /// An older copy of the index cannot say whether what is here was edited, or is what Dropbox's
    /// version was made from: without a base a person decides.
    fn ask_person(&mut self, mut item: Item, observed: Observed) -> Result<()> {
        item.row.set_base(Base::None);
        self.undecided.push((item.clone(), observed));
        self.settle(item.row)
    }

    fn report_note(&mut self, note: Note, item: Item, observed: Observed) {
        match note {
            Note::EditedInDropbox => log::info!(
                "{}: deleted here, edited in Dropbox; nothing comes down in this mode",
                printable(&item.display_path)
            ),
            Note::Undecided => self.undecided.push((item, observed)),
            Note::FileMeetsFolder => {
                self.env.report.problem(
                    &item.display_path,
                    "a file on one side and a folder on the other; both are left alone: rename one",
                );
            }
        }
    }

    /// Keeps the stamp of an unchanged file so that it is not read again.
    fn refresh_stamp(&mut self, item: Item, observed: &Observed) -> Result<()> {
        let mut row = item.row;
        match (&mut row.base, item.local) {
            (Base::File(base), Local::File(_)) if observed.side == Side::File(Content::Same) => {
                let racy = is_racy(&observed.stamp, observed.read_at_ns);
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

    fn adopt(&mut self, item: Item, observed: &Observed) -> Result<()> {
        let base = match (item.local, item.row.remote_file(), observed.hash) {
            (Local::Folder { mount, .. }, _, _) => Base::Folder { mount },
            (Local::File(_), Some(remote), Some(hash)) => {
                self.env.report.adopted();
                self.note_earlier_arrival(hash);
                self.file_base(&item, remote.rev, hash, observed.stamp, observed.read_at_ns)
            }
            _ => return Ok(()),
        };
        let mut row = item.row;
        let was_in_step = row.base_file().is_some();
        row.settle(base, &item.name);
        if let (Base::File(base), true) = (&mut row.base, was_in_step) {
            // It may have been brought back by a pass that broke off before it could settle it.
            base.arrived_in_pass = self.last_guarded_pass + 1;
            base.reappeared = true;
            self.has_arrivals = true;
        }
        self.settle(row)
    }

    fn forget(&mut self, phase: Phase, item: Item) -> Result<()> {
        let mut row = item.row;
        let was_settled =
            |base: &BaseFile| base.reappeared || base.arrived_in_pass <= self.last_guarded_pass;
        if phase == Phase::Down && row.base_file().is_some_and(was_settled) {
            // It was in step, and has no base any more when the others are counted.
            self.tally.base_files += 1;
        }
        row.set_base(Base::None);
        self.settle(row)
    }

    /// What takes the name once the delete has freed it.
    fn plan_swap(&self, direction: Direction, item: &Item) {
        let change = match (direction, item.local) {
            (Direction::Down, _) if item.row.remote_is_folder() => Change::MakeLocalFolder,
            (Direction::Down, _) => Change::Download,
            (Direction::Up, Local::Folder { .. }) => Change::MakeRemoteFolder,
            (Direction::Up, _) => Change::Upload,
        };
        self.env.report.changed(change, &item.display_path, "");
    }

    fn collect(&mut self, action: Action, item: Item) {
        if self.dry() && self.is_being_renamed(&item.row.key) {
            return;
        }
        let direction = if action == Action::DeleteLocal {
            Direction::Down
        } else {
            Direction::Up
        };
        // What takes the name afterwards is made in a second round.
        let swaps = match direction {
            Direction::Down => item.row.remote_is_folder() || item.row.remote_file().is_some(),
            Direction::Up => !matches!(item.local, Local::Gone),
        };
        self.needs_second_round |= swaps;
        if swaps && self.dry() {
            self.plan_swap(direction, &item);
        }
        if !self.is_second_round {
            self.deletes.push(Delete { direction, item });
        }
    }
}
