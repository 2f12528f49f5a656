//! What the deletes of a pass hold while it lasts.

use crate::dropbox::api::Api;
use crate::engine::collected::Collected;
use crate::engine::context::Context;
use crate::engine::durable::Durable;
use crate::engine::item::{Delete, Item};
use crate::error::Result;
use crate::index::{Base, Row};
use crate::io::disk::Disk;
use crate::report::Change;

/// What is deleted in this pass.
pub(crate) struct Deletes<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) api: &'a Api<'a>,
    pub(super) durable: Durable<'a>,
    pub(in crate::engine) collected: Collected<'a, Delete>,
    /// Folders to delete once what is in them is gone.
    pub(super) folders: Vec<Delete>,
    /// There are more of them in the tables of the pass.
    pub(super) are_doomed: bool,
    /// Removed locally, not yet durable.
    pub(super) removed: Vec<Row>,
    /// What was deleted in Dropbox may still be told of there.
    pub(super) lag: Lag,
    /// Dropbox did not find something, and has had the time to come to know it.
    pub(super) has_waited_for_writes: bool,
}

/// Dropbox may tell of what has just been deleted for a little longer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lag {
    /// Nothing was deleted.
    None,
    /// Something was.
    Possible,
    /// It was, and has been waited for.
    WaitedFor,
}

impl<'a> Deletes<'a> {
    /// Deletes in this content dir and this Dropbox.
    pub(crate) fn new(
        disk: &'a dyn Disk,
        api: &'a Api<'a>,
        collected: Collected<'a, Delete>,
    ) -> Deletes<'a> {
        Deletes {
            disk,
            api,
            durable: Durable::new(disk),
            collected,
            folders: Vec::new(),
            are_doomed: false,
            removed: Vec::new(),
            lag: Lag::None,
            has_waited_for_writes: false,
        }
    }

    /// Settles what has gone in Dropbox.
    pub(super) fn deleted_in_dropbox(
        &mut self,
        cx: &mut Context<'a>,
        item: Item,
        more: &str,
    ) -> Result<()> {
        cx.committed += 1;
        cx.server_errors = 0;
        if self.lag == Lag::None {
            self.lag = Lag::Possible;
        }
        let report = cx.env.report;
        report.changed(Change::DeleteRemote, &item.display_path, more);
        let mut row = item.row;
        row.settle(Base::None, &item.name);
        cx.settle(row)
    }

    /// Settles local deletes once they are durable: a file that came back with a power cut must not
    /// look like a new one.
    pub(crate) fn settle_removed(&mut self, cx: &mut Context<'a>) -> Result<()> {
        if self.removed.is_empty() {
            return Ok(());
        }
        self.durable.sync(cx)?;
        for mut row in std::mem::take(&mut self.removed) {
            row.set_base(Base::None);
            cx.settle(row)?;
        }
        Ok(())
    }
}
