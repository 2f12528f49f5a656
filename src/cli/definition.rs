//! The command line of Ferrybox: every command with its options, arguments and texts. Nothing is
//! said of it anywhere else in the program.

use super::completions::Shell;
use super::files_definition as files;
use super::help;
use super::spec::{ArgumentCount, ArgumentSpec, CommandSpec, OptionSpec, ValueSpec};

/// A time of an option.
const TIME: ValueSpec = ValueSpec::text("TIME");
/// The id of a halt.
const ID: ValueSpec = ValueSpec::text("ID");
/// A path of the content dir.
const PATH: ValueSpec = ValueSpec::text("PATH");
/// Shells that completions are made for.
const SHELL: ValueSpec = ValueSpec::one_of("SHELL", &Shell::NAMES);

const MAX_TIME: OptionSpec = OptionSpec::valued(
    "max-time",
    TIME,
    "End a pass after this time (90s, 10m, 2h, 1d)",
);
const JITTER: OptionSpec =
    OptionSpec::valued("jitter", TIME, "Wait a random part of this time first");

/// The program. Its options are understood before and behind every command.
pub static PROGRAM: CommandSpec = CommandSpec {
    options: &[
        OptionSpec::valued("config", ValueSpec::file("FILE"), "Configuration file"),
        OptionSpec::flag("verbose", "Say more: -v each action, -vv requests too")
            .short('v')
            .repeatable(),
        OptionSpec::flag(
            "quiet",
            "Say only what is wrong: no moving line, no summary",
        )
        .short('q')
        .conflicting(&["verbose"]),
        OptionSpec::flag("json", "Print JSON on stdout: one object a line"),
    ],
    commands: COMMANDS,
    ..CommandSpec::new(
        "ferrybox",
        "Keeps a directory and a Dropbox folder in step",
        help::PROGRAM,
    )
};

const COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        options: &[
            OptionSpec::flag("upload-only", "Only send changes up in this pass")
                .conflicting(&["download-only"]),
            OptionSpec::flag(
                "download-only",
                "Only bring changes down; restores a fresh card",
            ),
            OptionSpec::flag("dry-run", "Print what would be done; change nothing at all")
                .short('n'),
            OptionSpec::valued(
                "approve",
                ID,
                "Delete what a halt has named by this id, once",
            )
            .repeatable(),
            OptionSpec::valued("keep", ID, "Keep what a halt has named by this id, once")
                .repeatable(),
            MAX_TIME,
            JITTER,
        ],
        ..CommandSpec::new(
            "sync",
            "Run once: bring changes down, send changes up",
            help::SYNC,
        )
    },
    CommandSpec {
        details: "A pass at the start makes up for what was missed.\n\
                  SIGHUP reads the configuration again.",
        options: &[MAX_TIME, JITTER],
        ..CommandSpec::new(
            "run",
            "Keep running, by the times of the configuration",
            help::RUN,
        )
    },
    CommandSpec::new(
        "schedule",
        "Print when \"run\" starts its next passes",
        help::SCHEDULE,
    ),
    CommandSpec {
        options: &[
            OptionSpec::flag(
                "online",
                "Ask Dropbox as well: whose account it is, and how full",
            ),
            OptionSpec::valued(
                "max-age",
                TIME,
                "End with 7 if the last success is older (26h, 2d)",
            ),
            OptionSpec::valued(
                "html",
                ValueSpec::file("FILE"),
                "Write it as a page for browsers; \"-\" prints that",
            ),
        ],
        ..CommandSpec::new(
            "status",
            "Say whether the backup is alive and complete",
            help::STATUS,
        )
    },
    CommandSpec {
        arguments: &[ArgumentSpec::new(
            PATH,
            ArgumentCount::One,
            "From the content dir on, as in /logs/openhab.log",
        )],
        ..CommandSpec::new(
            "why",
            "Say what decides about a path, and what comes next",
            help::WHY,
        )
    },
    CommandSpec {
        options: &[OptionSpec::valued(
            "last",
            ValueSpec::text("N"),
            "So many of them [default: 20]",
        )],
        ..CommandSpec::new("history", "Print what the last runs did", help::HISTORY)
    },
    CommandSpec {
        arguments: &[ArgumentSpec::new(
            PATH,
            ArgumentCount::Any,
            "From the content dir on; without one all is counted",
        )],
        ..CommandSpec::new(
            "check-filters",
            "Count what each pattern matches, or say which decides",
            help::CHECK_FILTERS,
        )
    },
    CommandSpec {
        details: "The clock, the way to Dropbox, the sign-in, room, rights, names.\n\
                  Nothing is changed.",
        ..CommandSpec::new(
            "doctor",
            "Look for what may be wrong, and say what to do",
            help::DOCTOR,
        )
    },
    files::LS,
    files::CAT,
    files::MKDIR,
    files::MV,
    files::RM,
    files::REVISIONS,
    files::RESTORE,
    CommandSpec {
        aliases: &["login"],
        hidden_aliases: &["start-authentication", "dropbox:startAuthentication"],
        ..CommandSpec::new(
            "startAuthentication",
            "Print the link that connects this machine",
            help::START,
        )
    },
    CommandSpec {
        hidden_aliases: &["finish-authentication", "dropbox:finishAuthentication"],
        arguments: &[ArgumentSpec::new(
            ValueSpec::text("CODE"),
            ArgumentCount::AtMostOne,
            "The code, as pasted; read from stdin without it",
        )
        .with_hyphen()],
        ..CommandSpec::new(
            "finishAuthentication",
            "Finish with the code that Dropbox showed",
            help::FINISH,
        )
    },
    CommandSpec::new(
        "logout",
        "Revoke the token and remove it from this machine",
        help::LOGOUT,
    ),
    CommandSpec {
        arguments: &[ArgumentSpec::new(
            SHELL,
            ArgumentCount::One,
            "bash, zsh or fish",
        )],
        ..CommandSpec::new(
            "completions",
            "Print what completes commands in a shell",
            help::COMPLETIONS,
        )
    },
    CommandSpec::new("man", "Print the manual page", help::MAN),
];
