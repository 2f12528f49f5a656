//! What the deletes of a pass hold while it lasts.

use super::guard::CollectedDeletes;
use crate::dropbox::api::Api;
use crate::engine::context::Context;
use crate::engine::durable::Durable;
use crate::engine::item::Item;
use crate::error::Result;
use crate::index::{Base, Row};
use crate::io::disk::Disk;
use crate::report::Change;

/// What is deleted in this pass.
pub(crate) struct Deletes<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) api: &'a Api<'a>,
    pub(super) durable: Durable<'a>,
    pub(in crate::engine) collected: CollectedDeletes,
    /// Removed locally, not yet durable.
    pub(super) removed: Vec<Row>,
    /// What was deleted in Dropbox may still be told of there.
    pub(super) lag: Lag,
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
    pub(crate) fn new(disk: &'a dyn Disk, api: &'a Api<'a>) -> Deletes<'a> {
        Deletes {
            disk,
            api,
            durable: Durable::new(disk),
            collected: CollectedDeletes::default(),
            removed: Vec::new(),
            lag: Lag::None,
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
}
