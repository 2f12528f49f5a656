//! `files/upload_session/` start, append and finish.

use serde_json::{Value, json};

use super::transfer::{COMMIT_FIELDS, check_payload, save};
use super::{Answer, Call};
use crate::args::Args;
use crate::commit::{Commit, Content};
use crate::errors::{Failure, nested, tag};
use crate::metadata::Frame;
use crate::sessions::{Order, SessionError};

/// The fields of `files.UploadSessionCursor`.
pub(super) const CURSOR_FIELDS: [&str; 2] = ["session_id", "offset"];

/// Which session, and how far it is thought to be.
pub(super) struct At {
    pub(super) session_id: String,
    pub(super) offset: u64,
}

pub(super) fn at(cursor: &Args) -> Result<At, Failure> {
    Ok(At {
        session_id: cursor.text("session_id")?.to_owned(),
        offset: cursor.number("offset", 0, u64::MAX)?,
    })
}

pub(super) fn session_type(args: &Args) -> Result<Order, Failure> {
    if !args.has("session_type") {
        return Ok(Order::Sequential);
    }
    match args.choice("session_type", &["sequential", "concurrent"])? {
        Some(1) => Ok(Order::Concurrent),
        _ => Ok(Order::Sequential),
    }
}

pub(super) fn start(call: &mut Call) -> Result<Answer, Failure> {
    let args = Args::of(&call.arg, &["close", "session_type", "content_hash"])?;
    let (close, order) = (args.flag("close", false)?, session_type(&args)?);
    check_payload(&call.body, args.content_hash()?).map_err(Failure::Route)?;
    if order == Order::Concurrent && !call.body.is_empty() {
        return Err(Failure::Route(tag("concurrent_session_data_not_allowed")));
    }
    if order == Order::Concurrent && close {
        return Err(Failure::Route(tag("concurrent_session_close_not_allowed")));
    }
    let (app, now) = (call.app(), call.now());
    let bytes = std::mem::take(&mut call.body);
    let session_id = call.account.sessions.start(&app, order, now, bytes);
    if close {
        call.account.sessions.close(&session_id);
    }
    Ok(json!({ "session_id": session_id }).into())
}

pub(super) fn append(call: &mut Call) -> Result<Answer, Failure> {
    let args = Args::of(&call.arg, &["cursor", "close", "content_hash"])?;
    let at = at(&args.object("cursor", &CURSOR_FIELDS)?)?;
    let close = args.flag("close", false)?;
    check_payload(&call.body, args.content_hash()?).map_err(Failure::Route)?;
    add(call, &at, close)
}

pub(super) fn append_legacy(call: &mut Call) -> Result<Answer, Failure> {
    let at = at(&Args::of(&call.arg, &CURSOR_FIELDS)?)?;
    check_payload(&call.body, None).map_err(Failure::Route)?;
    add(call, &at, false)
}

fn add(call: &mut Call, at: &At, close: bool) -> Result<Answer, Failure> {
    let (app, now) = (call.app(), call.now());
    let bytes = std::mem::take(&mut call.body);
    let session = call.account.sessions.find(&at.session_id, &app, now);
    session
        .and_then(|session| session.append(at.offset, &bytes, close))
        .map_err(|error| Failure::Route(error.into()))?;
    Ok(Value::Null.into())
}

/// The fields of `files.UploadSessionFinishArg`.
pub(super) const FINISH_FIELDS: [&str; 3] = ["cursor", "commit", "content_hash"];

pub(super) fn finish_arg(args: &Args) -> Result<(At, Commit), Failure> {
    let at = at(&args.object("cursor", &CURSOR_FIELDS)?)?;
    Ok((at, args.object("commit", &COMMIT_FIELDS)?.commit()?))
}

pub(super) fn finish(call: &mut Call) -> Result<Answer, Failure> {
    let args = Args::of(&call.arg, &FINISH_FIELDS)?;
    let (mut at, wish) = finish_arg(&args)?;
    check_payload(&call.body, args.content_hash()?).map_err(Failure::Route)?;
    let bytes = std::mem::take(&mut call.body);
    if !bytes.is_empty() {
        append_last(call, &at, &bytes).map_err(Failure::Route)?;
        at.offset += bytes.len() as u64;
    }
    let metadata = conclude(call, &at, wish, Frame::Plain).map_err(Failure::Route)?;
    Ok(metadata.into())
}

/// Data sent with `finish` is kept even if the commit then fails.
fn append_last(call: &mut Call, at: &At, bytes: &[u8]) -> Result<(), Value> {
    let (app, now) = (call.app(), call.now());
    let session = call
        .account
        .sessions
        .find(&at.session_id, &app, now)
        .map_err(lookup_failed)?;
    if session.order == Order::Concurrent {
        return Err(tag("concurrent_session_data_not_allowed"));
    }
    session
        .append(at.offset, bytes, false)
        .map_err(lookup_failed)
}

fn lookup_failed(error: SessionError) -> Value {
    nested("lookup_failed", error.into())
}

/// Commits the contents of a session; the session ends if that succeeds.
pub(super) fn conclude(
    call: &mut Call,
    at: &At,
    wish: Commit,
    frame: Frame,
) -> Result<Value, Value> {
    let (app, now) = (call.app(), call.now());
    let session = call
        .account
        .sessions
        .find(&at.session_id, &app, now)
        .map_err(lookup_failed)?;
    if session.order == Order::Concurrent {
        if !session.closed {
            return Err(tag("concurrent_session_not_closed"));
        }
        if session.has_gap() {
            return Err(tag("concurrent_session_missing_data"));
        }
    }
    let correct = session.offset();
    if correct != at.offset {
        return Err(lookup_failed(SessionError::IncorrectOffset(correct)));
    }
    let content = Content::new(session.contents());
    let metadata =
        save(call, wish, &content, frame).map_err(|error| nested("path", error.into()))?;
    call.account.sessions.end(&at.session_id);
    Ok(metadata)
}

/// Whether a batch may commit a session: it must be closed.
pub(super) fn require_closed(call: &mut Call, at: &At) -> Result<(), Value> {
    let (app, now) = (call.app(), call.now());
    let session = call
        .account
        .sessions
        .find(&at.session_id, &app, now)
        .map_err(lookup_failed)?;
    if session.closed {
        return Ok(());
    }
    Err(match session.order {
        Order::Sequential => lookup_failed(SessionError::NotClosed),
        Order::Concurrent => tag("concurrent_session_not_closed"),
    })
}
