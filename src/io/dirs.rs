//! Where our own things are on this machine: the state and the runtime directory.

use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::{ErrorKind, IsTerminal};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::config::exposure;
use crate::core::invocation::Invocation;
use crate::error::{Error, Result, state_error};
use crate::io::RealDisk;
use crate::io::disk::{Disk, Disks};
use crate::io::env::{env, home, user_name};
use crate::words::printable;

/// `statfs` magic number of tmpfs.
const TMPFS_MAGIC: i128 = 0x0102_1994;

/// The sign-in in the state directory.
const SIGN_IN_FILE: &str = "token.json";
/// What is in a state directory, and what a filesystem of its own has in it.
const STATE_FILES: [&str; 7] = [
    SIGN_IN_FILE,
    "pending-auth.json",
    "personal-account.json",
    "cursor.json",
    "index.db",
    "index.db-journal",
    "lost+found",
];
/// A file that is just being written has this behind its name.
const UNFINISHED: &str = ".new";

/// Users of services, by convention.
const SYSTEM_USERS: std::ops::Range<u32> = 1..1000;

/// The state directory: `state.dir`, else `$STATE_DIRECTORY`, else `/var/lib/ferrybox` as root,
/// else below `$XDG_STATE_HOME` or the home directory.
///
/// # Errors
/// [`Error::Failed`] if there is no home directory either.
pub fn state_dir(config: &Config) -> Result<PathBuf> {
    if let Some(dir) = &config.state_dir {
        return Ok(dir.clone());
    }
    if let Some(dirs) = env("STATE_DIRECTORY") {
        // systemd separates several directories by colons; the first is ours.
        let first = dirs.to_string_lossy().split(':').next().map(PathBuf::from);
        return Ok(first.unwrap_or_default());
    }
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/ferrybox"));
    }
    if let Some(dir) = env("XDG_STATE_HOME") {
        return Ok(Path::new(&dir).join("ferrybox"));
    }
    home()
        .map(|home| home.join(".local/state/ferrybox"))
        .ok_or_else(|| {
            Error::Failed("there is no home directory to keep state in: set state.dir".to_owned())
        })
}

/// Who owns the state directory, if that is another user than the one at work.
pub fn other_owner(dir: &Path) -> Option<String> {
    let owner = fs_err::metadata(dir).ok()?.uid();
    let is_other = owner != rustix::process::geteuid().as_raw();
    is_other.then(|| user_name(owner))
}

/// How the program is called so that a command finds this state and this configuration, by whoever
/// reads of it; `named` is the configuration where it has to be named.
pub fn invocation(config: &Config, named: Option<&Path>) -> Invocation {
    let dir = state_dir(config).ok();
    let user = rustix::process::geteuid().as_raw();
    // Nobody logs in as a system user: what it says is read by somebody else.
    let is_service = SYSTEM_USERS.contains(&user) && !std::io::stderr().is_terminal();
    let owner = dir.as_deref().and_then(other_owner);
    let owner = owner.or_else(|| is_service.then(|| user_name(user)));
    // The one of the environment is known to who was started with it alone.
    let of_env = config.state_dir.is_none() && env("STATE_DIRECTORY").is_some();
    let state = dir.as_deref().filter(|_| of_env);
    Invocation::new(owner.as_deref(), state, named)
}

/// Opens the state directory, which is made if there is none, and made private if it is only ours.
///
/// It is what was opened that is asked and changed, never what a path stands for: a link is not
/// followed, and where others could put one in its place it is not used.
///
/// # Errors
/// What the system says; [`Error::Failed`] if it is or may become somebody else's.
pub fn open_state(dir: &Path) -> Result<RealDisk> {
    let wrap = |error: std::io::Error| state_error("use the state directory (state.dir)", &error);
    let opened = match opened_state(dir)? {
        Some(opened) => opened,
        None => {
            make_state(dir)?;
            opened_state(dir)?.ok_or_else(|| wrap(ErrorKind::NotFound.into()))?
        }
    };
    let mode = opened.metadata().map_err(wrap)?.mode();
    // Beside a sign-in that others could read, the mode is told of where that is read.
    if mode & 0o077 != 0 && !dir.join(SIGN_IN_FILE).exists() {
        if let Some(name) = foreign_name(dir).map_err(wrap)? {
            return Err(Error::Failed(format!(
                "the state directory {} is open to others (mode {:04o}) and holds {}, which is not \
                 ferrybox's: name a directory of its own with state.dir",
                dir.display(),
                mode & 0o7777,
                printable(&name)
            )));
        }
        let private = std::fs::Permissions::from_mode(0o700);
        opened.set_permissions(private).map_err(wrap)?;
    }
    Ok(RealDisk::over(dir, opened))
}

