//! What starts Ferrybox: units of systemd, lines of cron and services of OpenRC, as their files
//! have it. No program is asked.

use std::path::{Path, PathBuf};

use super::check::Check;
use crate::config::Config;
use crate::config::regular_file::{Links, read_regular};
use crate::core::invocation::quoted;
use crate::io::env::home;

/// LIMIT: bytes of a file of cron's.
const CRON_BYTES_MAX: u64 = 256 << 10;
/// Where configurations of services are.
const CONFIGS: &str = "/etc/ferrybox";

/// Directories with a directory for each target of systemd, in which links name what is enabled.
const UNIT_DIRS: [&str; 4] = [
    "etc/systemd/system",
    "etc/systemd/user",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];
/// Files and directories of cron, on Debian and elsewhere.
const CRON_FILES: [&str; 9] = [
    "etc/crontab",
    "etc/cron.d",
    "etc/cron.hourly",
    "etc/cron.daily",
    "etc/cron.weekly",
    "etc/cron.monthly",
    "etc/crontabs",
    "var/spool/cron",
    "var/spool/cron/crontabs",
];

/// Something that starts Ferrybox.
#[derive(Debug, PartialEq, Eq)]
struct Starter {
    /// What it is, for people.
    text: String,
    /// It is `ferrybox run`, which starts passes itself.
    keeps_running: bool,
    /// What ends it.
    end: String,
}

/// All that was found.
#[derive(Default)]
struct Starters {
    found: Vec<Starter>,
    /// There are files that this user may not read.
    has_unread: bool,
    has_systemd: bool,
}

/// Does something start Ferrybox, and not twice?
pub fn schedule(config: &Config) -> Check {
    let starters = Starters::below(Path::new("/"), home().as_deref(), config);
    starters.told(config)
}

impl Starters {
    fn below(root: &Path, home: Option<&Path>, config: &Config) -> Starters {
        let mut starters = Starters {
            has_systemd: has_systemd(root),
            ..Starters::default()
        };
        if starters.has_systemd {
            let of_user = home.map(|home| home.join(".config/systemd/user"));
            let dirs = UNIT_DIRS.iter().map(|dir| root.join(dir)).chain(of_user);
            for dir in dirs {
                starters.add_units(&dir, config);
            }
            starters.add_active(&root.join("run/systemd/units"), config);
        }
        for level in names_in(&root.join("etc/runlevels")).unwrap_or_default() {
            for service in names_in(&level).unwrap_or_default() {
                if is_named_so(&service) {
                    starters.add(Starter {
                        text: format!("the service {} of OpenRC", name_of(&service)),
                        keeps_running: true,
                        end: format!("sudo rc-update del {}", name_of(&service)),
                    });
                }
            }
        }
        for file in CRON_FILES {
            starters.add_cron(&root.join(file), config);
        }
        starters
    }

    fn add(&mut self, starter: Starter) {
        if !self.found.contains(&starter) {
            self.found.push(starter);
        }
    }

    /// Units that targets want.
    fn add_units(&mut self, dir: &Path, config: &Config) {
        let targets = names_in(dir).unwrap_or_default();
        let is_target = |path: &PathBuf| path.extension().is_some_and(|ext| ext == "wants");
        for target in targets.into_iter().filter(is_target) {
            for unit in names_in(&target).unwrap_or_default() {
                self.add_unit(&name_of(&unit), "enabled", config);
            }
        }
    }

    /// Services that keep running, enabled or not.
    fn add_active(&mut self, dir: &Path, config: &Config) {
        for unit in names_in(dir).unwrap_or_default() {
            let name = name_of(&unit);
            let Some(name) = name.strip_prefix("invocation:") else {
                continue;
            };
            let is_known = self
                .found
                .iter()
                .any(|starter| starter.text.starts_with(name));
            if name.starts_with("ferrybox-run") && !is_known {
                self.add_unit(name, "running", config);
            }
        }
    }

