//! One gateway, one Dropbox, and passes between them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dropbox_standin::{Delivery, Node, Standin};
use ferrybox::commands::sync::{Machine, Wishes, run_on};
use ferrybox::config::Config;
use ferrybox::error::ExitCode;
use ferrybox::io::host::Host;
use ferrybox::io::http::{Body, Endpoint, Http, HttpError, Request, Response};
use ferrybox::places::RealDisks;
use ferrybox::report::{Counts, Kind, Report};

/// A directory of its own for a test, removed at its end.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new() -> TempDir {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ferrybox-test-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        TempDir(path.canonicalize().unwrap())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// How a pass ended.
#[derive(Debug)]
pub struct Outcome {
    pub exit: ExitCode,
    pub error: String,
    pub problems: BTreeMap<String, String>,
    pub counts: Counts,
    pub conflicts: Vec<String>,
    pub plan: Vec<String>,
    /// Routes called, without their leading "files/".
    pub calls: Vec<String>,
}

/// A gateway beside a Dropbox.
pub struct World {
    temp: TempDir,
    pub dropbox: Standin,
    pub clock: Clock,
    /// Lines for `[dropbox]`, `[sync]` and `[sync.guard]`.
    pub dropbox_keys: RefCell<String>,
    pub sync_keys: RefCell<String>,
    pub guard_keys: RefCell<String>,
    mode: Cell<&'static str>,
}

/// A world in the two-way mode.
pub fn world() -> World {
    World::in_mode("BIDIRECTIONAL")
}

impl World {
    pub fn in_mode(mode: &'static str) -> World {
        let world = World {
            temp: TempDir::new(),
            dropbox: Standin::new(),
            clock: Clock::default(),
            dropbox_keys: RefCell::default(),
            sync_keys: RefCell::default(),
            guard_keys: RefCell::default(),
            mode: Cell::new(mode),
        };
        fs::create_dir(world.content()).unwrap();
        let token = world.dropbox.personal_access_token();
        *world.dropbox_keys.borrow_mut() = format!("personal_access_token = \"{token}\"");
        world
    }

    /// A second gateway on the same Dropbox.
    pub fn beside(&self) -> World {
        let mut other = World::in_mode(self.mode.get());
        other.dropbox = self.dropbox.clone();
        *other.dropbox_keys.borrow_mut() = self.dropbox_keys.borrow().clone();
        *other.sync_keys.borrow_mut() = self.sync_keys.borrow().clone();
        other
    }

    pub fn set_mode(&self, mode: &'static str) {
        self.mode.set(mode);
    }

    pub fn content(&self) -> PathBuf {
        self.temp.path().join("content")
    }

    pub fn state(&self) -> PathBuf {
        self.temp.path().join("state")
    }

    pub fn config(&self) -> Config {
        let text = format!(
            "[dropbox]\n{}\n[sync]\ncontent_dir = \"{}\"\nmode = \"{}\"\ndevice_name = \"pi\"\n{}\n\
             [sync.guard]\n{}\n[state]\ndir = \"{}\"\n",
            self.dropbox_keys.borrow(),
            self.content().display(),
            self.mode.get(),
            self.sync_keys.borrow(),
            self.guard_keys.borrow(),
            self.state().display(),
        );
        Config::parse(&self.temp.path().join("config.toml"), &text).unwrap()
    }

    // What a person does on the gateway.

    pub fn put(&self, path: &str, content: &str) {
        self.put_bytes(path, content.as_bytes());
    }

    pub fn put_bytes(&self, path: &str, content: &[u8]) {
        let file = self.content().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }

    pub fn mkdir(&self, path: &str) {
        fs::create_dir_all(self.content().join(path)).unwrap();
    }

    pub fn remove(&self, path: &str) {
        let path = self.content().join(path);
        if path.is_dir() {
            fs::remove_dir_all(path)
        } else {
            fs::remove_file(path)
        }
        .unwrap();
    }

    pub fn rename(&self, from: &str, to: &str) {
        fs::rename(self.content().join(from), self.content().join(to)).unwrap();
    }

