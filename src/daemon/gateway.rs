//! The [`Driver`] of this machine: its clock, configuration, connections and wake-ups.
//!
//! It runs each pass with what the configuration says now, and asks Dropbox to tell of changes
//! while it waits. Whatever keeps a pass from its work is waited out, even what only a person can
//! mend: they may do so without starting this again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::commands::sync::{SyncArgs, print_summary, tell_sides};
use crate::commands::telling::{Telling, Verdict};
use crate::config::{Config, ConfigError};
use crate::core::decide::Mode;
use crate::core::schedule::scheduler::{Due, Schedules};
use crate::daemon::listening::{Listening, PollEnd, Told};
use crate::daemon::sign_in::SignIn;
use crate::daemon::timetable::{is_pushed, is_watched, next_passes, next_starts_text, schedules};
use crate::daemon::wakeup::Wakeup;
use crate::daemon::watcher::{Watched, Watcher};
use crate::daemon::{Driver, Ended, Wake};
use crate::dropbox::longpoll::longpoll;
use crate::engine::collected::KEPT_MAX;
use crate::engine::{Seams, last_cursor, own_keys, prepared, run_on};
use crate::error::{Error, ExitCode, Result};
use crate::io::RealHttp;
use crate::io::Stop;
use crate::io::dirs::{self, RealDisks};
use crate::io::host::{Host, RealHost};
use crate::io::interrupt;
use crate::io::terminal::Terminal;
use crate::logging::{self, WATCHER};
use crate::report::{Live, Report, ReportKind, counted};
use crate::timestamp::local_text;

/// What the command line of `run` asks of every pass.
#[derive(Clone, Debug, Default)]
pub struct RunArgs {
    /// A pass may take so much time.
    pub max_time: Option<Duration>,
    /// A pass starts up to so much later.
    pub jitter: Duration,
    /// What passes do goes to stdout as JSON.
    pub json: bool,
    /// Somebody is shown what moves.
    pub watched: bool,
    /// Only what is wrong is said.
    pub quiet: bool,
}

/// Runs passes until the process is ended.
///
/// # Errors
/// What keeps it from beginning: a configuration that cannot be used.
pub fn run(config: Config, args: RunArgs) -> Result<ExitCode> {
    tell_sides(&config, config.sync.mode);
    let mut gateway = Gateway::new(config, args)?;
    gateway.host.systemd().tell("READY=1");
    let outcome = crate::daemon::run(&mut gateway);
    gateway.host.systemd().tell("STOPPING=1");
    Ok(outcome)
}

/// This machine, between passes.
struct Gateway {
    config: Config,
    schedules: Schedules,
    args: RunArgs,
    host: RealHost,
    http: RealHttp,
    wakeup: Arc<Wakeup>,
    telling: Telling,
    /// No pass has been made yet.
    is_first: bool,
    listening: Listening,
    /// Who watches has not been told yet when the next pass is.
    owes_next: bool,
}

impl Gateway {
    fn new(config: Config, args: RunArgs) -> Result<Gateway> {
        let wakeup = Wakeup::new()
            .map_err(|error| Error::Failed(format!("cannot listen to signals: {error}")))?;
        let wakeup = Arc::new(wakeup);
        let mut telling = Telling::begin(&config, !args.watched, !config.sync.fake_mode);
        for warning in &config.warnings {
            telling.warn(&warning.to_string(), Timestamp::now());
        }
        let mut gateway = Gateway {
            telling,
            is_first: true,
            http: http(&config, &wakeup)?,
            schedules: schedules(&config),
            config,
            args,
            host: RealHost::new(),
            wakeup,
            listening: Listening::default(),
            owes_next: true,
        };
        gateway.watch();
        Ok(gateway)
    }

