//! `[notify]`: who is told that something is wrong, and when.

use super::ConfigError;
use super::document::{Setting, short};
use crate::core::amounts;

/// How long an outage lasts before it is told, in seconds.
pub(super) fn after(setting: &Setting) -> Result<u64, ConfigError> {
    let text = setting.text()?;
    amounts::seconds(text).map_err(|told| {
        let (what, remedy) = told.split_once("; ").unwrap_or((&told, "correct it"));
        setting.error(&format!("'{}' {what}", short(text)), remedy)
    })
}
