//! What a pass tells people: one line per action, problems, and a summary.
//!
//! Lines go through the log (stderr); the plan of a dry run is data and goes to stdout. Nothing
//! here decides anything.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashSet};

use log::Level;
use serde::{Deserialize, Serialize};

mod changes;
mod columns;
mod counts;
mod held;
mod json;
mod lines;
mod live;
mod problems;
mod progress;
mod summary;
mod trouble;

pub use changes::{Change, Details};
pub use counts::{Counts, Skipped, Traffic};
pub use held::HELD_SAID;
use json::JsonLines;
pub use json::{ErrorFields, Halt, Summary, json_line, print_line, print_text, unprinted};
pub use lines::ACTION;
pub use live::{CLEAR_LINE, Live, Screen};
pub use problems::Problem;
pub use trouble::Trouble;

pub use crate::words::{counted, grouped, in_brackets, part_of, printable, size_text, visible};

use held::HeldDeletes;
use lines::{Lines, SAID_MAX, Whole};
use problems::Problems;

/// LIMIT: conflict copies that a pass keeps in mind; all are told as they come.
const CONFLICTS_MAX: usize = 1000;

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
    /// There were more problems, with these texts.
    pub texts: HashSet<String>,
    /// Advice.
    pub advice: HashSet<String>,
}

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

/// Collects what a pass does.
pub struct Report {
    kind: ReportKind,
    told: ToldBefore,
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
    problems: RefCell<Problems>,
    halts: RefCell<Vec<HaltNote>>,
    /// Where the history of the index has this pass.
    history: Cell<Option<i64>>,
    json: Option<JsonLines>,
    conflicts: RefCell<Vec<String>>,
    held: RefCell<HeldDeletes>,
    lines: Lines,
}

impl Report {
    /// An empty report.
    pub fn new(kind: ReportKind) -> Report {
        Report {
            kind,
            told: ToldBefore::default(),
            live: None,
            is_again: Cell::default(),
            plan: RefCell::default(),
            counts: Cell::default(),
            bytes: Cell::default(),
            skipped: Cell::default(),
            paced: Cell::default(),
            advice: RefCell::default(),
            problems: RefCell::default(),
            halts: RefCell::default(),
            history: Cell::default(),
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

    /// The same without what was told lately.
    #[must_use]
    pub fn without_told(self, told: ToldBefore) -> Report {
        Report { told, ..self }
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
            if conflicts.len() < CONFLICTS_MAX {
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
                print_text(&format!("{planned} {names}"));
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
            let level = match self.told.advice.contains(what) {
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
        if !self.problems.borrow_mut().insert(path, trouble, &text) {
            return;
        }
        if let Some(json) = &self.json {
            json.problem(path, trouble, &text);
        }
        let line = format!("{}: {text}", printable(path));
        match self.told.problems.get(path) == Some(&text) || self.told.texts.contains(&text) {
            true => log::debug!("{line}"),
            false => self.lines.say(Level::Warn, Whole::Json, &text, &line),
        }
    }

    /// How many paths have a problem.
    pub fn problem_count(&self) -> u64 {
        self.problems.borrow().count()
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
            let path = printable(path);
            print_text(&format!("would delete {place} {path}, once you say so"));
            return;
        }
        held.insert(format!("would delete {place}"), path);
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
        self.held.borrow().tell();
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
        self.problems.borrow().kept()
    }

    /// The first conflicts: which path, and where its local version went.
    pub fn conflicts(&self) -> Vec<String> {
        self.conflicts.borrow().clone()
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.get();
        change(&mut counts);
        self.counts.set(counts);
    }
}
