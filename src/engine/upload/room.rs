//! Whether Dropbox has room for a file, so that nothing is sent in vain.

use super::queue::{PendingUpload, chunk_bytes};
use super::uploads::Uploads;
use crate::engine::context::{Context, Offer};
use crate::report::{Trouble, size_text};

impl<'a> Uploads<'a> {
    /// Whether Dropbox has no room for a file: it had none for one no larger, in this pass or for
    /// this very one in an earlier pass. Then it is asked how much is free, once, as it is before a
    /// file is sent that takes more than one call.
    pub(super) fn has_no_room(&self, cx: &mut Context<'a>, file: &PendingUpload) -> bool {
        let size = file.observed.stamp.size;
        let refused = cx.refused_for_room(&file.item);
        if (refused.is_some() || size > chunk_bytes(cx, self.api)) && cx.room.free.is_none() {
            cx.room.free = Some(self.api.free_space().ok());
        }
        let before = file.item.row.base_file().map_or(0, |base| base.stamp.size);
        let is_full = matches!(&cx.room.full, Some((full, _)) if size >= *full);
        let does_not_fit = match cx.room.free {
            Some(Some(free)) => size.saturating_sub(before) > free,
            // It cannot be told: what was refused is so for a day.
            Some(None) => refused.is_some(),
            None => false,
        };
        if !is_full && (!does_not_fit || refused == Some(Offer::Again)) {
            return false;
        }
        cx.upload_left = true;
        let text = match cx.room.free {
            Some(Some(free)) => format!("the Dropbox is full ({} free)", size_text(free)),
            _ => "the Dropbox is full".to_owned(),
        };
        let report = cx.env.report;
        report.problem(
            &file.item.display_path,
            Trouble::NoRoom,
            &format!("not uploaded: {text}"),
        );
        cx.remembered.keep(cx.env.index, &file.item.row.key);
        cx.room.full.get_or_insert((size, text));
        true
    }
}
