//! What the downloads of a pass hold while it lasts.

use std::io;

use super::origins::Origins;
use super::private_folders::PrivateFolders;
use super::staged::PublishQueue;
use crate::core::decide::Action;
use crate::core::path::RelPath;
use crate::dropbox::api::Api;
use crate::engine::context::Context;
use crate::engine::durable::Durable;
use crate::engine::item::{Item, Observed};
use crate::io::disk::Disk;

/// What is brought down in this pass.
pub(crate) struct Downloads<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(in crate::engine) api: &'a Api<'a>,
    pub(in crate::engine) durable: Durable<'a>,
    pub(super) publish_queue: PublishQueue,
    pub(super) origins: Origins,
    pub(in crate::engine) private_folders: PrivateFolders,
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
            origins: Origins::default(),
            private_folders: PrivateFolders::default(),
            last: Vec::new(),
        }
    }

    /// Removes a temporary file.
    pub(super) fn discard(&self, temp: &RelPath) {
        match self.disk.remove_file(temp) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => log::debug!("{error}"),
            _ => {}
        }
    }
}

/// A path for a temporary file that nobody can guess.
pub(super) fn fresh_temp(cx: &Context<'_>, dir: &RelPath) -> io::Result<RelPath> {
    let name = cx.env.instance.temp_name(&cx.env.host.random_hex(8));
    dir.join(&name).map_err(io::Error::other)
}
