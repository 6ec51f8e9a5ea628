//! Time buckets: where they begin and end, and how sorted rows fall into them.

use std::ops::Range;

use jiff::civil::{Date, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};

use super::Window;
use crate::error::{Error, Result};
use crate::model::{TimeRange, TimeUnit};

/// The buckets of a query. They follow each other without gap or overlap; fixed ones begin at multiples of their width
/// since 1970-01-01T00:00:00Z, calendar ones at the first moment of the local day, week (Monday) or month. Where a clock
/// set back at midnight repeats the end of a day, the repetition belongs to the day that had already begun.
#[derive(Debug)]
pub(crate) struct Windows {
    width: Width,
    /// The bucket found last.
    current: TimeRange,
}

#[derive(Debug)]
enum Width {
    /// One bucket for all of time.
    All,
    Fixed(i64),
    Calendar(Calendar),
}

impl Windows {
    /// The buckets of `window` in a table that counts time in `unit`. A width that is not above zero or not a whole number
    /// of units, and an unknown time zone, are [`Error::Invalid`].
    pub(crate) fn new(window: &Option<Window>, unit: TimeUnit) -> Result<Self> {
        let calendar = |period, zone: &str| Calendar::new(period, zone, unit).map(Width::Calendar);
        let width = match window {
            None => Width::All,
            Some(Window::Fixed { micros }) => Width::Fixed(fixed_width(*micros, unit)?),
            Some(Window::Day { zone }) => calendar(Period::Day, zone)?,
            Some(Window::Week { zone }) => calendar(Period::Week, zone)?,
            Some(Window::Month { zone }) => calendar(Period::Month, zone)?,
        };
        Ok(Windows { width, current: TimeRange::new(0, 0) })
    }

    /// One bucket for all of time.
    pub(crate) fn all() -> Self {
        Windows { width: Width::All, current: TimeRange::ALL }
    }

    /// Whether there is but one bucket.
    pub(crate) fn is_all(&self) -> bool {
        matches!(self.width, Width::All)
    }

    /// The bucket of a time. At the ends of what 64 bits hold, buckets are cut off there.
    pub(crate) fn bucket(&mut self, time: i64) -> TimeRange {
        if !self.current.contains(time) {
            self.current = match &mut self.width {
                Width::All => TimeRange::ALL,
                Width::Fixed(width) => {
                    // Most often it is the next bucket, which costs no division.
                    let start = self.current.end;
                    let next = !self.current.is_empty() && start <= time && time < start.saturating_add(*width);
                    let start = if next { start } else { time.saturating_sub(time.rem_euclid(*width)) };
                    TimeRange::new(start, start.saturating_add(*width))
                }
                Width::Calendar(calendar) => calendar.bucket(time),
            };
        }
        self.current
    }

    /// Where the bucket of a time begins.
    pub(crate) fn bucket_start(&mut self, time: i64) -> i64 {
        self.bucket(time).start
    }

    /// Cuts rising times into runs of one bucket each: (where the bucket begins, which rows). A bucket of n rows costs
    /// O(log n), one as long as that before it a single look.
    pub(crate) fn runs<'a>(&'a mut self, times: &'a [i64]) -> Runs<'a> {
        Runs { windows: self, times, row: 0, length: 1 }
    }
}

/// See [`Windows::runs`].
#[derive(Debug)]
pub(crate) struct Runs<'a> {
    windows: &'a mut Windows,
    times: &'a [i64],
    row: usize,
    /// How long the run before was.
    length: usize,
}

impl Iterator for Runs<'_> {
    type Item = (i64, Range<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        let times = self.times.get(self.row..)?;
        let bucket = self.windows.bucket(*times.first()?);
        self.length = run_length(times, bucket.end, self.length);
        let start = self.row;
        self.row += self.length;
        Some((bucket.start, start..self.row))
    }
}

/// How many of some rising times, the first always, lie before `end`; `guess` is where to look first.
fn run_length(times: &[i64], end: i64, guess: usize) -> usize {
    let before = |row: usize| times.get(row).is_some_and(|time| *time < end);
    if times.last().is_some_and(|time| *time < end) {
        return times.len();
    }
    // The run is longer than `low` rows' last and at most `high` rows long.
    let (mut low, mut high) = (1, guess.clamp(1, times.len()));
    if before(high - 1) {
        low = high;
        let mut step = 1;
        while before(high) {
            low = high + 1;
            high = (high + step).min(times.len());
            step *= 2;
        }
    }
    let between = times.get(low..high).unwrap_or_default();
    low + between.partition_point(|time| *time < end)
}

