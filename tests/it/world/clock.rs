//! The clock of a world, which only moves when it is told to.

use std::cell::{Cell, RefCell};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ferrybox::io::host::Host;

use crate::sim::seam::{Op, Seam};

/// The machine's clock, some seconds ahead, so that files a test has just written are not fresh;
/// waiting passes no time of the test's.
pub struct Clock {
    state: RefCell<ClockState>,
    /// The clock of a machine in memory.
    seam: Option<Seam>,
    /// How long each upload takes.
    pub upload_takes_s: Cell<i128>,
}

/// What a clock remembers.
#[derive(Clone)]
pub struct ClockState {
    ahead_s: i128,
    files_stay_fresh: bool,
    waited: Duration,
    waits_take_time: bool,
    randomness: u64,
}

impl Default for Clock {
    fn default() -> Clock {
        Clock {
            state: RefCell::new(ClockState {
                ahead_s: 10,
                files_stay_fresh: false,
                waited: Duration::ZERO,
                waits_take_time: false,
                randomness: 1,
            }),
            seam: None,
            upload_takes_s: Cell::default(),
        }
    }
}

impl Clock {
    pub fn of(seam: &Seam) -> Clock {
        let clock = Clock {
            seam: Some(seam.clone()),
            ..Clock::default()
        };
        clock.state.borrow_mut().ahead_s = 0;
        clock
    }

    pub fn state(&self) -> ClockState {
        self.state.borrow().clone()
    }

    pub fn set_state(&self, state: &ClockState) {
        *self.state.borrow_mut() = state.clone();
    }

    /// In memory both clocks are one: what was written before a pass is made older.
    pub fn let_files_age(&self) {
        if let (Some(seam), false) = (&self.seam, self.state.borrow().files_stay_fresh) {
            seam.pass_time(10_000_000_000);
        }
    }

    pub fn advance(&self, seconds: i128) {
        self.state.borrow_mut().ahead_s += seconds;
    }

    /// The machine's own time: what was just written is fresh.
    pub fn set_to_now(&self) {
        let mut state = self.state.borrow_mut();
        state.ahead_s = 0;
        state.files_stay_fresh = true;
    }

    /// From now on the wall clock moves while something is waited for, as it does for people.
    pub fn let_waits_take_time(&self) {
        self.state.borrow_mut().waits_take_time = true;
    }

    pub fn waited(&self) -> Duration {
        self.state.borrow().waited
    }
}

impl Host for Clock {
    fn is_root(&self) -> bool {
        // In memory anybody may.
        self.seam.is_some() || rustix::process::geteuid().is_root()
    }

    fn now_ns(&self) -> i128 {
        let now = match &self.seam {
            Some(seam) => seam.now_ns(),
            None => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
                since.as_nanos() as i128
            }
        };
        let state = self.state.borrow();
        let waited = match state.waits_take_time {
            true => state.waited.as_nanos() as i128,
            false => 0,
        };
        now + state.ahead_s * 1_000_000_000 + waited
    }

    fn elapsed(&self) -> Duration {
        self.waited()
    }

    fn sleep(&self, time: Duration) {
        if let Some(seam) = &self.seam {
            // Sleeping cannot fail, but the process may end meanwhile.
            let _ = seam.call(Op::Sleep, "host", &format!("{time:?}"));
        }
        self.state.borrow_mut().waited += time;
    }

    fn random(&self, bytes: &mut [u8]) {
        let randomness = &mut self.state.borrow_mut().randomness;
        for byte in bytes {
            let next = randomness.wrapping_mul(6_364_136_223_846_793_005);
            *randomness = next.wrapping_add(1_442_695_040_888_963_407);
            *byte = (*randomness >> 56) as u8;
        }
    }
}
