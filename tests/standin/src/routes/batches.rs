//! `files/upload_session/` start_batch, append_batch and finish_batch.

use std::sync::Arc;

use serde_json::{Value, json};

use super::folders::check_job;
use super::sessions::{
    At, CURSOR_FIELDS, FINISH_FIELDS, at, conclude, finish_arg, require_closed, session_type,
};
use super::transfer::check_payload;
use super::{Answer, Call};
use crate::args::Args;
use crate::commit::Commit;
use crate::errors::{Failure, nested, tag};
use crate::jobs::Work;
use crate::metadata::Frame;

/// The most entries of one batch.
const ENTRIES_MAX: usize = 1000;

pub(super) fn start_batch(call: &mut Call) -> Result<Answer, Failure> {
    let args = Args::of(&call.arg, &["session_type", "num_sessions"])?;
    let count = args.number("num_sessions", 1, 1000)?;
    let order = session_type(&args)?;
    let (app, now) = (call.app(), call.now());
    let sessions = &mut call.account.sessions;
    let ids: Vec<String> = (0..count)
        .map(|_| sessions.start(&app, order, now))
        .collect();
    Ok(json!({ "session_ids": ids }).into())
}

pub(super) fn append_batch(call: &mut Call) -> Result<Answer, Failure> {
    let args = Args::of(&call.arg, &["entries", "content_hash"])?;
    let mut entries: Vec<(At, u64, bool)> = Vec::new();
    for entry in args.objects("entries", ENTRIES_MAX, &["cursor", "length", "close"])? {
        let at = at(&entry.object("cursor", &CURSOR_FIELDS)?)?;
        let length = entry.number("length", 0, u64::MAX)?;
        entries.push((at, length, entry.flag("close", false)?));
    }
    check_payload(&call.body, args.content_hash()?).map_err(Failure::Route)?;
    let bytes = std::mem::take(&mut call.body);
    let total = entries
        .iter()
        .fold(0u64, |sum, (_, length, _)| sum.saturating_add(*length));
    if total != bytes.len() as u64 {
        return Err(Failure::Route(tag("length_mismatch")));
    }
    let (app, now) = (call.app(), call.now());
    let mut results = Vec::new();
    let mut rest = bytes.as_slice();
    for (at, length, close) in entries {
        // The lengths add up to the size of the body, which is in memory.
        let (piece, after) = rest.split_at(usize::try_from(length).unwrap_or(rest.len()));
        rest = after;
        let session = call.account.sessions.find(&at.session_id, &app, now);
        results.push(
            match session.and_then(|found| found.append(at.offset, piece.to_vec().into(), close)) {
                Ok(()) => tag("success"),
                Err(error) => nested("failure", error.into()),
            },
        );
    }
    Ok(json!({ "entries": results }).into())
}

pub(super) fn finish_batch(call: &mut Call) -> Result<Answer, Failure> {
    Ok(commit_all(call)?.into())
}

pub(super) fn finish_batch_job(call: &mut Call) -> Result<Answer, Failure> {
    // Only how the result is told can wait here: the sessions are those of the caller.
    let result = commit_all(call)?;
    let work: Work = Arc::new(move |_| result.clone());
    let route = "files/upload_session/finish_batch";
    Ok(call.account.batch(route, true, work).into())
}

pub(super) fn check_finish_batch(call: &mut Call) -> Result<Answer, Failure> {
    check_job(call, "files/upload_session/finish_batch")
}

fn commit_all(call: &mut Call) -> Result<Value, Failure> {
    let args = Args::of(&call.arg, &["entries"])?;
    let mut entries: Vec<(At, Commit, Option<String>)> = Vec::new();
    for entry in args.objects("entries", ENTRIES_MAX, &FINISH_FIELDS)? {
        let (at, wish) = finish_arg(&entry)?;
        entries.push((at, wish, entry.content_hash()?.map(str::to_owned)));
    }
    let mut results = Vec::new();
    for (at, wish, hash) in entries {
        results.push(match commit_one(call, &at, wish, hash.as_deref()) {
            Ok(mut metadata) => {
                metadata[".tag"] = json!("success");
                metadata
            }
            Err(error) => nested("failure", error),
        });
    }
    Ok(json!({ "entries": results }))
}

fn commit_one(call: &mut Call, at: &At, wish: Commit, hash: Option<&str>) -> Result<Value, Value> {
    // The hash is that of the bytes of this call, and this call carries none.
    check_payload(&[], hash)?;
    require_closed(call, at)?;
    conclude(call, at, wish, Frame::Plain)
}
