//! What a transaction did: the one record that speaks of all models at once.
//!
//! A payload is, in varints and what they announce: engine clock, wall clock (zig-zag); cells, each with the bytes its key
//! shares with the one before, the rest of the key, and 0 or its value's length + 1 and bytes; blocks of rows, each as in a
//! `PutRows` record; deletions, one behind the other.

use std::sync::Arc;

use super::pack::{Reader, put_varint, put_zigzag};
use super::{DecodeError, Deletion, encode_rows, persist, rows};
use crate::error::Result;
use crate::format::limits;
use crate::model::{Block, TableId};

const WHAT: &str = "transaction";
/// Bytes that the keys of one transaction may have together: sharing could make them many times the bytes of the record.
const KEYS_BYTES: usize = limits::FRAME_BYTES as usize;

/// A key of the ordered space in which metadata live.
pub type Key = Arc<[u8]>;

/// The effects of one transaction: all of them or none.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// When it was decided.
    pub at: Moment,
    /// Keys with their new values, in rising order, each once.
    pub cells: Vec<Effect>,
    /// Rows put, at most one block for each table.
    pub rows: Vec<(TableId, Block)>,
    /// Rows deleted: older ones, and so none of `rows`.
    pub deletions: Vec<Deletion>,
}

/// One key's new value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// The key.
    pub key: Key,
    /// Its value; `None` where it has none any more.
    pub value: Option<Arc<[u8]>>,
}

/// Whether a key says only what others say too: indexes and the like, which no change feed speaks of.
pub fn is_derived(key: &[u8]) -> bool {
    key.first().is_some_and(|first| *first >= DERIVED)
}

/// The first bytes of keys that are derived from others begin here.
pub const DERIVED: u8 = 0x80;

/// A moment, by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment {
    /// Microseconds by the engine's clock: since the database was made, without what passed while it was closed and the machine
    /// was started again. Never goes back.
    pub engine_micros: u64,
    /// Microseconds since 1970 by the wall clock, right or wrong.
    pub wall_micros: i64,
}

/// Fails like [`encode_rows`], and where the keys are too long.
pub(crate) fn encode(transaction: &Transaction) -> Result<Vec<u8>> {
    let keys: usize = transaction.cells.iter().map(|cell| cell.key.len()).sum();
    limits::check("bytes of the keys of one transaction", keys as u64, KEYS_BYTES as u64, "")?;
    let mut out = Vec::with_capacity(256);
    put_varint(&mut out, transaction.at.engine_micros);
    put_zigzag(&mut out, transaction.at.wall_micros);
    put_varint(&mut out, transaction.cells.len() as u64);
    let mut before: &[u8] = &[];
    for Effect { key, value } in &transaction.cells {
        let shared = key.iter().zip(before).take_while(|(a, b)| a == b).count();
        put_varint(&mut out, shared as u64);
        put_bytes(&mut out, 0, key.get(shared..).unwrap_or_default());
        match value {
            None => put_varint(&mut out, 0),
            Some(value) => put_bytes(&mut out, 1, value),
        }
        before = key;
    }
    put_varint(&mut out, transaction.rows.len() as u64);
    for (table, block) in &transaction.rows {
        put_bytes(&mut out, 0, &encode_rows(*table, block)?);
    }
    out.extend(persist::deletion::encode_all(&transaction.deletions));
    Ok(out)
}

/// Reads such a payload. What it allocates is bounded by the bytes that are there, and for rows by their limits.
pub(super) fn decode(payload: &[u8]) -> Result<Transaction, DecodeError> {
    let Outline { at, cells, rows, deletions } = outline(payload)?;
    let mut blocks: Vec<(TableId, Block)> = Vec::with_capacity(rows.len());
    for bytes in rows {
        let (table, block) = rows::decode(bytes)?;
        if blocks.iter().any(|(other, _)| *other == table) {
            return Err(DecodeError::new(WHAT, format!("two blocks of table {}", table.0)));
        }
        blocks.push((table, block));
    }
    Ok(Transaction { at, cells, rows: blocks, deletions })
}

/// A transaction whose rows are left as bytes.
pub(crate) struct Outline<'a> {
    pub(crate) at: Moment,
    pub(crate) cells: Vec<Effect>,
    /// Each as in a `PutRows` record.
    pub(crate) rows: Vec<&'a [u8]>,
    pub(crate) deletions: Vec<Deletion>,
}

/// Reads all of such a payload but its rows.
pub(crate) fn outline(payload: &[u8]) -> Result<Outline<'_>, DecodeError> {
    let mut reader = Reader::new(WHAT, payload);
    let at = Moment { engine_micros: reader.varint()?, wall_micros: reader.zigzag()? };
    let mut before: Key = Arc::from([]);
    let (mut cells, mut room) = (Vec::new(), KEYS_BYTES);
    for _ in 0..reader.varint()? {
        let key = key(&mut reader, &before)?;
        room = room.checked_sub(key.len()).ok_or_else(|| reader.error("too many long keys"))?;
        if key <= before && !cells.is_empty() {
            return Err(reader.error("keys out of order"));
        }
        let value = match reader.varint()? {
            0 => None,
            more => Some(Arc::from(take(&mut reader, more - 1)?)),
        };
        before = key.clone();
        cells.push(Effect { key, value });
    }
    let mut rows = Vec::new();
    for _ in 0..reader.varint()? {
        rows.push(bytes(&mut reader)?);
    }
    let rest = reader.remaining();
    let deletions = persist::deletion::decode_all(reader.take(rest)?)?;
    Ok(Outline { at, cells, rows, deletions })
}

fn key(reader: &mut Reader<'_>, before: &[u8]) -> Result<Key, DecodeError> {
    let shared = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
    let rest = bytes(reader)?;
    let shared = before.get(..shared).ok_or_else(|| reader.error("a key that shares more than there is"))?;
    match shared.len() + rest.len() {
        0 => Err(reader.error("an empty key")),
        len if len as u64 > limits::KEY_BYTES => Err(reader.error(format!("a key of {len} bytes"))),
        _ => Ok(shared.iter().chain(rest).copied().collect()),
    }
}

fn bytes<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    let len = reader.varint()?;
    take(reader, len)
}

fn take<'a>(reader: &mut Reader<'a>, len: u64) -> Result<&'a [u8], DecodeError> {
    reader.take(usize::try_from(len).unwrap_or(usize::MAX))
}

/// The length plus something that tells it from what else may stand there, and the bytes.
fn put_bytes(out: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64 + offset);
    out.extend_from_slice(bytes);
}
