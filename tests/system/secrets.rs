//! No secret leaves the two private token files, whatever goes wrong and however loud the log is.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use dropbox_standin::{Effect, Fault, When};

use crate::console::{Console, said};

/// The ways to say more, and to say it for a program.
const VOICES: [&[&str]; 6] = [
    &[],
    &["-v"],
    &["-vv"],
    &["-vvvv"],
    &["--json"],
    &["--json", "-vv"],
];

/// Bytes of a secret that must not show in a row.
const PIECE: usize = 16;

/// Everything a secret could show as, in pieces.
fn traces(secret: &str) -> Vec<Vec<u8>> {
    let bytes = secret.as_bytes();
    assert!(bytes.len() >= PIECE, "{secret:?} is too short to look for");
    let hex = |upper: bool| -> String {
        let digit = |b: &u8| {
            if upper {
                format!("{b:02X}")
            } else {
                format!("{b:02x}")
            }
        };
        bytes.iter().map(digit).collect()
    };
    let mut forms = vec![
        bytes.to_vec(),
        hex(false).into_bytes(),
        hex(true).into_bytes(),
    ];
    // In base64 a piece looks different at each of three offsets.
    for skip in 0..3 {
        forms.push(BASE64_STANDARD_NO_PAD.encode(&bytes[skip..]).into_bytes());
        forms.push(BASE64_URL_SAFE_NO_PAD.encode(&bytes[skip..]).into_bytes());
    }
    let escaped: String = bytes.iter().map(|b| format!("%{b:02X}")).collect();
    forms.push(escaped.into_bytes());
    forms
        .iter()
        .flat_map(|form| form.windows(PIECE).map(<[u8]>::to_vec))
        .collect()
}

/// Looks for secrets in whatever a person, a log or a backup could see.
struct Watch {
    traces: std::collections::HashSet<Vec<u8>>,
}

impl Watch {
    fn over(secrets: &[String]) -> Watch {
        let traces = secrets.iter().flat_map(|secret| traces(secret)).collect();
        Watch { traces }
    }

    #[track_caller]
    fn look(&self, bytes: &[u8], place: &str) {
        let found = bytes
            .windows(PIECE)
            .find(|piece| self.traces.contains(*piece));
        let found = found.map(String::from_utf8_lossy);
        assert_eq!(found, None, "a secret shows in {place}");
    }

    /// Every file below `dir` but the private ones.
    #[track_caller]
    fn look_below(&self, dir: &Path, private: &[&str]) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            self.look(name.as_bytes(), "a file name");
            if path.is_dir() {
                self.look_below(&path, private);
            } else if !private.contains(&name.as_str()) {
                self.look(&fs::read(&path).unwrap(), &path.display().to_string());
            }
        }
    }
}

fn field(text: &str, field: &str) -> String {
    let start = text.find(&format!("\"{field}\":\"")).unwrap() + field.len() + 4;
    text[start..].split('"').next().unwrap().to_owned()
}

fn stored(console: &Console, file: &str, name: &str) -> String {
    field(
        &fs::read_to_string(console.state().join(file)).unwrap(),
        name,
    )
}

/// The access tokens cached so far.
fn cached(console: &Console) -> Vec<String> {
    let Ok(entries) = fs::read_dir(console.path("run/ferrybox")) else {
        return Vec::new();
    };
    let names = entries.map(|entry| entry.unwrap());
    names
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("access-"))
        .map(|entry| fs::read_to_string(entry.path()).unwrap())
        .map(|text| field(&text, "access_token"))
        .collect()
}

/// Runs a command in every voice; says what was said, for a search once all secrets are known.
fn everything_said(console: &Console, args: &[&str], all: &mut Vec<u8>) {
    for voice in VOICES {
        let mut command = console.command(&[args, voice].concat());
        command
            .env("RUST_LOG", "trace")
            .env("RUST_BACKTRACE", "full");
        let said = said(command.output().unwrap());
        all.extend_from_slice(said.out.as_bytes());
        all.extend_from_slice(said.err.as_bytes());
    }
}

