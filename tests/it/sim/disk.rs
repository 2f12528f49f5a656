//! The agent's disk seam over a [`Tree`], and what a person does to the same tree.

use std::any::Any;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use ferrybox::core::path::{RelPath, join};
use ferrybox::io::disk::WriteFile;
use ferrybox::io::disk::{Access, Disk, Lock, ReadDisk, ReadFile, Space, TakenUp, TreeIdentity};
use ferrybox::io::listing::{DirHandle, Listing, Names, NotUtf8};
use ferrybox::io::stat::{AccessList, FileAccess, Kind, Rights, Status};

use super::seam::{Op, Seam};
use super::tree::{Content, Ino, ROOT, Tree};

/// A disk in memory. Clones share it.
#[derive(Clone)]
pub struct SimDisk {
    tree: Arc<Mutex<Tree>>,
    seam: Seam,
    name: &'static str,
    locked: Arc<AtomicBool>,
}

impl SimDisk {
    pub fn new(name: &'static str, seam: &Seam) -> SimDisk {
        SimDisk {
            tree: Arc::new(Mutex::new(Tree::new(0))),
            seam: seam.clone(),
            name,
            locked: Arc::default(),
        }
    }

    /// The tree itself, at the time of its machine.
    pub fn tree(&self) -> MutexGuard<'_, Tree> {
        let mut tree = self.tree.lock().unwrap();
        tree.set_now(self.seam.now_ns());
        tree
    }

    pub fn saved(&self) -> Tree {
        self.tree().clone()
    }

    pub fn restore(&self, saved: &Tree) {
        *self.tree.lock().unwrap() = saved.clone();
    }

    fn call(&self, op: Op, path: &RelPath) -> io::Result<()> {
        self.seam.call(op, self.name, path.as_str())
    }

    // What a person does. All of it reaches the medium at once.

    /// Writes a file in place, with the folders above it.
    pub fn put(&self, path: &str, bytes: &[u8]) {
        if let Some((dir, _)) = path.rsplit_once('/') {
            self.mkdir(dir);
        }
        let mut tree = self.tree();
        match tree.find(path) {
            Ok(ino) => tree.overwrite(ino, bytes),
            Err(_) => {
                let ino = tree
                    .make(path, Content::File(Arc::default()), 0o644)
                    .unwrap();
                tree.append(ino, bytes);
            }
        }
        tree.sync_path(path);
    }

    /// Writes a new file and renames it over the old, as careful editors do.
    pub fn put_by_rename(&self, path: &str, bytes: &[u8]) {
        let temp = format!("{path}~");
        self.put(&temp, bytes);
        self.rename(&temp, path);
    }

    pub fn append(&self, path: &str, bytes: &[u8]) {
        let mut tree = self.tree();
        let ino = tree.find(path).unwrap();
        tree.append(ino, bytes);
        tree.sync_path(path);
    }

    pub fn mkdir(&self, path: &str) {
        let mut tree = self.tree();
        let ends = path.match_indices('/').map(|(at, _)| at);
        for end in ends.chain([path.len()]) {
            let made = tree.make(&path[..end], Content::Dir(BTreeMap::new()), 0o755);
            match made {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => panic!("{path}: {error}"),
                _ => {}
            }
        }
        tree.sync_path(path);
    }

    /// Something that is neither file nor folder.
    pub fn put_special(&self, path: &str, content: Content) {
        let mut tree = self.tree();
        tree.make(path, content, 0o777).unwrap();
        tree.sync_path(path);
    }

    /// Removes a file, or a folder with everything in it.
    pub fn remove(&self, path: &str) {
        let mut tree = self.tree();
        remove_all(&mut tree, path);
        tree.sync_path(path);
    }

    pub fn rename(&self, from: &str, to: &str) {
        let mut tree = self.tree();
        tree.rename(from, to, true).unwrap();
        tree.sync_path(from);
        tree.sync_path(to);
    }

    pub fn set_mode(&self, path: &str, mode: u32) {
        let mut tree = self.tree();
        let ino = tree.find(path).unwrap();
        tree.set_mode(ino, mode);
        tree.sync_path(path);
    }

    /// Gives a file to another user.
    pub fn set_owner(&self, path: &str, owner: (u32, u32)) {
        let mut tree = self.tree();
        let ino = tree.find(path).unwrap();
        tree.set_owner(ino, owner);
        tree.sync_path(path);
    }

    /// Gives a file one more name.
    pub fn hard_link(&self, from: &str, to: &str) {
        let mut tree = self.tree();
        let ino = tree.find(from).unwrap();
        tree.link(ino, to).unwrap();
        tree.sync_path(to);
    }

    /// Gives a file an access list, which counts like one of its kernel's.
    pub fn set_list(&self, path: &str, list: &[u8]) {
        let mut tree = self.tree();
        let ino = tree.find(path).unwrap();
        tree.set_list(ino, Some(list.to_vec()));
        tree.sync_path(path);
    }

    pub fn set_mtime(&self, path: &str, seconds: u64) {
        let mut tree = self.tree();
        let ino = tree.find(path).unwrap();
        tree.set_mtime(ino, seconds as i64 * 1_000_000_000);
        tree.sync_path(path);
    }

    /// What is there, for a look that nobody counts.
    pub fn look(&self, path: &str) -> Option<Status> {
        let tree = self.tree();
        tree.find(path).ok().map(|ino| tree.status(ino))
    }

    pub fn content(&self, path: &str) -> Option<Vec<u8>> {
        self.tree().files().remove(path).map(|bytes| bytes.to_vec())
    }
}

