//! When expressions fire: Quartz's own examples, days and years that are special, changes of the
//! clock, and thousands of expressions whose answers croner knows too.

use std::cmp::Ordering;

use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use croner::{CivilDate, CivilDateTime, CivilTime, CronDateTime, Resolution, Weekday};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::core::schedule::parse;

fn at(text: &str) -> DateTime {
    text.parse().expect(text)
}

/// The next times after a start, as text.
fn fires(expression: &str, start: &str, count: usize) -> Vec<String> {
    let schedule = parse(expression).expect(expression);
    let next = |local: &DateTime| schedule.next_local(*local);
    let first = next(&at(start));
    std::iter::successors(first, next)
        .take(count)
        .map(|local| local.to_string())
        .collect()
}

/// Expression, start, and the times that follow; `-` where there is no further one.
const EXAMPLES: &str = "
0 0 12 * * ?          | 2026-11-21T12:00:00 | 2026-11-22T12:00:00 2026-11-23T12:00:00
0 15 10 ? * *         | 2026-11-21T10:14:59 | 2026-11-21T10:15:00 2026-11-22T10:15:00
0 15 10 * * ?         | 2026-11-21T10:15:00 | 2026-11-22T10:15:00
0 15 10 * * ? *       | 2026-11-21T10:15:00 | 2026-11-22T10:15:00
0 15 10 * * ? 2005    | 2005-12-30T12:00:00 | 2005-12-31T10:15:00 -
0 * 14 * * ?          | 2026-11-21T14:58:00 | 2026-11-21T14:59:00 2026-11-22T14:00:00
0 0/5 14 * * ?        | 2026-11-21T14:50:00 | 2026-11-21T14:55:00 2026-11-22T14:00:00
0 0/5 14,18 * * ?     | 2026-11-21T14:55:00 | 2026-11-21T18:00:00 2026-11-21T18:05:00
0 0-5 14 * * ?        | 2026-11-21T14:04:00 | 2026-11-21T14:05:00 2026-11-22T14:00:00
0 10,44 14 ? 3 WED    | 2026-03-04T14:10:00 | 2026-03-04T14:44:00 2026-03-11T14:10:00
0 15 10 ? * MON-FRI   | 2026-11-20T10:15:00 | 2026-11-23T10:15:00 2026-11-24T10:15:00
0 15 10 15 * ?        | 2026-11-21T00:00:00 | 2026-12-15T10:15:00 2027-01-15T10:15:00
0 15 10 L * ?         | 2028-01-31T10:15:00 | 2028-02-29T10:15:00 2028-03-31T10:15:00
0 15 10 L-2 * ?       | 2027-01-31T00:00:00 | 2027-02-26T10:15:00 2027-03-29T10:15:00
0 15 10 ? * 6L        | 2026-11-21T00:00:00 | 2026-11-27T10:15:00 2026-12-25T10:15:00
0 15 10 ? * 6L 2002-2005 | 2005-11-30T00:00:00 | 2005-12-30T10:15:00 -
0 15 10 ? * 6#3       | 2026-11-21T00:00:00 | 2026-12-18T10:15:00 2027-01-15T10:15:00
0 0 12 1/5 * ?        | 2026-11-26T12:00:00 | 2026-12-01T12:00:00 2026-12-06T12:00:00
0 11 11 11 11 ?       | 2026-11-21T00:00:00 | 2027-11-11T11:11:00 2028-11-11T11:11:00
0 0 2 LW * ?          | 2026-05-01T00:00:00 | 2026-05-29T02:00:00 2026-06-30T02:00:00
0 0 2 L-3 * ?         | 2027-02-01T00:00:00 | 2027-02-25T02:00:00 2027-03-28T02:00:00
0 0 2 L-3W * ?        | 2027-03-01T00:00:00 | 2027-03-29T02:00:00 2027-04-27T02:00:00
0 0 2 15W * ?         | 2026-08-01T00:00:00 | 2026-08-14T02:00:00 2026-09-15T02:00:00
0 0 2 15W * ?         | 2026-11-01T00:00:00 | 2026-11-16T02:00:00 2026-12-15T02:00:00
0 0 2 1W * ?          | 2026-08-01T00:00:00 | 2026-08-03T02:00:00 2026-09-01T02:00:00
0 0 2 31W * ?         | 2027-01-01T00:00:00 | 2027-01-29T02:00:00 2027-03-31T02:00:00
0 0 2 ? * 5L          | 2026-11-21T00:00:00 | 2026-11-26T02:00:00 2026-12-31T02:00:00
0 0 2 ? * MON#2       | 2026-11-21T00:00:00 | 2026-12-14T02:00:00 2027-01-11T02:00:00
0 0 2 ? * MON#5       | 2026-11-21T00:00:00 | 2026-11-30T02:00:00 2027-03-29T02:00:00
0 0 2 ? * FRI-MON     | 2026-11-20T02:00:00 | 2026-11-21T02:00:00 2026-11-22T02:00:00
0 0 2 ? * 1           | 2026-11-21T00:00:00 | 2026-11-22T02:00:00 2026-11-29T02:00:00
0 0 22-2/2 * * ?      | 2026-11-21T12:00:00 | 2026-11-21T22:00:00 2026-11-22T00:00:00
59 59 23 31 12 ?      | 2026-12-31T23:59:59 | 2027-12-31T23:59:59
0 0 0 29 2 ?          | 2096-02-29T00:00:00 | -
0 0 0 29 2 ?          | 2026-11-21T00:00:00 | 2028-02-29T00:00:00 2032-02-29T00:00:00
0 0 2 ? 2 MON#5       | 2026-11-21T00:00:00 | 2044-02-29T02:00:00 2072-02-29T02:00:00
*/5 * * * *           | 2026-11-21T23:55:00 | 2026-11-22T00:00:00 2026-11-22T00:05:00
30 4 1,15 * 5         | 2026-11-21T00:00:00 | 2026-11-27T04:30:00 2026-12-01T04:30:00
0 2 */2 * 1           | 2026-11-21T00:00:00 | 2026-11-23T02:00:00 2026-12-07T02:00:00
0 22 * * 1-5          | 2026-11-21T00:00:00 | 2026-11-23T22:00:00 2026-11-24T22:00:00";

