//! What is synced and what is left alone, by filters, names and kinds of files.

use ferrybox::commands::sync::SyncArgs;
use ferrybox::engine::own_keys;
use ferrybox::error::ExitCode;
use ferrybox::report::Counts;

use crate::world::{World, world};

fn with_keys(mode: &'static str, keys: &str) -> World {
    let world = World::in_mode(mode);
    *world.sync_keys.borrow_mut() = keys.to_owned();
    world
}

#[test]
fn what_hidden_false_leaves_out_never_travels_nor_do_our_own_and_the_predecessors_files() {
    let world = with_keys("BIDIRECTIONAL", "hidden = false");
    for path in [
        "a",
        ".hidden",
        ".git/config",
        "deltacursor.dbx",
        "d/.b/c",
        ".ferrybox-x",
    ] {
        world.put(path, path);
    }
    world.dropbox.put("/.remote", b"r");
    world.dropbox.put("/authfile.dbx", b"r");
    world.sync_ok();
    assert_eq!(world.dropbox.read("/a").unwrap(), b"a");
    assert_eq!(world.dropbox.tree().len(), 4, "{:?}", world.remote_tree());
    assert_eq!(world.read(".remote"), None);
    assert_eq!(world.read("authfile.dbx"), None);
    world.check_settled();
}

#[test]
fn dotfiles_are_files_but_for_our_own_and_the_predecessors() {
    let world = with_keys("BIDIRECTIONAL", "");
    world.put(".storage/auth", "h");
    world.put("x.dbx", "x");
    world.put("authfile.dbx", "a");
    world.sync_ok();
    world.check_remote(&[(".storage/", ""), (".storage/auth", "h"), ("x.dbx", "x")]);
}

#[test]
fn nothing_of_dropbox_comes_down_under_a_name_of_ours() {
    let world = with_keys("BIDIRECTIONAL", "hidden = true");
    world.put("a", "a");
    world.sync_ok();
    let marker = world.hands().read(".ferrybox-root");
    world.dropbox.put("/.ferrybox-root", b"another's");
    world.dropbox.put("/.Ferrybox-x", b"x");
    world.sync_ok();
    assert_eq!(world.hands().read(".ferrybox-root"), marker);
    assert_eq!(world.read(".Ferrybox-x"), None);
}

#[test]
fn a_filter_matches_the_whole_real_case_path_in_both_directions() {
    let keys = "upload_filter = [\"/Conf/.*\"]\ndownload_filter = [\"/Conf/.*\"]";
    let world = with_keys("BIDIRECTIONAL", keys);
    world.put("Conf/deep/er/a", "a");
    world.put("conf2/a", "no");
    world.put("x/Conf/a", "no");
    world.dropbox.put("/Conf/Remote", b"r");
    world.dropbox.put("/other/b", b"no");
    world.sync_ok();
    assert_eq!(world.dropbox.read("/Conf/deep/er/a").unwrap(), b"a");
    assert_eq!(world.read("Conf/Remote").as_deref(), Some("r"));
    assert_eq!(world.dropbox.read("/conf2/a"), None);
    assert_eq!(world.dropbox.read("/x/Conf/a"), None);
    assert_eq!(world.read("other/b"), None);
    world.check_settled();
}

#[test]
fn the_direction_of_a_path_is_the_mode_cut_by_both_filters() {
    let keys = "upload_filter = [\"/up/.*\"]\ndownload_filter = [\"/down/.*\"]";
    let world = with_keys("BIDIRECTIONAL", keys);
    world.put("up/a", "a");
    world.put("down/b", "b");
    world.dropbox.put("/up/c", b"c");
    world.dropbox.put("/down/d", b"d");
    world.sync_ok();
    world.check_local(&[
        ("down/", ""),
        ("down/b", "b"),
        ("down/d", "d"),
        ("up/", ""),
        ("up/a", "a"),
    ]);
    assert_eq!(world.dropbox.read("/up/a").unwrap(), b"a");
    assert_eq!(world.dropbox.read("/down/b"), None);
    // An edit of the wrong side stays where it is.
    world.dropbox.put("/up/a", b"edited there");
    world.put("down/d", "edited here");
    world.sync_ok();
    assert_eq!(world.read("up/a").as_deref(), Some("a"));
    assert_eq!(world.dropbox.read("/down/d").unwrap(), b"d");
}

#[test]
fn exclude_wins_and_covers_all_below_a_directory() {
    let world = with_keys("BIDIRECTIONAL", "exclude = [\"/cache\", \".*\\\\.log\"]");
    for path in ["cache/a", "cache/b/c", "d/x.log", "d/x.txt"] {
        world.put(path, path);
    }
    world.dropbox.put("/cache/remote", b"r");
    world.sync_ok();
    assert_eq!(world.dropbox.read("/d/x.txt").unwrap(), b"d/x.txt");
    assert_eq!(world.dropbox.read("/d/x.log"), None);
    assert_eq!(world.dropbox.read("/cache/a"), None);
    assert_eq!(world.read("cache/remote"), None);
    world.check_settled();
}

