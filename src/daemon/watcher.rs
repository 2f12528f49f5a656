//! Watches the content dir with inotify(7), so that changes go up without waiting for their time.
//!
//! A watch only wakes: what changed is seen by the walk. A file counts when it is closed, so that a
//! log which grows all the time waits for `upload_interval`. Where there are more folders than the
//! kernel grants watches, there are none, and the times of the schedule are all there is.

use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use crate::core::filter::Filter;
use crate::core::path::{below, fold};

/// Times the settle time after which a change goes up although things still move.
const SETTLE_MAX: u32 = 12;

/// What is to be watched.
#[derive(Clone)]
pub struct Watched {
    /// The content dir.
    pub root: PathBuf,
    /// What goes up. Folders that are never looked at are not watched either.
    pub filter: Filter,
    /// Keys below the content dir that hold our own configuration, state and log.
    pub own_keys: Vec<String>,
    /// How long nothing may have changed.
    pub settle: Duration,
}

impl Watched {
    /// Whether nothing at or below this path is ever looked at.
    fn leaves_out(&self, display_path: &str, is_folder: bool) -> bool {
        let key = fold(display_path.trim_start_matches('/'));
        let is_own = self.own_keys.iter().any(|own| below(&key, own).is_some());
        let is_shut = match is_folder {
            true => self.filter.prunes_folder(display_path),
            false => self.filter.prunes(display_path),
        };
        is_own || is_shut
    }
}

/// The watches on one tree.
pub struct Watcher {
    inotify: OwnedFd,
    watched: Watched,
    /// `/relative/path` of the folder of each watch; empty for the root.
    folders: HashMap<i32, Box<str>>,
    /// The watch of the root.
    root: i32,
    first: Option<Instant>,
    last: Option<Instant>,
    /// There may be folders without a watch.
    is_stale: bool,
}

impl Watcher {
    /// Watches a directory and all below it; what cannot be watched for itself is left out.
    ///
    /// # Errors
    /// What the kernel says; `ENOSPC` where watches have run out (`fs.inotify.max_user_watches`).
    pub fn new(watched: Watched) -> io::Result<Watcher> {
        let mut watcher = Watcher {
            inotify: inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?,
            watched,
            folders: HashMap::new(),
            root: -1,
            first: None,
            last: None,
            is_stale: false,
        };
        watcher.add_all()?;
        Ok(watcher)
    }

    fn add_all(&mut self) -> io::Result<()> {
        let flags = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR
            | WatchFlags::DONT_FOLLOW;
        let before = std::mem::take(&mut self.folders);
        let mut due = vec![String::new()];
        let mut has_root = false;
        while let Some(display_path) = due.pop() {
            let folder = self.path_of(&display_path);
            let watch = match inotify::add_watch(&self.inotify, &folder, flags) {
                Ok(watch) => watch,
                Err(error @ (Errno::NOSPC | Errno::NOMEM)) => return Err(error.into()),
                // It is gone, or nobody may look into it.
                Err(_) => continue,
            };
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                // The type of the entry itself: links are not followed.
                let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                let name = entry.file_name();
                if let (true, Some(name)) = (is_folder, name.to_str()) {
                    let below = format!("{display_path}/{name}");
                    if !self.watched.leaves_out(&below, true) {
                        due.push(below);
                    }
                }
            }
            if display_path.is_empty() {
                has_root = true;
                self.root = watch;
            }
            self.folders.insert(watch, display_path.into_boxed_str());
        }
        for gone in before
            .keys()
            .filter(|watch| !self.folders.contains_key(*watch))
        {
            // What was deleted has none any more.
            let _ = inotify::remove_watch(&self.inotify, *gone);
        }
        // It may come, as with its disk.
        self.is_stale |= !has_root;
        Ok(())
    }

    /// How many folders are watched.
    pub fn folder_count(&self) -> u64 {
        self.folders.len() as u64
    }

    fn path_of(&self, display_path: &str) -> PathBuf {
        self.watched.root.join(display_path.trim_start_matches('/'))
    }

    /// The content dir may be another one than before: a disk was mounted over it.
    pub fn distrust(&mut self) {
        self.is_stale = true;
    }

    /// Watches what has come since. To be called before a walk, so that what it no longer sees is
    /// watched; `is_sent` if that sends what has changed.
    ///
    /// # Errors
    /// As [`Watcher::new`].
    pub fn renew(&mut self, is_sent: bool) -> io::Result<()> {
        self.look();
        if is_sent {
            (self.first, self.last) = (None, None);
        }
        if std::mem::take(&mut self.is_stale) {
            self.add_all()?;
        }
        Ok(())
    }

    /// Takes in what has happened; how long to wait until it has settled, nothing if nothing has.
    pub fn look(&mut self) -> Option<Duration> {
        let mut buffer = [const { MaybeUninit::uninit() }; 4096];
        let mut reader = Reader::new(&self.inotify, &mut buffer);
        let mut news = false;
        while let Ok(event) = reader.next() {
            let events = event.events();
            let is_lost = ReadFlags::QUEUE_OVERFLOW | ReadFlags::UNMOUNT;
            // The root itself; what lies below it is told of by the folder it is in.
            let is_root = event.wd() == self.root;
            let is_moved = ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::IGNORED;
            if events.intersects(is_lost) || is_root && events.intersects(is_moved) {
                (news, self.is_stale) = (true, true);
            }
            let name = event.file_name().and_then(|name| name.to_str().ok());
            let folder = self.folders.get(&event.wd());
            let Some((folder, name)) = folder.zip(name) else {
                continue;
            };
            let display_path = format!("{folder}/{name}");
            let is_folder = events.contains(ReadFlags::ISDIR);
            if self.watched.leaves_out(&display_path, is_folder) {
                continue;
            }
            if is_folder {
                (news, self.is_stale) = (true, true);
            } else if self.watched.filter.allows(&display_path).up {
                // A new file counts once it has been written.
                news |= !events.contains(ReadFlags::CREATE);
            }
        }
        let now = Instant::now();
        if news {
            self.first.get_or_insert(now);
            self.last = Some(now);
        }
        let (first, last) = self.first.zip(self.last)?;
        let settle = self.watched.settle;
        let quiet = settle.saturating_sub(now.duration_since(last));
        let patience = (settle * SETTLE_MAX).saturating_sub(now.duration_since(first));
        Some(quiet.min(patience))
    }
}

