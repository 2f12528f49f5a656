//! What an answer that is no success means, and whose words it is in.
//!
//! Only Dropbox's own words are final: JSON with a tag that is known, a text that begins as Dropbox
//! begins one, and at the token endpoint the three errors of OAuth that a person must mend.
//! Whatever else answers, a login page, a web filter, an empty 401, may be gone the next time.

use serde_json::{Value, json};

use crate::core::invocation::Invocation;
use crate::dropbox::auth::{self, OAuthRefusal, TokenRefusal};
use crate::dropbox::retry::{Failure, retry_after_s};
use crate::dropbox::tokens::Credential;
use crate::dropbox::wire::{ApiError, OWN_TEXT, UserMessage, one_line};
use crate::error::Error;
use crate::io::http::Response;

/// What is said of an answer that is not in Dropbox's words.
pub(super) const STRANGER: &str = "that is not Dropbox: something on the way answered \
                                   instead, such as a web filter or a login page; open a page in a \
                                   browser of this network, and see what is in the way";

/// LIMIT: characters of a request id; Dropbox's own have 32.
const REQUEST_ID_MAX: usize = 64;

/// The members of `auth.AuthError`, but for `other`.
const AUTH_ERRORS: [&str; 7] = [
    "invalid_access_token",
    "invalid_select_user",
    "invalid_select_admin",
    "user_suspended",
    "expired_access_token",
    "missing_scope",
    "route_access_denied",
];

/// The members of `auth.AccessError`, but for `other`.
const ACCESS_ERRORS: [&str; 4] = [
    "invalid_account_type",
    "paper_access_denied",
    "team_access_denied",
    "no_permission",
];

/// The members of `common.PathRootError`, but for `other`.
const ROOT_ERRORS: [&str; 2] = ["invalid_root", "no_permission"];

/// The head of an answer that is no success.
pub(super) struct AnswerHead {
    /// Its status.
    pub(super) status: u16,
    retry_after: Option<u64>,
    /// What Dropbox's support asks for.
    pub(super) request_id: String,
}

impl AnswerHead {
    /// The head of this answer.
    pub(super) fn of(response: &Response) -> AnswerHead {
        let request_id = response.header("x-dropbox-request-id");
        AnswerHead {
            status: response.status,
            retry_after: retry_after_s(response.header("retry-after")),
            request_id: request_id.map_or_else(|| "-".to_owned(), printed_id),
        }
    }
}

/// As much of a request id as is one: whatever is on the way may have written it.
fn printed_id(id: &str) -> String {
    let is_of_ids = |c: &char| c.is_ascii_alphanumeric() || "_-".contains(*c);
    id.chars().filter(is_of_ids).take(REQUEST_ID_MAX).collect()
}

/// What the answer of a route means. `bytes` is its body, without what was secret in it.
pub(super) fn of_route(
    path: &str,
    head: &AnswerHead,
    bytes: &[u8],
    credential: &Credential,
    invocation: &Invocation,
) -> Failure {
    let (status, request_id) = (head.status, &head.request_id);
    let error = serde_json::from_slice::<ApiError>(bytes).ok();
    let is_told = |error: &ApiError| error.error.is_object() && !error.tags().is_empty();
    let error = error.filter(is_told);
    let known = |tags: &[&str]| {
        let is_known = |error: &ApiError| tags.iter().any(|tag| error.is(tag));
        error.clone().filter(is_known)
    };
    match status {
        401 => match known(&AUTH_ERRORS) {
            Some(error) => match auth::token_refused(&error, credential, invocation) {
                TokenRefusal::Stale => Failure::TokenExpired,
                TokenRefusal::Final(error) => Failure::Final(error),
            },
            // Some have met it so; a token that is still good is not asked for in vain more often.
            None if bytes.is_empty() => Failure::TokenDoubtful(stranger(status, path)),
            None => Failure::ServerError(unknown(path, head, bytes)),
        },
        403 => match known(&ACCESS_ERRORS) {
            Some(error) => Failure::Final(Error::Failed(format!(
                "Dropbox denies {path}: {} (request id {request_id})",
                error.text()
            ))),
            None => Failure::ServerError(unknown(path, head, bytes)),
        },
        409 => match error {
            Some(error) if error.has("too_many_write_operations") => {
                Failure::RateLimited(head.retry_after)
            }
            Some(error) => Failure::Refused(error),
            None => Failure::ServerError(unknown(path, head, bytes)),
        },
        422 => match known(&ROOT_ERRORS) {
            Some(_) => Failure::Final(auth::team_token()),
            None => Failure::ServerError(unknown(path, head, bytes)),
        },
        429 => Failure::RateLimited(
            head.retry_after
                .or_else(|| error.and_then(|error| error.number("retry_after"))),
        ),
        408 | 500..=510 | 512..=599 => Failure::ServerError(format!(
            "Dropbox answers {status} to {path} (request id {request_id})"
        )),
        400 if bytes.starts_with(OWN_TEXT.as_bytes()) => told(bytes, credential, invocation),
        // What is too long for the way, and what another route does as well.
        413 | 416 | 431 => refused(status, bytes),
        400..=499 if has_a_plainer_one(path) => refused(status, bytes),
        _ => Failure::ServerError(unknown(path, head, bytes)),
    }
}

