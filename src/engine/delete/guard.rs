//! The deletes that a pass has collected, and what halts it instead of carrying them out.

use crate::core::arrived_content::ArrivedContent;
use crate::core::decide::{Direction, Mode};
use crate::core::guard::{Limits, Tally, objection, place_of, standing_objection};
use crate::engine::context::Context;
use crate::engine::item::{Delete, Item, Local};
use crate::engine::survey::{Survey, Unseen};
use crate::error::{Error, Result};
use crate::index::{Meta, approval_id};

/// Deletes that wait for the end of the walks. LIMIT: about 750 bytes for each of one pass.
#[derive(Default)]
pub(crate) struct CollectedDeletes(Vec<Delete>);

impl CollectedDeletes {
    /// Collects one. What takes the name afterwards comes in a second round, which deletes nothing.
    pub(crate) fn add(&mut self, cx: &mut Context<'_>, direction: Direction, item: Item) {
        cx.needs_second_round |= frees_a_name(direction, &item);
        if !cx.is_second_round {
            self.0.push(Delete { direction, item });
        }
    }

    /// Leaves those that `sift` gives back.
    ///
    /// # Errors
    /// What it says.
    pub(crate) fn retain(
        &mut self,
        sift: &mut dyn FnMut(Delete) -> Result<Option<Delete>>,
    ) -> Result<()> {
        for delete in std::mem::take(&mut self.0) {
            self.0.extend(sift(delete)?);
        }
        Ok(())
    }

    /// Takes back what was sifted out.
    pub(crate) fn put_back(&mut self, deletes: Vec<Delete>) {
        self.0.extend(deletes);
    }

    /// All of them, [`sorted`]; the order is part of the approval id.
    pub(crate) fn take(&mut self) -> Vec<Delete> {
        sorted(std::mem::take(&mut self.0))
    }
}

/// Deletes in their order: files first, then folders from the deepest up.
pub(crate) fn sorted(mut deletes: Vec<Delete>) -> Vec<Delete> {
    deletes.sort_by_cached_key(|delete| {
        let row = &delete.item.row;
        let is_folder = row.base_file().is_none();
        let depth = if is_folder {
            usize::MAX - row.key.depth()
        } else {
            0
        };
        (
            is_folder,
            depth,
            delete.direction == Direction::Up,
            row.key.path(),
        )
    });
    deletes
}

/// Whether something takes the name once the delete has freed it.
pub(crate) fn frees_a_name(direction: Direction, item: &Item) -> bool {
    match direction {
        Direction::Down => item.row.remote_is_folder() || item.row.remote_file().is_some(),
        Direction::Up => !matches!(item.local, Local::Gone),
    }
}

/// What becomes of the deletes of a pass, in their order.
#[derive(Default)]
pub(crate) struct Ruled {
    /// These are carried out.
    pub(crate) go: Vec<Delete>,
    /// A person keeps what these are about.
    pub(crate) kept: Vec<Delete>,
    /// A person must decide about the others.
    pub(crate) halt: Option<Error>,
}

/// What becomes of the deletes of one direction.
enum Ruling {
    Go,
    Keep,
    Halt(String),
}

/// Which of these deletes, in their order, are carried out. One direction that halts holds the
/// other one up in nothing.
///
/// # Errors
/// What the index says.
pub(crate) fn guard(cx: &mut Context<'_>, survey: &Survey, deletes: Vec<Delete>) -> Result<Ruled> {
    if !deletes.is_empty() {
        cx.env.index.check_totals_once()?;
    }
    let mut tally = survey.tally;
    tally.delete_local = lost(&deletes, Direction::Down, &cx.arrived_down);
    tally.delete_remote = lost(&deletes, Direction::Up, &cx.arrived_up);
    let unseen = &survey.unseen;
    let up = rule(cx, tally, unseen, &deletes, Direction::Up)?;
    let down = rule(cx, tally, unseen, &deletes, Direction::Down)?;
    let mut ruled = Ruled::default();
    for delete in deletes {
        let ruling = match delete.direction {
            Direction::Up => &up,
            Direction::Down => &down,
        };
        match ruling {
            Ruling::Go => ruled.go.push(delete),
            Ruling::Keep => ruled.kept.push(delete),
            Ruling::Halt(_) => tell_delete(cx, &delete),
        }
    }
    let mut texts = Vec::new();
    for (direction, ruling) in [(Direction::Up, up), (Direction::Down, down)] {
        if let Ruling::Halt(text) = ruling {
            cx.halt(direction);
            texts.push(text);
        }
    }
    ruled.halt = (!texts.is_empty()).then(|| Error::Halt(texts.join("\n")));
    Ok(ruled)
}

fn rule(
    cx: &Context<'_>,
    tally: Tally,
    unseen: &Unseen,
    deletes: &[Delete],
    direction: Direction,
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
    let mut id = approval_id(cx.env.index, "deletes")?;
    for delete in deletes.iter().filter(|one| one.direction == direction) {
        let row = &delete.item.row;
        let rev = row.base_file().map_or("", |base| base.rev.as_str());
        id.delete(direction, &row.key.path(), rev);
    }
    let id = id.finish();
    let is_approved = cx.options.approved.contains(&id);
    let is_kept = cx.options.kept.contains(&id);
    if is_approved || is_kept {
        // Who says both is taken at the word that destroys nothing.
        let (word, ruling) = match is_kept {
            true => ("kept", Ruling::Keep),
            false => ("approved", Ruling::Go),
        };
        log::info!("{word}: {objection}");
        release(cx, direction)?;
        return Ok(ruling);
    }
    hold(cx, unseen, direction)?;
    Ok(Ruling::Halt(halt_text(cx, direction, &objection, &id)))
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

fn tell_delete(cx: &Context<'_>, delete: &Delete) {
    let place = place_of(delete.direction);
    cx.env.report.held(place, &delete.item.display_path);
}

fn held(direction: Direction) -> Meta {
    match direction {
        Direction::Down => Meta::HeldDown,
        Direction::Up => Meta::HeldUp,
    }
}

/// Files deletes would lose: those whose content did not arrive on that side in this pass.
fn lost(deletes: &[Delete], direction: Direction, arrived: &ArrivedContent) -> u64 {
    let mut arrived = arrived.clone();
    let mut lost = 0;
    for delete in deletes
        .iter()
        .filter(|delete| delete.direction == direction)
    {
        let Some(base) = delete.item.row.base_file() else {
            continue;
        };
        lost += u64::from(!arrived.take(base.hash));
    }
    lost
}
