//! The binary killed at its system calls: it heals by running again.
//!
//! Each point is a history begun anew. The pass is killed right before one of its calls takes
//! effect; every file must be whole at that instant, and the next passes must come to what the
//! undisturbed history comes to.

use std::time::Instant;

use crate::gateway::{fails, say};
use crate::histories::{DELETES, FIRST, History, TWO_WAY};
use crate::needs;
use crate::strace::{Sample, killed_at, record, shortest};

/// A pass may still have a few calls less than the shortest one that was recorded: on a busy
/// machine up to a fifth of the points lie behind its end.
const TRIES: usize = 5;

#[test]
fn a_first_sync_killed_at_any_call_heals() {
    kill(&FIRST);
}

#[test]
fn a_two_way_sync_killed_at_any_call_heals() {
    kill(&TWO_WAY);
}

#[test]
fn a_delete_pass_killed_at_any_call_heals() {
    kill(&DELETES);
}

fn kill(history: &History) {
    let name = history.name;
    if !needs::has(&format!("kills, {name}"), needs::strace()) {
        return;
    }
    let started = Instant::now();
    let wanted = history.undisturbed();
    let calls = shortest(|| record(&history.begin()));
    let sample = Sample::chosen();
    let points = sample.of(&calls);
    let (mut failures, mut missed) = (0, Vec::new());
    for (number, call) in &points {
        let when = format!("{name}, killed at call {number}, {}", call.text);
        failures += usize::from(fails(|| {
            let killed = (0..TRIES).find_map(|_| {
                let gateway = history.begin();
                let was_killed = killed_at(&gateway, call).was_killed;
                was_killed.then_some(gateway)
            });
            let Some(gateway) = killed else {
                missed.push(when.clone());
                return;
            };
            wanted.check_whole(&gateway.trees(), &when);
            wanted.check_heals(&gateway, &when);
        }));
    }
    say(&format!(
        "kills, {name}: {} calls recorded, {} points run, {} of them after the end, {:.1} s",
        calls.len(),
        points.len(),
        missed.len(),
        started.elapsed().as_secs_f32()
    ));
    assert!(!points.is_empty());
    assert_eq!(failures, 0, "points failed");
    assert!(missed.len() <= points.len() / 5, "not reached: {missed:#?}");
}
