//! A gateway in memory: its clock, its disks, and its network to the stand-in. Only the index is
//! a real file, on tmpfs where there is one: SQLite is trusted per commit.

use std::cell::{Cell, RefCell};
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dropbox_standin::{Delivery, Standin};
use ferrybox::config::Config;
use ferrybox::engine::collected::KEPT_MAX;
use ferrybox::engine::context::Options;
use ferrybox::engine::{Seams, run_on};
use ferrybox::error::{self, ExitCode};
use ferrybox::io::disk::{Disk, Disks};
use ferrybox::io::host::Host;
use ferrybox::io::http::{Body, Endpoint, Http, HttpError, Request, Response};
use ferrybox::report::Report;

use super::disk::SimDisk;
use super::random::Random;
use super::seam::{Death, Op, Script, Seam};
use super::tree::Tree;

/// Seconds since 1970 at which simulated machines start: after the stand-in's clock.
pub const START_S: i128 = 1_767_300_000;

/// How a run of the agent ended.
pub enum End {
    /// It came back.
    Returned(error::Result<ExitCode>),
    /// Its script let it die.
    Died,
}

/// A machine in memory.
pub struct Gateway {
    pub seam: Seam,
    pub content: SimDisk,
    pub state: SimDisk,
    pub runtime: SimDisk,
    /// Where that is, for those who ask.
    pub runtime_dir: RefCell<PathBuf>,
    /// Where the index file is; also the configured state directory.
    pub dir: PathBuf,
    pub dropbox: Standin,
    random: RefCell<Random>,
    /// The content dir is not there.
    pub content_is_missing: Cell<bool>,
    /// So many things of a kind a pass keeps in memory.
    pub kept_max: usize,
}

/// Everything a gateway remembers.
#[derive(Clone)]
pub struct Memory {
    content: Tree,
    state: Tree,
    runtime: Tree,
    index: Option<Vec<u8>>,
    now_ns: i128,
    random: Random,
}

impl Gateway {
    /// A gateway whose index lies in `dir`, which exists.
    pub fn new(dir: PathBuf, dropbox: Standin, seed: u64) -> Gateway {
        let seam = Seam::default();
        seam.set_now_ns(START_S * 1_000_000_000);
        Gateway {
            content: SimDisk::new("content", &seam),
            state: SimDisk::new("state", &seam),
            runtime: SimDisk::new("runtime", &seam),
            runtime_dir: RefCell::new(PathBuf::from("/run/one")),
            dir,
            dropbox,
            random: RefCell::new(Random::new(seed)),
            content_is_missing: Cell::new(false),
            // Often so few that what a pass leaves for after the walk is found by another one.
            kept_max: match seed % 3 {
                0 => 1 + usize::try_from(seed / 3 % 4).unwrap(),
                _ => KEPT_MAX,
            },
            seam,
        }
    }

    pub fn index_file(&self) -> PathBuf {
        self.dir.join("index.db")
    }

    pub fn index_bytes(&self) -> Option<Vec<u8>> {
        std::fs::read(self.index_file()).ok()
    }

    pub fn put_index(&self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => std::fs::write(self.index_file(), bytes).unwrap(),
            None => drop(std::fs::remove_file(self.index_file())),
        }
        let _ = std::fs::remove_file(self.index_file().with_extension("db-journal"));
    }

    /// Runs the agent once.
    pub fn run(
        &self,
        config: &Config,
        options: &Options,
        report: &Report,
        script: Option<Script>,
    ) -> End {
        let machine = Seams {
            host: self,
            disks: self,
            http: self,
            kept_max: self.kept_max,
            begun: &|| {},
        };
        self.run_on(&machine, config, options, report, script)
    }

    /// The same with parts of another machine.
    pub fn run_on(
        &self,
        machine: &Seams<'_>,
        config: &Config,
        options: &Options,
        report: &Report,
        script: Option<Script>,
    ) -> End {
        self.seam.start(script);
        let run = || run_on(machine, config, options, report);
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(result) => End::Returned(result),
            Err(panic) if panic.is::<Death>() => {
                for disk in [&self.content, &self.state, &self.runtime] {
                    disk.tree().lose_process();
                }
                End::Died
            }
            Err(panic) => resume_unwind(panic),
        }
    }

    /// The state directory is emptied.
    pub fn lose_state(&self) {
        self.state.restore(&Tree::new(0));
        self.put_index(None);
    }

    /// The power fails and comes back.
    pub fn lose_power(&self, random: &mut Random) {
        self.content.tree().lose_power(random);
        self.state.tree().lose_power(random);
        *self.runtime.tree() = Tree::new(0);
    }

    pub fn memory(&self) -> Memory {
        Memory {
            content: self.content.saved(),
            state: self.state.saved(),
            runtime: self.runtime.saved(),
            index: self.index_bytes(),
            now_ns: self.seam.now_ns(),
            random: self.random.borrow().clone(),
        }
    }

    pub fn remember(&self, memory: &Memory) {
        self.content.restore(&memory.content);
        self.state.restore(&memory.state);
        self.runtime.restore(&memory.runtime);
        self.put_index(memory.index.as_deref());
        self.seam.set_now_ns(memory.now_ns);
        *self.random.borrow_mut() = memory.random.clone();
    }
}

