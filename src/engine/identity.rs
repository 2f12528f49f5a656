//! Is it the Dropbox we know: its account, its app, its folder?

use std::path::Path;

use crate::config::{Config, ConfigError};
use crate::core::decide::Mode;
use crate::core::path::fold;
use crate::core::remote::PathRoot;
use crate::dropbox::api::Api;
use crate::dropbox::retry::CallError;
use crate::dropbox::wire::Metadata;
use crate::engine::context::{Env, Options};
use crate::engine::pull::Puller;
use crate::engine::remote_root::RootState;
use crate::engine::root::FoundRoot;
use crate::error::{Error, Result};
use crate::index::{Meta, Question, SyncIdentity, approval_id, note_answer};
use crate::io::dirs;
use crate::report::Change;

/// What is said where Dropbox does not find the top of what the app may see.
const APP_FOLDER_IS_GONE: &str = "Dropbox says that the folder of this app is not there; nothing \
                                  was changed. Look for it in Apps and among the deleted files on \
                                  dropbox.com, and restore it";

/// What is said where the space of a team was synced and the account is in none now.
const NOT_IN_THE_TEAM_ANY_MORE: &str = "this account is not in the team any more whose space was \
                                        synced, as Dropbox says; nothing was changed, and the \
                                        next run asks again. To sync the account's own folder \
                                        from now on, which deletes nothing, take root = \"team\" \
                                        out of [dropbox]";

/// One state directory is for one content dir and one Dropbox folder. Where both are others than
/// before, it is another pair's: each would take the base of the other for its own.
///
/// # Errors
/// [`Error::Config`] with the line to write.
pub(crate) fn check_pair(env: &Env<'_>, found: &FoundRoot, now: &SyncIdentity) -> Result<()> {
    let Some(before) = env.index.identity()? else {
        return Ok(());
    };
    let is_other_folder = fold(&before.remote_root) != fold(&now.remote_root);
    if !is_other_folder || !found.is_another() || !env.index.has_base()? {
        return Ok(());
    }
    let state_dir = dirs::state_dir(env.config)?;
    let known_dir = env.index.meta(Meta::ContentDir)?;
    Err(Error::Config(ConfigError {
        file: env.config.path.clone(),
        line: None,
        key: Some("state.dir".to_owned()),
        what: format!(
            "the state in {} is that of {} and {}, and not of {} and {}",
            state_dir.display(),
            known_dir.as_deref().unwrap_or("another directory"),
            folder_text(&before.remote_root),
            env.config.sync.content_dir.display(),
            folder_text(&now.remote_root),
        ),
        remedy: format!(
            "nothing was changed: give this pair a state of its own, {}",
            how_to_write(env.config, &state_dir_for(env, &state_dir))
        ),
        next: None,
    }))
}

fn folder_text(remote_root: &str) -> String {
    match remote_root {
        "" => "all of Dropbox".to_owned(),
        folder => format!("the Dropbox folder {folder}"),
    }
}

/// Where a state directory is written, and the line as TOML has it.
fn how_to_write(config: &Config, state_dir: &str) -> String {
    let line = format!("state.dir = \"{state_dir}\"");
    match config.state_dir {
        Some(_) => format!("by {line} in the place of the one that is written"),
        None => format!("by this as the first line of the file: {line}"),
    }
}

/// A directory beside this one, named by the configuration, or by the content dir where all
/// configurations have that name.
fn state_dir_for(env: &Env<'_>, state_dir: &Path) -> String {
    let name = |path: &Path| path.file_stem().map(|name| name.display().to_string());
    let by_config = name(&env.config.path).filter(|name| name != "config" && name != "ferrybox");
    let own = by_config.or_else(|| name(&env.config.sync.content_dir));
    let own = own.unwrap_or_else(|| "other".to_owned()).replace('"', "");
    format!("{}-{own}", state_dir.display())
}

