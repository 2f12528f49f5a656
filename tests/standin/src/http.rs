//! Requests and answers, independent of any socket.

use std::time::Duration;

use crate::blob::Body;
use crate::encoding::form_pairs;

/// The four hosts of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    /// `api.dropboxapi.com`: JSON in, JSON out; also the token endpoint.
    Api,
    /// `content.dropboxapi.com`: contents up and down.
    Content,
    /// `notify.dropboxapi.com`: longpoll.
    Notify,
    /// `www.dropbox.com`: the page where a person allows an app.
    Www,
}

impl Endpoint {
    /// All four, in the order of their ports.
    pub const ALL: [Self; 4] = [Self::Api, Self::Content, Self::Notify, Self::Www];

    /// The name used in configuration files: `api`, `content`, `notify`, `www`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Content => "content",
            Self::Notify => "notify",
            Self::Www => "www",
        }
    }

    pub(crate) fn host(self) -> &'static str {
        match self {
            Self::Api => "api.dropboxapi.com",
            Self::Content => "content.dropboxapi.com",
            Self::Notify => "notify.dropboxapi.com",
            Self::Www => "www.dropbox.com",
        }
    }
}

/// One HTTP request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The host it was sent to.
    pub endpoint: Endpoint,
    /// `POST` or `GET`.
    pub method: String,
    /// Path and query, for example `/2/files/download?arg=...`.
    pub target: String,
    /// Names in any case, in order.
    pub headers: Vec<(String, String)>,
    /// The body, chunking undone.
    pub body: Vec<u8>,
}

impl Request {
    /// The first header of a name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// The path without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The decoded value of a query parameter.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<String> {
        let (_, query) = self.target.split_once('?')?;
        let mut pairs = form_pairs(query).into_iter();
        pairs.find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

pub(crate) fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

/// How an answer reaches the client. A transport without a socket should honour it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// As it is.
    Whole,
    /// The connection ends after this many bytes of the body; `Content-Length` says more.
    Cut(usize),
    /// The connection ends without an answer.
    NoAnswer,
    /// As it is, after this time.
    Stall(Duration),
}

/// One HTTP answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The headers, without `Content-Length` and `Connection`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
    /// How it arrives.
    pub delivery: Delivery,
    /// The reason phrase, if it is not the usual one of the status.
    pub reason: Option<String>,
}

impl Response {
    pub(crate) fn new(status: u16, content_type: &str, body: Vec<u8>) -> Self {
        Self {
            status,
            headers: vec![("Content-Type".into(), content_type.into())],
            body: body.into(),
            delivery: Delivery::Whole,
            reason: None,
        }
    }

    pub(crate) fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::new(status, "application/json", value.to_string().into_bytes())
    }

    pub(crate) fn text(status: u16, text: &str) -> Self {
        Self::new(
            status,
            "text/plain; charset=utf-8",
            text.as_bytes().to_vec(),
        )
    }

    pub(crate) fn html(status: u16, text: &str) -> Self {
        Self::new(status, "text/html; charset=utf-8", text.as_bytes().to_vec())
    }

    /// Like [`Self::with`], but a header of that name is replaced.
    pub(crate) fn having(mut self, name: &str, value: String) -> Self {
        self.headers
            .retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        self.with(name, value)
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The first header of a name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }
}
