//! What travels: arguments and results of the routes, and errors as unions of tags.
//!
//! Source: files.stone, users.stone and auth.stone of the official API specification. Unknown
//! fields and unknown tags are tolerated, as the specification asks of clients.

use serde::de::{DeserializeOwned, Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::core::content_hash::ContentHash;
use crate::core::remote::{Namespaces, RemotePath, Rev};

/// `FileMetadata`, the parts that are used.
#[derive(Clone, Debug, Deserialize)]
pub struct FileMetadata {
    /// Last component, real case.
    pub name: String,
    /// Folded path; null for what is not mounted.
    pub path_lower: Option<String>,
    /// Path for people; only the case of the last component can be relied on.
    pub path_display: Option<String>,
    /// Time a client gave the content, `%Y-%m-%dT%H:%M:%SZ`; for display only.
    pub client_modified: String,
    /// Revision: the version every replacing or deleting call names.
    pub rev: Rev,
    /// Length in bytes.
    pub size: u64,
    /// Hash of the content; not always stated.
    pub content_hash: Option<String>,
    /// False for documents that exist only on the web.
    #[serde(default = "yes")]
    pub is_downloadable: bool,
    /// Present on links made by a desktop client.
    pub symlink_info: Option<Value>,
    /// Names the file whatever its path and version.
    pub id: Option<Box<str>>,
    /// When Dropbox took this version.
    pub server_modified: Option<Box<str>>,
    /// Present in shared folders.
    pub sharing_info: Option<Box<SharingInfo>>,
}

/// `FileSharingInfo`, the part that is used.
#[derive(Clone, Debug, Deserialize)]
pub struct SharingInfo {
    /// The account that made this version, if it is not gone.
    pub modified_by: Option<Box<str>>,
}

fn yes() -> bool {
    true
}

impl FileMetadata {
    /// The content hash, if one is stated and well formed.
    pub fn hash(&self) -> Option<ContentHash> {
        self.content_hash.as_deref().and_then(ContentHash::parse)
    }
}

/// `FolderMetadata`, the parts that are used.
#[derive(Clone, Debug, Deserialize)]
pub struct FolderMetadata {
    /// Last component, real case.
    pub name: String,
    /// Folded path; null for what is not mounted.
    pub path_lower: Option<String>,
    /// Path for people.
    pub path_display: Option<String>,
    /// Names the folder whatever its path.
    pub id: Option<Box<str>>,
}

/// `DeletedMetadata`: it does not say what was deleted.
#[derive(Clone, Debug, Deserialize)]
pub struct DeletedMetadata {
    /// Last component, real case.
    pub name: String,
    /// Folded path; null for what is not mounted.
    pub path_lower: Option<String>,
    /// Path for people.
    pub path_display: Option<String>,
}

/// An entry of a kind that this version does not know. Something is there.
#[derive(Clone, Debug)]
pub struct OtherMetadata {
    /// What Dropbox calls it.
    pub tag: String,
    /// Last component, real case, if it has any.
    pub name: Option<String>,
    /// Folded path, if it has any.
    pub path_lower: Option<String>,
    /// Path for people.
    pub path_display: Option<String>,
}

/// One entry of a listing.
#[derive(Clone, Debug)]
pub enum Metadata {
    /// A file.
    File(FileMetadata),
    /// A folder.
    Folder(FolderMetadata),
    /// Something that is gone.
    Deleted(DeletedMetadata),
    /// A kind this version does not know.
    Other(OtherMetadata),
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Metadata, D::Error> {
        let (tag, fields) = tagged(from)?;
        Ok(match tag.as_str() {
            "file" => Metadata::File(of_fields(fields)?),
            "folder" => Metadata::Folder(of_fields(fields)?),
            "deleted" => Metadata::Deleted(of_fields(fields)?),
            _ => Metadata::Other(OtherMetadata::of(tag, fields)),
        })
    }
}

impl OtherMetadata {
    fn of(tag: String, mut fields: Fields) -> OtherMetadata {
        let mut text = |field| match fields.remove(field) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        OtherMetadata {
            name: text("name"),
            path_lower: text("path_lower"),
            path_display: text("path_display"),
            tag,
        }
    }
}

/// What comes with a tag.
pub(super) type Fields = serde_json::Map<String, Value>;

/// A member of a union as it comes: its tag, which may come last, and its fields, of which nothing
/// is expected before the tag is known.
pub(super) fn tagged<'de, D: Deserializer<'de>>(from: D) -> Result<(String, Fields), D::Error> {
    let mut fields = Fields::deserialize(from)?;
    match fields.remove(".tag") {
        Some(Value::String(tag)) => Ok((tag, fields)),
        _ => Err(D::Error::missing_field(".tag")),
    }
}

/// A struct made of its fields.
pub(super) fn of_fields<T: DeserializeOwned, E: serde::de::Error>(fields: Fields) -> Result<T, E> {
    serde_json::from_value(Value::Object(fields)).map_err(E::custom)
}

/// `users/get_current_account`, the parts that are used.
#[derive(Clone, Debug, Deserialize)]
pub struct Account {
    /// `dbid:...`
    pub account_id: String,
    /// The person.
    pub name: AccountName,
    /// The address the account is known by.
    pub email: String,
    /// The namespaces of the account.
    pub root_info: Namespaces,
}

/// `Name`.
#[derive(Clone, Debug, Deserialize)]
pub struct AccountName {
    /// The name to show.
    pub display_name: String,
}

/// `SpaceUsage`, in bytes.
#[derive(Clone, Debug, Deserialize)]
pub struct SpaceUsage {
    /// What the account takes up.
    pub used: u64,
    /// Of how much.
    pub allocation: SpaceAllocation,
}

/// `SpaceAllocation`, in bytes.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = ".tag", rename_all = "snake_case")]
pub enum SpaceAllocation {
    /// An account of its own.
    Individual {
        /// Its space.
        allocated: u64,
    },
    /// A member of a team.
    Team {
        /// What the whole team takes up.
        used: u64,
        /// The space of the team.
        allocated: u64,
        /// What of it this member may take up; 0 for no limit of its own.
        #[serde(default)]
        user_within_team_space_allocated: u64,
    },
    /// Something newer: no limit is known.
    #[serde(other)]
    Other,
}

impl SpaceUsage {
    /// Bytes that are taken up of the space that counts, and how many that is: of a member's own
    /// limit where that is the tighter one. Nothing where no limit is known.
    pub fn of_limit(&self) -> Option<(u64, u64)> {
        match self.allocation {
            SpaceAllocation::Individual { allocated } => Some((self.used, allocated)),
            SpaceAllocation::Team {
                used,
                allocated,
                user_within_team_space_allocated: own,
            } => {
                let of_team = allocated.saturating_sub(used);
                let is_own = own > 0 && own.saturating_sub(self.used) <= of_team;
                Some(match is_own {
                    true => (self.used, own),
                    false => (used, allocated),
                })
            }
            SpaceAllocation::Other => None,
        }
    }

    /// Bytes that are free.
    pub fn free(&self) -> u64 {
        match self.allocation {
            SpaceAllocation::Individual { allocated } => allocated.saturating_sub(self.used),
            SpaceAllocation::Team {
                used,
                allocated,
                user_within_team_space_allocated: own,
            } => {
                let of_team = allocated.saturating_sub(used);
                match own {
                    0 => of_team,
                    own => of_team.min(own.saturating_sub(self.used)),
                }
            }
            SpaceAllocation::Other => u64::MAX,
        }
    }
}

/// `WriteMode`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = ".tag", content = "update", rename_all = "lowercase")]
pub enum WriteMode {
    /// The path must be free or hold the same content.
    Add,
    /// The path must hold this rev, the same content, or nothing.
    Update(Rev),
}

/// `CommitInfo`; autorename and strict_conflict stay at their default of false, so that repeating
/// an upload whose answer was lost succeeds.
#[derive(Clone, Debug, Serialize)]
pub struct CommitInfo<'a> {
    /// Where the file goes.
    pub path: &'a RemotePath,
    /// What may be replaced.
    pub mode: WriteMode,
    /// The local modification time.
    pub client_modified: &'a str,
    /// No desktop notification for what a gateway does.
    pub mute: bool,
}

