//! The name a local file gets when Dropbox takes its own.
//!
//! `name (conflicted copy HOST YYYY-MM-DD).ext`, the date being the losing file's own modification
//! time in UTC: nothing in it depends on when or how often the conflict is found, so that repeating
//! a pass cannot breed copies.

use crate::core::content_hash::ContentHash;
use crate::core::path::NAME_BYTES_MAX;

const MARK: &str = " (conflicted copy ";

/// The name of the conflict copy of `name`. With a `hash` its first 8 digits are added, for when
/// the plain name is taken by another content.
pub fn conflict_name(name: &str, host: &str, date: &str, hash: Option<ContentHash>) -> String {
    let (stem, extension) = match name.rfind('.') {
        Some(dot) if dot > 0 => name.split_at(dot),
        _ => (name, ""),
    };
    let stem = original_stem(stem);
    let host: String = host
        .chars()
        .map(|c| {
            if c.is_control() || "/\\<>:\"|?*()".contains(c) {
                '-'
            } else {
                c
            }
        })
        .take(40)
        .collect();
    let digits = hash
        .map(|h| format!(" {}", &h.to_string()[..8]))
        .unwrap_or_default();
    let suffix = format!("{MARK}{host} {date}{digits})");
    let extension = cut(extension, 60);
    let room = NAME_BYTES_MAX.saturating_sub(suffix.len() + extension.len());
    format!("{}{suffix}{extension}", cut(stem, room).trim_end())
}

/// The stem without a suffix from an earlier conflict: a copy never gets a second one.
fn original_stem(stem: &str) -> &str {
    match stem.rfind(MARK) {
        Some(at) if at > 0 && stem.ends_with(')') => &stem[..at],
        _ => stem,
    }
}

/// The longest prefix of `text` within `bytes` that ends at a character.
fn cut(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_of(name: &str) -> String {
        conflict_name(name, "pi", "2026-01-02", None)
    }

    #[test]
    fn the_suffix_stands_before_the_extension() {
        assert_eq!(
            name_of("rules.items"),
            "rules (conflicted copy pi 2026-01-02).items"
        );
        assert_eq!(name_of("README"), "README (conflicted copy pi 2026-01-02)");
        assert_eq!(
            name_of(".profile"),
            ".profile (conflicted copy pi 2026-01-02)"
        );
        let hash = ContentHash::of(b"a");
        assert_eq!(
            conflict_name("a.b", "pi", "2026-01-02", Some(hash)),
            "a (conflicted copy pi 2026-01-02 bf5d3aff).b"
        );
    }

    #[test]
    fn a_copy_that_conflicts_again_gets_no_second_suffix() {
        let once = name_of("a.txt");
        assert_eq!(conflict_name(&once, "pi", "2026-01-02", None), once);
        let later = conflict_name(&once, "shed", "2026-03-04", None);
        assert_eq!(later, "a (conflicted copy shed 2026-03-04).txt");
    }

    #[test]
    fn only_a_whole_suffix_behind_a_name_is_one() {
        let suffix = "(conflicted copy pi 2026-01-02)";
        for stem in [
            "a (conflicted copy of mine",
            "a (conflicted copy b) c",
            " (conflicted copy b)",
        ] {
            assert_eq!(name_of(stem), format!("{stem} {suffix}"));
        }
    }

    #[test]
    fn a_copy_of_the_longest_name_still_fits() {
        for name in [
            "x".repeat(255),
            format!("{}.txt", "é".repeat(125)),
            format!("a.{}", "ü".repeat(126)),
        ] {
            let copy = name_of(&name);
            assert!(
                copy.len() <= 255 && copy.contains("(conflicted copy pi"),
                "{copy}"
            );
        }
    }

    #[test]
    fn a_host_cannot_break_the_name() {
        let copy = conflict_name("a", "../x/y\n", "2026-01-02", None);
        assert!(!copy.contains('/') && !copy.contains('\n'), "{copy}");
    }
}