impl Disks for Gateway {
    fn content(&self, dir: &Path) -> io::Result<Box<dyn Disk>> {
        if self.content_is_missing.get() {
            let text = format!("cannot open {}: no such directory", dir.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        Ok(Box::new(self.content.clone()))
    }

    fn state(&self, _dir: &Path) -> error::Result<Box<dyn Disk>> {
        Ok(Box::new(self.state.clone()))
    }

    fn state_as_it_is(&self, _dir: &Path) -> error::Result<Option<Box<dyn Disk>>> {
        Ok(Some(Box::new(self.state.clone())))
    }

    fn runtime(&self) -> Option<Box<dyn Disk>> {
        Some(Box::new(self.runtime.clone()))
    }

    fn runtime_dir(&self) -> Option<PathBuf> {
        Some(self.runtime_dir.borrow().clone())
    }
}

impl Host for Gateway {
    fn file_clock_ns(&self) -> Option<i128> {
        Some(self.now_ns())
    }

    fn is_root(&self) -> bool {
        true
    }

    fn now_ns(&self) -> i128 {
        self.seam.now_ns()
    }

    fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.seam.elapsed_ns())
    }

    fn sleep(&self, time: Duration) {
        // Sleeping cannot fail; a script may still end the process or change the world.
        let _ = self.seam.call(Op::Sleep, "host", &format!("{time:?}"));
        self.seam.pass_time(time.as_nanos() as u64);
        self.dropbox
            .advance_clock(time.as_secs().max(1).cast_signed());
    }

    fn random(&self, bytes: &mut [u8]) {
        let mut random = self.random.borrow_mut();
        bytes.fill_with(|| random.next() as u8);
    }
}

impl Http for Gateway {
    fn send(&self, request: Request<'_>) -> Result<Response, HttpError> {
        let broken = |error: io::Error| HttpError::Broken(error.to_string());
        let header = request
            .headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("Dropbox-API-Arg"));
        let arg = match (header, &request.body) {
            (Some((_, arg)), _) => arg.clone(),
            (None, Body::Bytes(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
            (None, _) => String::new(),
        };
        let what = format!("{} {arg}", request.path);
        self.seam.call(Op::Request, "net", &what).map_err(broken)?;
        let answer = ask(&self.dropbox, request)?;
        self.seam.pass_time(answer.waited.as_nanos() as u64);
        // The request is carried out; whether its answer arrives is another matter.
        let what = format!("{} {:x}", answer.status, simple_hash(&answer.body));
        self.seam.call(Op::Answer, "net", &what).map_err(broken)?;
        Ok(answer.response(Some(self.seam.clone())))
    }
}

fn simple_hash(bytes: &[u8]) -> u64 {
    let step = |hash, byte: &u8| super::random::mix(hash ^ u64::from(*byte));
    bytes.iter().fold(0, step)
}

/// An answer that takes longer is given up: the default of `network.timeout_s`.
const TIMEOUT: Duration = Duration::from_secs(120);

/// An answer as far as it was delivered.
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    breaks_off: bool,
    /// How long it was waited for.
    pub waited: Duration,
}

impl Answer {
    /// As the agent gets it, its body through a seam if there is one.
    pub fn response(self, seam: Option<Seam>) -> Response {
        Response {
            status: self.status,
            headers: self.headers,
            body: Box::new(Partial {
                bytes: io::Cursor::new(self.body),
                broken: self.breaks_off,
                seam,
            }),
        }
    }
}

/// Puts a request to the stand-in, without a network.
pub fn ask(dropbox: &Standin, request: Request<'_>) -> Result<Answer, HttpError> {
    let endpoint = match request.endpoint {
        Endpoint::Api => dropbox_standin::Endpoint::Api,
        Endpoint::Content => dropbox_standin::Endpoint::Content,
        Endpoint::Notify => dropbox_standin::Endpoint::Notify,
    };
    let body = match request.body {
        Body::Empty => Vec::new(),
        Body::Bytes(bytes) => bytes.to_vec(),
        Body::Stream { len, reader } => {
            let mut bytes = Vec::new();
            let read = reader.take(len).read_to_end(&mut bytes);
            let broken = |text: String| Err(HttpError::Broken(text));
            match read {
                Ok(_) if bytes.len() as u64 == len => bytes,
                Ok(_) => return broken("the body ended early".to_owned()),
                Err(error) => return broken(error.to_string()),
            }
        }
    };
    let headers = request
        .headers
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    let answer = dropbox.handle(dropbox_standin::Request {
        endpoint,
        method: "POST".to_owned(),
        target: request.path.to_owned(),
        headers: headers.collect(),
        body,
    });
    let mut body = answer.body.to_vec();
    let length = body.len();
    let delivered = match answer.delivery {
        Delivery::Whole => length,
        Delivery::Cut(count) => count.min(length),
        Delivery::NoAnswer => return Err(HttpError::Broken("no answer".to_owned())),
        Delivery::Stall(time) if time >= TIMEOUT => {
            return Err(HttpError::Broken("timed out".to_owned()));
        }
        Delivery::Stall(_) => length,
    };
    body.truncate(delivered);
    let waited = match answer.delivery {
        Delivery::Stall(time) => time,
        _ => Duration::ZERO,
    };
    let lower = |(name, value): (String, String)| (name.to_ascii_lowercase(), value);
    Ok(Answer {
        status: answer.status,
        headers: answer.headers.into_iter().map(lower).collect(),
        body,
        breaks_off: delivered < length,
        waited,
    })
}

/// A body that may break off.
struct Partial {
    bytes: io::Cursor<Vec<u8>>,
    broken: bool,
    seam: Option<Seam>,
}

impl Read for Partial {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(seam) = &self.seam {
            seam.call(Op::Answer, "net", "body")?;
        }
        match self.bytes.read(buffer)? {
            0 if self.broken => Err(io::ErrorKind::UnexpectedEof.into()),
            count => Ok(count),
        }
    }
}
