//! A delete that is half of a rename waits for the other half: what has its content and is to get
//! to the same side has to be there first. Else the only copy on that side would go with the old
//! name.

use std::collections::{BTreeMap, HashMap};

use super::waits::{Half, Other, WaitingDelete, is_in_the_way, without_cycles};
use crate::core::content_hash::ContentHash;
use crate::core::decide::Direction;
use crate::core::path::{DisplayPath, Key, RelPath};
use crate::engine::collected::Collected;
use crate::engine::context::Context;
use crate::engine::delete::guard::is_done;
use crate::engine::item::{Delete, is_same_file, spelling};
use crate::engine::revisit::Revisit;
use crate::engine::stable_read;
use crate::engine::under_way::FileUnderWay;
use crate::error::Result;
use crate::index::HeldState;
use crate::io::stat::{Kind, Stamp};
use crate::report::printable;

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
    let mut others = OtherHalves::of(cx);
    let mut held = Vec::new();
    collected.each(cx, &mut |cx, delete| {
        let is_done =
            is_done(cx, &delete)? || cx.is_moved(delete.direction, &delete.item.row.key)?;
        let other = match is_done {
            true => Other::None,
            false => others.of_delete(cx, &delete),
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
    let mut others = OtherHalves::of(cx);
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
            let state = match others.of_delete(cx, &delete) {
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

/// What is under way, as deletes ask for it.
struct OtherHalves {
    by_inode: HashMap<u64, FileUnderWay>,
    by_size: BTreeMap<(Direction, u64), OfSize>,
    unseen: Option<String>,
}

/// Files of one size. What is in them is read once it is asked for.
#[derive(Default)]
struct OfSize {
    unread: Vec<FileUnderWay>,
    by_hash: HashMap<ContentHash, Vec<Half>>,
    /// Those whose content cannot be told.
    unknown: Vec<Half>,
}

impl OtherHalves {
    fn of(cx: &Context<'_>) -> OtherHalves {
        let mut others = OtherHalves {
            by_inode: HashMap::new(),
            by_size: BTreeMap::new(),
            unseen: cx.under_way.unseen.clone(),
        };
        for ((direction, _), file) in &cx.under_way.files {
            others.add(*direction, file.clone());
        }
        for folder in &cx.under_way.folders {
            others.add_folder(cx, folder.clone());
        }
        others
    }

    fn add(&mut self, direction: Direction, file: FileUnderWay) {
        if let Some(stamp) = file.stamp.filter(|stamp| stamp.inode != 0) {
            self.by_inode.insert(stamp.inode, file.clone());
        }
        let of_size = self.by_size.entry((direction, file.size)).or_default();
        of_size.unread.push(file);
    }

    /// All that may travel of what is in a local folder.
    fn add_folder(&mut self, cx: &Context<'_>, folder: RelPath) {
        let filter = &cx.env.config.sync.filter;
        let mut dirs = vec![folder];
        while let Some(dir) = dirs.pop() {
            let Ok(listing) = cx.env.disk.list(&dir) else {
                self.unseen.get_or_insert_with(|| dir.slashed());
                continue;
            };
            for name in listing.names.iter() {
                let shown = spelling(&dir, name);
                if filter.prunes(&shown) {
                    continue;
                }
                let (Ok(Some(status)), Ok(path)) = (listing.handle.status(name), dir.join(name))
                else {
                    self.unseen.get_or_insert(shown);
                    continue;
                };
                match status.kind {
                    Kind::Folder => dirs.push(path),
                    Kind::File if filter.allows(&shown).up => {
                        let file = FileUnderWay {
                            key: Key::of(shown.trim_start_matches('/')),
                            display_path: DisplayPath::from(shown),
                            path: Some(path),
                            size: status.stamp.size,
                            hash: None,
                            stamp: Some(status.stamp),
                        };
                        self.add(Direction::Up, file);
                    }
                    Kind::File | Kind::Link | Kind::Special => {}
                }
            }
        }
    }

    /// What is to get to the side of the delete and is what is deleted, or may be.
    fn of_delete(&mut self, cx: &Context<'_>, delete: &Delete) -> Other {
        let base = delete.item.row.base_file();
        let Some(base) = base.filter(|base| base.stamp.size > 0) else {
            return Other::None;
        };
        let is_up = delete.direction == Direction::Up;
        let it = self.by_inode.get(&base.stamp.inode).filter(|_| is_up);
        let is_same = |stamp: Stamp| is_same_file(&stamp, &base.stamp);
        if let Some(it) = it.filter(|it| it.stamp.is_some_and(is_same)) {
            return Other::Content(half_of(it));
        }
        let of_size = (delete.direction, base.stamp.size);
        let by_content = self.by_size.get_mut(&of_size);
        let key = &delete.item.row.key;
        if let Some(other) = by_content.and_then(|of_size| of_size.find(cx, base.hash, key)) {
            return Other::Content(other);
        }
        match (it, &self.unseen) {
            (Some(it), _) => Other::Edited(half_of(it)),
            (None, Some(unseen)) if is_up => Other::Unseen(unseen.clone()),
            (None, _) => Other::None,
        }
    }
}

impl OfSize {
    /// One with this content, or that may have it; rather one that can arrive while `deleted` is
    /// still there.
    fn find(&mut self, cx: &Context<'_>, hash: ContentHash, deleted: &Key) -> Option<Half> {
        for file in std::mem::take(&mut self.unread) {
            let read = |path: &RelPath| stable_read::hash(cx.env.disk, path, cx.env.deadline).ok();
            let read = || Some(read(file.path.as_ref()?)?.0);
            let found = file.hash.or_else(read);
            let half = half_of(&file);
            match found {
                Some(found) => self.by_hash.entry(found).or_default().push(half),
                None => self.unknown.push(half),
            }
        }
        let found = self.by_hash.get(&hash).into_iter().flatten();
        let mut found = found.chain(&self.unknown);
        let first = found.clone().next();
        let other = found.find(|half| !is_in_the_way(deleted, &half.key));
        other.or(first).cloned()
    }
}

fn half_of(file: &FileUnderWay) -> Half {
    Half {
        key: file.key.clone(),
        display_path: file.display_path.clone(),
    }
}

fn tell(cx: &Context<'_>, delete: &Delete, other: &Other) {
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
    cx.env.report.problem(&delete.item.display_path, &text);
}
