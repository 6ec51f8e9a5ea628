//! What people and programs write in text: durations (`90s`, `1h30m`, `1mo`) and the time buckets they name.

use jiff::tz::TimeZone;

use crate::error::{Error, Result};
use crate::query::Window;

const SECOND: i128 = 1_000_000_000;
const DAY: i128 = 86_400 * SECOND;

/// The units and their nanoseconds; months and years have no fixed length.
const UNITS: [(&str, Length); 10] = [
    ("ms", Length::Nanos(1_000_000)),
    ("us", Length::Nanos(1_000)),
    ("µs", Length::Nanos(1_000)),
    ("s", Length::Nanos(SECOND)),
    ("m", Length::Nanos(60 * SECOND)),
    ("h", Length::Nanos(3_600 * SECOND)),
    ("d", Length::Nanos(DAY)),
    ("w", Length::Nanos(7 * DAY)),
    ("mo", Length::Months(1)),
    ("y", Length::Months(12)),
];

#[derive(Debug, Clone, Copy)]
enum Length {
    Nanos(i128),
    Months(i64),
}

/// A length of time: calendar months and a fixed rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Duration {
    /// Months of the calendar.
    pub months: i64,
    /// Nanoseconds besides.
    pub nanos: i128,
}

/// Reads one or more numbers with units, such as `90s` or `1h30m`: ms, us, s, m, h, d, w, mo and y.
///
/// # Errors
///
/// [`Error::Invalid`] where it is something else, or too long.
pub fn duration(text: &str) -> Result<Duration> {
    let mut total = Duration::default();
    for (count, unit) in terms(text)? {
        match length(unit) {
            Some(Length::Nanos(nanos)) => {
                total.nanos = total.nanos.checked_add(nanos * i128::from(count)).ok_or_else(|| unreadable(text))?;
            }
            Some(Length::Months(months)) => {
                total.months = total.months.checked_add(months.saturating_mul(count)).ok_or_else(|| unreadable(text))?;
            }
            None => return Err(unreadable(text)),
        }
    }
    Ok(total)
}

/// Reads the width of time buckets. Days, weeks and months follow the calendar of `zone`, an IANA name; without one, UTC.
///
/// ```
/// use alluvium::{Window, words};
///
/// # fn main() -> alluvium::Result<()> {
/// assert_eq!(words::window("1h30m", None)?, Window::Fixed { micros: 5_400_000_000 });
/// assert_eq!(words::window("1mo", Some("Europe/Berlin"))?, Window::Month { zone: "Europe/Berlin".to_owned() });
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// [`Error::Invalid`] where no bucket has that width.
pub fn window(text: &str, zone: Option<&str>) -> Result<Window> {
    let calendar_zone = zone.unwrap_or("UTC").to_owned();
    match terms(text)?.as_slice() {
        [(1, "d")] if zone.is_some() => return Ok(Window::Day { zone: calendar_zone }),
        [(1, "w")] => return Ok(Window::Week { zone: calendar_zone }),
        [(1, "mo")] => return Ok(Window::Month { zone: calendar_zone }),
        terms => {
            let calendar = |unit: &str| matches!(unit, "w" | "mo" | "y") || (unit == "d" && zone.is_some());
            if terms.iter().any(|(_, unit)| calendar(unit)) {
                return Err(Error::invalid(format_args!("buckets of {text:?} have no place in the calendar: use 1d, 1w or 1mo")));
            }
        }
    }
    let micros = duration(text)?.nanos / 1_000;
    match i64::try_from(micros) {
        Ok(micros) if micros > 0 => Ok(Window::Fixed { micros }),
        Ok(_) => Err(Error::invalid(format_args!("buckets of {text:?} have no width: use 5m, 1h, 1d, …"))),
        Err(_) => Err(Error::invalid(format_args!("buckets of {text:?} are too wide: use 1mo at most, or none"))),
    }
}

