//! The names of our own files beneath the content dir. None of them ever travels.

/// What all of them begin with.
const PREFIX: &str = ".ferrybox-";

/// The marker that says which content dir this is.
pub const MARKER: &str = ".ferrybox-root";

/// What the name of a download on its way ends with.
const TEMP_SUFFIX: &str = ".tmp";
/// What the beginning of a large download ends with.
const PARTIAL_SUFFIX: &str = ".part";
/// Stands before it where only its owner may read it.
const PRIVATE: &str = ".private";

/// Whether this path component is one of ours, in any case of letters, because vfat and Dropbox do
/// not tell cases apart.
pub fn is_own_name(name: &str) -> bool {
    name.get(..PREFIX.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

/// The name of a download on its way; `random` tells it from others.
pub fn temp_name(random: &str) -> String {
    format!("{PREFIX}{random}{TEMP_SUFFIX}")
}

/// Whether it is such a name.
pub fn is_temp_name(name: &str) -> bool {
    name.starts_with(PREFIX) && name.ends_with(TEMP_SUFFIX)
}

/// The name under which the beginning of a revision waits for the rest. A private one is not taken
/// for one that others may read.
pub fn partial_name(rev: &str, is_private: bool) -> String {
    let private = if is_private { PRIVATE } else { "" };
    format!("{PREFIX}{rev}{private}{PARTIAL_SUFFIX}")
}

/// The revision whose beginning a file of this name is.
pub fn rev_of_partial(name: &str) -> Option<&str> {
    let rev = name.strip_prefix(PREFIX)?.strip_suffix(PARTIAL_SUFFIX)?;
    Some(rev.strip_suffix(PRIVATE).unwrap_or(rev))
}
