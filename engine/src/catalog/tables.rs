//! The tables of the catalog, and the bytes of their keys and values.
//!
//! Every table maps bytes to bytes, so that snapshots treat them alike. Numbers in keys are big-endian, so that their order is
//! that of the bytes:
//!
//! | code | table           | key                         | value                                            |
//! |------|-----------------|-----------------------------|--------------------------------------------------|
//! | 0    | `state`         | which (see [`State`])       | u64, little-endian                               |
//! | 1    | `tables`        | table                       | schema ([`persist::table`])                      |
//! | 2    | `series`        | table × 2³² + series        | tags: varint 0 if missing, else length + 1, bytes |
//! | 3    | `segments`      | segment                     | entry without index ([`persist::segment`])       |
//! | 4    | `segment_index` | segment                     | index, the segment module's bytes                |
//! | 5    | `deletions`     | sequence of its record      | its deletions ([`persist::deletion`])            |
//! | 6    | `receipts`      | sequence of its record      | receipt ([`persist::receipt`])                   |
//! | 7    | `cells`         | a key of metadata           | sequence of its record (varint), then its value  |
//! | 8    | `changed`       | sequence, then a key        | 0, or 1 where the key was removed                |
//! | 9    | `dropped`       | table                       | its last schema ([`persist::table`])             |

use redb::TableDefinition;

use crate::error::Error;
use crate::format::limits;
use crate::model::{Sequence, SeriesId, SeriesKey, TableId, TableSchema};
use crate::record::{DecodeError, Deletion, Receipt, SegmentEntry, persist};

/// One table of the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    State,
    Tables,
    Series,
    Segments,
    SegmentIndex,
    Deletions,
    Receipts,
    Cells,
    Changed,
    Dropped,
}

/// Keys of the `state` table.
#[derive(Debug, Clone, Copy)]
pub(super) enum State {
    /// The sequence through which records were applied at the last checkpoint.
    Applied = 0,
    /// The last sequence covered by segments.
    SealedThrough = 1,
    /// Bytes written to the database directory since it was created, as of the last checkpoint.
    BytesWritten = 2,
    /// What the engine's clock showed at the last checkpoint, in microseconds.
    EngineMicros = 3,
    /// The start of the machine by then; 0 where that is not known.
    Boot = 4,
    /// The time since that start, in microseconds.
    SinceBoot = 5,
}

/// How redb knows any of the tables.
pub(super) type Definition = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// The key of a row that is known by a number.
pub(super) type Number = [u8; 8];

impl Kind {
    /// Every table; each at the position of its code.
    pub(super) const ALL: [Kind; 10] = [
        Kind::State,
        Kind::Tables,
        Kind::Series,
        Kind::Segments,
        Kind::SegmentIndex,
        Kind::Deletions,
        Kind::Receipts,
        Kind::Cells,
        Kind::Changed,
        Kind::Dropped,
    ];

    /// The number of the table in snapshots.
    pub(super) fn code(self) -> u8 {
        self as u8
    }

    /// The table of a number.
    pub(super) fn from_code(code: u8) -> Option<Kind> {
        Kind::ALL.get(usize::from(code)).copied()
    }

    /// Its name, also within redb.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::State => "state",
            Kind::Tables => "tables",
            Kind::Series => "series",
            Kind::Segments => "segments",
            Kind::SegmentIndex => "segment_index",
            Kind::Deletions => "deletions",
            Kind::Receipts => "receipts",
            Kind::Cells => "cells",
            Kind::Changed => "changed",
            Kind::Dropped => "dropped",
        }
    }

    pub(super) fn definition(self) -> Definition {
        TableDefinition::new(self.name())
    }

    /// Checks that a row reads back.
    pub(super) fn check_row(self, key: &[u8], value: &[u8]) -> Result<(), DecodeError> {
        match self {
            Kind::Cells => return decode_cell(value).map(drop),
            Kind::Changed => return decode_changed(key, value).map(drop),
            _ => {}
        }
        let number = number_of(key)?;
        match self {
            Kind::State => decode_number(value).map(drop),
            Kind::Tables | Kind::Dropped => decode_table(number, value).map(drop),
            Kind::Series => decode_series(value).map(drop),
            Kind::Segments => decode_segment(number, value).map(drop),
            Kind::Deletions => decode_deletions(value).map(drop),
            Kind::Receipts => decode_receipt(value).map(drop),
            Kind::SegmentIndex | Kind::Cells | Kind::Changed => Ok(()),
        }
    }
}

/// The key of a number.
pub(super) fn number_key(number: u64) -> Number {
    number.to_be_bytes()
}

/// The number of a key.
pub(super) fn number_of(key: &[u8]) -> Result<u64, DecodeError> {
    let bytes = key.try_into().map_err(|_| DecodeError::new("key", format!("{} bytes", key.len())))?;
    Ok(u64::from_be_bytes(bytes))
}

/// The number of a series among those of all tables.
pub(super) fn series_number(table: TableId, series: SeriesId) -> u64 {
    u64::from(table.0) << 32 | u64::from(series.0)
}

/// The series of such a number.
pub(super) fn series_of(key: u64) -> SeriesId {
    SeriesId((key & u64::from(u32::MAX)) as u32)
}

pub(super) fn decode_number(value: &[u8]) -> Result<u64, DecodeError> {
    let bytes = value.try_into().map_err(|_| DecodeError::new("state", format!("{} bytes", value.len())))?;
    Ok(u64::from_le_bytes(bytes))
}

pub(super) fn decode_table(key: u64, value: &[u8]) -> Result<TableSchema, DecodeError> {
    let schema = persist::table::decode(value)?;
    same("table", key, u64::from(schema.id.0)).map(|()| schema)
}

