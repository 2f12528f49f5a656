//! Where files come from that Dropbox has elsewhere now: what is made for them lets in nobody who
//! was kept out there.

use std::collections::{HashMap, HashSet};

use crate::core::content_hash::ContentHash;
use crate::core::path::Key;
use crate::engine::context::Context;
use crate::error::Result;
use crate::index::{Base, Row};
use crate::io::stat::Rights;

/// LIMIT: files gone in Dropbox that a pass keeps in mind here.
const GONE_MAX: usize = 10_000;

/// Files that Dropbox had no more under the name they have here when the first new thing came.
#[derive(Default)]
pub(crate) struct Origins {
    gone: Option<GoneBefore>,
    /// New folders, the folder each comes from, and what it gets.
    folders: HashMap<Key, (Key, Option<Rights>)>,
    /// What files of a content get, rather those of a name.
    files: HashMap<GoneContent, Option<Rights>>,
}

/// A content, and the name it had, if it had that.
type GoneContent = (ContentHash, Option<String>);

#[derive(Default)]
struct GoneBefore {
    by_content: HashMap<ContentHash, Vec<Key>>,
    by_name: HashMap<String, Vec<Key>>,
    /// Contents and the names they had.
    named: HashSet<(ContentHash, String)>,
}

impl Origins {
    fn gone(&mut self, cx: &Context<'_>) -> Result<&GoneBefore> {
        if self.gone.is_none() {
            let mut gone = GoneBefore::default();
            if cx.had_base {
                gone.by_content = cx.env.index.gone_remotely(GONE_MAX)?;
            }
            for (hash, keys) in &gone.by_content {
                for key in keys {
                    let named = gone.by_name.entry(key.name.clone()).or_default();
                    named.push(key.clone());
                    gone.named.insert((*hash, key.name.clone()));
                }
            }
            self.gone = Some(gone);
        }
        Ok(self.gone.get_or_insert_default())
    }

    /// What a new folder gets: the narrowest of what those had from which its files come.
    ///
    /// # Errors
    /// What the index says.
    pub(super) fn of_folder(
        &mut self,
        cx: &mut Context<'_>,
        folder: &Key,
    ) -> Result<Option<Rights>> {
        if self.gone(cx)?.by_content.is_empty() {
            return Ok(None);
        }
        if let Some((_, rights)) = self.folders.get(folder) {
            return Ok(*rights);
        }
        let origins = self.folders_of(cx, folder)?;
        let mut all: Option<Rights> = None;
        for origin in &origins {
            if let Some(rights) = self.of_one(cx, folder, origin)? {
                all = Some(all.map_or(rights, |all| all.and(rights)));
            }
        }
        if let Some(origin) = origins.into_iter().next() {
            self.folders.insert(folder.clone(), (origin, all));
        }
        Ok(all)
    }

    /// The folders that stand for a new one where its files come from.
    fn folders_of(&mut self, cx: &Context<'_>, folder: &Key) -> Result<Vec<Key>> {
        let gone = self.gone(cx)?;
        let depth = folder.depth();
        let (mut by_content, mut by_name) = (HashSet::new(), HashSet::new());
        // What has the same content, and lies as deep, comes from the same places.
        let mut seen = HashSet::new();
        cx.env.index.each_below(folder, &mut |row| {
            cx.env.deadline.check()?;
            let up = row.key.depth() - depth;
            let add = |origins: &mut HashSet<Key>, key: &Key| {
                let origin = (0..up).try_fold(key.clone(), |key, _| key.parent());
                origins.extend(origin);
            };
            if seen.insert((gone.place_of(&row), up)) {
                gone.of_content(&row)
                    .for_each(|key| add(&mut by_content, key));
            }
            if by_content.is_empty() && row.base == Base::None && row.remote_file().is_some() {
                let named = gone.by_name.get(&row.key.name).into_iter().flatten();
                named.for_each(|key| add(&mut by_name, key));
            }
            Ok(())
        })?;
        if by_content.is_empty() {
            // All of it was edited, too: only a folder that is gone itself has another name now.
            let is_gone = |key: &Key| {
                let row = cx.env.index.row(key).ok().flatten();
                row.is_some_and(|row| row.base == Base::Folder && !row.remote_is_folder())
            };
            by_name.retain(is_gone);
            return Ok(sorted(by_name));
        }
        Ok(sorted(by_content))
    }

