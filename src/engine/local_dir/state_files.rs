//! The state of another instance, known by what is in it, wherever it lies: its sign-in and its
//! index never travel.

use crate::core::path::{RelPath, fold};
use crate::dropbox::tokens::{holds_access, holds_sign_in, is_access_file};
use crate::engine::cursor::{holds_cursor, is_cursor_file};
use crate::engine::pass_record::is_pass_record;
use crate::io::disk::ReadDisk;
use crate::io::listing::Names;

/// Whether a file with these bytes is one of ours.
type IsOurs = fn(&[u8]) -> bool;

/// Files of a state directory that tell it from others.
const TELLING: [(&str, IsOurs); 3] = [
    ("token.json", holds_sign_in),
    ("pending-auth.json", holds_sign_in),
    ("cursor.json", holds_cursor),
];
/// What else is in it.
const OTHERS: [&str; 3] = ["index.db", "index.db-journal", "personal-account.json"];
/// A file that is just being written has this behind its name.
const UNFINISHED: &str = ".new";

/// How many names of a directory are files of ours, if it is a state or a runtime directory. Only
/// files that have such a name are looked into.
pub(super) fn state_files(disk: &dyn ReadDisk, dir: &RelPath, names: &Names) -> u64 {
    let holds = |name: &str, is_ours: IsOurs| {
        let bytes = dir.join(name).map(|path| disk.read(&path));
        matches!(bytes, Ok(Ok(Some(bytes))) if is_ours(&bytes))
    };
    let tells = |name: &str| {
        let telling = TELLING.iter().find(|(telling, _)| name == *telling);
        telling.is_some_and(|(_, is_ours)| holds(name, *is_ours))
            || is_access_file(name) && holds(name, holds_access)
            || is_cursor_file(name) && holds(name, holds_cursor)
    };
    if !names.iter().any(tells) {
        return 0;
    }
    names
        .iter()
        .filter(|name| is_state_file(&fold(name)))
        .count() as u64
}

/// Whether this is the key of a file of ours, in such a directory.
pub(super) fn is_state_file(key: &str) -> bool {
    let name = key.strip_suffix(UNFINISHED).unwrap_or(key);
    let is_telling = TELLING.iter().any(|(telling, _)| name == *telling);
    is_telling
        || OTHERS.contains(&name)
        || is_access_file(name)
        || is_cursor_file(name)
        || is_pass_record(name)
}
