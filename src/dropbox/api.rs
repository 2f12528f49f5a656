//! One method per route, typed; how a call travels is in `call`.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::core::content_hash::ContentHash;
use crate::core::invocation::Invocation;
use crate::core::remote::{Cursor, PathRoot, RemotePath, Rev};
use crate::dropbox::auth::{self, OAuthRefusal};
pub use crate::dropbox::call::{Api, Call, PageSink, Upload};
use crate::dropbox::call::{server_error, token_call};
use crate::dropbox::page::PageEnd;
use crate::dropbox::retry::{CallError, Failure, Retry, TRIES_MAX};
use crate::dropbox::unknown::Unknown;
use crate::dropbox::verdict::STRANGER;
use crate::dropbox::wire::{
    Account, Changed, CommitInfo, FileMetadata, Metadata, SessionCursor, SessionStarted,
    SpaceUsage, TokenAnswer, header_json,
};
use crate::error::Error;
use crate::io::deadline::Deadline;
use crate::io::host::Host;
use crate::io::http::{Body, Endpoint, Http};
use crate::io::limited_body::LimitedBody;

/// Most entries of a page, try by try: a listing that fails is asked for in smaller pages.
const PAGE_LIMITS: [u32; 4] = [2000, 2000, 500, PAGE_LIMIT_LEAST];
const PAGE_LIMIT_LEAST: u32 = 100;

/// How much of a folder is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// All below it.
    Everything,
    /// What lies in it itself.
    OneFolder,
}

/// A download whose body has not been read yet.
pub struct Download<'a> {
    /// What Dropbox says it sends, if that has come through.
    pub metadata: Option<FileMetadata>,
    /// Whether the bytes start at the offset asked for; else they start at the beginning.
    pub resumed: bool,
    /// The bytes.
    pub body: LimitedBody<'a>,
}

