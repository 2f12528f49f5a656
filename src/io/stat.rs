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
    /// What is never opened.
    Special(SpecialKind),
}

/// A thing that is no file, though it has a name as files have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecialKind {
    /// A fifo.
    Pipe,
    /// A socket of this machine.
    Socket,
    /// A device, or what the system calls by no name.
    Device,
}

/// Who may do what with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// The nine permission bits. Where there is an access list those of the group tell its widest
    /// entry: they are left out as far as that is known. Beside them [`Rights::HELD`].
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Rights {
    /// What is remembered is narrower than what was found: that was put there, perhaps by somebody
    /// who may rename in its directory, and its bits count no more until they let nobody else in.
    pub const HELD: u32 = 0o1000;

    /// What counts of a thing that was known with these rights and is found with `now`. Whoever may
    /// rename in a directory may put something of his there, or something of ours that was meant
    /// for more people. So wider bits only count where `is_same`, which a `chmod` leaves it, and
    /// others where its owner is the one that was known, or `own`, under whose ids we work.
    #[must_use]
    pub fn or_narrower(self, now: Rights, own: u32, is_same: bool) -> Rights {
        let is_of_owner = now.uid == self.uid || now.uid == own;
        if is_of_owner && (is_same && !self.is_held() || now.lets_in_no_more_than(self)) {
            return now;
        }
        let held = self.narrowed_to(now.mode & 0o777);
        Rights {
            mode: held.mode | Rights::HELD,
            ..held
        }
    }

    /// Whether they are narrower than what was found.
    #[must_use]
    pub fn is_held(self) -> bool {
        self.mode & Rights::HELD != 0
    }

    /// Whether group and others may do no more than with `known`.
    fn lets_in_no_more_than(self, known: Rights) -> bool {
        let of_others = known.mode & 0o007;
        let of_group = match self.gid == known.gid {
            true => known.mode & 0o070,
            false => known.mode & (of_others << 3),
        };
        self.mode & 0o077 & !(of_group | of_others) == 0
    }

    /// Of two the narrower, bit by bit; nothing for a group that is not in both.
    #[must_use]
    pub fn and(self, other: Rights) -> Rights {
        let both = self.narrowed_to(other.mode);
        match self.gid == other.gid {
            true => both,
            false => both.narrowed_to(0o707 | ((both.mode & 0o007) << 3)),
        }
    }

    /// Whether a folder with these keeps some out of all that is in it.
    #[must_use]
    pub fn keeps_out(self) -> bool {
        self.mode & 0o011 != 0o011
    }

    /// These, of a file that only those may use who may pass a folder with the rights `folder`.
    #[must_use]
    pub fn behind(self, folder: Rights) -> Rights {
        let (group, others) = (folder.mode & 0o010 != 0, folder.mode & 0o001 != 0);
        let mut mode = 0o700;
        if group && (others || self.gid == folder.gid) {
            mode |= 0o070;
        }
        if group && others {
            mode |= 0o007;
        }
        self.narrowed_to(mode)
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

/// Who may do what with a folder, and which one that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FolderRights {
    /// Who may do what with it.
    pub rights: Rights,
    /// Its inode number; 0 where that is not known.
    pub inode: u64,
    /// When it was made, nanoseconds since 1970, where that is known.
    pub born_ns: Option<i64>,
}

/// What one file hands on to another that is to take its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileAccess {
    /// Owner, group and permission bits.
    pub rights: Rights,
    /// The access list, beyond the bits.
    pub list: AccessList,
    /// Which one it is.
    pub stamp: Stamp,
    /// When it was made, nanoseconds since 1970, where that is known.
    pub born_ns: Option<i64>,
}

impl FileAccess {
    /// Rights and no list, of no file in particular.
    #[must_use]
    pub fn only(rights: Rights) -> FileAccess {
        FileAccess {
            rights,
            list: AccessList::Nothing,
            stamp: Stamp::default(),
            born_ns: None,
        }
    }

    /// Whether this is the file that had the stamp `before`, whatever was done to it since. The
    /// number of its inode alone does not tell: that of a file that is gone goes to a new one.
    #[must_use]
    pub fn is_of(&self, before: &Stamp) -> bool {
        let of = |stamp: &Stamp| (stamp.size, stamp.mtime_ns);
        let is_unchanged = of(&self.stamp) == of(before);
        let is_as_old = self.born_ns.is_some_and(|born| born <= before.ctime_ns);
        let inode = self.stamp.inode;
        inode != 0 && inode == before.inode && (is_unchanged || is_as_old)
    }
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

    /// The same of a folder; when it was made this does not tell.
    pub fn folder_rights(&self) -> FolderRights {
        FolderRights {
            rights: self.rights(),
            inode: self.stamp.inode,
            born_ns: None,
        }
    }
}
