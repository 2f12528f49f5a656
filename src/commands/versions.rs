//! `revisions` and `restore`: the versions of a file that Dropbox keeps, and how one of them
//! becomes the newest again.

use jiff::Timestamp;
use serde_json::json;

use crate::commands::ls::time_text;
use crate::commands::remote::{RemoteFiles, with_remote};
use crate::config::Config;
use crate::core::invocation::quoted;
use crate::core::remote::{RemotePath, Rev};
use crate::core::when::{WHEN, when};
use crate::dropbox::files::{HistoryOf, Revisions, restore as restore_version, revisions};
use crate::dropbox::retry::CallError;
use crate::dropbox::wire::FileMetadata;
use crate::error::{Error, Result};
use crate::io::time_zone::time_zone;
use crate::report::{counted, print_line, printable, size_text};

/// `revisions`: the versions that Dropbox keeps of a path, the newest first.
///
/// # Errors
/// [`Error::Failed`] if it never was a file; what Dropbox says.
pub fn list_versions(config: &Config, typed: &str, is_json: bool) -> Result<String> {
    with_remote(config, false, None, |remote| {
        let path = remote.path_below(typed)?;
        let mut lines = Vec::new();
        each_known_version(remote, &path, &mut |version, is_current| {
            match is_json {
                true => print_version(remote, &path, version, is_current),
                false => lines.push(version_text(version, is_current)),
            }
            true
        })?;
        if is_json {
            return Ok(String::new());
        }
        let shown = remote.shown(path.as_str());
        let command = format!("restore {} --rev REV", quoted(shown));
        let of = format!(
            "{} of {}; to go back to one: {}",
            counted(lines.len() as u64, "version", "versions"),
            printable(shown),
            config.invocation.command(&command)
        );
        lines.push(of);
        Ok(lines.join("\n"))
    })
}

fn version_text(version: &FileMetadata, is_current: bool) -> String {
    let taken = version.server_modified.as_deref().unwrap_or_default();
    let by = version.sharing_info.as_ref();
    let by = by.and_then(|info| info.modified_by.as_deref());
    let by = by.map_or_else(String::new, |by| format!("  by {}", printable(by)));
    let current = if is_current {
        "  (the one there now)"
    } else {
        ""
    };
    format!(
        "{:<19}  {:>12}  rev {}{current}{by}",
        time_text(taken),
        size_text(version.size),
        version.rev
    )
}

fn print_version(
    remote: &RemoteFiles<'_>,
    path: &RemotePath,
    version: &FileMetadata,
    is_current: bool,
) {
    let sharing = version.sharing_info.as_ref();
    print_line(
        "revision",
        json!({ "path": remote.shown(path.as_str()), "rev": version.rev, "size": version.size,
                "modified": version.client_modified,
                "server_modified": version.server_modified,
                "content_hash": version.content_hash,
                "modified_by": sharing.and_then(|info| info.modified_by.as_deref()),
                "current": is_current }),
    );
}

/// Hands over the versions of a path, the newest first, until `each` wants no more.
fn each_version(
    remote: &RemoteFiles<'_>,
    path: &RemotePath,
    of: HistoryOf,
    each: &mut dyn FnMut(&Revisions, &FileMetadata) -> bool,
) -> Result<()> {
    let mut before: Option<Rev> = None;
    loop {
        let page = match revisions(remote.api, path, of, before.as_ref()) {
            Ok(page) => page,
            Err(CallError::Refused(error)) if error.is("path/not_found") => {
                return Err(remote.is_not_there(path));
            }
            Err(CallError::Refused(error)) if error.is("path/not_file") => {
                return Err(Error::Failed(format!(
                    "{}/ is a folder, of which Dropbox keeps no versions: name a file in it",
                    printable(remote.shown(path.as_str()))
                )));
            }
            Err(error) => return Err(error.into_error("list the versions")),
        };
        for version in &page.entries {
            if !each(&page, version) {
                return Ok(());
            }
        }
        // Only what has been at a path comes in pages.
        match page.entries.last() {
            Some(last) if page.has_more && of == HistoryOf::Path => before = Some(last.rev.clone()),
            _ => return Ok(()),
        }
    }
}

/// The versions that have been at a path, the newest first, and behind them those that the file
/// there had elsewhere, before it was moved; until `each`, which is told whether it is the one
/// there now, wants no more.
fn each_known_version(
    remote: &RemoteFiles<'_>,
    path: &RemotePath,
    each: &mut dyn FnMut(&FileMetadata, bool) -> bool,
) -> Result<()> {
    let mut seen = Vec::new();
    let (mut goes_on, mut is_deleted) = (true, false);
    each_version(remote, path, HistoryOf::Path, &mut |page, version| {
        is_deleted = page.is_deleted;
        let is_current = seen.is_empty() && !page.is_deleted;
        seen.push(version.rev.clone());
        goes_on = each(version, is_current);
        goes_on
    })?;
    if !goes_on || is_deleted {
        return Ok(());
    }
    each_version(remote, path, HistoryOf::Id, &mut |_, version| {
        seen.contains(&version.rev) || each(version, false)
    })
}

/// Which version `restore` is asked for.
#[derive(Clone, Debug)]
pub enum VersionChoice {
    /// The last one of a file that is deleted.
    Last,
    /// This one.
    Rev(String),
    /// The one that was there at this time, as typed.
    At(String),
}

