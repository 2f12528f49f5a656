//! The point every call of the agent to its disks and its network passes: counted, written into a
//! trace, and open to whatever a test wants to happen there.

use std::io;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;

use super::random::mix;

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    Root,
    List,
    Status,
    Open,
    Read,
    Fstat,
    Seek,
    Space,
    Lock,
    Create,
    TakeUp,
    Write,
    Access,
    SetOwner,
    SetAccess,
    SetMtime,
    SyncFile,
    Replace,
    RenameNew,
    MakeDir,
    RemoveFile,
    RemoveDir,
    SyncDir,
    SyncFilesystem,
    Request,
    Answer,
    Sleep,
}

impl Op {
    /// Whether the call makes a local file disappear that it does not look at itself: right before
    /// it lies the window no program can close (`RACE:` in the agent).
    pub fn destroys(self) -> bool {
        matches!(self, Op::Replace | Op::RemoveFile)
    }

    /// Whether the call changes a disk.
    pub fn changes(self) -> bool {
        use Op::{Create, MakeDir, RemoveDir, RemoveFile, RenameNew, Replace, SetAccess};
        use Op::{SetMtime, SetOwner, SyncDir, SyncFile, SyncFilesystem, Write};
        match self {
            Create | Write | SetOwner | SetAccess | SetMtime | Replace | RenameNew | MakeDir
            | RemoveFile | RemoveDir | SyncFile | SyncDir | SyncFilesystem => true,
            Op::Root | Op::List | Op::Status | Op::Open | Op::Read | Op::Fstat | Op::Seek => false,
            Op::TakeUp | Op::Access => false,
            Op::Space | Op::Lock | Op::Request | Op::Answer | Op::Sleep => false,
        }
    }

    pub fn is_local(self) -> bool {
        !matches!(self, Op::Request | Op::Answer | Op::Sleep)
    }
}

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// Counted from 1 in this run of the agent.
    pub number: u64,
    pub op: Op,
    /// `content`, `state`, `runtime` or `net`.
    pub on: &'static str,
    /// The path, or the route.
    pub path: String,
}

impl Call {
    fn argument(&self) -> (&str, Value) {
        let (route, argument) = self.path.split_once(' ').unwrap_or((&self.path, ""));
        (route, serde_json::from_str(argument).unwrap_or_default())
    }

    /// What a request asks Dropbox to delete, alone or among others.
    pub fn deletes(&self) -> Vec<Value> {
        match self.argument() {
            ("/2/files/delete_v2", argument) => vec![argument],
            ("/2/files/delete_batch", argument) => entries(&argument),
            _ => Vec::new(),
        }
    }

    /// What a request commits, alone or among others.
    pub fn commits(&self) -> Vec<Value> {
        match self.argument() {
            ("/2/files/upload", argument) => vec![argument],
            ("/2/files/upload_session/finish", argument) => vec![argument["commit"].clone()],
            ("/2/files/upload_session/finish_batch_v2", argument) => entries(&argument)
                .iter()
                .map(|entry| entry["commit"].clone())
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// A path, or a text that names one, without what names of ours tell of the state directory, which
/// has another name in each test.
fn without_instance(path: &str) -> String {
    let digits = |rest: &str| rest.bytes().take_while(u8::is_ascii_hexdigit).count();
    for (start, length, end) in [
        (".ferrybox-", 8, "-"),
        ("cursor-", 16, ".json"),
        ("pass-", 16, ".json"),
    ] {
        if let Some((dir, rest)) = path.split_once(start)
            && digits(rest) == length
            && let Some(rest) = rest[length..].strip_prefix(end)
        {
            return format!("{dir}{start}{rest}");
        }
    }
    path.to_owned()
}

fn entries(argument: &Value) -> Vec<Value> {
    argument["entries"].as_array().cloned().unwrap_or_default()
}

/// What becomes of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Go,
    /// The process ends before the call is carried out.
    Die,
    Fail(io::ErrorKind),
}

/// Decides about each call; may change the world first.
pub type Script = Box<dyn FnMut(&Call) -> Verdict + Send>;

/// What unwinds when the process dies.
pub struct Death;

#[derive(Default)]
struct State {
    count: u64,
    now_ns: i128,
    elapsed_ns: u64,
    dead: bool,
    script: Option<Script>,
    trace: u64,
    log: Option<Vec<String>>,
}

/// The seams of one machine. Clones share them.
#[derive(Clone, Default)]
pub struct Seam(Arc<Mutex<State>>);

impl Seam {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Before a run of the agent.
    pub fn start(&self, script: Option<Script>) {
        let mut state = self.state();
        state.count = 0;
        state.dead = false;
        state.script = script;
    }

    /// After it: how many calls there were.
    pub fn stop(&self) -> u64 {
        let mut state = self.state();
        state.script = None;
        state.dead = false;
        state.count
    }

    /// A call of the agent: an error if it is to fail, and no return if the process dies.
    pub fn call(&self, op: Op, on: &'static str, path: &str) -> io::Result<()> {
        let (call, script) = {
            let mut state = self.state();
            if state.dead {
                return Err(io::Error::other("the process is dead"));
            }
            state.count += 1;
            state.now_ns += 150_000;
            state.elapsed_ns += 150_000;
            let call = Call {
                number: state.count,
                op,
                on,
                path: path.to_owned(),
            };
            (call, state.script.take())
        };
        let Some(mut script) = script else {
            self.note(&call, &Verdict::Go);
            return Ok(());
        };
        let verdict = script(&call);
        self.note(&call, &verdict);
        let mut state = self.state();
        state.script = Some(script);
        match verdict {
            Verdict::Go => Ok(()),
            Verdict::Fail(kind) => Err(io::Error::new(
                kind,
                format!("cannot {op:?} {path}: injected {kind:?}"),
            )),
            Verdict::Die => {
                state.dead = true;
                drop(state);
                resume_unwind(Box::new(Death));
            }
        }
    }

    fn note(&self, call: &Call, verdict: &Verdict) {
        let mut state = self.state();
        let Call {
            number,
            op,
            on,
            path,
        } = call;
        let path = without_instance(path);
        for byte in format!("{op:?} {on} {path} {verdict:?}").bytes() {
            state.trace = mix(state.trace ^ u64::from(byte));
        }
        if let Some(log) = &mut state.log {
            let shown = if *verdict == Verdict::Go {
                String::new()
            } else {
                format!(" -> {verdict:?}")
            };
            log.push(format!("{number} {op:?} {on} {path}{shown}"));
        }
    }

    /// Adds to the trace what is no call.
    pub fn trace(&self, what: &str) {
        let what = without_instance(what);
        let mut state = self.state();
        for byte in what.bytes() {
            state.trace = mix(state.trace ^ u64::from(byte));
        }
        if let Some(log) = &mut state.log {
            log.push(what);
        }
    }

    /// Stands for everything that has happened so far.
    pub fn trace_hash(&self) -> u64 {
        self.state().trace
    }

    /// Keeps every line of the trace from here on.
    pub fn keep_log(&self) {
        self.state().log = Some(Vec::new());
    }

    pub fn take_log(&self) -> Vec<String> {
        self.state().log.take().unwrap_or_default()
    }

    pub fn now_ns(&self) -> i128 {
        self.state().now_ns
    }

    pub fn elapsed_ns(&self) -> u64 {
        self.state().elapsed_ns
    }

    pub fn set_now_ns(&self, now_ns: i128) {
        self.state().now_ns = now_ns;
    }

    pub fn pass_time(&self, ns: u64) {
        let mut state = self.state();
        state.now_ns += i128::from(ns);
        state.elapsed_ns += ns;
    }
}
