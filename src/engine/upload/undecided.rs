//! Files that differ on both sides, have no base, and may only go up: a person says whether ours
//! replace those in Dropbox.

use crate::core::decide::Direction;
use crate::engine::context::Context;
use crate::engine::item::{Item, Observed};
use crate::error::Result;
use crate::index::{approval_id, is_unkept};

/// All of them if a person approved exactly these; else none, and each is told as a problem.
///
/// # Errors
/// What the index says.
pub(crate) fn approved(
    cx: &Context<'_>,
    undecided: Vec<(Item, Observed)>,
) -> Result<Vec<(Item, Observed)>> {
    if undecided.is_empty() || cx.is_second_round {
        return Ok(Vec::new());
    }
    let mut id = approval_id(cx.env.index, "uploads")?;
    for (item, _) in &undecided {
        let rev = item.row.remote_file().map(|file| file.rev);
        let rev = rev.unwrap_or_default();
        id.delete(Direction::Up, &item.row.key.path(), rev.as_str());
    }
    let id = id.finish();
    let approved = cx.options.approved.contains(&id);
    if approved {
        return Ok(undecided);
    }
    let upload_ours = match is_unkept(cx.env.index)? {
        // The id would be another one in the first run that keeps its index.
        true => "A sync says by which command ours go up".to_owned(),
        false => format!("To upload ours: {}", cx.again(&format!("--approve {id}"))),
    };
    for (item, _) in undecided {
        if item.row.remote_file().is_some() {
            cx.env.report.problem(
                &item.display_path,
                &format!(
                    "differs from the file Dropbox has, and it is not known which is newer; both \
                     are left alone. {upload_ours}"
                ),
            );
        }
    }
    Ok(Vec::new())
}
