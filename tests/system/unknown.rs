//! What Dropbox answers in a way that this version does not know is told once, with `-v`.

use dropbox_standin::{Effect, Fault, When};
use serde_json::json;

use crate::gateway::Gateway;

/// What every such line begins with.
const NEWS: &str = "not known to this version, and worth a report: ";

/// The news of a pass, with and without `-v`: `route` gives the answer twice.
fn news(gateway: &Gateway, route: &str, status: u16, body: &str) -> Vec<String> {
    let answer = || {
        let effect = Effect::Status(status, body.to_owned());
        gateway
            .dropbox
            .inject(Fault::new(route, When::First(2), effect));
    };
    answer();
    let ended = gateway.run(&[], &["sync", "-v"]);
    gateway.dropbox.clear_faults();
    assert!(ended.code.is_some(), "{ended:?}");
    let line = |line: &str| line.split_once(NEWS).map(|(_, text)| text.to_owned());
    let news: Vec<String> = ended.err.lines().filter_map(line).collect();
    assert!(!news.is_empty(), "{route} {status}: {ended:?}");
    news
}

/// Exactly this is told, once.
#[track_caller]
fn check(gateway: &Gateway, route: &str, status: u16, body: &str, wanted: &str) {
    let news = news(gateway, route, status, body);
    let [line] = news.as_slice() else {
        panic!("{route} {status}: {news:?}");
    };
    assert!(line.contains(wanted), "{route} {status}: {line}");
}

/// Five files are in step.
fn in_step() -> Gateway {
    let gateway = Gateway::new();
    for name in ["a", "b", "c", "d", "e"] {
        gateway.put(name, name);
    }
    gateway.sync_ok();
    gateway.sync_ok();
    gateway
}

/// M6: errors of whole calls.
#[test]
fn m6_errors_with_new_tags_or_texts_are_told_once() {
    let new = json!({ "error_summary": "wormhole/..", "error": { ".tag": "wormhole" } });
    let untagged = json!({ "error_summary": "wormhole/..", "error": {} });
    let text = "Error in call to API function \"files/list_folder/continue\": the moon is full";
    let route = "files/list_folder/continue";
    let gateway = in_step();
    for status in [401, 403, 409, 422] {
        check(&gateway, route, status, &new.to_string(), "wormhole");
    }
    check(&gateway, route, 409, &untagged.to_string(), "wormhole");
    check(&gateway, route, 400, text, "the moon is full");
    // Without -v a pass says nothing of it.
    let effect = Effect::Status(403, new.to_string());
    let fault = Fault::new(route, When::First(1), effect);
    gateway.dropbox.inject(fault);
    let ended = gateway.sync();
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
}

/// M6: entries of batches that are answered in a new way, and ends of jobs.
#[test]
fn m6_entries_of_batches_with_new_tags_are_told_once() {
    let entries =
        |entry: serde_json::Value| json!({ ".tag": "complete", "entries": [entry.clone(), entry] });
    let answers = [
        (entries(json!({ ".tag": "wormhole" })), "wormhole"),
        (
            entries(json!({ ".tag": "failure", "failure": { ".tag": "mole" } })),
            "mole",
        ),
        (json!({ ".tag": "mined" }), "mined"),
        (
            json!({ ".tag": "failed", "failed": { ".tag": "dug" } }),
            "dug",
        ),
    ];
    for (answer, wanted) in answers {
        let gateway = in_step();
        gateway.remove("a");
        gateway.remove("b");
        let route = "files/delete_batch";
        check(&gateway, route, 200, &answer.to_string(), wanted);
        gateway.sync_ok();
        assert_eq!(gateway.remote_tree().len(), 3, "{wanted}");
    }
}

/// M6: an entry of a kind that is not known is told, and what is there is not taken for gone.
#[test]
fn m6_an_entry_of_a_new_kind_is_told_once_and_is_there() {
    let gateway = in_step();
    let entry = |name: &str| {
        let path = format!("/{name}");
        json!({ ".tag": "wormhole", "name": name, "path_lower": path, "path_display": path,
            "id": "id:x", "size": { "of": "no number" } })
    };
    let changes = |names: &[&str]| {
        let entries: Vec<_> = names.iter().map(|name| entry(name)).collect();
        json!({ "entries": entries, "cursor": "c", "has_more": false }).to_string()
    };
    let before = gateway.local_tree();
    check(
        &gateway,
        "files/list_folder/continue",
        200,
        &changes(&["a", "b"]),
        "wormhole",
    );
    assert!(gateway.local_tree() == before);
    // The same of a whole listing, in which nothing else is.
    let gateway = in_step();
    std::fs::remove_file(gateway.state.join("cursor.json")).unwrap();
    check(
        &gateway,
        "files/list_folder",
        200,
        &changes(&["a", "b", "c", "d", "e"]),
        "wormhole",
    );
    assert!(gateway.local_tree() == before);
}

/// M6: the token endpoint.
#[test]
fn m6_new_errors_of_the_token_endpoint_are_told_once() {
    let gateway = Gateway::new();
    gateway.authenticate();
    let new = json!({ "error": "wormhole", "error_description": "it \"leads\" nowhere" });
    check(&gateway, "oauth2/token", 400, &new.to_string(), "wormhole");
}
