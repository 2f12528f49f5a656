//! What a pass may cost: memory, requests, bytes written, syncs, access times, instructions, and
//! the size of the binary. What costs more fails. Time is no budget: it is the machine's.
//!
//! The binary is that of the test profile: with Rust 1.95 on x86-64 its code takes some 2.5 MiB
//! more memory than that of the release binary, for which the aim is 8 MiB.

use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::gateway::{Gateway, Scratch};
use crate::images::{Image, Mounted};
use crate::needs;
use crate::peak;
use crate::strace::{Call, record};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// Memory of an ordinary pass: 10.8 MiB measured, of which more is the program itself than in the
/// release binary, which takes 7.3 (`cargo bench`).
const ORDINARY: u64 = 23 * MIB / 2;
/// A first listing: 11.4 MiB measured.
const LISTING: u64 = 12 * MIB;
/// The names of 200,000 files of one directory: 10.9 MiB measured.
const LARGE_DIRECTORY: u64 = 16 * MIB;
/// Instructions per file of an idle pass: 11,583 measured.
const INSTRUCTIONS: u64 = 11_800;
/// The release binary on x86-64: 4.91 MiB measured.
const BINARY: u64 = 5 * MIB;
/// The file that changes, in bytes.
const SMALL: usize = 8 << 10;

/// Holds a figure against its budget.
#[track_caller]
fn at_most(claim: &str, figure: u64, budget: u64) {
    println!("{claim}: {figure} of {budget}");
    assert!(figure <= budget, "{claim}: {figure}, but {budget} at most");
}

/// A pass that must end well; the most memory it had resident, in bytes.
#[track_caller]
fn peak_of_pass(gateway: &Gateway) -> u64 {
    gateway.dropbox.clear_requests();
    let said = gateway.home.join("stderr");
    let mut command = gateway.command(&[], &["sync"]);
    command.stdout(Stdio::null());
    command.stderr(File::create(&said).unwrap());
    let mut child = command.spawn().unwrap();
    let (_, peak_kib) = peak::watch(child.id());
    let status = child.wait().unwrap();
    assert!(status.success(), "{}", fs::read_to_string(said).unwrap());
    assert!(peak_kib > 0, "nothing was measured");
    peak_kib * KIB
}

/// Puts these files on both sides.
fn fill(gateway: &Gateway, numbers: Range<usize>, path: fn(usize) -> String) {
    for number in numbers {
        let (path, content) = (path(number), number.to_string());
        gateway.put(&path, &content);
        gateway.dropbox.put(&format!("/{path}"), content.as_bytes());
    }
}

/// A hundred to a directory.
fn in_directories(number: usize) -> String {
    format!("d{:04}/f{number:06}", number / 100)
}

fn in_one_directory(number: usize) -> String {
    format!("all/f{number:06}")
}

/// Passes until there is nothing left to do, not even about stamps that were too young.
fn settle(gateway: &Gateway) {
    thread::sleep(Duration::from_millis(2100));
    gateway.sync_ok();
    gateway.sync_ok();
}

fn written(calls: &[Call]) -> u64 {
    calls.iter().map(Call::written).sum()
}

/// The calls of this name.
fn times(calls: &[Call], name: &str) -> u64 {
    calls.iter().filter(|call| call.name == name).count() as u64
}

#[test]
fn a_pass_over_a_tree_costs_what_has_changed() {
    let gateway = Gateway::new();
    fill(&gateway, 0..5_000, in_directories);
    settle(&gateway);
    instructions(&gateway, 5_000);

    fill(&gateway, 5_000..20_000, in_directories);
    gateway.put("changed", &"a".repeat(SMALL));
    settle(&gateway);
    let small = peak_of_pass(&gateway);
    let requests = gateway.dropbox.requests().len() as u64;
    at_most("requests of an idle pass", requests, 1);
    at_most("memory, idle, 20,000 files", small, ORDINARY);
    one_change(&gateway);
    writes(&gateway);

    fill(&gateway, 20_000..100_000, in_directories);
    settle(&gateway);
    let large = peak_of_pass(&gateway);
    let requests = gateway.dropbox.requests().len() as u64;
    at_most("requests of an idle pass", requests, 1);
    let more = large.saturating_sub(small);
    at_most("memory, idle, 100,000 files instead of 20,000", more, MIB);
}

