//! `mkdir`, `mv` and `rm`: single changes in Dropbox, none of which can overwrite anything.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::json;

use crate::commands::remote::{ListingSink, RemoteFiles, with_remote};
use crate::config::Config;
use crate::core::invocation::quoted;
use crate::core::path::{fold, split};
use crate::core::remote::{RemotePath, Rev};
use crate::dropbox::api::PageSink;
use crate::dropbox::batch::Relocation;
use crate::dropbox::files::Shown;
use crate::dropbox::retry::CallError;
use crate::dropbox::wire::{ApiError, Metadata};
use crate::error::{Error, Result};
use crate::report::{Halt, counted, print_line, printable};

/// Files of a folder that are deleted without a question.
const UNASKED: u64 = 20;

/// How long Dropbox keeps what is deleted.
const KEPT: &str = "Dropbox keeps it for 30 days, with some plans for 180 or 365";

/// What is said where nothing is changed.
const FAKE: &str = "; nothing was changed: sync.fake_mode is on";

/// Makes a folder, and those above it.
///
/// # Errors
/// [`Error::Failed`] if a file is there; what Dropbox says.
pub fn mkdir(config: &Config, typed: &str, is_json: bool) -> Result<String> {
    with_remote(config, false, None, |remote| {
        let path = remote.path_below(typed)?;
        let shown = printable(remote.shown(path.as_str()));
        let mut done = json!({ "action": "make_remote_folder",
                               "path": remote.shown(path.as_str()) });
        if config.sync.fake_mode {
            done["planned"] = json!(true);
            return said(
                is_json,
                Some(done),
                format!("would make {shown}/ in Dropbox{FAKE}"),
            );
        }
        match remote.api.create_folder(&path) {
            Ok(()) => {}
            Err(CallError::Refused(error)) if error.is("path/conflict/folder") => {
                return said(is_json, None, format!("{shown}/ is there already"));
            }
            Err(CallError::Refused(error)) if error.is("path/conflict") => {
                return Err(Error::Failed(format!("{shown}: a file is in its way")));
            }
            Err(error) => return Err(error.into_error("make the folder")),
        }
        said(is_json, Some(done), format!("made {shown}/ in Dropbox"))
    })
}

/// Moves or renames a file or a folder, never over something.
///
/// # Errors
/// [`Error::Failed`] if there is nothing to move, something is in its way, or only the case of a
/// name differs; what Dropbox says.
pub fn mv(config: &Config, from: &str, to: &str, is_json: bool) -> Result<String> {
    with_remote(config, false, None, |remote| {
        let source = remote.path_below(from)?;
        let into = to.ends_with('/');
        let target = match into {
            true => {
                let folder = remote.path(to)?;
                check_folder(remote, &folder)?;
                let name = split(source.as_str()).1;
                RemotePath::from(format!("{}/{name}", folder.as_str()))
            }
            false => remote.path_below(to)?,
        };
        let [shown_from, shown_to] =
            [&source, &target].map(|path| printable(remote.shown(path.as_str())));
        if fold(source.as_str()) == fold(target.as_str()) {
            return Err(Error::Failed(match source == target {
                true => format!("{shown_from}: that is where it is"),
                false => format!(
                    "{shown_to}: Dropbox takes it for the same name as {shown_from}; for another \
                     case move it to a third name first, and from there"
                ),
            }));
        }
        let moved = remote.at(&source)?;
        let mut done = json!({ "action": "move_remote", "from": remote.shown(source.as_str()),
                               "path": remote.shown(target.as_str()) });
        if config.sync.fake_mode {
            done["planned"] = json!(true);
            let text = format!("would move {shown_from} to {shown_to} in Dropbox{FAKE}");
            return said(is_json, Some(done), text);
        }
        let outcome = remote
            .api
            .relocate(Relocation::Move, &source, &target)
            .map_err(|error| error.into_error("move it"))?;
        if let Err(error) = outcome {
            check_moved(remote, &moved, &target, &error, into)?;
        }
        let text = format!("moved {shown_from} to {shown_to} in Dropbox");
        said(is_json, Some(done), text)
    })
}

