//! The two walks of a pass: the pending rows first, then the whole tree.
//!
//! Both go directory by directory. The entries of one directory, sorted by key, are merged with
//! that directory's rows, so memory is bounded by the largest directory. A directory that cannot
//! be read is unknown: nothing below it is visited, so nothing follows from its silence.

use std::io;
use std::ops::Range;

use crate::core::decide::{Flow, Mode};
use crate::core::filter::is_own_name;
use crate::core::names::refused_by_dropbox;
use crate::core::path::{Key, RelPath, fold, join, nfc};
use crate::download::rev_of_part;
use crate::error::Result;
use crate::index::{Base, Brief, Remote, Row};
use crate::io::disk::{Kind, Status};
use crate::io::listing::{Listing, Look, Names};
use crate::pass::{Local, Pass, Phase, Spot, local_of};

/// Prefix and suffix of the temporary files of downloads.
pub const TEMP_PREFIX: &str = ".ferrybox-";
/// See [`TEMP_PREFIX`].
pub const TEMP_SUFFIX: &str = ".tmp";

/// What ext filesystems keep for repairs, in their topmost directory, which has this inode number.
const LOST_AND_FOUND: (&str, u64) = ("lost+found", 2);

/// A local name and what it stands for.
struct Entry {
    name: String,
    status: io::Result<Status>,
}

/// The local names of a directory, sorted by key.
struct Entries<'d> {
    names: Names,
    look: Option<Box<dyn Look + 'd>>,
}

impl Entries<'_> {
    /// Those of a directory that is not there.
    fn none() -> Self {
        Entries {
            names: Names::default(),
            look: None,
        }
    }

    /// What the names at these places stand for, right now.
    fn look_at(&self, places: Range<usize>) -> Vec<Entry> {
        let entry = |at| {
            let name = self.names.get(at)?;
            let status = match self.look.as_ref()?.status(name) {
                Ok(Some(status)) => Ok(status),
                // Removed since it was listed: perhaps renamed, and then listed under no name.
                Ok(None) => Err(io::ErrorKind::NotFound.into()),
                Err(error) => Err(error),
            };
            Some(Entry {
                name: name.to_owned(),
                status,
            })
        };
        places.filter_map(entry).collect()
    }
}

/// Where the directory of a key is locally.
pub(crate) enum Place {
    /// It is there, on this device.
    Present(RelPath, u64),
    /// It is not there; this is where it would be, and on which device.
    Absent(RelPath, u64),
    /// A file, a link or a clash is in the way.
    Blocked,
    /// It cannot be told; the second walk says why.
    Unknown,
}

/// A directory something is to come down into, as it was when it was looked into.
pub(crate) struct Looked<'d> {
    /// `/real/case/path`, as subjects have it; empty for the root.
    shown: String,
    path: RelPath,
    device: u64,
    entries: Entries<'d>,
}

/// A directory still to be walked.
struct Dir {
    key: String,
    /// `/real/case/path`, as subjects have it; empty for the root.
    shown: String,
    place: Place,
    blocked_up: bool,
}

impl<'a> Pass<'a> {
    /// First walk: everything Dropbox changed.
    pub(crate) fn walk_pending(&mut self) -> Result<()> {
        if !self.last_round {
            self.fetch_archives()?;
        }
        self.walk_pending_dirs()
    }

    /// Visits the pending rows, and lands what comes down.
    pub(crate) fn walk_pending_dirs(&mut self) -> Result<()> {
        let mut last: Option<String> = None;
        while let Some(dir) = self.tools.index.next_pending_dir(last.as_deref())? {
            self.pending_in(&dir)?;
            last = Some(dir);
        }
        self.finish_landing()?;
        self.flush_settles()
    }

