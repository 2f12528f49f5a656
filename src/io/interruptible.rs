//! Waiting for an answer that may take minutes, without missing what happens meanwhile.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, NextTimeout, Transport, time,
};

/// How often is asked whether to go on waiting.
const TICK: Duration = Duration::from_secs(1);

/// Says whether to stop waiting.
pub type Stop = Arc<dyn Fn() -> bool + Send + Sync>;

/// Makes a connection that stops waiting when it is told to.
pub(super) struct Interruptible(pub Stop);

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
            stop: Arc::clone(&self.0),
        }))
    }
}

/// A connection that stops waiting when it is told to.
pub(super) struct InterruptibleTransport<T> {
    inner: T,
    stop: Stop,
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
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let start = Instant::now();
        loop {
            if (self.stop)() {
                return Err(Error::Io(io::ErrorKind::Interrupted.into()));
            }
            let whole: Duration = *timeout.for_read().after;
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
