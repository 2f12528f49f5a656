//! The cells of the decision that the design tells in words, and the small tables beside it.

use super::Action::*;
use super::Side::{File, Folder, Gone};
use super::*;

const SAME: Side = File(Content::Same);
const EDITED: Side = File(Content::Edited);

const FLOWS: [Directions; 3] = [Directions::Both, Directions::Up, Directions::Down];

fn facts(directions: Directions, base: BaseKind, local: Side, remote: Side) -> Facts {
    Facts {
        directions,
        base,
        local,
        remote,
        equal: false,
        reset_upload: false,
        deletes: DeletePolicy::Propagate,
    }
}

/// What both, up and down come to for each pair of sides.
fn check(base: BaseKind, cells: &[(Side, Side, [Action; 3])]) {
    for (local, remote, expected) in cells {
        for (directions, action) in FLOWS.into_iter().zip(expected) {
            let facts = facts(directions, base, *local, *remote);
            assert_eq!(decide(facts), *action, "{facts:?}");
        }
    }
}

#[test]
fn folders_are_present_or_absent() {
    let edited = Report(Note::EditedInDropbox);
    let meets = Report(Note::FileMeetsFolder);
    let undecided = Report(Note::Undecided);
    let cells = [
        (Gone, Gone, [Forget; 3]),
        (Folder, Folder, [Nothing; 3]),
        (Gone, Folder, [DeleteRemote, DeleteRemote, MakeLocalFolder]),
        (Folder, Gone, [DeleteLocal, MakeRemoteFolder, DeleteLocal]),
        (Gone, EDITED, [Download, edited, Download]),
        (EDITED, Gone, [UploadNew, UploadNew, Forget]),
        (EDITED, EDITED, [Conflict, undecided, Conflict]),
        (EDITED, Folder, [DeleteRemote, DeleteRemote, SetAside]),
        (Folder, EDITED, [DeleteLocal, meets, DeleteLocal]),
    ];
    check(BaseKind::Folder, &cells);
}

#[test]
fn a22_a_folder_in_place_of_a_file_takes_the_name_where_changes_come_down() {
    let edited = Report(Note::EditedInDropbox);
    let meets = Report(Note::FileMeetsFolder);
    let cells = [
        (Gone, Folder, [MakeLocalFolder, edited, MakeLocalFolder]),
        (SAME, Folder, [DeleteLocal, meets, DeleteLocal]),
        (EDITED, Folder, [SetAside, meets, SetAside]),
        (Folder, Gone, [MakeRemoteFolder, MakeRemoteFolder, Forget]),
        (Folder, SAME, [DeleteRemote, DeleteRemote, Conflict]),
        (Folder, EDITED, [Conflict, meets, Conflict]),
        (Folder, Folder, [Adopt; 3]),
    ];
    check(BaseKind::File, &cells);
}

#[test]
fn folders_without_a_base_are_copied_or_adopted() {
    let meets = Report(Note::FileMeetsFolder);
    let cells = [
        (Gone, Gone, [Forget; 3]),
        (Gone, Folder, [MakeLocalFolder, Nothing, MakeLocalFolder]),
        (Folder, Gone, [MakeRemoteFolder, MakeRemoteFolder, Nothing]),
        (Folder, Folder, [Adopt; 3]),
        (EDITED, Folder, [SetAside, meets, SetAside]),
        (Folder, EDITED, [Conflict, meets, Conflict]),
    ];
    check(BaseKind::None, &cells);
}

#[test]
fn equal_files_are_adopted_whatever_the_base_and_the_flow() {
    for base in [BaseKind::None, BaseKind::Folder, BaseKind::File] {
        for directions in FLOWS {
            for (local, remote) in [(SAME, EDITED), (EDITED, SAME), (EDITED, EDITED)] {
                let facts = Facts {
                    equal: true,
                    ..facts(directions, base, local, remote)
                };
                assert_eq!(decide(facts), Adopt, "{facts:?}");
            }
        }
    }
}

