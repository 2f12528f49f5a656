//! `doctor`: each thing that may be wrong is told with what to do, and nothing is changed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::console::{Console, Said, said};
use crate::gateway::Gateway;
use crate::images::Mounted;
use crate::json::Schema;
use crate::needs;
use crate::peak;

/// A user who owns nothing.
const NOBODY: u32 = 65534;
/// More than it takes, and less than anybody would take for a bound.
const MEMORY_MAX_KIB: u64 = 10 << 10;
/// All checks in their order.
const NAMES: [&str; 15] = [
    "configuration",
    "clock",
    "dns",
    "proxy",
    "tls",
    "sign_in",
    "namespaces",
    "quota",
    "free_space",
    "filesystem",
    "permissions",
    "names",
    "watch",
    "other_tools",
    "schedule",
];

/// What was said of each thing.
struct Checks(BTreeMap<String, Value>);

impl Checks {
    /// What JSON says, held against the schema.
    #[track_caller]
    fn of(said: &Said) -> Checks {
        let lines = Schema::read().check(&said.out);
        let names = lines.iter().map(|line| line["name"].as_str().unwrap());
        let names: Vec<_> = names.collect();
        assert_eq!(names, NAMES, "{}", said.out);
        let has_failed = lines.iter().any(|line| line["state"] == "fail");
        assert_eq!(said.code, i32::from(has_failed), "{}", said.out);
        for line in &lines {
            let text = line["text"].as_str().unwrap();
            assert!(!text.is_empty() && !text.contains('\n'), "{line}");
            assert_eq!(line["remedy"].is_null(), line["state"] == "ok", "{line}");
        }
        let named = |line: Value| (line["name"].as_str().unwrap().to_owned(), line);
        Checks(lines.into_iter().map(named).collect())
    }

    #[track_caller]
    fn expect(&self, name: &str, state: &str, words: &[&str]) {
        let line = &self.0[name];
        assert_eq!(line["state"], state, "{line}");
        let text = line["text"].as_str().unwrap();
        for word in words {
            assert!(text.contains(word), "{word} is not in {line}");
        }
    }

    fn remedy(&self, name: &str) -> &str {
        self.0[name]["remedy"].as_str().unwrap_or_default()
    }

    fn failed(&self) -> Vec<&str> {
        let failed = NAMES
            .iter()
            .filter(|name| self.0[**name]["state"] == "fail");
        failed.copied().collect()
    }
}

fn ready() -> Console {
    let console = Console::new();
    console.authenticate();
    console
}

#[track_caller]
fn checks(console: &Console) -> Checks {
    Checks::of(&console.run(&["doctor", "--json"]))
}

/// Everything below a directory: its bytes, and when it was changed.
fn held(dir: &Path, held: &mut BTreeMap<String, (Vec<u8>, i64, i64, u32)>) {
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        let found = fs::symlink_metadata(&path).unwrap();
        let bytes = fs::read(&path).unwrap_or_default();
        let stamp = (bytes, found.ctime(), found.ctime_nsec(), found.mode());
        held.insert(path.display().to_string(), stamp);
        if found.is_dir() {
            self::held(&path, held);
        }
    }
}

fn all_held(console: &Console) -> BTreeMap<String, (Vec<u8>, i64, i64, u32)> {
    let mut all = BTreeMap::new();
    held(&console.path(""), &mut all);
    all
}

#[test]
fn a_healthy_gateway_passes_and_nothing_is_changed() {
    let console = ready();
    console.put("a", "a");
    console.dropbox.put("/b", b"b");
    assert_eq!(console.run(&["sync"]).code, 0);
    let (here, there) = (all_held(&console), console.dropbox.tree());
    // Another run is at work: its lock is left alone.
    let lock = File::open(console.state()).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    console.dropbox.clear_requests();
    let checks = checks(&console);
    assert_eq!(checks.failed(), [""; 0]);
    let whose = "signed in as Gate Keeper <gate@example.org>";
    let granted = "granted: account_info.read, files.metadata.read, files.content.read, \
                   files.content.write";
    checks.expect("sign_in", "ok", &[whose, granted]);
    checks.expect("namespaces", "ok", &["own folder"]);
    checks.expect("quota", "ok", &["(0 %)"]);
    checks.expect("tls", "ok", &["3 hosts of Dropbox answered", "no TLS"]);
    checks.expect("dns", "ok", &["127.0.0.1 is an address"]);
    checks.expect("proxy", "ok", &["none"]);
    checks.expect("free_space", "ok", &["free of"]);
    checks.expect("names", "ok", &["3 names in 1 folder looked at"]);
    checks.expect("watch", "ok", &["schedule.watch is off"]);
    checks.expect("other_tools", "ok", &[]);
    assert_eq!(all_held(&console), here);
    assert_eq!(console.dropbox.tree(), there);
    let requests = console.dropbox.requests();
    assert!(requests.len() <= 10, "{requests:?}");
}

