//! What the command line understands, what it says to what it does not, and that all that is made
//! of its definition agrees with it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use super::args::{Cli, Command, Requested, SyncFlags, requested};
use super::completions::Shell;
use super::definition::PROGRAM;
use super::man;
use super::matches::UsageError;
use super::spec::{ArgumentCount, ArgumentSpec, CommandSpec, OptionSpec, ValueKind};
use super::usage;
use crate::commands::past::SHOWN;

fn words(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(OsString::from).collect()
}

fn requested_of(line: &str) -> Result<Requested, UsageError> {
    requested(words(line))
}

fn cli(line: &str) -> Cli {
    match requested_of(line) {
        Ok(Requested::Run(cli)) => cli,
        other => panic!("{line}: {other:?}"),
    }
}

fn text(line: &str) -> String {
    match requested_of(line) {
        Ok(Requested::Text(text)) => text,
        other => panic!("{line}: {other:?}"),
    }
}

fn sync(line: &str) -> SyncFlags {
    match cli(line).command {
        Command::Sync(flags) => flags,
        other => panic!("{line}: {other:?}"),
    }
}

fn code(line: &str) -> Option<String> {
    match cli(line).command {
        Command::FinishAuthentication { code } => code,
        other => panic!("{line}: {other:?}"),
    }
}

fn error(line: &str) -> String {
    match requested_of(line) {
        Err(error) => error.to_string(),
        Ok(asked) => panic!("{line}: {asked:?}"),
    }
}

#[test]
fn what_holds_for_all_stands_before_and_behind_the_command() {
    for line in ["--config c -vv --json sync", "sync --config=c -v --json -v"] {
        let cli = cli(line);
        assert_eq!(cli.config, Some(PathBuf::from("c")), "{line}");
        assert_eq!(
            (cli.verbose, cli.quiet, cli.json),
            (2, false, true),
            "{line}"
        );
    }
    let quiet = cli("-q sync");
    assert_eq!((quiet.verbose, quiet.quiet, quiet.json), (0, true, false));
    assert_eq!(quiet.config, None);
    // An alias of the shell has the first, and whoever types the second means it.
    let last = cli("--config one sync --config two");
    assert_eq!(last.config, Some(PathBuf::from("two")));
}

#[test]
fn a_configuration_may_have_any_name() {
    let name = OsString::from_vec(b"/etc/f\xffx".to_vec());
    let mut joined = OsString::from("--config=");
    joined.push(&name);
    for line in [vec!["--config".into(), name.clone()], vec![joined]] {
        let whole = [line, words("sync")].concat();
        match requested(whole) {
            Ok(Requested::Run(cli)) => assert_eq!(cli.config, Some(PathBuf::from(&name))),
            other => panic!("{other:?}"),
        }
    }
    // What has to be a text says so.
    let line = [words("why"), vec![name]].concat();
    let error = requested(line).unwrap_err().to_string();
    assert!(error.contains("is not UTF-8"), "{error}");
}

#[test]
fn flags_of_a_pass_are_read() {
    let plain = sync("sync");
    assert!(!plain.dry_run && !plain.upload_only && !plain.download_only);
    assert!(plain.approve.is_empty() && plain.keep.is_empty());
    assert_eq!((plain.limits.max_time, plain.limits.jitter), (None, None));
    let flags = sync("sync -n --upload-only --approve a --keep=b --approve=c --max-time 2m");
    assert!(flags.dry_run && flags.upload_only && !flags.download_only);
    assert_eq!(flags.approve, ["a", "c"]);
    assert_eq!(flags.keep, ["b"]);
    assert_eq!(flags.limits.max_time, Some(Duration::from_secs(120)));
    assert!(sync("sync --download-only --jitter 5").download_only);
    let together = cli("sync -nvv");
    assert_eq!(together.verbose, 2);
    assert!(matches!(together.command, Command::Sync(flags) if flags.dry_run));
}

#[test]
fn times_and_numbers_are_read() {
    for (text, seconds) in [
        ("90", 90),
        ("90s", 90),
        ("10m", 600),
        ("2h", 7200),
        ("1d", 86400),
    ] {
        let flags = sync(&format!("sync --max-time {text}"));
        assert_eq!(flags.limits.max_time, Some(Duration::from_secs(seconds)));
    }
    for text in ["0", "x", "8d", "1w", "+3", "-3"] {
        let error = error(&format!("sync --max-time={text}"));
        let what = format!("error: invalid value '{text}' for '--max-time <TIME>': write seconds");
        assert!(error.starts_with(&what), "{error}");
    }
    let status = cli("status --online --max-age 30d").command;
    let age = Some(Duration::from_secs(30 * 86400));
    assert!(
        matches!(status, Command::Status { online: true, max_age, html: None } if max_age == age)
    );
    let history = |line: &str| match cli(line).command {
        Command::History { last } => last,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (history("history"), history("history --last 5")),
        (SHOWN, 5)
    );
    assert!(error("history --last five").contains("invalid value 'five'"));
    // The help says what it is without.
    assert!(text("history -h").contains(&format!("[default: {SHOWN}]")));
}

