//! Times as RFC 3339 text.

use alluvium::TimeUnit;
use jiff::Timestamp;
use jiff::tz::TimeZone;

const SECONDS_PER_DAY: i64 = 86_400;

/// Appends a time in UTC: `2024-03-31T10:00:00Z`, with a fraction only where there is one and no longer than needed.
pub(crate) fn write_utc(out: &mut Vec<u8>, ticks: i64, unit: TimeUnit) {
    let seconds = ticks.div_euclid(unit.per_second());
    let fraction = ticks.rem_euclid(unit.per_second());
    let (year, month, day) = civil(seconds.div_euclid(SECONDS_PER_DAY));
    let second = seconds.rem_euclid(SECONDS_PER_DAY);
    write_year(out, year);
    for (mark, value) in [(b'-', month), (b'-', day), (b'T', second / 3_600), (b':', second / 60 % 60), (b':', second % 60)] {
        out.extend_from_slice(&[mark, digit(value / 10), digit(value)]);
    }
    write_fraction(out, fraction, unit);
    out.push(b'Z');
}

/// A time in UTC as text.
pub(crate) fn utc(ticks: i64, unit: TimeUnit) -> String {
    let mut out = Vec::with_capacity(32);
    write_utc(&mut out, ticks, unit);
    String::from_utf8_lossy(&out).into_owned()
}

/// A time as a clock in `zone` shows it: `2024-03-31T12:00:00+02:00`.
pub(crate) fn local(ticks: i64, unit: TimeUnit, zone: &TimeZone) -> String {
    let seconds = ticks.div_euclid(unit.per_second());
    let nanos = ticks.rem_euclid(unit.per_second()) * (1_000_000_000 / unit.per_second());
    let shown = i32::try_from(nanos).ok().and_then(|nanos| Timestamp::new(seconds, nanos).ok());
    match shown {
        Some(timestamp) if *zone != TimeZone::UTC => {
            timestamp.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%.f%:z").to_string()
        }
        _ => utc(ticks, unit),
    }
}

fn digit(value: i64) -> u8 {
    b'0' + (value % 10).unsigned_abs() as u8
}

fn write_year(out: &mut Vec<u8>, year: i64) {
    match year {
        0..=9_999 => out.extend_from_slice(&[digit(year / 1_000), digit(year / 100), digit(year / 10), digit(year)]),
        // Outside what tables accept; ISO 8601 wants a sign there.
        _ => out.extend_from_slice(format!("{year:+05}").as_bytes()),
    }
}

fn write_fraction(out: &mut Vec<u8>, fraction: i64, unit: TimeUnit) {
    if fraction == 0 {
        return;
    }
    out.push(b'.');
    let mut place = unit.per_second() / 10;
    let mut rest = fraction;
    while rest > 0 && place > 0 {
        out.push(digit(rest / place));
        rest %= place;
        place /= 10;
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar: counts in eras of 400 years
/// that begin in March, so that the leap day comes last (after H. Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_only_where_there_is_one() {
        assert_eq!(utc(0, TimeUnit::Micro), "1970-01-01T00:00:00Z");
        assert_eq!(utc(1_711_879_200_000_000, TimeUnit::Micro), "2024-03-31T10:00:00Z");
        assert_eq!(utc(1_711_879_200_250_000, TimeUnit::Micro), "2024-03-31T10:00:00.25Z");
        assert_eq!(utc(1_711_879_200_000_001, TimeUnit::Micro), "2024-03-31T10:00:00.000001Z");
        assert_eq!(utc(1_711_879_200_000_000_010, TimeUnit::Nano), "2024-03-31T10:00:00.00000001Z");
        assert_eq!(utc(1_711_879_200_007, TimeUnit::Milli), "2024-03-31T10:00:00.007Z");
    }

    #[test]
    fn far_and_near_dates() {
        assert_eq!(utc(-1, TimeUnit::Micro), "1969-12-31T23:59:59.999999Z");
        assert_eq!(utc(-62_135_596_800_000, TimeUnit::Milli), "0001-01-01T00:00:00Z");
        assert_eq!(utc(253_402_300_799_999, TimeUnit::Milli), "9999-12-31T23:59:59.999Z");
        assert_eq!(utc(253_402_300_800_000, TimeUnit::Milli), "+10000-01-01T00:00:00Z");
        assert_eq!(utc(951_782_400_000, TimeUnit::Milli), "2000-02-29T00:00:00Z");
        assert_eq!(utc(4_107_542_400_000, TimeUnit::Milli), "2100-03-01T00:00:00Z");
        assert_eq!(utc(i64::MAX, TimeUnit::Nano), "2262-04-11T23:47:16.854775807Z");
        assert_eq!(utc(i64::MIN, TimeUnit::Nano), "1677-09-21T00:12:43.145224192Z");
    }

    #[test]
    fn every_day_of_eight_centuries_agrees_with_jiff() {
        for day in -200_000..100_000i64 {
            let expected = Timestamp::from_second(day * SECONDS_PER_DAY).unwrap().to_string();
            assert_eq!(utc(day * SECONDS_PER_DAY * 1_000, TimeUnit::Milli), expected);
        }
    }

    #[test]
    fn local_times() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        assert_eq!(local(1_711_839_600_000_000, TimeUnit::Micro, &berlin), "2024-03-31T00:00:00+01:00");
        assert_eq!(local(1_711_879_200_250_000, TimeUnit::Micro, &berlin), "2024-03-31T12:00:00.25+02:00");
        assert_eq!(local(1_711_879_200_000_000, TimeUnit::Micro, &TimeZone::UTC), "2024-03-31T10:00:00Z");
    }
}
