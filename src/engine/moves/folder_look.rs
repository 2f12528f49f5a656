//! Whether a folder that was renamed here can be renamed in Dropbox as one.

use super::folders::{LocalPaths, are_as_listed};
use crate::core::path::{DisplayPath, RelPath, below, join};
use crate::dropbox::api::Api;
use crate::engine::context::Context;
use crate::engine::local_dir::{LocalDir, display_path_of, find_local_dir};
use crate::error::Result;
use crate::index::{Base, Meta, Remote, RenamedFolder, Row, Trees};

/// LIMIT: files of a folder whose stamps are looked at to know it again.
const LOOKED_AT_MAX: u64 = 1000;

/// A folder that can move as one.
pub(super) struct MovableFolder {
    /// What is in it, and itself.
    pub(super) entries: u64,
    /// Its row under its old name.
    pub(super) row: Row,
    /// Its old path.
    pub(super) display_path: DisplayPath,
}

/// What is to be moved, where a folder can move as one.
///
/// A plan has no Dropbox to ask, and takes it that no more is in it than is known.
///
/// # Errors
/// Whatever ends the pass.
pub(super) fn whole(
    cx: &Context<'_>,
    api: Option<&Api<'_>>,
    folder: &RenamedFolder,
) -> Result<Option<MovableFolder>> {
    let RenamedFolder { key, from, .. } = folder;
    let index = cx.env.index;
    let is_in_step = |row: &Row| {
        row.intact && row.base == Base::Folder && row.remote == Remote::AsBase && !row.mount
    };
    let Some(row) = index.row(from)?.filter(is_in_step) else {
        return Ok(None);
    };
    let is_free = index.row(key)?.is_none() && !Trees(index).has_rows_below(key)?;
    let (old, new) = (from.path(), key.path());
    let is_nested = below(&old, &new).is_some() || below(&new, &old).is_some();
    let is_gone = || -> Result<bool> {
        let found = find_local_dir(cx, &old)?;
        Ok(matches!(found, LocalDir::Absent(..)))
    };
    if !is_free || is_nested || !is_gone()? {
        return Ok(None);
    }
    let (Some(dir), Ok(path)) = (
        display_path_of(cx, &from.dir)?,
        RelPath::parse(&folder.path),
    ) else {
        return Ok(None);
    };
    let old_display = dir.join(&row.display_name);
    let own_keys = &cx.env.own_keys;
    let has_own = |own: &String| below(own, &old).is_some() || below(own, &new).is_some();
    if own_keys.iter().any(has_own) {
        return Ok(None);
    }
    let mut look = FolderLook {
        cx,
        paths: LocalPaths::new(from, path),
        old_display: &old_display,
        new_display: &folder.display_path,
        has_rules: has_rules(cx),
        last_dir: None,
        entries: 1,
        looked_at: 0,
        carried: 0,
        is_whole: true,
    };
    look.may_travel("", "", true);
    Trees(index).each_below(from, &mut |row| look.row(&row))?;
    if !look.is_whole || !look.is_it(&row) {
        return Ok(None);
    }
    // What no rule lets through has no row, and would go along.
    let listed = cx.env.remote_root.of_row(&row);
    let may_hold_more = look.has_rules && index.meta(Meta::HasUnmanaged)?.as_deref() != Some("0");
    if let Some(api) = api.filter(|_| may_hold_more)
        && !are_as_listed(cx, api, &listed, from, from, look.entries - 1)?
    {
        return Ok(None);
    }
    let entries = look.entries;
    Ok(Some(MovableFolder {
        entries,
        row,
        display_path: old_display,
    }))
}

/// Whether a rule can keep something from travelling, whatever it is called.
fn has_rules(cx: &Context<'_>) -> bool {
    let sync = &cx.env.config.sync;
    let hides = sync.filter.hides_name(".a");
    !sync.filter.takes_everything() || hides || sync.max_file_size.is_some()
}

/// What was seen of a folder that has another name here.
struct FolderLook<'s, 'a> {
    cx: &'s Context<'a>,
    paths: LocalPaths,
    old_display: &'s str,
    new_display: &'s str,
    has_rules: bool,
    /// The directory of the row before, below the folder and as Dropbox spells it.
    last_dir: Option<(String, String)>,
    entries: u64,
    looked_at: u64,
    carried: u64,
    is_whole: bool,
}

impl FolderLook<'_, '_> {
    /// Whether it carries the stamps of the folder of this row. Its number alone may be that of a
    /// folder that is gone; the time it was made tells more.
    fn is_it(&self, row: &Row) -> bool {
        // What was edited would be kept under neither name.
        if self.cx.keeps_deletes() && self.carried < self.looked_at {
            return false;
        }
        let known = row.folder_rights;
        match known.is_some_and(|known| known.born_ns.is_some()) {
            true => self.carried > 0 || self.looked_at == 0,
            false => self.carried > 0 && self.carried * 2 >= self.looked_at,
        }
    }

    /// One row below the folder.
    fn row(&mut self, row: &Row) -> Result<()> {
        if !self.is_whole {
            return Ok(());
        }
        self.cx.env.deadline.check()?;
        self.entries += 1;
        let is_in_step = row.intact && row.remote == Remote::AsBase && row.base != Base::None;
        if !is_in_step || row.mount || row.waits_for_its_rev() {
            self.is_whole = false;
            return Ok(());
        }
        if self.has_rules {
            self.rules(row)?;
        }
        let is_enough = self.looked_at >= LOOKED_AT_MAX && !self.cx.keeps_deletes();
        let Some(base) = row.base_file().filter(|_| !is_enough) else {
            return Ok(());
        };
        self.looked_at += 1;
        let path = self.paths.of(self.cx, row)?;
        let status = path.and_then(|path| self.cx.env.disk.status(&path).ok().flatten());
        self.carried += u64::from(status.is_some_and(|status| status.stamp == base.stamp));
        Ok(())
    }

    /// Whether the rules let it travel under either name.
    fn rules(&mut self, row: &Row) -> Result<()> {
        let dir = &row.key.dir;
        if self.last_dir.as_ref().is_none_or(|(last, _)| last != dir) {
            let shown = display_path_of(self.cx, dir)?;
            let rest = shown.and_then(|shown| below(&shown, self.old_display).map(str::to_owned));
            let Some(rest) = rest else {
                self.is_whole = false;
                return Ok(());
            };
            self.last_dir = Some((dir.clone(), rest));
        }
        let size = row.base_file().map_or(0, |base| base.stamp.size);
        self.is_whole &= !self.cx.is_too_large(size);
        let dir = self.last_dir.as_ref().map_or("", |(_, dir)| dir).to_owned();
        let local = self.paths.of(self.cx, row)?;
        let local = local.map(|path| path.slashed()).unwrap_or_default();
        let is_folder = row.base == Base::Folder;
        self.may_travel(&join(&dir, &row.display_name), &local, is_folder);
        Ok(())
    }

    fn may_travel(&mut self, below_it: &str, local: &str, is_folder: bool) {
        let filter = &self.cx.env.config.sync.filter;
        let at = |dir: &str| match below_it {
            "" => dir.to_owned(),
            rest => format!("{dir}/{rest}"),
        };
        let (old, new) = (at(self.old_display), at(self.new_display));
        let local = if local.is_empty() { &new } else { local };
        self.is_whole &= filter.allows_as(&old, is_folder).up;
        self.is_whole &= filter.allows_both_as(&new, local, is_folder).up;
    }
}
