//! The one table of known keys, and the nearest of them to a mistyped one.

/// One key of the configuration.
pub(super) struct ConfigKey {
    /// Section and name: `sync.guard.max_delete_count`.
    pub path: &'static str,
    /// The predecessor's name, accepted in any section and at the top level.
    pub alias: Option<&'static str>,
    /// The value it has when it is absent, as TOML.
    pub default: Option<&'static str>,
    /// A value to show in messages, as TOML.
    pub example: &'static str,
}

impl ConfigKey {
    /// The section it belongs to, without brackets.
    pub fn section(&self) -> &'static str {
        self.path
            .rsplit_once('.')
            .map_or("", |(section, _)| section)
    }

    /// Its name within the section.
    pub fn name(&self) -> &'static str {
        self.path
            .rsplit_once('.')
            .map_or(self.path, |(_, name)| name)
    }
}

const fn key(path: &'static str, default: &'static str) -> ConfigKey {
    ConfigKey {
        path,
        alias: None,
        default: Some(default),
        example: default,
    }
}

const fn unset(path: &'static str, example: &'static str) -> ConfigKey {
    ConfigKey {
        path,
        alias: None,
        default: None,
        example,
    }
}

const fn shown(key: ConfigKey, example: &'static str) -> ConfigKey {
    ConfigKey { example, ..key }
}

const fn formerly(key: ConfigKey, alias: &'static str) -> ConfigKey {
    ConfigKey {
        alias: Some(alias),
        ..key
    }
}

