//! `ls`: what lies in Dropbox, page by page as it arrives.

use std::io::{self, Write};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::commands::remote::{ListingSink, RemoteFiles, with_remote};
use crate::config::Config;
use crate::core::category::category;
use crate::core::path::fold;
use crate::core::remote::RemotePath;
use crate::dropbox::api::PageSink;
use crate::dropbox::files::Shown;
use crate::dropbox::retry::CallError;
use crate::dropbox::wire::{FileMetadata, Metadata};
use crate::error::{Error, Result};
use crate::io::time_zone::time_zone;
use crate::report::{grouped, json_line, printable};
use crate::timestamp::local_text;

/// What the command line asks for.
#[derive(Clone, Debug, Default)]
pub struct LsArgs {
    /// Which folder, or file; the remote root without it.
    pub path: String,
    /// All that lies below it.
    pub recursive: bool,
    /// Sizes, times and revs, too.
    pub long: bool,
    /// Folders only.
    pub dirs: bool,
    /// What is deleted, and that only.
    pub deleted: bool,
    /// Paths begin at all that the app may see.
    pub top: bool,
    /// Lines of JSON.
    pub json: bool,
}

/// Lists a folder.
///
/// # Errors
/// [`Error::Failed`] if it is not there; what Dropbox says.
pub fn ls(config: &Config, args: &LsArgs) -> Result<()> {
    with_remote(config, args.top, None, |remote| {
        let path = remote.path(&args.path)?;
        let shown = Shown {
            all_below: args.recursive,
            deleted: args.deleted,
        };
        let mut listing = EntryLines {
            remote,
            args,
            path: path.clone(),
            page: String::new(),
        };
        match remote.list(&path, shown, &mut listing) {
            Ok(()) => Ok(()),
            Err(CallError::Refused(error)) if error.is("path/not_found") => {
                Err(remote.is_not_there(&path))
            }
            Err(CallError::Refused(error)) if error.is("path/not_folder") => {
                let file = remote.at(&path)?;
                listing.entry(file)?;
                listing.page_over().map(drop)
            }
            Err(error) => Err(error.into_error("list the folder")),
        }
    })
}

/// The lines of one page, which are printed once it has arrived as a whole.
struct EntryLines<'l> {
    remote: &'l RemoteFiles<'l>,
    args: &'l LsArgs,
    path: RemotePath,
    page: String,
}

impl ListingSink for EntryLines<'_> {
    fn sink(&mut self) -> &mut dyn PageSink {
        self
    }

    fn page_over(&mut self) -> Result<bool> {
        let mut out = io::stdout().lock();
        let written = out
            .write_all(self.page.as_bytes())
            .and_then(|()| out.flush());
        self.page.clear();
        match written {
            Ok(()) => Ok(true),
            // Who reads has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(Error::Failed(format!("cannot write the listing: {error}"))),
        }
    }
}

impl PageSink for EntryLines<'_> {
    fn restart(&mut self) -> Result<()> {
        self.page.clear();
        Ok(())
    }

    fn entry(&mut self, entry: Metadata) -> Result<()> {
        let (kind, path, file) = match &entry {
            Metadata::File(file) => ("file", (&file.path_display, &file.path_lower), Some(file)),
            Metadata::Folder(folder) => {
                ("folder", (&folder.path_display, &folder.path_lower), None)
            }
            Metadata::Deleted(gone) => ("deleted", (&gone.path_display, &gone.path_lower), None),
            Metadata::Other(other) => ("other", (&other.path_display, &other.path_lower), None),
        };
        // What is not mounted has no path.
        let Some(path) = path.0.as_deref().or(path.1.as_deref()) else {
            return Ok(());
        };
        let is_wanted = match kind {
            "deleted" => self.args.deleted,
            _ if self.args.deleted => false,
            "folder" => !self.is_listed_itself(&entry),
            _ => !self.args.dirs,
        };
        if is_wanted {
            let id = match &entry {
                Metadata::File(file) => file.id.as_deref(),
                Metadata::Folder(folder) => folder.id.as_deref(),
                Metadata::Deleted(_) | Metadata::Other(_) => None,
            };
            let slash = if kind == "folder" { "/" } else { "" };
            let path = format!("{}{slash}", self.remote.shown(path));
            match self.args.json {
                true => self.page += &json_line("entry", fields(kind, &path, file, id)),
                false => self.page += &self.line(kind, &path, file),
            }
            self.page.push('\n');
        }
        Ok(())
    }
}

impl EntryLines<'_> {
    /// A listing of all below a folder begins with the folder.
    fn is_listed_itself(&self, entry: &Metadata) -> bool {
        let lower = match entry {
            Metadata::Folder(folder) => folder.path_lower.as_deref(),
            Metadata::File(_) | Metadata::Deleted(_) | Metadata::Other(_) => None,
        };
        lower.is_some_and(|lower| fold(lower) == fold(self.path.as_str()))
    }

    fn line(&self, kind: &str, path: &str, file: Option<&FileMetadata>) -> String {
        let path = printable(path);
        if !self.args.long {
            return path;
        }
        let (size, time, rev) = match file {
            Some(file) => (
                grouped(file.size),
                time_text(&file.client_modified),
                file.rev.as_str(),
            ),
            None if kind == "folder" => ("-".to_owned(), String::new(), ""),
            None => (kind.to_owned(), String::new(), ""),
        };
        format!("{size:>15}  {time:<19}  {rev:<20}  {path}")
    }
}

/// A time of Dropbox's on the clock of this machine.
pub fn time_text(utc: &str) -> String {
    match utc.parse::<Timestamp>() {
        Ok(at) => local_text(at, &time_zone()),
        Err(_) => printable(utc),
    }
}

fn fields(kind: &str, path: &str, file: Option<&FileMetadata>, id: Option<&str>) -> Value {
    json!({
        "path": path,
        "kind": kind,
        "size": file.map(|file| file.size),
        "modified": file.map(|file| &file.client_modified),
        "server_modified": file.and_then(|file| file.server_modified.as_deref()),
        "rev": file.map(|file| file.rev.as_str()),
        "content_hash": file.and_then(|file| file.content_hash.as_deref()),
        "id": id,
        "category": file.map(|file| category(&file.name)),
    })
}
