//! The second walk of a pass: the whole tree, with what is local going up and deletes collected.
//!
//! It goes directory by directory, as the first one over the [`pending`] rows does. The entries of
//! one directory, sorted by key, are merged with that directory's rows, so memory is bounded by the
//! largest directory. A directory that cannot be read is unknown: nothing below it is visited, so
//! nothing follows from its silence.

pub(crate) mod again;
pub mod archive;
pub mod coverage;
pub mod kept;
pub mod left_by_others;
pub mod lost_mounts;
pub mod pending;
mod queue;
pub(crate) mod renamed;
mod special;
pub mod tell_coverage;

use std::io;

use left_by_others::count_left_by_others;
use lost_mounts::{has_lost_mount, tell_lost_mount};
use queue::{DirQueue, QueuedDir};
use special::tell_special;

use crate::core::decide::{DeletePolicy, Directions};
use crate::core::filter::FilterAllows;
use crate::core::names::{is_litter, refused_by_dropbox};
use crate::core::path::{DisplayPath, Key, RelPath, nfc};
use crate::engine::actions::Actions;
use crate::engine::context::Context;
use crate::engine::download::archive_plan::How;
use crate::engine::item::{Item, Local, Walk, is_a_folder, spelling};
use crate::engine::local_dir::{
    LocalDir, LocalEntries, LocalEntry, entries, is_lost_and_found, one_of,
};
use crate::engine::reconcile::visit;
use crate::engine::survey::Survey;
use crate::error::{Result, state_error};
use crate::index::{Base, HeldBy, Remote, Row, RowSummary};
use crate::io::stat::Kind;
use crate::report::{Trouble, printable};

/// Walks the whole tree.
///
/// # Errors
/// Whatever ends the pass.
pub(crate) fn walk_all<'a>(cx: &mut Context<'a>, actions: &mut dyn Actions<'a>) -> Result<()> {
    let root = RelPath::root();
    let device = match cx.env.disk.root() {
        Ok(status) => status.device,
        Err(error) => {
            return Err(state_error("look at the content dir", &error));
        }
    };
    let mut dirs = DirQueue::default();
    let mut next = Some(QueuedDir {
        key: String::new(),
        display_path: DisplayPath::default(),
        local: LocalDir::Present(root, device),
        blocked_up: false,
    });
    while let Some(dir) = next {
        let mark = dirs.mark();
        walk_dir(cx, actions, dir, &mut dirs)?;
        dirs.close(mark);
        next = dirs.pop();
    }
    actions.finish_walk(cx)
}

fn walk_dir<'a>(
    cx: &mut Context<'a>,
    actions: &mut dyn Actions<'a>,
    dir: QueuedDir,
    dirs: &mut DirQueue,
) -> Result<()> {
    cx.env.deadline.check()?;
    let (path, device, entries) = match &dir.local {
        LocalDir::Present(path, device) => match entries(cx, path, *device) {
            Some(entries) => (path.clone(), *device, entries),
            None => {
                note_unread(cx, &dir)?;
                return note_hidden(cx, actions, &Row::new(Key::of(&dir.key), ""));
            }
        },
        LocalDir::Absent(path, device) => (path.clone(), *device, LocalEntries::none()),
        LocalDir::BelowFile | LocalDir::Blocked | LocalDir::Unknown => return Ok(()),
    };
    see_to_ours(cx, actions, &path, &entries);
    let walked = WalkedDir {
        dir: &dir,
        path: &path,
        device,
        is_spelt_alike: dir.display_path.trim_start_matches('/') == path.as_str(),
    };
    let mut in_step = Survey::default();
    let index = cx.env.index;
    let mut summaries = index.summaries_in_dir(&dir.key);
    let mut summary = summaries.next()?;
    let names = &entries.names;
    let mut at = 0;
    loop {
        let local = names.folded(at);
        let name = match (&summary, &local) {
            (None, None) => break,
            (Some(summary), None) => summary.name.as_str(),
            (None, Some(local)) => local,
            (Some(summary), Some(local)) => summary.name.as_str().min(local),
        };
        let start = at;
        while names.folded(at).as_deref() == Some(name) {
            at += 1;
        }
        let found = entries.to_look_at(cx, &path, (&dir.key, name), start..at);
        let known = if summary.as_ref().is_some_and(|summary| summary.name == name) {
            std::mem::replace(&mut summary, summaries.next()?)
        } else {
            None
        };
        let Some(found) = found else {
            continue;
        };
        tell_looked(cx, &found);
        let is_done = match (&known, &*found) {
            (Some(known), [found]) => is_in_step(cx, &mut in_step, &walked, known, found),
            (Some(known), []) => stays_there(cx, &mut in_step, &walked, known),
            _ => false,
        };
        if is_done {
            continue;
        }
        let known = known
            .map(|known| index.row_of(&dir.key, known))
            .transpose()?;
        walk_key(cx, actions, &walked, known.flatten(), &found, dirs)?;
    }
    actions.survey().add(&in_step);
    Ok(())
}

