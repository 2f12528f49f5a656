//! Claims about whole configuration files, and about what is wrong with them.

use toml::de::{DeTable, DeValue};

use super::keys::KEYS;
use super::*;
use crate::core::filter::FilterAllows;

const EXAMPLE: &str = include_str!("../../config/ferrybox.toml");

pub(super) fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Path::new("/etc/f.toml"), text)
}

/// The least that is valid, with lines added to `[sync]`.
pub(super) fn with(lines: &str) -> Result<Config, ConfigError> {
    parse(&format!(
        "[dropbox]\napp_key = \"abc\"\n[sync]\ncontent_dir = \"/srv\"\n{lines}\n"
    ))
}

/// The lines that `lines` (from line 5 on) end in.
fn refusal(lines: &str) -> String {
    let told = with(lines).expect_err(lines).to_string();
    let is_of_file = |line: &str| line.starts_with("/etc/f.toml:");
    assert!(told.lines().all(is_of_file), "{told}");
    told
}

/// C: nobody corrects a file in as many runs as it has faults.
#[test]
fn c_all_faults_are_told_at_once() {
    let text = "[dropbox]\napp_key = 'a b'\n[sync]\nmode = 'x'\nmdoe = 'y'\nmode = 'z'\n\
                hidden = 3\nexclude = ['*.tmp', '(?=a)']\n[schedule]\nsettle_s = 0\n\
                upload_interval = 'never'\n[network]\nproxy = 'x'\n";
    let told = parse(text).unwrap_err().to_string();
    for expected in [
        ":2: dropbox.app_key: ",
        ":3: sync.content_dir: is required",
        ":4: sync.mode: Unknown SyncMode",
        ":5: sync.mdoe: unknown key",
        ":6: mode is there twice, in lines 4 and 6; keep one of them",
        ":7: sync.hidden: ",
        ":8: sync.exclude: pattern '*.tmp'",
        ":8: sync.exclude: pattern '(?=a)'",
        ":10: schedule.settle_s: ",
        ":11: schedule.upload_interval: ",
        ":13: network.proxy: ",
    ] {
        assert!(told.contains(expected), "{expected}\nis not in\n{told}");
    }
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 11, "{told}");
    assert!(lines.is_sorted_by_key(|line| {
        line.split(':')
            .nth(1)
            .and_then(|number| number.parse::<u32>().ok())
    }));
}

fn check(cases: &[(&str, &str)]) {
    for (lines, expected) in cases {
        let line = refusal(lines);
        assert!(line.contains(expected), "{lines}\n{line}\nlacks {expected}");
    }
}

#[test]
fn the_example_names_every_key_and_comments_out_those_at_their_default() {
    let root = DeValue::Table(DeTable::parse(EXAMPLE).unwrap().into_inner());
    let value_of = |text: &str| plain(DeValue::parse(text).unwrap().get_ref());
    for key in &KEYS {
        let given = key.path.split('.').try_fold(&root, |at, name| match at {
            DeValue::Table(table) => table.get(name).map(toml::Spanned::get_ref),
            _ => None,
        });
        let start = format!("# {} = ", key.name());
        let mut shown = EXAMPLE.lines().filter_map(|line| line.strip_prefix(&start));
        let shown_as = |expected: &str| {
            let expected = value_of(expected);
            shown.any(|value| DeValue::parse(value).is_ok() && value_of(value) == expected)
        };
        let is_required = ["dropbox.app_key", "sync.content_dir"].contains(&key.path);
        assert_eq!(given.is_some(), is_required, "{}", key.path);
        if !is_required {
            let mut shown_as = shown_as;
            assert!(shown_as(key.default.unwrap_or(key.example)), "{}", key.path);
        }
        assert!(
            key.alias.is_none_or(|alias| EXAMPLE.contains(alias)),
            "{}",
            key.path
        );
    }
}

/// A value without the way it was written.
fn plain(value: &DeValue) -> String {
    match value {
        DeValue::Array(array) => array.iter().map(|v| plain(v.get_ref())).collect(),
        DeValue::String(text) => format!("text {text}"),
        other => format!("{other:?}"),
    }
}

