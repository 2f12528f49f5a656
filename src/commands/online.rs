//! What Dropbox says of the account, where somebody asks for it now.

use std::time::Duration;

use serde::Serialize;

use crate::commands::authentication::may_write;
use crate::commands::remote::with_remote;
use crate::commands::sync::failure;
use crate::config::Config;
use crate::dropbox::retry::CallError;
use crate::dropbox::scopes::Scopes;
use crate::error::Result;
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
    /// What it may do; nothing if it could not be asked.
    pub scopes: Option<Scopes>,
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
        scopes: None,
        error: Some(failure(&error).text),
    })
}

fn asked(config: &Config) -> Result<Online> {
    with_remote(config, true, Some(ONLINE_TIME), |remote| {
        let ask = |error: CallError| error.into_error("ask about the account");
        let account = remote.api.current_account().map_err(ask)?;
        let usage = remote.api.space_usage().map_err(ask)?;
        let limit = usage.of_limit();
        let name = printable(&account.name.display_name);
        Ok(Online {
            account: Some(format!("{name} <{}>", printable(&account.email))),
            used: Some(usage.used),
            allocated: limit.map(|(_, allocated)| allocated),
            scopes: Some(Scopes::of(remote.api, may_write(config))),
            error: None,
        })
    })
}
