//! A filesystem in memory that remembers what has reached the medium and what has not.
//!
//! Two images: what processes see, and what a power cut leaves. File data becomes durable by a
//! sync of the file or of its filesystem, names by a sync of their directory or of the filesystem.
//! [`Tree::lose_power`] keeps an arbitrary legal part of the rest: per directory a prefix of its
//! changes, per file its old bytes, its new ones, a torn mixture, or none at all. Inode numbers are
//! used again at once, as real filesystems may.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::sync::Arc;

use ferrybox::io::stat::{Kind, Rights, SpecialKind, Stamp, Status};

/// Number of an inode.
pub type Ino = u64;

/// The root's inode.
pub const ROOT: Ino = 2;
/// Change times come in steps of this many nanoseconds, as from a kernel at 250 Hz.
const TICK_NS: i64 = 4_000_000;

/// What an inode is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    File(Arc<Vec<u8>>),
    Dir(BTreeMap<String, Ino>),
    Link,
    Special,
}

/// An inode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub content: Content,
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
    pub list: Option<Vec<u8>>,
    pub mtime_ns: i64,
    pub ctime_ns: i64,
    pub born_ns: i64,
    pub device: u64,
}

impl Node {
    fn new(content: Content, mode: u32, now_ns: i64, device: u64) -> Node {
        Node {
            content,
            mode,
            owner: (0, 0),
            list: None,
            mtime_ns: now_ns,
            ctime_ns: now_ns,
            born_ns: now_ns,
            device,
        }
    }

    fn entries(&self) -> io::Result<&BTreeMap<String, Ino>> {
        match &self.content {
            Content::Dir(entries) => Ok(entries),
            _ => Err(ErrorKind::NotADirectory.into()),
        }
    }
}

/// A change of names that the medium may not have yet.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Link(Ino, String, Ino),
    Unlink(Ino, String),
    Move {
        from: (Ino, String),
        to: (Ino, String),
        node: Ino,
    },
}

impl Change {
    pub(super) fn dirs(&self) -> Vec<Ino> {
        match self {
            Change::Link(dir, ..) | Change::Unlink(dir, _) => vec![*dir],
            Change::Move { from, to, .. } => vec![from.0, to.0],
        }
    }
}

/// The two images.
#[derive(Clone, Debug)]
pub struct Tree {
    pub(super) nodes: BTreeMap<Ino, Node>,
    pub(super) durable: BTreeMap<Ino, Node>,
    pub(super) changes: Vec<Change>,
    /// Files whose data a failed sync has dropped: no later sync brings it to the medium.
    pub(super) forgotten: BTreeSet<Ino>,
    /// Open descriptors per inode.
    pub(super) open: BTreeMap<Ino, u32>,
    /// Directories something is mounted on, and the root of what is.
    pub(super) mounts: BTreeMap<Ino, Ino>,
    /// The same for what was taken away.
    pub(super) unmounted: BTreeMap<Ino, Ino>,
    now_ns: i64,
    /// The steps of this filesystem's clock in nanoseconds, and how far it lags behind.
    pub clock: (i64, i64),
    /// The id of the root's filesystem, which outlives a restart.
    pub filesystem: u64,
    /// Bytes all files together may have.
    pub capacity: u64,
    /// Changes of any kind, by anybody.
    pub writes: u64,
}

impl Tree {
    pub fn new(now_ns: i64) -> Tree {
        let root = Node::new(Content::Dir(BTreeMap::new()), 0o700, now_ns, 1);
        Tree {
            nodes: BTreeMap::from([(ROOT, root.clone())]),
            durable: BTreeMap::from([(ROOT, root)]),
            changes: Vec::new(),
            forgotten: BTreeSet::new(),
            open: BTreeMap::new(),
            mounts: BTreeMap::new(),
            unmounted: BTreeMap::new(),
            now_ns,
            clock: (TICK_NS, 0),
            filesystem: 1,
            capacity: 1 << 34,
            writes: 0,
        }
    }

    /// The kernel's clock, in its ticks.
    pub fn set_now(&mut self, now_ns: i128) {
        let (step, lag) = self.clock;
        let clamped = now_ns.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
        let there = clamped.saturating_sub(lag);
        self.now_ns = there - there.rem_euclid(step);
    }

