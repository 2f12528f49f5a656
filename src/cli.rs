//! The command line: what was typed, the log, and the exit code.
//!
//! Data goes to stdout, talk to stderr. Without a terminal a run that has nothing to say says
//! nothing, so that cron stays silent.

mod help;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode as ProcessExit;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use jiff::Timestamp;
use rustix::fs::Mode;

use crate::commands::past::{self, SHOWN};
use crate::commands::status::{PairStatus, StatusArgs, page};
use crate::commands::telling::Telling;
use crate::commands::{authentication, check_filters, doctor, sync, why};
use crate::config::Config;
use crate::core::invocation::quoted;
use crate::daemon::gateway::{self, RunArgs};
use crate::daemon::timetable::{next_run, next_runs, next_starts, next_starts_text};
use crate::engine::context::Options;
use crate::error::{Error, ExitCode, Result};
use crate::io::dirs;
use crate::io::env;
use crate::io::host::{Host, RealHost};
use crate::io::interrupt;
use crate::io::proxy_text;
use crate::io::terminal::{self, Terminal};
use crate::logging::{self, Loudness, WATCHER};
use crate::report::{ErrorFields, Live, Report, ReportKind, print_line};

/// Keeps a directory and a Dropbox folder in step.
#[derive(Parser)]
#[command(name = "ferrybox", version, after_help = help::PROGRAM, arg_required_else_help = true)]
struct Cli {
    /// Configuration file.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Say more: -v each action, -vv requests too.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Say only what is wrong: no moving line, no summary.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Print JSON on stdout: one object a line.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

impl Cli {
    fn loudness(&self) -> Loudness {
        match self.verbose {
            _ if self.quiet => Loudness::Quiet,
            0 => Loudness::Usual,
            1 => Loudness::Verbose,
            _ => Loudness::Debug,
        }
    }

    /// Whether somebody is shown what moves.
    fn is_watched(&self) -> bool {
        terminal::is_watched() && !self.json && !self.quiet
    }

    /// What is told of a pass, and how.
    fn report(&self, kind: ReportKind) -> Report {
        let mut report = Report::new(kind);
        if self.is_watched() {
            report = report.watched(Box::new(Terminal::new()));
        }
        if self.json {
            report = report.as_json();
        }
        if self.verbose > 0 {
            report = report.verbose();
        }
        report
    }
}

#[derive(Subcommand)]
enum Command {
    /// Run once: bring changes down, send changes up.
    #[command(after_help = help::SYNC)]
    Sync(SyncFlags),
    /// Keep running, by the times of the configuration.
    ///
    /// A pass at the start makes up for what was missed.
    ///
    /// SIGHUP reads the configuration again.
    #[command(after_help = help::RUN)]
    Run(TimeFlags),
    /// Print when "run" starts its next passes.
    #[command(after_help = help::SCHEDULE)]
    Schedule,
    /// Say whether the backup is alive and complete.
    #[command(after_help = help::STATUS)]
    Status {
        /// Ask Dropbox as well: whose account it is, and how full.
        #[arg(long)]
        online: bool,
        /// End with 7 if the last success is older (26h, 2d).
        #[arg(long, value_name = "TIME", value_parser = age)]
        max_age: Option<Duration>,
        /// Write it as a page for browsers; "-" prints that.
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
    /// Say what decides about a path, and what comes next.
    #[command(after_help = help::WHY)]
    Why {
        /// From the content dir on, as in /logs/openhab.log.
        path: String,
    },
    /// Print what the last runs did.
    #[command(after_help = help::HISTORY)]
    History {
        /// So many of them.
        #[arg(long, value_name = "N", default_value_t = SHOWN)]
        last: usize,
    },
    /// Count what each pattern matches, or say which decides.
    #[command(name = "check-filters", after_help = help::CHECK_FILTERS)]
    CheckFilters {
        /// From the content dir on; without one all is counted.
        #[arg(value_name = "PATH")]
        paths: Vec<String>,
    },
    /// Look for what may be wrong, and say what to do.
    ///
    /// The clock, the way to Dropbox, the sign-in, room, rights, names.
    ///
    /// Nothing is changed.
    #[command(after_help = help::DOCTOR)]
    Doctor,
    /// Print the link that connects this machine.
    #[command(name = "startAuthentication", after_help = help::START)]
    #[command(visible_alias = "login", alias = "start-authentication")]
    #[command(alias = "dropbox:startAuthentication")]
    StartAuthentication,
    /// Finish with the code that Dropbox showed.
    #[command(name = "finishAuthentication", after_help = help::FINISH)]
    #[command(
        alias = "finish-authentication",
        alias = "dropbox:finishAuthentication"
    )]
    FinishAuthentication {
        /// The code, as pasted; read from stdin without it.
        #[arg(allow_hyphen_values = true)]
        code: Option<String>,
    },
    /// Revoke the token and remove it from this machine.
    #[command(after_help = help::LOGOUT)]
    Logout,
}

