//! What could not be done in the passes before, and in this one: so that it is not offered again
//! and again, comes last, and is told once it is no accident any more.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::core::path::Key;
use crate::dropbox::wire::ApiError;
use crate::engine::item::{Item, Local};
use crate::error::Result;
use crate::index::{Index, PassTables, Reason, Refusal};
use crate::report::Trouble;

/// After this time Dropbox is asked again whatever it refused, in seconds.
const AGAIN_AFTER_S: i64 = 24 * 3600;

/// Bits that tell which paths a pass has met again. Two paths may share one: then the other is
/// forgotten a pass later.
const MET_BITS: usize = 1 << 20;

/// Rows read and written at a time.
const ROWS_AT_ONCE: usize = 256;

/// What is remembered. What was before, the index has; what is now, the tables of the pass, as far
/// as there is no memory for it.
#[derive(Default)]
pub struct Remembered {
    /// The passes before have left something.
    are_any: bool,
    /// What is now; nothing of what is done.
    now: BTreeMap<Key, Option<Refusal>>,
    /// There is more of it in the tables of the pass.
    are_more: bool,
    /// Which paths were met again.
    met: Vec<u64>,
}

impl Remembered {
    /// What the passes before have left.
    ///
    /// # Errors
    /// What the index says.
    pub fn load(index: &Index) -> Result<Remembered> {
        Ok(Remembered {
            are_any: index.refusals().are_any()?,
            ..Remembered::default()
        })
    }

    /// What the passes before have left of a key.
    fn before(&self, index: &Index, key: &Key) -> Option<Refusal> {
        if !self.are_any {
            return None;
        }
        let found = index.refusals().of(key);
        // Whatever else is asked of the index says the same, and ends the pass.
        found.unwrap_or_else(|error| {
            log::debug!("{error}");
            None
        })
    }

    /// What was remembered of this very state of an item.
    pub fn of(&self, index: &Index, item: &Item) -> Option<Refusal> {
        let known = self.before(index, &item.row.key)?;
        (known.seen == seen(item)).then_some(known)
    }

    /// Whether there was no room for the item in a pass before, whatever state it is in now.
    pub fn had_no_room(&self, index: &Index, key: &Key) -> Option<Refusal> {
        let known = self.before(index, key)?;
        (known.reason == Reason::NoRoom).then_some(known)
    }

    /// Whether the item failed before, whatever state it is in now.
    pub fn has_failed(&self, index: &Index, key: &Key) -> bool {
        let known = self.before(index, key);
        known.is_some_and(|known| known.reason == Reason::Failed)
    }

    /// The item could not be dealt with at `now_s`, seconds since 1970.
    pub fn note(&mut self, index: &Index, item: &Item, reason: Reason, text: &str, now_s: i64) {
        let again = self.of(index, item).filter(|known| known.reason == reason);
        // A clock that was ahead then must not keep it from being early for ever.
        let since = again.as_ref().map_or(now_s, |known| known.since.min(now_s));
        let text = again.map_or_else(|| text.to_owned(), |known| known.text);
        let next = match reason {
            Reason::Deferred | Reason::Failed | Reason::TooLarge => 0,
            Reason::NoRoom | Reason::NotAllowed => now_s.saturating_add(AGAIN_AFTER_S),
        };
        self.note_now(Refusal {
            key: item.row.key.clone(),
            reason,
            seen: seen(item),
            text,
            since,
            next,
        });
    }

    /// A file that was in step is larger than what travels, in whatever state; says whether it was
    /// not before.
    pub fn note_too_large(&mut self, index: &Index, key: &Key, now_s: i64) -> bool {
        let known = self.before(index, key);
        let known = known.filter(|known| known.reason == Reason::TooLarge);
        let is_new = known.is_none() && !self.now.contains_key(key);
        self.note_now(known.unwrap_or_else(|| Refusal {
            key: key.clone(),
            reason: Reason::TooLarge,
            seen: String::new(),
            text: String::new(),
            since: now_s,
            next: 0,
        }));
        is_new
    }

    /// The item is not offered in this pass either; returns what is told of it.
    pub fn keep(&mut self, index: &Index, key: &Key) -> Option<String> {
        let known = self.before(index, key)?;
        let text = known.text.clone();
        self.note_now(known);
        Some(text)
    }

