//! The log file: written once a pass, kept small, and not where it wears out a card.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use log::Level;
use rustix::fs::{Mode, OFlags};

use super::apart;
use crate::config::exposure;
use crate::config::{Config, ConfigError};
use crate::io::dirs::open_dir;
use crate::report::visible;
use crate::timestamp::local_text;

/// Major number of the devices of SD cards and eMMC (devices.txt of Linux).
const MMC_MAJOR: u32 = 179;
/// Lines that wait for the end of the pass, in bytes.
const PENDING_MAX: usize = 32 * 1024;

/// A file that lines are added to.
pub struct LogFile {
    /// Where it is, for people.
    path: PathBuf,
    /// The directory it is in, opened once: whatever becomes of the path, it stays this one.
    dir: File,
    name: OsString,
    max_bytes: u64,
    zone: TimeZone,
    pending: String,
    is_told: bool,
}

impl LogFile {
    /// The log at a path, in the directory of that path.
    fn in_dir(dir: File, path: &Path, max_bytes: u64, zone: TimeZone) -> LogFile {
        LogFile {
            path: path.to_owned(),
            dir,
            name: path.file_name().unwrap_or_default().to_owned(),
            max_bytes,
            zone,
            pending: String::new(),
            is_told: false,
        }
    }

    /// Adds a text, with the time before each line of it. It is written at the end of the pass, or
    /// once it is long.
    pub fn add(&mut self, level: Level, text: &str) {
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
    pub fn write(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let lines = std::mem::take(&mut self.pending);
        if let Err(error) = self.append(lines.as_bytes())
            && !std::mem::replace(&mut self.is_told, true)
        {
            let path = self.path.display();
            // The log itself cannot be used for it.
            let line = format!("warning: no log.file: cannot write to {path}: {error}");
            let _ = writeln!(io::stderr(), "{}", visible(&line));
        }
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.open()?;
        let size = file.metadata()?.size();
        if size > 0 && size + bytes.len() as u64 > self.max_bytes {
            let old = old_generation(Path::new(&self.name));
            rustix::fs::renameat(&self.dir, &self.name, &self.dir, &old)?;
            file = self.open()?;
        }
        file.write_all(bytes)
    }

    /// Opens the file, or makes it. It is ours alone: by another name it would be another file.
    fn open(&self) -> io::Result<File> {
        // Not to wait for a reader, should it be a pipe.
        let flags = OFlags::RDWR
            | OFlags::APPEND
            | OFlags::CREATE
            | OFlags::NOFOLLOW
            | OFlags::NONBLOCK
            | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = File::from(rustix::fs::openat(&self.dir, &self.name, flags, mode)?);
        let found = file.metadata()?;
        match exposure::of_own_file(&found) {
            None if found.size() == 0 || is_log(&file) => Ok(file),
            None => Err(io::Error::other(
                "it is no log of ferrybox: name another file",
            )),
            Some(what) => Err(io::Error::other(format!("it {what}"))),
        }
    }
}

/// Whether a file begins as every line of a log does, with a time.
fn is_log(file: &File) -> bool {
    const TIME: &[u8] = b"0000-00-00 00:00:00 ";
    let mut start = [0; TIME.len()];
    let is_like = |(byte, like): (&u8, &u8)| match like {
        b'0' => byte.is_ascii_digit(),
        like => byte == like,
    };
    file.read_exact_at(&mut start, 0).is_ok() && start.iter().zip(TIME).all(is_like)
}

/// Where the old generation of a log is.
pub fn old_generation(path: &Path) -> PathBuf {
    let mut old = path.to_owned().into_os_string();
    old.push(".1");
    old.into()
}

/// The log of a configuration. A directory that is missing, as those below /run are after a start
/// of the machine, is made; where that cannot be, or others could put something else in the place
/// of the file, the work is done without a log.
///
/// # Errors
/// If it must not be there.
pub fn opened(
    path: &Path,
    config: &Config,
    zone: TimeZone,
) -> Result<Option<LogFile>, ConfigError> {
    if let Some(fault) = taken(path, config) {
        return Err(fault);
    }
    let dir = path.parent().unwrap_or(Path::new("/"));
    let made = match open_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => DirBuilder::new()
            .mode(0o700)
            .create(dir)
            .and_then(|()| open_dir(dir)),
        found => found,
    };
    let found = made.and_then(|dir| dir.metadata().map(|metadata| (dir, metadata)));
    let (opened, metadata) = match found {
        Ok(found) => found,
        Err(error) => {
            log::warn!("no log.file: {}: {error}", dir.display());
            return Ok(None);
        }
    };
    if let Some(fault) = on_card(path, &metadata, config) {
        return Err(fault);
    }
    if let Some(exposed) = exposure::of_dir(dir, &metadata) {
        let (what, remedy) = (exposed.what, exposed.remedy);
        log::warn!("no log.file: {} {what}; {remedy}", path.display());
        return Ok(None);
    }
    let max_bytes = config.log.max_kib * 1024;
    Ok(Some(LogFile::in_dir(opened, path, max_bytes, zone)))
}

