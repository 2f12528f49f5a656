//! `files/get_metadata`: what stands at a path, or used to.

use super::{Answer, Call};
use crate::args::{Args, PathForm};
use crate::errors::{Failure, LookupError};
use crate::metadata::{Frame, Wanted, of_node, of_revision};
use crate::tree::Entry;

pub(super) fn metadata(call: &mut Call) -> Result<Answer, Failure> {
    let args = Args::of(
        &call.arg,
        &[
            "path",
            "include_media_info",
            "include_deleted",
            "include_has_explicit_shared_members",
            "include_property_groups",
        ],
    )?;
    if args.text("path")?.is_empty() {
        return Err(Failure::Argument(
            "path: The root folder is unsupported.".into(),
        ));
    }
    let path = args.path("path", PathForm::Read)?;
    args.flag("include_media_info", false)?;
    let include_deleted = args.flag("include_deleted", false)?;
    let wanted = Wanted {
        explicit_shared_members: args.flag("include_has_explicit_shared_members", false)?,
        restorable: false,
    };
    let tree = &call.account.tree;
    if path.starts_with("rev:") {
        let revision = call.account.revision_at(path).map_err(Failure::path)?;
        return Ok(of_revision(tree, revision, &revision.display, Frame::Tagged).into());
    }
    let key = call.account.lookup_key(path).map_err(Failure::path)?;
    if key.is_empty() {
        return Err(Failure::Argument(
            "path: The root folder is unsupported.".into(),
        ));
    }
    match tree.nodes.get(key.as_str()) {
        Some(node) if include_deleted || !matches!(node.entry, Entry::Deleted) => {
            Ok(of_node(tree, &key, node, wanted).into())
        }
        _ => Err(Failure::path(LookupError::NotFound)),
    }
}
