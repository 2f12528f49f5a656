//! Every pass of a scenario once more for each of its calls: the process dies there, or the power
//! fails there, and what runs afterwards must come to the same end.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashSet};
use std::hash::{Hash, Hasher};
use std::io::Write;

use dropbox_standin::Saved;
use ferrybox::config::Config;
use ferrybox::error::ExitCode;
use ferrybox::report::Counts;

use super::{Outcome, Wishes, World};
use crate::sim::machine::Memory;
use crate::sim::random::{Random, mix};
use crate::sim::seam::{Call, Script, Verdict};

/// Set in the environment of the test process that runs the scenarios this way; names the file
/// that gets one line of numbers per scenario.
pub const COUNTS_FILE: &str = "FERRYBOX_CRASH_COUNTS";

/// Runs after a crash, the first of which may be disturbed once more.
const RUNS_AFTER: usize = 2;

/// Numbers of one scenario.
#[derive(Default)]
pub struct Crashes {
    pub passes: u64,
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
    pub(super) fn crash_everywhere(&self, config: &Config, wishes: &Wishes) {
        let hook = self.dropbox.take_hook();
        let is_meddled = self.hook.borrow().is_some();
        let start = self.moment();
        self.go_back(&start);
        let first = self.pass(config, wishes, None).expect("nothing ends it");
        let calls = self.sim.as_ref().unwrap().gateway.seam.stop();
        let rest = self.come_to_rest(config, wishes, first);
        self.crashes.borrow_mut().passes += 1;
        let mut seen = HashSet::new();
        for call in 1..=calls {
            self.crashes.borrow_mut().points += 1;
            for way in [Way::Kill, Way::PowerCut, Way::Twice] {
                self.crash_at(&start, config, wishes, call, way);
                if !seen.insert(self.fingerprint()) {
                    // A call that only looked: after a kill, and so after any power cut, all is
                    // as it was one call earlier, and that has been tried.
                    match way {
                        Way::Kill => break,
                        Way::PowerCut => continue,
                        Way::Twice => {}
                    }
                }
                let first = match way {
                    Way::Twice => self.disturbed_pass(config, wishes, calls, call),
                    _ => self.pass(config, wishes, None).expect("nothing ends it"),
                };
                let after = self.come_to_rest(config, wishes, first);
                let context = format!("{way:?} at call {call} of {calls}");
                self.check_rest(&rest, &after, is_meddled, &context);
            }
        }
        self.go_back(&start);
        self.dropbox.put_hook(hook);
    }

    fn crash_at(&self, start: &Moment, config: &Config, wishes: &Wishes, at: u64, way: Way) {
        self.go_back(start);
        let died = self.pass(config, wishes, Some(die_at(at))).is_none();
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
    fn disturbed_pass(&self, config: &Config, wishes: &Wishes, calls: u64, call: u64) -> Outcome {
        let at = 1 + mix(call) % calls;
        match self.pass(config, wishes, Some(die_at(at))) {
            Some(outcome) => outcome,
            None => {
                self.crashes.borrow_mut().compound += 1;
                self.sim
                    .as_ref()
                    .unwrap()
                    .gateway
                    .lose_power(&mut Random::new(call));
                self.pass(config, wishes, None).expect("nothing ends it")
            }
        }
    }

    /// More passes; what a person has approved is approved again under its new id.
    fn come_to_rest(&self, config: &Config, wishes: &Wishes, first: Outcome) -> Rest {
        let mut wishes = wishes.clone();
        let mut last = first;
        for _ in 0..RUNS_AFTER {
            self.clock.advance(10);
            if last.exit == ExitCode::Halted && !wishes.approved.is_empty() {
                let id = last.error.rsplit("--approve ").next().unwrap_or_default();
                wishes.approved.push(id.trim().to_owned());
            }
            last = self.pass(config, &wishes, None).expect("nothing ends it");
        }
        Rest {
            local: self.local_tree(),
            remote: self.remote_tree(),
            exit: last.exit,
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

fn die_at(at: u64) -> Script {
    Box::new(move |call: &Call| {
        if call.number == at {
            Verdict::Die
        } else {
            Verdict::Go
        }
    })
}

/// Hands the numbers of a scenario to the process that counts.
pub fn tell(crashes: &Crashes) {
    let Some(file) = std::env::var_os(COUNTS_FILE) else {
        return;
    };
    let name = std::thread::current().name().unwrap_or("?").to_owned();
    let line = format!(
        "{name} {} {} {} {}\n",
        crashes.passes, crashes.points, crashes.deaths, crashes.compound
    );
    let mut file = std::fs::File::options().append(true).open(file).unwrap();
    file.write_all(line.as_bytes()).unwrap();
}
