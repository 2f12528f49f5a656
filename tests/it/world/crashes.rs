//! Every pass of a scenario once more for each of its calls: the process dies there, or the power
//! fails there, and what runs afterwards must come to the same end.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashSet};
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::sync::Arc;

use dropbox_standin::Saved;
use ferrybox::config::Config;
use ferrybox::error::ExitCode;
use ferrybox::report::Counts;

use super::{Outcome, SyncArgs, World, approval_in};
use crate::sim::machine::Memory;
use crate::sim::random::{Random, mix};
use crate::sim::seam::{Call, Script, Verdict};

/// Set in the environment of the test process that runs the scenarios this way; names the file
/// that gets one line of numbers per scenario.
pub const COUNTS_FILE: &str = "FERRYBOX_CRASH_COUNTS";

/// Set in the environment, even the longest passes are tried with a crash at each of their calls.
const ALL: &str = "FERRYBOX_CRASHES_ALL";

/// Passes of up to this many calls are tried with a crash at every call, unless all are asked for.
const CALLS_TRIED: u64 = 250;
/// Calls at which longer passes are cut short.
const POINTS_OF_LONG: u64 = 100;

/// Runs after a crash, the first of which may be disturbed once more.
const RUNS_AFTER: usize = 2;

/// Numbers of one scenario.
#[derive(Default)]
pub struct Crashes {
    pub passes: u64,
    /// Their calls.
    pub calls: u64,
    /// Calls at which a pass was cut short: by a kill at each, and where a call had changed
    /// anything since the last one, by power cuts.
    pub points: u64,
    /// Runs cut short, all variants.
    pub deaths: u64,
    /// Of them, cut short once more while they recovered.
    pub compound: u64,
}

/// Both sides, with the exit code and the counts of the last pass.
#[derive(Debug, PartialEq)]
struct Rest {
    local: BTreeMap<String, String>,
    remote: BTreeMap<String, String>,
    exit: ExitCode,
    /// Their paths: the texts may hold the ids of requests.
    problems: Vec<String>,
    counts: Counts,
}

/// A world at one moment.
struct Moment {
    memory: Memory,
    account: Saved,
    is_missing: bool,
    clock: super::ClockState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Kill,
    PowerCut,
    /// A power cut, and another while the next pass recovers.
    Twice,
}

impl World {
    fn moment(&self) -> Moment {
        let gateway = &self.sim.as_ref().unwrap().gateway;
        Moment {
            memory: gateway.memory(),
            account: self.dropbox.saved(),
            is_missing: gateway.content_is_missing.get(),
            clock: self.clock.state(),
        }
    }

    fn go_back(&self, moment: &Moment) {
        let gateway = &self.sim.as_ref().unwrap().gateway;
        gateway.remember(&moment.memory);
        gateway.content_is_missing.set(moment.is_missing);
        self.dropbox.restore(&moment.account);
        self.clock.set_state(&moment.clock);
        if let Some(hook) = &*self.hook.borrow() {
            self.dropbox.on_request(hook());
        }
    }

    /// Tries every crash of the pass that is about to run, and leaves the world as it was.
    pub(super) fn crash_everywhere(&self, config: &Config, args: &SyncArgs) {
        let hook = self.dropbox.take_hook();
        let is_meddled = self.hook.borrow().is_some();
        let start = self.moment();
        self.go_back(&start);
        let first = self.pass(config, args, None).expect("nothing ends it");
        let calls = self.sim.as_ref().unwrap().gateway.seam.stop();
        let rest = self.come_to_rest(config, args, first);
        self.crashes.borrow_mut().passes += 1;
        let mut seen = HashSet::new();
        self.crashes.borrow_mut().calls += calls;
        for call in points(calls) {
            self.crashes.borrow_mut().points += 1;
            for way in [Way::Kill, Way::PowerCut, Way::Twice] {
                self.crash_at(&start, config, args, call, way);
                let fingerprint = match way {
                    Way::Kill => self.quick_fingerprint(),
                    Way::PowerCut | Way::Twice => self.fingerprint(),
                };
                if !seen.insert(fingerprint) {
                    // A call that only looked: after a kill, and so after any power cut, all is
                    // as it was one call earlier, and that has been tried.
                    match way {
                        Way::Kill => break,
                        Way::PowerCut => continue,
                        Way::Twice => {}
                    }
                }
                let first = match way {
                    Way::Twice => self.disturbed_pass(config, args, calls, call),
                    _ => self.pass(config, args, None).expect("nothing ends it"),
                };
                let after = self.come_to_rest(config, args, first);
                let context = format!("{way:?} at call {call} of {calls}");
                self.check_rest(&rest, &after, is_meddled, &context);
            }
        }
        self.go_back(&start);
        if let Some(hook) = hook {
            self.dropbox.on_request(hook);
        }
    }

    fn crash_at(&self, start: &Moment, config: &Config, args: &SyncArgs, at: u64, way: Way) {
        self.go_back(start);
        let died = self.pass(config, args, Some(die_at(at))).is_none();
        assert!(
            died,
            "the same pass took another course: it made fewer than {at} calls"
        );
        self.crashes.borrow_mut().deaths += 1;
        if way != Way::Kill {
            let mut random = Random::new(mix(at ^ way as u64));
            self.sim.as_ref().unwrap().gateway.lose_power(&mut random);
        }
    }

