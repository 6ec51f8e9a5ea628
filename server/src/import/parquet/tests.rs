use std::sync::Arc;

use alluvium::{FieldType, ParquetWriter, TableSpec, TimeUnit};
use arrow::array::{
    ArrayRef, Date32Array, Float32Array, Float64Array, Int32Array, Int64Array, NullArray, StringArray, TimestampMillisecondArray,
    TimestampNanosecondArray, UInt64Array,
};
use arrow::record_batch::RecordBatch;

use crate::import::Failure;
use crate::import::run::OnError;
use crate::import::schema::Wishes;
use crate::import::source::Format;
use crate::import::testing::{Memory, rejected, wishes};

fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap();
    let mut writer = ParquetWriter::new(Vec::new(), batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap()
}

fn imported(bytes: &[u8], wishes: &Wishes) -> Memory {
    let mut memory = Memory::default();
    memory.import(Format::Parquet, bytes, wishes, OnError::Abort).1.unwrap();
    memory
}

#[test]
fn columns_become_tags_and_fields() {
    let bytes = parquet(vec![
        ("room", Arc::new(Int32Array::from(vec![1, 2]))),
        ("time", Arc::new(TimestampMillisecondArray::from(vec![1000, 2000]))),
        ("a", Arc::new(Int32Array::from(vec![Some(5), None]))),
        ("f", Arc::new(Float32Array::from(vec![0.5, 1.5]))),
        ("day", Arc::new(Date32Array::from(vec![3, 4]))),
        ("none", Arc::new(NullArray::new(2))),
    ]);
    let memory = imported(&bytes, &Wishes { tags: vec!["room".into()], ..wishes() });
    assert_eq!(memory.columns(), "room tag, a int64, f float32, day int64");
    assert_eq!(memory.rows(), ["1970-01-01T00:00:01Z \"1\" 5 0.5 3", "1970-01-01T00:00:02Z \"2\" - 1.5 4"]);
    assert!(memory.notes.iter().any(|note| note.contains("without any value: none")), "{:?}", memory.notes);
}

#[test]
fn times_of_all_kinds() {
    let value = || Arc::new(Int64Array::from(vec![7])) as ArrayRef;
    let first = |time: ArrayRef| imported(&parquet(vec![("v", value()), ("time", time)]), &wishes()).rows().remove(0);
    assert_eq!(first(Arc::new(Date32Array::from(vec![1]))), "1970-01-02T00:00:00Z 7");
    assert_eq!(first(Arc::new(Int64Array::from(vec![1_700_000_000_000]))), "2023-11-14T22:13:20Z 7");
    assert_eq!(first(Arc::new(UInt64Array::from(vec![1_700_000_000]))), "2023-11-14T22:13:20Z 7");
    assert_eq!(first(Arc::new(StringArray::from(vec!["2024-01-01 01:00"]))), "2024-01-01T01:00:00Z 7");
    let nanos = TimestampNanosecondArray::from(vec![1_000]).with_timezone("Europe/Berlin");
    assert_eq!(first(Arc::new(nanos)), "1970-01-01T00:00:00.000001Z 7");
    let fine = imported(&parquet(vec![("v", value()), ("time", Arc::new(TimestampNanosecondArray::from(vec![1])))]), &wishes());
    assert_eq!(fine.schema.unwrap().time_unit, TimeUnit::Nano);
    let (_, outcome) = Memory::default().import(
        Format::Parquet,
        &parquet(vec![("v", value()), ("time", Arc::new(Float64Array::from(vec![1.5])))]),
        &wishes(),
        OnError::Abort,
    );
    assert!(matches!(outcome, Err(Failure::Input(reason)) if reason.contains("is float64, which is not a time")));
}

#[test]
fn conversions_are_exact_or_bad_rows() {
    let bytes = parquet(vec![
        ("time", Arc::new(Int64Array::from(vec![Some(1), Some(2), None, Some(4), Some(5)]))),
        ("d", Arc::new(Float64Array::from(vec![1.25, 0.001, 1.0, f64::NAN, -3.5]))),
        ("t", Arc::new(StringArray::from(vec!["5", "6", "7", "8", "x"]))),
    ]);
    let types = vec![("d".to_owned(), FieldType::Decimal { scale: 2 }), ("t".to_owned(), FieldType::Int64)];
    let (memory, named) = rejected(Format::Parquet, &bytes, &Wishes { types: types.clone(), ..wishes() });
    assert_eq!(memory.rows(), ["1970-01-01T00:00:01Z 1.25 5"]);
    assert_eq!(
        named,
        [
            "2: column \"d\": \"0.001\" has more than 2 digits after the point",
            "3: the time is missing",
            "4: column \"d\": \"NaN\" is not a number",
            "5: column \"t\": \"x\" is not an int64",
        ]
    );
    let mut memory = Memory::default();
    let (report, outcome) = memory.import(Format::Parquet, &bytes, &Wishes { types, ..wishes() }, OnError::Abort);
    assert!(matches!(outcome, Err(Failure::BadRow { line: 2, .. })));
    assert_eq!((report.rows, report.points), (1, 2));
}

#[test]
fn the_table_decides() {
    let mut memory = Memory::with_table(TableSpec::new("t").tag("room").field("a", FieldType::Float64));
    let bytes = parquet(vec![("time", Arc::new(Int64Array::from(vec![1]))), ("a", Arc::new(Int32Array::from(vec![3])))]);
    memory.import(Format::Parquet, &bytes, &wishes(), OnError::Abort).1.unwrap();
    assert_eq!(memory.rows(), ["1970-01-01T00:00:01Z - 3.0"]);
}

#[test]
fn what_is_no_parquet() {
    let (_, outcome) = Memory::default().import(Format::Parquet, b"time,a\n1,2\n3,4\n", &wishes(), OnError::Abort);
    assert!(matches!(&outcome, Err(Failure::Engine(error)) if error.to_string().contains("does not end in PAR1")), "{outcome:?}");
}
