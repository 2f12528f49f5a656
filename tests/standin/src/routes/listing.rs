//! `files/list_folder` and its family.
//!
//! A cursor first walks the keys of the listing in order, then the journal from the position at
//! which the walk began. What changed behind the walk is therefore told afterwards; what changed
//! ahead of it is told twice, which the documented rules allow for.
//!
//! The spec does not say whether a recursive listing of a folder names the folder itself (here it
//! does, unless turned off), nor what becomes of a cursor whose folder was deleted and made again
//! (here it is `reset`).

use std::ops::Bound;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Answer, Call};
use crate::account::Account;
use crate::args::{Args, PathForm};
use crate::cursor::{Cursor, Scope};
use crate::errors::{Failure, LookupError, tag};
use crate::journal::Change;
use crate::metadata::{Wanted, of_deleted, of_node};
use crate::tree::{Entry, Node, Tree};

/// How many entries a page has if the call does not say.
const PAGE_DEFAULT: u64 = 500;

pub(super) fn list_folder(call: &mut Call) -> Result<Answer, Failure> {
    let mut cursor = first_cursor(call, Some(String::new()))?;
    Ok(page(call.account, &mut cursor).into())
}

pub(super) fn latest_cursor(call: &mut Call) -> Result<Answer, Failure> {
    let cursor = first_cursor(call, None)?;
    Ok(json!({ "cursor": cursor.sealed() }).into())
}

pub(super) fn list_continue(call: &mut Call) -> Result<Answer, Failure> {
    let args = Args::of(&call.arg, &["cursor"])?;
    let mut cursor = open(call, args.filled_text("cursor")?)?;
    standing(call.account, &cursor)?;
    Ok(page(call.account, &mut cursor).into())
}

pub(super) fn longpoll(call: &mut Call) -> Result<Answer, Failure> {
    let args = Args::of(&call.arg, &["cursor", "timeout"])?;
    args.defaulted_number("timeout", 30, 30, 480)?;
    let cursor = open(call, args.filled_text("cursor")?)?;
    let changes = standing(call.account, &cursor).is_err() || has_news(&call.account.tree, &cursor);
    Ok(json!({ "changes": changes }).into())
}

fn first_cursor(call: &Call, listed_to: Option<String>) -> Result<Cursor, Failure> {
    let args = Args::of(
        &call.arg,
        &[
            "path",
            "recursive",
            "include_media_info",
            "include_deleted",
            "include_has_explicit_shared_members",
            "include_mounted_folders",
            "limit",
            "shared_link",
            "include_property_groups",
            "include_non_downloadable_files",
            "include_restorable_info",
        ],
    )?;
    let path = args.path("path", PathForm::RootOrId)?;
    args.flag("include_media_info", false)?;
    if args.has("shared_link") {
        return Err(Failure::Argument(
            "shared_link: not modelled by this stand-in".into(),
        ));
    }
    let limit = args
        .optional_number("limit", 1, 2000)?
        .unwrap_or(PAGE_DEFAULT);
    let scope = Scope {
        root: call.account.lookup_key(path).map_err(Failure::path)?,
        recursive: args.flag("recursive", false)?,
        deleted: args.flag("include_deleted", false)?,
        mounted: args.flag("include_mounted_folders", true)?,
        non_downloadable: args.flag("include_non_downloadable_files", true)?,
        explicit_members: args.flag("include_has_explicit_shared_members", false)?,
        restorable: args.flag("include_restorable_info", false)?,
        limit: usize::try_from(limit).unwrap_or(2000),
    };
    check_root(&call.account.tree, &scope.root)?;
    Ok(Cursor {
        epoch: call.account.cursor_epoch,
        app: call.app(),
        account: call.account.account_id.clone(),
        scope,
        listed_to,
        position: call.account.tree.journal.position(),
        empty_pages: 0,
    })
}

fn check_root(tree: &Tree, root: &str) -> Result<(), Failure> {
    if tree.is_folder(root) {
        return Ok(());
    }
    let is_file = tree.file(root).is_some();
    let error = if is_file {
        LookupError::NotFolder
    } else {
        LookupError::NotFound
    };
    Err(Failure::path(error))
}

/// Reads a cursor; it must be of this account and, unless nobody is logged in, of this app.
fn open(call: &Call, text: &str) -> Result<Cursor, Failure> {
    let refuse = |why: &str| Failure::Call(format!("Invalid \"cursor\" parameter: {why}"));
    let cursor = Cursor::opened(text).ok_or_else(|| match call.grant {
        Some(_) => refuse("the cursor is malformed."),
        // Longpoll's, who asks for no token.
        None => Failure::Call("request body: cursor: unsupported cursor type".into()),
    })?;
    if call
        .grant
        .as_ref()
        .is_some_and(|grant| grant.app != cursor.app)
    {
        return Err(refuse("this cursor is for a different app."));
    }
    if cursor.account != call.account.account_id {
        return Err(refuse("this cursor is for a different user."));
    }
    if cursor.epoch != call.account.cursor_epoch {
        return Err(Failure::Route(tag("reset")));
    }
    Ok(cursor)
}

/// Checks that the listed folder is still the one the cursor was made for.
fn standing(account: &Account, cursor: &Cursor) -> Result<(), Failure> {
    if account.habits.app_folder_is_gone {
        return Err(Failure::path(LookupError::NotFound));
    }
    let (tree, root) = (&account.tree, cursor.scope.root.as_str());
    check_root(tree, root)?;
    let replaced = crate::names::ancestors(root)
        .chain([root])
        .any(|key| tree.journal.folder_removed_after(key, cursor.position));
    if replaced {
        Err(Failure::Route(tag("reset")))
    } else {
        Ok(())
    }
}

