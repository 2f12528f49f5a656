//! `startAuthentication`, `finishAuthentication` and `logout`.

use std::io::{BufRead, IsTerminal, Read, Write};
use std::time::Duration;

use crate::config::{Config, Secret};
use crate::core::decide::Mode;
use crate::core::remote::{Namespaces, PathRoot};
use crate::dropbox::api::Api;
use crate::dropbox::auth;
use crate::dropbox::retry::CallError;
use crate::dropbox::tokens::{AccessTokens, Credential, Pending, StoredToken, TokenFiles};
use crate::dropbox::wire::TokenAnswer;
use crate::engine::credential::refreshed;
use crate::engine::identity::no_team;
use crate::error::{Error, Result};
use crate::io::RealHttp;
use crate::io::deadline::Deadline;
use crate::io::dirs;
use crate::io::disk::Disk;
use crate::io::env::has_more_input;
use crate::io::host::RealHost;
use crate::report::printable;

/// Longest code read from stdin, in bytes.
const CODE_BYTES_MAX: u64 = 4096;
/// Lines that come within this time of each other were pasted together.
const TOGETHER: Duration = Duration::from_millis(300);

/// What is said of a sign-in to another account.
const OTHER_ACCOUNT: &str = "\nNote: this is another account than before; the next sync halts and \
                             asks before it touches anything.";

/// Prints the three steps with a fresh link.
///
/// # Errors
/// What the state directory says.
pub fn start(config: &Config) -> Result<String> {
    let Some(app_key) = &config.dropbox.app_key else {
        return Ok(
            "dropbox.personal_access_token is set: it is used as it is, there is nothing to do."
                .to_owned(),
        );
    };
    let dir = dirs::state_dir(config)?;
    let disk = dirs::open_state(&dir)?;
    let by_secret = config.dropbox.app_secret.is_some();
    let pending = auth::start(&RealHost::new(), app_key, by_secret);
    TokenFiles::new(&disk, dir.display().to_string())
        .called(&config.invocation)
        .store_pending(&pending)?;
    Ok(format!(
        "{}{}",
        personal_token_note(config),
        auth::banner(config, &pending)
    ))
}

/// With both, the personal access token wins, and a line says so.
fn personal_token_note(config: &Config) -> &'static str {
    if config.dropbox.personal_access_token.is_some() {
        "Note: dropbox.personal_access_token is set and wins over dropbox.app_key; remove it to \
         use this authentication.\n"
    } else {
        ""
    }
}

/// Exchanges the pasted code for tokens and shows whose account it opens.
///
/// # Errors
/// [`Error::Authentication`] for a code that does not work or an app that lacks permissions.
pub fn finish(config: &Config, code: Option<&str>) -> Result<String> {
    let Some(app_key) = &config.dropbox.app_key else {
        return Err(Error::Authentication(
            "dropbox.app_key is not set, so no code is needed; a personal access token works as \
             it is"
                .to_owned(),
        ));
    };
    let code = match code {
        Some(code) => auth::clean_code(code, &config.invocation)?,
        None => auth::clean_code(&read_code()?, &config.invocation)?,
    };
    let dir = dirs::state_dir(config)?;
    let disk = dirs::open_state(&dir)?;
    let files = TokenFiles::new(&disk, dir.display().to_string()).called(&config.invocation);
    let pending = pending_for(config, app_key, &files)?;
    files.prove().map_err(|error| unstorable(error, config))?;
    let (http, host) = (RealHttp::new(config)?, RealHost::new());
    let secret = config.dropbox.app_secret.as_ref();
    let form = auth::code_form(&code, &pending, secret);
    let answer = Api::redeem_code(&http, &host, &form, &config.invocation)?;
    let missing = auth::missing_scopes(answer.scope.as_deref(), may_write(config));
    if !missing.is_empty() {
        return Err(Error::Authentication(auth::missing_scope_text(
            &missing,
            None,
            &config.invocation,
        )));
    }
    let Some(refresh_token) = answer.refresh_token.clone() else {
        return Err(Error::Authentication(format!(
            "Dropbox gave no refresh token; open the link as it is printed by: {}",
            config.invocation.command("startAuthentication")
        )));
    };
    let runtime = dirs::open_runtime();
    let access = AccessTokens::new(
        credential(&pending, secret, &refresh_token, &answer),
        runtime.as_ref().map(|disk| disk as &dyn Disk),
        true,
    )
    .called(&config.invocation);
    access.keep(&host, &answer);
    let deadline = Deadline::none(&host);
    let api = Api::new(&http, &host, &deadline, access);
    let before = files.token()?;
    // The code is used up by now: what it brought is kept even if the account cannot be shown.
    let mut token = StoredToken {
        refresh_token,
        app_key: pending.app_key,
        account_id: answer.account_id.unwrap_or_default(),
        namespaces: Namespaces::default(),
        whose: String::new(),
    };
    let whose = show_account(&api, &mut token);
    files.store_token(&token)?;
    let whose = whose?;
    let other = before.is_some_and(|before| before.account_id != token.account_id);
    let note = if other { OTHER_ACCOUNT } else { "" };
    let personal = personal_token_note(config);
    let team = team_note(config, &token.namespaces)?;
    Ok(format!(
        "{personal}Authenticated {whose}; the sign-in is kept in {}.\n{team}Next: {}{note}",
        dir.display(),
        config.invocation.command("sync --dry-run")
    ))
}

