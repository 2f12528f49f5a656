//! S3: an access token is believed only where it proves that we kept it, and whose account it opens
//! is asked before a new listing may delete anything.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

use dropbox_standin::{Effect, Fault, When};
use ferrybox::config::Secret;
use ferrybox::dropbox::tokens::{AccessTokens, Credential, hash_hex};
use ferrybox::dropbox::wire::TokenAnswer;
use ferrybox::error::ExitCode;
use ferrybox::io::RealDisk;
use ferrybox::io::dirs::session_dir;
use ferrybox::io::disk::Disk;
use ferrybox::io::host::Host;

use crate::fallbacks::sign_in;
use crate::sim::disk::SimDisk;
use crate::sim::seam::Seam;
use crate::world::{Clock, TempDir, World, world};

fn credential(refresh_token: &str, account_id: &str) -> Credential {
    Credential::Refresh {
        app_key: "app".to_owned(),
        app_secret: None,
        refresh_token: Secret::new(refresh_token),
        account_id: account_id.to_owned(),
    }
}

fn tokens<'a>(disk: &'a dyn Disk, refresh_token: &str, account_id: &str) -> AccessTokens<'a> {
    AccessTokens::new(credential(refresh_token, account_id), Some(disk), true)
}

/// The file of a sign-in.
fn file_of(refresh_token: &str) -> String {
    format!("access-{}.json", &hash_hex(refresh_token)[..16])
}

/// A directory in which a run with this sign-in has kept a token.
fn kept(clock: &Clock, refresh_token: &str, access_token: &str) -> SimDisk {
    let disk = SimDisk::new("runtime", &Seam::default());
    let answer = TokenAnswer {
        access_token: access_token.to_owned(),
        expires_in: Some(14_400),
        refresh_token: None,
        scope: None,
        account_id: None,
    };
    tokens(&disk, refresh_token, "dbid:A").keep(clock, &answer);
    disk
}

fn at_hand(disk: &SimDisk, clock: &Clock) -> Option<String> {
    tokens(disk, "refresh", "dbid:A").token_at_hand(clock)
}

#[test]
fn s3_a_kept_token_is_used_by_the_sign_in_that_kept_it() {
    let clock = Clock::default();
    let disk = kept(&clock, "refresh", "access");
    assert_eq!(at_hand(&disk, &clock).as_deref(), Some("access"));
    clock.advance(14_400 - 200);
    assert_eq!(at_hand(&disk, &clock), None, "it is about to end");
}

#[test]
fn s3_a_kept_token_with_any_field_altered_is_ignored() {
    let clock = Clock::default();
    let disk = kept(&clock, "refresh", "access");
    let file = file_of("refresh");
    let ours = String::from_utf8(disk.content(&file).unwrap()).unwrap();
    let fields: serde_json::Value = serde_json::from_str(&ours).unwrap();
    let expires = fields["expires_at_s"].to_string();
    let mac = fields["mac"].as_str().unwrap();
    for (was, is) in [
        ("\"access\"", "\"acces\""),
        (expires.as_str(), "99999999999"),
        ("dbid:A", "dbid:B"),
        (mac, ""),
        (mac, &mac[..62]),
        (mac, &mac.replace(|c: char| c.is_ascii_digit(), "0")),
        ("\"mac\"", "\"cam\""),
    ] {
        disk.put(&file, ours.replace(was, is).as_bytes());
        disk.set_mode(&file, 0o600);
        assert_eq!(at_hand(&disk, &clock), None, "{was} -> {is}");
    }
    disk.put(&file, ours.as_bytes());
    disk.set_mode(&file, 0o600);
    assert!(at_hand(&disk, &clock).is_some(), "it was the fields");
}

#[test]
fn s3_a_token_kept_by_another_sign_in_is_ignored() {
    let clock = Clock::default();
    let disk = kept(&clock, "another", "access");
    disk.rename(&file_of("another"), &file_of("refresh"));
    assert_eq!(at_hand(&disk, &clock), None);
}

