//! New files here, paired with those of the same content that are gone here.

use std::collections::HashSet;

use super::folders::GoneHere;
use crate::core::content_hash::ContentHash;
use crate::core::decide::Direction;
use crate::core::remote::RemotePath;
use crate::dropbox::batch::Relocation;
use crate::dropbox::wire::WriteMode;
use crate::engine::context::Context;
use crate::engine::item::{Delete, Item};
use crate::engine::revisit::Revisit;
use crate::engine::stable_read;
use crate::engine::upload::queue::PendingUpload;
use crate::error::Result;
use crate::io::stat::Stamp;

/// A new file whose content Dropbox has under the name of a gone one.
pub(crate) struct Renamed {
    pub(super) file: PendingUpload,
    pub(super) origin: Origin,
}

/// Where the content of a new file is in Dropbox.
pub(super) struct Origin {
    pub(super) old: Item,
    pub(super) hash: ContentHash,
    pub(super) stamp: Stamp,
    pub(super) read_at_ns: i128,
    pub(super) relocation: Relocation,
    /// The old name in the tables of the pass.
    pub(super) id: i64,
}

impl Renamed {
    /// Its old and its new path in Dropbox.
    pub(super) fn paths(&self, cx: &Context<'_>) -> (RemotePath, RemotePath) {
        let root = &cx.env.remote_root;
        (
            root.of_row(&self.origin.old.row),
            root.at(&self.file.item.display_path),
        )
    }

    /// The file under its new name.
    pub(crate) fn file(&self) -> &PendingUpload {
        &self.file
    }

    /// The file under its old name.
    pub(crate) fn old(&self) -> &Item {
        &self.origin.old
    }

    /// Whether the old name goes.
    pub(crate) fn is_move(&self) -> bool {
        self.origin.relocation == Relocation::Move
    }
}

/// Which files that are gone here are looked for.
#[derive(Clone, Copy)]
pub(crate) enum LookFor<'l> {
    /// Those among the deletes: the walk is over, and these are all.
    Among(&'l [Delete]),
    /// Those as large as one of the new files: there are no others.
    AsLarge,
    /// All.
    All,
}

impl<'l> LookFor<'l> {
    /// What to look for when the walk is over or not, with all deletes, if there was memory for
    /// them. Where deletes are kept, what is gone is among none.
    pub(crate) fn at_this_point(
        cx: &Context<'_>,
        is_walk_over: bool,
        deletes: Option<&'l [Delete]>,
    ) -> LookFor<'l> {
        let keeps = cx.keeps_deletes();
        match (is_walk_over, deletes) {
            (true, Some(deletes)) if !keeps => LookFor::Among(deletes),
            (true, _) => LookFor::AsLarge,
            (false, _) => LookFor::All,
        }
    }
}

/// Finds the files that are gone here and that Dropbox still holds as the base says.
#[derive(Default)]
pub(crate) struct GoneLocally<'d> {
    /// How many the tables of the pass hold, once they were looked for.
    found: Option<u64>,
    revisit: Revisit<'d>,
}

impl<'d> GoneLocally<'d> {
    /// Looks for what is gone, once in a pass, and sorts new files: the very files that are gone
    /// come first. What has their content beside them is a copy.
    ///
    /// # Errors
    /// What the index says.
    pub(crate) fn look_for(
        &mut self,
        cx: &Context<'d>,
        files: &mut [PendingUpload],
        gone: LookFor<'_>,
    ) -> Result<()> {
        let found = match self.found {
            Some(found) => found,
            None => *self.found.insert(match gone {
                LookFor::Among(deletes) => gone_of(cx, deletes)?,
                LookFor::All => gone_anywhere(cx, None)?,
                LookFor::AsLarge => {
                    let new = files.iter().filter(|file| is_new(file));
                    let sizes = new.map(|file| file.observed.stamp.size).collect();
                    gone_anywhere(cx, Some(&sizes))?
                }
            }),
        };
        if found == 0 {
            return Ok(());
        }
        let mut is_another = HashSet::new();
        for file in files.iter() {
            if !is_new(file) || !cx.tables()?.is_gone_here(&file.observed.stamp)? {
                is_another.insert(file.item.row.key.clone());
            }
        }
        files.sort_by_cached_key(|file| is_another.contains(&file.item.row.key));
        Ok(())
    }

