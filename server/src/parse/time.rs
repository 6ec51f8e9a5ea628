//! Moments: ISO 8601, numbers since 1970, and times relative to now.

use alluvium::TimeUnit;
use jiff::civil::DateTime;
use jiff::fmt::temporal::{Pieces, PiecesOffset};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::duration::duration;

const SECOND: i128 = 1_000_000_000;

/// Reads a moment, in nanoseconds since 1970:
/// `now`, `-1h`, `now-2d`; `2024-03-31`, `2024-03-31T12:00`, `2024-03-31T12:00:00.25+02:00`; or an integer since
/// 1970-01-01T00:00:00Z in seconds, milliseconds, microseconds or nanoseconds, whichever its size suggests.
/// Dates and times without an offset are in `zone`.
pub(crate) fn moment(text: &str, now: Timestamp, zone: &TimeZone) -> Result<i128, String> {
    let text = text.trim();
    if let Some(answer) = relative(text, now, zone) {
        return answer;
    }
    if let Ok(number) = text.parse::<i64>() {
        return Ok(i128::from(number) * nanos_of(number));
    }
    absolute(text, zone).ok_or_else(|| {
        format!("cannot read the time {text:?}: use 2024-03-31, 2024-03-31T12:00:00Z, an integer since 1970, -1h or now")
    })
}

/// The first tick of a table's unit that is not before the moment; saturates at the ends of what the unit can say.
pub(crate) fn in_unit(nanos: i128, unit: TimeUnit) -> i64 {
    let tick = SECOND / i128::from(unit.per_second());
    let ticks = -(nanos.saturating_neg().div_euclid(tick));
    i64::try_from(ticks).unwrap_or(if ticks < 0 { i64::MIN } else { i64::MAX })
}

/// What one step of an integer time is worth, judged by its size: seconds up to the year 5138, and so on.
fn nanos_of(number: i64) -> i128 {
    match number.unsigned_abs() {
        0..100_000_000_000 => SECOND,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    }
}

/// `now`, `-1h`, `+5m`, `now-1d`. `None` where it does not look like one.
fn relative(text: &str, now: Timestamp, zone: &TimeZone) -> Option<Result<i128, String>> {
    let (named, rest) = match text.strip_prefix("now") {
        Some(rest) => (true, rest.trim_start()),
        None => (false, text),
    };
    if rest.is_empty() {
        return named.then(|| Ok(now.as_nanosecond()));
    }
    let (sign, rest) = match rest.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, rest.strip_prefix('+')?),
    };
    // A bare number is an integer time, before 1970 if negative.
    if !named && rest.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(duration(rest).and_then(|by| {
        let far = || format!("{text:?} is too far away: use a time between the years 1 and 9999");
        let span = Span::new().try_months(sign * by.months).map_err(|_| far())?;
        let moved = now.to_zoned(zone.clone()).checked_add(span).map_err(|_| far())?;
        Ok(moved.timestamp().as_nanosecond().saturating_add(i128::from(sign) * by.nanos))
    }))
}

fn absolute(text: &str, zone: &TimeZone) -> Option<i128> {
    let pieces = Pieces::parse(text).ok()?;
    let civil = pieces.date().to_datetime(pieces.time().unwrap_or_default());
    let offset = match pieces.offset() {
        Some(PiecesOffset::Zulu) => Some(0),
        Some(PiecesOffset::Numeric(numeric)) => Some(numeric.offset().seconds()),
        Some(_) => return None,
        None if *zone == TimeZone::UTC => Some(0),
        None => None,
    };
    match (offset, pieces.time_zone_annotation()) {
        // Counted by hand, because jiff's timestamps end a day before the year 10000 begins.
        (Some(seconds), _) => Some(since_epoch(civil) - i128::from(seconds) * SECOND),
        (None, None) => Some(zone.to_ambiguous_timestamp(civil).compatible().ok()?.as_nanosecond()),
        (None, Some(_)) => None,
    }
}

