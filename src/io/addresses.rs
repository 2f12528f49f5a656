//! One address after the other: where packets to one of them are swallowed, as is met with IPv6,
//! the next one gets its turn after two seconds. The family that answered is tried first the next
//! time, in this process and, kept in memory, in later ones.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use ureq::Error;
use ureq::unversioned::resolver::ResolvedSocketAddrs;
use ureq::unversioned::transport::{
    ConnectionDetails, Connector, Either, NextTimeout, TcpConnector, Transport, time,
};

use crate::core::path::RelPath;
use crate::io::dirs;
use crate::io::disk::{Disk, ReadDisk};

/// How long an address may take while another one is left.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is kept, in the runtime directory.
const FILE: &str = "address-family";

/// Which family of addresses is tried first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Family {
    /// As the resolver has it.
    Any = 0,
    V4 = 4,
    V6 = 6,
}

impl Family {
    fn of(address: &SocketAddr) -> Family {
        match address {
            SocketAddr::V4(_) => Family::V4,
            SocketAddr::V6(_) => Family::V6,
        }
    }
}

/// Makes a connection to one of several addresses.
#[derive(Clone)]
pub(super) struct AddressByAddress {
    first: Arc<AtomicU8>,
    keeps: bool,
}

impl AddressByAddress {
    /// One that begins with what worked last on this machine.
    pub(super) fn new() -> AddressByAddress {
        let stored = || {
            dirs::open_runtime()?
                .read(&RelPath::parse(FILE).ok()?)
                .ok()?
        };
        let first = match stored().as_deref() {
            Some(b"4") => Family::V4,
            Some(b"6") => Family::V6,
            _ => Family::Any,
        };
        AddressByAddress {
            first: Arc::new(AtomicU8::new(first as u8)),
            keeps: true,
        }
    }

    /// One that knows nothing of earlier processes, and leaves nothing behind for later ones.
    pub(super) fn unkept() -> AddressByAddress {
        AddressByAddress {
            first: Arc::new(AtomicU8::new(Family::Any as u8)),
            keeps: false,
        }
    }

    /// The addresses in the order of their turns: the families alternate.
    fn in_turn(&self, addresses: &[SocketAddr]) -> Vec<SocketAddr> {
        let first = match (self.first.load(Ordering::Relaxed), addresses.first()) {
            (4, _) => Family::V4,
            (6, _) => Family::V6,
            (_, Some(address)) => Family::of(address),
            (_, None) => Family::Any,
        };
        let (mut these, mut others): (Vec<_>, Vec<_>) = addresses
            .iter()
            .copied()
            .partition(|address| Family::of(address) == first);
        these.reverse();
        others.reverse();
        let mut turns = Vec::new();
        while let Some(address) = these.pop().or_else(|| others.pop()) {
            turns.push(address);
            turns.extend(others.pop());
        }
        turns
    }

    /// This one answered after others had their turn.
    fn note(&self, address: &SocketAddr) {
        let family = Family::of(address);
        if self.first.swap(family as u8, Ordering::Relaxed) == family as u8 || !self.keeps {
            return;
        }
        // What cannot be kept costs two seconds again.
        if let (Some(runtime), Ok(path)) = (dirs::open_runtime(), RelPath::parse(FILE)) {
            let _ = runtime.write(&path, if family == Family::V4 { b"4" } else { b"6" });
        }
    }
}

impl fmt::Debug for AddressByAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AddressByAddress")
    }
}

