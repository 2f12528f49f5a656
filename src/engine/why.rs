//! What a pass would do about one path, and why: looked at as a pass does it, and nothing is done.

use jiff::Timestamp;

use crate::core::decide::{Action, Mode, Note, Side};
use crate::core::path::{DisplayPath, Key, RelPath, fold};
use crate::engine::context::{Context, Env, Options};
use crate::engine::in_force::Prepared;
use crate::engine::item::{Item, Local, local_of};
use crate::engine::observe::{decision, observe};
use crate::engine::remote_root::RemoteRoot;
use crate::engine::revisit::Revisit;
use crate::error::Result;
use crate::index::{Base, BaseFile, Index, Refusal, Remote, RemoteFile, Row, UNKEPT};
use crate::io::deadline::Deadline;
use crate::io::host::Host;
use crate::io::stat::Kind;
use crate::report::{Report, ReportKind, size_text};

/// What is known of a path, and what follows from it.
#[derive(Clone, Debug)]
pub struct Explained {
    /// What both sides last agreed on.
    pub base: String,
    /// What is here.
    pub local: String,
    /// What Dropbox was last known to hold.
    pub remote: String,
    /// What the next pass would do, in a word.
    pub decision: &'static str,
    /// Why, in a sentence.
    pub reason: String,
    /// What was refused or put off before, and waits.
    pub refusal: Option<Refusal>,
    /// Neither side has anything of that name, and nothing was ever agreed on.
    pub is_unknown: bool,
}

/// Looks at a path, `/relative/path`, as the next pass with these options would.
///
/// # Errors
/// What the index says.
pub fn explain(
    prepared: &Prepared,
    host: &dyn Host,
    options: &Options,
    path: &str,
) -> Result<Explained> {
    let none;
    let index = match &prepared.index {
        Some(index) => index,
        None => {
            none = Index::temporary(UNKEPT, None)?;
            &none
        }
    };
    let report = Report::new(ReportKind::CollectedPlan);
    let deadline = Deadline::none(host);
    let env = Env {
        config: &prepared.config,
        host,
        disk: &*prepared.disk,
        deadline: &deadline,
        index,
        report: &report,
        remote_root: RemoteRoot::new(&prepared.config.dropbox.remote_root),
        own_keys: prepared.own_keys.clone(),
        instance: prepared.instance.clone(),
        device: String::new(),
        kept_max: 1,
        last_change: None,
    };
    let mut cx = Context::new(&env, options)?;
    let relative = path.trim_start_matches('/');
    let key = Key::of(&fold(relative));
    let row = index.row(&key)?;
    let name = relative.rsplit('/').next().unwrap_or_default();
    let row = row.unwrap_or_else(|| Row::new(key, name));
    let item = Revisit::default().item(&mut cx, row.clone())?;
    let item = match item.filter(|item| item.local != Local::Gone || !row.is_empty()) {
        Some(item) => Some(item),
        // Its folder may be new.
        None => as_it_lies(&cx, row.clone(), relative),
    };
    Ok(match item {
        Some(item) => explained(&cx, &item)?,
        None => unseen(&row),
    })
}

/// What is here under exactly this path.
fn as_it_lies(cx: &Context<'_>, row: Row, relative: &str) -> Option<Item> {
    let path = RelPath::parse(relative).ok()?;
    let dir = path.parent();
    let device = cx.env.disk.status(&dir).ok().flatten();
    let device = device.or_else(|| cx.env.disk.root().ok())?.device;
    let local = match cx.env.disk.status(&path) {
        Ok(Some(status)) => local_of(&status, device),
        Ok(None) => Local::Gone,
        Err(error) => {
            log::debug!("{error}");
            Local::Unknown
        }
    };
    Some(Item {
        name: relative.rsplit('/').next()?.to_owned(),
        row,
        local,
        dir,
        device,
        display_path: DisplayPath::from(format!("/{relative}")),
        blocked_up: false,
    })
}

fn unseen(row: &Row) -> Explained {
    Explained {
        base: base_text(row),
        local: "cannot be told".to_owned(),
        remote: remote_text(row),
        decision: "nothing",
        reason: "its folder cannot be looked at here".to_owned(),
        refusal: None,
        is_unknown: row.is_empty(),
    }
}

fn explained(cx: &Context<'_>, item: &Item) -> Result<Explained> {
    let row = &item.row;
    let refusal = cx.remembered.of(cx.env.index, item);
    let mut explained = Explained {
        base: base_text(row),
        local: local_text(cx, item),
        remote: remote_text(row),
        decision: "nothing",
        reason: String::new(),
        refusal,
        is_unknown: row.is_empty() && item.local == Local::Gone,
    };
    if explained.is_unknown {
        explained.reason = "neither side has anything of that name".to_owned();
        return Ok(explained);
    }
    if cx.has_too_large(item) {
        explained.reason = format!(
            "a file larger than {} is left out on both sides (sync.max_file_size)",
            cx.largest_size()
        );
        return Ok(explained);
    }
    if row.waits_for_its_rev() {
        explained.reason = "Dropbox has not told yet which version it has since its folder was \
                            renamed: it waits"
            .to_owned();
        return Ok(explained);
    }
    if row.remote == Remote::NotDownloadable {
        explained.reason =
            "Dropbox has something of that name that is no file, such as a document \
                            of its own: both are left alone"
                .to_owned();
        return Ok(explained);
    }
    let Ok(observed) = observe(cx, item) else {
        explained.reason = "it cannot be read here, so nothing follows from it".to_owned();
        return Ok(explained);
    };
    let action = decision(cx, item, &observed);
    let is_gone = item.local == Local::Gone;
    let is_in_step = row.remote == Remote::AsBase && row.base != Base::None && !is_gone;
    (explained.decision, explained.reason) = words_of(action, cx.options.mode, is_in_step);
    if let Action::UploadOver(_) = action
        && let Some(waits) =
            cx.waits_for_pace(&row.key, &item.display_path, &item.local_spelling())?
    {
        explained.decision = "wait";
        explained.reason = format!("it has changed, and waits for its pace (sync.pace): {waits}");
    }
    if observed.side == Side::Unknown {
        explained.decision = "nothing";
        explained.reason = "here is something that is neither a file nor a folder".to_owned();
    }
    Ok(explained)
}

