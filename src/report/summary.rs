//! What a pass did, in one line for people: counts, bytes, and how long it took.

use super::{Live, Report, ReportKind, Traffic};
use crate::words::{counted, size_text};

impl Report {
    /// One line that sums up the pass; `None` if there is nothing to say.
    pub fn summary(&self) -> Option<String> {
        let counts = self.counts.get();
        let problems = self.problem_count();
        let (up, down, travelled) = self.said_of_bytes();
        let mut parts = Vec::new();
        let left = counts.deferred.saturating_sub(self.paced());
        let others = [
            (counts.adopted, "already equal", "already equal"),
            (left, "left for the next run", "left for the next run"),
            (self.paced(), "waits for its pace", "wait for their pace"),
            (problems, "with a problem", "with problems"),
        ];
        for (place, (count, one, many)) in counts.words().into_iter().chain(others).enumerate() {
            let more = match place {
                0 => up.as_deref(),
                1 => down.as_deref(),
                _ => None,
            };
            if count > 0 {
                parts.push(counted(count, one, many) + more.unwrap_or_default());
            }
        }
        parts.extend(travelled);
        if counts.changes() == 0 && problems == 0 && parts.is_empty() {
            return None;
        }
        Some(parts.join(", "))
    }

    /// What is said of the bytes that travelled: behind the count of each direction, and at the
    /// end. Who watches is told how long it took as well.
    fn said_of_bytes(&self) -> (Option<String>, Option<String>, Vec<String>) {
        let (counts, Traffic { up, down }) = (self.counts.get(), self.bytes.get());
        let took = self.live.as_ref().map(Live::took);
        let took = took.filter(|_| self.kind == ReportKind::Changes);
        let mut at_end: Vec<String> = Vec::new();
        let mut of_way = |count: u64, bytes: u64, is_alone: bool, done: &str| {
            let size = size_text(bytes);
            match &took {
                _ if bytes == 0 => return None,
                Some(took) if count > 0 && is_alone => return Some(format!(" ({size} in {took})")),
                Some(_) if count > 0 => return Some(format!(" ({size})")),
                _ => at_end.push(format!("{size} {done}")),
            }
            None
        };
        let said_up = of_way(counts.uploaded, up, down == 0, "sent");
        let said_down = of_way(counts.downloaded, down, up == 0, "received");
        if let Some(took) = took {
            match at_end.last_mut() {
                _ if up > 0 && down > 0 => at_end.push(format!("all in {took}")),
                Some(last) => last.push_str(&format!(" in {took}")),
                None => {}
            }
        }
        (said_up, said_down, at_end)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use super::super::{Change, Screen, Trouble};
    use super::*;

    /// B19.
    #[test]
    fn b19_one_thing_is_told_as_one() {
        let report = Report::new(ReportKind::Changes);
        report.changed(Change::MakeLocalFolder, "/a", "");
        report.changed(Change::Conflict, "/b", "");
        report.problem("/c", Trouble::Other, "x");
        let one = "1 folder made, 1 conflict, 1 with a problem";
        assert_eq!(report.summary().as_deref(), Some(one));
        report.changed(Change::MakeRemoteFolder, "/d", "");
        report.changed(Change::Conflict, "/e", "");
        report.problem("/f", Trouble::Other, "x");
        let two = "2 folders made, 2 conflicts, 2 with problems";
        assert_eq!(report.summary().as_deref(), Some(two));
    }

    /// A terminal on which nothing can be drawn; all has taken 70 seconds.
    #[derive(Default)]
    struct Dumb(Cell<u64>);

    impl Screen for Dumb {
        fn columns(&self) -> usize {
            0
        }
        fn elapsed(&self) -> Duration {
            Duration::from_secs(self.0.replace(70))
        }
        fn write(&self, text: &str) {
            panic!("{text:?}");
        }
    }

    #[test]
    fn who_watches_is_told_how_long_it_took() {
        let summary = |is_watched: bool, up: u64, down: u64, sent: bool| {
            let mut report = Report::new(ReportKind::Changes);
            if is_watched {
                report = report.watched(Box::<Dumb>::default());
            }
            if sent {
                report.changed(Change::Upload, "/a", "");
            }
            if down > 0 {
                report.changed(Change::Download, "/b", "");
            }
            report.travelled(up, down);
            report.summary().unwrap_or_default()
        };
        assert_eq!(summary(false, 5, 0, true), "1 uploaded, 5 bytes sent");
        assert_eq!(summary(true, 5, 0, true), "1 uploaded (5 bytes in 1:10)");
        assert_eq!(summary(true, 0, 5, false), "1 downloaded (5 bytes in 1:10)");
        assert_eq!(summary(true, 5, 0, false), "5 bytes sent in 1:10");
        let both = "1 uploaded (5 bytes), 1 downloaded (1 byte), all in 1:10";
        assert_eq!(summary(true, 5, 1, true), both);
        assert_eq!(summary(true, 0, 0, true), "1 uploaded");
    }
}
