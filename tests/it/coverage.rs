//! What is left out: by globs, by the content dir's own file, and as 0.1 did it.

use ferrybox::core::decide::Mode;
use ferrybox::error::ExitCode;
use ferrybox::index::{Index, Meta};

use crate::world::{World, world};

const FILE: &str = ".ferryboxignore";

fn with_keys(mode: &'static str, keys: &str) -> World {
    let world = World::in_mode(mode);
    *world.sync_keys.borrow_mut() = keys.to_owned();
    world
}

#[test]
fn globs_leave_out_both_ways_and_take_back() {
    for mode in ["BIDIRECTIONAL", "LOCAL_TO_DROPBOX", "DROPBOX_TO_LOCAL"] {
        let keys = "ignore = ['*.tmp', 'cache/**', '!keep.tmp', 'build/']";
        let world = with_keys(mode, keys);
        let all = [
            "a.tmp",
            "d/b.tmp",
            "d/keep.tmp",
            "cache/x/y",
            "build/out",
            "d/build/keep.tmp",
            "ok",
        ];
        for path in all {
            world.put(path, path);
            world
                .dropbox
                .put(&format!("/there/{path}"), path.as_bytes());
        }
        world.sync_ok();
        let mut here: Vec<_> = world.local_tree().into_keys().collect();
        let mut there: Vec<_> = world.remote_tree().into_keys().collect();
        here.retain(|path| path.starts_with("there/"));
        there.retain(|path| !path.starts_with("there/"));
        let came = [
            "there/",
            // A glob with a slash in it is bound to the top.
            "there/cache/",
            "there/cache/x/",
            "there/cache/x/y",
            "there/d/",
            "there/d/keep.tmp",
            "there/ok",
        ];
        let went = ["cache/", "d/", "d/keep.tmp", "ok"];
        let comes_down = mode != "LOCAL_TO_DROPBOX";
        assert_eq!(here, if comes_down { &came[..] } else { &[] }, "{mode}");
        // After a first listing what is here goes up in any mode.
        assert_eq!(there, went, "{mode}");
        world.check_settled();
    }
}

#[test]
fn the_file_at_the_top_adds_to_ignore_and_never_travels() {
    let world = with_keys("BIDIRECTIONAL", "ignore = ['*.log']\nexclude = ['/x']");
    world.put(FILE, "# mine\n\n*.tmp\r\n!keep.log\n!x\n");
    for path in ["a.tmp", "a.log", "keep.log", "x", "d/.ferryboxignore"] {
        world.put(path, path);
    }
    world.dropbox.put("/b.tmp", b"b");
    world.dropbox.put("/sub/.ferryboxignore", b"b");
    world.sync_ok();
    let there: Vec<_> = world.remote_tree().into_keys().collect();
    let stay = ["b.tmp", "d/", "keep.log", "sub/", "sub/.ferryboxignore"];
    assert_eq!(there, stay);
    assert_eq!(world.read("b.tmp"), None);
    // Other globs are other filters: what is open now travels, and nothing is deleted.
    world.put(FILE, "*.log");
    world.sync_ok();
    assert_eq!(world.read("b.tmp").as_deref(), Some("b"));
    assert!(world.remote_tree().contains_key("a.tmp"));
    assert!(world.remote_tree().contains_key("keep.log"));
    world.remove(FILE);
    world.sync_ok();
    world.check_settled();
}

/// What cannot be told to be left out would travel.
#[test]
fn a_file_of_globs_that_cannot_be_used_ends_the_pass_before_anything_is_done() {
    let check = |world: &World, expected: &str| {
        let before = world.remote_tree();
        for outcome in [world.sync(), world.dry_run()] {
            assert_eq!(outcome.exit, ExitCode::Config, "{outcome:?}");
            assert!(outcome.error.contains(expected), "{}", outcome.error);
            assert!(outcome.error.contains(FILE), "{}", outcome.error);
        }
        assert_eq!(world.remote_tree(), before);
    };
    let world = world();
    world.put("secret.tmp", "s");
    world.put(FILE, "*.tmp\n[a\n");
    check(&world, ":2: '[a' has a [ without its ]");
    world.put(FILE, "");
    world.hands().put(FILE, b"*.tmp\n\xff\n");
    check(&world, ":2: is not UTF-8");
    world.put(FILE, &"a\n".repeat(1001));
    check(&world, ":999: there are more than 1,000 patterns");
    world.put(FILE, &"#".repeat(65_537));
    check(&world, "is larger than 64 KiB");
    world.remove(FILE);
    world.hands().link("/etc/hostname", FILE);
    check(&world, "is no regular file");
    world.remove(FILE);
    world.put("x", "x");
    world.sync_ok();
}