/// Which of the two places of a member of a team is synced.
///
/// # Errors
/// [`Error::Config`] if it is the space of a team and the account is in none.
fn team_note(config: &Config, namespaces: &Namespaces) -> Result<&'static str> {
    Ok(match (namespaces.team(), config.dropbox.root) {
        (None, PathRoot::Team) if namespaces.are_known() => {
            return Err(Error::Config(no_team(config)));
        }
        (None, _) => "",
        (Some(_), PathRoot::Home) => {
            "This account is one of a team: the member's own folder is synced, in which the team's \
             folders are not.\nTo sync those, write root = \"team\" below [dropbox].\n"
        }
        (Some(_), PathRoot::Team) => {
            "This account is one of a team: the space of the team is synced, as dropbox.com shows \
             it.\n"
        }
    })
}

/// Whether anything is ever written to Dropbox by this configuration.
pub(super) fn may_write(config: &Config) -> bool {
    config.sync.mode != Mode::DropboxToLocal || config.sync.upload_on_reset
}

/// The code is still good: it has not been shown to Dropbox.
fn unstorable(error: Error, config: &Config) -> Error {
    let advice = format!(
        "; the code was not used, and stays good for a few minutes: put this right, then run: {}",
        config.invocation.command("finishAuthentication")
    );
    match error {
        Error::Full(text) => Error::Full(text + &advice),
        Error::Failed(text) => Error::Failed(text + &advice),
        other => other,
    }
}

/// What was started with this app key and waits for its code.
fn pending_for(config: &Config, app_key: &str, files: &TokenFiles<'_>) -> Result<Pending> {
    let pending = files.pending()?;
    if let Some(pending) = pending.filter(|pending| pending.app_key == app_key) {
        return Ok(pending);
    }
    let why = if files.token()?.is_some() {
        "the last code was accepted already, and no other is waited for; a code works once"
    } else {
        "no authentication was started with this dropbox.app_key"
    };
    Err(Error::Authentication(format!(
        "{why}; for a new one run: {}",
        config.invocation.command("startAuthentication")
    )))
}

/// Whose account it is, for people; the token keeps which one.
fn show_account(api: &Api<'_>, token: &mut StoredToken) -> Result<String> {
    match api.current_account() {
        Ok(account) => {
            token.account_id = account.account_id;
            token.namespaces = account.root_info;
            let name = printable(&account.name.display_name);
            token.whose = format!("{name} <{}>", printable(&account.email));
            Ok(format!("as {}", token.whose))
        }
        Err(error) => match error.into_error("show the account") {
            Error::TryLater(text) | Error::Failed(text) => {
                Ok(format!("(the account cannot be shown now: {text})"))
            }
            error => Err(error),
        },
    }
}

fn credential(
    pending: &Pending,
    secret: Option<&Secret>,
    refresh_token: &str,
    answer: &TokenAnswer,
) -> Credential {
    Credential::Refresh {
        app_key: pending.app_key.clone(),
        app_secret: secret.cloned(),
        refresh_token: Secret::new(refresh_token),
        account_id: answer.account_id.clone().unwrap_or_default(),
    }
}