    pub fn read(&self, path: &str) -> Option<String> {
        let bytes = fs::read(self.content().join(path)).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    pub fn set_mtime(&self, path: &str, seconds: u64) {
        let file = fs::File::options()
            .write(true)
            .open(self.content().join(path))
            .unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds))
            .unwrap();
    }

    pub fn mtime(&self, path: &str) -> u64 {
        let modified = fs::metadata(self.content().join(path))
            .unwrap()
            .modified()
            .unwrap();
        modified.duration_since(UNIX_EPOCH).unwrap().as_secs()
    }

    pub fn mode_bits(&self, path: &str) -> u32 {
        fs::metadata(self.content().join(path))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    }

    // Passes.

    pub fn sync_with(&self, wishes: &Wishes) -> Outcome {
        self.sync_config(&self.config(), wishes)
    }

    /// A pass with a configuration the keys cannot say.
    pub fn sync_config(&self, config: &Config, wishes: &Wishes) -> Outcome {
        let options = wishes.options(config);
        let report = Report::new(if options.dry_run {
            Kind::CollectedPlan
        } else {
            Kind::Deeds
        });
        let http = InProcess {
            dropbox: self.dropbox.clone(),
            clock: &self.clock,
        };
        self.dropbox.clear_requests();
        let machine = Machine {
            host: &self.clock,
            disks: &RealDisks,
            http: &http,
        };
        let result = run_on(&machine, config, &options, &report);
        let problems = report
            .problems()
            .into_iter()
            .map(|p| (p.path, p.text))
            .collect();
        let calls = self.dropbox.requests().into_iter();
        Outcome {
            exit: result
                .as_ref()
                .map_or_else(ferrybox::error::Error::exit_code, |exit| *exit),
            error: result
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default(),
            problems,
            counts: report.counts(),
            conflicts: report.conflicts(),
            plan: report.plan(),
            calls: calls
                .map(|call| call.route.trim_start_matches("files/").to_owned())
                .collect(),
        }
    }

    pub fn sync(&self) -> Outcome {
        self.sync_with(&Wishes::default())
    }

    /// A pass that must end well.
    #[track_caller]
    pub fn sync_ok(&self) -> Outcome {
        let outcome = self.sync();
        assert_eq!(outcome.exit, ExitCode::Ok, "{outcome:?}");
        outcome
    }

    pub fn upload_only(&self) -> Outcome {
        self.sync_with(&Wishes {
            upload_only: true,
            ..Wishes::default()
        })
    }

    pub fn download_only(&self) -> Outcome {
        self.sync_with(&Wishes {
            download_only: true,
            ..Wishes::default()
        })
    }

    pub fn dry_run(&self) -> Outcome {
        self.sync_with(&Wishes {
            dry_run: true,
            ..Wishes::default()
        })
    }

    /// Repeats a halted pass with the id it printed.
    pub fn approve(&self, halted: &str) -> Outcome {
        let id = halted
            .rsplit("--approve ")
            .next()
            .unwrap()
            .trim()
            .to_owned();
        assert_eq!(id.len(), 12, "no id in: {halted}");
        self.sync_with(&Wishes {
            approved: vec![id],
            ..Wishes::default()
        })
    }

    /// Drops all state, as a fresh SD card would.
    pub fn lose_state(&self) {
        fs::remove_dir_all(self.state()).unwrap();
    }

    // What both sides hold.

    /// Files by path; folders end with a slash.
    pub fn local_tree(&self) -> BTreeMap<String, String> {
        let mut tree = BTreeMap::new();
        walk(&self.content(), "", &mut tree);
        tree.retain(|path, _| !path.contains(".ferrybox"));
        tree
    }

    pub fn remote_tree(&self) -> BTreeMap<String, String> {
        let entry = |(path, node): (String, Node)| {
            let name = path.trim_start_matches('/').to_owned();
            match node {
                Node::Folder => (format!("{name}/"), String::new()),
                Node::File { .. } => {
                    let bytes = self.dropbox.read(&path).unwrap();
                    (name, String::from_utf8_lossy(&bytes).into_owned())
                }
            }
        };
        self.dropbox.tree().into_iter().map(entry).collect()
    }

    #[track_caller]
    pub fn check_local(&self, expected: &[(&str, &str)]) {
        assert_eq!(self.local_tree(), tree(expected), "the content dir");
    }

    #[track_caller]
    pub fn check_remote(&self, expected: &[(&str, &str)]) {
        assert_eq!(self.remote_tree(), tree(expected), "Dropbox");
    }

    #[track_caller]
    pub fn check_both(&self, expected: &[(&str, &str)]) {
        self.check_local(expected);
        self.check_remote(expected);
    }

    /// Two more passes find nothing to do; the second asks one question and writes nothing.
    #[track_caller]
    pub fn check_settled(&self) {
        self.clock.advance(10);
        let echo = self.sync();
        assert_eq!(echo.counts, Counts::default(), "the echo changes nothing");
        let before = self.written();
        let idle = self.sync();
        assert_eq!(idle.calls, ["list_folder/continue"]);
        assert_eq!(idle.counts, Counts::default());
        assert_eq!(self.written(), before, "an idle pass writes nothing");
    }

    /// Every file of content and state with its change time.
    pub fn written(&self) -> BTreeMap<PathBuf, (SystemTime, u64)> {
        let mut files = BTreeMap::new();
        let mut dirs = vec![self.content(), self.state()];
        while let Some(dir) = dirs.pop() {
            let Ok(entries) = fs::read_dir(&dir) else {
                continue;
            };
            let modified = fs::metadata(&dir).unwrap().modified().unwrap();
            files.insert(dir, (modified, 0));
            for entry in entries {
                let path = entry.unwrap().path();
                let metadata = fs::symlink_metadata(&path).unwrap();
                if metadata.is_dir() {
                    dirs.push(path);
                } else {
                    files.insert(path, (metadata.modified().unwrap(), metadata.len()));
                }
            }
        }
        files
    }
}

