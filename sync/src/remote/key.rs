//! How objects are called.
//!
//! ```text
//! gateways/gw=<gateway>/<incarnation>/<cut>.manifest.json             or, where nothing is created only once, <cut>-<hash>.manifest.json
//! gateways/gw=<gateway>/<incarnation>/<cut>-<hash>.metadata.jsonl.zst
//! table=<table>/date=<date>/gw=<gateway>/t<table's number>_<period>_<incarnation>_<first record>-<last record>_<hash>.parquet
//! ```
//!
//! Cuts and records have twelve digits, so that they are listed in order. In names of gateways and tables every byte but letters, digits, `-`,
//! `_` and `.` is written as `%` and two hexadecimal digits, which Hive's readers take back. A segment whose period has no date that
//! all can read is of `date=__HIVE_DEFAULT_PARTITION__`, their null.

use std::fmt::{self, Write};
use std::str::FromStr;

use super::{Hash, Incarnation, Period};

/// Digits of cuts and records, at least.
const DIGITS: usize = 12;
const MANIFEST: &str = ".manifest.json";
const METADATA: &str = ".metadata.jsonl.zst";
const SEGMENT: &str = ".parquet";
const NO_DATE: &str = "__HIVE_DEFAULT_PARTITION__";

/// The name of an object, below whatever prefix the bucket is used with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// What one cut holds.
    Manifest {
        /// The gateway's name.
        gateway: String,
        /// Its incarnation.
        incarnation: Incarnation,
        /// The cut's number.
        cut: u64,
        /// The hash of the object, where the store cannot create a name only once.
        hash: Option<Hash>,
    },
    /// The metadata that one cut changed.
    Metadata {
        /// The gateway's name.
        gateway: String,
        /// Its incarnation.
        incarnation: Incarnation,
        /// The cut's number.
        cut: u64,
        /// The hash of the object.
        hash: Hash,
    },
    /// Rows.
    Segment(SegmentKey),
}

/// The name of a segment, which says which units it holds: those of its table and period whose records are among its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentKey {
    /// The name its table has, or had when it was sent.
    pub name: String,
    /// The number of the table, which never changes.
    pub table: u32,
    /// Its period.
    pub period: Period,
    /// The gateway's name.
    pub gateway: String,
    /// The gateway's incarnation.
    pub incarnation: Incarnation,
    /// The first and the last of the records that it is of.
    pub records: (u64, u64),
    /// The hash of the object.
    pub hash: Hash,
}

/// The name of an object that is none of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no name of an object that Alluvium makes")]
pub struct Foreign;

impl Key {
    /// The gateway whose object it is.
    pub fn gateway(&self) -> &str {
        match self {
            Key::Manifest { gateway, .. } | Key::Metadata { gateway, .. } | Key::Segment(SegmentKey { gateway, .. }) => gateway,
        }
    }

    /// Where the manifests and metadata of a gateway's incarnation are.
    pub fn of_incarnation(gateway: &str, incarnation: Incarnation) -> String {
        format!("gateways/gw={}/{incarnation}/", Escaped(gateway))
    }

    /// Where those of all incarnations of a gateway are.
    pub fn of_gateway(gateway: &str) -> String {
        format!("gateways/gw={}/", Escaped(gateway))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Manifest { gateway, incarnation, cut, hash } => {
                write!(f, "{}{cut:0DIGITS$}", Key::of_incarnation(gateway, *incarnation))?;
                hash.iter().try_for_each(|hash| write!(f, "-{hash}"))?;
                f.write_str(MANIFEST)
            }
            Key::Metadata { gateway, incarnation, cut, hash } => {
                write!(f, "{}{cut:0DIGITS$}-{hash}{METADATA}", Key::of_incarnation(gateway, *incarnation))
            }
            Key::Segment(segment) => segment.fmt(f),
        }
    }
}

impl SegmentKey {
    /// Below which prefixes segments are that hold a unit of a table and a period: of that, and of the longer ones that it is within.
    pub(crate) fn places(name: &str, period: Period, gateway: &str) -> impl Iterator<Item = String> {
        let mut dates: Vec<_> = period.within().map(date).collect();
        dates.dedup();
        dates.into_iter().map(move |date| format!("table={}/date={date}/gw={}/", Escaped(name), Escaped(gateway)))
    }
}

