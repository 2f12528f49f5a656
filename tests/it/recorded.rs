//! Answers as the real service was recorded to give them (`tests/standin/recorded`): every one of a
//! route that is called is understood, a refusal by its tags.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Cursor as Bytes;

use ferrybox::config::Secret;
use ferrybox::core::invocation::Invocation;
use ferrybox::core::remote::{Cursor, RemotePath, Rev};
use ferrybox::dropbox::api::{Api, Depth, PageSink, Upload};
use ferrybox::dropbox::batch::Relocation;
use ferrybox::dropbox::longpoll::longpoll;
use ferrybox::dropbox::retry::CallError;
use ferrybox::dropbox::tokens::{AccessTokens, Credential};
use ferrybox::dropbox::wire::{CommitInfo, Metadata, SessionCursor, WriteMode};
use ferrybox::error::Error;
use ferrybox::io::deadline::Deadline;
use ferrybox::io::http::{Http, HttpError, Request, Response};
use serde_json::Value;

use crate::world::Clock;

#[path = "../standin/recorded/reader.rs"]
mod reader;

const RECORDED: &str = "tests/standin/recorded";

/// Routes of recordings that the agent does not call, in the forms of the recordings.
const NOT_CALLED: [&str; 8] = [
    "files/copy",
    "files/create_folder",
    "files/delete",
    "files/list_folder/get_latest_cursor",
    "files/list_revisions",
    "files/move",
    "files/restore",
    "sharing/list_shared_links",
];

/// Gives recorded answers, one after the other.
struct Recording(RefCell<Vec<Value>>);

impl Http for Recording {
    fn send(&self, request: Request<'_>) -> Result<Response, HttpError> {
        let mut answers = self.0.borrow_mut();
        assert!(!answers.is_empty(), "{} is asked once more", request.path);
        let answer = answers.remove(0);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let headers = answer["headers"].as_object().unwrap();
        Ok(Response {
            status: answer["status"].as_u64().unwrap() as u16,
            headers: headers
                .iter()
                .map(|(name, value)| (name.to_lowercase(), text(value)))
                .collect(),
            body: Box::new(Bytes::new(text(&answer["body"]).into_bytes())),
        })
    }
}

#[derive(Default)]
struct Entries(Vec<Metadata>);

impl PageSink for Entries {
    fn restart(&mut self) -> Result<(), Error> {
        self.0.clear();
        Ok(())
    }

    fn entry(&mut self, entry: Metadata) -> Result<(), Error> {
        self.0.push(entry);
        Ok(())
    }
}

struct Nothing(std::io::Empty);

impl Upload for Nothing {
    fn len(&self) -> u64 {
        0
    }

    fn rewind(&mut self) -> std::io::Result<&mut dyn std::io::Read> {
        Ok(&mut self.0)
    }

    fn failure(&mut self) -> Option<std::io::Error> {
        None
    }
}

fn told<T: std::fmt::Debug>(outcome: Result<T, CallError>) -> String {
    match outcome {
        Ok(value) => format!("ok {value:?}"),
        Err(CallError::Refused(error)) => format!("refused {}", error.tags()),
        Err(error) => format!("{error:?}"),
    }
}

/// How many entries a batch was about that was answered like this.
fn entries_of(answer: &Value) -> usize {
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap_or_default();
    body["entries"].as_array().map_or(2, Vec::len)
}

/// The answer of a batch, and of the check of its job where it is one.
fn with_check(name: &str, answer: &Value, cases: &BTreeMap<String, Vec<Value>>) -> Vec<Value> {
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap_or_default();
    if body[".tag"] != "async_job_id" {
        return vec![answer.clone()];
    }
    let group = name.split('/').next().unwrap();
    let check = ["complete", "mixed_entries"]
        .iter()
        .find_map(|case| cases.get(&format!("{group}_check/{case}")))
        .unwrap();
    vec![answer.clone(), check[0]["response"].clone()]
}

