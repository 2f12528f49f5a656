//! The binaries for ARM gateways, as `cross/build.sh` leaves them, run by qemu's user mode.
//!
//! `FERRYBOX_ARM` names the target directory they are in; without it nothing here runs, and that is
//! said. The emulated CPUs are those of a Pi Zero, 2 and 3. qemu 7.2 knows no `openat2`, so these
//! runs take the way of kernels that lack it.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use dropbox_standin::{Effect, Fault, Node, When};

use crate::exchange::race;
use crate::gateway::{Ended, Gateway, say};
use crate::histories::{FIRST, TWO_WAY};
use crate::needs;

const MIB: u64 = 1 << 20;

/// A kind of gateway.
struct Board {
    target: &'static str,
    emulator: &'static str,
    cpu: &'static str,
    /// How large its binary may be, in bytes.
    budget: u64,
    /// The cipher suite that costs its CPU least.
    cipher_suite: &'static str,
}

const ARMV6: Board = Board {
    target: "arm-unknown-linux-musleabihf",
    emulator: "qemu-arm-static",
    cpu: "arm1176",
    budget: 4 * MIB,
    cipher_suite: "TLS13_CHACHA20_POLY1305_SHA256",
};

const ARMV7: Board = Board {
    target: "armv7-unknown-linux-musleabihf",
    emulator: "qemu-arm-static",
    cpu: "cortex-a7",
    budget: 4 * MIB,
    cipher_suite: "TLS13_CHACHA20_POLY1305_SHA256",
};

/// qemu gives each of its AArch64 CPUs the AES instructions, also those a Pi has without.
const AARCH64: Board = Board {
    target: "aarch64-unknown-linux-musl",
    emulator: "qemu-aarch64-static",
    cpu: "cortex-a53",
    budget: 45 * MIB / 10,
    cipher_suite: "TLS13_AES_256_GCM_SHA384",
};

impl Board {
    fn binary(&self) -> Result<PathBuf, String> {
        let built = std::env::var_os("FERRYBOX_ARM");
        let built = built.ok_or("FERRYBOX_ARM does not say where cross/build.sh built")?;
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let binary = root
            .join(built)
            .join(self.target)
            .join("release")
            .join("ferrybox");
        match fs::metadata(&binary) {
            Ok(_) => Ok(binary),
            Err(error) => Err(format!("{}: {error}", binary.display())),
        }
    }

    /// A gateway of this kind; nothing where there is no such thing.
    fn gateway(&self, test: &str) -> Option<Gateway> {
        let emulator = [self.emulator, "-cpu", self.cpu].map(str::to_owned);
        let found = self.binary().and_then(|binary| {
            let mut trial = Command::new(&emulator[0]);
            trial.args(&emulator[1..]).arg(&binary).arg("--version");
            let said = trial
                .output()
                .map_err(|error| format!("{}: {error}", emulator[0]))?;
            assert!(said.status.success(), "{}: {said:?}", self.target);
            Ok(binary)
        });
        if !needs::has(&format!("{test}, {}", self.target), &found) {
            return None;
        }
        let mut gateway = Gateway::new();
        gateway.binary = found.ok()?;
        gateway.emulator = emulator.into();
        Some(gateway)
    }

    /// Everything went over TLS, encrypted as suits this CPU.
    #[track_caller]
    fn check_tls(&self, gateway: &Gateway) {
        let links = gateway.links();
        assert!(!links.is_empty());
        for link in links {
            assert_eq!(link.cipher_suite, Some(self.cipher_suite), "{}", self.cpu);
        }
    }
}

#[test]
fn binaries_are_small() {
    for board in [&ARMV6, &ARMV7, &AARCH64] {
        let size = board.binary().map(|it| fs::metadata(it).unwrap().len());
        if needs::has(&format!("size, {}", board.target), &size) {
            let size = size.unwrap();
            println!("{}: {size} of {}", board.target, board.budget);
            assert!(size <= board.budget, "{}: {size}", board.target);
        }
    }
}

#[test]
fn armv6_authenticates_and_makes_a_first_sync() {
    first_sync(&ARMV6);
}

#[test]
fn armv7_authenticates_and_makes_a_first_sync() {
    first_sync(&ARMV7);
}

#[test]
fn aarch64_authenticates_and_makes_a_first_sync() {
    first_sync(&AARCH64);
}

