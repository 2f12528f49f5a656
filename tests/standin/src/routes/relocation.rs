//! `files/move_v2` and `files/copy_v2`, and both in batches.
//!
//! In a batch each entry has its own result. That paths must be neither duplicate nor nested
//! among the entries is said by `RelocationError` only; here the later entry fails.

use std::sync::Arc;

use serde_json::{Value, json};

use super::folders::check_job;
use super::{Answer, Call};
use crate::account::Account;
use crate::args::{Args, PathForm};
use crate::commit::numbered_name;
use crate::errors::{Conflict, Failure, LookupError, WriteError, nested, tag};
use crate::jobs::Work;
use crate::metadata::{Wanted, of_node};
use crate::names;
use crate::tree::{Actor, Tree};

/// The most files and folders one call may touch.
const ENTRIES_MAX: usize = 10_000;

/// The most entries of one batch.
const BATCH_MAX: usize = 1000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Move,
    Copy,
}

impl Kind {
    fn batch_route(self) -> &'static str {
        match self {
            Self::Move => "files/move_batch_v2",
            Self::Copy => "files/copy_batch_v2",
        }
    }

    fn batch_fields(self) -> &'static [&'static str] {
        match self {
            Self::Move => &["entries", "autorename", "allow_ownership_transfer"],
            Self::Copy => &["entries", "autorename"],
        }
    }
}

pub(super) fn relocate(call: &mut Call) -> Result<Answer, Failure> {
    run(call, Kind::Move)
}

pub(super) fn copy(call: &mut Call) -> Result<Answer, Failure> {
    run(call, Kind::Copy)
}

fn run(call: &mut Call, kind: Kind) -> Result<Answer, Failure> {
    let args = Args::of(
        &call.arg,
        &[
            "from_path",
            "to_path",
            "allow_shared_folder",
            "autorename",
            "allow_ownership_transfer",
        ],
    )?;
    let from = args.path("from_path", PathForm::WriteOrId)?.to_owned();
    let to = args.path("to_path", PathForm::WriteOrId)?.to_owned();
    args.flag("allow_shared_folder", false)?;
    args.flag("allow_ownership_transfer", false)?;
    let autorename = args.flag("autorename", false)?;
    let result = transfer(call.account, &from, &to, autorename, kind);
    let metadata = result.map_err(Failure::Route)?;
    Ok(json!({ "metadata": metadata }).into())
}

pub(super) fn relocate_batch(call: &mut Call) -> Result<Answer, Failure> {
    run_batch(call, Kind::Move)
}

pub(super) fn copy_batch(call: &mut Call) -> Result<Answer, Failure> {
    run_batch(call, Kind::Copy)
}

pub(super) fn check_relocate_batch(call: &mut Call) -> Result<Answer, Failure> {
    check_job(call, Kind::Move.batch_route())
}

pub(super) fn check_copy_batch(call: &mut Call) -> Result<Answer, Failure> {
    check_job(call, Kind::Copy.batch_route())
}

fn run_batch(call: &mut Call, kind: Kind) -> Result<Answer, Failure> {
    let args = Args::of(&call.arg, kind.batch_fields())?;
    let mut entries = Vec::new();
    for entry in args.objects("entries", BATCH_MAX, &["from_path", "to_path"])? {
        let from = entry.path("from_path", PathForm::WriteOrId)?.to_owned();
        entries.push((from, entry.path("to_path", PathForm::WriteOrId)?.to_owned()));
    }
    if entries.is_empty() {
        let text = "entries: list must have at least 1 items, got 0";
        return Err(Failure::Argument(text.into()));
    }
    let autorename = args.flag("autorename", false)?;
    args.flag("allow_ownership_transfer", false)?;
    let work: Work = Arc::new(move |account| transfer_all(account, &entries, autorename, kind));
    let answer = call.account.batch(kind.batch_route(), true, work);
    Ok(answer.into())
}

fn transfer_all(
    account: &mut Account,
    entries: &[(String, String)],
    autorename: bool,
    kind: Kind,
) -> Value {
    let mut results = Vec::new();
    let mut taken: Vec<String> = Vec::new();
    for (from, to) in entries {
        let keys = [from, to].map(|path| account.lookup_key(path).unwrap_or_default());
        let collides = |key: &String| {
            let mut others = taken.iter();
            others.any(|other| names::is_within(key, other) || names::is_within(other, key))
        };
        let result = if keys.iter().filter(|key| !key.is_empty()).any(collides) {
            Err(tag("duplicated_or_nested_paths"))
        } else {
            transfer(account, from, to, autorename, kind)
        };
        taken.extend(keys.into_iter().filter(|key| !key.is_empty()));
        results.push(match result {
            Ok(metadata) => nested("success", metadata),
            Err(error) => nested("failure", nested("relocation_error", error)),
        });
    }
    json!({ "entries": results })
}

/// Moves or copies; the metadata of the result, or a `RelocationError`.
fn transfer(
    account: &mut Account,
    from: &str,
    to: &str,
    autorename: bool,
    kind: Kind,
) -> Result<Value, Value> {
    let lookup = |error: LookupError| nested("from_lookup", error.into());
    let target = |error: WriteError| nested("to", error.into());
    let from_key = account.lookup_key(from).map_err(lookup)?;
    let mut to = account.write_path(to).map_err(target)?;
    let to_key = names::folded(&to);
    let now = account.clock.now();
    let tree = &mut account.tree;
    let source = tree
        .live(&from_key)
        .ok_or_else(|| lookup(LookupError::NotFound))?;
    if kind == Kind::Move && !tree.is_writable(&from_key, Actor::App) {
        return Err(nested("from_write", WriteError::NoWritePermission.into()));
    }
    if !tree.is_writable(&to_key, Actor::App) {
        return Err(target(WriteError::NoWritePermission));
    }
    if kind == Kind::Move && from_key == to_key && *source.display != *to {
        // "We do not currently support case-only renaming" (move:2): success, unchanged.
        return Ok(told(tree, &to_key));
    }
    if from_key != to_key && names::is_within(&to_key, &from_key) && tree.is_folder(&from_key) {
        return Err(tag("cant_move_folder_into_itself"));
    }
    tree.check_ancestors(&to_key).map_err(target)?;
    if tree.live(&to_key).is_some() {
        let is_folder = tree.is_folder(&to_key);
        let conflict = if is_folder {
            Conflict::Folder
        } else {
            Conflict::File
        };
        if !autorename {
            return Err(target(WriteError::Conflict(conflict)));
        }
        to = numbered_name(tree, &to);
    }
    if tree.below(&from_key).len() >= ENTRIES_MAX {
        return Err(tag("too_many_files"));
    }
    if kind == Kind::Copy && tree.used + tree.weight(&from_key) > tree.quota {
        return Err(tag("insufficient_quota"));
    }
    let key = match kind {
        Kind::Move => tree.relocate(&from_key, &to, now),
        Kind::Copy => tree.copy(&from_key, &to, now),
    };
    Ok(told(tree, &key))
}

fn told(tree: &Tree, key: &str) -> Value {
    tree.live(key).map_or(Value::Null, |node| {
        of_node(tree, key, node, Wanted::default())
    })
}
