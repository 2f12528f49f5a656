//! `startAuthentication`, `finishAuthentication` and `logout`.

use std::io::{BufRead, IsTerminal, Read, Write};

use crate::config::{Config, Secret};
use crate::dropbox::api::Api;
use crate::dropbox::auth;
use crate::dropbox::retry::CallError;
use crate::dropbox::tokens::{Access, Credential, Pending, StoredToken, TokenFiles};
use crate::error::{Error, Result};
use crate::io::RealHttp;
use crate::io::host::{Host, RealHost};
use crate::places;

/// Longest code read from stdin, in bytes.
const CODE_BYTES_MAX: u64 = 4096;

/// Prints the three steps with a fresh link.
///
/// # Errors
/// What the state directory says.
pub fn start(config: &Config) -> Result<()> {
    let Some(app_key) = &config.dropbox.app_key else {
        say("dropbox.personal_access_token is set: it is used as it is, there is nothing to do.");
        return Ok(());
    };
    if config.dropbox.personal_access_token.is_some() {
        say(
            "Note: dropbox.personal_access_token is set and wins over dropbox.app_key; remove it \
             to use what you authenticate here.",
        );
    }
    let dir = places::state_dir(config)?;
    let disk = places::open_state(&dir)?;
    let pending = auth::start(&RealHost::new(), app_key);
    TokenFiles::new(&disk, dir.display().to_string()).store_pending(&pending)?;
    say(&auth::banner(config, &pending));
    Ok(())
}

/// The steps to print when somebody must authenticate. A link printed before stays good.
///
/// # Errors
/// What the state directory says.
pub fn banner_for(
    config: &Config,
    files: &TokenFiles<'_>,
    host: &dyn Host,
    app_key: &str,
) -> Result<String> {
    let known = files
        .pending()?
        .filter(|pending| pending.app_key == app_key);
    let pending = match known {
        Some(pending) => pending,
        None => {
            let pending = auth::start(host, app_key);
            files.store_pending(&pending)?;
            pending
        }
    };
    Ok(auth::banner(config, &pending))
}

/// Exchanges the pasted code for tokens and shows whose account it opens.
///
/// # Errors
/// [`Error::Authentication`] for a code that does not work or an app that lacks permissions.
pub fn finish(config: &Config, code: Option<&str>) -> Result<()> {
    let Some(app_key) = &config.dropbox.app_key else {
        return Err(Error::Authentication(
            "dropbox.app_key is not set, so no code is needed; a personal access token works as \
             it is"
                .to_owned(),
        ));
    };
    let code = match code {
        Some(code) => auth::clean_code(code)?,
        None => auth::clean_code(&read_code()?)?,
    };
    let dir = places::state_dir(config)?;
    let disk = places::open_state(&dir)?;
    let files = TokenFiles::new(&disk, dir.display().to_string());
    let Some(pending) = files
        .pending()?
        .filter(|pending| pending.app_key == *app_key)
    else {
        let why = if files.token()?.is_some() {
            "the last code was accepted already, and no other is waited for; a code works once"
        } else {
            "no authentication was started with this dropbox.app_key"
        };
        return Err(Error::Authentication(format!(
            "{why}; for a new one run: ferrybox startAuthentication"
        )));
    };
    let (http, host) = (RealHttp::new(config)?, RealHost::new());
    let secret = config.dropbox.app_secret.as_ref();
    let form = auth::code_form(&code, &pending, secret);
    let answer = Api::redeem_code(&http, &host, &form)?;
    let missing = auth::missing_scopes(answer.scope.as_deref());
    if !missing.is_empty() {
        return Err(Error::Authentication(auth::missing_scope_text(&missing)));
    }
    let Some(refresh_token) = answer.refresh_token.clone() else {
        return Err(Error::Authentication(
            "Dropbox gave no refresh token; open the link of ferrybox startAuthentication as it \
             is printed"
                .to_owned(),
        ));
    };
    let runtime = places::open_runtime();
    let access = Access::new(
        credential(&pending, secret, &refresh_token),
        runtime
            .as_ref()
            .map(|disk| disk as &dyn crate::io::disk::Disk),
        true,
    );
    access.keep(&host, &answer);
    let api = Api::new(&http, &host, access);
    let account = api
        .current_account()
        .map_err(|e| e.into_error("show the account"))?;
    let before = files.token()?;
    files.store_token(&StoredToken {
        refresh_token,
        app_key: pending.app_key,
        account_id: account.account_id.clone(),
        root_namespace_id: account.root_info.root_namespace_id,
    })?;
    say(&format!(
        "Authenticated as {} <{}>. Next: ferrybox sync --dry-run",
        crate::report::printable(&account.name.display_name),
        crate::report::printable(&account.email)
    ));
    if before.is_some_and(|token| token.account_id != account.account_id) {
        say(
            "Note: this is another account than before; the next sync halts and asks before it \
             touches anything.",
        );
    }
    Ok(())
}

