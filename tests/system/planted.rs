//! What somebody has laid in the agent's way: links, pipes and files of others where it keeps its
//! state, names of its own in Dropbox, names that speak to a terminal, codes and configurations
//! that mean harm. Whatever it is, nothing else is written or read, and it is said in a line.

use std::ffi::CString;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use dropbox_standin::{Effect, Fault, When};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::console::{Console, forget_told};
use crate::gateway::{Ended, Gateway};
use crate::needs;
use crate::peak;

const MIB: usize = 1 << 20;
/// Somebody who is neither root nor the one who runs the tests.
const OTHER: u32 = 4321;
/// What a pass may have resident over nothing at all, in KiB.
const MEMORY_KIB: u64 = 20 << 10;

/// A file that must stay as it is.
struct Victim(PathBuf);

impl Victim {
    fn at(path: PathBuf) -> Victim {
        fs::write(&path, "of somebody else").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        Victim(path)
    }

    #[track_caller]
    fn is_untouched(&self, what: &str) {
        let found = fs::symlink_metadata(&self.0).unwrap();
        assert_eq!(found.mode() & 0o7777, 0o640, "{what}");
        assert_eq!(found.uid(), rustix::process::geteuid().as_raw(), "{what}");
        assert_eq!(fs::read(&self.0).unwrap(), b"of somebody else", "{what}");
    }
}

fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

fn clear(path: &Path) {
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path).unwrap(),
        Ok(_) => fs::remove_file(path).unwrap(),
        Err(_) => (),
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A pass that must end by itself.
fn sync(gateway: &Gateway) -> Ended {
    gateway.run(&["timeout", "-s", "KILL", "60"], &["sync"])
}

/// What a command had resident at most, in KiB, and how it ended.
fn measured(gateway: &Gateway, args: &[&str]) -> (Ended, u64) {
    let mut command = gateway.command(&[], args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let (_, peak) = peak::watch(child.id());
    (child.wait_with_output().unwrap().into(), peak)
}

/// Puts something in the place of a file; `what` it is.
fn plant(place: &Path, what: &str, victim: &Victim) {
    clear(place);
    match what {
        "a link" => symlink(&victim.0, place).unwrap(),
        "a link to nothing" => symlink(place.with_file_name("nowhere"), place).unwrap(),
        "a hard link" => fs::hard_link(&victim.0, place).unwrap(),
        "a pipe" => fifo(place),
        "a folder" => fs::create_dir(place).unwrap(),
        "a device" => {
            let null = rustix::fs::makedev(1, 3);
            mknodat(CWD, place, FileType::CharacterDevice, Mode::RUSR, null).unwrap();
        }
        _ => unreachable!("{what}"),
    }
}

// The state.

#[test]
fn a_sign_in_is_taken_from_no_file_but_ones_own() {
    let gateway = Gateway::new();
    gateway.authenticate();
    gateway.put("f", "f");
    let token = gateway.state.join("token.json");
    let copy = gateway.home.join("copy");
    fs::copy(&token, &copy).unwrap();
    let text = fs::read(&token).unwrap();
    for what in ["a link", "a pipe", "a folder", "of another", "0660", "0604"] {
        clear(&token);
        match what {
            "a link" => symlink(&copy, &token).unwrap(),
            "a pipe" => fifo(&token),
            "a folder" => fs::create_dir(&token).unwrap(),
            _ => fs::write(&token, &text).unwrap(),
        }
        match what {
            "of another" if is_root() => {
                fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
                chown(&token, Some(OTHER), Some(OTHER)).unwrap();
            }
            "of another" => continue,
            "0660" => fs::set_permissions(&token, fs::Permissions::from_mode(0o660)).unwrap(),
            "0604" => fs::set_permissions(&token, fs::Permissions::from_mode(0o604)).unwrap(),
            _ => (),
        }
        forget_told(&gateway.home.join("run/ferrybox"));
        let ended = sync(&gateway);
        assert_eq!(ended.code, Some(4), "{what}: {ended:?}");
        assert_eq!(ended.err.trim_end().lines().count(), 1, "{what}: {ended:?}");
        assert!(ended.err.contains("token.json"), "{what}: {ended:?}");
        assert!(gateway.remote_tree().is_empty(), "{what}");
    }
    clear(&token);
    fs::write(&token, &text).unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    gateway.sync_ok();
}

#[test]
fn a_link_in_the_place_of_the_index_or_its_journal_is_not_followed() {
    for name in ["index.db", "index.db-journal", "cursor.json"] {
        for what in ["a link", "a link to nothing", "a pipe", "a folder"] {
            let gateway = Gateway::new();
            gateway.put("f", "f");
            gateway.sync_ok();
            let victim = Victim::at(gateway.home.join("victim"));
            let place = gateway.state.join(name);
            plant(&place, what, &victim);
            gateway.put("g", "g");
            let ended = sync(&gateway);
            assert!(!ended.was_killed, "{name}, {what}: {ended:?}");
            if name != "cursor.json" {
                assert_eq!(ended.code, Some(1), "{name}, {what}: {ended:?}");
            }
            victim.is_untouched(&format!("{name}, {what}"));
            assert!(!gateway.state.join("nowhere").exists(), "{name}, {what}");
            assert_eq!(gateway.local_tree()["f"], b"f", "{name}, {what}");
            assert_eq!(gateway.remote_tree()["f"], b"f", "{name}, {what}");
        }
    }
}

#[test]
fn a_state_directory_that_is_a_link_is_refused() {
    for exists in [false, true] {
        let gateway = Gateway::new();
        let elsewhere = gateway.home.join("elsewhere");
        if exists {
            fs::create_dir(&elsewhere).unwrap();
            fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o755)).unwrap();
        }
        symlink(&elsewhere, &gateway.state).unwrap();
        let ended = sync(&gateway);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert_eq!(elsewhere.exists(), exists);
        if exists {
            assert_eq!(mode(&elsewhere), 0o755);
            assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
        }
    }
}

