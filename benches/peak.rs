//! The most memory a program had resident.
//!
//! It is `VmHWM`, read while the program runs: that of the program's own image, whereas
//! `ru_maxrss` starts with what the parent had at the fork.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// Waits until a child has exited, without reaping it: when that was, and its peak in KiB.
pub fn watch(id: u32) -> (Instant, u64) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let sampler = scope.spawn(|| sample(id, &over));
        let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
        let exited = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        if let Some(pid) = pid {
            // Should it fail, whoever reaps the child still waits for it.
            let _ = waitid(WaitId::Pid(pid), exited);
        }
        let end = Instant::now();
        over.store(true, Ordering::SeqCst);
        (end, sampler.join().unwrap_or_default())
    })
}

/// Samples the high-water mark until the process is over: often at first, for short runs.
fn sample(id: u32, over: &AtomicBool) -> u64 {
    let (mut peak, mut pause) = (0, Duration::from_micros(500));
    while !over.load(Ordering::SeqCst) {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        peak = peak.max(field(&status, "VmHWM:"));
        thread::sleep(pause);
        pause = (pause * 21 / 20).min(Duration::from_millis(5));
    }
    peak
}

/// A number from a file of lines like `VmHWM:   1234 kB`.
fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or(0)
}
