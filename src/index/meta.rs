//! What the index belongs to and what is still due, by name.

use rusqlite::{OptionalExtension, params};

use super::Index;
use super::row::checksum_of_fields;
use crate::core::decide::Direction;
use crate::core::guard::ApprovalId;
use crate::error::{Error, Result};

/// The named values of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meta {
    /// Version of the format.
    Format,
    /// Random id of this index, which the cursor file names.
    Id,
    /// Transactions committed so far.
    Counter,
    /// How many rows there are, and the sum over their keys and checksums.
    Totals,
    /// Account the base was agreed with.
    AccountId,
    /// App the base was agreed through.
    AppKey,
    /// Root namespace of the account.
    RootNamespace,
    /// The Dropbox folder.
    RemoteRoot,
    /// Fingerprint of the filters.
    Filters,
    /// Set while local files without base are still to be uploaded once.
    ResetDue,
    /// Set when a damaged row was found: the next pass lists again.
    RelistDue,
    /// Set while files that were moved in Dropbox have no rev: where it does not tell them in this
    /// pass, the next one lists again.
    RevsDue,
    /// Whether Dropbox holds something below the remote root that has no row, because the filters
    /// leave it out or its name can be none: 0 or 1, as far as that is known.
    HasUnmanaged,
    /// Passes in a row in which Dropbox answered, but did not tell what had changed; and at how
    /// many of them all is listed again, as in `2 of 3`.
    ChangesFailed,
    /// Set when the index turned out to be an older copy: some of its bases were superseded.
    Older,
    /// Cursor of an unfinished full listing.
    StagingCursor,
    /// What that listing is of.
    StagingOf,
    /// How many entries are staged, and the sum of their checksums.
    StagingSum,
    /// How far the listing has come that comes folder by folder.
    FolderWalk,
    /// Set while deletes locally wait for a person, since a pass halted over them: what could not
    /// be looked at when they were named.
    HeldDown,
    /// The same for deletes in Dropbox.
    HeldUp,
    /// Number of the last pass that came past its guards.
    LastGuardedPass,
    /// The upload session of a large file that has not arrived whole.
    UploadSession,
    /// Hash of the personal access token the base was last agreed through.
    PersonalToken,
    /// Content of the marker file in the content dir.
    RootMarker,
    /// What tells the content dir from others, where no marker could be written.
    RootIdentity,
    /// Where the content dir is.
    ContentDir,
    /// How far the clock of the content dir lags behind ours at most, in seconds, where it tells no
    /// fractions of a second.
    ClockLag,
    /// How many old temporary files of other instances people were told of.
    LeftByOthers,
    /// Set while files that are gone here may be kept in Dropbox, since `sync.deletes` says so or
    /// did so in the last pass.
    Keeps,
    /// Where the last pass kept what is short-lived.
    RuntimeDir,
    /// Set in an index that was made when names that start with a dot travelled unless the
    /// configuration said otherwise: from 0.2 on.
    HiddenTravels,
    /// The filters of which people were told how much they leave out, by their fingerprint; and
    /// whether some of their globs came from the content dir's own file.
    CoverageTold,
    /// How often a person has answered a halt over deletes locally.
    AnsweredDown,
    /// The same for deletes in Dropbox.
    AnsweredUp,
    /// How often a person has let this index start over.
    StartedOver,
}

impl Meta {
    fn name(self) -> &'static str {
        match self {
            Meta::Format => "format",
            Meta::Id => "id",
            Meta::Counter => "counter",
            Meta::Totals => "census",
            Meta::AccountId => "account_id",
            Meta::AppKey => "app_key",
            Meta::RootNamespace => "root_namespace",
            Meta::RemoteRoot => "remote_root",
            Meta::Filters => "filters",
            Meta::ResetDue => "reset_due",
            Meta::RelistDue => "relist_due",
            Meta::RevsDue => "revs_due",
            Meta::HasUnmanaged => "has_unmanaged",
            Meta::ChangesFailed => "changes_failed",
            Meta::Older => "older",
            Meta::StagingCursor => "staging_cursor",
            Meta::StagingOf => "staging_of",
            Meta::StagingSum => "staging_sum",
            Meta::FolderWalk => "folder_walk",
            Meta::HeldDown => "held_down",
            Meta::HeldUp => "held_up",
            Meta::LastGuardedPass => "passes_done",
            Meta::UploadSession => "upload_session",
            Meta::PersonalToken => "personal_token",
            Meta::RootMarker => "root_marker",
            Meta::RootIdentity => "root_identity",
            Meta::ContentDir => "content_dir",
            Meta::ClockLag => "clock_lag",
            Meta::LeftByOthers => "left_by_others",
            Meta::Keeps => "keeps",
            Meta::RuntimeDir => "runtime_dir",
            Meta::HiddenTravels => "hidden_travels",
            Meta::CoverageTold => "coverage_told",
            Meta::AnsweredDown => "answered_down",
            Meta::AnsweredUp => "answered_up",
            Meta::StartedOver => "started_over",
        }
    }
}

/// What the base, and with it every cursor, belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncIdentity {
    /// The account.
    pub account_id: String,
    /// The app.
    pub app_key: String,
    /// The root namespace of the account.
    pub root_namespace: String,
    /// The Dropbox folder.
    pub remote_root: String,
    /// Fingerprint of the filters.
    pub filters: String,
}

/// Ends the root namespace of an identity whose paths begin in a team's space.
const TEAM_MARK: &str = " (team)";

impl SyncIdentity {
    /// The root namespace of an identity whose paths begin in the space of this team.
    pub fn of_team(namespace: &str) -> String {
        format!("{namespace}{TEAM_MARK}")
    }

