//! The filesystem itself, through directory descriptors.
//!
//! Every path is resolved beneath the root with `openat2` (`RESOLVE_BENEATH`, no links), or, where
//! the kernel lacks it, component by component with `O_NOFOLLOW`. The last component is then acted
//! on relative to its directory's descriptor, so a link swapped in on the way changes nothing.
//! `stat` goes through rustix: the standard library's wraps in 2038 on 32-bit musl.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    Advice, AtFlags, FileType, Mode, OFlags, RawDir, RenameFlags, ResolveFlags, Stat, StatFs,
};
use rustix::fs::{Gid, StatxFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use crate::core::path::RelPath;
use crate::io::access::{access_of, give, give_owner, rights_in, rights_of};
use crate::io::disk::{Access, Disk, Lock, ReadDisk, ReadFile, Space, TreeIdentity};
use crate::io::disk::{TakenUp, WriteFile};
use crate::io::env::user_name;
use crate::io::file_ids::{OwnerIds, TakenOn, reads_everything};
use crate::io::listing::{DirHandle, Listing, Names, NotUtf8};
use crate::io::stat::{FileAccess, Kind, Rights, SpecialKind, Stamp, Status};
use crate::io::way::open_as_root;
use crate::words::printable;

/// Filesystems whose inode and change time mean nothing: msdos/vfat, exfat, ntfs, ntfs3, fuse,
/// cifs, smb2 (magic numbers of `statfs(2)`).
pub(super) const NO_INODE_MAGIC: [u64; 7] = [
    0x4d44,
    0x2011_bab0,
    0x5346_544e,
    0x7366_746e,
    0x6573_5546,
    0xff53_4d42,
    0xfe53_4d42,
];

/// Filesystems whose id is made of their UUID, and so outlives a restart: ext2 to ext4, btrfs. That
/// of others is zero, or made of the number of their device (xfs, f2fs, vfat).
const KEEPS_ITS_ID_MAGIC: [u64; 2] = [0xef53, 0x9123_683e];

/// Filesystems on which all of a new name is on the medium once its directory was synced: ext2 to
/// ext4, btrfs, xfs, f2fs, and tmpfs, which has none. On vfat a renamed file's place and size get
/// into its new name with its inode only: after a power cut it would be empty, and go up so.
const NAMES_FOLLOW_MAGIC: [u64; 5] = [0xef53, 0x9123_683e, 0x5846_5342, 0xf2f5_2010, 0x0102_1994];

/// Bytes of directory entries read at a time.
const LIST_BYTES: usize = 32 * 1024;
/// Bytes of a file that wait in memory for the medium.
const WRITTEN_AHEAD: usize = 8 << 20;

/// A directory tree on a real filesystem.
pub struct RealDisk {
    path: PathBuf,
    root: OwnedFd,
    has_openat2: Cell<bool>,
    /// Per device: whether inode and ctime are kept; and the device asked about last.
    keeps_inodes: RefCell<HashMap<u64, bool>>,
    last_device: Cell<Option<(u64, bool)>>,
    /// Whose ids it is worked in under, if those are not ours.
    owner: Option<OwnerIds>,
}

impl RealDisk {
    /// Opens the tree at `path`; the root itself may be reached through links.
    ///
    /// # Errors
    /// What the system says, with the path.
    pub fn open(path: &Path) -> io::Result<RealDisk> {
        RealDisk::open_as(path, OFlags::empty())
    }

    fn open_as(path: &Path, how: OFlags) -> io::Result<RealDisk> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC | how;
        let root = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|errno| said(errno, "open", &path.display().to_string()))?;
        Ok(RealDisk::over(path, root))
    }

    /// The tree below a directory that is open; `path` is for messages.
    pub fn over(path: &Path, root: impl Into<OwnedFd>) -> RealDisk {
        RealDisk {
            path: path.to_owned(),
            root: root.into(),
            has_openat2: Cell::new(true),
            keeps_inodes: RefCell::default(),
            last_device: Cell::new(None),
            owner: None,
        }
    }

    /// Opens a directory of ours that is no link, and on which nobody has one of the permissions
    /// `denied`. What was looked at is what is opened: its name is never used again.
    ///
    /// # Errors
    /// What the system says; that it is not such a directory.
    pub fn open_own(path: &Path, denied: u32) -> io::Result<RealDisk> {
        let disk = RealDisk::open_as(path, OFlags::NOFOLLOW)?;
        let shown = path.display();
        let stat = rustix::fs::fstat(&disk.root)
            .map_err(|errno| said(errno, "stat", &shown.to_string()))?;
        let refused = |why: &str| Err(io::Error::other(format!("{shown} {why}")));
        if stat.st_uid != rustix::process::geteuid().as_raw() {
            return refused("belongs to another user");
        }
        if stat.st_mode & denied != 0 {
            return refused("can be used by others");
        }
        Ok(disk)
    }

    /// The same, but root follows no link of anybody else on the way to it.
    ///
    /// # Errors
    /// What the system says; whose link it is that is not followed.
    pub fn open_led_by_us(path: &Path) -> io::Result<RealDisk> {
        match rustix::process::geteuid().is_root() {
            true => Ok(RealDisk::over(path, open_as_root(path)?)),
            false => RealDisk::open(path),
        }
    }

    /// The same as a content dir: root works in it under the ids of its owner.
    ///
    /// # Errors
    /// As above; that root may not take on those ids.
    pub fn open_content(path: &Path) -> io::Result<RealDisk> {
        let mut disk = RealDisk::open_led_by_us(path)?;
        let stat = rustix::fs::fstat(&disk.root)
            .map_err(|errno| said(errno, "stat", &path.display().to_string()))?;
        disk.owner = OwnerIds::of(&rights_in(&stat))?;
        Ok(disk)
    }

    /// Works under the ids of the owner until the answer is dropped.
    fn as_owner(&self) -> Result<Option<TakenOn>, Errno> {
        self.owner.as_ref().map(OwnerIds::take_on).transpose()
    }

    /// What the system said of something that the owner may not do, though root might.
    fn denied(&self, errno: Errno, operation: &str, path: &RelPath) -> io::Error {
        let error = said(errno, operation, &self.shown(path));
        let Some(owner) = self.owner.as_ref().filter(|_| errno == Errno::ACCESS) else {
            return error;
        };
        io::Error::new(
            error.kind(),
            format!(
                "{error}: root works here as the owner of the content dir, {}: give it to that \
                 user, or exclude it",
                user_name(owner.uid())
            ),
        )
    }

    /// The same tree, resolved without `openat2`, as on kernels before 5.6.
    #[must_use]
    pub fn without_openat2(self) -> RealDisk {
        self.has_openat2.set(false);
        self
    }

    fn shown(&self, path: &RelPath) -> String {
        if path.is_root() {
            self.path.display().to_string()
        } else {
            printable(&self.path.join(path.as_str()).display().to_string())
        }
    }

    fn open_at(&self, path: &RelPath, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        if path.is_root() {
            return rustix::fs::openat(&self.root, ".", flags, mode);
        }
        if self.has_openat2.get() {
            let resolve =
                ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
            match rustix::fs::openat2(&self.root, path.as_str(), flags, mode, resolve) {
                // EPERM: a container's seccomp filter that does not know the call.
                Err(Errno::NOSYS | Errno::PERM) => {}
                Err(Errno::AGAIN) => return Err(Errno::INTR),
                answer => return answer,
            }
        }
        let answer = self.open_by_component(path, flags, mode);
        if answer.is_ok() {
            self.has_openat2.set(false);
        }
        answer
    }

    fn open_by_component(
        &self,
        path: &RelPath,
        flags: OFlags,
        mode: Mode,
    ) -> Result<OwnedFd, Errno> {
        let through = OFlags::DIRECTORY | OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut dir: Option<OwnedFd> = None;
        let parent = path.parent();
        for component in parent.components() {
            let at = dir.as_ref().map_or(self.root.as_fd(), AsFd::as_fd);
            dir = Some(rustix::fs::openat(at, component, through, Mode::empty())?);
        }
        let at = dir.as_ref().map_or(self.root.as_fd(), AsFd::as_fd);
        rustix::fs::openat(at, path.name(), flags, mode)
    }

    /// Runs `act` with the descriptor of the directory `path` lies in.
    fn in_parent<T>(
        &self,
        path: &RelPath,
        act: impl FnOnce(BorrowedFd<'_>, &str) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let parent = path.parent();
        if parent.is_root() {
            return act(self.root.as_fd(), path.name());
        }
        let dir = self.open_at(&parent, OFlags::DIRECTORY | OFlags::PATH, Mode::empty())?;
        act(dir.as_fd(), path.name())
    }

    /// Opens for reading without touching the access time where that is allowed.
    fn open_quietly(&self, path: &RelPath, flags: OFlags) -> Result<OwnedFd, Errno> {
        match self.open_at(path, flags | OFlags::NOATIME, Mode::empty()) {
            Err(Errno::PERM) => self.open_at(path, flags, Mode::empty()),
            answer => answer,
        }
    }

    fn status_of(&self, stat: &Stat, fd: BorrowedFd<'_>) -> Status {
        let mut status = status_of(stat);
        let is_known = || self.keeps_inodes.borrow().contains_key(&status.device);
        match status.kind {
            Kind::File => {}
            // Only a file surely lies on the filesystem of `fd`: a folder may be a mount.
            Kind::Folder if is_known() || lies_on(fd, status.device) => {}
            Kind::Folder => {
                status.stamp.inode = 0;
                return status;
            }
            Kind::Link | Kind::Special(_) => return status,
        }
        let keeps = match self.last_device.get() {
            Some((device, keeps)) if device == status.device => keeps,
            _ => {
                let mut known = self.keeps_inodes.borrow_mut();
                let keeps = *known
                    .entry(status.device)
                    .or_insert_with(|| keeps_inodes(fd));
                self.last_device.set(Some((status.device, keeps)));
                keeps
            }
        };
        if !keeps {
            status.stamp.ctime_ns = 0;
            status.stamp.inode = 0;
        }
        status
    }

    /// An open file, if it is a regular one.
    fn regular(&self, fd: OwnedFd, shown: String) -> io::Result<Box<RealFile>> {
        let stat = rustix::fs::fstat(&fd).map_err(|errno| said(errno, "stat", &shown))?;
        let status = self.status_of(&stat, fd.as_fd());
        if status.kind != Kind::File {
            return Err(io::Error::other(format!(
                "cannot open {shown}: not a regular file"
            )));
        }
        Ok(Box::new(RealFile {
            owner: self.owner.clone(),
            keeps_inodes: status.stamp.inode != 0,
            file: File::from(fd),
            shown,
            unsent: 0,
        }))
    }

    /// Refuses a file that somebody may have linked here who could not read it: it has other names,
    /// and belongs to another user than its directory, and we could read whatever there is.
    fn check_link(&self, path: &RelPath, fd: BorrowedFd<'_>) -> io::Result<()> {
        let wrap = |errno| said(errno, "stat", &self.shown(path));
        let stat = rustix::fs::fstat(fd).map_err(wrap)?;
        if stat.st_nlink <= 1 || self.owner.is_some() || !reads_everything() {
            return Ok(());
        }
        let dir = self.in_parent(path, |dir, _| {
            rustix::fs::statat(dir, ".", AtFlags::SYMLINK_NOFOLLOW)
        });
        if dir.map_err(wrap)?.st_uid == stat.st_uid {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "cannot open {}: it is a hard link to a file of {}, who does not own the directory \
                 it is in; put a copy there",
                self.shown(path),
                user_name(stat.st_uid)
            ),
        ))
    }

    /// The directory we have just made, if the name still stands for it: one of ours that is empty
    /// is worth nothing to whoever exchanges it.
    fn new_dir(&self, parent: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Errno> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let made = rustix::fs::openat(parent, name, flags, Mode::empty())?;
        if rustix::fs::fstat(&made)?.st_uid == self.user() && is_empty(&made)? {
            return Ok(made);
        }
        Err(Errno::EXIST)
    }

    /// Whether whoever works here may do this with what is at `path`, as its permissions say; it is
    /// not opened. What cannot be told counts as allowed.
    fn may(&self, path: &RelPath, wish: rustix::fs::Access) -> bool {
        let Ok(_as_owner) = self.as_owner() else {
            return false;
        };
        let ask = |dir: BorrowedFd<'_>, name: &str| {
            rustix::fs::accessat(dir, name, wish, AtFlags::EACCESS)
        };
        let answer = match path.is_root() {
            true => ask(self.root.as_fd(), "."),
            false => self.in_parent(path, ask),
        };
        !matches!(answer, Err(Errno::ACCESS | Errno::PERM | Errno::ROFS))
    }

    /// Whether a file may be read.
    pub fn may_read(&self, path: &RelPath) -> bool {
        self.may(path, rustix::fs::Access::READ_OK)
    }

    /// Whether names may be added to and removed from a folder.
    pub fn may_change(&self, dir: &RelPath) -> bool {
        self.may(
            dir,
            rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK,
        )
    }

    fn rename(&self, from: &RelPath, to: &RelPath, flags: RenameFlags) -> Result<(), Errno> {
        let _as_owner = self.as_owner()?;
        self.in_parent(from, |from_dir, from_name| {
            self.in_parent(to, |to_dir, to_name| {
                if flags.is_empty() {
                    return rustix::fs::renameat(from_dir, from_name, to_dir, to_name);
                }
                match rustix::fs::renameat_with(from_dir, from_name, to_dir, to_name, flags) {
                    // The filesystem cannot refuse to replace: look first.
                    // RACE: a file created between the look and the rename is replaced.
                    Err(Errno::INVAL | Errno::NOSYS) => {
                        match rustix::fs::statat(to_dir, to_name, AtFlags::SYMLINK_NOFOLLOW) {
                            Err(Errno::NOENT) => {
                                rustix::fs::renameat(from_dir, from_name, to_dir, to_name)
                            }
                            Ok(_) => Err(Errno::EXIST),
                            Err(errno) => Err(errno),
                        }
                    }
                    answer => answer,
                }
            })
        })
    }
}

