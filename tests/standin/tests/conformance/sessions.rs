//! Upload sessions, one by one and in batches.

use dropbox_standin::{BLOCK, content_hash};
use serde_json::{Value, json};

use crate::verbs::{Client, Told, client};

fn start(client: &Client, arg: Value, body: &[u8]) -> String {
    let told = client.up("files/upload_session/start", arg, body).ok();
    told["session_id"].as_str().unwrap().to_owned()
}

fn cursor(id: &str, offset: usize) -> Value {
    json!({"session_id": id, "offset": offset})
}

fn append(client: &Client, id: &str, offset: usize, body: &[u8], close: bool) -> Told {
    let arg = json!({"cursor": cursor(id, offset), "close": close});
    client.up("files/upload_session/append_v2", arg, body)
}

fn finish(client: &Client, id: &str, offset: usize, path: &str, body: &[u8]) -> Told {
    let arg = json!({"cursor": cursor(id, offset), "commit": {"path": path}});
    client.up("files/upload_session/finish", arg, body)
}

fn finish_batch(client: &Client, entries: &[Value]) -> Vec<Value> {
    let arg = json!({ "entries": entries });
    let told = client.rpc("files/upload_session/finish_batch_v2", arg).ok();
    told["entries"].as_array().unwrap().clone()
}

fn entry(id: &str, offset: usize, path: &str) -> Value {
    json!({"cursor": cursor(id, offset), "commit": {"path": path}})
}

#[test]
fn start_append_finish_make_a_file() {
    let client = client();
    let id = start(&client, json!({}), b"one ");
    assert!(append(&client, &id, 4, b"two ", false).ok().is_null());
    let told = finish(&client, &id, 8, "/a", b"three").ok();
    assert_eq!(told["content_hash"], content_hash(b"one two three"));
    assert_eq!(client.standin.read("/a").unwrap(), b"one two three");
}

#[test]
fn wrong_offset_is_told_the_correct_one() {
    let client = client();
    let id = start(&client, json!({}), b"12345");
    let expected = json!({".tag": "incorrect_offset", "correct_offset": 5});
    assert_eq!(append(&client, &id, 3, b"x", false).error(), expected);
    let error = finish(&client, &id, 9, "/a", b"").error();
    assert_eq!(
        error,
        json!({".tag": "lookup_failed", "lookup_failed": expected})
    );
    append(&client, &id, 5, b"x", false).ok();
}

#[test]
fn closed_session_takes_nothing_more() {
    let client = client();
    let id = start(&client, json!({"close": true}), b"1");
    assert_eq!(append(&client, &id, 1, b"x", false).summary(), "closed");
    let told = finish(&client, &id, 1, "/a", b"x");
    assert_eq!(told.summary(), "lookup_failed/closed");
    finish(&client, &id, 1, "/a", b"").ok();
}

#[test]
fn unknown_expired_or_finished_session_is_not_found() {
    let mut client = client();
    assert_eq!(
        append(&client, "nonsense", 0, b"x", false).summary(),
        "not_found"
    );
    let id = start(&client, json!({}), b"1");
    client.standin.advance_clock(7 * 86_400);
    client.token = client.standin.personal_access_token();
    append(&client, &id, 1, b"2", false).ok();
    client.standin.advance_clock(1);
    assert_eq!(append(&client, &id, 2, b"3", false).summary(), "not_found");
    let id = start(&client, json!({}), b"1");
    finish(&client, &id, 1, "/a", b"").ok();
    assert_eq!(
        finish(&client, &id, 1, "/a", b"").summary(),
        "lookup_failed/not_found"
    );
}

#[test]
fn data_of_a_failed_finish_is_kept() {
    let client = client();
    client.standin.put("/a", b"in the way");
    let id = start(&client, json!({}), b"1");
    assert_eq!(
        finish(&client, &id, 1, "/a", b"23").summary(),
        "path/conflict/file"
    );
    finish(&client, &id, 3, "/b", b"").ok();
    assert_eq!(client.standin.read("/b").unwrap(), b"123");
}