impl<In: Transport> Connector<In> for AddressByAddress {
    type Out = Either<In, <TcpConnector as Connector<()>>::Out>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        // A proxy is connected to already.
        if chained.is_some() {
            return Ok(chained.map(Either::A));
        }
        let addresses: Vec<SocketAddr> = details.addrs.iter().copied().collect();
        let turns = self.in_turn(&addresses);
        let (whole, begun): (Duration, _) = (*details.timeout.after, Instant::now());
        let mut last = Error::HostNotFound;
        for (at, address) in turns.iter().enumerate() {
            let left = whole.saturating_sub(begun.elapsed());
            let is_last = at + 1 == turns.len();
            let patience = if is_last { left } else { left.min(PATIENCE) };
            if patience.is_zero() {
                break;
            }
            match TcpConnector::default().connect(&alone(details, *address, patience), None::<()>) {
                Ok(transport) => {
                    if at > 0 {
                        self.note(address);
                    }
                    return Ok(transport.map(Either::B));
                }
                Err(error @ (Error::Io(_) | Error::Timeout(_))) => {
                    log::debug!("{address}: {error}");
                    last = error;
                }
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }
}

/// The same for one address.
fn alone<'a>(
    details: &ConnectionDetails<'a>,
    address: SocketAddr,
    patience: Duration,
) -> ConnectionDetails<'a> {
    let mut addrs = ResolvedSocketAddrs::from_fn(|_| address);
    addrs.push(address);
    ConnectionDetails {
        uri: details.uri,
        addrs,
        config: details.config,
        request_level: details.request_level,
        resolver: details.resolver,
        now: (details.current_time)(),
        timeout: NextTimeout {
            after: time::Duration::Exact(patience),
            ..details.timeout
        },
        current_time: Arc::clone(&details.current_time),
        run_connector: Arc::clone(&details.run_connector),
        register_shutdown: Arc::clone(&details.register_shutdown),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use ureq::Agent;
    use ureq::http::Uri;
    use ureq::unversioned::resolver::Resolver;

    use super::*;

    fn connector(first: Family) -> AddressByAddress {
        AddressByAddress {
            first: Arc::new(AtomicU8::new(first as u8)),
            keeps: false,
        }
    }

    /// B8.
    #[test]
    fn b8_families_take_turns() {
        let parsed = |list: &[&str]| -> Vec<SocketAddr> {
            list.iter().map(|text| text.parse().unwrap()).collect()
        };
        let all = parsed(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]);
        let as_given = ["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"];
        assert_eq!(connector(Family::Any).in_turn(&all), parsed(&as_given));
        assert_eq!(connector(Family::V6).in_turn(&all), parsed(&as_given));
        assert_eq!(
            connector(Family::V4).in_turn(&all),
            parsed(&["1.1.1.1:1", "[::1]:1", "2.2.2.2:1", "[::2]:1", "[::3]:1"])
        );
        assert_eq!(connector(Family::V4).in_turn(&all[..2]), all[..2]);
        assert!(connector(Family::Any).in_turn(&[]).is_empty());
    }

    /// Always the same addresses.
    #[derive(Debug)]
    struct Fixed(Vec<SocketAddr>);

    impl Resolver for Fixed {
        fn resolve(
            &self,
            _: &Uri,
            _: &ureq::config::Config,
            _: NextTimeout,
        ) -> Result<ResolvedSocketAddrs, Error> {
            let mut addrs = self.empty();
            self.0.iter().for_each(|address| addrs.push(*address));
            Ok(addrs)
        }
    }

    /// A listener whose queue is full: packets to it are swallowed, as by a router that has no
    /// way to go on and does not say so.
    fn swallowing(address: &str) -> Option<(TcpListener, Vec<TcpStream>)> {
        let listener = TcpListener::bind(address).ok()?;
        rustix::net::listen(&listener, 0).ok()?;
        let to = listener.local_addr().ok()?;
        let mut held = Vec::new();
        for _ in 0..8 {
            match TcpStream::connect_timeout(&to, Duration::from_millis(300)) {
                Ok(stream) => held.push(stream),
                Err(_) => return Some((listener, held)),
            }
        }
        None
    }

    /// B8: IPv6 whose packets are swallowed costs two seconds once.
    #[test]
    fn b8_swallowed_packets_cost_two_seconds_once() {
        let Some((deaf, _held)) = swallowing("[::1]:0") else {
            return;
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addresses = vec![deaf.local_addr().unwrap(), listener.local_addr().unwrap()];
        let server = std::thread::spawn(move || {
            for stream in listener.incoming().take(2) {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
            }
        });
        let connector = connector(Family::Any);
        let ask = || {
            let chain = ().chain(connector.clone());
            let settings = Agent::config_builder()
                .timeout_connect(Some(Duration::from_secs(5)))
                .build();
            let agent = Agent::with_parts(settings, chain, Fixed(addresses.clone()));
            let begun = Instant::now();
            let answer = agent.get("http://dropbox.test/").call();
            assert!(answer.is_ok(), "{answer:?}");
            begun.elapsed()
        };
        let (first, second) = (ask(), ask());
        assert!(
            first >= PATIENCE && first < Duration::from_secs(4),
            "{first:?}"
        );
        assert!(
            second < Duration::from_secs(1),
            "what worked comes first: {second:?}"
        );
        server.join().unwrap();
    }
}
