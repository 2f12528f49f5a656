//! One item looked at: what of it differs from its base, and what follows. Nothing is done here.

use crate::core::content_hash::ContentHash;
use crate::core::decide::{Action, Content, DeletePolicy, Directions, Facts, Side, decide};
use crate::engine::context::Context;
use crate::engine::item::{Item, Local, Observed};
use crate::engine::stable_read::{self, Unread};
use crate::index::Remote;
use crate::io::stat::Stamp;

/// What is to be done about an item.
pub(crate) fn decision(cx: &Context<'_>, item: &Item, observed: &Observed) -> Action {
    decision_with(cx, item, observed, cx.deletes())
}

fn decision_with(
    cx: &Context<'_>,
    item: &Item,
    observed: &Observed,
    deletes: DeletePolicy,
) -> Action {
    let sync = &cx.env.config.sync;
    let allows = cx.allows(item);
    decide(Facts {
        directions: Directions::of(cx.options.mode, allows),
        base: item.row.base_kind(),
        local: observed.side,
        remote: item.row.remote_side(),
        equal: equal(item, observed),
        reset_upload: cx.reset_due && cx.options.up && allows.up && sync.upload_on_reset,
        deletes,
    })
}

/// What is to be done about a path that may be the old name of something, if it can be told. What
/// is gone of a rename is kept nowhere.
pub(crate) fn plan_for(cx: &Context<'_>, item: &Item) -> Option<(Action, Observed)> {
    let observed = observe(cx, item).ok()?;
    let action = decision_with(cx, item, &observed, DeletePolicy::Propagate);
    Some((action, observed))
}

/// Tells a file from its base, reading it only where the stamp does not hold or where only
/// its content can say whether both sides are equal.
pub(crate) fn observe(cx: &Context<'_>, item: &Item) -> Result<Observed, Unread> {
    let read_at_ns = match item.local {
        Local::File(status) => stable_read::begin(cx.env.host, cx.env.deadline, &status.stamp),
        Local::Unknown | Local::Gone | Local::Folder { .. } => cx.env.host.now_ns(),
    };
    let seen = |side, hash, stamp| {
        Ok(Observed {
            side,
            hash,
            stamp,
            read_at_ns,
        })
    };
    let status = match item.local {
        Local::Unknown => return seen(Side::Unknown, None, Stamp::default()),
        Local::Gone => return seen(Side::Gone, None, Stamp::default()),
        Local::Folder { .. } => return seen(Side::Folder, None, Stamp::default()),
        Local::File(status) => status,
    };
    let (same, edited) = (Side::File(Content::Same), Side::File(Content::Edited));
    let remote = match &item.row.remote {
        Remote::File(remote) => Some(remote),
        Remote::AsBase | Remote::Gone | Remote::Folder | Remote::NotDownloadable => None,
    };
    let could_be_equal = remote.is_some_and(|r| r.hash.is_some() && r.size == status.stamp.size);
    let Some(base) = item.row.base_file() else {
        if !could_be_equal {
            return seen(edited, None, status.stamp);
        }
        let (hash, stamp) = hash(cx, item)?;
        return seen(edited, Some(hash), stamp);
    };
    if base.stamp == status.stamp && !base.racy {
        return seen(same, Some(base.hash), status.stamp);
    }
    if base.stamp.size != status.stamp.size && !could_be_equal {
        return seen(edited, None, status.stamp);
    }
    let (hash, stamp) = hash(cx, item)?;
    seen(
        if hash == base.hash { same } else { edited },
        Some(hash),
        stamp,
    )
}

fn hash(cx: &Context<'_>, item: &Item) -> Result<(ContentHash, Stamp), Unread> {
    let path = item
        .path()
        .map_err(|error| Unread::Failed(std::io::Error::other(error)))?;
    stable_read::hash(cx.env.disk, &path, cx.env.deadline)
}

fn equal(item: &Item, observed: &Observed) -> bool {
    let remote = item.row.remote_file().and_then(|file| file.hash);
    remote.is_some() && remote == observed.hash
}
