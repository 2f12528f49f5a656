//! Faults: rules that select requests and spoil them, on demand and repeatably.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::account::Account;
use crate::errors::{nested, summary, tag};
use crate::http::{Delivery, Request, Response};
use crate::jobs::Work;

/// Which of the requests a rule matches it strikes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// Every one.
    Always,
    /// Only the nth, counted from 1.
    Nth(u64),
    /// Every nth.
    Every(u64),
    /// The first n.
    First(u64),
    /// Each with this probability, from a generator with this seed.
    Chance {
        /// Between 0 and 1.
        probability: f64,
        /// The same seed strikes the same requests.
        seed: u64,
    },
}

/// What happens to a request that is struck.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Not applied; this status and body. A body that starts with `{` is sent as JSON.
    Status(u16, String),
    /// Not applied; 429, with `Retry-After` if given, as JSON or as plain text.
    TooManyRequests {
        /// Seconds for the header.
        retry_after: Option<u64>,
        /// A plain text instead of the JSON body.
        as_text: bool,
    },
    /// Not applied; `too_many_write_operations` where the route's error union has it, or else
    /// as a 429, which is what was seen of `files/upload`.
    TooManyWriteOperations,
    /// Not applied; the connection is dropped.
    CutBefore,
    /// Applied; the connection is dropped instead of answering.
    CutAfter,
    /// Applied; the body of the answer ends after this many bytes.
    Truncate(usize),
    /// Applied; one bit of the answer's body is flipped, at this offset modulo its length.
    Corrupt(usize),
    /// One bit in the middle of the request's body is flipped before it is applied.
    CorruptUpload,
    /// Applied; the answer comes after this time.
    Stall(Duration),
    /// Not applied; 200 and an HTML page, as from a captive portal.
    Html,
    /// The access token used is expired from now on.
    ExpireToken,
    /// Applied; every entry of a list page is told twice.
    DuplicatePage,
    /// Applied; entries of a list page change places, but for those of which one lies at or
    /// below the other.
    ReorderPage(u64),
}

impl Effect {
    /// Not applied; 409 and an error of these tags, the outermost first, such as
    /// `path/conflict/file`.
    #[must_use]
    pub fn refused(tags: &str) -> Self {
        let body = json!({ "error_summary": format!("{tags}/.."), "error": union(tags) });
        Self::Status(409, body.to_string())
    }
}

/// Uploads name what is within `path` their `reason`; all others repeat the tag.
fn union(tags: &str) -> Value {
    match tags.split_once('/') {
        Some((outer, inner)) => {
            let inner = union(inner);
            json!({ ".tag": outer, outer: inner, "reason": inner })
        }
        None => json!({ ".tag": tags }),
    }
}

/// A rule.
#[derive(Clone, Debug)]
pub struct Fault {
    route: String,
    /// Only the route of that very name.
    is_exact: bool,
    /// What the request has to contain, in a header or its body; anything if empty.
    about: Vec<u8>,
    when: When,
    effect: Effect,
    matched: u64,
    state: u64,
}

impl Fault {
    /// A rule for the requests whose route contains `route` (`""` for all). A route is named
    /// like `files/upload` or `oauth2/token`; `files/list_folder` is all that begin so.
    #[must_use]
    pub fn new(route: &str, when: When, effect: Effect) -> Self {
        let state = match when {
            When::Chance { seed, .. } => seed,
            When::Always | When::Nth(_) | When::Every(_) | When::First(_) => 0,
        };
        Self {
            route: route.to_owned(),
            is_exact: false,
            about: Vec::new(),
            when,
            effect,
            matched: 0,
            state,
        }
    }

    /// A rule for the one route of this name.
    #[must_use]
    pub fn exactly(route: &str, when: When, effect: Effect) -> Self {
        Self {
            is_exact: true,
            ..Self::new(route, when, effect)
        }
    }

    /// The same for requests with this text in a header or the body: about one path, or with these
    /// bytes among those that are sent.
    #[must_use]
    pub fn about(self, text: &str) -> Self {
        Self {
            about: text.as_bytes().to_vec(),
            ..self
        }
    }

    /// Counts a request; the effect if the rule strikes it.
    pub(crate) fn strike(&mut self, route: &str, request: &Request) -> Option<Effect> {
        let is_of = match self.is_exact {
            true => route == self.route,
            false => route.contains(&self.route),
        };
        if !is_of || !self.is_about(request) {
            return None;
        }
        self.matched += 1;
        let strikes = match self.when {
            When::Always => true,
            When::Nth(n) => self.matched == n,
            When::Every(n) => n > 0 && self.matched.is_multiple_of(n),
            When::First(n) => self.matched <= n,
            When::Chance { probability, .. } => self.random() < probability,
        };
        strikes.then(|| self.effect.clone())
    }