    fn pending_in(&mut self, dir: &str) -> Result<()> {
        let mut rows = self.tools.index.rows_in_dir(dir);
        let Some(dir) = self.look_into(dir)? else {
            return Ok(());
        };
        while let Some(row) = rows.next()? {
            if (row.remote != Remote::AsBase || !row.sound)
                && let Some(spot) = self.spot_in(&dir, row)
            {
                self.visit(Phase::Down, spot)?;
            }
        }
        Ok(())
    }

    /// Looks into the directory of a key, to bring something down into it; nothing if it cannot.
    pub(crate) fn look_into(&mut self, dir: &str) -> Result<Option<Looked<'a>>> {
        let shown = format!("/{}", self.tools.index.shown_path(dir, None)?);
        let shown = shown.trim_end_matches('/').to_owned();
        let (path, device, entries) = match self.place_of(dir)? {
            Place::Present(path, device) => match self.entries(&path, device) {
                Some(entries) => (path, device, entries),
                None => return Ok(None),
            },
            Place::Absent(path, device) => (path, device, Entries::none()),
            // What is in the way may make room: plan as if it had.
            Place::Blocked if self.dry() => (RelPath::root(), 0, Entries::none()),
            Place::Blocked => {
                self.blocked_down(&shown);
                return Ok(None);
            }
            Place::Unknown => return Ok(None),
        };
        Ok(Some(Looked {
            shown,
            path,
            device,
            entries,
        }))
    }

    /// A row with what is local at its key; nothing if it is not looked at.
    pub(crate) fn spot_in(&self, dir: &Looked<'_>, row: Row) -> Option<Spot> {
        let subject = format!("{}/{}", dir.shown, row.shown);
        if self.shuts(&subject, &row.key) {
            return None;
        }
        let places = dir.entries.names.with_key(&row.key.name);
        let found = dir.entries.look_at(places);
        let (local, name) = one_of(&found, &row, dir.device);
        Some(Spot {
            row,
            local,
            dir: dir.path.clone(),
            device: dir.device,
            name,
            subject,
            blocked_up: false,
        })
    }

    /// Something stands where a folder of Dropbox would have to be.
    fn blocked_down(&mut self, shown: &str) {
        if self.last_round {
            self.tools.report.problem(
                shown,
                "something else is in the way of this folder; what Dropbox holds in it is left \
                 alone: move it away",
            );
        }
        self.waiting = true;
    }

    /// Second walk: everything, with what is local going up and deletes being collected.
    pub(crate) fn walk_all(&mut self) -> Result<()> {
        let root = RelPath::root();
        let device = match self.tools.disk.root() {
            Ok(status) => status.device,
            Err(error) => {
                return Err(crate::error::state_error("look at the content dir", &error));
            }
        };
        let mut dirs = vec![Dir {
            key: String::new(),
            shown: String::new(),
            place: Place::Present(root, device),
            blocked_up: false,
        }];
        while let Some(dir) = dirs.pop() {
            let from = dirs.len();
            self.walk_dir(dir, &mut dirs)?;
            dirs[from..].reverse();
        }
        self.finish_landing()?;
        self.flush_settles()
    }

    fn walk_dir(&mut self, dir: Dir, dirs: &mut Vec<Dir>) -> Result<()> {
        let (path, device, entries) = match &dir.place {
            Place::Present(path, device) => match self.entries(path, *device) {
                Some(entries) => (path.clone(), *device, entries),
                None => return Ok(()),
            },
            Place::Absent(path, device) => (path.clone(), *device, Entries::none()),
            Place::Blocked | Place::Unknown => return Ok(()),
        };
        let index = self.tools.index;
        let mut briefs = index.briefs_in_dir(&dir.key);
        let mut brief = briefs.next()?;
        let names = &entries.names;
        let mut at = 0;
        loop {
            let local = names.folded(at);
            let name = match (&brief, &local) {
                (None, None) => return Ok(()),
                (Some(brief), None) => brief.name.as_str(),
                (None, Some(local)) => local,
                (Some(brief), Some(local)) => brief.name.as_str().min(local),
            };
            let start = at;
            while names.folded(at).as_deref() == Some(name) {
                at += 1;
            }
            let found = entries.look_at(start..at);
            let known = if brief.as_ref().is_some_and(|brief| brief.name == name) {
                std::mem::replace(&mut brief, briefs.next()?)
            } else {
                None
            };
            if let (Some(known), [found]) = (&known, &*found)
                && self.is_in_step(&dir, known, found)
            {
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
    fn is_in_step(&mut self, dir: &Dir, known: &Brief, found: &Entry) -> bool {
        let is_same = match &found.status {
            Ok(status) => status.kind == Kind::File && Some(status.stamp) == known.stamp,
            Err(_) => false,
        };
        if !is_same || known.arrived > self.passes_done {
            return false;
        }
        let filter = &self.tools.config.sync.filter;
        let shown = known.shown.as_ref().unwrap_or(&known.name);
        let flow = if filter.takes_everything() && self.tools.own_keys.is_empty() {
            // What is below a barred directory is never visited.
            if filter.bars(shown) {
                return true;
            }
            Flow::Both
        } else {
            let subject = format!("{}/{shown}", dir.shown);
            if self.shuts(&subject, &Key::in_dir(&dir.key, &known.name)) {
                return true;
            }
            Flow::of(self.options.mode, filter.reach(&subject))
        };
        if flow != Flow::Neither {
            self.tally.base_files += 1;
            self.tally.local_files += 1;
            self.tally.remote_files += 1;
        }
        true
    }

    /// One key of a directory: its row, if any, and the local names that have this key.
    fn walk_key(
        &mut self,
        dir: &Dir,
        path: &RelPath,
        device: u64,
        known: Option<Row>,
        found: &[Entry],
        dirs: &mut Vec<Dir>,
    ) -> Result<()> {
        if known.is_none() && self.is_lost_and_found(path, device, found) {
            return Ok(());
        }
        let row = known.unwrap_or_else(|| {
            let name = found.first().map_or("", |entry| &entry.name);
            Row::new(Key::in_dir(&dir.key, name), &nfc(name))
        });
        if !row.sound {
            // Even where the filters would not look: its very name may be what is damaged.
            self.note_unsound(&row.key);
            return Ok(());
        }
        let subject = format!("{}/{}", dir.shown, row.shown);
        if self.shuts(&subject, &row.key) {
            return Ok(());
        }
        let (local, name) = one_of(found, &row, device);
        if found.len() > 1 {
            self.blind_spot();
            self.clash(&dir.shown, found);
        }
        for entry in found {
            if let Err(error) = &entry.status {
                self.blind_spot();
                let report = self.tools.report;
                match error.kind() {
                    io::ErrorKind::NotFound => report.deferred(&subject, "it was just removed"),
                    _ => report.problem(&subject, &format!("cannot look at it: {error}")),
                }
            }
        }
        if self.lost_mount(&row, &local) {
            self.blind_spot();
            self.tools.report.problem(
                &subject,
                "a disk was mounted here and is not any more; nothing below is touched: mount \
                 it, or remove the folder if it is meant to be empty",
            );
            return Ok(());
        }
        if !matches!(local, Local::Gone | Local::Unknown)
            && row.base == Base::None
            && self.refused(&subject, &name)
        {
            return Ok(());
        }
        if let Ok(child) = path.join(&name) {
            let place = match local {
                // Dropbox has no folder here, and none can be made.
                _ if row.remote == Remote::Opaque => None,
                Local::Folder { device, .. } => Some(Place::Present(child, device)),
                // What lay below a folder that is gone went with it.
                Local::Gone | Local::File(_) if row.may_have_children() => {
                    Some(Place::Absent(child, device))
                }
                Local::Gone | Local::File(_) | Local::Unknown => None,
            };
            if let Some(place) = place {
                dirs.push(Dir {
                    key: row.key.path(),
                    shown: subject.clone(),
                    place,
                    blocked_up: dir.blocked_up || row.remote_file().is_some(),
                });
            }
        }
        let spot = Spot {
            row,
            local,
            dir: path.clone(),
            device,
            name,
            subject,
            blocked_up: dir.blocked_up,
        };
        self.visit(Phase::Scan, spot)
    }

    /// The filesystem's own directory for repairs: nobody put it there, and only root can read it.
    /// One that Dropbox holds or that was in step is a folder like any other.
    fn is_lost_and_found(&self, dir: &RelPath, device: u64, found: &[Entry]) -> bool {
        let (name, top) = LOST_AND_FOUND;
        let is_it = |entry: &Entry| {
            entry.name == name
                && entry.status.as_ref().is_ok_and(|status| {
                    status.kind == Kind::Folder && status.uid == 0 && status.device == device
                })
        };
        let at_top = || match self.tools.disk.status(dir) {
            Ok(Some(dir)) => dir.stamp.inode == top,
            Ok(None) | Err(_) => false,
        };
        matches!(found, [entry] if is_it(entry)) && at_top()
    }

    /// Names Dropbox will not take are not sent to it again and again.
    fn refused(&mut self, subject: &str, name: &str) -> bool {
        match refused_by_dropbox(name) {
            Some(why) if self.may_go_up(subject) => {
                self.tools
                    .report
                    .problem(subject, &format!("{why}: rename or exclude it"));
                true
            }
            _ => false,
        }
    }

    fn may_go_up(&self, subject: &str) -> bool {
        let reach = self.tools.config.sync.filter.reach(subject);
        let once = self.reset_due && self.tools.config.sync.upload_on_reset;
        self.options.up && reach.up && (once || self.options.mode != Mode::DropboxToLocal)
    }

    fn clash(&mut self, shown: &str, found: &[Entry]) {
        for entry in found {
            let others: Vec<_> = found.iter().filter(|e| e.name != entry.name).collect();
            let other = others.first().map_or("", |e| e.name.as_str());
            self.tools.report.problem(
                &format!("{shown}/{}", entry.name),
                &format!("Dropbox would take it for the same name as {other}: rename one of them"),
            );
        }
    }

    /// A folder that was settled as a mount point and now lies on its parent's device.
    fn lost_mount(&self, row: &Row, local: &Local) -> bool {
        matches!(row.base, Base::Folder { mount: true })
            && matches!(local, Local::Folder { mount: false, .. })
    }

    /// The entries of a directory, sorted by key; nothing if it cannot be read.
    fn entries(&mut self, path: &RelPath, device: u64) -> Option<Entries<'a>> {
        let listed = self.tools.disk.list(path);
        // An unmounted disk leaves an empty directory: look after listing.
        let listed = listed.and_then(|listed| self.check_device(path, device).map(|()| listed));
        let listed = match listed {
            Ok(listed) => listed,
            Err(error) => {
                self.blind_spot();
                let report = self.tools.report;
                match error.kind() {
                    io::ErrorKind::NotFound => {
                        report.deferred(&path.slashed(), "it was just removed");
                    }
                    _ => report.problem(&path.slashed(), &error.to_string()),
                }
                return None;
            }
        };
        let Listing { names, odd, look } = listed;
        if self.options.mode != Mode::DropboxToLocal {
            for name in odd.iter().filter(|name| !name.starts_with('.')) {
                self.tools.report.problem(
                    &path.join(name).unwrap_or_default().slashed(),
                    "the name is not UTF-8, Dropbox cannot hold it: rename it",
                );
            }
        }
        let own: Vec<usize> = (0..names.len())
            .filter(|at| names.get(*at).is_some_and(is_own_name))
            .collect();
        let mut names = if own.is_empty() {
            names
        } else {
            own.iter()
                .filter_map(|at| names.get(*at))
                .for_each(|name| self.clean(path, name));
            names.without(&own)
        };
        names.sort();
        Some(Entries {
            names,
            look: Some(look),
        })
    }

    /// Removes what a download left behind when it was killed: we hold the lock, so it is nobody's.
    fn clean(&self, dir: &RelPath, name: &str) {
        let is_temp = name.starts_with(TEMP_PREFIX) && name.ends_with(TEMP_SUFFIX);
        let is_left = match rev_of_part(name) {
            // The beginning of a large file waits for the rest as long as that is to come.
            Some(rev) => matches!(self.tools.index.is_due(&fold(dir.as_str()), rev), Ok(false)),
            None => is_temp,
        };
        if self.dry() || !is_left || self.landing.holds(dir, name) {
            return;
        }
        if let Ok(path) = dir.join(name) {
            match self.tools.disk.remove_file(&path) {
                Ok(()) => log::debug!("removed a leftover of an earlier run: {path}"),
                Err(error) => log::debug!("{error}"),
            }
        }
    }

    /// Finds the local directory of a key, following names from the root: the exact local name
    /// first, then any name with the same key.
    pub(crate) fn place_of(&self, dir: &str) -> Result<Place> {
        let disk = self.tools.disk;
        let mut key = String::new();
        let Ok(root) = disk.root() else {
            return Ok(Place::Unknown);
        };
        let mut place = Place::Present(RelPath::root(), root.device);
        for component in dir.split('/').filter(|c| !c.is_empty()) {
            let at = Key {
                dir: key,
                name: component.to_owned(),
            };
            key = at.path();
            let row = self.tools.index.row(&at)?;
            let name = row.as_ref().map_or(component, Row::local_name);
            place = match place {
                Place::Blocked | Place::Unknown => return Ok(place),
                Place::Absent(path, device) => match path.join(name) {
                    Ok(path) => Place::Absent(path, device),
                    Err(_) => return Ok(Place::Blocked),
                },
                Place::Present(path, device) => {
                    let mounted = Base::Folder { mount: true };
                    let was_mount = row.as_ref().is_some_and(|row| row.base == mounted);
                    match self.step(&path, name, component, device) {
                        // Nothing is put where a disk is no longer mounted.
                        Place::Present(_, here) if was_mount && here == device => Place::Unknown,
                        place => place,
                    }
                }
            };
        }
        Ok(place)
    }

    fn step(&self, dir: &RelPath, name: &str, folded: &str, device: u64) -> Place {
        let disk = self.tools.disk;
        let Ok(exact) = dir.join(name) else {
            return Place::Blocked;
        };
        match disk.status(&exact) {
            Ok(Some(status)) => match local_of(&status, device) {
                Local::Folder { .. } => return Place::Present(exact, status.device),
                Local::File(_) | Local::Unknown | Local::Gone => return Place::Blocked,
            },
            Ok(None) => {}
            Err(_) => return Place::Unknown,
        }
        let Ok(listed) = disk.list(dir) else {
            return Place::Unknown;
        };
        let mut same = listed.names.iter().filter(|name| fold(name) == folded);
        match (same.next(), same.next()) {
            (None, _) => Place::Absent(exact, device),
            (Some(name), None) => match (listed.look.status(name), dir.join(name)) {
                (Ok(Some(status)), Ok(path))
                    if matches!(local_of(&status, device), Local::Folder { .. }) =>
                {
                    Place::Present(path, status.device)
                }
                _ => Place::Blocked,
            },
            (Some(_), Some(_)) => Place::Blocked,
        }
    }
}

/// What is local at a key, and under which name.
fn one_of(found: &[Entry], row: &Row, device: u64) -> (Local, String) {
    match found {
        [] => (Local::Gone, row.local_name().to_owned()),
        [entry] => {
            let local = match &entry.status {
                Ok(status) => local_of(status, device),
                Err(_) => Local::Unknown,
            };
            if local == Local::Unknown {
                log::debug!(
                    "{}: not a file or folder: skipped",
                    join(&row.key.dir, &entry.name)
                );
            }
            (local, entry.name.clone())
        }
        [entry, ..] => (Local::Unknown, entry.name.clone()),
    }
}
