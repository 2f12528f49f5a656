//! Apps, codes and tokens: what `www` and the token endpoint decide.

use std::collections::{BTreeSet, HashMap};

use sha2::{Digest, Sha256};

use crate::encoding::base64url;

/// The scopes the registered apps have enabled.
pub(crate) const SCOPES: [&str; 4] = [
    "account_info.read",
    "files.content.read",
    "files.content.write",
    "files.metadata.read",
];

/// How long an access token lives, in seconds.
pub(crate) const ACCESS_LIFE: i64 = 14_400;

/// How long a code lives, in seconds.
const CODE_LIFE: i64 = 600;

/// Scope names in order.
pub(crate) type Scopes = BTreeSet<String>;

/// A PKCE challenge (RFC 7636).
#[derive(Clone, Debug)]
pub(crate) enum Challenge {
    Plain(String),
    S256(String),
}

impl Challenge {
    fn is_met_by(&self, verifier: &str) -> bool {
        match self {
            Self::Plain(challenge) => challenge == verifier,
            Self::S256(challenge) => *challenge == base64url(&Sha256::digest(verifier)),
        }
    }
}

/// What a person was asked, and what the code they got stands for.
#[derive(Clone, Debug)]
pub(crate) struct Consent {
    pub(crate) app: String,
    pub(crate) challenge: Option<Challenge>,
    pub(crate) scopes: Scopes,
    pub(crate) offline: bool,
    pub(crate) redirect_uri: Option<String>,
}

#[derive(Clone)]
struct Code {
    consent: Consent,
    expires: i64,
}

/// What an access token allows.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) app: String,
    pub(crate) scopes: Scopes,
    pub(crate) expires: i64,
    pub(crate) refresh_token: Option<String>,
}

/// What a refresh token allows.
#[derive(Clone)]
pub(crate) struct Lasting {
    pub(crate) app: String,
    pub(crate) scopes: Scopes,
    /// Whether it came from a PKCE flow, so that no secret is needed.
    pub(crate) public: bool,
}

/// The freshly made tokens of an exchange.
pub(crate) struct Issued {
    pub(crate) access_token: String,
    pub(crate) refresh_token: Option<String>,
    pub(crate) scopes: Scopes,
}

/// Why a token request fails: the `error` and its description.
pub(crate) type Refusal = (&'static str, &'static str);

const BAD_CLIENT: Refusal = ("invalid_client", "Invalid client_id or client_secret");
const BAD_CODE: Refusal = ("invalid_grant", "code doesn't exist or has expired");
const BAD_VERIFIER: Refusal = ("invalid_grant", "invalid code verifier");
const BAD_REFRESH: Refusal = ("invalid_grant", "refresh token is invalid or revoked");

/// Everything about authorization.
#[derive(Clone)]
pub(crate) struct OAuth {
    pub(crate) apps: HashMap<String, String>,
    /// What the next approvals grant, if less than what is asked for.
    pub(crate) grantable: Option<Scopes>,
    pub(crate) grants: HashMap<String, Grant>,
    codes: HashMap<String, Code>,
    lasting: HashMap<String, Lasting>,
    seed: u64,
    minted: u64,
}

