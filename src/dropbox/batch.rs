//! The routes that do many things in one call: upload sessions, deletes, folders, moves, copies.
//!
//! Every entry of a batch succeeds or fails alone, and the answers come in the order of the
//! entries. Deletes, folders, moves and copies may be handed to a job, which is asked after
//! politely.

use std::io::Write;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use crate::core::remote::{RemotePath, Rev};
use crate::dropbox::api::{Api, Call, Depth, PageSink, Upload};
use crate::dropbox::call::server_error;
use crate::dropbox::retry::{CallError, Failure, TRIES_MAX};
use crate::dropbox::unknown::Unknown;
use crate::dropbox::wire::{
    ApiError, CommitInfo, Fields, FileMetadata, Metadata, SessionCursor, of_fields, tagged,
};

/// Most entries of one batch of uploads, deletes or copies (`files.stone`).
pub const ENTRIES_MAX: usize = 1000;
/// Up to so many files a commit is tried again as it is: it is as small as it gets.
pub const COMMIT_LEAST: usize = 60;
/// First wait for a job; each further one is twice as long.
const JOB_WAIT: Duration = Duration::from_millis(250);
/// Longest wait between two looks at a job.
const JOB_WAIT_MAX: Duration = Duration::from_secs(8);
/// Looks at one job, about a quarter of an hour.
const JOB_LOOKS_MAX: u32 = 120;

/// A route that may hand its work to a job, and the one that asks after it.
#[derive(Clone, Copy)]
struct JobRoutes {
    route: &'static str,
    check: &'static str,
}

const DELETE: JobRoutes = JobRoutes {
    route: "files/delete_batch",
    check: "files/delete_batch/check",
};
const CREATE: JobRoutes = JobRoutes {
    route: "files/create_folder_batch",
    check: "files/create_folder_batch/check",
};
const MOVE: JobRoutes = JobRoutes {
    route: "files/move_batch_v2",
    check: "files/move_batch/check_v2",
};
const COPY: JobRoutes = JobRoutes {
    route: "files/copy_batch_v2",
    check: "files/copy_batch/check_v2",
};

/// Chooses among folders by what a listing tells.
pub trait Choice: PageSink {
    /// The paths of those to delete, as far as the listing has gone; asked right before.
    fn chosen(&mut self) -> Vec<RemotePath>;
}

const INCOMPLETE: &str = "Dropbox answered for another number of entries than were asked about";

/// How a file gets another name within Dropbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relocation {
    /// Its old name goes. It needs no room, and keeps its id, shared links and history.
    Move,
    /// Its old name stays.
    Copy,
}

impl Relocation {
    /// What it is called when it is done.
    pub fn done(self) -> &'static str {
        match self {
            Relocation::Move => "moved",
            Relocation::Copy => "copied",
        }
    }
}

/// What became of one entry.
pub type Outcome<T> = Result<T, ApiError>;

/// One entry of `append_batch`, in the order of the bytes of the call.
#[derive(Serialize)]
pub struct Append<'a> {
    /// The session, and where in it the bytes go.
    pub cursor: SessionCursor<'a>,
    /// How many of the call's bytes.
    pub length: u64,
    /// Nothing follows them.
    pub close: bool,
}

/// One entry of `finish_batch_v2`: a closed session and what its bytes become.
#[derive(Serialize)]
pub struct Finish<'a> {
    /// The session and its whole length.
    pub cursor: SessionCursor<'a>,
    /// The file.
    pub commit: CommitInfo<'a>,
}

/// The answer for one entry whose success carries `T` beside the tag.
struct Flat<T>(EntryAnswer<T>);

/// The answer for one entry whose success is a union of its own.
struct Nested(EntryAnswer<Metadata>);

/// What became of one entry, as Dropbox says it.
enum EntryAnswer<T> {
    Success(T),
    Failure(ApiError),
    /// This tag, which this version does not know.
    Other(String),
}

/// A success about which nothing more is asked.
#[derive(Deserialize)]
struct Done {}

#[derive(Deserialize, Serialize)]
struct Entries<T> {
    entries: Vec<T>,
}

/// What a launch or a look at a job says: a union, taken field by field. As one it would be kept
/// whole until its tag is known, and it has up to a thousand entries.
#[derive(Deserialize)]
struct Job<T> {
    #[serde(rename = ".tag")]
    tag: String,
    async_job_id: Option<String>,
    entries: Option<Vec<T>>,
    failed: Option<Value>,
}

