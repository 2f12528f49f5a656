//! What the real service has answered, asked again: the stand-in answers in the same shape, that is
//! status, content type, tags and fields. Values differ.

use std::collections::BTreeMap;

use dropbox_standin::{Effect, Endpoint, Fault, Request, Response, Standin, When};
use serde_json::{Value, json};

use crate::verbs::{Client, client, header};

#[path = "../../recorded/reader.rs"]
mod reader;

/// Routes of recordings that are not modelled: the older forms of `copy_v2`, `create_folder_v2`,
/// `delete_v2` and `move_v2`, and shared links.
const NOT_MODELLED: [&str; 5] = [
    "files/copy",
    "files/create_folder",
    "files/delete",
    "files/move",
    "sharing/list_shared_links",
];

/// What the service tells since later than some recordings.
const YOUNGER: [&str; 9] = [
    "content_hash",
    "is_downloadable",
    "has_more",
    "root_info",
    "server_deleted",
    "country",
    "scope",
    "uid",
    "account_id",
];

/// One call: what was asked and what was answered.
struct Exchange {
    request: Value,
    response: Value,
}

/// The cases of all files, by `file/case`.
fn cases() -> BTreeMap<String, Vec<Exchange>> {
    let exchange = |call: &Value| Exchange {
        request: call["request"].clone(),
        response: call["response"].clone(),
    };
    let all = reader::cases("recorded").into_iter();
    all.map(|(name, calls)| (name, calls.iter().map(exchange).collect()))
        .collect()
}

/// An account in which a recorded request finds what it found, and what stands for the ids that
/// the recording got from earlier calls.
struct Stage {
    client: Client,
    known: Vec<(String, String)>,
}

impl Stage {
    fn stands_for(&mut self, recorded: &Value, ours: &Value) {
        if let (Some(recorded), Some(ours)) = (recorded.as_str(), ours.as_str()) {
            self.known.push((recorded.to_owned(), ours.to_owned()));
        }
    }

    /// A text of the recording with our ids.
    fn ours(&self, text: &str) -> String {
        let known = self.known.iter();
        known.fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }

    fn job(&mut self, call: &Exchange, route: &str, arg: Value) {
        let started = self.client.rpc(route, arg).ok();
        let asked = parsed(&call.request["body"]);
        self.stands_for(&asked["async_job_id"], &started["async_job_id"]);
    }

    fn rev_of(&self, path: &str) -> Value {
        let found = self
            .client
            .rpc("files/get_metadata", json!({ "path": path }));
        found.ok()["rev"].clone()
    }
}

fn parsed(text: &Value) -> Value {
    serde_json::from_str(text.as_str().unwrap()).unwrap_or_default()
}

/// What the request is about, wherever it says so.
fn argument(request: &Value) -> Value {
    match request["headers"].get("dropbox-api-arg") {
        Some(arg) => parsed(arg),
        None => parsed(&request["body"]),
    }
}

/// Makes the account what a case found.
fn prepare(name: &str, calls: &[Exchange]) -> Stage {
    let mut stage = Stage {
        client: client(),
        known: Vec::new(),
    };
    let standin = stage.client.standin.clone();
    // The one the recordings name as their own.
    standin.set_root_namespace("1111111");
    let first = &calls[0];
    let arg = argument(&first.request);
    let path = arg["path"].as_str().unwrap_or_default();
    match name {
        "client/raise_on_401" | "client/refresh_token_on_401" => standin.expire_access_tokens(),
        "list_folder/not_found" | "get_metadata/not_found" | "download/not_found" => {}
        "get_metadata/deleted" | "get_metadata/success_deleted" => {
            standin.put(path, b"x");
            standin.remove(path);
        }
        "get_metadata/success_folder" => standin.mkdir(path),
        "get_metadata/success_file" | "download/success" | "restore/invalid_revision" => {
            standin.put(path, b"Opened the");
        }
        "restore/success" => {
            standin.put(path, b"first");
            let rev = stage.rev_of(path);
            stage.stands_for(&arg["rev"], &rev);
            standin.put(path, b"second");
        }
        "list_revisions/success" => {
            standin.put(path, b"first");
            standin.put(path, b"second");
            standin.remove(path);
        }
        "list_folder_continue/success" => {
            standin.mkdir("/ivy");
            let listed = stage
                .client
                .rpc("files/list_folder", json!({ "path": "/ivy" }))
                .ok();
            stage.stands_for(&arg["cursor"], &listed["cursor"]);
        }
        "list_folder_longpoll/success" => {
            standin.mkdir("/attic/lemon");
            let listed = json!({ "path": "/attic/lemon" });
            let listed = stage.client.rpc("files/list_folder", listed).ok();
            stage.stands_for(&arg["cursor"], &listed["cursor"]);
            standin.put("/attic/lemon/other", b"x");
        }
        "list_folder_get_latest_cursor/success" => standin.mkdir("/ivy"),
        "upload/success_add" | "upload/success_overwrite" | "upload/success_update" => {
            standin.put(path, b"before");
        }
        _ => {
            prepare_batch(name, &mut stage, &arg);
            start_job(name, &mut stage, first);
        }
    }
    if name.starts_with("list_folder") || name.starts_with("client") {
        stage.list_what_was_listed(calls);
    }
    stage
}

