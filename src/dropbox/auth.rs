//! OAuth 2: the link, the pasted code, and what the refusals of Dropbox mean.
//!
//! Source: the OAuth guide of the Dropbox developer site; PKCE is RFC 7636.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::digest::{SHA256, digest};
use serde_json::Value;

use crate::config::{Config, Secret};
use crate::dropbox::tokens::{Credential, Pending};
use crate::dropbox::wire::{ApiError, TokenError, one_line};
use crate::error::{Error, Result};
use crate::io::host::Host;

/// The scopes every pass needs, with the checkbox of the App Console that grants each.
pub const SCOPES: [&str; 4] = [
    "account_info.read",
    "files.metadata.read",
    "files.content.read",
    "files.content.write",
];

/// Characters that need no escaping in a form or a query (RFC 3986, unreserved).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Starts an authentication: a fresh PKCE verifier (RFC 7636, 4.1: 43 to 128 characters).
pub fn start(host: &dyn Host, app_key: &str) -> Pending {
    let mut random = [0; 48];
    host.random(&mut random);
    let verifier = BASE64_URL_SAFE_NO_PAD.encode(random);
    Pending {
        app_key: app_key.to_owned(),
        verifier,
    }
}

/// The URL a person opens in any browser, on any machine.
pub fn authorize_url(config: &Config, pending: &Pending) -> String {
    let challenge =
        BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, pending.verifier.as_bytes()).as_ref());
    format!(
        "{}/oauth2/authorize?response_type=code&client_id={}&token_access_type=offline\
         &code_challenge={challenge}&code_challenge_method=S256",
        config.endpoints.www,
        escaped(&pending.app_key),
    )
}

/// The three steps, as the openHAB add-on printed them.
pub fn banner(config: &Config, pending: &Pending) -> String {
    let line = "#".repeat(89);
    format!(
        "{line}\n\
         # Dropbox-Integration: U S E R   I N T E R A C T I O N   R E Q U I R E D !!\n\
         # 1. Open URL '{}'\n\
         # 2. Allow Ferrybox to access Dropbox\n\
         # 3. Paste the authorisation code here using the command \
         'ferrybox finishAuthentication \"<code>\"'\n\
         {line}",
        authorize_url(config, pending)
    )
}

/// The code without what comes along when one is pasted: white space and quotation marks.
///
/// # Errors
/// [`Error::Authentication`] when what is left cannot be a code.
pub fn clean_code(pasted: &str) -> Result<String> {
    let is_quote = |c: char| "\"'`<>\u{201c}\u{201d}\u{2018}\u{2019}\u{ab}\u{bb}".contains(c);
    let code: String = pasted
        .chars()
        .filter(|c| !c.is_whitespace() && !c.is_control() && !is_quote(*c) && *c != '\u{feff}')
        .collect();
    let wrong = |what: &str| {
        Err(Error::Authentication(format!(
            "{what}; paste the code Dropbox showed after \"Allow\", or get a new one with: \
             ferrybox startAuthentication"
        )))
    };
    if code.is_empty() {
        return wrong("no code was given");
    }
    if code.contains("://") {
        return wrong("this is an address, not the code shown on its page");
    }
    if code.len() > 1000
        || !code
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.~".contains(c))
    {
        return wrong("this is not an authorisation code");
    }
    Ok(code)
}

/// The form that exchanges a code for tokens.
pub fn code_form(code: &str, pending: &Pending, app_secret: Option<&Secret>) -> String {
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("client_id", &pending.app_key),
        ("code_verifier", &pending.verifier),
    ];
    if let Some(secret) = app_secret {
        fields.push(("client_secret", secret.expose()));
    }
    form(&fields)
}

/// The form that exchanges a refresh token for an access token, or nothing for a personal token.
pub fn refresh_form(credential: &Credential) -> Option<String> {
    let Credential::Refresh {
        app_key,
        app_secret,
        refresh_token,
    } = credential
    else {
        return None;
    };
    let mut fields = vec![
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token.expose()),
        ("client_id", app_key),
    ];
    if let Some(secret) = app_secret {
        fields.push(("client_secret", secret.expose()));
    }
    Some(form(&fields))
}

fn form(fields: &[(&str, &str)]) -> String {
    let pairs: Vec<_> = fields
        .iter()
        .map(|(k, v)| format!("{k}={}", escaped(v)))
        .collect();
    pairs.join("&")
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// Which of the needed scopes a grant lacks; nothing is known when the grant names none.
pub fn missing_scopes(granted: Option<&str>) -> Vec<&'static str> {
    let Some(granted) = granted else {
        return Vec::new();
    };
    let granted: Vec<_> = granted.split_whitespace().collect();
    SCOPES
        .into_iter()
        .filter(|scope| !granted.contains(scope))
        .collect()
}

/// What to do about a missing permission.
pub fn missing_scope_text(scopes: &[&str], credential: Option<&Credential>) -> String {
    let then = match credential {
        Some(Credential::Personal(_)) => {
            "generate a new token there and put it into dropbox.personal_access_token"
        }
        Some(Credential::Refresh { .. }) | None => "run: ferrybox startAuthentication",
    };
    let boxes: Vec<_> = scopes.iter().map(|scope| format!("\"{scope}\"")).collect();
    format!(
        "the app lacks the permission {}: tick it in the Dropbox App Console \
         (dropbox.com/developers/apps, your app, tab Permissions), press Submit, then {then}",
        boxes.join(", ")
    )
}