/// What an action is called, and why it is taken.
fn words_of(action: Action, mode: Mode, is_in_step: bool) -> (&'static str, String) {
    let (word, reason) = match action {
        Action::Nothing if is_in_step => {
            ("nothing", "both sides are as they last agreed".to_owned())
        }
        Action::Nothing => (
            "nothing",
            format!("in the mode {} nothing follows from that", mode.name()),
        ),
        Action::Adopt => (
            "adopt",
            "both sides have the same: that is written down, and nothing is sent".to_owned(),
        ),
        Action::Forget => ("forget", "it is gone on both sides".to_owned()),
        Action::Download => (
            "download",
            "Dropbox has a version that is not here, and what is here has not changed".to_owned(),
        ),
        Action::Conflict => (
            "conflict_copy",
            "both sides have changed: Dropbox's version takes the name, and what is here is kept \
             beside it"
                .to_owned(),
        ),
        Action::SetAside => (
            "conflict_copy",
            "Dropbox has a folder of that name: what is here is kept beside it".to_owned(),
        ),
        Action::MakeLocalFolder => (
            "make_local_folder",
            "Dropbox has a folder that is not here".to_owned(),
        ),
        Action::DeleteLocal => (
            "delete_local",
            "it was deleted in Dropbox, and what is here has not changed since both agreed"
                .to_owned(),
        ),
        Action::UploadNew => ("upload", "it is here and not in Dropbox".to_owned()),
        Action::UploadOver(_) => (
            "upload",
            "it has changed here since both sides agreed".to_owned(),
        ),
        Action::MakeRemoteFolder => (
            "make_remote_folder",
            "the folder is here and not in Dropbox".to_owned(),
        ),
        Action::DeleteRemote => (
            "delete_remote",
            "it was deleted here, and Dropbox has the version that both agreed on".to_owned(),
        ),
        Action::Report(Note::EditedInDropbox) => (
            "nothing",
            "it was deleted here and has changed in Dropbox: the change stays there".to_owned(),
        ),
        Action::Report(Note::Undecided) => (
            "ask",
            "both sides have a file, they differ, and nothing tells which is newer: you decide"
                .to_owned(),
        ),
        Action::Report(Note::FileMeetsFolder) => (
            "ask",
            "a file on one side meets a folder on the other: rename one of them".to_owned(),
        ),
    };
    (word, reason)
}

fn time_text(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| String::new(), |at| at.to_string())
}

fn base_text(row: &Row) -> String {
    match &row.base {
        Base::None => "nothing yet".to_owned(),
        Base::Folder => "a folder".to_owned(),
        Base::File(BaseFile { rev, stamp, .. }) => {
            format!("a file of {}, rev {}", size_text(stamp.size), rev.as_str())
        }
    }
}

fn local_text(cx: &Context<'_>, item: &Item) -> String {
    match &item.local {
        Local::Gone => "nothing".to_owned(),
        Local::Folder { .. } => "a folder".to_owned(),
        Local::File(status) => format!(
            "a file of {}, changed {}",
            size_text(status.stamp.size),
            time_text(status.stamp.mtime_ns.div_euclid(1_000_000_000))
        ),
        Local::Unknown => {
            let path = item.path().ok();
            let status = path.and_then(|path| cx.env.disk.status(&path).ok().flatten());
            match status.map(|status| status.kind) {
                Some(Kind::Link) => "a symbolic link".to_owned(),
                Some(Kind::Special(_)) => "a pipe, a socket or a device".to_owned(),
                Some(Kind::File | Kind::Folder) | None => "cannot be looked at".to_owned(),
            }
        }
    }
}

fn remote_text(row: &Row) -> String {
    match (&row.remote, &row.base) {
        (Remote::AsBase, Base::None) => "nothing".to_owned(),
        (Remote::AsBase, Base::Folder | Base::File(_)) => "what was agreed on".to_owned(),
        (Remote::Gone, _) => "nothing".to_owned(),
        (Remote::Folder, _) => "a folder".to_owned(),
        (Remote::File(RemoteFile { rev, size, .. }), _) => {
            format!("a file of {}, rev {}", size_text(*size), rev.as_str())
        }
        (Remote::NotDownloadable, _) => "something that cannot be downloaded".to_owned(),
    }
}
