//! Sorts what was typed by the definition, and says where it does not fit.

use std::ffi::{OsStr, OsString};

use lexopt::{Arg, Parser};

use super::definition::PROGRAM;
use super::matches::{Matches, UsageError};
use super::spec::{ArgumentCount, CommandSpec, OptionSpec, ValueKind, ValueSpec};
use super::suggest::nearest;
use super::usage;
use crate::words::visible;

/// What is asked of the program.
#[derive(Debug)]
pub enum Parsed {
    /// The help of a command: the program, and its command if one was named.
    Help(Vec<&'static CommandSpec>),
    /// Its version.
    Version,
    /// A command.
    Command(Matches),
}

/// Parses what was typed behind the name of the program.
pub fn parse(words: Vec<OsString>) -> Result<Parsed, UsageError> {
    if words.is_empty() {
        return Err(UsageError(usage::help(&[&PROGRAM])));
    }
    let mut line = CommandLine {
        parser: Parser::from_args(words),
        matches: Matches::new(),
    };
    loop {
        if let Some(word) = line.argument_with_hyphen() {
            line.take_argument(word)?;
            continue;
        }
        let word = match line.parser.next() {
            Ok(None) => break,
            Ok(Some(Arg::Long(name))) => Word::Long(name.to_owned()),
            Ok(Some(Arg::Short(name))) => Word::Short(name),
            Ok(Some(Arg::Value(value))) => Word::Value(value),
            Err(error) => return Err(line.unexpected_value(&error)),
        };
        let is_program = line.matches.path().len() == 1;
        match word {
            Word::Long(name) if name == "help" => return Ok(line.help()),
            Word::Short('h') => return Ok(line.help()),
            Word::Long(name) if name == "version" && is_program => return Ok(Parsed::Version),
            Word::Short('V') if is_program => return Ok(Parsed::Version),
            Word::Long(name) => line.take_long(&name)?,
            Word::Short(name) => line.take_short(name)?,
            Word::Value(word) if line.matches.command().commands.is_empty() => {
                line.take_argument(word)?;
            }
            Word::Value(word) if is_program && word == "help" => return line.take_help(),
            Word::Value(word) => line.take_command(&word)?,
        }
    }
    line.finish()
}

/// A word of the command line.
enum Word {
    Long(String),
    Short(char),
    Value(OsString),
}

/// A command line on its way through the parser.
struct CommandLine {
    parser: Parser,
    matches: Matches,
}

impl CommandLine {
    fn help(self) -> Parsed {
        Parsed::Help(self.matches.path().to_vec())
    }

    fn option(&self, is_it: impl Fn(&OptionSpec) -> bool) -> Option<&'static OptionSpec> {
        self.matches.known_options().find(|option| is_it(option))
    }

    fn take_long(&mut self, name: &str) -> Result<(), UsageError> {
        match self.option(|option| option.long == name) {
            Some(option) => self.take_option(option),
            None => Err(self.unknown_option(name)),
        }
    }

    fn take_short(&mut self, name: char) -> Result<(), UsageError> {
        match self.option(|option| option.short == Some(name)) {
            Some(option) => self.take_option(option),
            None => Err(self.unexpected(&format!("-{name}"), "")),
        }
    }

    fn take_option(&mut self, option: &'static OptionSpec) -> Result<(), UsageError> {
        let value = match option.value {
            Some(value) => Some(self.value(option, value)?),
            None => None,
        };
        self.matches.take(option, value)
    }

    /// The value of an option. What begins with a hyphen is one only behind `=`.
    fn value(&mut self, option: &OptionSpec, value: ValueSpec) -> Result<OsString, UsageError> {
        let word = self.parser.optional_value().or_else(|| {
            let mut words = self.parser.try_raw_args()?;
            words.next_if(|word| !has_hyphen(word))
        });
        let usage = option.usage();
        let Some(word) = word.filter(|word| !word.is_empty()) else {
            let what = format!("a value is required for '{usage}', and none is given");
            return Err(self.matches.error(&what));
        };
        self.check(&word, value, &usage)?;
        Ok(word)
    }

    /// Whether a word may be a value of this kind.
    fn check(&self, word: &OsStr, value: ValueSpec, usage: &str) -> Result<(), UsageError> {
        let ValueKind::OneOf(known) = value.kind else {
            return Ok(());
        };
        if known.iter().any(|one| word == *one) {
            return Ok(());
        }
        let word = visible(&word.to_string_lossy());
        let what = format!(
            "invalid value '{word}' for '{usage}': one of {}",
            known.join(", ")
        );
        Err(self.matches.error(&what))
    }

