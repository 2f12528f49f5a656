//! Large files go on where a run broke off, in both directions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dropbox_standin::{Effect, Fault, When};
use ferrybox::commands::sync::SyncArgs;
use ferrybox::config::Config;
use ferrybox::error::ExitCode;
use ferrybox::index::{Index, Meta};

use crate::world::{Outcome, World, world};

const MIB: usize = 1 << 20;

fn downloads(outcome: &Outcome) -> usize {
    let is_download = |call: &&String| call.starts_with("download");
    outcome.calls.iter().filter(is_download).count()
}

fn noise(length: usize) -> Vec<u8> {
    (0..length)
        .map(|i| ((i * i) >> 7) as u8 ^ i as u8)
        .collect()
}

/// A pass in which the line breaks for good at the nth call of a route.
fn broken_at(world: &World, route: &'static str, nth: u64) {
    let dropbox = world.dropbox.clone();
    let mut seen = 0;
    world.on_request(move |request| {
        seen += u64::from(request.target.contains(route));
        if seen == nth {
            dropbox.inject(Fault::new("", When::Always, Effect::CutBefore));
        }
    });
    assert_eq!(world.sync().exit, ExitCode::TryLater);
    world.on_request_nothing();
    world.dropbox.clear_faults();
}

/// Bytes that go up from now on.
fn sent(world: &World) -> Arc<AtomicU64> {
    let sum = Arc::new(AtomicU64::new(0));
    let counted = sum.clone();
    world.on_request(move |request| {
        let is_upload = request.target.contains("upload");
        let bytes = if is_upload { request.body.len() } else { 0 };
        counted.fetch_add(bytes as u64, Ordering::Relaxed);
    });
    sum
}

#[test]
fn a_large_upload_goes_on_in_the_next_run() {
    let world = world();
    let bytes = noise(40 * MIB);
    world.put_bytes("big", &bytes);
    broken_at(&world, "append_v2", 3);
    let sent = sent(&world);
    let outcome = world.sync_ok();
    assert!(
        !outcome
            .calls
            .iter()
            .any(|call| call == "upload_session/start")
    );
    assert_eq!(sent.load(Ordering::Relaxed), 16 * MIB as u64);
    assert!(world.dropbox.read("/big").unwrap() == bytes);
    world.check_settled();
}

#[test]
fn an_upload_of_a_file_that_changed_between_two_runs_starts_over() {
    let world = world();
    world.put_bytes("big", &noise(30 * MIB));
    broken_at(&world, "append_v2", 2);
    world.put_bytes("big", &vec![3; 30 * MIB]);
    let outcome = world.sync_ok();
    assert!(
        outcome
            .calls
            .iter()
            .any(|call| call == "upload_session/start")
    );
    assert!(world.dropbox.read("/big").unwrap() == vec![3; 30 * MIB]);
    assert!(world.dropbox.replaced().is_empty());
    world.check_settled();
}

/// R6: whatever an append of no bytes says, the file arrives in this run: what Dropbox says of the
/// offset later counts, and a session that is of no use is begun anew.
#[test]
fn r6_a_session_of_unknown_state_is_no_reason_to_wait() {
    let odd = |tags: &str| Effect::refused(tags);
    let answers: [(&str, Option<Effect>); 5] = [
        ("success, unchecked", None),
        ("an offset that is none", Some(odd("incorrect_offset"))),
        ("another refusal", Some(odd("other"))),
        ("too large", Some(odd("payload_too_large"))),
        (
            "no such call",
            Some(Effect::Status(400, "Error in call to API function".into())),
        ),
    ];
    for (what, answer) in answers {
        let world = world();
        let bytes = noise(40 * MIB);
        world.put_bytes("big", &bytes);
        broken_at(&world, "append_v2", 3);
        world
            .dropbox
            .change_habits(|it| it.checks_empty_appends = false);
        if let Some(answer) = answer {
            world
                .dropbox
                .inject(Fault::new("append_v2", When::Nth(1), answer));
        }
        let sent = sent(&world);
        world.sync_ok();
        assert!(world.dropbox.read("/big").unwrap() == bytes, "{what}");
        // At most all of it, and one chunk in vain.
        let most = 48 * MIB as u64;
        assert!(sent.load(Ordering::Relaxed) <= most, "{what}");
        world.check_settled();
    }
}

