//! Listings, cursors, changes and longpoll.

use serde_json::{Value, json};

use crate::verbs::{Client, client, lines};

fn all() -> Value {
    json!({"path": "", "recursive": true})
}

fn sample() -> Client {
    let client = client();
    client.standin.put("/Docs/a.txt", b"a");
    client.standin.put("/Docs/Sub/b.txt", b"b");
    client.standin.put("/Docs ok.txt", b"c");
    client
}

#[test]
fn recursive_listing_has_parents_before_children() {
    let (entries, _) = sample().list(all());
    let expected = [
        "folder /Docs",
        "file /Docs ok.txt",
        "file /Docs/a.txt",
        "folder /Docs/Sub",
        "file /Docs/Sub/b.txt",
    ];
    assert_eq!(lines(&entries), expected);
}

#[test]
fn plain_listing_has_direct_children_only() {
    let client = sample();
    let (entries, _) = client.list(json!({"path": ""}));
    assert_eq!(lines(&entries), ["folder /Docs", "file /Docs ok.txt"]);
    let (entries, _) = client.list(json!({"path": "/docs"}));
    assert_eq!(lines(&entries), ["file /Docs/a.txt", "folder /Docs/Sub"]);
}

#[test]
fn recursive_listing_of_a_folder_names_it_unless_told_otherwise() {
    let client = sample();
    let arg = json!({"path": "/Docs/Sub", "recursive": true});
    let (entries, _) = client.list(arg.clone());
    assert_eq!(
        lines(&entries),
        ["folder /Docs/Sub", "file /Docs/Sub/b.txt"]
    );
    client
        .standin
        .change_habits(|habits| habits.listing_names_its_root = false);
    let (entries, _) = client.list(arg);
    assert_eq!(lines(&entries), ["file /Docs/Sub/b.txt"]);
}

