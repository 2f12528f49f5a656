//! What a schedule is, and when it fires: local times, and the instants they stand for where clocks
//! change. How it was written, as a Quartz expression or as a line of a crontab, is all the same.
//!
//! Numbers are kept as sets of bits: bit `n` stands for the value `n`.
//!
//! An expression that names hours is about the clock on the wall: a time that a change skips is
//! made up for at the moment of the change, one that comes twice counts once, the first time. One
//! that fires in every hour is about time that passes: what is skipped is left out, and an hour
//! that comes twice is served twice. (So does cron(8); Quartz leaves it open.)

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};

/// The last year that is looked into.
const LAST_YEAR: i16 = 2099;
const EVERY_HOUR: u64 = (1 << 24) - 1;

/// When a pass starts, as it was written and as it was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// As it was written.
    pub(super) text: String,
    /// Bits 0 to 59.
    pub seconds: u64,
    /// Bits 0 to 59.
    pub minutes: u64,
    /// Bits 0 to 23.
    pub hours: u64,
    /// The days that fire within such a month.
    pub days: Days,
    /// Bits 1 to 12.
    pub months: u64,
    /// The years, ascending; `None` is every year.
    pub years: Option<Vec<u16>>,
}

/// The days of a month on which it fires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Days {
    /// Days of the month: bits 1 to 31.
    OfMonth(u64),
    /// `L`, `L-3`: the last day of the month, so many days earlier (0 to 30).
    LastOfMonth {
        /// Days before the last.
        days_before: u8,
    },
    /// `LW`, `L-3W`: the weekday (Monday to Friday) nearest to that day, in the same month.
    LastWeekdayOfMonth {
        /// Days before the last.
        days_before: u8,
    },
    /// `15W`: the weekday nearest to this day, in the same month.
    NearestWeekday(u8),
    /// Days of the week: bits 1 (Sunday) to 7.
    OfWeek(u64),
    /// `6L`, `FRIL`: the last such day of the week in the month.
    LastOfWeek(u8),
    /// `6#3`, `FRI#3`: the third such day of the week in the month, if there is one.
    NthOfWeek {
        /// 1 (Sunday) to 7.
        day: u8,
        /// 1 to 5.
        nth: u8,
    },
    /// A crontab line: days of the month (bits 1 to 31) and of the week (bits 1 to 7).
    OfCrontab {
        /// Days of the month.
        of_month: u64,
        /// Days of the week, Sunday as bit 1.
        of_week: u64,
        /// Both fields are restricted: it fires on days that are in either.
        either: bool,
    },
}

impl Schedule {
    /// The expression as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The same, if there is a day on which it fires. The error is `what is wrong; what to write`.
    pub(super) fn must_fire(self) -> Result<Schedule, String> {
        let length = |month: u32| match month {
            2 => 29,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let longest = (1..=12)
            .filter(|&month| self.months & (1 << month) != 0)
            .map(length)
            .max();
        let first = match self.days {
            Days::OfMonth(set) => set.trailing_zeros(),
            Days::NearestWeekday(day) => day.into(),
            Days::LastOfMonth { days_before } | Days::LastWeekdayOfMonth { days_before } => {
                u32::from(days_before) + 1
            }
            Days::OfCrontab {
                of_month,
                either: false,
                ..
            } => of_month.trailing_zeros(),
            Days::OfWeek(_)
            | Days::LastOfWeek(_)
            | Days::NthOfWeek { .. }
            | Days::OfCrontab { .. } => 1,
        };
        if longest.is_some_and(|days| first <= days) {
            return Ok(self);
        }
        Err(format!(
            "'{}' never fires; choose a day that the month has",
            self.text
        ))
    }

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
