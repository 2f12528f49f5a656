//! Waiting for bytes, above TLS: for so long in all, whatever is read for them from below. Where it
//! may take minutes, nothing that happens meanwhile is missed.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, NextTimeout, Transport, time,
};

use crate::io::interrupt;

/// How often is asked whether to go on waiting.
const TICK: Duration = Duration::from_secs(1);

/// Says whether to stop waiting.
pub type Stop = Arc<dyn Fn() -> bool + Send + Sync>;

/// Makes a connection whose waits end in time, and when they are told to where something may.
pub(super) struct Interruptible(pub Option<Stop>);

impl Interruptible {
    /// For the answers of a pass, which somebody at the terminal may stop.
    pub(super) fn by_ctrl_c() -> Interruptible {
        let stop = || Arc::new(interrupt::is_asked) as Stop;
        Interruptible(interrupt::is_listened_to().then(stop))
    }
}

impl fmt::Debug for Interruptible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interruptible")
    }
}

impl<In: Transport> Connector<In> for Interruptible {
    type Out = InterruptibleTransport<In>;

    fn connect(
        &self,
        _: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(|inner| InterruptibleTransport {
            inner,
            stop: self.0.clone(),
        }))
    }
}

/// A connection whose waits end in time, and when they are told to.
pub(super) struct InterruptibleTransport<T> {
    inner: T,
    stop: Option<Stop>,
}

impl<T: Transport> fmt::Debug for InterruptibleTransport<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<T: Transport> Transport for InterruptibleTransport<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let sent = self.inner.transmit_output(amount, timeout);
        interrupt::set_connecting(false);
        sent
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        // A limit for each read would let a record of TLS trickle for as long as it is large.
        let timeout = timeout.for_read();
        let Some(stop) = &self.stop else {
            return self.inner.await_input(timeout);
        };
        let start = Instant::now();
        loop {
            if stop() {
                // No kind that is tried again by itself.
                return Err(Error::Io(io::ErrorKind::ConnectionAborted.into()));
            }
            let whole: Duration = *timeout.after;
            let left = whole.saturating_sub(start.elapsed());
            let slice = NextTimeout {
                after: time::Duration::Exact(left.min(TICK)),
                ..timeout
            };
            match self.inner.await_input(slice) {
                Err(Error::Timeout(_)) if left > TICK => {}
                answer => return answer,
            }
        }
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ureq::Timeout;
    use ureq::unversioned::transport::LazyBuffers;

    /// Notes how long it was let wait.
    #[derive(Debug)]
    struct NotingWait(LazyBuffers, Option<NextTimeout>);

    impl Transport for NotingWait {
        fn buffers(&mut self) -> &mut dyn Buffers {
            &mut self.0
        }
        fn transmit_output(&mut self, _: usize, _: NextTimeout) -> Result<(), Error> {
            Ok(())
        }
        fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
            self.1 = Some(timeout);
            Ok(true)
        }
        fn is_open(&mut self) -> bool {
            true
        }
    }

    /// S5: TLS reads until it has a record, and each of its reads may take what is left of this.
    #[test]
    fn s5_a_record_that_trickles_has_the_time_of_one_read() {
        let mut transport = InterruptibleTransport {
            inner: NotingWait(LazyBuffers::new(1, 1), None),
            stop: None,
        };
        let body_without_end = NextTimeout {
            after: time::Duration::NotHappening,
            reason: Timeout::RecvBody,
            per_read: Some(time::Duration::from_secs(60)),
            per_write: None,
        };
        assert!(transport.await_input(body_without_end).unwrap());
        let let_wait = transport.inner.1.unwrap();
        assert_eq!(let_wait.after, time::Duration::from_secs(60));
    }
}
