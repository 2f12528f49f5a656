//! The table of routes, and what all of them have in common.
//!
//! A call is checked in this order: host and method, authorization, path root, scope, content
//! type, argument. Only then does the route see it.

mod archive;
mod batches;
mod folders;
mod listing;
mod metadata;
mod oauth;
mod relocation;
mod revisions;
mod sessions;
mod transfer;
mod users;

use serde_json::{Value, json};

use crate::account::{Account, Space};
use crate::blob::Body;
use crate::content_hash::BlockHasher;
use crate::errors::{Failure, summary, tag};
use crate::http::{Endpoint, Request, Response};
use crate::oauth::Grant;

pub(crate) use transfer::PAYLOAD_MAX;

/// The most bytes all header lines may have together.
const HEADERS_MAX: usize = 64 * 1024;

/// How argument and result travel.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Rpc,
    Upload,
    Download,
}

/// Who must be authenticated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Auth {
    User,
    App,
    Nobody,
}

/// One route of the API.
struct Route {
    name: &'static str,
    endpoint: Endpoint,
    style: Style,
    auth: Auth,
    scope: Option<&'static str>,
    run: fn(&mut Call) -> Result<Answer, Failure>,
}

/// One call, its framing checked.
pub(crate) struct Call<'a> {
    account: &'a mut Account,
    grant: Option<Grant>,
    token: String,
    arg: Value,
    body: Vec<u8>,
    /// The hash of the body, if it was made while that came in.
    hashed: Option<BlockHasher>,
    headers: Vec<(String, String)>,
}

impl Call<'_> {
    fn app(&self) -> String {
        self.grant
            .as_ref()
            .map_or(String::new(), |grant| grant.app.clone())
    }

    fn now(&self) -> i64 {
        self.account.clock.now()
    }
}

