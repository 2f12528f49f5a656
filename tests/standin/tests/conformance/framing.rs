//! Hosts, methods, headers and the strictness of arguments.

use dropbox_standin::Endpoint;
use serde_json::json;

use crate::verbs::{client, request, told};

#[test]
fn unknown_route_is_refused_as_text() {
    let text = client().rpc("files/nonsense", json!({})).refused();
    assert!(text.contains("files/nonsense"), "{text}");
}

#[test]
fn route_on_the_wrong_host_is_refused() {
    let client = client();
    let mut request = client.rpc_request("files/list_folder", &json!({"path": ""}));
    request.endpoint = Endpoint::Content;
    assert!(
        told(&client.standin.handle(request))
            .refused()
            .contains("files/list_folder")
    );
}

#[test]
fn get_is_for_downloads_only() {
    let client = client();
    client.standin.put("/a", b"x");
    let mut request = client.rpc_request("files/list_folder", &json!({"path": ""}));
    request.method = "GET".into();
    assert_eq!(client.standin.handle(request).status, 405);
    let mut request = client.down_request(&json!({"path": "/a"}), &[]);
    request.method = "GET".into();
    assert_eq!(client.standin.handle(request).status, 200);
}

#[test]
fn every_answer_has_a_request_id_and_a_content_type() {
    let client = client();
    for route in [
        "files/nonsense",
        "users/get_current_account",
        "files/list_folder",
    ] {
        let response = client
            .standin
            .handle(client.rpc_request(route, &json!(null)));
        assert!(response.header("X-Dropbox-Request-Id").is_some(), "{route}");
        assert!(response.header("Content-Type").is_some(), "{route}");
    }
}

#[test]
fn missing_authorization_is_a_400() {
    let headers = [("Content-Type", "application/json")];
    let request = request(
        Endpoint::Api,
        "/2/files/list_folder",
        &headers,
        br#"{"path":""}"#,
    );
    let text = told(&client().standin.handle(request)).refused();
    assert!(
        text.contains("Must provide HTTP header \"Authorization\""),
        "{text}"
    );
}

#[test]
fn unknown_token_is_invalid() {
    let mut client = client();
    client.token = "sl.nonsense".into();
    let told = client.rpc("users/get_current_account", json!(null));
    assert_eq!(told.status, 401);
    assert_eq!(told.json["error"][".tag"], "invalid_access_token");
    assert!(
        told.json["error_summary"]
            .as_str()
            .unwrap()
            .starts_with("invalid_access_token/")
    );
}

