//! What is said line by line: at most so many lines of a kind, then how many more there were.
//!
//! Thousands of files can have the same trouble, and who reads along needs a few of them. All are
//! in the JSON of the pass.

use std::cell::RefCell;
use std::collections::BTreeMap;

use log::Level;

use crate::words::grouped;

/// The target of lines about single actions: on a terminal they are for who asks for them.
pub const ACTION: &str = "ferrybox::action";

/// Where all other lines come from.
const LINES: &str = module_path!();

/// Lines of a kind that are said.
pub const SAID_MAX: u64 = 20;

/// LIMIT: kinds of problems that are told apart by their text; what comes later is one kind, so
/// that texts with names in them do not make each line a kind of its own.
const KINDS_MAX: usize = 8;

/// Where all lines of a kind are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {
    /// In the JSON of the pass.
    Json,
    /// With `-v`.
    Verbose,
}

impl Whole {
    fn text(self) -> &'static str {
        match self {
            Whole::Json => "--json",
            Whole::Verbose => "-v",
        }
    }

    fn target(self, level: Level) -> &'static str {
        match self {
            Whole::Verbose if level > Level::Warn => ACTION,
            Whole::Verbose | Whole::Json => LINES,
        }
    }
}

struct LineKind {
    level: Level,
    count: u64,
    /// How its lines begin or end, without what differs.
    example: String,
    whole: Whole,
}

/// The lines of one pass.
#[derive(Default)]
pub struct Lines {
    kinds: RefCell<BTreeMap<String, LineKind>>,
    has_no_limit: bool,
}

impl Lines {
    /// Every line is said.
    pub fn unlimited() -> Lines {
        Lines {
            has_no_limit: true,
            ..Lines::default()
        }
    }

    /// Says a line of a kind, unless enough of them have been said. `example` is the kind, for
    /// people.
    pub fn say(&self, level: Level, whole: Whole, example: &str, line: &str) {
        let mut kinds = self.kinds.borrow_mut();
        let mut kind = pattern(example);
        if !kinds.contains_key(&kind) && kinds.len() >= KINDS_MAX {
            kind.clear();
        }
        let entry = kinds.entry(kind).or_insert_with_key(|kind| LineKind {
            level,
            count: 0,
            example: if kind.is_empty() {
                String::new()
            } else {
                example.to_owned()
            },
            whole,
        });
        entry.count += 1;
        if self.has_no_limit || entry.count <= SAID_MAX {
            log::log!(target: whole.target(level), level, "{line}");
        }
    }

    /// Says of each kind how many more there were, and begins anew.
    pub fn tell_rest(&self) {
        let kinds = std::mem::take(&mut *self.kinds.borrow_mut());
        for kind in kinds.into_values() {
            let more = kind.count.saturating_sub(SAID_MAX);
            if more == 0 || self.has_no_limit {
                continue;
            }
            let (more, whole) = (grouped(more), kind.whole.text());
            let line = match kind.example.as_str() {
                "" => format!("... and {more} more; all of them with {whole}"),
                example => {
                    format!("... and {more} more like this: {example}; all of them with {whole}")
                }
            };
            log::log!(target: kind.whole.target(kind.level), kind.level, "{line}");
        }
    }
}

/// What texts of a kind have in common: their words, without names, numbers and what stands in
/// brackets.
fn pattern(text: &str) -> String {
    let mut depth = 0_u32;
    let outside = |c: &char| {
        depth = match c {
            '(' => depth + 1,
            ')' => depth.saturating_sub(1),
            _ => depth,
        };
        depth == 0
    };
    let text: String = text.chars().filter(outside).collect();
    let is_plain = |word: &&str| {
        let word = word.trim_end_matches([',', ';', ':', '.']);
        word.chars().all(|c| c.is_alphabetic() || "'-".contains(c))
    };
    text.split_whitespace()
        .filter(is_plain)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// B4.
    #[test]
    fn b4_texts_that_differ_in_names_and_numbers_are_of_one_kind() {
        let one = pattern("not uploaded: the Dropbox is full (3.1 MiB of 5 missing)");
        assert_eq!(
            one,
            pattern("not uploaded: the Dropbox is full (13.0 KiB of 9 missing)")
        );
        assert_eq!(
            pattern("Dropbox would take it for the same name as /a/B.txt: rename one"),
            pattern("Dropbox would take it for the same name as /x9/y: rename one")
        );
        assert_ne!(
            pattern("not uploaded: no room"),
            pattern("not downloaded: no room")
        );
    }

    /// B4: names of nothing but letters.
    #[test]
    fn b4_the_number_of_kinds_has_an_end() {
        let lines = Lines::default();
        for number in 0..1000_u32 {
            let name: String = number
                .to_string()
                .bytes()
                .map(|b| char::from(b + (b'a' - b'0')))
                .collect();
            let text = format!("is the same as {name}");
            lines.say(Level::Warn, Whole::Json, &text, &text);
        }
        assert_eq!(lines.kinds.borrow().len(), KINDS_MAX + 1);
    }
}
