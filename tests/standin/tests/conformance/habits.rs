//! What the service does in more than one way, switched.

use dropbox_standin::{Endpoint, Request, ResultHeader};
use serde_json::{Value, json};

use crate::verbs::{Client, client, header};

fn metadata(client: &Client, path: &str) -> u16 {
    let told = client.rpc("files/get_metadata", json!({ "path": path }));
    told.status
}

#[test]
fn reads_lag_behind_writes_by_so_many_looks() {
    let client = client();
    client.standin.change_habits(|it| it.lag = 2);
    client.upload("/a", b"a", json!({})).ok();
    assert_eq!(metadata(&client, "/a"), 409);
    let listed = client.rpc("files/list_folder", json!({ "path": "" })).ok();
    assert_eq!(listed["entries"], json!([]));
    assert_eq!(metadata(&client, "/a"), 200);
    // Nothing that lagged is missed by who goes on from there.
    let (entries, _) = client.changes(listed["cursor"].as_str().unwrap());
    assert_eq!(entries.len(), 1);
}

#[test]
fn empty_pages_come_before_those_with_entries_and_have_cursors_of_their_own() {
    let client = client();
    client.standin.put("/a", b"a");
    client.standin.change_habits(|it| it.empty_pages = 3);
    let mut page = client.rpc("files/list_folder", json!({ "path": "" })).ok();
    let mut cursors = Vec::new();
    for _ in 0..3 {
        assert_eq!(
            (&page["entries"], &page["has_more"]),
            (&json!([]), &json!(true))
        );
        assert!(!cursors.contains(&page["cursor"]));
        cursors.push(page["cursor"].clone());
        let arg = json!({ "cursor": page["cursor"] });
        page = client.rpc("files/list_folder/continue", arg).ok();
    }
    assert_eq!(page["entries"].as_array().unwrap().len(), 1);
    assert_eq!(page["has_more"], json!(false));
}

#[test]
fn what_is_put_into_a_folder_just_made_is_refused_once() {
    let client = client();
    client
        .standin
        .change_habits(|it| it.refuses_in_new_folders = true);
    client.upload("/d/a", b"a", json!({})).ok();
    let told = client.upload("/d/b", b"b", json!({}));
    assert_eq!(told.status, 409);
    client.upload("/d/b", b"b", json!({})).ok();
    client.upload("/d/c", b"c", json!({})).ok();
    let made = |path: &str| client.rpc("files/create_folder_v2", json!({ "path": path }));
    made("/e").ok();
    assert_eq!(made("/e/f").status, 409);
    made("/e/f").ok();
    // A person is never refused, and what a person made is known.
    client.standin.mkdir("/g");
    made("/g/h").ok();
}

#[test]
fn an_empty_append_is_checked_or_not() {
    for checks in [true, false] {
        let client = client();
        client
            .standin
            .change_habits(|it| it.checks_empty_appends = checks);
        let started = client
            .up("files/upload_session/start", json!({}), b"123")
            .ok();
        let cursor = json!({ "session_id": started["session_id"], "offset": 0 });
        let arg = json!({ "cursor": cursor });
        let told = client.up("files/upload_session/append_v2", arg.clone(), b"");
        assert_eq!(told.status, if checks { 409 } else { 200 });
        let told = client.up("files/upload_session/append_v2", arg, b"4");
        assert_eq!(told.status, 409, "with bytes it counts");
    }
}

#[test]
fn the_result_of_a_download_is_ascii_or_utf8_or_missing() {
    let client = client();
    client.standin.put("/\u{dc}", b"x");
    for (habit, has, is_ascii) in [
        (ResultHeader::Ascii, true, true),
        (ResultHeader::Utf8, true, false),
        (ResultHeader::Missing, false, true),
    ] {
        client.standin.change_habits(|it| it.result_header = habit);
        let answer = client.download("/\u{dc}", &[]);
        let result = answer.header("Dropbox-API-Result");
        assert_eq!(result.is_some(), has, "{habit:?}");
        assert_eq!(result.is_none_or(str::is_ascii), is_ascii, "{habit:?}");
    }
}

#[test]
fn names_beyond_the_bmp_are_malformed_where_that_is_so() {
    let client = client();
    client.upload("/\u{1f680}", b"x", json!({})).ok();
    client
        .standin
        .change_habits(|it| it.refuses_beyond_bmp = true);
    let told = client.upload("/\u{1f681}", b"x", json!({}));
    assert_eq!(told.summary(), "path/malformed_path");
    client.upload("/\u{e9}\t", b"x", json!({})).ok();
}

#[test]
fn a_refusal_has_the_message_it_is_to_have_and_its_summary_as_its_reason() {
    let client = client();
    client.standin.change_habits(|it| {
        it.user_message = Some(json!("plain"));
        it.summary_as_reason = true;
    });
    let arg = json!({ "path": "/none" });
    let request = client.rpc_request("files/get_metadata", &arg);
    let answer = client.standin.handle(request);
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(body["user_message"], json!("plain"));
    assert_eq!(answer.reason.as_deref(), body["error_summary"].as_str());
}

#[test]
fn an_app_folder_that_is_gone_is_not_found() {
    let client = client();
    let listed = client.rpc("files/list_folder", json!({ "path": "" })).ok();
    client
        .standin
        .change_habits(|it| it.app_folder_is_gone = true);
    let told = client.rpc("files/list_folder", json!({ "path": "" }));
    assert_eq!(told.summary(), "path/not_found");
    let arg = json!({ "cursor": listed["cursor"] });
    let told = client.rpc("files/list_folder/continue", arg);
    assert_eq!(told.summary(), "path/not_found");
}

/// What a call with a path root is answered.
fn listed_at(client: &Client, root: Option<&Value>) -> (u16, Value) {
    let Request {
        mut headers,
        target,
        body,
        method,
        ..
    } = client.rpc_request("files/list_folder", &json!({ "path": "" }));
    headers.extend(root.map(|root| header("Dropbox-API-Path-Root", &root.to_string())));
    let answer = client.standin.handle(Request {
        endpoint: Endpoint::Api,
        method,
        target,
        headers,
        body,
    });
    let body = serde_json::from_slice(&answer.body).unwrap_or_default();
    (answer.status, body)
}

#[test]
fn a_team_has_a_space_beside_the_home_of_its_member() {
    let client = client();
    client.standin.put("/home", b"x");
    client.standin.join_team("77");
    client.standin.in_team_space(|it| it.put("/team", b"x"));
    let info = client.rpc("users/get_current_account", Value::Null).ok()["root_info"].clone();
    assert_eq!(info[".tag"], json!("team"));
    assert_eq!(info["root_namespace_id"], json!("77"));
    assert_ne!(info["home_namespace_id"], json!("77"));
    let root = |id: &str| json!({ ".tag": "root", "root": id });
    let names = |(status, body): (u16, Value)| (status, body["entries"][0]["name"].clone());
    assert_eq!(names(listed_at(&client, None)), (200, json!("home")));
    assert_eq!(
        names(listed_at(&client, Some(&root("77")))),
        (200, json!("team"))
    );
    let (status, body) = listed_at(&client, Some(&root("78")));
    assert_eq!(
        (status, &body["error"][".tag"]),
        (422, &json!("invalid_root"))
    );
    assert_eq!(names(listed_at(&client, None)), (200, json!("home")));
}
