//! What the card sees: sectors written to a device that holds content and state.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::gateway::{Gateway, Scratch, say};
use crate::images::{Image, Mounted};
use crate::needs;

/// Passes that are measured of each kind.
const ROUNDS: usize = 7;

/// A gateway whose content and state lie on an ext4 device of their own.
struct OnCard {
    gateway: Gateway,
    /// `/sys/block/loopN/stat`.
    stat: PathBuf,
    at: PathBuf,
    _mounted: Mounted,
}

impl OnCard {
    fn new() -> OnCard {
        let home = Scratch::new();
        let file = home.join("card.ext4");
        let image = Image::card(&file, 256).unwrap();
        let at = home.join("card");
        fs::create_dir(&at).unwrap();
        let mounted = Mounted::card(&image, &at).unwrap();
        let found = Command::new("losetup")
            .args(["-n", "-O", "NAME", "-j"])
            .arg(&file)
            .output()
            .unwrap();
        let device = String::from_utf8(found.stdout).unwrap();
        let device = device.trim().trim_start_matches("/dev/").to_owned();
        let (content, state) = (at.join("content"), at.join("state"));
        fs::create_dir(&content).unwrap();
        OnCard {
            gateway: Gateway::at(home, content, state),
            stat: Path::new("/sys/block").join(device).join("stat"),
            at,
            _mounted: mounted,
        }
    }

    fn flush(&self) {
        let dir = fs::File::open(&self.at).unwrap();
        rustix::fs::syncfs(&dir).unwrap();
    }

    fn sectors(&self) -> u64 {
        let stat = fs::read_to_string(&self.stat).unwrap();
        stat.split_whitespace().nth(6).unwrap().parse().unwrap()
    }

    /// Bytes that are written by this, and a sync after it.
    fn written(&self, act: impl FnOnce(&Gateway)) -> u64 {
        self.flush();
        let before = self.sectors();
        act(&self.gateway);
        self.flush();
        (self.sectors() - before) * 512
    }
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values[values.len() / 2]
}

#[test]
fn one_changed_file_costs_the_card_little() {
    if !needs::has("card", needs::mounts()) {
        return;
    }
    let card = OnCard::new();
    let content = |round: usize| format!("{round:08}").repeat(1024);
    for number in 0..2_000 {
        let path = format!("d{:02}/f{number:05}", number / 100);
        card.gateway.put(&path, &number.to_string());
    }
    card.gateway.put("d00/changed", &content(0));
    card.gateway.sync_ok();
    card.gateway.sync_ok();
    card.gateway.sync_ok();
    let (mut up, mut down, mut idle, mut by_hand) = (vec![], vec![], vec![], vec![]);
    for round in 1..=ROUNDS {
        let file = card.gateway.content.join("d00/changed");
        by_hand.push(card.written(|_| {
            let temp = card.gateway.content.join("d00/x");
            fs::write(&temp, content(round)).unwrap();
            fs::File::open(&temp).unwrap().sync_all().unwrap();
            fs::rename(&temp, &file).unwrap();
        }));
        up.push(card.written(Gateway::sync_ok));
        idle.push(card.written(Gateway::sync_ok));
        let bytes = content(round + 1000);
        card.gateway.dropbox.put("/d00/changed", bytes.as_bytes());
        down.push(card.written(Gateway::sync_ok));
        assert_eq!(fs::read_to_string(&file).unwrap(), bytes);
        idle.push(card.written(Gateway::sync_ok));
    }
    say(&format!(
        "card: up {up:?}, down {down:?}, idle {idle:?}, by hand {by_hand:?}"
    ));
    // What ext4 writes for the same file, written and synced by hand, is 104 KiB here.
    let [up, down, by_hand] = [up, down, by_hand].map(median);
    assert!(up <= 96 << 10, "up: {up} bytes");
    assert!(down <= 160 << 10, "down: {down} bytes");
    assert!(by_hand > 0, "the device tells what is written to it");
    assert!(idle.iter().all(|bytes| *bytes == 0), "{idle:?}");
}
