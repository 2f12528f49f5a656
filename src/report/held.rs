//! The deletes that a halt keeps from being carried out: the first by name.

use crate::words::{grouped, printable};

/// Deletes that are named when a pass halts.
pub const HELD_SAID: usize = 20;

/// Deletes that a halt keeps from being carried out.
#[derive(Default)]
pub(super) struct HeldDeletes {
    /// How many.
    pub(super) count: u64,
    /// Somebody wants to know of all of them.
    pub(super) wants_all: bool,
    /// The first: what would be done, and the path.
    shown: Vec<(String, String)>,
}

impl HeldDeletes {
    /// Takes one: what would be done, and to which path.
    pub(super) fn insert(&mut self, what: String, path: &str) {
        self.count += 1;
        if self.shown.len() < HELD_SAID {
            self.shown.push((what, path.to_owned()));
        }
    }

    /// Says which they are.
    pub(super) fn tell(&self) {
        for (what, path) in &self.shown {
            log::warn!("{what} {}", printable(path));
        }
        let more = self.count.saturating_sub(HELD_SAID as u64);
        if more > 0 {
            log::warn!(
                "... and {} more; all of them with \"sync -n\"",
                grouped(more)
            );
        }
    }
}
