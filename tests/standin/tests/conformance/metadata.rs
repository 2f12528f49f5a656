//! Metadata, names and lookups, of what is there and of what was deleted.

use dropbox_standin::content_hash;
use serde_json::json;

use crate::verbs::{Client, Told, client, lines};

fn metadata(client: &Client, path: &str) -> Told {
    client.rpc("files/get_metadata", json!({ "path": path }))
}

#[test]
fn file_metadata_has_the_documented_fields() {
    let client = client();
    client
        .standin
        .put_at("/Docs/A.txt", b"hello", "2024-05-06T07:08:09Z");
    let told = metadata(&client, "/docs/a.TXT").ok();
    assert_eq!(told[".tag"], "file");
    assert_eq!(told["name"], "A.txt");
    assert_eq!(told["path_lower"], "/docs/a.txt");
    assert_eq!(told["path_display"], "/Docs/A.txt");
    assert_eq!(told["client_modified"], "2024-05-06T07:08:09Z");
    assert_eq!(told["server_modified"], "2026-01-01T00:00:00Z");
    assert_eq!(told["size"], 5);
    assert_eq!(told["is_downloadable"], true);
    assert_eq!(told["content_hash"], content_hash(b"hello"));
    assert!(told["id"].as_str().unwrap().starts_with("id:"));
    let rev = told["rev"].as_str().unwrap();
    assert!(rev.len() >= 9 && rev.bytes().all(|byte| b"0123456789abcdef".contains(&byte)));
    assert_eq!(told.as_object().unwrap().len(), 11);
}

#[test]
fn folder_metadata_has_the_documented_fields() {
    let client = client();
    client.standin.mkdir("/Docs");
    let told = metadata(&client, "/DOCS").ok();
    assert_eq!(
        (&told[".tag"], &told["name"]),
        (&json!("folder"), &json!("Docs"))
    );
    assert!(told["id"].is_string());
    assert_eq!(told.as_object().unwrap().len(), 5);
}

#[test]
fn concrete_results_have_no_tag() {
    let client = client();
    let told = client.upload("/a", b"a", json!({})).ok();
    assert!(told[".tag"].is_null());
    let told = client
        .rpc("files/create_folder_v2", json!({"path": "/f"}))
        .ok();
    assert!(told["metadata"][".tag"].is_null());
    let told = client.rpc("files/delete_v2", json!({"path": "/f"})).ok();
    assert_eq!(told["metadata"][".tag"], "folder");
}

#[test]
fn files_are_found_by_path_id_rev_and_namespace() {
    let client = client();
    let old = client.standin.put("/a", b"1");
    client.standin.put("/a", b"2");
    let now = metadata(&client, "/a").ok();
    assert_eq!(metadata(&client, now["id"].as_str().unwrap()).ok(), now);
    assert_eq!(metadata(&client, "ns:3235641/a").ok(), now);
    assert_eq!(
        metadata(&client, &format!("rev:{old}")).ok()["content_hash"],
        content_hash(b"1")
    );
    for unknown in ["id:unknown", "rev:123456789abc", "ns:1/a", "/b", "/a/b"] {
        assert_eq!(
            metadata(&client, unknown).summary(),
            "path/not_found",
            "{unknown}"
        );
    }
}

#[test]
fn deleted_is_told_on_request_only() {
    let client = client();
    client.standin.put("/Docs/a", b"1");
    client.standin.remove("/Docs");
    assert_eq!(metadata(&client, "/Docs/a").summary(), "path/not_found");
    let arg = json!({"path": "/docs/A", "include_deleted": true});
    let told = client.rpc("files/get_metadata", arg).ok();
    let expected = json!({
        ".tag": "deleted", "name": "a", "path_lower": "/docs/a", "path_display": "/Docs/a",
    });
    assert_eq!(told, expected);
}

#[test]
fn names_are_stored_composed_and_not_found_decomposed() {
    let client = client();
    let told = client.upload("/cafe\u{301}.txt", b"x", json!({})).ok();
    assert_eq!(told["name"], "caf\u{e9}.txt");
    metadata(&client, "/CAF\u{c9}.TXT").ok();
    assert_eq!(
        metadata(&client, "/cafe\u{301}.txt").summary(),
        "path/not_found"
    );
}

#[test]
fn display_keeps_the_case_of_existing_parents() {
    let client = client();
    client.standin.mkdir("/Docs");
    let told = client.upload("/DOCS/New/A.txt", b"x", json!({})).ok();
    assert_eq!(told["path_display"], "/Docs/New/A.txt");
}

#[test]
fn names_that_cannot_be_stored_are_told_apart() {
    let client = client();
    let reason = |path: &str| {
        let error = client.upload(path, b"x", json!({})).error();
        error["reason"][".tag"].as_str().unwrap().to_owned()
    };
    for name in [
        "desktop.ini",
        "Thumbs.DB",
        ".DS_Store",
        "icon\r",
        ".dropbox",
        ".dropbox.attr",
        ".Dropbox.cache",
        "~$a.doc",
        ".~lock",
        "~a.tmp",
        "back\\slash",
        "trailing ",
        "del\u{7f}",
    ] {
        assert_eq!(reason(&format!("/{name}")), "disallowed_name", "{name}");
        assert_eq!(
            reason(&format!("/{name}/below")),
            "disallowed_name",
            "{name}"
        );
    }
    let long = "x".repeat(256);
    for path in ["/a//b", "/a/", "/.", "/a/../b", &format!("/{long}")] {
        assert_eq!(reason(path), "malformed_path", "{path}");
    }
    for name in ["a<b>c", "trailing.", " leading", "x~", &long[1..]] {
        client.upload(&format!("/{name}"), b"x", json!({})).ok();
    }
    assert_eq!(metadata(&client, "/a//b").summary(), "path/malformed_path");
}

#[test]
fn content_hash_can_be_missing() {
    let client = client();
    client.standin.put("/a", b"x");
    client.standin.set_without_content_hash("/a");
    assert!(metadata(&client, "/a").ok()["content_hash"].is_null());
}

#[test]
fn symlink_names_its_target_except_by_rev() {
    let client = client();
    client.standin.set_symlink("/link", "../elsewhere");
    let told = metadata(&client, "/link").ok();
    assert_eq!(told["symlink_info"], json!({"target": "../elsewhere"}));
    let rev = client.standin.rev("/link").unwrap();
    assert!(metadata(&client, &format!("rev:{rev}")).ok()["symlink_info"].is_null());
}

#[test]
fn odd_names_can_be_planted() {
    let client = client();
    client.standin.put_odd("/../evil\n", b"x");
    let (entries, _) = client.list(json!({"path": "", "recursive": true}));
    assert_eq!(lines(&entries), ["folder /..", "file /../evil\n"]);
}

#[test]
fn account_and_space_are_told() {
    let client = client();
    client.standin.set_quota(1000);
    client.standin.put("/a", &[0; 300]);
    client.standin.put("/a", &[1; 200]);
    client.standin.put("/b/c", &[1; 7]);
    client.standin.remove("/b");
    let space = client.rpc("users/get_space_usage", json!(null)).ok();
    let allocation = json!({".tag": "individual", "allocated": 1000});
    assert_eq!(space, json!({"used": 200, "allocation": allocation}));
    let account = client.rpc("users/get_current_account", json!(null)).ok();
    assert_eq!(account["account_id"].as_str().unwrap().len(), 40);
    assert_eq!(account["account_type"], json!({".tag": "basic"}));
    assert_eq!(account["email"], "gate@example.org");
    assert_eq!(account["root_info"][".tag"], "user");
}
