//! Absolute times as people and programs write them: ISO 8601 text, or integers since the epoch.

use std::fmt;

use alluvium::TimeUnit;
use jiff::civil::DateTime;

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// The unit of an integer time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum EpochUnit {
    /// Seconds
    #[value(name = "s")]
    Second,
    /// Milliseconds
    #[value(name = "ms")]
    Milli,
    /// Microseconds
    #[value(name = "us", alias = "µs")]
    Micro,
    /// Nanoseconds
    #[value(name = "ns")]
    Nano,
}

impl EpochUnit {
    const fn per_second(self) -> i64 {
        match self {
            EpochUnit::Second => 1,
            EpochUnit::Milli => 1_000,
            EpochUnit::Micro => 1_000_000,
            EpochUnit::Nano => 1_000_000_000,
        }
    }

    /// The unit in which `count` is a time between 1973 and 5138, or in seconds or nanoseconds anything nearer or farther.
    pub(crate) const fn by_magnitude(count: i64) -> EpochUnit {
        match count.unsigned_abs() {
            0..100_000_000_000 => EpochUnit::Second,
            100_000_000_000..100_000_000_000_000 => EpochUnit::Milli,
            100_000_000_000_000..100_000_000_000_000_000 => EpochUnit::Micro,
            _ => EpochUnit::Nano,
        }
    }
}

impl From<TimeUnit> for EpochUnit {
    fn from(unit: TimeUnit) -> Self {
        match unit {
            TimeUnit::Milli => EpochUnit::Milli,
            TimeUnit::Micro => EpochUnit::Micro,
            TimeUnit::Nano => EpochUnit::Nano,
        }
    }
}

/// A moment, to the nanosecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    seconds: i64,
    nanos: u32,
}

/// Why a text or number is not a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeError {
    /// Neither ISO 8601 nor an integer.
    Form,
    /// The form is right, but there is no such date or time of day.
    NoSuchDate,
    /// Outside of what a table of this unit accepts.
    OutOfRange(TimeUnit),
}

impl fmt::Display for TimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TimeError::Form => {
                f.write_str("is not a time: write 2024-01-31T12:00:00Z, 2024-01-31 12:00:00 or an integer since 1970")
            }
            TimeError::NoSuchDate => f.write_str("is not a time: there is no such date or time of day"),
            TimeError::OutOfRange(TimeUnit::Nano) => {
                f.write_str("is out of range: a table in nanoseconds accepts the years 1677 to 2262")
            }
            TimeError::OutOfRange(_) => f.write_str("is out of range: the years 0001 to 9999 are accepted"),
        }
    }
}

impl Moment {
    /// `count` units since 1970-01-01T00:00:00Z.
    pub(crate) const fn from_epoch(count: i64, unit: EpochUnit) -> Moment {
        let per_second = unit.per_second();
        let nanos = count.rem_euclid(per_second) * (1_000_000_000 / per_second);
        Moment { seconds: count.div_euclid(per_second), nanos: nanos as u32 }
    }

    /// Whether a table of microseconds would lose digits of it.
    pub(crate) const fn is_below_micros(self) -> bool {
        !self.nanos.is_multiple_of(1_000)
    }

    /// In a table's unit, if the table accepts it; digits below the unit are cut off. Also whether there were any.
    pub(crate) fn in_unit(self, unit: TimeUnit) -> Result<(i64, bool), TimeError> {
        let per_second = unit.per_second();
        let nanos_per_unit = 1_000_000_000 / per_second;
        let fraction = i64::from(self.nanos) / nanos_per_unit;
        let cut = i64::from(self.nanos) % nanos_per_unit != 0;
        // In nanoseconds the whole seconds of the earliest moments do not fit although the moments do.
        let count = i128::from(self.seconds) * i128::from(per_second) + i128::from(fraction);
        match i64::try_from(count) {
            Ok(count) if unit.accepted().contains(count) => Ok((count, cut)),
            _ => Err(TimeError::OutOfRange(unit)),
        }
    }
}

/// Reads ISO 8601 text or an integer since the epoch. Without `unit` an integer's unit is told by its magnitude.
pub(crate) fn parse_time(text: &str, unit: Option<EpochUnit>) -> Result<Moment, TimeError> {
    let text = text.trim_ascii();
    if let Ok(count) = text.parse::<i64>() {
        return Ok(Moment::from_epoch(count, unit.unwrap_or_else(|| EpochUnit::by_magnitude(count))));
    }
    parse_iso(text.as_bytes())
}

