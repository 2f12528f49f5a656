//! What the commands share that look at files in Dropbox and change them there without a sync:
//! the way to Dropbox, and paths as they are typed and shown.
//!
//! They take no lock: what they do is a change in Dropbox like any other, which the next pass is
//! told of.

use std::time::Duration;

use crate::config::Config;
use crate::core::path::{check_name, nfc};
use crate::core::remote::{Cursor, PathRoot, RemotePath};
use crate::dropbox::api::{Api, Call, PageSink};
use crate::dropbox::files::{Shown, list};
use crate::dropbox::page::PageEnd;
use crate::dropbox::retry::CallError;
use crate::dropbox::tokens::{AccessTokens, TokenFiles};
use crate::dropbox::wire::Metadata;
use crate::engine::credential::{credential, identity};
use crate::error::{Error, Result};
use crate::io::RealHttp;
use crate::io::deadline::Deadline;
use crate::io::dirs;
use crate::io::disk::Disk;
use crate::io::host::RealHost;
use crate::report::printable;

/// Dropbox, and the folder that paths begin in.
pub struct RemoteFiles<'a> {
    /// The way there.
    pub api: &'a Api<'a>,
    /// The remote root, or nothing for all the app may see.
    top: String,
}

/// Goes to Dropbox as whom the configuration says, for `time` at most; paths begin in its remote
/// root, or, with `from_top`, at all that the app may see.
///
/// # Errors
/// [`Error::Authentication`] if nobody is signed in; what `work` says.
pub fn with_remote<T>(
    config: &Config,
    from_top: bool,
    time: Option<Duration>,
    work: impl FnOnce(&RemoteFiles<'_>) -> Result<T>,
) -> Result<T> {
    let dir = dirs::state_dir(config)?;
    let state = dir.exists().then(|| dirs::open_state(&dir)).transpose()?;
    let files = state
        .as_ref()
        .map(|disk| TokenFiles::new(disk, dir.display().to_string()));
    let (http, host) = (RealHttp::new(config)?, RealHost::new());
    let credential = credential(config, files.as_ref(), None, &host)?;
    let runtime = dirs::open_runtime();
    let runtime = runtime.as_ref().map(|disk| disk as &dyn Disk);
    let access = AccessTokens::new(credential, runtime, true).called(&config.invocation);
    let deadline = Deadline::within(&host, time);
    let api = Api::new(&http, &host, &deadline, access);
    if config.dropbox.root == PathRoot::Team {
        identity(config, files.as_ref(), None, &api)?;
    }
    let top = match from_top {
        true => String::new(),
        false => config.dropbox.remote_root.clone(),
    };
    work(&RemoteFiles { api: &api, top })
}

impl RemoteFiles<'_> {
    /// The path that is meant by what was typed: from the top on, with or without a slash before
    /// it.
    ///
    /// # Errors
    /// [`Error::Usage`] for what can be no path.
    pub fn path(&self, typed: &str) -> Result<RemotePath> {
        let mut path = self.top.clone();
        let typed_path = typed.trim_matches('/');
        for name in typed_path.split('/').filter(|_| !typed_path.is_empty()) {
            check_name(name).map_err(|why| {
                Error::Usage(format!(
                    "{}: {why}; write it from the top of the folder in Dropbox on, as in \
                     /logs/openhab.log",
                    printable(typed)
                ))
            })?;
            path.push('/');
            path.push_str(&nfc(name));
        }
        Ok(RemotePath::from(path))
    }

    /// The same of something that is changed: not of the top itself.
    ///
    /// # Errors
    /// [`Error::Usage`] for the top, and for what can be no path.
    pub fn path_below(&self, typed: &str) -> Result<RemotePath> {
        let path = self.path(typed)?;
        match self.is_top(&path) {
            true => Err(Error::Usage(
                "that is the whole folder in Dropbox: name something in it".to_owned(),
            )),
            false => Ok(path),
        }
    }

    /// Whether it is the top, where paths begin.
    pub fn is_top(&self, path: &RemotePath) -> bool {
        path.as_str() == self.top
    }

    /// A path of Dropbox's as it is shown: from the top on.
    pub fn shown<'p>(&self, path: &'p str) -> &'p str {
        let mut rest = path;
        for _ in self.top.split('/').skip(1) {
            let after = rest.get(1..).and_then(|rest| rest.find('/'));
            rest = after.map_or("", |at| &rest[at + 1..]);
        }
        match rest {
            "" => "/",
            rest => rest,
        }
    }

    /// What is at a path.
    ///
    /// # Errors
    /// [`Error::Failed`] if nothing is.
    pub fn at(&self, path: &RemotePath) -> Result<Metadata> {
        let found = self.api.metadata(path);
        let found = found.map_err(|error| error.into_error("look for it"))?;
        found
            .filter(|found| !matches!(found, Metadata::Deleted(_)))
            .ok_or_else(|| self.is_not_there(path))
    }

    /// Nothing is at this path.
    pub fn is_not_there(&self, path: &RemotePath) -> Error {
        Error::Failed(match self.is_top(path) {
            true => format!(
                "the folder {} (dropbox.remote_root) is not there in Dropbox: the first upload \
                 makes it, unless another was meant",
                printable(path.as_str())
            ),
            false => format!(
                "{}: not there in Dropbox",
                printable(self.shown(path.as_str()))
            ),
        })
    }

    /// Lists a folder, page by page.
    ///
    /// # Errors
    /// [`CallError`]; `path/not_found` and `path/not_folder` are refusals.
    pub fn list(&self, path: &RemotePath, shown: Shown, pages: &mut dyn ListingSink) -> Call<()> {
        let mut end = list(self.api, path, shown, pages.sink())?;
        loop {
            match pages.page_over().map_err(CallError::End)? {
                true if end.has_more => {}
                _ => return Ok(()),
            }
            end = self.next_page(&end.cursor, pages)?;
        }
    }

    fn next_page(&self, cursor: &Cursor, pages: &mut dyn ListingSink) -> Call<PageEnd> {
        match self.api.list_folder_continue(cursor, pages.sink()) {
            Err(CallError::Refused(error)) if error.is("reset") => {
                Err(CallError::End(Error::TryLater(
                    "Dropbox wants the listing to begin anew: run the same command again"
                        .to_owned(),
                )))
            }
            page => page,
        }
    }
}

/// Who takes a listing.
pub trait ListingSink {
    /// Who takes the entries of the next page.
    fn sink(&mut self) -> &mut dyn PageSink;

    /// A page is over; says whether another is wanted.
    ///
    /// # Errors
    /// Ends the listing.
    fn page_over(&mut self) -> Result<bool>;
}
