//! `schedule`: when `run` would start the next passes, and what they do.

use jiff::{SignedDuration, Timestamp};

use crate::config::{Config, DownloadInterval};
use crate::core::decide::Mode;
use crate::core::schedule::scheduler::{Due, Times};
use crate::io::time_zone::time_zone;
use crate::time::full_text;

/// Runs that are shown.
const SHOWN: usize = 10;

/// When what fires on this gateway. In a one-way mode the times of the other way mean nothing.
pub fn times(config: &Config) -> Times {
    let section = &config.schedule;
    let up = Some(section.upload_interval.clone());
    let down = match &section.download_interval {
        DownloadInterval::At(schedule) => Some(schedule.clone()),
        DownloadInterval::Push => None,
    };
    Times {
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

/// The next runs after `now`, one line each, and what else starts one.
pub fn next_runs(config: &Config, now: Timestamp) -> String {
    let times = times(config);
    let line = |(at, due)| {
        let what = match due {
            Due::BOTH => "both ways",
            Due::UP => "up",
            _ => "down",
        };
        format!("{}  {what}", full_text(at, &times.zone))
    };
    let next = |(after, _): &(Timestamp, Due)| times.next_after(*after);
    let runs: Vec<_> = std::iter::successors(times.next_after(now), next)
        .take(SHOWN)
        .collect();
    let mut lines: Vec<String> = runs.iter().copied().map(line).collect();
    // Beyond them, the next of a kind that is not among them.
    let other = Times {
        up: times
            .up
            .clone()
            .filter(|_| !runs.iter().any(|(_, due)| due.up)),
        down: times
            .down
            .clone()
            .filter(|_| !runs.iter().any(|(_, due)| due.down)),
        zone: times.zone.clone(),
    };
    let last = runs.last().map_or(now, |(at, _)| *at);
    if let Some((at, _)) = other.next_after(last) {
        let just_before = at - SignedDuration::from_secs(1);
        lines.extend(times.next_after(just_before).map(line));
    }
    if lines.is_empty() {
        lines.push("the schedule starts no pass after the one at the start".to_owned());
    }
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
    lines.join("\n")
}
