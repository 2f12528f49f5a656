//! Paths and names: the relative path inside the content dir, and the key both sides are matched
//! by.
//!
//! A [`RelPath`] can only be built from checked components, so it never leaves the directory it is
//! resolved beneath. A [`Key`] is the case-folded NFC form of such a path: two names that Dropbox
//! would call the same have the same key.

use std::fmt;

use dbxcase::dbx_lowercase;
use unicode_normalization::UnicodeNormalization;

/// Why a name cannot be one component of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadName {
    /// The empty name.
    Empty,
    /// `.` or `..`.
    Dots,
    /// It holds a slash or a NUL byte.
    ForbiddenByte,
    /// It is longer than the 255 bytes Linux filesystems allow.
    TooLong,
    /// The whole path is longer than the 4,095 bytes Linux takes in one call.
    PathTooLong,
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadName::Empty => "the name is empty",
            BadName::Dots => "the name is . or ..",
            BadName::ForbiddenByte => "the name holds a slash or a NUL byte",
            BadName::TooLong => "the name is longer than 255 bytes",
            BadName::PathTooLong => "the path is longer than the 4095 bytes Linux takes",
        })
    }
}

impl std::error::Error for BadName {}

/// Longest name of one component in bytes (`NAME_MAX` on Linux).
pub const NAME_BYTES_MAX: usize = 255;

/// Longest path in bytes (`PATH_MAX` on Linux, less the byte that ends it).
const PATH_BYTES_MAX: usize = 4095;

/// Checks that `name` can be one component of a local path.
///
/// # Errors
/// The [`BadName`] that says why not.
pub fn check_name(name: &str) -> Result<(), BadName> {
    match name {
        "" => Err(BadName::Empty),
        "." | ".." => Err(BadName::Dots),
        _ if name.contains(['/', '\0']) => Err(BadName::ForbiddenByte),
        _ if name.len() > NAME_BYTES_MAX => Err(BadName::TooLong),
        _ => Ok(()),
    }
}

/// A checked path relative to the content dir or the remote root; the empty path is that root.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(String);

impl RelPath {
    /// The root itself.
    pub fn root() -> RelPath {
        RelPath::default()
    }

    /// Checks every component of `text`, which has no leading slash.
    ///
    /// # Errors
    /// The [`BadName`] of the first component that cannot be a name.
    pub fn parse(text: &str) -> Result<RelPath, BadName> {
        if !text.is_empty() {
            text.split('/').try_for_each(check_name)?;
        }
        RelPath::of(text.to_owned())
    }

    /// The path of `name` inside this directory.
    ///
    /// # Errors
    /// The [`BadName`] that says why `name` cannot be a name.
    pub fn join(&self, name: &str) -> Result<RelPath, BadName> {
        check_name(name)?;
        RelPath::of(join(&self.0, name))
    }

    fn of(checked: String) -> Result<RelPath, BadName> {
        match checked.len() <= PATH_BYTES_MAX {
            true => Ok(RelPath(checked)),
            false => Err(BadName::PathTooLong),
        }
    }

    /// The path as text, without a leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The directory this path lies in; the root's is the root.
    pub fn parent(&self) -> RelPath {
        RelPath(split(&self.0).0.to_owned())
    }

    /// The last component; empty for the root.
    pub fn name(&self) -> &str {
        split(&self.0).1
    }

    /// The components from the root down.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|c| !c.is_empty())
    }

    /// The form filters are matched against and people read: `/relative/path`.
    pub fn slashed(&self) -> String {
        format!("/{}", self.0)
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "." } else { &self.0 })
    }
}

/// The path people read and filters are matched against: `/relative/path` in real case, as Dropbox
/// spells it where it is known there, else as it is locally; empty for the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DisplayPath(String);

impl DisplayPath {
    /// What `path`, which has no leading slash, is below the root.
    pub fn of(path: &str) -> DisplayPath {
        match path {
            "" => DisplayPath::default(),
            path => DisplayPath(format!("/{path}")),
        }
    }

    /// The path of `name` in this directory.
    #[must_use]
    pub fn join(&self, name: &str) -> DisplayPath {
        DisplayPath(format!("{}/{name}", self.0))
    }

    /// The path as text, with a leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for DisplayPath {
    fn from(path: String) -> DisplayPath {
        DisplayPath(path)
    }
}

impl fmt::Display for DisplayPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::ops::Deref for DisplayPath {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// What both sides are matched by: the relative path as [`fold`] has it, made of Dropbox's own
/// `path_lower` where that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Key of the directory; empty for entries of the root.
    pub dir: String,
    /// Folded last component.
    pub name: String,
}

impl Key {
    /// The key of a relative path in any spelling.
    pub fn of(path: &str) -> Key {
        let folded = fold(path);
        let (dir, name) = split(&folded);
        Key {
            dir: dir.to_owned(),
            name: name.to_owned(),
        }
    }

    /// The key of an entry called `name` in the directory with the key `dir`.
    pub fn in_dir(dir: &str, name: &str) -> Key {
        Key {
            dir: dir.to_owned(),
            name: fold(name),
        }
    }

    /// The whole key as text, without a leading slash.
    pub fn path(&self) -> String {
        join(&self.dir, &self.name)
    }

    /// Key of the directory this entry lies in, unless that is the root.
    pub fn parent(&self) -> Option<Key> {
        let (dir, name) = split(&self.dir);
        (!name.is_empty()).then(|| Key {
            dir: dir.to_owned(),
            name: name.to_owned(),
        })
    }

    /// How many directories lie above this entry.
    pub fn depth(&self) -> usize {
        if self.dir.is_empty() {
            0
        } else {
            self.dir.matches('/').count() + 1
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path())
    }
}

