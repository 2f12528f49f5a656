//! What the process is told about itself: its environment, its home directory, the machine's name.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// An environment variable, if it is set and not empty.
pub fn env(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The home directory: `$HOME`, else the one in the password file, since cron and systemd may set
/// none.
pub fn home() -> Option<PathBuf> {
    if let Some(home) = env("HOME") {
        return Some(home.into());
    }
    let uid = rustix::process::getuid().as_raw().to_string();
    let passwd = fs_err::read_to_string("/etc/passwd").ok()?;
    passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.len() >= 6 && fields[2] == uid)
        .map(|fields| PathBuf::from(fields[5]))
}

/// The user at work.
pub fn own_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// A user as `sudo -u` takes one: by name, or by number where none is known.
pub fn user_name(uid: u32) -> String {
    let number = uid.to_string();
    let passwd = fs_err::read_to_string("/etc/passwd").unwrap_or_default();
    passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.len() >= 3 && fields[2] == number)
        .map_or_else(|| format!("#{uid}"), |fields| fields[0].to_owned())
}

/// The group of a user and the other groups it is in; nothing where none is known.
pub(super) fn groups_of(uid: u32) -> Option<(u32, Vec<u32>)> {
    let number = uid.to_string();
    let passwd = fs_err::read_to_string("/etc/passwd").ok()?;
    let users = passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>());
    let user = users
        .into_iter()
        .find(|fields| fields.len() >= 4 && fields[2] == number)?;
    let own = user[3].parse().ok()?;
    let groups = fs_err::read_to_string("/etc/group").unwrap_or_default();
    let others = groups
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>());
    let others = others
        .filter(|fields| fields.len() >= 4 && fields[3].split(',').any(|name| name == user[0]));
    Some((
        own,
        others.filter_map(|fields| fields[2].parse().ok()).collect(),
    ))
}

/// Whether stdin has more to read, or has ended, within this time.
pub fn has_more_input(within: Duration) -> bool {
    let stdin = std::io::stdin();
    let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
    let timeout = Timespec::try_from(within).ok();
    poll(&mut fds, timeout.as_ref()).is_ok_and(|ready| ready > 0)
}

/// This machine's name.
pub fn hostname() -> String {
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    if name.is_empty() {
        "gateway".to_owned()
    } else {
        name
    }
}