    pub(super) fn node(&self, ino: Ino) -> &Node {
        &self.nodes[&ino]
    }

    fn change(&mut self, ino: Ino) -> &mut Node {
        self.writes += 1;
        let now_ns = self.now_ns;
        let node = self.nodes.get_mut(&ino).unwrap();
        node.ctime_ns = now_ns;
        node
    }

    fn names(&mut self, dir: Ino) -> &mut BTreeMap<String, Ino> {
        let now_ns = self.now_ns;
        let node = self.change(dir);
        node.mtime_ns = now_ns;
        match &mut node.content {
            Content::Dir(entries) => entries,
            _ => unreachable!("checked by the caller"),
        }
    }

    fn mounted(&self, ino: Ino) -> Ino {
        self.mounts.get(&ino).copied().unwrap_or(ino)
    }

    /// The inode at a path; a directory that may not be searched hides what is below it.
    pub fn find(&self, path: &str) -> io::Result<Ino> {
        let mut at = ROOT;
        for name in path.split('/').filter(|c| !c.is_empty()) {
            let node = self.node(at);
            let entries = node.entries()?;
            if node.mode & 0o100 == 0 {
                return Err(ErrorKind::PermissionDenied.into());
            }
            if name.len() > 255 {
                return Err(ErrorKind::InvalidFilename.into());
            }
            let found = entries.get(name).ok_or(ErrorKind::NotFound)?;
            at = self.mounted(*found);
        }
        Ok(at)
    }

    /// The directory a path lies in, if names in it can be looked up, and the last name.
    fn place(&self, path: &str) -> io::Result<(Ino, String)> {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        let dir = self.find(dir)?;
        if name.len() > 255 {
            return Err(ErrorKind::InvalidFilename.into());
        }
        self.node(dir).entries()?;
        if self.node(dir).mode & 0o100 == 0 {
            return Err(ErrorKind::PermissionDenied.into());
        }
        Ok((dir, name.to_owned()))
    }

    /// Whether names in a directory may be changed; asked when it is known what has the name.
    fn may_change(&self, dir: Ino) -> io::Result<()> {
        match self.node(dir).mode & 0o200 {
            0 => Err(ErrorKind::PermissionDenied.into()),
            _ => Ok(()),
        }
    }

    /// The directory at a path, opened for reading.
    pub fn open_dir(&self, path: &str) -> io::Result<Ino> {
        let dir = self.find(path)?;
        self.node(dir).entries()?;
        match self.node(dir).mode & 0o400 {
            0 => Err(ErrorKind::PermissionDenied.into()),
            _ => Ok(dir),
        }
    }

    pub fn status(&self, ino: Ino) -> Status {
        let node = self.node(ino);
        let (kind, size) = match &node.content {
            Content::File(bytes) => (Kind::File, bytes.len() as u64),
            Content::Dir(_) => (Kind::Folder, 4096),
            Content::Link => (Kind::Link, 0),
            Content::Special => (Kind::Special(SpecialKind::Socket), 0),
        };
        Status {
            kind,
            stamp: Stamp {
                size,
                mtime_ns: node.mtime_ns,
                ctime_ns: node.ctime_ns,
                inode: ino,
                rights: Some(self.rights(ino)),
            },
            device: node.device,
            mode: node.mode,
            uid: node.owner.0,
            gid: node.owner.1,
        }
    }

    /// Who may do what with it.
    pub fn rights(&self, ino: Ino) -> Rights {
        let node = self.node(ino);
        Rights {
            mode: node.mode & 0o777,
            uid: node.owner.0,
            gid: node.owner.1,
        }
    }

    /// How many names it has.
    pub fn count_names(&self, ino: Ino) -> usize {
        let names = |node: &Node| match &node.content {
            Content::Dir(entries) => entries.values().filter(|named| **named == ino).count(),
            Content::File(_) | Content::Link | Content::Special => 0,
        };
        self.nodes.values().map(names).sum()
    }

    /// Gives an inode one more name.
    pub fn link(&mut self, ino: Ino, path: &str) -> io::Result<()> {
        let (dir, name) = self.place(path)?;
        self.names(dir).insert(name.clone(), ino);
        self.change(ino);
        self.changes.push(Change::Link(dir, name, ino));
        Ok(())
    }

