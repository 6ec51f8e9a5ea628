//! The spans of time that tables are divided into, as objects name them.

use std::fmt;
use std::ops::RangeInclusive;
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

/// What times a unit or a segment is of: one partition of its table. In text `hour`, `day`, `month` or `year` and the second since
/// 1970 in which it begins, as in `day1764374400`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Period {
    /// Its length.
    pub kind: PeriodKind,
    /// Its first second since 1970.
    pub start: i64,
}

/// Text that names no period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a period is expected: hour, day, month or year and a second since 1970")]
pub struct NoPeriod;

/// Seconds.
const DAY: i64 = 86_400;

const KINDS: [(PeriodKind, &str); 4] =
    [(PeriodKind::Hour, "hour"), (PeriodKind::Day, "day"), (PeriodKind::Month, "month"), (PeriodKind::Year, "year")];

impl Period {
    /// Whether all times of another period are in this one, as a day is in its month. Periods of the far past and future, whose
    /// calendar nobody needs, hold themselves alone.
    pub fn holds(self, other: Period) -> bool {
        // They nest, so that where one begins tells; what is longer does not fit.
        let within = || self.kind > other.kind && self.start <= other.start && self.end().is_some_and(|end| other.start < end);
        self == other || within()
    }

    /// For each length, the periods that do not begin behind this one.
    pub(crate) fn not_behind(self) -> impl Iterator<Item = RangeInclusive<Period>> {
        KINDS.iter().map(move |&(kind, _)| Period { kind, start: i64::MIN }..=Period { kind, start: self.start })
    }

    /// This one, and those of each greater length that hold it.
    pub(crate) fn within(self) -> impl Iterator<Item = Period> {
        let longer = move |kind| {
            let date = self.date()?;
            let first = match kind {
                PeriodKind::Hour => return None,
                PeriodKind::Day => date,
                PeriodKind::Month => date.first_of_month(),
                PeriodKind::Year => date.first_of_year(),
            };
            let start = DAY * i64::from(Date::constant(1970, 1, 1).until(first).ok()?.get_days());
            (kind > self.kind).then_some(Period { kind, start })
        };
        std::iter::once(self).chain(KINDS.into_iter().filter_map(move |(kind, _)| longer(kind)))
    }

    /// The first second behind it.
    fn end(self) -> Option<i64> {
        let Period { kind, start } = self;
        let length = match kind {
            PeriodKind::Hour => return start.checked_add(3_600),
            PeriodKind::Day => return start.checked_add(DAY),
            PeriodKind::Month => Span::new().months(1),
            PeriodKind::Year => Span::new().years(1),
        };
        let date = self.date()?;
        let next = date.checked_add(length).ok()?;
        Some(start + DAY * i64::from(date.until(next).ok()?.get_days()))
    }

    /// The UTC date on which it begins, where that has one that everybody can read: of the years 1 to 9999.
    pub fn date(self) -> Option<Date> {
        let days = Span::new().try_days(self.start.div_euclid(DAY)).ok()?;
        let date = Date::constant(1970, 1, 1).checked_add(days).ok()?;
        (date.year() >= 1).then_some(date)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Period { kind, start } = self;
        let name = KINDS.iter().find(|(known, _)| known == kind).map_or("", |(_, name)| name);
        write!(f, "{name}{start}")
    }
}

impl FromStr for Period {
    type Err = NoPeriod;

    fn from_str(text: &str) -> Result<Self, NoPeriod> {
        let (kind, start) = KINDS.iter().find_map(|(kind, name)| Some((*kind, text.strip_prefix(name)?))).ok_or(NoPeriod)?;
        let period = Period { kind, start: start.parse().map_err(|_| NoPeriod)? };
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
            ("day1764374400", Period { kind: PeriodKind::Day, start: 1_764_374_400 }),
            ("hour-3600", Period { kind: PeriodKind::Hour, start: -3_600 }),
            ("month0", Period { kind: PeriodKind::Month, start: 0 }),
            ("year-9223372036854775808", Period { kind: PeriodKind::Year, start: i64::MIN }),
        ] {
            assert_eq!(text.parse(), Ok(period), "{text}");
            assert_eq!(period.to_string(), text);
        }
        for wrong in ["", "mixed", "day", "day+1", "day01", "day-0", "week0", "Mixed", "day1 ", "day9223372036854775808"] {
            assert_eq!(wrong.parse::<Period>(), Err(NoPeriod), "{wrong}");
        }
    }

    #[test]
    fn longer_periods_hold_those_within_them() {
        let holds = |one: &str, other: &str| one.parse::<Period>().unwrap().holds(other.parse().unwrap());
        // 2025-11-01 and 2025-12-01, 2025-01-01 and 2026-01-01.
        let (november, december, this_year, next_year) = (1_761_955_200_i64, 1_764_547_200, 1_735_689_600, 1_767_225_600_i64);
        for (kind, start, end) in
            [("hour", 0, 3_600), ("day", 0, 86_400), ("month", november, december), ("year", this_year, next_year)]
        {
            let long = format!("{kind}{start}");
            assert!(holds(&long, &long));
            for shorter in ["hour", "day", "month"].into_iter().take_while(|shorter| *shorter != kind) {
                for (at, within) in [(start, true), (end - 3_600, true), (end, false), (start - 1, false)] {
                    assert_eq!(holds(&long, &format!("{shorter}{at}")), within, "{long} {shorter}{at}");
                }
            }
            assert!(!holds("hour0", "day0"));
        }
        // The February of a leap year, and years without a date.
        assert!(holds("month1706745600", "day1709164800") && !holds("month1706745600", "day1709251200"));
        assert!(!holds("year-9223372036854775808", "hour-9223372036854775808") && !holds("day9223372036854775807", "hour0"));
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
        assert_eq!(date("year-9223372036854775808"), None);
    }
}
