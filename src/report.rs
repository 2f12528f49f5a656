//! What a pass tells people: one line per action, problems, and a summary.
//!
//! Lines go through the log (stderr); the plan of a dry run is data and goes to stdout. Nothing
//! here decides anything.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::Write;
use std::rc::Rc;
use std::time::{Duration, Instant};

use log::Level;
use serde::Serialize;

mod lines;
pub use crate::words::{counted, grouped, in_brackets, printable, size_text, visible};

use lines::{Lines, SAID_MAX, Whole};

/// Something that was done, or would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A file went up.
    Upload,
    /// A file came down.
    Download,
    /// A file was renamed locally, as it was in Dropbox.
    MoveLocal,
    /// A file was renamed in Dropbox, as it was locally.
    MoveRemote,
    /// A local file or folder was removed.
    DeleteLocal,
    /// A file or folder in Dropbox was removed.
    DeleteRemote,
    /// A folder was made locally.
    MakeLocalFolder,
    /// A folder was made in Dropbox.
    MakeRemoteFolder,
    /// A local version was kept as a conflict copy.
    Conflict,
}

impl Change {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Change::Upload => ("uploaded", "would upload"),
            Change::Download => ("downloaded", "would download"),
            Change::MoveLocal => ("renamed here to", "would rename here to"),
            Change::MoveRemote => ("renamed in Dropbox to", "would rename in Dropbox to"),
            Change::DeleteLocal => ("deleted locally", "would delete locally"),
            Change::DeleteRemote => ("deleted in Dropbox", "would delete in Dropbox"),
            Change::MakeLocalFolder => ("made folder", "would make folder"),
            Change::MakeRemoteFolder => ("made folder in Dropbox", "would make folder in Dropbox"),
            Change::Conflict => (
                "conflict:",
                "would keep the local version as a conflict copy:",
            ),
        }
    }
}

/// How often something was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Files uploaded.
    pub uploaded: u64,
    /// Files downloaded.
    pub downloaded: u64,
    /// Files renamed on either side.
    pub moved: u64,
    /// Files and folders removed locally.
    pub deleted_locally: u64,
    /// Files and folders removed in Dropbox.
    pub deleted_in_dropbox: u64,
    /// Folders made on either side.
    pub folders_made: u64,
    /// Conflict copies kept.
    pub conflicts: u64,
    /// Files found equal on both sides without a transfer.
    pub adopted: u64,
    /// Paths left for the next pass because they changed meanwhile, and files that wait for their
    /// pace.
    pub deferred: u64,
}

impl Counts {
    /// What was changed on either side.
    pub fn changes(&self) -> u64 {
        self.uploaded
            + self.downloaded
            + self.moved
            + self.deleted_locally
            + self.deleted_in_dropbox
            + self.folders_made
            + self.conflicts
    }
}

/// Traffic of the contents of files that travelled, those in vain included; in a dry run those that
/// would.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// To Dropbox.
    pub up: u64,
    /// From Dropbox.
    pub down: u64,
}

/// How many files are left out by a rule of ours, whatever becomes of them on either side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Larger than `sync.max_file_size`.
    pub too_large: u64,
    /// Gone here, and kept in Dropbox by `sync.deletes`.
    pub kept: u64,
}

/// One path that could not be handled; the pass went on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// `/relative/path`.
    pub path: String,
    /// What is wrong and what to do.
    pub text: String,
}

/// How often problems that stay are told of.
const REMIND_EVERY: Duration = Duration::from_secs(24 * 3600);

/// Deletes that are named when a pass halts.
pub const HELD_SAID: usize = 10;

/// Wipes a line of progress.
pub const CLEAR_LINE: &str = "\r\x1b[K";

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
    is_watched: bool,
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
    conflicts: RefCell<Vec<String>>,
    held: RefCell<HeldDeletes>,
    lines: Lines,
}

/// Deletes that a halt keeps from being carried out.
#[derive(Default)]
struct HeldDeletes {
    count: u64,
    /// All of them where somebody wants them, else the first: what would be done, and the path.
    shown: Vec<(String, String)>,
    wants_all: bool,
}

