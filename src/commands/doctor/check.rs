//! What a check comes to: a state, a line that says why, and what to do about it.

use serde::Serialize;

use crate::core::invocation::quoted;
use crate::words::{grouped, printable};

/// LIMIT: of many things of one kind so many are named.
const NAMED_MAX: usize = 5;

/// How it is with one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckState {
    /// As it should be, or nothing that matters here.
    Ok,
    /// It works, but not as well as it might.
    Warn,
    /// It does not work like this.
    Fail,
}

impl CheckState {
    /// The word for it, as long as all others.
    pub fn word(self) -> &'static str {
        match self {
            CheckState::Ok => "ok  ",
            CheckState::Warn => "warn",
            CheckState::Fail => "fail",
        }
    }
}

/// What was found about one thing, bit by bit: the worst counts, and is said first.
pub struct Check {
    /// A stable word.
    pub name: &'static str,
    found: Vec<(CheckState, String)>,
    remedies: Vec<String>,
}

impl Check {
    /// Nothing was found yet.
    pub fn new(name: &'static str) -> Check {
        Check {
            name,
            found: Vec::new(),
            remedies: Vec::new(),
        }
    }

    /// One that does not apply, with the reason.
    pub fn skipped(name: &'static str, why: &str) -> Check {
        let mut check = Check::new(name);
        check.ok(why);
        check
    }

    /// Something is as it should be.
    pub fn ok(&mut self, text: impl Into<String>) {
        self.found.push((CheckState::Ok, text.into()));
    }

    /// Something might be better.
    pub fn warn(&mut self, text: impl Into<String>, remedy: impl Into<String>) {
        self.add(CheckState::Warn, text.into(), remedy.into());
    }

    /// Something does not work.
    pub fn fail(&mut self, text: impl Into<String>, remedy: impl Into<String>) {
        self.add(CheckState::Fail, text.into(), remedy.into());
    }

    /// The same of a message that says what to do behind its first semicolon; if it does not,
    /// `otherwise` is what to do.
    pub fn fail_as_told(&mut self, message: &str, otherwise: &str) {
        let (text, remedy) = told(message, otherwise);
        self.fail(text, remedy);
    }

    fn add(&mut self, state: CheckState, text: String, remedy: String) {
        self.found.push((state, text));
        if !self.remedies.contains(&remedy) {
            self.remedies.push(remedy);
        }
    }

    /// The worst of it.
    pub fn state(&self) -> CheckState {
        let states = self.found.iter().map(|(state, _)| *state);
        states.max().unwrap_or(CheckState::Ok)
    }

    /// All of it in one line, the worst first.
    pub fn text(&self) -> String {
        let of = |wanted: CheckState| {
            let found = self.found.iter().filter(move |(state, _)| *state == wanted);
            found.map(|(_, text)| text.as_str())
        };
        let all = of(CheckState::Fail).chain(of(CheckState::Warn));
        let all: Vec<_> = all.chain(of(CheckState::Ok)).collect();
        all.join("; ").replace('\n', " ")
    }

    /// What to do, one thing after the other.
    pub fn remedies(&self) -> &[String] {
        &self.remedies
    }
}

/// What is wrong, and what to do about it.
fn told(message: &str, otherwise: &str) -> (String, String) {
    let message = message.lines().next().unwrap_or_default();
    match message.split_once("; ") {
        Some((text, remedy)) => (text.to_owned(), as_command(remedy)),
        None => (message.to_owned(), otherwise.to_owned()),
    }
}

/// A remedy that is nothing but a command stands alone, to be pasted.
fn as_command(remedy: &str) -> String {
    let command = remedy.strip_prefix("run: ");
    let is_alone = |command: &&str| !command.contains(" -- ") && !command.contains(": ");
    command.filter(is_alone).unwrap_or(remedy).to_owned()
}

/// A path as it stands in a command.
pub fn in_command(path: &std::path::Path) -> String {
    quoted(&path.to_string_lossy())
}

/// Things of one kind: how many there are, and the first of them.
#[derive(Default)]
pub struct Sample {
    /// How many there are.
    pub count: u64,
    named: Vec<String>,
}

impl Sample {
    /// One more.
    pub fn add(&mut self, name: impl FnOnce() -> String) {
        self.count += 1;
        if self.named.len() < NAMED_MAX {
            self.named.push(name());
        }
    }

    /// The first of them, and how many more there are.
    pub fn names(&self) -> String {
        let mut names: Vec<_> = self.named.iter().map(|name| printable(name)).collect();
        let more = self.count.saturating_sub(names.len() as u64);
        if more > 0 {
            names.push(format!("{} more", grouped(more)));
        }
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_counts_and_is_said_first() {
        let mut check = Check::new("x");
        assert_eq!(check.state(), CheckState::Ok);
        check.ok("good");
        check.warn("odd", "do this");
        check.fail("bad", "do that");
        check.warn("odd, too", "do this");
        assert_eq!(check.state(), CheckState::Fail);
        assert_eq!(check.text(), "bad; odd; odd, too; good");
        assert_eq!(check.remedies(), ["do this", "do that"]);
    }

    #[test]
    fn what_a_message_says_to_do_can_be_pasted() {
        let of = |message: &str| told(message, "look");
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(of("it is so; run: a b\nmore"), pair("it is so", "a b"));
        assert_eq!(of("it is so"), pair("it is so", "look"));
        let two = "run: a -- and then, run: b";
        assert_eq!(of(&format!("x; {two}")), pair("x", two));
    }

    #[test]
    fn of_many_the_first_are_named() {
        let mut sample = Sample::default();
        for number in 0..7 {
            sample.add(|| format!("/{number}"));
        }
        assert_eq!(sample.names(), "/0, /1, /2, /3, /4, 2 more");
    }
}
