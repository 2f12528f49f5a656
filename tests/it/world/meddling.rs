//! Machines in memory on which something happens between any two calls of a pass.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use dropbox_standin::Standin;
use ferrybox::report::Counts;

use super::{Outcome, SyncArgs, World};
use crate::sim::disk::SimDisk;
use crate::sim::random::Random;
use crate::sim::seam::{Call, Op, Script, Verdict};
use crate::sim::tree::Tree;

impl World {
    /// A world whose gateway is in memory; no crashes are tried on it.
    pub fn in_memory(mode: &'static str) -> World {
        World::made(mode, Standin::new(), true)
    }

    /// The same, but each pass is tried with a crash at each of its calls first.
    pub fn crashing(mode: &'static str) -> World {
        let mut world = World::in_memory(mode);
        world.tries_crashes = true;
        world
    }

    /// The content dir of a machine in memory.
    pub fn disk(&self) -> SimDisk {
        self.sim.as_ref().unwrap().gateway.content.clone()
    }

    /// Where the index of a machine in memory is.
    pub fn index_file(&self) -> PathBuf {
        self.sim.as_ref().unwrap().gateway.index_file()
    }

    /// A pass in which something happens right before the first call of this kind on this path of
    /// the content dir.
    #[track_caller]
    pub fn sync_but_before(
        &self,
        op: Op,
        path: &'static str,
        change: impl FnOnce(&SimDisk) + Send + 'static,
    ) -> Outcome {
        let is_it = move |call: &Call| call.on == "content" && call.op == op && call.path == path;
        let (outcome, happened) = self.sync_but_when(is_it, change);
        assert!(happened, "there was no such call: {outcome:?}");
        outcome
    }

    /// A pass in which something happens right before what came down is forced to the medium.
    #[track_caller]
    pub fn sync_but_before_sync(&self, change: impl FnOnce(&SimDisk) + Send + 'static) -> Outcome {
        let is_sync = |call: &Call| {
            call.on == "content" && matches!(call.op, Op::SyncFile | Op::SyncFilesystem)
        };
        let (outcome, happened) = self.sync_but_when(is_sync, change);
        assert!(happened, "nothing was synced: {outcome:?}");
        outcome
    }

    /// A pass in which something happens right before the first call that is picked; says whether
    /// there was one.
    pub fn sync_but_when(
        &self,
        is_it: impl FnMut(&Call) -> bool + Send + 'static,
        change: impl FnOnce(&SimDisk) + Send + 'static,
    ) -> (Outcome, bool) {
        self.clock.let_files_age();
        let (script, happened) = script(self.disk(), is_it, change);
        let outcome = self.pass(&self.config(), &SyncArgs::default(), Some(script));
        let outcome = outcome.expect("nothing ends it");
        (outcome, happened.load(Ordering::Relaxed))
    }

    /// A pass in which every such call on the content dir fails.
    pub fn sync_without(&self, op: fn(Op) -> bool, kind: std::io::ErrorKind) -> Outcome {
        self.clock.let_files_age();
        let script: Script = Box::new(move |call| match call.on == "content" && op(call.op) {
            true => Verdict::Fail(kind),
            false => Verdict::Go,
        });
        let outcome = self.pass(&self.config(), &SyncArgs::default(), Some(script));
        outcome.expect("nothing ends it")
    }

    /// A pass in which the call of this number on the content dir fails, the first being 0; nothing
    /// if there is none of this number.
    pub fn sync_failing_at(&self, number: u32) -> Option<Outcome> {
        self.clock.let_files_age();
        let count = Arc::new(AtomicU32::new(0));
        let counted = count.clone();
        let script: Script = Box::new(move |call| {
            let is_one = call.on == "content";
            match is_one && counted.fetch_add(1, Ordering::Relaxed) == number {
                true => Verdict::Fail(std::io::ErrorKind::PermissionDenied),
                false => Verdict::Go,
            }
        });
        let outcome = self.pass(&self.config(), &SyncArgs::default(), Some(script));
        (count.load(Ordering::Relaxed) > number).then(|| outcome.expect("nothing ends it"))
    }

