//! Rows by their keys: one, those of a directory, those below it; and how a directory is spelt.

use rusqlite::{OptionalExtension, params};

use super::{Index, Row, row, schema};
use crate::core::filter::Filter;
use crate::core::path::{Key, fold, join};
use crate::error::{Error, Result};

/// Rows read at a time when a directory is walked.
pub(super) const ROWS_AT_ONCE: i64 = 256;

/// Whose files are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldBy {
    /// Those both sides last agreed on.
    Base,
    /// Those, and those only Dropbox has.
    BaseOrDropbox,
}

impl Index {
    /// The row of a key.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn row(&self, key: &Key) -> Result<Option<Row>> {
        let mut select = self.db.prepare_cached(schema::SELECT_ONE)?;
        Ok(select
            .query_row(params![key.dir, key.name], row::read)
            .optional()?)
    }

    /// Writes a row; one without base and without anything in Dropbox is removed instead.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn put(&self, row: &Row) -> Result<()> {
        if row.is_empty() {
            self.remove(&row.key)
        } else {
            self.count_out(&row.key)?;
            self.count_in(&row.key, row::write(&self.db, row)?)
        }
    }

    /// Removes the row of a key.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn remove(&self, key: &Key) -> Result<()> {
        self.count_out(key)?;
        let mut delete = self
            .db
            .prepare_cached("DELETE FROM entry WHERE dir = ? AND name = ?")?;
        delete.execute(params![key.dir, key.name])?;
        Ok(())
    }

    /// The rows of one directory, in order of names. Rows may be changed meanwhile.
    pub fn rows_in_dir(&self, dir: &str) -> RowsInDir<'_> {
        self.selected_in_dir(schema::SELECT_IN_DIR, dir)
    }

    /// Those of them whose remote differs from their base.
    pub fn pending_rows_in_dir(&self, dir: &str) -> RowsInDir<'_> {
        self.selected_in_dir(schema::SELECT_PENDING_IN_DIR, dir)
    }

    fn selected_in_dir(&self, statement: &'static str, dir: &str) -> RowsInDir<'_> {
        RowsInDir {
            index: self,
            statement,
            dir: dir.to_owned(),
            last: String::new(),
            batch: Vec::new().into_iter(),
        }
    }

    /// The directories that hold rows whose remote differs from their base, in order.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn next_pending_dir(&self, after: Option<&str>) -> Result<Option<String>> {
        let mut select = self.db.prepare_cached(schema::NEXT_PENDING_DIR)?;
        let first = after.is_none();
        let row = select.query_row(params![first, after.unwrap_or_default()], |row| row.get(0));
        Ok(row.optional()?)
    }

    /// Whether any row below a key is of a file that these have.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn has_files_below(&self, key: &Key, held_by: HeldBy) -> Result<bool> {
        let mut select = self.db.prepare_cached(match held_by {
            HeldBy::Base => schema::HAS_BASE_FILES_BELOW,
            HeldBy::BaseOrDropbox => schema::HAS_FILES_BELOW,
        })?;
        let dir = key.path();
        Ok(select.exists(params![dir, format!("{dir}/"), format!("{dir}0")])?)
    }

    /// Whether any row has a base.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn has_base(&self) -> Result<bool> {
        let mut select = self
            .db
            .prepare_cached("SELECT 1 FROM entry WHERE kind <> 0 LIMIT 1")?;
        Ok(select.exists([])?)
    }

    /// The real-case path in Dropbox of a directory key, as the rows of the folders on the way
    /// spell it, unless the filters prune it: then so they do with all below, however spelt.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn dir_path(&self, dir: &str, filter: &Filter) -> Result<DirPath> {
        self.dir_path_or(dir, None, filter)
    }

    /// The same; where no rule depends on letters, a folder without a row is spelt as in `hint`, if
    /// that has the same key.
    pub(super) fn dir_path_or(
        &self,
        dir: &str,
        hint: Option<&str>,
        filter: &Filter,
    ) -> Result<DirPath> {
        let mut hints = hint.unwrap_or(dir).split('/').filter(|c| !c.is_empty());
        let mut path = String::new();
        let mut key = String::new();
        for component in dir.split('/').filter(|c| !c.is_empty()) {
            let at = Key {
                dir: key,
                name: component.to_owned(),
            };
            let hint = hints.next().filter(|hint| fold(hint) == component);
            let name = match self.row(&at)?.filter(|row| row.intact) {
                Some(row) => row.display_name,
                None if filter.takes_everything() => hint.unwrap_or(component).to_owned(),
                // So it is in any spelling, and has no row for that.
                None if filter.hides_name(component) => return Ok(DirPath::Pruned),
                None => return Ok(DirPath::Unknown),
            };
            path = join(&path, &name);
            if filter.prunes_folder(&format!("/{path}")) {
                return Ok(DirPath::Pruned);
            }
            key = at.path();
        }
        Ok(DirPath::Open(path))
    }
}

/// How a directory is spelt in Dropbox, and what the filters say to that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirPath {
    /// Its real-case path below the remote root, without a leading slash.
    Open(String),
    /// The filters prune it or a folder above it: nothing in it is looked at.
    Pruned,
    /// There is no telling: Dropbox has not shown a folder on the way to it, or the row that knew
    /// is damaged. Its key is no spelling, so the filters cannot be asked about what is in it.
    Unknown,
}

/// The rows of one directory, read some at a time.
pub struct RowsInDir<'a> {
    index: &'a Index,
    statement: &'static str,
    dir: String,
    last: String,
    batch: std::vec::IntoIter<Row>,
}

impl RowsInDir<'_> {
    /// The next row.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn next(&mut self) -> Result<Option<Row>> {
        if self.batch.as_slice().is_empty() {
            let mut select = self.index.db.prepare_cached(self.statement)?;
            let rows = select.query_map(params![self.dir, self.last, ROWS_AT_ONCE], row::read)?;
            let rows = rows.collect::<std::result::Result<Vec<Row>, _>>()?;
            let last = Key {
                dir: self.dir.clone(),
                name: self.last.clone(),
            };
            check_order(&last, rows.iter().map(|row| &row.key))?;
            if let Some(last) = rows.last() {
                self.last.clone_from(&last.key.name);
            }
            self.batch = rows.into_iter();
        }
        Ok(self.batch.next())
    }
}

/// Rows out of order mean a damaged file: in a merge they would look like rows nobody names.
pub(super) fn check_order<'a>(before: &Key, keys: impl Iterator<Item = &'a Key>) -> Result<()> {
    let mut last = before;
    for key in keys {
        if key <= last {
            return Err(Error::Damaged(
                "index: its rows are out of order".to_owned(),
            ));
        }
        last = key;
    }
    Ok(())
}