/// A directory that was listed.
struct DirFd<'d> {
    disk: &'d RealDisk,
    fd: OwnedFd,
}

impl DirHandle for DirFd<'_> {
    fn status(&self, name: &str) -> io::Result<Option<Status>> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(self.disk.status_of(&stat, self.fd.as_fd()))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl ReadDisk for RealDisk {
    fn root(&self) -> io::Result<Status> {
        let stat = rustix::fs::fstat(&self.root)
            .map_err(|errno| said(errno, "stat", &self.shown(&RelPath::root())))?;
        Ok(self.status_of(&stat, self.root.as_fd()))
    }

    fn identity(&self) -> io::Result<TreeIdentity> {
        let wrap = |errno| said(errno, "look at", &self.shown(&RelPath::root()));
        let inode = rustix::fs::fstat(&self.root).map_err(wrap)?.st_ino;
        let kind = magic_of(self.root.as_fd()).map_err(wrap)?;
        let filesystem = match KEEPS_ITS_ID_MAGIC.contains(&kind) {
            true => Some(rustix::fs::fstatvfs(&self.root).map_err(wrap)?.f_fsid),
            false => None,
        };
        Ok(TreeIdentity {
            kind,
            // Some that are mounted on others say nothing.
            filesystem: filesystem.filter(|id| *id != 0),
            born_ns: born_ns(self.root.as_fd()),
            inode,
        })
    }

    fn list(&self, dir: &RelPath) -> io::Result<Listing<'_>> {
        let wrap = |errno| self.denied(errno, "read directory", dir);
        let as_owner = self.as_owner().map_err(wrap)?;
        let fd = self
            .open_quietly(dir, OFlags::DIRECTORY | OFlags::RDONLY)
            .map_err(wrap)?;
        drop(as_owner);
        let mut names = Names::default();
        let mut not_utf8 = Vec::new();
        let mut buffer = Vec::with_capacity(LIST_BYTES);
        let mut entries = RawDir::new(&fd, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(wrap)?;
            match entry.file_name().to_str() {
                Ok("." | "..") => {}
                Ok(name) => names.push(name)?,
                Err(_) => not_utf8.push(entry.file_name().to_owned()),
            }
        }
        let not_utf8 = not_utf8.into_iter().map(|name| {
            let stat = rustix::fs::statat(&fd, &name, AtFlags::SYMLINK_NOFOLLOW);
            NotUtf8 {
                shown: name.to_string_lossy().into_owned(),
                status: stat.ok().map(|stat| self.status_of(&stat, fd.as_fd())),
            }
        });
        let not_utf8 = not_utf8.collect();
        let handle = Box::new(DirFd { disk: self, fd });
        Ok(Listing {
            names,
            not_utf8,
            handle,
        })
    }

    fn status(&self, path: &RelPath) -> io::Result<Option<Status>> {
        if path.is_root() {
            return self.root().map(Some);
        }
        let answer = self.in_parent(path, |dir, name| {
            let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
            Ok(self.status_of(&stat, dir))
        });
        match answer {
            Ok(status) => Ok(Some(status)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(said(errno, "stat", &self.shown(path))),
        }
    }

    fn open(&self, path: &RelPath) -> io::Result<Box<dyn ReadFile>> {
        let wrap = |errno| self.denied(errno, "open", path);
        let as_owner = self.as_owner().map_err(wrap)?;
        // NONBLOCK: a fifo swapped in must not hang the pass.
        let fd = self
            .open_quietly(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)
            .map_err(wrap)?;
        drop(as_owner);
        let file = self.regular(fd, self.shown(path))?;
        self.check_link(path, file.file.as_fd())?;
        Ok(file)
    }

    fn access(&self, path: &RelPath) -> io::Result<FileAccess> {
        let wrap = |errno| self.denied(errno, "open", path);
        let as_owner = self.as_owner().map_err(wrap)?;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd = match self.open_quietly(path, flags) {
            // Its bits can be looked at all the same.
            Err(Errno::ACCESS) => self.open_at(path, OFlags::PATH, Mode::empty()),
            answer => answer,
        };
        let fd = fd.map_err(wrap)?;
        drop(as_owner);
        let mut access = access_of(fd.as_fd()).map_err(wrap)?;
        let stat = rustix::fs::fstat(&fd).map_err(wrap)?;
        access.stamp = self.status_of(&stat, fd.as_fd()).stamp;
        access.born_ns = born_ns(fd.as_fd()).and_then(|born| i64::try_from(born).ok());
        Ok(access)
    }

    fn user(&self) -> u32 {
        let ours = || rustix::process::geteuid().as_raw();
        self.owner.as_ref().map_or_else(ours, OwnerIds::uid)
    }

    fn space(&self, dir: &RelPath) -> io::Result<Space> {
        let wrap = |errno| said(errno, "ask for free space of", &self.shown(dir));
        let flags = OFlags::DIRECTORY | OFlags::RDONLY;
        let fd = self.open_at(dir, flags, Mode::empty()).map_err(wrap)?;
        let vfs = rustix::fs::fstatvfs(fd).map_err(wrap)?;
        let bytes = |blocks: u64| blocks.saturating_mul(vfs.f_frsize);
        Ok(Space {
            free: bytes(vfs.f_bavail),
            total: bytes(vfs.f_blocks),
        })
    }
}

