//! Words that were given up for those of the field, and names that mean one thing only.

use std::collections::BTreeMap;

use super::source::{agent, word, words};

/// Names that only this house understood, or that meant something else elsewhere, and what it is
/// called instead.
const GIVEN_UP: [(&str, &str); 67] = [
    ("Spot", "Item"),
    ("spot", "item"),
    ("spot_in", "item_at"),
    ("Place", "LocalDir"),
    ("Look", "DirHandle"),
    ("Looked", "OpenDir"),
    ("look_into", "open_dir"),
    ("look_at", "stat_range"),
    ("Waiting", "DirQueue"),
    ("has_waiting", "has_pending"),
    ("last_round", "is_second_round"),
    ("Landing", "PublishQueue"),
    ("landing", "publish_queue"),
    ("Outbox", "UploadQueue"),
    ("outbox", "queue"),
    ("Outgoing", "PendingUpload"),
    ("Parcel", "BatchEntry"),
    ("parcel", "entry"),
    ("Piece", "BatchFile"),
    ("Joined", "ConcatReader"),
    ("Lane", "BatchMethod"),
    ("AtHand", "ArchiveBody"),
    ("at_hand", "archive_body"),
    ("Wanted", "ArchiveCandidates"),
    ("GoneThere", "GoneRemotely"),
    ("gone_there", "gone"),
    ("is_moving", "is_being_renamed"),
    ("Begun", "PartialFile, SavedSession"),
    ("Brief", "RowSummary"),
    ("brief", "summary"),
    ("Census", "RowTotals"),
    ("census", "totals"),
    ("Holdings", "SubtreeTotals"),
    ("Arrivals", "ArrivedContent"),
    ("came_back", "reappeared"),
    ("Belonging", "SyncIdentity"),
    ("belonging", "identity"),
    ("come_past_guards", "mark_guards_passed"),
    ("passes_done", "last_guarded_pass"),
    ("blind_spot", "note_incomplete_view"),
    ("is_blind", "view_is_incomplete"),
    ("Stumbled", "ServerError"),
    ("stumbled", "note_server_error"),
    ("Restless", "KeepsChanging"),
    ("Hopeless", "Permanent"),
    ("Amid", "Deadline"),
    ("in_time", "Deadline::check"),
    ("has_end", "Deadline::is_set"),
    ("Opaque", "NotDownloadable"),
    ("is_void", "is_empty"),
    ("shuts", "prunes"),
    ("bars", "hides_name"),
    ("Reach", "FilterAllows"),
    ("Flow", "Directions"),
    ("Located", "Location"),
    ("Deed", "Change"),
    ("Tools", "Env"),
    ("Machine", "Seams"),
    ("Wishes", "SyncArgs"),
    ("Habits", "RunArgs"),
    ("Station", "Driver"),
    ("Bell", "Wakeup"),
    ("Agenda", "Scheduler"),
    ("Times", "Schedules"),
    ("Patient", "Interruptible"),
    ("sound", "intact"),
    ("unsound", "damaged"),
];

/// Keywords that name a type.
const TYPES: [&str; 4] = ["struct", "enum", "trait", "type"];

#[test]
fn no_name_of_our_own_making_comes_back() {
    for source in agent() {
        for (_, name) in words(&source.code) {
            if let Some((_, instead)) = GIVEN_UP.iter().find(|(old, _)| *old == name) {
                panic!("{}: {name} is called {instead}", source.path);
            }
        }
    }
}

#[test]
fn no_two_types_have_one_name() {
    let mut where_it_is: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in agent() {
        for (at, keyword) in words(&source.code) {
            let line = source.code[..at].rfind('\n').map_or(0, |end| end + 1);
            let is_outermost = !source.code[line..].starts_with(' ');
            if TYPES.contains(&keyword) && is_outermost {
                let name = word(source.code[at + keyword.len()..].trim_start());
                let files = where_it_is.entry(name.to_owned()).or_default();
                files.push(source.path.clone());
            }
        }
    }
    assert!(where_it_is.len() > 150, "{}", where_it_is.len());
    for (name, files) in where_it_is {
        assert!(files.len() == 1, "{name}: {files:?}");
    }
}
