//! How much a pass did, and how much it left out.

use serde::{Deserialize, Serialize};

use crate::words::counted;

/// How often something was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Files uploaded.
    pub uploaded: u64,
    /// Files downloaded.
    pub downloaded: u64,
    /// Files renamed on either side.
    pub moved: u64,
    /// Files and folders removed locally.
    pub deleted_locally: u64,
    /// Files and folders removed in Dropbox.
    pub deleted_in_dropbox: u64,
    /// Folders made on either side.
    pub folders_made: u64,
    /// Conflict copies kept.
    pub conflicts: u64,
    /// Files found equal on both sides without a transfer.
    pub adopted: u64,
    /// Paths left for the next pass because they changed meanwhile, and files that wait for their
    /// pace.
    pub deferred: u64,
}

impl Counts {
    /// What was changed on either side.
    pub fn changes(&self) -> u64 {
        self.uploaded
            + self.downloaded
            + self.moved
            + self.deleted_locally
            + self.deleted_in_dropbox
            + self.folders_made
            + self.conflicts
    }

    /// What was changed, with the words for one and for many; uploads first, then downloads.
    pub fn words(&self) -> [(u64, &'static str, &'static str); 7] {
        let alike = |count, word| (count, word, word);
        [
            alike(self.uploaded, "uploaded"),
            alike(self.downloaded, "downloaded"),
            alike(self.moved, "renamed"),
            (self.folders_made, "folder made", "folders made"),
            alike(self.deleted_locally, "deleted locally"),
            alike(self.deleted_in_dropbox, "deleted in Dropbox"),
            (self.conflicts, "conflict", "conflicts"),
        ]
    }
}

/// Traffic of the contents of files that travelled, those in vain included; in a dry run those that
/// would.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// To Dropbox.
    pub up: u64,
    /// From Dropbox.
    pub down: u64,
}

/// How much in the content dir is left out, whatever becomes of it on the other side. A pass counts
/// what it meets: a folder that is left out counts as one, whatever it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Matched by a pattern of `sync.exclude`, or in a folder that is.
    pub excluded: u64,
    /// The same for `sync.ignore` and `.ferryboxignore`.
    pub ignored: u64,
    /// Names that start with a dot, with `sync.hidden = false`.
    pub hidden: u64,
    /// Files that neither filter lets through, or none that counts in this mode.
    pub unlisted: u64,
    /// Names that Dropbox never takes, and nobody misses.
    pub litter: u64,
    /// Symbolic links.
    pub links: u64,
    /// Pipes, sockets and devices.
    pub special: u64,
    /// Larger than `sync.max_file_size`.
    pub too_large: u64,
    /// Gone here, and kept in Dropbox by `sync.deletes`.
    pub kept: u64,
    /// Of those that are special.
    #[serde(skip)]
    pub pipes: u64,
    /// Of those that are special.
    #[serde(skip)]
    pub sockets: u64,
    /// Of those that are special.
    #[serde(skip)]
    pub devices: u64,
}

impl Skipped {
    /// What is not synced, for people; nothing if everything is. `patterns` leave out what is
    /// excluded or ignored.
    pub fn text(&self, patterns: u64) -> Option<String> {
        let by_pattern = match patterns {
            0 => "(excluded or ignored)".to_owned(),
            patterns => format!("({})", counted(patterns, "pattern", "patterns")),
        };
        let parts = [
            (
                self.excluded + self.ignored,
                "file",
                "files",
                by_pattern.as_str(),
            ),
            (self.hidden, "file", "files", "(hidden = false)"),
            (
                self.unlisted,
                "file",
                "files",
                "(no filter lets them through)",
            ),
            (self.litter, "file", "files", "(names Dropbox never takes)"),
            (self.links, "link", "links", ""),
            (self.pipes, "pipe", "pipes", ""),
            (self.sockets, "socket", "sockets", ""),
            (self.devices, "device", "devices", ""),
        ];
        let said = parts.iter().filter(|(count, ..)| *count > 0);
        let said: Vec<_> = said
            .map(|(count, one, many, why)| format!("{} {why}", counted(*count, one, many)))
            .map(|part| part.trim_end().to_owned())
            .collect();
        (!said.is_empty()).then(|| said.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_synced_is_said_in_one_line() {
        assert_eq!(Skipped::default().text(0), None);
        let skipped = Skipped {
            excluded: 200,
            ignored: 1014,
            links: 2,
            special: 1,
            sockets: 1,
            kept: 7,
            ..Skipped::default()
        };
        let text = skipped.text(3);
        assert_eq!(
            text.as_deref(),
            Some("1,214 files (3 patterns), 2 links, 1 socket")
        );
    }
}
