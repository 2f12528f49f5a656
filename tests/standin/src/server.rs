//! The listeners: HTTP/1.1 over loopback, a thread for each connection.
//!
//! Four plain ones, one per host. Beside them there can be one that speaks TLS and serves all
//! hosts by the `Host` header, and a proxy that understands `CONNECT` to Dropbox's names and then
//! is that TLS server: a client needs no other setting than the proxy and the CA.

use std::collections::HashMap;
use std::io::{self, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;

use crate::http::{Delivery, Endpoint, Request, Response, header};
use crate::standin::{Patience, Standin};
use crate::tls::{self, Wire};
use crate::traffic::{self, Counted, Latency, Link, Meter, Traffic};
use crate::wire::{Head, Refusal, read_body, read_head, refuse, sink, write_response};

/// Open listeners. They stop when this is dropped.
pub struct Listeners {
    addresses: [SocketAddr; 4],
    secure: Option<Secure>,
    state: Arc<State>,
    standin: Standin,
    threads: Vec<JoinHandle<()>>,
}

/// The addresses of what speaks TLS, and the CA.
struct Secure {
    tls: SocketAddr,
    proxy: SocketAddr,
    ca_pem: String,
}

#[derive(Default)]
struct State {
    stopped: AtomicBool,
    sockets: Mutex<HashMap<u64, TcpStream>>,
    opened: AtomicU64,
    meters: Mutex<Vec<Arc<Meter>>>,
    latency: Latency,
}

impl State {
    fn sockets(&self) -> MutexGuard<'_, HashMap<u64, TcpStream>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn meters(&self) -> MutexGuard<'_, Vec<Arc<Meter>>> {
        self.meters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

/// What a listener is for.
#[derive(Clone)]
enum Door {
    Plain(Endpoint),
    Tls(Arc<ServerConfig>),
    Proxy(Arc<ServerConfig>),
}

impl Listeners {
    pub(crate) fn open(standin: &Standin, port: Option<u16>) -> io::Result<Self> {
        let mut listeners = Vec::new();
        for (index, endpoint) in (0u16..).zip(Endpoint::ALL) {
            let port = port.map_or(0, |port| port.saturating_add(index));
            listeners.push((endpoint, bind(port)?));
        }
        let address = |index: usize| listeners[index].1.local_addr();
        let mut open = Self {
            addresses: [address(0)?, address(1)?, address(2)?, address(3)?],
            secure: None,
            state: Arc::new(State::default()),
            standin: standin.clone(),
            threads: Vec::new(),
        };
        for (endpoint, listener) in listeners {
            open.attend(Door::Plain(endpoint), listener);
        }
        Ok(open)
    }

    /// Opens the TLS listener and the proxy, on ports of the system's choice or on two in a row.
    ///
    /// # Errors
    /// If a port cannot be opened.
    pub fn open_tls(&mut self, port: Option<u16>) -> io::Result<()> {
        let (config, ca_pem) = tls::identity()?;
        let tls = bind(port.unwrap_or(0))?;
        let proxy = bind(port.map_or(0, |port| port.saturating_add(1)))?;
        self.secure = Some(Secure {
            tls: tls.local_addr()?,
            proxy: proxy.local_addr()?,
            ca_pem,
        });
        self.attend(Door::Tls(Arc::clone(&config)), tls);
        self.attend(Door::Proxy(config), proxy);
        Ok(())
    }

    fn attend(&mut self, door: Door, listener: TcpListener) {
        let (standin, state) = (self.standin.clone(), Arc::clone(&self.state));
        let thread = thread::spawn(move || accept(&standin, &state, &door, &listener));
        self.threads.push(thread);
    }

    /// The address of one endpoint.
    #[must_use]
    pub fn address(&self, endpoint: Endpoint) -> SocketAddr {
        match endpoint {
            Endpoint::Api => self.addresses[0],
            Endpoint::Content => self.addresses[1],
            Endpoint::Notify => self.addresses[2],
            Endpoint::Www => self.addresses[3],
        }
    }

    /// The base URL of one endpoint, `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self, endpoint: Endpoint) -> String {
        format!("http://{}", self.address(endpoint))
    }

    /// The address of the TLS listener, if it is open.
    #[must_use]
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.secure.as_ref().map(|secure| secure.tls)
    }

    /// The base URL of the proxy, if it is open.
    #[must_use]
    pub fn proxy_url(&self) -> Option<String> {
        let secure = self.secure.as_ref()?;
        Some(format!("http://{}", secure.proxy))
    }

    /// The CA that signed the certificate of the TLS listener, if it is open.
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        self.secure.as_ref().map(|secure| secure.ca_pem.as_str())
    }

    /// Makes every request take so much longer, and every new connection.
    pub fn set_latency(&self, request: Duration, connection: Duration) {
        self.state.latency.set(request, connection);
    }

    /// Every connection since the counting began, in the order in which they were opened.
    #[must_use]
    pub fn links(&self) -> Vec<Link> {
        let meters = self.state.meters();
        meters.iter().map(|meter| meter.link()).collect()
    }

    /// The sum of all connections. Those without a request count too.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        traffic::sum(self.links().into_iter())
    }

    /// Begins the counting anew. Connections that are open are no longer counted.
    pub fn reset_traffic(&self) {
        self.state.meters().clear();
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        // Taking the account's lock in between makes sure that no longpoll misses the call.
        self.standin.edit(|_| ());
        let secure = self.secure.iter().flat_map(|it| [it.tls, it.proxy]);
        for address in self.addresses.into_iter().chain(secure) {
            // Only to wake the thread that accepts; it closes the connection.
            let _ = TcpStream::connect(address);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        for socket in self.state.sockets().values() {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

fn bind(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}

fn accept(standin: &Standin, state: &Arc<State>, door: &Door, listener: &TcpListener) {
    for stream in listener.incoming() {
        if state.is_stopped() {
            return;
        }
        let Ok(stream) = stream else {
            continue;
        };
        let (standin, state, door) = (standin.clone(), Arc::clone(state), door.clone());
        thread::spawn(move || {
            let number = state.opened.fetch_add(1, Ordering::SeqCst);
            if let Ok(stream) = stream.try_clone() {
                state.sockets().insert(number, stream);
            }
            let meter = Arc::new(Meter::default());
            state.meters().push(Arc::clone(&meter));
            let connection = Connection {
                standin,
                state,
                number,
                socket: stream,
                meter,
            };
            // An error ends the connection; the client notices by itself.
            let _ = connection.attend(&door);
        });
    }
}

/// Ends a connection for both sides, also when a hook panics under way.
struct Connection {
    standin: Standin,
    state: Arc<State>,
    number: u64,
    socket: TcpStream,
    meter: Arc<Meter>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.socket.shutdown(Shutdown::Both);
        self.meter.is_closed.store(true, Ordering::SeqCst);
        self.state.sockets().remove(&self.number);
    }
}

impl Connection {
    fn attend(&self, door: &Door) -> io::Result<()> {
        self.socket.set_nodelay(true)?;
        thread::sleep(self.state.latency.of_connection());
        let counted = Counted::new(&self.socket, &self.meter);
        match door {
            Door::Plain(endpoint) => self.serve(counted, Some(*endpoint)),
            Door::Tls(config) => self.serve_tls(counted, config),
            Door::Proxy(config) => self.serve_proxy(counted, config),
        }
    }

    /// Opens a tunnel, at the other end of which is this server itself.
    fn serve_proxy(&self, counted: Counted, config: &Arc<ServerConfig>) -> io::Result<()> {
        let mut reader = BufReader::new(counted);
        let head = match read_head(&mut reader) {
            Ok(Some(head)) => head,
            Ok(None) => return Ok(()),
            Err(Refusal::Io(error)) => return Err(error),
            Err(Refusal::Status(status)) => {
                return refuse(reader.get_mut(), &self.socket, status);
            }
        };
        if head.method != "CONNECT" {
            return refuse(reader.get_mut(), &self.socket, 405);
        }
        if endpoint_of(&head.target).is_none() {
            return refuse(reader.get_mut(), &self.socket, 502);
        }
        reader
            .get_mut()
            .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
        // A client says nothing before it has the answer, so nothing is left in the buffer.
        self.serve_tls(reader.into_inner(), config)
    }

    fn serve_tls(&self, counted: Counted, config: &Arc<ServerConfig>) -> io::Result<()> {
        self.meter.is_tls.store(true, Ordering::SeqCst);
        let session = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        self.serve(StreamOwned::new(session, counted), None)
    }

    fn serve(&self, wire: impl Wire, fixed: Option<Endpoint>) -> io::Result<()> {
        let mut reader = BufReader::with_capacity(64 * 1024, wire);
        while !self.state.is_stopped() {
            match self.serve_one(&mut reader, fixed) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(Refusal::Io(error)) => return Err(error),
                Err(Refusal::Status(status)) => {
                    return refuse(reader.get_mut(), &self.socket, status);
                }
            }
        }
        Ok(())
    }

    /// Answers one request; false if the connection is over.
    fn serve_one<S: Wire>(
        &self,
        reader: &mut BufReader<S>,
        fixed: Option<Endpoint>,
    ) -> Result<bool, Refusal> {
        let Some(head) = read_head(reader)? else {
            return Ok(false);
        };
        if let Some(suite) = reader.get_ref().cipher_suite() {
            self.meter.cipher_suite.get_or_init(|| suite);
        }
        let host = header(&head.headers, "Host").unwrap_or_default();
        let Some(endpoint) = fixed.or_else(|| endpoint_of(host)) else {
            return Err(Refusal::Status(404));
        };
        let keep_alive = head.keep_alive();
        let response = if head.method == "PUT" && head.target.starts_with("/sink") {
            let (size, hash) = sink(reader, &head)?;
            self.meter.requests.fetch_add(1, Ordering::SeqCst);
            Response::json(200, &json!({"size": size, "content_hash": hash}))
        } else {
            self.answer(reader, head, endpoint)?
        };
        thread::sleep(self.state.latency.of_request());
        let Some(sent) = self.delivered(&response) else {
            return Ok(false);
        };
        let goes_on = write_response(reader.get_mut(), &response, sent, keep_alive)?;
        if goes_on && !keep_alive {
            reader.get_mut().end();
        }
        Ok(goes_on && keep_alive)
    }

    fn answer<S: Wire>(
        &self,
        reader: &mut BufReader<S>,
        head: Head,
        endpoint: Endpoint,
    ) -> Result<Response, Refusal> {
        let (body, hashed) = read_body(reader, &head)?;
        self.meter.requests.fetch_add(1, Ordering::SeqCst);
        let request = Request {
            endpoint,
            method: head.method,
            target: head.target,
            headers: head.headers,
            body,
        };
        let stopped = || self.state.is_stopped();
        let patience = Patience::Longpoll;
        Ok(self.standin.answer(request, hashed, patience, &stopped))
    }

    /// How much of the body is delivered, once it is time; `None` if there is no answer at all.
    fn delivered(&self, response: &Response) -> Option<usize> {
        let whole = response.body.len();
        match response.delivery {
            Delivery::Whole => Some(whole),
            Delivery::Cut(bytes) => Some(bytes.min(whole)),
            Delivery::NoAnswer => None,
            Delivery::Stall(time) => {
                let until = Instant::now() + time;
                while Instant::now() < until && !self.state.is_stopped() {
                    let left = until.saturating_duration_since(Instant::now());
                    thread::sleep(left.min(Duration::from_millis(20)));
                }
                Some(whole)
            }
        }
    }
}

/// The endpoint that goes by a name, with or without a port.
fn endpoint_of(authority: &str) -> Option<Endpoint> {
    let host = authority.split(':').next().unwrap_or_default();
    if host == "www.dropboxapi.com" {
        return Some(Endpoint::Www);
    }
    let mut all = Endpoint::ALL.into_iter();
    all.find(|endpoint| endpoint.host().eq_ignore_ascii_case(host))
}
