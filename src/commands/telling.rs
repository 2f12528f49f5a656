//! What is told of a pass, and what was told already: without somebody who watches, a problem, an
//! outage or a lost sign-in is told once, once a day while it lasts, and when it is over.
//!
//! The exit code never depends on it.

use std::cell::Cell;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::commands::alerts;
use crate::commands::status::page;
use crate::commands::sync::first_sentence;
use crate::config::Config;
use crate::core::decide::Mode;
use crate::engine::context::Options;
use crate::engine::pass_record::{
    Failing, PROBLEMS_MAX, PassEnd, PassRecord, ProblemNote, is_due_again, load, store,
};
use crate::engine::runtime;
use crate::error::{Error, ExitCode, Result};
use crate::io::dirs::{self, RealDisks};
use crate::io::disk::Disk;
use crate::io::time_zone::time_zone;
use crate::logging::NOTICE;
use crate::report::{HaltNote, Report, ToldBefore, counted, grouped, printable};
use crate::timestamp::full_text;

/// What an outage is called: [`Error::TryLater`].
const OUTAGE: &str = "try_later";

/// LIMIT: paths that are named when they are no longer a problem.
const OVER_SAID: usize = 20;

/// What passes of this pair have told, and where that is kept.
pub struct Telling {
    record: PassRecord,
    kept_in: Option<(Box<dyn Disk>, PathBuf)>,
    /// It is a pass that does something, and leaves how it ended.
    is_kept: bool,
    /// That this pass begins is told.
    has_begun: Cell<bool>,
    /// What was told lately is not told again: nobody watches, or has seen it.
    is_terse: bool,
    /// An outage that has lasted so long is told.
    outage_after_s: i64,
    /// When the next passes are, one line each, where that is known.
    next: String,
}

/// Which ways a pass went.
#[derive(Clone, Copy)]
struct Ways {
    mode: Mode,
    up: bool,
    down: bool,
    /// It came across all problems there are.
    sees_all: bool,
}

