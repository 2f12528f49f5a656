//! `status`: whether the backup is alive and complete, as far as this machine knows. It takes no
//! lock, changes nothing, and asks Dropbox only where that is asked for.

pub mod page;

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::commands::authentication;
use crate::commands::online::{Online, online};
use crate::commands::past::{done_text, record};
use crate::config::Config;
use crate::core::decide::Mode;
use crate::core::invocation::Invocation;
use crate::engine::index_at_hand;
use crate::engine::pass_record::{Failing, PassEnd, PassRecord, ProblemNote};
use crate::error::{ExitCode, Result};
use crate::index::{Index, Refusal, due_totals};
use crate::io::dirs;
use crate::io::time_zone::time_zone;
use crate::report::{Counts, HaltNote, Skipped, counted, grouped, printable, size_text};
use crate::timestamp::full_text;

/// LIMIT: problems and refusals that are given to a program.
const GIVEN_MAX: usize = 200;

/// So much a clock may be put back without a success being of no use, in seconds.
const CLOCK_SLACK_S: i64 = 3600;

/// LIMIT: problems and refusals that are shown to people.
const SHOWN_MAX: usize = 20;

/// All that is known.
#[derive(Debug, Serialize)]
pub struct PairStatus {
    /// The file.
    config: String,
    /// Its stem, by which a pair is called.
    pair: String,
    content_dir: String,
    remote_root: String,
    mode: &'static str,
    account: String,
    state_dir: String,
    /// What the command ends with.
    exit_code: u8,
    last_success: Option<String>,
    last_pass: Option<LastPass>,
    pending: Option<ToCome>,
    problem_count: u64,
    problems: Vec<ProblemSince>,
    halts: Vec<HaltNote>,
    refusals: Vec<RefusalSince>,
    failing: Option<FailingSince>,
    /// The next starts of `ferrybox run`.
    next: Value,
    /// What Dropbox says, where it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    online: Option<Online>,
    /// Why nothing is known of a pass.
    #[serde(skip)]
    unknown: Option<&'static str>,
    /// The last pass that did something.
    #[serde(skip)]
    last_change: Option<LastPass>,
    #[serde(skip)]
    success_s: Option<i64>,
    #[serde(skip)]
    exit: ExitCode,
    #[serde(skip)]
    is_signed_in: bool,
    /// For commands that can be pasted.
    #[serde(skip)]
    invocation: Invocation,
}

/// The last pass.
#[derive(Debug, Serialize)]
pub struct LastPass {
    started: String,
    seconds: Option<f64>,
    exit_code: Option<u8>,
    error: Option<ErrorLine>,
    counts: Counts,
    skipped: Skipped,
    bytes_up: u64,
    bytes_down: u64,
}

#[derive(Debug, Serialize)]
struct ErrorLine {
    code: String,
    text: String,
}

/// What is to come down.
#[derive(Debug, Serialize)]
pub struct ToCome {
    files: u64,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct ProblemSince {
    path: String,
    code: String,
    text: String,
    since: String,
}

#[derive(Debug, Serialize)]
struct RefusalSince {
    path: String,
    text: String,
    since: String,
    next: Option<String>,
}

#[derive(Debug, Serialize)]
struct FailingSince {
    code: String,
    text: String,
    since: String,
    passes: u64,
}

/// What `status` is asked.
#[derive(Clone, Debug, Default)]
pub struct StatusArgs {
    /// Older than this the last success is too old.
    pub max_age: Option<Duration>,
    /// Dropbox is asked, too.
    pub online: bool,
    /// The page goes to this file, or to stdout for `-`.
    pub html: Option<PathBuf>,
}

fn text_of(at: i64) -> String {
    Timestamp::from_second(at).map_or_else(|_| String::new(), |at| at.to_string())
}

fn local(at: i64) -> String {
    let at = Timestamp::from_second(at).unwrap_or_default();
    full_text(at, &time_zone())
}

impl PairStatus {
    /// Gathers it; `next` are the next starts of `ferrybox run`.
    ///
    /// # Errors
    /// What the index says, or that nobody can tell where it is.
    pub fn gather(config: &Config, args: &StatusArgs, next: Value) -> Result<PairStatus> {
        let state_dir = dirs::state_dir(config)?;
        let index = index_at_hand(&state_dir)?;
        let record = record(index.as_ref(), &state_dir)?;
        let unknown = match (&index, &record) {
            (_, Some(_)) => None,
            (None, None) => Some("no run has been made yet"),
            (Some(_), None) => Some("no run since this machine was started"),
        };
        let record = record.unwrap_or_default();
        let mut status = PairStatus::of_record(config, args, index.as_ref(), &record)?;
        status.unknown = unknown;
        status.next = next;
        Ok(status)
    }

