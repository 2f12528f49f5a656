//! How far one direction has come, how fast it gets on, and when it is through: arithmetic, and the
//! words for it. What time it is it is told.

use std::collections::VecDeque;
use std::time::Duration;

use crate::words::{counted, grouped, part_of, short_size};

/// The rate is that of this time.
const WINDOW: Duration = Duration::from_secs(5);
/// Time between two of the moments that the rate is computed from.
const SAMPLE_EVERY: Duration = Duration::from_millis(250);
/// Before that there is none.
const RATE_AFTER: Duration = Duration::from_secs(1);
/// What takes longer than that is not foretold.
const LEFT_MAX: Duration = Duration::from_secs(100 * 3600);

/// What there is to do in all.
#[derive(Clone, Copy)]
struct Expected {
    files: u64,
    bytes: u64,
    /// Nothing else can come to it.
    is_whole: bool,
}

/// The files of one direction.
#[derive(Default)]
pub(super) struct Progress {
    files: u64,
    /// Bytes of these and of what is under way, also what an earlier run has moved.
    bytes: u64,
    expected: Option<Expected>,
    /// What has passed, also in vain.
    passed: u64,
    /// How much had passed when.
    samples: VecDeque<(Duration, u64)>,
}

impl Progress {
    /// So many more files and bytes are to move.
    pub(super) fn expect(&mut self, files: u64, bytes: u64, is_whole: bool) {
        self.expected = Some(Expected {
            files: self.files.saturating_add(files),
            bytes: self.bytes.saturating_add(bytes),
            is_whole,
        });
    }

