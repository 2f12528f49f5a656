//! The proxy: the one of the configuration, else the one of the environment, as other programs
//! take it (`HTTPS_PROXY`, `ALL_PROXY`, and `NO_PROXY` for what goes without).

use ureq::{Proxy, ProxyProtocol};

use crate::config::Config;
use crate::io::env::env;

/// The variables that name a proxy for https, the first that is set.
const NAMES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// A proxy that is used.
pub(super) struct ChosenProxy {
    /// The proxy.
    pub proxy: Proxy,
    /// `http://proxy.lan:3128`: without user and password.
    pub shown: String,
    /// What names it: `network.proxy` or a variable.
    pub by: String,
}

/// What is used, and why, for people; nothing without a proxy.
pub fn proxy_text(config: &Config) -> Option<String> {
    match chosen(config)? {
        Ok(chosen) => Some(format!("{} (from {})", chosen.shown, chosen.by)),
        Err(Unusable { by }) => Some(format!(
            "none: {by} is no proxy that can be used (http, socks5 or socks5h)"
        )),
    }
}

/// The host of the proxy that is used, if one is, and whether it looks up the names of others
/// itself.
pub fn proxy_host(config: &Config) -> Option<(String, bool)> {
    let chosen = chosen(config)?.ok()?;
    let looks_up = chosen.proxy.protocol() != ProxyProtocol::Socks5;
    Some((chosen.proxy.host().to_owned(), looks_up))
}

/// What names a proxy that cannot be used.
pub(super) struct Unusable {
    /// `network.proxy` or a variable.
    pub by: String,
}

/// The proxy of this configuration in this environment, if there is one.
pub(super) fn chosen(config: &Config) -> Option<Result<ChosenProxy, Unusable>> {
    let variable = |name: &str| env(name)?.into_string().ok();
    choose(config, &variable)
}

fn choose(
    config: &Config,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Option<Result<ChosenProxy, Unusable>> {
    if let Some(url) = &config.network.proxy {
        return Some(usable(url, "network.proxy".to_owned(), &[]));
    }
    let endpoints = &config.endpoints;
    let hosts = [&endpoints.api, &endpoints.content, &endpoints.notify];
    let no_proxy = variable("NO_PROXY").or_else(|| variable("no_proxy"));
    let no_proxy = no_proxy.unwrap_or_default();
    // These variables mean https alone; plain http is for tests on this machine.
    let goes_without = |url: &&&String| {
        url.strip_prefix("https://")
            .is_none_or(|host| leaves_out(&no_proxy, host))
    };
    let direct: Vec<&str> = hosts
        .iter()
        .filter(goes_without)
        .filter_map(|url| host_of(url))
        .collect();
    if direct.len() == hosts.len() {
        return None;
    }
    let named = |name: &&str| variable(name).map(|url| (url, format!("${name}")));
    let (url, by) = NAMES.iter().find_map(named)?;
    Some(usable(&url, by, &direct))
}

fn usable(url: &str, by: String, direct: &[&str]) -> Result<ChosenProxy, Unusable> {
    let parsed = Proxy::new(url.trim()).ok().filter(|proxy| {
        matches!(
            proxy.protocol(),
            ProxyProtocol::Http | ProxyProtocol::Socks5 | ProxyProtocol::Socks5h
        )
    });
    let Some(parsed) = parsed else {
        return Err(Unusable { by });
    };
    let scheme = match parsed.protocol() {
        ProxyProtocol::Socks5 => "socks5",
        ProxyProtocol::Socks5h => "socks5h",
        _ => "http",
    };
    let shown = format!("{scheme}://{}:{}", parsed.host(), parsed.port());
    let mut builder = Proxy::builder(parsed.protocol())
        .host(parsed.host())
        .port(parsed.port());
    if let Some(user) = parsed.username() {
        builder = builder.username(user);
    }
    if let Some(password) = parsed.password() {
        builder = builder.password(password);
    }
    for host in direct {
        builder = builder.no_proxy(host);
    }
    match builder.build() {
        Ok(proxy) => Ok(ChosenProxy { proxy, shown, by }),
        Err(_) => Err(Unusable { by }),
    }
}

fn host_of(url: &str) -> Option<&str> {
    let (_, authority) = url.split_once("://")?;
    Some(without_port(authority))
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => authority,
    }
}

