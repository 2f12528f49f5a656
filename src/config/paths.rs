//! Paths and names: the content dir, the state dir, the remote root, the device name.

use std::path::{Component, Path, PathBuf};

use super::ConfigError;
use super::document::Setting;

/// A local path. It must be absolute: cron, systemd and a shell start us in different places.
pub(super) fn absolute(setting: &Setting) -> Result<PathBuf, ConfigError> {
    let example = setting.example();
    let text = setting.text()?;
    let path = Path::new(text);
    if text.chars().any(char::is_control) {
        let remedy = "write the path without them, in 'single quotes' if it holds a backslash";
        return Err(setting.error("holds a control character", remedy));
    }
    if text.starts_with('~') || text.contains('$') && !path.is_absolute() {
        let remedy = "write the whole path, such as /home/pi/conf";
        return Err(setting.error("'~' and variables are not replaced here", remedy));
    }
    if !path.is_absolute() {
        let what = "must be an absolute path: cron, systemd and a shell start in different places";
        return Err(setting.error(what, &format!("write the whole path, such as {example}")));
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(setting.error("must not hold '..'", "write the path it stands for"));
    }
    // Without '.', doubled slashes and a slash at the end.
    Ok(path.components().collect())
}

/// The content dir: any directory but the whole system.
pub(super) fn content_dir(setting: &Setting) -> Result<PathBuf, ConfigError> {
    let path = match setting.text()? {
        "" => return Err(setting.error("is empty", "name the directory, such as /etc/openhab")),
        _ => absolute(setting)?,
    };
    if path == Path::new("/") {
        let what = "'/' would be the whole system, its devices and this program's state too";
        return Err(setting.error(what, "name the directory to keep in Dropbox"));
    }
    Ok(path)
}

/// `""` or `/a/b`; slashes at either end may be there or not.
pub(super) fn remote_root(setting: &Setting) -> Result<String, ConfigError> {
    let text = setting.text()?;
    if matches!(text, "" | "/") {
        return Ok(String::new());
    }
    let names = text.strip_prefix('/').unwrap_or(text);
    let names = names.strip_suffix('/').unwrap_or(names);
    let remedy = "write folder names separated by '/', such as \"/Gateways/kitchen\"";
    if names.contains('\\') {
        return Err(setting.error("must not hold '\\'", remedy));
    }
    if names.chars().any(char::is_control) {
        return Err(setting.error("holds a control character", remedy));
    }
    for name in names.split('/') {
        match name {
            "" => return Err(setting.error("holds an empty folder name ('//')", remedy)),
            "." | ".." => return Err(setting.error("must not hold '.' or '..'", remedy)),
            // Dropbox drops it, so that we would ask for one folder and watch another.
            _ if name.trim() != name => {
                return Err(setting.error("a folder name starts or ends with a blank", remedy));
            }
            _ => {}
        }
    }
    Ok(format!("/{names}"))
}

/// The name in conflict copies. It becomes part of file names, on Windows and vfat too.
pub(super) fn device_name(setting: &Setting) -> Result<String, ConfigError> {
    let text = setting.text()?;
    let remedy = "choose a short name, such as \"gateway\"";
    if text
        .chars()
        .any(|c| c.is_control() || "/\\<>:\"|?*".contains(c))
    {
        return Err(setting.error(
            "holds a character that file names cannot (/\\<>:\"|?*)",
            remedy,
        ));
    }
    // LIMIT: a conflict copy's name has 255 bytes for everything.
    if text.len() > 64 || text.trim() != text {
        return Err(setting.error("must be up to 64 bytes, without blanks around it", remedy));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::parse;

    #[test]
    fn content_dir_is_required_absolute_and_not_everything() {
        let line = parse("[dropbox]\nappkey = 'k'\n[sync]\nhidden = true")
            .unwrap_err()
            .to_string();
        let expected = "/etc/f.toml:3: sync.content_dir: is required and not given; \
                        add it to [sync], \
                        as in content_dir = \"/etc/openhab\"";
        assert_eq!(line, expected);
        let dir = |dir: &str| {
            let config = parse(&format!("appkey = 'k'\ncontentdir = \"{dir}\""));
            config
                .map(|config| config.sync.content_dir)
                .map_err(|error| error.to_string())
        };
        assert_eq!(dir("/srv//a/./b/"), Ok(PathBuf::from("/srv/a/b")));
        for (wrong, expected) in [
            ("", "is empty"),
            ("/", "whole system"),
            ("//", "whole system"),
            ("conf", "must be an absolute path"),
            ("~/conf", "'~'"),
            ("$HOME/conf", "variables"),
            ("/srv/../etc", "'..'"),
            ("/srv\\u0001", "control"),
        ] {
            let line = dir(wrong).expect_err(wrong);
            assert!(
                line.starts_with("/etc/f.toml:2: contentdir: ") && line.contains(expected),
                "{line}"
            );
        }
    }

    /// B15: the directory of the configuration, which holds secrets, is never proposed.
    #[test]
    fn b15_the_remedy_for_a_relative_path_is_none_of_our_own_directories() {
        for relative in [".", "./", "conf", "./Backup/OpenHAB/"] {
            let text = format!("appkey = 'k'\ncontentdir = '{relative}'");
            let line = parse(&text).expect_err(relative).to_string();
            assert!(
                line.ends_with("write the whole path, such as /etc/openhab"),
                "{line}"
            );
            assert!(!line.contains("/etc/."), "{line}");
        }
    }

    #[test]
    fn remote_root_is_normalised_and_kept_inside() {
        let root = |root: &str| {
            let config = parse(&format!(
                "appkey='k'\ncontentdir='/s'\ndropbox.remote_root = '{root}'"
            ));
            config.map(|config| config.dropbox.remote_root)
        };
        for (written, expected) in [("", ""), ("/", ""), ("a", "/a"), ("/a b/ü/", "/a b/ü")] {
            assert_eq!(root(written).unwrap(), expected);
        }
        for wrong in [
            "/a/../b", "..", "/a//b", "//", "/a/.", "a\\b", "/a /b", "///",
        ] {
            assert!(root(wrong).is_err(), "{wrong}");
        }
    }
}
