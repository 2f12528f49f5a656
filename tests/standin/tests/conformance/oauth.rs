//! Getting, refreshing and losing tokens, with PKCE and with a secret.

use dropbox_standin::{Endpoint, Standin};
use serde_json::json;

use crate::verbs::{Client, Told, request, told};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// The S256 challenge of the verifier, from RFC 7636 appendix B.
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn url(more: &str) -> String {
    let base = "https://www.dropbox.com/oauth2/authorize?client_id=standin-key&response_type=code";
    format!("{base}{more}")
}

fn pkce(more: &str) -> String {
    url(&format!(
        "&code_challenge={CHALLENGE}&code_challenge_method=S256{more}"
    ))
}

fn exchange(standin: &Standin, form: &str) -> Told {
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    told(&standin.handle(request(
        Endpoint::Api,
        "/oauth2/token",
        &headers,
        form.as_bytes(),
    )))
}

fn redeem(standin: &Standin, code: &str, verifier: &str) -> Told {
    let form = format!(
        "grant_type=authorization_code&code={code}&client_id=standin-key&code_verifier={verifier}"
    );
    exchange(standin, &form)
}

fn refresh(standin: &Standin, token: &str) -> Told {
    let form = format!("grant_type=refresh_token&refresh_token={token}&client_id=standin-key");
    exchange(standin, &form)
}

fn check_refused(told: &Told, error: &str, description: &str) {
    assert_eq!(told.status, 400, "{}", told.text);
    assert_eq!(
        told.json,
        json!({"error": error, "error_description": description})
    );
}

#[test]
fn pkce_code_gives_tokens_that_work() {
    let standin = Standin::new();
    let code = standin
        .approve(&pkce("&token_access_type=offline"))
        .unwrap();
    let answer = redeem(&standin, &code, VERIFIER).ok();
    assert!(answer["access_token"].as_str().unwrap().starts_with("sl."));
    assert_eq!(answer["token_type"], "bearer");
    assert_eq!(answer["expires_in"], 14_400);
    assert!(answer["refresh_token"].is_string());
    assert!(
        answer["scope"]
            .as_str()
            .unwrap()
            .contains("files.content.write")
    );
    assert!(answer["account_id"].as_str().unwrap().starts_with("dbid:"));
    let token = answer["access_token"].as_str().unwrap().to_owned();
    Client { standin, token }
        .rpc("users/get_current_account", json!(null))
        .ok();
}

#[test]
fn online_access_has_no_refresh_token() {
    let standin = Standin::new();
    let code = standin.approve(&pkce("")).unwrap();
    assert!(redeem(&standin, &code, VERIFIER).ok()["refresh_token"].is_null());
}

#[test]
fn code_works_once() {
    let standin = Standin::new();
    let code = standin.approve(&pkce("")).unwrap();
    redeem(&standin, &code, VERIFIER).ok();
    let again = redeem(&standin, &code, VERIFIER);
    check_refused(&again, "invalid_grant", "code doesn't exist or has expired");
}

#[test]
fn code_expires() {
    let standin = Standin::new();
    let code = standin.approve(&pkce("")).unwrap();
    standin.advance_clock(601);
    let late = redeem(&standin, &code, VERIFIER);
    check_refused(&late, "invalid_grant", "code doesn't exist or has expired");
}

#[test]
fn pkce_code_needs_its_verifier() {
    let standin = Standin::new();
    let code = standin.approve(&pkce("")).unwrap();
    let wrong = redeem(&standin, &code, &VERIFIER.to_lowercase());
    check_refused(&wrong, "invalid_grant", "invalid code verifier");
    let form = format!(
        "grant_type=authorization_code&code={code}&client_id=standin-key\
         &client_secret=standin-secret"
    );
    check_refused(
        &exchange(&standin, &form),
        "invalid_grant",
        "invalid code verifier",
    );
}

#[test]
fn plain_challenge_is_the_verifier() {
    let standin = Standin::new();
    let query = format!("&code_challenge={VERIFIER}&code_challenge_method=plain");
    let code = standin.approve(&url(&query)).unwrap();
    redeem(&standin, &code, VERIFIER).ok();
}

#[test]
fn code_without_pkce_needs_the_secret() {
    let standin = Standin::new();
    let code = standin.approve(&url("&token_access_type=offline")).unwrap();
    let form = format!("grant_type=authorization_code&code={code}&client_id=standin-key");
    let refused = exchange(&standin, &form);
    check_refused(
        &refused,
        "invalid_client",
        "Invalid client_id or client_secret",
    );
    let answer = exchange(&standin, &format!("{form}&client_secret=standin-secret")).ok();
    let token = answer["refresh_token"].as_str().unwrap();
    assert_eq!(refresh(&standin, token).status, 400);
    let form = format!("grant_type=refresh_token&refresh_token={token}&client_id=standin-key");
    exchange(&standin, &format!("{form}&client_secret=standin-secret")).ok();
}

#[test]
fn client_may_authenticate_with_http_basic() {
    let standin = Standin::new();
    let code = standin.approve(&url("")).unwrap();
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        (
            "Authorization",
            "Basic c3RhbmRpbi1rZXk6c3RhbmRpbi1zZWNyZXQ=",
        ),
    ];
    let form = format!("grant_type=authorization_code&code={code}");
    let request = request(Endpoint::Api, "/oauth2/token", &headers, form.as_bytes());
    told(&standin.handle(request)).ok();
}

