//! The two walks of a pass: the pending rows first, then the whole tree.
//!
//! Both go directory by directory. The entries of one directory, sorted by key, are merged with
//! that directory's rows, so memory is bounded by the largest directory. A directory that cannot
//! be read is unknown: nothing below it is visited, so nothing follows from its silence.

pub mod archive;
mod queue;

use std::io;

use queue::{DirQueue, QueuedDir};

use crate::engine::local_dir::{LocalDir, LocalEntries, LocalEntry, one_of};

use crate::core::decide::{Flow, Mode};
use crate::core::filter::FilterAllows;
use crate::core::names::refused_by_dropbox;
use crate::core::path::{DisplayPath, Key, RelPath, nfc};
use crate::engine::context::Pass;
use crate::engine::item::{Item, Local, Phase};
use crate::error::Result;
use crate::index::{Base, Remote, Row, RowSummary};
use crate::io::stat::Kind;

impl Pass<'_> {
    /// First walk: everything Dropbox changed.
    pub(crate) fn walk_pending(&mut self) -> Result<()> {
        if self.is_second_round || self.fetch_archives()? {
            self.walk_pending_dirs()
        } else {
            Ok(())
        }
    }

    /// Visits the pending rows, and lands what comes down.
    pub(crate) fn walk_pending_dirs(&mut self) -> Result<()> {
        let mut last: Option<String> = None;
        while let Some(dir) = self.env.index.next_pending_dir(last.as_deref())? {
            self.pending_in(&dir)?;
            last = Some(dir);
        }
        self.finish_publishing()?;
        self.flush_settles()
    }

    fn pending_in(&mut self, dir: &str) -> Result<()> {
        let Some(display_path) = self.display_path_of(dir)? else {
            return Ok(());
        };
        let mut rows = self.env.index.rows_in_dir(dir);
        let mut opened = None;
        while let Some(row) = rows.next()? {
            self.env.deadline.check()?;
            let is_pending = row.remote != Remote::AsBase || !row.intact;
            // What is shut is pending for ever, and no reason to look.
            if !is_pending || self.prunes(&display_path.join(&row.display_name), &row.key) {
                continue;
            }
            if opened.is_none() {
                opened = self.open_dir(dir)?;
            }
            let Some(opened) = &opened else {
                return Ok(());
            };
            if let Some(item) = self.item_at(opened, row) {
                self.visit(Phase::Down, item)?;
            }
        }
        Ok(())
    }

    /// Second walk: everything, with what is local going up and deletes being collected.
    pub(crate) fn walk_all(&mut self) -> Result<()> {
        let root = RelPath::root();
        let device = match self.env.disk.root() {
            Ok(status) => status.device,
            Err(error) => {
                return Err(crate::error::state_error("look at the content dir", &error));
            }
        };
        let mut dirs = DirQueue::default();
        let mut next = Some(QueuedDir {
            key: String::new(),
            display_path: DisplayPath::default(),
            local: LocalDir::Present(root, device),
            blocked_up: false,
        });
        while let Some(dir) = next {
            let mark = dirs.mark();
            self.walk_dir(dir, &mut dirs)?;
            dirs.close(mark);
            next = dirs.pop();
        }
        self.finish_publishing()?;
        self.flush_settles()
    }

    fn walk_dir(&mut self, dir: QueuedDir, dirs: &mut DirQueue) -> Result<()> {
        self.env.deadline.check()?;
        let (path, device, entries) = match &dir.local {
            LocalDir::Present(path, device) => match self.entries(path, *device) {
                Some(entries) => (path.clone(), *device, entries),
                None => return Ok(()),
            },
            LocalDir::Absent(path, device) => (path.clone(), *device, LocalEntries::none()),
            LocalDir::Blocked | LocalDir::Unknown => return Ok(()),
        };
        let index = self.env.index;
        let mut summaries = index.summaries_in_dir(&dir.key);
        let mut summary = summaries.next()?;
        let names = &entries.names;
        let mut at = 0;
        loop {
            let local = names.folded(at);
            let name = match (&summary, &local) {
                (None, None) => return Ok(()),
                (Some(summary), None) => summary.name.as_str(),
                (None, Some(local)) => local,
                (Some(summary), Some(local)) => summary.name.as_str().min(local),
            };
            let start = at;
            while names.folded(at).as_deref() == Some(name) {
                at += 1;
            }
            let found = entries.stat_range(start..at);
            let known = if summary.as_ref().is_some_and(|summary| summary.name == name) {
                std::mem::replace(&mut summary, summaries.next()?)
            } else {
                None
            };
            let is_done = match (&known, &*found) {
                (Some(known), [found]) => self.is_in_step(&dir, known, found),
                (Some(known), []) => self.stays_there(&dir, known),
                _ => false,
            };
            if is_done {
                continue;
            }
            let known = known
                .map(|known| index.row_of(&dir.key, known))
                .transpose()?;
            self.walk_key(&dir, &path, device, known.flatten(), &found, dirs)?;
        }
    }

    /// Nothing has happened to a file, and it is counted: so it is with nearly all of them in
    /// nearly every pass. Any doubt is left to the closer look.
    fn is_in_step(&mut self, dir: &QueuedDir, known: &RowSummary, found: &LocalEntry) -> bool {
        let is_same = match &found.status {
            Ok(status) => status.kind == Kind::File && Some(status.stamp) == known.stamp,
            Err(_) => false,
        };
        if !is_same || known.arrived_in_pass > self.last_guarded_pass {
            return false;
        }
        if self
            .flow_of(dir, known)
            .is_some_and(|flow| flow != Flow::Neither)
        {
            self.tally.base_files += 1;
            self.tally.local_files += 1;
            self.tally.remote_files += 1;
        }
        true
    }

    /// A file only Dropbox has, where nothing may come down, and it is counted.
    fn stays_there(&mut self, dir: &QueuedDir, known: &RowSummary) -> bool {
        if !known.is_only_there {
            return false;
        }
        match self.flow_of(dir, known) {
            Some(Flow::Up) => {
                self.tally.remote_files += 1;
                self.only_in_dropbox += 1;
                true
            }
            Some(Flow::Both | Flow::Down) => false,
            Some(Flow::Neither) | None => true,
        }
    }

    /// Which way a file may travel; nothing if it is not looked at.
    fn flow_of(&self, dir: &QueuedDir, known: &RowSummary) -> Option<Flow> {
        let filter = &self.env.config.sync.filter;
        let display_name = known.display_name.as_ref().unwrap_or(&known.name);
        if filter.takes_everything() && self.env.own_keys.is_empty() {
            // What is below a barred directory is never visited.
            let all = FilterAllows {
                up: true,
                down: true,
            };
            return (!filter.hides_name(display_name)).then(|| Flow::of(self.options.mode, all));
        }
        let display_path = dir.display_path.join(display_name);
        if self.prunes(&display_path, &Key::in_dir(&dir.key, &known.name)) {
            return None;
        }
        Some(Flow::of(self.options.mode, filter.allows(&display_path)))
    }

    /// One key of a directory: its row, if any, and the local names that have this key.
    fn walk_key(
        &mut self,
        dir: &QueuedDir,
        path: &RelPath,
        device: u64,
        known: Option<Row>,
        found: &[LocalEntry],
        dirs: &mut DirQueue,
    ) -> Result<()> {
        self.env.deadline.check()?;
        if known.is_none() && self.is_lost_and_found(path, device, found) {
            return Ok(());
        }
        let row = known.unwrap_or_else(|| {
            let name = found.first().map_or("", |entry| &entry.name);
            Row::new(Key::in_dir(&dir.key, name), &nfc(name))
        });
        if !row.intact {
            // Even where the filters would not look: its very name may be what is damaged.
            self.note_damaged(&row.key);
            return Ok(());
        }
        let display_path = dir.display_path.join(&row.display_name);
        if self.prunes(&display_path, &row.key) {
            return Ok(());
        }
        let (local, name) = one_of(found, &row, device);
        if found.len() > 1 {
            self.note_incomplete_view();
            self.clash(&dir.display_path, found);
        }
        for entry in found {
            if let Err(error) = &entry.status {
                self.note_incomplete_view();
                let report = self.env.report;
                match error.kind() {
                    io::ErrorKind::NotFound => {
                        report.deferred(&display_path, "it was just removed")
                    }
                    _ => report.problem(&display_path, &format!("cannot look at it: {error}")),
                }
            }
        }
        if self.lost_mount(&row, &local) {
            self.note_incomplete_view();
            self.env.report.problem(
                &display_path,
                "a disk was mounted here and is not any more; nothing below is touched: mount \
                 it, or remove the folder if it is meant to be empty",
            );
            return Ok(());
        }
        if !matches!(local, Local::Gone | Local::Unknown)
            && row.base == Base::None
            && self.refused(&display_path, &name)
        {
            return Ok(());
        }
        if let Ok(child) = path.join(&name) {
            let child_dir = match local {
                // Dropbox has no folder here, and none can be made.
                _ if row.remote == Remote::NotDownloadable => None,
                Local::Folder { device, .. } => Some(LocalDir::Present(child, device)),
                // What lay below a folder that is gone went with it.
                Local::Gone | Local::File(_) if row.may_have_children() => {
                    Some(LocalDir::Absent(child, device))
                }
                Local::Gone | Local::File(_) | Local::Unknown => None,
            };
            if let Some(child_dir) = child_dir {
                dirs.push(&QueuedDir {
                    key: row.key.path(),
                    display_path: display_path.clone(),
                    local: child_dir,
                    blocked_up: dir.blocked_up || row.remote_file().is_some(),
                })?;
            }
        }
        let item = Item {
            row,
            local,
            dir: path.clone(),
            device,
            name,
            display_path,
            blocked_up: dir.blocked_up,
        };
        self.visit(Phase::Scan, item)
    }

    /// Names Dropbox will not take are not sent to it again and again.
    fn refused(&mut self, display_path: &str, name: &str) -> bool {
        match refused_by_dropbox(name) {
            Some(why) if self.may_go_up(display_path) => {
                self.env
                    .report
                    .problem(display_path, &format!("{why}: rename or exclude it"));
                true
            }
            _ => false,
        }
    }

    fn may_go_up(&self, display_path: &str) -> bool {
        let reach = self.env.config.sync.filter.allows(display_path);
        let once = self.reset_due && self.env.config.sync.upload_on_reset;
        self.options.up && reach.up && (once || self.options.mode != Mode::DropboxToLocal)
    }

    fn clash(&mut self, display_path: &str, found: &[LocalEntry]) {
        for entry in found {
            let others: Vec<_> = found.iter().filter(|e| e.name != entry.name).collect();
            let other = others.first().map_or("", |e| e.name.as_str());
            self.env.report.problem(
                &format!("{display_path}/{}", entry.name),
                &format!("Dropbox would take it for the same name as {other}: rename one of them"),
            );
        }
    }

    /// A folder that was settled as a mount point and now lies on its parent's device.
    fn lost_mount(&self, row: &Row, local: &Local) -> bool {
        matches!(row.base, Base::Folder { mount: true })
            && matches!(local, Local::Folder { mount: false, .. })
    }
}
