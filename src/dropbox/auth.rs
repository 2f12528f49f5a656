//! OAuth 2: the link, the pasted code, and what the refusals of Dropbox mean.
//!
//! Source: the OAuth guide of the Dropbox developer site; PKCE is RFC 7636.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::digest::{SHA256, digest};
use serde_json::Value;

use crate::config::{Config, Secret};
use crate::core::invocation::Invocation;
use crate::dropbox::tokens::{Credential, Pending};
use crate::dropbox::wire::{ApiError, TokenError, one_line};
use crate::error::{Error, Result};
use crate::io::host::Host;

/// The scopes a pass needs, with the checkbox of the App Console that grants each.
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

/// Starts an authentication: a fresh PKCE verifier (RFC 7636, 4.1: 43 to 128 characters). An app
/// that has a secret proves itself by that alone, as Dropbox's own libraries do: one that allows no
/// public clients might refuse a challenge.
pub fn start(host: &dyn Host, app_key: &str, by_secret: bool) -> Pending {
    let mut random = [0; 48];
    host.random(&mut random);
    let verifier = BASE64_URL_SAFE_NO_PAD.encode(random);
    Pending {
        app_key: app_key.to_owned(),
        verifier,
        by_secret,
    }
}

/// The URL a person opens in any browser, on any machine.
pub fn authorize_url(config: &Config, pending: &Pending) -> String {
    let mut url = format!(
        "{}/oauth2/authorize?response_type=code&client_id={}&token_access_type=offline",
        config.endpoints.www,
        escaped(&pending.app_key),
    );
    if !pending.by_secret {
        let digest = digest(&SHA256, pending.verifier.as_bytes());
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(digest.as_ref());
        url += &format!("&code_challenge={challenge}&code_challenge_method=S256");
    }
    url
}

/// The three steps, as the openHAB add-on printed them.
pub fn banner(config: &Config, pending: &Pending) -> String {
    let line = "#".repeat(89);
    format!(
        "{line}\n\
         # Dropbox-Integration: U S E R   I N T E R A C T I O N   R E Q U I R E D !!\n\
         # 1. Open URL '{}'\n\
         # 2. Allow Ferrybox to access Dropbox\n\
         # 3. Paste the authorisation code here using the command '{}'\n\
         # (the code is good for a few minutes, and once)\n\
         {line}",
        authorize_url(config, pending),
        config.invocation.command("finishAuthentication \"<code>\"")
    )
}