fn one_change(gateway: &Gateway) {
    gateway.put("changed", &"b".repeat(SMALL));
    gateway.sync_ok();
    let up = gateway.dropbox.requests().len() as u64;
    at_most("requests for a file that changed here", up, 2);
    settle(gateway);
    gateway
        .dropbox
        .put("/changed", "c".repeat(SMALL).as_bytes());
    gateway.sync_ok();
    let down = gateway.dropbox.requests().len() as u64;
    at_most("requests for a file that changed in Dropbox", down, 2);
    settle(gateway);
}

fn writes(gateway: &Gateway) {
    if !needs::has("what a pass writes", needs::strace()) {
        return;
    }
    let mut calls = record(gateway);
    // What is left for "status" is in memory: a few hundred bytes in the runtime directory.
    let is_record = |call: &Call| call.text.contains("pass-") || call.text.contains("last_success");
    calls.retain(|call| call.is_on_files() && call.name != "flock" && !is_record(call));
    assert!(calls.is_empty(), "an idle pass writes: {calls:?}");
    let size = SMALL as u64;

    gateway.put("changed", &"d".repeat(SMALL));
    let up = written(&record(gateway));
    at_most("bytes written, a file up", up, 2 * size + 32 * KIB);
    settle(gateway);
    gateway
        .dropbox
        .put("/changed", "e".repeat(SMALL).as_bytes());
    let down = written(&record(gateway));
    at_most("bytes written, a file down", down, 2 * size + 48 * KIB);
    settle(gateway);
}