#[test]
fn what_is_left_out_is_counted_where_the_pass_meets_it() {
    let keys = "exclude = ['/cache']\nignore = ['*.tmp']\nhidden = false\n\
                upload_filter = ['/[^u].*']\ndownload_filter = ['/[^u].*']";
    let world = with_keys("BIDIRECTIONAL", keys);
    for path in [
        "cache/a",
        "cache/b",
        "x.tmp",
        "d/y.tmp",
        ".h",
        "Thumbs.db",
        "u1",
        "ok",
    ] {
        world.put(path, path);
    }
    world.hands().link("/etc/hostname", "link");
    world.hands().make_socket("socket");
    for _ in 0..2 {
        let skipped = world.sync_ok().skipped;
        let counts = [
            skipped.excluded,
            skipped.ignored,
            skipped.hidden,
            skipped.unlisted,
            skipped.litter,
            skipped.links,
            skipped.special,
        ];
        assert_eq!(counts, [1, 2, 1, 1, 1, 1, 1], "{skipped:?}");
        assert_eq!(world.dry_run().skipped, skipped);
    }
}

/// An installation of 0.1 is not surprised: what begins with a dot stays out until it is said.
#[test]
fn an_index_of_0_1_goes_on_leaving_out_hidden_names_until_it_is_said() {
    let world = World::in_memory("BIDIRECTIONAL");
    world.put("a", "a");
    world.sync_ok();
    let index = Index::open(&world.index_file()).unwrap().unwrap();
    index
        .transaction(|| index.clear_meta(Meta::HiddenTravels))
        .unwrap();
    drop(index);
    world.put(".storage/auth", "secret");
    let outcome = world.sync_ok();
    assert_eq!(outcome.skipped.hidden, 1, "{outcome:?}");
    assert!(outcome.advice[0].contains("hidden = true"), "{outcome:?}");
    assert!(!world.remote_tree().contains_key(".storage/"));
    // Also where the index is lost, which is only a cache.
    let cursor = String::from_utf8(world.state_file("cursor.json").unwrap()).unwrap();
    assert!(cursor.contains("hidden_travels"), "{cursor}");
    std::fs::write(world.index_file(), b"damaged").unwrap();
    assert_eq!(world.sync_ok().skipped.hidden, 1);
    assert_eq!(world.sync_ok().skipped.hidden, 1);
    assert!(!world.remote_tree().contains_key(".storage/"));
    *world.sync_keys.borrow_mut() = "hidden = true".to_owned();
    let outcome = world.sync_ok();
    assert!(outcome.advice.is_empty(), "{outcome:?}");
    assert!(world.remote_tree().contains_key(".storage/auth"));
    assert_eq!(world.config().sync.mode, Mode::Bidirectional);
}

/// All but what is said: folders are taken back as such, and so is what is in them.
#[test]
fn globs_that_take_back_folders_and_some_files_let_just_these_travel() {
    let world = with_keys("BIDIRECTIONAL", "ignore = ['*', '!*/', '!*.txt']");
    for path in ["a.txt", "a.log", "d/e/b.txt", "d/b.log"] {
        world.put(path, path);
        world
            .dropbox
            .put(&format!("/there/{path}"), path.as_bytes());
    }
    world.mkdir("empty");
    world.sync_ok();
    let there: Vec<_> = world.remote_tree().into_keys().collect();
    let stay = ["there/a.log", "there/d/b.log"];
    for path in ["a.txt", "d/e/b.txt", "empty/", "there/d/e/b.txt"] {
        assert!(there.iter().any(|one| one == path), "{path}: {there:?}");
    }
    for path in ["a.log", "d/b.log"] {
        assert!(!there.iter().any(|one| one == path), "{path}: {there:?}");
    }
    assert_eq!(world.read("there/d/e/b.txt").as_deref(), Some("d/e/b.txt"));
    assert!(stay.iter().all(|path| world.read(path).is_none()));
    // A folder of these that moves takes along what it holds.
    world.rename("d", "moved");
    world.sync_ok();
    world.sync_ok();
    assert!(world.remote_tree().contains_key("moved/e/b.txt"));
    assert!(!world.remote_tree().contains_key("d/e/b.txt"));
    assert_eq!(world.read("moved/b.log").as_deref(), Some("d/b.log"));
}
