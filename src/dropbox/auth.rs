//! OAuth 2: the pasted code, the refresh token on disk, the access token in memory-backed places.
//!
//! Source: the OAuth guide of the Dropbox developer site; PKCE is RFC 7636. The refresh token is
//! the only secret on the card, in `token.json` (0600, in a 0700 directory). The 4-hour access
//! token is cached in a tmpfs directory where there is one, so that a run from cron needs no
//! refresh, and never written to the card.

use std::cell::RefCell;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{Config, Secret};
use crate::core::path::RelPath;
use crate::dropbox::wire::{TokenAnswer, TokenError, one_line};
use crate::error::{Error, Result, state_error};
use crate::io::disk::{Disk, Kind};
use crate::io::host::Host;

/// The scopes every pass needs, with the checkbox of the App Console that grants each.
pub const SCOPES: [&str; 4] = [
    "account_info.read",
    "files.metadata.read",
    "files.content.read",
    "files.content.write",
];

/// An access token is replaced when less of its life is left, in seconds.
const RENEW_BEFORE_S: i64 = 300;

/// Characters that need no escaping in a form or a query (RFC 3986, unreserved).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What `token.json` holds.
#[derive(Clone, Serialize, Deserialize)]
pub struct StoredToken {
    /// The long-lived secret.
    pub refresh_token: String,
    /// The app it was issued to.
    pub app_key: String,
    /// The account it opens.
    pub account_id: String,
    /// That account's root namespace.
    pub root_namespace_id: String,
}

/// A started authentication: what the code that is still to be pasted belongs to.
#[derive(Clone, Serialize, Deserialize)]
pub struct Pending {
    /// The app the URL was made for.
    pub app_key: String,
    /// The PKCE code verifier.
    pub verifier: String,
}

/// Who owns the account a personal access token opens, so that it is asked once per token.
#[derive(Clone, Serialize, Deserialize)]
pub struct PersonalAccount {
    /// Hash of the token.
    pub token_hash: String,
    /// The account it opens.
    pub account_id: String,
    /// That account's root namespace.
    pub root_namespace_id: String,
}

#[derive(Serialize, Deserialize)]
struct CachedAccess {
    access_token: String,
    expires_at_s: i64,
}

/// The private files of the authentication, in the state directory.
pub struct TokenFiles<'a> {
    disk: &'a dyn Disk,
    shown: String,
}