/// The code from stdin: a line, and those that come with it, since a code that is pasted may have
/// been broken by its page.
fn read_code() -> Result<String> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        eprint!("Paste the authorisation code: ");
        let _ = std::io::stderr().flush();
    }
    let mut code = String::new();
    let mut input = stdin.lock().take(CODE_BYTES_MAX);
    loop {
        let count = input
            .read_line(&mut code)
            .map_err(|error| Error::Authentication(format!("cannot read the code: {error}")))?;
        let has_code = !code.trim().is_empty();
        if count == 0 || has_code && !has_more_input(TOGETHER) {
            return Ok(code);
        }
    }
}

/// Whose account the passes are for, for people, as far as it is known here.
pub fn whose(config: &Config) -> String {
    if config.dropbox.personal_access_token.is_some() {
        return "the one of dropbox.personal_access_token".to_owned();
    }
    let stored = || -> Option<StoredToken> {
        let dir = dirs::state_dir(config).ok().filter(|dir| dir.exists())?;
        let disk = dirs::open_state(&dir).ok()?;
        let files = TokenFiles::new(&disk, dir.display().to_string());
        files.token().ok().flatten()
    };
    match stored() {
        None => "nobody is signed in".to_owned(),
        Some(token) if token.whose.is_empty() => token.account_id,
        Some(token) => printable(&token.whose),
    }
}

/// Whether there is something that proves to Dropbox who we are.
pub fn is_signed_in(config: &Config) -> bool {
    let stored = || -> Option<StoredToken> {
        let dir = dirs::state_dir(config).ok().filter(|dir| dir.exists())?;
        let disk = dirs::open_state(&dir).ok()?;
        let files = TokenFiles::new(&disk, dir.display().to_string());
        let token = files.token().ok().flatten()?;
        let is_of_app = Some(&token.app_key) == config.dropbox.app_key.as_ref();
        is_of_app.then_some(token)
    };
    config.dropbox.personal_access_token.is_some() || stored().is_some()
}

/// Ends the authentication at Dropbox and removes every token from this machine.
///
/// # Errors
/// [`Error::TryLater`] if Dropbox cannot be reached: then the token is kept.
pub fn logout(config: &Config) -> Result<String> {
    let nobody = || Ok("Nobody is signed in.".to_owned());
    let dir = dirs::state_dir(config)?;
    if !dir.exists() && config.dropbox.personal_access_token.is_none() {
        return nobody();
    }
    let disk = dirs::open_state(&dir)?;
    let files = TokenFiles::new(&disk, dir.display().to_string()).called(&config.invocation);
    let stored = match files.token_to_revoke() {
        Ok(stored) => stored,
        Err(error) => {
            files.remove_all()?;
            return Err(error);
        }
    };
    let personal = config
        .dropbox
        .personal_access_token
        .clone()
        .map(Credential::Personal);
    let credentials: Vec<_> = stored
        .map(|stored| refreshed(config, &stored))
        .into_iter()
        .chain(personal)
        .collect();
    if credentials.is_empty() {
        files.remove_all()?;
        return nobody();
    }
    let (http, host) = (RealHttp::new(config)?, RealHost::new());
    let runtime = dirs::open_runtime();
    for credential in credentials {
        let runtime = runtime.as_ref().map(|disk| disk as &dyn Disk);
        let deadline = Deadline::none(&host);
        let access = AccessTokens::new(credential, runtime, true).called(&config.invocation);
        let api = Api::new(&http, &host, &deadline, access);
        match api.revoke() {
            Ok(()) => {}
            // It has ended already.
            Err(CallError::End(Error::Authentication(text))) => log::debug!("{text}"),
            Err(error) => return Err(error.into_error("end the authentication")),
        }
        api.access().forget();
    }
    files.remove_all()?;
    let note = if config.dropbox.personal_access_token.is_some() {
        "\nRemove dropbox.personal_access_token from the configuration, too."
    } else {
        ""
    };
    Ok(format!(
        "Logged out: Dropbox no longer accepts the token, which is removed from this machine.{note}"
    ))
}
