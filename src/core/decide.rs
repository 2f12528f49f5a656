//! The decision per path: three observations and a direction in, one action out.
//!
//! This is the merge of the three trees. It looks at one key at a time and knows no content: the
//! caller says whether a side still equals the base and whether both sides are equal. Nothing here
//! destroys anything; an action that does is checked again, against the version it names, where it
//! is carried out.

use crate::core::filter::FilterAllows;

/// Which way changes travel (`[sync] mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Changes made locally go to Dropbox; nothing local is ever touched.
    LocalToDropbox,
    /// Changes made in Dropbox come down; nothing in Dropbox is ever touched.
    DropboxToLocal,
    /// Changes travel both ways, remote ones first.
    Bidirectional,
}

impl Mode {
    /// The name used in the configuration file.
    pub fn name(self) -> &'static str {
        match self {
            Mode::LocalToDropbox => "LOCAL_TO_DROPBOX",
            Mode::DropboxToLocal => "DROPBOX_TO_LOCAL",
            Mode::Bidirectional => "BIDIRECTIONAL",
        }
    }
}

/// What may travel for one path: the mode cut by both filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directions {
    /// Both ways.
    Both,
    /// To Dropbox only.
    Up,
    /// From Dropbox only.
    Down,
    /// Neither way: the path is not managed.
    Neither,
}

impl Directions {
    /// Cuts the mode by what the filters let through.
    pub fn of(mode: Mode, allows: FilterAllows) -> Directions {
        let up = allows.up && mode != Mode::DropboxToLocal;
        let down = allows.down && mode != Mode::LocalToDropbox;
        match (up, down) {
            (true, true) => Directions::Both,
            (true, false) => Directions::Up,
            (false, true) => Directions::Down,
            (false, false) => Directions::Neither,
        }
    }
}

/// What becomes in Dropbox of what was deleted here (`[sync] deletes`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeletePolicy {
    /// It is deleted there as well.
    #[default]
    Propagate,
    /// It stays there, and so does its base: what comes back under its name is an edit of it.
    Keep,
}

/// What both sides last agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaseKind {
    /// Nothing: the path is new to at least one side.
    None,
    /// A folder.
    Folder,
    /// A file.
    File,
}

/// Whether a file still has the content of the base. Without a base file it counts as edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// The same as in the base.
    Same,
    /// Another content.
    Edited,
}

/// What one side shows at the path now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It could not be observed, so nothing may follow from it.
    Unknown,
    /// Nothing is there.
    Gone,
    /// A folder is there.
    Folder,
    /// A file is there.
    File(Content),
}

/// Everything the decision depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What may travel.
    pub directions: Directions,
    /// What both sides agreed on.
    pub base: BaseKind,
    /// The content dir now.
    pub local: Side,
    /// Dropbox now, as the cursor has told.
    pub remote: Side,
    /// Both sides are files of equal content hash.
    pub equal: bool,
    /// A first run or a reset is due and this path may go up: a local file or folder without base
    /// that Dropbox lacks is uploaded once, whatever the mode.
    pub reset_upload: bool,
    /// What becomes in Dropbox of what was deleted here.
    pub deletes: DeletePolicy,
}

/// The version in Dropbox that an upload replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaces {
    /// The rev of the base.
    Base,
    /// The newer rev the cursor has told of; it stays in Dropbox's history.
    Seen,
}

/// Something that needs no action but a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// Deleted locally, edited in Dropbox, and nothing may come down: the edit stays in Dropbox.
    EditedInDropbox,
    /// Both sides hold different files and no base says which is newer.
    Undecided,
    /// A file on one side, a folder on the other, and nothing may come down that makes room.
    FileMeetsFolder,
}

/// What to do about one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Nothing,
    /// Both sides are equal: they become the base, and nothing is transferred.
    Adopt,
    /// Drop the base.
    Forget,
    /// Fetch the file; whatever local version it replaces equals the base.
    Download,
    /// Dropbox takes the name: keep the local file or tree as a conflict copy, then fetch.
    Conflict,
    /// Dropbox has a folder here: keep the local file as a conflict copy, then make the folder.
    SetAside,
    /// Make the folder locally.
    MakeLocalFolder,
    /// Remove the local file or empty folder; it equals the base.
    DeleteLocal,
    /// Upload a file Dropbox lacks (`add`).
    UploadNew,
    /// Upload over a named version (`update(rev)`).
    UploadOver(Replaces),
    /// Make the folder in Dropbox.
    MakeRemoteFolder,
    /// Remove the file (by rev) or the empty folder in Dropbox.
    DeleteRemote,
    /// Say so and leave both sides alone.
    Report(Note),
}