/// What something is moved into has to be there: a name that was mistyped would be made.
fn check_folder(remote: &RemoteFiles<'_>, folder: &RemotePath) -> Result<()> {
    if remote.is_top(folder) {
        return Ok(());
    }
    match remote.at(folder)? {
        Metadata::Folder(_) => Ok(()),
        Metadata::File(_) | Metadata::Deleted(_) | Metadata::Other(_) => Err(Error::Failed(
            format!("{}/: no folder", printable(remote.shown(folder.as_str()))),
        )),
    }
}

/// A move was refused; one whose answer was lost is refused when it is asked for once more.
fn check_moved(
    remote: &RemoteFiles<'_>,
    moved: &Metadata,
    target: &RemotePath,
    error: &ApiError,
    into: bool,
) -> Result<()> {
    let shown = printable(remote.shown(target.as_str()));
    let there = remote.api.metadata(target);
    let there = there.map_err(|error| error.into_error("look for it"))?;
    let is_it = |there: &Metadata| id_of(there).is_some() && id_of(there) == id_of(moved);
    if there.as_ref().is_some_and(is_it) {
        return Ok(());
    }
    Err(Error::Failed(match there {
        Some(Metadata::Folder(_)) if !into => format!(
            "{shown}: a folder is there already, and nothing was moved; to move it into that \
             folder write {shown}/"
        ),
        Some(_) if error.is("to/conflict") => {
            format!("{shown}: something is there already, and nothing was moved")
        }
        _ if error.has("cant_move_folder_into_itself") => {
            format!("{shown}: a folder cannot be moved into itself")
        }
        _ => format!("Dropbox does not move it: {}", error.text()),
    }))
}

fn id_of(metadata: &Metadata) -> Option<&str> {
    match metadata {
        Metadata::File(file) => file.id.as_deref(),
        Metadata::Folder(folder) => folder.id.as_deref(),
        Metadata::Deleted(_) | Metadata::Other(_) => None,
    }
}

/// What the command line asks of `rm`.
#[derive(Clone, Debug, Default)]
pub struct RmArgs {
    /// What goes.
    pub path: String,
    /// A folder, and all that is in it.
    pub recursive: bool,
    /// Only what would go is said.
    pub dry_run: bool,
    /// Ids of deletes that were asked about.
    pub approved: Vec<String>,
    /// Lines of JSON.
    pub json: bool,
}

/// Deletes a file, or a folder with all that is in it; Dropbox keeps it for a while.
///
/// # Errors
/// [`Error::Failed`] if nothing is there; [`Error::Usage`] for a folder without `-r`;
/// [`Error::Halt`] with an id if it holds many files; what Dropbox says.
pub fn rm(config: &Config, args: &RmArgs) -> Result<String> {
    with_remote(config, false, None, |remote| {
        let path = remote.path_below(&args.path)?;
        let (shown, rev, files) = match remote.at(&path)? {
            Metadata::File(file) => (printable(remote.shown(path.as_str())), Some(file.rev), None),
            Metadata::Folder(_) if !args.recursive => {
                return Err(Error::Usage(format!(
                    "{}/ is a folder: rm -r deletes it with all that is in it",
                    printable(remote.shown(path.as_str()))
                )));
            }
            Metadata::Folder(_) | Metadata::Deleted(_) | Metadata::Other(_) => {
                let held = FolderFiles::of(remote, &path)?;
                let shown = format!("{}/", printable(remote.shown(path.as_str())));
                (shown, None, Some(held))
            }
        };
        let many = files.as_ref().map(|held| in_it(held.files));
        let many = many.unwrap_or_default();
        let id = files.as_ref().map(|held| held.id(&path));
        if let Some(other) = args
            .approved
            .iter()
            .find(|other| Some(*other) != id.as_ref())
        {
            return Err(Error::Usage(format!(
                "{other} is not what would be deleted now: ask again without --approve"
            )));
        }
        if args.dry_run || config.sync.fake_mode {
            let text = format!("would delete {shown}{many} in Dropbox; {KEPT}");
            let planned = json!({ "action": "delete_remote", "planned": true,
                                  "path": remote.shown(path.as_str()) });
            return said(args.json, Some(planned), text);
        }
        if let (Some(held), Some(id)) = (&files, &id)
            && held.files > UNASKED
            && args.approved.is_empty()
        {
            return Err(ask(
                config,
                remote.shown(path.as_str()),
                held.files,
                id,
                args.json,
            ));
        }
        delete(remote, &path, rev)?;
        let back = config
            .invocation
            .command(&format!("restore {}", quoted(remote.shown(path.as_str()))));
        let how = match files {
            None => format!("to have it back: {back}"),
            Some(_) => "to have it back: dropbox.com, Deleted files".to_owned(),
        };
        let done = json!({ "action": "delete_remote", "path": remote.shown(path.as_str()) });
        let text = format!("deleted {shown}{many} in Dropbox; {KEPT}; {how}");
        said(args.json, Some(done), text)
    })
}