/// Every key there is.
pub(super) const KEYS: [ConfigKey; 45] = [
    formerly(unset("dropbox.app_key", r#""abc123def456ghi""#), "appkey"),
    formerly(
        unset("dropbox.app_secret", r#""xyz123uvw456rst""#),
        "appsecret",
    ),
    formerly(
        unset("dropbox.personal_access_token", r#""sl.u.AbCd""#),
        "personalAccessToken",
    ),
    shown(
        key("dropbox.remote_root", r#""""#),
        r#""/Gateways/kitchen""#,
    ),
    key("dropbox.root", r#""home""#),
    formerly(unset("sync.content_dir", r#""/etc/openhab""#), "contentdir"),
    formerly(key("sync.mode", r#""LOCAL_TO_DROPBOX""#), "syncmode"),
    formerly(key("sync.fake_mode", "false"), "fakemode"),
    formerly(key("sync.upload_filter", r#"["/.*"]"#), "uploadfilter"),
    formerly(key("sync.download_filter", r#"["/.*"]"#), "downloadfilter"),
    shown(key("sync.exclude", "[]"), r"['/cache', '.*\.tmp']"),
    shown(key("sync.ignore", "[]"), r#"["*.tmp", "cache/**"]"#),
    unset("sync.hidden", "false"),
    unset("sync.device_name", r#""gateway""#),
    key("sync.conflict", r#""keep-both""#),
    key("sync.upload_on_reset", "true"),
    unset("sync.max_file_size", r#""100 MiB""#),
    key("sync.deletes", r#""propagate""#),
    unset("sync.pace.match", r#""/logs/*.log""#),
    unset("sync.pace.every", r#""6h""#),
    key("sync.guard.max_delete_count", "2"),
    key("sync.guard.max_delete_share", "0.5"),
    formerly(
        key("schedule.upload_interval", r#""0 0 2 * * ?""#),
        "uploadInterval",
    ),
    formerly(
        key("schedule.download_interval", r#""0 0/5 * * * ?""#),
        "downloadInterval",
    ),
    key("schedule.watch", "false"),
    key("schedule.settle_s", "5"),
    unset("log.file", r#""/run/ferrybox/ferrybox.log""#),
    key("log.max_kib", "256"),
    key("log.force", "false"),
    key("network.timeout_s", "120"),
    unset("network.proxy", r#""http://proxy.lan:3128""#),
    unset("network.ca_file", r#""/etc/ssl/own-ca.pem""#),
    key("network.upload_chunk_mib", "32"),
    unset("network.upload_limit", r#""500 KiB/s""#),
    unset("network.download_limit", r#""2 MiB/s""#),
    unset("notify.ping_url", r#""https://hc-ping.com/UUID""#),
    unset("notify.webhook_url", r#""https://ntfy.sh/TOPIC""#),
    unset("notify.metrics_file", r#""/run/ferrybox/ferrybox.prom""#),
    unset("notify.html_file", r#""/run/ferrybox/status.html""#),
    key("notify.after", r#""6h""#),
    key("endpoints.api", r#""https://api.dropboxapi.com""#),
    key("endpoints.content", r#""https://content.dropboxapi.com""#),
    key("endpoints.notify", r#""https://notify.dropboxapi.com""#),
    key("endpoints.www", r#""https://www.dropbox.com""#),
    unset("state.dir", r#""/var/lib/ferrybox""#),
];

/// Keys of versions that are long gone, and what to do instead.
const DEAD: [(&str, &str); 4] = [
    (
        "initialize",
        "remove the line: signing in is a command here, startAuthentication",
    ),
    (
        "activate",
        "remove the line: what is not to run is not started",
    ),
    (
        "filter",
        "remove the line: what may travel is said by uploadfilter and downloadfilter",
    ),
    (
        "refresh",
        "remove the line: the times are uploadInterval and downloadInterval",
    ),
];

/// The sections, in the order of the example file.
pub(super) const SECTIONS: [&str; 9] = [
    "dropbox",
    "sync",
    "sync.guard",
    "schedule",
    "log",
    "network",
    "notify",
    "endpoints",
    "state",
];

/// Sections that may be there any number of times, each with two brackets around its name.
pub(super) const LISTS: [&str; 1] = ["sync.pace"];

/// The line that begins a section.
pub(super) fn heading(section: &str) -> String {
    match LISTS.contains(&section) {
        true => format!("[[{section}]]"),
        false => format!("[{section}]"),
    }
}

/// The key that `name` stands for in `section` (`""` is the top level).
pub(super) fn known(section: &str, name: &str) -> Option<&'static ConfigKey> {
    KEYS.iter()
        .find(|key| key.alias == Some(name) || (key.section() == section && key.name() == name))
}

/// The key of this name, or of this former name, in whatever section.
pub(super) fn named(name: &str) -> Option<&'static ConfigKey> {
    KEYS.iter()
        .find(|key| key.alias == Some(name) || key.name() == name)
}

/// What to do about a key that openHAB's add-on once had.
pub(super) fn dead_key(name: &str) -> Option<&'static str> {
    let dead = DEAD.iter().find(|(dead, _)| *dead == name);
    dead.map(|(_, remedy)| *remedy)
}

/// What to write instead of the unknown `name` in `section`.
pub(super) fn remedy(section: &str, name: &str) -> String {
    if let Some(key) = KEYS.iter().find(|key| key.name() == name) {
        return format!("{name} belongs to the section {}", heading(key.section()));
    }
    let nearest = KEYS
        .iter()
        .flat_map(|key| {
            [Some(key.name()), key.alias]
                .into_iter()
                .flatten()
                .map(move |n| (key, n))
        })
        .map(|(key, near)| (distance(name, near), key.section() != section, near, key))
        .min_by_key(|&(distance, elsewhere, ..)| (distance, elsewhere));
    match nearest {
        Some((distance, elsewhere, near, key)) if distance <= (near.len() / 2).min(3) => {
            let place = if elsewhere {
                format!(" in {}", heading(key.section()))
            } else {
                String::new()
            };
            format!("did you mean {}{place}?", key.name())
        }
        _ => {
            let of = |key: &&ConfigKey| key.section() == section;
            let names: Vec<_> = KEYS.iter().filter(of).map(ConfigKey::name).collect();
            match names.is_empty() {
                true => format!("keys belong into a section: [{}]", SECTIONS.join("], [")),
                false => format!("the keys of {} are {}", heading(section), names.join(", ")),
            }
        }
    }
}

/// What to write instead of the unknown section `path`.
pub(super) fn section_remedy(path: &str) -> String {
    let last = |path: &'static str| path.rsplit('.').next().unwrap_or(path);
    let nearest = SECTIONS
        .into_iter()
        .chain(LISTS)
        .map(|known| {
            (
                distance(path, known).min(distance(path, last(known))),
                known,
            )
        })
        .min();
    match nearest {
        Some((distance, near)) if distance <= 2 => format!("did you mean {}?", heading(near)),
        _ => format!("the sections are [{}]", SECTIONS.join("], [")),
    }
}

/// Levenshtein distance; case, `_` and `-` do not count.
fn distance(a: &str, b: &str) -> usize {
    let plain = |text: &str| -> Vec<char> {
        let kept = text.chars().filter(|c| !matches!(c, '_' | '-'));
        kept.map(|c| c.to_ascii_lowercase()).collect()
    };
    let (a, b) = (plain(a), plain(b));
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
