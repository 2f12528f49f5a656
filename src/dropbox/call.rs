//! How a call travels and what its answer means, whatever its route: tokens and their renewal,
//! retries, pages as they arrive, and errors without secrets in them.

use std::cell::{Cell, RefCell};
use std::io::{BufReader, ErrorKind::TimedOut, Read};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::core::decide::Direction;
use crate::core::remote::{Namespaces, PathRoot};
use crate::dropbox::auth::{self, OAuthRefusal};
use crate::dropbox::page::{PageEnd, PageError, read_page};
use crate::dropbox::retry::{CallError, Failure, Retry};
use crate::dropbox::tokens::AccessTokens;
use crate::dropbox::unknown::Unknown;
use crate::dropbox::verdict::{self, AnswerHead, STRANGER};
use crate::dropbox::wire::{
    ApiError, Metadata, TokenAnswer, answer_without_secrets, header_json, one_line,
};
use crate::error::Error;
use crate::io::deadline::Deadline;
use crate::io::host::Host;
use crate::io::http::{Body, Endpoint, Http, HttpError, Request, Response};
use crate::io::limited_body::{BodyLimits, LimitedBody};
use crate::io::throttle::{Throttle, ThrottledBytes};

/// LIMIT: longest answer that is read into memory, in bytes (listings and downloads are streamed):
/// that of a batch has up to a thousand entries with two paths each. One that is longer counts as
/// cut short, and a smaller batch is tried.
const ANSWER_BYTES_MAX: u64 = 4 << 20;
/// How much of one is read at a time.
const BUFFER_BYTES: usize = 8 << 10;

/// LIMIT: longest error that is read, in bytes; Dropbox's own have a few hundred.
const ERROR_BYTES_MAX: u64 = 64 << 10;

/// What is said where the space of the team is not known to Dropbox as it was.
const TEAM_HAS_MOVED: &str = "the space of the team is another one than before, or this account is \
                              not in it any more; nothing was changed, and the next run asks \
                              Dropbox for it anew";

/// The bytes an upload streams; asked anew for every try.
pub trait Upload {
    /// How many bytes one call sends.
    fn len(&self) -> u64;

    /// Whether there is nothing to send.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes from their start.
    ///
    /// # Errors
    /// What the disk says.
    fn rewind(&mut self) -> std::io::Result<&mut dyn Read>;

    /// Why the bytes gave out before their end, if they did.
    fn failure(&mut self) -> Option<std::io::Error>;
}

/// Takes the entries of a page as they arrive.
pub trait PageSink {
    /// A page starts; what an attempt before this one delivered of it is void.
    ///
    /// # Errors
    /// Ends the call.
    fn restart(&mut self) -> Result<(), Error>;

    /// The next entry, in Dropbox's order.
    ///
    /// # Errors
    /// Ends the call.
    fn entry(&mut self, entry: Metadata) -> Result<(), Error>;
}

/// The Dropbox API for one account.
pub struct Api<'a> {
    http: &'a dyn Http,
    host: &'a dyn Host,
    pub(super) deadline: &'a Deadline<'a>,
    pub(super) access: AccessTokens<'a>,
    /// How fast contents travel.
    throttle: Option<&'a Throttle<'a>>,
    retry: Retry<'a>,
    /// Where paths begin, and the namespaces of the account as far as they are known.
    pub(super) root: Cell<PathRoot>,
    namespaces: RefCell<Namespaces>,
    /// What this version did not know, and has told.
    pub(super) unknown: Unknown,
    /// Dropbox does not know the team's space by this namespace any more, or says so.
    has_moved: Cell<bool>,
}

/// What a call comes to.
pub type Call<T> = Result<T, CallError>;

