//! Where our own things are on this machine: the state and the runtime directory.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::core::invocation::Invocation;
use crate::error::{Error, Result, state_error};
use crate::io::RealDisk;
use crate::io::disk::{Disk, Disks};
use crate::io::env::{env, home, user_name};

/// `statfs` magic number of tmpfs.
const TMPFS_MAGIC: i128 = 0x0102_1994;

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

/// Opens the state directory; made private if it is new or still empty of secrets.
///
/// # Errors
/// What the system says.
pub fn open_state(dir: &Path) -> Result<RealDisk> {
    let wrap = |error: std::io::Error| state_error("use the state directory (state.dir)", &error);
    if !dir.exists() {
        if let Some(parent) = dir.parent() {
            fs_err::create_dir_all(parent).map_err(wrap)?;
        }
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(dir)
            .map_err(|error| Error::Failed(format!("cannot make {}: {error}", dir.display())))?;
    }
    let metadata = fs_err::metadata(dir).map_err(wrap)?;
    let user = rustix::process::geteuid().as_raw();
    if metadata.uid() != user {
        return Err(Error::Failed(format!(
            "the state directory {} belongs to another user ({}); run ferrybox as that user, or \
             name another with state.dir",
            dir.display(),
            user_name(metadata.uid())
        )));
    }
    if metadata.permissions().mode() & 0o077 != 0 && !dir.join("token.json").exists() {
        let private = std::fs::Permissions::from_mode(0o700);
        fs_err::set_permissions(dir, private).map_err(wrap)?;
    }
    RealDisk::open(dir).map_err(wrap)
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

/// A private directory in memory for the short-lived access token, if the machine has one.
pub fn open_runtime() -> Option<RealDisk> {
    if let Some(dir) = services_runtime_dirs().into_iter().next() {
        // systemd makes it 0755 by default; the files in it are private.
        return RealDisk::open_own(&dir, 0o022).ok();
    }
    let is_root = rustix::process::geteuid().is_root();
    let dir = match session_dir(env("XDG_RUNTIME_DIR"), is_root) {
        Some(dir) => dir,
        None if is_root && is_in_memory("/run") => PathBuf::from(RUNTIME_OF_ROOT),
        None if is_in_memory("/dev/shm") => shared_runtime_dir(),
        None => return None,
    };
    // Whoever made it first: it counts only if it is ours alone, and no link.
    let _ = std::fs::DirBuilder::new().mode(0o700).create(&dir);
    RealDisk::open_own(&dir, 0o077).ok()
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
        if !dir.exists() {
            return Ok(None);
        }
        let wrap = |error: std::io::Error| state_error("use the state directory", &error);
        Ok(Some(Box::new(RealDisk::open(dir).map_err(wrap)?)))
    }

    fn runtime(&self) -> Option<Box<dyn Disk>> {
        Some(Box::new(open_runtime()?))
    }
}
