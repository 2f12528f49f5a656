//! `doctor`: what may be wrong around a gateway, each thing with what to do about it. It looks, and
//! changes nothing; what cannot be asked is said, and never guessed.

use serde_json::json;

mod account;
mod check;
mod ground;
mod marks;
mod neighbours;
mod online;
mod starters;
mod tree;

use check::{Check, CheckState};

use crate::config::{Config, ConfigError};
use crate::engine::in_force::in_force;
use crate::engine::{check_apart, own_keys};
use crate::error::{Error, ExitCode};
use crate::io::RealHttp;
use crate::io::dirs;
use crate::io::disk::Disk;
use crate::io::host::RealHost;
use crate::io::http::Http;
use crate::logging::file::refused_at;
use crate::logging::shown;
use crate::report::{print_line, print_text};
use crate::words::visible;

/// Every check, in the order in which they are told.
const NAMES: [&str; 15] = [
    "configuration",
    "clock",
    "dns",
    "proxy",
    "tls",
    "sign_in",
    "namespaces",
    "quota",
    "free_space",
    "filesystem",
    "permissions",
    "names",
    "watch",
    "other_tools",
    "schedule",
];

/// Looks at everything, and tells of each thing as soon as it is known: lines for people, or JSON.
/// Without a configuration most of it cannot be asked.
pub fn doctor(config: Result<&Config, &Error>, is_json: bool) -> ExitCode {
    let mut told = Teller {
        is_json,
        worst: CheckState::Ok,
    };
    match config {
        Ok(config) => look(config, &mut told),
        Err(error) => without_configuration(error, &mut told),
    }
    match told.worst {
        CheckState::Ok | CheckState::Warn => ExitCode::Ok,
        CheckState::Fail => ExitCode::Failed,
    }
}

/// What has been told.
struct Teller {
    is_json: bool,
    worst: CheckState,
}

impl Teller {
    fn tell(&mut self, check: &Check) {
        let (state, text) = (check.state(), check.text());
        self.worst = self.worst.max(state);
        if self.is_json {
            let remedy = check.remedies().join("; ");
            let remedy = (!remedy.is_empty()).then_some(remedy);
            let fields = json!({
                "name": check.name, "state": state, "text": text, "remedy": remedy,
            });
            print_line("check", fields);
            return;
        }
        let name = check.name.replace('_', "-");
        let mut lines = vec![format!("{}  {name}: {text}", state.word())];
        let remedies = check.remedies().iter();
        lines.extend(remedies.map(|remedy| format!("      -> {remedy}")));
        for line in lines {
            print_text(&shown(&line));
        }
    }

    fn tell_all(&mut self, checks: &[Check]) {
        checks.iter().for_each(|check| self.tell(check));
    }
}

fn without_configuration(error: &Error, told: &mut Teller) {
    let mut configuration = Check::new(NAMES[0]);
    tell_error(error, &mut configuration);
    told.tell(&configuration);
    for name in &NAMES[1..] {
        told.tell(&match *name {
            "clock" => online::clock(None, starters::is_systemds()),
            name => Check::skipped(name, "not looked at: the configuration comes first"),
        });
    }
}

fn look(config: &Config, told: &mut Teller) {
    let host = RealHost::new();
    let mut permissions = Check::new("permissions");
    let disk = ground::opened(config, &mut permissions);
    let (configuration, config) = configuration(config, disk.as_ref().map(|disk| disk as _));
    let config = &config;
    told.tell(&configuration);
    let http = RealHttp::unkept(config);
    let reached = http
        .as_ref()
        .ok()
        .map(|http| online::Reached::ask(config, http, &host));
    let times = reached.as_ref().and_then(online::Reached::times);
    told.tell(&online::clock(times, starters::is_systemds()));
    told.tell_all(&[online::names(config), online::proxy(config)]);
    told.tell(&match (&http, &reached) {
        (Ok(http), Some(reached)) => online::tls(config, http, reached),
        (Err(fault), _) => {
            let mut tls = Check::new("tls");
            tell_fault(fault, &mut tls);
            tls
        }
        (Ok(_), None) => Check::skipped("tls", "nothing was asked"),
    });
    let is_there = reached.is_some_and(|reached| reached.is_there());
    let http = http.as_ref().ok().filter(|_| is_there);
    told.tell_all(&account::checks(
        config,
        http.map(|http| http as &dyn Http),
        &host,
    ));
    told.tell_all(&[ground::room(config), ground::filesystem(config)]);
    let tree = disk.as_ref().map(|disk| {
        let state_dir = dirs::state_dir(config).unwrap_or_default();
        let walked = tree::Walked {
            disk,
            filter: &config.sync.filter,
            own_keys: &own_keys(config, &state_dir),
        };
        walked.walk(&host)
    });
    if let (Some(disk), Some(tree)) = (&disk, &tree) {
        ground::permissions(config, disk, tree, &mut permissions);
    }
    ground::state_permissions(config, &mut permissions);
    told.tell(&permissions);
    let not_seen = |name| Check::skipped(name, "not looked at: the content dir cannot be read");
    told.tell_all(&match &tree {
        Some(tree) => [tree::names(tree), tree::watch(config, tree)],
        None => ["names", "watch"].map(not_seen),
    });
    told.tell(&neighbours::neighbours(config, tree.as_ref()));
    told.tell(&starters::schedule(config));
}

/// Is the configuration right? Also gives it as it holds, with the globs of the content dir.
fn configuration(config: &Config, disk: Option<&dyn Disk>) -> (Check, Config) {
    let mut check = Check::new("configuration");
    for warning in &config.warnings {
        let (text, remedy) = fault_text(warning);
        check.warn(text, remedy);
    }
    if config.sync.fake_mode {
        let text = "sync.fake_mode is on: each pass only says what it would do";
        check.warn(text, "set sync.fake_mode = false");
    }
    if let Some(log) = &config.log.file
        && let Some(fault) = refused_at(log, config)
    {
        tell_fault(&fault, &mut check);
    }
    let state_dir = dirs::state_dir(config);
    if let Err(error) = state_dir.and_then(|dir| check_apart(config, &dir)) {
        tell_error(&error, &mut check);
    }
    let held = match disk.map(|disk| in_force(config, disk, false)) {
        Some(Ok(held)) => held,
        Some(Err(error)) => {
            tell_error(&error, &mut check);
            config.clone()
        }
        None => config.clone(),
    };
    check.ok(format!(
        "{}: {} <-> Dropbox {}/ ({})",
        config.path.display(),
        config.sync.content_dir.display(),
        config.dropbox.remote_root,
        config.sync.mode.name()
    ));
    (check, held)
}

fn tell_error(error: &Error, check: &mut Check) {
    match error {
        Error::Config(fault) => tell_fault(fault, check),
        other => check.fail_as_told(&other.to_string(), "correct the configuration"),
    }
}

/// Each fault of a configuration.
fn tell_fault(fault: &ConfigError, check: &mut Check) {
    let faults = std::iter::successors(Some(fault), |fault| fault.next.as_deref());
    for fault in faults {
        let (text, remedy) = fault_text(fault);
        check.fail(text, remedy);
    }
}

/// What is wrong, and what to do about it.
fn fault_text(fault: &ConfigError) -> (String, String) {
    let line = fault.line.map_or(String::new(), |line| format!(":{line}"));
    let key = fault
        .key
        .as_ref()
        .map_or(String::new(), |key| format!("{key}: "));
    let text = format!("{}{line}: {key}{}", fault.file.display(), fault.what);
    (visible(&text), visible(&fault.remedy))
}