#[test]
fn content_hash_is_that_of_the_bytes_of_the_call() {
    let client = client();
    let hash = content_hash(b"1");
    let id = start(&client, json!({ "content_hash": hash }), b"1");
    let arg = |bytes: &[u8]| json!({"cursor": cursor(&id, 1), "content_hash": content_hash(bytes)});
    let told = client.up("files/upload_session/append_v2", arg(b"12"), b"2");
    assert_eq!(told.summary(), "content_hash_mismatch");
    client
        .up("files/upload_session/append_v2", arg(b"2"), b"2")
        .ok();
    let told = client.up(
        "files/upload_session/start",
        json!({ "content_hash": hash }),
        b"2",
    );
    assert_eq!(told.summary(), "content_hash_mismatch");
    let arg = |bytes: &[u8]| {
        let hash = content_hash(bytes);
        json!({"cursor": cursor(&id, 2), "commit": {"path": "/a"}, "content_hash": hash})
    };
    let told = client.up("files/upload_session/finish", arg(b"123"), b"3");
    assert_eq!(told.summary(), "content_hash_mismatch");
    client
        .up("files/upload_session/finish", arg(b"3"), b"3")
        .ok();
    assert_eq!(client.standin.read("/a").unwrap(), b"123");
}

#[test]
fn legacy_append_has_a_flat_argument() {
    let client = client();
    let id = start(&client, json!({}), b"1");
    client
        .up("files/upload_session/append", cursor(&id, 1), b"2")
        .ok();
    finish(&client, &id, 2, "/a", b"").ok();
    assert_eq!(client.standin.read("/a").unwrap(), b"12");
}

#[test]
fn concurrent_session_takes_blocks_in_any_order() {
    let client = client();
    let id = start(&client, json!({"session_type": "concurrent"}), b"");
    let block = vec![7; BLOCK];
    append(&client, &id, BLOCK, &block, false).ok();
    append(&client, &id, 0, &block, false).ok();
    let told = finish(&client, &id, 2 * BLOCK + 3, "/a", b"");
    assert_eq!(told.summary(), "concurrent_session_not_closed");
    append(&client, &id, 2 * BLOCK, b"end", true).ok();
    finish(&client, &id, 2 * BLOCK + 3, "/a", b"").ok();
    assert_eq!(
        client.standin.read("/a").unwrap(),
        [&*block, &*block, b"end"].concat()
    );
}

#[test]
fn concurrent_session_is_strict_about_blocks() {
    let client = client();
    let up = |arg: Value, body: &[u8]| client.up("files/upload_session/start", arg, body);
    let concurrent = json!({"session_type": {".tag": "concurrent"}});
    let told = up(concurrent.clone(), b"x");
    assert_eq!(told.summary(), "concurrent_session_data_not_allowed");
    let told = up(json!({"session_type": "concurrent", "close": true}), b"");
    assert_eq!(told.summary(), "concurrent_session_close_not_allowed");
    let id = start(&client, concurrent, b"");
    let told = append(&client, &id, 5, b"x", true);
    assert_eq!(told.summary(), "concurrent_session_invalid_offset");
    let told = append(&client, &id, 0, b"x", false);
    assert_eq!(told.summary(), "concurrent_session_invalid_data_size");
    let told = finish(&client, &id, 0, "/a", b"x");
    assert_eq!(told.summary(), "concurrent_session_data_not_allowed");
    append(&client, &id, BLOCK, b"end", true).ok();
    let told = finish(&client, &id, BLOCK + 3, "/a", b"");
    assert_eq!(told.summary(), "concurrent_session_missing_data");
}

#[test]
fn three_calls_make_many_files() {
    let client = client();
    let told = client
        .rpc(
            "files/upload_session/start_batch",
            json!({"num_sessions": 3}),
        )
        .ok();
    let ids: Vec<&str> = told["session_ids"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_str().unwrap())
        .collect();
    let piece =
        |id: &str, length: usize| json!({"cursor": cursor(id, 0), "length": length, "close": true});
    let arg = json!({
        "entries": [piece(ids[0], 1), piece(ids[1], 2), piece(ids[2], 0)],
        "content_hash": content_hash(b"abb"),
    });
    let told = client
        .up("files/upload_session/append_batch", arg, b"abb")
        .ok();
    assert_eq!(
        told["entries"],
        json!([{".tag": "success"}, {".tag": "success"}, {".tag": "success"}])
    );
    let results = finish_batch(
        &client,
        &[
            entry(ids[0], 1, "/d/a"),
            entry(ids[1], 2, "/d/b"),
            entry(ids[2], 0, "/d/c"),
        ],
    );
    assert!(results.iter().all(|result| result[".tag"] == "success"));
    assert_eq!(results[1]["path_display"], "/d/b");
    assert_eq!(client.standin.read("/d/b").unwrap(), b"bb");
    assert_eq!(client.standin.read("/d/c").unwrap(), b"");
}

