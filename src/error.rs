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
    /// Halted: a person must decide, and what it is about is not deleted before.
    Halted = 5,
    /// Another run holds the lock.
    Locked = 6,
    /// Offline, rate limited or out of time: try later.
    TryLater = 7,
    /// The Dropbox quota or the local disk is full.
    Full = 8,
    /// Bad configuration (`EX_CONFIG`).
    Config = 78,
    /// Somebody stopped it at the terminal: what a shell makes of SIGINT.
    Stopped = 130,
}

/// Why a command could not be carried out.
#[derive(Debug)]
pub enum Error {
    /// The configuration cannot be used.
    Config(ConfigError),
    /// What was typed makes no sense, as the pass has shown.
    Usage(String),
    /// Another run holds the lock.
    Locked(String),
    /// Somebody must authenticate; the text says why and how.
    Authentication(String),
    /// A person must decide; the text says what about and how.
    Halt(String),
    /// Dropbox cannot be reached or asks to wait.
    TryLater(String),
    /// Somebody stopped it at the terminal; the text says what is kept.
    Stopped(String),
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
            Error::Usage(_) => ExitCode::Usage,
            Error::Locked(_) => ExitCode::Locked,
            Error::Authentication(_) => ExitCode::Authentication,
            Error::Halt(_) => ExitCode::Halted,
            Error::TryLater(_) => ExitCode::TryLater,
            Error::Stopped(_) => ExitCode::Stopped,
            Error::Full(_) => ExitCode::Full,
            Error::Damaged(_) | Error::Failed(_) => ExitCode::Failed,
        }
    }

    /// The stable word for this error in `--json` output.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Config(_) => "config",
            Error::Usage(_) => "usage",
            Error::Locked(_) => "locked",
            Error::Authentication(_) => "authentication",
            Error::Halt(_) => "halted",
            Error::TryLater(_) => "try_later",
            Error::Stopped(_) => "stopped",
            Error::Full(_) => "full",
            Error::Damaged(_) | Error::Failed(_) => "failed",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Config(error) => fmt::Display::fmt(error, f),
            Error::Usage(text)
            | Error::Locked(text)
            | Error::Authentication(text)
            | Error::Halt(text)
            | Error::TryLater(text)
            | Error::Stopped(text)
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
        let text = match error.sqlite_error() {
            // The texts are few; what the system said is in the extended code.
            Some(sqlite) => format!("index: {error} (SQLite code {})", sqlite.extended_code),
            None => format!("index: {error}"),
        };
        match error.sqlite_error_code() {
            Some(Code::DiskFull) => Error::Full(format!("cannot write the {text}")),
            // The system's doing, or another process's: it may be otherwise the next time.
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
                | Code::AuthorizationForStatementDenied
                | Code::NoLargeFileSupport,
            ) => Error::Failed(text),
            // Our statements never change: whatever else is wrong is wrong with the file.
            _ => Error::Damaged(text),
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

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    /// What a result code of SQLite's comes to.
    fn told(code: i32) -> Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into()
    }

    #[test]
    fn what_may_pass_does_not_drop_the_index() {
        for code in [
            ffi::SQLITE_BUSY,
            ffi::SQLITE_BUSY_RECOVERY,
            ffi::SQLITE_BUSY_SNAPSHOT,
            ffi::SQLITE_LOCKED,
            ffi::SQLITE_LOCKED_SHAREDCACHE,
            ffi::SQLITE_NOMEM,
            ffi::SQLITE_IOERR_NOMEM,
            ffi::SQLITE_IOERR,
            ffi::SQLITE_IOERR_READ,
            ffi::SQLITE_IOERR_SHORT_READ,
            ffi::SQLITE_IOERR_FSYNC,
            ffi::SQLITE_IOERR_CORRUPTFS,
            ffi::SQLITE_READONLY,
            ffi::SQLITE_READONLY_ROLLBACK,
            ffi::SQLITE_CANTOPEN,
            ffi::SQLITE_CANTOPEN_FULLPATH,
            ffi::SQLITE_PERM,
            ffi::SQLITE_AUTH,
            ffi::SQLITE_INTERRUPT,
            ffi::SQLITE_ABORT,
            ffi::SQLITE_ABORT_ROLLBACK,
            ffi::SQLITE_PROTOCOL,
            ffi::SQLITE_NOLFS,
        ] {
            assert!(matches!(told(code), Error::Failed(_)), "{code}");
        }
        assert!(matches!(told(ffi::SQLITE_FULL), Error::Full(_)));
    }

    #[test]
    fn what_is_wrong_with_the_file_drops_the_index() {
        for code in [
            ffi::SQLITE_CORRUPT,
            ffi::SQLITE_CORRUPT_INDEX,
            ffi::SQLITE_NOTADB,
            ffi::SQLITE_CONSTRAINT_PRIMARYKEY,
            ffi::SQLITE_MISMATCH,
            // A table or a column is missing.
            ffi::SQLITE_ERROR,
        ] {
            assert!(matches!(told(code), Error::Damaged(_)), "{code}");
        }
    }

    #[test]
    fn the_extended_code_is_said() {
        for code in [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_CORRUPT_INDEX] {
            let text = told(code).to_string();
            assert!(text.contains(&format!("SQLite code {code}")), "{text}");
        }
    }
}
