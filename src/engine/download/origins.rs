//! Where files come from that Dropbox has elsewhere now: what is made for them lets in nobody who
//! was kept out there.

use std::collections::{HashMap, HashSet};

use crate::core::content_hash::ContentHash;
use crate::core::path::Key;
use crate::engine::context::Context;
use crate::error::Result;
use crate::index::{Base, Row, Trees};
use crate::io::stat::Rights;

/// LIMIT: answers kept in mind; beyond that they are found again.
const KEPT_MAX: usize = 2000;

/// Where new things come from. The tables of the pass hold what Dropbox had no more under the name
/// it has here when the first of them came.
#[derive(Default)]
pub(crate) struct Origins {
    /// What files of a content get, rather those of a name.
    files: HashMap<GoneContent, Option<Rights>>,
}

/// A content, and the name it had, if it had that.
type GoneContent = (ContentHash, Option<String>);

/// What is found of the folders that a new one comes from, one by one.
#[derive(Default)]
struct FoundFolders {
    /// The first of them, in order of keys.
    first: Option<Key>,
    /// What all of them give.
    rights: Option<Rights>,
    /// Those met last.
    met: HashSet<Key>,
}

impl Origins {
    /// What a new folder gets: the narrowest of what those had from which its files come.
    ///
    /// # Errors
    /// What the index says.
    pub(super) fn of_folder(
        &mut self,
        cx: &mut Context<'_>,
        folder: &Key,
    ) -> Result<Option<Rights>> {
        if !cx.has_gone_there()? {
            return Ok(None);
        }
        if let Some((_, rights)) = cx.tables()?.origin(folder)? {
            return Ok(rights);
        }
        let mut found = self.by_content(cx, folder)?;
        if found.first.is_none() {
            found = self.by_name(cx, folder)?;
        }
        if let Some(origin) = &found.first {
            cx.tables()?.note_origin(folder, origin, found.rights)?;
        }
        Ok(found.rights)
    }

    /// The folders that stand for a new one where the content of its files was.
    fn by_content(&self, cx: &Context<'_>, folder: &Key) -> Result<FoundFolders> {
        let depth = folder.depth();
        let mut found = FoundFolders::default();
        // What has the same content, and lies as deep, comes from the same places.
        let mut seen = HashSet::new();
        Trees(cx.env.index).each_below(folder, &mut |row| {
            cx.env.deadline.check()?;
            let Some(place) = place_of(cx, &row)? else {
                return Ok(());
            };
            let up = row.key.depth() - depth;
            if seen.len() >= KEPT_MAX {
                seen.clear();
            }
            if !seen.insert((place.clone(), up)) {
                return Ok(());
            }
            let (hash, name) = place;
            cx.tables()?
                .each_gone_there(hash, name.as_deref(), &mut |key| {
                    self.add(cx, folder, &mut found, above(key, up))
                })
        })?;
        Ok(found)
    }

    /// The same of names, where all files were edited, too: only a folder that is gone itself has
    /// another name now.
    fn by_name(&self, cx: &Context<'_>, folder: &Key) -> Result<FoundFolders> {
        let depth = folder.depth();
        let mut found = FoundFolders::default();
        Trees(cx.env.index).each_below(folder, &mut |row| {
            cx.env.deadline.check()?;
            if row.base != Base::None || row.remote_file().is_none() {
                return Ok(());
            }
            let up = row.key.depth() - depth;
            cx.tables()?
                .each_gone_there_named(&row.key.name, &mut |key| {
                    let origin = above(key, up);
                    let row = match &origin {
                        Some(origin) => cx.env.index.row(origin)?,
                        None => None,
                    };
                    let is_gone =
                        row.is_some_and(|row| row.base == Base::Folder && !row.remote_is_folder());
                    self.add(cx, folder, &mut found, origin.filter(|_| is_gone))
                })
        })?;
        Ok(found)
    }

