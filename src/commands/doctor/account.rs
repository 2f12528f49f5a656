//! The sign-in: whether there is one, whose it is, what it may do, and how much room is left. No
//! token is kept that was not kept before.

use std::time::Duration;

use super::check::Check;
use crate::commands::authentication::may_write;
use crate::config::Config;
use crate::core::remote::PathRoot;
use crate::dropbox::api::Api;
use crate::dropbox::auth::missing_scope_text;
use crate::dropbox::retry::CallError;
use crate::dropbox::scopes::Scopes;
use crate::dropbox::tokens::{AccessTokens, Credential, StoredToken, TokenFiles};
use crate::dropbox::wire::{Account, SpaceUsage};
use crate::engine::credential::credential;
use crate::engine::identity::no_team;
use crate::error::Error;
use crate::io::deadline::Deadline;
use crate::io::dirs::{self, RealDisks};
use crate::io::disk::{Disk, Disks};
use crate::io::host::Host;
use crate::io::http::Http;
use crate::words::{printable, size_text};

/// How long all of it may take.
const TIME: Duration = Duration::from_secs(15);
/// Percent of the room that may be taken up before it is worth a word.
const FILLED_MAX: u64 = 90;

const SIGN_IN: &str = "sign_in";
const NAMESPACES: &str = "namespaces";
const QUOTA: &str = "quota";

/// What is said where there is no way to Dropbox.
const NOT_ASKED: &str = "Dropbox cannot be asked";
const WAY_FIRST: &str = "see what is said of dns, proxy and tls above";

/// The checks of the sign-in, the namespaces and the quota. Without `http` Dropbox is not there.
pub fn checks(config: &Config, http: Option<&dyn Http>, host: &dyn Host) -> [Check; 3] {
    let mut sign_in = Check::new(SIGN_IN);
    let skipped = |sign_in, why: &str| {
        [
            sign_in,
            Check::skipped(NAMESPACES, why),
            Check::skipped(QUOTA, why),
        ]
    };
    let (credential, stored) = match found(config, host) {
        Ok(found) => found,
        Err(error) => {
            let otherwise = config.invocation.command("startAuthentication");
            sign_in.fail_as_told(&error.to_string(), &otherwise);
            return skipped(sign_in, "not asked: nobody is signed in");
        }
    };
    tell_personal(config, &credential, &mut sign_in);
    let Some(http) = http else {
        let text = match stored.filter(|stored| !stored.whose.is_empty()) {
            Some(stored) => format!(
                "signed in as {}, as far as it is known here; {NOT_ASKED}",
                printable(&stored.whose)
            ),
            None => format!("a token is there; {NOT_ASKED}"),
        };
        sign_in.fail(text, WAY_FIRST);
        let mut others = [NAMESPACES, QUOTA].map(Check::new);
        others
            .iter_mut()
            .for_each(|check| check.fail(NOT_ASKED, WAY_FIRST));
        let [namespaces, quota] = others;
        return [sign_in, namespaces, quota];
    };
    let deadline = Deadline::within(host, Some(TIME));
    let access = AccessTokens::new(credential, None, false).called(&config.invocation);
    let asked = Inquiry {
        config,
        api: Api::new(http, host, &deadline, access),
        deadline: &deadline,
    };
    asked.api.try_once(true);
    match asked.api.current_account() {
        Ok(account) => {
            asked.tell_scopes(&account, &mut sign_in);
            [sign_in, namespaces(config, &account), asked.quota()]
        }
        Err(error) => {
            asked.fail(error, "show the account", &mut sign_in);
            skipped(sign_in, "not asked: the sign-in does not work")
        }
    }
}

/// What proves who we are, and what is kept with it.
fn found(config: &Config, host: &dyn Host) -> Result<(Credential, Option<StoredToken>), Error> {
    let dir = dirs::state_dir(config)?;
    let disk = RealDisks.state_as_it_is(&dir)?;
    let files = disk
        .as_deref()
        .map(|disk: &dyn Disk| TokenFiles::new(disk, dir.display().to_string()));
    let files = files.map(|files| files.called(&config.invocation));
    let credential = credential(config, files.as_ref(), None, host)?;
    let stored = match &credential {
        Credential::Personal(_) => None,
        Credential::Refresh { .. } => files.map(|files| files.token()).transpose()?.flatten(),
    };
    Ok((credential, stored))
}

/// A token of the console does not last.
fn tell_personal(config: &Config, credential: &Credential, sign_in: &mut Check) {
    if let Credential::Personal(_) = credential {
        let remedy = format!(
            "set dropbox.app_key, take dropbox.personal_access_token out, and run: {}",
            config.invocation.command("startAuthentication")
        );
        sign_in.warn(
            "dropbox.personal_access_token is used, which Dropbox accepts for 4 hours only",
            remedy,
        );
    }
}

