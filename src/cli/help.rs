//! What stands below the help of each command: examples to be pasted, and what it ends with.

/// Of the program.
pub(super) const PROGRAM: &str = "\
Begin with:
  ferrybox startAuthentication     the link that connects this machine
  ferrybox sync --dry-run          what the first run would do
  ferrybox sync                    one run; cron or a timer repeats it
  ferrybox status                  whether the backup is alive

Exit codes:
  0  everything is in step            6  another run holds the lock
  1  failed                           7  offline, out of time: try later
  2  wrong usage, an id of nothing    8  Dropbox or disk full
  3  some files have problems        78  bad configuration
  4  authentication needed
  5  halted: a person must decide

Configuration: --config, else $FERRYBOX_CONFIG, else
~/.config/ferrybox/config.toml, else /etc/ferrybox/config.toml";

/// Of `sync`.
pub(super) const SYNC: &str = "\
Examples:
  ferrybox sync -n                 what would be done; nothing is changed
  ferrybox sync --max-time 10m     for a slow line: the next run goes on
  ferrybox sync --download-only    bring everything back onto a fresh card
  ferrybox sync --keep ID          keep the files that a halt has named";

/// Of `run`.
pub(super) const RUN: &str = "\
Examples:
  ferrybox run                     by the times below [schedule]
  ferrybox run --max-time 1h       no run takes longer than an hour
  ferrybox schedule                when the next ones are";

/// Of `schedule`.
pub(super) const SCHEDULE: &str = "\
Examples:
  ferrybox schedule                for \"ferrybox run\"; a timer has its own times
  ferrybox schedule --json         for a program";

/// Of `startAuthentication`.
pub(super) const START: &str = "\
Examples:
  ferrybox startAuthentication     prints the link; open it in any browser
  ferrybox finishAuthentication    asks for the code that Dropbox then shows";

/// Of `finishAuthentication`.
pub(super) const FINISH: &str = "\
Examples:
  ferrybox finishAuthentication    asks for the code: it is in no history then
  ferrybox finishAuthentication \"CODE\"";

/// Of `logout`.
pub(super) const LOGOUT: &str = "\
Examples:
  ferrybox logout                  the files stay, here and in Dropbox
  ferrybox startAuthentication     to sign in again";

/// Of `status`.
pub(super) const STATUS: &str = "\
Ends with the first that applies of 78, 4, 5, 8, 7, 1, 3 and 0.

Examples:
  ferrybox status                  last success, problems, halts, next run
  ferrybox status --max-age 26h    for monitoring: 7 if that is too long ago
  ferrybox status --online --json  with what Dropbox says, for a program
  ferrybox status --html FILE      the same as a page for a browser";

/// Of `why`.
pub(super) const WHY: &str = "\
Examples:
  ferrybox why /logs/openhab.log
  ferrybox why /etc/openhab/items/a.items --json";

/// Of `history`.
pub(super) const HISTORY: &str = "\
Examples:
  ferrybox history                 the last 20 runs that did something
  ferrybox history --last 5 --json";

/// Of `check-filters`.
pub(super) const CHECK_FILTERS: &str = "\
Examples:
  ferrybox check-filters           how many files each pattern matches
  ferrybox check-filters /logs/openhab.log cache/x";

/// Of `doctor`.
pub(super) const DOCTOR: &str = "\
Examples:
  ferrybox doctor                  each check, and what to do about it
  ferrybox doctor --json           for a program: one object a check

It takes about a minute at most, and exits with 1 if a check says fail.";

/// Of `completions`.
pub(super) const COMPLETIONS: &str = "\
Examples:
  ferrybox completions bash > /etc/bash_completion.d/ferrybox
  ferrybox completions zsh > ~/.zfunc/_ferrybox
  ferrybox completions fish > ~/.config/fish/completions/ferrybox.fish

The Debian packages bring them along.";

/// Of `man`.
pub(super) const MAN: &str = "\
Examples:
  ferrybox man | man -l -          shows it
  ferrybox man > /usr/local/share/man/man1/ferrybox.1";