    pub fn list(&self, path: &str) -> io::Result<Vec<(String, Status)>> {
        let entries = self.node(self.open_dir(path)?).entries()?;
        let status = |(name, ino): (&String, &Ino)| (name.clone(), self.status(self.mounted(*ino)));
        Ok(entries.iter().map(status).collect())
    }

    /// What has this name in an open directory, which may be gone itself.
    pub fn look(&self, dir: Ino, name: &str) -> io::Result<Option<Status>> {
        let Some(node) = self.nodes.get(&dir) else {
            return Ok(None);
        };
        if node.mode & 0o100 == 0 {
            return Err(ErrorKind::PermissionDenied.into());
        }
        let found = node.entries()?.get(name);
        Ok(found.map(|ino| self.status(self.mounted(*ino))))
    }

    fn free_ino(&self) -> Ino {
        let taken = |ino: &Ino| self.nodes.contains_key(ino) || self.durable.contains_key(ino);
        (ROOT + 1..).find(|ino| !taken(ino)).unwrap()
    }

    /// Puts a new inode at a free path.
    pub fn make(&mut self, path: &str, content: Content, mode: u32) -> io::Result<Ino> {
        let (dir, name) = self.place(path)?;
        if self.node(dir).entries()?.contains_key(&name) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        self.may_change(dir)?;
        let ino = self.free_ino();
        let node = Node::new(content, mode, self.now_ns, self.node(dir).device);
        self.nodes.insert(ino, node);
        self.names(dir).insert(name.clone(), ino);
        self.changes.push(Change::Link(dir, name, ino));
        Ok(ino)
    }