/// Tells who watches that a file was looked at.
fn tell_looked(cx: &Context<'_>, found: &[LocalEntry]) {
    let is_file = |entry: &LocalEntry| {
        let kind = entry.status.as_ref().map(|status| status.kind);
        matches!(kind, Ok(Kind::File))
    };
    if let Some(live) = cx.env.report.live()
        && found.iter().any(is_file)
    {
        live.looked();
    }
}

/// Removes what we have left in a directory, and counts what others of us have in it.
fn see_to_ours<'a>(
    cx: &mut Context<'a>,
    actions: &mut dyn Actions<'a>,
    path: &RelPath,
    entries: &LocalEntries<'a>,
) {
    if !entries.own_names.is_empty() {
        actions.clean(cx, path, &entries.own_names);
        actions.survey().left_by_others += count_left_by_others(cx, path, &entries.own_names);
    }
    if !cx.is_second_round {
        actions.survey().state_files += entries.state_files;
    }
}

/// A directory that cannot be read, and in which nothing was ever in step, may hold what is gone
/// elsewhere.
fn note_unread(cx: &mut Context<'_>, dir: &QueuedDir) -> Result<()> {
    let key = Key::of(&dir.key);
    if !dir.key.is_empty() && !cx.env.index.has_files_below(&key, HeldBy::Base)? {
        cx.note_unseen(&dir.display_path);
    }
    Ok(())
}

/// Nothing has happened to a file, and it is counted: so it is with nearly all of them in
/// nearly every pass. Any doubt is left to the closer look.
fn is_in_step(
    cx: &Context<'_>,
    survey: &mut Survey,
    walked: &WalkedDir<'_>,
    known: &RowSummary,
    found: &LocalEntry,
) -> bool {
    let is_same = match &found.status {
        Ok(status) => status.kind == Kind::File && Some(status.stamp) == known.stamp,
        Err(_) => false,
    };
    if !is_same || known.arrived_in_pass > cx.last_guarded_pass {
        return false;
    }
    let directions = directions_of(cx, walked, known, &found.name);
    if directions.is_some_and(|directions| directions != Directions::Neither) {
        match known.stamp.is_some_and(|stamp| cx.is_too_large(stamp.size)) {
            true if cx.is_second_round => {}
            true => {
                survey.skipped.too_large += 1;
                let name = known.display_name.as_ref().unwrap_or(&known.name);
                let path = walked.dir.display_path.join(name);
                let text = format!(
                    "left out: larger than {} (sync.max_file_size)",
                    cx.largest_size()
                );
                cx.env.report.remark(log::Level::Info, &path, &text);
            }
            false => survey.count_in_step(),
        }
    }
    true
}

/// A file that was in step, is gone here, and is kept in Dropbox: the guards do not count it. There
/// may come to be many of them.
fn is_kept_there(
    cx: &Context<'_>,
    survey: &mut Survey,
    walked: &WalkedDir<'_>,
    known: &RowSummary,
) -> bool {
    let is_kept = cx.deletes() == DeletePolicy::Keep
        && known.stamp.is_some()
        && known.arrived_in_pass <= cx.last_guarded_pass;
    if is_kept && !cx.is_second_round {
        let name = known.display_name.as_ref().unwrap_or(&known.name);
        let directions = directions_of(cx, walked, known, name);
        let may_go = matches!(directions, Some(Directions::Up | Directions::Both));
        survey.skipped.kept += u64::from(may_go);
    }
    is_kept
}

/// A file only Dropbox has, where nothing may come down, and it is counted; or one that is kept.
fn stays_there(
    cx: &Context<'_>,
    survey: &mut Survey,
    walked: &WalkedDir<'_>,
    known: &RowSummary,
) -> bool {
    if !known.is_only_there {
        return is_kept_there(cx, survey, walked, known);
    }
    let name = known.display_name.as_ref().unwrap_or(&known.name);
    match directions_of(cx, walked, known, name) {
        Some(Directions::Up) => {
            survey.count_only_in_dropbox();
            true
        }
        Some(Directions::Both | Directions::Down) => false,
        Some(Directions::Neither) | None => true,
    }
}

