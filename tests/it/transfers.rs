//! Moving bytes: sizes, faults, files that move while they are read, and full disks and accounts.

use std::fs;
use std::time::Duration;

use dropbox_standin::{Effect, Fault, When, content_hash};
use ferrybox::error::ExitCode;

use crate::world::{World, world};

const MIB: usize = 1 << 20;

fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    (0..length).map(next).collect()
}

/// A world in which one file of this size is on its way up.
fn uploading(length: usize) -> (World, Vec<u8>) {
    let world = world();
    let bytes = noise(length);
    world.put_bytes("big", &bytes);
    (world, bytes)
}

#[test]
fn every_size_takes_its_route_and_arrives_whole() {
    for (length, route) in [
        (0, "upload"),
        (1, "upload"),
        (64 << 10, "upload"),
        ((64 << 10) + 1, "upload"),
        (8 * MIB, "upload"),
        (8 * MIB + 1, "upload_session/finish"),
        (17 * MIB, "upload_session/finish"),
    ] {
        let (world, bytes) = uploading(length);
        let outcome = world.sync_ok();
        assert_eq!(
            outcome.calls.last().map(String::as_str),
            Some(route),
            "{length} bytes"
        );
        assert_eq!(world.dropbox.read("/big").unwrap(), bytes);
        let other = world.beside();
        other.download_only();
        assert_eq!(
            fs::read(other.content().join("big")).unwrap(),
            bytes,
            "{length} bytes"
        );
    }
}

#[test]
fn an_upload_whose_answer_is_lost_is_not_repeated_in_vain() {
    for (length, route) in [
        (1000, "files/upload"),
        (MIB, "files/upload"),
        (9 * MIB, "upload_session/finish"),
    ] {
        let (world, bytes) = uploading(length);
        world
            .dropbox
            .inject(Fault::new(route, When::Nth(1), Effect::CutAfter));
        let outcome = world.sync_ok();
        assert_eq!(outcome.counts.uploaded, 1, "{length}: {outcome:?}");
        assert_eq!(world.dropbox.read("/big").unwrap(), bytes);
        world.check_settled();
    }
}

#[test]
fn a_session_resumes_where_dropbox_says_it_is() {
    for effect in [
        Effect::CutAfter,
        Effect::CutBefore,
        Effect::Status(500, String::new()),
    ] {
        let (world, bytes) = uploading(30 * MIB);
        world
            .dropbox
            .inject(Fault::new("append_v2", When::Nth(1), effect));
        world.sync_ok();
        assert_eq!(world.dropbox.read("/big").unwrap(), bytes);
        world.check_settled();
    }
}

#[test]
fn an_edit_whose_answer_is_lost_is_recognised() {
    let world = world();
    world.put("f", "base");
    world.sync_ok();
    world.put("f", "edited");
    world
        .dropbox
        .inject(Fault::new("files/upload", When::Nth(1), Effect::CutAfter));
    assert_eq!(world.sync_ok().counts.uploaded, 1);
    world.check_both(&[("f", "edited")]);
    world.check_settled();
}

#[test]
fn bytes_damaged_on_the_way_up_are_sent_again() {
    for length in [1000, MIB, 9 * MIB] {
        let (world, bytes) = uploading(length);
        world
            .dropbox
            .inject(Fault::new("upload", When::Nth(1), Effect::CorruptUpload));
        world.sync_ok();
        assert_eq!(world.dropbox.read("/big").unwrap(), bytes, "{length}");
        world.check_settled();
    }
}

#[test]
fn a_download_is_verified_before_it_replaces_anything() {
    let world = world();
    world.put("f", "base");
    world.sync_ok();
    world.dropbox.put("/f", &noise(100_000));
    world.dropbox.inject(Fault::new(
        "download",
        When::Always,
        Effect::Corrupt(50_000),
    ));
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::SomeFiles, "{outcome:?}");
    world.check_local(&[("f", "base")]);
    world.dropbox.clear_faults();
    world.sync_ok();
    assert_eq!(world.hands().read("f").unwrap(), noise(100_000));
}

#[test]
fn a_broken_download_continues_where_it_broke() {
    let world = world();
    let bytes = noise(3 * MIB);
    world.dropbox.put("/f", &bytes);
    world.dropbox.inject(Fault::new(
        "download",
        When::First(4),
        Effect::Truncate(MIB / 2),
    ));
    let outcome = world.sync_ok();
    assert_eq!(world.hands().read("f").unwrap(), bytes);
    assert_eq!(
        outcome
            .calls
            .iter()
            .filter(|call| *call == "download")
            .count(),
        5
    );
}