#[test]
fn unknown_client_is_invalid() {
    let form = "grant_type=refresh_token&refresh_token=abcdefghijkl&client_id=other";
    let told = exchange(&Standin::new(), form);
    check_refused(
        &told,
        "invalid_client",
        "Invalid client_id or client_secret",
    );
}

#[test]
fn other_grant_types_are_unsupported() {
    let told = exchange(&Standin::new(), "grant_type=password&client_id=standin-key");
    assert_eq!(
        (told.status, &told.json["error"]),
        (400, &json!("unsupported_grant_type"))
    );
}

#[test]
fn refreshing_gives_a_new_access_token_only() {
    let standin = Standin::new();
    let code = standin
        .approve(&pkce("&token_access_type=offline"))
        .unwrap();
    let first = redeem(&standin, &code, VERIFIER).ok();
    let token = first["refresh_token"].as_str().unwrap();
    let second = refresh(&standin, token).ok();
    assert_ne!(first["access_token"], second["access_token"]);
    assert!(second["refresh_token"].is_null());
    refresh(&standin, token).ok();
}

#[test]
fn bad_refresh_tokens_are_told_apart() {
    let standin = Standin::new();
    let told = refresh(&standin, "!");
    check_refused(&told, "invalid_grant", "refresh token is malformed");
    let told = refresh(&standin, &"x".repeat(64));
    check_refused(
        &told,
        "invalid_grant",
        "refresh token is invalid or revoked",
    );
}

#[test]
fn access_token_expires_after_four_hours() {
    let standin = Standin::new();
    let token = standin.personal_access_token();
    let client = Client { standin, token };
    client.standin.advance_clock(14_399);
    client.rpc("users/get_current_account", json!(null)).ok();
    client.standin.advance_clock(1);
    let told = client.rpc("users/get_current_account", json!(null));
    assert_eq!(
        (told.status, &told.json["error"][".tag"]),
        (401, &json!("expired_access_token"))
    );
}

#[test]
fn revoking_kills_the_refresh_token_too() {
    let standin = Standin::new();
    let code = standin
        .approve(&pkce("&token_access_type=offline"))
        .unwrap();
    let answer = redeem(&standin, &code, VERIFIER).ok();
    let lasting = answer["refresh_token"].as_str().unwrap();
    let sibling = refresh(&standin, lasting).ok();
    let token = answer["access_token"].as_str().unwrap().to_owned();
    let mut client = Client {
        standin: standin.clone(),
        token,
    };
    assert!(client.rpc("auth/token/revoke", json!(null)).ok().is_null());
    check_refused(
        &refresh(&standin, lasting),
        "invalid_grant",
        "refresh token is invalid or revoked",
    );
    for token in [
        client.token.clone(),
        sibling["access_token"].as_str().unwrap().to_owned(),
    ] {
        client.token = token;
        let told = client.rpc("users/get_current_account", json!(null));
        assert_eq!(told.json["error"][".tag"], "invalid_access_token");
    }
}

#[test]
fn approval_grants_what_the_person_allows() {
    let standin = Standin::new();
    standin.set_scopes(&["files.metadata.read"]);
    let query = "&scope=files.metadata.read%20files.content.read";
    let code = standin.approve(&pkce(query)).unwrap();
    assert_eq!(
        redeem(&standin, &code, VERIFIER).ok()["scope"],
        "files.metadata.read"
    );
}

#[test]
fn authorize_page_refuses_wrong_parameters() {
    let standin = Standin::new();
    for wrong in [
        "https://www.dropbox.com/oauth2/authorize?response_type=code".to_owned(),
        "https://www.dropbox.com/oauth2/authorize?client_id=standin-key".to_owned(),
        "/oauth2/authorize?client_id=other&response_type=code".to_owned(),
        url("&token_access_type=forever"),
        url("&code_challenge=short&code_challenge_method=S256"),
        url("&scope=everything"),
        url("&redirect_uri=https://evil.example/"),
    ] {
        assert!(standin.approve(&wrong).is_err(), "{wrong}");
    }
}

#[test]
fn redirect_gets_code_and_state() {
    let standin = Standin::new();
    let target = "/oauth2/authorize?client_id=standin-key&response_type=code&state=a%20b\
                  &redirect_uri=http%3A%2F%2Flocalhost%3A53682%2F";
    let response = standin.handle(request(Endpoint::Www, target, &[], b""));
    assert_eq!(response.status, 302);
    let location = response.header("Location").unwrap();
    assert!(
        location.starts_with("http://localhost:53682/?code="),
        "{location}"
    );
    assert!(location.ends_with("&state=a%20b"), "{location}");
}

#[test]
fn allow_page_has_a_form() {
    let standin = Standin::new();
    let mut get = request(
        Endpoint::Www,
        "/oauth2/authorize?client_id=standin-key&response_type=code",
        &[],
        b"",
    );
    get.method = "GET".into();
    let page = told(&standin.handle(get));
    assert_eq!(page.status, 200);
    assert!(page.text.contains("<form method=\"post\""), "{}", page.text);
}
