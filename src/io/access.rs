//! Owner, group, permission bits and access list, handed from one file to another that is to take
//! its place. What cannot be handed over makes the new file narrower, never wider.

use rustix::fd::BorrowedFd;
use rustix::fs::{Gid, Mode, Stat, Uid, XattrFlags};
use rustix::io::Errno;

/// The access list of a file, beyond its permission bits.
const LIST: &str = "system.posix_acl_access";
/// LIMIT: the longest list that is handed over, in bytes; 8 for each of a thousand users. The group
/// of a file with a longer one gets nothing.
const LIST_BYTES_MAX: usize = 8192;

/// What the group of a file may do.
const GROUP: u32 = 0o070;

/// Gives `to` what `from` has; `to` belongs to us, and nobody else may do anything with it yet.
///
/// # Errors
/// What the system says.
pub(super) fn hand_over(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<(), Errno> {
    let wanted = rustix::fs::fstat(from)?;
    let mut mode = wanted.st_mode & 0o777;
    if !gives_owner(&wanted, to)? {
        // Another group than before may do no more than everybody.
        mode &= !GROUP | ((mode & 0o007) << 3);
    }
    // With a list the group's bits are a mask for all on it, and not the group's own.
    if list_of(from).and_then(|list| give_list(to, list)).is_err() {
        mode &= !GROUP;
    }
    if rustix::fs::fstat(to)?.st_mode & 0o7777 == mode {
        return Ok(());
    }
    rustix::fs::fchmod(to, Mode::from_raw_mode(mode))
}

/// Gives the owner, or as much as we may; says whether the group is the one wanted.
fn gives_owner(wanted: &Stat, to: BorrowedFd<'_>) -> Result<bool, Errno> {
    let now = rustix::fs::fstat(to)?;
    if (now.st_uid, now.st_gid) == (wanted.st_uid, wanted.st_gid) {
        return Ok(true);
    }
    let (uid, gid) = (Uid::from_raw(wanted.st_uid), Gid::from_raw(wanted.st_gid));
    match rustix::fs::fchown(to, Some(uid), Some(gid)) {
        Err(Errno::PERM) => {}
        done => return done.map(|()| true),
    }
    match rustix::fs::fchown(to, None, Some(gid)) {
        Err(Errno::PERM) => Ok(now.st_gid == wanted.st_gid),
        done => done.map(|()| true),
    }
}

/// The access list; nothing where there is none, or can be none.
fn list_of(file: BorrowedFd<'_>) -> Result<Option<Vec<u8>>, Errno> {
    let mut list = vec![0; LIST_BYTES_MAX];
    match rustix::fs::fgetxattr(file, LIST, &mut list[..]) {
        Ok(length) => {
            list.truncate(length);
            Ok(Some(list))
        }
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Gives the list; one that the directory has given goes where there is none.
fn give_list(to: BorrowedFd<'_>, list: Option<Vec<u8>>) -> Result<(), Errno> {
    if let Some(list) = list {
        return rustix::fs::fsetxattr(to, LIST, &list, XattrFlags::empty());
    }
    match rustix::fs::fremovexattr(to, LIST) {
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
        done => done,
    }
}