#[test]
fn for_people_each_check_is_a_line_and_each_remedy_another() {
    let console = Console::new();
    let said = console.run(&["doctor"]);
    assert_eq!(said.code, 1, "{}", said.out);
    assert_eq!(said.err, "");
    let lines: Vec<_> = said.out.lines().collect();
    let heads = lines.iter().filter(|line| !line.starts_with(' '));
    let names: Vec<_> = heads
        .map(|line| line[6..].split(':').next().unwrap())
        .collect();
    assert_eq!(names, NAMES.map(|name| name.replace('_', "-")));
    let at = lines
        .iter()
        .position(|line| line.starts_with("fail  sign-in: nobody"));
    let remedy = lines[at.unwrap() + 1];
    assert!(
        remedy.starts_with("      -> ferrybox --config /"),
        "{remedy}"
    );
    assert!(remedy.ends_with(" startAuthentication"), "{remedy}");
    let help = console.run(&["doctor", "--help"]);
    assert!(help.out.contains("Examples:"), "{}", help.out);
}

#[test]
fn before_the_sign_in_all_else_is_looked_at_and_nothing_is_made() {
    let console = Console::new();
    console.runtime();
    let before = all_held(&console);
    let checks = checks(&console);
    assert_eq!(checks.failed(), ["sign_in"]);
    assert!(checks.remedy("sign_in").ends_with("startAuthentication"));
    checks.expect("quota", "ok", &["nobody is signed in"]);
    checks.expect("tls", "ok", &["3 hosts"]);
    checks.expect(
        "permissions",
        checks.0["permissions"]["state"].as_str().unwrap(),
        &["is not there yet: the sign-in makes it"],
    );
    assert!(!console.state().exists());
    assert_eq!(all_held(&console), before);
}

#[test]
fn a_configuration_that_cannot_be_used_is_the_first_thing_to_mend() {
    let console = Console::new();
    console.write_config("[sync]\ncontent_dir = 'relative'\n");
    let checks = checks(&console);
    checks.expect("configuration", "fail", &["config.toml", "content_dir"]);
    checks.expect("tls", "ok", &["the configuration comes first"]);
    let console = ready();
    let text = console.config_text();
    console.write_config(&text.replace("[sync]", "[sync]\nfake_mode = true"));
    console.put(".ferryboxignore", "[");
    let checks = self::checks(&console);
    checks.expect(
        "configuration",
        "fail",
        &[".ferryboxignore:1", "fake_mode is on"],
    );
    assert!(checks.remedy("configuration").contains("fake_mode = false"));
}

#[test]
fn without_a_way_to_dropbox_the_rest_is_looked_at_in_time() {
    let console = ready();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let text = console.config_text();
    let (before, _) = text.split_once("[endpoints]").unwrap();
    let hosts = ["api", "content", "notify"].map(|host| format!("{host} = \"http://{address}\"\n"));
    console.write_config(&format!("{before}[endpoints]\n{}", hosts.concat()));
    let begun = Instant::now();
    let said = console.run(&["doctor", "--json"]);
    assert!(begun.elapsed() < Duration::from_secs(60));
    let checks = Checks::of(&said);
    assert_eq!(checks.failed(), ["tls", "sign_in", "namespaces", "quota"]);
    checks.expect(
        "tls",
        "fail",
        &["cannot reach Dropbox", &address.to_string()],
    );
    assert!(checks.remedy("tls").contains("network.proxy"));
    checks.expect(
        "sign_in",
        "fail",
        &["signed in as Gate Keeper", "cannot be asked"],
    );
    checks.expect("names", "ok", &["looked at"]);
    let token = fs::read_to_string(console.state().join("token.json")).unwrap();
    let token: Value = serde_json::from_str(&token).unwrap();
    let secret = token["refresh_token"].as_str().unwrap();
    assert!(!said.out.contains(secret) && !said.err.contains(secret));
}

