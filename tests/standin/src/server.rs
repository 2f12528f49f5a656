//! The listeners: HTTP/1.1 over loopback, a thread for each connection.
//!
//! Understood are keep-alive, `Content-Length` and chunked request bodies and
//! `Expect: 100-continue`. Answers carry `Content-Length`, also one that is cut short, unless
//! they say that they are sent in chunks.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::http::{Delivery, Endpoint, Request, Response, header};
use crate::routes::PAYLOAD_MAX;
use crate::standin::{Patience, Standin};

/// The largest request head that is read at all; the API's own limit is smaller.
const HEAD_MAX: usize = 256 * 1024;

/// The largest body that is read; a little more than a call may carry.
const BODY_MAX: usize = PAYLOAD_MAX + 1024 * 1024;

/// The size of one chunk of an answer that is sent in chunks.
const CHUNK: usize = 32 * 1024;

/// The most header lines of one request.
const HEADERS_MAX: usize = 128;

/// Four open listeners. They stop when this is dropped.
pub struct Listeners {
    addresses: [SocketAddr; 4],
    state: Arc<State>,
    standin: Standin,
    threads: Vec<JoinHandle<()>>,
}

struct State {
    stopped: AtomicBool,
    connections: Mutex<HashMap<u64, TcpStream>>,
    opened: AtomicU64,
}

