//! What a history's people, faults and checks share; it is changed in the middle of a run.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;

use dropbox_standin::{Effect, Fault, Standin, When};
use ferrybox::core::path::{fold, nfc};

use super::disk::SimDisk;
use super::files::{Files, files_of, files_on, is_own};
use super::guards::Watch;
use super::intruder::{DEEDS, Moment, intrude};
use super::oracle::{Oracle, shown};
use super::plan::{Edit, EditKind, Mishap, Side, TROUBLES, Trouble};
use super::random::Random;
use super::seam::{Call, Op, Verdict};
use super::tree::Tree;
use crate::world::Hands;

/// The people at all sides, and what must hold for them.
pub struct Scene {
    oracle: Oracle,
    dropbox: Standin,
    disks: Vec<SimDisk>,
    /// What was in the content dirs whose disk came off.
    away: Vec<Option<Tree>>,
    /// What Dropbox has trouble with, in every run.
    troubles: Vec<Fault>,
    /// Counts what the running pass deletes.
    pub watch: Option<Watch>,
    pub violation: Option<String>,
    /// How often each kind of fault struck.
    pub faults: BTreeMap<String, u64>,
    checked: Checked,
}

/// States already found sound.
#[derive(Default)]
struct Checked {
    writes: Vec<u64>,
    position: u64,
}

impl Scene {
    pub fn new(dropbox: Standin, disks: Vec<SimDisk>) -> Scene {
        Scene {
            oracle: Oracle::default(),
            dropbox,
            checked: Checked {
                writes: vec![0; disks.len()],
                position: 0,
            },
            away: disks.iter().map(|_| None).collect(),
            disks,
            troubles: Vec::new(),
            watch: None,
            violation: None,
            faults: BTreeMap::new(),
        }
    }

    pub fn count(&mut self, fault: &str) {
        *self.faults.entry(fault.to_owned()).or_default() += 1;
    }

    /// From now on Dropbox has trouble with a path.
    pub fn trouble(&mut self, path: &str, trouble: usize) {
        let (route, trouble) = TROUBLES[trouble];
        let effect = match trouble {
            Trouble::Refused(tags) => Effect::refused(tags),
            Trouble::Status(status) => Effect::Status(status, "oops".to_owned()),
            Trouble::Cut => Effect::CutBefore,
        };
        self.count(&format!("{trouble:?}, lasting"));
        // Downloads name a revision, and a name that is not ASCII is escaped in a header.
        let about = match (route, path.is_ascii()) {
            ("files/list_folder", _) => "\"recursive\":true".to_owned(),
            ("files/download", _) | (_, false) => String::new(),
            (_, true) => format!("/{path}\""),
        };
        let when = match about.is_empty() {
            true => When::Every(3),
            false => When::Always,
        };
        // The names of others contain that of the listing.
        let fault = match route {
            "files/list_folder" => Fault::exactly(route, when, effect),
            _ => Fault::new(route, when, effect),
        };
        self.troubles.push(fault.about(&about));
    }

    /// Nothing is the matter with any path any more.
    pub fn heal(&mut self) {
        self.troubles.clear();
    }

    /// Lets what lasts strike from the beginning of a run.
    pub fn have_troubles(&self) {
        for trouble in &self.troubles {
            self.dropbox.inject(trouble.clone());
        }
    }

    /// Lets what is due strike this call.
    pub fn mishaps(
        &mut self,
        call: &Call,
        due: &mut Vec<(u64, Mishap)>,
        lasting: &mut Option<ErrorKind>,
    ) -> Verdict {
        let changes = call.op.is_local() && call.op.changes();
        if let (Some(kind), true) = (*lasting, changes) {
            return Verdict::Fail(kind);
        }
        let strikes = |(at, mishap): &(u64, Mishap)| {
            *at <= call.number
                && match mishap {
                    Mishap::Disk { .. } => call.op.is_local() && call.op != Op::Lock,
                    // Without a hash beforehand Dropbox takes what arrives, until we look.
                    Mishap::Net {
                        effect: Effect::CorruptUpload,
                        ..
                    } => call.op == Op::Request && call.path.contains("content_hash"),
                    Mishap::Net { .. } => call.op == Op::Request,
                }
        };
        let Some(found) = due.iter().position(strikes) else {
            return Verdict::Go;
        };
        match due.remove(found).1 {
            Mishap::Disk { kind, lasts } => {
                self.count(&format!("{kind:?}{}", if lasts { ", lasting" } else { "" }));
                if lasts {
                    *lasting = Some(kind);
                    if !changes {
                        return Verdict::Go;
                    }
                }
                Verdict::Fail(kind)
            }
            Mishap::Net { effect, times } => {
                // Bits of a listing are flipped by nothing that TLS would let through.
                let route = if matches!(effect, Effect::Corrupt(_)) {
                    "files/download"
                } else {
                    ""
                };
                let name = format!("{effect:?}");
                let name = name.split(['(', ' ']).next().unwrap_or_default();
                self.count(name);
                let fault = Fault::new(route, When::First(times), effect);
                self.dropbox.inject(fault);
                Verdict::Go
            }
        }
    }

