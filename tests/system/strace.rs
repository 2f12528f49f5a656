//! Runs of the binary under strace: recorded, killed, or failed at one system call.

use std::fs;
use std::process::Command;

use crate::gateway::{Ended, Gateway};

/// System calls that change files, tell others something, or wait for an answer. A question mark
/// leaves out those this machine does not have.
const CALLS: &str = "?write,?writev,?pwrite64,?pwritev,?pwritev2,?copy_file_range,?sendfile,\
     ?ftruncate,?truncate,?fallocate,?fsync,?fdatasync,?syncfs,?sync_file_range,?sync,?rename,\
     ?renameat,?renameat2,?link,?linkat,?symlink,?symlinkat,?unlink,?unlinkat,?mkdir,?mkdirat,\
     ?rmdir,?mknod,?mknodat,?utimensat,?utimes,?futimesat,?chmod,?fchmod,?fchmodat,?fchmodat2,\
     ?chown,?lchown,?fchown,?fchownat,?flock,?setxattr,?fsetxattr,?open,?openat,?openat2,?creat,\
     ?connect,?sendto,?sendmsg,?sendmmsg,?recvfrom,?recvmsg";

/// Of these, the ones that end in a file or directory.
const SOCKETS: [&str; 6] = [
    "connect", "sendto", "sendmsg", "sendmmsg", "recvfrom", "recvmsg",
];

/// One system call of a pass: the `nth` of its name.
#[derive(Clone, Debug)]
pub struct Call {
    pub name: String,
    pub nth: usize,
    pub text: String,
    /// What it returned; nothing if that is no plain number.
    pub result: Option<i64>,
}

impl Call {
    /// Whether it is about a file, not a connection.
    pub fn is_on_files(&self) -> bool {
        !SOCKETS.contains(&self.name.as_str())
    }

    /// How many bytes it wrote to a file.
    pub fn written(&self) -> u64 {
        let is_write = matches!(self.name.as_str(), "write" | "pwrite64");
        let count = self.result.filter(|_| is_write).unwrap_or(0);
        u64::try_from(count).unwrap_or(0)
    }
}

/// Runs a pass and says which calls of interest it made, in order.
pub fn record(gateway: &Gateway) -> Vec<Call> {
    let log = gateway.home.join("strace.log");
    let trace = format!("trace={CALLS}");
    let ended = gateway.run(
        &[
            "strace",
            "-f",
            "-qq",
            "-e",
            "signal=none",
            "-e",
            &trace,
            "-o",
            log.to_str().unwrap(),
        ],
        &["sync"],
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let text = fs::read_to_string(log).unwrap();
    let mut counts = std::collections::HashMap::<String, usize>::new();
    let mut process = None;
    let mut calls = Vec::new();
    for line in text.lines() {
        let (id, rest) = line.split_once(' ').unwrap();
        assert_eq!(*process.get_or_insert(id), id, "one thread makes all calls");
        let Some((name, more)) = rest.trim_start().split_once('(') else {
            continue;
        };
        let count = counts.entry(name.to_owned()).or_default();
        *count += 1;
        let is_opening = matches!(name, "open" | "openat" | "openat2");
        let is_talk = matches!(name, "write" | "writev") && matches!(&more[..2], "1," | "2,");
        if (is_opening && !more.contains("O_CREAT")) || is_talk {
            continue;
        }
        let result = more.rsplit(" = ").next().and_then(|text| text.parse().ok());
        let text = format!("{name}({more}");
        calls.push(Call {
            name: name.to_owned(),
            nth: *count,
            text: text.chars().take(120).collect(),
            result,
        });
    }
    calls
}

/// Of a few recordings of the same history, the one of the fewest calls.
///
/// Random ids and change times give the index rows, and so its pages, other sizes, and a busy
/// machine gives a pass one batch more: a point of a long recording may lie behind the end of
/// most other passes.
pub fn shortest(record: impl FnMut() -> Vec<Call>) -> Vec<Call> {
    let recordings = std::iter::repeat_with(record).take(5);
    recordings.min_by_key(Vec::len).expect("five of them")
}

/// Runs a pass that is killed when it makes this call, which takes no effect.
pub fn killed_at(gateway: &Gateway, call: &Call) -> Ended {
    // A seccomp filter would be faster, but with it strace delivers no signals.
    disturbed(
        gateway,
        call,
        &format!("signal=KILL:when={}", call.nth),
        false,
    )
}

/// Runs a pass in which this call fails, and all later ones of its name if `from_here_on`.
pub fn failed_at(gateway: &Gateway, call: &Call, errno: &str, from_here_on: bool) -> Ended {
    let more = if from_here_on { "+" } else { "" };
    disturbed(
        gateway,
        call,
        &format!("error={errno}:when={}{more}", call.nth),
        true,
    )
}

fn disturbed(gateway: &Gateway, call: &Call, how: &str, filtered: bool) -> Ended {
    let inject = format!("inject={}:{how}", call.name);
    let trace = format!("trace={}", call.name);
    let mut words = vec!["strace", "-f", "-qq", "-e", &trace, "-e", &inject];
    if filtered {
        words.push("--seccomp-bpf");
    }
    words.extend(["-e", "signal=none", "-o", "/dev/null"]);
    gateway.run(&words, &["sync"])
}

/// Which calls are disturbed: all of them with `FERRYBOX_KILLS=all`, else every fifth (or the
/// number it names), from one on that the commit chooses.
pub struct Sample {
    step: usize,
    offset: usize,
}

impl Sample {
    pub fn chosen() -> Sample {
        let wish = std::env::var("FERRYBOX_KILLS").unwrap_or_else(|_| "5".to_owned());
        let step = match wish.as_str() {
            "all" => 1,
            number => number.parse().expect("FERRYBOX_KILLS is a number or `all`"),
        };
        let offset = commit().unwrap_or(0) % step;
        Sample { step, offset }
    }

    /// The same for what costs more; all stays all.
    pub fn thinned(self, times: usize) -> Sample {
        let step = if self.is_all() { 1 } else { self.step * times };
        Sample { step, ..self }
    }

    pub fn is_all(&self) -> bool {
        self.step == 1
    }

    /// The share of `calls` that is run.
    pub fn of<'a>(&self, calls: &'a [Call]) -> Vec<(usize, &'a Call)> {
        let calls = calls.iter().enumerate();
        calls.skip(self.offset).step_by(self.step).collect()
    }
}

/// The first digits of the commit's hash.
fn commit() -> Option<usize> {
    let mut git = Command::new("git");
    git.args(["-C", env!("CARGO_MANIFEST_DIR"), "rev-parse", "HEAD"]);
    let git = git.output().ok()?;
    let text = String::from_utf8(git.stdout).ok()?;
    usize::from_str_radix(text.get(..8)?, 16).ok()
}
