//! One item of a pass: observed, decided about, and handed to whoever acts.

use crate::core::decide::{
    Action, Content, DeletePolicy, Direction, Directions, Note, Replaces, Side,
};
use crate::core::filter::LeftOut;
use crate::dropbox::wire::WriteMode;
use crate::engine::actions::Actions;
use crate::engine::context::Context;
use crate::engine::download::archive_plan::How;
use crate::engine::item::{Item, Local, Observed, Walk};
use crate::engine::observe::{decision, observe};
use crate::engine::stable_read::Unread;
use crate::engine::survey::Survey;
use crate::error::Result;
use crate::index::{Base, BaseFile, Remote};
use crate::report::{Trouble, printable};

/// Looks at one item and does what is to be done; `how` says where a file's bytes come from.
pub(crate) fn visit<'a>(
    cx: &mut Context<'a>,
    actions: &mut dyn Actions<'a>,
    walk: Walk,
    mut item: Item,
    how: How<'_, '_>,
) -> Result<()> {
    if !item.row.intact {
        cx.note_blocked(&item);
        cx.note_damaged(&item.row.key);
    }
    if !item.row.intact || !actions.looks_at(&item) {
        return Ok(());
    }
    note_mount(cx, actions, walk, &mut item)?;
    let (remote, allows) = (item.row.remote_side(), cx.allows(&item));
    let directions = Directions::of(cx.options.mode, allows);
    if walk == Walk::All && directions != Directions::Neither {
        count(cx, actions.survey(), &item, remote);
    }
    if walk == Walk::All && is_left_out_for_size(cx, &item) {
        leave_out(cx, actions.survey(), &item);
    } else if walk == Walk::All && is_unlisted(cx, &item) {
        actions.survey().note_left_out(LeftOut::NotListed);
    }
    if let (Local::File(status), Some(base), Remote::AsBase) =
        (&item.local, item.row.base_file(), &item.row.remote)
        && !base.racy
        && base.stamp == status.stamp
        && base.stamp.rights.is_some()
    {
        return Ok(());
    }
    if directions == Directions::Neither && !(cx.reset_due && allows.up) {
        return Ok(());
    }
    match item.row.remote {
        Remote::NotDownloadable => return tell_not_downloadable(cx, walk, &item),
        _ if item.row.waits_for_its_rev() => return put_off_for_its_rev(cx, &item),
        _ => {}
    }
    note_blocked_below(cx, &item);
    let observed = match observe(cx, &item) {
        Ok(observed) => observed,
        Err(unread) => {
            cx.note_under_way(Direction::Up, &item);
            cx.note_under_way(Direction::Down, &item);
            tell_unread(cx, &item, &unread);
            if matches!(unread, Unread::Vanished) && item.row.base_file().is_some() {
                actions.survey().unseen.note(&item.row.key);
            }
            return Ok(());
        }
    };
    if let (Directions::Up, Side::Gone, Side::File(_)) = (directions, observed.side, remote) {
        actions.survey().only_in_dropbox += u64::from(walk == Walk::All);
    }
    let action = decision(cx, &item, &observed);
    if action
        .direction()
        .is_some_and(|direction| !cx.may(direction))
    {
        put_off(cx, walk, action, &item);
        return Ok(());
    }
    match walk {
        Walk::Pending => bring_down(cx, actions, walk, action, item, observed, how),
        Walk::All => act(cx, actions, action, item, observed, how),
    }
}

/// Whether no filter lets a file here travel that counts in this mode.
fn is_unlisted(cx: &Context<'_>, item: &Item) -> bool {
    !cx.is_second_round
        && matches!(item.local, Local::File(_))
        && Directions::of(cx.options.mode, cx.filters_allow(item)) == Directions::Neither
}

/// Whether a file is left out for its size that would travel otherwise, and is to be counted.
fn is_left_out_for_size(cx: &Context<'_>, item: &Item) -> bool {
    if cx.is_second_round || !cx.has_too_large(item) {
        return false;
    }
    match Directions::of(cx.options.mode, cx.filters_allow(item)) {
        Directions::Both => true,
        Directions::Up => matches!(item.local, Local::File(_)),
        Directions::Down => matches!(item.row.remote_side(), Side::File(_)),
        Directions::Neither => false,
    }
}