/// A server that swallows what it is told does not hold the checks for longer than they may take.
#[test]
fn a_host_that_never_answers_is_not_waited_for() {
    let console = ready();
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = deaf.local_addr().unwrap();
    let text = console.config_text();
    let (before, _) = text.split_once("[endpoints]").unwrap();
    let hosts = ["api", "content", "notify"].map(|host| format!("{host} = \"http://{address}\"\n"));
    console.write_config(&format!("{before}[endpoints]\n{}", hosts.concat()));
    let begun = Instant::now();
    let checks = checks(&console);
    assert!(
        begun.elapsed() < Duration::from_secs(40),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(checks.failed(), ["tls", "sign_in", "namespaces", "quota"]);
}

#[test]
fn a_permission_that_is_missing_is_named_with_the_box_to_tick() {
    let console = Console::new();
    console.dropbox.set_scopes(&[
        "account_info.read",
        "files.metadata.read",
        "files.content.read",
    ]);
    let text = console.config_text();
    let down = "mode = \"DROPBOX_TO_LOCAL\"\nupload_on_reset = false";
    console.write_config(&text.replace("mode = \"BIDIRECTIONAL\"", down));
    console.authenticate();
    let checks = checks(&console);
    let granted = "granted: account_info.read, files.metadata.read, files.content.read";
    checks.expect("sign_in", "ok", &[granted]);
    console.write_config(&text);
    let checks = self::checks(&console);
    assert_eq!(checks.failed(), ["sign_in"]);
    let status = console.run(&["status", "--online"]);
    let missing = "files.content.read; missing: files.content.write\n";
    assert!(status.out.contains(missing), "{}", status.out);
    let lacks = "the app lacks the permission \"files.content.write\"";
    checks.expect("sign_in", "fail", &[lacks, granted]);
    assert!(
        checks
            .remedy("sign_in")
            .starts_with("tick it in the Dropbox App Console")
    );
}

#[test]
fn a_token_of_the_console_is_warned_of_and_never_shown() {
    let console = Console::new();
    let token = console.dropbox.personal_access_token();
    console.configure(&format!("[dropbox]\npersonal_access_token = \"{token}\""));
    let said = console.run(&["doctor", "--json", "-vv"]);
    let checks = Checks::of(&said);
    checks.expect("sign_in", "warn", &["4 hours", "signed in as Gate Keeper"]);
    assert!(checks.remedy("sign_in").contains("dropbox.app_key"));
    checks.expect(
        "configuration",
        "warn",
        &["a secret that every user can read"],
    );
    assert!(checks.remedy("configuration").starts_with("chmod 600 /"));
    assert!(!said.out.contains(&token) && !said.err.contains(&token));
}

#[test]
fn a_team_is_told_from_an_account_of_its_own() {
    let console = ready();
    let text = console.config_text();
    let in_team = text.replace("[dropbox]", "[dropbox]\nroot = \"team\"");
    console.write_config(&in_team);
    let checks = checks(&console);
    checks.expect("namespaces", "fail", &["dropbox.root", "in no team"]);
    console.dropbox.join_team("4711");
    self::checks(&console).expect("namespaces", "ok", &["space of the team is synced"]);
    console.write_config(&text);
    self::checks(&console).expect("namespaces", "ok", &["root = \"team\""]);
}

#[test]
fn a_quota_is_told_before_and_when_it_is_full() {
    let console = ready();
    console.dropbox.put("/a", &[b'a'; 950]);
    console.dropbox.set_quota(1000);
    let checks = checks(&console);
    checks.expect(
        "quota",
        "warn",
        &["950 bytes of 1,000 bytes taken up (95 %)"],
    );
    console.dropbox.set_quota(950);
    let checks = self::checks(&console);
    checks.expect("quota", "fail", &["(100 %)", "nothing can go up"]);
    assert!(checks.remedy("quota").contains("make room"));
}

#[test]
fn names_that_do_not_travel_are_counted_and_the_first_named() {
    let console = ready();
    let text = console.config_text();
    console.write_config(&text.replace("[sync]", "[sync]\nignore = ['/left/']"));
    for dir in ["d", "left"] {
        fs::create_dir(console.content().join(dir)).unwrap();
        for name in ["Twice", "tWice", "twice"] {
            console.put(&format!("{dir}/{name}"), "x");
        }
    }
    for number in 0..7 {
        console.put(&format!("back\\{number}"), "x");
    }
    console.put("Thumbs.db", "x");
    let checks = checks(&console);
    let clash = "1 pair of names that Dropbox takes for one: /d/Twice and tWice";
    let refused = "7 names that Dropbox does not take: /back\\\\0, ";
    checks.expect(
        "names",
        "warn",
        &[clash, refused, "2 more", "13 names in 2 folders"],
    );
    assert!(checks.remedy("names").starts_with("rename them"));
}

#[test]
fn who_else_syncs_the_directory_is_told() {
    let console = ready();
    fs::create_dir_all(console.content().join("in/.stfolder")).unwrap();
    console.put("in/.ferrybox-root", "0123");
    let other = console.config_text();
    let content = console.content().display().to_string();
    fs::write(
        console.path("other.toml"),
        other.replace(&content, &format!("{content}/in")),
    )
    .unwrap();
    fs::write(
        console.path("apart.toml"),
        other.replace(&content, "/srv/apart"),
    )
    .unwrap();
    fs::write(console.path("broken.toml"), "content_dir = [").unwrap();
    let checks = checks(&console);
    checks.expect(
        "other_tools",
        "warn",
        &[
            "Syncthing has left its mark here (/in/.stfolder)",
            "another content dir of ferrybox lies within: /in",
            "other.toml syncs ",
        ],
    );
    let text = checks.0["other_tools"]["text"].as_str().unwrap();
    assert!(
        !text.contains("apart.toml") && !text.contains("broken"),
        "{text}"
    );
}

/// What Dropbox says of the time is believed; a server that says nothing else is enough for it.
#[test]
fn a_clock_that_is_off_is_told_with_the_command_that_mends_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::Builder::new()
        .name("late".to_owned())
        .spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]);
                let answer = "HTTP/1.1 400 Bad Request\r\ndate: Tue, 01 Jan 2002 00:00:00 GMT\r\n\
                              content-length: 0\r\nconnection: close\r\n\r\n";
                let _ = stream.write_all(answer.as_bytes());
            }
        })
        .unwrap();
    let console = Console::new();
    let text = console.config_text();
    let (before, _) = text.split_once("[endpoints]").unwrap();
    console.write_config(&format!(
        "{before}[endpoints]\napi = \"http://{address}\"\n"
    ));
    // The other two hosts are Dropbox's own: nobody is asked through a proxy that is not there.
    let mut command = console.command(&["doctor", "--json"]);
    command.env("HTTPS_PROXY", "http://127.0.0.1:9");
    let checks = Checks::of(&said(command.output().unwrap()));
    checks.expect(
        "clock",
        "fail",
        &["days ahead of Dropbox's", "certificates"],
    );
    let remedy = checks.remedy("clock");
    assert!(remedy.contains("timedatectl set-ntp true") || remedy.contains("from the network"));
    checks.expect("proxy", "ok", &["http://127.0.0.1:9 (from $HTTPS_PROXY)"]);
}

