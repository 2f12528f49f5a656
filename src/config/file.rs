//! Where the configuration file is, and whether it may be trusted.

use std::ffi::OsString;
use std::fs::Metadata;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::exposure::{self, Exposed};
use super::regular_file::{CA_FILE_BYTES_MAX, Links, read_regular, why_not};
use super::{Config, ConfigError};
use crate::core::invocation::quoted;

/// LIMIT: a configuration is a page or two; anything larger is another file named by mistake.
const BYTES_MAX: u64 = 1 << 20;

impl Config {
    /// Reads and checks a file. Refused is one that others than root and the user at work may
    /// write, or put another in the place of; a group counts, but for a user's own. So are such
    /// certificates, and a token or app secret in a file that any group may write.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let (bytes, metadata) = read(path).map_err(|error| {
            // fs-err names the operation and the path; the path is printed before this already.
            fault(
                path,
                &format!("cannot be read: {}", error.kind()),
                "check the path and its mode",
            )
        })?;
        if bytes.len() as u64 > BYTES_MAX {
            return Err(fault(
                path,
                "is larger than 1 MiB",
                "name a configuration file",
            ));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = good.iter().filter(|&&byte| byte == b'\n').count() + 1;
            ConfigError {
                line: Some(line),
                ..fault(path, "is not UTF-8", "save it as UTF-8")
            }
        })?;
        let mode = metadata.permissions().mode();
        check_writers(path, &metadata)
            .map_err(|(path, exposed)| fault(&path, &exposed.what, &exposed.remedy))?;
        let mut config = Config::parse(path, &text)?;
        check_ca_file(&config)?;
        let dropbox = &config.dropbox;
        let shown = quoted(&path.to_string_lossy());
        let has_password = |url: &String| url.contains('@');
        if dropbox.personal_access_token.is_some()
            || dropbox.app_secret.is_some()
            || config.notify.ping_url.is_some()
            || config.notify.webhook_url.is_some()
            || config.network.proxy.as_ref().is_some_and(has_password)
        {
            let remedy = format!("chmod 600 {shown}");
            if mode & 0o020 != 0 {
                return Err(fault(
                    path,
                    "holds a secret and can be changed by a group",
                    &remedy,
                ));
            }
            // A group may read: root:ferrybox 0640 is how a service is given its configuration.
            if mode & 0o004 != 0 {
                config.warnings.push(fault(
                    path,
                    "holds a secret that every user can read",
                    &remedy,
                ));
            }
        }
        Ok(config)
    }

    /// The configuration file to use: `explicit` (`--config`), else `$FERRYBOX_CONFIG`, else the
    /// first that exists of `$XDG_CONFIG_HOME/ferrybox/config.toml` (without that variable
    /// `.config/ferrybox/config.toml` under `$HOME`, else under `home`, the one of the passwd
    /// entry) and `/etc/ferrybox/config.toml`.
    pub fn find(
        explicit: Option<&Path>,
        env: &dyn Fn(&str) -> Option<OsString>,
        home: Option<&Path>,
    ) -> Result<PathBuf, ConfigError> {
        let variable = |name| {
            env(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let named = [
            (explicit.map(Path::to_owned), "--config"),
            (variable("FERRYBOX_CONFIG"), "$FERRYBOX_CONFIG"),
        ];
        for (path, by) in named {
            if let Some(path) = path {
                return match is_missing(&path) {
                    true => Err(fault(&path, "no such file", &format!("correct {by}"))),
                    false => Ok(path),
                };
            }
        }
        // A relative one would depend on where cron starts us; the XDG specification ignores it,
        // too.
        let absolute = |name| variable(name).filter(|path| path.is_absolute());
        let under_home = || {
            absolute("HOME")
                .or(home.map(Path::to_owned))
                .map(|h| h.join(".config"))
        };
        let user = absolute("XDG_CONFIG_HOME").or_else(under_home);
        let user = user.map(|dir| dir.join("ferrybox/config.toml"));
        let places: Vec<_> = user
            .into_iter()
            .chain([PathBuf::from("/etc/ferrybox/config.toml")])
            .collect();
        if let Some(found) = places.iter().find(|place| !is_missing(place)) {
            return Ok(found.clone());
        }
        let looked: Vec<_> = places
            .iter()
            .map(|place| place.display().to_string())
            .collect();
        Err(fault(
            &places[0],
            &format!("no configuration file; looked at {}", looked.join(" and ")),
            "copy the example config/ferrybox.toml there, or name a file with --config or \
             $FERRYBOX_CONFIG",
        ))
    }
}

/// Whoever can change this file, or put another in its place, decides what is uploaded, and where
/// to. It lies in the directory it is named in and, where that is a link, in another one as well.
fn check_writers(path: &Path, metadata: &Metadata) -> Result<(), (PathBuf, Exposed)> {
    if let Some(exposed) = exposure::of_file(path, metadata) {
        return Err((path.to_owned(), exposed));
    }
    let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    for path in [path, &real] {
        let dir = match path.parent() {
            Some(dir) if dir.as_os_str().is_empty() => Path::new("."),
            Some(dir) => dir,
            None => continue,
        };
        let metadata = std::fs::metadata(dir);
        if let Some(exposed) = metadata
            .ok()
            .and_then(|dir_is| exposure::of_dir(dir, &dir_is))
        {
            return Err((path.to_owned(), exposed));
        }
    }
    Ok(())
}

/// Certificates that are trusted decide whom the sign-in is sent to. A file that cannot be read is
/// told of where it is.
fn check_ca_file(config: &Config) -> Result<(), ConfigError> {
    let Some(file) = &config.network.ca_file else {
        return Ok(());
    };
    let Ok(metadata) = std::fs::metadata(file) else {
        return Ok(());
    };
    let of_key = |file: &Path, what: &str, remedy: &str| ConfigError {
        key: Some("network.ca_file".to_owned()),
        ..fault(&config.path, &format!("{} {what}", file.display()), remedy)
    };
    if let Some(why) = why_not(&metadata, CA_FILE_BYTES_MAX) {
        return Err(of_key(file, &why, "name a PEM file of certificates"));
    }
    check_writers(file, &metadata)
        .map_err(|(file, exposed)| of_key(&file, &exposed.what, &exposed.remedy))
}

/// Whether a file is a configuration of ferrybox, usable or not: it sets a content dir.
pub fn is_config(path: &Path) -> bool {
    let key = |line: &str| {
        let (key, _) = line.split_once('=')?;
        let key = key.trim().rsplit(['.', ':']).next()?;
        Some(key.trim().to_owned())
    };
    let is_ours = |key: String| ["content_dir", "contentdir"].contains(&&*key);
    read_regular(path, BYTES_MAX, Links::Refused).is_ok_and(|bytes| {
        let text = String::from_utf8_lossy(&bytes);
        text.lines().filter_map(key).any(is_ours)
    })
}

/// The content, cut above the limit, and what `fstat` says of the very file that was read.
fn read(path: &Path) -> io::Result<(Vec<u8>, Metadata)> {
    let file = fs_err::File::open(path)?;
    let metadata = file.metadata()?;
    let mut bytes = Vec::new();
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok((bytes, metadata))
}

fn fault(path: &Path, what: &str, remedy: &str) -> ConfigError {
    ConfigError {
        file: path.to_owned(),
        line: None,
        key: None,
        what: what.to_owned(),
        remedy: remedy.to_owned(),
        next: None,
    }
}

/// Only a file that is surely absent is passed over: one that cannot be looked at is an error of
/// its own when it is read, not a reason to run with another configuration.
fn is_missing(path: &Path) -> bool {
    matches!(path.try_exists(), Ok(false))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    const TOKEN: &str = "personalAccessToken = 't'\ncontentdir = '/s'\n";

    /// A directory of its own for each test.
    fn dir(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("ferrybox-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    fn load_with(dir: &Path, bytes: &[u8], mode: u32) -> Result<Config, String> {
        let path = dir.join("config.toml");
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        Config::load(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_that_others_may_write_or_that_leaks_a_secret_is_not_silent() {
        let dir = dir("mode");
        let key = b"appkey = 'k'\ncontentdir = '/s'\n";
        assert!(load_with(&dir, key, 0o664).unwrap().warnings.is_empty());
        assert!(
            load_with(&dir, key, 0o666)
                .unwrap_err()
                .contains("chmod o-w")
        );
        assert!(
            load_with(&dir, TOKEN.as_bytes(), 0o600)
                .unwrap()
                .warnings
                .is_empty()
        );
        assert!(
            load_with(&dir, TOKEN.as_bytes(), 0o660)
                .unwrap_err()
                .contains("by a group")
        );
        assert!(
            load_with(&dir, TOKEN.as_bytes(), 0o640)
                .unwrap()
                .warnings
                .is_empty()
        );
        let warnings = load_with(&dir, TOKEN.as_bytes(), 0o644).unwrap().warnings;
        assert!(
            warnings[0]
                .to_string()
                .contains("every user can read; chmod 600")
        );
        fs::remove_dir_all(dir).unwrap();
    }

    /// B10.
    #[test]
    fn b10_a_proxy_with_a_password_makes_the_file_one_with_a_secret() {
        let dir = dir("proxy");
        let text = "appkey = 'k'\ncontentdir = '/s'\nnetwork.proxy = 'http://u:p@h:1'\n";
        assert!(
            load_with(&dir, text.as_bytes(), 0o660)
                .unwrap_err()
                .contains("by a group")
        );
        assert_eq!(
            load_with(&dir, text.as_bytes(), 0o644)
                .unwrap()
                .warnings
                .len(),
            1
        );
        let text = text.replace("u:p@", "");
        assert!(
            load_with(&dir, text.as_bytes(), 0o664)
                .unwrap()
                .warnings
                .is_empty()
        );
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_is_no_configuration_is_refused_in_one_line() {
        let dir = dir("odd");
        assert!(
            load_with(&dir, b"a = 1\nb = '\xff'", 0o600)
                .unwrap_err()
                .contains(":2: is not UTF")
        );
        let large = vec![b'#'; BYTES_MAX as usize + 1];
        assert!(
            load_with(&dir, &large, 0o600)
                .unwrap_err()
                .contains("larger than 1 MiB")
        );
        assert!(
            Config::load(&dir)
                .unwrap_err()
                .to_string()
                .contains("cannot be read: is a directory")
        );
        assert!(
            Config::load(&dir.join("none"))
                .unwrap_err()
                .to_string()
                .contains("not found")
        );
        let crlf = format!("\u{feff}{}", TOKEN.replace('\n', "\r\n"));
        assert!(load_with(&dir, crlf.as_bytes(), 0o600).is_ok());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn the_first_place_that_is_named_or_exists_wins() {
        let dir = dir("find");
        let file = |name: &str| {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            path
        };
        let (flag, named) = (file("flag.toml"), file("env.toml"));
        let xdg = file("xdg/ferrybox/config.toml");
        let home = file("home/.config/ferrybox/config.toml");
        let passwd = file("passwd/.config/ferrybox/config.toml");
        let (xdg_dir, home_dir) = (dir.join("xdg"), dir.join("home"));
        let find = |explicit: Option<&Path>, set: &[(&str, &Path)]| {
            let env = |name: &str| {
                set.iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, path)| path.as_os_str().into())
            };
            Config::find(explicit, &env, Some(&dir.join("passwd")))
        };
        let named_set = ("FERRYBOX_CONFIG", named.as_path());
        let (xdg_set, home_set) = (
            ("XDG_CONFIG_HOME", xdg_dir.as_path()),
            ("HOME", home_dir.as_path()),
        );
        assert_eq!(find(Some(&flag), &[named_set, xdg_set]), Ok(flag.clone()));
        assert_eq!(find(None, &[named_set, xdg_set]), Ok(named.clone()));
        assert_eq!(find(None, &[xdg_set, home_set]), Ok(xdg));
        assert_eq!(find(None, &[home_set]), Ok(home));
        assert_eq!(
            find(None, &[("XDG_CONFIG_HOME", Path::new("relative"))]),
            Ok(passwd)
        );
        let missing = find(Some(&dir.join("none")), &[named_set])
            .unwrap_err()
            .to_string();
        assert!(
            missing.contains("no such file; correct --config"),
            "{missing}"
        );
        let nowhere = find(None, &[("XDG_CONFIG_HOME", &dir.join("empty"))]);
        if let Err(error) = nowhere {
            let line = error.to_string();
            assert!(
                line.contains("empty/ferrybox/config.toml and /etc/ferrybox/config.toml; copy")
            );
        }
        fs::remove_dir_all(dir).unwrap();
    }
}