fn fixed_width(micros: i64, unit: TimeUnit) -> Result<i64> {
    if micros <= 0 {
        return Err(Error::invalid(format_args!("a window of {micros} µs is not above zero: ask for a longer one")));
    }
    let exact = match unit {
        TimeUnit::Milli => (micros % 1_000 == 0).then_some(micros / 1_000),
        TimeUnit::Micro => Some(micros),
        TimeUnit::Nano => micros.checked_mul(1_000),
    };
    exact.ok_or_else(|| {
        let reason = match unit {
            TimeUnit::Milli => "is not a whole number of milliseconds, the unit of the table's time",
            _ => "is longer than all of the table's time",
        };
        Error::invalid(format_args!("a window of {micros} µs {reason}: ask for another width"))
    })
}

#[derive(Debug, Clone, Copy)]
enum Period {
    Day,
    Week,
    Month,
}

impl Period {
    /// The first day of the period that holds `date`.
    fn first(self, date: Date) -> Date {
        match self {
            Period::Day => date,
            Period::Week => date.saturating_sub(i64::from(date.weekday().to_monday_zero_offset()).days()),
            Period::Month => date.first_of_month(),
        }
    }

    /// The first day of the period after the one that begins at `first`.
    fn next(self, first: Date) -> Option<Date> {
        match self {
            Period::Day => first.tomorrow(),
            Period::Week => first.checked_add(1.week()),
            Period::Month => first.checked_add(1.month()),
        }
        .ok()
    }
}

/// Buckets of the calendar of a place.
#[derive(Debug)]
struct Calendar {
    period: Period,
    zone: TimeZone,
    unit: TimeUnit,
    /// Buckets met so far, in order: series after series falls into the same ones.
    known: Vec<TimeRange>,
    /// Where the last one found stands among them.
    hint: usize,
}

impl Calendar {
    /// Buckets remembered at most: eleven years of days.
    const KNOWN: usize = 4_096;

    fn new(period: Period, name: &str, unit: TimeUnit) -> Result<Self> {
        let zone = TimeZone::get(name).map_err(|_| {
            Error::invalid(format_args!("unknown time zone {name:?}: use an IANA name such as Europe/Berlin or UTC"))
        })?;
        Ok(Calendar { period, zone, unit, known: Vec::new(), hint: 0 })
    }

    fn bucket(&mut self, time: i64) -> TimeRange {
        for place in [self.hint + 1, 0] {
            if let Some(found) = self.known.get(place).filter(|bucket| bucket.contains(time)) {
                self.hint = place;
                return *found;
            }
        }
        let mut place = self.known.partition_point(|bucket| bucket.end <= time);
        if !self.known.get(place).is_some_and(|bucket| bucket.contains(time)) {
            if self.known.len() >= Self::KNOWN {
                self.known.clear();
                place = 0;
            }
            self.known.insert(place, self.compute(time));
        }
        self.hint = place;
        self.known.get(place).copied().unwrap_or(TimeRange::new(time, time))
    }

    fn compute(&self, time: i64) -> TimeRange {
        let at = self.timestamp(time);
        let mut first = self.period.first(self.zone.to_datetime(at).date());
        loop {
            let next = self.period.next(first);
            let end = next.map_or(i64::MAX, |next| self.start_of(next));
            match next {
                // A clock set back over midnight: by its reading the day before, yet after the start of this one.
                Some(next) if end <= time => first = next,
                _ => return TimeRange::new(self.start_of(first), end),
            }
        }
    }

    /// The nearest moment that the calendar knows; it ends a day before the year 10000 does.
    fn timestamp(&self, time: i64) -> Timestamp {
        let found = match self.unit {
            TimeUnit::Milli => Timestamp::from_millisecond(time),
            TimeUnit::Micro => Timestamp::from_microsecond(time),
            TimeUnit::Nano => Timestamp::from_nanosecond(i128::from(time)),
        };
        found.unwrap_or(if time < 0 { Timestamp::MIN } else { Timestamp::MAX })
    }

    /// The first moment of a local day, in the table's unit, rounded down.
    fn start_of(&self, date: Date) -> i64 {
        let midnight = date.to_datetime(Time::midnight());
        let ambiguous = self.zone.to_ambiguous_timestamp(midnight);
        let instant = match ambiguous.offset() {
            // Midnight was skipped: the day begins where the clock was set forward.
            AmbiguousOffset::Gap { .. } => ambiguous.earlier().map(|before| {
                let next = self.zone.following(before).next();
                next.map_or(before, |transition| transition.timestamp())
            }),
            _ => ambiguous.earlier(),
        };
        let nanos = match instant {
            Ok(instant) => instant.as_nanosecond(),
            Err(_) if date.year() < 0 => return i64::MIN,
            Err(_) => return i64::MAX,
        };
        let per_unit = i128::from(1_000_000_000 / self.unit.per_second());
        let count = nanos.div_euclid(per_unit);
        i64::try_from(count).unwrap_or(if count < 0 { i64::MIN } else { i64::MAX })
    }
}

#[cfg(test)]
mod tests;