#[test]
fn a_path_that_leaves_the_filters_is_forgotten_and_deleted_nowhere() {
    let world = world();
    world.put("a.txt", "a");
    world.put("b.log", "b");
    world.sync_ok();
    *world.sync_keys.borrow_mut() = "exclude = [\".*\\\\.log\"]".to_owned();
    world.sync_ok();
    world.check_both(&[("a.txt", "a"), ("b.log", "b")]);
    // Nothing about it travels any more, not even its end.
    world.remove("b.log");
    world.sync_ok();
    assert_eq!(world.dropbox.read("/b.log").unwrap(), b"b");
    // Back in the filters it is fetched; no resync is needed.
    world.sync_keys.borrow_mut().clear();
    world.sync_ok();
    world.check_both(&[("a.txt", "a"), ("b.log", "b")]);
    world.check_settled();
}

#[test]
fn the_openhab_preset_stands_for_the_documented_defaults() {
    let keys = "upload_filter = \"openhab\"\ndownload_filter = \"openhab\"";
    let world = with_keys("BIDIRECTIONAL", keys);
    for path in [
        "root.cfg",
        "configurations/a/b",
        "logs/l",
        "etc/e",
        "addons/x",
    ] {
        world.put(path, path);
    }
    world.sync_ok();
    for path in ["/root.cfg", "/configurations/a/b", "/logs/l", "/etc/e"] {
        assert!(world.dropbox.read(path).is_some(), "{path}");
    }
    assert_eq!(world.dropbox.read("/addons/x"), None);
}

#[test]
fn our_own_configuration_and_state_are_never_synced() {
    let world = world();
    world.put("etc/ferrybox.toml", "not a secret");
    // The state directory lies beside the content dir here; the config file inside it.
    let mut parsed = world.config();
    parsed.path = world.content_dir().join("etc/ferrybox.toml");
    let args = SyncArgs::default();
    world.sync_config(&parsed, &args);
    assert_eq!(world.dropbox.read("/etc/ferrybox.toml"), None);
}

/// A18: the access tokens of any run, under systemd, in a session or without either.
#[test]
fn a18_runtime_directories_are_our_own() {
    let world = world();
    let uid = rustix::process::geteuid().as_raw();
    let session = format!("user/{uid}/ferrybox");
    let shared = format!("ferrybox-{uid}");
    let mut config = world.config();
    for (content_dir, key) in [("/run", session), ("/dev/shm", shared)] {
        config.sync.content_dir = content_dir.into();
        let own = own_keys(&config, &world.state());
        assert!(own.contains(&key), "{key}: {own:?}");
    }
}

