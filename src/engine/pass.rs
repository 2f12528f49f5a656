//! One pass from beginning to end.
//!
//! Pull what Dropbox tells; bring it down; walk the tree and send what is local up; delete, under
//! guard; give names that became free to what waited for them; report.

use crate::config::ConfigError;
use crate::core::decide::Mode;
use crate::core::guard::ApprovalId;
use crate::dropbox::retry::CallError;
use crate::dropbox::tokens::{Credential, hash_hex};
use crate::engine::context::{Env, Options, Pass};
use crate::engine::cursor::CursorFile;
use crate::engine::pull::Puller;
use crate::engine::remote_root::RootState;
use crate::engine::root;
use crate::error::{Error, ExitCode, Result};
use crate::index::{Meta, SyncIdentity};

/// Remote changes from which on their echo is read in the same pass.
const DRAIN_ABOVE: u64 = 500;

/// Runs one pass and says how it went.
///
/// # Errors
/// Whatever ended it. The index holds what was settled until then.
pub fn run(
    env: &Env<'_>,
    options: &Options,
    cursors: &CursorFile<'_>,
    identity: &SyncIdentity,
) -> Result<ExitCode> {
    check_identity(env, options, identity)?;
    root::check(
        env.disk,
        env.index,
        env.host,
        &options.approved,
        options.dry_run,
    )?;
    let token = match env.api.access().credential() {
        Credential::Personal(token) => Some(hash_hex(token.expose())),
        Credential::Refresh { .. } => None,
    };
    let puller = Puller {
        api: env.api,
        index: env.index,
        cursors,
        filter: &env.config.sync.filter,
        remote_root: &env.remote_root,
        identity,
        personal_token: token.as_deref(),
    };
    pull(env, options, &puller)?;
    let had_base = env.index.has_base()?;
    let reset_due = env.index.meta(Meta::ResetDue)?.is_some();
    let last_guarded_pass = env.index.meta(Meta::LastGuardedPass)?;
    let last_guarded_pass = last_guarded_pass
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let mut pass = Pass::new(env, options, reset_due, had_base, last_guarded_pass);
    pass.is_older = env.index.meta(Meta::Older)?.is_some();
    let walked = walk(&mut pass);
    if walked.is_err() {
        // Best effort: what is not kept is seen again by the next pass.
        if let Err(error) = pass.keep_what_is_done() {
            log::debug!("{error}");
        }
    }
    if !had_base && pass.only_in_dropbox > 0 {
        log::warn!(
            "files in Dropbox that are not here ({}) stay there, because {} only uploads; to bring \
             them here: ferrybox sync --download-only",
            pass.only_in_dropbox,
            options.mode.name()
        );
    }
    // The first that applies of 5, 8, and what broke the pass off.
    let concluded = match (&walked, options.dry_run) {
        (Ok(_), false) => conclude(&mut pass, &puller),
        _ => Ok(()),
    };
    match (walked, pass.full(), concluded) {
        (Ok(Some(halt)), _, _) => return Err(halt),
        (Err(Error::TryLater(_) | Error::Failed(_)) | Ok(None), Some(full), _) => {
            return Err(Error::Full(full));
        }
        (Err(error), _, _) | (Ok(None), None, Err(error)) => return Err(error),
        (Ok(None), None, Ok(())) => {}
    }
    Ok(if env.report.problems().is_empty() {
        ExitCode::Ok
    } else {
        ExitCode::SomeFiles
    })
}

fn walk(pass: &mut Pass<'_>) -> Result<Option<Error>> {
    if pass.options.down && pass.options.mode != Mode::LocalToDropbox {
        pass.walk_pending()?;
    }
    pass.walk_all()?;
    pass.decide_undecided()?;
    pass.send_queue()?;
    pass.make_remote_folders()?;
    if let Some(halt) = pass.delete_all()? {
        return Ok(Some(halt));
    }
    pass.mark_guards_passed()?;
    if pass.needs_second_round && !pass.dry() {
        pass.is_second_round = true;
        if pass.options.down && pass.options.mode != Mode::LocalToDropbox {
            pass.walk_pending()?;
        }
        pass.walk_all()?;
        pass.send_queue()?;
        pass.make_remote_folders()?;
    }
    Ok(None)
}

