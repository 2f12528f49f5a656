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

/// Capitals that were given a small letter after Unicode 4.1, which the service folds by: first and
/// last of each run. Found by comparison with the list of that version.
const YOUNGER_CAPITALS: [(u32, u32); 44] = [
    (0x23a, 0x23a),
    (0x23e, 0x23e),
    (0x243, 0x24e),
    (0x370, 0x372),
    (0x376, 0x376),
    (0x37f, 0x37f),
    (0x3cf, 0x3cf),
    (0x3fd, 0x3ff),
    (0x4c0, 0x4c0),
    (0x4fa, 0x4fe),
    (0x510, 0x52e),
    (0x10c7, 0x10cd),
    (0x13a0, 0x13f5),
    (0x1c89, 0x1c89),
    (0x1c90, 0x1cba),
    (0x1cbd, 0x1cbf),
    (0x1e9e, 0x1e9e),
    (0x1efa, 0x1efe),
    (0x2132, 0x2132),
    (0x2183, 0x2183),
    (0x2c2f, 0x2c2f),
    (0x2c60, 0x2c64),
    (0x2c67, 0x2c72),
    (0x2c75, 0x2c75),
    (0x2c7e, 0x2c7f),
    (0x2ceb, 0x2ced),
    (0x2cf2, 0x2cf2),
    (0xa640, 0xa66c),
    (0xa680, 0xa69a),
    (0xa722, 0xa72e),
    (0xa732, 0xa76e),
    (0xa779, 0xa786),
    (0xa78b, 0xa78d),
    (0xa790, 0xa792),
    (0xa796, 0xa7dc),
    (0xa7f5, 0xa7f5),
    (0x104b0, 0x104d3),
    (0x10570, 0x10595),
    (0x10c80, 0x10cb2),
    (0x10d50, 0x10d65),
    (0x118a0, 0x118bf),
    (0x16e40, 0x16e5f),
    (0x16ea0, 0x16eb8),
    (0x1e900, 0x1e921),
];

/// Lower case by Unicode 4.1, one character for one character (the simple mapping).
pub(crate) fn folded(path: &str) -> String {
    path.chars().map(lower).collect()
}

fn lower(character: char) -> char {
    let code = u32::from(character);
    match character {
        // The one character whose full lower case has two characters.
        '\u{130}' => 'i',
        // Its own small letter came later.
        '\u{241}' => '\u{294}',
        _ if YOUNGER_CAPITALS
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&code)) =>
        {
            character
        }
        _ => character.to_lowercase().next().unwrap_or(character),
    }
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
        assert_eq!(folded("/ÄB/Σς İ Ɂ"), "/äb/σς i ʔ");
        assert_eq!(folded("/ẞꙊⱢ"), "/ẞꙊⱢ", "their small letters are younger");
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
