//! Passes in which nothing changed, over small and large trees.

use std::io;

use super::{Bench, OURS, SMALL};
use crate::files::Tree;
use crate::runs::Runs;
use crate::table::ratio;
use crate::tools;

/// 20,000 small files: starting up counts.
pub fn small(bench: &Bench) -> io::Result<()> {
    idle(
        bench,
        Tree {
            count: bench.pick(20_000, 2_000),
            size: SMALL,
            each: 100,
        },
    )
}

/// 1,000,000 files, empty ones: their contents are not looked at.
pub fn large(bench: &Bench) -> io::Result<()> {
    idle(
        bench,
        Tree {
            count: bench.pick(1_000_000, 50_000),
            size: 0,
            each: 100,
        },
    )
}

fn idle(bench: &Bench, tree: Tree) -> io::Result<()> {
    let (mut dropbox, gateway) = bench.in_step(&tree, "")?;
    let mut runs = Runs::new(&format!("idle, {} files", tree.count), 0);
    let from = gateway.content.to_string_lossy().into_owned();
    let words = ["sync", &from, "d:ferrybox", "--size-only"];
    for _ in 0..bench.rounds() {
        bench.pass(&mut runs, 0, &mut dropbox, &gateway)?;
        if bench.with_tools {
            runs.tool(FIND, &mut tools::find(&gateway.content))?;
        }
        // It asks for every folder by itself: at a million files that takes minutes.
        if tree.count <= 100_000 {
            bench.rclone(&mut runs, &mut dropbox, &words)?;
        }
    }
    let times = ratio(runs.wall(OURS), runs.wall(FIND));
    runs.print(&match bench.with_tools {
        true => format!("{times:.2} times find"),
        false => String::new(),
    });
    Ok(())
}

/// What `status`, `why`, `check-filters` and `history` cost where a million files are in step.
pub fn askers(bench: &Bench) -> io::Result<()> {
    let tree = Tree {
        count: bench.pick(1_000_000, 50_000),
        size: 0,
        each: 100,
    };
    let (_dropbox, gateway) = bench.in_step(&tree, "")?;
    let last = tree.path(tree.count - 1);
    for words in [
        &["status"][..],
        &["why", &last],
        &["check-filters"],
        &["check-filters", &last],
        &["history"],
    ] {
        let mut runs = Runs::new(&format!("{}, {} files", words.join(" "), tree.count), 0);
        for _ in 0..3 {
            runs.note(OURS, gateway.ask(words)?, None);
        }
        runs.print("");
    }
    Ok(())
}

const FIND: &str = "find -printf";