impl<'a> Api<'a> {
    /// Calls through `http` as whom `access` says.
    pub fn new(
        http: &'a dyn Http,
        host: &'a dyn Host,
        deadline: &'a Deadline<'a>,
        access: AccessTokens<'a>,
    ) -> Api<'a> {
        Api {
            http,
            host,
            deadline,
            access,
            throttle: None,
            retry: Retry::new(host, deadline),
            root: Cell::default(),
            namespaces: RefCell::default(),
            unknown: Unknown::default(),
            has_moved: Cell::new(false),
        }
    }

    /// The same, with contents that travel as fast as `throttle` lets them.
    #[must_use]
    pub fn throttled(self, throttle: &'a Throttle<'a>) -> Api<'a> {
        Api {
            throttle: Some(throttle),
            ..self
        }
    }

    /// The bytes that one call had better send at most where the pass has an end, if what goes up
    /// is limited.
    pub fn call_bytes(&self) -> Option<u64> {
        self.throttle?.call_bytes(Direction::Up)
    }

    /// Bytes of contents that have travelled so far, those in vain included.
    pub fn bytes(&self, direction: Direction) -> u64 {
        self.throttle
            .map_or(0, |throttle| throttle.bytes(direction))
    }

    /// From now on paths begin in this space of the account.
    pub fn begin_in(&self, root: PathRoot, namespaces: Namespaces) {
        self.root.set(root);
        self.namespaces.replace(namespaces);
    }

    /// Whether the account has the space of a team beside its own folder, in which paths begin.
    pub fn is_beside_a_team(&self) -> bool {
        self.root.get() == PathRoot::Home && self.namespaces.borrow().team().is_some()
    }

    /// The namespaces of the account are asked for in the next pass.
    pub fn ask_for_namespaces_again(&self) {
        self.has_moved.set(true);
    }

    /// Whether the namespaces of the account are, or may be, others than were known.
    pub fn has_moved(&self) -> bool {
        self.has_moved.get()
    }

    /// The access token holder.
    pub fn access(&self) -> &AccessTokens<'a> {
        &self.access
    }

    /// From now on a call that fails is not tried again, as for what failed before; or is again.
    pub fn try_once(&self, once: bool) {
        self.retry.try_once(once);
    }

    /// `Dropbox-API-Path-Root`, where paths begin elsewhere than they do by themselves.
    fn path_root(&self) -> Option<String> {
        let namespaces = self.namespaces.borrow();
        let root = namespaces
            .team()
            .filter(|_| self.root.get() == PathRoot::Team)?;
        Some(header_json(&json!({ ".tag": "root", "root": root })))
    }

    pub(super) fn rpc<T: DeserializeOwned>(&self, route: &str, argument: &Value) -> Call<T> {
        let json = argument.to_string();
        self.run(&mut || self.rpc_once(route, &json))
    }

    pub(super) fn rpc_once<T: DeserializeOwned>(
        &self,
        route: &str,
        json: &str,
    ) -> Result<T, Failure> {
        let body = Body::Bytes(json.as_bytes());
        let headers = vec![("content-type", "application/json".to_owned())];
        let path = format!("/2/{route}");
        let response = self.once(Endpoint::Api, &path, headers, body)?;
        read_json(self.limited(response.body, BodyLimits::JSON))
    }

    pub(super) fn send<T: DeserializeOwned>(
        &self,
        route: &str,
        argument: &str,
        bytes: &mut dyn Upload,
    ) -> Call<T> {
        self.run(&mut || {
            let headers = vec![
                ("dropbox-api-arg", argument.to_owned()),
                ("content-type", "application/octet-stream".to_owned()),
            ];
            let len = bytes.len();
            let mut sending = ThrottledBytes {
                throttle: self.throttle,
                bytes: bytes.rewind().map_err(Failure::Local)?,
                deadline: self.deadline,
                sent: 0,
            };
            let reader = &mut sending;
            let body = Body::Stream { len, reader };
            let answer = self.once(Endpoint::Content, &format!("/2/{route}"), headers, body);
            if let (Err(_), Some(live)) = (&answer, self.deadline.live()) {
                live.sent_in_vain(sending.sent);
            }
            if let Some(error) = bytes.failure() {
                return Err(Failure::Local(error));
            }
            read_json(self.limited(answer?.body, BodyLimits::JSON))
        })
    }

    pub(super) fn page(
        &self,
        route: &str,
        tries: u32,
        argument: &mut dyn FnMut() -> Value,
        sink: &mut dyn PageSink,
    ) -> Call<PageEnd> {
        self.run_up_to(tries, &mut || {
            let json = argument().to_string();
            sink.restart().map_err(Failure::Final)?;
            let body = Body::Bytes(json.as_bytes());
            let headers = vec![("content-type", "application/json".to_owned())];
            let response = self.once(Endpoint::Api, &format!("/2/{route}"), headers, body)?;
            let body = self.limited(response.body, BodyLimits::JSON);
            let page = read_page(body, &mut |entry| {
                if let Metadata::Other(other) = &entry {
                    self.unknown.note_tag("an entry of a listing", &other.tag);
                }
                sink.entry(entry)
            });
            page.map_err(|error| match error {
                PageError::Malformed(error) if error.io_error_kind() == Some(TimedOut) => {
                    server_error(&format!("a listing broke off: {error}"))
                }
                PageError::Malformed(error) => {
                    log::debug!("{route}: {error}");
                    server_error(&format!("a listing makes no sense, so {STRANGER}"))
                }
                PageError::Sink(error) => Failure::Final(error),
            })
        })
    }

    /// The body of an answer: there is no other way to one.
    pub(super) fn limited(&self, body: Box<dyn Read>, limits: BodyLimits) -> LimitedBody<'a> {
        LimitedBody::new(body, limits, self.host, Some(self.deadline))
    }

    /// The same of files.
    pub(super) fn content(&self, body: Box<dyn Read>) -> LimitedBody<'a> {
        let body = self.limited(body, BodyLimits::CONTENT);
        match self.throttle {
            Some(throttle) => body.throttled(throttle),
            None => body,
        }
    }

    pub(super) fn run<T>(&self, attempt: &mut dyn FnMut() -> Result<T, Failure>) -> Call<T> {
        self.retry.run(&|| self.refresh(), attempt)
    }

    pub(super) fn run_up_to<T>(
        &self,
        tries: u32,
        attempt: &mut dyn FnMut() -> Result<T, Failure>,
    ) -> Call<T> {
        self.retry.run_up_to(tries, &|| self.refresh(), attempt)
    }

    /// Fetches a new access token (`/oauth2/token`). A refusal counts if it comes twice: a part of
    /// Dropbox may err for a while, and it takes a person to sign in again.
    fn refresh(&self) -> Result<(), Error> {
        let Some(form) = auth::refresh_form(self.access.credential()) else {
            return Ok(());
        };
        let invocation = self.access.invocation();
        let refused = |refusal: &OAuthRefusal| auth::refresh_refused(refusal, invocation);
        let (http, unknown) = (self.http, &self.unknown);
        let mut attempt = || token_call(http, self.host, self.deadline, &form, &refused, unknown);
        let mut ask = || self.retry.run(&|| Ok(()), &mut attempt);
        let answer = match ask() {
            Err(CallError::End(Error::Authentication(text))) => {
                log::debug!("{text}; asking once more");
                self.retry.wait_for_tokens().and_then(|()| ask())
            }
            answer => answer,
        };
        let answer = answer.map_err(|error| error.into_error("renew the access token"))?;
        self.access.keep(self.host, &answer);
        Ok(())
    }

    /// Sends one authorized request and sorts its answer.
    pub(super) fn once<'b>(
        &self,
        endpoint: Endpoint,
        path: &'b str,
        mut headers: Vec<(&'static str, String)>,
        body: Body<'b>,
    ) -> Result<Response, Failure> {
        let Some(token) = self.access.token_at_hand(self.host) else {
            return Err(Failure::TokenExpired);
        };
        headers.push(("authorization", format!("Bearer {token}")));
        headers.extend(self.path_root().map(|root| ("dropbox-api-path-root", root)));
        log::debug!("POST {path}");
        let response = self
            .http
            .send(Request {
                endpoint,
                path,
                headers,
                body,
                patience: self.deadline.left(),
            })
            .map_err(transport_failure)?;
        log::debug!("POST {path}: {}", response.status);
        match response.status {
            200 | 206 => Ok(response),
            _ => Err(self.sort(path, response)),
        }
    }

    /// What an answer that is no success means.
    fn sort(&self, path: &str, response: Response) -> Failure {
        let head = AnswerHead::of(&response);
        let body = self.limited(response.body, BodyLimits::JSON);
        let Ok(mut bytes) = read_error(body) else {
            return server_error(&format!("the answer to {path} broke off"));
        };
        if let Some(token) = self.access.token_at_hand(self.host) {
            bytes = answer_without_secrets(&bytes, &token);
        }
        let (status, request_id) = (head.status, &head.request_id);
        let text = one_line(&String::from_utf8_lossy(&bytes));
        log::debug!("{path}: {status} {text} (request id {request_id})");
        if status == 422 && self.path_root().is_some() && verdict::is_dropboxs(&bytes) {
            self.ask_for_namespaces_again();
            return Failure::Final(Error::TryLater(TEAM_HAS_MOVED.to_owned()));
        }
        let (credential, invocation) = (self.access.credential(), self.access.invocation());
        let failure = verdict::of_route(path, &head, &bytes, credential, invocation);
        if verdict::is_unknown(&failure, status, &bytes) {
            let tags = serde_json::from_slice(&bytes).map_or_else(|_| String::new(), tags);
            let kind = format!("{path} {status} {tags}");
            let what = format!("{path} was answered with {status}: {text}");
            self.unknown.note(kind, &what);
        }
        failure
    }
}