/// The base belongs to one account, app, namespace and remote root.
fn check_identity(env: &Env<'_>, options: &Options, now: &SyncIdentity) -> Result<()> {
    let Some(before) = env.index.identity()? else {
        return Ok(());
    };
    let has_base = env.index.has_base()?;
    if before.account_id != now.account_id && has_base {
        let mut id = ApprovalId::new("account");
        id.field(&now.account_id);
        let id = id.finish();
        if !options.approved.contains(&id) {
            return Err(Error::Halt(format!(
                "this is another Dropbox account than the one synced before; nothing was changed. \
                 Authenticate with the old account again, or start over with this one by: \
                 ferrybox sync --approve {id}"
            )));
        }
    }
    let same = before.account_id == now.account_id
        && before.app_key == now.app_key
        && before.root_namespace == now.root_namespace
        && before.remote_root == now.remote_root;
    if same {
        return Ok(());
    }
    log::info!(
        "the Dropbox account, app or folder is another than before: starting over; equal files \
         are recognised, nothing is deleted"
    );
    env.index.transaction(|| {
        env.index.clear()?;
        env.index.set_identity(now)
    })
}

fn pull(env: &Env<'_>, options: &Options, puller: &Puller<'_>) -> Result<()> {
    let remote_root = &env.config.dropbox.remote_root;
    let config_error = |what: &str, remedy: &str| {
        Err(Error::Config(ConfigError {
            file: env.config.path.clone(),
            line: None,
            key: Some("dropbox.remote_root".to_owned()),
            what: format!("{remote_root}: {what}"),
            remedy: remedy.to_owned(),
        }))
    };
    match puller.run()? {
        RootState::Listed => Ok(()),
        RootState::IsFile => config_error("Dropbox has a file at this path", "name a folder"),
        RootState::Missing if env.index.has_base()? => {
            let mut id = ApprovalId::new("remote root");
            id.field(remote_root);
            let id = id.finish();
            if options.approved.contains(&id) {
                env.index.transaction(|| env.index.clear())?;
                return make_root(env, options, puller);
            }
            Err(Error::Halt(format!(
                "the Dropbox folder {remote_root} is gone; nothing was changed. Restore it on \
                 dropbox.com, or make it anew from what is here by: ferrybox sync --approve {id}"
            )))
        }
        RootState::Missing if options.mode == Mode::DropboxToLocal => config_error(
            "there is no such folder in Dropbox",
            "make it there or correct dropbox.remote_root",
        ),
        RootState::Missing => make_root(env, options, puller),
    }
}

fn make_root(env: &Env<'_>, options: &Options, puller: &Puller<'_>) -> Result<()> {
    let remote_root = &env.config.dropbox.remote_root;
    if options.dry_run {
        env.report
            .changed(crate::report::Change::MakeRemoteFolder, remote_root, "");
        return Ok(());
    }
    match env.api.create_folder(env.remote_root.path()) {
        Ok(()) => {}
        Err(CallError::Refused(error)) if error.is("path/conflict/folder") => {}
        Err(error) => return Err(error.into_error("make the Dropbox folder")),
    }
    match puller.run()? {
        RootState::Listed => Ok(()),
        RootState::Missing | RootState::IsFile => Err(Error::Failed(format!(
            "the Dropbox folder {remote_root} cannot be made"
        ))),
    }
}

/// What a pass leaves for the next one.
fn conclude(pass: &mut Pass<'_>, puller: &Puller<'_>) -> Result<()> {
    let index = pass.env.index;
    if !pass.damaged.is_empty() {
        log::info!(
            "the index is damaged in {} places: listing Dropbox again next time",
            pass.damaged.len()
        );
        let damaged = std::mem::take(&mut pass.damaged);
        index.transaction(|| {
            index.set_meta(Meta::RelistDue, "1")?;
            damaged.iter().try_for_each(|key| index.remove(key))
        })?;
    }
    let uploads_done = pass.options.up && !pass.upload_left;
    if pass.reset_due && uploads_done {
        index.transaction(|| index.clear_meta(Meta::ResetDue))?;
    }
    if pass.is_older && uploads_done {
        index.transaction(|| index.clear_meta(Meta::Older))?;
    }
    if pass.committed > DRAIN_ABOVE {
        puller.drain()?;
    }
    Ok(())
}