    /// Whether the paths begin in a team's space.
    pub fn is_of_team(&self) -> bool {
        self.root_namespace.ends_with(TEAM_MARK)
    }

    /// All of it in one text.
    pub fn text(&self) -> String {
        let SyncIdentity {
            account_id,
            app_key,
            root_namespace,
            remote_root,
            filters,
        } = self;
        format!("{account_id}\n{app_key}\n{root_namespace}\n{remote_root}\n{filters}")
    }
}

/// The id of an index that is not kept, as a dry run makes one where there is none.
pub const UNKEPT: &str = "not kept";

/// What a person is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Deletes of a direction.
    Deletes(Direction),
    /// Files of ours that would replace others.
    Uploads,
    /// A disk that is not mounted any more.
    Mount,
    /// Another content dir.
    ContentDir,
    /// Another account.
    Account,
    /// The space of another team.
    Team,
    /// A Dropbox folder that is gone.
    RemoteRoot,
}

impl Question {
    /// Keeps ids of different kinds apart.
    fn purpose(self) -> &'static str {
        match self {
            Question::Deletes(_) => "deletes",
            Question::Uploads => "uploads",
            Question::Mount => "mount",
            Question::ContentDir => "content dir",
            Question::Account => "account",
            Question::Team => "team",
            Question::RemoteRoot => "remote root",
        }
    }

    /// What counts the answers, where the same question may come again.
    fn answers(self) -> Option<Meta> {
        match self {
            Question::Deletes(Direction::Down) => Some(Meta::AnsweredDown),
            Question::Deletes(Direction::Up) => Some(Meta::AnsweredUp),
            Question::ContentDir | Question::Account | Question::Team | Question::RemoteRoot => {
                Some(Meta::StartedOver)
            }
            // The version in Dropbox that it names is replaced by the answer.
            Question::Uploads => None,
            // Nothing is deleted by the answer, and each disk may be asked about beside others.
            Question::Mount => None,
        }
    }
}

/// Begins the id of a halt over what this index knows. It is good for one answer: the next time the
/// same is asked the id is another one.
///
/// # Errors
/// What SQLite says.
pub fn approval_id(index: &Index, question: Question) -> Result<ApprovalId> {
    let index_id = index.meta(Meta::Id)?.unwrap_or_default();
    let mut id = ApprovalId::new(&index_id, question.purpose());
    if let Some(answers) = question.answers() {
        id.field(&index.meta(answers)?.unwrap_or_default());
    }
    Ok(id)
}

/// A person has answered, and what was answered is done. For a transaction.
///
/// # Errors
/// What SQLite says.
pub fn note_answer(index: &Index, question: Question) -> Result<()> {
    let Some(answers) = question.answers() else {
        return Ok(());
    };
    let before = index.meta(answers)?.and_then(|count| count.parse().ok());
    index.set_meta(answers, &(before.unwrap_or(0_u64) + 1).to_string())
}

/// Whether a run after this one will know it by another id, and so have other approval ids.
///
/// # Errors
/// What SQLite says.
pub fn is_unkept(index: &Index) -> Result<bool> {
    Ok(index.meta(Meta::Id)?.as_deref() == Some(UNKEPT))
}

impl Index {
    /// The value of a name.
    ///
    /// # Errors
    /// What SQLite says; [`Error::Damaged`] if the value fails its checksum.
    pub fn meta(&self, meta: Meta) -> Result<Option<String>> {
        let mut select = self
            .db
            .prepare_cached("SELECT value, sum FROM meta WHERE name = ?")?;
        let found: Option<(String, i64)> = select
            .query_row([meta.name()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        match found {
            Some((value, sum)) if sum == checksum_of_fields(&[meta.name(), &value]) => {
                Ok(Some(value))
            }
            Some(_) => Err(Error::Damaged(format!("index: {} is damaged", meta.name()))),
            None => Ok(None),
        }
    }

    /// Sets the value of a name.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn set_meta(&self, meta: Meta, value: &str) -> Result<()> {
        let mut upsert = self
            .db
            .prepare_cached("INSERT OR REPLACE INTO meta (name, value, sum) VALUES (?, ?, ?)")?;
        upsert.execute(params![
            meta.name(),
            value,
            checksum_of_fields(&[meta.name(), value])
        ])?;
        Ok(())
    }

    /// Forgets the value of a name.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn clear_meta(&self, meta: Meta) -> Result<()> {
        self.db
            .execute("DELETE FROM meta WHERE name = ?", [meta.name()])?;
        Ok(())
    }

    /// What the base belongs to; nothing before the first listing.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn identity(&self) -> Result<Option<SyncIdentity>> {
        let Some(account_id) = self.meta(Meta::AccountId)? else {
            return Ok(None);
        };
        let text = |meta| Ok::<_, Error>(self.meta(meta)?.unwrap_or_default());
        Ok(Some(SyncIdentity {
            account_id,
            app_key: text(Meta::AppKey)?,
            root_namespace: text(Meta::RootNamespace)?,
            remote_root: text(Meta::RemoteRoot)?,
            filters: text(Meta::Filters)?,
        }))
    }

    /// Says what the base belongs to from now on.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn set_identity(&self, identity: &SyncIdentity) -> Result<()> {
        self.set_meta(Meta::AccountId, &identity.account_id)?;
        self.set_meta(Meta::AppKey, &identity.app_key)?;
        self.set_meta(Meta::RootNamespace, &identity.root_namespace)?;
        self.set_meta(Meta::RemoteRoot, &identity.remote_root)?;
        self.set_meta(Meta::Filters, &identity.filters)
    }
}
