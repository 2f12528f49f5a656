//! Ctrl-C at a terminal: the pass ends at its next step and says what it leaves. Pressed again, or
//! where no step may come soon, it ends the process at once, as it does without this.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::SIGINT;
use signal_hook::flag;
use signal_hook::low_level::emulate_default_handler;

/// What the handler sets and asks; it does nothing else.
struct Flags {
    asked: Arc<AtomicBool>,
    at_once: Arc<AtomicBool>,
}

static FLAGS: OnceLock<Flags> = OnceLock::new();

/// Steps come, so that Ctrl-C can wait for the next.
static HAS_STEPS: AtomicBool = AtomicBool::new(false);

/// From now on passes end when they are asked to. Where SIGINT is ignored it stays so.
///
/// # Errors
/// What the system says.
pub fn listen() -> io::Result<()> {
    if FLAGS.get().is_some() || is_ignored() {
        return Ok(());
    }
    let flags = Flags {
        asked: Arc::default(),
        at_once: Arc::new(AtomicBool::new(true)),
    };
    flag::register_conditional_default(SIGINT, Arc::clone(&flags.at_once))?;
    flag::register_conditional_default(SIGINT, Arc::clone(&flags.asked))?;
    flag::register(SIGINT, Arc::clone(&flags.asked))?;
    // This is the only place that sets it, and there is one thread.
    let _ = FLAGS.set(flags);
    Ok(())
}

/// A shell ignores it for what runs in its background.
fn is_ignored() -> bool {
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 << (SIGINT - 1) != 0)
}

/// Whether a pass would be told.
pub(super) fn is_listened_to() -> bool {
    FLAGS.get().is_some()
}

/// Whether the pass is to end.
pub fn is_asked() -> bool {
    FLAGS
        .get()
        .is_some_and(|flags| flags.asked.load(Ordering::Relaxed))
}

/// A pass begins, or is over: only it comes to steps at which it can end.
pub fn set_in_pass(is_in_pass: bool) {
    HAS_STEPS.store(is_in_pass, Ordering::Relaxed);
    end_at_once(!is_in_pass);
}

/// A connection is made, or there is one: until then no step may come for long.
pub(super) fn set_connecting(is_connecting: bool) {
    if HAS_STEPS.load(Ordering::Relaxed) {
        end_at_once(is_connecting);
    }
}

fn end_at_once(at_once: bool) {
    if let Some(flags) = FLAGS.get() {
        flags.at_once.store(at_once, Ordering::Relaxed);
    }
}

/// Ends the process as Ctrl-C does, so that a shell sees it.
pub fn end() {
    let _ = emulate_default_handler(SIGINT);
}