/// `UploadSessionCursor`.
#[derive(Clone, Debug, Serialize)]
pub struct SessionCursor<'a> {
    /// The session.
    pub session_id: &'a str,
    /// Bytes sent so far.
    pub offset: u64,
}

/// `CreateFolderResult` and `DeleteResult`, of which only matters that it is one: whatever else
/// comes with 200 has changed nothing.
#[derive(Clone, Debug, Deserialize)]
pub struct Changed {
    /// What was made or deleted.
    #[allow(dead_code, reason = "it has to be there")]
    metadata: IgnoredAny,
}

/// `UploadSessionStartResult`.
#[derive(Clone, Debug, Deserialize)]
pub struct SessionStarted {
    /// The session.
    pub session_id: String,
}

/// The answer of the OAuth token endpoint.
#[derive(Clone, Deserialize)]
pub struct TokenAnswer {
    /// Short-lived bearer token.
    pub access_token: String,
    /// Its life in seconds.
    pub expires_in: Option<i64>,
    /// Long-lived token; only in answer to a code.
    pub refresh_token: Option<String>,
    /// Granted scopes, space-separated.
    pub scope: Option<String>,
    /// The account.
    pub account_id: Option<String>,
}

/// The error of the OAuth token endpoint (RFC 6749, 5.2).
#[derive(Clone, Debug, Default, Deserialize)]
pub struct TokenError {
    /// `invalid_grant`, `invalid_client`, ...
    #[serde(default)]
    pub error: String,
    /// For people.
    #[serde(default)]
    pub error_description: String,
}

