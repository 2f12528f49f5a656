//! What is wrong with a configuration, as one line for each fault.

use std::fmt;
use std::path::PathBuf;

use crate::words::visible;

/// A fault in the configuration: exit code 78. Prints as `FILE:LINE: KEY: what; remedy`, and
/// what else is wrong on lines of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The configuration file.
    pub file: PathBuf,
    /// The line in it, from 1, where there is one.
    pub line: Option<usize>,
    /// The key as written in the file, with its section; or the one that is missing.
    pub key: Option<String>,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
    /// What else is wrong in the file.
    pub next: Option<Box<ConfigError>>,
}

impl ConfigError {
    /// All faults of a file as one, in the order of its lines; nothing if there is none.
    pub(super) fn of_all(mut faults: Vec<ConfigError>) -> Option<ConfigError> {
        faults.sort_by_key(|fault| fault.line);
        faults.dedup();
        let chained = |next: Option<ConfigError>, fault: ConfigError| {
            Some(ConfigError {
                next: next.map(Box::new),
                ..fault
            })
        };
        faults.into_iter().rev().fold(None, chained)
    }

    /// This fault alone.
    fn as_line(&self) -> String {
        let mut line = self.file.display().to_string();
        if let Some(number) = self.line {
            line.push_str(&format!(":{number}"));
        }
        if let Some(key) = &self.key {
            line.push_str(&format!(": {key}"));
        }
        line.push_str(&format!(": {}; {}", self.what, self.remedy));
        // One line, whatever the file holds, and nothing that steers a terminal.
        visible(&line)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_line())?;
        match &self.next {
            Some(next) => write!(f, "\n{next}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ConfigError {}
