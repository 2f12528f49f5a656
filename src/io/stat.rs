//! What `stat` says of a file or directory.

/// What kind of thing a directory entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Folder,
    /// A symbolic link: never followed.
    Link,
    /// A fifo, socket or device: never opened.
    Special,
}

/// Who may do what with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// The nine permission bits. Where there is an access list those of the group tell its widest
    /// entry: they are left out as far as that is known.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Rights {
    /// What counts of a file that was known with these rights and is found with `now`. Whoever may
    /// remove a file may put one of its own there, whose rights say nothing: they only count where
    /// its owner is the one that was known, or `own`, under whose ids we work.
    #[must_use]
    pub fn or_narrower(self, now: Rights, own: u32) -> Rights {
        if now.uid == self.uid || now.uid == own {
            return now;
        }
        self.narrowed_to(now.mode)
    }

    /// These, with no more than the permission bits `mode`.
    #[must_use]
    pub fn narrowed_to(self, mode: u32) -> Rights {
        Rights {
            mode: self.mode & mode,
            ..self
        }
    }
}

/// What one file hands on to another that is to take its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileAccess {
    /// Owner, group and permission bits.
    pub rights: Rights,
    /// The access list, beyond the bits.
    pub list: AccessList,
    /// It has no other name, in this directory or in another.
    pub is_alone: bool,
}

/// What becomes of the access list of the new file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessList {
    /// It keeps what its directory has given it; the bits of the group limit all entries.
    AsMade,
    /// It has none.
    Nothing,
    /// It has this one, as the kernel writes it.
    Bytes(Vec<u8>),
}

/// Cheap evidence that a local file is unchanged.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stamp {
    /// Length in bytes.
    pub size: u64,
    /// Modification time, nanoseconds since 1970, clamped to 1677-2262.
    pub mtime_ns: i64,
    /// Inode change time, likewise; 0 on filesystems that do not keep one.
    pub ctime_ns: i64,
    /// Inode number; 0 on filesystems that do not keep one.
    pub inode: u64,
    /// Who may do what with it, where that is known. It is no evidence, and is not compared.
    pub rights: Option<Rights>,
}

impl PartialEq for Stamp {
    fn eq(&self, other: &Stamp) -> bool {
        let evidence = |of: &Stamp| (of.size, of.mtime_ns, of.ctime_ns, of.inode);
        evidence(self) == evidence(other)
    }
}

impl Eq for Stamp {}

/// What `stat` says about an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The kind of entry.
    pub kind: Kind,
    /// The stamp.
    pub stamp: Stamp,
    /// The device it lies on.
    pub device: u64,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Status {
    /// Who may do what with it.
    pub fn rights(&self) -> Rights {
        Rights {
            mode: self.mode & 0o777,
            uid: self.uid,
            gid: self.gid,
        }
    }
}
