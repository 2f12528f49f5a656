//! The configuration: one TOML file, read and checked in full before anything else happens.
//!
//! Whoever holds a [`Config`] need not check it again: filters and schedules are compiled, paths
//! are absolute, numbers are in range. Whatever is wrong becomes one line that names the file,
//! the line, the key and the remedy ([`ConfigError`], exit code 78). Nothing here looks at the
//! content dir or at Dropbox, and no error text ever holds a secret.
//!
//! `keys.rs` is the one table of known keys: their sections, the predecessor's names, defaults and
//! examples. `config/ferrybox.toml` explains each of them to the user.

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::core::amounts::Rates;
use crate::core::decide::{DeletePolicy, Mode};
use crate::core::filter::Filter;
use crate::core::invocation::Invocation;
use crate::core::pace::Paces;
use crate::core::remote::PathRoot;
use crate::core::schedule::{self, Schedule};

mod document;
mod error;
pub mod exposure;
mod file;
mod filters;
mod hosts;
mod keys;
mod manners;
mod notify;
mod openhab;
mod paths;
pub mod regular_file;
#[cfg(test)]
mod tests;

pub use error::ConfigError;
pub use file::is_config;
pub use filters::PATTERNS_MAX;

use document::{Document, Setting, short};

/// Where a user learns how to get an app key.
const APP_HELP: &str = "README, section \"Creating a Dropbox app\"";

/// The checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it was read from.
    pub path: PathBuf,
    /// `[dropbox]`: the account and the folder in it.
    pub dropbox: DropboxSection,
    /// `[sync]`: what is kept in step, and how.
    pub sync: SyncSection,
    /// `[sync.guard]`: when a pass halts instead of deleting.
    pub guard: Guard,
    /// `[schedule]`: when `ferrybox run` starts a pass.
    pub schedule: ScheduleSection,
    /// `[log]`: a file beside stderr.
    pub log: LogSection,
    /// `[network]`: time limits, proxy and certificates.
    pub network: Network,
    /// `[notify]`: who is told that something is wrong.
    pub notify: NotifySection,
    /// `[endpoints]`: the hosts of the Dropbox API.
    pub endpoints: Endpoints,
    /// `[state] dir`, absolute; where it is absent the caller chooses.
    pub state_dir: Option<PathBuf>,
    /// The line of `content_dir`, for messages about the directory itself.
    pub content_dir_line: usize,
    /// How the program is called with this file, for commands in messages.
    pub invocation: Invocation,
    /// The file is one of openHAB's add-on, by its names, and has no filters: there were defaults.
    pub takes_openhabs_filters_for_granted: bool,
    /// What is allowed but probably not meant. Each prints as one line.
    pub warnings: Vec<ConfigError>,
}

/// `[dropbox]`. At least one of app key and personal access token is there.
#[derive(Clone, Debug)]
pub struct DropboxSection {
    /// The key of the user's own Dropbox app (`app_key`, formerly `appkey`).
    pub app_key: Option<String>,
    /// The app's secret; PKCE does without (`app_secret`, formerly `appsecret`).
    pub app_secret: Option<Secret>,
    /// A token generated in the app console; it wins over the app key
    /// (`personal_access_token`, formerly `personalAccessToken`).
    pub personal_access_token: Option<Secret>,
    /// The Dropbox folder that mirrors the content dir: `""` (the default, all the app may see)
    /// or `/a/b`, without a trailing slash.
    pub remote_root: String,
    /// Whether that begins in one's own folder, or in the space of a team.
    pub root: PathRoot,
    /// The line of `root`, where it is given.
    pub root_line: Option<usize>,
}