/// Why no log may be at this path, as far as that can be told without making anything.
pub fn refused_at(path: &Path, config: &Config) -> Option<ConfigError> {
    let metadata = |dir: &Path| std::fs::metadata(dir).ok();
    let nearest = path.ancestors().skip(1).find_map(metadata);
    let fault = || on_card(path, &nearest?, config);
    taken(path, config).or_else(fault)
}

fn fault(config: &Config, what: String, remedy: &str) -> ConfigError {
    ConfigError {
        file: config.path.clone(),
        line: None,
        key: Some("log.file".to_owned()),
        what,
        remedy: remedy.to_owned(),
        next: None,
    }
}

/// It would be another file of ours.
fn taken(path: &Path, config: &Config) -> Option<ConfigError> {
    let what = apart::taken_for(path, config)?;
    let what = format!("{} is {what}", path.display());
    let remedy = "name a file that is nothing else's, such as /run/ferrybox/ferrybox.log";
    Some(fault(config, what, remedy))
}

/// It would wear out the card, in a directory that is this.
fn on_card(path: &Path, dir: &Metadata, config: &Config) -> Option<ConfigError> {
    let root = std::fs::metadata("/").map_or(0, |root| root.dev());
    let is_card = rustix::fs::major(dir.dev()) == MMC_MAJOR || dir.dev() == root;
    if !is_card || config.log.force {
        return None;
    }
    let what = format!("{} is on the card this machine runs from", path.display());
    let remedy = "a log wears it out: name a file below /run, or set log.force = true";
    Some(fault(config, what, remedy))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn log(name: &str, max_bytes: u64) -> (PathBuf, LogFile) {
        let dir = std::env::temp_dir().join(format!("ferrybox-log-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("ferrybox.log");
        let opened = open_dir(&dir).unwrap();
        let log = LogFile::in_dir(opened, &path, max_bytes, TimeZone::UTC);
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

    /// W3: what others could write to, or what may be another file, gets no line.
    #[test]
    fn w3_a_file_that_is_not_ours_alone_is_left_alone() {
        let (path, mut log) = log("own", 1000);
        let other = path.with_extension("other");
        let mut refused = |why: &str| {
            let before = std::fs::read(&path).unwrap();
            log.add(Level::Info, "hello");
            let error = log.append(b"hello").unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
            log.write();
            assert_eq!(std::fs::read(&path).unwrap(), before, "{why}");
        };
        std::fs::write(&other, "victim").unwrap();
        std::fs::hard_link(&other, &path).unwrap();
        refused("has another name");
        std::fs::remove_file(&other).unwrap();
        let mode = |mode| std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&path, mode(0o666)).unwrap();
        refused("can be changed by others (mode 0666)");
        std::fs::set_permissions(&path, mode(0o600)).unwrap();
        if std::os::unix::fs::chown(&path, Some(4242), None).is_ok() {
            refused("belongs to another user (uid 4242)");
        }
        assert!(log.is_told, "once");
        done(&path);
    }

    /// W3: the directory is the one that was opened, and so a full file is renamed in it.
    #[test]
    fn w3_a_directory_that_is_exchanged_gets_and_loses_nothing() {
        let (path, mut log) = log("exchanged", 1000);
        let dir = path.parent().unwrap();
        let aside = dir.with_extension("aside");
        let victim = dir.with_extension("victim");
        std::fs::create_dir(&victim).unwrap();
        let old = victim.join("ferrybox.log.1");
        std::fs::write(&old, "theirs").unwrap();
        std::fs::write(victim.join("ferrybox.log"), "x".repeat(990)).unwrap();
        std::fs::rename(dir, &aside).unwrap();
        std::os::unix::fs::symlink(&victim, dir).unwrap();
        for _ in 0..30 {
            log.add(Level::Info, &"y".repeat(100));
            log.write();
        }
        assert_eq!(std::fs::read_to_string(&old).unwrap(), "theirs");
        assert_eq!(
            std::fs::metadata(victim.join("ferrybox.log"))
                .unwrap()
                .len(),
            990
        );
        assert!(aside.join("ferrybox.log.1").exists());
        assert!(open_dir(dir).is_err(), "a link is no directory");
        for made in [&aside, &victim] {
            std::fs::remove_dir_all(made).unwrap();
        }
        std::fs::remove_file(dir).unwrap();
    }
}