impl<'a> Api<'a> {
    /// What stands at a path of the team's space, as [`Api::metadata`] says it.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn metadata_in_team_space(&self, path: &RemotePath) -> Call<Option<Metadata>> {
        let root = self.root.replace(PathRoot::Team);
        let found = self.metadata(path);
        self.root.set(root);
        found
    }

    /// Exchanges a pasted code (`/oauth2/token`); `form` is from [`auth::code_form`].
    ///
    /// # Errors
    /// [`Error::Authentication`] if the code or the app is refused.
    pub fn redeem_code(
        http: &dyn Http,
        host: &dyn Host,
        form: &str,
        invocation: &Invocation,
    ) -> Result<TokenAnswer, Error> {
        let refused = |refusal: &OAuthRefusal| auth::code_refused(refusal, invocation);
        let deadline = Deadline::none(host);
        let unknown = Unknown::default();
        let mut attempt = || token_call(http, host, &deadline, form, &refused, &unknown);
        let refresh = || Ok(());
        Retry::new(host, &deadline)
            .run(&refresh, &mut attempt)
            .map_err(|error| error.into_error("redeem the code"))
    }

    /// `users/get_current_account`.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn current_account(&self) -> Call<Account> {
        let mut account: Account = self.rpc("users/get_current_account", &Value::Null)?;
        let namespaces = &mut account.root_info;
        if namespaces.home_namespace_id.is_empty() {
            namespaces.home_namespace_id = namespaces.root_namespace_id.clone();
        }
        Ok(account)
    }

    /// Whether Dropbox answers a plain call (`files/list_folder`, one entry) at all, whatever it
    /// says. It is asked once.
    pub fn is_reachable(&self) -> bool {
        let answer = self.rpc_once::<Value>("files/list_folder", r#"{"path":"","limit":1}"#);
        !matches!(
            answer,
            Err(Failure::Unreachable(_)
                | Failure::Broken(_)
                | Failure::ServerError(_)
                | Failure::TokenDoubtful(_))
        )
    }

    /// `files/list_folder` of one entry at the top: only whether that may be asked.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn may_list(&self) -> Call<()> {
        let argument = json!({ "path": "", "limit": 1 });
        self.rpc::<IgnoredAny>("files/list_folder", &argument)
            .map(drop)
    }

    /// Bytes that are free for this account.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn free_space(&self) -> Call<u64> {
        Ok(self.space_usage()?.free())
    }

    /// `users/get_space_usage`: what the account takes up, and of how much.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn space_usage(&self) -> Call<SpaceUsage> {
        self.rpc("users/get_space_usage", &Value::Null)
    }

    /// `auth/token/revoke`: ends the access token and the refresh token behind it.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn revoke(&self) -> Call<()> {
        self.rpc::<()>("auth/token/revoke", &Value::Null)
    }

    /// `files/list_folder` from the beginning. What fails is asked for in smaller pages.
    ///
    /// # Errors
    /// [`CallError`]; `path/not_found` and `path/not_folder` are refusals.
    pub fn list_folder(
        &self,
        path: &RemotePath,
        depth: Depth,
        sink: &mut dyn PageSink,
    ) -> Call<PageEnd> {
        let mut limits = PAGE_LIMITS.iter();
        let mut argument = || {
            let limit = limits.next().unwrap_or(&PAGE_LIMIT_LEAST);
            json!({ "path": path, "recursive": depth == Depth::Everything, "limit": limit })
        };
        let tries = PAGE_LIMITS.len() as u32;
        self.page("files/list_folder", tries, &mut argument, sink)
    }

    /// `files/list_folder/get_latest_cursor`, recursive: behind it comes what changes from now on.
    /// Asked for twice: it follows calls that failed.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn latest_cursor(&self, path: &RemotePath) -> Call<Cursor> {
        #[derive(Deserialize)]
        struct Latest {
            cursor: Cursor,
        }
        let argument = json!({ "path": path, "recursive": true }).to_string();
        let mut attempt = || self.rpc_once("files/list_folder/get_latest_cursor", &argument);
        let latest: Latest = self.run_up_to(2, &mut attempt)?;
        Ok(latest.cursor)
    }

    /// `files/list_folder/continue`.
    ///
    /// # Errors
    /// [`CallError`]; `reset` and `path/not_found` are refusals.
    pub fn list_folder_continue(&self, cursor: &Cursor, sink: &mut dyn PageSink) -> Call<PageEnd> {
        let mut argument = || json!({ "cursor": cursor });
        self.page("files/list_folder/continue", TRIES_MAX, &mut argument, sink)
    }

    /// `files/get_metadata`; nothing if nothing is there.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn metadata(&self, path: &RemotePath) -> Call<Option<Metadata>> {
        match self.rpc("files/get_metadata", &json!({ "path": path })) {
            Ok(metadata) => Ok(Some(metadata)),
            Err(CallError::Refused(error)) if error.is("path/not_found") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// `files/create_folder_v2`, autorename off.
    ///
    /// # Errors
    /// [`CallError`]; `path/conflict/folder` means that it is there already.
    pub fn create_folder(&self, path: &RemotePath) -> Call<()> {
        self.rpc::<Changed>("files/create_folder_v2", &json!({ "path": path }))
            .map(drop)
    }

    /// `files/delete_v2` of exactly this revision of a file.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn delete_file(&self, path: &RemotePath, rev: &Rev) -> Call<()> {
        let argument = json!({ "path": path, "parent_rev": rev });
        self.rpc::<Changed>("files/delete_v2", &argument).map(drop)
    }

    /// Deletes a folder (`files/delete_v2`) if it holds nothing right now (`files/list_folder`,
    /// limit 1); says whether it did. `delete_v2` takes no guard for folders, so every repetition
    /// looks again.
    ///
    /// RACE: what is put into the folder between the two calls goes with it; it can be restored
    /// from Dropbox's deleted files.
    ///
    /// # Errors
    /// [`CallError`]; `not_found` means that it is gone already.
    pub fn delete_empty_folder(&self, path: &RemotePath) -> Call<bool> {
        #[derive(Deserialize)]
        struct FirstEntry {
            entries: Vec<IgnoredAny>,
            has_more: bool,
        }
        let list = json!({ "path": path, "limit": 1 }).to_string();
        let delete = json!({ "path": path }).to_string();
        self.run(&mut || {
            let listing: FirstEntry = self.rpc_once("files/list_folder", &list)?;
            if !listing.entries.is_empty() || listing.has_more {
                return Ok(false);
            }
            self.rpc_once::<Changed>("files/delete_v2", &delete)?;
            Ok(true)
        })
    }

    /// `files/upload`: a whole file in one call (up to 150 MiB).
    ///
    /// # Errors
    /// [`CallError`]; [`CallError::Local`] if the bytes gave out.
    pub fn upload(
        &self,
        commit: &CommitInfo<'_>,
        hash: Option<ContentHash>,
        bytes: &mut dyn Upload,
    ) -> Call<FileMetadata> {
        #[derive(Serialize)]
        struct Argument<'a> {
            #[serde(flatten)]
            commit: &'a CommitInfo<'a>,
            #[serde(skip_serializing_if = "Option::is_none")]
            content_hash: Option<String>,
        }
        let content_hash = hash.map(|hash| hash.to_string());
        let argument = header_json(&Argument {
            commit,
            content_hash,
        });
        self.send("files/upload", &argument, bytes)
    }

    /// `files/upload_session/start` with the first bytes; with all of them if it is to be closed.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn session_start(&self, close: bool, bytes: &mut dyn Upload) -> Call<SessionStarted> {
        let argument = header_json(&json!({ "close": close }));
        self.send("files/upload_session/start", &argument, bytes)
    }

    /// `files/upload_session/append_v2`.
    ///
    /// # Errors
    /// [`CallError`]; `incorrect_offset` says how many bytes have arrived.
    pub fn session_append(&self, cursor: &SessionCursor<'_>, bytes: &mut dyn Upload) -> Call<()> {
        let argument = header_json(&json!({ "cursor": cursor, "close": false }));
        self.send::<()>("files/upload_session/append_v2", &argument, bytes)
    }

    /// `files/upload_session/finish` with the last bytes.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn session_finish(
        &self,
        cursor: &SessionCursor<'_>,
        commit: &CommitInfo<'_>,
        bytes: &mut dyn Upload,
    ) -> Call<FileMetadata> {
        let argument = header_json(&json!({ "cursor": cursor, "commit": commit }));
        self.send("files/upload_session/finish", &argument, bytes)
    }

    /// `files/download` of a pinned revision from `offset` bytes on.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn download(&self, rev: &Rev, offset: u64) -> Call<Download<'a>> {
        let argument = header_json(&json!({ "path": format!("rev:{rev}") }));
        self.run(&mut || {
            let mut headers = vec![("dropbox-api-arg", argument.clone())];
            if offset > 0 {
                headers.push(("range", format!("bytes={offset}-")));
            }
            let path = "/2/files/download";
            let response = self.once(Endpoint::Content, path, headers, Body::Empty)?;
            let metadata = response
                .header("dropbox-api-result")
                .and_then(|json| serde_json::from_str(json).ok());
            if metadata.is_none() {
                let header = response
                    .header("dropbox-api-result")
                    .map_or("no", |_| "an odd");
                let what = format!("{path} was answered with {header} result header");
                self.unknown.note(what.clone(), &what);
            }
            let is_page = |text: &str| text.trim_start().starts_with("text/html");
            if metadata.is_none() && response.header("content-type").is_some_and(is_page) {
                return Err(server_error(&format!(
                    "a download was answered with a page, so {STRANGER}"
                )));
            }
            let resumed = response.status == 206;
            Ok(Download {
                metadata,
                resumed,
                body: self.content(response.body),
            })
        })
    }

    /// `files/download_zip`: a folder and all below it as a zip archive. Asked for once: nothing
    /// where it does not come, since there are other ways to the same files.
    ///
    /// # Errors
    /// [`CallError`]; `too_large` and `too_many_files` are refusals.
    pub fn download_zip(&self, path: &RemotePath) -> Call<Option<LimitedBody<'a>>> {
        let argument = header_json(&json!({ "path": path }));
        self.run(&mut || {
            let headers = vec![("dropbox-api-arg", argument.clone())];
            let path = "/2/files/download_zip";
            match self.once(Endpoint::Content, path, headers, Body::Empty) {
                Ok(response) => Ok(Some(self.content(response.body))),
                Err(
                    Failure::Unreachable(text) | Failure::Broken(text) | Failure::ServerError(text),
                ) => {
                    log::debug!("no archive: {text}");
                    Ok(None)
                }
                Err(failure) => Err(failure),
            }
        })
    }
}
