//! Who may read and who may change what the agent lives on: modes under any umask, links, foreign
//! owners. Each refusal is one line with a documented exit code. Tests that need another user
//! run as root only, as CI does.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

use crate::console::{Console, Said, forget_told, said};

const NOBODY: u32 = 65534;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// One line, this code, these words.
#[track_caller]
fn refused(said: &Said, code: i32, words: &[&str]) {
    assert_eq!(said.code, code, "{}", said.err);
    assert_eq!(said.err.trim_end().lines().count(), 1, "{}", said.err);
    for word in words {
        assert!(said.err.contains(word), "{word}: {}", said.err);
    }
}

#[test]
fn state_is_private_and_downloads_obey_the_umask() {
    for (umask, file, folder) in [
        // W10: what everybody could change would be everybody's.
        ("000", 0o664, 0o775),
        ("002", 0o664, 0o775),
        ("022", 0o644, 0o755),
        ("077", 0o600, 0o700),
        ("027", 0o640, 0o750),
    ] {
        let console = Console::new();
        let banner = console.run_under_umask(umask, &["login"]).out;
        assert_eq!(
            mode(&console.state().join("pending-auth.json")),
            0o600,
            "{umask}"
        );
        let code = console.code_for(&banner);
        let said = console.run_under_umask(umask, &["finishAuthentication", &code]);
        assert_eq!(said.code, 0, "{}", said.err);
        console.dropbox.put("/d/down", b"d");
        console.put("up", "u");
        let said = console.run_under_umask(umask, &["sync"]);
        assert_eq!(said.code, 0, "{}", said.err);
        for dir in [console.state(), console.path("run/ferrybox")] {
            assert_eq!(mode(&dir), 0o700, "{umask}: {}", dir.display());
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                assert_eq!(mode(&path), 0o600, "{umask}: {}", path.display());
            }
        }
        assert_eq!(mode(&console.content().join("d/down")), file, "{umask}");
        assert_eq!(mode(&console.content().join("d")), folder, "{umask}");
    }
}

/// W1.
#[test]
fn w1_a_linked_state_directory_is_refused_and_what_it_leads_to_stays_as_it_is() {
    let console = Console::new();
    let elsewhere = console.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    set_mode(&elsewhere, 0o755);
    symlink(&elsewhere, console.state()).unwrap();
    for command in ["login", "logout", "sync", "sync --dry-run"] {
        let args: Vec<_> = command.split(' ').collect();
        let words = ["is a link to", "elsewhere", "with state.dir"];
        refused(&console.run(&args), 1, &words);
    }
    assert_eq!(mode(&elsewhere), 0o755);
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
}

/// W1: as `StateDirectory=` of a unit, and by the defaults.
#[test]
fn w1_the_same_goes_for_every_way_to_name_it() {
    let console = Console::new();
    let text = console.config_text();
    let named = format!("[state]\ndir = \"{}\"\n", console.state().display());
    console.write_config(&text.replace(&named, ""));
    let elsewhere = console.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    set_mode(&elsewhere, 0o755);
    let above = console.path("home/.local/state");
    fs::create_dir_all(&above).unwrap();
    symlink(&elsewhere, above.join("ferrybox")).unwrap();
    let mut by_systemd = console.command(&["login"]);
    by_systemd.env("STATE_DIRECTORY", above.join("ferrybox"));
    let mut commands = vec![by_systemd];
    if !is_root() {
        let mut by_default = console.command(&["login"]);
        by_default.env("XDG_STATE_HOME", &above);
        commands.extend([by_default, console.command(&["login"])]);
    }
    for mut command in commands {
        refused(&said(command.output().unwrap()), 1, &["is a link to"]);
        assert_eq!(mode(&elsewhere), 0o755);
    }
}

