//! Deletes that wait, and those that may go by now.

use rusqlite::{OptionalExtension, params};

use super::{KEYS_AT_ONCE, PassTables, is_up, key_of};
use crate::core::decide::Direction;
use crate::core::path::Key;
use crate::error::Result;

/// What a delete waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i64)]
pub enum HeldState {
    /// Its content is on its way to the side on which it would be deleted.
    Waits = 0,
    /// It is not carried out in this pass.
    Stays = 1,
    /// What it waited for is there.
    IsFree = 2,
    /// The file has another name by now, and is not deleted.
    WasMoved = 3,
}

impl PassTables {
    /// Notes what a delete waits for.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn hold(&self, direction: Direction, key: &Key, state: HeldState) -> Result<()> {
        let mut insert = self
            .db
            .prepare_cached("INSERT OR REPLACE INTO held VALUES (?, ?, ?, ?)")?;
        insert.execute(params![is_up(direction), key.dir, key.name, state as i64])?;
        Ok(())
    }

    /// The delete waits for nothing.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn release(&self, direction: Direction, key: &Key) -> Result<()> {
        let mut delete = self
            .db
            .prepare_cached("DELETE FROM held WHERE up = ? AND dir = ? AND name = ?")?;
        delete.execute(params![is_up(direction), key.dir, key.name])?;
        Ok(())
    }

    /// What a delete waits for, if it does.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn held(&self, direction: Direction, key: &Key) -> Result<Option<HeldState>> {
        let mut select = self
            .db
            .prepare_cached("SELECT state FROM held WHERE up = ? AND dir = ? AND name = ?")?;
        let of = params![is_up(direction), key.dir, key.name];
        let state: Option<i64> = select.query_row(of, |row| row.get(0)).optional()?;
        Ok(state.map(|state| match state {
            0 => HeldState::Waits,
            1 => HeldState::Stays,
            2 => HeldState::IsFree,
            _ => HeldState::WasMoved,
        }))
    }

    /// Whether a delete of something below this key waits or stays.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn holds_below(&self, direction: Direction, key: &Key) -> Result<bool> {
        let dir = key.path();
        let mut within = self
            .db
            .prepare_cached("SELECT 1 FROM held WHERE up = ? AND dir = ? AND state < 2 LIMIT 1")?;
        if within.exists(params![is_up(direction), dir])? {
            return Ok(true);
        }
        let mut below = self.db.prepare_cached(
            "SELECT 1 FROM held WHERE up = ? AND dir > ? AND dir < ? AND state < 2 LIMIT 1",
        )?;
        // Everything below "dir" lies between "dir/" and "dir0", the character after the slash.
        let range = params![is_up(direction), format!("{dir}/"), format!("{dir}0")];
        Ok(below.exists(range)?)
    }

    /// The next deletes in this state, in order of directions and keys.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn next_held(
        &self,
        state: HeldState,
        after: Option<&(Direction, Key)>,
    ) -> Result<Vec<(Direction, Key)>> {
        let mut select = self.db.prepare_cached(
            "SELECT dir, name, up FROM held WHERE state = ? AND (up, dir, name) > (?, ?, ?) \
             ORDER BY up, dir, name LIMIT ?",
        )?;
        let first = (Direction::Down, Key::of(""));
        let (up, key) = match after {
            Some((direction, key)) => (i64::from(is_up(*direction)), key),
            None => (-1, &first.1),
        };
        let of = params![state as i64, up, key.dir, key.name, KEYS_AT_ONCE];
        let found = select.query_map(of, |row| {
            let direction = match row.get(2)? {
                true => Direction::Up,
                false => Direction::Down,
            };
            Ok((direction, key_of(row)?))
        })?;
        Ok(found.collect::<std::result::Result<_, _>>()?)
    }
}