/// Makes the call of a route, and says what it came to.
fn called(route: &str, answers: Vec<Value>) -> String {
    let entries = entries_of(answers.last().unwrap());
    let http = Recording(RefCell::new(answers));
    let clock = Clock::default();
    let deadline = Deadline::none(&clock);
    let token = Credential::Personal(Secret::new("token"));
    let api = Api::new(
        &http,
        &clock,
        &deadline,
        AccessTokens::new(token, None, false),
    );
    let path = RemotePath::from("/a");
    let cursor = SessionCursor {
        session_id: "s",
        offset: 0,
    };
    let commit = CommitInfo {
        path: &path,
        mode: WriteMode::Add,
        client_modified: "2026-01-01T00:00:00Z",
        mute: true,
    };
    let (mut nothing, mut sink) = (Nothing(std::io::empty()), Entries::default());
    let paths = vec![path.clone(); entries];
    let pairs = vec![(path.clone(), path.clone()); entries];
    let files = vec![(path.clone(), Some(Rev::from("0123456789abcdef"))); entries];
    let asked = match route {
        "oauth2/token" => {
            let answer = Api::redeem_code(&http, &clock, "", &Invocation::default());
            format!("ok {:?}", answer.unwrap().expires_in)
        }
        "auth/token/revoke" => told(api.revoke()),
        "users/get_current_account" => told(api.current_account()),
        "users/get_space_usage" => told(api.free_space()),
        "files/list_folder" => told(api.list_folder(&path, Depth::Everything, &mut sink)),
        "files/list_folder/continue" => {
            told(api.list_folder_continue(&Cursor::from("c"), &mut sink))
        }
        "files/list_folder/longpoll" => {
            format!(
                "ok {:?}",
                longpoll(&http, &clock, &Cursor::from("c"), 480).unwrap()
            )
        }
        "files/get_metadata" => told(api.metadata(&path)),
        "files/download" => told(api.download(&Rev::from("0123456789abcdef"), 0).map(|it| {
            let metadata = it.metadata.unwrap();
            (metadata.name, metadata.size)
        })),
        "files/upload" => told(api.upload(&commit, None, &mut nothing)),
        "files/upload_session/start" => told(
            api.session_start(false, &mut nothing)
                .map(|it| it.session_id),
        ),
        "files/upload_session/append_v2" => told(api.session_append(&cursor, &mut nothing)),
        "files/upload_session/finish" => told(api.session_finish(&cursor, &commit, &mut nothing)),
        "files/copy_batch_v2" => told(api.relocate_batch(Relocation::Copy, &pairs)),
        "files/create_folder_batch" => told(api.create_folder_batch(&paths)),
        "files/delete_batch" => told(api.delete_batch(&files)),
        route => panic!("{route} is called, and not tried"),
    };
    assert!(
        http.0.borrow().is_empty(),
        "{route}: not all of it was read"
    );
    asked
}

#[test]
fn every_recorded_answer_of_a_route_that_is_called_is_understood() {
    let cases = reader::cases(RECORDED);
    let (mut read, mut left_out) = (0, 0);
    for (name, calls) in &cases {
        for (at, call) in calls.iter().enumerate() {
            let route = call["request"]["route"].as_str().unwrap();
            let answer = &call["response"];
            let status = answer["status"].as_u64().unwrap();
            // The check of a job is read with its start, and refused where that is.
            if NOT_CALLED.contains(&route) || route.contains("/check") {
                left_out += 1;
                continue;
            }
            let mut answers = with_check(name, answer, &cases);
            if status == 429 {
                answers.push(calls[at - 1]["response"].clone());
            }
            let outcome = called(route, answers);
            let body = answer["body"].as_str().unwrap();
            let body: Value = serde_json::from_str(body).unwrap_or_default();
            let summary = body["error_summary"].as_str().unwrap_or_default();
            let tags = summary.trim_end_matches(['/', '.']);
            let is_understood = match (status, route) {
                (409, "files/get_metadata") if tags == "path/not_found" => outcome == "ok None",
                (409, _) => outcome == format!("refused {tags}"),
                (401, _) => outcome.contains("Authentication("),
                (422, _) => outcome.contains("End("),
                (400, "files/list_folder/longpoll") => outcome.contains("is_reset: true"),
                _ => outcome.starts_with("ok "),
            };
            assert!(is_understood, "{name}: {status} {tags}: {outcome}");
            read += 1;
        }
    }
    assert_eq!((read, left_out), (66, 26));
}