/// What a batch finds.
fn prepare_batch(name: &str, stage: &mut Stage, arg: &Value) {
    let standin = stage.client.standin.clone();
    match name {
        "copy_batch/success" | "copy_batch/autorename_success" => {
            standin.put(arg["entries"][0]["from_path"].as_str().unwrap(), b"x");
        }
        "create_folder_batch/conflict_error" | "create_folder_batch/autorename_true" => {
            standin.mkdir(arg["paths"][0].as_str().unwrap());
        }
        "delete_batch/multiple_entry_success" => {
            standin.mkdir("/oak_1");
            standin.mkdir("/oak_2");
        }
        "delete_batch/single_entry_success" => {
            standin.put("/oak/pine.docx", b"x");
            let rev = stage.rev_of("/oak/pine.docx");
            stage.stands_for(&arg["entries"][0]["parent_rev"], &rev);
        }
        _ => {}
    }
}

/// The job that a check asks about.
fn start_job(name: &str, stage: &mut Stage, first: &Exchange) {
    let standin = stage.client.standin.clone();
    let entries = parsed(&first.response["body"])["entries"].clone();
    match name {
        "copy_batch_check/complete" => {
            standin.mkdir("/a");
            standin.put("/f", b"x");
            let entry = |from: &str, to: &str| json!({ "from_path": from, "to_path": to });
            let entries = [entry("/a", "/b"), entry("/f", "/g"), entry("/no", "/h")];
            stage.job(first, "files/copy_batch_v2", json!({ "entries": entries }));
        }
        "create_folder_batch_check/mixed_entries" => {
            let name = |(at, entry): (usize, &Value)| {
                if entry["failure"]["path"][".tag"] == "malformed_path" {
                    return format!("/{}", "d".repeat(300 + at));
                }
                let path = format!("/d{at}");
                if entry[".tag"] == "failure" {
                    standin.mkdir(&path);
                }
                path
            };
            let paths = entries.as_array().unwrap().iter().enumerate().map(name);
            let arg = json!({ "paths": paths.collect::<Vec<_>>(), "force_async": true });
            stage.job(first, "files/create_folder_batch", arg);
        }
        "delete_batch_check/mixed_entries" => {
            let entry = |(at, entry): (usize, &Value)| {
                let path = format!("/d{at}");
                match entry["failure"][".tag"].as_str() {
                    Some("path_write") => {
                        standin.put(&path, b"x");
                        let rev = stage.rev_of(&path);
                        standin.put(&path, b"y");
                        json!({ "path": path, "parent_rev": rev })
                    }
                    Some(_) => json!({ "path": path }),
                    None if entry["metadata"][".tag"] == "folder" => {
                        standin.mkdir(&path);
                        json!({ "path": path })
                    }
                    None => {
                        standin.put(&path, b"x");
                        json!({ "path": path })
                    }
                }
            };
            let list: Vec<Value> = entries
                .as_array()
                .unwrap()
                .iter()
                .enumerate()
                .map(entry)
                .collect();
            stage.job(first, "files/delete_batch", json!({ "entries": list }));
        }
        _ => {}
    }
}

