//! What the directories lie on: how much room there is, what kind of filesystem it is, what is
//! mounted within, and who may do what there.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::check::{Check, in_command};
use super::tree::WalkedTree;
use crate::config::Config;
use crate::core::decide::Mode;
use crate::core::path::RelPath;
use crate::engine::download::reserve;
use crate::error::Result;
use crate::io::RealDisk;
use crate::io::dirs::{self, RealDisks};
use crate::io::disk::{Disks, ReadDisk};
use crate::io::env::{own_user, user_name};
use crate::io::filesystem::{Filesystem, may_write_into, mounts_below};
use crate::io::systemd::read_only_advice;
use crate::words::{counted, grouped, printable, size_text};

/// Bytes free beside the state below which it cannot grow, and below which that is not far off.
const STATE_LEAST: u64 = 4 << 20;
const STATE_ENOUGH: u64 = 64 << 20;
/// LIMIT: of mount points so many are named.
const MOUNTS_NAMED: usize = 5;

/// What people call the places.
const CONTENT: &str = "the content dir";
const STATE: &str = "the state directory";
const RUNTIME: &str = "the directory for what is short-lived";

/// Whether changes of Dropbox are written here.
fn comes_down(config: &Config) -> bool {
    config.sync.mode != Mode::LocalToDropbox
}

/// Is there room for what comes down, and for the index?
pub fn room(config: &Config) -> Check {
    let mut check = Check::new("free_space");
    let content = Filesystem::under(&config.sync.content_dir);
    match &content {
        Ok(found) => tell_room(config, found, &mut check),
        Err(error) => check.fail(format!("{CONTENT}: {error}"), "correct sync.content_dir"),
    }
    let state = dirs::state_dir(config).map(|dir| (Filesystem::under(&dir), dir));
    let (Ok(found), dir) = (match state {
        Ok(state) => state,
        Err(_) => return check,
    }) else {
        return check;
    };
    let text = format!("{STATE}: {} free", size_text(found.free));
    let remedy = format!("make room on the disk of {}", dir.display());
    match found.free {
        0..STATE_LEAST => check.fail(text, remedy),
        STATE_LEAST..STATE_ENOUGH => check.warn(text, remedy),
        _ if content.is_ok_and(|content| content.device == found.device) => {}
        _ => check.ok(text),
    }
    check
}

fn tell_room(config: &Config, found: &Filesystem, check: &mut Check) {
    let least = reserve(found.total);
    let text = format!(
        "{CONTENT}: {} free of {}",
        size_text(found.free),
        size_text(found.total)
    );
    if found.free > least {
        check.ok(text);
        return;
    }
    let dir = config.sync.content_dir.display();
    let remedy =
        format!("make room on the disk of {dir}: what is large is shown by du -x -h {dir}");
    let kept = size_text(least);
    match comes_down(config) {
        true => check.fail(
            format!("{text}, and {kept} are kept free: no file comes down"),
            remedy,
        ),
        false => check.warn(text, remedy),
    }
}

/// On what do the directories and the log lie?
pub fn filesystem(config: &Config) -> Check {
    let mut check = Check::new("filesystem");
    tell_content(config, &mut check);
    if let Ok(dir) = dirs::state_dir(config)
        && let Ok(found) = Filesystem::under(&dir)
    {
        let text = format!("{STATE} on {}", found.kind);
        if found.is_read_only {
            check.fail(format!("{text}, read-only"), remount(&dir));
        } else if found.is_in_memory {
            let text = format!(
                "{text}, in memory: after each restart somebody must sign in again, and all is \
                 listed and read again"
            );
            check.warn(text, "name a directory on a disk with state.dir");
        } else {
            check.ok(text);
        }
    }
    tell_runtime(&mut check);
    if let Some(log) = &config.log.file
        && let Ok(found) = Filesystem::under(log)
    {
        let text = format!("log.file on {}", found.kind);
        match found.is_in_memory {
            true => check.ok(text),
            false => check.warn(
                format!("{text}, which is written to with each pass that does something"),
                "name a file in memory, such as /run/ferrybox/ferrybox.log",
            ),
        }
    }
    check
}

fn tell_content(config: &Config, check: &mut Check) {
    let dir = &config.sync.content_dir;
    let Ok(found) = Filesystem::under(dir) else {
        return;
    };
    let text = format!("{CONTENT} on {}", found.kind);
    match (found.is_read_only, comes_down(config)) {
        (true, true) => check.fail(format!("{text}, read-only"), remount(dir)),
        (true, false) => check.ok(format!(
            "{text}, read-only, of which nothing is asked but reading"
        )),
        (false, _) if found.keeps_inodes => check.ok(text),
        (false, _) => check.warn(
            format!(
                "{text}, which does not number its files: they are read more often, and renamed \
                 directories travel file by file"
            ),
            "nothing need be done; for less reading keep the directory on ext4",
        ),
    }
    let mounts = mounts_below(&dirs::without_links(dir));
    if mounts.is_empty() {
        return;
    }
    let named: Vec<_> = mounts.iter().take(MOUNTS_NAMED).collect();
    let named: Vec<_> = named.into_iter().map(|path| mount_text(path)).collect();
    let more = match mounts.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let disks = counted(mounts.len() as u64, "disk", "disks");
    check.ok(format!(
        "{disks} mounted within it: {}{more}",
        named.join(", ")
    ));
}

