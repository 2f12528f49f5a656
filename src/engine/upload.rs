//! Sending files up: small ones many at a time, larger ones in one call, large ones in a session.
//!
//! Files gather in the queue and leave it together. Every write names what it may replace (`add`,
//! or `update` with a rev), autorename is off, and nothing is settled before Dropbox's content hash
//! equals that of the bytes sent. A file is only committed as one version of itself: in a single
//! call the last block is read, and the file looked at again, before that block is sent; in a
//! session before the finishing call.

mod batch;
mod concat;
pub mod folders;
pub mod folders_above;
mod just_made;
pub mod queue;
mod room;
pub mod sent;
mod session;
pub(crate) mod settled;
mod single;
mod source;
pub mod undecided;
mod uploads;

use folders_above::tell_blocked;
use queue::{BatchMethod, PendingUpload, batched_max, step_bytes};
pub(crate) use uploads::Uploads;

use crate::core::remote::Rev;
use crate::dropbox::wire::WriteMode;
use crate::engine::context::Context;
use crate::engine::item::{Item, Observed};
use crate::error::{Error, Result};

/// Tells who watches what goes up now.
fn expect(cx: &Context<'_>, files: &[PendingUpload]) {
    if let Some(live) = cx.env.report.live() {
        let bytes = files.iter().map(|file| file.observed.stamp.size).sum();
        live.expect_up(files.len() as u64, bytes);
    }
}

/// Batches in a row that break before all that is left goes alone.
const FAILED_BATCHES_MAX: u32 = 16;

impl<'a> Uploads<'a> {
    /// Queues the local file of an item; says whether the queue is full. `replaced` is a rev to
    /// name that is not the base's.
    ///
    /// # Errors
    /// What the index says.
    pub(crate) fn upload(
        &mut self,
        cx: &mut Context<'a>,
        item: Item,
        observed: &Observed,
        mode: WriteMode,
        replaced: Option<Rev>,
    ) -> Result<bool> {
        if item.blocked_up {
            tell_blocked(cx, &item)?;
            return Ok(false);
        }
        let file = PendingUpload::new(item, *observed, mode, replaced.as_ref());
        if cx.remembered.has_failed(cx.env.index, &file.item.row.key) {
            self.last.push(file);
            if self.last.len() >= cx.env.batch_max() {
                self.send_last(cx)?;
                cx.begin_step();
            }
            return Ok(false);
        }
        Ok(self.queue.add(file, step_bytes(cx, self.api)))
    }

    /// Sends what waits in the queue.
    ///
    /// # Errors
    /// Whatever ends the pass.
    pub(crate) fn send_queue(&mut self, cx: &mut Context<'a>) -> Result<()> {
        let mut files = std::mem::take(&mut self.queue.files);
        files.retain(|file| !self.has_no_room(cx, file));
        self.queue.bytes = 0;
        expect(cx, &files);
        let most = batched_max(step_bytes(cx, self.api));
        let is_large = |file: &mut PendingUpload| file.observed.stamp.size > most;
        let large: Vec<_> = files.extract_if(.., is_large).collect();
        let alone = self.send_batches(cx, files)?;
        for file in alone.into_iter().chain(large) {
            self.send_alone(cx, file)?;
        }
        cx.flush_settles()
    }

    /// Sends small files together; what has to go alone comes back. What was moved while it was
    /// read, or lost with an answer, gets a second chance. A batch that breaks is halved, until
    /// those that break it are alone.
    fn send_batches(
        &mut self,
        cx: &mut Context<'a>,
        files: Vec<PendingUpload>,
    ) -> Result<Vec<PendingUpload>> {
        let mut alone = Vec::new();
        let mut batches = vec![(files, 2)];
        let mut failed = 0;
        while let Some((files, chances)) = batches.pop() {
            let is_over = chances == 0 || failed >= FAILED_BATCHES_MAX;
            if files.len() < 2 || is_over || self.queue.method == BatchMethod::Alone {
                alone.extend(files);
                continue;
            }
            self.queue.had_server_error = false;
            let mut left = self.send_together(cx, files)?;
            failed = if self.queue.had_server_error {
                failed + 1
            } else {
                0
            };
            if self.queue.had_server_error {
                if !self.api.is_reachable() {
                    return Err(Error::TryLater(
                        "Dropbox cannot answer now; try later".to_owned(),
                    ));
                }
                let other = left.split_off(left.len() / 2);
                batches.extend([(other, chances), (left, chances)]);
            } else {
                batches.push((left, chances - 1));
            }
        }
        Ok(alone)
    }

    /// Sends what failed in the pass before, after everything else and with one try each.
    ///
    /// # Errors
    /// Whatever ends the pass.
    pub(crate) fn send_last(&mut self, cx: &mut Context<'a>) -> Result<()> {
        let last = std::mem::take(&mut self.last);
        expect(cx, &last);
        self.api.try_once(true);
        let done = last
            .into_iter()
            .try_for_each(|file| self.send_alone(cx, file));
        self.api.try_once(false);
        done?;
        cx.flush_settles()
    }
}
