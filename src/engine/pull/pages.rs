//! The pages of one listing: how many may come, and whether they get on.

use crate::error::{Error, Result};

/// Pages in a row that may bring nothing, and the same cursor, although more is promised.
const SAME_PAGES_MAX: u32 = 100;

/// LIMIT: pages of one pass, since pages may hold a single entry or none. A longer listing goes on
/// in the next pass, so that one that never ends does not keep the lock for ever.
pub const PAGES_MAX: u32 = 20_000;

/// LIMIT: entries of one pass.
const ENTRIES_MAX: u64 = 8_000_000;

/// The pages of one listing so far.
#[derive(Default)]
pub(super) struct Pages {
    all: u32,
    entries: u64,
    /// The last ones in a row that did not get on.
    same: u32,
}

impl Pages {
    /// One more, after which more is promised. It gets on if it moves the cursor.
    pub(super) fn count(&mut self, entries: u64, moved: bool) -> Result<()> {
        self.all += 1;
        self.entries += entries;
        self.same = if moved { 0 } else { self.same + 1 };
        if self.same > SAME_PAGES_MAX {
            return Err(Error::TryLater(
                "Dropbox keeps promising more entries without getting on; try later".to_owned(),
            ));
        }
        if self.all >= PAGES_MAX || self.entries >= ENTRIES_MAX {
            return Err(Error::TryLater(
                "Dropbox has more to list than fits into one run; the next one goes on from here"
                    .to_owned(),
            ));
        }
        Ok(())
    }
}