/// The state directory, if there is one, and it is ours: what was opened, not what its path stands
/// for at another time.
fn opened_state(dir: &Path) -> Result<Option<File>> {
    let wrap = |error: std::io::Error| state_error("use the state directory (state.dir)", &error);
    let opened = match open_dir(dir) {
        Ok(opened) => opened,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            let named: PathBuf = dir.components().collect();
            let Ok(target) = std::fs::read_link(named) else {
                let dir = dir.display();
                return Err(wrap(std::io::Error::new(
                    error.kind(),
                    format!("{dir}: {error}"),
                )));
            };
            return Err(Error::Failed(format!(
                "the state directory {} is a link to {}, which could be anybody's: name the \
                 directory itself with state.dir",
                dir.display(),
                target.display()
            )));
        }
    };
    let metadata = opened.metadata().map_err(wrap)?;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(Error::Failed(format!(
            "the state directory {} belongs to another user ({}); run ferrybox as that user, or \
             name another with state.dir",
            dir.display(),
            user_name(metadata.uid())
        )));
    }
    // Of what was opened, wherever its path leads by now.
    check_above(dir, &parent_of(&opened).map_err(wrap)?)?;
    Ok(Some(opened))
}

/// Makes the state directory and what leads to it, for its owner alone.
fn make_state(dir: &Path) -> Result<()> {
    let wrap = |error: std::io::Error| state_error(&format!("make {}", dir.display()), &error);
    let mut private = std::fs::DirBuilder::new();
    private.mode(0o700).recursive(true);
    private.create(above(dir)).map_err(wrap)?;
    check_above(dir, &fs_err::metadata(above(dir)).map_err(wrap)?)?;
    private
        .recursive(false)
        .create(dir)
        .or_else(|error| match error.kind() {
            // What has come meanwhile is looked at like any other.
            ErrorKind::AlreadyExists => Ok(()),
            _ => Err(error),
        })
        .map_err(wrap)
}

/// Refuses a state directory in one where others could put something else in its place.
fn check_above(dir: &Path, parent: &Metadata) -> Result<()> {
    match exposure::of_dir(above(dir), parent) {
        None => Ok(()),
        Some(exposed) => Err(Error::Failed(format!(
            "the state directory {} {}; {}, or name another with state.dir",
            dir.display(),
            exposed.what,
            exposed.remedy
        ))),
    }
}

/// The directory that this one is in.
fn above(dir: &Path) -> &Path {
    match dir.parent() {
        Some(above) if above.as_os_str().is_empty() => Path::new("."),
        Some(above) => above,
        None => dir,
    }
}

/// Opens a directory, and no link to one.
///
/// # Errors
/// What the system says.
pub fn open_dir(dir: &Path) -> std::io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    // With a slash at its end, or a dot, a link would be followed all the same.
    let dir: PathBuf = dir.components().collect();
    Ok(File::from(rustix::fs::open(&dir, flags, Mode::empty())?))
}

/// What `stat` says of the directory that an open one is in.
fn parent_of(dir: &File) -> std::io::Result<Metadata> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC;
    File::from(rustix::fs::openat(dir, "..", flags, Mode::empty())?).metadata()
}

