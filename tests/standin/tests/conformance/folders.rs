//! Creating, deleting, moving, copying; revisions and restoring.

use serde_json::{Value, json};

use crate::verbs::{Client, Told, client};

fn create(client: &Client, path: &str, autorename: bool) -> Told {
    client.rpc(
        "files/create_folder_v2",
        json!({"path": path, "autorename": autorename}),
    )
}

fn delete(client: &Client, path: &str, parent_rev: Option<&str>) -> Told {
    client.rpc(
        "files/delete_v2",
        json!({"path": path, "parent_rev": parent_rev}),
    )
}

fn relocate(client: &Client, from: &str, to: &str) -> Told {
    client.rpc("files/move_v2", json!({"from_path": from, "to_path": to}))
}

#[test]
fn folder_is_created_with_its_parents() {
    let client = client();
    let told = create(&client, "/A/B", false).ok();
    assert_eq!(told["metadata"]["path_display"], "/A/B");
    assert_eq!(client.standin.tree().len(), 2);
}

#[test]
fn folder_that_exists_is_a_conflict() {
    let client = client();
    client.standin.mkdir("/A");
    client.standin.put("/f", b"x");
    assert_eq!(
        create(&client, "/a", false).summary(),
        "path/conflict/folder"
    );
    assert_eq!(create(&client, "/f", false).summary(), "path/conflict/file");
    assert_eq!(
        create(&client, "/f/g", false).summary(),
        "path/conflict/file_ancestor"
    );
    assert_eq!(
        create(&client, "/a", true).ok()["metadata"]["name"],
        "a (2)"
    );
}

#[test]
fn small_batch_of_folders_is_created_at_once() {
    let client = client();
    client.standin.put("/f", b"x");
    let arg = json!({"paths": ["/A", "/f", "/A"]});
    let told = client.rpc("files/create_folder_batch", arg).ok();
    assert_eq!(told[".tag"], "complete");
    assert_eq!(told["entries"][0][".tag"], "success");
    assert_eq!(
        told["entries"][1]["failure"]["path"]["conflict"][".tag"],
        "file"
    );
    assert_eq!(told["entries"][2], told["entries"][0]);
    client
        .rpc("files/create_folder_batch", json!({"paths": ["A"]}))
        .refused();
}

#[test]
fn batch_of_folders_can_be_a_job() {
    let client = client();
    let arg = json!({"paths": ["/A"], "force_async": true});
    let launched = client.rpc("files/create_folder_batch", arg).ok();
    assert_eq!(launched[".tag"], "async_job_id");
    let arg = json!({"async_job_id": launched["async_job_id"]});
    let told = client.rpc("files/create_folder_batch/check", arg).ok();
    assert_eq!(told[".tag"], "complete");
    assert_eq!(told["entries"][0]["metadata"]["path_display"], "/A");
}

#[test]
fn delete_tells_what_was_there() {
    let client = client();
    let rev = client.standin.put("/A/f", b"x");
    let told = delete(&client, "/a/F", None).ok();
    assert_eq!(
        (&told["metadata"][".tag"], &told["metadata"]["rev"]),
        (&json!("file"), &json!(rev))
    );
    assert_eq!(
        delete(&client, "/a/F", None).summary(),
        "path_lookup/not_found"
    );
    assert_eq!(
        delete(&client, "/A", None).ok()["metadata"][".tag"],
        "folder"
    );
    assert!(client.standin.tree().is_empty());
}

#[test]
fn delete_with_parent_rev_spares_what_was_edited() {
    let client = client();
    let old = client.standin.put("/f", b"1");
    let new = client.standin.put("/f", b"2");
    client.standin.mkdir("/A");
    assert_eq!(
        delete(&client, "/f", Some(&old)).summary(),
        "path_write/conflict/file"
    );
    assert_eq!(
        delete(&client, "/A", Some(&old)).summary(),
        "path_write/conflict/folder"
    );
    delete(&client, "/f", Some(&new)).ok();
}