/// Whether `NO_PROXY` names a host: itself, or a domain it is in; `*` is all.
fn leaves_out(no_proxy: &str, host: &str) -> bool {
    let host = without_port(host).to_ascii_lowercase();
    no_proxy.split([',', ' ']).any(|entry| {
        let entry = without_port(entry.trim()).to_ascii_lowercase();
        let domain = entry.trim_start_matches('*').trim_start_matches('.');
        entry == "*"
            || !domain.is_empty()
                && (host == domain
                    || host
                        .strip_suffix(domain)
                        .is_some_and(|rest| rest.ends_with('.')))
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn config(lines: &str) -> Config {
        let text = format!("appkey = 'k'\ncontentdir = '/s'\n{lines}\n");
        Config::parse(Path::new("/etc/f.toml"), &text).unwrap()
    }

    /// What is chosen with these variables: what is shown, by what, and what goes without.
    fn with(lines: &str, set: &[(&str, &str)]) -> Option<(String, String, bool)> {
        let variable = |name: &str| {
            let (_, value) = set.iter().find(|(key, _)| *key == name)?;
            Some((*value).to_owned())
        };
        let chosen = choose(&config(lines), &variable)?.ok()?;
        let notify = "https://notify.dropboxapi.com/".parse().unwrap();
        let goes_without = chosen.proxy.is_no_proxy(&notify);
        Some((chosen.shown, chosen.by, goes_without))
    }

    /// B10.
    #[test]
    fn b10_the_environment_counts_where_the_configuration_names_no_proxy() {
        let proxy = |shown: &str, by: &str| Some((shown.to_owned(), by.to_owned(), false));
        let lan = ("HTTPS_PROXY", "http://proxy.lan:3128");
        assert_eq!(with("", &[]), None);
        assert_eq!(
            with("", &[lan]),
            proxy("http://proxy.lan:3128", "$HTTPS_PROXY")
        );
        for name in NAMES {
            let by = format!("${name}");
            assert_eq!(
                with("", &[(name, "proxy.lan:8080")]),
                proxy("http://proxy.lan:8080", &by)
            );
        }
        let socks = ("ALL_PROXY", "socks5h://u:hush@[::1]:1080");
        assert_eq!(
            with("", &[socks]),
            proxy("socks5h://[::1]:1080", "$ALL_PROXY")
        );
        assert_eq!(
            with("", &[socks, lan]),
            proxy("http://proxy.lan:3128", "$HTTPS_PROXY"),
            "the one for https is the closer one"
        );
        assert_eq!(
            with("network.proxy = 'http://own:1'", &[lan, ("NO_PROXY", "*")]),
            proxy("http://own:1", "network.proxy")
        );
        let http = ("HTTP_PROXY", "http://proxy.lan:1");
        assert_eq!(with("", &[http]), None, "it means plain http");
    }

    /// B10.
    #[test]
    fn b10_what_no_proxy_names_goes_without() {
        let lan = ("HTTPS_PROXY", "http://proxy.lan:3128");
        for all in [
            "*",
            "dropboxapi.com",
            ".dropboxapi.com",
            "*.dropboxapi.com",
            "x, DROPBOXAPI.com",
        ] {
            for name in ["NO_PROXY", "no_proxy"] {
                assert_eq!(with("", &[lan, (name, all)]), None, "{all}");
            }
        }
        let one = with(
            "",
            &[lan, ("NO_PROXY", "localhost,notify.dropboxapi.com:443")],
        );
        assert!(one.is_some_and(|(_, _, goes_without)| goes_without));
        for none in [
            "",
            "localhost",
            "boxapi.com",
            "com.",
            "api.dropboxapi.com.evil",
        ] {
            let chosen = with("", &[lan, ("NO_PROXY", none)]);
            assert!(
                chosen.is_some_and(|(_, _, goes_without)| !goes_without),
                "{none}"
            );
        }
    }

    /// B10: a test on this machine is not led astray, and no password shows.
    #[test]
    fn b10_plain_http_goes_without_and_nonsense_is_told_without_its_text() {
        let local = "endpoints.api = 'http://127.0.0.1:1'\nendpoints.content = \
                     'http://127.0.0.1:2'\nendpoints.notify = 'http://127.0.0.1:3'";
        assert_eq!(with(local, &[("HTTPS_PROXY", "http://proxy.lan:1")]), None);
        let hush = |_: &str| Some("ftp://u:hush@h".to_owned());
        let chosen = choose(&config(""), &hush).unwrap();
        assert_eq!(
            chosen.err().map(|unusable| unusable.by).unwrap(),
            "$HTTPS_PROXY"
        );
    }
}
