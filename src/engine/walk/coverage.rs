//! How much in the content dir is left out, and by which rule: a walk of its own, over what the
//! other walks do not look into as well. It asks the disk alone.

use std::collections::{BTreeMap, BTreeSet};

use super::queue::{DirQueue, QueuedDir};
use crate::config::Config;
use crate::core::decide::Directions;
use crate::core::filter::{LeftOut, ListName};
use crate::core::names::is_litter;
use crate::core::near_miss::NearMiss;
use crate::core::own_names::is_own_name;
use crate::core::path::{DisplayPath, RelPath, below, fold, nfc};
use crate::engine::item::spelling;
use crate::engine::local_dir::LocalDir;
use crate::engine::survey::note_special;
use crate::error::{Result, state_error};
use crate::io::disk::ReadDisk;
use crate::io::stat::{Kind, Status};
use crate::report::Skipped;

/// A place that is looked at, and what is asked of each thing in it.
pub struct Surveyed<'s> {
    /// The content dir.
    pub disk: &'s dyn ReadDisk,
    /// The configuration as it holds.
    pub config: &'s Config,
    /// Keys below the content dir that hold our own configuration and state.
    pub own_keys: &'s [String],
}

/// What was found.
#[derive(Default)]
pub struct Coverage {
    /// Files that no rule leaves out.
    pub synced: u64,
    /// Of all files that may be asked about, how many the filters let up, and down.
    pub let_up: u64,
    /// The same for what comes down.
    pub let_down: u64,
    /// What is left out.
    pub skipped: Skipped,
    /// Files with a name that is not UTF-8, which Dropbox cannot hold.
    pub not_utf8: u64,
    /// Folders that could not be read.
    pub unread: u64,
    /// Patterns that leave something out.
    deciding: BTreeSet<(ListName, usize)>,
    /// Files that each pattern matches.
    hits: BTreeMap<(ListName, usize), u64>,
}

impl Coverage {
    /// How many files a pattern matches, whatever others say.
    pub fn files_of(&self, list: ListName, at: usize) -> u64 {
        self.hits.get(&(list, at)).copied().unwrap_or(0)
    }

    /// How many patterns leave something out.
    pub fn patterns_that_leave_out(&self) -> u64 {
        self.deciding.len() as u64
    }
}

/// What a walk hands on: a path as filters see it, and what is there.
type OnEach<'v> = dyn FnMut(&str, &Status) + 'v;

