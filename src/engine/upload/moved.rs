//! Files that were only moved: Dropbox has their content under the old name and copies it itself.
//!
//! The old name is deleted at the end of the pass, under guard, like any other.

use std::collections::{HashMap, HashSet};

use super::queue::PendingUpload;
use super::sent::Sent;
use super::uploads::Uploads;
use crate::core::content_hash::ContentHash;
use crate::core::path::Key;
use crate::core::remote::RemotePath;
use crate::dropbox::batch::Outcome;
use crate::dropbox::retry::CallError;
use crate::dropbox::wire::{ApiError, FileMetadata, WriteMode};
use crate::engine::context::Context;
use crate::engine::local_dir::{LocalDir, find_local_dir};
use crate::engine::stable_read;
use crate::error::Result;
use crate::index::Row;
use crate::io::stat::Stamp;

/// LIMIT: files that are gone here, of the sizes looked for, which one search keeps in mind.
const GONE_MAX: usize = 4000;

/// LIMIT: searches that find nothing gone; each reads the whole index. After a first upload that
/// broke off there would be one for every thousand files.
const SEARCHES_IN_VAIN_MAX: u32 = 8;

/// A new file whose content Dropbox has under the name of a gone one.
struct Moved {
    file: PendingUpload,
    old: Key,
    from: RemotePath,
    to: RemotePath,
    hash: ContentHash,
    stamp: Stamp,
    read_at_ns: i128,
}

impl<'a> Uploads<'a> {
    /// Has Dropbox copy what was moved; the other files come back.
    pub(super) fn copy_moved(
        &mut self,
        cx: &mut Context<'a>,
        files: Vec<PendingUpload>,
    ) -> Result<Vec<PendingUpload>> {
        if !cx.had_base || !files.iter().any(is_new) {
            return Ok(files);
        }
        let sizes: HashSet<u64> = files
            .iter()
            .filter(|file| is_new(file))
            .map(|file| file.observed.stamp.size)
            .collect();
        if self.queue.found_nothing >= SEARCHES_IN_VAIN_MAX {
            return Ok(files);
        }
        let gone = self.gone_files(cx, &sizes)?;
        self.queue.found_nothing += u32::from(gone.is_empty());
        let mut moved = Vec::new();
        let mut left = Vec::new();
        for file in files {
            match self.origin(cx, &file, &gone) {
                Some((old, hash, stamp, read_at_ns)) => moved.push(Moved {
                    to: cx.env.remote_root.at(&file.item.display_path),
                    file,
                    from: cx.env.remote_root.of_row(old),
                    old: old.key.clone(),
                    hash,
                    stamp,
                    read_at_ns,
                }),
                None => left.push(file),
            }
        }
        if !moved.is_empty() {
            let outcomes = self.copy_all(&moved)?;
            for (moved, outcome) in moved.into_iter().zip(outcomes) {
                left.extend(self.copied(cx, moved, outcome)?);
            }
        }
        Ok(left)
    }

    /// The files of these sizes that are in step but for being gone here: where Dropbox has them,
    /// by size.
    fn gone_files(&self, cx: &Context<'a>, sizes: &HashSet<u64>) -> Result<HashMap<u64, Vec<Row>>> {
        let mut found: HashMap<u64, Vec<Row>> = HashMap::new();
        let mut local_dir: Option<(String, LocalDir)> = None;
        let mut count = 0;
        cx.env.index.each_in_step(sizes, &mut |row| {
            if local_dir
                .as_ref()
                .is_none_or(|(dir, _)| *dir != row.key.dir)
            {
                local_dir = Some((row.key.dir.clone(), find_local_dir(cx, &row.key.dir)?));
            }
            let is_gone = match local_dir.as_ref().map(|(_, local_dir)| local_dir) {
                Some(LocalDir::Absent(..)) => true,
                Some(LocalDir::Present(dir, _)) => {
                    let path = dir.join(row.local_name());
                    path.is_ok_and(|path| matches!(cx.env.disk.status(&path), Ok(None)))
                }
                _ => false,
            };
            if is_gone
                && !self.queue.copied.contains(&row.key)
                && let Some(base) = row.base_file()
            {
                count += 1;
                found.entry(base.stamp.size).or_default().push(row);
            }
            Ok(count < GONE_MAX)
        })?;
        Ok(found)
    }

    /// Where Dropbox has the content of a new file; it is read only if a gone one had its size.
    fn origin<'g>(
        &self,
        cx: &Context<'a>,
        file: &PendingUpload,
        gone: &'g HashMap<u64, Vec<Row>>,
    ) -> Option<(&'g Row, ContentHash, Stamp, i128)> {
        if !is_new(file) {
            return None;
        }
        let candidates = gone.get(&file.observed.stamp.size)?;
        let read_at_ns = cx.env.host.now_ns();
        let (hash, stamp) = stable_read::hash(cx.env.disk, &file.item.path().ok()?).ok()?;
        let same = |row: &&Row| row.base_file().is_some_and(|base| base.hash == hash);
        let from = candidates.iter().find(same)?;
        Some((from, hash, stamp, read_at_ns))
    }

    fn copy_all(&mut self, moved: &[Moved]) -> Result<Vec<Outcome<FileMetadata>>> {
        let api = self.api;
        let pair = |moved: &Moved| (moved.from.clone(), moved.to.clone());
        let pairs: Vec<(RemotePath, RemotePath)> = moved.iter().map(pair).collect();
        if pairs.len() > 1 {
            match api.copy_batch(&pairs) {
                Ok(outcomes) => return Ok(outcomes),
                Err(CallError::End(error)) => return Err(error),
                Err(error) => log::debug!("copying one by one: {error:?}"),
            }
        }
        let mut outcomes = Vec::with_capacity(pairs.len());
        for (from, to) in &pairs {
            match api.copy_file(from, to) {
                Ok(outcome) => outcomes.push(outcome),
                Err(CallError::End(error)) => return Err(error),
                // They go up like any other file.
                Err(_) => outcomes.push(Err(ApiError::default())),
            }
        }
        Ok(outcomes)
    }

    /// What became of one copy; a file that is not what it should be goes up after all.
    fn copied(
        &mut self,
        cx: &mut Context<'a>,
        moved: Moved,
        outcome: Outcome<FileMetadata>,
    ) -> Result<Option<PendingUpload>> {
        let Moved {
            mut file,
            old,
            from,
            hash,
            stamp,
            read_at_ns,
            ..
        } = moved;
        match outcome {
            Ok(metadata) if metadata.hash() == Some(hash) => {
                let sent = Sent {
                    metadata,
                    hash,
                    stamp,
                };
                let more = format!("{}, copied in Dropbox from {from}", file.more);
                self.uploaded(cx, file.item, sent, read_at_ns, &more)?;
                self.queue.copied.insert(old);
                Ok(None)
            }
            // Another version was there by then, and is now under this name, too.
            Ok(metadata) => {
                cx.committed += 1;
                file.mode = WriteMode::Update(metadata.rev);
                Ok(Some(file))
            }
            Err(error) => {
                log::debug!("{}: not copied: {}", file.item.display_path, error.text());
                Ok(Some(file))
            }
        }
    }
}

/// Neither side had it before, so it may be another file's new name.
fn is_new(file: &PendingUpload) -> bool {
    file.mode == WriteMode::Add && file.item.row.is_empty() && file.observed.stamp.size > 0
}
