//! State that cannot be read, or a token file that is damaged, while the index is whole: one line,
//! and nothing is touched on either side.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use crate::console::{Console, Said, said};

/// Whom permission bits keep out, where the tests run as root.
const NOBODY: u32 = 65534;

/// Authenticated and in step.
fn settled() -> Console {
    let console = Console::new();
    console.authenticate();
    console.put("a", "a");
    console.dropbox.put("/d/b", b"b");
    assert_eq!(console.run(&["sync"]).code, 0);
    assert_eq!(console.run(&["sync"]).code, 0);
    console
}

/// Both sides and the index.
fn held(console: &Console) -> [Vec<u8>; 3] {
    let there = format!("{:?}", console.dropbox.tree());
    let read = |path: &str| fs::read(console.path(path)).unwrap_or_default();
    let here = [read("content/a"), read("content/d/b")].concat();
    [there.into_bytes(), here, read("state/index.db")]
}

fn give_away(dir: &Path) {
    chown(dir, Some(NOBODY), Some(NOBODY)).unwrap();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            give_away(&path);
        } else {
            chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
}

fn run_as_nobody(console: &Console) -> Said {
    let plain = console.command(&["sync"]);
    let mut command = Command::new("setpriv");
    let id = NOBODY.to_string();
    command
        .env_clear()
        .envs(plain.get_envs().filter_map(|(k, v)| Some((k, v?))));
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"]);
    command.arg(plain.get_program()).args(plain.get_args());
    said(command.output().unwrap())
}

#[test]
fn state_that_cannot_be_read_is_one_line_and_changes_nothing() {
    let console = settled();
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        give_away(console.content().parent().unwrap());
    }
    let run = || match is_root {
        true => run_as_nobody(&console),
        false => console.run(&["sync"]),
    };
    assert_eq!(run().code, 0);
    console.put("a", "a 2");
    for (name, code) in [("index.db", 1), ("cursor.json", 1), ("token.json", 1)] {
        let file = console.state().join(name);
        let before = held(&console);
        fs::set_permissions(&file, PermissionsExt::from_mode(0o000)).unwrap();
        let said = run();
        assert_eq!(said.code, code, "{name}: {}", said.err);
        assert_eq!(said.err.lines().count(), 1, "{}", said.err);
        assert!(said.err.contains(name), "{}", said.err);
        fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
        assert!(held(&console) == before, "{name}");
    }
    assert_eq!(run().code, 0);
    assert_eq!(console.dropbox.read("/a").unwrap(), b"a 2");
}

#[test]
fn a_damaged_token_file_beside_a_whole_index_changes_nothing() {
    let console = settled();
    let file = console.state().join("token.json");
    let whole = fs::read(&file).unwrap();
    let text = String::from_utf8(whole.clone()).unwrap();
    let mut damaged = vec![Vec::new(), b"null".to_vec(), b"{}".to_vec(), vec![0; 4096]];
    damaged.extend((1..whole.len()).step_by(23).map(|at| whole[..at].to_vec()));
    for at in (0..whole.len()).step_by(5) {
        let mut flipped = whole.clone();
        flipped[at] ^= if at % 2 == 0 { 0x01 } else { 0xff };
        damaged.push(flipped);
    }
    let before = held(&console);
    for bytes in damaged {
        fs::write(&file, &bytes).unwrap();
        // A token at hand would hide a damaged refresh token.
        let _ = fs::remove_dir_all(console.path("run/ferrybox"));
        let said = console.run(&["sync"]);
        let shown = String::from_utf8_lossy(&bytes);
        assert!([0, 4, 5].contains(&said.code), "{shown}: {}", said.err);
        assert!(bytes != b"{}" || said.code == 4, "{}", said.err);
        let after = held(&console);
        assert!(after[..2] == before[..2], "{shown}: {}", said.err);
        for secret in text.split('"').filter(|part| part.len() >= 20) {
            let piece = &secret[..16];
            assert!(!said.err.contains(piece) && !said.out.contains(piece));
        }
    }
    fs::write(&file, whole).unwrap();
    let said = console.run(&["sync"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(held(&console)[..2] == before[..2]);
}