fn in_it(files: u64) -> String {
    format!(" with {}", counted(files, "file", "files"))
}

fn delete(remote: &RemoteFiles<'_>, path: &RemotePath, rev: Option<Rev>) -> Result<()> {
    let mut answers = remote
        .api
        .delete_batch(&[(path.clone(), rev)])
        .map_err(|error| error.into_error("delete it"))?;
    match answers.pop() {
        // It was just there: an answer was lost.
        Some(Err(error)) if error.has("not_found") => Ok(()),
        Some(Err(error)) if error.has("conflict") => Err(Error::Failed(
            "it has just changed in Dropbox, and was not deleted: look at it once more".to_owned(),
        )),
        Some(Err(error)) => Err(Error::Failed(format!(
            "Dropbox does not delete it: {}",
            error.text()
        ))),
        Some(Ok(())) | None => Ok(()),
    }
}

/// Many files are deleted once somebody has said so.
fn ask(config: &Config, path: &str, files: u64, id: &str, is_json: bool) -> Error {
    let what = format!(
        "{} would be deleted in Dropbox with {}/; nothing was deleted",
        counted(files, "file", "files"),
        printable(path)
    );
    if is_json {
        let halt = Halt {
            direction: "up",
            count: files,
            of: files,
            approve_id: id,
            text: &what,
        };
        print_line("halt", halt);
    }
    let command = |words: &str| {
        config
            .invocation
            .command(&format!("{words} {}", quoted(path)))
    };
    Error::Halt(format!(
        "{what}. To look at them first: {}; to delete them: {}",
        command("ls -R"),
        command(&format!("rm -r --approve {id}"))
    ))
}

/// What a folder holds, and what stands for exactly that.
#[derive(Default)]
struct FolderFiles {
    files: u64,
    /// Those of the page, which count once it is whole.
    of_page: (u64, u64),
    sum: u64,
}

impl FolderFiles {
    fn of(remote: &RemoteFiles<'_>, path: &RemotePath) -> Result<FolderFiles> {
        let mut held = FolderFiles::default();
        let shown = Shown {
            all_below: true,
            deleted: false,
        };
        let listed = remote.list(path, shown, &mut held);
        listed.map_err(|error| error.into_error("look into the folder"))?;
        Ok(held)
    }

    fn id(&self, path: &RemotePath) -> String {
        let mut hasher = DefaultHasher::new();
        (fold(path.as_str()), self.files, self.sum).hash(&mut hasher);
        format!("{:08x}", hasher.finish() >> 32)
    }
}

impl ListingSink for FolderFiles {
    fn sink(&mut self) -> &mut dyn PageSink {
        self
    }

    fn page_over(&mut self) -> Result<bool> {
        let (files, sum) = std::mem::take(&mut self.of_page);
        self.files += files;
        self.sum = self.sum.wrapping_add(sum);
        Ok(true)
    }
}

impl PageSink for FolderFiles {
    fn restart(&mut self) -> Result<()> {
        self.of_page = (0, 0);
        Ok(())
    }

    fn entry(&mut self, entry: Metadata) -> Result<()> {
        if let Metadata::File(file) = entry {
            let mut hasher = DefaultHasher::new();
            file.rev.as_str().hash(&mut hasher);
            self.of_page.0 += 1;
            self.of_page.1 = self.of_page.1.wrapping_add(hasher.finish());
        }
        Ok(())
    }
}

/// What was done, as a line of JSON or as a text.
fn said(is_json: bool, done: Option<serde_json::Value>, text: String) -> Result<String> {
    if is_json {
        done.into_iter().for_each(|done| print_line("change", done));
        return Ok(String::new());
    }
    Ok(text)
}
