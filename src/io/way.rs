//! The way to a directory, for root: whoever owns a link on it says where it leads, so only root's
//! own are followed.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, readlinkat, statat};

use crate::io::env::user_name;

/// Links that are followed, as the kernel counts them.
const LINKS_MAX: u32 = 40;

/// Opens a directory, following no link but root's own.
///
/// # Errors
/// What the system says, with the path; whose link it is that is not followed.
pub(super) fn open_as_root(path: &Path) -> io::Result<OwnedFd> {
    let said = |at: &Path, errno: rustix::io::Errno| {
        let error = io::Error::from(errno);
        io::Error::new(
            error.kind(),
            format!("cannot open {}: {error}", at.display()),
        )
    };
    let through = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let top = || rustix::fs::open("/", through, Mode::empty()).map_err(|e| said(path, e));
    let (mut dir, mut at) = (top()?, PathBuf::from("/"));
    let mut names = names_of(&std::path::absolute(path)?);
    let mut links = 0;
    while let Some(name) = names.pop_front() {
        let here = at.join(&name);
        let stat = statat(&dir, &name, AtFlags::SYMLINK_NOFOLLOW).map_err(|e| said(&here, e))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            dir = openat(&dir, &name, through, Mode::empty()).map_err(|e| said(&here, e))?;
            at = here;
            continue;
        }
        links += 1;
        if stat.st_uid != 0 {
            return Err(io::Error::other(format!(
                "{} is a link of {}, and root follows no links of others: name the directory \
                 itself",
                here.display(),
                user_name(stat.st_uid)
            )));
        }
        if links > LINKS_MAX {
            return Err(said(&here, rustix::io::Errno::LOOP));
        }
        let target = readlinkat(&dir, &name, Vec::new()).map_err(|e| said(&here, e))?;
        let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
        if target.is_absolute() {
            (dir, at) = (top()?, PathBuf::from("/"));
        }
        let mut all = names_of(&target);
        all.append(&mut names);
        names = all;
    }
    let read = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(&dir, ".", read, Mode::empty()).map_err(|e| said(path, e))
}

fn names_of(path: &Path) -> VecDeque<OsString> {
    let name = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(name).collect()
}
