//! Faults, the log and the hook: what a test breaks, sees and runs.

use std::time::Duration;

use dropbox_standin::{Delivery, Effect, Endpoint, Fault, When};
use serde_json::json;

use crate::verbs::{Client, client, request, told};

fn struck(route: &str, effect: Effect) -> Client {
    let client = client();
    client.standin.put("/f", b"contents");
    client
        .standin
        .inject(Fault::new(route, When::Nth(1), effect));
    client
}

#[test]
fn status_is_sent_once_and_nothing_applied() {
    let client = struck("files/upload", Effect::Status(500, "oops".into()));
    let told = client.upload("/a", b"1", json!({}));
    assert_eq!((told.status, told.text.as_str()), (500, "oops"));
    assert_eq!(client.standin.read("/a"), None);
    client.upload("/a", b"1", json!({})).ok();
}

#[test]
fn rate_limit_is_json_with_retry_after() {
    let effect = Effect::TooManyRequests {
        retry_after: Some(7),
        as_text: false,
    };
    let client = struck("", effect);
    let request = client.rpc_request("files/list_folder", &json!({"path": ""}));
    let response = client.standin.handle(request);
    assert_eq!(
        (response.status, response.header("Retry-After")),
        (429, Some("7"))
    );
    let error = json!({"reason": {".tag": "too_many_requests"}});
    assert_eq!(told(&response).json["error"], error);
}

#[test]
fn rate_limit_can_be_a_text_without_header() {
    let client = struck(
        "",
        Effect::TooManyRequests {
            retry_after: None,
            as_text: true,
        },
    );
    let response = client
        .standin
        .handle(client.rpc_request("check/user", &json!({})));
    assert_eq!(
        (response.status, response.header("Retry-After")),
        (429, None)
    );
    assert!(told(&response).json.is_null());
}

#[test]
fn lock_contention_has_the_shape_of_the_route() {
    let tag = "too_many_write_operations";
    let client = struck("", Effect::TooManyWriteOperations);
    let told = client.upload("/a", b"1", json!({}));
    assert_eq!(
        (told.status, &told.json["error"]["reason"][".tag"]),
        (429, &json!(tag))
    );
    let client = struck("", Effect::TooManyWriteOperations);
    assert_eq!(
        client
            .rpc("files/delete_v2", json!({"path": "/f"}))
            .summary(),
        tag
    );
    let client = struck("", Effect::TooManyWriteOperations);
    let told = client.rpc("files/create_folder_v2", json!({"path": "/A"}));
    assert_eq!(told.summary(), format!("path/{tag}"));
    let client = struck("", Effect::TooManyWriteOperations);
    let cursor = json!({"session_id": "x", "offset": 0});
    let arg = json!({"entries": [{"cursor": cursor, "commit": {"path": "/a"}}]});
    let told = client.rpc("files/upload_session/finish_batch_v2", arg).ok();
    assert_eq!(told["entries"][0]["failure"][".tag"], tag);
    let client = struck("", Effect::TooManyWriteOperations);
    let told = client.rpc("files/list_folder", json!({"path": ""}));
    assert_eq!(
        (told.status, &told.json["error"]["reason"][".tag"]),
        (429, &json!(tag))
    );
}

#[test]
fn cut_before_applies_nothing_and_cut_after_everything() {
    for (effect, applied) in [(Effect::CutBefore, false), (Effect::CutAfter, true)] {
        let client = struck("files/upload", effect);
        let request = client.up_request("files/upload", &json!({"path": "/a"}), b"1");
        assert_eq!(client.standin.handle(request).delivery, Delivery::NoAnswer);
        assert_eq!(client.standin.read("/a").is_some(), applied);
        assert_eq!(client.standin.requests()[0].applied, applied);
    }
}

#[test]
fn contents_can_be_damaged_or_cut_on_the_way_down() {
    let client = struck("download", Effect::Corrupt(3));
    let body = client.download("/f", &[]).body.to_vec();
    assert_ne!(body, b"contents");
    assert_eq!(body.len(), 8);
    assert_eq!(client.download("/f", &[]).body.to_vec(), b"contents");
    let client = struck("download", Effect::Truncate(3));
    assert_eq!(client.download("/f", &[]).delivery, Delivery::Cut(3));
}

