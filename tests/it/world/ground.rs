//! What a world stands on: real directories, or a machine in memory.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::XattrFlags;

use crate::sim::disk::SimDisk;
use crate::sim::machine::Gateway;
use crate::sim::tree::{Content, Tree};

/// Free memory from which on directories are kept there, in bytes: a pass leaves a reserve of
/// 64 MiB.
const ROOMY: u64 = 512 << 20;

/// Where a filesystem keeps the access list of a file.
const LIST: &str = "system.posix_acl_access";

/// A directory of its own for a test, removed at its end.
pub struct TempDir(PathBuf);

impl TempDir {
    /// In memory where there is room: forcing files to a medium is what takes time.
    pub fn new() -> TempDir {
        let memory = Path::new("/dev/shm");
        let is_roomy = rustix::fs::statvfs(memory)
            .is_ok_and(|vfs| vfs.f_bavail.saturating_mul(vfs.f_frsize) > ROOMY);
        if is_roomy {
            TempDir::inside(memory)
        } else {
            TempDir::inside(&std::env::temp_dir())
        }
    }

    pub fn inside(dir: &Path) -> TempDir {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ferrybox-test-{}-{count}", std::process::id());
        let path = dir.join(name);
        fs::create_dir(&path).unwrap();
        TempDir(path.canonicalize().unwrap())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A machine in memory, whose content dir can be taken away.
pub struct Sim {
    pub gateway: Gateway,
    away: RefCell<Option<Tree>>,
}

impl Sim {
    pub fn new(gateway: Gateway) -> Sim {
        Sim {
            gateway,
            away: RefCell::default(),
        }
    }

    pub fn take_away(&self) {
        *self.away.borrow_mut() = Some(self.gateway.content.saved());
        self.lose();
    }

    pub fn lose(&self) {
        self.gateway.content_is_missing.set(true);
        self.gateway.content.restore(&Tree::new(0));
    }

    pub fn bring_back(&self) {
        let tree = self.away.borrow_mut().take().unwrap();
        self.gateway.content.restore(&tree);
        self.gateway.content_is_missing.set(false);
    }
}

/// What a person at the gateway can do to the content dir, in a hook as well.
#[derive(Clone)]
pub enum Hands {
    Real(PathBuf),
    Sim(SimDisk),
}

impl Hands {
    /// Writes a file in place, with the folders above it.
    pub fn put(&self, path: &str, content: &[u8]) {
        match self {
            Hands::Real(dir) => {
                let file = dir.join(path);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, content).unwrap();
            }
            Hands::Sim(disk) => disk.put(path, content),
        }
    }

    pub fn append(&self, path: &str, more: &[u8]) {
        match self {
            Hands::Real(dir) => {
                let mut log = fs::File::options()
                    .append(true)
                    .open(dir.join(path))
                    .unwrap();
                std::io::Write::write_all(&mut log, more).unwrap();
            }
            Hands::Sim(disk) => disk.append(path, more),
        }
    }

    pub fn mkdir(&self, path: &str) {
        match self {
            Hands::Real(dir) => fs::create_dir_all(dir.join(path)).unwrap(),
            Hands::Sim(disk) => disk.mkdir(path),
        }
    }

    pub fn remove(&self, path: &str) {
        match self {
            Hands::Real(dir) => {
                let path = dir.join(path);
                if fs::symlink_metadata(&path).unwrap().is_dir() {
                    fs::remove_dir_all(path)
                } else {
                    fs::remove_file(path)
                }
                .unwrap();
            }
            Hands::Sim(disk) => disk.remove(path),
        }
    }

    pub fn rename(&self, from: &str, to: &str) {
        match self {
            Hands::Real(dir) => fs::rename(dir.join(from), dir.join(to)).unwrap(),
            Hands::Sim(disk) => disk.rename(from, to),
        }
    }

    /// A link that leads somewhere, or what a disk in memory has in its place.
    pub fn link(&self, to: &str, path: &str) {
        match self {
            Hands::Real(dir) => std::os::unix::fs::symlink(to, dir.join(path)).unwrap(),
            Hands::Sim(disk) => disk.put_special(path, Content::Link),
        }
    }

    /// A socket nobody listens on.
    pub fn make_socket(&self, path: &str) {
        match self {
            Hands::Real(dir) => drop(UnixListener::bind(dir.join(path)).unwrap()),
            Hands::Sim(disk) => disk.put_special(path, Content::Special),
        }
    }

    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        match self {
            Hands::Real(dir) => fs::read(dir.join(path)).ok(),
            Hands::Sim(disk) => disk.content(path),
        }
    }

