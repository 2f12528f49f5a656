//! Whole folders come down as archives where that saves requests, and never anything else than
//! what the listing has told.

use dropbox_standin::{Effect, Fault, Folders, Packing, Sizes, When, ZipLimits, ZipStyle};

use crate::world::{Hands, Outcome, World, world};

/// A world with so many files in Dropbox, in a tree of folders.
fn many(count: usize) -> World {
    let world = world();
    for i in 0..count {
        let dir = ["Conf", "Conf/sub", "Conf/Sub2/deep", "logs"][i % 4];
        world
            .dropbox
            .put(&format!("/{dir}/Ü {i:03}"), content(i).as_bytes());
    }
    world
}

fn content(i: usize) -> String {
    format!("content {i} ").repeat(i * 13 % 300)
}

fn times(outcome: &Outcome, route: &str) -> usize {
    outcome.calls.iter().filter(|call| *call == route).count()
}

#[track_caller]
fn check_all_down(world: &World, outcome: &Outcome, count: u64) {
    assert_eq!(outcome.counts.downloaded, count, "{outcome:?}");
    assert_eq!(world.local_tree(), world.remote_tree());
    world.check_settled();
}

#[test]
fn a_restore_takes_a_request_per_folder() {
    let world = many(100);
    let outcome = world.sync_ok();
    assert_eq!(times(&outcome, "download_zip"), 2);
    assert_eq!(times(&outcome, "download"), 0);
    check_all_down(&world, &outcome, 100);
}

