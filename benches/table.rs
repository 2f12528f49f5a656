//! The table of results, one line for each thing that was run.

use std::time::Duration;

use crate::child::Cost;
use crate::dropbox::Traffic;

/// One line of the table.
pub struct Row {
    /// The case, with its size.
    pub case: String,
    /// Added to every request.
    pub latency_ms: u64,
    /// What was run.
    pub tool: String,
    /// What it cost.
    pub cost: Cost,
    /// What went over the wire, if anything could.
    pub traffic: Option<Traffic>,
    /// How it compares, or what is to be known about it.
    pub note: String,
}

/// Prints the head of the table.
pub fn head() {
    println!(
        "| case | + ms | tool | wall s | CPU s | peak MiB | requests | conns | sent KiB | \
         received KiB | written KiB | note |"
    );
    println!("|---|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---|");
}

/// Prints a line as soon as it is known.
pub fn print(row: &Row) {
    let kib = |bytes: u64| format!("{:.1}", bytes as f64 / 1024.0);
    let wire = |read: fn(&Traffic) -> u64| row.traffic.as_ref().map(read);
    let number = |value: Option<u64>| value.map_or("-".into(), |value| value.to_string());
    println!(
        "| {} | {} | {} | {} | {} | {:.1} | {} | {} | {} | {} | {} | {} |",
        row.case,
        row.latency_ms,
        row.tool,
        seconds(row.cost.wall),
        seconds(row.cost.cpu),
        row.cost.peak_kib as f64 / 1024.0,
        number(wire(|traffic| traffic.requests)),
        number(wire(|traffic| traffic.connections)),
        wire(|traffic| traffic.sent).map_or("-".into(), kib),
        wire(|traffic| traffic.received).map_or("-".into(), kib),
        kib(row.cost.written),
        row.note,
    );
}

fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
}

/// How many times longer one run took than another.
pub fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64().max(1e-9)
}
