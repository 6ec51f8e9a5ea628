//! Columns as tables take them.

use std::sync::Arc;

use alluvium::{Error, Result, TableSchema};
use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema};

/// A batch whose fields have the types of a table, where they can without loss: smaller numbers in larger ones, whole numbers in floating-point ones that
/// hold them, any text as text. What cannot is left as it is, for the engine to refuse by name. Nothing is copied that fits.
///
/// # Errors
///
/// [`Error::Invalid`] for a value that its column's type cannot hold.
pub fn fitted(schema: &TableSchema, batch: RecordBatch) -> Result<RecordBatch> {
    let wanted = |name: &str| schema.field_position(name).and_then(|at| schema.fields.get(at)).map(|field| field.kind.arrow());
    let fits =
        |(column, field): (&ArrayRef, &Arc<Field>)| wanted(field.name()).is_none_or(|wanted| *column.data_type() == wanted);
    if batch.columns().iter().zip(batch.schema_ref().fields()).all(fits) {
        return Ok(batch);
    }
    let (mut columns, mut fields) = (Vec::new(), Vec::new());
    for (column, field) in batch.columns().iter().zip(batch.schema_ref().fields()) {
        let column = match wanted(field.name()) {
            Some(wanted) if is_wider(column.data_type(), &wanted) => cast(field.name(), column, &wanted)?,
            _ => column.clone(),
        };
        fields.push(Field::new(field.name(), column.data_type().clone(), true));
        columns.push(column);
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// Whether values of one type are meant by those of another. Whether each of them fits is seen when it is converted.
fn is_wider(from: &DataType, to: &DataType) -> bool {
    use DataType::{Binary, BinaryView, Boolean, Dictionary, Float64, LargeBinary, LargeUtf8, Utf8, Utf8View};
    match (from, to) {
        (Dictionary(_, values), to) => **values == *to || is_wider(values, to),
        (LargeUtf8 | Utf8View, Utf8) | (LargeBinary | BinaryView | Utf8 | LargeUtf8, Binary) => true,
        (from, Float64) if from.is_numeric() => true,
        (from, to) if from.is_integer() => to.is_integer() || to.is_floating() || matches!(to, DataType::Decimal64(..)),
        (from, DataType::Float32) => *from == DataType::Float16,
        (DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..), DataType::Decimal64(..)) => true,
        (from, to) => from == to && *from == Boolean,
    }
}

fn cast(name: &str, column: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let refused = |why: String| Error::invalid(format_args!("column {name:?} cannot be {to}: {why}"));
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let cast = cast_with_options(column, to, &options).map_err(|error| refused(error.to_string()))?;
    // Whole numbers beyond what a floating-point one holds would be others.
    if column.data_type().is_integer() && to.is_floating() {
        let back = cast_with_options(&cast, column.data_type(), &options).map_err(|error| refused(error.to_string()))?;
        if back.to_data() != column.to_data() {
            return Err(refused("a whole number in it is too large to stay the same".to_owned()));
        }
    }
    Ok(cast)
}

#[cfg(test)]
mod tests {
    use alluvium::{Database, FieldType, TableSpec};
    use arrow::array::{
        AsArray, DictionaryArray, Float32Array, Float64Array, Int32Array, Int64Array, LargeStringArray, TimestampMicrosecondArray,
    };
    use arrow::datatypes::{Float64Type, Int64Type};

    use super::*;

    fn table(kind: FieldType) -> (tempfile::TempDir, Arc<TableSchema>) {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::open(folder.path().join("data")).unwrap();
        let schema = db.create_table(TableSpec::new("air").tag("room").field("value", kind)).unwrap();
        (folder, schema)
    }

    fn batch(values: ArrayRef) -> RecordBatch {
        let times = TimestampMicrosecondArray::from_iter_values(0..values.len() as i64);
        RecordBatch::try_from_iter_with_nullable([("time", Arc::new(times) as ArrayRef, false), ("value", values, true)]).unwrap()
    }

    fn fitted_value(kind: FieldType, values: ArrayRef) -> Result<ArrayRef> {
        let (_folder, schema) = table(kind);
        fitted(&schema, batch(values)).map(|batch| batch.column(1).clone())
    }

    #[test]
    fn what_fits_is_not_copied() {
        let values: ArrayRef = Arc::new(Float64Array::from(vec![1.5, 2.5]));
        let fitted = fitted_value(FieldType::Float64, values.clone()).unwrap();
        let at = |array: &ArrayRef| array.as_primitive::<Float64Type>().values().as_ptr();
        assert_eq!(at(&fitted), at(&values));
    }

    #[test]
    fn smaller_numbers_and_other_texts_are_taken() {
        let found = fitted_value(FieldType::Float64, Arc::new(Float32Array::from(vec![Some(1.5), None]))).unwrap();
        assert_eq!(found.as_primitive::<Float64Type>(), &Float64Array::from(vec![Some(1.5), None]));
        let found = fitted_value(FieldType::Int64, Arc::new(Int32Array::from(vec![7]))).unwrap();
        assert_eq!(found.as_primitive::<Int64Type>().values(), &[7]);
        let found = fitted_value(FieldType::Float64, Arc::new(Int64Array::from(vec![1 << 53]))).unwrap();
        assert_eq!(found.as_primitive::<Float64Type>().values(), &[9_007_199_254_740_992.0]);
        let found = fitted_value(FieldType::Utf8, Arc::new(LargeStringArray::from(vec!["on"]))).unwrap();
        assert_eq!(found.as_string::<i32>().value(0), "on");
        let words: DictionaryArray<arrow::datatypes::Int8Type> = vec!["on", "off", "on"].into_iter().collect();
        let found = fitted_value(FieldType::Utf8, Arc::new(words)).unwrap();
        assert_eq!(found.as_string::<i32>().value(2), "on");
    }

    #[test]
    fn nothing_is_rounded_or_guessed() {
        let refused = |kind, values: ArrayRef| fitted_value(kind, values).unwrap_err().to_string();
        assert!(refused(FieldType::Float64, Arc::new(Int64Array::from(vec![(1 << 53) + 1]))).contains("too large"));
        assert!(refused(FieldType::UInt64, Arc::new(Int64Array::from(vec![-1]))).contains("value"));
        // These stay as they are, and the engine says what it takes.
        let same = fitted_value(FieldType::Int64, Arc::new(Float64Array::from(vec![1.0]))).unwrap();
        assert_eq!(same.data_type(), &DataType::Float64);
        let same = fitted_value(FieldType::Float32, Arc::new(Float64Array::from(vec![1.0]))).unwrap();
        assert_eq!(same.data_type(), &DataType::Float64);
    }
}
