//! Owner, group, permission bits and access list, handed from one file to another that is to take
//! its place. What cannot be handed over makes the new file narrower, never wider.

use rustix::fd::BorrowedFd;
use rustix::fs::{Gid, Mode, Stat, Uid, XattrFlags};
use rustix::io::Errno;

use crate::io::stat::{AccessList, FileAccess, Rights, Stamp};

/// The access list of a file, beyond its permission bits.
const LIST: &str = "system.posix_acl_access";
/// LIMIT: the longest list that is handed over, in bytes; 8 for each of a thousand users. The group
/// of a file with a longer one gets nothing.
const LIST_BYTES_MAX: usize = 8192;

/// What the group of a file may do.
const GROUP: u32 = 0o070;

/// What a file has at this moment, but for which one it is. Set-user-id and set-group-id bits are
/// left out.
///
/// # Errors
/// What the system says.
pub(super) fn access_of(file: BorrowedFd<'_>) -> Result<FileAccess, Errno> {
    let stat = rustix::fs::fstat(file)?;
    let mut rights = rights_in(&stat);
    let list = match list_of(file) {
        Ok(Some(list)) => AccessList::Bytes(list),
        Ok(None) => AccessList::Nothing,
        // With a list the group's bits are a mask for all on it, and not the group's own.
        Err(_) => {
            rights.mode &= !GROUP;
            AccessList::AsMade
        }
    };
    Ok(FileAccess {
        rights,
        list,
        stamp: Stamp::default(),
        born_ns: None,
    })
}

/// What `stat` tells of it.
pub(super) fn rights_in(stat: &Stat) -> Rights {
    Rights {
        mode: stat.st_mode & 0o777,
        uid: stat.st_uid,
        gid: stat.st_gid,
    }
}

/// The same of an open file: beside an access list the bits of the group do not tell what it may.
pub(super) fn rights_of(file: BorrowedFd<'_>, stat: &Stat) -> Rights {
    let mut rights = rights_in(stat);
    let is_wider_than_others = (rights.mode & GROUP) & !((rights.mode & 0o007) << 3) != 0;
    if is_wider_than_others && !matches!(list_of(file), Ok(None)) {
        rights.mode &= !GROUP;
    }
    rights
}

/// Gives `to` this access; it belongs to us, and nobody else may do anything with it yet.
///
/// # Errors
/// What the system says; `EMLINK` where somebody has given it another name.
pub(super) fn give(access: &FileAccess, to: BorrowedFd<'_>) -> Result<(), Errno> {
    let rights = &access.rights;
    let mut mode = rights.mode & 0o777;
    if !give_owner(rights, to)? {
        // Another group than before may do no more than everybody.
        mode &= !GROUP | ((mode & 0o007) << 3);
    }
    if give_list(&access.list, to).is_err() {
        mode &= !GROUP;
    }
    if rustix::fs::fstat(to)?.st_mode & 0o7777 == mode {
        return Ok(());
    }
    rustix::fs::fchmod(to, Mode::from_raw_mode(mode))
}

fn give_list(list: &AccessList, to: BorrowedFd<'_>) -> Result<(), Errno> {
    match list {
        AccessList::AsMade => Ok(()),
        AccessList::Bytes(list) => rustix::fs::fsetxattr(to, LIST, list, XattrFlags::empty()),
        AccessList::Nothing => match rustix::fs::fremovexattr(to, LIST) {
            Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
            done => done,
        },
    }
}

/// Gives the owner, or as much as we may; says whether the group is the one wanted.
///
/// # Errors
/// As for [`give`].
pub(super) fn give_owner(wanted: &Rights, to: BorrowedFd<'_>) -> Result<bool, Errno> {
    let now = rustix::fs::fstat(to)?;
    if (now.st_uid, now.st_gid) == (wanted.uid, wanted.gid) {
        return Ok(true);
    }
    // By that name it would be given away elsewhere, too.
    if now.st_nlink > 1 {
        return Err(Errno::MLINK);
    }
    let (uid, gid) = (Uid::from_raw(wanted.uid), Gid::from_raw(wanted.gid));
    match rustix::fs::fchown(to, Some(uid), Some(gid)) {
        Err(Errno::PERM) => {}
        done => return done.map(|()| true),
    }
    match rustix::fs::fchown(to, None, Some(gid)) {
        Err(Errno::PERM) => Ok(now.st_gid == wanted.gid),
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
