//! One pass on any machine: assembled from the configuration and the seams, under its locks.

pub mod context;
pub mod cursor;
pub mod delete;
pub mod download;
pub mod durable;
pub mod identity;
pub mod item;
pub mod local_dir;
pub mod observe;
pub mod pass;
pub mod phases;
pub mod planner;
pub mod pull;
pub mod reconcile;
pub mod remote_root;
pub mod root;
pub mod stable_read;
pub mod survey;
pub mod upload;
pub mod walk;

use std::path::Path;

use crate::commands::authentication::{banner_for, credential_of};
use crate::config::{Config, ConfigError};
use crate::core::path::fold;
use crate::dropbox::api::Api;
use crate::dropbox::tokens::{AccessTokens, Credential, PersonalAccount, TokenFiles, hash_hex};
use crate::engine::context::{Env, Options};
use crate::engine::cursor::CursorFile;
use crate::engine::pass::Writers;
use crate::engine::remote_root::RemoteRoot;
use crate::error::{Error, ExitCode, Result};
use crate::index::{Index, SyncIdentity};
use crate::io::deadline::Deadline;
use crate::io::dirs;
use crate::io::disk::{Disk, Disks, Lock};
use crate::io::env;
use crate::io::host::Host;
use crate::io::http::Http;
use crate::logging::{WATCHER, old_generation};
use crate::report::Report;

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
    match attempt(seams, config, options, report, IndexUse::Used) {
        // A dry run mends nothing; it plans as the pass would after mending.
        Err(Error::Damaged(_)) if options.dry_run => {
            attempt(seams, config, options, report, IndexUse::Ignored)
        }
        Err(Error::Damaged(text)) => {
            log::warn!("{text}; it is only a cache: listing Dropbox and hashing again");
            attempt(seams, config, options, report, IndexUse::Removed)
        }
        answer => answer,
    }
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
    stored: IndexUse,
) -> Result<ExitCode> {
    let host = seams.host;
    let state_dir = dirs::state_dir(config)?;
    // A dry run makes and changes nothing, not even an empty directory.
    let state = if options.dry_run {
        seams.disks.state_as_it_is(&state_dir)?
    } else {
        Some(seams.disks.state(&state_dir)?)
    };
    let state = state.as_deref();
    let _state_lock = state.map(|disk| locked(disk, &state_dir)).transpose()?;
    let index_file = state_dir.join(INDEX_FILE);
    let stored = match stored {
        IndexUse::Used => Index::open(&index_file)?,
        IndexUse::Removed => {
            Index::remove_file(&index_file)?;
            None
        }
        IndexUse::Ignored => None,
    };
    let has_base = stored
        .as_ref()
        .map(Index::has_base)
        .transpose()?
        .unwrap_or(false);
    let files = state.map(|disk| TokenFiles::new(disk, state_dir.display().to_string()));
    // In the order of the exit codes: configuration, lock, authentication, halt.
    let disk = match content_dir(seams.disks, config, has_base) {
        Err(error @ Error::Config(_)) => return Err(error),
        disk => disk,
    };
    let _content_lock = match &disk {
        Ok(disk) => locked(&**disk, &config.sync.content_dir)?,
        Err(_) => None,
    };
    let credential = credential(config, files.as_ref(), host, options.dry_run)?;
    let disk = disk?;
    let index = match stored {
        Some(index) if options.dry_run => index.copy_in_memory()?,
        Some(index) => index,
        None if options.dry_run => Index::in_memory("dry run")?,
        None => Index::create(&index_file, &host.random_hex(16))?,
    };
    let runtime = seams.disks.runtime();
    let access = AccessTokens::new(credential, runtime.as_deref(), !options.dry_run);
    let deadline = Deadline::within(host, options.max_time);
    let api = Api::new(seams.http, host, &deadline, access);
    let identity = identity(config, files.as_ref(), &api, options.dry_run)?;
    let env = Env {
        config,
        host,
        disk: &*disk,
        deadline: &deadline,
        index: &index,
        report,
        remote_root: RemoteRoot::new(&config.dropbox.remote_root),
        own_keys: own_keys(config, &state_dir),
        device: config
            .sync
            .device_name
            .clone()
            .unwrap_or_else(env::hostname),
    };
    let cursors = CursorFile::new(state, !options.dry_run)?;
    let writers = (!options.dry_run).then_some(Writers {
        disk: &*disk,
        api: &api,
    });
    pass::run(&env, options, &api, writers, &cursors, &identity)
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
    }))
}

