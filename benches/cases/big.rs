//! One large file, up and down, beside what others take for it.

use std::fs;
use std::io;
use std::time::Duration;

use super::{Bench, expect};
use crate::child::{Cost, median, run};
use crate::dropbox::{Dropbox, Traffic};
use crate::files::{count, touch_up, write_big};
use crate::gateway::{Gateway, REMOTE};
use crate::table::{self, Row, ratio};
use crate::tools;

/// The latencies at which these are measured, in milliseconds.
const LATENCIES: [u64; 2] = [0, 50];

const MIB: u64 = 1024 * 1024;

fn row(case: &str, latency_ms: u64, tool: &str, cost: Cost, note: String) -> Row {
    Row {
        case: case.to_owned(),
        latency_ms,
        tool: tool.to_owned(),
        cost,
        traffic: None,
        note,
    }
}

/// How often it was measured, and how it stands beside what others take for the same.
fn beside(bench: &Bench, ours: Duration, theirs: Duration, named: &str) -> String {
    let rounds = bench.rounds();
    if !bench.with_tools {
        return format!("median of {rounds}");
    }
    let times = ratio(ours, theirs);
    format!("median of {rounds}, {times:.2} times {named}")
}

/// The file is a new one in each round; then it is edited in place, which costs a second reading.
pub fn up(bench: &Bench) -> io::Result<()> {
    let size = bench.pick(512, 64) * MIB;
    let case = format!("{} MiB up", size / MIB);
    for latency in bench.latencies(&LATENCIES) {
        let mut dropbox = Dropbox::start(&bench.scratch)?;
        dropbox.tell("keep no")?;
        dropbox.tell(&format!("latency {latency}"))?;
        let gateway = Gateway::new(&bench.scratch, &dropbox, "LOCAL_TO_DROPBOX")?;
        let file = gateway.content.join("big");
        let (mut ours, mut edited) = (Vec::new(), Vec::new());
        let (mut sent, mut hashed) = (Vec::new(), Vec::new());
        let mut traffic = Traffic::default();
        for round in 0..bench.rounds() {
            write_big(&file, size)?;
            touch_up(&file, 2 * round)?;
            for costs in [&mut ours, &mut edited] {
                dropbox.reset()?;
                costs.push(gateway.sync()?);
                traffic = dropbox.traffic()?;
                if traffic.sent < size {
                    return Err(io::Error::other("the file was not sent"));
                }
                touch_up(&file, 2 * round + 1)?;
            }
            if bench.with_tools {
                sent.push(run(&mut tools::curl_up(&dropbox, &file))?);
                hashed.push(run(&mut tools::openssl(&file))?);
            }
            fs::remove_file(&file)?;
            gateway.sync()?;
        }
        write_big(&file, size)?;
        let rounds = bench.rounds();
        let (ours, edited) = (median(ours), median(edited));
        let (sent, hashed) = (median(sent), median(hashed));
        let rows = [
            (
                case.clone(),
                ours,
                sent.wall + hashed.wall,
                "curl and openssl",
            ),
            (
                format!("{case}, edited in place"),
                edited,
                sent.wall + hashed.wall * 2,
                "curl and twice openssl",
            ),
        ];
        for (case, cost, theirs, named) in rows {
            let note = beside(bench, cost.wall, theirs, named);
            table::print(&Row {
                traffic: Some(traffic),
                ..row(&case, latency, "ferrybox", cost, note)
            });
        }
        if bench.with_tools {
            let note = || format!("median of {rounds}");
            table::print(&row(&case, latency, "curl -T", sent, note()));
            let tool = "openssl dgst -sha256";
            table::print(&row(&case, latency, tool, hashed, note()));
        }
        let from = file.to_string_lossy().into_owned();
        let words = ["copyto", &from, "d:rclone/big"];
        bench.rclone(&case, latency, &mut dropbox, &words, ours)?;
    }
    Ok(())
}

/// The file is another one in each round.
pub fn down(bench: &Bench) -> io::Result<()> {
    let size = bench.pick(512, 64) * MIB;
    let case = format!("{} MiB down", size / MIB);
    let path = format!("{REMOTE}/big");
    let other = bench.scratch.join("other");
    for latency in bench.latencies(&LATENCIES) {
        let mut dropbox = Dropbox::start(&bench.scratch)?;
        dropbox.tell(&format!("latency {latency}"))?;
        let gateway = Gateway::new(&bench.scratch, &dropbox, "DROPBOX_TO_LOCAL")?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let mut traffic = Traffic::default();
        for round in 0..bench.rounds() {
            dropbox.tell(&format!("put {path} {size} {round}"))?;
            dropbox.reset()?;
            ours.push(gateway.sync()?);
            traffic = dropbox.traffic()?;
            if traffic.received < size {
                return Err(io::Error::other("the file was not received"));
            }
            if bench.with_tools {
                theirs.push(run(&mut tools::curl_down(&dropbox, &path, &other))?);
            }
        }
        expect("big-down", count(&gateway.content)?, 1)?;
        let rounds = bench.rounds();
        let (ours, theirs) = (median(ours), median(theirs));
        let mut note = format!("median of {rounds}");
        if bench.with_tools {
            let times = ratio(ours.wall, theirs.wall);
            note.push_str(&format!(
                ", {times:.2} times curl, which makes nothing durable"
            ));
        }
        table::print(&Row {
            traffic: Some(traffic),
            ..row(&case, latency, "ferrybox", ours, note)
        });
        if bench.with_tools {
            let note = format!("median of {rounds}");
            table::print(&row(&case, latency, "curl -o", theirs, note));
        }
        let to = bench
            .scratch
            .join("rclone-big")
            .to_string_lossy()
            .into_owned();
        let words = ["copyto", "d:ferrybox/big", &to];
        bench.rclone(&case, latency, &mut dropbox, &words, ours)?;
        // There is none without rclone; one that is there would not be fetched again.
        let _ = fs::remove_file(to);
    }
    Ok(())
}
