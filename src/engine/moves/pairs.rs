//! New files here, paired with those of the same content that are gone here.

use std::collections::{HashMap, HashSet};

use crate::core::content_hash::ContentHash;
use crate::core::decide::{Action, Direction};
use crate::core::remote::RemotePath;
use crate::dropbox::batch::Relocation;
use crate::dropbox::wire::WriteMode;
use crate::engine::context::Context;
use crate::engine::item::{Item, Local, is_same_file};
use crate::engine::local_dir::{LocalDir, OpenDir, find_local_dir, item_at, open_dir};
use crate::engine::observe::plan_for;
use crate::engine::stable_read;
use crate::engine::upload::queue::PendingUpload;
use crate::error::Result;
use crate::index::Row;
use crate::io::stat::Stamp;

/// LIMIT: files that are gone here, of the sizes looked for, which one search keeps in mind.
const GONE_MAX: usize = 4000;

/// LIMIT: searches that find nothing gone; each reads the whole index. After a first upload that
/// broke off there would be one for every thousand files.
const SEARCHES_IN_VAIN_MAX: u32 = 8;

/// A new file whose content Dropbox has under the name of a gone one.
pub(crate) struct Renamed {
    pub(super) file: PendingUpload,
    pub(super) old: Item,
    pub(super) hash: ContentHash,
    pub(super) stamp: Stamp,
    pub(super) read_at_ns: i128,
    pub(super) relocation: Relocation,
}

impl Renamed {
    /// Its old and its new path in Dropbox.
    pub(super) fn paths(&self, cx: &Context<'_>) -> (RemotePath, RemotePath) {
        let root = &cx.env.remote_root;
        (
            root.of_row(&self.old.row),
            root.at(&self.file.item.display_path),
        )
    }

    /// The file under its new name.
    pub(crate) fn file(&self) -> &PendingUpload {
        &self.file
    }

    /// The file under its old name.
    pub(crate) fn old(&self) -> &Item {
        &self.old
    }

    /// Whether the old name goes.
    pub(crate) fn is_move(&self) -> bool {
        self.relocation == Relocation::Move
    }
}

/// Finds the files that are gone here and that Dropbox still holds as the base says.
#[derive(Default)]
pub(crate) struct GoneLocally<'d> {
    /// Searches that found none.
    found_nothing: u32,
    /// The directory the last one lies in.
    opened: Option<(String, Option<OpenDir<'d>>)>,
}

