//! What a failed call means, and when it is tried again.
//!
//! Broken connections, slow answers and server faults get three tries, connections that are not
//! made no more than a minute; a rate limit is obeyed for as long as the pass may wait; everything
//! else is answered at once.

use std::cell::Cell;
use std::io;
use std::time::Duration;

use crate::dropbox::wire::ApiError;
use crate::error::Error;
use crate::io::deadline::Deadline;
use crate::io::host::Host;
use crate::report::ACTION;
use crate::words::counted;

/// Time in which all of Dropbox comes to know what was written: until then parts of it may show
/// what was before.
pub const LAG_TIME: Duration = Duration::from_millis(1500);

/// Tries in all for a broken connection or a server fault.
pub(super) const TRIES_MAX: u32 = 3;
/// Time spent on connections that were never made after which none is tried again.
const OFFLINE_AFTER: Duration = Duration::from_secs(60);
/// Access tokens asked for within one call.
const REFRESHES_MAX: u32 = 2;
/// Time after which a refusal of a token that should be good is asked for again.
const TOKEN_LAG: Duration = Duration::from_secs(5);
/// Time one pass spends waiting for rate limits.
const RATE_WAIT_MAX: Duration = Duration::from_secs(600);
/// Longest single wait for a rate limit without a usable Retry-After.
const BACKOFF_MAX_S: u64 = 30;

/// Why one attempt failed.
#[derive(Debug)]
pub enum Failure {
    /// There was no connection.
    Unreachable(String),
    /// The connection broke, or no answer came on it.
    Broken(String),
    /// The server failed, or its answer was cut short or made no sense.
    ServerError(String),
    /// Dropbox asks to slow down, for that many seconds if it said so.
    RateLimited(Option<u64>),
    /// The access token is no longer good.
    TokenExpired,
    /// It may be so: the answer, told by the text, does not say.
    TokenDoubtful(String),
    /// The route's own error.
    Refused(ApiError),
    /// Our side of a streamed body failed.
    Local(io::Error),
    /// Trying again cannot help.
    Final(Error),
}

/// Why a call failed for good.
#[derive(Debug)]
pub enum CallError {
    /// The route's own error: the caller knows what it means.
    Refused(ApiError),
    /// The server could not answer this call, or its connection broke again and again; others may
    /// fare better.
    ServerError(String),
    /// Our side of a streamed body failed.
    Local(io::Error),
    /// The pass ends.
    End(Error),
}

impl CallError {
    /// The error of a call whose refusal nobody expected.
    pub fn into_error(self, what: &str) -> Error {
        match self {
            CallError::Refused(error) => {
                Error::Failed(format!("Dropbox refused to {what}: {}", error.text()))
            }
            CallError::Local(error) => Error::Failed(format!("cannot {what}: {error}")),
            CallError::ServerError(text) => Error::TryLater(text),
            CallError::End(error) => error,
        }
    }
}

/// What one pass may still wait.
pub struct Retry<'a> {
    host: &'a dyn Host,
    deadline: &'a Deadline<'a>,
    rate_waited: Cell<Duration>,
    tries_max: Cell<u32>,
}

