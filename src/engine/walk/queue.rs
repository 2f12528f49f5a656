//! Directories still to be walked, packed: one directory may hold tens of thousands of them.

use std::io;

use crate::core::path::{DisplayPath, RelPath};
use crate::engine::local_dir::LocalDir;
use crate::error::{Result, state_error};

/// A directory still to be walked.
pub(super) struct QueuedDir {
    pub(super) key: String,
    /// `/real/case/path`, as filters see it; empty for the root.
    pub(super) display_path: DisplayPath,
    pub(super) local: LocalDir,
    pub(super) blocked_up: bool,
}

/// Groups of directories, one for each directory above them. The last group comes first, and within
/// a group the first one that was pushed.
#[derive(Default)]
pub(super) struct DirQueue {
    slots: Vec<Slot>,
    /// The display path, then the key and the local path where they are not simply the same.
    text: String,
}

struct Slot {
    device: u64,
    start: u32,
    display_path_len: u32,
    /// 0 if it is the display path.
    key_len: u32,
    /// 0 if it is the display path.
    path_len: u32,
    /// Where the text of its group ends.
    group_end: u32,
    is_present: bool,
    blocked_up: bool,
}

fn as_u32(len: usize) -> Result<u32> {
    let full = |_| io::Error::from(io::ErrorKind::OutOfMemory);
    let len = u32::try_from(len).map_err(full);
    len.map_err(|error| state_error("remember the folders to be looked into", &error))
}

impl DirQueue {
    /// Where the next group begins.
    pub(super) fn mark(&self) -> usize {
        self.slots.len()
    }

    /// Adds one to the group at hand; one that cannot be walked is left out. LIMIT: the paths of
    /// all of them together may have 4 GiB.
    ///
    /// # Errors
    /// Beyond that.
    pub(super) fn push(&mut self, dir: &QueuedDir) -> Result<()> {
        let (path, device, is_present) = match &dir.local {
            LocalDir::Present(path, device) => (path, *device, true),
            LocalDir::Absent(path, device) => (path, *device, false),
            LocalDir::BelowFile | LocalDir::Blocked | LocalDir::Unknown => return Ok(()),
        };
        let plain = plain(&dir.display_path);
        let unless_plain = |text| if text == plain { "" } else { text };
        let (key, path) = (unless_plain(&dir.key), unless_plain(path.as_str()));
        let start = as_u32(self.text.len())?;
        for part in [dir.display_path.as_str(), key, path] {
            self.text.push_str(part);
        }
        let end = as_u32(self.text.len())?;
        self.slots.push(Slot {
            device,
            start,
            display_path_len: as_u32(dir.display_path.len())?,
            key_len: as_u32(key.len())?,
            path_len: as_u32(path.len())?,
            group_end: end,
            is_present,
            blocked_up: dir.blocked_up,
        });
        Ok(())
    }

    /// Ends the group that began at this mark.
    pub(super) fn close(&mut self, mark: usize) {
        let group = &mut self.slots[mark..];
        let end = group.last().map_or(0, |slot| slot.group_end);
        for slot in &mut *group {
            slot.group_end = end;
        }
        group.reverse();
    }

    /// The next one.
    pub(super) fn pop(&mut self) -> Option<QueuedDir> {
        let slot = self.slots.pop()?;
        let mut at = slot.start as usize;
        let mut part = |len: u32| {
            let from = at;
            at += len as usize;
            self.text[from..at].to_owned()
        };
        let display_path = DisplayPath::from(part(slot.display_path_len));
        let key = part(slot.key_len);
        let path = part(slot.path_len);
        let plain = plain(&display_path);
        let key = if key.is_empty() {
            plain.to_owned()
        } else {
            key
        };
        let path = if path.is_empty() { plain } else { &path };
        let local = match (RelPath::parse(path), slot.is_present) {
            (Ok(path), true) => LocalDir::Present(path, slot.device),
            (Ok(path), false) => LocalDir::Absent(path, slot.device),
            (Err(_), _) => LocalDir::Unknown,
        };
        // What is left of this group, or the group before it, ends here.
        let kept = self.slots.last().map_or(0, |slot| slot.group_end);
        self.text.truncate(kept as usize);
        Some(QueuedDir {
            key,
            display_path,
            local,
            blocked_up: slot.blocked_up,
        })
    }
}

fn plain(display_path: &str) -> &str {
    display_path.strip_prefix('/').unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(display_path: &str, key: &str, path: &str) -> QueuedDir {
        QueuedDir {
            key: key.to_owned(),
            display_path: DisplayPath::from(display_path.to_owned()),
            local: LocalDir::Present(RelPath::parse(path).unwrap(), 7),
            blocked_up: display_path.ends_with('b'),
        }
    }

    fn push(dirs: &mut DirQueue, group: &[QueuedDir]) {
        let mark = dirs.mark();
        for dir in group {
            dirs.push(dir).unwrap();
        }
        dirs.close(mark);
    }

    fn pop(dirs: &mut DirQueue) -> Option<(String, String, String, bool)> {
        let dir = dirs.pop()?;
        let LocalDir::Present(path, 7) = dir.local else {
            panic!("it was present, on device 7");
        };
        let path = path.as_str().to_owned();
        Some((dir.display_path.to_string(), dir.key, path, dir.blocked_up))
    }

    #[test]
    fn directories_come_in_order_and_what_is_below_one_before_the_next() {
        let mut dirs = DirQueue::default();
        push(
            &mut dirs,
            &[
                dir("/a", "a", "a"),
                dir("/B", "b", "b~"),
                dir("/c", "c", "c"),
            ],
        );
        let plain = |name: &str| {
            let display_path = format!("/{name}");
            let blocked_up = name.ends_with('b');
            Some((display_path, name.to_owned(), name.to_owned(), blocked_up))
        };
        assert_eq!(pop(&mut dirs), plain("a"));
        push(&mut dirs, &[]);
        let not_utf8 = Some(("/B".to_owned(), "b".to_owned(), "b~".to_owned(), false));
        assert_eq!(pop(&mut dirs), not_utf8);
        push(
            &mut dirs,
            &[dir("/B/a", "b/a", "b~/a"), dir("/B/b", "b/b", "b~/b")],
        );
        let below = |name: &str| {
            let path = format!("b~/{name}");
            Some((format!("/B/{name}"), format!("b/{name}"), path, name == "b"))
        };
        assert_eq!(pop(&mut dirs), below("a"));
        assert_eq!(pop(&mut dirs), below("b"));
        assert_eq!(pop(&mut dirs), plain("c"));
        assert_eq!(pop(&mut dirs), None);
        assert_eq!(dirs.text, "");
    }

    #[test]
    fn one_that_cannot_be_walked_is_left_out() {
        let mut dirs = DirQueue::default();
        let blocked = QueuedDir {
            local: LocalDir::Blocked,
            ..dir("/a", "a", "a")
        };
        push(&mut dirs, &[blocked]);
        assert_eq!(pop(&mut dirs), None);
    }
}
