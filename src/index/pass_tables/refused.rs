//! What could not be done in a pass, until the index takes it over.

use rusqlite::params;

use super::super::{Refusal, refusals};
use super::{PassTables, key_of};
use crate::core::path::Key;
use crate::error::Result;

impl PassTables {
    /// A path could not be dealt with in this pass; nothing for one that was before, and is done,
    /// unless it could not be dealt with, either.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn put_refusal(&self, key: &Key, refusal: Option<&Refusal>) -> Result<()> {
        let Some(refusal) = refusal else {
            let mut insert = self
                .db
                .prepare_cached("INSERT OR IGNORE INTO refusal (dir, name) VALUES (?, ?)")?;
            insert.execute(params![key.dir, key.name])?;
            return Ok(());
        };
        refusals::put(&self.db, key, refusal)
    }

    /// The next of them, in order of keys.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn refusals_after(
        &self,
        last: Option<&Key>,
        max: usize,
    ) -> Result<Vec<(Key, Option<Refusal>)>> {
        let mut select = self.db.prepare_cached(
            "SELECT dir, name, reason, seen, text, since, next, sum FROM refusal \
             WHERE (dir, name) > (?, ?) ORDER BY dir, name LIMIT ?",
        )?;
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        let (dir, name) = last.map_or(("", ""), |key| (&key.dir, &key.name));
        let found = select.query_map(params![dir, name, max], |row| {
            let refusal = match row.get::<_, Option<i64>>(2)? {
                Some(_) => refusals::read(row)?,
                None => None,
            };
            Ok((key_of(row)?, refusal))
        })?;
        Ok(found.collect::<std::result::Result<_, _>>()?)
    }
}