    pub fn read(&self, ino: Ino, offset: usize, buffer: &mut [u8]) -> io::Result<usize> {
        let Content::File(bytes) = &self.node(ino).content else {
            return Err(ErrorKind::IsADirectory.into());
        };
        let rest = bytes.get(offset..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    pub fn used(&self) -> u64 {
        let size = |node: &Node| match &node.content {
            Content::File(bytes) => bytes.len() as u64,
            _ => 0,
        };
        self.nodes.values().map(size).sum()
    }

    pub fn append(&mut self, ino: Ino, more: &[u8]) {
        self.forgotten.remove(&ino);
        let now_ns = self.now_ns;
        let node = self.change(ino);
        node.mtime_ns = now_ns;
        if let Content::File(bytes) = &mut node.content {
            Arc::make_mut(bytes).extend_from_slice(more);
        }
    }

    /// Writes a file anew in place, as an editor without care does.
    pub fn overwrite(&mut self, ino: Ino, bytes: &[u8]) {
        let now_ns = self.now_ns;
        self.forgotten.remove(&ino);
        let node = self.change(ino);
        node.mtime_ns = now_ns;
        node.content = Content::File(Arc::new(bytes.to_vec()));
    }

    pub fn set_mode(&mut self, ino: Ino, mode: u32) {
        self.change(ino).mode = mode;
    }

    pub fn set_owner(&mut self, ino: Ino, owner: (u32, u32)) {
        self.change(ino).owner = owner;
    }

    /// The access list of a file.
    pub fn list_of(&self, ino: Ino) -> Option<Vec<u8>> {
        self.node(ino).list.clone()
    }

    pub fn set_list(&mut self, ino: Ino, list: Option<Vec<u8>>) {
        self.change(ino).list = list;
    }

    /// Takes every permission back that was withdrawn.
    pub fn allow_all(&mut self) {
        let inos: Vec<Ino> = self.nodes.keys().copied().collect();
        for ino in inos {
            let is_shut = self.node(ino).mode & 0o400 == 0;
            if is_shut {
                let is_dir = matches!(self.node(ino).content, Content::Dir(_));
                self.set_mode(ino, if is_dir { 0o755 } else { 0o644 });
            }
        }
    }

    pub fn set_mtime(&mut self, ino: Ino, mtime_ns: i64) {
        self.change(ino).mtime_ns = mtime_ns;
    }

    pub fn rename(&mut self, from: &str, to: &str, replace: bool) -> io::Result<()> {
        let (from_dir, from_name) = self.place(from)?;
        let (to_dir, to_name) = self.place(to)?;
        let node = *self
            .node(from_dir)
            .entries()?
            .get(&from_name)
            .ok_or(ErrorKind::NotFound)?;
        if self.node(from_dir).device != self.node(to_dir).device {
            return Err(ErrorKind::CrossesDevices.into());
        }
        let replaced = self.node(to_dir).entries()?.get(&to_name).copied();
        if replaced.is_some() && !replace {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let is_below = |path: &str, dir: &str| {
            let rest = path.strip_prefix(dir);
            rest.is_some_and(|rest| rest.starts_with('/'))
        };
        if is_below(to, from) {
            return Err(ErrorKind::InvalidInput.into());
        }
        if is_below(from, to) {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        if replaced == Some(node) {
            return Ok(());
        }
        self.may_change(from_dir)?;
        self.may_change(to_dir)?;
        if let Some(replaced) = replaced {
            match (&self.node(node).content, &self.node(replaced).content) {
                (Content::Dir(_), Content::Dir(entries)) if entries.is_empty() => {}
                (Content::Dir(_), Content::Dir(_)) => {
                    return Err(ErrorKind::DirectoryNotEmpty.into());
                }
                (Content::Dir(_), _) => return Err(ErrorKind::NotADirectory.into()),
                (_, Content::Dir(_)) => return Err(ErrorKind::IsADirectory.into()),
                _ => {}
            }
        }
        let is_mounted = |ino: &Ino| self.mounts.contains_key(ino);
        if is_mounted(&node) || replaced.as_ref().is_some_and(is_mounted) {
            return Err(ErrorKind::ResourceBusy.into());
        }
        self.names(from_dir).remove(&from_name);
        self.names(to_dir).insert(to_name.clone(), node);
        self.change(node);
        self.changes.push(Change::Move {
            from: (from_dir, from_name),
            to: (to_dir, to_name),
            node,
        });
        if let Some(replaced) = replaced {
            self.drop_if_unused(replaced);
        }
        Ok(())
    }

    pub fn unlink(&mut self, path: &str) -> io::Result<()> {
        let (dir, name) = self.place(path)?;
        let entries = self.node(dir).entries()?;
        let ino = *entries.get(&name).ok_or(ErrorKind::NotFound)?;
        self.may_change(dir)?;
        if matches!(self.node(ino).content, Content::Dir(_)) {
            return Err(ErrorKind::IsADirectory.into());
        }
        self.cut(dir, name, ino);
        Ok(())
    }

    pub fn remove_dir(&mut self, path: &str) -> io::Result<()> {
        let (dir, name) = self.place(path)?;
        let entries = self.node(dir).entries()?;
        let ino = *entries.get(&name).ok_or(ErrorKind::NotFound)?;
        self.may_change(dir)?;
        if self.mounts.contains_key(&ino) {
            return Err(ErrorKind::ResourceBusy.into());
        }
        if !self.node(ino).entries()?.is_empty() {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        self.cut(dir, name, ino);
        Ok(())
    }

    fn cut(&mut self, dir: Ino, name: String, ino: Ino) {
        self.names(dir).remove(&name);
        self.changes.push(Change::Unlink(dir, name));
        self.drop_if_unused(ino);
    }

    fn drop_if_unused(&mut self, ino: Ino) {
        let names_it = |node: &Node| match &node.content {
            Content::Dir(entries) => entries.values().any(|named| *named == ino),
            Content::File(_) | Content::Link | Content::Special => false,
        };
        let is_linked = self.nodes.values().any(names_it);
        if !is_linked && !self.open.contains_key(&ino) {
            self.nodes.remove(&ino);
        }
    }

    pub fn opened(&mut self, ino: Ino) {
        *self.open.entry(ino).or_default() += 1;
    }

    pub fn closed(&mut self, ino: Ino) {
        if let Some(count) = self.open.get_mut(&ino) {
            *count -= 1;
            if *count == 0 {
                self.open.remove(&ino);
                if self.nodes.contains_key(&ino) {
                    self.drop_if_unused(ino);
                }
            }
        }
    }

    /// Mounts an empty filesystem on a directory.
    pub fn mount(&mut self, path: &str, device: u64) -> io::Result<()> {
        let on = self.find(path)?;
        self.node(on).entries()?;
        let ino = self.free_ino();
        let root = Node::new(Content::Dir(BTreeMap::new()), 0o755, self.now_ns, device);
        self.nodes.insert(ino, root.clone());
        self.durable.insert(ino, root);
        self.mounts.insert(on, ino);
        Ok(())
    }

    /// What is on the root's device gets another number, as after a restart.
    pub fn renumber(&mut self, device: u64) {
        let before = self.node(ROOT).device;
        let images = [&mut self.nodes, &mut self.durable];
        let all = images.into_iter().flat_map(|image| image.values_mut());
        for node in all.filter(|node| node.device == before) {
            node.device = device;
        }
    }

    /// Takes all mounts away; what is on them stays on them.
    pub fn unmount_all(&mut self) {
        let mounts = std::mem::take(&mut self.mounts);
        self.unmounted.extend(mounts);
    }

    /// Puts back what was taken away, wherever its directory still is.
    pub fn mount_again(&mut self) {
        let unmounted = std::mem::take(&mut self.unmounted);
        self.mounts.extend(unmounted);
    }

    /// Whether something is, or was, mounted at or below a path.
    pub fn has_mount(&self, path: &str) -> bool {
        let is_point = |ino: &Ino| self.mounts.contains_key(ino) || self.is_point(*ino);
        let Ok(start) = self.find_unmounted(path) else {
            return false;
        };
        let mut inos = vec![start];
        while let Some(ino) = inos.pop() {
            if is_point(&ino) {
                return true;
            }
            if let Content::Dir(entries) = &self.node(ino).content {
                inos.extend(entries.values());
            }
        }
        false
    }

    fn is_point(&self, ino: Ino) -> bool {
        self.unmounted.contains_key(&ino)
    }

    /// Whether a path lies below a directory whose filesystem was taken away, or is it.
    pub fn is_bare(&self, path: &str) -> bool {
        let mut ends: Vec<usize> = path.match_indices('/').map(|(at, _)| at).collect();
        ends.push(path.len());
        ends.iter()
            .any(|end| self.find(&path[..*end]).is_ok_and(|ino| self.is_point(ino)))
    }

    /// As [`Tree::find`], but the last directory is not entered if something is mounted on it.
    fn find_unmounted(&self, path: &str) -> io::Result<Ino> {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        let dir = self.find(dir)?;
        let found = self.node(dir).entries()?.get(name);
        Ok(*found.ok_or(ErrorKind::NotFound)?)
    }

    /// What lies on filesystems that are taken away.
    pub fn files_away(&self) -> Vec<Arc<Vec<u8>>> {
        let mut found = Vec::new();
        let mut inos: Vec<Ino> = self.unmounted.values().copied().collect();
        while let Some(ino) = inos.pop() {
            match &self.node(ino).content {
                Content::File(bytes) => found.push(bytes.clone()),
                Content::Dir(entries) => inos.extend(entries.values()),
                Content::Link | Content::Special => {}
            }
        }
        found
    }

    /// The process dies; the machine goes on.
    pub fn lose_process(&mut self) {
        for ino in std::mem::take(&mut self.open).into_keys() {
            if self.nodes.contains_key(&ino) {
                self.drop_if_unused(ino);
            }
        }
    }

    /// All files with their bytes; folders end with a slash. Permissions do not count here.
    pub fn files(&self) -> BTreeMap<String, Arc<Vec<u8>>> {
        let mut found = BTreeMap::new();
        let mut dirs = vec![(ROOT, String::new())];
        while let Some((dir, prefix)) = dirs.pop() {
            let Content::Dir(entries) = &self.node(dir).content else {
                continue;
            };
            for (name, ino) in entries {
                let path = format!("{prefix}{name}");
                let ino = self.mounted(*ino);
                match &self.node(ino).content {
                    Content::File(bytes) => drop(found.insert(path, bytes.clone())),
                    Content::Dir(_) => {
                        found.insert(format!("{path}/"), Arc::default());
                        dirs.push((ino, format!("{path}/")));
                    }
                    Content::Link | Content::Special => {}
                }
            }
        }
        found
    }
}
