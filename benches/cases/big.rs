//! One large file, up and down, beside what others take for it.

use std::fs;
use std::io;
use std::path::Path;

use super::{Bench, OURS, expect};
use crate::dropbox::Dropbox;
use crate::files::{count, touch_up, write_big};
use crate::gateway::{Gateway, REMOTE};
use crate::runs::Runs;
use crate::table::ratio;
use crate::tools;

/// The latencies at which these are measured, in milliseconds.
const LATENCIES: [u64; 2] = [0, 50];

const MIB: u64 = 1024 * 1024;

const OPENSSL: &str = "openssl dgst -sha256";
const CURL_UP: &str = "curl -T";
const CURL_DOWN: &str = "curl -o";

/// How ours stands beside `curl` and so many times `openssl dgst` together.
fn beside(bench: &Bench, runs: &Runs, curl: &str, hashings: u32) -> String {
    if !bench.with_tools {
        return String::new();
    }
    let theirs = runs.wall(curl) + runs.wall(OPENSSL) * hashings;
    let times = ratio(runs.wall(OURS), theirs);
    let openssl = ["", "openssl", "twice openssl"][hashings as usize];
    format!("{times:.2} times curl and {openssl}")
}

/// The file is a new one in each round; then it is edited in place, which costs a second reading.
pub fn up(bench: &Bench) -> io::Result<()> {
    let size = bench.pick(512, 64) * MIB;
    let case = format!("{} MiB up", size / MIB);
    for latency in bench.latencies(&LATENCIES) {
        let mut dropbox = Dropbox::start(&bench.scratch)?;
        dropbox.tell("keep no")?;
        let gateway = Gateway::new(&bench.scratch, &dropbox, "LOCAL_TO_DROPBOX")?;
        let file = gateway.content.join("big");
        let from = file.to_string_lossy().into_owned();
        let mut runs = Runs::new(&case, latency);
        let mut edited = Runs::new(&format!("{case}, edited in place"), latency);
        for round in 0..bench.rounds() {
            write_big(&file, size)?;
            touch_up(&file, 2 * round)?;
            for runs in [&mut runs, &mut edited] {
                bench.pass(runs, latency, &mut dropbox, &gateway)?;
                if dropbox.traffic()?.sent < size {
                    return Err(io::Error::other("the file was not sent"));
                }
                touch_up(&file, 2 * round + 1)?;
            }
            if bench.with_tools {
                for runs in [&mut runs, &mut edited] {
                    runs.tool(CURL_UP, &mut tools::curl_up(&dropbox, &file))?;
                    runs.tool(OPENSSL, &mut tools::openssl(&file))?;
                }
            }
            let to = format!("d:rclone/big{round}");
            bench.rclone(&mut runs, &mut dropbox, &["copyto", &from, &to])?;
            fs::remove_file(&file)?;
            gateway.sync()?;
        }
        runs.print(&beside(bench, &runs, CURL_UP, 1));
        edited.print(&beside(bench, &edited, CURL_UP, 2));
    }
    Ok(())
}

/// To disk, where it has to be durable, and to memory, where nothing is.
pub fn down(bench: &Bench) -> io::Result<()> {
    for latency in bench.latencies(&LATENCIES) {
        down_to(bench, latency, &bench.scratch, "to disk")?;
        let memory = Path::new("/dev/shm").join(format!("ferrybox-bench-{}", std::process::id()));
        fs::create_dir_all(&memory)?;
        let done = down_to(bench, latency, &memory, "to memory");
        fs::remove_dir_all(&memory)?;
        done?;
    }
    Ok(())
}

/// The file is another one in each round.
fn down_to(bench: &Bench, latency: u64, below: &Path, where_to: &str) -> io::Result<()> {
    let size = bench.pick(512, 64) * MIB;
    let path = format!("{REMOTE}/big");
    let mut dropbox = Dropbox::start(&bench.scratch)?;
    let gateway = Gateway::new(below, &dropbox, "DROPBOX_TO_LOCAL")?;
    let mut runs = Runs::new(&format!("{} MiB down {where_to}", size / MIB), latency);
    for round in 0..bench.rounds() {
        dropbox.tell(&format!("put {path} {size} {round}"))?;
        bench.pass(&mut runs, latency, &mut dropbox, &gateway)?;
        if dropbox.traffic()?.received < size {
            return Err(io::Error::other("the file was not received"));
        }
        if bench.with_tools {
            let to = below.join("other");
            runs.tool(CURL_DOWN, &mut tools::curl_down(&dropbox, &path, &to))?;
            runs.tool(OPENSSL, &mut tools::openssl(&to))?;
            fs::remove_file(to)?;
        }
        if bench.with_rclone {
            let to = below.join("rclone-big");
            let words = ["copyto", "d:ferrybox/big", &to.to_string_lossy()];
            let mut rclone = tools::rclone(&bench.scratch, &dropbox, &words)?;
            let mut sync = tools::sync(below);
            let is_disk = below == bench.scratch;
            let tool = match is_disk {
                true => "rclone copyto, then sync -f",
                false => "rclone copyto",
            };
            runs.client(
                tool,
                &mut dropbox,
                &mut rclone,
                is_disk.then_some(&mut sync),
            )?;
            fs::remove_file(to)?;
        }
    }
    expect("big-down", count(&gateway.content)?, 1)?;
    runs.print(&beside(bench, &runs, CURL_DOWN, 1));
    Ok(())
}
