//! The deletes that a pass has collected, and what halts it instead of carrying them out.

use crate::core::arrived_content::ArrivedContent;
use crate::core::decide::{Direction, Mode};
use crate::core::guard::{ApprovalId, Limits, Tally, objection, place_of, standing_objection};
use crate::core::path::DisplayPath;
use crate::engine::collected::{Collected, Marks, Visit};
use crate::engine::context::Context;
use crate::engine::item::{Delete, Item, Local};
use crate::engine::survey::{Survey, Unseen};
use crate::error::{Error, Result};
use crate::index::{Base, Meta, Question, Row, approval_id, note_answer};
use crate::report::{HELD_SAID, Halt};

/// Collects a delete. What takes the name afterwards comes in a second round, which deletes
/// nothing.
pub(crate) fn collect<'a>(
    cx: &mut Context<'a>,
    collected: &mut Collected<'a, Delete>,
    delete: Delete,
) {
    cx.needs_second_round |= frees_a_name(delete.direction, &delete.item);
    if !cx.is_second_round {
        collected.add(delete);
    }
}

/// What the deletes of a pass come to.
pub(crate) struct Counted {
    up: CountedSide,
    down: CountedSide,
    /// Which they are.
    marks: Marks,
}

/// The same of one direction.
struct CountedSide {
    count: u64,
    /// Files whose content did not arrive on that side in this pass.
    lost: u64,
    /// Begun where there is something to name.
    id: Option<ApprovalId>,
    /// The first of them.
    first: Vec<DisplayPath>,
    arrived: ArrivedContent,
}

impl Counted {
    /// Counts the deletes that are to be done.
    ///
    /// # Errors
    /// What the index says; whatever ends a walk.
    pub(crate) fn of<'a>(
        cx: &mut Context<'a>,
        collected: &Collected<'a, Delete>,
    ) -> Result<Counted> {
        let side = |direction, arrived: &ArrivedContent| -> Result<CountedSide> {
            let question = Question::Deletes(direction);
            let id = match collected.is_empty() {
                true => None,
                false => Some(approval_id(cx.env.index, question)?),
            };
            Ok(CountedSide {
                count: 0,
                lost: 0,
                id,
                first: Vec::new(),
                arrived: arrived.clone(),
            })
        };
        let mut counted = Counted {
            up: side(Direction::Up, &cx.arrived_up)?,
            down: side(Direction::Down, &cx.arrived_down)?,
            marks: Marks::new(cx),
        };
        collected.each(cx, &mut |cx, delete| {
            if is_due(cx, &delete)? {
                counted.add(&delete);
            }
            Ok(())
        })?;
        counted.marks.close();
        Ok(counted)
    }

    fn add(&mut self, delete: &Delete) {
        let row = &delete.item.row;
        let side = match delete.direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        };
        side.count += 1;
        if side.first.len() < HELD_SAID {
            side.first.push(delete.item.display_path.clone());
        }
        let mut rev = "";
        if let Some(base) = row.base_file() {
            side.lost += u64::from(!side.arrived.take(base.hash));
            rev = base.rev.as_str();
        }
        if let Some(id) = &mut side.id {
            id.delete(delete.direction, &row.key.path(), rev);
        }
        self.marks.add(delete);
    }
}

/// Hands exactly the deletes that were counted to `act`, some at a time, unless all of them halt:
/// then nobody need look for them again.
///
/// # Errors
/// What `act` says; whatever ends a walk.
pub(crate) fn each_counted<'a>(
    cx: &mut Context<'a>,
    collected: &Collected<'a, Delete>,
    counted: &Counted,
    ruled: &Ruled,
    act: &mut Visit<'_, 'a, Vec<Delete>>,
) -> Result<()> {
    match ruled.does_something(counted) {
        true => collected.each_marked(cx, &counted.marks, &is_due, act),
        false => Ok(()),
    }
}

/// Whether a delete is to be carried out now: it waits for nothing, no rename has taken along what
/// it is of, and Dropbox has told nothing new of it.
pub(super) fn is_due(cx: &Context<'_>, delete: &Delete) -> Result<bool> {
    Ok(!is_done(cx, delete)? && !cx.is_held_back(delete)?)
}

/// Nothing is agreed on under this name any more: a rename took it along. Or Dropbox has told
/// something else of it since the walk, because changes were read in the middle of the pass: the
/// next one decides anew.
pub(crate) fn is_done(cx: &Context<'_>, delete: &Delete) -> Result<bool> {
    let seen = &delete.item.row.remote;
    let row = cx.env.index.row(&delete.item.row.key)?;
    let is_other = |row: &Row| row.base == Base::None || row.remote != *seen;
    Ok(row.is_none_or(|row| row.intact && is_other(&row)))
}