/// A result.
pub(crate) enum Answer {
    Json(Value),
    /// Contents, with the result in a header.
    Content {
        status: u16,
        result: Value,
        body: Body,
        headers: Vec<(&'static str, String)>,
    },
    /// Nothing but a status and headers.
    Bare {
        status: u16,
        headers: Vec<(&'static str, String)>,
    },
}

impl From<Value> for Answer {
    fn from(value: Value) -> Self {
        Self::Json(value)
    }
}

const fn rpc(
    name: &'static str,
    scope: &'static str,
    run: fn(&mut Call) -> Result<Answer, Failure>,
) -> Route {
    let (endpoint, style, auth) = (Endpoint::Api, Style::Rpc, Auth::User);
    Route {
        name,
        endpoint,
        style,
        auth,
        scope: Some(scope),
        run,
    }
}

const fn upload(name: &'static str, run: fn(&mut Call) -> Result<Answer, Failure>) -> Route {
    let (endpoint, style, auth) = (Endpoint::Content, Style::Upload, Auth::User);
    Route {
        name,
        endpoint,
        style,
        auth,
        scope: Some(WRITE),
        run,
    }
}

const READ: &str = "files.content.read";
const WRITE: &str = "files.content.write";
const LIST: &str = "files.metadata.read";
const INFO: &str = "account_info.read";

/// Every route that is modelled.
static ROUTES: &[Route] = &[
    Route {
        auth: Auth::App,
        scope: None,
        ..rpc("check/app", INFO, users::echo)
    },
    rpc("check/user", INFO, users::echo),
    Route {
        scope: None,
        ..rpc("auth/token/revoke", INFO, users::revoke)
    },
    rpc("users/get_current_account", INFO, users::current_account),
    rpc("users/get_space_usage", INFO, users::space_usage),
    rpc("files/list_folder", LIST, listing::list_folder),
    rpc("files/list_folder/continue", LIST, listing::list_continue),
    rpc(
        "files/list_folder/get_latest_cursor",
        LIST,
        listing::latest_cursor,
    ),
    Route {
        endpoint: Endpoint::Notify,
        auth: Auth::Nobody,
        scope: None,
        ..rpc("files/list_folder/longpoll", LIST, listing::longpoll)
    },
    rpc("files/get_metadata", LIST, metadata::metadata),
    rpc("files/list_revisions", LIST, revisions::list_revisions),
    rpc("files/restore", WRITE, revisions::restore),
    Route {
        endpoint: Endpoint::Content,
        style: Style::Download,
        ..rpc("files/download", READ, transfer::download)
    },
    Route {
        endpoint: Endpoint::Content,
        style: Style::Download,
        ..rpc("files/download_zip", READ, archive::download_zip)
    },
    upload("files/upload", transfer::upload),
    upload("files/upload_session/start", sessions::start),
    upload("files/upload_session/append", sessions::append_legacy),
    upload("files/upload_session/append_v2", sessions::append),
    upload("files/upload_session/append_batch", batches::append_batch),
    upload("files/upload_session/finish", sessions::finish),
    rpc(
        "files/upload_session/start_batch",
        WRITE,
        batches::start_batch,
    ),
    rpc(
        "files/upload_session/finish_batch",
        WRITE,
        batches::finish_batch_job,
    ),
    rpc(
        "files/upload_session/finish_batch/check",
        WRITE,
        batches::check_finish_batch,
    ),
    rpc(
        "files/upload_session/finish_batch_v2",
        WRITE,
        batches::finish_batch,
    ),
    rpc("files/create_folder_v2", WRITE, folders::create),
    rpc("files/create_folder_batch", WRITE, folders::create_batch),
    rpc(
        "files/create_folder_batch/check",
        WRITE,
        folders::check_create_batch,
    ),
    rpc("files/delete_v2", WRITE, folders::delete),
    rpc("files/delete_batch", WRITE, folders::delete_batch),
    rpc(
        "files/delete_batch/check",
        WRITE,
        folders::check_delete_batch,
    ),
    rpc("files/move_v2", WRITE, relocation::relocate),
    rpc("files/copy_v2", WRITE, relocation::copy),
    rpc("files/move_batch_v2", WRITE, relocation::relocate_batch),
    rpc(
        "files/move_batch/check_v2",
        WRITE,
        relocation::check_relocate_batch,
    ),
    rpc("files/copy_batch_v2", WRITE, relocation::copy_batch),
    rpc(
        "files/copy_batch/check_v2",
        WRITE,
        relocation::check_copy_batch,
    ),
];

/// The name of the route a request is for, for rules and the log.
pub(crate) fn name_of(request: &Request) -> String {
    let path = request.path();
    path.strip_prefix("/2/")
        .unwrap_or(path.trim_start_matches('/'))
        .to_owned()
}

/// Answers one request.
pub(crate) fn dispatch(
    account: &mut Account,
    request: Request,
    hashed: Option<BlockHasher>,
) -> Response {
    let size = |(name, value): &(String, String)| name.len() + value.len() + 4;
    if request.headers.iter().map(size).sum::<usize>() > HEADERS_MAX {
        return Response::text(431, "Request Header Fields Too Large");
    }
    if request.path().starts_with("/oauth2/") {
        let answer = oauth::respond(account, &request);
        return answer.unwrap_or_else(|| Response::text(404, "Not Found"));
    }
    let name = name_of(&request);
    if !request.path().starts_with("/2/") || request.endpoint == Endpoint::Www {
        return Response::text(404, "Not Found");
    }
    match call(account, request, hashed, &name) {
        Ok(Answer::Json(value)) => Response::json(200, &value),
        Ok(Answer::Content {
            status,
            result,
            body,
            headers,
        }) => {
            let mut response = Response::new(status, "application/octet-stream", Vec::new())
                .with("Dropbox-API-Result", account.result_header(&result));
            for (name, value) in headers {
                response = response.having(name, value);
            }
            response.body = body;
            response
        }
        Ok(Answer::Bare { status, headers }) => {
            let mut response = Response::text(status, "");
            for (name, value) in headers {
                response = response.with(name, value);
            }
            response
        }
        Err(failure) => refusal(account, &name, failure),
    }
}

fn refusal(account: &Account, name: &str, failure: Failure) -> Response {
    let dots = 1 + (account.seed + account.answered) as usize * 7 % 4;
    let union = |status: u16, error: Value| {
        let body = json!({"error_summary": summary(&error, dots), "error": error});
        Response::json(status, &body)
    };
    match failure {
        Failure::Call(text) | Failure::Argument(text) => Response::text(
            400,
            &format!("Error in call to API function \"{name}\": {text}"),
        ),
        Failure::Text(status, text) => Response::text(status, &text),
        Failure::Auth(error) => union(401, error),
        Failure::PathRoot(error) => union(422, error),
        Failure::Route(error) => union(409, error),
    }
}

fn call(
    account: &mut Account,
    request: Request,
    hashed: Option<BlockHasher>,
    name: &str,
) -> Result<Answer, Failure> {
    let unknown = || Failure::Text(400, format!("Unknown API function: \"{name}\""));
    let route = ROUTES
        .iter()
        .find(|route| route.name == name)
        .ok_or_else(unknown)?;
    if request.endpoint != route.endpoint {
        return Err(Failure::Call(format!(
            "You sent this request to \"{}\", but this function is at \"{}\".",
            request.endpoint.host(),
            route.endpoint.host()
        )));
    }
    let is_get = request.method == "GET" && route.style == Style::Download;
    if request.method != "POST" && !is_get {
        return Err(Failure::Text(
            405,
            format!(
                "Error in call to API function \"{name}\": Your request's HTTP request method is \
             \"{}\".  This function only accepts HTTP request method \"POST\".",
                request.method
            ),
        ));
    }
    let (token, grant) = authenticate(account, &request, route.auth)?;
    let space = check_path_root(account, &request)?;
    if let (Some(grant), Some(scope)) = (&grant, route.scope)
        && !grant.scopes.contains(scope)
    {
        return Err(Failure::Auth(
            json!({".tag": "missing_scope", "required_scope": scope}),
        ));
    }
    check_content_type(&request, route.style)?;
    let (arg, place) = argument(&request, route.style)?;
    let body = if route.style == Style::Upload {
        request.body
    } else {
        Vec::new()
    };
    let headers = request.headers;
    account.enter(space);
    let mut call = Call {
        account,
        grant,
        token,
        arg,
        body,
        hashed,
        headers,
    };
    let answer = call.run(route);
    account.enter(space);
    answer.map_err(|failure| match failure {
        Failure::Argument(text) => Failure::Argument(format!("{place}: {text}")),
        other => other,
    })
}

impl Call<'_> {
    /// Runs the route; what it tells may be what was before the last write.
    fn run(&mut self, route: &Route) -> Result<Answer, Failure> {
        let looks = route.scope == Some(LIST) && route.endpoint == Endpoint::Api;
        if looks && let Some((tree, looks)) = self.account.before.take() {
            let now = std::mem::replace(&mut self.account.tree, *tree);
            let answer = (route.run)(self);
            let tree = Box::new(std::mem::replace(&mut self.account.tree, now));
            self.account.before = (looks > 1).then_some((tree, looks - 1));
            return answer;
        }
        let lag = self.account.habits.lag;
        if route.scope != Some(WRITE) || lag == 0 {
            return (route.run)(self);
        }
        let before = Box::new(self.account.tree.clone());
        let position = before.journal.position();
        let answer = (route.run)(self);
        if self.account.tree.journal.position() != position {
            self.account.before = Some((before, lag));
        }
        answer
    }
}

fn authenticate(
    account: &Account,
    request: &Request,
    auth: Auth,
) -> Result<(String, Option<Grant>), Failure> {
    let parameter = request.query("authorization");
    let header = request
        .header("Authorization")
        .map(str::to_owned)
        .or(parameter);
    let header = match (auth, header) {
        (Auth::Nobody, None) => return Ok((String::new(), None)),
        (Auth::Nobody, Some(_)) => {
            return Err(Failure::Call(
                "Your request includes an Authorization header, but this function does not \
                 use it."
                    .into(),
            ));
        }
        (Auth::User | Auth::App, None) => {
            return Err(Failure::Call(
                "Must provide HTTP header \"Authorization\" or URL parameter \"authorization\"."
                    .into(),
            ));
        }
        (Auth::User | Auth::App, Some(header)) => header,
    };
    if auth == Auth::App {
        let credentials = oauth::basic_credentials(&header);
        let known = |(id, secret): &(String, String)| account.oauth.apps.get(id) == Some(secret);
        return match credentials.filter(known) {
            Some(_) => Ok((String::new(), None)),
            None => Err(Failure::Call(
                "Invalid \"Authorization\" header: Invalid app key or secret.".into(),
            )),
        };
    }
    let Some(token) = header.strip_prefix("Bearer ") else {
        return Err(Failure::Call(
            "Invalid authorization value in HTTP header \"Authorization\": expecting \
             \"Bearer <token>\"."
                .into(),
        ));
    };
    let grant = account.oauth.grants.get(token);
    let grant = grant.ok_or_else(|| Failure::Auth(tag("invalid_access_token")))?;
    if grant.expires <= account.clock.now() {
        return Err(Failure::Auth(tag("expired_access_token")));
    }
    Ok((token.to_owned(), Some(grant.clone())))
}

/// Which tree a call is about, by its path root.
fn check_path_root(account: &Account, request: &Request) -> Result<Space, Failure> {
    let Some(header) = request.header("Dropbox-API-Path-Root") else {
        return Ok(Space::Home);
    };
    let malformed =
        || Failure::Call("Invalid \"Dropbox-API-Path-Root\" header: could not decode.".into());
    let root: Value = serde_json::from_str(header).map_err(|_| malformed())?;
    let tag_name = root.as_str().or_else(|| root.get(".tag")?.as_str());
    let named = |name: &str| root.get(name).and_then(Value::as_str).map(str::to_owned);
    let own = |name: &str| named(name).as_ref() == Some(&account.namespace);
    let team = |name: &str| {
        let namespace = account.team.as_ref().map(|(namespace, _)| namespace);
        named(name).is_some_and(|it| namespace == Some(&it))
    };
    match tag_name {
        Some("home") => Ok(Space::Home),
        Some("root") if team("root") => Ok(Space::Team),
        Some("root") if account.team.is_none() && own("root") => Ok(Space::Home),
        Some("namespace_id") if team("namespace_id") => Ok(Space::Team),
        Some("namespace_id") if own("namespace_id") => Ok(Space::Home),
        Some("root") => Err(Failure::PathRoot(json!({
            ".tag": "invalid_root",
            "invalid_root": users::root_info(account),
        }))),
        Some("namespace_id") => Err(Failure::PathRoot(tag("no_permission"))),
        _ => Err(malformed()),
    }
}

fn check_content_type(request: &Request, style: Style) -> Result<(), Failure> {
    let given = request.header("Content-Type").unwrap_or_default();
    let plain: String = given.to_ascii_lowercase().split_whitespace().collect();
    let (fits, expected) = match style {
        Style::Rpc => (
            matches!(
                plain.as_str(),
                "application/json"
                    | "application/json;charset=utf-8"
                    | "text/plain;charset=dropbox-cors-hack"
            ) || (plain.is_empty() && request.body.is_empty()),
            "\"application/json\", \"application/json; charset=utf-8\", \
             \"text/plain; charset=dropbox-cors-hack\"",
        ),
        Style::Upload => (
            matches!(
                plain.as_str(),
                "application/octet-stream" | "text/plain;charset=dropbox-cors-hack"
            ),
            "\"application/octet-stream\", \"text/plain; charset=dropbox-cors-hack\"",
        ),
        Style::Download => (
            matches!(
                plain.as_str(),
                "" | "text/plain"
                    | "text/plain;charset=utf-8"
                    | "application/octet-stream"
                    | "application/octet-stream;charset=utf-8"
            ),
            "\"text/plain\", \"text/plain; charset=utf-8\", \"application/octet-stream\", \
             \"application/octet-stream; charset=utf-8\"",
        ),
    };
    if fits {
        return Ok(());
    }
    Err(Failure::Call(format!(
        "Bad HTTP \"Content-Type\" header: \"{given}\".  Expecting one of {expected}."
    )))
}

/// The argument, and where it was found.
fn argument(request: &Request, style: Style) -> Result<(Value, &'static str), Failure> {
    const HEADER: &str = "HTTP header \"Dropbox-API-Arg\"";
    const PARAMETER: &str = "URL parameter \"arg\"";
    const BODY: &str = "request body";
    let undecodable =
        |place: &str| Failure::Call(format!("{place}: could not decode input as JSON"));
    if style == Style::Rpc {
        if request.body.is_empty() {
            return Ok((Value::Null, BODY));
        }
        let arg = serde_json::from_slice(&request.body).map_err(|_| undecodable(BODY))?;
        return Ok((arg, BODY));
    }
    if style == Style::Download && !request.body.is_empty() {
        return Err(Failure::Call(
            "Non-empty HTTP request body: expected it to be empty.".into(),
        ));
    }
    let (text, place) = match (request.header("Dropbox-API-Arg"), request.query("arg")) {
        // 0x7F may not stand in a header either: it has to be escaped.
        (Some(text), _) if !text.is_ascii() || text.contains('\u{7f}') => {
            return Err(undecodable(HEADER));
        }
        (Some(text), _) => (text.to_owned(), HEADER),
        (None, Some(text)) => (text, PARAMETER),
        (None, None) => {
            return Err(Failure::Call(
                "Must provide HTTP header \"Dropbox-API-Arg\" or URL parameter \"arg\".".into(),
            ));
        }
    };
    let arg = serde_json::from_str(&text).map_err(|_| undecodable(place))?;
    Ok((arg, place))
}