#[test]
fn a_login_page_in_the_way_never_becomes_a_file() {
    let world = world();
    world.put("f", "base");
    world.sync_ok();
    world.dropbox.put("/f", b"remote");
    world
        .dropbox
        .inject(Fault::new("", When::Always, Effect::Html));
    assert_eq!(world.sync().exit, ExitCode::TryLater);
    world.dropbox.clear_faults();
    world
        .dropbox
        .inject(Fault::new("download", When::Always, Effect::Html));
    assert_eq!(world.sync().exit, ExitCode::SomeFiles);
    world.check_local(&[("f", "base")]);
}

#[test]
fn offline_ends_within_a_minute_and_changes_nothing() {
    let world = world();
    world.put("f", "f");
    world
        .dropbox
        .inject(Fault::new("", When::Always, Effect::CutBefore));
    assert_eq!(world.sync().exit, ExitCode::TryLater);
    assert!(world.clock.waited() < Duration::from_secs(60));
    world.dropbox.clear_faults();
    world.sync_ok();
    world.check_both(&[("f", "f")]);
}

#[test]
fn a_rate_limit_is_waited_for() {
    let world = world();
    world.put("f", "f");
    let limit = Effect::TooManyRequests {
        retry_after: Some(7),
        as_text: true,
    };
    world
        .dropbox
        .inject(Fault::new("files/upload", When::First(2), limit));
    let busy = Fault::new(
        "list_folder",
        When::First(1),
        Effect::TooManyWriteOperations,
    );
    world.dropbox.inject(busy);
    world.sync_ok();
    assert!(world.clock.waited() >= Duration::from_secs(14));
    world.check_both(&[("f", "f")]);
}

#[test]
fn a_full_dropbox_stops_uploads_only() {
    let world = world();
    world.put("big", &"x".repeat(5000));
    world.put("more", &"y".repeat(5000));
    world.dropbox.put("/down", b"d");
    world.dropbox.set_quota(100);
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::Full, "{outcome:?}");
    assert_eq!(world.read("down").as_deref(), Some("d"));
    world.dropbox.set_quota(u64::MAX);
    world.sync_ok();
}

#[test]
fn a_file_too_large_for_dropbox_does_not_stop_smaller_ones() {
    let world = world();
    world.put("a big one", &"x".repeat(5000));
    world.put("b", "b");
    world.put("c too", &"y".repeat(6000));
    world.dropbox.set_quota(1000);
    world.refuse_batches();
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::Full, "{outcome:?}");
    world.check_remote(&[("b", "b")]);
    let uploads = outcome.calls.iter().filter(|call| *call == "upload");
    assert_eq!(uploads.count(), 2, "what is larger is not tried");
}

#[test]
fn one_bad_file_never_blocks_the_others() {
    let world = world();
    world.dropbox.put("/bad", b"b");
    world.dropbox.put("/good", b"g");
    world.dropbox.set_restricted("/bad");
    world.put("up", "u");
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::SomeFiles);
    assert_eq!(outcome.problems.len(), 1);
    world.check_local(&[("good", "g"), ("up", "u")]);
    assert!(world.dropbox.read("/up").is_some());
}

#[test]
fn a_read_only_folder_is_a_problem_of_its_files() {
    let world = world();
    world.dropbox.put("/shared/a", b"a");
    world.dropbox.set_read_only("/shared");
    world.sync_ok();
    world.put("shared/a", "edited");
    world.put("free", "f");
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::SomeFiles, "{outcome:?}");
    assert!(outcome.problems.contains_key("/shared/a"));
    assert!(world.dropbox.read("/free").is_some());
}

#[test]
fn web_documents_and_links_of_dropbox_are_left_alone() {
    let world = world();
    world.dropbox.put("/doc.gdoc", b"");
    world.dropbox.set_not_downloadable("/doc.gdoc");
    world.dropbox.put("/link", b"target");
    world.dropbox.set_symlink("/link", "target");
    world.dropbox.put("/f", b"f");
    world.sync_ok();
    world.check_local(&[("f", "f")]);
    world.check_settled();
    // A file of that name cannot go up, and is not sent in vain.
    world.put("link", "mine");
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::SomeFiles, "{outcome:?}");
    assert_eq!(outcome.calls, ["list_folder/continue"]);
    // Nor is a folder of that name, with all that is in it.
    world.remove("link");
    world.put("link/inside", "mine");
    assert_eq!(world.sync().calls, ["list_folder/continue"]);
}

#[test]
fn a_file_that_became_a_link_in_dropbox_is_not_deleted_here() {
    let world = world();
    world.put("a", "a");
    world.put("b", "b");
    world.sync_ok();
    world.dropbox.set_symlink("/a", "elsewhere");
    world.dropbox.reset_cursors();
    world.sync();
    world.check_local(&[("a", "a"), ("b", "b")]);
}

