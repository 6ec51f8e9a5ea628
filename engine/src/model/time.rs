//! Points and spans of time, counted in a table's own unit.

use serde::{Deserialize, Serialize};

/// The unit in which a table counts time since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum TimeUnit {
    /// Milliseconds.
    Milli,
    /// Microseconds: what Parquet readers, Postgres and Iceberg agree on.
    #[default]
    Micro,
    /// Nanoseconds: 1677 to 2262.
    Nano,
}

impl TimeUnit {
    /// How many of this unit make a second.
    pub const fn per_second(self) -> i64 {
        match self {
            TimeUnit::Milli => 1_000,
            TimeUnit::Micro => 1_000_000,
            TimeUnit::Nano => 1_000_000_000,
        }
    }

    /// Arrow's name for it.
    pub const fn arrow(self) -> arrow::datatypes::TimeUnit {
        match self {
            TimeUnit::Milli => arrow::datatypes::TimeUnit::Millisecond,
            TimeUnit::Micro => arrow::datatypes::TimeUnit::Microsecond,
            TimeUnit::Nano => arrow::datatypes::TimeUnit::Nanosecond,
        }
    }

    /// The span of times a table of this unit accepts: years 0001 to 9999, or what 64 bits hold.
    pub const fn accepted(self) -> TimeRange {
        const FIRST_SECOND: i64 = -62_135_596_800; // 0001-01-01T00:00:00Z
        const LAST_SECOND: i64 = 253_402_300_800; // 10000-01-01T00:00:00Z
        match self {
            TimeUnit::Nano => TimeRange { start: i64::MIN + 1, end: i64::MAX },
            _ => TimeRange { start: FIRST_SECOND * self.per_second(), end: LAST_SECOND * self.per_second() },
        }
    }

    /// Converts a count of microseconds; saturates at the ends of what this unit can say.
    pub const fn from_micros(self, micros: i64) -> i64 {
        match self {
            TimeUnit::Milli => micros.div_euclid(1_000),
            TimeUnit::Micro => micros,
            TimeUnit::Nano => micros.saturating_mul(1_000),
        }
    }
}

/// A half-open span of time: `start` is within, `end` is not. In the unit of the table it is used with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TimeRange {
    /// The first moment within.
    pub start: i64,
    /// The first moment after.
    pub end: i64,
}

impl TimeRange {
    /// All of time.
    pub const ALL: TimeRange = TimeRange { start: i64::MIN, end: i64::MAX };

    /// From `start` up to, without, `end`.
    pub const fn new(start: i64, end: i64) -> Self {
        TimeRange { start, end }
    }

    /// Whether no moment lies within.
    pub const fn is_empty(self) -> bool {
        self.start >= self.end
    }

    /// Whether `time` lies within.
    pub const fn contains(self, time: i64) -> bool {
        self.start <= time && time < self.end
    }

    /// Whether some moment of the closed span `[min, max]` lies within.
    pub const fn touches(self, min: i64, max: i64) -> bool {
        self.start <= max && min < self.end
    }

    /// Whether all of the closed span `[min, max]` lies within.
    pub const fn covers(self, min: i64, max: i64) -> bool {
        self.start <= min && max < self.end
    }

    /// The moments in both.
    pub fn intersect(self, other: TimeRange) -> TimeRange {
        TimeRange { start: self.start.max(other.start), end: self.end.min(other.end) }
    }
}
