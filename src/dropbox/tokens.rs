//! Where tokens are kept: the refresh token on disk, the access token in memory-backed places.
//!
//! The refresh token is the only secret on the card, in `token.json` (0600, in a 0700 directory),
//! and refused when others can read it. The 4-hour access token is cached in a tmpfs directory
//! where there is one, so that a run from cron needs no refresh, and never written to the card. It
//! is believed only where it proves that a run wrote it that knew the refresh token.

use std::cell::RefCell;

use ring::digest::{SHA256, digest};
use ring::hmac;
use serde::{Deserialize, Serialize};

use crate::config::Secret;
use crate::core::invocation::{Invocation, quoted};
use crate::core::own_names::{is_short_lived_name, short_lived_name};
use crate::core::path::RelPath;
use crate::core::remote::Namespaces;
use crate::dropbox::wire::TokenAnswer;
use crate::error::{Error, Result, state_error};
use crate::io::disk::Disk;
use crate::io::host::Host;
use crate::io::stat::Kind;

/// An access token is replaced when less of its life is left, in seconds.
const RENEW_BEFORE_S: i64 = 300;

/// The file of an access token in the runtime directory is named by the sign-in it belongs to.
const ACCESS_PREFIX: &str = "access-";
/// Stored and removed again to see that there is room.
const PROBE: &str = "sign-in.probe";
/// More than any token file has.
const PROBE_BYTES: usize = 4096;

/// What `token.json` holds.
#[derive(Clone, Serialize, Deserialize)]
pub struct StoredToken {
    /// The long-lived secret.
    pub refresh_token: String,
    /// The app it was issued to.
    pub app_key: String,
    /// The account it opens.
    pub account_id: String,
    /// That account's namespaces.
    #[serde(flatten)]
    pub namespaces: Namespaces,
    /// Whose account it is, for people; empty where that was not asked.
    #[serde(default)]
    pub whose: String,
}

/// A started authentication: what the code that is still to be pasted belongs to.
#[derive(Clone, Serialize, Deserialize)]
pub struct Pending {
    /// The app the URL was made for.
    pub app_key: String,
    /// The PKCE code verifier.
    pub verifier: String,
    /// The app's secret stands for it: the link has no challenge.
    #[serde(default)]
    pub by_secret: bool,
}

/// Who owns the account a personal access token opens, so that it is asked once per token.
#[derive(Clone, Serialize, Deserialize)]
pub struct PersonalAccount {
    /// Hash of the token.
    pub token_hash: String,
    /// The account it opens.
    pub account_id: String,
    /// That account's namespaces.
    #[serde(flatten)]
    pub namespaces: Namespaces,
}

/// An access token that a run has kept, and the proof that it was one of ours.
#[derive(Serialize, Deserialize)]
struct CachedAccess {
    access_token: String,
    expires_at_s: i64,
    /// The account it opens.
    #[serde(default)]
    account_id: String,
    /// Over all of this, keyed by the refresh token, as hexadecimal digits.
    #[serde(default)]
    mac: String,
}

/// What is keyed here by a refresh token.
const MAC_PURPOSE: &[u8] = b"ferrybox: an access token that is kept";

impl CachedAccess {
    fn key(refresh_token: &Secret) -> hmac::Key {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, refresh_token.expose().as_bytes());
        let derived = hmac::sign(&secret, MAC_PURPOSE);
        hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref())
    }

    /// Every field but the proof, its length before it: neighbours cannot run into each other.
    fn signed(&self) -> Vec<u8> {
        let expires_at = self.expires_at_s.to_string();
        let mut all = Vec::new();
        for field in [&self.access_token, &expires_at, &self.account_id] {
            all.extend((field.len() as u64).to_be_bytes());
            all.extend(field.as_bytes());
        }
        all
    }

    fn sign(self, refresh_token: &Secret) -> CachedAccess {
        let mac = hmac::sign(&CachedAccess::key(refresh_token), &self.signed());
        CachedAccess {
            mac: hex(mac.as_ref()),
            ..self
        }
    }

    fn is_signed(&self, refresh_token: &Secret) -> bool {
        let mac = bytes_of_hex(&self.mac).unwrap_or_default();
        let key = CachedAccess::key(refresh_token);
        hmac::verify(&key, &self.signed(), &mac).is_ok()
    }
}

/// The private files of the authentication, in the state directory.
pub struct TokenFiles<'a> {
    disk: &'a dyn Disk,
    shown: String,
    invocation: Invocation,
}

impl<'a> TokenFiles<'a> {
    /// The files in the state directory `disk`, which people know as `shown`.
    pub fn new(disk: &'a dyn Disk, shown: String) -> TokenFiles<'a> {
        TokenFiles {
            disk,
            shown,
            invocation: Invocation::default(),
        }
    }

    /// The same, with the commands in their messages as they are called here.
    #[must_use]
    pub fn called(self, invocation: &Invocation) -> TokenFiles<'a> {
        TokenFiles {
            invocation: invocation.clone(),
            ..self
        }
    }

