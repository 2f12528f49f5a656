//! Reading JSON arguments as strictly as the server does.
//!
//! Unknown fields, missing fields, wrong types, broken patterns and numbers out of range are
//! answered with 400 and a text; a void member of a union may be a bare string.

use serde_json::{Map, Value};

use crate::clock::is_timestamp;
use crate::commit::{Commit, Mode, Naming};
use crate::errors::Failure;

/// The forms of path the spec distinguishes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathForm {
    /// `ReadPath`: a path, `id:`, `rev:` or `ns:`.
    Read,
    /// `PathROrId`: a path or the empty root, `id:` or `ns:`.
    RootOrId,
    /// `PathOrId`: a path, `id:` or `ns:`.
    PathOrId,
    /// `WritePath`: a path or `ns:`.
    Write,
    /// `WritePathOrId`: a path, `id:` or `ns:`.
    WriteOrId,
}

impl PathForm {
    fn pattern(self) -> &'static str {
        match self {
            Self::Read => r"(/(.|[\r\n])*|id:.*)|(rev:[0-9a-f]{9,})|(ns:[0-9]+(/(.|[\r\n])*)?)",
            Self::RootOrId => r"(/(.|[\r\n])*)?|id:.*|(ns:[0-9]+(/(.|[\r\n])*)?)",
            Self::PathOrId => r"/(.|[\r\n])*|id:.*|(ns:[0-9]+(/(.|[\r\n])*)?)",
            Self::Write => r"(/(.|[\r\n])*)|(ns:[0-9]+(/(.|[\r\n])*)?)",
            Self::WriteOrId => r"(/(.|[\r\n])*)|(ns:[0-9]+(/(.|[\r\n])*)?)|(id:.*)",
        }
    }

    fn fits(self, text: &str) -> bool {
        if let Some(rest) = text.strip_prefix("ns:") {
            let digits = rest.split('/').next().unwrap_or_default();
            return !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        }
        if let Some(rev) = text.strip_prefix("rev:") {
            return self == Self::Read && is_rev(rev);
        }
        match text.as_bytes().first() {
            None => self == Self::RootOrId,
            Some(b'/') => true,
            Some(_) => {
                // `.` does not match a line feed in the spec's patterns.
                text.starts_with("id:") && !text.contains('\n') && self != Self::Write
            }
        }
    }
}

fn is_rev(text: &str) -> bool {
    text.len() >= 9
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The fields of one struct.
pub(crate) struct Args<'a> {
    fields: &'a Map<String, Value>,
    place: String,
}

impl<'a> Args<'a> {
    /// A struct with no fields but these.
    pub(crate) fn of(value: &'a Value, known: &[&str]) -> Result<Self, Failure> {
        Self::at(value, known, String::new())
    }

    fn at(value: &'a Value, known: &[&str], place: String) -> Result<Self, Failure> {
        let Value::Object(fields) = value else {
            let found = kind(value);
            return Err(Failure::Argument(format!(
                "{place}expected object, got {found}"
            )));
        };
        let unknown = fields.keys().find(|name| !known.contains(&name.as_str()));
        if let Some(name) = unknown {
            return Err(Failure::Argument(format!("{place}unknown field '{name}'")));
        }
        Ok(Self { fields, place })
    }

    fn wrong<T>(&self, name: &str, what: &str) -> Result<T, Failure> {
        Err(Failure::Argument(format!("{}{name}: {what}", self.place)))
    }

    /// A nullable field: absent and `null` are the same.
    fn nullable(&self, name: &str) -> Option<&'a Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    fn required(&self, name: &str) -> Result<&'a Value, Failure> {
        self.fields.get(name).ok_or_else(|| {
            Failure::Argument(format!("{}missing required field '{name}'", self.place))
        })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.nullable(name).is_some()
    }

