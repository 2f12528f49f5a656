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

/// Cheap evidence that a local file is unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Length in bytes.
    pub size: u64,
    /// Modification time, nanoseconds since 1970, clamped to 1677-2262.
    pub mtime_ns: i64,
    /// Inode change time, likewise; 0 on filesystems that do not keep one.
    pub ctime_ns: i64,
    /// Inode number; 0 on filesystems that do not keep one.
    pub inode: u64,
}

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
