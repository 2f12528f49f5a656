//! The commands for files in Dropbox without a sync: what was typed, and what each calls.

use super::matches::{Matches, UsageError};
use super::outcome::CommandOutcome;
use crate::commands::cat::cat;
use crate::commands::ls::{LsArgs, ls};
use crate::commands::manage::{RmArgs, mkdir, mv, rm};
use crate::commands::versions::{VersionChoice, list_versions, restore};
use crate::config::Config;

/// A command for files in Dropbox, with what it is told.
#[derive(Debug)]
pub enum FilesCommand {
    /// Lists.
    Ls(LsArgs),
    /// Prints a file.
    Cat(String),
    /// Makes a folder.
    Mkdir(String),
    /// Moves the first to the second.
    Mv(String, String),
    /// Deletes.
    Rm(RmArgs),
    /// Lists versions.
    Revisions(String),
    /// Restores one.
    Restore(String, VersionChoice),
}

impl FilesCommand {
    /// What was typed; nothing if it is another command.
    pub fn read(matches: &Matches) -> Result<Option<FilesCommand>, UsageError> {
        let mut arguments = matches.argument_texts()?.into_iter();
        let mut next = || arguments.next().unwrap_or_default();
        Ok(Some(match matches.names()[..] {
            ["ls"] => FilesCommand::Ls(LsArgs {
                path: next(),
                recursive: matches.has("recursive"),
                long: matches.has("long"),
                dirs: matches.has("dirs"),
                deleted: matches.has("deleted"),
                top: matches.has("top"),
                json: matches.has("json"),
            }),
            ["cat"] => FilesCommand::Cat(next()),
            ["mkdir"] => FilesCommand::Mkdir(next()),
            ["mv"] => FilesCommand::Mv(next(), next()),
            ["rm"] => FilesCommand::Rm(RmArgs {
                path: next(),
                recursive: matches.has("recursive"),
                dry_run: matches.has("dry-run"),
                approved: matches.texts("approve")?,
                json: matches.has("json"),
            }),
            ["revisions"] => FilesCommand::Revisions(next()),
            ["restore"] => {
                let one = |name| matches.texts(name).map(|mut texts| texts.pop());
                let wanted = match (one("rev")?, one("at")?) {
                    (Some(rev), _) => VersionChoice::Rev(rev),
                    (None, Some(at)) => VersionChoice::At(at),
                    (None, None) => VersionChoice::Last,
                };
                FilesCommand::Restore(next(), wanted)
            }
            _ => return Ok(None),
        }))
    }

    /// Runs it.
    pub fn run(&self, config: &Config, is_json: bool) -> CommandOutcome {
        // What it prints it has printed.
        let silent = |result: crate::error::Result<()>| result.map(|()| String::new());
        CommandOutcome::of(match self {
            FilesCommand::Ls(args) => silent(ls(config, args)),
            FilesCommand::Cat(path) => silent(cat(config, path)),
            FilesCommand::Mkdir(path) => mkdir(config, path, is_json),
            FilesCommand::Mv(from, to) => mv(config, from, to, is_json),
            FilesCommand::Rm(args) => rm(config, args),
            FilesCommand::Revisions(path) => list_versions(config, path, is_json),
            FilesCommand::Restore(path, wanted) => restore(config, path, wanted, is_json),
        })
    }
}