#[test]
fn whatever_the_umask_what_is_private_is() {
    let gateway = Gateway::new();
    let umask = ["sh", "-c", "umask 000; exec \"$@\"", "sh"];
    gateway.use_app();
    let banner = gateway.command(&umask, &["login"]).output().unwrap();
    let link = crate::console::link(&String::from_utf8_lossy(&banner.stdout));
    let code = gateway.dropbox.approve(&link).unwrap();
    assert_eq!(mode(&gateway.state.join("pending-auth.json")), 0o600);
    let ended = gateway.run(&umask, &["finishAuthentication", &code]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    gateway.dropbox.put("/d/down", b"down");
    gateway.put("up", "up");
    let ended = gateway.run(&umask, &["sync"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(mode(&gateway.state), 0o700);
    for entry in fs::read_dir(&gateway.state).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{path:?}");
    }
    let run = gateway.home.join("run");
    let cached = walk(&run).into_iter().find(|path| path.is_file());
    assert_eq!(mode(&cached.expect("the access token is cached")), 0o600);
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let (dirs, mut files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    files.extend(dirs.iter().flat_map(|dir| walk(dir)));
    files
}

// The content dir.

#[test]
fn names_of_ours_in_dropbox_never_come_down() {
    let gateway = Gateway::new();
    let text = fs::read_to_string(gateway.home.join("config.toml")).unwrap();
    let text = text.replace("[sync]\n", "[sync]\nhidden = true\n");
    fs::write(gateway.home.join("config.toml"), text).unwrap();
    gateway.sync_ok();
    let marker = fs::read(gateway.content.join(".ferrybox-root")).unwrap();
    for dir in ["", "/sub"] {
        for name in [
            ".ferrybox-root",
            ".FERRYBOX-ROOT",
            ".ferrybox-root.new",
            ".ferrybox-86a8d32c-0123456789abcdef.part",
            ".ferrybox-86a8d32c-0123456789abcdef.tmp",
        ] {
            gateway.dropbox.put(&format!("{dir}/{name}"), b"planted");
        }
    }
    gateway.dropbox.put("/token.json", b"an ordinary name");
    gateway.sync_ok();
    let tree: Vec<String> = gateway.local_tree().into_keys().collect();
    assert_eq!(tree, ["sub/", "token.json"]);
    assert_eq!(
        fs::read(gateway.content.join(".ferrybox-root")).unwrap(),
        marker
    );
    let own: Vec<String> = gateway.own_files();
    let own: Vec<&String> = own
        .iter()
        .filter(|name| !name.starts_with("state"))
        .collect();
    assert_eq!(own, [".ferrybox-root"]);
}

/// A gateway in whose content dir the beginning of a file lies, and where.
fn begun() -> (Gateway, PathBuf) {
    let gateway = Gateway::new();
    gateway.dropbox.put("/big", &vec![b'x'; 6 * MIB]);
    let cut = Fault::new("download", When::Nth(1), Effect::Truncate(5 * MIB));
    gateway.dropbox.inject(cut);
    for nth in 2..20 {
        let dead = Fault::new("download", When::Nth(nth), Effect::CutBefore);
        gateway.dropbox.inject(dead);
    }
    let ended = gateway.run(&[], &["sync", "--max-time", "3s"]);
    assert_ne!(ended.code, Some(0), "{ended:?}");
    gateway.dropbox.clear_faults();
    let part = gateway.own_files();
    let part = part.iter().find(|path| path.ends_with(".part")).unwrap();
    let part = gateway.content.join(part);
    (gateway, part)
}

#[test]
fn whatever_lies_in_the_place_of_a_beginning_the_file_is_fetched_anew() {
    for what in ["a link", "a hard link", "a pipe", "a folder", "a device"] {
        if what == "a device" && !is_root() {
            continue;
        }
        let (gateway, part) = begun();
        let victim = Victim::at(gateway.home.join("victim"));
        plant(&part, what, &victim);
        let ended = sync(&gateway);
        assert_eq!(ended.code, Some(0), "{what}: {ended:?}");
        victim.is_untouched(what);
        let big = fs::read(gateway.content.join("big")).unwrap();
        assert!(big == vec![b'x'; 6 * MIB], "{what}");
        assert_eq!(mode(&gateway.content.join("big")), 0o644, "{what}");
    }
}

#[test]
fn nothing_is_written_by_way_of_the_marker() {
    for name in [".ferrybox-root.new", ".ferrybox-root.tmp"] {
        for what in ["a link", "a hard link", "a pipe", "a link to nothing"] {
            let gateway = Gateway::new();
            let victim = Victim::at(gateway.home.join("victim"));
            plant(&gateway.content.join(name), what, &victim);
            gateway.put("f", "f");
            let ended = sync(&gateway);
            assert_eq!(ended.code, Some(0), "{name}, {what}: {ended:?}");
            victim.is_untouched(&format!("{name}, {what}"));
            assert!(!gateway.content.join("nowhere").exists(), "{name}, {what}");
        }
    }
}

#[test]
fn a_marker_that_is_none_is_neither_followed_nor_waited_for() {
    for what in ["a link", "a pipe", "a folder", "a link to nothing"] {
        let gateway = Gateway::new();
        gateway.put("f", "f");
        gateway.sync_ok();
        let victim = Victim::at(gateway.home.join("victim"));
        plant(&gateway.content.join(".ferrybox-root"), what, &victim);
        gateway.put("g", "g");
        let ended = sync(&gateway);
        assert_eq!(ended.code, Some(5), "{what}: {ended:?}");
        victim.is_untouched(what);
        assert!(gateway.dropbox.read("/g").is_none());
    }
}

#[test]
fn a_huge_marker_costs_no_memory() {
    let gateway = Gateway::new();
    gateway.put("f", "f");
    gateway.sync_ok();
    let marker = gateway.content.join(".ferrybox-root");
    let file = fs::File::options().write(true).open(marker).unwrap();
    file.set_len(400 * MIB as u64).unwrap();
    let (ended, peak) = measured(&gateway, &["sync"]);
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(peak < MEMORY_KIB, "{peak} KiB");
}

#[test]
fn a_program_that_runs_as_its_owner_gives_that_to_no_new_version() {
    let gateway = Gateway::new();
    gateway.put("tool", "v1");
    gateway.sync_ok();
    let tool = gateway.content.join("tool");
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o6775)).unwrap();
    gateway.sync_ok();
    gateway.dropbox.put("/tool", b"v2");
    gateway.sync_ok();
    assert_eq!(fs::read(&tool).unwrap(), b"v2");
    assert_eq!(mode(&tool) & 0o7000, 0);
}

// What is shown.

/// Bytes that a terminal acts upon, or that hide what a name is; as Dropbox may send them.
const SPEAKING: [&str; 9] = [
    "esc\u{1b}[2J\u{1b}]0;owned\u{7}",
    "line\n<0>kernel: fake",
    "cr\roverwritten",
    "tab\there",
    "csi\u{9b}2J",
    "exe\u{202e}gnp.png",
    "sep\u{2028}next",
    "zero\u{200b}width",
    "private\u{e000}use",
];

#[track_caller]
fn speaks_to_nobody(said: &str, lines: &dyn Fn(&str) -> bool, place: &str) {
    for line in said.lines() {
        assert!(lines(line), "{place}: {line:?}");
    }
    let acts = |c: char| {
        (c.is_control() && c != '\n')
            || ('\u{200b}'..='\u{200f}').contains(&c)
            || ('\u{2028}'..='\u{202e}').contains(&c)
            || ('\u{e000}'..='\u{f8ff}').contains(&c)
    };
    let found = said.chars().find(|c| acts(*c));
    assert_eq!(found, None, "{place}: {said:?}");
}

#[test]
fn names_and_texts_speak_to_no_terminal_log_or_journal() {
    let gateway = Gateway::new();
    let log = gateway.home.join("log/ferrybox.log");
    gateway.configure_also(&format!(
        "[log]\nfile = \"{}\"\nforce = true\n",
        log.display()
    ));
    for name in SPEAKING {
        gateway.dropbox.put(&format!("/down/{name}"), b"f");
        gateway.put(&format!("up/{name}"), "f");
    }
    let text = format!("no\u{1b}[31m\n<0>second{}", SPEAKING.concat());
    let refusal = serde_json::json!({
        "error_summary": "path/disallowed_name/",
        "error": {".tag": "path", "reason": {".tag": "disallowed_name"}},
        "user_message": {"text": text, "locale": "en"},
    });
    let refused = Effect::Status(409, refusal.to_string());
    gateway
        .dropbox
        .inject(Fault::new("files/upload", When::Always, refused));
    let mut command = gateway.command(&[], &["sync", "-vv"]);
    let said = Ended::from(command.output().unwrap());
    assert!(!said.err.is_empty());
    let begins = |line: &str| {
        ["debug: ", "info: ", "warning: ", "error: ", "trace: "]
            .iter()
            .any(|level| line.starts_with(level))
            || !line.starts_with('<')
    };
    speaks_to_nobody(&said.err, &begins, "stderr");
    let logged = fs::read_to_string(&log).unwrap();
    let dated = |line: &str| line.starts_with("20");
    speaks_to_nobody(&logged, &dated, "the log");
    // The journal takes what stands at the start of a line for a level.
    let mut command = gateway.command(&[], &["sync", "-vv"]);
    let journal = fs::File::create(gateway.home.join("journal")).unwrap();
    let found = rustix::fs::fstat(&journal).unwrap();
    command.env(
        "JOURNAL_STREAM",
        format!("{}:{}", found.st_dev, found.st_ino),
    );
    command.stderr(Stdio::from(journal)).stdout(Stdio::null());
    command.status().unwrap();
    let journal = fs::read_to_string(gateway.home.join("journal")).unwrap();
    assert!(!journal.is_empty());
    let levelled = |line: &str| {
        line.starts_with('<') && line.get(2..3) == Some(">") && !line.starts_with("<0>")
    };
    speaks_to_nobody(&journal, &levelled, "the journal");
}

// What is handed over.

#[test]
fn a_pasted_code_that_is_none_is_refused_in_one_line_without_an_echo() {
    let console = Console::new();
    console.run(&["login"]);
    let codes = [
        "$(id)`id`;id".to_owned(),
        "a\u{1b}[2Jb".to_owned(),
        "abc&grant_type=refresh_token".to_owned(),
        "abc%00def".to_owned(),
        "abc\" --config /etc/shadow".to_owned(),
        "Q".repeat(100 * 1024),
        "../../etc/passwd".to_owned(),
    ];
    for code in &codes {
        let shown: String = code.chars().take(20).collect();
        let said = console.run(&["finishAuthentication", code]);
        assert_eq!(said.code, 4, "{shown:?}: {}", said.err);
        let lines = said.err.trim_end().lines();
        assert!(said.err.len() < 1000, "{shown:?}: {}", said.err);
        assert!(lines.count() <= 2, "{shown:?}: {}", said.err);
        assert!(!said.err.contains(&shown) && !said.out.contains(&shown));
        if code.len() > 60_000 {
            // It is not read to its end.
            continue;
        }
        let piped = console.run_with_stdin(&["finishAuthentication"], &format!("{code}\r\n"));
        assert_eq!(piped.code, 4, "{shown:?}: {}", piped.err);
        assert!(!piped.err.contains(&shown));
    }
    assert!(!console.state().join("token.json").exists());
    // A NUL cannot be an argument.
    assert!(CString::new("a\0b").is_err());
    let nul = console.run_with_stdin(&["finishAuthentication"], "a\0b\n");
    assert_eq!(nul.code, 4, "{}", nul.err);
}

#[test]
fn endless_input_in_the_place_of_a_code_costs_no_memory() {
    let console = Console::new();
    console.run(&["login"]);
    let mut command = console.command(&["finishAuthentication"]);
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let piece = vec![b'a'; MIB];
            // It may have had enough.
            (0..8).all(|_| stdin.write_all(&piece).is_ok())
        });
        let (_, peak) = peak::watch(child.id());
        assert!(peak < MEMORY_KIB, "{peak} KiB");
    });
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.err.len() < 1000, "{ended:?}");
}

