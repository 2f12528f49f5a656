//! Names and paths: case folding, NFC, and what Dropbox refuses to store.
//!
//! A *key* is the folded path (`path_lower`); the tree is indexed by keys only. Paths that are
//! written are brought to NFC first; paths that are looked up are not, so that a decomposed
//! name finds nothing, as on the real service.

use unicode_normalization::UnicodeNormalization;

use crate::errors::WriteError;

/// The longest component of a path, in characters.
const COMPONENT_MAX: usize = 255;

/// Names that are never stored, compared after folding.
const DISALLOWED: [&str; 7] = [
    "desktop.ini",
    "thumbs.db",
    ".ds_store",
    "icon\r",
    ".dropbox",
    ".dropbox.attr",
    ".dropbox.cache",
];

/// Lower case, one character for one character (the old simple mapping).
pub(crate) fn folded(path: &str) -> String {
    path.chars().map(lower).collect()
}

fn lower(character: char) -> char {
    // U+0130 is the one character whose full lower case has two characters.
    if character == '\u{130}' {
        return 'i';
    }
    character.to_lowercase().next().unwrap_or(character)
}

/// The composed form in which the server stores a name.
pub(crate) fn composed(path: &str) -> String {
    path.nfc().collect()
}

/// Whether a path has the form `/a/b`, with components that may exist at all.
pub(crate) fn is_well_formed(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|rest| {
        rest.split('/').all(|component| {
            !component.is_empty()
                && component != "."
                && component != ".."
                && component.chars().count() <= COMPONENT_MAX
        })
    })
}

/// Checks a path that is about to be written.
pub(crate) fn check(path: &str) -> Result<(), WriteError> {
    if !is_well_formed(path) {
        return Err(WriteError::MalformedPath);
    }
    if path.split('/').skip(1).any(is_disallowed) {
        return Err(WriteError::DisallowedName);
    }
    Ok(())
}

fn is_disallowed(component: &str) -> bool {
    let name = folded(component);
    DISALLOWED.contains(&name.as_str())
        || name.starts_with("~$")
        || name.starts_with(".~")
        || (name.starts_with('~') && name.ends_with(".tmp"))
        || name.ends_with(' ')
        || name.contains(['\\', '\u{7f}', '\0'])
}

/// The last component of a path.
pub(crate) fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The path of the folder that holds this one; the root is `""`.
pub(crate) fn parent_of(path: &str) -> &str {
    path.rfind('/').map_or("", |slash| &path[..slash])
}

/// Every proper ancestor except the root, outermost first.
pub(crate) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/')
        .skip(1)
        .map(|(slash, _)| &path[..slash])
}

/// Whether `key` is `root` or lies below it; everything lies below `""`.
pub(crate) fn is_within(key: &str, root: &str) -> bool {
    key.strip_prefix(root)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `/a/b.txt` with ` (2)` or the like put before the extension.
pub(crate) fn with_suffix(path: &str, suffix: &str) -> String {
    let name = name_of(path);
    let parent = parent_of(path);
    match name.rfind('.').filter(|&dot| dot > 0) {
        Some(dot) => format!("{parent}/{} ({suffix}){}", &name[..dot], &name[dot..]),
        None => format!("{parent}/{name} ({suffix})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_is_per_character() {
        assert_eq!(folded("/ÄB/Σς İ ẞ"), "/äb/σς i ß");
    }

    #[test]
    fn suffixes_go_before_the_extension() {
        assert_eq!(with_suffix("/a/document.txt", "2"), "/a/document (2).txt");
        assert_eq!(with_suffix("/.profile", "2"), "/.profile (2)");
    }

    #[test]
    fn ancestors_are_outermost_first() {
        let all: Vec<_> = ancestors("/a/b/c").collect();
        assert_eq!(all, ["/a", "/a/b"]);
    }

    #[test]
    fn subtrees_end_at_component_borders() {
        assert!(is_within("/a/b", "/a") && is_within("/a", "/a") && is_within("/a", ""));
        assert!(!is_within("/ab", "/a"));
    }
}