/// `deletes = "keep"`, where changes only go up: the name that returns is an edit of the base.
#[test]
fn what_was_deleted_here_is_kept_in_dropbox_and_its_base_stays() {
    let meets = Report(Note::FileMeetsFolder);
    for (base, local, remote, expected) in [
        (BaseKind::File, Gone, SAME, Nothing),
        (BaseKind::File, Gone, EDITED, Nothing),
        (BaseKind::File, Gone, Gone, Forget),
        (BaseKind::File, Gone, Folder, Nothing),
        (BaseKind::File, EDITED, SAME, UploadOver(Replaces::Base)),
        (BaseKind::File, EDITED, EDITED, UploadOver(Replaces::Seen)),
        (BaseKind::File, SAME, Gone, UploadNew),
        (BaseKind::File, Folder, SAME, meets),
        (BaseKind::Folder, Gone, Folder, Nothing),
        (BaseKind::Folder, Gone, Gone, Forget),
        (BaseKind::Folder, Gone, EDITED, Nothing),
        (BaseKind::Folder, EDITED, Folder, meets),
        (BaseKind::None, Gone, EDITED, Nothing),
    ] {
        let facts = Facts {
            deletes: DeletePolicy::Keep,
            ..facts(Directions::Up, base, local, remote)
        };
        assert_eq!(decide(facts), expected, "{facts:?}");
    }
}

#[test]
fn a_reset_uploads_what_dropbox_lacks_and_nothing_else() {
    for directions in [
        Directions::Both,
        Directions::Up,
        Directions::Down,
        Directions::Neither,
    ] {
        for (local, action) in [
            (Side::Unknown, Nothing),
            (Gone, Forget),
            (Folder, MakeRemoteFolder),
            (EDITED, UploadNew),
        ] {
            let due = |base| {
                decide(Facts {
                    reset_upload: true,
                    ..facts(directions, base, local, Gone)
                })
            };
            assert_eq!(due(BaseKind::None), action, "{directions:?} {local:?}");
            for base in [BaseKind::File, BaseKind::Folder] {
                let usual = decide(facts(directions, base, local, Gone));
                assert_eq!(due(base), usual, "{directions:?} {local:?}");
            }
        }
    }
}

#[test]
fn the_flow_is_the_mode_cut_by_both_filters() {
    use Mode::{Bidirectional, DropboxToLocal, LocalToDropbox};
    for (mode, flows) in [
        (
            Bidirectional,
            [Directions::Both, Directions::Up, Directions::Down],
        ),
        (
            LocalToDropbox,
            [Directions::Up, Directions::Up, Directions::Neither],
        ),
        (
            DropboxToLocal,
            [Directions::Down, Directions::Neither, Directions::Down],
        ),
    ] {
        for ((up, down), directions) in [(true, true), (true, false), (false, true)]
            .into_iter()
            .zip(flows)
        {
            assert_eq!(
                Directions::of(mode, FilterAllows { up, down }),
                directions,
                "{mode:?}"
            );
        }
        let none = FilterAllows {
            up: false,
            down: false,
        };
        assert_eq!(Directions::of(mode, none), Directions::Neither, "{mode:?}");
    }
}

#[test]
fn modes_are_named_as_in_the_configuration() {
    assert_eq!(Mode::LocalToDropbox.name(), "LOCAL_TO_DROPBOX");
    assert_eq!(Mode::DropboxToLocal.name(), "DROPBOX_TO_LOCAL");
    assert_eq!(Mode::Bidirectional.name(), "BIDIRECTIONAL");
}

#[test]
fn every_action_knows_the_side_it_changes() {
    for action in [Nothing, Adopt, Forget, Report(Note::Undecided)] {
        assert_eq!(action.direction(), None, "{action:?}");
    }
    for action in [Download, Conflict, SetAside, MakeLocalFolder, DeleteLocal] {
        assert_eq!(action.direction(), Some(Direction::Down), "{action:?}");
    }
    let over = UploadOver(Replaces::Seen);
    for action in [UploadNew, over, MakeRemoteFolder, DeleteRemote] {
        assert_eq!(action.direction(), Some(Direction::Up), "{action:?}");
    }
}