    /// A pass that is cut short as well, somewhere, and the one after it.
    fn disturbed_pass(&self, config: &Config, args: &SyncArgs, calls: u64, call: u64) -> Outcome {
        let at = 1 + mix(call) % calls;
        match self.pass(config, args, Some(die_at(at))) {
            Some(outcome) => outcome,
            None => {
                self.crashes.borrow_mut().compound += 1;
                self.sim
                    .as_ref()
                    .unwrap()
                    .gateway
                    .lose_power(&mut Random::new(call));
                self.pass(config, args, None).expect("nothing ends it")
            }
        }
    }

    /// More passes; what a person has approved is approved again under its new id.
    fn come_to_rest(&self, config: &Config, args: &SyncArgs, first: Outcome) -> Rest {
        let mut args = args.clone();
        let mut last = first;
        for _ in 0..RUNS_AFTER {
            self.clock.advance(10);
            // Each is for one pass.
            let ids = match args.kept.is_empty() {
                true => &mut args.approved,
                false => &mut args.kept,
            };
            if !ids.is_empty() {
                *ids = approval_in(&last.error).into_iter().collect();
            }
            last = self.pass(config, &args, None).expect("nothing ends it");
        }
        Rest {
            local: short(self.hands.tree()),
            remote: short(self.remote_files()),
            exit: last.exit,
            problems: last.problems.into_keys().collect(),
            counts: last.counts,
        }
    }

    fn check_rest(&self, expected: &Rest, found: &Rest, is_meddled: bool, context: &str) {
        if !is_meddled {
            assert_eq!(found, expected, "after {context}");
            return;
        }
        // Somebody edits in the middle: what comes of it depends on the moment, but every content
        // that is there without the crash is there with it.
        let contents = |rest: &Rest| {
            let all = rest.local.values().chain(rest.remote.values());
            all.cloned().collect::<HashSet<String>>()
        };
        let missing: Vec<_> = contents(expected)
            .difference(&contents(found))
            .cloned()
            .collect();
        assert_eq!(missing, [""; 0], "after {context}: {found:#?}");
        assert_eq!(found.counts, expected.counts, "after {context}");
    }

    /// The same for passes that began alike: nothing can differ while nothing was written.
    fn quick_fingerprint(&self) -> u64 {
        let gateway = &self.sim.as_ref().unwrap().gateway;
        let mut hasher = DefaultHasher::new();
        gateway.content.tree().writes.hash(&mut hasher);
        gateway.state.tree().writes.hash(&mut hasher);
        gateway.index_bytes().hash(&mut hasher);
        self.dropbox.position().hash(&mut hasher);
        hasher.finish()
    }

    /// What a later pass can see of this one.
    fn fingerprint(&self) -> u64 {
        let gateway = &self.sim.as_ref().unwrap().gateway;
        let mut hasher = DefaultHasher::new();
        for disk in [&gateway.content, &gateway.state] {
            let tree = disk.tree();
            (tree.files(), tree.writes).hash(&mut hasher);
        }
        gateway.index_bytes().hash(&mut hasher);
        self.dropbox.position().hash(&mut hasher);
        hasher.finish()
    }
}

/// The calls to die at: all of them, or some of a very long pass unless all are asked for.
fn points(calls: u64) -> impl Iterator<Item = u64> {
    let is_all = std::env::var_os(ALL).is_some();
    let step = if is_all || calls <= CALLS_TRIED {
        1
    } else {
        calls.div_ceil(POINTS_OF_LONG)
    };
    (1..=calls).filter(move |call| (calls - call).is_multiple_of(step))
}

fn die_at(at: u64) -> Script {
    Box::new(move |call: &Call| {
        if call.number == at {
            Verdict::Die
        } else {
            Verdict::Go
        }
    })
}

/// A tree with large contents told by their hashes; our own files left out.
fn short(tree: BTreeMap<String, Arc<Vec<u8>>>) -> BTreeMap<String, String> {
    let text = |bytes: &[u8]| {
        if bytes.len() < 1000 {
            return String::from_utf8_lossy(bytes).into_owned();
        }
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        format!("{} bytes, {:x}", bytes.len(), hasher.finish())
    };
    tree.into_iter()
        .filter(|(path, _)| !path.contains(".ferrybox"))
        .map(|(path, bytes)| (path, text(&bytes)))
        .collect()
}

/// Hands the numbers of a scenario to the process that counts.
pub fn tell(crashes: &Crashes) {
    let Some(file) = std::env::var_os(COUNTS_FILE) else {
        return;
    };
    let name = std::thread::current().name().unwrap_or("?").to_owned();
    let line = format!(
        "{name} {} {} {} {} {}\n",
        crashes.passes, crashes.calls, crashes.points, crashes.deaths, crashes.compound
    );
    let mut file = std::fs::File::options().append(true).open(file).unwrap();
    file.write_all(line.as_bytes()).unwrap();
}
