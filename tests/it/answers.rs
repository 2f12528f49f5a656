//! Answers to an upload that do not say what was sent: nothing is settled by them.

use dropbox_standin::{Effect, Fault, When, content_hash};
use ferrybox::error::ExitCode;

use crate::world::{World, world};

/// A world in which every upload is answered like this, and the pass that meets with it.
fn check_not_settled(path_lower: &str, size: u64, hash: Option<&str>, told: &str) {
    let world: World = world();
    world.put("f", "f");
    let hash = hash.map_or(String::new(), |hash| format!(r#","content_hash":"{hash}""#));
    let answer = format!(
        r#"{{"name":"f","id":"id:f","client_modified":"2026-01-01T00:00:00Z",
        "server_modified":"2026-01-01T00:00:00Z","rev":"0123456789abcdef","size":{size},
        "path_lower":"{path_lower}","path_display":"{path_lower}"{hash}}}"#
    );
    let answer = Effect::Status(200, answer);
    world
        .dropbox
        .inject(Fault::new("files/upload", When::Always, answer));
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::SomeFiles, "{outcome:?}");
    assert!(outcome.problems["/f"].contains(told), "{outcome:?}");
    world.dropbox.clear_faults();
    assert_eq!(world.sync_ok().counts.uploaded, 1);
    world.check_both(&[("f", "f")]);
}

#[test]
fn a_file_stored_under_another_key_is_a_problem() {
    let hash = content_hash(b"f");
    check_not_settled("/g", 1, Some(&hash), "under another name (/g)");
}

#[test]
fn a_file_stored_with_another_hash_is_a_problem() {
    let hash = content_hash(b"g");
    check_not_settled("/f", 1, Some(&hash), "other bytes than were sent");
}

#[test]
fn a_file_stored_with_another_length_is_a_problem_where_no_hash_is_told() {
    check_not_settled("/f", 2, None, "other bytes than were sent");
}