/// The base belongs to one account, app, namespace and remote root.
///
/// # Errors
/// [`Error::Halt`] if the account is another one and nobody approved it.
pub(crate) fn check_identity(
    env: &Env<'_>,
    options: &Options,
    api: &Api<'_>,
    now: &SyncIdentity,
) -> Result<()> {
    let Some(before) = env.index.identity()? else {
        return check_team(env, options, api, None, now);
    };
    let has_base = env.index.has_base()?;
    if before.account_id != now.account_id && has_base {
        let mut id = approval_id(env.index, Question::Account)?;
        id.field(&now.account_id);
        let id = id.finish();
        if !options.approved.contains(&id) {
            return Err(Error::Halt(format!(
                "this is another Dropbox account than the one synced before; nothing was changed. \
                 Authenticate with the old account again, or start over with this one by: \
                 {}",
                options.again(&env.config.invocation, &format!("--approve {id}"))
            )));
        }
    }
    check_team(env, options, api, has_base.then_some(&before), now)?;
    let same = before.account_id == now.account_id
        && before.app_key == now.app_key
        && before.root_namespace == now.root_namespace
        && before.remote_root == now.remote_root;
    if same {
        return Ok(());
    }
    if has_base {
        log::warn!(
            "the Dropbox account, app or folder is another than before: starting over; equal \
             files are recognised, nothing is deleted"
        );
    }
    env.index.transaction(|| {
        env.index.clear()?;
        note_answer(env.index, Question::Account)?;
        env.index.set_identity(now)
    })
}

/// Paths that began in one team's space would begin in another's, or in the private folder of
/// somebody who has left it. Whatever keeps the pass from going on is asked for anew by the next:
/// Dropbox may have said it for a while only. `before` is what there is a base for.
///
/// # Errors
/// [`Error::Halt`] if the space is another one and nobody approved it, or is gone;
/// [`Error::Config`] if there has never been one.
fn check_team(
    env: &Env<'_>,
    options: &Options,
    api: &Api<'_>,
    before: Option<&SyncIdentity>,
    now: &SyncIdentity,
) -> Result<()> {
    if env.config.dropbox.root == PathRoot::Home {
        return Ok(());
    }
    let before = before.filter(|it| it.is_of_team());
    if !now.is_of_team() {
        api.ask_for_namespaces_again();
        if before.is_some_and(|it| it.account_id == now.account_id) {
            return Err(Error::Halt(NOT_IN_THE_TEAM_ANY_MORE.to_owned()));
        }
        return Err(Error::Config(no_team(env.config)));
    }
    if before.is_none_or(|it| it.root_namespace == now.root_namespace) {
        return Ok(());
    }
    let mut id = approval_id(env.index, Question::Team)?;
    id.field(&now.root_namespace);
    let id = id.finish();
    if options.approved.contains(&id) {
        return Ok(());
    }
    api.ask_for_namespaces_again();
    Err(Error::Halt(format!(
        "this is the space of another team than the one synced before; nothing was changed. \
         Start over with this one by: {}",
        options.again(&env.config.invocation, &format!("--approve {id}"))
    )))
}

/// What is wrong where the space of a team is to be synced and the account is in none.
pub(crate) fn no_team(config: &Config) -> ConfigError {
    ConfigError {
        file: config.path.clone(),
        line: config.dropbox.root_line,
        key: Some("dropbox.root".to_owned()),
        what: "this account is in no team that has a space of its own".to_owned(),
        remedy: "take the line out, which means the account's own folder, or authenticate as a \
                 member of the team"
            .to_owned(),
        next: None,
    }
}