impl Disk for RealDisk {
    fn create(&self, path: &RelPath, access: Access) -> io::Result<Box<dyn WriteFile>> {
        let mode = match access {
            Access::Private => Mode::from_raw_mode(0o600),
            Access::Shared => Mode::from_raw_mode(0o666),
            Access::Public => Mode::from_raw_mode(0o644),
        };
        let wrap = |errno| self.denied(errno, "create", path);
        let as_owner = self.as_owner().map_err(wrap)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let fd = self.open_at(path, flags, mode).map_err(wrap)?;
        if access == Access::Public {
            match rustix::fs::fchmod(&fd, mode) {
                // Its filesystem keeps none.
                Err(Errno::PERM) => {}
                done => done.map_err(wrap)?,
            }
        }
        drop(as_owner);
        Ok(self.regular(fd, self.shown(path))?)
    }

    fn take_up(&self, path: &RelPath) -> io::Result<Option<Box<dyn TakenUp>>> {
        let wrap = |errno| said(errno, "open", &self.shown(path));
        let as_owner = self.as_owner().map_err(wrap)?;
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd = match self.open_at(path, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            answer => answer.map_err(wrap)?,
        };
        drop(as_owner);
        let file = self.regular(fd, self.shown(path))?;
        let stat = rustix::fs::fstat(&file.file).map_err(wrap)?;
        let is_ours =
            stat.st_uid == self.user() && stat.st_nlink == 1 && stat.st_mode & 0o7077 == 0;
        if is_ours || !file.keeps_inodes {
            return Ok(Some(file));
        }
        Err(io::Error::other(format!(
            "{} is not what we have left there: it belongs to another, has other names, or others \
             may use it",
            file.shown
        )))
    }

