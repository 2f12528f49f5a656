//! The network seam: one blocking POST at a time to one of Dropbox's four hosts.
//!
//! This layer knows nothing of JSON, tokens or retries; an HTTP status is never an error here,
//! because Dropbox explains itself in the body.

use std::fmt;
use std::io::Read;
use std::time::Duration;

/// The hosts of the Dropbox API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `api.dropboxapi.com`: RPC routes and OAuth tokens.
    Api,
    /// `content.dropboxapi.com`: uploads and downloads.
    Content,
    /// `notify.dropboxapi.com`: longpoll.
    Notify,
}

/// A request body.
pub enum Body<'a> {
    /// No bytes.
    Empty,
    /// Bytes in memory.
    Bytes(&'a [u8]),
    /// Exactly `len` bytes streamed from a reader; an error of the reader aborts the request.
    Stream {
        /// Bytes that will be sent.
        len: u64,
        /// Where they come from.
        reader: &'a mut dyn Read,
    },
}

/// One POST request.
pub struct Request<'a> {
    /// The host.
    pub endpoint: Endpoint,
    /// Path on that host, with a leading slash.
    pub path: &'a str,
    /// Headers beyond those of the transport; all ASCII.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Body<'a>,
    /// How long the answer is waited for at most, head and body, beside what the transport itself
    /// allows. It does not count for a streamed body: what is sent is brought to its end.
    pub patience: Option<Duration>,
}

/// The answer, its body not yet read: by way of a [`crate::io::limited_body`].
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Box<dyn Read>,
}

impl Response {
    /// The first header called `name` (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Why there is no answer. The request may or may not have been carried out.
#[derive(Debug)]
pub enum HttpError {
    /// The host could not be reached: worth another try.
    Unreachable(String),
    /// The connection broke, or no answer came on it in time: worth another try.
    Broken(String),
    /// Trying again cannot help: the certificate was refused, a header was malformed.
    Permanent(String),
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HttpError::Unreachable(text) | HttpError::Broken(text) | HttpError::Permanent(text) => {
                f.write_str(text)
            }
        }
    }
}

/// Sends requests.
pub trait Http {
    /// Sends one request and waits for the head of its answer.
    ///
    /// # Errors
    /// [`HttpError`] where there is no answer at all.
    fn send(&self, request: Request<'_>) -> Result<Response, HttpError>;
}