#[test]
fn a_hurtful_configuration_is_refused_or_harmless() {
    let gateway = Gateway::new();
    let name = "a".repeat(200);
    gateway.put(&format!("{name}b"), "f");
    let file = gateway.home.join("config.toml");
    let text = fs::read_to_string(&file).unwrap();
    let deep = format!("x = {}{}", "[".repeat(20_000), "]".repeat(20_000));
    let nested = format!("{}a{}", "(".repeat(5_000), ")*".repeat(5_000));
    let cases = [
        ("exclude = ['(a+)+$']".to_owned(), false),
        ("exclude = ['(.*)(.*)(.*)(.*)(.*)(.*)x']".to_owned(), false),
        ("exclude = ['((a{1,100}){1,100}){1,100}']".to_owned(), true),
        (format!("exclude = ['{nested}']"), true),
        ("exclude = ['(?=a)b']".to_owned(), true),
        (r"exclude = ['(a)\1']".to_owned(), true),
        (deep, true),
    ];
    for (line, is_refused) in cases {
        let shown: String = line.chars().take(60).collect();
        fs::write(
            &file,
            text.replace("[sync]\n", &format!("[sync]\n{line}\n")),
        )
        .unwrap();
        let began = Instant::now();
        let (ended, peak) = measured(&gateway, &["sync"]);
        assert!(began.elapsed() < Duration::from_secs(20), "{shown}");
        let expected = if is_refused { 78 } else { 0 };
        assert_eq!(ended.code, Some(expected), "{shown}: {ended:?}");
        assert!(peak < 2 * MEMORY_KIB, "{shown}: {peak} KiB");
        assert!(ended.err.len() < 2000, "{shown}: {ended:?}");
    }
}