/// What comes out is what this machine's own binary comes to.
fn first_sync(board: &Board) {
    let Some(gateway) = board.gateway("first sync") else {
        return;
    };
    let started = Instant::now();
    let gateway = gateway.over_tls();
    let wanted = FIRST.undisturbed();
    FIRST.prepare(&gateway);
    wanted.check_heals(&gateway, board.target);
    board.check_tls(&gateway);
    say(&format!(
        "arm: first sync, {}: {:.1} s",
        board.target,
        started.elapsed().as_secs_f32()
    ));
}

#[test]
fn armv6_brings_changes_of_both_sides_together() {
    let Some(gateway) = ARMV6.gateway("two-way sync") else {
        return;
    };
    let gateway = gateway.over_tls();
    let wanted = TWO_WAY.undisturbed();
    TWO_WAY.prepare(&gateway);
    wanted.check_heals(&gateway, "ARMv6");
    ARMV6.check_tls(&gateway);
}

/// Begins a pass and kills it while its nth request of this route waits for an answer.
fn killed_at(gateway: &Gateway, route: &'static str, nth: u64) -> Ended {
    let (arrived, arrival) = mpsc::channel();
    let (ended, end) = mpsc::channel();
    let mut count = 0;
    gateway.dropbox.on_request(Box::new(move |request| {
        count += u64::from(request.target.contains(route));
        if count == nth && request.target.contains(route) {
            let _ = arrived.send(());
            let _ = end.recv();
        }
    }));
    let mut command = gateway.command(&[], &["sync"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let reached = arrival.recv_timeout(Duration::from_secs(120));
    child.kill().unwrap();
    let ended_as = child.wait_with_output().unwrap().into();
    let _ = ended.send(());
    gateway.dropbox.take_hook();
    assert!(reached.is_ok(), "{route} was not asked: {ended_as:?}");
    ended_as
}

#[test]
fn armv6_killed_within_transfers_goes_on_where_it_was() {
    let Some(gateway) = ARMV6.gateway("kills") else {
        return;
    };
    let gateway = gateway.over_tls();
    gateway.sync_ok();

    // Up: two of four pieces have arrived, the third is on its way.
    let size = 28 * MIB;
    let up = dropbox_standin::seeded_bytes(size, 7);
    fs::write(gateway.content.join("up.bin"), &up).unwrap();
    // What was written just now is not gone on with.
    thread::sleep(Duration::from_millis(2100));
    let killed = killed_at(&gateway, "upload_session/append", 2);
    assert!(killed.was_killed, "{killed:?}");
    assert!(gateway.dropbox.read("/up.bin").is_none(), "nothing half");
    gateway.sync_ok();
    let requests = gateway.dropbox.requests();
    let begun = requests.iter().filter(|call| call.route.ends_with("start"));
    assert_eq!(begun.count(), 0, "the session goes on");
    assert!(gateway.dropbox.read("/up.bin").unwrap() == up);

    // Down: the line breaks, and the run is killed as it asks for the rest.
    gateway.dropbox.put_seeded("/down/large.bin", size, 8);
    let cut = Effect::Truncate(15 << 20);
    let cut = Fault::new("files/download", When::Nth(1), cut);
    gateway.dropbox.inject(cut);
    let killed = killed_at(&gateway, "files/download", 2);
    assert!(killed.was_killed, "{killed:?}");
    assert!(!gateway.content.join("down/large.bin").exists());
    gateway.sync_ok();
    let down = fs::read(gateway.content.join("down/large.bin")).unwrap();
    assert!(down == gateway.dropbox.read("/down/large.bin").unwrap());

    gateway.sync_ok();
    assert_eq!(gateway.dropbox.requests().len(), 1, "nothing is left");
    ARMV6.check_tls(&gateway);
}

/// 2040-06-01T12:00:00Z, beyond what 32 bits of seconds can tell.
const IN_2040: u64 = 2_222_164_800;

#[test]
fn armv6_knows_times_after_2038() {
    let Some(gateway) = ARMV6.gateway("a file of 2040") else {
        return;
    };
    gateway.put("up.txt", "written in 2040");
    let time = UNIX_EPOCH + Duration::from_secs(IN_2040);
    let file = File::options()
        .write(true)
        .open(gateway.content.join("up.txt"));
    file.unwrap().set_modified(time).unwrap();
    let stamp = "2040-06-01T12:00:00Z";
    gateway.dropbox.put_at("/down.txt", b"from 2040", stamp);
    gateway.sync_ok();
    let told = gateway.dropbox.client_modified("/up.txt");
    assert_eq!(told.as_deref(), Some(stamp));
    let down = fs::metadata(gateway.content.join("down.txt")).unwrap();
    assert_eq!(down.mtime().cast_unsigned(), IN_2040);
    gateway.sync_ok();
    gateway.sync_ok();
    assert_eq!(gateway.dropbox.requests().len(), 1);
}

/// The emulator that loads libraries, with one that tells it the year 2040.
fn in_2040(gateway: &mut Gateway) -> Result<(), String> {
    let library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
    if !Path::new(library).exists() {
        return Err(format!("{library} is missing"));
    }
    let preload = format!("LD_PRELOAD={library}");
    let time = "FAKETIME=@2040-06-01 12:00:00";
    let words = ["env", &preload, time, "qemu-arm", "-cpu", ARMV6.cpu];
    let date = Command::new("env")
        .args([&preload, time, "date", "+%Y"])
        .output();
    let date = date.map_err(|error| error.to_string())?;
    assert_eq!(date.stdout, b"2040\n");
    Command::new("qemu-arm")
        .arg("--version")
        .output()
        .map_err(|error| error.to_string())?;
    gateway.emulator = words.map(str::to_owned).into();
    Ok(())
}

#[test]
fn armv6_works_in_2040() {
    let Some(mut gateway) = ARMV6.gateway("a clock in 2040") else {
        return;
    };
    let need = in_2040(&mut gateway);
    if !needs::has("a clock in 2040", &need) {
        return;
    }
    // The certificates end in 2045; to a clock that has wrapped they have not begun.
    let gateway = gateway.over_tls();
    FIRST.prepare(&gateway);
    gateway.sync_ok();
    gateway.sync_ok();
    let requests = gateway.dropbox.requests();
    let refreshes = requests.iter().filter(|it| it.route.contains("token"));
    assert_eq!(refreshes.count(), 0, "the access token is cached");
    gateway.put("later.txt", "later");
    gateway.sync_ok();
    assert_eq!(gateway.dropbox.read("/later.txt").unwrap(), b"later");
    assert!(gateway.local_tree() == gateway.remote_tree());
    ARMV6.check_tls(&gateway);
}

/// A sparse file, without TLS: what is looked for is a size or an offset cut to 32 bits.
#[test]
fn armv6_sends_more_than_4_gib() {
    let Some(gateway) = ARMV6.gateway("4 GiB") else {
        return;
    };
    let size = (4 << 30) + 5 * MIB + 1;
    gateway.dropbox.set_keep_contents(false);
    gateway.dropbox.set_quota(2 * size);
    let file = File::create(gateway.content.join("large.img")).unwrap();
    file.set_len(size).unwrap();
    // What was written just now would be hashed again in the second pass.
    thread::sleep(Duration::from_millis(2100));
    let started = Instant::now();
    gateway.sync_ok();
    say(&format!(
        "arm: 4 GiB: {:.1} s",
        started.elapsed().as_secs_f32()
    ));
    let tree = gateway.dropbox.tree();
    let Some(Node::File { size: arrived, .. }) = tree.get("/large.img") else {
        panic!("{tree:?}");
    };
    assert_eq!(*arrived, size);
    gateway.sync_ok();
    assert_eq!(gateway.dropbox.requests().len(), 1, "nothing is left");
}

/// The emulator knows no `openat2`: directories are gone through one by one.
#[test]
fn armv6_follows_no_directory_that_is_exchanged_for_a_link() {
    let Some(gateway) = ARMV6.gateway("an exchange of directories") else {
        return;
    };
    let is_root = match rustix::process::geteuid().is_root() {
        true => Ok(()),
        false => Err("root alone can be robbed".to_owned()),
    };
    if !needs::has("an exchange of directories", &is_root) {
        return;
    }
    let ran = race(&gateway, &[], 2, Duration::from_secs(10));
    say(&format!("arm: exchanges: {ran:?}"));
    assert!(ran.is_telling(), "{ran:?}");
}
