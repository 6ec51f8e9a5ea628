//! The bytes of history files.
//!
//! ```text
//! header, twice: magic "ALVHIST1" · salt u64 · first sequence u64 · CRC-32 of the 24 bytes before u32           (28 bytes each)
//! chunks × { tag "KEPT" · CRC-32 u32 · body's bytes u32 · first u64 · last u64 · body }      all these numbers little-endian
//! body: entries × { what u8 · varint sequence less the one expected · varint bytes · payload }
//! ```
//!
//! A chunk's CRC starts from the salt and covers what follows it in the chunk. A chunk accounts for every record from `first` to
//! `last`; those it has no entry for say nothing that the feed shows.

use crc32fast::Hasher;

use crate::format::limits;
use crate::model::{Sequence, TableId};
use crate::record::{DecodeError, Reader, RecordKind, RowsOutline, put_varint, put_zigzag};

const MAGIC: &[u8; 8] = b"ALVHIST1";
const TAG: [u8; 4] = *b"KEPT";
const HEADER: usize = 28;
/// Where the first chunk begins.
pub(super) const DATA_START: u64 = 2 * HEADER as u64;
pub(super) const CHUNK_HEADER: usize = 28;
/// Bytes of a body: one entry may be as large as a record, the tables of its rows come on top.
const MOST_BODY_BYTES: u64 = limits::FRAME_BYTES + (4 << 20);

const ROWS: u8 = 0;
const TRANSACTION_WITH_ROWS: u8 = 0x80 | RecordKind::Transaction.code();
const LOST: u8 = 0xff;
const WHAT: &str = "history";

/// What is kept of records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kept<'a> {
    /// One record, its payload as in the log.
    Record { kind: u8, payload: &'a [u8] },
    /// Records up to `last` that put rows, which lie in segments.
    Rows { last: Sequence, tables: Vec<RowsOutline> },
    /// A transaction whose rows lie in segments, without them.
    Transaction { tables: Vec<RowsOutline>, payload: &'a [u8] },
    /// Records up to `last` could not be read when their log file was let go of.
    Lost { last: Sequence },
}

/// What a file begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Random, new with every file.
    pub(super) salt: u64,
    pub(super) first: Sequence,
}

impl Header {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&self.salt.to_le_bytes());
        bytes.extend_from_slice(&self.first.to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        bytes.extend_from_within(..);
        bytes
    }

    /// Either of the two.
    pub(super) fn decode(bytes: &[u8]) -> Option<Header> {
        bytes.chunks_exact(HEADER).take(2).find_map(|copy| {
            let (fields, crc) = copy.split_last_chunk::<4>()?;
            let (magic, fields_only) = fields.split_first_chunk::<8>()?;
            let good = magic == MAGIC && u32::from_le_bytes(*crc) == crc32fast::hash(fields);
            good.then_some(Header { salt: word(fields_only, 0)?, first: word(fields_only, 8)? })
        })
    }
}

/// What a chunk begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChunkHeader {
    crc: u32,
    pub(super) bytes: usize,
    pub(super) first: Sequence,
    pub(super) last: Sequence,
}

impl ChunkHeader {
    /// Reads the fields; whether they are true, [`ChunkHeader::matches`] tells.
    pub(super) fn decode(bytes: &[u8]) -> Option<ChunkHeader> {
        let rest = bytes.strip_prefix(&TAG)?;
        let header = ChunkHeader {
            crc: half(rest, 0)?,
            bytes: usize::try_from(half(rest, 4)?).ok()?,
            first: word(rest, 8)?,
            last: word(rest, 16)?,
        };
        (header.first <= header.last && header.bytes as u64 <= MOST_BODY_BYTES).then_some(header)
    }

    pub(super) fn matches(&self, salt: u64, body: &[u8]) -> bool {
        crc(salt, self.bytes as u32, self.first, self.last, body) == self.crc
    }
}

/// Where a chunk may begin within some bytes.
pub(super) fn find_tag(bytes: &[u8]) -> Option<usize> {
    bytes.windows(TAG.len()).position(|window| window == TAG)
}

/// A chunk in the making.
#[derive(Debug)]
pub(super) struct ChunkBuilder {
    first: Sequence,
    /// The sequence that the next entry is counted from.
    expected: Sequence,
    body: Vec<u8>,
}

impl ChunkBuilder {
    pub(super) fn new(first: Sequence) -> Self {
        ChunkBuilder { first, expected: first, body: Vec::new() }
    }

    pub(super) fn bytes(&self) -> usize {
        self.body.len()
    }

