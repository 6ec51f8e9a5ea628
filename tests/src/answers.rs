//! Record batches as rows of the model, and rows as record batches.

use std::sync::Arc;

use alluvium::{Database, FieldType, Query, Result, TableSpec};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal64Array, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Decimal64Type, Float64Type, Int64Type, Schema, TimestampMicrosecondType};

use crate::model::{Cell, Row};

/// The table that the randomised tests write: two tags and one field of each kind.
pub fn spec() -> TableSpec {
    TableSpec::new("t")
        .tag("device")
        .tag("site")
        .field("f", FieldType::Float64)
        .field("i", FieldType::Int64)
        .field("s", FieldType::Utf8)
        .field("b", FieldType::Bool)
        .field("d", FieldType::Decimal { scale: 2 })
}

/// Names of the fields of [`spec`].
pub const FIELDS: [&str; 5] = ["f", "i", "s", "b", "d"];

/// Rows as a batch for the table of [`spec`].
pub fn batch(schema: &Arc<Schema>, rows: &[Row]) -> RecordBatch {
    let tag = |at: usize| -> ArrayRef { Arc::new(rows.iter().map(|row| row.key[at].as_deref()).collect::<StringArray>()) };
    let cell = |row: &Row, at: usize| row.cells[at].clone();
    let float = rows.iter().map(|row| match cell(row, 0) {
        Some(Cell::Float(bits)) => Some(f64::from_bits(bits)),
        _ => None,
    });
    let integer = rows.iter().map(|row| match cell(row, 1) {
        Some(Cell::Integer(value)) => Some(value),
        _ => None,
    });
    let text = rows.iter().map(|row| match cell(row, 2) {
        Some(Cell::Text(value)) => Some(value),
        _ => None,
    });
    let flag = rows.iter().map(|row| match cell(row, 3) {
        Some(Cell::Flag(value)) => Some(value),
        _ => None,
    });
    let decimal = rows.iter().map(|row| match cell(row, 4) {
        Some(Cell::Decimal(value)) => Some(value),
        _ => None,
    });
    let times = arrow::array::TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.time)).with_timezone("UTC");
    let columns: Vec<ArrayRef> = vec![
        Arc::new(times),
        tag(0),
        tag(1),
        Arc::new(float.collect::<Float64Array>()),
        Arc::new(integer.collect::<Int64Array>()),
        Arc::new(text.collect::<StringArray>()),
        Arc::new(flag.collect::<BooleanArray>()),
        Arc::new(decimal.collect::<Decimal64Array>().with_data_type(schema.field(7).data_type().clone())),
    ];
    RecordBatch::try_new(schema.clone(), columns).expect("columns of one length")
}

/// All rows that a query answers.
pub fn rows(db: &Database, query: &Query) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for batch in db.query(query)? {
        read(&batch?, &mut rows);
    }
    Ok(rows)
}

/// The rows of a batch with time, two tags and any of the fields of [`spec`] in their order; fields not there are missing.
pub fn read(batch: &RecordBatch, rows: &mut Vec<Row>) {
    let times = batch.column(0).as_primitive::<TimestampMicrosecondType>();
    for row in 0..batch.num_rows() {
        let tag = |at: usize| {
            let column = batch.column(at).as_string::<i32>();
            column.is_valid(row).then(|| column.value(row).to_owned())
        };
        let cells = FIELDS.iter().map(|name| batch.column_by_name(name).and_then(|column| cell(column, name, row)));
        rows.push(Row { key: vec![tag(1), tag(2)], time: times.value(row), cells: cells.collect() });
    }
}

fn cell(column: &ArrayRef, name: &str, row: usize) -> Option<Cell> {
    column.is_valid(row).then(|| match name {
        "f" => Cell::Float(column.as_primitive::<Float64Type>().value(row).to_bits()),
        "i" => Cell::Integer(column.as_primitive::<Int64Type>().value(row)),
        "s" => Cell::Text(column.as_string::<i32>().value(row).to_owned()),
        "b" => Cell::Flag(column.as_boolean().value(row)),
        _ => Cell::Decimal(column.as_primitive::<Decimal64Type>().value(row)),
    })
}
