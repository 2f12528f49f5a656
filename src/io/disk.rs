//! The filesystem seam: what the agent does beneath the content dir and with its state files.
//!
//! Paths are [`RelPath`]s, so nothing outside the root can be named; implementations follow no
//! symbolic link below it. Errors are plain [`io::Error`]s whose text names operation and path.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::core::path::RelPath;
use crate::error;
use crate::io::listing::Listing;
use crate::io::stat::{FileAccess, Rights, Status};
pub use crate::io::tree_identity::TreeIdentity;

/// LIMIT: a state file is a few KiB. What lies beyond is not read, so a larger file is cut and
/// counts as damaged.
const STATE_BYTES_MAX: u64 = 1 << 20;

/// A file open for reading.
pub trait ReadFile: Read {
    /// `fstat`: the file that is being read, whatever its name points to by now.
    fn status(&self) -> io::Result<Status>;

    /// Continues reading at `offset` bytes from the start.
    fn seek(&mut self, offset: u64) -> io::Result<()>;
}

/// A new file open for writing. Dropping it leaves it where it is.
pub trait WriteFile: Write {
    /// Gives it this owner, group, permission bits and access list; what may not be given makes it
    /// narrower. It belongs to us, and nobody else may do anything with it yet. An error if
    /// somebody has given it another name.
    fn set_access(&mut self, access: &FileAccess) -> io::Result<()>;

    /// Gives it this owner and group, as far as we may.
    fn set_owner(&mut self, owner: &Rights) -> io::Result<()>;

    /// Sets the modification time in whole seconds since 1970.
    fn set_mtime(&mut self, seconds: i64) -> io::Result<()>;

    /// Forces content and metadata to the medium.
    fn sync(&mut self) -> io::Result<()>;

    /// `fstat` of the new file.
    fn status(&self) -> io::Result<Status>;
}

/// A file of an earlier run: it is read from its start, and what is written goes to its end.
pub trait TakenUp: ReadFile + WriteFile {}

/// Who may read a new file from its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Its owner only (0600).
    Private,
    /// Whoever the process umask lets (0666 less the umask).
    Shared,
    /// Everybody, whatever the umask (0644).
    Public,
}

/// Holds a lock while it lives.
pub struct Lock(#[allow(dead_code, reason = "held for its drop")] pub Box<dyn std::any::Any>);

/// Free and total bytes of a filesystem, as an unprivileged user may use them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes free.
    pub free: u64,
    /// Bytes in all.
    pub total: u64,
}

/// A directory tree that can be looked at.
pub trait ReadDisk {
    /// What `stat` says about the root.
    fn root(&self) -> io::Result<Status>;

    /// What tells this tree from others, also after a restart.
    fn identity(&self) -> io::Result<TreeIdentity>;

    /// All names in a directory. An error means that nothing is known about it.
    fn list(&self, dir: &RelPath) -> io::Result<Listing<'_>>;

    /// What is at `path`, or nothing.
    fn status(&self, path: &RelPath) -> io::Result<Option<Status>>;

    /// Opens a regular file for reading without ever blocking.
    fn open(&self, path: &RelPath) -> io::Result<Box<dyn ReadFile>>;

    /// Who may do what with a file at this moment, whether or not it can be read. Set-user-id and
    /// set-group-id bits are left out.
    fn access(&self, path: &RelPath) -> io::Result<FileAccess>;

    /// The user under whose id files are made here.
    fn user(&self) -> u32;

    /// Space on the filesystem of a directory.
    fn space(&self, dir: &RelPath) -> io::Result<Space>;

    /// Reads a small file whole, cut at 1 MiB; nothing if it does not exist.
    fn read(&self, path: &RelPath) -> io::Result<Option<Vec<u8>>> {
        match self.open(path) {
            Ok(file) => {
                let mut bytes = Vec::new();
                file.take(STATE_BYTES_MAX).read_to_end(&mut bytes)?;
                Ok(Some(bytes))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A directory tree the agent works in.
pub trait Disk: ReadDisk {
    /// Creates a file that must not exist yet.
    fn create(&self, path: &RelPath, access: Access) -> io::Result<Box<dyn WriteFile>>;

    /// Opens a file that an earlier run has left, to be read and continued; nothing if there is
    /// none. An error unless it is a regular file of ours that has one name and that nobody else
    /// may use: anybody may have put it there.
    fn take_up(&self, path: &RelPath) -> io::Result<Option<Box<dyn TakenUp>>>;

    /// Renames, replacing a file that has the new name.
    fn replace(&self, from: &RelPath, to: &RelPath) -> io::Result<()>;

    /// Renames to a name that must be free; `AlreadyExists` where it is not.
    fn rename_new(&self, from: &RelPath, to: &RelPath) -> io::Result<()>;

    /// Makes one directory with these rights or narrower ones, but for its owner; without any with
    /// the permissions the process umask leaves of 0777, owned like its parent where the process
    /// may decide that.
    fn make_dir(&self, path: &RelPath, rights: Option<&Rights>) -> io::Result<()>;

    /// Removes a file.
    fn remove_file(&self, path: &RelPath) -> io::Result<()>;

    /// Removes an empty directory.
    fn remove_dir(&self, path: &RelPath) -> io::Result<()>;

    /// Forces the entries of a directory to the medium.
    fn sync_dir(&self, dir: &RelPath) -> io::Result<()>;

    /// Forces everything on the filesystem of a directory to the medium (`syncfs`).
    fn sync_filesystem(&self, dir: &RelPath) -> io::Result<()>;

    /// Takes the advisory lock on the root, freed when the answer is dropped or the process dies;
    /// nothing if somebody else holds it.
    fn lock(&self) -> io::Result<Option<Lock>>;

    /// Replaces a small file of the root atomically and durably; it is 0600 from the first byte.
    fn write(&self, path: &RelPath, bytes: &[u8]) -> io::Result<()> {
        let temp = RelPath::parse(&format!("{path}.new")).map_err(io::Error::other)?;
        match self.remove_file(&temp) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let replace = || {
            let mut file = self.create(&temp, Access::Private)?;
            file.write_all(bytes)?;
            file.sync()?;
            drop(file);
            self.replace(&temp, path)
        };
        if let Err(error) = replace() {
            // Otherwise it lies there until the next one is written.
            let _ = self.remove_file(&temp);
            return Err(error);
        }
        self.sync_dir(&path.parent())
    }
}

/// The trees of one run.
pub trait Disks {
    /// The content dir at `dir`.
    ///
    /// # Errors
    /// What the system says, with the path.
    fn content(&self, dir: &Path) -> io::Result<Box<dyn Disk>>;

    /// The state directory at `dir`; where it is missing it is made, private from the start.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    fn state(&self, dir: &Path) -> error::Result<Box<dyn Disk>>;

    /// The state directory as it is; nothing if there is none.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    fn state_as_it_is(&self, dir: &Path) -> error::Result<Option<Box<dyn Disk>>>;

    /// A private directory in memory, if the machine has one.
    fn runtime(&self) -> Option<Box<dyn Disk>>;

    /// Where that is.
    fn runtime_dir(&self) -> Option<PathBuf>;
}
