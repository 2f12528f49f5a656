//! One walk over the content dir for all that is asked of it, a directory at a time: what cannot be
//! read, names that do not travel, how many folders there are, and marks of other programs.

use std::ops::Range;
use std::time::Duration;

use super::check::{Check, Sample};
use super::marks::tool_of;
use crate::config::Config;
use crate::core::filter::Filter;
use crate::core::names::{is_litter, refused_by_dropbox};
use crate::core::own_names::{MARKER, is_own_name};
use crate::core::path::{RelPath, below, fold, nfc};
use crate::io::RealDisk;
use crate::io::disk::ReadDisk;
use crate::io::host::Host;
use crate::io::listing::Listing;
use crate::io::stat::Kind;
use crate::words::{counted, grouped};

/// How long the walk may take.
const TIME: Duration = Duration::from_secs(20);
/// LIMIT: files that are asked about whether they may be read; what is wrong with many shows in the
/// first.
const ASKED_MAX: u64 = 10_000;
/// Where the kernel says how many folders may be watched.
const WATCHES: &str = "/proc/sys/fs/inotify/max_user_watches";

/// What was found.
#[derive(Default)]
pub struct WalkedTree {
    /// Files and folders that may not be read.
    pub unreadable: Sample,
    /// Marks of other programs that sync, and where.
    pub tools: Vec<(&'static str, String)>,
    /// Folders that are content dirs of their own.
    pub markers: Sample,
    /// Folders that are looked into.
    folders: u64,
    names: u64,
    asked: u64,
    clashes: Sample,
    refused: Sample,
    not_utf8: Sample,
    /// There was no time for all of it.
    is_cut: bool,
}

/// Directories that are still to be looked into, their paths back to back.
#[derive(Default)]
struct ToWalk {
    text: String,
    ends: Vec<u32>,
}

impl ToWalk {
    /// LIMIT: their paths may have 4 GiB together.
    fn push(&mut self, path: &RelPath) {
        self.text.push_str(path.as_str());
        self.ends
            .push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
    }

    fn pop(&mut self) -> Option<RelPath> {
        self.ends.pop()?;
        let start = self.ends.last().map_or(0, |end| *end as usize);
        let path = RelPath::parse(self.text.get(start..)?).ok();
        self.text.truncate(start);
        path
    }
}

/// What is looked at, and by which rules.
pub struct Walked<'w> {
    /// The content dir.
    pub disk: &'w RealDisk,
    /// What travels.
    pub filter: &'w Filter,
    /// Keys below it that hold files of our own.
    pub own_keys: &'w [String],
}

impl Walked<'_> {
    /// Walks, as long as there is time.
    pub fn walk(&self, host: &dyn Host) -> WalkedTree {
        let mut tree = WalkedTree::default();
        let mut to_walk = ToWalk::default();
        let end = host.elapsed().saturating_add(TIME);
        let mut next = Some(RelPath::root());
        while let Some(dir) = next {
            if host.elapsed() >= end {
                tree.is_cut = true;
                break;
            }
            tree.folders += 1;
            match self.disk.list(&dir) {
                Ok(mut listing) => {
                    listing.names.sort();
                    self.folder(&dir, &listing, &mut tree, &mut to_walk);
                }
                Err(_) => tree.unreadable.add(|| dir.slashed()),
            }
            next = to_walk.pop();
        }
        tree
    }

    fn folder(
        &self,
        dir: &RelPath,
        listing: &Listing<'_>,
        tree: &mut WalkedTree,
        to_walk: &mut ToWalk,
    ) {
        tree.names += listing.names.len() as u64;
        for odd in &listing.not_utf8 {
            let path = in_dir(dir, &odd.shown);
            if !self.filter.prunes(&nfc(&path)) {
                tree.not_utf8.add(|| path);
            }
        }
        let mut at = 0;
        while at < listing.names.len() {
            let same = same_key(listing, at);
            at = same.end;
            let travelling = same.filter(|at| self.entry(dir, listing, *at, tree, to_walk));
            let travelling: Vec<_> = travelling.take(2).collect();
            if let [one, other] = travelling[..] {
                let name = |at| listing.names.get(at).unwrap_or_default();
                tree.clashes
                    .add(|| format!("{} and {}", in_dir(dir, name(one)), name(other)));
            }
        }
    }

    /// One name; whether it travels.
    fn entry(
        &self,
        dir: &RelPath,
        listing: &Listing<'_>,
        at: usize,
        tree: &mut WalkedTree,
        to_walk: &mut ToWalk,
    ) -> bool {
        let name = listing.names.get(at).unwrap_or_default();
        if let Some(tool) = tool_of(name)
            && !tree.tools.iter().any(|(known, _)| *known == tool)
        {
            tree.tools.push((tool, in_dir(dir, name)));
        }
        if name == MARKER && !dir.is_root() {
            tree.markers.add(|| dir.slashed());
        }
        let Ok(path) = dir.join(name) else {
            return false;
        };
        let key = fold(path.as_str());
        let is_ours = || self.own_keys.iter().any(|own| below(&key, own).is_some());
        if is_own_name(name) || is_litter(name) || is_ours() {
            return false;
        }
        let Ok(Some(status)) = listing.handle.status(name) else {
            return false;
        };
        let shown = nfc(&path.slashed());
        let travels = match status.kind {
            Kind::Folder if !self.filter.prunes_folder(&shown) => {
                to_walk.push(&path);
                true
            }
            Kind::File => self.filter.leaves_out(&shown, false).is_none(),
            Kind::Folder | Kind::Link | Kind::Special(_) => false,
        };
        if travels && refused_by_dropbox(name).is_some() {
            tree.refused.add(|| path.slashed());
        }
        if travels && status.kind == Kind::File && tree.asked < ASKED_MAX {
            tree.asked += 1;
            if !self.disk.may_read(&path) {
                tree.unreadable.add(|| path.slashed());
            }
        }
        travels
    }
}