impl Surveyed<'_> {
    /// Counts everything.
    ///
    /// # Errors
    /// If the content dir itself cannot be looked at.
    pub fn count(&self) -> Result<Coverage> {
        let mut coverage = Coverage::default();
        let (not_utf8, unread) = self.each(&mut |path, status| {
            self.note(&mut coverage, path, status);
        })?;
        (coverage.not_utf8, coverage.unread) = (not_utf8, unread);
        Ok(coverage)
    }

    fn note(&self, coverage: &mut Coverage, path: &str, status: &Status) {
        let filter = &self.config.sync.filter;
        let is_folder = status.kind == Kind::Folder;
        let left_out = filter.leaves_out(path, is_folder);
        if left_out == Some(LeftOut::Own) {
            return;
        }
        if status.kind == Kind::File {
            filter.each_matching(path, is_folder, &mut |list, at| {
                *coverage.hits.entry((list, at)).or_default() += 1;
            });
        }
        if let (Kind::File, Some(LeftOut::Pattern(list, at))) = (status.kind, left_out) {
            coverage.deciding.insert((list, at));
        }
        let skipped = &mut coverage.skipped;
        match (status.kind, left_out) {
            (Kind::Folder, _) | (_, Some(LeftOut::Own)) => {}
            (_, Some(LeftOut::Hidden)) => skipped.hidden += 1,
            (_, Some(LeftOut::Pattern(ListName::Ignore, _))) => skipped.ignored += 1,
            (_, Some(LeftOut::Pattern(..))) => skipped.excluded += 1,
            (Kind::Link, _) => skipped.links += 1,
            (Kind::Special(kind), _) => note_special(skipped, kind),
            (Kind::File, _) if path.rsplit('/').next().is_some_and(is_litter) => {
                skipped.litter += 1;
            }
            (Kind::File, _) => {
                let allows = filter.allows(path);
                coverage.let_up += u64::from(allows.up);
                coverage.let_down += u64::from(allows.down);
                let most = self.config.sync.max_file_size;
                match Directions::of(self.config.sync.mode, allows) {
                    Directions::Neither => skipped.unlisted += 1,
                    _ if most.is_some_and(|most| status.stamp.size > most) => {
                        skipped.too_large += 1;
                    }
                    _ => coverage.synced += 1,
                }
            }
        }
    }

    /// For each pattern that matches nothing what it was probably meant to be, and a path that it
    /// would match then.
    ///
    /// # Errors
    /// As [`Surveyed::count`].
    pub fn near_misses(
        &self,
        coverage: &Coverage,
    ) -> Result<BTreeMap<(ListName, usize), (String, String)>> {
        let filter = &self.config.sync.filter;
        let unmatched = filter
            .patterns()
            .filter(|written| coverage.files_of(written.list, written.at) == 0);
        let near: Vec<_> = unmatched
            .map(|written| ((written.list, written.at), NearMiss::of(&written)))
            .collect();
        let mut found = BTreeMap::<_, (usize, String, String)>::new();
        if !near.is_empty() {
            self.each(&mut |path, status| {
                let is_ours = filter.leaves_out(path, false) == Some(LeftOut::Own);
                if status.kind != Kind::File || is_ours {
                    return;
                }
                for (place, readings) in &near {
                    let best = found.get(place).map_or(readings.len(), |(at, ..)| *at);
                    let mut better = readings[..best].iter().enumerate();
                    if let Some((at, near)) = better.find(|(_, near)| near.matches(path, false)) {
                        found.insert(*place, (at, near.advice().to_owned(), path.to_owned()));
                    }
                }
            })?;
        }
        let told = |(place, (_, advice, path))| (place, (advice, path));
        Ok(found.into_iter().map(told).collect())
    }

    /// Hands on everything, folder by folder; returns how many names are not UTF-8, and how many
    /// folders could not be read.
    fn each(&self, visit: &mut OnEach<'_>) -> Result<(u64, u64)> {
        let root = self.disk.root();
        let root = root.map_err(|error| state_error("look at the content dir", &error))?;
        let (mut not_utf8, mut unread) = (0, 0);
        let mut dirs = DirQueue::default();
        let mut next = Some(queued(RelPath::root(), root.device));
        while let Some(dir) = next {
            let mark = dirs.mark();
            if let LocalDir::Present(path, _) = &dir.local {
                match self.dir(path, &mut dirs, visit)? {
                    Some(odd) => not_utf8 += odd,
                    None => unread += 1,
                }
            }
            dirs.close(mark);
            next = dirs.pop();
        }
        Ok((not_utf8, unread))
    }

    /// One folder; nothing if it cannot be read.
    fn dir(
        &self,
        dir: &RelPath,
        dirs: &mut DirQueue,
        visit: &mut OnEach<'_>,
    ) -> Result<Option<u64>> {
        let Ok(listing) = self.disk.list(dir) else {
            return Ok(None);
        };
        for name in listing.names.iter().filter(|name| !is_own_name(name)) {
            let (Ok(Some(status)), Ok(path)) = (listing.handle.status(name), dir.join(name)) else {
                continue;
            };
            let key = fold(path.as_str());
            if self.own_keys.iter().any(|own| below(&key, own).is_some()) {
                continue;
            }
            visit(&nfc(&spelling(dir, name)), &status);
            if status.kind == Kind::Folder {
                dirs.push(&queued(path, status.device))?;
            }
        }
        Ok(Some(listing.not_utf8.len() as u64))
    }
}

fn queued(path: RelPath, device: u64) -> QueuedDir {
    QueuedDir {
        key: path.as_str().to_owned(),
        display_path: DisplayPath::from(path.slashed()),
        local: LocalDir::Present(path, device),
        blocked_up: false,
    }
}
