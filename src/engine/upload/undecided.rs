//! Files that differ on both sides, have no base, and may only go up: a person says whether ours
//! replace those in Dropbox.

use super::uploads::Uploads;
use crate::core::decide::Direction;
use crate::core::guard::ApprovalId;
use crate::dropbox::wire::WriteMode;
use crate::engine::context::Context;
use crate::engine::item::{Item, Observed};
use crate::error::Result;

/// All of them if a person approved exactly these; else none, and each is told as a problem.
pub(crate) fn approved(
    cx: &Context<'_>,
    undecided: Vec<(Item, Observed)>,
) -> Vec<(Item, Observed)> {
    if undecided.is_empty() || cx.is_second_round {
        return Vec::new();
    }
    let mut id = ApprovalId::new("uploads");
    for (item, _) in &undecided {
        let rev = item.row.remote_file().map(|file| file.rev);
        let rev = rev.unwrap_or_default();
        id.delete(Direction::Up, &item.row.key.path(), rev.as_str());
    }
    let id = id.finish();
    let approved = cx.options.approved.contains(&id);
    if approved {
        return undecided;
    }
    for (item, _) in undecided {
        if item.row.remote_file().is_some() {
            cx.env.report.problem(
                &item.display_path,
                &format!(
                    "differs from the file Dropbox has, and it is not known which is newer; both \
                     are left alone. To upload ours: ferrybox sync --approve {id}"
                ),
            );
        }
    }
    Vec::new()
}

impl<'a> Uploads<'a> {
    /// Uploads those a person has approved.
    ///
    /// # Errors
    /// Whatever ends the pass.
    pub(crate) fn decide_undecided(&mut self, cx: &mut Context<'a>) -> Result<()> {
        let undecided = std::mem::take(&mut self.undecided);
        for (item, observed) in approved(cx, undecided) {
            if let Some(remote) = item.row.remote_file() {
                let mode = WriteMode::Update(remote.rev.clone());
                self.upload(cx, item, &observed, mode, Some(remote.rev))?;
            }
        }
        cx.flush_settles()
    }
}
