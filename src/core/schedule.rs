//! Schedules: how they are written, when they fire, and what is due.
//!
//! A [`Schedule`] says when passes start, and what that means where clocks change (`fires.rs`). It
//! is written as a Quartz expression (`quartz.rs`) or as a line of a crontab (`crontab.rs`), both
//! of fields of numbers (`field.rs`); the count of fields says which, but for `0 0 N * *`, which
//! can be either. [`scheduler`] keeps what is due.

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

use crate::words::counted;

/// The fields, for messages.
const FIELDS: &str = "sec min hour day-of-month month day-of-week [year]";

/// Reads an expression of 6 or 7 fields, or a crontab line of 5; `0 0 N * *` with N from 1 to 23 is
/// neither. The error is one line: `what is
/// wrong; what to write`.
pub fn parse(text: &str) -> Result<Schedule, String> {
    let upper = text.to_ascii_uppercase();
    let fields: Vec<&str> = upper.split_whitespace().collect();
    let year = fields.get(6).copied();
    match fields[..] {
        ["0" | "00", "0" | "00", hour, "*", "*"] if is_hour_of_a_day(hour) => {
            Err(two_readings(hour))
        }
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

/// Whether a number is an hour as well as a day of the month, as plain as people write it.
fn is_hour_of_a_day(text: &str) -> bool {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits && text.parse().is_ok_and(|hour: u8| (1..=23).contains(&hour))
}

/// `0 0 N * *` is once a month as a line of a crontab; who comes from Quartz and left a field out
/// means once a day.
fn two_readings(hour: &str) -> String {
    let hour = hour.trim_start_matches('0');
    format!(
        "'0 0 {hour} * *' can be read in two ways; write '0 0 {hour} * * ?' for each day at \
         {hour}:00, or '0 0 0 {hour} * ?' for day {hour} of each month at midnight"
    )
}

fn wrong_count(text: &str, count: usize) -> String {
    if count > 7 {
        return format!("'{text}' has {count} fields; write 6 or 7: {FIELDS}");
    }
    format!(
        "{} where 6 or 7 are needed (5 for a crontab line); write {FIELDS}, such as '0 0 2 * * ?'",
        counted(count as u64, "field", "fields")
    )
}
