//! The second stage: tag values become series numbers.

use arrow::array::StringArray;

use super::validate::Validated;
use crate::error::Result;
use crate::model::Block;
use crate::table::{SeriesIndex, Table};

/// Marks a tag value that no series has yet.
const UNKNOWN: u32 = u32::MAX;

/// The rows with their series. New series get their numbers here; the log defines them before their first row.
///
/// The table may have gained tags since the batch was validated: its rows lack them.
pub(super) fn resolve(table: &Table, batch: Validated) -> Result<Block> {
    let mut series = vec![UNKNOWN; batch.rows()];
    let missing = {
        let index = table.series.read();
        let width = index.width();
        let codes = codes(&batch, width, |tag, value| index.find_code(tag, value).unwrap_or(UNKNOWN));
        resolve_known(&index, &codes, width, &mut series)
    };
    if missing {
        let mut index = table.series.write();
        let width = index.width();
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

#[cfg(test)]
mod tests {
    use arrow::array::RecordBatch;

    use super::*;
    use crate::ingest::builder::RowBuilder;
    use crate::ingest::validate::validate;
    use crate::model::{FieldType, SeriesKey, TableId, TableSpec};
    use crate::table::Registry;
    use std::sync::Arc;

    fn batch(schema: &Arc<crate::model::TableSchema>, tags: &[(&str, &str)]) -> RecordBatch {
        let mut rows = RowBuilder::new(schema.clone());
        let mut row = rows.row(1).value("v", 1_i64).unwrap();
        for (tag, value) in tags {
            row = row.tag(tag, value).unwrap();
        }
        rows.finish().unwrap()
    }

    fn key(tags: [Option<&str>; 2]) -> SeriesKey {
        SeriesKey(tags.map(|tag| tag.map(str::to_owned)).to_vec())
    }

    #[test]
    fn a_tag_gained_between_validation_and_resolution_is_missing_in_the_rows() {
        let registry = Registry::default();
        let spec = TableSpec::new("t").tag("a").field("v", FieldType::Int64);
        registry.put(spec.into_schema(TableId(0)).unwrap());
        let table = registry.get("t").unwrap();
        let old = table.schema();
        let validated = || validate(&old, &batch(&old, &[("a", "x")]), 1 << 20).unwrap();
        let (early, again) = (validated(), validated());
        registry.put(old.extended(&["b".to_owned()], &[]).unwrap());
        let new = table.schema();
        // Enough series that begin alike for a comparison of the first tag alone to take one for another.
        for n in 0..500 {
            let batch = batch(&new, &[("a", "x"), ("b", &n.to_string())]);
            resolve(&table, validate(&new, &batch, 1 << 20).unwrap()).unwrap();
        }
        let first = resolve(&table, early).unwrap().series[0];
        let later = batch(&new, &[("a", "x"), ("b", "later")]);
        let later = resolve(&table, validate(&new, &later, 1 << 20).unwrap()).unwrap().series[0];
        assert_eq!((first, later), (500, 501));
        assert_eq!(table.key(crate::model::SeriesId(first)), key([Some("x"), None]));
        assert_eq!(table.key(crate::model::SeriesId(later)), key([Some("x"), Some("later")]));
        assert_eq!(resolve(&table, again).unwrap().series[0], first);
    }
}