/// A name in the state directory that is none of ours.
fn foreign_name(dir: &Path) -> std::io::Result<Option<String>> {
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let known = name.strip_suffix(UNFINISHED).unwrap_or(&name);
        if !STATE_FILES.contains(&known) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Where configurations are: beside this one, and where they are looked for.
pub fn config_dirs(config: &Path) -> Vec<PathBuf> {
    let above = config.parent().map(Path::to_owned);
    let user = env("XDG_CONFIG_HOME").map(PathBuf::from);
    let user = user.or_else(|| Some(home()?.join(".config")));
    let user = user.map(|dir| dir.join("ferrybox"));
    let system = PathBuf::from("/etc/ferrybox");
    above.into_iter().chain(user).chain([system]).collect()
}

/// Where root keeps what is short-lived: its environment may be that of another user.
const RUNTIME_OF_ROOT: &str = "/run/ferrybox";

/// Where runs with any environment keep what is short-lived: under systemd, in a session, as root,
/// and without any of these.
pub fn runtime_dirs() -> Vec<PathBuf> {
    let uid = rustix::process::geteuid().as_raw();
    let session = |dir: &Path| dir.join("ferrybox");
    let mut dirs = services_runtime_dirs();
    dirs.extend(env("XDG_RUNTIME_DIR").map(|dir| session(Path::new(&dir))));
    dirs.push(session(Path::new(&format!("/run/user/{uid}"))));
    dirs.push(PathBuf::from(RUNTIME_OF_ROOT));
    dirs.push(shared_runtime_dir());
    dirs
}

fn services_runtime_dirs() -> Vec<PathBuf> {
    let all = env("RUNTIME_DIRECTORY").unwrap_or_default();
    let all = all.to_string_lossy().into_owned();
    let dirs = all.split(':').filter(|dir| !dir.is_empty());
    dirs.map(PathBuf::from).collect()
}

fn shared_runtime_dir() -> PathBuf {
    let uid = rustix::process::geteuid().as_raw();
    PathBuf::from(format!("/dev/shm/ferrybox-{uid}"))
}

/// Where this run keeps what is short-lived, and which permissions others must not have there.
fn runtime_dir() -> Option<(PathBuf, u32)> {
    if let Some(dir) = services_runtime_dirs().into_iter().next() {
        // systemd makes it 0755 by default; the files in it are private.
        return Some((dir, 0o022));
    }
    let is_root = rustix::process::geteuid().is_root();
    let dir = match session_dir(env("XDG_RUNTIME_DIR"), is_root) {
        Some(dir) => dir,
        None if is_root && is_in_memory("/run") => PathBuf::from(RUNTIME_OF_ROOT),
        None if is_in_memory("/dev/shm") => shared_runtime_dir(),
        None => return None,
    };
    Some((dir, 0o077))
}

/// A private directory in memory for what is short-lived, if the machine has one.
pub fn open_runtime() -> Option<RealDisk> {
    let (dir, shut_to_others) = runtime_dir()?;
    if shut_to_others == 0o022 {
        return RealDisk::open_own(&dir, shut_to_others).ok();
    }
    // Whoever made it first: it counts only if it is ours alone, and no link.
    let _ = std::fs::DirBuilder::new().mode(0o700).create(&dir);
    RealDisk::open_own(&dir, shut_to_others).ok()
}

/// A directory that another run keeps what is short-lived in, to look at: one of ours, or of the
/// user whose state we may read.
pub fn open_runtime_at(dir: &Path) -> Option<RealDisk> {
    RealDisk::open_own(dir, 0o022).ok()
}

/// The directory in that of a session. Root has none: the session may be that of whoever called
/// `su`, who can exchange what is in it.
pub fn session_dir(xdg: Option<OsString>, is_root: bool) -> Option<PathBuf> {
    let of_us = xdg.filter(|_| !is_root)?;
    Some(Path::new(&of_us).join("ferrybox"))
}

fn is_in_memory(dir: &str) -> bool {
    rustix::fs::statfs(dir).is_ok_and(|stat| i128::from(stat.f_type) == TMPFS_MAGIC)
}

/// The path without links, as far as it exists; the rest of it as it is written.
pub fn without_links(path: &Path) -> PathBuf {
    let mut rest = Vec::new();
    let mut above = path;
    loop {
        if let Ok(real) = fs_err::canonicalize(above) {
            return rest.iter().rev().fold(real, |real, name| real.join(name));
        }
        match (above.parent(), above.file_name()) {
            (Some(parent), Some(name)) => {
                rest.push(name);
                above = parent;
            }
            _ => return path.to_owned(),
        }
    }
}

/// The directory trees of this machine.
pub struct RealDisks;

impl Disks for RealDisks {
    fn content(&self, dir: &Path) -> std::io::Result<Box<dyn Disk>> {
        Ok(Box::new(RealDisk::open_content(dir)?))
    }

    fn state(&self, dir: &Path) -> Result<Box<dyn Disk>> {
        Ok(Box::new(open_state(dir)?))
    }

    fn state_as_it_is(&self, dir: &Path) -> Result<Option<Box<dyn Disk>>> {
        let opened = opened_state(dir)?;
        Ok(opened.map(|opened| Box::new(RealDisk::over(dir, opened)) as Box<dyn Disk>))
    }

    fn runtime(&self) -> Option<Box<dyn Disk>> {
        Some(Box::new(open_runtime()?))
    }

    fn runtime_dir(&self) -> Option<PathBuf> {
        runtime_dir().map(|(dir, _)| dir)
    }
}