/// R6: nor is an offset that Dropbox never says right.
#[test]
fn r6_a_session_whose_offset_is_never_right_is_begun_anew() {
    let world = world();
    let bytes = noise(40 * MIB);
    world.put_bytes("big", &bytes);
    broken_at(&world, "append_v2", 3);
    world.dropbox.inject(Fault::new(
        "append_v2",
        When::First(2),
        Effect::refused("incorrect_offset"),
    ));
    let outcome = world.sync_ok();
    let starts = outcome
        .calls
        .iter()
        .filter(|call| *call == "upload_session/start");
    assert_eq!(starts.count(), 2, "{outcome:?}");
    assert!(world.dropbox.read("/big").unwrap() == bytes);
    world.check_settled();
}

/// H3: whatever keeps Dropbox from going on with a session of an earlier run, the file arrives in
/// this one, by another, and the old one is not asked about again.
#[test]
fn h3_a_session_that_is_not_gone_on_with_is_begun_anew() {
    let append = [
        "payload_too_large",
        "not_allowed",
        "concurrent_session_invalid_offset",
        "other",
    ];
    let finish = [
        "lookup_failed/other",
        "lookup_failed/not_closed",
        "not_closed",
        "other",
    ];
    let mut answers = vec![("append_v2", 0, Effect::Status(500, String::new()))];
    answers.extend(append.map(|tags| ("append_v2", 1, Effect::refused(tags))));
    answers.extend(finish.map(|tags| ("session/finish", 1, Effect::refused(tags))));
    for (route, least, answer) in answers {
        let world = world();
        let bytes = noise(40 * MIB);
        world.put_bytes("big", &bytes);
        broken_at(&world, "append_v2", 3);
        // Until another session begins.
        let dropbox = world.dropbox.clone();
        let refused = answer.clone();
        let mut is_begun = false;
        world.on_request(move |request| {
            dropbox.clear_faults();
            is_begun |= request.target.contains("session/start");
            let is_struck = request.target.contains(route) && request.body.len() >= least;
            if is_struck && !is_begun {
                dropbox.inject(Fault::new(route, When::Always, refused.clone()));
            }
        });
        let outcome = world.sync_ok();
        let starts = |call: &&String| *call == "upload_session/start";
        let starts = outcome.calls.iter().filter(starts).count();
        assert_eq!(starts, 1, "{route} {answer:?}: {outcome:?}");
        assert!(world.dropbox.read("/big").unwrap() == bytes, "{answer:?}");
        world.on_request_nothing();
        world.check_settled();
    }
}

/// H3: an outage is no reason to begin anew.
#[test]
fn h3_a_session_waits_through_an_outage() {
    let world = world();
    let bytes = noise(40 * MIB);
    world.put_bytes("big", &bytes);
    broken_at(&world, "append_v2", 3);
    let failing = Effect::Status(503, String::new());
    let dropbox = world.dropbox.clone();
    world.on_request(move |request| {
        if request.target.contains("append_v2") {
            dropbox.inject(Fault::new("", When::Always, failing.clone()));
        }
    });
    assert_ne!(world.sync().exit, ExitCode::Ok);
    world.on_request_nothing();
    world.dropbox.clear_faults();
    let outcome = world.sync_ok();
    let starts = |call: &String| call == "upload_session/start";
    assert!(!outcome.calls.iter().any(starts), "{outcome:?}");
    assert!(world.dropbox.read("/big").unwrap() == bytes);
}