fn mount_text(path: &Path) -> String {
    let shown = printable(&path.display().to_string());
    match Filesystem::under(path) {
        Ok(found) => format!("{shown} ({})", found.kind),
        Err(_) => shown,
    }
}

fn tell_runtime(check: &mut Check) {
    let advice = "see that /run or /dev/shm is in memory (tmpfs)";
    let Some(dir) = RealDisks.runtime_dir() else {
        let text = "no directory in memory for the access token: one is asked for in each run, and \
                    how far Dropbox was read is written to the card more often";
        check.warn(text, advice);
        return;
    };
    let Ok(found) = Filesystem::under(&dir) else {
        return;
    };
    let text = format!("{RUNTIME} ({}) on {}", dir.display(), found.kind);
    match found.is_in_memory {
        true => check.ok(text),
        false => check.warn(
            format!("{text}, not in memory: an access token gets onto the disk"),
            advice,
        ),
    }
}

fn remount(dir: &Path) -> String {
    let error = std::io::Error::from(std::io::ErrorKind::ReadOnlyFilesystem);
    let advice = read_only_advice(&error);
    let target = in_command(dir);
    format!("sudo mount -o remount,rw \"$(findmnt -n -o TARGET -T {target})\"{advice}")
}

/// The content dir opened as a pass would; what is wrong is told.
pub fn opened(config: &Config, check: &mut Check) -> Option<RealDisk> {
    let dir = &config.sync.content_dir;
    let error = match RealDisk::open_content(dir) {
        Ok(disk) => return Some(disk),
        Err(error) => error,
    };
    let remedy = match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => format!(
            "mount its disk, make it, or correct sync.content_dir in {} (line {})",
            config.path.display(),
            config.content_dir_line
        ),
        _ => format!(
            "let {} read it, as with: sudo chown {} {}",
            own_name(),
            own_name(),
            in_command(dir)
        ),
    };
    check.fail(format!("{CONTENT}: {error}"), remedy);
    None
}

fn own_name() -> String {
    user_name(own_user())
}

/// Who may do what: with the content dir, what is in it, and the state.
pub fn permissions(config: &Config, disk: &RealDisk, tree: &WalkedTree, check: &mut Check) {
    let dir = &config.sync.content_dir;
    if own_user() == 0 {
        check.warn(
            "running as root; a mistake of any program then reaches everything",
            "give ferrybox a user of its own who owns the files (README, \"Run it by systemd or \
             cron\")",
        );
    }
    let worker = user_name(disk.user());
    let top = RelPath::root();
    match (disk.may_change(&top), comes_down(config)) {
        (true, _) => check.ok(format!("{worker} may read and change {CONTENT}")),
        (false, true) => check.fail(
            format!(
                "{worker} may not make files in {}, and so none come down",
                dir.display()
            ),
            format!("sudo chown {worker} {}", in_command(dir)),
        ),
        (false, false) => check.ok(format!("{worker} may read {CONTENT}, which is enough")),
    }
    let count = tree.unreadable.count;
    if count > 0 {
        let (files, they) = match count {
            1 => ("file or folder", "it"),
            _ => ("files and folders", "them"),
        };
        let names = tree.unreadable.names();
        check.warn(
            format!("{worker} may not read {} {files}: {names}", grouped(count)),
            format!("let {worker} read {they}, or leave {they} out with sync.ignore"),
        );
    }
}

/// Is the state where only its owner gets at it?
pub fn state_permissions(config: &Config, check: &mut Check) {
    let Ok(dir) = dirs::state_dir(config) else {
        return;
    };
    let shown = dir.display();
    let otherwise = config.invocation.command("doctor");
    let found: Result<_> = RealDisks.state_as_it_is(&dir);
    match found {
        Err(error) => {
            check.fail_as_told(&error.to_string(), &otherwise);
            return;
        }
        Ok(None) => {
            match may_make(&dir) {
                true => check.ok(format!(
                    "{STATE} {shown} is not there yet: the sign-in makes it"
                )),
                false => check.fail(
                    format!(
                        "{STATE} {shown} is not there, and {} may not make it",
                        own_name()
                    ),
                    format!(
                        "sudo install -d -m 700 -o {} {}",
                        own_name(),
                        in_command(&dir)
                    ),
                ),
            }
            return;
        }
        Ok(Some(_)) => {}
    }
    let mode = fs_err::metadata(&dir).map_or(0, |found| found.mode());
    if mode & 0o077 != 0 {
        check.warn(
            format!(
                "{STATE} {shown} is open to others (mode {:04o})",
                mode & 0o7777
            ),
            format!("chmod 700 {}", in_command(&dir)),
        );
    } else if may_write_into(&dir) {
        check.ok(format!("{STATE} is private"));
    } else {
        check.fail(
            format!("{} may not write to {STATE} {shown}", own_name()),
            format!("chmod u+rwx {}", in_command(&dir)),
        );
    }
}

/// Whether a directory and what leads to it can be made.
fn may_make(dir: &Path) -> bool {
    let is_there = |path: &&Path| fs_err::metadata(path).is_ok();
    let above = dir.ancestors().skip(1).find(is_there).map(PathBuf::from);
    above.is_some_and(|above| may_write_into(&above))
}