    /// An argument that begins with a hyphen, where the command takes such: all that is no option.
    fn argument_with_hyphen(&mut self) -> Option<OsString> {
        let argument = self.matches.command();
        let argument = argument.argument(self.matches.arguments.len())?;
        if !argument.may_begin_with_hyphen {
            return None;
        }
        let options: Vec<&OptionSpec> = self.matches.known_options().collect();
        let mut words = self.parser.try_raw_args()?;
        words.next_if(|word| has_hyphen(word) && word != "--" && !is_option(word, &options))
    }

    fn take_argument(&mut self, word: OsString) -> Result<(), UsageError> {
        let position = self.matches.arguments.len();
        let Some(argument) = self.matches.command().argument(position) else {
            return Err(self.unexpected(&word.to_string_lossy(), ""));
        };
        self.check(&word, argument.value, &argument.usage())?;
        self.matches.arguments.push(word);
        Ok(())
    }

    fn take_command(&mut self, word: &OsStr) -> Result<(), UsageError> {
        let word = word.to_string_lossy();
        let above = self.matches.command();
        if let Some(command) = above.command(&word) {
            self.matches.enter(command);
            return Ok(());
        }
        let names = above.commands.iter().flat_map(CommandSpec::names);
        let tip = nearest(&word, names.chain(["help"]));
        let tip = tip.map_or_else(String::new, |name| format!("there is a command '{name}'"));
        let what = format!("unrecognized command '{}'", visible(&word));
        Err(self.matches.error_with_tip(&what, &tip))
    }

    /// `help`, and the command it is about.
    fn take_help(mut self) -> Result<Parsed, UsageError> {
        loop {
            match self.parser.next() {
                Ok(None) => return Ok(self.help()),
                Ok(Some(Arg::Value(word))) if word == "help" => {}
                Ok(Some(Arg::Value(word))) => self.take_command(&word)?,
                Ok(Some(Arg::Long(_) | Arg::Short(_))) => {}
                Err(error) => return Err(self.unexpected_value(&error)),
            }
        }
    }

    fn finish(self) -> Result<Parsed, UsageError> {
        let matches = &self.matches;
        if !matches.command().commands.is_empty() {
            return Err(matches.error("a command is missing"));
        }
        let missing = matches.command().argument(matches.arguments.len());
        if let Some(missing) = missing.filter(|one| one.count == ArgumentCount::One) {
            let usage = missing.usage();
            return Err(matches.error(&format!("{usage} is missing: {}", missing.help)));
        }
        if let Some((option, other)) = matches.conflict() {
            let what = format!(
                "'{}' cannot be used with '{}'",
                option.usage(),
                other.usage()
            );
            return Err(matches.error(&what));
        }
        Ok(Parsed::Command(self.matches))
    }

    fn unexpected(&self, word: &str, tip: &str) -> UsageError {
        let what = format!("unexpected argument '{}'", visible(word));
        self.matches.error_with_tip(&what, tip)
    }

    fn unknown_option(&self, name: &str) -> UsageError {
        let typed = format!("--{name}");
        let mut below = self.matches.command().commands.iter();
        let has_it = |command: &&CommandSpec| command.options.iter().any(|one| one.long == name);
        if let Some(command) = below.find(has_it) {
            let tip = format!("it stands behind its command: '{} {typed}'", command.name);
            return self.unexpected(&typed, &tip);
        }
        let names = self.matches.known_options().map(|option| option.long);
        let tip = nearest(name, names.chain(["help"]));
        let tip = tip.map_or_else(String::new, |name| format!("there is '--{name}'"));
        self.unexpected(&typed, &tip)
    }

    /// A flag with a value behind `=`.
    fn unexpected_value(&self, error: &lexopt::Error) -> UsageError {
        match error {
            lexopt::Error::UnexpectedValue { option, value } => {
                let value = visible(&value.to_string_lossy());
                let what = format!("unexpected value '{value}' for '{option}', which takes none");
                self.matches.error(&what)
            }
            other => self.matches.error(&other.to_string()),
        }
    }
}

/// Whether a word looks like an option.
fn has_hyphen(word: &OsStr) -> bool {
    word.as_encoded_bytes().starts_with(b"-") && word.len() > 1
}

/// Whether a word with a hyphen is one of these options, or flags in one word, and nothing else.
fn is_option(word: &OsStr, options: &[&OptionSpec]) -> bool {
    let Some(word) = word.to_str() else {
        return false;
    };
    if let Some(long) = word.strip_prefix("--") {
        let name = long.split('=').next().unwrap_or_default();
        return name == "help" || options.iter().any(|option| option.long == name);
    }
    word.chars()
        .skip(1)
        .all(|letter| letter == 'h' || options.iter().any(|option| option.short == Some(letter)))
}