#[test]
fn over_tls_it_is_said_what_is_trusted_and_which_proxy_is_used() {
    let gateway = Gateway::new().over_tls();
    let output = gateway
        .command(&[], &["doctor", "--json"])
        .output()
        .unwrap();
    let checks = Checks::of(&said(output));
    let words = [
        "3 hosts of Dropbox answered",
        "1 root of network.ca_file",
        "first",
    ];
    checks.expect("tls", "ok", &words);
    checks.expect("proxy", "ok", &["(from network.proxy)"]);
    checks.expect("dns", "ok", &["the proxy looks up"]);
    assert_eq!(checks.failed(), [""; 0]);
}

fn run_as_nobody(console: &Console) -> Said {
    let plain = console.command(&["doctor", "--json"]);
    let mut command = Command::new("setpriv");
    let id = NOBODY.to_string();
    command
        .env_clear()
        .envs(plain.get_envs().filter_map(|(k, v)| Some((k, v?))));
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"]);
    command.arg(plain.get_program()).args(plain.get_args());
    said(command.output().unwrap())
}

fn give_away(path: &Path) {
    chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    for entry in fs::read_dir(path).into_iter().flatten() {
        give_away(&entry.unwrap().path());
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

#[test]
fn what_may_not_be_read_or_written_is_told() {
    let console = ready();
    console.put("open", "o");
    for number in 0..6 {
        console.put(&format!("shut{number}"), "s");
    }
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        give_away(console.content().parent().unwrap());
    }
    let look = || match is_root {
        true => Checks::of(&run_as_nobody(&console)),
        false => checks(&console),
    };
    look().expect("permissions", "ok", &["may read and change", "is private"]);
    for number in 0..6 {
        set_mode(&console.content().join(format!("shut{number}")), 0);
    }
    let found = look();
    let words = [
        "may not read 6 files and folders: /shut0, ",
        "/shut4, 1 more",
    ];
    found.expect("permissions", "warn", &words);
    assert!(found.remedy("permissions").contains("sync.ignore"));
    set_mode(&console.content(), 0o500);
    let found = look();
    found.expect("permissions", "fail", &["may not make files in"]);
    assert!(found.remedy("permissions").contains("sudo chown "));
    set_mode(&console.content(), 0);
    let found = look();
    found.expect("permissions", "fail", &["the content dir: "]);
    found.expect("names", "ok", &["cannot be read"]);
    set_mode(&console.content(), 0o700);
    set_mode(&console.state(), 0o755);
    let found = look();
    found.expect("permissions", "warn", &["is open to others (mode 0755)"]);
    found.expect("sign_in", "fail", &["can be read by others"]);
    if is_root {
        // Root finds the state of another user.
        chown(console.path(""), Some(0), Some(0)).unwrap();
        chown(console.path("config.toml"), Some(0), Some(0)).unwrap();
        let found = checks(&console);
        found.expect("sign_in", "fail", &["belongs to another user"]);
        found.expect("permissions", "fail", &["running as root"]);
    }
}

#[test]
fn what_directories_lie_on_is_told() {
    if !needs::has("doctor on filesystems of its own", needs::mounts()) {
        return;
    }
    let console = ready();
    let content = Mounted::tmpfs("size=8m", &console.content());
    let within = Mounted::tmpfs("size=8m", &console.content().join("my stick"));
    let found = checks(&console);
    found.expect(
        "free_space",
        "fail",
        &["8.0 MiB free of 8.0 MiB", "64.0 MiB are kept free"],
    );
    let mounted = format!(
        "1 disk mounted within it: {} (tmpfs)",
        within.path().display()
    );
    found.expect("filesystem", "warn", &[&mounted]);
    drop(within);
    content.remount("ro");
    let found = checks(&console);
    found.expect(
        "filesystem",
        "fail",
        &["the content dir on tmpfs, read-only"],
    );
    assert!(found.remedy("filesystem").contains("remount,rw"));
    drop(content);
    let _state = Mounted::tmpfs("size=8m,mode=700", &console.state());
    let found = checks(&console);
    found.expect(
        "filesystem",
        "warn",
        &["the state directory on tmpfs, in memory"],
    );
    found.expect("free_space", "warn", &["the state directory: 8.0 MiB free"]);
}

#[test]
fn all_checks_together_take_little_memory() {
    let console = ready();
    for number in 0..3000 {
        console.put(&format!("a file with a long name {number}"), "x");
    }
    let mut command = console.command(&["doctor", "--json"]);
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let (_, kib) = peak::watch(child.id());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    println!("doctor: {kib} KiB");
    assert!(kib > 0 && kib <= MEMORY_MAX_KIB, "{kib} KiB");
}
