//! What the walk finds and leaves for after it, as far as there is memory for it. What is more,
//! another walk finds again, in the same order: so nothing grows with what has happened.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::core::decide::Direction;
use crate::engine::context::Context;
use crate::engine::item::{Delete, Item, Observed};
use crate::error::Result;

/// LIMIT: things of a kind that a pass keeps in memory from the walk on, of about 1 KiB each.
pub const KEPT_MAX: usize = 250;

/// Who gets what was found.
pub(crate) type Visit<'v, 'a, T> = dyn FnMut(&mut Context<'a>, T) -> Result<()> + 'v;

/// Finds all things of a kind once more, in the order of the walk.
pub(crate) type FindAgain<'a, T> = fn(&mut Context<'a>, &mut Visit<'_, 'a, T>) -> Result<()>;

/// What tells one thing from another, so that what is found again is what was judged.
pub(crate) trait Marked {
    /// Hashes it.
    fn mark(&self, hasher: &mut DefaultHasher);
}

impl Marked for Delete {
    fn mark(&self, hasher: &mut DefaultHasher) {
        let row = &self.item.row;
        (self.direction == Direction::Up).hash(hasher);
        row.key.hash(hasher);
        row.base_file().map(|base| base.rev.as_str()).hash(hasher);
    }
}

impl Marked for (Item, Observed) {
    fn mark(&self, hasher: &mut DefaultHasher) {
        let (Item { row, .. }, _) = self;
        row.key.hash(hasher);
        let remote = row.remote_file();
        remote.as_ref().map(|file| file.rev.as_str()).hash(hasher);
    }
}

/// Which things of a list were judged, in their order: a hash of each so many of them.
pub(crate) struct Marks {
    /// So many.
    each: usize,
    /// Random: nobody can look for two lists of one hash.
    seed: String,
    marks: Vec<u64>,
    last: DefaultHasher,
    in_last: usize,
}

impl Marks {
    /// Of nothing yet.
    pub(crate) fn new(cx: &Context<'_>) -> Marks {
        let seed = cx.env.host.random_hex(8);
        Marks {
            each: cx.env.batch_max(),
            last: seeded(&seed),
            seed,
            marks: Vec::new(),
            in_last: 0,
        }
    }

    /// The next one.
    pub(crate) fn add(&mut self, one: &impl Marked) {
        one.mark(&mut self.last);
        self.in_last += 1;
        if self.in_last == self.each {
            self.close();
        }
    }

    /// All were added.
    pub(crate) fn close(&mut self) {
        if self.in_last > 0 {
            self.marks.push(self.last.finish());
        }
        self.last = seeded(&self.seed);
        self.in_last = 0;
    }
}

fn seeded(seed: &str) -> DefaultHasher {
    let mut hasher = DefaultHasher::new();
    seed.hash(&mut hasher);
    hasher
}

/// Things of one kind that the walk has found.
pub(crate) struct Collected<'a, T> {
    kept: Vec<T>,
    kept_max: usize,
    are_more: bool,
    again: FindAgain<'a, T>,
}

impl<'a, T: Clone> Collected<'a, T> {
    /// Nothing yet; of more than `kept_max` things, `again` finds them all.
    pub(crate) fn new(again: FindAgain<'a, T>, kept_max: usize) -> Collected<'a, T> {
        Collected {
            kept: Vec::new(),
            kept_max,
            are_more: false,
            again,
        }
    }

    /// One more.
    pub(crate) fn add(&mut self, one: T) {
        if self.are_more {
            return;
        }
        if self.kept.len() < self.kept_max {
            self.kept.push(one);
        } else {
            self.are_more = true;
            self.kept = Vec::new();
        }
    }

    /// What was found, which is left to the one who takes it.
    pub(crate) fn take(&mut self) -> Collected<'a, T> {
        let empty = Collected::new(self.again, self.kept_max);
        std::mem::replace(self, empty)
    }

    /// Whether nothing was found.
    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_empty() && !self.are_more
    }

    /// All of them, if there was memory for them.
    pub(crate) fn kept(&self) -> Option<&[T]> {
        (!self.are_more).then_some(&self.kept)
    }

    /// Hands each to `visit`, in the order of the walk.
    ///
    /// # Errors
    /// What `visit` says; whatever ends a walk.
    pub(crate) fn each(&self, cx: &mut Context<'a>, visit: &mut Visit<'_, 'a, T>) -> Result<()> {
        if self.are_more {
            cx.flush_settles()?;
            return (self.again)(cx, visit);
        }
        for one in &self.kept {
            visit(cx, one.clone())?;
        }
        Ok(())
    }

    /// Hands exactly those to `act` that were judged, some at a time; of the others `is_due` says
    /// so.
    ///
    /// Where they have to be found again, and another one is among them now, or one is missing, the
    /// rest is left to the next pass: nobody has judged it.
    ///
    /// # Errors
    /// What `act` and `is_due` say; whatever ends a walk.
    pub(crate) fn each_marked(
        &self,
        cx: &mut Context<'a>,
        judged: &Marks,
        is_due: &dyn Fn(&Context<'a>, &T) -> Result<bool>,
        act: &mut Visit<'_, 'a, Vec<T>>,
    ) -> Result<()>
    where
        T: Marked,
    {
        let mut marks = judged.marks.iter();
        let mut batch: Vec<T> = Vec::new();
        let mut is_judged = true;
        let mut hand_on = |cx: &mut Context<'a>, batch: Vec<T>| {
            let mut hasher = seeded(&judged.seed);
            batch.iter().for_each(|one| one.mark(&mut hasher));
            match marks.next() == Some(&hasher.finish()) {
                true => act(cx, batch).map(|()| true),
                false => Ok(false),
            }
        };
        self.each(cx, &mut |cx, one| {
            if is_judged && is_due(cx, &one)? {
                batch.push(one);
                if batch.len() == judged.each {
                    is_judged = hand_on(cx, std::mem::take(&mut batch))?;
                }
            }
            Ok(())
        })?;
        if is_judged && !batch.is_empty() {
            is_judged = hand_on(cx, batch)?;
        }
        if !is_judged || marks.next().is_some() {
            let why = "what was to be done has changed since it was counted";
            cx.env.report.deferred("/", why);
        }
        Ok(())
    }
}
