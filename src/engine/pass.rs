//! One pass from beginning to end: the order of its steps, and how it ended.
//!
//! Pull what Dropbox tells; bring it down; walk the tree and send what is local up; delete, under
//! guard; give names that became free to what waited for them; report.

use std::cell::Cell;

use crate::core::decide::{Direction, Mode};
use crate::dropbox::api::Api;
use crate::dropbox::tokens::{Credential, hash_hex};
use crate::engine::actions::Actions;
use crate::engine::context::{Context, Env, Options};
use crate::engine::cursor::CursorFile;
use crate::engine::identity::{check_identity, check_pair, pull};
use crate::engine::moves::moved_alike::take_along;
use crate::engine::phases::Phases;
use crate::engine::planner::Planner;
use crate::engine::pull::Puller;
use crate::engine::root;
use crate::engine::survey::Survey;
use crate::engine::walk::again::finds_again;
use crate::engine::walk::archive::fetch_archives;
use crate::engine::walk::kept::{let_go_of_kept, note_keeping};
use crate::engine::walk::left_by_others::tell_left_by_others;
use crate::engine::walk::lost_mounts::give_up_mounts;
use crate::engine::walk::pending::walk_pending;
use crate::engine::walk::renamed::{plan_renamed, walk_renamed};
use crate::engine::walk::tell_coverage::{tell_coverage, tell_gone_file, tell_hidden_as_before};
use crate::engine::walk::walk_all;
use crate::error::{Error, ExitCode, Result};
use crate::index::{Meta, SyncIdentity, due_totals, keep_reading};
use crate::io::dirs;
use crate::io::disk::Disk;
use crate::report::{Live, counted};

/// Changes of ours in Dropbox above which their echo is read in the same pass.
const DRAIN_ABOVE: u64 = 500;

/// What a pass changes the two sides with. A dry run has none.
pub struct Writers<'a> {
    /// The content dir.
    pub disk: &'a dyn Disk,
    /// Dropbox.
    pub api: &'a Api<'a>,
}

/// Runs one pass and says how it went; without `writers` it is a dry run.
///
/// # Errors
/// Whatever ended it. The index holds what was settled until then.
pub fn run<'a>(
    env: &'a Env<'a>,
    options: &'a Options,
    api: &Api<'_>,
    writers: Option<Writers<'a>>,
    cursors: &CursorFile<'_>,
    identity: &SyncIdentity,
) -> Result<ExitCode> {
    let content_dir = dirs::without_links(&env.config.sync.content_dir);
    let path = content_dir.display().to_string();
    let found = root::look(env.disk, env.index, path, env.host.is_root())?;
    check_pair(env, &found, identity)?;
    let disk = writers.as_ref().map(|writers| writers.disk);
    let again = |words: &str| options.again(&env.config.invocation, words);
    root::check(found, env.index, env.host, &options.approved, &again, disk)?;
    check_identity(env, options, api, identity)?;
    let token = match api.access().credential() {
        Credential::Personal(token) => Some(hash_hex(token.expose())),
        Credential::Refresh { .. } => None,
    };
    let puller = Puller {
        api,
        index: env.index,
        cursors,
        filter: &env.config.sync.filter,
        remote_root: &env.remote_root,
        identity,
        personal_token: token.as_deref(),
        report: env.report,
        last_page: Cell::default(),
    };
    let writer = writers.as_ref().map(|writers| writers.api);
    pull(env, options, &puller, api, writer)?;
    let mut cx = Context::new(env, options)?;
    let cx = &mut cx;
    tell_hidden_as_before(cx);
    tell_gone_file(cx)?;
    note_keeping(cx)?;
    give_up_mounts(cx)?;
    let (ended, concluded) = match writers {
        Some(Writers { disk, api }) => {
            let mut phases = Phases::new(disk, api, finds_again(env.kept_max));
            let ended = carry_out(cx, &mut phases, &puller);
            let concluded = match &ended {
                Ok(_) => conclude(cx, &puller),
                Err(_) => Ok(()),
            };
            (ended, concluded)
        }
        None => (plan(cx), Ok(())),
    };
    let concluded = puller.settle().and(concluded);
    env.report
        .travelled(api.bytes(Direction::Up), api.bytes(Direction::Down));
    // A halt first; a full side before what it made fail.
    match (ended, cx.full(), concluded) {
        (Ok(Some(halt)), _, _) => return Err(halt),
        (Err(Error::TryLater(_) | Error::Failed(_)) | Ok(None), Some(full), _) => {
            return Err(Error::Full(full));
        }
        (Err(error), _, _) | (Ok(None), None, Err(error)) => return Err(error),
        (Ok(None), None, Ok(())) => {}
    }
    Ok(if env.report.problem_count() == 0 {
        ExitCode::Ok
    } else {
        ExitCode::SomeFiles
    })
}

