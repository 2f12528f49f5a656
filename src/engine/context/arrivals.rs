//! What is to get to a side and is not there yet, what has arrived, and the deletes that wait for
//! it.

use super::Context;
use crate::core::content_hash::ContentHash;
use crate::core::decide::Direction;
use crate::core::path::{DisplayPath, Key, RelPath};
use crate::engine::item::{Delete, Item, Local};
use crate::error::Result;
use crate::index::{HeldState, Row};
use crate::io::stat::{Kind, Status};

impl<'a> Context<'a> {
    /// Whether files with a base were gone in Dropbox when this was first asked: the tables of the
    /// pass have them then.
    ///
    /// # Errors
    /// What SQLite says.
    pub(crate) fn has_gone_there(&self) -> Result<bool> {
        if let Some(has) = self.has_gone.get() {
            return Ok(*has);
        }
        let mut has = false;
        if self.had_base {
            self.env.index.each_gone_remotely(&mut |row| {
                has = true;
                match row.base_file() {
                    Some(base) => self.tables()?.add_gone_there(&row.key, base.hash),
                    None => Ok(()),
                }
            })?;
        }
        if has {
            self.tables()?.finish_gone_there()?;
        }
        Ok(*self.has_gone.get_or_init(|| has))
    }

    /// A delete is not carried out, or not yet.
    ///
    /// # Errors
    /// What SQLite says.
    pub(crate) fn hold(&mut self, direction: Direction, key: &Key, state: HeldState) -> Result<()> {
        self.has_held = true;
        self.tables()?.hold(direction, key, state)
    }

    /// Whether a plan moves the file of this key, which is not deleted then.
    ///
    /// # Errors
    /// What SQLite says.
    pub(crate) fn is_moved(&self, direction: Direction, key: &Key) -> Result<bool> {
        let was_moved = Some(HeldState::WasMoved);
        Ok(self.has_held && self.tables()?.held(direction, key)? == was_moved)
    }

    /// Whether deletes wait for anything.
    pub(crate) fn has_held(&self) -> bool {
        self.has_held
    }

    /// Whether a delete waits for something, or what is in a folder does, which is not empty then.
    ///
    /// # Errors
    /// What SQLite says.
    pub(crate) fn is_held_back(&self, delete: &Delete) -> Result<bool> {
        let Delete { direction, item } = delete;
        let key = &item.row.key;
        Ok(self.has_held
            && (self.tables()?.held(*direction, key)?.is_some()
                || (item.row.base_file().is_none()
                    && self.tables()?.holds_below(*direction, key)?)))
    }

    /// A file is to get to a side: what has its content there under another name stays until then.
    pub(crate) fn note_under_way(&mut self, direction: Direction, item: &Item) {
        match (direction, item.local) {
            (Direction::Up, Local::File(status)) => {
                let key = item.row.key.clone();
                let path = item.path().ok();
                self.note_local_file(key, &item.display_path, path, &status);
            }
            (Direction::Down, _) => self.note_remote_file(&item.row, &item.display_path),
            _ => {}
        }
    }

    /// The same of a file that is here under `key`, at `path` if it can be opened.
    pub(crate) fn note_local_file(
        &mut self,
        key: Key,
        display_path: &DisplayPath,
        path: Option<RelPath>,
        status: &Status,
    ) {
        if self.had_base && status.kind == Kind::File {
            self.under_way.note_here(key, display_path, path, status);
            self.bound_under_way();
        }
    }

    /// The same of a file that Dropbox holds.
    pub(crate) fn note_remote_file(&mut self, row: &Row, display_path: &DisplayPath) {
        if let Some(remote) = row.remote_file().filter(|_| self.had_base) {
            self.under_way.note_there(&row.key, display_path, &remote);
            self.bound_under_way();
        }
    }

    /// Where more is under way at a time than two batches, it is what fails.
    fn bound_under_way(&mut self) {
        if self.under_way.kept() < self.env.batch_max() {
            return;
        }
        let mut under_way = std::mem::take(&mut self.under_way);
        let moved = self.tables().and_then(|tables| under_way.move_into(tables));
        self.under_way = under_way;
        if let Err(error) = moved {
            log::debug!("{error}");
        }
    }

    /// What is here cannot go up, though it may as far as the filters are concerned, and neither
    /// can all that is in it.
    pub(crate) fn note_blocked(&mut self, item: &Item) {
        match (item.local, item.path()) {
            (Local::Folder { .. }, Ok(path)) => self.note_blocked_folder(path),
            (Local::Folder { .. }, Err(_)) => self.note_unseen(&item.display_path),
            _ if self.may_go_up(&item.display_path, &item.local_spelling()) => {
                self.note_under_way(Direction::Up, item);
            }
            _ => {}
        }
    }

    /// All that is in this local folder is to go up, and does not.
    pub(crate) fn note_blocked_folder(&mut self, path: RelPath) {
        if self.had_base {
            self.under_way.note_folder(path);
        }
    }

    /// What is here at this path cannot be looked at: anything may be there.
    pub(crate) fn note_unseen(&mut self, shown: &str) {
        if self.had_base && self.under_way.unseen.is_none() {
            self.under_way.unseen = Some(shown.to_owned());
        }
    }

    /// It is there.
    pub(crate) fn note_done(&mut self, key: &Key) {
        self.under_way.note_done(key);
        if self.under_way.are_more()
            && let Err(error) = self.tables().and_then(|tables| tables.drop_under_way(key))
        {
            // A delete waits in vain for it.
            log::debug!("{error}");
        }
        let index = self.env.index;
        self.remembered.drop_done(index, key);
    }

    /// A file with this content arrived on a side.
    pub(crate) fn note_arrival(&mut self, direction: Direction, hash: ContentHash) {
        // Without a base nothing can be deleted, and so nothing be moved.
        match direction {
            _ if !self.had_base => {}
            Direction::Up => self.arrived_up.note(hash),
            Direction::Down => self.arrived_down.note(hash),
        }
    }

    /// Content that a pass that broke off has brought, the other name of a file that was moved.
    pub(crate) fn note_earlier_arrival(&mut self, hash: ContentHash) {
        if self.had_base {
            self.arrived_up.note_once(hash);
            self.arrived_down.note_once(hash);
        }
    }
}