/// Joins a directory and a name; the empty directory is the root.
pub fn join(dir: &str, name: &str) -> String {
    if dir.is_empty() {
        name.to_owned()
    } else {
        format!("{dir}/{name}")
    }
}

/// What of a path lies below a directory: empty for the directory itself, nothing for what lies
/// elsewhere. Everything lies below the root, the empty directory.
pub fn below<'a>(path: &'a str, dir: &str) -> Option<&'a str> {
    match path.strip_prefix(dir)? {
        rest if dir.is_empty() || rest.is_empty() => Some(rest),
        rest => rest.strip_prefix('/'),
    }
}

/// Splits a path into its directory and its last component.
pub fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// Unicode normal form C, the form Dropbox stores and looks names up in.
pub fn nfc(name: &str) -> String {
    if name.is_ascii() {
        name.to_owned()
    } else {
        name.nfc().collect()
    }
}

/// NFC, then lower case one character at a time, as Dropbox folds `path_lower`, by Unicode 4.1;
/// composed once more, because some letters with an accent, such as J with a caron, are one
/// character in lower case only. A `path_lower` stays as it is but for its normal form.
pub fn fold(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    name.nfc().map(dbx_lowercase).nfc().collect()
}

/// Whether another lower case than Dropbox's may have made this key: that of a newer Unicode, by
/// which the index was keyed before format 5.
pub fn is_folded_otherwise(key: &str) -> bool {
    let is_otherwise = |c: char| {
        let mut upper = c.to_uppercase();
        upper.len() == 1
            && upper
                .next()
                .is_some_and(|u| u != c && dbx_lowercase(u) != c)
    };
    !key.is_ascii() && key.chars().any(is_otherwise)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_leave_its_root() {
        for bad in ["..", "a/../b", "/a", "a//b", "a/", ".", "a\0b"] {
            assert!(RelPath::parse(bad).is_err(), "{bad:?}");
        }
        assert!(RelPath::root().join("..").is_err());
        assert!(RelPath::root().join("a/b").is_err());
        assert!(RelPath::parse(&"x".repeat(256)).is_err());
    }

    #[test]
    fn a_name_is_refused_for_what_is_wrong_with_it() {
        for (name, bad, text) in [
            ("", BadName::Empty, "empty"),
            (".", BadName::Dots, ". or .."),
            ("..", BadName::Dots, ". or .."),
            ("a/b", BadName::ForbiddenByte, "a slash"),
            ("a\0b", BadName::ForbiddenByte, "NUL"),
            (&"x".repeat(256), BadName::TooLong, "255 bytes"),
        ] {
            assert_eq!(check_name(name), Err(bad), "{name:?}");
            assert!(bad.to_string().contains(text), "{bad}");
        }
        for name in ["a", "...", ".a", "a.", "é\\", &"x".repeat(255)] {
            assert_eq!(check_name(name), Ok(()), "{name:?}");
        }
    }

    #[test]
    fn a_path_is_taken_apart_at_its_slashes() {
        let path = RelPath::parse("a/b/c").unwrap();
        assert_eq!(path.as_str(), "a/b/c");
        assert_eq!(path.slashed(), "/a/b/c");
        assert_eq!(path.to_string(), "a/b/c");
        assert_eq!((path.parent().as_str(), path.name()), ("a/b", "c"));
        assert!(path.components().eq(["a", "b", "c"]));
        assert_eq!(path.parent().join("c"), Ok(path.clone()));
        assert!(!path.is_root());
        let root = RelPath::parse("").unwrap();
        assert!(root.is_root() && root == RelPath::root() && root.parent() == root);
        assert_eq!((root.name(), root.components().count()), ("", 0));
        assert_eq!(
            (root.slashed().as_str(), root.to_string().as_str()),
            ("/", ".")
        );
        assert_eq!(root.join("a").unwrap().as_str(), "a");
    }

    #[test]
    fn names_differing_in_case_or_normal_form_share_a_key() {
        assert_eq!(Key::of("Items/Café.TXT"), Key::of("items/cafe\u{301}.txt"));
        assert_eq!(fold("ÀÉ"), "àé");
        assert_eq!(fold("\u{130}x"), "ix");
        assert_eq!(fold("J\u{30c}"), fold("\u{1f0}"));
        assert_eq!(fold("ΣΣΣ"), "σσσ");
        assert_ne!(
            fold("\u{a64a}"),
            fold("\u{a64b}"),
            "younger than Unicode 4.1"
        );
        assert_ne!(Key::of("a/b"), Key::of("a/c"));
        assert_eq!(Key::in_dir("items", "CAFE\u{301}"), Key::of("items/café"));
        assert_eq!(Key::in_dir("", "A"), Key::of("a"));
        assert_eq!((nfc("A"), nfc("E\u{301}")), ("A".into(), "É".into()));
    }

    #[test]
    fn keys_know_their_parents() {
        let key = Key::of("a/b/c");
        assert_eq!(
            (key.dir.as_str(), key.name.as_str(), key.depth()),
            ("a/b", "c", 2)
        );
        assert_eq!(key.parent().map(|k| k.path()).as_deref(), Some("a/b"));
        assert_eq!(key.to_string(), "a/b/c");
        assert_eq!(Key::of("c").parent(), None);
    }

    #[test]
    fn a_folder_holds_itself_and_what_is_below_it_and_no_longer_name() {
        assert_eq!(below("a/b/c", "a/b"), Some("c"));
        assert_eq!(below("a/b", "a/b"), Some(""));
        assert_eq!(below("a/bc", "a/b"), None);
        assert_eq!(below("a", "a/b"), None);
        assert_eq!((below("a/b", ""), below("", "")), (Some("a/b"), Some("")));
    }
}