impl State {
    fn connections(&self) -> std::sync::MutexGuard<'_, HashMap<u64, TcpStream>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

impl Listeners {
    pub(crate) fn open(standin: &Standin, port: Option<u16>) -> io::Result<Self> {
        let state = Arc::new(State {
            stopped: AtomicBool::new(false),
            connections: Mutex::new(HashMap::new()),
            opened: AtomicU64::new(0),
        });
        let mut addresses = Vec::new();
        let mut threads = Vec::new();
        let mut listeners = Vec::new();
        for (index, endpoint) in (0u16..).zip(Endpoint::ALL) {
            let port = port.map_or(0, |port| port.saturating_add(index));
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
            addresses.push(listener.local_addr()?);
            listeners.push((endpoint, listener));
        }
        for (endpoint, listener) in listeners {
            let (standin, state) = (standin.clone(), Arc::clone(&state));
            threads.push(thread::spawn(move || {
                accept(&standin, &state, endpoint, &listener)
            }));
        }
        Ok(Self {
            addresses: [addresses[0], addresses[1], addresses[2], addresses[3]],
            state,
            standin: standin.clone(),
            threads,
        })
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
}

impl Drop for Listeners {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        // Taking the account's lock in between makes sure that no longpoll misses the call.
        self.standin.edit(|_| ());
        for address in self.addresses {
            // Only to wake the thread that accepts; it closes the connection.
            let _ = TcpStream::connect(address);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        for connection in self.state.connections().values() {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

fn accept(standin: &Standin, state: &Arc<State>, endpoint: Endpoint, listener: &TcpListener) {
    for stream in listener.incoming() {
        if state.is_stopped() {
            return;
        }
        let Ok(stream) = stream else {
            continue;
        };
        let (standin, state) = (standin.clone(), Arc::clone(state));
        thread::spawn(move || {
            let number = state.opened.fetch_add(1, Ordering::SeqCst);
            if let Ok(stream) = stream.try_clone() {
                state.connections().insert(number, stream);
            }
            let connection = Connection {
                state,
                number,
                stream,
            };
            // An error ends the connection; the client notices by itself.
            let _ = serve(&standin, &connection.state, endpoint, &connection.stream);
        });
    }
}

/// Ends a connection for both sides, also when a hook panics under way.
struct Connection {
    state: Arc<State>,
    number: u64,
    stream: TcpStream,
}

impl Drop for Connection {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.stream.shutdown(Shutdown::Both);
        self.state.connections().remove(&self.number);
    }
}

fn serve(
    standin: &Standin,
    state: &State,
    endpoint: Endpoint,
    stream: &TcpStream,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(64 * 1024, stream);
    while !state.is_stopped() {
        let head = match read_head(&mut reader) {
            Ok(Some(head)) => head,
            Ok(None) => return Ok(()),
            Err(Refusal::Io(error)) => return Err(error),
            Err(Refusal::Status(status)) => return refuse(stream, status),
        };
        let body = match read_body(&mut reader, stream, &head) {
            Ok(body) => body,
            Err(Refusal::Io(error)) => return Err(error),
            Err(Refusal::Status(status)) => return refuse(stream, status),
        };
        let keep_alive = head.keep_alive();
        let Head {
            method,
            target,
            headers,
            ..
        } = head;
        let request = Request {
            endpoint,
            method,
            target,
            headers,
            body,
        };
        let response = standin.answer(request, None, Patience::Longpoll, &|| state.is_stopped());
        if !write_response(stream, state, &response, keep_alive)? || !keep_alive {
            return Ok(());
        }
    }
    Ok(())
}

enum Refusal {
    Io(io::Error),
    Status(u16),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

struct Head {
    method: String,
    target: String,
    version: u8,
    headers: Vec<(String, String)>,
}

impl Head {
    fn keep_alive(&self) -> bool {
        match header(&self.headers, "Connection").map(str::to_ascii_lowercase) {
            Some(value) if value.contains("close") => false,
            Some(value) if value.contains("keep-alive") => true,
            _ => self.version == 1,
        }
    }
}

/// Reads up to the empty line; `None` if the client has closed the connection.
fn read_head(reader: &mut impl BufRead) -> Result<Option<Head>, Refusal> {
    let mut bytes = Vec::new();
    loop {
        let start = bytes.len();
        let left = HEAD_MAX.saturating_sub(start) as u64;
        if reader.by_ref().take(left).read_until(b'\n', &mut bytes)? == 0 {
            return if start == 0 {
                Ok(None)
            } else {
                Err(Refusal::Status(431))
            };
        }
        if bytes.len() >= HEAD_MAX {
            return Err(Refusal::Status(431));
        }
        match &bytes[start..] {
            // Empty lines before a request are allowed.
            b"\r\n" | b"\n" if start == 0 => bytes.clear(),
            b"\r\n" | b"\n" => break,
            _ => {}
        }
    }
    let mut lines = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut lines);
    match parsed.parse(&bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) | Err(_) => return Err(Refusal::Status(400)),
    }
    let text = |value: &[u8]| match std::str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(_) => value.iter().map(|&byte| char::from(byte)).collect(),
    };
    let headers = parsed.headers.iter();
    Ok(Some(Head {
        method: parsed.method.unwrap_or_default().to_owned(),
        target: parsed.path.unwrap_or_default().to_owned(),
        version: parsed.version.unwrap_or(0),
        headers: headers
            .map(|line| (line.name.to_owned(), text(line.value)))
            .collect(),
    }))
}

fn read_body(
    reader: &mut impl BufRead,
    mut stream: &TcpStream,
    head: &Head,
) -> Result<Vec<u8>, Refusal> {
    let coding = header(&head.headers, "Transfer-Encoding").map(str::to_ascii_lowercase);
    let length = header(&head.headers, "Content-Length");
    let length = match (&coding, length) {
        (Some(coding), _) if coding.trim() == "chunked" => None,
        (Some(_), _) => return Err(Refusal::Status(501)),
        (None, None) => return Ok(Vec::new()),
        (None, Some(text)) => {
            let length: usize = text.trim().parse().map_err(|_| Refusal::Status(400))?;
            if length > BODY_MAX {
                return Err(Refusal::Status(413));
            }
            Some(length)
        }
    };
    let expect = header(&head.headers, "Expect").map(str::to_ascii_lowercase);
    if expect.as_deref() == Some("100-continue") {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    match length {
        Some(length) => {
            let mut body = vec![0; length];
            reader.read_exact(&mut body)?;
            Ok(body)
        }
        None => read_chunks(reader),
    }
}

fn read_chunks(reader: &mut impl BufRead) -> Result<Vec<u8>, Refusal> {
    let mut body = Vec::new();
    loop {
        let line = read_line(reader)?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(digits, 16).map_err(|_| Refusal::Status(400))?;
        if body.len().saturating_add(size) > BODY_MAX {
            return Err(Refusal::Status(413));
        }
        if size == 0 {
            while !read_line(reader)?.trim().is_empty() {}
            return Ok(body);
        }
        let start = body.len();
        body.resize(start + size, 0);
        reader.read_exact(&mut body[start..])?;
        if !read_line(reader)?.trim().is_empty() {
            return Err(Refusal::Status(400));
        }
    }
}

fn read_line(reader: &mut impl BufRead) -> Result<String, Refusal> {
    let mut line = Vec::new();
    if reader.by_ref().take(4096).read_until(b'\n', &mut line)? == 0 {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    String::from_utf8(line).map_err(|_| Refusal::Status(400))
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        302 => "Found",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Payload Too Large",
        416 => "Range Not Satisfiable",
        422 => "Unprocessable Entity",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Status",
    }
}

/// Refuses what could not be read, and ends the connection.
fn refuse(mut stream: &TcpStream, status: u16) -> io::Result<()> {
    let text = reason(status);
    write!(
        stream,
        "HTTP/1.1 {status} {text}\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    )?;
    drain(stream)
}

/// Reads what the client still sends, so that closing does not destroy the answer under way.
fn drain(mut stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(Duration::from_millis(500)))?;
    let mut sink = vec![0; 64 * 1024];
    let until = Instant::now() + Duration::from_secs(5);
    while stream.read(&mut sink)? > 0 && Instant::now() < until {}
    Ok(())
}

/// Delivers an answer as it wants to be; false if the connection is over.
fn write_response(
    mut stream: &TcpStream,
    state: &State,
    response: &Response,
    keep_alive: bool,
) -> io::Result<bool> {
    let sent = match response.delivery {
        Delivery::Whole => response.body.len(),
        Delivery::Cut(bytes) => bytes.min(response.body.len()),
        Delivery::NoAnswer => return Ok(false),
        Delivery::Stall(time) => {
            let until = Instant::now() + time;
            while Instant::now() < until && !state.is_stopped() {
                let left = until.saturating_duration_since(Instant::now());
                thread::sleep(left.min(Duration::from_millis(20)));
            }
            response.body.len()
        }
    };
    let status = response.status;
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    for (name, value) in &response.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let coding = response.header("Transfer-Encoding");
    let chunked = coding.is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
    if status != 304 && !chunked {
        head.push_str(&format!("Content-Length: {}\r\n", response.body.len()));
    }
    head.push_str(if keep_alive {
        "\r\n"
    } else {
        "Connection: close\r\n\r\n"
    });
    let mut bytes = head.into_bytes();
    if chunked {
        stream.write_all(&bytes)?;
        write_chunks(stream, &response.body[..sent], sent == response.body.len())?;
        return Ok(sent == response.body.len());
    }
    let rest = if sent <= 16 * 1024 {
        // One packet for small answers.
        bytes.extend_from_slice(&response.body[..sent]);
        &[]
    } else {
        &response.body[..sent]
    };
    stream.write_all(&bytes)?;
    stream.write_all(rest)?;
    Ok(sent == response.body.len())
}

/// Sends a body in chunks; the last, empty one only if nothing was cut off.
fn write_chunks(mut stream: &TcpStream, body: &[u8], is_whole: bool) -> io::Result<()> {
    for chunk in body.chunks(CHUNK) {
        let mut bytes = format!("{:x}\r\n", chunk.len()).into_bytes();
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
        stream.write_all(&bytes)?;
    }
    if is_whole {
        stream.write_all(b"0\r\n\r\n")?;
    }
    Ok(())
}
