//! `files/move_v2` and `files/copy_v2`.

use serde_json::{Value, json};

use super::{Answer, Call};
use crate::args::{Args, PathForm};
use crate::commit::numbered_name;
use crate::errors::{Conflict, Failure, LookupError, WriteError, nested, tag};
use crate::metadata::{Wanted, of_node};
use crate::names;
use crate::tree::Actor;

/// The most files and folders one call may touch.
const ENTRIES_MAX: usize = 10_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Move,
    Copy,
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
    let key = transfer(call, &from, &to, autorename, kind).map_err(Failure::Route)?;
    let tree = &call.account.tree;
    let metadata = tree
        .live(&key)
        .map(|node| of_node(tree, &key, node, Wanted::default()));
    Ok(json!({ "metadata": metadata }).into())
}

/// Moves or copies; the new key, or a `RelocationError`.
fn transfer(
    call: &mut Call,
    from: &str,
    to: &str,
    autorename: bool,
    kind: Kind,
) -> Result<String, Value> {
    let lookup = |error: LookupError| nested("from_lookup", error.into());
    let target = |error: WriteError| nested("to", error.into());
    let from_key = call.account.lookup_key(from).map_err(lookup)?;
    let mut to = call.account.write_path(to).map_err(target)?;
    let to_key = names::folded(&to);
    let now = call.now();
    let tree = &mut call.account.tree;
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
        return Ok(to_key);
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
    Ok(key.to_string())
}
