//! Quartz expressions (`0 0/5 * * * ?`): read and checked in full; when they fire is computed in
//! `fires.rs`.
//!
//! `sec min hour day-of-month month day-of-week [year]`, as Quartz 2 reads them: Sunday is 1,
//! ranges may wrap around (`FRI-MON`), exactly one of the two day fields is `?`. Stricter than
//! Quartz in four places where it drops half of what is written: `L`, `W` and `#` stand alone in
//! their field, a step is at least 1, a step after names counts (`MON-FRI/2`), and a date that
//! no calendar has (30 February) is refused here instead of never firing.
//!
//! Five fields are a line of a crontab (`*/5 * * * *`), where Sunday is 0.

use crate::core::schedule::crontab;
use crate::core::schedule::field::{HOUR, MINUTE, MONTH, OF_MONTH, OF_WEEK, SECOND, YEAR, number};

/// A checked Quartz expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quartz {
    pub(super) text: String,
    /// Bits 0 to 59.
    pub seconds: u64,
    /// Bits 0 to 59.
    pub minutes: u64,
    /// Bits 0 to 23.
    pub hours: u64,
    /// The days that fire within such a month.
    pub days: Days,
    /// Bits 1 to 12.
    pub months: u64,
    /// The years, ascending; `None` is every year.
    pub years: Option<Vec<u16>>,
}

/// The one day field that is not `?`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Days {
    /// Days of the month: bits 1 to 31.
    OfMonth(u64),
    /// `L`, `L-3`: the last day of the month, so many days earlier (0 to 30).
    LastOfMonth {
        /// Days before the last.
        days_before: u8,
    },
    /// `LW`, `L-3W`: the weekday (Monday to Friday) nearest to that day, in the same month.
    LastWeekdayOfMonth {
        /// Days before the last.
        days_before: u8,
    },
    /// `15W`: the weekday nearest to this day, in the same month.
    NearestWeekday(u8),
    /// Days of the week: bits 1 (Sunday) to 7.
    OfWeek(u64),
    /// `6L`, `FRIL`: the last such day of the week in the month.
    LastOfWeek(u8),
    /// `6#3`, `FRI#3`: the third such day of the week in the month, if there is one.
    NthOfWeek {
        /// 1 (Sunday) to 7.
        day: u8,
        /// 1 to 5.
        nth: u8,
    },
    /// A crontab line: days of the month (bits 1 to 31) and of the week (bits 1 to 7).
    OfCrontab {
        /// Days of the month.
        of_month: u64,
        /// Days of the week, Sunday as bit 1.
        of_week: u64,
        /// Both fields are restricted: it fires on days that are in either.
        either: bool,
    },
}

impl Quartz {
    /// Reads an expression of 6 or 7 fields, or a crontab line of 5. The error is one line: `what
    /// is wrong; what to write`.
    pub fn parse(text: &str) -> Result<Quartz, String> {
        let parts: Vec<String> = text
            .split_whitespace()
            .map(str::to_ascii_uppercase)
            .collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        if let [minute, hour, of_month, month, of_week] = parts[..] {
            let quartz = crontab::parse(text, [minute, hour, of_month, month, of_week])?;
            quartz.must_fire()?;
            return Ok(quartz);
        }
        let [second, minute, hour, of_month, month, of_week, year @ ..] = parts.as_slice() else {
            return Err(wrong_count(parts.len()));
        };
        let years = match year {
            [] | ["*"] => None,
            [year] => Some(YEAR.years(year)?),
            _ => {
                return Err(format!(
                    "'{text}' has {} fields; write 6 or 7: {FIELDS}",
                    parts.len()
                ));
            }
        };
        let quartz = Quartz {
            text: text.to_owned(),
            seconds: SECOND.set(second)?,
            minutes: MINUTE.set(minute)?,
            hours: HOUR.set(hour)?,
            days: days(of_month, of_week, &parts)?,
            months: MONTH.set(month)?,
            years,
        };
        quartz.must_fire()?;
        Ok(quartz)
    }

    /// The expression as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn must_fire(&self) -> Result<(), String> {
        let length = |month: u32| match month {
            2 => 29,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let longest = (1..=12)
            .filter(|&month| self.months & (1 << month) != 0)
            .map(length)
            .max();
        let first = match self.days {
            Days::OfMonth(set) => set.trailing_zeros(),
            Days::NearestWeekday(day) => day.into(),
            Days::LastOfMonth { days_before } | Days::LastWeekdayOfMonth { days_before } => {
                u32::from(days_before) + 1
            }
            Days::OfCrontab {
                of_month,
                either: false,
                ..
            } => of_month.trailing_zeros(),
            Days::OfWeek(_)
            | Days::LastOfWeek(_)
            | Days::NthOfWeek { .. }
            | Days::OfCrontab { .. } => 1,
        };
        if longest.is_some_and(|days| first <= days) {
            return Ok(());
        }
        Err(format!(
            "'{}' never fires; choose a day that the month has",
            self.text
        ))
    }
}