impl<'d> GoneLocally<'d> {
    /// Which of these files were only renamed here; the others come back.
    ///
    /// # Errors
    /// What the index says.
    pub(crate) fn pairs(
        &mut self,
        cx: &mut Context<'d>,
        files: Vec<PendingUpload>,
    ) -> Result<(Vec<Renamed>, Vec<PendingUpload>)> {
        let (mut renamed, mut left) = (Vec::new(), Vec::new());
        if self.found_nothing >= SEARCHES_IN_VAIN_MAX {
            return Ok((renamed, files));
        }
        let sizes: HashSet<u64> = files
            .iter()
            .filter(|file| is_new(file))
            .map(|file| file.observed.stamp.size)
            .collect();
        let mut gone = gone_files(cx, &sizes)?;
        self.found_nothing += u32::from(gone.is_empty());
        // The very files first: what has their content beside them is a copy.
        let (the_same, others): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| {
            let stamp = &file.observed.stamp;
            let same_size = gone.get(&stamp.size);
            same_size.is_some_and(|gone| gone.iter().any(|gone| gone.is_it(stamp)))
        });
        for file in the_same.into_iter().chain(others) {
            match self.origin(cx, &file, &mut gone) {
                Some((old, hash, stamp, read_at_ns, relocation)) => renamed.push(Renamed {
                    file,
                    old,
                    hash,
                    stamp,
                    read_at_ns,
                    relocation,
                }),
                None => left.push(file),
            }
        }
        Ok((renamed, left))
    }

    /// Where Dropbox has the content of a new file; it is read only if a gone one had its size.
    fn origin(
        &mut self,
        cx: &mut Context<'d>,
        file: &PendingUpload,
        gone: &mut HashMap<u64, Vec<Gone>>,
    ) -> Option<(Item, ContentHash, Stamp, i128, Relocation)> {
        if !is_new(file) {
            return None;
        }
        let candidates = gone.get_mut(&file.observed.stamp.size)?;
        let read_at_ns = cx.env.host.now_ns();
        let (hash, stamp) =
            stable_read::hash(cx.env.disk, &file.item.path().ok()?, cx.env.deadline).ok()?;
        let mut places: Vec<usize> = (0..candidates.len())
            .filter(|at| candidates[*at].hash() == Some(hash))
            .collect();
        // The very file first, then one of the same name; one that is taken can be copied.
        places.sort_by_key(|at| {
            let gone = &candidates[*at];
            (
                gone.is_taken,
                !gone.is_it(&stamp),
                gone.row.key.name != file.item.row.key.name,
            )
        });
        for at in places {
            let candidate = &mut candidates[at];
            let Some(old) = self.is_to_go(cx, candidate) else {
                continue;
            };
            let relocation = if std::mem::replace(&mut candidate.is_taken, true) {
                Relocation::Copy
            } else {
                Relocation::Move
            };
            return Some((old, hash, stamp, read_at_ns, relocation));
        }
        None
    }

    /// The item of a file that is gone here, if it would be deleted in Dropbox.
    fn is_to_go(&mut self, cx: &mut Context<'d>, gone: &Gone) -> Option<Item> {
        let dir = &gone.row.key.dir;
        if self.opened.as_ref().is_none_or(|(opened, _)| opened != dir) {
            let opened = open_dir(cx, dir).ok()?.dir();
            self.opened = Some((dir.clone(), opened));
        }
        let opened: Option<&OpenDir<'_>> = self.opened.as_ref().and_then(|(_, dir)| dir.as_ref());
        let item = item_at(cx, opened?, gone.row.clone())?;
        let plan = plan_for(cx, &item);
        let goes = matches!(plan, Some((Action::DeleteRemote, _)));
        (goes && item.local == Local::Gone && cx.may(Direction::Up)).then_some(item)
    }
}

/// A file that is gone here.
struct Gone {
    row: Row,
    /// A new file has taken its place in Dropbox; others can be copied from it.
    is_taken: bool,
}

impl Gone {
    fn hash(&self) -> Option<ContentHash> {
        self.row.base_file().map(|base| base.hash)
    }

    /// Whether a file with this stamp is this one under another name.
    fn is_it(&self, stamp: &Stamp) -> bool {
        let base = self.row.base_file();
        base.is_some_and(|base| is_same_file(&base.stamp, stamp))
    }
}

/// The files of these sizes that are in step but for being gone here, by size.
fn gone_files(cx: &Context<'_>, sizes: &HashSet<u64>) -> Result<HashMap<u64, Vec<Gone>>> {
    let mut found: HashMap<u64, Vec<Gone>> = HashMap::new();
    let mut local_dir: Option<(String, LocalDir)> = None;
    let mut count = 0;
    cx.env.index.each_in_step(sizes, &mut |row| {
        if local_dir
            .as_ref()
            .is_none_or(|(dir, _)| *dir != row.key.dir)
        {
            local_dir = Some((row.key.dir.clone(), find_local_dir(cx, &row.key.dir)?));
        }
        let is_gone = match local_dir.as_ref().map(|(_, local_dir)| local_dir) {
            Some(LocalDir::Absent(..)) => true,
            Some(LocalDir::Present(dir, _)) => {
                let path = dir.join(row.local_name());
                path.is_ok_and(|path| matches!(cx.env.disk.status(&path), Ok(None)))
            }
            _ => false,
        };
        if is_gone && let Some(base) = row.base_file() {
            count += 1;
            let size = base.stamp.size;
            found.entry(size).or_default().push(Gone {
                row,
                is_taken: false,
            });
        }
        Ok(count < GONE_MAX)
    })?;
    Ok(found)
}

/// Neither side had it before, so it may be another file's new name.
pub(crate) fn is_new(file: &PendingUpload) -> bool {
    file.mode == WriteMode::Add && file.item.row.is_empty() && file.observed.stamp.size > 0
}