/// An error a route explains in its 401, 409 or 429 body.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ApiError {
    /// The union value.
    #[serde(default)]
    pub error: Value,
    /// A sentence Dropbox wrote for the user.
    #[serde(default, deserialize_with = "told_to_user")]
    pub user_message: Option<UserMessage>,
}

/// What is said to the user: a `LocalizedText`, or a text as it is; anything else says nothing, and
/// is no reason not to understand the error.
fn told_to_user<'de, D: Deserializer<'de>>(from: D) -> Result<Option<UserMessage>, D::Error> {
    let text = match Value::deserialize(from)? {
        Value::String(text) => text,
        Value::Object(mut fields) => match fields.remove("text") {
            Some(Value::String(text)) => text,
            _ => return Ok(None),
        },
        _ => return Ok(None),
    };
    let is_blank = text.trim().is_empty();
    Ok((!is_blank).then_some(UserMessage { text }))
}

/// `LocalizedText` of the error envelope.
#[derive(Clone, Debug)]
pub struct UserMessage {
    /// The text.
    pub text: String,
}

impl ApiError {
    /// The tags from the outside in, joined by slashes: `path/conflict/file`.
    pub fn tags(&self) -> String {
        let mut tags = Vec::new();
        let mut value = &self.error;
        loop {
            let tag = match value {
                Value::String(tag) => tag.as_str(),
                Value::Object(fields) => match fields.get(".tag").and_then(Value::as_str) {
                    Some(tag) => tag,
                    // `UploadWriteFailed` and `RateLimitError` wrap the union in a field.
                    None => match fields.get("reason") {
                        Some(inner) => {
                            value = inner;
                            continue;
                        }
                        None => break,
                    },
                },
                _ => break,
            };
            tags.push(tag.to_owned());
            let Value::Object(fields) = value else { break };
            match fields.get(tag).or_else(|| fields.get("reason")) {
                Some(inner) => value = inner,
                None => break,
            }
        }
        tags.join("/")
    }

    /// Whether the tags begin with `prefix`, tag by tag.
    pub fn is(&self, prefix: &str) -> bool {
        let tags = self.tags();
        tags == prefix
            || tags
                .strip_prefix(prefix)
                .is_some_and(|rest| rest.starts_with('/'))
    }

    /// Whether any of the tags is `tag`.
    pub fn has(&self, tag: &str) -> bool {
        self.tags().split('/').any(|t| t == tag)
    }

    /// Whether this version knows what it means, or has another way where it comes.
    pub fn is_known(&self) -> bool {
        let tags = self.tags();
        if tags == "http_400" {
            return self.is_about_a_path() || self.is_unknown_function();
        }
        let last = tags.rsplit('/').next().unwrap_or_default();
        meaning(last).is_some() || HANDLED.contains(&last)
    }

    /// Whether Dropbox takes a call for malformed because of the one path in it: such a refusal has
    /// a text and no tag.
    pub fn is_about_a_path(&self) -> bool {
        let text = self.user_message.as_ref().map(|message| &*message.text);
        let text = text.filter(|text| self.is("http_400") && text.starts_with(OWN_TEXT));
        let Some(text) = text.map(str::to_ascii_lowercase) else {
            return false;
        };
        let is_field = |part: &str| part == "path" || part.ends_with("path");
        let words = [
            "basic multilingual plane",
            "malformed path",
            "malformed_path",
        ];
        text.split(": ").any(is_field) || words.iter().any(|words| text.contains(words))
    }

    /// Whether what was called is no function of Dropbox's.
    pub fn is_unknown_function(&self) -> bool {
        let text = self.user_message.as_ref().map(|message| &*message.text);
        let is_said = |text: &str| text.to_ascii_lowercase().contains("unknown api function");
        self.is("http_404") || self.is("http_405") || text.is_some_and(is_said)
    }

