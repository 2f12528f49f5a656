//! When a pass must stop and ask a person before it deletes.
//!
//! The limits are counted per direction. The approval id is a hash of the very list that would be
//! carried out, so that approving one set never lets another through. It begins with what only this
//! gateway knows, so that nobody who writes to Dropbox can look for two lists of one id.

use std::cell::RefCell;
use std::collections::BTreeSet;

use ring::digest::{Context, SHA256};

use crate::core::decide::Direction;
use crate::words::{counted, grouped};

/// Fewest files in the base for "everything is gone" to be suspicious.
const EMPTIED_BASE_MIN: u64 = 3;

/// `[sync.guard]`: both limits must be exceeded for a halt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Deletes of one direction that never need approval.
    pub max_delete_count: u64,
    /// Share of the base files in scope that never needs approval, 0 to 1.
    pub max_delete_share: f64,
}

/// What one pass saw and wants to delete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Files in the base that this pass looked at, those that came back included.
    pub base_files: u64,
    /// Managed files the content dir holds.
    pub local_files: u64,
    /// Managed files Dropbox holds.
    pub remote_files: u64,
    /// Files that arrived since the guards were last asked, which count above only where next to
    /// nothing else does.
    pub arrived: Arrived,
    /// Files to delete locally, renames left out.
    pub delete_local: u64,
    /// Files to delete in Dropbox, renames left out.
    pub delete_remote: u64,
}

/// Files the agent itself has moved since the guards were last asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrived {
    /// Those in the base: all of them.
    pub base: u64,
    /// Of them, those the content dir still holds.
    pub local: u64,
    /// Of them, those Dropbox still holds.
    pub remote: u64,
}

/// Why the deletes of a pass in one direction need approval, as one sentence.
pub fn objection(limits: Limits, mut tally: Tally, direction: Direction) -> Option<String> {
    // Where next to nothing was in step before, there is nothing our own work could hide.
    if tally.base_files < EMPTIED_BASE_MIN {
        tally.base_files += tally.arrived.base;
        tally.local_files += tally.arrived.local;
        tally.remote_files += tally.arrived.remote;
    }
    let base = tally.base_files;
    let (count, left, place) = match direction {
        Direction::Up => (tally.delete_remote, tally.local_files, "the content dir"),
        Direction::Down => (tally.delete_local, tally.remote_files, "Dropbox"),
    };
    if base >= EMPTIED_BASE_MIN && left == 0 && count > 0 {
        return Some(format!(
            "{place} holds no file any more, {} were in step before",
            grouped(base)
        ));
    }
    let share = limits.max_delete_share * base as f64;
    if count > limits.max_delete_count && count as f64 > share {
        let (place, of) = (place_of(direction), counted(base, "file", "files"));
        return Some(format!(
            "{} of {of} would be deleted {place}",
            grouped(count)
        ));
    }
    None
}

/// The objection to deletes that an earlier pass halted over and nobody approved since: whatever
/// has changed meanwhile, its own transfers included, does not make them harmless.
pub fn standing_objection(tally: Tally, direction: Direction) -> Option<String> {
    let count = match direction {
        Direction::Up => tally.delete_remote,
        Direction::Down => tally.delete_local,
    };
    let place = place_of(direction);
    let files = counted(count, "file", "files");
    let text = || format!("{files} would be deleted {place}, where the last run halted");
    (count > 0).then(text)
}

/// Where a delete of this direction happens, as people are told.
pub fn place_of(direction: Direction) -> &'static str {
    match direction {
        Direction::Down => "locally",
        Direction::Up => "in Dropbox",
    }
}

/// Computes the id a person approves: a hash of the ordered list of what would happen.
pub struct ApprovalId(Context);

impl ApprovalId {
    /// An id of nothing yet. `index_id` is random, and nobody outside knows it; `purpose` keeps
    /// lists of different kinds apart.
    pub fn new(index_id: &str, purpose: &str) -> ApprovalId {
        let mut id = ApprovalId(Context::new(&SHA256));
        id.field(index_id);
        id.field(purpose);
        id
    }

    /// Adds the next delete of the ordered list.
    pub fn delete(&mut self, direction: Direction, key: &str, rev: &str) {
        self.field(match direction {
            Direction::Down => "local",
            Direction::Up => "remote",
        });
        self.field(key);
        self.field(rev);
    }

    /// Adds any text of the list.
    pub fn field(&mut self, text: &str) {
        // The length keeps neighbouring fields apart.
        self.0.update(&(text.len() as u64).to_be_bytes());
        self.0.update(text.as_bytes());
    }

