//! What a pass tells people: one line per action, problems, and a summary.
//!
//! Lines go through the log (stderr); the plan of a dry run is data and goes to stdout. Nothing
//! here decides anything.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::rc::Rc;
use std::time::{Duration, Instant};

use log::Level;
use serde::{Deserialize, Serialize};

mod changes;
mod columns;
mod counts;
mod json;
mod lines;
mod live;
mod progress;
mod trouble;

pub use changes::{Change, Details};
pub use counts::{Counts, Skipped, Traffic};
use json::JsonLines;
pub use json::{ErrorFields, Halt, Summary, print_line};
pub use lines::ACTION;
pub use live::{CLEAR_LINE, Live, Screen};
pub use trouble::Trouble;

pub use crate::words::{counted, grouped, in_brackets, part_of, printable, size_text, visible};

use lines::{Lines, SAID_MAX, Whole};

/// LIMIT: problems and conflict copies that a pass keeps in mind; all are told as they come.
const KEPT_MAX: usize = 1000;

/// LIMIT: of further problems so many are known by a number, so that each is told and counted once.
const NUMBERED_MAX: usize = 50_000;

/// One path that could not be handled; the pass went on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `/relative/path`.
    pub path: String,
    /// What is wrong and what to do.
    pub text: String,
    /// A word for programs.
    pub code: &'static str,
}

/// Deletes of one direction that wait for a person's word, as they are kept for later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaltNote {
    /// What `--approve` and `--keep` take.
    pub id: String,
    /// `up` for those in Dropbox, `down` for those here.
    pub direction: String,
    /// How many files and folders.
    pub count: u64,
}

/// What was told lately and is not told again.
#[derive(Clone, Debug, Default)]
pub struct ToldBefore {
    /// Problems: the text of each path.
    pub problems: BTreeMap<String, String>,
    /// Advice.
    pub advice: HashSet<String>,
}

/// How often problems that stay are told of.
const REMIND_EVERY: Duration = Duration::from_secs(24 * 3600);

/// Deletes that are named when a pass halts.
pub const HELD_SAID: usize = 20;

/// What is said of a pass that somebody has stopped, where nothing else can be.
pub const STOPPED: &str = "stopped; what was done is kept, the next run goes on from there";

/// What is reported, and where to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportKind {
    /// What was done: one log line each.
    Changes,
    /// What would be done: one line each on stdout.
    Plan,
    /// What would be done, kept for [`Report::plan`].
    CollectedPlan,
}

/// The problems of the passes before, which are not told again each time.
#[derive(Default)]
pub struct KnownProblems {
    problems: Rc<BTreeMap<String, String>>,
    told: Option<Instant>,
}

impl KnownProblems {
    /// Takes over the problems of a pass. Whether they are worth a line: there are new ones, or
    /// they have not been told for a day.
    pub fn learn(&mut self, report: &Report) -> bool {
        let now = report.problems.borrow();
        let over = "no longer a problem";
        for path in self.problems.keys().filter(|path| !now.contains_key(*path)) {
            let line = format!("{}: {over}", printable(path));
            report.lines.say(Level::Info, Whole::Verbose, over, &line);
        }
        let is_new = now
            .iter()
            .any(|(path, text)| self.problems.get(path) != Some(text));
        let is_old = self.told.is_none_or(|told| told.elapsed() >= REMIND_EVERY);
        let is_due = !now.is_empty() && (is_new || is_old);
        if is_due {
            self.told = Some(Instant::now());
        }
        self.problems = Rc::new(now.clone());
        is_due
    }

    /// How many there are, for people; nothing if there are none.
    pub fn text(&self) -> Option<String> {
        let count = self.problems.len() as u64;
        (count > 0).then(|| counted(count, "path has a problem", "paths have problems"))
    }
}