    pub(super) fn push(&mut self, sequence: Sequence, kept: &Kept<'_>) {
        let mut own = Vec::new();
        let (what, last, payload) = match kept {
            Kept::Record { kind, payload } => (*kind, sequence, *payload),
            Kept::Rows { last, tables } => {
                put_varint(&mut own, last - sequence);
                put_tables(&mut own, tables);
                (ROWS, *last, &own[..])
            }
            Kept::Transaction { tables, payload } => {
                put_tables(&mut own, tables);
                own.extend_from_slice(payload);
                (TRANSACTION_WITH_ROWS, sequence, &own[..])
            }
            Kept::Lost { last } => {
                put_varint(&mut own, last - sequence);
                (LOST, *last, &own[..])
            }
        };
        self.body.push(what);
        put_varint(&mut self.body, sequence - self.expected);
        put_varint(&mut self.body, payload.len() as u64);
        self.body.extend_from_slice(payload);
        self.expected = last + 1;
    }

    /// The chunk, which accounts for everything through `last`.
    pub(super) fn finish(self, salt: u64, last: Sequence) -> Vec<u8> {
        let length = self.body.len() as u32;
        let mut bytes = Vec::with_capacity(CHUNK_HEADER + self.body.len());
        bytes.extend_from_slice(&TAG);
        bytes.extend_from_slice(&crc(salt, length, self.first, last, &self.body).to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&self.first.to_le_bytes());
        bytes.extend_from_slice(&last.to_le_bytes());
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// An entry, and how many bytes of the body it takes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    pub(crate) sequence: Sequence,
    /// The last record it speaks of.
    pub(crate) last: Sequence,
    pub(crate) kept: Kept<'a>,
    pub(crate) bytes: usize,
}

/// Reads the first entry of what is left of a body. It speaks of records from `expected` to `last` at most.
pub(super) fn entry(body: &[u8], expected: Sequence, last: Sequence) -> Result<Entry<'_>, DecodeError> {
    let mut reader = Reader::new(WHAT, body);
    let what = reader.byte()?;
    let sequence = expected.saturating_add(reader.varint()?);
    let length = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
    let payload = reader.take(length)?;
    let bytes = body.len() - reader.remaining();
    let mut own = Reader::new(WHAT, payload);
    let (kept, through) = match what {
        ROWS => {
            let last = sequence.saturating_add(own.varint()?);
            let tables = tables(&mut own)?;
            end(&own)?;
            (Kept::Rows { last, tables }, last)
        }
        TRANSACTION_WITH_ROWS => {
            let tables = tables(&mut own)?;
            let payload = own.take(own.remaining())?;
            (Kept::Transaction { tables, payload }, sequence)
        }
        LOST => {
            let last = sequence.saturating_add(own.varint()?);
            end(&own)?;
            (Kept::Lost { last }, last)
        }
        kind => (Kept::Record { kind, payload }, sequence),
    };
    if through > last {
        return Err(reader.error(format!("record {through} after {last}")));
    }
    Ok(Entry { sequence, last: through, kept, bytes })
}

/// Reads the entries of a body and writes what they say; `None` where they say nothing.
#[cfg(feature = "internals")]
pub(crate) fn again(body: &[u8]) -> Option<Vec<u8>> {
    let mut written = ChunkBuilder::new(1);
    let mut rest = body;
    while !rest.is_empty() {
        let entry = entry(rest, written.expected, 1 << 60).ok()?;
        written.push(entry.sequence, &entry.kept);
        rest = rest.get(entry.bytes..)?;
    }
    Some(written.body)
}

fn end(reader: &Reader<'_>) -> Result<(), DecodeError> {
    match reader.remaining() {
        0 => Ok(()),
        rest => Err(reader.error(format!("{rest} bytes too many"))),
    }
}

/// Count; then for each table its number, rows, 0 or 1 and earliest time and what the latest is above it.
fn put_tables(out: &mut Vec<u8>, tables: &[RowsOutline]) {
    put_varint(out, tables.len() as u64);
    for RowsOutline { table, rows, times } in tables {
        put_varint(out, u64::from(table.0));
        put_varint(out, *rows);
        match times {
            None => out.push(0),
            Some((first, last)) => {
                out.push(1);
                put_zigzag(out, *first);
                put_varint(out, last.wrapping_sub(*first).cast_unsigned());
            }
        }
    }
}