impl AsFd for Watcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    const SETTLE: Duration = Duration::from_millis(1);

    fn tree(name: &str) -> PathBuf {
        let name = format!("ferrybox-watch-{}-{name}", std::process::id());
        let root = std::env::temp_dir().join(name);
        for folder in ["a/b", "state", "cache/x", ".hidden"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        root
    }

    fn watcher(root: &Path) -> Watcher {
        let [all, cache] = ["/.*", "/cache"].map(|pattern| [pattern.to_owned()]);
        let filter = Filter::new(&all, &all, &cache, false).unwrap();
        Watcher::new(Watched {
            root: root.to_owned(),
            filter,
            own_keys: vec!["state".to_owned(), "ferrybox.log".to_owned()],
            settle: SETTLE,
        })
        .unwrap()
    }

    /// Whether something has happened; it is forgotten.
    fn news(watcher: &mut Watcher) -> bool {
        let news = watcher.look().is_some();
        watcher.renew(true).unwrap();
        news
    }

    #[test]
    fn what_goes_up_wakes_and_nothing_else_does() {
        let root = tree("wakes");
        let mut watcher = watcher(&root);
        assert_eq!(watcher.folders.len(), 3, "the root, a and a/b");
        assert!(!news(&mut watcher));
        for path in [
            "cache/f",
            "cache/x/f",
            ".hidden/f",
            "state/f",
            "ferrybox.log",
            "a/.ferrybox-1.tmp",
        ] {
            fs::write(root.join(path), "x").unwrap();
            assert!(!news(&mut watcher), "{path}");
        }
        fs::write(root.join("a/b/f"), "x").unwrap();
        assert!(news(&mut watcher));
        fs::rename(root.join("a/b/f"), root.join("a/g")).unwrap();
        assert!(news(&mut watcher));
        fs::remove_file(root.join("a/g")).unwrap();
        assert!(news(&mut watcher));
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn a_file_counts_when_it_is_closed() {
        use std::io::Write;
        let root = tree("closed");
        let mut watcher = watcher(&root);
        let mut file = fs::File::create(root.join("log")).unwrap();
        file.write_all(b"line").unwrap();
        assert!(!news(&mut watcher));
        drop(file);
        assert!(news(&mut watcher));
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn a_folder_that_comes_is_watched_from_the_next_walk_on() {
        let root = tree("comes");
        let mut watcher = watcher(&root);
        fs::create_dir_all(root.join("new/deep")).unwrap();
        assert!(news(&mut watcher));
        fs::write(root.join("new/deep/f"), "x").unwrap();
        assert!(news(&mut watcher));
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn what_a_walk_does_not_send_is_not_forgotten() {
        let root = tree("kept");
        let mut watcher = watcher(&root);
        fs::write(root.join("f"), "x").unwrap();
        watcher.renew(false).unwrap();
        assert!(watcher.look().is_some());
        watcher.renew(true).unwrap();
        assert!(watcher.look().is_none());
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn another_directory_in_its_place_is_watched_from_the_next_walk_on() {
        let root = tree("exchanged");
        let mut watcher = watcher(&root);
        let aside = root.with_extension("aside");
        fs::rename(&root, &aside).unwrap();
        fs::create_dir(&root).unwrap();
        assert!(news(&mut watcher));
        fs::write(aside.join("f"), "x").unwrap();
        assert!(!news(&mut watcher));
        fs::write(root.join("f"), "x").unwrap();
        assert!(news(&mut watcher));
        fs::remove_dir_all(&root).unwrap();
        fs::remove_dir_all(&aside).unwrap();
    }

    #[test]
    fn what_never_comes_to_rest_is_sent_all_the_same() {
        let root = tree("rest");
        let mut watcher = watcher(&root);
        watcher.watched.settle = Duration::from_millis(50);
        let start = Instant::now();
        loop {
            fs::write(root.join("a/f"), "x").unwrap();
            let left = watcher.look().unwrap();
            assert!(left <= watcher.watched.settle);
            if left.is_zero() {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let took = start.elapsed();
        assert!(took >= watcher.watched.settle * SETTLE_MAX, "{took:?}");
        fs::remove_dir_all(&root).unwrap();
    }
}