#[derive(Args)]
struct SyncFlags {
    /// Only send changes up in this pass.
    #[arg(long, conflicts_with = "download_only")]
    upload_only: bool,
    /// Only bring changes down; restores a fresh card.
    #[arg(long)]
    download_only: bool,
    /// Print what would be done; change nothing at all.
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Delete what a halt has named by this id, once.
    #[arg(long, value_name = "ID")]
    approve: Vec<String>,
    /// Keep what a halt has named by this id, once.
    #[arg(long, value_name = "ID")]
    keep: Vec<String>,
    #[command(flatten)]
    limits: TimeFlags,
}

/// What a pass keeps to.
#[derive(Args)]
struct TimeFlags {
    /// End a pass after this time (90s, 10m, 2h, 1d).
    #[arg(long, value_name = "TIME", value_parser = time)]
    max_time: Option<Duration>,
    /// Wait a random part of this time first.
    #[arg(long, value_name = "TIME", value_parser = time)]
    jitter: Option<Duration>,
}

/// A time of the command line.
fn time(text: &str) -> std::result::Result<Duration, String> {
    let (digits, unit) = match text.strip_suffix(['s', 'm', 'h', 'd']) {
        Some(digits) => (digits, &text[digits.len()..]),
        None => (text, "s"),
    };
    let scale = match unit {
        "d" => 24 * 3600,
        "h" => 3600,
        "m" => 60,
        _ => 1,
    };
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = digits.parse::<u64>().ok().filter(|seconds| *seconds > 0);
    seconds
        .filter(|_| is_number)
        .and_then(|seconds| seconds.checked_mul(scale))
        .filter(|seconds| *seconds <= 7 * 24 * 3600)
        .map(Duration::from_secs)
        .ok_or_else(|| {
            "write seconds, or a number with s, m, h or d: more than none, and up to a week"
                .to_owned()
        })
}

/// An age, which may be longer than a pass may take.
fn age(text: &str) -> std::result::Result<Duration, String> {
    let (digits, scale) = match text.strip_suffix('d') {
        Some(digits) => (digits, 24 * 3600),
        None => return time(text),
    };
    let days = digits
        .parse::<u64>()
        .ok()
        .filter(|days| (1..=3650).contains(days));
    days.map(|days| Duration::from_secs(days * scale))
        .ok_or_else(|| "write a number with s, m, h or d, as in 26h".to_owned())
}

/// The definition of the command line, for its manual page and completions.
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

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
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return code(if error.use_stderr() {
                ExitCode::Usage
            } else {
                ExitCode::Ok
            });
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
            let _ = writeln!(std::io::stdout(), "{}", logging::shown(&answer.text));
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
    code(exit)
}

fn code(exit: ExitCode) -> ProcessExit {
    ProcessExit::from(exit as u8)
}

/// How a command ended.
struct CommandOutcome {
    result: Result<ExitCode>,
    /// Its last line of JSON is printed already.
    has_summary: bool,
    /// Its error was told by a run before, not long ago.
    is_told: bool,
    /// What it answers; data, so it goes to stdout.
    answer: Option<Printed>,
}

/// What a command answers, for people and for programs.
struct Printed {
    text: String,
    /// The type of its line, and the fields.
    json: Option<(&'static str, serde_json::Value)>,
}

impl Printed {
    fn print(&self) {
        if let Some((kind, fields)) = &self.json {
            print_line(kind, fields);
        }
    }
}

impl CommandOutcome {
    /// A command that answers with a text, and with nothing for programs.
    fn of(result: Result<String>) -> CommandOutcome {
        CommandOutcome::with(result, |_| None)
    }

    /// A command that has told all it has to say.
    fn told(exit: ExitCode) -> CommandOutcome {
        CommandOutcome {
            result: Ok(exit),
            has_summary: false,
            is_told: false,
            answer: None,
        }
    }

