//! Every route that is called, refused for good, refused once, answered in another shape, late,
//! or with the answer lost: each ends in step, at the latest once the fault is over, and nothing is
//! lost on the way. Where there is a plainer way to the same end, it ends so while the fault lasts.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use dropbox_standin::{Effect, Fault, Launch, Standin, When};
use ferrybox::config::Secret;
use ferrybox::core::invocation::Invocation;
use ferrybox::core::remote::{Cursor, Namespaces, RemotePath};
use ferrybox::daemon::listening::{Listening, PollEnd};
use ferrybox::dropbox::api::Api;
use ferrybox::dropbox::auth;
use ferrybox::dropbox::files::{HistoryOf, restore, revisions};
use ferrybox::dropbox::longpoll::longpoll;
use ferrybox::dropbox::retry::CallError;
use ferrybox::dropbox::tokens::{AccessTokens, Credential, StoredToken, TokenFiles};
use ferrybox::dropbox::wire::TokenAnswer;
use ferrybox::error::{Error, ExitCode};
use ferrybox::io::deadline::Deadline;
use ferrybox::io::dirs::open_state;

use crate::tidy::source::sources;
use crate::world::{World, world};

const MIB: usize = 1 << 20;

/// What a pass calls, and whether it gets by without.
const ROUTES: [(&str, bool); 12] = [
    ("files/list_folder", false),
    ("files/list_folder/continue", false),
    ("files/upload_session/start_batch", true),
    ("files/upload_session/append_batch", true),
    ("files/upload_session/finish_batch_v2", true),
    ("files/create_folder_batch", true),
    ("files/delete_batch", true),
    ("files/delete_batch/check", true),
    ("files/move_batch_v2", true),
    ("files/move_batch/check_v2", true),
    ("files/download_zip", true),
    ("files/download", false),
];

/// What it calls where it gets by without batches.
const PLAIN_ROUTES: [(&str, bool); 5] = [
    ("files/upload", false),
    ("files/create_folder_v2", false),
    ("files/delete_v2", false),
    ("files/move_v2", true),
    ("files/download", false),
];

/// What it calls for a large file.
const SESSION_ROUTES: [(&str, bool); 4] = [
    ("users/get_space_usage", true),
    ("files/upload_session/start", false),
    ("files/upload_session/append_v2", false),
    ("files/upload_session/finish", false),
];

/// What it calls once, before anything else.
const FIRST_ROUTES: [(&str, bool); 2] = [
    ("users/get_current_account", false),
    ("files/list_folder", false),
];

/// What it calls where no listing comes whole.
const WALK_ROUTES: [(&str, bool); 2] = [
    ("files/list_folder/get_latest_cursor", false),
    ("files/list_folder/continue", false),
];

/// What it calls where nothing can be moved.
const COPY_ROUTES: [(&str, bool); 2] = [
    ("files/copy_batch_v2", true),
    ("files/copy_batch/check_v2", true),
];

/// The same without batches.
const PLAIN_COPY_ROUTES: [(&str, bool); 1] = [("files/copy_v2", true)];

/// What it calls where folders are made by jobs.
const JOB_ROUTES: [(&str, bool); 1] = [("files/create_folder_batch/check", true)];

/// What it calls where a file changed in Dropbox while it was to be deleted.
const LOOK_ROUTES: [(&str, bool); 1] = [("files/get_metadata", true)];

/// What it calls with the sign-in of a person.
const TOKEN_ROUTES: [(&str, bool); 1] = [("oauth2/token", false)];

/// What is called for the versions of a file.
const VERSION_ROUTES: [(&str, bool); 2] =
    [("files/list_revisions", false), ("files/restore", false)];

/// What is called beside passes, each with a table of its own.
const OTHER_ROUTES: [&str; 2] = ["auth/token/revoke", LONGPOLL];

const LONGPOLL: &str = "files/list_folder/longpoll";

