//! Claims about Quartz expressions; `core/quartz.rs` itself has no room for them.

use crate::core::quartz::{Days, Quartz};

fn days_of(of_month: &str, of_week: &str) -> Result<Days, String> {
    Quartz::parse(&format!("0 0 2 {of_month} * {of_week}")).map(|quartz| quartz.days)
}

fn bits(values: &[u32]) -> u64 {
    values.iter().fold(0, |set, value| set | 1 << value)
}

#[test]
fn lists_ranges_and_steps_fill_the_set() {
    for (minute, expected) in [
        ("5", bits(&[5])),
        ("5,7,05", bits(&[5, 7])),
        ("10-13", bits(&[10, 11, 12, 13])),
        ("58-1", bits(&[58, 59, 0, 1])),
        ("10-20/5", bits(&[10, 15, 20])),
        ("57-10/4", bits(&[57, 1, 5, 9])),
        ("50/5", bits(&[50, 55])),
        ("*/30", bits(&[0, 30])),
        ("/30", bits(&[0, 30])),
        ("1-2,*/30", bits(&[0, 1, 2, 30])),
    ] {
        let quartz = Quartz::parse(&format!("0 {minute} * * * ?")).expect(minute);
        assert_eq!(quartz.minutes, expected, "{minute}");
    }
}

#[test]
fn names_in_any_case_and_wrapping_ranges_are_read_with_sunday_as_1() {
    for (of_week, expected) in [
        ("SUN", bits(&[1])),
        ("fri-mon", bits(&[6, 7, 1, 2])),
        ("6-2", bits(&[6, 7, 1, 2])),
        ("Mon-Fri/2", bits(&[2, 4, 6])),
        ("MON,wed", bits(&[2, 4])),
        ("L", bits(&[7])),
    ] {
        assert_eq!(
            days_of("?", of_week),
            Ok(Days::OfWeek(expected)),
            "{of_week}"
        );
    }
    assert_eq!(
        Quartz::parse("0 0 2 ? nov-FEB *").unwrap().months,
        bits(&[11, 12, 1, 2])
    );
}

#[test]
fn the_special_days_are_read() {
    for (of_month, expected) in [
        ("L", Days::LastOfMonth { days_before: 0 }),
        ("l-3", Days::LastOfMonth { days_before: 3 }),
        ("LW", Days::LastWeekdayOfMonth { days_before: 0 }),
        ("L-3W", Days::LastWeekdayOfMonth { days_before: 3 }),
        ("15W", Days::NearestWeekday(15)),
    ] {
        assert_eq!(days_of(of_month, "?"), Ok(expected), "{of_month}");
    }
    for (of_week, expected) in [
        ("5L", Days::LastOfWeek(5)),
        ("FRIL", Days::LastOfWeek(6)),
        ("MON#2", Days::NthOfWeek { day: 2, nth: 2 }),
        ("2#1", Days::NthOfWeek { day: 2, nth: 1 }),
    ] {
        assert_eq!(days_of("?", of_week), Ok(expected), "{of_week}");
    }
}

#[test]
fn the_year_runs_from_1970_to_2099_and_never_backwards() {
    let years = |year: &str| Quartz::parse(&format!("0 0 2 * * ? {year}")).map(|q| q.years);
    assert_eq!(years("*"), Ok(None));
    assert_eq!(years("2030,2027-2028"), Ok(Some(vec![2027, 2028, 2030])));
    assert_eq!(years("2095/2"), Ok(Some(vec![2095, 2097, 2099])));
    for year in ["1969", "2100", "2030-2027", "27"] {
        assert!(years(year).is_err(), "{year}");
    }
}

#[test]
fn exactly_one_day_field_is_a_question_mark() {
    assert!(days_of("?", "?").unwrap_err().contains("both"));
    assert!(
        days_of("*", "*")
            .unwrap_err()
            .contains("write '0 0 2 * * ?'")
    );
    assert!(
        days_of("*", "MON")
            .unwrap_err()
            .contains("write '0 0 2 ? * MON'")
    );
    assert!(
        days_of("13", "*")
            .unwrap_err()
            .contains("write '0 0 2 13 * ?'")
    );
    assert!(days_of("13", "FRI").unwrap_err().contains("must be '?'"));
}

/// One per line.
const REFUSED: &str = "60 0 2 * * ?
    0 60 2 * * ?
    0 0 24 * * ?
    0 0 2 0 * ?
    0 0 2 32 * ?
    0 0 2 * 13 ?
    0 0 2 * 0 ?
    0 0 2 ? * 0
    0 0 2 ? * 8
    0 0 2 ? * FOO
    0 0 2 ? * *  2027 1
    ? 0 2 * * ?
    0 0 L * * ?
    0 0 2 ? L *
    0 0 2 W * ?
    0 0 2 L,3 * ?
    0 0 2 15W,3 * ?
    0 0 2 1-5W * ?
    0 0 2 32W * ?
    0 0 2 L-31 * ?
    0 0 2 ? * FRIL,MON
    0 0 2 ? * MON#6
    0 0 2 ? * MON#0
    0 0 2 ? * 1#2,3#1
    0 0 2 ? * MON-FRI#2
    0 */0 * * * ?
    0 0/61 * * * ?
    0 1,,2 * * * ?
    0 1- * * * ?
    0 -1 * * * ?
    0 +1 * * * ?
    0 1-2-3 * * * ?
    0 1/ * * * ?
    0 ?,3 * * * ?
    0 0 2 30 2 ?
    0 0 2 31 4,6 ?
    0 0 2 L-30 2 ?
    
    push
    @daily
    0 0 2 é * ?";

#[test]
fn what_quartz_refuses_or_would_half_ignore_is_refused_with_a_remedy() {
    for text in REFUSED.lines().map(str::trim_start) {
        let message = Quartz::parse(text).expect_err(text);
        assert!(message.contains("; "), "{text}: {message}");
    }
    assert!(Quartz::parse("0 0 2 29 2 ?").is_ok() && Quartz::parse("0 0 2 30 2,3 ?").is_ok());
}