/// The tags of an error.
fn tags(error: ApiError) -> String {
    error.tags()
}

/// The body of an answer that is no success.
fn read_error(body: LimitedBody<'_>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut body = body.take(ERROR_BYTES_MAX);
    body.read_to_end(&mut bytes).map(|_| bytes)
}

pub(super) fn token_call(
    http: &dyn Http,
    host: &dyn Host,
    deadline: &Deadline<'_>,
    form: &str,
    refused: &dyn Fn(&OAuthRefusal) -> Error,
    unknown: &Unknown,
) -> Result<TokenAnswer, Failure> {
    let request = Request {
        endpoint: Endpoint::Api,
        path: "/oauth2/token",
        headers: vec![(
            "content-type",
            "application/x-www-form-urlencoded".to_owned(),
        )],
        body: Body::Bytes(form.as_bytes()),
        patience: deadline.left(),
    };
    let response = http.send(request).map_err(transport_failure)?;
    let head = AnswerHead::of(&response);
    let body = LimitedBody::new(response.body, BodyLimits::JSON, host, Some(deadline));
    if head.status == 200 {
        return read_json(body);
    }
    let Ok(body) = read_error(body) else {
        return Err(server_error("the answer of the token endpoint broke off"));
    };
    // The values of the form, but for the first, which names the grant.
    let values = form.split(['&', '=']).skip(3).step_by(2);
    let sent = values.collect::<Vec<_>>().join("\n");
    let body = answer_without_secrets(&body, &sent);
    let refusal = auth::refusal(&body);
    if let Some(refusal) = refusal.filter(|refusal| !refusal.is_known(head.status)) {
        let text = format!(
            "the token endpoint answers {}: {}",
            head.status,
            one_line(&String::from_utf8_lossy(&body))
        );
        unknown.note(format!("token endpoint {}", refusal.said()), &text);
    }
    Err(verdict::of_token_endpoint(&head, &body, refused))
}

fn transport_failure(error: HttpError) -> Failure {
    match error {
        HttpError::Unreachable(text) => {
            Failure::Unreachable(format!("cannot reach Dropbox: {text}"))
        }
        HttpError::Broken(text) => Failure::Broken(format!("cannot reach Dropbox: {text}")),
        HttpError::Permanent(text) => {
            Failure::Final(Error::TryLater(format!("cannot reach Dropbox: {text}")))
        }
    }
}

pub(super) fn server_error(text: &str) -> Failure {
    Failure::ServerError(text.to_owned())
}

fn read_json<T: DeserializeOwned>(body: LimitedBody<'_>) -> Result<T, Failure> {
    // As it arrives: what a batch came to is long.
    let body = BufReader::with_capacity(BUFFER_BYTES, body.take(ANSWER_BYTES_MAX));
    serde_json::from_reader(body).map_err(|error| {
        if error.is_io() {
            return server_error(&format!("an answer of Dropbox broke off: {error}"));
        }
        // The parser's own text could quote a token.
        let place = error.column();
        server_error(&format!(
            "an answer makes no sense (at byte {place}), so {STRANGER}"
        ))
    })
}