#[test]
fn deleting_a_folder_takes_its_neighbours_not() {
    let client = client();
    for path in ["/a/x", "/a b", "/a.txt", "/ab/c"] {
        client.standin.put(path, b"x");
    }
    delete(&client, "/a", None).ok();
    let left: Vec<String> = client.standin.tree().into_keys().collect();
    assert_eq!(left, ["/a b", "/a.txt", "/ab", "/ab/c"]);
}

#[test]
fn delete_batch_is_a_job_with_a_result_per_entry() {
    let client = client();
    let rev = client.standin.put("/f", b"1");
    client.standin.put("/g", b"1");
    let entries = json!([{"path": "/f", "parent_rev": rev}, {"path": "/h"}, {"path": "/g"}]);
    let launched = client
        .rpc("files/delete_batch", json!({ "entries": entries }))
        .ok();
    assert_eq!(launched[".tag"], "async_job_id");
    let arg = json!({"async_job_id": launched["async_job_id"]});
    let told = client.rpc("files/delete_batch/check", arg).ok();
    assert_eq!(told[".tag"], "complete");
    assert_eq!(told["entries"][0]["metadata"]["path_lower"], "/f");
    assert_eq!(
        told["entries"][1]["failure"]["path_lookup"][".tag"],
        "not_found"
    );
    assert_eq!(told["entries"][2][".tag"], "success");
    let told = client.rpc("files/delete_batch/check", json!({"async_job_id": "x"}));
    assert_eq!(told.summary(), "invalid_async_job_id");
}

#[test]
fn move_takes_folders_with_everything_in_them() {
    let client = client();
    client.standin.put("/A/B/f.txt", b"x");
    let id = client
        .rpc("files/get_metadata", json!({"path": "/A/B/f.txt"}))
        .ok()["id"]
        .clone();
    let told = relocate(&client, "/a", "/X/Y").ok();
    assert_eq!(told["metadata"]["path_display"], "/X/Y");
    let paths: Vec<String> = client.standin.tree().into_keys().collect();
    assert_eq!(paths, ["/X", "/X/Y", "/X/Y/B", "/X/Y/B/f.txt"]);
    let moved = client
        .rpc("files/get_metadata", json!({"path": "/X/Y/B/f.txt"}))
        .ok();
    assert_eq!(moved["id"], id);
    assert_eq!(client.standin.read("/X/Y/B/f.txt").unwrap(), b"x");
}

#[test]
fn move_does_not_replace() {
    let client = client();
    client.standin.put("/f", b"1");
    client.standin.put("/g", b"2");
    client.standin.mkdir("/A");
    assert_eq!(relocate(&client, "/f", "/g").summary(), "to/conflict/file");
    assert_eq!(
        relocate(&client, "/f", "/A").summary(),
        "to/conflict/folder"
    );
    assert_eq!(
        relocate(&client, "/f", "/g/h").summary(),
        "to/conflict/file_ancestor"
    );
    assert_eq!(
        relocate(&client, "/none", "/h").summary(),
        "from_lookup/not_found"
    );
    assert_eq!(
        relocate(&client, "/f", "/thumbs.db").summary(),
        "to/disallowed_name"
    );
    assert_eq!(
        relocate(&client, "/A", "/a/b").summary(),
        "cant_move_folder_into_itself"
    );
    let arg = json!({"from_path": "/f", "to_path": "/g", "autorename": true});
    assert_eq!(
        client.rpc("files/move_v2", arg).ok()["metadata"]["name"],
        "g (2)"
    );
}

#[test]
fn move_cannot_change_only_the_case() {
    let client = client();
    client.standin.put("/File", b"1");
    let (_, cursor) = client.list(json!({"path": ""}));
    relocate(&client, "/File", "/FILE").ok();
    assert!(client.standin.tree().contains_key("/File"));
    assert!(client.changes(&cursor).0.is_empty());
    relocate(&client, "/File", "/temporary").ok();
    relocate(&client, "/temporary", "/FILE").ok();
    assert!(client.standin.tree().contains_key("/FILE"));
}