    // People.

    pub fn edit(&mut self, edit: &Edit) {
        if let Some(watch) = &mut self.watch {
            watch.is_meddled = true;
        }
        let mut random = Random::new(edit.seed);
        let path_origin = |path: &str| format!("{path} by side {}", edit.side);
        match edit.kind {
            EditKind::Put(path) | EditKind::PutByRename(path) if self.may_put(edit.side, path) => {
                let bytes = self.oracle.fresh(&mut random, &path_origin(path));
                let by_rename = matches!(edit.kind, EditKind::PutByRename(_));
                self.put(edit.side, path, &bytes, by_rename);
            }
            EditKind::Copy(path, from) if self.may_put(edit.side, path) && from < self.sides() => {
                let there = self.read(edit.side, path);
                if let Some(bytes) = self.read(from, path)
                    && there.as_ref() != Some(&bytes)
                {
                    // For a gateway that has it as its base it has never gone, whatever its rev is:
                    // where a person has removed it, that counts.
                    self.put(edit.side, path, &bytes, false);
                }
            }
            EditKind::Append(path) => {
                if let Some(mut bytes) = self.read(edit.side, path) {
                    self.oracle.supersede(&bytes);
                    let more = format!("+{:x}", random.next());
                    bytes.extend_from_slice(more.as_bytes());
                    self.oracle.add(bytes.clone(), &path_origin(path));
                    match edit.side {
                        0 => drop(self.dropbox.put(&format!("/{path}"), &bytes)),
                        side => self.disks[side - 1].append(path, more.as_bytes()),
                    }
                }
            }
            EditKind::Remove(path) => self.remove(edit.side, path),
            EditKind::Purge(percent) => self.purge(edit.side, percent, &mut random),
            EditKind::Rename(from, to) => self.rename(edit.side, from, to),
            EditKind::MakeDir(path) if self.may_make_dir(edit.side, path) => match edit.side {
                0 => self.dropbox.mkdir(&format!("/{path}")),
                side => self.disks[side - 1].mkdir(path),
            },
            EditKind::Touch(path) if edit.side > 0 && self.read(edit.side, path).is_some() => {
                let seconds = 1_000_000_000 + random.below(900_000_000);
                self.disks[edit.side - 1].set_mtime(path, seconds);
            }
            EditKind::Hide(path)
            | EditKind::Share(path)
            | EditKind::Forbid(path)
            | EditKind::Allow(path)
                if edit.side > 0 =>
            {
                self.set_access(edit.side, path, &edit.kind);
            }
            EditKind::Intrude(path, deed) if edit.side > 0 => {
                let disk = &self.disks[edit.side - 1];
                intrude(disk, DEEDS[deed], path, Moment::AtWork, &mut random);
            }
            _ => {}
        }
    }

    /// Who may read and write something here.
    fn set_access(&self, side: Side, path: &str, kind: &EditKind) {
        let is_readable = self.read(side, path).is_some();
        let disk = &self.disks[side - 1];
        let Some(status) = disk.look(path) else {
            return;
        };
        let is_dir = status.kind == ferrybox::io::stat::Kind::Folder;
        match kind {
            EditKind::Hide(_) if is_readable => disk.set_mode(path, 0o600),
            EditKind::Share(_) if is_readable => {
                Hands::Sim(disk.clone()).add_reader(path, 1001);
            }
            EditKind::Forbid(_) => disk.set_mode(path, 0),
            EditKind::Allow(_) => disk.set_mode(path, if is_dir { 0o755 } else { 0o644 }),
            _ => {}
        }
    }

    fn sides(&self) -> usize {
        self.disks.len() + 1
    }

    fn put(&mut self, side: Side, path: &str, bytes: &[u8], by_rename: bool) {
        if let Some(old) = self.read(side, path) {
            self.oracle.supersede(&old);
        }
        match side {
            0 => drop(self.dropbox.put(&format!("/{path}"), bytes)),
            side if by_rename => self.disks[side - 1].put_by_rename(path, bytes),
            side => self.disks[side - 1].put(path, bytes),
        }
    }

    fn remove(&mut self, side: Side, path: &str) {
        let gone = self.at_or_below(side, path);
        if gone.is_empty() {
            return;
        }
        for bytes in gone.values() {
            self.oracle.supersede(bytes);
        }
        match side {
            0 => drop(self.dropbox.remove(&format!("/{}", nfc(path)))),
            side => self.disks[side - 1].remove(path),
        }
    }

