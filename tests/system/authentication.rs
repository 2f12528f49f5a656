//! startAuthentication, finishAuthentication, logout, and what happens without a token.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use dropbox_standin::{Effect, Fault, When};

use crate::console::{Console, link};

#[test]
fn the_banner_has_the_three_steps_and_a_pkce_link() {
    let console = Console::new();
    for command in ["startAuthentication", "login"] {
        let said = console.run(&[command]);
        assert_eq!(said.code, 0, "{}", said.err);
        for text in [
            "# 1. Open URL '",
            "# 2. Allow",
            "finishAuthentication \"<code>\"",
            "R E Q U I R E D",
        ] {
            assert!(said.out.contains(text), "{text}: {}", said.out);
        }
        let link = link(&said.out);
        for text in [
            "response_type=code",
            "token_access_type=offline",
            "code_challenge_method=S256",
        ] {
            assert!(link.contains(text), "{link}");
        }
        assert!(!link.contains("redirect_uri"));
    }
}

#[test]
fn a_pasted_code_shows_whose_account_it_opens() {
    for command in [
        "finishAuthentication",
        "finish-authentication",
        "dropbox:finishAuthentication",
    ] {
        let console = Console::new();
        let code = console.code_for(&console.run(&["login"]).out);
        let said = console.run(&[command, &format!(" \"{code}\"\n")]);
        assert_eq!(said.code, 0, "{}", said.err);
        assert!(said.out.contains("Gate Keeper") && said.out.contains("gate@example.org"));
    }
}

#[test]
fn the_code_is_read_from_stdin_where_none_is_given() {
    let console = Console::new();
    let code = console.code_for(&console.run(&["login"]).out);
    let said = console.run_with_stdin(&["finishAuthentication"], &format!("{code}\n"));
    assert_eq!(said.code, 0, "{}", said.err);
}

