//! Root at work in a content dir of somebody else, who may put there what he likes: he gets nothing
//! out of root that he could not get himself. These tests run as root only, as CI does.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dropbox_standin::{Effect, Fault, When};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::gateway::{Ended, Gateway};
use crate::needs;

/// The owner of the content dir.
const OWNER: u32 = 4321;
const MIB: usize = 1 << 20;

fn is_root(test: &str) -> bool {
    let need = match rustix::process::geteuid().is_root() {
        true => Ok(()),
        false => Err("root alone can be robbed".to_owned()),
    };
    needs::has(test, &need)
}

/// A gateway whose content dir, or a folder in it, belongs to somebody else.
fn owned(dir: &str) -> Gateway {
    let gateway = Gateway::new();
    let dir = gateway.content.join(dir);
    fs::create_dir_all(&dir).unwrap();
    chown(&dir, Some(OWNER), Some(OWNER)).unwrap();
    gateway
}

/// Owner, group and permission bits.
fn access(path: &Path) -> (u32, u32, u32) {
    let found = fs::symlink_metadata(path).unwrap();
    (found.uid(), found.gid(), found.mode() & 0o7777)
}

/// A file of root that nobody else may read.
fn secret(path: &Path) -> PathBuf {
    fs::write(path, "root's own").unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    path.to_owned()
}

#[track_caller]
fn is_untouched(secret: &Path) {
    assert_eq!(access(secret), (0, 0, 0o600));
    assert_eq!(fs::read_to_string(secret).unwrap(), "root's own");
}

#[test]
fn s1_what_root_makes_belongs_to_the_owner_and_its_state_to_root() {
    if !is_root("what root makes") {
        return;
    }
    let gateway = owned("");
    gateway.dropbox.put("/d/small", b"small");
    gateway.dropbox.put("/large", &vec![1; 5 * MIB]);
    gateway.put("up", "up");
    chown(gateway.content.join("up"), Some(OWNER), Some(OWNER)).unwrap();
    gateway.sync_ok();
    assert_eq!(gateway.dropbox.read("/up").unwrap(), b"up");
    for (path, mode) in [("d", 0o755), ("d/small", 0o644), ("large", 0o644)] {
        let found = access(&gateway.content.join(path));
        assert_eq!(found, (OWNER, OWNER, mode), "{path}");
    }
    assert_eq!(access(&gateway.content.join(".ferrybox-root")).0, OWNER);
    for name in ["index.db", "cursor.json"] {
        assert_eq!(access(&gateway.state.join(name)).0, 0, "{name}");
    }
    let folder = gateway.content.join("d");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o2750)).unwrap();
    gateway.sync_ok();
    gateway.remove("d");
    let text = fs::read_to_string(gateway.home.join("config.toml")).unwrap();
    let one_way = text.replace("BIDIRECTIONAL", "DROPBOX_TO_LOCAL");
    fs::write(gateway.home.join("config.toml"), one_way).unwrap();
    gateway.sync_ok();
    assert_eq!(access(&folder), (OWNER, OWNER, 0o750));
    fs::write(gateway.home.join("config.toml"), text).unwrap();
    // Edits and deletes, too.
    gateway.dropbox.put("/d/small", b"edited");
    gateway.dropbox.remove("/large");
    gateway.remove("up");
    gateway.sync_ok();
    assert_eq!(access(&gateway.content.join("d/small")).0, OWNER);
    assert!(gateway.dropbox.read("/up").is_none());
    assert!(!gateway.content.join("large").exists());
}

#[test]
fn s1_root_gives_no_file_away_that_its_owner_holds_open() {
    if !is_root("what root gives away") {
        return;
    }
    for other in [0, OWNER + 1] {
        let gateway = owned("");
        let tool = gateway.content.join("d/tool");
        gateway.put("d/tool", "good");
        chown(gateway.content.join("d"), Some(OWNER), Some(OWNER)).unwrap();
        chown(&tool, Some(other), Some(other)).unwrap();
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o754)).unwrap();
        gateway.sync_ok();
        gateway.sync_ok();
        // As it replaces that file, and as it comes back where that is gone.
        for text in ["one", "two"] {
            gateway.dropbox.put("/d/tool", text.as_bytes());
            if text == "two" {
                gateway.remove("d/tool");
            }
            let ended = gateway.run(&[], &["sync", "-v"]);
            assert_eq!(ended.code, Some(0), "{ended:?}");
            assert_eq!(fs::read_to_string(&tool).unwrap(), text);
            let (uid, gid, mode) = access(&tool);
            assert_eq!((uid, gid), (OWNER, OWNER), "{text}");
            assert_eq!(mode & !0o754, 0, "{text}");
            if text == "one" {
                assert!(ended.err.contains("gives to nobody else"), "{ended:?}");
            }
        }
    }
}