    fn watch(&mut self) {
        // Before the new watches: the kernel grants a number of them.
        *self.wakeup.watcher() = None;
        let watcher = if is_watched(&self.config) {
            let watched = Watched {
                root: self.config.sync.content_dir.clone(),
                // With the globs of the content dir's own file, as they are now.
                filter: match prepared(&RealDisks, &self.config) {
                    Ok(prepared) => prepared.config.sync.filter,
                    Err(_) => self.config.sync.filter.clone(),
                },
                own_keys: dirs::state_dir(&self.config)
                    .map(|state| own_keys(&self.config, &state))
                    .unwrap_or_default(),
                settle: Duration::from_secs(self.config.schedule.settle_s),
            };
            Watcher::new(watched)
                .inspect_err(|error| self.tell_unwatched(error))
                .ok()
        } else {
            None
        };
        *self.wakeup.watcher() = watcher;
    }

    fn tell_unwatched(&self, error: &std::io::Error) {
        log::warn!(
            "{} cannot be watched ({error}): changes in it wait for schedule.upload_interval; \
             if watches have run out, fs.inotify.max_user_watches gives more (sysctl)",
            self.config.sync.content_dir.display()
        );
    }

    fn renew_watch(&mut self, due: Due) {
        let was_kept_out = self.telling.failing().is_some();
        let mut watcher = self.wakeup.watcher();
        let renewed = watcher.as_mut().map_or(Ok(()), |watcher| {
            if was_kept_out {
                watcher.distrust();
            }
            watcher.renew(due.up)
        });
        if let Err(error) = renewed {
            *watcher = None;
            drop(watcher);
            self.tell_unwatched(&error);
        }
    }

    fn args(&self, due: Due) -> SyncArgs {
        let is_two_way = self.config.sync.mode == Mode::Bidirectional;
        SyncArgs {
            download_only: is_two_way && due == Due::DOWN,
            upload_only: is_two_way && due == Due::UP,
            max_time: self.args.max_time,
            ..SyncArgs::default()
        }
    }

    fn tell_outcome(&self, report: &Report, result: &Result<ExitCode>, verdict: Verdict) {
        report.tell_rest();
        let changed = report.counts().changes() > 0;
        let is_news = report.problem_count() > 0 && result.is_ok() && verdict.summary;
        match report.summary() {
            Some(summary) if is_news && !self.args.quiet => log::warn!("{summary}"),
            Some(summary) if changed => log::info!("{summary}"),
            _ => {}
        }
        match result {
            Ok(_) => {}
            // It is as somebody wanted it.
            Err(Error::Stopped(text)) => log::info!("{text}"),
            Err(error) if verdict.error => {
                report.tell_held();
                match waits_for(error) {
                    Some(what) => {
                        log::error!("{error}");
                        log::warn!("{what}");
                    }
                    None => log::error!("{error}; it is tried again"),
                }
            }
            Err(error) => log::debug!("{error}"),
        }
    }

    /// While nobody is signed in, a sign-in ends the wait.
    fn watch_for_sign_in(&self, result: &Result<ExitCode>) {
        let mut sign_in = self.wakeup.sign_in();
        match result {
            Err(Error::Authentication(_)) if sign_in.is_none() => {
                let dir = dirs::state_dir(&self.config).ok();
                *sign_in = dir.and_then(|dir| SignIn::in_dir(&dir));
            }
            Err(Error::Authentication(_)) => {}
            _ => *sign_in = None,
        }
    }

