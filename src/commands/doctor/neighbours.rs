//! Who else syncs the same directory: other programs by the marks they leave, and other
//! configurations of Ferrybox.

use std::path::{Path, PathBuf};

use super::check::Check;
use super::marks::tool_of;
use super::tree::WalkedTree;
use crate::config::{Config, is_config};
use crate::core::own_names::MARKER;
use crate::io::dirs;
use crate::words::printable;

/// Names that are looked for in the directories above.
const ABOVE: [&str; 5] = [
    ".stfolder",
    ".dropbox.cache",
    ".nextcloudsync.log",
    ".owncloudsync.log",
    MARKER,
];

/// Does anything else work in the same directory?
pub fn neighbours(config: &Config, tree: Option<&WalkedTree>) -> Check {
    let mut check = Check::new("other_tools");
    let content_dir = dirs::without_links(&config.sync.content_dir);
    let apart = "let one program sync this directory: take it out of the other, or name another \
                 sync.content_dir";
    for (tool, path) in tree.into_iter().flat_map(|tree| &tree.tools) {
        let path = printable(path);
        check.warn(format!("{tool} has left its mark here ({path})"), apart);
    }
    if let Some(markers) = tree.map(|tree| &tree.markers).filter(|all| all.count > 0) {
        check.warn(
            format!(
                "another content dir of ferrybox lies within: {}",
                markers.names()
            ),
            format!("leave it out with sync.ignore; if it is none any more, remove {MARKER} there"),
        );
    }
    for above in content_dir.ancestors().skip(1) {
        for name in ABOVE {
            let mark = above.join(name);
            if fs_err::symlink_metadata(&mark).is_err() {
                continue;
            }
            let who = tool_of(name).unwrap_or("another content dir of ferrybox");
            let mark = printable(&mark.display().to_string());
            check.warn(format!("{who}: its mark lies above ({mark})"), apart);
        }
    }
    for (file, dir) in other_pairs(config, &content_dir) {
        let (file, dir) = (file.display(), dir.display());
        check.warn(
            format!("{file} syncs {dir}, which is the same directory or overlaps with it"),
            "let each configuration have a directory of its own, with no other within",
        );
    }
    if check.text().is_empty() {
        check.ok("no other program and no other configuration was found here");
    }
    check
}

/// Other configurations, and their content dirs that overlap with this one. One that cannot be
/// read says nothing.
fn other_pairs(config: &Config, content_dir: &Path) -> Vec<(PathBuf, PathBuf)> {
    let own = dirs::without_links(&config.path);
    let mut files: Vec<PathBuf> = dirs::config_dirs(&config.path)
        .into_iter()
        .filter_map(|dir| fs_err::read_dir(dir).ok())
        .flatten()
        .filter_map(|entry| Some(dirs::without_links(&entry.ok()?.path())))
        .filter(|path| path.extension().is_some_and(|ext| ext == "toml"))
        .filter(|path| *path != own && is_config(path))
        .collect();
    files.sort();
    files.dedup();
    let loaded = files.into_iter().filter_map(|file| {
        let other = Config::load(&file).ok()?.sync.content_dir;
        let real = dirs::without_links(&other);
        let overlaps = real.starts_with(content_dir) || content_dir.starts_with(&real);
        overlaps.then_some((file, other))
    });
    loaded.collect()
}
