//! A page of changes that waits for what a pass does about it, so that both are one commit.

use super::Index;
use super::database::TransactionState;
use super::transaction::has_changes;
use crate::error::Result;

/// LIMIT: entries of a page that waits. More than fits into the cache would be written at once, and
/// keep readers out until the end.
pub const HELD_MAX: u64 = 64;

/// Changes in an open transaction, which the next one takes along. Until then readers see the index
/// without them, and whoever is killed has lost them: nothing may rely on them that outlives this
/// process.
pub struct HeldPage {
    /// How often changes had been undone when it began to wait.
    undone: u64,
}

impl HeldPage {
    /// Lets what the open transaction has changed wait; nothing if it has changed nothing.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn of(index: &Index) -> Result<Option<HeldPage>> {
        if !has_changes(index) {
            index.commit()?;
            return Ok(None);
        }
        index.state.set(TransactionState::Held);
        Ok(Some(HeldPage {
            undone: index.undone.get(),
        }))
    }

    /// Commits it, unless that was done; says whether it is in the index, and was not undone with
    /// a later transaction.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn settle(self, index: &Index) -> Result<bool> {
        if index.state.get() == TransactionState::Held {
            match index.db.is_autocommit() {
                // SQLite undoes by itself what it cannot write.
                true => index.roll_back(),
                false => index.commit()?,
            }
        }
        Ok(index.undone.get() == self.undone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::index::Meta;

    fn held(index: &Index) -> HeldPage {
        index.begin().unwrap();
        index.set_meta(Meta::HeldUp, "page").unwrap();
        HeldPage::of(index).unwrap().unwrap()
    }

    #[test]
    fn a_page_is_one_commit_with_the_transaction_after_it() {
        let index = Index::temporary("id", None).unwrap();
        let before = index.counter().unwrap();
        let page = held(&index);
        assert_eq!(index.counter().unwrap(), before);
        let settled = index.transaction(|| index.set_meta(Meta::HeldDown, "settled"));
        settled.unwrap();
        assert_eq!(index.counter().unwrap(), before + 1);
        assert!(page.settle(&index).unwrap());
        assert_eq!(index.counter().unwrap(), before + 1);
    }

    #[test]
    fn a_page_that_nothing_follows_is_committed_at_the_end() {
        let index = Index::temporary("id", None).unwrap();
        let before = index.counter().unwrap();
        // A transaction that changes nothing leaves it waiting or takes it along.
        let page = held(&index);
        index.transaction(|| Ok(())).unwrap();
        assert!(page.settle(&index).unwrap());
        assert_eq!(index.counter().unwrap(), before + 1);
        assert!(index.meta(Meta::HeldUp).unwrap().is_some());
    }

    #[test]
    fn a_page_that_was_undone_says_so() {
        let index = Index::temporary("id", None).unwrap();
        let page = held(&index);
        let failed = index.transaction(|| Err::<(), _>(Error::Failed("no".to_owned())));
        assert!(failed.is_err());
        index
            .transaction(|| index.set_meta(Meta::HeldDown, "settled"))
            .unwrap();
        assert!(!page.settle(&index).unwrap());
        assert!(index.meta(Meta::HeldUp).unwrap().is_none());
    }

    #[test]
    fn a_page_that_sqlite_has_undone_says_so() {
        for goes_on in [true, false] {
            let index = Index::temporary("id", None).unwrap();
            let page = held(&index);
            index.db.execute_batch("ROLLBACK").unwrap();
            if goes_on {
                let settled = index.transaction(|| index.set_meta(Meta::HeldDown, "settled"));
                settled.unwrap();
                assert!(index.db.is_autocommit());
            }
            assert!(!page.settle(&index).unwrap());
            assert!(index.meta(Meta::HeldUp).unwrap().is_none());
        }
        // In the midst of the transaction that takes it along.
        let index = Index::temporary("id", None).unwrap();
        let page = held(&index);
        let failed = index.transaction(|| {
            index.db.execute_batch("ROLLBACK")?;
            Err::<(), _>(Error::Failed("no room".to_owned()))
        });
        assert!(failed.is_err());
        assert!(!page.settle(&index).unwrap());
    }

    #[test]
    fn a_page_without_changes_does_not_wait() {
        let index = Index::temporary("id", None).unwrap();
        let before = index.counter().unwrap();
        index.begin().unwrap();
        assert!(HeldPage::of(&index).unwrap().is_none());
        index.begin().unwrap();
        index.commit().unwrap();
        assert_eq!(index.counter().unwrap(), before);
    }
}
