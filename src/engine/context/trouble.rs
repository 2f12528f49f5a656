//! What could not be done: it is told, remembered, and left for the next pass.

use super::Context;
use crate::dropbox::api::Api;
use crate::engine::item::Item;
use crate::error::{Error, Result};
use crate::index::Reason;
use crate::report::Trouble;

/// Paths in a row for which Dropbox may have a server error before the step of the pass ends.
const SERVER_ERRORS_MAX: u32 = 10;

/// When Dropbox is asked again to take what it had no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// Where it says that there is room by now.
    IfItFits,
    /// Now: it was refused a day ago.
    Again,
}

impl<'a> Context<'a> {
    /// Dropbox could not answer for this item, or its connection broke again and again: that is
    /// the item's problem, and the others go on, unless a plain call fails as well. For an item
    /// that failed in the pass before none is made.
    pub(crate) fn note_server_error(
        &mut self,
        api: &Api<'_>,
        item: &Item,
        text: &str,
    ) -> Result<()> {
        let is_known = self.remembered.has_failed(self.env.index, &item.row.key);
        self.upload_left = true;
        self.server_errors += 1;
        self.env
            .report
            .problem(&item.display_path, Trouble::Server, text);
        self.remember(item, Reason::Failed, text);
        if !is_known && !api.is_reachable() {
            return Err(Error::TryLater(text.to_owned()));
        }
        Ok(())
    }

    /// A step of the pass begins, which may fare better than the one before.
    pub(crate) fn begin_step(&mut self) {
        self.server_errors = 0;
    }

    /// Whether Dropbox could not answer for so many items in a row that the rest of this step is
    /// left for the next pass, this item as well.
    pub(crate) fn ends_step(&mut self, item: &Item) -> bool {
        if self.server_errors < SERVER_ERRORS_MAX {
            return false;
        }
        self.upload_left = true;
        let report = self.env.report;
        let index = self.env.index;
        if let Some(text) = self.remembered.keep(index, &item.row.key) {
            report.problem(&item.display_path, Trouble::Server, &text);
        } else {
            let why = "Dropbox could not answer for many others in a row";
            report.deferred(&item.display_path, why);
        }
        true
    }

    /// An item could not be dealt with: the next pass is to know.
    pub(crate) fn remember(&mut self, item: &Item, reason: Reason, text: &str) {
        let now_s = self.now_s();
        let index = self.env.index;
        self.remembered.note(index, item, reason, text, now_s);
        self.bound_remembered();
    }

    /// An item is left for the next pass, because of `why`. Twice in a row that is no accident, and
    /// `cause` is what is told.
    ///
    /// Returns whether it is so twice in a row.
    pub(crate) fn defer(&mut self, item: &Item, why: &str, cause: &str) -> bool {
        let before = self.remembered.of(self.env.index, item);
        let again = before.is_some_and(|known| known.reason == Reason::Deferred);
        if again {
            let text = format!("not done in two runs in a row: {cause}");
            self.env
                .report
                .problem(&item.display_path, Trouble::Changing, &text);
        } else {
            self.env.report.deferred(&item.display_path, why);
        }
        self.remember(item, Reason::Deferred, cause);
        again
    }

    /// Whether Dropbox refused this very item in an earlier pass, for its name or for want of
    /// rights, and it is too early to offer it again. That is told again.
    pub(crate) fn is_refused(&mut self, item: &Item) -> bool {
        let index = self.env.index;
        let Some(known) = self.remembered.of(index, item) else {
            return false;
        };
        let is_early = (known.since..known.next).contains(&self.now_s());
        if known.reason != Reason::NotAllowed || !is_early {
            return false;
        }
        self.env
            .report
            .problem(&item.display_path, Trouble::NoPermission, &known.text);
        self.remembered.keep(index, &item.row.key);
        self.bound_remembered();
        true
    }

    /// Whether there was no room for this item in an earlier pass, and whether it is to be asked
    /// first if there is now. One that has changed is always asked about.
    pub(crate) fn refused_for_room(&self, item: &Item) -> Option<Offer> {
        let index = self.env.index;
        let known = self.remembered.had_no_room(index, &item.row.key)?;
        let is_early = (known.since..known.next).contains(&self.now_s());
        let has_changed = self.remembered.of(index, item).is_none();
        let offer = if is_early || has_changed {
            Offer::IfItFits
        } else {
            Offer::Again
        };
        Some(offer)
    }
}