#[test]
fn quartzs_examples_and_every_special_day_fire_when_they_should() {
    for line in EXAMPLES.lines().skip(1) {
        let [expression, start, times] = line.split('|').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let expected: Vec<&str> = times.split_whitespace().collect();
        let mut found = fires(expression, start.trim(), expected.len());
        found.resize(expected.len(), "-".to_owned());
        assert_eq!(found, expected, "{line}");
    }
}

/// Central European Time, as POSIX writes it.
fn europe() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
}

/// The next instants after a start, in UTC.
fn instants(expression: &str, zone: &TimeZone, start: &str, count: usize) -> Vec<String> {
    let schedule = parse(expression).expect(expression);
    let next = |instant: &Timestamp| schedule.next_after(*instant, zone);
    let first = next(&start.parse().unwrap());
    std::iter::successors(first, next)
        .take(count)
        .map(|instant| instant.to_string())
        .collect()
}

#[test]
fn a_time_the_clocks_skip_is_made_up_for_at_the_change_once() {
    // On 2027-03-28 at 01:00 UTC it becomes 03:00 instead of 02:00.
    let night = "2027-03-27T12:00:00Z";
    for expression in [
        "0 30 2 * * ?",
        "0 0/10 2 * * ?",
        "30 2 * * *",
        "0 0 2 * * ?",
    ] {
        let found = instants(expression, &europe(), night, 2);
        assert_eq!(found[0], "2027-03-28T01:00:00Z", "{expression}");
        assert!(
            found[1].starts_with("2027-03-29T00:"),
            "{expression}: {found:?}"
        );
    }
    let around = instants("0 30 1-3 * * ?", &europe(), night, 4);
    let expected = ["28T00:30", "28T01:00", "28T01:30", "28T23:30"];
    assert_eq!(around.len(), expected.len());
    for (found, expected) in around.iter().zip(expected) {
        assert_eq!(found, &format!("2027-03-{expected}:00Z"));
    }
    let at_three = instants("0 30 2,3 * * ?", &europe(), "2027-03-28T01:00:00Z", 1);
    assert_eq!(at_three, ["2027-03-28T01:30:00Z"]);
}