    fn replace(&self, from: &RelPath, to: &RelPath) -> io::Result<()> {
        self.rename(from, to, RenameFlags::empty())
            .map_err(|errno| self.denied(errno, "rename to", to))
    }

    fn rename_new(&self, from: &RelPath, to: &RelPath) -> io::Result<()> {
        self.rename(from, to, RenameFlags::NOREPLACE)
            .map_err(|errno| self.denied(errno, "rename to", to))
    }

    fn make_dir(&self, path: &RelPath, rights: Option<&Rights>) -> io::Result<()> {
        let mode = match rights {
            Some(_) => 0o700,
            None => 0o777,
        };
        let made = self.as_owner().and_then(|_as_owner| {
            self.in_parent(path, |dir, name| {
                rustix::fs::mkdirat(dir, name, Mode::from_raw_mode(mode))?;
                if let Some(rights) = rights {
                    return give_dir(&self.new_dir(dir, name)?, rights, self.user());
                }
                let parent = rights_in(&rustix::fs::statat(dir, ".", AtFlags::SYMLINK_NOFOLLOW)?);
                if self.user() != 0 || (parent.uid, parent.gid) == (0, 0) {
                    return Ok(());
                }
                let made = self.new_dir(dir, name)?;
                let mode = rustix::fs::fstat(&made)?.st_mode & 0o777;
                give_dir(&made, &Rights { mode, ..parent }, self.user())
            })
        });
        made.map_err(|errno| self.denied(errno, "make directory", path))
    }