/// A18: the sign-in and the index of another instance, wherever they lie. Files of other programs
/// that have such a name travel.
#[test]
fn a18_state_of_other_instances_never_travels() {
    let token = r#"{"refresh_token":"t","app_key":"k","account_id":"a","root_namespace_id":"1"}"#;
    let access = r#"{"access_token":"t","expires_at_s":1}"#;
    let world = world();
    world.put("lib/ferrybox-kitchen/token.json", token);
    for name in ["index.db", "index.db-journal", "token.json.new", "mine"] {
        world.put(&format!("lib/ferrybox-kitchen/{name}"), name);
    }
    world.put("run/ferrybox/access-0123456789abcdef.json", access);
    world.put(
        "begun/pending-auth.json",
        r#"{"app_key":"k","verifier":"v"}"#,
    );
    world.put("program/token.json", r#"{"refresh_token":"of another"}"#);
    world.put("program/cursor.json", "{}");
    world.put("program/index.db", "i");
    world.sync_ok();
    world
        .dropbox
        .put("/lib/ferrybox-kitchen/cursor.json", b"evil");
    world.dropbox.put("/lib/ferrybox-kitchen/index.db", b"evil");
    world.sync_ok();
    let there = world.remote_tree();
    let files: Vec<_> = there.keys().filter(|path| !path.ends_with('/')).collect();
    assert_eq!(
        files,
        [
            "lib/ferrybox-kitchen/cursor.json",
            "lib/ferrybox-kitchen/index.db",
            "lib/ferrybox-kitchen/mine",
            "program/cursor.json",
            "program/index.db",
            "program/token.json",
        ]
    );
    assert_eq!(world.read("lib/ferrybox-kitchen/cursor.json"), None);
    let index = world.read("lib/ferrybox-kitchen/index.db");
    assert_eq!(index.as_deref(), Some("index.db"));
}

/// A18: the configurations of other instances hold secrets as ours does.
#[test]
fn a18_configurations_of_other_instances_never_travel() {
    let world = world();
    let mut parsed = world.config();
    parsed.path = world.content_dir().join("etc/ferrybox/main.toml");
    for (name, content) in [
        ("main.toml", "not read"),
        (
            "kitchen.toml",
            "[dropbox]\napp_secret = 's'\n[sync]\n content_dir='/k'",
        ),
        ("old.toml~", "dropbox:contentdir = /srv"),
        ("program.toml", "# content_dir\ndir = '/srv'"),
        ("notes", "content_dir = '/k'"),
    ] {
        world.put(&format!("etc/ferrybox/{name}"), content);
    }
    world.sync_config(&parsed, &SyncArgs::default());
    let there = world.remote_tree();
    let files: Vec<_> = there.keys().filter(|path| !path.ends_with('/')).collect();
    assert_eq!(files, ["etc/ferrybox/notes", "etc/ferrybox/program.toml"]);
}

#[test]
fn nothing_comes_down_into_our_own_state() {
    let world = world();
    let mut config = world.config();
    config.state_dir = Some(world.content().join("state"));
    let args = SyncArgs::default();
    world.put("a", "a");
    world.sync_config(&config, &args);
    for name in ["cursor.json", "index.db", "token.json", "deep/x"] {
        world.dropbox.put(&format!("/state/{name}"), b"evil");
    }
    world.sync_config(&config, &args);
    let tree = world.local_tree();
    assert!(tree.values().all(|content| content != "evil"), "{tree:?}");
    assert!(
        tree.keys().all(|name| !name.contains("conflicted")),
        "{tree:?}"
    );
}

#[test]
fn an_unmanaged_file_does_not_hide_an_emptied_side() {
    let keys = "upload_filter = [\"/conf/.*\"]\ndownload_filter = [\"/conf/.*\"]";
    let world = with_keys("BIDIRECTIONAL", keys);
    for i in 0..10 {
        world.put(&format!("conf/{i}"), "c");
    }
    world.put("log", "l");
    world.sync_ok();
    world.remove("conf");
    assert_eq!(world.sync().exit, ExitCode::Halted);
    assert_eq!(world.remote_tree().len(), 11);
}

#[test]
fn a_reset_uploads_what_only_the_upload_filter_lets_through() {
    let keys = "upload_filter = [\"/up/.*\", \"/both\"]\n\
                download_filter = [\"/down/.*\", \"/both\"]";
    let world = with_keys("DROPBOX_TO_LOCAL", keys);
    world.put("up/a", "a");
    world.put("both", "b");
    world.put("down/c", "c");
    world.sync_ok();
    world.check_remote(&[("both", "b"), ("up/", ""), ("up/a", "a")]);
}

#[test]
fn a_name_dropbox_has_but_the_filters_leave_out_is_a_problem_and_no_listing() {
    let world = world();
    *world.sync_keys.borrow_mut() = "exclude = [\"/Theirs\\\\.txt\"]".to_owned();
    world.put("a", "a");
    world.dropbox.put("/Theirs.txt", b"theirs");
    world.sync();
    world.put("theirs.txt", "ours");
    world.sync();
    world.clock.advance(10);
    world.sync();
    let before = world.written();
    let outcome = world.sync();
    assert!(outcome.problems.contains_key("/theirs.txt"), "{outcome:?}");
    assert!(!outcome.calls.contains(&"list_folder".to_owned()));
    assert_eq!(world.written(), before);
}

/// Upper and lower case are the same to Dropbox and not to filters: what lies in a folder that is
/// left out there is left out here, however it is spelt.
#[test]
fn a_folder_dropbox_shows_in_another_case_is_told_by_the_case_it_has_there() {
    let world = with_keys("BIDIRECTIONAL", "exclude = [\"/d\"]");
    world.dropbox.put("/d/x", b"excluded");
    world.put("D/X", "another");
    for _ in 0..3 {
        let outcome = world.sync_ok();
        assert_eq!(outcome.counts, Counts::default(), "{outcome:?}");
    }
    world.check_settled();
    world.check_remote(&[("d/", ""), ("d/x", "excluded")]);
    world.check_local(&[("D/", ""), ("D/X", "another")]);
}

#[test]
fn a_folder_whose_name_an_excluded_file_has_is_a_problem_and_nothing_is_put_off() {
    let world = with_keys("BIDIRECTIONAL", "exclude = ['/d']");
    world.dropbox.put("/d", b"d");
    world.put("D/x", "x");
    for _ in 0..2 {
        let outcome = world.sync();
        assert_eq!(outcome.exit, ExitCode::SomeFiles, "{outcome:?}");
        assert!(outcome.problems.contains_key("/D/x"), "{outcome:?}");
        assert_eq!(outcome.counts, Counts::default(), "{outcome:?}");
    }
    world.check_remote(&[("d", "d")]);
    world.check_local(&[("D/", ""), ("D/x", "x")]);
}
