//! One pass on any machine: assembled from the configuration and the seams, under its locks.

pub mod actions;
pub(crate) mod batches;
pub mod collected;
pub mod context;
pub mod credential;
pub mod cursor;
pub mod delete;
pub mod download;
pub mod durable;
pub mod file_clock;
pub mod identity;
pub mod in_force;
pub mod item;
pub mod local_dir;
pub mod moves;
pub mod observe;
pub mod pass;
pub mod pass_record;
pub mod phases;
pub mod planner;
pub mod pull;
pub mod reconcile;
pub mod remembered;
pub mod remote_root;
pub(crate) mod revisit;
pub mod root;
pub mod stable_read;
pub mod survey;
pub(crate) mod under_way;
pub mod upload;
pub mod walk;
pub mod why;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::config::{Config, ConfigError, is_config};
use crate::core::own_names::Instance;
use crate::core::path::fold;
use crate::core::remote::Cursor;
use crate::dropbox::api::Api;
use crate::dropbox::tokens::{AccessTokens, TokenFiles, hash_hex, is_access_file};
use crate::engine::context::{Env, Options};
use crate::engine::credential::{credential, identity};
use crate::engine::cursor::{CursorFile, is_cursor_file, leaves_out_hidden};
pub use crate::engine::in_force::Prepared;
use crate::engine::in_force::in_force;
use crate::engine::pass::Writers;
use crate::engine::pass_record::{PassEnd, is_pass_record};
use crate::engine::remote_root::RemoteRoot;
use crate::error::{Error, ExitCode, Result};
use crate::index::{Index, Meta, UNKEPT, carry_over};
use crate::io::deadline::Deadline;
use crate::io::dirs;
use crate::io::disk::{Disk, Disks, Lock};
use crate::io::env;
use crate::io::host::Host;
use crate::io::http::Http;
use crate::io::throttle::Throttle;
use crate::logging::old_generation;
use crate::report::{Report, counted};

/// The index in the state directory.
const INDEX_FILE: &str = "index.db";

/// What a run has around it: the three seams. The index file alone is reached directly.
pub struct Seams<'a> {
    /// Clock and randomness.
    pub host: &'a dyn Host,
    /// The directory trees.
    pub disks: &'a dyn Disks,
    /// The network.
    pub http: &'a dyn Http,
    /// So many things of a kind are kept in memory: [`collected::KEPT_MAX`], unless a test has
    /// fewer.
    pub kept_max: usize,
    /// Called when a pass has its locks and begins; once more if it begins anew.
    pub begun: &'a dyn Fn(),
}

/// Runs one pass on any machine. A damaged index is dropped, and the pass starts over without it.
///
/// # Errors
/// Whatever ended it, or kept it from beginning.
pub fn run_on(
    seams: &Seams<'_>,
    config: &Config,
    options: &Options,
    report: &Report,
) -> Result<ExitCode> {
    let answer = match attempt(seams, config, options, report, IndexUse::Used) {
        // A dry run mends nothing; it plans as the pass would after mending.
        Err(Error::Damaged(_)) if options.dry_run => {
            attempt(seams, config, options, report, IndexUse::Ignored)
        }
        Err(Error::Damaged(text)) => {
            log::warn!("{text}; it is only a cache: listing Dropbox and hashing again");
            attempt(seams, config, options, report, IndexUse::Removed)
        }
        answer => answer,
    };
    match judge_ids(options, answer) {
        // Whatever came of it: it was stopped.
        Err(Error::Stopped(_) | Error::TryLater(_) | Error::Failed(_))
            if seams.host.is_stopped() =>
        {
            Err(Error::Stopped(report.stopped()))
        }
        answer => answer,
    }
}

/// An id that was given for nothing is a mistake that is told: what was meant by it has not
/// happened. A pass that came to no decision cannot tell.
fn judge_ids(options: &Options, answer: Result<ExitCode>) -> Result<ExitCode> {
    if !matches!(answer, Ok(_) | Err(Error::Halt(_) | Error::Full(_))) {
        return answer;
    }
    let (approved, kept) = (&options.approved, options.kept.unmet());
    // Nothing is deleted by what is asked there, so nothing is kept by it either.
    let (nothing_to_keep, mut unmet): (Vec<_>, Vec<_>) =
        kept.into_iter().partition(|id| approved.was_asked(id));
    unmet.extend(approved.unmet());
    let mut faults = Vec::new();
    if !unmet.is_empty() {
        let are = if unmet.len() == 1 { "is" } else { "are" };
        let ids = unmet.join(", ");
        faults.push(format!("{ids} {are} not what this pass would do"));
    }
    if !nothing_to_keep.is_empty() {
        faults.push(format!(
            "--keep is for files that would be deleted, and by {} none would be: approve it, or \
             leave it as it is",
            nothing_to_keep.join(", ")
        ));
    }
    if faults.is_empty() {
        return answer;
    }
    faults.extend(answer.err().map(|error| error.to_string()));
    Err(Error::Usage(faults.join("; ")))
}

