//! The way to Dropbox: the clock, names of hosts, the proxy and TLS. One call to each host, without
//! any token, tells of all of them.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;

use super::check::Check;
use crate::config::{Config, DownloadInterval};
use crate::io::deadline::Deadline;
use crate::io::host::Host;
use crate::io::http::{Body, Endpoint, Http, Request};
use crate::io::name_lookup::address_count;
use crate::io::{RealHttp, proxy_host, proxy_text};
use crate::timestamp::full_text;
use crate::words::counted;

/// The year this version was made in: no clock that is right shows an earlier one.
const MADE_IN: i16 = 2026;
/// Nor does it show one that is so much later.
const YEARS_MAX: i16 = 30;
/// How long the resolver may take for one host.
const NAME_TIME: Duration = Duration::from_secs(6);
/// How long all hosts together may take to answer, and each of them.
const HOSTS_TIME: Duration = Duration::from_secs(18);
const HOST_TIME: Duration = Duration::from_secs(8);
/// Seconds that a clock may be wrong and nobody notices, and those from which on certificates may
/// be refused.
const OFF_S: i64 = 120;
const FAR_OFF_S: i64 = 24 * 3600;

/// What came of asking the three hosts.
pub struct Reached {
    /// What is said of those that do not answer, or whose clients cannot be made.
    failures: Vec<(Endpoint, String)>,
    /// The time by Dropbox, and by this machine when it was told.
    times: Option<(Timestamp, Timestamp)>,
}

impl Reached {
    /// Asks each of them once.
    pub fn ask(config: &Config, http: &dyn Http, host: &dyn Host) -> Reached {
        let mut reached = Reached {
            failures: Vec::new(),
            times: None,
        };
        let deadline = Deadline::within(host, Some(HOSTS_TIME));
        for (endpoint, _) in hosts(config) {
            let request = Request {
                endpoint,
                // Whatever is said of a call without a token: it was Dropbox that said it.
                path: match endpoint {
                    Endpoint::Api => "/2/check/user",
                    Endpoint::Content => "/2/files/download",
                    Endpoint::Notify => "/2/files/list_folder/longpoll",
                },
                headers: Vec::new(),
                body: Body::Empty,
                patience: deadline.left().map(|left| left.min(HOST_TIME)),
            };
            match http.send(request) {
                Ok(answer) if endpoint == Endpoint::Api => {
                    let date = answer.header("date").and_then(parsed_date);
                    reached.times = date.map(|date| (date, Timestamp::now()));
                }
                Ok(_) => {}
                Err(error) => reached.failures.push((endpoint, error.to_string())),
            }
        }
        reached
    }

    /// Whether Dropbox can be asked for anything.
    pub fn is_there(&self) -> bool {
        let is_api = |(endpoint, _): &(Endpoint, String)| *endpoint == Endpoint::Api;
        !self.failures.iter().any(is_api)
    }

    /// What Dropbox says of the time, and what this machine says.
    pub fn times(&self) -> Option<(Timestamp, Timestamp)> {
        self.times
    }
}

fn parsed_date(text: &str) -> Option<Timestamp> {
    let parser = rfc2822::DateTimeParser::new();
    parser.parse_timestamp(text).ok()
}

/// The hosts, and their names.
fn hosts(config: &Config) -> [(Endpoint, &str); 3] {
    let endpoints = &config.endpoints;
    [
        (Endpoint::Api, name_in(&endpoints.api)),
        (Endpoint::Content, name_in(&endpoints.content)),
        (Endpoint::Notify, name_in(&endpoints.notify)),
    ]
}

fn name_of(config: &Config, wanted: Endpoint) -> &str {
    let mut hosts = hosts(config).into_iter();
    let host = hosts.find(|(endpoint, _)| *endpoint == wanted);
    host.map_or("", |(_, name)| name)
}

/// `host` of `https://host:port`.
fn name_in(url: &str) -> &str {
    let (_, authority) = url.split_once("://").unwrap_or(("", url));
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => authority,
    }
}