#[test]
fn the_example_and_the_least_configuration_mean_the_same() {
    let (example, least) = (parse(EXAMPLE).unwrap(), with("").unwrap());
    assert!(example.warnings.is_empty() && least.warnings.is_empty());
    assert_eq!(
        example.sync.filter.fingerprint(),
        Filter::everything().fingerprint()
    );
    // A changed one lists every account again once: never by accident.
    assert_eq!(
        Filter::everything().fingerprint(),
        "1013ab108b8ebefb516ce882dcb2a3a4"
    );
    for config in [&example, &least] {
        assert_eq!(config.sync.mode, Mode::LocalToDropbox);
        assert_eq!(config.sync.conflict, ConflictPolicy::KeepBoth);
        assert!(!config.sync.fake_mode && config.sync.upload_on_reset);
        assert_eq!(config.dropbox.remote_root, "");
        assert_eq!(
            config.guard,
            Guard {
                max_delete_count: 2,
                max_delete_share: 0.5
            }
        );
        assert_eq!(config.schedule.upload_interval.text(), "0 0 2 * * ?");
        let every_five = schedule::parse("0 0/5 * * * ?").unwrap();
        assert_eq!(
            config.schedule.download_interval,
            DownloadInterval::At(every_five)
        );
        assert_eq!((config.network.timeout_s, &config.state_dir), (120, &None));
        assert_eq!(config.endpoints.www, "https://www.dropbox.com");
    }
    assert_eq!(
        (least.sync.content_dir.to_str(), least.content_dir_line),
        (Some("/srv"), 4)
    );
}

#[test]
fn the_predecessors_names_work_at_the_top_and_in_any_section() {
    let keys = "personalAccessToken = 'sl.x'\nappkey = 'k'\nappsecret = 's'\nfakemode = 'ON'\n\
                contentdir = '/srv/'\nuploadInterval = '0 0 3 * * ?'\nsyncmode = 'bidirectional'\n\
                downloadInterval = '0 0 4 * * ?'\nuploadfilter = '/a.*,/b.*,,'\n\
                downloadfilter = 'openhab'\n";
    for section in ["", "[state]\n", "[dropbox]\n"] {
        let config = parse(&format!("{section}{keys}")).unwrap();
        assert_eq!(
            config.dropbox.personal_access_token.unwrap().expose(),
            "sl.x"
        );
        assert_eq!(config.dropbox.app_key.as_deref(), Some("k"));
        assert_eq!(config.dropbox.app_secret.unwrap().expose(), "s");
        assert!(config.sync.fake_mode && config.sync.mode == Mode::Bidirectional);
        assert_eq!(config.sync.content_dir.to_str(), Some("/srv"));
        assert_eq!(config.schedule.upload_interval.text(), "0 0 3 * * ?");
        assert_eq!(
            config.sync.filter.allows("/b/c"),
            FilterAllows {
                up: true,
                down: false
            }
        );
        assert!(config.sync.filter.allows("/configurations/a/b").down);
    }
}

#[test]
fn unknown_keys_name_the_nearest_one_and_its_section() {
    check(&[
        (
            "mdoe = 'x'",
            "/etc/f.toml:5: sync.mdoe: unknown key; did you mean mode?",
        ),
        ("upLoad-Filter = []", "did you mean upload_filter?"),
        (
            "timeout_s = 5",
            "timeout_s belongs to the section [network]",
        ),
        ("remote_rot = ''", "did you mean remote_root in [dropbox]?"),
        ("zzzzzzzzzz = 1", "the keys of [sync] are content_dir, mode"),
        (
            "[sync.gaurd]\nmax_delete_count = 1",
            "unknown section; did you mean [sync.guard]?",
        ),
        (
            "[guard]\nmax_delete_count = 1",
            "f.toml:5: guard: unknown section; did you mean [sync.guard]?",
        ),
        ("[wrong]\n", "the sections are [dropbox], [sync]"),
        (
            "guard = 1",
            "is a section, not a key; write a line [sync.guard]",
        ),
        ("[[state]]\ndir = '/x'", "is a section, not a key"),
    ]);
    let top = parse("mode = 'x'").unwrap_err().to_string();
    assert!(top.contains("mode belongs to the section [sync]"), "{top}");
}

#[test]
fn a_key_given_twice_names_both_lines() {
    check(&[
        (
            "contentdir = '/x'",
            "f.toml:5: sync.contentdir: is also given in line 4 as sync.content_dir",
        ),
        (
            "[state]\nappkey = 'x'",
            "f.toml:6: state.appkey: is also given in line 2 as dropbox.app_key",
        ),
        (
            "mode = 'x'\nmode = 'y'",
            "f.toml:6: mode is there twice, in lines 5 and 6; keep one of them",
        ),
        (
            "[state]\ndir = '/x'\n [ sync ] # again\nhidden = true",
            "f.toml:7: [sync] is there twice, in lines 3 and 7; put its keys below the first",
        ),
    ]);
}