/// What becomes of the index on disk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum IndexUse {
    Used,
    /// It is damaged, and makes room for a new one; the cursor belongs to the old one.
    Removed,
    /// It is damaged, and nothing may be changed: as if there were none.
    Ignored,
}

fn attempt(
    seams: &Seams<'_>,
    config: &Config,
    options: &Options,
    report: &Report,
    use_of_index: IndexUse,
) -> Result<ExitCode> {
    let host = seams.host;
    let state_dir = dirs::state_dir(config)?;
    check_apart(config, &state_dir)?;
    let state = open_state(seams.disks, options, &state_dir)?;
    let state = state.as_deref();
    let _state_lock = state.map(|disk| locked(disk, &state_dir)).transpose()?;
    let index_file = state_dir.join(INDEX_FILE);
    let stored = stored_index(&index_file, use_of_index)?;
    let has_base = stored.as_ref().map(Index::has_base).transpose()?;
    // In the order of the exit codes: configuration, lock, authentication, halt.
    let disk = match content_dir(seams.disks, config, has_base == Some(true)) {
        Err(error @ Error::Config(_)) => return Err(error),
        disk => disk,
    };
    let _content_lock = match &disk {
        Ok(disk) => locked(&**disk, &config.sync.content_dir)?,
        Err(_) => None,
    };
    (seams.begun)();
    let files = state.map(|disk| token_files(disk, &state_dir, config));
    let keeper = files.as_ref().filter(|_| !options.dry_run);
    let credential = credential(config, files.as_ref(), keeper, host)?;
    tell_of_the_configuration(config, stored.as_ref());
    let disk = disk?;
    let as_before = leaves_out_hidden(stored.as_ref(), state)?;
    let config = &in_force(config, &*disk, as_before)?;
    let index = match (stored, keeper) {
        (Some(index), Some(_)) => carried_over(index)?,
        (None, Some(_)) => new_index(&index_file, host, as_before)?,
        (Some(index), None) => carried_over(index.working_copy()?)?,
        (None, None) => Index::temporary(UNKEPT, Some(&state_dir))?,
    };
    let runtime = runtime(seams.disks, config);
    let access = AccessTokens::new(credential, runtime.as_deref(), keeper.is_some())
        .called(&config.invocation);
    let deadline = Deadline::within(host, options.max_time).watched(report.live());
    let throttle = Throttle::of(&config.network, host);
    let api = Api::new(seams.http, host, &deadline, access).throttled(&throttle);
    let identity = identity(config, files.as_ref(), keeper, &api)?;
    let env = Env {
        config,
        host,
        disk: &*disk,
        deadline: &deadline,
        index: &index,
        report,
        remote_root: RemoteRoot::new(&config.dropbox.remote_root),
        own_keys: own_keys(config, &state_dir),
        instance: instance(&state_dir),
        device: device_name(config),
        kept_max: seams.kept_max,
        last_change: last_change(runtime.as_deref(), &state_dir),
    };
    let cursors = cursor_file(state, runtime.as_deref(), &state_dir, keeper.is_some())?;
    cursors.forget_if_ahead_of(&index, seams.disks.runtime_dir().as_deref())?;
    let writers = keeper.map(|_| Writers {
        disk: &*disk,
        api: &api,
    });
    let ended = pass::run(&env, options, &api, writers, &cursors, &identity);
    let forgotten = forget_what_has_moved(&api, keeper);
    ended.and_then(|summary| forgotten.map(|()| summary))
}

/// Namespaces that Dropbox does not know any more are asked for in the next pass.
fn forget_what_has_moved(api: &Api<'_>, keeper: Option<&TokenFiles<'_>>) -> Result<()> {
    match keeper.filter(|_| api.has_moved()) {
        Some(keeper) => keeper.forget_namespaces(),
        None => Ok(()),
    }
}

fn token_files<'a>(disk: &'a dyn Disk, dir: &Path, config: &Config) -> TokenFiles<'a> {
    TokenFiles::new(disk, dir.display().to_string()).called(&config.invocation)
}

/// What of the configuration is better known before anything travels.
fn tell_of_the_configuration(config: &Config, stored: Option<&Index>) {
    tell_openhabs_defaults(config, stored);
    tell_other_configurations(config);
}