#[test]
fn pages_add_up_whatever_their_size() {
    let client = sample();
    let (whole, _) = client.list(all());
    for limit in 1..=6 {
        let (entries, _) = client.list(json!({"path": "", "recursive": true, "limit": limit}));
        assert_eq!(entries, whole, "limit {limit}");
    }
    client.standin.set_page_limit(2);
    assert_eq!(
        client.rpc("files/list_folder", all()).ok()["entries"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn file_or_nothing_cannot_be_listed() {
    let client = sample();
    let error = client
        .rpc("files/list_folder", json!({"path": "/docs/a.txt"}))
        .error();
    assert_eq!(
        error,
        json!({".tag": "path", "path": {".tag": "not_folder"}})
    );
    let error = client
        .rpc("files/list_folder", json!({"path": "/nothing"}))
        .error();
    assert_eq!(
        error,
        json!({".tag": "path", "path": {".tag": "not_found"}})
    );
}

#[test]
fn deleted_entries_are_listed_on_request() {
    let client = sample();
    client.standin.remove("/Docs/Sub");
    let (entries, _) = client.list(json!({"path": "/Docs", "include_deleted": true}));
    assert_eq!(lines(&entries), ["file /Docs/a.txt", "deleted /Docs/Sub"]);
    let (entries, _) = client.list(json!({"path": "/Docs"}));
    assert_eq!(lines(&entries), ["file /Docs/a.txt"]);
}

#[test]
fn changes_are_told_in_the_order_of_the_last_change() {
    let client = sample();
    let (_, cursor) = client.list(all());
    client.standin.put("/x", b"1");
    client.standin.put("/y", b"1");
    client.standin.put("/x", b"2");
    client.standin.remove("/Docs/a.txt");
    let (entries, cursor) = client.changes(&cursor);
    assert_eq!(
        lines(&entries),
        ["file /y", "file /x", "deleted /Docs/a.txt"]
    );
    assert_eq!(entries[1]["rev"], client.standin.rev("/x").unwrap());
    assert!(client.changes(&cursor).0.is_empty());
}

#[test]
fn parents_made_on_the_way_are_told_first() {
    let client = client();
    let (_, cursor) = client.list(all());
    client.upload("/A/B/c.txt", b"c", json!({})).ok();
    let (entries, _) = client.changes(&cursor);
    assert_eq!(
        lines(&entries),
        ["folder /A", "folder /A/B", "file /A/B/c.txt"]
    );
}

#[test]
fn deleted_folder_is_reported_by_its_own_entry_only() {
    let client = sample();
    let (_, cursor) = client.list(all());
    client.standin.put("/Docs/late.txt", b"never seen");
    client.rpc("files/delete_v2", json!({"path": "/docs"})).ok();
    assert_eq!(lines(&client.changes(&cursor).0), ["deleted /Docs"]);
}

#[test]
fn folder_made_again_is_told_as_deleted_first() {
    let client = sample();
    let (_, cursor) = client.list(all());
    client.standin.remove("/Docs");
    client.standin.put("/Docs/new.txt", b"n");
    let (entries, _) = client.changes(&cursor);
    assert_eq!(
        lines(&entries),
        ["deleted /Docs", "folder /Docs", "file /Docs/new.txt"]
    );
}

#[test]
fn move_is_told_as_deleted_and_new_with_the_same_id() {
    let client = sample();
    let (before, cursor) = client.list(all());
    let arg = json!({"from_path": "/Docs/a.txt", "to_path": "/z.txt"});
    client.rpc("files/move_v2", arg).ok();
    let (entries, _) = client.changes(&cursor);
    assert_eq!(lines(&entries), ["deleted /Docs/a.txt", "file /z.txt"]);
    let old = before
        .iter()
        .find(|entry| entry["name"] == "a.txt")
        .unwrap();
    assert_eq!(entries[1]["id"], old["id"]);
}

#[test]
fn change_of_case_is_not_reported() {
    let client = sample();
    let (_, cursor) = client.list(all());
    client.standin.rename("/Docs/a.txt", "/Docs/A.TXT");
    assert!(client.changes(&cursor).0.is_empty());
    assert!(client.standin.tree().contains_key("/Docs/A.TXT"));
}

#[test]
fn continue_can_be_repeated_with_the_same_cursor() {
    let client = sample();
    let (_, cursor) = client.list(all());
    client.standin.put("/x", b"1");
    assert_eq!(client.changes(&cursor).0, client.changes(&cursor).0);
}

#[test]
fn changes_during_a_listing_are_not_lost() {
    let client = sample();
    client.standin.set_page_limit(3);
    let page = client.rpc("files/list_folder", all()).ok();
    assert_eq!(page["has_more"], true);
    client.standin.put("/Docs ok.txt", b"behind the walk");
    client.standin.remove("/Docs/Sub/b.txt");
    let (entries, _) = client.changes(page["cursor"].as_str().unwrap());
    assert_eq!(
        lines(&entries),
        [
            "folder /Docs/Sub",
            "file /Docs ok.txt",
            "deleted /Docs/Sub/b.txt"
        ]
    );
}

#[test]
fn plain_cursor_ignores_what_is_deeper() {
    let client = sample();
    let (_, cursor) = client.list(json!({"path": "/Docs"}));
    client.standin.put("/Docs/Sub/deep.txt", b"d");
    client.standin.put("/elsewhere", b"e");
    client.standin.put("/Docs/here", b"h");
    assert_eq!(lines(&client.changes(&cursor).0), ["file /Docs/here"]);
}

#[test]
fn latest_cursor_knows_nothing_of_before() {
    let client = sample();
    let answer = client
        .rpc("files/list_folder/get_latest_cursor", all())
        .ok();
    let cursor = answer["cursor"].as_str().unwrap();
    assert!(client.changes(cursor).0.is_empty());
    client.standin.put("/x", b"1");
    assert_eq!(lines(&client.changes(cursor).0), ["file /x"]);
}

#[test]
fn deleted_root_of_a_listing_is_not_found() {
    let client = sample();
    let (_, cursor) = client.list(json!({"path": "/Docs", "recursive": true}));
    client.standin.remove("/Docs");
    let arg = json!({ "cursor": cursor });
    let told = client.rpc("files/list_folder/continue", arg.clone());
    assert_eq!(told.summary(), "path/not_found");
    client.standin.mkdir("/Docs");
    assert_eq!(
        client.rpc("files/list_folder/continue", arg).summary(),
        "reset"
    );
}

#[test]
fn reset_cursor_is_told_on_continue_and_longpoll() {
    let client = sample();
    let (_, cursor) = client.list(all());
    client.standin.reset_cursors();
    let arg = json!({ "cursor": cursor });
    let error = client
        .rpc("files/list_folder/continue", arg.clone())
        .error();
    assert_eq!(error, json!({".tag": "reset"}));
    assert_eq!(client.longpoll(&arg).summary(), "reset");
    client.list(all());
}

#[test]
fn cursor_is_bound_to_app_and_account() {
    let mut client = sample();
    let (_, cursor) = client.list(all());
    let arg = json!({ "cursor": cursor });
    let foreign = foreign_token(&client);
    let own = std::mem::replace(&mut client.token, foreign);
    let text = client
        .rpc("files/list_folder/continue", arg.clone())
        .refused();
    assert!(
        text.contains("this cursor is for a different app."),
        "{text}"
    );
    client.token = own;
    client.rpc("files/list_folder/continue", arg.clone()).ok();
    client
        .standin
        .set_account_id("dbid:AAB4f99T0taONIb-OurWxbNQ6ywGRopQngc");
    client.rpc("files/list_folder/continue", arg).refused();
}

/// A token of another app on the same account.
fn foreign_token(client: &Client) -> String {
    use dropbox_standin::Endpoint;
    client.standin.register_app("other-key", "other-secret");
    let url = "/oauth2/authorize?client_id=other-key&response_type=code";
    let code = client.standin.approve(url).unwrap();
    let form = format!(
        "grant_type=authorization_code&code={code}&client_id=other-key&client_secret=other-secret"
    );
    let kind = [("Content-Type", "application/x-www-form-urlencoded")];
    let request = crate::verbs::request(Endpoint::Api, "/oauth2/token", &kind, form.as_bytes());
    let answer = crate::verbs::told(&client.standin.handle(request)).ok();
    answer["access_token"].as_str().unwrap().to_owned()
}

#[test]
fn forged_cursor_is_refused_as_text() {
    let client = sample();
    let (_, cursor) = client.list(all());
    for forged in [
        "nonsense".to_owned(),
        format!("A{}", &cursor[1..cursor.len() - 1]),
    ] {
        client
            .rpc("files/list_folder/continue", json!({ "cursor": forged }))
            .refused();
    }
    client
        .rpc("files/list_folder/continue", json!({"cursor": ""}))
        .refused();
}

#[test]
fn longpoll_says_whether_there_are_changes() {
    let client = sample();
    let (_, cursor) = client.list(all());
    let arg = json!({"cursor": cursor, "timeout": 30});
    assert_eq!(client.longpoll(&arg).ok(), json!({"changes": false}));
    client.standin.put("/x", b"1");
    assert_eq!(client.longpoll(&arg).ok(), json!({"changes": true}));
    for timeout in [29, 481] {
        client
            .longpoll(&json!({"cursor": cursor, "timeout": timeout}))
            .refused();
    }
}

#[test]
fn non_downloadable_files_are_left_out_on_request() {
    let client = sample();
    client.standin.put("/doc.gdoc", b"g");
    client.standin.set_not_downloadable("/doc.gdoc");
    let arg = json!({"path": "", "include_non_downloadable_files": false});
    assert_eq!(
        lines(&client.list(arg).0),
        ["folder /Docs", "file /Docs ok.txt"]
    );
    let (entries, _) = client.list(json!({"path": ""}));
    let doc = entries
        .iter()
        .find(|entry| entry["name"] == "doc.gdoc")
        .unwrap();
    assert_eq!(doc["is_downloadable"], false);
    assert!(doc["export_info"]["export_as"].is_string());
}

#[test]
fn mounted_folders_are_not_entered_on_request() {
    let client = client();
    client.standin.put("/Shared/a", b"a");
    client.standin.set_read_only("/Shared");
    let arg = json!({"path": "", "recursive": true, "include_mounted_folders": false});
    assert_eq!(lines(&client.list(arg).0), ["folder /Shared"]);
}

#[test]
fn large_accounts_are_listed_quickly() {
    let client = client();
    for index in 0..5000 {
        client
            .standin
            .put(&format!("/d{}/f{index}", index % 10), b"");
    }
    let (entries, cursor) = client.list(json!({"path": "", "recursive": true, "limit": 2000}));
    assert_eq!(entries.len(), 5010);
    client.standin.put("/last", b"");
    assert_eq!(lines(&client.changes(&cursor).0), ["file /last"]);
}