    /// A pass that is cut off by a power failure right before the first call that is picked.
    #[track_caller]
    pub fn cut_off_before(&self, mut is_it: impl FnMut(&Call) -> bool + Send + 'static, seed: u64) {
        self.clock.let_files_age();
        let script: Script = Box::new(move |call| match is_it(call) {
            true => Verdict::Die,
            false => Verdict::Go,
        });
        let outcome = self.pass(&self.config(), &SyncArgs::default(), Some(script));
        assert!(outcome.is_none(), "there was no such call: {outcome:?}");
        self.lose_power(seed);
    }

    /// The same during anything else that goes to this machine's disks.
    pub fn meddled<T>(
        &self,
        is_it: impl FnMut(&Call) -> bool + Send + 'static,
        change: impl FnOnce(&SimDisk) + Send + 'static,
        work: impl FnOnce() -> T,
    ) -> T {
        let seam = &self.sim.as_ref().unwrap().gateway.seam;
        let (script, happened) = script(self.disk(), is_it, change);
        seam.start(Some(script));
        let done = work();
        seam.stop();
        assert!(happened.load(Ordering::Relaxed));
        done
    }

    /// The power fails between two passes.
    pub fn lose_power(&self, seed: u64) {
        let gateway = &self.sim.as_ref().unwrap().gateway;
        gateway.lose_power(&mut Random::new(seed));
    }

    /// The clocks of a machine in memory move on.
    pub fn pass_time(&self, ns: i64) {
        let seam = &self.sim.as_ref().unwrap().gateway.seam;
        seam.pass_time(ns.unsigned_abs());
    }

    /// They move on to the beginning of a second.
    pub fn pass_time_to_whole_second(&self) {
        let seam = &self.sim.as_ref().unwrap().gateway.seam;
        let left = 1_000_000_000 - seam.now_ns().rem_euclid(1_000_000_000);
        seam.pass_time(left as u64);
    }

    /// How often a pass that finds nothing to do reads from a file of the content dir.
    pub fn reads_of_a_pass(&self) -> u32 {
        let count = Arc::new(AtomicU32::new(0));
        let counted = count.clone();
        let script: Script = Box::new(move |call| {
            let is_one = call.on == "content" && call.op == Op::Read && call.path == "f";
            counted.fetch_add(u32::from(is_one), Ordering::Relaxed);
            Verdict::Go
        });
        let outcome = self.pass(&self.config(), &SyncArgs::default(), Some(script));
        assert_eq!(outcome.expect("nothing ends it").counts, Counts::default());
        count.load(Ordering::Relaxed)
    }

    /// A pass, and how often it reads from a file of the content dir.
    pub fn sync_and_count_reads(&self) -> (Outcome, u32) {
        let count = Arc::new(AtomicU32::new(0));
        let counted = count.clone();
        let script: Script = Box::new(move |call| {
            let is_one =
                call.on == "content" && call.op == Op::Read && call.path != ".ferrybox-root";
            counted.fetch_add(u32::from(is_one), Ordering::Relaxed);
            Verdict::Go
        });
        let outcome = self.pass(&self.config(), &SyncArgs::default(), Some(script));
        let outcome = outcome.expect("nothing ends it");
        (outcome, count.load(Ordering::Relaxed))
    }

    /// Mounts an empty disk on a folder.
    pub fn mount(&self, path: &str) {
        self.disk().tree().mount(path, 77).unwrap();
    }
}

/// Lets something happen once, and says when it has.
fn script(
    disk: SimDisk,
    mut is_it: impl FnMut(&Call) -> bool + Send + 'static,
    change: impl FnOnce(&SimDisk) + Send + 'static,
) -> (Script, Arc<AtomicBool>) {
    let mut change = Some(change);
    let happened = Arc::new(AtomicBool::new(false));
    let happens = happened.clone();
    let script = Box::new(move |call: &Call| {
        if change.is_some()
            && is_it(call)
            && let Some(change) = change.take()
        {
            happens.store(true, Ordering::Relaxed);
            change(&disk);
        }
        Verdict::Go
    });
    (script, happened)
}

impl World {
    /// What `work` does is done with another runtime directory, which is empty.
    pub fn elsewhere<T>(&self, work: impl FnOnce() -> T) -> T {
        let gateway = &self.sim.as_ref().unwrap().gateway;
        let (before, dir) = (gateway.runtime.saved(), PathBuf::from("/run/another"));
        let dir = gateway.runtime_dir.replace(dir);
        *gateway.runtime.tree() = Tree::new(0);
        let done = work();
        gateway.runtime.restore(&before);
        gateway.runtime_dir.replace(dir);
        done
    }
}
