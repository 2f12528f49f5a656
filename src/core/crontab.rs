//! Crontab lines, which is what most people write first, shown in the form of Quartz.

use crate::core::quartz::{FIELDS, Quartz};

/// What to tell whoever wrote five fields; `None` if `parts` are not five.
pub(crate) fn remedy(parts: &[&str]) -> Option<String> {
    let [minute, hour, of_month, month, of_week] = parts else {
        return None;
    };
    let (day_of_month, day_of_week) = match (*of_month, shift(of_week).as_str()) {
        (of_month, "*") => (of_month, "?".to_owned()),
        (_, of_week) => ("?", of_week.to_owned()),
    };
    let six = format!("0 {minute} {hour} {day_of_month} {month} {day_of_week}");
    let remedy = match Quartz::parse(&six) {
        Ok(_) if *of_month != "*" && *of_week != "*" => {
            format!("here only one of the day fields counts, as in '{six}'")
        }
        Ok(_) => format!("write '{six}' (seconds first, Sunday is 1)"),
        Err(_) => format!("write {FIELDS}, such as '0 0 2 * * ?'"),
    };
    Some(format!("this is a crontab line of 5 fields; {remedy}"))
}

/// Crontab's Sunday is 0 or 7, that of Quartz is 1; steps and names stay as they are.
fn shift(of_week: &str) -> String {
    let elements = of_week.split(',').map(|element| {
        let (range, step) = element.split_at(element.find('/').unwrap_or(element.len()));
        let range = match range.split_once('-') {
            Some(("0", "7")) => "*".to_owned(),
            Some((from, to)) => format!("{}-{}", shift_day(from), shift_day(to)),
            None => shift_day(range),
        };
        format!("{range}{step}")
    });
    elements.collect::<Vec<_>>().join(",")
}

fn shift_day(day: &str) -> String {
    match day.parse::<u8>() {
        Ok(number @ 0..=7) => (number % 7 + 1).to_string(),
        _ => day.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crontab_line_is_refused_with_its_six_field_form() {
        for (crontab, six) in [
            ("*/5 * * * *", "'0 */5 * * * ?'"),
            ("0 2 * * 1-5", "'0 0 2 ? * 2-6'"),
            ("0 2 * * 0", "'0 0 2 ? * 1'"),
            ("0 2 * * 5-7", "'0 0 2 ? * 6-1'"),
            ("0 2 * * 0-7", "'0 0 2 * * ?'"),
            ("0 2 1 * *", "'0 0 2 1 * ?'"),
            ("0 2 * * mon", "'0 0 2 ? * MON'"),
            ("0 2 1 * 1", "only one of"),
            ("99 2 1 * *", "sec min hour"),
        ] {
            let message = Quartz::parse(crontab).expect_err(crontab);
            assert!(
                message.contains("crontab") && message.contains(six),
                "{crontab}: {message}"
            );
            let is_cut = message.contains("only one of");
            assert_eq!(is_cut, six == "only one of", "{crontab}: {message}");
        }
    }
}