fn remove_all(tree: &mut Tree, path: &str) {
    let ino = tree.find(path).unwrap();
    if tree.status(ino).kind == Kind::Folder {
        for (name, _) in tree.list(path).unwrap() {
            remove_all(tree, &format!("{path}/{name}"));
        }
        tree.remove_dir(path).unwrap();
    } else {
        tree.unlink(path).unwrap();
    }
}

fn named(error: io::Error, doing: &str, path: &RelPath) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {doing} {path}: {error}"))
}

impl ReadDisk for SimDisk {
    fn root(&self) -> io::Result<Status> {
        self.call(Op::Root, &RelPath::root())?;
        Ok(self.tree().status(ROOT))
    }

    fn identity(&self) -> io::Result<TreeIdentity> {
        self.call(Op::Root, &RelPath::root())?;
        Ok(TreeIdentity {
            kind: 1,
            filesystem: Some(self.tree().filesystem),
            born_ns: None,
            inode: ROOT,
        })
    }

    fn list(&self, dir: &RelPath) -> io::Result<Listing<'_>> {
        self.call(Op::List, dir)?;
        let tree = self.tree();
        let listed = tree.list(dir.as_str());
        let listed = listed.map_err(|e| named(e, "read directory", dir))?;
        let ino = tree.find(dir.as_str())?;
        drop(tree);
        let mut names = Names::default();
        let mut not_utf8 = Vec::new();
        for (name, _) in listed {
            if name.contains('\u{fffd}') {
                let status = self.look(&join(dir.as_str(), &name));
                not_utf8.push(NotUtf8 {
                    shown: name,
                    status,
                });
            } else {
                names.push(&name)?;
            }
        }
        let handle = Box::new(OpenDir { disk: self, ino });
        Ok(Listing {
            names,
            not_utf8,
            handle,
        })
    }

    fn status(&self, path: &RelPath) -> io::Result<Option<Status>> {
        self.call(Op::Status, path)?;
        let tree = self.tree();
        match tree.find(path.as_str()) {
            Ok(ino) => Ok(Some(tree.status(ino))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(named(error, "stat", path)),
        }
    }

    fn open(&self, path: &RelPath) -> io::Result<Box<dyn ReadFile>> {
        self.call(Op::Open, path)?;
        let mut tree = self.tree();
        let wrap = |error| named(error, "open", path);
        let ino = tree.find(path.as_str()).map_err(wrap)?;
        let status = tree.status(ino);
        if status.kind != Kind::File {
            return Err(io::Error::other(format!("cannot open {path}: not a file")));
        }
        if status.mode & 0o400 == 0 {
            return Err(wrap(ErrorKind::PermissionDenied.into()));
        }
        tree.opened(ino);
        drop(tree);
        Ok(Box::new(SimFile::new(self, ino, path)))
    }

    fn access(&self, path: &RelPath) -> io::Result<FileAccess> {
        self.call(Op::Access, path)?;
        let tree = self.tree();
        let found = tree.find(path.as_str());
        let ino = found.map_err(|error| named(error, "open", path))?;
        Ok(FileAccess {
            rights: tree.rights(ino),
            list: match tree.list_of(ino) {
                Some(list) => AccessList::Bytes(list),
                None => AccessList::Nothing,
            },
            stamp: tree.status(ino).stamp,
            born_ns: Some(tree.node(ino).born_ns),
        })
    }

    fn user(&self) -> u32 {
        0
    }

    fn space(&self, dir: &RelPath) -> io::Result<Space> {
        self.call(Op::Space, dir)?;
        let tree = self.tree();
        tree.open_dir(dir.as_str())
            .map_err(|e| named(e, "ask for free space of", dir))?;
        Ok(Space {
            free: tree.capacity.saturating_sub(tree.used()),
            total: tree.capacity,
        })
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &RelPath, access: Access) -> io::Result<Box<dyn WriteFile>> {
        self.call(Op::Create, path)?;
        let mode = match access {
            Access::Private => 0o600,
            Access::Shared | Access::Public => 0o644,
        };
        let mut tree = self.tree();
        let made = tree.make(path.as_str(), Content::File(Arc::default()), mode);
        let ino = made.map_err(|e| named(e, "create", path))?;
        tree.opened(ino);
        drop(tree);
        Ok(Box::new(SimFile::new(self, ino, path)))
    }

    fn take_up(&self, path: &RelPath) -> io::Result<Option<Box<dyn TakenUp>>> {
        self.call(Op::TakeUp, path)?;
        let mut tree = self.tree();
        let wrap = |error| named(error, "open", path);
        let ino = match tree.find(path.as_str()) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            found => found.map_err(wrap)?,
        };
        let status = tree.status(ino);
        match status.kind {
            Kind::File if status.mode & 0o600 != 0o600 => {
                return Err(wrap(ErrorKind::PermissionDenied.into()));
            }
            Kind::File if status.uid == 0 && status.mode & 0o7077 == 0 => {}
            Kind::Folder => return Err(wrap(ErrorKind::IsADirectory.into())),
            Kind::File | Kind::Link | Kind::Special(_) => {
                return Err(io::Error::other(format!("cannot open {path}: not ours")));
            }
        }
        if tree.count_names(ino) != 1 {
            return Err(io::Error::other(format!("cannot open {path}: a link")));
        }
        tree.opened(ino);
        drop(tree);
        Ok(Some(Box::new(SimFile::new(self, ino, path))))
    }

    fn replace(&self, from: &RelPath, to: &RelPath) -> io::Result<()> {
        self.call(Op::Replace, to)?;
        let renamed = self.tree().rename(from.as_str(), to.as_str(), true);
        renamed.map_err(|e| named(e, "rename to", to))
    }

    fn rename_new(&self, from: &RelPath, to: &RelPath) -> io::Result<()> {
        self.call(Op::RenameNew, to)?;
        let renamed = self.tree().rename(from.as_str(), to.as_str(), false);
        renamed.map_err(|e| named(e, "rename to", to))
    }

    fn make_dir(&self, path: &RelPath, rights: Option<&Rights>) -> io::Result<()> {
        self.call(Op::MakeDir, path)?;
        let mut tree = self.tree();
        let mode = rights.map_or(0o755, |rights| rights.mode | 0o700);
        let made = tree.make(path.as_str(), Content::Dir(BTreeMap::new()), mode);
        if let (Ok(ino), Some(rights)) = (&made, rights) {
            tree.set_owner(*ino, (rights.uid, rights.gid));
        }
        drop(tree);
        made.map(drop).map_err(|e| named(e, "make directory", path))
    }

    fn remove_file(&self, path: &RelPath) -> io::Result<()> {
        self.call(Op::RemoveFile, path)?;
        let removed = self.tree().unlink(path.as_str());
        removed.map_err(|e| named(e, "remove", path))
    }

    fn remove_dir(&self, path: &RelPath) -> io::Result<()> {
        self.call(Op::RemoveDir, path)?;
        let removed = self.tree().remove_dir(path.as_str());
        removed.map_err(|e| named(e, "remove directory", path))
    }

    fn sync_dir(&self, dir: &RelPath) -> io::Result<()> {
        if let Err(error) = self.call(Op::SyncDir, dir) {
            self.tree().forget();
            return Err(error);
        }
        let mut tree = self.tree();
        let ino = tree
            .open_dir(dir.as_str())
            .map_err(|e| named(e, "sync", dir))?;
        tree.sync_dir(ino);
        Ok(())
    }

    fn sync_filesystem(&self, dir: &RelPath) -> io::Result<()> {
        if let Err(error) = self.call(Op::SyncFilesystem, dir) {
            self.tree().forget();
            return Err(error);
        }
        let mut tree = self.tree();
        let ino = tree
            .open_dir(dir.as_str())
            .map_err(|e| named(e, "sync", dir))?;
        tree.sync_filesystem(ino);
        Ok(())
    }

    fn lock(&self) -> io::Result<Option<Lock>> {
        self.call(Op::Lock, &RelPath::root())?;
        if self.locked.swap(true, Ordering::SeqCst) {
            return Ok(None);
        }
        let held: Box<dyn Any> = Box::new(Held(self.locked.clone()));
        Ok(Some(Lock(held)))
    }
}