    fn remove_file(&self, path: &RelPath) -> io::Result<()> {
        let removed = self.as_owner().and_then(|_as_owner| {
            self.in_parent(path, |dir, name| {
                rustix::fs::unlinkat(dir, name, AtFlags::empty())
            })
        });
        removed.map_err(|errno| self.denied(errno, "remove", path))
    }

    fn remove_dir(&self, path: &RelPath) -> io::Result<()> {
        let removed = self.as_owner().and_then(|_as_owner| {
            self.in_parent(path, |dir, name| {
                rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR)
            })
        });
        removed.map_err(|errno| self.denied(errno, "remove directory", path))
    }

    fn sync_dir(&self, dir: &RelPath) -> io::Result<()> {
        let wrap = |errno| said(errno, "sync", &self.shown(dir));
        let flags = OFlags::DIRECTORY | OFlags::RDONLY;
        let fd = self.open_at(dir, flags, Mode::empty()).map_err(wrap)?;
        let is_enough = magic_of(fd.as_fd()).is_ok_and(names_follow_their_directory);
        match is_enough {
            true => rustix::fs::fsync(fd).map_err(wrap),
            false => rustix::fs::syncfs(fd).map_err(wrap),
        }
    }

    fn sync_filesystem(&self, dir: &RelPath) -> io::Result<()> {
        let wrap = |errno| said(errno, "sync", &self.shown(dir));
        let flags = OFlags::DIRECTORY | OFlags::RDONLY;
        let fd = self.open_at(dir, flags, Mode::empty()).map_err(wrap)?;
        rustix::fs::syncfs(fd).map_err(wrap)
    }

    fn lock(&self) -> io::Result<Option<Lock>> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY;
        let fd = self
            .open_at(&RelPath::root(), flags, Mode::empty())
            .map_err(|errno| said(errno, "open", &self.path.display().to_string()))?;
        let dir = File::from(fd);
        match dir.try_lock() {
            Ok(()) => Ok(Some(Lock(Box::new(dir)))),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }
}

