//! How a command ended, and what it answers.

use crate::error::{ExitCode, Result};
use crate::report::print_line;

/// How a command ended.
pub struct CommandOutcome {
    /// Its exit code, or what ended it.
    pub result: Result<ExitCode>,
    /// Its last line of JSON is printed already.
    pub has_summary: bool,
    /// Its error was told by a run before, not long ago.
    pub is_told: bool,
    /// What it answers; data, so it goes to stdout.
    pub answer: Option<Printed>,
}

/// What a command answers, for people and for programs.
pub struct Printed {
    /// For people.
    pub text: String,
    /// For programs: the type of its line, and the fields.
    pub json: Option<(&'static str, serde_json::Value)>,
}

impl Printed {
    /// Prints the line for programs.
    pub fn print(&self) {
        if let Some((kind, fields)) = &self.json {
            print_line(kind, fields);
        }
    }
}

impl CommandOutcome {
    /// A command that answers with a text, and with nothing for programs.
    pub fn of(result: Result<String>) -> CommandOutcome {
        CommandOutcome::with(result, |_| None)
    }

    /// A command that has told all it has to say.
    pub fn told(exit: ExitCode) -> CommandOutcome {
        CommandOutcome {
            result: Ok(exit),
            has_summary: false,
            is_told: false,
            answer: None,
        }
    }

    /// A command that answers with a text; `json` makes of it what a program gets.
    pub fn with(
        result: Result<String>,
        json: impl FnOnce(&str) -> Option<(&'static str, serde_json::Value)>,
    ) -> CommandOutcome {
        let (result, answer) = match result {
            Ok(text) => {
                let json = json(&text);
                (Ok(ExitCode::Ok), Some(Printed { text, json }))
            }
            Err(error) => (Err(error), None),
        };
        CommandOutcome {
            result,
            has_summary: false,
            is_told: false,
            answer,
        }
    }
}