/// The entry of a segment without its index.
pub(super) fn encode_segment(entry: &SegmentEntry) -> Vec<u8> {
    persist::segment::encode(&SegmentEntry { index: Vec::new(), ..entry.clone() })
}

pub(super) fn decode_segment(key: u64, value: &[u8]) -> Result<SegmentEntry, DecodeError> {
    let entry = persist::segment::decode(value)?;
    same("segment", key, entry.id.0).map(|()| entry)
}

pub(super) fn decode_deletions(value: &[u8]) -> Result<Vec<Deletion>, DecodeError> {
    persist::deletion::decode_all(value)
}

pub(super) fn decode_receipt(value: &[u8]) -> Result<Receipt, DecodeError> {
    persist::receipt::decode(value)
}

fn same(what: &'static str, key: u64, found: u64) -> Result<(), DecodeError> {
    if key == found { Ok(()) } else { Err(DecodeError::new(what, format!("number {found} under key {key}"))) }
}

/// Appends the bytes of a series' tags.
pub(crate) fn encode_series(key: &SeriesKey, into: &mut Vec<u8>) {
    for tag in &key.0 {
        let Some(text) = tag else {
            into.push(0);
            continue;
        };
        put_varint(into, text.len() as u64 + 1);
        into.extend_from_slice(text.as_bytes());
    }
}

/// Puts the row of a cell in the place of what `into` holds.
pub(super) fn encode_cell(sequence: Sequence, value: &[u8], into: &mut Vec<u8>) {
    into.clear();
    put_varint(into, sequence);
    into.extend_from_slice(value);
}

/// The sequence of the record that put a cell, and its value.
pub(super) fn decode_cell(row: &[u8]) -> Result<(Sequence, &[u8]), DecodeError> {
    varint(row).ok_or_else(|| DecodeError::new("cell", "a sequence without an end"))
}

/// The key under which it is noted that a record changed a key.
pub(super) fn changed_key(sequence: Sequence, key: &[u8], into: &mut Vec<u8>) {
    into.clear();
    into.extend_from_slice(&number_key(sequence));
    into.extend_from_slice(key);
}

/// The sequence of such a note, the key, and whether it was removed.
pub(super) fn decode_changed<'a>(row: &'a [u8], value: &[u8]) -> Result<(Sequence, &'a [u8], bool), DecodeError> {
    let wrong = |detail: &str| DecodeError::new("changed key", detail);
    let (sequence, key) = row.split_first_chunk().ok_or_else(|| wrong("a short row"))?;
    let removed = match value {
        [0] => false,
        [1] => true,
        _ => return Err(wrong("neither put nor removed")),
    };
    Ok((u64::from_be_bytes(*sequence), key, removed))
}

fn put_varint(into: &mut Vec<u8>, mut rest: u64) {
    while rest >= 0x80 {
        into.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    into.push(rest as u8);
}

pub(crate) fn decode_series(mut value: &[u8]) -> Result<SeriesKey, DecodeError> {
    const WHAT: &str = "series";
    let mut tags = Vec::new();
    while !value.is_empty() {
        let (len, rest) = varint(value).ok_or_else(|| DecodeError::new(WHAT, "a length without an end"))?;
        value = rest;
        let Some(len) = len.checked_sub(1) else {
            tags.push(None);
            continue;
        };
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let (text, rest) = value.split_at_checked(len).ok_or_else(|| DecodeError::new(WHAT, "a tag beyond the end"))?;
        value = rest;
        let text = std::str::from_utf8(text).map_err(|error| DecodeError::new(WHAT, error.to_string()))?;
        tags.push(Some(text.to_owned()));
        if tags.len() as u64 > limits::COLUMNS {
            return Err(DecodeError::new(WHAT, "too many tags"));
        }
    }
    Ok(SeriesKey(tags))
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (position, byte) in bytes.iter().enumerate().take(9) {
        value |= u64::from(byte & 0x7F) << (7 * position);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(position + 1..)?));
        }
    }
    None
}

/// A row that does not read back.
pub(super) fn bad_row(path: &std::path::Path, kind: Kind, key: &[u8], error: &DecodeError) -> Error {
    let key = number_of(key).map_or_else(|_| key.escape_ascii().to_string(), |number| number.to_string());
    Error::damaged(path, format_args!("row {key} of `{}`: {error}", kind.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_series_are_frozen() {
        let key = SeriesKey(vec![Some("ab".into()), None, Some(String::new()), Some("x".repeat(200))]);
        let mut bytes = Vec::new();
        encode_series(&key, &mut bytes);
        let mut golden = vec![3, b'a', b'b', 0, 1, 0xC9, 0x01];
        golden.extend([b'x'; 200]);
        assert_eq!(bytes, golden);
        assert_eq!(decode_series(&bytes).unwrap(), key);
        for len in [1, 2, 6, 100] {
            assert!(decode_series(&bytes[..len]).is_err(), "cut to {len} bytes");
        }
        assert_eq!(decode_series(&[]).unwrap(), SeriesKey::default());
    }

    #[test]
    fn codes_and_names_are_frozen() {
        let names: Vec<_> = Kind::ALL.iter().map(|kind| (kind.code(), kind.name())).collect();
        assert_eq!(names[..4], [(0, "state"), (1, "tables"), (2, "series"), (3, "segments")]);
        assert_eq!(names[4..7], [(4, "segment_index"), (5, "deletions"), (6, "receipts")]);
        assert_eq!(names[7..], [(7, "cells"), (8, "changed"), (9, "dropped")]);
        assert_eq!(Kind::from_code(10), None);
    }
}