#[test]
fn a_server_fault_over_one_file_does_not_stop_the_others() {
    let world = world();
    for name in ["a", "b", "c"] {
        world.put(name, name);
    }
    world.refuse_batches();
    let broken = Fault::new(
        "files/upload",
        When::First(5),
        Effect::Status(500, String::new()),
    );
    world.dropbox.inject(broken);
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::SomeFiles, "{outcome:?}");
    world.check_remote(&[("b", "b"), ("c", "c")]);
    // But a server that answers nobody ends the pass.
    let world = world_of_many();
    world.sync_ok();
    for i in 0..20 {
        world.put(&format!("f{i}"), "edited");
    }
    for (route, about) in [("files/upload", ""), ("list_folder", "\"limit\":1}")] {
        let fault = Effect::Status(500, String::new());
        let fault = Fault::new(route, When::Always, fault);
        world.dropbox.inject(fault.about(about));
    }
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::TryLater);
    assert!(outcome.calls.len() < 15, "{:?}", outcome.calls);
}

fn world_of_many() -> World {
    let world = world();
    for i in 0..20 {
        world.put(&format!("f{i}"), "x");
    }
    world
}

/// Changes the local file right before a request of this route is answered.
fn meddle(world: &World, route: &'static str, content: Vec<u8>) {
    let hands = world.hands();
    let mut done = false;
    world.on_request(move |request| {
        if request.target.contains(route) && !done {
            done = true;
            hands.put("big", &content);
        }
    });
}

#[test]
fn a_file_edited_while_it_was_uploaded_goes_up_again() {
    let (world, bytes) = uploading(20 * MIB);
    let edited = noise(20 * MIB + 5);
    meddle(&world, "append_v2", edited[5..].to_vec());
    world.sync_ok();
    let stored = world.dropbox.read("/big").unwrap();
    let whole = [content_hash(&bytes), content_hash(&edited[5..])];
    assert!(
        whole.contains(&content_hash(&stored)),
        "no mixture of two versions"
    );
    world.sync_ok();
    assert_eq!(world.dropbox.read("/big").unwrap(), &edited[5..]);
}

#[test]
fn a_log_that_grows_while_it_is_read_is_stored_as_a_prefix() {
    let (world, bytes) = uploading(20 * MIB);
    let mut grown = bytes.clone();
    grown.extend_from_slice(b"one more line");
    let hands = world.hands();
    let mut done = false;
    world.on_request(move |request| {
        if request.target.contains("append_v2") && !done {
            done = true;
            hands.append("big", b"one more line");
        }
    });
    let outcome = world.sync_ok();
    let tries = outcome
        .calls
        .iter()
        .filter(|call| call.ends_with("start"))
        .count();
    assert_eq!(tries, 1, "it is not sent again");
    assert_eq!(world.dropbox.read("/big").unwrap(), bytes);
    world.sync_ok();
    assert_eq!(world.dropbox.read("/big").unwrap(), grown);
}

#[test]
fn a_target_edited_while_it_was_downloaded_is_not_overwritten() {
    let world = world();
    world.put("big", "base");
    world.sync_ok();
    world.dropbox.put("/big", b"remote edit");
    meddle(&world, "download", b"edited here".to_vec());
    let outcome = world.sync_ok();
    assert_eq!(outcome.counts.deferred, 1, "{outcome:?}");
    world.sync_ok();
    let contents: Vec<_> = world.local_tree().into_values().collect();
    assert!(contents.contains(&"edited here".to_owned()), "{contents:?}");
    assert!(contents.contains(&"remote edit".to_owned()));
}

#[test]
fn a_file_that_appears_where_a_download_goes_is_not_overwritten() {
    let world = world();
    world.dropbox.put("/big", b"remote");
    meddle(&world, "download", b"made here".to_vec());
    world.sync();
    world.sync_ok();
    let contents: Vec<_> = world.local_tree().into_values().collect();
    assert!(contents.contains(&"made here".to_owned()), "{contents:?}");
    assert!(contents.contains(&"remote".to_owned()));
}

#[test]
fn a_file_changed_in_dropbox_after_the_listing_is_not_overwritten() {
    let world = world();
    world.put("f", "base");
    world.sync_ok();
    world.put("f", "local edit");
    let dropbox = world.dropbox.clone();
    let mut done = false;
    world.on_request(move |request| {
        if request.target.contains("files/upload") && !done {
            done = true;
            dropbox.put("/f", b"remote edit!");
        }
    });
    let outcome = world.sync_ok();
    assert_eq!(outcome.counts.deferred, 1);
    assert_eq!(world.dropbox.read("/f").unwrap(), b"remote edit!");
    world.sync_ok();
    let contents: Vec<_> = world.local_tree().into_values().collect();
    assert!(contents.contains(&"local edit".to_owned()), "{contents:?}");
    assert!(contents.contains(&"remote edit!".to_owned()));
}

