//! Index and cursor cut short, flipped and exchanged for older copies, in every mode and with
//! changes waiting on both sides: nothing is lost, and all comes to rest.
//!
//! The ordinary tests take samples of the two long loops over the index; the `#[ignore]`d ones take
//! every byte (`cargo test --test it hostile::state -- --ignored`).

use std::fs;

use ferrybox::error::ExitCode;

use super::story::{MODES, State, Story};

const INDEX: usize = 0;
const CURSOR: usize = 1;

/// What a person has removed when the damage is found.
#[derive(Clone, Copy, Debug)]
enum Removed {
    Nothing,
    Here,
    There,
}

const REMOVED: [Removed; 3] = [Removed::Nothing, Removed::Here, Removed::There];

/// In step, then changed on both sides.
fn changed(mode: &'static str, removed: Removed) -> Story {
    let mut story = Story::new(mode);
    story.here("a", Some("a 2"));
    story.there("b", Some("b 2"));
    story.here("new here", Some("n 1"));
    story.there("dir/new there", Some("t 1"));
    match removed {
        Removed::Nothing => {}
        Removed::Here => story.here("c", None),
        Removed::There => story.there("c", None),
    }
    story
}

/// Damages the state of a fresh story in every combination of mode and removal, in turn.
fn each(count: usize, damage: &dyn Fn(usize, &mut State) -> String) {
    for at in 0..count {
        let mode = MODES[at % 3];
        let removed = REMOVED[at / 3 % 3];
        let story = changed(mode, removed);
        let mut state = story.state();
        let what = damage(at, &mut state);
        story.put_state(&state);
        story.check(&format!("{mode}, removed {removed:?}, {what}"));
    }
}

fn length_of(file: usize) -> usize {
    let state = changed(MODES[0], Removed::Nothing).state();
    state[file].as_ref().map_or(0, Vec::len)
}

fn cut(file: usize, lengths: &[usize]) {
    // Each length in one mode; neighbours take the others.
    each(lengths.len(), &|at, state| {
        let bytes = state[file].as_mut().unwrap();
        bytes.truncate(lengths[at]);
        format!("file {file} cut at {}", lengths[at])
    });
}

fn flip(file: usize, places: &[usize]) {
    each(2 * places.len(), &|at, state| {
        let (place, mask) = (places[at / 2], [0x01, 0xff][at % 2]);
        if let Some(byte) = state[file].as_mut().unwrap().get_mut(place) {
            *byte ^= mask;
        }
        format!("file {file}, byte {place} ^ {mask:#x}")
    });
}

fn all(file: usize) -> Vec<usize> {
    (0..length_of(file)).collect()
}

/// Every byte of the cursor file, with nothing waiting: that costs a listing at most.
#[test]
fn a_cursor_file_cut_or_flipped_anywhere_moves_nothing() {
    let story = Story::new(MODES[0]);
    let [index, Some(cursor)] = story.state() else {
        panic!("no cursor was kept");
    };
    let trees = || [story.world.local_tree(), story.world.remote_tree()];
    let before = trees();
    let damaged = |at: usize, how: usize| {
        let mut bytes = cursor.clone();
        match how {
            0 => bytes.truncate(at),
            1 => bytes[at] ^= 0x01,
            _ => bytes[at] ^= 0xff,
        }
        bytes
    };
    for at in 0..cursor.len() {
        for how in 0..3 {
            story.put_state(&[index.clone(), Some(damaged(at, how))]);
            let outcome = story.world.sync_ok();
            let moved = outcome.counts.uploaded + outcome.counts.downloaded;
            assert_eq!(moved, 0, "byte {at}, way {how}: {outcome:?}");
            assert_eq!(trees(), before, "byte {at}, way {how}");
        }
    }
}

#[test]
fn a_cursor_file_cut_or_flipped_at_a_sample_of_places_loses_nothing() {
    let sample: Vec<_> = all(CURSOR).into_iter().step_by(19).collect();
    cut(CURSOR, &sample);
    flip(CURSOR, &sample);
}

#[test]
#[ignore = "every byte takes minutes"]
fn a_cursor_file_cut_or_flipped_anywhere_loses_nothing() {
    cut(CURSOR, &all(CURSOR));
    flip(CURSOR, &all(CURSOR));
}

#[test]
fn an_index_cut_at_a_sample_of_lengths_loses_nothing() {
    // The header byte by byte, every page boundary and its neighbours, and a stride between.
    let length = length_of(INDEX);
    let near = |at: &usize| *at < 20 || (at + 1) % 1024 <= 2 || at.is_multiple_of(149);
    cut(INDEX, &(0..length).filter(near).collect::<Vec<_>>());
}