/// Collects what a pass does.
pub struct Report {
    kind: ReportKind,
    known: Rc<BTreeMap<String, String>>,
    known_advice: HashSet<String>,
    /// Somebody watches, and sees it move.
    live: Option<Live>,
    /// A walk is repeated: what it passes was told the first time.
    is_again: Cell<bool>,
    plan: RefCell<Vec<String>>,
    counts: Cell<Counts>,
    bytes: Cell<Traffic>,
    skipped: Cell<Skipped>,
    /// Of what is left for the next pass, the files that wait for their pace.
    paced: Cell<u64>,
    advice: RefCell<Vec<String>>,
    problems: RefCell<BTreeMap<String, String>>,
    codes: RefCell<BTreeMap<String, &'static str>>,
    halts: RefCell<Vec<HaltNote>>,
    /// Where the history of the index has this pass.
    history: Cell<Option<i64>>,
    /// Those for which there is no memory, and how many they are.
    more_problems: RefCell<HashSet<u64>>,
    more_count: Cell<u64>,
    json: Option<JsonLines>,
    conflicts: RefCell<Vec<String>>,
    held: RefCell<HeldDeletes>,
    lines: Lines,
}

/// Deletes that a halt keeps from being carried out.
#[derive(Default)]
struct HeldDeletes {
    count: u64,
    /// The first: what would be done, and the path.
    shown: Vec<(String, String)>,
    wants_all: bool,
}

impl Report {
    /// An empty report.
    pub fn new(kind: ReportKind) -> Report {
        Report {
            kind,
            known: Rc::default(),
            known_advice: HashSet::new(),
            live: None,
            is_again: Cell::default(),
            plan: RefCell::default(),
            counts: Cell::default(),
            bytes: Cell::default(),
            skipped: Cell::default(),
            paced: Cell::default(),
            advice: RefCell::default(),
            problems: RefCell::default(),
            codes: RefCell::default(),
            halts: RefCell::default(),
            history: Cell::default(),
            more_problems: RefCell::default(),
            more_count: Cell::default(),
            json: None,
            conflicts: RefCell::default(),
            held: RefCell::default(),
            lines: Lines::default(),
        }
    }

    /// The same for somebody who asked for one line per action: all of them are said.
    #[must_use]
    pub fn verbose(self) -> Report {
        Report {
            lines: Lines::unlimited(),
            ..self
        }
    }

    /// The same for a program, which gets everything as it happens, on stdout.
    #[must_use]
    pub fn as_json(self) -> Report {
        self.held.borrow_mut().wants_all = true;
        let is_plan = self.kind != ReportKind::Changes;
        Report {
            json: Some(JsonLines { is_plan }),
            ..self
        }
    }

    /// The same for somebody at a terminal, who sees it move.
    #[must_use]
    pub fn watched(self, screen: Box<dyn Screen>) -> Report {
        Report {
            live: Some(Live::on(screen)),
            ..self
        }
    }

    /// What moves while the pass works, if somebody watches.
    pub fn live(&self) -> Option<&Live> {
        self.live.as_ref()
    }

    /// The same after other passes: what they told is not told again.
    #[must_use]
    pub fn with_known(self, known: &KnownProblems) -> Report {
        Report {
            known: Rc::clone(&known.problems),
            ..self
        }
    }

    /// The same without what was told lately.
    #[must_use]
    pub fn without_told(self, told: ToldBefore) -> Report {
        Report {
            known: Rc::new(told.problems),
            known_advice: told.advice,
            ..self
        }
    }

    /// A walk is repeated from here on, or is no more: what it passes once more is not told or
    /// counted again.
    pub fn set_again(&self, is_again: bool) {
        self.is_again.set(is_again);
    }

    /// A large file is taken up where an earlier run has left it.
    pub fn goes_on(&self, path: &str, done: u64, total: u64) {
        log::info!(
            "going on with {} at {}",
            printable(path),
            part_of(done, total)
        );
    }

    /// What is said when somebody has stopped the pass.
    pub fn stopped(&self) -> String {
        match self.live.as_ref().and_then(Live::kept) {
            Some(kept) => format!("stopped; {kept} are kept for the next run"),
            None => STOPPED.to_owned(),
        }
    }