/// An open regular file.
struct RealFile {
    file: File,
    shown: String,
    keeps_inodes: bool,
    /// Whose ids it is given away under: whoever holds it open could have root give his bytes to
    /// others.
    owner: Option<OwnerIds>,
    /// Bytes written since the medium was last set to work.
    unsent: usize,
}

impl RealFile {
    /// Has what was written go to the medium while more arrives, so that the sync at the end is not
    /// as long as the file, and a small machine keeps its memory for others.
    fn note_written(&mut self, bytes: usize) {
        self.unsent += bytes;
        if self.unsent >= WRITTEN_AHEAD {
            self.unsent = 0;
            // Only an advice: all of it is forced at the end.
            let _ = rustix::fs::fadvise(&self.file, 0, None, Advice::DontNeed);
        }
    }

    fn as_owner(&self) -> Result<Option<TakenOn>, Errno> {
        self.owner.as_ref().map(OwnerIds::take_on).transpose()
    }

    fn now(&self) -> io::Result<Status> {
        let stat =
            rustix::fs::fstat(&self.file).map_err(|errno| said(errno, "stat", &self.shown))?;
        let mut status = status_of(&stat);
        status.stamp.rights = Some(rights_of(self.file.as_fd(), &stat));
        if !self.keeps_inodes {
            status.stamp.ctime_ns = 0;
            status.stamp.inode = 0;
        }
        Ok(status)
    }
}

