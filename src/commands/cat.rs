//! `cat`: a file of Dropbox's on stdout, verified by its content hash at the end.

use std::io::{self, ErrorKind, Read, Write};

use crate::commands::remote::{RemoteFiles, with_remote};
use crate::config::Config;
use crate::core::content_hash::ContentHasher;
use crate::dropbox::retry::CallError;
use crate::dropbox::wire::{FileMetadata, Metadata};
use crate::error::{Error, Result};
use crate::report::printable;

/// Bytes that are copied at a time.
const BUFFER_BYTES: usize = 64 << 10;

/// Connections in a row that may break without bringing anything.
const TRIES_MAX: u32 = 3;

/// Copies a file to stdout.
///
/// # Errors
/// [`Error::Failed`] if it is not there, is no file, or did not arrive as Dropbox has it; what
/// Dropbox says.
pub fn cat(config: &Config, typed: &str) -> Result<()> {
    with_remote(config, false, None, |remote| {
        let path = remote.path_below(typed)?;
        let shown = || printable(remote.shown(path.as_str()));
        let file = match remote.at(&path)? {
            Metadata::File(file) if file.is_downloadable => file,
            Metadata::File(_) => {
                return Err(Error::Failed(format!(
                    "{}: a document that is only on the web, with nothing to download",
                    shown()
                )));
            }
            Metadata::Folder(_) | Metadata::Deleted(_) | Metadata::Other(_) => {
                return Err(Error::Failed(format!("{}: not a file", shown())));
            }
        };
        let mut out = io::stdout().lock();
        match copy(remote, &file, &mut out) {
            Ok(()) => Ok(()),
            // Who reads has seen enough.
            Err(Copying::Out(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            Err(Copying::Out(error)) => Err(Error::Failed(format!("cannot write: {error}"))),
            Err(Copying::Call(error)) => Err(error.into_error("download it")),
            Err(Copying::Differs) => Err(Error::Failed(format!(
                "{}: what came is not what Dropbox says it holds: do not use it",
                shown()
            ))),
        }
    })
}

/// Why a copy is not whole.
enum Copying {
    Call(CallError),
    /// Who takes the bytes.
    Out(io::Error),
    /// What came is not what was announced.
    Differs,
}

/// Copies this version, going on where a connection breaks.
fn copy(
    remote: &RemoteFiles<'_>,
    file: &FileMetadata,
    out: &mut dyn Write,
) -> std::result::Result<(), Copying> {
    let mut hasher = ContentHasher::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let (mut offset, mut stalls) = (0, 0);
    while offset < file.size {
        let download = remote.api.download(&file.rev, offset);
        let mut download = download.map_err(Copying::Call)?;
        if offset > 0 && !download.resumed {
            return Err(Copying::Differs);
        }
        let before = offset;
        loop {
            let count = match download.body.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    log::debug!("a download broke: {error}");
                    break;
                }
            };
            offset += count as u64;
            if offset > file.size {
                return Err(Copying::Differs);
            }
            hasher.update(&buffer[..count]);
            out.write_all(&buffer[..count]).map_err(Copying::Out)?;
        }
        stalls = if offset > before { 0 } else { stalls + 1 };
        if stalls >= TRIES_MAX {
            let text = format!("the connection broke at byte {offset} again and again");
            return Err(Copying::Call(CallError::ServerError(text)));
        }
    }
    out.flush().map_err(Copying::Out)?;
    match file.hash() {
        Some(expected) if expected != hasher.finish() => Err(Copying::Differs),
        _ => Ok(()),
    }
}