/// Whether something takes the name once the delete has freed it.
pub(crate) fn frees_a_name(direction: Direction, item: &Item) -> bool {
    match direction {
        Direction::Down => item.row.remote_is_folder() || item.row.remote_file().is_some(),
        Direction::Up => !matches!(item.local, Local::Gone),
    }
}

/// What a person is asked about the deletes of a direction.
pub(crate) struct HaltedSide {
    /// With the two answers.
    text: String,
    id: String,
    /// Files that were in step.
    of: u64,
}

/// What becomes of the deletes of a pass.
pub(crate) struct Ruled {
    up: Ruling,
    down: Ruling,
    /// Directions about which a person has decided.
    answered: Vec<Direction>,
    /// A person must decide about those that halt.
    pub(crate) halt: Option<Error>,
}

impl Ruled {
    /// Whether anything comes of the deletes in this pass.
    fn does_something(&self, counted: &Counted) -> bool {
        let does = |side: &CountedSide, ruling: &Ruling| {
            side.count > 0 && !matches!(ruling, Ruling::Halt(_))
        };
        does(&counted.up, &self.up) || does(&counted.down, &self.down)
    }

    /// What becomes of a delete.
    pub(crate) fn of(&self, delete: &Delete) -> &Ruling {
        match delete.direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        }
    }
}

/// What a person said is done: the ids that were given are good for nothing any more. A pass that
/// ends before it finds the same list again, with the same id, or another one.
///
/// # Errors
/// What the index says.
pub(super) fn note_answers(cx: &Context<'_>, ruled: &Ruled) -> Result<()> {
    let index = cx.env.index;
    index.transaction(|| {
        let mut answered = ruled.answered.iter();
        answered.try_for_each(|direction| note_answer(index, Question::Deletes(*direction)))
    })
}

/// What becomes of the deletes of one direction.
pub(crate) enum Ruling {
    /// They are carried out.
    Go,
    /// A person keeps what they are about.
    Keep,
    /// A person must decide.
    Halt(HaltedSide),
}

/// What becomes of the deletes that were counted. One direction that halts holds the other one up
/// in nothing.
///
/// # Errors
/// What the index says; whatever ends a walk.
pub(crate) fn guard<'a>(
    cx: &mut Context<'a>,
    survey: &Survey,
    collected: &Collected<'a, Delete>,
    counted: &mut Counted,
) -> Result<Ruled> {
    if counted.up.count + counted.down.count > 0 {
        cx.env.index.check_totals_once()?;
    }
    let mut tally = survey.tally;
    tally.delete_local = counted.down.lost;
    tally.delete_remote = counted.up.lost;
    let unseen = &survey.unseen;
    let mut answered = Vec::new();
    let up = rule(
        cx,
        tally,
        unseen,
        &mut counted.up,
        Direction::Up,
        &mut answered,
    )?;
    let down = rule(
        cx,
        tally,
        unseen,
        &mut counted.down,
        Direction::Down,
        &mut answered,
    )?;
    let mut texts = Vec::new();
    for (direction, ruling) in [(Direction::Up, &up), (Direction::Down, &down)] {
        if let Ruling::Halt(halted) = ruling {
            cx.halt(direction);
            texts.push(halted.text.as_str());
        }
    }
    let halt = (!texts.is_empty()).then(|| Error::Halt(texts.join("\n")));
    let ruled = Ruled {
        up,
        down,
        answered,
        halt,
    };
    if ruled.halt.is_some() {
        tell_halted(cx, collected, counted, &ruled)?;
    }
    Ok(ruled)
}

/// Says what a halt keeps from being deleted: all of it, if somebody wants all.
fn tell_halted<'a>(
    cx: &mut Context<'a>,
    collected: &Collected<'a, Delete>,
    counted: &Counted,
    ruled: &Ruled,
) -> Result<()> {
    let report = cx.env.report;
    let wants_all = report.wants_all_held();
    if wants_all {
        collected.each_marked(cx, &counted.marks, &is_due, &mut |_, batch| {
            for delete in &batch {
                if let Ruling::Halt(_) = ruled.of(delete) {
                    let direction = delete.direction;
                    let path = &delete.item.display_path;
                    report.held(direction.word(), place_of(direction), path);
                }
            }
            Ok(())
        })?;
    }
    for (direction, side, ruling) in [
        (Direction::Up, &counted.up, &ruled.up),
        (Direction::Down, &counted.down, &ruled.down),
    ] {
        let Ruling::Halt(halted) = ruling else {
            continue;
        };
        if !wants_all {
            let (word, place) = (direction.word(), place_of(direction));
            let first = side.first.iter();
            first.for_each(|path| report.held(word, place, path));
            report.held_more(side.count - side.first.len() as u64);
        }
        report.halted(&Halt {
            direction: direction.word(),
            count: side.count,
            of: halted.of,
            approve_id: &halted.id,
            text: &halted
                .text
                .lines()
                .map(str::trim)
                .collect::<Vec<_>>()
                .join(" "),
        });
    }
    Ok(())
}