    /// A number anywhere inside the union value, such as `correct_offset`.
    pub fn number(&self, field: &str) -> Option<u64> {
        fn find(value: &Value, field: &str) -> Option<u64> {
            let fields = value.as_object()?;
            let here = fields.get(field).and_then(Value::as_u64);
            here.or_else(|| fields.values().find_map(|inner| find(inner, field)))
        }
        find(&self.error, field)
    }

    /// For people: Dropbox's own sentence if there is one, else what the tags mean, with the tags
    /// behind it, for whoever looks them up.
    pub fn text(&self) -> String {
        if let Some(message) = &self.user_message {
            return one_line(&message.text);
        }
        let tags = self.tags();
        match tags.rsplit('/').find_map(meaning) {
            Some(meaning) => format!("{meaning} ({tags})"),
            None => format!("Dropbox says {tags:?}"),
        }
    }
}

/// How a text of Dropbox's begins.
pub(super) const OWN_TEXT: &str = "Error in call to API function";

/// Tags that no person meets, because there is an answer to each.
const HANDLED: [&str; 18] = [
    "reset",
    "incorrect_offset",
    "closed",
    "not_closed",
    "content_hash_mismatch",
    "too_large",
    "too_many_requests",
    "invalid_async_job_id",
    "internal_error",
    "duplicated_or_nested_paths",
    "cant_copy_shared_folder",
    "cant_nest_shared_folder",
    "cant_move_folder_into_itself",
    "expired_access_token",
    "invalid_access_token",
    "missing_scope",
    "http_413",
    "http_431",
];

/// What a tag means that a person may meet, from `files.WriteError`, `files.LookupError` and
/// `files.RelocationError` of Dropbox's specification.
fn meaning(tag: &str) -> Option<&'static str> {
    Some(match tag {
        "restricted_content" => "Dropbox has blocked this content, mostly over a copyright claim",
        "no_write_permission" => "this account may not write there",
        "insufficient_space" => "this account has no room left",
        "insufficient_quota" => "the team has no room left",
        "disallowed_name" => "Dropbox does not allow this name",
        "malformed_path" => "Dropbox does not take this path",
        "team_folder" => "team folders cannot be changed in this way",
        "too_many_files" => "these are too many files for one step",
        "too_many_write_operations" => "Dropbox has too many changes at a time to make",
        "operation_suppressed" => "Dropbox does not carry this out for this file",
        "not_found" => "it is not in Dropbox any more",
        "not_file" => "it is no file in Dropbox",
        "not_folder" => "it is no folder in Dropbox",
        "locked" => "somebody has locked it in Dropbox",
        "unsupported_content_type" | "unsupported_file" => "Dropbox cannot give it out as a file",
        "no_permission" => "this account may not do that",
        "conflict" | "file" | "folder" | "file_ancestor" => "something else is there in Dropbox",
        _ => return None,
    })
}

/// Shorter pieces of a secret are not told from words.
const SECRET_BYTES: usize = 12;

/// The first 300 characters of a text from outside, without control characters.
pub fn one_line(text: &str) -> String {
    let clean: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    clean.trim().chars().take(300).collect()
}

/// An answer without what was `sent` and could be a secret; JSON is read first, so that none hides
/// behind escapes.
pub fn answer_without_secrets(bytes: &[u8], sent: &str) -> Vec<u8> {
    let text = match serde_json::from_slice::<Value>(bytes) {
        Ok(value) => value.to_string(),
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    };
    without_secrets(&text, sent).into_bytes()
}

/// Takes out of a text from outside whatever was `sent` and could be a secret: Dropbox quotes a
/// malformed token in its answer.
pub fn without_secrets(text: &str, sent: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-._~%+/=".contains(c);
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_part) {
        let (before, from) = rest.split_at(start);
        let (word, after) = from.split_at(from.find(|c| !is_part(c)).unwrap_or(from.len()));
        clean.push_str(before);
        let bytes = word.as_bytes();
        let quotes = |piece: &[u8]| sent.as_bytes().windows(piece.len()).any(|s| s == piece);
        let is_secret = bytes.windows(SECRET_BYTES).any(quotes);
        clean.push_str(if is_secret { "***" } else { word });
        rest = after;
    }
    clean + rest
}

