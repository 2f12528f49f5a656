//! One gateway, one Dropbox, and passes between them.
//!
//! Content and state are real directories, or, when the crash tests run the scenarios, a machine in
//! memory on which every pass is tried with a crash at each of its calls first.

mod clock;
mod crashes;
mod ground;
mod meddling;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use dropbox_standin::{Effect, Fault, Hook, Node, Standin, When};
use ferrybox::commands::sync::SyncArgs;
use ferrybox::config::Config;
use ferrybox::engine::collected::KEPT_MAX;
use ferrybox::engine::{Seams, run_on};
use ferrybox::error::{self, ExitCode};
use ferrybox::io::dirs::RealDisks;
use ferrybox::io::disk::{Disk, Disks};
use ferrybox::io::host::Host;
use ferrybox::io::http::{Http, HttpError, Request, Response};
use ferrybox::report::{Counts, Report, ReportKind, Skipped, Traffic};

pub use clock::{Clock, ClockState};
pub use crashes::COUNTS_FILE;
use crashes::Crashes;
use ground::Sim;
pub use ground::{Hands, TempDir};

use crate::sim::machine::{End, Gateway, ask};
use crate::sim::seam::Script;

/// Held for writing while a child is started, for reading during a pass. Until it has become
/// another program, a child has all our open files, and with them a pass's locks, which would
/// outlive that pass.
static STARTING: RwLock<()> = RwLock::new(());

/// Starts a command while no pass is at work.
pub fn started(command: &mut Command) -> io::Result<Child> {
    let _alone = STARTING.write().unwrap_or_else(PoisonError::into_inner);
    command.spawn()
}

/// Makes a hook anew.
type MakeHook = Box<dyn Fn() -> Hook>;

/// How a pass ended.
#[derive(Debug)]
pub struct Outcome {
    pub exit: ExitCode,
    pub error: String,
    pub problems: BTreeMap<String, String>,
    pub counts: Counts,
    pub bytes: Traffic,
    pub skipped: Skipped,
    pub advice: Vec<String>,
    pub summary: String,
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
    /// So many things of a kind a pass keeps in memory.
    pub kept_max: Cell<usize>,
    /// The same for `[network]`.
    pub network_keys: RefCell<String>,
    mode: Cell<&'static str>,
    hands: Hands,
    sim: Option<Sim>,
    hook: RefCell<Option<MakeHook>>,
    /// Each pass is tried with crashes first.
    tries_crashes: bool,
    crashes: RefCell<Crashes>,
}

impl Drop for World {
    fn drop(&mut self) {
        if self.tries_crashes && !std::thread::panicking() {
            crashes::tell(&self.crashes.borrow());
        }
    }
}

/// The id a halt is approved with.
pub fn approval_in(error: &str) -> Option<String> {
    let (_, id) = error.rsplit_once("--approve ")?;
    let id: String = id.chars().take_while(char::is_ascii_hexdigit).collect();
    (id.len() == 16).then_some(id)
}

/// A world in the two-way mode.
pub fn world() -> World {
    World::in_mode("BIDIRECTIONAL")
}

/// What a pass keeps in memory of a kind, in things. `FERRYBOX_KEPT_MAX=1` plays all scenarios with
/// so few that a pass finds all else once more.
fn kept_max() -> usize {
    let set = std::env::var("FERRYBOX_KEPT_MAX").ok();
    set.map_or(KEPT_MAX, |number| number.parse().unwrap())
}

impl World {
    pub fn in_mode(mode: &'static str) -> World {
        World::on(mode, Standin::new())
    }

    fn on(mode: &'static str, dropbox: Standin) -> World {
        let tries_crashes = std::env::var_os(COUNTS_FILE).is_some();
        let mut world = World::made(mode, dropbox, tries_crashes);
        world.tries_crashes = tries_crashes;
        world
    }

    fn made(mode: &'static str, dropbox: Standin, in_memory: bool) -> World {
        let temp = TempDir::new();
        let content = temp.path().join("content");
        let (sim, hands, clock) = if in_memory {
            let state = temp.path().join("state");
            fs::create_dir(&state).unwrap();
            let gateway = Gateway::new(state, dropbox.clone(), 1);
            let hands = Hands::Sim(gateway.content.clone());
            let clock = Clock::of(&gateway.seam);
            (Some(Sim::new(gateway)), hands, clock)
        } else {
            fs::create_dir(&content).unwrap();
            (None, Hands::Real(content), Clock::default())
        };
        let token = dropbox.personal_access_token();
        World {
            temp,
            dropbox,
            clock,
            dropbox_keys: RefCell::new(format!("personal_access_token = \"{token}\"")),
            sync_keys: RefCell::default(),
            guard_keys: RefCell::default(),
            kept_max: Cell::new(kept_max()),
            network_keys: RefCell::default(),
            mode: Cell::new(mode),
            hands,
            sim,
            hook: RefCell::default(),
            tries_crashes: false,
            crashes: RefCell::default(),
        }
    }

