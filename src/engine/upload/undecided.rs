//! Files that differ on both sides, have no base, and may only go up: a person says whether ours
//! replace those in Dropbox.

use crate::core::decide::Direction;
use crate::core::guard::ApprovalId;
use crate::engine::context::Context;
use crate::engine::item::{Item, Observed};

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
    let command = cx.again(&format!("--approve {id}"));
    for (item, _) in undecided {
        if item.row.remote_file().is_some() {
            cx.env.report.problem(
                &item.display_path,
                &format!(
                    "differs from the file Dropbox has, and it is not known which is newer; both \
                     are left alone. To upload ours: {command}"
                ),
            );
        }
    }
    Vec::new()
}
