//! Names: what Dropbox folds together, what it refuses, and what nobody may write to.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use ferrybox::error::ExitCode;
use ferrybox::report::Counts;

use crate::world::{World, world};

#[test]
fn a_name_in_another_case_is_the_same_file() {
    let world = world();
    world.put("Items/A.txt", "a");
    world.sync_ok();
    world.dropbox.put("/items/a.TXT", b"edited");
    world.sync_ok();
    world.check_local(&[("Items/", ""), ("Items/A.txt", "edited")]);
    world.put("Items/A.txt", "edited here");
    world.sync_ok();
    world.check_remote(&[("Items/", ""), ("Items/A.txt", "edited here")]);
    world.check_settled();
}

#[test]
fn a_download_goes_into_the_local_folder_of_the_same_key() {
    let world = world();
    world.put("ITEMS/a", "a");
    world.dropbox.put("/items/b", b"b");
    world.sync_ok();
    world.check_local(&[("ITEMS/", ""), ("ITEMS/a", "a"), ("ITEMS/b", "b")]);
    world.check_settled();
}

#[test]
fn two_local_names_with_one_key_are_both_a_problem_and_both_left_alone() {
    let world = world();
    world.put("a.txt", "base");
    world.sync_ok();
    world.put("A.TXT", "other");
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::SomeFiles);
    assert_eq!(outcome.problems.len(), 2, "{outcome:?}");
    world.check_remote(&[("a.txt", "base")]);
    world.dropbox.put("/a.txt", b"remote edit");
    world.sync();
    world.check_local(&[("A.TXT", "other"), ("a.txt", "base")]);
    world.remove("A.TXT");
    world.sync_ok();
    world.check_both(&[("a.txt", "remote edit")]);
}

#[test]
fn a_decomposed_local_name_is_the_composed_one_of_dropbox() {
    let world = world();
    world.put("cafe\u{301}.txt", "c");
    world.sync_ok();
    world.check_remote(&[("caf\u{e9}.txt", "c")]);
    world.dropbox.put("/caf\u{e9}.txt", b"edited");
    world.sync_ok();
    world.check_local(&[("cafe\u{301}.txt", "edited")]);
    world.check_settled();
}

#[test]
fn renaming_by_case_alone_transfers_and_deletes_nothing() {
    let world = world();
    world.put("a.txt", "a");
    world.put("d/b", "b");
    world.sync_ok();
    world.rename("a.txt", "A.txt");
    world.rename("d", "D");
    let outcome = world.sync_ok();
    assert_eq!(outcome.counts, Counts::default(), "{outcome:?}");
    world.check_settled();
    world.dropbox.put("/d/b", b"edited");
    world.sync_ok();
    assert_eq!(world.read("D/b").as_deref(), Some("edited"));
}

#[test]
fn a_name_dropbox_refuses_is_one_problem_and_costs_no_request() {
    let world = world();
    world.put("deleted\u{7f}", "x");
    world.put("back\\slash", "x");
    world.put("good", "g");
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::SomeFiles);
    assert_eq!(outcome.problems.len(), 2, "{outcome:?}");
    world.check_remote(&[("good", "g")]);
    let again = world.sync();
    assert_eq!(again.calls, ["list_folder/continue"]);
    assert_eq!(again.problems.len(), 2, "it is said in every run");
}

#[test]
fn w6_names_with_control_characters_travel_both_ways() {
    let names = [
        "line\nbreak",
        "n\n<0>kernel: fake",
        "a\rb",
        "\u{1b}[2J",
        "tab\t",
    ];
    let world = world();
    for name in names {
        world.dropbox.put(&format!("/down/{name}"), b"v1");
        world.put(&format!("up/{name}"), "v1");
    }
    world.sync_ok();
    for name in names {
        assert_eq!(world.read(&format!("down/{name}")).as_deref(), Some("v1"));
        world.put(&format!("down/{name}"), "v2");
        world.dropbox.put(&format!("/up/{name}"), b"v2");
    }
    let outcome = world.sync_ok();
    assert_eq!(outcome.problems.len(), 0, "{outcome:?}");
    for name in names {
        assert_eq!(world.read(&format!("up/{name}")).as_deref(), Some("v2"));
        let there = world.dropbox.read(&format!("/down/{name}"));
        assert_eq!(there.as_deref(), Some(&b"v2"[..]));
    }
    world.check_settled();
}

