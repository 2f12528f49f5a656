//! Small files: 1,000 of them at once, or one among 20,000.

use std::fs;
use std::io;

use super::{Bench, SMALL, expect};
use crate::dropbox::Dropbox;
use crate::files::{Tree, count};
use crate::gateway::Gateway;

/// The latencies at which these are measured, in milliseconds.
const LATENCIES: [u64; 3] = [0, 50, 150];

fn thousand(bench: &Bench) -> Tree {
    Tree {
        count: bench.pick(1000, 200),
        size: SMALL,
        each: 20,
    }
}

/// Nothing in Dropbox, everything here.
pub fn upload(bench: &Bench) -> io::Result<()> {
    let tree = thousand(bench);
    let case = format!("upload, {} x 8 KiB", tree.count);
    for latency in bench.latencies(&LATENCIES) {
        let mut dropbox = Dropbox::start(&bench.scratch)?;
        let gateway = Gateway::new(&bench.scratch, &dropbox, "LOCAL_TO_DROPBOX")?;
        tree.write(&gateway.content)?;
        let ours = bench.pass(&case, latency, &mut dropbox, &gateway)?;
        expect("upload", dropbox.files()?, tree.count)?;
        let from = gateway.content.to_string_lossy().into_owned();
        let words = ["copy", &from, "d:rclone"];
        bench.rclone(&case, latency, &mut dropbox, &words, ours)?;
    }
    Ok(())
}

/// Everything in Dropbox, nothing here.
pub fn restore(bench: &Bench) -> io::Result<()> {
    let tree = thousand(bench);
    let case = format!("restore, {} x 8 KiB", tree.count);
    for latency in bench.latencies(&LATENCIES) {
        let mut dropbox = Dropbox::start(&bench.scratch)?;
        let gateway = Gateway::new(&bench.scratch, &dropbox, "BIDIRECTIONAL")?;
        dropbox.tell(&tree.fill(crate::gateway::REMOTE))?;
        let ours = bench.pass(&case, latency, &mut dropbox, &gateway)?;
        expect("restore", count(&gateway.content)?, tree.count)?;
        let to = bench.scratch.join("restored");
        let words = ["copy", "d:ferrybox", &to.to_string_lossy()];
        bench.rclone(&case, latency, &mut dropbox, &words, ours)?;
        // There is none without rclone.
        let _ = fs::remove_dir_all(to);
    }
    Ok(())
}

/// Half of the files go, with the directories they are in.
pub fn deletes(bench: &Bench) -> io::Result<()> {
    let gone = thousand(bench);
    let tree = Tree {
        count: 2 * gone.count,
        ..gone
    };
    let case = format!("deletes, {} of {}", gone.count, tree.count);
    for latency in bench.latencies(&LATENCIES) {
        let (mut dropbox, gateway) = bench.in_step(&tree, "")?;
        gone.remove_first(gone.count, &gateway.content)?;
        let ours = bench.pass(&case, latency, &mut dropbox, &gateway)?;
        expect("deletes", dropbox.files()?, gone.count)?;
        dropbox.tell(&tree.fill("/rclone"))?;
        let from = gateway.content.to_string_lossy().into_owned();
        let words = ["sync", &from, "d:rclone", "--size-only"];
        bench.rclone(&case, latency, &mut dropbox, &words, ours)?;
    }
    Ok(())
}

/// A directory with everything in it gets another name.
pub fn rename(bench: &Bench) -> io::Result<()> {
    let tree = thousand(bench);
    let case = format!("rename, directory of {}", tree.count);
    for latency in bench.latencies(&LATENCIES) {
        let (mut dropbox, gateway) = bench.in_step(&tree, "/old")?;
        fs::rename(gateway.content.join("old"), gateway.content.join("new"))?;
        let ours = bench.pass(&case, latency, &mut dropbox, &gateway)?;
        expect("rename", dropbox.files()?, tree.count)?;
        dropbox.tell(&tree.fill("/rclone/old"))?;
        let from = gateway.content.to_string_lossy().into_owned();
        let words = ["sync", &from, "d:rclone", "--size-only", "--track-renames"];
        bench.rclone(&case, latency, &mut dropbox, &words, ours)?;
    }
    Ok(())
}

/// One file changes here, then another one in Dropbox.
pub fn change(bench: &Bench) -> io::Result<()> {
    let tree = Tree {
        count: bench.pick(20_000, 2_000),
        size: SMALL,
        each: 100,
    };
    let (mut dropbox, gateway) = bench.in_step(&tree, "")?;
    for latency in bench.latencies(&LATENCIES) {
        gateway.settle()?;
        let file = gateway.content.join("d00003/f0000300");
        fs::write(file, vec![latency as u8; SMALL as usize])?;
        let case = format!("one changed here, of {}", tree.count);
        let ours = bench.pass(&case, latency, &mut dropbox, &gateway)?;
        let from = gateway.content.to_string_lossy().into_owned();
        let words = ["sync", &from, "d:ferrybox", "--size-only"];
        let scan = format!("{case}: looking only");
        bench.rclone(&scan, latency, &mut dropbox, &words, ours)?;
        dropbox.tell("latency 0")?;
        gateway.settle()?;
        let seed = 1_000_000 + latency;
        dropbox.tell(&format!("put /ferrybox/d00004/f0000400 {SMALL} {seed}"))?;
        let case = format!("one changed in Dropbox, of {}", tree.count);
        bench.pass(&case, latency, &mut dropbox, &gateway)?;
        dropbox.tell("latency 0")?;
    }
    Ok(())
}