/// Characters that take no room and change what is around them, at most: they come along with what
/// is copied from a page, and nobody sees them.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// The code without what comes along when one is pasted: white space, line breaks, quotation marks
/// and what nobody sees.
///
/// # Errors
/// [`Error::Authentication`] when what is left cannot be a code.
pub fn clean_code(pasted: &str, invocation: &Invocation) -> Result<String> {
    let is_quote = |c: char| "\"'`<>\u{201c}\u{201d}\u{2018}\u{2019}\u{ab}\u{bb}".contains(c);
    let code: String = pasted
        .chars()
        .filter(|c| !c.is_whitespace() && !c.is_control() && !is_quote(*c) && !is_invisible(*c))
        .collect();
    let wrong = |what: &str| {
        Err(Error::Authentication(format!(
            "{what}; paste the code Dropbox showed after \"Allow\", or get a new one with: {}",
            sign_in(invocation)
        )))
    };
    if code.is_empty() {
        return wrong("no code was given");
    }
    if code.starts_with("sl.") {
        return Err(Error::Authentication(format!(
            "this is an access token, not a code: it belongs into dropbox.personal_access_token \
             (where it lasts 4 hours); or open the link that this prints, and paste the code \
             that is shown after \"Allow\": {}",
            sign_in(invocation)
        )));
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
    ];
    if !pending.by_secret {
        fields.push(("code_verifier", &pending.verifier));
    } else if let Some(secret) = app_secret {
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
        account_id: _,
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

/// Which of the needed scopes a grant lacks; nothing is known when the grant names none. The right
/// to write is needed where something `writes`.
pub fn missing_scopes(granted: Option<&str>, writes: bool) -> Vec<&'static str> {
    let Some(granted) = granted else {
        return Vec::new();
    };
    let granted: Vec<_> = granted.split_whitespace().collect();
    SCOPES
        .into_iter()
        .filter(|scope| writes || *scope != "files.content.write")
        .filter(|scope| !granted.contains(scope))
        .collect()
}

fn sign_in(invocation: &Invocation) -> String {
    invocation.command("startAuthentication")
}

/// What to do about a missing permission.
pub fn missing_scope_text(
    scopes: &[&str],
    credential: Option<&Credential>,
    invocation: &Invocation,
) -> String {
    let then = match credential {
        Some(Credential::Personal(_)) => {
            "generate a new token there and put it into dropbox.personal_access_token".to_owned()
        }
        Some(Credential::Refresh { .. }) | None => format!("run: {}", sign_in(invocation)),
    };
    let boxes: Vec<_> = scopes.iter().map(|scope| format!("\"{scope}\"")).collect();
    let permissions = match boxes.len() {
        1 => "permission",
        _ => "permissions",
    };
    format!(
        "the app lacks the {permissions} {}: tick it in the Dropbox App Console \
         (dropbox.com/developers/apps, your app, tab Permissions), press Submit, then {then}",
        boxes.join(", ")
    )
}

/// The refusal of the token endpoint in Dropbox's words (RFC 6749, 5.2).
pub struct OAuthRefusal {
    /// `invalid_grant`, `invalid_client`, ...
    error: String,
    description: String,
}

/// What the token endpoint refuses, if these are Dropbox's words.
pub fn refusal(body: &[u8]) -> Option<OAuthRefusal> {
    let TokenError {
        error,
        error_description,
    } = serde_json::from_slice(body).ok()?;
    // Some have a text behind the word.
    let (word, text) = error.split_once(':').unwrap_or((&error, ""));
    let description = match error_description.is_empty() {
        true => text.trim(),
        false => &error_description,
    };
    (!word.is_empty()).then(|| OAuthRefusal {
        error: word.to_owned(),
        description: description.to_owned(),
    })
}

impl OAuthRefusal {
    /// Whether a person must act. There are others that come and go on Dropbox's side.
    pub fn is_final(&self) -> bool {
        let words = ["invalid_grant", "invalid_client", "unauthorized_client"];
        words.contains(&self.error.as_str())
    }

    /// Whether this version knows what to do about it, or that it passes by itself.
    pub fn is_known(&self, status: u16) -> bool {
        let passing = ["temporarily_unavailable", "server_error"];
        self.is_final() || matches!(status, 429 | 500..) || passing.contains(&&*self.error)
    }

    /// What Dropbox says, for people.
    pub fn said(&self) -> String {
        one_line(match self.description.is_empty() {
            true => &self.error,
            false => &self.description,
        })
    }
}

/// What the token endpoint's refusal of a pasted code means.
pub fn code_refused(refusal: &OAuthRefusal, invocation: &Invocation) -> Error {
    let (said, sign_in) = (refusal.said(), sign_in(invocation));
    Error::Authentication(match refusal.error.as_str() {
        "invalid_grant" if refusal.description.contains("verifier") => format!(
            "this code belongs to an earlier link, not to the last one printed (Dropbox says: \
             {said}); open the link that this prints, and paste the code it gives: {sign_in}"
        ),
        "invalid_grant" => format!(
            "Dropbox does not accept this code: it is mistyped, already used or expired \
             (Dropbox says: {said}); a code works once and for a few minutes; get a new one \
             with: {sign_in}"
        ),
        _ => app_refused(&said),
    })
}

/// What the token endpoint's refusal of a refresh token means.
pub fn refresh_refused(refusal: &OAuthRefusal, invocation: &Invocation) -> Error {
    let (said, sign_in) = (refusal.said(), sign_in(invocation));
    Error::Authentication(match refusal.error.as_str() {
        "invalid_grant" => format!(
            "Dropbox has ended this sign-in (Dropbox says: {said}); nothing was changed; \
             sign in again with: {sign_in}"
        ),
        _ => app_refused(&said),
    })
}

fn app_refused(said: &str) -> String {
    format!(
        "Dropbox does not accept the app key or secret (Dropbox says: {said}); compare \
         dropbox.app_key with the App Console, and see that the app allows public clients \
         (PKCE) or set dropbox.app_secret"
    )
}

/// Dropbox cannot read the token at all.
pub fn malformed_token(credential: &Credential, invocation: &Invocation) -> Error {
    let sign_in = sign_in(invocation);
    Error::Authentication(match credential {
        Credential::Personal(_) => format!(
            "Dropbox says that dropbox.personal_access_token is not an access token: copy it \
             again, whole, from the App Console, or better set dropbox.app_key, remove the token \
             and run: {sign_in}"
        ),
        Credential::Refresh { .. } => format!(
            "Dropbox says that the access token of this sign-in is damaged; authenticate \
             again with: {sign_in}"
        ),
    })
}

/// The token is one of a team, not of a person in it.
pub fn team_token() -> Error {
    Error::Authentication(
        "this access token is one for a whole Dropbox team, and Ferrybox syncs the files of one \
         account: make an app with \"Scoped access\" and none of the permissions for teams in the \
         App Console, and sign in with that as the person whose files these are"
            .to_owned(),
    )
}

/// Why a bearer token was refused, from a 401 body.
pub enum TokenRefusal {
    /// It may be replaced by a refreshed one.
    Stale,
    /// A person must act.
    Final(Error),
}

/// Reads a 401 `AuthError`.
pub fn token_refused(
    error: &ApiError,
    credential: &Credential,
    invocation: &Invocation,
) -> TokenRefusal {
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
            invocation,
        )));
    }
    if error.is("expired_access_token") || error.is("invalid_access_token") {
        if !personal {
            return TokenRefusal::Stale;
        }
        return TokenRefusal::Final(Error::Authentication(format!(
            "Dropbox no longer accepts the personal access token: console tokens last 4 hours; \
             generate a new one, or better set dropbox.app_key, remove the token and run: {}",
            sign_in(invocation)
        )));
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
            // B14: what nobody sees, and a line break in the middle.
            "\u{200b}ab-C\u{200d}_1\u{2060}",
            "\u{feff}ab\u{ad}-C_1\u{200e}",
            "ab-\r\nC_1\r\n",
        ] {
            assert_eq!(
                clean_code(pasted, &Invocation::default()).unwrap(),
                "ab-C_1",
                "{pasted:?}"
            );
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
            let error = clean_code(pasted, &Invocation::default()).unwrap_err();
            assert!(
                error.to_string().contains("ferrybox startAuthentication"),
                "{error}"
            );
        }
    }

    /// B14.
    #[test]
    fn b14_an_access_token_pasted_as_a_code_is_recognised_and_not_repeated() {
        for token in ["sl.u.AbCdEfGhIj", "sl.BxYz-0123"] {
            let text = clean_code(token, &Invocation::default())
                .unwrap_err()
                .to_string();
            assert!(
                text.contains("this is an access token, not a code"),
                "{text}"
            );
            assert!(
                text.contains("personal_access_token") && !text.contains(token),
                "{text}"
            );
        }
    }

    #[test]
    fn missing_scopes_are_named() {
        let granted = "account_info.read files.metadata.read files.content.read";
        assert_eq!(missing_scopes(Some(granted), true), ["files.content.write"]);
        assert!(missing_scopes(Some(granted), false).is_empty(), "B16");
        assert_eq!(missing_scopes(Some("account_info.read"), false).len(), 2);
        assert!(missing_scopes(None, true).is_empty());
        assert!(
            missing_scope_text(&["files.content.write"], None, &Invocation::default())
                .contains("\"files.content.write\"")
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