/// A directory that was listed. Looking at what is in it is no call of its own: there would be as
/// many as files, and nothing happens between them that could not happen before all of them.
struct OpenDir<'d> {
    disk: &'d SimDisk,
    ino: Ino,
}

impl DirHandle for OpenDir<'_> {
    fn status(&self, name: &str) -> io::Result<Option<Status>> {
        self.disk.tree().look(self.ino, name)
    }
}

struct Held(Arc<AtomicBool>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// An open file.
struct SimFile {
    disk: SimDisk,
    ino: Ino,
    path: RelPath,
    offset: usize,
}

impl SimFile {
    fn new(disk: &SimDisk, ino: Ino, path: &RelPath) -> SimFile {
        SimFile {
            disk: disk.clone(),
            ino,
            path: path.clone(),
            offset: 0,
        }
    }

    fn call(&self, op: Op) -> io::Result<()> {
        self.disk.call(op, &self.path)
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        self.disk.tree().closed(self.ino);
    }
}

impl Read for SimFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.call(Op::Read)?;
        let count = self.disk.tree().read(self.ino, self.offset, buffer)?;
        self.offset += count;
        Ok(count)
    }
}

impl ReadFile for SimFile {
    fn status(&self) -> io::Result<Status> {
        self.call(Op::Fstat)?;
        Ok(self.disk.tree().status(self.ino))
    }