#[test]
fn s4_root_gives_nothing_to_who_has_exchanged_a_private_folder() {
    if !is_root("a private folder is exchanged") {
        return;
    }
    let gateway = Gateway::new();
    gateway.dropbox.put("/priv/k", b"k");
    gateway.sync_ok();
    let private = gateway.content.join("priv");
    fs::set_permissions(&private, fs::Permissions::from_mode(0o700)).unwrap();
    gateway.sync_ok();
    fs::rename(&private, gateway.content.join("aside")).unwrap();
    fs::create_dir(&private).unwrap();
    chown(&private, Some(OWNER), Some(OWNER)).unwrap();
    gateway.dropbox.put("/priv/k", b"edited");
    gateway.dropbox.put("/priv/new", b"new");
    gateway.dropbox.put("/priv/sub/new", b"new");
    let ended = gateway.sync();
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.err.contains("chmod 700"), "{ended:?}");
    for name in ["k", "new", "sub/new"] {
        assert_eq!(access(&private.join(name)), (0, 0, 0o600), "{name}");
    }
}

#[test]
fn s4_root_gives_a_folder_away_and_it_stays_as_its_new_owner_has_it() {
    if !is_root("a folder is given away") {
        return;
    }
    let gateway = Gateway::new();
    gateway.dropbox.put("/priv/k", b"k");
    gateway.sync_ok();
    let private = gateway.content.join("priv");
    fs::set_permissions(&private, fs::Permissions::from_mode(0o700)).unwrap();
    gateway.sync_ok();
    chown(&private, Some(OWNER), Some(OWNER)).unwrap();
    fs::set_permissions(&private, fs::Permissions::from_mode(0o750)).unwrap();
    gateway.dropbox.put("/priv/new", b"new");
    gateway.sync_ok();
    assert_eq!(access(&private.join("new")), (OWNER, OWNER, 0o644));
}

#[test]
fn s1_root_reads_nothing_for_the_owner_that_he_may_not_read() {
    if !is_root("what root reads") {
        return;
    }
    let gateway = owned("");
    let own = secret(&gateway.content.join("own"));
    let outside = secret(&gateway.home.join("outside"));
    fs::hard_link(&outside, gateway.content.join("linked")).unwrap();
    fs::create_dir(gateway.content.join("shut")).unwrap();
    let shut = fs::Permissions::from_mode(0o700);
    fs::set_permissions(gateway.content.join("shut"), shut).unwrap();
    let ended = gateway.sync();
    assert_eq!(ended.code, Some(3), "{ended:?}");
    for path in [
        "/own: not uploaded: cannot open",
        "/linked: not uploaded: cannot open",
        "/shut: cannot read",
    ] {
        assert!(ended.err.contains(path), "{path}: {ended:?}");
    }
    let told = "root works here as the owner of the content dir, #4321";
    assert!(ended.err.contains(told), "{ended:?}");
    let there = gateway.remote_tree();
    assert!(
        !there.values().any(|bytes| bytes.starts_with(b"root")),
        "{there:?}"
    );
    is_untouched(&own);
    is_untouched(&outside);
}

#[test]
fn w7_a_link_to_a_file_of_another_is_not_read_where_everything_could_be() {
    if !is_root("a link in a folder of somebody else") {
        return;
    }
    let gateway = owned("his");
    let outside = secret(&gateway.home.join("outside"));
    fs::hard_link(&outside, gateway.content.join("his/linked")).unwrap();
    gateway.put("his/plain", "plain");
    gateway.put("twice", "twice");
    fs::hard_link(gateway.content.join("twice"), gateway.content.join("again")).unwrap();
    let ended = gateway.sync();
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(
        ended
            .err
            .contains("his/linked: it is a hard link to a file of root"),
        "{ended:?}"
    );
    let there: Vec<String> = gateway.remote_tree().into_keys().collect();
    assert_eq!(there, ["again", "his/", "his/plain", "twice"]);
    is_untouched(&outside);
}

/// A pass in which the owner exchanges a folder for something else the moment it is made.
fn exchanging(gateway: &Gateway, made: &str, victim: &str) -> Ended {
    let (made, victim) = (gateway.content.join(made), gateway.content.join(victim));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                if made.is_dir() {
                    let swapped = renameat_with(CWD, &made, CWD, &victim, RenameFlags::EXCHANGE);
                    swapped.unwrap();
                    return;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let inject = "inject=?mkdir,?mkdirat:delay_exit=200000";
        let log = gateway.home.join("strace.log");
        let log = log.to_str().unwrap();
        let strace = ["strace", "-f", "-qq", "-o", log, "-e", inject];
        let ended = gateway.run(&strace, &["sync"]);
        is_over.store(true, Ordering::Relaxed);
        ended
    })
}

#[test]
fn s1_nothing_is_given_away_that_takes_the_place_of_a_new_folder() {
    if !is_root("a new folder is exchanged") || !needs::has("a new folder", needs::strace()) {
        return;
    }
    // The whole content dir is his, or a folder in it.
    for (his, victim) in [("", "own"), ("", "full"), ("his/", "own"), ("his/", "full")] {
        let gateway = owned(his);
        gateway.sync_ok();
        let dir = gateway.content.join(format!("{his}full"));
        fs::create_dir(&dir).unwrap();
        secret(&dir.join("inner"));
        secret(&gateway.content.join(format!("{his}own")));
        let new = format!("{his}new");
        gateway.dropbox.mkdir(&format!("/{new}"));
        let ended = exchanging(&gateway, &new, &format!("{his}{victim}"));
        assert!(ended.code.is_some(), "{ended:?}");
        let there = gateway.content.join(new);
        assert_eq!(access(&there).0, 0, "{victim}: {ended:?}");
        let inner = there.join("inner");
        is_untouched(if victim == "full" { &inner } else { &there });
    }
}

