//! The one account, and how the paths of a call lead into its tree.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::clock::Clock;
use crate::encoding::ascii_json;
use crate::errors::{LookupError, WriteError};
use crate::faults::Fault;
use crate::habits::{Habits, ResultHeader};
use crate::jobs::{Job, Launch};
use crate::names;
use crate::oauth::OAuth;
use crate::sessions::Sessions;
use crate::standin::Logged;
use crate::tree::{Revision, Tree};

/// How much of the account an app sees; fixed when the app is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only `/Apps/<name>`, which is its root.
    AppFolder,
    /// Everything.
    Full,
}

/// What the paths of a call begin in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    /// The folder of the member, or of the account.
    Home,
    /// The space of the team.
    Team,
}

/// Everything the stand-in remembers.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) account_id: String,
    pub(crate) namespace: String,
    pub(crate) access: Access,
    pub(crate) clock: Clock,
    pub(crate) tree: Tree,
    pub(crate) oauth: OAuth,
    pub(crate) sessions: Sessions,
    pub(crate) jobs: BTreeMap<String, Job>,
    pub(crate) launch: Launch,
    /// How many further requests it takes until a job is carried out.
    pub(crate) job_delay: u32,
    pub(crate) cursor_epoch: u64,
    pub(crate) keep_contents: bool,
    pub(crate) habits: Habits,
    /// What was before the last write, and how many looks still see it.
    pub(crate) before: Option<(Box<Tree>, u32)>,
    /// The space of the team, and its namespace; the member's own is the home.
    pub(crate) team: Option<(String, Box<Tree>)>,
    /// Where people are: the tree of this space is at hand.
    pub(crate) people_in: Space,
    pub(crate) faults: Vec<Fault>,
    pub(crate) log: Vec<Logged>,
    pub(crate) seed: u64,
    pub(crate) answered: u64,
}

impl Account {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            account_id: "dbid:AAH4f99T0taONIb-OurWxbNQ6ywGRopQngc".into(),
            namespace: "3235641".into(),
            access: Access::Full,
            clock: Clock::frozen(),
            tree: Tree::new(seed),
            oauth: OAuth::new(seed),
            sessions: Sessions::new(seed),
            jobs: BTreeMap::new(),
            launch: Launch::default(),
            job_delay: 0,
            cursor_epoch: 0,
            keep_contents: true,
            habits: Habits::default(),
            before: None,
            team: None,
            people_in: Space::Home,
            faults: Vec::new(),
            log: Vec::new(),
            seed,
            answered: 0,
        }
    }

    /// Goes over into another space, and the next time back: the trees change places.
    pub(crate) fn enter(&mut self, space: Space) {
        if let Some((_, tree)) = &mut self.team
            && space != self.people_in
        {
            std::mem::swap(&mut self.tree, tree);
        }
    }

    /// A result as it stands in its header.
    pub(crate) fn result_header(&self, result: &Value) -> String {
        match self.habits.result_header {
            ResultHeader::Utf8 => result.to_string(),
            ResultHeader::Ascii | ResultHeader::OtherSize | ResultHeader::Missing => {
                ascii_json(result)
            }
        }
    }

    /// The path meant by `ns:1/a` or `id:x/a`, as it was spelled otherwise.
    fn spelled(&self, path: &str) -> Result<String, LookupError> {
        if let Some(rest) = path.strip_prefix("ns:") {
            let (namespace, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let known = namespace == self.namespace;
            return if known {
                Ok(rest.to_owned())
            } else {
                Err(LookupError::NotFound)
            };
        }
        if path.starts_with("id:") {
            let (id, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
            let key = self.tree.key_of_id(id).ok_or(LookupError::NotFound)?;
            let node = self.tree.live(key).ok_or(LookupError::NotFound)?;
            return Ok(format!("{}{rest}", node.display));
        }
        Ok(path.to_owned())
    }

    /// The key of a path that is looked up; `""` is the root. It is not brought to NFC, so a
    /// decomposed name finds nothing. Empty components and trailing slashes are malformed.
    pub(crate) fn lookup_key(&self, path: &str) -> Result<String, LookupError> {
        let path = self.spelled(path)?;
        if self.habits.app_folder_is_gone {
            return Err(LookupError::NotFound);
        }
        if !path.is_empty() && !names::is_well_formed(&path) {
            return Err(LookupError::MalformedPath);
        }
        Ok(names::folded(&path))
    }

    /// The path to write for one that may be an id or have a namespace.
    pub(crate) fn write_path(&self, path: &str) -> Result<String, WriteError> {
        let path = self.spelled(path).map_err(|_| WriteError::MalformedPath)?;
        let path = names::composed(&path);
        names::check(&path)?;
        if self.habits.refuses_beyond_bmp && path.chars().any(|c| c > '\u{ffff}') {
            return Err(WriteError::MalformedPath);
        }
        Ok(path)
    }

    /// The file revision a download or metadata call means. `rev:` reaches old revisions.
    pub(crate) fn revision_at(&self, path: &str) -> Result<&Revision, LookupError> {
        if let Some(rev) = path.strip_prefix("rev:") {
            let revision = self.tree.revision(rev);
            return revision
                .map(|revision| &**revision)
                .ok_or(LookupError::NotFound);
        }
        let key = self.lookup_key(path)?;
        match self.tree.file(&key) {
            Some(revision) => Ok(revision),
            None if self.tree.is_folder(&key) => Err(LookupError::NotFile),
            None => Err(LookupError::NotFound),
        }
    }
}
