//! Somebody who may write into the content dir of a gateway and means harm: he puts files, folders
//! and links where the agent keeps its own, and files of his in the place of what is in step. A
//! file of another, to which he can make links, stands for all that lies outside.

use std::path::Path;

use ferrybox::core::path::Key;
use ferrybox::index::Index;

use super::disk::SimDisk;
use super::files::is_own;
use super::random::Random;
use super::tree::Content;

/// A file of another user, with what must not become of it.
const VICTIM: &str = ".ferrybox-0badf00d-cafe.tmp";
const SECRET: &[u8] = b"nobody else's";
/// Who that is, and who the intruder is.
const OTHER: (u32, u32) = (4321, 4321);
const INTRUDER: (u32, u32) = (1234, 1234);

/// Names under which the agent writes before it renames.
const FIXED: [&str; 2] = [".ferrybox-root.new", ".ferrybox-root.tmp"];
const MARKER: &str = ".ferrybox-root";

/// What he does.
#[derive(Clone, Copy, Debug)]
pub enum Deed {
    /// Whatever the agent has left is a hard link to the victim now.
    Link,
    /// It is a symbolic link.
    Symlink,
    /// It belongs to the intruder, and everybody may write it.
    TakeOver,
    /// It is a folder.
    Folder,
    /// So is the marker; or a pipe.
    Marker,
    /// A file in step is one of his, with the same content, that everybody may read and write.
    Replace,
}

pub const DEEDS: [Deed; 6] = [
    Deed::Link,
    Deed::Symlink,
    Deed::TakeOver,
    Deed::Folder,
    Deed::Marker,
    Deed::Replace,
];

/// When he does it.
#[derive(Clone, Copy)]
pub enum Moment<'a> {
    /// Between passes; this is the index.
    AtRest(&'a Path),
    /// While a pass is at work. Whatever he puts in the place of a file on its way stays, as if he
    /// had put it into the place of the file a moment later: he leaves these alone, but for what he
    /// may do to the file itself.
    AtWork,
}

/// Does it, as far as there is something to do it to.
pub fn intrude(disk: &SimDisk, deed: Deed, path: &str, when: Moment<'_>, random: &mut Random) {
    // There is nothing yet, or the disk is away.
    if disk.look(MARKER).is_none() {
        return;
    }
    if disk.look(VICTIM).is_none() {
        disk.put(VICTIM, SECRET);
        disk.set_mode(VICTIM, 0o600);
        disk.set_owner(VICTIM, OTHER);
    }
    let (folder, _) = path.rsplit_once('/').unwrap_or(("", path));
    let mut names = left_by_the_agent(disk);
    if matches!(when, Moment::AtWork) {
        names.retain(|name| name.ends_with(".part"));
    }
    names.extend(FIXED.map(str::to_owned));
    match deed {
        Deed::Link => {
            for name in names {
                unlink(disk, &name);
                disk.hard_link(VICTIM, &name);
            }
        }
        Deed::Symlink => {
            for name in names {
                unlink(disk, &name);
                disk.put_special(&name, Content::Link);
            }
        }
        Deed::TakeOver => {
            let is_alone = |name: &String| {
                let tree = disk.tree();
                tree.find(name)
                    .is_ok_and(|found| tree.count_names(found) == 1)
            };
            for name in left_by_the_agent(disk).into_iter().filter(is_alone) {
                disk.set_mode(&name, 0o666);
                disk.set_owner(&name, INTRUDER);
            }
        }
        Deed::Folder => {
            for name in names {
                unlink(disk, &name);
                disk.mkdir(&name);
            }
        }
        Deed::Marker => {
            unlink(disk, MARKER);
            match random.chance(50) {
                true => disk.mkdir(MARKER),
                false => disk.put_special(MARKER, Content::Special),
            }
        }
        Deed::Replace => {
            let Some(bytes) = disk.content(path).filter(|_| !folder.starts_with('.')) else {
                return;
            };
            if !was_somebody_elses(when, path) {
                return;
            }
            disk.remove(path);
            disk.put(path, &bytes);
            disk.set_mode(path, 0o666);
            disk.set_owner(path, INTRUDER);
        }
    }
}

/// Whether a file is known as another's than the intruder's.
fn was_somebody_elses(when: Moment<'_>, path: &str) -> bool {
    let Moment::AtRest(index) = when else {
        return false;
    };
    let row = match Index::open(index) {
        Ok(Some(index)) => index.row(&Key::of(path)),
        _ => return false,
    };
    let known = row
        .ok()
        .flatten()
        .and_then(|row| row.base_file().map(|base| base.stamp.rights));
    known
        .flatten()
        .is_some_and(|rights| (rights.uid, rights.gid) != INTRUDER)
}

/// He is gone, and what he put in the way as well. His files stay.
pub fn leave(disk: &SimDisk) {
    let files = disk.tree().files();
    let names = files
        .into_keys()
        .map(|path| path.trim_end_matches('/').to_owned());
    for path in names.filter(|path| is_own(path) && *path != MARKER) {
        unlink(disk, &path);
    }
    let marker = disk.look(MARKER);
    if marker.is_some_and(|status| status.kind != ferrybox::io::stat::Kind::File) {
        unlink(disk, MARKER);
    }
}

/// What has become of the victim that must not.
pub fn objection(disk: &SimDisk) -> Option<String> {
    let status = disk.look(VICTIM)?;
    let is_as_before = disk.content(VICTIM).as_deref() == Some(SECRET)
        && status.mode & 0o777 == 0o600
        && (status.uid, status.gid) == OTHER;
    (!is_as_before).then(|| format!("a file outside is {status:?} now"))
}

fn left_by_the_agent(disk: &SimDisk) -> Vec<String> {
    let files = disk.tree().files();
    let names = files.into_keys().filter(|path| {
        is_own(path) && !path.contains("0badf00d") && path != MARKER && !path.ends_with('/')
    });
    names.collect()
}

fn unlink(disk: &SimDisk, path: &str) {
    if disk.look(path).is_some() {
        disk.remove(path);
    }
}