/// Counts and names a file that is left out for its size: where it was in step before, once.
fn leave_out(cx: &mut Context<'_>, survey: &mut Survey, item: &Item) {
    survey.skipped.too_large += 1;
    let was_in_step = item
        .row
        .base_file()
        .is_some_and(|base| !cx.is_too_large(base.stamp.size));
    let most = cx.largest_size();
    let (level, text) = match was_in_step && cx.note_outgrown(item) {
        true => (
            log::Level::Warn,
            format!(
                "it grew beyond {most} (sync.max_file_size) and is left out from now on; the other \
                 side keeps the version before"
            ),
        ),
        false => (
            log::Level::Info,
            format!("left out: larger than {most} (sync.max_file_size)"),
        ),
    };
    cx.env.report.remark(level, &item.display_path, &text);
}

/// Something is in its way here.
fn note_blocked_below(cx: &mut Context<'_>, item: &Item) {
    if item.local == Local::Unknown && item.row.remote != Remote::AsBase {
        cx.note_under_way(Direction::Down, item);
    }
}

/// Nobody knows which version in Dropbox an edit replaces, or a delete destroys.
fn put_off_for_its_rev(cx: &mut Context<'_>, item: &Item) -> Result<()> {
    let why = "Dropbox has not told yet which version it has since its folder was moved";
    cx.env.report.deferred(&item.display_path, why);
    cx.note_under_way(Direction::Up, item);
    Ok(())
}

/// This pass goes the other way.
fn put_off(cx: &mut Context<'_>, walk: Walk, action: Action, item: &Item) {
    if let Action::Conflict | Action::SetAside = action {
        cx.note_blocked(item);
    }
    if walk == Walk::All {
        let why = "it waits for a pass in the other direction";
        cx.env.report.deferred(&item.display_path, why);
    }
}

/// Notes in the row whether a disk is mounted on the folder, also where it is not to travel itself.
/// That one is mounted no more the second walk finds, and may refuse.
fn note_mount<'a>(
    cx: &mut Context<'a>,
    actions: &mut dyn Actions<'a>,
    walk: Walk,
    item: &mut Item,
) -> Result<()> {
    let mount = match item.local {
        Local::Unknown => return Ok(()),
        Local::Folder { mount: false, .. } if walk == Walk::Pending => return Ok(()),
        Local::Folder { mount, .. } => mount,
        Local::Gone | Local::File(_) => false,
    };
    if item.row.mount == mount {
        return Ok(());
    }
    item.row.mount = mount;
    actions.settle(cx, item.row.clone())
}

/// What both walks do. Deletes and uploads wait for the second one.
fn bring_down<'a>(
    cx: &mut Context<'a>,
    actions: &mut dyn Actions<'a>,
    walk: Walk,
    action: Action,
    item: Item,
    observed: Observed,
    how: How<'_, '_>,
) -> Result<()> {
    match action {
        Action::Nothing => refresh_stamp(cx, actions, item, &observed),
        Action::Adopt => adopt(cx, actions, walk, item, &observed),
        // A file that was moved is forgotten under its old name once the new one is durable.
        Action::Forget
            if walk == Walk::Pending && actions.is_being_renamed(cx, &item.row.key)? =>
        {
            Ok(())
        }
        Action::Forget => forget(cx, actions, walk, item),
        Action::Download | Action::Conflict => actions.download(cx, item, observed, action, how),
        Action::SetAside => {
            count_in_step(cx, actions, walk, &item);
            actions.set_aside(cx, item, observed)
        }
        Action::MakeLocalFolder => actions.make_local_folder(cx, item),
        Action::DeleteLocal
        | Action::DeleteRemote
        | Action::UploadNew
        | Action::UploadOver(_)
        | Action::MakeRemoteFolder
        | Action::Report(_) => Ok(()),
    }
}

/// What the second walk does.
fn act<'a>(
    cx: &mut Context<'a>,
    actions: &mut dyn Actions<'a>,
    action: Action,
    item: Item,
    observed: Observed,
    how: How<'_, '_>,
) -> Result<()> {
    match action {
        Action::Download | Action::Conflict | Action::SetAside | Action::MakeLocalFolder
            // What came from Dropbox was dealt with in the first walk.
            if item.row.remote != Remote::AsBase =>
        {
            Ok(())
        }
        Action::Nothing
        | Action::Adopt
        | Action::Forget
        | Action::Download
        | Action::Conflict
        | Action::SetAside
        | Action::MakeLocalFolder => {
            bring_down(cx, actions, Walk::All, action, item, observed, how)
        }
        Action::DeleteLocal => actions.delete(cx, Direction::Down, item),
        Action::DeleteRemote => actions.delete(cx, Direction::Up, item),
        Action::UploadNew => actions.upload(cx, item, &observed, WriteMode::Add, None),
        Action::UploadOver(Replaces::Seen) if cx.is_older => {
            ask_person(cx, actions, item, observed)
        }
        Action::UploadOver(replaces) => upload_over(cx, actions, item, &observed, replaces),
        Action::MakeRemoteFolder => actions.make_remote_folder(cx, item),
        Action::Report(note) => report_note(cx, actions, note, item, observed),
    }
}