    fn is_about(&self, request: &Request) -> bool {
        let has = |bytes: &[u8]| {
            bytes
                .windows(self.about.len())
                .any(|part| part == self.about)
        };
        let headers = &request.headers;
        self.about.is_empty()
            || has(&request.body)
            || headers.iter().any(|(_, value)| has(value.as_bytes()))
    }

    /// A number in 0..1 (splitmix64).
    fn random(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        f64::from((mixed >> 32) as u32) / (f64::from(u32::MAX) + 1.0)
    }
}

/// What happens instead of carrying a request out; may change the request as well.
pub(crate) fn before(
    account: &mut Account,
    effect: &Effect,
    request: &mut Request,
    route: &str,
) -> Option<Response> {
    match effect {
        Effect::Status(status, body) if body.starts_with('{') => Some(Response::new(
            *status,
            "application/json",
            body.clone().into_bytes(),
        )),
        Effect::Status(status, body) => Some(Response::text(*status, body)),
        Effect::TooManyRequests {
            retry_after,
            as_text,
        } => Some(rate_limited("too_many_requests", *retry_after, *as_text)),
        Effect::TooManyWriteOperations => Some(lock_contention(account, request, route)),
        Effect::CutBefore => {
            let mut response = Response::text(503, "");
            response.delivery = Delivery::NoAnswer;
            Some(response)
        }
        Effect::Html => {
            let page = "<!DOCTYPE html>\n<html><body>Welcome! Please log in.</body></html>\n";
            Some(Response::html(200, page))
        }
        Effect::CorruptUpload => {
            let middle = request.body.len() / 2;
            if let Some(byte) = request.body.get_mut(middle) {
                *byte ^= 1;
            }
            None
        }
        Effect::ExpireToken => {
            let now = account.clock.now();
            let token = request
                .header("Authorization")
                .and_then(|it| it.strip_prefix("Bearer "));
            if let Some(grant) = token.and_then(|token| account.oauth.grants.get_mut(token)) {
                grant.expires = now;
            }
            None
        }
        Effect::CutAfter
        | Effect::Truncate(_)
        | Effect::Corrupt(_)
        | Effect::Stall(_)
        | Effect::DuplicatePage
        | Effect::ReorderPage(_) => None,
    }
}

/// What happens to the answer.
pub(crate) fn after(effect: &Effect, response: &mut Response) {
    match effect {
        Effect::CutAfter => response.delivery = Delivery::NoAnswer,
        Effect::Truncate(bytes) => response.delivery = Delivery::Cut(*bytes),
        Effect::Stall(time) => response.delivery = Delivery::Stall(*time),
        Effect::Corrupt(offset) if !response.body.is_empty() => {
            let mut bytes = response.body.to_vec();
            let index = offset % bytes.len();
            bytes[index] ^= 1;
            response.body = bytes.into();
        }
        Effect::DuplicatePage if response.status == 200 => {
            if let Ok(mut page) = serde_json::from_slice(&response.body) {
                duplicate_entries(&mut page);
                response.body = page.to_string().into_bytes().into();
            }
        }
        Effect::ReorderPage(seed) if response.status == 200 => {
            if let Ok(mut page) = serde_json::from_slice(&response.body) {
                reorder_entries(&mut page, *seed);
                response.body = page.to_string().into_bytes().into();
            }
        }
        _ => {}
    }
}

fn rate_limited(reason: &str, retry_after: Option<u64>, as_text: bool) -> Response {
    let response = if as_text {
        Response::text(429, "Too Many Requests")
    } else {
        // The specification has a field `retry_after` in it; no recorded answer has.
        let error = json!({"reason": {".tag": reason}});
        let summary = format!("{reason}/..");
        Response::json(429, &json!({"error_summary": summary, "error": error}))
    };
    match retry_after {
        Some(seconds) => response.with("Retry-After", seconds.to_string()),
        None => response,
    }
}

/// `too_many_write_operations`, in the place where the route has it.
fn lock_contention(account: &mut Account, request: &mut Request, route: &str) -> Response {
    let tagged = json!({".tag": "too_many_write_operations"});
    let error = match route {
        "files/upload_session/finish_batch_v2" => {
            let arg: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let count = arg["entries"].as_array().map_or(0, Vec::len);
            let entry = json!({".tag": "failure", "failure": tagged});
            return Response::json(200, &json!({ "entries": vec![entry; count] }));
        }
        other if batch_entry(other).is_some() => {
            return refused_batch(account, request, other);
        }
        other => match write_operations_error(other) {
            Some(error) => error,
            None => return rate_limited("too_many_write_operations", Some(1), false),
        },
    };
    Response::json(
        409,
        &json!({"error_summary": summary(&error, 2), "error": error}),
    )
}