/// The side an action changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// The content dir.
    Down,
    /// Dropbox.
    Up,
}

impl Direction {
    /// Its word, for programs.
    pub fn word(self) -> &'static str {
        match self {
            Direction::Down => "down",
            Direction::Up => "up",
        }
    }
}

impl Action {
    /// The side this action changes, if any.
    pub fn direction(self) -> Option<Direction> {
        match self {
            Action::Nothing | Action::Adopt | Action::Forget | Action::Report(_) => None,
            Action::Download
            | Action::Conflict
            | Action::SetAside
            | Action::MakeLocalFolder
            | Action::DeleteLocal => Some(Direction::Down),
            Action::UploadNew
            | Action::UploadOver(_)
            | Action::MakeRemoteFolder
            | Action::DeleteRemote => Some(Direction::Up),
        }
    }
}

/// Decides what to do about one path.
pub fn decide(facts: Facts) -> Action {
    match (facts.deletes, decide_deletes(facts)) {
        (DeletePolicy::Keep, Action::DeleteRemote) if facts.local == Side::Gone => Action::Nothing,
        // It would have to make way for what is here now.
        (DeletePolicy::Keep, Action::DeleteRemote) => Action::Report(Note::FileMeetsFolder),
        (DeletePolicy::Keep, Action::Report(Note::EditedInDropbox)) => Action::Nothing,
        (DeletePolicy::Propagate | DeletePolicy::Keep, action) => action,
    }
}

/// The same where deletes travel like all else.
fn decide_deletes(facts: Facts) -> Action {
    match facts.base {
        BaseKind::None if facts.reset_upload && facts.remote == Side::Gone => {
            decide_reset(facts.local)
        }
        _ if facts.directions == Directions::Neither => Action::Nothing,
        BaseKind::None => decide_without_base(facts),
        BaseKind::File => decide_file(facts),
        BaseKind::Folder => decide_folder(facts),
    }
}

/// A first run or a reset is due, Dropbox has nothing here, and the path may go up.
fn decide_reset(local: Side) -> Action {
    match local {
        Side::Unknown => Action::Nothing,
        Side::Gone => Action::Forget,
        Side::Folder => Action::MakeRemoteFolder,
        Side::File(_) => Action::UploadNew,
    }
}

/// `both` where changes travel both ways, otherwise what the one-way table says.
fn by_directions(directions: Directions, both: Action, up: Action, down: Action) -> Action {
    match directions {
        Directions::Both => both,
        Directions::Up => up,
        Directions::Down => down,
        Directions::Neither => Action::Nothing,
    }
}

fn decide_without_base(facts: Facts) -> Action {
    use Action::*;
    use Side::*;
    let directions = facts.directions;
    match (facts.local, facts.remote) {
        (Unknown, _) | (_, Unknown) => Nothing,
        (Gone, Gone) => Forget,
        (Gone, File(_)) => by_directions(directions, Download, Nothing, Download),
        (Gone, Folder) => by_directions(directions, MakeLocalFolder, Nothing, MakeLocalFolder),
        (File(_), Gone) => by_directions(directions, UploadNew, UploadNew, Nothing),
        (Folder, Gone) => by_directions(directions, MakeRemoteFolder, MakeRemoteFolder, Nothing),
        (Folder, Folder) => Adopt,
        (File(_), File(_)) if facts.equal => Adopt,
        (File(_), File(_)) => {
            by_directions(directions, Conflict, Report(Note::Undecided), Conflict)
        }
        (File(_), Folder) => clash_of_types(directions, SetAside),
        (Folder, File(_)) => clash_of_types(directions, Conflict),
    }
}

/// A file on one side, a folder on the other: Dropbox takes the name where changes come down.
fn clash_of_types(directions: Directions, down: Action) -> Action {
    by_directions(
        directions,
        down,
        Action::Report(Note::FileMeetsFolder),
        down,
    )
}

