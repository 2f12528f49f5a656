//! Making folders, and deleting: one by one and in batches.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Answer, Call};
use crate::account::Account;
use crate::args::{Args, PathForm};
use crate::commit::numbered_name;
use crate::errors::{Conflict, Failure, LookupError, WriteError, nested, tag};
use crate::jobs::Work;
use crate::metadata::{Frame, Wanted, of_folder, of_node};
use crate::names;
use crate::tree::Actor;

/// As many paths as this, and more, are created asynchronously: the least that was seen to be.
const JOB_MIN: usize = 100;

pub(super) fn create(call: &mut Call) -> Result<Answer, Failure> {
    let args = Args::of(&call.arg, &["path", "autorename"])?;
    let path = args.path("path", PathForm::Write)?.to_owned();
    let autorename = args.flag("autorename", false)?;
    let metadata = create_one(call.account, &path, autorename).map_err(Failure::path)?;
    Ok(json!({ "metadata": metadata }).into())
}

fn create_one(account: &mut Account, path: &str, autorename: bool) -> Result<Value, WriteError> {
    let mut path = account.write_path(path)?;
    let tree = &mut account.tree;
    let key = names::folded(&path);
    if !tree.is_writable(&key, Actor::App) || !tree.knows_folder_of(&key) {
        return Err(WriteError::NoWritePermission);
    }
    tree.check_ancestors(&key)?;
    if tree.live(&key).is_some() {
        let is_folder = tree.is_folder(&key);
        let conflict = if is_folder {
            Conflict::Folder
        } else {
            Conflict::File
        };
        if !autorename {
            return Err(WriteError::Conflict(conflict));
        }
        path = numbered_name(tree, &path);
    }
    tree.note_new_folder(&names::folded(&path));
    let key = tree.create_folder(&path);
    let node = tree.live(&key);
    Ok(node.map_or(Value::Null, |node| {
        of_folder(tree, &key, node, Frame::Plain)
    }))
}

pub(super) fn create_batch(call: &mut Call) -> Result<Answer, Failure> {
    const FIELDS: [&str; 3] = ["paths", "autorename", "force_async"];
    let args = Args::of(&call.arg, &FIELDS)?;
    let mut paths = Vec::new();
    for (index, item) in args.list("paths", 10_000)?.iter().enumerate() {
        let wrapped = json!({ "path": item });
        let path = Args::of(&wrapped, &["path"])
            .and_then(|one| one.path("path", PathForm::Write).map(str::to_owned));
        paths.push(path.map_err(|failure| match failure {
            Failure::Argument(text) => Failure::Argument(format!("paths[{index}]: {text}")),
            other => other,
        })?);
    }
    let autorename = args.flag("autorename", false)?;
    let as_job = args.flag("force_async", false)? || paths.len() >= JOB_MIN;
    let work: Work = Arc::new(move |account| create_all(account, &paths, autorename));
    let route = "files/create_folder_batch";
    Ok(call.account.batch(route, as_job, work).into())
}

fn create_all(account: &mut Account, paths: &[String], autorename: bool) -> Value {
    let mut done: HashMap<&str, Value> = HashMap::new();
    let mut entries = Vec::new();
    for path in paths {
        // Duplicates are considered only once, and have the same result.
        let entry =
            done.entry(path)
                .or_insert_with(|| match create_one(account, path, autorename) {
                    Ok(metadata) => json!({".tag": "success", "metadata": metadata}),
                    Err(error) => nested("failure", nested("path", error.into())),
                });
        entries.push(entry.clone());
    }
    json!({ "entries": entries })
}

pub(super) fn check_create_batch(call: &mut Call) -> Result<Answer, Failure> {
    check_job(call, "files/create_folder_batch")
}

/// The state of a job.
pub(super) fn check_job(call: &mut Call, route: &'static str) -> Result<Answer, Failure> {
    let args = Args::of(&call.arg, &["async_job_id"])?;
    let id = args.filled_text("async_job_id")?;
    match call.account.jobs.get(id).filter(|job| job.route == route) {
        Some(job) => Ok(job.status().into()),
        None => Err(Failure::Route(tag("invalid_async_job_id"))),
    }
}

const DELETE_FIELDS: [&str; 2] = ["path", "parent_rev"];

fn delete_arg(args: &Args) -> Result<(String, Option<String>), Failure> {
    let path = args.path("path", PathForm::WriteOrId)?.to_owned();
    Ok((path, args.optional_rev("parent_rev")?.map(str::to_owned)))
}

pub(super) fn delete(call: &mut Call) -> Result<Answer, Failure> {
    let (path, parent_rev) = delete_arg(&Args::of(&call.arg, &DELETE_FIELDS)?)?;
    let metadata =
        delete_one(call.account, &path, parent_rev.as_deref()).map_err(Failure::Route)?;
    Ok(json!({ "metadata": metadata }).into())
}

pub(super) fn delete_batch(call: &mut Call) -> Result<Answer, Failure> {
    let args = Args::of(&call.arg, &["entries"])?;
    let entries = args.objects("entries", 1000, &DELETE_FIELDS)?;
    let entries: Vec<_> = entries.iter().map(delete_arg).collect::<Result<_, _>>()?;
    let work: Work = Arc::new(move |account| delete_all(account, &entries));
    Ok(call.account.batch("files/delete_batch", true, work).into())
}

fn delete_all(account: &mut Account, entries: &[(String, Option<String>)]) -> Value {
    let delete = |(path, parent_rev): &(String, Option<String>)| match delete_one(
        account,
        path,
        parent_rev.as_deref(),
    ) {
        Ok(metadata) => json!({".tag": "success", "metadata": metadata}),
        Err(error) => nested("failure", error),
    };
    json!({ "entries": entries.iter().map(delete).collect::<Vec<_>>() })
}

pub(super) fn check_delete_batch(call: &mut Call) -> Result<Answer, Failure> {
    check_job(call, "files/delete_batch")
}

/// Deletes and returns the metadata of what was there, or a `DeleteError`.
fn delete_one(account: &mut Account, path: &str, parent_rev: Option<&str>) -> Result<Value, Value> {
    let lookup = |error: LookupError| nested("path_lookup", error.into());
    let write = |error: WriteError| nested("path_write", error.into());
    let key = account.lookup_key(path).map_err(lookup)?;
    let now = account.clock.now();
    let tree = &mut account.tree;
    let node = tree
        .live(&key)
        .ok_or_else(|| lookup(LookupError::NotFound))?;
    if !tree.is_writable(&key, Actor::App) {
        return Err(write(WriteError::NoWritePermission));
    }
    // The spec names no error for a wrong `parent_rev`; conflicts are the nearest it has.
    if let Some(expected) = parent_rev {
        match tree.file(&key) {
            Some(file) if file.rev == expected => {}
            Some(_) => return Err(write(WriteError::Conflict(Conflict::File))),
            None => return Err(write(WriteError::Conflict(Conflict::Folder))),
        }
    }
    let metadata = of_node(tree, &key, node, Wanted::default());
    tree.remove(&key, now).map_err(lookup)?;
    Ok(metadata)
}
