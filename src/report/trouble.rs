//! What kind of trouble a path is in, in a word for programs.

use std::io;

/// What kind of trouble a path is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Its name or its path cannot be one on the other side.
    Name,
    /// Its name is no UTF-8.
    NotUtf8,
    /// Two names are one for Dropbox.
    Clash,
    /// One of us may not do that.
    NoPermission,
    /// There is no room for it.
    NoRoom,
    /// It cannot be looked at or read here.
    Unreadable,
    /// What it is on cannot be written to.
    ReadOnly,
    /// It changes all the time.
    Changing,
    /// What it needs is not there: the other half of a rename, a disk that was mounted.
    MissingThere,
    /// Dropbox could not answer for it, or says something of its own.
    Server,
    /// Both sides differ, and a person decides.
    Undecided,
    /// A file on one side, a folder on the other.
    FileMeetsFolder,
    /// A link or something special stands in its place.
    Link,
    /// None of these.
    Other,
}

impl Trouble {
    /// The word.
    pub fn code(self) -> &'static str {
        match self {
            Trouble::Name => "name",
            Trouble::NotUtf8 => "not_utf8",
            Trouble::Clash => "clash",
            Trouble::NoPermission => "no_permission",
            Trouble::NoRoom => "no_room",
            Trouble::Unreadable => "unreadable",
            Trouble::ReadOnly => "read_only",
            Trouble::Changing => "changing",
            Trouble::MissingThere => "missing_there",
            Trouble::Server => "server",
            Trouble::Undecided => "undecided",
            Trouble::FileMeetsFolder => "file_meets_folder",
            Trouble::Link => "link",
            Trouble::Other => "other",
        }
    }

    /// What a disk says.
    pub fn of_disk(error: &io::Error) -> Trouble {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::PermissionDenied => Trouble::NoPermission,
            Kind::StorageFull | Kind::QuotaExceeded => Trouble::NoRoom,
            Kind::ReadOnlyFilesystem => Trouble::ReadOnly,
            Kind::InvalidFilename => Trouble::Name,
            _ => Trouble::Unreadable,
        }
    }
}
