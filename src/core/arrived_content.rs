//! How often each content arrived on a side: a file whose content did was moved, not lost.

use std::collections::HashMap;

use crate::core::content_hash::ContentHash;

/// LIMIT: contents kept in mind. What arrives beyond them pardons no delete: a person is asked.
const KEPT_MAX: usize = 4000;

/// Contents that arrived, by the first 64 bits of their hashes: they only ever pardon a delete
/// that would otherwise count against a limit.
#[derive(Clone, Debug, Default)]
pub struct ArrivedContent(HashMap<u64, u32>);

impl ArrivedContent {
    /// One more file with this content.
    pub fn note(&mut self, hash: ContentHash) {
        if self.has_room(hash) {
            let count = self.0.entry(short(hash)).or_default();
            *count = count.saturating_add(1);
        }
    }

    /// At least one file with this content.
    pub fn note_once(&mut self, hash: ContentHash) {
        if self.has_room(hash) {
            self.0.entry(short(hash)).or_insert(1);
        }
    }

    fn has_room(&self, hash: ContentHash) -> bool {
        self.0.len() < KEPT_MAX || self.0.contains_key(&short(hash))
    }

    /// Takes one file with this content away; says whether there was one.
    pub fn take(&mut self, hash: ContentHash) -> bool {
        match self.0.get_mut(&short(hash)) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }
}

fn short(hash: ContentHash) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = hash.0;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_arrival_stands_for_one_file() {
        let mut arrivals = ArrivedContent::default();
        let [a, b] = [b"a", b"b"].map(|bytes| ContentHash::of(bytes));
        arrivals.note(a);
        arrivals.note(a);
        arrivals.note_once(a);
        arrivals.note_once(b);
        arrivals.note_once(b);
        assert_eq!(
            [a, a, a].map(|hash| arrivals.take(hash)),
            [true, true, false]
        );
        assert_eq!([b, b].map(|hash| arrivals.take(hash)), [true, false]);
    }
}
