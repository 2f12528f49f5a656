//! A history as it happens: people edit, gateways run and break, and after every step the
//! invariants are checked.
//!
//! *Safety*, with faults on: no content of a person's is lost, no path ever shows a part or a
//! mixture of contents, nothing in Dropbox is replaced or deleted without naming its version, a
//! dry run changes nothing. *Liveness*, with faults off: a fix point, equal sides, a pass that does
//! nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};

use dropbox_standin::{Fault, Node, Standin, When};
use ferrybox::commands::sync::Wishes;
use ferrybox::config::Config;
use ferrybox::core::path::{fold, nfc};
use ferrybox::dropbox::auth;
use ferrybox::dropbox::tokens::{StoredToken, TokenFiles};
use ferrybox::error::ExitCode;
use ferrybox::report::{Counts, Kind, Report};

use super::disk::SimDisk;
use super::machine::{End, Gateway};
use super::oracle::{Oracle, shown};
use super::plan::{Deed, Edit, Ending, Event, FILTERS, MODES, Mishap, Plan, Run, Side, Step, Way};
use super::random::Random;
use super::seam::{Call, Op, Script, Verdict};
use crate::world::TempDir;

/// Contents by path.
type Files = BTreeMap<String, Arc<Vec<u8>>>;

/// Calls after which a run counts as endless.
const CALLS_MAX: u64 = 200_000;
/// Runs of all gateways until nothing changes any more.
const ROUNDS_MAX: usize = 6;

/// What a history came to.
#[derive(Default)]
pub struct Tally {
    pub runs: u64,
    pub calls: u64,
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
            "{} runs, {} calls; ends {:?}; faults {:?}",
            self.runs, self.calls, self.ends, self.faults
        )
    }
}

/// What scripts and steps share: it is changed in the middle of a run.
struct Scene {
    oracle: Oracle,
    dropbox: Standin,
    disks: Vec<SimDisk>,
    violation: Option<String>,
    faults: BTreeMap<String, u64>,
    checked: Checked,
}

/// States already found sound.
#[derive(Default)]
struct Checked {
    writes: Vec<u64>,
    position: u64,
}

struct Device {
    gateway: Gateway,
    mode: usize,
    filters: usize,
    past: VecDeque<(Option<Vec<u8>>, super::tree::Tree)>,
}

