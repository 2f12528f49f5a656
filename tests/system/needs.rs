//! What some tests need of the machine, and what is said where it is missing.

use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::gateway::say;
use crate::images::{Image, Mounted};

/// Whether a test has what it needs. If not, that is said and counted; where everything must run
/// it is a failure.
pub fn has<T>(test: &str, need: &Result<T, String>) -> bool {
    static SKIPPED: AtomicU32 = AtomicU32::new(0);
    let Err(why) = need else { return true };
    let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
    let text = format!("skipped: {test} ({why}); {count} skipped so far");
    let must_run = std::env::var_os("FERRYBOX_MUST_RUN").is_some_and(|value| value == "1");
    assert!(!must_run, "{text}");
    say(&text);
    false
}

/// Calls can be traced and disturbed.
pub fn strace() -> &'static Result<(), String> {
    static NEED: OnceLock<Result<(), String>> = OnceLock::new();
    NEED.get_or_init(|| {
        let kill = ["-f", "-qq", "-e", "inject=?mkdir,?mkdirat:signal=KILL"];
        let mut strace = Command::new("strace");
        let program = ["-o", "/dev/null", "mkdir", "/proc/never-made"];
        let killed = strace.args(kill).args(program).output();
        let killed = killed.map_err(|error| format!("strace: {error}"))?;
        if killed.status.success() || killed.status.code().is_some() {
            return Err(format!("strace cannot kill: {killed:?}"));
        }
        Ok(())
    })
}

/// Instructions can be counted.
pub fn valgrind() -> &'static Result<(), String> {
    static NEED: OnceLock<Result<(), String>> = OnceLock::new();
    NEED.get_or_init(|| {
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "true"]);
        let counted = valgrind
            .output()
            .map_err(|error| format!("valgrind: {error}"))?;
        if counted.status.success() {
            Ok(())
        } else {
            Err(format!("valgrind cannot count: {counted:?}"))
        }
    })
}

/// Filesystem images can be made and mounted.
pub fn mounts() -> &'static Result<(), String> {
    static NEED: OnceLock<Result<(), String>> = OnceLock::new();
    NEED.get_or_init(|| {
        if !rustix::process::geteuid().is_root() {
            return Err("not root".to_owned());
        }
        let scratch = crate::gateway::Scratch::new();
        let image = Image::make(&scratch.join("image"), 4)?;
        Mounted::image(&image, &scratch.join("mount")).map(drop)
    })
}

/// Both.
pub fn strace_and_mounts() -> Result<(), String> {
    strace().clone().and_then(|()| mounts().clone())
}