    /// What follows from what passes have left.
    fn of_record(
        config: &Config,
        args: &StatusArgs,
        index: Option<&Index>,
        record: &PassRecord,
    ) -> Result<PairStatus> {
        let is_signed_in = authentication::is_signed_in(config);
        let online = args.online.then(|| online(config));
        let refusals = match index {
            Some(index) => index.refusals().first(GIVEN_MAX)?,
            None => Vec::new(),
        };
        let pending = match index {
            Some(index) if config.sync.mode != Mode::LocalToDropbox => {
                let due = due_totals(index)?;
                Some(ToCome {
                    files: due.entries,
                    bytes: due.bytes,
                })
            }
            _ => None,
        };
        let is_unreachable = online.as_ref().is_some_and(|online| online.error.is_some());
        let exit = match exit_code(record, args, config, Timestamp::now().as_second()) {
            _ if !is_signed_in => ExitCode::Authentication,
            ExitCode::Ok | ExitCode::SomeFiles | ExitCode::Failed if is_unreachable => {
                ExitCode::TryLater
            }
            exit => exit,
        };
        let stem = config.path.file_stem().unwrap_or_default();
        Ok(PairStatus {
            config: config.path.display().to_string(),
            pair: stem.to_string_lossy().into_owned(),
            content_dir: config.sync.content_dir.display().to_string(),
            remote_root: config.dropbox.remote_root.clone(),
            mode: config.sync.mode.name(),
            account: authentication::whose(config),
            state_dir: dirs::state_dir(config)?.display().to_string(),
            exit_code: exit as u8,
            exit,
            last_success: record.last_success.map(text_of),
            success_s: record.last_success,
            last_pass: record.last_pass.as_ref().map(last_pass),
            pending,
            problem_count: record.problem_count,
            problems: record.problems.iter().map(problem).collect(),
            halts: record.halts.clone(),
            refusals: refusals.iter().map(refusal).collect(),
            failing: record.failing.as_ref().map(failing),
            next: Value::Null,
            online,
            unknown: None,
            last_change: record.last_change.as_ref().map(last_pass),
            is_signed_in,
            invocation: config.invocation.clone(),
        })
    }

    /// What the command ends with.
    pub fn exit(&self) -> ExitCode {
        self.exit
    }

    /// For people; `next` is the next start, as it is shown.
    pub fn text(&self, next: &str) -> String {
        let mut lines = vec![
            self.verdict(),
            String::new(),
            format!("pair         {} ({})", self.pair, self.config),
            format!(
                "             {} <-> Dropbox {}/ ({})",
                self.content_dir, self.remote_root, self.mode
            ),
            format!("account      {}", self.account),
            format!("state        {}", self.state_dir),
        ];
        if let Some(at) = self.success_s {
            lines.push(format!("last success {}", local(at)));
        }
        if let Some(pass) = &self.last_pass {
            lines.push(format!("last run     {}", pass.line()));
            if let Some(left_out) = pass.skipped.text(0) {
                lines.push(format!("not synced   {left_out}"));
            }
        }
        if let Some(pending) = self.pending.as_ref().filter(|pending| pending.files > 0) {
            lines.push(format!(
                "to come      {} ({})",
                counted(pending.files, "file", "files"),
                size_text(pending.bytes)
            ));
        }
        if !next.is_empty() {
            lines.push(format!(
                "next         {next} by \"ferrybox run\"; cron and timers have their own times"
            ));
        }
        lines.extend(self.online.iter().flat_map(online_lines));
        self.add_troubles(&mut lines);
        lines.join("\n")
    }

    /// The one line that counts.
    fn verdict(&self) -> String {
        if !self.is_signed_in {
            let command = self.invocation.command("startAuthentication");
            return format!("not signed in; run: {command}");
        }
        if let Some(unknown) = self.unknown {
            return format!("unknown: {unknown}");
        }
        if let Some(failing) = &self.failing {
            let since = failing.since.parse::<Timestamp>().unwrap_or_default();
            return format!(
                "not in step since {}; the last run says: {}",
                full_text(since, &time_zone()),
                failing.text
            );
        }
        match self.problem_count {
            0 => "in step".to_owned(),
            count => format!(
                "in step, but for {}",
                counted(count, "path with a problem", "paths with problems")
            ),
        }
    }

