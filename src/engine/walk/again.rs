//! The walk over the whole tree once more, for what there was no memory for: nothing is done on the
//! way, and what is found is handed on.

use super::walk_all;
use crate::core::decide::{Action, Direction};
use crate::core::path::{DisplayPath, Key, RelPath};
use crate::core::remote::Rev;
use crate::dropbox::wire::WriteMode;
use crate::engine::actions::Actions;
use crate::engine::collected::Visit;
use crate::engine::context::Context;
use crate::engine::download::archive_plan::How;
use crate::engine::item::{Delete, Item, Local, Observed, Walk};
use crate::engine::survey::Survey;
use crate::engine::upload::queue::{Blocked, FindsAgain, PendingUpload};
use crate::error::Result;
use crate::index::{Base, Remote, Row};

/// How what the walk has found is found once more, where it is more of a kind than `kept_max`.
pub(crate) fn finds_again<'a>(kept_max: usize) -> FindsAgain<'a> {
    FindsAgain {
        kept_max,
        deletes: |cx, visit| seek(cx, Sought::Deletes(visit)),
        new_folders: |cx, visit| seek(cx, Sought::NewFolders(visit)),
        undecided: |cx, visit| seek(cx, Sought::Undecided(visit)),
        blocked: |cx, visit| seek(cx, Sought::Blocked(visit)),
    }
}

/// What is looked for, and who gets it.
enum Sought<'v, 'a> {
    Deletes(&'v mut Visit<'v, 'a, Delete>),
    NewFolders(&'v mut Visit<'v, 'a, Item>),
    Undecided(&'v mut Visit<'v, 'a, (Item, Observed)>),
    Blocked(&'v mut Visit<'v, 'a, Blocked>),
}

/// Looks for one kind of thing, and leaves all others alone.
struct Seeker<'v, 'a> {
    sought: Sought<'v, 'a>,
    survey: Survey,
}

fn seek<'a>(cx: &mut Context<'a>, sought: Sought<'_, 'a>) -> Result<()> {
    let mut seeker = Seeker {
        sought,
        survey: Survey::default(),
    };
    let report = cx.env.report;
    report.set_again(true);
    let sought = walk_all(cx, &mut seeker);
    report.set_again(false);
    sought
}

/// Hands one on. What comes of it is no repetition.
fn hand<'a, T>(cx: &mut Context<'a>, visit: &mut Visit<'_, 'a, T>, one: T) -> Result<()> {
    let report = cx.env.report;
    report.set_again(false);
    let visited = visit(cx, one);
    report.set_again(true);
    visited
}

impl<'a> Actions<'a> for Seeker<'_, 'a> {
    fn survey(&mut self) -> &mut Survey {
        &mut self.survey
    }

    fn looks_at(&self, item: &Item) -> bool {
        let Item { row, local, .. } = item;
        match self.sought {
            Sought::Deletes(_) => match (local, &row.base) {
                (_, Base::None) => false,
                (Local::File(_), Base::File(_)) | (Local::Folder { .. }, Base::Folder) => {
                    row.remote != Remote::AsBase
                }
                _ => true,
            },
            Sought::NewFolders(_) => {
                matches!(local, Local::Folder { .. }) && row.base == Base::None
            }
            Sought::Blocked(_) => item.blocked_up,
            Sought::Undecided(_) => {
                matches!((local, &row.remote), (Local::File(_), Remote::File(_)))
            }
        }
    }

    fn settle(&mut self, _cx: &mut Context<'a>, _row: Row) -> Result<()> {
        Ok(())
    }

    /// A new folder that was made in Dropbox by what was sent into it.
    fn adopt(
        &mut self,
        cx: &mut Context<'a>,
        _walk: Walk,
        _path: &DisplayPath,
        row: Row,
    ) -> Result<()> {
        match self.sought {
            Sought::NewFolders(_) if row.base == Base::Folder => cx.settle(row),
            _ => Ok(()),
        }
    }

    fn download(
        &mut self,
        _cx: &mut Context<'a>,
        _item: Item,
        _observed: Observed,
        _action: Action,
        _how: How<'_, '_>,
    ) -> Result<()> {
        Ok(())
    }

    fn set_aside(&mut self, _cx: &mut Context<'a>, _item: Item, _observed: Observed) -> Result<()> {
        Ok(())
    }

    fn make_local_folder(&mut self, _cx: &mut Context<'a>, _item: Item) -> Result<()> {
        Ok(())
    }

    fn meet_blocked_folder(&mut self, _cx: &mut Context<'a>, _path: &DisplayPath) -> bool {
        false
    }

    fn is_being_renamed(&self, _cx: &Context<'a>, _key: &Key) -> Result<bool> {
        Ok(false)
    }

    fn clean(&mut self, _cx: &mut Context<'a>, _dir: &RelPath, _own_names: &[String]) {}

    fn upload(
        &mut self,
        cx: &mut Context<'a>,
        item: Item,
        observed: &Observed,
        mode: WriteMode,
        replaced: Option<Rev>,
    ) -> Result<()> {
        match &mut self.sought {
            Sought::Blocked(visit) if !cx.is_refused(&item) => {
                let file = PendingUpload::new(item, *observed, mode, replaced.as_ref());
                hand(cx, *visit, Blocked::File(file))
            }
            _ => Ok(()),
        }
    }

    fn make_remote_folder(&mut self, cx: &mut Context<'a>, item: Item) -> Result<()> {
        match &mut self.sought {
            Sought::NewFolders(visit) if !cx.is_refused(&item) => hand(cx, *visit, item),
            Sought::Blocked(visit) => hand(cx, *visit, Blocked::Folder(item)),
            _ => Ok(()),
        }
    }

    fn ask_person(&mut self, cx: &mut Context<'a>, item: Item, observed: Observed) -> Result<()> {
        match &mut self.sought {
            Sought::Undecided(visit) => hand(cx, *visit, (item, observed)),
            _ => Ok(()),
        }
    }

    fn delete(&mut self, cx: &mut Context<'a>, direction: Direction, item: Item) -> Result<()> {
        match &mut self.sought {
            Sought::Deletes(visit) if !cx.is_refused(&item) => {
                hand(cx, *visit, Delete { direction, item })
            }
            _ => Ok(()),
        }
    }

    fn finish_walk(&mut self, _cx: &mut Context<'a>) -> Result<()> {
        Ok(())
    }
}
