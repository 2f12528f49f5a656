//! What could not be done and why, kept from pass to pass: so that what was refused is not offered
//! again in each of them, and what is put off twice in a row is told.
//!
//! The table is empty nearly always. It is written only when something changes.

use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params};

use super::Index;
use super::row::checksum_of_fields;
use crate::core::path::Key;
use crate::error::Result;

/// Why something was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It was put off: something changed meanwhile.
    Deferred,
    /// It failed, or its connection did: it comes last.
    Failed,
    /// Dropbox has no room for it.
    NoRoom,
    /// Dropbox does not take this name, or does not let us write there.
    NotAllowed,
    /// It grew beyond what travels.
    TooLarge,
}

/// One path that could not be dealt with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its key.
    pub key: Key,
    /// Why.
    pub reason: Reason,
    /// What was looked at: the stamp here and the rev there. Whatever differs is another case.
    pub seen: String,
    /// What was told.
    pub text: String,
    /// When it was first so, in seconds since 1970.
    pub since: i64,
    /// When it is offered again, in seconds since 1970; 0 for the next pass.
    pub next: i64,
}

impl Reason {
    fn number(self) -> i64 {
        match self {
            Reason::Deferred => 0,
            Reason::Failed => 1,
            Reason::NoRoom => 2,
            Reason::NotAllowed => 3,
            Reason::TooLarge => 4,
        }
    }

    fn of(number: i64) -> Option<Reason> {
        Some(match number {
            0 => Reason::Deferred,
            1 => Reason::Failed,
            2 => Reason::NoRoom,
            3 => Reason::NotAllowed,
            4 => Reason::TooLarge,
            _ => return None,
        })
    }
}

impl Refusal {
    fn checksum(&self) -> i64 {
        checksum_of_fields(&[
            &self.key.dir,
            &self.key.name,
            &self.reason.number().to_string(),
            &self.seen,
            &self.text,
            &self.since.to_string(),
            &self.next.to_string(),
        ])
    }
}

const SELECT: &str = "SELECT dir, name, reason, seen, text, since, next, sum FROM refusal";

/// What could not be done, as the index keeps it.
pub struct Refusals<'a> {
    db: &'a Connection,
}

impl Index {
    /// What could not be done.
    pub fn refusals(&self) -> Refusals<'_> {
        Refusals { db: &self.db }
    }
}

impl Refusals<'_> {
    /// What is kept of a key; one that is damaged counts as none.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn of(&self, key: &Key) -> Result<Option<Refusal>> {
        let statement = format!("{SELECT} WHERE dir = ? AND name = ?");
        let mut select = self.db.prepare_cached(&statement)?;
        let found = select
            .query_row(params![key.dir, key.name], read)
            .optional()?;
        Ok(found.flatten())
    }

    /// Whether anything is kept.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn are_any(&self) -> Result<bool> {
        let mut select = self.db.prepare_cached("SELECT 1 FROM refusal LIMIT 1")?;
        Ok(select.exists([])?)
    }

    /// The next keys of which something is kept, in order.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn keys_after(&self, last: Option<&Key>, max: usize) -> Result<Vec<Key>> {
        let mut select = self.db.prepare_cached(
            "SELECT dir, name FROM refusal WHERE (dir, name) > (?, ?) \
             ORDER BY dir, name LIMIT ?",
        )?;
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        let (dir, name) = last.map_or(("", ""), |key| (&key.dir, &key.name));
        let found = select.query_map(params![dir, name, max], |sql| {
            Ok(Key {
                dir: sql.get(0)?,
                name: sql.get(1)?,
            })
        })?;
        Ok(found.collect::<std::result::Result<_, _>>()?)
    }

    /// The first `max` that are kept, in order of keys.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn first(&self, max: usize) -> Result<Vec<Refusal>> {
        let statement = format!("{SELECT} ORDER BY dir, name LIMIT ?");
        let mut select = self.db.prepare(&statement)?;
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        let found = select.query_map([max], read)?;
        let found: std::result::Result<Vec<_>, _> = found.collect();
        Ok(found?.into_iter().flatten().collect())
    }

    /// All that is kept, in order of keys.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn all(&self) -> Result<Vec<Refusal>> {
        let mut select = self.db.prepare(&format!("{SELECT} ORDER BY dir, name"))?;
        let found = select.query_map([], read)?;
        let found: std::result::Result<Vec<_>, _> = found.collect();
        Ok(found?.into_iter().flatten().collect())
    }

    /// Keeps one of a key instead of what was kept, or none, inside the open transaction.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn set(&self, key: &Key, refusal: Option<&Refusal>) -> Result<()> {
        let Some(refusal) = refusal else {
            let mut delete = self
                .db
                .prepare_cached("DELETE FROM refusal WHERE dir = ? AND name = ?")?;
            delete.execute(params![key.dir, key.name])?;
            return Ok(());
        };
        put(self.db, key, refusal)
    }
}

/// Writes one into the table `refusal` of this database, instead of what stood there.
pub(super) fn put(db: &Connection, key: &Key, refusal: &Refusal) -> Result<()> {
    let mut upsert = db.prepare_cached(
        "INSERT OR REPLACE INTO refusal (dir, name, reason, seen, text, since, next, sum) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    upsert.execute(params![
        key.dir,
        key.name,
        refusal.reason.number(),
        refusal.seen,
        refusal.text,
        refusal.since,
        refusal.next,
        refusal.checksum(),
    ])?;
    Ok(())
}

pub(super) fn read(sql: &SqlRow<'_>) -> rusqlite::Result<Option<Refusal>> {
    let Some(reason) = Reason::of(sql.get(2)?) else {
        return Ok(None);
    };
    let refusal = Refusal {
        key: Key {
            dir: sql.get(0)?,
            name: sql.get(1)?,
        },
        reason,
        seen: sql.get(3)?,
        text: sql.get(4)?,
        since: sql.get(5)?,
        next: sql.get(6)?,
    };
    let sum: i64 = sql.get(7)?;
    Ok((sum == refusal.checksum()).then_some(refusal))
}