    /// A second gateway on the same Dropbox.
    pub fn beside(&self) -> World {
        let other = World::on(self.mode.get(), self.dropbox.clone());
        *other.dropbox_keys.borrow_mut() = self.dropbox_keys.borrow().clone();
        *other.sync_keys.borrow_mut() = self.sync_keys.borrow().clone();
        other
    }

    pub fn set_mode(&self, mode: &'static str) {
        self.mode.set(mode);
    }

    /// The content dir, for what only a real one has.
    pub fn content(&self) -> PathBuf {
        assert!(self.sim.is_none(), "this scenario needs real directories");
        self.content_dir()
    }

    /// Its path, for a configuration.
    pub fn content_dir(&self) -> PathBuf {
        self.temp.path().join("content")
    }

    pub fn state(&self) -> PathBuf {
        self.temp.path().join("state")
    }

    pub fn config(&self) -> Config {
        let text = format!(
            "[dropbox]\n{}\n[sync]\ncontent_dir = \"{}\"\nmode = \"{}\"\ndevice_name = \"pi\"\n{}\n\
             [sync.guard]\n{}\n[network]\nupload_chunk_mib = 8\n{}\n[state]\ndir = \"{}\"\n",
            self.dropbox_keys.borrow(),
            self.content_dir().display(),
            self.mode.get(),
            self.sync_keys.borrow(),
            self.guard_keys.borrow(),
            self.network_keys.borrow(),
            self.state().display(),
        );
        Config::parse(&self.temp.path().join("config.toml"), &text).unwrap()
    }

    // What a person does on the gateway.

    pub fn put(&self, path: &str, content: &str) {
        self.put_bytes(path, content.as_bytes());
    }

    pub fn put_bytes(&self, path: &str, content: &[u8]) {
        self.hands.put(path, content);
    }

    /// What a person can do here, to be taken along into a hook.
    pub fn hands(&self) -> Hands {
        self.hands.clone()
    }

    pub fn mkdir(&self, path: &str) {
        self.hands.mkdir(path);
    }

    pub fn remove(&self, path: &str) {
        self.hands.remove(path);
    }

    pub fn rename(&self, from: &str, to: &str) {
        self.hands.rename(from, to);
    }

    pub fn read(&self, path: &str) -> Option<String> {
        let bytes = self.hands.read(path)?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    pub fn set_mtime(&self, path: &str, seconds: u64) {
        self.hands.set_mtime(path, seconds);
    }

    pub fn mtime(&self, path: &str) -> u64 {
        self.hands.mtime(path)
    }

    pub fn mode_bits(&self, path: &str) -> u32 {
        self.hands.mode(path)
    }

    /// The content dir goes away: its disk is not mounted any more.
    pub fn take_content_away(&self) {
        match &self.sim {
            Some(sim) => sim.take_away(),
            None => fs::rename(self.content(), self.content().with_extension("away")).unwrap(),
        }
    }

    /// What is in place of a content dir that went away: an empty directory.
    pub fn make_content_dir(&self) {
        match &self.sim {
            Some(sim) => sim.gateway.content_is_missing.set(false),
            None => fs::create_dir(self.content()).unwrap(),
        }
    }

    pub fn remove_content_dir(&self) {
        match &self.sim {
            Some(sim) => sim.lose(),
            None => fs::remove_dir_all(self.content()).unwrap(),
        }
    }

    pub fn bring_content_back(&self) {
        match &self.sim {
            Some(sim) => sim.bring_back(),
            None => fs::rename(self.content().with_extension("away"), self.content()).unwrap(),
        }
    }

    /// Runs something before each request, on both sides if need be.
    pub fn on_request(&self, hook: impl FnMut(&dropbox_standin::Request) + Send + Clone + 'static) {
        let make = move || -> Hook { Box::new(hook.clone()) };
        self.dropbox.on_request(make());
        *self.hook.borrow_mut() = Some(Box::new(make));
    }

    /// Nothing runs before requests any more.
    pub fn on_request_nothing(&self) {
        self.dropbox.take_hook();
        *self.hook.borrow_mut() = None;
    }

    // State files.

    pub fn state_file(&self, name: &str) -> Option<Vec<u8>> {
        match &self.sim {
            Some(sim) if name != "index.db" => sim.gateway.state.content(name),
            _ => fs::read(self.state().join(name)).ok(),
        }
    }

    pub fn put_state_file(&self, name: &str, bytes: &[u8]) {
        match &self.sim {
            Some(sim) if name != "index.db" => sim.gateway.state.put(name, bytes),
            _ => fs::write(self.state().join(name), bytes).unwrap(),
        }
    }

    pub fn remove_state_file(&self, name: &str) {
        match &self.sim {
            Some(sim) if name != "index.db" => sim.gateway.state.remove(name),
            _ => fs::remove_file(self.state().join(name)).unwrap(),
        }
    }

    /// Whether permission bits keep us out.
    pub fn permissions_count(&self) -> bool {
        self.sim.is_some() || !rustix::process::geteuid().is_root()
    }

    /// Dropbox knows of no upload sessions: every file goes up in a call of its own.
    pub fn refuse_batches(&self) {
        let refused = Effect::Status(400, "no such route".to_owned());
        let fault = Fault::new("upload_session/", When::Always, refused);
        self.dropbox.inject(fault);
    }

    /// The network, for what asks Dropbox beside a pass.
    pub fn network(&self) -> impl Http + '_ {
        InProcess { world: self }
    }

