//! What is not synced is said: by a first pass, every dry run, and where the filters have changed.

use super::coverage::{Coverage, Surveyed};
use crate::core::decide::Mode;
use crate::core::filter::{IGNORE_FILE, ListName, Written};
use crate::engine::context::Context;
use crate::engine::survey::Survey;
use crate::error::Result;
use crate::index::Meta;
use crate::logging::NOTICE;
use crate::report::{counted, grouped, printable};

/// LIMIT: patterns that match nothing and are named.
const UNMATCHED_SAID: usize = 20;

/// What the index says behind a fingerprint where some of the globs are from the file.
const WITH_FILE: &str = " with file";

/// Says how much is left out and by what, unless that was told of these filters before.
///
/// # Errors
/// What the index says, or the content dir.
pub(crate) fn tell_coverage(cx: &Context<'_>, survey: &Survey) -> Result<()> {
    let filter = &cx.env.config.sync.filter;
    let has_file = |written: Written<'_>| written.ignore_file_line.is_some();
    let has_file = filter.patterns().any(has_file);
    let file = if has_file { WITH_FILE } else { "" };
    let mark = filter.fingerprint() + file;
    let told = cx.env.index.meta(Meta::CoverageTold)?;
    if told.as_ref() == Some(&mark) && !cx.options.dry_run {
        return Ok(());
    }
    if filter.takes_everything() && !filter.hides_name(".a") {
        say(survey.skipped.text(0), "");
    } else {
        let surveyed = Surveyed {
            disk: cx.env.disk,
            config: cx.env.config,
            own_keys: &cx.env.own_keys,
        };
        let coverage = surveyed.count()?;
        let command = cx.env.config.invocation.command("check-filters");
        let text = coverage.skipped.text(coverage.patterns_that_leave_out());
        say(text, &format!("; which: {command}"));
        if cx.options.mode != Mode::DropboxToLocal {
            tell_closed(cx, &coverage, &command);
            tell_unmatched(cx, &surveyed, &coverage)?;
        }
    }
    let index = cx.env.index;
    index.transaction(|| index.set_meta(Meta::CoverageTold, &mark))
}

fn say(text: Option<String>, more: &str) {
    if let Some(text) = text {
        log::warn!(target: NOTICE, "not synced: {text}{more}");
    }
}

/// Before anything is done: what the content dir's own file left out until now travels without it.
///
/// # Errors
/// What the index says.
pub(crate) fn tell_gone_file(cx: &Context<'_>) -> Result<()> {
    let told = cx.env.index.meta(Meta::CoverageTold)?;
    let mut patterns = cx.env.config.sync.filter.patterns();
    let has_file = patterns.any(|written| written.ignore_file_line.is_some());
    if !has_file && told.is_some_and(|told| told.ends_with(WITH_FILE)) {
        log::warn!("{IGNORE_FILE} is gone or empty: what it left out is synced from now on");
    }
    Ok(())
}

/// What 0.1 left out for its name is left out until its owner decides.
pub(crate) fn tell_hidden_as_before(cx: &Context<'_>) {
    let sync = &cx.env.config.sync;
    if sync.is_hidden_unsaid && sync.filter.hides_name(".a") {
        let what = format!(
            "names that start with a dot are not synced, as it was when this machine was set up; \
             Home Assistant's .storage is one; write one of these lines below [sync] into {}",
            cx.env.config.path.display()
        );
        let lines = "hidden = true   # sync them\nhidden = false  # go on leaving them out";
        cx.env.report.advise(&what, lines);
    }
}

/// A filter that lets nothing through is no backup.
fn tell_closed(cx: &Context<'_>, coverage: &Coverage, command: &str) {
    let skipped = &coverage.skipped;
    let left_out = skipped.excluded + skipped.ignored + skipped.hidden;
    if coverage.synced == 0 && skipped.unlisted == 0 && left_out > 0 {
        log::warn!(
            "none of {} here is synced; to see why: {command}",
            counted(left_out, "file", "files")
        );
    }
    let files = coverage.synced + skipped.unlisted;
    let is_both = cx.options.mode == Mode::Bidirectional;
    let closed = [
        (coverage.let_up == 0, ListName::Upload),
        (is_both && coverage.let_down == 0, ListName::Download),
    ];
    for (_, list) in closed
        .iter()
        .filter(|(is_closed, _)| *is_closed && files > 0)
    {
        log::warn!(
            "sync.{} lets none of {} here through; to see why: {command}",
            list.key(),
            counted(files, "file", "files")
        );
    }
}

/// Patterns that match nothing are mistyped more often than not.
fn tell_unmatched(cx: &Context<'_>, surveyed: &Surveyed<'_>, coverage: &Coverage) -> Result<()> {
    if coverage.synced + coverage.skipped.unlisted == 0 {
        return Ok(());
    }
    let is_asked = |list| match list {
        ListName::Download => cx.options.mode == Mode::Bidirectional,
        ListName::Upload | ListName::Exclude | ListName::Ignore => true,
    };
    let near = surveyed.near_misses(coverage)?;
    let unmatched = cx.env.config.sync.filter.patterns().filter(|written| {
        is_asked(written.list) && coverage.files_of(written.list, written.at) == 0
    });
    let mut more = 0_u64;
    for (at, written) in unmatched.enumerate() {
        if at >= UNMATCHED_SAID {
            more += 1;
            continue;
        }
        let advice = near.get(&(written.list, written.at));
        log::warn!("{}", unmatched_text(&written, advice));
    }
    if more > 0 {
        let command = cx.env.config.invocation.command("check-filters");
        log::warn!(
            "... and {} more patterns that match nothing: {command}",
            grouped(more)
        );
    }
    Ok(())
}

/// What is said of a pattern that matches nothing; `advice` is what to do, and a path that shows
/// why.
pub fn unmatched_text(written: &Written<'_>, advice: Option<&(String, String)>) -> String {
    let place = match written.ignore_file_line {
        Some(line) => format!("{IGNORE_FILE}:{line}"),
        None => format!("sync.{}", written.list.key()),
    };
    let text = format!(
        "{place}: '{}' matches no file here",
        printable(written.text)
    );
    match advice {
        Some((advice, path)) => format!("{text}: {advice} (see {})", printable(path)),
        None => text,
    }
}