fn rule(
    cx: &Context<'_>,
    tally: Tally,
    unseen: &Unseen,
    counted: &mut CountedSide,
    direction: Direction,
    answered: &mut Vec<Direction>,
) -> Result<Ruling> {
    let guard = &cx.env.config.guard;
    let limits = Limits {
        max_delete_count: guard.max_delete_count,
        max_delete_share: guard.max_delete_share,
    };
    let objection = match objection(limits, tally, direction) {
        Some(text) => Some(text),
        None => standing(cx, tally, unseen, direction)?,
    };
    let Some(objection) = objection else {
        return Ok(Ruling::Go);
    };
    // Nothing objects where there is nothing to delete.
    let id = counted
        .id
        .take()
        .map_or_else(String::new, ApprovalId::finish);
    let is_approved = cx.options.approved.contains(&id);
    let is_kept = cx.options.kept.contains(&id);
    if is_approved || is_kept {
        // Who says both is taken at the word that destroys nothing.
        let (word, ruling) = match is_kept {
            true => ("kept", Ruling::Keep),
            false => ("approved", Ruling::Go),
        };
        log::info!("{word}: {objection}");
        answered.push(direction);
        release(cx, direction)?;
        return Ok(ruling);
    }
    hold(cx, unseen, direction)?;
    Ok(Ruling::Halt(HaltedSide {
        text: halt_text(cx, direction, &objection, &id),
        id,
        of: tally.base_files + tally.arrived.base,
    }))
}

/// What a person is asked, with the two answers.
fn halt_text(cx: &Context<'_>, direction: Direction, objection: &str, id: &str) -> String {
    let command = |what: &str| cx.again(&format!("--{what} {id}"));
    format!(
        "{objection}; nothing was deleted {}. One of these goes on, each with exactly what is \
         named above, once:\n  \
         {}\n      keeps the files: each counts as new, and stays, goes up or comes back as the \
         mode says\n  \
         {}\n      deletes them: the deletes are meant",
        place_of(direction),
        command("keep"),
        command("approve"),
    )
}

/// Objects to deletes of a direction that is held since an earlier pass; lets go of one that
/// has nothing left to delete.
fn standing(
    cx: &Context<'_>,
    tally: Tally,
    unseen: &Unseen,
    direction: Direction,
) -> Result<Option<String>> {
    let Some(unseen_then) = cx.env.index.meta(held(direction))? else {
        return Ok(None);
    };
    let standing = standing_objection(tally, direction);
    if standing.is_none() && would_delete(cx, direction) && unseen.was_all_in(&unseen_then) {
        release(cx, direction)?;
    }
    Ok(standing)
}

/// Whether this pass carries out deletes of a direction, wherever it finds them.
fn would_delete(cx: &Context<'_>, direction: Direction) -> bool {
    match direction {
        Direction::Up => cx.options.up && cx.options.mode != Mode::DropboxToLocal,
        Direction::Down => cx.options.down && cx.options.mode != Mode::LocalToDropbox,
    }
}

/// Keeps with the halt what could not be looked at from the first time on.
fn hold(cx: &Context<'_>, unseen: &Unseen, direction: Direction) -> Result<()> {
    let index = cx.env.index;
    index.transaction(|| {
        let before = index.meta(held(direction))?;
        let now = unseen.taken_along(before.as_deref());
        match before.is_some_and(|before| before == now) {
            true => Ok(()),
            false => index.set_meta(held(direction), &now),
        }
    })
}

fn release(cx: &Context<'_>, direction: Direction) -> Result<()> {
    let index = cx.env.index;
    index.transaction(|| match index.meta(held(direction))? {
        Some(_) => index.clear_meta(held(direction)),
        None => Ok(()),
    })
}

fn held(direction: Direction) -> Meta {
    match direction {
        Direction::Down => Meta::HeldDown,
        Direction::Up => Meta::HeldUp,
    }
}