#[test]
fn a_configuration_of_somebody_else_is_refused() {
    let need = match is_root() {
        true => Ok(()),
        false => Err("root alone can give a file away".to_owned()),
    };
    if !needs::has("a configuration of somebody else", &need) {
        return;
    }
    let gateway = Gateway::new();
    let file = gateway.home.join("config.toml");
    chown(&file, Some(OTHER), Some(OTHER)).unwrap();
    let ended = sync(&gateway);
    assert_eq!(ended.code, Some(78), "{ended:?}");
    chown(&file, Some(0), Some(0)).unwrap();
    let home = gateway.home.join("");
    fs::set_permissions(&home, fs::Permissions::from_mode(0o777)).unwrap();
    let ended = sync(&gateway);
    assert_eq!(ended.code, Some(78), "{ended:?}");
    fs::set_permissions(&home, fs::Permissions::from_mode(0o755)).unwrap();
    gateway.sync_ok();
    // As `su` without `-` leaves it: the home of somebody else, who has written a configuration.
    let his = gateway.home.join("his");
    fs::create_dir_all(his.join(".config/ferrybox")).unwrap();
    fs::copy(&file, his.join(".config/ferrybox/config.toml")).unwrap();
    for path in [
        ".config/ferrybox/config.toml",
        ".config/ferrybox",
        ".config",
        "",
    ] {
        chown(his.join(path), Some(OTHER), Some(OTHER)).unwrap();
    }
    let mut command = std::process::Command::new(&gateway.binary);
    command.env_clear().env("HOME", &his).arg("sync");
    let ended = Ended::from(command.output().unwrap());
    assert_eq!(ended.code, Some(78), "{ended:?}");
}