    /// What a new folder gets of the one it comes from, and of those above that, unless they come
    /// along or are above it, too.
    fn of_one(&self, cx: &Context<'_>, folder: &Key, origin: &Key) -> Result<Option<Rights>> {
        let rights_of = |key: &Key| -> Result<Option<Rights>> {
            let row = cx.env.index.row(key)?;
            Ok(row
                .and_then(|row| row.folder_rights)
                .map(|known| known.rights))
        };
        let mut all = rights_of(origin)?;
        let (mut new, mut old) = (folder.parent(), origin.parent());
        while let Some(above) = old {
            let comes_along = new
                .as_ref()
                .and_then(|new| self.folders.get(new))
                .is_some_and(|(from, _)| *from == above);
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

    /// What a new file had under the name it had in Dropbox before, as far as that can be told.
    ///
    /// # Errors
    /// What the index says.
    pub(super) fn of_file(&mut self, cx: &Context<'_>, row: &Row) -> Result<Option<Rights>> {
        if row.base != Base::None || self.gone(cx)?.by_content.is_empty() {
            return Ok(None);
        }
        let gone = self.gone(cx)?;
        let place = gone.place_of(row);
        let mut keys: Vec<Key> = Vec::new();
        if let Some(place) = &place {
            if let Some(rights) = self.files.get(place) {
                return Ok(*rights);
            }
            let gone = self.gone(cx)?;
            keys = gone.of_content(row).cloned().collect();
        }
        if keys.is_empty()
            && let Some(above) = row.key.parent()
            && let Some((origin, _)) = self.folders.get(&above)
        {
            keys.push(Key {
                dir: origin.path(),
                name: row.key.name.clone(),
            });
        }
        let mut all: Option<Rights> = None;
        for key in keys {
            cx.env.deadline.check()?;
            let row = cx.env.index.row(&key)?;
            if let Some(rights) = row.as_ref().and_then(Row::rights) {
                all = Some(all.map_or(rights, |all| all.and(rights)));
            }
        }
        if let Some(place) = place {
            self.files.insert(place, all);
        }
        Ok(all)
    }
}

impl GoneBefore {
    /// The content of a new file that something had which is gone, and its name, if that had it.
    fn place_of(&self, row: &Row) -> Option<GoneContent> {
        let file = row
            .remote_file()
            .filter(|file| file.size > 0 && row.base == Base::None);
        let hash = file.and_then(|file| file.hash);
        let hash = hash.filter(|hash| self.by_content.contains_key(hash))?;
        let named = (hash, row.key.name.clone());
        let has_name = self.named.contains(&named);
        Some((hash, has_name.then_some(named.1)))
    }

    /// Those with the content of a new file; rather of the same name.
    fn of_content(&self, row: &Row) -> impl Iterator<Item = &Key> {
        let (hash, name) = self.place_of(row).unzip();
        let found = hash.and_then(|hash| self.by_content.get(&hash));
        let found = found.map_or(&[][..], Vec::as_slice);
        let name = name.flatten();
        found
            .iter()
            .filter(move |key| name.as_ref().is_none_or(|name| key.name == *name))
    }
}

/// In an order that is the same in every run.
fn sorted(keys: HashSet<Key>) -> Vec<Key> {
    let mut keys: Vec<Key> = keys.into_iter().collect();
    keys.sort();
    keys
}

fn is_above(above: &Key, key: &Key) -> bool {
    crate::core::path::below(&key.path(), &above.path()).is_some()
}
