//! A file of ours that other programs read: the metrics, the status page. It is replaced in one
//! step. What is not ours is never replaced, and as root no link of anybody else is followed.

use std::io::{self, ErrorKind};
use std::path::Path;

use crate::core::path::RelPath;
use crate::io::RealDisk;
use crate::io::disk::{Access, Disk, ReadDisk};
use crate::io::stat::Kind;

/// Such a file, by its directory.
pub struct PublicFile {
    dir: RealDisk,
    name: RelPath,
    found: String,
}

impl PublicFile {
    /// The file at `path`, which need not be there; all such files begin with `head`.
    ///
    /// # Errors
    /// What the system says of its directory; that something else is there.
    pub fn open(path: &Path, head: &str) -> io::Result<PublicFile> {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.and_then(|name| RelPath::parse(name).ok());
        let name = name.ok_or_else(|| io::Error::other("that is no name for a file"))?;
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let dir = RealDisk::open_led_by_us(dir.unwrap_or(Path::new(".")))?;
        let is_file = |found: &crate::io::stat::Status| found.kind == Kind::File;
        if dir.status(&name)?.is_some_and(|found| !is_file(&found)) {
            return Err(io::Error::other("it is no regular file: name another"));
        }
        let found = dir.read(&name)?.unwrap_or_default();
        let found = String::from_utf8_lossy(&found).into_owned();
        if !found.is_empty() && !found.starts_with(head) {
            return Err(io::Error::other(
                "it holds something else: remove it, or name another file",
            ));
        }
        Ok(PublicFile { dir, name, found })
    }

    /// What it holds; empty where it is not there.
    pub fn found(&self) -> &str {
        &self.found
    }

    /// Replaces it. It is not forced to the medium: the next one is made from the same facts.
    ///
    /// # Errors
    /// What the system says.
    pub fn replace(&self, access: Access, text: &str) -> io::Result<()> {
        let temp = RelPath::parse(&format!("{}.new", self.name)).map_err(io::Error::other)?;
        match self.dir.remove_file(&temp) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let replace = || {
            let mut made = self.dir.create(&temp, access)?;
            made.write_all(text.as_bytes())?;
            drop(made);
            self.dir.replace(&temp, &self.name)
        };
        replace().inspect_err(|_| {
            let _ = self.dir.remove_file(&temp);
        })
    }
}
