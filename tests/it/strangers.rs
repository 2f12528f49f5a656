//! Answers that are not in Dropbox's words: a web filter, a login page, an empty 401. They end no
//! sign-in and drop no state; and what Dropbox itself says of a token is told in one sentence.

use dropbox_standin::{Effect, Fault, When};
use ferrybox::error::ExitCode;

use crate::world::{World, world};

const HTML: &str = "<html><head><title>Blocked</title></head><body>Log in</body></html>";

/// B1.
#[test]
fn b1_what_is_not_in_dropboxs_words_is_tried_later_and_costs_nothing() {
    for status in [302, 400, 401, 403, 404, 407, 409, 422, 451, 511] {
        for body in [HTML, "", "{}", r#"{"error":"blocked"}"#, "Forbidden"] {
            let world = world();
            world.put("a", "a");
            world.sync_ok();
            let cursor = world.state_file("cursor.json");
            let answer = Effect::Status(status, body.to_owned());
            world.dropbox.inject(Fault::new("", When::Always, answer));
            let outcome = world.sync();
            let when = format!("{status} {body:?}: {outcome:?}");
            assert_eq!(outcome.exit, ExitCode::TryLater, "{when}");
            let says_it = outcome
                .error
                .contains("something on the way answered instead");
            assert!(says_it, "{when}");
            assert_eq!(world.state_file("cursor.json"), cursor, "{when}");
            world.dropbox.clear_faults();
            assert_eq!(world.sync_ok().calls, ["list_folder/continue"], "{when}");
        }
    }
}

/// B1.
#[test]
fn b1_a_login_page_instead_of_a_listing_says_so_in_plain_words() {
    let world = world();
    world
        .dropbox
        .inject(Fault::new("", When::Always, Effect::Html));
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::TryLater, "{outcome:?}");
    assert!(
        outcome.error.contains("a web filter or a login page"),
        "{outcome:?}"
    );
    assert!(!outcome.error.contains("line 1"), "{outcome:?}");
}

/// B1: one path only, in the middle of a pass.
#[test]
fn b1_a_web_filter_for_uploads_leaves_everything_as_it_was() {
    let world = World::in_mode("LOCAL_TO_DROPBOX");
    world.refuse_batches();
    world.put("a", "a");
    let answer = Effect::Status(403, HTML.to_owned());
    world
        .dropbox
        .inject(Fault::new("files/upload", When::Always, answer));
    let outcome = world.sync();
    assert!(
        !matches!(outcome.exit, ExitCode::Ok | ExitCode::Authentication),
        "{outcome:?}"
    );
    world.dropbox.clear_faults();
    world.sync_ok();
    world.check_remote(&[("a", "a")]);
}

/// What Dropbox says to every call, and what is told.
#[track_caller]
fn told(status: u16, body: &str) -> String {
    let world = world();
    let answer = Effect::Status(status, body.to_owned());
    world.dropbox.inject(Fault::new("", When::Always, answer));
    let outcome = world.sync();
    assert_eq!(
        outcome.exit,
        ExitCode::Authentication,
        "{body}: {outcome:?}"
    );
    assert_eq!(outcome.error.lines().count(), 1, "{outcome:?}");
    outcome.error
}

/// B12.
#[test]
fn b12_a_malformed_token_is_told_in_one_sentence() {
    for body in [
        "Error in call to API function \"users/get_current_account\": The given OAuth 2 access \
         token is malformed.",
        "Error in call to API function \"files/list_folder\": Invalid authorization value in HTTP \
         header \"Authorization\": \"Bearer x\". Expecting something else.",
        "Error in call to API function \"files/list_folder\": Must provide HTTP header \
         \"Authorization\" or URL parameter \"authorization\".",
    ] {
        let text = told(400, body);
        assert!(text.contains("copy it again, whole"), "{text}");
        assert!(text.contains("ferrybox startAuthentication"), "{text}");
    }
}

/// B12.
#[test]
fn b12_a_token_of_a_team_is_told_in_one_sentence() {
    let text = "Error in call to API function \"users/get_current_account\": This API function \
                operates on a single Dropbox account, but the OAuth 2 access token you provided is \
                for an entire Dropbox Business team.";
    let root = r#"{"error_summary": "no_permission/..", "error": {".tag": "no_permission"}}"#;
    for (status, body) in [(400, text), (422, root)] {
        let text = told(status, body);
        assert!(text.contains("a whole Dropbox team"), "{text}");
        assert!(!text.contains('{'), "{text}");
    }
}
