//! `www`: the page where a person allows an app; `/oauth2/token`.

use serde_json::json;

use crate::account::{Access, Account};
use crate::encoding::{base64_decoded, form_pairs, html_escaped, percent_encoded};
use crate::http::{Endpoint, Request, Response};
use crate::oauth::{ACCESS_LIFE, Asked, Challenge, Consent, all_scopes, scopes_of};

/// Answers `/oauth2/...`; `None` if it is not there on this host.
pub(crate) fn respond(account: &mut Account, request: &Request) -> Option<Response> {
    match (request.endpoint, request.path()) {
        (Endpoint::Www, "/oauth2/authorize") => Some(authorize(account, request)),
        (Endpoint::Api, "/oauth2/token") => Some(token(account, request)),
        _ => None,
    }
}

fn page(status: u16, inner: &str) -> Response {
    let head = "<!DOCTYPE html>\n<html><head><title>Dropbox</title></head><body>";
    Response::html(status, &format!("{head}\n{inner}\n</body></html>\n"))
}

fn authorize(account: &mut Account, request: &Request) -> Response {
    let query = request
        .target
        .split_once('?')
        .map_or("", |(_, query)| query);
    let consent = match consent(account, query) {
        Ok(consent) => consent,
        Err(why) => {
            let why = html_escaped(&why);
            return page(400, &format!("<h1>Error (400)</h1><p>{why}</p>"));
        }
    };
    match request.method.as_str() {
        "GET" => consent_page(account.access, &consent, query),
        "POST" => approved(account, consent, query),
        _ => Response::text(405, "Method Not Allowed"),
    }
}

fn consent_page(access: Access, consent: &Consent, query: &str) -> Response {
    let app = html_escaped(&consent.app);
    let reach = match access {
        Access::AppFolder => "its own folder in your Dropbox",
        Access::Full => "the files and folders in your Dropbox",
    };
    let items: String = consent
        .scopes
        .iter()
        .map(|scope| format!("<li>{scope}</li>"))
        .collect();
    let action = html_escaped(&format!("/oauth2/authorize?{query}"));
    page(
        200,
        &format!(
            "<h1>{app} would like access to {reach}</h1>\n<ul>{items}</ul>\n\
             <form method=\"post\" action=\"{action}\">\
             <button type=\"submit\" name=\"allow\" value=\"1\">Allow</button></form>"
        ),
    )
}

fn approved(account: &mut Account, consent: Consent, query: &str) -> Response {
    let redirect = consent.redirect_uri.clone();
    let code = account.oauth.approve(consent, account.clock.now());
    let Some(redirect) = redirect else {
        return page(
            200,
            &format!(
                "<h1>Enter this code to finish the process</h1>\n\
                 <input id=\"auth-code\" data-token=\"{code}\" value=\"{code}\" readonly>"
            ),
        );
    };
    let state = form_pairs(query)
        .into_iter()
        .find(|(name, _)| name == "state");
    let state = state.map_or(String::new(), |(_, state)| {
        format!("&state={}", percent_encoded(&state))
    });
    let separator = if redirect.contains('?') { '&' } else { '?' };
    page(302, "").with(
        "Location",
        format!("{redirect}{separator}code={code}{state}"),
    )
}

/// Validates the query of the authorize page.
fn consent(account: &Account, query: &str) -> Result<Consent, String> {
    let pairs = form_pairs(query);
    let find = |name: &str| {
        let pair = pairs.iter().find(|(key, _)| key == name);
        pair.map(|(_, value)| value.as_str())
    };
    let app = find("client_id").ok_or("Missing client_id.")?;
    if !account.oauth.apps.contains_key(app) {
        return Err(format!("Invalid client_id: \"{app}\"."));
    }
    if find("response_type") != Some("code") {
        return Err("Invalid response_type: expected \"code\".".into());
    }
    let offline = match find("token_access_type") {
        None | Some("online") => false,
        Some("offline") => true,
        Some(other) => return Err(format!("Invalid token_access_type: \"{other}\".")),
    };
    if find("state").is_some_and(|state| state.len() > 500) {
        return Err("Invalid state: at most 500 bytes.".into());
    }
    let redirect_uri = find("redirect_uri").map(str::to_owned);
    if redirect_uri
        .as_deref()
        .is_some_and(|uri| !is_registered(uri))
    {
        return Err("Invalid redirect_uri: it must be registered for the app.".into());
    }
    let scopes = find("scope").map_or_else(all_scopes, scopes_of);
    if let Some(scope) = scopes.difference(&all_scopes()).next() {
        return Err(format!(
            "Invalid scope: \"{scope}\" is not enabled for this app."
        ));
    }
    Ok(Consent {
        app: app.to_owned(),
        challenge: challenge(find("code_challenge"), find("code_challenge_method"))?,
        scopes,
        offline,
        redirect_uri,
    })
}

