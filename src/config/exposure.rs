//! Who else could change what a name stands for: files and directories that decide whom we trust,
//! and those that are written to.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::io::Errno;

use crate::core::invocation::quoted;

/// Write bits of everybody, and of a group.
const BY_EVERYBODY: u32 = 0o002;
const BY_GROUP: u32 = 0o020;
/// In such a directory nobody but its owner can rename or remove what belongs to others.
const STICKY: u32 = 0o1000;

/// The access list of a file, beyond its permission bits.
const LIST: &str = "system.posix_acl_access";

/// Somebody else can change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposed {
    /// Who can, as it is said behind the name.
    pub what: String,
    /// What to do: a command.
    pub remedy: String,
}

/// Who but root and the user at work can write to a file.
pub fn of_file(path: &Path, metadata: &Metadata) -> Option<Exposed> {
    let (shown, user) = (shown(path), user());
    if !is_trusted(metadata) {
        let owner = metadata.uid();
        return Some(Exposed {
            what: format!("belongs to another user (uid {owner}), who can change it"),
            remedy: format!("run ferrybox as that user, or: chown {user} {shown}"),
        });
    }
    let (who, remedy) = writers(path, metadata)?;
    Some(Exposed {
        what: format!("can be changed by {who}"),
        remedy: format!("{remedy} {shown}"),
    })
}

/// Who but root and the user at work can put something else in the place of what lies in this
/// directory. With the sticky bit nobody can who does not own it: that remains to be asked.
pub fn of_dir(dir: &Path, metadata: &Metadata) -> Option<Exposed> {
    let shown = shown(dir);
    if !is_trusted(metadata) {
        let owner = metadata.uid();
        return Some(Exposed {
            what: format!("can be replaced by another user (uid {owner}), who owns {shown}"),
            remedy: format!(
                "run ferrybox as that user, name another directory, or: chown {} {shown}",
                user()
            ),
        });
    }
    if metadata.mode() & STICKY != 0 {
        return None;
    }
    let (who, remedy) = writers(dir, metadata)?;
    Some(Exposed {
        what: format!("can be replaced by {who}"),
        remedy: format!("{remedy} {shown}"),
    })
}

/// Why a file of our own is not ours alone: it belongs to another user, others can write to it, or
/// it has another name, which may be anywhere.
pub fn of_own_file(metadata: &Metadata) -> Option<String> {
    let (owner, mode) = (metadata.uid(), metadata.mode());
    if !metadata.is_file() {
        return Some("is not a regular file".to_owned());
    }
    if owner != user() {
        return Some(format!("belongs to another user (uid {owner})"));
    }
    if mode & (BY_EVERYBODY | BY_GROUP) != 0 {
        return Some(format!(
            "can be changed by others (mode {:04o})",
            mode & 0o7777
        ));
    }
    (metadata.nlink() > 1).then(|| "has another name (a hard link)".to_owned())
}

