//! What a cut holds: the object that announces it, and that everything which travels later is measured by.
//!
//! A manifest is JSON, written in one way and never changed. Its hash is that of its bytes, so whoever reads one never writes it again.
//! Fields that a reader does not know are of a later version, which does not need them understood: otherwise [`FORMAT`] changes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Hash, Incarnation, Period};

/// What manifests say they are.
pub const FORMAT: &str = "alluvium-manifest/1";

/// Bytes of the largest manifest that is read.
pub const MOST_BYTES: usize = 64 << 20;

/// A cut: a stretch of the log whose rows lie in segments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: String,
    /// The gateway's name.
    pub gateway: String,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// The number of the cut: 1, 2, … for each gateway, also where another incarnation goes on.
    pub cut: u64,
    /// The cut before; none before the first.
    pub previous: Option<Link>,
    /// It holds the records of the log after this one …
    pub after: u64,
    /// … up to this one.
    pub through: u64,
    /// When it was sealed, by the gateway's clock.
    pub sealed_at: Timestamp,
    /// The end of the gateway's audit trail by then; none where it is empty.
    pub audit: Option<AuditHead>,
    /// The tables of its units.
    pub tables: Vec<Table>,
    /// Its rows, in the order of tables, periods and records, each once.
    pub units: Vec<Unit>,
    /// Metadata that changed, as far as no cut before has them; none where none did, or where they are not sent.
    pub metadata: Option<Delta>,
    /// Rows that were deleted, in the order of their records.
    pub erasures: Vec<Erasure>,
    /// Losses that were noticed since the cut before.
    pub gaps: Vec<Gap>,
}

/// The cut before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Link {
    /// Of which incarnation it is: another one where that was copied or restored.
    pub incarnation: Incarnation,
    /// The hash of its manifest.
    pub hash: Hash,
}

/// The end of an audit trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    /// The number of its last entry.
    pub number: u64,
    /// The hash of that.
    pub hash: Hash,
}

/// A table, as of a cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its number, which never changes.
    pub table: u32,
    /// Its name.
    pub name: String,
    /// What its times count.
    pub unit: TimeUnit,
    /// Whether it was dropped by the end of the cut, with all rows that it had.
    pub dropped: bool,
}

/// What times count, since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimeUnit {
    /// Milliseconds.
    #[serde(rename = "ms")]
    Milli,
    /// Microseconds.
    #[serde(rename = "us")]
    Micro,
    /// Nanoseconds.
    #[serde(rename = "ns")]
    Nano,
}

/// Rows of one table and period that became a segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// The number of the table.
    pub table: u32,
    /// The period.
    pub period: Period,
    /// The first and the last of the records they are of. Records between may be of others, and the first of a cut before.
    pub records: (u64, u64),
    /// How many rows were sealed. Later ones may stand in their place.
    pub rows: u64,
    /// Their earliest time, in the table's unit.
    pub first: i64,
    /// Their latest time, in the table's unit.
    pub last: i64,
}

/// Where the metadata of a cut are: the state of each key that changed after one record and did not again before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// The hash of the object.
    pub hash: Hash,
    /// Its length.
    pub bytes: u64,
    /// Keys in it.
    pub keys: u64,
    /// Of changes after this record: the last one of which metadata were sent before, or 0 where these are all there are …
    pub after: u64,
    /// … up to this one, which may be of a later cut.
    pub through: u64,
    /// When that was, by the gateway's clock.
    pub at: Timestamp,
}

/// A deletion of rows older than its record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// Its record.
    pub sequence: u64,
    /// The number of the table.
    pub table: u32,
    /// Which series: all, or those with these tags.
    pub series: Series,
    /// The first time, in the table's unit.
    pub from: i64,
    /// The time before which it ends, in the table's unit.
    pub to: i64,
}

/// Series of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Series {
    /// All that there are.
    All,
    /// These: the values of the table's tags in their order, each null where there is none.
    Only(Vec<Vec<Option<String>>>),
}

/// A loss, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// When it was noticed.
    pub at: Timestamp,
    /// What happened, in one word.
    pub kind: String,
    /// The first and the last of the records that are gone, where that is known.
    pub sequences: Option<(u64, u64)>,
    /// The number of the table, where that is known.
    pub table: Option<u32>,
    /// The first and the last time, in the table's unit, where that is known.
    pub times: Option<(i64, i64)>,
    /// In words.
    pub detail: String,
}

/// Why bytes are no manifest.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// They are too many.
    #[error("it has {0} bytes, and a manifest {MOST_BYTES} at most")]
    Large(usize),
    /// They are not JSON of this form.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// It says it is something else.
    #[error("it says that it is {0:?}, and {FORMAT:?} is expected")]
    Format(String),
    /// It contradicts itself.
    #[error("{0}")]
    Contradiction(&'static str),
}