    /// A command that answers with a text; `json` makes of it what a program gets.
    fn with(
        result: Result<String>,
        json: impl FnOnce(&str) -> Option<(&'static str, serde_json::Value)>,
    ) -> CommandOutcome {
        let (result, answer) = match result {
            Ok(text) => {
                let json = json(&text);
                (Ok(ExitCode::Ok), Some(Printed { text, json }))
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
    let mut words = std::env::args().skip(1);
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

/// Where somebody watches, a pass that they stop says what it leaves. Without it the process ends.
fn listen_to_ctrl_c(cli: &Cli) {
    if cli.is_watched()
        && let Err(error) = interrupt::listen()
    {
        log::debug!("cannot listen to Ctrl-C: {error}");
    }
}

fn run_sync(cli: &Cli, config: &Config, flags: &SyncFlags) -> CommandOutcome {
    let args = sync::SyncArgs {
        download_only: flags.download_only,
        upload_only: flags.upload_only,
        dry_run: flags.dry_run,
        approved: flags.approve.clone(),
        kept: flags.keep.clone(),
        max_time: flags.limits.max_time,
    };
    if let Some(most) = flags.limits.jitter {
        let host = RealHost::new();
        host.sleep(gateway::jitter(&host, most));
    }
    let options = args.options(config);
    let began = Timestamp::now();
    let is_watched = terminal::is_watched();
    let is_answer = !args.approved.is_empty() || !args.kept.is_empty();
    let is_terse = !is_watched && cli.verbose == 0 && !is_answer;
    let mut telling = Telling::begin(config, is_terse, !options.dry_run);
    for warning in &config.warnings {
        telling.warn(&warning.to_string(), began);
    }
    let report = cli.report(match options.dry_run {
        false => ReportKind::Changes,
        true => ReportKind::Plan,
    });
    let report = report.without_told(telling.told(began));
    tell_head(cli, config, &options);
    listen_to_ctrl_c(cli);
    let begun = || telling.tell_begin(config);
    let result = args.check();
    let result = result.and_then(|()| sync::run(config, &options, &report, &begun));
    report.live().into_iter().for_each(Live::clear);
    report.tell_rest();
    let verdict = telling.end(config, &report, &result, &options, began);
    if verdict.error {
        report.tell_held();
    }
    if verdict.summary {
        summarize(cli, &report, &options, &result);
    }
    if cli.json {
        // The lines are the last, and the error of the pass is told before them.
        logging::flush();
        sync::print_summary(&report, &result, began);
    }
    CommandOutcome {
        result,
        has_summary: cli.json,
        is_told: !verdict.error,
        answer: None,
    }
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

/// What a pass begins with, for whoever watches.
fn tell_head(cli: &Cli, config: &Config, options: &Options) {
    if cli.verbose > 0 {
        tell_ground(config);
    }
    if rustix::process::geteuid().is_root() {
        log::info!(
            target: WATCHER,
            "running as root; better give ferrybox a user of its own who owns the files"
        );
    }
    sync::tell_sides(config, options.mode);
}

/// What a pass is about to work with: most of what puzzles people is another one of these.
fn tell_ground(config: &Config) {
    let state = dirs::state_dir(config);
    let shown = state.as_ref().map(|dir| dir.display().to_string());
    let whose = authentication::whose(config);
    log::info!(target: WATCHER, "configuration: {}", config.path.display());
    log::info!(target: WATCHER, "state: {}", shown.unwrap_or_default());
    log::info!(target: WATCHER, "account: {whose}");
    if let Some(proxy) = proxy_text(config) {
        log::info!(target: WATCHER, "proxy: {proxy}");
    }
}

fn summarize(cli: &Cli, report: &Report, options: &Options, result: &Result<ExitCode>) {
    let dry = if options.dry_run {
        "dry run, nothing was changed; planned: "
    } else {
        ""
    };
    let is_well = match result {
        Ok(_) | Err(Error::Stopped(_)) => report.problem_count() == 0,
        Err(_) => false,
    };
    match report.summary() {
        Some(summary) if is_well && !options.dry_run => log::info!("{summary}"),
        Some(summary) if cli.quiet => log::info!("{dry}{summary}"),
        // A plan is long, and its end is what people look at.
        Some(summary) => log::warn!("{dry}{summary}"),
        None if result.is_ok() => log::info!(target: WATCHER, "nothing to do"),
        None => {}
    }
}
