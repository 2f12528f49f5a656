//! The stand-in's clock, and Dropbox timestamps (`%Y-%m-%dT%H:%M:%SZ`, UTC, no fraction).
//!
//! The clock stands still unless it is told otherwise, so that runs repeat exactly.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

const DAY: i64 = 86_400;

/// Seconds since 1970, frozen or running.
#[derive(Clone)]
pub(crate) struct Clock {
    seconds: i64,
    running_since: Option<Instant>,
}

impl Clock {
    /// A clock that stands at the first second of 2026.
    pub(crate) fn frozen() -> Self {
        Self {
            seconds: 1_767_225_600,
            running_since: None,
        }
    }

    pub(crate) fn now(&self) -> i64 {
        let elapsed = self
            .running_since
            .map_or(0, |start| start.elapsed().as_secs());
        self.seconds.saturating_add_unsigned(elapsed)
    }

    pub(crate) fn set(&mut self, seconds: i64) {
        self.seconds = seconds;
        if self.running_since.is_some() {
            self.running_since = Some(Instant::now());
        }
    }

    /// Follows the clock of this machine from here on.
    pub(crate) fn run(&mut self) {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        self.seconds = since_epoch.map_or(0, |elapsed| elapsed.as_secs().cast_signed());
        self.running_since = Some(Instant::now());
    }
}

/// The timestamp for a number of seconds since 1970.
pub(crate) fn timestamp(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Whether a text has the exact form of a timestamp, and names a day that exists.
pub(crate) fn is_timestamp(text: &str) -> bool {
    const FORM: &[u8] = b"dddd-dd-ddTdd:dd:ddZ";
    let fits = text.len() == FORM.len()
        && text.bytes().zip(FORM).all(|(byte, &form)| match form {
            b'd' => byte.is_ascii_digit(),
            other => byte == other,
        });
    if !fits {
        return false;
    }
    let number = |from: usize, to: usize| text[from..to].parse::<i64>().unwrap_or(-1);
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    year >= 1
        && (1..=12).contains(&month)
        && civil_from_days(days_from_civil(year, month, day)) == (year, month, day)
        && number(11, 13) < 24
        && number(14, 16) < 60
        && number(17, 19) < 60
}

/// The seconds since 1970 of a timestamp; 0 for what is none.
pub(crate) fn seconds_of(text: &str) -> i64 {
    if !is_timestamp(text) {
        return 0;
    }
    let number = |from: usize, to: usize| text[from..to].parse::<i64>().unwrap_or(0);
    let days = days_from_civil(number(0, 4), number(5, 7), number(8, 10));
    days * DAY + number(11, 13) * 3600 + number(14, 16) * 60 + number(17, 19)
}

/// Howard Hinnant's `civil_from_days`.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Howard Hinnant's `days_from_civil`.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = (month + 9) % 12;
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_have_no_fraction_and_are_utc() {
        assert_eq!(timestamp(0), "1970-01-01T00:00:00Z");
        assert_eq!(timestamp(1_767_225_600), "2026-01-01T00:00:00Z");
        assert_eq!(timestamp(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(seconds_of("2000-02-28T23:59:59Z"), 951_782_399);
    }

    #[test]
    fn only_the_exact_form_is_a_timestamp() {
        assert!(is_timestamp("2024-02-29T23:59:59Z"));
        for wrong in [
            "2023-02-29T00:00:00Z",
            "2024-01-01T00:00:00.5Z",
            "2024-01-01 00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:00:00+00:00",
        ] {
            assert!(!is_timestamp(wrong), "{wrong}");
        }
    }
}
