//! Asynchronous jobs: batches that are carried out some time after they were asked for.
//!
//! How long a job of Dropbox's takes is not documented, and other calls are answered meanwhile.
//! Here a job is carried out once a number of further requests, of whatever kind, has come in;
//! until then its check answers `in_progress`. So a job also runs if nobody asks for it again,
//! and the account may have changed by then.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::account::Account;

/// Whether a batch is answered at once or becomes a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Launch {
    /// As the service was seen to do it: `delete_batch`, `copy_batch_v2` and `move_batch_v2` are
    /// jobs, of one entry as well; `create_folder_batch` is one if it is large or if that is asked
    /// for.
    #[default]
    AsDocumented,
    /// Every batch is `complete` at once, as the unions of all routes allow.
    AtOnce,
    /// Every batch is a job.
    Job,
}

/// What a job does when its time has come; returns its result without the tag.
pub(crate) type Work = Arc<dyn Fn(&mut Account) -> Value + Send + Sync>;

/// One job, known by its id.
#[derive(Clone)]
pub(crate) struct Job {
    /// The route that started it.
    pub(crate) route: &'static str,
    state: State,
}

#[derive(Clone)]
enum State {
    /// To be carried out when so many more requests have come.
    Open(u32, Work),
    Done(Value),
}

impl fmt::Debug for Job {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_open = matches!(self.state, State::Open(..));
        write!(formatter, "{} open {is_open}", self.route)
    }
}

impl Job {
    /// What its check is told.
    pub(crate) fn status(&self) -> Value {
        match &self.state {
            State::Open(..) => json!({".tag": "in_progress"}),
            State::Done(result) => result.clone(),
        }
    }
}

impl Account {
    /// Answers a batch, at once or with the id of a job.
    pub(crate) fn batch(&mut self, route: &'static str, usually_job: bool, work: Work) -> Value {
        let as_job = match self.launch {
            Launch::AsDocumented => usually_job,
            Launch::AtOnce => false,
            Launch::Job => true,
        };
        if !as_job {
            return complete(work(self));
        }
        let number = self.jobs.len() + 1;
        let id = format!("dbjid:{:08x}{number:08x}", self.seed);
        let state = match self.job_delay {
            0 => State::Done(complete(work(self))),
            delay => State::Open(delay.saturating_add(1), work),
        };
        self.jobs.insert(id.clone(), Job { route, state });
        json!({".tag": "async_job_id", "async_job_id": id})
    }

    /// Counts a request; the jobs whose time has come are carried out.
    pub(crate) fn tick(&mut self) {
        self.run_jobs(|left| {
            *left = left.saturating_sub(1);
            *left == 0
        });
    }

    /// Carries out all jobs that are open.
    pub(crate) fn finish_jobs(&mut self) {
        self.run_jobs(|_| true);
    }

    fn run_jobs(&mut self, mut is_due: impl FnMut(&mut u32) -> bool) {
        let mut due = Vec::new();
        for (id, job) in &mut self.jobs {
            if let State::Open(left, work) = &mut job.state
                && is_due(left)
            {
                due.push((id.clone(), Arc::clone(work)));
            }
        }
        for (id, work) in due {
            let result = complete(work(self));
            if let Some(job) = self.jobs.get_mut(&id) {
                job.state = State::Done(result);
            }
        }
    }
}

fn complete(mut result: Value) -> Value {
    result[".tag"] = json!("complete");
    result
}