/// Nanoseconds from 1970-01-01T00:00:00 on the same calendar.
fn since_epoch(civil: DateTime) -> i128 {
    civil.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0)).as_nanos()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-03-31T10:00:00Z, a day on which Berlin's clocks sprang forward.
    const NOW: i128 = 1_711_879_200 * SECOND;

    fn read_in(text: &str, zone: &str) -> Result<i128, String> {
        moment(text, Timestamp::from_nanosecond(NOW).unwrap(), &TimeZone::get(zone).unwrap())
    }

    fn read(text: &str) -> i128 {
        read_in(text, "UTC").unwrap()
    }

    #[test]
    fn iso_times() {
        assert_eq!(read("2024-03-31"), 1_711_843_200 * SECOND);
        assert_eq!(read("2024-03-31T10:00"), NOW);
        assert_eq!(read("2024-03-31T10:00:00Z"), NOW);
        assert_eq!(read("2024-03-31 10:00:00"), NOW);
        assert_eq!(read("2024-03-31T12:00:00+02:00"), NOW);
        assert_eq!(read("2024-03-31T10:00:00.000000007Z"), NOW + 7);
        assert_eq!(read("1969-12-31T23:59:59.5Z"), -SECOND / 2);
        assert_eq!(read("0001-01-01"), -62_135_596_800 * SECOND);
        assert_eq!(read("9999-12-31T23:59:59Z"), 253_402_300_799 * SECOND);
    }

    #[test]
    fn a_zone_reads_times_without_offset() {
        assert_eq!(read_in("2024-03-31T12:00", "Europe/Berlin").unwrap(), NOW);
        assert_eq!(read_in("2024-03-31", "Europe/Berlin").unwrap(), 1_711_839_600 * SECOND);
        assert_eq!(read_in("2024-03-31T10:00Z", "Europe/Berlin").unwrap(), NOW);
    }

    #[test]
    fn integers_by_size() {
        assert_eq!(read("1711879200"), NOW);
        assert_eq!(read("1711879200000"), NOW);
        assert_eq!(read("1711879200000000"), NOW);
        assert_eq!(read("1711879200000000000"), NOW);
        assert_eq!(read("0"), 0);
        assert_eq!(read("-1"), -SECOND);
        assert_eq!(read("-1711879200000"), -NOW);
    }

    #[test]
    fn relative_times() {
        assert_eq!(read("now"), NOW);
        assert_eq!(read("-1h"), NOW - 3_600 * SECOND);
        assert_eq!(read("-2d"), NOW - 172_800 * SECOND);
        assert_eq!(read("-1h30m"), NOW - 5_400 * SECOND);
        assert_eq!(read("+5m"), NOW + 300 * SECOND);
        assert_eq!(read("now-90s"), NOW - 90 * SECOND);
        assert_eq!(read("now - 90s"), NOW - 90 * SECOND);
        assert_eq!(read("-1mo"), 1_709_200_800 * SECOND, "29 February");
        assert_eq!(read_in("-1mo", "Europe/Berlin").unwrap(), 1_709_204_400 * SECOND, "12:00 in Berlin, in winter");
    }

    #[test]
    fn what_is_no_time() {
        for wrong in ["", "yesterday", "-", "now-", "now3h", "2024-13-01", "2024-02-30", "12:00", "1h", "-1x", "-99999y", "1e9"] {
            assert!(read_in(wrong, "UTC").is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn bounds_round_up_to_the_unit_of_the_table() {
        assert_eq!(in_unit(1_000_001, TimeUnit::Milli), 2);
        assert_eq!(in_unit(1_000_000, TimeUnit::Milli), 1);
        assert_eq!(in_unit(-1, TimeUnit::Micro), 0);
        assert_eq!(in_unit(-1_000, TimeUnit::Micro), -1);
        assert_eq!(in_unit(-1_001, TimeUnit::Micro), -1);
        assert_eq!(in_unit(5, TimeUnit::Nano), 5);
        assert_eq!(in_unit(i128::MAX / 2, TimeUnit::Nano), i64::MAX);
        assert_eq!(in_unit(i128::MIN / 2, TimeUnit::Milli), i64::MIN);
    }
}