/// Finds a time zone by its IANA name.
///
/// # Errors
///
/// [`Error::Invalid`] where there is none.
pub fn zone(name: &str) -> Result<TimeZone> {
    TimeZone::get(name)
        .map_err(|_| Error::invalid(format_args!("unknown time zone {name:?}: use an IANA name such as Europe/Berlin or UTC")))
}

fn length(unit: &str) -> Option<Length> {
    UNITS.iter().find(|(name, _)| *name == unit).map(|(_, length)| *length)
}

/// Splits `1h30m` into `(1, "h"), (30, "m")`.
fn terms(text: &str) -> Result<Vec<(i64, &str)>> {
    let mut found = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let count = number.parse().map_err(|_| unreadable(text))?;
        if length(unit).is_none() {
            return Err(unreadable(text));
        }
        found.push((count, unit));
        rest = after;
    }
    if found.is_empty() { Err(unreadable(text)) } else { Ok(found) }
}

fn unreadable(text: &str) -> Error {
    Error::invalid(format_args!(
        "cannot read the duration {text:?}: use a number and ms, s, m, h, d, w, mo or y, such as 90s, 5m or 1h30m"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos(text: &str) -> i128 {
        let duration = duration(text).unwrap();
        assert_eq!(duration.months, 0, "{text}");
        duration.nanos
    }

    #[test]
    fn durations() {
        assert_eq!(nanos("90s"), 90_000_000_000);
        assert_eq!(nanos("1h30m"), 5_400_000_000_000);
        assert_eq!(nanos("250ms"), 250_000_000);
        assert_eq!(nanos("7us"), 7_000);
        assert_eq!(nanos("7µs"), 7_000);
        assert_eq!(nanos("2d"), 172_800_000_000_000);
        assert_eq!(nanos("1w"), 604_800_000_000_000);
        assert_eq!(duration("1mo").unwrap(), Duration { months: 1, nanos: 0 });
        assert_eq!(duration("1y2mo3s").unwrap(), Duration { months: 14, nanos: 3_000_000_000 });
        for wrong in ["", "h", "5", "5 m", "5x", "-5m", "1.5h", "99999999999999999999s", "5M"] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn fixed_windows() {
        let window = |text, zone| window(text, zone).unwrap();
        let fixed = |micros| Window::Fixed { micros };
        assert_eq!(window("5m", None), fixed(300_000_000));
        assert_eq!(window("5m", Some("Europe/Berlin")), fixed(300_000_000));
        assert_eq!(window("90s", None), fixed(90_000_000));
        assert_eq!(window("1d", None), fixed(86_400_000_000));
        assert_eq!(window("2d", None), fixed(172_800_000_000));
        assert_eq!(window("24h", Some("Europe/Berlin")), fixed(86_400_000_000));
    }

    #[test]
    fn calendar_windows() {
        let window = |text, zone| window(text, zone).unwrap();
        let zone = || "Europe/Berlin".to_owned();
        assert_eq!(window("1d", Some("Europe/Berlin")), Window::Day { zone: zone() });
        assert_eq!(window("1w", Some("Europe/Berlin")), Window::Week { zone: zone() });
        assert_eq!(window("1mo", Some("Europe/Berlin")), Window::Month { zone: zone() });
        assert_eq!(window("1w", None), Window::Week { zone: "UTC".to_owned() });
        assert_eq!(window("1mo", None), Window::Month { zone: "UTC".to_owned() });
    }

    #[test]
    fn impossible_windows() {
        for wrong in ["0s", "2w", "3mo", "1y", "1mo1d", "500000y", "99999999999d", "", "hour"] {
            assert!(window(wrong, None).is_err(), "{wrong:?}");
        }
        assert!(window("2d", Some("Europe/Berlin")).is_err());
    }

    #[test]
    fn zones() {
        assert!(zone("Europe/Berlin").is_ok());
        assert!(zone("UTC").is_ok());
        assert!(zone("Mars/Olympus").unwrap_err().to_string().contains("IANA"));
    }
}