#[test]
fn copy_makes_new_ids() {
    let client = client();
    client.standin.put("/A/f", b"x");
    let arg = json!({"from_path": "/A", "to_path": "/B"});
    client.rpc("files/copy_v2", arg).ok();
    let id = |path: &str| {
        client
            .rpc("files/get_metadata", json!({ "path": path }))
            .ok()["id"]
            .clone()
    };
    assert_ne!(id("/A/f"), id("/B/f"));
    assert_eq!(client.standin.read("/B/f").unwrap(), b"x");
    client.standin.set_quota(2);
    let arg = json!({"from_path": "/A", "to_path": "/C"});
    assert_eq!(
        client.rpc("files/copy_v2", arg).summary(),
        "insufficient_quota"
    );
}

fn revisions(client: &Client, arg: Value) -> Value {
    client.rpc("files/list_revisions", arg).ok()
}

#[test]
fn revisions_are_listed_newest_first_with_their_deletion() {
    let client = client();
    let revs: Vec<String> = (0..3).map(|n| client.standin.put("/f", &[n])).collect();
    let told = revisions(&client, json!({"path": "/F", "limit": 2}));
    assert_eq!(told["is_deleted"], false);
    assert_eq!(told["has_more"], true);
    assert_eq!(told["entries"][0]["rev"], *revs[2]);
    assert_eq!(told["entries"][1]["rev"], *revs[1]);
    let told = revisions(&client, json!({"path": "/f", "before_rev": revs[1]}));
    assert_eq!(told["entries"][0]["rev"], *revs[0]);
    assert_eq!(told["has_more"], false);
    client.standin.remove("/f");
    let told = revisions(&client, json!({"path": "/f"}));
    assert_eq!(told["is_deleted"], true);
    assert_eq!(told["server_deleted"], "2026-01-01T00:00:00Z");
    assert_eq!(told["entries"].as_array().unwrap().len(), 3);
}

#[test]
fn revisions_by_id_follow_a_move() {
    let client = client();
    client.standin.put("/f", b"1");
    client.standin.rename("/f", "/g");
    let told = revisions(&client, json!({"path": "/g", "mode": "id"}));
    assert_eq!(told["entries"].as_array().unwrap().len(), 2);
    let told = revisions(&client, json!({"path": "/g"}));
    assert_eq!(told["entries"].as_array().unwrap().len(), 1);
    assert_eq!(
        revisions(&client, json!({"path": "/f"}))["is_deleted"],
        true
    );
}

#[test]
fn revisions_refuse_what_has_none() {
    let client = client();
    client.standin.put("/A/f", b"1");
    let summary = |arg: Value| client.rpc("files/list_revisions", arg).summary();
    assert_eq!(summary(json!({"path": "/A"})), "path/not_file");
    assert_eq!(summary(json!({"path": "/none"})), "path/not_found");
    let rev = "0123456789abcdef";
    assert_eq!(
        summary(json!({"path": "/A/f", "before_rev": rev})),
        "invalid_before_rev"
    );
    let arg = json!({"path": "/A/f", "before_rev": rev, "mode": "id"});
    assert_eq!(summary(arg), "before_rev_not_supported");
}

#[test]
fn restore_brings_back_deleted_contents() {
    let client = client();
    let rev = client.standin.put_at("/f", b"old", "2020-01-01T00:00:00Z");
    client.standin.remove("/f");
    let told = client
        .rpc("files/restore", json!({"path": "/f", "rev": rev}))
        .ok();
    assert_eq!(told["client_modified"], "2020-01-01T00:00:00Z");
    assert_ne!(told["rev"], *rev);
    assert_eq!(client.standin.read("/f").unwrap(), b"old");
    let arg = json!({"path": "/f", "rev": "0123456789abcdef"});
    assert_eq!(
        client.rpc("files/restore", arg).summary(),
        "invalid_revision"
    );
}