    pub(crate) fn text(&self, name: &str) -> Result<&'a str, Failure> {
        let value = self.required(name)?;
        match value.as_str() {
            Some(text) => Ok(text),
            None => self.wrong(name, &format!("expected string, got {}", kind(value))),
        }
    }

    pub(crate) fn optional_text(&self, name: &str) -> Result<Option<&'a str>, Failure> {
        match self.nullable(name) {
            Some(_) => self.text(name).map(Some),
            None => Ok(None),
        }
    }

    /// A string with at least one character.
    pub(crate) fn filled_text(&self, name: &str) -> Result<&'a str, Failure> {
        match self.text(name)? {
            "" => self.wrong(name, "must be at least 1 characters, got 0"),
            text => Ok(text),
        }
    }

    pub(crate) fn path(&self, name: &str, form: PathForm) -> Result<&'a str, Failure> {
        let text = self.text(name)?;
        if !form.fits(text) {
            let pattern = form.pattern();
            return self.wrong(name, &format!("'{text}' did not match pattern '{pattern}'"));
        }
        if text == "/" {
            return self.wrong(
                name,
                "Specify the root folder as an empty string rather than as \"/\".",
            );
        }
        Ok(text)
    }

    pub(crate) fn optional_rev(&self, name: &str) -> Result<Option<&'a str>, Failure> {
        let Some(rev) = self.optional_text(name)? else {
            return Ok(None);
        };
        if rev.len() < 9 {
            let length = rev.len();
            return self.wrong(
                name,
                &format!("must be at least 9 characters, got {length}"),
            );
        }
        if !is_rev(rev) {
            return self.wrong(name, &format!("'{rev}' did not match pattern '[0-9a-f]+'"));
        }
        Ok(Some(rev))
    }

    pub(crate) fn rev(&self, name: &str) -> Result<&'a str, Failure> {
        self.text(name)?;
        match self.optional_rev(name)? {
            Some(rev) => Ok(rev),
            None => self.wrong(name, "expected string, got null"),
        }
    }

    pub(crate) fn flag(&self, name: &str, default: bool) -> Result<bool, Failure> {
        match self.fields.get(name) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => self.wrong(name, &format!("expected boolean, got {}", kind(other))),
        }
    }

    pub(crate) fn number(&self, name: &str, min: u64, max: u64) -> Result<u64, Failure> {
        let value = self.required(name)?;
        let number = match (value.as_u64(), value.is_number()) {
            (Some(number), _) => number,
            (None, true) => return self.wrong(name, &format!("{value} is not an integer >= 0")),
            (None, false) => {
                return self.wrong(name, &format!("expected integer, got {}", kind(value)));
            }
        };
        if number < min {
            return self.wrong(
                name,
                &format!("{number} is not greater than or equal to {min}"),
            );
        }
        if number > max {
            return self.wrong(
                name,
                &format!("{number} is not less than or equal to {max}"),
            );
        }
        Ok(number)
    }

    pub(crate) fn optional_number(
        &self,
        name: &str,
        min: u64,
        max: u64,
    ) -> Result<Option<u64>, Failure> {
        match self.nullable(name) {
            Some(_) => self.number(name, min, max).map(Some),
            None => Ok(None),
        }
    }

    /// A number with a default, which may be left out but is not nullable.
    pub(crate) fn defaulted_number(
        &self,
        name: &str,
        default: u64,
        min: u64,
        max: u64,
    ) -> Result<u64, Failure> {
        match self.fields.get(name) {
            Some(_) => self.number(name, min, max),
            None => Ok(default),
        }
    }

    pub(crate) fn list(&self, name: &str, max: usize) -> Result<&'a [Value], Failure> {
        let value = self.required(name)?;
        let Value::Array(items) = value else {
            return self.wrong(name, &format!("expected list, got {}", kind(value)));
        };
        if items.len() > max {
            let count = items.len();
            return self.wrong(name, &format!("at most {max} items allowed, got {count}"));
        }
        Ok(items)
    }

    /// A nested struct with no fields but these.
    pub(crate) fn object(&self, name: &str, known: &[&str]) -> Result<Args<'a>, Failure> {
        let place = format!("{}{name}: ", self.place);
        Args::at(self.required(name)?, known, place)
    }

    /// The structs of a list.
    pub(crate) fn objects(
        &self,
        name: &str,
        max: usize,
        known: &[&str],
    ) -> Result<Vec<Args<'a>>, Failure> {
        let items = self.list(name, max)?.iter().enumerate();
        items
            .map(|(index, item)| Args::at(item, known, format!("{}{name}[{index}]: ", self.place)))
            .collect()
    }

    /// The tag of a union, as a bare string or an object; `None` if absent.
    fn union(&self, name: &str) -> Result<Option<(&'a str, &'a Value)>, Failure> {
        let Some(value) = self.fields.get(name) else {
            return Ok(None);
        };
        let found = match value {
            Value::String(tag) => Some(tag.as_str()),
            Value::Object(fields) => fields.get(".tag").and_then(Value::as_str),
            _ => None,
        };
        match found {
            Some(tag) => Ok(Some((tag, value))),
            None => self.wrong(name, "expected a string or an object with a '.tag'"),
        }
    }

    /// A union of void members; the chosen index among them.
    pub(crate) fn choice(&self, name: &str, members: &[&str]) -> Result<Option<usize>, Failure> {
        let Some((tag, _)) = self.union(name)? else {
            return Ok(None);
        };
        match members.iter().position(|member| *member == tag) {
            Some(index) => Ok(Some(index)),
            None => self.wrong(name, &format!("invalid union tag '{tag}'")),
        }
    }

    /// A `content_hash` field: 64 characters.
    pub(crate) fn content_hash(&self) -> Result<Option<&'a str>, Failure> {
        let Some(hash) = self.optional_text("content_hash")? else {
            return Ok(None);
        };
        match hash.chars().count() {
            64 => Ok(Some(hash)),
            other => self.wrong(
                "content_hash",
                &format!("must be 64 characters, got {other}"),
            ),
        }
    }

    /// The fields of `files.CommitInfo`.
    pub(crate) fn commit(&self) -> Result<Commit, Failure> {
        let path = self.path("path", PathForm::WriteOrId)?;
        let client_modified = self.optional_text("client_modified")?;
        if let Some(text) = client_modified.filter(|text| !is_timestamp(text)) {
            let what = format!("time data '{text}' does not match format '%Y-%m-%dT%H:%M:%SZ'");
            return self.wrong("client_modified", &what);
        }
        self.flag("mute", false)?;
        if self
            .nullable("property_groups")
            .is_some_and(|groups| !groups.is_array())
        {
            return self.wrong("property_groups", "expected list");
        }
        Ok(Commit {
            path: path.to_owned(),
            mode: self.write_mode()?,
            naming: if self.flag("autorename", false)? {
                Naming::Auto
            } else {
                Naming::Exact
            },
            client_modified: client_modified.map(str::to_owned),
            strict_conflict: self.flag("strict_conflict", false)?,
        })
    }

    fn write_mode(&self) -> Result<Mode, Failure> {
        match self.union("mode")? {
            None | Some(("add", _)) => Ok(Mode::Add),
            Some(("overwrite", _)) => Ok(Mode::Overwrite),
            Some(("update", value)) => {
                let place = format!("{}mode: ", self.place);
                let update = Args::at(value, &[".tag", "update"], place)?;
                Ok(Mode::Update(update.rev("update")?.to_owned()))
            }
            Some((tag, _)) => self.wrong("mode", &format!("invalid union tag '{tag}'")),
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}
