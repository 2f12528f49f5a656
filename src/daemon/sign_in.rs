//! Tells when somebody has signed in: `token.json` comes to be in the state directory. Where the
//! kernel grants no watch, the next pass that is due looks anyway.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};

/// What a sign-in leaves in the state directory.
const TOKEN: &str = "token.json";

/// Watches for a sign-in.
pub struct SignIn(OwnedFd);

impl SignIn {
    /// Watches this state directory, if it is there and can be watched.
    pub fn in_dir(dir: &Path) -> Option<SignIn> {
        let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok()?;
        // It is written beside and renamed, so that it is whole when it has its name.
        inotify::add_watch(&watch, dir, WatchFlags::MOVED_TO | WatchFlags::ONLYDIR).ok()?;
        Some(SignIn(watch))
    }

    /// Whether somebody has signed in since the last look.
    pub fn look(&mut self) -> bool {
        let mut buffer = [const { MaybeUninit::uninit() }; 1024];
        let mut reader = Reader::new(&self.0, &mut buffer);
        let mut is_there = false;
        while let Ok(event) = reader.next() {
            let name = event.file_name().and_then(|name| name.to_str().ok());
            is_there |= name == Some(TOKEN);
        }
        is_there
    }
}

impl AsFd for SignIn {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