#[test]
fn an_index_with_a_sample_of_bytes_flipped_loses_nothing() {
    let length = length_of(INDEX);
    let sample = |at: &usize| (16..32).contains(at) || at.is_multiple_of(89);
    flip(INDEX, &(0..length).filter(sample).collect::<Vec<_>>());
}

#[test]
#[ignore = "every length takes minutes"]
fn an_index_cut_at_any_length_loses_nothing() {
    cut(INDEX, &all(INDEX));
}

#[test]
#[ignore = "every byte takes minutes"]
fn an_index_with_any_byte_flipped_loses_nothing() {
    flip(INDEX, &all(INDEX));
}

/// A short history with edits and deletes on both sides; the state at each point, oldest first.
fn history(mode: &'static str) -> (Story, Vec<State>) {
    let mut story = Story::new(mode);
    let mut states = vec![[None, None], story.state()];
    let mut sync = |story: &Story| {
        story.world.sync_ok();
        states.push(story.state());
    };
    story.here("a", Some("a 2"));
    story.there("b", Some("b 2"));
    sync(&story);
    story.here("c", None);
    story.there("dir/g", None);
    sync(&story);
    story.here("c", Some("c again"));
    story.there("new", Some("new 1"));
    if mode != "LOCAL_TO_DROPBOX" {
        // There the local version replaces the one it has not seen, by that mode's own rule.
        story.there("a", Some("a 3"));
    }
    sync(&story);
    story.there("d", Some("d 2"));
    story.here("e", Some("e 2"));
    (story, states)
}

#[test]
fn older_copies_of_index_and_cursor_lose_nothing() {
    for mode in MODES {
        let points = history(mode).1.len();
        for index in 0..points {
            for cursor in 0..points {
                let (story, states) = history(mode);
                story.put_state(&[states[index][INDEX].clone(), states[cursor][CURSOR].clone()]);
                story.check(&format!("{mode}, index {index}, cursor {cursor}"));
            }
        }
    }
}

/// Where nothing comes down, an edit here replaces one in Dropbox. An older index takes what was
/// sent since for such an edit; a newer cursor beside it shows that, and a person decides.
/// LIMIT: an older index beside an equally old cursor, or none, is a gateway that was off since.
#[test]
fn an_older_index_replaces_no_later_version_in_dropbox() {
    let older = || {
        let mut story = Story::new("LOCAL_TO_DROPBOX");
        let first = story.state();
        story.here("a", Some("a 2"));
        story.world.sync_ok();
        story.there("a", Some("a 3"));
        story.world.sync_ok();
        story.world.sync_ok();
        assert_eq!(story.world.remote_tree()["a"], "a 3");
        (story, first)
    };
    let (story, [index, _]) = older();
    story.put_state(&[index, story.state()[CURSOR].clone()]);
    let outcomes = story.check("older index, newer cursor");
    for outcome in outcomes {
        assert!(outcome.problems.contains_key("/a"), "{outcome:?}");
    }
    assert_eq!(story.world.remote_tree()["a"], "a 3");
    let halted = story.world.sync().problems["/a"].clone();
    story.world.approve(&halted);
    assert_eq!(story.world.remote_tree()["a"], "a 2");
    // Nothing else is held up: the next edit is one.
    story.world.put("b", "b 2");
    story.world.sync_ok();
    assert_eq!(story.world.remote_tree()["b"], "b 2");
    for cursor in [true, false] {
        let (story, [index, first]) = older();
        story.put_state(&[index, first.filter(|_| cursor)]);
        let rev = story.world.dropbox.rev("/a").unwrap();
        story.world.sync_ok();
        let mut requests = story.world.dropbox.requests();
        requests.retain(|request| request.route == "files/upload");
        let modes: Vec<_> = requests.iter().map(|upload| &upload.arg["mode"]).collect();
        assert_eq!(
            modes,
            [&serde_json::json!({".tag": "update", "update": rev})]
        );
    }
}

/// Both files flipped or cut at once, from older copies as well.
#[test]
fn damage_on_top_of_older_copies_loses_nothing() {
    let mut random = super::corpus::Random(11);
    for round in 0..60 {
        let mode = MODES[round % 3];
        let (story, states) = history(mode);
        let mut pick = || states[1 + random.below(states.len() - 1)].clone();
        let mut state = [pick()[INDEX].clone(), pick()[CURSOR].clone()];
        for bytes in state.iter_mut().flatten() {
            let at = random.below(bytes.len());
            match random.below(4) {
                0 => bytes.truncate(at),
                1 => {}
                _ => bytes[at] ^= 1 << random.below(8),
            }
        }
        story.put_state(&state);
        story.check(&format!("round {round}, {mode}"));
    }
}