/// A batch of which no entry could be carried out.
fn refused_batch(account: &mut Account, request: &Request, route: &str) -> Response {
    let arg: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let list = arg["entries"]
        .as_array()
        .or_else(|| arg["paths"].as_array());
    let (count, is_async) = (list.map_or(0, Vec::len), arg["force_async"] == true);
    let Some((route, as_job, failure)) = batch_entry(route) else {
        return rate_limited("too_many_write_operations", Some(1), false);
    };
    let entry = nested("failure", failure);
    let result = json!({ "entries": vec![entry; count] });
    let work: Work = Arc::new(move |_| result.clone());
    Response::json(200, &account.batch(route, as_job || is_async, work))
}

/// A route with a result per entry, whether it usually is a job, and where that result has
/// `too_many_write_operations`.
fn batch_entry(route: &str) -> Option<(&'static str, bool, Value)> {
    let tagged = tag("too_many_write_operations");
    match route {
        "files/delete_batch" => Some(("files/delete_batch", true, tagged)),
        "files/create_folder_batch" => {
            Some(("files/create_folder_batch", false, nested("path", tagged)))
        }
        "files/copy_batch_v2" => Some(("files/copy_batch_v2", true, tagged)),
        "files/move_batch_v2" => Some(("files/move_batch_v2", true, tagged)),
        _ => None,
    }
}

/// Where a route's error union has `too_many_write_operations`.
fn write_operations_error(route: &str) -> Option<Value> {
    let inner = json!({".tag": "too_many_write_operations"});
    match route {
        "files/upload_session/finish" | "files/delete_v2" => Some(inner),
        "files/create_folder_v2" => Some(json!({".tag": "path", "path": inner})),
        "files/move_v2" | "files/copy_v2" => Some(json!({".tag": "to", "to": inner})),
        "files/restore" => Some(json!({".tag": "path_write", "path_write": inner})),
        _ => None,
    }
}

/// Tells every entry of a list page twice.
fn duplicate_entries(page: &mut Value) {
    if let Some(Value::Array(entries)) = page.get_mut("entries") {
        let again = entries.clone();
        entries.extend(again);
    }
}

/// Lets neighbours change places that have nothing to do with each other.
fn reorder_entries(page: &mut Value, mut seed: u64) {
    let Some(Value::Array(entries)) = page.get_mut("entries") else {
        return;
    };
    let is_at_or_below = |one: &Value, other: &Value| {
        let path = |entry: &Value| entry["path_lower"].as_str().map(|path| format!("{path}/"));
        match (path(one), path(other)) {
            (Some(one), Some(other)) => one.starts_with(&other) || other.starts_with(&one),
            _ => true,
        }
    };
    for _ in 0..2 {
        for at in 1..entries.len() {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if seed >> 63 == 0 && !is_at_or_below(&entries[at - 1], &entries[at]) {
                entries.swap(at - 1, at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn struck(when: When, count: usize) -> Vec<usize> {
        let mut fault = Fault::new("upload", when, Effect::CutBefore);
        let request = Request {
            endpoint: crate::http::Endpoint::Api,
            method: "POST".to_owned(),
            target: String::new(),
            headers: Vec::new(),
            body: b"one two".to_vec(),
        };
        assert_eq!(fault.strike("files/download", &request), None);
        let other = fault
            .clone()
            .about("three")
            .strike("files/upload", &request);
        assert_eq!(other, None);
        let mut fault = fault.about("two");
        (1..=count)
            .filter(|_| fault.strike("files/upload", &request).is_some())
            .collect()
    }

    #[test]
    fn rules_count_only_what_they_match() {
        assert_eq!(struck(When::Nth(2), 4), [2]);
        assert_eq!(struck(When::Every(2), 5), [2, 4]);
        assert_eq!(struck(When::First(2), 4), [1, 2]);
        assert_eq!(struck(When::Always, 3), [1, 2, 3]);
    }

    #[test]
    fn chance_repeats_with_its_seed() {
        let half = |seed| {
            struck(
                When::Chance {
                    probability: 0.5,
                    seed,
                },
                200,
            )
        };
        assert_eq!(half(1), half(1));
        assert_ne!(half(1), half(2));
        assert!((60..140).contains(&half(3).len()));
    }

    #[test]
    fn entries_change_places_but_never_with_what_they_lie_in() {
        let paths = ["/d", "/d/x", "/e", "/f"];
        let page = |order: &[&str]| {
            let entry = |path: &&str| json!({ "path_lower": path });
            json!({ "entries": order.iter().map(entry).collect::<Vec<_>>() })
        };
        let reordered = |seed| {
            let mut page = page(&paths);
            reorder_entries(&mut page, seed);
            let entries = page["entries"].as_array().unwrap();
            let place = |path| entries.iter().position(|e| e["path_lower"] == path);
            assert!(place("/d") < place("/d/x"), "{page}");
            page
        };
        assert!((0..50).any(|seed| reordered(seed) != page(&paths)));
    }
}
