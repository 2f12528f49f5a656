//! What a walk over the whole tree reads of most rows: no more than it takes to see that a file is
//! in step. A summary carries no checksum; whatever is to be done about a path, its whole row is
//! read first.

use rusqlite::params;

use super::row::from_sql;
use super::rows::ROWS_AT_ONCE;
use super::{Index, schema};
use crate::core::path::Key;
use crate::error::{Error, Result};
use crate::io::stat::Stamp;

/// As much of a row as tells a file that is in step.
#[derive(Clone, Debug)]
pub struct RowSummary {
    /// The name of the key.
    pub name: String,
    /// The real-case name in Dropbox, where it is another.
    pub display_name: Option<String>,
    /// The stamp of a file that Dropbox holds as the base says, if it can be trusted.
    pub stamp: Option<Stamp>,
    /// The pass in which the file last came to be where none was.
    pub arrived_in_pass: u64,
    /// Dropbox holds a file, and there is no base.
    pub is_only_there: bool,
}

/// The summaries of the rows of one directory, in order of names, read some at a time. Rows may be
/// changed meanwhile.
pub struct RowSummaries<'a> {
    index: &'a Index,
    dir: String,
    last: String,
    batch: std::vec::IntoIter<RowSummary>,
    is_over: bool,
}

impl Index {
    /// The summaries of the rows of one directory.
    pub fn summaries_in_dir(&self, dir: &str) -> RowSummaries<'_> {
        RowSummaries {
            index: self,
            dir: dir.to_owned(),
            last: String::new(),
            batch: Vec::new().into_iter(),
            is_over: false,
        }
    }

    /// The row that a summary is of.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn row_of(&self, dir: &str, summary: RowSummary) -> Result<Option<super::Row>> {
        self.row(&Key {
            dir: dir.to_owned(),
            name: summary.name,
        })
    }
}

impl RowSummaries<'_> {
    /// The next one.
    ///
    /// # Errors
    /// What SQLite says; [`Error::Damaged`] if the rows are out of order.
    pub fn next(&mut self) -> Result<Option<RowSummary>> {
        if self.batch.as_slice().is_empty() && !self.is_over {
            let summaries = self.read()?;
            self.is_over = i64::try_from(summaries.len()).unwrap_or(i64::MAX) < ROWS_AT_ONCE;
            for summary in &summaries {
                if summary.name <= self.last && !self.last.is_empty() {
                    let text = "index: its rows are out of order";
                    return Err(Error::Damaged(text.to_owned()));
                }
                self.last.clone_from(&summary.name);
            }
            self.batch = summaries.into_iter();
        }
        Ok(self.batch.next())
    }

    fn read(&self) -> Result<Vec<RowSummary>> {
        let mut select = self.index.db.prepare_cached(schema::SELECT_SUMMARIES)?;
        let asked = params![self.dir, self.last, ROWS_AT_ONCE];
        let summaries = select.query_map(asked, |sql| {
            let stamp = match sql.get(2)? {
                false => None,
                true => Some(Stamp {
                    size: from_sql(sql.get(3)?),
                    mtime_ns: sql.get(4)?,
                    ctime_ns: sql.get(5)?,
                    inode: from_sql(sql.get(6)?),
                    rights: None,
                }),
            };
            Ok(RowSummary {
                name: sql.get(0)?,
                display_name: sql.get(1)?,
                stamp,
                // Of one that came back it is negative: too large here, so it is looked at closely.
                arrived_in_pass: from_sql(sql.get(7)?),
                is_only_there: sql.get(8)?,
            })
        })?;
        Ok(summaries.collect::<std::result::Result<_, _>>()?)
    }
}
