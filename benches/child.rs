//! Running a program and measuring it, without what the measuring itself costs.
//!
//! The peak of memory is sampled while it runs ([`crate::peak`]). Time and bytes written are read
//! from `/proc` after the exit and before the process is reaped.

use std::fs;
use std::io;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a run cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// From the start of the process to its exit.
    pub wall: Duration,
    /// User and system time.
    pub cpu: Duration,
    /// The most memory it had resident, in KiB.
    pub peak_kib: u64,
    /// What it made the kernel write to block devices, in bytes.
    pub written: u64,
}

/// Runs a program to its end.
///
/// # Errors
/// If it cannot be started, or says that it failed.
pub fn run(command: &mut Command) -> io::Result<Cost> {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let mut child = command.spawn()?;
    let id = child.id();
    let (end, peak_kib) = crate::peak::watch(id);
    let wall = end - start;
    let (cpu, written) = (cpu(id), written(id));
    let status = child.wait()?;
    if !status.success() {
        let text = format!("{:?} ended with {status}", command.get_program());
        return Err(io::Error::other(text));
    }
    Ok(Cost {
        wall,
        cpu,
        peak_kib,
        written,
    })
}

/// The first thread's time in nanoseconds, or that of all threads in ticks, whichever is more.
fn cpu(id: u32) -> Duration {
    let precise = fs::read_to_string(format!("/proc/{id}/schedstat")).unwrap_or_default();
    let precise = precise.split(' ').next().unwrap_or_default().parse();
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // The name may hold anything; the fields after it do not.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let fields = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = fields.filter_map(|text| text.parse::<u64>().ok()).sum();
    Duration::from_nanos(precise.unwrap_or(0)).max(Duration::from_millis(ticks * 10))
}

fn written(id: u32) -> u64 {
    let io = fs::read_to_string(format!("/proc/{id}/io")).unwrap_or_default();
    let written = io
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes:"));
    written.map_or(0, |text| text.trim().parse().unwrap_or(0))
}

/// The run with the median wall time.
pub fn median(mut costs: Vec<Cost>) -> Cost {
    costs.sort_by_key(|cost| cost.wall);
    costs.get(costs.len() / 2).copied().unwrap_or_default()
}
