//! A rollback journal beside the index: the one a killed run leaves is played back, and no other
//! one loses anything.

use std::fs;
use std::path::PathBuf;

use super::corpus::Random;
use super::story::{MODES, State, Story};

/// What a run that is killed right before the end of a commit leaves: the index as it was, as the
/// commit would have it, and the journal.
struct Killed {
    before: Vec<u8>,
    after: Vec<u8>,
    journal: Vec<u8>,
}

fn journal_of(story: &Story) -> PathBuf {
    story.world.state().join("index.db-journal")
}

/// Runs statements in a transaction that ends without its last step, the end of the journal.
fn killed_in(story: &Story, statements: &str) -> Killed {
    let file = &story.files()[0];
    let before = fs::read(file).unwrap();
    let kept = story.world.state().join("kept");
    let db = rusqlite::Connection::open(file).unwrap();
    db.execute_batch(&format!("BEGIN IMMEDIATE; {statements}"))
        .unwrap();
    // SQLite removes the name; what was in it at that moment stays under this one.
    fs::hard_link(journal_of(story), &kept).unwrap();
    db.execute_batch("COMMIT").unwrap();
    drop(db);
    let killed = Killed {
        before,
        after: fs::read(file).unwrap(),
        journal: fs::read(&kept).unwrap(),
    };
    fs::remove_file(kept).unwrap();
    fs::write(file, &killed.before).unwrap();
    assert_ne!(killed.before, killed.after);
    assert!(killed.journal.len() > 1024, "{}", killed.journal.len());
    killed
}

const EMPTIED: &str = "DELETE FROM entry WHERE kind = 2; DELETE FROM meta WHERE name = 'counter';";

#[test]
fn the_journal_of_a_killed_run_brings_back_the_index_as_it_was() {
    let story = Story::new("BIDIRECTIONAL");
    let killed = killed_in(&story, EMPTIED);
    let pages = killed.after.len() / 1024;
    for written in 0..=pages {
        // The first pages are written, the others not yet.
        let mut torn = killed.before.clone();
        let to = (1024 * written).min(torn.len());
        torn[..to].copy_from_slice(&killed.after[..to]);
        fs::write(&story.files()[0], torn).unwrap();
        fs::write(journal_of(&story), &killed.journal).unwrap();
        let outcome = story.world.sync_ok();
        assert_eq!(outcome.calls, ["list_folder/continue"], "{written} pages");
        // It stays, and says that there is nothing to play back.
        let journal = fs::read(journal_of(&story)).unwrap_or_default();
        assert!(journal.iter().take(28).all(|byte| *byte == 0));
        let after = fs::read(&story.files()[0]).unwrap();
        assert!(after == killed.before, "{written} pages");
    }
    // Without the journal the loss is told.
    fs::write(&story.files()[0], &killed.after).unwrap();
    let outcome = story.world.sync_ok();
    assert_eq!(outcome.calls[0], "list_folder");
    story.check("no journal");
}

/// Changes that wait on both sides when the journal is found.
fn waiting(mode: &'static str) -> Story {
    let mut story = Story::new(mode);
    story.here("a", Some("a 2"));
    story.there("b", Some("b 2"));
    story.here("c", None);
    story.there("dir/g", None);
    story.there("new there", Some("t 1"));
    story
}

#[test]
fn a_journal_that_is_foreign_cut_or_garbage_loses_nothing() {
    let foreign = killed_in(&Story::new("BIDIRECTIONAL"), EMPTIED).journal;
    let mut random = Random(5);
    let noise: Vec<u8> = (0..3000).map(|_| random.next() as u8).collect();
    let mut after_header = foreign.clone();
    after_header[512..].fill(0xa5);
    let others = [Vec::new(), vec![0; 512], noise, after_header, foreign];
    for mode in MODES {
        let length = killed_in(&waiting(mode), EMPTIED).journal.len();
        // Of its own journal only so much.
        let cuts = (1..length).step_by(701).map(|cut| (cut, None));
        let others = others.iter().map(|other| (other.len(), Some(other)));
        for (length, other) in others.chain(cuts) {
            for index in ["as it was", "changed", "missing", "empty"] {
                let story = waiting(mode);
                let own = killed_in(&story, EMPTIED);
                let [settled, cursor] = story.state();
                let bytes = match index {
                    "as it was" => settled,
                    "changed" => Some(own.after),
                    "missing" => None,
                    _ => Some(Vec::new()),
                };
                let state: State = [bytes, cursor];
                story.put_state(&state);
                let journal = other.unwrap_or(&own.journal);
                fs::write(journal_of(&story), &journal[..length.min(journal.len())]).unwrap();
                story.check(&format!("{mode}, journal of {length} bytes, index {index}"));
            }
        }
    }
}
