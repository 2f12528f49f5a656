//! The first look at a large account, of which nothing comes down.

use std::fs;
use std::io;

use super::Bench;
use crate::dropbox::Dropbox;
use crate::files::Tree;
use crate::gateway::{Gateway, REMOTE};
use crate::runs::Runs;

/// Everything is listed, nothing is to be transferred but one file of our own.
pub fn first(bench: &Bench) -> io::Result<()> {
    let tree = Tree {
        count: bench.pick(1_000_000, 50_000),
        size: 0,
        each: 100,
    };
    for latency in bench.latencies(&[0]) {
        let mut dropbox = Dropbox::start(&bench.scratch)?;
        let gateway = Gateway::new(&bench.scratch, &dropbox, "LOCAL_TO_DROPBOX")?;
        dropbox.tell(&tree.fill(REMOTE))?;
        fs::write(gateway.content.join("own"), b"ours")?;
        let mut runs = Runs::new(&format!("first listing, {} files", tree.count), latency);
        bench.pass(&mut runs, latency, &mut dropbox, &gateway)?;
        // It asks for every folder by itself: at a million files that takes minutes.
        if tree.count < 100_000 {
            let words = ["lsf", "-R", "--fast-list", "d:ferrybox"];
            bench.rclone(&mut runs, &mut dropbox, &words)?;
        }
        runs.print("");
    }
    Ok(())
}
