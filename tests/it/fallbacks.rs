//! Every route that a pass calls, refused for good, refused once, answered in another shape, late,
//! or with the answer lost: each ends in step, at the latest once the fault is over, and nothing is
//! lost on the way. Where there is a plainer way to the same end, it ends so while the fault lasts.

use std::collections::BTreeSet;
use std::time::Duration;

use dropbox_standin::{Effect, Fault, When};
use ferrybox::error::ExitCode;

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
    if ways == Ways::NoBatches {
        for batch in ["upload_session/", "_batch", "download_zip"] {
            let refused = Effect::Status(400, "no such route".to_owned());
            world
                .dropbox
                .inject(Fault::new(batch, When::Always, refused));
        }
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
