//! Folders that this pass has just made in Dropbox: all parts of it may not know them yet, and
//! refuse what is put into them.

use crate::core::path::Key;
use crate::dropbox::retry::LAG_TIME;
use crate::dropbox::wire::ApiError;
use crate::error::Result;
use crate::io::deadline::Deadline;
use std::collections::VecDeque;

/// LIMIT: folders that are remembered, the newest: older ones are known by now.
const FOLDERS_MAX: usize = 64;
/// LIMIT: waits of one pass, a minute in all.
const WAITS_MAX: u32 = 40;

/// The newest folders, and how often was waited for one.
#[derive(Default)]
pub(super) struct JustMade {
    folders: VecDeque<String>,
    waits: u32,
}

impl JustMade {
    /// This pass has made the folder.
    pub(super) fn note(&mut self, key: &Key) {
        if self.folders.len() == FOLDERS_MAX {
            self.folders.pop_front();
        }
        self.folders.push_back(key.path());
    }

    /// Whether what was refused is asked for once more, because its folder was made only now; if
    /// so, it is time for that when this returns.
    ///
    /// # Errors
    /// The pass has no time to wait.
    pub(super) fn waited(
        &mut self,
        key: &Key,
        error: &ApiError,
        deadline: &Deadline<'_>,
    ) -> Result<bool> {
        let may_lag = error.has("no_write_permission")
            || error.has("not_found")
            || (error.is("path/conflict") && !is_met(error));
        let folder = key.parent().filter(|_| may_lag && self.waits < WAITS_MAX);
        let folder = folder.map(|folder| folder.path());
        if !folder.is_some_and(|folder| self.folders.contains(&folder)) {
            return Ok(false);
        }
        self.waits += 1;
        log::debug!("{} in a folder just made: asking once more", error.text());
        deadline.sleep(LAG_TIME)?;
        Ok(true)
    }
}

/// Something stands there already.
fn is_met(error: &ApiError) -> bool {
    error.is("path/conflict/file") || error.is("path/conflict/folder")
}