#[test]
fn a_time_that_comes_twice_counts_once_the_first_time() {
    // On 2027-10-31 at 01:00 UTC it becomes 02:00 again.
    let found = instants("0 30 2 * * ?", &europe(), "2027-10-30T12:00:00Z", 2);
    assert_eq!(found, ["2027-10-31T00:30:00Z", "2027-11-01T01:30:00Z"]);
    let later = instants("0 30 2 * * ?", &europe(), "2027-10-31T00:45:00Z", 1);
    assert_eq!(later, ["2027-11-01T01:30:00Z"]);
    let three = instants("0 0 3 * * ?", &europe(), "2027-10-30T12:00:00Z", 1);
    assert_eq!(three, ["2027-10-31T02:00:00Z"]);
}

#[test]
fn what_fires_in_every_hour_goes_by_the_time_that_passes() {
    for (expression, step_s) in [
        ("0 0/5 * * * ?", 300),
        ("*/5 * * * *", 300),
        ("0 0 * * * ?", 3600),
        ("0 30 * * * ?", 3600),
        ("20 * * * * ?", 60),
    ] {
        for change in ["2027-03-28T01:00:00Z", "2027-10-31T01:00:00Z"] {
            let change: Timestamp = change.parse().unwrap();
            let start = change - jiff::SignedDuration::from_secs(7000);
            let count = 14_000 / step_s;
            let found = instants(expression, &europe(), &start.to_string(), count);
            let seconds: Vec<i64> = found
                .iter()
                .map(|text| text.parse::<Timestamp>().unwrap().as_second())
                .collect();
            assert_eq!(seconds.len(), count, "{expression}");
            for pair in seconds.windows(2) {
                assert_eq!(pair[1] - pair[0], step_s as i64, "{expression}: {found:?}");
            }
        }
    }
}

#[test]
fn a_change_by_half_an_hour_is_taken_as_it_is() {
    // Lord Howe moves by 30 minutes: on 2027-04-04 at 15:00 UTC of the day before.
    let island = TimeZone::posix("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0").unwrap();
    let found = instants("0 0 * * * ?", &island, "2027-04-03T13:30:00Z", 4);
    let expected = ["14:00", "15:30", "16:30", "17:30"];
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found, &format!("2027-04-03T{expected}:00Z"));
    }
    let found = instants("0 45 1 * * ?", &island, "2027-04-03T13:30:00Z", 2);
    assert_eq!(found, ["2027-04-03T14:45:00Z", "2027-04-04T15:15:00Z"]);
}

/// A generator whose numbers are the same everywhere.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    /// A field of numbers from `min` to `max`, in a form both sides read alike.
    fn field(&mut self, min: u64, max: u64) -> String {
        let value = |numbers: &mut Numbers| min + numbers.below(max - min + 1);
        match self.below(6) {
            0 | 1 => "*".to_owned(),
            2 => format!("*/{}", 1 + self.below(max - min)),
            3 => {
                let (a, b) = (value(self), value(self));
                format!("{}-{}", a.min(b), a.max(b))
            }
            4 => format!("{},{}", value(self), value(self)),
            _ => value(self).to_string(),
        }
    }

    fn start(&mut self) -> DateTime {
        let day = self.below(3000) as i64;
        let second = self.below(86_400) as i64;
        at("2026-11-21T00:00:00")
            .checked_add(jiff::SignedDuration::from_secs(day * 86_400 + second))
            .unwrap()
    }
}