/// `[sync]`.
#[derive(Clone, Debug)]
pub struct SyncSection {
    /// The local directory: absolute, without a trailing slash (`contentdir`). Required.
    pub content_dir: PathBuf,
    /// Which way changes travel (`syncmode`); `LOCAL_TO_DROPBOX` by default.
    pub mode: Mode,
    /// Every pass is a dry run (`fakemode`); `false` by default.
    pub fake_mode: bool,
    /// `upload_filter`, `download_filter`, `exclude`, `ignore` and `hidden`; everything by default.
    pub filter: Filter,
    /// Names that start with a dot travel because nothing is said of them: neither by `hidden` nor
    /// by the predecessor's filters.
    pub is_hidden_unsaid: bool,
    /// The name in conflict copies; the hostname where it is absent.
    pub device_name: Option<String>,
    /// What happens to the local version that loses its name; `keep-both` by default.
    pub conflict: ConflictPolicy,
    /// After a reset upload once what Dropbox lacks, in any mode; `true` by default.
    pub upload_on_reset: bool,
    /// Larger files, in bytes, are left out on both sides; no limit by default.
    pub max_file_size: Option<u64>,
    /// What becomes in Dropbox of what was deleted here; it is deleted by default.
    pub deletes: DeletePolicy,
    /// `[[sync.pace]]`: how often files that change are sent; none is held back by default.
    pub paces: Paces,
}

/// `[sync] conflict`: what happens to the local version when both sides changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConflictPolicy {
    /// It is kept beside the one from Dropbox, as a conflict copy.
    KeepBoth,
    /// It is replaced, as the predecessor did.
    DropboxWins,
}

/// `[sync.guard]`: a pass halts when its deletes in one direction exceed both limits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guard {
    /// Files; 20 by default.
    pub max_delete_count: u64,
    /// Share of the base files in scope, 0 to 1; 0.5 by default.
    pub max_delete_share: f64,
}

/// `[schedule]`, in the gateway's time zone.
#[derive(Clone, Debug)]
pub struct ScheduleSection {
    /// `0 0 2 * * ?` by default: every day at 02:00 (`uploadInterval`).
    pub upload_interval: Schedule,
    /// `0 0/5 * * * ?` by default: every five minutes (`downloadInterval`).
    pub download_interval: DownloadInterval,
    /// Whether changes in the content dir wake an upload as well; off by default.
    pub watch: bool,
    /// Seconds of quiet after such a change; 5 by default, 1 to 3,600.
    pub settle_s: u64,
}

/// When changes in Dropbox are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DownloadInterval {
    /// At these times.
    At(Schedule),
    /// As soon as Dropbox tells of them (`files/list_folder/longpoll`).
    Push,
}

/// `[log]`: a file beside stderr.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSection {
    /// Where it is, absolute; none by default.
    pub file: Option<PathBuf>,
    /// KiB after which it becomes the old generation; 256 by default, 16 to 65,536.
    pub max_kib: u64,
    /// Whether it may lie on a disk.
    pub force: bool,
}

/// `[network]`.
#[derive(Clone)]
pub struct Network {
    /// Seconds without a byte, per read and write, and for connecting; 60 by default, 5 to 600.
    pub timeout_s: u64,
    /// `scheme://[user:password@]host[:port]` with `http` or `socks5`; may hold a password.
    pub proxy: Option<String>,
    /// A PEM file with certificates to trust beside the system's; absolute.
    pub ca_file: Option<PathBuf>,
    /// MiB sent in one call of a large file's upload, a multiple of 4; 32 by default, 4 to 148.
    pub upload_chunk_mib: u64,
    /// How fast the contents of files go up; no limit by default.
    pub upload_limit: Rates,
    /// How fast they come down; no limit by default.
    pub download_limit: Rates,
}

/// `[notify]`.
#[derive(Clone, Debug)]
pub struct NotifySection {
    /// Where each pass is told, as healthchecks.io has it: this address as it ends well, with
    /// `/start` and `/fail` behind it otherwise. It is a secret.
    pub ping_url: Option<Secret>,
    /// Where JSON is sent when passes begin to fail, and when they work again. It is a secret.
    pub webhook_url: Option<Secret>,
    /// A file in the text format of Prometheus, replaced by each pass.
    pub metrics_file: Option<PathBuf>,
    /// What `status` says as a page for browsers, replaced by passes; absolute.
    pub html_file: Option<PathBuf>,
    /// Seconds after which an outage is told; six hours by default.
    pub after_s: u64,
}

/// `[endpoints]`: each is `scheme://host[:port]`, `https` unless the host is this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// RPC calls; `https://api.dropboxapi.com` by default.
    pub api: String,
    /// Uploads and downloads; `https://content.dropboxapi.com` by default.
    pub content: String,
    /// The longpoll; `https://notify.dropboxapi.com` by default.
    pub notify: String,
    /// The authorisation page; `https://www.dropbox.com` by default.
    pub www: String,
}

