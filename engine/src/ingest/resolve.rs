//! The second stage: tag values become series numbers.

use arrow::array::StringArray;

use super::validate::Validated;
use crate::error::Result;
use crate::model::{Block, TableSchema};
use crate::table::{SeriesIndex, Table};

/// Marks a tag value that no series has yet.
const UNKNOWN: u32 = u32::MAX;

/// The rows with their series. New series get their numbers here; the log defines them before their first row.
pub(super) fn resolve(table: &Table, schema: &TableSchema, batch: Validated) -> Result<Block> {
    let width = schema.tags.len();
    let mut series = vec![UNKNOWN; batch.rows()];
    let missing = {
        let index = table.series.read();
        let codes = codes(&batch, width, |tag, value| index.find_code(tag, value).unwrap_or(UNKNOWN));
        resolve_known(&index, &codes, width, &mut series)
    };
    if missing {
        let mut index = table.series.write();
        let codes = codes(&batch, width, |tag, value| index.intern(tag, value));
        for (row, id) in series.iter_mut().enumerate().filter(|(_, id)| **id == UNKNOWN) {
            *id = index.find_or_add(&codes[row * width..(row + 1) * width])?.0;
        }
    }
    Ok(Block { series: series.into(), times: batch.times, columns: batch.columns })
}

/// Fills in the series that exist; answers whether some do not.
fn resolve_known(index: &SeriesIndex, codes: &[u32], width: usize, series: &mut [u32]) -> bool {
    if width == 0 {
        let only = index.find(&[]);
        only.into_iter().for_each(|id| series.fill(id.0));
        return only.is_none();
    }
    let mut missing = false;
    let mut previous: Option<(&[u32], u32)> = None;
    for (key, id) in codes.chunks_exact(width).zip(series) {
        match previous {
            Some((same, found)) if same == key => *id = found,
            _ => match index.find(key) {
                Some(found) => {
                    *id = found.0;
                    previous = Some((key, found.0));
                }
                None => missing = true,
            },
        }
    }
    missing
}

/// The tag codes of every row, row by row.
fn codes(batch: &Validated, width: usize, mut code_of: impl FnMut(usize, &str) -> u32) -> Vec<u32> {
    let mut codes = vec![0; batch.rows() * width];
    for (tag, column) in batch.tags.iter().enumerate() {
        let Some(column) = column else { continue };
        fill_codes(column, &mut codes, tag, width, &mut code_of);
    }
    codes
}

fn fill_codes(column: &StringArray, codes: &mut [u32], tag: usize, width: usize, code_of: &mut impl FnMut(usize, &str) -> u32) {
    let mut previous: Option<(&str, u32)> = None;
    for (row, value) in column.iter().enumerate() {
        let Some(value) = value else { continue };
        let code = match previous {
            Some((same, code)) if same == value => code,
            _ => code_of(tag, value),
        };
        previous = Some((value, code));
        codes[row * width + tag] = code;
    }
}
