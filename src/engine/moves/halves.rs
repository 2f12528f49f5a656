//! A delete that is half of a rename waits for the other half: what has its content and is to get
//! to the same side has to be there first. Else the only copy on that side would go with the old
//! name.

use super::waits::{Other, WaitingDelete, is_in_the_way, without_cycles};
use crate::core::decide::Direction;
use crate::core::path::{DisplayPath, Key, RelPath};
use crate::engine::collected::Collected;
use crate::engine::context::Context;
use crate::engine::delete::guard::is_done;
use crate::engine::item::{Delete, spelling};
use crate::engine::revisit::Revisit;
use crate::engine::stable_read;
use crate::engine::under_way::FileUnderWay;
use crate::error::Result;
use crate::index::{Arriving, BaseFile, HeldState};
use crate::io::stat::Kind;
use crate::report::{Trouble, printable};

/// LIMIT: deletes that wait for each other are found among so many.
const LOOKED_AT_MAX: usize = 1000;

/// Holds those of the collected deletes back that wait for their other half.
///
/// # Errors
/// What the index says; whatever ends a walk.
pub(crate) fn hold_back<'a>(cx: &mut Context<'a>, collected: &Collected<'a, Delete>) -> Result<()> {
    cx.flush_settles()?;
    if cx.under_way.is_empty() || collected.is_empty() {
        return Ok(());
    }
    let others = OtherHalves::of(cx)?;
    let mut held = Vec::new();
    collected.each(cx, &mut |cx, delete| {
        let is_done =
            is_done(cx, &delete)? || cx.is_moved(delete.direction, &delete.item.row.key)?;
        let other = match is_done {
            true => Other::None,
            false => others.of_delete(cx, &delete)?,
        };
        let state = match &other {
            Other::None => return Ok(()),
            Other::Content(_) => HeldState::Waits,
            // What it has become may be lost if it is deleted, and is not what is deleted.
            Other::Edited(_) | Other::Unseen(_) => HeldState::Stays,
        };
        cx.hold(delete.direction, &delete.item.row.key, state)?;
        let delete = WaitingDelete { delete, other };
        match held.len() < LOOKED_AT_MAX {
            true => held.push(delete),
            false => tell_if_it_stays(cx, &delete),
        }
        Ok(())
    })?;
    // What has to make way for its own other half cannot wait for it.
    let (free, held) = without_cycles(held);
    for Delete { direction, item } in &free {
        cx.tables()?.release(*direction, &item.row.key)?;
    }
    held.iter().for_each(|delete| tell_if_it_stays(cx, delete));
    Ok(())
}

/// Of what waits, what may go by now, since its other half is there; the rest is told.
///
/// # Errors
/// What the index says.
pub(crate) fn let_go<'a>(cx: &mut Context<'a>) -> Result<()> {
    cx.flush_settles()?;
    let others = OtherHalves::of(cx)?;
    let mut revisit = Revisit::default();
    let mut last = None;
    loop {
        let waiting = cx.tables()?.next_held(HeldState::Waits, last.as_ref())?;
        let Some(end) = waiting.last() else {
            return Ok(());
        };
        last = Some(end.clone());
        for (direction, key) in waiting {
            let Some(delete) = revisit.delete(cx, direction, &key)? else {
                cx.tables()?.release(direction, &key)?;
                continue;
            };
            let state = match others.of_delete(cx, &delete)? {
                Other::None => HeldState::IsFree,
                other => {
                    tell(cx, &delete, &other);
                    HeldState::Stays
                }
            };
            cx.hold(direction, &key, state)?;
        }
    }
}

/// Takes some of those that may go.
///
/// # Errors
/// What the index says.
pub(crate) fn take_free<'a>(cx: &mut Context<'a>) -> Result<Option<Vec<Delete>>> {
    let free = cx.tables()?.next_held(HeldState::IsFree, None)?;
    if free.is_empty() {
        return Ok(None);
    }
    let mut revisit = Revisit::default();
    let mut deletes = Vec::new();
    for (direction, key) in free {
        deletes.extend(revisit.delete(cx, direction, &key)?);
        cx.tables()?.release(direction, &key)?;
    }
    Ok(Some(deletes))
}

fn tell_if_it_stays(cx: &Context<'_>, delete: &WaitingDelete) {
    if !matches!(delete.other, Other::Content(_)) {
        tell(cx, &delete.delete, &delete.other);
    }
}

/// What is under way, as deletes ask for it: all of it is in the tables of the pass.
struct OtherHalves {
    unseen: Option<String>,
}

impl OtherHalves {
    fn of(cx: &mut Context<'_>) -> Result<OtherHalves> {
        let mut under_way = std::mem::take(&mut cx.under_way);
        let moved = cx.tables().and_then(|tables| under_way.move_into(tables));
        cx.under_way = under_way;
        moved?;
        let mut others = OtherHalves {
            unseen: cx.under_way.unseen.clone(),
        };
        for folder in &cx.under_way.folders {
            others.add_folder(cx, folder.clone())?;
        }
        Ok(others)
    }