/// A string that never shows in logs and errors.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The secret itself, for the request that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let proxy = self.proxy.as_ref().map(|_| "***");
        f.debug_struct("Network")
            .field("timeout_s", &self.timeout_s)
            .field("proxy", &proxy)
            .field("ca_file", &self.ca_file)
            .field("upload_chunk_mib", &self.upload_chunk_mib)
            .field("upload_limit", &self.upload_limit)
            .field("download_limit", &self.download_limit)
            .finish()
    }
}

impl Config {
    /// Reads the text of a configuration file; `path` is for messages and for our own safety:
    /// nothing is opened.
    ///
    /// # Errors
    /// All that is wrong with it, at once.
    pub fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
        let mended = openhab::mend(path, text);
        let count = mended.faults.len();
        let (mut text, read) = (mended.text, Reader::new(mended.faults));
        let config = loop {
            match Document::parse(path, &text) {
                Ok(doc) => break Some(read.config(path, &doc)),
                Err(error) => {
                    let rest = document::without_line(&text, error.line);
                    read.note(error);
                    match rest {
                        Some(rest) => text = rest,
                        None => break None,
                    }
                }
            }
        };
        let faults = openhab::without_contradictions(read.faults.into_inner(), count);
        match (ConfigError::of_all(faults), config) {
            (None, Some(config)) => Ok(config),
            (Some(error), _) => Err(error),
            (None, None) => unreachable!("without a fault there is a configuration"),
        }
    }
}

/// Reads the values of a document and collects what is wrong with them: all is told at once.
struct Reader {
    faults: RefCell<Vec<ConfigError>>,
}

impl Reader {
    fn new(faults: Vec<ConfigError>) -> Reader {
        Reader {
            faults: RefCell::new(faults),
        }
    }

    fn note(&self, fault: ConfigError) {
        self.faults.borrow_mut().push(fault);
    }

    /// The value of a key that has a default, which stands in where the value is wrong.
    fn value<T>(
        &self,
        doc: &Document,
        path: &str,
        check: impl Fn(&Setting) -> Result<T, ConfigError>,
    ) -> T {
        let given = doc.required(path).and_then(|setting| check(&setting));
        given.unwrap_or_else(|fault| {
            self.note(fault);
            let default = doc
                .default_of(path)
                .and_then(|default| check(&default).ok());
            default.expect("each default is right, as a test holds")
        })
    }

    /// An optional key: absent and empty mean the same, as with the predecessor.
    fn optional<T>(
        &self,
        doc: &Document,
        path: &str,
        check: impl Fn(&Setting) -> Result<T, ConfigError>,
    ) -> Option<T> {
        let setting = doc.setting(path)?;
        let value = match setting.text() {
            Ok("") => return None,
            Ok(_) => check(&setting),
            Err(fault) => Err(fault),
        };
        value.map_err(|fault| self.note(fault)).ok()
    }

    /// An optional rate, which may be a list.
    fn rates(&self, doc: &Document, path: &str) -> Rates {
        let setting = doc.setting(path);
        let given = setting.filter(|setting| !matches!(setting.text(), Ok("")));
        let rates = given.map(|setting| manners::rates(&setting)).transpose();
        rates
            .map_err(|fault| self.note(fault))
            .ok()
            .flatten()
            .unwrap_or_default()
    }