    /// Waits for Dropbox to tell of changes, or for another reason to wake up.
    fn wait_for_changes(&mut self) -> Wake {
        let cursor = loop {
            let left = self.listening.is_put_off(Instant::now());
            let cursor = match left {
                Some(_) => None,
                None => last_cursor(&RealDisks, &self.config),
            };
            // Without a cursor, or before it is time to ask, there are only the others.
            match cursor {
                Some(cursor) => break cursor,
                None => {
                    if let Some(wake) = self.wakeup.wait_up_to(left) {
                        return wake;
                    }
                }
            }
        };
        let begun = Instant::now();
        self.wakeup.give_up_after(Some(self.listening.patience()));
        let answer = longpoll(&self.http, &self.host, &cursor, self.listening.timeout_s());
        self.wakeup.give_up_after(None);
        let asked = match answer {
            Ok(news) => PollEnd::Answered(news, begun.elapsed()),
            Err(text) => match self.wakeup.poll() {
                // It was this that ended it.
                Ok(wake) => return wake,
                Err(_) if begun.elapsed() >= self.listening.patience() => {
                    PollEnd::Failed("the connection has fallen silent".to_owned())
                }
                Err(_) => PollEnd::Failed(text),
            },
        };
        if let PollEnd::Failed(text) = &asked {
            log::debug!("cannot ask for changes: {text}");
        }
        let heard = self.listening.heard(cursor, asked, Instant::now());
        if let Some(told) = &heard.told {
            self.tell_heard(told);
        }
        match heard.pass {
            true => Wake::Remote,
            false => self.wakeup.poll().unwrap_or(Wake::Time),
        }
    }

    fn tell_heard(&self, told: &Told) {
        match told {
            Told::Deaf(text) => log::warn!(
                "Dropbox cannot be asked to tell of changes ({text}): looking for them every few \
                 minutes instead, until it can; schedule.download_interval = \"push\" needs {}",
                self.config.endpoints.notify
            ),
            Told::Hears => log::warn!("Dropbox tells of changes again"),
        }
        logging::flush();
    }
}

impl Driver for Gateway {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn schedules(&self) -> Schedules {
        self.schedules.clone()
    }

    fn pass(&mut self, due: Due, prompt: bool) -> Ended {
        if !prompt && !self.args.jitter.is_zero() {
            self.host.sleep(jitter(&self.host, self.args.jitter));
        }
        self.host.systemd().status("at work");
        self.host.beat();
        // Every pass takes in what Dropbox tells, and it is not told again: it has to come down.
        let due = match is_pushed(&self.config) && due.up {
            true => Due::BOTH,
            false => due,
        };
        // Before the walk, which sees what came before it.
        self.renew_watch(due);
        let args = self.args(due);
        let options = args.options(&self.config);
        let kind = if options.dry_run {
            ReportKind::Plan
        } else {
            ReportKind::Changes
        };
        let began = Timestamp::now();
        if !std::mem::take(&mut self.is_first) {
            let is_watched = self.args.watched;
            self.telling
                .go_on(&self.config, is_watched, !options.dry_run);
        }
        let report = Report::new(kind).without_told(self.telling.told(began));
        let report = match (self.args.json, self.args.watched) {
            (true, _) => report.as_json(),
            (false, true) => report.watched(Box::new(Terminal::new())),
            (false, false) => report,
        };
        let telling = &self.telling;
        let seams = Seams {
            host: &self.host,
            disks: &RealDisks,
            http: &self.http,
            kept_max: KEPT_MAX,
            begun: &|| telling.tell_begin(&self.config),
        };
        interrupt::set_in_pass(true);
        let result = run_on(&seams, &self.config, &options, &report);
        interrupt::set_in_pass(false);
        report.live().into_iter().for_each(Live::clear);
        let telling = &mut self.telling;
        if self.config.notify.html_file.is_some() {
            telling.note_next(next_starts_text(&self.config, Timestamp::now()));
        }
        let verdict = telling.end(&self.config, &report, &result, &options, began);
        self.tell_outcome(&report, &result, verdict);
        if self.args.json {
            print_summary(&report, &result, began);
        }
        self.watch_for_sign_in(&result);
        logging::flush();
        let progress = report.counts().changes() > 0;
        self.owes_next |= progress || result.is_err();
        match result {
            _ if interrupt::is_asked() => Ended::Stopped,
            Err(_) => Ended::Left { progress },
            // Dropbox has told of it, and does not tell again.
            Ok(code) if is_pushed(&self.config) && code != ExitCode::Ok => Ended::Left { progress },
            Ok(_) if report.counts().deferred > report.paced() => Ended::Left { progress },
            Ok(_) => Ended::Done,
        }
    }

