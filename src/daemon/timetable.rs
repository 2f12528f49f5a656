//! When passes start by this configuration: for the loop, and as `ferrybox schedule` prints it.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::config::{Config, DownloadInterval};
use crate::core::decide::Mode;
use crate::core::schedule::Schedule;
use crate::core::schedule::scheduler::{Due, Schedules};
use crate::io::time_zone::time_zone;
use crate::timestamp::{full_text, near_text};

/// Runs that are shown.
const SHOWN: usize = 10;

/// The schedules of this gateway. In a one-way mode the one of the other way means nothing.
pub fn schedules(config: &Config) -> Schedules {
    let section = &config.schedule;
    let up = Some(section.upload_interval.clone());
    let down = match &section.download_interval {
        DownloadInterval::At(schedule) => Some(schedule.clone()),
        DownloadInterval::Push => None,
    };
    Schedules {
        up: up.filter(|_| config.sync.mode != Mode::DropboxToLocal),
        down: down.filter(|_| config.sync.mode != Mode::LocalToDropbox),
        zone: time_zone(),
    }
}

/// Whether Dropbox is asked to tell of changes.
pub fn is_pushed(config: &Config) -> bool {
    config.sync.mode != Mode::LocalToDropbox
        && config.schedule.download_interval == DownloadInterval::Push
}

/// Whether changes in the content dir wake a pass.
pub fn is_watched(config: &Config) -> bool {
    config.sync.mode != Mode::DropboxToLocal && config.schedule.watch
}

/// A start of a pass, for programs.
#[derive(Debug, Serialize)]
pub struct Start {
    /// When, RFC 3339 in UTC.
    at: String,
    /// It sends.
    up: bool,
    /// It brings down.
    down: bool,
}

/// The next starts after `now`, for programs.
pub fn next_starts(config: &Config, now: Timestamp) -> Vec<Start> {
    let starts = starts_after(&schedules(config), now).into_iter();
    let start = |(at, due): (Timestamp, Due)| Start {
        at: at.to_string(),
        up: due.up,
        down: due.down,
    };
    starts.map(start).collect()
}

/// Some starts after `now`, and the next of a kind that is not among them.
fn starts_after(schedules: &Schedules, now: Timestamp) -> Vec<(Timestamp, Due)> {
    let next = |(after, _): &(Timestamp, Due)| schedules.next_after(*after);
    let mut runs: Vec<_> = std::iter::successors(schedules.next_after(now), next)
        .take(SHOWN)
        .collect();
    // Beyond them, the next of a kind that is not among them.
    let other = Schedules {
        up: schedules
            .up
            .clone()
            .filter(|_| !runs.iter().any(|(_, due)| due.up)),
        down: schedules
            .down
            .clone()
            .filter(|_| !runs.iter().any(|(_, due)| due.down)),
        zone: schedules.zone.clone(),
    };
    let last = runs.last().map_or(now, |(at, _)| *at);
    if let Some((at, _)) = other.next_after(last) {
        let just_before = at - SignedDuration::from_secs(1);
        runs.extend(schedules.next_after(just_before));
    }
    runs
}

/// The next start after `now`, for people; empty if the schedule has none.
pub fn next_run(config: &Config, now: Timestamp) -> String {
    let schedules = schedules(config);
    let next = schedules.next_after(now);
    next.map_or_else(String::new, |(at, _)| full_text(at, &schedules.zone))
}

/// The next start after `now` each way.
fn next_each_way(schedules: &Schedules, now: Timestamp) -> Vec<(Timestamp, &'static str)> {
    let next = |schedule: &Option<Schedule>| schedule.as_ref()?.next_after(now, &schedules.zone);
    match (next(&schedules.up), next(&schedules.down)) {
        (Some(up), Some(down)) if up == down => vec![(up, "both ways")],
        (up, down) => {
            let starts = [down.map(|at| (at, "down")), up.map(|at| (at, "up"))];
            starts.into_iter().flatten().collect()
        }
    }
}

