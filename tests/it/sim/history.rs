//! A history as it happens: people edit, gateways run and break, and after every step the
//! invariants are checked.
//!
//! *Safety*, with faults on: no content of a person's is lost, no path ever shows a part or a
//! mixture of contents, nothing in Dropbox is replaced or deleted without naming its version, no
//! more is deleted unasked than the guards allow, a dry run changes nothing. *Liveness*, with
//! faults off: a fix point, equal sides, a pass that does nothing.

mod rest;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};

use dropbox_standin::Standin;
use ferrybox::commands::sync::SyncArgs;
use ferrybox::config::Config;
use ferrybox::core::remote::Namespaces;
use ferrybox::dropbox::auth;
use ferrybox::dropbox::tokens::{StoredToken, TokenFiles};
use ferrybox::error::ExitCode;
use ferrybox::io::stat::Kind;
use ferrybox::report::{Counts, Report, ReportKind};

use super::access::{Access, OF_ANOTHER};
use super::disk::SimDisk;
use super::excluded::Excluded;
use super::guards::Watch;
use super::intruder::{self, DEEDS, Moment, intrude};
use super::machine::{End, Gateway};
use super::manners::Manners;
use super::plan::{
    Ending, Event, FILTERS, KEEPS, MANNERS, MODES, Plan, Run, Side, Step, Team, Way, choose_habits,
};
use super::random::Random;
use super::scene::{Scene, deletes_folder};
use super::seam::{Call, Script, Verdict};
use crate::world::TempDir;
use crate::world::approval_in;

/// The namespace of a team's space.
const TEAM: &str = "77001";
/// Calls after which a run counts as endless.
const CALLS_MAX: u64 = 200_000;

/// What a history came to.
#[derive(Default)]
pub struct Tally {
    pub runs: u64,
    pub calls: u64,
    /// Files and folders that a pass has only renamed.
    pub moved: u64,
    pub ends: BTreeMap<String, u64>,
    /// Faults that struck, by kind.
    pub faults: BTreeMap<String, u64>,
    pub trace: u64,
    pub log: Vec<String>,
    pub violation: Option<String>,
}

impl Tally {
    pub fn add(&mut self, other: &Tally) {
        self.runs += other.runs;
        self.calls += other.calls;
        self.moved += other.moved;
        for (name, count) in &other.ends {
            *self.ends.entry(name.clone()).or_default() += count;
        }
        for (name, count) in &other.faults {
            *self.faults.entry(name.clone()).or_default() += count;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} runs, {} calls, {} renames; ends {:?}; faults {:?}",
            self.runs, self.calls, self.moved, self.ends, self.faults
        )
    }
}

struct Device {
    gateway: Gateway,
    mode: usize,
    filters: usize,
    manners: usize,
    guard: &'static str,
    team: Team,
    past: VecDeque<(Option<Vec<u8>>, super::tree::Tree)>,
}

struct Outcome {
    exit: Option<ExitCode>,
    error: String,
    counts: Counts,
    routes: Vec<String>,
    problems: Vec<String>,
}

struct History {
    scene: Arc<Mutex<Scene>>,
    dropbox: Standin,
    devices: Vec<Device>,
    tally: Tally,
    _temp: TempDir,
}

/// Plays a history to its end, or to the first violation.
pub fn play(plan: &Plan, keep_log: bool) -> Tally {
    let mut history = History::new(plan);
    if keep_log {
        history.devices[0].gateway.seam.keep_log();
    }
    let result = history.play(plan);
    let mut tally = std::mem::take(&mut history.tally);
    for device in &history.devices {
        tally.trace = super::random::mix(tally.trace ^ device.gateway.seam.trace_hash());
    }
    tally.faults = std::mem::take(&mut history.scene.lock().unwrap().faults);
    tally.log = history.devices[0].gateway.seam.take_log();
    tally.violation = result.err();
    tally
}

impl History {
    fn new(plan: &Plan) -> History {
        let temp = TempDir::new();
        let dropbox = Standin::with_seed(plan.seed | 1);
        if plan.team != Team::None {
            dropbox.join_team(TEAM);
        }
        if plan.team == Team::Within {
            dropbox.move_into_team_space();
        }
        let devices: Vec<Device> = (1..=plan.gateways)
            .map(|number| {
                let dir = temp.path().join(number.to_string());
                std::fs::create_dir(&dir).unwrap();
                Device {
                    gateway: Gateway::new(dir, dropbox.clone(), plan.seed ^ number as u64),
                    mode: plan.modes[number - 1],
                    filters: plan.filters,
                    manners: plan.manners,
                    guard: plan.guard,
                    team: plan.team,
                    past: VecDeque::new(),
                }
            })
            .collect();
        let disks = devices.iter().map(|d| d.gateway.content.clone()).collect();
        let scene = Scene::new(dropbox.clone(), disks);
        let history = History {
            scene: Arc::new(Mutex::new(scene)),
            dropbox,
            devices,
            tally: Tally::default(),
            _temp: temp,
        };
        for device in &history.devices {
            history.authenticate(device);
        }
        history
    }