struct Outcome {
    exit: Option<ExitCode>,
    error: String,
    counts: Counts,
    routes: Vec<String>,
    problems: usize,
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
        let temp = TempDir::in_memory();
        let dropbox = Standin::with_seed(plan.seed | 1);
        let devices: Vec<Device> = (1..=plan.gateways)
            .map(|number| {
                let dir = temp.path().join(number.to_string());
                std::fs::create_dir(&dir).unwrap();
                Device {
                    gateway: Gateway::new(dir, dropbox.clone(), plan.seed ^ number as u64),
                    mode: plan.modes[number - 1],
                    filters: 0,
                    past: VecDeque::new(),
                }
            })
            .collect();
        let disks = devices.iter().map(|d| d.gateway.content.clone()).collect();
        let scene = Scene {
            oracle: Oracle::default(),
            dropbox: dropbox.clone(),
            disks,
            violation: None,
            faults: BTreeMap::new(),
            checked: Checked {
                writes: vec![0; plan.gateways],
                position: 0,
            },
        };
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
        let pending = auth::start(&device.gateway, "standin-key");
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
                root_namespace_id: "3235641".to_owned(),
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
            (device.mode, device.filters) = (0, 0);
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
        let wishes = Wishes {
            download_only: run.way == Way::Down,
            upload_only: run.way == Way::Up,
            dry_run: run.way == Way::Dry,
            approved: approved.to_vec(),
        };
        let options = wishes.options(&config);
        let report = Report::new(if options.dry_run {
            Kind::CollectedPlan
        } else {
            Kind::Deeds
        });
        self.dropbox.clear_requests();
        let script = self.script(run);
        let end = device.gateway.run(&config, &options, &report, Some(script));
        let calls = device.gateway.seam.stop();
        self.dropbox.clear_faults();
        self.tally.runs += 1;
        self.tally.calls += calls;
        if let Some(violation) = self.scene.lock().unwrap().violation.take() {
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
            problems: problems.len(),
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
            Event::Filters(filters) => device.filters = *filters,
            Event::Mode(mode) => device.mode = *mode,
            Event::Capacity(bytes) => gateway.content.tree().capacity = *bytes,
            Event::Quota(bytes) => self.dropbox.set_quota(*bytes),
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

    /// Faults off: passes until nothing changes, then one that does nothing at all.
    fn settle_down(&mut self, when: &str) -> Result<(), String> {
        self.dropbox.set_quota(1 << 31);
        self.dropbox.clear_faults();
        for device in &self.devices {
            let mut tree = device.gateway.content.tree();
            tree.capacity = 1 << 34;
            tree.allow_all();
        }
        let mut rounds = 0;
        loop {
            let mut has_changed = false;
            for side in 1..=self.devices.len() {
                let outcome = self.plain_run(side, when)?;
                has_changed |= outcome.counts != Counts::default();
            }
            self.check_safety()?;
            if !has_changed {
                break;
            }
            rounds += 1;
            let bound = if self.devices.len() == 1 {
                2
            } else {
                ROUNDS_MAX
            };
            if rounds > bound {
                return Err(format!("{when}: no fix point after {rounds} rounds"));
            }
        }
        for side in 1..=self.devices.len() {
            let before = Fingerprint::of(&self.devices[side - 1]);
            let outcome = self.plain_run(side, when)?;
            if outcome.counts != Counts::default() {
                return Err(format!("{when}: the idle pass did {:?}", outcome.counts));
            }
            if outcome.problems > 0 {
                continue;
            }
            if outcome.routes != ["files/list_folder/continue"] {
                return Err(format!("{when}: the idle pass asked {:?}", outcome.routes));
            }
            if Fingerprint::of(&self.devices[side - 1]) != before {
                return Err(format!("{when}: the idle pass wrote something"));
            }
        }
        Ok(())
    }

    /// A run without faults that must end well; halts are approved.
    fn plain_run(&mut self, side: Side, when: &str) -> Result<Outcome, String> {
        self.devices[side - 1]
            .gateway
            .seam
            .pass_time(10_000_000_000);
        let run = Run {
            side,
            way: Way::Both,
            edits: Vec::new(),
            mishaps: Vec::new(),
            end: None,
            approves: true,
            seed: 0,
        };
        let mut approved = Vec::new();
        for _ in 0..5 {
            let outcome = self.attempt(&run, &approved)?;
            match outcome.exit {
                Some(ExitCode::Ok | ExitCode::SomeFiles) => return Ok(outcome),
                Some(ExitCode::Halted) => match approval_in(&outcome.error) {
                    Some(id) => approved.push(id),
                    None => return Err(format!("{when}: no way out of: {}", outcome.error)),
                },
                exit => return Err(format!("{when}: ended with {exit:?}: {}", outcome.error)),
            }
        }
        Err(format!("{when}: halts again and again"))
    }

    /// Both sides hold the same, but for what is reported as a problem.
    fn check_equal(&mut self) -> Result<(), String> {
        let remote: Files = self
            .scene
            .lock()
            .unwrap()
            .remote_files()
            .into_iter()
            .map(|(path, bytes)| (fold(&path), bytes))
            .collect();
        for side in 1..=self.devices.len() {
            let outcome = self.plain_run(side, "at the end")?;
            if outcome.problems > 0 {
                *self
                    .tally
                    .ends
                    .entry("settled with problems".to_owned())
                    .or_default() += 1;
                continue;
            }
            let local = self.scene.lock().unwrap().local_files(side - 1);
            let local: Files = local
                .into_iter()
                .map(|(path, bytes)| (fold(&path), bytes))
                .collect();
            if local != remote {
                let list = |tree: &Files| {
                    let lines = tree.iter().map(|(p, b)| format!("{p} {}", shown(b)));
                    lines.collect::<Vec<_>>()
                };
                return Err(format!(
                    "gateway {side} differs from Dropbox:\n{:#?}\n{:#?}",
                    list(&local),
                    list(&remote)
                ));
            }
        }
        Ok(())
    }
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

impl Scene {
    fn count(&mut self, fault: &str) {
        *self.faults.entry(fault.to_owned()).or_default() += 1;
    }

    /// Lets what is due strike this call.
    fn mishaps(
        &mut self,
        call: &Call,
        due: &mut Vec<(u64, Mishap)>,
        lasting: &mut Option<ErrorKind>,
    ) -> Verdict {
        let changes = call.op.is_local() && call.op.changes();
        if let (Some(kind), true) = (*lasting, changes) {
            return Verdict::Fail(kind);
        }
        let strikes = |(at, mishap): &(u64, Mishap)| {
            *at <= call.number
                && match mishap {
                    Mishap::Disk { .. } => call.op.is_local() && call.op != Op::Lock,
                    Mishap::Net { .. } => call.op == Op::Request,
                }
        };
        let Some(found) = due.iter().position(strikes) else {
            return Verdict::Go;
        };
        match due.remove(found).1 {
            Mishap::Disk { kind, lasts } => {
                self.count(&format!("{kind:?}{}", if lasts { ", lasting" } else { "" }));
                if lasts {
                    *lasting = Some(kind);
                    if !changes {
                        return Verdict::Go;
                    }
                }
                Verdict::Fail(kind)
            }
            Mishap::Net { effect, times } => {
                let name = format!("{effect:?}");
                let name = name.split(['(', ' ']).next().unwrap_or_default();
                self.count(name);
                let fault = Fault::new("", When::First(times), effect);
                self.dropbox.inject(fault);
                Verdict::Go
            }
        }
    }

    // People.

    fn edit(&mut self, edit: &Edit) {
        let mut random = Random::new(edit.seed);
        let path_origin = |path: &str| format!("{path} by side {}", edit.side);
        match edit.deed {
            Deed::Put(path) | Deed::PutByRename(path) if self.may_put(edit.side, path) => {
                let bytes = self.oracle.fresh(&mut random, &path_origin(path));
                let by_rename = matches!(edit.deed, Deed::PutByRename(_));
                self.put(edit.side, path, &bytes, by_rename);
            }
            Deed::Copy(path, from) if self.may_put(edit.side, path) && from < self.sides() => {
                if let Some(bytes) = self.read(from, path) {
                    self.put(edit.side, path, &bytes, false);
                    if self.oracle.knows(&bytes) {
                        self.oracle.revive(&bytes);
                    }
                }
            }
            Deed::Append(path) => {
                if let Some(mut bytes) = self.read(edit.side, path) {
                    self.oracle.supersede(&bytes);
                    let more = format!("+{:x}", random.next());
                    bytes.extend_from_slice(more.as_bytes());
                    self.oracle.add(bytes.clone(), &path_origin(path));
                    match edit.side {
                        0 => drop(self.dropbox.put(&format!("/{path}"), &bytes)),
                        side => self.disks[side - 1].append(path, more.as_bytes()),
                    }
                }
            }
            Deed::Remove(path) => {
                let gone = self.at_or_below(edit.side, path);
                if gone.is_empty() {
                    return;
                }
                for bytes in gone.values() {
                    self.oracle.supersede(bytes);
                }
                match edit.side {
                    0 => drop(self.dropbox.remove(&format!("/{}", nfc(path)))),
                    side => self.disks[side - 1].remove(path),
                }
            }
            Deed::Rename(from, to) => self.rename(edit.side, from, to),
            Deed::MakeDir(path) if self.may_make_dir(edit.side, path) => match edit.side {
                0 => self.dropbox.mkdir(&format!("/{path}")),
                side => self.disks[side - 1].mkdir(path),
            },
            Deed::Touch(path) if edit.side > 0 && self.read(edit.side, path).is_some() => {
                let seconds = 1_000_000_000 + random.below(900_000_000);
                self.disks[edit.side - 1].set_mtime(path, seconds);
            }
            Deed::Forbid(path) | Deed::Allow(path) if edit.side > 0 => {
                let disk = &self.disks[edit.side - 1];
                if let Some(status) = disk.look(path) {
                    let forbids = matches!(edit.deed, Deed::Forbid(_));
                    let is_dir = status.kind == ferrybox::io::disk::Kind::Folder;
                    disk.set_mode(
                        path,
                        match (forbids, is_dir) {
                            (true, _) => 0,
                            (false, true) => 0o755,
                            (false, false) => 0o644,
                        },
                    );
                }
            }
            _ => {}
        }
    }

    fn sides(&self) -> usize {
        self.disks.len() + 1
    }

    fn put(&mut self, side: Side, path: &str, bytes: &[u8], by_rename: bool) {
        if let Some(old) = self.read(side, path) {
            self.oracle.supersede(&old);
        }
        match side {
            0 => drop(self.dropbox.put(&format!("/{path}"), bytes)),
            side if by_rename => self.disks[side - 1].put_by_rename(path, bytes),
            side => self.disks[side - 1].put(path, bytes),
        }
    }

    fn rename(&mut self, side: Side, from: &str, to: &str) {
        let moved = self.at_or_below(side, from);
        let below = |one: &str, other: &str| fold(one).starts_with(&format!("{}/", fold(other)));
        let is_below = below(from, to) || below(to, from);
        let same = fold(from) == fold(to);
        let is_dir = moved.keys().any(|path| path.ends_with('/'));
        if moved.is_empty() || is_below || from == to || (side == 0 && same) {
            return;
        }
        let target = self.at_or_below(side, to);
        let target_is_dir = target.keys().any(|path| path.ends_with('/'));
        if !self.may_put(side, to) || target_is_dir || (is_dir && !target.is_empty()) {
            return;
        }
        if side > 0 && self.disks[side - 1].look(&parent(to)).is_none() {
            return;
        }
        if side == 0 && !target.is_empty() {
            return;
        }
        for bytes in target.values() {
            self.oracle.supersede(bytes);
        }
        match side {
            0 => self
                .dropbox
                .rename(&format!("/{}", nfc(from)), &format!("/{to}")),
            side => self.disks[side - 1].rename(from, to),
        }
    }

    /// Whether a file can be written there: no file above it, no folder at it, all of it allowed.
    fn may_put(&self, side: Side, path: &str) -> bool {
        let files = self.files(side);
        let is_free = |path: &str| !files.contains_key(&format!("{}/", self.seen(side, path)));
        is_free(path) && self.is_clear_above(side, path, &files) && self.is_allowed(side, path)
    }

    fn may_make_dir(&self, side: Side, path: &str) -> bool {
        let files = self.files(side);
        !files.contains_key(&self.seen(side, path))
            && self.is_clear_above(side, path, &files)
            && self.is_allowed(side, path)
    }

    fn is_clear_above(&self, side: Side, path: &str, files: &Files) -> bool {
        let mut above = path;
        while let Some((dir, _)) = above.rsplit_once('/') {
            if files.contains_key(&self.seen(side, dir)) {
                return false;
            }
            above = dir;
        }
        true
    }

    fn is_allowed(&self, side: Side, path: &str) -> bool {
        let Some(disk) = side.checked_sub(1).map(|at| &self.disks[at]) else {
            return true;
        };
        let mut dirs = vec![String::new()];
        dirs.extend(path.match_indices('/').map(|(at, _)| path[..at].to_owned()));
        dirs.push(path.to_owned());
        dirs.iter().all(|dir| match disk.look(dir) {
            Some(status) => status.mode & 0o200 != 0,
            None => true,
        })
    }

    /// A path as a side compares it.
    fn seen(&self, side: Side, path: &str) -> String {
        if side == 0 {
            fold(path)
        } else {
            path.to_owned()
        }
    }

    /// All files of a side by the paths it compares; folders end with a slash.
    fn files(&self, side: Side) -> Files {
        match side {
            0 => self
                .remote_files()
                .into_iter()
                .map(|(path, bytes)| (fold(&path), bytes))
                .collect(),
            side => self.disks[side - 1].tree().files(),
        }
    }

    fn read(&self, side: Side, path: &str) -> Option<Vec<u8>> {
        let allowed = self.is_allowed(side, path);
        self.files(side)
            .remove(&self.seen(side, path))
            .filter(|_| allowed)
            .map(|bytes| bytes.to_vec())
    }

    fn at_or_below(&self, side: Side, path: &str) -> Files {
        if !self.is_allowed(side, path) {
            return BTreeMap::new();
        }
        let path = self.seen(side, path);
        let mut files = self.files(side);
        files.retain(|at, _| {
            at == &path
                || at
                    .strip_prefix(&path)
                    .is_some_and(|rest| rest.starts_with('/'))
        });
        let is_locked = |at: &String| side > 0 && !self.is_allowed(side, at.trim_end_matches('/'));
        if files.keys().any(is_locked) {
            return BTreeMap::new();
        }
        files
    }

    fn remote_files(&self) -> Files {
        let entry = |(path, node): (String, Node)| {
            let name = path.trim_start_matches('/').to_owned();
            match node {
                Node::Folder => (format!("{name}/"), Arc::default()),
                Node::File { .. } => (name, Arc::new(self.dropbox.read(&path).unwrap_or_default())),
            }
        };
        self.dropbox.tree().into_iter().map(entry).collect()
    }

    fn local_files(&self, disk: usize) -> Files {
        let mut files = self.disks[disk].tree().files();
        files.retain(|path, _| !is_own(path));
        files
    }

    // What always holds.

    /// Before each call: whatever changed since the last one left only whole contents.
    fn check_step(&mut self, call: &Call) {
        if self.violation.is_some() {
            return;
        }
        self.check_all();
        if let Some(violation) = &mut self.violation {
            violation.push_str(&format!(" (before call {call:?})"));
        }
        if call.op == Op::Request
            && let Some(why) = self.careless(call)
        {
            self.violation = Some(format!("{why}: {call:?}"));
        }
    }

    fn check_all(&mut self) {
        for disk in 0..self.disks.len() {
            let writes = self.disks[disk].tree().writes;
            if self.checked.writes[disk] == writes {
                continue;
            }
            self.checked.writes[disk] = writes;
            for (path, bytes) in self.local_files(disk) {
                if !path.ends_with('/') && !self.oracle.knows(&bytes) {
                    self.violation = Some(format!(
                        "gateway {}: {path} holds {}, which nobody wrote",
                        disk + 1,
                        shown(&bytes)
                    ));
                }
            }
        }
        let position = self.dropbox.position();
        if self.checked.position != position {
            self.checked.position = position;
            for (path, bytes) in self.remote_files() {
                if !path.ends_with('/') && !self.oracle.knows(&bytes) {
                    let what = shown(&bytes);
                    self.violation =
                        Some(format!("Dropbox: {path} holds {what}, which nobody wrote"));
                }
            }
        }
    }

    /// A write that does not name the version it replaces or removes.
    fn careless(&self, call: &Call) -> Option<&'static str> {
        let (route, arg) = call.path.split_once(' ').unwrap_or((&call.path, ""));
        let arg: serde_json::Value = serde_json::from_str(arg).unwrap_or_default();
        match route {
            "/2/files/upload" => {
                let is_add = arg["mode"] == "add" || arg["mode"][".tag"] == "add";
                let is_update = arg["mode"][".tag"] == "update";
                let renames = arg["autorename"] == true;
                (!(is_add || is_update) || renames).then_some("an upload without a condition")
            }
            "/2/files/delete_v2" if arg.get("parent_rev").is_none() => {
                let path = arg["path"].as_str().unwrap_or_default();
                let left = self.at_or_below(0, path.trim_start_matches('/'));
                let holds_file = left.keys().any(|path| !path.ends_with('/'));
                holds_file.then_some("a delete in Dropbox without a version")
            }
            _ => None,
        }
    }

    /// Every value nobody replaced or removed is somewhere.
    fn nothing_lost(&self) -> Result<(), String> {
        let mut trees: Vec<_> = (0..self.disks.len())
            .map(|at| self.local_files(at))
            .collect();
        let remote = self.remote_files();
        let present: BTreeSet<String> = remote.keys().map(|path| fold(path)).collect();
        trees.push(remote);
        // What an upload replaced under its rev stays in the history of a path that still is.
        trees.push(
            self.dropbox
                .replaced()
                .into_iter()
                .filter(|(path, _)| present.contains(&fold(path.trim_start_matches('/'))))
                .enumerate()
                .map(|(at, (_, bytes))| (at.to_string(), Arc::new(bytes)))
                .collect(),
        );
        let missing = self.oracle.missing(&trees);
        match missing.first() {
            None => Ok(()),
            Some(value) => Err(format!(
                "lost: {} written at {}",
                shown(&value.bytes),
                value.origin
            )),
        }
    }
}

fn parent(path: &str) -> String {
    path.rsplit_once('/').map_or("", |(dir, _)| dir).to_owned()
}

fn is_own(path: &str) -> bool {
    path.rsplit('/')
        .next()
        .unwrap_or(path)
        .starts_with(".ferrybox-")
}

fn deletes_folder(call: &Call) -> bool {
    call.op == Op::Request
        && call.path.starts_with("/2/files/delete_v2")
        && !call.path.contains("parent_rev")
}

fn approval_in(error: &str) -> Option<String> {
    let (_, id) = error.rsplit_once("--approve ")?;
    Some(id.trim().to_owned())
}

fn config_of(device: &Device, number: usize) -> Config {
    let text = format!(
        "[dropbox]\napp_key = \"standin-key\"\n[sync]\ncontent_dir = \"/content\"\n\
         mode = \"{}\"\ndevice_name = \"pi{number}\"\n{}\n[state]\ndir = \"{}\"\n",
        MODES[device.mode],
        FILTERS[device.filters],
        device.gateway.dir.display(),
    );
    Config::parse(&device.gateway.dir.join("config.toml"), &text).unwrap()
}