/// Whether this host is of use with this configuration.
fn is_needed(config: &Config, endpoint: Endpoint) -> bool {
    endpoint != Endpoint::Notify
        || matches!(config.schedule.download_interval, DownloadInterval::Push)
}

/// Is the clock right?
pub fn clock(times: Option<(Timestamp, Timestamp)>, has_systemd: bool) -> Check {
    let mut check = Check::new("clock");
    let remedy = match has_systemd {
        true => "sudo timedatectl set-ntp true",
        false => "let this machine get the time from the network (ntpd, chronyd)",
    };
    let now = times.map_or_else(Timestamp::now, |(_, now)| now);
    let shown = full_text(now, &TimeZone::UTC);
    let year = TimeZone::UTC.to_datetime(now).year();
    if !(MADE_IN..MADE_IN + YEARS_MAX).contains(&year) {
        let text = format!(
            "it says {shown}, which cannot be: certificates are refused, so that Dropbox cannot \
             be reached"
        );
        check.fail(text, remedy);
        return check;
    }
    let Some((there, here)) = times else {
        check.ok(format!(
            "it says {shown}, which may be; there is nothing to compare it with"
        ));
        return check;
    };
    let off = here.as_second() - there.as_second();
    let side = if off < 0 { "behind" } else { "ahead of" };
    let text = format!("{} {side} Dropbox's", lasting(off.unsigned_abs()));
    match off.abs() {
        0..=OFF_S => check.ok(format!("right: {text} at most")),
        off if off <= FAR_OFF_S => check.warn(text, remedy),
        _ => check.fail(
            format!("{text}: certificates may be refused because of it"),
            remedy,
        ),
    }
    check
}

/// A time for people.
fn lasting(seconds: u64) -> String {
    match seconds {
        0..120 => counted(seconds, "second", "seconds"),
        120..7200 => counted(seconds / 60, "minute", "minutes"),
        7200..172_800 => counted(seconds / 3600, "hour", "hours"),
        _ => counted(seconds / 86_400, "day", "days"),
    }
}

/// Are the names of Dropbox's hosts known here?
pub fn names(config: &Config) -> Check {
    let mut check = Check::new("dns");
    let remedy = "see which servers this machine asks for names (/etc/resolv.conf), and try: \
                  getent hosts api.dropboxapi.com";
    let all: Vec<(Option<Endpoint>, String)> = match proxy_host(config) {
        Some((proxy, true)) => {
            check.ok("the proxy looks up the names of Dropbox's hosts");
            vec![(None, proxy)]
        }
        proxy => {
            let proxy = proxy.map(|(name, _)| (None, name));
            let hosts = hosts(config).map(|(endpoint, name)| (Some(endpoint), name.to_owned()));
            proxy.into_iter().chain(hosts).collect()
        }
    };
    let mut seen = Vec::new();
    for (endpoint, name) in all {
        if seen.contains(&name) {
            continue;
        }
        seen.push(name.clone());
        if name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
            check.ok(format!("{name} is an address itself"));
            continue;
        }
        match address_count(&name, NAME_TIME) {
            Ok(count) => check.ok(format!(
                "{name} has {}",
                counted(count as u64, "address", "addresses")
            )),
            Err(why) if endpoint.is_none_or(|endpoint| is_needed(config, endpoint)) => {
                check.fail(format!("{name} is not found: {why}"), remedy);
                // A resolver that is not there would be waited for again.
                break;
            }
            Err(why) => check.warn(
                format!("{name} is not found, which only push needs: {why}"),
                remedy,
            ),
        }
    }
    check
}

/// Which proxy is used, and by whose word.
pub fn proxy(config: &Config) -> Check {
    let mut check = Check::new("proxy");
    match proxy_text(config) {
        None => check.ok("none: Dropbox is asked directly"),
        Some(text) if text.starts_with("none:") => {
            let remedy = "write it as http://host:port, socks5://host:port or socks5h://host:port, \
                          or take it out";
            match config.network.proxy {
                Some(_) => check.fail(text, remedy),
                None => check.warn(text, remedy),
            }
        }
        Some(text) => check.ok(text),
    }
    check
}