/// Carries the pass out; returns what halts it, if something does.
fn carry_out<'a>(
    cx: &mut Context<'a>,
    phases: &mut Phases<'a>,
    puller: &Puller<'_>,
) -> Result<Option<Error>> {
    keep_reading(cx.env.index);
    let ended = in_order(cx, phases, puller);
    if ended.is_err() {
        // Best effort: what is not kept is seen again by the next pass.
        if let Err(error) = keep_what_is_done(cx, phases) {
            log::debug!("{error}");
        }
    }
    tell_counts(cx, &phases.survey);
    tell_odd_times(phases.uploads.odd_times);
    if ended.is_ok() {
        tell_left_by_others(cx, phases.survey.left_by_others)?;
        tell_coverage(cx, &phases.survey)?;
    }
    ended
}

fn in_order<'a>(
    cx: &mut Context<'a>,
    phases: &mut Phases<'a>,
    puller: &Puller<'_>,
) -> Result<Option<Error>> {
    take_along(cx)?;
    expect_downloads(cx)?;
    if cx.brings_down() && fetch_archives(cx, phases)? {
        walk_pending(cx, phases, None)?;
    }
    cx.begin_step();
    walk_all(cx, phases)?;
    walk_renamed(cx, phases, puller)?;
    phases.note_walk_over();
    let live = cx.env.report.live();
    live.into_iter().for_each(Live::note_walk_over);
    phases.decide_undecided(cx)?;
    phases.send_queue(cx)?;
    phases.uploads.send_last(cx)?;
    cx.begin_step();
    phases.uploads.make_remote_folders(cx)?;
    cx.begin_step();
    let halt = phases.delete_all(cx)?;
    mark_guards_passed(cx, halt.as_ref())?;
    if cx.needs_second_round {
        cx.is_second_round = true;
        cx.begin_step();
        // What a person keeps may be many files.
        if cx.brings_down() && fetch_archives(cx, phases)? {
            walk_pending(cx, phases, None)?;
        }
        walk_all(cx, phases)?;
        phases.send_queue(cx)?;
        phases.uploads.send_last(cx)?;
        phases.uploads.make_remote_folders(cx)?;
    }
    phases.delete_other_halves(cx)?;
    mark_guards_passed(cx, halt.as_ref())?;
    let_go_of_kept(cx)?;
    Ok(halt)
}

/// Tells who watches how much is to come down.
fn expect_downloads(cx: &Context<'_>) -> Result<()> {
    if let Some(live) = cx.env.report.live()
        && cx.brings_down()
    {
        let due = due_totals(cx.env.index)?;
        live.expect_down(due.entries, due.bytes);
    }
    Ok(())
}

/// Says what the pass would do; returns what would halt it, if something would.
fn plan(cx: &mut Context<'_>) -> Result<Option<Error>> {
    let mut planner = Planner::new(finds_again(cx.env.kept_max));
    let ended = plan_in_order(cx, &mut planner);
    tell_counts(cx, planner.survey());
    if ended.is_ok() {
        tell_coverage(cx, planner.survey())?;
    }
    ended
}

fn plan_in_order<'a>(cx: &mut Context<'a>, planner: &mut Planner<'a>) -> Result<Option<Error>> {
    if cx.brings_down() {
        walk_pending(cx, planner, None)?;
    }
    walk_all(cx, planner)?;
    plan_renamed(cx, planner)?;
    let halt = planner.conclude(cx)?;
    let_go_of_kept(cx)?;
    Ok(halt)
}

/// Publishes and settles what a pass that broke off had finished.
fn keep_what_is_done<'a>(cx: &mut Context<'a>, phases: &mut Phases<'a>) -> Result<()> {
    phases.finish_walk(cx)?;
    phases.deletes.settle_removed(cx)?;
    cx.flush_settles()?;
    cx.store_remembered(false)
}

/// From here on what arrived until now counts like everything else. It speaks for no side before
/// the guards have let all deletes go.
fn mark_guards_passed(cx: &mut Context<'_>, halt: Option<&Error>) -> Result<()> {
    if halt.is_some() || !cx.has_arrivals {
        return Ok(());
    }
    cx.last_guarded_pass += 1;
    cx.has_arrivals = false;
    let (index, done) = (cx.env.index, cx.last_guarded_pass.to_string());
    index.transaction(|| index.set_meta(Meta::LastGuardedPass, &done))
}

