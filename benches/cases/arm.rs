//! Instructions of the ARMv6 binary for each byte that goes up or comes down, with TLS and hash.
//!
//! qemu's user mode logs each block of instructions that it carries out; what two sizes differ by
//! has nothing of starting up. `FERRYBOX_ARM` names the target directory of `cross/build.sh`.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, PipeReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;

use super::Bench;
use crate::dropbox::Dropbox;
use crate::files::write_big;
use crate::gateway::{Gateway, REMOTE};

const KIB: u64 = 1024;
const BINARY: &str = "arm-unknown-linux-musleabihf/release/ferrybox";
const QEMU: &str = "qemu-arm";

/// One file up and one down, of a small and a larger size.
pub fn each_byte(bench: &Bench) -> io::Result<()> {
    let Ok(target) = std::env::var("FERRYBOX_ARM") else {
        eprintln!("arm: skipped: FERRYBOX_ARM names no target directory of cross/build.sh");
        return Ok(());
    };
    let binary = PathBuf::from(target).join(BINARY);
    let sizes = [256 * KIB, bench.pick(1280, 512) * KIB];
    let mut counts = Vec::new();
    for size in sizes {
        let mut dropbox = Dropbox::start(&bench.scratch)?;
        let gateway = Gateway::new(&bench.scratch, &dropbox, "BIDIRECTIONAL")?;
        gateway.sync()?;
        write_big(&gateway.content.join("up"), size)?;
        let up = instructions(&binary, &gateway)?;
        dropbox.tell(&format!("put {REMOTE}/down {size} 1"))?;
        let down = instructions(&binary, &gateway)?;
        counts.push((up, down));
    }
    let [(small_up, small_down), (up, down)] = counts[..] else {
        return Ok(());
    };
    let bytes = sizes[1] - sizes[0];
    for (way, less, more) in [("up", small_up, up), ("down", small_down, down)] {
        let each = more.saturating_sub(less) as f64 / bytes as f64;
        println!("\nARMv6, {way}: {each:.1} instructions for each byte");
    }
    println!();
    Ok(())
}

/// How many instructions a pass takes.
fn instructions(binary: &Path, gateway: &Gateway) -> io::Result<u64> {
    let (log, log_end) = io::pipe()?;
    let mut command = gateway.command(QEMU);
    command
        .args(["-cpu", "arm1176", "-d", "in_asm,exec,nochain"])
        .arg(binary)
        .args(gateway.words());
    // The log goes to standard error, of which the program itself says nothing in a good pass.
    command.stdout(Stdio::null()).stderr(Stdio::from(log_end));
    let mut child = command.spawn()?;
    drop(command);
    let counter = thread::spawn(move || sum_up(log));
    let status = child.wait()?;
    let count = counter.join().unwrap_or(Ok(0))?;
    match status.success() {
        true => Ok(count),
        false => Err(io::Error::other(format!("{QEMU} ended with {status}"))),
    }
}

/// Sums up the blocks of instructions that were carried out. qemu shows each when it has translated
/// it, `0x0009f880:  e3a0b000  mov ...`, and names its start in a line each time it is carried out,
/// `Trace 0: 0x7f18e80000c0 [00000480/0009f880/00000000/00000200]`.
fn sum_up(log: PipeReader) -> io::Result<u64> {
    let mut log = BufReader::with_capacity(1 << 20, log);
    let mut sizes = HashMap::<u64, u64>::new();
    let (mut line, mut shown, mut count) = (Vec::new(), None, 0);
    loop {
        line.clear();
        if log.read_until(b'\n', &mut line)? == 0 {
            return Ok(count);
        }
        if let Some(rest) = line.strip_prefix(b"Trace ") {
            let start = rest.split(|byte| *byte == b'/').nth(1).and_then(hex);
            count += start.and_then(|start| sizes.get(&start)).unwrap_or(&0);
            shown = None;
        } else if let Some(rest) = line.strip_prefix(b"0x") {
            let address = rest.split(|byte| *byte == b':').next().and_then(hex);
            let start = shown.or(address);
            match (shown, address) {
                (None, Some(address)) => sizes.insert(address, 1),
                (Some(start), _) => sizes.insert(start, 1 + sizes[&start]),
                (None, None) => None,
            };
            shown = start;
        }
    }
}

fn hex(digits: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
