//! What is told of a pass, and what was told already: without somebody who watches, a problem, an
//! outage or a lost sign-in is told once, once a day while it lasts, and when it is over.
//!
//! The exit code never depends on it.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::commands::alerts;
use crate::commands::sync::failure;
use crate::config::Config;
use crate::engine::pass_record::{
    Failing, PROBLEMS_MAX, PassEnd, PassRecord, ProblemNote, is_due_again, load, seconds, store,
};
use crate::error::{Error, ExitCode, Result};
use crate::io::dirs;
use crate::io::disk::Disk;
use crate::io::time_zone::time_zone;
use crate::logging::NOTICE;
use crate::report::{Report, ToldBefore, counted, grouped, printable};
use crate::timestamp::full_text;

/// LIMIT: paths that are named when they are no longer a problem.
const OVER_SAID: usize = 20;

/// What passes of this pair have told, and where that is kept.
pub struct Telling {
    record: PassRecord,
    kept_in: Option<(Box<dyn Disk>, PathBuf)>,
    /// It is a pass that does something, and leaves how it ended.
    is_kept: bool,
    /// Nobody watches: what was told lately is not told again.
    is_terse: bool,
    outage_after_s: i64,
}

/// What is to be told of a pass that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What ended it.
    pub error: bool,
    /// How much it did.
    pub summary: bool,
}

impl Telling {
    /// What the passes before have told. A dry run asks for everything, and leaves nothing.
    pub fn begin(config: &Config, is_terse: bool, is_kept: bool) -> Telling {
        let kept_in = || -> Option<(Box<dyn Disk>, PathBuf)> {
            let state_dir = dirs::state_dir(config).ok()?;
            let content_dir = dirs::without_links(&config.sync.content_dir);
            let mut runtime_dirs = dirs::runtime_dirs().into_iter();
            // Nothing of ours is put into the content dir.
            if runtime_dirs.any(|dir| dirs::without_links(&dir) == content_dir) {
                return None;
            }
            Some((Box::new(dirs::open_runtime()?), state_dir))
        };
        let kept_in = if is_kept { kept_in() } else { None };
        let record = kept_in
            .as_ref()
            .and_then(|(runtime, state_dir)| load(&**runtime, state_dir));
        Telling {
            record: record.unwrap_or_default(),
            is_terse: is_terse && kept_in.is_some(),
            is_kept,
            kept_in,
            outage_after_s: i64::try_from(config.notify.after_s).unwrap_or(i64::MAX),
        }
    }

    /// Tells those of `[notify]` that a pass begins.
    pub fn tell_begin(&mut self, config: &Config, now: Timestamp) {
        if self.is_kept {
            for fault in alerts::tell_begin(config) {
                self.warn(&fault, now);
            }
        }
    }

    /// What a pass need not tell again.
    pub fn told(&self, now: Timestamp) -> ToldBefore {
        let (record, now) = (&self.record, seconds(now));
        if !self.is_terse {
            return ToldBefore::default();
        }
        let advice = record.advice.iter();
        let advice = advice.filter(|(_, told)| !is_due_again(Some(**told), now));
        let problems = match is_due_again(record.problems_told, now) {
            true => None,
            false => Some(record.problems.iter()),
        };
        ToldBefore {
            problems: problems
                .into_iter()
                .flatten()
                .map(|(path, note)| (path.clone(), note.text.clone()))
                .collect(),
            advice: advice.map(|(text, _)| text.clone()).collect(),
        }
    }

    /// Warns of something that stays as it is from pass to pass.
    pub fn warn(&mut self, text: &str, now: Timestamp) {
        let now = seconds(now);
        let told = self.record.advice.get(text).copied();
        match self.is_terse && !is_due_again(told, now) {
            true => log::debug!("{text}"),
            false => {
                log::warn!("{text}");
                self.record.advice.insert(text.to_owned(), now);
            }
        }
    }

    /// Takes over how a pass ended, keeps it for whoever asks, and says what is to be told of it.
    /// `is_whole`: it would have come across all problems there are.
    pub fn end(
        &mut self,
        config: &Config,
        report: &Report,
        result: &Result<ExitCode>,
        is_whole: bool,
        began: Timestamp,
    ) -> Verdict {
        let ended = Timestamp::now();
        let now = seconds(ended);
        self.note_advice(report, now);
        let verdict = match result {
            Ok(code) => self.note_end(report, *code, is_whole, now),
            Err(error) => self.note_error(report, error, now),
        };
        if matches!(
            result,
            Err(Error::Locked(_) | Error::Usage(_) | Error::Stopped(_))
        ) {
            // Another pass leaves what it finds; this one was none.
            return verdict;
        }
        let end = pass_end(report, result, began, ended);
        if end.history.is_some() {
            self.record.last_change = Some(end.clone());
        }
        self.record.last_pass = Some(end);
        if self.is_kept {
            for fault in alerts::tell_end(config, &mut self.record, report, result, ended) {
                self.warn(&fault, ended);
            }
        }
        if let Some((runtime, state_dir)) = &self.kept_in {
            store(&**runtime, state_dir, &self.record);
        }
        verdict
    }

