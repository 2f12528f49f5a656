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

/// An address that knows who may tell something there: it is never shown.
pub(super) fn address(setting: &Setting) -> Result<String, ConfigError> {
    let text = setting.text()?;
    let rest = ["https://", "http://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    let has_host = rest.is_some_and(|rest| {
        let host = rest.split(['/', '?']).next().unwrap_or_default();
        !host.is_empty() && !host.contains('@') && !host.starts_with(':')
    });
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.contains('#');
    match has_host && is_plain {
        true => Ok(text.to_owned()),
        false => Err(setting.error(
            "is no address",
            "write it as the service shows it, as in https://hc-ping.com/UUID",
        )),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::with;

    #[test]
    fn an_address_is_http_or_https_and_is_never_shown() {
        let config = |value: &str| with(&format!("[notify]\nping_url = '{value}'"));
        for good in ["https://hc-ping.com/x-y", "http://10.0.0.2:8000/ping?a=b"] {
            let config = config(good).unwrap();
            assert!(!format!("{config:?}").contains(good));
            assert_eq!(config.notify.ping_url.unwrap().expose(), good);
        }
        for wrong in [
            "hc-ping.com/x",
            "ftp://a/b",
            "https://",
            "https://u:p@a/b",
            "https://a/ b",
        ] {
            let error = config(wrong).expect_err(wrong).to_string();
            assert!(error.contains("notify.ping_url: is no address"), "{error}");
            assert!(wrong.len() < 9 || !error.contains(wrong), "{error}");
        }
        let after = |value: &str| with(&format!("[notify]\nafter = '{value}'"));
        assert_eq!(after("90m").unwrap().notify.after_s, 5400);
        assert_eq!(with("").unwrap().notify.after_s, 6 * 3600);
        assert!(after("soon").is_err());
    }
}
