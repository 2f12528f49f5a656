//! Other users of the gateway, and who hands over a configuration: what they could change or
//! exchange is not used, is told with a remedy, and stays as it is.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use ferrybox::config::{Config, ConfigError};
use ferrybox::error::{Error, ExitCode};
use ferrybox::io::dirs::{self, RealDisks};
use ferrybox::io::disk::{Access, Disks};
use ferrybox::io::public_file::PublicFile;
use ferrybox::logging::file::{self, LogFile};
use ferrybox::report::{Change, Report, ReportKind, Trouble};
use jiff::tz::TimeZone;
use log::Level;
use rustix::fs::XattrFlags;

use crate::world::TempDir;
use crate::world::world;

/// A user who is nobody here.
const SOMEBODY: u32 = 4242;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

/// Gives a file to somebody else; whether that can be done here.
fn give(path: &Path, user: Option<u32>, group: Option<u32>) -> bool {
    chown(path, user, group).is_ok()
}

fn take_back(path: &Path) {
    let user = rustix::process::geteuid().as_raw();
    let group = rustix::process::getegid().as_raw();
    chown(path, Some(user), Some(group)).unwrap();
}

#[track_caller]
fn state_refused(dir: &Path, words: &[&str]) {
    let Err(Error::Failed(text)) = dirs::open_state(dir) else {
        panic!("{} is used", dir.display());
    };
    for word in words {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn w1_a_planted_link_is_no_state_directory_and_its_target_stays_as_it_is() {
    let temp = TempDir::new();
    let (target, state) = (temp.path().join("target"), temp.path().join("state"));
    fs::create_dir(&target).unwrap();
    set_mode(&target, 0o755);
    set_mode(temp.path(), 0o1777);
    symlink(&target, &state).unwrap();
    for state in [&state, &state.join(""), &state.join(".")] {
        state_refused(state, &["is a link to", "target", "state.dir"]);
    }
    assert!(RealDisks.state_as_it_is(&state).is_err(), "a dry run");
    assert_eq!(mode(&target), 0o755);
    assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
    // One that leads nowhere is no place to make a directory at.
    fs::remove_dir(&target).unwrap();
    state_refused(&state, &["is a link to"]);
    assert!(!target.exists());
}

#[test]
fn w1_no_state_is_kept_where_others_could_put_something_in_its_place() {
    let temp = TempDir::new();
    let state = temp.path().join("state");
    set_mode(temp.path(), 0o777);
    state_refused(&state, &["replaced by every user", "chmod o-w /"]);
    assert!(!state.exists());
    fs::create_dir(&state).unwrap();
    state_refused(&state, &["replaced by every user", "chmod o-w /"]);
    fs::remove_dir(&state).unwrap();
    set_mode(temp.path(), 0o755);
    if give(temp.path(), None, Some(SOMEBODY)) {
        set_mode(temp.path(), 0o775);
        state_refused(&state, &["a group (gid 4242)", "chmod g-w /"]);
        set_mode(temp.path(), 0o755);
        give(temp.path(), Some(SOMEBODY), None);
        state_refused(&state, &["another user (uid 4242)"]);
        take_back(temp.path());
    }
    dirs::open_state(&state).unwrap();
    assert_eq!(mode(&state), 0o700);
    // The sticky bit keeps others from what is ours.
    set_mode(temp.path(), 0o1777);
    dirs::open_state(&state).unwrap();
    if give(&state, Some(SOMEBODY), None) {
        state_refused(&state, &["belongs to another user"]);
        assert!(RealDisks.state_as_it_is(&state).is_err(), "a dry run");
    }
}

#[test]
fn w1_a_directory_that_holds_something_else_is_not_made_private() {
    let temp = TempDir::new();
    let state = temp.path().join("state");
    fs::create_dir(&state).unwrap();
    for name in ["index.db", "cursor.json.new"] {
        fs::write(state.join(name), "").unwrap();
    }
    set_mode(&state, 0o755);
    fs::write(state.join("passwd"), "").unwrap();
    state_refused(&state, &["mode 0755", "passwd", "a directory of its own"]);
    assert_eq!(mode(&state), 0o755);
    // A private one is nobody else's business, and one of ours alone is made private.
    set_mode(&state, 0o700);
    dirs::open_state(&state).unwrap();
    fs::remove_file(state.join("passwd")).unwrap();
    set_mode(&state, 0o755);
    dirs::open_state(&state).unwrap();
    assert_eq!(mode(&state), 0o700);
}

/// A configuration in a directory of its own, with these lines at its end.
struct Written {
    temp: TempDir,
    file: PathBuf,
}

fn written(more: &str) -> Written {
    let temp = TempDir::new();
    let file = temp.path().join("config.toml");
    for dir in ["content", "state", "logs"] {
        fs::create_dir(temp.path().join(dir)).unwrap();
        set_mode(&temp.path().join(dir), 0o755);
    }
    let here = temp.path().display();
    let more = more.replace("HERE", &here.to_string());
    let text = format!(
        "[dropbox]\napp_key = 'k'\n[sync]\ncontent_dir = '{here}/content'\n[state]\n\
         dir = '{here}/state'\n{more}"
    );
    fs::write(&file, text).unwrap();
    set_mode(&file, 0o644);
    Written { temp, file }
}

impl Written {
    fn at(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    fn load(&self) -> Result<Config, ConfigError> {
        Config::load(&self.file)
    }

    #[track_caller]
    fn refused(&self, words: &[&str]) {
        let line = self.load().expect_err("it is used").to_string();
        for word in words {
            assert!(line.contains(word), "{word}: {line}");
        }
        assert_eq!(line.lines().count(), 1, "{line}");
    }
}

#[test]
fn w4_a_configuration_that_a_group_can_change_or_exchange_is_refused() {
    let config = written("");
    let dir = config.temp.path();
    config.load().unwrap();
    if !give(&config.file, None, Some(SOMEBODY)) {
        return;
    }
    config.load().unwrap();
    set_mode(&config.file, 0o664);
    config.refused(&["can be changed by a group (gid 4242)", "chmod g-w /"]);
    set_mode(&config.file, 0o640);
    config.load().unwrap();
    give(dir, None, Some(SOMEBODY));
    set_mode(dir, 0o775);
    config.refused(&["can be replaced by a group (gid 4242)", "chmod g-w /"]);
    set_mode(dir, 0o1775);
    config.load().unwrap();
}

#[test]
fn w4_nor_is_one_in_a_directory_of_somebody_else_used() {
    let config = written("");
    if !give(config.temp.path(), Some(SOMEBODY), None) {
        return;
    }
    config.refused(&["can be replaced by another user (uid 4242)", "chown 0 /"]);
    // Reached through a link, it lies in two directories.
    let other = written("");
    let link = other.at("link.toml");
    symlink(&config.file, &link).unwrap();
    let line = Config::load(&link).unwrap_err().to_string();
    assert!(line.contains("another user (uid 4242)"), "{line}");
    take_back(config.temp.path());
    Config::load(&link).unwrap();
}

#[test]
fn w4_a_group_of_one_user_is_that_user() {
    let config = written("");
    if !rustix::process::geteuid().is_root() {
        return;
    }
    give(&config.file, Some(0), Some(0));
    set_mode(&config.file, 0o664);
    set_mode(config.temp.path(), 0o775);
    config.load().unwrap();
    // With an access list the bits of the group are those of all on it.
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, may, id) in [
        (1_u16, 6_u16, u32::MAX),
        (2, 6, SOMEBODY),
        (4, 4, u32::MAX),
        (16, 6, u32::MAX),
        (32, 4, u32::MAX),
    ] {
        list.extend(tag.to_le_bytes());
        list.extend(may.to_le_bytes());
        list.extend(id.to_le_bytes());
    }
    let name = "system.posix_acl_access";
    if rustix::fs::setxattr(&config.file, name, &list, XattrFlags::empty()).is_ok() {
        config.refused(&["can be changed by users of its access list", "setfacl -b /"]);
    }
}

#[test]
fn w4_certificates_that_others_can_change_are_not_trusted() {
    let config = written("[network]\nca_file = 'HERE/ca/ca.pem'\n");
    let (dir, file) = (config.at("ca"), config.at("ca/ca.pem"));
    fs::create_dir(&dir).unwrap();
    set_mode(&dir, 0o755);
    fs::write(&file, "").unwrap();
    set_mode(&file, 0o644);
    config.refused(&["network.ca_file", "ca.pem is empty"]);
    fs::write(&file, "-----BEGIN CERTIFICATE-----").unwrap();
    config.load().unwrap();
    set_mode(&file, 0o646);
    let words = [
        "config.toml: network.ca_file: ",
        "ca.pem can be changed by every user",
    ];
    config.refused(&words);
    set_mode(&file, 0o644);
    set_mode(&dir, 0o777);
    config.refused(&[
        "network.ca_file",
        "can be replaced by every user",
        "chmod o-w /",
    ]);
    set_mode(&dir, 0o755);
    if give(&file, Some(SOMEBODY), None) {
        config.refused(&["network.ca_file", "another user (uid 4242)", "chown 0 /"]);
    }
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    set_mode(&file, 0o755);
    config.refused(&["network.ca_file", "ca.pem is not a regular file"]);
}

/// The log of a configuration.
fn log_of(config: &Written) -> Result<Option<LogFile>, ConfigError> {
    let config = config.load().unwrap();
    let path = config.log.file.clone().unwrap();
    file::opened(&path, &config, TimeZone::UTC)
}

fn log_to(path: &str) -> Written {
    written(&format!("[log]\nforce = true\nfile = 'HERE/{path}'\n"))
}

#[test]
fn w2_a_log_that_is_another_file_of_ours_is_refused() {
    for (path, what) in [
        ("config.toml", "the configuration"),
        ("state/token.json", "the state directory"),
        ("state/index.db-journal", "the state directory"),
        ("state/f.log", "the state directory"),
        ("content/dir/f.log", "sync.content_dir"),
    ] {
        let Err(error) = log_of(&log_to(path)) else {
            panic!("{path} is used");
        };
        let line = error.to_string();
        assert!(line.contains("log.file: ") && line.contains(what), "{line}");
    }
    let config = written("[log]\nforce = true\nfile = 'HERE/ca'\n[network]\nca_file = 'HERE/ca'\n");
    assert!(log_of(&config).is_err());
    assert!(log_of(&log_to("logs/f.log")).unwrap().is_some());
}

#[test]
fn w2_nor_by_another_path_nor_as_an_old_generation() {
    let config = log_to("logs/f.log");
    let (state, log) = (config.at("state/token.json"), config.at("logs/f.log"));
    fs::write(&state, "secret").unwrap();
    for generation in ["", ".1", ".2"] {
        let name = config.at(&format!("logs/f.log{generation}"));
        fs::hard_link(&state, &name).unwrap();
        assert!(log_of(&config).is_err(), "a hard link: {generation}");
        fs::remove_file(&name).unwrap();
        symlink(&config.file, &name).unwrap();
        assert!(log_of(&config).is_err(), "a link: {generation}");
        fs::remove_file(&name).unwrap();
    }
    let above = log.parent().unwrap();
    fs::remove_dir(above).unwrap();
    symlink(config.at("content"), above).unwrap();
    assert!(log_of(&config).is_err(), "a linked directory");
}

#[test]
fn w3_there_is_no_log_where_others_could_exchange_it() {
    let config = log_to("logs/f.log");
    let dir = config.at("logs");
    let is_logged = || log_of(&config).unwrap().is_some();
    assert!(is_logged());
    set_mode(&dir, 0o777);
    assert!(!is_logged());
    set_mode(&dir, 0o1777);
    assert!(is_logged());
    set_mode(&dir, 0o755);
    if give(&dir, Some(SOMEBODY), None) {
        assert!(!is_logged());
        take_back(&dir);
    }
    let aside = config.at("aside");
    fs::rename(&dir, &aside).unwrap();
    symlink(&aside, &dir).unwrap();
    assert!(!is_logged(), "a link");
}

#[test]
fn w3_nothing_is_written_to_a_file_that_is_not_ours_alone() {
    let config = log_to("logs/f.log");
    set_mode(&config.at("logs"), 0o1777);
    let (log, other) = (config.at("logs/f.log"), config.at("other"));
    let check = |what: &str| {
        let mut opened = log_of(&config).unwrap().unwrap();
        opened.add(Level::Info, "hello");
        opened.write();
        assert_eq!(fs::read_to_string(&log).unwrap(), "theirs", "{what}");
    };
    fs::write(&other, "theirs").unwrap();
    fs::hard_link(&other, &log).unwrap();
    check("a hard link");
    fs::remove_file(&log).unwrap();
    symlink(&other, &log).unwrap();
    check("a link");
    fs::remove_file(&log).unwrap();
    fs::rename(&other, &log).unwrap();
    set_mode(&log, 0o666);
    check("everybody may write to it");
    set_mode(&log, 0o600);
    if give(&log, Some(SOMEBODY), None) {
        check("of somebody else");
    }
}

#[test]
fn w3_a_full_log_is_renamed_in_the_directory_that_was_opened() {
    let config = log_to("logs/f.log");
    let (dir, aside, victim) = (config.at("logs"), config.at("aside"), config.at("victim"));
    fs::create_dir(&victim).unwrap();
    for name in ["f.log", "f.log.1"] {
        fs::write(victim.join(name), "theirs").unwrap();
    }
    let mut log = log_of(&config).unwrap().unwrap();
    fs::rename(&dir, &aside).unwrap();
    symlink(&victim, &dir).unwrap();
    for _ in 0..4000 {
        log.add(Level::Info, &"x".repeat(100));
    }
    log.write();
    for name in ["f.log", "f.log.1"] {
        assert_eq!(fs::read_to_string(victim.join(name)).unwrap(), "theirs");
        assert!(aside.join(name).exists(), "{name}");
    }
}

#[test]
fn w5_a_report_shows_names_as_what_they_are_and_keeps_them_as_they_are() {
    let report = Report::new(ReportKind::CollectedPlan);
    let names = [
        "/a\u{202e}\u{1b}[2J\n",
        "/a\\u{202e}",
        "/b\u{2028}\u{200b}\u{e000}",
    ];
    for name in names {
        report.problem(name, Trouble::Other, "text\u{1b}\u{202e}");
        report.changed(Change::Conflict, name, "kept as \u{202e}");
    }
    let problems = report.problems();
    let has = |name: &str| problems.iter().any(|problem| problem.path == name);
    assert!(
        problems.len() == 3 && names.into_iter().all(has),
        "{problems:?}"
    );
    assert_eq!(problems[0].text, "text\\u{1b}\\u{202e}");
    for (at, name) in names.iter().enumerate() {
        assert!(report.conflicts()[at].starts_with(name));
        assert!(report.plan()[at].contains(name));
    }
}

#[test]
fn w5_what_is_logged_steers_no_terminal_and_fakes_no_name() {
    use ferrybox::logging::shown;
    use ferrybox::words::printable;
    let text = "Dropbox: \u{1b}[2J\u{9b}\u{202e}\u{200b}\u{f8ff}\nsecond\r\u{2029}";
    let line = "Dropbox: \\u{1b}[2J\\u{9b}\\u{202e}\\u{200b}\\u{f8ff}\nsecond\\r\\u{2029}";
    assert_eq!(shown(text), line);
    let (one, two) = ("/a\u{1b}", "/a\\u{1b}");
    assert_ne!(printable(one), printable(two));
    assert_eq!(shown(&printable(two)), printable(two));
}

#[test]
fn w12_more_than_a_thousand_patterns_are_refused_in_words() {
    let patterns = |count: usize| {
        let list: Vec<_> = (0..count).map(|at| format!("'/a{at}'")).collect();
        let text = format!(
            "appkey = 'k'\ncontentdir = '/s'\nsync.exclude = [{}]\n",
            list.join(", ")
        );
        Config::parse(Path::new("/etc/f.toml"), &text).map_err(|error| error.to_string())
    };
    // Those of the other filters count as well.
    assert!(patterns(990).is_ok());
    let line = patterns(1001).unwrap_err();
    let words = "patterns in all, and 1,000 are allowed; let one pattern stand for many";
    assert!(line.starts_with("/etc/f.toml:3: sync.exclude: "), "{line}");
    assert!(line.contains(words) && line.lines().count() == 1, "{line}");
}

/// An index that others could have written says which files both sides have agreed on.
#[test]
fn w13_an_index_that_is_not_ours_alone_is_refused() {
    for name in ["index.db", "index.db-journal"] {
        let world = world();
        world.put("a", "a");
        world.sync_ok();
        let file = world.state().join(name);
        if !file.exists() {
            fs::write(&file, "").unwrap();
        }
        let refused = |what: &str| {
            let outcome = world.sync();
            assert_eq!(outcome.exit, ExitCode::Failed, "{outcome:?}");
            let words = [name, what, "rm -r /"];
            let is_told = words.iter().all(|word| outcome.error.contains(word));
            assert!(is_told, "{what}: {outcome:?}");
            assert!(outcome.calls.is_empty(), "{outcome:?}");
        };
        for mode in [0o666, 0o620] {
            set_mode(&file, mode);
            refused("can be changed by others");
        }
        // Others may read it: there is no secret in it.
        set_mode(&file, 0o644);
        world.sync_ok();
        if !file.exists() {
            fs::write(&file, "").unwrap();
        }
        let link = world.state().join("link");
        fs::hard_link(&file, &link).unwrap();
        refused("has another name");
        fs::remove_file(&link).unwrap();
        if give(&file, Some(SOMEBODY), None) {
            refused("another user (uid 4242)");
        }
        fs::rename(&file, &link).unwrap();
        symlink(&link, &file).unwrap();
        refused("is not a regular file");
    }
}

/// W2, W3: a file that is no log is not added to, whoever names it.
#[test]
fn w3_a_file_that_is_no_log_stays_as_it_is() {
    let config = log_to("logs/profile");
    let file = config.at("logs/profile");
    fs::write(&file, "PATH=/bin\n").unwrap();
    set_mode(&file, 0o600);
    let mut log = log_of(&config).unwrap().unwrap();
    log.add(Level::Info, "$(id)");
    log.write();
    assert_eq!(fs::read_to_string(&file).unwrap(), "PATH=/bin\n");
    // One of ours is, and an empty one.
    for before in ["2026-11-29 09:55:13 uploaded /a (1 byte)\n", ""] {
        fs::write(&file, before).unwrap();
        let mut log = log_of(&config).unwrap().unwrap();
        log.add(Level::Info, "told");
        log.write();
        let text = fs::read_to_string(&file).unwrap();
        assert!(
            text.starts_with(before) && text.contains(" told\n"),
            "{text}"
        );
    }
}

#[test]
fn w2_a_file_for_other_programs_replaces_nothing_but_one_of_its_kind() {
    let temp = TempDir::new();
    let file = temp.path().join("status.html");
    let write = |text: &str| PublicFile::open(&file, "<!-- ours")?.replace(Access::Public, text);
    write("<!-- ours: one -->").unwrap();
    assert_eq!(mode(&file), 0o644);
    write("<!-- ours: two -->").unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "<!-- ours: two -->");
    fs::write(&file, "").unwrap();
    write("<!-- ours: three -->").unwrap();
    fs::write(&file, "precious").unwrap();
    let told = write("<!-- ours -->").unwrap_err().to_string();
    assert!(told.starts_with("it holds something else: "), "{told}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    // A link is not followed, and not replaced.
    let target = temp.path().join("target");
    fs::rename(&file, &target).unwrap();
    for to in [&target, Path::new("/dev/null")] {
        symlink(to, &file).unwrap();
        let told = write("<!-- ours -->").unwrap_err().to_string();
        assert!(told.starts_with("it is no regular file"), "{told}");
        assert_eq!(fs::read_link(&file).unwrap(), to);
        fs::remove_file(&file).unwrap();
    }
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    // What somebody has put where it is made is not written to.
    symlink(&target, temp.path().join("status.html.new")).unwrap();
    write("<!-- ours: four -->").unwrap();
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 2);
}

#[test]
fn w2_root_is_led_to_no_file_for_other_programs_by_the_link_of_another() {
    let temp = TempDir::new();
    let (real, link) = (temp.path().join("real"), temp.path().join("link"));
    fs::create_dir(&real).unwrap();
    symlink(&real, &link).unwrap();
    let open = || PublicFile::open(&link.join("status.html"), "");
    open().unwrap().replace(Access::Public, "x").unwrap();
    if std::os::unix::fs::lchown(&link, Some(SOMEBODY), None).is_ok() {
        let told = open().map(drop).unwrap_err().to_string();
        assert!(told.contains("root follows no links of others"), "{told}");
    }
}
