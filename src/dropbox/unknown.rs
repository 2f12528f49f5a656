//! What Dropbox does in a way that this version does not know: each is told once.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::dropbox::wire::one_line;

/// LIMIT: kinds of unknown answers that a pass tells of.
const TOLD_MAX: usize = 16;

/// What was told so far.
#[derive(Default)]
pub struct Unknown {
    told: RefCell<BTreeSet<String>>,
}

impl Unknown {
    /// Tells `what` of its kind, the first time.
    pub fn note(&self, kind: String, what: &str) {
        let mut told = self.told.borrow_mut();
        if told.len() < TOLD_MAX && told.insert(kind) {
            log::info!("not known to this version, and worth a report: {what}");
        }
    }

    /// The same of a tag in an answer that is a success as a whole.
    pub fn note_tag(&self, place: &str, tag: &str) {
        let tag = one_line(tag);
        self.note(
            format!("{place} {tag}"),
            &format!("{place} has the tag {tag:?}"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_once_and_not_without_end() {
        let unknown = Unknown::default();
        for _ in 0..2 {
            unknown.note_tag("an entry", "a\nb");
        }
        assert_eq!(
            unknown.told.borrow().iter().collect::<Vec<_>>(),
            ["an entry a b"]
        );
        for number in 0..100 {
            unknown.note(number.to_string(), "x");
        }
        assert_eq!(unknown.told.borrow().len(), TOLD_MAX);
    }
}