#[test]
fn wrong_types_name_the_expected_one_and_show_an_example() {
    check(&[
        (
            "mode = 3",
            "expected a string in quotes, found a whole number; write it as in mode = \"LOCAL",
        ),
        (
            "hidden = 'yes'",
            "expected true or false without quotes, found a string",
        ),
        (
            "fake_mode = 'ture'",
            "f.toml:5: sync.fake_mode: expected true or false",
        ),
        ("fake_mode = 1", "expected true or false"),
        ("upload_filter = 3", "expected a list of strings"),
        (
            "upload_filter = [\n'/a',\n3]",
            "f.toml:7: sync.upload_filter: expected a list of strings only",
        ),
        (
            "exclude = '/cache'",
            "found a string; write it as in exclude = ['/cache'",
        ),
        ("guard.max_delete_count = '1'", "expected a whole number"),
        ("guard.max_delete_count = -1", "must be from 0 to"),
        ("guard.max_delete_share = 1.5", "must be from 0.0 to 1.0"),
        ("guard.max_delete_share = nan", "must be from 0.0 to 1.0"),
        ("[network]\ntimeout_s = 4", "must be from 5 to 600"),
        ("[network]\ntimeout_s = 601", "must be from 5 to 600"),
        ("[network]\nupload_chunk_mib = 150", "must be from 4 to 148"),
        (
            "[network]\nupload_chunk_mib = 9",
            "9 is not a multiple of 4; write 8",
        ),
        ("mode = [", "f.toml:5: not valid TOML"),
        (
            "mode = BIDIRECTIONAL",
            "f.toml:5: mode: text needs quotation marks here; write mode = \"BIDIRECTIONAL\"",
        ),
    ]);
}

#[test]
fn values_are_checked_one_by_one() {
    check(&[
        (
            "mode = 'x'",
            "Unknown SyncMode 'x'. Valid SyncModes are 'DROPBOX_TO_LOCAL', ",
        ),
        ("mode = 'x'", "'LOCAL_TO_DROPBOX' and 'BIDIRECTIONAL'"),
        (
            "conflict = 'x'",
            "write \"keep-both\" (the default) or \"dropbox-wins\"",
        ),
        ("device_name = 'a/b'", "file names cannot"),
        ("device_name = ' a'", "without blanks"),
        ("[x.y]\na = 1", "unknown section"),
        (
            "[state]\ndir = 'var'",
            "write the whole path, such as /var/lib/ferrybox",
        ),
        (
            "[network]\nca_file = '~/ca.pem'",
            "'~' and variables are not replaced",
        ),
        (
            "[schedule]\nuploadInterval = '0 2 * * 8'",
            "'8' is not allowed; write 0 to 7 (Sunday is 0 or 7)",
        ),
        (
            "[schedule]\nupload_interval = 'push'",
            "1 field where 6 or 7 are needed (5 for a crontab line); write sec",
        ),
        (
            "[schedule]\ndownload_interval = '0 0 2 * *'",
            "'0 0 2 * *' can be read in two ways; write '0 0 2 * * ?' for each day at 2:00, or \
             '0 0 0 2 * ?' for day 2 of each month at midnight",
        ),
        ("[schedule]\nsettle_s = 0", "1 to 3600"),
        ("[log]\nfile = 'ferrybox.log'", "write the whole path"),
        ("[log]\nmax_kib = 1", "16 to 65536"),
    ]);
}