#[test]
fn s3_a_token_of_the_same_sign_in_for_another_account_is_ignored() {
    let clock = Clock::default();
    let disk = kept(&clock, "refresh", "access");
    let other = tokens(&disk, "refresh", "dbid:B");
    assert_eq!(other.token_at_hand(&clock), None);
}

#[test]
fn s3_a_token_in_a_file_that_is_not_private_or_not_ours_is_ignored() {
    let clock = Clock::default();
    let file = file_of("refresh");
    let disk = kept(&clock, "refresh", "access");
    disk.set_mode(&file, 0o640);
    assert_eq!(at_hand(&disk, &clock), None);
    let disk = kept(&clock, "refresh", "access");
    disk.set_owner(&file, (1234, 1234));
    assert_eq!(at_hand(&disk, &clock), None);
}

#[test]
fn s3_a_runtime_directory_is_ours_and_no_link() {
    let temp = TempDir::new();
    let dir = temp.path().join("ours");
    fs::create_dir(&dir).unwrap();
    let set_mode = |mode| fs::set_permissions(&dir, fs::Permissions::from_mode(mode)).unwrap();
    set_mode(0o700);
    assert!(RealDisk::open_own(&dir, 0o077).is_ok());
    let link = temp.path().join("link");
    symlink(&dir, &link).unwrap();
    assert!(RealDisk::open_own(&link, 0o077).is_err(), "a link");
    set_mode(0o770);
    assert!(RealDisk::open_own(&dir, 0o077).is_err(), "of a group");
    set_mode(0o755);
    assert!(RealDisk::open_own(&dir, 0o077).is_err());
    assert!(
        RealDisk::open_own(&dir, 0o022).is_ok(),
        "as systemd makes it"
    );
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&dir, Some(1234), None).unwrap();
        assert!(RealDisk::open_own(&dir, 0o022).is_err(), "of another");
    }
}

#[test]
fn s3_root_does_not_use_the_runtime_directory_of_a_session() {
    let xdg = || Some("/run/user/1234".into());
    assert_eq!(session_dir(xdg(), true), None);
    let ours = session_dir(xdg(), false).unwrap();
    assert_eq!(ours.to_str(), Some("/run/user/1234/ferrybox"));
    assert_eq!(session_dir(None, false), None);
}

/// A directory that is exchanged after it was looked at is not written to.
#[test]
fn s3_a_runtime_directory_is_used_by_what_was_opened() {
    let temp = TempDir::new();
    let (dir, away) = (temp.path().join("ours"), temp.path().join("away"));
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
    let disk = RealDisk::open_own(&dir, 0o077).unwrap();
    fs::rename(&dir, &away).unwrap();
    fs::create_dir(&dir).unwrap();
    let answer = TokenAnswer {
        access_token: "access".to_owned(),
        expires_in: Some(14_400),
        refresh_token: None,
        scope: None,
        account_id: None,
    };
    tokens(&disk, "refresh", "dbid:A").keep(&Clock::default(), &answer);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
    assert_eq!(fs::read_dir(&away).unwrap().count(), 1);
}

/// In step, and then the token opens another account, in which there are other files.
fn exchanged() -> World {
    let world = world();
    for name in ["a", "b", "c"] {
        world.put(name, name);
    }
    world.sync_ok();
    world
        .dropbox
        .set_account_id("dbid:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAANEW");
    world.dropbox.remove("/a");
    world.dropbox.put("/theirs", b"theirs");
    world.put("private", "private");
    world
}