/// What the token endpoint's refusal of a pasted code means.
pub fn code_refused(body: &[u8]) -> Error {
    let error = token_error(body);
    let said = if error.error_description.is_empty() {
        error.error.clone()
    } else {
        error.error_description.clone()
    };
    let said = one_line(&said);
    Error::Authentication(match error.error.as_str() {
        "invalid_grant" if error.error_description.contains("verifier") => format!(
            "this code belongs to an earlier link, not to the last one printed (Dropbox says: \
             {said}); open the link of ferrybox startAuthentication and paste the code it gives"
        ),
        "invalid_grant" => format!(
            "Dropbox does not accept this code: it is mistyped, already used or expired \
             (Dropbox says: {said}); a code works once and for a few minutes; get a new one \
             with: ferrybox startAuthentication"
        ),
        _ => app_refused(&said),
    })
}

/// What the token endpoint's refusal of a refresh token means.
pub fn refresh_refused(body: &[u8]) -> Error {
    let error = token_error(body);
    let said = one_line(&error.error_description);
    Error::Authentication(match error.error.as_str() {
        "invalid_grant" => format!(
            "Dropbox has ended this authentication (Dropbox says: {said}); nothing was changed; \
             authenticate again with: ferrybox startAuthentication"
        ),
        _ => app_refused(if said.is_empty() { &error.error } else { &said }),
    })
}

fn app_refused(said: &str) -> String {
    format!(
        "Dropbox does not accept the app key or secret (Dropbox says: {said}); compare \
         dropbox.app_key with the App Console, and see that the app allows public clients \
         (PKCE) or set dropbox.app_secret"
    )
}

fn token_error(body: &[u8]) -> TokenError {
    serde_json::from_slice(body).unwrap_or_else(|_| {
        let text = String::from_utf8_lossy(body);
        let code = text.split(':').next().unwrap_or_default().to_owned();
        TokenError {
            error: code,
            error_description: text.into_owned(),
        }
    })
}

/// Why a bearer token was refused, from a 401 body.
pub enum TokenRefusal {
    /// It may be replaced by a refreshed one.
    Stale,
    /// A person must act.
    Final(Error),
}

/// Reads a 401 `AuthError`.
pub fn token_refused(error: &ApiError, credential: &Credential) -> TokenRefusal {
    let personal = matches!(credential, Credential::Personal(_));
    if error.is("missing_scope") {
        let field = |value: &Value| value.get("required_scope").map(ToString::to_string);
        let scope = field(&error.error)
            .or_else(|| error.error.get("missing_scope").and_then(field))
            .unwrap_or_default();
        let scope = scope.trim_matches('"').to_owned();
        return TokenRefusal::Final(Error::Authentication(missing_scope_text(
            &[&scope],
            Some(credential),
        )));
    }
    if error.is("expired_access_token") || error.is("invalid_access_token") {
        if !personal {
            return TokenRefusal::Stale;
        }
        return TokenRefusal::Final(Error::Authentication(
            "Dropbox no longer accepts the personal access token: console tokens last 4 hours; \
             generate a new one, or better set dropbox.app_key, remove the token and run: \
             ferrybox startAuthentication"
                .to_owned(),
        ));
    }
    TokenRefusal::Final(Error::Authentication(format!(
        "Dropbox refuses access to the account: {}",
        error.text()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pasted_code_may_bring_quotes_spaces_and_newlines() {
        for pasted in [
            "ab-C_1",
            " ab-C_1\r\n",
            "\"ab-C_1\"",
            "'ab-C_1' ",
            "\u{201c}ab-C_1\u{201d}",
            "ab-\n C_1",
        ] {
            assert_eq!(clean_code(pasted).unwrap(), "ab-C_1", "{pasted:?}");
        }
    }

    #[test]
    fn what_cannot_be_a_code_is_refused_with_the_remedy() {
        for pasted in [
            "",
            " \"\" ",
            "https://www.dropbox.com/oauth2/authorize?x",
            "a&b",
            "é",
        ] {
            let error = clean_code(pasted).unwrap_err();
            assert!(
                error.to_string().contains("ferrybox startAuthentication"),
                "{error}"
            );
        }
    }

    #[test]
    fn missing_scopes_are_named() {
        let granted = "account_info.read files.metadata.read files.content.read";
        assert_eq!(missing_scopes(Some(granted)), ["files.content.write"]);
        assert!(missing_scopes(None).is_empty());
        assert!(
            missing_scope_text(&["files.content.write"], None).contains("\"files.content.write\"")
        );
    }

    /// The example of RFC 7636, appendix B.
    #[test]
    fn the_challenge_is_the_hash_of_the_verifier() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
        assert_eq!(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn a_form_escapes_what_would_change_its_meaning() {
        assert_eq!(
            form(&[("a", "b c&d=e"), ("f", "g-._~")]),
            "a=b%20c%26d%3De&f=g-._~"
        );
    }
}
