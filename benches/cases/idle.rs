//! Passes in which nothing changed, over small and large trees.

use std::io;

use super::{Bench, SMALL};
use crate::child::{median, run};
use crate::files::Tree;
use crate::table::{self, Row, ratio};
use crate::tools;

/// 20,000 small files: starting up counts.
pub fn small(bench: &Bench) -> io::Result<()> {
    let count = bench.pick(20_000, 2_000);
    idle(
        bench,
        Tree {
            count,
            size: SMALL,
            each: 100,
        },
    )
}

/// 1,000,000 files, empty ones: their contents are not looked at.
pub fn large(bench: &Bench) -> io::Result<()> {
    let count = bench.pick(1_000_000, 50_000);
    idle(
        bench,
        Tree {
            count,
            size: 0,
            each: 100,
        },
    )
}

fn idle(bench: &Bench, tree: Tree) -> io::Result<()> {
    let (mut dropbox, gateway) = bench.in_step(&tree, "")?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    dropbox.reset()?;
    for _ in 0..bench.rounds() {
        ours.push(gateway.sync()?);
        if bench.with_tools {
            theirs.push(run(&mut tools::find(&gateway.content))?);
        }
    }
    let mut traffic = dropbox.traffic()?;
    let rounds = bench.rounds();
    traffic.requests /= rounds;
    traffic.connections /= rounds;
    traffic.sent /= rounds;
    traffic.received /= rounds;
    let (ours, theirs) = (median(ours), median(theirs));
    let case = format!("idle, {} files", tree.count);
    let times = ratio(ours.wall, theirs.wall);
    let mut note = format!("median of {rounds}");
    if bench.with_tools {
        note.push_str(&format!(", {times:.2} times find"));
    }
    table::print(&Row {
        case: case.clone(),
        latency_ms: 0,
        tool: "ferrybox".into(),
        cost: ours,
        traffic: Some(traffic),
        note,
    });
    if bench.with_tools {
        table::print(&Row {
            case: case.clone(),
            latency_ms: 0,
            tool: "find -printf".into(),
            cost: theirs,
            traffic: None,
            note: format!("median of {rounds}"),
        });
    }
    // It asks for every folder by itself: at a million files that takes minutes.
    if tree.count > 100_000 {
        return Ok(());
    }
    let from = gateway.content.to_string_lossy().into_owned();
    let words = ["sync", &from, "d:ferrybox", "--size-only"];
    bench.rclone(&case, 0, &mut dropbox, &words, ours)
}