    fn add(
        &self,
        cx: &Context<'_>,
        folder: &Key,
        found: &mut FoundFolders,
        origin: Option<Key>,
    ) -> Result<()> {
        let Some(origin) = origin else {
            return Ok(());
        };
        if found.met.len() >= KEPT_MAX {
            found.met.clear();
        }
        if !found.met.insert(origin.clone()) {
            return Ok(());
        }
        cx.env.deadline.check()?;
        if let Some(rights) = of_one(cx, folder, &origin)? {
            found.rights = Some(found.rights.map_or(rights, |all| all.and(rights)));
        }
        if found.first.as_ref().is_none_or(|first| origin < *first) {
            found.first = Some(origin);
        }
        Ok(())
    }

    /// What a new file had under the name it had in Dropbox before, as far as that can be told.
    ///
    /// # Errors
    /// What the index says.
    pub(super) fn of_file(&mut self, cx: &Context<'_>, row: &Row) -> Result<Option<Rights>> {
        if row.base != Base::None || !cx.has_gone_there()? {
            return Ok(None);
        }
        let place = place_of(cx, row)?;
        if let Some(rights) = place.as_ref().and_then(|place| self.files.get(place)) {
            return Ok(*rights);
        }
        let mut all: Option<Rights> = None;
        let mut add = |key: &Key| {
            cx.env.deadline.check()?;
            let row = cx.env.index.row(key)?;
            if let Some(rights) = row.as_ref().and_then(Row::rights) {
                all = Some(all.map_or(rights, |all| all.and(rights)));
            }
            Ok(())
        };
        if let Some((hash, name)) = &place {
            let tables = cx.tables()?;
            tables.each_gone_there(*hash, name.as_deref(), &mut |key| add(&key))?;
        } else if let Some(above) = row.key.parent()
            && let Some((origin, _)) = cx.tables()?.origin(&above)?
        {
            add(&Key {
                dir: origin.path(),
                name: row.key.name.clone(),
            })?;
        }
        if let Some(place) = place {
            if self.files.len() >= KEPT_MAX {
                self.files.clear();
            }
            self.files.insert(place, all);
        }
        Ok(all)
    }
}

/// The folder that lies `up` folders above a key.
fn above(key: Key, up: usize) -> Option<Key> {
    (0..up).try_fold(key, |key, _| key.parent())
}

/// The content of a new file that something had which is gone, and its name, if that had it.
fn place_of(cx: &Context<'_>, row: &Row) -> Result<Option<GoneContent>> {
    let file = row
        .remote_file()
        .filter(|file| file.size > 0 && row.base == Base::None);
    let Some(hash) = file.and_then(|file| file.hash) else {
        return Ok(None);
    };
    let (tables, name) = (cx.tables()?, &row.key.name);
    if tables.was_there(hash, Some(name))? {
        return Ok(Some((hash, Some(name.clone()))));
    }
    Ok(tables.was_there(hash, None)?.then_some((hash, None)))
}

/// What a new folder gets of the one it comes from, and of those above that, unless they come
/// along or are above it, too.
fn of_one(cx: &Context<'_>, folder: &Key, origin: &Key) -> Result<Option<Rights>> {
    let rights_of = |key: &Key| -> Result<Option<Rights>> {
        let row = cx.env.index.row(key)?;
        Ok(row
            .and_then(|row| row.folder_rights)
            .map(|known| known.rights))
    };
    let mut all = rights_of(origin)?;
    let (mut new, mut old) = (folder.parent(), origin.parent());
    while let Some(above) = old {
        let from = match &new {
            Some(new) => cx.tables()?.origin(new)?,
            None => None,
        };
        let comes_along = from.is_some_and(|(from, _)| from == above);
        if comes_along || above.path() == folder.dir || is_above(&above, folder) {
            break;
        }
        if let (Some(rights), Some(above)) = (all, rights_of(&above)?) {
            all = Some(rights.behind(above));
        }
        (new, old) = (new.and_then(|new| new.parent()), above.parent());
    }
    Ok(all)
}

fn is_above(above: &Key, key: &Key) -> bool {
    crate::core::path::below(&key.path(), &above.path()).is_some()
}
