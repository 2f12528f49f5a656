//! `files.Metadata` as JSON: what a file, a folder or a deleted entry says of itself.

use serde_json::{Map, Value, json};

use crate::clock::timestamp;
use crate::names;
use crate::tree::{Entry, Marks, Node, Revision, Tree};

/// How the fields are framed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame {
    /// `Metadata`: with the `.tag` of the kind.
    Tagged,
    /// A result declared as `FileMetadata` or `FolderMetadata`: without.
    Plain,
}

/// Optional fields a call can ask for.
#[derive(Clone, Copy, Default)]
pub(crate) struct Wanted {
    pub(crate) explicit_shared_members: bool,
    pub(crate) restorable: bool,
}

/// What stands at a key, or used to.
pub(crate) fn of_node(tree: &Tree, key: &str, node: &Node, wanted: Wanted) -> Value {
    match &node.entry {
        Entry::File(revision) => {
            let mut value = of_revision(tree, revision, &node.display, Frame::Tagged);
            if wanted.explicit_shared_members {
                value["has_explicit_shared_members"] = json!(false);
            }
            add_symlink(tree, revision, &mut value);
            value
        }
        Entry::Folder { .. } => of_folder(tree, key, node, Frame::Tagged),
        Entry::Deleted => of_deleted(tree, key, node, wanted),
    }
}

/// The live file at a key, as the answer of a call that declares `FileMetadata`.
pub(crate) fn of_live_file(tree: &Tree, key: &str, frame: Frame) -> Option<Value> {
    let revision = tree.file(key)?;
    let node = tree.live(key)?;
    let mut value = of_revision(tree, revision, &node.display, frame);
    add_symlink(tree, revision, &mut value);
    Some(value)
}

/// One revision of a file under a path.
pub(crate) fn of_revision(tree: &Tree, revision: &Revision, path: &str, frame: Frame) -> Value {
    let mut fields = located(tree, path, frame, "file");
    let marks = tree.marks.get(&revision.id).cloned().unwrap_or_default();
    let Marks {
        not_downloadable,
        without_content_hash,
        ..
    } = marks;
    let mut put = |name: &str, value: Value| fields.insert(name.into(), value);
    put("id", json!(revision.id));
    put("client_modified", json!(revision.client_modified));
    put(
        "server_modified",
        json!(timestamp(revision.server_modified)),
    );
    put("rev", json!(revision.rev));
    put("size", json!(revision.size()));
    put("is_downloadable", json!(!not_downloadable));
    if not_downloadable {
        put(
            "export_info",
            json!({"export_as": "html", "export_options": ["html", "markdown"]}),
        );
    }
    if !without_content_hash {
        put("content_hash", json!(revision.content_hash));
    }
    let key = names::folded(path);
    if let Some(root) = tree.read_only_root(&key) {
        let sharing = json!({"read_only": true, "parent_shared_folder_id": shared_id(root)});
        put("sharing_info", sharing);
    }
    Value::Object(fields)
}

/// A live folder.
pub(crate) fn of_folder(tree: &Tree, key: &str, node: &Node, frame: Frame) -> Value {
    let mut fields = located(tree, &node.display, frame, "folder");
    if let Entry::Folder { id } = &node.entry {
        fields.insert("id".into(), json!(id));
    }
    if let Some(root) = tree.read_only_root(key) {
        let field = if root == key {
            "shared_folder_id"
        } else {
            "parent_shared_folder_id"
        };
        let sharing = json!({
            "read_only": true,
            "traverse_only": false,
            "no_access": false,
            field: shared_id(root),
        });
        fields.insert("sharing_info".into(), sharing);
        if root == key {
            fields.insert("shared_folder_id".into(), json!(shared_id(root)));
        }
    }
    Value::Object(fields)
}

/// The statement that something was deleted, whatever stands there now.
pub(crate) fn of_deleted(tree: &Tree, key: &str, node: &Node, wanted: Wanted) -> Value {
    let mut fields = located(tree, &node.display, Frame::Tagged, "deleted");
    if wanted.restorable {
        let restorable = !tree.history(key).is_empty();
        fields.insert("is_restorable".into(), json!(restorable));
    }
    Value::Object(fields)
}

/// `files.stone` promises the case of the last component of `path_display` only.
fn located(tree: &Tree, path: &str, frame: Frame, tag: &str) -> Map<String, Value> {
    let mut fields = Map::new();
    if frame == Frame::Tagged {
        fields.insert(".tag".into(), json!(tag));
    }
    fields.insert("name".into(), json!(names::name_of(path)));
    fields.insert("path_lower".into(), json!(names::folded(path)));
    let display = if tree.shows_parents_folded {
        let name = names::name_of(path);
        let (parents, _) = path.split_at(path.len() - name.len());
        format!("{}{name}", names::folded(parents))
    } else {
        path.to_owned()
    };
    fields.insert("path_display".into(), json!(display));
    fields
}

/// Only the metadata of the live file tells that it is a link, not that of a revision.
fn add_symlink(tree: &Tree, revision: &Revision, value: &mut Value) {
    let marks = tree.marks.get(&revision.id);
    if let Some(target) = marks.and_then(|marks| marks.symlink_target.as_ref()) {
        value["symlink_info"] = json!({ "target": target });
    }
}

/// A stable shared folder id made from the key of the mount point.
fn shared_id(root: &str) -> String {
    let fold = |sum: u64, byte: u8| sum.wrapping_mul(31).wrapping_add(u64::from(byte));
    let sum = root.bytes().fold(7, fold);
    (80_000_000 + sum % 10_000_000).to_string()
}