    /// The configuration. What is wrong is noted, and has something harmless in its place.
    fn config(&self, path: &Path, doc: &Document) -> Config {
        doc.faults()
            .iter()
            .cloned()
            .for_each(|fault| self.note(fault));
        let mut warnings = Vec::new();
        let dropbox = self.dropbox_section(doc);
        let sync = self.sync_section(doc, &mut warnings);
        Config {
            path: path.to_owned(),
            dropbox,
            sync,
            guard: Guard {
                max_delete_count: self.value(doc, "sync.guard.max_delete_count", |setting| {
                    setting.whole(0..=1_000_000_000)
                }),
                max_delete_share: self.value(doc, "sync.guard.max_delete_share", |setting| {
                    setting.share()
                }),
            },
            schedule: self.schedule_section(doc),
            log: LogSection {
                file: self.optional(doc, "log.file", paths::absolute),
                max_kib: self.value(doc, "log.max_kib", |setting| setting.whole(16..=65_536)),
                force: self.value(doc, "log.force", flag),
            },
            network: Network {
                timeout_s: self.value(doc, "network.timeout_s", |setting| setting.whole(5..=600)),
                proxy: self.optional(doc, "network.proxy", hosts::proxy),
                ca_file: self.optional(doc, "network.ca_file", paths::absolute),
                upload_chunk_mib: self.value(doc, "network.upload_chunk_mib", chunk_mib),
                upload_limit: self.rates(doc, "network.upload_limit"),
                download_limit: self.rates(doc, "network.download_limit"),
            },
            notify: NotifySection {
                ping_url: self.optional(doc, "notify.ping_url", secret_address),
                webhook_url: self.optional(doc, "notify.webhook_url", secret_address),
                metrics_file: self.optional(doc, "notify.metrics_file", paths::absolute),
                html_file: self.optional(doc, "notify.html_file", paths::absolute),
                after_s: self.value(doc, "notify.after", notify::after),
            },
            endpoints: Endpoints {
                api: self.value(doc, "endpoints.api", hosts::endpoint),
                content: self.value(doc, "endpoints.content", hosts::endpoint),
                notify: self.value(doc, "endpoints.notify", hosts::endpoint),
                www: self.value(doc, "endpoints.www", hosts::endpoint),
            },
            state_dir: self.optional(doc, "state.dir", paths::absolute),
            content_dir_line: doc
                .setting("sync.content_dir")
                .and_then(|setting| setting.line())
                .unwrap_or(0),
            invocation: Invocation::default(),
            takes_openhabs_filters_for_granted: doc.has_predecessors_names()
                && !doc.is_given("sync.upload_filter")
                && !doc.is_given("sync.download_filter"),
            warnings,
        }
    }

    fn dropbox_section(&self, doc: &Document) -> DropboxSection {
        let app_key = self.optional(doc, "dropbox.app_key", app_key);
        let personal_access_token = self.optional(doc, "dropbox.personal_access_token", secret);
        let is_given = |path: &str| {
            let setting = doc.setting(path);
            setting.is_some_and(|setting| !matches!(setting.text(), Ok("")))
        };
        if !is_given("dropbox.app_key") && !is_given("dropbox.personal_access_token") {
            self.note(doc.missing(
                "dropbox.app_key",
                "neither app_key nor personal_access_token is given",
                &format!("set app_key in [dropbox]; {APP_HELP} shows where it comes from"),
            ));
        }
        DropboxSection {
            app_key,
            app_secret: self.optional(doc, "dropbox.app_secret", secret),
            personal_access_token,
            remote_root: self.value(doc, "dropbox.remote_root", paths::remote_root),
            root: self.value(doc, "dropbox.root", path_root),
            root_line: doc
                .setting("dropbox.root")
                .and_then(|setting| setting.line()),
        }
    }

    fn sync_section(&self, doc: &Document, warnings: &mut Vec<ConfigError>) -> SyncSection {
        let content_dir = doc.required("sync.content_dir");
        let content_dir = content_dir.and_then(|setting| paths::content_dir(&setting));
        let content_dir = content_dir.map_err(|fault| self.note(fault)).ok();
        let (read, faults) = filters::read(doc, warnings);
        faults.into_iter().for_each(|fault| self.note(fault));
        let (paces, faults) = manners::paces(doc);
        faults.into_iter().for_each(|fault| self.note(fault));
        let mode = self.value(doc, "sync.mode", mode);
        SyncSection {
            // Noted as missing or wrong, so that nobody sees this one.
            content_dir: content_dir.unwrap_or_default(),
            mode,
            fake_mode: self.value(doc, "sync.fake_mode", lenient_flag),
            filter: read.filter,
            is_hidden_unsaid: read.is_hidden_unsaid,
            device_name: self.optional(doc, "sync.device_name", paths::device_name),
            conflict: self.value(doc, "sync.conflict", conflict),
            upload_on_reset: self.value(doc, "sync.upload_on_reset", flag),
            max_file_size: self.optional(doc, "sync.max_file_size", manners::size),
            deletes: self.value(doc, "sync.deletes", |setting| {
                manners::deletes(setting, mode)
            }),
            paces,
        }
    }