fn private_config(console: &Console, head: &str) {
    console.configure(head);
    let mode = fs::Permissions::from_mode(0o600);
    fs::set_permissions(console.path("config.toml"), mode).unwrap();
}

#[test]
fn no_secret_shows_whatever_goes_wrong() {
    let console = Console::new();
    let mut all = Vec::new();
    let mut secrets = Vec::new();
    let secret = "standin-secret-that-is-long-enough";
    console.dropbox.register_app("standin-key", secret);
    secrets.push(secret.to_owned());
    private_config(
        &console,
        &format!("[dropbox]\napp_key = \"standin-key\"\napp_secret = \"{secret}\""),
    );
    let banner = console.run(&["login"]).out;
    secrets.push(stored(&console, "pending-auth.json", "verifier"));
    all.extend_from_slice(banner.as_bytes());
    everything_said(&console, &["finishAuthentication", "wrong-code"], &mut all);
    everything_said(&console, &["sync"], &mut all);
    let code = console.code_for(&banner);
    let finished = console.run(&["finishAuthentication", &code, "-vvvv"]);
    assert_eq!(finished.code, 0, "{}", finished.err);
    all.extend_from_slice(finished.out.as_bytes());
    all.extend_from_slice(finished.err.as_bytes());
    secrets.push(stored(&console, "token.json", "refresh_token"));
    console.put("a", "a");
    everything_said(&console, &["sync"], &mut all);
    secrets.extend(cached(&console));
    // Dropbox quotes what it was sent.
    let refresh = stored(&console, "token.json", "refresh_token");
    let echo = format!("{secret} {refresh}");
    // In words that are final, and in others.
    for (status, word, code) in [
        (400, "invalid_grant", 4),
        (401, "invalid_client", 4),
        (403, "invalid", 7),
    ] {
        let quoted = format!(r#"{{"error":"{word}","error_description":"bad {echo}"}}"#);
        let effect = Effect::Status(status, quoted);
        console.dropbox.expire_access_tokens();
        console
            .dropbox
            .inject(Fault::new("oauth2/token", When::Always, effect));
        let said = console.run(&["sync", "-vv"]);
        assert_eq!(said.code, code, "{}", said.err);
        assert!(said.err.contains("bad ***"), "{}", said.err);
        all.extend_from_slice(said.err.as_bytes());
        console.dropbox.clear_faults();
    }
    console.dropbox.revoke_all();
    everything_said(&console, &["sync"], &mut all);
    secrets.extend(cached(&console));
    let password = "proxy-password-of-some-length";
    secrets.push(password.to_owned());
    let proxied = console.config_text()
        + &format!("[network]\nproxy = \"http://user:{password}@127.0.0.1:1\"\n");
    console.write_config(&proxied);
    let said = console.run(&["sync", "-vv"]);
    assert_eq!(said.code, 7, "{}", said.err);
    all.extend_from_slice(said.err.as_bytes());
    let watch = Watch::over(&secrets);
    assert!(secrets.len() >= 5, "too few secrets were seen");
    watch.look(&all, "what was said");
    watch.look_below(&console.state(), &["token.json"]);
    watch.look_below(&console.content(), &[]);
    // The eye sees: the private file does hold one.
    let token = fs::read(console.state().join("token.json")).unwrap();
    assert!(
        token
            .windows(PIECE)
            .any(|piece| watch.traces.contains(piece))
    );
}

/// What is said where Dropbox, or something in its place, quotes the token that it was sent.
fn answers_that_quote(console: &Console, token: &str) -> Vec<u8> {
    let mut all = Vec::new();
    for (status, tag, code) in [
        (400, "x", 7),
        (401, "invalid_access_token", 4),
        (403, "no_permission", 1),
        (409, "x", 1),
    ] {
        let quoted =
            format!(r#"{{"error": {{".tag": "{tag}"}}, "user_message": {{"text": "{token}"}}}}"#);
        let effect = Effect::Status(status, quoted);
        console
            .dropbox
            .inject(Fault::new("list_folder", When::Always, effect));
        let said = console.run(&["sync", "-vv"]);
        assert_eq!(said.code, code, "{status}: {}", said.err);
        all.extend_from_slice(said.err.as_bytes());
        console.dropbox.clear_faults();
    }
    all
}

#[test]
fn a_personal_access_token_stays_in_the_configuration() {
    let console = Console::new();
    let token = console.dropbox.personal_access_token();
    let mut all = Vec::new();
    private_config(
        &console,
        &format!("[dropbox]\npersonal_access_token = \"{token}\""),
    );
    console.put("a", "a");
    everything_said(&console, &["sync"], &mut all);
    console.dropbox.expire_access_tokens();
    everything_said(&console, &["sync"], &mut all);
    let text = console.config_text();
    private_config(
        &console,
        &format!("[dropbox]\npersonal_access_token = \"{token}\""),
    );
    all.extend(answers_that_quote(&console, &token));
    // Nobody listens there.
    let closed = text
        .lines()
        .map(|line| match line.split_once(" = \"http://") {
            Some((key, _)) => format!("{key} = \"https://127.0.0.1:1\"\n"),
            None => format!("{line}\n"),
        });
    console.write_config(&closed.collect::<String>());
    let said = console.run(&["sync", "-vv"]);
    assert_eq!(said.code, 7, "{}", said.err);
    all.extend_from_slice(said.err.as_bytes());
    // In places where it does not belong.
    for head in [
        format!("[dropbox]\npersonal_access_token = {token}"),
        format!("[dropbox]\npersonal_access_token = \"{token}"),
        format!("[dropbox]\npersonal_access_token = \"{token} \""),
        format!("[dropbox]\npersonal_access_token = [\"{token}\"]"),
        format!("[dropbox]\npersonal_acess_token = \"{token}\""),
        format!("[dropbox]\n{token}"),
        format!("[dropbox]\n{token} = 1"),
        format!("[{token}]"),
        format!("\"{token}\" = 1"),
        format!("\"{token}\" = 1\n\"{token}\" = 2"),
        format!("[dropbox]\napp_key = \"{token}{token}\""),
        format!("[dropbox]\napp_key = \"k\"\nremote_root = \"//{token}\""),
        format!("syncmode = \"{token}\"\nappkey = \"k\""),
        format!("[dropbox]\napp_key = \"k\"\napp_secret = \"{token}\u{fc}\""),
    ] {
        private_config(&console, &head);
        let said = console.run(&["sync", "-vv"]);
        assert_eq!(said.code, 78, "{head}: {}", said.err);
        let is_of_file = |line: &str| line.contains("config.toml");
        assert!(said.err.lines().all(is_of_file), "{}", said.err);
        all.extend_from_slice(said.err.as_bytes());
    }
    let watch = Watch::over(&[token]);
    watch.look(&all, "what was said");
    watch.look_below(&console.state(), &[]);
    watch.look_below(&console.content(), &[]);
}

/// While a request hangs, the process is looked at from outside.
#[test]
fn neither_a_core_dump_nor_proc_shows_a_secret() {
    let console = Console::new();
    console.authenticate();
    let refresh = stored(&console, "token.json", "refresh_token");
    let mut secrets = cached(&console);
    secrets.push(refresh);
    let watch = Watch::over(&secrets);
    let stall = Effect::Stall(std::time::Duration::from_secs(2));
    console
        .dropbox
        .inject(Fault::new("list_folder", When::Always, stall));
    let mut child = console.command(&["sync"]).spawn().unwrap();
    let read = |name: &str| {
        let mut bytes = Vec::new();
        let file = fs::File::open(format!("/proc/{}/{name}", child.id()));
        file.and_then(|mut file| file.read_to_end(&mut bytes))
            .map(|_| bytes)
    };
    let mut seen = BTreeMap::new();
    for _ in 0..100 {
        std::thread::sleep(std::time::Duration::from_millis(10));
        for name in ["limits", "cmdline", "environ", "auxv"] {
            seen.insert(name, read(name).unwrap_or_default());
        }
        if console
            .dropbox
            .requests()
            .iter()
            .any(|call| call.route.contains("list_folder"))
        {
            break;
        }
    }
    let owner = std::os::unix::fs::MetadataExt::uid(
        &fs::metadata(format!("/proc/{}/environ", child.id())).unwrap(),
    );
    child.kill().unwrap();
    child.wait().unwrap();
    let limits = String::from_utf8_lossy(&seen["limits"]).into_owned();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    let numbers: Vec<_> = core.split_whitespace().skip(4).take(2).collect();
    assert_eq!(numbers, ["0", "0"], "{core}");
    // The kernel gives the files of a process that is not dumpable to root.
    assert_eq!(owner, 0);
    for (name, bytes) in &seen {
        watch.look(bytes, name);
    }
}

/// Syncs `content_dir`, and says what Dropbox holds afterwards.
fn synced(console: &Console, content_dir: &Path) -> Vec<String> {
    let text = console.config_text();
    let content = format!("content_dir = \"{}\"", console.content().display());
    let other = format!("content_dir = \"{}\"", content_dir.display());
    console.write_config(&text.replace(&content, &other));
    for _ in 0..3 {
        let said = console.run(&["sync"]);
        assert_eq!(said.code, 0, "{}", said.err);
    }
    console.dropbox.tree().into_keys().collect()
}

/// A18: what is ours is never synced, wherever it lies and however it is reached.
#[test]
fn a18_no_file_of_ours_is_synced_wherever_it_lies() {
    for through_link in [false, true] {
        let console = Console::new();
        console.authenticate();
        console.put("mine", "mine");
        let home = console.path(".");
        let link = home.with_extension("link");
        symlink(&home, &link).unwrap();
        let all = synced(&console, if through_link { &link } else { &home });
        fs::remove_file(&link).unwrap();
        let cached = fs::read_dir(console.path("run/ferrybox")).unwrap().count();
        assert_eq!(
            cached, 3,
            "an access token, a cursor and a record are there to be synced"
        );
        let expected = ["/content", "/content/mine", "/run"];
        assert_eq!(all, expected, "through a link: {through_link}");
    }
}

#[test]
fn a18_a_runtime_directory_that_is_the_content_dir_gets_no_token_and_gives_none() {
    let console = Console::new();
    console.authenticate();
    console.put("mine", "mine");
    assert_eq!(console.run(&["sync"]).code, 0);
    let runtime = console.path("run/ferrybox");
    let left = fs::read_dir(&runtime).unwrap().next().unwrap().unwrap();
    fs::write(runtime.join("yours"), "yours").unwrap();
    let said = console.run(&["sync"]);
    assert_eq!(said.code, 0, "{}", said.err);
    fs::remove_file(console.state().join("index.db")).unwrap();
    console.dropbox.remove("/mine");
    assert_eq!(synced(&console, &runtime), ["/yours"]);
    assert!(left.path().exists());
}

#[test]
fn a18_a_state_directory_that_is_the_content_dir_is_refused() {
    let console = Console::new();
    console.authenticate();
    let content = console.content();
    let text = console.config_text();
    console.write_config(&text.replace(
        &format!("\"{}\"", content.display()),
        &format!("\"{}/.\"", console.state().display()),
    ));
    let said = console.run(&["sync"]);
    assert_eq!(said.code, 78, "{}", said.err);
    assert!(said.err.contains("is the state directory"), "{}", said.err);
    assert!(console.dropbox.tree().is_empty());
}
