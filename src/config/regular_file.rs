//! Files that others name or may have put where they are: what is opened must be a regular file of
//! a size that makes sense. A pipe is not waited for, and what the kernel shows as an empty file
//! (`/proc/kmsg`) is not read.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// LIMIT: longest file of certificates, in bytes: the store of a whole system has a quarter of it.
pub const CA_FILE_BYTES_MAX: u64 = 1 << 20;

/// What becomes of a link in the place of the file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// It leads to the file.
    Followed,
    /// It is not the file.
    Refused,
}

/// Why a file is none that is read, if it is so.
pub fn why_not(metadata: &Metadata, bytes_max: u64) -> Option<String> {
    match metadata.len() {
        _ if !metadata.is_file() => Some("is not a regular file".to_owned()),
        0 => Some("is empty".to_owned()),
        bytes if bytes > bytes_max => Some(format!("is longer than {bytes_max} bytes")),
        _ => None,
    }
}

/// The content of a regular file of 1 to `bytes_max` bytes.
///
/// # Errors
/// What the system says, or what it is instead, with the path.
pub fn read_regular(path: &Path, bytes_max: u64, links: Links) -> io::Result<Vec<u8>> {
    let named = |what: &str| io::Error::other(format!("{} {what}", path.display()));
    let mut flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    flags.set(OFlags::NOFOLLOW, links == Links::Refused);
    let file = rustix::fs::open(path, flags, Mode::empty())
        .map_err(|errno| named(&format!("cannot be opened: {}", io::Error::from(errno))))?;
    let file = File::from(file);
    if let Some(why) = why_not(&file.metadata()?, bytes_max) {
        return Err(named(&why));
    }
    let mut bytes = Vec::new();
    file.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}