    fn note_now(&mut self, refusal: Refusal) {
        self.met(&refusal.key);
        self.now.insert(refusal.key.clone(), Some(refusal));
    }

    /// The item was dealt with.
    pub fn drop_done(&mut self, index: &Index, key: &Key) {
        if self.before(index, key).is_some() {
            self.now.entry(key.clone()).or_insert(None);
        }
    }

    /// How much is kept in memory.
    pub fn kept(&self) -> usize {
        self.now.len()
    }

    /// Moves what is now into the tables of the pass.
    ///
    /// # Errors
    /// What SQLite says: then it stays.
    pub fn move_into(&mut self, tables: &PassTables) -> Result<()> {
        self.are_more = true;
        for (key, now) in &self.now {
            tables.put_refusal(key, now.as_ref())?;
        }
        self.now.clear();
        Ok(())
    }

    fn met(&mut self, key: &Key) {
        if self.are_any {
            self.met.resize(MET_BITS / 64, 0);
            let (at, bit) = bit_of(key);
            self.met[at] |= bit;
        }
    }

    fn was_met(&self, key: &Key) -> bool {
        let (at, bit) = bit_of(key);
        self.met.get(at).is_some_and(|bits| bits & bit != 0)
    }

    /// Writes down what has changed; `tables` are those of the pass, if it has any. What was not
    /// met again is dropped if the pass has looked at everything.
    ///
    /// # Errors
    /// What the index says.
    pub fn store(
        &mut self,
        index: &Index,
        tables: Option<&PassTables>,
        has_seen_all: bool,
    ) -> Result<()> {
        let now: Vec<_> = std::mem::take(&mut self.now).into_iter().collect();
        for rows in now.chunks(ROWS_AT_ONCE) {
            self.store_rows(index, rows)?;
        }
        if let Some(tables) = tables.filter(|_| self.are_more) {
            let mut last = None;
            loop {
                let rows = tables.refusals_after(last.as_ref(), ROWS_AT_ONCE)?;
                let Some((end, _)) = rows.last() else {
                    break;
                };
                last = Some(end.clone());
                self.store_rows(index, &rows)?;
            }
        }
        match has_seen_all && self.are_any {
            true => self.drop_what_is_over(index),
            false => Ok(()),
        }
    }

    fn store_rows(&self, index: &Index, rows: &[(Key, Option<Refusal>)]) -> Result<()> {
        let refusals = index.refusals();
        let mut changed = Vec::new();
        for (key, now) in rows {
            if self.before(index, key) != *now {
                changed.push((key, now));
            }
        }
        if changed.is_empty() {
            return Ok(());
        }
        index.transaction(|| {
            changed
                .iter()
                .try_for_each(|(key, now)| refusals.set(key, now.as_ref()))
        })
    }

    fn drop_what_is_over(&self, index: &Index) -> Result<()> {
        let refusals = index.refusals();
        let mut last = None;
        loop {
            let keys = refusals.keys_after(last.as_ref(), ROWS_AT_ONCE)?;
            let Some(end) = keys.last() else {
                return Ok(());
            };
            last = Some(end.clone());
            let over: Vec<&Key> = keys.iter().filter(|key| !self.was_met(key)).collect();
            if !over.is_empty() {
                index.transaction(|| over.iter().try_for_each(|key| refusals.set(key, None)))?;
            }
        }
    }
}

fn bit_of(key: &Key) -> (usize, u64) {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    let bit = hasher.finish() as usize % MET_BITS;
    (bit / 64, 1 << (bit % 64))
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
    } else if NOT_ALLOWED.iter().any(|tag| error.has(tag)) || error.is_about_a_path() {
        Reason::NotAllowed
    } else {
        Reason::Failed
    }
}

/// The kind of trouble that a refusal is.
pub fn trouble_of(error: &ApiError) -> Trouble {
    let is_of_name = ["malformed_path", "disallowed_name"];
    match reason_of(error) {
        Reason::NoRoom => Trouble::NoRoom,
        _ if error.is_about_a_path() || is_of_name.iter().any(|tag| error.has(tag)) => {
            Trouble::Name
        }
        Reason::NotAllowed => Trouble::NoPermission,
        _ if error.has("not_found") => Trouble::MissingThere,
        _ if error.has("conflict") => Trouble::Clash,
        _ => Trouble::Server,
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
