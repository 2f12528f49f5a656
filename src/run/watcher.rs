//! Watches the content dir with inotify(7), so that changes go up without waiting for their time.
//!
//! A watch only wakes: what changed is seen by the walk. A file counts when it is closed, so that a
//! log which grows all the time waits for `upload_interval`. Where there are more folders than the
//! kernel grants watches, there are none, and the times of the schedule are all there is.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use crate::core::filter::is_own_name;
use crate::scan::{TEMP_PREFIX, TEMP_SUFFIX};

/// Times the settle time after which a change goes up although things still move.
const SETTLE_MAX: u32 = 12;

/// The watches on one tree.
pub struct Watcher {
    inotify: OwnedFd,
    root: PathBuf,
    settle: Duration,
    first: Option<Instant>,
    last: Option<Instant>,
    /// There may be folders without a watch.
    is_stale: bool,
}

impl Watcher {
    /// Watches a directory and all below it, but for other filesystems' odd corners: what cannot
    /// be watched for itself is left out.
    ///
    /// # Errors
    /// What the kernel says; `ENOSPC` where watches have run out (`fs.inotify.max_user_watches`).
    pub fn new(root: &Path, settle: Duration) -> io::Result<Watcher> {
        let watcher = Watcher {
            inotify: inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?,
            root: root.to_owned(),
            settle,
            first: None,
            last: None,
            is_stale: false,
        };
        watcher.add_all()?;
        Ok(watcher)
    }

    fn add_all(&self) -> io::Result<()> {
        let flags = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::ONLYDIR
            | WatchFlags::DONT_FOLLOW;
        let mut due = vec![self.root.clone()];
        while let Some(folder) = due.pop() {
            match inotify::add_watch(&self.inotify, &folder, flags) {
                Ok(_) => {}
                Err(error @ (Errno::NOSPC | Errno::NOMEM)) => return Err(error.into()),
                // It is gone, or nobody may look into it.
                Err(_) => continue,
            }
            let Ok(entries) = fs_err::read_dir(&folder) else {
                continue;
            };
            for entry in entries.flatten() {
                // The type of the entry itself: links are not followed.
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    due.push(entry.path());
                }
            }
        }
        Ok(())
    }

    /// Watches what has come since. To be called before a walk, so that what it no longer sees is
    /// watched.
    ///
    /// # Errors
    /// As [`Watcher::new`].
    pub fn renew(&mut self) -> io::Result<()> {
        self.look();
        (self.first, self.last) = (None, None);
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
            if events.contains(ReadFlags::QUEUE_OVERFLOW) {
                (news, self.is_stale) = (true, true);
            }
            let is_folder = events.contains(ReadFlags::ISDIR);
            if is_folder && events.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO) {
                self.is_stale = true;
            }
            let name = event.file_name().map(|name| name.to_string_lossy());
            let is_ours = name.as_deref().is_some_and(|name| {
                is_own_name(name) || name.starts_with(TEMP_PREFIX) && name.ends_with(TEMP_SUFFIX)
            });
            // A new file counts once it has been written.
            let is_made = events.contains(ReadFlags::CREATE) && !is_folder;
            news |= name.is_some() && !is_ours && !is_made;
        }
        let now = Instant::now();
        if news {
            self.first.get_or_insert(now);
            self.last = Some(now);
        }
        let (first, last) = self.first.zip(self.last)?;
        let quiet = self.settle.saturating_sub(now.duration_since(last));
        let patience = (self.settle * SETTLE_MAX).saturating_sub(now.duration_since(first));
        Some(quiet.min(patience))
    }
}

impl AsFd for Watcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}
