//! Sizes, rates and times as people write them in a configuration: `10 MiB`,
//! `08:00-18:00 100 KiB/s`, `6h`.
//!
//! An error is one line: `what is wrong; what to write`.

/// Units of a size, and their bytes.
const UNITS: [(&str, u64); 8] = [
    ("B", 1),
    ("KB", 1000),
    ("kB", 1000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
];

/// LIMIT: the lowest rate that may be asked for, in bytes a second: below, a large file would keep
/// a connection open for days, and a body that hardly comes is given up
/// ([`crate::io::limited_body`]).
pub const RATE_LEAST: u64 = 4 << 10;

/// A rate for a part of the day in which there is no limit.
const UNLIMITED: &str = "unlimited";

/// Minutes of a day.
const DAY_MINUTES: u16 = 24 * 60;

/// Seconds of the units of a time.
const TIMES: [(char, u64); 4] = [('s', 1), ('m', 60), ('h', 3600), ('d', 24 * 3600)];

/// The bytes of a size such as `10 MiB`: a whole number with a unit, more than none.
///
/// # Errors
/// What is wrong with it, and what to write.
pub fn size(text: &str) -> Result<u64, String> {
    let bytes = bytes(text).ok_or_else(|| {
        "is no size; write a whole number and one of B, KB, KiB, MB, MiB, GB and GiB, as in \
         \"10 MiB\""
            .to_owned()
    })?;
    match bytes {
        0 => Err("would leave out every file; leave the key out for no limit".to_owned()),
        bytes => Ok(bytes),
    }
}

/// A size as it was written: the largest unit of which it is a whole number.
pub fn as_written(bytes: u64) -> String {
    let mut units: Vec<_> = UNITS
        .iter()
        .filter(|(_, scale)| bytes.is_multiple_of(*scale))
        .collect();
    units.sort_by_key(|(_, scale)| *scale);
    match units.last() {
        Some((unit, scale)) => format!("{} {unit}", bytes / scale),
        None => format!("{bytes} B"),
    }
}

fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start_matches(' ');
    let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*scale)
}

/// The seconds of a time such as `6h`: a whole number with s, m, h or d, from a minute to a year.
///
/// # Errors
/// What is wrong with it, and what to write.
pub fn seconds(text: &str) -> Result<u64, String> {
    let mut rest = text.chars();
    let unit = rest.next_back();
    let scale = TIMES.iter().find(|(name, _)| Some(*name) == unit);
    let number = rest.as_str();
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    scale
        .filter(|_| is_number)
        .and_then(|(_, scale)| number.parse::<u64>().ok()?.checked_mul(*scale))
        .filter(|seconds| (60..=366 * 24 * 3600).contains(seconds))
        .ok_or_else(|| {
            "is no time from a minute to a year; write a whole number with s, m, h or d, as in \
             \"6h\""
                .to_owned()
        })
}

/// How many bytes may travel in a second, by the time of day. Without a line there is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rates(Vec<RateLine>);

/// One line of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct RateLine {
    /// From this minute of the day until before that one, which may be on the next day; or always.
    hours: Option<(u16, u16)>,
    /// Nothing for no limit.
    bytes_per_s: Option<u64>,
}

impl Rates {
    /// Adds a line, such as `500 KiB/s` or `08:00-18:00 100 KiB/s`: it counts where none before it
    /// does.
    ///
    /// # Errors
    /// What is wrong with it, and what to write.
    pub fn add(&mut self, text: &str) -> Result<(), String> {
        if self.0.iter().any(|line| line.hours.is_none()) {
            return Err(
                "never counts, since the one before it holds all day; write the one \
                        without hours last"
                    .to_owned(),
            );
        }
        let (hours, rate) = match text.split_once(' ') {
            Some((hours, rate)) if hours.contains([':', '-']) => {
                (Some(span(hours)?), rate.trim_start())
            }
            _ => (None, text),
        };
        if rate == UNLIMITED {
            let bytes_per_s = None;
            self.0.push(RateLine { hours, bytes_per_s });
            return Ok(());
        }
        let bytes_per_s = rate.strip_suffix("/s").and_then(bytes).ok_or_else(|| {
            "is no rate; write a whole number, one of KB, KiB, MB, MiB, GB and GiB, and /s, as in \
             \"500 KiB/s\" or \"08:00-18:00 100 KiB/s\"; or \"unlimited\" in its place"
                .to_owned()
        })?;
        if bytes_per_s < RATE_LEAST {
            return Err(format!(
                "is too little to get on with; write {} KiB/s at least, or leave the key out for \
                 no limit",
                RATE_LEAST >> 10
            ));
        }
        let bytes_per_s = Some(bytes_per_s);
        self.0.push(RateLine { hours, bytes_per_s });
        Ok(())
    }

    /// Whether nothing is ever limited.
    pub fn is_unlimited(&self) -> bool {
        self.0.iter().all(|line| line.bytes_per_s.is_none())
    }

    /// Whether the time of day matters.
    pub fn has_hours(&self) -> bool {
        self.0.iter().any(|line| line.hours.is_some())
    }

    /// Bytes a second at a minute of the day, if they are limited then.
    pub fn at(&self, minute: u16) -> Option<u64> {
        let holds = |line: &&RateLine| match line.hours {
            None => true,
            Some((from, to)) if from < to => (from..to).contains(&minute),
            Some((from, to)) => minute >= from || minute < to,
        };
        self.0.iter().find(holds)?.bytes_per_s
    }
}