#[test]
fn a_download_keeps_the_permissions_of_the_file_it_replaces() {
    let world = world();
    world.put("f", "base");
    world.sync_ok();
    world.hands().set_mode("f", 0o640);
    world.dropbox.put("/f", b"edited");
    world.dropbox.put("/new", b"n");
    world.sync_ok();
    assert_eq!(world.mode_bits("f"), 0o640);
    world.put("by hand", "");
    assert_eq!(
        world.mode_bits("new"),
        world.mode_bits("by hand"),
        "what the umask leaves"
    );
}

#[test]
fn a10_an_access_list_stays_and_set_id_bits_go() {
    let world = world();
    for name in ["listed", "program"] {
        world.put(name, "base");
    }
    let has_lists = world.hands().add_reader("listed", 4711);
    world.hands().set_mode("program", 0o4755);
    let list = world.hands().list("listed");
    world.sync_ok();
    for name in ["listed", "program"] {
        world.dropbox.put(&format!("/{name}"), b"of Dropbox");
    }
    world.sync_ok();
    assert_eq!(world.read("listed").as_deref(), Some("of Dropbox"));
    assert_eq!(world.hands().list("listed"), list);
    assert_eq!(world.mode_bits("program"), 0o755);
    if has_lists {
        assert_eq!(world.mode_bits("listed"), 0o640);
    }
    world.check_settled();
}

#[test]
fn a_leftover_temporary_file_is_removed_and_never_uploaded() {
    let world = world();
    world.put("d/.ferrybox-00ff00ff00ff00ff.tmp", "half a download");
    world.put("d/f", "f");
    world.sync_ok();
    world.check_remote(&[("d/", ""), ("d/f", "f")]);
    assert!(world.read("d/.ferrybox-00ff00ff00ff00ff.tmp").is_none());
}

#[test]
fn an_expired_token_in_the_middle_of_a_pass_says_what_to_do() {
    let world = world();
    world.put("a", "a");
    world.put("b", "b");
    world.dropbox.inject(Fault::new(
        "files/upload",
        When::Nth(2),
        Effect::ExpireToken,
    ));
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::Authentication, "{outcome:?}");
    assert!(
        outcome.error.contains("console tokens last 4 hours"),
        "{}",
        outcome.error
    );
    world.check_local(&[("a", "a"), ("b", "b")]);
}

#[test]
fn what_a_broken_pass_had_finished_is_kept() {
    let world = world();
    for i in 0..10 {
        world.put(&format!("up{i}"), "u");
        world.dropbox.put(&format!("/down{i}"), b"d");
    }
    world.refuse_batches();
    let dropbox = world.dropbox.clone();
    let mut uploads = 0;
    world.on_request(move |request| {
        uploads += u32::from(request.target.ends_with("files/upload"));
        if uploads == 6 {
            dropbox.inject(Fault::new("", When::Always, Effect::CutBefore));
        }
    });
    assert_eq!(world.sync().exit, ExitCode::TryLater);
    world.on_request_nothing();
    world.dropbox.clear_faults();
    let rest = world.sync_ok().counts;
    assert_eq!((rest.uploaded, rest.downloaded, rest.adopted), (5, 0, 0));
    world.check_settled();
}

#[test]
fn downloads_finished_before_the_line_broke_are_put_in_place() {
    let world = world();
    for i in 0..10 {
        world.dropbox.put(&format!("/down{i}"), b"d");
    }
    let dropbox = world.dropbox.clone();
    let mut downloads = 0;
    world.on_request(move |request| {
        downloads += u32::from(request.target.contains("download"));
        if downloads == 6 {
            dropbox.inject(Fault::new("", When::Always, Effect::CutBefore));
        }
    });
    assert_eq!(world.sync().exit, ExitCode::TryLater);
    assert_eq!(world.local_tree().len(), 5);
    world.on_request_nothing();
    world.dropbox.clear_faults();
    assert_eq!(world.sync_ok().counts.downloaded, 5);
}

#[test]
fn w14_a_time_that_no_disk_keeps_becomes_the_nearest_that_travels() {
    let world = world();
    for (name, time) in [
        ("early", "0001-01-01T00:00:00Z"),
        ("late", "9999-12-31T23:59:59Z"),
        ("now", "2026-01-01T00:00:00Z"),
    ] {
        world.dropbox.put_at(&format!("/{name}"), b"f", time);
    }
    world.sync_ok();
    assert_eq!(world.hands().mtime("early"), 0);
    assert_eq!(world.hands().mtime("late"), 4_102_444_799);
    assert_eq!(world.hands().mtime("now"), 1_767_225_600);
    world.check_settled();
}
