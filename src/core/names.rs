//! Names Dropbox does not take.
//!
//! Source: "Naming files and folders" of the Dropbox help center and the errors of `WriteError`
//! in files.stone; of the control characters, what others found out by trying (rclone's
//! `dropbox.go`). Knowing them here saves a refused request in every run; whatever else Dropbox
//! refuses, it says itself.

/// Whether this is the name of a file that systems and programs leave everywhere, and that Dropbox
/// never takes: nobody misses it there.
pub fn is_litter(name: &str) -> bool {
    const SYSTEM: [&str; 7] = [
        "desktop.ini",
        "thumbs.db",
        ".ds_store",
        "icon\r",
        ".dropbox",
        ".dropbox.attr",
        ".dropbox.cache",
    ];
    let lower = name.to_ascii_lowercase();
    let is_temporary = name.starts_with("~$")
        || name.starts_with(".~")
        || (name.starts_with('~') && lower.ends_with(".tmp"));
    is_temporary || SYSTEM.contains(&lower.as_str())
}

/// Why Dropbox will not store an entry of this name, if so; [`is_litter`] has others.
pub fn refused_by_dropbox(name: &str) -> Option<&'static str> {
    if name.contains('\\') {
        return Some("Dropbox does not allow a backslash in a name");
    }
    if name.ends_with(' ') {
        return Some("Dropbox does not allow a name that ends with a space");
    }
    // It takes all other control characters.
    if name.contains('\u{7f}') {
        return Some("Dropbox does not allow the control character DEL in a name");
    }
    (name.chars().count() > 255).then_some("Dropbox does not allow names over 255 characters")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_dropbox_refuses_are_known() {
        for name in ["a\\b", "a ", "a\u{7f}b"] {
            assert!(refused_by_dropbox(name).is_some(), "{name:?}");
            assert!(!is_litter(name), "{name:?}");
        }
        assert!(refused_by_dropbox(&"ü".repeat(256)).is_some());
        assert_eq!(refused_by_dropbox(&"ü".repeat(255)), None);
        let taken = [
            "~a",
            "a.tmp",
            "desktop.init",
            "a b",
            "ü",
            "a.",
            "<>:?*|",
            "a\n\t\u{1b}",
        ];
        for name in taken {
            assert_eq!(refused_by_dropbox(name), None, "{name:?}");
            assert!(!is_litter(name), "{name:?}");
        }
    }

    #[test]
    fn litter_is_known_in_any_case() {
        for name in [
            "Desktop.ini",
            "THUMBS.DB",
            ".DS_Store",
            "Icon\r",
            "~$report.doc",
            ".~lock.x#",
            "~a.TMP",
        ] {
            assert!(is_litter(name), "{name:?}");
        }
    }
}