#[test]
fn tokens_are_private_from_the_first_byte() {
    let console = Console::new();
    console.authenticate();
    let mode = |path: std::path::PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(console.state()), 0o700);
    assert_eq!(mode(console.state().join("token.json")), 0o600);
    assert!(!console.state().join("pending-auth.json").exists());
    let cached = fs::read_dir(console.path("run/ferrybox"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    assert_eq!(mode(cached.path()), 0o600);
}

#[test]
fn tokens_others_can_read_are_refused() {
    let console = Console::new();
    console.authenticate();
    let token = console.state().join("token.json");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
    let said = console.run(&["sync"]);
    assert_eq!(said.code, 4);
    assert!(said.err.contains("chmod 600"), "{}", said.err);
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(console.state(), fs::Permissions::from_mode(0o755)).unwrap();
    let said = console.run(&["sync"]);
    assert_eq!(said.code, 4);
    assert!(said.err.contains("chmod 700"), "{}", said.err);
    fs::set_permissions(console.state(), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(console.run(&["sync"]).code, 0);
}

#[test]
fn a_wrong_used_or_expired_code_says_how_to_get_a_new_one() {
    let console = Console::new();
    let banner = console.run(&["login"]).out;
    let wrong = console.run(&["finishAuthentication", "abcdefgh"]);
    let code = console.code_for(&banner);
    console.dropbox.advance_clock(3600);
    let expired = console.run(&["finishAuthentication", &code]);
    let fresh = console.code_for(&banner);
    assert_eq!(console.run(&["finishAuthentication", &fresh]).code, 0);
    let used = console.run(&["finishAuthentication", &fresh]);
    for (said, word) in [
        (wrong, "mistyped"),
        (expired, "expired"),
        (used, "accepted already"),
    ] {
        assert_eq!(said.code, 4);
        assert!(said.err.contains(word), "{word}: {}", said.err);
        assert!(
            said.err.contains("config.toml startAuthentication"),
            "{}",
            said.err
        );
        assert_eq!(said.err.trim().lines().count(), 1, "{}", said.err);
    }
}

#[test]
fn a_code_of_an_earlier_link_says_so() {
    let console = Console::new();
    let old = console.code_for(&console.run(&["login"]).out);
    console.run(&["login"]);
    let said = console.run(&["finishAuthentication", &old]);
    assert_eq!(said.code, 4);
    assert!(said.err.contains("earlier link"), "{}", said.err);
}

#[test]
fn a_missing_permission_is_named_with_its_checkbox() {
    let console = Console::new();
    console.dropbox.set_scopes(&[
        "account_info.read",
        "files.metadata.read",
        "files.content.read",
    ]);
    let code = console.code_for(&console.run(&["login"]).out);
    let said = console.run(&["finishAuthentication", &code]);
    assert_eq!(said.code, 4);
    assert!(said.err.contains("\"files.content.write\""), "{}", said.err);
    assert!(said.err.contains("Permissions"), "{}", said.err);
    assert!(!console.state().join("token.json").exists());
}

#[test]
fn sync_without_a_token_prints_the_banner_and_keeps_its_link_good() {
    let console = Console::new();
    let first = console.run(&["sync"]);
    assert_eq!(first.code, 4);
    assert!(first.err.contains("R E Q U I R E D"), "{}", first.err);
    let code = console.code_for(&first.err);
    // Cron prints it again meanwhile: the code stays good.
    assert_eq!(console.run(&["sync"]).err, "", "told once");
    let second = console.run(&["sync", "-v"]);
    assert_eq!(link(&first.err), link(&second.err));
    assert_eq!(console.run(&["finishAuthentication", &code]).code, 0);
    assert_eq!(console.run(&["sync"]).code, 0);
}

#[test]
fn the_access_token_is_cached_and_renewed_when_it_expires() {
    let console = Console::new();
    console.authenticate();
    console.dropbox.clear_requests();
    assert_eq!(console.run(&["sync"]).code, 0);
    let refreshes = |console: &Console| {
        console
            .dropbox
            .requests()
            .iter()
            .filter(|call| call.route.contains("token"))
            .count()
    };
    assert_eq!(
        refreshes(&console),
        0,
        "the token of the authentication is still good"
    );
    console.dropbox.expire_access_tokens();
    assert_eq!(console.run(&["sync"]).code, 0);
    assert_eq!(refreshes(&console), 1);
    assert_eq!(console.run(&["sync"]).code, 0);
    assert_eq!(refreshes(&console), 1);
}

#[test]
fn a_revoked_authentication_ends_with_4_and_keeps_all_state() {
    let console = Console::new();
    console.authenticate();
    console.put("a", "a");
    assert_eq!(console.run(&["sync"]).code, 0);
    console.dropbox.revoke_all();
    let said = console.run(&["sync"]);
    assert_eq!(said.code, 4);
    assert!(
        said.err.contains("config.toml startAuthentication"),
        "{}",
        said.err
    );
    console.authenticate();
    assert_eq!(console.run(&["sync"]).code, 0);
    assert!(console.state().join("index.db").exists());
}

#[test]
fn an_unreachable_token_endpoint_is_no_lost_authentication() {
    let console = Console::new();
    console.authenticate();
    console.dropbox.expire_access_tokens();
    let busy = Effect::Status(503, "{}".to_owned());
    console
        .dropbox
        .inject(Fault::new("oauth2/token", When::Always, busy));
    assert_eq!(console.run(&["sync"]).code, 7);
    assert!(console.state().join("token.json").exists());
}

#[test]
fn logout_revokes_and_removes() {
    let console = Console::new();
    console.authenticate();
    let said = console.run(&["logout"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(!console.state().join("token.json").exists());
    assert_eq!(
        fs::read_dir(console.path("run/ferrybox")).unwrap().count(),
        0
    );
    assert_eq!(console.run(&["sync"]).code, 4);
    assert!(console.run(&["logout"]).out.contains("Nobody"));
}

#[test]
fn another_app_key_needs_another_authentication() {
    let console = Console::new();
    console.authenticate();
    console.dropbox.register_app("other-key", "other-secret");
    console.configure("[dropbox]\napp_key = \"other-key\"");
    let said = console.run(&["sync"]);
    assert_eq!(said.code, 4);
    assert!(said.err.contains("another dropbox.app_key"), "{}", said.err);
    console.put("a", "a");
    console.authenticate();
    assert_eq!(
        console.run(&["sync"]).code,
        0,
        "the cursor of the other app is dropped by itself"
    );
}

#[test]
fn the_app_secret_is_used_where_it_is_configured() {
    let console = Console::new();
    console.configure("[dropbox]\napp_key = \"standin-key\"\napp_secret = \"standin-secret\"");
    // R12: it stands for the challenge, and is not sent beside one.
    let banner = console.run(&["startAuthentication"]).out;
    assert!(!banner.contains("code_challenge"), "{banner}");
    console.authenticate();
    console.dropbox.expire_access_tokens();
    assert_eq!(console.run(&["sync"]).code, 0);
    console.configure("[dropbox]\napp_key = \"standin-key\"\napp_secret = \"wrong\"");
    console.dropbox.expire_access_tokens();
    let said = console.run(&["sync"]);
    assert_eq!(said.code, 4);
    assert!(said.err.contains("app key or secret"), "{}", said.err);
}

#[test]
fn a_personal_access_token_works_as_it_is_and_says_so_when_it_ends() {
    let console = Console::new();
    let token = console.dropbox.personal_access_token();
    let both = format!("[dropbox]\napp_key = \"standin-key\"\npersonalAccessToken = \"{token}\"");
    console.configure(&both);
    fs::set_permissions(
        console.path("config.toml"),
        fs::Permissions::from_mode(0o600),
    )
    .unwrap();
    console.put("a", "a");
    let said = console.run(&["sync", "-v"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.err.contains("personal_access_token wins"),
        "{}",
        said.err
    );
    console.dropbox.expire_access_tokens();
    let said = console.run(&["sync"]);
    assert_eq!(said.code, 4);
    assert!(
        said.err.contains("console tokens last 4 hours"),
        "{}",
        said.err
    );
}

#[test]
fn no_token_shows_at_any_log_level() {
    let console = Console::new();
    console.authenticate();
    console.put("a", "a");
    console.dropbox.expire_access_tokens();
    let stored = fs::read_to_string(console.state().join("token.json")).unwrap();
    let secret = |text: &str, field: &str| {
        let start = text.find(&format!("\"{field}\":\"")).unwrap() + field.len() + 4;
        text[start..].split('"').next().unwrap().to_owned()
    };
    let refresh = secret(&stored, "refresh_token");
    let mut command = console.command(&["sync", "-vvvv"]);
    command.env("RUST_LOG", "trace");
    let said = crate::console::said(command.output().unwrap());
    assert_eq!(said.code, 0);
    let kept = fs::read_dir(console.path("run/ferrybox")).unwrap();
    let texts = kept.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let cached = texts.into_iter().find(|text| text.contains("access_token"));
    let access = secret(&cached.unwrap(), "access_token");
    for token in [refresh, access] {
        for piece in token
            .as_bytes()
            .chunks(16)
            .filter(|piece| piece.len() == 16)
        {
            let piece = std::str::from_utf8(piece).unwrap();
            assert!(!said.err.contains(piece) && !said.out.contains(piece));
        }
    }
}

#[test]
fn a_code_is_not_lost_when_the_account_cannot_be_shown() {
    let console = Console::new();
    let code = console.code_for(&console.run(&["login"]).out);
    let busy = Effect::Status(503, String::new());
    let fault = Fault::new("get_current_account", When::Always, busy);
    console.dropbox.inject(fault);
    let said = console.run(&["finishAuthentication", &code]);
    assert_eq!(said.code, 0, "{}", said.err);
    console.dropbox.clear_faults();
    assert_eq!(console.run(&["sync"]).code, 0);
    console.dropbox.clear_requests();
    assert_eq!(console.run(&["sync"]).code, 0);
    assert_eq!(console.dropbox.requests().len(), 1, "it is asked for once");
}

/// B1: nothing is spent and nothing is lost.
#[test]
fn b1_a_stranger_at_the_token_endpoint_ends_no_authentication() {
    let console = Console::new();
    let banner = console.run(&["login"]).out;
    let html = "<html><body>Blocked</body></html>".to_owned();
    let blocked = || {
        Fault::new(
            "oauth2/token",
            When::Always,
            Effect::Status(403, html.clone()),
        )
    };
    console.dropbox.inject(blocked());
    let code = console.code_for(&banner);
    let said = console.run(&["finishAuthentication", &code]);
    assert_eq!(said.code, 7, "{}", said.err);
    assert!(said.err.contains("answered instead"), "{}", said.err);
    console.dropbox.clear_faults();
    let said = console.run(&["finishAuthentication", &code]);
    assert_eq!(said.code, 0, "the code is still good: {}", said.err);
    let token = fs::read(console.state().join("token.json")).unwrap();
    console.dropbox.expire_access_tokens();
    console.dropbox.inject(blocked());
    let said = console.run(&["sync"]);
    assert_eq!(said.code, 7, "{}", said.err);
    assert_eq!(fs::read(console.state().join("token.json")).unwrap(), token);
    console.dropbox.clear_faults();
    assert_eq!(console.run(&["sync"]).code, 0);
}

/// B1: some were met with an empty 401 where their token had expired.
#[test]
fn b1_an_empty_401_is_asked_again_with_a_new_token_once() {
    let console = Console::new();
    console.authenticate();
    assert_eq!(console.run(&["sync"]).code, 0);
    let answer = Effect::Status(401, String::new());
    let fault = Fault::new("files/list_folder/continue", When::Nth(1), answer);
    console.dropbox.inject(fault);
    console.dropbox.clear_requests();
    assert_eq!(console.run(&["sync"]).code, 0);
    let requests = console.dropbox.requests();
    let routes: Vec<_> = requests.iter().map(|call| call.route.as_str()).collect();
    let again = "files/list_folder/continue";
    assert_eq!(routes, [again, "oauth2/token", again]);
}

/// B1: a logout that a stranger answers keeps the token, which still opens the account.
#[test]
fn b1_a_logout_that_dropbox_did_not_answer_keeps_the_token() {
    let console = Console::new();
    console.authenticate();
    let answer = Effect::Status(401, "<html>".to_owned());
    console
        .dropbox
        .inject(Fault::new("token/revoke", When::Always, answer));
    assert_eq!(console.run(&["logout"]).code, 7);
    assert!(console.state().join("token.json").exists());
}

/// B6: what cannot be undone comes last.
#[test]
fn b6_a_code_is_not_spent_where_the_token_cannot_be_stored() {
    let console = Console::new();
    let banner = console.run(&["login"]).out;
    let code = console.code_for(&banner);
    // As on a disk that takes no more files, even for root.
    let in_the_way = console.state().join("sign-in.probe.new");
    fs::create_dir(&in_the_way).unwrap();
    console.dropbox.clear_requests();
    let said = console.run(&["finishAuthentication", &code]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(
        said.err.contains("the code was not used, and stays good"),
        "{}",
        said.err
    );
    assert!(console.dropbox.requests().is_empty());
    fs::remove_dir(&in_the_way).unwrap();
    let said = console.run(&["finishAuthentication", &code]);
    assert_eq!(said.code, 0, "{}", said.err);
    let names: Vec<_> = fs::read_dir(console.state())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["token.json"], "nothing is left of the trial");
}

/// B7: where a sign-in is kept and where one is missing.
#[test]
fn b7_messages_name_the_state_directory() {
    let console = Console::new();
    let state = console.state().display().to_string();
    let said = console.run(&["sync"]);
    let told = format!("nobody is signed in: there is no token.json in {state}");
    assert!(said.err.contains(&told), "{}", said.err);
    let said = console.run(&["sync", "--dry-run"]);
    assert!(said.err.contains(&told), "{}", said.err);
    let code = console.code_for(&console.run(&["login"]).out);
    let said = console.run(&["finishAuthentication", &code]);
    let kept = format!("the sign-in is kept in {state}");
    assert!(said.out.contains(&kept), "{}", said.out);
    let said = console.run(&["sync", "-v"]);
    let lines: Vec<&str> = said.err.lines().collect();
    let config = console.path("config.toml").display().to_string();
    assert_eq!(lines[0], format!("configuration: {config}"));
    assert_eq!(lines[1], format!("state: {state}"));
    assert_eq!(lines[2], "account: Gate Keeper <gate@example.org>");
}

/// B14: pasted from a page that broke the line, with what nobody sees in it.
#[test]
fn b14_a_code_broken_by_a_line_break_is_joined() {
    let console = Console::new();
    let code = console.code_for(&console.run(&["login"]).out);
    let (one, two) = code.split_at(code.len() / 2);
    let pasted = format!("\n\u{200b}{one}\r\n{two}\u{200d}\n");
    let said = console.run_with_stdin(&["finishAuthentication"], &pasted);
    assert_eq!(said.code, 0, "{}", said.err);
}

/// B14: nobody waits for the end of a stdin that stays open.
#[test]
fn b14_a_line_is_enough_where_stdin_stays_open() {
    let console = Console::new();
    let code = console.code_for(&console.run(&["login"]).out);
    let mut command = console.command(&["finishAuthentication"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{code}").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    drop(stdin);
}

/// B14.
#[test]
fn b14_a_token_pasted_as_a_code_is_recognised() {
    let console = Console::new();
    console.run(&["login"]);
    let said = console.run(&["finishAuthentication", "sl.u.AbCdEfGhIjKlMnOp"]);
    assert_eq!(said.code, 4);
    assert!(
        said.err.contains("an access token, not a code"),
        "{}",
        said.err
    );
    assert!(!said.err.contains("AbCdEf"), "{}", said.err);
}

/// B16: an app that may only read is enough where nothing is ever written.
#[test]
fn b16_only_what_the_mode_writes_is_asked_for() {
    let read = [
        "account_info.read",
        "files.metadata.read",
        "files.content.read",
    ];
    for (keys, code) in [
        ("mode = \"DROPBOX_TO_LOCAL\"\nupload_on_reset = false", 0),
        ("mode = \"DROPBOX_TO_LOCAL\"", 4),
        ("mode = \"LOCAL_TO_DROPBOX\"", 4),
    ] {
        let console = Console::new();
        console.dropbox.set_scopes(&read);
        let text = console.config_text();
        console.write_config(&text.replace("mode = \"BIDIRECTIONAL\"", keys));
        let pasted = console.code_for(&console.run(&["login"]).out);
        let said = console.run(&["finishAuthentication", &pasted]);
        assert_eq!(said.code, code, "{keys}: {}", said.err);
        if code == 0 {
            console.dropbox.put("/a", b"a");
            assert_eq!(console.run(&["sync"]).code, 0);
            assert!(console.content().join("a").exists());
        }
    }
}