impl<'a> Retry<'a> {
    /// Nothing has been waited yet.
    pub fn new(host: &'a dyn Host, deadline: &'a Deadline<'a>) -> Retry<'a> {
        Retry {
            host,
            deadline,
            rate_waited: Cell::new(Duration::ZERO),
            tries_max: Cell::new(TRIES_MAX),
        }
    }

    /// From now on a call that fails is not tried again, or is again.
    pub fn try_once(&self, once: bool) {
        self.tries_max.set(if once { 1 } else { TRIES_MAX });
    }

    fn sleep(&self, wait: Duration, why: &str) -> Result<(), CallError> {
        self.deadline
            .sleep_saying(wait, why)
            .map_err(CallError::End)
    }

    /// Waits after the nth failure.
    fn back_off(&self, failures: u32, why: &str) -> Result<(), CallError> {
        self.sleep(jittered(self.host, Duration::from_secs(1 << failures)), why)
    }

    /// Waits until all parts of Dropbox know what one of them has given out, some seconds.
    ///
    /// # Errors
    /// [`CallError::End`] if the pass has no time for it.
    pub fn wait_for_tokens(&self) -> Result<(), CallError> {
        let wait = jittered(self.host, TOKEN_LAG);
        self.sleep(
            wait,
            "Dropbox does not know its own access token yet; asking again",
        )
    }

    /// Repeats `attempt` until it succeeds, is refused, or has been repeated long enough. `refresh`
    /// is asked for a new access token, and once more after a while.
    ///
    /// # Errors
    /// The [`CallError`] that says how it ended.
    pub fn run<T>(
        &self,
        refresh: &dyn Fn() -> Result<(), Error>,
        attempt: &mut dyn FnMut() -> Result<T, Failure>,
    ) -> Result<T, CallError> {
        self.run_up_to(self.tries_max.get(), refresh, attempt)
    }

    /// The same, of so many tries.
    ///
    /// # Errors
    /// As [`Retry::run`].
    pub fn run_up_to<T>(
        &self,
        tries_max: u32,
        refresh: &dyn Fn() -> Result<(), Error>,
        attempt: &mut dyn FnMut() -> Result<T, Failure>,
    ) -> Result<T, CallError> {
        let host = self.host;
        let mut offline = Duration::ZERO;
        let (mut broken, mut limited) = (0, 0);
        let mut refreshes = 0;
        loop {
            self.deadline.check().map_err(CallError::End)?;
            let start = host.elapsed();
            let attempted = match attempt() {
                // Asked for once; after that it is an answer that says nothing.
                Err(Failure::TokenDoubtful(text)) if refreshes > 0 => {
                    Err(Failure::ServerError(text))
                }
                Err(Failure::TokenDoubtful(_)) => Err(Failure::TokenExpired),
                attempted => attempted,
            };
            match attempted {
                Ok(value) => return Ok(value),
                Err(Failure::Refused(error)) => return Err(CallError::Refused(error)),
                Err(Failure::Local(error)) => return Err(CallError::Local(error)),
                Err(Failure::Final(error)) => return Err(CallError::End(error)),
                Err(Failure::TokenExpired) => {
                    if refreshes == REFRESHES_MAX {
                        return Err(CallError::End(Error::Authentication(
                            "Dropbox refuses the access token it has just given".to_owned(),
                        )));
                    }
                    if refreshes > 0 {
                        self.wait_for_tokens()?;
                    }
                    refreshes += 1;
                    refresh().map_err(CallError::End)?;
                }
                Err(Failure::Unreachable(text)) => {
                    self.deadline.check().map_err(CallError::End)?;
                    broken += 1;
                    offline += host.elapsed().saturating_sub(start);
                    if broken >= tries_max.min(TRIES_MAX) || offline >= OFFLINE_AFTER {
                        return Err(CallError::ServerError(text));
                    }
                    log::debug!("{text}; trying again");
                    self.back_off(broken, "Dropbox cannot be reached; trying again")?;
                }
                Err(
                    Failure::Broken(text)
                    | Failure::TokenDoubtful(text)
                    | Failure::ServerError(text),
                ) => {
                    self.deadline.check().map_err(CallError::End)?;
                    broken += 1;
                    if broken >= tries_max {
                        // Only a plain call tells whether it is this one or all.
                        return Err(CallError::ServerError(text));
                    }
                    log::debug!("{text}; trying again");
                    self.back_off(broken, "Dropbox gave no good answer; trying again")?;
                }
                Err(Failure::RateLimited(asked_s)) => {
                    limited += 1;
                    self.wait_for_rate_limit(asked_s, limited)?;
                }
            }
        }
    }

    fn wait_for_rate_limit(&self, asked_s: Option<u64>, times: u32) -> Result<(), CallError> {
        let backoff_s = (1 << times.min(5)).min(BACKOFF_MAX_S);
        let wait = jittered(
            self.host,
            Duration::from_secs(asked_s.unwrap_or(backoff_s).max(1)),
        );
        self.deadline.check_after(wait).map_err(CallError::End)?;
        let total = self.rate_waited.get().saturating_add(wait);
        if total > self.deadline.time().unwrap_or(RATE_WAIT_MAX) {
            // Only what it has said itself is told as its wish.
            let asks = asked_s.map_or(String::new(), |seconds| {
                let seconds = counted(seconds, "second", "seconds");
                format!(" and asks to wait {seconds}")
            });
            return Err(CallError::End(Error::TryLater(format!(
                "Dropbox limits the rate of requests{asks}; the next run goes on from here"
            ))));
        }
        self.rate_waited.set(total);
        // Ours is longer, and is not told as its wish.
        let (asks, why) = match asked_s {
            Some(seconds) => (
                format!(
                    "Dropbox asks to wait {}",
                    counted(seconds, "second", "seconds")
                ),
                "Dropbox asks to wait; going on",
            ),
            None => (
                "Dropbox limits the rate of requests".to_owned(),
                "Dropbox limits the rate of requests; going on",
            ),
        };
        log::info!(target: ACTION, "{asks}; going on in {:.1} s", wait.as_secs_f64());
        self.sleep(wait, why)
    }
}

/// Up to a quarter more than `wait`, so that many gateways do not come back together.
fn jittered(host: &dyn Host, wait: Duration) -> Duration {
    let mut byte = [0];
    host.random(&mut byte);
    // Dropbox may ask for any number of seconds; the budget has its own end.
    wait.saturating_add(wait / 1024 * u32::from(byte[0]))
}

/// Seconds of a `Retry-After` header; dates and nonsense count as not stated.
pub fn retry_after_s(header: Option<&str>) -> Option<u64> {
    header?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    /// A host whose time passes only by sleeping.
    #[derive(Default)]
    struct Asleep {
        slept: RefCell<Vec<Duration>>,
    }

    impl Host for Asleep {
        fn now_ns(&self) -> i128 {
            0
        }
        fn elapsed(&self) -> Duration {
            self.slept.borrow().iter().sum()
        }
        fn sleep(&self, time: Duration) {
            self.slept.borrow_mut().push(time);
        }
        fn random(&self, bytes: &mut [u8]) {
            bytes.fill(255);
        }
        fn is_root(&self) -> bool {
            false
        }
    }

    fn run(host: &Asleep, mut failures: Vec<Failure>) -> Result<(), CallError> {
        failures.reverse();
        let mut attempt = || failures.pop().map_or(Ok(()), Err);
        let deadline = Deadline::none(host);
        Retry::new(host, &deadline).run(&|| Ok(()), &mut attempt)
    }

    fn broken() -> Failure {
        Failure::Broken("no route".into())
    }

    #[test]
    fn a_broken_connection_gets_three_tries_within_a_minute() {
        let host = Asleep::default();
        assert!(run(&host, vec![broken(), broken()]).is_ok());
        let end = run(&host, vec![broken(), broken(), broken()]);
        assert!(matches!(end, Err(CallError::ServerError(_))));
        assert!(host.elapsed() < Duration::from_secs(60));
    }

    /// What comes of failures of so many seconds each, and how many tries it took.
    fn tries(failure: fn(String) -> Failure, seconds: u64) -> (Asleep, u32) {
        let host = Asleep::default();
        let deadline = Deadline::none(&host);
        let mut calls = 0;
        let mut attempt = || {
            calls += 1;
            host.sleep(Duration::from_secs(seconds));
            Err::<(), _>(failure("it takes its time".to_owned()))
        };
        let end = Retry::new(&host, &deadline).run(&|| Ok(()), &mut attempt);
        assert!(matches!(end, Err(CallError::ServerError(_))));
        (host, calls)
    }

    /// R2: a slow answer is no sign of being offline.
    #[test]
    fn r2_a_slow_answer_gets_three_tries_and_no_connection_a_minute() {
        assert_eq!(tries(Failure::Broken, 120).1, 3);
        assert_eq!(tries(Failure::ServerError, 90).1, 3);
        let (host, calls) = tries(Failure::Unreachable, 20);
        assert_eq!(calls, 3);
        assert!(host.elapsed() < Duration::from_secs(75));
        assert_eq!(tries(Failure::Unreachable, 70).1, 1);
    }

    #[test]
    fn a_rate_limit_is_obeyed_and_never_hammered() {
        let host = Asleep::default();
        let limits = [Some(7), Some(0), None].map(Failure::RateLimited);
        assert!(run(&host, limits.into()).is_ok());
        let slept = host.slept.borrow();
        assert!(slept[0] >= Duration::from_secs(7) && slept[0] < Duration::from_secs(9));
        assert!(
            slept[1] >= Duration::from_secs(1),
            "a wait of 0 is at least 1 s"
        );
        assert!(slept[2] >= Duration::from_secs(2));
    }

    #[test]
    fn waiting_for_rate_limits_ends_after_ten_minutes() {
        let host = Asleep::default();
        let endless = (0..100).map(|_| Failure::RateLimited(Some(100))).collect();
        assert!(matches!(
            run(&host, endless),
            Err(CallError::End(Error::TryLater(_)))
        ));
        assert!(host.elapsed() <= RATE_WAIT_MAX);
        for absurd in [u64::MAX / 2, u64::MAX] {
            assert!(matches!(
                run(&host, vec![Failure::RateLimited(Some(absurd))]),
                Err(CallError::End(Error::TryLater(_)))
            ));
        }
    }

    /// B19: what is added so that many gateways do not come back together is not its wish.
    #[test]
    fn b19_the_wait_that_is_told_is_the_one_dropbox_asks_for() {
        for (asked_s, told) in [
            (Some(700), "and asks to wait 700 seconds;"),
            (
                Some(u64::MAX),
                "and asks to wait 18,446,744,073,709,551,615 seconds;",
            ),
            (None, "limits the rate of requests;"),
        ] {
            let limits = (0..100).map(|_| Failure::RateLimited(asked_s)).collect();
            match run(&Asleep::default(), limits) {
                Err(CallError::End(Error::TryLater(text))) => {
                    assert!(text.contains(told), "{text}");
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_pass_with_an_end_waits_no_longer_and_begins_nothing_after_it() {
        let host = Asleep::default();
        let deadline = Deadline::within(&host, Some(Duration::from_secs(20)));
        let retry = Retry::new(&host, &deadline);
        let mut calls = 0;
        let mut limited = || {
            calls += 1;
            Err::<(), _>(Failure::RateLimited(Some(7)))
        };
        let end = retry.run(&|| Ok(()), &mut limited);
        assert!(matches!(end, Err(CallError::End(Error::TryLater(_)))));
        assert!(host.elapsed() < Duration::from_secs(20));
        assert_eq!(calls, 3, "two waits of 7 s, and no third");
        host.sleep(Duration::from_secs(20));
        let mut calls = 0;
        let mut fine = || {
            calls += 1;
            Ok(())
        };
        let short = Deadline::within(&host, Some(Duration::from_secs(1)));
        let begun = Retry::new(&host, &short);
        let held = short.hold();
        host.sleep(Duration::from_secs(1));
        assert!(
            begun.run(&|| Ok(()), &mut fine).is_ok(),
            "it was begun in time"
        );
        drop(held);
        assert!(short.check().is_err() && short.hold().is_err());
        let late = retry.run(&|| Ok(()), &mut fine);
        assert!(matches!(late, Err(CallError::End(Error::TryLater(_)))));
        assert_eq!(calls, 1, "what was begun in time, and nothing else");
    }

    /// R5: one part of Dropbox may not know yet what another has given out.
    #[test]
    fn r5_a_token_is_renewed_and_after_a_while_once_more() {
        let host = Asleep::default();
        let refused = |times| run(&host, (0..times).map(|_| Failure::TokenExpired).collect());
        assert!(refused(1).is_ok());
        assert_eq!(host.elapsed(), Duration::ZERO);
        assert!(refused(2).is_ok());
        assert!(host.elapsed() >= TOKEN_LAG);
        let end = refused(3);
        assert!(matches!(end, Err(CallError::End(Error::Authentication(_)))));
    }

    #[test]
    fn only_whole_seconds_are_a_retry_after() {
        assert_eq!(retry_after_s(Some(" 15 ")), Some(15));
        for nonsense in [
            None,
            Some("soon"),
            Some("-1"),
            Some("Wed, 21 Oct 2026 07:28:00 GMT"),
        ] {
            assert_eq!(retry_after_s(nonsense), None);
        }
    }
}
