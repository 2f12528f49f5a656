//! Claims about Quartz expressions; `quartz.rs` itself has no room for them.

use crate::core::schedule::{Days, parse};

fn days_of(of_month: &str, of_week: &str) -> Result<Days, String> {
    parse(&format!("0 0 2 {of_month} * {of_week}")).map(|schedule| schedule.days)
}

fn bits(values: &[u32]) -> u64 {
    values.iter().fold(0, |set, value| set | 1 << value)
}

#[test]
fn the_predecessors_defaults_are_read_exactly() {
    let nightly = parse("0 0 2 * * ?").unwrap();
    assert_eq!(
        (nightly.seconds, nightly.minutes, nightly.hours),
        (1, 1, 1 << 2)
    );
    assert_eq!(nightly.days, Days::OfMonth(u64::from(u32::MAX) - 1));
    assert_eq!(
        (nightly.months, nightly.years.as_ref()),
        (0b1_1111_1111_1110, None)
    );
    let often = parse("0 0/5 * * * ?").unwrap();
    assert_eq!(often.minutes.count_ones(), 12);
    assert_eq!(often.text(), "0 0/5 * * * ?");
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
        let schedule = parse(&format!("0 {minute} * * * ?")).expect(minute);
        assert_eq!(schedule.minutes, expected, "{minute}");
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
        parse("0 0 2 ? nov-FEB *").unwrap().months,
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
    let years = |year: &str| parse(&format!("0 0 2 * * ? {year}")).map(|schedule| schedule.years);
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
    for (of_month, of_week) in [("13", "FRI"), ("99", "*"), ("*", "FOO")] {
        let message = days_of(of_month, of_week).unwrap_err();
        assert!(message.contains("must be '?'; put the days"), "{message}");
    }
}

/// B13: a field of a Quartz expression may be missing, or it is a line of a crontab.
#[test]
fn b13_five_fields_that_can_be_read_in_two_ways_are_refused_with_both_readings() {
    for hour in 1..=23 {
        let message = parse(&format!("0 0 {hour} * *")).unwrap_err();
        let [daily, monthly] = [format!("0 0 {hour} * * ?"), format!("0 0 0 {hour} * ?")];
        for reading in [daily, monthly] {
            assert!(message.contains(&format!("'{reading}'")), "{message}");
            assert!(parse(&reading).is_ok(), "{reading}");
        }
    }
    for written in [" 0  0\t02 * * ", "00 0 2 * *", "0 00 23 * *"] {
        assert!(parse(written).is_err(), "{written}");
    }
    for line in [
        "0 0 24 * *",
        "0 0 31 * *",
        "0 0 * * *",
        "0 2 * * *",
        "0 0 2,3 * *",
        "0 0 1-7 * *",
        "0 0 */2 * *",
        "0 0 2 1 *",
        "0 0 2 * MON",
        "1 0 2 * *",
        "0 1 2 * *",
        "*/5 * * * *",
    ] {
        assert!(parse(line).is_ok(), "{line}");
    }
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
    0 0 2 L-30 4 ?
    0 0 2 L-29 2 ?
    0 0 2 31W 4 ?

    push
    @daily
    0 0 2 é * ?";

#[test]
fn what_quartz_refuses_or_would_half_ignore_is_refused_with_a_remedy() {
    for text in REFUSED.lines().map(str::trim_start) {
        let message = parse(text).expect_err(text);
        assert!(message.contains("; "), "{text}: {message}");
    }
    assert!(parse("0 0 2 29 2 ?").is_ok() && parse("0 0 2 30 2,3 ?").is_ok());
}

#[test]
fn a_day_that_one_of_the_months_has_fires() {
    for (of_month, month) in [
        ("L-28", "2"),
        ("L-29", "4"),
        ("L-30", "4,5"),
        ("29W", "2"),
        ("30", "4"),
        ("31", "4,5"),
        ("L-30W", "12"),
    ] {
        let text = format!("0 0 2 {of_month} {month} ?");
        assert!(parse(&text).is_ok(), "{text}");
    }
}

#[test]
fn a_step_goes_up_to_the_size_of_its_field() {
    for (before, most, after) in [
        ("*/", 59, " 0 2 * * ?"),
        ("0 */", 59, " 2 * * ?"),
        ("0 0 */", 23, " * * ?"),
        ("0 0 2 */", 31, " * ?"),
        ("0 0 2 * */", 12, " ?"),
        ("0 0 2 ? * */", 7, ""),
        ("0 0 2 * * ? */", 130, ""),
    ] {
        let with_step = |step: u32| parse(&format!("{before}{step}{after}"));
        assert!(
            with_step(1).is_ok() && with_step(most).is_ok(),
            "{before}{most}"
        );
        let message = with_step(most + 1).unwrap_err();
        let remedy = format!("write a number from 1 to {most} after '/'");
        assert!(message.ends_with(&remedy), "{message}");
        assert!(with_step(0).is_err(), "{before}");
    }
}

#[test]
fn a_refused_value_is_told_with_what_its_field_takes() {
    let alone = "'L' and 'W' stand alone in day-of-month, 'L' and '#' in day-of-week, not in \
                 lists, ranges or other fields";
    let one_field = "'?' stands alone, in day-of-month or day-of-week; use '*' here";
    let sunday = "Sunday is 1 and Saturday is 7: write 1 to 7 or SUN to SAT";
    for (text, remedy) in [
        ("60 0 2 * * ?", "write 0 to 59"),
        ("0 0 24 * * ?", "write 0 to 23"),
        ("0 0 2 0 * ?", "write 1 to 31"),
        ("0 0 2 32W * ?", "write 1 to 31"),
        ("0 0 2 * 13 ?", "write 1 to 12 or JAN to DEC"),
        ("0 0 2 * JULY ?", "write 1 to 12 or JAN to DEC"),
        ("0 0 2 * 0 ?", "write 1 to 12 or JAN to DEC"),
        ("0 0 2 ? * 8", "write 1 to 7 or SUN to SAT"),
        ("0 0 2 ? * 0", sunday),
        ("0 0 2 ? * 00", sunday),
        ("0 0 2 * * ? 1969", "write 1970 to 2099"),
        ("0 ? 2 * * ?", one_field),
        ("0 0 2 * ? ?", one_field),
        ("0 L 2 * * ?", alone),
        ("0 0 2 15W,3 * ?", alone),
        ("0 0 2 ? * FRIL,MON", alone),
        ("0 0 2 ? * 1#2,3#1", alone),
    ] {
        let message = parse(text).expect_err(text);
        let told = message.split_once("; ").map(|(_, remedy)| remedy);
        assert_eq!(told, Some(remedy), "{text}: {message}");
    }
}
