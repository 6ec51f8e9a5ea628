//! What must hold of every import, whatever the form of the rows.

use std::sync::Arc;

use alluvium::TableSchema;
use alluvium_server::internals::{Form, Imported, import, write};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Decimal64Type, Int64Type};

/// Rows in a batch, few enough that small inputs have several.
const BATCH_ROWS: usize = 3;
/// All at once.
const WHOLE: usize = usize::MAX;
/// A decimal has at most 18 digits.
const DECIMAL_LIMIT: i64 = 1_000_000_000_000_000_000;

/// Imports `data` in several ways, which must agree.
pub(crate) fn check(form: Form, data: &[u8]) {
    let found = import(form, data, None, true, BATCH_ROWS, WHOLE);
    sound(&found);
    let trickled = import(form, data, None, true, BATCH_ROWS, 1 + data.len() % 7);
    assert_same(&found, &trickled, "where the input is cut must not matter");
    let at_once = import(form, data, None, true, 1_000_000, WHOLE);
    assert_eq!(counts(&found), counts(&at_once), "how many rows make a batch must not matter");
    let strict = import(form, data, None, false, BATCH_ROWS, WHOLE);
    match found.rejected {
        0 => assert_same(&found, &strict, "without bad rows there is nothing to stop at"),
        _ => assert!(strict.failure.is_some() && strict.rows <= found.rows && strict.rejected == 0),
    }
    if let Some(table) = &found.table {
        comes_back(Form::Csv, table, &found);
        comes_back(Form::JsonLines, table, &found);
    }
}

/// What was accepted has the shape it should have.
fn sound(found: &Imported) {
    assert!(found.failure.as_ref().is_none_or(|failure| failure.starts_with("Input(")), "{:?}", found.failure);
    assert_eq!(found.rows, found.batches.iter().map(|batch| batch.num_rows() as u64).sum::<u64>());
    let Some(table) = &found.table else {
        assert_eq!(found.rows, 0);
        return;
    };
    let mut points = 0;
    for batch in &found.batches {
        assert!((1..=BATCH_ROWS).contains(&batch.num_rows()));
        points += sound_rows(table, batch);
    }
    assert_eq!(points, found.points);
}

/// Rows have the shape of their table; answers how many values they have in fields.
pub(crate) fn sound_rows(table: &TableSchema, batch: &RecordBatch) -> u64 {
    let (schema, mut points) = (table.arrow(), 0);
    for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        assert_eq!(field.data_type(), schema.field_with_name(field.name()).expect("a column of the table").data_type());
        array.to_data().validate_full().expect("sound data");
        in_bounds(table, array);
        let is_field = table.field_position(field.name()).is_some();
        points += if is_field { (array.len() - array.null_count()) as u64 } else { 0 };
    }
    assert!(table.tags.iter().all(|tag| batch.column_by_name(&tag.name).is_some()), "a tag is left out");
    assert_eq!(batch.column(0).null_count(), 0, "a row without a time");
    points
}

fn in_bounds(table: &TableSchema, array: &Arc<dyn Array>) {
    match array.data_type() {
        DataType::Timestamp(..) => {
            let ticks = arrow::compute::cast(array, &DataType::Int64).expect("ticks");
            let accepted = table.time_unit.accepted();
            assert!(ticks.as_primitive::<Int64Type>().iter().flatten().all(|tick| accepted.contains(tick)));
        }
        DataType::Decimal64(..) => {
            let mut unscaled = array.as_primitive::<Decimal64Type>().iter().flatten();
            assert!(unscaled.all(|value| (1 - DECIMAL_LIMIT..DECIMAL_LIMIT).contains(&value)));
        }
        _ => {}
    }
}

/// Rows written as results are, and imported into the same table, are the same rows.
fn comes_back(form: Form, table: &Arc<TableSchema>, found: &Imported) {
    let text = write(form, table, &found.batches).expect("rows can be written");
    let back = import(form, &text, Some(table.clone()), false, BATCH_ROWS, WHOLE);
    let shown = || String::from_utf8_lossy(&text).into_owned();
    assert_eq!(back.failure, None, "{form:?} does not come back:\n{}", shown());
    assert_eq!(back.table.as_deref(), Some(&**table));
    let again = write(form, table, &back.batches).expect("rows can be written");
    assert!(again == text, "{form:?} comes back as something else:\n{}\nis now\n{}", shown(), String::from_utf8_lossy(&again));
}

fn counts(found: &Imported) -> (u64, u64, u64, bool) {
    (found.rows, found.points, found.rejected, found.failure.is_some())
}

fn assert_same(one: &Imported, other: &Imported, why: &str) {
    assert_eq!(counts(one), counts(other), "{why}");
    assert_eq!((&one.table, &one.failure), (&other.table, &other.failure), "{why}");
    let rows = |found: &Imported| found.table.as_ref().map(|table| write(Form::JsonLines, table, &found.batches));
    assert_eq!(rows(one), rows(other), "{why}");
}
