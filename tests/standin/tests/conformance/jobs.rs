//! Batches as jobs: `async_job_id`, `in_progress`, `complete`.

use dropbox_standin::{Effect, Fault, Launch, When};
use serde_json::{Value, json};

use crate::verbs::{Client, client};

fn check(client: &Client, route: &str, launched: &Value) -> Value {
    assert_eq!(launched[".tag"], "async_job_id", "{launched}");
    let arg = json!({"async_job_id": launched["async_job_id"]});
    client.rpc(route, arg).ok()
}

fn pairs(pairs: &[(&str, &str)]) -> Value {
    let pair = |(from, to): &(&str, &str)| json!({"from_path": from, "to_path": to});
    json!({"entries": pairs.iter().map(pair).collect::<Vec<_>>()})
}

#[test]
fn job_is_in_progress_until_so_many_requests_have_come() {
    let client = client();
    client.standin.put("/f", b"1");
    client.standin.set_jobs(Launch::AsDocumented, 2);
    let arg = json!({"entries": [{"path": "/f"}]});
    let launched = client.rpc("files/delete_batch", arg).ok();
    for _ in 0..2 {
        let told = check(&client, "files/delete_batch/check", &launched);
        assert_eq!(told, json!({".tag": "in_progress"}));
        assert!(client.standin.read("/f").is_some());
    }
    let told = check(&client, "files/delete_batch/check", &launched);
    assert_eq!(told["entries"][0]["metadata"]["path_lower"], "/f");
    assert_eq!(client.standin.read("/f"), None);
    let again = check(&client, "files/delete_batch/check", &launched);
    assert_eq!(again, told);
}

#[test]
fn job_meets_the_account_as_it_is_by_then() {
    let client = client();
    let rev = client.standin.put("/f", b"1");
    client.standin.set_jobs(Launch::AsDocumented, 5);
    let arg = json!({"entries": [{"path": "/f", "parent_rev": rev}]});
    let launched = client.rpc("files/delete_batch", arg).ok();
    client.standin.put("/f", b"2");
    client.standin.finish_jobs();
    let told = check(&client, "files/delete_batch/check", &launched);
    assert_eq!(told["entries"][0]["failure"][".tag"], "path_write");
    assert!(client.standin.read("/f").is_some());
}

#[test]
fn every_batch_can_be_answered_at_once_or_as_a_job() {
    let batches = [
        (
            "files/delete_batch",
            "/check",
            json!({"entries": [{"path": "/f"}]}),
        ),
        (
            "files/create_folder_batch",
            "/check",
            json!({"paths": ["/A"]}),
        ),
        ("files/copy_batch_v2", "_v2", pairs(&[("/f", "/g")])),
        ("files/move_batch_v2", "_v2", pairs(&[("/f", "/g")])),
    ];
    for (route, suffix, arg) in batches {
        let checked = match suffix {
            "_v2" => route.replace("_v2", "/check_v2"),
            _ => format!("{route}/check"),
        };
        for launch in [Launch::AtOnce, Launch::Job] {
            let client = client();
            client.standin.put("/f", b"1");
            client.standin.set_jobs(launch, 0);
            let mut told = client.rpc(route, arg.clone()).ok();
            if launch == Launch::Job {
                told = check(&client, &checked, &told);
            }
            assert_eq!(told[".tag"], "complete", "{route}");
            assert_eq!(told["entries"][0][".tag"], "success", "{route}");
        }
    }
}

#[test]
fn check_of_another_route_knows_no_job() {
    let client = client();
    let arg = json!({"entries": [{"path": "/f"}]});
    let launched = client.rpc("files/delete_batch", arg).ok();
    let arg = json!({"async_job_id": launched["async_job_id"]});
    for route in [
        "copy_batch/check_v2",
        "move_batch/check_v2",
        "create_folder_batch/check",
    ] {
        let told = client.rpc(&format!("files/{route}"), arg.clone());
        assert_eq!(told.summary(), "invalid_async_job_id");
    }
}

#[test]
fn batch_of_copies_has_a_result_per_entry() {
    let client = client();
    client.standin.put("/A/f", b"1");
    client.standin.put("/g", b"2");
    let arg = pairs(&[
        ("/a/f", "/B/F"),
        ("/none", "/x"),
        ("/g", "/h"),
        ("/g", "/i"),
    ]);
    let launched = client.rpc("files/copy_batch_v2", arg).ok();
    let told = check(&client, "files/copy_batch/check_v2", &launched);
    let success = &told["entries"][0]["success"];
    assert_eq!(success[".tag"], "file");
    assert_eq!(success["path_display"], "/B/F");
    let failure = |index: usize| &told["entries"][index]["failure"]["relocation_error"];
    assert_eq!(failure(1)["from_lookup"][".tag"], "not_found");
    assert_eq!(told["entries"][2][".tag"], "success");
    assert_eq!(failure(3)[".tag"], "duplicated_or_nested_paths");
    assert!(client.standin.read("/A/f").is_some());
    client
        .rpc("files/copy_batch_v2", json!({"entries": []}))
        .refused();
}

#[test]
fn batch_of_moves_keeps_ids() {
    let client = client();
    client.standin.put("/A/f", b"1");
    client.standin.put("/g", b"2");
    let told = client
        .rpc("files/get_metadata", json!({"path": "/A/f"}))
        .ok();
    let mut arg = pairs(&[("/A/f", "/B/f"), ("/g", "/B/f")]);
    arg["autorename"] = json!(true);
    arg["allow_ownership_transfer"] = json!(false);
    let launched = client.rpc("files/move_batch_v2", arg).ok();
    let moved = check(&client, "files/move_batch/check_v2", &launched);
    assert_eq!(moved["entries"][0]["success"]["id"], told["id"]);
    let failure = &moved["entries"][1]["failure"]["relocation_error"];
    assert_eq!(failure[".tag"], "duplicated_or_nested_paths");
    assert_eq!(client.standin.read("/A/f"), None);
}

#[test]
fn contended_batch_fails_entry_by_entry() {
    let tag = "too_many_write_operations";
    let struck = |route: &str, arg: Value| {
        let client = client();
        client.standin.put("/f", b"1");
        client.standin.set_jobs(Launch::AtOnce, 0);
        let effect = Effect::TooManyWriteOperations;
        client.standin.inject(Fault::new("", When::Always, effect));
        let told = client.rpc(route, arg).ok();
        assert!(client.standin.read("/f").is_some());
        told["entries"][0]["failure"].clone()
    };
    let deleted = struck("files/delete_batch", json!({"entries": [{"path": "/f"}]}));
    assert_eq!(deleted[".tag"], tag);
    let created = struck("files/create_folder_batch", json!({"paths": ["/A"]}));
    assert_eq!(created["path"][".tag"], tag);
    for route in ["files/copy_batch_v2", "files/move_batch_v2"] {
        assert_eq!(struck(route, pairs(&[("/f", "/g")]))[".tag"], tag);
    }
}
