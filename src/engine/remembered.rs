//! What could not be done in the passes before, and in this one: so that it is not offered again
//! and again, comes last, and is told once it is no accident any more.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::path::Key;
use crate::dropbox::wire::ApiError;
use crate::engine::item::{Item, Local};
use crate::error::Result;
use crate::index::{Index, Reason, Refusal};

/// After this time Dropbox is asked again whatever it refused, in seconds.
const AGAIN_AFTER_S: i64 = 24 * 3600;

/// What is remembered. LIMIT: it grows with what is refused, not with the tree.
#[derive(Default)]
pub struct Remembered {
    before: BTreeMap<Key, Refusal>,
    now: BTreeMap<Key, Refusal>,
    /// What was remembered, and is done.
    done: BTreeSet<Key>,
}

impl Remembered {
    /// What the passes before have left.
    ///
    /// # Errors
    /// What the index says.
    pub fn load(index: &Index) -> Result<Remembered> {
        let all = index.refusals().all()?;
        Ok(Remembered {
            before: all.into_iter().map(|r| (r.key.clone(), r)).collect(),
            now: BTreeMap::new(),
            done: BTreeSet::new(),
        })
    }

    /// What was remembered of this very state of an item.
    pub fn of(&self, item: &Item) -> Option<&Refusal> {
        if self.before.is_empty() {
            return None;
        }
        let known = self.before.get(&item.row.key)?;
        (known.seen == seen(item)).then_some(known)
    }

    /// Whether there was no room for the item in a pass before, whatever state it is in now.
    pub fn had_no_room(&self, key: &Key) -> Option<&Refusal> {
        let known = self.before.get(key)?;
        (known.reason == Reason::NoRoom).then_some(known)
    }

    /// Whether the item failed before, whatever state it is in now.
    pub fn has_failed(&self, key: &Key) -> bool {
        let known = self.before.get(key);
        known.is_some_and(|known| known.reason == Reason::Failed)
    }

    /// The item could not be dealt with at `now_s`, seconds since 1970.
    pub fn note(&mut self, item: &Item, reason: Reason, text: &str, now_s: i64) {
        let seen = seen(item);
        let again = self.of(item).filter(|known| known.reason == reason);
        // A clock that was ahead then must not keep it from being early for ever.
        let since = again.map_or(now_s, |known| known.since.min(now_s));
        let text = again.map_or_else(|| text.to_owned(), |known| known.text.clone());
        let next = match reason {
            Reason::Deferred | Reason::Failed => 0,
            Reason::NoRoom | Reason::NotAllowed => now_s.saturating_add(AGAIN_AFTER_S),
        };
        let key = item.row.key.clone();
        let refusal = Refusal {
            key: key.clone(),
            reason,
            seen,
            text,
            since,
            next,
        };
        self.now.insert(key, refusal);
    }

    /// The item is not offered in this pass either; returns what is told of it.
    pub fn keep(&mut self, key: &Key) -> Option<String> {
        let known = self.before.get(key)?;
        self.now.insert(key.clone(), known.clone());
        Some(known.text.clone())
    }

    /// The item was dealt with.
    pub fn drop_done(&mut self, key: &Key) {
        if self.before.contains_key(key) {
            self.done.insert(key.clone());
        }
    }

    /// Writes down what has changed. What was not met again is dropped if the pass has looked at
    /// everything.
    ///
    /// # Errors
    /// What the index says.
    pub fn store(&mut self, index: &Index, has_seen_all: bool) -> Result<()> {
        let has_changed = |(key, now): &(&Key, &Refusal)| self.before.get(*key) != Some(*now);
        let changed: Vec<_> = self.now.iter().filter(has_changed).collect();
        let over = self
            .before
            .keys()
            .filter(|key| !self.now.contains_key(*key));
        let is_over = |key: &&Key| has_seen_all || self.done.contains(*key);
        let over: Vec<&Key> = over.filter(is_over).collect();
        if changed.is_empty() && over.is_empty() {
            return Ok(());
        }
        index.transaction(|| {
            let refusals = index.refusals();
            over.iter().try_for_each(|key| refusals.set(key, None))?;
            changed
                .iter()
                .try_for_each(|(key, now)| refusals.set(key, Some(now)))
        })
    }
}

/// What a refusal means for the passes to come: it is asked about a name or a right again in a day,
/// about room when there is some, about anything else in the next pass.
pub fn reason_of(error: &ApiError) -> Reason {
    const NOT_ALLOWED: [&str; 8] = [
        "malformed_path",
        "disallowed_name",
        "no_write_permission",
        "access_restricted",
        "operation_suppressed",
        "team_folder",
        "restricted_content",
        "unsupported_file",
    ];
    if error.has("insufficient_space") || error.has("insufficient_quota") {
        Reason::NoRoom
    } else if NOT_ALLOWED.iter().any(|tag| error.has(tag)) {
        Reason::NotAllowed
    } else {
        Reason::Failed
    }
}

/// The state of an item: its stamp here and its rev in Dropbox.
fn seen(item: &Item) -> String {
    let here = match item.local {
        Local::File(status) => {
            let stamp = status.stamp;
            format!(
                "{} {} {} {}",
                stamp.size, stamp.mtime_ns, stamp.ctime_ns, stamp.inode
            )
        }
        Local::Folder { .. } => "folder".to_owned(),
        Local::Gone => "nothing".to_owned(),
        Local::Unknown => "unknown".to_owned(),
    };
    let there = item.row.remote_file().map(|file| file.rev);
    format!("{here} | {}", there.unwrap_or_default())
}
