//! A delete that is half of a rename waits for the other half: what has its content and is to get
//! to the same side has to be there first. Else the only copy on that side would go with the old
//! name.

use std::collections::{BTreeMap, HashMap};

use super::waits::{Half, Other, WaitingDelete, is_in_the_way, without_cycles};
use crate::core::content_hash::ContentHash;
use crate::core::decide::Direction;
use crate::core::path::{DisplayPath, Key, RelPath};
use crate::engine::context::Context;
use crate::engine::delete::guard::{CollectedDeletes, sorted};
use crate::engine::item::{Delete, is_same_file, spelling};
use crate::engine::stable_read;
use crate::engine::under_way::FileUnderWay;
use crate::engine::upload::folders_above::FoldersAbove;
use crate::error::Result;
use crate::index::Base;
use crate::io::stat::{Kind, Stamp};
use crate::report::printable;

/// Deletes that wait.
#[derive(Default)]
pub(crate) struct Halves {
    waiting: Vec<Delete>,
    /// Those that are not done in this pass.
    staying: Vec<Delete>,
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
        let mut others = OtherHalves::of(cx);
        let mut held = Vec::new();
        collected.retain(&mut |delete| {
            if is_done(cx, &delete)? {
                return Ok(None);
            }
            match others.of_delete(cx, &delete) {
                Other::None => return Ok(Some(delete)),
                other => held.push(WaitingDelete { delete, other }),
            }
            Ok(None)
        })?;
        // What has to make way for its own other half cannot wait for it.
        let (free, held) = without_cycles(held);
        collected.put_back(free);
        for WaitingDelete { delete, other } in held {
            match other {
                Other::Content(_) => self.waiting.push(delete),
                // What it has become may be lost if it is deleted, and is not what is deleted.
                other => {
                    tell(cx, &delete, &other);
                    self.staying.push(delete);
                }
            }
        }
        // A folder is not empty as long as something in it waits.
        let waiting = Holding::of(&self.waiting);
        let staying = Holding::of(&self.staying);
        collected.retain(&mut |delete| {
            if staying.has(&delete) {
                return Ok(None);
            }
            if waiting.has(&delete) {
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
        let mut others = OtherHalves::of(cx);
        let (mut deletes, mut stay) = (Vec::new(), Vec::new());
        for delete in std::mem::take(&mut self.waiting) {
            if is_done(cx, &delete)? {
                continue;
            }
            match others.of_delete(cx, &delete) {
                Other::None => deletes.push(delete),
                other => {
                    tell(cx, &delete, &other);
                    stay.push(delete);
                }
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

/// Nothing is agreed on under this name any more: a rename took it along.
fn is_done(cx: &Context<'_>, delete: &Delete) -> Result<bool> {
    let row = cx.env.index.row(&delete.item.row.key)?;
    Ok(row.is_none_or(|row| row.intact && row.base == Base::None))
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