    fn seek(&mut self, offset: u64) -> io::Result<()> {
        self.call(Op::Seek)?;
        self.offset = offset as usize;
        Ok(())
    }
}

impl TakenUp for SimFile {}

impl Write for SimFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.call(Op::Write)?;
        let mut tree = self.disk.tree();
        // Part of a write may succeed before the disk is full.
        let free = tree.capacity.saturating_sub(tree.used());
        let count = buffer
            .len()
            .min(usize::try_from(free).unwrap_or(usize::MAX));
        if count == 0 && !buffer.is_empty() {
            return Err(named(ErrorKind::StorageFull.into(), "write", &self.path));
        }
        tree.append(self.ino, &buffer[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl WriteFile for SimFile {
    fn set_access(&mut self, access: &FileAccess) -> io::Result<()> {
        self.call(Op::SetAccess)?;
        let mut tree = self.disk.tree();
        let FileAccess { rights, list, .. } = access;
        let list = match list {
            AccessList::AsMade => tree.list_of(self.ino),
            AccessList::Nothing => None,
            AccessList::Bytes(list) => Some(list.clone()),
        };
        if tree.rights(self.ino) != *rights || tree.list_of(self.ino) != list {
            tree.set_owner(self.ino, (rights.uid, rights.gid));
            tree.set_mode(self.ino, rights.mode & 0o777);
            tree.set_list(self.ino, list);
        }
        Ok(())
    }

    fn set_owner(&mut self, owner: &Rights) -> io::Result<()> {
        self.call(Op::SetOwner)?;
        let mut tree = self.disk.tree();
        let now = tree.rights(self.ino);
        if (now.uid, now.gid) != (owner.uid, owner.gid) {
            tree.set_owner(self.ino, (owner.uid, owner.gid));
        }
        Ok(())
    }

    fn set_mtime(&mut self, seconds: i64) -> io::Result<()> {
        self.call(Op::SetMtime)?;
        let ns = seconds.saturating_mul(1_000_000_000);
        self.disk.tree().set_mtime(self.ino, ns);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if let Err(error) = self.call(Op::SyncFile) {
            self.disk.tree().forget();
            return Err(error);
        }
        self.disk.tree().sync_file(self.ino);
        Ok(())
    }

    fn status(&self) -> io::Result<Status> {
        self.call(Op::Fstat)?;
        Ok(self.disk.tree().status(self.ino))
    }
}
