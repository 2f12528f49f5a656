//! How it goes when Dropbox is asked to tell of changes: when to ask again, for how long, and what
//! takes its place while it does not work.

use std::time::{Duration, Instant};

use crate::core::remote::Cursor;
use crate::dropbox::longpoll::{ADDED_MAX_S, News, TIMEOUT_S, TIMEOUT_S_LEAST};

/// First wait after Dropbox told of changes that were none, or could not be asked; it doubles.
const BACKOFF_FIRST: Duration = Duration::from_secs(5);
/// Longest such wait.
const BACKOFF_MAX: Duration = Duration::from_secs(300);
/// Time between two passes for changes in Dropbox: each of them writes down how far it has come.
const BETWEEN_PASSES: Duration = Duration::from_secs(5);
/// Dropbox waits longer than this for changes (30 seconds at least).
const ANSWER_AT_ONCE: Duration = Duration::from_secs(10);
/// Longest wait that Dropbox may ask for.
const ASKED_MAX: Duration = Duration::from_secs(3600);
/// Failures in a row after which it does not work, and a pass looks for changes at each.
const FAILED_MAX: u32 = 3;

/// What became of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PollEnd {
    /// Dropbox answered after so long.
    Answered(News, Duration),
    /// There was no usable answer.
    Failed(String),
}

/// What follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// A pass is to look what is new.
    pub pass: bool,
    /// What people are told.
    pub told: Option<Told>,
}

/// What people are told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It does not work, for this reason.
    Deaf(String),
    /// It works again.
    Hears,
}

/// How it goes.
#[derive(Debug)]
pub struct Listening {
    /// Dropbox is not asked before this.
    ask_after: Option<Instant>,
    idle_asks: u32,
    /// The cursor Dropbox told of changes for.
    told_of: Option<Cursor>,
    /// Failures in a row.
    failed: u32,
    timeout_s: u64,
}

impl Default for Listening {
    fn default() -> Listening {
        Listening {
            ask_after: None,
            idle_asks: 0,
            told_of: None,
            failed: 0,
            timeout_s: TIMEOUT_S,
        }
    }
}

impl Listening {
    /// How long it is until Dropbox may be asked; nothing if it may be now.
    pub fn is_put_off(&self, now: Instant) -> Option<Duration> {
        let left = self.ask_after?.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    /// Seconds Dropbox is to wait for changes.
    pub fn timeout_s(&self) -> u64 {
        self.timeout_s
    }

    /// How long an answer is waited for: after that the connection is silent because it is lost.
    pub fn patience(&self) -> Duration {
        Duration::from_secs(self.timeout_s + ADDED_MAX_S + 10)
    }

    /// Whether it does not work, and passes look for changes instead.
    pub fn is_deaf(&self) -> bool {
        self.failed >= FAILED_MAX
    }

    /// Takes in what became of a question.
    pub fn heard(&mut self, cursor: Cursor, asked: PollEnd, now: Instant) -> Heard {
        let was_deaf = self.is_deaf();
        let (changes, mut wait, failure) = match asked {
            PollEnd::Answered(news, took) => {
                let is_at_once = took < ANSWER_AT_ONCE;
                // Told again for the same cursor, a pass found nothing that is ours.
                let again = news.changes && self.told_of.as_ref() == Some(&cursor);
                let is_idle = news.is_reset || again || (!news.changes && is_at_once);
                self.idle_asks = if is_idle { self.idle_asks + 1 } else { 0 };
                if news.changes {
                    self.told_of = Some(cursor);
                }
                let failure = match (news.is_reset, news.changes) {
                    (true, _) => Some("Dropbox does not know any more how far it was read"),
                    (false, false) if is_at_once => Some("Dropbox does not wait for changes"),
                    (false, _) => None,
                };
                let asked = news.backoff.min(ASKED_MAX);
                (news.changes, asked, failure.map(str::to_owned))
            }
            PollEnd::Failed(text) => {
                self.idle_asks += 1;
                (false, Duration::ZERO, Some(text))
            }
        };
        if changes {
            wait = wait.max(BETWEEN_PASSES);
        }
        if self.idle_asks > 0 {
            wait = wait.max(self.backoff());
        }
        self.ask_after = now.checked_add(wait);
        match &failure {
            Some(_) => {
                self.failed = self.failed.saturating_add(1);
                self.timeout_s = TIMEOUT_S_LEAST;
            }
            None => {
                self.failed = 0;
                self.timeout_s = (self.timeout_s * 2).min(TIMEOUT_S);
            }
        }
        Heard {
            pass: changes || self.is_deaf(),
            told: match (was_deaf, failure) {
                (false, Some(text)) if self.is_deaf() => Some(Told::Deaf(text)),
                (true, None) => Some(Told::Hears),
                _ => None,
            },
        }
    }

    fn backoff(&self) -> Duration {
        (BACKOFF_FIRST * (1 << self.idle_asks.min(7))).min(BACKOFF_MAX)
    }
}
