//! The log file: written once a pass, kept small, and not where it wears out a card.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use log::Level;
use rustix::fs::OFlags;

use crate::config::{Config, ConfigError};
use crate::timestamp::local_text;

/// Major number of the devices of SD cards and eMMC (devices.txt of Linux).
const MMC_MAJOR: u32 = 179;
/// Lines that wait for the end of the pass, in bytes.
const PENDING_MAX: usize = 32 * 1024;

/// A file that lines are added to.
pub(super) struct LogFile {
    path: PathBuf,
    max_bytes: u64,
    zone: TimeZone,
    pending: String,
    is_told: bool,
}

impl LogFile {
    pub(super) fn new(path: &Path, max_bytes: u64, zone: TimeZone) -> LogFile {
        LogFile {
            path: path.to_owned(),
            max_bytes,
            zone,
            pending: String::new(),
            is_told: false,
        }
    }

    pub(super) fn add(&mut self, level: Level, text: &str) {
        let time = local_text(Timestamp::now(), &self.zone);
        let level = match level {
            Level::Error => "error: ",
            Level::Warn => "warning: ",
            Level::Info | Level::Debug | Level::Trace => "",
        };
        for line in text.lines() {
            self.pending.push_str(&format!("{time} {level}{line}\n"));
        }
        let most = PENDING_MAX as u64;
        if self.pending.len() as u64 > most.min(self.max_bytes / 2) {
            self.write();
        }
    }

    /// Writes what waits, in one call. What cannot be written is lost, and that is said once.
    pub(super) fn write(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let lines = std::mem::take(&mut self.pending);
        if let Err(error) = self.append(lines.as_bytes())
            && !std::mem::replace(&mut self.is_told, true)
        {
            let path = self.path.display();
            // The log itself cannot be used for it.
            let _ = writeln!(io::stderr(), "warning: cannot write to {path}: {error}");
        }
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let size = std::fs::symlink_metadata(&self.path).map_or(0, |file| file.size());
        if size > 0 && size + bytes.len() as u64 > self.max_bytes {
            std::fs::rename(&self.path, old_generation(&self.path))?;
        }
        // Not to wait for a reader, should it be a pipe.
        let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or(0);
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .custom_flags(flags)
            .open(&self.path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        file.write_all(bytes)
    }
}

/// Where the old generation of a log is.
pub fn old_generation(path: &Path) -> PathBuf {
    let mut old = path.to_owned().into_os_string();
    old.push(".1");
    old.into()
}

/// Whether there can be a log. A directory that is missing, as those below /run are after a start
/// of the machine, is made; where that cannot be, the work is done without a log.
///
/// # Errors
/// If it must not be there.
pub(super) fn is_usable(path: &Path, config: &Config) -> Result<bool, ConfigError> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    let made = match std::fs::metadata(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => DirBuilder::new()
            .mode(0o700)
            .create(dir)
            .and_then(|()| std::fs::metadata(dir)),
        found => found,
    };
    let device = match made {
        Ok(dir) => dir.dev(),
        Err(error) => {
            log::warn!("no log.file: {}: {error}", dir.display());
            return Ok(false);
        }
    };
    let root = std::fs::metadata("/").map_or(0, |root| root.dev());
    let is_card = rustix::fs::major(device) == MMC_MAJOR || device == root;
    if is_card && !config.log.force {
        return Err(ConfigError {
            file: config.path.clone(),
            line: None,
            key: Some("log.file".to_owned()),
            what: format!("{} is on the card this machine runs from", path.display()),
            remedy: "a log wears it out: name a file below /run, or set log.force = true"
                .to_owned(),
            next: None,
        });
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(name: &str, max_bytes: u64) -> (PathBuf, LogFile) {
        let dir = std::env::temp_dir().join(format!("ferrybox-log-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("ferrybox.log");
        let log = LogFile::new(&path, max_bytes, TimeZone::UTC);
        (path, log)
    }

    fn done(path: &Path) {
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn lines_are_written_once_a_pass_with_their_time() {
        let (path, mut log) = log("lines", 1000);
        log.write();
        assert!(!path.exists(), "nothing was said");
        log.add(Level::Info, "uploaded /a");
        log.add(Level::Warn, "one\ntwo");
        assert!(!path.exists(), "the pass goes on");
        log.write();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().map(|line| &line[20..]).collect();
        assert_eq!(lines, ["uploaded /a", "warning: one", "warning: two"]);
        let mode = std::fs::metadata(&path).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
        done(&path);
    }

    #[test]
    fn a_full_file_becomes_the_one_old_generation() {
        let (path, mut log) = log("full", 1000);
        let old = path.with_extension("log.1");
        for number in 0..60 {
            log.add(Level::Info, &format!("line {number} {}", "x".repeat(30)));
            log.write();
            assert!(std::fs::metadata(&path).unwrap().len() <= 1000);
        }
        let both = [&old, &path].map(|path| std::fs::read_to_string(path).unwrap());
        assert!(both[1].contains("line 59 ") && both[0].len() <= 1000);
        let first = both[0].lines().next().unwrap()[25..].split(' ').next();
        let first: u32 = first.unwrap().parse().unwrap();
        let kept = both.concat().lines().count();
        assert_eq!(
            u32::try_from(kept),
            Ok(60 - first),
            "none is missing between"
        );
        done(&path);
    }

    #[test]
    fn much_that_is_said_does_not_pile_up_in_memory() {
        let (path, mut log) = log("much", 1 << 20);
        for _ in 0..2000 {
            log.add(Level::Info, &"x".repeat(100));
            assert!(log.pending.len() <= PENDING_MAX + 200);
        }
        assert!(std::fs::metadata(&path).unwrap().len() > 100_000);
        done(&path);
    }

    #[test]
    fn a_link_in_its_place_is_not_followed() {
        let (path, mut log) = log("link", 1000);
        let victim = path.with_extension("victim");
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        log.add(Level::Info, "hello");
        log.write();
        assert!(!victim.exists());
        done(&path);
    }
}