#[test]
fn an_upload_session_that_is_too_old_is_begun_anew() {
    let world = world();
    let bytes = noise(30 * MIB);
    world.put_bytes("big", &bytes);
    broken_at(&world, "append_v2", 2);
    let gone = Effect::refused("not_found");
    world
        .dropbox
        .inject(Fault::new("append_v2", When::Nth(1), gone));
    world.sync_ok();
    assert!(world.dropbox.read("/big").unwrap() == bytes);
    world.check_settled();
}

/// Dropbox forgets a session in the middle of a run, at its first call or at its last.
#[test]
fn an_upload_session_that_dropbox_forgets_is_begun_anew_in_the_same_run() {
    let [append, finish] = ["not_found", "lookup_failed/not_found"];
    for (route, tags) in [("append_v2", append), ("session/finish", finish)] {
        let world = world();
        let bytes = noise(30 * MIB);
        world.put_bytes("big", &bytes);
        let gone = Effect::refused(tags);
        world.dropbox.inject(Fault::new(route, When::Nth(1), gone));
        let outcome = world.sync_ok();
        let starts = |call: &&String| *call == "upload_session/start";
        assert_eq!(
            outcome.calls.iter().filter(starts).count(),
            2,
            "{outcome:?}"
        );
        assert!(world.dropbox.read("/big").unwrap() == bytes);
        world.check_settled();
    }
}

/// Unclear: nothing tells it from a file that somebody else has put there.
#[test]
fn a_large_upload_whose_last_answer_was_lost_comes_back_where_the_file_was_removed() {
    let world = world();
    world.put("keep", "k");
    world.sync_ok();
    world.put_bytes("big", &noise(30 * MIB));
    let unreachable = [
        ("session/finish", Effect::CutAfter),
        ("get_metadata", Effect::CutBefore),
        ("get_current_account", Effect::CutBefore),
    ];
    for (route, effect) in unreachable {
        world
            .dropbox
            .inject(Fault::new(route, When::Always, effect));
    }
    let outcome = world.sync();
    assert_ne!(outcome.exit, ExitCode::Ok, "{outcome:?}");
    assert!(world.dropbox.read("/big").is_some());
    world.dropbox.clear_faults();
    world.remove("big");
    world.sync_ok();
    assert!(world.read("big").is_some(), "it is lost on neither side");
    world.check_settled();
}

/// A world in which a download of 20 MiB broke off after 15.
fn broken_download(path: &str) -> (World, Vec<u8>) {
    let world = world();
    let bytes = noise(20 * MIB);
    world.dropbox.put(path, &bytes);
    let cut = Fault::new("download", When::Nth(1), Effect::Truncate(15 * MIB));
    world.dropbox.inject(cut);
    broken_at(&world, "files/download", 2);
    (world, bytes)
}

#[test]
fn a_large_download_goes_on_in_the_next_run() {
    let (world, bytes) = broken_download("/d/big");
    assert!(world.read("d/big").is_none(), "nothing half is in place");
    let mut range = None;
    let seen = Arc::new(std::sync::Mutex::new(None));
    let told = seen.clone();
    world.on_request(move |request| {
        range = request.header("range").map(str::to_owned).or(range.take());
        told.lock().unwrap().clone_from(&range);
    });
    let outcome = world.sync_ok();
    assert_eq!(downloads(&outcome), 1);
    let range = seen.lock().unwrap().clone();
    assert_eq!(range.as_deref(), Some(&*format!("bytes={}-", 15 * MIB)));
    assert!(std::fs::read(world.content().join("d/big")).unwrap() == bytes);
    world.check_settled();
}

#[test]
fn the_beginning_of_a_version_that_was_replaced_is_of_no_use() {
    let (world, _) = broken_download("/big");
    world.dropbox.put("/big", &vec![1; 20 * MIB]);
    world.sync_ok();
    let names: Vec<_> = std::fs::read_dir(world.content())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".part") || name.ends_with(".tmp"))
        .collect();
    assert!(names.is_empty(), "{names:?}");
    assert!(std::fs::read(world.content().join("big")).unwrap() == vec![1; 20 * MIB]);
}