/// A fault, and whether it lasts.
fn faults() -> Vec<(&'static str, When, Effect, bool)> {
    let unknown = Effect::Status(400, "Unknown API function: \"x\"".to_owned());
    let odd = |text: &str| Effect::Status(200, text.to_owned());
    let late = Effect::Stall(Duration::from_secs(100));
    vec![
        ("refused", When::Always, Effect::refused("other"), true),
        ("unknown", When::Always, unknown, true),
        (
            "refused once",
            When::Nth(1),
            Effect::refused("other"),
            false,
        ),
        ("a list", When::Always, odd("[]"), true),
        ("an object", When::Always, odd("{\"a\":1}"), true),
        ("null", When::Always, odd("null"), true),
        ("a text once", When::Nth(1), odd("{"), false),
        ("late", When::Always, late, false),
        (
            "busy",
            When::First(2),
            Effect::TooManyWriteOperations,
            false,
        ),
        (
            "server error",
            When::First(2),
            Effect::Status(504, String::new()),
            false,
        ),
        ("answer lost", When::Nth(1), Effect::CutAfter, false),
        ("answers lost", When::First(3), Effect::CutAfter, false),
    ]
}

/// Which routes a kind of world uses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ways {
    All,
    NoBatches,
    LargeFile,
    FirstPass,
    NoWholeListing,
    NoMoves,
    NoMovesNoBatches,
    Jobs,
    ChangedThere,
    SignedIn,
}

/// As `finishAuthentication` leaves a gateway.
pub fn sign_in(world: &World) {
    let answer = authenticate(world);
    let disk = open_state(&world.state()).unwrap();
    TokenFiles::new(&disk, String::new())
        .store_token(&StoredToken {
            refresh_token: answer.refresh_token.unwrap(),
            app_key: "standin-key".to_owned(),
            account_id: answer.account_id.unwrap(),
            namespaces: Namespaces {
                root_namespace_id: "3235641".to_owned(),
                home_namespace_id: "3235641".to_owned(),
            },
            whose: String::new(),
        })
        .unwrap();
}

/// What a person brings from Dropbox's page, as the form that exchanges it.
fn code_form(world: &World) -> String {
    *world.dropbox_keys.borrow_mut() = "app_key = \"standin-key\"".to_owned();
    let pending = auth::start(&world.clock, "standin-key", false);
    let url = auth::authorize_url(&world.config(), &pending);
    auth::code_form(&world.dropbox.approve(&url).unwrap(), &pending, None)
}

fn redeem(world: &World, form: &str) -> Result<TokenAnswer, Error> {
    let network = world.network();
    Api::redeem_code(&network, &world.clock, form, &Invocation::default())
}

fn authenticate(world: &World) -> TokenAnswer {
    redeem(world, &code_form(world)).unwrap()
}

fn refuse(dropbox: &Standin, routes: &[&str]) {
    for route in routes {
        let refused = Effect::Status(400, "no such route".to_owned());
        dropbox.inject(Fault::new(route, When::Always, refused));
    }
}

/// A world in step, in which both sides have changed since.
fn changed(ways: Ways) -> World {
    let world = world();
    *world.guard_keys.borrow_mut() = "max_delete_count = 1000".to_owned();
    for nth in 0..12 {
        world.put(&format!("d/file{nth}"), &format!("{nth}"));
        world.put(&format!("gone/file{nth}"), &format!("gone {nth}"));
    }
    if ways == Ways::FirstPass {
        world.dropbox.put("/there", b"there");
        return world;
    }
    world.sync_ok();
    world.sync_ok();
    let batches = ["upload_session/", "_batch", "download_zip"];
    match ways {
        Ways::NoBatches => refuse(&world.dropbox, &batches),
        Ways::NoMoves => refuse(&world.dropbox, &["move_batch", "move_v2"]),
        Ways::NoMovesNoBatches => {
            refuse(&world.dropbox, &batches);
            refuse(&world.dropbox, &["move_v2"]);
        }
        Ways::Jobs => world.dropbox.set_jobs(Launch::Job, 2),
        Ways::SignedIn => sign_in(&world),
        Ways::NoWholeListing => give_no_whole_listing(&world),
        Ways::ChangedThere => {
            change_what_is_deleted(&world);
            return world;
        }
        Ways::All | Ways::LargeFile | Ways::FirstPass => {}
    }
    if ways == Ways::LargeFile {
        world.put_bytes("large", &vec![7; 17 * MIB]);
        return world;
    }
    for nth in 0..12 {
        world.put(&format!("new/file{nth}"), &format!("new {nth}"));
        let path = format!("/zip/file{nth}");
        world.dropbox.put(&path, format!("zip {nth}").as_bytes());
    }
    world.dropbox.put("/alone", &vec![3; 5 * MIB]);
    for nth in 0..3 {
        world.mkdir(&format!("empty{nth}"));
        world.rename(&format!("d/file{nth}"), &format!("d/moved{nth}"));
    }
    world.remove("gone");
    world
}