fn tables(reader: &mut Reader<'_>) -> Result<Vec<RowsOutline>, DecodeError> {
    let mut tables = Vec::new();
    for _ in 0..reader.varint()? {
        let table = u32::try_from(reader.varint()?).map_err(|_| reader.error("a table number beyond 32 bits"))?;
        let rows = reader.varint()?;
        let times = match reader.byte()? {
            0 => None,
            1 => {
                let first = reader.zigzag()?;
                let last = first.wrapping_add(reader.varint()?.cast_signed());
                Some((first, last)).filter(|(first, last)| first <= last)
            }
            other => return Err(reader.error(format!("times of kind {other}"))),
        };
        tables.push(RowsOutline { table: TableId(table), rows, times });
    }
    Ok(tables)
}

fn crc(salt: u64, length: u32, first: Sequence, last: Sequence, body: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(&length.to_le_bytes());
    hasher.update(&first.to_le_bytes());
    hasher.update(&last.to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

fn half(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline() -> RowsOutline {
        RowsOutline { table: TableId(7), rows: 300, times: Some((-1, 1_000)) }
    }

    #[test]
    fn the_bytes_of_a_file_are_frozen() {
        let header = Header { salt: 0x0102_0304_0506_0708, first: 5 };
        let bytes = header.encode();
        let half = [b"ALVHIST1".as_slice(), &[8, 7, 6, 5, 4, 3, 2, 1, 5, 0, 0, 0, 0, 0, 0, 0]].concat();
        assert_eq!((&bytes[..24], bytes.len()), (&half[..], 56));
        assert_eq!(bytes[24..28], [0xf1, 0xa1, 0xb3, 0x1c]);
        for damaged in [0, 28] {
            let mut one = bytes.clone();
            one[damaged] ^= 1;
            assert_eq!(Header::decode(&one), Some(header), "one copy is enough");
            one[28 - damaged] ^= 1;
            assert_eq!(Header::decode(&one), None);
        }

        let kept = [
            (5, Kept::Record { kind: 8, payload: b"abc" }),
            (7, Kept::Rows { last: 9, tables: vec![outline(), RowsOutline { table: TableId(1), rows: 0, times: None }] }),
            (10, Kept::Transaction { tables: vec![outline()], payload: b"t" }),
            (12, Kept::Lost { last: 13 }),
        ];
        let mut chunk = ChunkBuilder::new(5);
        kept.iter().for_each(|(sequence, kept)| chunk.push(*sequence, kept));
        let bytes = chunk.finish(header.salt, 15);
        let body = [
            &[8, 0, 3][..],
            b"abc",
            &[0, 1, 12, 2, 2, 7, 0xac, 2, 1, 1, 0xe9, 7, 1, 0, 0],
            &[0x89, 0, 9, 1, 7, 0xac, 2, 1, 1, 0xe9, 7, b't'],
            &[0xff, 1, 1, 1],
        ]
        .concat();
        assert_eq!(bytes[..4], *b"KEPT");
        assert_eq!(bytes[4..8], [0xbf, 0x8c, 0xad, 0x7f]);
        assert_eq!(bytes[8..28], [37, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 15, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[28..], body);

        let read = ChunkHeader::decode(&bytes).unwrap();
        assert!(read.matches(header.salt, &body) && !read.matches(1, &body));
        let (mut at, mut expected) = (0, 5);
        for (sequence, kept) in kept {
            let entry = entry(&body[at..], expected, 15).unwrap();
            assert_eq!((entry.sequence, entry.kept), (sequence, kept));
            (at, expected) = (at + entry.bytes, entry.last + 1);
        }
        assert_eq!(at, body.len());
    }

    #[test]
    fn anything_else_is_refused_or_read_within_its_bounds() {
        let mut chunk = ChunkBuilder::new(5);
        chunk.push(6, &Kept::Rows { last: 9, tables: vec![outline(); 3] });
        let bytes = chunk.finish(1, 9);
        let body = &bytes[CHUNK_HEADER..];
        assert!(entry(body, 5, 8).is_err(), "beyond the chunk");
        for len in 0..body.len() {
            assert!(entry(&body[..len], 5, 9).is_err(), "cut to {len} bytes");
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let (header, body) = flipped.split_at(CHUNK_HEADER);
            assert!(ChunkHeader::decode(header).is_none_or(|header| !header.matches(1, body)), "bit {bit}");
            if let Ok(entry) = entry(body, 5, 9) {
                assert!((5..=9).contains(&entry.sequence) && entry.last <= 9);
            }
        }
        // 2^32 - 1 tables that are not there.
        assert!(entry(&[0, 0, 6, 0, 0xff, 0xff, 0xff, 0xff, 0x0f], 5, 9).is_err());
    }
}