fn shown(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Whether it belongs to somebody who can change everything of ours as it is.
fn is_trusted(metadata: &Metadata) -> bool {
    metadata.uid() == 0 || metadata.uid() == user()
}

/// Who else may write, and the command that takes it from them.
fn writers(path: &Path, metadata: &Metadata) -> Option<(String, &'static str)> {
    if metadata.mode() & BY_EVERYBODY != 0 {
        return Some(("every user of this machine".to_owned(), "chmod o-w"));
    }
    if metadata.mode() & BY_GROUP == 0 {
        return None;
    }
    // With a list the group's bits are a mask for all on it.
    if has_list(path) {
        return Some(("users of its access list".to_owned(), "setfacl -b"));
    }
    let gid = metadata.gid();
    let of = |name: &str| std::fs::read_to_string(name).unwrap_or_default();
    let is_private = is_private(metadata.uid(), gid, &of("/etc/passwd"), &of("/etc/group"));
    (!is_private).then(|| (format!("a group (gid {gid})"), "chmod g-w"))
}

fn has_list(path: &Path) -> bool {
    let mut none = [0; 0];
    !matches!(
        rustix::fs::getxattr(path, LIST, &mut none[..]),
        Err(Errno::NODATA | Errno::OPNOTSUPP)
    )
}

/// Whether a group is that of this user and of nobody else, as many systems give one to each user.
fn is_private(uid: u32, gid: u32, passwd: &str, group: &str) -> bool {
    let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
    let users: Vec<_> = passwd
        .lines()
        .map(fields)
        .filter(|user| user.len() > 3)
        .collect();
    let has = |field: &str, number: u32| field.parse() == Ok(number);
    let is_of = |user: &Vec<String>| has(&user[2], uid);
    let mut in_it = users.iter().filter(|user| has(&user[3], gid)).peekable();
    let is_its_own = in_it.peek().is_some() && in_it.all(is_of);
    let is_name = |name: &str| users.iter().any(|user| user[0] == name && is_of(user));
    let mut groups = group.lines().map(fields);
    let is_shared = groups.any(|group| {
        let members = group.get(3).filter(|_| has(&group[2], gid));
        let mut members = members.into_iter().flat_map(|all| all.split(','));
        members.any(|name| !name.is_empty() && !is_name(name))
    });
    is_its_own && !is_shared
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, chown};

    use super::*;

    /// W4.
    #[test]
    fn w4_a_group_is_private_that_has_one_user_and_no_other() {
        let passwd = "root:x:0:0::/:\npi:x:1000:1000::/:\nann:x:1001:100::/:\nbob:x:1002:100::/:\n\
                      pi2:x:1003:1000";
        let group = "root:x:0:\npi:x:1000:pi\nusers:x:100:\ngames:x:60:pi\n";
        for (uid, gid, is) in [
            (0, 0, true),
            (1000, 1000, false),
            (1001, 100, false),
            (1000, 60, false),
            (1000, 4242, false),
            (4242, 4242, false),
        ] {
            assert_eq!(is_private(uid, gid, passwd, group), is, "{uid} {gid}");
        }
        let passwd = passwd.replace("\npi2:x:1003:1000", "");
        assert!(is_private(1000, 1000, &passwd, group));
        assert!(!is_private(1000, 1000, &passwd, "pi:x:1000:pi,ann\n"));
        assert!(!is_private(0, 0, &passwd, "root:x:0:pi\n"));
        assert!(is_private(0, 0, &passwd, ""));
    }

    /// W4: who can be asked of a file and of the directory it is in.
    #[test]
    fn w4_who_else_can_change_a_name_is_told_with_a_command() {
        let dir = std::env::temp_dir().join(format!("ferrybox-exposed-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        let told = |mode: u32, owner: Option<u32>, group: Option<u32>| {
            fs::set_permissions(&dir, Permissions::from_mode(mode)).unwrap();
            if chown(&dir, owner, group).is_err() {
                return None;
            }
            let metadata = fs::metadata(&dir).unwrap();
            let line = |told: Option<Exposed>| {
                told.map_or(String::new(), |told| {
                    format!("{}; {}", told.what, told.remedy)
                })
            };
            let lines = (
                line(of_file(&dir, &metadata)),
                line(of_dir(&dir, &metadata)),
            );
            Some(lines)
        };
        for mode in [0o700, 0o755] {
            assert_eq!(told(mode, None, None), Some((String::new(), String::new())));
        }
        let (file, of_dir) = told(0o757, None, None).unwrap();
        assert!(file.starts_with("can be changed by every user") && file.contains("chmod o-w /"));
        assert!(of_dir.starts_with("can be replaced by every user of this machine; chmod o-w /"));
        let (file, of_dir) = told(0o1777, None, None).unwrap();
        assert!(!file.is_empty() && of_dir.is_empty());
        // Only root can give it away.
        if let Some((file, of_dir)) = told(0o775, None, Some(4242)) {
            assert!(
                file.contains("by a group (gid 4242); chmod g-w /"),
                "{file}"
            );
            assert!(
                of_dir.contains("by a group (gid 4242); chmod g-w /"),
                "{of_dir}"
            );
        }
        if let Some((file, of_dir)) = told(0o1755, Some(4242), None) {
            assert!(file.contains("another user (uid 4242)") && file.contains("chown 0 /"));
            assert!(
                of_dir.contains("replaced by another user (uid 4242)"),
                "{of_dir}"
            );
        }
        fs::remove_dir(&dir).unwrap();
    }
}