    /// As `finishAuthentication` leaves it.
    fn authenticate(&self, device: &Device) {
        let config = config_of(device, 1);
        let pending = auth::start(&device.gateway, "standin-key", false);
        let url = auth::authorize_url(&config, &pending);
        let code = self.dropbox.approve(&url).unwrap();
        let form = auth::code_form(&code, &pending, None);
        let answer = self.dropbox.handle(dropbox_standin::Request {
            endpoint: dropbox_standin::Endpoint::Api,
            method: "POST".to_owned(),
            target: "/oauth2/token".to_owned(),
            headers: vec![(
                "Content-Type".to_owned(),
                "application/x-www-form-urlencoded".to_owned(),
            )],
            body: form.into_bytes(),
        });
        let granted: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        let account = granted["account_id"].as_str().unwrap().to_owned();
        TokenFiles::new(&device.gateway.state, String::new())
            .store_token(&StoredToken {
                refresh_token: granted["refresh_token"].as_str().unwrap().to_owned(),
                app_key: "standin-key".to_owned(),
                account_id: account,
                namespaces: Namespaces {
                    root_namespace_id: match device.team {
                        Team::None => "3235641".to_owned(),
                        Team::Beside | Team::Within => TEAM.to_owned(),
                    },
                    home_namespace_id: "3235641".to_owned(),
                },
                whose: String::new(),
            })
            .unwrap();
        device
            .gateway
            .state
            .tree()
            .sync_filesystem(super::tree::ROOT);
    }

    fn play(&mut self, plan: &Plan) -> Result<(), String> {
        for (at, step) in plan.steps.iter().enumerate() {
            self.devices[0]
                .gateway
                .seam
                .trace(&format!("step {at}: {step:?}"));
            match step {
                Step::Edit(edit) => self.scene.lock().unwrap().edit(edit),
                Step::Run(run) => drop(self.run(run)?),
                Step::Event(side, event, seed) => self.event(*side, event, *seed),
            }
            self.check_safety()?;
        }
        self.settle_down("in the modes of the history")?;
        for device in &mut self.devices {
            (device.mode, device.filters, device.manners) = (0, 0, 0);
        }
        self.settle_down("both ways, without filters")?;
        self.check_equal()
    }

    // Steps.

    fn run(&mut self, run: &Run) -> Result<Outcome, String> {
        let device = &mut self.devices[run.side - 1];
        device
            .past
            .push_front((device.gateway.index_bytes(), device.gateway.state.saved()));
        device.past.truncate(6);
        let before = Fingerprint::of(device);
        let outcome = self.attempt(run, &[])?;
        if run.way == Way::Dry && run.edits.is_empty() && run.end.is_none() {
            let after = Fingerprint::of(&self.devices[run.side - 1]);
            if before != after {
                return Err("a dry run changed something".to_owned());
            }
        }
        if run.approves
            && outcome.exit == Some(ExitCode::Halted)
            && let Some(id) = approval_in(&outcome.error)
        {
            let again = Run {
                edits: Vec::new(),
                mishaps: Vec::new(),
                end: None,
                ..run.clone()
            };
            return self.attempt(&again, &[id]);
        }
        Ok(outcome)
    }

