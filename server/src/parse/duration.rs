//! Durations and time buckets, as the engine reads them.

use alluvium::{Window, words};
use jiff::tz::TimeZone;

pub(crate) use words::Duration;

/// Reads one or more numbers with units, such as `90s` or `1h30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    words::duration(text).map_err(|error| error.to_string())
}

/// Reads the width of time buckets. Days, weeks and months follow the calendar of `zone`; without one, UTC.
pub(crate) fn window(text: &str, zone: Option<&str>) -> Result<Window, String> {
    words::window(text, zone).map_err(|error| error.to_string())
}

/// Finds a time zone by its IANA name.
pub(crate) fn zone(name: &str) -> Result<TimeZone, String> {
    words::zone(name).map_err(|error| error.to_string())
}