/// One entry of `delete_batch`.
#[derive(Serialize)]
struct DeleteEntry<'a> {
    path: &'a RemotePath,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_rev: Option<&'a Rev>,
}

/// One entry of `move_batch_v2` and `copy_batch_v2`.
#[derive(Serialize)]
struct RelocationEntry<'a> {
    from_path: &'a RemotePath,
    to_path: &'a RemotePath,
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Flat<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Flat<T>, D::Error> {
        let (tag, fields) = tagged(from)?;
        Ok(Flat(match tag.as_str() {
            "success" => EntryAnswer::Success(of_fields(fields)?),
            _ => EntryAnswer::of_another(tag, fields),
        }))
    }
}

impl<'de> Deserialize<'de> for Nested {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Nested, D::Error> {
        #[derive(Deserialize)]
        struct Success {
            success: Metadata,
        }
        let (tag, fields) = tagged(from)?;
        Ok(Nested(match tag.as_str() {
            "success" => EntryAnswer::Success(of_fields::<Success, _>(fields)?.success),
            _ => EntryAnswer::of_another(tag, fields),
        }))
    }
}

impl<T> EntryAnswer<T> {
    fn of_another(tag: String, mut fields: Fields) -> EntryAnswer<T> {
        match fields.remove("failure") {
            Some(failure) if tag == "failure" => EntryAnswer::Failure(refusal(failure)),
            _ => EntryAnswer::Other(tag),
        }
    }

    /// What became of the entry; what this version does not know of it is told once.
    fn outcome(self, route: &str, unknown: &Unknown) -> Outcome<T> {
        match self {
            EntryAnswer::Success(value) => Ok(value),
            EntryAnswer::Failure(error) => {
                if !error.is_known() {
                    unknown.note_tag(&format!("an entry that {route} refuses"), &error.tags());
                }
                Err(error)
            }
            EntryAnswer::Other(tag) => {
                unknown.note_tag(&format!("an entry of the answer to {route}"), &tag);
                Err(refusal(json!("other")))
            }
        }
    }
}

/// A relocation that came to anything but a file.
fn as_file(entry: Metadata) -> Outcome<FileMetadata> {
    match entry {
        Metadata::File(file) => Ok(file),
        _ => Err(refusal(json!("other"))),
    }
}

/// Written twice, to take no more memory than it has bytes: it may have a thousand entries.
fn entries_json<T: Serialize>(entries: Vec<T>) -> String {
    let entries = Entries { entries };
    let mut length = Length(0);
    let _ = serde_json::to_writer(&mut length, &entries);
    let mut json = Vec::with_capacity(length.0);
    let _ = serde_json::to_writer(&mut json, &entries);
    String::from_utf8(json).unwrap_or_default()
}

/// How many bytes were written.
struct Length(usize);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn refusal(error: Value) -> ApiError {
    ApiError {
        error,
        user_message: None,
    }
}

