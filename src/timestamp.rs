//! Timestamps as Dropbox writes them (`%Y-%m-%dT%H:%M:%SZ`, common.stone) and dates in names.
//!
//! None of them decides anything.

use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;

/// Latest time that is sent or set, in seconds since 1970: the end of 2099. Dropbox documents no
/// bounds; what filesystems can keep differs.
const KEPT_MAX_S: i64 = 4_102_444_799;

/// A Dropbox timestamp in seconds since 1970; nothing for nonsense.
pub fn seconds_of(text: &str) -> Option<i64> {
    let last_day = || text.starts_with("9999-12-3").then_some(Timestamp::MAX);
    let time = text.parse::<Timestamp>().ok().or_else(last_day);
    time.map(Timestamp::as_second)
}

/// The nearest time that is set here, in seconds since 1970.
pub fn kept_seconds(seconds: i64) -> i64 {
    seconds.clamp(0, KEPT_MAX_S)
}

/// A modification time as Dropbox takes it: whole seconds, not before 1970.
pub fn timestamp_of(mtime_ns: i64) -> String {
    let seconds = kept_seconds(mtime_ns.div_euclid(1_000_000_000));
    let time = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    // Its own form leaves out a fraction that is none.
    time.to_string()
}

/// Whether a modification time is one that Dropbox takes as it is.
pub fn is_sendable(mtime_ns: i64) -> bool {
    (0..=KEPT_MAX_S).contains(&mtime_ns.div_euclid(1_000_000_000))
}

/// A time as a person reads it, on the clock of this zone: `2026-11-21 17:25:10`.
pub fn local_text(at: Timestamp, zone: &TimeZone) -> String {
    let local = zone.to_datetime(at);
    let time = local.time().with().subsec_nanosecond(0).build();
    format!("{} {}", local.date(), time.unwrap_or(local.time()))
}

/// The same as short as can be for a time that comes soon: `17:25` or `17:25:10` within a day.
pub fn near_text(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let whole = local_text(at, zone);
    if at.duration_since(now).as_hours() >= 24 {
        return whole;
    }
    let time = whole.rsplit(' ').next().unwrap_or(&whole);
    time.strip_suffix(":00").unwrap_or(time).to_owned()
}

/// The same with its day of the week and how far it is from UTC: `Sat 2026-11-21 17:25:10 +01`.
pub fn full_text(at: Timestamp, zone: &TimeZone) -> String {
    let day = match zone.to_datetime(at).weekday() {
        Weekday::Monday => "Mon",
        Weekday::Tuesday => "Tue",
        Weekday::Wednesday => "Wed",
        Weekday::Thursday => "Thu",
        Weekday::Friday => "Fri",
        Weekday::Saturday => "Sat",
        Weekday::Sunday => "Sun",
    };
    format!("{day} {} {}", local_text(at, zone), zone.to_offset(at))
}

/// The day of a modification time in UTC, `YYYY-MM-DD`.
pub fn date_of(mtime_ns: i64) -> String {
    let seconds = mtime_ns.div_euclid(1_000_000_000);
    let time = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    TimeZone::UTC.to_datetime(time).date().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_whole_seconds_in_utc() {
        assert_eq!(
            timestamp_of(1_767_225_600_999_999_999),
            "2026-01-01T00:00:00Z"
        );
        assert_eq!(seconds_of("2026-01-01T00:00:00Z"), Some(1_767_225_600));
        assert_eq!(date_of(1_767_225_599_000_000_000), "2025-12-31");
        assert_eq!(seconds_of("soon"), None);
        for (text, kept) in [
            ("0001-01-01T00:00:00Z", 0),
            ("2026-01-01T00:00:00Z", 1_767_225_600),
            ("9999-12-31T23:59:59Z", KEPT_MAX_S),
        ] {
            assert_eq!(seconds_of(text).map(kept_seconds), Some(kept), "{text}");
        }
    }

    #[test]
    fn people_read_the_time_of_their_zone() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let at = Timestamp::from_nanosecond(1_795_281_910_999_999_999).unwrap();
        assert_eq!(local_text(at, &zone), "2026-11-21 18:25:10");
        assert_eq!(full_text(at, &zone), "Sat 2026-11-21 18:25:10 +01");
        let midnight: Timestamp = "2027-07-03T22:00:00Z".parse().unwrap();
        assert_eq!(full_text(midnight, &zone), "Sun 2027-07-04 00:00:00 +02");
    }

    #[test]
    fn odd_clocks_do_not_break_a_timestamp() {
        assert_eq!(timestamp_of(-1), "1970-01-01T00:00:00Z");
        assert!(!is_sendable(-1) && !is_sendable(i64::MAX) && is_sendable(0));
        assert_eq!(timestamp_of(i64::MAX), "2099-12-31T23:59:59Z");
        assert_eq!(
            timestamp_of(2_222_121_600_000_000_000),
            "2040-06-01T00:00:00Z"
        );
    }
}