    /// All that may travel of what is in a local folder.
    fn add_folder(&mut self, cx: &Context<'_>, folder: RelPath) -> Result<()> {
        let filter = &cx.env.config.sync.filter;
        let mut dirs = vec![folder];
        while let Some(dir) = dirs.pop() {
            let Ok(listing) = cx.env.disk.list(&dir) else {
                self.unseen.get_or_insert_with(|| dir.slashed());
                continue;
            };
            for name in listing.names.iter() {
                let shown = spelling(&dir, name);
                // A glob may be for folders alone, or take back folders alone.
                if filter.prunes(&shown) && filter.prunes_folder(&shown) {
                    continue;
                }
                let (Ok(Some(status)), Ok(path)) = (listing.handle.status(name), dir.join(name))
                else {
                    self.unseen.get_or_insert(shown);
                    continue;
                };
                match status.kind {
                    Kind::Folder if filter.prunes_folder(&shown) => {}
                    Kind::Folder => dirs.push(path),
                    Kind::File
                        if filter.allows(&shown).up && !cx.is_too_large(status.stamp.size) =>
                    {
                        let key = Key::of(shown.trim_start_matches('/'));
                        let file = FileUnderWay {
                            display_path: DisplayPath::from(shown),
                            path: Some(path),
                            size: status.stamp.size,
                            hash: None,
                            stamp: Some(status.stamp),
                        };
                        file.put(cx.tables()?, Direction::Up, &key)?;
                    }
                    Kind::File | Kind::Link | Kind::Special(_) => {}
                }
            }
        }
        Ok(())
    }

    /// What is to get to the side of the delete and is what is deleted, or may be.
    fn of_delete(&self, cx: &Context<'_>, delete: &Delete) -> Result<Other> {
        let base = delete.item.row.base_file();
        let Some(base) = base.filter(|base| base.stamp.size > 0) else {
            return Ok(Other::None);
        };
        let is_up = delete.direction == Direction::Up;
        let it = match is_up {
            true => cx.tables()?.under_way_of(&base.stamp)?,
            false => None,
        };
        if let Some((it, true)) = it {
            return Ok(Other::Content(it));
        }
        if let Some(other) = find(cx, delete, base)? {
            return Ok(Other::Content(other));
        }
        Ok(match (it, &self.unseen) {
            (Some((it, _)), _) => Other::Edited(it),
            (None, Some(unseen)) if is_up => Other::Unseen(unseen.clone()),
            (None, _) => Other::None,
        })
    }
}

/// What is under way with the content of a base, or may have it; rather one that can arrive while
/// what is deleted is still there. What is in files of its size is read once that is asked for.
fn find(cx: &Context<'_>, delete: &Delete, base: &BaseFile) -> Result<Option<Arriving>> {
    let (direction, size) = (delete.direction, base.stamp.size);
    loop {
        let unread = cx.tables()?.unread_under_way(direction, size)?;
        if unread.is_empty() {
            break;
        }
        for (id, path) in unread {
            let path = path.and_then(|path| RelPath::parse(&path).ok());
            let read = |path| stable_read::hash(cx.env.disk, &path, cx.env.deadline).ok();
            let hash = path.and_then(read).map(|(hash, _)| hash);
            cx.tables()?.set_under_way(id, hash)?;
        }
    }
    let (mut first, mut other) = (None, None);
    cx.tables()?
        .each_under_way(direction, size, base.hash, &mut |found| {
            match is_in_the_way(&delete.item.row.key, &found.key) {
                true => drop(first.get_or_insert(found)),
                false => other = Some(found),
            }
            other.is_some()
        })?;
    Ok(other.or(first))
}

fn tell(cx: &Context<'_>, delete: &Delete, other: &Other) {
    if let (Direction::Up, Other::Content(new) | Other::Edited(new)) = (delete.direction, other)
        && let Ok(Some(pace)) = cx.waits_for_pace(&new.key, &new.display_path, &new.display_path)
    {
        let path = &delete.item.display_path;
        let text = format!("it is {} here now, which is {pace}", new.display_path);
        cx.env.report.waits(path, &text);
        return;
    }
    let text = match (delete.direction, other) {
        (_, Other::None) => return,
        (Direction::Up, Other::Content(new) | Other::Edited(new)) => format!(
            "it is {} here now, which has not arrived in Dropbox: until it has, it stays there \
             under its old name",
            printable(&new.display_path)
        ),
        (Direction::Down, Other::Content(new) | Other::Edited(new)) => format!(
            "it is {} in Dropbox now, which has not arrived here: until it has, it stays here \
             under its old name",
            printable(&new.display_path)
        ),
        (_, Other::Unseen(place)) => format!(
            "it may be in {} now, which cannot be looked at: until that can be, or is excluded, it \
             stays in Dropbox",
            printable(place)
        ),
    };
    cx.env
        .report
        .problem(&delete.item.display_path, Trouble::MissingThere, &text);
}
