//! A pass that finds nothing to do asks one question and writes nothing.

use ferrybox::index::{Index, Meta};

use crate::world::{World, world};

#[test]
fn an_idle_pass_is_one_request_and_no_write() {
    let world = world();
    for i in 0..40 {
        world.put(&format!("d{}/{i}", i % 5), &format!("{i}"));
    }
    world.dropbox.put("/from/dropbox", b"d");
    world.sync_ok();
    world.check_settled();
}

#[test]
fn one_small_file_costs_two_requests() {
    let world = world();
    world.put("a", "a");
    world.sync_ok();
    world.sync_ok();
    world.put("b", "b");
    assert_eq!(world.sync_ok().calls, ["list_folder/continue", "upload"]);
    world.sync_ok();
    world.dropbox.put("/c", b"c");
    assert_eq!(world.sync_ok().calls, ["list_folder/continue", "download"]);
}

#[test]
fn a_fresh_file_is_hashed_once_more_and_then_trusted() {
    let world = world();
    world.clock.set_to_now();
    world.put("f", "aaaa");
    world.sync_ok();
    // The same size within the tick of the clock: only the content tells.
    world.put("f", "bbbb");
    let outcome = world.sync_ok();
    assert_eq!(outcome.counts.uploaded, 1);
    world.check_both(&[("f", "bbbb")]);
    world.clock.advance(10);
    world.check_settled();
}

#[test]
fn a_clock_that_jumps_changes_no_decision() {
    let world = world();
    world.put("f", "f");
    world.sync_ok();
    for jump in [-40 * 365 * 86_400, 80 * 365 * 86_400, -40 * 365 * 86_400] {
        world.clock.advance(jump);
        let outcome = world.sync_ok();
        assert_eq!(
            outcome.counts,
            ferrybox::report::Counts::default(),
            "{jump}"
        );
    }
    world.put("f", "edited");
    assert_eq!(world.sync_ok().counts.uploaded, 1);
}

#[test]
fn left_over_remote_files_cost_no_more_in_local_to_dropbox() {
    let world = World::in_mode("LOCAL_TO_DROPBOX");
    for i in 0..20 {
        world.dropbox.put(&format!("/elsewhere/{i}"), b"x");
    }
    world.put("a", "a");
    world.sync_ok();
    world.check_settled();
}

#[test]
fn freshness_is_judged_when_a_file_is_read_not_when_its_upload_ends() {
    let world = World::in_memory("BIDIRECTIONAL");
    world.clock.set_to_now();
    world.clock.upload_takes_s.set(60);
    world.put("f", "aaaa");
    assert_eq!(world.sync_ok().counts.uploaded, 1);
    // It was read within the tick of its last write: whatever its stamp, it is looked at again.
    let index = rusqlite::Connection::open(world.state().join("index.db")).unwrap();
    let racy: i64 = index
        .query_row("SELECT racy FROM entry WHERE name = 'f'", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(racy, 1);
}

/// A disk in the network: whole seconds, by a clock that is 10 s behind ours.
fn with_slow_clock(mode: &'static str) -> World {
    let world = World::in_memory(mode);
    world.clock.set_to_now();
    world.disk().tree().clock = (SECOND, 10 * SECOND);
    world
}

const SECOND: i64 = 1_000_000_000;

/// A16: freshness is judged by the clock of the filesystem the file is on.
#[test]
fn a16_an_edit_in_the_same_second_of_a_slow_clock_is_seen() {
    for mode in ["BIDIRECTIONAL", "LOCAL_TO_DROPBOX"] {
        for version in ["new", "of 0.1"] {
            let world = with_slow_clock(mode);
            world.put("f", "aaaa");
            world.sync_ok();
            world.pass_time(60 * SECOND);
            world.sync_ok();
            if version == "of 0.1" {
                // It has not learnt how slow the clock is.
                let index = Index::open(&world.state().join("index.db"))
                    .unwrap()
                    .unwrap();
                let forget = || index.clear_meta(Meta::ClockLag);
                index.transaction(forget).unwrap();
            }
            // At the beginning of a second there, and once more before it is over.
            world.pass_time_to_whole_second();
            world.put("f", "bbbb");
            assert_eq!(world.sync_ok().counts.uploaded, 1, "{mode}, {version}");
            world.put("f", "cccc");
            assert_eq!(world.sync_ok().counts.uploaded, 1, "{mode}, {version}");
            world.pass_time(60 * SECOND);
            world.sync_ok();
            world.check_remote(&[("f", "cccc")]);
            // From then on it is trusted.
            world.check_settled();
            let reads = world.reads_of_a_pass();
            assert_eq!(reads, 0, "it is not read any more: {mode}, {version}");
        }
    }
}

#[test]
fn a16_a_clock_with_fractions_is_trusted_after_a_tick() {
    let world = World::in_memory("BIDIRECTIONAL");
    world.clock.set_to_now();
    world.put("f", "aaaa");
    world.pass_time(SECOND / 2);
    world.sync_ok();
    world.check_settled();
    assert_eq!(world.reads_of_a_pass(), 0);
}