fn credential(pending: &Pending, secret: Option<&Secret>, refresh_token: &str) -> Credential {
    Credential::Refresh {
        app_key: pending.app_key.clone(),
        app_secret: secret.cloned(),
        refresh_token: Secret::new(refresh_token),
    }
}

fn read_code() -> Result<String> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        eprint!("Paste the authorisation code: ");
        let _ = std::io::stderr().flush();
    }
    let mut line = String::new();
    stdin
        .lock()
        .take(CODE_BYTES_MAX)
        .read_line(&mut line)
        .map_err(|error| Error::Authentication(format!("cannot read the code: {error}")))?;
    Ok(line)
}

/// Ends the authentication at Dropbox and removes every token from this machine.
///
/// # Errors
/// [`Error::TryLater`] if Dropbox cannot be reached: then the token is kept.
pub fn logout(config: &Config) -> Result<()> {
    let dir = places::state_dir(config)?;
    if !dir.exists() && config.dropbox.personal_access_token.is_none() {
        say("Nobody is authenticated.");
        return Ok(());
    }
    let disk = places::open_state(&dir)?;
    let files = TokenFiles::new(&disk, dir.display().to_string());
    let stored = match files.token_to_revoke() {
        Ok(stored) => stored,
        Err(error) => {
            files.remove_all()?;
            return Err(error);
        }
    };
    let Some(credential) = credential_of(config, stored.as_ref()) else {
        files.remove_all()?;
        say("Nobody is authenticated.");
        return Ok(());
    };
    let is_personal = matches!(credential, Credential::Personal(_));
    let (http, host) = (RealHttp::new(config)?, RealHost::new());
    let runtime = places::open_runtime();
    let runtime = runtime
        .as_ref()
        .map(|disk| disk as &dyn crate::io::disk::Disk);
    let api = Api::new(&http, &host, Access::new(credential, runtime, true));
    match api.revoke() {
        Ok(()) => {}
        // It has ended already.
        Err(CallError::End(Error::Authentication(text))) => log::debug!("{text}"),
        Err(error) => return Err(error.into_error("end the authentication")),
    }
    api.access().forget();
    files.remove_all()?;
    say("Logged out: Dropbox no longer accepts the token, and it is removed from this machine.");
    if is_personal {
        say("Remove dropbox.personal_access_token from the configuration, too.");
    }
    Ok(())
}

/// What the configuration and the state give to prove who we are, if anything.
pub fn credential_of(config: &Config, stored: Option<&StoredToken>) -> Option<Credential> {
    if let Some(token) = &config.dropbox.personal_access_token {
        return Some(Credential::Personal(token.clone()));
    }
    let stored = stored?;
    Some(Credential::Refresh {
        app_key: stored.app_key.clone(),
        app_secret: config.dropbox.app_secret.clone(),
        refresh_token: Secret::new(stored.refresh_token.clone()),
    })
}

/// Answers go to stdout; whoever closed it does not want them.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
