//! `sync`: one pass, what is told of it, and how it ends.

use jiff::Timestamp;

use super::args::{Cli, SyncFlags};
use super::outcome::CommandOutcome;
use crate::commands::telling::Telling;
use crate::commands::{authentication, sync};
use crate::config::Config;
use crate::daemon::gateway;
use crate::engine::context::Options;
use crate::error::{Error, ExitCode, Result};
use crate::io::dirs;
use crate::io::host::{Host, RealHost};
use crate::io::interrupt;
use crate::io::proxy_text;
use crate::io::terminal;
use crate::logging::{self, WATCHER};
use crate::report::{Live, Report, ReportKind};

/// Where somebody watches, a pass that they stop says what it leaves. Without it the process ends.
pub fn listen_to_ctrl_c(cli: &Cli) {
    if cli.is_watched()
        && let Err(error) = interrupt::listen()
    {
        log::debug!("cannot listen to Ctrl-C: {error}");
    }
}

/// Runs one pass.
pub fn run_sync(cli: &Cli, config: &Config, flags: &SyncFlags) -> CommandOutcome {
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