/// The fields, for messages.
const FIELDS: &str = "sec min hour day-of-month month day-of-week [year]";

fn wrong_count(count: usize) -> String {
    format!(
        "{count} fields where 6 or 7 are needed (5 for a crontab line); write {FIELDS}, such as \
         '0 0 2 * * ?'"
    )
}

/// Exactly one of the two fields must be `?`, as Quartz demands.
fn days(of_month: &str, of_week: &str, parts: &[&str]) -> Result<Days, String> {
    match (of_month, of_week) {
        ("?", "?") => Err("both day fields are '?'; write '*' in one of them for every day".into()),
        (_, "?") => day_of_month(of_month),
        ("?", _) => day_of_week(of_week),
        _ => {
            let mut fixed = parts.to_vec();
            // The field without a restriction is the one to give up.
            fixed[if of_month == "*" && of_week != "*" {
                3
            } else {
                5
            }] = "?";
            let fixed = fixed.join(" ");
            let remedy = match (of_month == "*" || of_week == "*") && Quartz::parse(&fixed).is_ok()
            {
                true => format!("write '{fixed}'"),
                false => "put the days into one field and '?' into the other".to_owned(),
            };
            Err(format!(
                "one of day-of-month and day-of-week must be '?'; {remedy}"
            ))
        }
    }
}

fn day_of_month(text: &str) -> Result<Days, String> {
    if let Some(rest) = text.strip_prefix('L') {
        let (rest, weekday) = rest
            .strip_suffix('W')
            .map_or((rest, false), |rest| (rest, true));
        let offset = if rest.is_empty() {
            Some(0)
        } else {
            rest.strip_prefix('-').and_then(number)
        };
        return match offset
            .and_then(|offset| u8::try_from(offset).ok())
            .filter(|&days| days <= 30)
        {
            Some(days_before) if weekday => Ok(Days::LastWeekdayOfMonth { days_before }),
            Some(days_before) => Ok(Days::LastOfMonth { days_before }),
            None => Err(format!(
                "day-of-month: '{text}' is not allowed; write L, LW, L-3 or L-3W (up to 30), alone"
            )),
        };
    }
    if let Some(day) = text.strip_suffix('W').and_then(number) {
        return Ok(Days::NearestWeekday(OF_MONTH.value(&day.to_string())? as u8));
    }
    OF_MONTH.set(text).map(Days::OfMonth)
}

fn day_of_week(text: &str) -> Result<Days, String> {
    if text == "L" {
        return OF_WEEK.set("SAT").map(Days::OfWeek);
    }
    let alone = |day: &str| -> Result<u8, String> { Ok(OF_WEEK.value(day)? as u8) };
    if let Some(day) = text
        .strip_suffix('L')
        .filter(|day| !day.contains([',', '-', '/']))
    {
        return alone(day).map(Days::LastOfWeek);
    }
    let Some((day, nth)) = text
        .split_once('#')
        .filter(|_| !text.contains([',', '-', '/']))
    else {
        return OF_WEEK.set(text).map(Days::OfWeek);
    };
    match number(nth) {
        Some(nth @ 1..=5) => Ok(Days::NthOfWeek {
            day: alone(day)?,
            nth: nth as u8,
        }),
        _ => Err(format!(
            "day-of-week: '{text}' is not allowed; write 1 to 5 after '#'"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_predecessors_defaults_are_read_exactly() {
        let nightly = Quartz::parse("0 0 2 * * ?").unwrap();
        assert_eq!(
            (nightly.seconds, nightly.minutes, nightly.hours),
            (1, 1, 1 << 2)
        );
        assert_eq!(nightly.days, Days::OfMonth(u64::from(u32::MAX) - 1));
        assert_eq!(
            (nightly.months, nightly.years.as_ref()),
            (0b1_1111_1111_1110, None)
        );
        let often = Quartz::parse("0 0/5 * * * ?").unwrap();
        assert_eq!(often.minutes.count_ones(), 12);
        assert_eq!(often.text(), "0 0/5 * * * ?");
    }
}
