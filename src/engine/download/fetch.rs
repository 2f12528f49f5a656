//! Fetching one file: by revision, or from the archive of a folder, to a hidden temporary file,
//! verified by length and content hash.

use std::io::{self, Read};

use super::archive_plan::{ArchiveBody, How};
use super::downloads::{Downloads, fresh_temp};
use super::partial::{PartialFile, is_kept, take_up};
use crate::core::content_hash::ContentHash;
use crate::core::path::RelPath;
use crate::dropbox::api::Download;
use crate::dropbox::retry::CallError;
use crate::engine::context::Context;
use crate::engine::item::Item;
use crate::engine::stable_read::BUFFER_BYTES;
use crate::index::RemoteFile;
use crate::io::disk::{Access, WriteFile};
use crate::io::limited_body::gets_on;
use crate::report::{Live, printable};
use crate::timestamp::{kept_seconds, seconds_of};

/// Bytes of a download between two looks at the time.
const STEP_BYTES: u64 = 4 << 20;
/// Tries for one file whose bytes do not arrive as announced.
const TRIES_MAX: u32 = 3;

/// Why a download did not complete.
pub(crate) enum DownloadError {
    Call(CallError),
    /// The local side.
    Disk(io::Error),
    /// What arrived is not what was announced.
    Differs(String),
}

/// A verified file.
pub(super) struct Fetched {
    pub(super) hash: ContentHash,
    pub(super) file: Box<dyn WriteFile>,
}

impl<'a> Downloads<'a> {
    /// Streams the file into `temp`, continuing where a broken connection left off.
    pub(super) fn fetch(
        &self,
        cx: &Context<'a>,
        item: &Item,
        remote: &RemoteFile,
        temp: &mut RelPath,
        access: Access,
        how: How<'_, '_>,
    ) -> Result<Fetched, DownloadError> {
        let mut nothing = None;
        let archive_body = match how {
            How::From(body) => body,
            How::Fetch | How::Count(_) => &mut nothing,
        };
        let live = cx.env.report.live();
        live.inspect(|live| live.begin(&item.display_path));
        let mut why = String::new();
        for _ in 0..TRIES_MAX {
            let mut partial = self
                .open_temp(cx, item, temp, remote, access)
                .map_err(DownloadError::Disk)?;
            let fetched = match archive_body.take_if(|body| body.is_of(&item.row.key)) {
                Some(body) => take(body, remote, &mut partial, live),
                None => self.fetch_once(cx, item, remote, &mut partial),
            };
            match fetched {
                Ok((hash, modified)) => {
                    live.into_iter().for_each(Live::keeps_nothing);
                    let mut file = partial.file;
                    if let Some(seconds) = modified {
                        let kept = kept_seconds(seconds);
                        if kept != seconds {
                            let text = "in Dropbox it was last modified before 1970 or after 2099";
                            let report = cx.env.report;
                            report.remark(log::Level::Info, &item.display_path, text);
                        }
                        file.set_mtime(kept).map_err(DownloadError::Disk)?;
                    }
                    return Ok(Fetched { hash, file });
                }
                Err(DownloadError::Differs(text)) => {
                    log::debug!("{}: {text}", printable(&item.display_path));
                    why = text;
                }
                Err(failed) => return Err(failed),
            }
            drop(partial);
            self.disk.remove_file(temp).map_err(DownloadError::Disk)?;
        }
        Err(DownloadError::Differs(why))
    }