#[test]
fn s3_a_token_of_another_account_deletes_nothing_and_sends_nothing() {
    for dry in [true, false] {
        let world = exchanged();
        let before = world.local_tree();
        let halted = if dry { world.dry_run() } else { world.sync() };
        assert_eq!(halted.exit, ExitCode::Halted, "{halted:?}");
        assert!(halted.error.contains("opens another one"), "{halted:?}");
        let calls = ["list_folder/continue", "users/get_current_account"];
        assert_eq!(halted.calls, calls);
        assert_eq!(world.local_tree(), before);
        assert_eq!(world.dropbox.read("/private"), None);
        assert_eq!(world.sync().exit, ExitCode::Halted, "it stands");
        // Asked again whose it is, it is another account, as the index knows.
        world.remove_state_file("personal-account.json");
        let halted = world.sync();
        assert!(
            halted.error.contains("than the one synced before"),
            "{halted:?}"
        );
        assert_eq!(world.approve(&halted.error).exit, ExitCode::Ok);
    }
}

/// Whatever made everything be listed again.
#[test]
fn s3_a_whole_listing_of_another_account_counts_for_nothing() {
    let world = world();
    for i in 0..6 {
        world.put(&format!("f{i}"), &format!("{i}"));
    }
    world.sync_ok();
    *world.sync_keys.borrow_mut() = "exclude = ['/never']".to_owned();
    world
        .dropbox
        .set_account_id("dbid:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAANEW");
    world.dropbox.remove("/f1");
    world.put("private", "private");
    let before = world.local_tree();
    for _ in 0..2 {
        let halted = world.sync();
        assert_eq!(halted.exit, ExitCode::Halted, "{halted:?}");
        assert_eq!(world.local_tree(), before);
        assert_eq!(world.dropbox.read("/private"), None);
    }
}

#[test]
fn s3_a_listing_that_was_broken_off_asks_too() {
    let world = world();
    for i in 0..6 {
        world.put(&format!("f{i}"), &format!("{i}"));
    }
    world.sync_ok();
    world.dropbox.set_page_limit(2);
    world.dropbox.reset_cursors();
    for nth in 4..40 {
        let broken = Fault::new("list_folder", When::Nth(nth), Effect::Html);
        world.dropbox.inject(broken);
    }
    assert_eq!(world.sync().exit, ExitCode::TryLater);
    world.dropbox.clear_faults();
    world
        .dropbox
        .set_account_id("dbid:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAANEW");
    world.dropbox.remove("/f1");
    let before = world.local_tree();
    let halted = world.sync();
    assert_eq!(halted.exit, ExitCode::Halted, "{halted:?}");
    assert_eq!(world.local_tree(), before);
}

#[test]
fn s3_a_reset_in_the_same_account_asks_before_it_lists_and_before_that_counts() {
    let world = world();
    world.put("a", "a");
    world.sync_ok();
    world.dropbox.reset_cursors();
    let calls = world.sync_ok().calls;
    let asked = [
        "list_folder/continue",
        "users/get_current_account",
        "list_folder",
        "users/get_current_account",
    ];
    assert_eq!(calls, asked);
    world.check_settled();
}

/// R1: what one part of Dropbox says for a moment takes no person.
#[test]
fn r1_the_end_of_a_sign_in_is_asked_about_twice() {
    for (when, code) in [
        (When::Nth(1), ExitCode::Ok),
        (When::Always, ExitCode::Authentication),
    ] {
        let world = world();
        sign_in(&world);
        world.put("a", "a");
        let ended = r#"{"error": "invalid_grant", "error_description": "ended"}"#;
        let effect = Effect::Status(400, ended.to_owned());
        world
            .dropbox
            .inject(Fault::exactly("oauth2/token", when, effect));
        let before = world.clock.elapsed();
        let outcome = world.sync();
        assert_eq!(outcome.exit, code, "{outcome:?}");
        let asked = outcome.calls.iter().filter(|call| *call == "oauth2/token");
        assert_eq!(asked.count(), 2, "{outcome:?}");
        assert!(world.clock.elapsed() - before >= Duration::from_secs(5));
        world.dropbox.clear_faults();
        world.sync_ok();
        world.check_both(&[("a", "a")]);
    }
}
