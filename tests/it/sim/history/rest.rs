//! The end of a history, with the faults gone: it comes to rest, and all sides are equal.

use dropbox_standin::Habits;
use ferrybox::core::path::fold;
use ferrybox::error::ExitCode;
use ferrybox::report::Counts;

use super::{Fingerprint, History, Outcome, approval_in};
use crate::sim::access::remove_neighbours;
use crate::sim::files::Files;
use crate::sim::intruder::leave;
use crate::sim::oracle::shown;
use crate::sim::plan::{Run, Side, Way};

/// Runs of all gateways that change no file before they change nothing at all.
const QUIET_ROUNDS_MAX: usize = 2;
/// A day and an hour.
const DAY_NS: u64 = 25 * 3600 * 1_000_000_000;
/// Runs of all gateways until nothing changes any more.
const ROUNDS_MAX: usize = 6;

/// What keeps a pass from coming to rest.
fn forget_bad_habits(habits: &mut Habits) {
    habits.lag = 0;
    habits.empty_pages = 0;
    habits.refuses_beyond_bmp = false;
    habits.refuses_in_new_folders = false;
    habits.app_folder_is_gone = false;
}

impl History {
    /// Faults off: passes until nothing changes, then one that does nothing at all.
    pub(super) fn settle_down(&mut self, when: &str) -> Result<(), String> {
        self.dropbox.set_quota(1 << 31);
        self.dropbox.clear_faults();
        self.dropbox.change_habits(forget_bad_habits);
        self.scene.lock().unwrap().heal();
        for (disk, device) in self.devices.iter().enumerate() {
            self.scene.lock().unwrap().put_back(disk);
            // What was refused is offered once a day.
            device.gateway.seam.pass_time(DAY_NS);
            remove_neighbours(&device.gateway.content);
            leave(&device.gateway.content);
            let mut tree = device.gateway.content.tree();
            tree.capacity = 1 << 34;
            tree.allow_all();
            tree.mount_again();
        }
        let (mut rounds, mut quiet_rounds) = (0, 0);
        loop {
            let (mut has_changed, mut has_written) = (false, false);
            let mut last = Vec::new();
            for side in 1..=self.devices.len() {
                let before = Fingerprint::of(&self.devices[side - 1]);
                let outcome = self.plain_run(side, when)?;
                has_changed |= outcome.counts != Counts::default();
                has_written |= Fingerprint::of(&self.devices[side - 1]) != before;
                last.push(outcome.counts);
            }
            self.check_safety()?;
            // A pass that finds its index damaged only notes that all is to be listed again.
            if !has_changed && (!has_written || quiet_rounds == QUIET_ROUNDS_MAX) {
                break;
            }
            if !has_changed {
                quiet_rounds += 1;
                continue;
            }
            rounds += 1;
            let bound = if self.devices.len() == 1 {
                2
            } else {
                ROUNDS_MAX
            };
            if rounds > bound {
                return Err(format!(
                    "{when}: no fix point after {rounds} rounds: {last:?}"
                ));
            }
        }
        for side in 1..=self.devices.len() {
            let before = Fingerprint::of(&self.devices[side - 1]);
            let outcome = self.plain_run(side, when)?;
            if outcome.counts != Counts::default() {
                return Err(format!("{when}: the idle pass did {:?}", outcome.counts));
            }
            if !outcome.problems.is_empty() {
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
                    Some(id) => approved = vec![id],
                    None => return Err(format!("{when}: no way out of: {}", outcome.error)),
                },
                // What was approved is done in part, or is another list now.
                Some(ExitCode::Usage) => {
                    approved = approval_in(&outcome.error).into_iter().collect();
                }
                exit => return Err(format!("{when}: ended with {exit:?}: {}", outcome.error)),
            }
        }
        Err(format!("{when}: halts again and again"))
    }

    /// Both sides hold the same, but for what is reported as a problem.
    pub(super) fn check_equal(&mut self) -> Result<(), String> {
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
            let clashes = |text: &String| {
                text.contains("for the same name as") || text.contains("disk is mounted on")
            };
            if !outcome.problems.is_empty() {
                // Only names that Dropbox cannot tell apart keep anything from being settled, and
                // disks, which make no way for a file.
                if !outcome.problems.iter().any(clashes) {
                    return Err(format!(
                        "gateway {side} is left with {:?}",
                        outcome.problems
                    ));
                }
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