impl OAuth {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            apps: HashMap::from([("standin-key".into(), "standin-secret".into())]),
            grantable: None,
            grants: HashMap::new(),
            codes: HashMap::new(),
            lasting: HashMap::new(),
            seed,
            minted: 0,
        }
    }

    /// The person clicked Allow: the code they get.
    pub(crate) fn approve(&mut self, mut consent: Consent, now: i64) -> String {
        if let Some(grantable) = &self.grantable {
            consent.scopes = consent.scopes.intersection(grantable).cloned().collect();
        }
        let code = self.mint("code", 1);
        let expires = now + CODE_LIFE;
        self.codes.insert(code.clone(), Code { consent, expires });
        code
    }

    /// `grant_type=authorization_code`.
    pub(crate) fn redeem(&mut self, asked: &Asked<'_>, now: i64) -> Result<Issued, Refusal> {
        self.check_client(asked)?;
        let code = asked
            .code
            .ok_or(("invalid_request", "missing required parameter: code"))?;
        let Code { consent, expires } = self.codes.get(code).ok_or(BAD_CODE)?;
        if *expires < now || Some(consent.app.as_str()) != asked.client_id {
            return Err(BAD_CODE);
        }
        if consent.redirect_uri.as_deref() != asked.redirect_uri {
            return Err(("invalid_grant", "redirect_uri mismatch"));
        }
        // A wrong verifier does not use up the code; the documents do not say either way.
        let public = match (&consent.challenge, asked.verifier) {
            (Some(challenge), Some(verifier)) if challenge.is_met_by(verifier) => true,
            (None, None) if asked.secret.is_some() => false,
            (None, None) => return Err(BAD_CLIENT),
            _ => return Err(BAD_VERIFIER),
        };
        let consent = consent.clone();
        self.codes.remove(code);
        let refresh_token = consent.offline.then(|| self.mint("refresh", 2));
        if let Some(token) = &refresh_token {
            let (app, scopes) = (consent.app.clone(), consent.scopes.clone());
            self.lasting.insert(
                token.clone(),
                Lasting {
                    app,
                    scopes,
                    public,
                },
            );
        }
        let (app, scopes) = (consent.app, consent.scopes);
        let access_token = self.issue(app, scopes.clone(), now, refresh_token.clone());
        Ok(Issued {
            access_token,
            refresh_token,
            scopes,
        })
    }

    /// `grant_type=refresh_token`. No new refresh token is made.
    pub(crate) fn refresh(&mut self, asked: &Asked<'_>, now: i64) -> Result<Issued, Refusal> {
        self.check_client(asked)?;
        let token = asked.refresh_token.ok_or((
            "invalid_request",
            "missing required parameter: refresh_token",
        ))?;
        let plausible = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if token.len() < 11 || !token.bytes().all(plausible) {
            return Err(("invalid_grant", "refresh token is malformed"));
        }
        let lasting = self.lasting.get(token).cloned().ok_or(BAD_REFRESH)?;
        if Some(lasting.app.as_str()) != asked.client_id {
            return Err(BAD_REFRESH);
        }
        if !lasting.public && asked.secret.is_none() {
            return Err(BAD_CLIENT);
        }
        let scopes = match asked.scope.map(scopes_of) {
            Some(narrower) if narrower.is_subset(&lasting.scopes) => narrower,
            Some(_) => return Err(("invalid_scope", "scope exceeds what was granted")),
            None => lasting.scopes,
        };
        let access_token = self.issue(lasting.app, scopes.clone(), now, Some(token.to_owned()));
        Ok(Issued {
            access_token,
            refresh_token: None,
            scopes,
        })
    }

    /// A secret, if given, must be right; the app must be known.
    fn check_client(&self, asked: &Asked<'_>) -> Result<(), Refusal> {
        let known = asked
            .client_id
            .and_then(|id| self.apps.get(id))
            .ok_or(BAD_CLIENT)?;
        match asked.secret {
            Some(secret) if secret != known => Err(BAD_CLIENT),
            _ => Ok(()),
        }
    }

    /// Makes an access token.
    pub(crate) fn issue(
        &mut self,
        app: String,
        scopes: Scopes,
        now: i64,
        refresh_token: Option<String>,
    ) -> String {
        let token = format!("sl.{}", self.mint("access", 4));
        let expires = now + ACCESS_LIFE;
        let grant = Grant {
            app,
            scopes,
            expires,
            refresh_token,
        };
        self.grants.insert(token.clone(), grant);
        token
    }

    /// Kills an access token, its refresh token, and what else came from that.
    pub(crate) fn revoke(&mut self, token: &str) {
        let Some(grant) = self.grants.remove(token) else {
            return;
        };
        if let Some(refresh_token) = grant.refresh_token {
            self.lasting.remove(&refresh_token);
            self.grants
                .retain(|_, other| other.refresh_token.as_ref() != Some(&refresh_token));
        }
    }

    /// The person removed the app from the account.
    pub(crate) fn revoke_all(&mut self) {
        self.grants.clear();
        self.lasting.clear();
        self.codes.clear();
    }

    fn mint(&mut self, kind: &str, blocks: u32) -> String {
        self.minted += 1;
        let block = |part| Sha256::digest(format!("{kind} {} {} {part}", self.seed, self.minted));
        let bytes: Vec<u8> = (0..blocks).flat_map(block).collect();
        base64url(&bytes)
    }
}

/// The fields of a token request.
#[derive(Default)]
pub(crate) struct Asked<'a> {
    pub(crate) client_id: Option<&'a str>,
    pub(crate) secret: Option<&'a str>,
    pub(crate) code: Option<&'a str>,
    pub(crate) verifier: Option<&'a str>,
    pub(crate) redirect_uri: Option<&'a str>,
    pub(crate) refresh_token: Option<&'a str>,
    pub(crate) scope: Option<&'a str>,
}

/// Reads a space-separated list of scopes.
pub(crate) fn scopes_of(text: &str) -> Scopes {
    text.split_whitespace().map(str::to_owned).collect()
}

/// All enabled scopes.
pub(crate) fn all_scopes() -> Scopes {
    SCOPES.iter().map(|&scope| scope.to_owned()).collect()
}
