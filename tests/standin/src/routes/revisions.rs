//! `files/list_revisions` and `files/restore`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::transfer::save;
use super::{Answer, Call};
use crate::args::{Args, PathForm};
use crate::clock::timestamp;
use crate::commit::{Commit, Content, Mode, Naming};
use crate::errors::{Failure, LookupError, nested, tag};
use crate::metadata::{Frame, of_revision};
use crate::names;
use crate::tree::{Past, Revision};

pub(super) fn list_revisions(call: &mut Call) -> Result<Answer, Failure> {
    const FIELDS: [&str; 5] = [
        "path",
        "mode",
        "limit",
        "before_rev",
        "include_restorable_info",
    ];
    let args = Args::of(&call.arg, &FIELDS)?;
    let path = args.path("path", PathForm::PathOrId)?;
    let by_id = args.choice("mode", &["path", "id"])? == Some(1);
    let limit = args.defaulted_number("limit", 10, 1, 100)?;
    let before_rev = args.optional_rev("before_rev")?;
    let restorable = args.flag("include_restorable_info", false)?;
    if by_id && before_rev.is_some() {
        return Err(Failure::Route(tag("before_rev_not_supported")));
    }
    let key = history_key(call, path)?;
    let (mut revisions, mut gone) = past_of(call, &key);
    if by_id {
        let id = revisions
            .last()
            .map(|newest| newest.id.clone())
            .unwrap_or_default();
        revisions = call.account.tree.versions(&id).to_vec();
        gone = gone.filter(|_| call.account.tree.key_of_id(&id).is_none());
    }
    if let Some(before_rev) = before_rev {
        let found = revisions
            .iter()
            .position(|revision| revision.rev == before_rev);
        let index = found.ok_or_else(|| Failure::Route(tag("invalid_before_rev")))?;
        revisions.truncate(index);
        gone = None;
    }
    let tree = &call.account.tree;
    let limit = usize::try_from(limit).unwrap_or(100);
    let has_more = revisions.len() > limit;
    let entries: Vec<Value> = revisions
        .iter()
        .rev()
        .take(limit)
        .map(|revision| {
            let mut entry = of_revision(tree, revision, &revision.display, Frame::Plain);
            if restorable {
                entry["is_restorable"] = json!(true);
            }
            entry
        })
        .collect();
    let mut answer = json!({
        "is_deleted": gone.is_some(),
        "entries": entries,
        "has_more": has_more,
    });
    if let Some(gone) = gone {
        answer["server_deleted"] = json!(timestamp(gone));
    }
    Ok(answer.into())
}

/// The key whose history is meant: that of the latest file at the path or with the id.
fn history_key(call: &Call, path: &str) -> Result<String, Failure> {
    let tree = &call.account.tree;
    let key = match call.account.lookup_key(path) {
        Err(LookupError::NotFound) if path.starts_with("id:") => {
            let newest = tree.versions(path).last();
            let newest = newest.ok_or_else(|| Failure::path(LookupError::NotFound))?;
            names::folded(&newest.display)
        }
        other => other.map_err(Failure::path)?,
    };
    if tree.is_folder(&key) {
        return Err(Failure::path(LookupError::NotFile));
    }
    if tree.history(&key).is_empty() {
        return Err(Failure::path(LookupError::NotFound));
    }
    Ok(key)
}

/// The revisions at a key, oldest first, and when the newest was deleted or moved away.
fn past_of(call: &Call, key: &str) -> (Vec<Arc<Revision>>, Option<i64>) {
    let mut revisions = Vec::new();
    let mut gone = None;
    for past in call.account.tree.history(key) {
        match past {
            Past::Stored(revision) => {
                revisions.push(Arc::clone(revision));
                gone = None;
            }
            Past::Gone(at) => gone = Some(*at),
        }
    }
    (revisions, gone)
}

pub(super) fn restore(call: &mut Call) -> Result<Answer, Failure> {
    let args = Args::of(&call.arg, &["path", "rev"])?;
    let path = args.path("path", PathForm::Write)?.to_owned();
    let rev = args.rev("rev")?;
    let revision = call.account.tree.revision(rev).cloned();
    let revision = revision.ok_or_else(|| Failure::Route(tag("invalid_revision")))?;
    let wish = Commit {
        path,
        mode: Mode::Overwrite,
        naming: Naming::Exact,
        client_modified: Some(revision.client_modified.clone()),
        strict_conflict: false,
    };
    let content = Content {
        blob: revision.content.clone(),
        hash: revision.content_hash.clone(),
    };
    match save(call, wish, &content, Frame::Plain) {
        Ok(metadata) => Ok(metadata.into()),
        Err(error) => Err(Failure::Route(nested("path_write", error.into()))),
    }
}
