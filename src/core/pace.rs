//! How often a file that changes is sent (`[[sync.pace]]`), and which one is sent so often that it
//! is worth a word.

use crate::core::globs::Globs;

/// Bytes of one file sent in a day above which its owner is told.
const OFTEN_BYTES: u64 = 100_000_000;

/// Seconds of a day.
pub const DAY_S: i64 = 24 * 3600;

/// `[[sync.pace]]`: at most so often files that match go up again.
#[derive(Clone, Debug, Default)]
pub struct Paces(Vec<(Globs, u64)>);

impl Paces {
    /// Adds a rule: files that `globs` match go up every `every_s` seconds at most.
    pub fn add(&mut self, globs: Globs, every_s: u64) {
        self.0.push((globs, every_s));
    }

    /// Seconds between two sendings of a file, of the rules that match either of its spellings
    /// (`/relative/path`, in Dropbox and here) those of the least.
    pub fn of(&self, path: &str, other: &str) -> Option<u64> {
        let matches =
            |globs: &Globs| globs.match_file(path) || (path != other && globs.match_file(other));
        let found = self.0.iter().filter(|(globs, _)| matches(globs));
        found.map(|(_, every_s)| *every_s).min()
    }

    /// The longest time between two sendings that any rule asks for, in seconds.
    pub fn longest(&self) -> u64 {
        self.0
            .iter()
            .map(|(_, every_s)| *every_s)
            .max()
            .unwrap_or(0)
    }
}

/// What is known of the sendings of one file. Times are seconds since 1970, by the clock of the
/// machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sendings {
    /// When it was last sent.
    pub last_s: i64,
    /// How many times in the day of the last one.
    pub times: u64,
    /// How many bytes of it in that day.
    pub bytes: u64,
}

impl Sendings {
    /// Seconds until the file may be sent again; nothing if it may be now. A clock that is before
    /// the last sending tells nothing.
    pub fn left_s(&self, now_s: i64, every_s: u64) -> Option<u64> {
        let since = u64::try_from(now_s.checked_sub(self.last_s)?).ok()?;
        every_s.checked_sub(since).filter(|left| *left > 0)
    }

    /// Those of this day, as far as they are of it.
    #[must_use]
    pub fn of_day(&self, now_s: i64) -> Sendings {
        match now_s.div_euclid(DAY_S) == self.last_s.div_euclid(DAY_S) {
            true => *self,
            false => Sendings::default(),
        }
    }

    /// The same after another sending.
    #[must_use]
    pub fn with(&self, now_s: i64, bytes: u64) -> Sendings {
        let before = self.of_day(now_s);
        Sendings {
            last_s: now_s,
            times: before.times.saturating_add(1),
            bytes: before.bytes.saturating_add(bytes),
        }
    }

    /// Whether so much of the file has been sent in a day that its owner is told: again and again,
    /// since a first sending can be spared by nothing.
    pub fn is_often(&self) -> bool {
        self.times > 1 && self.bytes > OFTEN_BYTES
    }
}

/// The lines for a configuration that let a file be sent less often. `path` is `/relative/path`.
pub fn lines_for(path: &str) -> String {
    let mut glob = String::with_capacity(path.len());
    for c in path.chars() {
        if "*?[\\".contains(c) || (c == ' ' && path.ends_with(' ')) {
            glob.push('\\');
        }
        glob.push(c);
    }
    let is_plain = |c: char| !c.is_control() && c != '\'';
    let text = match glob.chars().all(is_plain) && glob.contains(['\\', '"']) {
        true => format!("'{glob}'"),
        false => {
            let escaped = glob.chars().map(|c| match c {
                '"' | '\\' => format!("\\{c}"),
                c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
                c => c.to_string(),
            });
            format!("\"{}\"", escaped.collect::<String>())
        }
    };
    format!("[[sync.pace]]\nmatch = {text}\nevery = \"6h\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_time_of_those_that_match_counts() {
        let mut paces = Paces::default();
        for (glob, every_s) in [("*.log", 600), ("/logs/", 300), ("/logs/slow.log", 900)] {
            let mut globs = Globs::default();
            globs.add(glob).unwrap();
            paces.add(globs, every_s);
        }
        for (path, other, expected) in [
            ("/a.log", "/a.log", Some(600)),
            ("/logs/a.log", "/logs/a.log", Some(300)),
            ("/logs/slow.log", "/logs/slow.log", Some(300)),
            ("/Logs/a", "/logs/a", Some(300)),
            ("/a.txt", "/a.txt", None),
        ] {
            assert_eq!(paces.of(path, other), expected, "{path} {other}");
        }
        assert_eq!((paces.longest(), Paces::default().longest()), (900, 0));
    }

    #[test]
    fn a_file_is_due_when_its_time_is_over_or_the_clock_was_set_back() {
        let sent = Sendings::default().with(10_000, 7);
        for (now_s, left) in [
            (10_000, Some(600)),
            (10_001, Some(599)),
            (10_599, Some(1)),
            (10_600, None),
            (9_999, None),
            (i64::MIN, None),
        ] {
            assert_eq!(sent.left_s(now_s, 600), left, "{now_s}");
        }
    }

    #[test]
    fn what_is_sent_again_and_again_is_told_of_by_the_day() {
        let mib = 1 << 20;
        let once = Sendings::default().with(5, 200 * mib);
        assert!(!once.is_often(), "a first sending");
        let twice = once.with(DAY_S - 1, mib);
        assert_eq!((twice.times, twice.bytes), (2, 201 * mib));
        assert!(twice.is_often());
        let next_day = twice.with(DAY_S, 90 * mib);
        assert_eq!((next_day.times, next_day.bytes), (1, 90 * mib));
        assert!(!next_day.is_often());
        let back = next_day.with(0, 90 * mib);
        assert_eq!(back.times, 1, "another day, whichever comes first");
    }

    #[test]
    fn the_lines_can_be_pasted_and_match_the_file_alone() {
        for path in [
            "/logs/a.log",
            "/a b",
            "/x*[1]?\\",
            "/it's",
            "/say \"x\"",
            "/'\"\\",
            "/end ",
            "/l\nb",
        ] {
            let lines = lines_for(path);
            let table = lines.split_once("match = ").unwrap().1;
            let text = table.split_once("\nevery = \"6h\"").unwrap().0;
            let plain = match text.strip_prefix('\'') {
                Some(literal) => literal.trim_end_matches('\'').to_owned(),
                None => serde_json::from_str(text).unwrap(),
            };
            let mut globs = Globs::default();
            globs.add(&plain).unwrap();
            assert!(globs.match_file(path), "{lines}");
            assert!(
                !globs.match_file("/logs/b.log") && !globs.match_file("/xa1b"),
                "{lines}"
            );
        }
    }
}
