//! What Dropbox says of the account, where somebody asks for it now.

use std::time::Duration;

use serde::Serialize;

use crate::commands::sync::failure;
use crate::config::Config;
use crate::dropbox::api::Api;
use crate::dropbox::retry::CallError;
use crate::dropbox::tokens::{AccessTokens, TokenFiles};
use crate::engine::credential::credential_of;
use crate::error::{Error, Result};
use crate::io::RealHttp;
use crate::io::deadline::Deadline;
use crate::io::dirs;
use crate::io::disk::Disk;
use crate::io::host::RealHost;
use crate::report::printable;

/// What Dropbox says of the account.
#[derive(Debug, Serialize)]
pub struct Online {
    /// Whose it is; nothing if Dropbox could not be asked.
    pub account: Option<String>,
    /// Bytes used.
    pub used: Option<u64>,
    /// Bytes there are.
    pub allocated: Option<u64>,
    /// What kept it from being asked.
    pub error: Option<String>,
}

/// LIMIT: how long Dropbox is asked about the account.
const ONLINE_TIME: Duration = Duration::from_secs(60);

/// What Dropbox says of the account now; what keeps it from that is said, not an error.
pub fn online(config: &Config) -> Online {
    asked(config).unwrap_or_else(|error| Online {
        account: None,
        used: None,
        allocated: None,
        error: Some(failure(&error).text),
    })
}

fn asked(config: &Config) -> Result<Online> {
    let dir = dirs::state_dir(config)?;
    let stored = match dir.exists() {
        true => {
            let disk = dirs::open_state(&dir)?;
            TokenFiles::new(&disk, dir.display().to_string()).token()?
        }
        false => None,
    };
    let credential = credential_of(config, stored.as_ref());
    let credential = credential.ok_or_else(|| {
        Error::Authentication(format!(
            "nobody is signed in; run: {}",
            config.invocation.command("startAuthentication")
        ))
    })?;
    let (http, host) = (RealHttp::new(config)?, RealHost::new());
    let runtime = dirs::open_runtime();
    let runtime = runtime.as_ref().map(|disk| disk as &dyn Disk);
    let access = AccessTokens::new(credential, runtime, true).called(&config.invocation);
    let deadline = Deadline::within(&host, Some(ONLINE_TIME));
    let api = Api::new(&http, &host, &deadline, access);
    let ask = |error: CallError| error.into_error("ask about the account");
    let account = api.current_account().map_err(ask)?;
    let usage = api.space_usage().map_err(ask)?;
    let limit = usage.of_limit();
    let name = printable(&account.name.display_name);
    Ok(Online {
        account: Some(format!("{name} <{}>", printable(&account.email))),
        used: Some(usage.used),
        allocated: limit.map(|(_, allocated)| allocated),
        error: None,
    })
}