/// S5: a file that nobody can read to its end holds no pass.
#[test]
fn a_file_larger_than_any_pass_is_long_holds_nothing_up() {
    for mode in ["DROPBOX_TO_LOCAL", "BIDIRECTIONAL"] {
        let gateway = Gateway::new();
        let config = gateway.home.join("config.toml");
        let text = fs::read_to_string(&config).unwrap();
        fs::write(&config, text.replace("BIDIRECTIONAL", mode)).unwrap();
        gateway.dropbox.put("/f", b"f");
        gateway.sync_ok();
        gateway.remove("f");
        let file = fs::File::create(gateway.content.join("f")).unwrap();
        if file.set_len(15 << 40).is_err() {
            // The filesystem has no files of such a size.
            continue;
        }
        gateway.dropbox.put("/f", b"edited");
        gateway.dropbox.put("/h", b"h");
        let began = Instant::now();
        let wrapper = ["timeout", "-s", "KILL", "60"];
        let ended = gateway.run(&wrapper, &["sync", "--max-time", "10s"]);
        assert!(!ended.was_killed, "{mode}: {ended:?}");
        assert!(began.elapsed() < Duration::from_secs(30), "{mode}");
        let f = fs::read(gateway.content.join("f")).unwrap();
        let h = fs::read(gateway.content.join("h")).unwrap();
        assert_eq!((&*f, &*h), (&b"edited"[..], &b"h"[..]), "{mode}: {ended:?}");
        // What cannot go up is no reason for the rest to stay, and is told.
        gateway.put("small", "small");
        let ended = gateway.run(&wrapper, &["sync", "-v", "--max-time", "10s"]);
        if mode == "BIDIRECTIONAL" {
            assert!(matches!(ended.code, Some(3 | 8)), "{ended:?}");
            assert!(ended.err.contains("not uploaded"), "{ended:?}");
            assert_eq!(gateway.dropbox.read("/small").unwrap(), b"small");
        }
    }
}