    /// The id: 16 hexadecimal digits.
    pub fn finish(self) -> String {
        let digest = self.0.finish();
        digest.as_ref()[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// Ids a person gave for one pass. Each is for a halt of that pass: one that no halt asks for is
/// told.
#[derive(Clone, Debug, Default)]
pub struct Approvals {
    ids: Vec<String>,
    asked: RefCell<BTreeSet<String>>,
}

impl Approvals {
    /// These ids.
    pub fn new(ids: Vec<String>) -> Approvals {
        Approvals {
            ids,
            asked: RefCell::default(),
        }
    }

    /// Whether none was given.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Whether this one was given. The pass has asked for it then.
    pub fn contains(&self, id: &String) -> bool {
        self.asked.borrow_mut().insert(id.clone());
        self.ids.contains(id)
    }

    /// Whether the pass has asked for this one.
    pub fn was_asked(&self, id: &str) -> bool {
        self.asked.borrow().contains(id)
    }

    /// Those that were given for nothing.
    pub fn unmet(&self) -> Vec<String> {
        let ids = self.ids.iter();
        ids.filter(|id| !self.was_asked(id)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        max_delete_count: 20,
        max_delete_share: 0.5,
    };

    fn tally(base_files: u64, delete_local: u64, delete_remote: u64) -> Tally {
        Tally {
            arrived: Arrived::default(),
            base_files,
            local_files: 9,
            remote_files: 9,
            delete_local,
            delete_remote,
        }
    }

    /// The first objection to the deletes of either direction.
    fn any_objection(tally: Tally) -> Option<(Direction, String)> {
        let directions = [Direction::Up, Direction::Down].into_iter();
        directions
            .filter_map(|direction| Some((direction, objection(LIMITS, tally, direction)?)))
            .next()
    }

    #[test]
    fn both_limits_must_be_exceeded() {
        assert_eq!(any_objection(tally(100, 50, 50)), None, "count only");
        assert_eq!(any_objection(tally(30, 20, 20)), None, "share only");
        assert!(
            any_objection(tally(40, 0, 21))
                .is_some_and(|(d, o)| d == Direction::Up && o.contains("in Dropbox"))
        );
        assert!(
            any_objection(tally(40, 21, 0))
                .is_some_and(|(d, o)| d == Direction::Down && o.contains("locally"))
        );
        assert_eq!(
            any_objection(tally(100, 30, 30)),
            None,
            "directions do not add up"
        );
    }

    #[test]
    fn an_emptied_side_halts_from_three_files_on() {
        let emptied = |base_files, local_files, remote_files| Tally {
            arrived: Arrived::default(),
            base_files,
            local_files,
            remote_files,
            delete_local: 1,
            delete_remote: 1,
        };
        assert!(any_objection(emptied(3, 0, 3)).is_some());
        assert!(any_objection(emptied(3, 3, 0)).is_some());
        assert_eq!(any_objection(emptied(2, 0, 2)), None);
        assert_eq!(any_objection(emptied(2, 2, 0)), None);
        assert_eq!(any_objection(emptied(3, 1, 1)), None);
        let nothing_to_delete = Tally {
            arrived: Arrived::default(),
            delete_local: 0,
            delete_remote: 0,
            ..emptied(3, 0, 0)
        };
        assert_eq!(any_objection(nothing_to_delete), None);
    }

    #[test]
    fn a_side_is_emptied_only_where_the_other_would_lose_by_it() {
        let direction = |local_files, remote_files, delete_local, delete_remote| {
            let tally = Tally {
                arrived: Arrived::default(),
                base_files: 3,
                local_files,
                remote_files,
                delete_local,
                delete_remote,
            };
            any_objection(tally).map(|(direction, _)| direction)
        };
        assert_eq!(direction(0, 3, 0, 1), Some(Direction::Up));
        assert_eq!(direction(0, 3, 1, 0), None);
        assert_eq!(direction(3, 0, 1, 0), Some(Direction::Down));
        assert_eq!(direction(3, 0, 0, 1), None);
    }

    #[test]
    fn an_objection_stands_as_long_as_there_is_something_to_delete() {
        for (direction, tally, place) in [
            (Direction::Up, tally(9, 0, 1), "in Dropbox"),
            (Direction::Down, tally(9, 1, 0), "locally"),
        ] {
            let text = standing_objection(tally, direction).unwrap();
            assert!(
                text.contains("1 file would") && text.contains(place),
                "{text}"
            );
        }
        assert_eq!(standing_objection(tally(9, 1, 0), Direction::Up), None);
        assert_eq!(standing_objection(tally(9, 0, 1), Direction::Down), None);
    }

    #[test]
    fn an_id_stands_for_exactly_one_ordered_list() {
        let id = |list: &[(Direction, &str, &str)]| {
            let mut id = ApprovalId::new("index", "deletes");
            list.iter()
                .for_each(|(direction, key, rev)| id.delete(*direction, key, rev));
            id.finish()
        };
        let (up, down) = (Direction::Up, Direction::Down);
        let ids = [
            id(&[(up, "a", "1"), (up, "b", "2")]),
            id(&[(up, "b", "2"), (up, "a", "1")]),
            id(&[(down, "a", "1"), (up, "b", "2")]),
            id(&[(up, "a", "3"), (up, "b", "2")]),
            id(&[(up, "a", "1b"), (up, "", "2")]),
            id(&[(up, "a", "1")]),
        ];
        for (i, one) in ids.iter().enumerate() {
            assert_eq!(one.len(), 16);
            assert!(ids[i + 1..].iter().all(|other| other != one));
        }
    }

    /// W9.
    #[test]
    fn w9_an_id_cannot_be_computed_without_the_id_of_the_index() {
        let id = |index_id| ApprovalId::new(index_id, "deletes").finish();
        assert_ne!(id("one"), id("another"));
        assert_eq!(id("one"), id("one"));
    }
}