/// Reads `YYYY-MM-DD`, optionally followed by `T` or a space and `HH:MM`, `HH:MM:SS` or `HH:MM:SS.fraction`, optionally followed
/// by `Z` or an offset such as `+01:00`. Without either it is UTC.
fn parse_iso(text: &[u8]) -> Result<Moment, TimeError> {
    let mut rest = Cursor(text);
    let (year, month, day) = (rest.number(4)?, rest.after(b"-", 2)?, rest.after(b"-", 2)?);
    let mut time = TimeOfDay::default();
    let mut offset = 0;
    if !rest.0.is_empty() {
        rest.one_of(b"Tt ")?;
        time = rest.time_of_day()?;
        offset = rest.offset()?;
        if !rest.0.is_empty() {
            return Err(TimeError::Form);
        }
    }
    let narrow = |number: i32| i8::try_from(number).map_err(|_| TimeError::NoSuchDate);
    // A leap second is the last moment of its minute, as in the clocks of most instruments.
    let second = if time.second == 60 { 59 } else { time.second };
    let civil = DateTime::new(
        i16::try_from(year).map_err(|_| TimeError::NoSuchDate)?,
        narrow(month)?,
        narrow(day)?,
        narrow(time.hour)?,
        narrow(time.minute)?,
        narrow(second)?,
        0,
    );
    // Not jiff's Timestamp: it ends a day before the year 9999 does.
    let since = civil.map_err(|_| TimeError::NoSuchDate)?.duration_since(EPOCH);
    Ok(Moment { seconds: since.as_secs() - i64::from(offset), nanos: time.nanos })
}

#[derive(Default)]
struct TimeOfDay {
    hour: i32,
    minute: i32,
    second: i32,
    nanos: u32,
}