#[test]
fn a_state_directory_or_token_of_another_user_is_refused() {
    if !is_root() {
        return;
    }
    let console = Console::new();
    console.authenticate();
    let token = console.state().join("token.json");
    chown(&token, Some(NOBODY), None).unwrap();
    refused(
        &console.run(&["sync"]),
        4,
        &["another user (uid 65534)", "token.json"],
    );
    chown(&token, Some(0), None).unwrap();
    chown(console.state(), Some(NOBODY), None).unwrap();
    for command in ["sync", "login", "logout"] {
        refused(
            &console.run(&[command]),
            1,
            &["belongs to another user (", "run: sudo -u "],
        );
    }
}

#[test]
fn a_token_file_that_is_no_file_of_its_own_is_refused() {
    let console = Console::new();
    console.authenticate();
    let token = console.state().join("token.json");
    fs::rename(&token, console.path("moved")).unwrap();
    symlink(console.path("moved"), &token).unwrap();
    refused(
        &console.run(&["sync"]),
        4,
        &["token.json is not a regular file; remove it"],
    );
    fs::remove_file(&token).unwrap();
    fs::create_dir(&token).unwrap();
    forget_told(&console.runtime());
    refused(
        &console.run(&["sync"]),
        4,
        &["token.json is not a regular file; remove it"],
    );
}

#[test]
fn an_index_or_cursor_that_is_no_file_is_refused_and_huge_ones_are_not_read() {
    for name in ["index.db", "cursor.json"] {
        let console = Console::new();
        console.authenticate();
        console.put("a", "a");
        assert_eq!(console.run(&["sync"]).code, 0);
        let file = console.state().join(name);
        let known = fs::read(&file).unwrap();
        let odd: [&dyn Fn(); 3] = [
            &|| fs::create_dir(&file).unwrap(),
            &|| symlink("/etc/passwd", &file).unwrap(),
            &|| {
                assert!(
                    Command::new("mkfifo")
                        .arg(&file)
                        .output()
                        .unwrap()
                        .status
                        .success()
                );
            },
        ];
        for make in odd {
            fs::remove_file(&file).unwrap();
            make();
            forget_told(&console.runtime());
            refused(&console.run(&["sync"]), 1, &["state/", name, "remove it"]);
            if file.is_dir() {
                fs::remove_dir(&file).unwrap();
            } else {
                fs::remove_file(&file).unwrap();
            }
            fs::write(&file, &known).unwrap();
        }
        for length in [0, 2 << 30] {
            let sparse = fs::File::create(&file).unwrap();
            sparse.set_len(length).unwrap();
            // 64 MiB of address space would not hold it.
            let mut command = Command::new("sh");
            let plain = console.command(&["sync"]);
            command
                .env_clear()
                .envs(plain.get_envs().filter_map(|(k, v)| Some((k, v?))));
            command
                .args(["-c", "ulimit -v 262144; exec \"$0\" \"$@\""])
                .arg(plain.get_program());
            let said = said(command.args(plain.get_args()).output().unwrap());
            assert_eq!(said.code, 0, "{name} of {length} bytes: {}", said.err);
        }
        assert_eq!(fs::read(console.content().join("a")).unwrap(), b"a");
        assert_eq!(console.dropbox.read("/a").unwrap(), b"a");
    }
}

#[test]
fn an_access_token_is_never_kept_where_others_have_been() {
    for make in [0, 1, 2, 3] {
        let console = Console::new();
        let runtime = console.path("run/ferrybox");
        match make {
            0 => {
                fs::create_dir(console.path("trap")).unwrap();
                symlink(console.path("trap"), &runtime).unwrap();
            }
            1 => fs::create_dir(&runtime)
                .map(|()| set_mode(&runtime, 0o775))
                .unwrap(),
            2 => fs::write(&runtime, "").unwrap(),
            _ if is_root() => {
                fs::create_dir(&runtime).unwrap();
                set_mode(&runtime, 0o700);
                chown(&runtime, Some(NOBODY), None).unwrap();
            }
            _ => return,
        }
        console.authenticate();
        assert_eq!(console.run(&["sync"]).code, 0, "{make}");
        for dir in [runtime, console.path("trap")] {
            let kept = fs::read_dir(dir).map_or(0, Iterator::count);
            assert_eq!(kept, 0, "{make}: a token was kept");
        }
    }
}

