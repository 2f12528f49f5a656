//! `why`: what is known of a path, which rule decides, and what the next pass would do about it.

use serde_json::json;

use crate::commands::check_filters::{Decided, typed_path};
use crate::commands::sync::SyncArgs;
use crate::config::Config;
use crate::core::path::RelPath;
use crate::engine::prepared;
use crate::engine::why::{Explained, explain};
use crate::error::{Error, Result};
use crate::io::dirs::RealDisks;
use crate::io::host::RealHost;
use crate::io::stat::Kind;
use crate::report::{print_line, printable};

/// The text for people; with `is_json` a line was printed instead.
///
/// # Errors
/// [`Error::Failed`] if neither side has anything of that name.
pub fn why(config: &Config, typed: &str, is_json: bool) -> Result<String> {
    let prepared = prepared(&RealDisks, config)?;
    let path = typed_path(&prepared.config.sync.content_dir, typed)?;
    let options = SyncArgs::default().options(&prepared.config);
    let mut found = explain(&prepared, &RealHost::new(), &options, &path)?;
    let relative = RelPath::parse(path.trim_start_matches('/')).ok();
    let status = relative.and_then(|path| prepared.disk.status(&path).ok().flatten());
    let kind = status.map(|status| status.kind);
    let is_folder = kind == Some(Kind::Folder) || typed.ends_with('/');
    let decided = Decided::of(&prepared, &path, is_folder, kind);
    if found.is_unknown && status.is_none() {
        return Err(Error::Failed(format!(
            "{}: neither here nor known in Dropbox",
            printable(&path)
        )));
    }
    if !decided.up && !decided.down {
        found.decision = "nothing";
        found.reason.clone_from(&decided.reason);
    }
    if is_json {
        print(&path, &found, &decided);
        return Ok(String::new());
    }
    let mut lines = vec![
        printable(&path),
        format!("agreed on   {}", found.base),
        format!("here        {}", found.local),
        format!("in Dropbox  {}, as of the last run", found.remote),
        format!("rules       {}", decided.reason),
        format!(
            "next run    {}: {}",
            found.decision.replace('_', " "),
            found.reason
        ),
    ];
    if let Some(refusal) = &found.refusal {
        lines.push(format!("before      {}", refusal.text));
    }
    Ok(lines.join("\n"))
}

fn print(path: &str, found: &Explained, decided: &Decided) {
    print_line(
        "why",
        json!({ "path": path, "base": found.base, "local": found.local, "remote": found.remote,
                "pattern": decided.pattern, "decision": found.decision, "reason": found.reason,
                "refusal": found.refusal.as_ref().map(|refusal| &refusal.text) }),
    );
}