impl Stage {
    /// Everything is there that a recorded listing tells of.
    fn list_what_was_listed(&self, calls: &[Exchange]) {
        for call in calls {
            let answer = parsed(&call.response["body"]);
            let path = argument(&call.request)["path"].clone();
            let is_listing = call.request["route"] == "files/list_folder";
            if is_listing && call.response["status"] == 200 {
                if let Some(path) = path.as_str().filter(|path| !path.is_empty()) {
                    self.client.standin.mkdir(path);
                }
                for entry in answer["entries"].as_array().into_iter().flatten() {
                    let path = entry["path_display"].as_str().unwrap();
                    match entry[".tag"].as_str() {
                        Some("folder") if entry["sharing_info"].is_object() => {
                            self.client.standin.set_read_only(path);
                        }
                        Some("folder") if entry["sharing_info"].is_object() => {
                            self.client.standin.set_read_only(path);
                        }
                        Some("folder") => self.client.standin.mkdir(path),
                        _ => drop(self.client.standin.put(path, b"x")),
                    }
                }
            }
        }
    }

    /// Asks what was asked.
    fn ask(&self, name: &str, call: &Exchange) -> Response {
        let recorded = &call.request;
        let route = recorded["route"].as_str().unwrap();
        let endpoint = match recorded["host"].as_str().unwrap() {
            "content" => Endpoint::Content,
            "notify" => Endpoint::Notify,
            _ => Endpoint::Api,
        };
        let mut headers = Vec::new();
        for (key, value) in recorded["headers"].as_object().unwrap() {
            let value = self.ours(value.as_str().unwrap());
            if !value.is_empty() {
                headers.push(header(key, &value));
            }
        }
        let mut body = self.ours(recorded["body"].as_str().unwrap());
        if route == "oauth2/token" {
            body = self.token_request(name);
        } else if endpoint != Endpoint::Notify {
            headers.push(header(
                "Authorization",
                &format!("Bearer {}", self.client.token),
            ));
        }
        let target = match route {
            "oauth2/token" => "/oauth2/token".to_owned(),
            route => format!("/2/{route}"),
        };
        self.client.standin.handle(Request {
            endpoint,
            method: "POST".to_owned(),
            target,
            headers,
            body: body.into_bytes(),
        })
    }

    /// A sign-in of ours, or the renewal after one.
    fn token_request(&self, name: &str) -> String {
        let refreshable = if name.ends_with("short_lived_token") {
            ""
        } else {
            "&token_access_type=offline"
        };
        let code = approved(&self.client.standin, refreshable);
        let by_code = format!(
            "client_id=standin-key&client_secret=standin-secret\
             &grant_type=authorization_code&code={code}"
        );
        if name.starts_with("authenticator") {
            return by_code;
        }
        let headers = vec![header("Content-Type", "application/x-www-form-urlencoded")];
        let answer = self.client.standin.handle(Request {
            endpoint: Endpoint::Api,
            method: "POST".to_owned(),
            target: "/oauth2/token".to_owned(),
            headers,
            body: by_code.into_bytes(),
        });
        let granted: Value = serde_json::from_slice(&answer.body).unwrap();
        let token = granted["refresh_token"].as_str().unwrap();
        format!(
            "client_id=standin-key&client_secret=standin-secret&grant_type=refresh_token\
             &refresh_token={token}"
        )
    }
}

fn approved(standin: &Standin, more: &str) -> String {
    let page = "https://www.dropbox.com/oauth2/authorize?client_id=standin-key&response_type=code";
    standin.approve(&format!("{page}{more}")).unwrap()
}

