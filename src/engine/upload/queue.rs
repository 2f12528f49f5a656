//! Files that wait to go up together, and how many of them may.

use crate::core::remote::Rev;
use crate::dropbox::api::Api;
use crate::dropbox::batch::COMMIT_LEAST;
use crate::dropbox::wire::WriteMode;
use crate::engine::collected::FindAgain;
use crate::engine::context::Context;
use crate::engine::item::{Delete, Item, Observed};
use crate::report::in_brackets;

/// What is sent in one step, in bytes, where the pass has an end (`--max-time`) or the line a
/// limit: a step that was begun is finished. A chunk is a multiple of 4 MiB (`files.stone`).
const STEP_BYTES: u64 = 4 << 20;
/// The same in files.
const STEP_FILES: usize = 100;
/// Fewest bytes of a step, however little may go up in a second.
const STEP_BYTES_LEAST: u64 = 64 << 10;

/// Files of one batch, a third of a thousand: each costs memory until it is settled, and the bytes
/// of a thousand need some twenty calls anyway.
const BATCH_FILES_MAX: usize = 334;
/// Bytes of one batch.
const BATCH_BYTES_MAX: u64 = 32 << 20;
/// Largest file of a batch, in bytes: above, the round trip saved hardly counts.
const BATCHED_FILE_MAX: u64 = 4 << 20;
/// Length of the argument of `append_batch`, in bytes: it travels in a header line, and how long
/// one may be is not published.
const ARGUMENT_BYTES: usize = 7_900;

/// How each kind of thing that the walk leaves for after it is found once more.
#[derive(Clone, Copy)]
pub(crate) struct FindsAgain<'a> {
    pub(crate) deletes: FindAgain<'a, Delete>,
    pub(crate) new_folders: FindAgain<'a, Item>,
    pub(crate) undecided: FindAgain<'a, (Item, Observed)>,
    pub(crate) blocked: FindAgain<'a, Blocked>,
    /// So many of a kind are kept in memory.
    pub(crate) kept_max: usize,
}

/// What goes up only if a delete frees the name of a folder above it.
#[derive(Clone)]
pub(crate) enum Blocked {
    File(PendingUpload),
    Folder(Item),
}

/// A file on its way up.
#[derive(Clone)]
pub(crate) struct PendingUpload {
    pub(crate) item: Item,
    pub(crate) observed: Observed,
    pub(crate) mode: WriteMode,
    /// What is said behind its name.
    pub(crate) more: String,
}

impl PendingUpload {
    /// One whose bytes were seen; `replaced` is a rev that is named and not the base's.
    pub(crate) fn new(
        item: Item,
        observed: Observed,
        mode: WriteMode,
        replaced: Option<&Rev>,
    ) -> PendingUpload {
        PendingUpload {
            more: said_of(&observed, replaced),
            item,
            observed,
            mode,
        }
    }
}

/// Files waiting to go up together.
pub(crate) struct UploadQueue {
    pub(in crate::engine) files: Vec<PendingUpload>,
    pub(super) bytes: u64,
    pub(super) method: BatchMethod,
    pub(super) argument_bytes: usize,
    /// How many files are committed in one call: fewer, once that took too long.
    pub(super) commit_max: usize,
    /// Dropbox could not answer for the batch at hand: parts of it tell what is wrong.
    pub(super) had_server_error: bool,
}

/// The best way to send many files that Dropbox has not refused in this run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum BatchMethod {
    /// The bytes of many files in one call.
    Batches,
    /// A session per file, one call to commit them all.
    Sessions,
    /// A call per file.
    Alone,
}

impl Default for UploadQueue {
    fn default() -> UploadQueue {
        UploadQueue {
            files: Vec::new(),
            bytes: 0,
            method: BatchMethod::Batches,
            argument_bytes: ARGUMENT_BYTES,
            commit_max: BATCH_FILES_MAX,
            had_server_error: false,
        }
    }
}

impl UploadQueue {
    /// A commit of so many files has got no answer; says whether smaller ones are tried.
    pub(super) fn commits_less(&mut self, asked: usize) -> bool {
        if asked <= COMMIT_LEAST {
            return false;
        }
        self.commit_max = (asked / 4).max(COMMIT_LEAST);
        true
    }

    /// Puts a file into the queue; says whether it is full: with `step` after so many bytes.
    pub(super) fn add(&mut self, file: PendingUpload, step: Option<u64>) -> bool {
        let size = file.observed.stamp.size;
        self.bytes += if size <= batched_max(step) { size } else { 0 };
        // What grows by doubling would take half as much again.
        if self.files.len() == self.files.capacity() {
            self.files.reserve_exact(BATCH_FILES_MAX.div_ceil(4));
        }
        self.files.push(file);
        let (files_max, bytes_max) = match step {
            Some(step) => (STEP_FILES, step),
            None => (BATCH_FILES_MAX, BATCH_BYTES_MAX),
        };
        self.files.len() >= files_max || self.bytes >= bytes_max
    }
}

/// Bytes of a step, so many as do not take long: where the pass has an end, and where a limit would
/// have a batch long on its way, all of which is sent again if the pass is stopped before its end.
pub(super) fn step_bytes(cx: &Context<'_>, api: &Api<'_>) -> Option<u64> {
    let is_thin = api
        .call_bytes()
        .is_some_and(|bytes| bytes < BATCH_BYTES_MAX);
    (is_thin || cx.env.deadline.is_set()).then(|| bytes_of_a_step(api))
}

fn bytes_of_a_step(api: &Api<'_>) -> u64 {
    let within = |limit: u64| limit.clamp(STEP_BYTES_LEAST, STEP_BYTES);
    api.call_bytes().map_or(STEP_BYTES, within)
}

/// Largest file of a batch, in bytes.
pub(super) fn batched_max(step: Option<u64>) -> u64 {
    step.map_or(BATCHED_FILE_MAX, |step| step.min(BATCHED_FILE_MAX))
}

/// Bytes sent in one call: of a session a multiple of 4 MiB, as Dropbox recommends, but for a thin
/// line in a pass that has an end.
pub(super) fn chunk_bytes(cx: &Context<'_>, api: &Api<'_>) -> u64 {
    match cx.env.deadline.is_set() {
        true => bytes_of_a_step(api),
        false => cx.env.config.network.upload_chunk_mib << 20,
    }
}

/// Bytes of the call that begins a session, where the pass has an end: whoever has no answer to it
/// knows of no session, and begins anew.
pub(super) const FIRST_BYTES: u64 = STEP_BYTES_LEAST;

/// Least bytes of a file that may have gone up in a session.
pub(super) const SESSION_LEAST: u64 = STEP_BYTES_LEAST;

/// What is said behind the name of a file that goes up, or would.
pub(crate) fn said_of(observed: &Observed, replaced: Option<&Rev>) -> String {
    let size = in_brackets(observed.stamp.size);
    match replaced {
        Some(rev) => format!("{size}, replacing rev {rev}, which stays in Dropbox's history"),
        None => size,
    }
}