#[test]
fn folders_come_in_the_order_of_their_names() {
    let world = world();
    for i in 0..60 {
        let dir = ["a", "b/deep", "c", "d"][i % 4];
        world
            .dropbox
            .put(&format!("/{dir}/{i:03}"), content(i).as_bytes());
    }
    world.sync_ok();
    let asked = world.dropbox.requests().into_iter();
    let asked = asked.filter(|call| call.route == "files/download_zip");
    let folders: Vec<_> = asked.map(|call| call.arg["path"].to_string()).collect();
    assert_eq!(folders, [r#""/a""#, r#""/b""#, r#""/c""#, r#""/d""#]);
}

#[test]
fn a_remote_root_comes_down_in_one_request() {
    let world = many(100);
    *world.dropbox_keys.borrow_mut() += "\nremote_root = \"/conf\"\n";
    let outcome = world.sync_ok();
    assert_eq!(times(&outcome, "download_zip"), 1);
    assert_eq!(times(&outcome, "download"), 0);
    assert_eq!(outcome.counts.downloaded, 75);
    assert_eq!(world.read("Sub2/deep/Ü 002").unwrap(), content(2));
}

#[test]
fn times_are_those_a_client_gave_the_files() {
    let world = many(40);
    world.sync_ok();
    let other = world.beside();
    other.put("logs/x", "x");
    other.download_only();
    for path in ["Conf/Ü 000", "logs/Ü 003"] {
        assert_eq!(other.mtime(path), world.mtime(path));
    }
    let alone = world.beside();
    alone.dropbox.inject(Fault::new(
        "download_zip",
        When::Always,
        Effect::Status(404, String::new()),
    ));
    alone.download_only();
    assert_eq!(alone.mtime("logs/Ü 003"), world.mtime("logs/Ü 003"));
}

#[test]
fn every_way_to_write_an_archive_is_read() {
    for packing in [Packing::Stored, Packing::Deflated, Packing::Alternating] {
        for sizes in [Sizes::Header, Sizes::Descriptor, Sizes::BareDescriptor] {
            for folders in [
                Folders::Absent,
                Folders::Empty,
                Folders::LikeFiles,
                Folders::Twice,
            ] {
                for flags in [0, 5, 10, 15] {
                    let style = ZipStyle {
                        packing,
                        sizes,
                        folders,
                        top_folder: flags & 1 == 0,
                        root_entry: flags & 2 != 0,
                        zip64: flags & 4 != 0,
                        unix_times: flags & 8 != 0,
                        chunked: flags & 1 == 0,
                    };
                    let world = many(32);
                    world.dropbox.set_zip_style(style);
                    let outcome = world.sync_ok();
                    assert_eq!(times(&outcome, "download"), 0, "{style:?}");
                    check_all_down(&world, &outcome, 32);
                }
            }
        }
    }
}

#[test]
fn what_an_archive_lacks_or_spoils_is_fetched_alone() {
    let whole = many(40);
    whole.sync_ok();
    for packing in [Packing::Stored, Packing::Deflated] {
        for effect in [
            Effect::Truncate(0),
            Effect::Truncate(20),
            Effect::Truncate(900),
            Effect::Corrupt(40),
            Effect::Corrupt(700),
            Effect::Corrupt(2001),
            Effect::CutBefore,
            Effect::CutAfter,
            Effect::Status(500, String::new()),
            Effect::Status(404, String::new()),
            Effect::Html,
        ] {
            let world = many(40);
            world.dropbox.set_zip_style(ZipStyle {
                packing,
                ..ZipStyle::default()
            });
            let fault = Fault::new("download_zip", When::Always, effect.clone());
            world.dropbox.inject(fault);
            let outcome = world.sync_ok();
            // A bit may be flipped where nobody looks.
            let is_noticed = times(&outcome, "download") > 0;
            let may_pass = matches!(effect, Effect::Corrupt(_));
            assert!(is_noticed || may_pass, "{effect:?} {outcome:?}");
            check_all_down(&world, &outcome, 40);
        }
    }
}

#[test]
fn a_file_edited_while_the_archive_is_made_does_not_come_down_as_the_listed_one() {
    let world = many(32);
    let dropbox = world.dropbox.clone();
    let mut once = true;
    world.on_request(move |request| {
        if request.target.contains("download_zip") && std::mem::take(&mut once) {
            dropbox.put("/Conf/Ü 000", b"edited just now");
            dropbox.remove("/Conf/Ü 004");
        }
    });
    world.sync();
    world.on_request_nothing();
    world.sync_ok();
    assert_eq!(world.read("Conf/Ü 000").unwrap(), "edited just now");
    assert_eq!(world.local_tree(), world.remote_tree());
    world.check_settled();
}

#[test]
fn what_is_here_already_is_not_fetched_again() {
    let world = many(100);
    world.sync_ok();
    world.lose_state();
    let outcome = world.sync_ok();
    assert_eq!(times(&outcome, "download_zip"), 0);
    assert_eq!(outcome.counts.adopted, 100);
}

#[test]
fn what_may_not_come_down_does_not_call_for_an_archive_in_every_pass() {
    let world = many(100);
    *world.sync_keys.borrow_mut() = "download_filter = [\"/logs/.*\"]".to_owned();
    world.sync_ok();
    let outcome = world.sync_ok();
    assert_eq!(outcome.calls, ["list_folder/continue"]);
}

#[test]
fn a_few_files_among_many_large_ones_are_fetched_alone() {
    let world = world();
    for i in 0..10 {
        world.dropbox.put(&format!("/d/small {i}"), b"small");
    }
    world.dropbox.put("/d/large", &vec![1; 5 << 20]);
    let outcome = world.sync_ok();
    assert_eq!(times(&outcome, "download_zip"), 0);
    check_all_down(&world, &outcome, 11);
}

/// A large file is fetched alone, and its folder's folders as archives, so that it comes once.
#[test]
fn a_large_file_beside_folders_of_small_ones_comes_once() {
    let world = world();
    for i in 0..200 {
        world
            .dropbox
            .put(&format!("/m/d{}/small {i}", i % 4), b"small");
    }
    world.dropbox.put("/large", &vec![1; 6 << 20]);
    world.dropbox.put("/m/large", &vec![2; 6 << 20]);
    let outcome = world.sync_ok();
    assert_eq!(times(&outcome, "download_zip"), 4, "{outcome:?}");
    assert_eq!(times(&outcome, "download"), 2, "{outcome:?}");
    assert!(outcome.bytes.down < 13 << 20, "{:?}", outcome.bytes);
    check_all_down(&world, &outcome, 202);
}

#[test]
fn a_folder_too_large_for_an_archive_comes_in_parts() {
    for limits in [
        ZipLimits {
            entries: 60,
            ..ZipLimits::default()
        },
        ZipLimits {
            folder_bytes: 60_000,
            ..ZipLimits::default()
        },
    ] {
        let world = many(100);
        world.dropbox.change_habits(|it| it.zip_limits = limits);
        let outcome = world.sync_ok();
        assert!(times(&outcome, "download_zip") > 2, "{outcome:?}");
        assert!(times(&outcome, "download") < 60, "{:?}", outcome.calls);
        check_all_down(&world, &outcome, 100);
    }
}

#[test]
fn what_the_filters_leave_out_of_an_archive_stays_in_dropbox() {
    let world = many(100);
    *world.sync_keys.borrow_mut() = "exclude = [\"/Conf/sub\"]".to_owned();
    let outcome = world.sync_ok();
    assert_eq!(outcome.counts.downloaded, 75, "{outcome:?}");
    assert!(world.read("Conf/sub/Ü 001").is_none());
    assert_eq!(times(&outcome, "download"), 0);
}

/// R7: whatever of an archive is not due, the rest is taken from it, stored or deflated.
#[test]
fn r7_what_is_not_due_in_an_archive_costs_no_request_a_file() {
    for packing in [Packing::Stored, Packing::Deflated, Packing::Alternating] {
        for sizes in [Sizes::Header, Sizes::Descriptor, Sizes::BareDescriptor] {
            for zip64 in [false, true] {
                let world = many(60);
                world.dropbox.set_zip_style(ZipStyle {
                    packing,
                    sizes,
                    zip64,
                    ..ZipStyle::default()
                });
                // Hidden, present, and excluded ones, and one that looks like an archive itself.
                world.dropbox.put("/Conf/.hidden", b"dot");
                world.dropbox.put("/Conf/.empty", b"");
                let inner = b"PK\x03\x04PK\x07\x08PK\x01\x02PK\x05\x06".repeat(3000);
                world.dropbox.put("/Conf/.zip", &inner);
                for nth in 0..4 {
                    world.put(&format!("Conf/Ü 00{nth}"), &content(nth));
                }
                *world.sync_keys.borrow_mut() = "exclude = [\"/Conf/sub\"]".to_owned();
                let outcome = world.sync_ok();
                let style = format!("{packing:?} {sizes:?} {zip64}");
                assert_eq!(
                    times(&outcome, "download"),
                    0,
                    "{style}: {:?}",
                    outcome.calls
                );
                assert!(
                    times(&outcome, "download_zip") <= 2,
                    "{style}: {:?}",
                    outcome.calls
                );
            }
        }
    }
}

/// H6: what is not due lies in one folder, and the others come as archives all the same.
#[test]
fn h6_an_archive_with_too_much_in_it_is_followed_by_those_of_its_folders() {
    for packing in [Packing::Stored, Packing::Deflated] {
        let world = world();
        let style = ZipStyle {
            packing,
            ..ZipStyle::default()
        };
        world.dropbox.set_zip_style(style);
        for nth in 0..20 {
            for dir in ["one", "two/deep", "two/deeper"] {
                world
                    .dropbox
                    .put(&format!("/top/{dir}/{nth}"), content(nth).as_bytes());
            }
        }
        for dir in ["big", "two/large"] {
            let path = format!("/top/{dir}/excluded");
            world.dropbox.put_seeded(&path, 12 << 20, 7);
        }
        *world.sync_keys.borrow_mut() = "exclude = [\"/top/big\", \"/top/two/large\"]".to_owned();
        let outcome = world.sync_ok();
        assert_eq!(times(&outcome, "download"), 0, "{:?}", outcome.calls);
        assert!(times(&outcome, "download_zip") <= 5, "{:?}", outcome.calls);
        assert_eq!(outcome.counts.downloaded, 60, "{packing:?}");
    }
}

/// R7: a connection that breaks in the middle of an archive leads to another archive.
#[test]
fn r7_an_archive_that_breaks_off_is_followed_by_another() {
    let world = many(200);
    for nth in 1..3 {
        let cut = Fault::new("download_zip", When::Nth(nth), Effect::Truncate(9_000));
        world.dropbox.inject(cut);
    }
    let outcome = world.sync_ok();
    check_all_down(&world, &outcome, 200);
    assert!(times(&outcome, "download") < 20, "{:?}", outcome.calls);
}

#[test]
fn local_files_in_the_way_become_conflict_copies() {
    let world = many(24);
    world.put("Conf/Ü 000", "mine");
    world.put("logs/Ü 003", &content(3));
    let outcome = world.sync_ok();
    assert_eq!((outcome.counts.conflicts, outcome.counts.adopted), (1, 1));
    world.sync_ok();
    assert_eq!(world.local_tree(), world.remote_tree());
    assert_eq!(world.read("Conf/Ü 000").unwrap(), content(0));
}

#[test]
fn a_rate_limit_is_waited_for_and_the_archive_asked_for_again() {
    let world = many(40);
    let fault = Fault::new(
        "download_zip",
        When::Nth(1),
        Effect::TooManyRequests {
            retry_after: Some(2),
            as_text: true,
        },
    );
    world.dropbox.inject(fault);
    let outcome = world.sync_ok();
    assert_eq!(times(&outcome, "download"), 0, "{outcome:?}");
    check_all_down(&world, &outcome, 40);
}

/// A world to which ten small files of a folder are to come down, in passes that cannot take them.
#[track_caller]
fn check_no_archive(world: &World, name: &dyn Fn(usize) -> String) {
    for i in 0..10 {
        let path = format!("/d/{}", name(i));
        world.dropbox.put(&path, content(i + 1).as_bytes());
    }
    for _ in 0..2 {
        let outcome = world.sync();
        assert_eq!(times(&outcome, "download_zip"), 0, "{outcome:?}");
        assert_eq!(times(&outcome, "download"), 0, "{outcome:?}");
        assert!(!outcome.problems.is_empty());
    }
}

#[test]
fn what_cannot_be_stored_is_not_asked_for_in_each_pass() {
    let long = "\u{6f22}".repeat(90);
    check_no_archive(&world(), &|i| format!("{long}{i}"));
    for is_full in [true, false] {
        let world = World::in_memory("BIDIRECTIONAL");
        world.put("d/keep", "k");
        world.sync_ok();
        match world.hands() {
            Hands::Sim(disk) if is_full => disk.tree().capacity = 1 << 20,
            hands => hands.set_mode("d", 0o555),
        }
        check_no_archive(&world, &|i| i.to_string());
    }
}

#[test]
fn a_large_file_beside_an_archive_gets_as_many_tries_as_alone() {
    for small in [0, 10] {
        let world = world();
        world.dropbox.put("/big", &vec![7; 5 << 20]);
        for i in 0..small {
            world.dropbox.put(&format!("/d/{i}"), content(i).as_bytes());
        }
        let dropbox = world.dropbox.clone();
        world.on_request(move |request| {
            if request.target.ends_with("files/download") {
                let spoilt = Effect::Corrupt(1 << 20);
                dropbox.inject(Fault::new("files/download", When::First(1), spoilt));
            }
        });
        assert_eq!(times(&world.sync(), "download"), 3, "{small}");
    }
}

#[test]
fn what_a_person_keeps_comes_back_as_archives() {
    let world = many(100);
    *world.sync_keys.borrow_mut() = "hidden = false".to_owned();
    world.sync_ok();
    for dir in ["Conf", "logs"] {
        world.remove(dir);
    }
    world.dropbox.put("/Conf/.hidden/file", b"never synced");
    let halted = world.sync();
    let kept = world.keep(&halted.error);
    assert_eq!(times(&kept, "download_zip"), 2, "{kept:?}");
    assert_eq!(times(&kept, "download"), 0);
    world.dropbox.remove("/Conf/.hidden");
    check_all_down(&world, &kept, 100);
}