    // Passes.

    pub fn sync_with(&self, args: &SyncArgs) -> Outcome {
        self.sync_config(&self.config(), args)
    }

    /// A pass with a configuration the keys cannot say.
    pub fn sync_config(&self, config: &Config, args: &SyncArgs) -> Outcome {
        if self.sim.is_some() {
            self.clock.let_files_age();
        }
        if self.tries_crashes {
            self.crash_everywhere(config, args);
        }
        self.pass(config, args, None).expect("nothing ends it")
    }

    /// One pass; nothing comes back if its script lets it die.
    fn pass(&self, config: &Config, args: &SyncArgs, script: Option<Script>) -> Option<Outcome> {
        let options = args.options(config);
        let report = Report::new(if options.dry_run {
            ReportKind::CollectedPlan
        } else {
            ReportKind::Changes
        });
        let http = InProcess { world: self };
        self.dropbox.clear_requests();
        let result = match &self.sim {
            Some(sim) => {
                let machine = Seams {
                    host: &self.clock,
                    disks: &sim.gateway,
                    http: &http,
                    kept_max: self.kept_max.get(),
                    begun: &|| {},
                };
                match sim
                    .gateway
                    .run_on(&machine, config, &options, &report, script)
                {
                    End::Returned(result) => result,
                    End::Died => return None,
                }
            }
            None => {
                let _no_children = STARTING.read().unwrap_or_else(PoisonError::into_inner);
                let machine = Seams {
                    host: &self.clock,
                    disks: &OwnDisks,
                    http: &http,
                    kept_max: self.kept_max.get(),
                    begun: &|| {},
                };
                run_on(&machine, config, &options, &report)
            }
        };
        let problems = report
            .problems()
            .into_iter()
            .map(|p| (p.path, p.text))
            .collect();
        let calls = self.dropbox.requests().into_iter();
        Some(Outcome {
            exit: result
                .as_ref()
                .map_or_else(error::Error::exit_code, |exit| *exit),
            error: result
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default(),
            problems,
            counts: report.counts(),
            bytes: report.bytes(),
            skipped: report.skipped(),
            advice: report.advice(),
            summary: report.summary().unwrap_or_default(),
            conflicts: report.conflicts(),
            plan: report.plan(),
            calls: calls
                .map(|call| call.route.trim_start_matches("files/").to_owned())
                .collect(),
        })
    }

    pub fn sync(&self) -> Outcome {
        self.sync_with(&SyncArgs::default())
    }

    /// A pass that must end well.
    #[track_caller]
    pub fn sync_ok(&self) -> Outcome {
        let outcome = self.sync();
        assert_eq!(outcome.exit, ExitCode::Ok, "{outcome:?}");
        outcome
    }

    pub fn upload_only(&self) -> Outcome {
        self.sync_with(&SyncArgs {
            upload_only: true,
            ..SyncArgs::default()
        })
    }

    pub fn download_only(&self) -> Outcome {
        self.sync_with(&SyncArgs {
            download_only: true,
            ..SyncArgs::default()
        })
    }

    pub fn dry_run(&self) -> Outcome {
        self.sync_with(&SyncArgs {
            dry_run: true,
            ..SyncArgs::default()
        })
    }

    /// Repeats a halted pass as it printed it, with its id.
    pub fn approve(&self, halted: &str) -> Outcome {
        self.sync_with(&SyncArgs {
            approved: vec![id_in(halted)],
            ..printed(halted)
        })
    }

    /// What that would do.
    pub fn dry_approve(&self, halted: &str) -> Outcome {
        self.sync_with(&SyncArgs {
            approved: vec![id_in(halted)],
            dry_run: true,
            ..printed(halted)
        })
    }

