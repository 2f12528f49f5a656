//! An index of an older format becomes one of this format: base and stamps are kept.

use rusqlite::params;

use super::rows::ROWS_AT_ONCE;
use super::{Base, Index, Meta, Row, row, schema};
use crate::core::path::{Key, is_folded_otherwise};
use crate::error::Result;

/// Carries an index of an older format over, in one transaction; does nothing to one of this
/// format.
///
/// A listing that was under way is begun anew, since its keys are of the older format.
///
/// # Errors
/// What SQLite says. Then nothing has changed.
pub fn carry_over(index: &Index) -> Result<()> {
    let format = index.meta(Meta::Format)?;
    if format.as_deref() == Some(schema::FORMAT) {
        return Ok(());
    }
    index.transaction(|| {
        // A walk fills it in.
        index.db.execute_batch(schema::ADD_RIGHTS)?;
        if format.as_deref() == Some(schema::FORMAT_4) {
            index.db.execute_batch(schema::CREATE_REFUSALS)?;
            index.unstage()?;
            fold_keys(index)?;
        }
        index.set_meta(Meta::Format, schema::FORMAT)
    })
}

/// Gives each row the key it has by Dropbox's lower case.
fn fold_keys(index: &Index) -> Result<()> {
    let mut last = Key::default();
    loop {
        let mut select = index.db.prepare(schema::SELECT_KEYED_OTHERWISE)?;
        let asked = params![last.dir, last.name, ROWS_AT_ONCE];
        let rows = select.query_map(asked, row::read)?;
        let rows = rows.collect::<std::result::Result<Vec<Row>, _>>()?;
        drop(select);
        let Some(end) = rows.last() else {
            return Ok(());
        };
        last = end.key.clone();
        for row in rows.into_iter().filter(|row| row.intact) {
            fold_key(index, row)?;
        }
    }
}

fn fold_key(index: &Index, mut row: Row) -> Result<()> {
    if let Some(lower) = &row.lower {
        let key = Key::of(lower);
        let lower = Some(lower.clone()).filter(|lower| *lower != key.path());
        if key != row.key {
            index.remove(&row.key)?;
            return index.put(&Row { key, lower, ..row });
        }
        Ok(())
    } else if is_folded_otherwise(&row.key.path()) {
        // Which key Dropbox has for it only a listing tells; then it is adopted.
        row.set_base(Base::None);
        index.put(&row)?;
        index.set_meta(Meta::RelistDue, "1")
    } else {
        Ok(())
    }
}