/// Before a first pass transfers anything: openHAB's add-on had filters where none were written.
fn tell_openhabs_defaults(config: &Config, stored: Option<&Index>) {
    if stored.is_none() && config.takes_openhabs_filters_for_granted {
        log::warn!(
            "the configuration has openHAB's names and no filters, so all paths are synced; \
             openHAB's defaults are uploadfilter = \"openhab\" and downloadfilter = \"openhab\" \
             (on an openHAB 2 tree, whose folders are items, rules and so on, they take only the \
             files at the top); to look first: {}",
            config.invocation.command("sync --dry-run")
        );
    }
}

fn tell_other_configurations(config: &Config) {
    let others = other_configurations(config).len() as u64;
    if others > 0 {
        log::info!(
            "left out because they are configurations of ferrybox: {}",
            counted(others, "file", "files")
        );
    }
}

fn device_name(config: &Config) -> String {
    let name = config.sync.device_name.clone();
    name.unwrap_or_else(env::hostname)
}

/// The index on disk, if there is one that is to be used.
fn stored_index(file: &Path, use_of_index: IndexUse) -> Result<Option<Index>> {
    match use_of_index {
        IndexUse::Used => Index::open(file),
        IndexUse::Removed => {
            Index::remove_file(file)?;
            Ok(None)
        }
        IndexUse::Ignored => Ok(None),
    }
}

/// A new index, which goes on leaving out what the one before it did.
fn new_index(file: &Path, host: &dyn Host, leaves_out_hidden: bool) -> Result<Index> {
    let index = Index::create(file, &host.random_hex(16))?;
    if leaves_out_hidden {
        index.transaction(|| index.clear_meta(Meta::HiddenTravels))?;
    }
    Ok(index)
}

fn carried_over(index: Index) -> Result<Index> {
    carry_over(&index)?;
    Ok(index)
}

fn locked(disk: &dyn Disk, dir: &Path) -> Result<Option<Lock>> {
    match disk.lock() {
        Ok(Some(lock)) => Ok(Some(lock)),
        Ok(None) => Err(Error::Locked(format!(
            "another run is at work in {}; it is left alone",
            dir.display()
        ))),
        // Some network filesystems cannot lock; the state directory's lock still holds.
        Err(error) => {
            log::debug!("cannot lock {}: {error}", dir.display());
            Ok(None)
        }
    }
}

fn content_dir(disks: &dyn Disks, config: &Config, has_base: bool) -> Result<Box<dyn Disk>> {
    let dir = &config.sync.content_dir;
    let error = match disks.content(dir) {
        Ok(disk) => return Ok(disk),
        Err(error) => error,
    };
    let is_missing = matches!(
        error.kind(),
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
    );
    if is_missing && has_base {
        return Err(Error::Halt(format!(
            "the content dir {} is gone; nothing was changed: mount its disk, or correct \
             sync.content_dir",
            dir.display()
        )));
    }
    Err(Error::Config(ConfigError {
        file: config.path.clone(),
        line: Some(config.content_dir_line),
        key: Some("sync.content_dir".to_owned()),
        what: error.to_string(),
        remedy: "name an existing directory this user may read".to_owned(),
        next: None,
    }))
}

/// Keys below the content dir that hold files of ours, wherever the configuration or the
/// environment of any run puts them: configuration, state, log, and what is kept in memory.
pub fn own_keys(config: &Config, state_dir: &Path) -> Vec<String> {
    let real = dirs::without_links;
    let content_dir = real(&config.sync.content_dir);
    let mut own = vec![real(&config.path), real(state_dir)];
    own.extend(other_configurations(config));
    if let Some(log) = &config.log.file {
        own.extend([real(log), old_generation(&real(log))]);
    }
    let notify = &config.notify;
    for file in notify.metrics_file.iter().chain(&notify.html_file) {
        let mut unfinished = file.clone().into_os_string();
        unfinished.push(".new");
        own.extend([real(file), real(Path::new(&unfinished))]);
    }
    for dir in dirs::runtime_dirs() {
        let dir = real(&dir);
        if dir == content_dir {
            own.extend(short_lived_files(&dir));
        } else {
            own.push(dir);
        }
    }
    own.iter()
        .filter_map(|path| path.strip_prefix(&content_dir).ok())
        .map(|below| fold(&below.to_string_lossy()))
        .filter(|key| !key.is_empty())
        .collect()
}

/// Configurations of other instances below the content dir, which may hold secrets as ours does:
/// those beside ours, and where configurations are looked for. A copy that an editor has left
/// (`kitchen.toml~`) counts as one.
fn other_configurations(config: &Config) -> Vec<PathBuf> {
    let real = dirs::without_links;
    let (content_dir, own) = (real(&config.sync.content_dir), real(&config.path));
    let mut found = BTreeSet::new();
    for dir in dirs::config_dirs(&config.path) {
        let dir = real(&dir);
        if !dir.starts_with(&content_dir) {
            continue;
        }
        let entries = fs_err::read_dir(dir).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        let is_toml = |path: &PathBuf| path.to_string_lossy().contains(".toml") && path.is_file();
        found.extend(paths.filter(|path| *path != own && is_toml(path) && is_config(path)));
    }
    found.into_iter().collect()
}

