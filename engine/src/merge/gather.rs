//! Columns of a merge, gathered from its sources by its plan.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::compute::interleave;
use arrow::datatypes::DataType;

use super::dense;
use super::needed::{Needed, needed_rows};
use super::plan::{MergePlan, RowRef};
use crate::error::Result;
use crate::model::{Block, Column};

/// Something that has columns of rows: blocks in memory, or segments that read pages as they are asked for.
pub(crate) trait ColumnSource {
    /// The values of one field for some rows of one source; `None` where it lacks the field.
    fn column(&mut self, source: u32, field: usize, rows: Range<usize>) -> Result<Column>;
}

impl<B: AsRef<[Block]>> ColumnSource for B {
    fn column(&mut self, source: u32, field: usize, rows: Range<usize>) -> Result<Column> {
        Ok(self.as_ref()[source as usize].column(field).map(|column| column.slice(rows.start, rows.len())))
    }
}

/// The values of `field`, of type `kind`, for rows `rows` of the result; `None` where no source has any.
pub(crate) fn gather(
    plan: &MergePlan,
    sources: &mut dyn ColumnSource,
    field: usize,
    kind: &DataType,
    rows: Range<usize>,
) -> Result<Column> {
    let (parts, single) = plan.parts_of(rows.clone());
    let mut needed = needed_rows(parts);
    for need in &mut needed {
        need.values = sources.column(need.source, field, need.rows.clone())?;
    }
    if needed.iter().all(|need| need.values.is_none()) {
        return Ok(None);
    }
    if let Some(whole) = as_one_slice(parts, &needed, single) {
        return Ok(Some(whole));
    }
    if let Some(column) = single.then(|| dense::gather(parts, &needed, kind)).flatten() {
        return Ok(Some(column));
    }
    let null = new_null_array(kind, 1);
    let mut arrays: Vec<&dyn Array> = needed.iter().map(|need| need.values.as_deref().unwrap_or(null.as_ref())).collect();
    arrays.push(null.as_ref());
    let lookup = Lookup::new(&needed);
    let indices: Vec<(usize, usize)> = if single {
        parts.iter().map(|&part| lookup.index(part)).collect()
    } else {
        rows.map(|row| lookup.newest_present(plan.parts(row))).collect()
    };
    Ok(Some(interleave(&arrays, &indices)?))
}

/// The common case of rows that stand in one source, in order, without gaps: no copy.
fn as_one_slice(parts: &[RowRef], needed: &[Needed], single: bool) -> Column {
    let [only] = needed else { return None };
    if !single || only.rows.len() != parts.len() {
        return None;
    }
    let in_order = parts.iter().enumerate().all(|(offset, part)| part.row as usize == only.rows.start + offset);
    only.values.as_ref().filter(|_| in_order).cloned()
}

/// From source rows to positions among the gathered arrays.
struct Lookup<'a> {
    needed: &'a [Needed],
    /// Position in `needed` by source.
    positions: Vec<u32>,
}

impl<'a> Lookup<'a> {
    fn new(needed: &'a [Needed]) -> Self {
        let mut positions = vec![0; needed.last().map_or(0, |need| need.source as usize + 1)];
        for (position, need) in needed.iter().enumerate() {
            positions[need.source as usize] = position as u32;
        }
        Lookup { needed, positions }
    }

    fn null(&self) -> (usize, usize) {
        (self.needed.len(), 0)
    }

    fn index(&self, part: RowRef) -> (usize, usize) {
        let position = self.positions[part.source as usize] as usize;
        let need = &self.needed[position];
        if need.values.is_none() { self.null() } else { (position, part.row as usize - need.rows.start) }
    }

    fn newest_present(&self, parts: &[RowRef]) -> (usize, usize) {
        let present = |&(position, row): &(usize, usize)| {
            self.needed.get(position).and_then(|need| need.values.as_ref()).is_some_and(|values: &ArrayRef| values.is_valid(row))
        };
        parts.iter().rev().map(|&part| self.index(part)).find(present).unwrap_or(self.null())
    }
}