    /// What is left for whoever asks.
    pub fn record(&self) -> &PassRecord {
        &self.record
    }

    fn note_advice(&mut self, report: &Report, now: i64) {
        let advice = &mut self.record.advice;
        for what in report.advised() {
            let told = advice.get(&what).copied();
            if is_due_again(told, now) || !self.is_terse {
                advice.insert(what, now);
            }
        }
        advice.retain(|_, told| !is_due_again(Some(*told), now));
    }

    fn note_end(&mut self, report: &Report, code: ExitCode, is_whole: bool, now: i64) -> Verdict {
        let record = &mut self.record;
        if let Some(failing) = record.failing.take()
            && failing.told.is_some()
            && self.is_terse
        {
            let since = Timestamp::from_second(failing.since).unwrap_or_default();
            log::warn!(
                target: NOTICE,
                "in step again, after {} that failed since {}",
                counted(failing.passes, "run", "runs"),
                full_text(since, &time_zone())
            );
        }
        record.halts = Vec::new();
        record.last_success = Some(now);
        if !is_whole {
            return Verdict {
                error: true,
                summary: true,
            };
        }
        let before = std::mem::take(&mut record.problems);
        for problem in report.problems().into_iter().take(PROBLEMS_MAX) {
            let known = before.get(&problem.path);
            let since = known.map_or(now, |known| known.since);
            let (code, text) = (problem.code.to_owned(), problem.text);
            let note = ProblemNote { code, text, since };
            record.problems.insert(problem.path, note);
        }
        record.problem_count = report.problem_count();
        if record.problem_count <= PROBLEMS_MAX as u64 {
            let is_over = |path: &&String| !record.problems.contains_key(*path);
            tell_over(before.keys().filter(is_over), self.is_terse);
        }
        let is_new = |(path, note): (&String, &ProblemNote)| {
            before.get(path).is_none_or(|known| known.text != note.text)
        };
        let has_news = record.problems.iter().any(is_new)
            || record.problem_count > record.problems.len() as u64;
        let is_reminder = record.problem_count > 0 && is_due_again(record.problems_told, now);
        if record.problem_count == 0 {
            record.problems_told = None;
        } else if is_reminder || !self.is_terse {
            record.problems_told = Some(now);
        }
        let has_conflicts = report.counts().conflicts > 0;
        Verdict {
            error: true,
            summary: !self.is_terse
                || has_news
                || is_reminder
                || has_conflicts
                || code == ExitCode::Ok,
        }
    }

    fn note_error(&mut self, report: &Report, error: &Error, now: i64) -> Verdict {
        let text = failure(error).text;
        let record = &mut self.record;
        let is_told = match error {
            // It is at work, and tells for itself.
            Error::Locked(_) => !self.is_terse,
            // What was typed is answered.
            Error::Usage(_) | Error::Stopped(_) => true,
            Error::Config(_)
            | Error::Authentication(_)
            | Error::Halt(_)
            | Error::TryLater(_)
            | Error::Full(_)
            | Error::Damaged(_)
            | Error::Failed(_) => {
                let before = record.failing.take();
                let before = before.filter(|before| before.code == error.code());
                let is_outage = matches!(error, Error::TryLater(_));
                let is_same = |known: &Failing| is_outage || known.text == text;
                let known = before.as_ref();
                let since = known.map_or(now, |known| known.since);
                let told = known.filter(|known| is_same(known)).and_then(|k| k.told);
                let lasts = !is_outage || now - since >= self.outage_after_s;
                let is_told = !self.is_terse || (lasts && is_due_again(told, now));
                record.failing = Some(Failing {
                    code: error.code().to_owned(),
                    text,
                    since,
                    passes: known.map_or(0, |known| known.passes) + 1,
                    told: if is_told { Some(now) } else { told },
                });
                is_told
            }
        };
        if matches!(error, Error::Halt(_)) {
            record.halts = report.halts();
        }
        Verdict {
            error: is_told,
            summary: is_told,
        }
    }
}

fn tell_over<'p>(paths: impl Iterator<Item = &'p String>, is_terse: bool) {
    let (mut said, mut more) = (0, 0);
    for path in paths.filter(|_| is_terse) {
        match said < OVER_SAID {
            true => {
                said += 1;
                log::warn!(target: NOTICE, "{}: no longer a problem", printable(path));
            }
            false => more += 1,
        }
    }
    if more > 0 {
        log::warn!(target: NOTICE, "... and {} more", grouped(more));
    }
}

fn pass_end(
    report: &Report,
    result: &Result<ExitCode>,
    began: Timestamp,
    ended: Timestamp,
) -> PassEnd {
    let exit = result.as_ref().map_or_else(Error::exit_code, |exit| *exit);
    let error = result.as_ref().err().map(failure);
    let bytes = report.bytes();
    PassEnd {
        started: began.to_string(),
        seconds: Some(ended.duration_since(began).as_secs_f64()),
        exit_code: Some(exit as u8),
        error: error.map(|error| (error.code.to_owned(), error.text)),
        counts: report.counts(),
        skipped: report.skipped(),
        bytes_up: bytes.up,
        bytes_down: bytes.down,
        history: report.history(),
    }
}