    fn attempt(&mut self, run: &Run, approved: &[String]) -> Result<Outcome, String> {
        let device = &self.devices[run.side - 1];
        let config = config_of(device, run.side);
        let options = args_of(run, approved).options(&config);
        let report = Report::new(if options.dry_run {
            ReportKind::CollectedPlan
        } else {
            ReportKind::Changes
        });
        self.dropbox.clear_requests();
        self.scene.lock().unwrap().have_troubles();
        let script = self.script(run);
        let gateway = &device.gateway;
        self.scene.lock().unwrap().watch = Some(device.filters)
            .filter(|filters| *filters == 0 && approved.is_empty())
            .and_then(|_| Watch::begin(gateway, &self.dropbox, &config));
        let excluded = (device.filters != 0 && run.edits.is_empty())
            .then(|| Excluded::before(&gateway.content, &self.dropbox));
        let manners = run
            .edits
            .is_empty()
            .then(|| Manners::before(&gateway.content, &self.dropbox));
        let access =
            (run.edits.is_empty() && run.end.is_none()).then(|| Access::before(&gateway.content));
        let end = gateway.run(&config, &options, &report, Some(script));
        let let_in = access.and_then(|it| it.objection(&gateway.content));
        let let_in = let_in.or_else(|| intruder::objection(&gateway.content));
        let leaked = excluded.and_then(|it| it.objection(&config, &gateway.content, &self.dropbox));
        let ill = manners.and_then(|it| it.objection(&config, &gateway.content, &self.dropbox));
        let calls = gateway.seam.stop();
        let watch = self.scene.lock().unwrap().watch.take();
        let unasked = watch.and_then(|watch| watch.objection(&config, &report));
        self.dropbox.clear_faults();
        self.tally.runs += 1;
        self.tally.calls += calls;
        self.tally.moved += report.counts().moved;
        let violation = self.scene.lock().unwrap().violation.take();
        if let Some(violation) = violation.or(unasked).or(leaked).or(let_in).or(ill) {
            return Err(violation);
        }
        let (exit, error) = match end {
            End::Returned(Ok(exit)) => (Some(exit), String::new()),
            End::Returned(Err(error)) => {
                let dir = device.gateway.dir.display().to_string();
                let text = error.to_string().replace(&dir, "/state");
                (Some(error.exit_code()), text)
            }
            End::Died => {
                if let Some((_, Ending::PowerCut)) = run.end {
                    device.gateway.lose_power(&mut Random::new(run.seed));
                }
                (None, String::new())
            }
        };
        let name = exit.map_or("died".to_owned(), |exit| format!("{exit:?}"));
        device.gateway.seam.trace(&format!("ended: {name} {error}"));
        *self.tally.ends.entry(name).or_default() += 1;
        let problems = report.problems();
        for problem in &problems {
            device.gateway.seam.trace(&format!("problem: {problem:?}"));
        }
        let routes = self.dropbox.requests().into_iter();
        Ok(Outcome {
            exit,
            error,
            counts: report.counts(),
            routes: routes.map(|call| call.route).collect(),
            problems: problems.into_iter().map(|problem| problem.text).collect(),
        })
    }

    /// Carries out what a run's plan says about each of its calls.
    fn script(&self, run: &Run) -> Script {
        let scene = self.scene.clone();
        let mut run = run.clone();
        let mut lasting: Option<ErrorKind> = None;
        run.edits.sort_by_key(|(at, _)| *at);
        Box::new(move |call: &Call| {
            let mut scene = scene.lock().unwrap();
            scene.check_step(call);
            if call.number > CALLS_MAX {
                scene.violation = Some("the run does not end".to_owned());
                return Verdict::Die;
            }
            if scene.violation.is_some() {
                return Verdict::Die;
            }
            // RACE: between the agent's last look and these calls nothing can be seen.
            let is_late = call.op.destroys() || deletes_folder(call);
            if !is_late {
                while run.edits.first().is_some_and(|(at, _)| *at <= call.number) {
                    let (_, edit) = run.edits.remove(0);
                    scene.edit(&edit);
                }
            }
            if run.end.is_some_and(|(at, _)| call.number >= at) {
                scene.count("death");
                return Verdict::Die;
            }
            scene.mishaps(call, &mut run.mishaps, &mut lasting)
        })
    }

    fn event(&mut self, side: Side, event: &Event, seed: u64) {
        let mut random = Random::new(seed);
        let device = &mut self.devices[side - 1];
        let gateway = &device.gateway;
        match event {
            Event::PowerCut => gateway.lose_power(&mut random),
            Event::LoseCursor => drop(gateway.state.tree().unlink("cursor.json")),
            Event::LoseIndex => gateway.put_index(None),
            Event::OldState {
                runs,
                index,
                cursor,
            } => {
                if let Some((old_index, old_state)) = device.past.get(*runs) {
                    if *index {
                        gateway.put_index(old_index.as_deref());
                    }
                    if *cursor {
                        gateway.state.restore(old_state);
                    }
                }
            }
            Event::Flip { index: true, at } => {
                if let Some(mut bytes) = gateway.index_bytes().filter(|bytes| !bytes.is_empty()) {
                    let at = *at as usize % (bytes.len() * 8);
                    bytes[at / 8] ^= 1 << (at % 8);
                    gateway.put_index(Some(&bytes));
                }
            }
            Event::Flip { index: false, at } => {
                if let Some(mut bytes) = gateway.state.content("cursor.json") {
                    let at = *at as usize % (bytes.len() * 8);
                    bytes[at / 8] ^= 1 << (at % 8);
                    gateway.state.put("cursor.json", &bytes);
                }
            }
            Event::ResetCursors => self.dropbox.reset_cursors(),
            Event::ExpireTokens => self.dropbox.expire_access_tokens(),
            Event::JumpClock(seconds) => {
                let now = gateway.seam.now_ns();
                gateway
                    .seam
                    .set_now_ns(now + i128::from(*seconds) * 1_000_000_000);
            }
            Event::PageLimit(entries) => self.dropbox.set_page_limit(*entries),
            Event::Mount(path) => mount(&gateway.content, path, 2 + seed % 1000),
            Event::Unmount => gateway.content.tree().unmount_all(),
            Event::TakeOff => self.scene.lock().unwrap().take_off(side - 1),
            Event::PutBack => self.scene.lock().unwrap().put_back(side - 1),
            Event::MountAgain => gateway.content.tree().mount_again(),
            Event::Filters(filters) => device.filters = *filters,
            Event::Mode(mode) => device.mode = *mode,
            Event::Capacity(bytes) => gateway.content.tree().capacity = *bytes,
            Event::Quota(bytes) => self.dropbox.set_quota(*bytes),
            Event::Trouble(path, trouble) => self.scene.lock().unwrap().trouble(path, *trouble),
            Event::Habits(number) => self.dropbox.change_habits(|it| choose_habits(it, *number)),
            Event::LoseAppFolder(is_gone) => lose_app_folder(&self.dropbox, *is_gone),
            Event::Heal => self.scene.lock().unwrap().heal(),
            Event::Renumber(device) => gateway.content.tree().renumber(*device),
            Event::Neighbour(path) => move_in(&gateway.content, path),
            Event::Intrude(path, deed) => {
                let index = gateway.index_file();
                let when = Moment::AtRest(&index);
                intrude(&gateway.content, DEEDS[*deed], path, when, &mut random);
            }
        }
    }