#[test]
fn rpc_wants_json_and_uploads_want_octets() {
    let client = client();
    let bearer = format!("Bearer {}", client.token);
    for (endpoint, target, kind) in [
        (
            Endpoint::Api,
            "/2/files/list_folder",
            "application/x-www-form-urlencoded",
        ),
        (Endpoint::Content, "/2/files/upload", "application/json"),
    ] {
        let headers = [
            ("Authorization", &*bearer),
            ("Content-Type", kind),
            ("Dropbox-API-Arg", r#"{"path":"/a"}"#),
        ];
        let request = request(endpoint, target, &headers, br#"{"path":""}"#);
        let text = told(&client.standin.handle(request)).refused();
        assert!(text.contains("Bad HTTP \"Content-Type\" header"), "{text}");
    }
}

#[test]
fn void_argument_may_be_null_or_nothing() {
    let client = client();
    client.rpc("users/get_current_account", json!(null)).ok();
    let bearer = format!("Bearer {}", client.token);
    let headers = [("Authorization", &*bearer)];
    let request = request(Endpoint::Api, "/2/users/get_current_account", &headers, b"");
    told(&client.standin.handle(request)).ok();
    client.rpc("users/get_current_account", json!({})).refused();
}

#[test]
fn unknown_field_is_refused_as_text() {
    let text = client()
        .rpc("files/list_folder", json!({"path": "", "depth": 1}))
        .refused();
    assert!(
        text.starts_with("Error in call to API function \"files/list_folder\": "),
        "{text}"
    );
    assert!(text.contains("unknown field 'depth'"), "{text}");
}

#[test]
fn missing_field_is_refused_as_text() {
    let text = client().rpc("files/list_folder", json!({})).refused();
    assert!(text.contains("missing required field 'path'"), "{text}");
}

#[test]
fn wrong_types_are_refused_as_text() {
    let client = client();
    client
        .rpc("files/list_folder", json!({"path": 1}))
        .refused();
    client
        .rpc("files/list_folder", json!({"path": "", "recursive": "yes"}))
        .refused();
    client
        .rpc("files/list_folder", json!({"path": "", "recursive": null}))
        .refused();
    client
        .rpc("files/list_folder", json!({"path": "", "limit": 1.5}))
        .refused();
    client.rpc("files/list_folder", json!([])).refused();
}

#[test]
fn malformed_json_is_refused_as_text() {
    let client = client();
    let mut request = client.rpc_request("files/list_folder", &json!({}));
    request.body = b"{".to_vec();
    let text = told(&client.standin.handle(request)).refused();
    assert!(text.contains("could not decode input as JSON"), "{text}");
}

#[test]
fn limit_out_of_range_is_refused_as_text() {
    let client = client();
    for limit in [0, 2001] {
        client
            .rpc("files/list_folder", json!({"path": "", "limit": limit}))
            .refused();
    }
    for limit in [1, 2000] {
        client
            .rpc("files/list_folder", json!({"path": "", "limit": limit}))
            .ok();
    }
    client
        .rpc("files/list_folder", json!({"path": "", "limit": null}))
        .ok();
}

#[test]
fn root_is_the_empty_string_and_not_a_slash() {
    let client = client();
    client
        .rpc("files/list_folder", json!({"path": "/"}))
        .refused();
    client
        .rpc("files/list_folder", json!({"path": "a"}))
        .refused();
    client
        .rpc("files/create_folder_v2", json!({"path": ""}))
        .refused();
    client
        .rpc("files/get_metadata", json!({"path": ""}))
        .refused();
    client.rpc("files/list_folder", json!({"path": ""})).ok();
}

#[test]
fn header_argument_must_be_ascii() {
    let client = client();
    client.standin.put("/é", b"x");
    let path = "\"/é\"";
    let mut request = client.down_request(&json!(null), &[]);
    request.headers[1].1 = format!("{{\"path\":{path}}}");
    told(&client.standin.handle(request.clone())).refused();
    request.headers[1].1 = r#"{"path":"/\u00e9"}"#.into();
    assert_eq!(client.standin.handle(request).status, 200);
}

#[test]
fn argument_may_come_in_the_url() {
    let client = client();
    client.standin.put("/a b", b"x");
    let mut request = client.down_request(&json!(null), &[]);
    request.headers.remove(1);
    request.target = "/2/files/download?arg=%7B%22path%22%3A%22%2Fa%20b%22%7D".into();
    assert_eq!(client.standin.handle(request.clone()).status, 200);
    request.target = "/2/files/download".into();
    let text = told(&client.standin.handle(request)).refused();
    assert!(text.contains("Dropbox-API-Arg"), "{text}");
}

#[test]
fn huge_headers_are_refused() {
    let client = client();
    let padding = "x".repeat(70_000);
    let request = client.down_request(&json!({"path": "/a"}), &[("X-Padding", &padding)]);
    assert_eq!(client.standin.handle(request).status, 431);
}

#[test]
fn longpoll_refuses_authorization() {
    let client = client();
    let (_, cursor) = client.list(json!({"path": ""}));
    let arg = json!({ "cursor": cursor });
    assert_eq!(client.longpoll(&arg).ok(), json!({"changes": false}));
    let mut request = client.rpc_request("files/list_folder/longpoll", &arg);
    request.endpoint = Endpoint::Notify;
    assert!(
        told(&client.standin.handle(request))
            .refused()
            .contains("Authorization")
    );
}

#[test]
fn path_root_must_be_the_accounts_own() {
    let client = client();
    client.standin.set_root_namespace("777");
    let call = |root: &str| {
        let mut request = client.rpc_request("files/list_folder", &json!({"path": ""}));
        request
            .headers
            .push(("Dropbox-API-Path-Root".into(), root.into()));
        told(&client.standin.handle(request))
    };
    call(r#"{".tag":"home"}"#).ok();
    call(r#"{".tag":"root","root":"777"}"#).ok();
    call(r#"{".tag":"namespace_id","namespace_id":"777"}"#).ok();
    let wrong = call(r#"{".tag":"root","root":"1"}"#);
    assert_eq!(wrong.status, 422);
    assert_eq!(wrong.json["error"][".tag"], "invalid_root");
    assert_eq!(
        wrong.json["error"]["invalid_root"]["root_namespace_id"],
        "777"
    );
    let foreign = call(r#"{".tag":"namespace_id","namespace_id":"1"}"#);
    assert_eq!(
        (foreign.status, foreign.json["error"][".tag"].as_str()),
        (422, Some("no_permission"))
    );
}

#[test]
fn missing_scope_names_the_scope() {
    let mut client = client();
    client
        .standin
        .set_scopes(&["account_info.read", "files.metadata.read"]);
    client.token = client.standin.personal_access_token();
    client.rpc("files/list_folder", json!({"path": ""})).ok();
    let told = client.rpc("files/create_folder_v2", json!({"path": "/a"}));
    assert_eq!(told.status, 401);
    let error = json!({".tag": "missing_scope", "required_scope": "files.content.write"});
    assert_eq!(told.json["error"], error);
}

#[test]
fn check_routes_echo() {
    let client = client();
    let answer = client.rpc("check/user", json!({"query": "foo"})).ok();
    assert_eq!(answer, json!({"result": "foo"}));
    let headers = [
        (
            "Authorization",
            "Basic c3RhbmRpbi1rZXk6c3RhbmRpbi1zZWNyZXQ=",
        ),
        ("Content-Type", "application/json"),
    ];
    let request = request(
        Endpoint::Api,
        "/2/check/app",
        &headers,
        br#"{"query":"bar"}"#,
    );
    assert_eq!(
        told(&client.standin.handle(request)).ok(),
        json!({"result": "bar"})
    );
}
