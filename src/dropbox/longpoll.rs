//! `files/list_folder/longpoll`: Dropbox answers as soon as something has changed.

use std::io::Read;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use crate::core::remote::Cursor;
use crate::dropbox::retry::retry_after_s;
use crate::dropbox::verdict::STRANGER;
use crate::dropbox::wire::OWN_TEXT;
use crate::io::host::Host;
use crate::io::http::{Body, Endpoint, Http, Request};
use crate::io::limited_body::{BodyLimits, LimitedBody};

/// Seconds Dropbox waits for changes: the most it takes.
pub const TIMEOUT_S: u64 = 480;
/// The same where a connection that says nothing may be lost.
pub const TIMEOUT_S_LEAST: u64 = 60;
/// Seconds it adds of its own choice, at most.
pub const ADDED_MAX_S: u64 = 90;
/// LIMIT: longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News {
    /// A pass would find something, or a new cursor is needed.
    pub changes: bool,
    /// The cursor is of no use any more.
    pub is_reset: bool,
    /// Not to be asked again before this has passed.
    pub backoff: Duration,
}

#[derive(Deserialize)]
struct Answer {
    changes: bool,
    #[serde(default)]
    backoff: Option<u64>,
}

/// Waits for changes after a cursor, so many seconds. The route takes no authorization, and refuses
/// one.
///
/// # Errors
/// Why there is no usable answer: it is to be asked again later.
pub fn longpoll(
    http: &dyn Http,
    host: &dyn Host,
    cursor: &Cursor,
    timeout_s: u64,
) -> Result<News, String> {
    let argument = json!({ "cursor": cursor, "timeout": timeout_s }).to_string();
    let response = http
        .send(Request {
            endpoint: Endpoint::Notify,
            path: "/2/files/list_folder/longpoll",
            headers: vec![("content-type", "application/json".to_owned())],
            body: Body::Bytes(argument.as_bytes()),
            patience: None,
        })
        .map_err(|error| error.to_string())?;
    let (status, asked_s) = (
        response.status,
        retry_after_s(response.header("retry-after")),
    );
    let mut bytes = Vec::new();
    let body = LimitedBody::new(response.body, BodyLimits::LONGPOLL, host, None);
    let read = body.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes);
    read.map_err(|error| format!("the answer broke off: {error}"))?;
    let nothing = News {
        changes: false,
        is_reset: false,
        backoff: Duration::ZERO,
    };
    let used_up = News {
        changes: true,
        is_reset: true,
        ..nothing
    };
    match status {
        200 => {
            let answer: Answer = serde_json::from_slice(&bytes)
                .map_err(|_| format!("the answer makes no sense, so {STRANGER}"))?;
            Ok(News {
                changes: answer.changes,
                is_reset: false,
                backoff: Duration::from_secs(answer.backoff.unwrap_or(0)),
            })
        }
        // The cursor is used up (`reset`) or not one for this route: a pass gets a new one.
        409 => Ok(used_up),
        400 if bytes.starts_with(OWN_TEXT.as_bytes()) => Ok(used_up),
        429 | 503 if asked_s.is_some() => Ok(News {
            backoff: Duration::from_secs(asked_s.unwrap_or(0)),
            ..nothing
        }),
        _ => Err(format!("Dropbox answers {status}")),
    }
}
