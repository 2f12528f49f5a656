//! The command line: what was typed, the log, and the exit code.
//!
//! Data goes to stdout, talk to stderr. Without a terminal a run that has nothing to say says
//! nothing, so that cron stays silent.

mod args;
mod completions;
mod definition;
mod files;
mod files_definition;
mod help;
mod man;
mod matches;
mod outcome;
mod parse;
mod pass;
mod spec;
mod suggest;
#[cfg(test)]
mod tests;
mod usage;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode as ProcessExit;

use jiff::Timestamp;
use rustix::fs::Mode;

use self::args::{Cli, Command, Requested, requested};
use self::outcome::{CommandOutcome, Printed};
use self::pass::{listen_to_ctrl_c, run_sync};
use crate::commands::past;
use crate::commands::status::{PairStatus, StatusArgs, page};
use crate::commands::{authentication, check_filters, doctor, sync, why};
use crate::config::Config;
use crate::core::invocation::quoted;
use crate::daemon::gateway::{self, RunArgs};
use crate::daemon::timetable::{next_run, next_runs, next_starts, next_starts_text};
use crate::error::{Error, ExitCode, Result};
use crate::io::dirs;
use crate::io::env;
use crate::io::interrupt;
use crate::logging;
use crate::report::{ErrorFields, Report, ReportKind, print_line, print_text, unprinted};

/// Keeps tokens out of core dumps, and other processes of the same user out of our memory.
fn guard_memory() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit};
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = rustix::process::setrlimit(Resource::Core, none);
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Keeps whatever is made out of the hands of all other users, whatever umask we were started with.
fn guard_files() {
    let umask = rustix::process::umask(Mode::empty());
    rustix::process::umask(Mode::from_raw_mode(narrowed(umask.as_raw_mode())));
}

/// A umask that lets nobody change what everybody may read.
pub fn narrowed(umask: u32) -> u32 {
    umask | 0o002
}

/// Runs the program.
pub fn main() -> ProcessExit {
    guard_memory();
    guard_files();
    let cli = match requested(std::env::args_os().skip(1).collect()) {
        Ok(Requested::Text(text)) => {
            print_text(text.trim_end_matches('\n'));
            return end(ExitCode::Ok);
        }
        Ok(Requested::Run(cli)) => cli,
        Err(error) => {
            let _ = std::io::stderr().write_all(error.to_string().as_bytes());
            return code(ExitCode::Usage);
        }
    };
    logging::start(cli.loudness());
    let outcome = run(&cli);
    let exit = match &outcome.result {
        Ok(exit) => *exit,
        // It is as somebody wanted it.
        Err(error @ Error::Stopped(_)) => {
            log::info!("{error}");
            error.exit_code()
        }
        Err(error) => {
            match outcome.is_told {
                true => log::debug!("{error}"),
                false => log::error!("{error}"),
            }
            error.exit_code()
        }
    };
    logging::flush();
    match (&outcome.answer, &outcome.result) {
        (Some(answer), _) if cli.json => answer.print(),
        (Some(answer), _) if answer.text.is_empty() => {}
        (Some(answer), _) => {
            print_text(&logging::shown(&answer.text));
        }
        (None, Err(error)) if cli.json && !outcome.has_summary => {
            let ErrorFields { code, text } = sync::failure(error);
            let fields = serde_json::json!({ "code": code, "text": text, "exit_code": exit as u8 });
            print_line("error", fields);
        }
        (None, _) => {}
    }
    if exit == ExitCode::Stopped {
        interrupt::end();
    }
    end(exit)
}

/// Ends with this code; what could not be printed is no success.
fn end(exit: ExitCode) -> ProcessExit {
    let Some(why) = unprinted() else {
        return code(exit);
    };
    let _ = writeln!(std::io::stderr(), "ferrybox: cannot write to stdout: {why}");
    code(match exit {
        ExitCode::Ok => ExitCode::Failed,
        exit => exit,
    })
}

fn code(exit: ExitCode) -> ProcessExit {
    ProcessExit::from(exit as u8)
}