/// Another instance, in whose content dir that of `inner` lies.
fn outer_of(inner: &World) -> (World, Config) {
    let outer = world();
    *outer.sync_keys.borrow_mut() = "exclude = ['/state']".to_owned();
    let mut config = outer.config();
    config.sync.content_dir = inner.content().parent().unwrap().to_owned();
    (outer, config)
}

fn own_files(world: &World) -> Vec<String> {
    let entries = std::fs::read_dir(world.content()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let is_temporary = |name: &String| name.ends_with(".part") || name.ends_with(".tmp");
    names.filter(is_temporary).collect()
}

/// A13: a content dir within another one.
#[test]
fn a13_temporary_files_of_an_instance_within_are_left_alone() {
    let (inner, bytes) = broken_download("/big");
    let (outer, config) = outer_of(&inner);
    let part = own_files(&inner);
    assert_eq!(part.len(), 1, "{part:?}");
    // One that 0.1 has made, and one of the outer instance itself.
    inner.put(".ferrybox-00ff00ff00ff00ff.tmp", "of the inner one, by 0.1");
    let args = SyncArgs::default();
    for _ in 0..2 {
        let outcome = outer.sync_config(&config, &args);
        assert_eq!(outcome.exit, ExitCode::Ok, "{outcome:?}");
    }
    assert_eq!(own_files(&inner).len(), 2);
    let there = outer.remote_tree();
    assert!(
        there.keys().all(|path| !path.contains("ferrybox")),
        "{there:?}"
    );
    // The inner one takes up its own, and clears what 0.1 has left.
    let outcome = inner.sync_ok();
    assert_eq!(downloads(&outcome), 1);
    assert!(std::fs::read(inner.content().join("big")).unwrap() == bytes);
    inner.sync_ok();
    assert_eq!(own_files(&inner), [""; 0]);
}

#[test]
fn a13_old_ones_of_another_instance_are_told_of_once() {
    let (inner, _) = broken_download("/big");
    let (outer, config) = outer_of(&inner);
    let args = SyncArgs::default();
    let told = || {
        let outcome = outer.sync_config(&config, &args);
        assert_eq!(outcome.exit, ExitCode::Ok, "{outcome:?}");
        let index = Index::open(&outer.state().join("index.db")).unwrap();
        index.unwrap().meta(Meta::LeftByOthers).unwrap()
    };
    assert_eq!(told(), None, "it is fresh");
    let part = own_files(&inner).remove(0);
    inner.set_mtime(&part, 1_767_225_600);
    assert_eq!(told().as_deref(), Some("1"));
    let written = outer.written();
    assert_eq!(told().as_deref(), Some("1"));
    assert_eq!(outer.written(), written, "an idle pass writes nothing");
    inner.remove(&part);
    assert_eq!(told(), None);
}

#[test]
fn the_beginning_of_a_download_waits_through_other_passes_and_is_never_sent_up() {
    let (world, bytes) = broken_download("/big");
    world.put("new", "n");
    world.upload_only();
    assert_eq!(world.dropbox.read("/new").unwrap(), b"n");
    assert_eq!(world.remote_tree().len(), 2);
    let outcome = world.sync_ok();
    assert_eq!(downloads(&outcome), 1);
    assert!(std::fs::read(world.content().join("big")).unwrap() == bytes);
}

#[test]
fn a_spoilt_beginning_costs_a_download_and_nothing_else() {
    let (world, bytes) = broken_download("/big");
    let part = std::fs::read_dir(world.content())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "part"))
        .unwrap();
    let mut spoilt = std::fs::read(&part).unwrap();
    spoilt[MIB] ^= 1;
    std::fs::write(&part, spoilt).unwrap();
    let outcome = world.sync_ok();
    assert_eq!(downloads(&outcome), 2);
    assert!(std::fs::read(world.content().join("big")).unwrap() == bytes);
}