/// A local time as croner knows it: our jiff is newer than the one it has a feature for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Local(DateTime);

impl CronDateTime for Local {
    fn to_civil(&self) -> CivilDateTime {
        let [month, day, hour, minute, second] = [
            self.0.month(),
            self.0.day(),
            self.0.hour(),
            self.0.minute(),
            self.0.second(),
        ]
        .map(|part| u32::from(part.unsigned_abs()));
        CivilDateTime::new(
            CivilDate::from_parts_unchecked(self.0.year().into(), month, day),
            CivilTime::from_parts_unchecked(hour, minute, second),
        )
    }

    fn civil_weekday(&self) -> Weekday {
        let day = self.0.weekday().to_sunday_zero_offset();
        Weekday::from_days_from_sunday(u32::from(day.unsigned_abs()))
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Local>, CronError> {
        let [month, day, hour, minute, second] = [
            civil.month(),
            civil.day(),
            civil.hour(),
            civil.minute(),
            civil.second(),
        ]
        .map(|part| part as i8);
        let year = i16::try_from(civil.year()).map_err(|_| CronError::InvalidDate)?;
        DateTime::new(year, month, day, hour, minute, second, 0)
            .map(|local| Resolution::Single(Local(local)))
            .map_err(|_| CronError::InvalidDate)
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Local> {
        let seconds = jiff::SignedDuration::from_secs(seconds);
        self.0.checked_add(seconds).ok().map(Local)
    }

    fn cmp_instant(&self, other: &Local) -> Ordering {
        self.0.cmp(&other.0)
    }
}

/// Both say the same ten times, or never.
fn agree(text: &str, croner: &croner::Cron, start: DateTime) {
    let ours = parse(text);
    let mut local = start;
    for _ in 0..10 {
        let next = ours
            .as_ref()
            .ok()
            .and_then(|schedule| schedule.next_local(local));
        let theirs = croner.find_next_occurrence(&Local(local), false).ok();
        // It looks further ahead than we do.
        let theirs = theirs.map(|next| next.0).filter(|next| next.year() <= 2099);
        assert_eq!(next, theirs, "{text} after {local}");
        match next {
            Some(next) => local = next,
            None => return,
        }
    }
}

#[test]
fn croner_says_the_same_wherever_it_is_right() {
    let sixes = CronParser::builder()
        .seconds(Seconds::Required)
        .year(Year::Disallowed)
        .alternative_weekdays(true)
        .dom_and_dow(true)
        .build();
    let fives = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build();
    let mut numbers = Numbers(5);
    for _ in 0..3000 {
        let second = numbers.field(0, 59);
        let minute = numbers.field(0, 59);
        let hour = numbers.field(0, 23);
        let month = numbers.field(1, 12);
        let time = format!("{second} {minute} {hour}");
        let (of_month, of_week) = match numbers.below(6) {
            0 => (format!("{}W", 1 + numbers.below(28)), "?".to_owned()),
            1 => ("L".to_owned(), "?".to_owned()),
            2 => {
                let (day, nth) = (1 + numbers.below(7), 1 + numbers.below(5));
                ("?".to_owned(), format!("{day}#{nth}"))
            }
            3 => ("?".to_owned(), format!("{}L", 1 + numbers.below(7))),
            4 => ("?".to_owned(), numbers.field(1, 7)),
            _ => (numbers.field(1, 31), "?".to_owned()),
        };
        let text = format!("{time} {of_month} {month} {of_week}");
        let start = numbers.start();
        agree(&text, &sixes.parse(&text).expect(&text), start);

        let of_month = numbers.field(1, 31);
        let of_week = numbers.field(0, 6);
        let is_star = of_month.starts_with('*') || of_week.starts_with('*');
        // There croner adds up what crontab(5) combines.
        if is_star && of_month != "*" && of_week != "*" {
            continue;
        }
        let text = format!("{minute} {hour} {of_month} {month} {of_week}");
        agree(&text, &fives.parse(&text).expect(&text), start);
    }
}