fn decide_file(facts: Facts) -> Action {
    use Action::*;
    use Content::*;
    use Side::*;
    let directions = facts.directions;
    let upload_base = UploadOver(Replaces::Base);
    match (facts.local, facts.remote) {
        (Unknown, _) | (_, Unknown) => Nothing,
        (Gone, Gone) => Forget,
        (Gone, File(Same)) => by_directions(directions, DeleteRemote, DeleteRemote, Download),
        (Gone, File(Edited)) => by_directions(
            directions,
            Download,
            Report(Note::EditedInDropbox),
            Download,
        ),
        (Gone, Folder) => by_directions(
            directions,
            MakeLocalFolder,
            Report(Note::EditedInDropbox),
            MakeLocalFolder,
        ),
        (File(Same), Gone) => by_directions(directions, DeleteLocal, UploadNew, DeleteLocal),
        (File(Edited), Gone) => by_directions(directions, UploadNew, UploadNew, Forget),
        (File(Same), File(Same)) => Nothing,
        (File(_), File(_)) if facts.equal => Adopt,
        (File(Edited), File(Same)) => by_directions(directions, upload_base, upload_base, Nothing),
        (File(Same), File(Edited)) => by_directions(directions, Download, Nothing, Download),
        (File(Edited), File(Edited)) => {
            by_directions(directions, Conflict, UploadOver(Replaces::Seen), Conflict)
        }
        // A swap: the old file goes first, the folder is made once the name is free.
        (File(Same), Folder) => clash_of_types(directions, DeleteLocal),
        (File(Edited), Folder) => clash_of_types(directions, SetAside),
        (Folder, Gone) => by_directions(directions, MakeRemoteFolder, MakeRemoteFolder, Forget),
        (Folder, File(Same)) => by_directions(directions, DeleteRemote, DeleteRemote, Conflict),
        (Folder, File(Edited)) => clash_of_types(directions, Conflict),
        (Folder, Folder) => Adopt,
    }
}

fn decide_folder(facts: Facts) -> Action {
    use Action::*;
    use Side::*;
    let directions = facts.directions;
    match (facts.local, facts.remote) {
        (Unknown, _) | (_, Unknown) => Nothing,
        (Gone, Gone) => Forget,
        (Folder, Folder) => Nothing,
        (Gone, Folder) => by_directions(directions, DeleteRemote, DeleteRemote, MakeLocalFolder),
        (Folder, Gone) => by_directions(directions, DeleteLocal, MakeRemoteFolder, DeleteLocal),
        (Gone, File(_)) => by_directions(
            directions,
            Download,
            Report(Note::EditedInDropbox),
            Download,
        ),
        (File(_), Gone) => by_directions(directions, UploadNew, UploadNew, Forget),
        (File(_), File(_)) if facts.equal => Adopt,
        (File(_), File(_)) => {
            by_directions(directions, Conflict, Report(Note::Undecided), Conflict)
        }
        // A swap: the folder goes first, if it holds nothing unsettled. If it does, it has no base
        // any more.
        (File(_), Folder) => by_directions(directions, DeleteRemote, DeleteRemote, SetAside),
        (Folder, File(_)) => clash_of_types(directions, DeleteLocal),
    }
}

