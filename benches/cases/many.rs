//! Small files: 1,000 or 20,000 of them at once, or one among 20,000.

use std::fs;
use std::io;

use super::{Bench, SMALL, expect};
use crate::dropbox::Dropbox;
use crate::files::{Tree, count};
use crate::gateway::Gateway;
use crate::runs::Runs;

/// The latencies at which these are measured, in milliseconds.
const LATENCIES: [u64; 2] = [0, 50];

fn thousand(bench: &Bench) -> Tree {
    Tree {
        count: bench.pick(1000, 200),
        size: SMALL,
        each: 20,
    }
}

/// Of a few bytes, a hundred to a directory.
fn twenty_thousand(bench: &Bench) -> Tree {
    Tree {
        count: bench.pick(20_000, 2_000),
        size: 8,
        each: 100,
    }
}

/// Nothing in Dropbox, everything here.
pub fn upload(bench: &Bench) -> io::Result<()> {
    let tree = thousand(bench);
    for latency in bench.latencies(&LATENCIES) {
        let mut runs = Runs::new(&format!("upload, {} x 8 KiB", tree.count), latency);
        for _ in 0..bench.rounds() {
            let mut dropbox = Dropbox::start(&bench.scratch)?;
            let gateway = Gateway::new(&bench.scratch, &dropbox, "LOCAL_TO_DROPBOX")?;
            tree.write(&gateway.content)?;
            bench.pass(&mut runs, latency, &mut dropbox, &gateway)?;
            expect("upload", dropbox.files()?, tree.count)?;
            let from = gateway.content.to_string_lossy().into_owned();
            let words = ["copy", &from, "d:rclone"];
            bench.rclone(&mut runs, &mut dropbox, &words)?;
        }
        runs.print("");
    }
    Ok(())
}

/// Everything in Dropbox, nothing here.
pub fn restore(bench: &Bench) -> io::Result<()> {
    let tree = thousand(bench);
    for latency in bench.latencies(&LATENCIES) {
        let mut runs = Runs::new(&format!("restore, {} x 8 KiB", tree.count), latency);
        for _ in 0..bench.rounds() {
            let mut dropbox = Dropbox::start(&bench.scratch)?;
            let gateway = Gateway::new(&bench.scratch, &dropbox, "BIDIRECTIONAL")?;
            dropbox.tell(&tree.fill(crate::gateway::REMOTE))?;
            bench.pass(&mut runs, latency, &mut dropbox, &gateway)?;
            expect("restore", count(&gateway.content)?, tree.count)?;
            for transfers in ["--transfers=4", "--transfers=32"] {
                let to = bench.scratch.join("restored");
                let words = ["copy", "d:ferrybox", &to.to_string_lossy(), transfers];
                bench.rclone(&mut runs, &mut dropbox, &words)?;
                // There is none without rclone.
                let _ = fs::remove_dir_all(to);
            }
        }
        runs.print("");
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
    for latency in bench.latencies(&LATENCIES) {
        delete(bench, &tree, gone.count, latency)?;
    }
    Ok(())
}

/// So many go that memory would show it; a tenth of them stay.
pub fn deletes_20k(bench: &Bench) -> io::Result<()> {
    let gone = twenty_thousand(bench);
    let tree = Tree {
        count: gone.count + gone.count / 10,
        ..gone
    };
    delete(bench, &tree, gone.count, 0)
}

fn delete(bench: &Bench, tree: &Tree, gone: u64, latency: u64) -> io::Result<()> {
    let case = format!("deletes, {gone} of {}", tree.count);
    let mut runs = Runs::new(&case, latency);
    let (mut dropbox, gateway) = bench.in_step(tree, "")?;
    tree.remove_first(gone, &gateway.content)?;
    bench.pass(&mut runs, latency, &mut dropbox, &gateway)?;
    expect("deletes", dropbox.files()?, tree.count - gone)?;
    dropbox.tell(&tree.fill("/rclone"))?;
    let from = gateway.content.to_string_lossy().into_owned();
    let words = ["sync", &from, "d:rclone", "--size-only"];
    bench.rclone(&mut runs, &mut dropbox, &words)?;
    runs.print("");
    Ok(())
}

/// A directory with everything in it gets another name.
pub fn rename(bench: &Bench) -> io::Result<()> {
    let tree = thousand(bench);
    for latency in bench.latencies(&LATENCIES) {
        move_all(
            bench,
            &tree,
            latency,
            &format!("rename, directory of {}", tree.count),
        )?;
    }
    Ok(())
}

/// The same of so many that memory would show it.
pub fn move_20k(bench: &Bench) -> io::Result<()> {
    let tree = twenty_thousand(bench);
    let case = format!("move, {} into another directory", tree.count);
    move_all(bench, &tree, 0, &case)
}

fn move_all(bench: &Bench, tree: &Tree, latency: u64, case: &str) -> io::Result<()> {
    let mut runs = Runs::new(case, latency);
    let (mut dropbox, gateway) = bench.in_step(tree, "/old")?;
    fs::create_dir(gateway.content.join("to"))?;
    fs::rename(gateway.content.join("old"), gateway.content.join("to/new"))?;
    bench.pass(&mut runs, latency, &mut dropbox, &gateway)?;
    expect("move", dropbox.files()?, tree.count)?;
    dropbox.tell(&tree.fill("/rclone/old"))?;
    let from = gateway.content.to_string_lossy().into_owned();
    let words = ["sync", &from, "d:rclone", "--size-only", "--track-renames"];
    bench.rclone(&mut runs, &mut dropbox, &words)?;
    runs.print("");
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
    let from = gateway.content.to_string_lossy().into_owned();
    for latency in bench.latencies(&LATENCIES) {
        let mut up = Runs::new(&format!("one changed here, of {}", tree.count), latency);
        let mut down = Runs::new(
            &format!("one changed in Dropbox, of {}", tree.count),
            latency,
        );
        gateway.settle()?;
        for round in 0..bench.rounds() {
            let file = gateway.content.join("d00003/f0000300");
            fs::write(file, vec![(latency + round) as u8; SMALL as usize])?;
            bench.pass(&mut up, latency, &mut dropbox, &gateway)?;
            dropbox.tell("latency 0")?;
            gateway.sync()?;
            let seed = 1_000_000 + 1000 * latency + round;
            dropbox.tell(&format!("put /ferrybox/d00004/f0000400 {SMALL} {seed}"))?;
            bench.pass(&mut down, latency, &mut dropbox, &gateway)?;
        }
        // All is in step for it: it only looks.
        let words = ["sync", &from, "d:ferrybox", "--size-only"];
        bench.rclone(&mut up, &mut dropbox, &words)?;
        dropbox.tell("latency 0")?;
        up.print("");
        down.print("");
    }
    Ok(())
}