/// The next listing is a whole one, and does not come; its pages are small.
fn give_no_whole_listing(world: &World) {
    world.dropbox.reset_cursors();
    world.dropbox.set_page_limit(5);
    let slow = Effect::Status(504, "upstream request timeout".to_owned());
    let fault = Fault::exactly("files/list_folder", When::Always, slow);
    world.dropbox.inject(fault.about("\"recursive\":true"));
}

/// Removes files of which one changes in Dropbox right before it is deleted there.
fn change_what_is_deleted(world: &World) {
    refuse(&world.dropbox, &["_batch"]);
    world.remove("gone/file3");
    world.remove("gone/file4");
    let dropbox = world.dropbox.clone();
    let mut is_done = false;
    world.on_request(move |request| {
        if request.target.ends_with("/delete_v2") && !is_done {
            is_done = true;
            for path in ["/gone/file3", "/gone/file4"] {
                dropbox.put(path, b"changed there");
            }
        }
    });
}

fn is_in_step(world: &World) -> bool {
    world.local_tree() == world.remote_tree()
}

/// One cell of the table: what went wrong, if something did.
fn cell(
    ways: Ways,
    route: &str,
    gets_by: bool,
    fault: &(&str, When, Effect, bool),
) -> Option<String> {
    let (what, when, effect, lasts) = fault;
    let world = changed(ways);
    let mut wanted: BTreeSet<String> = world.local_tree().into_values().collect();
    wanted.extend(
        world
            .remote_tree()
            .into_values()
            .filter(|text| !text.starts_with("gone")),
    );
    world
        .dropbox
        .inject(Fault::exactly(route, *when, effect.clone()));
    let fine = [
        ExitCode::Ok,
        ExitCode::SomeFiles,
        ExitCode::TryLater,
        ExitCode::Failed,
    ];
    let mut told = Vec::new();
    for _ in 0..3 {
        let outcome = world.sync();
        if !fine.contains(&outcome.exit) {
            return Some(format!("ended with {outcome:?}"));
        }
        told.push(format!(
            "{:?} {} {:?}",
            outcome.exit, outcome.error, outcome.problems
        ));
    }
    if gets_by && !is_in_step(&world) {
        return Some(format!("{what}: is not in step while it lasts: {told:?}"));
    }
    if !lasts && !gets_by && !is_in_step(&world) {
        return Some(format!("{what}: is not in step: {told:?}"));
    }
    world.dropbox.clear_faults();
    // What was refused is offered once a day.
    world.clock.advance(25 * 3600);
    for _ in 0..3 {
        let outcome = world.sync();
        told.push(format!("{:?} {:?}", outcome.exit, outcome.problems));
    }
    if !is_in_step(&world) {
        return Some(format!("{what}: is not in step when it is over: {told:?}"));
    }
    let there: BTreeSet<String> = world.local_tree().into_values().collect();
    let lost: Vec<&String> = wanted.difference(&there).collect();
    (!lost.is_empty()).then(|| format!("{what}: {} files are lost", lost.len()))
}

#[track_caller]
fn table(ways: Ways, routes: &[(&str, bool)]) {
    let mut red = Vec::new();
    for (route, gets_by) in routes {
        // It is called at all.
        let world = changed(ways);
        let calls = world.sync().calls;
        let short = route.trim_start_matches("files/");
        let is_called = calls.iter().any(|call| call == short || call == route);
        assert!(is_called, "{route} is not in {calls:?}");
        for fault in &faults() {
            let found = cell(ways, route, *gets_by, fault);
            red.extend(found.map(|text| format!("{route} x {}: {text}", fault.0)));
        }
    }
    println!(
        "{} cells, {} of them red",
        routes.len() * faults().len(),
        red.len()
    );
    assert!(red.is_empty(), "{}", red.join("\n"));
}

