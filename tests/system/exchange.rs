//! Directories that are exchanged for links while the agent, as root, works below them: nothing
//! outside the content dir is read, written, deleted or given away. With and without `openat2`, on
//! one processor and on two. These tests run as root only, as CI does.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::gateway::{Gateway, Scratch};
use crate::needs;

/// Who exchanges.
const OWNER: u32 = 4321;
/// How long a race lasts.
const RACE: Duration = Duration::from_secs(5);
/// Files that a race may delete, one in each pass.
const FILES: usize = 400;
/// What must not get out, nor be overwritten.
const SECRET: &str = "root's own";

/// Makes the system calls of a kernel before 5.6 of it.
const WITHOUT_OPENAT2: [&str; 10] = [
    "strace",
    "-f",
    "-qq",
    "--seccomp-bpf",
    "-e",
    "trace=openat2",
    "-e",
    "inject=openat2:error=ENOSYS",
    "-o",
    "/dev/null",
];

/// Each file with its owner, mode and content.
type Snapshot = BTreeMap<String, (u32, u32, u32, u64, String)>;

fn snapshot(dir: &Path) -> Snapshot {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let paths = entries.chain([dir.to_owned()]);
    let one = |path: std::path::PathBuf| {
        let found = fs::symlink_metadata(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap_or_default();
        let rest = (found.uid(), found.gid(), found.mode(), found.nlink(), text);
        (path.display().to_string(), rest)
    };
    paths.map(one).collect()
}

/// A directory of root's, with the names that are below the exchanged one too.
fn outside(home: &Scratch) -> std::path::PathBuf {
    let outside = home.join("outside");
    fs::create_dir(&outside).unwrap();
    let names = (0..FILES).map(|nth| format!("file{nth}"));
    for name in names.chain(["same".to_owned(), "secret".to_owned()]) {
        let path = outside.join(name);
        fs::write(&path, SECRET).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    outside
}

fn give(path: &Path) {
    chown(path, Some(OWNER), Some(OWNER)).unwrap();
}

/// Exchanges two names until told to stop: now as fast as it goes, now with time in between, so
/// that some of the agent's work is done before and some after.
fn exchange(dir: &Path, link: &Path, is_over: &AtomicBool, cpus: usize) -> u64 {
    if cpus == 1 {
        on_the_first_processor();
    }
    let began = Instant::now();
    let mut count = 0;
    while !is_over.load(Ordering::Relaxed) {
        if renameat_with(CWD, dir, CWD, link, RenameFlags::EXCHANGE).is_ok() {
            count += 1;
        }
        match began.elapsed().as_millis() / 300 % 3 {
            0 => std::thread::sleep(Duration::from_micros(37 * (count % 150))),
            1 => std::thread::sleep(Duration::from_micros(1 + count % 100)),
            _ if cpus == 1 => std::thread::yield_now(),
            _ => (),
        }
    }
    count
}

fn on_the_first_processor() {
    let mut first = CpuSet::new();
    first.set(0);
    sched_setaffinity(None, &first).unwrap();
}

/// What a race came to.
#[derive(Debug, Default)]
pub struct Ran {
    passes: u32,
    exchanges: u64,
    downloads: u32,
    deletes: u32,
}

impl Ran {
    /// Whether there was a race, and work that was done in spite of it.
    pub fn is_telling(&self) -> bool {
        self.passes > 0 && self.exchanges > 100 && self.downloads > 0 && self.deletes > 0
    }
}

/// Passes that download, delete and upload below `his/d`, which all the while is now a directory
/// and now a link to one of root's.
#[track_caller]
pub fn race(gateway: &Gateway, wrapper: &[&str], cpus: usize, how_long: Duration) -> Ran {
    let outside = outside(&gateway.home);
    let dir = gateway.content.join("his/d");
    let link = gateway.content.join("his/link");
    fs::create_dir_all(&dir).unwrap();
    give(&gateway.content.join("his"));
    give(&dir);
    for nth in 0..FILES {
        gateway.dropbox.put(&format!("/his/d/file{nth}"), b"old");
    }
    gateway.dropbox.put("/his/d/same", b"old");
    gateway.sync_ok();
    symlink(&outside, &link).unwrap();
    let before = snapshot(&outside);
    let is_over = AtomicBool::new(false);
    let mut ran = Ran::default();
    let taskset = ["taskset", "-c", "0"];
    let pinned: &[&str] = if cpus == 1 { &taskset } else { &[] };
    let wrapper: Vec<&str> = pinned.iter().chain(wrapper).copied().collect();
    std::thread::scope(|scope| {
        let attacker = scope.spawn(|| exchange(&dir, &link, &is_over, cpus));
        let began = Instant::now();
        while began.elapsed() < how_long {
            let nth = ran.passes as usize;
            gateway.dropbox.put(&format!("/his/d/new{nth}"), b"new");
            let edit = format!("edit {nth}");
            gateway.dropbox.put("/his/d/same", edit.as_bytes());
            gateway
                .dropbox
                .remove(&format!("/his/d/file{}", nth % FILES));
            let ended = gateway.run(&wrapper, &["sync"]);
            assert!(matches!(ended.code, Some(0 | 3)), "{ended:?}");
            if snapshot(&outside) != before {
                is_over.store(true, Ordering::Relaxed);
                panic!("outside has changed in pass {nth}: {ended:?}");
            }
            ran.passes += 1;
        }
        is_over.store(true, Ordering::Relaxed);
        ran.exchanges = attacker.join().unwrap();
    });
    for (path, content) in gateway.remote_tree() {
        let text = String::from_utf8_lossy(&content).into_owned();
        assert!(!text.contains(SECRET), "{path} is in Dropbox");
    }
    // Wherever the true directory has ended.
    let real = [&dir, &link]
        .into_iter()
        .find(|path| !path.is_symlink())
        .unwrap();
    for nth in 0..ran.passes as usize {
        ran.downloads += u32::from(real.join(format!("new{nth}")).exists());
        ran.deletes += u32::from(!real.join(format!("file{}", nth % FILES)).exists());
    }
    // Once it is quiet, all is made up for.
    if dir.is_symlink() {
        renameat_with(CWD, &dir, CWD, &link, RenameFlags::EXCHANGE).unwrap();
    }
    fs::remove_file(&link).unwrap();
    // What went up while it bore the name of the link goes again.
    gateway.configure_also("[sync.guard]\nmax_delete_count = 100000\n");
    let last = gateway.sync();
    assert!(matches!(last.code, Some(0 | 3)), "{last:?}");
    gateway.sync_ok();
    assert_eq!(snapshot(&outside), before);
    assert_eq!(gateway.local_tree(), gateway.remote_tree());
    ran
}

/// A race with a content dir of root's, and one with a content dir that is his altogether.
#[track_caller]
fn races(test: &str, wrapper: &[&str], cpus: usize) {
    let need = match rustix::process::geteuid().is_root() {
        true if wrapper.is_empty() => Ok(()),
        true => needs::strace().clone(),
        false => Err("root alone can be robbed".to_owned()),
    };
    if !needs::has(test, &need) {
        return;
    }
    for is_all_his in [false, true] {
        let gateway = Gateway::new();
        if is_all_his {
            give(&gateway.content);
        }
        let ran = race(&gateway, wrapper, cpus, RACE);
        crate::gateway::say(&format!("{test}: {ran:?}"));
        assert!(ran.is_telling(), "{ran:?}");
    }
}

#[test]
fn a_directory_that_is_exchanged_for_a_link_leads_nowhere_on_two_processors() {
    races("exchanges on two processors", &[], 2);
}

#[test]
fn a_directory_that_is_exchanged_for_a_link_leads_nowhere_on_one_processor() {
    races("exchanges on one processor", &[], 1);
}

#[test]
fn without_openat2_it_leads_nowhere_on_two_processors() {
    races("exchanges without openat2 on two", &WITHOUT_OPENAT2, 2);
}

#[test]
fn without_openat2_it_leads_nowhere_on_one_processor() {
    races("exchanges without openat2 on one", &WITHOUT_OPENAT2, 1);
}
