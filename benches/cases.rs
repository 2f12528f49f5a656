//! The cases, by the names that select them, and what they share.

mod arm;
mod big;
mod card;
mod idle;
mod listing;
mod many;

use std::io;
use std::path::{Path, PathBuf};

use crate::dropbox::Dropbox;
use crate::files::Tree;
use crate::gateway::Gateway;
use crate::options::Options;
use crate::runs::Runs;
use crate::tools;

/// One thing that is measured.
pub struct Case {
    /// The name to select it by.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Measures it and prints the lines.
    pub run: fn(&Bench) -> io::Result<()>,
}

/// Every case, in the order of the table.
pub fn all() -> Vec<Case> {
    let case = |name, about, run| Case { name, about, run };
    vec![
        case("idle", "nothing changed, 20,000 files", idle::small),
        case("idle-1m", "nothing changed, 1,000,000 files", idle::large),
        case(
            "askers",
            "status, why, check-filters and history, 1,000,000 files",
            idle::askers,
        ),
        case("change", "one changed file in 20,000", many::change),
        case("upload", "first upload of 1,000 files", many::upload),
        case(
            "restore",
            "1,000 files into an empty directory",
            many::restore,
        ),
        case("deletes", "1,000 files deleted here", many::deletes),
        case("rename", "a directory of 1,000 renamed here", many::rename),
        case(
            "deletes-20k",
            "20,000 files deleted here",
            many::deletes_20k,
        ),
        case(
            "move-20k",
            "20,000 files moved into another directory here",
            many::move_20k,
        ),
        case("big-up", "512 MiB up", big::up),
        case("big-down", "512 MiB down, to disk and to memory", big::down),
        case(
            "card",
            "what an SD card sees of 1, 10 and 100 changed files",
            card::changes,
        ),
        case(
            "arm",
            "instructions of the ARMv6 binary for each byte",
            arm::each_byte,
        ),
        case(
            "listing",
            "first listing of 1,000,000 files",
            listing::first,
        ),
    ]
}

/// What our runs are called.
pub const OURS: &str = "ferrybox";

/// The small files of every case: 8 KiB.
const SMALL: u64 = 8 * 1024;

/// What a case needs to know.
pub struct Bench {
    scratch: PathBuf,
    quick: bool,
    latencies: Vec<u64>,
    with_rclone: bool,
    with_tools: bool,
}

impl Bench {
    /// A bench that works below a directory.
    pub fn new(scratch: &Path, options: &Options) -> Self {
        Self {
            scratch: scratch.to_owned(),
            quick: options.quick,
            latencies: options.latencies.clone(),
            with_rclone: !options.alone && tools::is_installed(&tools::rclone_program()),
            with_tools: !options.alone
                && ["curl", "openssl", "find"]
                    .iter()
                    .all(|tool| tools::is_installed(tool)),
        }
    }

    /// The one or, in a quick run, the other.
    fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// How often what is compared by medians is run.
    fn rounds(&self) -> u64 {
        self.pick(7, 3)
    }

    /// The latencies to add, unless others were asked for.
    fn latencies(&self, usual: &[u64]) -> Vec<u64> {
        if self.latencies.is_empty() {
            usual.to_vec()
        } else {
            self.latencies.clone()
        }
    }

    /// A gateway and an account that hold the same and know it.
    fn in_step(&self, tree: &Tree, below: &str) -> io::Result<(Dropbox, Gateway)> {
        let mut dropbox = Dropbox::start(&self.scratch)?;
        let gateway = Gateway::new(&self.scratch, &dropbox, "BIDIRECTIONAL")?;
        dropbox.tell(&tree.fill(&format!("{}{below}", crate::gateway::REMOTE)))?;
        tree.write(&gateway.content.join(below.trim_start_matches('/')))?;
        gateway.settle()?;
        Ok((dropbox, gateway))
    }

    /// Runs a pass of the agent.
    fn pass(
        &self,
        runs: &mut Runs,
        latency_ms: u64,
        dropbox: &mut Dropbox,
        gateway: &Gateway,
    ) -> io::Result<()> {
        dropbox.tell(&format!("latency {latency_ms}"))?;
        dropbox.reset()?;
        let cost = gateway.sync()?;
        runs.note(OURS, cost, Some(dropbox.traffic()?));
        Ok(())
    }

    /// Runs `rclone`, if there is one.
    fn rclone(&self, runs: &mut Runs, dropbox: &mut Dropbox, words: &[&str]) -> io::Result<()> {
        if !self.with_rclone {
            return Ok(());
        }
        let options = words.iter().skip(1).filter(|word| word.starts_with("--"));
        let options: Vec<_> = options.copied().collect();
        let tool = format!("rclone {} {}", words[0], options.join(" "));
        let mut command = tools::rclone(&self.scratch, dropbox, words)?;
        runs.client(tool.trim_end(), dropbox, &mut command, None)
    }
}

/// Fails unless two counts are the same: what did not do its work is not worth measuring.
fn expect(what: &str, found: u64, expected: u64) -> io::Result<()> {
    if found == expected {
        return Ok(());
    }
    let text = format!("{what}: found {found} files instead of {expected}");
    Err(io::Error::other(text))
}