/// Any loopback address counts as registered.
fn is_registered(uri: &str) -> bool {
    ["http://localhost", "http://127.0.0.1", "http://[::1]"]
        .iter()
        .filter_map(|start| uri.strip_prefix(start))
        .any(|rest| rest.is_empty() || rest.starts_with([':', '/']))
}

fn challenge(challenge: Option<&str>, method: Option<&str>) -> Result<Option<Challenge>, String> {
    let Some(challenge) = challenge else {
        return match method {
            None => Ok(None),
            Some(_) => Err("Missing code_challenge.".into()),
        };
    };
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if !(43..=128).contains(&challenge.len()) || !challenge.bytes().all(unreserved) {
        return Err("Invalid code_challenge.".into());
    }
    match method {
        Some("S256") => Ok(Some(Challenge::S256(challenge.to_owned()))),
        None | Some("plain") => Ok(Some(Challenge::Plain(challenge.to_owned()))),
        Some(other) => Err(format!("Invalid code_challenge_method: \"{other}\".")),
    }
}

fn token(account: &mut Account, request: &Request) -> Response {
    if request.method != "POST" {
        return Response::text(405, "Method Not Allowed");
    }
    let body = String::from_utf8_lossy(&request.body);
    let mut pairs = form_pairs(&body);
    if let Some((_, query)) = request.target.split_once('?') {
        pairs.extend(form_pairs(query));
    }
    let find = |name: &str| {
        let pair = pairs.iter().find(|(key, _)| key == name);
        pair.map(|(_, value)| value.as_str())
    };
    let basic = request.header("Authorization").and_then(basic_credentials);
    let basic = basic
        .as_ref()
        .map(|(id, secret)| (id.as_str(), secret.as_str()));
    let asked = Asked {
        client_id: basic.map(|(id, _)| id).or_else(|| find("client_id")),
        secret: basic
            .map(|(_, secret)| secret)
            .or_else(|| find("client_secret"))
            .filter(|secret| !secret.is_empty()),
        code: find("code"),
        verifier: find("code_verifier"),
        redirect_uri: find("redirect_uri"),
        refresh_token: find("refresh_token"),
        scope: find("scope"),
    };
    let now = account.clock.now();
    let issued = match find("grant_type") {
        Some("authorization_code") => account.oauth.redeem(&asked, now),
        Some("refresh_token") => account.oauth.refresh(&asked, now),
        Some(_) => Err(("unsupported_grant_type", "unsupported grant_type")),
        None => Err(("invalid_request", "missing required parameter: grant_type")),
    };
    let issued = match issued {
        Ok(issued) => issued,
        Err((error, description)) => {
            let body = json!({"error": error, "error_description": description});
            return Response::json(400, &body);
        }
    };
    let mut answer = json!({
        "access_token": issued.access_token,
        "token_type": "bearer",
        "expires_in": ACCESS_LIFE,
    });
    // A refresh answers with the token and its life only; the rest is known to the client.
    if find("grant_type") == Some("authorization_code") {
        let scopes: Vec<&str> = issued.scopes.iter().map(String::as_str).collect();
        answer["scope"] = json!(scopes.join(" "));
        answer["uid"] = json!("12345678");
        answer["account_id"] = json!(account.account_id);
    }
    if let Some(refresh_token) = issued.refresh_token {
        answer["refresh_token"] = json!(refresh_token);
    }
    // The service says so of this route alone.
    Response::new(200, "text/javascript", answer.to_string().into_bytes())
}

/// The user and password of HTTP basic authentication.
pub(crate) fn basic_credentials(header: &str) -> Option<(String, String)> {
    let encoded = header.strip_prefix("Basic ")?;
    let text = String::from_utf8(base64_decoded(encoded.trim())?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}
