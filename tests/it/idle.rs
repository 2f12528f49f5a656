//! A pass that finds nothing to do asks one question and writes nothing.

use crate::world::world;

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
    let world = crate::world::World::in_mode("LOCAL_TO_DROPBOX");
    for i in 0..20 {
        world.dropbox.put(&format!("/elsewhere/{i}"), b"x");
    }
    world.put("a", "a");
    world.sync_ok();
    world.check_settled();
}

#[test]
fn freshness_is_judged_when_a_file_is_read_not_when_its_upload_ends() {
    let world = world();
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