/// Unclear: what systems and programs leave everywhere.
#[test]
fn litter_is_left_out_and_no_problem() {
    for mode in ["BIDIRECTIONAL", "LOCAL_TO_DROPBOX"] {
        let world = World::in_mode(mode);
        *world.sync_keys.borrow_mut() = "hidden = true".to_owned();
        let litter = [
            "Thumbs.db",
            "desktop.ini",
            ".DS_Store",
            "~$x.doc",
            "Icon\r",
            "~a.tmp",
        ];
        for name in litter {
            world.put(&format!("d/{name}"), "x");
        }
        world.put("d/~$folder/in it", "x");
        world.put("d/good", "g");
        world.sync_ok();
        let expected = ["/d", "/d/good"];
        assert_eq!(
            world.dropbox.tree().into_keys().collect::<Vec<_>>(),
            expected
        );
        world.check_settled();
    }
}

#[test]
fn a_name_that_is_not_utf8_is_a_problem_and_the_rest_goes_on() {
    let world = world();
    fs::write(world.content().join(OsStr::from_bytes(b"caf\xe9")), "x").unwrap();
    world.put("good", "g");
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::SomeFiles);
    assert_eq!(outcome.problems.len(), 1, "{outcome:?}");
    world.check_remote(&[("good", "g")]);
}

#[test]
fn links_fifos_and_sockets_are_skipped_without_a_word() {
    let world = world();
    world.put("outside-target", "o");
    world.hands().link("outside-target", "link");
    world.hands().link("/etc", "dirlink");
    let _socket = std::os::unix::net::UnixListener::bind(world.content().join("socket")).unwrap();
    world.sync_ok();
    world.check_remote(&[("outside-target", "o")]);
    world.check_settled();
}

#[test]
fn a_link_in_place_of_a_synced_file_is_not_its_deletion() {
    let world = world();
    world.put("a", "a");
    world.put("b", "b");
    world.sync_ok();
    world.remove("a");
    world.hands().link("b", "a");
    assert_eq!(world.sync().exit, ExitCode::SomeFiles);
    world.check_remote(&[("a", "a"), ("b", "b")]);
    world.dropbox.put("/a", b"edited");
    world.sync();
    assert_eq!(
        world.read("b").as_deref(),
        Some("b"),
        "nothing is written through the link"
    );
}

/// A11: a folder that was in step is moved to another disk and linked back.
#[test]
fn a11_what_was_in_step_and_has_become_a_link_or_a_socket_is_a_problem() {
    for mode in ["BIDIRECTIONAL", "LOCAL_TO_DROPBOX", "DROPBOX_TO_LOCAL"] {
        for is_link in [true, false] {
            let world = World::in_mode(mode);
            *world.sync_keys.borrow_mut() = "hidden = false".to_owned();
            world.put("d/a", "a");
            world.put("f", "f");
            world.put("keep", "k");
            world.sync_ok();
            let before = world.remote_tree();
            world.rename("d", ".away");
            world.remove("f");
            for path in ["d", "f"] {
                match is_link {
                    true => world.hands().link(".away", path),
                    false => world.hands().make_socket(path),
                }
            }
            for _ in 0..2 {
                let outcome = world.sync();
                assert_eq!(outcome.exit, ExitCode::SomeFiles, "{mode}: {outcome:?}");
                assert_eq!(outcome.problems.len(), 2, "{mode}: {outcome:?}");
                let kind = if is_link { "a link" } else { "a socket" };
                assert!(outcome.problems["/d"].contains(kind), "{outcome:?}");
                assert!(outcome.problems["/d"].contains("a folder was in step"));
                assert!(outcome.problems["/f"].contains("a file was in step"));
                assert_eq!(outcome.calls, ["list_folder/continue"]);
            }
            assert_eq!(world.remote_tree(), before, "{mode}");
            // Its base was kept: nothing is sent or fetched once it is back.
            for path in ["d", "f"] {
                world.remove(path);
            }
            world.rename(".away", "d");
            world.put("f", "f");
            let outcome = world.sync_ok();
            assert_eq!(outcome.counts, Counts::default(), "{mode}: {outcome:?}");
        }
    }
}