/// Dropbox has something of this name that cannot be downloaded.
fn tell_not_downloadable(cx: &Context<'_>, walk: Walk, item: &Item) -> Result<()> {
    match (walk, item.local) {
        (Walk::All, Local::File(_) | Local::Folder { .. }) => cx.env.report.problem(
            &item.display_path,
            Trouble::Link,
            "Dropbox has a web document or a link of this name, which cannot be downloaded; \
             both are left alone: rename one",
        ),
        (Walk::All, _) => log::debug!("{}: cannot be downloaded", printable(&item.display_path)),
        (Walk::Pending, _) => {}
    }
    Ok(())
}

/// Counts what the guards ask about: files that may travel only, and of them those that were where
/// they are before the agent began to move files around, in this pass or in one that broke off
/// before its guards were asked. A file that it has brought back was in step, but speaks for no
/// side.
fn count(cx: &mut Context<'_>, survey: &mut Survey, item: &Item, remote: Side) {
    let tally = &mut survey.tally;
    let base = item.row.base_file();
    if let Some(base) = base.filter(|_| cx.is_kept_there(item)) {
        cx.has_arrivals |= base.arrived_in_pass > cx.last_guarded_pass;
        let is_there = matches!(remote, Side::File(_)) && cx.deletes() == DeletePolicy::Keep;
        survey.skipped.kept += u64::from(is_there && !cx.is_second_round);
        return;
    }
    if base.is_some() {
        cx.view_is_incomplete |= item.local == Local::Unknown || remote == Side::Unknown;
    }
    if let Some(base) = base.filter(|base| base.arrived_in_pass > cx.last_guarded_pass) {
        cx.has_arrivals = true;
        if base.reappeared {
            tally.base_files += 1;
        } else {
            let arrived = &mut tally.arrived;
            arrived.base += 1;
            arrived.local += u64::from(matches!(item.local, Local::File(_)));
            arrived.remote += u64::from(matches!(remote, Side::File(_)));
        }
        if let (Local::File(_), Side::File(Content::Same)) = (item.local, remote) {
            cx.note_earlier_arrival(base.hash);
        }
        return;
    }
    tally.base_files += u64::from(base.is_some());
    let is_edited = match (item.local, base) {
        (Local::File(status), Some(base)) => status.stamp != base.stamp,
        (Local::File(_), None) => true,
        (Local::Unknown | Local::Gone | Local::Folder { .. }, _) => false,
    };
    // New on both sides: it may be the unsettled work of a pass that broke off.
    if is_edited && matches!(remote, Side::File(Content::Edited)) {
        return;
    }
    tally.local_files += u64::from(matches!(item.local, Local::File(_)));
    tally.remote_files += u64::from(matches!(remote, Side::File(_)));
}

fn tell_unread(cx: &mut Context<'_>, item: &Item, unread: &Unread) {
    cx.note_incomplete_view();
    let report = cx.env.report;
    match unread {
        // Gone or replaced since it was listed: the next pass sees what is there then.
        Unread::Vanished => {
            let why = "it was just replaced";
            cx.defer(item, why, "it is listed here, but cannot be opened");
        }
        Unread::KeepsChanging => report.problem(
            &item.display_path,
            Trouble::Changing,
            "the file changes all the time; it is tried again in the next run",
        ),
        // It was not read to its end because nobody wants that any more.
        Unread::Failed(_) if cx.env.host.is_stopped() => {}
        Unread::Failed(error) => report.problem(
            &item.display_path,
            Trouble::of_disk(error),
            &error.to_string(),
        ),
    }
}

fn upload_over<'a>(
    cx: &mut Context<'a>,
    actions: &mut dyn Actions<'a>,
    item: Item,
    observed: &Observed,
    replaces: Replaces,
) -> Result<()> {
    let (key, path) = (&item.row.key, &item.display_path);
    if let Some(pace) = cx.waits_for_pace(key, path, &item.local_spelling())? {
        if !cx.is_second_round {
            cx.env.report.waits(path, &pace);
        }
        cx.note_under_way(Direction::Up, &item);
        return Ok(());
    }
    let base = item.row.base_file().map(|base| base.rev.clone());
    let seen = item.row.remote_file().map(|file| file.rev);
    let (rev, more) = match replaces {
        Replaces::Base => (base, None),
        Replaces::Seen => (seen.clone(), seen),
    };
    let mode = rev.map_or(WriteMode::Add, WriteMode::Update);
    actions.upload(cx, item, observed, mode, more)
}