#[test]
fn every_route_may_fail_in_every_way() {
    table(Ways::All, &ROUTES);
}

#[test]
fn so_may_the_plainer_ones() {
    table(Ways::NoBatches, &PLAIN_ROUTES);
}

#[test]
fn so_may_those_of_a_first_pass() {
    table(Ways::FirstPass, &FIRST_ROUTES);
}

#[test]
fn so_may_those_for_large_files() {
    table(Ways::LargeFile, &SESSION_ROUTES);
}

#[test]
fn so_may_those_that_list_folder_by_folder() {
    table(Ways::NoWholeListing, &WALK_ROUTES);
}

#[test]
fn so_may_those_that_copy() {
    table(Ways::NoMoves, &COPY_ROUTES);
    table(Ways::NoMovesNoBatches, &PLAIN_COPY_ROUTES);
}

#[test]
fn so_may_those_that_ask_after_jobs_and_look_at_files() {
    table(Ways::Jobs, &JOB_ROUTES);
    table(Ways::ChangedThere, &LOOK_ROUTES);
}

#[test]
fn so_may_the_one_that_renews_a_token() {
    table(Ways::SignedIn, &TOKEN_ROUTES);
}

/// A code that does not come to a token is asked for anew by a person.
#[test]
fn so_may_the_one_that_exchanges_a_code() {
    for (what, when, effect, lasts) in faults() {
        let world = world();
        let form = code_form(&world);
        let fault = Fault::exactly("oauth2/token", when, effect);
        world.dropbox.inject(fault);
        match redeem(&world, &form) {
            Ok(_) => assert!(!lasts, "{what}"),
            Err(Error::TryLater(_)) => assert!(lasts || what == "answers lost", "{what}"),
            // It was used by the exchange whose answer was lost.
            Err(Error::Authentication(text)) => assert!(what.contains("lost"), "{what}: {text}"),
            Err(error) => panic!("{what}: {error}"),
        }
        world.dropbox.clear_faults();
        sign_in(&world);
        world.put("a", "a");
        world.sync_ok();
        world.check_both(&[("a", "a")]);
    }
}

/// What a token opens is open until `logout` has come through, and nobody is told otherwise.
#[test]
fn so_may_the_one_that_ends_a_sign_in() {
    for (what, when, effect, lasts) in faults() {
        // This is the answer itself.
        if what == "null" {
            continue;
        }
        let world = world();
        let answer = authenticate(&world);
        let credential = Credential::Refresh {
            app_key: "standin-key".to_owned(),
            app_secret: None,
            refresh_token: Secret::new(answer.refresh_token.clone().unwrap()),
            account_id: answer.account_id.clone().unwrap(),
        };
        let network = world.network();
        let deadline = Deadline::none(&world.clock);
        let access = AccessTokens::new(credential, None, true);
        access.keep(&world.clock, &answer);
        let api = Api::new(&network, &world.clock, &deadline, access);
        world
            .dropbox
            .inject(Fault::exactly(OTHER_ROUTES[0], when, effect));
        let is_over = |ended: Result<(), CallError>| match ended {
            Ok(()) | Err(CallError::End(Error::Authentication(_))) => true,
            Err(CallError::ServerError(_) | CallError::Refused(_)) => false,
            Err(error) => panic!("{what}: {error:?}"),
        };
        let ended = is_over(api.revoke());
        assert!(
            ended || lasts || what == "refused once" || what == "answers lost",
            "{what}"
        );
        world.dropbox.clear_faults();
        if !ended {
            assert!(is_over(api.revoke()), "{what}");
        }
        assert!(api.current_account().is_err(), "{what}: it is still open");
    }
}

