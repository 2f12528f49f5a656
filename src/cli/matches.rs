//! What was typed, as the definition sorts it, and what is said where it makes no sense.

use std::ffi::{OsStr, OsString};
use std::fmt;

use super::definition::PROGRAM;
use super::spec::{ArgumentSpec, CommandSpec, OptionSpec};
use super::usage;
use crate::words::visible;

/// Why a command line makes no sense: the whole text for stderr.
#[derive(Debug)]
pub struct UsageError(pub String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A command with its options and arguments.
#[derive(Debug)]
pub struct Matches {
    /// The program and its command, and the command of that if it has any.
    path: Vec<&'static CommandSpec>,
    options: Vec<GivenOption>,
    /// Arguments in their order.
    pub arguments: Vec<OsString>,
}

/// An option that was given.
#[derive(Debug)]
struct GivenOption {
    option: &'static OptionSpec,
    value: Option<OsString>,
    /// Behind how many commands it stands.
    depth: usize,
}

impl Matches {
    /// The program, with nothing behind it yet.
    pub fn new() -> Matches {
        Matches {
            path: vec![&PROGRAM],
            options: Vec::new(),
            arguments: Vec::new(),
        }
    }

    /// The program and its command.
    pub fn path(&self) -> &[&'static CommandSpec] {
        &self.path
    }

    /// The innermost command.
    pub fn command(&self) -> &'static CommandSpec {
        self.path.last().copied().unwrap_or(&PROGRAM)
    }

    /// The names of the command: one, or two for a command of a command.
    pub fn names(&self) -> Vec<&'static str> {
        self.path
            .iter()
            .skip(1)
            .map(|command| command.name)
            .collect()
    }

    /// All options that may stand here: those of the command, and of what it belongs to.
    pub fn known_options(&self) -> impl Iterator<Item = &'static OptionSpec> {
        self.path.iter().flat_map(|command| command.options)
    }

    /// What follows belongs to this command.
    pub fn enter(&mut self, command: &'static CommandSpec) {
        self.path.push(command);
    }

    /// Takes an option; the same again only where it may stand twice.
    pub fn take(
        &mut self,
        option: &'static OptionSpec,
        value: Option<OsString>,
    ) -> Result<(), UsageError> {
        let depth = self.path.len();
        // Before the command it may come from an alias of the shell, which the rest overrules.
        let is_there =
            |given: &GivenOption| given.option.long == option.long && given.depth == depth;
        if !option.is_repeatable && self.options.iter().any(is_there) {
            let usage = option.usage();
            return Err(self.error(&format!("'{usage}' cannot be used more than once")));
        }
        self.options.push(GivenOption {
            option,
            value,
            depth,
        });
        Ok(())
    }

    fn given(&self, long: &str) -> impl Iterator<Item = &GivenOption> {
        debug_assert!(
            self.known_options().any(|option| option.long == long),
            "{long} is no option of {:?}",
            self.names()
        );
        let given = self.options.iter();
        given.filter(move |given| given.option.long == long)
    }

    /// Two options of which one excludes the other.
    pub fn conflict(&self) -> Option<(&'static OptionSpec, &'static OptionSpec)> {
        let given = || self.options.iter().map(|given| given.option);
        given().find_map(|option| {
            let other = given().find(|other| option.conflicts.contains(&other.long))?;
            Some((option, other))
        })
    }

    /// How often an option was given.
    pub fn count(&self, long: &str) -> usize {
        self.given(long).count()
    }

    /// Whether an option was given.
    pub fn has(&self, long: &str) -> bool {
        self.count(long) > 0
    }

    /// The value of an option; of two, the last.
    pub fn value(&self, long: &str) -> Option<&OsStr> {
        self.given(long).last()?.value.as_deref()
    }

    /// The values of an option that may be given more than once.
    pub fn texts(&self, long: &str) -> Result<Vec<String>, UsageError> {
        let texts = self.given(long).map(|given| {
            let value = given.value.as_deref().unwrap_or_default();
            self.text(value, &given.option.usage())
        });
        texts.collect()
    }

    /// The value of an option as `read` understands it.
    pub fn read<T>(
        &self,
        long: &str,
        read: fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, UsageError> {
        let Some(given) = self.given(long).last() else {
            return Ok(None);
        };
        let value = given.value.as_deref().unwrap_or_default();
        let usage = given.option.usage();
        let text = self.text(value, &usage)?;
        read(&text).map(Some).map_err(|why| {
            let text = visible(&text);
            self.error(&format!("invalid value '{text}' for '{usage}': {why}"))
        })
    }

    /// The arguments as texts.
    pub fn argument_texts(&self) -> Result<Vec<String>, UsageError> {
        let texts = self.arguments.iter().enumerate().map(|(position, word)| {
            let argument = self.command().argument(position);
            self.text(
                word,
                &argument.map_or_else(String::new, ArgumentSpec::usage),
            )
        });
        texts.collect()
    }

    fn text(&self, value: &OsStr, usage: &str) -> Result<String, UsageError> {
        let text = value.to_str().map(str::to_owned);
        text.ok_or_else(|| {
            let shown = visible(&value.to_string_lossy());
            self.error(&format!("'{shown}' for '{usage}' is not UTF-8"))
        })
    }

    /// What is said of what is wrong with the command line.
    pub fn error(&self, what: &str) -> UsageError {
        self.error_with_tip(what, "")
    }

    /// The same, with what may have been meant.
    pub fn error_with_tip(&self, what: &str, tip: &str) -> UsageError {
        let names = usage::full_name(&self.path);
        let tip = match tip {
            "" => String::new(),
            tip => format!("\n  tip: {tip}\n"),
        };
        UsageError(format!(
            "error: {what}\n{tip}\n{}\n\nFor more information, try '{names} --help'.\n",
            usage::line(&self.path)
        ))
    }
}