#[test]
fn every_name_of_a_command_is_understood() {
    for name in ["startAuthentication", "login", "start-authentication"] {
        assert!(
            matches!(cli(name).command, Command::StartAuthentication),
            "{name}"
        );
    }
    let other = cli("dropbox:startAuthentication").command;
    assert!(matches!(other, Command::StartAuthentication));
    for name in ["finishAuthentication", "finish-authentication"] {
        assert_eq!(code(name), None);
        assert_eq!(code(&format!("{name} abc")).as_deref(), Some("abc"));
    }
    assert_eq!(code("dropbox:finishAuthentication a").as_deref(), Some("a"));
    let help = text("--help");
    assert!(help.contains("[alias: login]"), "{help}");
    assert!(!help.contains("dropbox:start"), "{help}");
}

#[test]
fn a_code_may_begin_with_a_hyphen() {
    for typed in ["-abc", "--vX_9-z", "-vX", "-"] {
        let line = format!("finishAuthentication {typed}");
        assert_eq!(code(&line).as_deref(), Some(typed), "{line}");
        let quiet = format!("finishAuthentication -q {typed} --config=c");
        assert_eq!(code(&quiet).as_deref(), Some(typed), "{quiet}");
        assert!(cli(&quiet).quiet);
    }
    assert_eq!(code("finishAuthentication -- -v").as_deref(), Some("-v"));
    assert_eq!(code("finishAuthentication -v"), None);
    assert!(error("finishAuthentication a -b").contains("unexpected argument '-b'"));
}

#[test]
fn behind_two_hyphens_all_are_arguments() {
    match cli("check-filters a -v -- -q --json").command {
        Command::CheckFilters { paths } => assert_eq!(paths, ["a", "-q", "--json"]),
        other => panic!("{other:?}"),
    }
}

/// What is said of a line, and the tip below it, if there is to be one.
fn check_error(line: &str, what: &str, tip: &str) {
    let said = error(line);
    let begin = format!("error: {what}");
    assert!(said.starts_with(&begin), "{line}: {said}");
    assert_eq!(said.contains("  tip: "), !tip.is_empty(), "{line}: {said}");
    assert!(said.contains(tip), "{line}: {said}");
    let first = line.split(' ').next().unwrap();
    let own = match PROGRAM.command(first) {
        Some(command) => format!("\nUsage: ferrybox {} [OPTIONS]", command.name),
        None => "\nUsage: ferrybox [OPTIONS] <COMMAND>\n".to_owned(),
    };
    assert!(said.contains(&own), "{said}");
    assert!(said.ends_with("--help'.\n"), "{said}");
}

#[test]
fn a_name_that_is_unknown_is_told_with_the_one_that_was_meant() {
    for (line, name, meant) in [
        ("snyc", "snyc", "sync"),
        (
            "startauthentication",
            "startauthentication",
            "startAuthentication",
        ),
        ("help snyc", "snyc", "sync"),
        ("complete", "complete", "completions"),
    ] {
        let what = format!("unrecognized command '{name}'");
        check_error(line, &what, &format!("there is a command '{meant}'"));
    }
    check_error("frobnicate", "unrecognized command 'frobnicate'", "");
    for (line, name, tip) in [
        ("sync --aprove x", "--aprove", "there is '--approve'"),
        ("sync --dryrun", "--dryrun", "there is '--dry-run'"),
        ("sync --jsno", "--jsno", "there is '--json'"),
        ("--dry-run sync", "--dry-run", "'sync --dry-run'"),
        ("sync --frobnicate", "--frobnicate", ""),
        ("sync -x", "-x", ""),
        ("sync x", "x", ""),
        ("sync -V", "-V", ""),
        ("why a b", "b", ""),
        ("sync --\u{1b}[2J", "--\\u{1b}[2J", ""),
    ] {
        check_error(line, &format!("unexpected argument '{name}'"), tip);
    }
}

#[test]
fn values_that_are_missing_or_too_many_are_told() {
    let needed = "a value is required for '--approve <ID>'";
    for line in ["sync --approve", "sync --approve --json", "sync --approve="] {
        check_error(line, needed, "");
    }
    for (line, what) in [
        (
            "sync --dry-run=3",
            "unexpected value '3' for '--dry-run', which takes none",
        ),
        (
            "sync -n=3",
            "unexpected value '3' for '-n', which takes none",
        ),
        ("sync -n -n", "'--dry-run' cannot be used more than once"),
        (
            "sync --max-time 1 --max-time 2",
            "'--max-time <TIME>' cannot be used more",
        ),
        ("why", "<PATH> is missing"),
        ("-v", "a command is missing"),
        ("completions", "<SHELL> is missing: bash, zsh or fish"),
        (
            "completions tcsh",
            "invalid value 'tcsh' for '<SHELL>': one of bash, zsh, fish",
        ),
    ] {
        check_error(line, what, "");
    }
}

