//! The marks that other programs leave in a directory which they sync.

/// The program that leaves something of this name in a directory that it syncs, if one is known
/// for it and for nothing else.
pub fn tool_of(name: &str) -> Option<&'static str> {
    let is_journal = |start: &str| name.starts_with(start) && name.ends_with(".db");
    match name {
        ".stfolder" => Some("Syncthing"),
        ".dropbox.cache" => Some("Dropbox's own program"),
        ".nextcloudsync.log" => Some("Nextcloud's client"),
        ".owncloudsync.log" => Some("ownCloud's client"),
        "RCLONE_TEST" => Some("rclone bisync"),
        _ if is_journal("._sync_") || is_journal(".sync_") => {
            Some("the client of Nextcloud or ownCloud")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_certain_counts_as_a_mark() {
        for name in [".stfolder", "._sync_0123abcd.db", ".sync_0123abcd.db"] {
            assert!(tool_of(name).is_some(), "{name}");
        }
        for name in ["stfolder", ".sync", "sync_1.db", ".sync_1.db-wal", ".git"] {
            assert_eq!(tool_of(name), None, "{name}");
        }
    }
}