/// Where an answer differs in shape from the recorded one.
fn differences(place: &str, recorded: &Value, ours: &Value, found: &mut Vec<String>) {
    match (recorded, ours) {
        (Value::Object(recorded), Value::Object(ours)) => {
            for (key, value) in recorded {
                match ours.get(key) {
                    None => found.push(format!("{place}.{key} is missing")),
                    Some(our) if key == ".tag" && our != value => {
                        found.push(format!("{place}.{key} is {our}, was {value}"));
                    }
                    Some(our) => differences(&format!("{place}.{key}"), value, our, found),
                }
            }
            let more = ours
                .keys()
                .filter(|key| !recorded.contains_key(*key) && !YOUNGER.contains(&key.as_str()));
            found.extend(more.map(|key| format!("{place}.{key} is new")));
        }
        (Value::Array(recorded), Value::Array(ours)) => {
            // Listings hold what is there: one entry of a kind stands for all.
            for (at, value) in recorded.iter().enumerate() {
                let is_like = |our: &&Value| {
                    let names = (our.get("name"), value.get("name"));
                    our[".tag"] == value[".tag"] && (names.0 == names.1 || value["name"].is_null())
                };
                let same = ours.get(at).filter(is_like);
                match same.or_else(|| ours.iter().find(is_like)) {
                    Some(our) => differences(&format!("{place}[{at}]"), value, our, found),
                    None => found.push(format!("{place}[{at}] is missing")),
                }
            }
        }
        (Value::String(_), Value::String(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::Bool(_), Value::Bool(_))
        | (Value::Null, Value::Null) => {}
        _ => found.push(format!("{place} is {ours}, was {recorded}")),
    }
}

fn compare(call: &Exchange, response: &Response) -> Vec<String> {
    let recorded = &call.response;
    let mut found = Vec::new();
    if recorded["status"] != response.status {
        let body = String::from_utf8_lossy(&response.body).into_owned();
        found.push(format!(
            "status {} {body}, was {}",
            response.status, recorded["status"]
        ));
        return found;
    }
    let type_of = |value: &str| value.split(';').next().unwrap().trim().to_owned();
    let was = type_of(recorded["headers"]["content-type"].as_str().unwrap());
    let is = type_of(response.header("Content-Type").unwrap_or_default());
    if was != is {
        found.push(format!("content type {is}, was {was}"));
    }
    for name in ["retry-after", "dropbox-api-result", "etag"] {
        let (was, is) = (recorded["headers"].get(name), response.header(name));
        match (was, is) {
            (Some(was), Some(is)) if name == "dropbox-api-result" => {
                let is = serde_json::from_str(is).unwrap();
                differences(name, &parsed(was), &is, &mut found);
            }
            (Some(_), Some(_)) => {}
            (was, is) if was.is_some() != is.is_some() && response.status != 206 => {
                found.push(format!("{name} is {is:?}, was {was:?}"));
            }
            _ => {}
        }
    }
    let body = recorded["body"].as_str().unwrap();
    match serde_json::from_str::<Value>(body) {
        Ok(was) => {
            let is = serde_json::from_slice(&response.body).unwrap_or_default();
            differences("", &was, &is, &mut found);
        }
        Err(_) if response.status == 400 => {
            let is = String::from_utf8_lossy(&response.body);
            if is != body {
                found.push(format!("says {is}, said {body}"));
            }
        }
        Err(_) => {}
    }
    found
}

#[test]
fn what_was_asked_of_the_service_is_answered_in_the_same_shape() {
    let (mut asked, mut left_out) = (0, 0);
    let mut found = Vec::new();
    for (name, calls) in cases() {
        let mut stage = prepare(&name, &calls);
        for call in &calls {
            if NOT_MODELLED.contains(&call.request["route"].as_str().unwrap())
                || argument(&call.request).get("shared_link").is_some()
            {
                left_out += 1;
                continue;
            }
            asked += 1;
            if name == "upload/too_many_write_operations" && call.response["status"] == 429 {
                let busy = Fault::new("upload", When::Always, Effect::TooManyWriteOperations);
                stage.client.standin.inject(busy);
            }
            let response = stage.ask(&name, call);
            let differing = compare(call, &response);
            found.extend(differing.into_iter().map(|it| format!("{name}: {it}")));
            // Ids of this answer stand for those of the recorded one in later calls.
            let (was, is) = (parsed(&call.response["body"]), &response.body);
            let is: Value = serde_json::from_slice(is).unwrap_or_default();
            for field in ["session_id", "cursor", "rev", "async_job_id"] {
                stage.stands_for(&was[field], &is[field]);
            }
            if was["access_token"].is_string()
                && let Some(token) = is["access_token"].as_str()
            {
                token.clone_into(&mut stage.client.token);
            }
        }
    }
    assert_eq!((asked, left_out), (76, 16), "{}", found.join("\n"));
    assert!(found.is_empty(), "{}", found.join("\n"));
}