#[test]
fn append_batch_fails_entry_by_entry() {
    let client = client();
    let id = start(&client, json!({}), b"12");
    let arg = json!({"entries": [
        {"cursor": cursor(&id, 0), "length": 1},
        {"cursor": cursor("nonsense", 0), "length": 1},
        {"cursor": cursor(&id, 2), "length": 1, "close": true},
        {"cursor": cursor(&id, 3), "length": 0},
    ]});
    let told = client
        .up("files/upload_session/append_batch", arg, b"xy3")
        .ok();
    let failure = |inner: Value| json!({".tag": "failure", "failure": inner});
    let expected = [
        failure(json!({".tag": "incorrect_offset", "correct_offset": 2})),
        failure(json!({".tag": "not_found"})),
        json!({".tag": "success"}),
        failure(json!({".tag": "closed"})),
    ];
    assert_eq!(told["entries"], json!(expected));
    finish(&client, &id, 3, "/a", b"").ok();
    assert_eq!(client.standin.read("/a").unwrap(), b"123");
}

#[test]
fn append_batch_checks_length_and_hash_of_the_whole() {
    let client = client();
    let id = start(&client, json!({}), b"");
    let arg = json!({"entries": [{"cursor": cursor(&id, 0), "length": 2}]});
    let told = client.up("files/upload_session/append_batch", arg.clone(), b"123");
    assert_eq!(told.summary(), "length_mismatch");
    let mut arg = arg;
    arg["content_hash"] = json!(content_hash(b"1"));
    let told = client.up("files/upload_session/append_batch", arg, b"12");
    assert_eq!(told.summary(), "content_hash_mismatch");
}

#[test]
fn finish_batch_fails_entry_by_entry_in_order() {
    let client = client();
    client.standin.put("/taken", b"0");
    let open = start(&client, json!({}), b"1");
    let closed = start(&client, json!({"close": true}), b"2");
    let other = start(&client, json!({"close": true}), b"3");
    let results = finish_batch(
        &client,
        &[
            entry(&open, 1, "/a"),
            entry(&closed, 1, "/taken"),
            entry(&other, 1, "/c"),
        ],
    );
    let not_closed = json!({".tag": "lookup_failed", "lookup_failed": {".tag": "not_closed"}});
    assert_eq!(
        results[0],
        json!({".tag": "failure", "failure": not_closed})
    );
    assert_eq!(results[1]["failure"]["path"]["conflict"][".tag"], "file");
    assert_eq!(results[2][".tag"], "success");
    assert_eq!(
        finish_batch(&client, &[entry(&closed, 1, "/b")])[0][".tag"],
        "success"
    );
}

#[test]
fn batches_have_at_most_a_thousand_entries() {
    let client = client();
    let entries = vec![entry("x", 0, "/a"); 1001];
    let arg = json!({ "entries": entries });
    client
        .rpc("files/upload_session/finish_batch_v2", arg)
        .refused();
    for count in [0, 1001] {
        let arg = json!({ "num_sessions": count });
        client
            .rpc("files/upload_session/start_batch", arg)
            .refused();
    }
}

#[test]
fn first_finish_batch_is_a_job() {
    let client = client();
    let id = start(&client, json!({"close": true}), b"1");
    let arg = json!({"entries": [entry(&id, 1, "/a")]});
    let launched = client.rpc("files/upload_session/finish_batch", arg).ok();
    assert_eq!(launched[".tag"], "async_job_id");
    let arg = json!({"async_job_id": launched["async_job_id"]});
    let told = client
        .rpc("files/upload_session/finish_batch/check", arg.clone())
        .ok();
    assert_eq!(told[".tag"], "complete");
    assert_eq!(told["entries"][0][".tag"], "success");
    assert_eq!(
        client.rpc("files/delete_batch/check", arg).summary(),
        "invalid_async_job_id"
    );
}

#[test]
fn sessions_belong_to_the_app_that_started_them() {
    let client = client();
    let id = start(&client, json!({}), b"1");
    let again = Client {
        standin: client.standin.clone(),
        token: client.standin.personal_access_token(),
    };
    append(&again, &id, 1, b"2", false).ok();
    finish(&client, &id, 2, "/a", b"").ok();
}