impl<'a> TokenFiles<'a> {
    /// The files in the state directory `disk`, which people know as `shown`.
    pub fn new(disk: &'a dyn Disk, shown: String) -> TokenFiles<'a> {
        TokenFiles { disk, shown }
    }

    /// The stored token, if there is one.
    ///
    /// # Errors
    /// [`Error::Authentication`] if others can read it or it is damaged.
    pub fn token(&self) -> Result<Option<StoredToken>> {
        self.read("token.json")
    }

    /// The stored token even if others can read it: so that it can be revoked.
    ///
    /// # Errors
    /// [`Error::Authentication`] if it is damaged.
    pub fn token_to_revoke(&self) -> Result<Option<StoredToken>> {
        self.parse("token.json")
    }

    /// Stores the token and forgets the pending authentication.
    ///
    /// # Errors
    /// What the disk says.
    pub fn store_token(&self, token: &StoredToken) -> Result<()> {
        self.write("token.json", token)?;
        self.remove("pending-auth.json")
    }

    /// The started authentication, if there is one.
    ///
    /// # Errors
    /// As for the token.
    pub fn pending(&self) -> Result<Option<Pending>> {
        self.read("pending-auth.json")
    }

    /// Stores a started authentication.
    ///
    /// # Errors
    /// What the disk says.
    pub fn store_pending(&self, pending: &Pending) -> Result<()> {
        self.write("pending-auth.json", pending)
    }

    /// The account a personal access token was found to open.
    ///
    /// # Errors
    /// As for the token.
    pub fn personal_account(&self) -> Result<Option<PersonalAccount>> {
        self.read("personal-account.json")
    }

    /// Stores the account a personal access token opens.
    ///
    /// # Errors
    /// What the disk says.
    pub fn store_personal_account(&self, account: &PersonalAccount) -> Result<()> {
        self.write("personal-account.json", account)
    }

    /// Removes all of them.
    ///
    /// # Errors
    /// What the disk says.
    pub fn remove_all(&self) -> Result<()> {
        ["token.json", "pending-auth.json", "personal-account.json"]
            .into_iter()
            .try_for_each(|name| self.remove(name))
    }

    fn read<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Result<Option<T>> {
        let path = file_name(name)?;
        let shown = format!("{}/{name}", self.shown);
        let wrap = |error: std::io::Error| state_error(&format!("read {shown}"), &error);
        let Some(status) = self.disk.status(&path).map_err(wrap)? else {
            return Ok(None);
        };
        let dir = self.disk.root().map_err(wrap)?;
        let loose = |what: &str, mode: u32, remedy: &str| {
            Error::Authentication(format!(
                "{what} can be read by others (mode {mode:04o}), so it is not used; run: \
                 chmod {remedy} {what} -- and if others had access, run ferrybox logout"
            ))
        };
        if status.kind != Kind::File {
            return Err(Error::Authentication(format!(
                "{shown} is not a regular file"
            )));
        }
        if status.mode & 0o077 != 0 {
            return Err(loose(&shown, status.mode, "600"));
        }
        if dir.mode & 0o077 != 0 {
            return Err(loose(&self.shown, dir.mode, "700"));
        }
        self.parse(name)
    }

    fn parse<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Result<Option<T>> {
        let shown = format!("{}/{name}", self.shown);
        let bytes = self
            .disk
            .read(&file_name(name)?)
            .map_err(|error| state_error(&format!("read {shown}"), &error))?;
        let Some(bytes) = bytes else {
            return Ok(None);
        };
        // The parser's own text could quote the secret.
        serde_json::from_slice(&bytes).map(Some).map_err(|_| {
            Error::Authentication(format!(
                "{shown} is damaged; remove it and run: ferrybox startAuthentication"
            ))
        })
    }

    fn write(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let json = serde_json::to_vec(value).map_err(|e| Error::Failed(e.to_string()))?;
        self.disk
            .write(&file_name(name)?, &json)
            .map_err(|error| state_error(&format!("write {}/{name}", self.shown), &error))
    }

    fn remove(&self, name: &str) -> Result<()> {
        match self.disk.remove_file(&file_name(name)?) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(state_error(
                &format!("remove {}/{name}", self.shown),
                &error,
            )),
            _ => Ok(()),
        }
    }
}

fn file_name(name: &str) -> Result<RelPath> {
    RelPath::parse(name).map_err(|error| Error::Failed(format!("{name}: {error}")))
}

/// What proves who we are.
pub enum Credential {
    /// A token pasted from the App Console into the configuration.
    Personal(Secret),
    /// A refresh token from a finished authentication.
    Refresh {
        /// The app it was issued to.
        app_key: String,
        /// The app's secret, for apps that do not allow PKCE alone.
        app_secret: Option<Secret>,
        /// The long-lived secret.
        refresh_token: Secret,
    },
}

/// The access token of this run: where it comes from and where it is kept.
pub struct Access<'a> {
    credential: Credential,
    token: RefCell<Option<String>>,
    /// A private directory on tmpfs.
    runtime: Option<&'a dyn Disk>,
    keeps: bool,
}