impl Read for RealFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file
            .read(buffer)
            .map_err(|error| named(&error, "read", &self.shown))
    }
}

impl ReadFile for RealFile {
    fn status(&self) -> io::Result<Status> {
        self.now()
    }

    fn seek(&mut self, offset: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(offset)).map(drop)
    }
}

impl TakenUp for RealFile {}

impl Write for RealFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.file.write(buffer);
        let written = written.map_err(|error| named(&error, "write", &self.shown))?;
        self.note_written(written);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl WriteFile for RealFile {
    fn set_access(&mut self, access: &FileAccess) -> io::Result<()> {
        // Where no inode is kept, rights are those of the mount.
        if !self.keeps_inodes {
            return Ok(());
        }
        let given = self
            .as_owner()
            .and_then(|_as_owner| give(access, self.file.as_fd()));
        given.map_err(|errno| said(errno, "change the mode of", &self.shown))
    }

    fn set_owner(&mut self, owner: &Rights) -> io::Result<()> {
        if !self.keeps_inodes {
            return Ok(());
        }
        let given = self
            .as_owner()
            .and_then(|_as_owner| give_owner(owner, self.file.as_fd()));
        given
            .map(drop)
            .map_err(|errno| said(errno, "change the owner of", &self.shown))
    }

    fn set_mtime(&mut self, seconds: i64) -> io::Result<()> {
        let time = Timespec {
            tv_sec: seconds,
            tv_nsec: 0,
        };
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        rustix::fs::futimens(&self.file, &times)
            .map_err(|errno| said(errno, "set the time of", &self.shown))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file
            .sync_all()
            .map_err(|error| named(&error, "sync", &self.shown))
    }

    fn status(&self) -> io::Result<Status> {
        self.now()
    }
}

fn status_of(stat: &Stat) -> Status {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Folder,
        FileType::Symlink => Kind::Link,
        FileType::Fifo => Kind::Special(SpecialKind::Pipe),
        FileType::Socket => Kind::Special(SpecialKind::Socket),
        _ => Kind::Special(SpecialKind::Device),
    };
    let ns = |seconds: i128, ns: i128| {
        let all = seconds * 1_000_000_000 + ns;
        i64::try_from(all).unwrap_or(if all < 0 { i64::MIN } else { i64::MAX })
    };
    let stamp = Stamp {
        size: u64::try_from(stat.st_size).unwrap_or(0),
        mtime_ns: ns(stat.st_mtime.into(), stat.st_mtime_nsec.into()),
        ctime_ns: ns(stat.st_ctime.into(), stat.st_ctime_nsec.into()),
        inode: stat.st_ino,
        rights: Some(rights_in(stat)),
    };
    Status {
        kind,
        stamp,
        device: stat.st_dev,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
    }
}

