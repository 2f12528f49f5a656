//! Things asked for many at a time: a batch that breaks is halved until the one that breaks it is
//! found, which is then asked for alone.

use crate::dropbox::api::Api;
use crate::dropbox::batch::ENTRIES_MAX;
use crate::dropbox::retry::CallError;
use crate::error::{Error, Result};

/// Batches in a row that break before all that is left goes alone.
const FAILED_MAX: u32 = 16;

/// What is still to be asked for, the next last.
pub(crate) struct Batches<T> {
    lists: Vec<Vec<T>>,
    failed: u32,
}

/// What to ask for next.
pub(crate) enum Next<T> {
    Together(Vec<T>),
    /// One call for each.
    Alone(Vec<T>),
}

impl<T> Batches<T> {
    /// All of it, as many at a time as one call takes.
    pub(crate) fn of(mut all: Vec<T>) -> Batches<T> {
        let mut lists = Vec::new();
        while all.len() > ENTRIES_MAX {
            let last = (all.len() - 1) % ENTRIES_MAX + 1;
            lists.push(all.split_off(all.len() - last));
        }
        lists.push(all);
        Batches { lists, failed: 0 }
    }

    /// The next of them.
    pub(crate) fn next(&mut self) -> Option<Next<T>> {
        let list = self.lists.pop()?;
        Some(match list.len() < 2 || self.failed >= FAILED_MAX {
            true => Next::Alone(list),
            false => Next::Together(list),
        })
    }

    /// The last one was answered.
    pub(crate) fn went(&mut self) {
        self.failed = 0;
    }

    /// The last one broke, and comes again in two halves; each alone where Dropbox takes no batch.
    ///
    /// # Errors
    /// What ended the pass; [`Error::TryLater`] if Dropbox answers nothing at all.
    pub(crate) fn broke(
        &mut self,
        api: &Api<'_>,
        mut list: Vec<T>,
        error: CallError,
    ) -> Result<()> {
        log::debug!("{} at a time: {error:?}", list.len());
        match error {
            CallError::End(error) => return Err(error),
            CallError::ServerError(text) if !api.is_reachable() => {
                return Err(Error::TryLater(text));
            }
            CallError::ServerError(_) => self.failed += 1,
            CallError::Refused(_) | CallError::Local(_) => self.failed = FAILED_MAX,
        }
        let other = list.split_off(list.len() / 2);
        self.lists.extend([other, list]);
        Ok(())
    }
}