fn credential(
    config: &Config,
    files: Option<&TokenFiles<'_>>,
    host: &dyn Host,
    dry: bool,
) -> Result<Credential> {
    if config.dropbox.personal_access_token.is_some() {
        if config.dropbox.app_key.is_some() {
            log::info!(
                target: WATCHER,
                "dropbox.personal_access_token wins over dropbox.app_key"
            );
        }
        return credential_of(config, None).ok_or_else(|| unauthenticated("", None));
    }
    let app_key = config.dropbox.app_key.as_deref().unwrap_or_default();
    let stored = files.map(TokenFiles::token).transpose()?.flatten();
    let why = match &stored {
        None => "nobody has authenticated yet",
        Some(stored) if stored.app_key != app_key => {
            "the stored authentication is for another dropbox.app_key"
        }
        Some(_) => "",
    };
    if why.is_empty() {
        return credential_of(config, stored.as_ref()).ok_or_else(|| unauthenticated(why, None));
    }
    let banner = match files {
        Some(files) if !dry => Some(banner_for(config, files, host, app_key)?),
        _ => None,
    };
    Err(unauthenticated(why, banner))
}

fn unauthenticated(why: &str, banner: Option<String>) -> Error {
    Error::Authentication(match banner {
        Some(banner) => format!("{why}\n{banner}"),
        None => format!("{why}; run: ferrybox startAuthentication"),
    })
}

/// What the base is agreed with. The account was asked for when the token was made, or is asked
/// for once per personal access token; never by a request per pass.
fn identity(
    config: &Config,
    files: Option<&TokenFiles<'_>>,
    api: &Api<'_>,
    dry: bool,
) -> Result<SyncIdentity> {
    let (account_id, app_key, root_namespace) = match api.access().credential() {
        Credential::Refresh { app_key, .. } => {
            let stored = files.map(TokenFiles::token).transpose()?.flatten();
            let mut stored = stored.ok_or_else(|| unauthenticated("the token is gone", None))?;
            // The authentication could not show the account: it is asked for now.
            if stored.root_namespace_id.is_empty() {
                let found = api
                    .current_account()
                    .map_err(|e| e.into_error("show the account"))?;
                stored.account_id = found.account_id;
                stored.root_namespace_id = found.root_info.root_namespace_id;
                if let (Some(files), false) = (files, dry) {
                    files.store_token(&stored)?;
                }
            }
            (stored.account_id, app_key.clone(), stored.root_namespace_id)
        }
        Credential::Personal(token) => {
            let token_hash = hash_hex(token.expose());
            let known = files
                .map(TokenFiles::personal_account)
                .transpose()?
                .flatten();
            let account = match known.filter(|known| known.token_hash == token_hash) {
                Some(account) => account,
                None => {
                    let found = api
                        .current_account()
                        .map_err(|e| e.into_error("show the account"))?;
                    let account = PersonalAccount {
                        token_hash,
                        account_id: found.account_id,
                        root_namespace_id: found.root_info.root_namespace_id,
                    };
                    if let (Some(files), false) = (files, dry) {
                        files.store_personal_account(&account)?;
                    }
                    account
                }
            };
            // Which app a personal token is of cannot be asked; Dropbox refuses foreign cursors.
            (
                account.account_id,
                "personal access token".to_owned(),
                account.root_namespace_id,
            )
        }
    };
    Ok(SyncIdentity {
        account_id,
        app_key,
        root_namespace,
        remote_root: config.dropbox.remote_root.clone(),
        filters: config.sync.filter.fingerprint(),
    })
}

/// Keys below the content dir that hold our own configuration, state and log.
pub fn own_keys(config: &Config, state_dir: &Path) -> Vec<String> {
    // The log file itself may not be there yet.
    let real = |path: &Path| {
        let whole = fs_err::canonicalize(path);
        let parts = path.parent().zip(path.file_name());
        let below = || Some(fs_err::canonicalize(parts?.0).ok()?.join(parts?.1));
        whole.ok().or_else(below).unwrap_or_else(|| path.to_owned())
    };
    let content_dir = real(&config.sync.content_dir);
    let mut own = vec![real(&config.path), real(state_dir)];
    if let Some(log) = &config.log.file {
        own.extend([real(log), old_generation(&real(log))]);
    }
    own.iter()
        .filter_map(|path| path.strip_prefix(&content_dir).ok())
        .map(|below| fold(&below.to_string_lossy()))
        .filter(|key| !key.is_empty())
        .collect()
}