/// A version is the newest again when that is said, and can be asked for once more when it is not.
#[test]
fn so_may_those_of_versions() {
    let cases = VERSION_ROUTES.iter().flat_map(|(route, _)| {
        let faults = faults().into_iter();
        faults.map(move |(what, when, effect, lasts)| (*route, what, when, effect, lasts))
    });
    for (route, what, when, effect, lasts) in cases {
        let world = world();
        let answer = authenticate(&world);
        let credential = Credential::Refresh {
            app_key: "standin-key".to_owned(),
            app_secret: None,
            refresh_token: Secret::new(answer.refresh_token.clone().unwrap()),
            account_id: answer.account_id.clone().unwrap(),
        };
        let (network, deadline) = (world.network(), Deadline::none(&world.clock));
        let access = AccessTokens::new(credential, None, true);
        access.keep(&world.clock, &answer);
        let api = Api::new(&network, &world.clock, &deadline, access);
        world.dropbox.put("/a", b"one");
        world.dropbox.put("/a", b"two");
        let path = RemotePath::from("/a");
        let go_back = || {
            let found = revisions(&api, &path, HistoryOf::Path, None)?;
            let oldest = found.entries.last().map(|version| version.rev.clone());
            restore(&api, &path, &oldest.unwrap_or_default()).map(drop)
        };
        let is_back = || world.dropbox.read("/a").as_deref() == Some(b"one");
        world.dropbox.inject(Fault::exactly(route, when, effect));
        match go_back() {
            Ok(()) => assert!(is_back() && !lasts, "{route}: {what}"),
            Err(_) => assert!(
                lasts || what.contains("lost") || what.contains("once"),
                "{what}"
            ),
        }
        world.dropbox.clear_faults();
        go_back().unwrap();
        assert!(is_back(), "{route}: {what}");
    }
}

/// Where Dropbox does not tell of changes, looking for them takes its place.
#[test]
fn so_may_the_one_that_waits_for_changes() {
    for (what, when, effect, _) in faults() {
        let world = world();
        world.put("a", "a");
        world.sync_ok();
        world.sync_ok();
        world.dropbox.inject(Fault::exactly(LONGPOLL, when, effect));
        world.dropbox.put("/b", b"b");
        let mut listening = Listening::default();
        let (network, mut now) = (world.network(), Instant::now());
        let mut asked = 0;
        while world.read("b").is_none() {
            asked += 1;
            assert!(asked < 8, "{what}: it does not come down");
            now += listening.is_put_off(now).unwrap_or_default();
            let cursor = world.state_file("cursor.json").unwrap();
            let cursor: serde_json::Value = serde_json::from_slice(&cursor).unwrap();
            let cursor = Cursor::from(cursor["cursor"].as_str().unwrap().to_owned());
            let news = longpoll(&network, &world.clock, &cursor, listening.timeout_s());
            let end = match news {
                Ok(news) => PollEnd::Answered(news, Duration::ZERO),
                Err(text) => PollEnd::Failed(text),
            };
            if listening.heard(cursor, end, now).pass {
                world.sync_ok();
            }
        }
        world.check_both(&[("a", "a"), ("b", "b")]);
    }
}

/// The routes that the source names, without the version before them.
fn routes_in_source() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for source in sources(&["src/dropbox"]) {
        for text in source.text.split('"') {
            let route = text.trim_start_matches('/').trim_start_matches("2/");
            let is_of = |start: &&str| route.starts_with(start);
            let is_name = |c: char| c.is_ascii_alphanumeric() || "_/".contains(c);
            let starts = ["files/", "users/", "auth/", "oauth2/"];
            if starts.iter().any(is_of) && route.chars().all(is_name) {
                found.insert(route.to_owned());
            }
        }
    }
    found
}

#[test]
fn every_route_has_its_rows() {
    let tables: [&[(&str, bool)]; 11] = [
        &ROUTES,
        &PLAIN_ROUTES,
        &SESSION_ROUTES,
        &FIRST_ROUTES,
        &WALK_ROUTES,
        &COPY_ROUTES,
        &PLAIN_COPY_ROUTES,
        &JOB_ROUTES,
        &LOOK_ROUTES,
        &TOKEN_ROUTES,
        &VERSION_ROUTES,
    ];
    let rows = tables.iter().flat_map(|table| table.iter());
    let rows = rows.map(|(route, _)| *route).chain(OTHER_ROUTES);
    let rows: BTreeSet<String> = rows.map(str::to_owned).collect();
    assert_eq!(routes_in_source(), rows);
}