impl Manifest {
    /// Reads one, whoever wrote it.
    ///
    /// # Errors
    ///
    /// [`Malformed`] where the bytes are none, or say what cannot be.
    pub fn decode(bytes: &[u8]) -> Result<Manifest, Malformed> {
        if bytes.len() > MOST_BYTES {
            return Err(Malformed::Large(bytes.len()));
        }
        /// What is looked at first, since the rest may have another form.
        #[derive(Deserialize)]
        struct Format {
            format: String,
        }
        let Format { format } = serde_json::from_slice(bytes)?;
        if format != FORMAT {
            return Err(Malformed::Format(format));
        }
        let manifest: Manifest = serde_json::from_slice(bytes)?;
        manifest.check().map_err(Malformed::Contradiction)?;
        Ok(manifest)
    }

    /// Its bytes: always the same, however often it is written.
    ///
    /// # Errors
    ///
    /// [`Malformed`] where it contradicts itself, so that nobody could read it.
    pub fn encode(&self) -> Result<Vec<u8>, Malformed> {
        if self.format != FORMAT {
            return Err(Malformed::Format(self.format.clone()));
        }
        self.check().map_err(Malformed::Contradiction)?;
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        if bytes.len() > MOST_BYTES {
            return Err(Malformed::Large(bytes.len()));
        }
        Ok(bytes)
    }

    /// The table of a number.
    pub fn table(&self, number: u32) -> Option<&Table> {
        let at = self.tables.binary_search_by_key(&number, |table| table.table).ok()?;
        self.tables.get(at)
    }

    fn check(&self) -> Result<(), &'static str> {
        let rules = [
            (!self.gateway.is_empty(), "the gateway has no name"),
            (self.cut > 0, "the first cut is number 1"),
            (self.previous.is_none() == (self.cut == 1), "every cut but the first, and that never, has one before it"),
            (self.after < self.through, "it holds no record"),
            (self.cut > 1 || self.after == 0, "the first cut begins at the first record"),
            (rises(self.tables.iter().map(|table| table.table)), "its tables are not in the order of their numbers, each once"),
            (
                rises(self.units.iter().map(|unit| (unit.table, unit.period, unit.records))),
                "its units are not in order, each once",
            ),
            (self.units.iter().all(|unit| self.table(unit.table).is_some()), "a unit is of a table that it does not name"),
            (
                self.units.iter().all(|unit| unit.rows > 0 && unit.first <= unit.last && unit.records.0 <= unit.records.1),
                "a unit has no rows, or ends before it begins",
            ),
            (self.units.iter().all(|unit| unit.records.0 > 0 && self.holds(unit.records.1)), "a unit is of another cut"),
            (self.metadata.is_none_or(|delta| delta.after < delta.through), "its metadata are of no record"),
            (rises_or_stays(self.erasures.iter().map(|erasure| erasure.sequence)), "its erasures are not in order"),
            (self.erasures.iter().all(|erasure| self.holds(erasure.sequence)), "an erasure is of another cut"),
            (self.erasures.iter().all(|erasure| erasure.from < erasure.to), "an erasure is of no time"),
            (self.gaps.iter().all(|gap| gap.sequences.is_none_or(|(first, last)| first <= last)), "a gap ends before it begins"),
        ];
        rules.iter().find(|(kept, _)| !kept).map_or(Ok(()), |(_, broken)| Err(broken))
    }

    fn holds(&self, sequence: u64) -> bool {
        self.after < sequence && sequence <= self.through
    }
}

fn rises<T: Ord>(items: impl Iterator<Item = T>) -> bool {
    items.is_sorted_by(|one, next| one < next)
}