impl Report {
    /// An empty report.
    pub fn new(kind: ReportKind) -> Report {
        Report {
            kind,
            known: Rc::default(),
            is_watched: false,
            is_again: Cell::default(),
            plan: RefCell::default(),
            counts: Cell::default(),
            bytes: Cell::default(),
            skipped: Cell::default(),
            paced: Cell::default(),
            advice: RefCell::default(),
            problems: RefCell::default(),
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

    /// The same for a program, which gets everything.
    #[must_use]
    pub fn complete(self) -> Report {
        self.held.borrow_mut().wants_all = true;
        self
    }

    /// The same for somebody at a terminal, who sees long transfers move.
    #[must_use]
    pub fn watched(self) -> Report {
        Report {
            is_watched: true,
            ..self
        }
    }

    /// The same after other passes: what they told is not told again.
    #[must_use]
    pub fn with_known(self, known: &KnownProblems) -> Report {
        Report {
            known: Rc::clone(&known.problems),
            ..self
        }
    }

    /// A walk is repeated from here on, or is no more: what it passes once more is not told or
    /// counted again.
    pub fn set_again(&self, is_again: bool) {
        self.is_again.set(is_again);
    }

    /// So many bytes of a long transfer are through. The line makes way for the next one.
    pub fn progress(&self, path: &str, done: u64, total: u64) {
        if self.is_watched {
            let (path, done, total) = (printable(path), size_text(done), size_text(total));
            let _ = write!(std::io::stderr(), "{CLEAR_LINE}{path}: {done} of {total}");
        }
    }

    /// Something was done to `path`, or would be; `more` is said after it, with names as they are.
    pub fn changed(&self, change: Change, path: &str, more: &str) {
        self.change(change, 1, path, more);
    }

    fn change(&self, change: Change, count: u64, path: &str, more: &str) {
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
        let (done, planned) = change.words();
        let space = if more.is_empty() { "" } else { " " };
        let true_names = format!("{path}{space}{more}");
        let names = format!("{}{space}{}", printable(path), printable(more));
        if change == Change::Conflict {
            self.conflicts.borrow_mut().push(true_names.clone());
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
            ReportKind::Plan => {
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
        self.change(change, files, path, &what);
    }

    /// Both sides were found equal.
    pub fn adopted(&self) {
        self.count(|counts| counts.adopted += 1);
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
            log::warn!("{what}:\n  {indented}");
            advice.push(format!("{what}:\n{lines}"));
        }
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
    pub fn problem(&self, path: &str, text: &str) {
        let text = visible(text);
        if let Entry::Vacant(problem) = self.problems.borrow_mut().entry(path.to_owned()) {
            let line = format!("{}: {text}", printable(path));
            match self.known.get(path) == Some(&text) {
                true => log::debug!("{line}"),
                false => self.lines.say(Level::Warn, Whole::Json, &text, &line),
            }
            problem.insert(text);
        }
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
    pub fn held(&self, place: &str, path: &str) {
        let mut held = self.held.borrow_mut();
        held.count += 1;
        if held.wants_all || held.shown.len() < HELD_SAID {
            held.shown
                .push((format!("would delete {place}"), path.to_owned()));
        }
    }

    /// Whether somebody wants to know of all deletes that a halt keeps from being carried out, not
    /// only of the first [`HELD_SAID`].
    pub fn wants_all_held(&self) -> bool {
        self.held.borrow().wants_all
    }

    /// So many more deletes than were told are kept from being carried out.
    pub fn held_more(&self, count: u64) {
        self.held.borrow_mut().count += count;
    }

    /// All that a halt keeps from being deleted, if somebody wants all of it, else the first.
    pub fn held_deletes(&self) -> Vec<String> {
        let held = self.held.borrow();
        let lines = held
            .shown
            .iter()
            .map(|(what, path)| format!("{what} {path}"));
        lines.collect()
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

    /// All problems, in order of paths.
    pub fn problems(&self) -> Vec<Problem> {
        let problems = self.problems.borrow();
        let problem = |(path, text): (&String, &String)| Problem {
            path: path.clone(),
            text: text.clone(),
        };
        problems.iter().map(problem).collect()
    }

    /// All conflicts: which path, and where its local version went.
    pub fn conflicts(&self) -> Vec<String> {
        self.conflicts.borrow().clone()
    }

    /// One line that sums up the pass; `None` if there is nothing to say.
    pub fn summary(&self) -> Option<String> {
        let counts = self.counts.get();
        let problems = self.problems.borrow().len();
        let mut parts = Vec::new();
        for (count, one, many) in [
            (counts.uploaded, "uploaded", "uploaded"),
            (counts.downloaded, "downloaded", "downloaded"),
            (counts.moved, "renamed", "renamed"),
            (counts.folders_made, "folder made", "folders made"),
            (counts.deleted_locally, "deleted locally", "deleted locally"),
            (
                counts.deleted_in_dropbox,
                "deleted in Dropbox",
                "deleted in Dropbox",
            ),
            (counts.conflicts, "conflict", "conflicts"),
            (counts.adopted, "already equal", "already equal"),
            (
                counts.deferred.saturating_sub(self.paced()),
                "left for the next run",
                "left for the next run",
            ),
            (self.paced(), "waits for its pace", "wait for their pace"),
            (problems as u64, "with a problem", "with problems"),
        ] {
            if count > 0 {
                parts.push(counted(count, one, many));
            }
        }
        let Traffic { up, down } = self.bytes.get();
        for (bytes, done) in [(up, "sent"), (down, "received")] {
            if bytes > 0 {
                parts.push(format!("{} {done}", size_text(bytes)));
            }
        }
        if counts.changes() == 0 && problems == 0 && parts.is_empty() {
            return None;
        }
        Some(parts.join(", "))
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
        report.problem("/c", "x");
        let one = "1 folder made, 1 conflict, 1 with a problem";
        assert_eq!(report.summary().as_deref(), Some(one));
        report.changed(Change::MakeRemoteFolder, "/d", "");
        report.changed(Change::Conflict, "/e", "");
        report.problem("/f", "x");
        let two = "2 folders made, 2 conflicts, 2 with problems";
        assert_eq!(report.summary().as_deref(), Some(two));
        let mut known = KnownProblems::default();
        assert!(known.learn(&report));
        assert_eq!(known.text().as_deref(), Some("2 paths have problems"));
    }
}
