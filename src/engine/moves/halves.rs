//! A delete that is half of a rename waits for the other half: what has its content and is to get
//! to the same side has to be there first. Else the only copy on that side would go with the old
//! name.

use std::collections::HashMap;

use crate::core::decide::Direction;
use crate::core::path::DisplayPath;
use crate::engine::context::{Context, UnderWay};
use crate::engine::delete::guard::{CollectedDeletes, sorted};
use crate::engine::item::{Delete, is_same_file};
use crate::engine::stable_read;
use crate::engine::upload::folders_above::FoldersAbove;
use crate::error::Result;
use crate::index::{Base, BaseFile};

/// Deletes that wait.
#[derive(Default)]
pub(crate) struct Halves {
    waiting: Vec<Delete>,
}

impl Halves {
    /// Of the collected deletes leaves those that are to be done: what was renamed is gone already,
    /// and what waits for its other half is kept here.
    ///
    /// # Errors
    /// What the index says.
    pub(crate) fn hold_back(
        &mut self,
        cx: &mut Context<'_>,
        collected: &mut CollectedDeletes,
    ) -> Result<()> {
        cx.flush_settles()?;
        let by_size = by_size(cx);
        collected.retain(&mut |delete| {
            if is_done(cx, &delete)? {
                return Ok(None);
            }
            if other_half(cx, &by_size, &delete).is_none() {
                return Ok(Some(delete));
            }
            self.waiting.push(delete);
            Ok(None)
        })?;
        // A folder is not empty as long as something in it waits.
        let holding = Holding::of(&self.waiting);
        collected.retain(&mut |delete| {
            if holding.has(&delete) {
                self.waiting.push(delete);
                return Ok(None);
            }
            Ok(Some(delete))
        })
    }

    /// What has waited long enough, since its other half is there; the rest is told.
    ///
    /// # Errors
    /// What the index says.
    pub(crate) fn let_go(&mut self, cx: &mut Context<'_>) -> Result<Vec<Delete>> {
        if self.waiting.is_empty() {
            return Ok(Vec::new());
        }
        cx.flush_settles()?;
        let by_size = by_size(cx);
        let (mut deletes, mut stay) = (Vec::new(), Vec::new());
        for delete in std::mem::take(&mut self.waiting) {
            if is_done(cx, &delete)? {
                continue;
            }
            match other_half(cx, &by_size, &delete) {
                Some(new) => {
                    tell(cx, &delete, &new);
                    stay.push(delete);
                }
                None => deletes.push(delete),
            }
        }
        let holding = Holding::of(&stay);
        deletes.retain(|delete| !holding.has(delete));
        Ok(sorted(deletes))
    }
}

/// The folders that hold what waits, on either side.
#[derive(Default)]
struct Holding {
    here: FoldersAbove,
    there: FoldersAbove,
}

impl Holding {
    fn of(waiting: &[Delete]) -> Holding {
        let mut holding = Holding::default();
        for Delete { direction, item } in waiting {
            let side = match direction {
                Direction::Down => &mut holding.here,
                Direction::Up => &mut holding.there,
            };
            side.note(&item.row.key);
        }
        holding
    }

    fn has(&self, delete: &Delete) -> bool {
        let side = match delete.direction {
            Direction::Down => &self.here,
            Direction::Up => &self.there,
        };
        side.contains(&delete.item.row.key)
    }
}

fn by_size(cx: &Context<'_>) -> HashMap<u64, Vec<UnderWay>> {
    let mut by_size: HashMap<_, Vec<UnderWay>> = HashMap::new();
    for under_way in cx.under_way.values() {
        let same = by_size.entry(under_way.size).or_default();
        same.push(under_way.clone());
    }
    by_size
}

/// Nothing is agreed on under this name any more: a rename took it along.
fn is_done(cx: &Context<'_>, delete: &Delete) -> Result<bool> {
    let row = cx.env.index.row(&delete.item.row.key)?;
    Ok(row.is_none_or(|row| row.intact && row.base == Base::None))
}

/// What is to get to the side of the delete and has its content, or may have.
fn other_half(
    cx: &Context<'_>,
    by_size: &HashMap<u64, Vec<UnderWay>>,
    delete: &Delete,
) -> Option<DisplayPath> {
    let base = delete
        .item
        .row
        .base_file()
        .filter(|base| base.stamp.size > 0)?;
    let half = by_size.get(&base.stamp.size)?.iter().find(|under_way| {
        under_way.direction == delete.direction && is_half(cx, under_way, base)
    })?;
    Some(half.display_path.clone())
}

fn is_half(cx: &Context<'_>, under_way: &UnderWay, base: &BaseFile) -> bool {
    if let Some(hash) = under_way.hash {
        return hash == base.hash;
    }
    if under_way
        .stamp
        .is_some_and(|stamp| is_same_file(&stamp, &base.stamp))
    {
        return true;
    }
    match &under_way.path {
        // What cannot be read may be it.
        Some(path) => {
            !stable_read::hash(cx.env.disk, path).is_ok_and(|(hash, _)| hash != base.hash)
        }
        None => true,
    }
}

fn tell(cx: &Context<'_>, delete: &Delete, new: &DisplayPath) {
    let text = match delete.direction {
        Direction::Up => format!(
            "it is {new} here now, which has not arrived in Dropbox: until it has, it stays there \
             under its old name"
        ),
        Direction::Down => format!(
            "it is {new} in Dropbox now, which has not arrived here: until it has, it stays here \
             under its old name"
        ),
    };
    cx.env.report.problem(&delete.item.display_path, &text);
}