/// Brings the index up to date with Dropbox. A remote root that is missing is made with `writer`; a
/// dry run has none, and says so.
///
/// # Errors
/// Whatever ends the pass: [`Error::Halt`] if the remote root is gone although there is a base.
pub(crate) fn pull(
    env: &Env<'_>,
    options: &Options,
    puller: &Puller<'_>,
    api: &Api<'_>,
    writer: Option<&Api<'_>>,
) -> Result<()> {
    let remote_root = &env.config.dropbox.remote_root;
    let place = match (env.config.dropbox.root, api.is_beside_a_team()) {
        (PathRoot::Team, _) => " in the space of the team",
        (PathRoot::Home, true) => " in the own folder of this member of a team",
        (PathRoot::Home, false) => "",
    };
    let config_error = |what: &str, remedy: &str| {
        Err(Error::Config(ConfigError {
            file: env.config.path.clone(),
            line: None,
            key: Some("dropbox.remote_root".to_owned()),
            what: format!("{remote_root}: {what}"),
            remedy: remedy.to_owned(),
            next: None,
        }))
    };
    match puller.run()? {
        RootState::Listed => Ok(()),
        RootState::Missing if env.remote_root.is_top() => {
            Err(Error::TryLater(APP_FOLDER_IS_GONE.to_owned()))
        }
        RootState::IsFile => config_error("Dropbox has a file at this path", "name a folder"),
        RootState::Missing if env.index.has_base()? => {
            let mut id = approval_id(env.index, Question::RemoteRoot)?;
            id.field(remote_root);
            let id = id.finish();
            if options.approved.contains(&id) {
                env.index.transaction(|| {
                    env.index.clear()?;
                    note_answer(env.index, Question::RemoteRoot)
                })?;
                return make_root(env, puller, writer);
            }
            Err(Error::Halt(format!(
                "the Dropbox folder {remote_root} is gone{place}; nothing was changed. Restore it \
                 on dropbox.com, or make it anew from what is here by: {}",
                options.again(&env.config.invocation, &format!("--approve {id}"))
            )))
        }
        RootState::Missing if is_in_team_space(env, api) => config_error(
            "there is no such folder in the own folder of this member of a team, and there is one \
             in the space of the team",
            "write root = \"team\" below [dropbox], or make a folder of that name in your own",
        ),
        RootState::Missing if options.mode == Mode::DropboxToLocal => config_error(
            &format!("there is no such folder in Dropbox{place}"),
            "make it there or correct dropbox.remote_root",
        ),
        RootState::Missing => make_root(env, puller, writer),
    }
}

/// Whether a remote root that is missing in the member's own folder is one of the team's: nobody
/// who reads its name on dropbox.com means another one. Where Dropbox does not say, it is not.
fn is_in_team_space(env: &Env<'_>, api: &Api<'_>) -> bool {
    if !api.is_beside_a_team() {
        return false;
    }
    match api.metadata_in_team_space(env.remote_root.path()) {
        Ok(found) => matches!(found, Some(Metadata::Folder(_))),
        Err(error) => {
            log::debug!("the space of the team cannot be looked into: {error:?}");
            false
        }
    }
}

fn make_root(env: &Env<'_>, puller: &Puller<'_>, writer: Option<&Api<'_>>) -> Result<()> {
    let remote_root = &env.config.dropbox.remote_root;
    let Some(api) = writer else {
        env.report
            .changed(Change::MakeRemoteFolder, remote_root, "");
        return Ok(());
    };
    match api.create_folder(env.remote_root.path()) {
        Ok(()) => {
            env.report
                .changed(Change::MakeRemoteFolder, remote_root, "");
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A19.
    #[test]
    fn a19_the_line_to_write_is_taken_as_it_stands() {
        let text = "[dropbox]\napp_key = 'k'\n[sync]\ncontent_dir = '/s'\n";
        let parsed = |text: &str| Config::parse(Path::new("/etc/f.toml"), text).unwrap();
        let told = how_to_write(&parsed(text), "/var/lib/ferrybox-s");
        let (_, line) = told.split_once(": ").unwrap();
        let config = parsed(&format!("{line}\n{text}"));
        assert_eq!(
            config.state_dir.as_deref(),
            Some(Path::new("/var/lib/ferrybox-s"))
        );
        let told = how_to_write(&config, "/other");
        assert!(told.starts_with("by state.dir = \"/other\" in the place"));
    }
}
