//! `files/upload` and the write modes (`files.WriteMode`, `files.CommitInfo`).

use dropbox_standin::content_hash;
use serde_json::{Value, json};

use crate::verbs::{Client, client};

fn conflict(kind: &str) -> Value {
    json!({".tag": "conflict", "conflict": {".tag": kind}})
}

/// The reason of a refused upload; nothing may have changed.
fn refused(client: &Client, path: &str, body: &[u8], more: Value) -> Value {
    let before = client.standin.tree();
    let error = client.upload(path, body, more).error();
    assert_eq!(error[".tag"], "path");
    assert!(error["upload_session_id"].is_string());
    assert_eq!(client.standin.tree(), before);
    error["reason"].clone()
}

fn update(rev: &str) -> Value {
    json!({"mode": {".tag": "update", "update": rev}})
}

fn strict(mut more: Value) -> Value {
    more["strict_conflict"] = json!(true);
    more
}

#[test]
fn add_writes_what_is_absent() {
    let client = client();
    let told = client
        .upload("/a.txt", b"hello", json!({"mode": "add"}))
        .ok();
    assert_eq!(client.standin.read("/a.txt").unwrap(), b"hello");
    assert_eq!(told["rev"], client.standin.rev("/a.txt").unwrap());
    assert_eq!(told["content_hash"], content_hash(b"hello"));
}

#[test]
fn add_to_other_contents_is_a_conflict() {
    let client = client();
    client.standin.put("/a.txt", b"1");
    assert_eq!(
        refused(&client, "/A.txt", b"2", json!({})),
        conflict("file")
    );
}

#[test]
fn void_members_may_be_strings_or_objects() {
    let client = client();
    client.standin.put("/a", b"1");
    client.upload("/a", b"2", json!({"mode": "overwrite"})).ok();
    client
        .upload("/a", b"3", json!({"mode": {".tag": "overwrite"}}))
        .ok();
    client
        .upload("/a", b"4", json!({"mode": "update"}))
        .refused();
    client
        .upload("/a", b"4", json!({"mode": {".tag": "nonsense"}}))
        .refused();
}

#[test]
fn overwrite_replaces_and_keeps_the_id() {
    let client = client();
    let old = client.upload("/a", b"1", json!({})).ok();
    let new = client.upload("/a", b"2", json!({"mode": "overwrite"})).ok();
    assert_eq!(old["id"], new["id"]);
    assert_ne!(old["rev"], new["rev"]);
}

#[test]
fn update_with_current_rev_writes() {
    let client = client();
    let rev = client.standin.put("/a", b"1");
    client.upload("/a", b"2", update(&rev)).ok();
    assert_eq!(client.standin.read("/a").unwrap(), b"2");
}

#[test]
fn update_with_stale_rev_is_a_conflict() {
    let client = client();
    let rev = client.standin.put("/a", b"1");
    client.standin.put("/a", b"2");
    assert_eq!(refused(&client, "/a", b"3", update(&rev)), conflict("file"));
}

#[test]
fn update_of_a_deleted_file_writes_unless_strict() {
    let client = client();
    let rev = client.standin.put("/a", b"1");
    client.standin.remove("/a");
    assert_eq!(
        refused(&client, "/a", b"2", strict(update(&rev))),
        conflict("file")
    );
    client.upload("/a", b"2", update(&rev)).ok();
}

#[test]
fn identical_content_is_not_written_again() {
    let client = client();
    let rev = client.standin.put_at("/a", b"same", "2020-01-01T00:00:00Z");
    let (_, cursor) = client.list(json!({"path": ""}));
    let stale = "0123456789abcdef";
    for mut more in [
        json!({}),
        json!({"mode": "overwrite"}),
        update(stale),
        update(&rev),
    ] {
        more["client_modified"] = json!("2024-01-01T00:00:00Z");
        let told = client.upload("/A", b"same", more).ok();
        assert_eq!(told["rev"], *rev);
        assert_eq!(told["client_modified"], "2020-01-01T00:00:00Z");
    }
    assert!(client.changes(&cursor).0.is_empty());
}

#[test]
fn identical_content_is_a_conflict_if_strict() {
    let client = client();
    let rev = client.standin.put("/a", b"same");
    for more in [json!({}), json!({"mode": "overwrite"}), update(&rev)] {
        assert_eq!(
            refused(&client, "/a", b"same", strict(more)),
            conflict("file")
        );
    }
}

#[test]
fn folder_in_the_way_is_always_a_conflict() {
    let client = client();
    client.standin.mkdir("/a");
    for more in [
        json!({}),
        json!({"mode": "overwrite"}),
        update("0123456789abcdef"),
    ] {
        assert_eq!(refused(&client, "/a", b"x", more), conflict("folder"));
    }
}

