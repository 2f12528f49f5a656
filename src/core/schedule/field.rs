//! One field of an expression: the numbers it takes, their names, and lists, ranges and steps of
//! them, with a text that says what to write instead. Both grammars are made of these; the day
//! fields' own signs (`L`, `W`, `#`, `?`) are read where they belong, in `quartz.rs`.
//!
//! Numbers are kept as sets of bits: bit `n` stands for the value `n`.

/// A field of numbers.
pub(super) struct Field {
    pub(super) name: &'static str,
    min: u64,
    max: u64,
    /// Upper-case names of `min`, `min + 1` and so on; three letters each.
    names: &'static [&'static str],
}

pub(super) const SECOND: Field = field("seconds", 0, 59, &[]);
pub(super) const MINUTE: Field = field("minutes", 0, 59, &[]);
pub(super) const HOUR: Field = field("hours", 0, 23, &[]);
pub(super) const OF_MONTH: Field = field("day-of-month", 1, 31, &[]);
pub(super) const MONTH: Field = field("month", 1, 12, &MONTHS);
pub(super) const OF_WEEK: Field = field("day-of-week", 1, 7, &WEEKDAYS);
pub(super) const YEAR: Field = field("year", 1970, 2099, &[]);

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
/// Sunday first.
pub(super) const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

impl Field {
    /// What is written, as bits.
    pub(super) fn set(&self, text: &str) -> Result<u64, String> {
        Ok(self
            .values(text)?
            .into_iter()
            .fold(0, |set, value| set | 1 << value))
    }

    /// What is written, ascending: years are too many for bits.
    pub(super) fn years(&self, text: &str) -> Result<Vec<u16>, String> {
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

    /// One value, as a number or by its name.
    pub(super) fn value(&self, text: &str) -> Result<u64, String> {
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
pub(super) fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}