    /// Bytes have moved.
    pub(super) fn passed(&mut self, now: Duration, bytes: u64) {
        let is_due = |last: &(Duration, u64)| now.saturating_sub(last.0) >= SAMPLE_EVERY;
        if self.samples.back().is_none_or(is_due) {
            self.samples.push_back((now, self.passed));
        }
        // One is kept that is as old as the window.
        let is_old = |sample: &(Duration, u64)| now.saturating_sub(sample.0) >= WINDOW;
        while self.samples.get(1).is_some_and(is_old) {
            self.samples.pop_front();
        }
        self.passed = self.passed.saturating_add(bytes);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Bytes have moved in vain, and move again.
    pub(super) fn take_back(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Bytes need not move any more.
    pub(super) fn spare(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Files are through.
    pub(super) fn finish(&mut self, files: u64) {
        self.files = self.files.saturating_add(files);
    }

    /// Bytes a second, of late.
    fn rate(&self, now: Duration) -> Option<u64> {
        let (since, passed) = self.samples.front()?;
        let time = now.saturating_sub(*since);
        if time < RATE_AFTER {
            return None;
        }
        let bytes = self.passed.saturating_sub(*passed);
        let rate = u128::from(bytes) * 1000 / time.as_millis();
        u64::try_from(rate).ok()
    }

    /// Time until all is through, as it gets on now.
    fn left(&self, now: Duration) -> Option<Duration> {
        let expected = self.expected.filter(|expected| expected.is_whole)?;
        let left = expected.bytes.checked_sub(self.bytes)?;
        let rate = self.rate(now).filter(|rate| *rate > 0)?;
        Some(Duration::from_secs(left.div_ceil(rate))).filter(|left| *left <= LEFT_MAX)
    }

    /// `412 of 2,003 files, 97 of 416 MiB, 7.4 MiB/s, 0:42 left`.
    pub(super) fn text(&self, now: Duration) -> String {
        let mut parts = Vec::new();
        match self.expected.filter(|all| all.files >= self.files) {
            Some(all) => {
                if all.files > 1 {
                    let files = counted(all.files, "file", "files");
                    parts.push(format!("{} of {files}", grouped(self.files)));
                }
                parts.push(part_of(self.bytes.min(all.bytes), all.bytes));
            }
            None => {
                parts.push(counted(self.files, "file", "files"));
                parts.push(short_size(self.bytes));
            }
        }
        parts.extend(self.rate(now).map(|rate| format!("{}/s", short_size(rate))));
        let left = self.left(now);
        parts.extend(left.map(|left| format!("{} left", clock_text(left))));
        parts.join(", ")
    }
}

/// A time as a clock shows it: `0:42`, `12:05`, `1:02:03`.
pub(super) fn clock_text(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        hours => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// So many bytes every quarter of a second, up to a time; when that is.
    fn run(progress: &mut Progress, from: f64, to: f64, bytes: u64) {
        let mut now = from;
        while now < to {
            progress.passed(at(now), bytes);
            now += 0.25;
        }
    }

    #[test]
    fn the_line_says_how_far_it_is_how_fast_and_how_long_it_takes() {
        let mut progress = Progress::default();
        progress.expect(2003, 416 * MIB, true);
        assert_eq!(progress.text(at(0.0)), "0 of 2,003 files, 0 of 416 MiB");
        run(&mut progress, 0.0, 20.0, MIB);
        progress.finish(412);
        let text = "412 of 2,003 files, 80 of 416 MiB, 4.0 MiB/s, 1:24 left";
        assert_eq!(progress.text(at(20.0)), text);
    }

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let mut progress = Progress::default();
        progress.expect(1, 1000 * MIB, true);
        progress.passed(at(0.0), 0);
        assert_eq!(progress.rate(at(0.5)), None, "too early to tell");
        run(&mut progress, 0.25, 10.0, 4 * MIB);
        run(&mut progress, 10.0, 20.0, MIB);
        let rate = progress.rate(at(20.0)).unwrap();
        assert!((3 * MIB..5 * MIB).contains(&rate), "{rate}");
        // Where nothing comes it falls, and nothing is foretold of it in the end.
        assert!(progress.rate(at(40.0)).unwrap() < rate / 2);
        assert!(progress.samples.len() < 30);
        progress.passed(at(1e6), 0);
        progress.passed(at(1e6 + 6.0), 0);
        progress.passed(at(1e6 + 12.0), 0);
        assert_eq!(progress.rate(at(1e6 + 12.0)), Some(0));
        assert_eq!(progress.left(at(1e6 + 12.0)), None);
    }

    #[test]
    fn without_a_total_there_is_no_end_to_foretell() {
        let mut progress = Progress::default();
        run(&mut progress, 0.0, 13.0, 7 * MIB / 4);
        progress.finish(412);
        assert_eq!(progress.text(at(13.0)), "412 files, 91 MiB, 7.0 MiB/s");
        // One that may grow is shown, and nothing follows from it.
        progress.expect(588, 9 * MIB, false);
        assert_eq!(
            progress.text(at(13.0)),
            "412 of 1,000 files, 91 of 100 MiB, 7.0 MiB/s"
        );
        progress.expect(588, 9 * MIB, true);
        assert!(progress.text(at(13.0)).ends_with(", 0:02 left"));
    }

    #[test]
    fn what_moves_again_is_not_counted_twice_and_what_was_there_is_no_speed() {
        let mut progress = Progress::default();
        progress.expect(1, 114 * MIB, true);
        progress.spare(64 * MIB);
        progress.passed(at(0.0), 0);
        run(&mut progress, 0.25, 2.0, MIB);
        progress.take_back(7 * MIB);
        let text = progress.text(at(2.0));
        assert_eq!(text, "64 of 114 MiB, 3.5 MiB/s, 0:15 left");
        // More than was expected is not shown.
        progress.spare(999 * MIB);
        assert_eq!(progress.text(at(2.0)), "114 of 114 MiB, 3.5 MiB/s");
    }

    #[test]
    fn times_read_as_on_a_clock() {
        for (seconds, text) in [(0, "0:00"), (42, "0:42"), (725, "12:05"), (3723, "1:02:03")] {
            assert_eq!(clock_text(Duration::from_secs(seconds)), text);
        }
    }
}
