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
//!
//! Numbers are kept as sets of bits: bit `n` stands for the value `n`.

use super::crontab;

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

/// A field of numbers.
pub(super) struct Field {
    pub(super) name: &'static str,
    min: u64,
    max: u64,
    /// Upper-case names of `min`, `min + 1` and so on; three letters each.
    names: &'static [&'static str],
}

const SECOND: Field = field("seconds", 0, 59, &[]);
pub(super) const MINUTE: Field = field("minutes", 0, 59, &[]);
pub(super) const HOUR: Field = field("hours", 0, 23, &[]);
pub(super) const OF_MONTH: Field = field("day-of-month", 1, 31, &[]);
pub(super) const MONTH: Field = field("month", 1, 12, &MONTHS);
pub(super) const OF_WEEK: Field = field("day-of-week", 1, 7, &WEEKDAYS);
const YEAR: Field = field("year", 1970, 2099, &[]);

const fn field(name: &'static str, min: u64, max: u64, names: &'static [&'static str]) -> Field {
    Field {
        name,
        min,
        max,
        names,
    }
}

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

impl Field {
    pub(super) fn set(&self, text: &str) -> Result<u64, String> {
        Ok(self
            .values(text)?
            .into_iter()
            .fold(0, |set, value| set | 1 << value))
    }

    fn years(&self, text: &str) -> Result<Vec<u16>, String> {
        let mut years: Vec<u16> = self
            .values(text)?
            .into_iter()
            .filter_map(|year| year.try_into().ok())
            .collect();
        years.sort_unstable();
        years.dedup();
        Ok(years)
    }

    fn values(&self, text: &str) -> Result<Vec<u64>, String> {
        let mut values = Vec::new();
        for element in text.split(',') {
            let (range, step) = match element.split_once('/') {
                Some((range, step)) => (range, Some(self.step(step, element)?)),
                None => (element, None),
            };
            let (from, to) = match range.split_once('-') {
                // Quartz reads '/5' as '*/5'.
                _ if range == "*" || (range.is_empty() && step.is_some()) => (self.min, self.max),
                Some((from, to)) => (self.value(from)?, self.value(to)?),
                // '5/10' runs to the end of the field, '5' does not.
                None if step.is_some() => (self.value(range)?, self.max),
                None => (self.value(range)?, self.value(range)?),
            };
            if from > to && self.min == YEAR.min {
                return Err(format!(
                    "year: '{element}' runs backwards; write the earlier first"
                ));
            }
            let size = self.max - self.min + 1;
            let span = (to + size - from) % size;
            let step = step.unwrap_or(1);
            values
                .extend((0..=span / step).map(|n| (from - self.min + n * step) % size + self.min));
        }
        Ok(values)
    }

    fn step(&self, text: &str, element: &str) -> Result<u64, String> {
        let most = self.max.min(self.max - self.min + 1);
        match number(text) {
            Some(step) if (1..=most).contains(&step) => Ok(step),
            _ => Err(format!(
                "{}: '{element}' has no usable step; write a number from 1 to {most} after '/'",
                self.name
            )),
        }
    }

    fn value(&self, text: &str) -> Result<u64, String> {
        let named = (self.min..)
            .zip(self.names)
            .find(|(_, name)| **name == text);
        let value = named.map(|(value, _)| value).or_else(|| number(text));
        match value.filter(|value| (self.min..=self.max).contains(value)) {
            Some(value) => Ok(value),
            None => Err(format!(
                "{}: '{text}' is not allowed; {}",
                self.name,
                self.remedy(text)
            )),
        }
    }

    fn remedy(&self, text: &str) -> String {
        let range = match self.names {
            [first, .., last] => format!("{} to {} or {first} to {last}", self.min, self.max),
            _ => format!("{} to {}", self.min, self.max),
        };
        match text {
            "?" => "'?' stands alone, in day-of-month or day-of-week; use '*' here".to_owned(),
            _ if self.name == OF_WEEK.name && number(text) == Some(0) => {
                format!("Sunday is 1 and Saturday is 7: write {range}")
            }
            _ if text.contains(['L', 'W', '#']) && self.names.first() != Some(&"JAN") => {
                "'L' and 'W' stand alone in day-of-month, 'L' and '#' in day-of-week, not in \
                 lists, ranges or other fields"
                    .to_owned()
            }
            _ => format!("write {range}"),
        }
    }
}

/// Digits only: `+5` and blanks are no numbers here.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

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