/// Does each host answer, and is it Dropbox's?
pub fn tls(config: &Config, http: &RealHttp, reached: &Reached) -> Check {
    let mut check = Check::new("tls");
    let otherwise = "see that this machine is online and that the way to api.dropboxapi.com, \
                     content.dropboxapi.com and notify.dropboxapi.com, port 443, is open; where a \
                     proxy is needed, set network.proxy";
    let mut is_first = true;
    for (endpoint, why) in &reached.failures {
        let name = name_of(config, *endpoint);
        match (is_needed(config, *endpoint), is_first) {
            (true, true) => check.fail_as_told(&format!("cannot reach Dropbox: {why}"), otherwise),
            (true, false) => check.fail(format!("nor does {name} answer"), otherwise),
            (false, true) => check.warn(
                format!("cannot reach the host that only push needs: {why}"),
                otherwise,
            ),
            (false, false) => check.warn(
                format!("nor does {name} answer, which only push needs"),
                otherwise,
            ),
        }
        is_first = false;
    }
    let answered = hosts(config).len() - reached.failures.len();
    if answered > 0 {
        check.ok(format!(
            "{} of Dropbox answered",
            counted(answered as u64, "host", "hosts")
        ));
    }
    let Some(ground) = http.tls() else {
        check.ok("no TLS, because [endpoints] says http");
        return check;
    };
    check.ok(match ground.system_roots {
        0 => "the roots that are built in are trusted, because the system has none".to_owned(),
        count => format!(
            "{} of the system's store trusted",
            counted(count as u64, "root", "roots")
        ),
    });
    if ground.own_roots > 0 {
        check.ok(format!(
            "{} of network.ca_file",
            counted(ground.own_roots as u64, "root", "roots")
        ));
    }
    check.ok(match ground.has_aes {
        true => "AES goes first",
        false => "ChaCha20 goes first, because this CPU has no AES instructions",
    });
    check
}

#[cfg(test)]
mod tests {
    use super::super::check::CheckState;
    use super::*;

    fn at(text: &str) -> Timestamp {
        parsed_date(text).unwrap()
    }

    #[test]
    fn a_clock_is_held_against_that_of_dropbox() {
        let there = at("Mon, 30 Nov 2026 15:37:00 GMT");
        for (here, state, words) in [
            (
                "Mon, 30 Nov 2026 15:37:01 GMT",
                CheckState::Ok,
                "1 second ahead of",
            ),
            (
                "Mon, 30 Nov 2026 15:35:30 GMT",
                CheckState::Ok,
                "90 seconds behind",
            ),
            (
                "Mon, 30 Nov 2026 15:30:00 GMT",
                CheckState::Warn,
                "7 minutes behind",
            ),
            (
                "Fri, 04 Dec 2026 15:37:00 GMT",
                CheckState::Fail,
                "4 days ahead of",
            ),
            (
                "Thu, 01 Jan 1970 00:00:10 GMT",
                CheckState::Fail,
                "cannot be",
            ),
            (
                "Mon, 30 Nov 2076 15:37:00 GMT",
                CheckState::Fail,
                "cannot be",
            ),
        ] {
            let check = clock(Some((there, at(here))), true);
            assert_eq!(check.state(), state, "{here}");
            assert!(check.text().contains(words), "{}", check.text());
            let remedy = check.remedies().first();
            let is_right = remedy.is_none_or(|remedy| remedy == "sudo timedatectl set-ntp true");
            assert!(is_right && remedy.is_some() == (state != CheckState::Ok));
        }
        let alone = clock(None, false);
        assert!(
            alone.text().contains("nothing to compare"),
            "{}",
            alone.text()
        );
    }

    #[test]
    fn the_name_of_a_host_has_no_port() {
        assert_eq!(name_in("https://api.dropboxapi.com"), "api.dropboxapi.com");
        assert_eq!(name_in("http://127.0.0.1:80"), "127.0.0.1");
        assert_eq!(name_in("http://[::1]:80"), "[::1]");
        assert_eq!(name_in("http://[::1]"), "[::1]");
    }
}