fn page(account: &Account, cursor: &mut Cursor) -> Value {
    if let Some(page) = empty_page(account, cursor) {
        return page;
    }
    let limit = cursor
        .scope
        .limit
        .min(account.habits.page_limit.unwrap_or(usize::MAX))
        .max(1);
    let tree = &account.tree;
    let names_root = account.habits.listing_names_its_root && cursor.scope.recursive;
    let (entries, has_more) = match cursor.listed_to.take() {
        Some(listed_to) => {
            let walk = Walk::new(tree, &cursor.scope, listed_to, names_root);
            let mut found: Vec<(Arc<str>, Value)> = walk.take(limit + 1).collect();
            let has_more = found.len() > limit;
            found.truncate(limit);
            if has_more {
                cursor.listed_to = found.last().map(|(key, _)| key.to_string());
            }
            let entries: Vec<Value> = found.into_iter().map(|(_, entry)| entry).collect();
            (entries, has_more || has_news(tree, cursor))
        }
        None => changes(tree, cursor, limit),
    };
    json!({"entries": entries, "cursor": cursor.sealed(), "has_more": has_more})
}

/// A page without entries before one that has some, if the service makes such.
fn empty_page(account: &Account, cursor: &mut Cursor) -> Option<Value> {
    let is_due = cursor.empty_pages < account.habits.empty_pages && has_news(&account.tree, cursor);
    cursor.empty_pages = if is_due { cursor.empty_pages + 1 } else { 0 };
    is_due.then(|| json!({"entries": [], "cursor": cursor.sealed(), "has_more": true}))
}

/// The next changes of the journal, moving the cursor past them.
fn changes(tree: &Tree, cursor: &mut Cursor, limit: usize) -> (Vec<Value>, bool) {
    let mut entries = Vec::new();
    for (position, change) in tree.journal.after(cursor.position) {
        let Some(entry) = told(tree, &cursor.scope, change) else {
            continue;
        };
        if entries.len() == limit {
            return (entries, true);
        }
        entries.push(entry);
        cursor.position = position;
    }
    cursor.position = tree.journal.position();
    (entries, false)
}

fn has_news(tree: &Tree, cursor: &Cursor) -> bool {
    let mut changes = tree.journal.after(cursor.position);
    cursor.listed_to.is_some()
        || changes.any(|(_, change)| told(tree, &cursor.scope, change).is_some())
}

/// What a listing says about a change; `None` if it is none of its business.
fn told(tree: &Tree, scope: &Scope, change: &Change) -> Option<Value> {
    let key = &*change.key;
    let below = key.strip_prefix(&scope.root)?.strip_prefix('/');
    let in_scope = match below {
        Some(rest) => scope.recursive || !rest.contains('/'),
        None => scope.recursive && key == scope.root,
    };
    let node = tree.nodes.get(key).filter(|_| in_scope)?;
    if change.removed || matches!(node.entry, Entry::Deleted) {
        return Some(of_deleted(tree, key, node, wanted(scope)));
    }
    shows(tree, scope, key, node).then(|| of_node(tree, key, node, wanted(scope)))
}

fn wanted(scope: &Scope) -> Wanted {
    Wanted {
        explicit_shared_members: scope.explicit_members,
        restorable: scope.restorable,
    }
}

/// Whether the arguments of the listing let an entry through.
fn shows(tree: &Tree, scope: &Scope, key: &str, node: &Node) -> bool {
    if !scope.mounted && tree.read_only_root(key).is_some_and(|root| root != key) {
        return false;
    }
    match &node.entry {
        Entry::Deleted => scope.deleted,
        Entry::Folder { .. } => true,
        Entry::File(revision) => {
            let marks = tree.marks.get(&revision.id);
            scope.non_downloadable || !marks.is_some_and(|marks| marks.not_downloadable)
        }
    }
}

/// The entries of a listing in the order of their keys.
struct Walk<'a> {
    tree: &'a Tree,
    scope: &'a Scope,
    from: Bound<String>,
    names_root: bool,
}

impl<'a> Walk<'a> {
    fn new(tree: &'a Tree, scope: &'a Scope, listed_to: String, names_root: bool) -> Self {
        let at_start = listed_to.is_empty();
        let names_root = at_start && names_root && !scope.root.is_empty();
        let from = if at_start || listed_to == scope.root {
            Bound::Included(format!("{}/", scope.root))
        } else {
            Bound::Excluded(listed_to)
        };
        Self {
            tree,
            scope,
            from,
            names_root,
        }
    }
}

impl Iterator for Walk<'_> {
    type Item = (Arc<str>, Value);

    fn next(&mut self) -> Option<Self::Item> {
        let (tree, scope) = (self.tree, self.scope);
        if std::mem::take(&mut self.names_root) {
            let (key, node) = tree.nodes.get_key_value(scope.root.as_str())?;
            return Some((Arc::clone(key), of_node(tree, key, node, wanted(scope))));
        }
        let end = format!("{}0", scope.root);
        loop {
            let range = (
                self.from.as_ref().map(String::as_str),
                Bound::Excluded(end.as_str()),
            );
            let (key, node) = tree.nodes.range::<str, _>(range).next()?;
            let rest = &key[scope.root.len() + 1..];
            if let Some(slash) = rest.find('/').filter(|_| !scope.recursive) {
                // Jump over everything below this child.
                let child = &key[..scope.root.len() + 1 + slash];
                self.from = Bound::Included(format!("{child}0"));
                continue;
            }
            self.from = Bound::Excluded(key.to_string());
            if shows(tree, scope, key, node) {
                return Some((Arc::clone(key), of_node(tree, key, node, wanted(scope))));
            }
        }
    }
}
