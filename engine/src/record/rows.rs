//! Rows in the log: columnar and lightly packed, since the log is most of what wears the flash.
//!
//! A payload is: table, rows, columns (varints); series and times in chunks of packed integers; then column by column its
//! type, a bitmap where values are missing, and the values that are there.

use super::DecodeError;
use super::column;
use super::pack::{Reader, Unpacker, put_varint};
use crate::error::{Error, Result};
use crate::format::limits;
use crate::model::{Block, TableId};

/// Memory that one record's rows may take, so that a few bytes cannot stand for more than there is.
const DECODED_BYTES: usize = 1 << 30;
/// Series and time of a row.
const KEY_BYTES: usize = 4 + 8;

/// The payload of a `PutRows` record.
///
/// Fails with [`Error::Limit`] where the rows exceed what one record can hold, and with [`Error::Internal`] where the
/// columns differ in length or are not of a field's type.
pub fn encode_rows(table: TableId, block: &Block) -> Result<Vec<u8>> {
    check(block)?;
    let mut out = Vec::with_capacity(64 + block.rows() * (2 + 3 * block.columns.len()));
    put_varint(&mut out, u64::from(table.0));
    put_varint(&mut out, block.rows() as u64);
    put_varint(&mut out, block.columns.len() as u64);
    column::put_integers(&mut out, &block.series, i64::from);
    column::put_integers(&mut out, &block.times, |time| time);
    for array in &block.columns {
        column::put(&mut out, array.as_ref())?;
    }
    limits::check("bytes of one record", out.len() as u64, limits::FRAME_BYTES, "")?;
    Ok(out)
}

fn check(block: &Block) -> Result<()> {
    let rows = block.rows();
    limits::check("rows of one record", rows as u64, limits::BLOCK_ROWS, "")?;
    limits::check("columns of one record", block.columns.len() as u64, limits::COLUMNS, "")?;
    let odd = block.columns.iter().flatten().find(|array| array.len() != rows);
    if odd.is_some() || block.series.len() != rows {
        return Err(Error::Internal("columns of different length were to be logged".into()));
    }
    let decoded = |array: &arrow::array::ArrayRef| {
        rows * 8 + if array.data_type().is_primitive() { 0 } else { array.get_array_memory_size() }
    };
    let size = rows * KEY_BYTES + block.columns.iter().flatten().map(decoded).sum::<usize>();
    limits::check("memory of the rows of one record", size as u64, DECODED_BYTES as u64, "")
}

/// Reads such a payload. What it allocates is bounded by the bytes that are there and by a limit for the whole.
pub(super) fn decode(payload: &[u8]) -> Result<(TableId, Block), DecodeError> {
    let mut reader = Reader::new("rows", payload);
    let (table, rows, columns) = shape(&mut reader)?;
    let mut budget = DECODED_BYTES - rows * KEY_BYTES;
    let unpacker = &mut Unpacker::new();
    let (series, times) = keys(&mut reader, unpacker, rows)?;
    let columns = (0..columns).map(|_| column::get(&mut reader, unpacker, rows, &mut budget)).collect::<Result<_, _>>()?;
    if reader.remaining() > 0 {
        return Err(reader.error(format!("{} bytes too many", reader.remaining())));
    }
    Ok((table, Block { series: series.into(), times: times.into(), columns }))
}

/// What rows are about, without what they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowsOutline {
    pub(crate) table: TableId,
    pub(crate) rows: u64,
    /// Earliest and latest, both within.
    pub(crate) times: Option<(i64, i64)>,
}

/// Reads of such a payload how many rows of which table and time there are.
pub(crate) fn outline(payload: &[u8]) -> Result<RowsOutline, DecodeError> {
    let mut reader = Reader::new("rows", payload);
    let (table, rows, _) = shape(&mut reader)?;
    let (_, times) = keys(&mut reader, &mut Unpacker::new(), rows)?;
    let times = times.iter().min().copied().zip(times.iter().max().copied());
    Ok(RowsOutline { table, rows: rows as u64, times })
}

/// Table, rows and columns.
fn shape(reader: &mut Reader<'_>) -> Result<(TableId, usize, u64), DecodeError> {
    let table = reader.varint()?;
    let rows = reader.varint()?;
    let columns = reader.varint()?;
    if table > u64::from(u32::MAX) || rows > limits::BLOCK_ROWS || columns > limits::COLUMNS {
        return Err(reader.error(format!("{rows} rows of {columns} columns in table {table}")));
    }
    Ok((TableId(table as u32), rows as usize, columns))
}

/// Series and time of each row.
fn keys(reader: &mut Reader<'_>, unpacker: &mut Unpacker, rows: usize) -> Result<(Vec<u32>, Vec<i64>), DecodeError> {
    let series = column::get_integers(reader, unpacker, rows, |lane| u32::try_from(lane).ok())?;
    let series: Option<Vec<u32>> = series.into_iter().collect();
    let series = series.ok_or_else(|| reader.error("a series number beyond 32 bits"))?;
    let times = column::get_integers(reader, unpacker, rows, |lane| lane)?;
    Ok((series, times))
}