    /// The state directory, as people know it.
    pub fn shown(&self) -> &str {
        &self.shown
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

    /// Shows that a token can be stored, by storing as much and removing it again: to be asked
    /// before what is to be stored, if that can be had only once.
    ///
    /// # Errors
    /// What the disk says.
    pub fn prove(&self) -> Result<()> {
        let stored = self.write(PROBE, &"x".repeat(PROBE_BYTES));
        let removed = self.remove(PROBE);
        // Where there was no room, a part of it.
        let _ = self.remove(&format!("{PROBE}.new"));
        stored.and(removed)
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

    /// Forgets the namespaces of the account, so that the next pass asks for them.
    ///
    /// # Errors
    /// What the disk says.
    pub fn forget_namespaces(&self) -> Result<()> {
        self.remove("personal-account.json")?;
        match self.token()? {
            Some(token) => self.store_token(&StoredToken {
                namespaces: Namespaces::default(),
                ..token
            }),
            None => Ok(()),
        }
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
                 chmod {remedy} {} -- and if others had access, run: {}",
                quoted(what),
                self.invocation.command("logout")
            ))
        };
        if status.kind != Kind::File {
            return Err(Error::Authentication(format!(
                "{shown} is not a regular file; remove it and run: {}",
                self.sign_in()
            )));
        }
        if status.uid != dir.uid {
            return Err(Error::Authentication(format!(
                "{shown} belongs to another user (uid {}), so it is not used; remove it and run: \
                 {}",
                status.uid,
                self.sign_in()
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
                "{shown} is damaged; remove it and run: {}",
                self.sign_in()
            ))
        })
    }

    fn sign_in(&self) -> String {
        self.invocation.command("startAuthentication")
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
        /// The account it opens; empty where that is not known yet.
        account_id: String,
    },
}

/// The access token of this run: where it comes from and where it is kept.
pub struct AccessTokens<'a> {
    credential: Credential,
    token: RefCell<Option<String>>,
    /// A private directory on tmpfs.
    runtime: Option<&'a dyn Disk>,
    keeps: bool,
    invocation: Invocation,
}

impl<'a> AccessTokens<'a> {
    /// Tokens by `credential`. One is cached in `runtime`, unless `keeps` is false, as in a dry
    /// run: then a cached token is used but none is written.
    pub fn new(
        credential: Credential,
        runtime: Option<&'a dyn Disk>,
        keeps: bool,
    ) -> AccessTokens<'a> {
        AccessTokens {
            credential,
            token: RefCell::default(),
            runtime,
            keeps,
            invocation: Invocation::default(),
        }
    }

    /// The same, with the commands in messages as they are called here.
    #[must_use]
    pub fn called(self, invocation: &Invocation) -> AccessTokens<'a> {
        AccessTokens {
            invocation: invocation.clone(),
            ..self
        }
    }

    /// How the program is called.
    pub fn invocation(&self) -> &Invocation {
        &self.invocation
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
        let Credential::Refresh {
            refresh_token,
            account_id,
            ..
        } = &self.credential
        else {
            return;
        };
        let cached = CachedAccess {
            access_token: answer.access_token.clone(),
            expires_at_s: host.now_s().saturating_add(answer.expires_in.unwrap_or(0)),
            account_id: account_id.clone(),
            mac: String::new(),
        };
        let cached = cached.sign(refresh_token);
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

    /// What an earlier run has kept, if one of ours did. Whatever is wrong with it costs a refresh.
    fn cached(&self, host: &dyn Host) -> Option<String> {
        let Credential::Refresh {
            refresh_token,
            account_id,
            ..
        } = &self.credential
        else {
            return None;
        };
        let (runtime, path) = (self.runtime?, self.cache_path()?);
        let status = runtime.status(&path).ok()??;
        let ignored = |why: &str| {
            log::debug!("the access token in {path} is ignored: {why}");
            None
        };
        if status.kind != Kind::File || status.mode & 0o077 != 0 {
            return ignored("others can use the file");
        }
        if status.uid != runtime.user() {
            return ignored("the file belongs to another user");
        }
        let read = runtime.read(&path).ok()??;
        let Ok(cached) = serde_json::from_slice::<CachedAccess>(&read) else {
            return ignored("it is damaged");
        };
        if !cached.is_signed(refresh_token) {
            return ignored("no run with this sign-in has written it");
        }
        if cached.account_id != *account_id {
            return ignored("it is for another account");
        }
        let left_s = cached.expires_at_s.saturating_sub(host.now_s());
        (left_s > RENEW_BEFORE_S).then_some(cached.access_token)
    }

    fn cache_path(&self) -> Option<RelPath> {
        let Credential::Refresh { refresh_token, .. } = &self.credential else {
            return None;
        };
        let id = hash_hex(refresh_token.expose());
        RelPath::parse(&short_lived_name(ACCESS_PREFIX, &id)).ok()
    }
}

/// Whether a file of this name in a runtime directory holds an access token of ours.
pub fn is_access_file(name: &str) -> bool {
    is_short_lived_name(ACCESS_PREFIX, name)
}

/// Whether a file holds a sign-in of ours, or one that was begun.
pub fn holds_sign_in(bytes: &[u8]) -> bool {
    serde_json::from_slice::<StoredToken>(bytes).is_ok()
        || serde_json::from_slice::<Pending>(bytes).is_ok()
}

/// Whether a file holds an access token that a run has kept.
pub fn holds_access(bytes: &[u8]) -> bool {
    serde_json::from_slice::<CachedAccess>(bytes).is_ok()
}

/// Hash of a secret, to tell one from another without keeping it.
pub fn hash_hex(secret: &str) -> String {
    hex(digest(&SHA256, secret.as_bytes()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
        _ => None,
    });
    pairs.collect()
}