#[test]
fn a11_a_link_in_the_way_of_something_new_in_dropbox_is_a_problem() {
    for (mode, problems) in [
        ("BIDIRECTIONAL", 3),
        ("DROPBOX_TO_LOCAL", 3),
        ("LOCAL_TO_DROPBOX", 0),
    ] {
        let world = World::in_mode(mode);
        for path in ["file", "hollow", "full", "free"] {
            world.hands().link("nowhere", path);
        }
        world.dropbox.put("/file", b"f");
        world.dropbox.mkdir("/hollow");
        world.dropbox.put("/full/f", b"f");
        for _ in 0..2 {
            let outcome = world.sync();
            assert_eq!(outcome.problems.len(), problems, "{mode}: {outcome:?}");
            assert!(!outcome.problems.contains_key("/free"), "{outcome:?}");
        }
    }
}

#[test]
fn a11_what_may_not_travel_is_no_problem_as_a_link() {
    let world = world();
    world.put("d/a", "a");
    world.put("f", "f");
    world.put("keep", "k");
    world.sync_ok();
    for path in ["d", "f"] {
        world.remove(path);
        world.hands().link("nowhere", path);
    }
    *world.sync_keys.borrow_mut() = "exclude = ['/d', '/f']".to_owned();
    world.sync_ok();
    world.sync_ok();
    assert_eq!(world.remote_tree().len(), 4, "nothing was deleted");
}

#[test]
fn a11_a_link_in_place_of_a_folder_is_told_by_the_files_that_were_in_it() {
    let world = world();
    *world.sync_keys.borrow_mut() =
        "upload_filter = ['/d/.*']\ndownload_filter = ['/d/.*']".to_owned();
    world.put("d/a", "a");
    world.sync_ok();
    world.sync_ok();
    world.rename("d", ".away");
    world.hands().link(".away", "d");
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::SomeFiles, "{outcome:?}");
    assert!(outcome.problems.contains_key("/d"), "{outcome:?}");
    assert!(world.dropbox.read("/d/a").is_some());
}

#[test]
fn nothing_outside_the_content_dir_is_touched_whatever_the_remote_names() {
    let world = world();
    for name in ["/../evil", "/a/../../evil", "/./x", "/nul\0byte", "/d/.."] {
        world.dropbox.put_odd(name, b"evil");
    }
    world.dropbox.put("/good", b"g");
    let outcome = world.sync();
    assert_eq!(world.read("good").as_deref(), Some("g"), "{outcome:?}");
    let around = fs::read_dir(world.content().parent().unwrap()).unwrap();
    let mut names: Vec<_> = around.map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["content", "state"]);
}

#[test]
fn a_download_through_a_linked_directory_is_refused() {
    let world = world();
    let outside = world.content().with_extension("outside");
    fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, world.content().join("d")).unwrap();
    world.dropbox.put("/d/evil", b"evil");
    world.sync();
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn a_remote_name_too_long_for_the_card_stays_in_dropbox() {
    let world = world();
    let name = "ü".repeat(200);
    world.dropbox.put(&format!("/{name}"), b"long");
    world.dropbox.put("/good", b"g");
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::SomeFiles, "{outcome:?}");
    world.check_local(&[("good", "g")]);
    assert!(world.dropbox.read(&format!("/{name}")).is_some());
}

#[test]
fn a_remote_root_with_capitals_and_spaces_works() {
    let world = world();
    world
        .dropbox_keys
        .borrow_mut()
        .push_str("\nremote_root = \"/My Gateway/Küche\"");
    world.put("Ä/b", "b");
    world.sync_ok();
    assert_eq!(world.dropbox.read("/my gateway/küche/ä/b").unwrap(), b"b");
    world.dropbox.put("/My Gateway/Küche/Ä/c", b"c");
    world.dropbox.put("/My Gateway/Küchenrolle", b"not below");
    world.sync_ok();
    assert_eq!(world.read("Ä/c").as_deref(), Some("c"));
    assert_eq!(world.local_tree().len(), 3);
    world.check_settled();
    let other = world.beside();
    other.sync_ok();
    assert_eq!(other.local_tree(), world.local_tree());
}

/// A14: Ꙋ got its small letter after Unicode 4.1, so for Dropbox these are two names.
#[test]
fn a14_two_names_of_dropbox_that_a_newer_unicode_would_fold_are_two_files() {
    let world = world();
    world.dropbox.put("/\u{a64a}", b"capital");
    world.dropbox.put("/\u{a64b}", b"small");
    world.put("d\u{23a}/x", "capital");
    world.put("d\u{2c65}/x", "small");
    world.sync_ok();
    let both = [
        ("d\u{23a}/", ""),
        ("d\u{23a}/x", "capital"),
        ("d\u{2c65}/", ""),
        ("d\u{2c65}/x", "small"),
        ("\u{a64a}", "capital"),
        ("\u{a64b}", "small"),
    ];
    world.check_both(&both);
    world.check_settled();
    world.dropbox.remove("/\u{a64b}");
    world.remove("d\u{23a}/x");
    world.sync_ok();
    world.check_both(&[both[0], both[2], both[3], both[4]]);
    world.check_settled();
}