/// Instructions per file of an idle pass.
fn instructions(gateway: &Gateway, files: u64) {
    let test = "instructions of an idle pass";
    if !cfg!(target_arch = "x86_64") || !needs::has(test, needs::valgrind()) {
        return;
    }
    let log = gateway.home.join("callgrind");
    let file = format!("--log-file={}", log.display());
    let wrapper = [
        "valgrind",
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
        &file,
    ];
    let ended = gateway.run(&wrapper, &["sync"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let text = fs::read_to_string(log).unwrap();
    let count = text
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    let count: u64 = count.unwrap().1.trim().parse().unwrap();
    at_most(
        "instructions per file, idle, 5,000 files",
        count / files,
        INSTRUCTIONS,
    );
}

#[test]
fn a_first_listing_and_a_large_directory_fit_in_little_memory() {
    const FILES: usize = 200_000;
    let gateway = Gateway::new();
    let config = gateway.home.join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    let text = text.replace("BIDIRECTIONAL", "LOCAL_TO_DROPBOX");
    fs::write(&config, text).unwrap();
    for number in 0..FILES {
        let path = format!("/{}", in_one_directory(number));
        gateway.dropbox.put(&path, number.to_string().as_bytes());
    }
    let listing = peak_of_pass(&gateway);
    at_most("memory, first listing of 200,000 files", listing, LISTING);
    for number in 0..FILES {
        gateway.put(&in_one_directory(number), &number.to_string());
    }
    settle(&gateway);
    let idle = peak_of_pass(&gateway);
    assert_eq!(gateway.dropbox.requests().len(), 1);
    at_most(
        "memory, idle, 200,000 files in one directory",
        idle,
        LARGE_DIRECTORY,
    );
}

#[test]
fn a_large_file_takes_no_more_memory_than_a_small_one() {
    let gateway = Gateway::new();
    gateway.dropbox.set_keep_contents(false);
    gateway.sync_ok();
    let transfers = |number: u64, size: u64| {
        let (up, down) = (format!("up {number}"), format!("down {number}"));
        let file = File::create(gateway.content.join(up)).unwrap();
        file.set_len(size).unwrap();
        let up = peak_of_pass(&gateway);
        let remote = format!("/{down}");
        gateway.dropbox.put_seeded(&remote, size, number);
        let peaks = (up, peak_of_pass(&gateway));
        let arrived = fs::metadata(gateway.content.join(down)).unwrap();
        assert_eq!(arrived.len(), size);
        peaks
    };
    // Samples can miss the peak of a short run, but never exceed it.
    let small = [1, 2, 3].map(|number| transfers(number, MIB));
    let small = small
        .into_iter()
        .reduce(|a, b| (a.0.max(b.0), a.1.max(b.1)));
    let (small, large) = (small.unwrap(), transfers(4, 128 * MIB));
    for (way, small, large) in [("up", small.0, large.0), ("down", small.1, large.1)] {
        at_most(&format!("memory, 128 MiB {way}"), large, ORDINARY);
        let more = large.saturating_sub(small);
        at_most(
            &format!("memory, 128 MiB {way} instead of 1"),
            more,
            MIB / 2,
        );
    }
}

#[test]
fn many_small_downloads_share_their_syncs() {
    if !needs::has("syncs of downloads", needs::strace()) {
        return;
    }
    const FILES: u64 = 1000;
    for (way, dir) in [("in an archive", "/d"), ("one by one", "")] {
        let gateway = Gateway::new();
        gateway.sync_ok();
        for number in 0..FILES {
            let path = format!("{dir}/f{number:04}");
            gateway.dropbox.put(&path, number.to_string().as_bytes());
        }
        let calls = record(&gateway);
        assert_eq!(gateway.remote_tree(), gateway.local_tree());
        let claim = format!("syncs of the content, {way}");
        at_most(&claim, times(&calls, "syncfs"), 2 + FILES.div_ceil(64));
        let state = times(&calls, "fsync") + times(&calls, "fdatasync");
        // A commit takes four, the cursor two. The listing is one commit, and one makes sure of
        // what is left at the end. A folder is settled before its archive is asked for. Each 256
        // rows are settled in one, for good.
        let folders = u64::from(!dir.is_empty());
        let commits = 2 + folders + FILES.div_ceil(256);
        // Where the last batch lies in one directory, its names are forced by that.
        let directories = 1;
        at_most(
            &format!("syncs of the state, {way}"),
            state,
            4 * commits + 2 + directories,
        );
    }
}

#[test]
fn what_came_down_is_not_read_again() {
    if !needs::has("reads of what came down", needs::strace()) {
        return;
    }
    const FILES: usize = 200;
    let gateway = Gateway::new();
    gateway.sync_ok();
    for (dir, size) in [("many", 1 << 10), ("", 5 << 20)] {
        for number in 0..FILES {
            if !dir.is_empty() || number == 0 {
                let path = format!("{dir}/f{number:04}");
                let path = format!("/{}", path.trim_start_matches('/'));
                gateway.dropbox.put_seeded(&path, size, number as u64);
            }
        }
        for pass in ["that brings it down", "after that"] {
            let log = gateway.home.join("reads.log");
            let file = log.to_str().unwrap();
            let calls = "trace=?open,?openat,?openat2";
            let wrapper = [
                "strace",
                "-f",
                "-qq",
                "-e",
                "signal=none",
                "-e",
                calls,
                "-o",
                file,
            ];
            let ended = gateway.run(&wrapper, &["sync"]);
            assert_eq!(ended.code, Some(0), "{ended:?}");
            let log = fs::read_to_string(&log).unwrap();
            let is_read = |line: &&str| {
                let name = line.split('"').nth(1).unwrap_or_default();
                let name = name.rsplit('/').next().unwrap_or_default();
                let is_ours = name.len() == 5 && name.starts_with('f');
                is_ours && !line.contains("O_CREAT") && !line.contains("O_PATH")
            };
            let reads: Vec<&str> = log.lines().filter(is_read).collect();
            assert!(reads.is_empty(), "in the pass {pass}: {reads:?}");
        }
    }
    assert_eq!(gateway.remote_tree(), gateway.local_tree());
}

#[test]
fn an_idle_pass_leaves_the_access_times_alone() {
    if !needs::has("access times of an idle pass", needs::mounts()) {
        return;
    }
    let home = Scratch::new();
    let image = Image::make(&home.join("image"), 256).unwrap();
    let (content, state) = (home.join("content"), home.join("state"));
    let disk = Mounted::image(&image, &content).unwrap();
    disk.remount("strictatime");
    let gateway = Gateway::at(home, content, state);
    for path in ["top", "d/a", "d/e/b"] {
        gateway.put(path, path);
    }
    settle(&gateway);
    let accessed = |path: &str| {
        let status = fs::metadata(gateway.content.join(path)).unwrap();
        (status.atime(), status.atime_nsec())
    };
    let all = || ["", "top", "d", "d/a", "d/e", "d/e/b"].map(|path| (path, accessed(path)));
    let before = all();
    gateway.sync_ok();
    assert_eq!(all(), before);
    // It is not that nobody keeps them.
    assert_eq!(fs::read_dir(gateway.content.join("d")).unwrap().count(), 2);
    assert_ne!(all(), before);
    drop(disk);
}

#[test]
fn the_release_binary_is_small() {
    let built = Path::new(env!("CARGO_BIN_EXE_ferrybox")).ancestors().nth(2);
    let binary = built.unwrap().join("release/ferrybox");
    let size = fs::metadata(&binary).map_err(|error| format!("{}: {error}", binary.display()));
    let size = size.map(|status| status.len());
    if !cfg!(target_arch = "x86_64") || !needs::has("size of the binary", &size) {
        return;
    }
    at_most("bytes of the release binary", size.unwrap(), BINARY);
}
