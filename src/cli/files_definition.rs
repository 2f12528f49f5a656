//! The commands for files in Dropbox without a sync, as they are typed, with their texts.

use super::spec::{ArgumentCount, ArgumentSpec, CommandSpec, OptionSpec, ValueSpec};

const PATH: ValueSpec = ValueSpec::text("PATH");

/// One path, as it is typed.
const fn path(help: &'static str) -> ArgumentSpec {
    ArgumentSpec::new(PATH, ArgumentCount::One, help)
}

pub(super) const LS: CommandSpec = CommandSpec {
    options: &[
        OptionSpec::flag("recursive", "With all that lies below").short('R'),
        OptionSpec::flag("long", "With sizes, times and revs").short('l'),
        OptionSpec::flag("dirs", "Folders only"),
        OptionSpec::flag("deleted", "What is deleted, and only that").conflicting(&["dirs"]),
        OptionSpec::flag("top", "PATH begins at all that the app may see"),
    ],
    arguments: &[ArgumentSpec::new(
        PATH,
        ArgumentCount::AtMostOne,
        "A folder or file; without it all that is synced",
    )],
    ..CommandSpec::new(
        "ls",
        "List what is in Dropbox",
        "\
Examples:
  ferrybox ls                      the folder that is synced
  ferrybox ls -lR /logs            all below /logs, with sizes
  ferrybox ls -R --deleted         what can be had back
  ferrybox ls -R --json            for a program: one object a line",
    )
};

pub(super) const CAT: CommandSpec = CommandSpec {
    arguments: &[path("A file, from the folder in Dropbox on")],
    ..CommandSpec::new(
        "cat",
        "Print a file that is in Dropbox",
        "\
Examples:
  ferrybox cat /openhab/items/a.items
  ferrybox cat /backup.tar.gz | tar -tz",
    )
};

pub(super) const MKDIR: CommandSpec = CommandSpec {
    arguments: &[path("The folder, from the folder in Dropbox on")],
    ..CommandSpec::new(
        "mkdir",
        "Make a folder in Dropbox, and those above it",
        "\
Examples:
  ferrybox mkdir /photos/2026",
    )
};

pub(super) const MV: CommandSpec = CommandSpec {
    arguments: &[
        ArgumentSpec::new(
            ValueSpec::text("FROM"),
            ArgumentCount::One,
            "A file or folder",
        ),
        ArgumentSpec::new(
            ValueSpec::text("TO"),
            ArgumentCount::One,
            "Its new path, or with / at the end the folder it goes to",
        ),
    ],
    ..CommandSpec::new(
        "mv",
        "Move or rename in Dropbox, never over something",
        "\
Examples:
  ferrybox mv /a.jpg /photos/b.jpg
  ferrybox mv /a.jpg /photos/      into a folder",
    )
};

pub(super) const RM: CommandSpec = CommandSpec {
    options: &[
        OptionSpec::flag("recursive", "A folder, with all that is in it").short('r'),
        OptionSpec::flag("dry-run", "Say what would go; change nothing").short('n'),
        OptionSpec::valued(
            "approve",
            ValueSpec::text("ID"),
            "Delete what was asked about by this id",
        )
        .repeatable(),
    ],
    arguments: &[path("A file or folder, from the folder in Dropbox on")],
    ..CommandSpec::new(
        "rm",
        "Delete in Dropbox, which keeps it for a while",
        "\
More than 20 files are asked about first: exit code 5, and an id.

Examples:
  ferrybox rm /old.tar
  ferrybox rm -rn /photos/2019     what that would delete
  ferrybox restore /old.tar        it is back",
    )
};

pub(super) const REVISIONS: CommandSpec = CommandSpec {
    arguments: &[path("A file, also one that is deleted")],
    ..CommandSpec::new(
        "revisions",
        "List the versions that Dropbox keeps of a file",
        "\
Examples:
  ferrybox revisions /openhab/items/a.items",
    )
};

pub(super) const RESTORE: CommandSpec = CommandSpec {
    options: &[
        OptionSpec::valued("rev", ValueSpec::text("REV"), "The version with this rev")
            .conflicting(&["at"]),
        OptionSpec::valued(
            "at",
            ValueSpec::text("WHEN"),
            "The version that was there at this time",
        ),
    ],
    arguments: &[path("A file; without --rev and --at one that is deleted")],
    ..CommandSpec::new(
        "restore",
        "Make an older version of a file the newest again",
        "\
WHEN is a time on this machine's clock, \"yesterday\", or how long ago.

Examples:
  ferrybox restore /a.items                       it was deleted
  ferrybox restore /a.items --at \"2026-11-03 14:00\"
  ferrybox restore /a.items --at 3d
  ferrybox restore /a.items --rev 5f2c8a91b0c3d    as \"revisions\" has it",
    )
};
