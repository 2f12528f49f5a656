//! `[notify]`: who else is told that passes fail, or work again: a service that waits for pings, a
//! webhook, a file for Prometheus. None of it can fail a pass, and no secret is in it.

use std::path::Path;

use jiff::Timestamp;
use serde_json::json;

use crate::commands::sync::first_sentence;
use crate::config::{Config, Secret};
use crate::engine::pass_record::{Alarm, PassRecord};
use crate::error::{Error, ExitCode, Result};
use crate::io::disk::Access;
use crate::io::post_notice;
use crate::io::public_file::PublicFile;
use crate::report::{Report, counted};

/// LIMIT: letters of a text that is sent along.
const TEXT_MAX: usize = 500;

/// What the file for Prometheus begins with.
const METRICS_HEAD: &str = "# HELP ferrybox_";

/// What one who is told has to know.
struct Notice<'t> {
    is_well: bool,
    code: &'t str,
    text: String,
}

/// A pass begins. That nobody could be told is said as it ends.
pub fn tell_begin(config: &Config) {
    if let Some(url) = &config.notify.ping_url
        && let Err(fault) = ping(config, url, "/start", "")
    {
        log::debug!("{fault}");
    }
}

/// A pass has ended so, and `record` is what it leaves. Returns what could not be told, and why.
pub fn tell_end(
    config: &Config,
    record: &mut PassRecord,
    report: &Report,
    result: &Result<ExitCode>,
    now: Timestamp,
) -> Vec<String> {
    let mut faults = Vec::new();
    let notify = &config.notify;
    if let Some(told) = told_of(config, record, report, result, now) {
        if let Some(url) = &notify.ping_url {
            let end = if told.is_well { "" } else { "/fail" };
            faults.extend(ping(config, url, end, &told.text).err());
        }
        let before = record.alarm.take();
        let is_news = match (&before, told.is_well) {
            (None, is_well) => !is_well || !record.has_told_state,
            (Some(_), true) => true,
            (Some(before), false) => before.code != told.code,
        };
        let since = match (&before, told.is_well) {
            (Some(before), false) => before.since,
            _ => now.as_second(),
        };
        if !told.is_well {
            record.alarm = Some(Alarm {
                code: told.code.to_owned(),
                since,
            });
        }
        if let Some(url) = notify.webhook_url.as_ref().filter(|_| is_news) {
            let sent = call(config, url, &told, since);
            match &sent {
                Ok(()) => record.has_told_state = true,
                // It is news until it has been told.
                Err(_) => record.alarm = before,
            }
            faults.extend(sent.err());
        }
    }
    if let Some(file) = &notify.metrics_file {
        let written = write_metrics(file, &metrics(config, record));
        let fault = written.map_err(|error| {
            format!(
                "notify.metrics_file: cannot write {}: {error}",
                file.display()
            )
        });
        faults.extend(fault.err());
    }
    faults
}

/// What is told of a pass; nothing where another one is at work, or an outage has just begun.
fn told_of<'t>(
    config: &Config,
    record: &PassRecord,
    report: &Report,
    result: &Result<ExitCode>,
    now: Timestamp,
) -> Option<Notice<'t>> {
    let after = i64::try_from(config.notify.after_s).unwrap_or(i64::MAX);
    let failing = |code: &'static str, text: String| {
        let text = text.chars().take(TEXT_MAX).collect();
        Some(Notice {
            is_well: false,
            code,
            text,
        })
    };
    let problems = report.problem_count().max(record.problem_count);
    match result {
        // The other half of what is done lasts.
        Ok(_) if record.failing.is_some() || !record.halts.is_empty() => None,
        Ok(_) if problems > 0 => failing(
            "some_files",
            counted(problems, "path has a problem", "paths have problems"),
        ),
        Ok(_) => Some(Notice {
            is_well: true,
            code: "ok",
            text: "in step".to_owned(),
        }),
        Err(Error::Locked(_) | Error::Usage(_) | Error::Stopped(_)) => None,
        Err(error @ Error::TryLater(_)) => {
            let failing_now = record.failing.as_ref();
            let since = failing_now.map(|failing| failing.since);
            let lasts = since.is_some_and(|since| now.as_second() - since >= after);
            lasts
                .then(|| failing(error.code(), first_sentence(error)))
                .flatten()
        }
        Err(error) => failing(error.code(), first_sentence(error)),
    }
}