/// `08:00-18:00`.
fn span(text: &str) -> Result<(u16, u16), String> {
    let wrong = || {
        format!(
            "begins with '{text}', which is no part of a day; write that as in \"08:00-18:00\", or \
             \"22:00-06:00\" over midnight"
        )
    };
    let (from, to) = text.split_once('-').ok_or_else(wrong)?;
    let (from, to) = minute(from).zip(minute(to)).ok_or_else(wrong)?;
    match from != to && from != DAY_MINUTES {
        true => Ok((from, to)),
        false => Err(wrong()),
    }
}

/// The minute of the day, of `00:00` to `24:00`.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| {
        let is_plain = matches!(text.len(), 1 | 2) && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| is_plain)
    };
    let (hour, minute) = (number(hour)?, number(minute).filter(|m| *m < 60)?);
    Some(hour * 60 + minute).filter(|at| *at <= DAY_MINUTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(lines: &[&str]) -> Rates {
        let mut rates = Rates::default();
        lines.iter().for_each(|line| rates.add(line).unwrap());
        rates
    }

    #[test]
    fn sizes_are_whole_numbers_with_a_unit() {
        for (text, expected) in [
            ("1 B", 1),
            ("2KB", 2000),
            ("2 kB", 2000),
            ("3 KiB", 3072),
            ("4 MB", 4_000_000),
            ("5 MiB", 5 << 20),
            ("6 GB", 6_000_000_000),
            ("7  GiB", 7 << 30),
        ] {
            assert_eq!(size(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "5",
            "MiB",
            "-1 MiB",
            "1.5 MiB",
            "1 mb",
            "1 Mbit",
            " 1 MiB",
            "1 MiB ",
            "99999999999 GiB",
        ] {
            assert!(
                size(text).unwrap_err().starts_with("is no size; write"),
                "{text}"
            );
        }
        assert!(size("0 MiB").unwrap_err().contains("every file"));
    }

    #[test]
    fn a_size_is_told_as_it_was_written() {
        for text in [
            "1 MB", "1 MiB", "100 MiB", "1536 KiB", "5 GB", "700 B", "25 kB",
        ] {
            assert_eq!(as_written(size(text).unwrap()), text);
        }
    }

    #[test]
    fn times_go_from_a_minute_to_a_year() {
        for (text, expected) in [("60s", 60), ("1m", 60), ("6h", 21_600), ("2d", 172_800)] {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        for text in [
            "", "6", "h", "6 h", "59s", "367d", "1.5h", "+1h", "1w", "6\u{e4}",
        ] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_first_line_that_holds_counts_and_none_means_no_limit() {
        let rates = rates(&["08:00-18:00 100 KiB/s", "22:30-6:00 2 MB/s", "500 KiB/s"]);
        let at = |hour: u16, minute: u16| rates.at(hour * 60 + minute).unwrap();
        let (day, night, rest) = (100 << 10, 2_000_000, 500 << 10);
        for (hour, minute, expected) in [
            (7, 59, rest),
            (8, 0, day),
            (17, 59, day),
            (18, 0, rest),
            (22, 29, rest),
            (22, 30, night),
            (23, 59, night),
            (0, 0, night),
            (5, 59, night),
            (6, 0, rest),
        ] {
            assert_eq!(at(hour, minute), expected, "{hour}:{minute}");
        }
        let only = self::rates(&["18:00-24:00 1 MB/s"]);
        assert_eq!(
            (only.at(17 * 60 + 59), only.at(1439)),
            (None, Some(1_000_000))
        );
        assert_eq!(only.at(0), None);
        let nights = self::rates(&["01:00-05:00 unlimited", "1 MB/s"]);
        assert_eq!((nights.at(120), nights.at(720)), (None, Some(1_000_000)));
        assert!(!nights.is_unlimited() && self::rates(&["unlimited"]).is_unlimited());
        assert!(only.has_hours() && !only.is_unlimited() && Rates::default().is_unlimited());
    }

    #[test]
    fn what_is_no_rate_says_what_to_write() {
        for (text, expected) in [
            ("500", "is no rate"),
            ("500 KiB", "is no rate"),
            ("fast", "is no rate"),
            ("0 B/s", "write 4 KiB/s at least"),
            ("4095 B/s", "write 4 KiB/s at least"),
            (
                "8:00 100 KiB/s",
                "begins with '8:00', which is no part of a day",
            ),
            (
                "8-18 100 KiB/s",
                "begins with '8-18', which is no part of a day",
            ),
            ("08:00-25:00 100 KiB/s", "is no part of a day"),
            ("08:60-09:00 100 KiB/s", "is no part of a day"),
            ("24:00-09:00 100 KiB/s", "is no part of a day"),
            ("08:00-08:00 100 KiB/s", "is no part of a day"),
            ("08:00-9 100 KiB/s", "is no part of a day"),
            ("08:00-18:00  ", "is no rate"),
        ] {
            let told = Rates::default().add(text).unwrap_err();
            assert!(
                told.contains(expected) && told.contains("; write"),
                "{text}: {told}"
            );
        }
        let told = rates(&["500 KiB/s"]).add("1 MB/s").unwrap_err();
        assert!(told.contains("never counts"), "{told}");
    }
}
