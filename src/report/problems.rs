//! The paths that a pass could not handle, in bounded memory.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::Trouble;

/// LIMIT: problems that a pass keeps in mind; all are told as they come.
const KEPT_MAX: usize = 1000;

/// LIMIT: of further problems so many are known by a number, so that each is told and counted once.
const NUMBERED_MAX: usize = 50_000;

/// One path that could not be handled; the pass went on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `/relative/path`.
    pub path: String,
    /// What is wrong and what to do.
    pub text: String,
    /// A word for programs.
    pub code: &'static str,
}

/// The problems of one pass: the first that is said of a path counts.
#[derive(Default)]
pub(super) struct Problems {
    kept: BTreeMap<String, (Trouble, String)>,
    /// Those for which there is no memory, and how many they are.
    more: HashSet<u64>,
    more_count: u64,
}

impl Problems {
    /// Takes a problem; says whether nothing was said of its path yet.
    pub(super) fn insert(&mut self, path: &str, trouble: Trouble, text: &str) -> bool {
        if self.kept.contains_key(path) {
            return false;
        }
        if self.kept.len() < KEPT_MAX {
            let problem = (trouble, text.to_owned());
            self.kept.insert(path.to_owned(), problem);
            return true;
        }
        let mut hasher = DefaultHasher::new();
        path.hash(&mut hasher);
        let number = hasher.finish();
        let is_first = match self.more.len() < NUMBERED_MAX {
            true => self.more.insert(number),
            false => !self.more.contains(&number),
        };
        self.more_count += u64::from(is_first);
        is_first
    }

    /// How many paths have a problem.
    pub(super) fn count(&self) -> u64 {
        self.kept.len() as u64 + self.more_count
    }

    /// Those that are kept in mind, in order of paths.
    pub(super) fn kept(&self) -> Vec<Problem> {
        let problem = |(path, (trouble, text)): (&String, &(Trouble, String))| Problem {
            path: path.clone(),
            text: text.clone(),
            code: trouble.code(),
        };
        self.kept.iter().map(problem).collect()
    }
}