fn ping(config: &Config, url: &Secret, end: &str, text: &str) -> std::result::Result<(), String> {
    let (path, query) = match url.expose().split_once('?') {
        Some((path, query)) => (path, format!("?{query}")),
        None => (url.expose(), String::new()),
    };
    let url = format!("{}{end}{query}", path.trim_end_matches('/'));
    post_notice(config, &url, "text/plain; charset=utf-8", text.as_bytes())
        .map_err(|error| format!("notify.ping_url: nobody could be told: {error}"))
}

fn call(
    config: &Config,
    url: &Secret,
    told: &Notice<'_>,
    since: i64,
) -> std::result::Result<(), String> {
    let since = Timestamp::from_second(since).unwrap_or_default();
    let stem = config.path.file_stem().unwrap_or_default();
    let body = json!({
        "state": if told.is_well { "ok" } else { "failing" },
        "code": told.code,
        "since": since.to_string(),
        "text": told.text,
        "pair": stem.to_string_lossy(),
        "version": env!("CARGO_PKG_VERSION"),
    });
    post_notice(
        config,
        url.expose(),
        "application/json",
        body.to_string().as_bytes(),
    )
    .map_err(|error| format!("notify.webhook_url: nobody could be told: {error}"))
}

/// The text format of Prometheus, as it grows.
struct Metrics {
    /// The name of the pair, as a label's value.
    pair: String,
    text: String,
}

impl Metrics {
    fn new(config: &Config) -> Metrics {
        let stem = config.path.file_stem().unwrap_or_default();
        let escaped = |c| match c {
            '"' | '\\' => vec!['\\', c],
            '\n' => vec!['\\', 'n'],
            c => vec![c],
        };
        Metrics {
            pair: stem.to_string_lossy().chars().flat_map(escaped).collect(),
            text: String::new(),
        }
    }

    /// Adds a value; `label` tells it from others of the same name.
    fn add(&mut self, name: &str, help: &str, label: Option<&str>, value: f64) {
        let (pair, label) = (&self.pair, label.unwrap_or_default());
        if !self.text.contains(&format!("# HELP {name} ")) {
            let head = format!("# HELP {name} {help}\n# TYPE {name} gauge\n");
            self.text.push_str(&head);
        }
        let line = format!("{name}{{pair=\"{pair}\"{label}}} {value}\n");
        self.text.push_str(&line);
    }
}

/// What a record says, for Prometheus.
fn metrics(config: &Config, record: &PassRecord) -> String {
    let mut metrics = Metrics::new(config);
    metrics.add(
        "ferrybox_last_success_timestamp_seconds",
        "When the last run came to its end; 0 for never.",
        None,
        record.last_success.unwrap_or(0) as f64,
    );
    let problems = record.problem_count as f64;
    metrics.add("ferrybox_problems", "Paths with problems.", None, problems);
    let Some(pass) = &record.last_pass else {
        return metrics.text;
    };
    let code = f64::from(pass.exit_code.unwrap_or_default());
    let help = "What the last run ended with.";
    metrics.add("ferrybox_exit_code", help, None, code);
    let took = pass.seconds.unwrap_or_default();
    let help = "How long the last run took.";
    metrics.add("ferrybox_pass_seconds", help, None, took);
    let help = "Files that the last run transferred.";
    let files = [
        ("up", pass.counts.uploaded),
        ("down", pass.counts.downloaded),
    ];
    for (way, count) in files {
        let label = format!(",direction=\"{way}\"");
        metrics.add("ferrybox_pass_files", help, Some(&label), count as f64);
    }
    let help = "Bytes of contents that the last run transferred.";
    for (way, bytes) in [("up", pass.bytes_up), ("down", pass.bytes_down)] {
        let label = format!(",direction=\"{way}\"");
        metrics.add("ferrybox_pass_bytes", help, Some(&label), bytes as f64);
    }
    metrics.text
}

/// Replaces the file, for everybody to read.
fn write_metrics(file: &Path, text: &str) -> std::io::Result<()> {
    PublicFile::open(file, METRICS_HEAD)?.replace(Access::Public, text)
}