    /// Everything goes, with the folders, or files here and there.
    fn purge(&mut self, side: Side, percent: u64, random: &mut Random) {
        for path in self.files(side).into_keys().filter(|path| !is_own(path)) {
            let name = path.trim_end_matches('/');
            let goes = if percent == 100 {
                !name.contains('/')
            } else {
                name == path && random.chance(percent)
            };
            if goes {
                self.remove(side, name);
            }
        }
    }

    /// The disk of a content dir comes off.
    pub fn take_off(&mut self, disk: usize) {
        if self.away[disk].is_none() {
            self.away[disk] = Some(self.disks[disk].saved());
            self.exchange(disk, &Tree::new(0));
        }
    }

    /// It is put back; what was written in its place cannot be seen any more.
    pub fn put_back(&mut self, disk: usize) {
        if let Some(tree) = self.away[disk].take() {
            for bytes in self.local_files(disk).values() {
                self.oracle.supersede(bytes);
            }
            self.exchange(disk, &tree);
        }
    }

    fn exchange(&mut self, disk: usize, tree: &Tree) {
        self.disks[disk].restore(tree);
        self.checked.writes[disk] = u64::MAX;
    }

    fn rename(&mut self, side: Side, from: &str, to: &str) {
        let moved = self.at_or_below(side, from);
        let below = |one: &str, other: &str| fold(one).starts_with(&format!("{}/", fold(other)));
        let is_below = below(from, to) || below(to, from);
        let same = fold(from) == fold(to);
        let is_dir = moved.keys().any(|path| path.ends_with('/'));
        if moved.is_empty() || is_below || from == to || (side == 0 && same) {
            return;
        }
        let target = self.at_or_below(side, to);
        let target_is_dir = target.keys().any(|path| path.ends_with('/'));
        if !self.may_put(side, to) || target_is_dir || (is_dir && !target.is_empty()) {
            return;
        }
        if side > 0 && self.disks[side - 1].look(&parent(to)).is_none() {
            return;
        }
        if side == 0 && !target.is_empty() {
            return;
        }
        for bytes in target.values() {
            self.oracle.supersede(bytes);
        }
        match side {
            0 => self
                .dropbox
                .rename(&format!("/{}", nfc(from)), &format!("/{to}")),
            side => self.disks[side - 1].rename(from, to),
        }
    }

    /// Whether a file can be written there: no file above it, no folder at it, all of it allowed.
    fn may_put(&self, side: Side, path: &str) -> bool {
        let files = self.files(side);
        let is_free = |path: &str| !files.contains_key(&format!("{}/", self.seen(side, path)));
        is_free(path) && self.is_clear_above(side, path, &files) && self.is_allowed(side, path)
    }

    fn may_make_dir(&self, side: Side, path: &str) -> bool {
        let files = self.files(side);
        !files.contains_key(&self.seen(side, path))
            && self.is_clear_above(side, path, &files)
            && self.is_allowed(side, path)
    }

    fn is_clear_above(&self, side: Side, path: &str, files: &Files) -> bool {
        let mut above = path;
        while let Some((dir, _)) = above.rsplit_once('/') {
            if files.contains_key(&self.seen(side, dir)) {
                return false;
            }
            above = dir;
        }
        true
    }

    fn is_allowed(&self, side: Side, path: &str) -> bool {
        let Some(disk) = side.checked_sub(1).map(|at| &self.disks[at]) else {
            return true;
        };
        if disk.tree().is_bare(path) {
            return false;
        }
        let mut dirs = vec![String::new()];
        dirs.extend(path.match_indices('/').map(|(at, _)| path[..at].to_owned()));
        dirs.push(path.to_owned());
        dirs.iter().all(|dir| match disk.look(dir) {
            Some(status) => status.mode & 0o200 != 0,
            None => true,
        })
    }

    /// A path as a side compares it.
    fn seen(&self, side: Side, path: &str) -> String {
        if side == 0 {
            fold(path)
        } else {
            path.to_owned()
        }
    }

    /// All files of a side by the paths it compares; folders end with a slash.
    fn files(&self, side: Side) -> Files {
        match side {
            0 => self
                .remote_files()
                .into_iter()
                .map(|(path, bytes)| (fold(&path), bytes))
                .collect(),
            side => self.disks[side - 1].tree().files(),
        }
    }

    fn read(&self, side: Side, path: &str) -> Option<Vec<u8>> {
        let allowed = self.is_allowed(side, path);
        self.files(side)
            .remove(&self.seen(side, path))
            .filter(|_| allowed)
            .map(|bytes| bytes.to_vec())
    }