fn tree(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries
        .iter()
        .map(|(path, content)| ((*path).to_owned(), (*content).to_owned()))
        .collect()
}

fn walk(dir: &Path, prefix: &str, tree: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type().unwrap().is_dir() {
            tree.insert(format!("{path}/"), String::new());
            walk(&entry.path(), &format!("{path}/"), tree);
        } else {
            let bytes = fs::read(entry.path()).unwrap_or_default();
            tree.insert(path, String::from_utf8_lossy(&bytes).into_owned());
        }
    }
}

/// The machine's clock, some seconds ahead, so that files a test has just written are not fresh;
/// waiting passes no time of the test's.
pub struct Clock {
    ahead_s: Cell<i128>,
    waited: Cell<Duration>,
    /// How long each upload takes.
    pub upload_takes_s: Cell<i128>,
    randomness: Cell<u64>,
}

impl Default for Clock {
    fn default() -> Clock {
        let (ahead_s, waited) = (Cell::new(10), Cell::default());
        Clock {
            ahead_s,
            waited,
            upload_takes_s: Cell::default(),
            randomness: Cell::new(1),
        }
    }
}

impl Clock {
    pub fn advance(&self, seconds: i128) {
        self.ahead_s.set(self.ahead_s.get() + seconds);
    }

    /// The machine's own time: what was just written is fresh.
    pub fn set_to_now(&self) {
        self.ahead_s.set(0);
    }

    pub fn waited(&self) -> Duration {
        self.waited.get()
    }
}

impl Host for Clock {
    fn now_ns(&self) -> i128 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        now.as_nanos() as i128 + self.ahead_s.get() * 1_000_000_000
    }

    fn elapsed(&self) -> Duration {
        self.waited.get()
    }

    fn sleep(&self, time: Duration) {
        self.waited.set(self.waited.get() + time);
    }

    fn random(&self, bytes: &mut [u8]) {
        for byte in bytes {
            let next = self
                .randomness
                .get()
                .wrapping_mul(6_364_136_223_846_793_005);
            self.randomness
                .set(next.wrapping_add(1_442_695_040_888_963_407));
            *byte = (self.randomness.get() >> 56) as u8;
        }
    }
}

/// The network, without one.
struct InProcess<'a> {
    dropbox: Standin,
    clock: &'a Clock,
}

impl Http for InProcess<'_> {
    fn send(&self, request: Request<'_>) -> Result<Response, HttpError> {
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
        let answer = self.dropbox.handle(dropbox_standin::Request {
            endpoint,
            method: "POST".to_owned(),
            target: request.path.to_owned(),
            headers: headers.collect(),
            body,
        });
        if request.path.contains("upload") {
            self.clock.advance(self.clock.upload_takes_s.get());
        }
        let bytes = answer.body.to_vec();
        let length = bytes.len();
        let delivered = match answer.delivery {
            Delivery::Whole => length,
            Delivery::Cut(count) => count.min(length),
            Delivery::NoAnswer => return Err(HttpError::Broken("no answer".to_owned())),
            Delivery::Stall(_) => return Err(HttpError::Broken("timed out".to_owned())),
        };
        let lower = |(name, value): (String, String)| (name.to_ascii_lowercase(), value);
        Ok(Response {
            status: answer.status,
            headers: answer.headers.into_iter().map(lower).collect(),
            body: Box::new(Partial {
                bytes: io::Cursor::new(bytes[..delivered].to_vec()),
                broken: delivered < length,
            }),
        })
    }
}

/// A body that may break off.
struct Partial {
    bytes: io::Cursor<Vec<u8>>,
    broken: bool,
}

impl Read for Partial {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.bytes.read(buffer)? {
            0 if self.broken => Err(io::ErrorKind::UnexpectedEof.into()),
            count => Ok(count),
        }
    }
}