#[test]
fn secrets_show_neither_in_errors_nor_in_debug_output() {
    for lines in [
        "personalAccessToken = 'hush hush'",
        "appsecret = 'hush hush'",
        "appsecret = \"hush\\n\"",
        "personalAccessToken = ['hush']",
        "personalAccessToken = hush",
        "fakemode = 'hush'",
        "personalAccessToken = 'hush",
        "appsecret: hush",
        "sl.hush",
        "personalAccessToken = \"h\nhush",
        "network.proxy = 'http://u:hush@'",
        "network.proxy = 'ftp://u:hush@h'",
        "network.proxy = 'u:hush@h'",
        "network.proxy = 'http://u:hush/@h'",
        "network.proxy = 'http://u:hush@h:port'",
        "endpoints.api = 'https://hush@h'",
        "network.proxy = 'socks4://u:hush@h'",
        "'012345678901234567890123456789012hush' = 1",
    ] {
        let line = with(lines)
            .map(|config| config.path)
            .expect_err(lines)
            .to_string();
        assert!(!line.contains("hush"), "{lines}: {line}");
    }
    let text = "contentdir = '/s'\nappsecret = 'hush'\npersonalAccessToken = 'hush'\n\
                network.proxy = 'socks5://u:hush@h:1080/'";
    let config = parse(text).unwrap();
    assert_eq!(
        config.network.proxy.as_deref(),
        Some("socks5://u:hush@h:1080")
    );
    assert!(!format!("{config:?} {}", config.dropbox.app_secret.clone().unwrap()).contains("hush"));
}

#[test]
fn an_app_key_or_a_token_is_needed_and_empty_is_not_given() {
    for keys in ["", "appkey = ''\npersonalAccessToken = ''\n", "[dropbox]\n"] {
        let line = parse(&format!("contentdir = '/s'\n{keys}"))
            .unwrap_err()
            .to_string();
        assert!(
            line.contains("neither app_key nor personal_access_token"),
            "{line}"
        );
        assert!(line.contains("Creating a Dropbox app"), "{line}");
    }
    let wrong = parse("contentdir = '/s'\nappkey = 'a b'")
        .unwrap_err()
        .to_string();
    assert!(
        wrong.starts_with("/etc/f.toml:2: appkey: an app key is"),
        "{wrong}"
    );
    let empty = with("device_name = ''\n[network]\nproxy = ''\n[state]\ndir = ''").unwrap();
    assert!(empty.sync.device_name.is_none() && empty.state_dir.is_none());
}

#[test]
fn filters_point_at_the_bad_pattern_and_its_line() {
    check(&[
        (
            "upload_filter = [\n'/a',\n'/b*+']",
            "f.toml:7: sync.upload_filter: pattern '/b*+': possessive",
        ),
        ("upload_filter = '/a{1,2}/.*'", "pattern '/a{1': "),
        (
            "upload_filter = '/a{1,2}/.*'",
            "split at every comma; write a list instead",
        ),
        ("upload_filter = ''", "write \"openhab\" for that default"),
        ("download_filter = '/a, /b,/c'", "write '/a,/b,/c'"),
        ("exclude = ['*.tmp']", "not a shell pattern"),
        (
            "download_filter = ['(?!/x).*']",
            "list what is to be left out under 'exclude'",
        ),
    ]);
    let allows = |lines: &str, path: &str| with(lines).unwrap().sync.filter.allows(path).up;
    assert!(allows("upload_filter = ['/a{1,2}/.*']", "/aa/b"));
    for nothing in ["','", "[]"] {
        assert!(
            !allows(&format!("upload_filter = {nothing}"), "/a"),
            "{nothing}"
        );
    }
    assert!(allows("hidden = true", "/.a") && !allows("exclude = ['/a']", "/a/b"));
    let openhab = "upload_filter = 'openhab'";
    for (path, up) in [
        ("/a", true),
        ("/a/b", false),
        ("/logs/a", true),
        ("/etc/b/c", true),
    ] {
        assert_eq!(allows(openhab, path), up, "{path}");
    }
}

#[test]
fn a_pattern_that_can_match_nothing_is_a_warning_with_its_line() {
    for (lines, expected) in [
        (
            "upload_filter = ['/a', ' /b']",
            "f.toml:5: sync.upload_filter: pattern ' /b' matches no path: it starts",
        ),
        (
            "exclude = [\n'cache']",
            "f.toml:6: sync.exclude: pattern 'cache' matches no path: every path",
        ),
        ("exclude = ['/cache/']", "no path ends with '/'"),
        ("upload_filter = ['openhab']", "write \"openhab\" alone"),
        ("upload_filter = ['']", "it is empty"),
    ] {
        let warnings = with(lines).unwrap().warnings;
        assert!(
            warnings[0].to_string().contains(expected),
            "{}",
            warnings[0]
        );
    }
    let fine = "exclude = ['.*/a', '(/a|/b)', 'a*/b', '^/c', '[/]d', 'x|/y', '\\Q/a']";
    assert_eq!(with(fine).unwrap().warnings, []);
}
