//! Errors that end a pass, and the exit code each one means.
//!
//! Trouble with one path is not an error but a [`crate::report`] problem: the pass goes on.

use std::fmt;
use std::io;

use crate::config::ConfigError;

/// The documented exit codes. A code is never reused for another meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Everything is in step.
    Ok = 0,
    /// The pass failed for a reason none of the others covers.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// The pass ran; some files have problems.
    SomeFiles = 3,
    /// Nobody has authenticated, or the authentication ended.
    Authentication = 4,
    /// Halted before anything was deleted: a person must decide.
    Halted = 5,
    /// Another run holds the lock.
    Locked = 6,
    /// Offline, rate limited or out of time: try later.
    TryLater = 7,
    /// The Dropbox quota or the local disk is full.
    Full = 8,
    /// Bad configuration (`EX_CONFIG`).
    Config = 78,
}

/// Why a command could not be carried out.
#[derive(Debug)]
pub enum Error {
    /// The configuration cannot be used.
    Config(ConfigError),
    /// Another run holds the lock.
    Locked(String),
    /// Somebody must authenticate; the text says why and how.
    Authentication(String),
    /// A person must decide; the text says what about and how.
    Halt(String),
    /// Dropbox cannot be reached or asks to wait.
    TryLater(String),
    /// Dropbox or the disk is full.
    Full(String),
    /// A state file is damaged. It is only a cache: it is dropped and made anew.
    Damaged(String),
    /// Anything else.
    Failed(String),
}

/// The result of anything that can end a pass.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The exit code this error ends the command with.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Error::Config(_) => ExitCode::Config,
            Error::Locked(_) => ExitCode::Locked,
            Error::Authentication(_) => ExitCode::Authentication,
            Error::Halt(_) => ExitCode::Halted,
            Error::TryLater(_) => ExitCode::TryLater,
            Error::Full(_) => ExitCode::Full,
            Error::Damaged(_) | Error::Failed(_) => ExitCode::Failed,
        }
    }

    /// The stable word for this error in `--json` output.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Config(_) => "config",
            Error::Locked(_) => "locked",
            Error::Authentication(_) => "authentication",
            Error::Halt(_) => "halted",
            Error::TryLater(_) => "try_later",
            Error::Full(_) => "full",
            Error::Damaged(_) | Error::Failed(_) => "failed",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Config(error) => fmt::Display::fmt(error, f),
            Error::Locked(text)
            | Error::Authentication(text)
            | Error::Halt(text)
            | Error::TryLater(text)
            | Error::Full(text)
            | Error::Damaged(text)
            | Error::Failed(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Error {
        Error::Config(error)
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Error {
        use rusqlite::ErrorCode as Code;
        match error.sqlite_error_code() {
            Some(Code::DiskFull) => Error::Full(format!("cannot write the index: {error}")),
            // The system's doing, or another process's.
            Some(
                Code::SystemIoFailure
                | Code::CannotOpen
                | Code::PermissionDenied
                | Code::ReadOnly
                | Code::DatabaseBusy
                | Code::DatabaseLocked
                | Code::FileLockingProtocolFailed
                | Code::OutOfMemory
                | Code::OperationInterrupted
                | Code::OperationAborted
                | Code::NoLargeFileSupport,
            ) => Error::Failed(format!("index: {error}")),
            // Our statements never change: whatever else is wrong is wrong with the file.
            _ => Error::Damaged(format!("index: {error}")),
        }
    }
}

/// Turns an I/O error on our own state into the error that ends the pass.
pub fn state_error(what: &str, error: &io::Error) -> Error {
    let text = format!("cannot {what}: {error}");
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full(text),
        _ => Error::Failed(text),
    }
}
