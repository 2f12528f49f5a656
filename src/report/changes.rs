//! What is done to a path, and what is said of it.

/// Something that was done, or would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A file went up.
    Upload,
    /// A file came down.
    Download,
    /// A file was renamed locally, as it was in Dropbox.
    MoveLocal,
    /// A file was renamed in Dropbox, as it was locally.
    MoveRemote,
    /// A local file or folder was removed.
    DeleteLocal,
    /// A file or folder in Dropbox was removed.
    DeleteRemote,
    /// A folder was made locally.
    MakeLocalFolder,
    /// A folder was made in Dropbox.
    MakeRemoteFolder,
    /// A local version was kept as a conflict copy.
    Conflict,
}

impl Change {
    /// What it is called in JSON.
    pub fn action(self) -> &'static str {
        match self {
            Change::Upload => "upload",
            Change::Download => "download",
            Change::MoveLocal => "move_local",
            Change::MoveRemote => "move_remote",
            Change::DeleteLocal => "delete_local",
            Change::DeleteRemote => "delete_remote",
            Change::MakeLocalFolder => "make_local_folder",
            Change::MakeRemoteFolder => "make_remote_folder",
            Change::Conflict => "conflict_copy",
        }
    }

    /// What it is called when it was done, and when it would be.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Change::Upload => ("uploaded", "would upload"),
            Change::Download => ("downloaded", "would download"),
            Change::MoveLocal => ("renamed here to", "would rename here to"),
            Change::MoveRemote => ("renamed in Dropbox to", "would rename in Dropbox to"),
            Change::DeleteLocal => ("deleted locally", "would delete locally"),
            Change::DeleteRemote => ("deleted in Dropbox", "would delete in Dropbox"),
            Change::MakeLocalFolder => ("made folder", "would make folder"),
            Change::MakeRemoteFolder => ("made folder in Dropbox", "would make folder in Dropbox"),
            Change::Conflict => (
                "conflict:",
                "would keep the local version as a conflict copy:",
            ),
        }
    }
}

/// What is said of a change besides its path.
#[derive(Clone, Copy, Debug, Default)]
pub struct Details<'d> {
    /// Bytes that travelled, or are in what was moved.
    pub size: Option<u64>,
    /// The path before.
    pub from: Option<&'d str>,
    /// How many files a folder holds that was moved as one.
    pub files: Option<u64>,
    /// For people, said after the path, with names as they are.
    pub more: &'d str,
}

impl<'d> From<&'d str> for Details<'d> {
    fn from(more: &'d str) -> Details<'d> {
        Details {
            more,
            ..Details::default()
        }
    }
}

impl<'d> From<&'d String> for Details<'d> {
    fn from(more: &'d String) -> Details<'d> {
        Details::from(more.as_str())
    }
}