fn run(cli: &Cli) -> CommandOutcome {
    let config = match (load(cli), &cli.command) {
        (Ok(config), _) => config,
        (Err(error), Command::Doctor) => {
            return CommandOutcome::told(doctor::doctor(Err(&error), cli.json));
        }
        (Err(error), _) => return unable(cli, error),
    };
    match &cli.command {
        Command::Sync(args) => run_sync(cli, &config, args),
        Command::Run(limits) => {
            let args = RunArgs {
                max_time: limits.max_time,
                jitter: limits.jitter.unwrap_or_default(),
                json: cli.json,
                watched: cli.is_watched(),
                quiet: cli.quiet,
            };
            listen_to_ctrl_c(cli);
            CommandOutcome {
                result: gateway::run(config, args),
                has_summary: false,
                is_told: false,
                answer: None,
            }
        }
        Command::Schedule => {
            let now = Timestamp::now();
            let next = serde_json::json!({ "next": next_starts(&config, now) });
            CommandOutcome::with(Ok(next_runs(&config, now)), |_| Some(("schedule", next)))
        }
        Command::Status {
            online,
            max_age,
            html,
        } => {
            let args = StatusArgs {
                online: *online,
                max_age: *max_age,
                html: html.clone(),
            };
            run_status(cli, &config, &args)
        }
        Command::Why { path } => CommandOutcome::of(why::why(&config, path, cli.json)),
        Command::History { last } => CommandOutcome::of(past::history(&config, *last, cli.json)),
        Command::CheckFilters { paths } => {
            CommandOutcome::of(check_filters::check_filters(&config, paths, cli.json))
        }
        Command::Doctor => CommandOutcome::told(doctor::doctor(Ok(&config), cli.json)),
        Command::Files(files) => files.run(&config, cli.json),
        Command::StartAuthentication => {
            let link = |text: &str| Some(("url", serde_json::json!({ "url": link_in(text)? })));
            CommandOutcome::with(authentication::start(&config), link)
        }
        Command::FinishAuthentication { code } => {
            CommandOutcome::of(authentication::finish(&config, code.as_deref()))
        }
        Command::Logout => CommandOutcome::of(authentication::logout(&config)),
    }
}

/// A command that could not begin. A pass has a last line all the same.
fn unable(cli: &Cli, error: Error) -> CommandOutcome {
    let is_pass = matches!(cli.command, Command::Sync(_));
    let result = Err(error);
    if cli.json && is_pass {
        let report = Report::new(ReportKind::Changes);
        sync::print_summary(&report, &result, Timestamp::now());
    }
    CommandOutcome {
        result,
        has_summary: is_pass,
        is_told: false,
        answer: None,
    }
}

/// The link in what a sign-in begins with.
fn link_in(text: &str) -> Option<&str> {
    let mut words = text.split_whitespace();
    let link = words.find(|word| word.contains("/oauth2/authorize?"));
    link.map(|link| link.trim_matches('\''))
}

fn load(cli: &Cli) -> Result<Config> {
    let home = env::home();
    let path = Config::find(
        cli.config.as_deref(),
        &|name| env::env(name),
        home.as_deref(),
    )?;
    // Our own configuration is recognised by its absolute path.
    let path = std::path::absolute(&path).unwrap_or(path);
    let mut config = Config::load(&path)?;
    let is_named = cli.config.is_some() || env::env("FERRYBOX_CONFIG").is_some();
    config.invocation = dirs::invocation(&config, is_named.then_some(path.as_path()));
    // It tells of all that itself, and has nothing made.
    if let Command::Doctor = cli.command {
        return Ok(config);
    }
    let needs_state = !matches!(cli.command, Command::Schedule);
    if needs_state && let Ok(dir) = dirs::state_dir(&config) {
        check_owner(cli, &config, &dir)?;
    }
    logging::to_file(&config)?;
    // Passes tell them once a day.
    if !matches!(cli.command, Command::Sync(_) | Command::Run(_)) {
        for warning in &config.warnings {
            log::warn!("{warning}");
        }
    }
    Ok(config)
}

/// The state of another user is left alone: what is written there would keep that user out.
fn check_owner(cli: &Cli, config: &Config, dir: &Path) -> Result<()> {
    let Some(owner) = dirs::other_owner(dir) else {
        return Ok(());
    };
    Err(Error::Failed(format!(
        "the state directory {} belongs to another user ({owner}); name another with state.dir, or \
         run: {}",
        dir.display(),
        config.invocation.command(&typed(&cli.command))
    )))
}

/// The command as it was typed, to be repeated; a code is left out.
fn typed(command: &Command) -> String {
    if let Command::FinishAuthentication { .. } = command {
        return "finishAuthentication".to_owned();
    }
    let words = std::env::args_os().skip(1);
    let mut words = words.map(|word| word.to_string_lossy().into_owned());
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--config" => drop(words.next()),
            named if named.starts_with("--config=") => {}
            other => kept.push(quoted(other)),
        }
    }
    kept.join(" ")
}

fn run_status(cli: &Cli, config: &Config, args: &StatusArgs) -> CommandOutcome {
    if cli.json && args.html.as_deref() == Some(Path::new("-")) {
        let both = "--json and --html - would both print on stdout: give --html a file";
        return CommandOutcome::of(Err(Error::Usage(both.to_owned())));
    }
    let now = Timestamp::now();
    let next = serde_json::json!(next_starts(config, now));
    let status = PairStatus::gather(config, args, next);
    let shown = status.and_then(|status| {
        let text = match &args.html {
            Some(file) => page::write(&status, file, &next_starts_text(config, now))?,
            None => status.text(&next_run(config, now)),
        };
        Ok((status, text))
    });
    let (result, answer) = match shown {
        Ok((status, text)) => {
            let json = serde_json::to_value(&status).unwrap_or_default();
            let json = Some(("status", json));
            (Ok(status.exit()), Some(Printed { text, json }))
        }
        Err(error) => (Err(error), None),
    };
    CommandOutcome {
        result,
        has_summary: false,
        is_told: false,
        answer,
    }
}