/// S3: a token that somebody else has put there, or that was altered, opens no account.
#[test]
fn s3_a_cached_token_that_is_not_ours_is_not_used() {
    let console = Console::new();
    console.authenticate();
    assert_eq!(console.run(&["sync"]).code, 0);
    let kept = fs::read_dir(console.runtime()).unwrap();
    let mut kept = kept.map(|entry| entry.unwrap().path());
    let cached = kept.find(|path| fs::read_to_string(path).unwrap().contains("access_token"));
    let cached = cached.unwrap();
    let ours = fs::read_to_string(&cached).unwrap();
    let stranger = console.dropbox.personal_access_token();
    let token = ours.split('"').nth(3).unwrap();
    let refreshes = |how: &str| {
        console.dropbox.clear_requests();
        let said = console.run(&["sync", "-vv"]);
        assert_eq!(said.code, 0, "{how}: {}", said.err);
        let requests = console.dropbox.requests();
        let refreshed = requests
            .iter()
            .any(|call| call.route.contains("oauth2/token"));
        assert_eq!(
            refreshed,
            said.err.contains(" is ignored: "),
            "{}",
            said.err
        );
        refreshed
    };
    assert!(!refreshes("ours"));
    fs::write(&cached, ours.replace(token, &stranger)).unwrap();
    assert!(refreshes("the token of a stranger"));
    assert!(!refreshes("ours is there again"));
    let unsigned = format!(r#"{{"access_token":"{stranger}","expires_at_s":99999999999}}"#);
    fs::write(&cached, unsigned).unwrap();
    assert!(refreshes("one without a proof"));
    set_mode(&cached, 0o644);
    assert!(refreshes("one that others can read"));
    if is_root() {
        chown(&cached, Some(NOBODY), None).unwrap();
        assert!(refreshes("one of another user"));
    }
}

/// S3: it may be that of whoever has called `su` or `sudo -E`.
#[test]
fn s3_root_does_not_use_the_runtime_directory_of_a_session() {
    if !is_root() {
        return;
    }
    let console = Console::new();
    console.authenticate();
    let session = console.path("session");
    fs::create_dir(&session).unwrap();
    let mut command = console.command(&["sync"]);
    command.env_remove("RUNTIME_DIRECTORY");
    let said = said(command.env("XDG_RUNTIME_DIR", &session).output().unwrap());
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(fs::read_dir(&session).unwrap().count(), 0);
    // What it has kept elsewhere goes with the sign-in.
    let mut logout = console.command(&["logout"]);
    logout.env_remove("RUNTIME_DIRECTORY").output().unwrap();
}

#[test]
fn a_configuration_others_can_change_is_refused() {
    let console = Console::new();
    let config = console.path("config.toml");
    set_mode(&config, 0o666);
    refused(
        &console.run(&["sync"]),
        78,
        &["config.toml", "every user", "chmod o-w"],
    );
    set_mode(&config, 0o644);
    let dir = config.parent().unwrap();
    set_mode(dir, 0o777);
    refused(
        &console.run(&["sync"]),
        78,
        &["can be replaced by every user", "chmod o-w"],
    );
    set_mode(dir, 0o1777);
    assert_eq!(
        console.run(&["sync"]).code,
        4,
        "the sticky bit keeps others from it"
    );
    set_mode(dir, 0o755);
    if is_root() {
        chown(&config, Some(NOBODY), None).unwrap();
        refused(
            &console.run(&["sync"]),
            78,
            &["another user (uid 65534)", "chown 0"],
        );
    }
}

#[test]
fn a_configuration_that_shows_a_secret_to_others_says_so() {
    let console = Console::new();
    let token = console.dropbox.personal_access_token();
    console.configure(&format!("[dropbox]\npersonal_access_token = \"{token}\""));
    set_mode(&console.path("config.toml"), 0o644);
    let said = console.run(&["sync"]);
    refused(&said, 0, &["every user can read; chmod 600"]);
    set_mode(&console.path("config.toml"), 0o660);
    refused(&console.run(&["sync"]), 78, &["by a group; chmod 600"]);
}
