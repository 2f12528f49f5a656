//! `why`: what is known of a path, which rule decides, and what the next pass would do about it.

use serde_json::json;

use crate::commands::check_filters::{Decided, typed_path};
use crate::commands::past::record;
use crate::commands::sync::SyncArgs;
use crate::config::Config;
use crate::core::path::RelPath;
use crate::engine::pass_record::ProblemNote;
use crate::engine::prepared;
use crate::engine::why::{Explained, explain};
use crate::error::{Error, Result};
use crate::io::dirs::{self, RealDisks};
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
    let is_folder = status.is_some_and(|status| status.kind == Kind::Folder);
    let is_folder = is_folder || typed.ends_with('/');
    let decided = Decided::of(&prepared, &path, is_folder, status);
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
    let state_dir = dirs::state_dir(config)?;
    let record = record(prepared.index.as_ref(), &state_dir)?.unwrap_or_default();
    let is_halted = |direction: &str| record.halts.iter().any(|halt| halt.direction == direction);
    if found.decision == "delete_remote" && is_halted("up")
        || found.decision == "delete_local" && is_halted("down")
    {
        found.decision = "ask";
        let command = config.invocation.command("status");
        found.reason = format!("{}; it waits for you: {command}", found.reason);
    }
    let problem = record.problems.get(&path);
    if is_json {
        print(&path, &found, &decided, problem);
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
    if let Some(problem) = problem {
        lines.push(format!("problem     {}", problem.text));
    }
    if let Some(refusal) = &found.refusal {
        lines.push(format!("before      {}", refusal.text));
    }
    Ok(lines.join("\n"))
}

fn print(path: &str, found: &Explained, decided: &Decided, problem: Option<&ProblemNote>) {
    print_line(
        "why",
        json!({ "path": path, "base": found.base, "local": found.local, "remote": found.remote,
                "pattern": decided.pattern, "decision": found.decision, "reason": found.reason,
                "problem": problem.map(|problem| &problem.text),
                "refusal": found.refusal.as_ref().map(|refusal| &refusal.text) }),
    );
}