/// A cursor counts for the listing the index has taken in, not for an index that was emptied.
#[test]
fn an_approved_other_content_dir_gets_all_that_is_in_dropbox() {
    let story = Story::new("BIDIRECTIONAL");
    let world = &story.world;
    fs::rename(world.content(), world.content().with_extension("old")).unwrap();
    fs::create_dir(world.content()).unwrap();
    world.put("only here", "o");
    let halted = world.sync();
    let approved = world.approve(&halted.error);
    assert_eq!(approved.counts.downloaded, 8, "{approved:?}");
    assert_eq!(world.local_tree(), world.remote_tree());
    assert_eq!(world.local_tree().len(), 12);
}

/// In step, with a listing that broke off half-way in the index.
fn half_listed() -> Story {
    use dropbox_standin::{Effect, Fault, When};
    let story = Story::new("BIDIRECTIONAL");
    let world = &story.world;
    fs::remove_file(&story.files()[CURSOR]).unwrap();
    world.dropbox.set_page_limit(10);
    let cut = Fault::new("list_folder/continue", When::Always, Effect::CutBefore);
    world.dropbox.inject(cut);
    world.sync();
    world.dropbox.clear_faults();
    story
}

/// What is lost of half a listing, or comes in another order, would look deleted.
#[test]
fn half_a_listing_out_of_order_deletes_nothing() {
    for statement in [
        "UPDATE staged SET seq = -seq WHERE name = 'b'",
        "UPDATE staged SET seq = seq + 100 WHERE name = 'b'",
        "UPDATE staged SET seq = seq + 1000; UPDATE staged SET seq = 1011 - seq",
        "DELETE FROM staged WHERE name = 'b'",
        "UPDATE staged SET name = 'z' WHERE name = 'b'",
    ] {
        let story = half_listed();
        let db = rusqlite::Connection::open(&story.files()[INDEX]).unwrap();
        db.execute_batch(statement).unwrap();
        drop(db);
        for outcome in story.check(statement) {
            assert_eq!(outcome.counts.deleted_locally, 0, "{statement}");
        }
    }
}

/// The same with a bit flipped anywhere in it.
#[test]
fn damage_to_half_a_listing_deletes_nothing() {
    let mut places = Vec::new();
    for round in 0.. {
        let at_rest = Story::new("BIDIRECTIONAL").state()[INDEX].clone().unwrap();
        let story = half_listed();
        let mut bytes = fs::read(&story.files()[INDEX]).unwrap();
        if places.is_empty() {
            // What the half listing has written.
            let new = |at: &usize| at_rest.get(*at) != Some(&bytes[*at]);
            places = (0..bytes.len()).filter(new).step_by(11).collect();
            assert!(places.len() > 50);
        }
        let Some(&place) = places.get(round) else {
            return;
        };
        // The file is not equally long every time: times and inode numbers differ.
        let Some(byte) = bytes.get_mut(place) else {
            continue;
        };
        *byte ^= 1 << (round % 8);
        fs::write(&story.files()[INDEX], bytes).unwrap();
        for outcome in story.check(&format!("byte {place}")) {
            assert_eq!(
                outcome.counts.deleted_locally, 0,
                "byte {place}: {outcome:?}"
            );
        }
    }
}

/// Only the index knows of a file that has not come down yet: the cursor has told of it. An idle
/// pass does not count the rows; the first one that has anything to write down does.
#[test]
fn a_file_only_in_dropbox_comes_down_though_its_row_is_lost() {
    use dropbox_standin::{Effect, Fault, When};
    for statement in [
        "DELETE FROM entry WHERE name = 'late'",
        "UPDATE entry SET name = 'zate' WHERE name = 'late'",
        "UPDATE entry SET dir = 'dis' WHERE name = 'late'",
        "UPDATE entry SET rkind = 0 WHERE name = 'late'",
        "DROP INDEX entry_pending",
    ] {
        for mode in ["BIDIRECTIONAL", "DROPBOX_TO_LOCAL"] {
            let mut story = Story::new(mode);
            story.there("dir/late", Some("late 1"));
            let fails = Effect::Status(500, String::new());
            let dropbox = &story.world.dropbox;
            dropbox.inject(Fault::new("download", When::Always, fails));
            story.world.sync();
            story.world.dropbox.clear_faults();
            let db = rusqlite::Connection::open(&story.files()[INDEX]).unwrap();
            db.execute_batch(statement).unwrap();
            drop(db);
            story.there("dir/news", Some("news 1"));
            story.check(&format!("{mode}: {statement}"));
            assert_eq!(story.world.read("dir/late").unwrap(), "late 1");
        }
    }
}

