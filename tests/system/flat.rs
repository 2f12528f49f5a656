//! What happens to many files at once takes no more memory than what happens to a few: they are
//! sent, asked about, moved, planned, halted on, deleted and brought back, on either side.

use std::fs::File;
use std::process::Stdio;
use std::time::Instant;

use crate::gateway::Gateway;
use crate::peak;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// What ten times as many files may cost, which the caches of SQLite come to be full of.
const SLOPE: u64 = MIB;
/// What any of it may take: up to 12.5 MiB measured, 8.8 in the release binary.
const MOST: u64 = 13 * MIB;

/// How many are many: 20,000, or what `FLAT_FILES` says.
fn files() -> usize {
    let set = std::env::var("FLAT_FILES").ok();
    set.map_or(20_000, |number| number.parse().unwrap())
}

/// One tree that is taken through everything, and what each pass had in memory at most.
struct Course {
    gateway: Gateway,
    peaks: Vec<(&'static str, u64)>,
    /// Requests of the last pass.
    requests: usize,
}

impl Course {
    /// A pass that ends with this code; what it said.
    #[track_caller]
    fn pass(&mut self, what: &'static str, args: &[&str], code: i32) -> String {
        let began = Instant::now();
        let said = self.gateway.home.join("stderr");
        let mut command = self.gateway.command(&[], args);
        command.stdout(Stdio::null());
        command.stderr(File::create(&said).unwrap());
        let mut child = command.spawn().unwrap();
        let (_, peak_kib) = peak::watch(child.id());
        let status = child.wait().unwrap();
        let said = std::fs::read_to_string(said).unwrap();
        assert_eq!(status.code(), Some(code), "{what}: {said}");
        assert!(peak_kib > 0, "nothing was measured");
        self.requests = self.gateway.dropbox.requests().len();
        println!(
            "{what}: {peak_kib} KiB, {} requests, {:.1} s",
            self.requests,
            began.elapsed().as_secs_f64()
        );
        self.gateway.dropbox.clear_requests();
        self.peaks.push((what, peak_kib * KIB));
        said
    }

    /// The answer to a halt that is printed.
    #[track_caller]
    fn approve(&mut self, what: &'static str, said: &str) {
        let id = said.split("sync --approve ").nth(1).unwrap();
        let id = id.split_whitespace().next().unwrap().to_owned();
        self.pass(what, &["sync", "--approve", &id], 0);
    }
}

/// A hundred files to a directory.
fn path(top: &str, number: usize) -> String {
    format!("{top}/d{:04}/f{number:06}", number / 100)
}

fn course(files: usize) -> Vec<(&'static str, u64)> {
    let mut gateway = Gateway::new();
    // `FLAT_BINARY=target/release/ferrybox`: that of the release profile.
    if let Some(binary) = std::env::var_os("FLAT_BINARY") {
        gateway.binary = std::path::absolute(binary).unwrap();
    }
    for number in 0..files {
        gateway.put(&path("all", number), &number.to_string());
    }
    for number in 0..3 {
        gateway.put(&format!("stays{number}"), "x");
    }
    let mut course = Course {
        gateway,
        peaks: Vec::new(),
        requests: 0,
    };
    // Files, and a folder for each hundred of them.
    let entries = files + files / 100 + 1;
    let pages = entries / 2000 + 2;
    course.pass("plan to upload", &["sync", "--dry-run"], 0);
    course.pass("upload", &["sync"], 0);
    course.pass("idle", &["sync"], 0);
    let last = format!("/{}", path("all", files - 1));
    course.pass("status", &["status"], 0);
    course.pass("why", &["why", &last], 0);
    course.pass("check-filters", &["check-filters"], 0);
    course.gateway.rename("all", "moved");
    course.pass("plan to move", &["sync", "--dry-run"], 0);
    course.pass("moved here", &["sync"], 0);
    // The calls of more than two are jobs, each asked after once.
    let calls = entries / 10_000;
    let most = 8 + calls + calls.saturating_sub(2) + pages;
    assert!(course.requests <= most, "{} of {most}", course.requests);
    course.pass("idle after that", &["sync"], 0);
    course.gateway.dropbox.rename("/moved", "/back");
    course.pass("moved there", &["sync"], 0);
    assert!(course.requests <= pages, "{} of {pages}", course.requests);
    course.pass("idle again", &["sync"], 0);
    for number in 0..files {
        course.gateway.remove(&path("back", number));
    }
    course.pass("plan to delete", &["sync", "--dry-run"], 5);
    let said = course.pass("halted", &["sync"], 5);
    course.pass("halted again", &["sync"], 5);
    course.approve("deleted here", &said);
    course.pass("idle once more", &["sync"], 0);
    for number in 0..files {
        let bytes = number.to_string();
        course
            .gateway
            .dropbox
            .put(&format!("/{}", path("new", number)), bytes.as_bytes());
    }
    course.pass("restored", &["sync"], 0);
    course.gateway.dropbox.remove("/new");
    let said = course.pass("halted there", &["sync"], 5);
    course.approve("deleted there", &said);
    course.peaks
}

#[test]
fn what_happens_to_many_files_takes_no_more_memory() {
    let few = course(2_000);
    let many = course(files());
    let mut over = Vec::new();
    for ((what, few), (_, many)) in few.into_iter().zip(many) {
        let more = many.saturating_sub(few);
        println!("{what}: {} KiB more", more / KIB);
        if more > SLOPE || many > MOST {
            over.push(format!(
                "{what}: {} KiB instead of {}",
                many / KIB,
                few / KIB
            ));
        }
    }
    assert!(over.is_empty(), "{}", over.join("\n"));
}