/// What is left to read.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    /// Exactly `digits` digits.
    fn number(&mut self, digits: usize) -> Result<i32, TimeError> {
        let (head, tail) = self.0.split_at_checked(digits).ok_or(TimeError::Form)?;
        let mut number = 0;
        for byte in head {
            if !byte.is_ascii_digit() {
                return Err(TimeError::Form);
            }
            number = number * 10 + i32::from(byte - b'0');
        }
        self.0 = tail;
        Ok(number)
    }

    fn one_of(&mut self, bytes: &[u8]) -> Result<u8, TimeError> {
        match self.0.split_first() {
            Some((first, tail)) if bytes.contains(first) => {
                self.0 = tail;
                Ok(*first)
            }
            _ => Err(TimeError::Form),
        }
    }

    fn after(&mut self, separator: &[u8], digits: usize) -> Result<i32, TimeError> {
        self.one_of(separator)?;
        self.number(digits)
    }

    fn time_of_day(&mut self) -> Result<TimeOfDay, TimeError> {
        let (hour, minute) = (self.number(2)?, self.after(b":", 2)?);
        let mut time = TimeOfDay { hour, minute, ..TimeOfDay::default() };
        if self.one_of(b":").is_ok() {
            time.second = self.number(2)?;
            if self.one_of(b".,").is_ok() {
                time.nanos = self.fraction()?;
            }
        }
        Ok(time)
    }

    /// Digits after the point. Those below a nanosecond must be zeroes.
    fn fraction(&mut self) -> Result<u32, TimeError> {
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let kept = digits.min(9);
        let number = self.number(kept)?;
        let (surplus, tail) = self.0.split_at_checked(digits - kept).ok_or(TimeError::Form)?;
        if digits == 0 || surplus.iter().any(|byte| *byte != b'0') {
            return Err(TimeError::Form);
        }
        self.0 = tail;
        Ok(number.unsigned_abs() * 10_u32.pow(9 - kept as u32))
    }

    /// Seconds east of Greenwich: nothing, `Z`, `+HH`, `+HHMM` or `+HH:MM`.
    fn offset(&mut self) -> Result<i32, TimeError> {
        if self.0.is_empty() || self.one_of(b"Zz").is_ok() {
            return Ok(0);
        }
        let sign = if self.one_of(b"+-")? == b'-' { -1 } else { 1 };
        let hours = self.number(2)?;
        let minutes = if self.0.is_empty() {
            0
        } else {
            let _ = self.one_of(b":");
            self.number(2)?
        };
        if hours > 23 || minutes > 59 {
            return Err(TimeError::NoSuchDate);
        }
        Ok(sign * (hours * 3600 + minutes * 60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> Result<i64, TimeError> {
        parse_time(text, None)?.in_unit(TimeUnit::Micro).map(|(count, _)| count)
    }

    #[test]
    fn text_in_all_its_forms() {
        let noon = Ok(1_706_702_400_000_000);
        for text in [
            "2024-01-31T12:00:00Z",
            "2024-01-31t12:00:00z",
            "2024-01-31 12:00:00",
            "2024-01-31 12:00",
            " 2024-01-31T12:00:00.000 ",
            "2024-01-31T13:00:00+01:00",
            "2024-01-31T13:00:00+0100",
            "2024-01-31T13:00+01",
            "2024-01-31T06:30:00-05:30",
            "2024-01-31T12:00:00.0000000000000Z",
        ] {
            assert_eq!(micros(text), noon, "{text}");
        }
        assert_eq!(micros("2024-01-31"), Ok(1_706_659_200_000_000));
        assert_eq!(micros("1969-12-31T23:59:59.999999Z"), Ok(-1));
        assert_eq!(micros("1969-12-31T23:59:58,5Z"), Ok(-1_500_000));
        assert_eq!(micros("0001-01-01"), Ok(-62_135_596_800_000_000));
        assert_eq!(micros("9999-12-31T23:59:59.999999Z"), Ok(253_402_300_799_999_999));
        assert_eq!(micros("2016-12-31T23:59:60Z"), micros("2016-12-31T23:59:59Z"));
    }

    #[test]
    fn integers_by_magnitude_or_unit() {
        let second = Ok(1_700_000_000_000_000);
        for text in ["1700000000", "1700000000000", "1700000000000000", "1700000000000000000"] {
            assert_eq!(micros(text), second, "{text}");
        }
        assert_eq!(micros("-1"), Ok(-1_000_000));
        assert_eq!(micros("99999999999"), Ok(99_999_999_999_000_000));
        assert_eq!(micros("100000000000"), Ok(100_000_000_000_000));
        let in_millis = |text| parse_time(text, Some(EpochUnit::Milli)).and_then(|moment| moment.in_unit(TimeUnit::Micro));
        assert_eq!(in_millis("5"), Ok((5_000, false)));
        assert_eq!(in_millis("-5"), Ok((-5_000, false)));
    }

    #[test]
    fn digits_below_the_unit_are_cut_and_told() {
        let moment = parse_time("1700000000123456789", None).unwrap();
        assert!(moment.is_below_micros());
        assert_eq!(moment.in_unit(TimeUnit::Nano), Ok((1_700_000_000_123_456_789, false)));
        assert_eq!(moment.in_unit(TimeUnit::Micro), Ok((1_700_000_000_123_456, true)));
        assert_eq!(moment.in_unit(TimeUnit::Milli), Ok((1_700_000_000_123, true)));
        let before = parse_time("-1", Some(EpochUnit::Nano)).unwrap();
        assert_eq!(before.in_unit(TimeUnit::Micro), Ok((-1, true)));
    }

    #[test]
    fn what_is_no_time() {
        for text in [
            "",
            "noon",
            "2024",
            "12:00",
            "2024-1-31",
            "31.01.2024",
            "2024-01-31T",
            "2024-01-31T12",
            "1.5",
            "2024-01-31T12:00:00.",
        ] {
            let expected = if text == "2024" { Ok(2_024_000_000) } else { Err(TimeError::Form) };
            assert_eq!(micros(text), expected, "{text}");
        }
        for text in
            ["2024-01-31T12:00:00ZZ", "2024-01-31T12:00:00+1", "2024-01-31T12:00:00.0000000001", "2024-01-31Z", "2024-01-31é"]
        {
            assert_eq!(micros(text), Err(TimeError::Form), "{text}");
        }
        for text in ["2024-02-30", "2024-13-01", "2024-01-31T24:00", "2024-01-31T12:00:61Z", "2024-01-31T12:00:00+24:00"] {
            assert_eq!(micros(text), Err(TimeError::NoSuchDate), "{text}");
        }
    }

    #[test]
    fn what_no_table_accepts() {
        let nano = |text| parse_time(text, None).and_then(|moment| moment.in_unit(TimeUnit::Nano));
        assert_eq!(micros("0000-12-31T23:59:59Z"), Err(TimeError::OutOfRange(TimeUnit::Micro)));
        assert_eq!(micros("9999-12-31T23:59:59-01:00"), Err(TimeError::OutOfRange(TimeUnit::Micro)));
        assert_eq!(nano("2300-01-01"), Err(TimeError::OutOfRange(TimeUnit::Nano)));
        assert_eq!(nano("1677-09-21T00:12:43.145224194Z"), Ok((i64::MIN + 2, false)));
        assert_eq!(nano("1600-01-01"), Err(TimeError::OutOfRange(TimeUnit::Nano)));
        let seconds = parse_time("9223372036854775807", Some(EpochUnit::Second)).unwrap();
        assert_eq!(seconds.in_unit(TimeUnit::Nano), Err(TimeError::OutOfRange(TimeUnit::Nano)));
        assert_eq!(seconds.in_unit(TimeUnit::Micro), Err(TimeError::OutOfRange(TimeUnit::Micro)));
    }
}