    /// What can be said to a halt, and the command that does.
    fn answers(&self, halt: &HaltNote) -> [(&'static str, String); 3] {
        [
            ("which they are", "sync -n".to_owned()),
            ("keeps them", format!("sync --keep {}", halt.id)),
            ("deletes them", format!("sync --approve {}", halt.id)),
        ]
        .map(|(what, words)| (what, self.invocation.command(&words)))
    }

    /// What is put off or refused, but for what is among the problems.
    fn put_off(&self) -> impl Iterator<Item = &RefusalSince> {
        let are_told = |path: &str| self.problems.iter().any(|problem| problem.path == path);
        self.refusals.iter().filter(move |one| !are_told(&one.path))
    }

    fn add_troubles(&self, lines: &mut Vec<String>) {
        for halt in &self.halts {
            lines.push(format!("\nwaits for you: {}", would_delete(halt)));
            for (what, command) in self.answers(halt) {
                lines.push(format!("  {what:<15} {command}"));
            }
        }
        if !self.problems.is_empty() {
            lines.push("\nproblems".to_owned());
            for problem in self.problems.iter().take(SHOWN_MAX) {
                let since = problem.since.parse::<Timestamp>().unwrap_or_default();
                lines.push(format!(
                    "  {}: {} (since {})",
                    printable(&problem.path),
                    problem.text,
                    full_text(since, &time_zone())
                ));
            }
            let more = self.problem_count.saturating_sub(SHOWN_MAX as u64);
            if more > 0 {
                lines.push(format!("  ... and {} more", grouped(more)));
            }
        }
        let refused: Vec<_> = self.put_off().take(SHOWN_MAX).collect();
        if !refused.is_empty() {
            lines.push("\nput off or refused before".to_owned());
            let line = |one: &&RefusalSince| format!("  {}: {}", printable(&one.path), one.text);
            lines.extend(refused.iter().map(line));
        }
    }
}

impl LastPass {
    fn line(&self) -> String {
        let at = self.started.parse::<Timestamp>().unwrap_or_default();
        let done = done_text(&self.counts, self.error.is_some());
        let took = format!("{:.1} s", self.seconds.unwrap_or_default());
        let zone = time_zone();
        match &self.error {
            None => {
                let code = self.exit_code.filter(|code| *code != 0);
                let code = code.map_or_else(String::new, |code| format!(", exit code {code}"));
                format!("{}: {done}, {took}{code}", full_text(at, &zone))
            }
            Some(error) => format!(
                "{}: exit code {}, {}",
                full_text(at, &zone),
                self.exit_code.unwrap_or_default(),
                error.text
            ),
        }
    }
}

/// What a halt keeps from being done.
fn would_delete(halt: &HaltNote) -> String {
    let place = if halt.direction == "up" {
        "in Dropbox"
    } else {
        "here"
    };
    let what = counted(halt.count, "file or folder", "files and folders");
    format!("{what} would be deleted {place}")
}

fn online_lines(online: &Online) -> Vec<String> {
    if let Some(error) = &online.error {
        return vec![format!("Dropbox      cannot be asked: {error}")];
    }
    let mut lines = Vec::new();
    if let Some(account) = &online.account {
        lines.push(format!("Dropbox      answers for {account}"));
    }
    if let (Some(used), Some(allocated)) = (online.used, online.allocated) {
        lines.push(format!(
            "quota        {} of {} used",
            size_text(used),
            size_text(allocated)
        ));
    }
    if let Some(scopes) = &online.scopes {
        lines.push(format!("permissions  {}", scopes.text()));
    }
    lines
}

fn last_pass(end: &PassEnd) -> LastPass {
    LastPass {
        started: end.started.clone(),
        seconds: end.seconds,
        exit_code: end.exit_code,
        error: end.error.as_ref().map(|(code, text)| ErrorLine {
            code: code.clone(),
            text: text.clone(),
        }),
        counts: end.counts,
        skipped: end.skipped,
        bytes_up: end.bytes_up,
        bytes_down: end.bytes_down,
    }
}

fn problem((path, note): (&String, &ProblemNote)) -> ProblemSince {
    ProblemSince {
        path: path.clone(),
        code: note.code.clone(),
        text: note.text.clone(),
        since: text_of(note.since),
    }
}

fn failing(failing: &Failing) -> FailingSince {
    FailingSince {
        code: failing.code.clone(),
        text: failing.text.clone(),
        since: text_of(failing.since),
        passes: failing.passes,
    }
}

fn refusal(refusal: &Refusal) -> RefusalSince {
    RefusalSince {
        path: format!("/{}", refusal.key.path()),
        text: refusal.text.clone(),
        since: text_of(refusal.since),
        next: (refusal.next > 0).then(|| text_of(refusal.next)),
    }
}

/// The first that applies: what the last pass ended with, but for an outage, which is told by the
/// age of the last success; that there was none, or that it is too old; problems.
fn exit_code(record: &PassRecord, args: &StatusArgs, config: &Config, now: i64) -> ExitCode {
    let last = record.last_pass.as_ref().and_then(|pass| pass.exit_code);
    for code in [
        ExitCode::Config,
        ExitCode::Authentication,
        ExitCode::Halted,
        ExitCode::Full,
    ] {
        if last == Some(code as u8) {
            return code;
        }
    }
    let max_age = args
        .max_age
        .map(|age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
    let is_stale = match (record.last_success, max_age) {
        (None, _) => true,
        // One in the future is of a clock that was ahead.
        (Some(at), Some(max_age)) => now - at > max_age || at > now + CLOCK_SLACK_S,
        (Some(_), None) => false,
    };
    let after = i64::try_from(config.notify.after_s).unwrap_or(i64::MAX);
    let lasts = |failing: &Failing| now - failing.since >= after;
    let is_out =
        last == Some(ExitCode::TryLater as u8) && record.failing.as_ref().is_some_and(lasts);
    match () {
        () if is_stale || is_out => ExitCode::TryLater,
        () if last == Some(ExitCode::Failed as u8) => ExitCode::Failed,
        () if record.problem_count > 0 => ExitCode::SomeFiles,
        () => ExitCode::Ok,
    }
}