/// Dropbox, as long as there is time.
struct Inquiry<'a> {
    config: &'a Config,
    api: Api<'a>,
    deadline: &'a Deadline<'a>,
}

impl Inquiry<'_> {
    fn fail(&self, error: CallError, what: &str, check: &mut Check) {
        match self.deadline.is_over() {
            true => {
                let seconds = TIME.as_secs();
                let text = format!("Dropbox did not answer within {seconds} seconds");
                check.fail(text, "try again later");
            }
            false => {
                let text = error.into_error(what).to_string();
                check.fail_as_told(
                    &text,
                    "try again later; -vv says what is asked and answered",
                );
            }
        }
    }

    /// Whose account it is, and what may be done with it.
    fn tell_scopes(&self, account: &Account, check: &mut Check) {
        check.ok(format!(
            "signed in as {} <{}>",
            printable(&account.name.display_name),
            printable(&account.email)
        ));
        let Scopes {
            granted,
            missing,
            unknown,
        } = Scopes::of(&self.api, may_write(self.config));
        if !missing.is_empty() {
            let credential = Some(self.api.access().credential());
            let text = missing_scope_text(&missing, credential, &self.config.invocation);
            let (text, remedy) = text.split_once(": ").unwrap_or((&text, WAY_FIRST));
            check.fail(text, remedy);
        }
        if !granted.is_empty() {
            check.ok(format!("granted: {}", granted.join(", ")));
        }
        if !unknown.is_empty() {
            let unknown = unknown.join(", ");
            check.ok(format!("not known whether granted: {unknown}"));
        }
    }

    /// How much room is left.
    fn quota(&self) -> Check {
        let mut check = Check::new(QUOTA);
        match self.api.space_usage() {
            Ok(usage) => tell_usage(self.config, &usage, &mut check),
            Err(error) => self.fail(error, "say how much room is left", &mut check),
        }
        check
    }
}

/// Where paths begin.
fn namespaces(config: &Config, account: &Account) -> Check {
    let mut check = Check::new(NAMESPACES);
    match (account.root_info.team(), config.dropbox.root) {
        (None, PathRoot::Home) => check.ok("the account's own folder is synced"),
        (None, PathRoot::Team) => {
            let wrong = no_team(config);
            check.fail(format!("dropbox.root: {}", wrong.what), wrong.remedy);
        }
        (Some(_), PathRoot::Home) => check.ok(
            "the member's own folder is synced, in which the team's folders are not; for those \
             write root = \"team\" below [dropbox]",
        ),
        (Some(_), PathRoot::Team) => check.ok("the space of the team is synced"),
    }
    check
}

fn tell_usage(config: &Config, usage: &SpaceUsage, check: &mut Check) {
    let Some((used, allocated)) = usage.of_limit() else {
        check.ok(format!(
            "{} taken up; Dropbox names no limit",
            size_text(usage.used)
        ));
        return;
    };
    let percent = u128::from(used) * 100 / u128::from(allocated.max(1));
    let text = format!(
        "{} of {} taken up ({percent} %)",
        size_text(used),
        size_text(allocated)
    );
    let remedy = "make room in Dropbox: what is deleted there, and versions that were replaced, \
                  count no more";
    match (used >= allocated, may_write(config)) {
        (true, true) => check.fail(format!("{text}: nothing can go up"), remedy),
        _ if percent >= u128::from(FILLED_MAX) => check.warn(text, remedy),
        _ => check.ok(text),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::check::CheckState;
    use super::*;

    #[test]
    fn room_is_told_before_it_is_gone() {
        let config = |mode: &str| {
            let text = format!(
                "[dropbox]\napp_key = 'k'\n[sync]\ncontent_dir = '/c'\nmode = '{mode}'\n\
                 upload_on_reset = false"
            );
            Config::parse(Path::new("/c.toml"), &text).unwrap()
        };
        let of = |used: u64, mode: &str| {
            let usage = serde_json::json!({
                "used": used, "allocation": { ".tag": "individual", "allocated": 1000 },
            });
            let mut check = Check::new(QUOTA);
            let usage = serde_json::from_value(usage).unwrap();
            tell_usage(&config(mode), &usage, &mut check);
            check
        };
        for (used, mode, state) in [
            (899, "LOCAL_TO_DROPBOX", CheckState::Ok),
            (900, "BIDIRECTIONAL", CheckState::Warn),
            (999, "BIDIRECTIONAL", CheckState::Warn),
            (1000, "BIDIRECTIONAL", CheckState::Fail),
            (2000, "LOCAL_TO_DROPBOX", CheckState::Fail),
            (2000, "DROPBOX_TO_LOCAL", CheckState::Warn),
        ] {
            assert_eq!(of(used, mode).state(), state, "{used} {mode}");
        }
        let text = of(900, "BIDIRECTIONAL").text();
        assert_eq!(
            text,
            "900 bytes of 1000 bytes taken up (90 %)".replace("1000", "1,000")
        );
    }
}
