//! What lies under a directory: the kind of its filesystem, its room, whether it can be written to,
//! and what else is mounted below. It only looks.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::StatVfsMountFlags;

use crate::io::real_disk::{NO_INODE_MAGIC, magic_number};

/// Where the kernel says what is mounted.
const MOUNTS: &str = "/proc/self/mountinfo";

/// Kinds that are kept in memory: tmpfs, ramfs.
const IN_MEMORY_MAGIC: [u64; 2] = [0x0102_1994, 0x8584_58f6];

/// Magic numbers of `statfs(2)`, and what people call it.
const KINDS: [(u64, &str); 21] = [
    (0xef53, "ext4"),
    (0x9123_683e, "btrfs"),
    (0x5846_5342, "xfs"),
    (0xf2f5_2010, "f2fs"),
    (0x0102_1994, "tmpfs"),
    (0x8584_58f6, "ramfs"),
    (0x4d44, "vfat"),
    (0x2011_bab0, "exfat"),
    (0x5346_544e, "ntfs"),
    (0x7366_746e, "ntfs3"),
    (0x6573_5546, "fuse"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb2"),
    (0x517b, "smbfs"),
    (0x6969, "nfs"),
    (0x794c_7630, "overlay"),
    (0x7371_7368, "squashfs"),
    (0x2405_1905, "ubifs"),
    (0x72b6, "jffs2"),
    (0x2fc1_2fc1, "zfs"),
    (0x0102_1997, "9p"),
];

/// What a filesystem says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filesystem {
    /// What it is called, such as `ext4`.
    pub kind: String,
    /// It cannot be written to as it is mounted.
    pub is_read_only: bool,
    /// What is on it is gone after a restart, and wears no card out.
    pub is_in_memory: bool,
    /// Whether its files have numbers and change times that mean something.
    pub keeps_inodes: bool,
    /// Bytes free, as an ordinary user may use them.
    pub free: u64,
    /// Bytes in all.
    pub total: u64,
    /// The number of its device.
    pub device: u64,
}

impl Filesystem {
    /// That of a path, or of the nearest directory above it that is there.
    ///
    /// # Errors
    /// What the system says.
    pub fn under(path: &Path) -> io::Result<Filesystem> {
        let path = nearest(path);
        let vfs = rustix::fs::statvfs(path)?;
        let magic = magic_number(&rustix::fs::statfs(path)?);
        let known = KINDS.iter().find(|(known, _)| *known == magic);
        let bytes = |blocks: u64| blocks.saturating_mul(vfs.f_frsize);
        Ok(Filesystem {
            kind: match known {
                Some((_, name)) => (*name).to_owned(),
                None => format!("a filesystem of type {magic:#x}"),
            },
            is_read_only: vfs.f_flag.contains(StatVfsMountFlags::RDONLY),
            is_in_memory: IN_MEMORY_MAGIC.contains(&magic),
            keeps_inodes: !NO_INODE_MAGIC.contains(&magic),
            free: bytes(vfs.f_bavail),
            total: bytes(vfs.f_blocks),
            device: fs_err::metadata(path)?.dev(),
        })
    }
}

/// The path, or the nearest directory above it that is there.
fn nearest(path: &Path) -> &Path {
    let is_there = |path: &&Path| fs_err::metadata(path).is_ok();
    path.ancestors().find(is_there).unwrap_or(Path::new("/"))
}

/// What is mounted below a directory, whose path has no links.
pub fn mounts_below(dir: &Path) -> Vec<PathBuf> {
    let text = fs_err::read(MOUNTS).unwrap_or_default();
    mounts_in(&text, dir)
}

fn mounts_in(mountinfo: &[u8], dir: &Path) -> Vec<PathBuf> {
    let lines = mountinfo.split(|byte| *byte == b'\n');
    let points = lines.filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    let points = points.map(|point| PathBuf::from(OsString::from_vec(unescaped(point))));
    let mut below: Vec<_> = points
        .filter(|point| point.starts_with(dir) && point != dir)
        .collect();
    below.sort();
    below.dedup();
    below
}

/// A field of that file: blanks and the like are written as three octal digits.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), field);
    while let Some((first, others)) = rest.split_first() {
        let octal = others.get(..3).filter(|_| *first == b'\\');
        let code = octal.and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = &others[3..];
            }
            None => {
                out.push(*first);
                rest = others;
            }
        }
    }
    out
}

/// Whether the user at work may write into a directory, as its permissions say.
pub fn may_write_into(dir: &Path) -> bool {
    use rustix::fs::{Access, AtFlags, CWD};
    let wish = Access::WRITE_OK | Access::EXEC_OK;
    rustix::fs::accessat(CWD, dir, wish, AtFlags::EACCESS).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mounted_below_is_found_whatever_its_name() {
        let mountinfo = b"22 1 179:2 / / rw,noatime - ext4 /dev/root rw\n\
            30 22 8:1 / /srv/data rw - ext4 /dev/sda1 rw\n\
            31 30 8:2 / /srv/data/my\\040stick rw - vfat /dev/sdb1 rw\n\
            32 30 8:3 / /srv/data/a\\134b rw - vfat /dev/sdc1 rw\n\
            32 30 8:3 / /srv/data/a\\134b rw - vfat /dev/sdc1 rw\n\
            33 22 8:4 / /srv/database rw - vfat /dev/sdd1 rw\n\nodd\n";
        let below = mounts_in(mountinfo, Path::new("/srv/data"));
        let expected = ["/srv/data/a\\b", "/srv/data/my stick"].map(PathBuf::from);
        assert_eq!(below, expected);
        assert!(mounts_in(mountinfo, Path::new("/srv/database")).is_empty());
    }

    #[test]
    fn a_path_that_is_not_there_lies_on_the_filesystem_it_would_be_made_on() {
        let missing = Path::new("/proc/self/none/at/all");
        let found = Filesystem::under(missing).unwrap();
        let above = Filesystem::under(Path::new("/proc/self")).unwrap();
        assert_eq!(found.device, above.device);
        assert!(!found.is_in_memory && found.keeps_inodes);
    }
}
