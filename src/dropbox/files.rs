//! Routes that only the commands of people ask for: versions of a file, what is deleted, the
//! removal of a tree.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::core::remote::{RemotePath, Rev};
use crate::dropbox::api::{Api, Call, PageSink};
use crate::dropbox::page::PageEnd;
use crate::dropbox::wire::FileMetadata;

/// Versions that are asked for at a time: the most that Dropbox gives (`ListRevisionsArg.limit`).
const REVISIONS: u32 = 100;

/// How much of a folder is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// All below it, not only what lies in it itself.
    pub all_below: bool,
    /// What is deleted, too.
    pub deleted: bool,
}

/// `files/list_folder` for somebody who looks, from the beginning.
///
/// # Errors
/// [`crate::dropbox::retry::CallError`]; `path/not_found` and `path/not_folder` are refusals.
pub fn list(
    api: &Api<'_>,
    path: &RemotePath,
    shown: Shown,
    sink: &mut dyn PageSink,
) -> Call<PageEnd> {
    let mut limits = [2000, 500, 100].into_iter();
    let mut argument = || {
        let limit = limits.next().unwrap_or(100);
        json!({ "path": path, "recursive": shown.all_below, "include_deleted": shown.deleted,
                "limit": limit })
    };
    api.page("files/list_folder", 3, &mut argument, sink)
}

/// Which history is meant (`ListRevisionsMode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryOf {
    /// What has been at this path.
    Path,
    /// The file that is there now, wherever it was before.
    Id,
}

/// `ListRevisionsResult`: versions, the newest first.
#[derive(Debug, Deserialize)]
pub struct Revisions {
    /// Nothing is there now.
    #[serde(default)]
    pub is_deleted: bool,
    /// When it was deleted or moved away.
    pub server_deleted: Option<String>,
    /// The versions.
    pub entries: Vec<FileMetadata>,
    /// There are older ones.
    #[serde(default)]
    pub has_more: bool,
}

/// `files/list_revisions`: a hundred versions at most, those before `before` if that is given.
///
/// # Errors
/// [`crate::dropbox::retry::CallError`]; `path/not_found` and `path/not_file` are refusals.
pub fn revisions(
    api: &Api<'_>,
    path: &RemotePath,
    of: HistoryOf,
    before: Option<&Rev>,
) -> Call<Revisions> {
    let mut argument = json!({ "path": path, "mode": of, "limit": REVISIONS });
    if let Some(before) = before {
        argument["before_rev"] = json!(before);
    }
    api.rpc("files/list_revisions", &argument)
}

/// `files/restore`: this version becomes the newest of the path.
///
/// # Errors
/// [`crate::dropbox::retry::CallError`]; `invalid_revision` is a refusal.
pub fn restore(api: &Api<'_>, path: &RemotePath, rev: &Rev) -> Call<FileMetadata> {
    api.rpc("files/restore", &json!({ "path": path, "rev": rev }))
}
