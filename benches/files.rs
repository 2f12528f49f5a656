//! Local trees with the same names and contents as those the stand-in fills itself with.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use dropbox_standin::seeded_bytes;

/// A tree: so many files of a size, so many to a directory.
#[derive(Clone, Copy, Debug)]
pub struct Tree {
    /// How many files.
    pub count: u64,
    /// The size of each, in bytes.
    pub size: u64,
    /// How many to a directory.
    pub each: u64,
}

impl Tree {
    /// The command that makes the stand-in hold the same below a folder.
    pub fn fill(&self, folder: &str) -> String {
        format!("fill {folder} {} {} {}", self.count, self.size, self.each)
    }

    /// The path of a file, from the directory on.
    pub fn path(&self, number: u64) -> String {
        format!("/d{:05}/f{number:07}", number / self.each)
    }

    /// Writes the files below a directory.
    ///
    /// # Errors
    /// If one cannot be written.
    pub fn write(&self, below: &Path) -> io::Result<()> {
        for number in 0..self.count {
            let folder = below.join(format!("d{:05}", number / self.each));
            if number.is_multiple_of(self.each) {
                fs::create_dir_all(&folder)?;
            }
            let file = folder.join(format!("f{number:07}"));
            fs::write(file, seeded_bytes(self.size, number))?;
        }
        Ok(())
    }

    /// Removes the directories that hold the first files.
    ///
    /// # Errors
    /// If one cannot be removed.
    pub fn remove_first(&self, count: u64, below: &Path) -> io::Result<()> {
        for number in 0..count / self.each {
            fs::remove_dir_all(below.join(format!("d{number:05}")))?;
        }
        Ok(())
    }
}

/// Writes one file with bytes that do not compress.
///
/// # Errors
/// If it cannot be written.
pub fn write_big(path: &Path, size: u64) -> io::Result<()> {
    const PIECE: u64 = 1024 * 1024;
    let mut file = File::create(path)?;
    let mut left = size;
    while left > 0 {
        let count = left.min(PIECE);
        file.write_all(&seeded_bytes(count, left))?;
        left -= count;
    }
    file.sync_all()
}

/// Changes the first bytes of a file, so that it has to travel anew.
///
/// # Errors
/// If it cannot be written.
pub fn touch_up(path: &Path, number: u64) -> io::Result<()> {
    let file = File::options().write(true).open(path)?;
    file.write_all_at(&number.to_le_bytes(), 0)?;
    file.sync_all()
}

/// How many files lie below a directory; hidden ones are the agent's own.
///
/// # Errors
/// If it cannot be read.
pub fn count(below: &Path) -> io::Result<u64> {
    let (mut files, mut due) = (0, vec![below.to_owned()]);
    while let Some(folder) = due.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                due.push(entry.path());
            } else if !entry.file_name().as_encoded_bytes().starts_with(b".") {
                files += 1;
            }
        }
    }
    Ok(files)
}