/// An older copy of the index cannot say whether what is here was edited, or is what Dropbox's
/// version was made from: without a base a person decides.
fn ask_person<'a>(
    cx: &mut Context<'a>,
    actions: &mut dyn Actions<'a>,
    mut item: Item,
    observed: Observed,
) -> Result<()> {
    item.row.set_base(Base::None);
    let row = item.row.clone();
    actions.ask_person(cx, item, observed)?;
    actions.settle(cx, row)
}

fn report_note<'a>(
    cx: &mut Context<'a>,
    actions: &mut dyn Actions<'a>,
    note: Note,
    item: Item,
    observed: Observed,
) -> Result<()> {
    match note {
        Note::EditedInDropbox => cx.env.report.remark(
            log::Level::Info,
            &item.display_path,
            "deleted here, edited in Dropbox; nothing comes down in this mode",
        ),
        Note::Undecided => {
            cx.note_under_way(Direction::Up, &item);
            actions.ask_person(cx, item, observed)?;
        }
        Note::FileMeetsFolder => {
            cx.note_under_way(Direction::Up, &item);
            cx.note_under_way(Direction::Down, &item);
            cx.env.report.problem(
                &item.display_path,
                Trouble::FileMeetsFolder,
                "a file on one side and a folder on the other; both are left alone: rename one",
            );
        }
    }
    Ok(())
}

/// Keeps the stamp of an unchanged file so that it is not read again.
fn refresh_stamp<'a>(
    cx: &mut Context<'a>,
    actions: &mut dyn Actions<'a>,
    item: Item,
    observed: &Observed,
) -> Result<()> {
    let Ok(path) = item.path() else {
        return Ok(());
    };
    let mut row = item.row;
    match (&mut row.base, item.local) {
        (Base::File(base), Local::File(_)) if observed.side == Side::File(Content::Same) => {
            let clock = &cx.file_clock;
            let racy = clock.is_racy(Some(item.device), &observed.stamp, observed.read_at_ns);
            let is_same = base.stamp == observed.stamp && base.stamp.rights.is_some();
            if is_same && base.racy == racy {
                return Ok(());
            }
            base.stamp = cx.with_rights(&path, Some(base), observed.stamp);
            base.racy = racy;
        }
        (Base::Folder, Local::Folder { rights, .. }) => {
            let rights = cx.folder_rights_now(&path, row.folder_rights, Some(rights));
            if row.folder_rights == rights {
                return Ok(());
            }
            row.folder_rights = rights;
        }
        _ => return Ok(()),
    }
    actions.settle(cx, row)
}

fn adopt<'a>(
    cx: &mut Context<'a>,
    actions: &mut dyn Actions<'a>,
    walk: Walk,
    item: Item,
    observed: &Observed,
) -> Result<()> {
    let base = match (item.local, item.row.remote_file(), observed.hash) {
        (Local::Folder { .. }, _, _) => Base::Folder,
        (Local::File(_), Some(remote), Some(hash)) => {
            cx.note_earlier_arrival(hash);
            cx.file_base(&item, remote.rev, hash, observed.stamp, observed.read_at_ns)
        }
        _ => return Ok(()),
    };
    cx.note_done(&item.row.key);
    let folder_rights = cx.folder_rights_of(&item);
    let (mut row, path) = (item.row, item.display_path);
    let was_in_step = row.base_file().is_some();
    row.folder_rights = folder_rights;
    row.settle(base, &item.name);
    if let (Base::File(base), true) = (&mut row.base, was_in_step) {
        // It may have been brought back by a pass that broke off before it could settle it.
        base.arrived_in_pass = cx.last_guarded_pass + 1;
        base.reappeared = true;
        cx.has_arrivals = true;
    }
    actions.adopt(cx, walk, &path, row)
}

/// A file that was in step, and has no base any more when the others are counted.
fn count_in_step<'a>(cx: &Context<'a>, actions: &mut dyn Actions<'a>, walk: Walk, item: &Item) {
    let was_settled =
        |base: &BaseFile| base.reappeared || base.arrived_in_pass <= cx.last_guarded_pass;
    if walk == Walk::Pending && item.row.base_file().is_some_and(was_settled) {
        actions.survey().tally.base_files += 1;
    }
}

fn forget<'a>(
    cx: &mut Context<'a>,
    actions: &mut dyn Actions<'a>,
    walk: Walk,
    item: Item,
) -> Result<()> {
    count_in_step(cx, actions, walk, &item);
    let mut row = item.row;
    row.set_base(Base::None);
    actions.settle(cx, row)
}
