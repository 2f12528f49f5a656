//! When a file was last sent and how much of it in that day, kept from pass to pass: of files that
//! have a pace, and of those so large that they might need one.
//!
//! The table is made when the first of them is written down, with what the sending settles. What
//! is older than anybody asks for goes in the same transaction. Losing all of it makes files be
//! sent sooner, and nothing else.

use std::time::Duration;

use rusqlite::{OptionalExtension, params};

use super::Index;
use super::row::{checksum_of_fields, from_sql, to_sql};
use crate::core::pace::Sendings;
use crate::core::path::Key;
use crate::error::Result;

const CREATE: &str = "CREATE TABLE IF NOT EXISTS sending (
    dir TEXT NOT NULL, name TEXT NOT NULL,
    last INTEGER NOT NULL, times INTEGER NOT NULL, bytes INTEGER NOT NULL, sum INTEGER NOT NULL,
    PRIMARY KEY (dir, name)
) WITHOUT ROWID";

fn checksum(key: &Key, of: &Sendings) -> i64 {
    checksum_of_fields(&[
        &key.dir,
        &key.name,
        &of.last_s.to_string(),
        &of.times.to_string(),
        &of.bytes.to_string(),
    ])
}

/// The sendings that an index keeps.
pub struct SentFiles<'a>(pub &'a Index);

impl SentFiles<'_> {
    /// What is kept of a file; what is damaged counts as nothing.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn of(&self, key: &Key) -> Result<Option<Sendings>> {
        if !self.are_kept()? {
            return Ok(None);
        }
        let mut select = self.0.db.prepare_cached(
            "SELECT last, times, bytes, sum FROM sending WHERE dir = ? AND name = ?",
        )?;
        let found = select.query_row(params![key.dir, key.name], |sql| {
            let sendings = Sendings {
                last_s: sql.get(0)?,
                times: from_sql(sql.get(1)?),
                bytes: from_sql(sql.get(2)?),
            };
            Ok((sendings, sql.get::<_, i64>(3)?))
        });
        let found = found.optional()?;
        Ok(found
            .filter(|(sendings, sum)| *sum == checksum(key, sendings))
            .map(|(sendings, _)| sendings))
    }

    fn are_kept(&self) -> Result<bool> {
        let mut select = self
            .0
            .db
            .prepare_cached("SELECT 1 FROM sqlite_master WHERE name = 'sending'")?;
        Ok(select.exists([])?)
    }

    /// Keeps the sendings of a file instead of what was kept, inside the open transaction.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn set(&self, key: &Key, of: &Sendings) -> Result<()> {
        self.0.db.execute_batch(CREATE)?;
        let mut upsert = self.0.db.prepare_cached(
            "INSERT OR REPLACE INTO sending (dir, name, last, times, bytes, sum) \
             VALUES (?, ?, ?, ?, ?, ?)",
        )?;
        upsert.execute(params![
            key.dir,
            key.name,
            of.last_s,
            to_sql(of.times),
            to_sql(of.bytes),
            checksum(key, of),
        ])?;
        Ok(())
    }

    /// Forgets, inside the open transaction, what was last sent longer ago than `kept`, and what
    /// was so by a clock that was ahead.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn forget(&self, now_s: i64, kept: Duration) -> Result<()> {
        if self.are_kept()? {
            let kept_s = i64::try_from(kept.as_secs()).unwrap_or(i64::MAX);
            let since = now_s.saturating_sub(kept_s);
            self.0.db.execute(
                "DELETE FROM sending WHERE last < ?1 OR last > ?2",
                params![since, now_s],
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sendings_are_kept_by_key_until_nobody_asks_for_them() {
        let index = Index::temporary("x", None).unwrap();
        let (old, new) = (Key::of("d/old"), Key::of("d/new"));
        let sent_files = SentFiles(&index);
        assert_eq!(sent_files.of(&old).unwrap(), None);
        sent_files.forget(0, Duration::ZERO).unwrap();
        let sent = |at_s| Sendings::default().with(at_s, u64::MAX);
        let set = |key: &Key, at_s| SentFiles(&index).set(key, &sent(at_s));
        index.transaction(|| set(&old, 1000)).unwrap();
        index.transaction(|| set(&new, 5000)).unwrap();
        assert_eq!(SentFiles(&index).of(&new).unwrap(), Some(sent(5000)));
        let forget = |now_s| sent_files.forget(now_s, Duration::from_secs(100));
        index.transaction(|| forget(5050)).unwrap();
        assert_eq!(SentFiles(&index).of(&old).unwrap(), None);
        assert_eq!(SentFiles(&index).of(&new).unwrap(), Some(sent(5000)));
        index.transaction(|| forget(4999)).unwrap();
        assert_eq!(
            SentFiles(&index).of(&new).unwrap(),
            None,
            "by a clock that was ahead"
        );
    }

    #[test]
    fn what_is_damaged_says_nothing() {
        let index = Index::temporary("x", None).unwrap();
        let key = Key::of("a");
        let sent = Sendings::default().with(7, 9);
        index
            .transaction(|| SentFiles(&index).set(&key, &sent))
            .unwrap();
        index.db.execute("UPDATE sending SET last = 8", []).unwrap();
        assert_eq!(SentFiles(&index).of(&key).unwrap(), None);
    }
}