#[test]
fn s2_root_neither_writes_to_what_is_planted_nor_gives_it_away() {
    if !is_root("a planted beginning") {
        return;
    }
    for his in ["", "his/"] {
        let gateway = owned(his);
        let remote = vec![b'x'; 6 * MIB];
        gateway.dropbox.put(&format!("/{his}big"), &remote);
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
        assert_eq!(access(&part).2, 0o600);
        // The first bytes of what is to come, in a file that everybody may read.
        let victim = gateway.home.join("victim");
        fs::write(&victim, "xxx").unwrap();
        fs::remove_file(&part).unwrap();
        fs::hard_link(&victim, &part).unwrap();
        gateway.sync_ok();
        assert_eq!(fs::read(&victim).unwrap(), b"xxx");
        assert_eq!(access(&victim), (0, 0, 0o644));
        let big = gateway.content.join(format!("{his}big"));
        assert!(fs::read(&big).unwrap() == remote);
        assert_eq!(access(&big), (OWNER, OWNER, 0o644));
    }
}

/// What a content dir leads to is nobody's to say but root's.
#[test]
fn s1_a_content_dir_that_its_owner_makes_a_link_is_refused() {
    if !is_root("a content dir that is a link") {
        return;
    }
    let mut gateway = Gateway::new();
    let his = gateway.home.join("home");
    let content = his.join("sync");
    fs::create_dir_all(&content).unwrap();
    for dir in [&his, &content] {
        chown(dir, Some(OWNER), Some(OWNER)).unwrap();
    }
    let config = gateway.home.join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    let (old, new) = (gateway.content.display(), content.display());
    fs::write(config, text.replace(&old.to_string(), &new.to_string())).unwrap();
    gateway.content.clone_from(&content);
    let roots = gateway.home.join("roots");
    fs::create_dir(&roots).unwrap();
    fs::set_permissions(&roots, fs::Permissions::from_mode(0o1777)).unwrap();
    let own = secret(&roots.join("own"));
    gateway.dropbox.put("/authorized_keys", b"evil");
    let link = |target: &Path| {
        std::os::unix::fs::symlink(target, &content).unwrap();
        std::os::unix::fs::lchown(&content, Some(OWNER), Some(OWNER)).unwrap();
    };
    let refused = |how: &str| {
        let ended = gateway.sync();
        assert_ne!(ended.code, Some(0), "{how}: {ended:?}");
        let told = "root follows no links of others";
        assert!(ended.err.contains(told), "{how}: {ended:?}");
        assert!(!gateway.remote_tree().contains_key("own"), "{how}");
        assert!(!roots.join("authorized_keys").exists(), "{how}");
        is_untouched(&own);
    };
    // Before a first pass.
    fs::remove_dir(&content).unwrap();
    link(&roots);
    refused("at first");
    // And after one, with a copy of the marker.
    fs::remove_file(&content).unwrap();
    fs::create_dir(&content).unwrap();
    chown(&content, Some(OWNER), Some(OWNER)).unwrap();
    gateway.dropbox.remove("/authorized_keys");
    gateway.dropbox.put("/known", b"known");
    gateway.sync_ok();
    gateway.dropbox.put("/authorized_keys", b"evil");
    let marker = roots.join(".ferrybox-root");
    fs::copy(content.join(".ferrybox-root"), &marker).unwrap();
    chown(&marker, Some(OWNER), Some(OWNER)).unwrap();
    fs::rename(&content, his.join("sync2")).unwrap();
    link(&roots);
    refused("later");
    // A directory of root's that is there instead has no marker that counts.
    fs::remove_file(&content).unwrap();
    fs::rename(&roots, &content).unwrap();
    let ended = gateway.sync();
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(!content.join("authorized_keys").exists());
    is_untouched(&content.join("own"));
}

/// Links of root's own lead where they lead.
#[test]
fn s1_roots_own_links_to_the_content_dir_are_followed() {
    if !is_root("a link of root's own") {
        return;
    }
    let gateway = Gateway::new();
    let real = gateway.home.join("real");
    fs::create_dir(&real).unwrap();
    chown(&real, Some(OWNER), Some(OWNER)).unwrap();
    fs::remove_dir(&gateway.content).unwrap();
    // One after the other, in both forms.
    std::os::unix::fs::symlink("./x/../real", gateway.home.join("link")).unwrap();
    fs::create_dir(gateway.home.join("x")).unwrap();
    std::os::unix::fs::symlink(gateway.home.join("link"), &gateway.content).unwrap();
    gateway.dropbox.put("/f", b"f");
    gateway.sync_ok();
    assert_eq!(access(&real.join("f")).0, OWNER);
}
