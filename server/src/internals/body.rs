//! Bodies of line protocol, as requests bring them.

use std::collections::HashMap;
use std::sync::Arc;

use alluvium::TableSchema;
use arrow::array::RecordBatch;

use crate::import::{EpochUnit, Precision, Taken, read_points};
use crate::serve::intake::spec_of;

/// When points are written that have no time, in microseconds UTC.
const NOW: i64 = 1_700_000_000_123_456;

/// What a body comes to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Written {
    /// The rows of each table, which is as it then is.
    pub rows: Vec<(Arc<TableSchema>, RecordBatch)>,
    /// Columns that were made.
    pub made: usize,
    /// Points that are wrong or do not fit their table.
    pub dropped: u64,
}

/// Reads a body for these tables, or makes those that are not among them. Times are counted in one of six units.
///
/// # Errors
/// What the engine says of a request that it refuses.
pub fn body(bytes: &[u8], unit: u8, tables: &HashMap<String, Arc<TableSchema>>) -> alluvium::Result<Written> {
    let precision = match unit % 6 {
        0 => Precision::Epoch(EpochUnit::Nano),
        1 => Precision::Epoch(EpochUnit::Micro),
        2 => Precision::Epoch(EpochUnit::Milli),
        3 => Precision::Epoch(EpochUnit::Second),
        4 => Precision::Minute,
        _ => Precision::Hour,
    };
    let look = &mut |name: &str| Ok::<_, alluvium::Error>(tables.get(name).cloned());
    let Taken { parts, dropped, .. } = read_points(bytes, precision, NOW, look)?;
    let mut written = Written { dropped, ..Written::default() };
    for part in parts {
        let made = spec_of(&part.table, &part.batch);
        let schema = match tables.get(&part.table) {
            Some(schema) if part.batch.added.is_empty() => schema.clone(),
            Some(schema) => Arc::new(schema.extended(&made.tags, &made.fields)?),
            None => alluvium::internals::schema(made)?,
        };
        written.made += part.batch.added.len();
        written.rows.push((schema, part.batch.rows));
    }
    Ok(written)
}
