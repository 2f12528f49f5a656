//! Whose ids a directory tree is worked in under: as root, those of its owner. The kernel then
//! refuses whatever the owner could not do, so nobody who can put links, files or folders into the
//! tree gets more out of root than from the owner.
//!
//! The effective user id is switched for single calls, and the state is written as root. Root's
//! groups are given up at once: they add nothing to what root may do, and would add to the owner.

use std::io;

use rustix::fs::{Gid, Uid};
use rustix::io::Errno;
use rustix::process::geteuid;
use rustix::thread::{CapabilitySet, capabilities};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::io::env::{groups_of, user_name};
use crate::io::stat::Rights;

/// The owner of a tree, under whose ids root works in it.
#[derive(Clone)]
pub(super) struct OwnerIds {
    uid: Uid,
}

impl OwnerIds {
    /// Those of a tree with this owner; nothing where we are not root, or the owner is.
    ///
    /// # Errors
    /// That root may not take on other ids here, and what to do.
    pub(super) fn of(tree: &Rights) -> io::Result<Option<OwnerIds>> {
        if !geteuid().is_root() || tree.uid == 0 {
            return Ok(None);
        }
        let name = user_name(tree.uid);
        let refused = |errno: Errno| {
            io::Error::other(format!(
                "root works here under the ids of the owner, {name}, and may not take them on \
                 ({errno}): run ferrybox as {name}"
            ))
        };
        let (own, others) = groups_of(tree.uid).unwrap_or((tree.gid, Vec::new()));
        let others: Vec<Gid> = others.into_iter().map(Gid::from_raw).collect();
        set_thread_groups(&others).map_err(refused)?;
        set_thread_res_gid(None, Gid::from_raw(own), None).map_err(refused)?;
        let ids = OwnerIds {
            uid: Uid::from_raw(tree.uid),
        };
        drop(ids.take_on().map_err(refused)?);
        Ok(Some(ids))
    }

    /// Works as the owner until the answer is dropped.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn take_on(&self) -> Result<TakenOn, Errno> {
        set_thread_res_uid(None, self.uid, None)?;
        Ok(TakenOn)
    }

    /// The user id.
    pub(super) fn uid(&self) -> u32 {
        self.uid.as_raw()
    }
}

/// The ids of the owner, held until this is dropped.
pub(super) struct TakenOn;

impl Drop for TakenOn {
    fn drop(&mut self) {
        // Nothing may go on under ids that are not meant.
        set_thread_res_uid(None, Uid::ROOT, None).expect("root takes its own id on again");
    }
}

/// Whether we may read what belongs to others.
pub(super) fn reads_everything() -> bool {
    let reads = CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
    // Where that cannot be told, root is taken for root.
    capabilities(None).map_or(geteuid().is_root(), |held| held.effective.intersects(reads))
}
