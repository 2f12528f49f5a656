//! The gateway's time zone: `$TZ`, else `/etc/localtime`, else UTC.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use crate::io::env::env;

/// Where zones have their files.
const ZONES: &str = "/usr/share/zoneinfo";

/// The zone as it is now: it may be another one after the next look.
pub fn time_zone() -> TimeZone {
    let named = env("TZ").map(|text| text.to_string_lossy().into_owned());
    match &named {
        Some(text) => zone_named(text, Path::new(ZONES)).unwrap_or_else(|| {
            log::warn!("TZ={text} names no time zone of this machine: times are in UTC");
            TimeZone::UTC
        }),
        None => zone_in(Path::new("/etc/localtime")).unwrap_or(TimeZone::UTC),
    }
}

/// What tzset(3) reads: a file, a name below the zones, or a rule such as `CET-1CEST,M3.5.0,...`.
fn zone_named(text: &str, zones: &Path) -> Option<TimeZone> {
    let name = text.strip_prefix(':').unwrap_or(text);
    let file: PathBuf = zones.join(name);
    let is_below = !name.split('/').any(|part| part == "..");
    let found = if is_below { zone_in(&file) } else { None };
    found.or_else(|| match name {
        "UTC" | "UTC0" | "GMT" => Some(TimeZone::UTC),
        _ => TimeZone::posix(name).ok(),
    })
}

fn zone_in(file: &Path) -> Option<TimeZone> {
    TimeZone::tzif("", &fs_err::read(file).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_found_by_rule_and_unknown_ones_not_at_all() {
        let nowhere = Path::new("/nonexistent");
        let june = "2027-06-01T12:00:00Z".parse().unwrap();
        let hours = |text: &str| {
            let zone = zone_named(text, nowhere)?;
            Some(zone.to_offset(june).seconds() / 3600)
        };
        assert_eq!(hours("CET-1CEST,M3.5.0,M10.5.0/3"), Some(2));
        assert_eq!(hours(":EST5"), Some(-5));
        assert_eq!(hours("UTC"), Some(0));
        assert_eq!(hours("Europe/Atlantis"), None);
        assert_eq!(hours("../etc/passwd"), None);
    }
}