    fn wait(&mut self, next: Option<Timestamp>) -> Wake {
        self.tell_what_is_next(next);
        self.host.beat();
        self.wakeup.arm(next);
        if is_pushed(&self.config) {
            self.wait_for_changes()
        } else {
            self.wakeup.wait()
        }
    }

    fn is_reload_asked(&mut self) -> bool {
        self.wakeup.take_reload()
    }

    fn reload(&mut self) {
        self.host.systemd().tell("RELOADING=1");
        match self.read_again() {
            Ok(()) => log::info!(
                target: WATCHER,
                "{} has been read again",
                self.config.path.display()
            ),
            Err(error) => log::error!("{error}; the configuration stays as it was"),
        }
        logging::flush();
        self.host.systemd().tell("READY=1");
    }
}

impl Gateway {
    fn tell_what_is_next(&mut self, next: Option<Timestamp>) {
        if self.args.watched && std::mem::take(&mut self.owes_next) {
            let mut text = next_passes(&self.schedules, Timestamp::now(), next);
            if is_pushed(&self.config) && !self.listening.is_deaf() {
                text.push_str(", or when Dropbox tells of a change");
            }
            if let Some(watcher) = &*self.wakeup.watcher() {
                let folders = counted(watcher.folder_count(), "folder", "folders");
                text.push_str(&format!("; watching {folders}"));
            }
            log::info!(target: WATCHER, "{text}");
        }
        let mut status = match next {
            Some(at) => format!("next pass at {}", local_text(at, &self.schedules.zone)),
            None => "the schedule starts no further pass".to_owned(),
        };
        if is_pushed(&self.config) {
            status.push_str(match self.listening.is_deaf() {
                true => ", and every few minutes, since Dropbox cannot tell of changes",
                false => ", or when Dropbox tells of a change",
            });
        }
        if let Some(failing) = self.telling.failing() {
            status.push_str(&format!("; the last one failed: {}", failing.text));
        } else if let Some(text) = self.telling.problems_text() {
            status.push_str(&format!("; {text}"));
        }
        self.host.systemd().status(&status.replace('\n', " "));
    }

    fn read_again(&mut self) -> std::result::Result<(), ConfigError> {
        let config = Config::load(&self.config.path)?;
        let http = http(&config, &self.wakeup)?;
        logging::to_file(&config)?;
        for warning in &config.warnings {
            log::warn!("{warning}");
        }
        self.schedules = schedules(&config);
        let invocation = self.config.invocation.clone();
        (self.config, self.http) = (config, http);
        self.listening = Listening::default();
        self.config.invocation = invocation;
        self.watch();
        Ok(())
    }
}

/// What it takes for a pass to be made again, as the line after its error.
fn waits_for(error: &Error) -> Option<&'static str> {
    match error {
        Error::Authentication(_) => Some(
            "waiting for somebody to sign in, and going on by itself then (what is changed in the \
             configuration counts after a SIGHUP)",
        ),
        Error::Halt(_) => Some(
            "waiting until this is mended or answered; it asks again with each pass, and goes on \
             by itself then",
        ),
        Error::Config(_) => Some(
            "waiting for this to be put right; it looks again with each pass (what is changed in \
             the configuration counts after a SIGHUP)",
        ),
        Error::Usage(_)
        | Error::Stopped(_)
        | Error::Locked(_)
        | Error::TryLater(_)
        | Error::Full(_)
        | Error::Damaged(_)
        | Error::Failed(_) => None,
    }
}

fn http(config: &Config, wakeup: &Arc<Wakeup>) -> std::result::Result<RealHttp, ConfigError> {
    let wakeup = Arc::clone(wakeup);
    let stop: Stop = Arc::new(move || wakeup.ends_an_answer());
    RealHttp::interruptible(config, stop)
}

/// A random part of `most`.
pub fn jitter(host: &dyn Host, most: Duration) -> Duration {
    let mut bytes = [0; 4];
    host.random(&mut bytes);
    most.mul_f64(f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX))
}