    /// The file a download goes to: what an earlier run has kept of it, or an empty one, which has
    /// another name where that one is taken.
    fn open_temp(
        &self,
        cx: &Context<'_>,
        item: &Item,
        temp: &mut RelPath,
        remote: &RemoteFile,
        access: Access,
    ) -> io::Result<PartialFile> {
        let disk = self.disk;
        if is_kept(remote) {
            match take_up(disk, temp, remote.size) {
                Ok(Some(partial)) => {
                    let report = cx.env.report;
                    report.goes_on(&item.display_path, partial.offset, remote.size);
                    report
                        .live()
                        .inspect(|live| live.spare_down(partial.offset));
                    return Ok(partial);
                }
                Ok(None) => {}
                Err(error) => log::debug!("{error}"),
            }
            self.discard(temp);
        }
        let made = match disk.create(temp, access) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                *temp = fresh_temp(cx, &temp.parent())?;
                disk.create(temp, access)
            }
            made => made,
        };
        made.map(PartialFile::empty)
    }

    fn fetch_once(
        &self,
        cx: &Context<'a>,
        item: &Item,
        remote: &RemoteFile,
        partial: &mut PartialFile,
    ) -> Result<(ContentHash, Option<i64>), DownloadError> {
        let mut stalls = 0;
        let mut modified = remote.modified;
        let mut announced = remote.hash;
        while partial.offset < remote.size || remote.size == 0 {
            let (offset, start) = (partial.offset, cx.env.host.elapsed());
            let Download {
                metadata,
                resumed,
                mut body,
            } = self
                .api
                .download(&remote.rev, offset)
                .map_err(DownloadError::Call)?;
            if offset > 0 && !resumed {
                return Err(DownloadError::Differs(
                    "the download could not be continued".to_owned(),
                ));
            }
            if metadata.is_none() && remote.hash.is_none() {
                let text = "the answer to a download does not say what it is".to_owned();
                return Err(DownloadError::Call(CallError::ServerError(text)));
            }
            // Beside a hash the size says nothing more, and a header may be anybody's.
            let size = metadata.as_ref().map(|metadata| metadata.size);
            if remote.hash.is_none() && size != Some(remote.size) {
                return Err(DownloadError::Differs("its size is another one".to_owned()));
            }
            let deadline = cx.env.deadline;
            let mut goes_on = |count, offset| {
                if let Some(live) = deadline.live() {
                    tell_received(live, item, remote, (count, offset));
                }
                let is_step = offset / STEP_BYTES > (offset - count) / STEP_BYTES;
                !is_step || deadline.check().is_ok()
            };
            let whole = copy(&mut body, partial, remote.size, &mut goes_on)?;
            if let Some(metadata) = metadata {
                modified = seconds_of(&metadata.client_modified).or(modified);
                announced = announced.or_else(|| metadata.hash());
            }
            if whole {
                break;
            }
            // One that is given up for its slowness has brought something, too.
            let took = cx.env.host.elapsed().saturating_sub(start);
            stalls = if gets_on(partial.offset.saturating_sub(offset), took) {
                0
            } else {
                stalls + 1
            };
            if stalls >= TRIES_MAX {
                let text = format!("the connection broke at byte {offset} again and again");
                return Err(DownloadError::Call(CallError::ServerError(text)));
            }
        }
        let hash = partial.hasher.clone().finish();
        if announced.is_some_and(|expected| expected != hash) {
            return Err(DownloadError::Differs(
                "what arrived is not what Dropbox says it holds".to_owned(),
            ));
        }
        Ok((hash, modified))
    }
}

/// Tells who watches that bytes came, and where they end.
fn tell_received(live: &Live, item: &Item, remote: &RemoteFile, (count, offset): (u64, u64)) {
    live.received(count);
    if is_kept(remote) {
        live.keeps(&item.display_path, offset, remote.size);
    }
}

/// Takes a file from the archive it is in; what is wrong with that is no reason to do without it.
fn take(
    mut body: ArchiveBody<'_>,
    remote: &RemoteFile,
    partial: &mut PartialFile,
    live: Option<&Live>,
) -> Result<(ContentHash, Option<i64>), DownloadError> {
    let mut goes_on = |count, _| {
        live.inspect(|live| live.received(count));
        true
    };
    let whole = copy(&mut body, partial, remote.size, &mut goes_on)?;
    let hash = partial.hasher.clone().finish();
    if whole && remote.hash == Some(hash) {
        Ok((hash, remote.modified))
    } else {
        Err(DownloadError::Differs(
            "the archive has other bytes".to_owned(),
        ))
    }
}

/// Copies the body behind what is there; false if it ended early, or `may_go_on` says so, which is
/// told how many bytes came and where they end.
fn copy(
    body: &mut dyn Read,
    partial: &mut PartialFile,
    size: u64,
    may_go_on: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<bool, DownloadError> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut goes_on = true;
    while goes_on {
        let count = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                log::debug!("a download broke: {error}");
                break;
            }
        };
        partial.offset += count as u64;
        goes_on = may_go_on(count as u64, partial.offset);
        if partial.offset > size {
            return Err(DownloadError::Differs(
                "more bytes arrived than were announced".to_owned(),
            ));
        }
        partial.hasher.update(&buffer[..count]);
        partial
            .file
            .write_all(&buffer[..count])
            .map_err(DownloadError::Disk)?;
    }
    Ok(partial.offset == size)
}
