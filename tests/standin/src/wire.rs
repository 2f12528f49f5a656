//! HTTP/1.1 as bytes: reading requests, writing answers.
//!
//! Understood are keep-alive, `Content-Length` and chunked request bodies and
//! `Expect: 100-continue`. Answers carry `Content-Length`, also one that is cut short, unless
//! they say that they are sent in chunks.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::content_hash::BlockHasher;
use crate::http::{Response, header};
use crate::routes::PAYLOAD_MAX;
use crate::tls::Wire;

/// The largest request head that is read at all; the API's own limit is smaller.
const HEAD_MAX: usize = 256 * 1024;

/// The largest body that is read; a little more than a call may carry.
const BODY_MAX: usize = PAYLOAD_MAX + 1024 * 1024;

/// How much of a body is read and hashed at a time.
const PIECE: usize = 256 * 1024;

/// The size of one chunk of an answer that is sent in chunks.
const CHUNK: usize = 32 * 1024;

/// The most header lines of one request.
const HEADERS_MAX: usize = 128;

/// Why a request could not be read.
pub(crate) enum Refusal {
    Io(io::Error),
    Status(u16),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The head of a request.
pub(crate) struct Head {
    pub(crate) method: String,
    pub(crate) target: String,
    version: u8,
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn keep_alive(&self) -> bool {
        match header(&self.headers, "Connection").map(str::to_ascii_lowercase) {
            Some(value) if value.contains("close") => false,
            Some(value) if value.contains("keep-alive") => true,
            _ => self.version == 1,
        }
    }
}

/// Reads up to the empty line; `None` if the client has closed the connection.
pub(crate) fn read_head(reader: &mut impl BufRead) -> Result<Option<Head>, Refusal> {
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

/// How long the body of a request is.
enum Length {
    Known(u64),
    Chunked,
}

fn length_of(head: &Head) -> Result<Length, Refusal> {
    let coding = header(&head.headers, "Transfer-Encoding").map(str::to_ascii_lowercase);
    match (coding, header(&head.headers, "Content-Length")) {
        (Some(coding), _) if coding.trim() == "chunked" => Ok(Length::Chunked),
        (Some(_), _) => Err(Refusal::Status(501)),
        (None, None) => Ok(Length::Known(0)),
        (None, Some(text)) => {
            let length = text.trim().parse().map_err(|_| Refusal::Status(400))?;
            Ok(Length::Known(length))
        }
    }
}

fn meet_expectation(stream: &mut impl Write, head: &Head) -> io::Result<()> {
    let expect = header(&head.headers, "Expect").map(str::to_ascii_lowercase);
    if expect.as_deref() == Some("100-continue") {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        stream.flush()?;
    }
    Ok(())
}

/// Reads a body; one of known length is hashed while it comes in, so that the client does not
/// wait for that afterwards.
pub(crate) fn read_body<S: Wire>(
    reader: &mut BufReader<S>,
    head: &Head,
) -> Result<(Vec<u8>, Option<BlockHasher>), Refusal> {
    let length = length_of(head)?;
    if let Length::Known(length) = length
        && length > BODY_MAX as u64
    {
        return Err(Refusal::Status(413));
    }
    meet_expectation(reader.get_mut(), head)?;
    let Length::Known(length) = length else {
        return Ok((read_chunks(reader)?, None));
    };
    let mut body = vec![0; usize::try_from(length).unwrap_or(BODY_MAX)];
    let mut hasher = BlockHasher::default();
    for piece in body.chunks_mut(PIECE) {
        reader.read_exact(piece)?;
        hasher.update(piece);
    }
    Ok((body, Some(hasher)))
}

/// Reads a body of any length for no purpose but its hash.
pub(crate) fn sink<S: Wire>(
    reader: &mut BufReader<S>,
    head: &Head,
) -> Result<(u64, String), Refusal> {
    let Length::Known(length) = length_of(head)? else {
        return Err(Refusal::Status(501));
    };
    meet_expectation(reader.get_mut(), head)?;
    let mut hasher = BlockHasher::default();
    let mut piece = vec![0; PIECE];
    let mut left = length;
    while left > 0 {
        let count = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        reader.read_exact(&mut piece[..count])?;
        hasher.update(&piece[..count]);
        left -= count as u64;
    }
    Ok((length, hasher.finish()))
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
        501 => "Not Implemented",
        502 => "Bad Gateway",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Status",
    }
}

/// Refuses what could not be read, and ends the connection.
pub(crate) fn refuse(wire: &mut impl Wire, socket: &TcpStream, status: u16) -> io::Result<()> {
    let text = reason(status);
    write!(
        wire,
        "HTTP/1.1 {status} {text}\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    )?;
    wire.end();
    drain(socket)
}

/// Reads what the client still sends, so that closing does not destroy the answer under way.
fn drain(mut socket: &TcpStream) -> io::Result<()> {
    socket.shutdown(Shutdown::Write)?;
    socket.set_read_timeout(Some(Duration::from_millis(500)))?;
    let mut sink = vec![0; 64 * 1024];
    let until = Instant::now() + Duration::from_secs(5);
    while socket.read(&mut sink)? > 0 && Instant::now() < until {}
    Ok(())
}

/// Writes an answer of which so many bytes of the body are delivered; false if the connection is
/// over because that is not all.
pub(crate) fn write_response(
    wire: &mut impl Write,
    response: &Response,
    sent: usize,
    keep_alive: bool,
) -> io::Result<bool> {
    let status = response.status;
    let phrase = response.reason.as_deref();
    let mut head = format!("HTTP/1.1 {status} {}\r\n", phrase.unwrap_or(reason(status)));
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
    let is_whole = sent == response.body.len();
    if chunked {
        wire.write_all(&bytes)?;
        write_chunks(wire, &response.body[..sent], is_whole)?;
    } else if sent <= 16 * 1024 {
        // One packet for small answers.
        response.body.write_to(&mut bytes, sent)?;
        wire.write_all(&bytes)?;
    } else {
        wire.write_all(&bytes)?;
        response.body.write_to(wire, sent)?;
    }
    wire.flush()?;
    Ok(is_whole)
}

/// Sends a body in chunks; the last, empty one only if nothing was cut off.
fn write_chunks(wire: &mut impl Write, body: &[u8], is_whole: bool) -> io::Result<()> {
    for chunk in body.chunks(CHUNK) {
        let mut bytes = format!("{:x}\r\n", chunk.len()).into_bytes();
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
        wire.write_all(&bytes)?;
    }
    if is_whole {
        wire.write_all(b"0\r\n\r\n")?;
    }
    Ok(())
}
