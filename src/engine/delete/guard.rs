//! The deletes that a pass has collected, and what halts it instead of carrying them out.

use crate::core::arrived_content::ArrivedContent;
use crate::core::decide::Direction;
use crate::core::guard::{ApprovalId, Limits, Tally, objection, standing_objection};
use crate::engine::context::Context;
use crate::engine::item::{Delete, Item, Local};
use crate::engine::survey::Survey;
use crate::error::{Error, Result};
use crate::index::Meta;

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

/// What becomes of the deletes of a pass.
pub(crate) enum Ruling {
    /// They are carried out.
    Go,
    /// A person keeps what they are about.
    Keep,
    /// A person must decide.
    Halt(Error),
}

/// Whether these deletes, in their order, are carried out.
///
/// # Errors
/// What the index says.
pub(crate) fn guard(cx: &Context<'_>, survey: &Survey, deletes: &[Delete]) -> Result<Ruling> {
    if !deletes.is_empty() {
        cx.env.index.check_totals_once()?;
    }
    let mut tally = survey.tally;
    tally.delete_local = lost(deletes, Direction::Down, &cx.arrived_down);
    tally.delete_remote = lost(deletes, Direction::Up, &cx.arrived_up);
    let guard = &cx.env.config.guard;
    let limits = Limits {
        max_delete_count: guard.max_delete_count,
        max_delete_share: guard.max_delete_share,
    };
    let objection = match objection(limits, tally) {
        Some((direction, text)) => {
            hold(cx, direction)?;
            Some(text)
        }
        None => standing(cx, tally)?,
    };
    let Some(objection) = objection else {
        return Ok(Ruling::Go);
    };
    let mut id = ApprovalId::new("deletes");
    for delete in deletes {
        let row = &delete.item.row;
        let rev = row.base_file().map_or("", |base| base.rev.as_str());
        id.delete(delete.direction, &row.key.path(), rev);
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
        release(cx, Direction::Down)?;
        release(cx, Direction::Up)?;
        return Ok(ruling);
    }
    for delete in deletes {
        tell_delete(cx, delete);
    }
    Ok(Ruling::Halt(Error::Halt(halt_text(cx, &objection, &id))))
}

/// What a person is asked, with the two answers.
fn halt_text(cx: &Context<'_>, objection: &str, id: &str) -> String {
    let command = |what: &str| cx.again(&format!("--{what} {id}"));
    format!(
        "{objection}; nothing was deleted. One of these goes on, each with exactly what is named \
         above, once:\n  \
         {}\n      keeps the files: each counts as new, and goes up or comes back as the mode \
         says\n  \
         {}\n      deletes them: the deletes are meant",
        command("keep"),
        command("approve"),
    )
}

/// Objects to deletes of a direction that is held since an earlier pass; lets go of one that
/// has nothing left to delete.
fn standing(cx: &Context<'_>, tally: Tally) -> Result<Option<String>> {
    for direction in [Direction::Up, Direction::Down] {
        if cx.env.index.meta(held(direction))?.is_none() {
            continue;
        }
        match standing_objection(tally, direction) {
            Some(text) => return Ok(Some(text)),
            None if has_seen_all(cx, direction) => release(cx, direction)?,
            None => {}
        }
    }
    Ok(None)
}

/// Whether this pass would have found every delete of a direction.
fn has_seen_all(cx: &Context<'_>, direction: Direction) -> bool {
    let has_looked = match direction {
        Direction::Up => cx.options.up,
        Direction::Down => cx.options.down,
    };
    has_looked && !cx.view_is_incomplete && cx.options.mode == cx.env.config.sync.mode
}

fn hold(cx: &Context<'_>, direction: Direction) -> Result<()> {
    let index = cx.env.index;
    index.transaction(|| match index.meta(held(direction))? {
        Some(_) => Ok(()),
        None => index.set_meta(held(direction), "1"),
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
    let place = match delete.direction {
        Direction::Down => "locally",
        Direction::Up => "in Dropbox",
    };
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