    pub fn set_mtime(&self, path: &str, seconds: u64) {
        match self {
            Hands::Real(dir) => {
                let file = fs::File::open(dir.join(path)).unwrap();
                file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds))
                    .unwrap();
            }
            Hands::Sim(disk) => disk.set_mtime(path, seconds),
        }
    }

    pub fn mtime(&self, path: &str) -> u64 {
        match self {
            Hands::Real(dir) => {
                let modified = fs::metadata(dir.join(path)).unwrap().modified().unwrap();
                modified.duration_since(UNIX_EPOCH).unwrap().as_secs()
            }
            Hands::Sim(disk) => {
                let ns = disk.look(path).unwrap().stamp.mtime_ns;
                ns.div_euclid(1_000_000_000) as u64
            }
        }
    }

    pub fn set_mode(&self, path: &str, mode: u32) {
        match self {
            Hands::Real(dir) => {
                let mode = fs::Permissions::from_mode(mode);
                fs::set_permissions(dir.join(path), mode).unwrap();
            }
            Hands::Sim(disk) => disk.set_mode(path, mode),
        }
    }

    /// Gives a file to another user; says whether we may.
    pub fn set_owner(&self, path: &str, user: u32) -> bool {
        match self {
            Hands::Real(dir) => {
                std::os::unix::fs::chown(dir.join(path), Some(user), Some(user)).is_ok()
            }
            Hands::Sim(disk) => {
                disk.set_owner(path, (user, user));
                true
            }
        }
    }

    /// Owner and group of a file.
    pub fn owner(&self, path: &str) -> (u32, u32) {
        match self {
            Hands::Real(dir) => {
                let found = fs::metadata(dir.join(path)).unwrap();
                (found.uid(), found.gid())
            }
            Hands::Sim(disk) => {
                let found = disk.look(path).unwrap();
                (found.uid, found.gid)
            }
        }
    }

    /// Gives a file one more name.
    pub fn hard_link(&self, from: &str, to: &str) {
        match self {
            Hands::Real(dir) => fs::hard_link(dir.join(from), dir.join(to)).unwrap(),
            Hands::Sim(disk) => disk.hard_link(from, to),
        }
    }

    /// Gives a file an access list that lets one more user read it; says whether there are lists.
    pub fn add_reader(&self, path: &str, user: u32) -> bool {
        let entry = |tag: u16, may: u16, id: u32| {
            let (tag, may, id) = (tag.to_le_bytes(), may.to_le_bytes(), id.to_le_bytes());
            [&tag[..], &may, &id].concat()
        };
        let nobody = u32::MAX;
        // The owner, the user, the owning group, the mask, all others.
        let list = [
            2u32.to_le_bytes().to_vec(),
            entry(1, 6, nobody),
            entry(2, 4, user),
            entry(4, 0, nobody),
            entry(16, 4, nobody),
            entry(32, 0, nobody),
        ]
        .concat();
        match self {
            Hands::Real(dir) => {
                let flags = XattrFlags::empty();
                rustix::fs::setxattr(dir.join(path), LIST, &list, flags).is_ok()
            }
            Hands::Sim(disk) => {
                disk.set_list(path, &list);
                disk.set_mode(path, 0o640);
                true
            }
        }
    }

    /// The access list of a file.
    pub fn list(&self, path: &str) -> Option<Vec<u8>> {
        match self {
            Hands::Real(dir) => {
                let mut list = vec![0; 1024];
                let length = rustix::fs::getxattr(dir.join(path), LIST, &mut list[..]).ok()?;
                list.truncate(length);
                Some(list)
            }
            Hands::Sim(disk) => {
                let tree = disk.tree();
                tree.list_of(tree.find(path).unwrap())
            }
        }
    }

    pub fn mode(&self, path: &str) -> u32 {
        let mode = match self {
            Hands::Real(dir) => fs::metadata(dir.join(path)).unwrap().permissions().mode(),
            Hands::Sim(disk) => disk.look(path).unwrap().mode,
        };
        mode & 0o7777
    }

    /// Files by path; folders end with a slash.
    pub fn tree(&self) -> BTreeMap<String, Arc<Vec<u8>>> {
        match self {
            Hands::Real(dir) => {
                let mut tree = BTreeMap::new();
                walk(dir, "", &mut tree);
                tree
            }
            Hands::Sim(disk) => disk.tree().files(),
        }
    }
}

fn walk(dir: &Path, prefix: &str, tree: &mut BTreeMap<String, Arc<Vec<u8>>>) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type().unwrap().is_dir() {
            tree.insert(format!("{path}/"), Arc::default());
            walk(&entry.path(), &format!("{path}/"), tree);
        } else {
            tree.insert(path, Arc::new(fs::read(entry.path()).unwrap_or_default()));
        }
    }
}