    fn at_or_below(&self, side: Side, path: &str) -> Files {
        let is_mounted = side > 0 && self.disks[side - 1].tree().has_mount(path);
        if is_mounted || !self.is_allowed(side, path) {
            return BTreeMap::new();
        }
        let path = self.seen(side, path);
        let mut files = self.files(side);
        files.retain(|at, _| {
            at == &path
                || at
                    .strip_prefix(&path)
                    .is_some_and(|rest| rest.starts_with('/'))
        });
        let is_locked = |at: &String| side > 0 && !self.is_allowed(side, at.trim_end_matches('/'));
        if files.keys().any(is_locked) {
            return BTreeMap::new();
        }
        files
    }

    pub fn remote_files(&self) -> Files {
        files_of(&self.dropbox)
    }

    pub fn local_files(&self, disk: usize) -> Files {
        files_on(&self.disks[disk])
    }

    // What always holds.

    /// Before each call: whatever changed since the last one left only whole contents.
    pub fn check_step(&mut self, call: &Call) {
        if self.violation.is_some() {
            return;
        }
        self.check_all();
        if let Some(watch) = &mut self.watch {
            watch.note(call);
        }
        if let Some(violation) = &mut self.violation {
            violation.push_str(&format!(" (before call {call:?})"));
        }
        if call.op == Op::Request
            && let Some(why) = self.careless(call)
        {
            self.violation = Some(format!("{why}: {call:?}"));
        }
    }

    pub fn check_all(&mut self) {
        for disk in 0..self.disks.len() {
            let writes = self.disks[disk].tree().writes;
            if self.checked.writes[disk] == writes {
                continue;
            }
            self.checked.writes[disk] = writes;
            for (path, bytes) in self.local_files(disk) {
                if !path.ends_with('/') && !self.oracle.knows(&bytes) {
                    self.violation = Some(format!(
                        "gateway {}: {path} holds {}, which nobody wrote",
                        disk + 1,
                        shown(&bytes)
                    ));
                }
            }
        }
        let position = self.dropbox.position();
        if self.checked.position != position {
            self.checked.position = position;
            for (path, bytes) in self.remote_files() {
                if !path.ends_with('/') && !self.oracle.knows(&bytes) {
                    let what = shown(&bytes);
                    self.violation =
                        Some(format!("Dropbox: {path} holds {what}, which nobody wrote"));
                }
            }
        }
    }

    /// A write that does not name the version it replaces or removes.
    fn careless(&self, call: &Call) -> Option<&'static str> {
        let is_guarded = |commit: &serde_json::Value| {
            let is_add = commit["mode"] == "add" || commit["mode"][".tag"] == "add";
            let is_update = commit["mode"][".tag"] == "update";
            (is_add || is_update) && commit["autorename"] != true
        };
        if !call.commits().iter().all(is_guarded) {
            return Some("an upload without a condition");
        }
        let is_careful = |delete: &serde_json::Value| {
            let path = delete["path"].as_str().unwrap_or_default();
            let left = self.at_or_below(0, path.trim_start_matches('/'));
            delete.get("parent_rev").is_some() || left.keys().all(|path| path.ends_with('/'))
        };
        (!call.deletes().iter().all(is_careful)).then_some("a delete in Dropbox without a version")
    }

    /// Every value nobody replaced or removed is somewhere.
    pub fn nothing_lost(&self) -> Result<(), String> {
        let mut trees: Vec<_> = (0..self.disks.len())
            .map(|at| self.local_files(at))
            .collect();
        for disk in &self.disks {
            let away = disk.tree().files_away().into_iter().enumerate();
            trees.push(away.map(|(at, bytes)| (at.to_string(), bytes)).collect());
        }
        for tree in self.away.iter().flatten() {
            trees.push(tree.files());
            let away = tree.files_away().into_iter().enumerate();
            trees.push(away.map(|(at, bytes)| (at.to_string(), bytes)).collect());
        }
        let remote = self.remote_files();
        trees.push(remote);
        // What an upload replaced under its rev stays in Dropbox's history.
        trees.push(
            self.dropbox
                .replaced()
                .into_iter()
                .enumerate()
                .map(|(at, (_, bytes))| (at.to_string(), Arc::new(bytes)))
                .collect(),
        );
        let missing = self.oracle.missing(&trees);
        match missing.first() {
            None => Ok(()),
            Some(value) => Err(format!(
                "lost: {} written at {}",
                shown(&value.bytes),
                value.origin
            )),
        }
    }
}

fn parent(path: &str) -> String {
    path.rsplit_once('/').map_or("", |(dir, _)| dir).to_owned()
}

pub fn deletes_folder(call: &Call) -> bool {
    call.op == Op::Request
        && call.path.starts_with("/2/files/delete_v2")
        && !call.path.contains("parent_rev")
}
