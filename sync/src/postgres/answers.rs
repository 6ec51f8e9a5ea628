//! What goes to the functions of the API and what they answer.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::remote::{AuditHead, Hash, Incarnation, Period, SegmentKey};

use super::Error;

/// The last cut that the centre has of a gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// Which one that is of the gateway's: 1, 2, …
    pub order: u32,
    /// The number of the cut.
    pub cut: u64,
    /// The hash of its manifest.
    pub hash: Hash,
    /// Its last record.
    pub through: u64,
    /// When it was sealed, by the gateway's clock.
    pub sealed_at: Timestamp,
    /// The end of the audit trail by then.
    pub audit: Option<AuditHead>,
}

/// What became of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advance {
    /// It is the head now.
    Registered,
    /// It was there already, as the head or before it.
    Already,
}

/// A segment that a target was seen to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Its name, which has table, period, records and hash.
    pub key: SegmentKey,
    /// Rows in it.
    pub rows: u64,
    /// Its length.
    pub bytes: u64,
    /// The first time in it, in the table's unit.
    pub first: i64,
    /// The last time in it, in the table's unit.
    pub last: i64,
    /// The name of the target.
    pub target: String,
}

/// What became of segments.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Held {
    /// So many are new.
    pub registered: u64,
    /// So many were known.
    pub known: u64,
    /// The places of those whose last record is of no cut that the centre has. They were not taken: register the cut first.
    pub unannounced: Vec<usize>,
}

/// The state of one key of the metadata.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The record that changed it last.
    pub sequence: u64,
    /// Of which kind it is.
    pub kind: String,
    /// What tells it from others of its kind.
    pub key: Vec<String>,
    /// Its state; null where there is none any more.
    pub value: Value,
}

/// What became of lines of metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// They are taken in; so many were newer than what was known.
    Newer(u64),
    /// The centre has no such cut, or one without metadata. Nothing was taken.
    UnknownCut,
}

/// A cut that the centre has.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct KnownCut {
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// Its number.
    pub cut: u64,
    /// The hash of its manifest.
    pub hash: Hash,
    /// Its records are those after this one …
    pub after: u64,
    /// … up to this one.
    pub through: u64,
    /// Whether its metadata are there, or it has none.
    pub metadata: bool,
}

/// A segment that the centre has.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct KnownSegment {
    /// Its number in the order in which they were registered.
    pub id: i64,
    /// The name of its object.
    pub key: String,
    /// The name of the target that it is in.
    pub target: String,
    /// Its length.
    pub bytes: u64,
}

/// A unit that the centre has no segment for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct MissingUnit {
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// Its cut.
    pub cut: u64,
    /// The number of its table.
    pub table: u32,
    /// Its period.
    pub period: Period,
    /// Its records.
    pub records: (u64, u64),
}

/// A segment as it is told.
#[derive(Serialize)]
struct Told<'a> {
    table: u32,
    name: &'a str,
    period: Period,
    incarnation: Incarnation,
    records: (u64, u64),
    hash: Hash,
    rows: u64,
    bytes: u64,
    first: i64,
    last: i64,
    target: &'a str,
}

/// Segments of a gateway as they are told.
pub(super) fn told_segments(gateway: &str, segments: &[Segment]) -> Result<String, Error> {
    if let Some(other) = segments.iter().find(|segment| segment.key.gateway != gateway) {
        return Err(Error::Invalid(format!("{} is a segment of another gateway", other.key)));
    }
    let told = segments.iter().map(|Segment { key, rows, bytes, first, last, target }| Told {
        table: key.table,
        name: &key.name,
        period: key.period,
        incarnation: key.incarnation,
        records: key.records,
        hash: key.hash,
        rows: *rows,
        bytes: *bytes,
        first: *first,
        last: *last,
        target,
    });
    json(&told.collect::<Vec<_>>())
}

/// Lines as they are told.
pub(super) fn told_lines(lines: &[Line]) -> Result<String, Error> {
    let mut lines = lines.to_vec();
    for line in &mut lines {
        line.key.iter_mut().for_each(without_nul);
        line.value = writable(std::mem::take(&mut line.value));
    }
    json(&lines)
}

fn json(told: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(told).map_err(|error| Error::Internal(error.to_string()))
}

/// PostgreSQL has no text with the character 0: the picture of it stands in its place. The bucket has it as it was.
fn without_nul(text: &mut String) {
    if text.contains('\0') {
        *text = text.replace('\0', "\u{2400}");
    }
}

fn writable(value: Value) -> Value {
    match value {
        Value::String(mut text) => {
            without_nul(&mut text);
            Value::String(text)
        }
        Value::Array(items) => items.into_iter().map(writable).collect(),
        Value::Object(members) => {
            let member = |(mut name, value)| {
                without_nul(&mut name);
                (name, writable(value))
            };
            members.into_iter().map(member).collect()
        }
        other => other,
    }
}

/// Reads an answer.
pub(super) fn read<'a, T: Deserialize<'a>>(answer: &'a str) -> Result<T, Error> {
    serde_json::from_str(answer).map_err(|error| Error::Unsupported(format!("its answer is not understood: {error}")))
}

/// Of [`super::Ledger::head`].
#[derive(Deserialize)]
pub(super) struct HeadAnswer {
    pub(super) head: Option<Box<Head>>,
}

/// Of [`super::Ledger::advance`].
#[derive(Deserialize)]
pub(super) struct AdvanceAnswer {
    status: String,
    head: Option<Box<Head>>,
}

impl AdvanceAnswer {
    pub(super) fn outcome(self) -> Result<Advance, Error> {
        let AdvanceAnswer { status, head } = self;
        match status.as_str() {
            "advanced" => Ok(Advance::Registered),
            "already" => Ok(Advance::Already),
            "conflict" => Err(Error::Conflict { head }),
            "behind" => Err(Error::Behind { head }),
            "unknown_previous" => Err(Error::UnknownPrevious { head }),
            other => Err(Error::Unsupported(format!("it answers {other:?}"))),
        }
    }
}

/// Of [`super::Ledger::metadata`].
#[derive(Deserialize)]
pub(super) struct MetadataAnswer {
    status: String,
    newer: Option<u64>,
}

impl MetadataAnswer {
    pub(super) fn outcome(self) -> Result<Applied, Error> {
        match (self.status.as_str(), self.newer) {
            ("applied", Some(newer)) => Ok(Applied::Newer(newer)),
            ("unknown_cut", _) => Ok(Applied::UnknownCut),
            (other, _) => Err(Error::Unsupported(format!("it answers {other:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_has_the_character_0() {
        let value = serde_json::json!({"a\0": ["\0", {"b": "c\\u0000"}], "n": 1.5});
        let line = Line { sequence: 1, kind: "document".to_owned(), key: vec!["k\0".to_owned()], value };
        let told = told_lines(&[line]).unwrap();
        let read: Vec<Line> = serde_json::from_str(&told).unwrap();
        assert_eq!(read[0].key, ["k\u{2400}"]);
        assert_eq!(read[0].value, serde_json::json!({"a\u{2400}": ["\u{2400}", {"b": "c\\u0000"}], "n": 1.5}));
    }
}