/// What a 400 in Dropbox's words means. They have no tag: the few that a person must mend are told
/// by what all of their versions say.
fn told(bytes: &[u8], credential: &Credential, invocation: &Invocation) -> Failure {
    let text = one_line(&String::from_utf8_lossy(bytes));
    if text.contains("required scope '") {
        let scope = text.split('\'').nth(1).unwrap_or_default();
        let missing = auth::missing_scope_text(&[scope], Some(credential), invocation);
        return Failure::Final(Error::Authentication(missing));
    }
    let lower = text.to_ascii_lowercase();
    if lower.contains("entire dropbox") || lower.contains("on a single dropbox account") {
        return Failure::Final(auth::team_token());
    }
    let is_of_token = [
        "access token",
        "authorization value",
        "http header \"authorization\"",
    ];
    if is_of_token.iter().any(|words| lower.contains(words)) {
        return Failure::Final(auth::malformed_token(credential, invocation));
    }
    refused(400, bytes)
}

fn refused(status: u16, bytes: &[u8]) -> Failure {
    Failure::Refused(ApiError {
        error: json!({ ".tag": format!("http_{status}") }),
        user_message: Some(UserMessage {
            text: one_line(&String::from_utf8_lossy(bytes)),
        }),
    })
}

/// Whether Dropbox answered, and in a way that this version does not know.
pub(super) fn is_unknown(failure: &Failure, status: u16, bytes: &[u8]) -> bool {
    match failure {
        Failure::Refused(error) => !error.is_known(),
        Failure::ServerError(_) => !matches!(status, 408 | 500..) && is_dropboxs(bytes),
        _ => false,
    }
}

/// Whether an answer has the shape of Dropbox's own, whatever it says: nothing on the way writes
/// one.
pub(super) fn is_dropboxs(bytes: &[u8]) -> bool {
    let is_error = |told: Value| {
        let error = told.get("error");
        told.get("error_summary").is_some() || error.is_some_and(Value::is_object)
    };
    bytes.starts_with(OWN_TEXT.as_bytes()) || serde_json::from_slice(bytes).is_ok_and(is_error)
}

/// Whether the agent has another way to the same end: it is taken, whoever refused this one.
fn has_a_plainer_one(path: &str) -> bool {
    path.contains("_batch") || path.contains("/upload_session/") || path.ends_with("_zip")
}

/// What an answer of the token endpoint means; `refused` knows the errors that are final.
pub(super) fn of_token_endpoint(
    head: &AnswerHead,
    bytes: &[u8],
    refused: &dyn Fn(&OAuthRefusal) -> Error,
) -> Failure {
    let path = "/oauth2/token";
    match (head.status, auth::refusal(bytes)) {
        (400 | 401 | 403, Some(refusal)) if refusal.is_final() => Failure::Final(refused(&refusal)),
        (429, _) => Failure::RateLimited(head.retry_after),
        (status, Some(refusal)) => Failure::ServerError(format!(
            "Dropbox gives no access token now (it answers {status}: {})",
            refusal.said()
        )),
        (status @ (408 | 500..=510 | 512..=599), None) => {
            Failure::ServerError(format!("Dropbox answers {status} to {path}"))
        }
        (status, None) => Failure::ServerError(stranger(status, path)),
    }
}

/// An answer that this version does not know: in Dropbox's words, or in a stranger's.
fn unknown(path: &str, head: &AnswerHead, bytes: &[u8]) -> String {
    let (status, request_id) = (head.status, &head.request_id);
    if !is_dropboxs(bytes) {
        return stranger(status, path);
    }
    let error: Option<ApiError> = serde_json::from_slice(bytes).ok();
    let told = error.filter(|error| !error.tags().is_empty());
    let text = match told {
        Some(error) => error.text(),
        None => one_line(&String::from_utf8_lossy(bytes)),
    };
    format!(
        "Dropbox answers {status} to {path} in a way this version does not know: {text} (request \
         id {request_id})"
    )
}

/// An answer that is in nobody's words but a stranger's.
pub(super) fn stranger(status: u16, path: &str) -> String {
    format!("{path} was answered with {status}, and {STRANGER}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(status: u16) -> AnswerHead {
        AnswerHead {
            status,
            retry_after: None,
            request_id: "-".to_owned(),
        }
    }

    fn of_token_endpoint_is_final(status: u16, body: &str) -> bool {
        let refused = |refusal: &OAuthRefusal| Error::Authentication(refusal.said());
        let failure = of_token_endpoint(&head(status), body.as_bytes(), &refused);
        match failure {
            Failure::Final(Error::Authentication(_)) => true,
            Failure::ServerError(text) => {
                assert!(!text.contains('<'), "{text}");
                false
            }
            failure => panic!("{failure:?}"),
        }
    }

    /// L1.
    #[test]
    fn l1_a_request_id_has_no_more_in_it_than_one_has() {
        assert_eq!(printed_id("0a_B-9"), "0a_B-9");
        assert_eq!(printed_id("a\u{9b}31mR\u{7}<\n"), "a31mR");
        assert_eq!(printed_id(&"Z".repeat(5000)).len(), 64);
    }

    /// B1.
    #[test]
    fn b1_only_three_words_end_an_authentication() {
        for word in ["invalid_grant", "invalid_client", "unauthorized_client"] {
            for status in [400, 401, 403] {
                let body = format!(r#"{{"error":"{word}","error_description":"x"}}"#);
                assert!(of_token_endpoint_is_final(status, &body));
                let body = format!(r#"{{"error":"{word}: in other words"}}"#);
                assert!(of_token_endpoint_is_final(status, &body));
                assert!(!of_token_endpoint_is_final(status, word), "not JSON");
            }
        }
        for body in [
            "",
            "<html>",
            "{}",
            "[]",
            "null",
            r#"{"error":"v1_retired"}"#,
        ] {
            for status in [302, 400, 401, 403, 404, 407, 500, 503, 511] {
                assert!(!of_token_endpoint_is_final(status, body), "{status} {body}");
            }
        }
    }
}