/// A14: whatever a service calls lower case, filters are asked about the name it shows.
#[test]
fn a14_a_name_that_dropbox_folds_otherwise_is_spelt_as_dropbox_shows_it() {
    use ferrybox::dropbox::wire::{FileMetadata, Metadata};
    use ferrybox::engine::remote_root::{Location, RemoteRoot};
    let file = FileMetadata {
        name: "\u{a64a}x".to_owned(),
        path_lower: Some("/top/\u{a64b}x".to_owned()),
        path_display: Some("/Top/\u{a64a}x".to_owned()),
        client_modified: String::new(),
        rev: "1".into(),
        size: 0,
        content_hash: None,
        is_downloadable: true,
        symlink_info: None,
        id: None,
        server_modified: None,
        sharing_info: None,
    };
    let Location::Entry(entry) = RemoteRoot::new("/Top").locate(Metadata::File(file)) else {
        panic!("it lies below the remote root");
    };
    assert_eq!(entry.key.path(), "\u{a64b}x");
    assert_eq!(entry.display_name, "\u{a64a}x");
    // Here it has a name that is found again under its key.
    let row = ferrybox::index::Row::new(entry.key, &entry.display_name);
    assert_eq!(row.local_name(), "\u{a64b}x");
}

#[test]
fn a_path_too_long_for_linux_is_told_by_its_reason_in_every_pass() {
    let world = world();
    let part = "x".repeat(200);
    let deep = vec![part.as_str(); 25].join("/");
    world.dropbox.put(&format!("/{deep}/f"), b"f");
    world.dropbox.put("/good", b"g");
    for _ in 0..3 {
        let outcome = world.sync();
        assert_eq!(outcome.exit, ExitCode::SomeFiles, "{outcome:?}");
        let told: Vec<_> = outcome.problems.iter().collect();
        let [(path, text)] = &told[..] else {
            panic!("{told:?}")
        };
        assert_eq!(path.len(), 21 * 201, "{text}");
        let reason = "the path is longer than the 4095 bytes Linux takes: it stays in Dropbox";
        assert_eq!(*text, reason);
    }
    assert_eq!(world.read("good").as_deref(), Some("g"));
    let there = world.dropbox.read(&format!("/{deep}/f"));
    assert_eq!(there.as_deref(), Some(&b"f"[..]));
}

#[test]
fn a_local_path_too_long_for_linux_is_told_in_every_pass() {
    let world = world();
    let part = "x".repeat(200);
    let deep = vec![part.as_str(); 19].join("/");
    world.mkdir(&deep);
    world.put("good", "g");
    // Only from within can it be made any deeper.
    let dir = rustix::fs::openat(
        rustix::fs::CWD,
        world.content().join(&deep),
        rustix::fs::OFlags::DIRECTORY,
        rustix::fs::Mode::empty(),
    )
    .unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o755);
    let below = format!("{part}/{part}");
    for path in [&part, &below] {
        rustix::fs::mkdirat(&dir, path, mode).unwrap();
    }
    let flags = rustix::fs::OFlags::CREATE | rustix::fs::OFlags::WRONLY;
    rustix::fs::openat(&dir, format!("{below}/f"), flags, mode).unwrap();
    for _ in 0..2 {
        let outcome = world.sync();
        assert_eq!(outcome.exit, ExitCode::SomeFiles, "{outcome:?}");
        let texts: Vec<_> = outcome.problems.values().collect();
        let reason = "the path is longer than the 4095 bytes Linux takes: it is left alone";
        assert_eq!(texts, [reason]);
    }
    assert_eq!(world.dropbox.read("/good").as_deref(), Some(&b"g"[..]));
    rustix::fs::unlinkat(&dir, format!("{below}/f"), rustix::fs::AtFlags::empty()).unwrap();
    for path in [&below, &part] {
        rustix::fs::unlinkat(&dir, path, rustix::fs::AtFlags::REMOVEDIR).unwrap();
    }
}
