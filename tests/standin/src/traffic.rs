//! What goes over the listeners: connections, requests and bytes, and how slow it is.

use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// What went over one connection, or over all of them. Bytes are those of the socket: heads
/// and, where there is TLS, records included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// How many connections carried it.
    pub connections: u64,
    /// Requests that were read.
    pub requests: u64,
    /// Bytes from clients.
    pub bytes_in: u64,
    /// Bytes to clients.
    pub bytes_out: u64,
}

/// One connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// What went over it; `connections` is 1.
    pub traffic: Traffic,
    /// Whether it was encrypted.
    pub is_tls: bool,
    /// The cipher suite both sides agreed on, as the RFCs name it, once a request was read.
    pub cipher_suite: Option<&'static str>,
    /// Whether it is still open.
    pub is_open: bool,
}

/// The counters of one connection.
#[derive(Default)]
pub(crate) struct Meter {
    pub(crate) requests: AtomicU64,
    pub(crate) is_tls: AtomicBool,
    pub(crate) cipher_suite: OnceLock<&'static str>,
    pub(crate) is_closed: AtomicBool,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

impl Meter {
    pub(crate) fn link(&self) -> Link {
        let read = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        Link {
            traffic: Traffic {
                connections: 1,
                requests: read(&self.requests),
                bytes_in: read(&self.bytes_in),
                bytes_out: read(&self.bytes_out),
            },
            is_tls: self.is_tls.load(Ordering::SeqCst),
            cipher_suite: self.cipher_suite.get().copied(),
            is_open: !self.is_closed.load(Ordering::SeqCst),
        }
    }
}

/// The sum of some connections.
pub(crate) fn sum(links: impl Iterator<Item = Link>) -> Traffic {
    links.fold(Traffic::default(), |sum, link| Traffic {
        connections: sum.connections + 1,
        requests: sum.requests + link.traffic.requests,
        bytes_in: sum.bytes_in + link.traffic.bytes_in,
        bytes_out: sum.bytes_out + link.traffic.bytes_out,
    })
}

/// A socket whose bytes are counted. It is read in large pieces: TLS asks for small ones.
pub(crate) struct Counted<'a> {
    stream: BufReader<&'a TcpStream>,
    meter: &'a Meter,
}

impl<'a> Counted<'a> {
    pub(crate) fn new(stream: &'a TcpStream, meter: &'a Meter) -> Self {
        Self {
            stream: BufReader::with_capacity(128 * 1024, stream),
            meter,
        }
    }
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.meter
            .bytes_in
            .fetch_add(count as u64, Ordering::SeqCst);
        Ok(count)
    }
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.stream.get_mut().write(bytes)?;
        self.meter
            .bytes_out
            .fetch_add(count as u64, Ordering::SeqCst);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.get_mut().flush()
    }
}

/// How long things take besides the work itself.
#[derive(Default)]
pub(crate) struct Latency {
    request: AtomicU64,
    connection: AtomicU64,
}

impl Latency {
    pub(crate) fn set(&self, request: Duration, connection: Duration) {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.request.store(micros(request), Ordering::SeqCst);
        self.connection.store(micros(connection), Ordering::SeqCst);
    }

    pub(crate) fn of_request(&self) -> Duration {
        Duration::from_micros(self.request.load(Ordering::SeqCst))
    }

    pub(crate) fn of_connection(&self) -> Duration {
        Duration::from_micros(self.connection.load(Ordering::SeqCst))
    }
}
