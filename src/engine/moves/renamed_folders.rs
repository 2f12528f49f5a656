//! Folders that were only renamed here, as the walk meets them.

use super::folders::GoneHere;
use crate::core::decide::{Direction, Directions};
use crate::engine::context::Context;
use crate::engine::item::{Item, Local};
use crate::error::Result;
use crate::index::{RenamedFolder, Trees};

/// Folders here of which nothing is known, and which are gone ones.
#[derive(Default)]
pub(crate) struct RenamedFolders {
    /// Whether folders are gone here, once that was asked for: the tables of the pass have them.
    are_gone: Option<bool>,
    /// The round of the walk.
    round: u32,
    /// Some were found in it.
    are_found: bool,
}

impl RenamedFolders {
    /// Whether a folder of which nothing is known is one that is gone here: then it is left for
    /// after the walk.
    ///
    /// # Errors
    /// What the index says.
    pub(crate) fn meets(&mut self, cx: &Context<'_>, item: &Item) -> Result<bool> {
        let Local::Folder {
            mount: false,
            rights,
            ..
        } = item.local
        else {
            return Ok(false);
        };
        let is_out_of_question = cx.is_second_round || cx.is_older || cx.reset_due;
        let directions = Directions::of(cx.options.mode, cx.allows(item));
        let goes_up = matches!(directions, Directions::Both | Directions::Up);
        let may_move = cx.had_base && cx.may(Direction::Up) && goes_up && !item.blocked_up;
        if is_out_of_question || !may_move || rights.inode == 0 {
            return Ok(false);
        }
        let are_gone = match self.are_gone {
            Some(are_gone) => are_gone,
            None => *self.are_gone.insert(find_gone(cx)?),
        };
        if !are_gone || !cx.tables()?.has_gone_folder(rights.inode)? {
            return Ok(false);
        }
        let Ok(path) = item.path() else {
            return Ok(false);
        };
        let Some(from) = cx.tables()?.gone_folder(&cx.with_birth(&path, rights))? else {
            return Ok(false);
        };
        let folder = RenamedFolder {
            key: item.row.key.clone(),
            display_path: item.display_path.to_string(),
            path: path.as_str().to_owned(),
            from,
        };
        cx.tables()?.note_renamed_folder(self.round, &folder)?;
        self.are_found = true;
        Ok(true)
    }

    /// The round in which some were found, if they were; the next one begins.
    pub(crate) fn take_round(&mut self) -> Option<u32> {
        let round = self.round;
        self.round += 1;
        std::mem::take(&mut self.are_found).then_some(round)
    }
}

/// Notes the folders that are in step but for being gone here; says whether there are any.
fn find_gone(cx: &Context<'_>) -> Result<bool> {
    let (mut gone_here, mut are_gone) = (GoneHere::default(), false);
    Trees(cx.env.index).each_folder_in_step(&mut |row| {
        cx.env.deadline.check()?;
        let Some(known) = row.folder_rights.filter(|known| known.inode != 0) else {
            return Ok(());
        };
        if !row.mount && gone_here.is_gone(cx, &row)? {
            cx.tables()?.add_gone_folder(&row.key, &known)?;
            are_gone = true;
        }
        Ok(())
    })?;
    if are_gone {
        cx.tables()?.finish_gone_folders()?;
    }
    Ok(are_gone)
}