/// JSON for the `Dropbox-API-Arg` header: ASCII only (JSON encoding page of the reference).
///
/// Serialization of our own argument types cannot fail.
pub fn header_json(argument: &impl Serialize) -> String {
    let json = serde_json::to_string(argument).unwrap_or_default();
    let mut header = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() && c != '\x7f' {
            header.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                header.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tags(error: Value) -> String {
        ApiError {
            error,
            user_message: None,
        }
        .tags()
    }

    #[test]
    fn tags_are_read_from_every_shape_of_error() {
        assert_eq!(tags(json!({".tag": "reset"})), "reset");
        let lookup = json!({".tag": "path", "path": {".tag": "not_found"}});
        assert_eq!(tags(lookup), "path/not_found");
        let upload = json!({".tag": "path", "upload_session_id": "x",
            "reason": {".tag": "conflict", "conflict": {".tag": "file"}}});
        assert_eq!(tags(upload), "path/conflict/file");
        let rate = json!({"reason": {".tag": "too_many_requests"}, "retry_after": 3});
        assert_eq!(tags(rate), "too_many_requests");
        assert_eq!(
            tags(json!({".tag": "path", "path": "not_found"})),
            "path/not_found"
        );
        assert_eq!(tags(Value::Null), "");
    }

    /// B19: words, and the tags for who looks them up.
    #[test]
    fn b19_what_dropbox_says_in_tags_is_put_into_words() {
        let said = |error: Value| {
            let user_message = None;
            ApiError {
                error,
                user_message,
            }
            .text()
        };
        let refused = json!({ ".tag": "path", "reason": { ".tag": "disallowed_name" } });
        assert_eq!(
            said(refused),
            "Dropbox does not allow this name (path/disallowed_name)"
        );
        let within = json!({ ".tag": "from_lookup", "from_lookup": { ".tag": "not_found" } });
        assert_eq!(
            said(within),
            "it is not in Dropbox any more (from_lookup/not_found)"
        );
        assert_eq!(
            said(json!({ ".tag": "new_one" })),
            "Dropbox says \"new_one\""
        );
    }

    #[test]
    fn a_prefix_matches_whole_tags_only() {
        let error = ApiError {
            error: json!({".tag": "path", "path": {".tag": "not_found"}}),
            user_message: None,
        };
        assert!(error.is("path") && error.is("path/not_found") && error.has("not_found"));
        assert!(!error.is("path/not") && !error.is("pat"));
    }

    #[test]
    fn an_offset_is_found_however_deep() {
        let error = json!({".tag": "lookup_failed",
            "lookup_failed": {".tag": "incorrect_offset", "correct_offset": 42}});
        assert_eq!(
            ApiError {
                error,
                user_message: None
            }
            .number("correct_offset"),
            Some(42)
        );
    }

    #[test]
    fn what_was_sent_does_not_come_back_in_an_error() {
        let sent = "Bearer sl.u.AbCdEfGhIjKlMnOpQrStUv";
        let text = "Invalid \"Bearer sl.u.AbCdEfGhIjKlMnOpQrStUv\", or EfGhIjKlMnOp: malformed";
        assert_eq!(
            without_secrets(text, sent),
            "Invalid \"Bearer ***\", or ***: malformed"
        );
        assert_eq!(
            without_secrets("path/not_found: a b", sent),
            "path/not_found: a b"
        );
    }

    #[test]
    fn nor_does_it_behind_escapes() {
        let sent = "sl.u.AbCdEfGhIjKlMnOpQrStUv";
        let escaped: String = sent
            .chars()
            .map(|c| format!("\\u{:04x}", c as u32))
            .collect();
        let answer = format!(r#"{{"error":{{".tag":"{escaped}"}},"n":1}}"#);
        let clean = answer_without_secrets(answer.as_bytes(), sent);
        assert_eq!(clean, br#"{"error":{".tag":"***"},"n":1}"#);
        assert_eq!(answer_without_secrets(sent.as_bytes(), sent), b"***");
    }

    #[test]
    fn header_arguments_are_ascii() {
        let header = header_json(&json!({"path": "/é\u{7f}𝄞\"\n"}));
        assert_eq!(header, r#"{"path":"/\u00e9\u007f\ud834\udd1e\"\n"}"#);
    }

    #[test]
    fn write_modes_have_the_documented_shape() {
        let text = |mode: WriteMode| serde_json::to_value(mode).unwrap();
        assert_eq!(text(WriteMode::Add), json!({".tag": "add"}));
        let update = WriteMode::Update("a1c10ce0dd78".into());
        assert_eq!(
            text(update),
            json!({".tag": "update", "update": "a1c10ce0dd78"})
        );
    }
}
