//! Quartz expressions (`0 0/5 * * * ?`): read and checked in full.
//!
//! `sec min hour day-of-month month day-of-week [year]`, as Quartz 2 reads them: Sunday is 1,
//! ranges may wrap around (`FRI-MON`), exactly one of the two day fields is `?`. Stricter than
//! Quartz in four places where it drops half of what is written: `L`, `W` and `#` stand alone in
//! their field, a step is at least 1, a step after names counts (`MON-FRI/2`), and a date that
//! no calendar has (30 February) is refused here instead of never firing.

use crate::core::schedule::field::{HOUR, MINUTE, MONTH, OF_MONTH, OF_WEEK, SECOND, YEAR, number};
use crate::core::schedule::fires::{Days, Schedule};

/// Reads the fields of `text`, in upper case. The error is `what is wrong; what to write`.
pub(super) fn parse(text: &str, fields: [&str; 6], year: Option<&str>) -> Result<Schedule, String> {
    let [second, minute, hour, of_month, month, of_week] = fields;
    let years = match year {
        None | Some("*") => None,
        Some(year) => Some(YEAR.years(year)?),
    };
    Schedule {
        text: text.to_owned(),
        seconds: SECOND.set(second)?,
        minutes: MINUTE.set(minute)?,
        hours: HOUR.set(hour)?,
        days: days(of_month, of_week, fields, year)?,
        months: MONTH.set(month)?,
        years,
    }
    .must_fire()
}

/// Exactly one of the two fields must be `?`, as Quartz demands.
fn days(
    of_month: &str,
    of_week: &str,
    fields: [&str; 6],
    year: Option<&str>,
) -> Result<Days, String> {
    match (of_month, of_week) {
        ("?", "?") => Err("both day fields are '?'; write '*' in one of them for every day".into()),
        (_, "?") => day_of_month(of_month),
        ("?", _) => day_of_week(of_week),
        _ => {
            let mut fixed = fields;
            // The field without a restriction is the one to give up.
            fixed[if of_month == "*" && of_week != "*" {
                3
            } else {
                5
            }] = "?";
            let text: Vec<&str> = fixed.into_iter().chain(year).collect();
            let text = text.join(" ");
            let has_star = of_month == "*" || of_week == "*";
            let remedy = match has_star && parse(&text, fixed, year).is_ok() {
                true => format!("write '{text}'"),
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