fn rises_or_stays<T: Ord>(items: impl Iterator<Item = T>) -> bool {
    items.is_sorted()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::PeriodKind;
    use super::*;

    pub(crate) fn manifest() -> Manifest {
        let day = |start| Period { kind: PeriodKind::Day, start };
        Manifest {
            format: FORMAT.to_owned(),
            gateway: "pump-house".to_owned(),
            incarnation: Incarnation([7; 16]),
            cut: 2,
            previous: Some(Link { incarnation: Incarnation([7; 16]), hash: Hash([1; 32]) }),
            after: 4_543,
            through: 6_061,
            sealed_at: "2025-11-29T12:00:00.123456Z".parse().unwrap(),
            audit: Some(AuditHead { number: 15, hash: Hash([2; 32]) }),
            tables: vec![Table { table: 3, name: "air".to_owned(), unit: TimeUnit::Micro, dropped: false }],
            units: vec![
                Unit {
                    table: 3,
                    period: day(1_764_288_000),
                    records: (4_544, 6_000),
                    rows: 10,
                    first: 1_764_288_000_000_000,
                    last: 1_764_288_009_000_000,
                },
                Unit { table: 3, period: day(1_764_374_400), records: (4_500, 6_061), rows: 1, first: -1, last: -1 },
            ],
            metadata: Some(Delta {
                hash: Hash([3; 32]),
                bytes: 1_234,
                keys: 5,
                after: 4_551,
                through: 6_070,
                at: "2025-11-29T12:00:01Z".parse().unwrap(),
            }),
            erasures: vec![
                Erasure { sequence: 5_000, table: 3, series: Series::All, from: 0, to: 10 },
                Erasure {
                    sequence: 5_001,
                    table: 3,
                    series: Series::Only(vec![vec![Some("cellar".to_owned()), None]]),
                    from: i64::MIN,
                    to: i64::MAX,
                },
            ],
            gaps: vec![Gap {
                at: "2025-11-29T11:00:00Z".parse().unwrap(),
                kind: "log_damage".to_owned(),
                sequences: Some((4_600, 4_601)),
                table: None,
                times: None,
                detail: "records 4600 to 4601 are lost".to_owned(),
            }],
        }
    }

    #[test]
    fn bytes_are_these() {
        let bytes = manifest().encode().unwrap();
        assert_eq!(String::from_utf8(bytes.clone()).unwrap(), include_str!("manifest.json"));
        assert_eq!(Manifest::decode(&bytes).unwrap(), manifest());
        // As b3sum says.
        assert_eq!(Hash::of(&bytes).to_string(), include_str!("manifest.json.b3").trim());
    }

    #[test]
    fn later_versions_may_say_more_and_other_formats_say_so() {
        let text = include_str!("manifest.json");
        let more = text.replacen("\"cut\": 2,", "\"cut\": 2, \"colour\": [1, {}],", 1);
        assert_eq!(Manifest::decode(more.as_bytes()).unwrap(), manifest());
        let other = Manifest::decode(br#"{"format": "alluvium-manifest/2", "cut": "two"}"#).unwrap_err();
        assert!(matches!(&other, Malformed::Format(format) if format == "alluvium-manifest/2"), "{other}");
        let own = Manifest { format: "alluvium-manifest/2".to_owned(), ..manifest() };
        assert!(matches!(own.encode(), Err(Malformed::Format(_))));
    }

    #[test]
    fn contradictions_are_neither_written_nor_read() {
        type Change = fn(&mut Manifest);
        let changes: [(&str, Change); 20] = [
            ("no name", |m| m.gateway.clear()),
            ("number 1", |m| {
                m.cut = 0;
                m.previous = None;
            }),
            ("before it", |m| m.previous = None),
            ("before it", |m| m.cut = 1),
            ("no record", |m| m.through = m.after),
            ("first record", |m| {
                m.cut = 1;
                m.previous = None;
            }),
            ("order of their numbers", |m| m.tables.push(m.tables[0].clone())),
            ("units are not in order", |m| m.units.swap(0, 1)),
            ("units are not in order", |m| m.units.push(m.units[1].clone())),
            ("does not name", |m| m.units[1].table = 4),
            ("no rows", |m| m.units[0].rows = 0),
            ("no rows", |m| m.units[0].last = m.units[0].first - 1),
            ("no rows", |m| m.units[0].records.0 = m.units[0].records.1 + 1),
            ("unit is of another cut", |m| m.units[0].records.0 = 0),
            ("unit is of another cut", |m| m.units[0].records = (m.after, m.after)),
            ("unit is of another cut", |m| m.units[0].records.1 = m.through + 1),
            ("of no record", |m| m.metadata.iter_mut().for_each(|delta| delta.through = delta.after)),
            ("another cut", |m| m.erasures[0].sequence = m.after),
            ("not in order", |m| m.erasures.swap(0, 1)),
            ("of no time", |m| m.erasures[0].to = m.erasures[0].from),
        ];
        for (why, change) in changes {
            let mut wrong = manifest();
            change(&mut wrong);
            let refused = wrong.encode().unwrap_err();
            assert!(refused.to_string().contains(why), "{refused} instead of {why}");
            let forged = serde_json::to_vec(&wrong).unwrap();
            let refused = Manifest::decode(&forged).unwrap_err();
            assert!(refused.to_string().contains(why), "{refused} instead of {why}");
        }
    }

    #[test]
    fn garbage_is_an_error() {
        let whole = manifest().encode().unwrap();
        for end in 0..whole.len() - 2 {
            assert!(Manifest::decode(&whole[..end]).is_err(), "{end} bytes");
        }
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..20_000 {
            let mut bytes = whole.clone();
            let at = random.usize(..bytes.len());
            bytes[at] = random.u8(..);
            // Whatever is read of it can be written again.
            if let Ok(read) = Manifest::decode(&bytes) {
                assert_eq!(Manifest::decode(&read.encode().unwrap()).unwrap(), read);
            }
        }
        assert!(matches!(Manifest::decode(&vec![b' '; MOST_BYTES + 1]), Err(Malformed::Large(_))));
    }
}