/// The access tokens and cursors that runs have left in a directory.
fn short_lived_files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs_err::read_dir(dir).into_iter().flatten().flatten();
    let is_ours = |name: &str| {
        let name = name.strip_suffix(".new").unwrap_or(name);
        is_access_file(name) || is_cursor_file(name) || is_pass_record(name)
    };
    entries
        .filter(|entry| entry.file_name().to_str().is_some_and(is_ours))
        .map(|entry| entry.path())
        .collect()
}

/// The runtime directory, unless it is the content dir itself, in which nothing of ours is put.
pub fn runtime(disks: &dyn Disks, config: &Config) -> Option<Box<dyn Disk>> {
    let content_dir = dirs::without_links(&config.sync.content_dir);
    let is_content_dir = |dir: &PathBuf| dirs::without_links(dir) == content_dir;
    match dirs::runtime_dirs().iter().any(is_content_dir) {
        true => None,
        false => disks.runtime(),
    }
}

/// The state directory. A dry run makes and changes nothing, not even an empty directory.
fn open_state(disks: &dyn Disks, options: &Options, dir: &Path) -> Result<Option<Box<dyn Disk>>> {
    match options.dry_run {
        true => disks.state_as_it_is(dir),
        false => disks.state(dir).map(Some),
    }
}

/// Where cursors are, and stay if they are kept.
fn cursor_file<'a>(
    state: Option<&'a dyn Disk>,
    runtime: Option<&'a dyn Disk>,
    state_dir: &Path,
    is_kept: bool,
) -> Result<CursorFile<'a>> {
    let reader = state.map(|disk| disk as _);
    CursorFile::new(reader, state.filter(|_| is_kept), runtime, state_dir)
}

/// The cursor of the last pass, to wait behind it for changes.
pub fn last_cursor(disks: &dyn Disks, config: &Config) -> Option<Cursor> {
    let state_dir = dirs::state_dir(config).ok()?;
    let state = disks.state_as_it_is(&state_dir).ok()?;
    let runtime = runtime(disks, config);
    let cursors = cursor_file(state.as_deref(), runtime.as_deref(), &state_dir, false).ok()?;
    cursors.peek()
}

/// What is known without a pass: the content dir, and the configuration as it holds there.
///
/// # Errors
/// [`Error::Config`] if there is no such directory, or its own globs cannot be told.
pub fn prepared(disks: &dyn Disks, config: &Config) -> Result<Prepared> {
    let state_dir = dirs::state_dir(config)?;
    let index = index_at_hand(&state_dir)?;
    let disk = content_dir(disks, config, index.is_some())?;
    let state = disks.state_as_it_is(&state_dir)?;
    let as_before = leaves_out_hidden(index.as_ref(), state.as_deref())?;
    let config = in_force(config, &*disk, as_before)?;
    let own_keys = own_keys(&config, &state_dir);
    Ok(Prepared {
        instance: instance(&state_dir),
        config,
        disk,
        index,
        own_keys,
    })
}

/// What passes have left in a state directory, if there was one.
///
/// # Errors
/// [`Error::Damaged`] if it is no index.
pub fn index_at_hand(state_dir: &Path) -> Result<Option<Index>> {
    Index::open(&state_dir.join(INDEX_FILE)).map_err(|error| match error {
        Error::Damaged(text) => Error::Failed(format!(
            "{text}; it is only a cache: the next sync makes a new one, and nothing is lost"
        )),
        error => error,
    })
}

fn last_change(runtime: Option<&dyn Disk>, state_dir: &Path) -> Option<PassEnd> {
    pass_record::load(runtime?, state_dir)?.last_change
}

/// Whose temporary files a run makes that has its state here, on this machine.
fn instance(state_dir: &Path) -> Instance {
    let state_dir = dirs::without_links(state_dir);
    Instance::of_hash(&hash_hex(&format!(
        "{}\n{}",
        env::hostname(),
        state_dir.display()
    )))
}

/// The state has a directory of its own.
///
/// # Errors
/// [`Error::Config`] if that is the content dir.
pub fn check_apart(config: &Config, state_dir: &Path) -> Result<()> {
    let real = dirs::without_links;
    if real(&config.sync.content_dir) != real(state_dir) {
        return Ok(());
    }
    Err(Error::Config(ConfigError {
        file: config.path.clone(),
        line: Some(config.content_dir_line),
        key: Some("sync.content_dir".to_owned()),
        what: format!(
            "{} is the state directory, which holds secrets and is never synced",
            config.sync.content_dir.display()
        ),
        remedy: "name another directory, or another state.dir".to_owned(),
        next: None,
    }))
}
