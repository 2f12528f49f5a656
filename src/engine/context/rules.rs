//! What the rules of the configuration say of a path: filters, sizes, paces, and what becomes in
//! Dropbox of what was deleted here.

use super::Context;
use crate::core::amounts::as_written;
use crate::core::decide::{DeletePolicy, Mode};
use crate::core::filter::FilterAllows;
use crate::core::pace::lines_for;
use crate::core::path::{Key, below};
use crate::engine::item::{Item, Local, is_a_folder};
use crate::error::Result;
use crate::index::SentFiles;
use crate::report::{counted, grouped, printable, size_text};

/// Bytes of a file below which its sendings are not written down unless it has a pace: to come to
/// 100 MB in a day it would have to be sent every four minutes.
const SENDING_LEAST: u64 = 256 << 10;

impl<'a> Context<'a> {
    /// What becomes in Dropbox of what was deleted here. A pass that only brings down deletes
    /// nothing there, and brings it back.
    pub(crate) fn deletes(&self) -> DeletePolicy {
        match self.options.mode {
            Mode::LocalToDropbox | Mode::Bidirectional if self.keeps_deletes() => {
                DeletePolicy::Keep
            }
            Mode::LocalToDropbox | Mode::Bidirectional | Mode::DropboxToLocal => {
                DeletePolicy::Propagate
            }
        }
    }

    /// Whether files that are gone here may be kept in Dropbox since a pass before.
    pub(crate) fn kept_before(&self) -> bool {
        self.kept_before
    }

    /// Whether what was deleted here is kept in Dropbox: the configuration says so, or did so until
    /// now.
    pub(crate) fn keeps_deletes(&self) -> bool {
        self.kept_before || self.env.config.sync.deletes == DeletePolicy::Keep
    }

    /// Whether a file is gone here that Dropbox keeps: it speaks for no side, and makes no share of
    /// deletes look small, however many of them there come to be. Neither does one that this pass
    /// brings back.
    pub(crate) fn is_kept_there(&self, item: &Item) -> bool {
        let keeps = self.keeps_deletes();
        keeps && item.local == Local::Gone && item.row.base_file().is_some()
    }

    /// Nothing at or below this path is looked at, in either of its spellings: in Dropbox and here.
    pub(crate) fn prunes(
        &self,
        (display_path, local_path): (&str, &str),
        key: &Key,
        is_folder: bool,
    ) -> bool {
        let own = &self.env.own_keys;
        let filter = &self.env.config.sync.filter;
        let is_shut = |path| match is_folder {
            true => filter.prunes_folder(path),
            false => filter.prunes(path),
        };
        (!own.is_empty() && own.iter().any(|own| below(&key.path(), own).is_some()))
            || is_shut(display_path)
            || (display_path != local_path && is_shut(local_path))
    }

    /// Which way an item may travel as far as the filters are concerned.
    pub(crate) fn filters_allow(&self, item: &Item) -> FilterAllows {
        let filter = &self.env.config.sync.filter;
        let is_folder = is_a_folder(&item.row, &item.local);
        filter.allows_both_as(&item.display_path, &item.local_spelling(), is_folder)
    }

    /// The same as far as all our rules are: where either side has a file that is too large, the
    /// path is left alone on both.
    pub(crate) fn allows(&self, item: &Item) -> FilterAllows {
        match self.has_too_large(item) {
            true => FilterAllows {
                up: false,
                down: false,
            },
            false => self.filters_allow(item),
        }
    }

    /// Whether files of this size, in bytes, are left out.
    pub(crate) fn is_too_large(&self, size: u64) -> bool {
        let most = self.env.config.sync.max_file_size;
        most.is_some_and(|most| size > most)
    }

    /// The largest size of a file that travels, for people.
    pub(crate) fn largest_size(&self) -> String {
        let most = self.env.config.sync.max_file_size;
        most.map_or_else(String::new, as_written)
    }

    /// A file that was in step is left out for its size; says whether it was not in the passes
    /// before.
    pub(crate) fn note_outgrown(&mut self, item: &Item) -> bool {
        let (index, now_s) = (self.env.index, self.now_s());
        let is_new = self.remembered.note_too_large(index, &item.row.key, now_s);
        self.bound_remembered();
        is_new
    }

    /// Whether either side has a file that is left out for its size.
    pub(crate) fn has_too_large(&self, item: &Item) -> bool {
        self.env.config.sync.max_file_size.is_some()
            && (matches!(item.local, Local::File(status) if self.is_too_large(status.stamp.size))
                || item
                    .row
                    .remote_file()
                    .is_some_and(|file| self.is_too_large(file.size)))
    }

    /// How long a changed file is not sent again, if it has a pace that says so.
    ///
    /// # Errors
    /// What the index says.
    pub(crate) fn waits_for_pace(
        &self,
        key: &Key,
        display_path: &str,
        local_path: &str,
    ) -> Result<Option<String>> {
        let paces = &self.env.config.sync.paces;
        let Some(every_s) = paces.of(display_path, local_path) else {
            return Ok(None);
        };
        let sendings = SentFiles(self.env.index).of(key)?;
        let left_s = sendings.and_then(|sendings| sendings.left_s(self.now_s(), every_s));
        Ok(left_s.map(|left_s| {
            let minutes = left_s.div_ceil(60);
            let time = match minutes {
                ..=120 => counted(minutes, "minute", "minutes"),
                minutes => counted(minutes.div_ceil(60), "hour", "hours"),
            };
            format!("sent in {time} at the earliest")
        }))
    }

    /// A file was sent, with so many bytes. Written down is what a pace asks for, and what is so
    /// large that its owner may want one.
    ///
    /// # Errors
    /// What the index says.
    pub(crate) fn note_sending(&mut self, item: &Item, bytes: u64) -> Result<()> {
        let sync = &self.env.config.sync;
        let (path, key) = (&item.display_path, &item.row.key);
        let is_paced = sync.paces.of(path, &item.local_spelling()).is_some();
        if !is_paced && bytes < SENDING_LEAST {
            return Ok(());
        }
        let now_s = self.now_s();
        let before = SentFiles(self.env.index)
            .of(key)?
            .unwrap_or_default()
            .of_day(now_s);
        let sendings = before.with(now_s, bytes);
        if sendings.is_often() && !before.is_often() && !is_paced {
            let what = format!(
                "{}: {} of it were sent today, in {} goes; to send it less often, write these \
                 lines into {}",
                printable(path),
                size_text(sendings.bytes),
                grouped(sendings.times),
                self.env.config.path.display()
            );
            self.env.report.advise(&what, &lines_for(path));
        }
        self.sendings.push((key.clone(), sendings));
        Ok(())
    }

    /// Whether something that is only here may go up.
    pub(crate) fn may_go_up(&self, display_path: &str, local_path: &str) -> bool {
        let sync = &self.env.config.sync;
        let once = self.reset_due && sync.upload_on_reset;
        self.options.up
            && sync.filter.allows_both(display_path, local_path).up
            && (once || self.options.mode != Mode::DropboxToLocal)
    }
}
