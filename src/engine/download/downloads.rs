//! What the downloads of a pass hold while it lasts.

use super::staged::PublishQueue;
use crate::core::decide::Action;
use crate::dropbox::api::Api;
use crate::engine::durable::Durable;
use crate::engine::item::{Item, Observed};
use crate::io::disk::Disk;

/// What is brought down in this pass.
pub(crate) struct Downloads<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(in crate::engine) api: &'a Api<'a>,
    pub(in crate::engine) durable: Durable<'a>,
    pub(super) publish_queue: PublishQueue,
    /// Files that failed in an earlier pass: they come after all others of a walk.
    pub(in crate::engine) last: Vec<(Item, Observed, Action)>,
}

impl<'a> Downloads<'a> {
    /// Downloads of this Dropbox to this content dir.
    pub(crate) fn new(disk: &'a dyn Disk, api: &'a Api<'a>) -> Downloads<'a> {
        Downloads {
            disk,
            api,
            durable: Durable::new(disk),
            publish_queue: PublishQueue::default(),
            last: Vec::new(),
        }
    }
}
