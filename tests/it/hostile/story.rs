//! What people did on both sides, and what may therefore never be missing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use ferrybox::error::ExitCode;
use ferrybox::report::Counts;

use crate::world::{Outcome, World};

pub const MODES: [&str; 3] = ["BIDIRECTIONAL", "LOCAL_TO_DROPBOX", "DROPBOX_TO_LOCAL"];

/// A gateway and a Dropbox, with a record of what people put there. Contents are never repeated.
pub struct Story {
    pub world: World,
    mode: &'static str,
    /// Contents nobody removed or replaced after having seen them.
    live: BTreeSet<String>,
    /// Paths a person removed on either side.
    gone: BTreeSet<String>,
}

/// The two state files, or their absence.
pub type State = [Option<Vec<u8>>; 2];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Here,
    There,
}

impl Story {
    /// Eight files and an empty folder, in step.
    pub fn new(mode: &'static str) -> Story {
        let (live, gone) = (BTreeSet::new(), BTreeSet::new());
        let mut story = Story {
            world: World::in_mode(mode),
            mode,
            live,
            gone,
        };
        for name in ["a", "b", "c", "d", "e", "f", "dir/g", "dir/deep/H"] {
            story.here(name, Some(&format!("{name} 1")));
        }
        story.world.mkdir("empty");
        story.world.sync_ok();
        story.world.sync_ok();
        assert_eq!(story.world.local_tree(), story.world.remote_tree());
        story
    }

    /// A person puts a file here, or removes it.
    pub fn here(&mut self, path: &str, content: Option<&str>) {
        self.note(Side::Here, path, content);
        match content {
            Some(content) => self.world.put(path, content),
            None => self.world.remove(path),
        }
    }

    /// A person puts a file into Dropbox, or removes it.
    pub fn there(&mut self, path: &str, content: Option<&str>) {
        self.note(Side::There, path, content);
        let path = format!("/{path}");
        match content {
            Some(content) => drop(self.world.dropbox.put(&path, content.as_bytes())),
            None => assert!(self.world.dropbox.remove(&path)),
        }
    }

    /// The content that was there is superseded, unless the other side holds yet another.
    fn note(&mut self, side: Side, path: &str, content: Option<&str>) {
        let (here, there) = (self.world.local_tree(), self.world.remote_tree());
        let (own, other) = match side {
            Side::Here => (here, there),
            Side::There => (there, here),
        };
        if let Some(seen) = own.get(path)
            && other.get(path).is_none_or(|other| other == seen)
        {
            self.live.remove(seen);
        }
        match content {
            Some(content) => assert!(self.live.insert(content.to_owned()), "{content} again"),
            None => drop(self.gone.insert(path.to_owned())),
        }
    }

    pub fn files(&self) -> [PathBuf; 2] {
        ["index.db", "cursor.json"].map(|name| self.world.state().join(name))
    }

    pub fn state(&self) -> State {
        self.files().map(|file| fs::read(file).ok())
    }

    pub fn put_state(&self, state: &State) {
        for (file, bytes) in self.files().iter().zip(state) {
            match bytes {
                Some(bytes) => fs::write(file, bytes).unwrap(),
                None => drop(fs::remove_file(file)),
            }
        }
    }

    /// Passes until nothing moves, then the checks. Says how the passes ended.
    #[track_caller]
    pub fn check(&self, what: &str) -> Vec<Outcome> {
        let sides = || [self.world.local_tree(), self.world.remote_tree()];
        let before = sides();
        let mut outcomes: Vec<Outcome> = Vec::new();
        let is_idle = |outcome: &Outcome| {
            outcome.counts == Counts::default() && outcome.calls == ["list_folder/continue"]
        };
        // Two idle ones in a row: the first may have found what makes the next list again.
        while outcomes.len() < 2 || !outcomes.iter().rev().take(2).all(is_idle) {
            self.world.clock.advance(10);
            let outcome = self.world.sync();
            let known = [ExitCode::Ok, ExitCode::SomeFiles];
            assert!(known.contains(&outcome.exit), "{what}: {outcome:?}");
            outcomes.push(outcome);
            assert!(outcomes.len() < 7, "{what}: no fix point: {outcomes:?}");
        }
        let written = self.world.written();
        assert_eq!(self.world.sync().counts, Counts::default(), "{what}");
        assert_eq!(self.world.written(), written, "{what}: an idle pass wrote");
        let after = sides();
        let held: BTreeSet<_> = after.iter().flat_map(BTreeMap::values).collect();
        for content in &self.live {
            assert!(
                held.contains(content),
                "{what}: {content:?} is lost: {outcomes:?}"
            );
        }
        let [here, there] = &after;
        let lacks = |side: &BTreeMap<_, _>, other: &BTreeMap<String, String>| {
            other.keys().any(|path| !side.contains_key(path))
        };
        let is_behind = match self.mode {
            "BIDIRECTIONAL" => here != there,
            "LOCAL_TO_DROPBOX" => lacks(there, here),
            _ => lacks(here, there),
        };
        assert!(!is_behind, "{what}: {here:?}, {there:?}: {outcomes:?}");
        for (before, after) in before.iter().zip(&after) {
            for path in before.keys().filter(|path| !self.gone.contains(*path)) {
                assert!(
                    after.contains_key(path),
                    "{what}: {path} is gone: {outcomes:?}"
                );
            }
            for (copy, content) in after
                .iter()
                .filter(|(path, _)| path.contains(" (conflicted"))
            {
                let original = copy.split(" (conflicted").next().unwrap_or_default();
                let kept = after.get(original);
                assert!(
                    kept.is_some_and(|kept| kept != content),
                    "{what}: {copy} is no conflict"
                );
            }
        }
        outcomes
    }
}
