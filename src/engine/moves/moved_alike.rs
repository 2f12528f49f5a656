//! Folders that have the same new name on both sides: a pass moved one as a whole and ended before
//! it could take note of that, or a person renamed both. What both sides agreed on goes along:
//! without it, what was edited in the folder would clash with what it was edited from, and what was
//! deleted would come back.
//!
//! The folder here is known by its inode number and the time it was made, the one in Dropbox by
//! what is in it: all that was in the old one, mostly with the same content.

use super::folders::key_below;
use crate::core::path::{Key, below};
use crate::engine::context::Context;
use crate::engine::item::{Local, local_of};
use crate::engine::local_dir::{LocalDir, display_path_of, find_local_dir};
use crate::error::Result;
use crate::index::{Base, Remote, Row, Trees};
use crate::io::stat::FolderRights;

/// LIMIT: gone folders that are looked for under another name; what is in others counts as new.
const GONE_MAX: usize = 250;

/// A folder that both sides agreed on, and neither has under this name.
struct Gone {
    key: Key,
    known: FolderRights,
    /// Its key on both sides now.
    to: Option<Key>,
}

/// Gives what is known of such folders their new keys.
///
/// # Errors
/// Whatever ends the pass.
pub(crate) fn take_along(cx: &Context<'_>) -> Result<()> {
    if !cx.had_base || cx.is_older || cx.reset_due {
        return Ok(());
    }
    let trees = Trees(cx.env.index);
    let mut gone = Vec::new();
    trees.each_gone_folder(&mut |row| {
        cx.env.deadline.check()?;
        // Without the time that it was made, another one may have its number.
        let known = row.folder_rights;
        let known = known.filter(|known| known.inode != 0 && known.born_ns.is_some());
        if let Some(known) = known.filter(|_| !row.mount && gone.len() < GONE_MAX)
            && let LocalDir::Absent(..) = find_local_dir(cx, &row.key.path())?
        {
            gone.push(Gone {
                key: row.key,
                known,
                to: None,
            });
        }
        Ok(())
    })?;
    if gone.is_empty() {
        return Ok(());
    }
    trees.each_new_folder(&mut |row| {
        cx.env.deadline.check()?;
        if let Some(now) = here(cx, &row)? {
            let is_it = |gone: &&mut Gone| {
                (gone.known.inode, gone.known.born_ns) == (now.inode, now.born_ns)
            };
            if let Some(gone) = gone.iter_mut().find(is_it) {
                gone.to = Some(row.key);
            }
        }
        Ok(())
    })?;
    for Gone { key, to, .. } in gone {
        if let Some(to) = to
            && is_the_same(cx, &key, &to)?
        {
            log::info!("/{} is /{} on both sides now", key.path(), to.path());
            rekey(cx, &key, &to)?;
        }
    }
    Ok(())
}

/// The folder here that Dropbox has, too, and of which nothing else is known.
fn here(cx: &Context<'_>, row: &Row) -> Result<Option<FolderRights>> {
    let LocalDir::Present(path, _) = find_local_dir(cx, &row.key.path())? else {
        return Ok(None);
    };
    let disk = cx.env.disk;
    let (Ok(Some(parent)), Ok(Some(status))) = (disk.status(&path.parent()), disk.status(&path))
    else {
        return Ok(None);
    };
    Ok(match local_of(&status, parent.device) {
        Local::Folder {
            mount: false,
            rights,
            ..
        } => Some(cx.with_birth(&path, rights)),
        _ => None,
    })
}

/// Whether Dropbox has all under the new name that was under the old one, and mostly as it was.
fn is_the_same(cx: &Context<'_>, old: &Key, new: &Key) -> Result<bool> {
    let (from, to) = (old.path(), new.path());
    let is_nested = below(&from, &to).is_some() || below(&to, &from).is_some();
    let own_keys = &cx.env.own_keys;
    let has_own = |own: &String| below(own, &from).is_some() || below(own, &to).is_some();
    if is_nested || own_keys.iter().any(has_own) {
        return Ok(false);
    }
    let (mut files, mut alike, mut is_whole) = (0_u64, 0_u64, true);
    Trees(cx.env.index).each_below_until(old, &mut |row| {
        cx.env.deadline.check()?;
        let path = row.key.path();
        let rest = below(&path, &from).unwrap_or_default();
        let there = cx.env.index.row(&key_below(&to, rest))?;
        let there = there.filter(|there| there.intact && there.base == Base::None && !there.mount);
        let is_gone = row.intact && row.remote == Remote::Gone && !row.mount;
        let Some(there) = there.filter(|_| is_gone) else {
            is_whole = false;
            return Ok(false);
        };
        is_whole = may_travel(cx, &there)?;
        is_whole &= match (&row.base, there.remote) {
            (Base::Folder, Remote::Folder) => true,
            (Base::File(base), Remote::File(file)) => {
                files += 1;
                alike += u64::from(file.hash == Some(base.hash));
                true
            }
            _ => false,
        };
        Ok(is_whole)
    })?;
    Ok(is_whole && files > 0 && alike * 2 >= files)
}

/// Whether no rule leaves it out under its new name.
fn may_travel(cx: &Context<'_>, row: &Row) -> Result<bool> {
    let Some(dir) = display_path_of(cx, &row.key.dir)? else {
        return Ok(false);
    };
    let filter = &cx.env.config.sync.filter;
    let path = dir.join(&row.display_name);
    let allows = filter.allows_as(&path, row.remote_is_folder());
    Ok(allows.up || allows.down)
}

/// Dropbox holds what it was seen to hold under the new name.
fn rekey(cx: &Context<'_>, old: &Key, new: &Key) -> Result<()> {
    let index = cx.env.index;
    let mut change = |old: Row, there: Option<Row>| {
        let mut row = there.unwrap_or_else(|| Row::new(old.key.clone(), &old.display_name));
        let seen = row.remote_now();
        if old.key != *new {
            let local_name = old.local_name();
            row.local = (local_name != row.display_name).then(|| local_name.to_owned());
        }
        row.base = old.base;
        row.folder_rights = old.folder_rights;
        row.set_remote(seen);
        row
    };
    index.transaction(|| Trees(index).rekey(old, new, &mut change))
}
