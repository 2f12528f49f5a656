//! Which permissions are granted, as far as answers prove it: calls about what nobody has are
//! refused in one way where they may be asked, and in another where they may not.

use std::io::{self, Read};

use serde::Serialize;

use crate::core::remote::Rev;
use crate::dropbox::api::{Api, Call, Upload};
use crate::dropbox::auth::SCOPES;
use crate::dropbox::retry::CallError;
use crate::dropbox::wire::SessionCursor;
use crate::error::Error;

/// A revision and a session that nobody has.
const NO_REV: &str = "000000000000000000000000";
const NO_SESSION: &str = "none";

/// The permissions that are needed, by what is known of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Scopes {
    /// They are granted.
    pub granted: Vec<&'static str>,
    /// They are not.
    pub missing: Vec<&'static str>,
    /// Dropbox did not say.
    pub unknown: Vec<&'static str>,
}

impl Scopes {
    /// Asks for each, once the account has been shown: three calls at most, that of writing where
    /// something `writes`.
    pub fn of(api: &Api<'_>, writes: bool) -> Scopes {
        let mut scopes = Scopes::default();
        for scope in SCOPES {
            if scope == "files.content.write" && !writes {
                continue;
            }
            let of = match is_granted(api, scope) {
                Some(true) => &mut scopes.granted,
                Some(false) => &mut scopes.missing,
                None => &mut scopes.unknown,
            };
            of.push(scope);
        }
        scopes
    }

    /// For people, on one line.
    pub fn text(&self) -> String {
        let parts = [
            ("granted", &self.granted),
            ("missing", &self.missing),
            ("not known", &self.unknown),
        ];
        let parts = parts.iter().filter(|(_, scopes)| !scopes.is_empty());
        let parts = parts.map(|(what, scopes)| format!("{what}: {}", scopes.join(", ")));
        parts.collect::<Vec<_>>().join("; ")
    }
}

fn is_granted(api: &Api<'_>, scope: &str) -> Option<bool> {
    match scope {
        // The account was shown.
        "account_info.read" => Some(true),
        "files.metadata.read" => proved(&api.may_list(), "path"),
        "files.content.read" => {
            let asked = api.download(&Rev::from(NO_REV), 0);
            proved(&asked.map(drop), "path")
        }
        _ => {
            let cursor = SessionCursor {
                session_id: NO_SESSION,
                offset: 0,
            };
            proved(&api.session_append(&cursor, &mut NoBytes), "not_found")
        }
    }
}

/// What an answer proves: that of a route which may not be asked is another one than that there is
/// nothing of this name.
fn proved(answer: &Call<()>, nothing_there: &str) -> Option<bool> {
    match answer {
        Ok(()) => Some(true),
        Err(CallError::Refused(error)) if error.is(nothing_there) => Some(true),
        Err(CallError::End(Error::Authentication(_))) => Some(false),
        Err(_) => None,
    }
}

/// Nothing to send.
struct NoBytes;

impl Upload for NoBytes {
    fn len(&self) -> u64 {
        0
    }

    fn rewind(&mut self) -> io::Result<&mut dyn Read> {
        Ok(self)
    }

    fn failure(&mut self) -> Option<io::Error> {
        None
    }
}

impl Read for NoBytes {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }
}
