//! What is in one directory: its names, packed, and the means to look at what they name.
//!
//! A directory may hold hundreds of thousands of files. Its names are kept back to back, nothing is
//! kept for what they name, and their folded forms are made where they are needed.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::io;
use std::ops::Range;

use crate::core::path::fold;
use crate::io::stat::Status;

/// A directory that was listed.
pub struct Listing<'d> {
    /// The names that are UTF-8, in no order.
    pub names: Names,
    /// The other ones. Dropbox has no place for them.
    pub not_utf8: Vec<NotUtf8>,
    /// The directory itself.
    pub handle: Box<dyn DirHandle + 'd>,
}

/// An entry whose name is not UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotUtf8 {
    /// What can be read of the name.
    pub shown: String,
    /// What is there, if that could be told.
    pub status: Option<Status>,
}

/// Looks at the entries of an open directory, whatever has become of its path.
pub trait DirHandle {
    /// What is there under this name now; nothing if it was removed.
    ///
    /// # Errors
    /// What the system says.
    fn status(&self, name: &str) -> io::Result<Option<Status>>;
}

/// Names, back to back.
#[derive(Clone, Debug, Default)]
pub struct Names {
    text: String,
    spans: Vec<Span>,
}

/// Where a name begins and ends.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    end: u32,
    /// It is its own key, as most are.
    is_folded: bool,
}

impl Names {
    /// Adds a name. LIMIT: names of one directory may have 4 GiB together.
    ///
    /// # Errors
    /// `OutOfMemory` beyond that.
    pub fn push(&mut self, name: &str) -> io::Result<()> {
        let full = |_| io::Error::from(io::ErrorKind::OutOfMemory);
        let start = u32::try_from(self.text.len()).map_err(full)?;
        let end = u32::try_from(self.text.len() + name.len()).map_err(full)?;
        self.text.push_str(name);
        self.spans.push(Span {
            start,
            end,
            is_folded: is_folded(name),
        });
        Ok(())
    }

    /// All but those at these places, which must be in order.
    #[must_use]
    pub fn without(mut self, places: &[usize]) -> Names {
        let mut at = 0;
        self.spans.retain(|_| {
            at += 1;
            places.binary_search(&(at - 1)).is_err()
        });
        self
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The name at this place.
    pub fn get(&self, at: usize) -> Option<&str> {
        let span = self.spans.get(at)?;
        self.text.get(span.start as usize..span.end as usize)
    }

    /// The key of the name at this place.
    pub fn folded(&self, at: usize) -> Option<Cow<'_, str>> {
        let name = self.get(at)?;
        let is_folded = self.spans.get(at).is_some_and(|span| span.is_folded);
        Some(if is_folded {
            Cow::Borrowed(name)
        } else {
            Cow::Owned(fold(name))
        })
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).filter_map(|at| self.get(at))
    }

    /// Sorts them by key, and equal keys by name.
    pub fn sort(&mut self) {
        let text = &self.text;
        let name = |span: &Span| &text[span.start as usize..span.end as usize];
        self.spans.sort_unstable_by(|a, b| {
            if a.is_folded && b.is_folded {
                name(a).cmp(name(b))
            } else {
                compare(name(a), name(b))
            }
        });
    }

    /// Where the names with this key stand among sorted ones.
    pub fn with_key(&self, key: &str) -> Range<usize> {
        let is_below = |span: &Span| {
            let name = self.text.get(span.start as usize..span.end as usize);
            name.is_some_and(|name| *folded(name) < *key)
        };
        let start = self.spans.partition_point(is_below);
        let same = (start..self.len()).take_while(|at| self.folded(*at).as_deref() == Some(key));
        start..start + same.count()
    }
}

fn is_folded(name: &str) -> bool {
    name.bytes()
        .all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase())
}

fn folded(name: &str) -> Cow<'_, str> {
    if is_folded(name) {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(fold(name))
    }
}

fn compare(a: &str, b: &str) -> Ordering {
    let by_key = if a.is_ascii() && b.is_ascii() {
        a.bytes()
            .map(|byte| byte.to_ascii_lowercase())
            .cmp(b.bytes().map(|byte| byte.to_ascii_lowercase()))
    } else {
        folded(a).cmp(&folded(b))
    };
    by_key.then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Names {
        let mut names = Names::default();
        for name in list {
            names.push(name).unwrap();
        }
        names.sort();
        names
    }

    #[test]
    fn names_are_in_the_order_of_their_keys() {
        let list = ["b", "Ä", "a\u{308}x", "B", "A", "a.b", "a", "é", "z", "_"];
        let names = names(&list);
        let mut expected: Vec<_> = list.iter().map(|n| (fold(n), (*n).to_owned())).collect();
        expected.sort();
        let found: Vec<_> = names.iter().map(|n| (fold(n), n.to_owned())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn all_names_of_a_key_are_found() {
        let names = names(&["b", "A", "a", "Ä", "ä", "a\u{308}", "c"]);
        for (key, count) in [("a", 2), ("b", 1), ("ä", 3), ("d", 0), ("", 0)] {
            let range = names.with_key(key);
            assert_eq!(range.len(), count, "{key}");
            assert!(range.into_iter().all(|at| names.folded(at).unwrap() == key));
        }
    }
}
