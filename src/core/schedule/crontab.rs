//! Crontab lines of five fields (`*/5 * * * *`), as crontab(5) reads them: minute, hour, day of the
//! month, month, day of the week with Sunday as 0 or 7.
//!
//! Where both day fields are restricted, a day in either of them counts; a field that begins with
//! `*` restricts nothing by itself, and then both must hold.

use crate::core::schedule::field::{Field, HOUR, MINUTE, MONTH, OF_MONTH, OF_WEEK, WEEKDAYS};
use crate::core::schedule::fires::{Days, Schedule};

/// Reads the five fields of `text`, in upper case. The error is `what is wrong; what to write`.
pub(super) fn parse(text: &str, fields: [&str; 5]) -> Result<Schedule, String> {
    let [minute, hour, of_month, month, of_week] = fields;
    let either = !of_month.starts_with('*') && !of_week.starts_with('*');
    Schedule {
        text: text.to_owned(),
        seconds: 1,
        minutes: set(&MINUTE, minute)?,
        hours: set(&HOUR, hour)?,
        days: Days::OfCrontab {
            of_month: set(&OF_MONTH, of_month)?,
            of_week: days_of_week(of_week)?,
            either,
        },
        months: set(&MONTH, month)?,
        years: None,
    }
    .must_fire()
}

fn set(field: &Field, text: &str) -> Result<u64, String> {
    for element in text.split(',') {
        let range = element.split('/').next().unwrap_or_default();
        if range == "*" {
            continue;
        }
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (from, Some(to)),
            None => (range, None),
        };
        if to.is_none() && element.contains('/') {
            return Err(format!(
                "{}: '{element}' has a step but no range; write '*/5' or '10-50/5' in a crontab \
                 line",
                field.name
            ));
        }
        if let (Ok(from), Some(Ok(to))) = (from.parse::<u64>(), to.map(str::parse::<u64>))
            && from > to
        {
            return Err(format!(
                "{}: '{element}' runs backwards; write the smaller one first in a crontab line",
                field.name
            ));
        }
    }
    field.set(text)
}

/// Sunday, which crontab calls 0 or 7, is 1 here.
fn days_of_week(text: &str) -> Result<u64, String> {
    let mut set = 0;
    for element in text.split(',') {
        let (range, step) = match element.split_once('/') {
            Some((range, step)) => (range, step),
            None => (element, "1"),
        };
        let bounds = match range.split_once('-') {
            _ if range == "*" => Some((0, 6)),
            Some((from, to)) => day(from).zip(day(to)),
            None if element.contains('/') => None,
            None => day(range).zip(day(range)),
        };
        // `5-0` is what people write for `5-7`, and so is `FRI-SUN`.
        let bounds = bounds.map(|(from, to)| (from, if to == 0 && from > 0 { 7 } else { to }));
        let step = step
            .parse::<usize>()
            .ok()
            .filter(|step| (1..=7).contains(step));
        let (Some((from, to)), Some(step)) = (bounds.filter(|(from, to)| from <= to), step) else {
            return Err(format!(
                "{}: '{element}' is not allowed; write 0 to 7 (Sunday is 0 or 7) or SUN to SAT, \
                 'MON-FRI' or '*/2' in a crontab line",
                OF_WEEK.name
            ));
        };
        for day in (from..=to).step_by(step) {
            set |= 1 << (day % 7 + 1);
        }
    }
    Ok(set)
}

fn day(text: &str) -> Option<u64> {
    if let Some(at) = WEEKDAYS.iter().position(|name| *name == text) {
        return u64::try_from(at).ok();
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|day| digits && *day <= 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Result<Schedule, String> {
        let upper = text.to_ascii_uppercase();
        let fields: Vec<&str> = upper.split_whitespace().collect();
        parse(text, fields.try_into().expect("five fields"))
    }

    fn days_of(text: &str) -> (u64, u64, bool) {
        match line(text).expect(text).days {
            Days::OfCrontab {
                of_month,
                of_week,
                either,
            } => (of_month, of_week, either),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn five_fields_are_a_crontab_line() {
        let line = line("*/20 2-4 * JAN-mar *").unwrap();
        let twenties = 1 | 1 << 20 | 1 << 40;
        assert_eq!((line.seconds, line.minutes), (1, twenties));
        assert_eq!((line.hours, line.months), (0b1_1100, 0b1110));
        assert_eq!(line.text(), "*/20 2-4 * JAN-mar *");
    }

    #[test]
    fn sunday_is_0_and_7() {
        let all = 0b1111_1110;
        for (of_week, expected) in [
            ("0", 0b10),
            ("7", 0b10),
            ("1-5", 0b111_1100),
            ("5-7", 0b1100_0010),
            ("5-0", 0b1100_0010),
            ("fri-sun", 0b1100_0010),
            ("0-7", all),
            ("*/2", 0b1010_1010),
            ("1-7/2", 0b0101_0110),
            ("mon,6", 0b1000_0100),
        ] {
            let (_, days, _) = days_of(&format!("0 2 * * {of_week}"));
            assert_eq!(days, expected, "{of_week}");
        }
    }

    #[test]
    fn two_restricted_day_fields_add_up_and_a_star_restricts_nothing() {
        assert!(days_of("0 2 1 * 1").2);
        for text in ["0 2 * * 1", "0 2 1 * *", "0 2 */2 * 1", "0 2 1 * */2"] {
            assert!(!days_of(text).2, "{text}");
        }
    }

    #[test]
    fn what_crontab_does_not_know_is_refused_with_a_remedy() {
        for text in [
            "60 2 * * *",
            "0 24 * * *",
            "0 2 0 * *",
            "0 2 * * 8",
            "0 2 * * 6-2",
            "0 2 * * +1",
            "0 2 * * 1/2",
            "5/10 2 * * *",
            "0 20-4 * * *",
            "0 2 ? * 1",
            "0 2 L * *",
            "0 2 * * 5L",
            "0 2 * * MON#1",
            "*/0 * * * *",
            "0 2 * * */8",
            "0 2 31 2 *",
        ] {
            let message = line(text).expect_err(text);
            assert!(message.contains("; "), "{text}: {message}");
        }
        assert!(line("0 2 31 2 1").is_ok(), "Mondays count");
    }
}
