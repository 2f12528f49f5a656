//! Whether the log would be another file of ours: lines in it would end a sign-in, damage the index
//! or travel to Dropbox.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::io::dirs::{runtime_dirs, state_dir, without_links};

/// What stands behind the name of a log that is full: one generation is kept, and what others keep.
const GENERATIONS: [&str; 3] = ["", ".1", ".2"];

/// What the log would be, or one of its old generations: by its path without links, and by what is
/// there, since a file or directory can have several paths. Nothing if it is a log and no more.
pub(super) fn taken_for(log: &Path, config: &Config) -> Option<&'static str> {
    let names = GENERATIONS.map(|generation| {
        let mut name = log.to_owned().into_os_string();
        name.push(generation);
        PathBuf::from(name)
    });
    names.iter().find_map(|name| is_ours(name, config))
}

fn is_ours(log: &Path, config: &Config) -> Option<&'static str> {
    let is = |other: &Path| is_same(log, other);
    if is(&config.path) {
        return Some("the configuration");
    }
    if config.network.ca_file.as_deref().is_some_and(is) {
        return Some("network.ca_file");
    }
    if is_below(log, &config.sync.content_dir) {
        return Some("in sync.content_dir, where it would be synced");
    }
    if let Ok(state) = state_dir(config) {
        let files = std::fs::read_dir(&state).into_iter().flatten().flatten();
        if is_below(log, &state) || files.into_iter().any(|file| is(&file.path())) {
            return Some("in the state directory, whose files are not for logs");
        }
    }
    let name = log.file_name().unwrap_or_default().to_string_lossy();
    let is_access = name.starts_with("access-") && name.ends_with(".json");
    let is_runtime = |dir: PathBuf| log.parent().is_some_and(|above| is_same(above, &dir));
    if is_access && runtime_dirs().into_iter().any(is_runtime) {
        return Some("where an access token is kept");
    }
    None
}

fn is_same(one: &Path, other: &Path) -> bool {
    without_links(one) == without_links(other) || is_one(one, other)
}

/// Whether two paths lead to one thing that is there.
fn is_one(one: &Path, other: &Path) -> bool {
    let id = |found: Metadata| (found.dev(), found.ino());
    let id = |path: &Path| std::fs::metadata(path).ok().map(id);
    id(one).is_some_and(|found| id(other) == Some(found))
}

/// Whether a path lies below a directory; mounted twice, that has two paths.
fn is_below(path: &Path, dir: &Path) -> bool {
    let (real, real_dir) = (without_links(path), without_links(dir));
    real.starts_with(&real_dir) || real.ancestors().skip(1).any(|above| is_one(above, dir))
}
