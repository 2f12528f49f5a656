//! `files/upload` and `files/download`: the bytes of one file in one call.

use std::ops::Range;

use serde_json::{Value, json};

use super::{Answer, Call};
use crate::args::{Args, PathForm};
use crate::blob::{Blob, Body, Payload};
use crate::commit::{Commit, Content, commit};
use crate::content_hash::BlockHasher;
use crate::errors::{Failure, LookupError, WriteError, tag};
use crate::http::header;
use crate::metadata::{Frame, of_live_file, of_revision};
use crate::sessions::Order;
use crate::tree::Actor;

/// The largest body of one call: 150 MiB.
pub(crate) const PAYLOAD_MAX: usize = 150 * 1024 * 1024;

/// The fields of `files.CommitInfo`.
pub(super) const COMMIT_FIELDS: [&str; 7] = [
    "path",
    "mode",
    "autorename",
    "client_modified",
    "mute",
    "property_groups",
    "strict_conflict",
];

/// Checks the size and the hash of the bytes of one call.
pub(super) fn check_payload(bytes: &[u8], hash: Option<&str>) -> Result<(), Value> {
    if bytes.len() > PAYLOAD_MAX {
        return Err(tag("payload_too_large"));
    }
    match hash {
        Some(hash) if hash != crate::content_hash(bytes) => Err(tag("content_hash_mismatch")),
        _ => Ok(()),
    }
}

/// Saves contents for the app and answers with the metadata of what is there then.
pub(super) fn save(
    call: &mut Call,
    mut wish: Commit,
    content: &Content,
    frame: Frame,
) -> Result<Value, WriteError> {
    wish.path = call.account.write_path(&wish.path)?;
    let now = call.now();
    let tree = &mut call.account.tree;
    let revision = commit(tree, &wish, content, now, Actor::App)?;
    let key = tree.key_of_id(&revision.id).cloned().unwrap_or_default();
    let live = of_live_file(tree, &key, frame);
    Ok(live.unwrap_or_else(|| of_revision(tree, &revision, &revision.display, frame)))
}

pub(super) fn upload(call: &mut Call) -> Result<Answer, Failure> {
    let mut known = COMMIT_FIELDS.to_vec();
    known.push("content_hash");
    let args = Args::of(&call.arg, &known)?;
    let (wish, hash) = (args.commit()?, args.content_hash()?);
    let payload = taken(&mut call.body, &mut call.hashed, hash).map_err(Failure::Route)?;
    let hash = payload.hasher.finish();
    let hasher = payload.hasher.clone();
    let blob = payload.into_blob(call.account.keep_contents);
    let content = Content { blob, hash };
    match save(call, wish, &content, Frame::Plain) {
        Ok(metadata) => Ok(metadata.into()),
        Err(error) => Err(Failure::Route(write_failed(call, error, content, hasher))),
    }
}

/// The bytes of a call with their hash, both checked.
pub(super) fn taken(
    body: &mut Vec<u8>,
    hashed: &mut Option<BlockHasher>,
    hash: Option<&str>,
) -> Result<Payload, Value> {
    let bytes = std::mem::take(body);
    check_payload(&bytes, None)?;
    let payload = match hashed.take() {
        Some(hasher) => Payload { bytes, hasher },
        None => Payload::from(bytes),
    };
    match hash {
        Some(hash) if hash != payload.hasher.finish() => Err(tag("content_hash_mismatch")),
        _ => Ok(payload),
    }
}

/// What is told about contents that were not kept; a mistake in the test.
pub(super) fn forgotten() -> Failure {
    Failure::Text(500, "the contents of this file were not kept".into())
}

/// `UploadWriteFailed`: the data waits in a session for another try.
fn write_failed(
    call: &mut Call,
    error: WriteError,
    content: Content,
    hasher: BlockHasher,
) -> Value {
    let (app, now) = (call.app(), call.now());
    let sessions = &mut call.account.sessions;
    let session_id = sessions.start(&app, Order::Sequential, now);
    sessions.fill(&session_id, content.blob, hasher);
    json!({
        ".tag": "path",
        "reason": Value::from(error),
        "upload_session_id": session_id,
    })
}

pub(super) fn download(call: &mut Call) -> Result<Answer, Failure> {
    let args = Args::of(&call.arg, &["path", "rev"])?;
    let path = args.path("path", PathForm::Read)?;
    let older = args.optional_rev("rev")?.map(|rev| format!("rev:{rev}"));
    let path = older.as_deref().unwrap_or(path);
    let account = &*call.account;
    let revision = account.revision_at(path).map_err(Failure::path)?;
    let marks = account
        .tree
        .marks
        .get(&revision.id)
        .cloned()
        .unwrap_or_default();
    if marks.restricted {
        return Err(Failure::path(LookupError::RestrictedContent));
    }
    if marks.not_downloadable {
        return Err(Failure::Route(tag("unsupported_file")));
    }
    let etag = format!("W/\"{}\"", revision.rev);
    if header(&call.headers, "If-None-Match").is_some_and(|known| known == etag) {
        return Ok(Answer::Bare {
            status: 304,
            headers: vec![("ETag", etag)],
        });
    }
    let result = match account.lookup_key(path) {
        Ok(key) if !path.starts_with("rev:") => of_live_file(&account.tree, &key, Frame::Plain),
        _ => None,
    };
    let result = result
        .unwrap_or_else(|| of_revision(&account.tree, revision, &revision.display, Frame::Plain));
    if matches!(revision.content, Blob::Forgotten(_)) {
        return Err(forgotten());
    }
    let size = usize::try_from(revision.size()).unwrap_or(usize::MAX);
    let mut headers = vec![("ETag", etag), ("Accept-Ranges", "bytes".to_owned())];
    let (status, range) = match header(&call.headers, "Range").and_then(|range| part(range, size)) {
        None => (200, 0..size),
        Some(Some(range)) => {
            let last = range.end - 1;
            headers.push((
                "Content-Range",
                format!("bytes {}-{last}/{size}", range.start),
            ));
            (206, range)
        }
        Some(None) => {
            headers.push(("Content-Range", format!("bytes */{size}")));
            return Ok(Answer::Bare {
                status: 416,
                headers,
            });
        }
    };
    let body = Body::part(revision.content.clone(), range);
    Ok(Answer::Content {
        status,
        result,
        body,
        headers,
    })
}

/// The part a `Range` header asks for. `None`: not a single byte range, so everything;
/// `Some(None)`: a range that cannot be satisfied.
fn part(header: &str, size: usize) -> Option<Option<Range<usize>>> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| text.trim().parse::<usize>().ok();
    let range = match (first.trim(), last.trim()) {
        ("", length) => size.saturating_sub(number(length)?)..size,
        (first, "") => number(first)?..size,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            first..size.min(last.saturating_add(1))
        }
    };
    Some((range.start < range.end).then_some(range))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_rfc_9110_says() {
        assert_eq!(part("bytes=2-4", 10), Some(Some(2..5)));
        assert_eq!(part("bytes=2-", 10), Some(Some(2..10)));
        assert_eq!(part("bytes=-3", 10), Some(Some(7..10)));
        assert_eq!(part("bytes=8-99", 10), Some(Some(8..10)));
        assert_eq!(part("bytes=10-", 10), Some(None));
        assert_eq!(part("bytes=4-2", 10), None);
        assert_eq!(part("lines=1-2", 10), None);
    }
}
