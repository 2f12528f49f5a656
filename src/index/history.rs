//! What the last passes did, a line each: of those that did something. It is written with what they
//! settle, so that it costs no commit of its own.

use rusqlite::{OptionalExtension, params};

use super::Index;
use crate::error::Result;

/// LIMIT: passes that are remembered.
const KEPT: i64 = 100;

const CREATE: &str = "CREATE TABLE IF NOT EXISTS history (
    seq INTEGER PRIMARY KEY, started INTEGER NOT NULL, line TEXT NOT NULL
)";

/// The passes that an index remembers.
pub struct History<'a>(pub &'a Index);

impl History<'_> {
    fn is_kept(&self) -> Result<bool> {
        let mut select = self
            .0
            .db
            .prepare_cached("SELECT 1 FROM sqlite_master WHERE name = 'history'")?;
        Ok(select.exists([])?)
    }

    /// Writes the line of a pass that began at `started`, in seconds since 1970, inside the open
    /// transaction: into the row `seq`, or a new one. Returns its number.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn set(&self, seq: Option<i64>, started: i64, line: &str) -> Result<i64> {
        let db = &self.0.db;
        db.execute_batch(CREATE)?;
        let mut upsert = db.prepare_cached(
            "INSERT OR REPLACE INTO history (seq, started, line) VALUES (?, ?, ?)",
        )?;
        upsert.execute(params![seq, started, line])?;
        let seq = seq.unwrap_or_else(|| db.last_insert_rowid());
        let mut delete = db.prepare_cached("DELETE FROM history WHERE seq <= ?")?;
        delete.execute([seq - KEPT])?;
        Ok(seq)
    }

    /// The line of a row, if there is one.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn line(&self, seq: i64) -> Result<Option<(i64, String)>> {
        if !self.is_kept()? {
            return Ok(None);
        }
        let mut select = self
            .0
            .db
            .prepare_cached("SELECT started, line FROM history WHERE seq = ?")?;
        Ok(select
            .query_row([seq], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?)
    }

    /// The last passes, the newest last: number, beginning and line of each.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn last(&self, max: usize) -> Result<Vec<(i64, i64, String)>> {
        if !self.is_kept()? {
            return Ok(Vec::new());
        }
        let mut select = self
            .0
            .db
            .prepare("SELECT seq, started, line FROM history ORDER BY seq DESC LIMIT ?")?;
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        let found = select.query_map([max], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let mut found: Vec<_> = found.collect::<std::result::Result<_, _>>()?;
        found.reverse();
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_passes_are_remembered_and_no_more() {
        let index = Index::temporary("x", None).unwrap();
        let history = History(&index);
        assert_eq!(history.last(5).unwrap(), []);
        assert_eq!(history.line(1).unwrap(), None);
        for number in 1..=KEPT + 20 {
            let set = |seq, line: &str| {
                let set = index.transaction(|| history.set(seq, number * 10, line));
                set.unwrap()
            };
            let seq = set(None, "begun");
            assert_eq!(seq, number);
            assert_eq!(set(Some(seq), "done"), number);
        }
        let last = history.last(1000).unwrap();
        assert_eq!(i64::try_from(last.len()).unwrap(), KEPT);
        assert_eq!(last[0], (21, 210, "done".to_owned()));
        assert_eq!(history.line(21).unwrap(), Some((210, "done".to_owned())));
        let two = history.last(2).unwrap();
        assert_eq!((two[0].0, two[1].0), (119, 120));
    }
}
