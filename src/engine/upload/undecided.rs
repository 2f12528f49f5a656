//! Files that differ on both sides, have no base, and may only go up: a person says whether ours
//! replace those in Dropbox.

use crate::core::decide::Direction;
use crate::engine::collected::{Collected, Marks, Visit};
use crate::engine::context::Context;
use crate::engine::item::{Item, Observed};
use crate::error::Result;
use crate::index::{Question, approval_id, is_unkept};
use crate::report::Trouble;

/// Hands all of them to `upload` if a person approved exactly these; else each is told as a
/// problem.
///
/// # Errors
/// What the index says; whatever ends a walk.
pub(crate) fn decide<'a>(
    cx: &mut Context<'a>,
    undecided: &Collected<'a, (Item, Observed)>,
    upload: &mut Visit<'_, 'a, (Item, Observed)>,
) -> Result<()> {
    if undecided.is_empty() || cx.is_second_round {
        return Ok(());
    }
    let mut id = approval_id(cx.env.index, Question::Uploads)?;
    let mut judged = Marks::new(cx);
    undecided.each(cx, &mut |_, one| {
        let row = &one.0.row;
        let rev = row.remote_file().map(|file| file.rev);
        let rev = rev.unwrap_or_default();
        id.delete(Direction::Up, &row.key.path(), rev.as_str());
        judged.add(&one);
        Ok(())
    })?;
    judged.close();
    let id = id.finish();
    if cx.options.approved.contains(&id) {
        let all = |_: &Context<'a>, _: &(Item, Observed)| Ok(true);
        return undecided.each_marked(cx, &judged, &all, &mut |cx, batch| {
            batch.into_iter().try_for_each(|one| upload(cx, one))
        });
    }
    let upload_ours = match is_unkept(cx.env.index)? {
        // The id would be another one in the first run that keeps its index.
        true => "A sync says by which command ours go up".to_owned(),
        false => format!("To upload ours: {}", cx.again(&format!("--approve {id}"))),
    };
    let text = format!(
        "differs from the file Dropbox has, and it is not known which is newer; both are left \
         alone. {upload_ours}"
    );
    undecided.each(cx, &mut |cx, (item, _)| {
        if item.row.remote_file().is_some() {
            cx.env
                .report
                .problem(&item.display_path, Trouble::Undecided, &text);
        }
        Ok(())
    })
}