/// Says once what the walks have only counted.
fn tell_counts(cx: &Context<'_>, survey: &Survey) {
    tell_only_in_dropbox(cx, survey.only_in_dropbox);
    cx.env.report.skip(survey.skipped);
    tell_too_large(cx, survey.skipped.too_large);
    tell_kept(cx, survey.skipped.kept);
    tell_litter(survey.skipped.litter);
    if survey.state_files > 0 {
        log::info!(
            "left out because they are the sign-in or the index of another ferrybox: {}",
            counted(survey.state_files, "file", "files")
        );
    }
}

/// Names that Dropbox never takes, and nobody misses there.
fn tell_litter(files: u64) {
    if files > 0 {
        log::info!(
            "left out because Dropbox never takes such names (Thumbs.db, ~$x and the like): {}",
            counted(files, "file", "files")
        );
    }
}

/// What does not travel for its size: told before it is missed.
fn tell_too_large(cx: &Context<'_>, files: u64) {
    if files == 0 {
        return;
    }
    let level = match cx.had_base && !cx.options.dry_run {
        true => log::Level::Info,
        false => log::Level::Warn,
    };
    let (count, most) = (counted(files, "file", "files"), cx.largest_size());
    log::log!(
        level,
        "left out because larger than {most} (sync.max_file_size): {count}"
    );
}

/// What Dropbox holds for being deleted here only.
fn tell_kept(cx: &Context<'_>, files: u64) {
    if files == 0 {
        return;
    }
    let level = match cx.options.dry_run {
        true => log::Level::Warn,
        false => log::Level::Info,
    };
    let count = counted(files, "file", "files");
    log::log!(
        level,
        "deleted here and kept in Dropbox (sync.deletes): {count}"
    );
}

/// Dropbox holds no modification time before 1970, and none after 2099 is sent.
fn tell_odd_times(files: u64) {
    if files > 0 {
        let count = counted(files, "file", "files");
        log::warn!(
            "{count} sent with a modification time that is not from 1970 to 2099 (-v names them); \
             Dropbox has the nearest time that is"
        );
    }
}

/// Keeps the largest lag of the content dir's clock that was seen.
fn keep_lag(cx: &Context<'_>) -> Result<()> {
    let (index, lag_s) = (cx.env.index, cx.file_clock.lag_s());
    let known = index.meta(Meta::ClockLag)?;
    let known = known.and_then(|seconds| seconds.parse().ok()).unwrap_or(0);
    if lag_s <= known {
        return Ok(());
    }
    index.transaction(|| index.set_meta(Meta::ClockLag, &lag_s.to_string()))
}

fn tell_only_in_dropbox(cx: &Context<'_>, files: u64) {
    if cx.had_base || files == 0 {
        return;
    }
    let (config, mode) = (cx.env.config, cx.options.mode);
    let command = config.invocation.command("sync --download-only");
    let why = match (mode, config.sync.filter.lets_something_down()) {
        (Mode::LocalToDropbox, true) => format!(
            "{} only uploads; to bring here what sync.download_filter lets through: {command}",
            mode.name()
        ),
        (Mode::LocalToDropbox, false) => {
            format!(
                "{} only uploads, and sync.download_filter lets nothing through",
                mode.name()
            )
        }
        (Mode::Bidirectional | Mode::DropboxToLocal, _) => {
            "sync.download_filter does not let them come down".to_owned()
        }
    };
    let count = counted(files, "file", "files");
    let (are, stay) = if files == 1 {
        ("is", "stays")
    } else {
        ("are", "stay")
    };
    log::warn!("{count} in Dropbox that {are} not here {stay} there, because {why}");
}

/// What a pass leaves for the next one.
fn conclude(cx: &mut Context<'_>, puller: &Puller<'_>) -> Result<()> {
    let index = cx.env.index;
    keep_lag(cx)?;
    if !cx.damaged.is_empty() {
        log::info!(
            "the index is damaged in {}: listing Dropbox again next time",
            counted(cx.damaged.len() as u64, "place", "places")
        );
        let damaged = std::mem::take(&mut cx.damaged);
        index.transaction(|| {
            index.set_meta(Meta::RelistDue, "1")?;
            damaged.iter().try_for_each(|key| index.remove(key))
        })?;
    }
    let uploads_done = cx.options.up && !cx.upload_left;
    if cx.reset_due && uploads_done {
        index.transaction(|| index.clear_meta(Meta::ResetDue))?;
    }
    if cx.is_older && uploads_done {
        index.transaction(|| index.clear_meta(Meta::Older))?;
    }
    let options = cx.options;
    let is_whole = options.mode == cx.env.config.sync.mode && options.up && options.down;
    let is_partial = cx.view_is_incomplete || !is_whole;
    cx.store_remembered(!is_partial)?;
    if cx.committed > DRAIN_ABOVE {
        puller.drain()?;
    }
    Ok(())
}