    // Invariants.

    fn check_safety(&mut self) -> Result<(), String> {
        let mut scene = self.scene.lock().unwrap();
        scene.check_all();
        match scene.violation.take() {
            Some(violation) => Err(violation),
            None => scene.nothing_lost(),
        }
    }
}

fn lose_app_folder(dropbox: &Standin, is_gone: bool) {
    dropbox.change_habits(|habits| habits.app_folder_is_gone = is_gone);
}

/// Everything a run may change on its gateway and in the account.
#[derive(PartialEq)]
struct Fingerprint {
    content_writes: u64,
    state_writes: u64,
    index: Option<Vec<u8>>,
    position: u64,
}

impl Fingerprint {
    fn of(device: &Device) -> Fingerprint {
        let gateway = &device.gateway;
        Fingerprint {
            content_writes: gateway.content.tree().writes,
            state_writes: gateway.state.tree().writes,
            index: gateway.index_bytes(),
            position: gateway.dropbox.position(),
        }
    }
}

fn args_of(run: &Run, approved: &[String]) -> SyncArgs {
    SyncArgs {
        download_only: run.way == Way::Down,
        upload_only: run.way == Way::Up,
        dry_run: run.way == Way::Dry,
        approved: approved.to_vec(),
        ..SyncArgs::default()
    }
}

/// A disk of its own is mounted on a folder that is empty.
fn mount(disk: &SimDisk, path: &str, device: u64) {
    let is_folder = is_folder(disk, path);
    let mut tree = disk.tree();
    let is_empty = tree.list(path).is_ok_and(|entries| entries.is_empty());
    if is_folder && is_empty && !tree.has_mount(path) && !tree.is_bare(path) {
        tree.sync_path(path);
        tree.mount(path, device).unwrap();
    }
}

/// Another instance has temporary files in a folder from now on.
fn move_in(disk: &SimDisk, path: &str) {
    if is_folder(disk, path) && !disk.tree().is_bare(path) {
        for name in OF_ANOTHER {
            disk.put(&format!("{path}/{name}"), b"of another");
        }
    }
}

fn is_folder(disk: &SimDisk, path: &str) -> bool {
    let found = disk.look(path);
    found.is_some_and(|status| status.kind == Kind::Folder)
}

/// Deletes are kept only where nothing comes down.
fn manners_of(device: &Device) -> &'static str {
    match MANNERS[device.manners] {
        KEEPS if MODES[device.mode] != "LOCAL_TO_DROPBOX" => "",
        manners => manners,
    }
}

fn config_of(device: &Device, number: usize) -> Config {
    let text = format!(
        "[dropbox]\napp_key = \"standin-key\"\n{}\n[sync]\ncontent_dir = \"/content\"\n\
         mode = \"{}\"\ndevice_name = \"pi{number}\"\n{}\n{}\n\
         [sync.guard]\n{}\n[state]\ndir = \"{}\"\n",
        match device.team {
            Team::Within => "root = \"team\"",
            Team::None | Team::Beside => "",
        },
        MODES[device.mode],
        FILTERS[device.filters],
        manners_of(device),
        device.guard,
        device.gateway.dir.display(),
    );
    Config::parse(&device.gateway.dir.join("config.toml"), &text).unwrap()
}