/// A walk takes a file whose stamp holds for one in step, whatever else its row has come to say:
/// only what Dropbox tells about it shows the damage.
#[test]
fn a_damaged_row_hides_no_change_in_dropbox() {
    let damage = |story: &Story, names: &str| {
        let db = rusqlite::Connection::open(&story.files()[INDEX]).unwrap();
        let statement = format!("UPDATE entry SET hash = zeroblob(32) WHERE name IN ({names})");
        assert!(db.execute(&statement, []).unwrap() > 0);
    };
    for mode in MODES {
        let mut story = Story::new(mode);
        story.there("b", Some("b 2"));
        story.there("c", None);
        damage(&story, "'b', 'c'");
        story.check(mode);
    }
    let story = Story::new("BIDIRECTIONAL");
    story.world.dropbox.remove("/dir");
    // Alone in its folder: where others change, all rows are read.
    damage(&story, "'h'");
    story.world.sync_ok();
    story.world.sync_ok();
    assert_eq!(story.world.local_tree(), story.world.remote_tree());
    story.world.check_settled();
}

/// Values a flipped bit can give, and others.
#[test]
fn absurd_rows_delete_overwrite_and_leave_nothing() {
    let absurd = [
        "UPDATE entry SET rkind = 1 WHERE kind = 2",
        "UPDATE entry SET rkind = 9",
        "UPDATE entry SET kind = 2 WHERE kind = 1",
        "UPDATE entry SET kind = 1 WHERE kind = 2",
        "UPDATE entry SET size = -1, inode = -1, mtime = 1 << 63",
        "UPDATE entry SET size = 'x', racy = 'x'",
        "UPDATE entry SET hash = x'00'",
        "UPDATE entry SET rev = NULL",
        "UPDATE entry SET dir = '..' WHERE dir = 'dir'",
        "UPDATE entry SET name = '../../evil' WHERE name = 'a'",
        "UPDATE entry SET name = char(97, 0, 98) WHERE name = 'a'",
        "UPDATE entry SET local = '../../evil', rkind = 3, rrev = 'x', rsize = 1",
        "UPDATE entry SET name = x'ff' WHERE name = 'a'",
        "DELETE FROM entry WHERE kind = 2",
        "DELETE FROM meta",
        "DELETE FROM meta WHERE name = 'id'",
        "DELETE FROM meta WHERE name = 'counter'",
        "DELETE FROM meta WHERE name LIKE 'root%'",
        "DELETE FROM meta WHERE name = 'account_id'",
        "DROP TABLE staged",
        "PRAGMA user_version = 7",
        "CREATE TRIGGER t AFTER UPDATE ON meta BEGIN DELETE FROM entry; END",
    ];
    for mode in MODES {
        for statement in absurd {
            let story = changed(mode, Removed::Nothing);
            let db = rusqlite::Connection::open(&story.files()[INDEX]).unwrap();
            db.execute_batch(statement).unwrap();
            drop(db);
            for outcome in story.check(&format!("{mode}: {statement}")) {
                let counts = outcome.counts;
                assert_eq!(
                    counts.deleted_locally + counts.deleted_in_dropbox,
                    0,
                    "{statement}"
                );
            }
            let evil = story.world.content().parent().unwrap().join("evil");
            assert!(!evil.exists());
        }
    }
}

/// Five seconds: as long as SQLite waits for the lock.
#[test]
fn an_index_another_program_has_locked_is_left_alone() {
    let story = Story::new(MODES[0]);
    let before = story.state();
    let db = rusqlite::Connection::open(&story.files()[INDEX]).unwrap();
    db.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let outcome = story.world.sync();
    assert_eq!(outcome.exit, ExitCode::Failed, "{outcome:?}");
    assert!(outcome.error.contains("locked"), "{outcome:?}");
    assert!(outcome.error.contains("SQLite code 5"), "{outcome:?}");
    drop(db);
    assert_eq!(story.state(), before);
    let outcome = story.world.sync_ok();
    assert_eq!(outcome.calls, ["list_folder/continue"]);
}
