//! Sending files up: small ones many at a time, larger ones in one call, large ones in a session.
//!
//! Files gather in the queue and leave it together. Every write names what it may replace (`add`, or `update`
//! with a rev), autorename is off, and nothing is settled before Dropbox's content hash equals that
//! of the bytes sent. A file is only committed as one version of itself: in a single call the last
//! block is read, and the file looked at again, before that block is sent; in a session before the
//! finishing call.

mod batch;
mod concat;
pub mod folders;
pub mod folders_above;
pub mod queue;
pub mod sent;
mod session;
pub(crate) mod settled;
mod single;
mod source;
pub mod undecided;
mod uploads;

use folders_above::tell_blocked;
use queue::{BATCHED_FILE_MAX, BatchMethod, PendingUpload, has_no_room, said_of};
pub(crate) use uploads::Uploads;

use crate::core::remote::Rev;
use crate::dropbox::wire::WriteMode;
use crate::engine::context::Context;
use crate::engine::item::{Item, Observed};
use crate::error::Result;

impl<'a> Uploads<'a> {
    /// Queues the local file of an item; says whether the queue is full. `replaced` is a rev to
    /// name that is not the base's.
    pub(crate) fn upload(
        &mut self,
        cx: &mut Context<'a>,
        item: Item,
        observed: &Observed,
        mode: WriteMode,
        replaced: Option<Rev>,
    ) -> bool {
        if item.blocked_up {
            tell_blocked(cx, &item);
            return false;
        }
        let file = PendingUpload {
            more: said_of(observed, replaced.as_ref()),
            item,
            observed: *observed,
            mode,
        };
        self.queue.add(file, cx.env.deadline.is_set())
    }

    /// Sends what waits in the queue.
    ///
    /// # Errors
    /// Whatever ends the pass.
    pub(crate) fn send_queue(&mut self, cx: &mut Context<'a>) -> Result<()> {
        let mut files = std::mem::take(&mut self.queue.files);
        files.retain(|file| !has_no_room(cx, file));
        self.queue.bytes = 0;
        self.queue.had_server_error = false;
        let is_small = |file: &PendingUpload| file.observed.stamp.size <= BATCHED_FILE_MAX;
        let (mut small, large): (Vec<_>, Vec<_>) = files.into_iter().partition(is_small);
        // What was moved while it was read, or lost with an answer, gets a second chance.
        for _ in 0..2 {
            let may_go_together =
                self.queue.method != BatchMethod::Alone && !self.queue.had_server_error;
            if small.len() > 1 && may_go_together {
                small = self.send_together(cx, small)?;
            }
        }
        for file in small.into_iter().chain(large) {
            self.send_alone(cx, file)?;
        }
        cx.flush_settles()
    }
}