/// Gives a new directory these rights, or narrower ones where they may not be given. Its owner can
/// use it, and stays who works in it, but for root.
fn give_dir(made: &OwnedFd, rights: &Rights, user: u32) -> Result<(), Errno> {
    let now = rustix::fs::fstat(made)?;
    let uid = if user == 0 { rights.uid } else { user };
    let mut mode = rights.mode & 0o777 | 0o700;
    if (now.st_uid, now.st_gid) != (uid, rights.gid) {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(rights.gid));
        match rustix::fs::fchown(made, Some(uid), Some(gid)) {
            Err(Errno::PERM) => mode &= !0o070 | ((mode & 0o007) << 3),
            done => done?,
        }
    }
    if now.st_mode & 0o777 == mode {
        return Ok(());
    }
    // What its parent has given it for the group of files in it stays.
    let mode = Mode::from_raw_mode(mode | (now.st_mode & 0o2000));
    match rustix::fs::fchmod(made, mode) {
        // Its filesystem keeps none.
        Err(Errno::PERM) => Ok(()),
        done => done,
    }
}

/// Whether nothing is in a directory.
fn is_empty(dir: &OwnedFd) -> Result<bool, Errno> {
    let mut buffer = Vec::with_capacity(LIST_BYTES);
    let mut entries = RawDir::new(dir, buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

fn lies_on(fd: BorrowedFd<'_>, device: u64) -> bool {
    rustix::fs::fstat(fd).is_ok_and(|stat| stat.st_dev == device)
}

fn keeps_inodes(fd: BorrowedFd<'_>) -> bool {
    magic_of(fd).map_or(true, |magic| !NO_INODE_MAGIC.contains(&magic))
}

/// Whether what was renamed is durable once the directories are.
fn names_follow_their_directory(magic: u64) -> bool {
    NAMES_FOLLOW_MAGIC.contains(&magic)
}

/// The magic number of a filesystem.
fn magic_of(fd: BorrowedFd<'_>) -> Result<u64, Errno> {
    Ok(magic_number(&rustix::fs::fstatfs(fd)?))
}

/// The magic number in what `statfs` says.
pub(super) fn magic_number(found: &StatFs) -> u64 {
    u64::try_from(i128::from(found.f_type) & 0xffff_ffff).unwrap_or(0)
}

/// When a file or directory was made, where its filesystem keeps that and the kernel tells.
fn born_ns(fd: BorrowedFd<'_>) -> Option<i128> {
    let told = rustix::fs::statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::BTIME).ok()?;
    let born = told.stx_btime;
    let is_told = told.stx_mask & StatxFlags::BTIME.bits() != 0 && born.tv_sec != 0;
    is_told.then(|| i128::from(born.tv_sec) * 1_000_000_000 + i128::from(born.tv_nsec))
}

fn said(errno: Errno, operation: &str, shown: &str) -> io::Error {
    named(&io::Error::from(errno), operation, shown)
}

/// The error with operation and path in its text and its kind kept.
fn named(error: &io::Error, operation: &str, shown: &str) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {operation} {shown}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every call below a linked directory is refused, with `openat2` and without it.
    #[test]
    fn no_path_leads_through_a_link() {
        let base = std::env::temp_dir().join(format!("ferrybox-links-{}", std::process::id()));
        let (inside, outside) = (base.join("inside"), base.join("outside"));
        std::fs::create_dir_all(&inside).unwrap();
        std::fs::create_dir_all(&outside).unwrap();
        std::fs::write(outside.join("f"), "f").unwrap();
        std::os::unix::fs::symlink(&outside, inside.join("link")).unwrap();
        let link = RelPath::parse("link").unwrap();
        let (known, fresh) = (link.join("f").unwrap(), link.join("new").unwrap());
        let plain = RelPath::parse("plain").unwrap();
        let own = RelPath::parse("plain/g").unwrap();
        let disks = [
            RealDisk::open(&inside).unwrap(),
            RealDisk::open(&inside).unwrap().without_openat2(),
        ];
        for disk in disks {
            assert!(disk.list(&link).is_err());
            assert!(disk.open(&known).is_err());
            assert!(disk.status(&known).is_err());
            assert!(disk.create(&fresh, Access::Shared).is_err());
            assert!(disk.make_dir(&fresh, None).is_err());
            assert!(disk.remove_file(&known).is_err());
            disk.make_dir(&plain, None).unwrap();
            drop(disk.create(&own, Access::Shared).unwrap());
            assert!(disk.replace(&own, &fresh).is_err());
            assert!(disk.status(&own).unwrap().is_some());
            disk.remove_file(&own).unwrap();
            disk.remove_dir(&plain).unwrap();
        }
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
        std::fs::remove_dir_all(&base).unwrap();
    }
}