#[test]
fn file_above_is_a_conflict() {
    let client = client();
    client.standin.put("/a", b"x");
    assert_eq!(
        refused(&client, "/a/b/c", b"x", json!({})),
        conflict("file_ancestor")
    );
}

#[test]
fn autorename_finds_a_free_name() {
    let client = client();
    let rev = client.standin.put("/document.txt", b"0");
    client.standin.put("/document.txt", b"1");
    let name = |body: &[u8], mut more: Value| {
        more["autorename"] = json!(true);
        let told = client.upload("/document.txt", body, more).ok();
        told["name"].as_str().unwrap().to_owned()
    };
    assert_eq!(name(b"2", json!({})), "document (2).txt");
    assert_eq!(name(b"3", json!({})), "document (3).txt");
    assert_eq!(name(b"4", update(&rev)), "document (conflicted copy).txt");
    assert_eq!(client.standin.read("/document.txt").unwrap(), b"1");
}

#[test]
fn client_modified_is_stored_and_must_have_no_fraction() {
    let client = client();
    let time = |text: &str| json!({ "client_modified": text });
    let told = client.upload("/a", b"1", time("2019-02-03T04:05:06Z")).ok();
    assert_eq!(told["client_modified"], "2019-02-03T04:05:06Z");
    assert_eq!(told["server_modified"], "2026-01-01T00:00:00Z");
    client
        .upload("/b", b"1", time("2019-02-03T04:05:06.7Z"))
        .refused();
    client.standin.advance_clock(60);
    let told = client.upload("/c", b"1", json!({})).ok();
    assert_eq!(told["client_modified"], "2026-01-01T00:01:00Z");
}

#[test]
fn content_hash_of_the_call_is_checked() {
    let client = client();
    let hash = |bytes: &[u8]| json!({"content_hash": content_hash(bytes)});
    assert_eq!(
        client.upload("/a", b"1", hash(b"2")).summary(),
        "content_hash_mismatch"
    );
    assert_eq!(client.standin.read("/a"), None);
    client.upload("/a", b"1", hash(b"1")).ok();
    client
        .upload("/a", b"1", json!({"content_hash": "abc"}))
        .refused();
}

#[test]
fn payload_over_150_mib_is_too_large() {
    let client = client();
    let body = vec![0; 150 * 1024 * 1024 + 1];
    assert_eq!(
        client.upload("/a", &body, json!({})).summary(),
        "payload_too_large"
    );
}

#[test]
fn refused_contents_wait_in_a_session() {
    let client = client();
    client.standin.put("/a", b"1");
    let error = client.upload("/a", b"22", json!({})).error();
    let cursor = json!({"session_id": error["upload_session_id"], "offset": 2});
    let arg = json!({"cursor": cursor, "commit": {"path": "/b"}});
    client.up("files/upload_session/finish", arg, b"").ok();
    assert_eq!(client.standin.read("/b").unwrap(), b"22");
}

#[test]
fn full_account_takes_nothing_more() {
    let client = client();
    client.standin.set_quota(10);
    client.upload("/a", &[0; 8], json!({})).ok();
    let reason = refused(&client, "/b", &[0; 3], json!({}));
    assert_eq!(reason, json!({".tag": "insufficient_space"}));
    client
        .upload("/a", &[1; 10], json!({"mode": "overwrite"}))
        .ok();
    client.rpc("files/delete_v2", json!({"path": "/a"})).ok();
    client.upload("/b", &[0; 3], json!({})).ok();
}

#[test]
fn read_only_folder_takes_nothing() {
    let client = client();
    client.standin.put("/Shared/a", b"1");
    client.standin.set_read_only("/Shared");
    let denied = json!({".tag": "no_write_permission"});
    assert_eq!(refused(&client, "/shared/b", b"1", json!({})), denied);
    assert_eq!(
        refused(&client, "/shared/a", b"2", json!({"mode": "overwrite"})),
        denied
    );
    let told = client.rpc("files/delete_v2", json!({"path": "/Shared/a"}));
    assert_eq!(told.summary(), "path_write/no_write_permission");
    let told = client
        .rpc("files/get_metadata", json!({"path": "/Shared/a"}))
        .ok();
    assert_eq!(told["sharing_info"]["read_only"], true);
    client.standin.put("/Shared/a", b"its owner may");
}

#[test]
fn file_deleted_and_put_again_has_another_id() {
    let client = client();
    let old = client.upload("/a", b"1", json!({})).ok();
    client.standin.remove("/a");
    let new = client.upload("/a", b"1", json!({})).ok();
    assert_ne!(old["id"], new["id"]);
}

#[test]
fn properties_and_mute_are_accepted() {
    let client = client();
    let more = json!({"mute": true, "property_groups": null, "client_modified": null});
    client.upload("/a", b"1", more).ok();
    client.upload("/b", b"1", json!({"mute": null})).refused();
}
