//! What deletes wait for, and those that would wait for each other for ever: a file that was
//! replaced by a folder frees the name that its own new place needs, and so does a folder that was
//! replaced by a file.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::decide::Direction;
use crate::core::path::{Key, below};
use crate::engine::item::Delete;
use crate::index::Arriving;

/// A delete that is not done yet, and why.
pub(super) struct WaitingDelete {
    pub(super) delete: Delete,
    pub(super) other: Other,
}

/// The other half of a delete.
pub(super) enum Other {
    /// There is none.
    None,
    /// It has the content, or may have.
    Content(Arriving),
    /// It is the very file, with another content by now.
    Edited(Arriving),
    /// It may be somewhere that cannot be looked at.
    Unseen(String),
}

/// Whether nothing can get to `place` as long as the file of this key is there: one of the two
/// names would have to be a file and a folder.
pub(super) fn is_in_the_way(key: &Key, place: &Key) -> bool {
    let (key, place) = (key.path(), place.path());
    let is_below = |path: &str, dir: &str| below(path, dir).is_some_and(|rest| !rest.is_empty());
    is_below(&place, &key) || is_below(&key, &place)
}

/// Parts those that in the end wait for themselves from the others. What waits for such a one
/// without being waited for goes on waiting.
pub(super) fn without_cycles(held: Vec<WaitingDelete>) -> (Vec<Delete>, Vec<WaitingDelete>) {
    let places = Places::of(&held);
    let waits_for: Vec<Vec<usize>> = held.iter().map(|one| places.in_the_way_of(one)).collect();
    let is_free: Vec<bool> = (0..held.len())
        .map(|at| waits_for_itself(&waits_for, at))
        .collect();
    let (mut free, mut rest) = (Vec::new(), Vec::new());
    for (one, is_free) in held.into_iter().zip(is_free) {
        match is_free {
            true => free.push(one.delete),
            false => rest.push(one),
        }
    }
    (free, rest)
}

/// Where the held files are.
struct Places(BTreeMap<(bool, String), usize>);

impl Places {
    fn of(held: &[WaitingDelete]) -> Places {
        let place = |(at, one): (usize, &WaitingDelete)| {
            let Delete { direction, item } = &one.delete;
            ((*direction == Direction::Up, item.row.key.path()), at)
        };
        Places(held.iter().enumerate().map(place).collect())
    }

    /// The held files that have to go before the other half of this one can arrive.
    fn in_the_way_of(&self, one: &WaitingDelete) -> Vec<usize> {
        let (Other::Content(half) | Other::Edited(half)) = &one.other else {
            return Vec::new();
        };
        let is_up = one.delete.direction == Direction::Up;
        let mut found = Vec::new();
        let mut above = half.key.parent();
        while let Some(key) = above {
            found.extend(self.0.get(&(is_up, key.path())));
            above = key.parent();
        }
        let start = format!("{}/", half.key.path());
        let below = self.0.range((is_up, start.clone())..);
        let below = below.take_while(|((side, key), _)| *side == is_up && key.starts_with(&start));
        found.extend(below.map(|(_, at)| at));
        found
    }
}

fn waits_for_itself(waits_for: &[Vec<usize>], this: usize) -> bool {
    let next = |at: usize| waits_for.get(at).into_iter().flatten().copied();
    let mut seen = BTreeSet::new();
    let mut left: Vec<usize> = next(this).collect();
    while let Some(at) = left.pop() {
        if at == this {
            return true;
        }
        if seen.insert(at) {
            left.extend(next(at));
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_in_the_way_of_what_is_below_its_name_and_of_a_file_above_it() {
        let is = |key: &str, place: &str| is_in_the_way(&Key::of(key), &Key::of(place));
        assert!(is("d", "d/e/x"));
        assert!(is("d/e/x", "d"));
        assert!(!is("d", "de"));
        assert!(!is("d", "d"));
        assert!(!is("d/x", "d/y"));
    }

    #[test]
    fn only_what_waits_for_itself_is_on_a_cycle() {
        // 0 and 1 wait for each other, 2 for them, 3 for itself, 4 for nothing.
        let waits_for = [vec![1], vec![0], vec![1, 4], vec![3], vec![]];
        let found: Vec<bool> = (0..5).map(|at| waits_for_itself(&waits_for, at)).collect();
        assert_eq!(found, [true, true, false, true, false]);
    }
}
