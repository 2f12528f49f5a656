//! Temporary files of other instances, whose content dir lies within ours: never touched, and told
//! of once when they have lain there for long.

use crate::core::own_names::Owner;
use crate::core::path::RelPath;
use crate::engine::context::Context;
use crate::error::Result;
use crate::index::Meta;
use crate::io::stat::Status;
use crate::report::printable;

/// How long such a file waits for its instance before it is told of, in nanoseconds: as long as an
/// upload session of Dropbox lives. The clock is only asked for what people are told.
const LONG_NS: i128 = 7 * 24 * 3600 * 1_000_000_000;

/// How many of a directory have lain there for long.
pub(super) fn count_left_by_others(cx: &Context<'_>, dir: &RelPath, own_names: &[String]) -> u64 {
    if cx.is_second_round {
        return 0;
    }
    let is_left = |name: &&String| {
        let found = cx.env.instance.leftover(name);
        if found.is_none_or(|found| found.owner != Owner::Another) {
            return false;
        }
        let status = dir.join(name).map(|path| cx.env.disk.status(&path));
        let now_ns = cx.env.host.now_ns();
        let is_old = |status: Status| i128::from(status.stamp.mtime_ns) < now_ns - LONG_NS;
        let is_old = matches!(status, Ok(Ok(Some(status))) if is_old(status));
        if is_old {
            let dir = printable(&dir.slashed());
            log::debug!("left by another instance: {dir}/{}", printable(name));
        }
        is_old
    };
    own_names.iter().filter(is_left).count() as u64
}

/// Says how many there are, where that is not what was said before.
///
/// # Errors
/// What the index says.
pub(crate) fn tell_left_by_others(cx: &Context<'_>, count: u64) -> Result<()> {
    let index = cx.env.index;
    let told = index.meta(Meta::LeftByOthers)?;
    if told.as_deref().unwrap_or("0") == count.to_string() {
        return Ok(());
    }
    if count > 0 {
        log::warn!(
            "temporary files of other ferrybox instances that are older than 7 days: {count}; \
             they are left alone, -vv names them"
        );
    }
    index.transaction(|| match count {
        0 => index.clear_meta(Meta::LeftByOthers),
        _ => index.set_meta(Meta::LeftByOthers, &count.to_string()),
    })
}