    /// Which of these files were only renamed here; the others come back.
    ///
    /// # Errors
    /// What the index says.
    pub(crate) fn pairs(
        &mut self,
        cx: &mut Context<'d>,
        files: Vec<PendingUpload>,
    ) -> Result<(Vec<Renamed>, Vec<PendingUpload>)> {
        if self.found.is_none_or(|found| found == 0) {
            return Ok((Vec::new(), files));
        }
        let (mut renamed, mut left) = (Vec::new(), Vec::new());
        for file in files {
            match self.origin(cx, &file)? {
                Some(origin) => renamed.push(Renamed { file, origin }),
                None => left.push(file),
            }
        }
        Ok((renamed, left))
    }

    /// Where Dropbox has the content of a new file; it is read only if a gone one had its size.
    fn origin(&mut self, cx: &mut Context<'d>, file: &PendingUpload) -> Result<Option<Origin>> {
        if !is_new(file) || !cx.tables()?.has_gone_here(file.observed.stamp.size)? {
            return Ok(None);
        }
        let Ok(path) = file.item.path() else {
            return Ok(None);
        };
        let read_at_ns = stable_read::begin(cx.env.host, cx.env.deadline, &file.observed.stamp);
        let Ok((hash, stamp)) = stable_read::hash(cx.env.disk, &path, cx.env.deadline) else {
            return Ok(None);
        };
        let name = &file.item.row.key.name;
        while let Some(gone) = cx.tables()?.best_gone_here(hash, &stamp, name)? {
            let Some(old) = self.revisit.gone_here(cx, &gone.key)? else {
                cx.tables()?.drop_gone_here(gone.id)?;
                continue;
            };
            // What is kept gives its name to nothing but the very file.
            let is_kept = cx.keeps_deletes() && !gone.is_the_same;
            let relocation = match gone.is_taken || is_kept {
                true => Relocation::Copy,
                false => Relocation::Move,
            };
            if relocation == Relocation::Move {
                cx.tables()?.take_gone_here(gone.id, true)?;
            }
            return Ok(Some(Origin {
                old,
                hash,
                stamp,
                read_at_ns,
                relocation,
                id: gone.id,
            }));
        }
        Ok(None)
    }
}

/// Notes the files among the deletes in Dropbox; says how many there are.
fn gone_of(cx: &Context<'_>, deletes: &[Delete]) -> Result<u64> {
    let mut count = 0;
    for Delete { direction, item } in deletes {
        if let (Direction::Up, Some(base)) = (direction, item.row.base_file()) {
            let tables = cx.tables()?;
            tables.add_gone_here(&item.row.key, base.hash, &base.stamp)?;
            count += 1;
        }
    }
    if count > 0 {
        cx.tables()?.finish_gone_here()?;
    }
    Ok(count)
}

/// Notes the files that are in step but for being gone here, of these sizes if any are asked for;
/// says how many there are.
fn gone_anywhere(cx: &Context<'_>, sizes: Option<&HashSet<u64>>) -> Result<u64> {
    let (mut gone_here, mut count) = (GoneHere::default(), 0);
    cx.env.index.each_in_step(&mut |row| {
        cx.env.deadline.check()?;
        let size = row.base_file().map_or(0, |base| base.stamp.size);
        if sizes.is_some_and(|sizes| !sizes.contains(&size)) {
            return Ok(());
        }
        if let (true, Some(base)) = (gone_here.is_gone(cx, &row)?, row.base_file()) {
            cx.tables()?
                .add_gone_here(&row.key, base.hash, &base.stamp)?;
            count += 1;
        }
        Ok(())
    })?;
    if count > 0 {
        cx.tables()?.finish_gone_here()?;
    }
    Ok(count)
}

/// Neither side had it before, so it may be another file's new name.
pub(crate) fn is_new(file: &PendingUpload) -> bool {
    file.mode == WriteMode::Add && file.item.row.is_empty() && file.observed.stamp.size > 0
}