/// Which way a file may travel that has this name here; nothing if it is not looked at.
fn directions_of(
    cx: &Context<'_>,
    walked: &WalkedDir<'_>,
    known: &RowSummary,
    local_name: &str,
) -> Option<Directions> {
    let filter = &cx.env.config.sync.filter;
    let display_name = known.display_name.as_ref().unwrap_or(&known.name);
    if filter.takes_everything() && cx.env.own_keys.is_empty() {
        // What is below a pruned directory is never visited.
        let all = FilterAllows {
            up: true,
            down: true,
        };
        return (!filter.hides_name(display_name)).then(|| Directions::of(cx.options.mode, all));
    }
    let dir = walked.dir;
    let display_path = dir.display_path.join(display_name);
    let local_path = if walked.is_spelt_alike && display_name == local_name {
        None
    } else {
        Some(spelling(walked.path, local_name))
    };
    let local_path = local_path.as_deref().unwrap_or(&display_path);
    let key = Key::in_dir(&dir.key, &known.name);
    if cx.prunes((&display_path, local_path), &key, false) {
        return None;
    }
    Some(Directions::of(
        cx.options.mode,
        filter.allows_both(&display_path, local_path),
    ))
}

/// A directory at hand: as it was queued, and where it is locally.
struct WalkedDir<'d> {
    dir: &'d QueuedDir,
    path: &'d RelPath,
    device: u64,
    /// Its path is spelt as in Dropbox.
    is_spelt_alike: bool,
}

/// One key of a directory: its row, if any, and the local names that have this key.
fn walk_key<'a>(
    cx: &mut Context<'a>,
    actions: &mut dyn Actions<'a>,
    walked: &WalkedDir<'_>,
    known: Option<Row>,
    found: &[LocalEntry],
    dirs: &mut DirQueue,
) -> Result<()> {
    let WalkedDir {
        dir, path, device, ..
    } = *walked;
    cx.env.deadline.check()?;
    if known.is_none() && is_lost_and_found(cx, path, device, found) {
        return Ok(());
    }
    let row = known.unwrap_or_else(|| {
        let name = found.first().map_or("", |entry| &entry.name);
        Row::new(Key::in_dir(&dir.key, name), &nfc(name))
    });
    if !row.intact {
        // Even where the filters would not look: its very name may be what is damaged.
        cx.note_damaged(&row.key);
        actions.survey().unseen.note(&row.key);
        return Ok(());
    }
    let display_path = dir.display_path.join(&row.display_name);
    let (local, name) = one_of(found, &row, device);
    let is_folder = is_a_folder(&row, &local);
    let local_path = spelling(path, &name);
    if cx.prunes((&display_path, &local_path), &row.key, is_folder) {
        note_pruned(cx, actions, (&display_path, &local_path), is_folder, found);
        return Ok(());
    }
    tell_unclear(cx, path, &display_path, found);
    let item = Item {
        row,
        local,
        dir: path.clone(),
        device,
        name,
        display_path,
        blocked_up: dir.blocked_up,
    };
    let is_clear = item.local != Local::Unknown && item.row.remote != Remote::NotDownloadable;
    if !is_clear || item.path().is_err() || has_lost_mount(cx, &item.row, &item.local)? {
        note_hidden(cx, actions, &item.row)?;
    }
    tell_special(cx, &item, found)?;
    note_kind(cx, actions, found);
    if is_left_for_its_name(cx, &item) {
        return Ok(());
    }
    if has_lost_mount(cx, &item.row, &item.local)? {
        cx.note_blocked(&item);
        tell_lost_mount(cx, &item)?;
        return Ok(());
    }
    if is_left_out(cx, actions, &item) {
        return Ok(());
    }
    if item.row.remote == Remote::NotDownloadable {
        cx.note_blocked(&item);
    }
    if item.row.is_empty() && actions.meet_new_folder(cx, &item)? {
        return Ok(());
    }
    queue_children(&item, dirs)?;
    visit(cx, actions, Walk::All, item, How::Fetch)
}

/// Counts what is here and neither a file nor a folder.
fn note_kind<'a>(cx: &Context<'a>, actions: &mut dyn Actions<'a>, found: &[LocalEntry]) {
    if let ([entry], false) = (found, cx.is_second_round)
        && let Ok(status) = &entry.status
    {
        actions.survey().note_kind(status.kind);
    }
}

/// Counts what is here and left out by a rule of ours.
fn note_pruned<'a>(
    cx: &Context<'a>,
    actions: &mut dyn Actions<'a>,
    (display_path, local_path): (&str, &str),
    is_folder: bool,
    found: &[LocalEntry],
) {
    if found.is_empty() || cx.is_second_round {
        return;
    }
    let filter = &cx.env.config.sync.filter;
    let mut spellings = [display_path, local_path].into_iter();
    let why = spellings.find_map(|path| filter.leaves_out(path, is_folder));
    // Else it is a file of ours, wherever that lies.
    if let Some(why) = why {
        actions.survey().note_left_out(why);
    }
}