impl<'a> Access<'a> {
    /// Access by `credential`. The token is cached in `runtime`, unless `keeps` is false, as in a
    /// dry run: then a cached token is used but none is written.
    pub fn new(credential: Credential, runtime: Option<&'a dyn Disk>, keeps: bool) -> Access<'a> {
        Access {
            credential,
            token: RefCell::default(),
            runtime,
            keeps,
        }
    }

    /// The credential.
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// The token at hand, if any: from this run, from the configuration or from the cache.
    pub fn token_at_hand(&self, host: &dyn Host) -> Option<String> {
        if let Credential::Personal(token) = &self.credential {
            return Some(token.expose().to_owned());
        }
        if self.token.borrow().is_none() {
            *self.token.borrow_mut() = self.cached(host);
        }
        self.token.borrow().clone()
    }

    /// Keeps the token of a refresh answer.
    pub fn keep(&self, host: &dyn Host, answer: &TokenAnswer) {
        *self.token.borrow_mut() = Some(answer.access_token.clone());
        let (Some(runtime), Some(path), true) = (self.runtime, self.cache_path(), self.keeps)
        else {
            return;
        };
        let cached = CachedAccess {
            access_token: answer.access_token.clone(),
            expires_at_s: host.now_s().saturating_add(answer.expires_in.unwrap_or(0)),
        };
        // A cache that cannot be written costs one refresh in the next run.
        if let Ok(json) = serde_json::to_vec(&cached) {
            let _ = runtime.write(&path, &json);
        }
    }

    /// Drops the token everywhere, after Dropbox said it is no longer good.
    pub fn forget(&self) {
        *self.token.borrow_mut() = None;
        if let (Some(runtime), Some(path), true) = (self.runtime, self.cache_path(), self.keeps) {
            let _ = runtime.remove_file(&path);
        }
    }

    fn cached(&self, host: &dyn Host) -> Option<String> {
        let (runtime, path) = (self.runtime?, self.cache_path()?);
        let status = runtime.status(&path).ok()??;
        if status.kind != Kind::File || status.mode & 0o077 != 0 {
            return None;
        }
        let cached: CachedAccess = serde_json::from_slice(&runtime.read(&path).ok()??).ok()?;
        (cached.expires_at_s - host.now_s() > RENEW_BEFORE_S).then_some(cached.access_token)
    }

    fn cache_path(&self) -> Option<RelPath> {
        let Credential::Refresh { refresh_token, .. } = &self.credential else {
            return None;
        };
        let name = format!("access-{}.json", &hash_hex(refresh_token.expose())[..16]);
        RelPath::parse(&name).ok()
    }
}

/// Hash of a secret, to tell one from another without keeping it.
pub fn hash_hex(secret: &str) -> String {
    digest(&SHA256, secret.as_bytes())
        .as_ref()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

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
pub fn missing_scope_text(scopes: &[&str]) -> String {
    let boxes: Vec<_> = scopes.iter().map(|scope| format!("\"{scope}\"")).collect();
    format!(
        "the app lacks the permission {}: tick it in the Dropbox App Console \
         (dropbox.com/developers/apps, your app, tab Permissions), press Submit, then run: \
         ferrybox startAuthentication",
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
pub enum Refusal {
    /// It may be replaced by a refreshed one.
    Stale,
    /// A person must act.
    Final(Error),
}

/// Reads a 401 `AuthError`.
pub fn token_refused(error: &crate::dropbox::wire::ApiError, credential: &Credential) -> Refusal {
    let personal = matches!(credential, Credential::Personal(_));
    if error.is("missing_scope") {
        let field = |value: &Value| value.get("required_scope").map(ToString::to_string);
        let scope = field(&error.error)
            .or_else(|| error.error.get("missing_scope").and_then(field))
            .unwrap_or_default();
        let scope = scope.trim_matches('"').to_owned();
        return Refusal::Final(Error::Authentication(missing_scope_text(&[&scope])));
    }
    if error.is("expired_access_token") || error.is("invalid_access_token") {
        if !personal {
            return Refusal::Stale;
        }
        return Refusal::Final(Error::Authentication(
            "Dropbox no longer accepts the personal access token: console tokens last 4 hours; \
             generate a new one, or better set dropbox.app_key, remove the token and run: \
             ferrybox startAuthentication"
                .to_owned(),
        ));
    }
    Refusal::Final(Error::Authentication(format!(
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
        assert!(missing_scope_text(&["files.content.write"]).contains("\"files.content.write\""));
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