#[test]
fn contents_can_be_damaged_on_the_way_up() {
    let client = struck("files/upload", Effect::CorruptUpload);
    client.upload("/a", b"contents", json!({})).ok();
    assert_ne!(client.standin.read("/a").unwrap(), b"contents");
}

#[test]
fn answer_can_stall() {
    let time = Duration::from_secs(5);
    let client = struck("download", Effect::Stall(time));
    assert_eq!(client.download("/f", &[]).delivery, Delivery::Stall(time));
}

#[test]
fn captive_portal_answers_html_for_everything() {
    let client = struck("", Effect::Html);
    let response = client.download("/f", &[]);
    assert_eq!(response.status, 200);
    assert!(
        response
            .header("Content-Type")
            .unwrap()
            .starts_with("text/html")
    );
}

#[test]
fn token_can_expire_under_way() {
    let client = struck("files/upload", Effect::ExpireToken);
    let told = client.upload("/a", b"1", json!({}));
    assert_eq!(
        (told.status, &told.json["error"][".tag"]),
        (401, &json!("expired_access_token"))
    );
    assert_eq!(client.upload("/a", b"1", json!({})).status, 401);
}

#[test]
fn page_can_be_told_twice() {
    let client = struck("files/list_folder", Effect::DuplicatePage);
    let (entries, _) = client.list(json!({"path": ""}));
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0], entries[1]);
}

#[test]
fn approval_is_not_struck() {
    let client = client();
    client
        .standin
        .inject(Fault::new("", When::Nth(1), Effect::Html));
    client
        .standin
        .approve("/oauth2/authorize?client_id=standin-key&response_type=code")
        .unwrap();
    assert!(client.standin.requests().is_empty());
    let response = client.download("/f", &[]);
    assert!(
        response
            .header("Content-Type")
            .unwrap()
            .starts_with("text/html")
    );
}

#[test]
fn cleared_faults_strike_no_more() {
    let client = client();
    client
        .standin
        .inject(Fault::new("", When::Always, Effect::Html));
    client.standin.clear_faults();
    client.rpc("users/get_current_account", json!(null)).ok();
}

#[test]
fn log_tells_route_status_and_sizes_but_no_secret() {
    let client = client();
    client.upload("/a", b"123", json!({})).ok();
    client.upload("/a", b"4", json!({})).error();
    let form = b"grant_type=refresh_token&refresh_token=top-secret&client_id=standin-key";
    let exchange = request(Endpoint::Api, "/oauth2/token", &[], form);
    assert_eq!(client.standin.handle(exchange).status, 400);
    let log = client.standin.requests();
    assert_eq!(
        (log[0].route.as_str(), log[0].status, log[0].bytes_in),
        ("files/upload", 200, 3)
    );
    assert_eq!(log[0].arg, json!({"path": "/a"}));
    assert!(log[0].applied && !log[1].applied);
    assert_eq!(log[2].route, "oauth2/token");
    let shown = format!("{log:?}");
    assert!(!shown.contains(&client.token) && !shown.contains("top-secret"));
    client.standin.clear_requests();
    assert!(client.standin.requests().is_empty());
}

#[test]
fn hook_can_edit_the_account_before_a_call() {
    let client = client();
    let rev = client.standin.put("/f", b"1");
    let standin = client.standin.clone();
    client.standin.on_request(Box::new(move |request| {
        assert_eq!(request.path(), "/2/files/upload");
        standin.put("/f", b"meanwhile");
    }));
    let mode = json!({"mode": {".tag": "update", "update": rev}});
    assert_eq!(
        client.upload("/f", b"2", mode).summary(),
        "path/conflict/file"
    );
}

#[test]
fn same_seed_gives_the_same_answers() {
    let run = || {
        let client = client();
        let told = client.upload("/a", b"1", json!({})).ok();
        let (_, cursor) = client.list(json!({"path": ""}));
        let error = client.upload("/a", b"2", json!({})).text;
        (client.token, told, cursor, error)
    };
    assert_eq!(run(), run());
}
