//! Addresses: the endpoints and the proxy. A value is never repeated in a message: it may hold
//! a password.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::ConfigError;
use super::document::Setting;

/// `scheme://host[:port]`, without a trailing slash. The access token goes there, so plain http
/// is for this machine alone.
pub(super) fn endpoint(setting: &Setting) -> Result<String, ConfigError> {
    let text = setting.text()?;
    let remedy = "write https://HOST or https://HOST:PORT, or leave the key out";
    let text = text.strip_suffix('/').unwrap_or(text);
    let Some((scheme, host)) = text
        .split_once("://")
        .filter(|(_, rest)| is_authority(rest))
    else {
        return Err(setting.error("is not scheme://host[:port]", remedy));
    };
    match scheme {
        "https" => Ok(text.to_owned()),
        "http" if is_loopback(host) => Ok(text.to_owned()),
        "http" => Err(setting.error(
            "plain http is accepted for 127.x.x.x, [::1] and localhost only",
            remedy,
        )),
        _ => Err(setting.error("the scheme must be https", remedy)),
    }
}

/// `scheme://[user:password@]host[:port]`, with a scheme that the HTTP client speaks.
pub(super) fn proxy(setting: &Setting) -> Result<String, ConfigError> {
    let text = setting.text()?;
    let remedy = "write http://HOST:PORT or socks5://HOST:PORT, with USER:PASSWORD@ before the \
                  host if needed";
    let text = text.strip_suffix('/').unwrap_or(text);
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(setting.error("is not scheme://host:port", remedy));
    };
    let (user, host) = rest.rsplit_once('@').unwrap_or(("", rest));
    if !matches!(scheme, "http" | "socks5" | "socks5h") {
        return Err(setting.error("the scheme must be http, socks5 or socks5h", remedy));
    }
    if !is_authority(host) {
        return Err(setting.error("holds no valid host or port", remedy));
    }
    if !user
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"/?#@".contains(&byte))
    {
        let remedy = "write them as %XX, such as %40 for @ and %2F for /";
        return Err(setting.error("user or password hold characters an address cannot", remedy));
    }
    Ok(text.to_owned())
}

/// `host[:port]`: nothing before it, nothing after it.
fn is_authority(text: &str) -> bool {
    let (host, port) = split_port(text);
    let host_is_good = match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(host) => host.parse::<Ipv6Addr>().is_ok(),
        None => {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            host.bytes().all(plain) && host.starts_with(|c: char| c.is_ascii_alphanumeric())
        }
    };
    let is_port = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|p| p > 0)
    };
    host_is_good && port.is_none_or(is_port)
}

/// Host and port; the colons of `[::1]` belong to the host.
fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    }
}

fn is_loopback(authority: &str) -> bool {
    let host = split_port(authority).0;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback())
        || bare
            .parse::<Ipv6Addr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use crate::config::tests::with;

    #[test]
    fn plain_http_is_for_this_machine_only() {
        let api = |url: &str| with(&format!("[endpoints]\napi = '{url}'")).map(|c| c.endpoints.api);
        for good in [
            "https://a.b",
            "https://a.b:8443",
            "http://127.0.0.1:80",
            "http://localhost:1",
        ] {
            assert_eq!(api(good).unwrap(), good);
            assert_eq!(api(&format!("{good}/")).unwrap(), good);
        }
        assert!(api("http://[::1]:9").is_ok() && api("http://127.9.9.9").is_ok());
        for wrong in [
            "http://a.b",
            "http://10.0.0.1",
            "http://127.0.0.1.evil.org",
            "http://localhost.evil.org",
            "http://[::2]",
            "ftp://a.b",
            "a.b",
            "",
            "https://",
            "https://a.b/x",
            "https://a.b?x",
            "https://a.b#x",
            "https://u:p@a.b",
            "https://a.b:0",
            "https://a.b:99999",
            "https://a.b:",
            "https://a b",
            "https://::1",
            "http://127.0.0.1@evil.org",
            "https://a.b//",
            "HTTPS//a",
        ] {
            assert!(api(wrong).is_err(), "{wrong}");
        }
    }
}
