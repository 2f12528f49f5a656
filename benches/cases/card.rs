//! What an SD card sees: sectors written to an ext4 device that holds content and state.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Bench, OURS, SMALL};
use crate::child::Cost;
use crate::dropbox::Dropbox;
use crate::files::Tree;
use crate::gateway::Gateway;
use crate::runs::Runs;

const BY_HAND: &str = "written and synced by hand";

/// A filesystem in a file, mounted until this is dropped. It takes root.
struct Card {
    at: PathBuf,
    /// `/sys/block/loopN/stat`.
    stat: PathBuf,
}

impl Card {
    fn mount(scratch: &Path) -> io::Result<Card> {
        let (image, at) = (scratch.join("card.ext4"), scratch.join("card"));
        File::create(&image)?.set_len(512 << 20)?;
        done(
            Command::new("mkfs.ext4")
                .args(["-q", "-b", "4096", "-F"])
                .arg(&image),
        )?;
        fs::create_dir_all(&at)?;
        done(
            Command::new("mount")
                .args(["-o", "loop"])
                .arg(&image)
                .arg(&at),
        )?;
        let found = Command::new("losetup")
            .args(["-n", "-O", "NAME", "-j"])
            .arg(&image)
            .output()?;
        let device = String::from_utf8_lossy(&found.stdout);
        let device = device.trim().trim_start_matches("/dev/");
        let stat = Path::new("/sys/block").join(device).join("stat");
        Ok(Card { at, stat })
    }

    fn flush(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(File::open(&self.at)?)?)
    }

    /// What is written to the device by this, and a sync after it, in the place of what the
    /// process itself is said to have written.
    fn written(&self, act: impl FnOnce() -> io::Result<Cost>) -> io::Result<Cost> {
        let bytes = || -> io::Result<u64> {
            let stat = fs::read_to_string(&self.stat)?;
            let sectors = stat.split_whitespace().nth(6);
            let sectors = sectors.and_then(|text| text.parse::<u64>().ok());
            Ok(512 * sectors.ok_or(io::ErrorKind::InvalidData)?)
        };
        self.flush()?;
        let before = bytes()?;
        let cost = act()?;
        self.flush()?;
        let written = bytes()? - before;
        Ok(Cost { written, ..cost })
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.at).status();
    }
}

fn done(command: &mut Command) -> io::Result<()> {
    match command.status()?.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!(
            "{:?} failed",
            command.get_program()
        ))),
    }
}

/// 1, 10 and 100 files among 20,000 change here, then in Dropbox; then nothing does.
pub fn changes(bench: &Bench) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("card: skipped: mounting takes root");
        return Ok(());
    }
    let card = Card::mount(&bench.scratch)?;
    let tree = Tree {
        count: bench.pick(20_000, 2_000),
        size: 8,
        each: 100,
    };
    let mut dropbox = Dropbox::start(&bench.scratch)?;
    let gateway = Gateway::new(&card.at, &dropbox, "BIDIRECTIONAL")?;
    dropbox.tell(&tree.fill(crate::gateway::REMOTE))?;
    tree.write(&gateway.content)?;
    gateway.settle()?;
    for files in [1, 10, 100] {
        let runs = |case: &str| Runs::new(&format!("{case}, {files} of {}", tree.count), 0);
        let (mut up, mut down) = (runs("card: changed here"), runs("card: changed in Dropbox"));
        let mut idle = runs("card: the pass after that");
        let mut by_hand = runs("card: no Dropbox");
        for round in 0..bench.rounds() {
            let names: Vec<_> = (0..files)
                .map(|n| (100 * n + n % 100) % tree.count)
                .collect();
            let name = |number: &u64| format!("d{:05}/f{number:07}", number / tree.each);
            let hand = card.written(|| {
                for number in &names {
                    let file = gateway.content.join(name(number));
                    let temp = file.with_extension("new");
                    fs::write(&temp, vec![(number + round) as u8; SMALL as usize])?;
                    File::open(&temp)?.sync_all()?;
                    fs::rename(temp, file)?;
                }
                Ok(Cost::default())
            })?;
            up.note(OURS, card.written(|| gateway.sync())?, None);
            idle.note(OURS, card.written(|| gateway.sync())?, None);
            for number in &names {
                let seed = 1_000_000 + 1000 * round + number;
                let path = format!("{}/{}", crate::gateway::REMOTE, name(number));
                dropbox.tell(&format!("put {path} {SMALL} {seed}"))?;
            }
            down.note(OURS, card.written(|| gateway.sync())?, None);
            idle.note(OURS, card.written(|| gateway.sync())?, None);
            by_hand.note(BY_HAND, hand, None);
        }
        for runs in [up, down, idle, by_hand] {
            runs.print("sectors of the device");
        }
    }
    Ok(())
}
