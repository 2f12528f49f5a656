//! `schedule`: when `run` would start the next passes, and what they do.

use jiff::Timestamp;

use crate::config::{Config, DownloadInterval};
use crate::core::agenda::{Due, Times};
use crate::core::decide::Mode;
use crate::io::zone::time_zone;
use crate::time::full_text;

/// Runs that are shown.
const SHOWN: usize = 10;

/// When what fires on this gateway. In a one-way mode the times of the other way mean nothing.
pub fn times(config: &Config) -> Times {
    let schedule = &config.schedule;
    let up = Some(schedule.upload_interval.clone());
    let down = match &schedule.download_interval {
        DownloadInterval::At(quartz) => Some(quartz.clone()),
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
    let mut lines = Vec::new();
    let mut shown = Due::default();
    let mut after = now;
    // Beyond the first ten, the next of each kind.
    while let Some((at, due)) = times.next_after(after) {
        after = at;
        let is_new = due.up && !shown.up || due.down && !shown.down;
        if lines.len() >= SHOWN && !is_new {
            if shown == Due::BOTH || lines.len() > SHOWN {
                break;
            }
            continue;
        }
        shown.up |= due.up;
        shown.down |= due.down;
        let what = match due {
            Due::BOTH => "both ways",
            Due::UP => "up",
            _ => "down",
        };
        lines.push(format!("{}  {what}", full_text(at, &times.zone)));
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