    /// Repeats a halted pass, and keeps what it would have deleted.
    pub fn keep(&self, halted: &str) -> Outcome {
        let id = id_in(halted);
        assert!(halted.contains(&format!("--keep {id}\n")), "{halted}");
        self.keep_id(halted)
    }

    /// What that would do.
    pub fn dry_keep(&self, halted: &str) -> Outcome {
        self.sync_with(&SyncArgs {
            kept: vec![id_in(halted)],
            dry_run: true,
            ..printed(halted)
        })
    }

    /// The same, whether or not it was offered.
    pub fn keep_id(&self, halted: &str) -> Outcome {
        self.sync_with(&SyncArgs {
            kept: vec![id_in(halted)],
            ..printed(halted)
        })
    }

    /// Drops all state, as a fresh SD card would.
    pub fn lose_state(&self) {
        match &self.sim {
            Some(sim) => sim.gateway.lose_state(),
            None => fs::remove_dir_all(self.state()).unwrap(),
        }
    }

    // What both sides hold.

    /// Files by path; folders end with a slash.
    pub fn local_tree(&self) -> BTreeMap<String, String> {
        let mut tree = self.hands.tree();
        tree.retain(|path, _| !path.contains(".ferrybox"));
        let text = |bytes: Arc<Vec<u8>>| String::from_utf8_lossy(&bytes).into_owned();
        tree.into_iter()
            .map(|(path, bytes)| (path, text(bytes)))
            .collect()
    }

    pub fn remote_tree(&self) -> BTreeMap<String, String> {
        let text = |bytes: Arc<Vec<u8>>| String::from_utf8_lossy(&bytes).into_owned();
        self.remote_files()
            .into_iter()
            .map(|(path, bytes)| (path, text(bytes)))
            .collect()
    }

    fn remote_files(&self) -> BTreeMap<String, Arc<Vec<u8>>> {
        let entry = |(path, node): (String, Node)| {
            let name = path.trim_start_matches('/').to_owned();
            match node {
                Node::Folder => (format!("{name}/"), Arc::default()),
                Node::File { .. } => (name, Arc::new(self.dropbox.read(&path).unwrap())),
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
        if let Some(sim) = &self.sim {
            let writes = |disk: &crate::sim::disk::SimDisk| (UNIX_EPOCH, disk.tree().writes);
            let mut hasher = DefaultHasher::new();
            sim.gateway.index_bytes().hash(&mut hasher);
            files.extend([
                (PathBuf::from("content"), writes(&sim.gateway.content)),
                (PathBuf::from("state"), writes(&sim.gateway.state)),
                (PathBuf::from("index.db"), (UNIX_EPOCH, hasher.finish())),
            ]);
            return files;
        }
        let mut dirs = vec![self.content_dir(), self.state()];
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

fn id_in(halted: &str) -> String {
    approval_in(halted).unwrap_or_else(|| panic!("no id in: {halted}"))
}

/// What the printed command asks for beside its id.
fn printed(halted: &str) -> SyncArgs {
    let has = |flag: &str| halted.contains(&format!("sync {flag} --"));
    SyncArgs {
        download_only: has("--download-only"),
        upload_only: has("--upload-only"),
        ..SyncArgs::default()
    }
}

fn tree(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries
        .iter()
        .map(|(path, content)| ((*path).to_owned(), (*content).to_owned()))
        .collect()
}

/// The directories of a world. No access token is kept in this machine's memory.
struct OwnDisks;

impl Disks for OwnDisks {
    fn content(&self, dir: &Path) -> io::Result<Box<dyn Disk>> {
        RealDisks.content(dir)
    }

    fn state(&self, dir: &Path) -> error::Result<Box<dyn Disk>> {
        RealDisks.state(dir)
    }

    fn state_as_it_is(&self, dir: &Path) -> error::Result<Option<Box<dyn Disk>>> {
        RealDisks.state_as_it_is(dir)
    }

    fn runtime(&self) -> Option<Box<dyn Disk>> {
        None
    }

    fn runtime_dir(&self) -> Option<PathBuf> {
        None
    }
}

/// The network, without one.
struct InProcess<'a> {
    world: &'a World,
}

impl Http for InProcess<'_> {
    fn send(&self, request: Request<'_>) -> Result<Response, HttpError> {
        let is_upload = request.path.contains("upload");
        let answer = match &self.world.sim {
            Some(sim) => sim.gateway.send(request),
            None => ask(&self.world.dropbox, request).map(|answer| {
                Host::sleep(&self.world.clock, answer.waited);
                answer.response(None)
            }),
        };
        let clock = &self.world.clock;
        if is_upload {
            clock.advance(clock.upload_takes_s.get());
        }
        answer
    }
}