/// The path of a name, as people read it.
fn in_dir(dir: &RelPath, name: &str) -> String {
    match dir.is_root() {
        true => format!("/{name}"),
        false => format!("/{dir}/{name}"),
    }
}

/// The places of all names with the key of the one at this place.
fn same_key(listing: &Listing<'_>, at: usize) -> Range<usize> {
    let key = listing.names.folded(at);
    let is_same = |next: &usize| listing.names.folded(*next) == key;
    let count = (at + 1..listing.names.len()).take_while(is_same).count();
    at..at + 1 + count
}

/// Are there names that Dropbox does not take, or takes for one?
pub fn names(tree: &WalkedTree) -> Check {
    let mut check = Check::new("names");
    let remedy = "rename them, or leave them out with sync.ignore";
    for (sample, one, many, why) in [
        (
            &tree.clashes,
            "pair of names",
            "pairs of names",
            "that Dropbox takes for one",
        ),
        (&tree.refused, "name", "names", "that Dropbox does not take"),
        (
            &tree.not_utf8,
            "name",
            "names",
            "not UTF-8, which Dropbox cannot hold",
        ),
    ] {
        if sample.count > 0 {
            let count = counted(sample.count, one, many);
            check.warn(format!("{count} {why}: {}", sample.names()), remedy);
        }
    }
    let looked = format!(
        "{} in {} looked at",
        counted(tree.names, "name", "names"),
        counted(tree.folders, "folder", "folders")
    );
    check.ok(match tree.is_cut {
        true => format!("{looked}, and no more within {} seconds", TIME.as_secs()),
        false => looked,
    });
    check
}

/// May as many folders be watched as there are?
pub fn watch(config: &Config, tree: &WalkedTree) -> Check {
    let name = "watch";
    if !config.schedule.watch {
        return Check::skipped(name, "schedule.watch is off");
    }
    let most = fs_err::read_to_string(WATCHES).ok();
    let most = most.and_then(|text| text.trim().parse::<u64>().ok());
    let Some(most) = most else {
        return Check::skipped(
            name,
            "this system does not say how many folders may be watched",
        );
    };
    told_of_watches(name, tree.folders, tree.is_cut, most)
}

fn told_of_watches(name: &'static str, folders: u64, is_cut: bool, most: u64) -> Check {
    let mut check = Check::new(name);
    let at_least = if is_cut { "at least " } else { "" };
    let text = format!(
        "{at_least}{} to be watched, and a user may watch {}",
        counted(folders, "folder", "folders"),
        grouped(most)
    );
    if folders < most {
        check.ok(text);
        return check;
    }
    let enough = folders.saturating_mul(2).next_power_of_two();
    check.warn(
        format!("{text}: none is watched, and changes wait for their time"),
        format!(
            "echo fs.inotify.max_user_watches={enough} | sudo tee /etc/sysctl.d/60-ferrybox.conf \
             && sudo sysctl --system"
        ),
    );
    check
}

#[cfg(test)]
mod tests {
    use super::super::check::CheckState;
    use super::*;

    #[test]
    fn directories_come_back_one_by_one() {
        let mut to_walk = ToWalk::default();
        for path in ["a", "b/c", "d"] {
            to_walk.push(&RelPath::parse(path).unwrap());
        }
        let rest = std::iter::from_fn(|| to_walk.pop());
        let rest: Vec<_> = rest.map(|path| path.as_str().to_owned()).collect();
        assert_eq!(rest, ["d", "b/c", "a"]);
        assert!(to_walk.text.is_empty());
    }

    #[test]
    fn too_few_watches_are_told_with_what_is_enough() {
        assert_eq!(told_of_watches("w", 7, false, 8).state(), CheckState::Ok);
        let check = told_of_watches("w", 9000, true, 8192);
        assert_eq!(check.state(), CheckState::Warn);
        assert!(
            check.text().starts_with("at least 9,000 folders"),
            "{}",
            check.text()
        );
        assert!(check.remedies()[0].contains("watches=32768 |"));
    }
}