impl Ways {
    fn of(config: &Config, options: &Options) -> Ways {
        let mode = config.sync.mode;
        let is_as_configured = options.mode == mode;
        Ways {
            mode,
            up: options.up,
            down: options.down,
            sees_all: is_as_configured && (options.up || mode == Mode::DropboxToLocal),
        }
    }
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
        let kept_in = kept_in(config, is_kept);
        let record = kept_in
            .as_ref()
            .and_then(|(runtime, state_dir)| load(&**runtime, state_dir));
        Telling {
            record: record.unwrap_or_default(),
            is_terse: is_terse && kept_in.is_some(),
            is_kept,
            has_begun: Cell::new(false),
            kept_in,
            outage_after_s: outage_after_s(config),
            next: String::new(),
        }
    }

    /// Takes in when the next passes are, one line each, to be told with the end of this one.
    pub fn note_next(&mut self, next: String) {
        self.next = next;
    }

    /// Another pass of the same process begins: what the ones before told is known, also where
    /// nothing can be kept. Who has seen those is told of an outage at once.
    pub fn go_on(&mut self, config: &Config, is_watched: bool, is_kept: bool) {
        (self.kept_in, self.is_kept) = (kept_in(config, is_kept), is_kept);
        self.take_over_what_came_meanwhile();
        self.has_begun.set(false);
        self.is_terse = true;
        self.outage_after_s = match is_watched {
            true => 0,
            false => outage_after_s(config),
        };
    }

    /// What has ended every pass since the last that came to its end.
    pub fn failing(&self) -> Option<&Failing> {
        self.record.failing.as_ref()
    }

    /// How many paths have a problem, for people; nothing if there are none.
    pub fn problems_text(&self) -> Option<String> {
        let count = self.record.problem_count;
        (count > 0).then(|| counted(count, "path has a problem", "paths have problems"))
    }

    /// Tells those of `[notify]` that a pass begins, once.
    pub fn tell_begin(&self, config: &Config) {
        if self.is_kept && !self.has_begun.replace(true) {
            alerts::tell_begin(config);
        }
    }

    /// What a pass need not tell again.
    pub fn told(&self, now: Timestamp) -> ToldBefore {
        let (record, now) = (&self.record, now.as_second());
        if !self.is_terse {
            return ToldBefore::default();
        }
        let advice = record.advice.iter();
        let advice = advice.filter(|(_, told)| !is_due_again(Some(**told), now));
        let is_due = is_due_again(record.problems_told, now);
        let problems = || record.problems.iter().filter(|_| !is_due);
        let has_more = record.problem_count > record.problems.len() as u64;
        ToldBefore {
            problems: problems()
                .map(|(path, note)| (path.clone(), note.text.clone()))
                .collect(),
            texts: problems()
                .filter(|_| has_more)
                .map(|(_, note)| note.text.clone())
                .collect(),
            advice: advice.map(|(text, _)| text.clone()).collect(),
        }
    }

    /// Warns of something that stays as it is from pass to pass.
    pub fn warn(&mut self, text: &str, now: Timestamp) {
        let now = now.as_second();
        let told = self.record.advice.get(text).copied();
        match self.is_terse && !is_due_again(told, now) {
            true => log::debug!("{text}"),
            false => {
                log::warn!("{text}");
                self.record.advice.insert(text.to_owned(), now);
            }
        }
    }

    /// Takes over how a pass with these options ended, keeps it for whoever asks, and says what is
    /// to be told of it.
    pub fn end(
        &mut self,
        config: &Config,
        report: &Report,
        result: &Result<ExitCode>,
        options: &Options,
        began: Timestamp,
    ) -> Verdict {
        let ended = Timestamp::now();
        let now = ended.as_second();
        self.take_over_what_came_meanwhile();
        self.note_advice(report, now);
        let ways = Ways::of(config, options);
        let verdict = match result {
            Ok(code) => self.note_end(report, *code, ways, now),
            Err(error) => self.note_error(report, error, ways, now),
        };
        if matches!(result, Err(Error::Locked(_) | Error::Usage(_))) {
            // Another pass leaves what it finds; this one was none.
            return verdict;
        }
        let end = pass_end(report, result, began, ended);
        if end.history.is_some() {
            self.record.last_change = Some(end.clone());
        }
        self.record.last_pass = Some(end);
        if self.is_kept {
            let mut faults = alerts::tell_end(config, &mut self.record, report, result, ended);
            faults.extend(page::renew(config, &self.record, &self.next));
            // Offline nobody can be told, and that is no news of its own.
            let faults = faults.into_iter();
            let is_outage = matches!(result, Err(Error::TryLater(_)));
            faults
                .filter(|_| !is_outage)
                .for_each(|fault| self.warn(&fault, ended));
        }
        if let Some((runtime, state_dir)) = &self.kept_in {
            store(&**runtime, state_dir, &self.record);
        }
        verdict
    }

    /// Another pass may have ended between the first look and the lock.
    fn take_over_what_came_meanwhile(&mut self) {
        let kept = self.kept_in.as_ref();
        let newer = kept.and_then(|(runtime, state_dir)| load(&**runtime, state_dir));
        if let Some(newer) = newer {
            let advice = std::mem::take(&mut self.record.advice);
            self.record = newer;
            self.record.advice.extend(advice);
        }
    }

    fn note_advice(&mut self, report: &Report, now: i64) {
        let advice = &mut self.record.advice;
        for what in report.advised() {
            let told = advice.get(&what).copied();
            if is_due_again(told, now) {
                advice.insert(what, now);
            }
        }
        advice.retain(|_, told| !is_due_again(Some(*told), now));
    }

    fn note_end(&mut self, report: &Report, code: ExitCode, ways: Ways, now: i64) -> Verdict {
        let is_over = |failing: &Failing| {
            failing.code == OUTAGE || (ways.up >= failing.up && ways.down >= failing.down)
        };
        if self.record.failing.as_ref().is_some_and(is_over) {
            self.tell_recovery();
        }
        self.tell_over();
        self.note_success(ways, now);
        if !ways.sees_all {
            // It does not come across all problems.
            let has_news = self.merge_problems(report, now);
            return Verdict {
                error: true,
                summary: !self.is_terse || has_news || code == ExitCode::Ok,
            };
        }
        let record = &mut self.record;
        let before = std::mem::take(&mut record.problems);
        let count_before = std::mem::replace(&mut record.problem_count, report.problem_count());
        for problem in report.problems().into_iter().take(PROBLEMS_MAX) {
            let known = before.get(&problem.path);
            let since = known.map_or(now, |known| known.since);
            let (code, text) = (problem.code.to_owned(), problem.text);
            let note = ProblemNote { code, text, since };
            record.problems.insert(problem.path, note);
        }
        if record.problem_count <= PROBLEMS_MAX as u64 {
            let is_over = |path: &&String| !record.problems.contains_key(*path);
            tell_problems_over(before.keys().filter(is_over), self.is_terse);
        }
        let is_new = |(path, note): (&String, &ProblemNote)| {
            before.get(path).is_none_or(|known| known.text != note.text)
        };
        let has_news = record.problems.iter().any(is_new) || count_before != record.problem_count;
        let is_reminder = self.note_reminder(now);
        Verdict {
            error: true,
            summary: !self.is_terse
                || (has_news && code != ExitCode::Ok)
                || is_reminder
                || report.counts().conflicts > 0
                || code == ExitCode::Ok,
        }
    }

    /// A half pass says nothing of what halts the other half.
    fn note_success(&mut self, ways: Ways, now: i64) {
        let record = &mut self.record;
        let is_left = |halt: &HaltNote| match halt.direction.as_str() {
            "up" => !ways.up,
            _ => !ways.down,
        };
        record.halts.retain(is_left);
        if ways.up {
            record.ok_up = Some(now);
        }
        if ways.down {
            record.ok_down = Some(now);
        }
        record.last_success = match ways.mode {
            Mode::LocalToDropbox => record.ok_up,
            Mode::DropboxToLocal => record.ok_down,
            Mode::Bidirectional => record
                .ok_up
                .zip(record.ok_down)
                .map(|(up, down)| up.min(down)),
        };
    }

    /// Notes that the problems were told all together, if that was due; says whether it was.
    fn note_reminder(&mut self, now: i64) -> bool {
        let record = &mut self.record;
        if record.problem_count == 0 && record.problems.is_empty() {
            record.problems_told = None;
            return false;
        }
        let is_due = is_due_again(record.problems_told, now) || !self.is_terse;
        if is_due {
            record.problems_told = Some(now);
        }
        is_due
    }

    /// Adds the problems that a pass came across which could not come across all; says whether
    /// there are new ones.
    fn merge_problems(&mut self, report: &Report, now: i64) -> bool {
        let mut has_news = false;
        for problem in report.problems() {
            let problems = &mut self.record.problems;
            let known = problems.get(&problem.path);
            let is_new = known.is_none_or(|known| known.text != problem.text);
            let since = known.map_or(now, |known| known.since);
            if is_new && (problems.len() < PROBLEMS_MAX || known.is_some()) {
                has_news = true;
                let (code, text) = (problem.code.to_owned(), problem.text);
                problems.insert(problem.path, ProblemNote { code, text, since });
            }
        }
        let known = self.record.problems.len() as u64;
        self.record.problem_count = self.record.problem_count.max(known);
        if report.problem_count() > 0 {
            self.note_reminder(now);
        }
        has_news
    }

    /// Passes work again: said to who was told that they did not.
    fn tell_recovery(&mut self) {
        if let Some(failing) = self.record.failing.take() {
            // Who watches sees it; those who were told elsewhere have yet to hear of it.
            let is_known = failing.was_told && (self.is_terse || failing.was_told_unwatched);
            self.record.over = is_known.then_some(failing);
        }
    }

    /// Says that passes work again, where that was not said yet.
    fn tell_over(&mut self) {
        if !self.is_terse || self.record.failing.is_some() {
            return;
        }
        if let Some(failing) = self.record.over.take() {
            let since = Timestamp::from_second(failing.since).unwrap_or_default();
            log::warn!(
                target: NOTICE,
                "in step again, after {} that failed since {}",
                counted(failing.passes, "run", "runs"),
                full_text(since, &time_zone())
            );
        }
    }

    fn note_error(&mut self, report: &Report, error: &Error, ways: Ways, now: i64) -> Verdict {
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
                self.merge_problems(report, now);
                self.note_failing(report, error, ways, now)
            }
        };
        Verdict {
            error: is_told,
            summary: is_told,
        }
    }

    /// Notes what ended a pass; says whether it is to be told.
    fn note_failing(&mut self, report: &Report, error: &Error, ways: Ways, now: i64) -> bool {
        let (code, text) = (error.code(), first_sentence(error));
        let is_outage = code == OUTAGE;
        let halts = match error {
            Error::Halt(_) => report.halts(),
            _ => Vec::new(),
        };
        let is_same_halt = halts == self.record.halts;
        if matches!(error, Error::Halt(_)) {
            self.record.halts = halts;
        }
        let before = self.record.failing.take();
        if let Some(before) = before
            .as_ref()
            .filter(|before| is_outage && before.code != code)
        {
            // What a person has to mend lasts, whether Dropbox can be reached or not.
            self.record.failing = Some(Failing {
                passes: before.passes + 1,
                ..before.clone()
            });
            return !self.is_terse;
        }
        let known = before.as_ref().filter(|before| before.code == code);
        let is_same = |known: &&Failing| {
            let halts_alike = code != "halted" || is_same_halt;
            halts_alike && without_digits(&known.text) == without_digits(&text)
        };
        let same = known.filter(|known| is_outage || is_same(known));
        // A clock that was ahead.
        let since = before.as_ref().map_or(now, |before| before.since.min(now));
        let told = same.and_then(|known| known.told);
        let lasts = !is_outage || now - since >= self.outage_after_s;
        let is_told = !self.is_terse || (lasts && is_due_again(told, now));
        self.record.failing = Some(Failing {
            code: code.to_owned(),
            text,
            since,
            up: ways.up,
            down: ways.down,
            passes: before.as_ref().map_or(0, |before| before.passes) + 1,
            told: if is_told { Some(now) } else { told },
            was_told: is_told || before.as_ref().is_some_and(|before| before.was_told),
            was_told_unwatched: (is_told && self.is_terse)
                || before.is_some_and(|before| before.was_told_unwatched),
        });
        is_told
    }
}

/// Where what is told is kept, if it is.
fn kept_in(config: &Config, is_kept: bool) -> Option<(Box<dyn Disk>, PathBuf)> {
    let state_dir = dirs::state_dir(config).ok().filter(|_| is_kept)?;
    Some((runtime(&RealDisks, config)?, state_dir))
}

fn outage_after_s(config: &Config) -> i64 {
    i64::try_from(config.notify.after_s).unwrap_or(i64::MAX)
}

/// Numbers differ from pass to pass: how long there is to wait, how much room is missing.
fn without_digits(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit()).collect()
}

fn tell_problems_over<'p>(paths: impl Iterator<Item = &'p String>, is_terse: bool) {
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
    let error = result.as_ref().err();
    let error = error.map(|error| (error.code().to_owned(), first_sentence(error)));
    let bytes = report.bytes();
    PassEnd {
        started: began.to_string(),
        seconds: Some(ended.duration_since(began).as_secs_f64()),
        exit_code: Some(exit as u8),
        error,
        counts: report.counts(),
        skipped: report.skipped(),
        bytes_up: bytes.up,
        bytes_down: bytes.down,
        history: report.history(),
    }
}
