//! `files/upload_session/` start, append and finish.

use serde_json::{Value, json};

use super::transfer::{COMMIT_FIELDS, save, taken};
use super::{Answer, Call};
use crate::args::Args;
use crate::blob::Payload;
use crate::commit::Commit;
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
    let payload =
        taken(&mut call.body, &mut call.hashed, args.content_hash()?).map_err(Failure::Route)?;
    if order == Order::Concurrent && !payload.bytes.is_empty() {
        return Err(Failure::Route(tag("concurrent_session_data_not_allowed")));
    }
    if order == Order::Concurrent && close {
        return Err(Failure::Route(tag("concurrent_session_close_not_allowed")));
    }
    let (app, now) = (call.app(), call.now());
    let sessions = &mut call.account.sessions;
    let session_id = sessions.start(&app, order, now);
    if order == Order::Sequential {
        let session = sessions.find(&session_id, &app, now);
        session
            .and_then(|session| session.append(0, payload, close))
            .map_err(|error| Failure::Route(error.into()))?;
    }
    Ok(json!({ "session_id": session_id }).into())
}

pub(super) fn append(call: &mut Call) -> Result<Answer, Failure> {
    let args = Args::of(&call.arg, &["cursor", "close", "content_hash"])?;
    let at = at(&args.object("cursor", &CURSOR_FIELDS)?)?;
    let close = args.flag("close", false)?;
    let payload =
        taken(&mut call.body, &mut call.hashed, args.content_hash()?).map_err(Failure::Route)?;
    add(call, &at, payload, close)
}

pub(super) fn append_legacy(call: &mut Call) -> Result<Answer, Failure> {
    let at = at(&Args::of(&call.arg, &CURSOR_FIELDS)?)?;
    let payload = taken(&mut call.body, &mut call.hashed, None).map_err(Failure::Route)?;
    add(call, &at, payload, false)
}

fn add(call: &mut Call, at: &At, payload: Payload, close: bool) -> Result<Answer, Failure> {
    let (app, now) = (call.app(), call.now());
    let checks = call.account.habits.checks_empty_appends || !payload.bytes.is_empty();
    let session = call.account.sessions.find(&at.session_id, &app, now);
    if session.is_ok() && !checks && !close {
        return Ok(Value::Null.into());
    }
    session
        .and_then(|session| session.append(at.offset, payload, close))
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
    let payload =
        taken(&mut call.body, &mut call.hashed, args.content_hash()?).map_err(Failure::Route)?;
    let size = payload.bytes.len() as u64;
    if size > 0 {
        append_last(call, &at, payload).map_err(Failure::Route)?;
        at.offset += size;
    }
    let metadata = conclude(call, &at, wish, Frame::Plain).map_err(Failure::Route)?;
    Ok(metadata.into())
}

/// Data sent with `finish` is kept even if the commit then fails.
fn append_last(call: &mut Call, at: &At, payload: Payload) -> Result<(), Value> {
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
        .append(at.offset, payload, false)
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
    let content = session.content();
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