    fn add_unit(&mut self, unit: &str, state: &str, config: &Config) {
        let Some((name, _)) = unit.rsplit_once('.') else {
            return;
        };
        let (base, instance) = match name.split_once('@') {
            Some((base, instance)) => (base, Some(instance)),
            None => (name, None),
        };
        let is_ours = match instance_of(config) {
            // It may be named in the unit.
            None => true,
            Some(ours) => ours.as_deref() == instance,
        };
        if is_ours && ["ferrybox", "ferrybox-run"].contains(&base) {
            self.add(Starter {
                text: format!("{unit} is {state}"),
                keeps_running: base == "ferrybox-run",
                end: format!("sudo systemctl disable --now {unit}"),
            });
        }
    }

    /// A file of cron's, or all in a directory.
    fn add_cron(&mut self, path: &Path, config: &Config) {
        let files = match names_in(path) {
            Ok(files) => files,
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                self.has_unread = true;
                return;
            }
            // It is a file, or nothing.
            Err(_) => vec![path.to_owned()],
        };
        for file in files.into_iter().filter(|file| file.is_file()) {
            let Ok(bytes) = read_regular(&file, CRON_BYTES_MAX, Links::Followed) else {
                self.has_unread |= file.metadata().is_ok_and(|found| found.len() > 0);
                continue;
            };
            let text = String::from_utf8_lossy(&bytes);
            let own = config.path.display().to_string();
            let is_ours = |line: &&str| line.contains(&own) || !line.contains(".toml");
            let lines = text.lines().map(str::trim);
            let lines = lines.filter(|line| !line.starts_with('#') && calls_us(line));
            for line in lines.filter(is_ours) {
                let shown = file.display();
                self.add(Starter {
                    text: format!("cron, by {shown}"),
                    keeps_running: line.split_whitespace().any(|word| word == "run"),
                    end: format!("take its line out of {shown}"),
                });
            }
        }
    }

    fn told(&self, config: &Config) -> Check {
        let mut check = Check::new("schedule");
        let (services, timers): (Vec<_>, Vec<_>) =
            self.found.iter().partition(|starter| starter.keeps_running);
        let unread = match self.has_unread {
            true => ", as far as this user may read the files of cron",
            false => "",
        };
        match (services.first(), timers.first()) {
            (None, None) => {
                let text = format!("nothing starts ferrybox{unread}");
                check.warn(text, self.remedy(config));
            }
            (Some(service), Some(timer)) => {
                check.warn(
                    "ferrybox run keeps to its own schedule, and something else starts passes \
                     beside it",
                    timer.end.clone(),
                );
                for both in [service, timer] {
                    check.ok(both.text.clone());
                }
            }
            _ => self
                .found
                .iter()
                .for_each(|starter| check.ok(starter.text.clone())),
        }
        check
    }

    fn remedy(&self, config: &Config) -> String {
        match (self.has_systemd, instance_of(config)) {
            (true, Some(Some(instance))) => {
                format!("sudo systemctl enable --now ferrybox@{instance}.timer")
            }
            (true, Some(None)) => "sudo systemctl enable --now ferrybox.timer".to_owned(),
            // Cron looks for programs in fewer places than a shell.
            (_, _) => {
                let program = std::env::current_exe().unwrap_or_else(|_| "ferrybox".into());
                let program = quoted(&program.to_string_lossy());
                format!(
                    "run crontab -e, and add the line: */5 * * * * {}",
                    config.invocation.command_of(&program, "sync")
                )
            }
        }
    }
}

/// Whether systemd runs here, as sd_booted(3) tells.
fn has_systemd(root: &Path) -> bool {
    root.join("run/systemd/system").is_dir()
}

/// Whether systemd runs on this machine.
pub fn is_systemds() -> bool {
    has_systemd(Path::new("/"))
}

/// Which instance of the units has this configuration, where it is one that units have: none for
/// the first, which has no name.
fn instance_of(config: &Config) -> Option<Option<String>> {
    if config.path.parent() != Some(Path::new(CONFIGS)) {
        return None;
    }
    let name = config.path.file_stem()?.to_string_lossy().into_owned();
    Some((name != "config").then_some(name))
}

/// Whether a line of cron's calls the program: a word of it is its name or ends with that.
fn calls_us(line: &str) -> bool {
    let mut words = line.split(|c: char| c.is_whitespace() || "\"';&|(".contains(c));
    words.any(|word| word == "ferrybox" || word.ends_with("/ferrybox"))
}