#[cfg(test)]
mod table_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use Action::*;
    use Content::*;
    use Side::*;

    fn file_action(directions: Directions, local: Side, remote: Side) -> Action {
        let base = BaseKind::File;
        decide(Facts {
            directions,
            base,
            local,
            remote,
            equal: false,
            reset_upload: false,
            deletes: DeletePolicy::Propagate,
        })
    }

    /// The design's table of the two-way mode, cell by cell.
    #[test]
    fn bidirectional_follows_the_table() {
        let rows = [
            (File(Same), [Nothing, Download, DeleteLocal]),
            (
                File(Edited),
                [UploadOver(Replaces::Base), Conflict, UploadNew],
            ),
            (Gone, [DeleteRemote, Download, Forget]),
        ];
        for (local, cells) in rows {
            for (remote, expected) in [File(Same), File(Edited), Gone].into_iter().zip(cells) {
                let action = file_action(Directions::Both, local, remote);
                assert_eq!(action, expected, "{local:?} {remote:?}");
            }
        }
    }

    /// The design's table of the one-way modes, cell by cell.
    #[test]
    fn one_way_modes_follow_the_table() {
        let columns = [
            (File(Same), File(Edited), Nothing, Download),
            (File(Same), Gone, UploadNew, DeleteLocal),
            (
                File(Edited),
                File(Same),
                UploadOver(Replaces::Base),
                Nothing,
            ),
            (
                File(Edited),
                File(Edited),
                UploadOver(Replaces::Seen),
                Conflict,
            ),
            (File(Edited), Gone, UploadNew, Forget),
            (Gone, File(Same), DeleteRemote, Download),
            (Gone, File(Edited), Report(Note::EditedInDropbox), Download),
            (Gone, Gone, Forget, Forget),
        ];
        for (local, remote, up, down) in columns {
            assert_eq!(
                file_action(Directions::Up, local, remote),
                up,
                "up {local:?} {remote:?}"
            );
            assert_eq!(
                file_action(Directions::Down, local, remote),
                down,
                "down {local:?} {remote:?}"
            );
        }
    }

    #[test]
    fn without_a_base_one_side_is_copied_and_different_files_conflict() {
        let new = |directions, local, remote, equal, reset_upload| {
            decide(Facts {
                directions,
                base: BaseKind::None,
                local,
                remote,
                equal,
                reset_upload,
                deletes: DeletePolicy::Propagate,
            })
        };
        let file = File(Edited);
        for (directions, remote_only, local_only, differ) in [
            (Directions::Both, Download, UploadNew, Conflict),
            (Directions::Up, Nothing, UploadNew, Report(Note::Undecided)),
            (Directions::Down, Download, Nothing, Conflict),
        ] {
            assert_eq!(new(directions, Gone, file, false, false), remote_only);
            assert_eq!(new(directions, file, Gone, false, false), local_only);
            assert_eq!(new(directions, file, file, false, false), differ);
            assert_eq!(new(directions, file, file, true, false), Adopt);
        }
        assert_eq!(
            new(Directions::Down, file, Gone, false, true),
            UploadNew,
            "a reset is due"
        );
        assert_eq!(new(Directions::Neither, file, Gone, false, true), UploadNew);
        assert_eq!(new(Directions::Neither, file, Gone, false, false), Nothing);
        assert_eq!(new(Directions::Neither, file, file, false, true), Nothing);
        assert_eq!(
            new(Directions::Down, file, file, false, true),
            Conflict,
            "a reset overwrites nothing"
        );
    }

    fn every_fact() -> impl Iterator<Item = Facts> {
        let sides = [Unknown, Gone, Folder, File(Same), File(Edited)];
        let flows = [
            Directions::Both,
            Directions::Up,
            Directions::Down,
            Directions::Neither,
        ];
        let bases = [BaseKind::None, BaseKind::Folder, BaseKind::File];
        flows.into_iter().flat_map(move |directions| {
            bases.into_iter().flat_map(move |base| {
                sides.into_iter().flat_map(move |local| {
                    sides.into_iter().flat_map(move |remote| {
                        [false, true].into_iter().flat_map(move |equal| {
                            [false, true].into_iter().map(move |reset_upload| Facts {
                                directions,
                                base,
                                local,
                                remote,
                                equal,
                                reset_upload,
                                deletes: DeletePolicy::Propagate,
                            })
                        })
                    })
                })
            })
        })
    }

    #[test]
    fn unknown_is_not_absent() {
        for facts in every_fact().filter(|f| f.local == Unknown || f.remote == Unknown) {
            assert_eq!(decide(facts), Nothing, "{facts:?}");
        }
    }

    #[test]
    fn a_deletion_needs_a_base_and_an_unchanged_victim() {
        for facts in every_fact() {
            let victim = match decide(facts) {
                DeleteLocal => facts.local,
                DeleteRemote => facts.remote,
                _ => continue,
            };
            assert_ne!(facts.base, BaseKind::None, "{facts:?}");
            let unchanged = match facts.base {
                BaseKind::File => victim == File(Same),
                BaseKind::Folder | BaseKind::None => victim == Folder,
            };
            assert!(unchanged, "{facts:?}");
        }
    }

    #[test]
    fn what_is_kept_is_deleted_nowhere_and_all_else_is_decided_as_ever() {
        for facts in every_fact() {
            let deletes = DeletePolicy::Keep;
            let kept = decide(Facts { deletes, ..facts });
            match (decide(facts), facts.local) {
                (DeleteRemote, Gone) | (Report(Note::EditedInDropbox), _) => {
                    assert_eq!(kept, Nothing, "{facts:?}");
                }
                (DeleteRemote, _) => {
                    assert_eq!(kept, Report(Note::FileMeetsFolder), "{facts:?}");
                }
                (action, _) => assert_eq!(kept, action, "{facts:?}"),
            }
        }
    }

    #[test]
    fn an_edited_local_file_is_never_replaced_without_a_copy() {
        for facts in every_fact().filter(|f| f.local == File(Edited)) {
            let action = decide(facts);
            assert!(
                !matches!(action, Download | DeleteLocal | MakeLocalFolder),
                "{facts:?}"
            );
        }
    }

    #[test]
    fn one_way_modes_never_touch_the_other_side() {
        for facts in every_fact().filter(|f| !f.reset_upload) {
            let direction = decide(facts).direction();
            match facts.directions {
                Directions::Up => assert_ne!(direction, Some(Direction::Down), "{facts:?}"),
                Directions::Down => assert_ne!(direction, Some(Direction::Up), "{facts:?}"),
                Directions::Neither => assert_eq!(decide(facts), Nothing),
                Directions::Both => {}
            }
        }
    }
}