/// The same in lines, the first to come first, and what else starts a pass.
pub fn next_starts_text(config: &Config, now: Timestamp) -> String {
    let schedules = schedules(config);
    let mut starts = next_each_way(&schedules, now);
    starts.sort();
    let line =
        |(at, what): &(Timestamp, &str)| format!("{} ({what})", full_text(*at, &schedules.zone));
    let mut lines: Vec<_> = starts.iter().map(line).collect();
    add_other_starts(config, &mut lines);
    lines.join("\n")
}

/// Adds what starts a pass beside the schedule.
fn add_other_starts(config: &Config, lines: &mut Vec<String>) {
    if is_pushed(config) {
        lines.push("and down as soon as Dropbox tells of a change".to_owned());
    }
    if is_watched(config) {
        let seconds = config.schedule.settle_s;
        lines.push(format!(
            "and up {seconds} s after the last change in {}",
            config.sync.content_dir.display()
        ));
    }
}

/// When the next passes are, in one line: the next each way, and before them one that is made
/// `again` for what was left.
pub fn next_passes(schedules: &Schedules, now: Timestamp, again: Option<Timestamp>) -> String {
    let mut starts = next_each_way(schedules, now);
    starts.extend(
        again
            .filter(|again| starts.iter().all(|(at, _)| again < at))
            .map(|at| (at, "again")),
    );
    starts.sort();
    let text = |(at, what): &(Timestamp, &str)| {
        let at = near_text(*at, now, &schedules.zone);
        format!("{at} ({what})")
    };
    match starts.is_empty() {
        true => "the schedule starts no further pass".to_owned(),
        false => {
            let starts: Vec<_> = starts.iter().map(text).collect();
            format!("next pass at {}", starts.join(", "))
        }
    }
}

/// The next runs after `now`, one line each, and what else starts one.
pub fn next_runs(config: &Config, now: Timestamp) -> String {
    let schedules = schedules(config);
    let line = |(at, due)| {
        let what = match due {
            Due::BOTH => "both ways",
            Due::UP => "up",
            _ => "down",
        };
        format!("{}  {what}", full_text(at, &schedules.zone))
    };
    let starts = starts_after(&schedules, now).into_iter();
    let mut lines: Vec<String> = starts.map(line).collect();
    if lines.is_empty() {
        lines.push("the schedule starts no pass after the one at the start".to_owned());
    }
    add_other_starts(config, &mut lines);
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::core::schedule::parse;

    #[test]
    fn one_line_says_when_the_next_passes_are() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let of = |up: &str, down: &str| Schedules {
            up: parse(up).ok(),
            down: parse(down).ok(),
            zone: zone.clone(),
        };
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let says = |schedules: &Schedules, again: Option<&str>| {
            let again = again.map(|at| at.parse().unwrap());
            next_passes(schedules, now, again)
        };
        let both = of("0 0 2 * * ?", "30 0/15 * * * ?");
        let text = "next pass at 13:00:30 (down), 02:00 (up)";
        assert_eq!(says(&both, None), text);
        // The one that is due first is none of its own.
        assert_eq!(says(&both, Some("2026-11-21T12:00:30Z")), text);
        let text = "next pass at 13:00:10 (again), 13:00:30 (down), 02:00 (up)";
        assert_eq!(says(&both, Some("2026-11-21T12:00:10Z")), text);
        let same = of("0 0 2 * * ?", "0 0 2 * * ?");
        assert_eq!(says(&same, None), "next pass at 02:00 (both ways)");
        let later = of("0 0 0 1 1 ? 2099", "nonsense");
        assert_eq!(says(&later, None), "next pass at 2099-01-01 00:00:00 (up)");
        let none = of("nonsense", "nonsense");
        assert_eq!(says(&none, None), "the schedule starts no further pass");
    }
}
