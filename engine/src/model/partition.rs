//! Partitions of time: UTC hours, days, months and years.

use serde::{Deserialize, Serialize};

use super::{TimeRange, TimeUnit};

/// The length of a partition, shortest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PartitionKind {
    /// A UTC hour.
    Hour,
    /// A UTC day.
    Day,
    /// A UTC month.
    Month,
    /// A UTC year.
    Year,
}

/// The span of time that a segment belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Partition {
    /// Its length.
    pub kind: PartitionKind,
    /// Its bounds, in the table's unit.
    pub range: TimeRange,
}

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

impl PartitionKind {
    /// All of them, shortest first.
    pub const ALL: [PartitionKind; 4] = [PartitionKind::Hour, PartitionKind::Day, PartitionKind::Month, PartitionKind::Year];

    /// Seconds in one, on average.
    pub const fn seconds(self) -> i64 {
        match self {
            PartitionKind::Hour => HOUR,
            PartitionKind::Day => DAY,
            PartitionKind::Month => 2_629_746,
            PartitionKind::Year => 31_556_952,
        }
    }

    /// The partition that holds a time.
    pub fn of(self, time: i64, unit: TimeUnit) -> Partition {
        let per_second = unit.per_second();
        let seconds = time.div_euclid(per_second);
        let (start, end) = match self {
            PartitionKind::Hour => aligned(seconds, HOUR),
            PartitionKind::Day => aligned(seconds, DAY),
            PartitionKind::Month => {
                let (year, month) = month_of(seconds.div_euclid(DAY));
                let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                (days_before(year, month) * DAY, days_before(next_year, next_month) * DAY)
            }
            PartitionKind::Year => {
                let (year, _) = month_of(seconds.div_euclid(DAY));
                (days_before(year, 1) * DAY, days_before(year + 1, 1) * DAY)
            }
        };
        let range = TimeRange::new(start.saturating_mul(per_second), end.saturating_mul(per_second));
        Partition { kind: self, range }
    }
}

fn aligned(seconds: i64, width: i64) -> (i64, i64) {
    let start = seconds.div_euclid(width) * width;
    (start, start + width)
}

/// Days from 1970-01-01 to the first of a month in the proleptic Gregorian calendar.
///
/// H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
fn days_before(year: i64, month: i64) -> i64 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year and month of a day counted from 1970-01-01 (the inverse, `civil_from_days`).
fn month_of(day: i64) -> (i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = ((5 * day_of_year + 2) / 153 + 2) % 12 + 1;
    (year_of_era + era * 400 + i64::from(month <= 2), month)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn bounds(kind: PartitionKind, seconds: i64) -> (i64, i64) {
        let range = kind.of(seconds * SECOND, TimeUnit::Micro).range;
        (range.start / SECOND, range.end / SECOND)
    }

    #[test]
    fn months_and_years_have_calendar_bounds() {
        // 2024-02-29T12:00:00Z is 1_709_208_000.
        assert_eq!(bounds(PartitionKind::Hour, 1_709_208_000), (1_709_208_000, 1_709_211_600));
        assert_eq!(bounds(PartitionKind::Day, 1_709_208_000), (1_709_164_800, 1_709_251_200));
        assert_eq!(bounds(PartitionKind::Month, 1_709_208_000), (1_706_745_600, 1_709_251_200));
        assert_eq!(bounds(PartitionKind::Year, 1_709_208_000), (1_704_067_200, 1_735_689_600));
    }

    #[test]
    fn times_before_1970_belong_to_their_own_partition() {
        assert_eq!(bounds(PartitionKind::Hour, -1), (-3_600, 0));
        assert_eq!(bounds(PartitionKind::Month, -1), (-31 * DAY, 0));
        assert_eq!(bounds(PartitionKind::Year, -1), (-365 * DAY, 0));
    }

    #[test]
    fn neighbours_meet_from_year_1_to_9999() {
        let accepted = TimeUnit::Micro.accepted();
        for kind in [PartitionKind::Month, PartitionKind::Year] {
            let mut at = accepted.start;
            while at < accepted.end {
                let partition = kind.of(at, TimeUnit::Micro);
                assert_eq!(partition.range.start, at, "{kind:?}");
                assert_eq!(kind.of(partition.range.end - 1, TimeUnit::Micro), partition);
                at = partition.range.end;
            }
            assert_eq!(at, accepted.end);
        }
    }
}
