//! The spans of time that tables are divided into, as objects name them.

use std::fmt;
use std::str::FromStr;

use jiff::Span;
use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// How long a period is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PeriodKind {
    /// A UTC hour.
    Hour,
    /// A UTC day.
    Day,
    /// A UTC month.
    Month,
    /// A UTC year.
    Year,
}

/// What times a unit or a segment is of. In text `hour`, `day`, `month` or `year` and the second since 1970 in which it begins,
/// as in `day1764374400`; or `mixed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Period {
    /// One partition of its table.
    Of {
        /// Its length.
        kind: PeriodKind,
        /// Its first second since 1970.
        start: i64,
    },
    /// Rows of several partitions.
    Mixed,
}

/// Text that names no period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a period is expected: hour, day, month or year and a second since 1970, or mixed")]
pub struct NoPeriod;

const KINDS: [(PeriodKind, &str); 4] =
    [(PeriodKind::Hour, "hour"), (PeriodKind::Day, "day"), (PeriodKind::Month, "month"), (PeriodKind::Year, "year")];

impl Period {
    /// The UTC date on which it begins, where that has one that everybody can read: of the years 1 to 9999.
    pub fn date(self) -> Option<Date> {
        let Period::Of { start, .. } = self else { return None };
        let days = Span::new().try_days(start.div_euclid(86_400)).ok()?;
        let date = Date::constant(1970, 1, 1).checked_add(days).ok()?;
        (date.year() >= 1).then_some(date)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Period::Of { kind, start } = self else { return f.write_str("mixed") };
        let name = KINDS.iter().find(|(known, _)| known == kind).map_or("", |(_, name)| name);
        write!(f, "{name}{start}")
    }
}

impl FromStr for Period {
    type Err = NoPeriod;

    fn from_str(text: &str) -> Result<Self, NoPeriod> {
        if text == "mixed" {
            return Ok(Period::Mixed);
        }
        let (kind, start) = KINDS.iter().find_map(|(kind, name)| Some((*kind, text.strip_prefix(name)?))).ok_or(NoPeriod)?;
        let period = Period::Of { kind, start: start.parse().map_err(|_| NoPeriod)? };
        // One way to write it: no sign before what is positive, no zeroes.
        if period.to_string() == text { Ok(period) } else { Err(NoPeriod) }
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_way_to_write_each() {
        for (text, period) in [
            ("day1764374400", Period::Of { kind: PeriodKind::Day, start: 1_764_374_400 }),
            ("hour-3600", Period::Of { kind: PeriodKind::Hour, start: -3_600 }),
            ("month0", Period::Of { kind: PeriodKind::Month, start: 0 }),
            ("year-9223372036854775808", Period::Of { kind: PeriodKind::Year, start: i64::MIN }),
            ("mixed", Period::Mixed),
        ] {
            assert_eq!(text.parse(), Ok(period), "{text}");
            assert_eq!(period.to_string(), text);
        }
        for wrong in ["", "day", "day+1", "day01", "day-0", "week0", "Mixed", "day1 ", "day9223372036854775808"] {
            assert_eq!(wrong.parse::<Period>(), Err(NoPeriod), "{wrong}");
        }
    }

    #[test]
    fn dates_are_those_of_years_that_all_can_read() {
        let date = |text: &str| text.parse::<Period>().unwrap().date().map(|date| date.to_string());
        assert_eq!(date("day1764374400").as_deref(), Some("2025-11-29"));
        assert_eq!(date("hour-3600").as_deref(), Some("1969-12-31"));
        // 0001-01-01 is the 62,135,596,800th second before 1970, and 10000-01-01 the 253,402,300,800th after.
        assert_eq!(date("day-62135596800").as_deref(), Some("0001-01-01"));
        assert_eq!(date("day-62135683200"), None);
        assert_eq!(date("day253402214400").as_deref(), Some("9999-12-31"));
        assert_eq!(date("day253402300800"), None);
        assert_eq!(date("mixed"), None);
        assert_eq!(date("year-9223372036854775808"), None);
    }
}
