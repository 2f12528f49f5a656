//! The ways a call fails, and their shapes on the wire.

use serde_json::{Value, json};

/// A void member of a union.
pub(crate) fn tag(name: &str) -> Value {
    json!({ ".tag": name })
}

/// A member of a union that holds another union.
pub(crate) fn nested(name: &str, inner: Value) -> Value {
    json!({ ".tag": name, name: inner })
}

/// Why a call is not answered with 200.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The argument is wrong: 400 and a text that starts with where it was found.
    Argument(String),
    /// The call as a whole is wrong: 400 and a text.
    Call(String),
    /// What cannot even be called, with this status and exactly this text.
    Text(u16, String),
    /// An `AuthError`: 401 and JSON.
    Auth(Value),
    /// A `PathRootError`: 422 and JSON.
    PathRoot(Value),
    /// The error union of the route: 409 and JSON.
    Route(Value),
}

impl Failure {
    pub(crate) fn path(error: impl Into<Value>) -> Self {
        Self::Route(nested("path", error.into()))
    }
}

/// What is said about a path that is looked up (`files.LookupError`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LookupError {
    MalformedPath,
    NotFound,
    NotFile,
    NotFolder,
    RestrictedContent,
}

impl From<LookupError> for Value {
    fn from(error: LookupError) -> Self {
        tag(match error {
            LookupError::MalformedPath => "malformed_path",
            LookupError::NotFound => "not_found",
            LookupError::NotFile => "not_file",
            LookupError::NotFolder => "not_folder",
            LookupError::RestrictedContent => "restricted_content",
        })
    }
}

/// What is in the way of a write (`files.WriteConflictError`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conflict {
    File,
    Folder,
    FileAncestor,
}

/// Why a path cannot be written (`files.WriteError`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteError {
    MalformedPath,
    Conflict(Conflict),
    NoWritePermission,
    InsufficientSpace,
    DisallowedName,
}

impl From<WriteError> for Value {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::MalformedPath => tag("malformed_path"),
            WriteError::NoWritePermission => tag("no_write_permission"),
            WriteError::InsufficientSpace => tag("insufficient_space"),
            WriteError::DisallowedName => tag("disallowed_name"),
            WriteError::Conflict(conflict) => nested(
                "conflict",
                tag(match conflict {
                    Conflict::File => "file",
                    Conflict::Folder => "folder",
                    Conflict::FileAncestor => "file_ancestor",
                }),
            ),
        }
    }
}

/// The `error_summary` of an error union: its tags from the outside in, and some dots.
pub(crate) fn summary(error: &Value, dots: usize) -> String {
    let mut tags = Vec::new();
    let mut union = Some(error);
    while let Some(found) = union {
        let Some(name) = found.get(".tag").and_then(Value::as_str) else {
            break;
        };
        tags.push(name);
        union = found.get(name).or_else(|| found.get("reason"));
    }
    format!("{}/{}", tags.join("/"), ".".repeat(dots))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_name_the_tags_from_the_outside_in() {
        let error = Value::from(WriteError::Conflict(Conflict::File));
        assert_eq!(
            summary(&nested("path", error.clone()), 2),
            "path/conflict/file/.."
        );
        let upload = json!({".tag": "path", "reason": error, "upload_session_id": "x"});
        assert_eq!(summary(&upload, 3), "path/conflict/file/...");
    }
}
