//! Who we are: what proves it to Dropbox, and the account the base is agreed with.

use crate::config::{Config, Secret};
use crate::core::remote::{Namespaces, PathRoot};
use crate::dropbox::api::Api;
use crate::dropbox::auth;
use crate::dropbox::tokens::{Credential, PersonalAccount, StoredToken, TokenFiles, hash_hex};
use crate::error::{Error, Result};
use crate::index::SyncIdentity;
use crate::io::dirs;
use crate::io::host::Host;
use crate::logging::WATCHER;

/// What a pass proves with who we are; where nothing does, `keeper` keeps what a banner asks for.
///
/// # Errors
/// [`Error::Authentication`] with what to do.
pub(crate) fn credential(
    config: &Config,
    files: Option<&TokenFiles<'_>>,
    keeper: Option<&TokenFiles<'_>>,
    host: &dyn Host,
) -> Result<Credential> {
    if config.dropbox.personal_access_token.is_some() {
        if config.dropbox.app_key.is_some() {
            log::info!(
                target: WATCHER,
                "dropbox.personal_access_token wins over dropbox.app_key"
            );
        }
        return credential_of(config, None).ok_or_else(|| unauthenticated(config, "", None));
    }
    let app_key = config.dropbox.app_key.as_deref().unwrap_or_default();
    let stored = files.map(TokenFiles::token).transpose()?.flatten();
    let state = dirs::state_dir(config)?;
    let why = match &stored {
        None => format!(
            "nobody is signed in: there is no token.json in {}",
            state.display()
        ),
        Some(stored) if stored.app_key != app_key => format!(
            "the sign-in that is kept is for another dropbox.app_key (in {})",
            state.display()
        ),
        Some(_) => {
            return credential_of(config, stored.as_ref())
                .ok_or_else(|| unauthenticated(config, "", None));
        }
    };
    let banner = |keeper| banner_for(config, keeper, host, app_key);
    let banner = keeper.map(banner).transpose()?;
    Err(unauthenticated(config, &why, banner))
}

fn unauthenticated(config: &Config, why: &str, banner: Option<String>) -> Error {
    Error::Authentication(match banner {
        Some(banner) => format!("{why}\n{banner}"),
        None => format!(
            "{why}; run: {}",
            config.invocation.command("startAuthentication")
        ),
    })
}

/// What the base is agreed with. The account was asked for when the token was made, or is asked
/// for once per personal access token, and kept by `keeper`; never by a request per pass.
///
/// # Errors
/// What Dropbox or the state directory says.
pub(crate) fn identity(
    config: &Config,
    files: Option<&TokenFiles<'_>>,
    keeper: Option<&TokenFiles<'_>>,
    api: &Api<'_>,
) -> Result<SyncIdentity> {
    let (account_id, app_key, namespaces) = match api.access().credential() {
        Credential::Refresh { app_key, .. } => {
            let stored = files.map(TokenFiles::token).transpose()?.flatten();
            let mut stored =
                stored.ok_or_else(|| unauthenticated(config, "the token is gone", None))?;
            // The authentication could not show the account: it is asked for now.
            if !stored.namespaces.are_known() {
                let found = api
                    .current_account()
                    .map_err(|e| e.into_error("show the account"))?;
                stored.account_id = found.account_id;
                stored.namespaces = found.root_info;
                if let Some(keeper) = keeper {
                    keeper.store_token(&stored)?;
                }
            }
            (stored.account_id, app_key.clone(), stored.namespaces)
        }
        Credential::Personal(token) => {
            let token_hash = hash_hex(token.expose());
            let known = files
                .map(TokenFiles::personal_account)
                .transpose()?
                .flatten();
            let is_of = |known: &PersonalAccount| {
                known.token_hash == token_hash && known.namespaces.are_known()
            };
            let account = match known.filter(is_of) {
                Some(account) => account,
                None => {
                    let found = api
                        .current_account()
                        .map_err(|e| e.into_error("show the account"))?;
                    let account = PersonalAccount {
                        token_hash,
                        account_id: found.account_id,
                        namespaces: found.root_info,
                    };
                    if let Some(keeper) = keeper {
                        keeper.store_personal_account(&account)?;
                    }
                    account
                }
            };
            // Which app a personal token is of cannot be asked; Dropbox refuses foreign cursors.
            (
                account.account_id,
                "personal access token".to_owned(),
                account.namespaces,
            )
        }
    };
    let root_namespace = root_namespace(config, &namespaces);
    api.begin_in(config.dropbox.root, namespaces);
    Ok(SyncIdentity {
        account_id,
        app_key,
        root_namespace,
        remote_root: config.dropbox.remote_root.clone(),
        filters: config.sync.filter.fingerprint(),
    })
}

/// What the base is agreed with of the namespaces: the same paths lead elsewhere in a team's space.
fn root_namespace(config: &Config, namespaces: &Namespaces) -> String {
    match (namespaces.team(), config.dropbox.root) {
        (Some(team), PathRoot::Team) => SyncIdentity::of_team(team),
        _ => namespaces.root_namespace_id.clone(),
    }
}

/// The steps to print when somebody must authenticate. A link printed before stays good.
///
/// # Errors
/// What the state directory says.
fn banner_for(
    config: &Config,
    files: &TokenFiles<'_>,
    host: &dyn Host,
    app_key: &str,
) -> Result<String> {
    let by_secret = config.dropbox.app_secret.is_some();
    let known = files
        .pending()?
        .filter(|pending| pending.app_key == app_key && pending.by_secret == by_secret);
    let pending = match known {
        Some(pending) => pending,
        None => {
            let pending = auth::start(host, app_key, by_secret);
            files.store_pending(&pending)?;
            pending
        }
    };
    Ok(auth::banner(config, &pending))
}

/// What the configuration and the state give to prove who we are, if anything.
pub(crate) fn credential_of(config: &Config, stored: Option<&StoredToken>) -> Option<Credential> {
    match &config.dropbox.personal_access_token {
        Some(token) => Some(Credential::Personal(token.clone())),
        None => stored.map(|stored| refreshed(config, stored)),
    }
}

/// The credential of a stored authentication.
pub(crate) fn refreshed(config: &Config, stored: &StoredToken) -> Credential {
    Credential::Refresh {
        app_key: stored.app_key.clone(),
        app_secret: config.dropbox.app_secret.clone(),
        refresh_token: Secret::new(stored.refresh_token.clone()),
        account_id: stored.account_id.clone(),
    }
}