    fn schedule_section(&self, doc: &Document) -> ScheduleSection {
        ScheduleSection {
            upload_interval: self.value(doc, "schedule.upload_interval", schedule),
            download_interval: self.value(doc, "schedule.download_interval", download_interval),
            watch: self.value(doc, "schedule.watch", flag),
            settle_s: self.value(doc, "schedule.settle_s", |setting| setting.whole(1..=3600)),
        }
    }
}

fn flag(setting: &Setting) -> Result<bool, ConfigError> {
    setting.flag()
}

fn lenient_flag(setting: &Setting) -> Result<bool, ConfigError> {
    setting.lenient_flag()
}

fn app_key(setting: &Setting) -> Result<String, ConfigError> {
    let text = setting.text()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if text.len() <= 64 && text.bytes().all(plain) {
        return Ok(text.to_owned());
    }
    let remedy = format!("copy the app key from the app console; see {APP_HELP}");
    Err(setting.error(
        "an app key is up to 64 letters, digits and any of -_., without blanks or quotes",
        &remedy,
    ))
}

/// An address that knows who may tell something there.
fn secret_address(setting: &Setting) -> Result<Secret, ConfigError> {
    notify::address(setting).map(Secret::new)
}

fn secret(setting: &Setting) -> Result<Secret, ConfigError> {
    let text = setting.text()?;
    // It travels in a header, and a blank is what a careless copy brings along.
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(Secret::new(text));
    }
    let what = "holds a blank, a line break or a character outside ASCII";
    Err(setting.error(
        what,
        "copy it again, in one piece and without blanks around it",
    ))
}

fn path_root(setting: &Setting) -> Result<PathRoot, ConfigError> {
    match setting.text()? {
        "home" => Ok(PathRoot::Home),
        "team" => Ok(PathRoot::Team),
        text => Err(setting.error(
            &format!("'{}' is neither 'home' nor 'team'", short(text)),
            "leave the key out for your own folder, or write \"team\" for the space of your team",
        )),
    }
}

/// The text of the error is the predecessor's.
fn mode(setting: &Setting) -> Result<Mode, ConfigError> {
    let text = setting.text()?;
    match text.to_ascii_uppercase().as_str() {
        "DROPBOX_TO_LOCAL" => Ok(Mode::DropboxToLocal),
        "LOCAL_TO_DROPBOX" => Ok(Mode::LocalToDropbox),
        "BIDIRECTIONAL" => Ok(Mode::Bidirectional),
        _ => Err(setting.error(
            &format!(
                "Unknown SyncMode '{}'. Valid SyncModes are 'DROPBOX_TO_LOCAL', \
                 'LOCAL_TO_DROPBOX' and 'BIDIRECTIONAL'",
                short(text)
            ),
            "use one of the three, or leave the key out for LOCAL_TO_DROPBOX",
        )),
    }
}

fn conflict(setting: &Setting) -> Result<ConflictPolicy, ConfigError> {
    match setting.text()? {
        "keep-both" => Ok(ConflictPolicy::KeepBoth),
        "dropbox-wins" => Ok(ConflictPolicy::DropboxWins),
        other => Err(setting.error(
            &format!("unknown conflict policy '{}'", short(other)),
            "write \"keep-both\" (the default) or \"dropbox-wins\"",
        )),
    }
}

/// Dropbox wants the calls of a session to carry multiples of 4 MiB, and takes up to 150.
fn chunk_mib(setting: &Setting) -> Result<u64, ConfigError> {
    match setting.whole(4..=148)? {
        mib if mib.is_multiple_of(4) => Ok(mib),
        mib => Err(setting.error(
            &format!("{mib} is not a multiple of 4"),
            &format!("write {}", mib / 4 * 4),
        )),
    }
}

fn download_interval(setting: &Setting) -> Result<DownloadInterval, ConfigError> {
    match setting.text()? {
        text if text.eq_ignore_ascii_case("push") => Ok(DownloadInterval::Push),
        _ => schedule(setting).map(DownloadInterval::At),
    }
}

/// The parser's message is `what; remedy`.
fn schedule(setting: &Setting) -> Result<Schedule, ConfigError> {
    schedule::parse(setting.text()?).map_err(|message| {
        let (what, remedy) = message.split_once("; ").unwrap_or((&message, "correct it"));
        setting.error(what, remedy)
    })
}
