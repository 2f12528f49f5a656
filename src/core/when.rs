//! A time in the past as people name it on a command line: `2026-11-03 14:00`, `yesterday`, `3d`.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// What is accepted, for messages.
pub const WHEN: &str = "a time as \"2026-11-03 14:00\" (on this machine's clock), \"yesterday\", \
                        or how long ago it was, as in \"3d\" or \"12h\"";

/// The time that is meant, seen from `now` on the clock of `zone`. A day alone is its end: what is
/// asked for is the state that the day left. Nothing for what is no time.
pub fn when(text: &str, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("yesterday") {
        let then = zone.to_datetime(now).checked_sub(1.day()).ok()?;
        return zone.to_timestamp(then).ok();
    }
    if let Some(seconds) = ago(text) {
        let then = now.as_second().checked_sub(seconds)?;
        return Timestamp::from_second(then).ok();
    }
    // A time with its own zone, as our JSON has it.
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    let local = match text.parse::<Date>() {
        Ok(day) if !text.contains([' ', 'T', 't', ':']) => day.at(23, 59, 59, 0),
        _ => text.parse::<DateTime>().ok()?,
    };
    zone.to_timestamp(local).ok()
}

/// So many seconds: a whole number with s, m, h, d or w.
fn ago(text: &str) -> Option<i64> {
    let unit = text.chars().last()?;
    let scale = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        'w' => 7 * 24 * 3600,
        _ => return None,
    };
    let digits = &text[..text.len() - 1];
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: i64 = digits.parse().ok().filter(|_| is_number)?;
    number.checked_mul(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_clock_on_the_wall() {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        let at = |text: &str| when(text, now, &zone).map(|at| at.to_string());
        let utc = |text: &str| Some(text.to_owned());
        assert_eq!(at("2026-11-03 14:00"), utc("2026-11-03T13:00:00Z"));
        assert_eq!(at("2026-11-03 14:00:30"), utc("2026-11-03T13:00:30Z"));
        assert_eq!(at("2026-11-03T14:00"), utc("2026-11-03T13:00:00Z"));
        assert_eq!(at("2026-11-03T14:00:00Z"), utc("2026-11-03T14:00:00Z"));
        assert_eq!(at("2026-11-03"), utc("2026-11-03T22:59:59Z"));
        assert_eq!(at("yesterday"), utc("2026-11-29T12:00:00Z"));
        assert_eq!(at("3d"), utc("2026-11-27T12:00:00Z"));
        assert_eq!(at("90m"), utc("2026-11-30T10:30:00Z"));
        for nonsense in [
            "",
            "d",
            "-3d",
            "3",
            "3x",
            "soon",
            "2026-13-01",
            "14:00",
            "3é",
        ] {
            assert_eq!(at(nonsense), None, "{nonsense}");
        }
        assert_eq!(at("99999999999999999d"), None);
    }
}
