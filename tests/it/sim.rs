//! The simulator: one gateway or more in memory, one Dropbox, people on both sides, and faults.
//!
//! [`tree`] is a filesystem and [`medium`] what a power cut leaves of it, [`disk`] the agent's seam
//! over it, [`seam`] the point every call passes, [`machine`] the gateway made of these. [`plan`]
//! draws a history from a seed, [`history`] plays it, [`scene`] has the people and the faults and
//! checks what must hold, [`oracle`] knows what must not be lost, [`guards`] what may be deleted
//! unasked, [`excluded`] what may not travel, [`manners`] what is left alone, and [`access`] who
//! may read what.
//!
//! `SEED=17 cargo test sim` replays one history: a failure prints what it was shrunk to, and with
//! `-- --nocapture` every call is printed. `COUNT=500 FROM=1 cargo test -- --ignored sim_long`
//! plays any range.

mod access;
pub mod disk;
mod excluded;
mod files;
mod guards;
mod history;
mod intruder;
pub mod machine;
mod manners;
mod medium;
mod oracle;
mod plan;
pub mod random;
mod scene;
pub mod seam;
pub mod tree;

use std::panic::{AssertUnwindSafe, catch_unwind};

use history::{Tally, play};
use plan::{Plan, draw};

/// Histories of a normal test run.
const SEEDS: u64 = 300;
/// Histories of the long run.
const SEEDS_LONG: u64 = 20_000;

/// Plays a history twice; both must come to the same.
fn outcome(plan: &Plan) -> Tally {
    let once = played(plan, false);
    if once.violation.is_some() {
        return once;
    }
    let twice = played(plan, false);
    if once.trace == twice.trace {
        return once;
    }
    let violation = Some("the same seed took another course the second time".to_owned());
    Tally { violation, ..once }
}

/// A panic is a violation too.
fn played(plan: &Plan, keep_log: bool) -> Tally {
    catch_unwind(AssertUnwindSafe(|| play(plan, keep_log))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        Tally {
            violation: Some(format!("panic: {}", text.unwrap_or_default())),
            ..Tally::default()
        }
    })
}

/// Leaves out steps, and what happens within them, as long as the history still fails.
fn shrunk(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    let fails = |plan: &Plan| outcome(plan).violation.is_some();
    loop {
        let mut smaller = None;
        let mut size = plan.steps.len().div_ceil(2);
        'sizes: while size > 0 {
            for from in (0..plan.steps.len()).step_by(size) {
                let mut without = plan.clone();
                let to = (from + size).min(without.steps.len());
                without.steps.drain(from..to);
                if fails(&without) {
                    smaller = Some(without);
                    break 'sizes;
                }
            }
            size /= 2;
        }
        if smaller.is_none() {
            smaller = plan::simpler(&plan).into_iter().find(|plan| fails(plan));
        }
        match smaller {
            Some(smaller) => plan = smaller,
            None => return plan,
        }
    }
}

fn report(plan: &Plan) -> String {
    let plan = shrunk(plan);
    let tally = outcome(&plan);
    let mut text = format!(
        "seed {}: {}\nshrunk to:\n",
        plan.seed,
        tally.violation.unwrap_or_default()
    );
    for step in &plan.steps {
        text.push_str(&format!("  {step:?}\n"));
    }
    text
}

/// Plays many histories on all cores; the numbers, and the first failures.
fn run_many(from: u64, count: u64) {
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let next = std::sync::atomic::AtomicU64::new(from);
    let all = std::sync::Mutex::new((Tally::default(), Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if seed >= from + count {
                        return;
                    }
                    let tally = outcome(&draw(seed));
                    let mut all = all.lock().unwrap();
                    if tally.violation.is_some() {
                        all.1.push(seed);
                    }
                    all.0.add(&tally);
                }
            });
        }
    });
    let (sum, mut failed) = all.into_inner().unwrap();
    failed.sort_unstable();
    println!("{count} histories from seed {from}, each played twice: {sum}");
    if !failed.is_empty() {
        let texts: Vec<String> = failed
            .iter()
            .take(3)
            .map(|seed| report(&draw(*seed)))
            .collect();
        panic!(
            "{} of {count} histories failed: {failed:?}\n{}",
            failed.len(),
            texts.join("\n")
        );
    }
}

#[test]
fn sim_some_histories_lose_nothing_and_come_to_rest() {
    run_many(1, SEEDS);
}

#[test]
#[ignore = "minutes: the long run"]
fn sim_long() {
    let number = |name: &str, default| {
        std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
    };
    run_many(number("FROM", 1_000_000), number("COUNT", SEEDS_LONG));
}

#[test]
fn sim_replay() {
    let Ok(seed) = std::env::var("SEED") else {
        return;
    };
    let plan = draw(seed.parse().expect("SEED is a number"));
    let tally = played(&plan, true);
    for line in &tally.log {
        println!("{line}");
    }
    println!("{tally}");
    assert!(outcome(&plan).violation.is_none(), "{}", report(&plan));
}