/// The date in the names of segments of a period.
fn date(period: Period) -> String {
    period.date().map_or_else(|| NO_DATE.to_owned(), |date| date.to_string())
}

impl fmt::Display for SegmentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SegmentKey { name, table, period, gateway, incarnation, records: (first, last), hash } = self;
        let date = date(*period);
        write!(f, "table={}/date={date}/gw={}/", Escaped(name), Escaped(gateway))?;
        write!(f, "t{table}_{period}_{incarnation}_{first:0DIGITS$}-{last:0DIGITS$}_{hash}{SEGMENT}")
    }
}

impl FromStr for Key {
    type Err = Foreign;

    /// Takes exactly what is written: a name that could be written otherwise is none.
    fn from_str(text: &str) -> Result<Self, Foreign> {
        let parts: Vec<_> = text.split('/').collect();
        let key = match parts[..] {
            ["gateways", gateway, incarnation, file] => of_incarnation(gateway, incarnation, file),
            [table, date, gateway, file] if date.starts_with("date=") => segment(table, gateway, file).map(Key::Segment),
            _ => None,
        };
        key.filter(|key| key.to_string() == text).ok_or(Foreign)
    }
}

fn of_incarnation(gateway: &str, incarnation: &str, file: &str) -> Option<Key> {
    let gateway = unescape(gateway.strip_prefix("gw=")?)?;
    let incarnation = incarnation.parse().ok()?;
    if let Some(stem) = file.strip_suffix(METADATA) {
        let (cut, hash) = stem.split_once('-')?;
        return Some(Key::Metadata { gateway, incarnation, cut: number(cut)?, hash: hash.parse().ok()? });
    }
    let stem = file.strip_suffix(MANIFEST)?;
    let (cut, hash) = match stem.split_once('-') {
        Some((cut, hash)) => (cut, Some(hash.parse().ok()?)),
        None => (stem, None),
    };
    Some(Key::Manifest { gateway, incarnation, cut: number(cut)?, hash })
}

fn segment(table: &str, gateway: &str, file: &str) -> Option<SegmentKey> {
    let stem: Vec<_> = file.strip_suffix(SEGMENT)?.split('_').collect();
    let [number_of_table, period, incarnation, records, hash] = stem[..] else { return None };
    let (first, last) = records.split_once('-')?;
    let records = (number(first)?, number(last)?);
    (records.0 <= records.1).then_some(())?;
    Some(SegmentKey {
        name: unescape(table.strip_prefix("table=")?)?,
        table: number_of_table.strip_prefix('t')?.parse().ok()?,
        period: period.parse().ok()?,
        gateway: unescape(gateway.strip_prefix("gw=")?)?,
        incarnation: incarnation.parse().ok()?,
        records,
        hash: hash.parse().ok()?,
    })
}

/// The number of a cut or a record, the first of which is 1.
fn number(digits: &str) -> Option<u64> {
    digits.parse().ok().filter(|number| *number > 0)
}