impl Api<'_> {
    /// `files/upload_session/start_batch`: that many empty sessions.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn start_batch(&self, sessions: usize) -> Call<Vec<String>> {
        #[derive(Deserialize)]
        struct Started {
            session_ids: Vec<String>,
        }
        let argument = json!({ "num_sessions": sessions });
        let started: Started = self.rpc("files/upload_session/start_batch", &argument)?;
        complete(started.session_ids, sessions)
    }

    /// `files/upload_session/append_batch` with an argument made of so many [`Append`]s, which
    /// travels in a header.
    ///
    /// # Errors
    /// [`CallError`]; 400, 413 or 431 if the argument is too long for a header.
    pub fn append_batch(
        &self,
        argument: &str,
        entries: usize,
        bytes: &mut dyn Upload,
    ) -> Call<Vec<Outcome<()>>> {
        let route = "files/upload_session/append_batch";
        let answer: Entries<Flat<Done>> = self.send(route, argument, bytes)?;
        complete(self.done(route, answer.entries), entries)
    }

    /// `files/upload_session/finish_batch_v2`. Entries that met a busy namespace are offered again
    /// after a wait. A large one that gets no answer is not tried again: a smaller one may.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn finish_batch(&self, entries: &[Finish<'_>]) -> Call<Vec<Outcome<FileMetadata>>> {
        let mut outcomes: Vec<Option<Outcome<FileMetadata>>> = Vec::new();
        outcomes.resize_with(entries.len(), || None);
        let tries = if entries.len() > COMMIT_LEAST {
            1
        } else {
            TRIES_MAX
        };
        self.run_up_to(tries, &mut || {
            let open: Vec<usize> = (0..entries.len())
                .filter(|&at| outcomes[at].is_none())
                .collect();
            let asked: Vec<&Finish<'_>> = open.iter().map(|&at| &entries[at]).collect();
            let argument = entries_json(asked);
            let route = "files/upload_session/finish_batch_v2";
            let answer: Entries<Flat<FileMetadata>> = self.rpc_once(route, &argument)?;
            if answer.entries.len() != open.len() {
                return Err(server_error(INCOMPLETE));
            }
            let mut is_busy = false;
            for (at, entry) in open.into_iter().zip(answer.entries) {
                match entry.0.outcome(route, &self.unknown) {
                    Err(error) if error.has("too_many_write_operations") => is_busy = true,
                    outcome => outcomes[at] = Some(outcome),
                }
            }
            if is_busy {
                return Err(Failure::RateLimited(None));
            }
            Ok(())
        })?;
        complete(outcomes.into_iter().flatten().collect(), entries.len())
    }

    /// `files/delete_batch` of exactly these revisions of files, and of folders, as (path, rev).
    ///
    /// # Errors
    /// [`CallError`].
    pub fn delete_batch(&self, files: &[(RemotePath, Option<Rev>)]) -> Call<Vec<Outcome<()>>> {
        fn entry((path, rev): &(RemotePath, Option<Rev>)) -> DeleteEntry<'_> {
            DeleteEntry {
                path,
                parent_rev: rev.as_ref(),
            }
        }
        let launch = entries_json(files.iter().map(entry).collect());
        let answers = self.job(DELETE, &launch)?;
        complete(self.done(DELETE.route, answers), files.len())
    }

    /// Deletes folders (`files/delete_batch`) that hold nothing right now, as one listing of all
    /// below `path` tells (`files/list_folder`, recursive); says which were chosen and what became
    /// of them. There is no guard for folders, so every repetition looks again.
    ///
    /// RACE: as with [`Api::delete_empty_folder`].
    ///
    /// # Errors
    /// [`CallError`].
    pub fn delete_empty_folders(
        &self,
        path: &RemotePath,
        look: &mut dyn Choice,
    ) -> Call<Vec<(RemotePath, Outcome<()>)>> {
        self.run(&mut || {
            let mut end = self
                .list_folder(path, Depth::Everything, look)
                .map_err(failure)?;
            while end.has_more {
                end = self
                    .list_folder_continue(&end.cursor, look)
                    .map_err(failure)?;
            }
            let mut chosen = look.chosen();
            chosen.truncate(ENTRIES_MAX);
            if chosen.is_empty() {
                return Ok(Vec::new());
            }
            let entry = |path| DeleteEntry {
                path,
                parent_rev: None,
            };
            let launch = entries_json(chosen.iter().map(entry).collect());
            let answers = self.job_once(DELETE, &launch)?;
            if answers.len() != chosen.len() {
                return Err(server_error(INCOMPLETE));
            }
            let outcomes = self.done(DELETE.route, answers);
            Ok(chosen.into_iter().zip(outcomes).collect())
        })
    }

    /// `files/create_folder_batch`, autorename off.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn create_folder_batch(&self, paths: &[RemotePath]) -> Call<Vec<Outcome<()>>> {
        let launch = json!({ "paths": paths }).to_string();
        let answers = self.job(CREATE, &launch)?;
        complete(self.done(CREATE.route, answers), paths.len())
    }

    /// `files/move_batch_v2` or `files/copy_batch_v2` of files within Dropbox, as (from, to).
    ///
    /// # Errors
    /// [`CallError`].
    pub fn relocate_files(
        &self,
        relocation: Relocation,
        files: &[(RemotePath, RemotePath)],
    ) -> Call<Vec<Outcome<FileMetadata>>> {
        let outcomes = self.relocate_batch(relocation, files)?.into_iter();
        Ok(outcomes.map(|moved| moved.and_then(as_file)).collect())
    }

    /// `files/move_batch_v2` or `files/copy_batch_v2` of files and folders within Dropbox, as
    /// (from, to), autorename off. Both check by `check_v2`.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn relocate_batch(
        &self,
        relocation: Relocation,
        files: &[(RemotePath, RemotePath)],
    ) -> Call<Vec<Outcome<Metadata>>> {
        fn entry((from_path, to_path): &(RemotePath, RemotePath)) -> RelocationEntry<'_> {
            RelocationEntry { from_path, to_path }
        }
        let routes = match relocation {
            Relocation::Move => MOVE,
            Relocation::Copy => COPY,
        };
        let mut outcomes = Vec::with_capacity(files.len());
        for files in files.chunks(ENTRIES_MAX) {
            let launch = entries_json(files.iter().map(entry).collect());
            let answers: Vec<Nested> = self.job(routes, &launch)?;
            let answers = answers.into_iter();
            let answers = answers.map(|Nested(moved)| moved.outcome(routes.route, &self.unknown));
            outcomes.extend(complete(answers.collect(), files.len())?);
        }
        Ok(outcomes)
    }

    /// `files/move_v2` or `files/copy_v2` of one file.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn relocate_file(
        &self,
        relocation: Relocation,
        from: &RemotePath,
        to: &RemotePath,
    ) -> Call<Outcome<FileMetadata>> {
        let moved = self.relocate(relocation, from, to)?;
        Ok(moved.and_then(as_file))
    }

    /// `files/move_v2` or `files/copy_v2` of one file or folder, autorename off.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn relocate(
        &self,
        relocation: Relocation,
        from: &RemotePath,
        to: &RemotePath,
    ) -> Call<Outcome<Metadata>> {
        #[derive(Deserialize)]
        struct Relocated {
            metadata: Metadata,
        }
        let route = match relocation {
            Relocation::Move => "files/move_v2",
            Relocation::Copy => "files/copy_v2",
        };
        let argument = json!({ "from_path": from, "to_path": to });
        match self.rpc(route, &argument) {
            Ok(Relocated { metadata }) => Ok(Ok(metadata)),
            Err(CallError::Refused(error)) => Ok(Err(error)),
            Err(error) => Err(error),
        }
    }

    /// What became of entries about which nothing is asked but whether they are done.
    fn done(&self, route: &str, answers: Vec<Flat<Done>>) -> Vec<Outcome<()>> {
        let outcomes = answers.into_iter().map(|Flat(answer)| {
            let outcome = answer.outcome(route, &self.unknown);
            outcome.map(drop)
        });
        outcomes.collect()
    }

    /// Launches a job and waits for its end. One that fails because the namespace is busy is
    /// launched again after a wait.
    fn job<T: DeserializeOwned>(&self, routes: JobRoutes, launch: &str) -> Call<Vec<T>> {
        self.run(&mut || self.job_once(routes, launch))
    }

    fn job_once<T: DeserializeOwned>(
        &self,
        JobRoutes { route, check }: JobRoutes,
        launch: &str,
    ) -> Result<Vec<T>, Failure> {
        let mut job: Job<T> = self.rpc_once(route, launch)?;
        let mut id = String::new();
        let mut wait = JOB_WAIT;
        for _ in 0..JOB_LOOKS_MAX {
            let nonsense = || server_error(INCOMPLETE);
            match job.tag.as_str() {
                "complete" => return job.entries.ok_or_else(nonsense),
                "failed" => {
                    let error = refusal(job.failed.ok_or_else(nonsense)?);
                    if !error.is_known() {
                        let place = format!("the end of a job of {route}");
                        self.unknown.note_tag(&place, &error.tags());
                    }
                    return Err(if error.has("too_many_write_operations") {
                        Failure::RateLimited(None)
                    } else {
                        Failure::Refused(error)
                    });
                }
                "async_job_id" => id = job.async_job_id.ok_or_else(nonsense)?,
                "in_progress" => {}
                tag => {
                    self.unknown.note_tag(&format!("a job of {route}"), tag);
                    return Err(Failure::Refused(refusal(json!("other"))));
                }
            }
            self.deadline.sleep(wait).map_err(Failure::Final)?;
            wait = (wait * 2).min(JOB_WAIT_MAX);
            let look = json!({ "async_job_id": id });
            job = self.rpc(check, &look).map_err(failure)?;
        }
        log::debug!("{route} does not come to an end");
        Err(Failure::Refused(refusal(json!("unfinished"))))
    }
}

/// A call inside another one has been repeated as often as it may be.
fn failure(error: CallError) -> Failure {
    match error {
        CallError::Refused(error) => Failure::Refused(error),
        CallError::ServerError(text) => Failure::ServerError(text),
        CallError::Local(error) => Failure::Local(error),
        CallError::End(error) => Failure::Final(error),
    }
}

/// One answer per entry, or none that can be relied on.
fn complete<T>(answers: Vec<T>, asked: usize) -> Call<Vec<T>> {
    if answers.len() == asked {
        Ok(answers)
    } else {
        Err(CallError::ServerError(INCOMPLETE.to_owned()))
    }
}