fn names_in(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found: Vec<_> = fs_err::read_dir(dir)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    found.sort();
    Ok(found)
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn is_named_so(path: &Path) -> bool {
    name_of(path).starts_with("ferrybox")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::check::CheckState;
    use super::*;

    fn config(path: &str) -> Config {
        let text = "[dropbox]\napp_key = 'k'\n[sync]\ncontent_dir = '/c'";
        Config::parse(Path::new(path), text).unwrap()
    }

    /// A machine with these files; what starts the configuration at `path` there.
    fn told(name: &str, files: &[(&str, &str)], path: &str) -> Check {
        let name = format!("ferrybox-starters-{}-{name}", std::process::id());
        let root = std::env::temp_dir().join(name);
        fs::create_dir_all(root.join("run/systemd/system")).unwrap();
        for (file, text) in files {
            let file = root.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let config = config(path);
        let check = Starters::below(&root, None, &config).told(&config);
        fs::remove_dir_all(root).unwrap();
        check
    }

    const TIMER: (&str, &str) = ("etc/systemd/system/timers.target.wants/ferrybox.timer", "");
    const RUN: (&str, &str) = (
        "etc/systemd/system/multi-user.target.wants/ferrybox-run.service",
        "",
    );
    const OWN: &str = "/etc/ferrybox/config.toml";

    #[test]
    fn what_starts_passes_is_found_by_its_files() {
        for (at, (files, word)) in [
            (&[TIMER][..], "ferrybox.timer is enabled"),
            (&[RUN], "ferrybox-run.service is enabled"),
            (
                &[(
                    "etc/cron.d/ferrybox",
                    "*/5 * * * * pi /usr/bin/ferrybox sync\n",
                )],
                "cron, by /",
            ),
            (
                &[("var/spool/cron/crontabs/pi", "@reboot ferrybox run\n")],
                "cron, by /",
            ),
            (&[("etc/runlevels/default/ferrybox", "")], "of OpenRC"),
            (
                &[("run/systemd/units/invocation:ferrybox-run.service", "")],
                "ferrybox-run.service is running",
            ),
        ]
        .into_iter()
        .enumerate()
        {
            let check = told(&format!("found{at}"), files, OWN);
            assert_eq!(check.state(), CheckState::Ok, "{}", check.text());
            assert!(check.text().contains(word), "{}", check.text());
        }
    }

    #[test]
    fn nothing_and_twice_are_told_with_a_command() {
        let nothing = told("nothing", &[("etc/crontab", "# ferrybox sync\n")], OWN);
        assert_eq!(nothing.text(), "nothing starts ferrybox");
        assert_eq!(
            nothing.remedies(),
            ["sudo systemctl enable --now ferrybox.timer"]
        );
        let twice = told("twice", &[TIMER, RUN], OWN);
        assert_eq!(twice.state(), CheckState::Warn);
        assert_eq!(
            twice.remedies(),
            ["sudo systemctl disable --now ferrybox.timer"]
        );
        assert!(twice.text().contains("ferrybox-run.service is enabled"));
    }

    #[test]
    fn what_starts_another_configuration_does_not_start_this_one() {
        let kitchen = "/etc/ferrybox/kitchen.toml";
        let of_kitchen = "etc/systemd/system/timers.target.wants/ferrybox@kitchen.timer";
        let check = told("other", &[TIMER], kitchen);
        assert_eq!(check.state(), CheckState::Warn);
        assert_eq!(
            check.remedies(),
            ["sudo systemctl enable --now ferrybox@kitchen.timer"]
        );
        let check = told("kitchen", &[TIMER, (of_kitchen, "")], kitchen);
        assert_eq!(check.text(), "ferrybox@kitchen.timer is enabled");
        let line = "1 * * * * ferrybox --config /etc/ferrybox/garden.toml sync\n";
        let check = told("line", &[("etc/crontab", line)], kitchen);
        assert_eq!(check.state(), CheckState::Warn);
        assert!(
            told("user", &[TIMER], "/home/pi/f.toml")
                .text()
                .contains("enabled")
        );
    }
}