/// A name within a path.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.bytes().try_for_each(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => f.write_char(char::from(byte)),
            other => write!(f, "%{other:02X}"),
        })
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        rest = more;
        match (first, more) {
            (b'%', [high, low, behind @ ..]) => {
                let digits = [*high, *low];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
                rest = behind;
            }
            (byte, _) => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).ok().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::PeriodKind;
    use super::*;

    const INCARNATION: &str = "000102030405060708090a0b0c0d0e0f";
    const HASH: &str = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";

    fn day() -> SegmentKey {
        SegmentKey {
            name: "air / Küche".to_owned(),
            table: 3,
            period: Period { kind: PeriodKind::Day, start: 1_764_374_400 },
            gateway: "pump-house".to_owned(),
            incarnation: INCARNATION.parse().unwrap(),
            records: (7, 12),
            hash: HASH.parse().unwrap(),
        }
    }

    #[test]
    fn names_are_these_and_are_read_back() {
        let (gateway, incarnation) = ("pump house".to_owned(), INCARNATION.parse().unwrap());
        let hash: Hash = HASH.parse().unwrap();
        // The year 0.
        let ancient = Period { kind: PeriodKind::Year, start: -62_167_219_200 };
        let written = [
            (
                Key::Manifest { gateway: gateway.clone(), incarnation, cut: 7, hash: None },
                format!("gateways/gw=pump%20house/{INCARNATION}/000000000007.manifest.json"),
            ),
            (
                Key::Manifest { gateway: gateway.clone(), incarnation, cut: 7, hash: Some(hash) },
                format!("gateways/gw=pump%20house/{INCARNATION}/000000000007-{HASH}.manifest.json"),
            ),
            (
                Key::Metadata { gateway, incarnation, cut: 7, hash },
                format!("gateways/gw=pump%20house/{INCARNATION}/000000000007-{HASH}.metadata.jsonl.zst"),
            ),
            (
                Key::Segment(day()),
                format!(
                    "table=air%20%2F%20K%C3%BCche/date=2025-11-29/gw=pump-house/\
                     t3_day1764374400_{INCARNATION}_000000000007-000000000012_{HASH}.parquet"
                ),
            ),
            (
                Key::Segment(SegmentKey { period: ancient, ..day() }),
                format!(
                    "table=air%20%2F%20K%C3%BCche/date=__HIVE_DEFAULT_PARTITION__/gw=pump-house/\
                     t3_year-62167219200_{INCARNATION}_000000000007-000000000012_{HASH}.parquet"
                ),
            ),
        ];
        for (key, text) in written {
            assert_eq!(key.to_string(), text);
            assert_eq!(text.parse(), Ok(key));
        }
    }

    #[test]
    fn what_could_be_written_otherwise_is_not_ours() {
        let text = Key::Segment(day()).to_string();
        for (from, to) in [
            ("%20", " "),
            ("%2F", "%2f"),
            ("%C3%BC", "%C3"),
            ("table=air%20%2F%20K%C3%BCche", "table="),
            ("2025-11-29", "2025-11-30"),
            ("t3_", "t03_"),
            ("t3_", "t4294967296_"),
            ("000000000007", "7"),
            ("000000000007", "000000000000"),
            ("000000000007", "000000000013"),
            ("gw=pump", "pump"),
            (".parquet", ".Parquet"),
            ("/date", "/more/date"),
            (HASH, INCARNATION),
        ] {
            let other = text.replace(from, to);
            assert_ne!(other, text);
            assert_eq!(other.parse::<Key>(), Err(Foreign), "{other}");
        }
        for other in ["", "/", "gateways", "table=a/date=b/gw=c/d", "gateways/gw=a/b/c", "%", "gateways/gw=%/b/c"] {
            assert_eq!(other.parse::<Key>(), Err(Foreign), "{other}");
        }
    }

    #[test]
    fn whatever_holds_a_unit_is_at_one_of_its_places() {
        let places = |period: &str| SegmentKey::places("a b", period.parse().unwrap(), "g").collect::<Vec<_>>();
        let place = |date: &str| format!("table=a%20b/date={date}/gw=g/");
        // 2025-11-29 13:00.
        assert_eq!(places("hour1764421200"), [place("2025-11-29"), place("2025-11-01"), place("2025-01-01")]);
        assert_eq!(places("day1764374400"), [place("2025-11-29"), place("2025-11-01"), place("2025-01-01")]);
        assert_eq!(places("month1761955200"), [place("2025-11-01"), place("2025-01-01")]);
        assert_eq!(places("year1735689600"), [place("2025-01-01")]);
        assert_eq!(places("year-62167219200"), [place("__HIVE_DEFAULT_PARTITION__")]);
        let hour: Period = "hour1764421200".parse().unwrap();
        let longer: Vec<_> = hour.within().map(|period| period.to_string()).collect();
        assert_eq!(longer, ["hour1764421200", "day1764374400", "month1761955200", "year1735689600"]);
        assert!(hour.within().all(|period| period.holds(hour)));
    }

    #[test]
    fn cuts_are_listed_in_order() {
        let name = |cut| {
            let (gateway, incarnation) = ("g".to_owned(), INCARNATION.parse().unwrap());
            Key::Manifest { gateway, incarnation, cut, hash: None }.to_string()
        };
        let cuts = [1, 2, 9, 10, 99, 100, 999_999, 1_000_000, 999_999_999_999];
        assert!(cuts.windows(2).all(|pair| name(pair[0]) < name(pair[1])));
    }
}
