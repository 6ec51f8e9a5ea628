//! What people type.

use alluvium::{Filter, TimeUnit, Window};
use jiff::Timestamp;

use crate::output::timestamp;
use crate::parse::{duration as durations, filter, time};

/// Months, and nanoseconds beside them.
pub type Length = (i64, i128);

/// Reads a condition.
///
/// # Errors
/// A sentence.
pub fn condition(text: &str) -> Result<Filter, String> {
    filter::filter(text)
}

/// Reads a length of time.
///
/// # Errors
/// A sentence.
pub fn duration(text: &str) -> Result<Length, String> {
    durations::duration(text).map(|length| (length.months, length.nanos))
}

/// Reads the width of buckets.
///
/// # Errors
/// A sentence.
pub fn window(text: &str, zone: Option<&str>) -> Result<Window, String> {
    durations::window(text, zone)
}

/// Reads a moment, in nanoseconds since 1970, as somebody in `zone` means it at `now` (microseconds).
///
/// # Errors
/// A sentence.
pub fn moment(text: &str, now: i64, zone: &str) -> Result<i128, String> {
    let now = Timestamp::from_microsecond(now).map_err(|error| error.to_string())?;
    time::moment(text, now, &durations::zone(zone)?)
}

/// The first tick of a unit that is not before a moment.
pub fn rounded_up(nanos: i128, unit: TimeUnit) -> i64 {
    time::in_unit(nanos, unit)
}

/// A time in UTC as results show it.
pub fn written(ticks: i64, unit: TimeUnit) -> String {
    timestamp::utc(ticks, unit)
}