    /// Something was done to `path`, or would be; `more` is said after it, with names as they are.
    pub fn changed<'d>(&self, change: Change, path: &str, details: impl Into<Details<'d>>) {
        self.change(change, 1, path, &details.into());
    }

    fn change(&self, change: Change, count: u64, path: &str, details: &Details<'_>) {
        self.count(|counts| {
            *match change {
                Change::Upload => &mut counts.uploaded,
                Change::Download => &mut counts.downloaded,
                Change::MoveLocal | Change::MoveRemote => &mut counts.moved,
                Change::DeleteLocal => &mut counts.deleted_locally,
                Change::DeleteRemote => &mut counts.deleted_in_dropbox,
                Change::MakeLocalFolder | Change::MakeRemoteFolder => &mut counts.folders_made,
                Change::Conflict => &mut counts.conflicts,
            } += count;
        });
        if let Some(live) = &self.live {
            match change {
                Change::Upload => live.finish_up(count),
                Change::Download | Change::MoveLocal => live.finish_down(count),
                Change::MoveRemote
                | Change::DeleteLocal
                | Change::DeleteRemote
                | Change::MakeLocalFolder
                | Change::MakeRemoteFolder
                | Change::Conflict => {}
            }
        }
        if let Some(json) = &self.json {
            json.change(change.action(), path, details);
        }
        let (more, (done, planned)) = (details.more, change.words());
        let space = if more.is_empty() { "" } else { " " };
        let true_names = format!("{path}{space}{more}");
        let names = format!("{}{space}{}", printable(path), printable(more));
        if change == Change::Conflict {
            let mut conflicts = self.conflicts.borrow_mut();
            if conflicts.len() < KEPT_MAX {
                conflicts.push(true_names.clone());
            }
        }
        match self.kind {
            // A copy is something to look at, even for who only reads what cron mails.
            ReportKind::Changes if change == Change::Conflict => {
                let line = format!("{done} {names}");
                self.lines.say(Level::Warn, Whole::Json, "conflict", &line);
            }
            ReportKind::Changes => {
                let line = format!("{done} {names}");
                let kind = done.trim_end_matches(" to");
                self.lines.say(Level::Info, Whole::Verbose, kind, &line);
            }
            ReportKind::Plan if self.json.is_some() => {}
            ReportKind::Plan => {
                self.live.iter().for_each(Live::clear);
                // A closed stdout is the reader's choice.
                let _ = writeln!(std::io::stdout(), "{planned} {names}");
            }
            ReportKind::CollectedPlan => {
                let mut plan = self.plan.borrow_mut();
                plan.push(format!("{planned} {true_names}"));
            }
        }
    }

    /// A file, or a folder with so many files, got another name; `from` is the old one.
    pub fn moved(&self, change: Change, path: &str, from: &str, is_folder: bool, files: u64) {
        let what = match is_folder {
            true => format!("({}), from {from}", counted(files, "file", "files")),
            false => format!("from {from}"),
        };
        let details = Details {
            size: None,
            from: Some(from),
            files: is_folder.then_some(files),
            more: &what,
        };
        self.change(change, files, path, &details);
    }

    /// Both sides were found equal, with so many bytes.
    pub fn adopted(&self, path: &str, size: u64) {
        self.count(|counts| counts.adopted += 1);
        if let Some(live) = &self.live {
            live.finish_down(1);
            live.spare_down(size);
        }
        if let Some(json) = &self.json {
            json.change("adopt", path, &Details::default());
        }
    }

    /// A path changed while it was being handled; the next pass sees to it.
    pub fn deferred(&self, path: &str, why: &str) {
        if self.is_again.get() {
            return;
        }
        self.count(|counts| counts.deferred += 1);
        let (path, why) = (printable(path), visible(why));
        let line = format!("left for the next run: {path}: {why}");
        let kind = format!("left for the next run: {why}");
        self.lines.say(Level::Info, Whole::Verbose, &kind, &line);
    }

    /// A file changed, and is not sent before `pace` lets it: that is as it was asked for.
    pub fn waits(&self, path: &str, pace: &str) {
        if self.is_again.get() {
            return;
        }
        self.count(|counts| counts.deferred += 1);
        self.paced.set(self.paced.get() + 1);
        let kind = "waits for its pace (sync.pace)";
        let line = format!("{}: {kind}: {pace}", printable(path));
        self.lines.say(Level::Info, Whole::Verbose, kind, &line);
    }

    /// How many files wait for their pace: no reason for another pass.
    pub fn paced(&self) -> u64 {
        self.paced.get()
    }

    /// Something that a person may want to change in the configuration: what, and the lines to
    /// write there. LIMIT: so many are told as lines of a kind are.
    pub fn advise(&self, what: &str, lines: &str) {
        let mut advice = self.advice.borrow_mut();
        if (advice.len() as u64) < SAID_MAX {
            let indented = lines.replace('\n', "\n  ");
            let level = match self.known_advice.contains(what) {
                true => Level::Debug,
                false => Level::Warn,
            };
            log::log!(level, "{what}:\n  {indented}");
            advice.push(format!("{what}:\n{lines}"));
        }
    }

    /// What was advised, without the lines to write.
    pub fn advised(&self) -> Vec<String> {
        let advice = self.advice.borrow();
        let what = |advice: &String| advice.split(":\n").next().map(str::to_owned);
        advice.iter().filter_map(what).collect()
    }

    /// What was advised.
    pub fn advice(&self) -> Vec<String> {
        self.advice.borrow().clone()
    }

    /// So many bytes of contents went up and came down, or would.
    pub fn travelled(&self, up: u64, down: u64) {
        let before = self.bytes.get();
        self.bytes.set(Traffic {
            up: before.up.saturating_add(up),
            down: before.down.saturating_add(down),
        });
    }

    /// How many bytes so far.
    pub fn bytes(&self) -> Traffic {
        self.bytes.get()
    }

    /// What was left out in this pass.
    pub fn skip(&self, skipped: Skipped) {
        self.skipped.set(skipped);
    }

    /// How much is left out.
    pub fn skipped(&self) -> Skipped {
        self.skipped.get()
    }

    /// A path could not be handled. The first that is said of a path counts. Other names in the
    /// text are [`printable`].
    pub fn problem(&self, path: &str, trouble: Trouble, text: &str) {
        let text = visible(text);
        if !self.is_first(path, &text) {
            return;
        }
        if self.problems.borrow().contains_key(path) {
            let mut codes = self.codes.borrow_mut();
            codes.insert(path.to_owned(), trouble.code());
        }
        if let Some(json) = &self.json {
            json.problem(path, trouble, &text);
        }
        let line = format!("{}: {text}", printable(path));
        match self.known.get(path) == Some(&text) {
            true => log::debug!("{line}"),
            false => self.lines.say(Level::Warn, Whole::Json, &text, &line),
        }
    }

    /// Whether nothing was said of this path yet; it is from now on.
    fn is_first(&self, path: &str, text: &str) -> bool {
        let mut problems = self.problems.borrow_mut();
        if problems.contains_key(path) {
            return false;
        }
        if problems.len() < KEPT_MAX {
            problems.insert(path.to_owned(), text.to_owned());
            return true;
        }
        let mut more = self.more_problems.borrow_mut();
        let mut hasher = DefaultHasher::new();
        path.hash(&mut hasher);
        let number = hasher.finish();
        let is_first = match more.len() < NUMBERED_MAX {
            true => more.insert(number),
            false => !more.contains(&number),
        };
        self.more_count
            .set(self.more_count.get() + u64::from(is_first));
        is_first
    }

    /// How many paths have a problem.
    pub fn problem_count(&self) -> u64 {
        self.problems.borrow().len() as u64 + self.more_count.get()
    }

    /// Something about a path that is worth a line and changes nothing. `text` is the same for all
    /// paths of a kind.
    pub fn remark(&self, level: Level, path: &str, text: &str) {
        if self.is_again.get() {
            return;
        }
        let line = format!("{}: {}", printable(path), visible(text));
        self.lines.say(level, Whole::Verbose, text, &line);
    }

    /// A delete that a halt keeps from being carried out: `place` is where it would be.
    pub fn held(&self, direction: &str, place: &str, path: &str) {
        if let Some(json) = &self.json {
            json.pending_delete(direction, path);
        }
        let mut held = self.held.borrow_mut();
        if self.kind == ReportKind::Plan && self.json.is_none() {
            // A closed stdout is the reader's choice.
            let path = printable(path);
            let _ = writeln!(
                std::io::stdout(),
                "would delete {place} {path}, once you say so"
            );
            return;
        }
        held.count += 1;
        if held.shown.len() < HELD_SAID {
            held.shown
                .push((format!("would delete {place}"), path.to_owned()));
        }
    }

    /// Deletes of one direction wait for a person's word.
    pub fn halted(&self, halt: &Halt<'_>) {
        if let Some(json) = &self.json {
            json.halt(halt);
        }
        self.halts.borrow_mut().push(HaltNote {
            id: halt.approve_id.to_owned(),
            direction: halt.direction.to_owned(),
            count: halt.count,
        });
    }

    /// Whether somebody wants to know of all deletes that a halt keeps from being carried out, not
    /// only of the first [`HELD_SAID`].
    pub fn wants_all_held(&self) -> bool {
        self.kind == ReportKind::Plan || self.held.borrow().wants_all
    }

    /// So many more deletes than were told are kept from being carried out.
    pub fn held_more(&self, count: u64) {
        self.held.borrow_mut().count += count;
    }

    /// Says what a halt keeps from being deleted.
    pub fn tell_held(&self) {
        let held = self.held.borrow();
        for (what, path) in held.shown.iter().take(HELD_SAID) {
            log::warn!("{what} {}", printable(path));
        }
        let more = held.count.saturating_sub(HELD_SAID as u64);
        if more > 0 {
            log::warn!("... and {} more; all of them with --json", grouped(more));
        }
    }

    /// Says how many more lines there were of each kind of which enough have been said.
    pub fn tell_rest(&self) {
        self.lines.tell_rest();
    }

    /// The lines of a collected plan.
    pub fn plan(&self) -> Vec<String> {
        self.plan.borrow().clone()
    }

    /// How often something was done so far.
    pub fn counts(&self) -> Counts {
        self.counts.get()
    }

    /// The number under which the history of the index has this pass.
    pub fn history(&self) -> Option<i64> {
        self.history.get()
    }

    /// It has it under this number.
    pub fn set_history(&self, seq: i64) {
        self.history.set(Some(seq));
    }

    /// The deletes that wait for a person's word.
    pub fn halts(&self) -> Vec<HaltNote> {
        self.halts.borrow().clone()
    }

    /// The problems that are kept in mind, in order of paths.
    pub fn problems(&self) -> Vec<Problem> {
        let (problems, codes) = (self.problems.borrow(), self.codes.borrow());
        let problem = |(path, text): (&String, &String)| Problem {
            path: path.clone(),
            text: text.clone(),
            code: codes.get(path).copied().unwrap_or("other"),
        };
        problems.iter().map(problem).collect()
    }

    /// The first conflicts: which path, and where its local version went.
    pub fn conflicts(&self) -> Vec<String> {
        self.conflicts.borrow().clone()
    }

    /// One line that sums up the pass; `None` if there is nothing to say.
    pub fn summary(&self) -> Option<String> {
        let counts = self.counts.get();
        let problems = self.problem_count();
        let (up, down, travelled) = self.said_of_bytes();
        let mut parts = Vec::new();
        for (count, one, many, more) in [
            (counts.uploaded, "uploaded", "uploaded", up),
            (counts.downloaded, "downloaded", "downloaded", down),
            (counts.moved, "renamed", "renamed", None),
            (counts.folders_made, "folder made", "folders made", None),
            (
                counts.deleted_locally,
                "deleted locally",
                "deleted locally",
                None,
            ),
            (
                counts.deleted_in_dropbox,
                "deleted in Dropbox",
                "deleted in Dropbox",
                None,
            ),
            (counts.conflicts, "conflict", "conflicts", None),
            (counts.adopted, "already equal", "already equal", None),
            (
                counts.deferred.saturating_sub(self.paced()),
                "left for the next run",
                "left for the next run",
                None,
            ),
            (
                self.paced(),
                "waits for its pace",
                "wait for their pace",
                None,
            ),
            (problems, "with a problem", "with problems", None),
        ] {
            if count > 0 {
                parts.push(counted(count, one, many) + more.as_deref().unwrap_or_default());
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

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.get();
        change(&mut counts);
        self.counts.set(counts);
    }
}

#[cfg(test)]
mod tests {
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
        let mut known = KnownProblems::default();
        assert!(known.learn(&report));
        assert_eq!(known.text().as_deref(), Some("2 paths have problems"));
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
