//! The last look at what is here, right before something is deleted in Dropbox: what has come back
//! since the walk saw it gone is not deleted, and neither is what cannot be looked at any more.

use std::io;

use crate::core::path::RelPath;
use crate::engine::context::Context;
use crate::engine::item::{Delete, Item, Local};
use crate::engine::local_dir::{LocalDir, LocalEntry, find_local_dir, one_of, that_may_travel};
use crate::error::Result;
use crate::io::listing::Listing;
use crate::io::stat::Kind;
use crate::report::Trouble;

/// What a fresh look at a path finds.
pub(super) enum Here {
    /// The kind of thing that the walk saw, or nothing, as then.
    AsSeen,
    /// Something else.
    Changed,
    /// It cannot be told, for this reason.
    Unknown(String),
}

impl Here {
    /// Whether the delete may go on; says why not.
    pub(super) fn lets_go(&self, cx: &Context<'_>, item: &Item) -> bool {
        let report = cx.env.report;
        match self {
            Here::AsSeen => return true,
            Here::Changed => report.deferred(&item.display_path, "it changed here meanwhile"),
            Here::Unknown(why) => {
                report.problem(
                    &item.display_path,
                    Trouble::Unreadable,
                    &format!("not deleted in Dropbox: {why}"),
                );
            }
        }
        false
    }
}

/// A directory as it is now.
enum Dir<'d> {
    Listed(Listing<'d>, u64),
    /// It is not there, and so nothing is in it.
    Gone,
    Unknown(String),
}

/// Looks at paths again, a directory at a time.
#[derive(Default)]
pub(super) struct FreshLook<'d> {
    /// The directory looked into last, by its key.
    opened: Option<(String, Dir<'d>)>,
}

impl<'d> FreshLook<'d> {
    /// What is here now where `item` was seen.
    ///
    /// # Errors
    /// What the index says.
    pub(super) fn at(&mut self, cx: &Context<'d>, item: &Item) -> Result<Here> {
        let key = &item.row.key;
        let dir = match &mut self.opened {
            Some((dir, opened)) if *dir == key.dir => opened,
            last => {
                let opened = open(cx, item)?;
                &mut last.insert((key.dir.clone(), opened)).1
            }
        };
        let (listing, device) = match dir {
            Dir::Listed(listing, device) => (listing, *device),
            Dir::Gone => return Ok(compared(item, Local::Gone)),
            Dir::Unknown(why) => return Ok(Here::Unknown(why.clone())),
        };
        let mut found = Vec::new();
        for name in listing.names.with_key(&key.name) {
            let Some(name) = listing.names.get(name) else {
                continue;
            };
            match listing.handle.status(name) {
                Ok(Some(status)) => found.push(LocalEntry {
                    name: name.to_owned(),
                    status: Ok(status),
                }),
                Ok(None) => {}
                Err(error) => return Ok(Here::Unknown(error.to_string())),
            }
        }
        let Some(found) = that_may_travel(cx, &item.dir, (&key.dir, &key.name), found) else {
            return Ok(Here::Unknown("what is here is left out".to_owned()));
        };
        Ok(compared(item, one_of(&found, &item.row, device).0))
    }
}

/// Those deletes of which nothing has changed here; says why of the others. Each directory is read
/// once.
///
/// # Errors
/// What the index says.
pub(super) fn as_seen(cx: &Context<'_>, deletes: Vec<Delete>) -> Result<Vec<Delete>> {
    let mut order: Vec<usize> = (0..deletes.len()).collect();
    order.sort_by_key(|at| deletes.get(*at).map(|delete| &delete.item.row.key));
    let mut look = FreshLook::default();
    let mut may_go = vec![false; deletes.len()];
    for at in order {
        let item = &deletes[at].item;
        may_go[at] = look.at(cx, item)?.lets_go(cx, item);
    }
    let kept = deletes.into_iter().zip(may_go);
    Ok(kept
        .filter_map(|(delete, may_go)| may_go.then_some(delete))
        .collect())
}

fn compared(item: &Item, now: Local) -> Here {
    match (item.local, now) {
        (_, Local::Unknown) => Here::Unknown("it cannot be told what is here".to_owned()),
        (Local::Gone, Local::Gone)
        | (Local::File(_), Local::File(_))
        | (Local::Folder { .. }, Local::Folder { .. }) => Here::AsSeen,
        _ => Here::Changed,
    }
}

fn open<'d>(cx: &Context<'d>, item: &Item) -> Result<Dir<'d>> {
    let unknown = |error: io::Error| Dir::Unknown(error.to_string());
    let (path, device) = match find_local_dir(cx, &item.row.key.dir)? {
        LocalDir::Present(path, device) => (path, device),
        LocalDir::Absent(..) | LocalDir::BelowFile => return Ok(Dir::Gone),
        LocalDir::Blocked => return Ok(what_blocks(cx, &item.dir).unwrap_or_else(unknown)),
        LocalDir::Unknown => {
            return Ok(Dir::Unknown(
                "the folder it was in cannot be looked at".to_owned(),
            ));
        }
    };
    // What lies on another disk says nothing about this one.
    let listed = cx.check_device(&path, item.device).and_then(|()| {
        let listed = cx.env.disk.list(&path)?;
        cx.check_device(&path, item.device)?;
        Ok(listed)
    });
    Ok(match listed {
        Ok(mut listing) => {
            listing.names.sort();
            Dir::Listed(listing, device)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Dir::Gone,
        Err(error) => unknown(error),
    })
}

/// Nothing lies below a file; what lies behind a link is not known.
fn what_blocks<'d>(cx: &Context<'d>, dir: &RelPath) -> io::Result<Dir<'d>> {
    let mut at = RelPath::root();
    for component in dir.components() {
        at = at.join(component).map_err(io::Error::other)?;
        match cx.env.disk.status(&at)?.map(|status| status.kind) {
            Some(Kind::Folder) => {}
            Some(Kind::File) | None => return Ok(Dir::Gone),
            Some(Kind::Link | Kind::Special(_)) => break,
        }
    }
    Ok(Dir::Unknown(format!(
        "{} is no folder any more",
        dir.slashed()
    )))
}