/// Whether nothing can be done about what is here, because its path is too long.
fn is_left_for_its_name(cx: &mut Context<'_>, item: &Item) -> bool {
    let (Err(error), Local::File(_) | Local::Folder { .. }) = (item.path(), item.local) else {
        return false;
    };
    cx.note_incomplete_view();
    cx.note_blocked(item);
    let text = format!("{error}: it is left alone");
    let report = cx.env.report;
    report.problem(&item.display_path, Trouble::Name, &text);
    true
}

/// What is at and below a row could not be looked at: that matters if it was in step.
fn note_hidden<'a>(cx: &Context<'a>, actions: &mut dyn Actions<'a>, row: &Row) -> Result<()> {
    let index = cx.env.index;
    let was_in_step = match row.key.path().is_empty() {
        true => index.has_base()?,
        false => row.base_file().is_some() || index.has_files_below(&row.key, HeldBy::Base)?,
    };
    if was_in_step {
        actions.survey().unseen.note(&row.key);
    }
    Ok(())
}

/// Says which of the local names of a key cannot be told apart, or not be looked at.
fn tell_unclear(
    cx: &mut Context<'_>,
    dir: &RelPath,
    display_path: &DisplayPath,
    found: &[LocalEntry],
) {
    if found.len() > 1 {
        cx.note_incomplete_view();
        tell_clash(cx, dir, found);
        for entry in found {
            let (key, shown) = (key_of_one(dir, entry), spelling(dir, &entry.name));
            match (&entry.status, dir.join(&entry.name)) {
                (Ok(status), Ok(path)) if status.kind == Kind::Folder => {
                    cx.note_blocked_folder(path);
                }
                (Ok(status), path) => {
                    cx.note_local_file(key, &DisplayPath::from(shown), path.ok(), status);
                }
                (Err(_), _) => cx.note_unseen(&shown),
            }
        }
    }
    for entry in found {
        if let Err(error) = &entry.status {
            cx.note_incomplete_view();
            let report = cx.env.report;
            match error.kind() {
                io::ErrorKind::NotFound => report.deferred(display_path, "it was just removed"),
                _ => report.problem(
                    display_path,
                    Trouble::of_disk(error),
                    &format!("cannot look at it: {error}"),
                ),
            }
        }
    }
}

/// Tells one of several names with one key from the others.
fn key_of_one(dir: &RelPath, entry: &LocalEntry) -> Key {
    Key {
        dir: dir.as_str().to_owned(),
        name: entry.name.clone(),
    }
}

/// A folder is walked later, and so is what lay in one that is gone.
fn queue_children(item: &Item, dirs: &mut DirQueue) -> Result<()> {
    let Ok(child) = item.path() else {
        return Ok(());
    };
    let row = &item.row;
    let local = match item.local {
        // Dropbox has no folder here, and none can be made.
        _ if row.remote == Remote::NotDownloadable => return Ok(()),
        Local::Folder { device, .. } => LocalDir::Present(child, device),
        // What lay below a folder that is gone went with it.
        Local::Gone | Local::File(_) if row.may_have_children() => {
            LocalDir::Absent(child, item.device)
        }
        Local::Gone | Local::File(_) | Local::Unknown => return Ok(()),
    };
    dirs.push(&QueuedDir {
        key: row.key.path(),
        display_path: item.display_path.clone(),
        local,
        blocked_up: item.blocked_up || row.remote_file().is_some(),
    })
}

/// Whether Dropbox takes nothing of this name. Litter is counted, all else a problem.
fn is_left_out<'a>(cx: &mut Context<'a>, actions: &mut dyn Actions<'a>, item: &Item) -> bool {
    let is_new = !matches!(item.local, Local::Gone | Local::Unknown) && item.row.base == Base::None;
    let may_go_up = || cx.may_go_up(&item.display_path, &item.local_spelling());
    if !is_new || cx.has_too_large(item) || !may_go_up() {
        return false;
    }
    if is_litter(&item.name) {
        actions.survey().skipped.litter += u64::from(!cx.is_second_round);
        return true;
    }
    let Some(why) = refused_by_dropbox(&item.name) else {
        return false;
    };
    cx.note_blocked(item);
    let report = cx.env.report;
    report.problem(
        &item.display_path,
        Trouble::Name,
        &format!("{why}: rename or exclude it"),
    );
    true
}

fn tell_clash(cx: &Context<'_>, dir: &RelPath, found: &[LocalEntry]) {
    for entry in found {
        let others: Vec<_> = found.iter().filter(|e| e.name != entry.name).collect();
        let other = printable(others.first().map_or("", |e| e.name.as_str()));
        cx.env.report.problem(
            &spelling(dir, &entry.name),
            Trouble::Clash,
            &format!("Dropbox would take it for the same name as {other}: rename one of them"),
        );
    }
}
