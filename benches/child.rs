//! Running a program and measuring it, without what the measuring itself costs.
//!
//! The peak of memory is `VmHWM`, read while the program runs: it is that of the program's own
//! image, whereas `ru_maxrss` starts with what the parent had at the fork. Time and bytes written
//! are read from `/proc` after the exit and before the process is reaped.

use std::fs;
use std::io;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

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
    let over = AtomicBool::new(false);
    let (wall, peak_kib) = thread::scope(|scope| {
        let sampler = scope.spawn(|| peak(id, &over));
        let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
        let exited = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        if let Some(pid) = pid {
            // Should it fail, the wait below still ends.
            let _ = waitid(WaitId::Pid(pid), exited);
        }
        let wall = start.elapsed();
        over.store(true, Ordering::SeqCst);
        (wall, sampler.join().unwrap_or_default())
    });
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

/// Samples the high-water mark until the process is over: often at first, for short runs.
fn peak(id: u32, over: &AtomicBool) -> u64 {
    let (mut peak, mut pause) = (0, Duration::from_micros(500));
    while !over.load(Ordering::SeqCst) {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        peak = peak.max(field(&status, "VmHWM:"));
        thread::sleep(pause);
        pause = (pause * 21 / 20).min(Duration::from_millis(5));
    }
    peak
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

/// A number from a file of lines like `VmHWM:   1234 kB`.
fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or(0)
}

/// The run with the median wall time.
pub fn median(mut costs: Vec<Cost>) -> Cost {
    costs.sort_by_key(|cost| cost.wall);
    costs.get(costs.len() / 2).copied().unwrap_or_default()
}