#[test]
fn what_excludes_each_other_is_refused_in_either_order() {
    for line in [
        "sync --upload-only --download-only",
        "sync --download-only --upload-only",
        "-q sync -v",
        "sync -vq",
    ] {
        assert!(error(line).contains("' cannot be used with '"), "{line}");
    }
}

#[test]
fn nothing_at_all_is_answered_with_the_help() {
    assert_eq!(error(""), text("--help"));
    assert_eq!(text("help"), text("--help"));
    assert_eq!(text("sync --approve x -h"), text("help sync"));
    assert_eq!(text("help login"), text("startAuthentication --help"));
    assert_eq!(text("-V"), text("--version"));
    assert_eq!(
        text("--version"),
        concat!("ferrybox ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

/// Over ssh a window has 80 columns.
#[test]
fn every_help_fits_into_80_columns_and_has_examples() {
    for path in PROGRAM.paths() {
        let text = usage::help(&path);
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        assert!(text.contains("  ferrybox "), "no example: {text}");
        assert!(
            text.contains(&format!("Usage: {}", usage::full_name(&path))),
            "{text}"
        );
        let command = path.last().unwrap();
        let options = command.options.iter().map(OptionSpec::label);
        let arguments = command.arguments.iter().map(ArgumentSpec::usage);
        for label in options.chain(arguments).chain(["-h, --help".to_owned()]) {
            assert!(text.contains(&format!("\n  {label} ")), "{label}: {text}");
        }
    }
}

/// A line for a command, with all it must have.
fn line_of(path: &[&CommandSpec]) -> String {
    let command = path.last().unwrap();
    let must = command
        .arguments
        .iter()
        .filter(|one| one.count == ArgumentCount::One);
    let values = must.map(|argument| match argument.value.kind {
        ValueKind::OneOf(known) => known[0],
        ValueKind::Text | ValueKind::File => "x",
    });
    let names = path.iter().skip(1).map(|command| command.name);
    names.chain(values).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_command_of_the_definition_does_something() {
    let paths = PROGRAM.paths();
    let ends = paths
        .iter()
        .filter(|path| path.last().unwrap().commands.is_empty());
    let mut count = 0;
    for path in ends {
        let line = line_of(path);
        assert!(
            requested_of(&line).is_ok(),
            "{line}: {:?}",
            requested_of(&line)
        );
        count += 1;
    }
    assert!(count >= 13, "{count}");
}

#[test]
fn no_two_things_have_one_name() {
    for path in PROGRAM.paths() {
        let command = path.last().unwrap();
        let mut names: Vec<&str> = command
            .commands
            .iter()
            .flat_map(CommandSpec::names)
            .collect();
        names.push("help");
        let options = usage::options(&path);
        let long: Vec<&str> = options.iter().map(|option| option.long).collect();
        let short: Vec<String> = options
            .iter()
            .filter_map(|option| option.short.map(String::from))
            .collect();
        let short: Vec<&str> = short.iter().map(String::as_str).collect();
        for names in [names, long, short] {
            let unique: BTreeSet<_> = names.iter().collect();
            assert_eq!(unique.len(), names.len(), "{names:?}");
        }
        let known = |name: &str| options.iter().any(|option| option.long == name);
        let mut named = command.options.iter().flat_map(|option| option.conflicts);
        assert!(named.all(|name| known(name)));
    }
}

#[test]
fn every_completion_offers_all_there_is() {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let script = shell.script(&PROGRAM);
        for path in PROGRAM.paths() {
            let command = path.last().unwrap();
            assert!(script.contains(command.name), "{shell:?}: {}", command.name);
            for option in command.options {
                let name = option.long;
                let long = match shell {
                    Shell::Bash | Shell::Zsh => format!("--{name}"),
                    Shell::Fish => format!("-l {name} "),
                };
                assert!(script.contains(&long), "{shell:?}: {long}");
            }
        }
    }
}

#[test]
fn the_manual_page_has_every_command_and_option() {
    let page = man::page(&PROGRAM, "1.2.3");
    assert!(
        page.starts_with(".TH FERRYBOX 1 \"\" \"ferrybox 1.2.3\""),
        "{page}"
    );
    for path in PROGRAM.paths().iter().skip(1) {
        let name = usage::full_name(&path[1..]).replace('-', "\\-");
        assert!(page.contains(&format!(".SS \"{name}\"\n")), "{name}");
        for option in path.last().unwrap().options {
            let label = option.label().trim_start().replace('-', "\\-");
            assert!(page.contains(&format!(".TP\n\\fB{label}\\fR\n")), "{label}");
        }
    }
    for head in [
        "NAME",
        "SYNOPSIS",
        "OPTIONS",
        "COMMANDS",
        "\"EXIT CODES\"",
        "FILES",
    ] {
        assert!(page.contains(&format!("\n.SH {head}\n")), "{head}: {page}");
    }
    // A line that begins with a dot is an instruction: only those that are meant.
    let known = [".TH", ".SH", ".SS", ".TP", ".PP", ".nf", ".fi"];
    for line in page.lines().filter(|line| line.starts_with(['.', '\''])) {
        assert!(known.iter().any(|one| line.starts_with(one)), "{line}");
    }
}