/// A configuration, or what one names, that is no file to be read.
#[test]
fn what_is_no_file_of_certificates_is_refused_at_once() {
    let gateway = Gateway::new();
    let pipe = gateway.home.join("pipe");
    fifo(&pipe);
    let empty = gateway.home.join("empty");
    fs::write(&empty, "").unwrap();
    let config = gateway.home.join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    for file in [
        pipe.as_path(),
        &empty,
        Path::new("/proc/kmsg"),
        Path::new("/dev/zero"),
    ] {
        let line = format!("[network]\nca_file = \"{}\"", file.display());
        fs::write(&config, text.replace("[network]", &line)).unwrap();
        let ended = sync(&gateway);
        assert_eq!(ended.code, Some(78), "{}: {ended:?}", file.display());
    }
    // Beside the configuration, where others are looked for.
    let content = gateway.home.join("");
    let text = text.replace(
        &format!("content_dir = \"{}\"", gateway.content.display()),
        &format!("content_dir = \"{}\"", content.join("x").display()),
    );
    fs::create_dir(gateway.home.join("x")).unwrap();
    let config = gateway.home.join("x/ferrybox.toml");
    fs::write(&config, text).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    fifo(&gateway.home.join("x/other.toml"));
    symlink("/proc/kmsg", gateway.home.join("x/more.toml")).unwrap();
    let mut command = std::process::Command::new("timeout");
    command.args(["-s", "KILL", "60"]).arg(&gateway.binary);
    command.env_clear().env("HOME", gateway.home.join("nobody"));
    command.arg("--config").arg(&config).arg("sync");
    let ended = Ended::from(command.output().unwrap());
    assert_eq!(ended.code, Some(0), "{ended:?}");
}