/// `restore`: makes a version of a file the newest of its path, also where it was deleted.
///
/// # Errors
/// [`Error::Failed`] if there is no such version; [`Error::Usage`] for a time that is none, and for
/// a file that is there where no version is named; what Dropbox says.
pub fn restore(
    config: &Config,
    typed: &str,
    wanted: &VersionChoice,
    is_json: bool,
) -> Result<String> {
    with_remote(config, false, None, |remote| {
        let path = remote.path_below(typed)?;
        let shown = printable(remote.shown(path.as_str()));
        let (version, is_current) = choose(config, remote, &path, wanted)?;
        let taken = version.server_modified.as_deref().unwrap_or_default();
        let rev = &version.rev;
        let which = match taken {
            "" => format!("rev {rev}"),
            taken => format!("the version of {} (rev {rev})", time_text(taken)),
        };
        if is_current {
            return Ok(match is_json {
                true => String::new(),
                false => format!("{shown}: {which} is the one there now"),
            });
        }
        if config.sync.fake_mode {
            let planned = json!({ "action": "restore", "path": remote.shown(path.as_str()),
                                  "rev": rev, "size": version.size, "planned": true });
            return Ok(match is_json {
                true => {
                    print_line("change", planned);
                    String::new()
                }
                false => format!(
                    "would restore {shown} in Dropbox: {which}; nothing was changed: \
                     sync.fake_mode is on"
                ),
            });
        }
        let restored = restore_version(remote.api, &path, rev);
        let restored = restored.map_err(|error| match error {
            CallError::Refused(error) if error.is("invalid_revision") => Error::Failed(format!(
                "{shown}: Dropbox has no version {rev} of it, or does not keep it any more; those \
                 it has: {}",
                config.invocation.command(&format!(
                    "revisions {}",
                    quoted(remote.shown(path.as_str()))
                ))
            )),
            error => error.into_error("restore it"),
        })?;
        if is_json {
            let done = json!({ "action": "restore", "path": remote.shown(path.as_str()),
                               "rev": rev, "size": restored.size });
            print_line("change", done);
            return Ok(String::new());
        }
        Ok(format!(
            "restored {shown} in Dropbox: {which}, {}; the next run brings it here where this \
             machine has it",
            size_text(restored.size)
        ))
    })
}

/// The version that is meant, and whether it is the one there now.
fn choose(
    config: &Config,
    remote: &RemoteFiles<'_>,
    path: &RemotePath,
    wanted: &VersionChoice,
) -> Result<(FileMetadata, bool)> {
    match wanted {
        VersionChoice::Rev(rev) => of_rev(remote, path, rev),
        VersionChoice::Last => last(config, remote, path),
        VersionChoice::At(text) => {
            let at = when(text, Timestamp::now(), &time_zone());
            let at =
                at.ok_or_else(|| Error::Usage(format!("--at {}: write {WHEN}", printable(text))))?;
            at_time(remote, path, at)
        }
    }
}

/// The version of this rev, and whether it is the one there now.
fn of_rev(remote: &RemoteFiles<'_>, path: &RemotePath, rev: &str) -> Result<(FileMetadata, bool)> {
    let mut found = None;
    each_known_version(remote, path, &mut |version, is_current| {
        if version.rev.as_str() == rev {
            found = Some((version.clone(), is_current));
        }
        found.is_none()
    })?;
    found.ok_or_else(|| {
        Error::Failed(format!(
            "{}: Dropbox has no version {} of it",
            printable(remote.shown(path.as_str())),
            printable(rev)
        ))
    })
}

fn last(
    config: &Config,
    remote: &RemoteFiles<'_>,
    path: &RemotePath,
) -> Result<(FileMetadata, bool)> {
    let mut found = None;
    each_version(remote, path, HistoryOf::Path, &mut |page, version| {
        found = Some((version.clone(), page.is_deleted));
        false
    })?;
    let (version, is_deleted) = found.ok_or_else(|| remote.is_not_there(path))?;
    if !is_deleted {
        let shown = quoted(remote.shown(path.as_str()));
        return Err(Error::Usage(format!(
            "{}: it is there; say which version with --rev or --at; those there are: {}",
            printable(remote.shown(path.as_str())),
            config.invocation.command(&format!("revisions {shown}"))
        )));
    }
    Ok((version, false))
}

/// The version that was at a path at a time, and whether it still is. What was moved there since
/// was a file all the same: it is looked for by its id.
fn at_time(
    remote: &RemoteFiles<'_>,
    path: &RemotePath,
    at: Timestamp,
) -> Result<(FileMetadata, bool)> {
    let mut oldest = None;
    for of in [HistoryOf::Path, HistoryOf::Id] {
        let mut found = None;
        let mut is_newest = true;
        each_version(remote, path, of, &mut |page, version| {
            let taken = version.server_modified.as_deref().unwrap_or_default();
            let taken: Option<Timestamp> = taken.parse().ok();
            if taken.is_some_and(|taken| taken <= at) {
                found = Some((version.clone(), is_newest && !page.is_deleted));
            }
            is_newest = false;
            oldest = taken.into_iter().chain(oldest).min();
            found.is_none()
        })?;
        if let Some(found) = found {
            return Ok(found);
        }
    }
    let oldest = oldest.map_or_else(String::new, |oldest| {
        format!(
            "; the oldest it has is of {}",
            time_text(&oldest.to_string())
        )
    });
    Err(Error::Failed(format!(
        "{}: Dropbox has no version from before {}{oldest}",
        printable(remote.shown(path.as_str())),
        time_text(&at.to_string())
    )))
}
