//! When an expression fires: local times, and the instants they stand for where clocks change.
//!
//! An expression that names hours is about the clock on the wall: a time that a change skips is
//! made up for at the moment of the change, one that comes twice counts once, the first time. One
//! that fires in every hour is about time that passes: what is skipped is left out, and an hour
//! that comes twice is served twice. (So does cron(8); Quartz leaves it open.)

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::quartz::{Days, Quartz};

/// The last year that is looked into.
const LAST_YEAR: i16 = 2099;
const EVERY_HOUR: u64 = (1 << 24) - 1;

impl Quartz {
    /// The first instant after `after` at which it fires in this time zone; nothing if it never
    /// does again.
    pub fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        if self.hours == EVERY_HOUR {
            self.next_as_time_passes(after, zone)
        } else {
            self.next_on_the_wall(after, zone)
        }
    }

    fn next_on_the_wall(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut local = zone.to_datetime(after);
        loop {
            local = self.next_local(local)?;
            let at = zone.to_ambiguous_timestamp(local);
            let instant = match at.offset() {
                AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => at.earlier(),
                AmbiguousOffset::Gap { after: offset, .. } => offset
                    .to_timestamp(local)
                    .map(|just_before| change_after(just_before, zone).unwrap_or(just_before)),
            }
            .ok()?;
            if instant > after {
                return Some(instant);
            }
        }
    }

    fn next_as_time_passes(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut offset = zone.to_offset(after);
        let mut local = offset.to_datetime(after);
        let mut change = change_after(after, zone);
        loop {
            let instant = offset.to_timestamp(self.next_local(local)?).ok()?;
            match change {
                Some(at) if instant >= at => {
                    offset = zone.to_offset(at);
                    // What fires at the very moment of the change counts as well.
                    local = offset.to_datetime(at).checked_sub(SECOND).ok()?;
                    change = change_after(at, zone);
                }
                _ => return Some(instant),
            }
        }
    }

    /// The first local time after `after` at which it fires.
    pub fn next_local(&self, after: DateTime) -> Option<DateTime> {
        let mut date = after.date();
        let time = after.time();
        let mut from = [time.hour(), time.minute(), time.second()].map(i8::unsigned_abs);
        // Strictly after; a fraction of a second has passed it already.
        from[2] += 1;
        while date.year() <= LAST_YEAR {
            if self.fires_on(date)
                && let Some([hour, minute, second]) = self.time_from(from)
            {
                return Some(date.at(hour, minute, second, 0));
            }
            date = date.tomorrow().ok()?;
            from = [0; 3];
        }
        None
    }

    /// The first time of a day that is not before `from` (hour, minute, second).
    fn time_from(&self, [hour, minute, second]: [u8; 3]) -> Option<[i8; 3]> {
        let at = |hour, minute, second| [hour, minute, second].map(u8::cast_signed);
        let first = |set: u64| lowest(set, 0);
        if lowest(self.hours, hour) == Some(hour) {
            if lowest(self.minutes, minute) == Some(minute)
                && let Some(second) = lowest(self.seconds, second)
            {
                return Some(at(hour, minute, second));
            }
            if let Some(minute) = lowest(self.minutes, minute + 1) {
                return Some(at(hour, minute, first(self.seconds)?));
            }
        }
        let hour = lowest(self.hours, hour + 1)?;
        Some(at(hour, first(self.minutes)?, first(self.seconds)?))
    }

    fn fires_on(&self, date: Date) -> bool {
        let (day, last) = (date.day(), date.days_in_month());
        let of_week = date.weekday().to_sunday_one_offset();
        let has = |set: u64, value: i8| set & (1 << value) != 0;
        let is_in_year = match &self.years {
            Some(years) => u16::try_from(date.year()).is_ok_and(|year| years.contains(&year)),
            None => true,
        };
        if !is_in_year || !has(self.months, date.month()) {
            return false;
        }
        match self.days {
            Days::OfMonth(set) => has(set, day),
            Days::LastOfMonth { days_before } => day == last - days_before.cast_signed(),
            Days::LastWeekdayOfMonth { days_before } => {
                weekday_near(date, last - days_before.cast_signed()) == Some(day)
            }
            Days::NearestWeekday(near) => weekday_near(date, near.cast_signed()) == Some(day),
            Days::OfWeek(set) => has(set, of_week),
            Days::LastOfWeek(wanted) => of_week == wanted.cast_signed() && day > last - 7,
            Days::NthOfWeek { day: wanted, nth } => {
                of_week == wanted.cast_signed() && (day - 1) / 7 + 1 == nth.cast_signed()
            }
            Days::OfCrontab {
                of_month,
                of_week: days,
                either: true,
            } => has(of_month, day) || has(days, of_week),
            Days::OfCrontab {
                of_month,
                of_week: days,
                either: false,
            } => has(of_month, day) && has(days, of_week),
        }
    }
}

const SECOND: jiff::SignedDuration = jiff::SignedDuration::from_secs(1);

/// The weekday nearest to this day, in the month of `date`; nothing if the month lacks the day.
fn weekday_near(date: Date, day: i8) -> Option<i8> {
    let last = date.days_in_month();
    if !(1..=last).contains(&day) {
        return None;
    }
    let of_week = date.with().day(day).build().ok()?.weekday();
    Some(match of_week {
        jiff::civil::Weekday::Saturday if day == 1 => day + 2,
        jiff::civil::Weekday::Saturday => day - 1,
        jiff::civil::Weekday::Sunday if day == last => day - 2,
        jiff::civil::Weekday::Sunday => day + 1,
        _ => day,
    })
}

/// The lowest member of a set of bits from `from` on.
fn lowest(set: u64, from: u8) -> Option<u8> {
    let rest = set.checked_shr(from.into())?.trailing_zeros();
    let value = from + u8::try_from(rest).ok()?;
    (rest < 64).then_some(value)
}

/// The next moment at which clocks change.
fn change_after(instant: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let offset = zone.to_offset(instant);
    zone.following(instant)
        .map(|change| change.timestamp())
        // Some changes are only of a name.
        .find(|at| zone.to_offset(*at) != offset)
}
