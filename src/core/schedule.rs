//! Schedules: how they are written, when they fire, and what is due.
//!
//! A [`Schedule`] says when passes start, and what that means where clocks change (`fires.rs`). It
//! is written as a Quartz expression (`quartz.rs`) or as a line of a crontab (`crontab.rs`), both
//! of fields of numbers (`field.rs`); the count of fields says which. [`scheduler`] keeps what is
//! due.

mod crontab;
mod field;
mod fires;
#[cfg(test)]
mod fires_tests;
#[cfg(test)]
mod grammar_tests;
mod quartz;
pub mod scheduler;

pub use fires::{Days, Schedule};

/// The fields, for messages.
const FIELDS: &str = "sec min hour day-of-month month day-of-week [year]";

/// Reads an expression of 6 or 7 fields, or a crontab line of 5. The error is one line: `what is
/// wrong; what to write`.
pub fn parse(text: &str) -> Result<Schedule, String> {
    let upper = text.to_ascii_uppercase();
    let fields: Vec<&str> = upper.split_whitespace().collect();
    let year = fields.get(6).copied();
    match fields[..] {
        [minute, hour, of_month, month, of_week] => {
            crontab::parse(text, [minute, hour, of_month, month, of_week])
        }
        [second, minute, hour, of_month, month, of_week]
        | [second, minute, hour, of_month, month, of_week, _] => {
            quartz::parse(text, [second, minute, hour, of_month, month, of_week], year)
        }
        _ => Err(wrong_count(text, fields.len())),
    }
}

fn wrong_count(text: &str, count: usize) -> String {
    if count > 7 {
        return format!("'{text}' has {count} fields; write 6 or 7: {FIELDS}");
    }
    format!(
        "{count} fields where 6 or 7 are needed (5 for a crontab line); write {FIELDS}, such as \
         '0 0 2 * * ?'"
    )
}
